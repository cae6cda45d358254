"""Partition projection: which partition an object's key belongs to, if to any.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html

Athena makes up the locations and lists each; here every key is matched to the location template and its
values are tested, which reads the same objects without counting out years of hours.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local_aws.athena.failures import QueryFailure

PROJECTED = "projection.enabled"
TEMPLATE = "storage.location.template"
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
# Java's letters for dates: the pattern of the text, and strptime's.
DATE_LETTERS = {
    "yyyy": (r"\d{4}", "%Y"),
    "MM": (r"\d{2}", "%m"),
    "dd": (r"\d{2}", "%d"),
    "HH": (r"\d{2}", "%H"),
    "mm": (r"\d{2}", "%M"),
}
UNITS = {"MINUTE": timedelta(minutes=1), "HOUR": timedelta(hours=1), "DAY": timedelta(days=1), "WEEK": timedelta(7)}
MONTHS = {"MONTH": 1, "YEAR": 12}
NOW = re.compile(r"NOW(?:\s*([+-])\s*(\d+)\s*([A-Z]+))?")
INTEGER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Projected:
    """One projected column: `pattern` finds its value in a key, `accepts` says whether it is in the range."""

    name: str
    pattern: str
    accepts: Callable[[str], bool]
    injected: bool = False


@dataclass(frozen=True)
class Projection:
    """The projection of a table."""

    columns: tuple[Projected, ...]
    key_pattern: re.Pattern[str]

    def values(self, key: str) -> dict[str, str] | None:
        """The partition of the object with this key; None when it lies outside every partition."""
        found = self.key_pattern.match(key)
        if not found:
            return None
        values = found.groupdict()
        return values if all(column.accepts(values[column.name]) for column in self.columns) else None


def read(properties: Mapping[str, str], partitions: list[str], bucket: str, prefix: str) -> Projection:
    """The projection that the table's properties describe; raises QueryFailure for one that Athena would refuse."""
    known = {PROJECTED, TEMPLATE}
    columns = []
    for name in partitions:
        start = f"projection.{name}."
        own = {key.removeprefix(start): value for key, value in properties.items() if key.startswith(start)}
        known |= {f"projection.{name}.{key}" for key in own}
        columns.append(_column(name, own))
    unknown = sorted(key for key in properties if key.startswith("projection.") and key not in known)
    if unknown:
        raise _invalid(f"{unknown[0]} names no partition column or setting")
    hive_style = f"s3://{bucket}/{prefix}" + "".join(f"{name}=${{{name}}}/" for name in partitions)
    return Projection(tuple(columns), _key_pattern(properties.get(TEMPLATE, hive_style), columns, bucket))


def _key_pattern(template: str, columns: list[Projected], bucket: str) -> re.Pattern[str]:
    named = PLACEHOLDER.findall(template)
    if sorted(named) != sorted(column.name for column in columns):
        raise _invalid(f"{TEMPLATE} must name every partition column once: {template}")
    start = f"s3://{bucket}/"
    if not template.startswith(start) or not template.endswith("/"):
        raise _invalid(f"{TEMPLATE} must begin with {start} and end in a slash: {template}")
    patterns = {column.name: column.pattern for column in columns}
    parts = re.split(r"(\$\{\w+\})", template.removeprefix(start))
    return re.compile("".join(_part(part, patterns) for part in parts))


def _part(part: str, patterns: dict[str, str]) -> str:
    found = PLACEHOLDER.fullmatch(part)
    return f"(?P<{found[1]}>{patterns[found[1]]})" if found else re.escape(part)


def _column(name: str, own: dict[str, str]) -> Projected:
    kinds = {"enum": _enum, "integer": _integer, "date": _date, "injected": _injected}
    kind = own.pop("type", "").lower()
    if kind not in kinds:
        raise _invalid(f"projection.{name}.type must be one of {', '.join(kinds)}")
    column = kinds[kind](name, own)
    if own:
        raise _invalid(f"projection.{name}.{sorted(own)[0]} is no setting of type {kind}")
    return column


def _enum(name: str, own: dict[str, str]) -> Projected:
    values = frozenset(_required(name, own, "values").split(","))
    longest_first = sorted(values, key=len, reverse=True)
    return Projected(name, "|".join(map(re.escape, longest_first)), values.__contains__)


def _injected(name: str, own: dict[str, str]) -> Projected:
    return Projected(name, "[^/]+", lambda value: True, injected=True)


