"""Tables over objects in S3: DDL, SerDes, partition projection, and the bytes that a query reads."""

# ruff: noqa: S608 - the SQL is the test's own

import gzip
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local_aws.athena_client import AUDIT, AUDIT_COLUMNS, BUCKET, TRAIL, Athena

JSON = "ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'"
CSV = "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
LINE = "1767571200123456,host,app,10.0.0.1,7,8,QUERY,shop,{},0"


def projected(columns: str, properties: str, template: str) -> str:
    return (
        f"CREATE EXTERNAL TABLE p (a string) PARTITIONED BY ({columns}) {CSV} LOCATION 's3://{BUCKET}/p/' "
        f"TBLPROPERTIES ('projection.enabled' = 'true', {properties}, "
        f"'storage.location.template' = 's3://{BUCKET}/p/{template}')"
    )


@pytest.fixture
def audit(athena: Athena) -> Athena:
    athena.run(AUDIT)
    return athena


@pytest.fixture
def trail(athena: Athena) -> Athena:
    athena.run(TRAIL)
    return athena


def test_ddl(athena: Athena) -> None:
    table = f"t (a string) {CSV} LOCATION 's3://{BUCKET}/t/'"
    assert athena.run(f"CREATE EXTERNAL TABLE {table}")["StatementType"] == "DDL"
    for again in (f"CREATE EXTERNAL TABLE {table}", "CREATE DATABASE logs"):
        assert "AlreadyExists" in athena.failure(again)
    for again in (f"CREATE EXTERNAL TABLE IF NOT EXISTS {table}", "CREATE DATABASE IF NOT EXISTS logs"):
        assert athena.run(again)["Status"]["State"] == "SUCCEEDED"
    names = athena.run("SHOW TABLES")["QueryExecutionId"]
    results = athena.athena.get_query_results(QueryExecutionId=names)["ResultSet"]["Rows"]
    assert results == [{"Data": [{"VarCharValue": "t"}]}]  # no header
    assert athena.run("-- why\n/* and */ DROP TABLE IF EXISTS logs.`t`;")["Status"]["State"] == "SUCCEEDED"
    assert athena.failure("SELECT a FROM t").startswith("TABLE_NOT_FOUND")
    assert athena.run("DROP TABLE IF EXISTS t")["Status"]["State"] == "SUCCEEDED"
    assert athena.failure("DROP TABLE t").startswith("TABLE_NOT_FOUND")
    assert athena.failure(f"CREATE EXTERNAL TABLE none.{table}").startswith("SCHEMA_NOT_FOUND")


def test_metadata_of_a_table(athena: Athena) -> None:
    own = "TBLPROPERTIES ('log_audit.definition' = 'abc')"
    athena.run(f"CREATE EXTERNAL TABLE t (a string) {CSV} LOCATION 's3://{BUCKET}/t/' {own}")
    asked = {"CatalogName": "AwsDataCatalog", "DatabaseName": "logs", "TableName": "t"}
    found = athena.athena.get_table_metadata(**asked)["TableMetadata"]
    assert (found["Columns"], found["PartitionKeys"]) == ([{"Name": "a", "Type": "string"}], [])
    assert found["Parameters"]["log_audit.definition"] == "abc"
    assert found["Parameters"]["location"] == f"s3://{BUCKET}/t/"
    for missing in ({"TableName": "u"}, {"DatabaseName": "none"}):
        with pytest.raises(athena.athena.exceptions.MetadataException):
            athena.athena.get_table_metadata(**(asked | missing))


