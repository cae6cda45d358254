"""The archive of exported months: where things go, what a manifest says, when it is sound.

``s3://<bucket>/<YYYY>/<MM>/<prefix>/<destination>/`` holds ``<export task id>/...`` and ``manifest.json``.
Pure: the operators fetch, this module decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from log_audit.errors import VerificationError
from log_audit.window import Window, from_ms, iso

MANIFEST = "manifest.json"
WRITE_TEST = "aws-logs-write-test"  # what CloudWatch Logs leaves beside an export; no log data

EXPORT_LAG = timedelta(hours=12)  # an event becomes exportable at most this long after its arrival
LATEST_ARRIVAL = timedelta(days=15)  # PutLogEvents takes events up to 14 days old; then the lag above

CHUNK_BYTES = 5 * 1024**3
CHUNK_OBJECTS = 500
CHUNKS = 1023  # Airflow maps a task over at most 1,024 values (core.max_map_length)
LOG_GROUPS = 1000  # of one target; each needs a chunk at least

PROVISIONAL, FINAL = "provisional", "final"


@dataclass(frozen=True)
class ArchiveJob:
    """One log group's month to archive: what ``plan`` hands to the tasks of the group.

    :param prefix: the S3 prefix of the month, without the export task's id
    :param reconcile: whether to count the month with Logs Insights as well
    :param skip: why there is nothing to do
    :param again: why a sound archive must be exported anew all the same
    :param notes: what the manifest must say against the archive's completeness
    """

    log_group: str
    month: str
    time_zone: str
    bucket: str
    prefix: str
    reconcile: bool = False
    skip: str | None = None
    again: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def window(self) -> Window:
        return Window.month(self.month, self.time_zone)

    @property
    def manifest_key(self) -> str:
        return f"{self.prefix}/{MANIFEST}"

    @classmethod
    def of(cls, value: ArchiveJob | Mapping[str, Any]) -> ArchiveJob:
        return value if isinstance(value, ArchiveJob) else cls(**{**value, "notes": tuple(value.get("notes", ()))})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "notes": list(self.notes)}


@dataclass(frozen=True)
class StoredObject:
    """An object as S3 lists it."""

    key: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class Count:
    """What reading exported objects found.

    :param events: lines that begin an event
    :param ambiguous: lines that begin with a timestamp but read as a message's continuation
    :param first_event: ISO-8601 UTC text of the earliest event, None without events
    """

    events: int = 0
    ambiguous: int = 0
    bytes: int = 0
    first_event: str | None = None
    last_event: str | None = None

    def __add__(self, other: Count) -> Count:
        return Count(
            self.events + other.events,
            self.ambiguous + other.ambiguous,
            self.bytes + other.bytes,
            min(filter(None, (self.first_event, other.first_event)), default=None),
            max(filter(None, (self.last_event, other.last_event)), default=None),
        )


@dataclass(frozen=True)
class Chunk:
    """A run of consecutive keys of one export, for one task to read.

    :param index: the map index of the log group's job
    :param task_id: the export task that wrote them
    :param after: the key before the first, for S3's StartAfter; empty for the first chunk
    :param through: the last key
    """

    index: int
    job: ArchiveJob
    task_id: str
    after: str
    through: str
    objects: int
    bytes: int

    @property
    def prefix(self) -> str:
        return f"{self.job.prefix}/{self.task_id}"

    @classmethod
    def of(cls, value: Chunk | Mapping[str, Any]) -> Chunk:
        return value if isinstance(value, Chunk) else cls(**{**value, "job": ArchiveJob.of(value["job"])})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "job": self.job.to_json()}


@dataclass(frozen=True)
class Manifest:
    """What lies in the archive for one log group and month, and how it was checked."""

    log_group: str
    month: str
    time_zone: str
    window: dict[str, str]
    bucket: str
    prefix: str
    export_task_id: str
    exported_at: str
    objects: list[dict[str, Any]]
    events: int
    ambiguous_lines: int
    bytes: int
    first_event: str | None
    last_event: str | None
    complete: bool
    notes: list[str]
    state: str
    reconciliation: dict[str, Any] | None = None
    version: int = field(default=1, kw_only=True)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """:raises VerificationError: the text is not one of our manifests"""
        try:
            manifest = cls(**value)
        except TypeError as error:
            raise VerificationError(f"not a manifest of this project: {error}") from None
        if manifest.version != 1:
            raise VerificationError(f"a manifest of version {manifest.version}, this project reads version 1")
        return manifest

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """What the asset event carries: all but the list of objects."""
        return {**self.to_json(), "objects": len(self.objects), "manifest": f"{self.prefix}/{MANIFEST}"}

    def differences(self, stored: Iterable[StoredObject]) -> list[str]:
        """What of the objects it names is missing from S3 or has changed; empty for a sound archive."""
        found = {item.key: item for item in stored}
        return [
            f"{named['key']} is missing" if named["key"] not in found else f"{named['key']} has changed"
            for named in self.objects
            if named["key"] not in found
            or (found[named["key"]].bytes, found[named["key"]].etag) != (named["bytes"], named["etag"])
        ]


def default_destination(log_group: str) -> str:
    """Where a log group's months go when the settings do not say."""
    return "/".join(part for part in log_group.split("/") if part)


