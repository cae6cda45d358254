"""Export tasks: life cycle, layout of the objects, limits and refusals."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.control import Control
from local_aws.samples import export_policy

REGION = "ap-northeast-1"
BUCKET = "archive"
GROUP = "/app/web"
T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.fixture
def s3(aws_client: Callable[..., Any]) -> Any:
    client = aws_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_policy(Bucket=BUCKET, Policy=export_policy(BUCKET, REGION))
    return client


@pytest.fixture
def logs(aws: Control, s3: Any, aws_client: Callable[..., Any]) -> Any:
    aws.configure(export_pending_seconds=0, export_running_seconds=0, export_cancel_seconds=0)
    aws.create_log_group(GROUP, region=REGION, creation_time_ms=T0)
    return aws_client("logs")


def put(aws: Control, stream: str, *events: tuple[int, str]) -> None:
    given = [{"timestamp": T0 + offset, "message": message} for offset, message in events]
    aws.put_events(GROUP, stream, given, region=REGION)


def export(logs: Any, **changes: Any) -> str:
    request = {"logGroupName": GROUP, "fromTime": T0, "to": T0 + 999, "destination": BUCKET, "destinationPrefix": "out"}
    task_id: str = logs.create_export_task(**(request | changes))["taskId"]
    return task_id


def described(logs: Any, task_id: str) -> dict[str, Any]:
    (task,) = logs.describe_export_tasks(taskId=task_id)["exportTasks"]
    return task


def status(logs: Any, task_id: str) -> str:
    return described(logs, task_id)["status"]["code"]


def objects(s3: Any) -> dict[str, str]:
    """The text of every exported object by key, without the write test."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    bodies = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys if key.endswith(".gz")}
    return {key: gzip.decompress(body).decode() for key, body in bodies.items()}


def test_life_cycle(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_pending_seconds=0.3, export_running_seconds=0.5)
    put(aws, "s", (1, "x"))
    task_id = export(logs, taskName="month")
    seen = [status(logs, task_id)]
    assert objects(s3) == {}
    assert s3.get_object(Bucket=BUCKET, Key="out/aws-logs-write-test")["Body"].read() == b"Permission Check Successful"
    assert "completionTime" not in described(logs, task_id)["executionInfo"]
    while seen[-1] != "COMPLETED":
        code = status(logs, task_id)
        if code != seen[-1]:
            seen.append(code)
        time.sleep(0.02)
    assert seen == ["PENDING", "RUNNING", "COMPLETED"]
    assert len(objects(s3)) == 1
    task = described(logs, task_id)
    created, completed = task.pop("executionInfo").values()
    assert completed - created == 800
    assert task == {
        "taskId": task_id,
        "taskName": "month",
        "logGroupName": GROUP,
        "from": T0,
        "to": T0 + 999,
        "destination": BUCKET,
        "destinationPrefix": "out",
        "status": {"code": "COMPLETED", "message": "Completed successfully"},
    }


def test_objects_appear_though_nobody_polls(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_running_seconds=0.2)
    put(aws, "s", (1, "x"))
    export(logs)
    assert objects(s3) == {}
    time.sleep(0.25)
    assert len(objects(s3)) == 1


def test_layout(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_events_per_object=2)
    put(aws, "a/b", (998, "third"), (0, "first"), (5, 'second\n2026-01-01T00:00:00.000Z "more"'))
    put(aws, "c", (-1, "before"), (999, "last"), (1000, "after"))
    put(aws, "empty", (-1, "before"))
    task_id = export(logs)
    assert objects(s3) == {
        f"out/{task_id}/a-b/000000.gz": (
            '2026-01-01T00:00:00.000Z first\n2026-01-01T00:00:00.005Z second\n2026-01-01T00:00:00.000Z "more"\n'
        ),
        f"out/{task_id}/a-b/000001.gz": "2026-01-01T00:00:00.998Z third\n",
        f"out/{task_id}/c/000000.gz": "2026-01-01T00:00:00.999Z last\n",
    }


def test_streams_that_share_a_folder_lose_nothing(aws: Control, logs: Any, s3: Any) -> None:
    put(aws, "a/b", (2, "slash"))
    put(aws, "a-b", (1, "dash"))
    export(logs)
    (text,) = objects(s3).values()
    assert [line.split()[1] for line in text.splitlines()] == ["dash", "slash"]


