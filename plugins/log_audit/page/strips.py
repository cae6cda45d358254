"""The last hours of each check as a strip: what was looked at and clean, what was found, what nobody looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from log_audit.page.model import Event
from log_audit.watch import Watch

GRACE = 12 * 60_000  # a run of five minutes looks at what is two minutes old, and takes a while


@dataclass(frozen=True)
class Span:
    """A window that a check has looked at, or should have; epoch ms."""

    start: int
    end: int
    state: str
    total: int = 0
    run: str = ""


def strips(events: Iterable[Event], failed: Mapping[str, Sequence[Span]], start: int, now: int) -> dict[str, Any]:
    """For each check, by target and query: its spans, joined where they are alike, and how many windows there were.

    What a later run has covered does not count as failed: a check goes on from its watermark.

    :param failed: windows of looks that failed, by the same names
    """
    looked: dict[str, list[Span]] = {name: [] for name in failed}
    for event in events:
        for look in event.extra.get("looks", ()):
            state = "found" if look["total"] else "clean"
            span = Span(max(look["start"], start), min(look["end"], now), state, look["total"], event.run)
            if span.start < span.end:
                looked.setdefault(f"{look['target']}/{look['query']}", []).append(span)
    return {name: _strip(spans, failed.get(name, ()), start, now) for name, spans in sorted(looked.items())}


def _strip(looked: Sequence[Span], failed: Sequence[Span], start: int, now: int) -> dict[str, Any]:
    spans = _with_gaps(sorted(looked, key=lambda span: (span.start, span.end)), failed, start, now)
    return {
        "spans": [[s.state, s.start, s.end, s.total, s.run] for s in _joined(spans)],
        "windows": {state: sum(span.state == state for span in looked) for state in ("clean", "found")},
        "failed": sum(span.state == "failed" for span in spans),
        "gap": sum(span.end - span.start for span in spans if span.state == "gap"),
        "total": sum(span.total for span in looked),
    }


def _with_gaps(looked: Sequence[Span], failed: Sequence[Span], start: int, now: int) -> list[Span]:
    """The spans one after the other, what overlaps cut, and what lies between them named."""
    spans: list[Span] = []
    upto = start
    for span in looked:
        if span.start > upto:
            spans += _between(upto, span.start, failed, first=not spans)
        if span.end > upto:
            spans.append(Span(max(span.start, upto), span.end, span.state, span.total, span.run))
            upto = span.end
    if now - upto > GRACE:
        spans += _between(upto, now - GRACE, failed, first=not spans)
        upto = now - GRACE
    return [*spans, Span(upto, now, "waiting")]


def _between(start: int, end: int, failed: Sequence[Span], *, first: bool) -> list[Span]:
    """What nobody has looked at: because a look failed, or nobody tried."""
    spans: list[Span] = []
    upto = start
    for span in sorted(failed, key=lambda span: span.start):
        left, right = max(span.start, upto), min(span.end, end)
        if left >= right:
            continue
        if left > upto:
            spans.append(Span(upto, left, "gap"))
        spans.append(Span(left, right, "failed", 0, span.run))
        upto = right
    if upto < end:
        # Before the first window that is known, the check may not have been there.
        spans.append(Span(upto, end, "unknown" if first and not spans else "gap"))
    return spans


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Neighbours that are alike as one: few shapes to draw, however many windows."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        alike = last and last.end == span.start and last.state == span.state and span.state != "found"
        if alike and last:
            joined[-1] = Span(last.start, span.end, span.state, 0, last.run if span.state == "failed" else "")
        else:
            joined.append(span)
    return joined


def incidents(records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conditions that go on, the newest first.

    :param records: of the checks of regular runs, by their keys: ``regular/<target>/<query>``
    """
    found = []
    for key, record in records.items():
        scope, target, query = key.split("/", 2)
        incident = Watch.of(record).incident
        if scope == "regular" and incident:
            found.append(
                {
                    **{"target": target, "query": query, "since": incident.since, "until": incident.until},
                    **{"total": incident.total, "untold": incident.untold, "slack": incident.link},
                    "channels": list(incident.threads),
                }
            )
    return sorted(found, key=lambda entry: -entry["since"])
