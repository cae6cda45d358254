"""EventBridge Scheduler: which schedules there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from log_audit.hooks.reach import ReachHook


class SchedulerHook(ReachHook, AwsBaseHook):
    """EventBridge Scheduler's schedules, of all groups of an account and region."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "scheduler"
        super().__init__(*args, **kwargs)

    def schedules(self) -> Iterator[dict[str, Any]]:
        """Every schedule as GetSchedule tells it; one that is deleted meanwhile is left out.

        https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html
        """
        for page in self.conn.get_paginator("list_schedules").paginate():
            for summary in page["Schedules"]:
                try:
                    yield self.conn.get_schedule(GroupName=summary["GroupName"], Name=summary["Name"])
                except self.conn.exceptions.ResourceNotFoundException:
                    self.log.info("schedule %s/%s has been deleted", summary["GroupName"], summary["Name"])
