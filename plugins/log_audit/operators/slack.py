"""Telling people: the alert task, the one writer of what is remembered of each check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator

from log_audit.alerts import Surroundings
from log_audit.checks import Scope
from log_audit.findings import Findings, event_extra
from log_audit.links.run_page import run_url
from log_audit.links.slack import SlackMessageLink
from log_audit.operators.alerting import Alerting
from log_audit.operators.checks import is_scheduled
from log_audit.operators.context import all_returned
from log_audit.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class AlertOperator(BaseOperator):
    """Send what the checks found to Slack, and move each check's watermark once its alert was accepted.

    A check whose alert fails keeps its watermark, and holds up no other.

    A manual run or a backfill alerts only when its parameter ``alert`` says so, and touches no watermark.

    :param watches: the asset whose state store keeps the checks' records; must be among the outlets
    :param look_task_id: the mapped tasks that looked
    :returns: how many windows were looked at, alerted, and how many findings they had
    :raises AlertError: an alert was not accepted; the next try sends what is missing
    :raises AccessError: what only a person can change, such as a missing Slack connection. A channel that refuses
        keeps the others from nothing: they are told, the check goes on, and the task fails for the one
    """

    operator_extra_links = (SlackMessageLink(),)
    ui_color = "#f6dfc4"

    def __init__(
        self, *, watches: Asset, settings: Settings, look_task_id: str, scope: Scope = "regular", **kwargs: Any
    ) -> None:
        super().__init__(outlets=[watches], **kwargs)
        self.watches = watches
        self.settings = settings
        self.look_task_id = look_task_id
        self.scope = scope

    def execute(self, context: Context) -> dict[str, int]:
        looked = [Findings.of(value) for value in all_returned(context, self.look_task_id)]
        scheduled = is_scheduled(context)
        if not scheduled and not context["params"].get("alert"):
            self.log.info("no alerts: the run was made by hand or by a backfill, and its parameter 'alert' is off")
            return self._done(context, looked, 0, {})
        kept: Any = context["asset_state_store"][self.watches] if scheduled else context["task_state_store"]
        around = Surroundings(run_url(context["ti"].dag_id, context["ti"].run_id), self.settings.zone)
        alerting = Alerting(self.settings, kept, around, self.scope)
        incidents = scheduled and self.scope == "regular"
        alerted = sum(alerting.window(findings, incidents=incidents) for findings in looked)
        alerting.keep_link(context)
        alerting.check()
        return self._done(context, looked, alerted, alerting.links)

    def _done(self, context: Context, looked: list[Findings], alerted: int, links: Mapping[str, str]) -> dict[str, int]:
        event: Any = context["outlet_events"][self.watches]
        event.extra = event_extra(looked, links, scope=self.scope)
        return {"looked": len(looked), "alerted": alerted, "findings": sum(findings.total for findings in looked)}
