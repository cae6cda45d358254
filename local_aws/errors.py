"""Errors of the stand-in, and AWS errors that moto has no class for.

AwsError                        any AWS error code, HTTP 400
`-- NotImplementedByStandIn     HTTP 501: the stand-in refuses rather than pretend
SlackError                      ``"ok": false`` with one of Slack's codes
"""

from moto.core.exceptions import JsonRESTError

NOT_IMPLEMENTED = "NotImplementedByStandIn"


class AwsError(JsonRESTError):
    """An answer that boto3 raises as ClientError with this code (AWS JSON 1.1 services)."""

    code = 400

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


class NotImplementedByStandIn(AwsError):
    """The stand-in does not do this truly, so it refuses."""

    code = 501

    def __init__(self, message: str) -> None:
        super().__init__(NOT_IMPLEMENTED, message)


class SlackError(Exception):
    """An answer that slack_sdk raises as SlackApiError: HTTP 200, or 429 when it says when to come again."""

    def __init__(self, code: str, *details: str, retry_after: int | None = None) -> None:
        super().__init__(code, *details)
        self.code = code
        self.details = details
        self.retry_after = retry_after  # seconds
