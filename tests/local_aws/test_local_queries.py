"""Insights queries over HTTP: life cycle, limits, pages and refusals. The language has its own tests."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from local_aws.control import Control

REGION = "ap-northeast-1"
GROUP = "/app"
S0 = 1_767_225_600  # 2026-01-01T00:00:00Z
MESSAGES = "fields @message | sort @timestamp asc"


@pytest.fixture
def logs(aws: Control, aws_client: Callable[..., Any]) -> Any:
    aws.configure(query_scheduled_seconds=0, query_running_seconds=0)
    aws.create_log_group(GROUP, region=REGION, creation_time_ms=S0 * 1000)
    return aws_client("logs")


def put(aws: Control, *offsets_ms: int, group: str = GROUP) -> None:
    events = [{"timestamp": S0 * 1000 + at, "message": f"m{at}"} for at in offsets_ms]
    aws.put_events(group, "s", events, region=REGION)


def start(logs: Any, text: str = MESSAGES, **changes: Any) -> str:
    request: dict[str, Any] = {"startTime": S0, "endTime": S0 + 10}
    if not {"logGroupNames", "logGroupIdentifiers"} & set(changes):
        request["logGroupName"] = GROUP
    query_id: str = logs.start_query(queryString=text, **(request | changes))["queryId"]
    return query_id


def column(answer: dict[str, Any], name: str = "@message") -> list[str]:
    return [cell["value"] for row in answer["results"] for cell in row if cell["field"] == name]


def test_life_cycle_and_partial_results(aws: Control, logs: Any) -> None:
    aws.configure(query_scheduled_seconds=0.3, query_running_seconds=0.4)
    put(aws, *range(10))
    query_id = start(logs)
    seen: dict[str, int] = {}
    while "Complete" not in seen:
        answer = logs.get_query_results(queryId=query_id)
        seen[answer["status"]] = len(answer["results"])
        time.sleep(0.02)
    assert seen == {"Scheduled": 0, "Running": 5, "Complete": 10}
    assert answer["statistics"] == {
        "recordsMatched": 10.0,
        "recordsScanned": 10.0,
        "bytesScanned": pytest.approx(20, abs=300),
    }
    assert column(answer) == [f"m{n}" for n in range(10)]


def test_the_time_range_is_inclusive_seconds(aws: Control, logs: Any) -> None:
    put(aws, -1, 0, 9_999, 10_000, 11_000)
    assert column(logs.get_query_results(queryId=start(logs))) == ["m0", "m9999", "m10000"]


def test_groups_by_names_and_arns(aws: Control, logs: Any) -> None:
    aws.create_log_group("/other", region=REGION, creation_time_ms=S0 * 1000)
    put(aws, 1)
    put(aws, 2, group="/other")
    arn = f"arn:aws:logs:{REGION}:123456789012:log-group:/other"
    for given in ({"logGroupNames": [GROUP, "/other"]}, {"logGroupIdentifiers": [GROUP, arn]}):
        assert column(logs.get_query_results(queryId=start(logs, **given))) == ["m1", "m2"]


def test_pages(aws: Control, logs: Any) -> None:
    aws.configure(query_page_size=4)
    put(aws, *range(10))
    query_id = start(logs)
    pages, token = [], {}
    while True:
        answer = logs.get_query_results(queryId=query_id, **token)
        pages.append(len(answer["results"]))
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert pages == [4, 4, 2]
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.get_query_results(queryId=query_id, nextToken="x")


def test_limit(aws: Control, logs: Any) -> None:
    put(aws, *range(5))
    answer = logs.get_query_results(queryId=start(logs, limit=2))
    assert (len(answer["results"]), answer["statistics"]["recordsMatched"]) == (2, 5.0)


def test_statistics_and_ingestion_time(aws: Control, logs: Any) -> None:
    events = [{"timestamp": S0 * 1000, "message": "x", "ingestionTime": S0 * 1000 + late} for late in (5, 50)]
    aws.put_events(GROUP, "s", events, region=REGION)
    text = f"filter toMillis(@ingestionTime) >= {S0 * 1000 + 50} | stats count(*) as late"
    assert column(logs.get_query_results(queryId=start(logs, text)), "late") == ["1"]


def test_retention_and_indexing_delay(aws: Control, logs: Any) -> None:
    now = int(time.time())
    aws.configure(indexing_delay_seconds=3600)
    times = {"retained": 7_200, "expired": 3 * 86_400, "not indexed": 60}
    events = [{"timestamp": (now - age) * 1000, "message": name} for name, age in times.items()]
    aws.put_events(GROUP, "s", events, region=REGION)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    answer = logs.get_query_results(queryId=start(logs, startTime=now - 4 * 86_400, endTime=now))
    assert column(answer) == ["retained"]


@pytest.mark.parametrize("outcome", ["Failed", "Timeout", "Cancelled", "Unknown"])
def test_outcomes(aws: Control, logs: Any, outcome: str) -> None:
    aws.configure(query_outcome=outcome)
    put(aws, *range(4))
    answer = logs.get_query_results(queryId=start(logs))
    assert answer["status"] == outcome
    assert len(answer["results"]) < 4


def test_stop(aws: Control, logs: Any) -> None:
    aws.configure(query_running_seconds=60)
    query_id = start(logs)
    assert logs.stop_query(queryId=query_id)["success"] is True
    assert logs.get_query_results(queryId=query_id)["status"] == "Cancelled"
    with pytest.raises(logs.exceptions.InvalidParameterException, match="not running"):
        logs.stop_query(queryId=query_id)


def test_describe(aws: Control, logs: Any) -> None:
    done = start(logs)
    aws.configure(query_running_seconds=60)
    running = start(logs)

    def ids(**given: Any) -> list[str]:
        return [query["queryId"] for query in logs.describe_queries(**given)["queries"]]

    assert ids() == [running, done]
    assert ids(status="Complete") == [done]
    assert ids(logGroupName="/none") == []
    page = logs.describe_queries(maxResults=1)
    assert ids(nextToken=page["nextToken"]) == [done]
    assert page["queries"][0]["queryString"] == MESSAGES
    with pytest.raises(logs.exceptions.InvalidParameterException):
        ids(status="Done")


def test_concurrency(aws: Control, logs: Any) -> None:
    aws.configure(query_concurrency=2, query_running_seconds=60)
    start(logs)
    stopped = start(logs)
    with pytest.raises(logs.exceptions.LimitExceededException):
        start(logs)
    logs.stop_query(queryId=stopped)
    start(logs)


def test_a_range_that_a_group_cannot_hold_is_refused(aws: Control, logs: Any) -> None:
    refusal = "Query's end date and time is either before the log groups creation time or exceeds the log groups log"
    now = int(time.time())
    aws.create_log_group("/young", region=REGION, creation_time_ms=(S0 + 10) * 1000)
    start(logs, logGroupNames=[GROUP, "/young"])
    with pytest.raises(logs.exceptions.MalformedQueryException, match=refusal):
        start(logs, logGroupNames=[GROUP, "/young"], endTime=S0 + 9)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    start(logs, startTime=now - 2 * 86_400, endTime=now - 86_000)
    with pytest.raises(logs.exceptions.MalformedQueryException, match=refusal):
        start(logs, startTime=now - 2 * 86_400, endTime=now - 86_500)


def test_malformed_query(logs: Any) -> None:
    with pytest.raises(logs.exceptions.MalformedQueryException):
        start(logs, "fields @message | nonsense")


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 100_001},
        {"startTime": S0 + 11},
        {"logGroupName": GROUP, "logGroupNames": [GROUP]},
        {"logGroupNames": [GROUP] * 51},
        {"queryString": "fields @message | filter 1 = 1" + " " * 10_000},
    ],
)
def test_invalid_parameters(logs: Any, changes: dict[str, Any]) -> None:
    text = changes.pop("queryString", MESSAGES)
    with pytest.raises(logs.exceptions.InvalidParameterException):
        start(logs, text, **changes)


def test_unknown_group_and_query(logs: Any) -> None:
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        start(logs, logGroupNames=[GROUP, "/none"])
    for call in (logs.get_query_results, logs.stop_query):
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            call(queryId="none")


def test_ten_thousand_rows_without_a_limit(aws: Control, logs: Any) -> None:
    put(aws, *range(10_001))
    query_id = start(logs)
    answer = logs.get_query_results(queryId=query_id)
    assert (len(answer["results"]), answer["statistics"]["recordsMatched"]) == (10_000, 10_001.0)
    wider = start(logs, limit=100_000)
    token = logs.get_query_results(queryId=wider)["nextToken"]
    assert len(logs.get_query_results(queryId=wider, nextToken=token)["results"]) == 1
