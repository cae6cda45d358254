"""What SELECT means: Trino's answers where DuckDB's differ, and refusals in place of guesses."""

# ruff: noqa: S608 - the SQL is the test's own

import time

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.athena_client import Athena

# Several to a query, since each query costs a tenth of a second.
VALUES = {
    "numbers": {
        "7 / 2": "3",
        "-7 / 2": "-3",
        "7 / 2e0": "3.5",
        "1 / 0e0": "Infinity",
        "7 % 3": "1",
        "CAST(2.5e0 AS integer)": "3",
        "1e7": "1.0E7",
        "12345678.9e0": "1.23456789E7",
        "1e-4": "1.0E-4",
        "2.5e-3": "0.0025",
        "CAST(1.5 AS decimal(10, 2))": "1.50",
        "100.0 * 2": "200.0",
        "round(66.66e0, 1)": "66.7",
    },
    "casts": {
        "TRY_CAST('1.5' AS integer)": None,
        "TRY_CAST(' 1' AS integer)": None,
        "TRY_CAST('x' AS double)": None,
        "TRY_CAST('1e3' AS double)": "1000.0",
        "TRY_CAST('' AS bigint)": None,
        "CAST('-12' AS bigint) + 1": "-11",
        "TRY(CAST('x' AS integer))": None,
        "TRY(1 / 0)": None,
        "TRY_CAST('2026/01/02' AS date)": None,
        "TRY_CAST('yes' AS boolean)": None,
        "CAST('T' AS boolean)": "true",
        "CAST(12 AS varchar) || 'a'": "12a",
        "CAST(date '2026-01-02' AS varchar)": "2026-01-02",
        "CAST('2026-01-02 03:04' AS timestamp)": "2026-01-02 03:04:00.000",
    },
    "text": {
        "split_part('a,b', ',', 2)": "b",
        "split_part('a,b', ',', 3)": None,
        "regexp_extract('abc', 'x')": None,
        "regexp_extract('abc', '(b)(c)', 2)": "c",
        "regexp_replace('aXb', '(X)', '[$1]')": "a[X]b",
        "regexp_like('abc', '^ab')": "true",
        "concat('a', NULL)": None,
        "concat_ws('-', 'a', NULL, 'b')": "a-b",
        "'a' || 'b'": "ab",
        "substr('abc', 0)": "",
        "substr('abc', -5)": "",
        "substr('abc', -2)": "bc",
        "substring('abc', 2, 1)": "b",
        "length('日本')": "2",
        "trim(' \tx\n')": "x",
        "strpos('abc', 'c')": "3",
        "replace('abc', 'b')": "ac",
        "'a_c' LIKE 'a\\_c' ESCAPE '\\'": "true",
        "'A' < 'a'": "true",
        "url_extract_host('https://u@a.example:80/c')": "a.example",
    },
    "json and arrays": {
        """json_extract_scalar('{"a":{"b":"c"}}', '$.a.b')""": "c",
        """json_extract_scalar('{"a":{}}', '$.a')""": None,
        """json_extract_scalar('{"a":[1]}', '$.a')""": None,
        """json_extract_scalar('{"a":[1]}', '$.a[0]')""": "1",
        """json_extract_scalar('{"a b":true}', '$["a b"]')""": "true",
        """json_extract_scalar('{"a":null}', '$.a')""": None,
        "json_extract_scalar('not json', '$.a')": None,
        """json_extract('{"a": {"b": [1, 2]}}', '$.a')""": '{"b":[1,2]}',
        """cardinality(CAST(json_extract('["x"]', '$') AS array(varchar)))""": "1",
        "element_at(ARRAY[1], 2)": None,
        "element_at(split('a,b', ','), -1)": "b",
        "split('a,b', ',')[2]": "b",
        "array_join(ARRAY['a', NULL, 'b'], ',')": "a,b",
        "array_distinct(ARRAY[3, 1, 3, NULL])": "[3, 1, null]",
        "contains(ARRAY[1, NULL], 1)": "true",
        "contains(ARRAY[1, NULL], 2)": None,
        "greatest(1, NULL)": None,
        "least('b', 'a')": "a",
        "coalesce(NULL, 'a')": "a",
        "nullif(1, 1)": None,
        "if(1 = 2, 'a')": None,
        "CASE 'x' WHEN 'x' THEN 1 ELSE 2 END": "1",
    },
    "times": {
        "from_unixtime(0)": "1970-01-01 00:00:00.000 UTC",
        "from_unixtime(1.5)": "1970-01-01 00:00:01.500 UTC",
        "to_unixtime(from_iso8601_timestamp('1970-01-01T00:01:00Z'))": "60.0",
        "from_iso8601_timestamp('2026-01-01T00:00:00Z') - INTERVAL '1' HOUR": "2025-12-31 23:00:00.000 UTC",
        "TRY(from_iso8601_timestamp('junk'))": None,
        "to_iso8601(from_unixtime(0))": "1970-01-01T00:00:00.000Z",
        "date_trunc('month', date '2026-01-15')": "2026-01-01",
        "date_trunc('hour', timestamp '2026-01-15 10:20:30')": "2026-01-15 10:00:00.000",
        "date_add('month', 1, date '2026-01-31')": "2026-02-28",
        "date '2026-01-31' + INTERVAL '1' DAY": "2026-02-01",
        "date_diff('hour', timestamp '2026-01-01 00:30:00', timestamp '2026-01-01 02:00:00')": "1",
        "date_diff('day', date '2026-01-01', date '2026-02-01')": "31",
        "date_format(from_unixtime(0), '%Y-%m-%d %H:%i:%s %W')": "1970-01-01 00:00:00 Thursday",
        "format_datetime(from_unixtime(0), 'yyyy-MM-dd''T''HH:mm:ss.SSS')".replace("''T''", " "): (
            "1970-01-01 00:00:00.000"
        ),
        "date_parse('2026-01-02 03', '%Y-%m-%d %H')": "2026-01-02 03:00:00.000",
        "hour(from_unixtime(0) AT TIME ZONE 'Asia/Tokyo')": "9",
        "day_of_week(at_timezone(from_iso8601_timestamp('2026-01-03T20:00:00Z'), 'Asia/Tokyo'))": "7",
        "CAST(from_iso8601_timestamp('2026-01-03T20:00:00Z') AT TIME ZONE 'Asia/Tokyo' AS date)": "2026-01-04",
        "date_format(date_trunc('hour', from_unixtime(0) AT TIME ZONE 'Asia/Tokyo'), '%H:%i')": "09:00",
        "extract(dow FROM date '2026-01-04')": "7",
        "current_timestamp BETWEEN timestamp '2026-01-01 00:00:00' AND timestamp '2100-01-01 00:00:00'": "true",
        "now() = current_timestamp": "true",
        "date(timestamp '2026-01-02 03:00:00') = date '2026-01-02'": "true",
    },
}


