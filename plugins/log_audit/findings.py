"""What one look found: the record that an operator returns, the alert task reads, and the asset event carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from log_audit.window import Window, from_ms

SAMPLE_ROWS = 10
CELL = 300  # characters of a cell that people are shown
EVENT_BYTES = 60_000  # of what an asset event says, as JSON: Airflow keeps every event, and pages of them are read
SCHEDULE = ("schedule", "status", "expected", "seen", "failed", "missing", "late")  # what a table tells of each
TEXTS = ("description", "runbook", "false_positives")  # which the query file holds


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
    :param key: the partition key of the window, where a run looks at one key alone
    :param digest: stands for all the rows: the same findings of the same window have the same
    :param queue_ms: how long the queries waited at AWS, milliseconds, where AWS says so
    :param engine_ms: how long they ran
    :param detail: what was looked at one by one, where the rows tell of what is wrong alone
    :param said: what is the matter, in words, where counting findings does not say it
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
    key: str = ""
    digest: str = ""
    queue_ms: int | None = None
    engine_ms: int | None = None
    said: str = ""
    detail: list[dict[str, Any]] = field(default_factory=list)

    @property
    def window(self) -> Window:
        return Window(from_ms(self.start), from_ms(self.end))

    @classmethod
    def of(cls, value: Findings | Mapping[str, Any]) -> Findings:
        return value if isinstance(value, Findings) else cls(**value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def name(self) -> str:
        """What it is called among those of other accounts and regions."""
        return f"{self.target}/{self.query}"

    def summary(self, most: int = SAMPLE_ROWS) -> dict[str, Any]:
        """For the asset event: of a clean look only what it covered and cost; else all but the query file's texts.

        :param most: rows
        """
        said = {key: value for key, value in asdict(self).items() if value or key in ("total", "bytes_scanned")}
        left_out = {*TEXTS} if self.total else {*TEXTS, "title", "severity", "ids", "console", "digest"}
        said = {key: value for key, value in said.items() if key not in left_out}
        if self.detail:
            said["detail"] = [_brief(entry) for entry in self.detail]
        if len(self.rows) > most:
            said |= {"rows": self.rows[:most], "rows_left_out": len(self.rows) - most}
        return said


def event_extra(looks: Sequence[Findings], links: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """What the asset event of a run says of its looks: at most :data:`EVENT_BYTES`, and what it leaves out.

    The totals stand apart, so that a database can sum them up without reading the rest: ``found`` and ``scanned``, by
    target and query.

    :param links: to the message in which people were told, by :attr:`Findings.name`
    """
    links = links or {}
    for most in (SAMPLE_ROWS, 5, 2, 1, 0):
        extra = {
            **more,
            "total": sum(look.total for look in looks),
            "found": {look.name: look.total for look in looks if look.total},
            "scanned": {look.name: look.bytes_scanned for look in looks if look.bytes_scanned},
            "looks": [
                {**look.summary(most), **({"slack": links[look.name]} if look.name in links else {})} for look in looks
            ],
        }
        if _size(extra) <= EVENT_BYTES:
            return extra
    return _cut_down(extra)


def _cut_down(extra: dict[str, Any]) -> dict[str, Any]:
    """As many looks as fit, first those that have found something; no list of what was looked at one by one."""
    looks = [{**look, "detail": []} for look in sorted(extra["looks"], key=lambda look: not look["total"])]
    kept: list[dict[str, Any]] = []
    room = EVENT_BYTES - _size({**extra, "looks": []}) - 100
    for look in looks:
        room -= _size(look) + 2
        if room < 0:
            break
        kept.append(look)
    return {**extra, "looks": kept, "looks_left_out": len(looks) - len(kept)}


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was looked at: how many of each, and why it is not as it should be."""
    said = {key: entry[key] for key in SCHEDULE if key in entry}
    notes = entry.get("notes") or []
    return said | ({"note": cut(notes[0])} if notes and entry.get("status") != "ok" else {})


def _size(value: Any) -> int:
    return len(json.dumps(value))


def digest_of(several: Sequence[Findings]) -> Findings:
    """What stands for several findings of one window that are told together."""
    first = several[0]
    together = hashlib.sha256("".join(findings.digest for findings in several).encode()).hexdigest()
    total = sum(findings.total for findings in several)
    return replace(first, query="digest", title="Digest", total=total, rows=[], digest=together, notes=[])


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
