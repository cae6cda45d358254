"""Objects of S3 as a view in DuckDB: one file for each partition, in a folder that lives as long as the query."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from local_aws.athena import open_csv
from local_aws.athena.catalog import Column, CsvSerde, JsonSerde, Table
from local_aws.athena.failures import QueryFailure, Refused
from local_aws.athena.storage import Stored

COMPRESSED = (".bz2", ".zst", ".snappy", ".deflate", ".lzo", ".lz4", ".xz")
Convert = Callable[[Any], Any]
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
DECODER = json.JSONDecoder()
RECORDS = re.compile(r'\s*\{\s*"Records"\s*:\s*\[')
GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True)
class Partition:
    """The objects of one partition; `values` has its columns, as text."""

    values: dict[str, str]
    objects: list[Stored]

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return sum(one.size for one in self.objects)


def partitions(table: Table, objects: Iterable[Stored]) -> list[Partition]:
    """The objects by partition, without those that belong to none."""
    found: dict[tuple[str, ...], Partition] = {}
    for one in objects:
        values = table.projection.values(one.key) if table.projection else {}
        if values is not None:
            found.setdefault(tuple(values.values()), Partition(values, [])).objects.append(one)
    return list(found.values())


def duck_type(hive: str) -> str:
    """A type of Hive's as DuckDB names it."""
    return exp.DataType.build(hive, dialect="hive").sql("duckdb", identify=True)


def create_partitions(connection: duckdb.DuckDBPyConnection, name: str, table: Table, found: list[Partition]) -> None:
    """A table of the partitions: their columns, their number, and the files of either form."""
    columns = "".join(f', "{column.name}" {duck_type(column.type)}' for column in table.partitions)
    connection.execute(f"CREATE TEMP TABLE {name} (_number INTEGER{columns})")
    rows = [[number, *(one.values[column.name] for column in table.partitions)] for number, one in enumerate(found)]
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608 - names are ours


def create_view(
    connection: duckdb.DuckDBPyConnection, name: str, table: Table, files: list["DataFile"], used: set[str]
) -> None:
    """The view `name` over the files, with the table's columns; `<name>_parts` holds its partitions."""
    columns = _used(table, used)
    names = [f'"{column.name}"' for column in (*columns, *table.partitions)]
    reads = []
    for scan, group in _scans(table, columns, files):
        numbers = ", ".join(f"('{one.path}', {one.number})" for one in group)
        reads.append(
            f"SELECT {', '.join(names)} FROM {scan} AS _file "  # noqa: S608 - names are ours
            f"JOIN (VALUES {numbers}) AS _of(filename, _number) USING (filename) JOIN {name}_parts USING (_number)"
        )
    if not reads:
        typed = (f"CAST(NULL AS {duck_type(column.type)}) AS " for column in (*columns, *table.partitions))
        empty = ", ".join(f"{cast}{quoted}" for cast, quoted in zip(typed, names, strict=True))
        reads.append(f"SELECT {empty} WHERE false")
    connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(reads)}")


@dataclass(frozen=True)
class DataFile:
    """A file of the partition with this number, for one of DuckDB's readers."""

    path: Path
    number: int
    plain: bool  # CSV that was parsed here


def write_files(
    folder: Path, table: Table, numbered: Iterable[tuple[int, list[bytes]]], used: set[str]
) -> list[DataFile]:
    """Write the contents of each partition's objects in the form that DuckDB reads."""
    files: list[DataFile] = []
    for number, contents in numbered:
        if isinstance(table.serde, CsvSerde):
            parts = _csv_parts(table.serde, len(table.columns), contents)
        else:
            parts = [(False, _json_lines(_used(table, used), table.serde, contents))]
        for plain, data in parts:
            path = folder / f"{number}-{'plain' if plain else 'own'}"
            path.write_bytes(data)
            files.append(DataFile(path, number, plain))
    return files


def content(key: str, stored: bytes) -> bytes:
    """What an object holds as lines of UTF-8: unpacked by the ending of its key, as Hadoop does."""
    if key.endswith(COMPRESSED):
        raise Refused(f"objects such as {key}")
    try:
        data = gzip.decompress(stored) if key.endswith(".gz") else stored
    except (OSError, EOFError, zlib.error) as error:
        raise QueryFailure("HIVE_CURSOR_ERROR", f"{key}: incorrect header check ({error})") from None
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="replace").encode()
    return data


