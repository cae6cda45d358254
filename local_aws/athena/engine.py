"""Run a SELECT: find its tables, check it by Trino's rules, read the objects that matter, and ask DuckDB."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.errors import OptimizeError, SchemaError, SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from local_aws.athena import checks, objects, pruning, rewrite, types
from local_aws.athena.catalog import Catalog, Table
from local_aws.athena.dialect import AthenaSelect, check_allowed
from local_aws.athena.failures import QueryFailure, Refused
from local_aws.athena.functions import macros
from local_aws.athena.storage import Storage

CATALOGS = ("", "awsdatacatalog")
# An output without a name of its own carries a mark no query can refer to, until it is shown as _col<n>.
UNNAMED = "?unnamed"
# Trino's names for what DuckDB says; the rest is GENERIC_USER_ERROR.
ERRORS = {
    "Division by zero": "DIVISION_BY_ZERO",
    "GROUP BY": "EXPRESSION_NOT_AGGREGATE",
    "Conversion Error": "INVALID_CAST_ARGUMENT",
    "Out of Range": "NUMERIC_VALUE_OUT_OF_RANGE",
}


@dataclass(frozen=True)
class OutputColumn:
    """A column of the result, its type by Trino's name."""

    name: str
    type: str


@dataclass
class Result:
    """What a query gave: rows as DuckDB's Python values, times already as text."""

    columns: list[OutputColumn] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


class ScanLimit(Exception):
    """The objects to read are larger than the workgroup lets a query read."""


