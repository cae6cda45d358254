"""Logs Insights checks: plan the windows once, then look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Asset, BaseOperator

from log_audit import checks, forms, metrics
from log_audit.checks import Look, Scope
from log_audit.errors import InvalidKeyError, PermanentError, QueryFileError
from log_audit.findings import Findings, count_rows, sample
from log_audit.hooks.logs import error_code
from log_audit.operators.context import run_type
from log_audit.operators.queries import Answer, LogsQuery, LogsQueryOperator
from log_audit.query_file import QueryFile, read_query_file
from log_audit.redaction import Redactor
from log_audit.settings import Settings, Target, load_settings
from log_audit.watch import Plan, Watch, check_key, given_up_note, plan_window
from log_audit.window import Window, Zone, read_time, to_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

INTERVALS: dict[Scope, timedelta] = {"regular": timedelta(minutes=5), "late": timedelta(days=1)}


class PlanChecksOperator(BaseOperator):
    """Fix which check looks at which window, once: a retry or a clear reads the same again.

    A scheduled run looks at everything since the check's watermark; a manual run or a backfill at its own interval,
    and it touches no watermark.

    :param watches: the asset whose state store keeps the checks' records; must be among the inlets
    :param folder: of the query files
    :returns: keywords for :class:`LogsInsightsOperator`, one mapping a check and target
    """

    ui_color = "#e6e6e6"

    def __init__(
        self,
        *,
        watches: Asset,
        settings: Settings,
        scope: Scope = "regular",
        folder: Path = checks.FOLDER,
        **kwargs: Any,
    ) -> None:
        super().__init__(inlets=[watches], **kwargs)
        self.watches = watches
        self.settings = settings
        self.scope = scope
        self.folder = folder

    def execute(self, context: Context) -> list[dict[str, Any]]:
        store: Any = context["task_state_store"]
        looks = store.get("looks")
        if looks is None:
            looks = [look.to_json() for look in self._looks(context)]
            store.set("looks", looks)
        for look in looks:
            self.log.info("%s @ %s: %s", look["query"], look["target"], Look.of(look).window)
        targets = self.settings.targets
        return [
            {
                "look": look,
                "aws_conn_id": targets[look["target"]].connection,
                "region_name": targets[look["target"]].region,
            }
            for look in looks
        ]

    def _looks(self, context: Context) -> list[Look]:
        found = []
        for file in checks.query_files(self.folder):
            if self._seen_by_the_regular_run(file) or not forms.is_wanted(context, "queries", file.stem):
                continue
            for target in checks.targets_of(file, self.settings.targets):
                if not forms.is_wanted(context, "targets", target):
                    continue
                plan = self._plan(context, target, file.stem)
                if plan:
                    notes = (given_up_note(plan.given_up, self.settings.insights.catch_up),) if plan.given_up else ()
                    start, end = to_ms(plan.window.start), to_ms(plan.window.end)
                    found.append(Look(file.stem, str(file), target, self.scope, start, end, notes))
        return found

    def _seen_by_the_regular_run(self, file: Path) -> bool:
        """Whether a sweep would find nothing, since the check's own look-back reaches as far as the sweep does."""
        if self.scope == "regular":
            return False
        try:
            look_back = checks.look_back_of(read_query_file(file), self.settings)
        except QueryFileError:
            return False  # its own task fails and says why
        return look_back >= self.settings.insights.late

    def _plan(self, context: Context, target: str, query: str) -> Plan | None:
        interval = run_interval(context, self.scope)
        if not is_scheduled(context):
            return Plan(asked_span(context, self.settings.zone) or interval)
        kept: Any = context["asset_state_store"][self.watches]
        key = check_key(self.scope, target, query)
        watch = Watch.of(kept.get(key))
        catch_up = self.settings.insights.catch_up if self.scope == "regular" else timedelta(days=14)
        plan = plan_window(watch, interval, self.settings.insights.settle, catch_up)
        if plan and watch.watermark is None:
            # Should a check's very first look fail, the next run must begin where this one did.
            kept.set(key, replace(watch, watermark=to_ms(plan.window.start)).to_json())
        return plan


def is_scheduled(context: Context) -> bool:
    """Whether the scheduler made the run: those alone move watermarks and keep incidents."""
    return run_type(context) == "scheduled"


def run_interval(context: Context, scope: Scope) -> Window:
    """The run's data interval; of a run that was given none, as long a one before it was asked for."""
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start and end and start < end:
        return Window(start, end)
    asked: datetime = context["dag_run"].run_after
    return Window(asked - INTERVALS[scope], asked)


def asked_span(context: Context, zone: Zone) -> Window | None:
    """The span of arrival that a person asks for; None: none.

    :raises InvalidKeyError: half a span, or its ends the wrong way round
    """
    given = [forms.asked(context, name) for name in ("from", "to")]
    if not any(given):
        return None
    if not all(given):
        raise InvalidKeyError(f"from: {given[0]}, to: {given[1]}: give both, or neither for the run's own interval")
    start, end = (read_time(str(text), zone) for text in given)
    if start >= end:
        raise InvalidKeyError(f"from: {given[0]} does not lie before to: {given[1]}")
    return Window(start, end)