@pytest.mark.parametrize(
    "text",
    [
        "MSCK REPAIR TABLE t",
        "ALTER TABLE t ADD PARTITION (day = '1')",
        "DESCRIBE t",
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE VIEW v AS SELECT 1 AS a",
        f"CREATE EXTERNAL TABLE t (a string) LOCATION 's3://{BUCKET}/t/'",
        f"CREATE EXTERNAL TABLE t (a string) STORED AS PARQUET LOCATION 's3://{BUCKET}/t/'",
        f"CREATE EXTERNAL TABLE t (a int) {CSV} LOCATION 's3://{BUCKET}/t/'",
        f"CREATE EXTERNAL TABLE t (a timestamp) {JSON} LOCATION 's3://{BUCKET}/t/'",
        f"CREATE EXTERNAL TABLE t (a string) PARTITIONED BY (b string) {CSV} LOCATION 's3://{BUCKET}/t/'",
        f"CREATE EXTERNAL TABLE t (a string) {CSV} LOCATION 's3://{BUCKET}/t/' "
        "TBLPROPERTIES ('skip.header.line.count' = '1')",
        "CREATE EXTERNAL TABLE t (a string) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' "
        f"LOCATION 's3://{BUCKET}/t/'",
    ],
)
def test_ddl_that_is_refused(athena: Athena, text: str) -> None:
    assert athena.failure(text).startswith("NOT_SUPPORTED")


def test_audit_lines(audit: Athena) -> None:
    statements = {
        r"'select a, b from t'": "select a, b from t",
        r"'select \'it, is\' -- 注文'": "select 'it, is' -- 注文",
        r"'a \\ b'": "a \\ b",
        r"'line\none'": "linenone",  # opencsv drops the backslash
        r"'it''s'": "it's",
        "''": "",
        "": "",
        "bare": "bare",
        "'say \"x\"'": 'say "x"',
    }
    lines = "".join(LINE.format(text) + "\n" for text in statements)
    audit.put("audit/main/2026/01/05/1.log", lines)
    audit.put("audit/main/2026/01/06/2.log.gz", lines.removesuffix("\n"))
    audit.put("audit/main/2026/01/07/3.log", LINE.format(r"'it \'is\', 表'").replace("\n", "\r\n") + "\r\n")
    for day in ("05", "06"):
        rows = audit.rows(f"SELECT object FROM audit WHERE day = '2026/01/{day}'")
        assert [row[0] for row in rows] == list(statements.values())
    assert audit.rows("SELECT object FROM audit WHERE day = '2026/01/07'") == [("it 'is', 表",)]
    header, row = audit.table("SELECT * FROM audit WHERE day = '2026/01/07'")
    assert header == (*AUDIT_COLUMNS, "cluster", "day")
    assert row[4:8] == ("7", "8", "QUERY", "shop")
    assert row[-2:] == ("main", "2026/01/07")


def test_audit_fields_are_texts_and_never_null(audit: Athena) -> None:
    audit.put("audit/main/2026/01/05/1.log", LINE.replace(",0", ",").format("t") + "\n")
    text = """SELECT retcode = '', retcode IS NULL, try_cast(retcode AS integer),
        from_unixtime(try_cast("timestamp" AS double) / 1e6) FROM audit"""
    assert audit.rows(text) == [("true", "false", None, "2026-01-05 00:00:00.123 UTC")]
    assert audit.failure("SELECT 1 FROM audit WHERE retcode = 0").startswith("TYPE_MISMATCH")


def test_odd_csv(athena: Athena) -> None:
    athena.run(f"CREATE EXTERNAL TABLE c (a string, b string) {CSV} LOCATION 's3://{BUCKET}/c'")
    athena.put("c/1", 'short\n"q","r",spare\n\nxx "y" z,2\n   "lead",3\nback\\,slash\n')
    assert athena.rows("SELECT a, b FROM c") == [
        ("short", None),
        ("q", "r"),
        (None, None),
        ('xx "y" z', "2"),
        ("lead", "3"),
        ("back", "slash"),
    ]
    athena.put("c/_hidden", "hidden,5\n")
    athena.put("c/sub/.also", "hidden,6\n")
    athena.put("c/sub/2", "deep,4\n")
    assert athena.rows("SELECT count(*) FROM c") == [("7",)]


