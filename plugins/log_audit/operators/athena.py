"""Athena audits: one query file over one window."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from log_audit import metrics
from log_audit.audits import AuditWindow, read_window
from log_audit.errors import AccessError, LogAuditError, PermanentError, QueryFileError
from log_audit.findings import SAMPLE_ROWS, Findings, sample
from log_audit.hooks.athena import UNDER_WAY, QueryHook, age
from log_audit.operators.waiting import WaitingOperator
from log_audit.query_file import QueryFile, read_query_file
from log_audit.redaction import Redactor, mask_statement
from log_audit.settings import Settings, load_settings
from log_audit.sql import Value, bind
from log_audit.triggers.athena import QueryTrigger
from log_audit.window import to_ms

if TYPE_CHECKING:
    from airflow.sdk import Context

TIME_LIMIT = timedelta(minutes=35)  # Athena ends what has run 30 min, unless the account's quota says otherwise
TRIES, QUERY = "athena_tries", "athena_query"  # what the task's state store keeps
STATEMENT_FIELD = re.compile(r"(?:^|_)statement$", re.IGNORECASE)
# Athena tells its complaints apart by their words alone. What StartQueryExecution says of anything but the query:
NOT_THE_QUERY = re.compile(r"workgroup|output ?location|output bucket|idempotent|not authorized", re.IGNORECASE)
USERS_FAULT = re.compile(r"SYNTAX_ERROR|TYPE_MISMATCH|(?:COLUMN|TABLE|SCHEMA|FUNCTION)_NOT_FOUND")
NO_TABLE = re.compile(r"(?:TABLE|SCHEMA)_NOT_FOUND|(?:table|schema|database) \S+ does not exist", re.IGNORECASE)
# These quote the very value that they are about.
TELLS_DATA = re.compile(r"INVALID_(?:CAST|FUNCTION)_ARGUMENT|HIVE_BAD_DATA|NUMERIC_VALUE_OUT_OF_RANGE")
CUT_OFF = "bytes scanned limit"
USER = 2  # AthenaError.ErrorCategory


@dataclass(frozen=True)
class Inputs:
    """What one task looks with."""

    settings: Settings
    audit: AuditWindow
    query: QueryFile

    def masked(self, rows: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
        """The rows, fit to leave the task."""
        redactor = Redactor(self.settings.redaction.patterns)
        for row in rows:
            yield redactor.row({name: _without_literals(name, value) for name, value in row.items()})

    def reason(self, execution: Mapping[str, Any]) -> str:
        """Why AWS ended a query, masked."""
        reason = execution["Status"].get("StateChangeReason") or "AWS gives no reason"
        if TELLS_DATA.search(reason):
            reason = mask_statement(reason)
        return Redactor(self.settings.redaction.patterns).text(reason)

    def notes(self, scanned: int) -> list[str]:
        """What the reader must know; no data and no findings look alike."""
        if scanned:
            return []
        return [
            f"0 rows scanned: {self.audit.home} is empty, its data has not arrived, or the audit had no need to read it"
        ]


class AthenaAuditOperator(WaitingOperator[QueryHook], AthenaOperator):
    """Run one query file over one window, and return its findings.

    A try that follows a dead worker or a lost answer goes on with the query: its id is stored before the wait, and the
    start's ClientRequestToken is the same until a query has ended badly or its findings were read. What follows a
    failure, a clear or an edited file asks anew.

    :param audit: ``file``, the path of the query file, ``key``, the partition key of the window, such as
        ``aurora-prod/2026-11-20T09``, and of CloudTrail the ``target``
    :param time_limit: how old a query may become; then it is stopped
    :returns: :class:`~log_audit.findings.Findings` as JSON: the exact number, a bounded and masked sample
    :raises QueryFileError: the file is wrong, or Athena refuses its query; not retried
    :raises InvalidKeyError: the key names no window; not retried
    :raises AccessError: Athena refuses the workgroup, the result location or the results; not retried
    :raises PermanentError: the query ran out of time, met its workgroup's limit, or failed for good; not retried
    :raises LogAuditError: the query failed or was cancelled; the next try starts a new one

    https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
    """

    aws_hook_class = QueryHook
    template_fields: Sequence[str] = aws_template_fields(
        "audit", "query", "execution_parameters", "database", "workgroup", "catalog", "output_location"
    )
    template_ext: Sequence[str] = ()  # or Airflow would put the file in the place of its path, and run Jinja over it
    overwrite_rtif_after_execution = True  # the UI shows the SQL and the parameters, known only in execute

    def __init__(self, *, audit: Mapping[str, str], time_limit: timedelta = TIME_LIMIT, **kwargs: Any) -> None:
        super().__init__(query="", **kwargs)
        self.audit = audit
        self.time_limit = time_limit
        self.execution_parameters: list[str] = []

    @property
    def name(self) -> str:
        """The audit's name, for the grid."""
        return Path(self.audit["file"]).stem

    # Findings in the place of the stock operator's execution id, which is one of them.
    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        given = self._read()
        execution_id = self._found_again(context, given) or self._start(context, given)
        self.query_execution_id = execution_id
        AthenaQueryResultsLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
            query_execution_id=execution_id,
        )
        self._wait(
            lambda: not self._is_waited_for(self.hook.execution(execution_id)),
            lambda **waiter: QueryTrigger(query_execution_id=execution_id, **waiter),
            "execute_complete",
            # Two looks more than fit into the time: who waits for us must not give up just before it is over.
            self.time_limit.total_seconds() + 2 * self.poll_seconds,
        )
        return self._finish(context, given, execution_id)

    def execute_complete(  # type: ignore[override]
        self, context: Context, event: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Called when the trigger has seen the query end, well or badly, or could not look any longer."""
        event = event or {}
        self.log.info("the trigger says: %s", event.get("message"))
        self._heard(event)
        given = self._read()
        self.query_execution_id = event["value"]
        if not self._is_asked_for(context, given):
            return self.execute(context)  # the file was edited meanwhile
        return self._finish(context, given, event["value"])

    def _read(self) -> Inputs:
        """Read settings, key and file; the values become parameters, never a part of the query's text."""
        settings = load_settings()
        audit = read_window(self.audit, settings)
        query = read_query_file(self.audit["file"])
        try:
            self.query, self.execution_parameters = bind(query.body, self._values(audit, query))
        except QueryFileError as error:
            raise QueryFileError(f"{query.path}: {error}") from None
        return Inputs(settings, audit, query)

    def _values(self, audit: AuditWindow, query: QueryFile) -> Mapping[str, Value]:
        """What the query's placeholders stand for."""
        return audit.values(query)

    def _request(self) -> dict[str, Any]:
        """What StartQueryExecution is asked. Results are never reused: AWS would not look at new data."""
        where = {"Catalog": self.catalog, **({"Database": self.database} if self.database else {})}
        request: dict[str, Any] = {
            "QueryString": self.query,
            "WorkGroup": self.workgroup,
            "QueryExecutionContext": {**self.query_execution_context, **where},
        }
        output = {"OutputLocation": self.output_location} if self.output_location else {}
        if result := {**self.result_configuration, **output}:
            request["ResultConfiguration"] = result
        if self.execution_parameters:
            request["ExecutionParameters"] = self.execution_parameters
        return request

    def _token(self, context: Context, given: Inputs) -> str:
        """One for all tries that may go on with the same query; whoever must not has another."""
        ti, store = context["ti"], context["task_state_store"]
        asked = [ti.dag_id, ti.run_id, given.query.name, given.audit.key, store.get(TRIES), self._request()]
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _is_asked_for(self, context: Context, given: Inputs) -> bool:
        """Whether the stored query is the one that the file asks for now."""
        record: Any = context["task_state_store"].get(QUERY)
        return bool(record) and record["token"] == self._token(context, given)

    def _found_again(self, context: Context, given: Inputs) -> str | None:
        """The query of an earlier try, if it runs or has succeeded; what else was left is done with."""
        record: Any = context["task_state_store"].get(QUERY)
        if not record:
            return None
        execution = self.hook.execution(record["id"])
        state = execution["Status"]["State"] if execution else "unknown"
        if self._is_asked_for(context, given) and state in {*UNDER_WAY, "SUCCEEDED"}:
            self.log.info("going on with Athena query %s of an earlier try, %s", record["id"], state)
            return record["id"]
        if state in UNDER_WAY:
            self.hook.stop(record["id"])
        self._forget(context)
        return None

    def _start(self, context: Context, given: Inputs) -> str:
        store: Any = context["task_state_store"]
        if store.get(TRIES) is None:
            # Mapped tasks change places when a file is added: from 0 on, a run that is cleared then would count as the
            # audit's former place did, and be given that one's old results.
            store.set(TRIES, randbits(32))
        token = self._token(context, given)
        try:
            execution_id = self.hook.start({**self._request(), "ClientRequestToken": token})
        except self.hook.conn.exceptions.InvalidRequestException as error:
            raise self._refused(given.query.path, error.response["Error"]["Message"]) from error
        store.set(QUERY, {"id": execution_id, "token": token})
        self.log.info("started Athena query %s of %s over %s", execution_id, given.query.name, given.audit.key)
        return execution_id

    def _refused(self, file: str, complaint: str) -> PermanentError:
        if not NOT_THE_QUERY.search(complaint):
            return QueryFileError(f"{file}: Athena refuses the query (lines count from below the header): {complaint}")
        return AccessError(
            f"{file}: Athena starts no query in workgroup {self.workgroup}, database {self.database}; mend the "
            f"settings' athena, or the workgroup: {complaint}"
        )

    def _is_waited_for(self, execution: Mapping[str, Any] | None) -> bool:
        if execution is None or execution["Status"]["State"] not in UNDER_WAY:
            return False
        return age(execution) < self.time_limit.total_seconds()

    def _finish(self, context: Context, given: Inputs, execution_id: str) -> dict[str, Any]:
        """What the task returns. A fault on the way leaves the stored id: the next try pays for no second scan."""
        execution = self.hook.execution(execution_id)
        if self._is_waited_for(execution):
            raise LogAuditError(
                f"the wait for Athena query {execution_id} broke off; the next try goes on with it{self._trouble}"
            )
        try:
            findings = self._findings(given, self._succeeded(given, execution_id, execution))
        except LogAuditError:
            self._forget(context)
            raise
        self._forget(context)
        metrics.looked(findings)
        self.log.info("%s: %d findings, %d bytes scanned", given.query.name, findings.total, findings.bytes_scanned)
        return findings.to_json()

    def _succeeded(self, given: Inputs, execution_id: str, execution: dict[str, Any] | None) -> dict[str, Any]:
        """The execution, if it succeeded; raises what its end means."""
        if execution is None:
            raise LogAuditError(f"AWS knows no Athena query {execution_id} any more; the next try starts a new one")
        match execution["Status"]["State"]:
            case "SUCCEEDED":
                return execution
            case "FAILED":
                raise failed(given, execution)
            case "CANCELLED":
                limit = self.hook.cutoff(execution["WorkGroup"]) if is_cut_off(execution) else None
                raise cancelled(given, execution, limit)
            case state:
                self.hook.stop(execution_id)
                raise out_of_time(given, execution_id, state, self.time_limit)

    def _findings(self, given: Inputs, execution: dict[str, Any]) -> Findings:
        execution_id, statistics = execution["QueryExecutionId"], execution.get("Statistics", {})
        try:
            rows = self.hook.rows(execution_id, header=execution.get("StatementType", "DML") == "DML")
            total, shown, digest = tally(given.masked(rows))
        except self.hook.conn.exceptions.InvalidRequestException as error:
            raise AccessError(
                f"{given.query.path}: Athena query {execution_id} succeeded, but its results cannot be read; clear the "
                f"task to ask anew: {error}"
            ) from error
        query, audit, scanned = given.query, given.audit, statistics.get("DataScannedInBytes", 0)
        return Findings(
            query=query.name,
            target=audit.target,
            title=query.title,
            severity=query.severity,
            start=to_ms(audit.window.start),
            end=to_ms(audit.window.end),
            total=total,
            rows=shown,
            bytes_scanned=scanned,
            ids=[execution_id],
            console=console_url(self.hook.conn_region_name, execution_id),
            description=query.description,
            runbook=query.runbook,
            false_positives=query.false_positives,
            notes=given.notes(scanned),
            key=audit.key,
            digest=digest,
            queue_ms=statistics.get("QueryQueueTimeInMillis"),
            engine_ms=statistics.get("EngineExecutionTimeInMillis"),
        )

    def _forget(self, context: Context) -> None:
        """Done with the query. First the count: who dies in between must not be given it again by its token."""
        store: Any = context["task_state_store"]
        store.set(TRIES, (store.get(TRIES) or 0) + 1)
        store.delete(QUERY)

    def on_kill(self) -> None:
        if self.query_execution_id:
            self.hook.stop(self.query_execution_id)


def _without_literals(name: str, value: str) -> str:
    return mask_statement(value) if STATEMENT_FIELD.search(name) else value


def tally(rows: Iterable[Mapping[str, str]]) -> tuple[int, list[dict[str, str]], str]:
    """How many rows there are, a sample of them, and a digest of all, whatever their order; one row at a time."""
    first: list[Mapping[str, str]] = []
    hashes: list[bytes] = []
    for row in rows:
        if len(first) < SAMPLE_ROWS:
            first.append(row)
        hashes.append(sha256(json.dumps(row, sort_keys=True).encode()).digest())
    digest = sha256(b"".join(sorted(hashes))).hexdigest() if hashes else ""
    return len(hashes), sample(first), digest


def console_url(region: str, execution_id: str) -> str:
    """A link that opens a query and its results in the Athena console."""
    home = f"https://{region}.console.aws.amazon.com/athena/home?region={region}"
    return f"{home}#/query-editor/history/{execution_id}"


def failed(given: Inputs, execution: Mapping[str, Any]) -> LogAuditError:
    """What a query that ended FAILED means.

    https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html
    """
    file, execution_id, reason = given.query.path, execution["QueryExecutionId"], given.reason(execution)
    error = execution["Status"].get("AthenaError", {})
    if error.get("Retryable") is not False:
        return LogAuditError(f"{file}: Athena query {execution_id} failed; the next try starts a new one: {reason}")
    advice = "; run the DAG athena_tables, which makes the tables" if NO_TABLE.search(reason) else ""
    if error.get("ErrorCategory") == USER or USERS_FAULT.search(reason):
        return QueryFileError(f"{file}: Athena refuses query {execution_id}: {reason}{advice}")
    return PermanentError(f"{file}: Athena query {execution_id} failed for good: {reason}")


def is_cut_off(execution: Mapping[str, Any]) -> bool:
    """Whether the workgroup's limit has ended the query, and not a person."""
    return CUT_OFF in execution["Status"].get("StateChangeReason", "").lower()


def cancelled(given: Inputs, execution: Mapping[str, Any], limit: int | None) -> LogAuditError:
    """What a query that ended CANCELLED means.

    :param limit: bytes that the workgroup lets a query scan, where that is known
    https://docs.aws.amazon.com/athena/latest/ug/workgroups-setting-control-limits-cloudwatch.html
    """
    file, execution_id, reason = given.query.path, execution["QueryExecutionId"], given.reason(execution)
    if not is_cut_off(execution):
        return LogAuditError(
            f"{file}: Athena query {execution_id} was cancelled by somebody; the next try starts a new one: {reason}"
        )
    scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
    allowed = f"{limit:,}" if limit else "an unknown number of"
    return PermanentError(
        f"{file}: workgroup {execution['WorkGroup']} lets a query scan {allowed} bytes, and cancelled query "
        f"{execution_id}, which had scanned {scanned:,}. These are paid for. Narrow the query, or raise the "
        f"workgroup's BytesScannedCutoffPerQuery ({reason})"
    )


def out_of_time(given: Inputs, execution_id: str, state: str, limit: timedelta) -> LogAuditError:
    """What it means that a query had to be stopped: while it is queued, AWS was busy, and nothing is paid for."""
    told = f"{given.query.path}: Athena query {execution_id} was still {state} after {limit}, and was stopped"
    if state == "QUEUED":
        return LogAuditError(f"{told}; the next try starts a new one")
    return PermanentError(f"{told}; what it scanned is paid for. Narrow the query before you clear the task")
