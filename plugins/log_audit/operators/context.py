"""Reading a task's context: what kind of run it is, and what mapped tasks returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


def all_returned(context: Context, task_id: str) -> list[Any]:
    """What every instance of a mapped task returned; Airflow gives one value alone without its list."""
    values = context["ti"].xcom_pull(task_ids=task_id)
    if values is None:
        return []
    return [values] if isinstance(values, dict) else [value for value in values if value is not None]


def run_type(context: Context) -> str:
    """``scheduled``, ``manual``, ``backfill`` or ``asset_triggered``."""
    return str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
