"""The stand-in for Slack: which blocks and attachments it takes, with the real slack_sdk over HTTP."""

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local_aws.control import Control
from tests.support.slack_client import client, refused, section, table, text

pytestmark = pytest.mark.filterwarnings("ignore:The top-level `text`:UserWarning")


@pytest.fixture
def web(aws: Control) -> WebClient:
    return client(aws)


def test_every_block_that_it_does(aws: Control, web: WebClient) -> None:
    button = {"type": "button", "text": text("Open", "plain_text"), "url": "https://example.com/?a=1&b=2"}
    link = {"type": "link", "url": "https://example.com", "text": "link", "style": {"bold": True}}
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [text("cell", "text"), link]}]}
    blocks = [
        {"type": "header", "text": {**text("x" * 150, "plain_text"), "emoji": True}, "block_id": "head"},
        {**section("x" * 3000), "accessory": {**button, "style": "danger", "action_id": "a", "value": "v"}},
        {"type": "section", "fields": [text("x" * 2000)] * 2},
        {"type": "context", "elements": [text("a"), text("b", "plain_text")]},
        {"type": "divider"},
        {"type": "actions", "elements": [button]},
        {
            "type": "table",
            "rows": [[text("a", "raw_text"), rich], [{"type": "raw_number", "value": 1.5, "text": "1.5"}]],
            "column_settings": [{"align": "right"}, {"is_wrapped": True}],
        },
    ]
    web.chat_postMessage(channel="general", text="all", blocks=blocks)
    web.chat_postMessage(channel="general", blocks=[{"type": "divider"}] * 50, text="")
    web.chat_postMessage(channel="general", text="wide", blocks=[table(100, 20)])
    assert aws.slack_messages()[0]["blocks"] == blocks


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        ([{"type": "divider"}] * 51, "invalid_blocks"),
        ([section("x" * 3001)], "invalid_blocks"),
        ([section("")], "invalid_blocks"),
        ([{"type": "header", "text": text("x" * 151, "plain_text")}], "invalid_blocks"),
        ([{"type": "header", "text": text("x")}], "invalid_blocks"),
        ([{"type": "sektion", "text": text("x")}], "invalid_blocks"),
        ([{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "x"}], "invalid_blocks"),
        ([{"type": ["section"]}], "invalid_blocks"),
        ([{"text": text("x")}], "invalid_blocks"),
        ([{"type": "section"}], "invalid_blocks"),
        ([{"type": "section", "text": "x"}], "invalid_blocks"),
        ([{"type": "section", "text": {"type": "mrkdwn"}}], "invalid_blocks"),
        ([{"type": "section", "text": {"type": "mrkdwn", "text": 1}}], "invalid_blocks"),
        ([{"type": "section", "text": {**text("x"), "emoji": True}}], "invalid_blocks"),
        ([{"type": "section", "fields": [text("x")] * 11}], "invalid_blocks"),
        ([{"type": "section", "fields": [text("x" * 2001)]}], "invalid_blocks"),
        ([{"type": "context", "elements": []}], "invalid_blocks"),
        ([{"type": "context", "elements": [text("x")] * 11}], "invalid_blocks"),
        ([{**section("a"), "block_id": "b"}] * 2, "invalid_blocks"),
        ([{**section("a"), "color": "#fff"}], "invalid_blocks"),
        (["section"], "invalid_blocks"),
        ([table(101)], "invalid_blocks"),
        ([table(1, 21)], "invalid_blocks"),
        ([table(0)], "invalid_blocks"),
        ([{"type": "table", "rows": [[text("x")]]}], "invalid_blocks"),
        ([{"type": "table", "rows": [[text("", "raw_text")]]}], "invalid_blocks"),
        ([{**table(), "column_settings": [{"align": "top"}]}], "invalid_blocks"),
        ([table(), table()], "invalid_attachments"),
        ([section("x" * 2700)] * 5, "msg_blocks_too_long"),
        ("{", "invalid_blocks_format"),
        ('{"type": "section"}', "invalid_blocks_format"),
    ],
)
def test_bad_blocks(aws: Control, web: WebClient, blocks: Any, code: str) -> None:
    assert refused(web.chat_postMessage, channel="general", text="x", blocks=blocks) == code
    assert aws.slack_messages() == []


@pytest.mark.parametrize(
    "button",
    [
        {"text": text("x")},
        {"text": text("x" * 76, "plain_text")},
        {"text": text("x", "plain_text"), "url": "javascript:alert(1)"},
        {"text": text("x", "plain_text"), "style": 'x" onclick="alert(1)'},
        {"text": text("x", "plain_text"), "confirm": {}},
    ],
)
def test_bad_buttons(web: WebClient, button: dict[str, Any]) -> None:
    blocks = [{"type": "actions", "elements": [{"type": "button", **button}]}]
    assert refused(web.chat_postMessage, channel="general", text="x", blocks=blocks) == "invalid_blocks"


def test_an_error_in_blocks_says_where(web: WebClient) -> None:
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="general", text="x", blocks=[section("a"), section("x" * 3001)])
    said = "must be less than 3001 characters [json-pointer:/blocks/1/text/text]"
    assert raised.value.response["errors"] == [said]
    assert raised.value.response["response_metadata"]["messages"] == [f"[ERROR] {said}"]


@pytest.mark.parametrize(
    ("attachments", "code"),
    [
        ([{"color": "red;}"}], "invalid_attachments"),
        ([{"footer": "x"}], "invalid_attachments"),
        ([{"title": "x", "title_link": "javascript:alert(1)"}], "invalid_attachments"),
        (["x"], "invalid_attachments"),
        ([{"blocks": [{"type": "section"}]}], "invalid_blocks"),
        ([{"text": "x"}] * 101, "too_many_attachments"),
        ("{}", "invalid_attachments"),
    ],
)
def test_bad_attachments(web: WebClient, attachments: Any, code: str) -> None:
    assert refused(web.chat_postMessage, channel="general", text="x", attachments=attachments) == code
