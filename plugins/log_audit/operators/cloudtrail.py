"""Audits of CloudTrail's records, and whether the schedules of EventBridge Scheduler ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import BaseOperator

from log_audit import audits, forms, metrics
from log_audit.audits import AuditWindow
from log_audit.errors import TableError
from log_audit.findings import Findings
from log_audit.hooks.cloudtrail import CloudTrailHook
from log_audit.hooks.scheduler import SchedulerHook
from log_audit.links.cloudtrail import EventHistoryLink, history_url
from log_audit.operators.athena import AthenaAuditOperator, Inputs, tally
from log_audit.operators.athena_tables import FOLDER as TABLES
from log_audit.operators.athena_tables import definition_found, read_table, values_of
from log_audit.operators.context import run_type
from log_audit.query_file import QueryFile
from log_audit.redaction import Redactor
from log_audit.schedule import Schedule
from log_audit.schedule_health import Health, judge
from log_audit.schedule_match import Call
from log_audit.schedule_target import observed_as
from log_audit.scheduler_calls import call_of_record, call_of_row, executions
from log_audit.settings import DEFAULT_FILE, Settings, Target, load_settings
from log_audit.sql import Value
from log_audit.window import Window, key_of, read_time, to_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

SOURCE = DEFAULT_FILE.parent / "sql" / "sources" / "cloudtrail" / "scheduler_calls.sql"
TABLE = "cloudtrail"
HEALTH = "schedule_health"
# Calls are looked for so long after the day's end: a schedule of its last minutes may have a flexible window.
SLACK = timedelta(hours=1)
DETAIL = 5  # times that are told of each schedule


class PlanCloudTrailOperator(BaseOperator):
    """Name the audits of the run's day, on each target that has a trail; or the targets whose schedules are judged.

    :param schedules: name the latter
    :returns: keywords for :class:`CloudTrailAuditOperator`, or :class:`ScheduleHealthOperator`
    :raises InvalidKeyError: the partition key names no day
    :raises WindowNotOverError: the day is not over, or its files may still be on their way
    """

    ui_color = "#e6e6e6"

    def __init__(self, *, settings: Settings, schedules: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.schedules = schedules

    def execute(self, context: Context) -> list[dict[str, Any]]:
        settle, zone = self.settings.cloudtrail.settle, self.settings.zone
        key = forms.run_key(context, "day")
        if key is None and run_type(context) == "manual":
            key = key_of(utc_now() - settle, "day", zone, back=1)  # the last day that can be audited
        planned = []
        for name, target in self.settings.targets.items():
            if target.cloudtrail is None or not forms.is_wanted(context, "targets", name):
                continue
            audit = audits.cloudtrail_window(name, key, self.settings)
            audit.window.require_over(utc_now(), settle, zone)
            files = [file for file in self._files(target) if forms.is_wanted(context, "queries", _name(file))]
            asked = [{"file": file, "key": audit.key, "target": name} for file in files]
            planned += [{"audit": entry, **audits.athena_keywords(target)} for entry in asked]
        return planned

    def _files(self, target: Target) -> list[str]:
        trail = target.cloudtrail
        if trail is None:
            return []
        if self.schedules:
            return [] if trail.schedules == "off" else [str(SOURCE)]
        return [str(file) for file in audits.query_files(audits.FOLDERS["cloudtrail"])] if trail.location else []


class CloudTrailAuditOperator(AthenaAuditOperator):
    """Run one query file over one business day of CloudTrail's records.

    The table must be as its file and the settings say: an account or region that it does not project would have no
    rows, in silence.

    :raises TableError: it is not; says what to do
    """

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]  # findings, as its parent's
        self._require_table()
        return super().execute(context)

    def _require_table(self) -> None:
        target = load_settings().targets[self.audit["target"]]
        _, wanted = read_table(TABLES / f"{TABLE}.sql", values_of(target)[TABLE])
        found = definition_found(self.hook, str(self.database), TABLE)
        if found != wanted:
            how = "is missing" if found is None else "is not as its file and the settings of cloudtrail say"
            raise TableError(
                f"the table {self.database}.{TABLE} {how}; run the DAG athena_tables, then clear this task"
            )


class CloudTrailLookupOperator(AwsBaseOperator[CloudTrailHook]):
    """What EventBridge Scheduler called, out of CloudTrail's event history: for accounts without a trail's table.

    LookupEvents filters by one attribute and not by agent: that is done here. It takes two calls a second and gives 50
    events a page, so ask for an event rather than for a whole service.

    :param start: ISO time, in the business zone where it names none; inclusive
    :param end: the same; exclusive
    :param event_name: such as StartWorkflowRun; or
    :param event_source: such as glue.amazonaws.com
    :returns: calls and failures of each role, service and event
    :raises TooOldError: the window begins more than 90 days ago

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
    """

    aws_hook_class = CloudTrailHook
    template_fields: Sequence[str] = aws_template_fields("start", "end", "event_name", "event_source")
    operator_extra_links = (EventHistoryLink(),)

    def __init__(
        self, *, start: str, end: str, event_name: str | None = None, event_source: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (event_name is None) == (event_source is None):
            raise ValueError("give either event_name or event_source: LookupEvents filters by one attribute")
        self.start, self.end = start, end
        self.event_name, self.event_source = event_name, event_source

    def execute(self, context: Context) -> list[dict[str, str]]:
        zone = load_settings().zone
        window = Window(read_time(self.start, zone), read_time(self.end, zone))
        EventHistoryLink().persist(context, history_url(self.hook.conn_region_name, window))
        attribute = ("EventName", self.event_name) if self.event_name else ("EventSource", str(self.event_source))
        return executions(_calls(self.hook.lookup(window, *attribute)))


class ScheduleHealthOperator(CloudTrailAuditOperator):
    """When should each schedule of an account and region have fired on a day, and did it?

    The calls come out of the trail's table, or out of CloudTrail's event history where the settings say
    ``schedules: lookup``. Schedules that leave no record, or that share a role, are said to be not observable.

    :returns: :class:`~log_audit.findings.Findings` as JSON: a row for each schedule with a missing or failed call; its
        ``detail`` tells of all schedules
    :raises TooOldError: the day is not in the event history any more
    """

    operator_extra_links = (*CloudTrailAuditOperator.operator_extra_links, EventHistoryLink())  # type: ignore[assignment]

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]  # findings, as its parent's
        given = self._read()
        EventHistoryLink().persist(context, history_url(str(self.region_name), given.audit.window))
        if self._trail(given).schedules == "table":
            return super().execute(context)
        findings = self._judged(given, self._looked_up(given))
        metrics.looked(findings)
        return findings.to_json()

    def _values(self, audit: AuditWindow, query: QueryFile) -> Mapping[str, Value]:
        _, end = Window(audit.window.start, audit.window.end + SLACK).eventtime_range()
        return {**audit.values(query), "calls_end": end}

    def _findings(self, given: Inputs, execution: dict[str, Any]) -> Findings:
        rows = self.hook.rows(execution["QueryExecutionId"], header=True)
        here = {"account": self.hook.account_id, "region": self.hook.conn_region_name}
        calls = [call_of_row(row) for row in rows if {name: row.get(name) for name in here} == here]
        statistics = execution.get("Statistics", {})
        return replace(
            self._judged(given, calls),
            bytes_scanned=statistics.get("DataScannedInBytes", 0),
            queue_ms=statistics.get("QueryQueueTimeInMillis"),
            engine_ms=statistics.get("EngineExecutionTimeInMillis"),
            ids=[execution["QueryExecutionId"]],
        )

    def _trail(self, given: Inputs) -> Any:
        return given.settings.targets[given.audit.target].cloudtrail

    def _schedules(self) -> list[Schedule]:
        hook = SchedulerHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
        return [Schedule.of(response) for response in hook.schedules()]

    def _looked_up(self, given: Inputs) -> list[Call]:
        """The calls of the kinds that the schedules make; LookupEvents cannot be asked for all that Scheduler made."""
        hook = CloudTrailHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
        read = Window(given.audit.window.start, given.audit.window.end + SLACK)
        observables = filter(None, (kind for kind, _ in map(observed_as, self._schedules())))
        kinds = {(kind.source, kind.event) for kind in observables}
        names = sorted({event for _, event in kinds})
        calls = [call for name in names for call in _calls(hook.lookup(read, "EventName", name))]
        sources = {source for source, _ in kinds}
        return [call for call in calls if call.source in sources]

    def _judged(self, given: Inputs, calls: Sequence[Call]) -> Findings:
        redactor, audit, query = Redactor(given.settings.redaction.patterns), given.audit, given.query
        healths = judge(self._schedules(), calls, audit.window)
        total, shown, digest = tally(redactor.row(_row(health)) for health in healths if health.is_finding)
        self.log.info("%d schedules, %d of them with a missing or failed call", len(healths), total)
        return Findings(
            query=HEALTH,
            target=audit.target,
            title=query.title,
            severity=query.severity,
            start=to_ms(audit.window.start),
            end=to_ms(audit.window.end),
            total=total,
            rows=shown,
            description=query.description,
            runbook=query.runbook,
            false_positives=query.false_positives,
            console=f"https://{self.region_name}.console.aws.amazon.com/scheduler/home?region={self.region_name}#schedules",
            key=audit.key,
            digest=digest,
            detail=[redactor.value(health.to_json(most=DETAIL)) for health in healths],
        )


def _name(file: str) -> str:
    """What the form calls a query."""
    return HEALTH if file == str(SOURCE) else Path(file).stem


def _calls(records: Iterable[Mapping[str, Any]]) -> Iterator[Call]:
    return (call for call in map(call_of_record, records) if call)


def _row(health: Health) -> dict[str, str]:
    return {
        "schedule": health.schedule,
        "status": health.status,
        "expected": str(len(health.expected)),
        "seen": str(health.seen),
        "failed": str(len(health.failed)),
        "missing": str(len(health.missing)),
        "why": " ".join(health.notes),
    }
