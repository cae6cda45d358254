"""LookupEvents and its limits; the events of API calls through rules."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.control import Control, ControlError
from local_aws.trail_records import (
    ACCOUNT,
    REGION,
    Record,
    api_call,
    assumed_role,
    batch_call,
    console_user,
    iam_user,
    root,
    scheduler_call,
    service,
)

GLUE = "glue.amazonaws.com"
NOW = datetime.now(UTC).replace(microsecond=0)
GROUP = "/aws/events/scheduler-calls"
GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
# The rule of the article.
PATTERN = {
    "source": ["aws.glue"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {"eventName": ["StartWorkflowRun"], "userAgent": [{"prefix": "AmazonEventBridgeScheduler"}]},
}

Make = Callable[..., Any]


@pytest.fixture
def trail(aws: Control, aws_client: Make) -> Any:
    """A client that may call as often as it likes."""
    aws.configure(trail_lookups_per_second=0)
    return aws_client("cloudtrail")


def call(minutes_ago: float, **changes: Any) -> Record:
    at = NOW - timedelta(minutes=minutes_ago)
    return scheduler_call(at, "glue-hourly", GLUE, "StartWorkflowRun", request_parameters={"name": "n"}, **changes)


def put(aws: Control, *records: Record) -> None:
    aws.put_trail_records(list(records), region=REGION)


def ids(answer: dict[str, Any]) -> list[str]:
    return [event["EventId"] for event in answer["Events"]]


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = raised.value.response["Error"]["Code"]
    return code


def test_an_event_as_it_is_shown(aws: Control, trail: Any) -> None:
    record = call(1) | {"resources": [{"ARN": "arn:aws:glue:::workflow/n", "type": "AWS::Glue::Workflow"}]}
    put(aws, record)
    (event,) = trail.lookup_events()["Events"]
    assert json.loads(event.pop("CloudTrailEvent")) == record
    assert event == {
        "EventId": record["eventID"],
        "EventName": "StartWorkflowRun",
        "ReadOnly": "false",
        "AccessKeyId": record["userIdentity"]["accessKeyId"],
        "EventTime": NOW - timedelta(minutes=1),
        "EventSource": GLUE,
        "Username": record["userIdentity"]["arn"].rpartition("/")[2],  # the session's name, not the role's
        "Resources": [{"ResourceType": "AWS::Glue::Workflow", "ResourceName": "arn:aws:glue:::workflow/n"}],
    }


@pytest.mark.parametrize(
    ("identity", "name", "has_key"),
    [
        (root(), "root", True),
        (iam_user("alice"), "alice", True),
        (console_user("carol", NOW), "carol", True),
        (assumed_role("app", "i-0", NOW), "i-0", True),
        (service("events.amazonaws.com"), None, False),
    ],
)
def test_names_of_callers(aws: Control, trail: Any, identity: dict[str, Any], name: str | None, has_key: bool) -> None:
    put(aws, batch_call(NOW, "SubmitJob", identity=identity))
    (event,) = trail.lookup_events()["Events"]
    assert (event.get("Username"), "AccessKeyId" in event) == (name, has_key)


def test_newest_first_in_pages_without_gap_or_repetition(aws: Control, trail: Any) -> None:
    records = [call(1 + minute / 4, number=minute) for minute in range(240)]
    same = [call(7, number=1000 + number) for number in range(60)]  # of one second, over a page's end
    put(aws, *records[::2], *same, *records[1::2])
    pages = list(trail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 50}))
    assert [len(page["Events"]) for page in pages] == [50] * 6
    found = [event for page in pages for event in page["Events"]]
    assert {event["EventId"] for event in found} == {record["eventID"] for record in [*records, *same]}
    times = [event["EventTime"] for event in found]
    assert times == sorted(times, reverse=True)
    assert len(trail.lookup_events()["Events"]) == 50
    first = trail.lookup_events(MaxResults=1)
    # What comes in between does not shift the pages.
    put(aws, call(0, number=5000))
    assert ids(trail.lookup_events(MaxResults=2, NextToken=first["NextToken"])) == ids(pages[0])[1:3]


def test_times_are_inclusive_at_both_ends(aws: Control, trail: Any) -> None:
    records = [call(minute) for minute in (10, 20, 30)]
    put(aws, *records)
    first, middle, last = (NOW - timedelta(minutes=minute) for minute in (30, 20, 10))
    names = [record["eventID"] for record in records]
    assert ids(trail.lookup_events(StartTime=first, EndTime=last)) == names
    assert ids(trail.lookup_events(StartTime=middle, EndTime=middle)) == [names[1]]
    assert ids(trail.lookup_events(StartTime=first + timedelta(seconds=1))) == names[:2]
    assert ids(trail.lookup_events(EndTime=last - timedelta(seconds=1))) == names[1:]
    assert trail.lookup_events(StartTime=last, EndTime=NOW, **by("EventName", "None"))["Events"] == []


def test_each_attribute(aws: Control, trail: Any) -> None:
    put(
        aws,
        call(1),
        batch_call(NOW, "ListJobs", identity=iam_user("alice"))
        | {"resources": [{"ARN": "arn:aws:batch:::q", "type": "AWS::Batch::JobQueue"}]},
    )
    event, _ = trail.lookup_events()["Events"]
    shown = {key: event[key] for key in ("EventId", "EventName", "ReadOnly", "Username", "EventSource", "AccessKeyId")}
    for key, value in {**shown, **event["Resources"][0]}.items():
        assert ids(trail.lookup_events(**by(key, value))) == [event["EventId"]], key
    assert len(trail.lookup_events(**by("ReadOnly", "false"))["Events"]) == 1
    # As they are written: no prefix, no other case.
    for value in ("list", "LISTJOBS", "ListJob"):
        assert trail.lookup_events(**by("EventName", value))["Events"] == []


def test_management_events_of_ninety_days(aws: Control, trail: Any) -> None:
    day = 24 * 60
    put(
        aws,
        call(89 * day, number=1),
        call(91 * day, number=2),
        call(2, number=3, eventCategory="Data", managementEvent=False),
        call(3, number=4, eventCategory="Insight"),
        batch_call(NOW, "CancelJob", identity=root(), version="1.05"),  # does not say what it is
    )
    found = trail.lookup_events(StartTime=NOW - timedelta(days=100))["Events"]
    assert [event["EventName"] for event in found] == ["CancelJob", "StartWorkflowRun"]
    assert found[1]["EventTime"] == NOW - timedelta(days=89)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"StartTime": NOW, "EndTime": NOW - timedelta(seconds=1)}, "InvalidTimeRangeException"),
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"LookupAttributes": by("EventName", "a")["LookupAttributes"] * 2}, "InvalidLookupAttributesException"),
        (by("UserAgent", "AmazonEventBridgeScheduler"), "InvalidLookupAttributesException"),
        (by("EventName", "x" * 2001), "InvalidLookupAttributesException"),
        (by("ReadOnly", "yes"), "InvalidLookupAttributesException"),
        ({"NextToken": "none"}, "InvalidNextTokenException"),
        ({"NextToken": base64.b64encode(b'[1, "2"]').decode()}, "InvalidNextTokenException"),
        ({"EventCategory": "insight"}, "NotImplementedByStandIn"),
    ],
)
def test_bad_questions(trail: Any, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        trail.lookup_events(**asked)
    assert code_of(raised) == code


def test_a_token_is_good_for_its_question_alone(aws: Control, trail: Any) -> None:
    put(aws, call(1), call(2))
    token = trail.lookup_events(MaxResults=1, **by("EventSource", GLUE))["NextToken"]
    assert len(trail.lookup_events(MaxResults=9, NextToken=token, **by("EventSource", GLUE))["Events"]) == 1
    for other in ({}, by("EventSource", "x"), by("EventSource", GLUE) | {"EndTime": NOW}):
        with pytest.raises(trail.exceptions.InvalidNextTokenException):
            trail.lookup_events(NextToken=token, **other)


def test_two_calls_a_second(aws: Control, aws_client: Make) -> None:
    trail, elsewhere = aws_client("cloudtrail"), aws_client("cloudtrail", region_name="us-east-1")
    put(aws, call(1))
    started = time.monotonic()
    codes = []
    while time.monotonic() - started < 2.5:
        try:
            trail.lookup_events()
            codes.append("")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
        time.sleep(0.02)
    assert set(codes) == {"", "ThrottlingException"}
    assert codes[:3] == ["", "", "ThrottlingException"]
    assert codes.count("") in (5, 6)
    elsewhere.lookup_events()  # has a rate of its own


def test_who_retries_comes_through(aws: Control, aws_client: Make) -> None:
    put(aws, *(call(minute / 10, number=minute) for minute in range(200)))
    patient = aws_client("cloudtrail", config=Config(retries={"total_max_attempts": 10, "mode": "standard"}))
    started = time.monotonic()
    pages = list(patient.get_paginator("lookup_events").paginate())
    assert len({event["EventId"] for page in pages for event in page["Events"]}) == 200
    assert time.monotonic() - started > 0.9


def test_a_history_belongs_to_an_account_and_region(aws: Control, aws_client: Make) -> None:
    aws.configure(trail_lookups_per_second=0)
    far = call(1, region="us-east-1")
    aws.put_trail_records([far], region="us-east-1")
    aws.put_trail_records([call(1, account="111111111111")], region=REGION, account="111111111111")
    assert aws_client("cloudtrail").lookup_events()["Events"] == []
    assert ids(aws_client("cloudtrail", region_name="us-east-1").lookup_events()) == [far["eventID"]]
    aws.reset()
    assert aws_client("cloudtrail", region_name="us-east-1").lookup_events()["Events"] == []


def test_a_record_put_again_is_there_once(aws: Control, trail: Any) -> None:
    put(aws, call(1), call(1))
    put(aws, call(1))
    assert len(trail.lookup_events()["Events"]) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"awsRegion": "us-east-1"}, "not of account 123456789012 and region ap-northeast-1"),
        ({"recipientAccountId": "111111111111"}, "not of account"),
        ({"eventTime": "2126-11-19T15:00:00Z"}, "yet to come"),
        ({"eventTime": "2026-11-19 15:00:00"}, "eventTime such as"),
        ({"eventID": 7}, "has eventID"),
        ({"userIdentity": None}, "has a userIdentity"),
    ],
)
def test_bad_records_are_refused_whole(aws: Control, trail: Any, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ControlError, match=sentence):
        put(aws, call(1), call(2) | changes)
    assert trail.lookup_events()["Events"] == []


def test_a_region_that_is_not(aws: Control) -> None:
    with pytest.raises(ControlError, match="no region 'ap-northeast-9'"):
        aws.put_trail_records([], region="ap-northeast-9")
    with pytest.raises(ControlError, match="no region"):
        aws.publish_call_event({})


def test_other_actions_are_refused(trail: Any) -> None:
    with pytest.raises(ClientError) as raised:
        trail.list_public_keys()
    assert code_of(raised) == "NotImplementedByStandIn"


def policy(*services: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/*:*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def logs(aws: Control, aws_client: Make) -> Any:
    """The article's rule, which sends to a log group."""
    client, events = aws_client("logs"), aws_client("events")
    client.create_log_group(logGroupName=GROUP)
    events.put_rule(Name="calls", EventPattern=json.dumps(PATTERN))
    events.put_targets(Rule="calls", Targets=[{"Id": "group", "Arn": GROUP_ARN}])
    return client