def test_stream_prefix_and_default_prefix(aws: Control, logs: Any, s3: Any) -> None:
    put(aws, "web-1", (1, "x"))
    put(aws, "db-1", (1, "x"))
    request = {"logGroupName": GROUP, "fromTime": T0, "to": T0 + 999, "destination": BUCKET}
    task_id = logs.create_export_task(**request, logStreamNamePrefix="web")["taskId"]
    assert list(objects(s3)) == [f"exportedlogs/{task_id}/web-1/000000.gz"]
    assert "taskName" not in described(logs, task_id)


def test_retention_takes_events_from_exports(aws: Control, logs: Any, s3: Any) -> None:
    put(aws, "s", (1, "x"))
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert status(logs, export(logs)) == "COMPLETED"
    assert objects(s3) == {}


def test_lag_leaves_young_events_out(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_lag_seconds=3600)
    now = int(time.time() * 1000)
    events = [
        {"timestamp": T0 + 1, "message": "young", "ingestionTime": now - 60_000},
        {"timestamp": T0 + 2, "message": "old", "ingestionTime": now - 7_200_000},
    ]
    aws.put_events(GROUP, "s", events, region=REGION)
    export(logs)
    assert [text.split()[1] for text in objects(s3).values()] == ["old"]


def test_outcome_empty(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_outcome="EMPTY")
    put(aws, "s", (1, "x"))
    assert status(logs, export(logs)) == "COMPLETED"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["out/aws-logs-write-test"]


def test_outcome_failed(aws: Control, logs: Any, s3: Any) -> None:
    put(aws, "s", (1, "x"))
    aws.configure(export_outcome="FAILED", export_failure_message="No luck")
    assert described(logs, export(logs))["status"] == {"code": "FAILED", "message": "No luck"}
    aws.configure(export_failure_message="")
    assert described(logs, export(logs))["status"] == {"code": "FAILED"}
    assert objects(s3) == {}


def test_a_bucket_that_goes_away_fails_the_task(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_running_seconds=2)
    put(aws, "s", (1, "x"))
    task_id = export(logs)
    s3.delete_object(Bucket=BUCKET, Key="out/aws-logs-write-test")
    s3.delete_bucket(Bucket=BUCKET)
    time.sleep(2)
    assert status(logs, task_id) == "FAILED"


@pytest.mark.parametrize("cancelled", [False, True])
def test_one_task_at_a_time(aws: Control, logs: Any, cancelled: bool) -> None:
    aws.configure(export_pending_seconds=60, export_cancel_seconds=60)
    task_id = export(logs)
    if cancelled:
        logs.cancel_export_task(taskId=task_id)
    with pytest.raises(logs.exceptions.LimitExceededException, match=r"Resource limit exceeded\."):
        export(logs)


def test_the_limit_is_per_region(aws: Control, logs: Any, aws_client: Callable[..., Any]) -> None:
    aws.configure(export_pending_seconds=60)
    export(logs)
    aws.create_log_group(GROUP, region="us-east-1", creation_time_ms=T0)
    s3 = aws_client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="archive-us")
    s3.put_bucket_policy(Bucket="archive-us", Policy=export_policy("archive-us", "us-east-1"))
    export(aws_client("logs", region_name="us-east-1"), destination="archive-us")


def test_the_next_task_may_start_when_the_last_has_ended(logs: Any) -> None:
    assert export(logs) != export(logs)


def test_cancel(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_running_seconds=0.2, export_cancel_seconds=0.2)
    put(aws, "s", (1, "x"))
    task_id = export(logs)
    logs.cancel_export_task(taskId=task_id)
    assert status(logs, task_id) == "PENDING_CANCEL"
    time.sleep(0.25)
    task = described(logs, task_id)
    assert task["status"] == {"code": "CANCELLED"}
    assert task["executionInfo"]["completionTime"] > task["executionInfo"]["creationTime"]
    assert objects(s3) == {}
    with pytest.raises(logs.exceptions.InvalidOperationException):
        logs.cancel_export_task(taskId=task_id)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.cancel_export_task(taskId="none")


