"""Runs that a person starts without a partition key do what their form says."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from log_audit.settings import CloudTrail
from log_audit.window import Window, key_of, last_settled_month, to_ms
from tests.support import page_db
from tests.support.page_db import TOKYO

NOW = datetime.now(UTC)
MONTH = last_settled_month(NOW, timedelta(hours=12), TOKYO)
FINAL = last_settled_month(NOW, timedelta(days=15), TOKYO)
OLD = key_of(Window.month(MONTH, TOKYO).start - timedelta(days=40), "day", TOKYO)[:7]
DAY = key_of(NOW, "day", TOKYO, back=3)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "template.db"
    page_db.create(create_engine(f"sqlite:///{path}"))
    return path


@pytest.fixture
def engine(tmp_path, template) -> Engine:
    """A database without a run."""
    shutil.copy(template, tmp_path / "airflow.db")
    return create_engine(f"sqlite:///{tmp_path}/airflow.db", connect_args={"check_same_thread": False})


@pytest.fixture
def by_hand(engine):
    """Have a person start a run with a form, and give its id."""

    def start(dag, state, minutes_ago=10, **form):
        with Session(engine) as session, session.begin():
            filler = page_db.Filler(session)
            run = filler.run(dag, None, state, NOW - timedelta(minutes=minutes_ago), run_type="manual", conf=form)
            filler.runs(iter([run]))
        return run["run_id"]

    return start


def archived(ask, month):
    answer = ask("archive")
    [row] = [row for row in answer["rows"] if row["group"] == "/app"]
    return row["cells"][answer["months"].index(month)]


@pytest.mark.parametrize(("state", "shown"), [("failed", "failed"), ("running", "running"), ("queued", "running")])
def test_a_month_of_the_form(ask, by_hand, state, shown):
    run = by_hand("monthly_log_export", state, month=OLD)
    cell = archived(ask, OLD)
    assert (cell["state"], cell["run"]) == (shown, run)
    assert archived(ask, MONTH)["state"] == "missing"


@pytest.mark.parametrize(("dag", "month"), [("monthly_log_export", MONTH), ("archive_recheck", FINAL)])
def test_without_a_month_it_is_the_last_one_that_can_be(ask, by_hand, dag, month):
    run = by_hand(dag, "failed", month=None, targets=[], dry_run=False)
    assert archived(ask, month)["run"] == run


def test_a_dry_run_is_no_run_of_its_month(ask, by_hand):
    by_hand("monthly_log_export", "success", month=OLD, dry_run=True)
    assert archived(ask, OLD) == {"state": "missing"}


def test_a_run_for_other_targets_is_none_of_this_one(ask, by_hand):
    by_hand("monthly_log_export", "failed", month=OLD, targets=["osaka"])
    assert archived(ask, OLD) == {"state": "missing"}


def test_the_form_of_a_run_by_hand_is_no_run_that_a_backfill_would_find(ask, by_hand):
    by_hand("monthly_log_export", "success", month=OLD)
    assert ask("archive")["ran"] == []


def test_a_form_that_is_none_does_no_harm(ask, by_hand):
    by_hand("monthly_log_export", "failed", month=OLD, targets=5)
    by_hand("archive_recheck", "failed", month=["x"])
    assert archived(ask, OLD)["state"] == "failed"


@pytest.mark.parametrize(("state", "shown"), [("failed", "failed"), ("running", "running")])
def test_a_window_of_the_form(ask, by_hand, state, shown):
    run = by_hand("aurora_audit", state, window=f"aurora-00/{DAY}T09")
    [cluster] = ask("audits", day=DAY)["clusters"]
    assert cluster["windows"][f"{DAY}T09"] == {"state": shown, "run": run}


@pytest.mark.parametrize(("state", "shown"), [("failed", "failed"), ("running", "running")])
def test_a_day_of_the_form(ask, by_hand, state, shown):
    run = by_hand("cloudtrail_audit", state, day=DAY)
    [account] = ask("audits", day=DAY)["accounts"]
    assert account["days"][DAY] == {"state": shown, "run": run}


def test_without_a_day_it_is_the_last_one_that_can_be(ask, by_hand):
    run = by_hand("cloudtrail_audit", "failed", day=None)
    settle = CloudTrail().settle
    last = key_of(NOW - timedelta(minutes=10) - settle, "day", TOKYO, back=1)
    [account] = ask("audits", day=last)["accounts"]
    assert account["days"][last] == {"state": "failed", "run": run}


def test_a_target_that_no_event_tells_of_was_not_audited_and_one_event_does_not_hide_another(ask, engine):
    """Targets may be audited by runs of their own."""
    earlier = key_of(Window.day(DAY, TOKYO).start, "day", TOKYO, back=1)
    with Session(engine) as session, session.begin():
        filler = page_db.Filler(session)
        day = Window.day(DAY, TOKYO)
        told = [("tokyo", earlier, 1), ("tokyo", DAY, 2), ("osaka", DAY, 3)]
        filler.events(
            filler.event("cloudtrail_audits", day.end + timedelta(hours=hours), extra_of(target, key, hours),
                         dag="cloudtrail_audit", run=f"{target}-{key}", task="alert", key=key)
            for target, key, hours in told
        )  # fmt: skip
    [account] = ask("audits", day=DAY)["accounts"]
    assert account["days"][DAY]["run"] == f"tokyo-{DAY}"


def extra_of(target, key, at):
    return {"looks": [{"target": target, "query": "batch_denied", "total": 0}], "found": {}, "total": 0,
            "key": key, "at": to_ms(NOW) + at}  # fmt: skip
