"""``make run``: every pipeline once, on sample data, through the real Airflow; then its UI until Ctrl-C.

Environment: ``ONCE=1`` ends after the summary, non-zero if anything failed; ``AIRFLOW_PORT`` and ``LOCAL_AWS_PORT``
choose ports; ``LOG_AUDIT_SETTINGS`` names another settings file; an ``AIRFLOW_CONN_...`` of yours for a connection
of the settings is used as it is, in place of the stand-in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from local_aws import aurora, aurora_lines, samples, shop, stack, summary
from local_aws.airflow import PROJECT, LocalAirflow, aws_connection, slack_connection, stop_leftovers, wait_until
from local_aws.control import ACCOUNT, Control
from local_aws.server import LocalAws
from local_aws.terminal import Step, Steps, addresses, make_console
from log_audit.archive import LATEST_ARRIVAL
from log_audit.settings import Settings, Target, load_settings
from log_audit.window import last_settled_month

STATE = PROJECT / ".local"
OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}
UNDER_WAY = {"running", "deferred"}
PAGE = "plugin/log-audit/log-audit/"
console = make_console()
steps = Steps(console)


class CannotRun(Exception):
    """Why ``make run`` cannot begin, and what to do."""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop_once)
    try:
        with only_one_run(), contextlib.ExitStack() as stack:
            return run(stack)
    except CannotRun as reason:
        console.print(f"[red]{escape(str(reason))}[/red]", soft_wrap=True)
        return 2
    except (TimeoutError, RuntimeError) as trouble:
        console.print(f"[red]{escape(str(trouble))}[/red]", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 0


def stop_once(*_: object) -> None:
    """The first signal ends the run; those after it must not interrupt its cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(stack: contextlib.ExitStack) -> int:
    began, settings, now = time.monotonic(), load_settings(), datetime.now(UTC)
    airflow_port = port("AIRFLOW_PORT", 8080)
    with steps.step("stand-in for AWS and Slack, with sample data"):
        aws, connections = start_stand_in(stack, settings, now)
    with steps.step("Airflow"):
        airflow = stack.enter_context(fresh_airflow(airflow_port, connections))
        wait_until(lambda: dags(airflow) != [], 60, lambda: import_errors(airflow))
        if errors := import_errors(airflow):
            raise CannotRun(errors)
    runs = [run_dag(airflow, dag, key) for dag, key in once_each(settings, now)]
    if aws:
        with steps.step("an incident in the sample logs"):
            stay_within_five_minutes()
            for account, region in shop.places(served(settings)):
                samples.load_incident(aws.endpoint, now=datetime.now(UTC), region=region, account=account)
    runs += [run_dag(airflow, dag, None, scheduled=True) for dag in ("insights_checks", "insights_late_sweep")]
    if aws and not Control(aws.endpoint).slack_messages():
        runs.append(["insights_checks: the incident in the sample logs was not found"])
    if aws:
        runs += [run_dag(airflow, "athena_tables", None)]
        runs += [run_dag(airflow, "cloudtrail_audit", shop.yesterday(settings, now), alert=True)]
        runs += [audited_deliveries(airflow, aws, settings)]
    listings = [summary.archive(airflow), *([summary.audits(airflow), summary.alerts(aws)] if aws else [])]
    for listing in listings:
        listing.show(console)
    failed = [sentence for sentences in runs for sentence in sentences]
    console.print()
    for sentence in failed:
        console.print(f"[red]failed[/red] {escape(sentence)}", soft_wrap=True)
    if not failed:
        console.print(f"[green]✓[/green] all {len(runs)} runs went well, {time.monotonic() - began:.0f} s in all")
    if not os.environ.get("ONCE"):
        where_to_look(airflow, aws)
        signal.pause()
    return 1 if failed else 0


def where_to_look(airflow: LocalAirflow, aws: LocalAws | None) -> None:
    entries = [
        ("Airflow", airflow.url, f"user admin, password {airflow.password}"),
        ("Log audit", f"{airflow.url}/{PAGE}", "archive, audits, checks, findings, schedules, cost"),
    ]
    if aws:
        entries.append(("Slack", f"{aws.endpoint}/slack/", "what was told"))
    addresses(console, entries)
    console.print("Ctrl-C ends it all.")


