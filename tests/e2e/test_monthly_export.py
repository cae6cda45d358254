"""The monthly export through the real Airflow: a year's backfill, and a worker killed in mid-export."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local_aws.airflow import wait_until
from log_audit.window import last_settled_month
from tests.e2e.conftest import task, unpause
from tests.support import export_scenario
from tests.support.export_scenario import (
    ARCHIVE,
    DAG,
    GROUPS,
    MONTHS,
    REGION,
    TOKYO,
    backfill_of,
    forget_archive,
    manifest,
    planted,
    wait_for_backfill,
)

pytestmark = pytest.mark.e2e

SETTINGS = f"""
time_zone: {TOKYO}
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {ARCHIVE}
"""


@pytest.fixture(scope="module")
def client(control):
    return export_scenario.clients(control)


@pytest.fixture(scope="module")
def airflow(control, client, boot):
    export_scenario.prepare(control, client)
    # The key is a month in Japan wherever Airflow itself thinks it is.
    airflow = boot(SETTINGS, AIRFLOW__CORE__DEFAULT_TIMEZONE="America/New_York")
    unpause(airflow, DAG)
    return airflow


def test_a_backfill_of_a_year_archives_exactly_its_twelve_months(airflow, control, client):
    body = backfill_of(MONTHS)
    dry = airflow.api("POST", "backfills/dry_run", json=body)["backfills"]
    assert [entry["partition_key"] for entry in dry] == MONTHS
    wait_for_backfill(airflow, airflow.api("POST", "backfills", json=body))
    export_scenario.check_archive(airflow, control, client, MONTHS)


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
    export_scenario.kill_in_mid_export(airflow, control, client, "2025-06")
