"""When should a schedule have fired? AWS's documented examples, clocks that change, and a brute-force matcher."""

import calendar
import itertools
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from log_audit.errors import PermanentError
from log_audit.schedule import Schedule, ScheduleError, expected_part, firing_times
from log_audit.schedule_target import EVENT_SOURCES, Observable, observed_as
from log_audit.window import Window, from_ms, to_ms

NEW_YORK, LOS_ANGELES, TOKYO = "America/New_York", "America/Los_Angeles", "Asia/Tokyo"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/service-role/nightly"
UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"


def schedule(expression="cron(0 9 * * ? *)", zone="UTC", target=f"{UNIVERSAL}glue:startWorkflowRun", **changes):
    """A schedule out of what GetSchedule would say."""
    said = {
        "Name": "nightly",
        "GroupName": "jobs",
        "Arn": "arn:aws:scheduler:ap-northeast-1:123456789012:schedule/jobs/nightly",
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": zone,
        "State": "ENABLED",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "CreationDate": LONG_AGO,
        "LastModificationDate": LONG_AGO,
        "Target": {"Arn": target, "RoleArn": ROLE},
    }
    return Schedule.of(said | changes)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(start, end):
    return Window(utc(start), utc(end))


def times(expression, start, end, zone="UTC", **changes):
    """The times as short texts in UTC."""
    found = firing_times(schedule(expression, zone, **changes), window(start, end))
    assert found == sorted(set(found))
    assert all(time.tzinfo is UTC for time in found)
    return [f"{time:%Y-%m-%dT%H:%M}" for time in found]


def made(text):
    """Created then, and not changed since."""
    return dict.fromkeys(["CreationDate", "LastModificationDate"], utc(text))


def in_2026(days):
    return [f"2026-{day}" for day in days.split()]


# GetSchedule's answer


def test_what_get_schedule_says():
    said = schedule(
        StartDate=datetime(2026, 11, 1, 9, tzinfo=ZoneInfo(TOKYO)),
        EndDate=utc("2026-12-01"),
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        Target={
            "Arn": "arn:aws:sqs:ap-northeast-1:123456789012:q",
            "RoleArn": ROLE,
            "RetryPolicy": {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 0},
        },
    )
    assert (said.title, said.role, said.flexible) == ("jobs/nightly", "nightly", timedelta(minutes=15))
    assert (said.start, said.end, said.start.tzinfo) == (utc("2026-11-01"), utc("2026-12-01"), UTC)
    assert (said.max_age, said.retries) == (timedelta(minutes=10), 0)


def test_what_get_schedule_leaves_out_has_its_default():
    said = Schedule.of(
        {
            "Name": "n",
            "ScheduleExpression": "rate(1 hour)",
            "State": "ENABLED",
            "FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 15},
            "CreationDate": LONG_AGO,
            "Target": {"Arn": "a", "RoleArn": ROLE},
        }
    )
    assert (said.title, said.time_zone, said.flexible, said.start, said.end) == (
        "default/n",
        "UTC",
        timedelta(0),
        None,
        None,
    )
    assert (said.max_age, said.retries, said.modified) == (timedelta(days=1), 185, LONG_AGO)


def test_an_answer_that_is_not_as_get_schedule_writes_it_is_refused_with_the_name():
    with pytest.raises(ScheduleError, match="nightly is not as GetSchedule tells"):
        schedule(CreationDate=None)


def test_an_entry_of_list_schedules_is_refused():
    with pytest.raises(ScheduleError, match=r"n: 'ScheduleExpression' is missing; ask GetSchedule"):
        Schedule.of({"Name": "n", "State": "ENABLED", "Target": {"Arn": "a"}})


# AWS's documented examples

WEEK = ("2026-11-16", "2026-11-23")  # from a Monday on


