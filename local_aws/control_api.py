"""The stand-in's own HTTP API: ``POST /local-aws/<command>`` with a JSON object. Client: control.py."""

import json
import time
from collections.abc import Callable
from typing import Any

import moto
from moto.core.base_backend import BackendDict
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.model_instances import reset_model_data
from moto.ecs.models import ecs_backends
from moto.logs.models import logs_backends

from local_aws import cloudtrail, ecs, events, logs, scheduler, slack
from local_aws.actions import is_known
from local_aws.ecs_task import NEVER_STARTED, Ending
from local_aws.records import Fault, Records
from local_aws.settings import SETTINGS

PREFIX = "/local-aws/"
ACCOUNT = "123456789012"
REQUIRED = object()
READS = ("health", "calls")  # may be read with GET too

Body = dict[str, Any]
Number = (int, float)
Text = str | None


class BadRequest(ValueError):
    """What is wrong with the request, in a sentence; answered with 400."""


class ControlApi:
    """Answers control requests; every command gives a JSON object."""

    def __init__(self, records: Records, workspace: slack.Slack) -> None:
        self._records = records
        self._slack = workspace
        self._commands: dict[str, Callable[[Body], Body]] = {
            "health": self._health,
            "reset": self._reset,
            "calls": self._calls,
            "forget-calls": self._forget_calls,
            "fault": self._fault,
            "clear-faults": self._clear_faults,
            "configure": self._configure,
            "create-log-group": self._create_log_group,
            "put-events": self._put_events,
            "plan-task-end": self._plan_task_end,
            "stopped-task": self._stopped_task,
            "undelivered-events": self._undelivered_events,
            "put-trail-records": self._put_trail_records,
            "publish-call-event": self._publish_call_event,
            "create-schedule": self._create_schedule,
            "slack-messages": self._slack_messages,
        }

    def answer(self, environ: dict[str, Any], body: bytes) -> tuple[int, Body]:
        """Run the command that the path names: HTTP status and content."""
        name = environ["PATH_INFO"].removeprefix(PREFIX)
        if name not in self._commands:
            return 404, {"error": f"There is no {name!r}; there are: {', '.join(sorted(self._commands))}."}
        try:
            return 200, self._commands[name](_read(environ, body))
        except ValueError as error:
            return 400, {"error": str(error)}
        except JsonRESTError as error:
            return 400, {"error": f"{error.error_type}: {error.message}"}
        except ServiceException as error:
            return 400, {"error": str(error)}

    def _health(self, body: Body) -> Body:
        return {"status": "ok", "moto": moto.__version__}

    def reset(self) -> None:
        """Forget everything."""
        with logs.LOCK:
            BackendDict.reset()
            reset_model_data()
            SETTINGS.reset()
        self._records.forget_calls()
        self._records.clear_faults()
        self._slack.reset()

    def _reset(self, body: Body) -> Body:
        self.reset()
        return {}

    def _calls(self, body: Body) -> Body:
        given = fields(body, action=(Text, None))
        return {"calls": self._records.calls(given["action"])}

    def _forget_calls(self, body: Body) -> Body:
        self._records.forget_calls()
        return {}

    def _fault(self, body: Body) -> Body:
        fault = Fault(
            **fields(
                body,
                action=(str, REQUIRED),
                times=(int, 1),
                error=(Text, None),
                message=(str, ""),
                status=(int, 400),
                drop=(Text, None),
                delay=(Number, 0.0),
            )
        )
        _check_fault(fault)
        self._records.add_fault(fault)
        return {}

    def _clear_faults(self, body: Body) -> Body:
        self._records.clear_faults()
        return {}

    def _configure(self, body: Body) -> Body:
        SETTINGS.change(body)
        return {}

    def _create_log_group(self, body: Body) -> Body:
        given = fields(
            body,
            name=(str, REQUIRED),
            region=(str, REQUIRED),
            creation_time_ms=(int | None, None),
            retention_days=(int | None, None),
            log_group_class=(str, "STANDARD"),
            account=(str, ACCOUNT),
        )
        with logs.LOCK:
            _backend(given["account"], given["region"]).create_log_group(
                given["name"],
                {},
                createdMs=given["creation_time_ms"],
                logGroupClass=given["log_group_class"],
                RetentionInDays=given["retention_days"],
            )
        return {}

    def _put_events(self, body: Body) -> Body:
        given = fields(
            body,
            log_group=(str, REQUIRED),
            stream=(str, REQUIRED),
            events=(list, REQUIRED),
            region=(str, REQUIRED),
            account=(str, ACCOUNT),
        )
        events = [
            fields(event, timestamp=(int, REQUIRED), message=(str, REQUIRED), ingestionTime=(int | None, None))
            for event in given["events"]
        ]
        for event in events:
            if event["ingestionTime"] is None:
                event["ingestionTime"] = event["timestamp"]
        with logs.LOCK:
            _backend(given["account"], given["region"]).put_history(given["log_group"], given["stream"], events)
        return {}

    def _plan_task_end(self, body: Body) -> Body:
        given = fields(
            body,
            region=(str, REQUIRED),
            account=(str, ACCOUNT),
            times=(int, 1),
            family=(Text, None),
            ending=(dict, REQUIRED),
        )
        if given["times"] < 1:
            raise BadRequest("Field 'times' is 1 or more.")
        ending = _ending(given["ending"])
        with logs.LOCK:
            _tasks(given["account"], given["region"]).plans.append(ecs.Plan(ending, given["times"], given["family"]))
        return {}

    def _stopped_task(self, body: Body) -> Body:
        given = fields(
            body,
            region=(str, REQUIRED),
            cluster=(str, REQUIRED),
            family=(str, REQUIRED),
            container_command=(list, REQUIRED),
            container=(Text, None),
            started_at=(Number, REQUIRED),
            stopped_at=(Number, REQUIRED),
            started_by=(Text, None),
            group=(Text, None),
            account=(str, ACCOUNT),
            ending=(dict, REQUIRED),
        )
        if not all(isinstance(word, str) for word in given["container_command"]):
            raise BadRequest("Field 'container_command' must hold strings.")
        if not given["started_at"] <= given["stopped_at"]:
            raise BadRequest("A task cannot stop before it starts.")
        with logs.LOCK:
            ecs.advance()
            task = _tasks(given.pop("account"), given["region"]).plant_asked(given, _ending(given["ending"]))
        return {"taskArn": task.arn}

    def _undelivered_events(self, body: Body) -> Body:
        with logs.LOCK:
            ecs.advance()
            return {"events": events.undelivered()}

    def _put_trail_records(self, body: Body) -> Body:
        given = fields(body, records=(list, REQUIRED), region=(str, REQUIRED), account=(str, ACCOUNT))
        with logs.LOCK:
            cloudtrail.backend_of(given["account"], given["region"]).put(given["records"], time.time())
        return {}

    def _publish_call_event(self, body: Body) -> Body:
        given = fields(body, record=(dict, REQUIRED), account=(str, ACCOUNT))
        with logs.LOCK:
            cloudtrail.publish_call(given["record"], given["account"], time.time())
        return {}

    def _create_schedule(self, body: Body) -> Body:
        given = fields(
            body,
            schedule=(dict, REQUIRED),
            region=(str, REQUIRED),
            account=(str, ACCOUNT),
            creation_date=(Number, REQUIRED),
            last_modification_date=(Number, REQUIRED),
        )
        place, dates = (given["account"], given["region"]), (given["creation_date"], given["last_modification_date"])
        with logs.LOCK:
            return {"scheduleArn": scheduler.plant(given["schedule"], *place, *dates)}

    def _slack_messages(self, body: Body) -> Body:
        channel = fields(body, channel=(Text, None))["channel"]
        if channel is not None and channel not in SETTINGS.slack_channels:
            raise BadRequest(f"There is no channel {channel!r}; there are: {', '.join(SETTINGS.slack_channels)}.")
        shown = ("channel", "ts", "thread_ts", "text", "blocks", "attachments", "metadata")
        messages = self._slack.messages(channel)
        return {"messages": [{name: getattr(message, name) for name in shown} for message in messages]}


