"""The errors of the project, in one tree.

LogAuditError
├── PermanentError            no retry can mend it: the task fails at once (see operators/retry.py)
│   ├── SettingsError         include/settings.yaml is wrong
│   ├── QueryFileError        a query file's header or query is wrong
│   ├── InvalidKeyError       a partition key that names no window
│   ├── WindowNotOverError    the window has not ended, or has not settled
│   ├── AccessError           AWS refuses, and only a person can change that
│   │   └── CredentialsError  the Airflow connection, its keys or its role cannot be used
│   ├── SlotTimeoutError      other exports held the account's only slot for too long
│   ├── VerificationError     what is in S3 is not what was exported
│   ├── TooOldError           a window before what AWS keeps
│   ├── TableError            a table that is not as its file says
│   ├── NotRecordedError      deliveries that are left to the next run
│   ├── UnreadableMessageError a message that is no event of an ECS task
│   └── UnreadableRecordError a record of CloudTrail that is not as AWS writes them
├── UnreachableError          AWS cannot be reached, or a token has expired
│   └── BrokenAnswerError     an answer of AWS broke off on its way
├── DeliveryError             a message was not deleted from its queue
├── ExportError               an export task failed, was cancelled, or brought nothing
└── AlertError                an alert was not accepted
    └── ThreadGoneError       the message that it should answer has been deleted
"""


class LogAuditError(Exception):
    """Whatever this project raises on purpose. Its words are masked: they may quote logs, keys of S3, or AWS."""

    def __init__(self, *words: object) -> None:
        from log_audit.redaction import ALWAYS  # which needs these errors itself

        super().__init__(*(ALWAYS.text(word) if isinstance(word, str) else word for word in words))


class PermanentError(LogAuditError):
    """A retry would end the same way."""


class SettingsError(PermanentError):
    """The settings file names something that cannot be."""


class QueryFileError(PermanentError):
    """A query file that cannot be run as it stands."""


class InvalidKeyError(PermanentError, ValueError):
    """A partition key that names no window."""


class WindowNotOverError(PermanentError):
    """The window has not ended, or its last events may still be on their way."""


class AccessError(PermanentError):
    """A bucket, policy or permission that a person must change."""


class CredentialsError(AccessError):
    """An Airflow connection that AWS cannot be called with: it is missing, or its keys or its role are refused."""


class SlotTimeoutError(PermanentError):
    """Other exports held the account's only slot for as long as we were willing to wait."""


class VerificationError(PermanentError):
    """The archive does not hold what it should."""


class UnreadableMessageError(PermanentError):
    """A message in the queue that is no event of an ECS task."""


class UnreadableRecordError(PermanentError):
    """A record of CloudTrail of a call by EventBridge Scheduler that is not as AWS writes them."""


class TooOldError(PermanentError):
    """AWS keeps nothing of a window so long ago."""


class TableError(PermanentError):
    """A table of Athena that is missing, or not as its file and the settings say."""


class NotRecordedError(PermanentError):
    """Deliveries that were not recorded; their messages come again, to the next run."""


class UnreachableError(LogAuditError):
    """AWS cannot be reached for now, or the connection's token has expired."""


class BrokenAnswerError(UnreachableError):
    """Less of an answer came than AWS said; whoever asks again may have all of it."""


class DeliveryError(LogAuditError):
    """Messages that were not deleted; they come again."""


class ExportError(LogAuditError):
    """An export task ended badly; the next try makes a new one."""


class AlertError(LogAuditError):
    """Slack did not accept an alert, or its answer is unknown; the next try sends what is missing."""


class ThreadGoneError(AlertError):
    """The message that an alert should answer has been deleted from its channel."""
