"""Tokens to commands: the grammar of the commands. That of expressions is in grammar.py."""

from __future__ import annotations

from collections.abc import Callable

from local_aws.insights.grammar import ExpressionParser
from local_aws.insights.lexer import Token, tokens_of
from local_aws.insights.model import Refusal
from local_aws.insights.patterns import compile_glob
from local_aws.insights.rows import SYSTEM_FIELDS
from local_aws.insights.syntax import (
    Command,
    Dedup,
    Display,
    Fields,
    Filter,
    Item,
    Limit,
    Node,
    Parse,
    Sort,
    Stats,
)

MAX_ROWS = 100_000

# Commands of the language that are left out here: known, so that the refusal can say whose lack it is.
_NOT_DONE = frozenset(
    [
        "addtotals",
        "anomaly",
        "diff",
        "filterindex",
        "head",
        "join",
        "lookup",
        "pattern",
        "source",
        "tail",
        "unmask",
        "unnest",
    ]
)


def parse(source: str) -> list[Command]:
    """The commands of a query. Raises Refusal."""
    return _Parser(source, tokens_of(source)).query()


class _Parser(ExpressionParser):
    def query(self) -> list[Command]:
        commands = [self._command()]
        while self.peek().is_symbol("|"):
            self.take()
            commands.append(self._command())
        if self.peek().kind != "end":
            raise self.unexpected()
        return commands

    def _command(self) -> Command:
        parsers: dict[str, Callable[[int], Command]] = {
            "fields": self._fields,
            "display": self._display,
            "filter": self._filter,
            "parse": self._parse,
            "stats": self._stats,
            "sort": self._sort,
            "limit": self._limit,
            "dedup": self._dedup,
        }
        token = self.peek()
        word = token.value.lower()
        if token.kind == "name" and word in _NOT_DONE:
            raise Refusal(f"command {word!r} is not done by this stand-in", token.start)
        if token.kind != "name" or word not in parsers:
            raise self.unexpected()
        self.take()
        return parsers[word](token.start)

    def _fields(self, start: int) -> Fields:
        return Fields(self._items(), start)

    def _display(self, start: int) -> Display:
        # Expressions are let through here, for `display count(*)`; the planner wants columns.
        return Display([self._item_of(node) for node in self._list(self.expression)], start)

    def _filter(self, start: int) -> Filter:
        return Filter(self.expression(), start)

    def _stats(self, start: int) -> Stats:
        items = self._items()
        by: list[Item] = []
        if self.peek().is_word("by"):
            self.take()
            by = self._items()
        return Stats(items, by, start)

    def _sort(self, start: int) -> Sort:
        return Sort(self._list(self._sort_key), start)

    def _sort_key(self) -> tuple[Node, bool]:
        node = self.expression()
        descending = self.peek().is_word("desc")
        if descending or self.peek().is_word("asc"):
            self.take()
        return node, descending

    def _limit(self, start: int) -> Limit:
        token = self.expect("number")
        if not token.value.isdecimal() or not 1 <= int(token.value[:7]) <= MAX_ROWS:
            raise Refusal(f"limit must be a whole number from 1 to {MAX_ROWS}", token.start)
        return Limit(int(token.value), start)

    def _dedup(self, start: int) -> Dedup:
        return Dedup(self._list(self.field), start)

    def _parse(self, start: int) -> Parse:
        if self.peek().kind in ("name", "quoted"):
            source = self.field()
        else:
            source = Node("name", "@message", (), "@message", start)
        token = self.take()
        if token.kind == "regex":
            return self._parse_regex(source, token, start)
        if token.kind == "string":
            return self._parse_glob(source, token, start)
        raise self.unexpected(token)

    def _parse_regex(self, source: Node, token: Token, start: int) -> Parse:
        pattern = self.regex(token)
        if not pattern.groupindex or pattern.groups != len(pattern.groupindex):
            # What AWS makes of groups without names is not documented.
            raise Refusal("parse needs named groups, (?<name>...), and (?:...) for others", token.start)
        return Parse(source, pattern, list(pattern.groupindex), start)

    def _parse_glob(self, source: Node, token: Token, start: int) -> Parse:
        pattern = compile_glob(token.value)
        if not self.peek().is_word("as"):
            raise self.unexpected()
        self.take()
        names = self._list(self._new_name)
        if pattern.groups != len(names):
            raise Refusal(f"{pattern.groups} wildcards for {len(names)} fields", token.start)
        return Parse(source, pattern, names, start)

    def _items(self) -> list[Item]:
        return self._list(self._item)

    def _item(self) -> Item:
        node = self.expression()
        if not self.peek().is_word("as"):
            return self._item_of(node)
        self.take()
        return Item(node, self._new_name(), aliased=True)

    @staticmethod
    def _item_of(node: Node) -> Item:
        return Item(node, str(node.value) if node.kind == "name" else node.text, aliased=False)

    def _new_name(self) -> str:
        token = self.peek()
        name = str(self.field().value)
        if name in SYSTEM_FIELDS:
            raise Refusal(f"{name} cannot be redefined", token.start)
        return name