@dataclass
class Select:
    """One SELECT on its way. `lock` guards the catalog and S3; `scanned` is known once it has been pruned."""

    tree: exp.Query
    database: str
    catalog: Catalog
    storage: Storage
    lock: AbstractContextManager[Any]
    cutoff: int | None = None
    scanned: int = 0
    connection: duckdb.DuckDBPyConnection | None = None
    on_connect: Callable[[duckdb.DuckDBPyConnection], None] = lambda connection: None

    def run(self) -> Result:
        """The rows; raises QueryFailure or ScanLimit."""
        try:
            with tempfile.TemporaryDirectory(prefix="athena-") as folder, _database().cursor() as connection:
                self.on_connect(connection)
                return self._run(connection, Path(folder))
        except duckdb.Error as error:
            raise _failure(error) from None
        except SqlglotError as error:
            raise QueryFailure("SYNTAX_ERROR", str(error).splitlines()[0]) from None

    def _run(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> Result:
        names = _named(self.tree)
        check_allowed(self.tree)
        rewrite.prepare(self.tree)
        with self.lock:
            tables = self._tables()
        columns = self._analyze(tables, names)
        self._read(connection, folder, tables)
        shapes = [types.kind(item) for item in self.tree.selects]
        rewrite.rewrite(self.tree)
        made = ", ".join(f"_c{number}" for number in range(len(columns)))
        connection.execute(f"CREATE TEMP TABLE _result({made}) AS {self.tree.sql('duckdb')}")
        return Result(columns, connection.execute(f"SELECT {rewrite.shown(shapes)} FROM _result").fetchall())  # noqa: S608 - ours

    def _tables(self) -> dict[int, Table]:
        common = {cte.alias.lower() for cte in self.tree.find_all(exp.CTE)}
        found = {}
        for node in self.tree.find_all(exp.Table):
            if node.db or node.name.lower() not in common:
                if node.catalog.lower() not in CATALOGS:
                    raise Refused(f"the catalog {node.catalog}")
                found[id(node)] = self.catalog.table(node.db.lower() or self.database, node.name.lower())
                node.set("catalog", None)
        return found

    def _analyze(self, tables: dict[int, Table], names: list[str | None]) -> list[OutputColumn]:
        schema = MappingSchema(dialect=AthenaSelect)
        for table in tables.values():
            typed = {
                column.name: exp.DataType.build(column.type, dialect="hive")
                for column in (*table.columns, *table.partitions)
            }
            schema.add_table(f'"{table.database}"."{table.name}"', typed, match_depth=False)
        groups = _hide_having(self.tree)
        try:
            qualified = qualify(
                self.tree, dialect=AthenaSelect, schema=schema, db=self.database, expand_alias_refs=False
            )
        except (OptimizeError, SchemaError) as error:
            raise QueryFailure("COLUMN_NOT_FOUND", str(error).splitlines()[0]) from None
        assert qualified is self.tree
        _show_having(groups)
        types.annotate(self.tree, schema)
        checks.check(self.tree)
        return _outputs(self.tree, names)

    def _read(self, connection: duckdb.DuckDBPyConnection, folder: Path, tables: dict[int, Table]) -> None:
        kept = pruning.conditions(self.tree, tables)
        used = {column.name for column in self.tree.find_all(exp.Column)}
        wanted = []
        for number, node in enumerate(list(self.tree.find_all(exp.Table))):
            if id(node) in tables:
                table = tables[id(node)]
                wanted.append((f"_v{number}", table, self._pruned(connection, f"_v{number}", node, table, kept)))
                node.set("this", exp.to_identifier(f"_v{number}"))
                node.set("db", None)
        if self.cutoff is not None and self.scanned > self.cutoff:
            raise ScanLimit
        for name, table, numbered in wanted:
            (folder / name).mkdir()
            contents = ((number, self._contents(partition)) for number, partition in numbered)
            files = objects.write_files(folder / name, table, contents, used)
            objects.create_view(connection, name, table, files, used)

    def _pruned(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        node: exp.Table,
        table: Table,
        kept: dict[int, list[exp.Expr]],
    ) -> list[tuple[int, objects.Partition]]:
        with self.lock:
            found = objects.partitions(table, self.storage.objects(table.bucket, table.prefix))
        objects.create_partitions(connection, f"{name}_parts", table, found)
        query = exp.select("_number").from_(exp.to_table(f"{name}_parts").as_(node.alias_or_name, quoted=True))
        for condition in kept.get(id(node), []):
            own = exp.Paren(this=condition.copy())
            rewrite.rewrite(own)
            query = query.where(own)
        numbers = sorted(number for (number,) in connection.execute(query.sql("duckdb")).fetchall())
        self.scanned += sum(found[number].size for number in numbers)
        return [(number, found[number]) for number in numbers]

    def _contents(self, partition: objects.Partition) -> list[bytes]:
        contents = []
        for one in partition.objects:
            with self.lock:
                stored = one.read()
            contents.append(objects.content(one.key, stored))
        return contents


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for the process: it holds the macros, and each query's views and tables are its connection's own."""
    options: dict[str, Any] = {
        "threads": 2,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=options)
    connection.execute(f"SET GLOBAL TimeZone = 'UTC';\n{macros()}")
    return connection


def _failure(error: duckdb.Error) -> QueryFailure:
    message = str(error).splitlines()[0]
    name = next((name for part, name in ERRORS.items() if part in message), "GENERIC_USER_ERROR")
    return QueryFailure(name, message)


def _named(tree: exp.Query) -> list[str | None]:
    """The output names as written (None: a star, whose columns are known later); unnamed outputs get their mark."""
    names: list[str | None] = []
    for number, select in enumerate(list(tree.find_all(exp.Select))):
        for index, item in enumerate(select.expressions):
            if not isinstance(item, exp.Alias | exp.Column | exp.Dot) and not item.is_star:
                mark = exp.to_identifier(f"{UNNAMED}{number}_{index}", quoted=True)
                select.expressions[index].replace(exp.Alias(this=item.copy(), alias=mark))
    for item in tree.selects:
        names.append(None if item.is_star else item.alias_or_name)
    return names


def _hide_having(tree: exp.Query) -> list[tuple[exp.Select, exp.Paren]]:
    """Put every HAVING into its WHERE for a while: sqlglot leaves alone the names in HAVING, which may be aliases."""
    hidden = []
    for select in list(tree.find_all(exp.Select)):
        having = select.args.get("having")
        if having is not None:
            condition = exp.Paren(this=having.this)
            where = select.args.get("where")
            select.set("having", None)
            both = exp.And(this=where.this, expression=condition) if where is not None else condition
            select.set("where", exp.Where(this=both))
            hidden.append((select, condition))
    return hidden


def _show_having(hidden: list[tuple[exp.Select, exp.Paren]]) -> None:
    for select, condition in hidden:
        both = select.args["where"].this
        select.set("where", exp.Where(this=both.this) if isinstance(both, exp.And) else None)
        select.set("having", exp.Having(this=condition.this))


def _outputs(tree: exp.Query, names: list[str | None]) -> list[OutputColumn]:
    given = list(names) if None not in names else [item.alias_or_name for item in tree.selects]
    columns = []
    for index, (item, name) in enumerate(zip(tree.selects, given, strict=True)):
        shown = f"_col{index}" if not name or name.startswith(UNNAMED) else name
        columns.append(OutputColumn(shown, trino_type(item.type)))
    return columns


def trino_type(kind: exp.DataType | None) -> str:
    """The name of a type in a result's metadata."""
    names = {
        **{"text": "varchar", "instant": "timestamp with time zone", "null": "unknown"},
        **{"decimal": "decimal", "row": "row", "array": "array"},
    }
    found = types.KINDS[kind.this] if kind is not None else "null"
    if found == "integer" and kind is not None:
        return "bigint" if kind.this == exp.DType.BIGINT else "integer"
    return names.get(found, found)
