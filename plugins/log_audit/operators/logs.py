"""Operators on CloudWatch Logs: export tasks, and Insights queries that count events.

Both keep the id of their AWS job in ``task_state_store`` before they wait, so that the next try of a task whose
worker died finds the job again; the id is dropped when its job has ended, so that a clear starts anew.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from log_audit.archive import FINAL, WRITE_TEST, ArchiveJob, Manifest, StoredObject, shortfalls
from log_audit.errors import AccessError, ExportError, SlotTimeoutError
from log_audit.hooks.logs import ACTIVE, LogsHook, error_code
from log_audit.hooks.s3 import ArchiveHook
from log_audit.links.logs import ArchivePrefixLink
from log_audit.metrics import Metric, emit, target_of
from log_audit.operators.waiting import WaitingOperator
from log_audit.refusals import read_refusal
from log_audit.triggers.logs import ExportSlotTrigger, ExportTaskTrigger
from log_audit.window import from_ms, to_ms

if TYPE_CHECKING:
    from airflow.sdk import Context

EXPORT_TIME_LIMIT = 25 * 3600  # seconds; AWS itself ends an export task after 24 h


class ArchiveBucketMixin:
    """For an operator on CloudWatch Logs: S3, through the same connection."""

    _hook_parameters: dict[str, Any]

    @cached_property
    def bucket(self) -> ArchiveHook:
        return ArchiveHook(**self._hook_parameters)

    def link_archive(self: Any, context: Context, job: ArchiveJob) -> None:
        """Store what the link to the month in S3 needs."""
        ArchivePrefixLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
            bucket=job.bucket,
            prefix=job.prefix,
        )


class CloudWatchLogsExportOperator(ArchiveBucketMixin, WaitingOperator[LogsHook]):
    """Export one window of a log group to S3, unless the archive holds it already.

    AWS has no idempotency token for exports, so the task's name is made unique and stored before the call: a
    try that follows a lost answer or a dead worker finds the task by its name, in whatever state it is.

    :param job: an :class:`~log_audit.archive.ArchiveJob`, or its JSON
    :param slot_timeout: how long to wait while other exports hold the account's only slot
    :returns: ``task_id``, ``exported_at`` (epoch ms), ``objects``, ``bytes``, ``notes`` and the job; or
        ``reused: True`` and the job where the archive is sound
    :raises AirflowSkipException: there is nothing to export, with the reason
    :raises AccessError: the bucket must be changed, and how
    :raises SlotTimeoutError: other exports held the slot for too long
    :raises ExportError: the export failed, or brought nothing of what the group holds

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasks.html
    """

    aws_hook_class = LogsHook
    template_fields: Sequence[str] = aws_template_fields("job")
    operator_extra_links = (ArchivePrefixLink(),)
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        job: ArchiveJob | Mapping[str, Any],
        slot_timeout: timedelta = timedelta(hours=26),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.slot_timeout = slot_timeout
        self._export_task_id: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        job = ArchiveJob.of(self.job)
        if job.skip:
            raise AirflowSkipException(job.skip)
        self.link_archive(context, job)
        if self._is_archived(job):
            return {"reused": True, "index": context["ti"].map_index, "job": job.to_json()}
        store = context["task_state_store"]
        self._export_task_id = self._find_again(store, context["ti"].max_tries)
        while self._export_task_id is None:
            self._export_task_id = self._create(store, job)
            if self._export_task_id is None:
                self._wait_for_slot(store)
        store.delete("slot_waited")
        return self._wait_for_export(context, job, self._export_task_id)

    def _is_archived(self, job: ArchiveJob) -> bool:
        """The manifest decides, never the id of an old export task."""
        manifest: Manifest | None = self.bucket.read_manifest(job)
        if manifest is None:
            return False
        if job.again and manifest.state != FINAL:  # final: what came late is in it by now
            self.log.info("%s %s is exported again: %s", job.log_group, job.month, job.again)
            return False
        if differences := self.bucket.differences(manifest):
            self.log.warning(
                "%s %s is exported again, its archive has been damaged: %s (%d in all)",
                job.log_group, job.month, "; ".join(differences[:5]), len(differences),
            )  # fmt: skip
            return False
        self.log.info("%s %s is in the archive, sound: nothing to export", job.log_group, job.month)
        return True

    def _find_again(self, store: Any, max_tries: int) -> str | None:
        """The export task that an earlier try of this Airflow task started, and did not live to tell the end of."""
        record = store.get("export")
        if not record:
            return None
        if record.get("ended", max_tries) != max_tries:
            store.delete("export")  # that try succeeded, and somebody has cleared the task since
            return None
        if task_id := record.get("task_id"):
            task = self.hook.export_task(task_id)
        else:
            task = self.hook.find_export_task(record["name"])
        if task is None or task["status"]["code"] not in {"PENDING", "RUNNING", "COMPLETED"}:
            store.delete("export")
            return None
        self.log.info("found export task %s of an earlier try, %s", task["taskId"], task["status"]["code"])
        store.set("export", {**record, "task_id": task["taskId"]})
        return task["taskId"]

    def _create(self, store: Any, job: ArchiveJob) -> str | None:
        """Start an export; None while another one holds the slot."""
        name = f"log-audit {uuid.uuid4().hex} {job.month} {job.log_group}"[:512]
        store.set("export", {"name": name})
        try:
            task_id = self.hook.create_export_task(name, job.log_group, job.window, job.bucket, job.prefix)
        except self.hook.conn.exceptions.ClientError as error:
            match error_code(error):
                case "LimitExceededException":
                    store.delete("export")  # the name was not used: the next try need not look for it
                    return None
                case "ResourceNotFoundException":
                    raise AirflowSkipException(f"the log group {job.log_group} does not exist any more") from error
                case "InvalidParameterException":
                    raise self._refused(job, error) from error
            raise
        store.set("export", {"name": name, "task_id": task_id})
        self.log.info("started export task %s of %s, %s", task_id, job.log_group, job.window.describe(job.time_zone))
        return task_id

    def _refused(self, job: ArchiveJob, error: Exception) -> AccessError:
        if missing_right := read_refusal(str(error)):
            place = f"arn:aws:s3:::{job.bucket}/{job.prefix}/*"
            return AccessError(replace(missing_right, resource=place).sentence(self.dag_id))
        group = self.hook.log_group(job.log_group)
        account = group["arn"].split(":")[4] if group else None
        problem = self.bucket.bucket_problem(job.bucket, self.hook.conn_region_name, account)
        return AccessError(f"AWS refuses the export of {job.log_group}: {error}. Perhaps {problem}.")

    def _wait_for_slot(self, store: Any) -> None:
        active = self.hook.active_export_task()
        if active:
            self.log.info(
                "waiting for another export to end: task %s (%s) of log group %s to s3://%s/%s",
                active["taskId"], active.get("taskName", "no name"), active["logGroupName"], active["destination"],
                active.get("destinationPrefix", ""),
            )  # fmt: skip
        waited, started = store.get("slot_waited") or 0, time.monotonic()
        if (left := self.slot_timeout.total_seconds() - waited) <= 0:
            store.delete("slot_waited")
            raise SlotTimeoutError(self._gave_up(active))

        def free() -> bool:
            """Never at once: for a moment AWS may not tell of the task that holds the slot."""
            return time.monotonic() - started >= self.poll_seconds and self.hook.active_export_task() is None

        try:
            self._wait(free, ExportSlotTrigger, "slot_free", left)
        finally:  # it may defer, or fail
            store.set("slot_waited", waited + time.monotonic() - started)

    def slot_free(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called when the trigger has seen the slot free, has given up, or could not look."""
        store: Any = context["task_state_store"]
        waited = event["waited"] + (store.get("slot_waited") or 0)
        store.set("slot_waited", waited)
        if event["status"] == "success":
            return self.execute(context)
        # The trigger counts its looks: all of them may take a little less than the whole time.
        if waited < self.slot_timeout.total_seconds() and not event["message"].endswith("max attempts reached"):
            raise ExportError(
                f"could not see whether the export slot is free; the next try waits on: {event['message']}"
            )
        store.delete("slot_waited")
        raise SlotTimeoutError(f"{self._gave_up(self.hook.active_export_task())} ({event['message']})")

    def _gave_up(self, active: dict[str, Any] | None) -> str:
        whose = f"task {active['taskId']} of log group {active['logGroupName']}" if active else "none at this moment"
        return f"gave up after {self.slot_timeout} of waiting for the account's export slot; active now: {whose}"

    def _wait_for_export(self, context: Context, job: ArchiveJob, task_id: str) -> dict[str, Any]:
        def ended() -> bool:
            task = self.hook.export_task(task_id)
            return task is None or task["status"]["code"] not in ACTIVE

        self._wait(
            ended,
            lambda **waiter: ExportTaskTrigger(export_task_id=task_id, **waiter),
            "export_ended",
            EXPORT_TIME_LIMIT,
        )
        return self._finish(context, job, task_id)

    def export_ended(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called when the trigger has seen the export end, well or badly, or could not look any longer."""
        self._heard(event)
        return self._finish(context, ArchiveJob.of(self.job), event["export_task_id"])

    def _finish(self, context: Context, job: ArchiveJob, task_id: str) -> dict[str, Any]:
        """What the task returns. The stored id stays, for a try that follows a death before Airflow knew of the end.

        A clear raises ``max_tries``, a retry does not: so the id is of no use to whoever exports the month anew.
        """
        task = self.hook.export_task(task_id)
        store: Any = context["task_state_store"]
        if task and task["status"]["code"] in ACTIVE:
            raise ExportError(
                f"export task {task_id} is still {task['status']['code']}; the next try waits on for it{self._trouble}"
            )
        try:
            task = _completed(job, task_id, task)
            stored = self._written(job, task_id)
        except ExportError:
            store.delete("export")
            raise
        exported_at = self._exported_at(job, task)
        made = {
            "index": context["ti"].map_index,
            "job": job.to_json(),
            "task_id": task_id,
            "exported_at": exported_at,
            "objects": len(stored),
            "bytes": sum(item.bytes for item in stored),
            "notes": self._shortfalls(job, exported_at),
        }
        store.set("export", {"task_id": task_id, "ended": context["ti"].max_tries})
        self._count(context, task, made)
        return made

    def _count(self, context: Context, task: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        target, took = target_of(context), task.get("executionInfo", {})
        emit(Metric.EXPORTS, target=target)
        emit(Metric.EXPORTED_BYTES, made["bytes"], target=target)
        if "creationTime" in took and "completionTime" in took:
            emit(Metric.EXPORT_TIME, took["completionTime"] - took["creationTime"], target=target)

    def _written(self, job: ArchiveJob, task_id: str) -> list[StoredObject]:
        """COMPLETED is not enough: the objects must be there."""
        stored = list(self.bucket.stored_objects(job.bucket, f"{job.prefix}/{task_id}"))
        if not stored and self.hook.has_events(job.log_group, job.window):
            raise ExportError(
                f"export task {task_id} of {job.log_group} is COMPLETED, but wrote no objects to "
                f"s3://{job.bucket}/{job.prefix}/{task_id}/ although the group holds events of {job.month}"
            )
        return stored

    def _exported_at(self, job: ArchiveJob, task: dict[str, Any]) -> int:
        """When AWS began the export, epoch ms, by AWS's clock; the test object's time where it does not say."""
        if created := task.get("executionInfo", {}).get("creationTime"):
            return int(created)
        return to_ms(self.bucket.last_modified(job.bucket, f"{job.prefix}/{WRITE_TEST}"))

    def _shortfalls(self, job: ArchiveJob, exported_at: int) -> list[str]:
        group = self.hook.log_group(job.log_group)
        if group is None:
            return ["the log group was deleted during the export, so nobody knows what it held"]
        return shortfalls(
            job.window, from_ms(group["creationTime"]), group.get("retentionInDays"), from_ms(exported_at)
        )

    def on_kill(self) -> None:
        if self._export_task_id:
            self.hook.cancel_export_task(self._export_task_id)


def _completed(job: ArchiveJob, task_id: str, task: dict[str, Any] | None) -> dict[str, Any]:
    if task is None:
        raise ExportError(f"AWS knows no export task {task_id} any more")
    if task["status"]["code"] != "COMPLETED":
        message = task["status"].get("message", "AWS gives no reason")
        raise ExportError(f"export task {task_id} of {job.log_group} ended {task['status']['code']}: {message}")
    return task