@pytest.mark.parametrize("group", VALUES)
def test_values_as_in_trino(athena: Athena, group: str) -> None:
    expressions = VALUES[group]
    (row,) = athena.rows(f"SELECT {', '.join(expressions)}")
    assert dict(zip(expressions, row, strict=True)) == expressions


ROWS = "(VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'a', NULL)) AS t(n, k, v)"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"SELECT k, count(*), count(v), sum(n), avg(n) FROM {ROWS} GROUP BY 1 ORDER BY 1", "a 2 1 4 2.0|b 1 1 2 2.0"),
        (f"SELECT k FROM {ROWS} GROUP BY k HAVING count(*) > 1 AND max(v) = 'x'", "a"),
        (f"SELECT min_by(v, n), max_by(v, n), max_by(k, n) FROM {ROWS}", "x None a"),
        (f"SELECT approx_distinct(k), count(DISTINCT k), count_if(n > 1) FROM {ROWS}", "2 2 2"),
        (f"SELECT array_agg(n ORDER BY n DESC) FROM {ROWS}", "[3, 2, 1]"),
        (f"SELECT array_join(array_agg(DISTINCT k), '') FROM {ROWS} WHERE k = 'a'", "a"),
        (f"SELECT approx_percentile(n, 0.5), bool_and(n > 0), bool_or(n > 5) FROM {ROWS}", "2 true false"),
        (f"SELECT count(*) FILTER (WHERE v IS NULL), arbitrary(v) FROM {ROWS}", "1 x"),
        (f"SELECT n, row_number() OVER (PARTITION BY k ORDER BY n) FROM {ROWS} ORDER BY n", "1 1|2 1|3 2"),
        (f"SELECT n, lag(n) OVER (ORDER BY n), lead(n, 1, 0) OVER (ORDER BY n) FROM {ROWS} ORDER BY 1",
         "1 None 2|2 1 3|3 2 0"),
        (f"SELECT rank() OVER (ORDER BY k), first_value(n) OVER (PARTITION BY k ORDER BY n), "
         f"sum(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {ROWS} ORDER BY n",
         "1 1 1|3 2 3|1 1 5"),
        ("SELECT x FROM UNNEST(ARRAY[2, 1]) AS u(x) ORDER BY x", "1|2"),
        (f"SELECT n, w FROM {ROWS} CROSS JOIN UNNEST(split('p q', ' ')) AS u(w) WHERE n = 1 ORDER BY w", "1 p|1 q"),
        (f"WITH a AS (SELECT n, k FROM {ROWS}), b AS (SELECT max(n) AS m FROM a) SELECT k FROM a JOIN b ON n = m", "a"),
        (f"SELECT a.n, b.n FROM {ROWS} LEFT JOIN (VALUES 1) AS b(n) ON t.n = b.n".replace("a.n, b.n", "t.n, b.n")
         + " ORDER BY 1 OFFSET 1 LIMIT 1", "2 None"),
        (f"SELECT n FROM {ROWS} WHERE k IN (SELECT 'b') OR EXISTS (SELECT 1 FROM (VALUES 3) AS q(m) WHERE q.m = t.n) "
         "ORDER BY n", "2|3"),
        ("SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 2 ORDER BY a DESC", "2|2|1"),
        ("SELECT 1 UNION SELECT 1", "1"),
        (f"SELECT v FROM {ROWS} ORDER BY v DESC", "x|x|None"),
        (f"SELECT k AS name FROM {ROWS} ORDER BY name DESC, n LIMIT 2", "b|a"),
    ],
)  # fmt: skip
def test_queries(athena: Athena, text: str, rows: str) -> None:
    assert "|".join(" ".join(map(str, row)) for row in athena.rows(text)) == rows


