"""Waiting for CloudWatch Logs in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from airflow.triggers.base import TriggerEvent

from log_audit.errors import LogAuditError
from log_audit.hooks.logs import ACTIVE, LogsHook
from log_audit.polling import slot_pause
from log_audit.triggers.explained import ExplainedTrigger
from log_audit.triggers.shared import Kind, Sight, ended
from log_audit.window import from_ms, utc_now

# What a trigger that asks together with others leaves empty of the stock one.
NO_WAITER: dict[str, Any] = {
    **{"waiter_name": "", "waiter_args": {}},
    **{"failure_message": "", "status_message": "", "status_queries": []},
}


class ExportTasks(Kind):
    """Export tasks. AWS runs one at a time, so there is nothing to look at together.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeExportTasks.html
    """

    hook_class = LogsHook
    calls_per_second = 2
    pause = staticmethod(slot_pause)

    @staticmethod
    async def look(client: Any, jobs: Sequence[str]) -> Mapping[str, Sight | LogAuditError]:
        tasks = (await client.describe_export_tasks(taskId=jobs[0]))["exportTasks"]
        if not tasks:
            return {jobs[0]: LogAuditError(f"AWS knows no export task {jobs[0]}")}
        state, created = tasks[0]["status"]["code"], tasks[0].get("executionInfo", {}).get("creationTime")
        age = (utc_now() - from_ms(created)).total_seconds() if created else None
        return {jobs[0]: Sight(state, ended=state not in ACTIVE, age=age)}


class Queries(Kind):
    """Insights queries: no call tells of several.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
    """

    hook_class = LogsHook
    calls_per_second = 5

    @staticmethod
    async def look(client: Any, jobs: Sequence[str]) -> Mapping[str, Sight | LogAuditError]:
        state = (await client.get_query_results(queryId=jobs[0]))["status"]
        return {jobs[0]: Sight(state, ended=state not in {"Scheduled", "Running"})}


class ExportTaskTrigger(ExplainedTrigger):
    """Waits until an export task has ended, and cancels it when a person kills the Airflow task."""

    aws_hook_class = LogsHook

    def __init__(self, *, export_task_id: str, waiter_delay: int, waiter_max_attempts: int, **kwargs: Any) -> None:
        super().__init__(
            serialized_fields={"export_task_id": export_task_id},
            return_key="export_task_id",
            return_value=export_task_id,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **{**NO_WAITER, **kwargs},
        )
        self.export_task_id = export_task_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        limit, longest = self.attempts * self.waiter_delay, self.waiter_delay
        try:
            task = await ended(ExportTasks, self._hook_parameters, self.export_task_id, limit=limit, longest=longest)
            event = {"status": "success" if task.ended else "error", "message": task.state}
        except LogAuditError as error:
            event = {"status": "error", "message": f"in the triggerer: {error}"}
        yield TriggerEvent({**event, "export_task_id": self.export_task_id})

    async def on_kill(self) -> None:
        async with await self.hook().get_async_conn() as client:
            try:
                await client.cancel_export_task(taskId=self.export_task_id)
            except (client.exceptions.InvalidOperationException, client.exceptions.ResourceNotFoundException) as error:
                self.log.info("export task %s needs no cancelling: %s", self.export_task_id, error)


class ExportSlotTrigger(ExplainedTrigger):
    """Waits until no export task is active in the account and region; tells how long that took.

    It looks for the first time after ``waiter_delay``: for a moment AWS may not tell of a task that holds the slot.
    """

    aws_hook_class = LogsHook

    def __init__(self, *, waiter_delay: int, waiter_max_attempts: int, **kwargs: Any) -> None:
        active = 'exportTasks[?contains(`["PENDING","RUNNING","PENDING_CANCEL"]`, status.code)] | [0]'
        super().__init__(
            serialized_fields={},
            waiter_name="export_slot_free",
            waiter_args={},
            failure_message="waiting for the export slot failed",
            status_message="waiting for the export task",
            status_queries=[f"{active}.taskId", f"{active}.logGroupName", f"{active}.status.code"],
            return_value=None,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **kwargs,
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        started = time.monotonic()
        await asyncio.sleep(self.waiter_delay)
        async for event in super().run():
            yield TriggerEvent({**event.payload, "waited": time.monotonic() - started})


class QueriesTrigger(ExplainedTrigger):
    """Waits until Insights queries have ended, one after the other; stops them when a person kills the Airflow task."""

    aws_hook_class = LogsHook

    def __init__(self, *, query_ids: list[str], waiter_delay: int, waiter_max_attempts: int, **kwargs: Any) -> None:
        super().__init__(
            serialized_fields={"query_ids": query_ids},
            return_key="query_ids",
            return_value=query_ids,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **{**NO_WAITER, **kwargs},
        )
        self.query_ids = query_ids

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = time.monotonic() + self.attempts * self.waiter_delay  # all share the time
        try:
            for query_id in self.query_ids:
                left = max(0.0, deadline - time.monotonic())
                query = await ended(Queries, self._hook_parameters, query_id, limit=left)
                if query.state != "Complete":
                    raise LogAuditError(f"query {query_id} is {query.state}")
            event = {"status": "success"}
        except LogAuditError as error:
            event = {"status": "error", "message": f"in the triggerer: {error}"}
        yield TriggerEvent({**event, "query_ids": self.query_ids})

    async def on_kill(self) -> None:
        async with await self.hook().get_async_conn() as client:
            known = client.exceptions
            for query_id in self.query_ids:
                # The one had ended, the other is unknown: both leave the rest to be stopped.
                with suppress(known.InvalidParameterException, known.ResourceNotFoundException):
                    await client.stop_query(queryId=query_id)


class QuotaPauseTrigger(QueriesTrigger):
    """Waits ``waiter_delay`` seconds before another query may be started, and stops those that were when killed."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(self.waiter_delay)
        yield TriggerEvent({"status": "success", "query_ids": self.query_ids})