def stay_within_five_minutes() -> None:
    """The first run of the checks looks at the last whole five minutes: they must not end before it is made."""
    left = 300 - time.time() % 300
    if left < 20:
        time.sleep(left)


def once_each(settings: Settings, now: datetime) -> list[tuple[str, str]]:
    """Which runs show the archive: the last month's export, and the recheck of the last month that is due for it."""
    last = last_settled_month(now, settings.export.settle, settings.time_zone)
    due = last_settled_month(now, LATEST_ARRIVAL, settings.time_zone)
    return [*(("monthly_log_export", month) for month in sorted({due, last})), ("archive_recheck", due)]


def audited_deliveries(airflow: LocalAirflow, aws: LocalAws, settings: Settings) -> list[str]:
    """A task of each Aurora cluster ships its last hour, and its end alone has it audited; as :func:`run_dag`."""
    shippers = [(target.aurora, target.region) for target in served(settings) if target.aurora]
    failed: list[str] = []
    for dag_id in ("aurora_audit", "ecs_log_delivery"):
        airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})
    for each, region in shippers:
        for cluster in each.clusters:
            with steps.step(f"an ECS task ships the audit log of {cluster}"):
                lines, where = aurora_lines.with_incident, dict[str, Any](region=region, zone=settings.zone)
                shipped = aurora.ship_now(aws.endpoint, each, cluster, lines, **where)
            failed += follow(airflow, "aurora_audit", f"{cluster}/{shipped.key}")
    return failed


def start_stand_in(
    stack: contextlib.ExitStack, settings: Settings, now: datetime
) -> tuple[LocalAws | None, dict[str, str]]:
    """Serve the stand-in for each connection of the settings that the environment does not define."""
    wanted = {target.connection: target.region for target in settings.targets.values()}
    missing = {name: region for name, region in wanted.items() if variable(name) not in os.environ}
    slack = variable(settings.slack.connection)
    if not missing and slack in os.environ:
        return None, {}
    aws = stack.enter_context(LocalAws(port("LOCAL_AWS_PORT", 4566)))
    made = shop.furnish(aws.endpoint, settings, served(settings), now)
    connections = {variable(name): connection(aws.endpoint, name, made) for name in missing}
    if slack not in os.environ:
        connections[slack] = slack_connection(aws.endpoint)
    return aws, connections


def served(settings: Settings) -> list[Target]:
    """The targets whose connection the environment does not define: those of the stand-in."""
    return [target for target in settings.targets.values() if variable(target.connection) not in os.environ]


def connection(endpoint: str, name: str, made: list[tuple[Target, dict[str, str]]]) -> str:
    """An Airflow connection that takes the role of its target's stack.

    A role is for one account and region. Where targets share a connection it takes none, and reaches the stand-in's
    own account alone.

    :raises CannotRun: they are in another account
    """
    behind = [(target, outputs["RoleArn"]) for target, outputs in made if target.connection == name]
    roles = {role for _, role in behind}
    if len(roles) == 1:
        return aws_connection(endpoint, behind[0][0].region, roles.pop(), stack.EXTERNAL_ID)
    if {stack.account_of(target) for target, _ in behind} != {ACCOUNT}:
        raise CannotRun(
            f"the connection {name} stands for {len(behind)} targets whose stacks have a role each "
            f"({', '.join(sorted(roles))}): give every target a connection of its own"
        )
    return aws_connection(endpoint, behind[0][0].region)


def variable(connection: str) -> str:
    return f"AIRFLOW_CONN_{connection.upper()}"


@contextlib.contextmanager
def fresh_airflow(port: int, env: dict[str, str]) -> Iterator[LocalAirflow]:
    """Airflow with an empty database: the stand-in forgets all when it ends, so what was run on it goes too."""
    home = STATE / "airflow"
    stop_leftovers(home)
    shutil.rmtree(home, ignore_errors=True)
    airflow = LocalAirflow(home, port, env)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def dags(airflow: LocalAirflow) -> list[str]:
    return [dag["dag_id"] for dag in airflow.pages("dags", "dags")]


def import_errors(airflow: LocalAirflow) -> str:
    found = airflow.pages("importErrors", "import_errors")
    return "\n".join(f"{Path(error['filename']).name}: {error['stack_trace']}" for error in found)


