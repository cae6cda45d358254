"""What only a whole Airflow can tell: an idle five-minute run, a backfill, deliveries that have queued up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import psutil

from benchmarks.harness import PROJECT, REGION, Row, stand_in
from local_aws import aurora, aurora_lines
from local_aws.airflow import LocalAirflow, free_port, processes_of, slack_connection, wait_until
from local_aws.control import Control
from log_audit.settings import load_settings
from log_audit.window import key_of, to_ms, utc_now
from tests.e2e.conftest import begun, environment, unpause
from tests.support import aurora_scenario, export_scenario

CHECKS, STOCK = "insights_checks", "stock_checks"
HEAD = """
time_zone: Asia/Tokyo
slack:
  failures: [failures]
targets:
"""
TARGET = """
  {name}:
    connection: aws_default
    region: ap-northeast-1
    archive: {archive}
    log_group_sets: {sets}
"""
NOWHERE = "{{bucket: nowhere-{name}, log_groups: [{{name: /nowhere}}]}}"
QUERY_SECONDS = 2.0  # what AWS takes for each query


@contextlib.contextmanager
def airflow_on(control: Control, settings: str, *dags: str, **env: str) -> Iterator[LocalAirflow]:
    """Airflow with these DAGs alone, un-paused; nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="log-audit-bench-"))
    folder = home / "dags"
    folder.mkdir()
    for dag in dags:
        source = PROJECT / "dags" / f"{dag}.py"
        shutil.copy(source if source.exists() else PROJECT / "benchmarks" / "dags" / f"{dag}.py", folder)
    given = environment(control, home, settings) | {"AIRFLOW__CORE__DAGS_FOLDER": str(folder)} | env
    given["AIRFLOW_CONN_SLACK_DEFAULT"] = slack_connection(control.endpoint)
    airflow = LocalAirflow(home, free_port(), given)
    try:
        begun(airflow)
        unpause(airflow, *dags)
        yield airflow
    finally:
        airflow.stop()
        shutil.rmtree(home, ignore_errors=True)


# An idle five-minute run


def idle_run(times: int = 3) -> list[Row]:
    """Ten checks that find nothing, from the run's start to its success, in turns with the stock DAG."""
    groups = {"api_gateway": "/api", "lambda": "/fn", "ecs": "/box", "scheduler_calls": "/calls"}
    sets = {name: [{"name": group}] for name, group in groups.items()}
    both = [("tokyo", sets), ("second", {name: sets[name] for name in ("api_gateway", "lambda")})]
    settings = HEAD + "".join(
        TARGET.format(name=name, archive=NOWHERE.format(name=name), sets=json.dumps(some)) for name, some in both
    )
    queries = [{"log_group": "/api", "text": "filter @message like /ERROR/"}] * 10
    with stand_in() as control:
        control.configure(query_running_seconds=QUERY_SECONDS, slack_channels=["log-audit", "failures"])
        for group in groups.values():
            control.create_log_group(group, region=REGION, creation_time_ms=to_ms(utc_now() - timedelta(days=30)))
        with airflow_on(control, settings, CHECKS, STOCK, STOCK_QUERIES=json.dumps(queries)) as airflow:
            quiet = {"from": (datetime.now(UTC) - timedelta(minutes=30)).isoformat()}
            quiet["to"] = (datetime.now(UTC) - timedelta(minutes=25)).isoformat()
            _between_two_scheduled_runs(airflow)
            pairs = [(_lasts(airflow, STOCK), _lasts(airflow, CHECKS, **quiet)) for _ in range(times)]
            looks, lives = _looks(airflow)
    baseline, ours = (mean(side) - QUERY_SECONDS for side in zip(*pairs, strict=True))
    told = f"{ours:.1f} s beyond AWS's {QUERY_SECONDS:.0f} s"
    what = f"an idle five-minute run, {looks} checks"
    met = ours <= 6 and ours < baseline
    note = (
        f"{looks} processes on {os.cpu_count()} cores live {lives:.1f} s each, AWS's {QUERY_SECONDS:.0f} s among them"
    )
    return [Row(what, f"{baseline:.1f} s, stock pieces", told, "≤ 6 s, and faster than stock", met, note)]


def _between_two_scheduled_runs(airflow: LocalAirflow, needed: float = 120) -> None:
    left = 300 - time.time() % 300
    if left < needed:
        time.sleep(left + 2)
    active = "SELECT run_id FROM dag_run WHERE dag_id = :dag AND state IN ('queued', 'running')"
    wait_until(lambda: not airflow.rows(active, dag=CHECKS), 120, lambda: "a scheduled run does not end")


def _looks(airflow: LocalAirflow) -> tuple[int, float]:
    """How many looks the last run made, and for how many seconds the process of one lives."""
    by_hand = "SELECT run_id FROM dag_run WHERE dag_id = :dag AND run_id LIKE 'manual%' ORDER BY id"
    of_the_last = "SELECT duration FROM task_instance WHERE task_id = 'look' AND run_id = :run"
    looks = airflow.rows(of_the_last, run=airflow.rows(by_hand, dag=CHECKS)[-1]["run_id"])
    return len(looks), mean(look["duration"] for look in looks)


def _lasts(airflow: LocalAirflow, dag: str, **params: str) -> float:
    run_id = airflow.trigger(dag, **params)
    assert airflow.wait_for_run(dag, run_id, 240) == "success", dag
    run = airflow.api("GET", f"dags/{dag}/dagRuns/{run_id}")
    began, ended = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return (ended - began).total_seconds()


