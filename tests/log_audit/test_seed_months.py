"""The date arithmetic of the Lambda this project replaces, beside ours.

It took the month from the calendar of its host, which is in UTC, so on the first of a month it is a month behind
until 09:00 in Japan; a schedule at midnight in Japan exported the wrong month, every month.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.window import Window, month_keys_before, to_ms

TOKYO = "Asia/Tokyo"


def last_day_of_month_before(moment, months):
    """JavaScript's ``new Date(year, month - months, 0)``: the day before that month's first."""
    number = moment.year * 12 + moment.month - 1 - months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)


def seed_range(now):
    """``from`` and ``to`` as the Lambda computed them, its host in UTC."""
    first = last_day_of_month_before(now, 1).replace(hour=15)
    last = last_day_of_month_before(now, 0).replace(hour=14, minute=59, second=59, microsecond=999000)
    return to_ms(first), to_ms(last)


def our_range(now):
    return Window.month(next(month_keys_before(now, TOKYO)), TOKYO).export_range()


@pytest.mark.parametrize(
    ("now", "right"),
    [
        (datetime(2026, 10, 31, 15, 0, tzinfo=UTC), False),  # 1 November 00:00 in Japan
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), False),  # 1 November 08:59
        (datetime(2026, 11, 1, 0, 0, tzinfo=UTC), True),  # 1 November 09:00
        (datetime(2026, 11, 30, 14, 59, tzinfo=UTC), True),
    ],
)
def test_the_seed_is_a_month_behind_until_nine_on_the_first(now, right):
    october = Window.month("2026-10", TOKYO).export_range()
    assert our_range(now) == october
    assert (seed_range(now) == october) == right


@given(now=st.datetimes(datetime(1971, 1, 2), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_they_differ_in_those_nine_hours_alone(now):
    in_japan = now + timedelta(hours=9)
    assert (seed_range(now) == our_range(now)) == (in_japan.month == now.month)
