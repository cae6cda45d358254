"""Athena's API: moto's backend, with ours behind it."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import duckdb
from moto.athena.models import AthenaBackend, athena_backends
from moto.athena.responses import AthenaResponse
from moto.athena.urls import url_bases

from local_aws import logs
from local_aws.athena.catalog import Catalog
from local_aws.athena.ddl import Statement, parse_ddl
from local_aws.athena.dialect import bind, parse_select, without_comments
from local_aws.athena.engine import OutputColumn, Result, Select
from local_aws.athena.executions import Execution, Executions, Work
from local_aws.athena.failures import QueryFailure, SyntaxFailure
from local_aws.athena.requests import LOCATION, StartRequest, invalid
from local_aws.athena.storage import Storage
from local_aws.athena.workgroups import WorkGroup, WorkGroups
from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.paging import without_none

SELECTS = ("SELECT", "WITH", "(", "VALUES", "TABLE")
NO_OUTPUT = (
    "No output location provided. An output location is required either through the Workgroup result configuration "
    "setting or as an API input."
)


class LocalAthenaBackend(AthenaBackend):
    """The state of an account and region: catalog, workgroups, executions."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.local_storage = Storage(account_id, region_name)
        self.local_catalog = Catalog()
        self.local_groups = WorkGroups()
        self.local_executions = Executions(self.local_storage, logs.LOCK)

    @property
    def _url_module(self) -> Any:
        # moto would look for local_aws.urls, by the name of this class's module.
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": LocalAthenaResponse.dispatch})

    def reset(self) -> None:
        """Forget all; what runs must not write into the state to come."""
        self.local_executions.forget()
        super().reset()

    def start(self, given: dict[str, Any]) -> str:
        """StartQueryExecution: the id of the execution."""
        request = StartRequest.of(given)
        known = self.local_executions.again(request)
        if known:
            return known.execution_id
        group = self.local_groups.get(request.work_group)
        if group.state != "ENABLED":
            raise invalid(f"WorkGroup {group.name} is disabled.")
        bucket, prefix = self._output(request, group)
        try:
            work, select = self._work(request, group)
        except SyntaxFailure as error:
            raise invalid(str(error)) from None
        execution = Execution(request, work, bucket, prefix, group.name)
        if select:
            select.on_connect = lambda connection: setattr(execution, "interrupt", _interrupter(connection))
        self.local_executions.start(execution)
        return execution.execution_id

    def _output(self, request: StartRequest, group: WorkGroup) -> tuple[str, str]:
        location = group.output if group.enforced and group.output else request.output or group.output
        if not location:
            raise invalid(NO_OUTPUT)
        found = LOCATION.fullmatch(location)
        if not found or not self.local_storage.has_bucket(found[1]):
            raise invalid(f"Unable to verify/create output bucket {found[1] if found else location}")
        prefix = found[2] or ""
        return found[1], prefix if not prefix or prefix.endswith("/") else f"{prefix}/"

    def _work(self, request: StartRequest, group: WorkGroup) -> tuple[Work, Select | None]:
        text = without_comments(request.text)
        if not text:
            raise invalid("The query is empty")
        is_select = text.upper().startswith(SELECTS)
        try:
            if is_select:
                return self._select(request, group, text)
            if request.parameters:
                raise invalid("ExecutionParameters are for SELECT only (in the stand-in)")
            return self._ddl(request, text), None
        except QueryFailure as error:
            return Work(_failing(error), is_select=is_select), None

    def _select(self, request: StartRequest, group: WorkGroup, text: str) -> tuple[Work, Select]:
        tree = parse_select(bind(text, list(request.parameters)))
        select = Select(tree, request.database, self.local_catalog, self.local_storage, logs.LOCK, cutoff=group.cutoff)
        return Work(select.run, lambda: select.scanned, is_select=True), select

    def _ddl(self, request: StartRequest, text: str) -> Work:
        return Work(_running(parse_ddl(text), self.local_catalog, request.database))


def _interrupter(connection: duckdb.DuckDBPyConnection) -> Callable[[], None]:
    def interrupt() -> None:
        # It may have ended in between.
        with suppress(duckdb.Error):
            connection.interrupt()

    return interrupt