@pytest.mark.parametrize(
    ("expression", "start", "end", "expected"),
    [
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
        ("0 10 * * ? *", "2026-11-19", "2026-11-21", ["2026-11-19T10:00", "2026-11-20T10:00"]),
        ("15 12 * * ? *", "2026-11-19", "2026-11-20", ["2026-11-19T12:15"]),
        ("0 18 ? * MON-FRI *", *WEEK, [f"2026-11-{day}T18:00" for day in range(16, 21)]),
        ("0 8 1 * ? *", "2026-11-01", "2027-01-02", ["2026-11-01T08:00", "2026-12-01T08:00", "2027-01-01T08:00"]),
        ("0 9 ? * 2#1 *", "2026-11-01", "2027-01-01", ["2026-11-02T09:00", "2026-12-07T09:00"]),
        ("0 12 * * ? *", "2026-11-19", "2026-11-20", ["2026-11-19T12:00"]),
        ("5,35 14 * * ? *", "2026-11-19", "2026-11-20", ["2026-11-19T14:05", "2026-11-19T14:35"]),
        ("15 10 ? * 6L 2019-2022", "2022-11-01", "2023-03-01", ["2022-11-25T10:15", "2022-12-30T10:15"]),
        ("0 0 1/10 * ? *", "2026-11-01", "2026-12-01", ["2026-11-01T00:00", "2026-11-11T00:00", "2026-11-21T00:00"]),
        ("0 0 ? * 3#2 *", "2026-11-01", "2026-12-01", ["2026-11-10T00:00"]),
        ("0 0 3W * ? *", "2026-09-30", "2026-12-01", ["2026-10-02T00:00", "2026-11-03T00:00"]),
        ("0 0 1-3 JAN,FEB,MAR ? *", "2027-01-03", "2027-02-02", ["2027-01-03T00:00", "2027-02-01T00:00"]),
        ("0 0 L * ? *", "2026-11-01", "2027-01-01", ["2026-11-30T00:00", "2026-12-31T00:00"]),
        ("0 0 ? * L *", *WEEK, ["2026-11-21T00:00"]),
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
        ("15 10 ? * 6L 2022-2023", "2023-12-01", "2024-03-01", ["2023-12-29T10:15"]),
    ],
)
def test_documented_cron_examples(expression, start, end, expected):
    assert times(f"cron({expression})", start, end) == expected


@pytest.mark.parametrize(
    ("expression", "count", "first", "last"),
    [
        ("0/15 * * * ? *", 7 * 96, "2026-11-16T00:00", "2026-11-22T23:45"),
        ("0/10 * ? * MON-FRI *", 5 * 144, "2026-11-16T00:00", "2026-11-20T23:50"),
        ("0/5 8-17 ? * MON-FRI *", 5 * 120, "2026-11-16T08:00", "2026-11-20T17:55"),
        # Over midnight: AWS says that it runs in the small hours of Monday.
        ("0/30 20-2 ? * MON-FRI *", 5 * 14, "2026-11-16T00:00", "2026-11-20T23:30"),
        ("1/10 * ? * 7 *", 6 * 24, "2026-11-21T00:01", "2026-11-21T23:51"),
    ],
)
def test_documented_cron_examples_with_many_times(expression, count, first, last):
    found = times(f"cron({expression})", *WEEK)
    assert (len(found), found[0], found[-1]) == (count, first, last)


def test_documented_time_zone_one_time_and_rate_examples():
    assert times("cron(30 8 * * ? *)", "2026-01-05", "2026-01-06", NEW_YORK) == ["2026-01-05T13:30"]
    assert times("cron(30 8 * * ? *)", "2026-07-05", "2026-07-06", NEW_YORK) == ["2026-07-05T12:30"]
    assert times("at(2022-11-20T13:00:00)", "2022-11-01", "2022-12-01", LOS_ANGELES) == ["2022-11-20T21:00"]
    found = times("rate(5 minutes)", "2026-11-19T10:00", "2026-11-19T10:20", CreationDate=utc("2026-11-19T10:03"))
    assert found == ["2026-11-19T10:03", "2026-11-19T10:08", "2026-11-19T10:13", "2026-11-19T10:18"]


def test_documented_daylight_saving_example():
    """02:30 in Los Angeles does not exist on the day clocks skip it, and comes once on the day they repeat it."""
    spring = times("cron(30 2 * * ? *)", "2026-03-07T12:00", "2026-03-09T12:00", LOS_ANGELES)
    assert spring == ["2026-03-09T09:30"]  # nothing on the 8th
    autumn = times("cron(30 1 * * ? *)", "2026-10-31T12:00", "2026-11-02T12:00", LOS_ANGELES)
    assert autumn == ["2026-11-01T08:30", "2026-11-02T09:30"]  # PDT, the first pass; then PST


