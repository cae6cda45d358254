"""Running Logs Insights queries to their ends: the part that every operator with such queries shares."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from log_audit.errors import LogAuditError
from log_audit.hooks.logs import LogsHook, error_code
from log_audit.operators.waiting import WaitingOperator
from log_audit.triggers.logs import QueriesTrigger
from log_audit.window import Window

if TYPE_CHECKING:
    from airflow.sdk import Context

TIME_LIMIT = 65 * 60  # seconds; AWS ends a query after 60 min
OVER_QUOTA = {"LimitExceededException", "ThrottlingException"}  # 100 queries at a time, 10 starts a second
QUOTA_PAUSE, QUOTA_PAUSES = 15, 240  # seconds; an hour in all
UNDER_WAY = {"Scheduled", "Running"}


@dataclass(frozen=True)
class LogsQuery:
    """One query to run.

    :param scan: the span of event time to scan; the query's text must cut what it wants exactly
    :param limit: the most rows to fetch; None: Insights' own 10,000
    """

    log_groups: Sequence[str]
    scan: Window
    text: str
    limit: int | None = None


@dataclass(frozen=True)
class Answer:
    """All rows of a complete query, as field to value, and its statistics."""

    rows: list[dict[str, str]]
    statistics: dict[str, float]


class LogsQueryOperator(WaitingOperator[LogsHook]):
    """Runs the queries that a subclass names, all at once, and hands their answers to it.

    Their ids are stored before the wait, so the next try of a task whose worker died goes on with them; they are
    dropped when the queries have ended. A task that is killed stops its queries.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
    """

    aws_hook_class = LogsHook

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"poll_seconds": 5, **kwargs})
        self._query_ids: list[str] = []

    @abstractmethod
    def queries(self, context: Context) -> list[LogsQuery]:
        """The queries to run: the same ones at each try. It may raise AirflowSkipException."""

    @abstractmethod
    def result(self, context: Context, answers: list[Answer]) -> Any:
        """What the task returns."""

    def execute(self, context: Context) -> Any:
        store: Any = context["task_state_store"]
        ids: list[str] = store.get("queries") or []
        if any(self.hook.query_status(query_id) not in {*UNDER_WAY, "Complete"} for query_id in ids):
            self._stop(ids)
            ids = []
        self._query_ids = ids
        for query in self.queries(context)[len(ids) :]:
            query_id = self._start(query)
            if query_id is None:
                return self._wait_for_quota(context)
            ids.append(query_id)
            store.set("queries", ids)
        self._wait(
            self._all_ended, lambda **waiter: QueriesTrigger(query_ids=ids, **waiter), "queries_ended", TIME_LIMIT
        )
        return self._finish(context, ids)

    def queries_ended(self, context: Context, event: dict[str, Any]) -> Any:
        """Called when the trigger has seen all queries end, or one of them badly."""
        return self._finish(context, event["query_ids"])

    def quota_pause_over(self, context: Context, event: Any = None) -> Any:
        """Called when it is time to try again to start a query."""
        return self.execute(context)

    def _all_ended(self) -> bool:
        return all(self.hook.query_status(query_id) not in UNDER_WAY for query_id in self._query_ids)

    def _start(self, query: LogsQuery) -> str | None:
        """Start a query; None while the account runs as many as it may."""
        try:
            return self.hook.start_query(query.log_groups, query.scan, query.text, query.limit)
        except self.hook.conn.exceptions.ClientError as error:
            if error_code(error) in OVER_QUOTA:
                self.log.info("the account's quota of queries is used up; waiting: %s", error)
                return None
            raise

    def _wait_for_quota(self, context: Context) -> Any:
        store: Any = context["task_state_store"]
        pauses = (store.get("quota_pauses") or 0) + 1
        if pauses > QUOTA_PAUSES:
            raise LogAuditError(f"no query could be started for {timedelta(seconds=QUOTA_PAUSE * QUOTA_PAUSES)}")
        store.set("quota_pauses", pauses)
        return self._pause(QUOTA_PAUSE, lambda: self.execute(context))

    def _pause(self, seconds: float, then: Callable[[], Any]) -> Any:
        if self.deferrable:
            from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

            self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=seconds)), method_name="quota_pause_over")
        time.sleep(seconds)
        return then()

    def _finish(self, context: Context, ids: list[str]) -> Any:
        self._query_ids = ids
        store: Any = context["task_state_store"]
        store.delete("queries")
        store.delete("quota_pauses")
        statuses = [self.hook.query_status(query_id) for query_id in ids]
        bad = [
            f"{query_id} ended {status}" for query_id, status in zip(ids, statuses, strict=True) if status != "Complete"
        ]
        if bad:
            self._stop(ids)
            raise LogAuditError(f"Insights query {'; '.join(bad)}")
        return self.result(context, [Answer(*self.hook.query_results(query_id)) for query_id in ids])

    def _stop(self, ids: list[str]) -> None:
        for query_id in ids:
            self.hook.stop_query(query_id)

    def on_kill(self) -> None:
        self._stop(self._query_ids)
