"""What the trigger forms of the DAGs ask a person for, and what a run was asked.

https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/params.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from log_audit.errors import InvalidKeyError

if TYPE_CHECKING:
    from airflow.sdk import Context

# Whatever may not be null is marked as required in the form, though it may be left as it is.
OPTIONAL_BOOL = ["null", "boolean"]
HINT = "In the form, or as the run's partition key; a backfill gives the key by itself."


def alert() -> dict[str, Param]:
    """Whether a run by hand alerts."""
    return {"alert": Param(False, type=OPTIONAL_BOOL, title="Alert", description="Tell Slack what this run finds.")}


def dry_run(what: str) -> dict[str, Param]:
    """Whether a run only says what it would do.

    :param what: completes "only say in the logs"
    """
    told = f"Change nothing; only say in the logs {what}."
    return {"dry_run": Param(False, type=OPTIONAL_BOOL, title="Dry run", description=told)}


def month() -> dict[str, Param]:
    """The month of a run."""
    told = f"Such as 2026-10, in business time; empty: the last month that can be looked at. {HINT}"
    return {"month": _text("Month", told, r"^\d{4}-(0[1-9]|1[0-2])$")}


def day() -> dict[str, Param]:
    """The day of a run."""
    told = f"Such as 2026-11-19, in business time; empty: the last day that can be looked at. {HINT}"
    return {"day": _text("Day", told, r"^\d{4}-\d{2}-\d{2}$")}


def delivered_window(examples: Iterable[str]) -> dict[str, Param]:
    """The window of a run, as an Aurora cluster and its hour or day."""
    told = f"Such as {' or '.join(examples)}, in business time. {HINT}"
    return {"window": _text("Window", told, r"^[^/]+/\d{4}-\d{2}-\d{2}(T\d{2})?$")}


def span() -> dict[str, Param]:
    """From when to when a run by hand looks."""
    told = "When what is looked at arrived; both, or none: the run's own interval."
    return {
        "from": Param(None, type=["null", "string"], format="date-time", title="From", description=told),
        "to": Param(None, type=["null", "string"], format="date-time", title="To", description="The end, exclusive."),
    }


def targets(names: Iterable[str]) -> dict[str, Param]:
    """The accounts and regions of a run."""
    return {"targets": _some("Accounts and regions", "Only these targets of the settings; none: all.", names)}


def queries(files: Iterable[Path]) -> dict[str, Param]:
    """The query files of a run."""
    return {"queries": _some("Queries", "Only these query files; none: all.", (file.stem for file in files))}


def is_dry_run(context: Context) -> bool:
    """Whether the run only says what it would do."""
    return bool(asked(context, "dry_run"))


def asked(context: Context, name: str) -> Any:
    """What the form says, or None."""
    return (context.get("params") or {}).get(name)


def is_wanted(context: Context, name: str, value: str) -> bool:
    """Whether the run is for this target or query; a run that names none is for all."""
    return value in (asked(context, name) or [value])


def run_key(context: Context, name: str) -> str | None:
    """The partition key of the run, or what its form says in its place.

    :param name: of the form's field
    :raises InvalidKeyError: the two differ
    """
    key, given = context.get("partition_key"), asked(context, name)
    if key and given and key != given:
        raise InvalidKeyError(f"the run's partition key is {key}, and its form says {name}: {given}; give one of them")
    return key or given or None


def _text(title: str, told: str, pattern: str) -> Param:
    return Param(None, type=["null", "string"], pattern=pattern, title=title, description=told)


def _some(title: str, told: str, values: Iterable[str]) -> Param:
    choice: Sequence[str] = sorted(values)
    items = {"type": "string", **({"enum": choice} if choice else {})}
    return Param([], type=["null", "array"], items=items, examples=choice, title=title, description=told)
