"""What one look found: the record that an operator returns, the alert task reads, and the asset event carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from log_audit.window import Window, from_ms

SAMPLE_ROWS = 10
CELL = 300  # characters of a cell that people are shown


@dataclass(frozen=True)
class Findings:
    """The outcome of one query over one window, JSON-safe and already masked.

    :param query: the query file's name
    :param target: the account and region of the settings
    :param start: of the window, epoch ms, inclusive
    :param end: of the window, epoch ms, exclusive
    :param total: how many there were, however many are shown
    :param rows: a bounded, masked sample
    :param bytes_scanned: what AWS charges for
    :param ids: AWS's ids of the queries that were run
    :param console: a link that opens the same query over the same window
    :param notes: what the reader must know: rows cut off, log groups missing, time not looked at
    :param missing: log groups that do not exist
    """

    query: str
    target: str
    title: str
    severity: str
    start: int
    end: int
    total: int
    rows: list[dict[str, str]]
    bytes_scanned: int = 0
    ids: list[str] = field(default_factory=list)
    console: str = ""
    description: str = ""
    runbook: str = ""
    false_positives: str = ""
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def window(self) -> Window:
        return Window(from_ms(self.start), from_ms(self.end))

    @classmethod
    def of(cls, value: Findings | Mapping[str, Any]) -> Findings:
        return value if isinstance(value, Findings) else cls(**value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """For the asset event: all but the texts that the query file holds; rows only where there are findings."""
        return {k: v for k, v in asdict(self).items() if k not in {"description", "runbook", "false_positives"}}


def sample(rows: Iterable[Mapping[str, str]], most: int = SAMPLE_ROWS) -> list[dict[str, str]]:
    """The first rows, without what only machines read, long cells cut."""
    shown: list[dict[str, str]] = []
    for row in rows:
        if len(shown) == most:
            break
        shown.append({name: cut(value) for name, value in row.items() if name != "@ptr"})
    return shown


def cut(text: str, width: int = CELL) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def count_rows(rows: Sequence[Mapping[str, str]], matched: float) -> int:
    """How many findings a query has: its matching events, or the rows of a ``stats`` query.

    Insights gives each event's row an ``@ptr``, and a row of ``stats`` none.
    """
    if rows and "@ptr" not in rows[0]:
        return len(rows)
    return int(matched) if rows else 0
