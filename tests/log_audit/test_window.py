"""Windows: keys, bounds, and what daylight saving does to them."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.errors import InvalidKeyError, WindowNotOverError
from log_audit.window import Window, from_ms, iso, last_settled_month, month_keys_before, read_time, to_ms

TOKYO = "Asia/Tokyo"
ZONES = [TOKYO, "UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]
MAKERS = {"month": Window.month, "day": Window.day, "hour": Window.hour}
wall_times = st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31))
instants = st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


def key_of(kind, wall):
    return wall.strftime({"month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H"}[kind])


def next_wall(kind, wall):
    if kind == "month":
        return (wall.replace(day=1) + timedelta(days=32)).replace(day=1)
    return wall + {"day": timedelta(days=1), "hour": timedelta(hours=1)}[kind]


def next_window(kind, wall, tz):
    """The window of the next key that exists: clocks may skip hours and even (Apia, 2011) a day."""
    for _ in range(4):
        wall = next_wall(kind, wall)
        try:
            return MAKERS[kind](key_of(kind, wall), tz)
        except InvalidKeyError as error:
            assert "clocks skip" in str(error)
    raise AssertionError("four keys in a row do not exist")


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("kind", MAKERS)
@given(wall=wall_times)
def test_consecutive_windows_abut(kind, tz, wall):
    try:
        window = MAKERS[kind](key_of(kind, wall), tz)
    except InvalidKeyError as error:
        assert "clocks skip" in str(error)
        return
    assert window.end == next_window(kind, wall, tz).start


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("kind", ["month", "day"])
@given(instant=instants)
def test_every_instant_lies_in_the_window_of_its_own_key(kind, tz, instant):
    assert instant in MAKERS[kind](key_of(kind, instant.astimezone(ZoneInfo(tz))), tz)


@pytest.mark.parametrize("tz", [TOKYO, "UTC"])
@given(instant=instants)
def test_every_instant_lies_in_its_hour(tz, instant):
    assert instant in Window.hour(key_of("hour", instant.astimezone(ZoneInfo(tz))), tz)


@pytest.mark.parametrize(
    ("kind", "key", "tz", "start", "hours"),
    [
        ("month", "2026-10", TOKYO, "2026-09-30T15:00:00.000Z", 31 * 24),
        ("month", "2028-02", TOKYO, "2028-01-31T15:00:00.000Z", 29 * 24),
        ("month", "2100-02", "UTC", "2100-02-01T00:00:00.000Z", 28 * 24),
        ("month", "2025-12", TOKYO, "2025-11-30T15:00:00.000Z", 31 * 24),
        ("month", "2026-03", "America/New_York", "2026-03-01T05:00:00.000Z", 31 * 24 - 1),
        ("day", "2026-11-19", TOKYO, "2026-11-18T15:00:00.000Z", 24),
        ("day", "2026-03-08", "America/New_York", "2026-03-08T05:00:00.000Z", 23),
        ("day", "2026-11-01", "America/New_York", "2026-11-01T04:00:00.000Z", 25),
        ("day", "2026-10-04", "Australia/Lord_Howe", "2026-10-03T13:30:00.000Z", 23.5),
        ("hour", "2026-11-20T09", TOKYO, "2026-11-20T00:00:00.000Z", 1),
        ("hour", "2026-11-01T01", "America/New_York", "2026-11-01T05:00:00.000Z", 2),
        ("hour", "2026-10-04T02", "Australia/Lord_Howe", "2026-10-03T15:30:00.000Z", 0.5),
        ("hour", "2026-04-05T01", "Australia/Lord_Howe", "2026-04-04T14:00:00.000Z", 1.5),
    ],
)
def test_known_windows(kind, key, tz, start, hours):
    window = MAKERS[kind](key, tz)
    assert iso(window.start) == start
    assert window.end - window.start == timedelta(hours=hours)


def test_the_seed_example_month_before_a_run_in_tokyo():
    run = datetime(2019, 1, 25, 12, tzinfo=ZoneInfo(TOKYO))
    first, last = Window.month(next(month_keys_before(run, TOKYO)), TOKYO).export_range()
    assert iso(from_ms(first)) == "2018-11-30T15:00:00.000Z"
    assert iso(from_ms(last)) == "2018-12-31T14:59:59.999Z"


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("month", "2026-13"),
        ("month", "2026-00"),
        ("month", "2026-1"),
        ("month", "2026-10 "),
        ("month", "2026-10\n"),
        ("month", "２０２６-10"),
        ("month", "2026-10-01"),
        ("month", "0000-01"),
        ("month", "9999-12"),
        ("month", ""),
        ("month", None),
        ("day", "2026-02-29"),
        ("day", "2026-10"),
        ("hour", "2026-11-20T24"),
        ("hour", "2026-11-20 09"),
    ],
)
def test_malformed_keys_are_refused_with_an_example(kind, key):
    with pytest.raises(InvalidKeyError, match=f"no {kind}"):
        MAKERS[kind](key, TOKYO)


def test_an_hour_that_clocks_skip_is_refused():
    with pytest.raises(InvalidKeyError, match="clocks skip that hour"):
        Window.hour("2026-03-08T02", "America/New_York")


def test_a_day_that_clocks_skip_is_refused():
    with pytest.raises(InvalidKeyError, match="clocks skip that day"):
        Window.day("2011-12-30", "Pacific/Apia")


@given(text=st.text())
def test_any_text_is_a_key_or_an_invalid_key(text):
    for make in MAKERS.values():
        try:
            assert make(text, TOKYO).start.tzinfo is UTC
        except InvalidKeyError as error:
            assert repr(text) in str(error)


def test_naive_and_empty_windows_are_refused():
    noon = datetime(2026, 10, 1, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="no time zone"):
        Window(datetime(2026, 10, 1), noon)
    with pytest.raises(ValueError, match="must end after it starts"):
        Window(noon, noon)
    with pytest.raises(ValueError, match="must end after it starts"):
        Window(noon, noon - timedelta(seconds=1))


@given(start=instants, length=st.timedeltas(timedelta(milliseconds=1), timedelta(days=40)), events=st.data())
def test_bounds_for_each_api_agree_with_the_window(start, length, events):
    start = from_ms(to_ms(start))
    window = Window(start, from_ms(to_ms(start + length)))
    event = from_ms(events.draw(st.integers(to_ms(window.start) - 5000, to_ms(window.end) + 5000)))
    first, last = window.export_range()
    assert (first <= to_ms(event) <= last) == (event in window)
    if event in window:
        begin, end = window.insights_range()
        assert begin <= to_ms(event) // 1000 <= end
        assert event.strftime("%Y/%m/%d") in window.utc_days(slack=0)


@given(start=instants, length=st.timedeltas(timedelta(seconds=1), timedelta(days=2)), event=instants)
def test_abutting_windows_split_cloudtrail_records_exactly(start, length, event):
    text = event.strftime("%Y-%m-%dT%H:%M:%SZ")
    windows = [Window(start, start + length), Window(start + length, start + 2 * length)]
    seen = [low <= text < high for low, high in (w.eventtime_range() for w in windows)]
    assert sum(seen) == (seen[0] or seen[1])


def test_bounds_of_a_japanese_day():
    window = Window.day("2026-11-19", TOKYO)
    assert window.utc_days() == ["2026/11/18", "2026/11/19", "2026/11/20"]
    assert window.eventtime_range() == ("2026-11-18T15:00:00Z", "2026-11-19T15:00:00Z")
    assert window.insights_range() == (1795014000, 1795100400)
    assert window.insights_cut() == "toMillis(@timestamp) >= 1795014000000 and toMillis(@timestamp) < 1795100400000"


def test_a_window_must_be_over_and_settled():
    window, settle = Window.month("2026-10", TOKYO), timedelta(hours=12)
    with pytest.raises(WindowNotOverError, match=r"after 2026-11-01 12:00 JST \(2026-11-01T03:00:00.000Z\)"):
        window.require_over(datetime(2026, 11, 1, 2, 59, 59, tzinfo=UTC), settle, TOKYO)
    window.require_over(datetime(2026, 11, 1, 3, tzinfo=UTC), settle, TOKYO)


def test_the_datetimes_that_airflow_hands_out_become_plain_ones():
    start = pendulum.datetime(2026, 11, 20, 12, tz=TOKYO)
    window = Window(start, start.add(minutes=5))
    assert type(window.start) is datetime
    assert (window.end - timedelta(minutes=2)).tzinfo is UTC
    assert iso(window.start) == "2026-11-20T03:00:00.000Z"


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (datetime(2026, 11, 1, 2, 59, tzinfo=UTC), "2026-09"),
        (datetime(2026, 11, 1, 3, 0, tzinfo=UTC), "2026-10"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2025-12"),
    ],
)
def test_the_last_settled_month(now, month):
    assert last_settled_month(now, timedelta(hours=12), TOKYO) == month


def test_the_host_time_zone_changes_nothing():
    code = (
        "from log_audit.window import Window; w = Window.month('2026-10', 'Asia/Tokyo');"
        "print(w.export_range(), w.insights_range(), w.utc_days(), w.describe('Asia/Tokyo'))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TZ": tz, "PYTHONPATH": "plugins"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for tz in ("UTC", TOKYO, "America/New_York", "Australia/Lord_Howe")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59"])
def test_a_time_of_a_year_that_no_log_is_of_is_refused(text):
    with pytest.raises(InvalidKeyError, match=r"the year must lie in 1970 \.\. 9998"):
        read_time(text, TOKYO)