def fields(body: Any, **wanted: tuple[Any, Any]) -> Body:
    """The wanted fields of a JSON object, each given as (type, default or REQUIRED); raises BadRequest."""
    if not isinstance(body, dict):
        raise BadRequest(f"Expected a JSON object, not {type(body).__name__}.")
    unknown = sorted(set(body) - set(wanted))
    if unknown:
        raise BadRequest(f"Unknown field {unknown[0]!r}; known are: {', '.join(wanted)}.")
    return {name: _field(body, name, kind, default) for name, (kind, default) in wanted.items()}


def _field(body: Body, name: str, kind: Any, default: Any) -> Any:
    if name not in body:
        if default is REQUIRED:
            raise BadRequest(f"Field {name!r} is missing.")
        return default
    value = body[name]
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind):
        raise BadRequest(f"Field {name!r} must not be {value!r}.")
    return value


def _read(environ: dict[str, Any], body: bytes) -> Body:
    if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].removeprefix(PREFIX) in READS:
        return {}
    # The type that a web page cannot send to another origin without asking first.
    if environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE") != "application/json":
        raise BadRequest("Send a POST with Content-Type application/json.")
    try:
        content = json.loads(body or b"{}")
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BadRequest("The body must be a JSON object.")
    return content


def _check_fault(fault: Fault) -> None:
    if fault.action != "*" and not (is_known(fault.action) or slack.is_known(fault.action)):
        raise BadRequest(f"The stand-in does not do {fault.action!r}, so no fault can befall it.")
    if fault.drop not in (None, "before", "after", "within"):
        raise BadRequest("Field 'drop' must be 'before', 'after' or 'within'.")
    if fault.drop and fault.error:
        raise BadRequest("A fault has an 'error' or a 'drop', not both.")
    if not (fault.drop or fault.error or fault.delay):
        raise BadRequest("A fault needs an 'error', a 'drop' or a 'delay'.")
    # Slack alone sends errors with HTTP 200.
    status_fits = 400 <= fault.status <= 599 or (fault.status == 200 and slack.is_known(fault.action))
    if fault.times < 1 or not 0 <= fault.delay <= 60 or not status_fits:
        raise BadRequest("Fields: 'times' is 1 or more, 'delay' 0 to 60 seconds, 'status' 400 to 599 (Slack: or 200).")