def month_prefix(month: str, prefix: str | None, destination: str) -> str:
    """The S3 prefix of a month (key ``YYYY-MM``), without a slash at its end."""
    return "/".join(part for part in (month.replace("-", "/"), prefix, destination) if part)


def colliding(jobs: Sequence[ArchiveJob]) -> list[str]:
    """Sentences about jobs that would write to the same place."""
    taken: dict[tuple[str, str], str] = {}
    found = []
    for job in jobs:
        other = taken.setdefault((job.bucket, job.prefix), job.log_group)
        if other != job.log_group:
            found.append(f"{other} and {job.log_group} would both go to s3://{job.bucket}/{job.prefix}/")
    return found


def shortfalls(window: Window, created_at: datetime, retention_days: int | None, exported_at: datetime) -> list[str]:
    """Why an export made at ``exported_at`` cannot hold the whole window, one sentence a reason.

    :param created_at: when the log group was created
    :param retention_days: the group's retention; None keeps events for ever
    """
    reasons = []
    if created_at > window.start:
        reasons.append(f"the log group was created at {iso(created_at)}, after the month began")
    if removed := removed_by_retention(window, retention_days, exported_at):
        reasons.append(removed)
    return reasons


def removed_by_retention(window: Window, retention_days: int | None, now: datetime) -> str | None:
    """A sentence when retention had removed part of the window by ``now`` (aware); None when it had not."""
    if not retention_days or (kept_from := now - timedelta(days=retention_days)) <= window.start:
        return None
    return f"the log group's retention of {retention_days} days had removed events before {iso(kept_from)}"


def uncountable(
    window: Window, created_at: datetime | None, retention_days: int | None, exported_at: datetime, now: datetime
) -> str | None:
    """Why Logs Insights can no longer count the events of an archived window; None when it can.

    AWS refuses a query of which nothing remains (MalformedQueryException).

    :param created_at: when the log group was created; None where there is no such group any more
    :param exported_at: a group created after this instant is another one of the same name

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
    """
    if created_at is None:
        return "the log group was deleted"
    if created_at > exported_at:
        return f"the log group was deleted, and created again at {iso(created_at)}"
    if retention_days and now - timedelta(days=retention_days) >= window.end:
        return f"the log group's retention of {retention_days} days had removed the whole month"
    return None


def export_statements(bucket: str, region: str, account: str | None) -> list[dict[str, Any]]:
    """The statements of a bucket's policy that let CloudWatch Logs export into it.

    :param account: whose log groups may be exported into it; None: anybody's

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html
    """
    equals = {"aws:SourceAccount": account} if account else {}
    like = {"ArnLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account}:log-group:*"}} if account else {}
    common = {"Effect": "Allow", "Principal": {"Service": f"logs.{region}.amazonaws.com"}}
    source = {"Condition": {"StringEquals": equals, **like}} if account else {}
    return [
        {**common, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}", **source},
        {
            **common,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"StringEquals": {**equals, "s3:x-amz-acl": "bucket-owner-full-control"}, **like},
        },
    ]


def state_when_exported(window: Window, exported_at: datetime) -> str:
    """``final`` when no event of the window could still arrive after the export, else ``provisional``."""
    return FINAL if exported_at >= window.end + LATEST_ARRIVAL else PROVISIONAL


