"""What Athena's analyzer refuses and DuckDB would let pass."""

from collections.abc import Iterable

from sqlglot import exp

from local_aws.athena import types
from local_aws.athena.dialect import AthenaSelect
from local_aws.athena.failures import QueryFailure, Refused, place
from local_aws.athena.patterns import has_optional_group
from local_aws.athena.types import ADMITS, ARITHMETIC, COMPARISONS, MOMENTS, NUMBERS, SAFE_CASTS, kind

CONDITIONS = (exp.Where, exp.Having, exp.Not)
GROUPINGS = ((frozenset(NUMBERS), "number"), (frozenset(MOMENTS), "moment"))


def check(tree: exp.Query) -> None:
    """Raise QueryFailure for the first expression that Athena would not take."""
    for node in tree.walk():
        match node:
            case exp.Select():
                _check_select(node)
            case exp.SetOperation():
                _check_set(node)
            case exp.Anonymous():
                _check_function(node)
            case exp.Values():
                _check_values(node)
            case exp.Cast():
                _check_cast(node)
            case exp.In() | exp.Between() | exp.Case() | exp.If():
                _check_branches(node)
            case exp.Like() | exp.DPipe():
                _expect(node.left, "text")
                _expect(node.right, "text")
            case exp.And() | exp.Or():
                _expect(node.left, "boolean")
                _expect(node.right, "boolean")
            case _:
                _check_rest(node)


def _check_rest(node: exp.Expr) -> None:
    if isinstance(node, COMPARISONS):
        alike(node, [node.left, node.right])
    elif isinstance(node, ARITHMETIC):
        _check_arithmetic(node)
    elif isinstance(node, CONDITIONS):
        _expect(node.this, "boolean")
    elif isinstance(node, exp.Join):
        _check_join(node)
    elif isinstance(node, exp.AtTimeZone):
        _expect(node.this, "instant")
    elif isinstance(node, exp.Neg):
        _expect(node.this, *NUMBERS)
    elif isinstance(node, exp.Unnest):
        _check_unnest(node)


def alike(node: exp.Expr, sides: Iterable[exp.Expr]) -> None:
    """Raise TYPE_MISMATCH unless all sides can have one type."""
    families = set()
    for side in sides:
        found = kind(side)
        if found == "local":
            raise Refused(f"values of AT TIME ZONE outside date functions ({node.sql(AthenaSelect)[:80]})")
        families.add(next((name for members, name in GROUPINGS if found in members), found))
    if len(families - {"null"}) > 1:
        raise QueryFailure(
            "TYPE_MISMATCH", f"{place(node)}{node.sql(AthenaSelect)[:120]} mixes {' and '.join(sorted(families))}"
        )


def _expect(node: exp.Expr, *kinds: str) -> None:
    if kind(node) not in (*kinds, "null"):
        raise QueryFailure(
            "TYPE_MISMATCH",
            f"{place(node)}{node.sql(AthenaSelect)[:120]} must be {' or '.join(kinds)}, not {kind(node)}",
        )


def _check_select(node: exp.Select) -> None:
    for clause in ("where", "group", "having"):
        for column in node.args[clause].find_all(exp.Column) if node.args.get(clause) else ():
            # A name that no table has is that of an output column, which only ORDER BY may use.
            if not column.table:
                raise QueryFailure("COLUMN_NOT_FOUND", f"{place(column)}Column '{column.name}' cannot be resolved")
    for item in node.expressions:
        if kind(item) in ("local", "interval"):
            raise Refused(f"{item.sql(AthenaSelect)[:80]} in a result: say date_format(...) instead")


def _check_set(node: exp.SetOperation) -> None:
    if len(node.left.selects) != len(node.right.selects):
        raise QueryFailure("TYPE_MISMATCH", "the queries have different numbers of columns")
    for pair in zip(node.left.selects, node.right.selects, strict=True):
        alike(node, pair)


def _check_values(node: exp.Values) -> None:
    rows = [row.expressions for row in node.expressions]
    if len({len(row) for row in rows}) > 1:
        raise QueryFailure("TYPE_MISMATCH", "the rows of VALUES have different lengths")
    for column in zip(*rows, strict=True):
        alike(node, column)


def _check_function(node: exp.Anonymous) -> None:
    function = types.function_of(node)
    given = types.arguments(node)
    windowed = isinstance(node.parent, exp.Window)
    if windowed and not (function.window or function.aggregate):
        raise QueryFailure("FUNCTION_NOT_WINDOW", f"{place(node)}{function.name} is no window function")
    if function.window and not windowed:
        raise QueryFailure("MISSING_OVER", f"{place(node)}Window function {function.name} requires an OVER clause")
    _check_modifiers(node, function.aggregate)
    if given and isinstance(given[0], exp.Star):
        return
    for index, argument in enumerate(given):
        word = function.kind(index)
        _expect(argument, *ADMITS.get(word, {word}))
    if function.gives == "common" or function.name in ("nullif", "date_diff"):
        alike(node, given[1:] if function.name == "date_diff" else given)
    _check_arguments(function.name, given)


