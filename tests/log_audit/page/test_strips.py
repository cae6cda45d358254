"""The last hours of a check: nothing that was looked at is lost, nothing that was not is claimed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from log_audit.page.model import Event
from log_audit.page.strips import GRACE, Span, incidents, strips

MINUTE = 60_000
START, NOW = 0, 24 * 60 * MINUTE
NAME = "tokyo/errors"


def event(start, end, total=0, run="r"):
    look = {"query": "errors", "target": "tokyo", "start": start * MINUTE, "end": end * MINUTE, "total": total}
    return Event(1, "insights_checks", end, "insights_checks", run, "alert", -1, "", {"looks": [look]})


def strip(events, failed=(), now=NOW):
    return strips(events, {NAME: failed} if failed else {}, START, now)[NAME]


def spans(*args, **kwargs):
    return [(state, start // MINUTE, end // MINUTE) for state, start, end, _, _ in strip(*args, **kwargs)["spans"]]


def test_windows_that_are_alike_become_one_shape():
    day = [event(n, n + 5) for n in range(0, 1430, 5)]
    assert spans(day) == [("clean", 0, 1430), ("waiting", 1430, 1440)]
    assert strip(day)["windows"] == {"clean": 286, "found": 0}


def test_a_finding_stands_out():
    day = [event(n, n + 5, total=3 if n == 100 else 0) for n in range(0, 1430, 5)]
    assert spans(day)[:3] == [("clean", 0, 100), ("found", 100, 105), ("clean", 105, 1430)]
    assert strip(day)["total"] == 3


def test_a_hole_is_a_gap_and_a_failed_look_in_it_is_a_failure():
    day = [event(0, 100), event(120, 1430)]
    assert spans(day)[1] == ("gap", 100, 120)
    failed = [Span(105 * MINUTE, 110 * MINUTE, "failed", 0, "bad")]
    assert spans(day, failed)[1:4] == [("gap", 100, 105), ("failed", 105, 110), ("gap", 110, 120)]


def test_what_a_later_run_covered_has_not_failed():
    failed = [Span(100 * MINUTE, 105 * MINUTE, "failed", 0, "bad")]
    assert strip([event(0, 100), event(100, 1430)], failed)["failed"] == 0


def test_before_the_first_window_nothing_is_known():
    assert spans([event(700, 1430)])[0] == ("unknown", 0, 700)


def test_a_check_that_has_stopped_has_a_gap_at_its_end():
    assert spans([event(0, 600)])[1] == ("gap", 600, 1440 - GRACE // MINUTE)


def test_overlaps_count_once():
    assert spans([event(0, 700), event(300, 1430, total=1)]) == [
        ("clean", 0, 700), ("found", 700, 1430), ("waiting", 1430, 1440)]  # fmt: skip


windows = st.lists(st.tuples(st.integers(-50, 1440), st.integers(1, 60), st.integers(0, 2)), max_size=30)


@given(windows, st.lists(st.tuples(st.integers(0, 1400), st.integers(1, 30)), max_size=10))
def test_the_spans_cover_the_time_once_and_say_clean_only_of_what_was_looked_at(looked, failed):
    events = [event(start, start + length, total) for start, length, total in looked]
    bad = [Span(start * MINUTE, (start + length) * MINUTE, "failed") for start, length in failed]
    if not events and not bad:
        return
    found = strips(events, {NAME: bad}, START, NOW)[NAME]["spans"]
    assert found[0][1] == START
    assert found[-1][2] == NOW
    assert all(left[2] == right[1] for left, right in pairwise(found))
    seen = {minute for start, length, _ in looked for minute in range(max(start, 0), min(start + length, 1440))}
    told = {minute for state, start, end, _, _ in found if state in ("clean", "found")
            for minute in range(start // MINUTE, end // MINUTE)}  # fmt: skip
    assert told == seen


def test_incidents_are_those_of_the_regular_checks():
    going = {"since": 10, "until": 20, "threads": {"log-audit": "1.2"}, "total": 5, "untold": 1, "told_at": 15,
             "told_rate": 1.0, "link": "https://slack/p1"}  # fmt: skip
    records = {
        "regular/tokyo/errors": {"watermark": 20, "incident": going},
        "regular/tokyo/later": {"watermark": 20, "incident": {**going, "since": 12}},
        "regular/tokyo/quiet": {"watermark": 20},
        "late/tokyo/errors": {"watermark": 20, "incident": going},
    }
    assert [(entry["query"], entry["slack"]) for entry in incidents(records)] == [
        ("later", "https://slack/p1"),
        ("errors", "https://slack/p1"),
    ]
