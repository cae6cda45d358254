"""Waiting for CloudWatch Logs in the triggerer: waiters/logs.json says for what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.triggers.base import TriggerEvent

from log_audit.hooks.logs import LogsHook


class ExportTaskTrigger(AwsBaseWaiterTrigger):
    """Waits until an export task has ended, and cancels it when a person kills the Airflow task."""

    aws_hook_class = LogsHook

    def __init__(self, *, export_task_id: str, waiter_delay: int, waiter_max_attempts: int, **kwargs: Any) -> None:
        super().__init__(
            serialized_fields={"export_task_id": export_task_id},
            waiter_name="export_task_complete",
            waiter_args={"taskId": export_task_id},
            failure_message=f"export task {export_task_id} did not complete",
            status_message=f"export task {export_task_id}",
            status_queries=["exportTasks[0].status.code", "exportTasks[0].status.message"],
            return_key="export_task_id",
            return_value=export_task_id,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **kwargs,
        )
        self.export_task_id = export_task_id

    async def on_kill(self) -> None:
        async with await self.hook().get_async_conn() as client:
            try:
                await client.cancel_export_task(taskId=self.export_task_id)
            except (client.exceptions.InvalidOperationException, client.exceptions.ResourceNotFoundException) as error:
                self.log.info("export task %s needs no cancelling: %s", self.export_task_id, error)


class ExportSlotTrigger(AwsBaseWaiterTrigger):
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


class QueriesTrigger(AwsBaseWaiterTrigger):
    """Waits until Insights queries have ended, one after the other; stops them when a person kills the Airflow task."""

    aws_hook_class = LogsHook

    def __init__(self, *, query_ids: list[str], waiter_delay: int, waiter_max_attempts: int, **kwargs: Any) -> None:
        super().__init__(
            serialized_fields={"query_ids": query_ids},
            waiter_name="query_complete",
            waiter_args={},
            failure_message="query did not complete",
            status_message="query",
            status_queries=["status"],
            return_key="query_ids",
            return_value=query_ids,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            **kwargs,
        )
        self.query_ids = query_ids

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = time.monotonic() + self.attempts * self.waiter_delay
        for query_id in self.query_ids:
            self.waiter_args = {"queryId": query_id}
            self.attempts = max(1, round((deadline - time.monotonic()) / self.waiter_delay))  # all share them
            async for event in super().run():
                if event.payload["status"] != "success":
                    yield event
                    return
        yield TriggerEvent({"status": "success", "query_ids": self.query_ids})

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
