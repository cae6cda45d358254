"""CloudWatch Logs: moto's, with retention, history, log classes, export tasks and Insights queries.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html
"""

import json
import threading
from types import SimpleNamespace
from typing import Any, cast

from moto.core.base_backend import BackendDict
from moto.core.utils import utcfromtimestamp
from moto.logs.exceptions import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from moto.logs.models import LogEvent, LogsBackend, logs_backends
from moto.logs.responses import REGEX_LOG_GROUP_NAME, LogsResponse, validate_param
from moto.logs.urls import url_bases

from local_aws.errors import NotImplementedByStandIn
from local_aws.exports import ExportRequest, ExportTasks
from local_aws.groups import DAY_MS, LocalLogGroup, now_ms
from local_aws.paging import page, without_none
from local_aws.queries import Queries

# moto has no locks of its own: the front door and the control API take this one for all its state.
LOCK = threading.RLock()
CLASSES = ("STANDARD", "INFREQUENT_ACCESS")
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)


class LocalLogsBackend(LogsBackend):
    """moto's state of an account and region, with export tasks and queries of our own."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.local_exports = ExportTasks(account_id, region_name)
        self.local_queries = Queries(account_id, self.local_groups)

    @property
    def _url_module(self) -> Any:
        # moto would look for local_aws.urls, by the name of this class's module.
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": LocalLogsResponse.dispatch})

    @property
    def local_groups(self) -> dict[str, LocalLogGroup]:
        """The log groups; all are ours, since `create_log_group` makes no others."""
        return cast(dict[str, LocalLogGroup], self.groups)

    def group(self, name: str) -> LocalLogGroup:
        """The log group of this name; raises ResourceNotFoundException."""
        if name not in self.groups:
            raise ResourceNotFoundException()
        return self.local_groups[name]

    def create_log_group(self, log_group_name: str, tags: dict[str, str], **kwargs: Any) -> LocalLogGroup:
        """Create a log group; `createdMs` sets another creation time than now, `RetentionInDays` its retention."""
        validate_param(
            "logGroupName",
            log_group_name,
            "Minimum length of 1. Maximum length of 512.",
            lambda name: 1 <= len(name) <= 512,
            pattern=REGEX_LOG_GROUP_NAME,
        )
        if kwargs.get("logGroupClass", "STANDARD") not in CLASSES:
            raise NotImplementedByStandIn(f"The stand-in has log groups of class {' and '.join(CLASSES)} only.")
        if kwargs.get("RetentionInDays") is not None:
            _check_retention(kwargs["RetentionInDays"])
        if log_group_name in self.groups:
            raise ResourceAlreadyExistsException()
        # moto leaves methods of CloudFormation abstract in every class.
        group = LocalLogGroup(  # type: ignore[abstract]
            self.account_id, self.region_name, log_group_name, **kwargs
        )
        self.groups[log_group_name] = group
        self.tag_resource(group.arn, tags)
        return group

    def put_retention_policy(self, log_group_name: str, retention_in_days: Any) -> None:
        """Set how many days events are kept, among the numbers that AWS takes."""
        _check_retention(retention_in_days)
        super().put_retention_policy(log_group_name, retention_in_days)

    def put_history(self, log_group: str, log_stream: str, events: list[dict[str, Any]]) -> None:
        """Add events of any age, each with its `ingestionTime` (default: its timestamp)."""
        group = self.group(log_group)
        self.ensure_log_stream(log_group, log_stream)
        stream = group.streams[log_stream]
        added = [LogEvent(event.get("ingestionTime", event["timestamp"]), event) for event in events]
        stream.events = stream.events + added
        stream.stored_bytes += sum(len(event.message) for event in added)
        newest = max((event.ingestion_time for event in stream.events), default=0)
        stream.last_ingestion_time = utcfromtimestamp(newest // 1000)

    def expire(self, at_ms: int) -> None:
        """Apply every group's retention."""
        for group in self.local_groups.values():
            group.expire(at_ms)


