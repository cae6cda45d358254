"""What Airflow calls when the pipeline itself fails or hangs. Both build their message in alerts.py.

A callback that fails is logged and lost, so findings never travel this way: their alert is a task with retries.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import AsyncCallback, DeadlineAlert  # type: ignore[attr-defined]  # missing from its stubs
from airflow.sdk.definitions.deadline import BaseDeadlineReference

from log_audit.alerts import run_failed_message, run_overdue_message
from log_audit.links.run_page import run_url
from log_audit.redaction import Redactor
from log_audit.settings import load_settings

log = logging.getLogger(__name__)


def report_failed_run(context: Any) -> None:
    """``on_failure_callback`` of every DAG: one message a run, however many of its tasks failed.

    Runs in the dag-processor, which knows the run, a reason and the last failed task, but no exception; without
    a last task it knows the run's id alone.
    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/callbacks.html
    """
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    task = context.get("ti")
    redactor = Redactor(load_settings().redaction.patterns)
    message = run_failed_message(
        dag_id=dag_id,
        what=_name_of(context.get("dag_run"), run_id),
        reason=redactor.text(str(context.get("reason") or "")),
        failed=_failed_tasks(task, run_id),
        run_url=run_url(dag_id, run_id),
        log_url=_task_url(task, run_id) if task else "",
    )
    _send(message, f"failed/{dag_id}/{run_id}")


class RunQueuedAt(BaseDeadlineReference):
    """The moment a scheduled or manual run was queued; none for a backfill, nor for a run that an asset starts.

    All runs of a backfill are queued when it is made, those of a replay or of a backlog of deliveries nearly so: their
    deadlines would be missed while they wait for each other.
    """

    required_kwargs = {"dag_id", "run_id"}  # noqa: RUF012 - the interface wants a set

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str, **_: Any) -> Any:
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        return None if run is None or run.run_type in ("backfill", "asset_triggered") else run.queued_at


def overdue_after(limit: timedelta) -> DeadlineAlert:
    """A deadline for runs of a DAG: a message when one has not ended ``limit`` after it was queued."""
    return DeadlineAlert(
        name=f"not ended within {limit}",
        reference=RunQueuedAt(),
        interval=limit,
        callback=AsyncCallback(report_overdue_run, kwargs={"limit": str(limit)}),
    )


async def report_overdue_run(limit: str, context: dict[str, Any] | None = None, **_: Any) -> None:
    """Called in the triggerer when a run's deadline passes."""
    from asgiref.sync import sync_to_async

    run = (context or {}).get("dag_run") or {}
    dag_id, run_id = run.get("dag_id", "a DAG"), run.get("dag_run_id") or run.get("run_id", "")
    message = run_overdue_message(
        dag_id=dag_id, what=run.get("partition_key") or run_id, limit=limit, run_url=run_url(dag_id, run_id)
    )
    await sync_to_async(_send)(message, f"overdue/{dag_id}/{run_id}")


def _send(message: Any, key: str) -> None:
    from log_audit.hooks.slack import AlertHook

    slack = load_settings().slack
    hook = AlertHook(slack_conn_id=slack.connection)
    for channel in slack.failures:
        try:
            hook.post(channel, message, key)
        except Exception as error:  # one channel's refusal must not keep the others from hearing
            log.error("%s could not be told in %s: %s", key, channel, error)


def _name_of(run: Any, run_id: str) -> str:
    """What people call the run: its key, else its interval, else its id."""
    if key := getattr(run, "partition_key", None):
        return str(key)
    start, end = getattr(run, "data_interval_start", None), getattr(run, "data_interval_end", None)
    return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC" if start and end else run_id


def _failed_tasks(last: Any, run_id: str) -> list[str]:
    """The run's failed tasks, mapped ones as ``task_0``; the last one alone where Airflow does not tell."""
    if last is None:
        return []
    try:
        states = last.get_task_states(dag_id=last.dag_id, run_ids=[run_id]).get(run_id, {})
    except Exception as error:  # the message matters more than its count
        log.warning("cannot count the failed tasks: %s", error)
        states = {}
    return [name for name, state in states.items() if state == "failed"] or [last.task_id]


def _task_url(task: Any, run_id: str) -> str:
    mapped = f"/mapped/{task.map_index}" if (task.map_index or -1) >= 0 else ""
    return f"{run_url(task.dag_id, run_id)}/tasks/{task.task_id}{mapped}"
