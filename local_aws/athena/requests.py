"""StartQueryExecution's parameters, checked; and how Athena words a refusal."""

import re
from dataclasses import dataclass
from typing import Any

from local_aws.errors import AwsError, NotImplementedByStandIn

LOCATION = re.compile(r"s3://([^/]+)(?:/(.*))?")
MAX_QUERY = 262_144  # bytes


def invalid(message: str) -> AwsError:
    """InvalidRequestException."""
    return AwsError("InvalidRequestException", message)


def require_known(what: str, given: dict[str, Any], known: set[str] | frozenset[str]) -> None:
    """Refuse what the stand-in would pass over."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unknown)} of {what}.")


@dataclass(frozen=True)
class StartRequest:
    """One StartQueryExecution. Two with the same token must be equal."""

    text: str
    database: str
    work_group: str
    output: str | None
    parameters: tuple[str, ...]
    token: str | None

    @classmethod
    def of(cls, given: dict[str, Any]) -> "StartRequest":
        """Read the call's parameters; raises InvalidRequestException."""
        context = given.get("QueryExecutionContext") or {}
        results = given.get("ResultConfiguration") or {}
        require_known("QueryExecutionContext", context, {"Database", "Catalog"})
        require_known("ResultConfiguration", results, {"OutputLocation"})
        if context.get("Catalog", "AwsDataCatalog").lower() != "awsdatacatalog":
            raise NotImplementedByStandIn("The stand-in has no catalog but AwsDataCatalog.")
        request = cls(
            text=given["QueryString"],
            database=context.get("Database", "default").lower(),
            work_group=given.get("WorkGroup", "primary"),
            output=results.get("OutputLocation"),
            parameters=tuple(given.get("ExecutionParameters") or ()),
            token=given.get("ClientRequestToken"),
        )
        request.check()
        return request

    def check(self) -> None:
        """Raise InvalidRequestException for what is out of bounds."""
        if not 1 <= len(self.text.encode()) <= MAX_QUERY:
            raise invalid(f"QueryString must have between 1 and {MAX_QUERY} bytes")
        if self.token is not None and not 32 <= len(self.token) <= 128:
            raise invalid("ClientRequestToken must have between 32 and 128 characters")
        if any(not 1 <= len(value) <= 1024 for value in self.parameters):
            raise invalid("Each of ExecutionParameters must have between 1 and 1024 characters")
