"""Did a schedule fire? Calls matched with expected times, and what cannot be known said to be so."""

import json
import time as clock
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.schedule import Schedule
from log_audit.schedule_health import SLACK, judge
from log_audit.schedule_match import Call
from log_audit.window import Window

TOKYO = "Asia/Tokyo"
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
DAY = Window.day("2026-11-19", TOKYO)  # from 15:00 UTC on the 18th
GLUE = "arn:aws:scheduler:::aws-sdk:glue:startWorkflowRun"
CLUSTER = "arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch"
DENIED = "AccessDeniedException"


def schedule(name="nightly", expression="cron(0 9 * * ? *)", role=None, target=GLUE, flexible=0, retry=None, **changes):
    """A schedule out of what GetSchedule would say; its role is named like itself."""
    mode = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": flexible} if flexible else {"Mode": "OFF"}
    said = {
        "Name": name,
        "GroupName": "jobs",
        "Arn": f"arn:aws:scheduler:ap-northeast-1:123456789012:schedule/jobs/{name}",
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": TOKYO,
        "State": "ENABLED",
        "FlexibleTimeWindow": mode,
        "CreationDate": LONG_AGO,
        "LastModificationDate": LONG_AGO,
        "Target": {
            "Arn": target,
            "RoleArn": f"arn:aws:iam::123456789012:role/{role or name}",
            "RetryPolicy": retry or {},
        },
    }
    return Schedule.of(said | changes)


def at(text, day=19):
    """An instant of the day in Tokyo."""
    return datetime.fromisoformat(f"2026-11-{day}T{text}+09:00")


def call(when, role="nightly", error="", source="glue", event="StartWorkflowRun", **more):
    when = at(when) if isinstance(when, str) else when
    return Call(when, role, f"{source}.amazonaws.com", event, error, **more)


def run_task(when, role, **more):
    return call(when, role, source="ecs", event="RunTask", **more)


def health(one, *calls, window=DAY, read=None):
    (found,) = judge([one], calls, window, read)
    json.dumps(found.to_json(), allow_nan=False)
    return found


HOURLY = "cron(0 * * * ? *)"


def hours(*but, role="nightly"):
    """A call at the beginning of each hour of the day, but for some."""
    return [call(f"{hour:02}:00:07", role) for hour in range(24) if hour not in but]


# As it should be


def test_all_calls_made():
    found = health(schedule(), call("09:00:41"))
    assert (found.status, found.expected, found.seen) == ("ok", (at("09:00"),), 1)
    assert (found.failed, found.missing, found.late, found.is_finding) == ((), (), (), False)
    assert found.notes == ("Made: 1 of 1 expected calls.",)
    assert (found.schedule, found.role, found.call) == (
        "jobs/nightly",
        "nightly",
        "StartWorkflowRun of glue.amazonaws.com",
    )


def test_nothing_due():
    found = health(schedule(expression="cron(0 9 1 * ? *)"))
    assert (found.status, found.expected, found.notes) == ("nothing expected", (), ("No call was due in this window.",))


def test_the_order_of_calls_and_of_schedules_does_not_matter():
    schedules = [schedule(name, HOURLY) for name in "abc"]
    calls = [one for name in "abc" for one in hours(3, role=name)]
    calls = calls[::7] + [one for number, one in enumerate(calls) if number % 7]
    found = judge(schedules, calls, DAY)
    assert [one.schedule for one in found] == ["jobs/a", "jobs/b", "jobs/c"]
    assert [one.missing for one in found] == [(at("03:00"),)] * 3


def test_a_day_in_tokyo_takes_the_calls_of_two_days_in_utc():
    one = schedule(expression="cron(59,0 0,23 * * ? *)")
    last, first = datetime(2026, 11, 19, 14, 59, 59, tzinfo=UTC), datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
    made = [first, at("00:59:20"), at("23:00:01"), last]
    found = health(one, *map(call, made))
    assert (found.status, found.seen) == ("ok", 4)
    # A second later it is the next day in Tokyo, and the call is that of its first firing.
    found = health(one, *map(call, made[:3]), call(last + timedelta(seconds=1)))
    assert (found.status, found.seen, found.missing) == ("missing", 3, (at("23:59"),))


