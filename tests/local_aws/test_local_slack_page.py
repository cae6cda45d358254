"""The page of the stand-in for Slack: what it shows, and that no text does harm there."""

import re
import time
from html.parser import HTMLParser

import pytest
from slack_sdk import WebClient

from local_aws.control import Control
from tests.support.slack_client import AUDIT, METADATA, client, get, section, table, text


@pytest.fixture
def web(aws: Control) -> WebClient:
    return client(aws)


class Elements(HTMLParser):
    """What a browser would make of the page: its elements, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def links(self) -> list[str | None]:
        return [attributes.get("href") for tag, attributes in self.found if tag == "a"]


def test_the_page_is_alone_and_loads_itself_anew(aws: Control) -> None:
    status, page, headers = get(aws)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in Elements(page).found
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("Nothing was posted here.") == 3
    assert get(aws, "/slack/elsewhere")[0] == 404
    assert get(aws, method="POST")[0] == 405
    assert get(aws, method="HEAD")[:2] == (200, "")


def test_the_page_shows_blocks(aws: Control, web: WebClient) -> None:
    words = "*bold* _it_ ~gone~ `code *x*` 2*3*4 a_b_c :x: :none: <https://example.com/?a=1&amp;b=2|link>\n```{\n}```"
    blocks = [
        {"type": "header", "text": text("Head &amp; shoulders", "plain_text")},
        section(words),
        {"type": "section", "fields": [text("*Region*\nus-east-1")]},
        {"type": "divider"},
        {"type": "context", "elements": [text("small print")]},
        {
            "type": "actions",
            "elements": [
                {"type": "button", "text": text("Go", "plain_text"), "url": "https://example.com/go"},
                {"type": "button", "text": text("Ack", "plain_text"), "action_id": "ack"},
            ],
        },
        {**table(2, 2), "column_settings": [{"align": "right"}]},
    ]
    web.chat_postMessage(channel="general", text="fallback", blocks=blocks, metadata=METADATA)
    page = get(aws)[1]
    for piece in (
        "<h3>Head &amp; shoulders</h3>",
        "<b>bold</b> <i>it</i> <s>gone</s> <code>code *x*</code> 2*3*4 a_b_c ❌ :none: <a",
        'href="https://example.com/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">link</a>',
        "<pre>{\n}</pre>",
        "<b>Region</b>\nus-east-1",
        "<hr>",
        "small print",
        'href="https://example.com/go"',
        'idle">Ack</span>',
        '<td class="right ">x</td><td class="left ">x</td>',
        "fallback",
        "root_sign_in/2026-02-11",
    ):
        assert piece in page


def test_the_page_shows_threads_and_colours(aws: Control, web: WebClient) -> None:
    first = web.chat_postMessage(channel="general", text="first", attachments=[{"color": "danger", "text": "*red*"}])
    web.chat_postMessage(channel="general", text="reply", thread_ts=first["ts"])
    web.chat_postMessage(channel="log-audit", text="tinted", attachments=[{"color": "439fe0", "fallback": "blue"}])
    page = get(aws)[1]
    assert 'style="border-color:#e01e5a"><div class="line"><b>red</b>' in page
    assert 'style="border-color:#439fe0"' in page
    assert page.index("first") < page.index("1 in thread") < page.index('<div class="line">reply')
    one = get(aws, f"/slack/?channel={AUDIT}")[1]
    assert "tinted" in one
    assert '<div class="line">first' not in one


HOSTILE = (
    "<script>alert(1)</script>",
    "</div></style><img src=x onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "```</pre><script>alert(1)</script>```",
    "*<script>* `</code><script>` _\"'><script>_",
    "<javascript:alert(1)|click>",
    "<https://example.com/\"onmouseover=\"alert(1)|hover>",
    "<https://example.com/&quot;onmouseover=&quot;alert(1)|hover>",
    "<https://example.com|<script>alert(1)</script>>",
    "<!date^1^{date}^javascript:alert(1)|<b>>",
    "<!channel> <!here|<b>> <@U1|\"><script>>",
    "\" onmouseover=\"alert(1)",
    "\ud800 \x00 \u202e",
)  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_harmless(aws: Control, web: WebClient, hostile: str) -> None:
    plain = text(hostile, "plain_text")
    blocks = [
        {"type": "header", "text": plain},
        {**section(hostile), "fields": [text(hostile), plain]},
        {"type": "context", "elements": [text(hostile)]},
        {"type": "actions", "elements": [{"type": "button", "text": plain, "value": hostile}]},
        {"type": "table", "rows": [[text(hostile, "raw_text")]]},
    ]
    metadata = {"event_type": hostile, "event_payload": {hostile: hostile}}
    attachments = [{"title": hostile, "pretext": hostile, "text": hostile}, {"fallback": hostile}]
    web.chat_postMessage(channel="general", text=hostile, metadata=metadata, attachments=attachments)
    web.chat_postMessage(channel="general", text=hostile, blocks=blocks)
    elements = Elements(get(aws)[1])
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "img", "iframe", "object", "form"})
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    for url in elements.links():
        assert re.match(r"/slack/|#p\d|https://example\.com", url or ""), url


def test_a_call_to_everyone_is_shown_as_one(aws: Control, web: WebClient) -> None:
    web.chat_postMessage(channel="general", text="<!channel> and &lt;!here&gt;")
    assert "<mark>@channel</mark> and &lt;!here&gt;" in get(aws)[1]


def test_a_long_hostile_text_takes_no_time(aws: Control, web: WebClient) -> None:
    started = time.monotonic()
    for piece in ("*a ", "_a_", "```", "`", "<", "~ ", "*_~"):
        web.chat_postMessage(channel="general", text=(piece * 40_000)[:40_000])
    assert get(aws)[0] == 200
    assert time.monotonic() - started < 5


def test_the_page_shows_the_newest_of_many(aws: Control, web: WebClient) -> None:
    for number in range(202):
        web.chat_postMessage(channel="general", text=f"message {number}.")
    page = get(aws)[1]
    assert "200 of 202" in page
    assert page.index("message 201.") < page.index("message 2.")
    assert "message 1." not in page