# Clocks that change


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
@pytest.mark.parametrize("zone", [TOKYO, LOS_ANGELES, "UTC"])
def test_a_time_at_the_end_of_the_calendar_which_means_never_is_in_no_window(when, zone):
    assert times(f"at({when})", "2022-11-01", "2022-12-01", zone) == []


def test_times_that_clocks_skip_or_repeat_in_new_york():
    spring = times("cron(0/30 * * * ? *)", "2026-03-08T06:00", "2026-03-08T08:00", NEW_YORK)
    assert spring == ["2026-03-08T06:00", "2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30"]  # 01:30, 03:00
    autumn = times("cron(0/30 * * * ? *)", "2026-11-01T05:00", "2026-11-01T07:30", NEW_YORK)
    assert autumn == ["2026-11-01T05:00", "2026-11-01T05:30", "2026-11-01T07:00"]  # not 01:00 EST and 01:30 EST


def test_a_day_that_clocks_skip_has_no_times():
    assert times("cron(0 12 30 12 ? *)", "2011-12-01", "2012-01-15", "Pacific/Apia") == []
    assert times("cron(0 12 29-31 12 ? *)", "2011-12-01", "2012-01-15", "Pacific/Apia") == [
        "2011-12-29T22:00",
        "2011-12-30T22:00",
    ]


def test_one_time_schedules_when_clocks_change():
    assert times("at(2026-03-08T02:30:00)", "2026-03-01", "2026-04-01", NEW_YORK) == []
    assert times("at(2026-11-01T01:30:00)", "2026-11-01", "2026-11-02", NEW_YORK) == ["2026-11-01T05:30"]


def test_a_rate_of_days_counts_24_hours_whatever_clocks_do():
    found = times("rate(1 days)", "2026-03-07", "2026-03-10", NEW_YORK, StartDate=utc("2026-03-01T15:00"))
    assert found == ["2026-03-07T15:00", "2026-03-08T15:00", "2026-03-09T15:00"]


def test_a_day_in_tokyo_spans_two_days_in_utc():
    day = Window.day("2026-11-19", TOKYO)
    found = firing_times(schedule("cron(0,59 0,23 * * ? *)", TOKYO), day)
    assert [f"{time:%d %H:%M}" for time in found] == ["18 15:00", "18 15:59", "19 14:00", "19 14:59"]


# Days of the month and of the week


