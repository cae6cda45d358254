"""ECS tasks that ship Aurora's audit log, and what the real Airflow makes of them, whatever its executor."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from local_aws import aurora, aurora_lines
from local_aws.airflow import LocalAirflow, wait_until
from local_aws.control import Control
from log_audit.settings import Aurora
from tests.e2e.conftest import task
from tests.support.export_scenario import Killed

REGION = "ap-northeast-1"
TOKYO = ZoneInfo("Asia/Tokyo")
DELIVERY, AUDIT, REPLAY, TABLES = "ecs_log_delivery", "aurora_audit", "aurora_replay", "athena_tables"
# Of a target's settings; YAML knows JSON.
AURORA = json.dumps(
    {
        "location": "s3://aurora-logs/audit",
        "queue": f"https://sqs.{REGION}.amazonaws.com/123456789012/tasks",
        "clusters": {name: {"ecs_cluster": "batch", "command": [name]} for name in ("orders", "payments")},
    }
)
# Deliveries whose record failed come again soon.
DELIVERIES = "{visibility_minutes: 0.5}"


def ship(
    control: Control, shop: Aurora, cluster: str, hour: str, lines: Any = aurora_lines.sample_lines, **options: Any
) -> str:
    """A task ships an hour and stops; its id."""
    where = {"region": REGION, "zone": TOKYO, **options}
    return aurora.ship(control.endpoint, shop, cluster, hour, lines, **where).task_arn.partition(":task/")[2]


def events(airflow: LocalAirflow, asset: str = "aurora_audit_log") -> list[dict[str, Any]]:
    """The asset's events, oldest first. Airflow's API answers 500 while a run that one of them started is queued."""
    found = airflow.rows(
        "SELECT CAST(event.timestamp AS TEXT) AS at, CAST(event.extra AS TEXT) AS extra "
        "FROM asset_event AS event JOIN asset ON asset.id = event.asset_id "
        "WHERE asset.name = :asset ORDER BY event.timestamp",
        asset=asset,
    )
    return [{"at": utc(row["at"]), "extra": json.loads(row["extra"])} for row in found]


def utc(text: str) -> datetime:
    """A time as the database shows it; SQLite leaves out that it is in UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def recorded(airflow: LocalAirflow) -> Counter[str]:
    """How often each task was recorded."""
    return Counter(event["extra"]["task"] for event in events(airflow) if "task" in event["extra"])


def runs(airflow: LocalAirflow, dag_id: str, key: str | None = None) -> list[dict[str, Any]]:
    found = airflow.pages(f"dags/{dag_id}/dagRuns", "dag_runs")
    return [run for run in found if key is None or run["partition_key"] == key]


def audited(airflow: LocalAirflow, key: str, seconds: float = 180) -> dict[str, Any]:
    """Wait for a run of the key to end; it, as Airflow tells it."""
    wait_until(
        lambda: runs(airflow, AUDIT, key) != [], seconds, lambda: f"no run of {key}: {runs(airflow, DELIVERY)[-1]}"
    )
    run = runs(airflow, AUDIT, key)[-1]
    airflow.wait_for_run(AUDIT, run["dag_run_id"], seconds)
    found: dict[str, Any] = airflow.api("GET", f"dags/{AUDIT}/dagRuns/{run['dag_run_id']}")
    return found


def told(control: Control, text: str, channel: str = "log-audit") -> list[dict[str, Any]]:
    return [message for message in control.slack_messages(channel) if text in message["text"]]


def told_of(control: Control, key: str) -> list[dict[str, Any]]:
    return [message for message in control.slack_messages("log-audit") if key in str(message["blocks"])]


def waiting(airflow: LocalAirflow) -> dict[str, Any] | None:
    """The sensor of the latest run, if it waits in the triggerer."""
    return latest(airflow, DELIVERY, "stopped", "deferred")


def running(airflow: LocalAirflow, dag_id: str, task_id: str) -> dict[str, Any] | None:
    """The running task of that name in the latest run."""
    return latest(airflow, dag_id, task_id, "running")