def test_quotes_and_escapes_as_opencsv_reads_them(audit: Athena) -> None:
    """Each is what Trino's reader makes of the line; its tests say that Hive's OpenCSVSerde does the same."""
    read: dict[str, list[str | None]] = {
        # A quote without an end: the field is NULL, whatever separators are in it, and what stands before it is not.
        "1,db,'select a, b": ["1", "db", None],
        "'select a, b": [None, None, None],
        r"1,db,'select \'": ["1", "db", None],
        "1,'a' and 'b, 2": ["1", None, None],
        "1,db,bare,'spare": ["1", "db", "bare"],
        # A quote within a bare field is its own, and hides separators all the same.
        "1,select 'a', 2": ["1", "select 'a", " 2"],
        "1,select 'a, 2' b,c": ["1", "select 'a, 2' b", "c"],
        "1,o'neil,b": ["1", None, None],
        # In a bare field an escape holds once the field has begun.
        r"1,o\'neil,b": ["1", "o'neil", "b"],
        "1,o''neil,b": ["1", "o'neil", "b"],
        r"1,a\\b,c": ["1", "a\\b", "c"],
        r"1,\a\,b": ["1", "a", "b"],
        r"1,\'b\',c": ["1", None, None],
        # A doubled quote turns that off again: opencsv takes it for the field's beginning or end as well.
        r"1,o''\'neil,b": ["1", None, None],
        # Fields that are lacking are NULL, an empty one is not.
        "": [None, None, None],
        " ": [" ", None, None],
        "1": ["1", None, None],
        "1,": ["1", "", None],
        ",,": ["", "", ""],
    }
    for number, line in enumerate(read):
        audit.put(f"audit/main/2026/01/{number + 1:02d}/1.log", f"{line}\n")
    # No line changes what is made of the next.
    audit.put("audit/side/2026/01/05/1.log", "".join(f"{line}\n" for line in read))
    columns = 'SELECT "timestamp", serverhost, username FROM audit'
    for number, (line, fields) in enumerate(read.items()):
        day = f"2026/01/{number + 1:02d}"
        assert audit.rows(f"{columns} WHERE cluster = 'main' AND day = '{day}'") == [tuple(fields)], line
    assert audit.rows(f"{columns} WHERE cluster = 'side'") == [tuple(fields) for fields in read.values()]


def test_bad_objects(athena: Athena) -> None:
    athena.run(f"CREATE EXTERNAL TABLE c (a string) {CSV} LOCATION 's3://{BUCKET}/c/'")
    athena.s3.put_object(Bucket=BUCKET, Key="c/1.gz", Body=b"no gzip")
    assert athena.failure("SELECT a FROM c").startswith("HIVE_CURSOR_ERROR")
    athena.s3.put_object(Bucket=BUCKET, Key="c/1.gz", Body=gzip.compress(b"x\n") + gzip.compress(b"y\n"))
    assert athena.rows("SELECT a FROM c") == [("x",), ("y",)]
    athena.put("c/2.bz2", b"x")
    assert athena.failure("SELECT a FROM c").startswith("NOT_SUPPORTED")
    athena.run(f"CREATE EXTERNAL TABLE gone (a string) {CSV} LOCATION 's3://no-such-bucket/'")
    assert "NoSuchBucket" in athena.failure("SELECT a FROM gone")


RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::111111111111:assumed-role/chronos/x",
        "sessionContext": {"attributes": {"mfaAuthenticated": "false"}, "sessionIssuer": {"userName": "chronos"}},
    },
    "eventTime": "2026-01-05T00:00:00Z",
    "eventSource": "batch.amazonaws.com",
    "eventName": "SubmitJob",
    "userAgent": "AmazonEventBridgeScheduler, aws",
    "requestParameters": {"jobName": "夜", "tags": ["a"]},
    "responseElements": None,
    "eventID": "e1",
    "readOnly": False,
    "resources": [{"ARN": "arn:x", "accountId": "111111111111", "type": "T"}],
}


