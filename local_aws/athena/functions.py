"""The functions of Trino that the stand-in does truly, each as a macro for DuckDB; every other is refused.

https://trino.io/docs/current/functions.html

A line reads ``name(kinds of arguments) -> type := body``: in the body p1, p2 ... are the arguments; without one,
DuckDB's function of that name means the same. Types: ``=2`` is the second argument's, ``common`` that of all,
``element`` that of the first's elements, ``array`` an array of the first. ``any*``: one or more.
"""

import re
from dataclasses import dataclass
from itertools import groupby

SPACE = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(12288)"
UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
INTERVAL = "CASE p1 " + " ".join(f"WHEN '{unit}' THEN to_{unit}s(p2::INTEGER)" for unit in UNITS) + " END"

# A cast that must fail is how a macro raises: DuckDB's error() may not stand inside TRY.
SCALAR = rf"""
lower(text) -> varchar
upper(text) -> varchar
reverse(text) -> varchar
length(text) -> bigint
trim(text) -> varchar := trim(p1, {SPACE})
ltrim(text) -> varchar := ltrim(p1, {SPACE})
rtrim(text) -> varchar := rtrim(p1, {SPACE})
substr(text, integer) -> varchar := CASE WHEN p2 = 0 OR -p2 > length(p1) THEN '' ELSE substr(p1, p2) END
substr(text, integer, integer) -> varchar := \
CASE WHEN p2 = 0 OR -p2 > length(p1) OR p3 <= 0 THEN '' ELSE substr(p1, p2, p3) END
strpos(text, text) -> bigint
starts_with(text, text) -> boolean
replace(text, text) -> varchar := replace(p1, p2, '')
replace(text, text, text) -> varchar := CASE WHEN p2 = '' THEN CAST('replace of an empty string' AS BIGINT)::VARCHAR \
ELSE replace(p1, p2, p3) END
split(text, text) -> array(varchar) := string_split(p1, CASE WHEN p2 = '' \
THEN CAST('The delimiter may not be the empty string' AS BIGINT)::VARCHAR ELSE p2 END)
split_part(text, text, integer) -> varchar := CASE WHEN p3 <= 0 OR p2 = '' \
THEN CAST('Index must be greater than zero' AS BIGINT)::VARCHAR \
WHEN p3 <= len(string_split(p1, p2)) THEN split_part(p1, p2, p3) END
concat_ws(text, text*) -> varchar
regexp_like(text, pattern) -> boolean := regexp_matches(p1, p2)
regexp_extract(text, pattern) -> varchar := CASE WHEN regexp_matches(p1, p2) THEN regexp_extract(p1, p2) END
regexp_extract(text, pattern, integer) -> varchar := \
CASE WHEN regexp_matches(p1, p2) THEN regexp_extract(p1, p2, p3) END
regexp_replace(text, pattern) -> varchar := regexp_replace(p1, p2, '', 'g')
regexp_replace(text, pattern, replacement) -> varchar := regexp_replace(p1, p2, p3, 'g')
json_extract_scalar(json, path) -> varchar := CASE WHEN json_valid(p1) \
AND json_type(p1, p2) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string(p1, p2) END
json_extract(json, path) -> json := CASE WHEN json_valid(p1) THEN json_extract(p1, p2) END
json_parse(text) -> json := CAST(p1 AS JSON)
json_format(json) -> varchar := CAST(p1 AS VARCHAR)
json_array_length(json) -> bigint := CASE WHEN json_valid(p1) AND json_type(p1) = 'ARRAY' \
THEN json_array_length(p1) END
json_size(json, path) -> bigint := CASE WHEN json_valid(p1) AND json_type(p1, p2) IS NOT NULL \
THEN CASE json_type(p1, p2) WHEN 'ARRAY' THEN json_array_length(p1, p2) \
WHEN 'OBJECT' THEN len(json_keys(p1, p2)) ELSE 0 END END
url_extract_host(text) -> varchar := \
nullif(regexp_extract(p1, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1), '')
abs(number) -> =1
round(number) -> =1
round(number, integer) -> =1
floor(number) -> =1
ceil(number) -> =1
ceiling(number) -> =1 := ceil(p1)
mod(integer, integer) -> common := p1 % p2
cardinality(array) -> bigint := len(p1)
contains(array, any) -> boolean := CASE WHEN list_contains(p1, p2) THEN true \
WHEN list_position(p1, NULL) > 0 THEN NULL ELSE list_contains(p1, p2) END
element_at(array, integer) -> element := CASE WHEN p2 = 0 \
THEN p1[CAST('SQL array indices start at 1' AS BIGINT)] ELSE list_extract(p1, p2) END
array_join(array, text) -> varchar := array_to_string(p1, p2)
array_join(array, text, text) -> varchar := \
array_to_string(list_transform(p1, lambda x: coalesce(x::VARCHAR, p3)), p2)
array_distinct(array) -> =1 := list_filter(p1, lambda x, i: list_position(p1, x) = i)
array_sort(array) -> =1 := list_sort(p1, 'ASC', 'NULLS LAST')
coalesce(any*) -> common
nullif(any, any) -> =1
greatest(any*) -> common
least(any*) -> common
try(any) -> =1
concat(text*) -> varchar
from_unixtime(number) -> timestamptz := to_timestamp(round(p1::DOUBLE * 1000) / 1000)
to_unixtime(moment) -> double := epoch(p1)
from_iso8601_timestamp(text) -> timestamptz := CASE \
WHEN p1 IS NULL THEN NULL WHEN regexp_full_match(p1, '\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?') \
THEN date_trunc('millisecond', CAST(p1 AS TIMESTAMPTZ)) \
ELSE CAST('not an ISO time in UTC (the stand-in reads no others): ' || p1 AS TIMESTAMPTZ) END
from_iso8601_date(text) -> date := CASE WHEN regexp_full_match(p1, '\d{{4}}-\d\d-\d\d') THEN CAST(p1 AS DATE) \
ELSE CAST('not an ISO date: ' || p1 AS DATE) END
to_iso8601(instant) -> varchar := strftime(p1, '%Y-%m-%dT%H:%M:%S.%gZ')
date(civil) -> date := CAST(p1 AS DATE)
date_trunc(unit, civil) -> =2 := date_trunc(p1, p2)
date_add(unit, integer, civil) -> =3 := p3 + ({INTERVAL})
date_diff(unit, moment, moment) -> bigint := date_sub(p1, p2, p3)
date_format(civil, mysql) -> varchar := strftime(p1, p2)
date_parse(text, mysql) -> timestamp := strptime(p1, p2)
format_datetime(civil, joda) -> varchar := strftime(p1, p2)
at_timezone(instant, text) -> timestampltz := timezone(p2, p1)
now() -> timestamptz := date_trunc('millisecond', current_timestamp)
millisecond(civil) -> bigint := millisecond(p1) % 1000
second(civil) -> bigint
minute(civil) -> bigint
hour(civil) -> bigint
day(civil) -> bigint
day_of_month(civil) -> bigint := day(p1)
day_of_week(civil) -> bigint := isodow(p1)
dow(civil) -> bigint := isodow(p1)
day_of_year(civil) -> bigint := dayofyear(p1)
doy(civil) -> bigint := dayofyear(p1)
week(civil) -> bigint := week(p1)
week_of_year(civil) -> bigint := week(p1)
month(civil) -> bigint
quarter(civil) -> bigint
year(civil) -> bigint
"""

