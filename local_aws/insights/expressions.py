"""Expressions to closures: each is compiled once and called for every row."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from local_aws.insights.functions import CONDITIONS, FUNCTIONS, PERIODIC, TIMES, ceiled, floored, period
from local_aws.insights.model import Refusal
from local_aws.insights.rows import LAMBDA_FIELDS, SYSTEM_FIELDS
from local_aws.insights.syntax import Node
from local_aws.insights.values import Value, calculator, comparer, number, text, truth

# Any: a row is a Row before `stats`, a Group after it, and a list of results inside it.
Getter = Callable[[Any], Value]
Condition = Callable[[Any], bool]

AGGREGATE_NAMES = frozenset(
    [
        "count",
        "count_distinct",
        "sum",
        "avg",
        "min",
        "max",
        "pct",
        "median",
        "stddev",
        "earliest",
        "latest",
        "sortsfirst",
        "sortslast",
    ]
)


class Scope:
    """The fields that an expression may name.

    An open scope is that of raw events: system fields, whatever their messages hold, and the query's own.
    A closed one, after `stats`, knows the columns of that command only, by name or as they were written.
    """

    def __init__(self, closed_by: str = "") -> None:
        self.closed_by = closed_by
        self._names: set[str] = set()
        self._written: dict[str, str] = {}

    def define(self, name: str, node: Node | None = None) -> None:
        self._names.add(name)
        if node is not None:
            self._written[_squashed(node.text)] = name

    def knows(self, name: str) -> bool:
        return name in self._names

    def column(self, node: Node) -> str | None:
        """The column that `stats` made of this very expression, such as count(*)."""
        return self._written.get(_squashed(node.text)) if self.closed_by else None


def _squashed(written: str) -> str:
    return re.sub(r"\s+", "", written).lower()


def compile_expression(node: Node, scope: Scope) -> Getter:
    """The value of an expression in a row. Raises Refusal."""
    if node.kind == "name":
        return _field(node, scope)
    column = scope.column(node)
    if column is not None:
        return _own(column)
    return _COMPILERS[node.kind](node, scope)


def compile_condition(node: Node, scope: Scope) -> Condition:
    """The same for what must hold or not; refuses texts and sums, which are no conditions."""
    getter = compile_expression(node, scope)
    if node.kind in ("compare", "match", "in", "negated", "and", "or", "not"):
        return getter  # type: ignore[return-value]  # these answer with a bool already
    if node.kind == "name" or (node.kind == "call" and node.value in CONDITIONS) or scope.column(node):
        return lambda row: truth(getter(row))
    raise Refusal(f"{node.text!r} is not a condition", node.start)


def _field(node: Node, scope: Scope) -> Getter:
    name = str(node.value)
    if scope.knows(name):
        return _own(name)
    if scope.closed_by:
        raise Refusal(f"field {name!r} is not available {scope.closed_by}", node.start)
    if name in SYSTEM_FIELDS:
        return SYSTEM_FIELDS[name]
    if name.startswith("@") and not name.startswith("@@") and name not in LAMBDA_FIELDS:
        # No message can give such a field (its own @ is doubled), so it would be missing everywhere.
        raise Refusal(f"field {name!r} is unknown to this stand-in", node.start)
    return _discovered(name)


def _own(name: str) -> Getter:
    return lambda row: row.values.get(name)


def _discovered(name: str) -> Getter:
    def get(row: Any) -> Value:
        found = row.found
        return (row.discover() if found is None else found).get(name)

    return get


def _constant(node: Node, scope: Scope) -> Getter:
    value = str(node.value) if node.kind == "text" else number(str(node.value))
    if value is None:
        raise Refusal("number too long", node.start)
    return lambda row: value


def _binary(node: Node, scope: Scope) -> Getter:
    left, right = (compile_expression(arg, scope) for arg in node.args)
    calculate = calculator(str(node.value))
    return lambda row: calculate(left(row), right(row))


def _negate(node: Node, scope: Scope) -> Getter:
    operand = compile_expression(node.args[0], scope)
    subtract = calculator("-")
    return lambda row: subtract(0, operand(row))


def _compare(node: Node, scope: Scope) -> Getter:
    _check_dates(node.args)
    left, right = (compile_expression(arg, scope) for arg in node.args)
    compare = comparer(str(node.value))
    return lambda row: compare(left(row), right(row))


def _check_dates(nodes: tuple[Node, ...]) -> None:
    """AWS does not compare times with written dates: such a filter would match nothing."""
    if any(_is_time(n) for n in nodes):
        for node in nodes:
            if node.kind == "text" and number(str(node.value)) is None:
                raise Refusal("a time is compared with milliseconds, not with text", node.start)


def _is_time(node: Node) -> bool:
    if node.kind == "name":
        return node.value in ("@timestamp", "@ingestionTime")
    return node.kind == "call" and node.value in TIMES


def _match(node: Node, scope: Scope) -> Getter:
    operand = compile_expression(node.args[0], scope)
    pattern = node.value
    if isinstance(pattern, re.Pattern):
        search = pattern.search
        return lambda row: (v := operand(row)) is not None and search(text(v)) is not None
    part = str(pattern)
    return lambda row: (v := operand(row)) is not None and part in text(v)


def _in(node: Node, scope: Scope) -> Getter:
    _check_dates(node.args)
    operand, *choices = (compile_expression(arg, scope) for arg in node.args)
    values = [choice(None) for choice in choices]  # literals: they look at no row
    equal = comparer("=")

    def contained(row: Any) -> bool:
        value = operand(row)
        return any(equal(value, choice) for choice in values)

    return contained


def _negated(node: Node, scope: Scope) -> Getter:
    """`not like` and `not in`: false for a missing field, as != is."""
    positive = compile_expression(node.args[0], scope)
    operand = compile_expression(node.args[0].args[0], scope)
    return lambda row: operand(row) is not None and not positive(row)


def _not(node: Node, scope: Scope) -> Getter:
    condition = compile_condition(node.args[0], scope)
    return lambda row: not condition(row)


def _and(node: Node, scope: Scope) -> Getter:
    conditions = [compile_condition(arg, scope) for arg in node.args]
    if len(conditions) == 2:
        first, second = conditions
        return lambda row: first(row) and second(row)
    return lambda row: all(condition(row) for condition in conditions)


def _or(node: Node, scope: Scope) -> Getter:
    conditions = [compile_condition(arg, scope) for arg in node.args]
    return lambda row: any(condition(row) for condition in conditions)


def _call(node: Node, scope: Scope) -> Getter:
    name = str(node.value)
    if name in AGGREGATE_NAMES:
        raise Refusal(f"aggregate {name!r} stands outside stats, or inside another", node.start)
    if name in PERIODIC:
        return _periodic(node, scope)
    function = FUNCTIONS.get(name)
    if function is None:
        raise Refusal(f"function {name!r} is unknown to this stand-in", node.start)
    check_arity(node, function.fewest, function.most)
    call = function.call
    args = [compile_expression(arg, scope) for arg in node.args]
    if len(args) == 1:
        only = args[0]
        return lambda row: call(only(row))
    return lambda row: call(*[arg(row) for arg in args])


def check_arity(node: Node, fewest: int, most: int) -> None:
    if not fewest <= len(node.args) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise Refusal(f"{node.value} takes {wanted} arguments, {len(node.args)} given", node.start)


def _periodic(node: Node, scope: Scope) -> Getter:
    """bin(period) of @timestamp, datefloor and dateceil(time, period)."""
    arity = 1 if node.value == "bin" else 2
    check_arity(node, arity, arity)
    written = node.args[-1]
    length = period(str(written.value)) if written.kind == "period" else None
    if length is None:
        raise Refusal(f"{written.text!r} is not a period of ms, s, m, h or d", written.start)
    moment = node.args[0] if arity == 2 else Node("name", "@timestamp", (), "@timestamp", node.start)
    getter = compile_expression(moment, scope)
    rounded = ceiled if node.value == "dateceil" else floored
    return lambda row: rounded(getter(row), length)


def _slot(node: Node, scope: Scope) -> Getter:
    index = int(str(node.value))
    return lambda row: row[index]


def _misplaced(node: Node, scope: Scope) -> Getter:
    raise Refusal(f"unexpected symbol found {node.text!r}", node.start)


_COMPILERS: dict[str, Callable[[Node, Scope], Getter]] = {
    "text": _constant,
    "number": _constant,
    "period": _misplaced,
    "star": _misplaced,
    "binary": _binary,
    "negate": _negate,
    "compare": _compare,
    "match": _match,
    "in": _in,
    "negated": _negated,
    "not": _not,
    "and": _and,
    "or": _or,
    "call": _call,
    "slot": _slot,
}
