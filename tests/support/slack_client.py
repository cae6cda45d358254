"""The stand-in for Slack in tests: a client of it, and blocks."""

import http.client
from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local_aws.control import Control
from local_aws.slack import channel_id

TOKEN = "xoxb-planted-secret"
AUDIT, GENERAL = channel_id("log-audit"), channel_id("general")
METADATA = {"event_type": "finding", "event_payload": {"key": "root_sign_in/2026-02-11", "rows": 3}}


def client(aws: Control, token: str | None = TOKEN) -> WebClient:
    """A client that tries once, so that faults show."""
    return WebClient(token, base_url=f"{aws.endpoint}/slack/api/", retry_handlers=[], timeout=10)


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code with which a call fails, over HTTP 200."""
    with pytest.raises(SlackApiError) as raised:
        call(**arguments)
    assert raised.value.response.status_code == 200
    assert raised.value.response["ok"] is False
    return str(raised.value.response["error"])


def get(aws: Control, path: str = "/slack/", method: str = "GET", **headers: str) -> tuple[int, str, Message]:
    """HTTP status, body and headers."""
    connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"), timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


def text(words: str, kind: str = "mrkdwn") -> dict[str, str]:
    return {"type": kind, "text": words}


def section(words: str) -> dict[str, Any]:
    return {"type": "section", "text": text(words)}


def table(rows: int = 1, columns: int = 1) -> dict[str, Any]:
    return {"type": "table", "rows": [[text("x", "raw_text")] * columns] * rows}
