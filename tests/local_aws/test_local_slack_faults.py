"""The stand-in for Slack: rates and faults, with the real slack_sdk over HTTP."""

import time
from types import SimpleNamespace

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local_aws import slack
from local_aws.control import Control, ControlError
from tests.support.slack_client import client, refused


@pytest.fixture
def web(aws: Control) -> WebClient:
    return client(aws)


def test_a_rate_per_channel(aws: Control, web: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(slack, "time", SimpleNamespace(monotonic=lambda: now[0], time_ns=time.time_ns))
    aws.configure(slack_rate_per_minute=2)
    for _ in range(2):
        web.chat_postMessage(channel="general", text="x")
    now[0] += 10
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="general", text="x")
    assert (raised.value.response.status_code, raised.value.response["error"]) == (429, "ratelimited")
    assert raised.value.response.headers["Retry-After"] == "20"
    web.chat_postMessage(channel="log-audit", text="another channel")
    now[0] += 20
    web.chat_postMessage(channel="general", text="x")
    assert [call["status"] for call in aws.calls("slack.chat.postMessage")] == [200, 200, 429, 200, 200]
    assert len(aws.slack_messages("general")) == 3


def test_an_error_by_fault(aws: Control, web: WebClient) -> None:
    aws.fault("slack.chat.postMessage", error="is_archived", status=200, message="gone")
    web.auth_test()
    with pytest.raises(SlackApiError, match="gone"):
        web.chat_postMessage(channel="general", text="x")
    aws.fault("slack.chat.postMessage", error="is_archived", status=200)
    assert refused(web.chat_postMessage, channel="general", text="x") == "is_archived"
    web.chat_postMessage(channel="general", text="x")


@pytest.mark.parametrize(("status", "header"), [(429, "1"), (500, None)])
def test_an_http_error_by_fault(aws: Control, web: WebClient, status: int, header: str | None) -> None:
    aws.fault("slack.chat.postMessage", error="ratelimited", status=status)
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="general", text="x")
    assert raised.value.response.status_code == status
    assert raised.value.response.headers.get("Retry-After") == header
    assert aws.slack_messages() == []


@pytest.mark.parametrize(("drop", "posted"), [("before", 0), ("after", 1)])
def test_a_drop(aws: Control, web: WebClient, drop: str, posted: int) -> None:
    aws.fault("slack.chat.postMessage", drop=drop)
    with pytest.raises(OSError, match=r"closed|reset"):
        web.chat_postMessage(channel="general", text="x")
    assert len(aws.slack_messages()) == posted
    assert aws.calls("slack.chat.postMessage")[0]["status"] is None


def test_a_delay(aws: Control, web: WebClient) -> None:
    aws.fault("slack.auth.test", delay=0.2)
    started = time.monotonic()
    web.auth_test()
    assert time.monotonic() - started >= 0.2


def test_no_fault_befalls_what_it_does_not_do(aws: Control) -> None:
    with pytest.raises(ControlError, match=r"does not do 'slack\.chat\.delete'"):
        aws.fault("slack.chat.delete", error="x")
    with pytest.raises(ControlError, match="status"):
        aws.fault("logs.StartQuery", error="x", status=200)
