"""The types of expressions, by Trino's rules, and the refusal of what they forbid.

DuckDB compares a text with a number by casting; Athena fails such a query, and so does the stand-in. What has no
type here (a construct or function nobody has described) is refused too.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.schema import MappingSchema

from local_aws.athena.dialect import AthenaSelect
from local_aws.athena.failures import QueryFailure, Refused, place
from local_aws.athena.functions import CASTS, FUNCTIONS, Function

T = exp.DType
KINDS = {
    **dict.fromkeys((T.VARCHAR, T.TEXT, T.CHAR), "text"),
    **dict.fromkeys((T.INT, T.BIGINT, T.SMALLINT, T.TINYINT), "integer"),
    **{T.DOUBLE: "double", T.FLOAT: "double", T.DECIMAL: "decimal", T.BOOLEAN: "boolean", T.DATE: "date"},
    **{T.TIMESTAMP: "timestamp", T.TIMESTAMPNTZ: "timestamp", T.TIMESTAMPTZ: "instant"},
    # Our mark for a time that AT TIME ZONE has moved: DuckDB keeps its clock and forgets its zone, so it may be
    # read (hour, date_format, CAST AS DATE) but not shown nor compared.
    T.TIMESTAMPLTZ: "local",
    **{T.INTERVAL: "interval", T.JSON: "json", T.ARRAY: "array", T.STRUCT: "row", T.NULL: "null"},
}
NUMBERS = frozenset({"integer", "double", "decimal"})
MOMENTS = frozenset({"date", "timestamp", "instant"})
ORDERED = NUMBERS | MOMENTS | {"text", "boolean"}
# What the words in functions.py admit.
ADMITS = {
    **{"number": NUMBERS, "inexact": frozenset({"integer", "double"}), "moment": MOMENTS, "civil": MOMENTS | {"local"}},
    **{"json": frozenset({"json", "text"}), "ordered": ORDERED, "any": ORDERED | {"array", "row", "json"}},
    **dict.fromkeys(("unit", "pattern", "path", "mysql", "joda", "replacement"), frozenset({"text"})),
}
SAFE_CASTS = frozenset(
    [(kind, kind) for kind in ORDERED]
    + [(kind, "text") for kind in ("integer", "boolean", "date", "decimal", "json")]
    + [(one, other) for one in NUMBERS for other in NUMBERS]
    + [("date", "timestamp"), ("date", "instant"), ("timestamp", "instant")]
    + [(kind, to) for kind in ("timestamp", "instant", "local") for to in ("date", "timestamp") if kind != to]
    + [("json", "array"), *CASTS]
)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
CLOCK_UNITS = frozenset({"millisecond", "second", "minute", "hour"})


def annotate(tree: exp.Query, schema: MappingSchema) -> None:
    """Give every expression its type."""
    annotate_types(tree, schema=schema, expression_metadata=METADATA, dialect=AthenaSelect)


def kind(node: exp.Expr | None) -> str:
    """The kind of an expression's type; raises Refused when nobody knows."""
    given = node.type if node is not None else None
    if given is not None and given.this in KINDS:
        return KINDS[given.this]
    raise Refused(f"expressions whose type it cannot tell ({node.sql(AthenaSelect)[:80] if node else ''})")


def function_of(node: exp.Anonymous) -> Function:
    """What is called; raises QueryFailure for an unknown function or a wrong number of arguments."""
    name = str(node.this).lower()
    if name not in FUNCTIONS:
        raise QueryFailure(
            "FUNCTION_NOT_FOUND", f"{place(node)}Function '{name}' not registered (or one the stand-in does not do)"
        )
    if name == "count" and isinstance(node.expressions[0] if node.expressions else None, exp.Star):
        return FUNCTIONS[name][0]
    found = next((function for function in FUNCTIONS[name] if function.takes(len(node.expressions))), None)
    if found is None:
        raise QueryFailure(
            "FUNCTION_NOT_FOUND", f"{place(node)}Unexpected parameters for function {name}: {len(node.expressions)}"
        )
    return found


