"""Every DAG through the real Airflow with the role of the deployed stack: its policies are enough, and nothing more.

tests/log_audit/test_least_privilege.py proves it action by action, with what seldom happens, without Airflow.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from local_aws import accounts, samples, shop
from local_aws import run as make_run
from local_aws.airflow import LocalAirflow, slack_connection, wait_until
from local_aws.control import Control
from log_audit.archive import PROVISIONAL
from log_audit.refusals import BEGIN, policy_of
from log_audit.settings import DEFAULT_FILE, load_settings
from log_audit.window import Window, iso, key_of, to_ms
from tests.e2e.conftest import unpause
from tests.support.least_privilege import Role, calls_of, not_allowed

pytestmark = pytest.mark.e2e

ACCOUNT, TOKYO = "123456789012", "Asia/Tokyo"
NOW = datetime.now(UTC)
DELIVERY = "ecs_log_delivery"
SETTINGS = DEFAULT_FILE.read_text()
for setting, value in (
    ("visibility_minutes: 30", "visibility_minutes: 0.5"),
    ("blind_after_minutes: 30", "blind_after_minutes: 0.2"),
):
    assert setting in SETTINGS
    SETTINGS = SETTINGS.replace(setting, value)
DAGS = [file.stem for file in (DEFAULT_FILE.parents[1] / "dags").glob("*.py")]
# A statement of each policy, the task that fails without it, and the run's key: a month that nobody has archived yet.
MONTHS = [f"{(NOW.replace(day=1) - timedelta(days=31 * back)):%Y-%m}" for back in (4, 5)]
YESTERDAY = key_of(NOW - timedelta(hours=6), "day", TOKYO, back=1)  # it has settled
NEEDED = [
    ("monthly_log_export", "ExportEvents", "tokyo.export", MONTHS[0]),
    ("archive_recheck", "LookIntoTheArchive", "tokyo.plan", MONTHS[1]),
    ("insights_checks", "StartQueries", "look", None),
    ("insights_late_sweep", "FindLogGroups", "look", None),
    ("aurora_audit", "RunQueries", "audit", f"aurora-prod/{YESTERDAY}T09"),
    ("cloudtrail_audit", "ReadSchedules", "schedule_health", YESTERDAY),
    ("athena_tables", "ReadTableDefinitions", "table", None),
]


class World:
    """The account of the samples, its stack, and Airflow with the stack's role."""

    def __init__(self, control: Control, boot, folder) -> None:
        (folder / "settings.yaml").write_text(SETTINGS)
        self.control, self.settings = control, load_settings(folder / "settings.yaml")
        shop.furnish(control.endpoint, self.settings, self.settings.targets.values(), NOW)
        self.role = Role(control.endpoint, self.settings.targets["tokyo"], self.settings, ACCOUNT)
        self.airflow: LocalAirflow = boot(
            SETTINGS,
            AIRFLOW_CONN_AWS_DEFAULT=self.role.connection,
            AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint),
        )
        control.forget_calls()

    def everything(self) -> list[str]:
        """Each DAG once, on the samples; a sentence for each task that failed."""
        aws, airflow = SimpleNamespace(endpoint=self.control.endpoint), self.airflow
        failed = []
        for dag, key in make_run.once_each(self.settings, NOW):
            if dag == "archive_recheck":
                self._something_came_late(key)
            failed += make_run.run_dag(airflow, dag, key)
        make_run.stay_within_five_minutes()
        samples.load_incident(self.control.endpoint, now=datetime.now(UTC))
        for dag in ("insights_checks", "insights_late_sweep"):
            failed += make_run.run_dag(airflow, dag, None, scheduled=True)
        failed += make_run.run_dag(airflow, "athena_tables", None)
        day = shop.yesterday(self.settings, NOW)
        failed += make_run.run_dag(airflow, "cloudtrail_audit", day, alert=True)
        file = airflow.home / "settings.yaml"
        file.write_text(SETTINGS.replace("schedules: table", "schedules: lookup"))
        failed += make_run.run_dag(airflow, "cloudtrail_audit", day)
        file.write_text(SETTINGS)
        return failed + make_run.audited_deliveries(airflow, aws, self.settings)

    def _something_came_late(self, month: str) -> None:
        """The month was exported in its time, and an event of each log group came after that."""
        s3 = accounts.client(self.control.endpoint, "s3", self.role.target.region)
        end, bucket = Window.month(month, TOKYO).end, self.role.target.archive.bucket
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{month.replace('-', '/')}/")["Contents"]
        for key in (entry["Key"] for entry in listed if entry["Key"].endswith("/manifest.json")):
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            early = {"exported_at": iso(end + timedelta(days=2)), "state": PROVISIONAL}
            s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest | early).encode())
            late = {"timestamp": to_ms(end - timedelta(days=1)), "message": "late"}
            late["ingestionTime"] = to_ms(end + timedelta(days=5))
            self.control.put_events(manifest["log_group"], "late", [late], region=self.role.target.region)

    def log_of(self, dag_id: str, run_id: str, task_id: str) -> tuple[dict, str]:
        """The first task of that name that failed, and the last line of its log."""
        tasks = self.airflow.task_instances(dag_id, run_id)
        task = next(one for one in tasks if one["task_id"] == task_id and one["state"] == "failed")
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{task['try_number']}"
        log = self.airflow.api("GET", path, params={"map_index": task["map_index"], "full_content": True})
        lines = [line for line in log["content"] if isinstance(line, dict) and "::" not in line["event"]]
        return task, json.dumps(lines[-1])


