"""What the tests of ECS tasks share: a cluster, tasks in it, and a queue that gets their events."""

import json
from collections.abc import Callable
from typing import Any

from local_aws.control import Control

REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
CLUSTER_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/batch"
SIDE_CAR = {"name": "side", "image": "side:1", "essential": False}
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
STATES = ["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]
RULE_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/tasks"


def register(ecs: Any, family: str, **changes: Any) -> str:
    app = {"name": "app", "image": "app:1", "cpu": 256, "memory": 512}
    asked = {
        "family": family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "512",
        "memory": "1024",
        "containerDefinitions": [SIDE_CAR, app],
    }
    arn: str = ecs.register_task_definition(**(asked | changes))["taskDefinition"]["taskDefinitionArn"]
    return arn


def cluster_client(aws: Control, aws_client: Callable[..., Any]) -> Any:
    """A client, with the cluster ``batch`` and the family ``audit`` of containers side and app; tasks end at once."""
    aws.configure(ecs_start_seconds=0, ecs_run_seconds=0, ecs_stop_seconds=0)
    client = aws_client("ecs")
    client.create_cluster(clusterName="batch")
    register(client, "audit")
    return client


def run(ecs: Any, command: str = "aurora-prod", **changes: Any) -> str:
    asked = {
        "cluster": "batch",
        "taskDefinition": "audit",
        "launchType": "FARGATE",
        "networkConfiguration": NETWORK,
        "overrides": {"containerOverrides": [{"name": "app", "command": [command]}]},
    }
    (task,) = ecs.run_task(**(asked | changes))["tasks"]
    arn: str = task["taskArn"]
    return arn


def described(ecs: Any, arn: str) -> dict[str, Any]:
    (task,) = ecs.describe_tasks(cluster="batch", tasks=[arn])["tasks"]
    found: dict[str, Any] = task
    return found


def listed(ecs: Any, status: str = "STOPPED", **filters: Any) -> list[str]:
    arns: list[str] = ecs.list_tasks(cluster="batch", desiredStatus=status, **filters)["taskArns"]
    return arns


def exit_codes(task: dict[str, Any]) -> dict[str, int | None]:
    return {part["name"]: part.get("exitCode") for part in task["containers"]}


class Inbox:
    """A queue that a rule fills with the events of tasks."""

    def __init__(self, aws_client: Callable[..., Any], pattern: dict[str, Any]) -> None:
        self._sqs, events = aws_client("sqs"), aws_client("events")
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:tasks"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": RULE_ARN}},
        }
        policy = json.dumps({"Statement": [statement]})
        self._url = self._sqs.create_queue(QueueName="tasks", Attributes={"Policy": policy})["QueueUrl"]
        events.put_rule(Name="tasks", EventPattern=json.dumps({"source": ["aws.ecs"]} | pattern))
        events.put_targets(Rule="tasks", Targets=[{"Id": "q", "Arn": arn}])

    def events(self, wait: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            asked = {"QueueUrl": self._url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0 if found else wait}
            messages = self._sqs.receive_message(**asked).get("Messages", [])
            if not messages:
                return found
            found += [json.loads(message["Body"]) for message in messages]

    def versions(self, wait: int = 0) -> list[int]:
        return [event["detail"]["version"] for event in self.events(wait)]