def arguments(node: exp.Anonymous) -> list[exp.Expr]:
    """The arguments, without DISTINCT and ORDER BY."""
    found = []
    for argument in node.expressions:
        if isinstance(argument, exp.Order):
            argument = argument.this
        if isinstance(argument, exp.Distinct):
            argument = argument.expressions[0]
        found.append(argument)
    return found


def _function_type(node: exp.Anonymous) -> exp.DataType:
    gives, given = function_of(node).gives, arguments(node)
    if gives.startswith("="):
        return _type(given[int(gives[1:]) - 1])
    if gives == "common":
        return _common(given)
    if gives == "sum":
        return exp.DataType.build("bigint") if kind(given[0]) == "integer" else _type(given[0])
    if gives == "array":
        return exp.DataType(this=T.ARRAY, expressions=[_type(given[0]).copy()], nested=True)
    if gives == "element":
        return _element(given[0])
    return exp.DataType.build(gives)


def _type(node: exp.Expr) -> exp.DataType:
    return node.type or exp.DataType.build("unknown")


def _element(node: exp.Expr) -> exp.DataType:
    inner = _type(node).expressions
    return inner[0] if inner and isinstance(inner[0], exp.DataType) else exp.DataType.build("unknown")


def _common(nodes: Iterable[exp.Expr]) -> exp.DataType:
    """The type that all can have; checked_alike refuses what has none."""
    known = [_type(node) for node in nodes if _type(node).this != T.NULL]
    by_rank = {T.DOUBLE: 4, T.DECIMAL: 3, T.BIGINT: 2, T.TIMESTAMPTZ: 3, T.TIMESTAMP: 2}
    return max(known, key=lambda one: by_rank.get(one.this, 0)) if known else exp.DataType.build("null")


def _arithmetic_type(node: exp.Binary) -> exp.DataType:
    kinds = {_type(side).this for side in (node.left, node.right)}
    if T.INTERVAL in kinds:
        return _type(node.right if _type(node.left).this == T.INTERVAL else node.left)
    return _common((node.left, node.right))


def _literal_type(node: exp.Literal) -> exp.DataType:
    if node.is_string:
        return exp.DataType.build("varchar")
    if "e" in str(node.this).lower():
        return exp.DataType.build("double")
    if "." in str(node.this):
        return exp.DataType.build("decimal")
    return exp.DataType.build("int" if int(node.this) < 2**31 else "bigint")


def _first_type(node: Any) -> exp.DataType:
    selects = node.this.selects
    return _type(selects[0]) if selects else exp.DataType.build("unknown")


def _by(give: Callable[[Any], exp.DataType]) -> dict[str, Any]:
    return {"annotator": lambda annotator, node: annotator._set_type(node, give(node))}


METADATA: dict[Any, Any] = {
    **AthenaSelect.EXPRESSION_METADATA,
    **dict.fromkeys(ARITHMETIC, _by(_arithmetic_type)),
    **dict.fromkeys((exp.Window, exp.Filter, exp.Paren, exp.Neg, exp.Alias), _by(lambda node: _type(node.this))),
    exp.Anonymous: _by(_function_type),
    exp.Literal: _by(_literal_type),
    exp.Null: _by(lambda node: exp.DataType.build("null")),
    exp.Subquery: _by(_first_type),
    exp.AtTimeZone: _by(lambda node: exp.DataType.build("timestampltz")),
    exp.Extract: _by(lambda node: exp.DataType.build("bigint")),
    exp.Bracket: _by(lambda node: _element(node.this)),
    exp.If: _by(lambda node: _common([node.args["true"], *filter(None, [node.args.get("false")])])),
    exp.Case: _by(lambda node: _common(branches(node))),
    exp.CurrentTimestamp: _by(lambda node: exp.DataType.build("timestamptz")),
    exp.DPipe: _by(lambda node: _type(node.left)),
}


def branches(node: exp.Case) -> list[exp.Expr]:
    """What a CASE may give."""
    otherwise = node.args.get("default")
    return [branch.args["true"] for branch in node.args["ifs"]] + ([otherwise] if otherwise is not None else [])
