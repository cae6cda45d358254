"""Waiting for Athena in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.triggers.athena import AthenaTrigger
from airflow.triggers.base import TriggerEvent

from log_audit.errors import LogAuditError
from log_audit.hooks.athena import UNDER_WAY, QueryHook, age
from log_audit.triggers.shared import Kind, Sight, ended


class QueryExecutions(Kind):
    """Athena's query executions.

    https://docs.aws.amazon.com/athena/latest/APIReference/API_BatchGetQueryExecution.html
    """

    hook_class = QueryHook
    at_once = 50
    calls_per_second = 10

    @staticmethod
    async def look(client: Any, jobs: Sequence[str]) -> Mapping[str, Sight | LogAuditError]:
        answer = await client.batch_get_query_execution(QueryExecutionIds=[*jobs])
        refused = {entry["QueryExecutionId"]: entry for entry in answer.get("UnprocessedQueryExecutionIds", ())}
        told = {query: LogAuditError(_why(query, entry)) for query, entry in refused.items()}
        return {**told, **{entry["QueryExecutionId"]: _sight(entry) for entry in answer["QueryExecutions"]}}


def _sight(execution: Mapping[str, Any]) -> Sight:
    state = execution["Status"]["State"]
    return Sight(state, ended=state not in UNDER_WAY, age=age(execution))


def _why(query: str, entry: Mapping[str, Any]) -> str:
    return f"Athena tells nothing of query {query}: {entry.get('ErrorCode')}, {entry.get('ErrorMessage')}"


class QueryTrigger(AthenaTrigger):
    """Waits until a query has ended, well or badly; stops it when a person kills the Airflow task.

    It looks until the query is ``waiter_delay`` times ``waiter_max_attempts`` seconds old. Its event tells that it
    looks no longer, and nothing of the result: the worker asks AWS what became of the query.
    """

    def hook(self) -> QueryHook:
        return QueryHook(**self._hook_parameters)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        limit = self.attempts * self.waiter_delay
        try:
            query = await ended(QueryExecutions, self._hook_parameters, self.return_value, limit=limit)
            event = {"status": "success", "message": query.state}
        except LogAuditError as error:
            event = {"status": "error", "message": f"in the triggerer: {error}"}
        yield TriggerEvent({**event, self.return_key: self.return_value})

    async def on_kill(self) -> None:
        async with await self.hook().get_async_conn() as client:
            try:
                await client.stop_query_execution(**self.waiter_args)
            except client.exceptions.InvalidRequestException as error:
                self.log.info("Athena query %s needs no stopping: %s", self.return_value, error)
