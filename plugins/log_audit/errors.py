"""The errors of the project, in one tree.

LogAuditError
├── PermanentError            no retry can mend it: the task fails at once (see operators/retry.py)
│   ├── SettingsError         include/settings.yaml is wrong
│   ├── QueryFileError        a query file's header or query is wrong
│   ├── InvalidKeyError       a partition key that names no window
│   ├── WindowNotOverError    the window has not ended, or has not settled
│   ├── AccessError           AWS refuses, and only a person can change that
│   ├── SlotTimeoutError      other exports held the account's only slot for too long
│   └── VerificationError     what is in S3 is not what was exported
├── ExportError               an export task failed, was cancelled, or brought nothing
└── AlertError                an alert was not accepted
    └── ThreadGoneError       the message that it should answer has been deleted
"""


class LogAuditError(Exception):
    """Whatever this project raises on purpose."""


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


class SlotTimeoutError(PermanentError):
    """Other exports held the account's only slot for as long as we were willing to wait."""


class VerificationError(PermanentError):
    """The archive does not hold what it should."""


class ExportError(LogAuditError):
    """An export task ended badly; the next try makes a new one."""


class AlertError(LogAuditError):
    """Slack did not accept an alert, or its answer is unknown; the next try sends what is missing."""


class ThreadGoneError(AlertError):
    """The message that an alert should answer has been deleted from its channel."""