def run_dag(
    airflow: LocalAirflow, dag_id: str, key: str | None, *, scheduled: bool = False, **params: Any
) -> list[str]:
    """One run to its end; a sentence for each task that failed.

    :param key: the run's partition key, if it has one
    :param scheduled: it is the run that Airflow makes by itself when the DAG is un-paused
    :param params: for a run by hand
    """
    with steps.step(f"{dag_id} {key or ''}".strip()) as step:
        wait_until(lambda: dag_id in dags(airflow), 60, lambda: f"there is no DAG {dag_id}: {import_errors(airflow)}")
        airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        made = scheduled_run(airflow, dag_id) if scheduled else airflow.trigger(dag_id, key, **params)
        return ended(airflow, dag_id, key, made, step)


def follow(airflow: LocalAirflow, dag_id: str, key: str) -> list[str]:
    """The run of this key that something else starts, to its end; as :func:`run_dag`."""

    def made() -> list[dict[str, Any]]:
        found = airflow.pages(f"dags/{dag_id}/dagRuns", "dag_runs")
        return [entry for entry in found if entry["partition_key"] == key]

    with steps.step(f"{dag_id} {key}") as step:
        wait_until(lambda: made() != [], 90, lambda: f"nothing started {dag_id} for {key}; see ecs_log_delivery")
        return ended(airflow, dag_id, key, made()[0]["dag_run_id"], step)


def ended(airflow: LocalAirflow, dag_id: str, key: str | None, run_id: str, step: Step) -> list[str]:
    """Wait for the end of a run, and say how far it is."""

    def over() -> bool:
        tasks = airflow.task_instances(dag_id, run_id)
        step.said = progress(tasks)
        return bool(airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"] in ("success", "failed"))

    wait_until(over, 240, lambda: f"{dag_id} {run_id} is not over: {step.said}")
    state, tasks = airflow.wait_for_run(dag_id, run_id, 1), airflow.task_instances(dag_id, run_id)
    step.done(state == "success", f"{len(tasks)} tasks")
    if state == "success":
        return []
    bad = [task for task in tasks if task["state"] in ("failed", "upstream_failed")]
    why = [
        f"{dag_id} {key or ''} {task['task_id']}[{task['rendered_map_index'] or task['map_index']}]: "
        f"{airflow.last_error(task) or task['state']}"
        for task in bad
    ]
    return [*why, f"{dag_id} {key or ''}: {airflow.url}/dags/{dag_id}/runs/{run_id}"]


def progress(tasks: Sequence[Mapping[str, Any]]) -> str:
    """How far the tasks of a run are, and which of them run."""
    over = sum(task["state"] in OVER for task in tasks)
    under_way = dict.fromkeys(task["task_id"] for task in tasks if task["state"] in UNDER_WAY)
    return f"{over} of {len(tasks)} tasks" + (f" · {', '.join(under_way)}" if under_way else "")


def scheduled_run(airflow: LocalAirflow, dag_id: str) -> str:
    """The run of the latest interval, which Airflow makes when a DAG is un-paused; not so of partition keys.

    Where an interval has ended since the DAG was parsed, Airflow makes the run of the one before it, too, and first.
    """

    def made() -> list[dict[str, Any]]:
        return list(airflow.pages(f"dags/{dag_id}/dagRuns", "dag_runs", order_by="-run_after"))

    def due() -> bool:
        following = airflow.api("GET", f"dags/{dag_id}")["next_dagrun_run_after"]
        return following is None or datetime.fromisoformat(following) <= datetime.now(UTC)

    wait_until(lambda: not due() and made() != [], 120, lambda: f"Airflow made no run of {dag_id}")
    return str(made()[0]["dag_run_id"])


def port(name: str, default: int) -> int:
    """A free port, by the environment's wish. :raises CannotRun: it is taken, or no number"""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotRun(f"{name}={text} is no port; set it to a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError:
            raise CannotRun(f"port {text} is taken; choose another: make run {name}=...") from None
    return int(text)


@contextlib.contextmanager
def only_one_run() -> Iterator[None]:
    """A second run in this folder would stop the first one's Airflow."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotRun("make run is running already in this folder") from None
        yield


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # all is stopped; DuckDB's binding would tell at length of objects that are still there
