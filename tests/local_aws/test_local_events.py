"""EventBridge rules: patterns, deliveries to queues and log groups, refusals."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.control import Control

REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
GROUP = "/aws/events/audit"
GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
RULE_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/orders"


@pytest.fixture
def events(aws_client: Callable[..., Any]) -> Any:
    return aws_client("events")


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = raised.value.response["Error"]["Code"]
    return code


def queue_policy(queue_arn: str, rule_arn: str = RULE_ARN) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def logs_policy(*services: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/*:*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.fixture
def sqs(aws_client: Callable[..., Any]) -> Any:
    return aws_client("sqs")


@pytest.fixture
def queue(events: Any, sqs: Any) -> str:
    """The URL of a queue that the rule ``orders`` sends to."""
    url: str = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": queue_policy(arn)})
    assert events.put_rule(Name="orders", EventPattern='{"source": ["shop"]}')["RuleArn"] == RULE_ARN
    answer = events.put_targets(Rule="orders", Targets=[{"Id": "q", "Arn": arn}])
    assert answer["FailedEntryCount"] == 0
    return url


def send(events: Any, **changes: Any) -> dict[str, Any]:
    entry = {"Source": "shop", "DetailType": "order", "Detail": '{"n": 1}', "Time": 1_767_225_600}
    (result,) = events.put_events(Entries=[entry | changes])["Entries"]
    answer: dict[str, Any] = result
    return answer


def bodies(sqs: Any, url: str) -> list[dict[str, Any]]:
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_a_queue_gets_the_event(aws: Control, events: Any, sqs: Any, queue: str) -> None:
    event_id = send(events, Resources=["arn:x"])["EventId"]
    send(events, Source="other")
    assert bodies(sqs, queue) == [
        {
            "version": "0",
            "id": event_id,
            "detail-type": "order",
            "source": "shop",
            "account": ACCOUNT,
            "time": "2026-01-01T00:00:00Z",
            "region": REGION,
            "resources": ["arn:x"],
            "detail": {"n": 1},
        }
    ]
    assert aws.undelivered_events() == []


@pytest.mark.parametrize("policy", ["", "other rule", "other queue"])
def test_without_the_queues_leave_events_are_lost(aws: Control, events: Any, sqs: Any, queue: str, policy: str) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
    texts = {"": "", "other rule": queue_policy(arn, RULE_ARN + "2"), "other queue": queue_policy(arn + "2")}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": texts[policy]})
    event_id = send(events)["EventId"]
    assert bodies(sqs, queue) == []
    (lost,) = aws.undelivered_events()
    assert (lost["rule"], lost["target"], lost["event"]["id"]) == ("orders", arn, event_id)
    assert "policy" in lost["reason"]


def test_a_queue_that_refuses_the_message_loses_it(aws: Control, events: Any, sqs: Any, queue: str) -> None:
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MaximumMessageSize": "1024"})
    send(events, Detail=json.dumps({"n": "x" * 1024}))
    assert [item["rule"] for item in aws.undelivered_events()] == ["orders"]


def test_a_queue_that_is_not_there_loses_events(aws: Control, events: Any, queue: str) -> None:
    events.put_targets(Rule="orders", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:none"}])
    send(events)
    assert [item["reason"] for item in aws.undelivered_events()] == ["The queue does not exist."]


def test_a_log_group_needs_a_resource_policy_for_both_services(
    aws: Control, events: Any, aws_client: Callable[..., Any]
) -> None:
    logs = aws_client("logs")
    logs.create_log_group(logGroupName=GROUP)
    events.put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="orders", Targets=[{"Id": "g", "Arn": GROUP_ARN}])
    send(events)
    logs.put_resource_policy(policyName="p", policyDocument=logs_policy("events.amazonaws.com"))
    send(events)
    both = logs_policy("events.amazonaws.com", "delivery.logs.amazonaws.com")
    logs.put_resource_policy(policyName="p", policyDocument=both)
    event_id = send(events)["EventId"]
    (written,) = logs.filter_log_events(logGroupName=GROUP)["events"]
    assert json.loads(written["message"])["id"] == event_id
    assert written["timestamp"] == 1_767_225_600_000
    assert len(aws.undelivered_events()) == 2
    assert [item["policyName"] for item in logs.describe_resource_policies()["resourcePolicies"]] == ["p"]
    logs.delete_resource_policy(policyName="p")
    send(events)
    assert len(aws.undelivered_events()) == 3
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.put_resource_policy(policyName="p", policyDocument="none")


def test_a_log_group_that_is_not_there_loses_events(aws: Control, events: Any) -> None:
    events.put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="orders", Targets=[{"Id": "g", "Arn": GROUP_ARN}])
    send(events)
    assert [item["reason"] for item in aws.undelivered_events()] == ["The log group does not exist."]


def test_a_disabled_rule_sends_nothing(aws: Control, events: Any, sqs: Any, queue: str) -> None:
    events.disable_rule(Name="orders")
    assert events.describe_rule(Name="orders")["State"] == "DISABLED"
    send(events)
    events.enable_rule(Name="orders")
    assert bodies(sqs, queue) == []
    send(events)
    assert len(bodies(sqs, queue)) == 1


def test_put_events_judges_each_entry(events: Any, sqs: Any, queue: str) -> None:
    good = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
    entries = [good | {"Source": "aws.ecs"}, good, good | {"Detail": "[]"}, {"Source": "shop", "Detail": "{}"}]
    answer = events.put_events(Entries=entries)
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == ["NotAuthorizedForSourceException", None, "MalformedDetail", "InvalidArgument"]
    assert answer["FailedEntryCount"] == 3
    assert len(bodies(sqs, queue)) == 1


def test_rules_and_targets_in_pages(events: Any) -> None:
    for name in ("b.1", "a", "bx1"):
        events.put_rule(Name=name, EventPattern='{"source": ["shop"]}', Description=f"Rule {name}")
    first = events.list_rules(Limit=2)
    assert [rule["Name"] for rule in first["Rules"]] == ["a", "b.1"]
    second = events.list_rules(Limit=2, NextToken=first["NextToken"])
    assert [rule["Name"] for rule in second["Rules"]] == ["bx1"]
    assert "NextToken" not in second
    assert [rule["Name"] for rule in events.list_rules(NamePrefix="b.")["Rules"]] == ["b.1"]
    targets = [{"Id": name, "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"} for name in "cab"]
    events.put_targets(Rule="a", Targets=targets)
    events.remove_targets(Rule="a", Ids=["a"])
    assert [item["Id"] for item in events.list_targets_by_rule(Rule="a")["Targets"]] == ["b", "c"]
    with pytest.raises(ClientError) as raised:
        events.delete_rule(Name="a")
    assert code_of(raised) == "ValidationException"
    events.remove_targets(Rule="a", Ids=["b", "c"])
    events.delete_rule(Name="a")
    for call in (events.describe_rule, events.enable_rule, events.disable_rule):
        with pytest.raises(events.exceptions.ResourceNotFoundException):
            call(Name="a")
    for call in (events.list_targets_by_rule, lambda Rule: events.put_targets(Rule=Rule, Targets=targets)):
        with pytest.raises(events.exceptions.ResourceNotFoundException):
            call(Rule="a")


def test_a_rule_put_again_is_replaced(events: Any, queue: str) -> None:
    events.put_rule(Name="orders", EventPattern='{"source": ["shop2"]}', State="DISABLED")
    rule = events.describe_rule(Name="orders")
    assert (rule["EventPattern"], rule["State"]) == ('{"source": ["shop2"]}', "DISABLED")
    assert len(events.list_targets_by_rule(Rule="orders")["Targets"]) == 1


def test_at_most_five_targets(events: Any, queue: str) -> None:
    targets = [{"Id": str(n), "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"} for n in range(5)]
    with pytest.raises(events.exceptions.LimitExceededException):
        events.put_targets(Rule="orders", Targets=targets)


@pytest.mark.parametrize(
    "target",
    [
        {"Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"},
        {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo"},
        {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"},
        {"Arn": f"arn:aws:sqs:{REGION}:999999999999:q"},
        {"Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app"},
        {"Arn": GROUP_ARN + ":*"},
        {"Input": "{}"},
        {"InputPath": "$.detail"},
        {"InputTransformer": {"InputTemplate": "1"}},
        {"RetryPolicy": {"MaximumRetryAttempts": 1}},
    ],
)
def test_targets_it_cannot_serve_are_refused(events: Any, queue: str, target: dict[str, Any]) -> None:
    whole = {"Id": "x", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"} | target
    with pytest.raises(ClientError) as raised:
        events.put_targets(Rule="orders", Targets=[whole])
    assert code_of(raised) == "NotImplementedByStandIn"
    assert len(events.list_targets_by_rule(Rule="orders")["Targets"]) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda events: events.put_rule(Name="r", ScheduleExpression="rate(1 minute)"),
        lambda events: events.put_rule(
            Name="r", EventPattern='{"source": ["a"]}', State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
        ),
        lambda events: events.put_rule(Name="r", EventPattern='{"source": ["a"]}', EventBusName="mine"),
        lambda events: events.list_rules(EventBusName="mine"),
        lambda events: events.describe_rule(Name="r", EventBusName="mine"),
        lambda events: send(events, EventBusName="mine"),
        lambda events: send(events, TraceHeader="x"),
        lambda events: events.create_event_bus(Name="mine"),
        lambda events: events.put_permission(StatementId="s"),
    ],
)
def test_refusals(events: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ClientError) as raised:
        call(events)
    assert code_of(raised) == "NotImplementedByStandIn"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_policy_that_cannot_be_judged_is_refused(sqs: Any, queue: str) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
    odd = queue_policy(arn).replace("aws:SourceArn", "aws:SourceOrgID")
    deny = json.dumps({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn}})
    for text in (odd, deny):
        with pytest.raises(ClientError) as raised:
            sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": text})
        assert code_of(raised) == "NotImplementedByStandIn"
