"""EventBridge Scheduler: schedules, groups, lists, refusals, and schedules of the past."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.control import Control, ControlError
from local_aws.scheduler_checks import is_expression

REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
ARN = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/hourly"
TARGET = {"Arn": "arn:aws:scheduler:::aws-sdk:glue:startWorkflowRun", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/hourly"}
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/shop"
TASK = {"TaskDefinitionArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/nightly:1"}
OFF = {"Mode": "OFF"}
HOURLY: dict[str, Any] = {
    "Name": "hourly",
    "ScheduleExpression": "cron(0 * * * ? *)",
    "FlexibleTimeWindow": OFF,
    "Target": TARGET,
}
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def scheduler(aws_client: Callable[..., Any]) -> Any:
    return aws_client("scheduler")


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = raised.value.response["Error"]["Code"]
    return code


def status_of(raised: pytest.ExceptionInfo[ClientError]) -> int:
    status: int = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def names(answer: dict[str, Any]) -> list[str]:
    return [schedule["Name"] for schedule in answer["Schedules"]]


def test_a_schedule_with_defaults(scheduler: Any) -> None:
    assert scheduler.create_schedule(**HOURLY)["ScheduleArn"] == ARN
    found = told(scheduler.get_schedule(Name="hourly"))
    created, modified = found.pop("CreationDate"), found.pop("LastModificationDate")
    assert created == modified
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)
    retries = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert found == {
        "Arn": ARN,
        "Name": "hourly",
        "GroupName": "default",
        "State": "ENABLED",
        "ScheduleExpression": "cron(0 * * * ? *)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": OFF,
        "ActionAfterCompletion": "NONE",
        "Target": TARGET | {"RetryPolicy": retries},
    }


def test_a_schedule_with_all_it_can_have(scheduler: Any) -> None:
    scheduler.create_schedule_group(Name="shop")
    target = {
        "Arn": CLUSTER,
        "RoleArn": TARGET["RoleArn"],
        "EcsParameters": TASK | {"LaunchType": "FARGATE", "TaskCount": 1},
        "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"},
        "Input": "{}",
    }
    asked: dict[str, Any] = {
        "Name": "nightly.1_a-b",
        "GroupName": "shop",
        "Description": "夜",
        "ScheduleExpression": "rate(5 minutes)",
        "ScheduleExpressionTimezone": "America/New_York",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "State": "DISABLED",
        "StartDate": NOW + DAY,
        "EndDate": NOW + 2 * DAY,
        "ActionAfterCompletion": "NONE",
        "Target": target,
    }
    arn = scheduler.create_schedule(**asked)["ScheduleArn"]
    assert arn.endswith(":schedule/shop/nightly.1_a-b")
    found = scheduler.get_schedule(Name="nightly.1_a-b", GroupName="shop")
    assert {name: found[name] for name in asked} == asked
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="nightly.1_a-b")  # that is group default


def test_a_list_tells_nothing_of_when(scheduler: Any) -> None:
    scheduler.create_schedule(**HOURLY)
    (listed,) = scheduler.list_schedules()["Schedules"]
    assert set(listed) == {"Arn", "CreationDate", "GroupName", "LastModificationDate", "Name", "State", "Target"}
    assert (listed["Arn"], listed["Target"]) == (ARN, {"Arn": TARGET["Arn"]})


def test_lists_by_group_prefix_and_state(scheduler: Any) -> None:
    scheduler.create_schedule_group(Name="shop")
    for name, changes in {"a1": {}, "a2": {"State": "DISABLED"}, "b1": {"GroupName": "shop"}}.items():
        scheduler.create_schedule(**(HOURLY | {"Name": name} | changes))
    for asked, wanted in (
        ({}, ["a1", "a2", "b1"]),
        ({"GroupName": "default"}, ["a1", "a2"]),
        ({"GroupName": "shop"}, ["b1"]),
        ({"NamePrefix": "a"}, ["a1", "a2"]),
        ({"State": "DISABLED"}, ["a2"]),
        ({"State": "ENABLED", "NamePrefix": "b", "GroupName": "shop"}, ["b1"]),
        ({"NamePrefix": "1"}, []),
    ):
        assert names(scheduler.list_schedules(**asked)) == wanted, asked
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException, match="none"):
        scheduler.list_schedules(GroupName="none")


def test_pages(scheduler: Any) -> None:
    for number in range(103):
        scheduler.create_schedule(**(HOURLY | {"Name": f"n{number:03}"}))
    every = [f"n{number:03}" for number in range(103)]
    answer = scheduler.list_schedules()
    assert names(answer) == every[:100]
    assert names(scheduler.list_schedules(NextToken=answer["NextToken"])) == every[100:]
    pages = list(scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 40}))
    assert [len(page["Schedules"]) for page in pages] == [40, 40, 23]
    assert [name for page in pages for name in names(page)] == every
    assert "NextToken" not in scheduler.list_schedules(NamePrefix="n00")


def test_groups(scheduler: Any) -> None:
    arn = scheduler.create_schedule_group(Name="shop")["ScheduleGroupArn"]
    assert arn == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/shop"
    scheduler.create_schedule_group(Name="stock")
    first, second = scheduler.list_schedule_groups(MaxResults=2)["ScheduleGroups"]
    assert (first["Name"], second["Arn"], second["State"]) == ("default", arn, "ACTIVE")
    pages = scheduler.get_paginator("list_schedule_groups").paginate(PaginationConfig={"PageSize": 1})
    assert [group["Name"] for page in pages for group in page["ScheduleGroups"]] == ["default", "shop", "stock"]
    assert len(scheduler.list_schedule_groups(NamePrefix="s")["ScheduleGroups"]) == 2
    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule_group(Name="shop")
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.create_schedule(**(HOURLY | {"GroupName": "none"}))
    with pytest.raises(ClientError) as raised:
        scheduler.create_schedule_group(Name="tagged", Tags=[{"Key": "k", "Value": "v"}])
    assert code_of(raised) == "NotImplementedByStandIn"


def test_an_update_replaces_all(scheduler: Any) -> None:
    changed = HOURLY | {"Description": "d", "State": "DISABLED", "ScheduleExpressionTimezone": "Asia/Tokyo"}
    scheduler.create_schedule(**changed)
    before = scheduler.get_schedule(Name="hourly")
    time.sleep(0.01)
    assert scheduler.update_schedule(**(HOURLY | {"ScheduleExpression": "rate(1 hour)"}))["ScheduleArn"] == ARN
    after = scheduler.get_schedule(Name="hourly")
    assert (after["ScheduleExpression"], after["State"]) == ("rate(1 hour)", "ENABLED")
    assert "Description" not in after
    assert after["ScheduleExpressionTimezone"] == "UTC"
    assert after["CreationDate"] == before["CreationDate"] < after["LastModificationDate"]


def test_what_is_not_there(scheduler: Any) -> None:
    for ask in (
        lambda: scheduler.get_schedule(Name="none"),
        lambda: scheduler.get_schedule(Name="none", GroupName="none"),
        lambda: scheduler.delete_schedule(Name="none"),
        lambda: scheduler.update_schedule(**(HOURLY | {"Name": "none"})),
    ):
        with pytest.raises(scheduler.exceptions.ResourceNotFoundException) as raised:
            ask()
        assert status_of(raised) == 404


def test_delete(scheduler: Any) -> None:
    scheduler.create_schedule(**HOURLY)
    with pytest.raises(scheduler.exceptions.ConflictException) as raised:
        scheduler.create_schedule(**HOURLY)
    assert status_of(raised) == 409
    assert told(scheduler.delete_schedule(Name="hourly")) == {}
    assert scheduler.list_schedules()["Schedules"] == []
    scheduler.create_schedule(**HOURLY)


def test_the_same_token_does_nothing_twice(scheduler: Any) -> None:
    for _ in range(2):
        assert scheduler.create_schedule(**HOURLY, ClientToken="t")["ScheduleArn"] == ARN
    with pytest.raises(scheduler.exceptions.ConflictException, match="ClientToken"):
        scheduler.create_schedule(**(HOURLY | {"Name": "other"}), ClientToken="t")
    for _ in range(2):
        scheduler.delete_schedule(Name="hourly", ClientToken="u")


def test_botocore_repeats_a_call_whose_answer_was_lost(aws: Control, aws_client: Callable[..., Any]) -> None:
    patient = aws_client("scheduler", config=Config(retries={"total_max_attempts": 2}))
    aws.fault("scheduler.CreateSchedule", drop="after")
    patient.create_schedule(**HOURLY)
    assert [call["status"] for call in aws.calls("scheduler.CreateSchedule")] == [None, 200]
    assert names(patient.list_schedules()) == ["hourly"]


@pytest.mark.parametrize(
    "expression",
    [
        # The examples of AWS's guide to schedule types.
        *("cron(0 10 * * ? *)", "cron(15 12 * * ? *)", "cron(0 18 ? * MON-FRI *)", "cron(0 8 1 * ? *)"),
        *("cron(0/15 * * * ? *)", "cron(0/10 * ? * MON-FRI *)", "cron(0/5 8-17 ? * MON-FRI *)"),
        *("cron(0/30 20-23 ? * MON-FRI *)", "cron(15 10 ? * 6L 2022-2023)", "cron(0 0 L * ? *)"),
        *(
            "cron(0 9 3W * ? *)",
            "cron(0 9 ? * 3#2 *)",
            "cron(0 9 ? * FRIL *)",
            "cron(0 9 ? * L *)",
            "cron(0 9 LW * ? *)",
            "cron(0 9 ? * mon *)",
        ),
        *("rate(1 hours)", "rate(5 minutes)", "rate(1 day)", "rate(12 hour)"),
        *("at(2022-11-20T13:00:00)", "at(2028-02-29T23:59:59)"),
        *("cron(0/30 20-2 ? * MON-FRI *)", "cron(1/10 * ? * 7 *)"),
        # What AWS has been seen to take.
        *("cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)", "cron(1-31/30 1-1 ? * 1,7 *)", "cron(*/5 * ? JAN,MAR-MAY SUN 2026/2)"),
    ],
)
def test_expressions(expression: str) -> None:
    assert is_expression(expression)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "daily", "cron()", "cron(0 10 * * ?)", "cron(0 0 10 * * ? *)", "0 10 * * ? *", "cron(0 10 * * * *)"),
        *("cron(0 10 ? * ? *)", "cron(60 * * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)"),
        *(
            "cron(0 0 1 13 ? *)",
            "cron(0 0 ? * 8 *)",
            "cron(0 0 ? * 0 *)",
            "cron(0 0 1 * ? 1969)",
            "cron(0 0 1 * ? 2200)",
        ),
        *(
            "cron(0 0 1 * ? 2027-2026)",
            "cron(0/0 * * * ? *)",
            "cron(0, * * * ? *)",
            "cron(1-2-3 * * * ? *)",
            "cron(- * * * ? *)",
        ),
        *(
            "cron(L * * * ? *)",
            "cron(0 0 32W * ? *)",
            "cron(0 0 ? * 3#6 *)",
            "cron(0 0 ? * 3#1,6#3 *)",
            "cron(0 0 ? * W *)",
        ),
        *(
            "cron(0 0 L-3 * ? *)",
            "cron(0 0 1 FOO ? *)",
            "cron(? * 1 * ? *)",
            "cron(0 0 ? * MON-FOO *)",
            "cron(1/٣ * 1 * ? *)",
        ),
        *(
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1.5 hours)",
            "rate(5 seconds)",
            "rate(5 weeks)",
            "rate(minutes)",
        ),
        *("at(2022-11-20)", "at(2022-11-20 13:00:00)", "at(2022-13-20T13:00:00)", "at(2022-11-20T13:00:00Z)"),
        *("at(2023-02-29T00:00:00)", "AT(2022-11-20T13:00:00)", "rate(5 minutes", "cron(0 10 * * ? *) "),
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    assert not is_expression(expression)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ScheduleExpression": "cron(0 10 * * * *)"}, r"Invalid Schedule Expression cron\(0 10"),
        ({"ScheduleExpressionTimezone": "Asia/Edo"}, "Timezone Asia/Edo"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
        ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "MaximumWindowInMinutes"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}}, "1440"),
        ({"FlexibleTimeWindow": {"Mode": "ON"}}, "OFF, FLEXIBLE"),
        ({"State": "PAUSED"}, "ENABLED, DISABLED"),
        ({"Name": "no spaces"}, "'no spaces' at 'Name'"),
        ({"Name": "n" * 65}, "64"),
        ({"GroupName": "a/b"}, "GroupName"),
        ({"Description": "d" * 513}, "512"),
        ({"StartDate": NOW - timedelta(minutes=6)}, "5 minutes ago"),
        ({"StartDate": NOW + 2 * DAY, "EndDate": NOW + DAY}, "before the EndDate"),
        ({"Target": TARGET | {"RoleArn": "hourly"}}, "RoleArn"),
        ({"Target": TARGET | {"Arn": "arn:aws:glue"}}, "Provided Arn"),
        ({"Target": TARGET | {"Input": "{"}}, "Input"),
        ({"Target": TARGET | {"EcsParameters": TASK}}, "EcsParameters"),
        ({"Target": TARGET | {"Arn": CLUSTER}}, "EcsParameters"),
        ({"Target": TARGET | {"RetryPolicy": {"MaximumRetryAttempts": 186}}}, "185"),
        ({"Target": TARGET | {"Arn": CLUSTER, "EcsParameters": TASK | {"TaskCount": 11}}}, "10"),
    ],
)
def test_bad_schedules(scheduler: Any, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(scheduler.exceptions.ValidationException, match=sentence):
        scheduler.create_schedule(**(HOURLY | changes))
    assert scheduler.list_schedules()["Schedules"] == []
    if "Name" not in changes and "GroupName" not in changes:
        scheduler.create_schedule(**HOURLY)
        with pytest.raises(scheduler.exceptions.ValidationException, match=sentence):
            scheduler.update_schedule(**(HOURLY | changes))


@pytest.mark.parametrize("missing", ["ScheduleExpression", "FlexibleTimeWindow", "Target"])
def test_what_a_schedule_must_have(aws_client: Callable[..., Any], missing: str) -> None:
    # By itself botocore would not send it.
    careless = aws_client("scheduler", config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match=f"at '{missing}' failed to satisfy constraint: Member must not be null"):
        careless.create_schedule(**{name: value for name, value in HOURLY.items() if name != missing})


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda client: client.list_schedules(MaxResults=101), "100"),
        (lambda client: client.list_schedules(NextToken="none"), "NextToken"),
        (lambda client: client.list_schedules(State="ON"), "ENABLED, DISABLED"),
        (lambda client: client.list_schedules(NamePrefix="a b"), "NamePrefix"),
        (lambda client: client.list_schedule_groups(MaxResults=101), "100"),
        (lambda client: client.get_schedule(Name="a b"), "Name"),
    ],
)
def test_bad_questions(scheduler: Any, ask: Callable[[Any], Any], sentence: str) -> None:
    with pytest.raises(scheduler.exceptions.ValidationException, match=sentence):
        ask(scheduler)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.create_schedule(**HOURLY, ActionAfterCompletion="DELETE"),
        lambda client: client.create_schedule(**HOURLY, KmsKeyArn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"),
        lambda client: client.delete_schedule_group(Name="shop"),
        lambda client: client.get_schedule_group(Name="default"),
        lambda client: client.tag_resource(ResourceArn=ARN, Tags=[]),
    ],
)
def test_what_it_does_not_do(scheduler: Any, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(ClientError) as raised:
        ask(scheduler)
    assert (code_of(raised), status_of(raised)) == ("NotImplementedByStandIn", 501)
    assert scheduler.list_schedules()["Schedules"] == []


def test_a_schedule_of_the_past(aws: Control, scheduler: Any) -> None:
    created, modified = NOW - 30 * DAY, NOW - DAY
    dates = {"StartDate": created, "EndDate": (NOW - 2 * DAY).timestamp()}
    where = {"region": REGION, "creation_date": created.timestamp()}
    arn = aws.create_schedule(HOURLY | dates, **where, last_modification_date=modified.timestamp())
    found = scheduler.get_schedule(Name="hourly")
    assert (found["Arn"], found["CreationDate"], found["LastModificationDate"]) == (arn, created, modified)
    assert (found["StartDate"], found["EndDate"]) == (created, NOW - 2 * DAY)
    aws.create_schedule(HOURLY | {"Name": "other"}, **where)
    assert scheduler.get_schedule(Name="other")["LastModificationDate"] == created
    # Beginning with the first change, its dates are judged as AWS judges them.
    with pytest.raises(scheduler.exceptions.ValidationException, match="5 minutes ago"):
        scheduler.update_schedule(**(HOURLY | {"StartDate": created}))


@pytest.mark.parametrize(
    ("changes", "dates", "sentence"),
    [
        ({"ScheduleExpression": "cron(0 10 * * * *)"}, (1, 1), "ValidationException: Invalid Schedule Expression"),
        ({"Target": None}, (1, 1), "ValidationException"),
        ({"Colour": "red"}, (1, 1), "Colour"),
        ({"StartDate": 1}, (1000, 1000), "5 minutes ago"),
        ({"GroupName": "none"}, (1, 1), "does not exist"),
        ({}, (2, 1), "modified after"),
        ({}, (1, time.time() + 3600), "yet to come"),
    ],
)
def test_bad_schedules_of_the_past(
    aws: Control, changes: dict[str, Any], dates: tuple[float, float], sentence: str
) -> None:
    created, modified = dates
    with pytest.raises(ControlError, match=sentence):
        aws.create_schedule(HOURLY | changes, region=REGION, creation_date=created, last_modification_date=modified)


def test_places_are_apart_and_reset_forgets(aws: Control, aws_client: Callable[..., Any], scheduler: Any) -> None:
    aws.create_schedule(HOURLY, region="us-east-1", creation_date=1)
    aws.create_schedule(HOURLY, region=REGION, creation_date=1, account="111111111111")
    assert scheduler.list_schedules()["Schedules"] == []
    far = aws_client("scheduler", region_name="us-east-1")
    assert names(far.list_schedules()) == ["hourly"]
    with pytest.raises(ControlError, match="no region"):
        aws.create_schedule(HOURLY, region="ap-northeast-9", creation_date=1)
    with pytest.raises(ControlError, match="ConflictException"):
        aws.create_schedule(HOURLY, region="us-east-1", creation_date=1)
    aws.reset()
    assert far.list_schedules()["Schedules"] == []
    assert [group["Name"] for group in far.list_schedule_groups()["ScheduleGroups"]] == ["default"]


def test_a_fault_in_the_words_of_the_service(aws: Control, scheduler: Any) -> None:
    aws.fault("scheduler.GetSchedule", error="ThrottlingException", message="Rate exceeded", status=429)
    with pytest.raises(scheduler.exceptions.ThrottlingException, match="Rate exceeded"):
        scheduler.get_schedule(Name="hourly")
    assert aws.calls("scheduler.GetSchedule")[0]["status"] == 429
