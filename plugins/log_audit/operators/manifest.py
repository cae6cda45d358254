"""The manifest of an archived month: written once all of the export was read, rechecked when nothing more can come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from log_audit import archive
from log_audit.archive import ArchiveJob, Manifest
from log_audit.errors import PermanentError, VerificationError
from log_audit.links.logs import ArchivePrefixLink, InsightsLink
from log_audit.metrics import Metric, emit, target_of
from log_audit.operators.logs import ArchiveBucketMixin
from log_audit.operators.queries import Answer, LogsQuery, LogsQueryOperator
from log_audit.window import from_ms, to_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class WriteManifestOperator(ArchiveBucketMixin, LogsQueryOperator):
    """Check that all of an export was read, write its manifest, and emit it as an asset event.

    Where the settings say ``reconcile``, Logs Insights first counts the events that the export must hold.

    :param job: an :class:`~log_audit.archive.ArchiveJob`, or its JSON
    :param tasks: ids of the tasks before it: ``export``, ``objects``, ``verify``
    :param final: the late events have been counted: nothing more will come
    :returns: the manifest without its list of objects
    :raises AirflowSkipException: there was nothing to export, with the reason
    :raises PermanentError: a task before it failed; clear that one
    """

    template_fields: Sequence[str] = aws_template_fields("job")
    operator_extra_links = (ArchivePrefixLink(), InsightsLink())
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        job: ArchiveJob | Mapping[str, Any],
        tasks: Mapping[str, str],
        final: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.tasks = tasks
        self.final = final

    def execute(self, context: Context) -> dict[str, Any]:
        made = self._export(context)
        job = ArchiveJob.of(made["job"])
        before = self.bucket.read_manifest(job)
        if before is None and made.get("reused"):
            raise VerificationError(f"s3://{job.bucket}/{job.manifest_key} has gone; clear {self.tasks['export']} too")
        if not job.reconcile or (before is not None and _supersedes(before, made)):
            return self._write(context, None)
        if reason := self._uncountable(made):
            return self._write(context, None, f"not compared with a count by Logs Insights: {reason}")
        return super().execute(context)

    def _uncountable(self, made: Mapping[str, Any]) -> str | None:
        job, exported_at = ArchiveJob.of(made["job"]), from_ms(made["exported_at"])
        return _uncountable(job, self.hook.log_group(job.log_group), exported_at, exported_at)

    def queries(self, context: Context) -> list[LogsQuery]:
        made = self._export(context)
        job, cutoff = ArchiveJob.of(made["job"]), archive.surely_exported_before(from_ms(made["exported_at"]))
        return [_count_query(job, f"toMillis(@ingestionTime) < {to_ms(cutoff)}")]

    def result(self, context: Context, answers: list[Answer]) -> dict[str, Any]:
        return self._write(context, _counted(context, answers))

    def _export(self, context: Context) -> dict[str, Any]:
        """What the export of this log group returned."""
        ti = context["ti"]
        made = ti.xcom_pull(task_ids=self.tasks["export"], map_indexes=ti.map_index)
        if made is None:
            raise self._without_export(context)
        return made

    def _write(self, context: Context, counted: int | None, *more: str) -> dict[str, Any]:
        made = self._export(context)
        job = ArchiveJob.of(made["job"])
        before = self.bucket.read_manifest(job)
        if before is None or not _supersedes(before, made):
            noted = replace(job, notes=(*job.notes, *more))
            manifest = archive.build_manifest(noted, made, self._verified(context, made), counted)
            emit(Metric.EVENTS_VERIFIED, manifest.events, target=target_of(context))
        else:
            manifest = before
        after = manifest
        if self.final:
            notes = [*manifest.notes, *(note for note in job.notes if note not in manifest.notes)]
            after = replace(manifest, state=archive.FINAL, notes=notes, complete=not notes)
        if after != before:
            self.bucket.write_manifest(after, job.manifest_key)
            whole = "yes" if after.complete else "no"
            emit(Metric.ARCHIVES, target=target_of(context), state=after.state, complete=whole)
        self.link_archive(context, job)
        self.log.info("%s %s: %d events in %d objects, %s", job.log_group, job.month, after.events,
                      len(after.objects), after.state)  # fmt: skip
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = after.summary()
        return after.summary()

    def _without_export(self, context: Context) -> Exception:
        job, ti = ArchiveJob.of(self.job), context["ti"]
        export, state = f"{self.tasks['export']}[{ti.map_index}]", self._state_of_export(ti)
        happened = {"failed": f"{export} failed", "upstream_failed": f"a task before {export} failed"}.get(state)
        if not happened and (job.skip or state == "skipped"):
            return AirflowSkipException(job.skip or f"the export of {job.log_group} was skipped; its log says why")
        return PermanentError(
            f"{job.log_group} {job.month} is not archived: {happened or f'{export} returned nothing ({state})'}; its "
            "log says why. Clear that task once the cause is mended."
        )

    def _state_of_export(self, ti: Any) -> str:
        task_id = self.tasks["export"]
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id], map_index=ti.map_index)
        # Airflow names a mapped task with its index: export_0
        return next((str(state) for task, state in states.get(ti.run_id, {}).items() if task.startswith(task_id)), "")

    def _verified(self, context: Context, made: Mapping[str, Any]) -> list[Any]:
        """What the tasks that read this log group's objects returned."""
        ti = context["ti"]
        chunks = ti.xcom_pull(task_ids=self.tasks["objects"]) or []
        mine = [number for number, chunk in enumerate(chunks) if chunk["index"] == ti.map_index]
        if {chunks[number]["task_id"] for number in mine} != ({made["task_id"]} if made["objects"] else set()):
            raise PermanentError(
                f"{self.tasks['objects']} has not run since this export, so nobody has read what it wrote: clear "
                f"{self.tasks['objects']} with the tasks downstream of it"
            )
        results = [ti.xcom_pull(task_ids=self.tasks["verify"], map_indexes=number) for number in mine]
        failed = [f"{self.tasks['verify']}[{n}]" for n, result in zip(mine, results, strict=True) if result is None]
        if failed:
            raise PermanentError(f"{', '.join(failed)} failed; the log says why. Clear it once the cause is mended.")
        return results