def _check_modifiers(node: exp.Anonymous, aggregate: bool) -> None:
    for argument in node.expressions:
        if isinstance(argument, exp.Order | exp.Distinct) and (not aggregate or len(node.expressions) > 1):
            raise Refused(f"DISTINCT or ORDER BY in {str(node.this).lower()} of so many arguments")
        if isinstance(argument, exp.Distinct) and len(argument.expressions) > 1:
            raise Refused("DISTINCT over several columns")
    if str(node.this).lower() == "approx_distinct" and isinstance(node.expressions[0], exp.Distinct):
        raise Refused("approx_distinct(DISTINCT ...)")


def _check_arguments(name: str, given: list[exp.Expr]) -> None:
    if name in ("date_add", "date_trunc") and kind(given[-1]) == "date" and given[0].name.lower() in types.CLOCK_UNITS:
        raise QueryFailure("INVALID_FUNCTION_ARGUMENT", f"'{given[0].name}' is not a valid DATE field")
    if name == "regexp_extract" and len(given) == 3 and has_optional_group(given[1].name):
        raise Refused(f"regexp_extract of a group that may match nothing ({given[1].name})")


def _check_cast(node: exp.Cast) -> None:
    source, to = kind(node.this), kind(node)
    if source == "null" or (source, to) in SAFE_CASTS:
        parameters = node.to.expressions
        if to == "text" and parameters:
            raise Refused("CAST to varchar(n)")
        if to == "timestamp" and parameters and not isinstance(node.this, exp.Literal):
            raise Refused("CAST to timestamp(n)")
        if to == "decimal" and len(parameters) != 2:
            raise Refused("CAST to decimal without its precision and scale")
        if (source, to) != ("json", "array") or _inner(node.to) == "text":
            return
    raise Refused(f"CAST from {source} to {node.to.sql(AthenaSelect)}")


def _inner(given: exp.DataType) -> str:
    return types.KINDS.get(given.expressions[0].this, "") if given.expressions else ""


def _check_arithmetic(node: exp.Binary) -> None:
    kinds = {kind(node.left), kind(node.right)}
    if "interval" in kinds:
        if not isinstance(node, exp.Add | exp.Sub) or not kinds & MOMENTS or kind(node.right) != "interval":
            raise Refused(f"interval arithmetic as in {node.sql(AthenaSelect)[:80]}")
        return
    for side in (node.left, node.right):
        _expect(side, *NUMBERS)
    if "decimal" in kinds and "double" not in kinds and isinstance(node, exp.Div | exp.Mod):
        raise Refused(f"division of decimals, cast to double ({node.sql(AthenaSelect)[:80]})")


def _check_branches(node: exp.Expr) -> None:
    match node:
        case exp.In():
            query = node.args.get("query")
            others = query.this.selects if query else node.expressions
            alike(node, [node.this, *others])
        case exp.Between():
            alike(node, [node.this, node.args["low"], node.args["high"]])
        case exp.Case():
            alike(node, types.branches(node))
            if node.this is not None:
                alike(node, [node.this, *(branch.this for branch in node.args["ifs"])])
        case exp.If():
            if not (isinstance(node.parent, exp.Case) and node.parent.this is not None):
                _expect(node.this, "boolean")
            alike(node, [node.args["true"], *filter(None, [node.args.get("false")])])


def _check_join(node: exp.Join) -> None:
    condition = node.args.get("on")
    if condition is not None:
        _expect(condition, "boolean")
    unnest = isinstance(node.this, exp.Unnest)
    plain = node.kind == "CROSS" or (not node.kind and not node.side and condition is None)
    if not unnest and condition is None and not plain and not node.args.get("using"):
        raise QueryFailure("SYNTAX_ERROR", "A JOIN needs its ON")
    if unnest and not plain:
        raise Refused("UNNEST in a join other than CROSS JOIN")


def _check_unnest(node: exp.Unnest) -> None:
    if len(node.expressions) != 1 or kind(node.expressions[0]) != "array":
        raise Refused("UNNEST of anything but one array")
    alias = node.args.get("alias")
    if _inner(node.expressions[0].type) in ("", "row") or alias is None or len(alias.columns) != 1:
        raise Refused("UNNEST of arrays of rows, or without a name for its column: AS t(x)")