def test_a_record_that_was_delivered_twice_is_counted_once():
    found = health(schedule(), call("09:00:41", event_id="e1"), call("09:00:41", event_id="e1"))
    assert (found.status, found.seen, len(found.notes)) == ("ok", 1, 1)


def test_calls_of_others_are_none_of_its_own():
    others = [
        call("09:00:05", role="other"),
        call("09:00:05", event="StartJobRun"),
        call("09:00:05", source="batch"),
    ]
    assert health(schedule(), *others).status == "missing"


def test_names_of_events_match_in_any_case():
    one = schedule(target="arn:aws:scheduler:::aws-sdk:rds:stopDbInstance")
    assert health(one, call("09:00:05", source="rds", event="StopDBInstance")).status == "ok"


# Missing, failed, late


def test_missing_calls_are_named_with_what_to_look_at():
    found = health(schedule(expression=HOURLY), *hours(3, 4))
    assert (found.status, found.seen, found.missing) == ("missing", 22, (at("03:00"), at("04:00")))
    assert found.is_finding
    assert found.notes[0] == ("Missing: 2 of 24 expected calls, 2026-11-19 03:00:00 JST, 2026-11-19 04:00:00 JST.")
    assert "role nightly is gone or does not trust scheduler.amazonaws.com" in found.notes[1]
    assert "dead-letter queue" in found.notes[1]


def test_many_missing_times_are_cut_in_sentences_and_in_json():
    found = health(schedule(expression="rate(1 minute)", StartDate=LONG_AGO))
    assert "and 1435 more." in found.notes[0]
    told = found.to_json()
    assert (told["missing"], len(told["missing_times"]), told["missing_times"][0]) == (
        1440,
        20,
        "2026-11-18T15:00:00.000Z",
    )


def test_a_universal_target_without_any_call_may_be_a_data_event():
    assert "If StartWorkflowRun of glue.amazonaws.com is a data event" in health(schedule()).notes[2]
    assert len(health(schedule(expression=HOURLY), *hours(3)).notes) == 2
    assert len(health(schedule(target=CLUSTER)).notes) == 2


def test_a_failed_call_is_a_finding_with_its_code():
    found = health(schedule(), call("09:00:05", error=DENIED, error_message="not allowed", event_id="e1"))
    assert (found.status, found.seen, found.missing, found.is_finding) == ("failed", 0, (), True)
    assert found.notes == ("Failed: 1 of 1 expected calls, AccessDeniedException (1).",)
    assert found.to_json()["failures"] == [
        {
            "due": "2026-11-19T00:00:00.000Z",
            "made": "2026-11-19T00:00:05.000Z",
            "tries": 1,
            "code": DENIED,
            "message": "not allowed",
            "event_id": "e1",
        }
    ]


def test_a_failure_without_a_message_is_a_failure():
    assert health(schedule(), call("09:00:05", error="ThrottlingException")).failed[0].message == ""


def test_retries_belong_to_the_firing_that_failed():
    tries = [call(when, error=DENIED) for when in ("09:00:05", "09:00:30", "09:02:00", "10:30:00")]
    found = health(schedule(), *tries)
    assert (found.status, len(found.failed), found.failed[0].tries) == ("failed", 1, 4)
    assert found.failed[0].made == at("10:30:00")


@pytest.mark.parametrize("again", ["09:00:40", "09:07:12", "20:00:00"])
def test_a_retry_that_succeeds_is_seen_with_a_note(again):
    found = health(schedule(), call("09:00:05", error="ThrottlingException"), call(again))
    assert (found.status, found.seen, found.failed, found.late) == ("ok", 1, (), ())
    assert found.notes[1] == "1 call failed at first (ThrottlingException) and succeeded when tried again."


def test_a_retry_is_for_the_latest_failure():
    tries = [call("03:00:07", error=DENIED), call("04:00:07", error=DENIED), call("04:02:00")]
    found = health(schedule(expression=HOURLY), *hours(3, 4), *tries)
    assert (found.status, [failure.due for failure in found.failed]) == ("failed", [at("03:00")])


