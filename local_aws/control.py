"""`Control`: the stand-in's own API as a Python client, for the tests and the demo."""

import http.client
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

ACCOUNT = "123456789012"  # of all callers, unless they say otherwise


class ControlError(Exception):
    """The stand-in refused a control request; the message says why."""


class Control:
    """Drives the stand-in that serves `endpoint` (such as ``http://127.0.0.1:5000``)."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def health(self) -> dict[str, Any]:
        """Whether it serves: ``{"status": "ok", "moto": "5.2.5"}``."""
        return self._post("health")

    def reset(self) -> None:
        """Forget all resources, calls, faults and Slack messages; settings are the defaults again."""
        self._post("reset")

    def calls(self, action: str | None = None) -> list[dict[str, Any]]:
        """The calls seen, oldest first, of one action (``logs.CreateExportTask``, ``slack.chat.postMessage``) or all.

        Each has action, service, region, account, parameters, status (HTTP; None when dropped) and time (epoch s).
        """
        found: list[dict[str, Any]] = self._post("calls", action=action)["calls"]
        return found

    def forget_calls(self) -> None:
        """Forget the calls seen."""
        self._post("forget-calls")

    def fault(
        self,
        action: str,
        *,
        times: int = 1,
        error: str | None = None,
        message: str = "",
        status: int = 400,
        drop: str | None = None,
        delay: float = 0,
    ) -> None:
        """Make the next `times` calls of `action` (``*``: any) fail with an error code, lose their connection
        (`drop` "before" the call runs, "after", when only its answer is lost, or "within" the answer, of which the
        first half arrives), or wait `delay` seconds.

        `status` is that of HTTP. Slack itself sends its errors with 200, and 429 with ``Retry-After: 1``.
        """
        self._post(
            "fault",
            action=action,
            times=times,
            error=error,
            message=message,
            status=status,
            drop=drop,
            delay=delay,
        )

    def clear_faults(self) -> None:
        """Forget the faults not yet used up."""
        self._post("clear-faults")

    def configure(self, **settings: Any) -> None:
        """Change settings, until the next reset: see `local_aws.settings.Settings`."""
        self._post("configure", **settings)

    def create_log_group(
        self,
        name: str,
        *,
        region: str,
        creation_time_ms: int | None = None,
        retention_days: int | None = None,
        log_group_class: str = "STANDARD",
        account: str = ACCOUNT,
    ) -> None:
        """Create a log group, in the past if need be (epoch milliseconds)."""
        self._post(
            "create-log-group",
            name=name,
            region=region,
            creation_time_ms=creation_time_ms,
            retention_days=retention_days,
            log_group_class=log_group_class,
            account=account,
        )

    def put_events(
        self, log_group: str, stream: str, events: list[dict[str, Any]], *, region: str, account: str = ACCOUNT
    ) -> None:
        """Add events of any age: dicts of timestamp (epoch ms), message and, unless it is the same,
        ingestionTime (epoch ms). The stream is created when missing.
        """
        body = {"log_group": log_group, "stream": stream, "events": events}
        self._post("put-events", region=region, account=account, **body)

    def plan_task_end(
        self, *, region: str, times: int = 1, family: str | None = None, account: str = ACCOUNT, **ending: Any
    ) -> None:
        """How the next `times` ECS tasks (of one family) end, with these, each of them optional:

        exit_codes and reasons (by container name; exit code None: it has none), stop_code, stopped_reason,
        never_started (TaskFailedToStart, no exit codes), no_containers (with it: none are listed).
        """
        asked = {"times": times, "family": family, "ending": ending}
        self._post("plan-task-end", region=region, account=account, **asked)

    def stopped_task(
        self,
        cluster: str,
        family: str,
        command: list[str],
        *,
        region: str,
        started_at: float,
        stopped_at: float | None = None,
        container: str | None = None,
        started_by: str | None = None,
        group: str | None = None,
        account: str = ACCOUNT,
        **ending: Any,
    ) -> str:
        """Add a task of the past (epoch seconds; it ran a minute by default) and send its last event; gives its ARN.

        The command is that of `container` (default: the definition's first essential one). `ending`: as for
        `plan_task_end`.
        """
        task_arn: str = self._post(
            "stopped-task",
            cluster=cluster,
            family=family,
            container_command=command,
            region=region,
            started_at=started_at,
            stopped_at=started_at + 60 if stopped_at is None else stopped_at,
            container=container,
            started_by=started_by,
            group=group,
            account=account,
            ending=ending,
        )["taskArn"]
        return task_arn

    def undelivered_events(self) -> list[dict[str, Any]]:
        """The events that a rule matched and that did not come to its target, oldest first.

        Each has rule (name), target (ARN), reason and event.
        """
        found: list[dict[str, Any]] = self._post("undelivered-events")["events"]
        return found

    def put_trail_records(self, records: list[dict[str, Any]], *, region: str, account: str = ACCOUNT) -> None:
        """Add CloudTrail records to the event history that LookupEvents reads; one that is there is replaced."""
        self._post("put-trail-records", records=records, region=region, account=account)

    def publish_call_event(self, record: dict[str, Any], *, account: str = ACCOUNT) -> None:
        """Send "AWS API Call via CloudTrail" of this record through EventBridge's rules in the record's region."""
        self._post("publish-call-event", record=record, account=account)

    def create_schedule(
        self,
        schedule: dict[str, Any],
        *,
        region: str,
        creation_date: float,
        last_modification_date: float | None = None,
        account: str = ACCOUNT,
    ) -> str:
        """Create a schedule of the past (epoch seconds), by the parameters of CreateSchedule; gives its ARN.

        Its StartDate and EndDate are aware datetimes or epoch seconds.
        """
        dates = {name: value.timestamp() for name, value in schedule.items() if isinstance(value, datetime)}
        arn: str = self._post(
            "create-schedule",
            schedule=schedule | dates,
            region=region,
            account=account,
            creation_date=creation_date,
            last_modification_date=creation_date if last_modification_date is None else last_modification_date,
        )["scheduleArn"]
        return arn

    def slack_messages(self, channel: str | None = None) -> list[dict[str, Any]]:
        """What was posted to Slack, oldest first, to one channel (by name) or all.

        Each has channel (name), ts, thread_ts (None unless a reply), text, blocks, attachments and metadata (None
        when there is none).
        """
        found: list[dict[str, Any]] = self._post("slack-messages", channel=channel)["messages"]
        return found

    def _post(self, command: str, **body: Any) -> dict[str, Any]:
        address = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/local-aws/{command}", json.dumps(body), headers)
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ControlError(content["error"])
        return content
