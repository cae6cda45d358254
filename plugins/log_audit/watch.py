"""What is remembered of a check between runs, and what follows from it: which window to look at, what to say.

One record per check, replaced as a whole so that it never tells half a story, and kept by the alert task alone; only
its first watermark, where the very first look begins, is set by the plan:

- ``watermark``: up to which arrival time the check has looked and its alert was accepted;
- ``incident``: what people have been told of a condition that goes on;
- ``outbox``: the window whose alert is being sent. While it stands, that window is planned again as it was: after
  an unknown outcome the channel is read back for exactly that alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from log_audit.findings import Findings
from log_audit.window import Window, from_ms, iso

Kind = Literal["opened", "update", "recovered", "notice", "found"]

SLOW_PACE = timedelta(hours=1)
JUMP = 10  # a count that grew so many times is told at once


@dataclass(frozen=True)
class Incident:
    """A condition that goes on, and what people know of it.

    :param since: start of its first window, epoch ms
    :param until: end of its last window with findings, epoch ms
    :param threads: channel to the ``ts`` of the message that opened it
    :param total: findings of all its windows
    :param untold: findings of the windows since the last message
    :param told_at: end of the window of the last message, epoch ms
    :param told_rate: findings a minute in that window
    :param link: to the message that opened it
    """

    since: int
    until: int
    threads: dict[str, str]
    total: int
    untold: int
    told_at: int
    told_rate: float
    link: str = ""


@dataclass(frozen=True)
class Watch:
    """The record of one check."""

    watermark: int | None = None
    incident: Incident | None = None
    outbox: tuple[int, int] | None = None
    sent: dict[str, str] = field(default_factory=dict)  # channel to ts, of the alert in the outbox
    missing: tuple[str, ...] = ()  # log groups that people have been told are missing

    @classmethod
    def of(cls, value: Mapping[str, Any] | None) -> Watch:
        if not value:
            return cls()
        incident, outbox = value.get("incident"), value.get("outbox")
        return cls(
            watermark=value.get("watermark"),
            incident=Incident(**incident) if incident else None,
            outbox=(outbox[0], outbox[1]) if outbox else None,
            sent=dict(value.get("sent", {})),
            missing=tuple(value.get("missing", ())),
        )

    def to_json(self) -> dict[str, Any]:
        known = {key: value for key, value in asdict(self).items() if value not in (None, {}, ())}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}

    def sending(self, findings: Findings) -> Watch:
        """Stored before the first message of a window's alert is sent."""
        return replace(self, outbox=(findings.start, findings.end), sent=self._sent_of(findings))

    def accepted(self, channel: str, ts: str) -> Watch:
        """Stored after each channel that took it."""
        return replace(self, sent={**self.sent, channel: ts})

    def moved(self, channel: str, ts: str) -> Watch:
        """Stored when a thread's first message had been deleted: a new one stands in its place."""
        if self.incident is None:
            return self
        return replace(self, incident=replace(self.incident, threads={**self.incident.threads, channel: ts}))

    def _sent_of(self, findings: Findings) -> dict[str, str]:
        return self.sent if self.outbox == (findings.start, findings.end) else {}


@dataclass(frozen=True)
class Plan:
    """The window to look at, and the time before it that will never be looked at."""

    window: Window
    given_up: Window | None = None


@dataclass(frozen=True)
class Say:
    """What to tell about a window.

    :param in_thread: answer the incident's own message
    :param incident: the incident that the findings belong to, with this window counted in
    """

    kind: Kind
    in_thread: bool
    incident: Incident | None
    told_missing: tuple[str, ...] = ()


def plan_window(watch: Watch, interval: Window, settle: timedelta, catch_up: timedelta) -> Plan | None:
    """What a scheduled run looks at: everything from the watermark to the interval's end, less ``settle``.

    :param interval: the run's data interval
    :param settle: how long events may take to become visible to queries after their arrival
    :param catch_up: the longest span that one run covers
    :returns: None when the watermark is there already
    """
    if watch.outbox:
        return Plan(Window(from_ms(watch.outbox[0]), from_ms(watch.outbox[1])))
    end = interval.end - settle
    start = interval.start - settle if watch.watermark is None else from_ms(watch.watermark)
    if start >= end:
        return None
    if end - start <= catch_up:
        return Plan(Window(start, end))
    return Plan(Window(end - catch_up, end), given_up=Window(start, end - catch_up))


