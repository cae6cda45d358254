"""What is remembered of a check: windows without gap or overlap, one incident at a time."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.findings import Findings
from log_audit.watch import Incident, Watch, given_up_note, outbox_key, plan_window, settled, what_to_say
from log_audit.window import Window, from_ms, to_ms

START = datetime(2026, 11, 20, tzinfo=UTC)
SETTLE, CATCH_UP = timedelta(minutes=2), timedelta(hours=24)
FIVE = 300_000


def interval(number):
    return Window(START + number * timedelta(minutes=5), START + (number + 1) * timedelta(minutes=5))


def found(total, number=0, **more):
    start = to_ms(START) + number * FIVE
    return Findings("errors", "tokyo", "Errors", "high", start, start + FIVE, total, [], **more)


@given(skipped=st.lists(st.booleans(), min_size=1, max_size=40))
def test_whatever_runs_are_missed_windows_abut(skipped):
    watch, spans = Watch(), []
    for number, missed in enumerate(skipped):
        plan = None if missed else plan_window(watch, interval(number), SETTLE, CATCH_UP)
        if plan:
            spans.append(plan.window)
            watch = replace(watch, watermark=to_ms(plan.window.end))
    assert all(one.end == other.start for one, other in itertools.pairwise(spans))
    assert all(plan.end == interval(n).end - SETTLE for plan, n in zip(spans, _made(skipped), strict=True))


def _made(skipped):
    return [number for number, missed in enumerate(skipped) if not missed]


def test_the_first_run_looks_at_its_interval_shifted_by_settle():
    plan = plan_window(Watch(), interval(0), SETTLE, CATCH_UP)
    assert plan.window == Window(interval(0).start - SETTLE, interval(0).end - SETTLE)


def test_a_watermark_beyond_the_interval_leaves_nothing_to_look_at():
    watch = Watch(watermark=to_ms(interval(0).end))
    assert plan_window(watch, interval(0), SETTLE, CATCH_UP) is None


def test_what_is_too_far_back_is_given_up_aloud():
    watch = Watch(watermark=to_ms(START - timedelta(hours=30)))
    plan = plan_window(watch, interval(0), SETTLE, CATCH_UP)
    assert plan.window.end - plan.window.start == CATCH_UP
    assert plan.given_up == Window(from_ms(watch.watermark), plan.window.start)
    assert "was not" not in given_up_note(plan.given_up, CATCH_UP)
    assert "2026-11-18T18:00:00.000Z" in given_up_note(plan.given_up, CATCH_UP)


def test_a_window_in_the_outbox_is_planned_again_as_it_was():
    watch = Watch(watermark=to_ms(START), outbox=(to_ms(START), to_ms(START) + FIVE))
    assert plan_window(watch, interval(9), SETTLE, CATCH_UP).window == interval(0)


@given(counts=st.lists(st.integers(0, 50), max_size=60))
def test_incidents_account_for_every_finding(counts):
    """Whatever is told and whatever is kept back: the totals of closed incidents and of the open one add up."""
    watch, closed = Watch(), 0
    for number, total in enumerate(counts):
        findings = found(total, number)
        say = what_to_say(watch, findings)
        if say and say.kind == "recovered":
            closed += say.incident.total
        if say:
            watch = watch.sending(findings).accepted("alerts", str(number))
        watch = settled(watch, findings, say)
        assert watch.watermark == findings.end
        assert (watch.outbox, watch.sent) == (None, {})
        assert (watch.incident is not None) == (total > 0)
    assert closed + (watch.incident.total if watch.incident else 0) == sum(counts)


@pytest.mark.parametrize(
    ("minutes", "total", "kind"),
    [(5, 1, None), (5, 9, None), (5, 10, "update"), (55, 1, None), (60, 1, "update"), (5, 0, "recovered")],
)
def test_the_pace_of_a_condition_that_lasts(minutes, total, kind):
    told_at = to_ms(START) + FIVE
    watch = Watch(incident=Incident(to_ms(START), told_at, {"alerts": "1.0"}, 1, 0, told_at, told_rate=1 / 5))
    say = what_to_say(watch, found(total, minutes // 5))
    assert (say.kind if say else None) == kind


def test_a_longer_window_with_more_findings_is_no_jump():
    """An outage's one long window holds more findings, at the same rate."""
    watch = Watch(incident=Incident(0, to_ms(START), {}, 5, 0, to_ms(START), told_rate=1.0))
    half_an_hour = replace(found(30), end=to_ms(START) + 6 * FIVE)
    assert what_to_say(watch, half_an_hour) is None


def test_missing_log_groups_are_told_when_the_news_is_new():
    watch = Watch()
    say = what_to_say(watch, found(0, missing=["/gone"]))
    assert say.kind == "notice"
    watch = settled(watch, found(0, missing=["/gone"]), say)
    assert what_to_say(watch, found(0, 1, missing=["/gone"])) is None
    watch = settled(watch, found(0, 1), None)
    assert what_to_say(watch, found(0, 2, missing=["/gone"])).kind == "notice"


def test_an_incident_whose_log_group_has_gone_has_not_recovered():
    watch = Watch(incident=Incident(0, to_ms(START), {"alerts": "1.0"}, 5, 0, to_ms(START), told_rate=1.0))
    gone = found(0, missing=["/app"])
    say = what_to_say(watch, gone)
    assert (say.kind, say.in_thread) == ("notice", True)
    watch = settled(watch, gone, say)
    assert watch.incident.total == 5
    assert what_to_say(watch, found(0, 1, missing=["/app"])) is None
    assert what_to_say(watch, found(0, 2)).kind == "recovered"


def test_without_incidents_every_window_stands_for_itself():
    assert what_to_say(Watch(), found(3), incidents=False).kind == "found"
    assert what_to_say(Watch(), found(0), incidents=False) is None


def test_the_record_survives_json():
    watch = Watch(
        watermark=1,
        incident=Incident(1, 2, {"alerts": "3.4"}, 5, 6, 7, 8.5),
        outbox=(9, 10),
        sent={"alerts": "11.0"},
        missing=("/gone",),
    )
    assert Watch.of(json.loads(json.dumps(watch.to_json()))) == watch
    assert Watch.of(None) == Watch()


def test_a_message_key_is_the_same_for_every_attempt_and_no_other_window():
    assert outbox_key("regular", found(1)) == outbox_key("regular", found(7))
    assert len({outbox_key(scope, found(1, n)) for scope in ("regular", "late") for n in range(3)}) == 6
