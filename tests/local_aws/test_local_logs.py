"""Log groups, streams and events: retention, history, classes, and the limits of PutLogEvents."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.control import Control

REGION = "ap-northeast-1"
DAY = 86_400_000


def now() -> int:
    return int(time.time() * 1000)


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"] for event in events]


@pytest.fixture
def logs(aws_client: Callable[..., Any]) -> Any:
    return aws_client("logs")


def test_groups_of_the_past_with_class_and_retention(aws: Control, logs: Any) -> None:
    aws.create_log_group(
        "/old",
        region=REGION,
        creation_time_ms=1_700_000_000_123,
        retention_days=30,
        log_group_class="INFREQUENT_ACCESS",
    )
    logs.create_log_group(logGroupName="/new")
    new, old = logs.describe_log_groups()["logGroups"]
    assert (old["creationTime"], old["retentionInDays"]) == (1_700_000_000_123, 30)
    assert (old["logGroupClass"], new["logGroupClass"]) == ("INFREQUENT_ACCESS", "STANDARD")
    assert new["creationTime"] == pytest.approx(now(), abs=5000)
    assert "retentionInDays" not in new


def test_groups_by_prefix_pattern_class_and_page(logs: Any) -> None:
    for name in ("/a/1", "/a/2", "/b/1"):
        logs.create_log_group(logGroupName=name, logGroupClass="STANDARD")

    def names(**given: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2}, **given)
        return [group["logGroupName"] for page in pages for group in page["logGroups"]]

    assert names() == ["/a/1", "/a/2", "/b/1"]
    assert names(logGroupNamePrefix="/a") == ["/a/1", "/a/2"]
    assert names(logGroupNamePattern="/1") == ["/a/1", "/b/1"]
    assert names(logGroupClass="INFREQUENT_ACCESS") == []


@pytest.mark.parametrize("name", ["with space", "star*", "x" * 513])
def test_bad_group_names(logs: Any, name: str) -> None:
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.create_log_group(logGroupName=name)


def test_bad_stream_name_class_and_retention(logs: Any) -> None:
    logs.create_log_group(logGroupName="/app")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.create_log_stream(logGroupName="/app", logStreamName="a:b")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.put_retention_policy(logGroupName="/app", retentionInDays=2)
    with pytest.raises(ClientError, match="NotImplementedByStandIn"):
        logs.create_log_group(logGroupName="/delivered", logGroupClass="DELIVERY")


def test_history_and_its_ingestion_time(aws: Control, logs: Any) -> None:
    aws.create_log_group("/app", region=REGION)
    events = [
        {"timestamp": 1_000, "message": "ancient"},
        {"timestamp": 2_000, "message": "late", "ingestionTime": 9_000},
    ]
    aws.put_events("/app", "web/1", events, region=REGION)
    found = logs.get_log_events(logGroupName="/app", logStreamName="web/1", startFromHead=True)["events"]
    assert [(event["message"], event["ingestionTime"]) for event in found] == [("ancient", 1_000), ("late", 9_000)]
    stream = logs.describe_log_streams(logGroupName="/app")["logStreams"][0]
    assert (stream["firstEventTimestamp"], stream["lastIngestionTime"]) == (1_000, 9_000)


def test_get_and_filter_time_ranges(aws: Control, logs: Any) -> None:
    aws.create_log_group("/app", region=REGION)
    for stream in ("b", "a"):
        events = [{"timestamp": at, "message": f"{stream}{at}"} for at in (1000, 2000, 3000)]
        aws.put_events("/app", stream, events, region=REGION)
    got = logs.get_log_events(logGroupName="/app", logStreamName="a", startTime=1000, endTime=3000, startFromHead=True)
    assert messages(got["events"]) == ["a1000", "a2000"]
    filtered = logs.filter_log_events(logGroupName="/app", startTime=2000, endTime=3000)
    assert messages(filtered["events"]) == ["b2000", "a2000", "b3000", "a3000"]
    by_prefix = logs.filter_log_events(logGroupName="/app", logStreamNamePrefix="a", startTime=3000)
    assert messages(by_prefix["events"]) == ["a3000"]
    assert logs.filter_log_events(logGroupName="/app", logStreamNamePrefix="none")["events"] == []


def test_expired_events_do_not_exist(aws: Control, logs: Any) -> None:
    aws.create_log_group("/app", region=REGION)
    events = [{"timestamp": now() - age * DAY, "message": f"{age}"} for age in (8, 6)]
    aws.put_events("/app", "s", events, region=REGION)
    logs.put_retention_policy(logGroupName="/app", retentionInDays=7)
    assert messages(logs.get_log_events(logGroupName="/app", logStreamName="s")["events"]) == ["6"]
    assert messages(logs.filter_log_events(logGroupName="/app")["events"]) == ["6"]
    logs.delete_retention_policy(logGroupName="/app")
    assert messages(logs.filter_log_events(logGroupName="/app")["events"]) == ["6"]


def test_put_takes_14_days_and_2_hours(logs: Any) -> None:
    logs.create_log_group(logGroupName="/app")
    logs.create_log_stream(logGroupName="/app", logStreamName="s")

    def put(*offsets: int) -> dict[str, Any]:
        events = [{"timestamp": now() + offset, "message": f"{offset}"} for offset in offsets]
        answer = logs.put_log_events(logGroupName="/app", logStreamName="s", logEvents=events)
        return answer.get("rejectedLogEventsInfo", {})

    hour = DAY // 24
    assert put(-14 * DAY - hour, -14 * DAY + hour) == {"tooOldLogEventEndIndex": 1}
    assert put(-hour, hour, 3 * hour) == {"tooNewLogEventStartIndex": 2}
    found = messages(logs.filter_log_events(logGroupName="/app")["events"])
    assert found == [f"{-14 * DAY + hour}", f"{-hour}", f"{hour}"]
    logs.put_retention_policy(logGroupName="/app", retentionInDays=1)
    assert put(-DAY - hour, -hour) == {"expiredLogEventEndIndex": 1}
    for offsets in ((0, -5), (-2 * DAY, 0)):
        with pytest.raises(logs.exceptions.InvalidParameterException, match="chronological"):
            put(*offsets)


def test_unknown_group_and_stream(logs: Any) -> None:
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.filter_log_events(logGroupName="/none")
    logs.create_log_group(logGroupName="/app")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="/app", logStreamName="none")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="/app")
    logs.delete_log_group(logGroupName="/app")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName="/app")


def test_streams_by_name_time_and_page(aws: Control, logs: Any) -> None:
    aws.create_log_group("/app", region=REGION)
    for stream, at in (("a", 3), ("b/1", 1), ("b/2", 2)):
        aws.put_events("/app", stream, [{"timestamp": at, "message": "x"}], region=REGION)

    def names(**given: Any) -> list[str]:
        return [
            stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName="/app", **given)["logStreams"]
        ]

    assert names() == ["a", "b/1", "b/2"]
    assert names(logStreamNamePrefix="b/", descending=True) == ["b/2", "b/1"]
    assert names(orderBy="LastEventTime") == ["b/1", "b/2", "a"]
    token = logs.describe_log_streams(logGroupName="/app", limit=2)["nextToken"]
    assert names(nextToken=token) == ["b/2"]
    for bad in ({"nextToken": "x"}, {"orderBy": "LastEventTime", "logStreamNamePrefix": "b"}):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            names(**bad)
