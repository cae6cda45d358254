"""Statements about databases and tables: those that the project needs; every other is refused.

https://docs.aws.amazon.com/athena/latest/ug/create-table.html
"""

import re
from collections.abc import Callable

from sqlglot import exp, parse
from sqlglot.errors import ParseError, TokenError

from local_aws.athena.catalog import Catalog, Column, CsvSerde, JsonSerde, Table
from local_aws.athena.failures import QueryFailure, Refused, SyntaxFailure
from local_aws.athena.projection import PROJECTED, read

Rows = list[tuple[str]]
# One statement, ready to run: its rows, or none.
Statement = Callable[[Catalog, str], Rows]

OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
JSON = "org.apache.hive.hcatalog.data.JsonSerDe"
CLOUDTRAIL = "com.amazon.emr.cloudtrail.CloudTrailInputFormat"
TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
TEXT_OUTPUTS = (
    "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat",
)
# Properties that tell readers nothing about how to read.
OWN = "log_audit."  # properties of the user's own: Athena keeps them, and heeds none
HARMLESS = frozenset({"classification", "comment", "has_encrypted_data", "EXTERNAL"})
TYPES = frozenset({"TEXT", "INT", "BIGINT", "DOUBLE", "BOOLEAN", "STRUCT", "ARRAY"})
STATEMENTS = frozenset(
    {
        *("ALTER", "ANALYZE", "CALL", "CREATE", "DEALLOCATE", "DELETE", "DESC", "DESCRIBE", "DROP", "EXECUTE"),
        *("EXPLAIN", "INSERT", "MERGE", "MSCK", "OPTIMIZE", "PREPARE", "SHOW", "TRUNCATE", "UNLOAD", "UPDATE"),
        *("USING", "VACUUM"),
    }
)
SHOW = re.compile(r"SHOW\s+(?:(DATABASES|SCHEMAS)|TABLES(?:\s+(?:IN|FROM)\s+`?(\w+)`?)?)", re.IGNORECASE)


def parse_ddl(text: str) -> Statement:
    """The statement; raises SyntaxFailure, or Refused for what the stand-in does not do."""
    show = SHOW.fullmatch(text.strip().removesuffix(";").strip())
    if show:
        return _show(show)
    word = text.split(None, 1)[0].upper()
    if word not in STATEMENTS:
        raise SyntaxFailure(f"line 1:1: mismatched input '{word}'")
    if word not in ("CREATE", "DROP"):
        raise Refused(f"{' '.join(text.split()[:2]).upper()} statements")
    try:
        statements = parse(text, read="hive")
    except (ParseError, TokenError) as error:
        raise SyntaxFailure(str(error).splitlines()[0]) from None
    if len(statements) != 1:
        raise SyntaxFailure("Only one sql statement is allowed.")
    node = statements[0]
    if isinstance(node, exp.Drop):
        return _drop(node)
    if isinstance(node, exp.Create) and not node.args.get("replace"):
        if node.kind in ("DATABASE", "SCHEMA"):
            return _create_database(node)
        if node.kind == "TABLE" and isinstance(node.this, exp.Schema) and node.expression is None:
            return _create_table(node)
    raise Refused(f"the statement {' '.join(text.split()[:4])} ...")


def _show(found: re.Match[str]) -> Statement:
    def run(catalog: Catalog, database: str) -> Rows:
        names = catalog.databases if found[1] else catalog.tables((found[2] or database).lower())
        return [(name,) for name in sorted(names)]

    return run


def _drop(node: exp.Drop) -> Statement:
    tables = node.args.get("tables") or []
    if node.kind not in ("TABLE", "DATABASE", "SCHEMA") or len(tables) != 1:
        raise Refused(f"DROP {node.kind}")
    database, name, if_there = tables[0].db.lower(), tables[0].name.lower(), bool(node.args.get("exists"))

    def run(catalog: Catalog, current: str) -> Rows:
        if node.kind == "TABLE":
            catalog.drop_table(database or current, name, if_there)
        else:
            catalog.drop_database(name or database, if_there, bool(node.args.get("cascade")))
        return []

    return run


def _create_database(node: exp.Create) -> Statement:
    for item in _properties(node):
        if not isinstance(item, exp.SchemaCommentProperty):
            raise Refused(f"CREATE DATABASE with {item.sql('hive')}")
    name = (node.this.name or node.this.db).lower()

    def run(catalog: Catalog, _: str) -> Rows:
        catalog.create_database(name, bool(node.args.get("exists")))
        return []

    return run


