"""Which failures are worth another try."""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from log_audit.errors import PermanentError

# 4xx answers of AWS that another try can mend, by code:
# https://docs.aws.amazon.com/general/latest/gr/api-retries.html
TEMPORARY = (
    *("Throttl", "LimitExceeded", "TooManyRequests", "RequestTimeout", "SlowDown"),
    *("OperationAborted", "ExpiredToken", "TransactionInProgress"),
)
TEMPORARY_STATUS = {408, 429}  # a HEAD request has no body to say more


class FailFast(RetryPolicy):
    """Fails at once what a retry cannot mend: our permanent errors, and requests that AWS refuses as such.

    Throttling, 5xx answers, time-outs and dropped connections keep the task's own retries and back-off.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, PermanentError):
            return RetryDecision.fail("no retry: only a person can mend this")
        if _refused_for_good(exception):
            return RetryDecision.fail("no retry: AWS refuses this request itself")
        return RetryDecision.default()


def _refused_for_good(exception: BaseException) -> bool:
    answer = getattr(exception, "response", None)
    if not isinstance(answer, dict):
        return False
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = answer.get("Error", {}).get("Code", "")
    return 400 <= status < 500 and status not in TEMPORARY_STATUS and not any(word in code for word in TEMPORARY)
