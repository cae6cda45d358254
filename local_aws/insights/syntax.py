"""The shape of a parsed query."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """An expression.

    `kind` says what `value` is: name (the field), text, number, period (as written), call (the function's
    lower-case name), binary and compare (the operator), match (a string or a pattern), slot (an index), and
    nothing for and, or, not, negate, in, star. `text` is the expression as written, `depth` its height.
    """

    kind: str
    value: object
    args: tuple[Node, ...]
    text: str
    start: int
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """An expression and the name of its column: its alias, the field, or the text as written."""

    node: Node
    name: str
    aliased: bool


@dataclass(frozen=True, slots=True)
class Fields:
    items: list[Item]
    start: int


@dataclass(frozen=True, slots=True)
class Display:
    items: list[Item]
    start: int


@dataclass(frozen=True, slots=True)
class Filter:
    condition: Node
    start: int


@dataclass(frozen=True, slots=True)
class Parse:
    """`names` are the fields made from the groups of `pattern`, in the order of the groups."""

    source: Node
    pattern: re.Pattern[str]
    names: list[str]
    start: int


@dataclass(frozen=True, slots=True)
class Stats:
    items: list[Item]
    by: list[Item]
    start: int


@dataclass(frozen=True, slots=True)
class Sort:
    """Keys with True for descending."""

    keys: list[tuple[Node, bool]]
    start: int


@dataclass(frozen=True, slots=True)
class Limit:
    rows: int
    start: int


@dataclass(frozen=True, slots=True)
class Dedup:
    nodes: list[Node]
    start: int


Command = Fields | Display | Filter | Parse | Stats | Sort | Limit | Dedup
