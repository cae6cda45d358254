"""Findings, schedules and costs, out of what the asset events say of each look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from log_audit.page.model import Event
from log_audit.query_file import SEVERITIES
from log_audit.window import Zone, from_ms, key_of

LISTED = (
    *("query", "target", "title", "severity", "start", "end", "total", "console", "slack", "key"),
    *("notes", "said", "bytes_scanned"),
)
MINIMUM = 10_000_000  # bytes: Athena charges no query for less
GB, TB = 10**9, 10**12


@dataclass(frozen=True)
class Filter:
    """What to list; an empty one lists all."""

    severity: str = ""
    query: str = ""
    target: str = ""
    text: str = ""

    def takes(self, look: Mapping[str, Any]) -> bool:
        wanted = {"severity": self.severity, "query": self.query, "target": self.target}
        if any(value and look.get(name) != value for name, value in wanted.items()):
            return False
        return not self.text or self.text.lower() in str(look).lower()


def findings(events: Iterable[Event], wanted: Filter) -> list[dict[str, Any]]:
    """One entry for each look that found something, the newest first, without its sample."""
    return [
        {
            **{name: look[name] for name in LISTED if look.get(name)},
            **{"id": f"{event.id}-{number}", "at": event.at, "asset": event.asset, "dag": event.dag, "run": event.run},
        }
        for event in sorted(events, key=lambda event: (-event.at, -event.id))
        for number, look in enumerate(event.extra.get("looks", ()))
        if look["total"] and wanted.takes(look)
    ]


def by_day(found: Iterable[Mapping[str, Any]], zone: Zone) -> dict[str, dict[str, int]]:
    """How many alerts there were on each business day, by severity: a flood of events in one window counts once."""
    days: dict[str, Counter[str]] = {}
    for entry in found:
        day = key_of(from_ms(entry["start"]), "day", zone)
        days.setdefault(day, Counter())[entry.get("severity", SEVERITIES[0])] += 1
    return {day: dict(counts) for day, counts in sorted(days.items())}


def choices(found: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What a list can be filtered by."""
    return {name: sorted({str(entry.get(name, "")) for entry in found} - {""}) for name in ("query", "target")}


SCHEDULE_STATES = ("failed", "missing", "late", "not observable", "ok", "nothing expected")


def schedules(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Each schedule on each day, by the latest audit of that day; what is wrong first, then the newest."""
    latest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: event.at):
        for look in event.extra.get("looks", ()):
            for entry in look.get("detail", ()):
                row = {**entry, "day": event.key, "target": look["target"], "dag": event.dag, "run": event.run}
                latest[event.key, look["target"], entry["schedule"]] = row
    by_name = sorted(latest.values(), key=lambda row: (row["target"], row["schedule"]))
    newest = sorted(by_name, key=lambda row: row["day"], reverse=True)
    return sorted(newest, key=lambda row: _rank(row["status"]))


def _rank(status: str) -> int:
    return SCHEDULE_STATES.index(status) if status in SCHEDULE_STATES else 0


@dataclass(frozen=True)
class Price:
    """US dollars for what AWS reads.

    https://aws.amazon.com/athena/pricing/, https://aws.amazon.com/cloudwatch/pricing/
    """

    athena_tb: float
    insights_gb: float

    def of(self, engine: str, scanned: int) -> float:
        """Of one query."""
        if engine == "athena":
            return max(scanned, MINIMUM) / TB * self.athena_tb
        return scanned / GB * self.insights_gb


def costs(
    scans: Iterable[tuple[str, int, Mapping[str, int]]], price: Price, zone: Zone
) -> tuple[list[str], list[dict[str, Any]]]:
    """The business days, and for each query its bytes and US dollars, in all and by day; the dearest first.

    :param scans: of each event its asset, its time, and the bytes by target and query
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for engine, day, name, scanned in _scans(scans, zone):
        row = rows.setdefault((engine, name), {"engine": engine, "name": name, "bytes": 0, "usd": 0.0, "days": {}})
        usd = price.of(engine, scanned)
        row["bytes"] += scanned
        row["usd"] += usd
        bytes_before, usd_before = row["days"].get(day, (0, 0.0))
        row["days"][day] = (bytes_before + scanned, usd_before + usd)
    days = sorted({day for row in rows.values() for day in row["days"]})
    return days, sorted(rows.values(), key=lambda row: (-row["usd"], row["name"]))


def _scans(scans: Iterable[tuple[str, int, Mapping[str, int]]], zone: Zone) -> Iterator[tuple[str, str, str, int]]:
    days: dict[int, str] = {}  # by quarter of an hour, of which zones' days are made
    for asset, at, scanned in scans:
        quarter = at // 900_000
        if quarter not in days:
            days[quarter] = key_of(from_ms(at), "day", zone)
        engine = "insights" if asset.startswith("insights") else "athena"
        for name, number in (scanned or {}).items():
            yield engine, days[quarter], name, number
