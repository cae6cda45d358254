"""What the grid of months calls each cell."""

from __future__ import annotations

import pytest

from log_audit.page.archive_grid import EXPORT, RECHECK, Known, grid_of
from log_audit.page.model import Archived, Event, Run, Task

GROUP, OTHER = "/app", "/other"
MONTHS = ("2026-09", "2026-10")
RUN = "run-10"


def archived(month="2026-10", group=GROUP, state="final", notes=(), run=RUN, at=100, target="tokyo"):
    said = {"state": state, "complete": not notes, "notes": list(notes), "events": 7, "bytes": 70, "objects": 2}
    return Archived(target, group, month, said, at, EXPORT, run, 0)


def run(state, key="2026-10", name=RUN, at=90, dag=EXPORT):
    return Run(dag, name, key, state, at)


def task(task_id, state, group=GROUP, name=RUN, index=0):
    return Task(EXPORT, name, task_id, index, group, state)


def cells(archives=(), runs=(), tasks=(), rows=(("tokyo", GROUP),), due=MONTHS):
    return grid_of(Known(rows, MONTHS, due, archives, runs, tasks))


def october(*args, group=GROUP, **kwargs):
    return cells(*args, **kwargs).cells["tokyo", group][1]


@pytest.mark.parametrize(("state", "notes", "shown"), [
    ("final", (), "final"),
    ("provisional", (), "provisional"),
    ("final", ("the log group was created later",), "incomplete"),
    ("provisional", ("retention had removed",), "incomplete"),
])  # fmt: skip
def test_an_archived_month_is_what_its_manifest_says(state, notes, shown):
    cell = october([archived(state=state, notes=notes)], [run("success")])
    assert cell["state"] == shown
    assert cell.get("why", []) == list(notes)
    assert (cell["events"], cell["bytes"], cell["objects"]) == (7, 70, 2)


def test_a_month_that_nobody_tried_is_missing_and_one_that_is_not_due_waits():
    grid = cells(due=("2026-09",))
    assert [cell["state"] for cell in grid.cells["tokyo", GROUP]] == ["missing", "waiting"]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_under_way_is_seen_also_over_an_older_archive(state):
    assert october([], [run(state)])["state"] == "running"
    again = october([archived(run="before", at=10)], [run(state)])
    assert (again["state"], again["before"], again["events"]) == ("running", "final", 7)


def test_what_a_run_has_archived_already_is_shown_while_it_goes_on():
    assert october([archived()], [run("running")])["state"] == "final"


def test_a_failed_task_names_itself():
    cell = october([], [run("failed")], [task("tokyo.export", "failed", index=3)])
    assert cell["state"] == "failed"
    assert (cell["task"], cell["index"], cell["run"], cell["dag"]) == ("tokyo.export", 3, RUN, EXPORT)


def test_a_failed_task_that_got_no_name_is_known_by_its_index():
    tasks = [task("tokyo.export", "", index=3), task("tokyo.manifest", "failed", group="", index=3)]
    assert october([], [run("failed")], tasks)["state"] == "failed"


def test_a_failed_recheck_does_not_hide_the_archive():
    again = run("failed", name="re", at=200, dag=RECHECK)
    cell = october([archived(state="provisional")], [run("success"), again],
                   [task("tokyo.recheck.late_events", "failed", name="re")])  # fmt: skip
    assert (cell["state"], cell["before"]) == ("failed", "provisional")


def test_one_log_groups_failure_is_not_anothers():
    grid = cells([archived(group=OTHER)], [run("failed")], [task("tokyo.export", "failed")],
                 rows=(("tokyo", GROUP), ("tokyo", OTHER)))  # fmt: skip
    assert [grid.cells["tokyo", group][1]["state"] for group in (GROUP, OTHER)] == ["failed", "final"]


def test_a_plan_that_failed_fails_all_of_its_target_and_no_other():
    plan = Task(EXPORT, RUN, "tokyo.plan", -1, "", "failed")
    grid = cells([archived(target="osaka")], [run("failed")], [plan], rows=(("tokyo", GROUP), ("osaka", GROUP)))
    assert grid.cells["tokyo", GROUP][1]["task"] == "tokyo.plan"
    assert grid.cells["osaka", GROUP][1]["state"] == "final"


def test_an_archive_stands_though_a_later_run_failed_for_others():
    cell = october([archived(run="before", at=10)], [run("failed")], [task("tokyo.export", "failed", group=OTHER)])
    assert cell["state"] == "final"


def test_a_skipped_month_had_nothing_to_export():
    assert october([], [run("success")], [task("tokyo.manifest", "skipped")])["state"] == "nothing"


def test_a_log_group_that_the_run_did_not_know_is_missing_and_says_so():
    cell = october([], [run("success")])
    assert cell["state"] == "missing"
    assert "did not know" in cell["why"][0]


def test_only_the_latest_run_of_a_month_counts():
    runs = [run("failed", at=10, name="first"), run("success", at=90)]
    assert october([archived()], runs, [task("tokyo.export", "failed", name="first")])["state"] == "final"


def test_a_cleared_tasks_later_event_counts():
    assert (
        october([archived(state="provisional", at=1), archived(state="final", at=2)], [run("success")])["state"]
        == "final"
    )


def test_log_groups_are_known_from_events_and_tasks_too():
    grid = cells([archived(group="/a")], [run("failed")], [task("tokyo.export", "failed", group="/b")], rows=())
    assert list(grid.cells) == [("tokyo", "/a"), ("tokyo", "/b")]


def test_problems_name_the_worst_and_the_latest_first():
    grid = cells([archived(group=OTHER)], [run("failed")], [task("tokyo.export", "failed")],
                 rows=(("tokyo", GROUP), ("tokyo", OTHER)))  # fmt: skip
    assert [(p["state"], p["month"], p["count"], p["of"]) for p in grid.problems()] == [
        ("failed", "2026-10", 1, 2),
        ("missing", "2026-09", 2, 2),
    ]


def test_a_run_that_was_asked_for_another_target_tells_nothing_of_this_one():
    other = Run(EXPORT, "osaka", "2026-10", "failed", 200, targets=frozenset({"osaka"}))
    grid = cells([archived()], [run("success"), other], rows=(("tokyo", GROUP), ("osaka", GROUP)))
    assert [grid.cells[target, GROUP][1]["state"] for target in ("tokyo", "osaka")] == ["final", "failed"]


def test_months_without_a_trace_are_looked_for_in_the_bucket():
    assert cells([archived()], [run("success")]).unproven() == ["2026-09"]
    assert cells([archived(), archived("2026-09", run="")]).unproven() == []
    assert cells([], [run("success"), run("success", key="2026-09", name="x")]).unproven() == [*MONTHS]


def test_a_manifest_from_the_bucket_is_said_to_be_one():
    cell = cells([archived("2026-09", run="")]).cells["tokyo", GROUP][0]
    assert (cell["state"], cell["from"]) == ("final", "s3")


def test_an_event_tells_its_target_by_its_task_group():
    extra = {"log_group": GROUP, "month": "2026-10", "state": "final"}
    event = Event(1, "log_archive", 5, EXPORT, RUN, "osaka.manifest", 2, "", extra)
    entry = Archived.of_event(event)
    assert entry is not None
    assert (entry.target, entry.index, entry.state) == ("osaka", 2, "final")
    assert Archived.of_event(Event(1, "log_archive", 5, "x", "y", "t", -1, "", {"something": "else"})) is None
