"""Waiting for a job of AWS: the part that every operator with such a job shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import AwsHookType

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


class WaitingOperator(AwsBaseOperator[AwsHookType]):
    """Waits for an AWS job: a few seconds in the worker, the rest deferred.

    Airflow's scheduler can fail a task whose trigger fires before its deferral is recorded (airflow #72716),
    and a deferral costs seconds: what is likely to end soon is better waited for here.

    :param deferrable: wait in the triggerer; else in the worker
    :param poll_seconds: between two looks at the job
    :param worker_seconds: how long the worker looks before it defers
    """

    def __init__(
        self, *, deferrable: bool = True, poll_seconds: int = 10, worker_seconds: float = 5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.poll_seconds = poll_seconds
        self.worker_seconds = worker_seconds
        self._trouble = ""  # why the trigger looks no longer

    def _heard(self, event: Mapping[str, Any]) -> None:
        """Keep what a trigger says that could not go on looking."""
        if event.get("status") == "error" and event.get("message"):
            self._trouble = f" ({event['message']})"

    def _wait(self, ended: Callable[[], bool], trigger: Callable[..., BaseTrigger], method: str, limit: float) -> None:
        """Return when ``ended`` says so, or after ``limit`` seconds; what lasts longer is deferred to ``method``."""
        if self._poll(ended, self.worker_seconds if self.deferrable else limit):
            return
        if not self.deferrable:
            return  # the caller sees for itself that the job has not ended
        self.defer(
            trigger=trigger(
                waiter_delay=self.poll_seconds,
                waiter_max_attempts=max(1, round(limit / self.poll_seconds)),
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name=method,
        )

    def _poll(self, ended: Callable[[], bool], seconds: float) -> bool:
        deadline, pause = time.monotonic() + seconds, 0.5
        while not ended():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, self.poll_seconds)
        return True