def _failing(error: QueryFailure) -> Any:
    def run() -> Result:
        raise error

    return run


def _running(statement: Statement, catalog: Catalog, database: str) -> Any:
    def run() -> Result:
        with logs.LOCK:
            rows = statement(catalog, database)
        return Result([OutputColumn("name", "varchar")] if rows else [], list(rows))

    return run


class LocalAthenaResponse(AthenaResponse):
    """The actions of the API. Parameters: see actions.py."""

    @property
    def backend(self) -> LocalAthenaBackend:
        """The state of the caller's account and region."""
        backend = self.athena_backend
        assert isinstance(backend, LocalAthenaBackend)
        return backend

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's JSON body."""
        return json.loads(self.body or "{}")

    def start_query_execution(self) -> str:
        """StartQueryExecution."""
        return json.dumps({"QueryExecutionId": self.backend.start(self.parameters)})

    def get_query_execution(self) -> str:
        """GetQueryExecution."""
        execution = self.backend.local_executions.get(self.parameters["QueryExecutionId"])
        return json.dumps({"QueryExecution": execution.describe(time.time())})

    def batch_get_query_execution(self) -> str:
        """BatchGetQueryExecution."""
        return json.dumps(self.backend.local_executions.batch(self.parameters["QueryExecutionIds"], time.time()))

    def stop_query_execution(self) -> str:
        """StopQueryExecution; one that has ended stays as it is."""
        self.backend.local_executions.get(self.parameters["QueryExecutionId"]).stop(time.time())
        return "{}"

    def get_query_results(self) -> str:
        """GetQueryResults."""
        return json.dumps(self.backend.local_executions.results(self.parameters, time.time()))

    def list_query_executions(self) -> str:
        """ListQueryExecutions, newest first, in pages of 50."""
        given = self.parameters
        ids = self.backend.local_executions.list(self.backend.local_groups.get(given.get("WorkGroup", "primary")).name)
        size, token = given.get("MaxResults", 50), given.get("NextToken", "0")
        if not 0 <= size <= 50 or not token.isdecimal():
            raise invalid("MaxResults must be between 0 and 50, and NextToken one that was given")
        end = int(token) + (size or 50)
        more = str(end) if end < len(ids) else None
        return json.dumps(without_none({"QueryExecutionIds": ids[int(token) : end], "NextToken": more}))

    def create_work_group(self) -> str:
        """CreateWorkGroup."""
        self.backend.local_groups.create(self.parameters)
        return "{}"

    def update_work_group(self) -> str:
        """UpdateWorkGroup."""
        self.backend.local_groups.update(self.parameters)
        return "{}"

    def delete_work_group(self) -> str:
        """DeleteWorkGroup; one that has executions goes with them, or not at all."""
        group = self.backend.local_groups.get(self.parameters["WorkGroup"])
        if self.backend.local_executions.list(group.name) and not self.parameters.get("RecursiveDeleteOption"):
            raise invalid(f"WorkGroup {group.name} is not empty")
        self.backend.local_groups.delete(group.name)
        self.backend.local_executions.drop(group.name)
        return "{}"

    def get_work_group(self) -> str:
        """GetWorkGroup."""
        return json.dumps({"WorkGroup": self.backend.local_groups.get(self.parameters["WorkGroup"]).describe()})

    def get_table_metadata(self) -> str:
        """GetTableMetadata."""
        given = self.parameters
        if given["CatalogName"] != "AwsDataCatalog":
            raise NotImplementedByStandIn("The stand-in has no data catalog but AwsDataCatalog.")
        try:
            table = self.backend.local_catalog.table(given["DatabaseName"].lower(), given["TableName"].lower())
        except QueryFailure as error:
            raise AwsError("MetadataException", f"EntityNotFoundException: {error.message}") from None
        return json.dumps({"TableMetadata": table.describe()})

    def list_work_groups(self) -> str:
        """ListWorkGroups."""
        return json.dumps({"WorkGroups": self.backend.local_groups.list()})


def install() -> None:
    """Put this backend in the place of moto's, before its first use."""
    athena_backends.backend = LocalAthenaBackend
