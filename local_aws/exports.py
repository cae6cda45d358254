"""CloudWatch Logs export tasks, one at a time, with the objects AWS writes.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateExportTask.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasks.html

No thread drives a task: its status follows from the time, and `advance` writes the objects of
tasks that have come to their end. The front door calls it before every call of moto, so nobody
can see COMPLETED, or look for the objects, before they are there.
"""

import gzip
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.utils import utcfromtimestamp
from moto.logs.exceptions import InvalidParameterException, LimitExceededException, ResourceNotFoundException
from moto.logs.models import LogEvent
from moto.s3.exceptions import AccessDeniedByLock, MissingBucket
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from local_aws import policy
from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.groups import LocalLogGroup
from local_aws.paging import page, without_none
from local_aws.settings import SETTINGS

ACTIVE = ("PENDING", "RUNNING", "PENDING_CANCEL")
STATUSES = (*ACTIVE, "CANCELLED", "COMPLETED", "FAILED")
NO_BUCKET = "The given bucket does not exist. Please make sure the bucket is valid."
NOT_GRANTED = (
    "{} call on the given bucket failed. "
    "Please check if CloudWatch Logs has been granted permission to perform this operation."
)


@dataclass(frozen=True)
class ExportRequest:
    """The parameters of CreateExportTask; times in epoch milliseconds, both inclusive."""

    log_group: str
    start_ms: int
    end_ms: int
    bucket: str
    prefix: str = "exportedlogs"
    name: str | None = None
    stream_prefix: str = ""

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> "ExportRequest":
        """Read the call's parameters; raises InvalidParameterException."""
        request = cls(
            log_group=parameters["logGroupName"],
            start_ms=parameters["from"],
            end_ms=parameters["to"],
            bucket=parameters["destination"],
            prefix=parameters.get("destinationPrefix", "exportedlogs"),
            name=parameters.get("taskName"),
            stream_prefix=parameters.get("logStreamNamePrefix", ""),
        )
        if not 0 <= request.start_ms < request.end_ms:
            raise InvalidParameterException("The from time must be earlier than the to time, and not negative.")
        if request.name is not None and not 1 <= len(request.name) <= 512:
            raise InvalidParameterException(
                constraint="Minimum length of 1. Maximum length of 512.",
                parameter="taskName",
                value=request.name,
            )
        return request


@dataclass
class ExportTask:
    """One task: when it starts, when it ends, how, and what it then writes."""

    request: ExportRequest
    created_ms: int
    folders: dict[str, list[LogEvent]]  # emptied once written
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: str = ""
    message: str = "Completed successfully"
    cancelled_ms: int | None = None

    def __post_init__(self) -> None:
        self.starts_ms = self.created_ms + int(SETTINGS.export_pending_seconds * 1000)
        self.ends_ms = self.starts_ms + int(SETTINGS.export_running_seconds * 1000)
        self.cancel_ms = int(SETTINGS.export_cancel_seconds * 1000)
        self.events_per_object = SETTINGS.export_events_per_object
        if SETTINGS.export_outcome == "FAILED":
            self.fail(SETTINGS.export_failure_message)
        else:
            self.outcome = "COMPLETED"
        if SETTINGS.export_outcome == "EMPTY":
            self.folders = {}

    def fail(self, message: str) -> None:
        """End FAILED, with nothing (more) written."""
        self.outcome, self.message, self.folders = "FAILED", message, {}

    def status(self, now_ms: int) -> str:
        """The status code at this time."""
        if self.cancelled_ms is not None:
            return "PENDING_CANCEL" if now_ms < self.cancelled_ms + self.cancel_ms else "CANCELLED"
        if now_ms < self.starts_ms:
            return "PENDING"
        return "RUNNING" if now_ms < self.ends_ms else self.outcome

    def describe(self, now_ms: int) -> dict[str, Any]:
        """The task as DescribeExportTasks gives it."""
        status = self.status(now_ms)
        ended_ms = self.ends_ms if self.cancelled_ms is None else self.cancelled_ms + self.cancel_ms
        has_message = status in ("COMPLETED", "FAILED") and self.message
        return without_none(
            {
                "taskId": self.task_id,
                "taskName": self.request.name,
                "logGroupName": self.request.log_group,
                "from": self.request.start_ms,
                "to": self.request.end_ms,
                "destination": self.request.bucket,
                "destinationPrefix": self.request.prefix,
                "status": without_none({"code": status, "message": self.message if has_message else None}),
                "executionInfo": without_none(
                    {
                        "creationTime": self.created_ms,
                        "completionTime": None if status in ACTIVE else ended_ms,
                    }
                ),
            }
        )


