"""Whose call is it? CloudTrail names no schedule.

A call is a schedule's own if it was made with its role, to the service and the action of its target, and no other
schedule can have made it. Scheduler starts ECS tasks with the schedule's name in ``startedBy``, which tells those apart
that share a role.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from log_audit.schedule import Schedule, ScheduleError, firing_times
from log_audit.schedule_match import Call
from log_audit.schedule_target import Observable, observed_as
from log_audit.window import Window

STARTED_BY = "chronos-schedule/"


@dataclass
class Share:
    """What of the calls is a schedule's.

    :param observable: how its calls look; None where they cannot be seen
    :param why: the reason why they cannot
    :param own: the calls that no other schedule can have made, in order
    :param contested: the calls that ``rivals``, by title, can have made as well
    :param nameless: how many calls without a role may be its own or another's
    """

    observable: Observable | None
    why: str
    own: list[Call] = field(default_factory=list)
    contested: list[Call] = field(default_factory=list)
    rivals: set[str] = field(default_factory=set)
    nameless: int = 0


def share_out(schedules: Sequence[Schedule], calls: Iterable[Call], read: Window) -> list[Share]:
    """What is whose, in the order of the schedules.

    :param calls: in order of time
    :param read: the span in which the calls were made
    """
    shares = [Share(*observed_as(schedule)) for schedule in schedules]
    makers = defaultdict(list)
    for number, share in enumerate(shares):
        if share.observable:
            makers[share.observable.source, share.observable.event.lower()].append(number)
    takers: dict[tuple[str, ...], list[int]] = {}
    for call in calls:
        kind = (call.source, call.event.lower())
        maker = (*kind, call.role, call.started_by)
        if maker not in takers:
            takers[maker] = _takers(call, makers[kind], schedules, read)
        _hand_out(call, takers[maker], schedules, shares)
    return shares


def _takers(call: Call, makers: Iterable[int], schedules: Sequence[Schedule], read: Window) -> list[int]:
    """The schedules that can have made a call; one whose record names no role can be that of any role."""
    found = [number for number in makers if call.role in ("", schedules[number].role)]
    if call.started_by.startswith(STARTED_BY):
        found = [number for number in found if call.started_by == STARTED_BY + schedules[number].name]
    return found if len(found) < 2 else [number for number in found if _may_fire(schedules[number], read)]


def _hand_out(call: Call, takers: Sequence[int], schedules: Sequence[Schedule], shares: Sequence[Share]) -> None:
    if len(takers) == 1:
        shares[takers[0]].own.append(call)
        return
    for number in takers:
        if call.role:
            shares[number].contested.append(call)
            shares[number].rivals.update(schedules[other].title for other in takers if other != number)
        else:
            shares[number].nameless += 1


def _may_fire(schedule: Schedule, read: Window) -> bool:
    """Whether a schedule can have made a call in what was read; False only where that is certain."""
    if schedule.created >= read.end:
        return False
    if schedule.modified > read.start:
        return True  # whatever it is now, it may have been another before
    if not schedule.enabled or schedule.drifts:
        return schedule.enabled
    try:
        return bool(firing_times(schedule, Window(read.start - schedule.max_age, read.end)))
    except ScheduleError:
        return True
