"""The stand-in for Slack: its methods, with the real slack_sdk over HTTP."""

import http.client
import json
import re
import time
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local_aws.control import Control, ControlError
from tests.support.slack_client import AUDIT, GENERAL, METADATA, TOKEN, client, get, refused, section

pytestmark = pytest.mark.filterwarnings("ignore:The top-level `text`:UserWarning")


@pytest.fixture
def web(aws: Control) -> WebClient:
    return client(aws)


# --- who may call, and what


def test_says_who_it_is(aws: Control, web: WebClient) -> None:
    assert web.auth_test()["url"] == f"{aws.endpoint}/slack/"


@pytest.mark.parametrize(("token", "code"), [(None, "not_authed"), ("secret", "invalid_auth")])
def test_wants_a_token(aws: Control, token: str | None, code: str) -> None:
    assert refused(client(aws, token).auth_test) == code
    assert refused(client(aws, token).chat_postMessage, channel="general", text="x") == code
    assert aws.slack_messages() == []


def test_a_token_among_the_arguments_is_none(aws: Control) -> None:
    assert json.loads(get(aws, f"/slack/api/auth.test?token={TOKEN}")[1])["error"] == "not_authed"
    assert TOKEN not in json.dumps(aws.calls())


def test_refuses_other_methods_and_arguments(aws: Control, web: WebClient) -> None:
    assert refused(web.api_call, api_method="chat.delete") == "unknown_method"
    assert refused(web.api_call, api_method="") == "unknown_method"
    assert refused(web.chat_postMessage, channel="general", text="x", icon_emoji=":x:") == "invalid_arguments"
    assert refused(web.conversations_list, team_id="T1") == "invalid_arguments"
    with pytest.raises(SlackApiError, match="does not heed markdown_text"):
        web.chat_postMessage(channel="general", markdown_text="x")
    assert [call["action"] for call in aws.calls()][:2] == ["slack.chat.delete", "slack."]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/json", b"{", "invalid_json"),
        ("application/json", b"[" * 100_000, "invalid_json"),
        ("application/json", b"[]", "json_not_object"),
        ("application/json", b'{"channel": 1}', "invalid_arguments"),
        ("application/json", b"\xff", "invalid_charset"),
        ("application/x-www-form-urlencoded", b"text=%ff", "invalid_form_data"),
        ("multipart/form-data; boundary=x", b"--x--", "invalid_post_type"),
        ("application/x-www-form-urlencoded", b"text=x", "invalid_arguments"),  # no channel
    ],
)
def test_bad_bodies(aws: Control, kind: str, body: bytes, code: str) -> None:
    connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"), timeout=5)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    connection.request("POST", "/slack/api/chat.postMessage", body, headers)
    assert json.loads(connection.getresponse().read())["error"] == code
    connection.close()


def test_calls_are_recorded_without_the_token(aws: Control, web: WebClient) -> None:
    web.chat_postMessage(channel="general", text="x")
    (call,) = aws.calls("slack.chat.postMessage")
    assert call.pop("time") == pytest.approx(time.time(), abs=5)
    assert call == {
        "action": "slack.chat.postMessage",
        "service": "slack",
        "region": "",
        "parameters": {"channel": "general", "text": "x"},
        "status": 200,
        "made": None,  # needs no right of AWS's
    }
    assert TOKEN not in json.dumps(aws.calls())


@pytest.mark.parametrize("path", ["/slack/", "/slack/api/auth.test"])
def test_answers_to_loopback_names_only(aws: Control, path: str) -> None:
    assert get(aws, path, Host="evil.example")[0] == 403
    assert get(aws, path, Origin="http://evil.example")[2]["Access-Control-Allow-Origin"] is None


# --- posting


@pytest.mark.parametrize("channel", ["log-audit", "#log-audit", AUDIT])
def test_posts_to_a_channel_by_name_or_id(aws: Control, web: WebClient, channel: str) -> None:
    answer = web.chat_postMessage(channel=channel, text="hello", unfurl_links=False, unfurl_media=True)
    assert answer["channel"] == AUDIT
    assert re.fullmatch(r"\d{10}\.\d{6}", answer["ts"])
    assert answer["message"]["text"] == "hello"
    posted = {"thread_ts": None, "text": "hello", "blocks": [], "attachments": [], "metadata": None}
    assert aws.slack_messages() == [{"channel": "log-audit", "ts": answer["ts"], **posted}]


def test_every_ts_is_later_than_the_last(aws: Control, web: WebClient) -> None:
    before = web.chat_postMessage(channel="general", text="x")["ts"]
    aws.reset()
    seen = [before, *(web.chat_postMessage(channel="general", text="x")["ts"] for _ in range(5))]
    assert seen == sorted(set(seen))


