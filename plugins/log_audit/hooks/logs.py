"""CloudWatch Logs: what the provider's hook lacks, export tasks and Insights queries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook

from log_audit.hooks.reach import ReachHook
from log_audit.window import Window

ACTIVE = frozenset({"PENDING", "RUNNING", "PENDING_CANCEL"})


def error_code(error: Exception) -> str | None:
    """AWS's code of a botocore ``ClientError``, None of anything else."""
    return getattr(error, "response", {}).get("Error", {}).get("Code")


class LogsHook(ReachHook, AwsLogsHook):
    """CloudWatch Logs with export tasks, Insights queries and waiters for both."""

    @cached_property
    def waiter_path(self) -> os.PathLike[str]:
        return Path(__file__).parents[1] / "waiters" / "logs.json"

    def log_groups(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The log groups whose names begin with ``prefix``, as DescribeLogGroups returns them."""
        pages = self.conn.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        return (group for page in pages for group in page["logGroups"])

    def log_group(self, name: str) -> dict[str, Any] | None:
        """One log group, or None where there is no such group."""
        return next((group for group in self.log_groups(name) if group["logGroupName"] == name), None)

    def has_events(self, log_group: str, window: Window) -> bool:
        """Whether the group holds any event of the window. FilterLogEvents may answer many empty pages first."""
        start, end = window.export_range()
        pages = self.conn.get_paginator("filter_log_events").paginate(
            logGroupName=log_group, startTime=start, endTime=end, PaginationConfig={"PageSize": 1}
        )
        return any(page["events"] for page in pages)

    def create_export_task(self, name: str, log_group: str, window: Window, bucket: str, prefix: str) -> str:
        """Start an export and return its task id.

        botocore must not repeat the call: after a lost answer it would start a second task, and it takes
        LimitExceededException, which says that the account's only slot is taken, for throttling.

        :param window: exported in whole, both of the API's inclusive bounds in milliseconds
        :param prefix: where the objects go, beneath it a folder named by the task id
        :raises botocore.exceptions.ClientError: as AWS says

        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateExportTask.html
        """
        from botocore.config import Config

        start, end = window.export_range()
        client = self.get_client_type(config=Config(retries={"total_max_attempts": 1}))
        answer = client.create_export_task(
            taskName=name,
            logGroupName=log_group,
            fromTime=start,
            to=end,
            destination=bucket,
            destinationPrefix=prefix,
        )
        return answer["taskId"]

    def export_task(self, task_id: str) -> dict[str, Any] | None:
        """An export task as AWS tells it, or None where AWS knows no such id."""
        tasks = self.conn.describe_export_tasks(taskId=task_id)["exportTasks"]
        return tasks[0] if tasks else None

    def find_export_task(self, name: str) -> dict[str, Any] | None:
        """The newest export task of this name, in whatever state."""
        pages = self.conn.get_paginator("describe_export_tasks").paginate()
        return next((task for page in pages for task in page["exportTasks"] if task.get("taskName") == name), None)

    def active_export_task(self) -> dict[str, Any] | None:
        """Whichever task holds the account's and region's only slot; the newest tasks come first."""
        tasks = self.conn.describe_export_tasks()["exportTasks"]
        return next((task for task in tasks if task["status"]["code"] in ACTIVE), None)

    def cancel_export_task(self, task_id: str) -> None:
        """Cancel an export task; one that has ended or is unknown is left as it is."""
        try:
            self.conn.cancel_export_task(taskId=task_id)
        except self.conn.exceptions.InvalidOperationException:
            self.log.info("export task %s had ended already", task_id)
        except self.conn.exceptions.ResourceNotFoundException:
            self.log.info("AWS knows no export task %s", task_id)

    def start_query(self, log_groups: Sequence[str], window: Window, query: str, limit: int | None = None) -> str:
        """Start an Insights query over a range that encloses ``window`` and return the query id.

        The bounds are whole seconds and both inclusive, so the query itself must cut the window exactly.
        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
        """
        start, end = window.insights_range()
        extra = {} if limit is None else {"limit": limit}
        answer = self.conn.start_query(
            logGroupNames=list(log_groups), startTime=start, endTime=end, queryString=query, **extra
        )
        return answer["queryId"]

    def query_status(self, query_id: str) -> str | None:
        """The status of a query, or None where AWS knows no such id (results are kept for seven days)."""
        try:
            return self.conn.get_query_results(queryId=query_id)["status"]
        except self.conn.exceptions.ResourceNotFoundException:
            return None

    def query_results(self, query_id: str) -> tuple[list[dict[str, str]], dict[str, float]]:
        """All rows of a complete query, page after page, as field to value, and its statistics."""
        rows: list[dict[str, str]] = []
        more: dict[str, str] = {}
        while True:
            page = self.conn.get_query_results(queryId=query_id, **more)
            rows += [{cell["field"]: cell["value"] for cell in row if "value" in cell} for row in page["results"]]
            if not (token := page.get("nextToken")):
                return rows, page.get("statistics", {})
            more = {"nextToken": token}

    def stop_query(self, query_id: str) -> None:
        """Stop a query; one that has ended is left as it is."""
        try:
            self.conn.stop_query(queryId=query_id)
        except (
            self.conn.exceptions.InvalidParameterException,
            self.conn.exceptions.ResourceNotFoundException,
        ):
            self.log.info("query %s had ended already", query_id)