def _ending(body: Any) -> Ending:
    given = fields(
        body,
        exit_codes=(dict, {}),
        reasons=(dict, {}),
        stop_code=(Text, None),
        stopped_reason=(Text, None),
        never_started=(bool, False),
        no_containers=(bool, False),
    )
    if given["no_containers"] and not given["never_started"]:
        raise BadRequest("Only a task that never started can be without containers.")
    if given["never_started"] and given["exit_codes"]:
        raise BadRequest("A task that never started has no exit codes.")
    if not all(code is None or type(code) is int for code in given["exit_codes"].values()):
        raise BadRequest("Field 'exit_codes' has a number or null for each container.")
    default = NEVER_STARTED if given["never_started"] else Ending()
    given["stop_code"] = given["stop_code"] or default.stop_code
    given["stopped_reason"] = given["stopped_reason"] or default.stopped_reason
    return Ending(**given)


def _tasks(account: str, region: str) -> ecs.LocalEcsBackend:
    if region not in ecs_backends[account]:
        raise BadRequest(f"There is no region {region!r}.")
    return ecs.backend_of(account, region)


def _backend(account: str, region: str) -> logs.LocalLogsBackend:
    if region not in logs_backends[account]:
        raise BadRequest(f"There is no region {region!r}.")
    backend = logs_backends[account][region]
    assert isinstance(backend, logs.LocalLogsBackend)
    return backend