class RecheckArchiveOperator(ArchiveBucketMixin, LogsQueryOperator):
    """Count with Logs Insights the events of an archived month that arrived after its export.

    :param job: an :class:`~log_audit.archive.ArchiveJob`, or its JSON
    :param clock: the real clock, for the one question what retention has removed by now
    :returns: the job, told to export ``again`` when events arrived late; or with a note for the manifest when
        a new export would hold less than the archive
    :raises PermanentError: the month was never archived
    """

    template_fields: Sequence[str] = aws_template_fields("job")
    ui_color = "#d8e2f3"

    def __init__(
        self, *, job: ArchiveJob | Mapping[str, Any], clock: Callable[[], datetime] = utc_now, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.clock = clock

    def execute(self, context: Context) -> Any:
        job = ArchiveJob.of(self.job)
        manifest = self.bucket.read_manifest(job)
        if manifest is None:
            if job.skip:
                raise AirflowSkipException(job.skip)
            raise PermanentError(
                f"{job.log_group} has no archive of {job.month} to recheck: run monthly_log_export with the partition "
                f"key {job.month} first"
            )
        if manifest.state == archive.FINAL:
            self.log.info("%s %s is final already", job.log_group, job.month)
            return replace(job, skip=None).to_json()
        exported_at = datetime.fromisoformat(manifest.exported_at)
        if reason := _uncountable(job, self.hook.log_group(job.log_group), exported_at, self.clock()):
            note = f"{reason} before the recheck: late events, if there were any, could not be counted any more"
            return replace(job, skip=None, notes=(note,)).to_json()
        return super().execute(context)

    def queries(self, context: Context) -> list[LogsQuery]:
        job = ArchiveJob.of(self.job)
        manifest = self._manifest(job)
        cutoff = archive.surely_exported_before(datetime.fromisoformat(manifest.exported_at))
        return [_count_query(job, f"toMillis(@ingestionTime) >= {to_ms(cutoff)}")]

    def result(self, context: Context, answers: list[Answer]) -> dict[str, Any]:
        job, late = replace(ArchiveJob.of(self.job), skip=None), _counted(context, answers)
        if not late:
            self.log.info("no event of %s arrived after the export of %s", job.month, job.log_group)
            return job.to_json()
        said = f"{late} events of the month arrived after its export"
        group = self.hook.log_group(job.log_group) or {}
        expired = archive.removed_by_retention(job.window, group.get("retentionInDays"), self.clock())
        if expired:
            return replace(job, notes=(f"{said}, and {expired}: a new export would hold less",)).to_json()
        self.log.warning("%s: %s, so it is exported again", job.log_group, said)
        return replace(job, again=said).to_json()

    def _manifest(self, job: ArchiveJob) -> Manifest:
        manifest = self.bucket.read_manifest(job)
        if manifest is None:
            raise VerificationError(f"s3://{job.bucket}/{job.manifest_key} has gone while it was being rechecked")
        return manifest


def _supersedes(manifest: Manifest, export: Mapping[str, Any]) -> bool:
    """Whether the manifest speaks of this export or a later one: a task cleared long after must not go back."""
    return bool(export.get("reused")) or datetime.fromisoformat(manifest.exported_at) >= from_ms(export["exported_at"])


def _uncountable(job: ArchiveJob, group: Mapping[str, Any] | None, exported_at: datetime, now: datetime) -> str | None:
    created_at = from_ms(group["creationTime"]) if group else None
    return archive.uncountable(job.window, created_at, (group or {}).get("retentionInDays"), exported_at, now)


def _count_query(job: ArchiveJob, arrived: str) -> LogsQuery:
    text = f"filter {job.window.insights_cut()} and {arrived} | stats count(*) as events"
    return LogsQuery([job.log_group], job.window, text)


def _counted(context: Context, answers: list[Answer]) -> int:
    """``stats count(*)`` over no events gives no row."""
    scanned = sum(answer.statistics.get("bytesScanned", 0) for answer in answers)
    emit(Metric.BYTES_SCANNED, int(scanned), target=target_of(context), query="archive_count")
    return sum(int(float(row["events"])) for answer in answers for row in answer.rows)
