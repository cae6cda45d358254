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
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_aws import samples
from local_aws.airflow import PROJECT, LocalAirflow, aws_connection, slack_connection, stop_leftovers, wait_until
from local_aws.control import Control
from local_aws.server import LocalAws
from log_audit.archive import LATEST_ARRIVAL
from log_audit.settings import Settings, load_settings
from log_audit.window import last_settled_month

STATE = PROJECT / ".local"
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


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
    settings = load_settings()
    now = datetime.now(UTC)
    airflow_port = port("AIRFLOW_PORT", 8080)
    with step("stand-in for AWS and Slack, with sample data"):
        aws, connections = start_stand_in(stack, settings, now)
    with step("Airflow"):
        airflow = stack.enter_context(fresh_airflow(airflow_port, connections))
        wait_until(lambda: dags(airflow) != [], 60, lambda: import_errors(airflow))
        if errors := import_errors(airflow):
            raise CannotRun(errors)
    runs = [run_dag(airflow, dag, key) for dag, key in once_each(settings, now)]
    if aws:
        with step("an incident in the sample logs"):
            stay_within_five_minutes()
            samples.load_incident(aws.endpoint, now=datetime.now(UTC))
    runs += [run_dag(airflow, dag, None) for dag in ("insights_checks", "insights_late_sweep")]
    if aws and not Control(aws.endpoint).slack_messages():
        runs.append(["insights_checks: the incident in the sample logs was not found"])
    console.print(archive_table(airflow))
    if aws:
        console.print(alert_table(aws))
    failed = [sentence for sentences in runs for sentence in sentences]
    for sentence in failed:
        console.print(f"[red]failed[/red] {escape(sentence)}", soft_wrap=True)
    if not os.environ.get("ONCE"):
        console.print(f"Airflow: {airflow.url}  user [bold]admin[/bold], password [bold]{airflow.password}[/bold]")
        if aws:
            console.print(f"Slack:   {aws.endpoint}/slack/")
        console.print("Ctrl-C ends it all.")
        signal.pause()
    return 1 if failed else 0


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
    for region in sorted(set(missing.values())):
        samples.load(aws.endpoint, now=now, region=region)
    connections = {variable(name): aws_connection(aws.endpoint, region) for name, region in missing.items()}
    if slack not in os.environ:
        connections[slack] = slack_connection(aws.endpoint)
    return aws, connections


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


def run_dag(airflow: LocalAirflow, dag_id: str, key: str | None) -> list[str]:
    """One run to its end; a sentence for each task that failed.

    :param key: the run's partition key; None: the run that Airflow makes by itself when the DAG is un-paused
    """
    with step(f"{dag_id} {key or ''}".strip()) as done:
        wait_until(lambda: dag_id in dags(airflow), 60, lambda: f"there is no DAG {dag_id}: {import_errors(airflow)}")
        airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        run_id = scheduled_run(airflow, dag_id, key) or airflow.trigger(dag_id, key)
        state = airflow.wait_for_run(dag_id, run_id, 240)
        tasks = airflow.task_instances(dag_id, run_id)
        done(state == "success", f"{len(tasks)} tasks")
    if state == "success":
        return []
    bad = [task for task in tasks if task["state"] in ("failed", "upstream_failed")]
    return [
        f"{dag_id} {key or ''} {task['task_id']}[{task['rendered_map_index'] or task['map_index']}]: "
        f"{airflow.last_error(task) or task['state']}"
        for task in bad
    ]


def scheduled_run(airflow: LocalAirflow, dag_id: str, key: str | None) -> str | None:
    """The run that Airflow makes by itself for the latest key when a DAG is un-paused."""
    for _ in range(20):
        for made in airflow.pages(f"dags/{dag_id}/dagRuns", "dag_runs"):
            return str(made["dag_run_id"]) if made["partition_key"] == key else None
        time.sleep(0.3)
    return None


def archive_table(airflow: LocalAirflow) -> Table:
    """What the asset events say of each archived month."""
    table = Table("month", "log group", "objects", "events", "bytes", "archive", title="Archive")
    for column in (2, 3, 4):
        table.columns[column].justify = "right"
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for event in airflow.pages("assets/events", "asset_events", order_by="timestamp"):
        extra = event["extra"]
        if "export_task_id" in extra:
            latest[extra["month"], extra["log_group"]] = extra
    for (month, group), extra in sorted(latest.items()):
        said = ", ".join(["verified", extra["state"], *(f"incomplete: {note}" for note in extra["notes"])])
        table.add_row(month, group, f"{extra['objects']:,}", f"{extra['events']:,}", f"{extra['bytes']:,}", said)
    return table


def alert_table(aws: LocalAws) -> Table:
    """What the stand-in for Slack was told."""
    table = Table("channel", "message", title="Alerts")
    for message in Control(aws.endpoint).slack_messages():
        table.add_row(f"#{message['channel']}", escape(message["text"]))
    return table


@contextlib.contextmanager
def step(title: str) -> Iterator[Any]:
    """A line that says what is going on, and how long it took."""
    started = time.monotonic()
    outcome = [True, ""]

    def done(ok: bool, more: str) -> None:
        outcome[:] = [ok, more]

    with console.status(title) if console.is_terminal else contextlib.nullcontext():
        yield done
    mark = "[green]✓[/green]" if outcome[0] else "[red]✗[/red]"
    console.print(f"{mark} {title}  [dim]{time.monotonic() - started:.1f} s  {outcome[1]}[/dim]")


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
    sys.exit(main())
