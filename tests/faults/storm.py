"""A storm: the real Airflow and the stand-in under load, with all that a plan has befall them, and the books after it.

``python -m tests.faults.storm 1 2 3`` makes long storms of these seeds (``make faults``).
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import aurora, aurora_lines
from local_aws.airflow import (
    PROJECT,
    LocalAirflow,
    aws_connection,
    free_port,
    processes_of,
    slack_connection,
)
from local_aws.control import Control
from local_aws.server import LocalAws
from log_audit.settings import load_settings
from log_audit.window import to_ms
from tests.e2e.conftest import begun, environment, unpause
from tests.faults.books import Planted, Seen, difference
from tests.faults.plan import READ_TIMEOUT, Injection, Plan, make_plan
from tests.support import export_scenario
from tests.support.aurora_scenario import (
    AUDIT,
    AURORA,
    DELIVERIES,
    DELIVERY,
    REGION,
    TABLES,
    TOKYO,
    events,
    recorded,
    ship,
)
from tests.support.export_scenario import ARCHIVE, DAG, GROUPS, MONTHS, backfill_of, planted

CHECKS = "insights_checks"
CLUSTERS = ("orders", "payments")
LOG_GROUPS = ("/api", "/fn", "/box", "/calls")
SHORT = 240  # seconds: a storm that ends before the checks' next run is given its errors before it begins
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {ARCHIVE}
    athena: {{workgroup: audits}}
    aurora: {AURORA}
    log_group_sets:
      api_gateway: [{{name: /api}}]
      lambda: [{{name: /fn}}]
      ecs: [{{name: /box}}]
      scheduler_calls: [{{name: /calls}}]
insights: {{settle_minutes: 0.1, look_back_minutes: 15}}  # the errors of a storm are up to 14 minutes late
delivery: {DELIVERIES}
slack: {{failures: [failures], pace_minutes: 0}}
"""


