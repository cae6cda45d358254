"""Deadlines and failure callbacks in the real Airflow, with DAGs that hang and fail."""

from __future__ import annotations

import time

import pytest

from local_aws.airflow import slack_connection, wait_until
from tests.e2e.conftest import unpause
from tests.e2e.test_insights import SETTINGS, told

pytestmark = pytest.mark.e2e

DAGS = """
import time
from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from log_audit.callbacks import overdue_after, report_failed_run

with DAG(
    "hangs",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Tokyo"),
    catchup=False,
    deadline=overdue_after(timedelta(seconds=3)),
):
    @task
    def sleep():
        time.sleep(25)
    sleep()

with DAG("fails", schedule=None, on_failure_callback=report_failed_run):
    @task
    def fail(number):
        raise ValueError("password=hunter2 was refused")
    fail.expand(number=[1, 2, 3])
"""


@pytest.fixture(scope="module")
def airflow(control, boot, tmp_path_factory):
    control.configure(slack_channels=["log-audit", "failures"])
    folder = tmp_path_factory.mktemp("dags")
    (folder / "dags.py").write_text(DAGS)
    return boot(
        SETTINGS,
        AIRFLOW__CORE__DAGS_FOLDER=str(folder),
        AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint),
    )


def about(control, run_id):
    return [message for message in told(control, "failures") if run_id in str(message["blocks"])]


def test_a_run_that_hangs_is_told_and_a_backfill_is_not(airflow, control):
    unpause(airflow, "hangs")
    body = {"dag_id": "hangs", "from_date": "2026-01-10T00:00:00Z", "to_date": "2026-01-10T23:00:00Z"}
    airflow.api("POST", "backfills", json=body)
    run_id = airflow.trigger("hangs")
    wait_until(lambda: about(control, run_id) != [], 90, lambda: f"nothing was told: {told(control, 'failures')}")
    runs = {run["run_type"]: run for run in airflow.pages("dags/hangs/dagRuns", "dag_runs")}
    assert "backfill" in runs
    wait_until(
        lambda: airflow.api("GET", f"dags/hangs/dagRuns/{runs['backfill']['dag_run_id']}")["state"] == "success",
        120,
        lambda: "the backfill has not ended",
    )
    assert about(control, runs["backfill"]["dag_run_id"]) == []
    [message] = about(control, run_id)
    assert "Airflow run overdue" in message["text"]
    assert "has not ended within 0:00:03" in str(message["blocks"])


def test_a_run_with_many_failed_tasks_is_told_once_with_their_number(airflow, control):
    unpause(airflow, "fails")
    run_id = airflow.trigger("fails")
    assert airflow.wait_for_run("fails", run_id, 120) == "failed"
    wait_until(lambda: about(control, run_id) != [], 60, lambda: "the callback told nothing")
    time.sleep(3)
    [message] = about(control, run_id)
    assert "Airflow run failed" in message["text"]
    assert "3 failed tasks" in str(message["blocks"])
    assert f"/dags/fails/runs/{run_id}" in str(message["blocks"])
    assert "hunter2" not in str(message["blocks"])
