"""What Slack accepts as blocks and attachments of a message, told as data: a check for every field.

The limits are those of https://docs.slack.dev/reference/block-kit. Blocks that the page cannot show (image, video,
markdown, ...) are refused like unknown ones, and so are fields that are not listed here.
"""

import re
from collections.abc import Callable
from typing import Any

from local_aws.errors import SlackError

Check = Callable[[Any, str], None]

MOST_BLOCKS = 50
MOST_ATTACHMENTS = 100
# Not in Slack's reference, but met in practice: https://github.com/slackapi/bolt-js/issues/2509
MOST_CHARACTERS = 13_000
HTTP_URL = re.compile(r"https?://[^\s\"<>]+", re.IGNORECASE)
COLOUR = re.compile(r"good|warning|danger|#?[0-9a-fA-F]{6}|#?[0-9a-fA-F]{3}")


def check_message(blocks: Any, attachments: Any) -> None:
    """:raises SlackError: as Slack refuses these blocks and attachments"""
    _BLOCKS(blocks, "/blocks")
    _check_attachments(attachments)
    everything = [*blocks, *(block for attachment in attachments for block in attachment.get("blocks", []))]
    if sum(block["type"] == "table" for block in everything) > 1:
        raise SlackError("invalid_attachments", "only_one_table_allowed")
    names = [block["block_id"] for block in everything if "block_id" in block]
    if len(names) > len(set(names)):
        raise _wrong("block_id is there twice", "/blocks")
    if _characters(everything) > MOST_CHARACTERS:
        raise SlackError("msg_blocks_too_long", f"more than {MOST_CHARACTERS} characters in all blocks together")


def _check_attachments(attachments: Any) -> None:
    if not isinstance(attachments, list):
        raise SlackError("invalid_attachments", "must be an array [json-pointer:/attachments]")
    if len(attachments) > MOST_ATTACHMENTS:
        raise SlackError("too_many_attachments")
    for number, attachment in enumerate(attachments):
        at = f"/attachments/{number}"
        try:
            _ATTACHMENT(attachment, at)
        except SlackError as error:
            raise SlackError("invalid_attachments", *error.details) from error
        _BLOCKS(attachment.get("blocks", []), f"{at}/blocks")


def _characters(value: Any) -> int:
    """The length of what a reader gets to see: every field named text."""
    if isinstance(value, list):
        return sum(map(_characters, value))
    if not isinstance(value, dict):
        return 0
    text = value.get("text")
    return (len(text) if isinstance(text, str) else 0) + sum(map(_characters, value.values()))


def _wrong(sentence: str, at: str) -> SlackError:
    return SlackError("invalid_blocks", f"{sentence} [json-pointer:{at}]")


def _string(most: int, least: int = 1) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, str):
            raise _wrong("must provide a string", at)
        if len(value) > most:
            raise _wrong(f"must be less than {most + 1} characters", at)
        if len(value) < least:
            raise _wrong(f"must be more than {least - 1} characters", at)

    return check


def _matching(pattern: re.Pattern[str]) -> Check:
    def check(value: Any, at: str) -> None:
        _string(3000)(value, at)
        if not pattern.fullmatch(value):
            raise _wrong(f"must match {pattern.pattern}", at)

    return check


def _instance(kind: Any) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(f"must be {getattr(kind, '__name__', kind)}", at)

    return check


def _many(item: Check, most: int, least: int = 1) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, list):
            raise _wrong("must be an array", at)
        if len(value) > most:
            raise _wrong(f"no more than {most} items allowed", at)
        if len(value) < least:
            raise _wrong(f"no less than {least} items allowed", at)
        for number, part in enumerate(value):
            item(part, f"{at}/{number}")

    return check


def _fields(needed: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    known = {**needed, **(optional or {})}

    def check(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise _wrong("must be an object", at)
        for name in needed:
            if name not in value:
                raise _wrong(f"missing required field: {name}", at)
        for name, part in value.items():
            if name not in known:
                raise _wrong(f"invalid additional property: {name}", at)
            known[name](part, f"{at}/{name}")

    return check


def _typed(kinds: dict[str, Check]) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise _wrong("must be an object", at)
        if "type" not in value:
            raise _wrong("missing required field: type", at)
        kind, rest = value["type"], {name: part for name, part in value.items() if name != "type"}
        if not isinstance(kind, str) or kind not in kinds:
            raise _wrong(f"unsupported type: {kind} (the stand-in does {', '.join(kinds)})", at)
        kinds[kind](rest, at)

    return check


def _plain(most: int) -> Check:
    return _typed({"plain_text": _fields({"text": _string(most)}, {"emoji": _FLAG})})


def _text(most: int) -> Check:
    mrkdwn = _fields({"text": _string(most)}, {"verbatim": _FLAG})
    return _typed({"plain_text": _fields({"text": _string(most)}, {"emoji": _FLAG}), "mrkdwn": mrkdwn})


def _section(value: Any, at: str) -> None:
    _SECTION(value, at)
    if "text" not in value and "fields" not in value:
        raise _wrong("missing required field: text", at)


_FLAG = _instance(bool)
_URL = _matching(HTTP_URL)
_BLOCK_ID = {"block_id": _string(255)}
_BUTTON = _typed(
    {
        "button": _fields(
            {"text": _plain(75)},
            {
                "url": _URL,
                "action_id": _string(255),
                "value": _string(2000),
                "style": _matching(re.compile("primary|danger")),
                "accessibility_label": _string(75),
            },
        )
    }
)
_SECTION = _fields(
    {},
    {"text": _text(3000), "fields": _many(_text(2000), 10), "accessory": _BUTTON, "expand": _FLAG, **_BLOCK_ID},
)

_STYLE = {"style": _fields({}, dict.fromkeys(("bold", "italic", "strike", "code"), _FLAG))}
_RICH_PART = _typed(
    {
        "text": _fields({"text": _string(3000)}, _STYLE),
        "link": _fields({"url": _URL}, {"text": _string(3000), **_STYLE}),
    }
)
_CELL = _typed(
    {
        "raw_text": _fields({"text": _string(3000)}),
        "raw_number": _fields({"value": _instance(int | float), "text": _string(3000)}),
        "rich_text": _fields(
            {"elements": _many(_typed({"rich_text_section": _fields({"elements": _many(_RICH_PART, 100)})}), 100)},
            _BLOCK_ID,
        ),
    }
)
_COLUMN = _fields({}, {"align": _matching(re.compile("left|center|right")), "is_wrapped": _FLAG})

_BLOCK = _typed(
    {
        "header": _fields({"text": _plain(150)}, _BLOCK_ID),
        "section": _section,
        "context": _fields({"elements": _many(_text(3000), 10)}, _BLOCK_ID),
        "divider": _fields({}, _BLOCK_ID),
        "actions": _fields({"elements": _many(_BUTTON, 25)}, _BLOCK_ID),
        "table": _fields(
            {"rows": _many(_many(_CELL, 20), 100)}, {"column_settings": _many(_COLUMN, 20, least=0), **_BLOCK_ID}
        ),
    }
)
_BLOCKS = _many(_BLOCK, MOST_BLOCKS, least=0)


_ATTACHMENT = _fields(
    {},
    {
        "color": _matching(COLOUR),
        "fallback": _string(3000, least=0),
        "pretext": _string(3000),
        "title": _string(3000),
        "title_link": _URL,
        "text": _string(3000),
        "blocks": _instance(list),  # checked apart, since their errors have another code
    },
)
