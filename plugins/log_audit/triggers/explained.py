"""What the triggers that wait for a job of AWS have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.triggers.base import TriggerEvent

from log_audit.errors import LogAuditError
from log_audit.hooks.reach import ReachHook


class ExplainedTrigger(AwsBaseWaiterTrigger):
    """Says in its event why it cannot look; an error would reach the task as "Trigger failure" alone."""

    aws_hook_class = ReachHook

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():
                yield event
        except LogAuditError as error:
            told = {"status": "error", "message": f"in the triggerer: {error}", self.return_key: self.return_value}
            yield TriggerEvent(told)
