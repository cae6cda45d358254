"""The five-minute checks through the real Airflow: what is remembered, what is told, what Airflow calls back."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psutil
import pytest

from local_aws.airflow import slack_connection, wait_until
from local_aws.run import scheduled_run
from log_audit.window import to_ms
from tests.e2e.conftest import task, unpause
from tests.support.statsd import Listener

pytestmark = pytest.mark.e2e

REGION = "ap-northeast-1"
CHECKS, SWEEP = "insights_checks", "insights_late_sweep"
SECRET = "hunter2!secret"
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: nowhere, log_groups: [{name: /nowhere}]}
    log_group_sets:
      api_gateway: [{name: /api}]
      lambda: [{name: /fn}]
      ecs: [{name: /box}]
      scheduler_calls: [{name: /calls}]
slack:
  failures: [failures]
"""


@pytest.fixture(scope="module")
def statsd():
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def airflow(control, boot, statsd):
    control.configure(slack_channels=["log-audit", "failures"])
    for name in ("/api", "/fn", "/box", "/calls"):
        control.create_log_group(name, region=REGION, creation_time_ms=to_ms(datetime.now(UTC) - timedelta(days=30)))
    return boot(SETTINGS, AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint), **statsd.environment)


def last_boundary(minutes=5):
    now = int(time.time())
    return datetime.fromtimestamp(now - now % (minutes * 60), UTC)


def between_scheduled_runs():
    """Wait until no scheduled run is near, which would meet the faults that are meant for another."""
    while not 30 <= time.time() % 300 <= 220:
        time.sleep(1)


def put(control, group, message, arrival, late=timedelta(seconds=1)):
    event = {"timestamp": to_ms(arrival - late), "message": message, "ingestionTime": to_ms(arrival)}
    control.put_events(group, "s", [event], region=REGION)


def runs(airflow, dag_id, run_type="scheduled"):
    return [run for run in airflow.pages(f"dags/{dag_id}/dagRuns", "dag_runs") if run["run_type"] == run_type]


def the_scheduled_run(airflow, dag_id):
    run_id = scheduled_run(airflow, dag_id)
    return run_id, airflow.wait_for_run(dag_id, run_id, 120)


def told(control, channel="log-audit"):
    return control.slack_messages(channel)


def test_a_scheduled_run_finds_tells_and_remembers(airflow, control):
    if 300 - time.time() % 300 < 15:
        time.sleep(16)  # the interval must not end between the planting and the run
    arrival = last_boundary() - timedelta(minutes=3)
    message = json.dumps({"status": "502", "resourcePath": "/pay", "requestId": "r-1", "note": f"password={SECRET}"})
    put(control, "/api", message, arrival)
    put(control, "/box", f"ERROR cannot pay, token={SECRET}", arrival)
    unpause(airflow, CHECKS)
    run_id, state = the_scheduled_run(airflow, CHECKS)
    assert state == "success"
    titles = [message["text"] for message in told(control)]
    assert sorted("API Gateway answered" in title for title in titles) == [False, True]
    looks = [entry for entry in airflow.task_instances(CHECKS, run_id) if entry["task_id"] == "look"]
    assert "api_gateway_errors @ tokyo" in {look["rendered_map_index"] for look in looks}
    found = airflow.pages("assets/events", "asset_events", order_by="timestamp")
    *_, event = [entry for entry in found if entry["name"] == CHECKS]
    totals = {look["query"]: look["total"] for look in event["extra"]["looks"]}
    assert (totals["api_gateway_errors"], totals["slow_requests"]) == (1, 0)


def test_the_runs_metrics_have_reached_statsd_and_airflows_own_beside_them(airflow, statsd):
    query, lines = "target=tokyo,query=api_gateway_errors", []
    wanted = [rf"log_audit\.{name},{query},severity=medium:1\|c" for name in ("looks", "findings", "alerts")]
    wanted.append(rf"log_audit\.bytes_scanned,{query}:[1-9][0-9]*\|c")
    wanted += [rf"{name},.*dag_id=insights_checks.*" for name in ("dagrun\\.duration\\.success", "ti_successes")]

    def missing():
        lines.extend(statsd.received())
        return [name for name in wanted if not any(re.fullmatch(rf"airflow\.{name}", line) for line in lines)]

    wait_until(lambda: not missing(), 30, lambda: f"never arrived: {missing()}")


def test_no_secret_is_left_anywhere(airflow, control):
    everything = json.dumps([control.slack_messages(), list(airflow.pages("assets/events", "asset_events"))])
    for run in runs(airflow, CHECKS):
        path = f"dags/{CHECKS}/dagRuns/{run['dag_run_id']}/taskInstances/~/xcomEntries"
        everything += json.dumps(airflow.api("GET", path, params={"limit": 100}))
    logs = "".join(path.read_text(errors="replace") for path in airflow.home.rglob("*.log"))
    assert "token=***" in everything
    assert SECRET not in everything
    assert SECRET not in logs


def test_a_manual_run_alerts_only_when_asked(airflow, control):
    before = len(told(control))
    run_id = airflow.trigger(CHECKS)
    assert airflow.wait_for_run(CHECKS, run_id, 120) == "success"
    assert len(told(control)) == before


