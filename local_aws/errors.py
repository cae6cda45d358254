"""Errors of the stand-in, and AWS errors that moto has no class for.

AwsError                        any AWS error code, HTTP 400
`-- NotImplementedByStandIn     HTTP 501: the stand-in refuses rather than pretend
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
