"""The steps around an export: plan the month, list what was written, read it.

A target (an account and region) is one line of tasks:
``plan -> export[group] -> objects -> verify[chunk] -> manifest[group]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from log_audit import archive, forms
from log_audit.archive import ArchiveJob, Chunk, Count
from log_audit.errors import PermanentError, VerificationError
from log_audit.export_object import count_events
from log_audit.hooks.logs import LogsHook
from log_audit.hooks.s3 import ArchiveHook
from log_audit.operators.context import all_returned
from log_audit.operators.logs import ArchiveBucketMixin
from log_audit.settings import Archive, LogGroups
from log_audit.window import Window, from_ms, iso, last_settled_month, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

EXPORTABLE_CLASSES = {"STANDARD"}


class PlanArchiveOperator(ArchiveBucketMixin, AwsBaseOperator[LogsHook]):
    """Say which log groups to archive for the run's month, and which not, and why.

    The month is the run's partition key, or what its form says; without either, the last month that was settled when
    the run was due. A run that was asked for other targets, or to say only what it would do, gets no jobs.

    :param target: name of the target in the settings
    :param archive: bucket, prefix and log groups, from the settings
    :param settle: how long after its end a month may be archived
    :param archived: name also the groups that have a manifest of the month, though they exist or are set no more
    :param clock: the real clock, for the one question whether the month is over
    :returns: a list of :class:`~log_audit.archive.ArchiveJob` as JSON, one a log group
    :raises InvalidKeyError: the run's partition key is no month
    :raises WindowNotOverError: the month is not over and settled; says when it will be
    """

    aws_hook_class = LogsHook
    ui_color = "#e6e6e6"

    def __init__(
        self,
        *,
        target: str,
        archive: Archive,
        time_zone: str,
        settle: timedelta,
        archived: bool = False,
        clock: Callable[[], datetime] = utc_now,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.archived = archived
        self.archive = archive
        self.time_zone = time_zone
        self.settle = settle
        self.clock = clock

    def execute(self, context: Context) -> list[dict[str, Any]]:
        if not forms.is_wanted(context, "targets", self.target):
            self.log.info("the run was asked for other targets than %s", self.target)
            return []
        run_after = context["dag_run"].run_after
        month = forms.run_key(context, "month") or last_settled_month(run_after, self.settle, self.time_zone)
        window = Window.month(month, self.time_zone)
        window.require_over(self.clock(), self.settle, self.time_zone)
        self.log.info(
            "month %s: %s (%s .. %s)",
            month,
            window.describe(self.time_zone),
            iso(window.start),
            iso(window.end),
        )
        jobs = self._all_jobs(month)
        if collisions := archive.colliding(jobs):
            raise PermanentError(f"{'; '.join(collisions)}: give one a destination of its own in the settings")
        if len(jobs) > archive.LOG_GROUPS:
            raise PermanentError(
                f"{len(jobs)} log groups, a target takes {archive.LOG_GROUPS}: split it in the settings"
            )
        for job in jobs:
            self.log.info(
                "%s -> s3://%s/%s/%s",
                job.log_group,
                job.bucket,
                job.prefix,
                f" ({job.skip})" if job.skip else "",
            )
        return [] if forms.is_dry_run(context) else [job.to_json() for job in jobs]

    def _all_jobs(self, month: str) -> list[ArchiveJob]:
        named = {job.log_group: job for entry in self._prefixes_first() for job in self._jobs(entry, month)}
        jobs = list(named.values())
        return [*jobs, *self._archived_besides(jobs, month)] if self.archived else jobs

    def _archived_besides(self, jobs: Sequence[ArchiveJob], month: str) -> list[ArchiveJob]:
        """Jobs for the manifests that no other job covers, such as those of groups deleted since the export."""
        place = archive.month_prefix(month, self.archive.prefix, "")
        covered = {job.manifest_key for job in jobs}
        return [
            ArchiveJob(found.log_group, found.month, found.time_zone, found.bucket, found.prefix)
            for found in self.bucket.manifests(self.archive.bucket, place, besides=covered)
        ]

    def _prefixes_first(self) -> list[LogGroups]:
        """So that what is said of a group by its name wins over the prefix that it also has."""
        return sorted(self.archive.log_groups, key=lambda entry: entry.name is not None)

    def _jobs(self, entry: LogGroups, month: str) -> Iterator[ArchiveJob]:
        found = [
            group
            for group in self.hook.log_groups(entry.name or entry.name_prefix or "")
            if entry.name_prefix or group["logGroupName"] == entry.name
        ]
        for group in found:
            name = group["logGroupName"]
            yield replace(self._job(entry, name, month), skip=self._nothing_to_export(group, month))
        if not found:
            wanted = entry.name or f"{entry.name_prefix}*"
            yield replace(self._job(entry, wanted, month), skip=f"there is no log group {wanted}")

    def _job(self, entry: LogGroups, name: str, month: str) -> ArchiveJob:
        destination = entry.destination or archive.default_destination(name)
        return ArchiveJob(
            log_group=name,
            month=month,
            time_zone=self.time_zone,
            bucket=self.archive.bucket,
            prefix=archive.month_prefix(month, self.archive.prefix, destination),
            reconcile=entry.reconcile,
        )

    def _nothing_to_export(self, group: dict[str, Any], month: str) -> str | None:
        window, created = Window.month(month, self.time_zone), from_ms(group["creationTime"])
        if created >= window.end:
            return f"{group['logGroupName']} was created at {iso(created)}, after the month's end"
        if (kind := group.get("logGroupClass", "STANDARD")) not in EXPORTABLE_CLASSES:
            return f"AWS does not export log groups of class {kind}, which {group['logGroupName']} is"
        return None


class ListExportOperator(AwsBaseOperator[ArchiveHook]):
    """List what the exports wrote, cut into chunks that one task can read.

    :param export_task_id: the mapped export task
    :returns: a list of :class:`~log_audit.archive.Chunk` as JSON
    """

    aws_hook_class = ArchiveHook
    ui_color = "#e6e6e6"

    def __init__(self, *, export_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.export_task_id = export_task_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        exports = [made for made in all_returned(context, self.export_task_id) if not made.get("reused")]
        limits = archive.chunk_limits([(made["objects"], made["bytes"]) for made in exports])
        return [chunk.to_json() for made in exports for chunk in self._chunks(made, *limits)]

    def _chunks(self, made: Mapping[str, Any], max_bytes: int, max_objects: int) -> Iterator[Chunk]:
        job = ArchiveJob.of(made["job"])
        stored = self.hook.stored_objects(job.bucket, f"{job.prefix}/{made['task_id']}")
        return archive.chunks(made["index"], job, made["task_id"], stored, max_bytes, max_objects)


class VerifyExportOperator(AwsBaseOperator[ArchiveHook]):
    """Read the objects of one chunk to their ends and count their events.

    :param chunk: a :class:`~log_audit.archive.Chunk`, or its JSON
    :returns: ``count`` (the chunk's subtotals) and ``objects`` (key, bytes, etag, events of each)
    :raises VerificationError: an object is damaged, missing, changed, or of another window
    """

    aws_hook_class = ArchiveHook
    template_fields: Sequence[str] = aws_template_fields("chunk")
    ui_color = "#d8e2f3"

    def __init__(self, *, chunk: Chunk | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chunk = chunk

    def execute(self, context: Context) -> dict[str, Any]:
        chunk = Chunk.of(self.chunk)
        total, objects = Count(), []
        for item in self.hook.objects_of(chunk):
            body = self.hook.open_object(chunk.job.bucket, item)
            count = count_events(item.key, body, chunk.job.window, item.bytes)
            total += count
            objects.append({**asdict(item), "events": count.events})
        if (len(objects), total.bytes) != (chunk.objects, chunk.bytes):
            raise VerificationError(
                f"s3://{chunk.job.bucket}/{chunk.prefix}/ has changed since it was listed: {len(objects)} objects of "
                f"{total.bytes} bytes instead of {chunk.objects} of {chunk.bytes}; clear the task that lists them"
            )
        self.log.info("%d objects hold %d events, %d ambiguous lines", len(objects), total.events, total.ambiguous)
        return {"count": asdict(total), "objects": objects}
