"""Athena audits of one window: plan them, and tell what they found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator

from log_audit import audits, forms
from log_audit.alerts import Message, Surroundings, digest_message
from log_audit.findings import Findings, digest_of, event_extra
from log_audit.links.run_page import run_url
from log_audit.links.slack import SlackMessageLink
from log_audit.metrics import Metric, emit
from log_audit.operators.alerting import Alerting
from log_audit.operators.context import all_returned, run_type
from log_audit.settings import Settings
from log_audit.window import days_before, from_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

SCOPE = "audits"
REMEMBERED_DAYS = 40  # how long an alert of a window is known to have been told


class PlanAuditsOperator(BaseOperator):
    """Name the audits of the run's window: one mapping for each query file.

    :param folder: of the query files
    :returns: keywords for :class:`~log_audit.operators.athena.AthenaAuditOperator`
    :raises InvalidKeyError: the partition key names no window of a cluster of the settings
    :raises WindowNotOverError: a person asks for a window that has not ended
    """

    ui_color = "#e6e6e6"

    def __init__(self, *, settings: Settings, folder: Path = audits.FOLDERS["aurora"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.folder = folder

    def execute(self, context: Context) -> list[dict[str, Any]]:
        audit = audits.aurora_window(forms.run_key(context, "window"), self.settings)
        if run_type(context) != "asset_triggered":  # a delivery has shipped its window: it is over
            audit.window.require_over(utc_now(), timedelta(0), self.settings.zone)
        self.log.info("%s: %s", audit.key, audit.window.describe_both(self.settings.zone))
        athena = audits.athena_keywords(self.settings.targets[audit.target])
        files = [file for file in audits.query_files(self.folder) if forms.is_wanted(context, "queries", file.stem)]
        return [{"audit": {"file": str(file), "key": audit.key}, **athena} for file in files]


class AuditAlertOperator(BaseOperator):
    """Tell people what the audits of a window found, each result once, however often the window is audited.

    A window that is delivered again is audited again. What was told of it is remembered by its digest: the same
    findings are not told twice, other ones are. Tasks of this operator must not run side by side
    (``max_active_tis_per_dag=1``), since two of them could both find the same result untold.

    Findings of severity info are told together, in one message. A replay, a backfill or a run by hand alerts only when
    it was asked to.

    :param records: the asset of audited windows, whose state store remembers what was told
    :param watches: the asset whose events start the runs; None: the runs are scheduled
    :param audit_task_ids: the tasks that looked
    :returns: how many audits there were, how many had findings, and how many were told
    :raises AlertError: an alert was not accepted; the next try sends what is missing
    :raises AccessError: what only a person can change
    """

    operator_extra_links = (SlackMessageLink(),)
    ui_color = "#f6dfc4"

    def __init__(
        self,
        *,
        settings: Settings,
        records: Asset,
        audit_task_ids: Sequence[str],
        watches: Asset | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(outlets=[records], **kwargs)
        self.settings = settings
        self.records = records
        self.watches = watches
        self.audit_task_ids = audit_task_ids

    def execute(self, context: Context) -> dict[str, int]:
        looked = [Findings.of(value) for task in self.audit_task_ids for value in all_returned(context, task)]
        found = [findings for findings in looked if findings.total]
        wanted = self._alerts_wanted(context)
        if found and not wanted:
            self.log.info("no alerts: this is a replay, a backfill or a run by hand, and it was not asked to alert")
        told, links = self._tell(context, found) if wanted else (0, {})
        if looked:
            key = looked[0].key
            event: Any = context["outlet_events"][self.records]
            event.add_partitions([key])
            event.extra = event_extra(looked, links, key=key)
            self._time(context, looked[0].target)
        return {"audits": len(looked), "with findings": len(found), "told": told}

    def _time(self, context: Context, target: str) -> None:
        """How long the delivery that started the run took to be dealt with; a replay has none."""
        stopped = [extra["stopped"] for extra in self._started_by(context) if extra.get("stopped")]
        if stopped:
            took = utc_now() - datetime.fromisoformat(max(stopped))
            emit(Metric.ALERT_TIME, took / timedelta(milliseconds=1), target=target)

    def _started_by(self, context: Context) -> list[dict[str, Any]]:
        """What the asset events that started the run say."""
        if self.watches is None or run_type(context) != "asset_triggered":
            return []
        events: Any = context["triggering_asset_events"]
        return [event.extra or {} for event in events.get(self.watches, ())]

    def _alerts_wanted(self, context: Context) -> bool:
        match run_type(context):
            case "scheduled":
                return True
            case "asset_triggered":
                extras = self._started_by(context)
                return not extras or any(extra.get("alert", True) for extra in extras)
            case _:
                return bool(context["params"].get("alert"))

    def _tell(self, context: Context, found: Sequence[Findings]) -> tuple[int, dict[str, str]]:
        """How many were told now, and the links to the messages."""
        stores: Any = context["asset_state_store"]
        kept = stores[self.records]
        around = Surroundings(run_url(context["ti"].dag_id, context["ti"].run_id), self.settings.zone)
        alerting = Alerting(self.settings, kept, around, SCOPE)
        urgent = [findings for findings in found if findings.severity != "info"]
        told = sum(self._tell_once(alerting, findings) for findings in urgent)
        for target in dict.fromkeys(findings.target for findings in found):
            quiet = [findings for findings in found if findings.severity == "info" and findings.target == target]
            if quiet:
                digest = digest_of(quiet)
                told += self._tell_once(alerting, digest, digest_message(quiet, around))
                if link := alerting.links.get(digest.name):
                    alerting.links |= dict.fromkeys((findings.name for findings in quiet), link)
                    alerting.severities |= {findings.name: findings.severity for findings in quiet}
        alerting.keep_link(context)
        alerting.check()
        return told, alerting.links

    def _tell_once(self, alerting: Alerting, findings: Findings, message: Message | None = None) -> bool:
        """Whether it was told now."""
        kept, day = alerting.kept, from_ms(findings.start).date().isoformat()
        record, name = f"told/{findings.target}/{day}", f"{findings.key}/{findings.query}"
        known: list[str] = (kept.get(record) or {}).get(name, [])
        if findings.digest[:16] in known:
            self.log.info("%s: told before", findings.query)
            return False

        def remember() -> None:
            kept.set(record, {**(kept.get(record) or {}), name: [*known, findings.digest[:16]]})
            for old in range(REMEMBERED_DAYS, REMEMBERED_DAYS + 5):  # a few, since not every day has findings
                kept.delete(f"told/{findings.target}/{days_before(day, old)}")

        return alerting.once(findings, remember, message)