# A backfill


def backfill(months: int = 2, export_seconds: float = 60) -> list[Row]:
    """Two log groups; between an export's end, by AWS's clock, and the next one's start AWS waits for us."""
    settings = HEAD + TARGET.format(name="tokyo", archive=export_scenario.ARCHIVE, sets="{}")
    with stand_in() as control:
        client = export_scenario.clients(control)
        export_scenario.prepare(control, client)
        control.configure(export_pending_seconds=0, export_running_seconds=export_seconds)
        control.configure(slack_channels=["failures"])
        with airflow_on(control, settings, export_scenario.DAG) as airflow:
            asked = export_scenario.backfill_of(export_scenario.MONTHS[:months])
            export_scenario.wait_for_backfill(airflow, airflow.api("POST", "backfills", json=asked))
        tasks = client("logs").describe_export_tasks()["exportTasks"]
    spans = sorted((task["executionInfo"]["creationTime"], task["executionInfo"]["completionTime"]) for task in tasks)
    gaps = [(later[0] - earlier[1]) / 1000 for earlier, later in pairwise(spans)]
    within, between = gaps[::2], gaps[1::2]  # of a month's two log groups, and from a month to the next
    year = 36 * export_seconds + 24 * mean(within) + 11 * mean(between or within)
    note = f"{len(spans)} exports measured; 12 months × 3 groups would be {year / 60:.0f} min, AWS's own time 36"
    told = f"{mean(gaps):.1f} s more an export ({mean(within):.1f} s within a month)"
    what = f"backfill, {export_seconds:.0f} s an export"
    return [Row(what, "AWS's own time", told, "≤ 3 s more an export", mean(gaps) <= 3, note)]


# Deliveries


def deliveries(marks: Sequence[int] = (100, 200, 400)) -> list[Row]:
    """As many windows as the last mark says are delivered while nobody looks; then all are audited."""
    sets = TARGET.format(name="tokyo", archive=NOWHERE.format(name="tokyo"), sets="{}")
    settings = f"{HEAD}{sets}    athena: {{workgroup: audits}}\n    aurora: {aurora_scenario.AURORA}\n"
    with stand_in() as control:
        _deliver(control, settings, marks[-1])
        with airflow_on(control, settings, "athena_tables", "aurora_audit") as airflow:
            assert airflow.wait_for_run("athena_tables", airflow.trigger("athena_tables"), 240) == "success"
            reached = _drain(airflow, marks)
    return [_mark(marks, reached, number) for number in range(len(marks))]


def _deliver(control: Control, settings: str, size: int) -> None:
    control.configure(slack_channels=["log-audit", "log-audit-critical", "failures"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.yaml"
        file.write_text(settings)
        target = load_settings(file).targets["tokyo"]
    assert target.aurora
    aurora.prepare(control.endpoint, target)
    for back in range(size // 2):
        hour = key_of(utc_now(), "hour", "Asia/Tokyo", back=back + 2)
        for cluster in ("orders", "payments"):
            aurora_scenario.ship(control, target.aurora, cluster, hour, aurora_lines.sample_lines)


def _drain(airflow: LocalAirflow, marks: Sequence[int]) -> list[tuple[float, int]]:
    """Seconds and bytes of memory until each of the marks that were reached."""
    shutil.copy(PROJECT / "dags" / "ecs_log_delivery.py", airflow.home / "dags")
    unpause(airflow, "ecs_log_delivery")
    reached: list[tuple[float, int]] = []
    began, stop = time.monotonic(), 60 + 30 * marks[-1]
    with Most(airflow.home) as most:
        while len(reached) < len(marks) and time.monotonic() - began < stop:
            if _audited(airflow) >= marks[len(reached)]:
                reached.append((time.monotonic() - began, most.bytes))
            else:
                time.sleep(2)
    return reached


def _mark(marks: Sequence[int], reached: Sequence[tuple[float, int]], number: int) -> Row:
    size, all_of_them = marks[number], marks[-1]
    what = f"{size} of {all_of_them} deliveries queued in SQS audited"
    goal = "–" if number == 0 else f"linear: as fast as the first {marks[0]}, within a quarter"
    if number >= len(reached):
        return Row(what, "–", "not reached in 30 s each", goal, met=False)
    seconds, held = reached[number]
    told = f"after {seconds:.0f} s, {seconds / size:.1f} s each, {held / 2**30:.1f} GiB at most"
    is_linear = seconds / size <= 1.25 * reached[0][0] / marks[0]
    return Row(what, "–", told, goal, None if number == 0 else is_linear)


def _audited(airflow: LocalAirflow) -> int:
    query = "SELECT count(DISTINCT partition_key) AS n FROM dag_run WHERE dag_id = 'aurora_audit' AND state = 'success'"
    return int(airflow.rows(query)[0]["n"])


class Most(threading.Thread):
    """The most memory that Airflow's processes held together, shared pages counted once."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.home, self.bytes, self._over = home, 0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(5):
            held = 0
            for process in processes_of(self.home):
                with contextlib.suppress(psutil.Error):
                    held += process.memory_full_info().pss
            self.bytes = max(self.bytes, held)

    def __enter__(self) -> Most:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self.join()
