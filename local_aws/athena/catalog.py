"""Databases and tables: what DDL has made, for queries to find."""

from dataclasses import dataclass, field
from typing import Any

from local_aws.athena.failures import QueryFailure
from local_aws.athena.projection import Projection


@dataclass(frozen=True)
class Column:
    """A column: its type in Hive's words, such as ``struct<type:string>``."""

    name: str
    type: str


@dataclass(frozen=True)
class Table:
    """An external table over objects of S3."""

    database: str
    name: str
    columns: tuple[Column, ...]
    partitions: tuple[Column, ...]
    serde: "CsvSerde | JsonSerde"
    bucket: str
    prefix: str
    projection: Projection | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def describe(self) -> dict[str, Any]:
        """The table as GetTableMetadata gives it."""
        columns, partitions = (
            [{"Name": column.name, "Type": column.type} for column in some] for some in (self.columns, self.partitions)
        )
        parameters = {"EXTERNAL": "TRUE", "location": f"s3://{self.bucket}/{self.prefix}", **dict(self.settings)}
        return {
            "Name": self.name,
            "TableType": "EXTERNAL_TABLE",
            "Columns": columns,
            "PartitionKeys": partitions,
            "Parameters": parameters,
        }


@dataclass(frozen=True)
class CsvSerde:
    """OpenCSVSerde."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"


@dataclass(frozen=True)
class JsonSerde:
    """HCatalog's JsonSerDe: an object a line, or CloudTrail's ``{"Records": [...]}`` a file."""

    cloudtrail: bool


@dataclass
class Catalog:
    """The catalog of an account and region; names are lower case."""

    databases: dict[str, dict[str, Table]] = field(default_factory=lambda: {"default": {}})

    def tables(self, database: str) -> dict[str, Table]:
        """The tables of a database; raises QueryFailure when there is none."""
        if database not in self.databases:
            raise QueryFailure("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")
        return self.databases[database]

    def table(self, database: str, name: str) -> Table:
        """A table; raises QueryFailure when there is none."""
        tables = self.tables(database)
        if name not in tables:
            raise QueryFailure("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist")
        return tables[name]

    def create_database(self, name: str, if_missing: bool) -> None:
        """CREATE DATABASE."""
        if name in self.databases and not if_missing:
            raise _already_exists("Database", name)
        self.databases.setdefault(name, {})

    def drop_database(self, name: str, if_there: bool, cascade: bool) -> None:
        """DROP DATABASE; one with tables only by CASCADE."""
        if name not in self.databases and if_there:
            return
        if self.tables(name) and not cascade:
            raise QueryFailure("FAILED", f"InvalidOperationException(message:Database {name} is not empty.)")
        del self.databases[name]

    def create_table(self, table: Table, if_missing: bool) -> None:
        """CREATE EXTERNAL TABLE; IF NOT EXISTS leaves the table there is, even one of other columns."""
        tables = self.tables(table.database)
        if table.name in tables and not if_missing:
            raise _already_exists("Table", table.name)
        tables.setdefault(table.name, table)

    def drop_table(self, database: str, name: str, if_there: bool) -> None:
        """DROP TABLE."""
        if if_there and name not in self.databases.get(database, {}):
            return
        self.table(database, name)
        del self.databases[database][name]


def _already_exists(kind: str, name: str) -> QueryFailure:
    return QueryFailure("FAILED", f"Execution Error. AlreadyExistsException(message:{kind} {name} already exists.)")
