"""Months by log groups: which are archived and sound, and what is the matter with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from log_audit.page.model import UNDER_WAY, Archived, Run, Task, newest

EXPORT, RECHECK = "monthly_log_export", "archive_recheck"
# The worst first: what a person must look at.
STATES = ("failed", "missing", "incomplete", "running", "provisional", "final", "waiting", "nothing")
TROUBLE = STATES[:3]
Row = tuple[str, str]  # target, log group


@dataclass(frozen=True)
class Known:
    """What is known of the months.

    :param rows: the log groups of the settings
    :param months: keys, the earliest first
    :param due: those that should have been archived by now
    """

    rows: Collection[Row]
    months: Sequence[str]
    due: Collection[str]
    archived: Iterable[Archived]
    runs: Sequence[Run]
    tasks: Iterable[Task]


@dataclass
class Grid:
    """:param cells: of each row, a mapping a month with ``state`` and whatever there is to tell of it"""

    months: Sequence[str]
    cells: dict[Row, list[dict[str, Any]]] = field(default_factory=dict)

    def problems(self) -> list[dict[str, Any]]:
        """What is wrong, in which month, with how many log groups; the worst and the latest first."""
        found = []
        for number, month in enumerate(self.months):
            column = [cells[number]["state"] for cells in self.cells.values()]
            counts = Counter(column)
            of = len(column) - counts["nothing"]
            found += [{"state": s, "month": month, "count": counts[s], "of": of} for s in TROUBLE if counts[s]]
        return sorted(found, key=lambda entry: (-TROUBLE.index(entry["state"]), entry["month"]), reverse=True)

    def counts(self) -> dict[str, int]:
        return dict(Counter(cell["state"] for cells in self.cells.values() for cell in cells))

    def unproven(self) -> list[str]:
        """Months of which Airflow knows no archive for a log group: it may have purged it, and the bucket knows."""
        missing = {
            month
            for cells in self.cells.values()
            for month, cell in zip(self.months, cells, strict=True)
            if cell["state"] == "missing"
        }
        return sorted(missing)


def grid_of(known: Known) -> Grid:
    """The grid of all log groups that are set, archived, or named by a task."""
    latest = newest(known.archived, lambda entry: (entry.target, entry.log_group, entry.month))
    told = _by_run_and_row(known.tasks)
    rows = {*known.rows, *((target, group) for target, group, _ in latest)}
    rows |= {row for said in told.values() for row in said if row[1]}
    runs = {
        target: newest((run for run in known.runs if run.tells_of(target)), lambda run: run.key)
        for target in {target for target, _ in rows}
    }
    grid = Grid(known.months)
    for row in sorted(rows):
        cells = []
        for month in known.months:
            run = runs[row[0]].get(month)
            tasks = told.get(run.run, {}) if run else {}
            cells.append(_cell(latest.get((*row, month)), run, tasks, row, month in known.due))
        grid.cells[row] = cells
    return grid


def _by_run_and_row(tasks: Iterable[Task]) -> dict[str, dict[Row, list[Task]]]:
    """The tasks of each run by target and log group; a log group's tasks have one map index in a run and target.

    Tasks of no log group, such as the plan, stand under an empty name.
    """
    tasks = list(tasks)
    names = {(t.run, _target(t), t.index): t.name for t in tasks if t.name and not t.task.endswith(".verify")}
    found: dict[str, dict[Row, list[Task]]] = {}
    for task in tasks:
        group = task.name or names.get((task.run, _target(task), task.index), "")
        found.setdefault(task.run, {}).setdefault((_target(task), group), []).append(task)
    return found


def _target(task: Task) -> str:
    return task.task.partition(".")[0]


def _cell(
    archived: Archived | None, run: Run | None, told: Mapping[Row, Sequence[Task]], row: Row, due: bool
) -> dict[str, Any]:
    """What became of one month of one log group."""
    mine = told.get(row, ())
    where = {"dag": run.dag, "run": run.run} if run else {}
    if archived and (run is None or run.state == "success" or archived.run == run.run):
        return _archived(archived)
    if run is None:
        return {"state": "missing" if due else "waiting"}
    if any(task.task.endswith(".manifest") and task.state == "skipped" for task in mine):
        return {"state": "nothing", **where, "why": ["There was nothing to export; the task's log says why."]}
    if run.state in UNDER_WAY:
        return {"state": "running", **where, **_besides(archived)}
    if run.state == "failed":
        return _failed(archived, mine, told.get((row[0], ""), ()), where)
    return {"state": "missing", **where, "why": ["The run of this month did not know this log group."]}


def _failed(
    archived: Archived | None, mine: Sequence[Task], shared: Sequence[Task], where: Mapping[str, Any]
) -> dict[str, Any]:
    red = next((task for task in [*mine, *shared] if task.state == "failed"), None)
    if archived and red not in mine:
        return _archived(archived)  # the run failed for others
    if red is None:
        return {"state": "failed", **where, "why": ["The run failed before it came to this log group."]}
    why = f"The task {red.task} failed; its log says why."
    return {"state": "failed", **where, "task": red.task, "index": red.index, "why": [why], **_besides(archived)}


def _besides(archived: Archived | None) -> dict[str, Any]:
    """There is an archive all the same."""
    if archived is None:
        return {}
    return {"events": archived.said.get("events"), "bytes": archived.said.get("bytes"), "before": archived.state}


def _archived(entry: Archived) -> dict[str, Any]:
    said = entry.said
    cell = {
        "state": entry.state,
        "final": said["state"] == "final",
        **{name: said.get(name) for name in ("events", "bytes", "objects")},
        **({"why": list(said["notes"])} if said.get("notes") else {}),
        **({"dag": entry.dag, "run": entry.run} if entry.run else {"from": "s3"}),
    }
    return {key: value for key, value in cell.items() if value is not None}