def test_cloudtrail(trail: Athena) -> None:
    trail.put_records("2026/01/05", [RECORD, RECORD | {"eventID": "e2", "errorCode": "AccessDenied"}])
    trail.put_records("2026/01/05", [])
    trail.put("AWSLogs/222222222222/CloudTrail/ap-northeast-1/2026/01/05/x.json", '{\n "Records" : []\n}')
    text = """SELECT eventid, useridentity.type, useridentity.sessioncontext.sessionissuer.username AS role,
        useridentity.invokedby, requestparameters, json_extract_scalar(requestparameters, '$.jobName'),
        responseelements, errorcode, readonly, resources[1].arn, account, day
        FROM trail WHERE day = '2026/01/05' ORDER BY eventid"""
    first, second = trail.rows(text)
    assert first == (
        *("e1", "AssumedRole", "chronos", None, '{"jobName":"夜","tags":["a"]}', "夜"),
        *(None, None, "false", "arn:x", "111111111111", "2026/01/05"),
    )
    assert (second[0], second[7]) == ("e2", "AccessDenied")
    assert trail.rows("SELECT count(*) FROM trail") == [("2",)]
    assert trail.rows("SELECT useridentity.sessioncontext.attributes FROM trail LIMIT 1") == [
        ("{mfaauthenticated=false}",)
    ]
    trail.put("AWSLogs/111111111111/CloudTrail/ap-northeast-1/2026/01/06/x.json.gz", '{"Records":[{"eventID":"e')
    assert trail.failure("SELECT count(*) FROM trail").startswith("HIVE_BAD_DATA")


def test_dedupe_and_window_as_the_audits_do(trail: Athena) -> None:
    late = RECORD | {"eventTime": "2026-01-04T23:59:59Z", "eventID": "e0"}
    trail.put_records("2026/01/05", [RECORD, late])
    trail.put_records("2026/01/06", [RECORD])
    text = """WITH raw AS (
        SELECT *, row_number() OVER (PARTITION BY eventid ORDER BY eventtime) AS n FROM trail
        WHERE day BETWEEN ? AND ? AND eventtime >= ? AND eventtime < ? AND starts_with(useragent, ?))
        SELECT eventid, from_iso8601_timestamp(eventtime) AS at FROM raw WHERE n = 1"""
    days = ["'2026/01/04'", "'2026/01/06'", "'2026-01-05T00:00:00Z'", "'2026-01-06T00:00:00Z'"]
    assert trail.rows(text, *days, "'AmazonEventBridgeScheduler'") == [("e1", "2026-01-05 00:00:00.000 UTC")]


def test_json_lines_and_types(athena: Athena) -> None:
    athena.run(f"CREATE EXTERNAL TABLE j (n bigint, d double, b boolean, s string, l array<string>) {JSON} "
               f"LOCATION 's3://{BUCKET}/j/'")  # fmt: skip
    athena.put("j/1", '{"N": 1, "d": 0.5, "b": true, "s": 12, "l": ["x", {"y": 1}]}\n\n{}\n')
    assert athena.rows("SELECT n, d, b, s, l FROM j") == [
        ("1", "0.5", "true", "12", '[x, {"y":1}]'),
        (None, None, None, None, None),
    ]
    assert athena.rows("SELECT x FROM j CROSS JOIN UNNEST(l) AS u(x) WHERE x <> 'x'") == [('{"y":1}',)]
    athena.put("j/2", "nonsense\n")
    assert athena.failure("SELECT n FROM j").startswith("HIVE_BAD_DATA")


def test_only_the_partitions_asked_for_are_read(audit: Athena) -> None:
    sizes = {}
    for cluster in ("main", "side"):
        for day in range(1, 6):
            content = (LINE.format("t") + "\n") * (day * (1 if cluster == "main" else 10))
            audit.put(f"audit/{cluster}/2026/01/{day:02d}/x.log", content)
            sizes[cluster, day] = len(content)
    main = [sizes["main", day] for day in range(1, 6)]
    scanned = {
        "day = '2026/01/02' AND cluster = 'main'": main[1],
        "cluster = 'main' AND day IN ('2026/01/02', '2026/01/04')": main[1] + main[3],
        "cluster = 'main' AND day BETWEEN '2026/01/02' AND '2026/01/04'": sum(main[1:4]),
        "cluster = 'main' AND day >= '2026/01/03' AND object = 't'": sum(main[2:]),
        "cluster = 'main' AND NOT day < '2026/01/04'": sum(main[3:]),
        "cluster = 'main' AND (day = '2026/01/01' OR day = '2026/01/05')": main[0] + main[4],
        "cluster = 'main' AND substr(day, 9) = '02'": main[1],
        "cluster = 'main' AND (day = '2026/01/01' OR object = 'x')": sum(main),
        "cluster = 'none'": 0,
        "day = '2025/12/31'": 0,
    }
    for condition, size in scanned.items():
        assert audit.scanned(f"SELECT count(*) FROM audit WHERE {condition}") == size, condition
    bound = audit.scanned("SELECT 1 FROM audit WHERE cluster = ? AND day > ?", "'main'", "'2026/01/04'")
    assert bound == main[4]
    twice = (
        "SELECT 1 FROM audit a JOIN audit b ON a.object = b.object WHERE a.day = ? AND b.day = ? AND a.cluster = 'main'"
    )
    assert audit.scanned(twice, "'2026/01/01'", "'2026/01/02'") == main[0] + main[1] + sizes["side", 2]
    # Rows of an outer join's other side are missing, not filtered: nothing may be left out there.
    outer = (
        "SELECT count(*) FROM (VALUES 't') AS v(o) LEFT JOIN audit a ON a.object = v.o "
        "WHERE a.day = '2026/01/09' OR a.day IS NULL"
    )
    assert audit.rows(outer) == [("0",)]