def test_a_retry_may_come_in_the_time_of_the_next_firing():
    tries = [call("03:00:07", error=DENIED), call("04:00:40")]
    found = health(schedule(expression=HOURLY), *hours(3), *tries)
    assert (found.status, found.seen, found.failed) == ("ok", 24, ())


def test_without_retries_a_later_call_mends_nothing():
    one = schedule(expression=HOURLY, retry={"MaximumRetryAttempts": 0})
    found = health(one, *hours(3), call("03:00:07", error=DENIED), call("04:00:40"))
    assert (found.status, found.seen, len(found.failed)) == ("failed", 23, 1)


def test_calls_that_come_twice_are_no_trouble_and_make_up_for_none_that_is_missing():
    found = health(schedule(expression=HOURLY), *hours(), call("09:00:31"))
    assert (found.status, found.seen) == ("ok", 24)
    assert found.notes[1] == "1 call came more than once; Scheduler promises at least one."
    found = health(schedule(expression=HOURLY), *hours(8), call("09:00:31"))
    assert (found.status, found.missing) == ("missing", (at("08:00"),))


def test_a_late_call_is_late_and_no_finding():
    found = health(schedule(), call("09:17:00"))
    assert (found.status, found.seen, found.late, found.is_finding) == (
        "late",
        1,
        ((at("09:00"), at("09:17")),),
        False,
    )
    assert found.notes[0] == "Late: 1 of 1 expected calls, 2026-11-19 09:00:00 JST."
    assert found.to_json()["late_times"] == [{"due": "2026-11-19T00:00:00.000Z", "made": "2026-11-19T00:17:00.000Z"}]


@pytest.mark.parametrize(
    ("made", "flexible", "status"),
    [
        ("08:59:59", 0, "missing"),
        ("09:00:00", 0, "ok"),
        ("09:00:59", 0, "ok"),
        ("09:01:00", 0, "late"),
        ("09:15:59", 15, "ok"),
        ("09:16:00", 15, "late"),
    ],
)
def test_when_a_call_is_late(made, flexible, status):
    assert health(schedule(flexible=flexible), call(made)).status == status


def test_what_comes_after_the_event_has_expired_is_not_late_but_another():
    one = schedule(retry={"MaximumEventAgeInSeconds": 600})
    found = health(one, call("09:10:01"))
    assert (found.status, found.missing) == ("missing", (at("09:00"),))
    assert "1 call, 0 of them failed, came when none is known to have been due." in found.notes


def test_a_late_call_that_fails_has_failed_until_a_retry_succeeds():
    assert health(schedule(), call("09:17:00", error=DENIED)).status == "failed"
    found = health(schedule(), call("09:17:00", error=DENIED), call("09:20:00"))
    assert (found.status, found.late) == ("late", ((at("09:00"), at("09:17")),))


def test_failed_goes_before_missing_goes_before_late():
    one = schedule(expression=HOURLY)
    late, failed = call("02:30:00"), call("05:00:07", error=DENIED)
    assert health(one, *hours(2), late).status == "late"
    assert health(one, *hours(2, 3), late).status == "missing"
    found = health(one, *hours(2, 3, 5), late, failed)
    assert found.status == "failed"
    assert [len(things) for things in (found.expected, found.failed, found.missing, found.late)] == [24, 1, 1, 1]
    assert found.seen == 22
    assert [note.split(",")[0] for note in found.notes if "24 expected" in note] == [
        "Failed: 1 of 24 expected calls",
        "Missing: 1 of 24 expected calls",
        "Late: 1 of 24 expected calls",
    ]


# The window's ends


def test_a_firing_at_the_end_may_have_its_call_after_the_window():
    one = schedule(expression="cron(50 23 * * ? *)", flexible=30)
    after = at("00:05:00", day=20)
    assert health(one, call(after)).status == "ok"
    assert health(one).missing == (at("23:50"),)
    # Read up to the window's end only, nothing can be said yet.
    found = health(one, read=DAY)
    assert (found.status, found.expected) == ("nothing expected", ())
    assert found.notes == ("1 call may still come after what was read: not judged.",)
    assert health(one, call("23:55:00"), read=DAY).status == "ok"


