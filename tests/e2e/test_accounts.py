"""Three targets through every pipeline of the real Airflow: two accounts in two regions, and one whose role is broken.

The broken one fails alone, and says which connection and which role; whatever concerns the others is done, told and
recorded, in their own account and region.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local_aws import aurora_lines
from local_aws.airflow import slack_connection, wait_until
from local_aws.run import scheduled_run
from local_aws.trail_records import batch_call, root
from log_audit.archive import LATEST_ARRIVAL
from log_audit.settings import load_settings
from log_audit.window import Window, key_of, last_settled_month
from tests.e2e.conftest import unpause
from tests.support import aurora_scenario
from tests.support.accounts import Account

pytestmark = pytest.mark.e2e

JAPAN = ZoneInfo("Asia/Tokyo")
NUMBERS = {"tokyo": "111111111111", "osaka": "222222222222", "broken": "333333333333"}
REGIONS = {"tokyo": "ap-northeast-1", "osaka": "ap-northeast-3", "broken": "ap-northeast-1"}
WELL = ("tokyo", "osaka")
CANNOT = "the role arn:aws:iam::333333333333:role/log-audit cannot be assumed with the Airflow connection 'aws_broken'"
TARGET = """
  {name}:
    connection: aws_{name}
    region: {region}
    archive: {{bucket: archive-{name}, log_groups: [{{name: /app}}]}}
    athena: {{workgroup: audits, results: "s3://results-{name}/athena"}}
    aurora:
      location: s3://aurora-{name}/audit
      queue: https://sqs.{region}.amazonaws.com/{number}/tasks
      clusters:
        orders-{name}: {{ecs_cluster: batch, command: [orders-{name}]}}
    cloudtrail:
      location: s3://trail-{name}/AWSLogs
      accounts: ["{number}"]
      regions: [{region}]
    log_group_sets:
      lambda: [{{name: /app}}]{more}
"""
# Every set must be one target's; the fewer looks, the sooner the test ends.
MORE = "".join(f"\n      {name}: [{{name: /app}}]" for name in ("api_gateway", "ecs", "scheduler_calls"))
# The broken one stands first: those behind it must not wait for it.
SETTINGS = (
    "time_zone: Asia/Tokyo\ntargets:"
    + "".join(
        TARGET.format(name=name, region=REGIONS[name], number=NUMBERS[name], more=MORE if name == "osaka" else "")
        for name in ("broken", *WELL)
    )
    + "delivery: {visibility_minutes: 0.5, blind_after_minutes: 0.05}\nslack: {failures: [failures]}\n"
)
NOW = datetime.now(UTC)
MONTH = last_settled_month(NOW, LATEST_ARRIVAL, "Asia/Tokyo")  # a month that is final as soon as it is archived
DAY = key_of(NOW - timedelta(hours=6), "day", JAPAN, back=1)
HOUR = "2026-11-10T03"


@pytest.fixture(scope="module")
def accounts(control, tmp_path_factory):
    """The accounts by target; the broken one has no role."""
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    targets = load_settings(file).targets
    found = {name: Account(control, target, NUMBERS[name]) for name, target in targets.items()}
    month, day = Window.month(MONTH, JAPAN), Window.day(DAY, JAPAN)
    for name, account in found.items():
        account.prepare()
        noon = day.start + timedelta(hours=12)
        identity = root(account.number, noon)
        more = {"account": account.number, "region": account.target.region}
        account.trail([batch_call(noon, "DeleteJobQueue", identity=identity, **more)], noon)
        account.log("/app", [month.start + timedelta(days=3, minutes=n) for n in range(5)], f"an event of {name}")
    found["broken"].remove_role()
    return found


@pytest.fixture(scope="module")
def airflow(control, boot, accounts):
    control.configure(slack_channels=["log-audit", "log-audit-critical", "failures"])
    connections = {key: value for account in accounts.values() for key, value in account.connection.items()}
    airflow = boot(SETTINGS, AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint), **connections)
    control.forget_calls()
    return airflow


def run(airflow, dag_id, key=None, **params):
    """A run by hand to its end: its state, and its tasks."""
    unpause(airflow, dag_id)
    run_id = airflow.trigger(dag_id, key, **params)
    return airflow.wait_for_run(dag_id, run_id, 400), airflow.task_instances(dag_id, run_id)


def red(airflow, tasks):
    """The failed tasks' last words, by task and what the grid calls them."""
    return {
        (task["task_id"], task["rendered_map_index"]): airflow.last_error(task)
        for task in tasks
        if task["state"] == "failed"
    }


