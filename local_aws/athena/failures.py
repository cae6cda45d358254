"""Why a query is not run, or ends FAILED.

QueryFailure        ends FAILED, with this reason
`-- Refused         the same, where Athena may well do it but the stand-in would not do it truly
SyntaxFailure       StartQueryExecution raises InvalidRequestException
"""

from typing import Any


class QueryFailure(Exception):
    """The query ends FAILED: `name` is Trino's or Hive's name of the error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.message = f"{name}: {message}"


class Refused(QueryFailure):
    """The stand-in does not do this, so the query fails rather than give a wrong answer."""

    def __init__(self, what: str) -> None:
        super().__init__("NOT_SUPPORTED", f"The stand-in for Athena does not do {what}.")


class SyntaxFailure(Exception):
    """The text is no statement that Athena's parsers take."""


def place(node: Any) -> str:
    """``line 1:8: `` of a sqlglot node where it is known, for messages."""
    found = next((part.meta for part in node.walk() if "line" in part.meta), None)
    return f"line {found['line']}:{found['col']}: " if found else ""
