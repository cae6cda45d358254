"""Telling people: the alert task, the one writer of what is remembered of each check."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from slack_sdk.errors import SlackClientError

from log_audit.alerts import Message, Surroundings, finding_message
from log_audit.checks import Scope
from log_audit.errors import AccessError, AlertError, ThreadGoneError
from log_audit.findings import Findings
from log_audit.links.run_page import run_url
from log_audit.operators.checks import is_scheduled
from log_audit.operators.xcoms import all_returned
from log_audit.settings import Settings
from log_audit.watch import Say, Watch, outbox_key, settled, watch_key, what_to_say

if TYPE_CHECKING:
    from airflow.sdk import Context

    from log_audit.hooks.slack import AlertHook


class AlertOperator(BaseOperator):
    """Send what the checks found to Slack, and move each check's watermark once its alert was accepted.

    Slack has no idempotency key. So the window is put into the check's outbox before the first call; whoever finds
    it there after an unknown outcome reads the channel back for that very alert before sending it again. A check
    whose alert fails keeps its watermark, and holds up no other.

    A manual run or a backfill alerts only when its parameter ``alert`` says so, and touches no watermark.

    :param watches: the asset whose state store keeps the checks' records; must be among the outlets
    :param look_task_id: the mapped tasks that looked
    :returns: how many windows were looked at, alerted, and how many findings they had
    :raises AlertError: an alert was not accepted; the next try sends what is missing
    :raises AccessError: what only a person can change, such as a missing Slack connection. A channel that refuses
        keeps the others from nothing: they are told, the check goes on, and the task fails for the one
    """

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
            return self._done(context, looked, 0)
        kept: Any = context["asset_state_store"][self.watches] if scheduled else context["task_state_store"]
        around = Surroundings(run_url(context["ti"].dag_id, context["ti"].run_id), self.settings.zone)
        failures: list[Exception] = []
        self._refusals: list[Exception] = failures
        alerted = 0
        for findings in looked:
            try:
                alerted += self._settle(kept, findings, around, incidents=scheduled and self.scope == "regular")
            except (SlackClientError, OSError, AccessError) as error:
                self.log.error("%s: the alert was not accepted: %s", findings.query, error)
                failures.append(error)
        if failures:
            raise _worst(failures)
        return self._done(context, looked, alerted)

    def _settle(self, kept: Any, findings: Findings, around: Surroundings, incidents: bool) -> bool:
        """Tell what there is to tell of one window, and move on; whether there was anything."""
        key = watch_key(self.scope, findings.target, findings.query)
        watch = Watch.of(kept.get(key))
        if watch.watermark is not None and watch.watermark > findings.start:
            # An earlier try got as far as this, or another run has been here since; the next one goes on from there.
            return False
        say = what_to_say(watch, findings, self.settings.slack.pace, incidents=incidents)
        if say:
            watch = self._send(lambda now: kept.set(key, now.to_json()), watch, findings, say, around)
        kept.set(key, settled(watch, findings, say).to_json())
        return say is not None

    def _send(
        self, keep: Callable[[Watch], None], watch: Watch, findings: Findings, say: Say, around: Surroundings
    ) -> Watch:
        threads = watch.incident.threads if say.in_thread and watch.incident else {}
        channels = threads or dict.fromkeys(self.settings.slack.channels[findings.severity])  # type: ignore[index]
        unknown_outcome = watch.outbox == (findings.start, findings.end)
        watch = watch.sending(findings)
        keep(watch)
        hook, message = self._hook(), finding_message(findings, say, around)
        refused: list[AccessError] = []
        for channel, thread in channels.items():
            if channel in watch.sent:
                continue
            try:
                watch = self._post(hook, watch, channel, thread, message, findings, unknown_outcome)
            except AccessError as error:  # the other channels must hear of it all the same
                refused.append(error)
            keep(watch)
        if refused and not watch.sent:
            raise refused[0]
        self._refusals += refused  # somebody was told; the task fails for those who were not
        return watch

    def _post(
        self,
        hook: AlertHook,
        watch: Watch,
        channel: str,
        thread: str | None,
        message: Message,
        findings: Findings,
        unknown: bool,
    ) -> Watch:
        key = outbox_key(self.scope, findings)
        if unknown and (ts := hook.find(channel, key, oldest=findings.end / 1000, thread_ts=thread)):
            self.log.info("%s: the alert had arrived in %s", findings.query, channel)
            return watch.accepted(channel, ts)
        try:
            return watch.accepted(channel, hook.post(channel, message, key, thread_ts=thread))
        except ThreadGoneError:
            ts = hook.post(channel, message, key)
            return watch.moved(channel, ts).accepted(channel, ts)

    def _hook(self) -> AlertHook:
        from log_audit.hooks.slack import AlertHook

        return AlertHook(slack_conn_id=self.settings.slack.connection)

    def _done(self, context: Context, looked: list[Findings], alerted: int) -> dict[str, int]:
        event: Any = context["outlet_events"][self.watches]
        event.extra = {"scope": self.scope, "looks": [findings.summary() for findings in looked]}
        return {"looked": len(looked), "alerted": alerted, "findings": sum(findings.total for findings in looked)}


def _worst(failures: list[Exception]) -> Exception:
    """An error that a retry may mend goes before one that it cannot: the others' alerts still want sending."""
    passing = [error for error in failures if not isinstance(error, AccessError)]
    if not passing:
        return failures[0]
    return AlertError(f"{len(failures)} alerts were not accepted: {'; '.join(dict.fromkeys(map(str, failures)))}")
