"""The archive's bucket and connection, at the stand-in."""

import json
from typing import Any

import pytest

from local_aws.control import Control
from local_aws.samples import export_policy
from tests.log_audit.operators.archive_line import BUCKET, REGION, at


@pytest.fixture(autouse=True)
def _connection(aws_server, monkeypatch):
    extra = {"region_name": REGION, "endpoint_url": aws_server.endpoint}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


@pytest.fixture
def s3(aws: Control, aws_client: Any) -> Any:
    """The bucket with its policy; a client of S3."""
    client = aws_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_policy(Bucket=BUCKET, Policy=export_policy(BUCKET, REGION))
    aws.configure(export_pending_seconds=0.1, export_running_seconds=0.2)
    return client


@pytest.fixture
def group(aws: Control, s3: Any) -> str:
    """A log group that is older than the month."""
    aws.create_log_group("/app", region=REGION, creation_time_ms=at(1) - 90 * 86_400_000)
    return "/app"
