"""The aggregates of `stats`, and the grouping.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Stats.html
AWS does not say how it interpolates percentiles or which deviation it takes. Ours: `pct` is the nearest
rank (a value of the data), `median` the mean of the middle two, `stddev` that of a population. Values that
are no numbers are skipped; with none left, sum and its kin are missing. No events give no row, not a 0.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from local_aws.insights.expressions import (
    AGGREGATE_NAMES,
    Getter,
    Scope,
    check_arity,
    compile_expression,
)
from local_aws.insights.model import Refusal
from local_aws.insights.rows import Group
from local_aws.insights.syntax import Item, Node
from local_aws.insights.values import Number, SortKey, Timestamp, Value, number, settled, sort_key, text


class Accumulator(Protocol):
    def add(self, row: Any) -> None: ...

    def result(self) -> Value: ...


class _CountRows:
    def __init__(self) -> None:
        self._count = 0

    def add(self, row: Any) -> None:
        self._count += 1

    def result(self) -> Value:
        return self._count


class _Count(_CountRows):
    def __init__(self, value: Getter) -> None:
        super().__init__()
        self._value = value

    def add(self, row: Any) -> None:
        if self._value(row) is not None:
            self._count += 1


class _CountDistinct:
    def __init__(self, value: Getter) -> None:
        self._value = value
        self._seen: set[str | int] = set()

    def add(self, row: Any) -> None:
        value = self._value(row)
        if value is not None:
            self._seen.add(identity(value))  # type: ignore[arg-type]

    def result(self) -> Value:
        return len(self._seen)


class _Numbers:
    """All the numbers of a group, and what is made of them."""

    def __init__(self, value: Getter, summary: Callable[[list[Number]], Number]) -> None:
        self._value = value
        self._summary = summary
        self._numbers: list[Number] = []

    def add(self, row: Any) -> None:
        value = number(self._value(row))
        if value is not None:
            self._numbers.append(value)

    def result(self) -> Value:
        numbers = self._numbers
        return settled(lambda: self._summary(numbers)) if numbers else None


class _Extreme:
    """The value whose key is the lowest (or the highest); the first of equals."""

    def __init__(self, value: Getter, key: Callable[[Any, Value], SortKey], lowest: bool) -> None:
        self._value = value
        self._key = key
        self._lowest = lowest
        self._best: Value = None
        self._best_key: SortKey = ()

    def add(self, row: Any) -> None:
        value = self._value(row)
        if value is None:
            return
        key = self._key(row, value)
        if self._best is None or (key < self._best_key if self._lowest else key > self._best_key):
            self._best, self._best_key = value, key

    def result(self) -> Value:
        return self._best


Maker = Callable[[], Accumulator]


def _mean(numbers: list[Number]) -> Number:
    return math.fsum(numbers) / len(numbers)


def _sum(numbers: list[Number]) -> Number:
    # Whole numbers stay exact; fsum keeps 0.1 ten times over at 1.
    return sum(numbers) if all(isinstance(n, int) for n in numbers) else math.fsum(numbers)


def _deviation(numbers: list[Number]) -> Number:
    mean = _mean(numbers)
    return math.sqrt(_mean([(n - mean) ** 2 for n in numbers]))


_SUMMARIES: dict[str, Callable[[list[Number]], Number]] = {
    "sum": _sum,
    "avg": _mean,
    "median": statistics.median,
    "stddev": _deviation,
}
_EXTREMES = {"min": True, "sortsfirst": True, "max": False, "sortslast": False}


def _maker(node: Node, scope: Scope) -> Maker:
    """What makes an accumulator for one aggregate."""
    name = str(node.value)
    if name == "count" and (not node.args or node.args[0].kind == "star"):
        return _CountRows
    check_arity(node, *((2, 2) if name == "pct" else (1, 1)))
    value = compile_expression(node.args[0], scope)
    if name == "pct":
        return _percentile_maker(node, value)
    if name in _SUMMARIES:
        return lambda: _Numbers(value, _SUMMARIES[name])
    if name in _EXTREMES:
        return lambda: _Extreme(value, lambda row, v: sort_key(v), _EXTREMES[name])
    if name in ("earliest", "latest"):
        return _timed_maker(node, value, scope)
    return (lambda: _Count(value)) if name == "count" else (lambda: _CountDistinct(value))


def _percentile_maker(node: Node, value: Getter) -> Maker:
    percent = number(str(node.args[1].value)) if node.args[1].kind == "number" else None
    if percent is None or not 0 <= percent <= 100:
        raise Refusal("pct takes a percentage from 0 to 100", node.args[1].start)

    def ranked(numbers: list[Number]) -> Number:
        rank = math.ceil(len(numbers) * percent / 100)
        return sorted(numbers)[max(rank, 1) - 1]

    return lambda: _Numbers(value, ranked)


def _timed_maker(node: Node, value: Getter, scope: Scope) -> Maker:
    if scope.closed_by:
        raise Refusal(f"{node.value} needs @timestamp, not available {scope.closed_by}", node.start)
    return lambda: _Extreme(value, lambda row, v: (row.event.timestamp,), node.value == "earliest")


def identity(value: Value) -> Value:
    """What makes two values one group: their text, so that 200 and "200" fall together."""
    if value is None or type(value) is str or type(value) is Timestamp:
        return value
    return text(value)


@dataclass(frozen=True)
class _Column:
    name: str
    result: Getter


class Grouping:
    """A compiled `stats` command. `scope` is that of the rows it takes, `after` that of the rows it makes."""

    def __init__(self, items: list[Item], by: list[Item], scope: Scope) -> None:
        self._makers: list[Maker] = []
        self.after = Scope(closed_by="after stats")
        self._keys = [_Column(item.name, compile_expression(item.node, scope)) for item in by]
        self._results = [_Column(item.name, self._compiled(item.node, scope)) for item in items]
        for item in (*by, *items):
            if self.after.knows(item.name):
                raise Refusal(f"two columns named {item.name!r}", item.node.start)
            self.after.define(item.name, item.node)
        self.names = [column.name for column in (*self._keys, *self._results)]

    def _compiled(self, node: Node, scope: Scope) -> Getter:
        """An expression over aggregates, each of them replaced by the slot of its result."""
        before = len(self._makers)
        replaced = self._with_slots(node, scope)
        if len(self._makers) == before:
            raise Refusal(f"{node.text!r} is not an aggregate", node.start)
        return compile_expression(replaced, Scope(closed_by="outside an aggregate"))

    def _with_slots(self, node: Node, scope: Scope) -> Node:
        if node.kind == "call" and node.value in AGGREGATE_NAMES:
            self._makers.append(_maker(node, scope))
            return replace(node, kind="slot", value=len(self._makers) - 1, args=())
        return replace(node, args=tuple(self._with_slots(arg, scope) for arg in node.args))

    def start(self) -> GroupedRows:
        return GroupedRows(self._keys, self._makers, self._results)


class GroupedRows:
    """One run of a grouping: rows are added, groups come out in the order of their first rows."""

    def __init__(self, keys: list[_Column], makers: list[Maker], results: list[_Column]) -> None:
        self._keys = keys
        self._makers = makers
        self._results = results
        self._groups: dict[tuple[Value, ...], tuple[list[Value], list[Accumulator]]] = {}

    def add(self, row: Any) -> None:
        values = [key.result(row) for key in self._keys]
        known = tuple(map(identity, values))
        group = self._groups.get(known)
        if group is None:
            group = self._groups[known] = (values, [make() for make in self._makers])
        for accumulator in group[1]:
            accumulator.add(row)

    def groups(self) -> list[Group]:
        return [self._group(values, accumulators) for values, accumulators in self._groups.values()]

    def _group(self, values: list[Value], accumulators: list[Accumulator]) -> Group:
        group = {key.name: value for key, value in zip(self._keys, values, strict=True)}
        results = [accumulator.result() for accumulator in accumulators]
        group.update((column.name, column.result(results)) for column in self._results)
        return Group(group)
