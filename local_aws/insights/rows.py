"""A log event as a row: its system fields, and the fields discovered in its message."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Any

from local_aws.insights.model import Event
from local_aws.insights.values import Number, Timestamp, Value, number

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
MAX_FIELDS = 200

LAMBDA_FIELDS = frozenset(
    {"@type", "@requestId", "@duration", "@billedDuration", "@initDuration", "@memorySize", "@maxMemoryUsed"}
)


class Row:
    """One event in a query. `values` holds the fields that the query itself makes."""

    __slots__ = ("event", "found", "place", "values")

    def __init__(self, event: Event, place: int) -> None:
        self.event = event
        self.place = place
        self.values: dict[str, Value] = {}
        self.found: dict[str, Value] | None = None

    def discover(self) -> dict[str, Value]:
        """The fields of the message, read at the first call only."""
        if self.found is None:
            self.found = discover(self.event.message)
        return self.found


class Group:
    """One row of a `stats` command: nothing is left of the events but these values."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Value]) -> None:
        self.values = values


def _pointer(row: Row) -> str:
    """What `@ptr` holds: opaque, and different for every record of a query."""
    event = row.event
    told = [event.account, event.log_group, event.log_stream, event.timestamp, row.place]
    return base64.b64encode(json.dumps(told).encode()).decode()


SYSTEM_FIELDS: dict[str, Callable[[Row], Value]] = {
    "@timestamp": lambda row: Timestamp(row.event.timestamp),
    "@ingestionTime": lambda row: Timestamp(row.event.ingestion_time),
    "@message": lambda row: row.event.message,
    "@logStream": lambda row: row.event.log_stream,
    "@log": lambda row: f"{row.event.account}:{row.event.log_group}",
    "@ptr": _pointer,
}


def discover(message: str) -> dict[str, Value]:
    """The fields of one message: a JSON object's, a Lambda platform line's, or none."""
    if message.startswith(("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")):
        return _lambda_fields(message)
    if not message.lstrip().startswith("{"):
        return {}
    try:
        return flatten(_JSON.decode(message))
    except (ValueError, RecursionError):
        return {}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def flatten(document: dict[str, Any]) -> dict[str, Value]:
    """A JSON object as dotted paths, arrays by index, cut at MAX_FIELDS.

    Booleans become 1 and 0 (so does AWS: aws-powertools/powertools-lambda-dotnet issue 667), nulls are
    missing, and a key that begins with @ gets a second one, to stand apart from the system fields.
    """
    fields: dict[str, Value] = {}
    _flatten("", ((f"@{k}" if k.startswith("@") else k, v) for k, v in document.items()), fields)
    return fields


def _flatten(prefix: str, members: Iterable[tuple[Any, Any]], fields: dict[str, Value]) -> None:
    for key, value in members:
        if len(fields) >= MAX_FIELDS:
            return
        kind = type(value)
        if kind is str or kind is int or kind is float:
            fields[f"{prefix}{key}"] = value
        elif kind is bool:
            fields[f"{prefix}{key}"] = int(value)
        elif kind is dict:
            _flatten(f"{prefix}{key}.", value.items(), fields)
        elif kind is list:
            _flatten(f"{prefix}{key}.", enumerate(value), fields)


def _plain(figure: str) -> Number | None:
    return number(figure.partition(" ")[0])


def _bytes(figure: str) -> Number | None:
    # "128 MB" is 128000000 here: AWS's own samples divide @memorySize by 1000 twice to get megabytes.
    megabytes = _plain(figure)
    return None if megabytes is None else megabytes * 1_000_000


_REPORT: dict[str, tuple[str, Callable[[str], Number | None]]] = {
    "Duration": ("@duration", _plain),
    "Billed Duration": ("@billedDuration", _plain),
    "Init Duration": ("@initDuration", _plain),
    "Memory Size": ("@memorySize", _bytes),
    "Max Memory Used": ("@maxMemoryUsed", _bytes),
}


def _lambda_fields(message: str) -> dict[str, Value]:
    kind, _, rest = message.partition(" RequestId: ")
    fields: dict[str, Value] = {
        "@type": kind,
        "@requestId": rest.split(maxsplit=1)[0] if rest.strip() else None,
    }
    if kind == "REPORT":
        parts = (part.strip().partition(": ")[::2] for part in rest.split("\t"))
        fields.update(starmap(_figure, ((k, v) for k, v in parts if k in _REPORT)))
    return fields


def _figure(label: str, figure: str) -> tuple[str, Value]:
    field, read = _REPORT[label]
    return field, read(figure)
