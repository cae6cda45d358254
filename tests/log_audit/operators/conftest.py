"""What the operators meet at the stand-in: connections, a bucket, log groups, checks."""

import json
from datetime import timedelta
from typing import Any

import pytest

from local_aws.control import Control
from local_aws.samples import export_policy
from log_audit.window import to_ms
from tests.log_audit.operators.archive_line import BUCKET, NOW, REGION, at
from tests.support.check_runs import NOON, Checks
from tests.support.delivery_runs import SETTINGS, Deliveries


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


@pytest.fixture
def checks(aws: Control, tmp_path: Any, monkeypatch: Any) -> Checks:
    """A folder of checks on the log group ``/app``, and a Slack connection."""
    aws.configure(query_scheduled_seconds=0, query_running_seconds=0, slack_channels=["alerts", "general"])
    aws.create_log_group("/app", region=REGION, creation_time_ms=to_ms(NOW - timedelta(days=90)))
    extra = {"base_url": f"{aws.endpoint}/slack/api/"}
    connection = {"conn_type": "slack", "password": "xoxb-local", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    return Checks(tmp_path, aws, monkeypatch)


@pytest.fixture
def arrives(aws: Control) -> Any:
    """Puts an event that arrived so long before NOON, and happened ``late`` before that."""

    def put(ago: timedelta, message: str = "ERROR x", *, late: timedelta = timedelta(seconds=1), group: str = "/app"):
        arrival = NOON - ago
        event = {"timestamp": to_ms(arrival - late), "message": message, "ingestionTime": to_ms(arrival)}
        aws.put_events(group, "s", [event], region=REGION)

    return put


@pytest.fixture
def deliveries(aws: Control, tmp_path: Any, monkeypatch: Any) -> Any:
    """Makes the AWS side of shipping tasks, with the given settings."""

    def make(settings: str = SETTINGS) -> Deliveries:
        aws.configure(slack_channels=["alerts"], ecs_start_seconds=0, ecs_run_seconds=0, ecs_stop_seconds=0)
        extra = {"base_url": f"{aws.endpoint}/slack/api/"}
        connection = {"conn_type": "slack", "password": "xoxb-local", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
        return Deliveries(tmp_path, aws, monkeypatch, settings)

    return make
