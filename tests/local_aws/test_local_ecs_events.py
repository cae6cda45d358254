"""The events of ECS tasks: their shape, order and copies, and tasks of the past."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.control import Control, ControlError
from tests.local_aws.ecs_tasks import (
    ACCOUNT,
    CLUSTER_ARN,
    REGION,
    SIDE_CAR,
    STATES,
    Inbox,
    cluster_client,
    described,
    exit_codes,
    listed,
    register,
    run,
)


@pytest.fixture
def ecs(aws: Control, aws_client: Callable[..., Any]) -> Any:
    return cluster_client(aws, aws_client)


@pytest.fixture
def inbox(aws_client: Callable[..., Any]) -> Inbox:
    return Inbox(aws_client, {"detail-type": ["ECS Task State Change"]})


def test_a_task_of_the_past(aws: Control, ecs: Any, inbox: Inbox) -> None:
    started = datetime(2023, 4, 29, 6, 0, 27, 588_000, UTC)
    stopped = datetime(2023, 4, 29, 6, 5, 9, 471_000, UTC)
    arn = aws.stopped_task(
        "batch",
        "audit",
        ["aurora-prod"],
        region=REGION,
        container="app",
        started_at=started.timestamp(),
        stopped_at=stopped.timestamp(),
        started_by="chronos-schedule/nightly",
        exit_codes={"app": 1},
    )
    (event,) = inbox.events()
    detail = event.pop("detail")
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": ACCOUNT,
        "time": "2023-04-29T06:05:09Z",
        "region": REGION,
        "resources": [arn],
    }
    assert (detail["startedAt"], detail["stoppedAt"]) == ("2023-04-29T06:00:27.588Z", "2023-04-29T06:05:09.471Z")
    assert exit_codes(detail) == {"side": 143, "app": 1}
    assert (detail["version"], detail["clusterArn"], detail["startedBy"]) == (
        5,
        CLUSTER_ARN,
        "chronos-schedule/nightly",
    )
    assert detail["overrides"] == {"containerOverrides": [{"name": "app", "command": ["aurora-prod"]}]}
    assert (detail["attachments"][0]["type"], detail["attachments"][0]["status"]) == ("eni", "DELETED")
    # The fields of the event in the seed.
    assert detail.keys() == {
        *("attachments", "attributes", "availabilityZone", "clusterArn", "connectivity", "connectivityAt"),
        *("containers", "cpu", "createdAt", "desiredStatus", "enableExecuteCommand", "ephemeralStorage"),
        *("executionStoppedAt", "group", "launchType", "lastStatus", "memory", "overrides", "platformVersion"),
        *("pullStartedAt", "pullStoppedAt", "startedAt", "startedBy", "stoppingAt", "stoppedAt", "stoppedReason"),
        *("stopCode", "taskArn", "taskDefinitionArn", "updatedAt", "version"),
    }


@pytest.mark.parametrize("side_cars", [[SIDE_CAR], [], [SIDE_CAR, SIDE_CAR | {"name": "router"}]])
def test_a_task_of_the_past_has_its_command_in_the_first_essential_container(
    aws: Control, ecs: Any, inbox: Inbox, side_cars: list[dict[str, Any]]
) -> None:
    # No "essential" means that it is.
    essential = [{"name": "app", "image": "app:1"}, {"name": "proxy", "image": "proxy:1", "essential": True}]
    register(ecs, "cars", containerDefinitions=[*side_cars, *essential])
    aws.stopped_task("batch", "cars", ["aurora-prod"], region=REGION, started_at=time.time())
    (event,) = inbox.events()
    assert event["detail"]["overrides"] == {"containerOverrides": [{"name": "app", "command": ["aurora-prod"]}]}
    # The end of that container is the task's: SIGTERM is for the others.
    others = [part["name"] for part in side_cars] + ["proxy"]
    assert exit_codes(event["detail"]) == dict.fromkeys(others, 143) | {"app": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": "none"},
        {"family": "none"},
        {"container": "none"},
        {"exit_codes": {"none": 1}},
        {"stopped_at": 0},
        {"command": [1]},
        {"region": "nowhere"},
    ],
)
def test_tasks_of_the_past_refused(aws: Control, ecs: Any, changes: dict[str, Any]) -> None:
    given = {"cluster": "batch", "family": "audit", "command": ["x"], "region": REGION, "started_at": time.time()}
    with pytest.raises(ControlError):
        aws.stopped_task(**(given | changes))
    assert listed(ecs) == []


def test_every_change_sends_an_event(ecs: Any, inbox: Inbox) -> None:
    arn = run(ecs)
    events = inbox.events()
    assert [event["detail"]["lastStatus"] for event in events] == STATES
    assert [event["detail"]["version"] for event in events] == [1, 2, 3, 4, 5]
    assert {event["detail"]["taskArn"] for event in events} == {arn}
    assert len({event["id"] for event in events}) == 5


def test_a_waiting_receiver_sees_the_end(aws: Control, ecs: Any, aws_client: Callable[..., Any]) -> None:
    aws.configure(ecs_start_seconds=0.1, ecs_run_seconds=0.3)
    inbox = Inbox(aws_client, {"detail": {"lastStatus": ["STOPPED"]}})
    run(ecs)
    started = time.monotonic()
    assert inbox.versions(wait=10) == [5]
    assert time.monotonic() - started < 15


def test_the_rule_of_the_seed(aws: Control, ecs: Any, aws_client: Callable[..., Any]) -> None:
    detail = {
        "clusterArn": [CLUSTER_ARN],
        "containers": {"exitCode": [0]},
        "lastStatus": ["STOPPED"],
        "overrides": {"containerOverrides": {"command": ["aurora-prod"]}},
    }
    inbox = Inbox(aws_client, {"detail-type": ["ECS Task State Change"], "detail": detail})
    good = run(ecs)
    run(ecs, command="aurora-dev")
    aws.plan_task_end(region=REGION, exit_codes={"app": 1})
    run(ecs)
    # Any container with 0 is enough for the pattern, though the one that matters failed.
    aws.plan_task_end(region=REGION, exit_codes={"app": 1, "side": 0})
    mixed = run(ecs)
    assert [event["detail"]["taskArn"] for event in inbox.events()] == [good, mixed]


def test_events_come_more_than_once(aws: Control, ecs: Any, inbox: Inbox) -> None:
    aws.configure(ecs_event_copies=2)
    run(ecs)
    events = inbox.events()
    assert [event["detail"]["version"] for event in events] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len({event["id"] for event in events}) == 10


def test_events_come_out_of_order(aws: Control, ecs: Any, inbox: Inbox) -> None:
    aws.configure(ecs_event_disorder="REVERSED", ecs_run_seconds=0.3)
    run(ecs)
    assert inbox.versions() == []
    assert inbox.versions(wait=5) == [5, 4, 3, 2, 1]
    aws.configure(ecs_event_disorder="SHUFFLED", ecs_run_seconds=0)
    run(ecs)
    shuffled = inbox.versions()
    assert sorted(shuffled) == [1, 2, 3, 4, 5]
    assert shuffled != [1, 2, 3, 4, 5]


@pytest.mark.parametrize("no_containers", [False, True])
def test_a_task_that_never_started(aws: Control, ecs: Any, inbox: Inbox, no_containers: bool) -> None:
    reason = "CannotPullContainerError: pull image manifest has been retried 7 time(s)"
    aws.plan_task_end(region=REGION, never_started=True, no_containers=no_containers, stopped_reason=reason)
    task = described(ecs, run(ecs))
    assert (task["lastStatus"], task["stopCode"], task["stoppedReason"]) == ("STOPPED", "TaskFailedToStart", reason)
    assert "startedAt" not in task
    assert exit_codes(task) == ({} if no_containers else {"side": None, "app": None})
    events = inbox.events()
    assert [event["detail"]["lastStatus"] for event in events] == [state for state in STATES if state != "RUNNING"]
    assert "startedAt" not in events[-1]["detail"]
    assert exit_codes(events[-1]["detail"]) == exit_codes(task)


def test_stop_task(aws: Control, ecs: Any, inbox: Inbox) -> None:
    aws.configure(ecs_run_seconds=60, ecs_stop_seconds=0.2)
    arn = run(ecs)
    task = ecs.stop_task(cluster="batch", task=arn, reason="Enough")["task"]
    assert (task["lastStatus"], task["desiredStatus"], task["stoppedReason"]) == ("RUNNING", "STOPPED", "Enough")
    assert listed(ecs, "RUNNING") == []
    assert listed(ecs) == [arn]
    time.sleep(0.45)
    task = described(ecs, arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "UserInitiated")
    assert exit_codes(task) == {"side": 143, "app": 143}
    shown = [(event["detail"]["lastStatus"], event["detail"]["version"]) for event in inbox.events()]
    assert shown == [(state, n) for n, state in enumerate([*STATES[:3], "RUNNING", *STATES[3:]], 1)]
    again = ecs.stop_task(cluster="batch", task=arn.rpartition("/")[2])["task"]
    assert (again["stoppedReason"], again["version"]) == ("Enough", 6)
    with pytest.raises(ecs.exceptions.InvalidParameterException):
        ecs.stop_task(cluster="batch", task="none")


def test_stopped_tasks_are_listed_for_an_hour(aws: Control, ecs: Any, inbox: Inbox) -> None:
    now = time.time()
    old = aws.stopped_task("batch", "audit", ["old"], region=REGION, started_at=now - 4000, stopped_at=now - 3601)
    young = aws.stopped_task("batch", "audit", ["young"], region=REGION, started_at=now - 4000, stopped_at=now - 3500)
    assert listed(ecs) == [young]
    assert [item["reason"] for item in ecs.describe_tasks(cluster="batch", tasks=[old])["failures"]] == ["MISSING"]
    assert [event["detail"]["taskArn"] for event in inbox.events()] == [old, young]
    aws.configure(ecs_stopped_visible_seconds=5000)
    assert listed(ecs) == [old, young]
