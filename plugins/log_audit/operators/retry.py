"""Which failures are worth another try."""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from log_audit.errors import CredentialsError, PermanentError
from log_audit.refusals import sentence_of

# 4xx answers of AWS that another try can mend, by code:
# https://docs.aws.amazon.com/general/latest/gr/api-retries.html
TEMPORARY = (
    *("Throttl", "LimitExceeded", "TooManyRequests", "RequestTimeout", "SlowDown"),
    *("OperationAborted", "ExpiredToken", "TransactionInProgress"),
)
TEMPORARY_STATUS = {408, 429}  # a HEAD request has no body to say more


class FailFast(RetryPolicy):
    """Fails at once what a retry cannot mend: our permanent errors, and requests that AWS refuses as such.

    Throttling, 5xx answers, time-outs and dropped connections keep the task's own retries and back-off. A right that is
    missing is told in a sentence, whatever error it came in: the reason is the last line of the task's log.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, CredentialsError):
            return RetryDecision.fail(f"no retry: {exception}")
        if missing_right := sentence_of(exception, _dag_id(context)):
            return RetryDecision.fail(missing_right)
        if isinstance(exception, PermanentError):
            return RetryDecision.fail("no retry: only a person can mend this")
        if is_refused_for_good(exception):
            return RetryDecision.fail("no retry: AWS refuses this request itself")
        return RetryDecision.default()


def _dag_id(context: Any) -> str | None:
    return getattr((context or {}).get("ti"), "dag_id", None)


def is_refused_for_good(exception: BaseException) -> bool:
    """Whether AWS refuses the request as such, so that another try would end the same way."""
    answer = getattr(exception, "response", None)
    if not isinstance(answer, dict):
        return False
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = answer.get("Error", {}).get("Code", "")
    return 400 <= status < 500 and status not in TEMPORARY_STATUS and not any(word in code for word in TEMPORARY)
