"""Query text to tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_aws.insights.model import Refusal

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>(?:[A-Za-z_@][A-Za-z0-9_@.]*|`[^`\n]+`)(?:(?<=\.)`[^`\n]+`|(?<=`)\.[A-Za-z0-9_@.]*)*)
      | (?P<period>[0-9]+[A-Za-z]+)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<symbol>!=|<=|>=|=~|[|,()\[\]=<>+\-*/^%])""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/((?:[^/\\\n]|\\[^\n])*)/")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\", "/": "/"}
_UNTERMINATED = {'"': "string", "'": "string", "`": "field name", "/": "regular expression"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is name, quoted (a name with backticks), string, regex, number, period, symbol or end."""

    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "name" and self.value.lower() in words

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind == "symbol" and self.value in symbols


def tokens_of(source: str) -> list[Token]:
    """All tokens of a query, the last of kind end. Raises Refusal."""
    tokens: list[Token] = []
    offset = 0
    while offset < len(source):
        if source[offset] == "/" and _regex_may_follow(tokens):
            offset = _add_regex(source, offset, tokens)
            continue
        match = _TOKEN.match(source, offset)
        if match is None:
            raise _unexpected(source, offset)
        if match.lastgroup != "space":
            tokens.append(_token(match))
        offset = match.end()
    tokens.append(Token("end", "", offset, offset))
    return tokens


def _token(match: re.Match[str]) -> Token:
    kind, value = str(match.lastgroup), match[0]
    if kind == "string":
        value = _unescaped(value[1:-1], match.start() + 1)
    elif kind == "name" and "`" in value:
        kind, value = "quoted", value.replace("`", "")
    return Token(kind, value, match.start(), match.end())


def _regex_may_follow(tokens: list[Token]) -> bool:
    """A slash begins a regular expression after like, =~, `parse` and `parse <field>`; else it divides."""
    if not tokens:
        return False
    last = tokens[-1]
    if last.is_symbol("=~") or last.is_word("like"):
        return True
    return _is_parse(tokens, -1) or (last.kind in ("name", "quoted") and _is_parse(tokens, -2))


def _is_parse(tokens: list[Token], index: int) -> bool:
    if len(tokens) < -index or not tokens[index].is_word("parse"):
        return False
    return len(tokens) == -index or tokens[index - 1].is_symbol("|")


def _add_regex(source: str, offset: int, tokens: list[Token]) -> int:
    match = _REGEX.match(source, offset)
    if match is None:
        raise Refusal("unterminated regular expression", offset)
    tokens.append(Token("regex", match[1], offset, match.end()))
    return match.end()


def _unescaped(value: str, offset: int) -> str:
    def replacement(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPED:
            raise Refusal(f"unknown escape {match[0]!r} in a string", offset + match.start())
        return _ESCAPED[match[1]]

    return _ESCAPE.sub(replacement, value)


def _unexpected(source: str, offset: int) -> Refusal:
    found = source[offset]
    if found in _UNTERMINATED:
        return Refusal(f"unterminated {_UNTERMINATED[found]}", offset)
    return Refusal(f"unexpected symbol found {found!r}", offset)