def test_forms_and_json_say_the_same(aws: Control, web: WebClient) -> None:
    blocks = [section("ü & <b>")]
    web.chat_postMessage(channel="general", text="t", blocks=blocks, metadata=METADATA)
    strings = {"blocks": json.dumps(blocks), "metadata": json.dumps(METADATA)}
    web.chat_postMessage(channel="general", text="t", **strings)
    web.api_call("chat.postMessage", params={"channel": "general", "text": "t", "reply_broadcast": False, **strings})
    messages = aws.slack_messages()
    for message in messages:
        del message["ts"]
    assert messages[0]["blocks"] == blocks
    assert messages[0]["metadata"] == METADATA
    assert messages[1:] == [messages[0]] * 2


def test_channels_are_those_configured(aws: Control, web: WebClient) -> None:
    aws.configure(slack_channels=["ops"])
    web.chat_postMessage(channel="ops", text="x")
    assert refused(web.chat_postMessage, channel="general", text="x") == "channel_not_found"
    assert len(aws.slack_messages("ops")) == 1
    with pytest.raises(ControlError, match="no channel 'general'"):
        aws.slack_messages("general")
    aws.reset()
    assert aws.slack_messages() == []
    assert aws.slack_messages("general") == []


@pytest.mark.parametrize("channels", ["ops", ["#ops"], ["ops", "ops"], [1], ["Ops"]])
def test_bad_channels(aws: Control, channels: Any) -> None:
    with pytest.raises(ControlError, match="different channel names"):
        aws.configure(slack_channels=channels)


def test_text_is_needed_and_cut(aws: Control, web: WebClient) -> None:
    assert refused(web.chat_postMessage, channel="general", text=" \n") == "no_text"
    assert refused(web.chat_postMessage, channel="general", text="", blocks=[]) == "no_text"
    assert "warning" not in web.chat_postMessage(channel="general", text="x" * 40_000)
    assert web.chat_postMessage(channel="general", text="x" * 40_001)["warning"] == "message_truncated"
    assert {len(message["text"]) for message in aws.slack_messages()} == {40_000}


def test_threads(aws: Control, web: WebClient) -> None:
    first = web.chat_postMessage(channel="general", text="first")["ts"]
    reply = web.chat_postMessage(channel="general", text="reply", thread_ts=first)
    loud = web.chat_postMessage(channel="general", text="loud", thread_ts=first, reply_broadcast=True)
    assert reply["message"]["thread_ts"] == first
    assert [message["thread_ts"] for message in aws.slack_messages()] == [None, first, first]

    history = web.conversations_history(channel=GENERAL)["messages"]
    assert [message["text"] for message in history] == ["loud", "first"]
    assert history[0]["subtype"] == "thread_broadcast"
    assert (history[1]["reply_count"], history[1]["latest_reply"]) == (2, loud["ts"])
    replies = web.conversations_replies(channel=GENERAL, ts=first)["messages"]
    assert [message["text"] for message in replies] == ["first", "reply", "loud"]

    post = web.chat_postMessage
    assert refused(post, channel="general", text="x", thread_ts="1763600000.000100") == "thread_not_found"
    assert refused(post, channel="log-audit", text="x", thread_ts=first) == "thread_not_found"
    assert refused(post, channel="general", text="x", thread_ts=reply["ts"]) == "cannot_reply_to_message"
    assert refused(post, channel="general", text="x", thread_ts=1763600000.0001) == "invalid_arguments"
    replies_of = web.conversations_replies
    assert refused(replies_of, channel=GENERAL, ts="1763600000.000100") == "thread_not_found"


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("{", "invalid_metadata_format"),
        ("[]", "invalid_metadata_format"),
        ({"event_type": "x"}, "invalid_metadata_schema"),
        ({"event_type": "x", "event_payload": "y"}, "invalid_metadata_schema"),
    ],
)
def test_bad_metadata(web: WebClient, metadata: Any, code: str) -> None:
    assert refused(web.chat_postMessage, channel="general", text="x", metadata=metadata) == code


# --- changing and finding


def test_permalinks_lead_to_the_page(aws: Control, web: WebClient) -> None:
    first = web.chat_postMessage(channel="general", text="first")
    reply = web.chat_postMessage(channel="general", text="reply", thread_ts=first["ts"])
    for posted in (first, reply):
        found = web.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])["permalink"]
        status, _, headers = get(aws, found.removeprefix(aws.endpoint))
        page, _, anchor = headers["Location"].partition("#")
        assert status == 302
        assert f'id="{anchor}"' in get(aws, page)[1]
    assert f"thread_ts={first['ts']}&cid={first['channel']}" in found
    link = web.chat_getPermalink
    assert refused(link, channel=first["channel"], message_ts="1763600000.000100") == "message_not_found"
    assert refused(link, channel=AUDIT, message_ts=first["ts"]) == "message_not_found"


