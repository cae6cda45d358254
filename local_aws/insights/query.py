"""Commands to a plan, and the plan run over events.

A plan is a list of stages, cut at each `stats`: a stage takes every row through its steps (filters and new
fields) in one pass, and then puts the rows that are left in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from local_aws.insights.aggregates import Grouping, identity
from local_aws.insights.expressions import Condition, Getter, Scope, compile_condition, compile_expression
from local_aws.insights.model import Event, MalformedQuery, Refusal, Result
from local_aws.insights.parser import MAX_ROWS, parse
from local_aws.insights.rows import SYSTEM_FIELDS, Row
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
from local_aws.insights.values import sort_key, text

DEFAULT_ROWS = 10_000
MAX_CHARACTERS = 10_000  # of a query, by StartQuery's reference
_MOST_STATS = 2
_RECORD_OVERHEAD = 26  # bytes that CloudWatch Logs counts for an event beside its message

_Operation = Callable[[list[Any]], list[Any]]


@dataclass
class _Stage:
    """`steps` say whether a row stays; `order` are sort, dedup and limit."""

    steps: list[Condition] = field(default_factory=list)
    order: list[_Operation] = field(default_factory=list)
    done: set[type] = field(default_factory=set)
    grouping: Grouping | None = None


@dataclass(frozen=True)
class _Plan:
    stages: list[_Stage]
    columns: dict[str, Getter]
    limited: bool


def compile_query(source: str) -> Query:
    """Compile a query; raises MalformedQuery, whose message says what is refused, and where."""
    try:
        if len(source) > MAX_CHARACTERS:
            raise Refusal(f"a query has at most {MAX_CHARACTERS} characters", MAX_CHARACTERS)
        return Query(_Planner().plan(parse(source)))
    except Refusal as refusal:
        raise MalformedQuery(f"{refusal.message} at {_place(source, refusal.offset)}") from None


def _place(source: str, offset: int) -> str:
    before = source[:offset]
    return f"line {before.count(chr(10)) + 1} and position {offset - before.rfind(chr(10))}"


class _Planner:
    def __init__(self) -> None:
        self._scope = Scope()
        self._stages = [_Stage()]
        self._shown: dict[str, Getter] = {}
        self._displayed: dict[str, Getter] | None = None

    def plan(self, commands: list[Command]) -> _Plan:
        adders: dict[type, Callable[[Any], None]] = {
            Fields: self._add_fields,
            Display: self._add_display,
            Filter: self._add_filter,
            Parse: self._add_parse,
            Stats: self._add_stats,
            Sort: self._add_sort,
            Limit: self._add_limit,
            Dedup: self._add_dedup,
        }
        for command in commands:
            self._check_order(command)
            adders[type(command)](command)
            self._stages[-1].done.add(type(command))
        return self._finished()

    def _check_order(self, command: Command) -> None:
        done = self._stages[-1].done
        kind = type(command)
        if Dedup in done and kind is not Limit:
            raise Refusal("after dedup only limit may follow", command.start)
        if Limit in done and kind not in (Fields, Display, Parse):
            # AWS does not say what a filter or a sort after limit works on.
            raise Refusal("after limit only fields, display and parse may follow", command.start)
        if kind is Stats and len(self._stages) > _MOST_STATS:
            raise Refusal(f"a query has at most {_MOST_STATS} stats", command.start)
        if kind is Stats and len(self._stages) == _MOST_STATS and any(Sort in s.done for s in self._stages):
            raise Refusal("sort must stand after the second stats", command.start)

    def _finished(self) -> _Plan:
        last = self._stages[-1]
        grouped = len(self._stages) > 1
        columns = self._shown if self._displayed is None else self._displayed
        if not grouped:
            if not columns:
                columns = {name: SYSTEM_FIELDS[name] for name in ("@timestamp", "@message")}
            # GetQueryResults ends each record with its pointer, wherever the query names it.
            columns = {**{n: g for n, g in columns.items() if n != "@ptr"}, "@ptr": SYSTEM_FIELDS["@ptr"]}
            if Sort not in last.done:
                last.order.insert(0, _newest_first)
        return _Plan(self._stages, columns, Limit in last.done)

    def _add_fields(self, command: Fields) -> None:
        for item in command.items:
            getter = compile_expression(item.node, self._scope)
            if item.aliased:
                self._set(item.name, getter)
                getter = compile_expression(_name(item), self._scope)
            self._shown[item.name] = getter

    def _set(self, name: str, getter: Getter) -> None:
        def step(row: Any) -> bool:
            row.values[name] = getter(row)
            return True

        self._scope.define(name)
        self._stages[-1].steps.append(step)

    def _add_display(self, command: Display) -> None:
        self._displayed = {}
        for item in command.items:
            if item.node.kind != "name" and self._scope.column(item.node) is None:
                raise Refusal("display takes fields; make them with fields ... as", item.node.start)
            self._displayed[item.name] = compile_expression(item.node, self._scope)

    def _add_filter(self, command: Filter) -> None:
        self._stages[-1].steps.append(compile_condition(command.condition, self._scope))

    def _add_parse(self, command: Parse) -> None:
        source = compile_expression(command.source, self._scope)
        search, names = command.pattern.search, command.names

        def step(row: Any) -> bool:
            value = source(row)
            match = None if value is None else search(text(value))
            row.values.update(zip(names, match.groups() if match else [None] * len(names), strict=True))
            return True

        for name in names:
            self._scope.define(name)
        self._stages[-1].steps.append(step)

    def _add_stats(self, command: Stats) -> None:
        grouping = Grouping(command.items, command.by, self._scope)
        self._stages[-1].grouping = grouping
        self._stages.append(_Stage())
        self._scope = grouping.after
        self._shown = {
            name: compile_expression(Node("name", name, (), name, command.start), self._scope)
            for name in grouping.names
        }
        self._displayed = None

    def _add_sort(self, command: Sort) -> None:
        keys = [(compile_expression(node, self._scope), descending) for node, descending in command.keys]

        def order(rows: list[Any]) -> list[Any]:
            # Python's sort is stable, so the last key goes first.
            for getter, descending in reversed(keys):
                rows = _sorted(rows, getter, descending)
            return rows

        self._stages[-1].order.append(order)

    def _add_limit(self, command: Limit) -> None:
        self._stages[-1].order.append(lambda rows: rows[: command.rows])

    def _add_dedup(self, command: Dedup) -> None:
        getters = [compile_expression(node, self._scope) for node in command.nodes]

        def order(rows: list[Any]) -> list[Any]:
            return _without_duplicates(rows, getters)

        self._stages[-1].order.append(order)


def _name(item: Item) -> Node:
    return Node("name", item.name, (), item.name, item.node.start)


def _sorted(rows: list[Any], getter: Getter, descending: bool) -> list[Any]:
    return sorted(rows, key=lambda row: sort_key(getter(row)), reverse=descending)


def _newest_first(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row.event.timestamp, reverse=True)


def _without_duplicates(rows: list[Any], getters: list[Getter]) -> list[Any]:
    """The first row of each combination; a row where one of the fields is missing always stays."""
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for row in rows:
        key = tuple(identity(get(row)) for get in getters)
        if None in key:
            kept.append(row)
        elif key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


class Query:
    """A compiled query; may be run any number of times."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan

    def run(self, events: Iterable[Event], limit: int | None = None) -> Result:
        """Run over the events of the time range.

        `limit` is StartQuery's: it holds if the query has no limit command, 10,000 if None.
        Raises MalformedQuery if it is not from 1 to 100,000.
        """
        if limit is not None and not 1 <= limit <= MAX_ROWS:
            raise MalformedQuery(f"limit must be from 1 to {MAX_ROWS}, not {limit}")
        first, *later = self._plan.stages
        scan = _Scan(first)
        scan.read(events)
        rows = scan.rows()
        for stage in later:
            rows = _through(stage, rows)
        if not self._plan.limited:
            rows = rows[: limit or DEFAULT_ROWS]
        return Result([self._printed(row) for row in rows], scan.matched, scan.scanned, scan.bytes)

    def _printed(self, row: Any) -> list[tuple[str, str]]:
        values = ((name, getter(row)) for name, getter in self._plan.columns.items())
        return [(name, text(value)) for name, value in values if value is not None]


