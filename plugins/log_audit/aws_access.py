"""Why AWS cannot be called through an Airflow connection, and what to do about it: in words, without boto3.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from log_audit.errors import CredentialsError, LogAuditError, UnreachableError

# What botocore raises by itself, by the names of its classes:
# https://github.com/boto/botocore/blob/develop/botocore/exceptions.py
WITHOUT = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError"}
PROFILE = {"ProfileNotFound", "UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "ConfigNotFound"}
NO_REGION = {"NoRegionError", "InvalidRegionError", "UnknownRegionError"}
# No connection came about. One that breaks off is another matter: AWS may have done what it was asked.
AWAY = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"}
# What AWS answers: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, and S3's own names
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
INVALID = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken", "AuthFailure"),
    *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthorizationHeaderMalformed"),
}
ROLE = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/\S+")


@dataclass(frozen=True)
class Way:
    """How AWS is called: the Airflow connection, its role, and the region of the settings."""

    connection: str
    region: str | None
    role: str | None = None

    @property
    def variable(self) -> str:
        """The environment variable that can hold the connection."""
        return f"AIRFLOW_CONN_{self.connection.upper()}"


def missing(way: Way) -> CredentialsError:
    """There is no such connection, or it is malformed, which Airflow tells alike.

    Without this the provider would call AWS as whoever the worker happens to be.
    """
    return CredentialsError(
        f"there is no Airflow connection {way.connection!r} that could be read, so AWS in {way.region} cannot be "
        f"called: create one of type Amazon Web Services, or set {way.variable} (JSON, or a URI) for workers and "
        "triggerer, or mend the connection of the target in the settings"
    )


def explained(error: BaseException, way: Way) -> LogAuditError | None:
    """What an error of boto3 means for the connection; None of one that is not about it.

    :param error: of botocore, or an error of the network
    """
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        detail = answer.get("Error", {})
        operation = getattr(error, "operation_name", "")
        return refused(str(detail.get("Code", "")), str(detail.get("Message", "")), operation, way)
    names = {kind.__name__ for kind in type(error).__mro__}
    said = f"the Airflow connection {way.connection!r}"
    if names & PROFILE:
        return CredentialsError(f"{said} names a profile that cannot be used: {error}")
    if names & WITHOUT:
        return CredentialsError(_without(said, error))
    if names & NO_REGION:
        return CredentialsError(
            f"{said}: {way.region!r} is no region ({error}); mend the target's region in the settings"
        )
    return UnreachableError(_away(way, error)) if names & AWAY and _is_botocores(error) else None


def refused(code: str, message: str, operation: str, way: Way) -> LogAuditError | None:
    """What AWS's refusal of a call means for the connection; None where it is about the call alone.

    :param operation: such as AssumeRole
    """
    said = f"the Airflow connection {way.connection!r}"
    if code in EXPIRED:
        return UnreachableError(
            f"the credentials of {said} have expired ({code}): put new ones in. Keys with a session token end after "
            "hours; a role_arn in the connection's extra is assumed anew by itself"
        )
    if code in INVALID:
        return CredentialsError(
            f"AWS does not know the credentials of {said} ({code}, {message}): put in the keys of an active user or "
            f"role that may work in {way.region}, and see that the worker's clock is right"
        )
    if operation.startswith("AssumeRole"):
        return CredentialsError(_no_role(said, code, message, way))
    return None


def _without(said: str, error: BaseException) -> str:
    return (
        f"{said} holds no credentials, and this worker has none of its own ({error}): put an access key into the "
        "connection, or give workers and triggerer a role (of the EC2 instance, the ECS task or the pod)"
    )


def _no_role(said: str, code: str, message: str, way: Way) -> str:
    found = ROLE.fullmatch(way.role or "")
    where = f" in account {found[1]}" if found else ""
    return (
        f"the role {way.role} cannot be assumed with {said} ({code}, {message}). See that it exists{where}, that its "
        "trust policy names who calls (and the external id, if it wants one), and that the caller is allowed "
        "sts:AssumeRole on it; or mend role_arn in the connection's extra"
    )


def _away(way: Way, error: BaseException) -> str:
    return (
        f"AWS cannot be reached with the Airflow connection {way.connection!r} in {way.region}: {error}. See that "
        "there is such a region, that endpoint_url in the connection's extra is right or absent, and that the "
        "worker's network, proxy or VPC endpoint lets it out"
    )


def _is_botocores(error: BaseException) -> bool:
    kinds: tuple[Any, ...] = type(error).__mro__
    return any(kind.__module__.startswith(("botocore.", "aiobotocore.")) for kind in kinds)