def what_to_say(watch: Watch, findings: Findings, pace: timedelta = SLOW_PACE, *, incidents: bool = True) -> Say | None:
    """What to tell about a window, given what people know; None for nothing.

    :param incidents: whether windows follow each other so that a condition can go on; else each stands for itself
    """
    if findings.total and not incidents:
        return Say("found", in_thread=False, incident=None, told_missing=tuple(sorted(findings.missing)))
    if findings.total:
        return _about_findings(watch.incident, findings, pace)
    missing = tuple(sorted(findings.missing))
    if watch.incident and not missing:
        return Say("recovered", in_thread=True, incident=watch.incident)
    # An incident whose log group has gone has not recovered: nobody can look.
    news = set(missing) - set(watch.missing)
    if news or any(note.startswith(GIVEN_UP) for note in findings.notes):
        return Say("notice", in_thread=watch.incident is not None, incident=watch.incident, told_missing=missing)
    return None


def _about_findings(incident: Incident | None, findings: Findings, pace: timedelta) -> Say | None:
    missing = tuple(sorted(findings.missing))
    if incident is None:
        opened = Incident(findings.start, findings.end, {}, findings.total, 0, findings.end, rate(findings))
        return Say("opened", in_thread=False, incident=opened, told_missing=missing)
    grown = counted_in(incident, findings)
    due = findings.end - incident.told_at >= pace // timedelta(milliseconds=1)
    if due or rate(findings) >= JUMP * incident.told_rate:
        return Say("update", in_thread=True, incident=grown, told_missing=missing)
    return None


def counted_in(incident: Incident, findings: Findings) -> Incident:
    """The incident with one more window's findings, not yet told."""
    return replace(
        incident,
        until=findings.end,
        total=incident.total + findings.total,
        untold=incident.untold + findings.total,
    )


def settled(watch: Watch, findings: Findings, said: Say | None, link: str = "") -> Watch:
    """The record after a window is dealt with: its alert accepted by every channel, or nothing to say.

    :param link: to the message of this window
    """
    incident = watch.incident
    if said is None:
        incident = counted_in(incident, findings) if incident and findings.total else incident
    elif said.kind == "opened" and said.incident:
        incident = replace(said.incident, threads=dict(watch.sent), link=link)
    elif said.kind == "update" and said.incident:
        threads = watch.incident.threads if watch.incident else {}
        incident = replace(said.incident, threads=threads, untold=0, told_at=findings.end, told_rate=rate(findings))
    elif said.kind == "recovered":
        incident = None
    missing = said.told_missing if said else tuple(name for name in watch.missing if name in findings.missing)
    return Watch(watermark=findings.end, incident=incident, missing=missing)


def rate(findings: Findings) -> float:
    """Findings a minute, since windows differ in length."""
    return findings.total / ((findings.end - findings.start) / 60_000)


GIVEN_UP = "Not looked at: "


def given_up_note(span: Window, catch_up: timedelta) -> str:
    """For the findings of a run whose watermark lies further back than it may catch up."""
    return (
        f"{GIVEN_UP}what arrived from {iso(span.start)} to {iso(span.end)}. The check had not run for longer than "
        f"{catch_up}, the most that a run catches up; backfill this DAG for that time."
    )


def outbox_key(scope: str, findings: Findings) -> str:
    """What a message's metadata says it is about: the same for every attempt to send it."""
    return f"{record_key(scope, findings)}/{findings.start}-{findings.end}"


def record_key(scope: str, findings: Findings) -> str:
    """Where the record of these findings is kept: that of their check, or one of their own by key and digest."""
    parts = (check_key(scope, findings.target, findings.query), findings.key, findings.digest[:16])
    return "/".join(filter(None, parts))


def check_key(scope: str, target: str, query: str) -> str:
    """Where a check's record is kept. ``scope`` keeps the pipelines apart, such as regular runs and the late sweep."""
    return f"{scope}/{target}/{query}"