def test_output_names(athena: Athena) -> None:
    text = 'SELECT n AS "Total N", upper(k), t.v, 1, count(*) AS Cnt FROM ' + ROWS + " GROUP BY 1, 2, 3 LIMIT 1"
    assert athena.table(text)[0] == ("Total N", "_col1", "v", "_col3", "Cnt")
    assert athena.table(f"SELECT *, n + 1 FROM {ROWS} LIMIT 1")[0] == ("n", "k", "v", "_col3")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT len('a')", "FUNCTION_NOT_FOUND"),
        ("SELECT list_value(1)", "FUNCTION_NOT_FOUND"),
        ("SELECT split_part('a', ',')", "FUNCTION_NOT_FOUND"),
        (f"SELECT zz FROM {ROWS}", "COLUMN_NOT_FOUND"),
        (f"SELECT upper(k) AS u FROM {ROWS} WHERE u = 'A'", "COLUMN_NOT_FOUND"),
        (f"SELECT upper(k) AS u FROM {ROWS} GROUP BY u", "COLUMN_NOT_FOUND"),
        (f"SELECT k AS u FROM {ROWS} GROUP BY k HAVING u = 'a'", "COLUMN_NOT_FOUND"),
        (f"SELECT n AS u, u + 1 FROM {ROWS}", "COLUMN_NOT_FOUND"),
        ("SELECT _col0 FROM (SELECT 1 + 1)", "COLUMN_NOT_FOUND"),
        ("SELECT 1 FROM nosuch", "TABLE_NOT_FOUND"),
        (f"SELECT k, n FROM {ROWS} GROUP BY k", "EXPRESSION_NOT_AGGREGATE"),
        (f"SELECT 1 FROM {ROWS} WHERE k = 1", "TYPE_MISMATCH"),
        (f"SELECT 1 FROM {ROWS} WHERE n = '1'", "TYPE_MISMATCH"),
        (f"SELECT 1 FROM {ROWS} WHERE n IN ('1')", "TYPE_MISMATCH"),
        (f"SELECT 1 FROM {ROWS} WHERE n BETWEEN '1' AND '2'", "TYPE_MISMATCH"),
        (f"SELECT 1 FROM {ROWS} WHERE n IN (SELECT k FROM {ROWS})", "TYPE_MISMATCH"),
        (f"SELECT 1 FROM {ROWS} WHERE n", "TYPE_MISMATCH"),
        (f"SELECT n || 'a' FROM {ROWS}", "TYPE_MISMATCH"),
        (f"SELECT k + 1 FROM {ROWS}", "TYPE_MISMATCH"),
        (f"SELECT sum(k) FROM {ROWS}", "TYPE_MISMATCH"),
        ("SELECT coalesce(1, 'a')", "TYPE_MISMATCH"),
        ("SELECT if(true, 1, 'a')", "TYPE_MISMATCH"),
        ("SELECT '2026-01-01' < date '2026-01-01'", "TYPE_MISMATCH"),
        ("SELECT '2026-01-01T00:00:00Z' < current_timestamp", "TYPE_MISMATCH"),
        ("SELECT 1 UNION ALL SELECT 'a'", "TYPE_MISMATCH"),
        ("SELECT 1 UNION ALL SELECT 1, 2", "TYPE_MISMATCH"),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT"),
        ("SELECT ARRAY[1][2]", "INVALID_CAST_ARGUMENT"),
        ("SELECT row_number()", "MISSING_OVER"),
        ("SELECT date_trunc('decade', current_date)", "INVALID_FUNCTION_ARGUMENT"),
        ("SELECT date_add('hour', 1, current_date)", "INVALID_FUNCTION_ARGUMENT"),
        # Right in Athena, but not done truly here.
        ("SELECT from_unixtime(0) AT TIME ZONE 'Asia/Tokyo'", "NOT_SUPPORTED"),
        ("SELECT from_unixtime(0) AT TIME ZONE 'Asia/Tokyo' = from_unixtime(0)", "NOT_SUPPORTED"),
        ("SELECT min(from_unixtime(0) AT TIME ZONE 'Asia/Tokyo')", "NOT_SUPPORTED"),
        ("SELECT from_iso8601_timestamp('2026-01-01T00:00:00+09:00')", "INVALID_CAST_ARGUMENT"),
        ("SELECT CAST(1e0 AS varchar)", "NOT_SUPPORTED"),
        ("SELECT CAST(current_timestamp AS varchar)", "NOT_SUPPORTED"),
        ("SELECT CAST('a' AS varchar(3))", "NOT_SUPPORTED"),
        ("SELECT 1.0 / 3", "NOT_SUPPORTED"),
        ("SELECT date '2026-01-02' - date '2026-01-01'", "TYPE_MISMATCH"),
        ("SELECT regexp_extract('b', '(a)?b', 1)", "NOT_SUPPORTED"),
        ("SELECT regexp_extract('b', '(a)|(b)', 1)", "NOT_SUPPORTED"),
        ("SELECT json_extract_scalar('{}', '$..a')", "NOT_SUPPORTED"),
        ("SELECT date_format(current_date, '%U')", "NOT_SUPPORTED"),
        ("SELECT transform(ARRAY[1], x -> x + 1)", "NOT_SUPPORTED"),
        (f"SELECT k FROM {ROWS} GROUP BY ROLLUP (k)", "NOT_SUPPORTED"),
        (f"SELECT k FROM {ROWS} TABLESAMPLE BERNOULLI (10)", "NOT_SUPPORTED"),
        ("SELECT 1 FROM other.db.t", "NOT_SUPPORTED"),
        ("INSERT INTO t VALUES (1)", "NOT_SUPPORTED"),
        ("DELETE FROM t", "NOT_SUPPORTED"),
        ("UPDATE t SET a = 1", "NOT_SUPPORTED"),
        ("EXPLAIN SELECT 1", "NOT_SUPPORTED"),
    ],
)
def test_failures(athena: Athena, text: str, reason: str) -> None:
    assert athena.failure(text).startswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '1'::integer",
        "SELECT 1 WHERE 'a' ILIKE 'A'",
        "SELECT 1 AS a QUALIFY true",
        "SELECT 1 LIMIT 1 OFFSET 1",
        "SELECT `a` FROM t",
        "SELECT 1 WHERE 1 == 1",
    ],
)
def test_syntax_of_other_dialects_is_refused_at_once(athena: Athena, text: str) -> None:
    with pytest.raises(ClientError, match="InvalidRequestException"):
        athena.start(text)


