"""The control API: what it takes, and what it refuses with a sentence."""

import http.client
from collections.abc import Callable
from typing import Any

import pytest

from local_aws.control import Control, ControlError
from local_aws.server import LocalAws

REGION = "ap-northeast-1"


@pytest.mark.parametrize(
    ("path", "method", "body", "content_type", "status", "sentence"),
    [
        ("fault", "POST", "{", "application/json", 400, "not JSON"),
        ("fault", "POST", "[]", "application/json", 400, "JSON object"),
        ("fault", "POST", "{}", "application/json", 400, "'action' is missing"),
        ("fault", "POST", '{"acton": "x"}', "application/json", 400, "Unknown field 'acton'"),
        ("reset", "POST", "{}", "text/plain", 400, "application/json"),
        ("reset", "GET", None, "application/json", 400, "POST"),
        ("reste", "POST", "{}", "application/json", 404, "There is no 'reste'"),
        ("put-events", "POST", '{"log_group": 1}', "application/json", 400, "'log_group' must not be 1"),
    ],
)
def test_bad_requests(
    aws_server: LocalAws, path: str, method: str, body: str, content_type: str, status: int, sentence: str
) -> None:
    connection = http.client.HTTPConnection(*aws_server.address, timeout=5)
    connection.request(method, f"/local-aws/{path}", body, {"Content-Type": content_type})
    answer = connection.getresponse()
    assert answer.status == status
    assert sentence in answer.read().decode()
    connection.close()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"export_outcom": "FAILED"}, "no setting"),
        ({"export_outcome": "Failed"}, "must be one of"),
        ({"export_pending_seconds": -1}, "at least 0"),
        ({"export_pending_seconds": True}, "number"),
        ({"query_page_size": 0}, "at least 1"),
        ({"query_page_size": 1.5}, "number"),
    ],
)
def test_bad_settings(aws: Control, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ControlError, match=sentence):
        aws.configure(**settings)


def test_bad_events_and_groups(aws: Control) -> None:
    with pytest.raises(ControlError, match="ResourceNotFoundException"):
        aws.put_events("/none", "s", [{"timestamp": 1, "message": "x"}], region=REGION)
    aws.create_log_group("/app", region=REGION)
    with pytest.raises(ControlError, match="'message' is missing"):
        aws.put_events("/app", "s", [{"timestamp": 1}], region=REGION)
    with pytest.raises(ControlError, match="ResourceAlreadyExistsException"):
        aws.create_log_group("/app", region=REGION)
    with pytest.raises(ControlError, match="no region"):
        aws.create_log_group("/app", region="ap-northeast-9")
    with pytest.raises(ControlError, match="class"):
        aws.create_log_group("/b", region=REGION, log_group_class="DELIVERY")


def test_a_refused_retention_leaves_no_group(aws: Control, aws_client: Callable[..., Any]) -> None:
    with pytest.raises(ControlError, match="retentionInDays"):
        aws.create_log_group("/app", region=REGION, retention_days=2)
    assert aws_client("logs").describe_log_groups()["logGroups"] == []


def test_reset_forgets_everything(aws: Control, aws_client: Callable[..., Any]) -> None:
    logs, s3 = aws_client("logs"), aws_client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="archive")
    logs.create_log_group(logGroupName="/app")
    aws.fault("*", error="Boom")
    aws.reset()
    assert aws.calls() == []
    assert logs.describe_log_groups()["logGroups"] == []
    assert s3.list_buckets()["Buckets"] == []
