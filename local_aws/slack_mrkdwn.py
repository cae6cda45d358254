"""Slack's mrkdwn as HTML. Whatever the text is, nothing in it becomes markup of its own.

https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from html import escape

from local_aws.slack_blocks import HTTP_URL

# Between marks that touch no other word, as Slack wants them: *bold*, not 2*3*4.
SPAN = r"(?<![\w{0}]){0}(?P<{1}>[^\s{0}](?:[^{0}\n]*[^\s{0}])?){0}(?![\w{0}])"
TOKEN = re.compile(
    r"```(?P<pre>.+?)```\n?|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]+)>|"
    + "|".join(SPAN.format(mark, name) for mark, name in ((r"\*", "b"), ("_", "i"), ("~", "s"))),
    re.DOTALL,
)
EMOJI = {
    "rotating_light": "🚨",
    "red_circle": "🔴",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "large_green_circle": "🟢",
    "large_blue_circle": "🔵",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "x": "❌",
    "information_source": "\u2139\ufe0f",
    "bell": "🔔",
}
SHORTCODE = re.compile(r":([a-z0-9_+-]+):")


def mrkdwn(text: str) -> str:
    """The HTML of a text with marks and links."""
    done, end = [], 0
    for token in TOKEN.finditer(text):
        done += [plain(text[end : token.start()]), _token(token)]
        end = token.end()
    return "".join([*done, plain(text[end:])])


def plain(text: str) -> str:
    """The HTML of a text without marks; emoji shortcodes are shown as emoji where the page knows them."""
    return SHORTCODE.sub(lambda found: EMOJI.get(found[1], found[0]), _literal(text))


def link(url: str, label: str, style: str = "") -> str:
    """An HTML link, or only its label when the URL is not of the web. The label is HTML already."""
    if not HTTP_URL.fullmatch(url):
        return label
    return f'<a class="{style}" href="{escape(url)}" target="_blank" rel="noopener noreferrer">{label}</a>'


def _literal(text: str) -> str:
    return escape(_characters(text))


def _characters(text: str) -> str:
    """Without Slack's three escapes; & last, since it is in the others."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _token(token: re.Match[str]) -> str:
    kind, inside = token.lastgroup or "", token[token.lastgroup or 0]
    if kind == "pre":
        return "<pre>" + _literal(inside.strip("\n")) + "</pre>"
    if kind == "code":
        return f"<code>{_literal(inside)}</code>"
    if kind == "angle":
        return _angle(inside)
    return f"<{kind}>{mrkdwn(inside)}</{kind}>"


def _angle(inside: str) -> str:
    """What stands between < and >: a mention, a date or a link, else just what was written."""
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return plain(label)
    if target.startswith(("!", "@", "#")):
        # Shown as loudly as Slack would call: unescaped log text must not do this.
        return f"<mark>{_literal(label or '@' + target.strip('!@#'))}</mark>"
    url = _characters(target)
    if not HTTP_URL.fullmatch(url):
        return _literal(f"<{inside}>")
    return link(url, plain(label or target))
