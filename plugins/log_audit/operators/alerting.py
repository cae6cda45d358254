"""Telling people, and remembering that they were told: what every task that alerts does.

Slack has no idempotency key. So an alert is put into an outbox before the first call; whoever finds it there after an
unknown outcome reads the channel back for that very alert before sending it again. What cannot be told holds up
nothing else: the failures are kept, and raised at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackClientError

from log_audit import metrics
from log_audit.alerts import Message, Surroundings, finding_message
from log_audit.errors import AccessError, AlertError, ThreadGoneError
from log_audit.findings import Findings
from log_audit.links.slack import SlackMessageLink
from log_audit.metrics import Metric
from log_audit.query_file import SEVERITIES
from log_audit.settings import Settings
from log_audit.watch import Say, Watch, outbox_key, record_key, settled, what_to_say

if TYPE_CHECKING:
    from airflow.sdk import Context

    from log_audit.hooks.slack import AlertHook

log = logging.getLogger(__name__)


@dataclass
class Alerting:
    """The alerts of one task.

    :param kept: the store that remembers what people were told
    :param around: where the alerts come from
    :param scope: keeps the records of different pipelines apart
    :param failures: what could not be told, and why
    :param links: to the messages in which findings were told, by :attr:`~log_audit.findings.Findings.name`
    :param severities: of the findings that ``links`` names
    """

    settings: Settings
    kept: Any
    around: Surroundings
    scope: str
    failures: list[Exception] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    severities: dict[str, str] = field(default_factory=dict)

    def keep_link(self, context: Context) -> None:
        """Have the task link to the message of the worst that was told."""
        if self.links:
            worst = max(self.links, key=lambda name: SEVERITIES.index(self.severities[name]))
            SlackMessageLink().persist(context, self.links[worst])

    def window(self, findings: Findings, *, incidents: bool) -> bool:
        """Tell what there is to tell of one window of a check, and move its watermark on; whether there was anything.

        :param incidents: whether windows follow each other, so that a condition can go on
        """
        watch = self._watch(findings)
        if watch.incident and watch.incident.link:
            self._linked(findings, watch.incident.link)
        if watch.watermark is not None and watch.watermark > findings.start:
            # An earlier try got as far as this, or another run has been here since; the next one goes on from there.
            return False
        say = what_to_say(watch, findings, self.settings.slack.pace, incidents=incidents)
        return self._tell(watch, findings, say)

    def condition(self, findings: Findings, pace: timedelta = timedelta.max) -> bool:
        """Tell that something goes on (``total`` is not 0) or is over (it is 0); whether there was anything to tell.

        :param pace: how often to tell of a condition that goes on; by default once
        """
        watch = self._watch(findings)
        if watch.outbox:  # an earlier run tried, and the channel is read back for what it sent
            findings = replace(findings, start=watch.outbox[0], end=watch.outbox[1])
        say = what_to_say(watch, findings, pace)
        if say is None and watch.incident is None:  # all is well
            if watch.outbox:
                self.kept.delete(record_key(self.scope, findings))
            return False
        return self._tell(watch, findings, say)

    def once(self, findings: Findings, remember: Callable[[], None], message: Message | None = None) -> bool:
        """Tell findings that stand for themselves; whether that worked.

        :param remember: called when every channel has them, and before it is forgotten that they are being sent
        :param message: in the place of the usual one
        """
        say = Say("found", in_thread=False, incident=None)
        try:
            self._send(self._watch(findings), findings, say, message or finding_message(findings, say, self.around))
        except (SlackClientError, OSError, AccessError) as error:
            self._failed(findings, error)
            return False
        remember()
        self.kept.delete(record_key(self.scope, findings))
        return True

    def check(self) -> None:
        """:raises AlertError: an alert was not accepted; the next try sends what is missing
        :raises AccessError: what only a person can change, such as a missing Slack connection
        """
        if self.failures:
            raise _worst(self.failures)

    def _watch(self, findings: Findings) -> Watch:
        return Watch.of(self.kept.get(record_key(self.scope, findings)))

    def _keep(self, findings: Findings, watch: Watch) -> None:
        self.kept.set(record_key(self.scope, findings), watch.to_json())

    def _failed(self, findings: Findings, error: Exception) -> None:
        log.error("%s: the alert was not accepted: %s", findings.query, error)
        metrics.of_findings(Metric.ALERTS_REFUSED, findings)
        self.failures.append(error)

    def _tell(self, watch: Watch, findings: Findings, say: Say | None) -> bool:
        try:
            if say:
                watch = self._send(watch, findings, say, finding_message(findings, say, self.around))
        except (SlackClientError, OSError, AccessError) as error:
            self._failed(findings, error)
            return False
        self._keep(findings, settled(watch, findings, say, self.links.get(findings.name, "")))
        return say is not None

    def _send(self, watch: Watch, findings: Findings, say: Say, message: Message) -> Watch:
        threads = watch.incident.threads if say.in_thread and watch.incident else {}
        channels = threads or dict.fromkeys(self.settings.slack.channels[findings.severity])  # type: ignore[index]  # findings carry it as text
        unknown_outcome = watch.outbox == (findings.start, findings.end)
        watch = watch.sending(findings)
        self._keep(findings, watch)
        refused: list[AccessError] = []
        for channel, thread in channels.items():
            if channel in watch.sent:
                continue
            try:
                watch = self._post(watch, channel, thread, message, findings, unknown_outcome)
            except AccessError as error:  # the other channels must hear of it all the same
                refused.append(error)
            self._keep(findings, watch)
        if refused and not watch.sent:
            raise refused[0]
        self.failures += refused  # somebody was told; the task fails for those who were not
        self._link(findings, watch)
        return watch

    def _link(self, findings: Findings, watch: Watch) -> None:
        """Where people can read it, in the first channel that took it; without a link it was told all the same."""
        channel, ts = next(iter(watch.sent.items()))
        try:
            self._linked(findings, self._hook.permalink(channel, ts))
        except (SlackClientError, OSError, AccessError) as error:
            log.warning("%s: Slack gives no link to the alert in %s: %s", findings.query, channel, error)

    def _linked(self, findings: Findings, link: str) -> None:
        self.links[findings.name] = link
        self.severities[findings.name] = findings.severity

    def _post(
        self, watch: Watch, channel: str, thread: str | None, message: Message, findings: Findings, unknown: bool
    ) -> Watch:
        key = outbox_key(self.scope, findings)
        if unknown and (ts := self._hook.find(channel, key, oldest=findings.end / 1000, thread_ts=thread)):
            log.info("%s: the alert had arrived in %s", findings.query, channel)
        else:
            try:
                ts = self._hook.post(channel, message, key, thread_ts=thread)
            except ThreadGoneError:
                ts = self._hook.post(channel, message, key)
                watch = watch.moved(channel, ts)
        metrics.of_findings(Metric.ALERTS, findings)
        return watch.accepted(channel, ts)

    @cached_property
    def _hook(self) -> AlertHook:
        from log_audit.hooks.slack import AlertHook

        return AlertHook(slack_conn_id=self.settings.slack.connection)


def _worst(failures: list[Exception]) -> Exception:
    """An error that a retry may mend goes before one that it cannot: the others' alerts still want sending."""
    passing = [error for error in failures if not isinstance(error, AccessError)]
    if not passing:
        return failures[0]
    return AlertError(f"{len(failures)} alerts were not accepted: {'; '.join(dict.fromkeys(map(str, failures)))}")
