"""What an asset event says of a run's looks: enough for a ledger, and never too much."""

import json

from log_audit.findings import EVENT_BYTES, Findings, event_extra


def look(query="errors", total=0, rows=(), **more):
    return Findings(query, "tokyo", "Errors", "high", 1000, 2000, total, list(rows), **more)


def test_the_totals_stand_apart():
    extra = event_extra([look(total=3, rows=[{"a": "1"}], bytes_scanned=7), look("quiet", bytes_scanned=5)], key="k")
    assert extra["total"] == 3
    assert extra["found"] == {"tokyo/errors": 3}
    assert extra["scanned"] == {"tokyo/errors": 7, "tokyo/quiet": 5}
    assert extra["key"] == "k"


def test_a_clean_look_says_what_it_covered_and_cost_alone():
    [said] = event_extra([look(console="https://x", ids=["i"], description="d", bytes_scanned=5)])["looks"]
    assert said == {"query": "errors", "target": "tokyo", "start": 1000, "end": 2000, "total": 0, "bytes_scanned": 5}


def test_a_finding_keeps_its_sample_and_the_link_to_its_message():
    found = look(total=1, rows=[{"user": "root"}], console="https://x", runbook="long")
    [said] = event_extra([found], {"tokyo/errors": "https://slack/p1"})["looks"]
    assert (said["rows"], said["slack"], said["console"]) == ([{"user": "root"}], "https://slack/p1", "https://x")
    assert "runbook" not in said


def test_rows_give_way_when_there_is_too_much_and_it_says_so():
    wide = [{f"column {n}": "x" * 299 for n in range(10)} for _ in range(10)]
    extra = event_extra([look(f"q{n}", 10, wide) for n in range(5)])
    assert len(json.dumps(extra)) <= EVENT_BYTES
    assert {said["rows_left_out"] for said in extra["looks"]} == {8}
    assert extra["total"] == 50


def test_of_more_looks_than_fit_those_that_found_something_stay():
    extra = event_extra([look(f"query_{n}", total=int(n == 900)) for n in range(1000)])
    assert len(json.dumps(extra)) <= EVENT_BYTES
    assert extra["looks"][0]["query"] == "query_900"
    assert extra["looks_left_out"] == 1000 - len(extra["looks"])


def test_japanese_text_counts_as_the_bytes_that_are_stored():
    rows = [{"message": "障害" * 149} for _ in range(10)]
    assert len(json.dumps(event_extra([look(f"q{n}", 10, rows) for n in range(9)]))) <= EVENT_BYTES


def test_schedules_are_told_in_brief():
    entry = {"schedule": "default/nightly", "arn": "a", "status": "missing", "seen": 1, "expected": 2, "failed": 0}
    entry |= {"missing": 1, "late": 0, "notes": ["Missing: 1 of 2.", "More."], "missing_times": ["t"]}
    [said] = event_extra([look(detail=[entry, {**entry, "status": "ok"}])])["looks"]
    assert said["detail"][0]["note"] == "Missing: 1 of 2."
    assert "note" not in said["detail"][1]
    assert "missing_times" not in said["detail"][0]