def _integer(name: str, own: dict[str, str]) -> Projected:
    low, high = _bounds(name, own)
    step, digits = int(own.pop("interval", "1")), own.pop("digits", None)
    if not INTEGER.fullmatch(low) or not INTEGER.fullmatch(high):
        raise _invalid(f"projection.{name}.range must be two integers")

    def accepts(text: str) -> bool:
        value = int(text)
        written = f"{value:0{digits}d}" if digits else str(value)
        return int(low) <= value <= int(high) and (value - int(low)) % step == 0 and text == written

    return Projected(name, INTEGER.pattern, accepts)


def _date(name: str, own: dict[str, str]) -> Projected:
    low, high = _bounds(name, own)
    pattern, form = _date_format(name, _required(name, own, "format"))
    step = _step(name, own, form)

    def parse(text: str) -> datetime:
        return datetime.strptime(text, form).replace(tzinfo=UTC)

    for bound in (low, high):
        _bound(name, bound, parse, form)

    def accepts(text: str) -> bool:
        try:
            value = parse(text)
        except ValueError:
            return False
        first, last = (_bound(name, bound, parse, form) for bound in (low, high))
        return first <= value <= last and step(first, value)

    return Projected(name, pattern, accepts)


def _date_format(name: str, java: str) -> tuple[str, str]:
    pattern = form = ""
    for part in (found[0] for found in re.finditer(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']+", java)):
        if part in DATE_LETTERS:
            pattern, form = pattern + DATE_LETTERS[part][0], form + DATE_LETTERS[part][1]
        elif part[0].isalpha():
            raise _invalid(f"projection.{name}.format: the stand-in reads {', '.join(DATE_LETTERS)}, not {part}")
        else:
            text = part.strip("'")
            pattern, form = pattern + re.escape(text), form + text.replace("%", "%%")
    return pattern, form


def _step(name: str, own: dict[str, str], form: str) -> Callable[[datetime, datetime], bool]:
    finer = "%H" in form or "%M" in form
    if finer and not {"interval", "interval.unit"} <= own.keys():
        raise _invalid(f"projection.{name} needs interval and interval.unit for a format finer than a day")
    count = int(own.pop("interval", "1"))
    unit = own.pop("interval.unit", "DAYS" if "%d" in form else "MONTHS" if "%m" in form else "YEARS")
    singular = unit.upper().removesuffix("S")
    if singular in MONTHS:
        months = count * MONTHS[singular]
        return lambda first, value: ((value.year - first.year) * 12 + value.month - first.month) % months == 0
    if singular not in UNITS:
        raise _invalid(f"projection.{name}.interval.unit is {unit}")
    return lambda first, value: (value - first) % (UNITS[singular] * count) == timedelta(0)


def _bound(name: str, text: str, parse: Callable[[str], datetime], form: str) -> datetime:
    found = NOW.fullmatch(text)
    if not found:
        try:
            return parse(text)
        except ValueError:
            raise _invalid(f"projection.{name}.range: {text} does not fit the format") from None
    sign, count, unit = found.groups()
    # The bound is a partition itself, so it is cut to what the format can say.
    return parse(_shifted(name, int(f"{sign or '+'}{count or 0}"), unit or "DAYS").strftime(form))


def _shifted(name: str, count: int, unit: str) -> datetime:
    now, singular = datetime.now(UTC), unit.removesuffix("S")
    if singular in UNITS:
        return now + UNITS[singular] * count
    if singular not in MONTHS:
        raise _invalid(f"projection.{name}.range: {unit} is no unit")
    years, month = divmod(now.year * 12 + now.month - 1 + count * MONTHS[singular], 12)
    return now.replace(year=years, month=month + 1, day=min(now.day, 28))


def _bounds(name: str, own: dict[str, str]) -> tuple[str, str]:
    low, comma, high = _required(name, own, "range").partition(",")
    if not comma:
        raise _invalid(f"projection.{name}.range must be two values and a comma")
    return low.strip(), high.strip()


def _required(name: str, own: dict[str, str], key: str) -> str:
    if key not in own:
        raise _invalid(f"projection.{name}.{key} is missing")
    return own.pop(key)


def _invalid(why: str) -> QueryFailure:
    return QueryFailure("INVALID_TABLE_PROPERTY", f"Partition projection: {why}.")