class _Scan:
    """The first stage over the raw events, with the statistics."""

    def __init__(self, stage: _Stage) -> None:
        self._stage = stage
        self._grouped = stage.grouping.start() if stage.grouping else None
        self._rows: list[Any] = []
        self.matched = self.scanned = self.bytes = 0

    def read(self, events: Iterable[Event]) -> None:
        steps = self._stage.steps
        take = self._grouped.add if self._grouped else self._rows.append
        place = size = matched = 0
        for place, event in enumerate(events, 1):
            message = event.message
            size += len(message) if message.isascii() else len(message.encode(errors="surrogatepass"))
            row = Row(event, place)
            for step in steps:
                if not step(row):
                    break
            else:
                matched += 1
                take(row)
        self.matched, self.scanned, self.bytes = matched, place, size + place * _RECORD_OVERHEAD

    def rows(self) -> list[Any]:
        return self._grouped.groups() if self._grouped else _ordered(self._stage, self._rows)


def _through(stage: _Stage, rows: list[Any]) -> list[Any]:
    """A stage after `stats`."""
    rows = [row for row in rows if all(step(row) for step in stage.steps)]
    if stage.grouping is None:
        return _ordered(stage, rows)
    grouped = stage.grouping.start()
    for row in rows:
        grouped.add(row)
    return grouped.groups()


def _ordered(stage: _Stage, rows: list[Any]) -> list[Any]:
    for operation in stage.order:
        rows = operation(rows)
    return rows
