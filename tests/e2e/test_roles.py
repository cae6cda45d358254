"""Who may do what in the real Airflow, under both auth managers: a viewer sees all that ran, and changes nothing.

Every operation of the REST API that changes something is tried, as the API itself describes it: one that Airflow adds
is tried too.
"""

from __future__ import annotations

import json
import re

import pytest
import requests

from local_aws.airflow import LocalAirflow, aws_connection, free_port, slack_connection, wait_until
from tests.e2e.conftest import errors

pytestmark = pytest.mark.e2e

USERS = {"admin": "admin", "oli": "op", "uma": "user", "eve": "viewer"}
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
MANAGERS = {"simple": {}, "fab": {"AIRFLOW__CORE__AUTH_MANAGER": FAB}}
REPLAY = "aurora_replay"
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: nowhere, log_groups: [{name: /nowhere}]}
    aurora:
      location: s3://aurora-logs/audit
      clusters:
        orders: {ecs_cluster: batch, command: [orders]}
"""
SPAN = {"cluster": "orders", "from": "2026-11-10T03:00:00+09:00", "to": "2026-11-10T05:00:00+09:00"}
CHANGES = {"post", "put", "patch", "delete"}
# These read: their questions are too long for a URL.
READS = re.compile(r"/list$")
# What a user marks for themselves, and nobody else sees.
OWN = re.compile(r"/(?:un)?favorite$")


def bulk(**entity):
    return {"actions": [{"action": "create", "entities": [entity]}]}


# These look at their body before they look at who asks.
BODIES = {
    "PATCH connections": bulk(connection_id="c", conn_type="aws"),
    "PATCH pools": bulk(name="p", slots=1),
    "PATCH variables": bulk(key="k", value="v"),
    "POST connections/enqueue-test": {"connection_id": "c", "conn_type": "aws"},
    "PATCH dags/<dag>/dagRuns": {
        "actions": [{"action": "update", "entities": [{"dag_run_id": "<run>", "state": "failed"}]}]
    },
    "POST dags/<dag>/clearDagRuns": {"dry_run": False, "dag_runs": [{"dag_run_id": "<run>"}]},
}


@pytest.fixture(scope="module", params=MANAGERS)
def airflow(request, control, tmp_path_factory):
    home = tmp_path_factory.mktemp(f"airflow-{request.param}")
    file = home / "settings.yaml"
    file.write_text(SETTINGS)
    env = {
        "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(control.endpoint),
        "AIRFLOW_CONN_SLACK_DEFAULT": slack_connection(control.endpoint),
        "LOG_AUDIT_SETTINGS": str(file),
        **MANAGERS[request.param],
    }
    with LocalAirflow(home, free_port(), env, USERS) as airflow:
        if request.param == "fab":
            for user, role in USERS.items():
                names = ("--firstname", user, "--lastname", user, "--email", f"{user}@example.com")
                secret = ("--role", role.capitalize(), "--password", airflow.passwords[user])
                airflow.command("users", "create", "--username", user, *names, *secret)
        wait_until(lambda: len(list(airflow.pages("dags", "dags"))) >= 9, 90, lambda: errors(airflow))
        yield airflow


@pytest.fixture(scope="module")
def run_id(airflow):
    """A run that has ended, made by the admin."""
    airflow.api("PATCH", f"dags/{REPLAY}", json={"is_paused": False})
    run_id = airflow.trigger(REPLAY, **SPAN)
    assert airflow.wait_for_run(REPLAY, run_id, 120) == "success"
    return run_id


def ask(airflow, user, method, path, **keywords):
    return airflow.session(user).request(method, f"{airflow.url}/api/v2/{path}", timeout=60, **keywords)


@pytest.fixture(scope="module")
def names(airflow, run_id):
    """Things that there are, for the operations to be tried on."""
    span = {"from_date": "2026-11-01T00:00:00Z", "to_date": "2026-11-01T00:05:00Z"}
    backfill = airflow.api("POST", "backfills", json={"dag_id": "insights_checks", **span, "max_active_runs": 1})
    file_token = airflow.api("GET", f"dags/{REPLAY}")["file_token"]
    things = {"backfill_id": str(backfill["id"]), "file_token": file_token, "pool_name": "default_pool"}
    return {**things, "dag_id": REPLAY, "dag_run_id": run_id, "task_id": "plan", "map_index": "-1"}


def changes(airflow, names):
    """Every operation of the public API that changes something, as (method, path), its names filled in."""
    described = airflow.session().get(f"{airflow.url}/openapi.json", timeout=60).json()["paths"]
    found = []
    for path, operations in described.items():
        if not path.startswith("/api/v2/") or OWN.search(path) or READS.search(path):
            continue
        filled = re.sub(r"\{([^}:]+)[^}]*\}", lambda part: names.get(part[1], "1"), path.removeprefix("/api/v2/"))
        found += [(method.upper(), filled) for method in operations if method in CHANGES]
    return found


def test_whoever_has_no_token_sees_nothing(airflow):
    for path in ("dags", "connections", "variables", "assets/events"):
        assert requests.get(f"{airflow.url}/api/v2/{path}", timeout=30).status_code == 401


@pytest.mark.parametrize("user", USERS)
def test_everybody_sees_what_ran_and_why(airflow, run_id, user):
    run = f"dags/{REPLAY}/dagRuns/{run_id}"
    assert ask(airflow, user, "GET", "dags").json()["total_entries"] >= 9
    assert ask(airflow, user, "GET", run).json()["state"] == "success"
    tasks = ask(airflow, user, "GET", f"{run}/taskInstances").json()["task_instances"]
    assert {task["task_id"] for task in tasks} == {"plan", "emit"}
    log = ask(airflow, user, "GET", f"{run}/taskInstances/plan/logs/1", params={"full_content": True})
    assert "content" in log.json()
    events = ask(airflow, user, "GET", "assets/events").json()["asset_events"]
    assert "orders/2026-11-10T03" in json.dumps(events)
    assert ask(airflow, user, "GET", "assets").status_code == 200
    assert ask(airflow, user, "GET", "importErrors").status_code == 200


def test_a_viewer_changes_nothing_whatever_the_api_offers(airflow, run_id, names):
    tried, before = changes(airflow, names), state(airflow)
    filled = json.dumps(BODIES).replace("<dag>", REPLAY).replace("<run>", run_id)
    bodies = json.loads(filled)
    answers = {}
    for method, path in tried:
        call = f"{method} {path}"
        answers[call] = ask(airflow, "eve", method, path, json=bodies.get(call, {"dry_run": True})).status_code
    assert len(tried) > 40
    assert set(bodies) <= set(answers)
    assert state(airflow) == before
    assert {"POST dags/aurora_replay/dagRuns", "POST backfills", "POST variables", "POST pools"} <= set(answers)
    assert {call: status for call, status in answers.items() if status != 403} == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"dags/{REPLAY}/dagRuns", {"logical_date": None, "conf": SPAN}),
        ("POST", f"dags/{REPLAY}/clearTaskInstances", {"dry_run": False, "only_failed": False}),
        ("PATCH", f"dags/{REPLAY}", {"is_paused": True}),
        ("PATCH", f"dags/{REPLAY}/dagRuns/<run>", {"state": "failed"}),
        ("DELETE", f"dags/{REPLAY}/dagRuns/<run>", None),
        ("POST", "backfills", {"dag_id": "insights_late_sweep", "from_date": "2026-11-01T00:00:00Z",
                               "to_date": "2026-11-02T00:00:00Z", "max_active_runs": 1}),
        ("POST", "variables", {"key": "k", "value": "v"}),
        ("POST", "connections", {"connection_id": "c", "conn_type": "aws"}),
        ("POST", "pools", {"name": "p", "slots": 1}),
        ("PATCH", "pools/logs_export_tokyo", {"slots": 5}),
        ("POST", "assets/events", {"asset_id": 1, "extra": {}}),
    ],
)  # fmt: skip
def test_what_people_do_by_hand_is_closed_to_a_viewer(airflow, run_id, method, path, body):
    before = state(airflow)
    answer = ask(airflow, "eve", method, path.replace("<run>", run_id), json=body)
    assert answer.status_code == 403
    assert state(airflow) == before


def state(airflow):
    """What a viewer might have changed."""
    return {
        "runs": [(run["dag_run_id"], run["state"]) for run in airflow.pages(f"dags/{REPLAY}/dagRuns", "dag_runs")],
        "paused": [(dag["dag_id"], dag["is_paused"]) for dag in airflow.pages("dags", "dags")],
        "pools": [(pool["name"], pool["slots"]) for pool in airflow.pages("pools", "pools")],
        "variables": list(airflow.pages("variables", "variables")),
        "connections": list(airflow.pages("connections", "connections")),
        "backfills": list(airflow.pages("backfills", "backfills", dag_id="insights_checks")),
    }


def test_a_viewer_reads_no_connection(airflow):
    assert ask(airflow, "eve", "GET", "connections").status_code == 403
    assert ask(airflow, "eve", "GET", "config").status_code == 403


def test_a_user_runs_and_clears_and_changes_no_connection_pool_or_variable(airflow, run_id):
    body = {"logical_date": None, "conf": SPAN}
    assert ask(airflow, "uma", "POST", f"dags/{REPLAY}/dagRuns", json=body).status_code == 200
    clear = {"dry_run": False, "dag_run_id": run_id, "only_failed": False}
    assert ask(airflow, "uma", "POST", f"dags/{REPLAY}/clearTaskInstances", json=clear).status_code == 200
    assert airflow.wait_for_run(REPLAY, run_id, 120) == "success"
    for path, thing in (
        ("connections", {"connection_id": "c", "conn_type": "aws"}),
        ("pools", {"name": "p", "slots": 1}),
        ("variables", {"key": "k", "value": "v"}),
    ):
        assert ask(airflow, "uma", "POST", path, json=thing).status_code == 403
    assert ask(airflow, "uma", "GET", "connections").status_code == 403


@pytest.mark.parametrize("user", ["oli", "admin"])
def test_an_operator_keeps_connections_pools_and_variables(airflow, user):
    for path, thing in (
        (f"connections/c_{user}", {"connection_id": f"c_{user}", "conn_type": "aws", "password": "hunter2-secret"}),
        (f"pools/p_{user}", {"name": f"p_{user}", "slots": 1, "include_deferred": True}),
        (f"variables/k_{user}", {"key": f"k_{user}", "value": "v"}),
    ):
        assert ask(airflow, user, "POST", path.partition("/")[0], json=thing).status_code == 201
        shown = ask(airflow, user, "GET", path)
        assert shown.status_code == 200
        assert "hunter2-secret" not in shown.text
        assert ask(airflow, user, "DELETE", path).status_code == 204
