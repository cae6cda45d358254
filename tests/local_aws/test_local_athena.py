"""Athena's API over HTTP: states, tokens, parameters, results, workgroups. SQL and tables have tests of their own."""

# ruff: noqa: S608 - the SQL is the test's own

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.control import Control
from tests.local_aws.athena_client import BUCKET, OUTPUT, Athena

TOKEN = "t" * 32


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    error = raised.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_life_cycle(aws: Control, athena: Athena) -> None:
    aws.configure(athena_queued_seconds=0.3, athena_running_seconds=0.4)
    execution_id = athena.start("SELECT 1")
    seen = []
    while not seen or seen[-1] in ("QUEUED", "RUNNING"):
        found = athena.athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
        seen.append(found["Status"]["State"])
        time.sleep(0.02)
    assert list(dict.fromkeys(seen)) == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert found["Statistics"]["QueryQueueTimeInMillis"] == pytest.approx(300, abs=5)
    assert found["Statistics"]["EngineExecutionTimeInMillis"] >= 395
    assert found["Statistics"]["TotalExecutionTimeInMillis"] >= 695
    assert found["Status"]["CompletionDateTime"] > found["Status"]["SubmissionDateTime"]
    assert found["ResultConfiguration"]["OutputLocation"] == f"{OUTPUT}{execution_id}.csv"
    assert [call["status"] for call in aws.calls("athena.StartQueryExecution")][-1] == 200


def test_results_are_refused_until_success(aws: Control, athena: Athena) -> None:
    aws.configure(athena_running_seconds=60)
    running = athena.start("SELECT 1")
    results = athena.athena.get_query_results
    assert "not yet finished" in error_of(lambda: results(QueryExecutionId=running))
    athena.athena.stop_query_execution(QueryExecutionId=running)
    assert athena.end(running)["Status"]["State"] == "CANCELLED"
    assert "Final query state: CANCELLED" in error_of(lambda: results(QueryExecutionId=running))
    assert "was not found" in error_of(lambda: results(QueryExecutionId="none"))
    aws.configure(athena_running_seconds=0)
    failed = athena.run("SELECT x FROM nosuch")["QueryExecutionId"]
    assert "Final query state: FAILED" in error_of(lambda: results(QueryExecutionId=failed))


def test_stopping_what_has_ended_changes_nothing(athena: Athena) -> None:
    execution_id = athena.run("SELECT 1")["QueryExecutionId"]
    athena.athena.stop_query_execution(QueryExecutionId=execution_id)
    assert athena.end(execution_id)["Status"]["State"] == "SUCCEEDED"


@pytest.mark.parametrize(("outcome", "retryable"), [("FAILED", False), ("FAILED_RETRYABLE", True)])
def test_outcomes(aws: Control, athena: Athena, outcome: str, retryable: bool) -> None:
    aws.configure(athena_outcome=outcome)
    status = athena.run("SELECT 1")["Status"]
    assert status["State"] == "FAILED"
    assert status["AthenaError"]["Retryable"] is retryable
    assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
    assert status["AthenaError"]["ErrorCategory"] == (1 if retryable else 2)


def test_tokens(athena: Athena) -> None:
    first = athena.start("SELECT 1", ClientRequestToken=TOKEN)
    assert athena.start("SELECT 1", ClientRequestToken=TOKEN) == first
    other = error_of(lambda: athena.start("SELECT 2", ClientRequestToken=TOKEN))
    assert other.startswith("InvalidRequestException: Idempotent")
    assert athena.start("SELECT 1", ClientRequestToken="u" * 128) != first
    assert "128 characters" in error_of(lambda: athena.start("SELECT 1", ClientRequestToken="u" * 129))


def test_a_failed_query_comes_back_by_its_token(athena: Athena) -> None:
    first = athena.run("SELECT a FROM nosuch", ClientRequestToken=TOKEN)
    athena.run("CREATE EXTERNAL TABLE nosuch (a string) ROW FORMAT SERDE "
               f"'org.apache.hive.hcatalog.data.JsonSerDe' LOCATION 's3://{BUCKET}/none/'")  # fmt: skip
    again = athena.run("SELECT a FROM nosuch", ClientRequestToken=TOKEN)
    assert again["QueryExecutionId"] == first["QueryExecutionId"]
    assert again["Status"]["State"] == "FAILED"
    assert athena.rows("SELECT a FROM nosuch") == []


def test_parameters(athena: Athena) -> None:
    text = "SELECT '?' -- why ?\nWHERE 'it''s 日本?' = ? AND 1.50 = ? AND 5 -? = 7 AND ? IS NULL AND '?' = ?"
    assert athena.rows(text, "'it''s 日本?'", "1.50", "-2", "null", "'?'") == [("?",)]
    assert athena.rows("SELECT n FROM (VALUES 1, 2, 3) AS t(n) WHERE n BETWEEN ? AND ?", "2", "9") == [("2",), ("3",)]


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SELECT 1 WHERE 1 = ?", ["1", "2"]),
        ("SELECT 1 WHERE ? = ?", ["1"]),
        ("SELECT 1", ["1"]),
        ("SELECT 1 WHERE 1 = ?", []),
        ("SELECT 1 WHERE 1 = ?", ["bare"]),
        ("SELECT 1 WHERE 'a' = ?", ["'a' OR 1=1"]),
        ("SELECT 1 WHERE 'a' = ?", ["'a"]),
        ("SELECT 1 WHERE 1 = ?", ["1; DROP TABLE t"]),
    ],
)
def test_parameters_must_be_literals_and_as_many(athena: Athena, text: str, parameters: list[str]) -> None:
    assert athena.failure(text, *parameters).startswith("INVALID_PARAMETER_USAGE")


def test_parameter_bounds(athena: Athena) -> None:
    assert "1024" in error_of(lambda: athena.start("SELECT 1 WHERE 'x' = ?", f"'{'x' * 1023}'"))
    assert "SELECT only" in error_of(lambda: athena.start("CREATE DATABASE x", "1"))


def test_pages(athena: Athena) -> None:
    digits = ", ".join(map(str, range(10)))
    text = (
        f"WITH d(n) AS (VALUES {digits}) SELECT a.n * 1000 + b.n * 100 + c.n * 10 + e.n AS n "
        "FROM d a CROSS JOIN d b CROSS JOIN d c CROSS JOIN d e WHERE a.n < 2 ORDER BY n"
    )
    execution_id = athena.run(text)["QueryExecutionId"]
    pages, token = [], {}
    while True:
        page = athena.athena.get_query_results(QueryExecutionId=execution_id, **token)
        pages.append([row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [len(page) for page in pages] == [1000, 1000, 1]
    assert pages[0][:2] == ["n", "0"]
    assert [one for page in pages for one in page][1:] == [str(n) for n in range(2000)]
    small = athena.athena.get_query_results(QueryExecutionId=execution_id, MaxResults=1)
    assert small["ResultSet"]["Rows"] == [{"Data": [{"VarCharValue": "n"}]}]
    too_many = error_of(lambda: athena.athena.get_query_results(QueryExecutionId=execution_id, MaxResults=1001))
    assert "1000" in too_many


def test_null_omits_its_value_and_columns_have_types(athena: Athena) -> None:
    execution = athena.run("""SELECT CAST(NULL AS varchar) AS nothing, '' AS "Empty", 1 AS i, 2e0, true AS b""")
    results = athena.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]
    assert results["Rows"][1]["Data"][:2] == [{}, {"VarCharValue": ""}]
    columns = [(one["Name"], one["Type"]) for one in results["ResultSetMetadata"]["ColumnInfo"]]
    assert columns == [
        ("nothing", "varchar"),
        ("Empty", "varchar"),
        ("i", "integer"),
        ("_col3", "double"),
        ("b", "boolean"),
    ]


def test_the_result_file(athena: Athena) -> None:
    execution_id = athena.run("""SELECT 'a "b", c' AS x, NULL AS y, '' AS z""")["QueryExecutionId"]
    body = athena.s3.get_object(Bucket=BUCKET, Key=f"results/{execution_id}.csv")["Body"].read()
    assert body == b'"x","y","z"\n"a ""b"", c",,""\n'
    athena.s3.head_object(Bucket=BUCKET, Key=f"results/{execution_id}.csv.metadata")


def test_batches(athena: Athena) -> None:
    done = athena.run("SELECT 1")["QueryExecutionId"]
    answer = athena.athena.batch_get_query_execution(QueryExecutionIds=[done, "none"])
    assert [one["QueryExecutionId"] for one in answer["QueryExecutions"]] == [done]
    assert [one["QueryExecutionId"] for one in answer["UnprocessedQueryExecutionIds"]] == ["none"]
    assert "50" in error_of(lambda: athena.athena.batch_get_query_execution(QueryExecutionIds=[done] * 51))


def test_listing(athena: Athena) -> None:
    ids = [athena.start("SELECT 1") for _ in range(3)]
    first = athena.athena.list_query_executions(MaxResults=2)
    second = athena.athena.list_query_executions(MaxResults=2, NextToken=first["NextToken"])
    listed = first["QueryExecutionIds"] + second["QueryExecutionIds"]
    assert listed[:3] == ids[::-1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SELEC 1", "mismatched input 'SELEC'"),
        ("SELECT 1 FROM", "InvalidRequestException"),
        ("SELECT (1", "InvalidRequestException"),
        ("SELECT 'open", "InvalidRequestException"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
        ("CREATE EXTERNAL TABLE x (a string b string)", "InvalidRequestException"),
        ("-- nothing", "empty"),
    ],
)
def test_what_no_parser_takes_is_refused_at_once(athena: Athena, text: str, part: str) -> None:
    message = error_of(lambda: athena.start(text))
    assert message.startswith("InvalidRequestException")
    assert part in message


def test_output_locations(athena: Athena) -> None:
    start = athena.athena.start_query_execution
    assert "No output location" in error_of(lambda: start(QueryString="SELECT 1"))
    missing = {"OutputLocation": "s3://no-such-bucket/"}
    assert "output bucket no-such-bucket" in error_of(
        lambda: start(QueryString="SELECT 1", ResultConfiguration=missing)
    )


def test_workgroups(athena: Athena) -> None:
    api = athena.athena
    enforced = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/wg/"}, "EnforceWorkGroupConfiguration": True}
    api.create_work_group(Name="audit", Description="d", Configuration=enforced)
    assert "already created" in error_of(lambda: api.create_work_group(Name="audit"))
    found = athena.run("SELECT 1", WorkGroup="audit")
    assert found["WorkGroup"] == "audit"
    assert found["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{BUCKET}/wg/")
    api.update_work_group(WorkGroup="audit", ConfigurationUpdates={"EnforceWorkGroupConfiguration": False})
    assert athena.run("SELECT 1", WorkGroup="audit")["ResultConfiguration"]["OutputLocation"].startswith(OUTPUT)
    kept = api.get_work_group(WorkGroup="audit")["WorkGroup"]["Configuration"]
    assert kept["ResultConfiguration"] == {"OutputLocation": f"s3://{BUCKET}/wg/"}
    assert [one["Name"] for one in api.list_work_groups()["WorkGroups"]] == ["audit", "primary"]
    api.update_work_group(WorkGroup="audit", State="DISABLED")
    assert "disabled" in error_of(lambda: athena.start("SELECT 1", WorkGroup="audit"))
    assert "not found" in error_of(lambda: athena.start("SELECT 1", WorkGroup="none"))
    assert "not found" in error_of(lambda: api.get_work_group(WorkGroup="none"))


def test_the_scan_limit(athena: Athena, aws_client: Callable[..., Any]) -> None:
    api, limit = athena.athena, {"BytesScannedCutoffPerQuery": 10_000_000}
    too_low = {"BytesScannedCutoffPerQuery": 9_999_999}
    unchecked = aws_client("athena", config=Config(parameter_validation=False))
    assert "10000000" in error_of(lambda: unchecked.create_work_group(Name="low", Configuration=too_low))
    api.create_work_group(Name="small", Configuration=limit)
    athena.run(f"CREATE EXTERNAL TABLE big (a string) ROW FORMAT SERDE "
               f"'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://{BUCKET}/big/'")  # fmt: skip
    athena.put("big/a", b"x\n" * 5_000_000)
    assert athena.run("SELECT count(*) FROM big", WorkGroup="small")["Status"]["State"] == "SUCCEEDED"
    athena.put("big/b", b"x\n")
    execution = athena.run("SELECT count(*) FROM big", WorkGroup="small")
    assert execution["Status"]["State"] == "CANCELLED"
    assert execution["Status"]["StateChangeReason"] == "Query cancelled! : Bytes scanned limit was exceeded"
    assert execution["Statistics"]["DataScannedInBytes"] == 10_000_002


def test_what_is_not_heeded_is_refused(athena: Athena) -> None:
    reuse = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 1}}
    refused = [
        lambda: athena.start("SELECT 1", ResultReuseConfiguration=reuse),
        lambda: athena.start("SELECT 1", QueryExecutionContext={"Catalog": "other"}),
        lambda: athena.athena.create_named_query(Name="x", Database="x", QueryString="SELECT 1"),
        lambda: athena.start(
            "SELECT 1", ResultConfiguration={"OutputLocation": OUTPUT, "ExpectedBucketOwner": "123456789012"}
        ),
    ]
    for call in refused:
        assert error_of(call).startswith("NotImplementedByStandIn")


def test_reset_forgets_tables_and_cancels(aws: Control, athena: Athena) -> None:
    athena.run("CREATE DATABASE gone")
    execution_id = athena.run("SELECT 1")["QueryExecutionId"]
    aws.reset()
    assert "was not found" in error_of(lambda: athena.end(execution_id))
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    assert athena.run("SHOW DATABASES")["Status"]["State"] == "SUCCEEDED"
    assert athena.failure("SELECT 1 FROM gone.t").startswith("SCHEMA_NOT_FOUND")


def test_many_at_once(athena: Athena) -> None:
    started = time.monotonic()
    ids = [athena.start(f"SELECT {n} AS n, count(*) FROM (VALUES 1, 2) AS t(x)") for n in range(30)]
    for n, execution_id in enumerate(ids):
        athena.end(execution_id)
        rows = athena.athena.get_query_results(QueryExecutionId=execution_id)["ResultSet"]["Rows"]
        assert [one["VarCharValue"] for one in rows[1]["Data"]] == [str(n), "2"]
    assert time.monotonic() - started < 20
