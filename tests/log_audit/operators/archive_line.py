"""The archive's line of tasks, run one after the other against the stand-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from log_audit.archive import ArchiveJob, Manifest
from log_audit.hooks.s3 import ArchiveHook
from log_audit.operators.archive import ListExportOperator, PlanArchiveOperator, VerifyExportOperator
from log_audit.operators.logs import CloudWatchLogsExportOperator
from log_audit.operators.manifest import RecheckArchiveOperator, WriteManifestOperator
from log_audit.settings import Archive
from log_audit.window import Window, to_ms
from tests.support.tasks import Run

REGION, TOKYO, BUCKET = "ap-northeast-1", "Asia/Tokyo", "archive-bucket"
AWS = {"aws_conn_id": "aws_default", "region_name": REGION}
NOW = datetime(2026, 11, 20, tzinfo=UTC)
MONTH = "2026-10"
WINDOW = Window.month(MONTH, TOKYO)
ASSET = Asset("log_archive")
TASKS = {"export": "export", "objects": "objects", "verify": "verify"}


def at(day: int, hour: int = 12) -> int:
    """A moment of October 2026 in Japan, epoch ms."""
    return to_ms(WINDOW.start + timedelta(days=day - 1, hours=hour))


def events(*messages: str, day: int = 5, **more: int) -> list[dict[str, Any]]:
    return [{"timestamp": at(day) + n, "message": text, **more} for n, text in enumerate(messages)]


class Line:
    """A run of monthly_log_export or archive_recheck, without Airflow around it."""

    def __init__(
        self,
        *log_groups: dict[str, Any],
        month: str | None = MONTH,
        now: datetime = NOW,
        params: Any = None,
        **export: Any,
    ) -> None:
        self.archive = Archive.model_validate({"bucket": BUCKET, "prefix": "logs", "log_groups": log_groups})
        self.now = now
        self.run = Run(month, params=params)
        self.export_options = {"poll_seconds": 1, "worker_seconds": 0, **export}

    def plan(self, settle: timedelta = timedelta(hours=12), archived: bool = False) -> list[dict[str, Any]]:
        def make() -> PlanArchiveOperator:
            return PlanArchiveOperator(
                target="tokyo",
                task_id="plan",
                archive=self.archive,
                time_zone=TOKYO,
                settle=settle,
                archived=archived,
                clock=lambda: self.now,
                **AWS,
            )

        self.jobs: list[dict[str, Any]] = self.run.execute(make)
        return self.jobs

    def export_task(self, job: dict[str, Any]) -> CloudWatchLogsExportOperator:
        return CloudWatchLogsExportOperator(task_id="export", job=job, **self.export_options, **AWS)

    def export(self, index: int = 0, job: dict[str, Any] | None = None) -> Any:
        return self.run.execute(lambda: self.export_task(job or self.jobs[index]), index)

    def verify(self) -> None:
        for key in [key for key in self.run.xcoms if key[0] == "verify"]:
            del self.run.xcoms[key]  # Airflow forgets the XComs of a task that runs again
        chunks = self.run.execute(lambda: ListExportOperator(task_id="objects", export_task_id="export", **AWS))
        for number, chunk in enumerate(chunks):
            self.run.execute(lambda chunk=chunk: VerifyExportOperator(task_id="verify", chunk=chunk, **AWS), number)

    def manifest(self, index: int = 0, final: bool = False) -> dict[str, Any]:
        def make() -> WriteManifestOperator:
            return WriteManifestOperator(
                task_id="manifest",
                job=self.jobs[index],
                tasks=TASKS,
                final=final,
                outlets=[ASSET],
                poll_seconds=1,
                worker_seconds=0,
                **AWS,
            )

        return self.run.execute(make, index)

    def recheck(self, index: int = 0) -> dict[str, Any]:
        def make() -> RecheckArchiveOperator:
            return RecheckArchiveOperator(
                task_id="late_events",
                job=self.jobs[index],
                clock=lambda: self.now,
                poll_seconds=1,
                worker_seconds=0,
                **AWS,
            )

        return self.run.execute(make, index)

    def all(self) -> list[dict[str, Any]]:
        """The whole monthly run; the summaries of the groups that were not skipped."""
        self.plan()
        for index in range(len(self.jobs)):
            try:
                self.export(index)
            except AirflowSkipException:
                self.run.states["export", index] = "skipped"
        self.verify()
        return [
            self.manifest(index)
            for index in range(len(self.jobs))
            if ("export", index, "return_value") in self.run.xcoms
        ]

    def recheck_all(self) -> list[dict[str, Any]]:
        """The whole recheck."""
        self.plan(settle=timedelta(days=15), archived=True)
        for index in range(len(self.jobs)):
            self.export(index, self.recheck(index))
        self.verify()
        return [self.manifest(index, final=True) for index in range(len(self.jobs))]

    def stored_manifest(self, index: int = 0) -> Manifest | None:
        return ArchiveHook(**AWS).read_manifest(ArchiveJob.of(self.jobs[index]))
