"""ECS, and SQS which tells of its events: the provider's hooks, which say what is wrong with the connection."""

from __future__ import annotations

from airflow.providers.amazon.aws.hooks.ecs import EcsHook
from airflow.providers.amazon.aws.hooks.sqs import SqsHook

from log_audit.hooks.reach import ReachHook


class TaskHook(ReachHook, EcsHook):
    """ECS's tasks."""


class TaskQueueHook(ReachHook, SqsHook):
    """The queue of the events of ECS's tasks."""