@pytest.mark.parametrize(
    ("days", "start", "end", "expected"),
    [
        ("29 2 ?", "2026-01-01", "2033-01-01", ["2028-02-29", "2032-02-29"]),
        ("29 2 ?", "2099-01-01", "2105-01-01", ["2104-02-29"]),
        ("31 * ?", "2026-01-01", "2026-07-01", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("30 2 ?", "2026-01-01", "2040-01-01", []),
        ("L 2 ?", "2027-01-01", "2029-01-01", ["2027-02-28", "2028-02-29"]),
        (
            "LW * ?",
            "2026-01-01",
            "2026-07-01",
            in_2026("01-30 02-27 03-31 04-30 05-29 06-30"),
        ),
        ("1W * ?", "2026-08-01", "2026-12-01", ["2026-08-03", "2026-09-01", "2026-10-01", "2026-11-02"]),
        ("15W * ?", "2026-08-01", "2026-12-01", ["2026-08-14", "2026-09-15", "2026-10-15", "2026-11-16"]),
        ("31W * ?", "2026-01-01", "2026-09-01", in_2026("01-30 03-31 05-29 07-31 08-31")),
        ("30W 5,8 ?", "2026-01-01", "2027-01-01", ["2026-05-29", "2026-08-31"]),
        ("28W 2 ?", "2027-02-01", "2027-03-05", ["2027-02-26"]),  # Sunday the 28th, and February ends
        ("? * FRI#5", "2026-01-01", "2026-08-01", ["2026-01-30", "2026-05-29", "2026-07-31"]),
        ("? * 1#5", "2026-01-01", "2026-06-01", ["2026-03-29", "2026-05-31"]),
        ("? * 5L", "2026-10-01", "2027-01-01", ["2026-10-29", "2026-11-26", "2026-12-31"]),
        ("? * FRIL", "2026-10-01", "2026-12-01", ["2026-10-30", "2026-11-27"]),
        ("? * sun,Tue", "2026-11-16", "2026-11-23", ["2026-11-17", "2026-11-22"]),
        ("? * FRI-MON", "2026-11-16", "2026-11-23", [f"2026-11-{day}" for day in (16, 20, 21, 22)]),
        ("? nov-feb 2", "2026-10-25", "2026-11-10", ["2026-11-02", "2026-11-09"]),
        ("*/10 * ?", "2026-11-01", "2026-12-01", ["2026-11-01", "2026-11-11", "2026-11-21"]),
        ("5-20/5 * ?", "2026-11-01", "2026-12-01", ["2026-11-05", "2026-11-10", "2026-11-15", "2026-11-20"]),
        ("28-2/2 * ?", "2026-10-25", "2026-11-05", ["2026-10-28", "2026-10-30", "2026-11-01"]),
    ],
)
def test_days(days, start, end, expected):
    assert [time[:10] for time in times(f"cron(0 12 {days} *)", start, end)] == expected


def test_years():
    assert times("cron(0 0 1 1 ? 2027/2)", "2026-01-01", "2031-01-02") == [
        "2027-01-01T00:00",
        "2029-01-01T00:00",
        "2031-01-01T00:00",
    ]
    assert times("cron(0 0 1 1 ? 2199)", "2198-06-01", "2201-01-01") == ["2199-01-01T00:00"]


def test_the_year_may_be_left_out():
    assert times("cron(0 10 * * ?)", "2026-11-19", "2026-11-20") == ["2026-11-19T10:00"]


# Dates, rates, one time


def test_start_and_end_dates():
    dates = {"StartDate": utc("2026-11-19T10:00"), "EndDate": utc("2026-11-19T13:00")}
    assert times("cron(0 * * * ? *)", *WEEK, **dates) == [f"2026-11-19T{hour}:00" for hour in (10, 11, 12)]
    assert times("rate(1 hour)", *WEEK, **dates) == [f"2026-11-19T{hour}:00" for hour in (10, 11, 12)]
    assert times("cron(0 * * * ? *)", *WEEK, StartDate=utc("2027-01-01")) == []
    assert times("cron(0 * * * ? *)", *WEEK, EndDate=utc("2026-01-01")) == []


def test_one_time_schedules_ignore_dates():
    dates = {"StartDate": utc("2026-11-20"), "EndDate": utc("2026-11-18")}
    assert times("at(2026-11-19T09:00:00)", *WEEK, **dates) == ["2026-11-19T09:00"]
    assert times("at(2026-11-23T00:00:00)", *WEEK) == []
    assert times("at(2026-11-16T00:00:00)", *WEEK) == ["2026-11-16T00:00"]


def test_a_rate_counts_from_its_start_date_or_else_its_creation():
    created = utc("2026-11-01T00:07:30")
    assert times("rate(6 hours)", "2026-11-19", "2026-11-19T12:00", CreationDate=created) == [
        "2026-11-19T00:07",
        "2026-11-19T06:07",
    ]
    assert times("rate(5 days)", "2026-11-01", "2026-11-12", CreationDate=created, StartDate=utc("2026-11-05")) == [
        "2026-11-05T00:00",
        "2026-11-10T00:00",
    ]
    assert times("rate(1 day)", "2026-10-01", "2026-11-02", CreationDate=created) == ["2026-11-01T00:07"]
    assert times("rate(1 minutes)", "2026-10-01", "2026-11-01", CreationDate=created) == []
    assert times("rate(999999999 days)", *WEEK, CreationDate=created) == []


def test_a_rate_can_be_counted_from_another_instant_both_ways():
    found = firing_times(schedule("rate(2 hours)"), window("2026-11-19", "2026-11-19T06:00"), utc("2026-11-19T03:30"))
    assert found == [utc("2026-11-19T01:30"), utc("2026-11-19T03:30"), utc("2026-11-19T05:30")]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "it is none of cron"),
        ("every day", "it is none of cron"),
        ("cron 0 10 * * ? *", "it is none of cron"),
        ("cron()", "it has 0 fields; 6 are needed"),
        ("cron(0 10 * *)", "it has 4 fields"),
        ("cron(0 10 * * ? * *)", "it has 7 fields"),
        ("cron(60 10 * * ? *)", "minutes: '60' is not one of 0 to 59"),
        ("cron(0 24 * * ? *)", "hours: '24' is not one of 0 to 23"),
        ("cron(0 10 0 * ? *)", "day of month: '0' is not one of 1 to 31"),
        ("cron(0 10 32W * ? *)", "day of month: '32' is not one of"),
        ("cron(0 10 W * ? *)", "day of month: '' is not one of"),
        ("cron(0 10 1W,15W * ? *)", "day of month: '1W,15' is not one of"),
        ("cron(0 10 L-3 * ? *)", "day of month: 'L' is not one of"),
        ("cron(0 10 1,L * ? *)", "day of month: 'L' is not one of"),
        ("cron(0 10 １ * ? *)", "day of month: '１' is not understood"),
        ("cron(0 10 ５W * ? *)", "day of month: '５' is not one of"),
        ("cron(0 10 * 13 ? *)", "month: '13' is not one of 1 to 12 or JAN to DEC"),
        ("cron(0 10 * MON ? *)", "month: 'MON' is not one of"),
        ("cron(0 10 ? * 0 *)", "day of week: '0' is not one of 1 to 7 or SUN to SAT"),
        ("cron(0 10 ? * 8L *)", "day of week: '8' is not one of"),
        ("cron(0 10 ? * 3#6 *)", "day of week: '3#6' is not understood"),
        ("cron(0 10 ? * 3#1,6#3 *)", "day of week: '3#1' is not understood"),
        ("cron(0 10 ? * 3W *)", "day of week: '3W' is not one of"),
        ("cron(0 10 * * ? 1969)", "year: '1969' is not one of 1970 to 2199"),
        ("cron(0 10 * * ? 2030-2026)", "year: 2030-2026 runs backwards"),
        ("cron(0/0 10 * * ? *)", "minutes: '0/0' has an increment of 0"),
        ("cron(*-5 10 * * ? *)", "minutes: '.*-5' is not understood"),
        ("cron(-5 10 * * ? *)", "minutes: '-5' is not understood"),
        ("cron(1, 10 * * ? *)", "minutes: '' is not understood"),
        ("cron(? 10 * * ? *)", r"minutes: '\?' is not understood"),
        ("cron(0 10 * * * *)", "either the day of month or the day of week must be"),
        ("cron(0 10 ? * ? *)", "only one of them"),
        ("cron(0 10 1 * MON *)", "only one of them"),
        ("rate(5)", "write a positive number, a blank, and minutes"),
        ("rate(0 minutes)", "write a positive number"),
        ("rate(-5 minutes)", "write a positive number"),
        ("rate(5 weeks)", "write a positive number"),
        ("rate(1.5 hours)", "write a positive number"),
        ("at(2026-11-19)", "write the time as yyyy-mm-ddThh:mm:ss"),
        ("at(2026-11-19T09:00:00Z)", "write the time as"),
        ("at(2026-02-29T09:00:00)", "day is out of range for month"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(expression, why):
    with pytest.raises(ScheduleError, match=why) as error:
        firing_times(schedule(expression), window(*WEEK))
    assert str(error.value).startswith(f"jobs/nightly: {expression!r} cannot be read: ")
    assert isinstance(error.value, PermanentError)


@pytest.mark.parametrize("expression", ["cron(0 9 * * ? *)", "rate(1 day)", "at(2026-11-19T09:00:00)"])
@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "", "../UTC"])
def test_unknown_zones_are_refused(expression, zone):
    with pytest.raises(ScheduleError, match="cannot be read"):
        firing_times(schedule(expression, zone), window(*WEEK))


