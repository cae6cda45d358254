"""Which objects a query must read: those of the partitions that its WHERE leaves.

A condition counts when it is one of those that a SELECT joins by AND, and speaks of partition columns of one table
only. DuckDB evaluates it over the partitions, by the same rules as over the rows.
"""

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from local_aws.athena.catalog import Table
from local_aws.athena.failures import QueryFailure
from local_aws.athena.types import function_of

NOT_PLAIN = (exp.Query, exp.Window)


def conditions(tree: exp.Query, tables: dict[int, Table]) -> dict[int, list[exp.Expr]]:
    """For each table of the query (by the id of its node), the conditions on its partition columns.

    Raises QueryFailure when an injected column has no equality.
    """
    found: dict[int, list[exp.Expr]] = {}
    for scope in traverse_scope(tree):
        for name, source in scope.sources.items():
            if isinstance(source, exp.Table) and id(source) in tables:
                table = tables[id(source)]
                partitions = {column.name for column in table.partitions}
                mine = [item for item in _conjuncts(scope, source) if _speaks_of(item, name, partitions)]
                _check_injected(table, mine)
                found[id(source)] = mine
    return found


def _conjuncts(scope: Scope, source: exp.Table) -> list[exp.Expr]:
    where = scope.expression.args.get("where")
    joins = scope.expression.args.get("joins") or []
    sides = {join.side for join in joins}
    joined_left = any(join.side == "LEFT" and join.this is source for join in joins)
    # Rows that an outer join fills up with NULL are there whatever is read of this table.
    if where is None or sides & {"RIGHT", "FULL"} or joined_left:
        return []
    return list(where.this.unnest().flatten()) if isinstance(where.this.unnest(), exp.And) else [where.this]


def _speaks_of(item: exp.Expr, source: str, partitions: set[str]) -> bool:
    columns = list(item.find_all(exp.Column))
    plain = not item.find(*NOT_PLAIN) and not any(function_of(node).aggregate for node in item.find_all(exp.Anonymous))
    return plain and bool(columns) and all(one.table == source and one.name in partitions for one in columns)


def _check_injected(table: Table, mine: list[exp.Expr]) -> None:
    for column in table.projection.columns if table.projection else ():
        if column.injected and not any(_fixes(item.unnest(), column.name) for item in mine):
            raise QueryFailure(
                "CONSTRAINT_VIOLATION",
                f"For the injected projected partition column {column.name}, the WHERE clause must contain only "
                "static equality conditions, and at least one such condition must be present",
            )


def _fixes(item: exp.Expr, name: str) -> bool:
    if isinstance(item, exp.EQ):
        sides = (item.left, item.right)
        return any(isinstance(side, exp.Column) and side.name == name for side in sides) and any(
            isinstance(side, exp.Literal) for side in sides
        )
    return (
        isinstance(item, exp.In)
        and item.this.name == name
        and all(isinstance(value, exp.Literal) for value in item.expressions)
    )