def _used(table: Table, used: set[str]) -> list[Column]:
    """The columns that a query names, or one when it names none: rows must be counted."""
    return [column for column in table.columns if column.name in used] or [table.columns[0]]


def _csv_parts(serde: CsvSerde, width: int, contents: list[bytes]) -> list[tuple[bool, bytes]]:
    own, plain = [], []
    for data in contents:
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data and not data.endswith(b"\n"):
            data += b"\n"
        regular = open_csv.regular(data, serde, width)
        if regular is None:
            plain.append(open_csv.parsed(data, serde, width))
        else:
            own.append(regular)
    return [(kind, b"".join(parts)) for kind, parts in ((False, own), (True, plain)) if any(parts)]


def _json_lines(columns: list[Column], serde: JsonSerde, contents: list[bytes]) -> bytes:
    converts = {column.name: _converter(exp.DataType.build(column.type, dialect="hive")) for column in columns}
    convert = _struct(converts)
    lines = []
    for data in contents:
        records = _cloudtrail(data.decode()) if serde.cloudtrail else _lines(data)
        try:
            lines += [f"{COMPACT.encode(convert(record))}\n" for record in records]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise QueryFailure("HIVE_BAD_DATA", f"an object is no JSON of the wanted form: {error!r}") from None
    return "".join(lines).encode()


def _lines(data: bytes) -> Iterator[Any]:
    yield from (json.loads(line) for line in re.split(rb"[\r\n]+", data) if line.strip())


def _cloudtrail(text: str) -> Iterator[Any]:
    """The records, read one by one: a file of them at once would be millions of objects for Python to trace."""
    found = RECORDS.match(text)
    if not found:
        yield from json.loads(text)["Records"]
        return
    at = _next(text, found.end())
    while text[at] != "]":
        record, at = DECODER.raw_decode(text, at)
        yield record
        at = _next(text, at)


def _next(text: str, at: int) -> int:
    gap = GAP.match(text, at)
    return gap.end() if gap else at


def _struct(fields: dict[str, Convert]) -> Convert:
    """Keeps the wanted fields, whose names in JSON may be of any case."""
    places: dict[str, str | None] = {}

    def convert(value: Any) -> Any:
        if value is None:
            return None
        made = {}
        for key, part in value.items():
            if key not in places:
                places[key] = key.lower() if key.lower() in fields else None
            name = places[key]
            if name is not None:
                made[name] = fields[name](part)
        return made

    return convert


def _text(value: Any) -> str | None:
    """A text column of anything: what is no text in JSON is given as JSON."""
    return value if value is None or isinstance(value, str) else COMPACT.encode(value)


def _converter(kind: exp.DataType) -> Convert:
    if kind.this == exp.DType.STRUCT:
        return _struct({field.name.lower(): _converter(field.kind) for field in kind.expressions})
    if kind.this == exp.DType.ARRAY:
        inner = _converter(kind.expressions[0])
        return lambda value: None if value is None else [inner(one) for one in value]
    return _text if kind.this == exp.DType.TEXT else lambda value: value


def _scans(table: Table, columns: list[Column], files: list[DataFile]) -> Iterator[tuple[str, list[DataFile]]]:
    for plain in (False, True):
        group = [one for one in files if one.plain == plain]
        if group:
            paths = ", ".join(f"'{one.path}'" for one in group)
            if isinstance(table.serde, CsvSerde):
                yield _csv_scan(table, open_csv.PLAIN if plain else table.serde, paths, plain), group
            else:
                typed = ", ".join(f"\"{column.name}\": '{_quoted(duck_type(column.type))}'" for column in columns)
                settings = f"format='newline_delimited', records=true, columns={{{typed}}}, filename=true"
                yield f"read_json([{paths}], {settings})", group


def _csv_scan(table: Table, serde: CsvSerde, paths: str, plain: bool) -> str:
    typed = ", ".join(f"\"{column.name}\": 'VARCHAR'" for column in table.columns)
    # A text that no field is, since an empty field is no NULL here.
    null = "\\N" if plain else "\x01none\x01"
    return (
        f"read_csv([{paths}], auto_detect=false, header=false, columns={{{typed}}}, filename=true, "
        f"delim='{_quoted(serde.separator)}', quote='{_quoted(serde.quote)}', escape='{_quoted(serde.escape)}', "
        f"nullstr='{null}', allow_quoted_nulls=false, new_line='\\n', comment='', strict_mode=true)"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
