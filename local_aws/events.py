"""EventBridge's default bus: moto's rules, with patterns, deliveries and refusals of our own.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Operations.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

import json
import re
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.events.exceptions import ResourceNotFoundException, ValidationException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.events.responses import EventsHandler
from moto.events.urls import url_bases
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

from local_aws import event_pattern, policy
from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.paging import page, without_none

SENDER = "events.amazonaws.com"
# Both must be let in before events come to a log group.
LOG_SENDERS = (SENDER, "delivery.logs.amazonaws.com")
MOST_TARGETS = 5
EVENT_FIELDS = ("id", "account", "source", "time", "region", "resources", "detail-type")
ENTRY_FIELDS = frozenset({"Source", "DetailType", "Detail", "Resources", "Time", "EventBusName"})

Event = dict[str, Any]


class LocalEventsBackend(EventsBackend):
    """moto's state of an account and region, and the deliveries that failed."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.undelivered: list[dict[str, Any]] = []

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/": LocalEventsResponse.dispatch})

    @property
    def rules(self) -> dict[str, Rule]:
        """The rules of the default bus by name."""
        return self.event_buses["default"].rules

    def rule(self, name: str) -> Rule:
        """The rule of this name; raises ResourceNotFoundException."""
        if name not in self.rules:
            raise ResourceNotFoundException(f"Rule {name} does not exist on EventBus default.")
        return self.rules[name]

    def put_rule(self, name: str, **given: Any) -> Rule:  # type: ignore[override]
        """PutRule, of an event pattern; also the way of CloudFormation."""
        if given.get("scheduled_expression") or not given.get("event_pattern"):
            raise NotImplementedByStandIn("The stand-in has rules with an EventPattern only.")
        if given.get("state") not in (None, "ENABLED", "DISABLED"):
            raise NotImplementedByStandIn(f"The stand-in has no rules in state {given['state']}.")
        self.check_bus(given.get("event_bus_arn"))
        if not re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", name):
            raise ValidationException(f"The rule name {name!r} does not match [.\\-_A-Za-z0-9]+ of 1 to 64.")
        event_pattern.parse(given["event_pattern"])
        return super().put_rule(name, **given)

    def put_targets(self, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]) -> None:
        """PutTargets: queues and ``/aws/events/`` log groups of the rule's own account and region."""
        self.check_bus(event_bus_arn)
        rule = self.rule(name)
        for target in targets:
            unheeded = sorted(set(target) - {"Id", "Arn"})
            if unheeded:
                raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unheeded)} of a target.")
            self._check_target(target["Arn"])
        if len({target["Id"] for target in [*rule.targets, *targets]}) > MOST_TARGETS:
            raise AwsError("LimitExceededException", f"A rule has at most {MOST_TARGETS} targets.")
        super().put_targets(name, None, targets)

    def check_bus(self, name_or_arn: str | None) -> None:
        """Refuse any bus but the default."""
        if name_or_arn not in (None, "default", self.event_buses["default"].arn):
            raise NotImplementedByStandIn("The stand-in has the default event bus only.")

    def put_events(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """PutEvents: what became of each entry."""
        if not 1 <= len(events) <= 10:
            raise ValidationException("Member 'entries' must have length between 1 and 10.")
        for entry in events:
            unheeded = sorted(set(entry) - ENTRY_FIELDS)
            if unheeded:
                raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unheeded)} of an entry.")
            self.check_bus(entry.get("EventBusName"))
        return [self._put_event(entry) for entry in events]

    def publish(
        self, source: str, detail_type: str, detail: Event, *, resources: list[str], at: float, event_id: str = ""
    ) -> None:
        """Send an event of the time `at` (epoch seconds) over the default bus to the targets of every rule it fits."""
        event = {
            "version": "0",
            "id": event_id or str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self.account_id,
            "time": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": self.region_name,
            "resources": resources,
            "detail": detail,
        }
        for rule in list(self.rules.values()):
            pattern = event_pattern.parse(rule.event_pattern.dump() or "")
            if rule.state == "ENABLED" and event_pattern.matches(pattern, event):
                for target in rule.targets:
                    self._deliver(rule, target["Arn"], event, at)

    def _put_event(self, entry: dict[str, Any]) -> dict[str, str]:
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
        if entry["Source"].lower().startswith("aws."):
            return {
                "ErrorCode": "NotAuthorizedForSourceException",
                "ErrorMessage": "Not authorized for the source.",
            }
        detail = _object(entry["Detail"])
        if detail is None:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event_id = str(uuid.uuid4())
        at = entry.get("Time") or datetime.now(UTC).timestamp()
        resources = entry.get("Resources") or []
        self.publish(entry["Source"], entry["DetailType"], detail, resources=resources, at=at, event_id=event_id)
        return {"EventId": event_id}

    def _check_target(self, arn: str) -> None:
        queue = rf"arn:aws:sqs:{self.region_name}:{self.account_id}:[\w-]+"
        group = rf"arn:aws:logs:{self.region_name}:{self.account_id}:log-group:/aws/events/[^:*]+"
        if not re.fullmatch(f"{queue}|{group}", arn):
            raise NotImplementedByStandIn(
                f"The stand-in does not deliver to {arn}: targets are standard queues and "
                "log groups /aws/events/... (no ':*' at the end) of the same account and region."
            )

    def _deliver(self, rule: Rule, arn: str, event: Event, at: float) -> None:
        deliver = self._deliver_to_queue if ":sqs:" in arn else self._deliver_to_log_group
        try:
            problem = deliver(rule, arn, event, at)
        except NotImplementedByStandIn as error:
            # A policy that cannot be judged; the call that caused the event is not to blame.
            problem = error.message
        except (KeyError, TypeError, AttributeError, ServiceException) as error:
            problem = f"The policy is malformed, or the queue refuses the message: {error!r}."
        if problem:
            self.undelivered.append({"rule": rule.name, "target": arn, "reason": problem, "event": event})

    def _deliver_to_queue(self, rule: Rule, arn: str, event: Event, at: float) -> str:
        name = arn.rpartition(":")[2]
        backend = sqs_backends[self.account_id][self.region_name]
        if name not in backend.queues:
            return "The queue does not exist."
        asked = self._request(SENDER, "sqs:SendMessage", arn, rule)
        if not policy.allows(backend.queues[name].policy, asked):
            return f"The queue's policy does not let {SENDER} send messages for this rule."
        backend.send_message(name, json.dumps(event))
        return ""

    def _deliver_to_log_group(self, rule: Rule, arn: str, event: Event, at: float) -> str:
        name = arn.rpartition(":")[2]
        backend: Any = logs_backends[self.account_id][self.region_name]
        if name not in backend.groups:
            return "The log group does not exist."
        documents = [json.loads(item.policy_document) for item in backend.resource_policies.values()]
        statements = [part for document in documents for part in _listed(document["Statement"])]
        for sender in LOG_SENDERS:
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                asked = self._request(sender, action, f"{arn}:log-stream:{event['id']}", rule)
                if not policy.allows(json.dumps({"Statement": statements}), asked):
                    return f"No Logs resource policy lets {sender} do {action}."
        backend.put_history(name, event["id"], [{"timestamp": int(at * 1000), "message": json.dumps(event)}])
        return ""

    def _request(self, sender: str, action: str, resource: str, rule: Rule) -> policy.Request:
        context = {"aws:sourcearn": rule.arn, "aws:sourceaccount": self.account_id}
        return policy.Request(frozenset({sender}), action, resource, context)


