"""Query files: one audit or check each, a YAML header in the comment lines at the top, then the query.

``.sql`` files (comment ``--``) are Athena audits, ``.insights`` files (comment ``#``) are Logs Insights checks. The
query returns findings; no rows is the good case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from log_audit.errors import QueryFileError
from log_audit.sql import literal, placeholders

COMMENTS = {".sql": "--", ".insights": "#"}
Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
TEXTS = ("title", "severity", "description", "runbook", "false_positives")
KEYS = {
    ".sql": {*TEXTS, "parameters", "history_days"},
    ".insights": {*TEXTS, "log_groups", "log_group_sets", "look_back_minutes", "limit"},
}
LISTS = {"log_groups", "log_group_sets"}
NUMBERS = {"look_back_minutes": (1, 14 * 24 * 60), "limit": (1, 100_000), "history_days": (1, 400)}
# What every audit of a folder is given by its window; a header's parameters come on top.
GIVEN = {
    "aurora": ("cluster", "day", "first_hour", "last_hour"),
    "cloudtrail": ("window_start", "window_end", "first_day", "last_day"),
}
# Beside plugins/; a managed Airflow takes no folder but dags/ and plugins/, so there it lies in dags/.
_PLACES = [Path(__file__).resolve().parents[2] / place for place in ("include", "dags/include")]
INCLUDE = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
MACROS = INCLUDE / "sql" / "macros"
MACRO = re.compile(r"\{\{\s*(\w*)\s*\}\}")
HISTORY = "history_start"  # and this one, where the header has history_days

# What a query only speaks of: text in quotes, regular expressions (elsewhere / divides), comments.
OPAQUE = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`
    | (?:=~|\blike\b|\bparse\b(?:\s+(?:`[^`]*`|[\w@.]+))?)\s*/(?:\\.|[^/\\\n])*/
    | \#[^\n]*
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
LIMIT = re.compile(r"(?:\A|\|)[\s_]*\b(limit)\s+\d", re.IGNORECASE)


class PlainLoader(yaml.SafeLoader):
    """YAML whose numbers can be written out again: Python refuses to do so with thousands of digits.

    It raises what PyYAML lets through of a value that it takes for something else: ValueError among others.
    """

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number: int = super().construct_yaml_int(node)
        str(number)  # raises ValueError, rather than a message that quotes it
        return number


PlainLoader.add_constructor("tag:yaml.org,2002:int", PlainLoader.construct_yaml_int)


@dataclass(frozen=True)
class QueryFile:
    """One query and what people need to know of it.

    :param name: the file's name without its ending
    :param severity: one of ``SEVERITIES``
    :param parameters: values for the query's placeholders (Athena)
    :param history_days: how many days before the window's own the query reads as well (Athena)
    :param log_groups: names of log groups (Insights)
    :param log_group_sets: names of sets of log groups, which the settings define for each target (Insights)
    :param look_back_minutes: how late an event may arrive and still be seen by the regular run; None: the settings'
    :param limit: the most rows to fetch; None: Insights' own 10,000
    """

    name: str
    path: str
    title: str
    severity: str
    body: str
    description: str = ""
    runbook: str = ""
    false_positives: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    history_days: int | None = None
    log_groups: tuple[str, ...] = ()
    log_group_sets: tuple[str, ...] = ()
    look_back_minutes: int | None = None
    limit: int | None = None


def read_query_file(path: str | Path) -> QueryFile:
    """Read and check a query file.

    :raises QueryFileError: names the file, the line, and what to do
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryFileError(f"{path}: cannot be read: {error}") from None
    return parse_query_file(text, path)


def parse_query_file(text: str, path: Path) -> QueryFile:
    """:func:`read_query_file` of a text already read; ``path`` tells the language and names the query."""
    if path.suffix not in COMMENTS:
        raise QueryFileError(f"{path}: the name must end in {' or '.join(COMMENTS)}")
    lines = text.splitlines()
    comment = COMMENTS[path.suffix]
    length = next((n for n, line in enumerate(lines) if not line.startswith(comment)), len(lines))
    yaml_text = "\n".join(line.removeprefix(comment) for line in lines[:length])
    header = _header(yaml_text, path)
    _check(header, _lines_of_keys(yaml_text, path), path)
    below = "\n".join(lines[length:])
    body = below.strip()
    if not body:
        raise QueryFileError(f"{path}:{length + 1}: there is no query below the header")
    if path.suffix == ".sql":
        body = _with_macros(body, path)
    if path.suffix == ".insights" and (line := _line_of_limit(below)):
        raise QueryFileError(f"{path}:{length + line}: rows would be cut off in silence; use the header's limit")
    values: dict[str, Any] = {key: tuple(value) if key in LISTS else value for key, value in header.items()}
    query = QueryFile(name=path.stem, path=str(path), body=body, **values)
    if path.suffix == ".insights" and not (query.log_groups or query.log_group_sets):
        raise QueryFileError(f"{path}:1: name the log groups to search: log_groups or log_group_sets")
    if path.suffix == ".sql":
        _check_placeholders(query, path, above=length + below[: below.index(body[0])].count("\n"))
    return query


