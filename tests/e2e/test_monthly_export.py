"""The monthly export through the real Airflow: a year's backfill, and a worker killed in mid-export."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import boto3
import psutil
import pytest

from local_aws.airflow import wait_until
from local_aws.samples import export_policy
from log_audit.window import Window, from_ms, iso, last_settled_month, to_ms
from tests.e2e.conftest import task, unpause

pytestmark = pytest.mark.e2e

REGION, TOKYO, BUCKET = "ap-northeast-1", "Asia/Tokyo", "year"
DAG = "monthly_log_export"
GROUPS = ["/shop/orders", "/shop/payments"]
MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]
SETTINGS = f"""
time_zone: {TOKYO}
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive:
      bucket: {BUCKET}
      log_groups: [{{name: {GROUPS[0]}, reconcile: true}}, {{name: {GROUPS[1]}}}]
"""


def planted(group: str, month: str) -> list[int]:
    """The events of a month, epoch ms: both edges to the millisecond, and some between."""
    first, last = Window.month(month, TOKYO).export_range()
    number = 5 + MONTHS.index(month) + 3 * GROUPS.index(group)
    return [first, *(first + (last - first) * n // number for n in range(1, number)), last]


@pytest.fixture(scope="module")
def client(control):
    def make(service):
        return boto3.client(
            service,
            endpoint_url=control.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return make


@pytest.fixture(scope="module")
def airflow(control, client, boot):
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client("s3").put_bucket_policy(Bucket=BUCKET, Policy=export_policy(BUCKET, REGION))
    for group in GROUPS:
        control.create_log_group(group, region=REGION, creation_time_ms=to_ms(datetime(2024, 12, 1, tzinfo=UTC)))
        moments = sorted(moment for month in MONTHS for moment in planted(group, month))
        # The neighbours of the year: in no archive of 2025
        moments = [moments[0] - 1, *moments, moments[-1] + 1]
        for stream in ("web/1", "web/2"):
            mine = moments[0::2] if stream == "web/1" else moments[1::2]
            events = [{"timestamp": moment, "message": f"{group} {moment}"} for moment in mine]
            control.put_events(group, stream, events, region=REGION)
    # The key is a month in Japan wherever Airflow itself thinks it is.
    airflow = boot(SETTINGS, AIRFLOW__CORE__DEFAULT_TIMEZONE="America/New_York")
    unpause(airflow, DAG)
    return airflow


def manifest(client, group, month):
    key = f"{month.replace('-', '/')}{group}/manifest.json"
    return json.loads(client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def forget_archive(client, prefix):
    for item in client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        client("s3").delete_object(Bucket=BUCKET, Key=item["Key"])


def wait_for_backfill(airflow, backfill):
    def done():
        return airflow.api("GET", f"backfills/{backfill['id']}")["completed_at"] is not None

    wait_until(done, 900, lambda: f"the backfill has not ended: {airflow.api('GET', f'dags/{DAG}/dagRuns')}")


def test_a_backfill_of_a_year_archives_exactly_its_twelve_months(airflow, control, client):
    body = {"dag_id": DAG, "from_date": "2025-01-01T00:00:00Z", "to_date": "2025-12-31T00:00:00Z", "max_active_runs": 1}
    dry = airflow.api("POST", "backfills/dry_run", json=body)["backfills"]
    assert [entry["partition_key"] for entry in dry] == MONTHS
    wait_for_backfill(airflow, airflow.api("POST", "backfills", json=body))
    made = [run for run in airflow.pages(f"dags/{DAG}/dagRuns", "dag_runs") if run["run_type"] == "backfill"]
    runs = sorted(made, key=lambda run: run["start_date"])
    assert [(run["partition_key"], run["state"]) for run in runs] == [(month, "success") for month in MONTHS]
    for month in MONTHS:
        for group in GROUPS:
            found, expected = manifest(client, group, month), planted(group, month)
            assert found["events"] == sum(item["events"] for item in found["objects"]) == len(expected)
            assert (found["first_event"], found["last_event"]) == (
                iso(from_ms(expected[0])),
                iso(from_ms(expected[-1])),
            )
            assert (found["complete"], found["state"]) == (True, "final")
            if group == GROUPS[0]:
                assert found["reconciliation"]["difference"] == 0
    created = control.calls("logs.CreateExportTask")
    assert {call["status"] for call in created} == {200}  # never two at a time: none was refused
    year = Window(Window.month(MONTHS[0], TOKYO).start, Window.month(MONTHS[-1], TOKYO).end)
    assert sum(from_ms(call["parameters"]["from"]) in year for call in created) == 24


def test_every_month_leaves_an_asset_event_with_its_summary(airflow):
    events = [event for event in airflow.pages("assets/events", "asset_events") if event["name"] == "log_archive"]
    summaries = {(event["partition_key"], event["extra"]["log_group"]): event["extra"] for event in events}
    assert {key: extra["events"] for key, extra in summaries.items() if key[0] in MONTHS} == {
        (month, group): len(planted(group, month)) for month in MONTHS for group in GROUPS
    }


def test_a_month_that_is_reprocessed_is_not_exported_again(airflow, control):
    before = len(control.calls("logs.CreateExportTask"))
    body = {
        "dag_id": DAG,
        "from_date": "2025-03-01T00:00:00Z",
        "to_date": "2025-03-31T00:00:00Z",
        "reprocess_behavior": "completed",
    }
    wait_for_backfill(airflow, airflow.api("POST", "backfills", json=body))
    runs = [run for run in airflow.pages(f"dags/{DAG}/dagRuns", "dag_runs") if run["partition_key"] == "2025-03"]
    assert {run["state"] for run in runs} == {"success"}
    assert len(control.calls("logs.CreateExportTask")) == before


def test_the_command_line_means_the_same_months(airflow):
    words = ["--dag-id", DAG, "--from-date", "2025-01-01", "--to-date", "2025-12-31"]
    said = airflow.command("backfill", "create", *words, "--reprocess-behavior", "completed", "--dry-run")
    assert [month for month in MONTHS if month in said] == MONTHS
    assert "2024-12" not in said
    assert "2026-01" not in said


def test_a_month_that_is_not_over_fails_at_once_and_says_when(airflow):
    month = datetime.now(ZoneInfo(TOKYO)).strftime("%Y-%m")
    run_id = airflow.trigger(DAG, month)
    assert airflow.wait_for_run(DAG, run_id) == "failed"
    plan = task(airflow, DAG, run_id, "tokyo.plan")
    assert plan["try_number"] == 1
    assert "Run it again after" in airflow.last_error(plan)


def test_the_trigger_button_without_a_key_means_the_last_settled_month(airflow):
    run_id = airflow.trigger(DAG)
    assert airflow.wait_for_run(DAG, run_id) == "success"
    plan = task(airflow, DAG, run_id, "tokyo.plan")
    xcom = airflow.api("GET", f"dags/{DAG}/dagRuns/{run_id}/taskInstances/tokyo.plan/xcomEntries/return_value")
    jobs = xcom["value"] if isinstance(xcom["value"], list) else json.loads(xcom["value"])
    month = last_settled_month(datetime.now(UTC), timedelta(hours=12), TOKYO)
    assert {job["month"] for job in jobs} == {month}
    assert plan["state"] == "success"


def test_a_deferred_export_that_is_marked_failed_is_cancelled_at_aws(airflow, control, client):
    forget_archive(client, "2025/07/")
    control.configure(export_running_seconds=300)
    run_id = airflow.trigger(DAG, "2025-07")

    def deferred():
        tasks = airflow.task_instances(DAG, run_id)
        return [t for t in tasks if t["task_id"] == "tokyo.export" and t["state"] == "deferred"]

    wait_until(lambda: deferred() != [], 120, lambda: str(airflow.task_instances(DAG, run_id)))
    [waiting] = deferred()
    time.sleep(3)  # until the trigger has started
    path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances/tokyo.export/{waiting['map_index']}"
    airflow.api("PATCH", path, json={"new_state": "failed"})

    def newest():
        return client("logs").describe_export_tasks()["exportTasks"][0]["status"]["code"]

    control.configure(export_running_seconds=0.5)
    wait_until(lambda: "CANCEL" in newest(), 60, newest)
    assert airflow.wait_for_run(DAG, run_id, 300) == "failed"
    airflow.api("POST", f"dags/{DAG}/clearTaskInstances", json={
        "dry_run": False, "dag_run_id": run_id, "task_ids": ["tokyo.export"], "include_downstream": True,
        "only_failed": False, "reset_dag_runs": True,
    })  # fmt: skip
    assert airflow.wait_for_run(DAG, run_id, 300) == "success"
    for group in GROUPS:
        assert manifest(client, group, "2025-07")["events"] == len(planted(group, "2025-07"))


def test_a_worker_killed_in_mid_export_leaves_one_aws_task_and_a_whole_month(airflow, control, client):
    forget_archive(client, "2025/06/")
    control.forget_calls()
    control.configure(export_running_seconds=8)
    run_id = airflow.trigger(DAG, "2025-06")
    wait_until(lambda: control.calls("logs.CreateExportTask") != [], 120, lambda: "no export began")
    control.configure(export_running_seconds=0.5)
    running = [t for t in airflow.task_instances(DAG, run_id) if t["task_id"] == "tokyo.export" and t["pid"]]
    [victim] = [entry for entry in running if entry["state"] == "running"]
    process = psutil.Process(victim["pid"])
    worker = process.parent()
    process.kill()
    worker.kill()
    assert airflow.wait_for_run(DAG, run_id, 400) == "success"
    assert task(airflow, DAG, run_id, "tokyo.export", victim["map_index"])["try_number"] == 2
    groups = [call["parameters"]["logGroupName"] for call in control.calls("logs.CreateExportTask")]
    assert sorted(groups) == GROUPS
    for group in GROUPS:
        assert manifest(client, group, "2025-06")["events"] == len(planted(group, "2025-06"))
