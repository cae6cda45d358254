"""The lines of OpenCSVSerde: DuckDB reads the regular ones, and what is not regular is read here as opencsv does.

https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
"""

import re
from functools import cache

from local_aws.athena.catalog import CsvSerde
from local_aws.athena.failures import QueryFailure

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
        fields = _fields(line, serde)[:width]
        fields += [None] * (width - len(fields))
        made.append(",".join("\\N" if one is None else '"' + one.replace('"', '""') + '"' for one in fields) + "\n")
    return "".join(made).encode()


def _fields(line: str, serde: CsvSerde) -> list[str | None]:
    """One line by opencsv's state machine."""
    fields: list[str | None] = []
    field, quoted, at = "", False, 0
    while at < len(line):
        char, following = line[at], line[at + 1 : at + 2]
        if char == serde.escape:
            if quoted and following in (serde.quote, serde.escape) and following:
                field, at = field + following, at + 1
        elif char == serde.quote and quoted and following == serde.quote:
            field, at = field + following, at + 1
        elif char == serde.quote:
            field = _at_quote(line, at, field, serde)
            quoted = not quoted
        elif char == serde.separator and not quoted:
            fields.append(field)
            field = ""
        else:
            field += char
        at += 1
    if quoted:
        raise QueryFailure("HIVE_BAD_DATA", f"Un-terminated quoted field at end of CSV line: {line[:80]}")
    return [*fields, field]


def _at_quote(line: str, at: int, field: str, serde: CsvSerde) -> str:
    """A quote within a field belongs to it, but for the one that blanks alone come before."""
    inside = at > 2 and line[at - 1] != serde.separator and line[at + 1 : at + 2] not in ("", serde.separator)
    if not inside:
        return field
    return "" if field and field.isspace() else field + serde.quote