def written(logs: Any) -> list[dict[str, Any]]:
    events = logs.filter_log_events(logGroupName=GROUP)["events"]
    return [json.loads(event["message"]) for event in events]


def test_a_call_comes_to_a_log_group(aws: Control, logs: Any) -> None:
    logs.put_resource_policy(
        policyName="p", policyDocument=policy("events.amazonaws.com", "delivery.logs.amazonaws.com")
    )
    failed = call(2, error="EntityNotFoundException", message="Entity not found", agent="old")
    other = [
        api_call(NOW, GLUE, "StartWorkflowRun", identity=root(), agent="aws-cli/2", address="192.0.2.1"),
        scheduler_call(NOW, "r", GLUE, "StartCrawler"),
        scheduler_call(NOW, "r", "ecs.amazonaws.com", "StartWorkflowRun"),
    ]
    for record in (failed, call(1), *other):
        aws.publish_call_event(record)
    first, second = written(logs)
    event_id = first.pop("id")
    assert event_id != second["id"]
    assert first == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.glue",
        "account": ACCOUNT,
        "time": failed["eventTime"],
        "region": REGION,
        "resources": [],
        "detail": failed,
    }
    assert aws.undelivered_events() == []
    stamps = [event["timestamp"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]]
    assert stamps == [int((NOW - timedelta(minutes=minute)).timestamp() * 1000) for minute in (2, 1)]