def test_describe_pages_newest_first(logs: Any) -> None:
    ids = [export(logs) for _ in range(53)][::-1]
    first = logs.describe_export_tasks()
    assert [task["taskId"] for task in first["exportTasks"]] == ids[:50]
    second = logs.describe_export_tasks(nextToken=first["nextToken"])
    assert [task["taskId"] for task in second["exportTasks"]] == ids[50:]
    assert "nextToken" not in second
    newer = export(logs)
    again = logs.describe_export_tasks(nextToken=first["nextToken"], limit=2)
    assert newer not in [task["taskId"] for task in again["exportTasks"]]
    assert len(again["exportTasks"]) == 2


def test_describe_by_status_and_id(aws: Control, logs: Any) -> None:
    done = export(logs)
    aws.configure(export_pending_seconds=60)
    waiting = export(logs)

    def ids(**given: Any) -> list[str]:
        return [task["taskId"] for task in logs.describe_export_tasks(**given)["exportTasks"]]

    assert ids() == [waiting, done]
    assert ids(statusCode="PENDING") == [waiting]
    assert ids(statusCode="COMPLETED") == [done]
    assert ids(taskId=done) == [done]
    assert ids(taskId="unknown") == []
    for bad in ({"taskId": done, "statusCode": "PENDING"}, {"statusCode": "DONE"}, {"limit": 51}, {"nextToken": "x"}):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            ids(**bad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"to": T0}, "earlier"),
        ({"fromTime": 1, "to": T0 - 1}, "creation time"),
        ({"destination": "no-such-bucket"}, "bucket does not exist"),
        ({"taskName": "x" * 513}, "taskName"),
    ],
)
def test_invalid_parameters(logs: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(logs.exceptions.InvalidParameterException, match=message):
        export(logs, **changes)
    assert logs.describe_export_tasks()["exportTasks"] == []


def test_unknown_group(logs: Any) -> None:
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        export(logs, logGroupName="/none")


def test_bucket_of_another_region(logs: Any, aws_client: Callable[..., Any]) -> None:
    aws_client("s3", region_name="us-east-1").create_bucket(Bucket="far")
    with pytest.raises(logs.exceptions.InvalidParameterException, match="us-east-1"):
        export(logs, destination="far")


def test_infrequent_access_cannot_be_exported(aws: Control, logs: Any) -> None:
    aws.create_log_group("/ia", region=REGION, creation_time_ms=T0, log_group_class="INFREQUENT_ACCESS")
    with pytest.raises(logs.exceptions.InvalidParameterException, match="INFREQUENT_ACCESS"):
        export(logs, logGroupName="/ia")


def test_the_bucket_must_grant_both_actions(logs: Any, s3: Any) -> None:
    acl, put_object = json.loads(export_policy(BUCKET, REGION))["Statement"]
    for statements, failing in (([put_object], "GetBucketAcl"), ([acl], "PutObject")):
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": statements}))
        with pytest.raises(
            logs.exceptions.InvalidParameterException, match=f"{failing} call on the given bucket failed"
        ):
            export(logs)
    s3.delete_bucket_policy(Bucket=BUCKET)
    with pytest.raises(logs.exceptions.InvalidParameterException, match="GetBucketAcl"):
        export(logs)


def test_conditions_of_the_bucket_policy_count(logs: Any, s3: Any) -> None:
    s3.put_bucket_policy(Bucket=BUCKET, Policy=export_policy(BUCKET, REGION, account="999999999999"))
    with pytest.raises(logs.exceptions.InvalidParameterException, match="GetBucketAcl"):
        export(logs)
    other_key = export_policy(BUCKET, REGION).replace("aws:SourceAccount", "aws:SourceOrgID")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=other_key)
    with pytest.raises(ClientError, match="aws:SourceOrgID") as raised:
        export(logs)
    assert raised.value.response["Error"]["Code"] == "NotImplementedByStandIn"


def test_of_many_at_once_one_wins(aws: Control, logs: Any, s3: Any) -> None:
    aws.configure(export_running_seconds=0.5)
    put(aws, "s", (1, "x"))

    def attempt(_: int) -> str:
        try:
            export(logs)
        except logs.exceptions.LimitExceededException:
            return "limit"
        return "started"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(attempt, range(8)))
    assert Counter(outcomes) == {"started": 1, "limit": 7}
