"""Which stopped ECS tasks count, and of which window they are."""

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.delivery import StoppedTask, is_known, judge, newest, read_event, silent_at
from log_audit.errors import UnreadableMessageError
from log_audit.redaction import Redactor
from log_audit.settings import Shipper

TOKYO = ZoneInfo("Asia/Tokyo")
REDACTOR = Redactor(["customer-[0-9]+"])
SHIPPERS = {
    "aurora-prod": Shipper(ecs_cluster="batch", command=["aurora-prod"], family="shipper"),
    "aurora-day": Shipper(ecs_cluster="batch", command=["ship", "aurora-day"], ships="day"),
}
DETAIL = {
    "clusterArn": "arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch",
    "containers": [
        {"name": "router", "exitCode": 143, "lastStatus": "STOPPED"},
        {"name": "shipper", "exitCode": 0, "lastStatus": "STOPPED"},
    ],
    "createdAt": "2023-04-29T06:00:12.512Z",
    "group": "family:shipper",
    "lastStatus": "STOPPED",
    "overrides": {"containerOverrides": [{"command": ["aurora-prod"], "name": "shipper"}]},
    "startedAt": "2023-04-29T06:00:27.588Z",
    "stopCode": "EssentialContainerExited",
    "stoppedAt": "2023-04-29T06:05:09.47Z",
    "stoppedReason": "Essential container in task exited",
    "taskArn": "arn:aws:ecs:ap-northeast-1:123456789012:task/batch/0123abc",
    "taskDefinitionArn": "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/shipper:12",
    "version": 5,
}
MISSING = object()


def changed(**changes):
    """The detail with other values at dotted paths; MISSING takes one away."""
    detail = copy.deepcopy(DETAIL)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = detail
        for name in parents:
            place = place[int(name) if name.isdecimal() else name]
        last = int(last) if last.isdecimal() else last
        if value is MISSING:
            del place[last]
        else:
            place[last] = value
    return detail


def verdict(detail):
    task = judge(detail, SHIPPERS, TOKYO, REDACTOR)
    return task and task.verdict


def test_a_delivery_of_the_hour_before_the_task_started():
    assert judge(DETAIL, SHIPPERS, TOKYO, REDACTOR) == StoppedTask(
        task="batch/0123abc",
        version=5,
        verdict="delivery",
        cluster="aurora-prod",
        key="aurora-prod/2023-04-29T14",
        started=1682748027588,
        stopped=1682748309470,
        exit_code=0,
        stop_code="EssentialContainerExited",
        reason="Essential container in task exited",
    )


def test_the_api_gives_datetimes_and_means_the_same():
    times = {name: datetime.fromisoformat(DETAIL[name]) for name in ("createdAt", "startedAt", "stoppedAt")}
    assert judge({**DETAIL, **times}, SHIPPERS, TOKYO, REDACTOR) == judge(DETAIL, SHIPPERS, TOKYO, REDACTOR)


def test_a_day_that_was_shipped_after_midnight_in_tokyo():
    override = {"command": ["ship", "aurora-day"], "name": "shipper"}
    detail = changed(startedAt="2026-11-19T15:10:00Z", overrides__containerOverrides=[override])
    task = judge(detail, SHIPPERS, TOKYO, REDACTOR)
    assert (task.cluster, task.key) == ("aurora-day", "aurora-day/2026-11-19")


