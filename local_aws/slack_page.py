"""The page at ``/slack/``: what was posted to the stand-in for Slack, for people to look at.

One answer of HTML and CSS, without a script and without anything from elsewhere. It loads itself anew.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import parse_qs

from local_aws.settings import SETTINGS
from local_aws.slack import PREFIX, Message, Slack, channel_id
from local_aws.slack_mrkdwn import link, mrkdwn, plain
from local_aws.slack_style import STYLE

Block = dict[str, Any]
Headers = list[tuple[str, str]]

REFRESH_SECONDS = 5
MOST_SHOWN = 200  # of a channel
NAMED_COLOURS = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}
PERMALINK = re.compile(r"archives/(C[A-Z2-7]{10})/p(\d{16})")
HEADERS: Headers = [
    ("Content-Type", "text/html; charset=utf-8"),
    # Should escaping ever fail, the browser still runs and fetches nothing.
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]


def answer(slack: Slack, environ: dict[str, Any]) -> tuple[int, bytes, Headers]:
    """HTTP status, body and headers for a path beneath ``/slack/`` that is not of the API."""
    path = environ["PATH_INFO"].removeprefix(PREFIX)
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return 405, b"This page is there to be read.", [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")]
    if permalink := PERMALINK.fullmatch(path):
        return 302, b"", [("Location", f"{PREFIX}?channel={permalink[1]}#p{permalink[2]}")]
    if path:
        return 404, f"There is {PREFIX} only.".encode(), [("Content-Type", "text/plain")]
    wanted = parse_qs(environ.get("QUERY_STRING", "")).get("channel", [""])[0]
    # A lone surrogate, which JSON can bring, has no bytes.
    return 200, page(slack.messages(), wanted).encode(errors="replace"), HEADERS


def page(messages: list[Message], wanted: str = "") -> str:
    """The page: all channels, or the one whose ID is wanted."""
    by_channel = {
        name: [message for message in messages if message.channel == name] for name in SETTINGS.slack_channels
    }
    chosen = [name for name in by_channel if channel_id(name) == wanted] or list(by_channel)
    entries = [("All channels", "", len(messages), len(chosen) != 1)]
    entries += [
        (f"# {name}", f"?channel={channel_id(name)}", len(posted), chosen == [name])
        for name, posted in by_channel.items()
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>Slack stand-in</title>
<style>{STYLE}</style>
</head>
<body>
<nav>
<h1>Slack stand-in</h1>
{_join(_entry(*entry) for entry in entries)}
<p>Nothing here left this machine. The page loads anew every {REFRESH_SECONDS} seconds.</p>
</nav>
<main>
{_join(_channel(name, by_channel[name]) for name in chosen)}
</main>
</body>
</html>
"""


def _join(parts: Iterable[str]) -> str:
    return "\n".join(parts)


def _entry(label: str, query: str, count: int, chosen: bool) -> str:
    current = ' aria-current="page"' if chosen else ""
    return f'<a href="{PREFIX}{query}"{current}><span>{escape(label)}</span> <small>{count}</small></a>'


def _channel(name: str, posted: list[Message]) -> str:
    first = [message for message in posted if not message.thread_ts]
    replies: dict[str, list[Message]] = {}
    for message in posted:
        replies.setdefault(message.thread_ts or "", []).append(message)
    note = f"newest first, {MOST_SHOWN} of {len(first)}" if len(first) > MOST_SHOWN else "newest first" if first else ""
    shown = [_message(message, replies.get(message.ts, [])) for message in reversed(first[-MOST_SHOWN:])]
    head = f"<h2># {escape(name)}<small>{note}</small></h2>"
    return f"<section>{head}{_join(shown) or '<p class=empty>Nothing was posted here.</p>'}</section>"


def _message(message: Message, replies: list[Message]) -> str:
    when = datetime.fromtimestamp(float(message.ts), UTC)
    anchor = f"p{message.ts.replace('.', '')}"
    notes = ["edited"] * bool(message.edited) + ["also sent to the channel"] * message.broadcast
    thread = f"<p class=count>{len(replies)} in thread</p>{_join(_message(reply, []) for reply in replies)}"
    return f"""<article id="{anchor}">
<header><b>log-audit</b> <span class=app>APP</span>
<a href="#{anchor}"><time datetime="{when.isoformat()}">{when:%Y-%m-%d %H:%M:%S} UTC</time></a>
<small>{" · ".join(notes)}</small></header>
{_body(message)}
{_details(message)}
{f"<div class=thread>{thread}</div>" if replies else ""}
</article>"""