@pytest.fixture(scope="module")
def world(control, boot, tmp_path_factory) -> World:
    return World(control, boot, tmp_path_factory.mktemp("settings"))


def test_each_call_is_allowed_by_its_own_dags_policy_and_each_statement_is_used(world):
    assert world.everything() == []
    documents, calls = world.role.documents, calls_of(world.control, DAGS)
    assert not_allowed(documents, calls) == []
    assert {dag for call in calls for dag in call.dags} == set(documents) == set(DAGS) - {"aurora_replay"}
    wanted = {(dag, sid) for dag in documents for sid, _ in documents[dag].rights if sid not in documents[dag].reasons}
    used = {(dag, sid) for dag in documents for sid, _ in documents[dag].used_by(calls)}
    print(f"\n{len(calls)} calls by roles; {len(wanted)} statements, {len(wanted - used)} of them unused")
    assert wanted - used == set()
    assert 403 not in {call.record["status"] for call in calls}


@pytest.mark.parametrize(("dag", "statement", "task_id", "key"), NEEDED, ids=[entry[0] for entry in NEEDED])
def test_without_a_statement_its_dag_fails_at_once_and_the_log_ends_in_what_to_add(world, dag, statement, task_id, key):
    unpause(world.airflow, dag)
    world.role.may_only(dag, without=statement)
    run = world.airflow.trigger(dag, key)
    assert world.airflow.wait_for_run(dag, run, 240) == "failed"
    task, last = world.log_of(dag, run, task_id)
    assert task["try_number"] == 1
    assert BEGIN in last, last
    assert f"add it to {policy_of(dag)} in include/cloudformation/log_audit.yaml" in last


def test_a_sensor_that_is_refused_waits_and_tells_people_what_to_add(world):
    """The tests before have left the role without the rights of the delivery's DAG."""

    def told():
        return [one["text"] + str(one["blocks"]) for one in world.control.slack_messages() if "sqs:receive" in str(one)]

    runs = lambda: list(world.airflow.pages(f"dags/{DELIVERY}/dagRuns", "dag_runs"))  # noqa: E731
    wait_until(lambda: told() != [], 120, lambda: f"nobody was told: {runs()[-1]}")
    assert f"{BEGIN}sqs:receivemessage on arn:aws:sqs:" in told()[0]
    assert "EcsLogDeliveryPolicy" in told()[0]
    before = len(runs())
    world.role.may_all()
    shipped = make_run.audited_deliveries(
        world.airflow, SimpleNamespace(endpoint=world.control.endpoint), world.settings
    )
    assert shipped == []
    assert {run["state"] for run in runs()} <= {"success", "running", "queued"}
    assert before < 20  # no storm of runs
