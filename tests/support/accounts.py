"""An AWS account for a target of the settings: what the pipelines find there, and the role they assume."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from local_aws import accounts, samples
from local_aws.airflow import aws_connection
from local_aws.control import ACCOUNT, Control
from log_audit.settings import Target
from log_audit.window import Window, to_ms

ROLE = "log-audit"
CONTAINERS = [{"name": "shipper", "image": "example/shipper:1", "essential": True}]


@dataclass(frozen=True)
class Account:
    """One account and region behind a target."""

    control: Control
    target: Target
    number: str

    @property
    def place(self) -> dict[str, str]:
        return {"region": self.target.region, "account": self.number}

    @property
    def connection(self) -> dict[str, str]:
        """The Airflow connection that assumes the account's role, as a variable of the environment."""
        role = f"arn:aws:iam::{self.number}:role/{ROLE}"
        value = aws_connection(self.control.endpoint, self.target.region, role)
        return {f"AIRFLOW_CONN_{self.target.connection.upper()}": value}

    def client(self, service: str) -> Any:
        return accounts.client(self.control.endpoint, service, self.target.region, self.number)

    def prepare(self) -> None:
        """The role, buckets, log groups, workgroup, ECS cluster, queue and rule that the target names."""
        self.make_role()
        for bucket in sorted({self.target.archive.bucket, *self._buckets()}):
            place = {"LocationConstraint": self.target.region}
            self.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        bucket = self.target.archive.bucket
        document = samples.export_policy(bucket, self.target.region, self.number)
        self.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)
        output = {"ResultConfiguration": {"OutputLocation": f"{self.target.athena.results}/"}}
        self.client("athena").create_work_group(Name=self.target.athena.workgroup, Configuration=output)
        self._prepare_tasks()

    def make_role(self) -> None:
        """The role that the target's connection assumes."""
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam = self.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy(trust))
        iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=policy(allow))

    def remove_role(self) -> None:
        self.client("iam").delete_role_policy(RoleName=ROLE, PolicyName="all")
        self.client("iam").delete_role(RoleName=ROLE)

    def log(self, group: str, times: Sequence[datetime], message: str) -> None:
        """A log group with events of these times."""
        since = min(times) - timedelta(days=60)
        self.control.create_log_group(group, creation_time_ms=to_ms(since), **self.place)
        self.put(group, times, message)

    def put(self, group: str, times: Sequence[datetime], message: str, late: timedelta = timedelta(0)) -> None:
        """Events that arrived so much after their times."""
        events = [{"timestamp": to_ms(at), "message": message, "ingestionTime": to_ms(at + late)} for at in times]
        self.control.put_events(group, "s", sorted(events, key=lambda event: event["timestamp"]), **self.place)

    def ship(self, cluster: str, hour: str, lines: list[str], **ending: Any) -> str:
        """An ECS task puts an hour of a cluster's audit log, and stops; the partition key."""
        assert self.target.aurora is not None
        bucket, prefix = self.target.aurora.location.removeprefix("s3://").split("/", 1)
        key = f"{prefix}/{cluster}/{hour[:10]}/{hour[11:]}/audit.log.0.gz"
        body = gzip.compress("".join(f"{line}\n" for line in lines).encode())
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        started = Window.hour(hour, ZoneInfo("Asia/Tokyo")).end.timestamp() + 90
        ends = {"started_at": started, "container": "shipper", "exit_codes": {"shipper": 0}, **self.place} | ending
        self.control.stopped_task("batch", "shipper", [cluster], **ends)
        return f"{cluster}/{hour}"

    def trail(self, records: Sequence[dict[str, Any]], day: datetime) -> None:
        """A file of CloudTrail's, published on this day (UTC)."""
        assert self.target.cloudtrail is not None
        bucket = str(self.target.cloudtrail.location).split("/")[2]
        folder = f"AWSLogs/{self.number}/CloudTrail/{self.target.region}/{day:%Y/%m/%d}"
        name = f"{self.number}_CloudTrail_{self.target.region}_{day:%Y%m%dT%H%MZ}_abcdefghijklmnop.json.gz"
        body = gzip.compress(json.dumps({"Records": list(records)}).encode())
        self.client("s3").put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=body)

    def read(self, bucket: str, key: str) -> bytes:
        content: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def keys(self, bucket: str) -> list[str]:
        """What is in a bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def _buckets(self) -> list[str]:
        aurora, trail = self.target.aurora, self.target.cloudtrail
        places = [self.target.athena.results, aurora and aurora.location, trail and trail.location]
        return [str(place).split("/")[2] for place in places if place]

    def _prepare_tasks(self) -> None:
        assert self.target.aurora is not None
        ecs, sqs, events = self.client("ecs"), self.client("sqs"), self.client("events")
        ecs.create_cluster(clusterName="batch")
        ecs.register_task_definition(
            family="shipper",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=CONTAINERS,
        )
        name = str(self.target.aurora.queue).rpartition("/")[2]
        arn = f"arn:aws:sqs:{self.target.region}:{self.number}:{name}"
        pattern = {"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"]}}
        rule = events.put_rule(Name="tasks", EventPattern=json.dumps(pattern))["RuleArn"]
        sender = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
        only = {"Condition": {"ArnEquals": {"aws:SourceArn": rule}}}
        sqs.create_queue(QueueName=name, Attributes={"Policy": policy({"Effect": "Allow", **sender, **only})})
        events.put_targets(Rule="tasks", Targets=[{"Id": "queue", "Arn": arn}])


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
