"""Which calls belong to which firing of a schedule.

Scheduler makes a call at least once, within a minute of its time, and tries again after a failure: so calls that come
on time are taken first, the earliest for each time; of the others, one that follows a failure is its retry, one that
comes in the time of a firing that has its call already repeats it, and one that comes later is late.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from log_audit.schedule import Schedule, firing_times
from log_audit.window import Window

TOLERANCE = timedelta(minutes=1)  # Scheduler makes a call within the minute of its time, not at its second 0

PHASES = 3  # how many of a rate's calls are tried as the beginning of its count

Instant = Callable[["Firing"], datetime]
Matched = tuple[list["Firing"], list["Call"]]


@dataclass(frozen=True)
class Call:
    """A call that Scheduler made, as CloudTrail recorded it.

    :param time: ``eventTime``, aware
    :param role: the ``userName`` of the session's issuer, empty where the record has no session context
    :param source: ``eventSource``
    :param event: ``eventName``
    :param error_code: empty if the call succeeded
    :param error_message: may be empty even if it failed; it is AWS's text and not masked
    :param started_by: ``requestParameters.startedBy`` of ECS RunTask, else empty
    :param event_id: ``eventID``, by which a record that was delivered twice is counted once
    """

    time: datetime
    role: str
    source: str
    event: str
    error_code: str = ""
    error_message: str = ""
    started_by: str = ""
    event_id: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error_code)


@dataclass(eq=False)
class Firing:
    """A time at which a schedule should fire, and the calls that it made for it, in order.

    :param opens: no call for it comes earlier
    :param closes: a call that comes then or later is late
    """

    time: datetime
    opens: datetime
    closes: datetime
    calls: list[Call] = field(default_factory=list)

    @classmethod
    def due(cls, time: datetime, flexible: timedelta) -> Firing:
        # Whether Scheduler heeds the seconds of a rate's start is not documented: either way it is within the minute.
        return cls(time, time.replace(second=0, microsecond=0), time + flexible + TOLERANCE)

    @property
    def missing(self) -> bool:
        return not self.calls

    @property
    def succeeded(self) -> bool:
        return any(not call.failed for call in self.calls)

    @property
    def failed(self) -> bool:
        return bool(self.calls) and not self.succeeded

    @property
    def late(self) -> bool:
        return self.succeeded and self.calls[0].time >= self.closes

    @property
    def retried(self) -> bool:
        return self.succeeded and self.calls[0].failed

    @property
    def repeated(self) -> bool:
        return sum(not call.failed for call in self.calls) > 1


def firings_within(
    schedule: Schedule, span: Window, calls: Sequence[Call]
) -> tuple[list[Firing], list[Call], list[str]]:
    """The firings of a window and whose calls they had.

    Where AWS leaves open from when a rate counts, it is taken to count as its calls agree with best.

    :param calls: the schedule's own calls, in order of time
    :returns: the firings with their calls, the calls that belong to none of them, and sentences for people
    :raises ScheduleError: the expression or the time zone is not understood
    """
    first = best = _match(schedule, firing_times(schedule, span), calls)
    if schedule.drifts and _amiss(first):
        for anchor, flexible in _phases(schedule, calls):
            other = _match(replace(schedule, flexible=flexible), firing_times(schedule, span, anchor), calls)
            best = min(best, other, key=_amiss)
    if best is first:
        return *best, []
    note = "AWS leaves open from when a rate counts after a change. It is counted as its calls agree with best"
    return *best, [f"{note}; counted from its creation, {_amiss(first)} of its times would be missing or late."]


def _phases(schedule: Schedule, calls: Sequence[Call]) -> Iterator[tuple[datetime, timedelta]]:
    """From when a rate may count, and how long after each of its times a call may then come.

    It may count from its last change. Else from one of its calls: of that it is only known that the time was before
    it, by the flexible time window and a minute at most.
    """
    yield schedule.modified, schedule.flexible
    blur = schedule.flexible + TOLERANCE
    for call in calls[:PHASES]:
        yield call.time - blur, schedule.flexible + blur


def _amiss(matched: Matched) -> int:
    return sum(firing.missing or firing.late for firing in matched[0])


def _match(schedule: Schedule, times: Iterable[datetime], calls: Iterable[Call]) -> Matched:
    """Give each call to one firing at most; also return the calls that belong to none."""
    firings = [Firing.due(time, schedule.flexible) for time in times]
    rest = _take_punctual(firings, calls)
    return firings, _take_later(firings, rest, schedule)


def _take_punctual(firings: Sequence[Firing], calls: Iterable[Call]) -> list[Call]:
    """Give each firing the earliest call in its time, and return the others."""
    waiting, rest = deque(calls), []
    for firing in firings:
        while waiting and waiting[0].time < firing.opens:
            rest.append(waiting.popleft())
        if waiting and waiting[0].time < firing.closes:
            firing.calls.append(waiting.popleft())
    return [*rest, *waiting]


def _take_later(firings: Sequence[Firing], rest: Iterable[Call], schedule: Schedule) -> list[Call]:
    """Give retries, repetitions and late calls to their firings, and return what remains."""
    failed = sorted((firing for firing in firings if firing.failed and schedule.retries), key=_called)
    absent = [firing for firing in firings if firing.missing]
    strays = []
    for call in rest:
        firing = (
            _latest(failed, _called, call, schedule)
            or _repeated_by(call, firings)
            or _latest(absent, _closes, call, schedule)
        )
        if firing is None:
            strays.append(call)
            continue
        _settle(firing, call, failed, absent)
        if firing.failed and len(firing.calls) == 1 and schedule.retries:
            insort(failed, firing, key=_called)
    return strays


def _latest(queue: list[Firing], since: Instant, call: Call, schedule: Schedule) -> Firing | None:
    """The latest firing that a call can be for: of several that wait, most likely the one that waits least long."""
    before = bisect_right(queue, call.time, key=since)
    if not before or call.time > queue[before - 1].time + schedule.max_age:
        return None
    return queue[before - 1]


def _repeated_by(call: Call, firings: Sequence[Firing]) -> Firing | None:
    """The firing in whose time a call comes that is there already: it makes up for no other."""
    before = bisect_right(firings, call.time, key=_opens)
    if not before or firings[before - 1].missing or call.time >= firings[before - 1].closes:
        return None
    return firings[before - 1]


def _settle(firing: Firing, call: Call, failed: list[Firing], absent: list[Firing]) -> None:
    """Add the call, and let the firing wait no more for what it now has."""
    if firing.missing:
        absent.remove(firing)
    elif not call.failed and firing in failed:
        failed.remove(firing)
    firing.calls.append(call)


def _called(firing: Firing) -> datetime:
    return firing.calls[0].time


def _closes(firing: Firing) -> datetime:
    return firing.closes


def _opens(firing: Firing) -> datetime:
    return firing.opens
