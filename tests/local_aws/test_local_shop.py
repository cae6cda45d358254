"""What ``make run`` makes for several targets: stacks, samples and connections in each account and region."""

import json
from datetime import UTC, datetime

import pytest

from local_aws import accounts, aurora, aurora_lines, run, samples, shop, stack
from local_aws.control import Control
from log_audit.settings import Settings

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
ACCOUNT, OTHER = "123456789012", "210987654321"
PLACES = {"tokyo": (ACCOUNT, "ap-northeast-1"), "osaka": (ACCOUNT, "ap-northeast-3"), "other": (OTHER, "eu-west-1")}


def settings_of(connections: dict[str, str]) -> Settings:
    """Targets of these connections, each with everything a target can have."""
    targets = {}
    for name, connection in connections.items():
        account, region = PLACES[name]
        targets[name] = {
            "connection": connection,
            "region": region,
            "archive": {"bucket": f"archive-{name}", "prefix": "logs", "log_groups": [{"name_prefix": "/aws/lambda/"}]},
            "athena": {"workgroup": "log-audit"},
            "aurora": {
                "location": f"s3://aurora-{name}/audit",
                "queue": f"https://sqs.{region}.amazonaws.com/{account}/log-audit-ecs-tasks",
                "clusters": {f"aurora-{name}": {"ecs_cluster": "batch", "command": [f"aurora-{name}"]}},
            },
            "cloudtrail": {"location": f"s3://trail-{name}/AWSLogs", "accounts": [account], "regions": [region]},
        }
    return Settings.model_validate({"time_zone": "Asia/Tokyo", "targets": targets})


def test_each_target_is_furnished_in_its_account_and_region(aws: Control) -> None:
    settings = settings_of({"tokyo": "aws_one", "osaka": "aws_two", "other": "aws_three"})
    made = shop.furnish(aws.endpoint, settings, settings.targets.values(), NOW)
    assert [target for target, _ in made] == list(settings.targets.values())
    for name, (account, region) in PLACES.items():
        target, outputs = settings.targets[name], dict((one.region, found) for one, found in made)[PLACES[name][1]]
        place = {"region": region, "account": account}
        assert outputs["RoleArn"] == f"arn:aws:iam::{account}:role/log-audit-airflow-{region}"
        logs = accounts.client(aws.endpoint, "logs", **place)
        groups = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
        assert groups >= {*samples.APIS, *samples.FUNCTIONS, stack.SCHEDULER_CALLS}
        s3 = accounts.client(aws.endpoint, "s3", **place)
        for bucket in (f"aurora-{name}", f"trail-{name}"):
            assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] > 0
        assert target.aurora is not None
        cluster = f"aurora-{name}"
        lines = aurora_lines.sample_lines
        shipped = aurora.ship(
            aws.endpoint, target.aurora, cluster, "2026-11-19T09", lines, region=region, zone=settings.zone
        )
        sqs = accounts.client(aws.endpoint, "sqs", **place)
        [message] = sqs.receive_message(QueueUrl=outputs["AuroraQueue"], MaxNumberOfMessages=10)["Messages"]
        assert json.loads(message["Body"])["detail"]["taskArn"] == shipped.task_arn
        connection = json.loads(run.connection(aws.endpoint, target.connection, made))["extra"]
        assert (connection["role_arn"], connection["region_name"]) == (outputs["RoleArn"], region)
        assert connection["assume_role_kwargs"] == {"ExternalId": stack.EXTERNAL_ID}
    assert aws.undelivered_events() == []


def test_targets_that_share_a_connection(aws: Control) -> None:
    settings = settings_of({"tokyo": "aws_default", "osaka": "aws_default"})
    targets = [(target, {"RoleArn": f"role-{name}"}) for name, target in settings.targets.items()]
    shared = json.loads(run.connection(aws.endpoint, "aws_default", targets))["extra"]
    assert "role_arn" not in shared
    apart = settings_of({"tokyo": "aws_default", "other": "aws_default"})
    targets = [(target, {"RoleArn": f"role-{name}"}) for name, target in apart.targets.items()]
    with pytest.raises(run.CannotRun, match="give every target a connection of its own"):
        run.connection(aws.endpoint, "aws_default", targets)


def test_an_account_and_region_of_two_targets_is_filled_once() -> None:
    settings = settings_of({"tokyo": "aws_one", "osaka": "aws_two"})
    tokyo = settings.targets["tokyo"]
    assert shop.places([tokyo, tokyo, settings.targets["osaka"]]) == sorted([PLACES["tokyo"], PLACES["osaka"]])