def test_the_late_sweep_tells_what_the_checks_could_not_see(airflow, control):
    before = len(told(control))
    boundary = datetime.now(UTC).replace(hour=20, minute=0, second=0, microsecond=0)
    end = boundary if boundary <= datetime.now(UTC) else boundary - timedelta(days=1)
    line = "2026-01-01T00:00:00.000Z 8f5b0a4e-9d1c-4f7e-a6b2-3c2d1e0f9a8b Task timed out after 3.00 seconds"
    put(control, "/fn", line, end - timedelta(hours=5), late=timedelta(hours=3))
    unpause(airflow, SWEEP)
    _, state = the_scheduled_run(airflow, SWEEP)
    assert state == "success"
    [message] = told(control)[before:]
    assert "A Lambda function timed out" in message["text"]


def test_a_killed_alert_worker_does_not_tell_twice(airflow, control):
    """Slack takes the message, the worker dies before it hears so, the retry looks the message up."""
    between_scheduled_runs()
    before = len(told(control))
    control.fault("slack.chat.postMessage", delay=6)
    put(control, "/box", "FATAL disk full", datetime.now(UTC) - timedelta(minutes=1))
    body = {"logical_date": None, "conf": {"alert": True}}
    run_id = airflow.api("POST", f"dags/{CHECKS}/dagRuns", json=body)["dag_run_id"]
    wait_until(
        lambda: (
            task(airflow, CHECKS, run_id, "alert")["state"] == "running"
            and control.calls("slack.chat.postMessage") != []
        ),
        120,
        lambda: str(airflow.task_instances(CHECKS, run_id)),
    )
    process = psutil.Process(task(airflow, CHECKS, run_id, "alert")["pid"])
    process.kill()
    assert airflow.wait_for_run(CHECKS, run_id, 240) == "success"
    assert task(airflow, CHECKS, run_id, "alert")["try_number"] == 2
    fatal = [message for message in told(control)[before:] if "FATAL disk full" in str(message["blocks"])]
    assert len(fatal) == 1


def test_a_run_with_a_check_that_could_not_look_is_red_and_the_others_alert(airflow, control):
    between_scheduled_runs()
    before = len(told(control))
    put(control, "/box", "FATAL out of memory", datetime.now(UTC) - timedelta(minutes=1))
    put(control, "/api", json.dumps({"status": 500, "requestId": "r-2"}), datetime.now(UTC) - timedelta(minutes=1))
    control.fault("logs.StartQuery", error="MalformedQueryException", message="unexpected symbol")
    body = {"logical_date": None, "conf": {"alert": True}}
    run_id = airflow.api("POST", f"dags/{CHECKS}/dagRuns", json=body)["dag_run_id"]
    assert airflow.wait_for_run(CHECKS, run_id, 240) == "failed"
    states = {(t["task_id"], t["map_index"]): t["state"] for t in airflow.task_instances(CHECKS, run_id)}
    looks = sorted(state for (name, _), state in states.items() if name == "look")
    assert looks == ["failed", "success", "success", "success", "success", "success"]
    assert (states["alert", -1], states["all_looked", -1]) == ("success", "upstream_failed")
    assert len(told(control)) > before


def test_a_failed_run_is_told_once_by_the_callback(airflow, control):
    month = datetime.now(ZoneInfo("Asia/Tokyo")).strftime("%Y-%m")  # not over, so it cannot be exported
    unpause(airflow, "monthly_log_export")
    run_id = airflow.trigger("monthly_log_export", month)
    assert airflow.wait_for_run("monthly_log_export", run_id, 120) == "failed"

    def mine():
        return [message for message in told(control, "failures") if run_id in str(message["blocks"])]

    wait_until(lambda: mine() != [], 60, lambda: "the callback told nothing")
    time.sleep(3)
    [message] = mine()
    assert "monthly_log_export" in message["text"]
    assert month in message["text"]
    assert "tokyo.plan" in str(message["blocks"])


def test_a_person_asks_for_a_span_and_a_check_and_follows_the_link(airflow, control):
    unpause(airflow, CHECKS)
    arrival = last_boundary() - timedelta(days=9)
    line = "2026-11-11T03:00:00Z 8f5b0a4e-9d1c-4f7e-a6b2-3c2d1e0f9a8b Task timed out after 3.00 seconds"
    put(control, "/fn", line, arrival)
    span = {name: (arrival + timedelta(minutes=off)).isoformat() for name, off in (("from", -1), ("to", 5))}
    run_id = airflow.trigger(CHECKS, queries=["lambda_timeouts_and_oom"], **span)
    assert airflow.wait_for_run(CHECKS, run_id, 120) == "success"
    [look] = [entry for entry in airflow.task_instances(CHECKS, run_id) if entry["task_id"] == "look"]
    assert (look["task_display_name"], look["rendered_map_index"]) == ("Look", "lambda_timeouts_and_oom @ tokyo")
    assert "@ingestionTime" in look["rendered_fields"]["query_text"]
    path = f"dags/{CHECKS}/dagRuns/{run_id}/taskInstances/look"
    link = airflow.api("GET", f"{path}/links", params={"map_index": 0})["extra_links"]["Logs Insights"]
    assert link.startswith(f"https://{REGION}.console.aws.amazon.com/cloudwatch/")
    found = airflow.api("GET", f"{path}/xcomEntries/return_value", params={"map_index": 0, "stringify": False})
    assert found["value"]["total"] == 1