def test_what_lies_outside_the_projection_is_not_there(audit: Athena) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for key in (
        "main/2025/12/31/x",
        f"main/{tomorrow:%Y/%m/%d}/x",
        "other/2026/01/05/x",
        "main/2026/02/30/x",
        "main/x",
    ):
        audit.put(f"audit/{key}", LINE.format("t") + "\n")
    assert audit.rows("SELECT count(*) FROM audit") == [("0",)]
    assert audit.rows("SELECT object FROM audit WHERE day = '2025/12/31'") == []
    audit.put(f"audit/side/{datetime.now(UTC):%Y/%m/%d}/x", LINE.format("t") + "\n")
    assert audit.rows("SELECT cluster FROM audit") == [("side",)]


def test_integers(athena: Athena) -> None:
    athena.run(projected("n int", "'projection.n.type' = 'integer', 'projection.n.range' = '2,10', "
                         "'projection.n.interval' = '2', 'projection.n.digits' = '3'", "x${n}/"))  # fmt: skip
    for name in ("x002", "x4", "x005", "x010", "x012"):
        athena.put(f"p/{name}/o", f"{name}\n")
    assert athena.rows("SELECT a, n + 1 FROM p WHERE n > 1 ORDER BY n") == [("x002", "3"), ("x010", "11")]
    assert athena.scanned("SELECT a FROM p WHERE n > 2") == 5


@pytest.mark.parametrize(
    ("form", "settings", "inside", "outside"),
    [
        ("yyyy-MM-dd", "'range' = '2026-01-01,NOW'", ["2026-01-01"], ["2025-12-31"]),
        ("yyyy-MM", "'range' = '2025-01,NOW', 'interval' = '3', 'interval.unit' = 'MONTHS'", ["2025-04"], ["2025-05"]),
        ("yyyy/MM/dd/HH", "'range' = '2026/01/01/00,NOW', 'interval' = '6', 'interval.unit' = 'HOURS'",
         ["2026/01/02/18"], ["2026/01/02/19"]),
        ("yyyyMMdd", "'range' = '20260101,20260103', 'interval' = '2'", ["20260103"], ["20260102", "20260105"]),
    ],
)  # fmt: skip
def test_dates(athena: Athena, form: str, settings: str, inside: list[str], outside: list[str]) -> None:
    named = settings.replace("'range'", "'projection.d.range'").replace("'interval", "'projection.d.interval")
    properties = f"'projection.d.type' = 'date', 'projection.d.format' = '{form}', {named}"
    athena.run(projected("d string", properties, "${d}/"))
    for day in inside + outside:
        athena.put(f"p/{day}/o", "x\n")
    assert [row[0] for row in athena.rows("SELECT d FROM p")] == inside


def test_dates_relative_to_now(athena: Athena) -> None:
    athena.run(projected("d string", "'projection.d.type' = 'date', 'projection.d.format' = 'yyyy-MM-dd', "
                         "'projection.d.range' = 'NOW-2DAYS,NOW+1DAY'", "${d}/"))  # fmt: skip
    for days in range(-4, 4):
        athena.put(f"p/{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}/o", "x\n")
    assert athena.rows("SELECT count(*) FROM p") == [("4",)]


