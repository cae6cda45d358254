"""Links from tasks to Amazon ECS."""

from __future__ import annotations

from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink

from log_audit.links.task_link import TaskLink

PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}  # by the beginning of a region's name


class EcsTaskLink(TaskLink):
    """To the ECS task that delivered."""

    name = "ECS task"


def task_url(region: str, task: str) -> str:
    """The page of an ECS task in the console; "" of a task of the old form, which names no cluster.

    :param region: such as ap-northeast-1
    :param task: the end of its ARN, ``<ECS cluster>/<task id>``

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
    """
    cluster, slash, name = task.partition("/")
    partition = next((kind for start, kind in PARTITIONS.items() if region.startswith(start)), "aws")
    domain = BaseAwsLink.get_aws_domain(partition)
    if not slash or not domain:
        return ""
    host = f"https://{region}.console.{domain}/ecs/v2"
    return f"{host}/clusters/{quote(cluster)}/tasks/{quote(name)}/configuration?region={region}"
