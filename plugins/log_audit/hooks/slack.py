"""Slack's Web API: posting, and reading back what was posted after an unknown outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.providers.slack.hooks.slack import SlackHook
from airflow.sdk.exceptions import AirflowNotFoundException
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from log_audit.alerts import EVENT_TYPE, Message
from log_audit.errors import AccessError, ThreadGoneError

# What only a person can change: https://api.slack.com/methods/chat.postMessage#errors
FOR_A_PERSON = {
    "not_authed": "the Airflow connection holds no token",
    "invalid_auth": "the token in the Airflow connection is not valid",
    "account_inactive": "the token belongs to a deleted user or app",
    "token_revoked": "the token has been revoked",
    "channel_not_found": "there is no such channel, or the bot may not see it; invite it, or mend the settings",
    "not_in_channel": "invite the bot to the channel",
    "is_archived": "the channel is archived; mend the settings",
    "missing_scope": "the bot needs the scopes chat:write, metadata.message:read, channels:read and channels:history, "
    "and for private channels groups:read and groups:history",
}
THREAD_GONE = {"thread_not_found", "message_not_found"}
# Our messages are made to fit. Should Slack think otherwise, people hear the plain text rather than nothing.
BLOCKS_REFUSED = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
PAGES = 20


class AlertHook(SlackHook):
    """Slack as alerts use it: rate limits are waited for, and nothing is sent twice.

    slack_sdk would by itself repeat a call whose connection broke, which may already have been answered; so its
    retries are those after a 429 alone.
    """

    def __init__(self, *, slack_conn_id: str) -> None:
        super().__init__(
            slack_conn_id=slack_conn_id, retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=3)], timeout=30
        )
        self._ids: dict[str, str] = {}  # of channels, by name

    def post(self, channel: str, message: Message, key: str, thread_ts: str | None = None) -> str:
        """Post a message and return its ``ts``; ``key`` goes into its metadata.

        :raises AccessError: what only a person can change
        :raises ThreadGoneError: the message that it should answer has been deleted
        :raises slack_sdk.errors.SlackApiError: any other refusal, a failing answer included
        """
        arguments: dict[str, Any] = {
            "channel": channel.removeprefix("#"),
            "text": message.text,
            "thread_ts": thread_ts,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            answer = self._call("chat_postMessage", blocks=message.blocks, **arguments)
        except SlackApiError as error:
            if _code(error) not in BLOCKS_REFUSED:
                raise
            self.log.warning("Slack refuses the blocks (%s); sending the text alone: %s", _code(error), message.blocks)
            answer = self._call("chat_postMessage", **arguments)
        self._ids[arguments["channel"]] = str(answer["channel"])
        return str(answer["ts"])

    def permalink(self, channel: str, ts: str) -> str:
        """A link that opens a message; errors as :meth:`post`.

        https://api.slack.com/methods/chat.getPermalink
        """
        answer = self._call("chat_getPermalink", channel=self._channel_id(channel), message_ts=ts)
        return str(answer["permalink"])

    def find(self, channel: str, key: str, oldest: float, thread_ts: str | None = None) -> str | None:
        """The ``ts`` of a message with this key, posted at or after ``oldest`` (epoch seconds)."""
        listing = {"channel": self._channel_id(channel), "oldest": f"{oldest:.6f}", "inclusive": True}
        method = "conversations_history"
        if thread_ts:
            method, listing = "conversations_replies", {**listing, "ts": thread_ts}
        for message in self._messages(method, {**listing, "include_all_metadata": True}):
            if message.get("metadata", {}).get("event_payload", {}).get("key") == key:
                return str(message["ts"])
        return None

    def _messages(self, method: str, listing: dict[str, Any]) -> Iterator[dict[str, Any]]:
        try:
            yield from self._pages(method, "messages", listing)
        except ThreadGoneError:  # what was not an answer stands in the channel itself
            yield from self._pages("conversations_history", "messages", {k: v for k, v in listing.items() if k != "ts"})

    def _channel_id(self, channel: str) -> str:
        """Slack lists the messages of a channel by its id alone."""
        if channel[:1] in {"C", "G"} and channel.isupper():
            return channel
        if known := self._ids.get(channel.removeprefix("#")):
            return known
        listing = {"exclude_archived": True, "types": "public_channel,private_channel"}
        for entry in self._pages("conversations_list", "channels", listing):
            if entry["name"] == channel.removeprefix("#"):
                return str(entry["id"])
        raise AccessError(f"Slack channel {channel}: {FOR_A_PERSON['channel_not_found']}")

    def _pages(self, method: str, key: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        for _ in range(PAGES):
            answer = self._call(method, **arguments, limit=200, cursor=cursor)
            yield from answer[key]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return getattr(self.client, method)(**{k: v for k, v in arguments.items() if v is not None})
        except AirflowNotFoundException:
            raise AccessError(
                f"there is no Airflow connection {self.slack_conn_id!r} with a token: alerts cannot be sent. Create "
                "one of type Slack API with the bot's token as its password, or set "
                f"AIRFLOW_CONN_{self.slack_conn_id.upper()}"
            ) from None
        except SlackApiError as error:
            code = _code(error)
            if code in THREAD_GONE:
                raise ThreadGoneError(f"Slack: {code}") from None
            if code in FOR_A_PERSON:
                where = f" {arguments['channel']}" if "channel" in arguments else ""
                raise AccessError(f"Slack{where} refuses ({code}): {FOR_A_PERSON[code]}") from None
            raise


def _code(error: SlackApiError) -> str | None:
    """Slack's code of a refusal; None of an answer that is not Slack's JSON."""
    return error.response["error"] if isinstance(error.response.data, dict) else None