@pytest.mark.parametrize(("lag", "key"), [(0, "2023-04-29T15"), (1, "2023-04-29T14"), (16, "2023-04-28T23")])
def test_the_lag_counts_hours_back(lag, key):
    shipper = Shipper(ecs_cluster="batch", command=["aurora-prod"], lag=lag)
    assert judge(DETAIL, {"a": shipper}, TOKYO, REDACTOR).key == f"a/{key}"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"containers__0__exitCode": 137}, id="the side-car was killed"),
        pytest.param({"containers__0__exitCode": MISSING}, id="the side-car has no exit code"),
        pytest.param({"group": "service:shipping"}, id="started by a service"),
        pytest.param({"stopCode": "UserInitiated"}, id="stopped by hand when it was through"),
        pytest.param({"stopCode": MISSING, "stoppedReason": MISSING}, id="no reason given"),
        pytest.param(
            {"overrides__containerOverrides": [{"name": "router"}, {"name": "shipper", "command": ["aurora-prod"]}]},
            id="another override before it",
        ),
    ],
)
def test_still_a_delivery(changes):
    assert verdict(changed(**changes)) == "delivery"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"containers__1__exitCode": 1, "containers__0__exitCode": 0}, id="the shipper failed"),
        pytest.param({"containers__1__exitCode": 143, "containers__0__exitCode": 0}, id="only the side-car is well"),
        pytest.param({"containers__1__exitCode": MISSING}, id="no exit code"),
        pytest.param({"containers": []}, id="no containers"),
        pytest.param({"containers": MISSING}, id="not even a list of them"),
        pytest.param({"containers": [], "startedAt": MISSING, "stopCode": "TaskFailedToStart"}, id="never started"),
    ],
)
def test_a_bad_end(changes):
    task = judge(changed(**changes), SHIPPERS, TOKYO, REDACTOR)
    assert (task.verdict, task.key) == ("bad_end", "aurora-prod/2023-04-29T14")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"overrides__containerOverrides__0__command": ["sh", "aurora-prod"]}, id="a longer command"),
        pytest.param({"overrides__containerOverrides__0__command": ["aurora-prod", "--all"]}, id="more arguments"),
        pytest.param({"overrides__containerOverrides__0__command": ["aurora-day", "ship"]}, id="in another order"),
        pytest.param({"overrides__containerOverrides__0__command": MISSING}, id="no command"),
        pytest.param({"overrides__containerOverrides": []}, id="no overrides"),
        pytest.param({"overrides": MISSING}, id="not even a list of them"),
        pytest.param({"clusterArn": "arn:aws:ecs:ap-northeast-1:1:cluster/batch2"}, id="another ECS cluster"),
        pytest.param({"taskDefinitionArn": "arn:aws:ecs:x:1:task-definition/shipper2:1"}, id="another family"),
        pytest.param({"lastStatus": "DEPROVISIONING"}, id="not stopped yet"),
        pytest.param({"lastStatus": "RUNNING"}, id="running"),
    ],
)
def test_not_ours(changes):
    assert verdict(changed(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"lastStatus": MISSING},
        {"clusterArn": MISSING},
        {"clusterArn": 5},
        {"taskArn": MISSING},
        {"version": "five"},
        {"stoppedAt": MISSING},
        {"startedAt": "yesterday"},
        {"startedAt": "2023-04-29T06:00:27"},
        {"overrides": ["x"]},
        {"containers": [{}]},
        {"version": float("inf")},
        {"startedAt": "0001-01-01T00:00:00+14:00"},
        {"taskArn": "arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch"},
        {"taskArn": "arn:aws:ecs:ap-northeast-1:123456789012:task/half-of-a-surrogate-pair-\ud83d"},
    ],
)
def test_a_detail_that_ecs_would_not_write_is_unreadable(changes):
    with pytest.raises(UnreadableMessageError):
        judge(changed(**changes), SHIPPERS, TOKYO, REDACTOR)


def test_why_it_stopped_is_anybodys_text():
    detail = changed(stoppedReason="failed for customer-17 with password=hunter2 " + "x" * 5000)
    reason = judge(detail, SHIPPERS, TOKYO, REDACTOR).reason
    assert "customer-17" not in reason
    assert "hunter2" not in reason
    assert len(reason) <= 300


def test_a_reason_that_aws_cut_within_an_emoji_can_be_stored_and_sent():
    assert (
        judge(changed(stoppedReason="out of memory \ud83d"), SHIPPERS, TOKYO, REDACTOR).reason == "out of memory \ufffd"
    )


def test_an_event():
    event = {"detail-type": "ECS Task State Change", "detail": DETAIL}
    assert read_event(json.dumps(event)) == DETAIL


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"detail": {}}',
        '{"detail-type": "ECS Task State Change", "detail": []}',
        "[" * 100_000,
    ],
    ids=lambda body: body[:20],
)
def test_a_body_that_is_no_event(body):
    with pytest.raises(UnreadableMessageError):
        read_event(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(DETAIL)), JSON)
def test_whatever_stands_in_a_detail_is_judged_or_refused(name, value):
    body = json.dumps({"detail-type": "ECS Task State Change", "detail": {**DETAIL, name: value}})
    with suppress(UnreadableMessageError):
        judge(read_event(body), SHIPPERS, TOKYO, REDACTOR)


@given(st.permutations([3, 4, 5, 5, 5]))
def test_of_many_events_of_a_task_the_newest_counts(versions):
    codes = {3: 1, 4: None, 5: 0}
    tasks = []
    for version in versions:
        detail = changed(version=version, containers__1__exitCode=codes[version])
        tasks.append(judge(detail, SHIPPERS, TOKYO, REDACTOR))
    assert [(task.version, task.verdict) for task in newest(tasks)] == [(5, "delivery")]


def test_what_was_handed_on_is_known():
    task = judge(DETAIL, SHIPPERS, TOKYO, REDACTOR)
    assert not is_known(task, {})
    assert is_known(task, {task.task: (5, "delivery")})
    assert is_known(task, {task.task: (9, "bad_end")})
    assert is_known(task, {task.task: (4, "delivery")})  # it says the same again
    assert not is_known(task, {task.task: (4, "bad_end")})  # a bad end that turns out well


def test_silence_begins_after_its_own_time():
    hourly, daily = SHIPPERS["aurora-prod"], SHIPPERS["aurora-day"]
    last = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
    assert silent_at(last, hourly) == last + 3 * 3_600_000
    assert silent_at(last, daily) == last + 30 * 3_600_000
