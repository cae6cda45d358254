"""The front door: refusals, records, faults, and who may come in."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
)

from local_aws.control import Control, ControlError
from local_aws.server import LocalAws

Client = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_listens_on_loopback_only(aws_server: LocalAws) -> None:
    assert aws_server._server.socket.getsockname()[0] == "127.0.0.1"
    assert aws_server.endpoint.startswith("http://127.0.0.1:")


def test_refuses_another_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto, "__version__", "5.2.6")
    with pytest.raises(RuntimeError, match=r"5\.2\.5"):
        LocalAws()


def test_one_at_a_time(aws_server: LocalAws) -> None:
    with pytest.raises(RuntimeError, match="already"):
        LocalAws()


def test_health(aws: Control) -> None:
    assert aws.health() == {"status": "ok", "moto": "5.2.5"}


def test_caller_identity(aws_client: Client) -> None:
    assert aws_client("sts").get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "named"),
    [
        ("logs", "describe_metric_filters", {}, "logs.DescribeMetricFilters"),
        ("s3", "list_objects", {"Bucket": "b"}, "s3.ListObjects"),
        ("s3", "get_object_tagging", {"Bucket": "b", "Key": "k"}, "s3.GetObjectTagging"),
        ("sts", "get_session_token", {}, "sts.GetSessionToken"),
        ("sqs", "tag_queue", {"QueueUrl": "q", "Tags": {}}, "sqs.TagQueue"),
        (
            "iam",
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "PermissionsBoundary": "b" * 20},
            "iam.CreateRole",
        ),
        ("cloudformation", "create_change_set", {"StackName": "s", "ChangeSetName": "c"}, "CreateChangeSet"),
        ("cloudformation", "delete_stack", {"StackName": "s", "RetainResources": ["r"]}, "RetainResources"),
        ("batch", "describe_jobs", {"jobs": ["j"]}, "batch.DescribeJobs"),
        ("ec2", "describe_instances", {}, "ec2.DescribeInstances"),
        ("logs", "filter_log_events", {"logGroupName": "g", "filterPattern": "x"}, "filterPattern"),
    ],
)
def test_refuses_what_it_does_not_do(
    aws: Control, aws_client: Client, service: str, operation: str, parameters: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError, match=named) as raised:
        getattr(aws_client(service), operation)(**parameters)
    assert error_code(raised) == "NotImplementedByStandIn"
    assert [call["status"] for call in aws.calls()] == [501]


def test_refuses_a_policy_that_moto_would_misjudge(aws_client: Client) -> None:
    s3 = aws_client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="archive")
    policy = '{"Statement": {"Effect": "Deny", "Principal": "*", "Condition": {"Null": {"aws:PrincipalArn": "false"}}}}'
    with pytest.raises(ClientError, match="Condition") as raised:
        s3.put_bucket_policy(Bucket="archive", Policy=policy)
    assert error_code(raised) == "NotImplementedByStandIn"
    with pytest.raises(ClientError) as raised:
        s3.put_bucket_policy(Bucket="archive", Policy="{")
    assert error_code(raised) == "MalformedPolicy"


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example:80", 403), ("localhost:1", 200), ("[::1]:1", 200), ("", 403)]
)
def test_answers_to_loopback_names_only(aws_server: LocalAws, host: str, status: int) -> None:
    connection = http.client.HTTPConnection(*aws_server.address, timeout=5)
    connection.request("GET", "/local-aws/health", headers={"Host": host})
    assert connection.getresponse().status == status
    connection.close()


def test_objects_and_their_parts(aws: Control, aws_client: Client) -> None:
    s3 = aws_client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="archive")
    s3.put_object(Bucket="archive", Key="a/ü b+c", Body=b"text")
    assert s3.get_object(Bucket="archive", Key="a/ü b+c")["Body"].read() == b"text"
    assert s3.head_object(Bucket="archive", Key="a/ü b+c")["ContentLength"] == 4
    upload = s3.create_multipart_upload(Bucket="archive", Key="big")["UploadId"]
    part = s3.upload_part(Bucket="archive", Key="big", UploadId=upload, PartNumber=1, Body=b"x" * 100)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket="archive", Key="big", UploadId=upload, MultipartUpload=parts)
    listed = s3.list_objects_v2(Bucket="archive")["Contents"]
    assert [(item["Key"], item["Size"]) for item in listed] == [("a/ü b+c", 4), ("big", 100)]
    deleted = s3.delete_objects(Bucket="archive", Delete={"Objects": [{"Key": item["Key"]} for item in listed]})
    assert len(deleted["Deleted"]) == 2
    with pytest.raises(ClientError) as raised:
        s3.head_object(Bucket="archive", Key="big")
    assert error_code(raised) == "404"
    assert aws.calls("s3.UploadPart")[0]["parameters"]["Bucket"] == "archive"


def test_calls_are_recorded(aws: Control, aws_client: Client) -> None:
    aws_client("logs").describe_log_groups(logGroupNamePrefix="/x")
    aws_client("sts").get_caller_identity()
    first, second = aws.calls()
    assert first.pop("time") == pytest.approx(time.time(), abs=5)
    assert "Boto3/" in first.pop("agent")
    assert first == {
        "action": "logs.DescribeLogGroups",
        "service": "logs",
        "account": "123456789012",
        "region": "ap-northeast-1",
        "parameters": {"logGroupNamePrefix": "/x"},
        "status": 200,
        "caller": "arn:aws:iam::123456789012:root",
        "rights": [],
        "made": None,
    }
    assert aws.calls("sts.GetCallerIdentity") == [second]
    aws.forget_calls()
    assert aws.calls() == []


def test_an_error_by_fault_as_often_as_asked(aws: Control, aws_client: Client) -> None:
    logs = aws_client("logs")
    aws.fault("logs.DescribeLogGroups", times=2, error="ThrottlingException", message="Rate exceeded")
    aws_client("sts").get_caller_identity()
    for _ in range(2):
        with pytest.raises(ClientError, match="Rate exceeded") as raised:
            logs.describe_log_groups()
        assert error_code(raised) == "ThrottlingException"
    assert logs.describe_log_groups()["logGroups"] == []
    assert [call["status"] for call in aws.calls("logs.DescribeLogGroups")] == [400, 400, 200]


@pytest.mark.parametrize(("service", "operation"), [("s3", "list_buckets"), ("sts", "get_caller_identity")])
def test_an_error_by_fault_in_xml(aws: Control, aws_client: Client, service: str, operation: str) -> None:
    aws.fault("*", error="ServiceUnavailable", message="a < b", status=503)
    with pytest.raises(ClientError, match="a < b") as raised:
        getattr(aws_client(service), operation)()
    assert error_code(raised) == "ServiceUnavailable"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_faults_can_be_cleared(aws: Control, aws_client: Client) -> None:
    aws.fault("*", times=5, error="Boom")
    aws.clear_faults()
    aws_client("sts").get_caller_identity()


def test_a_delay(aws: Control, aws_client: Client) -> None:
    aws.fault("sts.GetCallerIdentity", delay=0.2)
    started = time.monotonic()
    aws_client("sts").get_caller_identity()
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("drop", "groups"), [("before", 0), ("after", 1)])
def test_a_drop_is_a_real_one(aws: Control, aws_client: Client, drop: str, groups: int) -> None:
    logs = aws_client("logs")
    aws.fault("logs.CreateLogGroup", drop=drop)
    with pytest.raises(ConnectionClosedError):
        logs.create_log_group(logGroupName="/app")
    assert aws.calls("logs.CreateLogGroup")[0]["status"] is None
    assert len(logs.describe_log_groups()["logGroups"]) == groups


def test_a_drop_within_the_answer_leaves_half_of_it(aws: Control, aws_client: Client) -> None:
    s3 = aws_client("s3")
    s3.create_bucket(Bucket="cut", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_object(Bucket="cut", Key="a", Body=b"x" * 1000)
    aws.fault("s3.GetObject", drop="within")
    body = s3.get_object(Bucket="cut", Key="a")["Body"]
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        body.read()
    assert s3.get_object(Bucket="cut", Key="a")["Body"].read() == b"x" * 1000
    aws.fault("logs.CreateLogGroup", drop="within")
    aws_client("logs").create_log_group(logGroupName="/app")  # whose answer has no body to cut
    aws.fault("logs.DescribeLogGroups", drop="within")
    assert "logGroups" not in aws_client("logs").describe_log_groups()  # so botocore reads half of a JSON text


def test_botocore_retries_a_drop(aws: Control, aws_client: Client) -> None:
    aws.fault("logs.DescribeLogGroups", drop="before")
    aws_client("logs", config=None).describe_log_groups()
    assert [call["status"] for call in aws.calls()] == [None, 200]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"action": "logs.CreateExportTsk", "error": "X"}, "does not do"),
        ({"action": "*"}, "needs"),
        ({"action": "*", "drop": "during"}, "before"),
        ({"action": "*", "drop": "after", "error": "X"}, "not both"),
        ({"action": "*", "error": "X", "times": 0}, "times"),
        ({"action": "*", "error": "X", "status": 200}, "status"),
        ({"action": "*", "error": "X", "times": "2"}, "times"),
    ],
)
def test_bad_faults(aws: Control, fault: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ControlError, match=sentence):
        aws.fault(**fault)


def test_as_a_program() -> None:
    command = [sys.executable, "-m", "local_aws", "--port", "0", "--sample-data"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout
        line = process.stdout.readline()
        endpoint = line.split()[-1]
        assert Control(endpoint).health()["status"] == "ok"
        assert len(Control(endpoint).calls("cloudformation.CreateStack")) == 1
        assert [call for call in Control(endpoint).calls("s3.CreateBucket") if call["status"] == 200] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
    host, port = endpoint.removeprefix("http://").split(":")
    with pytest.raises(OSError, match="refused"), socket.create_connection((host, int(port)), timeout=2):
        pass


def test_what_waits_is_broken_off_when_it_ends() -> None:
    """Threads that are left would make DuckDB's binding tell at length of its objects, or break the exit."""
    command = [sys.executable, "-m", "local_aws", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "plugins"), "AWS_EC2_METADATA_DISABLED": "true"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout
        endpoint = process.stdout.readline().split()[-1]
        options = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "ap-northeast-1"}
        once = Config(retries={"total_max_attempts": 1})
        sqs, s3 = (boto3.client(name, endpoint_url=endpoint, config=once, **options) for name in ("sqs", "s3"))
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        Control(endpoint).fault("s3.ListBuckets", delay=60)
        with ThreadPoolExecutor() as pool:
            waits = [pool.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=20), pool.submit(s3.list_buckets)]
            time.sleep(1)
            assert not any(wait.done() for wait in waits)
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=8)
            assert all(wait.exception() for wait in waits)
        assert (process.returncode, told) == (0, "")
    finally:
        process.kill()
        process.communicate()


def test_in_a_container_it_answers_to_one_more_name() -> None:
    command = [sys.executable, "-m", "local_aws", "--port", "0", "--allow-host", "aws"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2])

        def status(host: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/local-aws/health", headers={"Host": host})
            answer = connection.getresponse()
            connection.close()
            return answer.status

        assert [status(host) for host in ("aws:4566", "localhost", "evil.example", "aws.evil.example")] == [
            200,
            200,
            403,
            403,
        ]
    finally:
        process.kill()
        process.communicate()


def test_no_web_page_may_read_answers(aws_server: LocalAws) -> None:
    connection = http.client.HTTPConnection(*aws_server.address, timeout=5)
    connection.request("GET", "/bucket", headers={"Origin": "http://evil.example"})
    answer = connection.getresponse()
    assert answer.status == 501
    assert answer.getheader("Access-Control-Allow-Origin") is None
    connection.close()