class Storm:
    """One storm, from the first planting to the books.

    :param home: Airflow's state and logs
    :param say: is told what happens, a line each
    """

    def __init__(self, plan: Plan, control: Control, home: Path, say: Callable[[str], None]) -> None:
        self.plan, self.control, self.home, self.say = plan, control, home, say
        self.planted = Planted()
        self.client = export_scenario.clients(control)
        self.began = 0.0

    def run(self, quiet: float) -> list[str]:
        """What does not balance ``quiet`` seconds after the storm; all processes have ended."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self.airflow = LocalAirflow(self.home, free_port(), self._environment())
        try:
            begun(self.airflow)
            self._open()
            self._blow()
            wrong = self._settled(quiet)
        finally:
            self.airflow.stop()
        left = [f"a process without an owner: {process}" for process in processes_of(self.home)]
        return [*wrong, *left]

    def _environment(self) -> dict[str, str]:
        connection = json.loads(aws_connection(self.control.endpoint))
        connection["extra"]["config_kwargs"] = {"read_timeout": READ_TIMEOUT, "connect_timeout": 5}
        return {
            **environment(self.control, self.home, SETTINGS),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_SLACK_DEFAULT": slack_connection(self.control.endpoint),
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "TZ": self.plan.zone,
        }

    def _prepare(self) -> None:
        self.control.reset()
        self.control.configure(
            slack_channels=["log-audit", "failures"],
            ecs_event_copies=self.plan.copies,
            ecs_event_disorder=self.plan.disorder,
        )
        file = self.home / "settings.yaml"
        file.write_text(SETTINGS)
        target = load_settings(file).targets["tokyo"]
        assert target.aurora
        self.shop = target.aurora
        aurora.prepare(self.control.endpoint, target)
        export_scenario.plant(self.control)
        long_ago = to_ms(datetime.now(UTC) - timedelta(days=30))
        for name in LOG_GROUPS:
            self.control.create_log_group(name, region=REGION, creation_time_ms=long_ago)

    def _open(self) -> None:
        """What goes on in peace: the tables are made, the month's backfill and the checks begin."""
        unpause(self.airflow, TABLES, AUDIT, DELIVERY, DAG, CHECKS if self.plan.seconds > SHORT else TABLES)
        assert self.airflow.wait_for_run(TABLES, self.airflow.trigger(TABLES), 180) == "success"
        months = MONTHS[: self.plan.months]
        self.planted.months = {(group, month): len(planted(group, month)) for group in GROUPS for month in months}
        self.airflow.api("POST", "backfills", json=backfill_of(months))
        if self.plan.seconds <= SHORT:
            self._log_before_the_run()
            unpause(self.airflow, CHECKS)
        self.say(f"the storm begins; logs: {self.home}")

    def _log_before_the_run(self) -> None:
        """In the interval that has just ended, which the first run of the checks looks at."""
        if 300 - time.time() % 300 < 15:
            time.sleep(16)
        now = time.time()
        arrival = datetime.fromtimestamp(now - now % 300 - 120, UTC)
        for number, (_, late) in enumerate(self.plan.events):
            self._log(number, arrival, late)

    def _log(self, number: int, arrival: datetime, late: float) -> None:
        word = f"storm-{self.plan.seed}-{number:04};"
        event = {"timestamp": to_ms(arrival - timedelta(seconds=late)), "message": f"ERROR cannot pay {word}"}
        self.control.put_events("/box", "s", [{**event, "ingestionTime": to_ms(arrival)}], region=REGION)
        self.planted.events.append(word)

    def _ship(self, number: int) -> None:
        """An hour of its own, so that no two tasks ship the same.

        Of each cluster one, in long storms, by a task that runs now: all its events come, in the plan's disorder. Of a
        task of the past only the last one does.
        """
        cluster, hour = CLUSTERS[number % 2], f"2026-11-{10 + number // 24:02}T{number % 24:02}"
        for _ in range(20):
            with contextlib.suppress(BotoCoreError, ClientError):  # the storm takes the shippers' calls for others'
                if number in (2, 3):
                    where = {"region": REGION, "zone": TOKYO}
                    shipped = aurora.ship_now(
                        self.control.endpoint, self.shop, cluster, aurora_lines.with_incident, **where
                    )
                    task, hour = shipped.task_arn.partition(":task/")[2], shipped.key
                else:
                    task = ship(self.control, self.shop, cluster, hour, aurora_lines.with_incident)
                self.planted.deliveries[task] = f"{cluster}/{hour}"
                return
        raise RuntimeError(f"{hour} could not be shipped")

    def _blow(self) -> None:
        self.began = time.monotonic()
        for at, act in sorted(self._acts(), key=lambda entry: entry[0]):
            time.sleep(max(0.0, at - self._now()))
            self._supervise()
            act()
        time.sleep(max(0.0, self.plan.seconds - self._now()))
        self.control.clear_faults()
        self.say(f"{self._now():6.1f} s  the storm is over")

    def _acts(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for number, at in enumerate(self.plan.deliveries):
            yield at, lambda number=number: self._ship(number)
        if self.plan.seconds > SHORT:
            for number, (at, late) in enumerate(self.plan.events):
                yield at, lambda number=number, late=late: self._log(number, datetime.now(UTC), late)
        for injection in self.plan.injections:
            yield injection.at, lambda injection=injection: self._inject(injection)

    def _inject(self, injection: Injection) -> None:
        self.say(str(injection))
        if injection.kind == "kill":
            self.airflow.kill_component(injection.what)
            time.sleep(injection.down)
            self.airflow.start_component(injection.what)
        elif injection.kind == "kill worker":
            self._kill_worker(int(injection.what))
        else:
            self.control.fault(injection.what, **injection.fault)

    def _kill_worker(self, choice: int) -> None:
        """Of a task that runs, as soon as one does."""
        wanted = (
            "SELECT dag_id, task_id, pid FROM task_instance WHERE state = 'running' AND pid IS NOT NULL ORDER BY id"
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            running = self.airflow.rows(wanted)
            if running:
                victim = running[choice % len(running)]
                with contextlib.suppress(psutil.Error, ValueError):  # it has just ended, or is a dead scheduler's
                    self.airflow.kill_worker_of(victim)
                    self.say(f"{self._now():6.1f} s  killed the worker of {victim['dag_id']} {victim['task_id']}")
                    return
            time.sleep(0.2)
        self.say(f"{self._now():6.1f} s  no task ran whose worker could be killed")

    def _supervise(self) -> None:
        """What has ended by itself is started again, as a supervisor does."""
        for name, process in self.airflow.processes.items():
            if process.poll() is not None:
                self.say(f"{self._now():6.1f} s  {name} had ended with {process.returncode}, and is started again")
                self.airflow.start_component(name)

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _settled(self, quiet: float) -> list[str]:
        """The difference, as soon as there is none for a while, or when the quiet time is over."""
        until, sound, before = time.monotonic() + quiet, 0, 0
        while True:
            self._supervise()
            wrong = difference(self.planted, self.seen())
            if len(wrong) != before:
                self.say(f"{self._now():6.1f} s  {len(wrong)} entries of the books do not balance yet")
                before = len(wrong)
            sound = 0 if wrong else sound + 1
            if sound == 3 or time.monotonic() > until:
                return wrong
            time.sleep(3)

    def seen(self) -> Seen:
        """What is there now."""
        manifests = {place: found for place in self.planted.months if (found := self._manifest(*place))}
        return Seen(
            recorded=recorded(self.airflow),
            audited=Counter(event["extra"]["key"] for event in events(self.airflow, "aurora_audits")),
            told=[message["text"] + json.dumps(message["blocks"]) for message in self.control.slack_messages()],
            manifests=manifests,
            jobs=[*self._jobs(), *self._unnamed_exports()],
            processes=self._orphans(),
            runs=self._runs(),
        )

    def _manifest(self, group: str, month: str) -> dict[str, Any] | None:
        try:
            return export_scenario.manifest(self.client, group, month)
        except ClientError:
            return None

    def _exports(self) -> list[dict[str, Any]]:
        pages = self.client("logs").get_paginator("describe_export_tasks").paginate()
        return [task for page in pages for task in page["exportTasks"]]

    def _jobs(self) -> Iterator[str]:
        for task in self._exports():
            if task["status"]["code"] in ("PENDING", "RUNNING", "PENDING_CANCEL"):
                yield f"export task {task['taskId']} is {task['status']['code']}"
        for status in ("Scheduled", "Running"):
            for query in self.client("logs").describe_queries(status=status)["queries"]:
                yield f"Insights query {query['queryId']} is {status}"
        athena = self.client("athena")
        for page in athena.get_paginator("list_query_executions").paginate(WorkGroup="audits"):
            ids = page["QueryExecutionIds"]
            for start in range(0, len(ids), 50):
                found = athena.batch_get_query_execution(QueryExecutionIds=ids[start : start + 50])
                for execution in found["QueryExecutions"]:
                    if execution["Status"]["State"] in ("QUEUED", "RUNNING"):
                        yield f"Athena query {execution['QueryExecutionId']} is {execution['Status']['State']}"

    def _unnamed_exports(self) -> Iterator[str]:
        """Exports that wrote something and that no manifest knows of: AWS was asked twice."""
        s3 = self.client("s3")
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=export_scenario.BUCKET).get("Contents", [])]
        named = [key for key in keys if key.endswith("/manifest.json")]
        known = "".join(s3.get_object(Bucket=export_scenario.BUCKET, Key=key)["Body"].read().decode() for key in named)
        for task in self._exports():
            if task["taskId"] not in known and any(
                f"/{task['taskId']}/" in key and key.endswith(".gz") for key in keys
            ):
                yield f"export task {task['taskId']} of {task['logGroupName']} is in no manifest"

    def _orphans(self) -> Iterator[str]:
        ours = {process.pid for process in self.airflow.processes.values()}
        for process in processes_of(self.home):
            with contextlib.suppress(psutil.Error):
                if not {process.pid, *(parent.pid for parent in process.parents())} & ours:
                    yield f"{process.pid} {' '.join(process.cmdline())[:80]}"

    def _runs(self) -> Iterator[str]:
        """What is under way, but for the sensor that always is, and what failed and nothing makes up for."""
        rows = self.airflow.rows("SELECT dag_id, run_id, state FROM dag_run WHERE state != 'success' ORDER BY id")
        for run in rows:
            made_up_for = run["dag_id"] in (DELIVERY, CHECKS) and run["state"] == "failed"
            if not made_up_for and run["dag_id"] != DELIVERY:
                yield f"{run['dag_id']} {run['run_id']} is {run['state']}"


