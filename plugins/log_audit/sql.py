"""``:name`` placeholders in SQL: found by a tokenizer that knows text, names and comments, and bound as parameters.

Athena's parameters are positional (``?``), and their values are SQL literals. So values never become a part of the
query's text, whatever is in them. Athena takes them in WHERE only (that of a subquery is one too), not in SELECT,
HAVING, ON or LIMIT.
https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from log_audit.errors import QueryFileError

LONGEST = 1024  # characters of a parameter
Value = str | int | float | bool | Sequence[str | int]

TOKEN = re.compile(
    r"""
      (?P<opaque> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ )
    | (?P<open> ['"] | /\* )
    | (?P<cast> :: )
    | : (?P<name> [A-Za-z_]\w* )
    | (?P<positional> \? )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Placeholder:
    """Where ``:name`` stands: characters from ``start`` to ``end``, in the given line, counted from 1."""

    name: str
    start: int
    end: int
    line: int


def placeholders(sql: str) -> list[Placeholder]:
    """The placeholders of a query, in their order.

    :raises QueryFileError: what is no SQL for Athena, beginning with the line: text or a comment without an end, a
        ``?`` of the author's own, ``::``
    """
    found = []
    for token in TOKEN.finditer(sql):
        line = sql.count("\n", 0, token.start()) + 1
        if token["open"]:
            raise QueryFileError(f"{line}: what begins with {token['open']} here has no end")
        if token["cast"]:
            raise QueryFileError(f"{line}: Athena knows no '::'; write CAST(… AS …)")
        if token["positional"]:
            raise QueryFileError(f"{line}: write :name instead of ?, and give the name a value in the header")
        if token["name"]:
            found.append(Placeholder(token["name"], token.start(), token.end(), line))
    return found


def bind(sql: str, values: Mapping[str, Value]) -> tuple[str, list[str]]:
    """The query with ``?`` for each placeholder, and the literals for them, in order.

    :param values: a list becomes one text joined by commas, for ``contains(split(:name, ','), column)``
    :raises QueryFileError: a placeholder without a value, or a value that Athena does not take
    """
    pieces, literals, done = [], [], 0
    for found in placeholders(sql):
        if found.name not in values:
            known = ", ".join(f":{name}" for name in sorted(values))
            raise QueryFileError(f"{found.line}: :{found.name} has no value; there are {known}")
        pieces += [sql[done : found.start], "?"]
        literals.append(literal(found.name, values[found.name]))
        done = found.end
    return "".join([*pieces, sql[done:]]), literals


def literal(name: str, value: Value) -> str:
    """A value as Athena reads it.

    :raises QueryFileError: a comma within an entry of a list, or more than 1,024 characters
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        entries = [str(entry) for entry in value]
        if bad := next((entry for entry in entries if "," in entry), None):
            raise QueryFileError(f":{name}: {bad!r} holds a comma, which separates the entries of a list")
        value = ",".join(entries)
    text = "'" + value.replace("'", "''") + "'"
    if len(text) > LONGEST:
        raise QueryFileError(f":{name}: {len(text)} characters, but a parameter takes {LONGEST}; shorten the list")
    return text