def surely_exported_before(exported_at: datetime) -> datetime:
    """Events that arrived before this instant are in an export made at ``exported_at``; later ones may not be."""
    return exported_at - EXPORT_LAG


def chunk_limits(exports: Sequence[tuple[int, int]], most: int = CHUNKS) -> tuple[int, int]:
    """Bytes and objects a chunk may hold, so that all exports together need at most ``most`` chunks.

    :param exports: objects and bytes of each export; at most ``most`` exports
    """
    if len(exports) > most:
        raise ValueError(f"{len(exports)} exports need at least as many chunks, and {most} are allowed")
    size, number = CHUNK_BYTES, CHUNK_OBJECTS
    # Two neighbouring chunks hold more than one limit together, hence at most 2 x bytes / limit of them.
    while sum(1 + objects // number + 2 * total // size for objects, total in exports) > most:
        size, number = size * 2, number * 2
    return size, number


def chunks(
    index: int,
    job: ArchiveJob,
    task_id: str,
    stored: Iterable[StoredObject],
    max_bytes: int = CHUNK_BYTES,
    max_objects: int = CHUNK_OBJECTS,
) -> Iterator[Chunk]:
    """Cut an export's objects, in the order S3 lists them, into chunks of bounded size.

    An object larger than ``max_bytes`` is a chunk of its own.
    """
    after, through, objects, size = "", "", 0, 0
    for item in stored:
        if objects and (objects == max_objects or size + item.bytes > max_bytes):
            yield Chunk(index, job, task_id, after, through, objects, size)
            after, objects, size = through, 0, 0
        through, objects, size = item.key, objects + 1, size + item.bytes
    if objects:
        yield Chunk(index, job, task_id, after, through, objects, size)


def reconcile(count: Count, counted_by_insights: int, arrived_before: datetime) -> dict[str, Any]:
    """Compare the archive with a count of the same window by Logs Insights.

    :param counted_by_insights: events of the window that arrived before ``arrived_before``, all of which must
        be in the archive; it may hold more, that arrived later
    :raises VerificationError: events are missing from the archive
    """
    if counted_by_insights > count.events + count.ambiguous:
        raise VerificationError(
            f"Logs Insights counts {counted_by_insights} events that arrived before {iso(arrived_before)}, but the "
            f"archive holds {count.events} (and {count.ambiguous} ambiguous lines): events are missing"
        )
    return {
        "insights_events": counted_by_insights,
        "arrived_before": iso(arrived_before),
        "difference": count.events - counted_by_insights,
    }


def build_manifest(
    job: ArchiveJob,
    export: Mapping[str, Any],
    verified: Sequence[Mapping[str, Any]],
    counted_by_insights: int | None,
) -> Manifest:
    """The manifest of a finished and fully read export.

    :param export: what the export task returned: task_id, exported_at (ms), objects, bytes, notes
    :param verified: what each reading task returned: objects with their counts
    :param counted_by_insights: None when no reconciliation was asked for
    :raises VerificationError: fewer objects were read than the export listed, or events are missing
    """
    objects = [item for part in verified for item in part["objects"]]
    if (len(objects), sum(item["bytes"] for item in objects)) != (export["objects"], export["bytes"]):
        raise VerificationError(
            f"{job.log_group}: the export wrote {export['objects']} objects of {export['bytes']} bytes, but "
            f"{len(objects)} were read; see the failed tasks that read them and clear those"
        )
    total = sum((Count(**part["count"]) for part in verified), Count())
    exported_at = from_ms(export["exported_at"])
    notes = [*job.notes, *export["notes"]]
    cutoff = surely_exported_before(exported_at)
    return Manifest(
        log_group=job.log_group,
        month=job.month,
        time_zone=job.time_zone,
        window={"start": iso(job.window.start), "end": iso(job.window.end)},
        bucket=job.bucket,
        prefix=job.prefix,
        export_task_id=export["task_id"],
        exported_at=iso(exported_at),
        objects=objects,
        events=total.events,
        ambiguous_lines=total.ambiguous,
        bytes=total.bytes,
        first_event=total.first_event,
        last_event=total.last_event,
        complete=not notes,
        notes=notes,
        state=state_when_exported(job.window, exported_at),
        reconciliation=None if counted_by_insights is None else reconcile(total, counted_by_insights, cutoff),
    )
