"""When to look at which jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.polling import LONGEST, SHORTEST, Agenda, Bucket, Retreat, pause, slot_pause

DURATIONS = [1.1**n for n in range(86)]  # 1 s to an hour, as many short jobs as long ones


def looks(duration, pause):
    """How many looks a job costs that takes so long, and how late its end is seen."""
    at, number = 0.0, 1
    while at < duration:
        at, number = at + pause(at), number + 1
    return number, at - duration


def test_the_pause_grows_with_the_jobs_age():
    assert [pause(age) for age in (-5, 0, 9, 30, 60, 180, 3600)] == [1.5, 1.5, 1.5, 5, 10, 30, 30]
    assert [slot_pause(age) for age in (-5, 0, 60, 120, 3600)] == [1.5, 1.5, 1.5, 3, 30]


def test_the_end_is_seen_soon_enough_and_with_no_more_calls_than_every_five_seconds():
    seen = [(duration, *looks(duration, pause)) for duration in DURATIONS]
    for low in (1, 5, 30, 120, 600):  # several of each length, since chance decides how late a single one is seen
        some = [one for one in seen if low <= one[0] < 6 * low]
        late = sum(late for _, _, late in some) / len(some)
        assert late <= max(1.0, 0.1 * sum(duration for duration, *_ in some) / len(some))
    assert sum(number for _, number, _ in seen) < sum(1 + duration / 5 for duration, *_ in seen) / 2


@given(st.floats(-10, 1e7))
def test_a_pause_has_bounds(age):
    assert SHORTEST <= pause(age) <= LONGEST
    assert SHORTEST <= slot_pause(age) <= LONGEST


def test_those_who_are_due_come_first_and_others_ride_along():
    agenda = Agenda(3)
    for job, due in {"a": 30.0, "b": 10.0, "c": 20.0, "d": 40.0}.items():
        agenda.set(job, due)
    assert agenda.due() == 10
    assert agenda.next() == ["b", "c", "a"]
    agenda.set("b", 50.0)
    agenda.drop("c")
    agenda.drop("c")
    assert (agenda.due(), agenda.next(), len(agenda)) == (30, ["a", "d", "b"], 3)


def test_an_empty_agenda_has_no_time():
    with pytest.raises(ValueError, match="empty"):
        Agenda(3).due()


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 4), st.integers(1, 20))
def test_the_bucket_is_never_over_its_rate(delays, burst, rate):
    bucket, now, calls = Bucket(rate, burst), 100.0, []
    for delay in delays:
        now = max(now + delay, bucket.ready(now + delay))
        bucket.take(now)
        calls.append(now)
    for first, start in enumerate(calls):
        for number, end in enumerate(calls[first:], 1):
            assert number <= burst + rate * (end - start) + 1e-6


def test_a_full_bucket_lets_the_next_call_through_at_once():
    bucket = Bucket(rate=2)
    assert bucket.ready(5.0) == 5.0
    bucket.take(5.0)
    assert bucket.ready(5.0) == 5.5
    assert bucket.ready(60.0) == 60.0
    bucket.take(60.0)
    assert bucket.ready(60.0) == 60.5  # an hour of silence saves up no burst


def test_faults_in_a_row_make_it_retreat_longer_and_an_answer_ends_that():
    retreat = Retreat(spread=lambda: 1.0)
    assert [retreat.fault(100.0) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    assert retreat.until == 160
    retreat.over()
    assert retreat.fault(0.0) == 2
    assert Retreat(spread=lambda: 0.0).fault(0.0) == 1
