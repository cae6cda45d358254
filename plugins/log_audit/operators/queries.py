"""Running Logs Insights queries to their ends: the part that every operator with such queries shares."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from log_audit.checks import console_url
from log_audit.errors import LogAuditError, PermanentError
from log_audit.hooks.logs import LogsHook, error_code
from log_audit.links.logs import InsightsLink
from log_audit.operators.waiting import WaitingOperator
from log_audit.triggers.logs import QueriesTrigger, QuotaPauseTrigger
from log_audit.window import Window, to_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

TIME_LIMIT = timedelta(minutes=65)  # AWS ends a query after 60 min
OVER_QUOTA = {"LimitExceededException", "ThrottlingException"}  # 100 queries at a time, 10 starts a second
QUOTA_PAUSE = 15  # seconds
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

    Their ids are stored before the wait, so the next try of a task whose worker died, or whose wait broke off, goes on
    with them; they are dropped when their result is there, or when one of them ended badly. A task that is killed
    stops its queries.

    :param time_limit: how long a try may take to start its queries and see them end; then they are stopped

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
    """

    aws_hook_class = LogsHook
    operator_extra_links: Collection[BaseOperatorLink] = (InsightsLink(),)
    out_of_time: type[LogAuditError] = LogAuditError  # what is raised when the time limit is reached

    def __init__(self, *, time_limit: timedelta = TIME_LIMIT, **kwargs: Any) -> None:
        super().__init__(**{"poll_seconds": 5, **kwargs})
        self.time_limit = time_limit
        self._query_ids: list[str] = []

    @abstractmethod
    def queries(self, context: Context) -> list[LogsQuery]:
        """The queries to run: the same ones while the store keeps ids of them. It may raise AirflowSkipException."""

    @abstractmethod
    def result(self, context: Context, answers: list[Answer]) -> Any:
        """What the task returns."""

    def execute(self, context: Context) -> Any:
        context["task_state_store"].set("deadline", to_ms(utc_now() + self.time_limit))
        return self._ask(context)

    def queries_ended(self, context: Context, event: dict[str, Any]) -> Any:
        """Called when the trigger has seen all queries end, one of them badly, or could not look any longer."""
        self.log.info("the trigger says: %s", event.get("message") or event.get("status"))
        self._heard(event)
        return self._finish(context, event["query_ids"])

    def quota_pause_over(self, context: Context, event: Any = None) -> Any:
        """Called when it is time to try again to start a query."""
        return self._ask(context)

    def _ask(self, context: Context) -> Any:
        store: Any = context["task_state_store"]
        self._query_ids = ids = store.get("queries") or []
        if any(self.hook.query_status(query_id) not in {*UNDER_WAY, "Complete"} for query_id in ids):
            self._give_up(context)
            ids = self._query_ids
        queries = self.queries(context)
        self._link(context, queries)
        for query in queries[len(ids) :]:
            ids.append(self._start_in_time(context, query))
            store.set("queries", ids)
        # Two looks more than fit into the time that is left: who waits for us must not give up just before it is over.
        limit = max(0.0, self._seconds_left(context)) + 2 * self.poll_seconds
        self._wait(self._all_ended, lambda **waiter: QueriesTrigger(query_ids=ids, **waiter), "queries_ended", limit)
        return self._finish(context, ids)

    def _link(self, context: Context, queries: Sequence[LogsQuery]) -> None:
        if queries:
            first = queries[0]
            url = console_url(self.hook.conn_region_name, first.log_groups, first.scan, first.text)
            InsightsLink().persist(context, url)

    def _all_ended(self) -> bool:
        return all(self.hook.query_status(query_id) not in UNDER_WAY for query_id in self._query_ids)

    def _start_in_time(self, context: Context, query: LogsQuery) -> str:
        while (query_id := self._start(query)) is None:
            self._check_time(context)
            self._pause()
        return query_id

    def _start(self, query: LogsQuery) -> str | None:
        """Start a query; None while the account runs as many as it may."""
        try:
            return self.hook.start_query(query.log_groups, query.scan, query.text, query.limit)
        except self.hook.conn.exceptions.ClientError as error:
            if error_code(error) in OVER_QUOTA:
                self.log.info("the account's quota of queries is used up; waiting: %s", error)
                return None
            raise

    def _pause(self) -> None:
        if not self.deferrable:
            time.sleep(QUOTA_PAUSE)
            return
        self.defer(
            trigger=QuotaPauseTrigger(
                query_ids=self._query_ids,
                waiter_delay=QUOTA_PAUSE,
                waiter_max_attempts=1,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="quota_pause_over",
        )

    def _seconds_left(self, context: Context) -> float:
        """By the clock that all workers share; a task that an older version deferred has the whole limit."""
        store: Any = context["task_state_store"]
        deadline = store.get("deadline")
        return self.time_limit.total_seconds() if deadline is None else (deadline - to_ms(utc_now())) / 1000

    def _check_time(self, context: Context) -> None:
        if self._seconds_left(context) <= 0:
            self._give_up(context)
            raise self.out_of_time(
                f"the queries could not be started, or did not end, within {self.time_limit}, and were stopped"
            )

    def _finish(self, context: Context, ids: list[str]) -> Any:
        self._query_ids = ids
        self._judge(context, [self.hook.query_status(query_id) for query_id in ids])
        answers = [Answer(*self.hook.query_results(query_id)) for query_id in ids]
        try:
            result = self.result(context, answers)
        except PermanentError:
            self._forget(context)  # who mends the cause and clears the task wants new answers
            raise
        self._forget(context)
        return result

    def _judge(self, context: Context, statuses: list[str | None]) -> None:
        """Raise unless all queries are complete."""
        bad = [
            f"{query_id} ended {status}"
            for query_id, status in zip(self._query_ids, statuses, strict=True)
            if status not in {*UNDER_WAY, "Complete"}
        ]
        if bad:
            self._give_up(context)
            raise LogAuditError(f"Insights query {'; '.join(bad)}")
        if UNDER_WAY & set(statuses):
            self._check_time(context)
            raise LogAuditError(
                f"the wait for Insights queries broke off; the next try goes on with them{self._trouble}"
            )

    def _give_up(self, context: Context) -> None:
        self._stop(self._query_ids)
        self._forget(context)
        self._query_ids = []

    def _forget(self, context: Context) -> None:
        context["task_state_store"].delete("queries")

    def _stop(self, ids: list[str]) -> None:
        for query_id in ids:
            self.hook.stop_query(query_id)

    def on_kill(self) -> None:
        self._stop(self._query_ids)
