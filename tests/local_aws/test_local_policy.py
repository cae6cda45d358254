"""Bucket policies: the part that log exports need."""

import json
from typing import Any

import pytest

from local_aws.errors import NotImplementedByStandIn
from local_aws.policy import Request, allows, effects_for_everyone, like, unsupported
from local_aws.samples import export_policy

SERVICE = "logs.ap-northeast-1.amazonaws.com"
PUT = Request(
    principals=frozenset({"logs.amazonaws.com", SERVICE}),
    action="s3:PutObject",
    resource="arn:aws:s3:::archive/exports/x.gz",
    context={
        "aws:sourceaccount": "123456789012",
        "aws:sourcearn": "arn:aws:logs:ap-northeast-1:123456789012:log-group:/app:*",
        "s3:x-amz-acl": "bucket-owner-full-control",
    },
)


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::archive/exports/*",
    }
    return json.dumps({"Statement": [statement | changes]})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Principal": "*"},
        {"Principal": {"Service": ["logs.amazonaws.com", "s3.amazonaws.com"]}},
        {"Action": ["s3:Get*", "s3:put*"]},
        {"Condition": {"StringEquals": {"aws:SourceAccount": ["1", "123456789012"]}}},
        {"Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:logs:*:123456789012:log-group:*"}}},
        {"Condition": {"StringLike": {"s3:x-amz-acl": "bucket-owner-*"}}},
    ],
)
def test_allows(changes: dict[str, Any]) -> None:
    assert allows(policy(**changes), PUT)


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Principal": {"Service": "logs.us-east-1.amazonaws.com"}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Action": "s3:GetObject"},
        {"Resource": "arn:aws:s3:::archive/other/*"},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}},
        {"Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-*"}}},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:logs:us-east-1:*"}}},
    ],
)
def test_does_not_allow(changes: dict[str, Any]) -> None:
    assert not allows(policy(**changes), PUT)


def test_no_policy_allows_nothing() -> None:
    assert not allows(None, PUT)


def test_a_denial_wins() -> None:
    both = [json.loads(policy(Effect=effect))["Statement"][0] for effect in ("Allow", "Deny")]
    assert not allows(json.dumps({"Statement": both}), PUT)


def test_the_documented_export_policy_allows() -> None:
    assert allows(export_policy("archive", "ap-northeast-1"), PUT)


@pytest.mark.parametrize(
    "changes",
    [
        {"Condition": {"StringEquals": {"aws:SourceOrgID": "o-1"}}},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "1"}}},
        {"NotAction": "s3:GetObject"},
    ],
)
def test_refuses_what_it_cannot_evaluate(changes: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedByStandIn):
        allows(policy(**changes), PUT)


def test_a_condition_for_everyone_is_unsupported() -> None:
    for condition in ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {"Bool": {"aws:ViaAWSService": "true"}}):
        assert unsupported(policy(Principal="*", Condition=condition))
    assert unsupported(policy(Principal="*")) is None
    assert unsupported(policy(Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})) is None
    assert unsupported(policy(Principal="*", NotAction="s3:*", Condition={}))
    with pytest.raises(ValueError, match="malformed"):
        unsupported('{"Statement": [{"Effect": "Deny", "Principal": "*"}]}')


def test_effects_for_everyone() -> None:
    tls = policy(Effect="Deny", Principal={"AWS": "*"}, Condition={"Bool": {"aws:SecureTransport": "false"}})
    for over_tls, effects in (("true", set()), ("false", {"Deny"})):
        asked = Request(frozenset(), PUT.action, PUT.resource, {"aws:securetransport": over_tls})
        assert effects_for_everyone(tls, asked) == effects
    assert effects_for_everyone(None, PUT) == effects_for_everyone(policy(), PUT) == set()
    assert effects_for_everyone(policy(Principal="*", Condition={}), PUT) == {"Allow"}


@pytest.mark.parametrize(
    ("pattern", "text", "fits"), [("a?c*", "abcde", True), ("a[b]*", "ab", False), ("A", "a", False)]
)
def test_like(pattern: str, text: str, fits: bool) -> None:
    assert like(pattern, text) is fits
