"""The checked query in DuckDB's words. Functions become the macros of functions.py; types are known by now."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local_aws.athena import types
from local_aws.athena.failures import Refused
from local_aws.athena.functions import CASTS
from local_aws.athena.patterns import LITERALS
from local_aws.athena.types import kind

EXTRACTS = frozenset(
    {
        *("year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy"),
        *("hour", "minute", "second"),
    }
)
MILLIS = "'%Y-%m-%d %H:%M:%S.%g'"


def prepare(tree: exp.Query) -> None:
    """Before types are told: EXTRACT is the function of its field."""
    for node in list(tree.find_all(exp.Extract)):
        field = node.name.lower()
        if field not in EXTRACTS:
            raise Refused(f"EXTRACT({field} ...)")
        node.replace(exp.Anonymous(this=field, expressions=[node.expression]))


def rewrite(tree: exp.Expr) -> None:
    """Rewrite all expressions in place."""
    for node in list(tree.walk()):
        for kinds, change in CHANGES.items():
            if isinstance(node, kinds):
                change(node)
                break


def shown(shapes: list[str]) -> str:
    """The columns of the result, times as the texts that Athena shows; `shapes` are their kinds."""
    return ", ".join(_as_text(f"_c{number}", shape) for number, shape in enumerate(shapes))


def _as_text(column: str, shape: str) -> str:
    if shape == "timestamp":
        return f"strftime({column}, {MILLIS})"
    return f"strftime({column}, {MILLIS}) || ' UTC'" if shape == "instant" else column


def _call(name: str, *given: exp.Expr, like: exp.Expr) -> exp.Expr:
    made = exp.Anonymous(this=name, expressions=list(given))
    made.type = like.type
    return made


def _as_date(node: exp.Expr) -> None:
    """DuckDB makes a timestamp of a date that is cut or moved."""
    if kind(node) == "date":
        made = exp.Cast(this=node.copy(), to=exp.DataType.build("date"))
        made.type = node.type
        node.replace(made)


def _function(node: exp.Anonymous) -> None:
    function = types.function_of(node)
    for index, argument in enumerate(types.arguments(node)):
        convert = LITERALS.get(function.kind(index)) if not isinstance(argument, exp.Star) else None
        if convert is None:
            continue
        if not isinstance(argument, exp.Literal) or not argument.is_string:
            raise Refused(f"{function.name} with a {function.kind(index)} that is no literal")
        argument.set("this", convert(str(argument.this)))
    given = list(node.expressions)
    if function.name == "concat":
        node.replace(_joined(given, node))
    elif function.name in ("greatest", "least"):
        node.replace(_or_null(function.name, given, node))
    elif function.name == "approx_distinct":
        node.set("expressions", [exp.Distinct(expressions=given)])
    node.set("this", function.target)
    if function.name in ("date_trunc", "date_add"):
        _as_date(node)


def _joined(given: list[exp.Expr], like: exp.Expr) -> exp.Expr:
    """DuckDB's concat passes over NULL, which makes Athena's NULL."""
    made = given[0]
    for part in given[1:]:
        made = exp.DPipe(this=made, expression=part)
    return _typed(exp.Paren(this=made), like)


def _or_null(name: str, given: list[exp.Expr], like: exp.Expr) -> exp.Expr:
    """NULL when any is NULL, where DuckDB takes the others."""
    null = [exp.Is(this=part.copy(), expression=exp.Null()) for part in given]
    best = exp.Anonymous(this=name, expressions=given)
    return _typed(exp.Case(ifs=[exp.If(this=exp.or_(*null), true=exp.Null())], default=best), like)


def _typed(made: exp.Expr, like: exp.Expr) -> exp.Expr:
    made.type = like.type
    return made


def _interval(node: exp.Add | exp.Sub) -> None:
    if kind(node.right) == "interval":
        _as_date(node)


def _division(node: exp.Div) -> None:
    if kind(node.left) == kind(node.right) == "integer":
        node.replace(_typed(exp.Paren(this=exp.IntDiv(this=node.left, expression=node.right)), node))


def _cast(node: exp.Cast) -> None:
    source, to, tries = kind(node.this), kind(node), isinstance(node, exp.TryCast)
    value = node.this
    if (source, to) in CASTS:
        value = _call(f"trino_{'try_' if tries else ''}cast_{to}", value, like=node)
    elif source in ("double", "decimal") and to == "integer":
        value = _call("round", value, like=node)
    elif (source, to) == ("json", "array"):
        value = _call("from_json", value, exp.Literal.string('["VARCHAR"]'), like=node)
    elif source == "json":
        value = _call("trino_cast_json_text", value, like=node)
    if to == "timestamp":
        node.set("to", exp.DataType.build("timestamp"))
    node.set("this", value)


def _subscript(node: exp.Bracket) -> None:
    index = node.expressions[0]
    if len(node.expressions) != 1 or not isinstance(index, exp.Literal) or index.is_string:
        raise Refused("a[n] of anything but an array and a number: say element_at(a, n)")
    # sqlglot counts from 0; DuckDB gives NULL past the end where Athena fails.
    node.replace(_call("trino_subscript", node.this, exp.Literal.number(int(index.this) + 1), like=node))


def _zoned(node: exp.AtTimeZone) -> None:
    node.replace(_call("timezone", node.args["zone"], node.this, like=node))


def _now(node: exp.CurrentTimestamp) -> None:
    node.replace(_call("trino_now_0", like=node))


CHANGES: dict[Any, Callable[[Any], None]] = {
    exp.Anonymous: _function,
    exp.Div: _division,
    (exp.Add, exp.Sub): _interval,
    exp.Cast: _cast,
    exp.Bracket: _subscript,
    exp.AtTimeZone: _zoned,
    exp.CurrentTimestamp: _now,
}