@pytest.mark.parametrize("services", [[], ["events.amazonaws.com"], ["delivery.logs.amazonaws.com"]])
def test_a_call_is_lost_without_leave_for_both_services(aws: Control, logs: Any, services: list[str]) -> None:
    if services:
        logs.put_resource_policy(policyName="p", policyDocument=policy(*services))
    aws.publish_call_event(call(1))
    assert written(logs) == []
    (lost,) = aws.undelivered_events()
    assert (lost["rule"], lost["target"]) == ("calls", GROUP_ARN)
    assert "resource policy" in lost["reason"]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (batch_call(NOW, "ListJobs", identity=root()), "only reads"),
        (call(1, eventCategory="Data", managementEvent=False), "management calls only"),
        (call(1, eventType="AwsConsoleSignIn"), "management calls only"),
        (call(1, account="111111111111"), "not of account"),
        (call(-5 * 24 * 60), "yet to come"),
    ],
)
def test_events_that_no_enabled_rule_gets(aws: Control, record: Record, sentence: str) -> None:
    with pytest.raises(ControlError, match=sentence):
        aws.publish_call_event(record)


def test_put_events_cannot_pretend_to_be_aws(aws_client: Make) -> None:
    entry = {"Source": "aws.glue", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}"}
    answer = aws_client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
