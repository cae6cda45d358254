"""Findings, schedules and costs out of asset events."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from log_audit.page.found import Filter, Price, by_day, costs, findings, schedules
from log_audit.page.model import Event
from log_audit.window import Window, to_ms

TOKYO = ZoneInfo("Asia/Tokyo")
AT = to_ms(Window.hour("2026-11-20T00", TOKYO).start)


def look(query="errors", total=1, severity="high", target="tokyo", start=AT, **more):
    return {"query": query, "target": target, "title": query, "severity": severity, "start": start,
            "end": start + 300_000, "total": total, "bytes_scanned": 0, **more}  # fmt: skip


def event(*looks, id=1, at=AT, key="", asset="insights_checks", run="r"):
    return Event(id, asset, at, asset, run, "alert", -1, key, {"looks": list(looks)})


def test_only_looks_that_found_something_are_listed_the_newest_first():
    found = findings([event(look(total=0), look("b"), id=1), event(look("c"), id=2, at=AT + 1)], Filter())
    assert [(entry["id"], entry["query"]) for entry in found] == [("2-0", "c"), ("1-1", "b")]


def test_a_sample_is_not_in_the_list():
    [entry] = findings([event(look(rows=[{"a": "b"}]))], Filter())
    assert "rows" not in entry


@pytest.mark.parametrize(("wanted", "queries"), [
    (Filter(severity="low"), ["b"]),
    (Filter(query="a"), ["a"]),
    (Filter(target="osaka"), ["c"]),
    (Filter(text="NEEDLE"), ["a"]),
    (Filter(severity="low", target="osaka"), []),
])  # fmt: skip
def test_filters_narrow(wanted, queries):
    looks = [look("a", rows=[{"m": "a needle"}]), look("b", severity="low"), look("c", target="osaka")]
    assert [entry["query"] for entry in findings([event(*looks)], wanted)] == queries


def test_days_are_those_of_the_business_zone_and_a_flood_counts_once():
    before = look(start=AT - 1, total=9_000)
    found = findings([event(before, look(severity="low"), look())], Filter())
    assert by_day(found, TOKYO) == {"2026-11-19": {"high": 1}, "2026-11-20": {"low": 1, "high": 1}}


def test_schedules_by_the_latest_audit_of_each_day_trouble_first():
    ok = {"schedule": "a", "status": "ok", "expected": 1, "seen": 1}
    bad = {"schedule": "b", "status": "missing", "expected": 2, "seen": 1}
    detail = [event(look(total=0, detail=[ok, {**bad, "status": "ok"}]), key="2026-11-19", at=1),
              event(look(total=0, detail=[ok, bad]), key="2026-11-19", at=2, run="again"),
              event(look(total=0, detail=[ok]), key="2026-11-20", at=3)]  # fmt: skip
    rows = schedules(detail)
    assert [(row["schedule"], row["day"], row["status"]) for row in rows] == [
        ("b", "2026-11-19", "missing"), ("a", "2026-11-20", "ok"), ("a", "2026-11-19", "ok")]  # fmt: skip
    assert rows[0]["run"] == "again"


def test_costs_by_query_and_day():
    scans = [
        ("insights_checks", AT, {"tokyo/errors": 2 * 10**9}),
        ("insights_checks", AT - 1, {"tokyo/errors": 10**9}),
        ("aurora_audits", AT, {"tokyo/logins": 10**12}),
    ]
    days, rows = costs(scans, Price(athena_tb=5.0, insights_gb=0.0076), TOKYO)
    assert days == ["2026-11-19", "2026-11-20"]
    assert [(row["name"], row["engine"], row["bytes"]) for row in rows] == [
        ("tokyo/logins", "athena", 10**12), ("tokyo/errors", "insights", 3 * 10**9)]  # fmt: skip
    assert rows[0]["usd"] == pytest.approx(5.0)
    assert rows[1]["usd"] == pytest.approx(3 * 0.0076)
    assert rows[1]["days"]["2026-11-19"] == (10**9, pytest.approx(0.0076))


def test_athena_charges_ten_megabytes_at_least():
    assert Price(5.0, 1.0).of("athena", 1) == Price(5.0, 1.0).of("athena", 10_000_000) == pytest.approx(0.00005)
    assert Price(5.0, 1.0).of("insights", 1) == pytest.approx(1e-9)