class LogsInsightsOperator(LogsQueryOperator):
    """Run one check over one window of arrival time, and return its findings.

    The author of a check writes only the condition: this operator adds the window, and scans as much event time
    as events may have been on their way.

    :param look: a :class:`~log_audit.checks.Look`, or its JSON
    :returns: :class:`~log_audit.findings.Findings` as JSON: the exact number, a bounded and masked sample
    :raises QueryFileError: the file is wrong, or AWS cannot read its query; not retried
    :raises PermanentError: the time limit was reached: the next run looks again, from the check's watermark
    """

    template_fields: Sequence[str] = aws_template_fields("look", "query_text")
    template_fields_renderers: ClassVar[dict[str, str]] = {"look": "json", "query_text": "sql"}
    overwrite_rtif_after_execution = True  # the UI shows the query, known only in execute
    out_of_time = PermanentError  # a retry would keep the alerts of all other checks waiting
    ui_color = "#d8e2f3"

    def __init__(self, *, look: Look | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**{"poll_seconds": 2, **kwargs})
        self.look = look
        self.query_text = ""

    def queries(self, context: Context) -> list[LogsQuery]:
        look, settings = Look.of(self.look), load_settings()
        query = read_query_file(look.file)
        scan, text = self._scan(query, look, settings)
        self.query_text = text
        store: Any = context["task_state_store"]
        if not store.get("queries"):
            groups, missing = self._log_groups(query, look.target, settings.targets[look.target], scan)
            store.set("searched", {"groups": groups, "missing": missing})
        # Queries that were started keep their portions, whatever log groups have come or gone since.
        portions = checks.in_fifties(store.get("searched")["groups"])
        return [LogsQuery(portion, scan, text, query.limit) for portion in portions]

    def _scan(self, query: QueryFile, look: Look, settings: Settings) -> tuple[Window, str]:
        look_back, late = checks.look_back_of(query, settings), settings.insights.late
        return checks.scan_range(look, look_back, late), checks.query_text(query, look, look_back, late)

    def _log_groups(self, query: QueryFile, name: str, target: Target, scan: Window) -> tuple[list[str], list[str]]:
        """The log groups to search, and those that the settings or the header name in vain."""
        found: dict[str, None] = {}
        missing, now = [], utc_now()
        for entry in checks.log_groups_of(query, name, target):
            groups = [
                group
                for group in self.hook.log_groups(entry.name or entry.name_prefix or "")
                if entry.name_prefix or group["logGroupName"] == entry.name
            ]
            found.update({group["logGroupName"]: None for group in groups if checks.may_hold(group, scan, now)})
            if not groups:
                missing.append(entry.name or f"{entry.name_prefix}*")
        return list(found), missing

    def _start(self, query: LogsQuery) -> str | None:
        try:
            return super()._start(query)
        except self.hook.conn.exceptions.ClientError as error:
            if error_code(error) == "MalformedQueryException":
                raise QueryFileError(f"{Look.of(self.look).file}: AWS cannot read the query: {error}") from None
            raise

    def result(self, context: Context, answers: list[Answer]) -> dict[str, Any]:
        look, settings = Look.of(self.look), load_settings()
        query = read_query_file(look.file)
        store: Any = context["task_state_store"]
        searched = store.get("searched")
        redactor = Redactor(settings.redaction.patterns)
        total = sum(count_rows(answer.rows, answer.statistics.get("recordsMatched", 0)) for answer in answers)
        rows = sample(redactor.row(row) for answer in answers for row in answer.rows)
        scan, text = self._scan(query, look, settings)
        findings = Findings(
            query=look.query,
            target=look.target,
            title=query.title,
            severity=query.severity,
            start=look.start,
            end=look.end,
            total=total,
            rows=rows,
            bytes_scanned=int(sum(answer.statistics.get("bytesScanned", 0) for answer in answers)),
            ids=list(self._query_ids),
            console=checks.console_url(
                self.hook.conn_region_name, searched["groups"][: checks.GROUPS_A_QUERY], scan, text
            ),
            description=query.description,
            runbook=query.runbook,
            false_positives=query.false_positives,
            notes=[*look.notes, *self._cut_off(query, answers), *_missing_note(searched["missing"])],
            missing=searched["missing"],
        )
        metrics.looked(findings)
        self.log.info("%s: %d findings, %d bytes scanned", look.query, total, findings.bytes_scanned)
        return findings.to_json()

    def _cut_off(self, query: QueryFile, answers: list[Answer]) -> list[str]:
        """AWS does not say when it has cut rows off: as many rows as the limit means so."""
        limit = query.limit or checks.ROW_LIMIT
        if all(len(answer.rows) < limit for answer in answers):
            return []
        return [f"AWS returned {limit:,} rows, the query's limit: there are more than could be read"]


def _missing_note(missing: list[str]) -> list[str]:
    if not missing:
        return []
    return [f"these log groups do not exist and were not searched: {', '.join(missing)}"]