@given(text=st.text())
def test_any_text_is_an_expression_or_an_error_of_ours(text):
    for expression in (text, f"cron({text})", f"rate({text})", f"at({text})"):
        try:
            firing_times(schedule(expression), window("2026-11-19", "2026-11-20"))
        except ScheduleError as error:
            assert repr(expression) in str(error)


# An independent matcher, minute by minute

MONTHS = ["", *(name.upper() for name in calendar.month_abbr[1:])]
WEEKDAYS = ["", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def in_field(text, value, low, high, names=()):
    """Whether a value is in a field of lists, ranges and increments; walks from value to value."""
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        first, last = (names.index(end) if end in names else end for end in (first, last))
        begin = low if first == "*" else int(first)
        stop = int(last) if last else high if first == "*" or step else begin
        at = begin
        for steps in range(high - low + 1):
            if at == value and steps % int(step or 1) == 0:
                return True
            if at == stop:
                break
            at = low if at == high else at + 1
    return False


def weekdays_of(day, weekday):
    """All days of a month with AWS's number of a weekday."""
    column = (weekday + 5) % 7  # monthcalendar begins with Monday
    return [week[column] for week in calendar.monthcalendar(day.year, day.month) if week[column]]


def is_day(dom, dow, day):
    days = calendar.monthrange(day.year, day.month)[1]
    if dow == "?":
        if dom == "L":
            return day.day == days
        if dom.endswith("W"):
            wanted = days if dom == "LW" else int(dom[:-1])
            working = [d for d in range(1, days + 1) if date(day.year, day.month, d).isoweekday() < 6]
            return wanted <= days and day.day == min(working, key=lambda d: (abs(d - wanted), d))
        return in_field(dom, day.day, 1, 31)
    if dow == "L":
        return day.isoweekday() == 6
    if found := re.fullmatch(r"(\w+)(L|#(\d))", dow):
        weekday = WEEKDAYS.index(found[1]) if found[1] in WEEKDAYS else int(found[1])
        wanted = weekdays_of(day, weekday)
        return day.day == (wanted[-1] if found[2] == "L" else dict(enumerate(wanted, 1)).get(int(found[3])))
    return in_field(dow, day.isoweekday() % 7 + 1, 1, 7, WEEKDAYS)


def brute(expression, zone, span):
    """Every minute of a window at which an expression matches what the wall clock shows for the first time."""
    minutes, hours, dom, month, dow, year = expression.split()
    days, found = {}, []
    now = span.start.replace(second=0, microsecond=0)
    while now < span.end:
        now, instant = now + timedelta(minutes=1), now
        local = instant.astimezone(ZoneInfo(zone))
        day = local.date()
        if day not in days:
            days[day] = (
                is_day(dom, dow, day)
                and in_field(month, day.month, 1, 12, MONTHS)
                and in_field(year, day.year, 1970, 2199)
            )
        if days[day] and not local.fold and in_field(hours, local.hour, 0, 23):
            found += [instant] if in_field(minutes, local.minute, 0, 59) else []
    return [instant for instant in found if instant in span]


def fields(low, high, names=()):
    """Texts for a field: lists of values, ranges that may run over the end, and increments."""
    value = st.integers(low, high).map(lambda n: names[n] if names and n % 2 else str(n))
    step = st.integers(1, max(2, (high - low) // 2)).map(str)
    span = st.tuples(value, value).map("-".join)
    item = st.one_of(st.just("*"), value, span, st.tuples(st.one_of(st.just("*"), value, span), step).map("/".join))
    return st.lists(item, min_size=1, max_size=3).map(",".join)


near = st.integers(1, 31).map("{}W".format)
doms = st.one_of(fields(1, 31), st.sampled_from(["L", "LW"]), near).map(lambda d: (d, "?"))
weekday = st.one_of(st.integers(1, 7).map(str), st.sampled_from(WEEKDAYS[1:]))
dows = st.one_of(
    fields(1, 7, WEEKDAYS),
    st.just("L"),
    weekday.map("{}L".format),
    st.tuples(weekday, st.integers(1, 5)).map(lambda pair: f"{pair[0]}#{pair[1]}"),
).map(lambda d: ("?", d))
minutes, hours = fields(0, 59), fields(0, 23)
years = st.sampled_from(["*", "2026", "2025-2027", "2020/2", "2026,2028"])
months = st.one_of(st.just("*"), fields(1, 12, MONTHS))
zones = st.sampled_from(["UTC", TOKYO, NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"])


@st.composite
def crons(draw):
    dom, dow = draw(st.one_of(doms, dows))
    return " ".join([draw(minutes), draw(hours), dom, draw(months), dow, draw(years)])


# Where clocks change, at either end of a month, and anywhere.
starts = st.one_of(
    st.sampled_from(["2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03", "2018-02-17", "2018-11-03"]).map(utc),
    st.sampled_from(["2026-01-30", "2028-02-28", "2026-12-31", "2026-08-01", "2011-12-29"]).map(utc),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)


@settings(max_examples=150, deadline=None)
@given(expression=crons(), zone=zones, start=starts, length=st.integers(1, 72 * 60))
def test_the_times_are_those_of_a_minute_by_minute_search(expression, zone, start, length):
    span = Window(start, start + timedelta(minutes=length))
    assert firing_times(schedule(f"cron({expression})", zone), span) == brute(expression, zone, span)


@settings(max_examples=100, deadline=None)
@given(days=st.one_of(doms, dows), month=months, year=st.integers(2024, 2032))
def test_the_days_are_those_of_a_day_by_day_search(days, month, year):
    dom, dow = days
    span = window(f"{year}-01-01", f"{year + 1}-01-01")
    found = [time.date() for time in firing_times(schedule(f"cron(0 12 {dom} {month} {dow} *)"), span)]
    every = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    matching = (day for day in every if day.year == year and in_field(month, day.month, 1, 12, MONTHS))
    assert found == [day for day in matching if is_day(dom, dow, day)]


expressions = st.one_of(
    crons().map("cron({})".format),
    st.tuples(st.integers(1, 90), st.sampled_from(["minutes", "hours", "days"])).map(lambda r: f"rate({r[0]} {r[1]})"),
    st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 10)).map(lambda t: f"at({t:%Y-%m-%dT%H:%M:%S})"),
)


@settings(deadline=None)
@given(
    expression=expressions,
    zone=zones,
    start=starts,
    cuts=st.lists(st.integers(1, 4320), min_size=1, max_size=4, unique=True),
    dates=st.sampled_from([{}, {"StartDate": utc("2026-03-08T07:30")}, {"EndDate": utc("2026-10-31T12:00")}]),
)
def test_windows_that_abut_give_disjoint_and_complete_times(expression, zone, start, cuts, dates):
    one = schedule(expression, zone, **dates)
    bounds = [start, *(start + timedelta(minutes=cut) for cut in sorted(cuts))]
    parts = [firing_times(one, Window(a, b)) for a, b in itertools.pairwise(bounds)]
    whole = firing_times(one, Window(bounds[0], bounds[-1]))
    assert list(itertools.chain(*parts)) == whole == sorted(set(whole))


@given(start=starts, length=st.integers(1, 4320), minutes=st.integers(1, 2000), offset=st.integers(-9999, 9999))
def test_a_rate_leaves_no_gap(start, length, minutes, offset):
    span = Window(start, start + timedelta(minutes=length))
    created = start + timedelta(minutes=offset)
    found = firing_times(schedule(f"rate({minutes} minutes)", CreationDate=created), span)
    period = timedelta(minutes=minutes)
    assert all(time in span and time >= from_ms(to_ms(created)) for time in found)
    assert all((time - from_ms(to_ms(created))) % period == timedelta(0) for time in found)
    assert all(later - earlier == period for earlier, later in itertools.pairwise(found))
    if found:
        assert found[0] - period < max(span.start, created)
        assert found[-1] + period >= span.end
    else:
        assert created > span.end - period or length < minutes


# What part of a window is known


def test_a_schedule_that_was_there_all_along_is_expected_throughout():
    day = window("2026-11-19", "2026-11-20")
    assert expected_part(schedule(), day) == (day, [])


@pytest.mark.parametrize(
    ("changes", "start", "note"),
    [
        (
            dict.fromkeys(["CreationDate", "LastModificationDate"], utc("2026-11-19T10:00")),
            "10:00",
            "It was created at",
        ),
        ({"LastModificationDate": utc("2026-11-19T10:00")}, "10:00", "It was last changed at 2026-11-19T10:00:00.000Z"),
        ({"LastModificationDate": utc("2026-11-19")}, "00:00", None),
        (
            {"CreationDate": utc("2026-11-19T08:00"), "LastModificationDate": utc("2026-11-19T10:00")},
            "10:00",
            "calls are expected from then on only",
        ),
    ],
)
def test_a_schedule_created_or_changed_within_is_expected_for_the_rest(changes, start, note):
    part, notes = expected_part(schedule(**changes), window("2026-11-19", "2026-11-20"))
    assert part == window(f"2026-11-19T{start}", "2026-11-20")
    assert [note in told for told in notes] == ([True] if note else [])


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"State": "DISABLED"}, "It is disabled, and"),
        ({"State": "DISABLED", "LastModificationDate": utc("2026-11-19T10:00")}, "changed at 2026-11-19T10:00:00.000Z"),
        (made("2026-11-20"), "after this window"),
        ({"LastModificationDate": utc("2026-11-21")}, "It was last changed at 2026-11-21T00:00"),
    ],
)
def test_a_schedule_of_which_nothing_is_known_is_not_expected(changes, note):
    part, (told,) = expected_part(schedule(**changes), window("2026-11-19", "2026-11-20"))
    assert part is None
    assert note in told


