"""EventBridge event patterns, through TestEventPattern and PutRule."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

EVENT = {
    "version": "0",
    "id": "1",
    "account": "123456789012",
    "source": "aws.ecs",
    "time": "2026-01-01T00:00:00Z",
    "region": "ap-northeast-1",
    "resources": [],
    "detail-type": "ECS Task State Change",
    "detail": {
        "lastStatus": "STOPPED",
        "version": 5,
        "none": None,
        "flag": True,
        "startedBy": "chronos-schedule/nightly",
        "containers": [{"name": "app", "exitCode": 0}, {"name": "side", "exitCode": 137}],
        "overrides": {"containerOverrides": [{"name": "app", "command": ["aurora-prod", "--all"]}]},
        "empty": [],
    },
}


@pytest.fixture
def events(aws_client: Callable[..., Any]) -> Any:
    return aws_client("events")


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = raised.value.response["Error"]["Code"]
    return code


def matches(events: Any, detail: dict[str, Any], **top: Any) -> bool:
    pattern = json.dumps(top | ({"detail": detail} if detail else {}))
    result: bool = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))["Result"]
    return result


def pattern_error(events: Any, pattern: str) -> str:
    with pytest.raises(ClientError) as raised:
        events.put_rule(Name="bad", EventPattern=pattern)
    return code_of(raised)


SEED_PATTERN = {
    "containers": {"exitCode": [0]},
    "lastStatus": ["STOPPED"],
    "overrides": {"containerOverrides": {"command": ["aurora-prod"]}},
}


@pytest.mark.parametrize(
    "detail",
    [
        SEED_PATTERN,
        {"containers": {"exitCode": [137]}},
        {"containers": {"exitCode": [1, 0]}},
        {"containers": {"name": ["side"], "exitCode": [137]}},
        {"overrides": {"containerOverrides": {"command": [{"prefix": "--"}]}}},
        {"none": [None]},
        {"flag": [True]},
        {"startedBy": [{"prefix": "chronos-schedule/"}]},
        {"startedBy": [{"prefix": {"equals-ignore-case": "CHRONOS"}}]},
        {"startedBy": [{"suffix": "nightly"}]},
        {"startedBy": ["other", {"equals-ignore-case": "Chronos-Schedule/NIGHTLY"}]},
        {"lastStatus": [{"anything-but": ["RUNNING", "PENDING"]}]},
        {"lastStatus": [{"anything-but": {"prefix": "RUN"}}]},
        {"containers": {"exitCode": [{"anything-but": 0}]}},
        {"version": [{"numeric": [">", 4, "<=", 5]}]},
        {"stopCode": [{"exists": False}]},
        {"stopCode": {"below": [{"exists": False}]}},
        {"empty": [{"exists": False}]},
        {"containers": {"exitCode": [{"exists": True}]}},
    ],
)
def test_patterns_that_match(events: Any, detail: dict[str, Any]) -> None:
    assert matches(events, detail, source=["aws.ecs"])


@pytest.mark.parametrize(
    "detail",
    [
        {"containers": {"exitCode": [1]}},
        # Both hold, but not of the same container.
        {"containers": {"name": ["side"], "exitCode": [0]}},
        {"overrides": {"containerOverrides": {"command": ["aurora"]}}},
        {"version": [5.0]},
        {"flag": [1]},
        {"none": [{"exists": False}]},
        {"containers": [{"exists": True}]},
        {"startedBy": [{"suffix": "NIGHTLY"}]},
        {"lastStatus": [{"anything-but": "STOPPED"}]},
        {"lastStatus": [{"anything-but": {"suffix": ["PED"]}}]},
        {"stopCode": [{"anything-but": "x"}]},
        {"version": [{"numeric": [">", 4, "<", 5]}]},
        {"lastStatus": [{"numeric": ["=", 5]}]},
        {"containers": {"exitCode": [{"exists": False}]}},
        {"empty": [{"exists": True}]},
    ],
)
def test_patterns_that_do_not_match(events: Any, detail: dict[str, Any]) -> None:
    assert not matches(events, detail)


@pytest.mark.parametrize(
    "pattern",
    [
        "no json",
        "{}",
        "[]",
        '{"source": "aws.ecs"}',
        '{"source": []}',
        '{"source": [["x"]]}',
        '{"detail": {}}',
        '{"source": [{"contains": "x"}]}',
        '{"source": [{"prefix": 1}]}',
        '{"source": [{"prefix": "a", "suffix": "b"}]}',
        '{"source": [{"numeric": [">"]}]}',
        '{"source": [{"numeric": ["!", 1]}]}',
        '{"source": [{"numeric": [1, ">"]}]}',
        '{"source": [{"exists": "yes"}]}',
        '{"source": [{"anything-but": []}]}',
        '{"source": [{"anything-but": ["a", 1]}]}',
        '{"source": [{"anything-but": {"numeric": [">", 1]}}]}',
    ],
)
def test_invalid_patterns(events: Any, pattern: str) -> None:
    assert pattern_error(events, pattern) == "InvalidEventPatternException"


@pytest.mark.parametrize("part", ['{"cidr": "10.0.0.0/8"}', '{"wildcard": "a*"}'])
def test_operators_not_done_are_refused(events: Any, part: str) -> None:
    assert pattern_error(events, f'{{"source": [{part}]}}') == "NotImplementedByStandIn"
    assert pattern_error(events, '{"$or": [{"source": ["a"]}]}') == "NotImplementedByStandIn"


def test_the_event_to_test_must_be_whole(events: Any) -> None:
    for event in ("[]", "no json", '{"source": "a"}'):
        with pytest.raises(ClientError) as raised:
            events.test_event_pattern(EventPattern='{"source": ["a"]}', Event=event)
        assert code_of(raised) == "ValidationException"