def latest(airflow: LocalAirflow, dag_id: str, task_id: str, state: str) -> dict[str, Any] | None:
    """The task of that name and state in the latest run."""
    found = runs(airflow, dag_id)
    tasks = airflow.task_instances(dag_id, found[-1]["dag_run_id"]) if found else []
    return next((entry for entry in tasks if (entry["task_id"], entry["state"]) == (task_id, state)), None)


def wait_for(found: Callable[[], dict[str, Any] | None], seconds: float, complaint: str) -> dict[str, Any]:
    """What ``found`` finds, as soon as it does."""
    deadline = time.monotonic() + seconds
    while not (entry := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.3)
    return entry


def ship_now_and_audit(airflow: LocalAirflow, control: Control, shop: Aurora) -> float:
    """A task ships its last hour, with an incident, and stops: audited and told. How many seconds to the first query"""
    wait_for(lambda: waiting(airflow), 120, "the sensor does not wait")
    control.forget_calls()
    shipped = aurora.ship_now(control.endpoint, shop, "orders", aurora_lines.with_incident, region=REGION, zone=TOKYO)
    key = f"orders/{shipped.key}"
    assert audited(airflow, key)["state"] == "success"
    started = control.calls("athena.StartQueryExecution")[0]["time"]
    [event] = [event for event in events(airflow) if event["extra"].get("key") == key]
    assert len(told(control, "An administrator logged in to Aurora")) == 1
    [looks] = [event["extra"]["looks"] for event in events(airflow, "aurora_audits")]
    assert {look["key"] for look in looks} == {key}
    assert len(looks) >= 7
    return float(started - datetime.fromisoformat(event["extra"]["stopped"]).timestamp())


def kill_after_slack_took_it(airflow: LocalAirflow, control: Control, shop: Aurora, hour: str) -> Killed:
    """The worker that tells of a window dies before it hears that Slack has the message: it is told once."""
    control.forget_calls()
    control.fault("slack.chat.postMessage", drop="after", delay=20)
    delivered = ship(control, shop, "orders", hour, aurora_lines.with_incident)
    alert = wait_for(lambda: running(airflow, AUDIT, "alert"), 180, "alert does not run")
    wait_until(lambda: control.calls("slack.chat.postMessage") != [], 60, lambda: "nothing was posted")
    dead = airflow.kill_worker_of(alert)
    assert audited(airflow, f"orders/{hour}", 300)["state"] == "success"
    assert recorded(airflow)[delivered] == 1
    again = task(airflow, AUDIT, alert["dag_run_id"], "alert")
    assert again["try_number"] == 2
    found = told_of(control, f"orders/{hour}")
    assert found
    assert max(Counter(message["text"] for message in found).values()) == 1
    return Killed(dead, again)


def kill_in_mid_query(airflow: LocalAirflow, control: Control, shop: Aurora, hour: str) -> Killed:
    """A worker dies while it waits for Athena: each audit is one query, and its findings are told once."""
    control.forget_calls()
    control.configure(athena_running_seconds=4)
    delivered = ship(control, shop, "orders", hour, aurora_lines.with_incident)
    wait_until(lambda: control.calls("athena.StartQueryExecution") != [], 180, lambda: "no query began")
    victim = wait_for(lambda: running(airflow, AUDIT, "audit"), 30, "no audit waits in a worker")
    time.sleep(1)  # until it has its query too
    dead = airflow.kill_worker_of(victim)
    control.configure(athena_running_seconds=0.2)
    assert audited(airflow, f"orders/{hour}", 300)["state"] == "success"
    again = task(airflow, AUDIT, victim["dag_run_id"], "audit", victim["map_index"])
    assert again["try_number"] == 2
    audits = [t for t in airflow.task_instances(AUDIT, victim["dag_run_id"]) if t["task_id"] == "audit"]
    tokens = Counter(c["parameters"]["ClientRequestToken"] for c in control.calls("athena.StartQueryExecution"))
    assert len(tokens) == len(audits)
    assert recorded(airflow)[delivered] == 1
    found = told_of(control, f"orders/{hour}")
    assert found
    assert max(Counter(message["text"] for message in found).values()) == 1
    return Killed(dead, again)