def _create_table(node: exp.Create) -> Statement:
    parts = _Parts(_properties(node))
    if not parts.external:
        raise QueryFailure("FAILED", "SemanticException: a table that is not EXTERNAL needs CREATE TABLE AS or Iceberg")
    columns = _columns(node.this.expressions)
    serde = parts.serde()
    if isinstance(serde, CsvSerde) and any(column.type != "string" for column in columns):
        raise Refused("columns of other types than string with OpenCSVSerde")
    partitions = _columns(parts.partitions)
    bucket, prefix = parts.place()
    projection = None
    if partitions and parts.settings.get(PROJECTED, "").lower() != "true":
        raise Refused("partitions without partition projection")
    if partitions:
        projection = read(parts.settings, [column.name for column in partitions], bucket, prefix)
    named = node.this.this
    name, exists = named.name.lower(), bool(node.args.get("exists"))

    def run(catalog: Catalog, current: str) -> Rows:
        database = named.db.lower() or current
        made = Table(
            *(database, name, tuple(columns), tuple(partitions), serde, bucket, prefix, projection),
            settings=tuple(parts.settings.items()),
        )
        catalog.create_table(made, exists)
        return []

    return run


def _properties(node: exp.Create) -> list[exp.Expr]:
    found = node.args.get("properties")
    return list(found.expressions) if found else []


def _columns(definitions: list[exp.Expr]) -> list[Column]:
    columns = []
    for definition in definitions:
        if not isinstance(definition, exp.ColumnDef) or definition.kind is None:
            raise SyntaxFailure(f"A column needs a name and a type: {definition.sql('hive')}")
        for kind in definition.kind.find_all(exp.DataType):
            if kind.this.name not in TYPES:
                raise Refused(f"columns of type {kind.sql('hive')}")
        columns.append(Column(definition.name.lower(), definition.kind.sql("hive").lower()))
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise QueryFailure("FAILED", "SemanticException: Duplicate column name")
    return columns


class _Parts:
    """The clauses of CREATE EXTERNAL TABLE, each refused unless the stand-in heeds it."""

    def __init__(self, clauses: list[exp.Expr]) -> None:
        self.external = False
        self.partitions: list[exp.Expr] = []
        self.settings: dict[str, str] = {}
        self._serde, self._serde_settings = "", dict[str, str]()
        self._input = TEXT_INPUT
        self._location = ""
        for clause in clauses:
            self._take(clause)
        read_elsewhere = ("projection.", "storage.location.template", OWN)
        unknown = [key for key in self.settings if key not in HARMLESS and not key.startswith(read_elsewhere)]
        if unknown:
            raise Refused(f"the table property {unknown[0]}")

    def _take(self, clause: exp.Expr) -> None:
        match clause:
            case exp.ExternalProperty():
                self.external = True
            case exp.PartitionedByProperty():
                self.partitions = clause.this.expressions
            case exp.RowFormatSerdeProperty():
                self._serde = clause.this.name
                given = clause.args.get("serde_properties")
                self._serde_settings = _pairs(given.expressions if given else [])
            case exp.FileFormatProperty():
                self._input = _input_format(clause)
            case exp.LocationProperty():
                self._location = clause.this.name
            case exp.SchemaCommentProperty():
                pass
            case exp.Property() if type(clause) is exp.Property:
                self.settings |= _pairs([clause])
            case _:
                raise Refused(f"CREATE TABLE with {clause.sql('hive')}")

    def serde(self) -> CsvSerde | JsonSerde:
        """How the table's objects are read."""
        settings = dict(self._serde_settings)
        if self._serde == JSON and not settings:
            return JsonSerde(cloudtrail=self._input == CLOUDTRAIL)
        if self._serde != OPEN_CSV or self._input != TEXT_INPUT:
            raise Refused(f"the SerDe {self._serde or '(none named)'} {settings or ''} with {self._input}")
        chars = [settings.pop(name, default) for name, default in _CSV_DEFAULTS.items()]
        if settings or any(len(char) != 1 or not char.isascii() for char in chars) or len(set(chars)) < 3:
            raise Refused(f"OpenCSVSerde with {self._serde_settings}")
        return CsvSerde(*chars)

    def place(self) -> tuple[str, str]:
        """The bucket and prefix of LOCATION."""
        found = re.fullmatch(r"s3://([^/]+)/(.*)", self._location)
        if not found:
            raise QueryFailure("FAILED", f"SemanticException: LOCATION must be s3://bucket/path/: {self._location!r}")
        prefix = found[2]
        return found[1], prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


_CSV_DEFAULTS = {"separatorChar": ",", "quoteChar": '"', "escapeChar": "\\"}


def _pairs(items: list[exp.Expr]) -> dict[str, str]:
    return {item.this.name: item.args["value"].name for item in items}


def _input_format(clause: exp.FileFormatProperty) -> str:
    given = clause.this
    if not isinstance(given, exp.InputOutputFormat):
        return TEXT_INPUT if given.name.upper() == "TEXTFILE" else given.name
    output = given.args.get("output_format")
    if output is not None and output.name not in TEXT_OUTPUTS:
        raise Refused(f"the output format {output.name}")
    return str(given.args["input_format"].name)
