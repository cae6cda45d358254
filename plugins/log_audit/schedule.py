"""EventBridge Scheduler: when should a schedule have fired, as far as its present settings tell?

Whether it did is judged in schedule_health.py, and what its calls look like in CloudTrail stands in schedule_target.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from log_audit.errors import PermanentError
from log_audit.schedule_cron import Cron
from log_audit.window import Window, from_ms, instant_of, iso, to_ms, wall_time

EXPRESSION = re.compile(r"\s*(cron|rate|at)\s*\((.*)\)\s*")
RATE = re.compile(r"\s*([0-9]{1,9})\s+(minute|hour|day)s?\s*")
AT = re.compile(r"\s*([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\s*")
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
# What Scheduler does where the retry policy says nothing: it tries again for a day, 185 times at most.
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
MAX_EVENT_AGE = 86_400  # seconds
MAX_RETRIES = 185


class ScheduleError(PermanentError):
    """A schedule whose settings we cannot read, and so cannot tell when it should fire."""


@dataclass(frozen=True)
class Schedule:
    """What GetSchedule says of a schedule, as far as it matters here. All instants are aware, in UTC.

    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html

    :param expression: ``cron(…)``, ``rate(…)`` or ``at(…)``
    :param time_zone: the IANA zone in which cron and at are meant
    :param start: recurring schedules fire from then on; None if they always did
    :param end: recurring schedules fire before then; None if they go on
    :param flexible: how long after its time Scheduler may make the call; zero where the flexible time window is off
    :param max_age: for how long after its time Scheduler tries to make a call
    :param retries: how often Scheduler tries again after a failure
    :param target: the ARN of the target
    :param role: the name of the role with which Scheduler calls the target
    """

    group: str
    name: str
    arn: str
    expression: str
    time_zone: str
    start: datetime | None
    end: datetime | None
    state: str
    flexible: timedelta
    max_age: timedelta
    retries: int
    created: datetime
    modified: datetime
    target: str
    role: str

    @classmethod
    def of(cls, response: Mapping[str, Any]) -> Schedule:
        """From the answer of boto3's ``get_schedule``.

        :raises ScheduleError: something is missing, as from the entries of ListSchedules, or not what it should be
        """
        name = response.get("Name", "a schedule")
        try:
            return cls._of(response)
        except KeyError as error:
            raise ScheduleError(f"{name}: {error} is missing; ask GetSchedule for it") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ScheduleError(f"{name} is not as GetSchedule tells of schedules: {error}") from None

    @classmethod
    def _of(cls, response: Mapping[str, Any]) -> Schedule:
        target, flexible = response["Target"], response.get("FlexibleTimeWindow", {})
        minutes = flexible.get("MaximumWindowInMinutes", 0) if flexible.get("Mode") == "FLEXIBLE" else 0
        retry = target.get("RetryPolicy", {})
        return cls(
            group=response.get("GroupName", "default"),
            name=response["Name"],
            arn=response.get("Arn", ""),
            expression=response["ScheduleExpression"],
            time_zone=response.get("ScheduleExpressionTimezone", "UTC"),
            start=_utc(response.get("StartDate")),
            end=_utc(response.get("EndDate")),
            state=response["State"],
            flexible=timedelta(minutes=minutes),
            max_age=timedelta(seconds=retry.get("MaximumEventAgeInSeconds", MAX_EVENT_AGE)),
            retries=retry.get("MaximumRetryAttempts", MAX_RETRIES),
            created=from_ms(to_ms(response["CreationDate"])),
            modified=from_ms(to_ms(response.get("LastModificationDate", response["CreationDate"]))),
            target=target["Arn"],
            role=target["RoleArn"].rpartition("/")[2],
        )

    @property
    def title(self) -> str:
        """The group and the name, which tell it from all others of its account and region."""
        return f"{self.group}/{self.name}"

    @property
    def enabled(self) -> bool:
        return self.state == "ENABLED"

    @property
    def drifts(self) -> bool:
        """Whether AWS leaves open from when its times are counted: a rate without a start date.

        It fires at once when it is created and every so often from then on. Whether UpdateSchedule, or being enabled
        again, starts the count anew is not documented.
        """
        return self.start is None and self.expression.lstrip().startswith("rate")


def firing_times(schedule: Schedule, window: Window, anchor: datetime | None = None) -> list[datetime]:
    """The instants (UTC, in order) of a half-open window at which the expression and the dates let it fire.

    Clocks that change: a cron time that clocks skip does not come that day, and one that they repeat comes once, the
    first time. AWS says this of cron; of ``at`` it says nothing, and we take it to be the same. A rate of days is one
    of 24 hours each, whatever clocks do.

    Dates: a rate counts from its start date, else from its creation. AWS says that a schedule fires "on, or after" its
    start date and stops "on, or before" its end date: we expect it at the former and not at the latter. One-time
    schedules ignore both dates.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

    :param anchor: an aware instant from which a rate is counted, forwards and back, in place of the above
    :raises ScheduleError: the expression or the time zone is not understood; says what is wrong with it
    """
    try:
        wall_time(window.start, schedule.time_zone)  # an unknown zone is an error even of a rate, which needs none
        kind, inside = _parts(schedule.expression)
        if kind == "at":
            return _at_times(schedule, inside, window)
        span = _between_dates(schedule, window)
        if span is None:
            return []
        return _cron_times(schedule, inside, span) if kind == "cron" else _rate_times(schedule, inside, span, anchor)
    except (ValueError, KeyError, OSError) as error:  # the latter two: zoneinfo, about a zone that it does not know
        why = error if isinstance(error, ValueError) else f"there is no time zone {schedule.time_zone!r}"
        raise ScheduleError(f"{schedule.title}: {schedule.expression!r} cannot be read: {why}") from None


def expected_part(schedule: Schedule, window: Window) -> tuple[Window | None, list[str]]:
    """The part of a window in which its present settings are known to have held, and what to know about the rest.

    Scheduler keeps no history: what a schedule was before its last change, and whether it was enabled, cannot be asked.

    :returns: None instead of a window where nothing is known or nothing was there, and sentences for people
    """
    changed = f"was last changed at {iso(schedule.modified)}; what it was before that is not kept."
    if not schedule.enabled:
        return None, [f"It is disabled, and {changed}"]
    if schedule.created >= window.end:
        return None, [f"It was created at {iso(schedule.created)}, after this window."]
    if schedule.modified >= window.end:
        return None, [f"It {changed}"]
    if schedule.modified <= window.start:
        return window, []
    told = "created" if schedule.modified == schedule.created else "last changed"
    note = f"It was {told} at {iso(schedule.modified)}: calls are expected from then on only."
    return Window(schedule.modified, window.end), [note]


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else from_ms(to_ms(instant))


def _parts(expression: str) -> tuple[str, str]:
    match = EXPRESSION.fullmatch(expression)
    if match is None:
        raise ValueError("it is none of cron(…), rate(…) and at(…)")
    return match[1], match[2]


def _between_dates(schedule: Schedule, window: Window) -> Window | None:
    start = max(window.start, schedule.start or window.start)
    end = min(window.end, schedule.end or window.end)
    return Window(start, end) if start < end else None


def _at_times(schedule: Schedule, inside: str, window: Window) -> list[datetime]:
    match = AT.fullmatch(inside)
    if match is None:
        raise ValueError("write the time as yyyy-mm-ddThh:mm:ss")
    instant = instant_of(datetime.fromisoformat(match[1]), schedule.time_zone)
    return [instant] if instant is not None and instant in window else []


def _rate_times(schedule: Schedule, inside: str, span: Window, anchor: datetime | None) -> list[datetime]:
    match = RATE.fullmatch(inside)
    if match is None or int(match[1]) == 0:
        raise ValueError("write a positive number, a blank, and minutes, hours or days")
    period = int(match[1]) * UNITS[match[2]]
    first = anchor or schedule.start or schedule.created
    number = -((first - span.start) // period)  # of the first that is not before the span
    if anchor is None:
        number = max(number, 0)
    return [first + n * period for n in range(number, -((first - span.end) // period))]


def _cron_times(schedule: Schedule, inside: str, span: Window) -> list[datetime]:
    cron, zone = Cron.parse(inside), schedule.time_zone
    day, last = (wall_time(bound, zone).date() for bound in (span.start, span.end))
    times = []
    while day <= last:
        times += [instant for wall in cron.on(day) if (instant := instant_of(wall, zone)) and instant in span]
        day += timedelta(days=1)
    return times