def test_the_next_windows_calls_make_up_for_none_of_this():
    found = health(schedule(expression=HOURLY), *hours(23), call(at("00:00:07", day=20)))
    assert (found.status, found.missing, len(found.notes)) == ("missing", (at("23:00"),), 2)


def test_calls_beyond_what_was_read_do_not_count():
    assert health(schedule(), call("09:30:00"), read=Window(DAY.start, at("09:10"))).missing == (at("09:00"),)
    assert health(schedule(expression="cron(59 23 * * ? *)"), call(DAY.end + SLACK)).status == "missing"


@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
def test_what_fails_after_the_window_is_for_the_next_one_to_tell(state):
    one = schedule(retry={"MaximumEventAgeInSeconds": 600}, State=state)
    found = health(one, call("09:00:05"), call(at("00:20:00", day=20), error=DENIED))
    assert (found.status, found.failed) == ("ok" if state == "ENABLED" else "not observable", ())


def test_calls_of_firings_before_the_window_are_theirs_if_they_are_read():
    one = schedule(expression="cron(0/10 * * * ? *)", flexible=15)
    before = [call(at("23:50:00", day=18)), call("00:05:00")]  # of 23:40 and 23:50
    own = [call(at("00:14") + timedelta(minutes=10 * n)) for n in range(1, 144)]  # none for 00:00
    read = Window(DAY.start - timedelta(minutes=20), DAY.end + SLACK)
    assert health(one, *before, *own, read=read).missing == (at("00:00"),)


def test_a_retry_of_yesterdays_failure_is_no_failure_of_today():
    found = health(schedule(), call("00:20:00", error=DENIED), call("00:40:00"), call("09:00:05"))
    assert found.status == "ok"
    assert found.notes[1] == "2 calls, 1 of them failed, came when none is known to have been due."
    found = health(schedule(), call("00:40:00", error=DENIED), call("09:00:05"))
    assert (found.status, found.failed[0].due, found.seen) == ("failed", None, 1)
    assert found.notes[0] == "Failed: 1 call that no expected time explains, AccessDeniedException (1)."


# Schedules that were not there, or not the same, all along


def test_a_schedule_created_within_the_window_is_expected_from_then_on():
    created = dict.fromkeys(["CreationDate", "LastModificationDate"], at("20:30"))
    found = health(schedule(expression=HOURLY, **created), *hours(*range(21)))
    assert (found.status, found.expected) == ("ok", (at("21:00"), at("22:00"), at("23:00")))
    assert "It was created at 2026-11-19T11:30:00.000Z" in found.notes[1]


def test_a_schedule_created_after_the_window_is_not_expected():
    created = dict.fromkeys(["CreationDate", "LastModificationDate"], at("08:00", day=20))
    found = health(schedule(expression=HOURLY, **created))
    assert (found.status, found.expected) == ("nothing expected", ())
    assert "after this window" in found.notes[0]


def test_a_schedule_changed_within_the_window_is_expected_from_then_on():
    one = schedule(expression=HOURLY, LastModificationDate=at("20:30"))
    found = health(one, *hours(*range(1, 21)))
    assert (found.status, found.seen) == ("ok", 3)
    assert "1 call, 0 of them failed, came when none is known to have been due." in found.notes
    assert health(one, call("04:00:07", error=DENIED), *hours(*range(21))).status == "failed"


def test_a_schedule_changed_after_the_window_is_not_known():
    found = health(schedule(expression=HOURLY, LastModificationDate=at("08:00", day=20)), *hours(3))
    assert (found.status, found.expected, found.is_finding) == ("not observable", (), False)
    assert "It was last changed at 2026-11-19T23:00" in found.notes[0]
    assert "23 calls" in found.notes[1]


@pytest.mark.parametrize("changed", [LONG_AGO, at("10:30"), at("08:00", day=20)])
def test_a_disabled_schedule_is_not_expected(changed):
    one = schedule(expression=HOURLY, State="DISABLED", LastModificationDate=changed)
    found = health(one)
    assert (found.status, found.expected, len(found.notes)) == ("not observable", (), 1)
    assert found.notes[0].startswith("It is disabled")
    assert health(one, *hours(*range(11, 24))).status == "not observable"
    assert health(one, *hours(*range(11, 24)), call("10:00:30", error=DENIED)).status == "failed"


