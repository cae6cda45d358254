"""Athena: what the provider's hook lacks, execution parameters, and queries that AWS does not know any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow.providers.amazon.aws.hooks.athena import AthenaHook

from log_audit.hooks.reach import ReachHook
from log_audit.window import utc_now

UNDER_WAY = frozenset(AthenaHook.INTERMEDIATE_STATES)


def age(execution: Mapping[str, Any]) -> float:
    """Seconds since a query was submitted, by AWS's clock: however often those who wait for it begin anew."""
    return (utc_now() - execution["Status"]["SubmissionDateTime"]).total_seconds()


class QueryHook(ReachHook, AthenaHook):
    """Athena, for queries with parameters that are found again by their ids."""

    def start(self, request: Mapping[str, Any]) -> str:
        """Start a query and return its execution id; ``run_query`` of the provider takes no execution parameters.

        :param request: with a ClientRequestToken: who asks again with the same one gets the same execution

        https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
        """
        return self.conn.start_query_execution(**request)["QueryExecutionId"]

    def execution(self, execution_id: str) -> dict[str, Any] | None:
        """A query as AWS tells it, or None where AWS knows no such id (it keeps them for 45 days)."""
        try:
            return self.conn.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
        except self.conn.exceptions.InvalidRequestException:
            return None

    def rows(self, execution_id: str, *, header: bool) -> Iterator[dict[str, str]]:
        """All rows of a query that succeeded, page after page; a column that is NULL is left out of its row.

        :param header: the first row of the first page repeats the columns' names, as that of a SELECT does

        https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
        """
        skip = 1 if header else 0
        for page in self.conn.get_paginator("get_query_results").paginate(QueryExecutionId=execution_id):
            results = page["ResultSet"]
            names = [column["Name"] for column in results["ResultSetMetadata"]["ColumnInfo"]]
            for row in results["Rows"][skip:]:
                cells = zip(names, row["Data"], strict=True)
                yield {name: cell["VarCharValue"] for name, cell in cells if "VarCharValue" in cell}
            skip = 0

    def stop(self, execution_id: str) -> None:
        """Stop a query; one that has ended or is unknown is left as it is."""
        try:
            self.conn.stop_query_execution(QueryExecutionId=execution_id)
        except self.conn.exceptions.InvalidRequestException as error:
            self.log.info("Athena query %s needs no stopping: %s", execution_id, error)

    def cutoff(self, workgroup: str) -> int | None:
        """How many bytes the workgroup lets a query scan; None where it sets no limit, or we may not ask."""
        try:
            configuration = self.conn.get_work_group(WorkGroup=workgroup)["WorkGroup"].get("Configuration", {})
        except self.conn.exceptions.ClientError as error:
            self.log.info("the limit of workgroup %s is not known: %s", workgroup, error)
            return None
        return configuration.get("BytesScannedCutoffPerQuery")
