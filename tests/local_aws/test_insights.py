"""The Insights evaluator: each command, function and refusal, and the laws that windows rest on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_aws.insights import Event, MalformedQuery, Result, compile_query

NOON = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC
MINUTE = 60_000


def event(message: Any, at: int = NOON, arrived: int | None = None) -> Event:
    text = message if isinstance(message, str) else json.dumps(message)
    return Event(at, at + 500 if arrived is None else arrived, text, "/app", "web/1", "111122223333")


def run(query: str, *messages: Any, limit: int | None = None) -> Result:
    """The messages as events a second apart, in the order given."""
    return compile_query(query).run([event(m, NOON + 1000 * i) for i, m in enumerate(messages)], limit)


def rows(query: str, *messages: Any) -> list[dict[str, str]]:
    found = [dict(row) for row in run(query, *messages).rows]
    return [{k: v for k, v in row.items() if k != "@ptr"} for row in found]


def value(expression: str, message: Any = "a message") -> str | None:
    return rows(f"fields {expression} as x", message)[0].get("x")


def matches(condition: str, message: Any) -> bool:
    return run(f"filter {condition}", message).records_matched == 1


ORDER = {
    "level": "ERROR",
    "status": 503,
    "took": "12.5",
    "ok": True,
    "gone": None,
    "text": "",
    "blank": "  ",
    "user": {"name": "ann", "groups": ["admin", {"id": 7}]},
    "a-b": {"c d": 1},
    "@odd": "x",
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('level = "ERROR"', True),
        ("level = 'error'", False),
        ("level != 'INFO'", True),
        ("status >= 500 and status < 600", True),
        ("STATUS >= 500", False),
        ("status = '503'", True),
        ("took > 9", True),
        ("took = 12.5", True),
        ("took < '9'", False),
        ("level > 5", False),
        ("level != 5", True),
        ("ok = 1", True),
        ("ok", True),
        ("level", False),
        ("gone = 1", False),
        ("gone != 1", False),
        ("not gone = 1", True),
        ("nothing not in [1]", False),
        ("nothing not like 'x'", False),
        ("ispresent(gone) or ispresent(level)", True),
        ("ispresent(user)", False),
        ("user.name = 'ann' AND user.groups.0 = 'admin'", True),
        ("user.groups.1.id = 7", True),
        ("`a-b`.`c d` = 1", True),
        ("`a-b.c d` = 1", True),
        ("@@odd = 'x'", True),
        ("level in ['INFO', 'ERROR']", True),
        ("status in [-1, 503]", True),
        ("level not in ['INFO']", True),
        ("level like 'RRO'", True),
        ("level like /^E.*R$/", True),
        ("level not like /rr/", True),
        ("level =~ /(?i)error/", True),
        ("level =~ /^(?i)error$/", True),
        (r"@message like /\"status\": \d{3}/", True),
        ("(level = 'x' or status = 503) and not (took = 1)", True),
        ("status / 2 = 251.5 and status % 10 = 3 and -status < 0", True),
        ("2 + 3 * 2 ^ 3 = 26 and -2 ^ 2 = -4", True),
        ("@timestamp = 1767268800000", True),
        ("@ingestionTime - @timestamp = 500", True),
        ("@log = '111122223333:/app' and @logStream = 'web/1'", True),
        ("strcontains(level, 'ERR')", True),
        ("level = 'ERROR' # and nothing\n and status = 503", True),
    ],
)
def test_filter(condition: str, expected: bool) -> None:
    assert matches(condition, ORDER) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ispresent(level)", "1"),
        ("ispresent(nothing)", "0"),
        ("isempty(text)", "1"),
        ("isempty(nothing)", "1"),
        ("isempty(blank)", "0"),
        ("isblank(blank)", "1"),
        ("isblank(level)", "0"),
        ("coalesce(nothing, gone, level, 'x')", "ERROR"),
        ("strlen('日本')", "2"),
        ("strlen(nothing)", None),
        ("trim('  a ')", "a"),
        ("trim('xyZfooxyZ', 'xyZ')", "foo"),
        ("ltrim(' a ')", "a "),
        ("ltrim('xya', 'xy')", "a"),
        ("rtrim(' a ')", " a"),
        ("rtrim('axy', 'xy')", "a"),
        ("toupper('aB')", "AB"),
        ("tolower(level)", "error"),
        ("substr('xyZfooxyZ', 3)", "fooxyZ"),
        ("substr('xyZfooxyZ', 3, 3)", "foo"),
        ("replace('foo', 'o', '0')", "f00"),
        ("strcontains('abc', 'b')", "1"),
        ("strcontains('abc', 'x')", "0"),
        ("concat(level, '-', status)", "ERROR-503"),
        ("concat(level, nothing)", None),
        ("abs(-3)", "3"),
        ("ceil(1.2)", "2"),
        ("floor(-1.2)", "-2"),
        ("sqrt(16)", "4"),
        ("sqrt(-1)", None),
        ("log(1)", "0"),
        ("log(0)", None),
        ("greatest(1, took, 3)", "12.5"),
        ("least(2, 1)", "1"),
        ("toMillis(@timestamp)", "1767268800000"),
        ("fromMillis(0)", "1970-01-01 00:00:00.000"),
        ("fromMillis(1767268800123)", "2026-01-01 12:00:00.123"),
        ("datefloor(@ingestionTime, 1h)", "2026-01-01 12:00:00.000"),
        ("dateceil(@ingestionTime, 1h)", "2026-01-01 13:00:00.000"),
        ("dateceil(@timestamp, 1h)", "2026-01-01 12:00:00.000"),
        ("bin(1d)", "2026-01-01 00:00:00.000"),
        ("bin(300s)", "2026-01-01 12:00:00.000"),
        ("@timestamp", "2026-01-01 12:00:00.000"),
        ("1 / 4", "0.25"),
        ("0.1 + 0.2", "0.3"),
        ("6 / 2", "3"),
        ("1 / 0", None),
        ("-7 % 3", "-1"),
        ("9 ^ 9 ^ 9", None),
        ("level + 1", None),
        ("ok", "1"),
        ("'a\\'b\\n'", "a'b\n"),
    ],
)
def test_values(expression: str, expected: str | None) -> None:
    assert value(expression, ORDER) == expected


def test_bin_caps_its_count_as_aws_does() -> None:
    events = [event("a", NOON), event("a", NOON + 61_000)]
    assert len(compile_query("stats count(*) by bin(300s)").run(events, None).rows) == 2
    assert len(compile_query("stats count(*) by bin(5m)").run(events, None).rows) == 1


NUMBERS = [{"x": n, "k": "ab"[n % 2]} for n in (4, 1, 3, 2)]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("count(*)", "4"),
        ("COUNT()", "4"),
        ("count(y)", "0"),
        ("count(x)", "4"),
        ("count_distinct(k)", "2"),
        ("sum(x)", "10"),
        ("sum(x >= 3)", "2"),
        ("sum(nothing)", None),
        ("avg(x)", "2.5"),
        ("min(x)", "1"),
        ("max(x)", "4"),
        ("max(@timestamp)", "2026-01-01 12:00:03.000"),
        ("pct(x, 50)", "2"),
        ("pct(x, 100)", "4"),
        ("pct(x, 0)", "1"),
        ("median(x)", "2.5"),
        ("stddev(x)", "1.11803398874989"),
        ("earliest(x)", "4"),
        ("latest(x)", "2"),
        ("sortsFirst(k)", "a"),
        ("sortsLast(k)", "b"),
        ("sum(x) / count(*) * 100", "250"),
        ("ceil(avg(x)) + max(x)", "7"),
    ],
)
def test_aggregates(aggregate: str, expected: str | None) -> None:
    assert rows(f"stats {aggregate} as v", *NUMBERS)[0].get("v") == expected


def test_stats_by_field_time_and_expression() -> None:
    query = "stats count(*) as n, sum(x) by k, bin(5m), x > 2 as big | sort k, big desc"
    assert run(query, *NUMBERS).rows[0] == [
        ("k", "a"),
        ("bin(5m)", "2026-01-01 12:00:00.000"),
        ("big", "1"),
        ("n", "1"),
        ("sum(x)", "4"),
    ]


def test_stats_of_nothing_has_no_row() -> None:
    result = run("filter x > 9 | stats count(*)", *NUMBERS)
    assert (result.rows, result.records_matched, result.records_scanned) == ([], 0, 4)


def test_groups_keep_missing_keys_and_join_number_and_text() -> None:
    assert rows("stats count(*) as n by s", {"s": 200}, {"s": "200"}, {"t": 1}) == [
        {"s": "200", "n": "2"},
        {"n": "1"},
    ]


def test_second_stats_sees_the_columns_of_the_first() -> None:
    query = """fields strlen(@message) as size
        | STATS sum(size), max(@timestamp) as @t by k
        | filter `sum(size)` > 0 and sum( size ) > 1
        | STATS count(*) as groups by dateceil(@t, 1m) | fields groups * 2 as twice | display twice, groups"""
    assert run(query, *NUMBERS).rows == [[("twice", "4"), ("groups", "2")]]


def test_columns() -> None:
    shown = {
        "filter @message like 'a'": ["@timestamp", "@message", "@ptr"],
        "fields @message | fields strlen(@message), 1 as one": ["@message", "strlen(@message)", "one", "@ptr"],
        "fields @ptr, @message": ["@message", "@ptr"],
        "fields @message, 1 as one | display one | display @logStream, one": ["@logStream", "one", "@ptr"],
        "fields nothing, @message": ["@message", "@ptr"],
        "stats count(*) by @log": ["@log", "count(*)"],
        "stats count(*) as n by @log | display n": ["n"],
    }
    for query, columns in shown.items():
        assert [name for name, _ in run(query, "a").rows[0]] == columns, query


def test_pointers_differ_even_for_equal_events() -> None:
    result = compile_query("fields @message").run([event("a"), event("a")], None)
    assert len({dict(row)["@ptr"] for row in result.rows}) == 2


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("parse @message 'user=*, took *ms' as who, ms", {"who": "ann", "ms": "12"}),
        ("parse 'user=*,' as @who", {"@who": "ann"}),
        ("parse @message 'took *' as rest", {"rest": "12ms\nnext=a.b"}),
        ("parse @message /user=(?<who>[a-z]+), took (?<ms>\\d+)/", {"who": "ann", "ms": "12"}),
        ("parse @message /next=(?<a>\\w+)(?:\\/(?<b>\\w+))?/", {"a": "a"}),
        ("parse @message 'no * match' as who", {}),
        ("parse @message 'next=*' as n | parse n '*.*' as l, r", {"n": "a.b", "l": "a", "r": "b"}),
        ("parse nothing '*' as who", {}),
        ("parse @message 'took *ms' as ms | filter ms > 9", {"ms": "12"}),
    ],
)
def test_parse(command: str, expected: dict[str, str]) -> None:
    names = ("@who", "who", "ms", "rest", "a", "b", "n", "l", "r")
    shown = ", ".join(n for n in names if not n.startswith("@") or n in expected)
    assert rows(f"{command} | display {shown}", "user=ann, took 12ms\nnext=a.b") == [expected]


def test_sort_orders_as_documented() -> None:
    line = "!: # *%04 0# 5A 111A 2345_ @ @_ A A9876fghj a12345hfh 0 1 2 3 20"
    ordered = line.split()
    shuffled = [{"v": v} for v in sorted(ordered, key=lambda v: v[::-1])]
    assert [r["v"] for r in rows("fields v | sort v", *shuffled)] == ordered
    assert [r["v"] for r in rows("fields v | sort v desc", *shuffled)] == ordered[::-1]


def test_sort_by_several_keys_with_missing_values_last_when_descending() -> None:
    messages = [{"a": 1, "b": 1}, {"b": 9}, {"a": 2, "b": 5}, {"a": 1, "b": 2}]
    found = rows("fields a, b | sort a desc, b asc", *messages)
    assert [r["b"] for r in found] == ["5", "1", "2", "9"]


def test_without_sort_the_newest_come_first() -> None:
    assert [r["@message"] for r in rows("fields @message", "a", "b", "c")] == ["c", "b", "a"]


def test_dedup_keeps_the_first_in_order_and_all_with_missing_fields() -> None:
    messages = [{"s": "a", "n": 1}, {"s": "a", "n": 2}, {"n": 3}, {"n": 4}, {"s": "b", "n": 5}]
    assert [r["n"] for r in rows("fields n | dedup s", *messages)] == ["5", "4", "3", "2"]
    assert [r["n"] for r in rows("fields n | sort n | dedup s | limit 1", *messages)] == ["1"]
    assert len(rows("fields n | dedup s, n", *messages)) == 5


def test_limits_leave_records_matched_alone() -> None:
    query = compile_query("fields @message")
    events = [event(str(n)) for n in range(10_005)]
    assert len(query.run(events, None).rows) == 10_000
    assert len(query.run(events, 3).rows) == 3
    result = compile_query("filter @message < 10000 | limit 4").run(events, 3)
    assert (len(result.rows), result.records_matched) == (4, 10_000)
    for wrong in (0, 100_001):
        with pytest.raises(MalformedQuery, match="limit"):
            query.run(events, wrong)


def test_statistics() -> None:
    result = run("filter @message like 'é'", "é", "abc")
    assert (result.records_scanned, result.bytes_scanned, result.records_matched) == (2, 2 + 3 + 52, 1)


def test_at_most_200_fields_of_an_event() -> None:
    message = {f"f{n}": n for n in range(300)}
    assert value("f199", message) == "199"
    assert value("f200", message) is None


@pytest.mark.parametrize("message", ["plain", "{broken", '{"a": NaN}', "[1]", '"{}"', "", '{"a":' * 5000, "{}"])
def test_other_messages_have_system_fields_only(message: str) -> None:
    assert rows("fields a, @message", message) == [{"@message": message}]


def test_lambda_lines() -> None:
    report = (
        "REPORT RequestId: 8f-1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 50 MB\tInit Duration: 100.5 ms\t\n"
    )
    found = rows(
        "fields @type, @requestId, @duration, @billedDuration, @memorySize, @maxMemoryUsed | sort @timestamp",
        "START RequestId: 8f-1 Version: $LATEST",
        "END RequestId: 8f-1",
        report,
    )
    assert [list(row.values()) for row in found] == [
        ["START", "8f-1"],
        ["END", "8f-1"],
        ["REPORT", "8f-1", "12.34", "13", "128000000", "50000000"],
    ]


REFUSED = {
    "": "unexpected end",
    "fields": "unexpected end",
    "| fields a": "'|' at line 1 and position 1",
    "fields a |": "unexpected end",
    "fields a\n| filter x = ]": "unexpected symbol found ']' at line 2 and position 14",
    "fields a b": "'b' at line 1 and position 10",
    "shout a": "'shout'",
    "pattern @message": "command 'pattern' is not done",
    "unnest a into b": "command 'unnest' is not done",
    "filter a == 1": "'='",
    "filter a = 1 = 1": "'='",
    "filter a && b": "'&'",
    "filter a = true": "compare with 1 or 0",
    "filter 'a'": "not a condition",
    "filter a + 1": "not a condition",
    "filter strlen(a) and b": "not a condition",
    "filter a like '%b%'": "wildcards",
    "filter a like b": "'b'",
    "filter a like /[/": "regular expression",
    "filter a like /b": "unterminated regular expression",
    r"filter a like /(?<=a)b/": "regular expression|group",
    r"filter a like /(a)\1/": "backreference",
    "filter a like /b|(?i)c/": "write it first",
    "filter a like /[[:alpha:]]/": "POSIX",
    "filter a like /b++/": "possessive",
    "filter a in []": "']'",
    "filter a in [b]": "'b'",
    "filter a not = 1": "'='",
    "filter a = 'b": "unterminated string",
    "filter a = \"b'": "unterminated string",
    "fields `a": "unterminated field name",
    r"filter a = '\d'": "unknown escape",
    "filter @ingestiontime > 5": "'@ingestiontime' is unknown",
    "filter @timestamp > '2026-01-01'": "milliseconds",
    "filter bin(5m) in ['2026-01-01']": "milliseconds",
    "fields round(a)": "function 'round' is unknown",
    "fields now()": "function 'now' is unknown",
    "fields jsonParse(@message) as j": "function 'jsonparse' is unknown",
    "fields strlen()": "takes 1 arguments, 0 given",
    "fields substr(a)": "takes 2 to 3",
    "fields concat(*)": r"'\*'",
    "fields 5m": "'5m'",
    "fields bin(5)": "not a period",
    "fields bin(0m)": "not a period",
    "fields bin(1w)": "not a period",
    "fields datefloor(@timestamp)": "takes 2 arguments",
    "fields count(*)": "outside stats",
    "filter sum(a) > 1": "outside stats",
    "fields a as @message": "cannot be redefined",
    "display strlen(a)": "display takes fields",
    "stats a": "not an aggregate",
    "stats strlen(a) by b": "not an aggregate",
    "stats count(*) + a": "'a' is not available outside an aggregate",
    "stats sum(avg(a))": "inside another",
    "stats sum(*)": r"'\*'",
    "stats pct(a)": "takes 2 arguments",
    "stats pct(a, 101)": "percentage",
    "stats count(*) as n, sum(a) as n": "two columns",
    "stats count(*) by b | filter c = 1": "'c' is not available after stats",
    "stats count(*) by b | stats count(*) by bin(5m)": "'@timestamp' is not available",
    "stats count(*) as n by b | stats latest(n)": "needs @timestamp",
    "stats count(*) by b | stats count(*) | stats count(*)": "at most 2 stats",
    "sort a | stats count(*) by b | stats count(*)": "sort must stand after",
    "limit 5 | stats count(*)": "after limit",
    "limit 5 | limit 5": "after limit",
    "limit 5 | sort a": "after limit",
    "dedup a | filter b = 1": "only limit",
    "dedup strlen(a)": r"'\('",
    "limit 0": "whole number from 1",
    "limit 100001": "whole number from 1",
    "limit 1.5": "whole number from 1",
    "limit -1": "'-'",
    "limit x": "'x'",
    "sort": "unexpected end",
    "parse @message": "unexpected end",
    "parse @message 'a *'": "unexpected end",
    "parse @message 'a *' as b, c": "1 wildcards for 2 fields",
    "parse @message /a (.*)/": "named groups",
    "parse @message /a (?<b>.*)/ as c": "'as'",
    "fields " + "(" * 5000 + "a" + ")" * 5000: "10000 characters",
    "fields " + "(" * 500 + "a": "nested too deeply",
    "fields " + "-" * 500 + "a": "nested too deeply",
    "filter " + "not " * 500 + "a": "nested too deeply",
    "fields " + "+".join("a" * 500): "expression too long",
}


@pytest.mark.parametrize("query", REFUSED)
def test_refusals(query: str) -> None:
    with pytest.raises(MalformedQuery, match=REFUSED[query]) as refusal:
        compile_query(query)
    assert " at line " in str(refusal.value)


def test_long_lists_of_conditions_are_no_nesting() -> None:
    assert matches(" or ".join(f"a = {n}" for n in range(500)), {"a": 499})


# No deadline: a busy machine is no fault of the evaluator.
unhurried = settings(deadline=None)

LANGUAGE = (
    "fields filter stats sort parse limit dedup display by as and or not like in | , ( ) [ ] = != > + - * / ^ % =~"
    " a b.c @timestamp @message `x-y` 5 1.5 5m 'text' 'a*' /re(?<g>x)/ count(*) sum( bin( strlen( desc # \n"
)
WORDS = st.sampled_from(LANGUAGE.split(" "))
EVENTS = [event({"a": 1, "b": {"c": "x"}}), event("text"), event({"a": "9" * 400, "x-y": 1e300})]


@unhurried
@given(st.one_of(st.text(), st.lists(WORDS, max_size=12).map(" ".join)))
@example("fields a / 2 | filter a like /b/ | stats sum(a)")
def test_any_text_is_compiled_and_runs_or_is_refused(text: str) -> None:
    try:
        query = compile_query(text)
    except MalformedQuery:
        return
    query.run(EVENTS, None)


TIMES = st.lists(st.integers(NOON, NOON + 20 * MINUTE), max_size=60)


@unhurried
@given(TIMES, st.integers(0, MINUTE), st.integers(MINUTE // 2, 5 * MINUTE))
def test_windows_on_arrival_hold_each_event_exactly_once(times: list[int], early: int, length: int) -> None:
    events = [event(str(n), NOON, arrived) for n, arrived in enumerate(times)]
    found: list[str] = []
    for begin in range(NOON - early, NOON + 20 * MINUTE + 1, length):
        window = f"toMillis(@ingestionTime) >= {begin} and toMillis(@ingestionTime) < {begin + length}"
        found += [dict(row)["@message"] for row in compile_query(f"filter {window}").run(events, None).rows]
    assert sorted(found, key=int) == [str(n) for n in range(len(times))]


@unhurried
@given(TIMES, st.sampled_from(["7ms", "30s", "5m", "1h", "1d"]), st.integers(1, 4))
def test_counts_by_bin_sum_to_the_total(times: list[int], period: str, modulus: int) -> None:
    events = [event({"k": t % modulus}, t) for t in times]
    result = compile_query(f"stats count(*) as n by bin({period}), k").run(events, None)
    assert sum(int(dict(row)["n"]) for row in result.rows) == result.records_matched == len(times)


@unhurried
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40))
def test_aggregates_agree_with_python(numbers: list[int]) -> None:
    aggregates = "sum(n) as s, min(n) as lo, max(n) as hi, count_distinct(n) as d, pct(n, 50) as p"
    (row,) = rows(f"stats {aggregates}", *[{"n": n} for n in numbers])
    expected = [sum(numbers), min(numbers), max(numbers), len(set(numbers)), sorted(numbers)[(len(numbers) - 1) // 2]]
    assert [int(v) for v in row.values()] == expected


@unhurried
@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False) | st.none(), max_size=20))
def test_sort_is_a_total_order_over_any_values(values: list[Any]) -> None:
    ascending = [r.get("v") for r in rows("fields v | sort v", *[{"v": v} for v in values])]
    again = [r.get("v") for r in rows("fields v | sort v", *[{"v": v} for v in reversed(values)])]
    assert len(ascending) == len(values)
    assert sum(v is None for v in ascending) == sum(v is None for v in again)
