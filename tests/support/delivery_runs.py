"""Runs of ecs_log_delivery, task by task, without Airflow around them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from local_aws import aurora
from local_aws.control import Control
from log_audit.operators import ecs as operators
from log_audit.operators.ecs import RecordDeliveryOperator, SettleDeliveriesOperator
from log_audit.sensors.ecs import EcsTaskStoppedSensor
from log_audit.settings import load_settings
from log_audit.window import Window
from tests.support.tasks import AssetStores, Run

REGION = "ap-northeast-1"
LOG = Asset("aurora_audit_log")
QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/log-audit-ecs-tasks"
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {{bucket: some-bucket, log_groups: [{{name: /app}}]}}
    aurora:
      location: s3://aurora-logs/audit
      queue: {QUEUE}
      clusters:
        orders: {{ecs_cluster: batch, command: [orders], silent_after_hours: 3}}
        payments: {{ecs_cluster: batch, command: [payments], silent_after_hours: 3}}
delivery: {{visibility_minutes: 0.05, poll_seconds: 0.2, blind_after_minutes: 0.05}}
slack:
  channels: {{critical: [alerts], high: [alerts], medium: [alerts], low: [alerts], info: [alerts]}}
  failures: [alerts]
"""
POLLING = SETTINGS.replace(f"      queue: {QUEUE}\n", "")


class Deliveries:
    """The AWS side, the settings, and what is remembered between runs."""

    def __init__(self, folder: Path, aws: Control, monkeypatch: Any, settings: str = SETTINGS) -> None:
        self.aws = aws
        self.stores = AssetStores()
        self.paused = False
        file = folder / "settings.yaml"
        file.write_text(settings)
        monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(file))
        monkeypatch.setattr(operators, "is_paused", lambda ti, dag_id: self.paused)
        self.settings = load_settings()
        for target in self.settings.targets.values():
            aurora.prepare(aws.endpoint, target)

    def stop(self, cluster: str, hour: str, **task: Any) -> str:
        """A shipping task of the hour (such as ``2026-11-20T09``) has stopped; its name as we know it."""
        started = Window.hour(hour, "Asia/Tokyo").end.timestamp() + 90
        task.setdefault("region", REGION)
        arn = self.aws.stopped_task(
            "batch",
            "aurora-log-shipper",
            task.pop("command", [cluster]),
            **{"started_at": started, "container": "shipper", **task},
        )
        return arn.partition(":task/")[2]

    @property
    def store(self) -> dict[str, Any]:
        return self.stores[LOG]

    def told(self) -> list[str]:
        """The alerts so far, each as its text."""
        return [message["text"] for message in self.aws.slack_messages("alerts")]

    def start(self) -> DeliveryRun:
        return DeliveryRun(self)

    def run(self) -> DeliveryRun:
        """One whole run."""
        run = self.start()
        run.sense()
        run.record()
        run.settle()
        return run


class DeliveryRun:
    """One run; a task may be executed again, as a retry or a clear does."""

    def __init__(self, line: Deliveries) -> None:
        self.line = line
        self.run = Run(asset_stores=line.stores)
        self.deliveries: list[dict[str, Any]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []  # partition key and extra of each event

    def sense(self) -> list[dict[str, Any]]:
        self.deliveries = self.run.execute(
            lambda: EcsTaskStoppedSensor(task_id="stopped", settings=self.line.settings, watches=LOG)
        )
        return self.deliveries

    @property
    def batches(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run.xcoms["stopped", -1, "batches"]["batches"]
        return found

    def record(self, only: int | None = None) -> None:
        for number, delivery in enumerate(self.deliveries):
            if only in (None, number):
                self.run.events.clear()
                self.run.execute(lambda delivery=delivery: self._record_task(delivery), number)
                event = self.run.events[LOG]
                [key] = event.partition_keys
                self.recorded.append((key, event.extra))

    def _record_task(self, delivery: Mapping[str, Any]) -> RecordDeliveryOperator:
        return RecordDeliveryOperator(
            task_id="record", delivery=dict(delivery), outlets=[LOG], audited_by="aurora_audit"
        )

    def settle(self) -> dict[str, int]:
        done: dict[str, int] = self.run.execute(
            lambda: SettleDeliveriesOperator(
                task_id="settle",
                settings=self.line.settings,
                watches=LOG,
                sensor_task_id="stopped",
                record_task_id="record",
                audited_by="aurora_audit",
                replayed_by="aurora_replay",
            )
        )
        return done

    def keys(self) -> list[str]:
        return sorted(key for key, _ in self.recorded)


def at(text: str) -> float:
    """Epoch seconds of an ISO time."""
    return datetime.fromisoformat(text).timestamp()