def storm(plan: Plan, control: Control, home: Path, quiet: float) -> list[str]:
    """Make a storm, tell of it, and tell what does not balance."""
    log = home / "storm.log"

    def say(line: str) -> None:
        print(line, flush=True)
        with log.open("a") as file:
            print(line, file=file)

    home.mkdir(parents=True, exist_ok=True)
    say(str(plan))
    began = time.monotonic()
    wrong = Storm(plan, control, home, say).run(quiet)
    if wrong:
        say("\n".join([f"the books do NOT balance (seed {plan.seed}):", *(f"  {line}" for line in wrong)]))
        say(f"the plan:\n{plan}\nlogs: {home}")
    else:
        say(f"the books balance (seed {plan.seed}), after {time.monotonic() - began:.0f} s in all")
    return wrong


def long_plan(seed: int) -> Plan:
    return make_plan(seed, 360, mishaps=30, deliveries=6, events=8, months=2)


def short_plan(seed: int) -> Plan:
    return make_plan(seed, 60, mishaps=12, deliveries=2, events=4, months=1)


def main(seeds: list[int], make: Callable[[int], Plan] = long_plan) -> int:
    """A storm for each seed; how many were not survived."""
    folder = PROJECT / ".local" / "faults" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    bad = []
    with LocalAws() as server:
        for seed in seeds:
            if storm(make(seed), Control(server.endpoint), folder / str(seed), quiet=600):
                bad.append(seed)
    print(
        f"{len(seeds) - len(bad)} of {len(seeds)} storms: the books balance" + (f"; not of seeds {bad}" if bad else "")
    )
    return len(bad)


if __name__ == "__main__":
    short = "--short" in sys.argv
    asked = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    sys.exit(min(1, main(asked or list(range(1, 11)), short_plan if short else long_plan)))
