"""AWS's cron expressions: on which days, and at which times of a day, the six fields let a schedule fire.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html

They are Quartz's expressions, and what these pages leave open is read as Quartz reads it where AWS is known to take
it: names in any case, ``LW``, ``FRIL``, ``5-20/5``, ``*/5``, a ``W`` that stays within its month. Ranges may run over
the end, as in AWS's example ``20-2`` for hours. Of ``L-3`` and the like nothing is known: they are refused.
"""
# Written here, because no library does it: croniter 7.0 numbers weekdays from 0 and knows neither LW nor 6L; pyawscron
# 1.0.7 and aws-croniter 2.1.1 raise TypeErrors and the like for LW and for L as the day of the week, and know no zones.

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

ITEM = re.compile(r"(?P<first>\*|[A-Z0-9]+)(?:-(?P<last>[A-Z0-9]+))?(?:/(?P<step>[0-9]{1,4}))?")
NTH = re.compile(r"(?P<day>[A-Z0-9]+)#(?P<nth>[1-5])")
FIELDS = 6
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
SATURDAY, SUNDAY = 5, 6  # as date.weekday() counts

DayRule = Callable[[date], bool]


@dataclass(frozen=True)
class Field:
    """A field's name and the values it may have; ``names`` are other words for them, the lowest first."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """The values that ``*``, numbers, names, lists, ranges and increments stand for.

        :raises ValueError: the text is none of these, or a value is out of range
        """
        return frozenset(value for item in text.split(",") for value in self._item(item))

    def number(self, text: str) -> int:
        if text in self.names:
            return self.lowest + self.names.index(text)
        if not (text.isascii() and text.isdecimal()) or not self.lowest <= int(text) <= self.highest:
            words = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name}: {text!r} is not one of {self.lowest} to {self.highest}{words}")
        return int(text)

    def _item(self, text: str) -> list[int]:
        match = ITEM.fullmatch(text)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{self.name}: {text!r} is not understood")
        open_ended = match["first"] == "*" or match["step"]
        first = self.lowest if match["first"] == "*" else self.number(match["first"])
        last = self.number(match["last"]) if match["last"] else self.highest if open_ended else first
        if (step := int(match["step"] or 1)) == 0:
            raise ValueError(f"{self.name}: {text!r} has an increment of 0")
        return self._range(first, last)[::step]

    def _range(self, first: int, last: int) -> list[int]:
        """All from the first to the last; over the end and on from the lowest where the last is lower."""
        if first <= last:
            return [*range(first, last + 1)]
        if self is YEAR:
            raise ValueError(f"{self.name}: {first}-{last} runs backwards")
        return [*range(first, self.highest + 1), *range(self.lowest, last + 1)]


MINUTES = Field("minutes", 0, 59)
HOURS = Field("hours", 0, 23)
DAY_OF_MONTH = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, MONTHS)
DAY_OF_WEEK = Field("day of week", 1, 7, WEEKDAYS)
YEAR = Field("year", 1970, 2199)


@dataclass(frozen=True)
class Cron:
    """An expression that has been read."""

    times: tuple[time, ...]
    months: frozenset[int]
    years: frozenset[int]
    falls_on: DayRule

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Read what stands between the parentheses of ``cron(…)``.

        The year may be left out, and then is any.

        :raises ValueError: says which field is wrong, and how
        """
        fields = text.upper().split()
        if len(fields) == FIELDS - 1:
            fields.append("*")
        if len(fields) != FIELDS:
            raise ValueError(f"it has {len(fields)} fields; {FIELDS} are needed")
        minutes, hours, day_of_month, month, day_of_week, year = fields
        rule = _day_rule(day_of_month, day_of_week)
        clock = [(hour, minute) for hour in sorted(HOURS.values(hours)) for minute in sorted(MINUTES.values(minutes))]
        return cls(tuple(time(*at) for at in clock), MONTH.values(month), YEAR.values(year), rule)

    def on(self, day: date) -> Iterator[datetime]:
        """The times of a day, in order, as the wall clock shows them."""
        if day.year in self.years and day.month in self.months and self.falls_on(day):
            yield from (datetime.combine(day, at) for at in self.times)


def _day_rule(day_of_month: str, day_of_week: str) -> DayRule:
    """AWS takes a day of the month or a day of the week, and wants ``?`` in place of the other."""
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError("either the day of month or the day of week must be '?', and only one of them")
    return _by_weekday(day_of_week) if day_of_month == "?" else _by_day(day_of_month)


def _by_day(text: str) -> DayRule:
    """``L`` is the month's last day, ``15W`` the weekday nearest to the 15th, ``LW`` the last weekday."""
    if text == "L":
        return lambda day: day.day == _last(day)
    if text == "LW":
        return lambda day: day.day == _nearest_weekday(day, _last(day))
    if text.endswith("W"):
        wanted = DAY_OF_MONTH.number(text[:-1])
        return lambda day: day.day == _nearest_weekday(day, wanted)
    days = DAY_OF_MONTH.values(text)
    return lambda day: day.day in days


def _by_weekday(text: str) -> DayRule:
    """``L`` is the week's last day, ``6L`` the month's last Friday, ``3#2`` its second Tuesday."""
    if text == "L":
        return lambda day: day.weekday() == SATURDAY
    if text.endswith("L"):
        wanted = DAY_OF_WEEK.number(text[:-1])
        return lambda day: _day_of_week(day) == wanted and day.day > _last(day) - 7
    if nth := NTH.fullmatch(text):
        wanted, which = DAY_OF_WEEK.number(nth["day"]), int(nth["nth"])
        return lambda day: _day_of_week(day) == wanted and (day.day - 1) // 7 + 1 == which
    days = DAY_OF_WEEK.values(text)
    return lambda day: _day_of_week(day) in days


def _day_of_week(day: date) -> int:
    """As AWS counts: 1 is Sunday."""
    return day.isoweekday() % 7 + 1


def _last(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int | None:
    """The weekday (Monday to Friday) nearest to a day of the month, within that month; None if it has no such day."""
    last = _last(day)
    if wanted > last:
        return None
    weekday = day.replace(day=wanted).weekday()
    if weekday == SATURDAY:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == SUNDAY:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted
