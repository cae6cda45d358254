"""The tables of include/sql/tables in Athena: made, left alone, made anew."""

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from local_aws import aurora, aurora_lines
from log_audit.errors import TableError
from log_audit.operators.athena_tables import AthenaTableOperator, tables
from log_audit.settings import load_settings
from tests.local_aws.athena_client import Athena
from tests.support.tasks import Run

REGION = "ap-northeast-1"
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
    athena: {workgroup: audits}
    aurora:
      location: s3://aurora-logs/audit
      clusters:
        orders: {ecs_cluster: batch, command: [orders]}
  empty:
    connection: aws_default
    region: ap-northeast-3
    archive: {bucket: other-bucket, log_groups: [{name: /app}]}
"""


@pytest.fixture
def settings(aws, tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS)
    monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(file))
    loaded = load_settings()
    aurora.prepare(aws.endpoint, loaded.targets["tokyo"])
    return loaded


def make(settings, params=None, **changes):
    [keywords] = tables(settings)
    return Run(params=params).execute(lambda: AthenaTableOperator(task_id="table", **{**keywords, **changes}))


def queries(aws):
    return [call["parameters"]["QueryString"].split("(")[0] for call in aws.calls("athena.StartQueryExecution")]


def test_a_table_is_made_once_and_left_alone(aws, settings):
    assert make(settings) == "created"
    aws.forget_calls()
    assert make(settings) == "unchanged"
    assert queries(aws) == []


def test_it_reads_what_was_shipped(aws, settings, aws_client):
    make(settings)
    shop = settings.targets["tokyo"].aurora
    lines = aurora_lines.sample_lines("orders", "2026-11-19T09", settings.zone)
    aurora.ship(aws.endpoint, shop, "orders", "2026-11-19T09", lines, region=REGION, zone=settings.zone)
    where = "cluster = 'orders' AND day = '2026-11-19' AND hour = '09'"
    query = f"SELECT count(*) FROM log_audit.aurora_audit_log WHERE {where}"  # noqa: S608
    athena = Athena(aws_client("athena"), aws_client("s3"))
    [(count,)] = athena.rows(query, WorkGroup="audits")
    assert int(count) == len(lines)


def test_a_table_of_another_location_is_made_anew(aws, settings, aws_client):
    make(settings)
    aws.forget_calls()
    assert make(settings, values={"location": "s3://aurora-logs/elsewhere"}) == "replaced"
    assert [query.split()[0] for query in queries(aws)] == ["CREATE", "DROP", "CREATE"]
    asked = {"CatalogName": "AwsDataCatalog", "DatabaseName": "log_audit", "TableName": "aurora_audit_log"}
    found = aws_client("athena").get_table_metadata(**asked)["TableMetadata"]["Parameters"]
    assert found["location"] == "s3://aurora-logs/elsewhere/"
    assert make(settings, values={"location": "s3://aurora-logs/elsewhere"}) == "unchanged"


def test_a_table_that_somebody_else_made_is_left_alone(settings, aws_client):
    make(settings)
    athena = Athena(aws_client("athena"), aws_client("s3"))
    for query in (
        "DROP TABLE aurora_audit_log",
        "CREATE EXTERNAL TABLE aurora_audit_log (a string) "
        "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://aurora-logs/x/'",
    ):
        athena.run(query, QueryExecutionContext={"Database": "log_audit"}, WorkGroup="audits")
    with pytest.raises(TableError, match="drop or rename it"):
        make(settings)


def test_what_athena_says_is_what_the_task_says(settings):
    with pytest.raises(Exception, match="WorkGroup nowhere is not found"):
        make(settings, workgroup="nowhere")


def test_a_dry_run_says_what_it_would_do_and_makes_nothing(settings, aws):
    assert make(settings, {"dry_run": True}) == "would be created"
    assert queries(aws) == []
    assert make(settings) == "created"
    assert make(settings, {"dry_run": True}) == "unchanged"


def test_other_targets_are_left_alone_when_a_form_names_some(settings, aws):
    with pytest.raises(AirflowSkipException, match="other targets than tokyo"):
        make(settings, {"targets": ["osaka"]})
    assert queries(aws) == []