def test_an_expression_that_cannot_be_read_takes_no_other_schedule_away():
    strange, good = schedule("strange", "cron(0 0 L-3 * ? *)"), schedule()
    first, second = judge([strange, good], [call("09:00:05")], DAY)
    assert (first.status, second.status) == ("not observable", "ok")
    assert first.notes == (
        "jobs/strange: 'cron(0 0 L-3 * ? *)' cannot be read: day of month: 'L' is not one of 1 to 31.",
    )


def test_targets_that_leave_no_record_are_said_to_be_so():
    found = health(schedule(target="arn:aws:lambda:ap-northeast-1:123456789012:function:f"))
    assert (found.status, found.call) == ("not observable", "")
    assert "data event" in found.notes[0]


# Rates


def test_a_rate_is_counted_from_its_creation_within_the_minute():
    one = schedule(expression="rate(6 hours)", CreationDate=at("00:00:37"), LastModificationDate=at("00:00:37"))
    made = [at("00:00:50"), at("06:00:02"), at("12:01:36"), at("18:00:59")]
    found = health(one, *map(call, made))
    assert (found.status, found.seen, found.late) == ("ok", 4, ())


def test_a_changed_rate_is_counted_as_its_calls_show():
    one = schedule(expression="rate(1 hour)", LastModificationDate=datetime(2026, 11, 10, 3, 12, tzinfo=UTC))
    by_change = [call(at("00:12:20") + timedelta(hours=n)) for n in range(24)]
    assert health(one, *by_change).status == "ok"
    assert health(one, *by_change[:5], *by_change[6:]).missing == (at("05:12"),)
    elsewhen = [call(at("00:47:20") + timedelta(hours=n, seconds=7 * n % 30)) for n in range(24)]
    assert health(one, *elsewhen).status == "ok"
    found = health(one, *elsewhen[:5], *elsewhen[6:])
    assert (found.status, len(found.missing), found.seen) == ("missing", 1, 23)
    assert abs(found.missing[0] - at("05:47")) < timedelta(minutes=2)
    found = health(one)
    assert (found.status, len(found.missing)) == ("missing", 24)


def test_a_changed_rate_that_may_be_due_on_another_day_is_told_and_not_alerted():
    one = schedule(expression="rate(5 days)", CreationDate=at("09:00"), LastModificationDate=at("09:00"))
    assert health(one).status == "missing"
    weeks = [datetime(2026, 10, 30, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)]
    found = health(schedule(expression="rate(5 days)", CreationDate=weeks[0], LastModificationDate=weeks[1]))
    assert found.status == "nothing expected"
    assert "counted from its creation, 1 of its times would be missing or late" in found.notes[0]


def test_a_flexible_rate_is_counted_as_its_calls_show():
    one = schedule(expression="rate(1 hour)", flexible=10)
    made = [at("00:21") + timedelta(hours=n, seconds=(391 * n + 200) % 660) for n in range(24)]
    assert health(one, *map(call, made)).status == "ok"


def test_a_rate_with_a_start_date_is_counted_from_that_alone():
    one = schedule(expression="rate(1 hour)", StartDate=LONG_AGO)
    found = health(one, *[call(f"{hour:02}:20:00") for hour in range(24)])
    assert (found.status, len(found.late)) == ("late", 24)


# Whose call is it?


def test_schedules_that_share_a_role_and_a_call_are_not_told_apart():
    pair = [schedule("a", HOURLY, role="shared"), schedule("b", HOURLY, role="shared"), schedule("c", HOURLY)]
    calls = [*hours(role="shared"), call("10:00:30", role="shared", error=DENIED), *hours(role="c")]
    first, second, third = judge(pair, calls, DAY)
    assert [one.status for one in (first, second, third)] == ["not observable", "not observable", "ok"]
    assert first.notes[0].startswith("Its calls cannot be told from those of jobs/b: all call StartWorkflowRun")
    assert "Of 25 calls together 1 call failed. Give each schedule a role of its own." in first.notes[0]
    assert "jobs/a" in second.notes[0]
    assert (first.expected, first.seen, first.missing) == ((), 0, ())


