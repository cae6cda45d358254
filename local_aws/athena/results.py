"""Results as Athena shows them: every value a text, in pages and in the CSV in S3."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from local_aws.athena.engine import OutputColumn, Result

PRECISIONS = {
    **{"varchar": 2147483647, "bigint": 19, "integer": 10, "double": 17, "timestamp": 3},
    "timestamp with time zone": 3,
}


def texts(result: Result) -> list[list[str | None]]:
    """The rows, each value as its text; None is NULL."""
    return [[text(value) for value in row] for row in result.rows]


def text(value: Any) -> str | None:
    """One value as Java prints it."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return _double(value)
        case datetime():
            return value.isoformat(" ", "milliseconds")
        case date():
            return value.isoformat()
        case list():
            return f"[{', '.join(_inner(one) for one in value)}]"
        case dict():
            return f"{{{', '.join(f'{name}={_inner(one)}' for name, one in value.items())}}}"
        case _:
            return str(value)


def _inner(value: Any) -> str:
    shown = text(value)
    return "null" if shown is None else shown


def _double(value: float) -> str:
    """Java's Double.toString."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[repr(value)]
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        shown = f"{value:.17f}".rstrip("0") if "e" in repr(value) else repr(value)
        return shown + "0" if shown.endswith(".") else shown
    digits, _, power = f"{value!r}".partition("e") if "e" in repr(value) else _scientific(value)
    return f"{digits if '.' in digits else f'{digits}.0'}E{int(power)}"


def _scientific(value: float) -> tuple[str, str, str]:
    sign = "-" if value < 0 else ""
    whole, _, part = repr(abs(value)).partition(".")
    digits = (whole + part).lstrip("0").rstrip("0") or "0"
    power = len(whole) - 1 if whole != "0" else -(len(part) - len(part.lstrip("0")) + 1)
    return f"{sign}{digits[0]}.{digits[1:] or '0'}", "e", str(power)


def csv(columns: Iterable[OutputColumn], rows: list[list[str | None]]) -> bytes:
    """The result file: all values in quotes, NULL as nothing."""
    header: list[str | None] = [column.name for column in columns]
    return "".join(",".join(map(_quoted, row)) + "\n" for row in [header, *rows]).encode()


def _quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def metadata(columns: Iterable[OutputColumn]) -> bytes:
    """What stands beside the result file. Athena's is binary and undocumented; this one only tells the columns."""
    return json.dumps([column_info(column) for column in columns]).encode()


def column_info(column: OutputColumn) -> dict[str, Any]:
    """A column in GetQueryResults."""
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": column.type,
        "Precision": PRECISIONS.get(column.type, 0),
        "Scale": 0,
        "Nullable": "UNKNOWN",
        "CaseSensitive": column.type == "varchar",
    }


def page(columns: list[OutputColumn], rows: list[list[str | None]], has_header: bool, start: int, size: int) -> Any:
    """One page of GetQueryResults from row `start`, the header being row 0 where there is one; and the next start."""
    header: list[list[str | None]] = [[column.name for column in columns]] if has_header else []
    everything = header + rows
    shown = everything[start : start + size]
    answer = {
        "UpdateCount": 0,
        "ResultSet": {
            "Rows": [{"Data": [{} if one is None else {"VarCharValue": one} for one in row]} for row in shown],
            "ResultSetMetadata": {"ColumnInfo": [column_info(column) for column in columns]},
        },
    }
    if start + size < len(everything):
        answer["NextToken"] = str(start + size)
    return answer
