"""Waiting for CloudWatch Logs in the triggerer: waiters/logs.json says for what."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
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
            await client.cancel_export_task(taskId=self.export_task_id)


class ExportSlotTrigger(AwsBaseWaiterTrigger):
    """Waits until no export task is active in the account and region; tells how long that took."""

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
        for query_id in self.query_ids:
            self.waiter_args = {"queryId": query_id}
            async for event in super().run():
                if event.payload["status"] != "success":
                    yield event
                    return
        yield TriggerEvent({"status": "success", "query_ids": self.query_ids})

    async def on_kill(self) -> None:
        async with await self.hook().get_async_conn() as client:
            for query_id in self.query_ids:
                await client.stop_query(queryId=query_id)