def test_schedules_that_share_a_role_but_call_different_things_are_told_apart():
    pair = [schedule("a", role="shared"), schedule("b", role="shared", target=CLUSTER)]
    found = judge(pair, [call("09:00:05", "shared"), run_task("09:00:09", "shared")], DAY)
    assert [one.status for one in found] == ["ok", "ok"]


def test_where_no_call_was_made_each_of_those_that_share_a_role_is_missing():
    pair = [schedule("a", role="shared"), schedule("b", role="shared")]
    assert [one.status for one in judge(pair, [], DAY)] == ["missing", "missing"]


@pytest.mark.parametrize(
    "gone",
    [
        {"expression": "at(2026-03-01T09:00:00)"},
        {"State": "DISABLED"},
        {"EndDate": datetime(2026, 1, 1, tzinfo=UTC)},
        {"CreationDate": datetime(2026, 12, 1, tzinfo=UTC), "LastModificationDate": datetime(2026, 12, 1, tzinfo=UTC)},
    ],
)
def test_a_schedule_that_cannot_have_fired_shares_nothing(gone):
    pair = [schedule("a", HOURLY, role="shared"), schedule("b", role="shared", **{"expression": HOURLY} | gone)]
    first, second = judge(pair, hours(role="shared"), DAY)
    assert first.status == "ok"
    assert second.status in ("nothing expected", "not observable")


@pytest.mark.parametrize(
    "changes",
    [
        {"State": "DISABLED", "LastModificationDate": at("12:00")},
        {"expression": "at(2026-03-01T09:00:00)", "LastModificationDate": at("12:00")},
        {"expression": "rate(30 days)"},
        {"expression": "at(2026-11-18T23:50:00)"},  # and may have been tried again since
        {"expression": "cron(unknown)"},
    ],
)
def test_a_schedule_that_may_have_fired_shares_the_calls(changes):
    pair = [schedule("a", HOURLY, role="shared"), schedule("b", role="shared", **{"expression": HOURLY} | changes)]
    assert judge(pair, hours(role="shared"), DAY)[0].status == "not observable"


def test_ecs_tasks_name_their_schedule():
    pair = [schedule(name, HOURLY, role="shared", target=CLUSTER) for name in "ab"]
    calls = [
        run_task(f"{hour:02}:00:07", "shared", started_by=f"chronos-schedule/{name}")
        for name in "ab"
        for hour in range(24)
        if (name, hour) != ("b", 4)
    ]
    first, second = judge(pair, calls, DAY)
    assert (first.status, second.status, second.missing) == ("ok", "missing", (at("04:00"),))
    # One that names none can be of either.
    first, second = judge(pair, [*calls, run_task("04:00:09", "shared", started_by="by-hand")], DAY)
    assert (first.status, second.status) == ("not observable", "not observable")


def test_ecs_tasks_that_name_another_schedule_are_not_its_own():
    one = schedule("a", role="shared", target=CLUSTER)
    deleted = run_task("09:00:05", "shared", started_by="chronos-schedule/deleted")
    assert health(one, deleted).status == "missing"
    assert health(one, deleted, run_task("09:00:07", "shared", started_by="chronos-schedule/a")).status == "ok"


def test_two_groups_can_have_a_schedule_of_one_name():
    pair = [schedule("a", role="shared", target=CLUSTER, GroupName=group) for group in ("x", "y")]
    found = judge(pair, [run_task("09:00:05", "shared", started_by="chronos-schedule/a")], DAY)
    assert [one.status for one in found] == ["not observable", "not observable"]
    assert "those of y/a" in found[0].notes[0]


def test_a_record_without_a_role_is_of_the_only_schedule_that_makes_such_calls():
    found = health(schedule(), call("09:00:05", role=""))
    assert (found.status, found.seen) == ("ok", 1)
    assert "recorded without a role" in found.notes[1]