def states(tasks, task_id):
    return {task["rendered_map_index"]: task["state"] for task in tasks if task["task_id"] == task_id}


def told(control, text, channel="log-audit"):
    found = control.slack_messages(channel)
    return [message for message in found if text in json.dumps([message["text"], message["blocks"]])]


def recorded(airflow, asset):
    return [event["extra"] for event in aurora_scenario.events(airflow, asset)]


def assert_only_the_broken_account_failed(failed, *task_ids):
    assert {task for task, _ in failed} == set(task_ids)
    for words in failed.values():
        assert words.startswith("CredentialsError: ")
        assert CANNOT in words
        assert "trust policy" in words


def test_tables_are_made_in_the_accounts_that_can_be_reached(airflow, accounts):
    state, tasks = run(airflow, "athena_tables")
    assert state == "failed"
    failed = red(airflow, tasks)
    assert_only_the_broken_account_failed(failed, "table")
    assert len(failed) == 2
    assert sorted(task["state"] for task in tasks) == ["failed"] * 2 + ["success"] * 4
    for name in WELL:
        asked = {"CatalogName": "AwsDataCatalog", "DatabaseName": "log_audit", "TableName": "aurora_audit_log"}
        metadata = accounts[name].client("athena").get_table_metadata(**asked)["TableMetadata"]
        assert metadata["Parameters"]["location"].startswith(f"s3://aurora-{name}/")


def test_a_month_is_archived_in_each_account_that_can_be_reached(airflow, control, accounts):
    state, tasks = run(airflow, "monthly_log_export", MONTH)
    assert state == "failed"
    assert_only_the_broken_account_failed(red(airflow, tasks), "broken.plan")
    assert {task["try_number"] for task in tasks if task["task_id"] == "broken.plan"} == {1}
    for name in WELL:
        manifest = json.loads(accounts[name].read(f"archive-{name}", f"{MONTH.replace('-', '/')}/app/manifest.json"))
        assert (manifest["events"], manifest["state"]) == (5, "final")
    assert accounts["broken"].keys("archive-broken") == []
    assert {extra["bucket"] for extra in recorded(airflow, "log_archive")} == {"archive-tokyo", "archive-osaka"}
    wait_until(lambda: told(control, "broken.plan", "failures") != [], 60, lambda: "nobody heard of the failed run")


def test_archives_are_rechecked_in_each_account_that_can_be_reached(airflow):
    state, tasks = run(airflow, "archive_recheck", MONTH)
    assert state == "failed"
    assert_only_the_broken_account_failed(red(airflow, tasks), "broken.plan")
    for name in WELL:
        assert states(tasks, f"{name}.manifest") == {"/app": "success"}


