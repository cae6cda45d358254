"""The lines of OpenCSVSerde: DuckDB reads the regular ones, and what is not regular is read here as opencsv does.

AWS documents neither broken lines nor empty ones. Trino, which Athena's engine is made from, has a reader of its own
that its tests hold against Hive's OpenCSVSerde: this does what both do.
https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
https://github.com/trinodb/trino/blob/master/lib/trino-hive-formats/src/main/java/io/trino/hive/formats/line/csv/CsvDeserializer.java
"""

import re
from functools import cache

from local_aws.athena.catalog import CsvSerde

# How fields that were parsed here are written for DuckDB: quoted, or \N.
PLAIN = CsvSerde(",", '"', '"')


def regular(data: bytes, serde: CsvSerde, width: int) -> bytes | None:
    """The lines in the form that DuckDB and opencsv read alike; None when there is no such form.

    A regular field is empty, bare, or quoted from end to end; opencsv drops an escape before any other character
    than a quote or an escape, DuckDB would fail.
    """
    if _regular_lines(serde, width).fullmatch(data):
        return data
    tidy = _without_lone_escapes(data, serde)
    return tidy if tidy is not None and _regular_lines(serde, width).fullmatch(tidy) else None


def _without_lone_escapes(data: bytes, serde: CsvSerde) -> bytes | None:
    """Four replacements, since a regular expression would take a second for a million escapes."""
    if b"\0" in data:
        return None
    escape, quote = serde.escape.encode(), serde.quote.encode()
    data = data.replace(escape + escape, b"\0e").replace(escape + quote, b"\0q")
    return data.replace(escape, b"").replace(b"\0q", escape + quote).replace(b"\0e", escape + escape)


@cache
def _regular_lines(serde: CsvSerde, width: int) -> re.Pattern[bytes]:
    separator, quote, escape = (re.escape(char).encode() for char in (serde.separator, serde.quote, serde.escape))
    quoted = rb"%s(?:[^%s%s\n]++|%s[%s%s])*+%s" % (quote, quote, escape, escape, quote, escape, quote)
    bare = rb"[^%s%s%s\n]*+" % (separator, quote, escape)
    one = rb"(?:%s|%s)" % (quoted, bare)
    # An empty line is a row to opencsv and none to DuckDB.
    return re.compile(rb"(?:(?!\n)%s(?:%s%s){%d}\n)*+" % (one, separator, one, width - 1))


def parsed(data: bytes, serde: CsvSerde, width: int) -> bytes:
    """The lines parsed field by field and written in the PLAIN way: missing fields are NULL, spare ones dropped."""
    lines = data.decode().split("\n")[:-1]
    made = []
    for line in lines:
        fields: list[str | None] = [*_fields(line, serde)[:width]]
        fields += [None] * (width - len(fields))
        made.append(",".join("\\N" if one is None else '"' + one.replace('"', '""') + '"' for one in fields) + "\n")
    return "".join(made).encode()


def _fields(line: str, serde: CsvSerde) -> list[str]:
    """One line by opencsv's state machine: an empty line has no field, and a quote without an end takes its field."""
    if not line:
        return []
    # What may follow each of them to be an ordinary character: in quotes, or once a field has begun.
    escapes = {serde.quote: (serde.quote,), serde.escape: (serde.quote, serde.escape)}
    fields: list[str] = []
    field, quoted, begun, at = "", False, False, 0
    while at < len(line):
        char, following = line[at], line[at + 1 : at + 2]
        if (quoted or begun) and following in escapes.get(char, ()):
            field, at = field + following, at + 1
        elif char == serde.quote:
            field, quoted = _at_quote(line, at, field, serde), not quoted
        elif char == serde.separator and not quoted:
            fields.append(field)
            field = ""
        elif char != serde.escape:
            field += char
        if char == serde.quote:
            begun = not begun  # at any quote, strange as it is: even at one that is escaped by another
        elif char != serde.escape:
            begun = quoted or char != serde.separator
        at += 1
    return fields if quoted else [*fields, field]


def _at_quote(line: str, at: int, field: str, serde: CsvSerde) -> str:
    """A quote within a field belongs to it, but for the one that blanks alone come before."""
    inside = at > 2 and line[at - 1] != serde.separator and line[at + 1 : at + 2] not in ("", serde.separator)
    if not inside:
        return field
    return "" if field and field.isspace() else field + serde.quote