def test_a_record_without_a_role_is_nobodys_where_several_make_such_calls():
    first, second = judge([schedule("a"), schedule("b")], [call("09:00:05", "a"), call("09:00:06", "")], DAY)
    assert (first.status, second.status) == ("ok", "missing")
    assert second.notes[-1] == "1 call of the same kind are recorded without a role and may be its own."


def test_an_ecs_task_without_a_role_still_names_its_schedule():
    pair = [schedule("a", target=CLUSTER), schedule("b", target=CLUSTER)]
    calls = [run_task("09:00:05", "a"), run_task("09:00:05", "", started_by="chronos-schedule/b")]
    assert [one.status for one in judge(pair, calls, DAY)] == ["ok", "ok"]


# Properties

OUTCOMES = ["ok", "ok", "missing", "failed", "twice"]
RETRIED = ["ok", "ok", "missing", "failed", "retried"]


def planted(outcomes, period, rng):
    """The calls of a day's firings with these outcomes."""
    calls = []
    for number, outcome in enumerate(outcomes):
        due = DAY.start + number * period
        moments = sorted(due + timedelta(seconds=rng.randrange(60)) for _ in range(2))
        if outcome in ("ok", "twice"):
            calls += [call(moment) for moment in moments[: 1 + (outcome == "twice")]]
        elif outcome in ("failed", "retried"):
            calls.append(call(moments[0], error=DENIED))
        if outcome == "retried":
            calls.append(call(moments[1] + timedelta(seconds=rng.randrange(200))))
    rng.shuffle(calls)
    return calls


@pytest.mark.parametrize(("kinds", "retries"), [(OUTCOMES, 0), (RETRIED, 185)])
@given(data=st.data())
def test_what_was_planted_is_found(kinds, retries, data):
    step = data.draw(st.sampled_from([5, 20, 60, 240]))
    period = timedelta(minutes=step)
    outcomes = data.draw(st.lists(st.sampled_from(kinds), min_size=1440 // step, max_size=1440 // step))
    calls = planted(outcomes, period, data.draw(st.randoms(use_true_random=False)))
    expression = f"cron(0/{step} * * * ? *)" if step < 60 else f"cron(0 0/{step // 60} * * ? *)"
    found = health(schedule(expression=expression, retry={"MaximumRetryAttempts": retries}), *calls)
    due = [DAY.start + number * period for number in range(len(outcomes))]
    assert found.expected == tuple(due)
    assert found.missing == tuple(time for time, outcome in zip(due, outcomes, strict=True) if outcome == "missing")
    assert [failure.due for failure in found.failed] == [
        time for time, outcome in zip(due, outcomes, strict=True) if outcome == "failed"
    ]
    assert found.seen == len(due) - len(found.missing) - len(found.failed)
    assert not found.late


@given(
    made=st.lists(st.tuples(st.integers(-3600, 90_000), st.booleans()), max_size=60),
    step=st.sampled_from([1, 7, 30, 60]),
    flexible=st.sampled_from([0, 5, 45]),
)
def test_whatever_comes_the_numbers_add_up(made, step, flexible):
    calls = [call(DAY.start + timedelta(seconds=second), error=DENIED * failed) for second, failed in made]
    read = Window(DAY.start - timedelta(hours=1), DAY.end + timedelta(hours=2))
    found = health(schedule(expression=f"rate({step} minutes)", flexible=flexible), *calls, read=read)
    failed = [failure for failure in found.failed if failure.due]
    assert found.seen + len(failed) + len(found.missing) == len(found.expected)
    assert len(found.late) <= found.seen
    assert found.seen <= sum(not failed for _, failed in made)
    assert all(made >= due for due, made in found.late)
    assert found.notes


def test_a_busy_day_of_many_schedules_is_judged_in_seconds():
    schedules = [schedule(f"s{n}", "cron(* * * * ? *)") for n in range(20)]
    calls = [
        call(DAY.start + timedelta(minutes=minute, seconds=10 + tries), f"s{n}", DENIED)
        for n in range(20)
        for minute in range(1440)
        for tries in range(5)
    ]
    began = clock.monotonic()
    found = judge(schedules, calls, DAY)
    assert clock.monotonic() - began < 30
    assert [one.status for one in found] == ["failed"] * 20