def test_rows_come_back_in_order(athena: Athena) -> None:
    digits = ", ".join(map(str, range(10)))
    tens = " CROSS JOIN ".join(f"d {name}" for name in "abcd")
    started = time.monotonic()
    rows = athena.rows(
        f"WITH d(n) AS (VALUES {digits}) "
        f"SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS x FROM {tens} ORDER BY x DESC"
    )
    assert rows == [(str(n),) for n in range(9_999, -1, -1)]
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ?",
        f"SELECT k, n > ? FROM {ROWS} WHERE k = 'a'",
        f"SELECT k FROM {ROWS} GROUP BY k HAVING count(*) >= ?",
        f"SELECT k FROM {ROWS} GROUP BY k, n > ?",
        f"SELECT k FROM {ROWS} ORDER BY n > ?",
        f"SELECT k FROM {ROWS} LIMIT ?",
        f"SELECT lag(n, ?) OVER (ORDER BY n) FROM {ROWS}",
        f"SELECT count(*) FILTER (WHERE n > ?) FROM {ROWS}",
        f"SELECT 1 FROM {ROWS} JOIN (VALUES 1) AS u(m) ON n > ?",
        "SELECT n FROM (VALUES 1, ?) AS t(n)",
        f"WITH a AS (SELECT n > ? AS big FROM {ROWS}) SELECT 1 FROM a WHERE big",
        f"SELECT 1 FROM {ROWS} WHERE n IN (SELECT ?)",
        f"SELECT 1 FROM {ROWS} WHERE n = (SELECT max(n) FROM {ROWS} HAVING count(*) > ?)",
        f"SELECT 1 FROM {ROWS} WHERE n IN (SELECT 1 UNION SELECT 2 LIMIT ?)",
        "SELECT 1 UNION SELECT 2 LIMIT ?",
    ],
)
def test_a_parameter_outside_of_where_is_refused_at_once(athena: Athena, text: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidRequestException.*'\?'.*parameters in WHERE only; move"):
        athena.start(text, "1")


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT k FROM {ROWS} WHERE n >= ? GROUP BY k ORDER BY k",
        f"SELECT k FROM {ROWS} WHERE CASE WHEN k = 'a' THEN abs(n + ?) > 0 ELSE NOT (n IN (0, 9)) END",
        f"SELECT k FROM (SELECT * FROM {ROWS} WHERE n = ?) AS a ORDER BY k LIMIT 5",
        f"WITH a AS (SELECT * FROM {ROWS} WHERE n IN (?, 2)) SELECT count(*) FROM a HAVING count(*) > 0",
        f"SELECT 1 FROM {ROWS} WHERE n IN (SELECT n FROM {ROWS} WHERE n = ?)",
        f"SELECT 1 UNION ALL (SELECT n FROM {ROWS} WHERE n = ?)",
        f"SELECT count(*) FILTER (WHERE k = 'a') FROM {ROWS} WHERE EXISTS (SELECT 1 FROM {ROWS} WHERE n = ?)",
    ],
)
def test_a_parameter_in_any_where_is_taken(athena: Athena, text: str) -> None:
    assert athena.rows(text, "1") == athena.rows(text.replace("?", "1")) != []