class LocalLogsResponse(LogsResponse):
    """moto's answers, with ours for the actions it lacks or gets wrong. Parameters: see actions.py."""

    def call_action(self) -> Any:
        """Run one action; expired events are gone before it looks."""
        self.backend.expire(now_ms())
        return super().call_action()

    @property
    def backend(self) -> LocalLogsBackend:
        """The state of the caller's account and region."""
        backend = self.logs_backend
        assert isinstance(backend, LocalLogsBackend)
        return backend

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's JSON body."""
        return json.loads(self.body or "{}")

    def create_log_group(self) -> str:
        """CreateLogGroup, with its class."""
        given = self.parameters
        extra = {name: given[name] for name in ("kmsKeyId", "logGroupClass") if name in given}
        self.backend.create_log_group(given["logGroupName"], given.get("tags") or {}, **extra)
        return ""

    def describe_log_groups(self) -> str:
        """DescribeLogGroups, by prefix or pattern, and by class."""
        given = self.parameters
        prefix, pattern = given.get("logGroupNamePrefix", ""), given.get("logGroupNamePattern", "")
        if prefix and pattern:
            raise InvalidParameterException("Specify either logGroupNamePrefix or logGroupNamePattern.")
        wanted = [
            group
            for name, group in sorted(self.backend.local_groups.items())
            if name.startswith(prefix)
            and pattern in name
            and given.get("logGroupClass") in (None, group.log_group_class)
        ]
        groups, token = page(wanted, lambda group: group.name, given.get("limit"), given.get("nextToken"))
        described = [group.to_describe_dict() for group in groups]
        return json.dumps(without_none({"logGroups": described, "nextToken": token}))

    def create_log_stream(self) -> str:
        """CreateLogStream, refusing the names that AWS refuses."""
        validate_param(
            "logStreamName",
            self.parameters["logStreamName"],
            "Minimum length of 1. Maximum length of 512.",
            lambda name: 1 <= len(name) <= 512,
            pattern="[^:*]*",
        )
        return super().create_log_stream()

    def describe_log_streams(self) -> str:
        """DescribeLogStreams, by name or time; moto gives an empty list for a token it does not know."""
        given = self.parameters
        prefix, by_time = given.get("logStreamNamePrefix", ""), given.get("orderBy") == "LastEventTime"
        if prefix and by_time:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = self.backend.group(given["logGroupName"]).streams
        found = [stream.to_describe_dict() for name, stream in sorted(streams.items()) if name.startswith(prefix)]
        if by_time:
            found.sort(key=lambda stream: stream.get("lastEventTimestamp", 0))
        if given.get("descending"):
            found.reverse()
        shown, token = page(found, lambda stream: stream["logStreamName"], given.get("limit"), given.get("nextToken"))
        return json.dumps(without_none({"logStreams": shown, "nextToken": token}))

    def put_log_events(self) -> str:
        """PutLogEvents: events up to 14 days old (and within retention) and 2 hours ahead are taken."""
        given = self.parameters
        group = self.backend.group(given["logGroupName"])
        events = given["logEvents"]
        times = [event["timestamp"] for event in events]
        if not 1 <= len(events) <= 10_000 or times != sorted(times) or times[-1] - times[0] > DAY_MS:
            raise InvalidParameterException(
                "Log events in a single PutLogEvents request must be in chronological order, "
                "1 to 10000 of them, within 24 hours."
            )
        now = now_ms()
        too_old = sum(at < now - 14 * DAY_MS for at in times)
        expired = sum(at < now - int(group.retention_in_days or 10**6) * DAY_MS for at in times)
        too_new = sum(at > now + DAY_MS // 12 for at in times)
        taken = events[max(too_old, expired) : len(events) - too_new]
        token = group.put_log_events(given["logStreamName"], taken)
        rejected = {
            "tooOldLogEventEndIndex": too_old or None,
            "expiredLogEventEndIndex": expired or None,
            "tooNewLogEventStartIndex": len(events) - too_new if too_new else None,
        }
        info = without_none(rejected) or None
        return json.dumps(without_none({"nextSequenceToken": token, "rejectedLogEventsInfo": info}))

    def get_log_events(self) -> str:
        """GetLogEvents; its endTime is exclusive, which moto's is not."""
        given = self.parameters
        end_ms = given.get("endTime")
        asked: dict[str, Any] = {
            "log_group_name": given["logGroupName"],
            "log_group_id": None,
            "log_stream_name": given["logStreamName"],
            "start_time": given.get("startTime"),
            "end_time": None if end_ms is None else end_ms - 1,
            "limit": given.get("limit"),
            "next_token": given.get("nextToken"),
            "start_from_head": given.get("startFromHead", False),
        }
        events, backward, forward = self.backend.get_log_events(**asked)
        return json.dumps({"events": events, "nextBackwardToken": backward, "nextForwardToken": forward})

    def filter_log_events(self) -> str:
        """FilterLogEvents over all streams, those named, or those with a prefix; by time, interleaved."""
        given = self.parameters
        group = self.backend.group(given["logGroupName"])
        names, prefix = given.get("logStreamNames"), given.get("logStreamNamePrefix")
        if names and prefix:
            raise InvalidParameterException("Specify either logStreamNames or logStreamNamePrefix.")
        if prefix:
            # moto takes an empty list for all streams.
            names = [name for name in group.streams if name.startswith(prefix)] or [""]
        events, token, searched = self.backend.filter_log_events(
            given["logGroupName"],
            names or [],
            given.get("startTime", 0),
            given.get("endTime", 0),
            given.get("limit"),
            given.get("nextToken"),
            "",
            True,
        )
        answer = {"events": events, "searchedLogStreams": searched, "nextToken": token}
        return json.dumps(without_none(answer))

    def create_export_task(self) -> str:
        """CreateExportTask."""
        request = ExportRequest.of(self.parameters)
        group = self.backend.group(request.log_group)
        return json.dumps({"taskId": self.backend.local_exports.create(request, group, now_ms())})

    def describe_export_tasks(self) -> str:
        """DescribeExportTasks."""
        return json.dumps(self.backend.local_exports.describe(self.parameters, now_ms()))

    def cancel_export_task(self) -> str:
        """CancelExportTask."""
        self.backend.local_exports.cancel(self.parameters["taskId"], now_ms())
        return "{}"

    def put_resource_policy(self) -> str:
        """PutResourcePolicy; moto takes any text for a policy."""
        try:
            json.loads(self.parameters["policyDocument"])["Statement"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidParameterException("The policyDocument is not a policy in JSON.") from error
        return super().put_resource_policy()

    def start_query(self) -> str:
        """StartQuery."""
        return json.dumps({"queryId": self.backend.local_queries.start(self.parameters, now_ms())})

    def get_query_results(self) -> str:
        """GetQueryResults."""
        return json.dumps(self.backend.local_queries.results(self.parameters, now_ms()))

    def stop_query(self) -> str:
        """StopQuery."""
        self.backend.local_queries.stop(self.parameters["queryId"], now_ms())
        return json.dumps({"success": True})

    def describe_queries(self) -> str:
        """DescribeQueries."""
        return json.dumps(self.backend.local_queries.describe(self.parameters, now_ms()))


def _check_retention(days: Any) -> None:
    if days not in RETENTIONS:
        raise InvalidParameterException(
            constraint=f"Member must be one of {list(RETENTIONS)}", parameter="retentionInDays", value=days
        )


def install() -> None:
    """Put this backend in the place of moto's. All of moto's state is lost."""
    BackendDict.reset()
    logs_backends.backend = LocalLogsBackend


def advance_exports() -> None:
    """Write the objects of all export tasks that have come to their end."""
    for _, _, backend in list(logs_backends.iter_backends()):
        assert isinstance(backend, LocalLogsBackend)
        backend.local_exports.advance(now_ms())