# What its call looks like


@pytest.mark.parametrize(
    ("target", "source", "event"),
    [
        ("arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch", "ecs", "RunTask"),
        ("arn:aws:states:ap-northeast-1:123456789012:stateMachine:audit", "states", "StartExecution"),
        ("arn:aws-cn:codebuild:cn-north-1:123456789012:project/p", "codebuild", "StartBuild"),
        ("arn:aws:codepipeline:ap-northeast-1:123456789012:p", "codepipeline", "StartPipelineExecution"),
        ("arn:aws:sagemaker:ap-northeast-1:123456789012:pipeline/p", "sagemaker", "StartPipelineExecution"),
        ("arn:aws:inspector:ap-northeast-1:123456789012:target/t/template/x", "inspector", "StartAssessmentRun"),
        (f"{UNIVERSAL}glue:startWorkflowRun", "glue", "StartWorkflowRun"),
        (f"{UNIVERSAL}batch:submitJob", "batch", "SubmitJob"),
        (f"{UNIVERSAL}rds:stopDBInstance", "rds", "StopDBInstance"),
        (f"{UNIVERSAL}sfn:startExecution", "states", "StartExecution"),
        (f"{UNIVERSAL}eventbridge:disableRule", "events", "DisableRule"),
        (f"{UNIVERSAL}cloudwatch:disableAlarmActions", "monitoring", "DisableAlarmActions"),
        (f"{UNIVERSAL}cloudwatchlogs:createExportTask", "logs", "CreateExportTask"),
        (f"{UNIVERSAL}cognitoidentityprovider:adminUserGlobalSignOut", "cognito-idp", "AdminUserGlobalSignOut"),
        (f"{UNIVERSAL}applicationautoscaling:registerScalableTarget", "autoscaling", "RegisterScalableTarget"),
        (f"{UNIVERSAL}s3:createBucket", "s3", "CreateBucket"),
        ("arn:aws-us-gov:scheduler:::aws-sdk:ec2:stopInstances", "ec2", "StopInstances"),
    ],
)
def test_calls_that_can_be_seen(target, source, event):
    assert observed_as(schedule(target=target)) == (Observable(f"{source}.amazonaws.com", event), "")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("arn:aws:lambda:ap-northeast-1:123456789012:function:f", "Invoke of lambda.amazonaws.com, is a data event"),
        ("arn:aws:sqs:ap-northeast-1:123456789012:q", "SendMessage of sqs.amazonaws.com, is a data event"),
        ("arn:aws:sns:ap-northeast-1:123456789012:t", "Publish of sns"),
        ("arn:aws:kinesis:ap-northeast-1:123456789012:stream/s", "PutRecord of kinesis"),
        ("arn:aws:firehose:ap-northeast-1:123456789012:deliverystream/d", "PutRecord of firehose"),
        ("arn:aws:events:ap-northeast-1:123456789012:event-bus/default", "PutEvents of events"),
        (f"{UNIVERSAL}lambda:invoke", "is a data event"),
        (f"{UNIVERSAL}lambda:updateFunctionConfiguration", "a name that ends in the API's version"),
        (f"{UNIVERSAL}dynamodb:putItem", "is a data event"),
        (f"{UNIVERSAL}s3:deleteObject", "is a data event"),
        (f"{UNIVERSAL}eventbridge:putEvents", "PutEvents of events.amazonaws.com, is a data event"),
        (f"{UNIVERSAL}sesv2:sendEmail", "is a data event"),
        ("arn:aws:glue:ap-northeast-1:123456789012:workflow/w", "of no kind that we know the call of"),
        (f"{UNIVERSAL}glue", "of no kind that we know"),
        ("a", "of no kind that we know"),
        ("", "of no kind that we know"),
    ],
)
def test_calls_that_cannot_be_seen_have_a_reason(target, why):
    seen, reason = observed_as(schedule(target=target))
    assert seen is None
    assert why in reason


def test_the_names_of_services_are_those_of_the_sdk():
    session = get_session()
    ids = {session.get_service_model(name).service_id for name in session.get_available_services()}
    known = {re.sub(r"[ -]", "", name).lower() for name in ids}
    assert set(EVENT_SOURCES) - known <= {"cloudwatchevents"}  # botocore has it under EventBridge's name
