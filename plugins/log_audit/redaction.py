"""Masking what must not leave a task: secrets and personal data in log text.

Masking happens in the worker, before anything is returned: Slack, XCom, asset events and Airflow's own log see
only masked text. It errs on the side of masking too much.

Every pattern reads the text as it came, and whatever any of them finds is masked: none can hide from another the
name that gives a secret away. Log text may be hostile, so no pattern reads the same stretch again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from log_audit.errors import SettingsError

MASK = "***"

NAMES = (
    r"(?:passw(?:or)?d|pass(?![a-z])|passphrase|pwd|secret|token|(?:api|access|private)[_-]?key"
    r"|authorization|credential|cookie|sess(?:ion)?[_-]?id|signature|パスワード|暗証番号)"
)
SENSITIVE_FIELD = re.compile(NAMES, re.IGNORECASE)
# What stands before a secret: name=, name: , "name": , <name>, user[name]=, \"name\": as JSON inside JSON has it,
# Bearer, and SQL's way of setting a password. The colon and equals sign of Japanese text too.
MARK = re.compile(
    rf"{NAMES}[\w.%\[\]-]{{0,40}}\\*+[\"']?(?:\s*[:=\uff1a\uff1d]+>?\s*|(?<!-)>(?=\S))"
    r"|(?:bearer|basic)\s+(?=[a-z0-9._~+/=-]{8})"
    r"|identified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?",
    re.IGNORECASE,
)
# A string ends at the quote that has as many backslashes as the one it began with, or where the text was cut off. A
# doubled quote is one within the string, as in SQL.
STRING = (
    r"(?P<escape>\\*+)(?P<quote>[\"'])"
    r"(?P<inside>(?:[^\\\"']++|(?P=escape)(?P=quote)(?P=escape)(?P=quote)|.)*?)"
    r"(?:(?<!\\)(?P=escape)(?P=quote)(?!(?P=escape)(?P=quote))|\Z)"
)
QUOTED = re.compile(rf"(?:[bru]{{1,2}}(?=[\"']))?{STRING}", re.DOTALL | re.IGNORECASE)
BRACKETED = re.compile(rf"[\[{{](?P<all>(?:{STRING}|\\++|[^\"'\\\]}}]++)*)", re.DOTALL)
WORD = re.compile(r"[^\s,;&\"']*")
# These headers hold blanks, commas and semicolons: up to the line's end, or the quote around the header.
HEADER = re.compile(
    r"(?:authorization|cookies?)\\*+[\"']?\s*[:=]\s*+(?!\\*[\"'\[{])"
    r"(?P<value>(?:=\\*+\"[^\"\r\n]*\"|[^\r\n\"'\\]|\\(?![rn])|'(?=[\w%]))+)",
    re.IGNORECASE,
)
ANYWHERE = (
    re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY.*?(?:END [A-Z ]{0,30}PRIVATE KEY|\Z)", re.DOTALL),
    re.compile(r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*"),  # JSON web tokens
    re.compile(r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"),  # AWS key and principal ids
    re.compile(r"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{8,}|hooks\.slack\.com/[a-z]+/[\w/+-]+"),
    re.compile(r"gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"),
    # user:password in a URL, and e-mail addresses, in URLs too. The latter begin only where no such character stands
    # before, or else a long word would be read from each of its letters.
    re.compile(
        r"(?:(?<=://)|(?<=:\\/\\/))[^\s/\"]+(?=@)"
        r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9-]*"
    ),
)

# A statement in MySQL's words. Whatever stands in quotes or begins with a digit is a literal, and what the log cut off
# within one is a literal to its end; names, in backticks too, and words stay. Aurora writes line breaks and tabs as \n,
# \r, \t and \f, and OpenCSVSerde drops the backslash: such a letter may stand before a number.
# https://dev.mysql.com/doc/refman/8.0/en/language-structure.html
STATEMENT = re.compile(
    r"""
      (?P<literal>
          [bnx]?'(?:[^'\\]++|\\.|'')*+(?:'|\\?\Z)
        | "(?:[^"\\]++|\\.|"")*+(?:"|\\?\Z)
        | `[^`]*+\Z
        | (?:\d|[nrtf]++(?:0x|\d{4}))[\w$.]*+(?:(?<=e)[+-]\d++)?
      )
    | (?P<comment> /\*.*?(?:\*/|\Z) )
    | (?P<line> \# | --(?=\s|\Z) )[^\n]*+
    | `[^`]*+`
    | [^\W\d][\w$]*+
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

Span = tuple[int, int]


def mask_statement(sql: str) -> str:
    """An SQL statement of MySQL without its values: ``?`` for each literal, comments without their text.

    Values are read as MySQL reads them by default: within quotes, a backslash escapes the next character, and two
    quotes are one.
    """
    return STATEMENT.sub(_piece, sql)


def _piece(found: re.Match[str]) -> str:
    if found["literal"]:
        return "?"
    return "/* */" if found["comment"] else found["line"] or found[0]


class Redactor:
    """Masks texts and rows.

    :param patterns: more regular expressions to mask, from the settings
    :raises SettingsError: a pattern is no regular expression
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = (*ANYWHERE, *(_compiled(pattern) for pattern in patterns))

    def text(self, text: str) -> str:
        """The text with every secret replaced by ``***``, and whole: half a surrogate pair is no text to any database.

        AWS's own services may cut a text within an emoji.
        """
        text = _whole(text)
        spans = [*_named(text), *(match.span("value") for match in HEADER.finditer(text))]
        for pattern in self._patterns:
            spans += (match.span() for match in pattern.finditer(text))
        return _masked(text, spans)

    def row(self, row: Mapping[str, str]) -> dict[str, str]:
        """A row of findings; a field that is named like a secret loses its value whole."""
        return {name: MASK if SENSITIVE_FIELD.search(name) else self.text(value) for name, value in row.items()}

    def value(self, value: Any) -> Any:
        """Any JSON value, masked through and through."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._member(str(name), item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def _member(self, name: str, item: Any) -> Any:
        harmless = item is None or isinstance(item, bool)
        return MASK if SENSITIVE_FIELD.search(name) and not harmless else self.value(item)


# What is masked whatever the settings say.
ALWAYS = Redactor()


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(f"redaction.patterns: {pattern!r} is no regular expression: {error}") from None


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _named(text: str) -> Iterator[Span]:
    """Where the values of named secrets stand; a name inside a value is looked at too."""
    word_end = bracket_end = 0
    for mark in MARK.finditer(text):
        start = mark.end()
        if quoted := QUOTED.match(text, start):
            yield quoted.span("inside")
            if quoted.end("inside") == len(text):
                return
        elif start >= bracket_end and (bracketed := BRACKETED.match(text, start)):
            bracket_end = bracketed.end()
            yield bracketed.span("all")
        elif start >= word_end and (word := WORD.match(text, start)):
            # Up to word_end a second name's value would end where the first one's does.
            word_end = word.end()
            yield word.span()


def _masked(text: str, spans: Iterable[Span]) -> str:
    """The text with each stretch of overlapping or adjoining spans replaced by one mask."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if start > done or not pieces:
            pieces += (text[done:start], MASK)
        done = max(done, end)
    return "".join((*pieces, text[done:]))
