"""From an ECS task that stops to an alert, through the real Airflow, whatever is killed on the way."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime

import psutil
import pytest

from local_aws import aurora, aurora_lines
from local_aws.airflow import slack_connection, wait_until
from log_audit.settings import load_settings
from tests.e2e.conftest import task, unpause
from tests.support.aurora_scenario import (
    AUDIT,
    AURORA,
    DELIVERIES,
    DELIVERY,
    REGION,
    REPLAY,
    TABLES,
    audited,
    events,
    kill_after_slack_took_it,
    kill_in_mid_query,
    recorded,
    running,
    runs,
    ship,
    ship_now_and_audit,
    told,
    told_of,
    waiting,
)

pytestmark = pytest.mark.e2e

SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {{bucket: nowhere, log_groups: [{{name: /nowhere}}]}}
    athena: {{workgroup: audits}}
    aurora: {AURORA}
delivery: {DELIVERIES}
slack:
  failures: [failures]
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """The settings' only target."""
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file).targets["tokyo"]


@pytest.fixture(scope="module")
def shop(target):
    """The Aurora part of the settings."""
    return target.aurora


@pytest.fixture(scope="module")
def airflow(control, boot, target):
    control.configure(slack_channels=["log-audit", "log-audit-critical", "failures"])
    aurora.prepare(control.endpoint, target)
    airflow = boot(SETTINGS, AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint))
    unpause(airflow, TABLES, AUDIT, DELIVERY)
    assert airflow.wait_for_run(TABLES, airflow.trigger(TABLES), 180) == "success"
    return airflow


def test_a_task_that_stops_is_audited_within_seconds_and_what_is_found_is_told(airflow, control, shop):
    seconds = ship_now_and_audit(airflow, control, shop)
    print(f"\nfrom the task's stop to the first audit's query: {seconds:.1f} s")
    assert seconds < 30  # how long it takes is measured, not tested


def test_what_stops_while_the_triggerer_is_down_is_recorded_once_and_audited(airflow, control, shop):
    wait_until(lambda: waiting(airflow), 180, lambda: "the sensor does not wait")
    airflow.kill_component("triggerer")
    hours = [f"2026-11-10T{hour:02d}" for hour in range(4)]
    tasks = {ship(control, shop, "payments", hours[n % 4]) for n in range(12)}
    airflow.start_component("triggerer")
    wait_until(lambda: tasks <= set(recorded(airflow)), 120, lambda: f"only {len(recorded(airflow))} were recorded")
    counted = recorded(airflow)
    assert {task: counted[task] for task in tasks} == dict.fromkeys(tasks, 1)
    for hour in hours:
        key = f"payments/{hour}"
        last = max(event["at"] for event in events(airflow) if event["extra"].get("key") == key)

        def is_covered(key=key, last=last):
            return any(datetime.fromisoformat(run["queued_at"]) >= last for run in runs(airflow, AUDIT, key))

        wait_until(is_covered, 60, lambda key=key: f"no run of {key} after its last delivery")
    wait_until(lambda: all_ended(airflow), 240, lambda: "audits still run")
    assert {run["state"] for run in runs(airflow, AUDIT)} == {"success"}


def all_ended(airflow):
    return all(run["state"] in ("success", "failed") for run in runs(airflow, AUDIT))


def test_who_is_killed_while_messages_are_deleted_doubles_nothing(airflow, control, shop):
    control.fault("sqs.DeleteMessageBatch", delay=8)
    delivered = ship(control, shop, "orders", "2026-11-11T03")
    wait_until(lambda: running(airflow, DELIVERY, "settle"), 180, lambda: "settle does not run")
    time.sleep(2)  # it has remembered what was recorded, and waits for the answer
    run = running(airflow, DELIVERY, "settle")
    psutil.Process(run["pid"]).kill()
    assert airflow.wait_for_run(DELIVERY, run["dag_run_id"], 120) == "success"
    assert task(airflow, DELIVERY, run["dag_run_id"], "settle")["try_number"] == 2
    time.sleep(1)
    assert recorded(airflow)[delivered] == 1
    assert audited(airflow, "orders/2026-11-11T03")["state"] == "success"
    assert len(runs(airflow, AUDIT, "orders/2026-11-11T03")) == 1


@pytest.mark.parametrize(("component", "hour"), [("scheduler", "2026-11-12T03"), ("triggerer", "2026-11-12T04")])
def test_a_component_that_is_killed_as_a_task_stops_loses_nothing(airflow, control, shop, component, hour):
    wait_until(lambda: waiting(airflow), 180, lambda: "the sensor does not wait")
    delivered = ship(control, shop, "orders", hour, aurora_lines.with_incident)
    airflow.kill_component(component)
    airflow.start_component(component)
    assert audited(airflow, f"orders/{hour}", 150)["state"] == "success"
    assert recorded(airflow)[delivered] == 1
    logins = [message for message in told_of(control, f"orders/{hour}") if "An administrator logged" in message["text"]]
    assert len(logins) == 1


