"""What goes into a query, what comes out, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass


class MalformedQuery(ValueError):
    """The query is wrong, or uses something this stand-in does not do. The message says what and where."""


class Refusal(Exception):
    """Inside the package: what is refused, and at which offset of the query text it stands."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Event:
    """One log event. `timestamp` and `ingestion_time` are milliseconds since the epoch, UTC."""

    timestamp: int
    ingestion_time: int
    message: str
    log_group: str
    log_stream: str
    account: str


@dataclass(frozen=True)
class Result:
    """Rows of (field, text) pairs, absent fields left out, and the statistics of GetQueryResults."""

    rows: list[list[tuple[str, str]]]
    records_matched: int
    records_scanned: int
    bytes_scanned: int