class ExportTasks:
    """The export tasks of an account and region. The caller holds the lock of logs."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._tasks: list[ExportTask] = []

    def create(self, request: ExportRequest, group: LocalLogGroup, now_ms: int) -> str:
        """Start a task over the events there are now; gives its id."""
        self.advance(now_ms)
        if group.log_group_class != "STANDARD":
            raise InvalidParameterException(f"Log groups of class {group.log_group_class} cannot be exported.")
        if request.end_ms < group.created_ms:
            raise InvalidParameterException("The to time must not be earlier than the creation time of the log group.")
        self._check_bucket(request)
        if any(task.status(now_ms) in ACTIVE for task in self._tasks):
            raise LimitExceededException()
        self._put(request, "aws-logs-write-test", b"Permission Check Successful", now_ms)
        task = ExportTask(request, now_ms, _chosen(group, request, now_ms))
        self._tasks.append(task)
        return task.task_id

    def describe(self, parameters: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """DescribeExportTasks: newest first, in pages of 50."""
        self.advance(now_ms)
        task_id, code = parameters.get("taskId"), parameters.get("statusCode")
        if task_id is not None and code is not None:
            raise InvalidParameterException("Specify either taskId or statusCode, not both.")
        if code is not None and code not in STATUSES:
            raise InvalidParameterException(
                constraint=f"Member must satisfy enum value set: [{', '.join(STATUSES)}]",
                parameter="statusCode",
                value=code,
            )
        wanted = [
            task
            for task in reversed(self._tasks)
            if task_id in (None, task.task_id) and code in (None, task.status(now_ms))
        ]
        tasks, token = page(wanted, lambda task: task.task_id, parameters.get("limit"), parameters.get("nextToken"))
        return without_none({"exportTasks": [task.describe(now_ms) for task in tasks], "nextToken": token})

    def cancel(self, task_id: str, now_ms: int) -> None:
        """CancelExportTask: what has not ended is PENDING_CANCEL for a while, then CANCELLED."""
        self.advance(now_ms)
        task = next((task for task in self._tasks if task.task_id == task_id), None)
        if task is None:
            raise ResourceNotFoundException("The specified export task does not exist.")
        if task.status(now_ms) not in ACTIVE:
            raise AwsError("InvalidOperationException", "The specified export task has already finished.")
        if task.cancelled_ms is None:
            task.cancelled_ms, task.folders = now_ms, {}

    def advance(self, now_ms: int) -> None:
        """Write the objects of the tasks that have come to their end."""
        for task in self._tasks:
            if task.folders and task.status(now_ms) == "COMPLETED":
                try:
                    self._write(task)
                except (MissingBucket, AccessDeniedByLock):  # it is gone; another account may have taken its name
                    task.fail(NO_BUCKET)

    def _write(self, task: ExportTask) -> None:
        for folder, events in task.folders.items():
            ordered = sorted(events, key=lambda event: event.timestamp)
            for number, first in enumerate(range(0, len(ordered), task.events_per_object)):
                text = "".join(_line(event) for event in ordered[first : first + task.events_per_object])
                key = f"{task.task_id}/{folder}/{number:06d}.gz"
                self._put(task.request, key, gzip.compress(text.encode(), mtime=0), task.ends_ms)
        task.folders = {}

    def _check_bucket(self, request: ExportRequest) -> None:
        try:
            bucket = self._s3().get_bucket(request.bucket)
        except MissingBucket:
            raise InvalidParameterException(NO_BUCKET) from None
        except AccessDeniedByLock:
            raise NotImplementedByStandIn("The stand-in does not export into the bucket of another account.") from None
        if bucket.region_name != self._region:
            raise InvalidParameterException(
                f"The given bucket is in {bucket.region_name}, not in the log group's {self._region}."
            )
        arn = f"arn:aws:s3:::{request.bucket}"
        acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
        for action, resource, extra in (
            ("GetBucketAcl", arn, {}),
            ("PutObject", f"{arn}/{request.prefix}/aws-logs-write-test", acl),
        ):
            asked = policy.Request(
                principals=frozenset({"logs.amazonaws.com", f"logs.{self._region}.amazonaws.com"}),
                action=f"s3:{action}",
                resource=resource,
                context=self._source(request) | extra,
            )
            if not policy.allows(bucket.policy, asked):
                raise InvalidParameterException(NOT_GRANTED.format(action))

    def _source(self, request: ExportRequest) -> dict[str, str]:
        group_arn = f"arn:aws:logs:{self._region}:{self._account}:log-group:{request.log_group}:*"
        return {"aws:sourceaccount": self._account, "aws:sourcearn": group_arn}

    def _s3(self) -> Any:
        return s3_backends[self._account][get_partition(self._region)]

    def _put(self, request: ExportRequest, key: str, value: bytes, at_ms: int) -> None:
        written = self._s3().put_object(request.bucket, f"{request.prefix}/{key}", value)
        written.last_modified = utcfromtimestamp(at_ms // 1000)


def _chosen(group: LocalLogGroup, request: ExportRequest, now_ms: int) -> dict[str, list[LogEvent]]:
    """The events to export by folder: ``/`` becomes ``-``, so two streams may share one."""
    newest_ms = now_ms - int(SETTINGS.export_lag_seconds * 1000)
    folders: dict[str, list[LogEvent]] = {}
    for name, stream in group.streams.items():
        events = [
            event
            for event in stream.events
            if request.start_ms <= event.timestamp <= request.end_ms and event.ingestion_time <= newest_ms
        ]
        if events and name.startswith(request.stream_prefix):
            folders.setdefault(name.replace("/", "-"), []).extend(events)
    return folders


def _line(event: LogEvent) -> str:
    seconds, millis = divmod(event.timestamp, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z {event.message}\n"
