"""Slack's Web API, beneath ``/slack/api/``: the methods that the pipelines use, and a refusal for the rest.

Where Slack does more, or does not say what it does, do not rest a check on this stand-in: a text is kept as it was
sent, no text is made up for blocks without one, a reply to a reply is refused, and conversations.history asked for
`oldest` only gives the newest page first. An S3 bucket named "slack" is out of reach.
https://docs.slack.dev/reference/methods
"""

import base64
import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from local_aws.errors import SlackError
from local_aws.settings import SETTINGS
from local_aws.slack_blocks import check_message
from local_aws.slack_request import Request

Content = dict[str, Any]

PREFIX = "/slack/"
TEAM, USER, BOT = "T0STANDIN0", "U0STANDIN0", "B0STANDIN0"
MOST_TEXT = 40_000
MOST_UPDATED_TEXT = 4_000
CONTENT = {"text", "blocks", "attachments", "metadata"}
PERIOD = {"channel", "limit", "cursor", "oldest", "latest", "inclusive", "include_all_metadata"}
# The arguments that each method heeds.
METHODS: dict[str, set[str]] = {
    "auth.test": set(),
    # Nothing unfurls here, so whether it may is all the same.
    "chat.postMessage": {"channel", "thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media", *CONTENT},
    "chat.update": {"channel", "ts", *CONTENT},
    "chat.getPermalink": {"channel", "message_ts"},
    "conversations.history": PERIOD,
    "conversations.replies": {"ts", *PERIOD},
    "conversations.list": {"limit", "cursor", "types", "exclude_archived"},
}
TYPES = {"public_channel", "private_channel", "mpim", "im"}


@dataclass(frozen=True)
class Message:
    """One message; `ts` is its id, across all channels."""

    channel: str  # its name
    ts: str
    text: str
    blocks: list[Content] = field(default_factory=list)
    attachments: list[Content] = field(default_factory=list)
    metadata: Content | None = None
    thread_ts: str | None = None  # the first message of the thread that it replies in
    broadcast: bool = False
    edited: str | None = None  # ts of the last change


def is_known(action: str) -> bool:
    """Whether the stand-in does ``slack.<method>``."""
    return action.removeprefix("slack.") in METHODS and action.startswith("slack.")


def channel_id(name: str) -> str:
    """The ID of a channel: the same each time, so that links outlive a restart."""
    return "C" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:10]


def error_content(code: str, *details: str) -> Content:
    """The body of a refusal."""
    content: Content = {"ok": False, "error": code}
    if details:
        content |= {"errors": details, "response_metadata": {"messages": [f"[ERROR] {text}" for text in details]}}
    return content