def given_to(path: Path, history_days: int | None) -> set[str]:
    """The names that an audit's window gives it, by the folder it stands in."""
    return {*GIVEN.get(path.parent.name, ()), *([HISTORY] if history_days else [])}


def _check_placeholders(query: QueryFile, path: Path, above: int) -> None:
    """:param above: how many lines stand above the query"""
    given = given_to(path, query.history_days)
    try:
        used = placeholders(query.body)
        for name, value in query.parameters.items():
            literal(name, value)
    except QueryFileError as error:
        line, _, complaint = str(error).partition(": ")
        where = f"{path}:{int(line) + above}: {complaint}" if line.isdecimal() else f"{path}:1: parameters: {error}"
        raise QueryFileError(where) from None
    if taken := given & set(query.parameters):
        raise QueryFileError(f"{path}:1: parameters: {', '.join(sorted(taken))} comes from the window; rename it")
    for found in used:
        if found.name not in given | set(query.parameters):
            names = ", ".join(f":{name}" for name in sorted(given | set(query.parameters)))
            raise QueryFileError(f"{path}:{found.line + above}: :{found.name} has no value; there are {names}")
    if unused := set(query.parameters) - {found.name for found in used}:
        raise QueryFileError(f"{path}:1: parameters: the query does not use {', '.join(sorted(unused))}")
    if query.history_days and HISTORY not in {found.name for found in used}:
        raise QueryFileError(f"{path}:1: history_days: the query does not use :{HISTORY}")


def _with_macros(body: str, path: Path) -> str:
    """The query with each ``{{ name }}`` replaced by the text of ``include/sql/macros/<name>.sql``, on one line.

    So the lines of the query keep their numbers.
    """

    def text(found: re.Match[str]) -> str:
        macro = MACROS / f"{found[1]}.sql"
        if not macro.is_file():
            known = ", ".join(sorted(file.stem for file in MACROS.glob("*.sql")))
            raise QueryFileError(f"{path}: there is no macro {found[0]}; there are {known or 'none'}")
        lines = macro.read_text(encoding="utf-8").splitlines()
        return " ".join(line.strip() for line in lines if not line.startswith("--"))

    return MACRO.sub(text, body)


def _line_of_limit(query: str) -> int | None:
    """The line, from 1, of a command ``limit`` in an Insights query: what AWS cuts off there nobody is told of."""
    bare = OPAQUE.sub(lambda found: "_" + "\n" * found[0].count("\n"), query)
    found = LIMIT.search(bare)
    return bare.count("\n", 0, found.start(1)) + 1 if found else None


def _header(text: str, path: Path) -> dict[str, Any]:
    try:
        header = yaml.load(text, Loader=PlainLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise QueryFileError(f"{path}:{line}: the header is no YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise QueryFileError(f"{path}:{line}: the header is no YAML: {error.reason}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML lets them out of values such as 2026-13-01 and of very deep nesting.
        raise QueryFileError(f"{path}:1: the header is no YAML: {error}") from None
    if not isinstance(header, dict):
        raise QueryFileError(f"{path}:1: begin with comment lines such as '{COMMENTS[path.suffix]} title: …'")
    return header


def _lines_of_keys(text: str, path: Path) -> dict[str, int]:
    """Where each key of a sound header stands; one that stands twice is an error, as PyYAML keeps the last."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    lines: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if lines.setdefault(str(key.value), line) != line:
            raise QueryFileError(f"{path}:{line}: {key.value} stands twice")
    return lines


def _check(header: dict[str, Any], lines: dict[str, int], path: Path) -> None:
    known = KEYS[path.suffix]
    for key, value in header.items():
        where = f"{path}:{lines.get(str(key), 1)}"
        if key not in known:
            raise QueryFileError(f"{where}: there is no key {key!r}; there are {', '.join(sorted(known))}")
        if complaint := _complaint(key, value):
            raise QueryFileError(f"{where}: {key}: {complaint}")
    for key in ("title", "severity"):
        if key not in header:
            raise QueryFileError(f"{path}:1: the header lacks {key}")


def _complaint(key: str, value: Any) -> str | None:
    """What is wrong with a header's value, or None."""
    if key == "severity" and value not in SEVERITIES:
        return f"{value!r} is none of {', '.join(SEVERITIES)}"
    if key in TEXTS and (not isinstance(value, str) or not value.strip()):
        return f"{value!r} is no text; put it in quotes"
    if key in LISTS and not (isinstance(value, list) and value and all(isinstance(item, str) for item in value)):
        return f"{value!r} is no list of names, such as [one, two]"
    if key == "parameters" and not _are_parameters(value):
        return f"{value!r} is no mapping of names to texts, numbers or lists of them"
    if key in NUMBERS:
        low, high = NUMBERS[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return f"{value!r} is no whole number from {low} to {high}"
    return None


def _are_parameters(value: Any) -> bool:
    def is_one(item: Any) -> bool:
        return isinstance(item, str | int | float)

    return isinstance(value, dict) and all(
        isinstance(name, str)
        and name.isidentifier()
        and (is_one(item) or (isinstance(item, list) and bool(item) and all(map(is_one, item))))
        for name, item in value.items()
    )