# In the body's place: DuckDB's name, since OVER, FILTER and DISTINCT would not reach into a macro.
AGGREGATE = """
count(any) -> bigint
count_if(boolean) -> bigint
approx_distinct(any) -> bigint := count
sum(number) -> sum
avg(inexact) -> double
min(ordered) -> =1
max(ordered) -> =1
min_by(any, ordered) -> =1 := arg_min_null
max_by(any, ordered) -> =1 := arg_max_null
arbitrary(any) -> =1 := any_value
any_value(any) -> =1
approx_percentile(number, number) -> =1 := quantile_disc
bool_and(boolean) -> boolean
bool_or(boolean) -> boolean
every(boolean) -> boolean := bool_and
array_agg(any) -> array
"""

WINDOW = """
row_number() -> bigint
rank() -> bigint
dense_rank() -> bigint
percent_rank() -> double
ntile(integer) -> bigint
lag(any) -> =1
lag(any, integer) -> =1
lag(any, integer, any) -> =1
lead(any) -> =1
lead(any, integer) -> =1
lead(any, integer, any) -> =1
first_value(any) -> =1
last_value(any) -> =1
"""

# What CAST means where DuckDB is laxer: what it lets through, and how.
CASTS = {
    ("text", "integer"): (r"[+-]?\d+", "BIGINT"),
    ("text", "double"): (r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", "DOUBLE"),
    ("text", "boolean"): (r"(?i)t|true|1|f|false|0", "BOOLEAN"),
    ("text", "date"): (r"\s*\d{4}-\d{1,2}-\d{1,2}\s*", "DATE"),
    ("text", "timestamp"): (r"\d{4}-\d{1,2}-\d{1,2}( \d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", "TIMESTAMP"),
}
LINE = re.compile(r"(\w+)\(([^)]*)\) -> ([\w()=]+)(?: := (.*))?")


@dataclass(frozen=True)
class Function:
    """One signature of a function."""

    name: str
    kinds: tuple[str, ...]
    gives: str
    body: str
    aggregate: bool = False
    window: bool = False

    def takes(self, count: int) -> bool:
        """Whether it can have so many arguments."""
        repeats = bool(self.kinds) and self.kinds[-1].endswith("*")
        return count >= len(self.kinds) if repeats else count == len(self.kinds)

    def kind(self, index: int) -> str:
        """The kind of the argument at this place."""
        return self.kinds[min(index, len(self.kinds) - 1)].rstrip("*")

    @property
    def target(self) -> str:
        """What DuckDB calls it."""
        if self.aggregate or self.window:
            return self.body or self.name
        return f"trino_{self.name}_{len(self.kinds)}" if self.body else self.name


def _read(text: str, aggregate: bool = False, window: bool = False) -> list[Function]:
    found = []
    for line in text.replace("\\\n", "").strip().splitlines():
        name, kinds, gives, body = LINE.fullmatch(line).groups()  # type: ignore[union-attr]  # our own table
        named = tuple(kinds.split(", ")) if kinds else ()
        found.append(Function(name, named, gives, body or "", aggregate, window))
    return found


_ALL = _read(SCALAR) + _read(AGGREGATE, aggregate=True) + _read(WINDOW, window=True)
FUNCTIONS = {name: list(group) for name, group in groupby(_ALL, key=lambda function: function.name)}
FUNCTIONS["substring"] = FUNCTIONS["substr"]


def macros() -> str:
    """The statements that teach DuckDB these functions."""
    made = []
    for function in _ALL:
        if function.body and not (function.aggregate or function.window):
            parameters = ", ".join(f"p{number + 1}" for number in range(len(function.kinds)))
            made.append(f"CREATE MACRO {function.target}({parameters}) AS {function.body}")
    for (_, to), (pattern, duck) in CASTS.items():
        fits = f"regexp_full_match(p1, '{pattern}')"
        made.append(
            f"CREATE MACRO trino_cast_{to}(p1) AS "
            f"CASE WHEN {fits} THEN CAST(p1 AS {duck}) ELSE CAST('!' || p1 AS {duck}) END"
        )
        made.append(f"CREATE MACRO trino_try_cast_{to}(p1) AS CASE WHEN {fits} THEN TRY_CAST(p1 AS {duck}) END")
    made.append(
        "CREATE MACRO trino_cast_json_text(p1) AS CASE WHEN json_type(p1) IN ('OBJECT', 'ARRAY') "
        "THEN CAST('!' || p1::VARCHAR AS BIGINT)::VARCHAR ELSE p1 ->> '$' END"
    )
    made.append(
        "CREATE MACRO trino_subscript(p1, p2) AS CASE WHEN p2 > len(p1) "
        "THEN p1[CAST('Array subscript must be less than or equal to array length' AS BIGINT)] ELSE p1[p2] END"
    )
    return ";\n".join(made)