class Slack:
    """The workspace: what was posted to the channels that `Settings.slack_channels` names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[str, Message] = {}  # by ts, oldest first
        self._threads: dict[str, list[str]] = {}  # replies by the first message
        self._turns: dict[str, tuple[float, float]] = {}  # by channel: posts left, and when that was so
        self._last_ts = 0  # microseconds
        self._methods: dict[str, Callable[[Request], Content]] = {
            "auth.test": self._test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.getPermalink": self._permalink,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._list,
        }

    def answer(self, request: Request) -> tuple[int, Content, dict[str, str]]:
        """HTTP status, body and headers."""
        try:
            if request.method not in METHODS:
                raise SlackError("unknown_method", f"the stand-in does {', '.join(METHODS)}")
            request.check(METHODS[request.method])
            with self._lock:
                return 200, {"ok": True, **self._methods[request.method](request)}, {}
        except SlackError as error:
            content = error_content(error.code, *error.details)
            if error.retry_after is None:
                return 200, content, {}
            return 429, content, {"Retry-After": str(error.retry_after)}

    def messages(self, channel: str | None = None) -> list[Message]:
        """What was posted, oldest first; to one channel (by name) when given."""
        with self._lock:
            return [message for message in self._messages.values() if channel in (None, message.channel)]

    def reset(self) -> None:
        """Forget the messages. A ts is not given twice even so."""
        with self._lock:
            self._messages.clear()
            self._threads.clear()
            self._turns.clear()

    def _test(self, request: Request) -> Content:
        return {
            "url": f"{request.base_url}{PREFIX}",
            "team": "Stand-in",
            "user": "log-audit",
            "team_id": TEAM,
            "user_id": USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }

    def _post(self, request: Request) -> Content:
        channel = _channel(request, by_name=True)
        self._take_turn(channel)
        content = _content(request)
        if not (content["text"].strip() or content["blocks"] or content["attachments"]):
            raise SlackError("no_text")
        flags = {name: request.flag(name) for name in ("reply_broadcast", "unfurl_links", "unfurl_media")}
        thread = self._thread(channel, request.string("thread_ts")) if request.given("thread_ts") else None
        cut = len(content["text"]) > MOST_TEXT
        content["text"] = content["text"][:MOST_TEXT]
        broadcast = flags["reply_broadcast"] and thread is not None
        message = Message(channel, self._next_ts(), **content, thread_ts=thread, broadcast=broadcast)
        self._messages[message.ts] = message
        if thread:
            self._threads.setdefault(thread, []).append(message.ts)
        answer = {"channel": channel_id(channel), "ts": message.ts, "message": self._shown(message)}
        return {**answer, "warning": "message_truncated"} if cut else answer

    def _update(self, request: Request) -> Content:
        old = self._find(request, "ts")
        content = _content(request)
        if not any(content[name] for name in ("text", "blocks", "attachments")):
            raise SlackError("no_text")
        if len(content["text"]) > MOST_UPDATED_TEXT:
            raise SlackError("msg_too_long")
        # What is not mentioned stays, save blocks, which a new text replaces.
        for name in ("attachments", "metadata"):
            if not request.given(name):
                content[name] = getattr(old, name)
        new = replace(old, **content, edited=self._next_ts())
        self._messages[new.ts] = new
        return {"channel": channel_id(new.channel), "ts": new.ts, "text": new.text, "message": self._shown(new)}

    def _permalink(self, request: Request) -> Content:
        message = self._find(request, "message_ts")
        here = channel_id(message.channel)
        link = f"{request.base_url}{PREFIX}archives/{here}/p{message.ts.replace('.', '')}"
        if message.thread_ts:
            link += f"?thread_ts={message.thread_ts}&cid={here}"
        return {"channel": here, "permalink": link}

    def _history(self, request: Request) -> Content:
        channel = _channel(request)
        fits = request.period()
        found = [
            message
            for message in reversed(self._messages.values())
            if message.channel == channel and (message.broadcast or not message.thread_ts) and fits(message.ts)
        ]
        return {**self._pages(request, found, default=100, most=999), "pin_count": 0}

    def _replies(self, request: Request) -> Content:
        channel = _channel(request)
        first = self._messages.get(request.needed("ts"))
        if first is None or first.channel != channel or first.thread_ts:
            raise SlackError("thread_not_found")
        fits = request.period()
        found = [first, *(reply for reply in self._replies_to(first) if fits(reply.ts))]
        return self._pages(request, found, default=1000, most=1000)

    def _list(self, request: Request) -> Content:
        request.flag("exclude_archived")  # none is
        types = set((request.string("types") or "public_channel").replace(" ", "").split(","))
        if not types <= TYPES:
            raise SlackError("invalid_types")
        names = list(SETTINGS.slack_channels) if "public_channel" in types else []
        page, cursor = request.page(names, channel_id, default=100, most=999)
        return {"channels": [_shown_channel(name) for name in page], "response_metadata": {"next_cursor": cursor}}

    def _pages(self, request: Request, found: list[Message], default: int, most: int) -> Content:
        page, cursor = request.page(found, lambda message: message.ts, default, most)
        metadata_too = request.flag("include_all_metadata")
        answer = {"messages": [self._shown(message, metadata_too) for message in page], "has_more": bool(cursor)}
        return {**answer, "response_metadata": {"next_cursor": cursor}} if cursor else answer

    def _shown(self, message: Message, metadata_too: bool = False) -> Content:
        shown: Content = {"type": "message", "user": USER, "bot_id": BOT, "team": TEAM}
        shown |= {name: getattr(message, name) for name in ("ts", "text")}
        shown |= {name: value for name in ("blocks", "attachments") if (value := getattr(message, name))}
        if message.edited:
            shown["edited"] = {"user": USER, "ts": message.edited}
        if message.thread_ts:
            shown |= {"thread_ts": message.thread_ts, "parent_user_id": USER}
        elif replies := self._replies_to(message):
            shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
            shown |= {"reply_users": [USER], "reply_users_count": 1}
        if message.broadcast:
            shown["subtype"] = "thread_broadcast"
        if metadata_too and message.metadata:
            shown["metadata"] = message.metadata
        return shown

    def _replies_to(self, first: Message) -> list[Message]:
        return [self._messages[ts] for ts in self._threads.get(first.ts, [])]

    def _find(self, request: Request, name: str) -> Message:
        channel = _channel(request)
        message = self._messages.get(request.needed(name))
        if message is None or message.channel != channel:
            raise SlackError("message_not_found")
        return message

    def _thread(self, channel: str, ts: str) -> str:
        first = self._messages.get(ts)
        if first is None or first.channel != channel:
            raise SlackError("thread_not_found")
        if first.thread_ts:
            raise SlackError("cannot_reply_to_message", "thread_ts is a reply, and must be the ts of its parent")
        return ts

    def _next_ts(self) -> str:
        self._last_ts = max(time.time_ns() // 1000, self._last_ts + 100)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def _take_turn(self, channel: str) -> None:
        """A leaky bucket, which is how Slack is seen to allow short bursts and then a message a second."""
        rate = SETTINGS.slack_rate_per_minute
        if not rate:
            return
        now = time.monotonic()
        left, since = self._turns.get(channel, (rate, now))
        left = min(rate, left + (now - since) * rate / 60)
        if left < 1:
            raise SlackError("ratelimited", retry_after=math.ceil(round((1 - left) * 60 / rate, 3)))
        self._turns[channel] = (left - 1, now)


def _channel(request: Request, by_name: bool = False) -> str:
    """The name of the channel asked for: by its ID or, only when posting, by its name."""
    given = request.needed("channel")
    for name in SETTINGS.slack_channels:
        if given == channel_id(name) or (by_name and given.removeprefix("#") == name):
            return name
    raise SlackError("channel_not_found")


def _shown_channel(name: str) -> Content:
    shown: Content = {"id": channel_id(name), "name": name, "name_normalized": name}
    shown |= {"is_channel": True, "is_private": False, "is_archived": False, "is_member": True}
    return {**shown, "is_general": name == "general"}


def _content(request: Request) -> Content:
    blocks = request.structure("blocks", "invalid_blocks_format", [])
    attachments = request.structure("attachments", "invalid_attachments", [])
    metadata = request.structure("metadata", "invalid_metadata_format", {})
    check_message(blocks, attachments)
    if metadata and not (
        set(metadata) == {"event_type", "event_payload"}
        and isinstance(metadata["event_type"], str)
        and isinstance(metadata["event_payload"], dict)
    ):
        raise SlackError("invalid_metadata_schema", "metadata has an event_type and an event_payload")
    return {"text": request.string("text"), "blocks": blocks, "attachments": attachments, "metadata": metadata or None}