def last_end(dag_id):
    """When the interval ends that Airflow runs as soon as the DAG is un-paused."""
    now = datetime.now(UTC)
    if dag_id == "insights_checks":
        if now.timestamp() % 300 > 280:
            time.sleep(21)  # or another interval ends in between
        return datetime.fromtimestamp(time.time() // 300 * 300, UTC)
    boundary = now.replace(hour=20, minute=0, second=0, microsecond=0)  # 05:00 in Japan
    return boundary if boundary <= now else boundary - timedelta(days=1)


@pytest.mark.parametrize(
    ("dag_id", "ago", "late"),
    [
        ("insights_checks", timedelta(minutes=3), timedelta(0)),
        ("insights_late_sweep", timedelta(hours=5), timedelta(hours=3)),
    ],
)
def test_checks_look_tell_and_record_where_they_can(airflow, control, accounts, dag_id, ago, late):
    before = {name: len(told(control, name)) for name in NUMBERS}
    arrival = last_end(dag_id) - ago
    for account in accounts.values():
        timeout = "2026-01-01T00:00:00.000Z 8f5b0a4e-9d1c-4f7e-a6b2-3c2d1e0f9a8b Task timed out after 3.00 seconds"
        account.put("/app", [arrival - late], timeout, late)
    unpause(airflow, dag_id)
    run_id = scheduled_run(airflow, dag_id)
    state, tasks = airflow.wait_for_run(dag_id, run_id, 400), airflow.task_instances(dag_id, run_id)
    airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": True})
    assert state == "failed"
    assert_only_the_broken_account_failed(red(airflow, tasks), "look")
    looks = states(tasks, "look")
    assert {name.partition(" @ ")[2] for name in looks} == {*NUMBERS}
    for name, looked in looks.items():
        assert looked == ("failed" if name.endswith("@ broken") else "success")
    assert states(tasks, "alert") == {None: "success"}
    for name in WELL:
        assert len(told(control, name)) > before[name]
    extra = recorded(airflow, dag_id)[0]
    assert {look["target"] for look in extra["looks"]} == {*WELL}


def test_deliveries_are_recorded_and_audited_in_each_account_and_people_hear_of_the_blind_one(
    airflow, control, accounts
):
    unpause(airflow, "aurora_audit", "ecs_log_delivery")
    keys = []
    for name in NUMBERS:
        cluster = f"orders-{name}"
        keys.append(accounts[name].ship(cluster, HOUR, aurora_lines.with_incident(cluster, HOUR, JAPAN)))

    def audits():
        return {entry["partition_key"]: entry for entry in airflow.pages("dags/aurora_audit/dagRuns", "dag_runs")}

    well = {key for key in keys if "broken" not in key}
    wait_until(lambda: well <= set(audits()), 150, lambda: f"only {set(audits())} were audited")
    for key in well:
        assert airflow.wait_for_run("aurora_audit", audits()[key]["dag_run_id"], 120) == "success"
        assert [message for message in told(control, key) if "An administrator logged in" in message["text"]]
    wait_until(lambda: told(control, CANNOT) != [], 90, lambda: "nobody heard that the account cannot be seen")
    [message] = told(control, CANNOT)
    assert "broken" in message["text"]
    assert {extra["key"] for extra in recorded(airflow, "aurora_audit_log")} == well
    runs = list(airflow.pages("dags/ecs_log_delivery/dagRuns", "dag_runs"))
    assert {entry["state"] for entry in runs} <= {"success", "running", "queued"}


def test_an_audit_by_hand_of_an_account_that_cannot_be_reached_is_red_and_says_why(airflow):
    state, tasks = run(airflow, "aurora_audit", f"orders-broken/{HOUR}")
    assert state == "failed"
    failed = red(airflow, tasks)
    assert_only_the_broken_account_failed(failed, "audit")
    assert len(failed) == len(states(tasks, "audit"))


def test_a_replay_needs_no_account(airflow):
    span = {"from": "2026-11-10T03:00:00+09:00", "to": "2026-11-10T04:00:00+09:00"}
    for name in NUMBERS:
        state, _ = run(airflow, "aurora_replay", cluster=f"orders-{name}", **span)
        assert state == "success"


def test_trails_are_audited_in_each_account_that_can_be_reached(airflow, control):
    before = {name: len(told(control, name)) for name in WELL}
    state, tasks = run(airflow, "cloudtrail_audit", DAY, alert=True)
    assert state == "failed"
    assert_only_the_broken_account_failed(red(airflow, tasks), "audit", "schedule_health")
    for task_id in ("audit", "schedule_health"):
        for name, looked in states(tasks, task_id).items():
            assert looked == ("failed" if name.endswith("broken") else "success")
    for name in WELL:
        assert len(told(control, name)) > before[name]
    looks = [look for extra in recorded(airflow, "cloudtrail_audits") for look in extra["looks"]]
    assert {look["target"] for look in looks} == {*WELL}


def test_every_call_was_made_in_the_account_and_region_of_its_target(control):
    by_roles = [call for call in control.calls() if call.get("rights")]
    assert {(call["account"], call["region"]) for call in by_roles} == {(NUMBERS[name], REGIONS[name]) for name in WELL}
    assumed = control.calls("sts.AssumeRole")
    assert {call["parameters"]["RoleArn"].split(":")[4] for call in assumed} == set(NUMBERS.values())
    assert {call["status"] for call in assumed if NUMBERS["broken"] in call["parameters"]["RoleArn"]} == {403}


def test_when_the_role_is_mended_clearing_the_red_task_with_what_follows_it_is_enough(airflow, control, accounts):
    accounts["broken"].make_role()
    [made] = airflow.pages("dags/monthly_log_export/dagRuns", "dag_runs")
    what = {"task_ids": ["broken.plan"], "include_downstream": True, "only_failed": False}
    body = {"dag_run_id": made["dag_run_id"], **what, "dry_run": False, "reset_dag_runs": True}
    airflow.api("POST", "dags/monthly_log_export/clearTaskInstances", json=body)
    assert airflow.wait_for_run("monthly_log_export", made["dag_run_id"], 180) == "success"
    assert f"{MONTH.replace('-', '/')}/app/manifest.json" in accounts["broken"].keys("archive-broken")
    wait_until(
        lambda: "orders-broken" in [extra.get("cluster") for extra in recorded(airflow, "aurora_audit_log")],
        150,
        lambda: "the delivery that waited in the queue was not recorded",
    )
