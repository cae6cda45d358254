"""ECS tasks: life cycle, lists, planned ends, refusals."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.control import Control, ControlError
from tests.local_aws.ecs_tasks import (
    ACCOUNT,
    CLUSTER_ARN,
    NETWORK,
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


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = raised.value.response["Error"]["Code"]
    return code


def test_life_cycle(aws: Control, ecs: Any) -> None:
    aws.configure(ecs_start_seconds=1.2, ecs_run_seconds=0.6, ecs_stop_seconds=0.6)
    arn = run(ecs)
    seen: list[tuple[str, str, int]] = []
    while not seen or seen[-1][0] != "STOPPED":
        task = described(ecs, arn)
        now = (task["lastStatus"], task["desiredStatus"], task["version"])
        if now not in seen:
            seen.append(now)
        time.sleep(0.02)
    desired = ["RUNNING", "RUNNING", "RUNNING", "STOPPED", "STOPPED"]
    states = list(zip(STATES, desired, range(1, 6), strict=True))
    assert seen == [state for state in states if state in seen]
    assert len(seen) >= 4  # a busy machine may miss one


def test_the_fields_of_a_task(ecs: Any) -> None:
    arn = run(ecs, startedBy="chronos-schedule/nightly")
    task = described(ecs, arn)
    task_id = arn.rpartition("/")[2]
    assert arn == f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/batch/{task_id}"
    assert task["clusterArn"] == CLUSTER_ARN
    assert task["taskDefinitionArn"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/audit:1"
    assert (task["group"], task["startedBy"]) == ("family:audit", "chronos-schedule/nightly")
    assert task["overrides"]["containerOverrides"] == [{"name": "app", "command": ["aurora-prod"]}]
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["createdAt"] <= task["startedAt"] <= task["stoppingAt"] <= task["stoppedAt"]
    # A side-car is stopped by SIGTERM when the essential container has ended.
    assert exit_codes(task) == {"side": 143, "app": 0}
    assert task["attachments"][0]["details"][0] == {"name": "subnetId", "value": "subnet-1"}
    side, app = task["containers"]
    assert (app["cpu"], app["memory"], app["lastStatus"], app["taskArn"]) == ("256", "512", "STOPPED", arn)
    assert app["containerArn"].startswith(f"arn:aws:ecs:{REGION}:{ACCOUNT}:container/batch/{task_id}/")
    assert "reason" not in app
    assert "memory" not in side


def test_a_running_task_has_no_end_yet(aws: Control, ecs: Any) -> None:
    aws.configure(ecs_run_seconds=60)
    task = described(ecs, run(ecs, group="nightly"))
    assert (task["lastStatus"], task["group"]) == ("RUNNING", "nightly")
    assert exit_codes(task) == {"side": None, "app": None}
    assert not {"stopCode", "stoppedReason", "stoppedAt", "stoppingAt", "startedBy"} & task.keys()
    (cluster,) = ecs.describe_clusters(clusters=["batch"])["clusters"]
    assert (cluster["clusterArn"], cluster["runningTasksCount"], cluster["pendingTasksCount"]) == (CLUSTER_ARN, 1, 0)


def test_planned_ends_are_used_up(aws: Control, ecs: Any) -> None:
    register(ecs, "other")
    aws.plan_task_end(
        region=REGION,
        times=2,
        family="audit",
        exit_codes={"app": 137, "side": 0},
        reasons={"app": "OutOfMemoryError: Container killed due to memory usage"},
    )
    assert exit_codes(described(ecs, run(ecs, taskDefinition="other"))) == {"side": 143, "app": 0}
    for _ in range(2):
        task = described(ecs, run(ecs))
        assert exit_codes(task) == {"side": 0, "app": 137}
        assert task["containers"][1]["reason"].startswith("OutOfMemoryError")
    assert exit_codes(described(ecs, run(ecs))) == {"side": 143, "app": 0}


def test_a_planned_stop_code_and_an_absent_exit_code(aws: Control, ecs: Any) -> None:
    ending = {"stop_code": "SpotInterruption", "stopped_reason": "Spot Task was interrupted."}
    aws.plan_task_end(region=REGION, exit_codes={"app": None}, **ending)
    task = described(ecs, run(ecs))
    assert (task["stopCode"], task["stoppedReason"]) == ("SpotInterruption", "Spot Task was interrupted.")
    assert exit_codes(task) == {"side": 143, "app": None}


def test_a_plan_for_a_container_the_task_has_not(aws: Control, ecs: Any) -> None:
    aws.plan_task_end(region=REGION, exit_codes={"web": 1})
    with pytest.raises(ClientError, match="web") as raised:
        run(ecs)
    assert code_of(raised) == "NotImplementedByStandIn"
    assert listed(ecs) == []


@pytest.mark.parametrize(
    "ending",
    [
        {"times": 0},
        {"exit_codes": {"app": "1"}},
        {"exit_codes": {"app": 1}, "never_started": True},
        {"no_containers": True},
        {"never_started": 1},
        {"colour": "red"},
        {"region": "nowhere"},
    ],
)
def test_plans_refused(aws: Control, ending: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        aws.plan_task_end(**({"region": REGION} | ending))


def test_a_task_stopped_before_it_ran(aws: Control, ecs: Any) -> None:
    aws.configure(ecs_start_seconds=60)
    arn = run(ecs)
    ecs.stop_task(cluster="batch", task=arn)
    task = described(ecs, arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "UserInitiated")
    assert exit_codes(task) == {"side": None, "app": None}


def test_list_tasks(aws: Control, ecs: Any) -> None:
    register(ecs, "other")
    stopped = run(ecs, startedBy="nightly")
    aws.configure(ecs_run_seconds=60)
    running = run(ecs)
    other = run(ecs, taskDefinition="other")
    assert ecs.list_tasks(cluster="batch")["taskArns"] == [running, other]
    assert listed(ecs) == [stopped]
    assert listed(ecs, "PENDING") == []
    assert listed(ecs, "RUNNING", family="other") == [other]
    assert listed(ecs, startedBy="nightly") == [stopped]
    assert listed(ecs, startedBy="daily") == []
    ecs.create_cluster(clusterName="empty")
    assert ecs.list_tasks(cluster="empty")["taskArns"] == []
    for bad in ({"desiredStatus": "DONE"}, {"maxResults": 101}, {"nextToken": "x"}, {"family": "a", "startedBy": "b"}):
        with pytest.raises(ecs.exceptions.InvalidParameterException):
            ecs.list_tasks(cluster="batch", **bad)
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        ecs.list_tasks(cluster="none")


def test_lists_in_pages_of_a_hundred(aws: Control, ecs: Any) -> None:
    started = time.time() - 100
    arns = [aws.stopped_task("batch", "audit", [str(n)], region=REGION, started_at=started) for n in range(205)]
    pages = [
        page["taskArns"] for page in ecs.get_paginator("list_tasks").paginate(cluster="batch", desiredStatus="STOPPED")
    ]
    assert [len(page) for page in pages] == [100, 100, 5]
    assert [arn for page in pages for arn in page] == arns
    answer = ecs.describe_tasks(cluster="batch", tasks=[*arns[:99], "gone"])
    assert [task["taskArn"] for task in answer["tasks"]] == arns[:99]
    assert answer["failures"] == [{"arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/batch/gone", "reason": "MISSING"}]
    with pytest.raises(ecs.exceptions.InvalidParameterException):
        ecs.describe_tasks(cluster="batch", tasks=arns[:101])


def test_a_client_token_starts_one_task(ecs: Any) -> None:
    assert run(ecs, clientToken="a") == run(ecs, clientToken="a")
    with pytest.raises(ecs.exceptions.ConflictException):
        run(ecs, command="other", clientToken="a")
    assert len(listed(ecs)) == 1


def test_several_tasks_at_once(ecs: Any) -> None:
    answer = ecs.run_task(
        cluster="batch", taskDefinition="audit:1", launchType="FARGATE", networkConfiguration=NETWORK, count=3
    )
    assert [task["taskArn"] for task in answer["tasks"]] == listed(ecs)
    assert answer["failures"] == []


def test_clusters(ecs: Any) -> None:
    ecs.create_cluster(clusterName="batch")
    answer = ecs.describe_clusters(clusters=["batch", "none"])
    assert [cluster["clusterName"] for cluster in answer["clusters"]] == ["batch"]
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cluster": "none"}, "ClusterNotFoundException"),
        ({"taskDefinition": "none"}, "ClientException"),
        ({"overrides": {"containerOverrides": [{"name": "none"}]}}, "InvalidParameterException"),
        ({"count": 11}, "InvalidParameterException"),
        ({"networkConfiguration": {}}, "InvalidParameterException"),
        ({"overrides": {"cpu": "1"}}, "NotImplementedByStandIn"),
        ({"overrides": {"containerOverrides": [{"name": "app", "cpu": 1}]}}, "NotImplementedByStandIn"),
        ({"launchType": "EC2"}, "NotImplementedByStandIn"),
        ({"tags": [{"key": "a", "value": "b"}]}, "NotImplementedByStandIn"),
    ],
)
def test_runs_refused(ecs: Any, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        run(ecs, **changes)
    assert code_of(raised) == code
    assert listed(ecs) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cpu": ""}, "ClientException"),
        ({"containerDefinitions": [SIDE_CAR]}, "ClientException"),
        ({"containerDefinitions": [{"name": "a", "image": "a"}] * 2}, "ClientException"),
        ({"networkMode": "bridge"}, "NotImplementedByStandIn"),
        ({"containerDefinitions": [{"name": "a", "image": "a", "dependsOn": []}]}, "NotImplementedByStandIn"),
        ({"volumes": []}, "NotImplementedByStandIn"),
    ],
)
def test_definitions_refused(ecs: Any, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        register(ecs, "new", **changes)
    assert code_of(raised) == code


@pytest.mark.parametrize(
    "call",
    [
        lambda ecs: ecs.describe_tasks(cluster="batch", tasks=["x"], include=["TAGS"]),
        lambda ecs: ecs.list_tasks(cluster="batch", serviceName="s"),
        lambda ecs: ecs.create_service(serviceName="s"),
        lambda ecs: ecs.list_clusters(),
    ],
)
def test_refusals(ecs: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ClientError) as raised:
        call(ecs)
    assert code_of(raised) == "NotImplementedByStandIn"
