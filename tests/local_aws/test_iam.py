"""IAM's evaluation of policies: what is allowed, what is denied, and what is refused as not understood."""

import json

import pytest

from local_aws.errors import NotImplementedByStandIn
from local_aws.iam import Access, decide, matches_arn

GROUP = "arn:aws:logs:ap-northeast-1:123456789012:log-group:/app:log-stream:"
QUERY = Access("logs:StartQuery", GROUP, {"aws:requestedregion": "ap-northeast-1"})


def policy(**changes):
    given = {"Sid": "Look", "Effect": "Allow", "Action": "logs:StartQuery", "Resource": "*"} | changes
    return {"Statement": [{key: value for key, value in given.items() if value is not None}]}


def is_allowed(access=QUERY, **changes):
    return decide({"p": policy(**changes)}, access).allowed


def test_what_no_statement_speaks_of_is_not_allowed():
    decision = decide({"p": policy(Action="logs:StopQuery")}, QUERY)
    assert (decision.allowed, decision.policy, decision.sid, decision.is_explicit_deny) == (False, None, None, False)
    assert not decide({}, QUERY).allowed


def test_the_statement_that_allows_is_named():
    policies = {"first": policy(Action="s3:*"), "second": json.dumps(policy(Sid="Ask"))}
    decision = decide(policies, QUERY)
    assert (decision.allowed, decision.policy, decision.sid) == (True, "second", "Ask")


def test_a_deny_wins_wherever_it_stands():
    policies = {"allow": policy(), "deny": policy(Effect="Deny", Sid="No")}
    for order in (list(policies), list(reversed(policies))):
        decision = decide({name: policies[name] for name in order}, QUERY)
        assert (decision.allowed, decision.sid, decision.is_explicit_deny) == (False, "No", True)


@pytest.mark.parametrize("action", ["logs:StartQuery", "LOGS:startquery", "logs:Start*", "*", "logs:StartQuer?"])
def test_actions_match_whatever_their_case(action):
    assert is_allowed(Action=[action, "s3:Get*"])


@pytest.mark.parametrize("action", ["logs:Start", "logs:StartQuery?", "s3:*", "StartQuery"])
def test_other_actions_do_not(action):
    assert not is_allowed(Action=action)


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("*", "*", True),
        ("*", GROUP, True),
        (GROUP, GROUP, True),
        ("arn:*:logs:*:*:log-group:/app:*", GROUP, True),
        ("arn:*:logs:*:*:log-group:/a*:*", GROUP, True),
        ("arn:aws:logs:ap-northeast-1:123456789012:log-group:*", GROUP, True),
        ("arn:aws:logs:ap-northeast-1:123456789012:log-group:/APP:*", GROUP, False),
        ("arn:aws:logs:ap-northeast-1:123456789012:log-group:/app", GROUP, False),
        ("arn:aws:logs:ap-northeast-3:123456789012:log-group:*", GROUP, False),
        ("arn:aws:logs:*", "*", False),  # an action that knows no resources wants the *
        ("arn:aws:s3:::b/????/??/logs/*", "arn:aws:s3:::b/2026/10/logs/app/x.gz", True),
        ("arn:aws:s3:::b/????/??/logs/*", "arn:aws:s3:::b/2026/10/other/x.gz", False),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/key", False),
        ("arn:aws:s3:::b*", "arn:aws:s3:::b/key", True),
        ("arn:aws:sqs:r:1*2:queue", "arn:aws:sqs:r:1:x2:queue", False),  # a wildcard within a segment stays in it
        ("arn:aws:s3:::b.c", "arn:aws:s3:::bxc", False),
    ],
)
def test_resources_match_by_their_segments(pattern, resource, matches):
    assert matches_arn(pattern, resource) is matches
    assert is_allowed(Access("logs:StartQuery", resource), Resource=["arn:aws:nothing", pattern]) is matches


def test_a_not_resource_is_everything_else():
    assert not is_allowed(Resource=None, NotResource=[GROUP, "x"])
    assert is_allowed(Resource=None, NotResource="arn:aws:s3:::b")


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:RequestedRegion": "ap-northeast-1"}}, True),
        ({"StringEquals": {"AWS:requestedregion": ["x", "ap-northeast-1"]}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "ap-*"}}, False),
        ({"StringLike": {"aws:RequestedRegion": "ap-*"}}, True),
        ({"StringEquals": {"s3:prefix": "x"}}, False),  # the request has no such key
        ({"StringEquals": {"aws:RequestedRegion": "ap-northeast-1", "s3:prefix": "x"}}, False),
        ({"StringLike": {"aws:RequestedRegion": "*"}, "Bool": {"aws:SecureTransport": "true"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:CalledVia": "athena.amazonaws.com"}}, False),
    ],
)
def test_all_conditions_must_hold(condition, allowed):
    assert is_allowed(Condition=condition) is allowed


def test_a_key_of_many_values_needs_for_any_value():
    via = Access("s3:GetObject", "*", {"aws:calledvia": ("x.amazonaws.com", "athena.amazonaws.com")})
    rule = {"aws:CalledVia": "athena.amazonaws.com"}
    assert is_allowed(via, Action="s3:GetObject", Condition={"ForAnyValue:StringEquals": rule})
    with pytest.raises(NotImplementedByStandIn, match="StringEquals on a key"):
        is_allowed(via, Action="s3:GetObject", Condition={"StringEquals": rule})


@pytest.mark.parametrize(("pattern", "holds"), [("arn:aws:ecs:*:*:cluster/b*", True), ("arn:aws:ecs:*", False)])
def test_arn_conditions_compare_segment_by_segment(pattern, holds):
    access = Access("ecs:ListTasks", "*", {"ecs:cluster": "arn:aws:ecs:r:1:cluster/batch"})
    assert is_allowed(access, Action="ecs:ListTasks", Condition={"ArnLike": {"ecs:cluster": pattern}}) is holds


@pytest.mark.parametrize(
    "changes",
    [
        {"NotAction": "s3:*"},
        {"Principal": "*"},
        {"Condition": {"StringNotEquals": {"aws:RequestedRegion": "x"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:RequestedRegion": "x"}}},
        {"Condition": {"ForAllValues:StringEquals": {"aws:RequestedRegion": "x"}}},
        {"Resource": "arn:aws:s3:::${aws:username}"},
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused(changes):
    with pytest.raises(NotImplementedByStandIn):
        is_allowed(**changes)
