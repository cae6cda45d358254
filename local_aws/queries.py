"""CloudWatch Logs Insights queries: their life, limits and pages; `local_aws.insights` evaluates them.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html

A query is evaluated when it starts; its status, and how much of its result shows, follow from the time.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.logs.exceptions import InvalidParameterException, LimitExceededException, ResourceNotFoundException

from local_aws.errors import AwsError
from local_aws.groups import DAY_MS, LocalLogGroup
from local_aws.insights import Event, MalformedQuery, Result, compile_query
from local_aws.paging import page, without_none
from local_aws.settings import SETTINGS

ACTIVE = ("Scheduled", "Running")
STATUSES = (*ACTIVE, "Complete", "Failed", "Cancelled", "Timeout", "Unknown")
GROUP_PARAMETERS = ("logGroupName", "logGroupNames", "logGroupIdentifiers")
OUT_OF_REACH = (
    "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention "
    "settings"
)


@dataclass
class RunningQuery:
    """One query: its result, and when it shows."""

    text: str
    group_names: list[str]
    created_ms: int
    result: Result
    query_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    stopped: bool = False

    def __post_init__(self) -> None:
        self.runs_ms = self.created_ms + int(SETTINGS.query_scheduled_seconds * 1000)
        self.ends_ms = self.runs_ms + int(SETTINGS.query_running_seconds * 1000)
        self.outcome = SETTINGS.query_outcome
        self.page_size = SETTINGS.query_page_size

    def status(self, now_ms: int) -> str:
        """The status at this time."""
        if self.stopped:
            return "Cancelled"
        if now_ms < self.runs_ms:
            return "Scheduled"
        return "Running" if now_ms < self.ends_ms else self.outcome

    def share(self, now_ms: int) -> float:
        """How much of the result shows: all when Complete, half when it runs or did not finish."""
        return {"Scheduled": 0.0, "Failed": 0.0, "Complete": 1.0}.get(self.status(now_ms), 0.5)

    def results(self, token: str | None, now_ms: int) -> dict[str, Any]:
        """The answer of GetQueryResults, one page of rows."""
        share = self.share(now_ms)
        rows = self.result.rows[: int(len(self.result.rows) * share)]
        start = self._start(token)
        shown = rows[start : start + self.page_size]
        more = start + self.page_size < len(rows)
        counts = {
            "recordsMatched": self.result.records_matched,
            "recordsScanned": self.result.records_scanned,
            "bytesScanned": self.result.bytes_scanned,
        }
        return without_none(
            {
                "queryLanguage": "CWLI",
                "results": [[{"field": name, "value": value} for name, value in row] for row in shown],
                "statistics": {name: float(int(count * share)) for name, count in counts.items()},
                "status": self.status(now_ms),
                "nextToken": f"{self.query_id}/{start + self.page_size}" if more else None,
            }
        )

    def _start(self, token: str | None) -> int:
        if token is None:
            return 0
        query_id, _, start = token.partition("/")
        if query_id != self.query_id or not start.isdecimal():
            raise InvalidParameterException("The specified nextToken is invalid.")
        return int(start)

    def describe(self, now_ms: int) -> dict[str, Any]:
        """The query as DescribeQueries gives it."""
        return {
            "queryLanguage": "CWLI",
            "queryId": self.query_id,
            "queryString": self.text,
            "status": self.status(now_ms),
            "createTime": self.created_ms,
            "logGroupName": self.group_names[0],
        }


class Queries:
    """The queries of an account and region. The caller holds the lock of logs."""

    def __init__(self, account: str, groups: dict[str, LocalLogGroup]) -> None:
        self._account = account
        self._groups = groups
        self._queries: dict[str, RunningQuery] = {}

    def start(self, parameters: dict[str, Any], now_ms: int) -> str:
        """StartQuery; startTime and endTime are epoch seconds, both inclusive (to the exact instant)."""
        text, limit = parameters["queryString"], parameters.get("limit")
        start_ms, end_ms = parameters["startTime"] * 1000, parameters["endTime"] * 1000
        if len(text) > 10_000:
            raise InvalidParameterException("The queryString is longer than 10000 characters.")
        if limit is not None and not 1 <= limit <= 100_000:
            raise InvalidParameterException("The limit must be between 1 and 100000.")
        if not 0 <= start_ms <= end_ms:
            raise InvalidParameterException("The startTime must not be negative, nor later than the endTime.")
        groups = self._named(parameters)
        if sum(query.status(now_ms) in ACTIVE for query in self._queries.values()) >= (SETTINGS.query_concurrency):
            raise LimitExceededException()
        try:
            compiled = compile_query(text)
        except MalformedQuery as error:
            raise AwsError("MalformedQueryException", str(error)) from error
        if any(_out_of_reach(group, end_ms, now_ms) for group in groups):
            raise AwsError("MalformedQueryException", OUT_OF_REACH)
        indexed_ms = now_ms - int(SETTINGS.indexing_delay_seconds * 1000)
        result = compiled.run(self._events(groups, start_ms, end_ms, indexed_ms), limit)
        query = RunningQuery(text, [group.name for group in groups], now_ms, result)
        self._queries[query.query_id] = query
        return query.query_id

    def results(self, parameters: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """GetQueryResults; partial while the query runs."""
        return self._found(parameters["queryId"]).results(parameters.get("nextToken"), now_ms)

    def stop(self, query_id: str, now_ms: int) -> None:
        """StopQuery; refused when the query has ended."""
        query = self._found(query_id)
        if query.status(now_ms) not in ACTIVE:
            raise InvalidParameterException("The specified query is not running.")
        query.stopped = True

    def describe(self, parameters: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """DescribeQueries: newest first, by log group and status when given."""
        group, status = parameters.get("logGroupName"), parameters.get("status")
        if status is not None and status not in STATUSES:
            raise InvalidParameterException(
                constraint=f"Member must satisfy enum value set: [{', '.join(STATUSES)}]",
                parameter="status",
                value=status,
            )
        wanted = [
            query
            for query in reversed(self._queries.values())
            if (group is None or group in query.group_names) and status in (None, query.status(now_ms))
        ]
        queries, token = page(
            wanted,
            lambda query: query.query_id,
            parameters.get("maxResults"),
            parameters.get("nextToken"),
            most=1000,
        )
        return without_none({"queries": [query.describe(now_ms) for query in queries], "nextToken": token})

    def _found(self, query_id: str) -> RunningQuery:
        if query_id not in self._queries:
            raise ResourceNotFoundException("The specified query does not exist.")
        return self._queries[query_id]

    def _named(self, parameters: dict[str, Any]) -> list[LocalLogGroup]:
        given = [parameters[name] for name in GROUP_PARAMETERS if name in parameters]
        if len(given) != 1:
            raise InvalidParameterException(f"Specify exactly one of {', '.join(GROUP_PARAMETERS)}.")
        names = given[0] if isinstance(given[0], list) else [given[0]]
        if not 1 <= len(names) <= 50:
            raise InvalidParameterException("A query takes between 1 and 50 log groups.")
        by_name = self._groups | {group.arn: group for group in self._groups.values()}
        if any(name not in by_name for name in names):
            raise ResourceNotFoundException()
        return [by_name[name] for name in names]

    def _events(self, groups: list[LocalLogGroup], start_ms: int, end_ms: int, indexed_ms: int) -> Iterator[Event]:
        for group in groups:
            for name, stream in group.streams.items():
                for event in stream.events:
                    if start_ms <= event.timestamp <= end_ms and event.ingestion_time <= indexed_ms:
                        yield Event(
                            timestamp=event.timestamp,
                            ingestion_time=event.ingestion_time,
                            message=event.message,
                            log_group=group.name,
                            log_stream=name,
                            account=self._account,
                        )


def _out_of_reach(group: LocalLogGroup, end_ms: int, now_ms: int) -> bool:
    """Whether a range that ends there lies wholly before the group's creation or past its retention."""
    expired = group.retention_in_days and end_ms < now_ms - int(group.retention_in_days) * DAY_MS
    return bool(end_ms < group.created_ms or expired)
