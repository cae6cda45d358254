"""What became of each hour and day."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from log_audit.page.audit_grid import Audited, Days, Known, account_days, cluster_days, ends_of, hour_state, worst
from log_audit.page.model import Run
from log_audit.window import Window, to_ms

TOKYO = ZoneInfo("Asia/Tokyo")
KEY = "aurora-prod/2026-11-20T09"
END = to_ms(Window.hour("2026-11-20T09", TOKYO).end)
HOUR = 3_600_000
DUE = END + 3 * HOUR


def known(audited=None, delivered=None, runs=None, first="2026-11-01T00", now=END + 10 * HOUR):
    return Known(audited or {}, delivered or {}, runs or {}, {"aurora-prod": first} if first else {}, now, TOKYO)


def run(state, at=50):
    return {KEY: Run("aurora_audit", "r", KEY, state, at)}


def state(**kwargs):
    return hour_state(KEY, DUE, known(**kwargs))["state"]


def test_an_audited_hour_tells_what_was_found():
    cell = hour_state(KEY, DUE, known({KEY: Audited("r", 1, {"tokyo/admin_logins": 2})}))
    assert cell == {"state": "audited", "run": "r", "found": {"admin_logins": 2}}


def test_an_hour_without_a_line_is_empty():
    cell = hour_state(KEY, DUE, known({KEY: Audited("r", 1, {"tokyo/empty_delivery": 1})}))
    assert cell == {"state": "empty", "run": "r"}


@pytest.mark.parametrize(("run_state", "shown"), [("failed", "failed"), ("running", "running"), ("queued", "running")])
def test_a_run_that_did_not_succeed(run_state, shown):
    assert state(runs=run(run_state)) == shown


def test_a_failed_run_before_the_audit_is_over_and_one_after_it_is_not():
    audited = {KEY: Audited("other", 40)}
    assert state(audited=audited, runs=run("failed", at=30)) == "audited"
    assert state(audited=audited, runs=run("failed", at=50)) == "failed"


def test_a_run_that_could_not_look_with_every_audit_has_not_audited_the_hour():
    """Its alert has told what the others found, after the failure."""
    assert state(audited={KEY: Audited("r", 60)}, runs=run("failed", at=50)) == "failed"


def test_an_hour_is_waited_for_until_it_is_due():
    assert state(now=DUE - 1) == "waiting"
    assert state(now=DUE) == "not_delivered"


def test_a_delivery_that_nobody_audits():
    now = END + 2 * HOUR
    assert state(delivered={KEY: now - 60_000}, now=now) == "running"
    assert state(delivered={KEY: now - 16 * 60_000}, now=now) == "not_audited"


def test_nothing_is_said_of_the_time_before_the_first_record():
    assert state(first="2026-11-20T10") == "unknown"
    assert state(first=None) == "unknown"


def test_a_day_is_called_by_its_worst_hour():
    audited = {f"aurora-prod/2026-11-20T{hour:02d}": Audited("r", 1, {"tokyo/x": 1}) for hour in range(24)}
    del audited[KEY]
    month = cluster_days("aurora-prod", "hour", "2026-11", 3 * HOUR, known(audited), only="2026-11-20")
    day = month["days"]["2026-11-20"]
    assert (day["state"], dict(day["counts"]), day["found"]) == (
        "not_delivered",
        {"audited": 23, "not_delivered": 1},
        23,
    )
    assert len(month["windows"]) == 24
    assert month["windows"]["2026-11-20T09"] == {"state": "not_delivered"}


def test_a_month_has_each_of_its_hours_once():
    assert len(ends_of("2026-11", "hour", TOKYO)) == 30 * 24
    assert list(ends_of("2026-02", "day", TOKYO))[-1] == "2026-02-28"
    assert len(ends_of("2026-03", "hour", ZoneInfo("America/New_York"))) == 31 * 24 - 1


def test_the_worst_of_nothing_is_unknown():
    assert worst({}) == "unknown"
    assert worst({"audited": 5, "failed": 1}) == "failed"


DAY = "2026-11-19"
DAY_END = to_ms(Window.day(DAY, TOKYO).end)


def day_state(audited=None, runs=None, failed=None, first="2026-11-01", now=DAY_END + 100 * HOUR, target="tokyo"):
    days = Days(audited or {}, runs or {}, failed or {}, first, now, 8 * HOUR, TOKYO)
    return account_days(target, [DAY], days)[DAY]


def test_a_day_shows_its_own_targets_findings():
    audited = {DAY: Audited("r", 1, {"tokyo/batch": 2, "osaka/batch": 5})}
    assert day_state(audited)["found"] == {"batch": 2}


def test_a_failed_run_before_an_audit_is_over_and_one_after_it_is_not():
    audited = {DAY: Audited("by hand", 40)}
    assert [day_state(audited, {DAY: Run("cloudtrail_audit", "r", DAY, "failed", at)})["state"] for at in (30, 50)] == [
        "audited",
        "failed",
    ]


def test_a_failed_run_is_the_failure_of_the_targets_whose_tasks_failed():
    audited = {DAY: Audited("r", 1)}
    runs = {DAY: Run("cloudtrail_audit", "r", DAY, "failed", 5)}
    failed = {"r": frozenset({"osaka"})}
    assert day_state(audited, runs, failed)["state"] == "audited"
    assert day_state(audited, runs, failed, target="osaka")["state"] == "failed"


def test_a_day_is_waited_for_and_then_missed():
    assert day_state(now=DAY_END + 8 * HOUR - 1)["state"] == "waiting"
    assert day_state(now=DAY_END + 8 * HOUR)["state"] == "not_audited"
    assert day_state(first=None)["state"] == "unknown"
    assert day_state(runs={DAY: Run("d", "r", DAY, "running", 5)})["state"] == "running"