def test_an_alert_whose_sender_is_killed_after_slack_took_it_is_told_once(airflow, control, shop):
    kill_after_slack_took_it(airflow, control, shop, "2026-11-13T03")


def test_a_worker_killed_in_mid_query_asks_once_and_tells_once(airflow, control, shop):
    kill_in_mid_query(airflow, control, shop, "2026-11-13T04")


def test_an_audit_that_cannot_look_leaves_the_others_to_tell_and_clearing_it_asks_anew(airflow, control, shop):
    wait_until(lambda: waiting(airflow), 180, lambda: "the sensor does not wait")
    control.fault("athena.StartQueryExecution", error="InvalidRequestException", message="line 1:8: mismatched input")
    ship(control, shop, "orders", "2026-11-14T03", aurora_lines.with_incident)
    run = audited(airflow, "orders/2026-11-14T03")
    assert run["state"] == "failed"
    tasks = airflow.task_instances(AUDIT, run["dag_run_id"])
    states = {(entry["task_id"], entry["map_index"]): entry["state"] for entry in tasks}
    [bad] = [index for (name, index), state in states.items() if name == "audit" and state == "failed"]
    assert states["alert", -1] == "success"
    assert states["all_audited", -1] == "upstream_failed"
    first = told_of(control, "orders/2026-11-14T03")
    assert first
    control.forget_calls()
    body = {"dag_run_id": run["dag_run_id"], "task_ids": [["audit", bad]], "include_downstream": True}
    airflow.api("POST", f"dags/{AUDIT}/clearTaskInstances", json={**body, "dry_run": False, "reset_dag_runs": True})
    assert airflow.wait_for_run(AUDIT, run["dag_run_id"], 60) == "success"
    assert len(control.calls("athena.StartQueryExecution")) == 1
    again = told_of(control, "orders/2026-11-14T03")
    assert max(Counter(message["text"] for message in again).values()) == 1


def test_what_comes_while_nobody_audits_is_told_and_can_be_replayed(airflow, control, shop):
    airflow.api("PATCH", f"dags/{AUDIT}", json={"is_paused": True})
    hours = ("2026-11-15T03", "2026-11-15T04")
    tasks = {ship(control, shop, "orders", hour, aurora_lines.with_incident) for hour in hours}
    wait_until(lambda: tasks <= set(recorded(airflow)), 60, lambda: "they were not recorded")
    wait_until(lambda: told(control, "aurora_audit is paused") != [], 60, lambda: "nobody was told")
    airflow.api("PATCH", f"dags/{AUDIT}", json={"is_paused": False})
    time.sleep(5)
    assert runs(airflow, AUDIT, "orders/2026-11-15T03") == []
    unpause(airflow, REPLAY)
    span = {"cluster": "orders", "from": "2026-11-15T03:00:00+09:00", "to": "2026-11-15T05:00:00+09:00"}
    body = {"logical_date": None, "conf": {**span, "alert": False}}
    replay = airflow.api("POST", f"dags/{REPLAY}/dagRuns", json=body)["dag_run_id"]
    assert airflow.wait_for_run(REPLAY, replay, 60) == "success"
    for hour in ("2026-11-15T03", "2026-11-15T04"):
        assert audited(airflow, f"orders/{hour}")["state"] == "success"
        alerts = [message for message in told_of(control, f"orders/{hour}") if "paused" not in message["text"]]
        assert alerts == []  # a replay is silent unless asked


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("shop/2026-11-15T03", "orders/2026-11-20T09, payments/2026-11-20T09"),
        ("orders/2026-11-15T24", "'2026-11-15T24' is no hour"),
        ("orders/2099-01-01T00", "Run it again after 2099-01-01 01:00 JST"),
        (None, "None names no window of an Aurora cluster"),
    ],
)
def test_a_window_that_cannot_be_audited_fails_at_once(airflow, key, said):
    run = airflow.trigger(AUDIT, key)
    assert airflow.wait_for_run(AUDIT, run, 60) == "failed"
    plan = task(airflow, AUDIT, run, "plan")
    assert plan["try_number"] == 1
    assert said in airflow.last_error(plan)


def test_while_aws_refuses_every_call_the_sensor_waits_without_failed_runs(airflow, control, shop):
    wait_until(lambda: waiting(airflow), 180, lambda: "the sensor does not wait")
    failed = [run for run in runs(airflow, DELIVERY) if run["state"] == "failed"]
    control.fault("sqs.ReceiveMessage", error="ServiceUnavailable", status=503, times=1_000_000)
    time.sleep(30)
    control.clear_faults()
    delivered = ship(control, shop, "payments", "2026-11-16T03")
    assert audited(airflow, "payments/2026-11-16T03", 120)["state"] == "success"
    assert recorded(airflow)[delivered] == 1
    assert [run for run in runs(airflow, DELIVERY) if run["state"] == "failed"] == failed