class LocalEventsResponse(EventsHandler):
    """moto's answers, with ours for the actions it lacks or gets wrong. Parameters: see actions.py."""

    @property
    def backend(self) -> LocalEventsBackend:
        """The state of the caller's account and region."""
        backend = self.events_backend
        assert isinstance(backend, LocalEventsBackend)
        return backend

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's JSON body."""
        return json.loads(self.body or "{}")

    def call_action(self) -> Any:
        """Run one action, on the default bus."""
        try:
            self.backend.check_bus(self.parameters.get("EventBusName"))
        except NotImplementedByStandIn as error:
            return error.code, {"x-amzn-errortype": error.error_type}, error.description
        return super().call_action()

    def list_rules(self) -> Any:
        """ListRules, by prefix; moto takes the prefix for a regular expression."""
        given = self.parameters
        prefix = given.get("NamePrefix") or ""
        wanted = [rule for name, rule in sorted(self.backend.rules.items()) if name.startswith(prefix)]
        rules, token = page(wanted, lambda rule: rule.name, given.get("Limit"), given.get("NextToken"), most=100)
        return json.dumps(without_none({"Rules": [rule.describe() for rule in rules], "NextToken": token}))

    def list_targets_by_rule(self) -> Any:
        """ListTargetsByRule."""
        given = self.parameters
        targets = sorted(self.backend.rule(given["Rule"]).targets, key=lambda target: target["Id"])
        shown, token = page(targets, lambda target: target["Id"], given.get("Limit"), given.get("NextToken"), most=100)
        return json.dumps(without_none({"Targets": shown, "NextToken": token}))

    def test_event_pattern(self) -> Any:
        """TestEventPattern."""
        given = self.parameters
        pattern, event = event_pattern.parse(given["EventPattern"]), _object(given["Event"])
        if event is None:
            raise ValidationException("Parameter Event is not valid: it must be a JSON object.")
        missing = [name for name in EVENT_FIELDS if name not in event]
        if missing:
            raise ValidationException(f"Parameter Event is not valid: it lacks {', '.join(missing)}.")
        return json.dumps({"Result": event_pattern.matches(pattern, event)})


def backend_of(account: str, region: str) -> LocalEventsBackend:
    """The state of EventBridge in an account and region."""
    backend = events_backends[account][region]
    assert isinstance(backend, LocalEventsBackend)
    return backend


def undelivered() -> list[dict[str, Any]]:
    """The events that did not come to a target, of all accounts and regions."""
    backends = [backend for _, _, backend in events_backends.iter_backends()]
    return [item for backend in backends for item in cast(LocalEventsBackend, backend).undelivered]


def install() -> None:
    """Put this backend in the place of moto's."""
    events_backends.backend = LocalEventsBackend


def _object(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
