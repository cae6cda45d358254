"""Months of logs in the stand-in, archived by the real Airflow whatever its executor."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import boto3

from local_aws.airflow import LocalAirflow, wait_until
from local_aws.control import Control
from local_aws.samples import export_policy
from log_audit.window import Window, from_ms, iso, to_ms
from tests.e2e.conftest import task

REGION, TOKYO, BUCKET = "ap-northeast-1", "Asia/Tokyo", "year"
DAG = "monthly_log_export"
GROUPS = ["/shop/orders", "/shop/payments"]
MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]
ARCHIVE = f"{{bucket: {BUCKET}, log_groups: [{{name: {GROUPS[0]}, reconcile: true}}, {{name: {GROUPS[1]}}}]}}"


class Killed(NamedTuple):
    """Who was killed, and the task instance as it ended.

    :param worker: the component that is still dead, if the worker was one
    """

    worker: str | None
    task: dict[str, Any]


def planted(group: str, month: str) -> list[int]:
    """The events of a month, epoch ms: both edges to the millisecond, and some between."""
    first, last = Window.month(month, TOKYO).export_range()
    number = 5 + MONTHS.index(month) + 3 * GROUPS.index(group)
    return [first, *(first + (last - first) * n // number for n in range(1, number)), last]


def clients(control: Control) -> Callable[[str], Any]:
    """Makes boto3 clients of the stand-in."""

    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=control.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return make


def prepare(control: Control, client: Callable[[str], Any]) -> None:
    """The bucket, and the log groups; for those who do not deploy the target's stack, which makes the bucket."""
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client("s3").put_bucket_policy(Bucket=BUCKET, Policy=export_policy(BUCKET, REGION))
    plant(control)


def plant(control: Control) -> None:
    """The log groups, with the events of 2025."""
    for group in GROUPS:
        control.create_log_group(group, region=REGION, creation_time_ms=to_ms(datetime(2024, 12, 1, tzinfo=UTC)))
        moments = sorted(moment for month in MONTHS for moment in planted(group, month))
        # The neighbours of the year: in no archive of 2025
        moments = [moments[0] - 1, *moments, moments[-1] + 1]
        for stream in ("web/1", "web/2"):
            mine = moments[0::2] if stream == "web/1" else moments[1::2]
            events = [{"timestamp": moment, "message": f"{group} {moment}"} for moment in mine]
            control.put_events(group, stream, events, region=REGION)


def manifest(client: Callable[[str], Any], group: str, month: str) -> dict[str, Any]:
    key = f"{month.replace('-', '/')}{group}/manifest.json"
    found: dict[str, Any] = json.loads(client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())
    return found


def forget_archive(client: Callable[[str], Any], prefix: str) -> None:
    for item in client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        client("s3").delete_object(Bucket=BUCKET, Key=item["Key"])


def backfill_of(months: Sequence[str]) -> dict[str, Any]:
    """What Airflow's REST API is asked for: these months, which follow each other, one at a time."""
    body = {"dag_id": DAG, "from_date": f"{months[0]}-01T00:00:00Z", "to_date": f"{months[-1]}-28T00:00:00Z"}
    return {**body, "max_active_runs": 1}


def wait_for_backfill(airflow: LocalAirflow, backfill: dict[str, Any]) -> None:
    def done() -> bool:
        return airflow.api("GET", f"backfills/{backfill['id']}")["completed_at"] is not None

    wait_until(done, 900, lambda: f"the backfill has not ended: {airflow.api('GET', f'dags/{DAG}/dagRuns')}")


def check_archive(airflow: LocalAirflow, control: Control, client: Callable[[str], Any], months: Sequence[str]) -> None:
    """After a backfill: exactly these months are archived, each exported once and whole, the oldest first."""
    made = [run for run in airflow.pages(f"dags/{DAG}/dagRuns", "dag_runs") if run["run_type"] == "backfill"]
    runs = sorted(made, key=lambda run: run["start_date"])
    assert [(run["partition_key"], run["state"]) for run in runs] == [(month, "success") for month in months]
    for month in months:
        for group in GROUPS:
            check_manifest(manifest(client, group, month), group, planted(group, month))
    created = control.calls("logs.CreateExportTask")
    assert {call["status"] for call in created} == {200}  # never two at a time: none was refused
    span = Window(Window.month(months[0], TOKYO).start, Window.month(months[-1], TOKYO).end)
    assert sum(from_ms(call["parameters"]["from"]) in span for call in created) == len(GROUPS) * len(months)


def check_manifest(found: dict[str, Any], group: str, expected: list[int]) -> None:
    assert found["events"] == sum(item["events"] for item in found["objects"]) == len(expected)
    assert (found["first_event"], found["last_event"]) == (iso(from_ms(expected[0])), iso(from_ms(expected[-1])))
    assert (found["complete"], found["state"]) == (True, "final")
    if group == GROUPS[0]:
        assert found["reconciliation"]["difference"] == 0


def kill_in_mid_export(airflow: LocalAirflow, control: Control, client: Callable[[str], Any], month: str) -> Killed:
    """A worker dies while an export runs: one AWS task, a whole month."""
    forget_archive(client, f"{month.replace('-', '/')}/")
    control.forget_calls()
    control.configure(export_running_seconds=8)
    run_id = airflow.trigger(DAG, month)
    wait_until(lambda: control.calls("logs.CreateExportTask") != [], 120, lambda: "no export began")
    control.configure(export_running_seconds=0.5)
    running = [t for t in airflow.task_instances(DAG, run_id) if t["task_id"] == "tokyo.export" and t["pid"]]
    [victim] = [entry for entry in running if entry["state"] == "running"]
    dead = airflow.kill_worker_of(victim)
    assert airflow.wait_for_run(DAG, run_id, 400) == "success"
    again = task(airflow, DAG, run_id, "tokyo.export", victim["map_index"])
    assert again["try_number"] == 2
    groups = [call["parameters"]["logGroupName"] for call in control.calls("logs.CreateExportTask")]
    assert sorted(groups) == GROUPS
    for group in GROUPS:
        assert manifest(client, group, month)["events"] == len(planted(group, month))
    return Killed(dead, again)