def _body(message: Message) -> str:
    shown = _blocks(message.blocks) or _line(mrkdwn(message.text))
    return shown + _join(map(_attachment, message.attachments))


def _details(message: Message) -> str:
    """What Slack keeps from the reader's eye: the notification's text, and metadata."""
    rows = [("Notification", message.text)] if message.blocks else []
    if message.metadata:
        rows.append(("Metadata", json.dumps(message.metadata, ensure_ascii=False)))
    return "".join(f'<p class="detail"><b>{label}</b> {escape(text)}</p>' for label, text in rows)


def _attachment(attachment: Block) -> str:
    colour = attachment.get("color", "#8888")
    colour = NAMED_COLOURS.get(colour, f"#{colour.removeprefix('#')}")
    shown = [
        _line(mrkdwn(attachment["pretext"])) if "pretext" in attachment else "",
        _line(f"<b>{link(attachment.get('title_link', ''), plain(attachment['title']))}</b>")
        if "title" in attachment
        else "",
        _line(mrkdwn(attachment["text"])) if "text" in attachment else "",
        _blocks(attachment.get("blocks", [])),
    ]
    inside = "".join(shown) or _line(plain(attachment.get("fallback", "")))
    return f'<div class="attachment" style="border-color:{escape(colour)}">{inside}</div>'


def _blocks(blocks: list[Block]) -> str:
    return _join(BLOCKS[block["type"]](block) for block in blocks)


def _line(html: str) -> str:
    # No <p>, since a code block inside would end it.
    return f'<div class="line">{html}</div>'


def _text(text: Block) -> str:
    return plain(text["text"]) if text["type"] == "plain_text" else mrkdwn(text["text"])


def _header(block: Block) -> str:
    return f"<h3>{_text(block['text'])}</h3>"


def _section(block: Block) -> str:
    text = _line(_text(block["text"])) if "text" in block else ""
    fields = "".join(_line(_text(field)) for field in block.get("fields", []))
    button = _button(block["accessory"]) if "accessory" in block else ""
    return (
        f'<div class="section"><div>{text}{f"<div class=fields>{fields}</div>" if fields else ""}</div>{button}</div>'
    )


def _context(block: Block) -> str:
    return f'<div class="context">{"".join(_line(_text(element)) for element in block["elements"])}</div>'


def _divider(_: Block) -> str:
    return "<hr>"


def _actions(block: Block) -> str:
    return f'<p class="actions">{"".join(map(_button, block["elements"]))}</p>'


def _button(button: Block) -> str:
    style, label = f"button {button.get('style', '')}", _text(button["text"])
    if "url" in button:
        return link(button["url"], label, style)
    # It would call the app back, which has no one to answer.
    return f'<span class="{style} idle">{label}</span>'


def _table(block: Block) -> str:
    settings = block.get("column_settings", [])
    rows = [
        f"<tr>{''.join(_cell(cell, dict(enumerate(settings)).get(number, {})) for number, cell in enumerate(row))}</tr>"
        for row in block["rows"]
    ]
    return f'<div class="table"><table>{_join(rows)}</table></div>'


def _cell(cell: Block, column: Block) -> str:
    wrapped = "wrapped" if column.get("is_wrapped") else ""
    style = f'class="{column.get("align", "left")} {wrapped}"'
    if cell["type"] != "rich_text":
        return f"<td {style}>{escape(cell['text'])}</td>"
    parts = ["".join(map(_rich, section["elements"])) for section in cell["elements"]]
    return f"<td {style}>{'<br>'.join(parts)}</td>"


def _rich(part: Block) -> str:
    shown = escape(part["text"] if "text" in part else part["url"])
    for name, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")):
        if part.get("style", {}).get(name):
            shown = f"<{tag}>{shown}</{tag}>"
    return link(part.get("url", ""), shown)


BLOCKS: dict[str, Callable[[Block], str]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "divider": _divider,
    "actions": _actions,
    "table": _table,
}
