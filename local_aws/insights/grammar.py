"""The grammar of expressions, loosest first: or, and, not, comparisons, + -, * / %, -, ^."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from local_aws.insights.lexer import Token
from local_aws.insights.model import Refusal
from local_aws.insights.patterns import BadPattern, compile_regex
from local_aws.insights.syntax import Node

# Both keep Python's own recursion limit out of reach, here and in the compiled closures.
_MAX_NESTING = 20
_MAX_DEPTH = 100

_RESERVED = frozenset({"and", "or", "not", "like", "in", "as", "by", "asc", "desc"})
# AWS stores JSON's booleans as 1 and 0; a field called `true` would be missing and match nothing.
_CONSTANTS = frozenset({"true", "false", "null"})

_T = TypeVar("_T")


class ExpressionParser:
    def __init__(self, source: str, tokens: list[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._at = 0
        self._nesting = 0

    def peek(self) -> Token:
        return self._tokens[self._at]

    def take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def expect(self, kind: str, value: str | None = None) -> Token:
        token = self.peek()
        if token.kind != kind or (value is not None and token.value != value):
            raise self.unexpected()
        return self.take()

    def unexpected(self, token: Token | None = None) -> Refusal:
        token = token or self.peek()
        if token.kind == "end":
            return Refusal("unexpected end of query", token.start)
        return Refusal(f"unexpected symbol found {self._source[token.start : token.end]!r}", token.start)

    def _list(self, parse: Callable[[], _T]) -> list[_T]:
        items = [parse()]
        while self.peek().is_symbol(","):
            self.take()
            items.append(parse())
        return items

    def _node(self, kind: str, value: object, args: list[Node], start: int) -> Node:
        depth = 1 + max((arg.depth for arg in args), default=0)
        if depth > _MAX_DEPTH:
            raise Refusal("expression too long", start)
        end = self._tokens[self._at - 1].end
        return Node(kind, value, tuple(args), self._source[start:end], start, depth)

    def _nested(self, parse: Callable[[], Node]) -> Node:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise Refusal("expression nested too deeply", self.peek().start)
        node = parse()
        self._nesting -= 1
        return node

    def expression(self) -> Node:
        return self._nested(self._or)

    def field(self) -> Node:
        """A field's name, and nothing else."""
        token = self.peek()
        if token.kind not in ("name", "quoted") or token.is_word(*_RESERVED) or token.value.endswith("."):
            raise self.unexpected()
        if token.is_word(*_CONSTANTS):
            raise Refusal(f"{token.value} is no value here; compare with 1 or 0", token.start)
        self.take()
        return self._node("name", token.value, [], token.start)

    def regex(self, token: Token) -> re.Pattern[str]:
        try:
            return compile_regex(token.value)
        except BadPattern as problem:
            raise Refusal(str(problem), token.start) from problem

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: str, parse: Callable[[], Node]) -> Node:
        # One flat node for any number of terms: long lists of conditions must not nest.
        start = self.peek().start
        terms = [parse()]
        while self.peek().is_word(word):
            self.take()
            terms.append(parse())
        return terms[0] if len(terms) == 1 else self._node(word, None, terms, start)

    def _not(self) -> Node:
        token = self.peek()
        if not token.is_word("not"):
            return self._comparison()
        self.take()
        return self._node("not", None, [self._nested(self._not)], token.start)

    def _comparison(self) -> Node:
        start = self.peek().start
        left = self._sum()
        token = self.peek()
        if token.is_symbol("=", "!=", "<", "<=", ">", ">="):
            self.take()
            return self._node("compare", token.value, [left, self._sum()], start)
        if token.is_symbol("=~"):
            self.take()
            return self._node("match", self._match_pattern(), [left], start)
        if token.is_word("like", "in", "not"):
            return self._worded(left, start)
        return left

    def _worded(self, left: Node, start: int) -> Node:
        """`like` and `in`, or with `not`: `negated` turns the answer round only where the field is there."""
        negated = self.peek().is_word("not")
        if negated:
            self.take()
        token = self.take()
        if token.is_word("like"):
            node = self._node("match", self._match_pattern(), [left], start)
        elif token.is_word("in"):
            node = self._node("in", None, [left, *self._choices()], start)
        else:
            raise self.unexpected(token)
        return self._node("negated", None, [node], start) if negated else node

    def _match_pattern(self) -> str | re.Pattern[str]:
        token = self.take()
        if token.kind == "regex":
            return self.regex(token)
        if token.kind != "string":
            raise self.unexpected(token)
        if token.value.startswith("%") or token.value.endswith("%"):
            raise Refusal("like takes a substring or a /regex/ here, no % wildcards", token.start)
        return token.value

    def _choices(self) -> list[Node]:
        self.expect("symbol", "[")
        choices = self._list(self._literal)
        self.expect("symbol", "]")
        return choices

    def _literal(self) -> Node:
        token = self.peek()
        node = self._unary()
        inner = node.args[0] if node.kind == "negate" else node
        if inner.kind not in ("text", "number"):
            raise self.unexpected(token)
        return node

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/", "%"), self._unary)

    def _chain(self, symbols: tuple[str, ...], parse: Callable[[], Node]) -> Node:
        start = self.peek().start
        node = parse()
        while self.peek().is_symbol(*symbols):
            symbol = self.take().value
            node = self._node("binary", symbol, [node, parse()], start)
        return node

    def _unary(self) -> Node:
        token = self.peek()
        if not token.is_symbol("-"):
            return self._power()
        self.take()
        return self._node("negate", None, [self._nested(self._unary)], token.start)

    def _power(self) -> Node:
        start = self.peek().start
        node = self._primary()
        if not self.peek().is_symbol("^"):
            return node
        self.take()
        return self._node("binary", "^", [node, self._nested(self._unary)], start)

    def _primary(self) -> Node:
        token = self.peek()
        literal = {"string": "text", "number": "number", "period": "period"}.get(token.kind)
        if literal:
            self.take()
            return self._node(literal, token.value, [], token.start)
        if token.is_symbol("("):
            self.take()
            node = self.expression()
            self.expect("symbol", ")")
            return node
        if token.kind == "name" and self._tokens[self._at + 1].is_symbol("("):
            return self._call()
        return self.field()

    def _call(self) -> Node:
        token = self.take()
        if token.is_word(*_RESERVED):
            raise self.unexpected(token)
        self.expect("symbol", "(")
        args = [] if self.peek().is_symbol(")") else self._arguments()
        self.expect("symbol", ")")
        return self._node("call", token.value.lower(), args, token.start)

    def _arguments(self) -> list[Node]:
        token = self.peek()
        if token.is_symbol("*"):
            self.take()
            return [self._node("star", None, [], token.start)]
        return self._list(self.expression)
