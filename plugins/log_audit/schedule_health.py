"""Did a schedule fire when it should have? Its expected times against the calls that CloudTrail has recorded.

What cannot be told apart, or leaves no record, is said to be so and never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from log_audit.schedule import Schedule, ScheduleError, expected_part
from log_audit.schedule_match import Call, Firing, firings_within
from log_audit.schedule_share import Share, share_out
from log_audit.schedule_target import is_universal
from log_audit.window import Window, iso, local_time, to_ms

SLACK = timedelta(hours=1)  # how far past a window's end calls are read, unless the caller says otherwise
TOLD = 5  # times in a sentence
SHOWN = 20  # entries of a list in JSON

Status = Literal["ok", "failed", "missing", "late", "not observable", "nothing expected"]


@dataclass(frozen=True)
class Failure:
    """A firing whose calls all failed, by the last of them.

    :param due: when it should have fired; None for a call at a time when none was expected
    :param message: AWS's text, not masked
    """

    due: datetime | None
    made: datetime
    tries: int
    code: str
    message: str
    event_id: str

    @classmethod
    def of(cls, due: datetime | None, calls: Sequence[Call]) -> Failure:
        last = calls[-1]
        return cls(due, last.time, len(calls), last.error_code, last.error_message, last.event_id)


@dataclass(frozen=True)
class Health:
    """What became of a schedule in a window. All instants are in UTC.

    :param schedule: its group and name
    :param call: how its calls look in CloudTrail; empty where they cannot be seen
    :param notes: sentences for people; the first says why the status is what it is
    :param expected: when it should have fired; each of these was seen, failed, or is missing
    :param seen: how many of them succeeded: at once, when tried again, or late
    :param late: when they should have been made, and when they were
    """

    schedule: str
    arn: str
    role: str
    call: str
    status: Status
    notes: tuple[str, ...]
    expected: tuple[datetime, ...] = ()
    seen: int = 0
    failed: tuple[Failure, ...] = ()
    missing: tuple[datetime, ...] = ()
    late: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def is_finding(self) -> bool:
        return self.status in ("failed", "missing")

    def to_json(self, most: int = SHOWN) -> dict[str, Any]:
        """JSON-safe: how many there are of each, and the first of them; ISO times in UTC."""
        return {
            **{name: getattr(self, name) for name in ("schedule", "arn", "role", "call", "status", "seen")},
            **{name: len(getattr(self, name)) for name in ("expected", "failed", "missing", "late")},
            "notes": list(self.notes),
            "expected_times": [iso(time) for time in self.expected[:most]],
            "failures": [
                {**vars(failure), "due": failure.due and iso(failure.due), "made": iso(failure.made)}
                for failure in self.failed[:most]
            ],
            "missing_times": [iso(time) for time in self.missing[:most]],
            "late_times": [{"due": iso(due), "made": iso(made)} for due, made in self.late[:most]],
        }


def judge(
    schedules: Sequence[Schedule], calls: Iterable[Call], window: Window, read: Window | None = None
) -> list[Health]:
    """What became of each schedule in a window, in the order given.

    A firing belongs to the window in which its time lies, whenever its call was made. So calls must be read beyond the
    window's end: a firing whose call may still come in time after what was read is not judged, and a note says so.
    Calls from before the window, where they are read as well, are matched with the firings of that time, lest those
    that a flexible time window delayed be taken for the first ones of this window.

    :param schedules: all of the account and region, or else it is not known which of them share a role
    :param calls: all that Scheduler made in that account and region in the span that was read, in any order
    :param read: the span that was read; by default from the window's start to :data:`SLACK` after its end
    """
    read = read or Window(window.start, window.end + SLACK)
    known = {call.event_id or number: call for number, call in enumerate(calls) if call.time in read}
    shares = share_out(schedules, sorted(known.values(), key=lambda call: call.time), read)
    return [_judge_one(schedule, share, window, read) for schedule, share in zip(schedules, shares, strict=True)]


def _judge_one(schedule: Schedule, share: Share, window: Window, read: Window) -> Health:
    if share.observable is None or share.rivals:
        return _report(schedule, share, "not observable", [share.why or _not_separable(schedule, share)])
    part, notes = expected_part(schedule, window)
    own = [call for call in share.own if call.time in window]
    if part is None:
        new = schedule.enabled and schedule.created >= window.end
        return _report(schedule, share, "nothing expected" if new else "not observable", notes, strays=own)
    known, _ = expected_part(schedule, Window(min(window.start, read.start), max(window.end, read.end)))
    try:
        firings, strays, told = firings_within(schedule, known or part, share.own)
    except ScheduleError as error:
        return _report(schedule, share, "not observable", [f"{error}."], strays=own)
    notes += told
    due = [firing for firing in firings if firing.time in window]
    judged = [firing for firing in due if not firing.missing or firing.closes <= read.end]
    if len(judged) < len(due):
        notes.append(f"{_count(len(due) - len(judged), 'call')} may still come after what was read: not judged.")
    return _report(schedule, share, "nothing expected", notes, judged, [call for call in strays if call.time in window])


# What is there to tell?


def _report(
    schedule: Schedule,
    share: Share,
    otherwise: Status,
    notes: Sequence[str],
    firings: Sequence[Firing] = (),
    strays: Sequence[Call] = (),
) -> Health:
    """The health that the firings show; ``otherwise`` if there are none. A call that failed counts whatever was due."""
    failed = [Failure.of(firing.time, firing.calls) for firing in firings if firing.failed]
    failed += [Failure.of(None, [call]) for call in _unmended(strays)]
    missing = tuple(firing.time for firing in firings if firing.missing)
    late = tuple((firing.time, firing.calls[0].time) for firing in firings if firing.late)
    health = Health(
        schedule.title,
        schedule.arn,
        schedule.role,
        str(share.observable or ""),
        "failed" if failed else "missing" if missing else "late" if late else "ok" if firings else otherwise,
        (),
        tuple(firing.time for firing in firings),
        sum(firing.succeeded for firing in firings),
        tuple(failed),
        missing,
        late,
    )
    told = [*_outcome(health, schedule, share), *notes, *_remarks(firings, strays, share)]
    return replace(health, notes=tuple(told or ["No call was due in this window."]))


def _unmended(strays: Sequence[Call]) -> list[Call]:
    """The calls that failed, of those that no firing claims, and that no later one made up for."""
    mended = max((call.time for call in strays if not call.failed), default=None)
    return [call for call in strays if call.failed and (mended is None or call.time > mended)]


def _not_separable(schedule: Schedule, share: Share) -> str:
    failed = _count(sum(call.failed for call in share.contested), "call")
    return (
        f"Its calls cannot be told from those of {', '.join(sorted(share.rivals))}: all call {share.observable} with "
        f"the role {schedule.role}, and CloudTrail names no schedule. Of {len(share.contested)} calls together "
        f"{failed} failed. Give each schedule a role of its own."
    )


def _outcome(health: Health, schedule: Schedule, share: Share) -> Iterator[str]:
    """Why the status is what it is, and where to look next."""
    of_all = f"of {len(health.expected)} expected calls"
    due = [failure.code for failure in health.failed if failure.due]
    other = [failure.code for failure in health.failed if not failure.due]
    if due:
        yield f"Failed: {len(due)} {of_all}, {_codes(due)}."
    if other:
        yield f"Failed: {_count(len(other), 'call')} that no expected time explains, {_codes(other)}."
    if health.missing:
        yield f"Missing: {len(health.missing)} {of_all}, {_times(health.missing, schedule)}."
        yield from _where_to_look(schedule, share)
    if health.late:
        yield f"Late: {len(health.late)} {of_all}, {_times([due for due, _ in health.late], schedule)}."
    if health.status == "ok":
        yield f"Made: {health.seen} {of_all}."


def _where_to_look(schedule: Schedule, share: Share) -> Iterator[str]:
    yield (
        f"Nothing is recorded if the role {schedule.role} is gone or does not trust scheduler.amazonaws.com; see the "
        f"schedule's dead-letter queue, and TargetErrorCount and InvocationDroppedCount of the group {schedule.group}."
    )
    if not share.own and is_universal(schedule.target):
        yield f"If {share.observable} is a data event, trails leave it out, and nothing need be wrong."


def _remarks(firings: Sequence[Firing], strays: Sequence[Call], share: Share) -> Iterator[str]:
    """What is no fault of the schedule but should be known."""
    if retried := [firing for firing in firings if firing.retried]:
        codes = sorted({firing.calls[0].error_code for firing in retried})
        yield f"{_count(len(retried), 'call')} failed at first ({_listed(codes)}) and succeeded when tried again."
    if repeated := sum(firing.repeated for firing in firings):
        yield f"{_count(repeated, 'call')} came more than once; Scheduler promises at least one."
    if strays:
        failed = sum(call.failed for call in strays)
        yield f"{_count(len(strays), 'call')}, {failed} of them failed, came when none is known to have been due."
    if any(not call.role for call in share.own):
        yield "Some of its calls are recorded without a role; no other schedule can have made them."
    if share.nameless:
        yield f"{_count(share.nameless, 'call')} of the same kind are recorded without a role and may be its own."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _codes(codes: Iterable[str]) -> str:
    return _listed([f"{code} ({number})" for code, number in Counter(codes).most_common()])


def _times(times: Sequence[datetime], schedule: Schedule) -> str:
    return _listed([local_time(to_ms(time), schedule.time_zone) for time in times])


def _listed(things: Collection[str]) -> str:
    first = ", ".join(list(things)[:TOLD])
    return first if len(things) <= TOLD else f"{first} and {len(things) - TOLD} more"