def test_injected(athena: Athena) -> None:
    athena.run(projected("id string", "'projection.id.type' = 'injected'", "${id}/"))
    for name in ("one", "two", "three"):
        athena.put(f"p/{name}/o", f"{name}\n")
    assert athena.rows("SELECT a FROM p WHERE id = ?", "'two'") == [("two",)]
    assert athena.rows("SELECT a FROM p WHERE id IN ('one', 'two') ORDER BY a") == [("one",), ("two",)]
    for condition in ("", "WHERE id > 'a'", "WHERE id = 'one' OR a = 'x'", "WHERE id LIKE 'o%'"):
        assert athena.failure(f"SELECT a FROM p {condition}").startswith("CONSTRAINT_VIOLATION")


def test_the_default_template_is_hives(athena: Athena) -> None:
    text = projected("d string", "'projection.d.type' = 'enum', 'projection.d.values' = 'a,b'", "x")
    athena.run(text[: text.index(", 'storage")] + ")")
    athena.put("p/d=a/o", "x\n")
    athena.put("p/a/o", "y\n")
    assert athena.rows("SELECT a, d FROM p") == [("x", "a")]


@pytest.mark.parametrize(
    ("properties", "template"),
    [
        ("'projection.d.type' = 'enum'", "${d}/"),
        ("'projection.d.type' = 'enum', 'projection.d.values' = 'a'", "${other}/"),
        ("'projection.d.type' = 'enum', 'projection.d.values' = 'a'", "${d}"),
        ("'projection.d.type' = 'enum', 'projection.d.values' = 'a', 'projection.d.range' = '1,2'", "${d}/"),
        ("'projection.d.type' = 'date', 'projection.d.range' = '2026,NOW'", "${d}/"),
        ("'projection.d.type' = 'date', 'projection.d.range' = '1,NOW', 'projection.d.format' = 'yyyy-MM-dd'", "${d}/"),
        ("'projection.d.type' = 'date', 'projection.d.range' = '2026/01/01/00,NOW', "
         "'projection.d.format' = 'yyyy/MM/dd/HH'", "${d}/"),
        ("'projection.d.type' = 'regex'", "${d}/"),
        ("'projection.d.type' = 'enum', 'projection.d.values' = 'a', 'projection.e.type' = 'injected'", "${d}/"),
    ],
)  # fmt: skip
def test_wrong_projections(athena: Athena, properties: str, template: str) -> None:
    assert athena.failure(projected("d string", properties, template)).startswith("INVALID_TABLE_PROPERTY")


def test_two_hundred_thousand_audit_rows(audit: Athena) -> None:
    text = r"'select * from orders where name = \'x, y\' -- 注文'"
    line = LINE.format(text)
    for day in range(1, 21):
        lines = "".join(f"{line.replace('app', f'user{n % 50}')}\n" for n in range(10_000))
        audit.put(f"audit/main/2026/01/{day:02d}/x.log.gz", lines)
    started = time.monotonic()
    rows = audit.rows("SELECT username, count(*) FROM audit WHERE object LIKE '%orders%' GROUP BY 1 ORDER BY 1")
    assert (len(rows), rows[0]) == (50, ("user0", "4000"))
    assert time.monotonic() - started < 20
    started = time.monotonic()
    assert audit.rows("SELECT count(*) FROM audit WHERE day = ?", "'2026/01/07'") == [("10000",)]
    assert time.monotonic() - started < 20


def test_two_hundred_thousand_cloudtrail_records(trail: Athena) -> None:
    for day in range(1, 21):
        trail.put_records(f"2026/01/{day:02d}", [RECORD | {"eventID": f"{day}-{n}"} for n in range(10_000)])
    started = time.monotonic()
    text = """SELECT useridentity.sessioncontext.sessionissuer.username, count(DISTINCT eventid),
        max(json_extract_scalar(requestparameters, '$.jobName')) FROM trail WHERE eventname = 'SubmitJob' GROUP BY 1"""
    assert trail.rows(text) == [("chronos", "200000", "夜")]
    assert time.monotonic() - started < 60  # 2 to 3 seconds on an idle machine of two cores
