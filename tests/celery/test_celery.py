"""The pipelines on the CeleryExecutor: two workers, PostgreSQL and Redis, whoever is killed on the way.

The scenarios are those of the LocalExecutor's tests (tests/support/*_scenario.py). They build on one another.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from local_aws.airflow import wait_until
from local_aws.run import scheduled_run, stay_within_five_minutes
from tests.e2e.conftest import unpause
from tests.e2e.test_insights import CHECKS, last_boundary, put
from tests.support import export_scenario
from tests.support.aurora_scenario import (
    DELIVERY,
    kill_after_slack_took_it,
    kill_in_mid_query,
    runs,
    ship_now_and_audit,
    told,
)
from tests.support.export_scenario import DAG, Killed

# Not e2e too: make test runs those, and must not need PostgreSQL.
pytestmark = pytest.mark.celery

MONTHS = ["2025-01", "2025-02", "2025-03"]


def test_airflow_keeps_its_state_in_postgresql(airflow):
    [row] = airflow.rows("SELECT count(*) AS runs, version() AS version FROM dag_run")
    assert row["version"].startswith("PostgreSQL")
    assert row["runs"] >= 1
    assert list(airflow.home.rglob("*.db")) == []


def test_a_backfill_goes_on_when_the_scheduler_is_killed_while_an_export_is_waited_for(airflow, control, client):
    control.configure(export_running_seconds=12)
    backfill = airflow.api("POST", "backfills", json=export_scenario.backfill_of(MONTHS))
    wait_until(lambda: waits_in_the_triggerer(airflow, DAG, "tokyo.export"), 120, lambda: "no export was deferred")
    airflow.kill_component("scheduler")
    control.configure(export_running_seconds=0.5)
    airflow.start_component("scheduler")
    export_scenario.wait_for_backfill(airflow, backfill)
    export_scenario.check_archive(airflow, control, client, MONTHS)
    # After a backfill Airflow makes the latest scheduled run too.
    wait_until(lambda: all(run["end_date"] for run in runs(airflow, DAG)), 120, lambda: "a run does not end")


def waits_in_the_triggerer(airflow, dag_id, task_id):
    """Whether a task is held by no worker, but by the triggerer."""
    found = airflow.rows(
        "SELECT trigger.classpath FROM task_instance AS task JOIN trigger ON trigger.id = task.trigger_id "
        "JOIN job ON job.id = trigger.triggerer_id AND job.job_type = 'TriggererJob' "
        "WHERE task.dag_id = :dag AND task.task_id = :task AND task.state = 'deferred'",
        dag=dag_id,
        task=task_id,
    )
    return any(row["classpath"].startswith("log_audit.triggers.") for row in found)


def test_a_worker_killed_in_mid_export_leaves_one_aws_task_and_the_other_worker_goes_on(airflow, control, client):
    taken_over(airflow, export_scenario.kill_in_mid_export(airflow, control, client, "2025-06"))


def taken_over(airflow, killed: Killed):
    """The task's last try ran on the other worker. The dead one comes back, as a container does."""
    [other] = set(airflow.workers) - {killed.worker}
    # Celery knows a moment later than Airflow that a task has ended, and a busy worker answers a later ping.
    wait_until(
        lambda: worker_of(airflow, killed.task) == f"celery@{other}",
        60,
        lambda: f"the last try ran on {worker_of(airflow, killed.task)}, not on {other}",
    )
    wait_until(lambda: airflow.answering() == {other}, 60, lambda: f"{airflow.answering()} answer, not {other} alone")
    airflow.start_component(killed.worker)
    wait_until(airflow.healthy, 180, lambda: f"{killed.worker} does not come back; see {airflow.home}/*.log")


def worker_of(airflow, task):
    """Celery's word on who executed the task's last try; None: it has not told yet."""
    found = airflow.rows(
        "SELECT result.worker FROM task_instance AS task JOIN celery_taskmeta AS result "
        "ON result.task_id = task.external_executor_id WHERE task.id = CAST(:id AS uuid)",
        id=task["id"],
    )
    return found[0]["worker"] if found else None


def test_an_ecs_task_that_stops_is_audited_and_told(airflow, control, target):
    sensor = "the sensor does not wait"
    wait_until(lambda: waits_in_the_triggerer(airflow, DELIVERY, "stopped"), 180, lambda: sensor)
    seconds = ship_now_and_audit(airflow, control, target.aurora)
    print(f"\nfrom the task's stop to the first audit's query: {seconds:.1f} s")


def test_a_worker_killed_in_mid_query_asks_once_and_tells_once(airflow, control, target):
    taken_over(airflow, kill_in_mid_query(airflow, control, target.aurora, "2026-11-13T04"))


def test_a_worker_killed_after_slack_took_its_alert_does_not_tell_twice(airflow, control, target):
    taken_over(airflow, kill_after_slack_took_it(airflow, control, target.aurora, "2026-11-13T03"))


def test_a_check_finds_and_tells(airflow, control):
    stay_within_five_minutes()
    put(control, "/box", "FATAL disk full", last_boundary() - timedelta(minutes=3))
    unpause(airflow, CHECKS)
    assert airflow.wait_for_run(CHECKS, scheduled_run(airflow, CHECKS), 360) == "success"
    assert len(told(control, "A container of an ECS task logs errors")) == 1


def test_every_worker_executed_tasks(airflow):
    done = {
        row["worker"]: row["tasks"]
        for row in airflow.rows(
            "SELECT worker, count(*) AS tasks FROM celery_taskmeta WHERE status = 'SUCCESS' GROUP BY worker"
        )
    }
    print(f"\ntasks by worker: {done}")
    assert {f"celery@{name}" for name in airflow.workers} == set(done)


def test_no_log_holds_a_password_of_the_services(airflow, services):
    logs = {path: path.read_text(errors="replace") for path in airflow.home.rglob("*.log")}
    assert {"postgres.log", "redis.log", "worker-1.log", "scheduler.log"} <= {path.name for path in logs}
    assert [path for path, text in logs.items() if services.password in text] == []
