"""Keys, times and schedule expressions: a window, or an error that quotes what was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from log_audit.audits import aurora_window, cloudtrail_window
from log_audit.errors import InvalidKeyError
from log_audit.operators.checks import asked_span
from log_audit.schedule import Schedule, ScheduleError, firing_times
from log_audit.settings import load_settings
from log_audit.window import Window, key_of, keys_between, to_ms
from tests.support.mutations import ODD, spoiled_texts, spoiled_values

SETTINGS = load_settings()
ZONES = ("Asia/Tokyo", "UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12")
KEYS = ("2026-10", "2026-11-19", "2026-11-20T09", "aurora-prod/2026-11-20T09", "9998-12-31T23", "1970-01-01T00")
TIMES = (
    "2026-11-20T09:00",
    "2026-11-20T09:00:00+09:00",
    "0001-01-01T00:00",
    "9999-12-31T23:59:59.999999-12:00",
    "10000",
)
keys = spoiled_texts(KEYS) | st.sampled_from(KEYS) | st.sampled_from(ODD)


@given(key=keys, zone=st.sampled_from(ZONES))
def test_any_key_is_a_window_or_refused_with_its_words(key, zone):
    for read in (Window.month, Window.day, Window.hour):
        try:
            window = read(key, zone)
        except InvalidKeyError as error:
            assert repr(key)[:20] in str(error)
            continue
        assert window.start < window.end
        for told in (window.export_range(), window.insights_range(), window.eventtime_range(), window.utc_days()):
            assert told
        assert window.describe_both(zone)


@given(key=spoiled_texts(KEYS) | st.sampled_from(KEYS) | st.none())
def test_any_partition_key_is_an_audit_or_refused_with_its_words(key):
    for read in (
        lambda: aurora_window(key, SETTINGS),
        lambda: cloudtrail_window(next(iter(SETTINGS.targets)), key, SETTINGS),
    ):
        try:
            assert read().window
        except InvalidKeyError as error:
            assert "key" in str(error) or "is no" in str(error) or "does not exist" in str(error)


@given(day=st.dates(datetime(1970, 1, 2).date(), datetime(9998, 12, 30).date()), zone=st.sampled_from(ZONES))
def test_a_window_is_found_again_by_its_key(day, zone):
    try:
        window = Window.day(day.isoformat(), zone)
    except InvalidKeyError:
        return  # clocks skip a day now and then
    assert key_of(window.start, "day", zone) == day.isoformat()
    hours = list(keys_between(f"{day}T00", f"{day}T23", "hour", zone)) if zone in ("UTC", "Asia/Tokyo") else []
    assert len(hours) in (0, 23, 24, 25)


times = spoiled_texts(TIMES) | st.sampled_from(TIMES) | st.datetimes().map(str) | st.sampled_from(ODD)


@given(start=times, end=times)
@example(start="0001-01-01T00:00", end="2026-11-20T09:00")
@example(start="2026-11-20T09:00", end="9999-12-31T23:59:59-12:00")
def test_any_span_that_a_person_asks_for_is_a_window_or_refused_with_its_words(start, end):
    try:
        window = asked_span({"params": {"from": start, "to": end}}, SETTINGS.zone)
    except InvalidKeyError as error:
        assert str(error)
        return
    if window:
        assert to_ms(window.start) <= to_ms(window.end)
        assert Window(window.start - timedelta(days=14), window.end + timedelta(hours=2)).insights_range()


EXPRESSIONS = (
    *("cron(0 9 * * ? *)", "cron(0/5 8-17 ? * MON-FRI *)", "cron(15 10 L * ? 2026)", "cron(0 9 ? * 6#3 *)"),
    *("cron(0 20-2 15W * ? *)", "rate(5 minutes)", "rate(1 hour)", "rate(999999999 days)", "at(2026-11-20T09:00:00)"),
    *("at(0001-01-01T00:00:00)", "at(9999-12-31T23:59:59)", "cron(* * * * ? 1970-2199)"),
)
ANSWER: dict[str, Any] = {
    "Name": "nightly",
    "GroupName": "jobs",
    "Arn": "arn:aws:scheduler:ap-northeast-1:123456789012:schedule/jobs/nightly",
    "ScheduleExpression": "cron(0 9 * * ? *)",
    "ScheduleExpressionTimezone": "Asia/Tokyo",
    "State": "ENABLED",
    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
    "CreationDate": datetime(2025, 1, 1, tzinfo=UTC),
    "LastModificationDate": datetime(2025, 1, 1, tzinfo=UTC),
    "StartDate": datetime(2025, 1, 1, tzinfo=UTC),
    "Target": {
        "Arn": "arn:aws:scheduler:::aws-sdk:glue:startWorkflowRun",
        "RoleArn": "arn:aws:iam::123456789012:role/nightly",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 2},
    },
}
DAY = Window.day("2026-11-19", "Asia/Tokyo")


@given(
    expression=spoiled_texts(EXPRESSIONS) | st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from((*ZONES, "", "x", "../etc/passwd", "\x00", "a" * 300, "Asia")),
    flexible=st.integers(0, 1440),
)
@example(expression="at(0001-01-01T00:00:00)", zone="Asia/Tokyo", flexible=0)
@example(expression="at(9999-12-31T23:59:59)", zone="America/New_York", flexible=0)
def test_any_expression_fires_in_order_within_the_day_or_is_refused_by_name(expression, zone, flexible):
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": flexible}
    answer = {"ScheduleExpression": expression, "ScheduleExpressionTimezone": zone, "FlexibleTimeWindow": window}
    schedule = Schedule.of({**ANSWER, **answer})
    try:
        found = firing_times(schedule, DAY)
    except ScheduleError as error:
        assert str(error).startswith("jobs/nightly: ")
        return
    assert found == sorted(found)
    assert all(instant in DAY for instant in found)


@given(answer=spoiled_values([ANSWER]))
@example(answer={**ANSWER, "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": float("nan")}})
def test_any_answer_of_get_schedule_is_a_schedule_or_refused_by_name(answer):
    try:
        schedule = Schedule.of(answer)
    except ScheduleError as error:
        assert str(error)
        return
    assert schedule.title
