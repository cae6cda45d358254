"""Windows of time: the only module that converts between keys in the business zone and instants.

A window is half-open, ``[start, end)``, in UTC. Keys name windows in a business time zone:
``2026-10`` (month), ``2026-11-19`` (day), ``2026-11-20T09`` (hour).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from log_audit.errors import InvalidKeyError, WindowNotOverError

MONTH_KEY = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
DAY_KEY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
HOUR_KEY = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2})", re.ASCII)
Unit = Literal["hour", "day"]
Zone = str | ZoneInfo
KEY_FORMATS: dict[Unit, str] = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d"}
YEARS = range(1970, 9999)  # what epoch milliseconds and datetime can both hold, with a zone's offset to spare

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def utc_now() -> datetime:
    """The real clock, for the one question whether a window is over; tests pass another."""
    return datetime.now(UTC)


def to_ms(instant: datetime) -> int:
    """Epoch milliseconds of an aware datetime, rounded down, without the error of floats."""
    return (instant - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """The UTC instant of epoch milliseconds."""
    return EPOCH + ms * MILLISECOND


def iso(instant: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and ``Z``, as CloudWatch Logs writes it; such texts sort by time."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Window:
    """The instants ``start <= t < end``, both kept in UTC.

    :raises ValueError: a bound without a time zone, or an end that is not after the start
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            bound = getattr(self, name)
            if bound.tzinfo is None:
                raise ValueError(f"{name} {bound.isoformat()} has no time zone; add one, such as +00:00")
            object.__setattr__(self, name, _plain_utc(bound))
        if self.end <= self.start:
            raise ValueError(f"a window must end after it starts: {iso(self.start)} .. {iso(self.end)}")

    @classmethod
    def month(cls, key: str, tz: Zone) -> Window:
        """The calendar month ``YYYY-MM`` in zone ``tz``.

        :raises InvalidKeyError: the key is malformed or names no month
        """
        year, month = _numbers(key, MONTH_KEY, "month", "2026-10")
        return _span(key, "month", tz, (year, month, 1), (year + month // 12, month % 12 + 1, 1))

    @classmethod
    def day(cls, key: str, tz: Zone) -> Window:
        """The calendar day ``YYYY-MM-DD`` in zone ``tz``: 23 or 25 hours long when clocks change.

        :raises InvalidKeyError: the key is malformed or names no day of that zone
        """
        first = _date(key, _numbers(key, DAY_KEY, "day", "2026-11-19"), "day")
        return _between(key, "day", tz, first, first + timedelta(days=1))

    @classmethod
    def hour(cls, key: str, tz: Zone) -> Window:
        """The hour ``YYYY-MM-DDTHH`` of the wall clock in zone ``tz``.

        An hour that clocks repeat is one window with both passes in it, so that no key is needed twice.

        :raises InvalidKeyError: the key is malformed, or clocks skip that hour
        """
        first = _date(key, _numbers(key, HOUR_KEY, "hour", "2026-11-20T09"), "hour")
        return _between(key, "hour", tz, first, first + timedelta(hours=1))

    @classmethod
    def of(cls, key: str, unit: Unit, tz: Zone) -> Window:
        """:meth:`hour` or :meth:`day`, by name."""
        return cls.hour(key, tz) if unit == "hour" else cls.day(key, tz)

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def export_range(self) -> tuple[int, int]:
        """``fromTime`` and ``to`` for CreateExportTask: epoch milliseconds, both inclusive.

        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateExportTask.html
        """
        return to_ms(self.start), to_ms(self.end) - 1

    def insights_range(self) -> tuple[int, int]:
        """``startTime`` and ``endTime`` for StartQuery: epoch seconds, both inclusive.

        They enclose the window, whose exact bounds are cut by :meth:`insights_cut` inside the query.
        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
        """
        return to_ms(self.start) // 1000, -(-to_ms(self.end) // 1000)

    def insights_cut(self, field: str = "@timestamp") -> str:
        """A Logs Insights condition that holds for exactly the events whose ``field`` is in the window."""
        return f"toMillis({field}) >= {to_ms(self.start)} and toMillis({field}) < {to_ms(self.end)}"

    def utc_days(self, slack: int = 1) -> list[str]:
        """The UTC days ``yyyy/MM/dd`` that hold the window, and ``slack`` more for files published late.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-find-log-files.html
        """
        first, last = self.start.date(), (self.end - timedelta.resolution).date()
        return [(first + timedelta(days=n)).strftime("%Y/%m/%d") for n in range((last - first).days + 1 + slack)]

    def eventtime_range(self) -> tuple[str, str]:
        """Bounds for CloudTrail's ``eventtime`` text: ``>=`` the first and ``<`` the second.

        CloudTrail writes whole seconds, so bounds within a second are moved up to the next one.
        """
        start, end = (datetime.fromtimestamp(-(-to_ms(b) // 1000), UTC) for b in (self.start, self.end))
        return start.strftime("%Y-%m-%dT%H:%M:%SZ"), end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def require_over(self, now: datetime, settle: timedelta, tz: Zone) -> None:
        """Refuse a window that has not ended, or ended less than ``settle`` before ``now``.

        :param now: the real clock, aware
        :param tz: the zone in which the message tells the time
        :raises WindowNotOverError: says when the run can be made
        """
        ready = self.end + settle
        if now < ready:
            local = ready.astimezone(_zone(tz))
            raise WindowNotOverError(
                f"the window {self.describe(tz)} is not ready: it ends at {iso(self.end)} and its last events "
                f"may take {settle} to arrive. Run it again after {local:%Y-%m-%d %H:%M} {local.tzname()} "
                f"({iso(ready)})."
            )

    def describe(self, tz: Zone) -> str:
        """The window in the zone's wall clock, for people."""
        start, end = (bound.astimezone(_zone(tz)) for bound in (self.start, self.end))
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {end.tzname()}"

    def describe_both(self, tz: Zone) -> str:
        """The window in the zone's wall clock and in UTC, as short as it can be told without doubt."""
        local = [bound.astimezone(_zone(tz)) for bound in (self.start, self.end)]
        second = "%H:%M" if local[0].date() == local[1].date() else "%Y-%m-%d %H:%M"
        utc = "%H:%M" if self.start.date() == self.end.date() else "%m-%d %H:%M"
        return (
            f"{local[0]:%Y-%m-%d %H:%M} to {local[1].strftime(second)} {local[1].tzname()} "
            f"({self.start.strftime(utc)} to {self.end.strftime(utc)} UTC)"
        )


def key_of(instant: datetime, unit: Unit, tz: Zone, back: int = 0) -> str:
    """The key of the hour or day in which an instant (aware) lies, or of the one so many before it."""
    for _ in range(back):
        instant = Window.of(key_of(instant, unit, tz), unit, tz).start - timedelta.resolution
    return instant.astimezone(_zone(tz)).strftime(KEY_FORMATS[unit])


def keys_between(first: str, last: str, unit: Unit, tz: Zone) -> Iterator[str]:
    """The keys of all hours or days from the first to the last, both included; none where they are the wrong way.

    :raises InvalidKeyError: one of the two is malformed, or names no hour or day of that zone
    """
    end = Window.of(last, unit, tz).end
    window = Window.of(first, unit, tz)
    while window.start < end:
        key = key_of(window.start, unit, tz)
        yield key
        window = Window.of(key_of(window.end, unit, tz), unit, tz)


def local_time(ms: int, tz: Zone) -> str:
    """An instant (epoch ms) on the zone's wall clock, for people."""
    instant = from_ms(ms).astimezone(_zone(tz))
    return f"{instant:%Y-%m-%d %H:%M:%S} {instant.tzname()}"


def read_time(text: str, tz: Zone) -> datetime:
    """An ISO time, in the zone where it names none of its own.

    :raises InvalidKeyError: it is no time, or one of a year that no log can be of
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidKeyError(f"{text!r} is no time; write it like 2026-11-20T09:00") from None
    if instant.year not in YEARS:
        raise InvalidKeyError(f"{text!r} is no time to look at: the year must lie in {YEARS[0]} .. {YEARS[-1]}")
    return instant if instant.tzinfo else instant.replace(tzinfo=_zone(tz))


def wall_time(instant: datetime, tz: Zone) -> datetime:
    """What the zone's wall clock shows at an instant (aware), without a zone of its own."""
    return instant.astimezone(_zone(tz)).replace(tzinfo=None)


def instant_of(wall: datetime, tz: Zone) -> datetime | None:
    """The first UTC instant at which the zone's wall clock shows ``wall`` (naive).

    None where clocks skip it, and within hours of the years 1 and 9999, where UTC's calendar ends.
    """
    try:
        instant = wall.replace(tzinfo=_zone(tz), fold=0).astimezone(UTC)
        return instant if wall_time(instant, tz) == wall else None
    except OverflowError:
        return None


def days_before(key: str, days: int) -> str:
    """The key of the day so many days before the day of an hour's or a day's key."""
    return (date.fromisoformat(key[:10]) - timedelta(days=days)).isoformat()


def month_keys_before(now: datetime, tz: Zone) -> Iterator[str]:
    """Month keys that are over at ``now``, the latest first.

    :param now: an aware datetime
    """
    local = now.astimezone(_zone(tz))
    number = local.year * 12 + local.month - 1
    while True:
        number -= 1
        yield f"{number // 12:04d}-{number % 12 + 1:02d}"


def last_settled_month(now: datetime, settle: timedelta, tz: Zone) -> str:
    """The latest month that ended at least ``settle`` before ``now`` (aware)."""
    return next(key for key in month_keys_before(now, tz) if Window.month(key, tz).end + settle <= now)


def _plain_utc(instant: datetime) -> datetime:
    """The same instant as a plain datetime: Airflow hands out pendulum's, whose arithmetic can lose the zone."""
    utc = instant.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, UTC)


def _zone(tz: Zone) -> ZoneInfo:
    return tz if isinstance(tz, ZoneInfo) else ZoneInfo(tz)


def _numbers(key: str, pattern: re.Pattern[str], kind: str, example: str) -> tuple[int, ...]:
    match = pattern.fullmatch(key) if isinstance(key, str) else None
    if match is None:
        raise InvalidKeyError(f"{key!r} is no {kind}; write it like {example}")
    numbers = tuple(int(group) for group in match.groups())
    if numbers[0] not in YEARS:
        raise InvalidKeyError(f"{key!r} is no {kind}: the year must lie in {YEARS[0]} .. {YEARS[-1]}")
    return numbers


def _date(key: str, numbers: tuple[int, ...], kind: str) -> datetime:
    try:
        return datetime(*numbers)  # type: ignore[arg-type]  # mypy cannot count them: three or four
    except ValueError as error:
        raise InvalidKeyError(f"{key!r} is no {kind}: {error}") from None


def _span(key: str, kind: str, tz: Zone, first: tuple[int, ...], after: tuple[int, ...]) -> Window:
    return _between(key, kind, tz, _date(key, first, kind), _date(key, after, kind))


def _between(key: str, kind: str, tz: Zone, first: datetime, after: datetime) -> Window:
    start, end = (_first_instant(wall, _zone(tz)) for wall in (first, after))
    if start == end:
        raise InvalidKeyError(f"{key!r} does not exist in {tz}: clocks skip that {kind}")
    return Window(start, end)


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the zone's wall clock shows ``wall`` or later."""
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # Clocks jump over this wall time. The two readings of it (PEP 495) enclose the jump: find it.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