def test_updates_keep_what_they_do_not_mention(aws: Control, web: WebClient) -> None:
    attachments = [{"color": "good", "text": "all well"}]
    arguments = {"blocks": [section("old")], "attachments": attachments, "metadata": METADATA}
    posted = web.chat_postMessage(channel="general", text="old", **arguments)
    other = web.chat_postMessage(channel="general", text="other")
    where = {"channel": posted["channel"], "ts": posted["ts"]}

    answer = web.chat_update(**where, text="new")
    assert (answer["ts"], answer["text"]) == (posted["ts"], "new")
    assert "edited" in answer["message"]
    message = aws.slack_messages()[0]
    assert (message["text"], message["blocks"]) == ("new", [])
    assert (message["attachments"], message["metadata"]) == (attachments, METADATA)

    web.chat_update(**where, text="newer", blocks=[section("newer")], attachments=[], metadata={})
    message = aws.slack_messages()[0]
    assert (message["blocks"], message["attachments"], message["metadata"]) == ([section("newer")], [], None)
    assert aws.slack_messages()[1]["ts"] == other["ts"]

    assert refused(web.chat_update, **where, metadata=METADATA) == "no_text"
    assert refused(web.chat_update, **where, text="x" * 4001) == "msg_too_long"
    assert refused(web.chat_update, channel="general", ts=posted["ts"], text="x") == "channel_not_found"
    assert refused(web.chat_update, channel=AUDIT, ts=posted["ts"], text="x") == "message_not_found"
    assert refused(web.chat_update, **where, text="x", blocks=[{"type": "x"}]) == "invalid_blocks"


def test_history_is_paged_newest_first(aws: Control, web: WebClient) -> None:
    for number in range(5):
        web.chat_postMessage(channel="log-audit", text=str(number))
    web.chat_postMessage(channel="general", text="elsewhere")
    pages = []
    for page in web.conversations_history(channel=AUDIT, limit=2):
        pages.append([message["text"] for message in page["messages"]])
        assert page["has_more"] is (len(pages) < 3)
        web.chat_postMessage(channel="log-audit", text="later")  # shifts no page
    assert pages == [["4", "3"], ["2", "1"], ["0"]]

    history = web.conversations_history
    assert refused(history, channel="log-audit") == "channel_not_found"
    assert refused(history, channel="C0000000000") == "channel_not_found"
    assert refused(history, channel=AUDIT, cursor="x") == "invalid_cursor"
    for limit in (0, 1000, "x"):
        assert refused(history, channel=AUDIT, limit=limit) == "invalid_limit"


def test_replies_are_paged_oldest_first(web: WebClient) -> None:
    first = web.chat_postMessage(channel="log-audit", text="0")["ts"]
    for number in (1, 2, 3):
        web.chat_postMessage(channel="log-audit", text=str(number), thread_ts=first)
    pages = web.conversations_replies(channel=AUDIT, ts=first, limit=3)
    assert [[message["text"] for message in page["messages"]] for page in pages] == [["0", "1", "2"], ["3"]]
    assert refused(web.conversations_replies, channel="log-audit", ts=first) == "channel_not_found"


def test_history_between_two_moments(web: WebClient) -> None:
    stamps = [web.chat_postMessage(channel="log-audit", text=str(number))["ts"] for number in range(4)]

    def found(**period: Any) -> str:
        messages = web.conversations_history(channel=AUDIT, **period)["messages"]
        return "".join(message["text"] for message in messages)

    assert found(oldest=stamps[1]) == "32"
    assert found(oldest=stamps[1], inclusive=True) == "321"
    assert found(latest=stamps[2]) == "10"
    assert found(oldest=stamps[0], latest=stamps[3]) == "21"
    assert found(oldest=stamps[0], latest=stamps[3], inclusive=True) == "3210"
    assert found(oldest="0", latest=str(int(time.time()) + 60)) == "3210"
    assert refused(web.conversations_history, channel=AUDIT, oldest="yesterday") == "invalid_ts_oldest"
    assert refused(web.conversations_history, channel=AUDIT, latest="-1") == "invalid_ts_latest"


def test_metadata_is_shown_to_who_asks(web: WebClient) -> None:
    first = web.chat_postMessage(channel="log-audit", text="x", metadata=METADATA)["ts"]
    for call, more in ((web.conversations_history, {}), (web.conversations_replies, {"ts": first})):
        assert "metadata" not in call(channel=AUDIT, **more)["messages"][0]
        (message,) = call(channel=AUDIT, include_all_metadata=True, **more)["messages"]
        assert message["metadata"] == METADATA


def test_lists_channels(web: WebClient) -> None:
    pages = web.conversations_list(limit=2, exclude_archived=True)
    names = [[channel["name"] for channel in page["channels"]] for page in pages]
    assert names == [["log-audit", "log-audit-critical"], ["general"]]
    assert web.conversations_list()["channels"][0]["id"] == AUDIT
    assert web.conversations_list(types="private_channel, im")["channels"] == []
    assert refused(web.conversations_list, types="secret") == "invalid_types"
