"""Messages: what people read, within Slack's limits, whatever the logs hold."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.alerts import (
    Surroundings,
    code_block,
    escape,
    finding_message,
    run_failed_message,
    run_overdue_message,
    table,
)
from log_audit.findings import Findings
from log_audit.watch import Incident, Say

AROUND = Surroundings("http://airflow/dags/d/runs/r", ZoneInfo("Asia/Tokyo"))
START = 1_795_132_800_000  # 2026-11-20T00:00:00Z
FOUND = Findings(
    query="errors",
    target="tokyo",
    title="Errors of the app",
    severity="high",
    start=START,
    end=START + 300_000,
    total=12,
    rows=[{"status": "502", "path": "/pay"}, {"status": "500"}],
    bytes_scanned=1_234_567,
    console="https://console/q",
    description="Lines that say ERROR.",
    runbook="1. Look.\n2. Mend.",
    false_positives="None.",
)
OPENED = Say("opened", in_thread=False, incident=Incident(START, START + 1, {}, 12, 0, START, 1.0))


def text_of(message):
    return json.dumps(message.blocks, ensure_ascii=False)


def texts_of(message):
    texts = [text for block in message.blocks for text in ([block["text"]] if "text" in block else block["elements"])]
    return [text["text"] for text in texts]


def within_limits(message):
    blocks = message.blocks
    assert len(blocks) <= 50
    assert sum(len(text) for text in texts_of(message)) + len(message.text) <= 13_000
    for block in blocks:
        texts = [block["text"]] if "text" in block else block["elements"]
        limit = 150 if block["type"] == "header" else 3000
        assert all(0 < len(text["text"]) <= limit for text in texts)


def test_an_alert_says_what_where_when_and_what_to_do():
    message = finding_message(FOUND, OPENED, AROUND)
    said = text_of(message)
    for part in (
        "🟠 HIGH · Errors of the app",
        "*12* findings, arrived 2026-11-20 09:00 to 09:05 JST (00:00 to 00:05 UTC)",
        "status  path",
        "502     /pay",
        "2 of 12 are shown",
        "*What to do*",
        "<https://console/q|Open in the console>",
        "<http://airflow/dags/d/runs/r|Airflow run>",
        "1.2 MB scanned",
    ):
        assert part in said
    assert message.text.startswith("🟠 HIGH · Errors of the app: *12* findings")
    within_limits(message)


def test_an_update_is_short_and_counts():
    incident = replace(OPENED.incident, total=40, untold=28)
    message = finding_message(FOUND, Say("update", True, incident), AROUND)
    assert "28 since the last message, 40 in all" in text_of(message)
    assert "What to do" not in text_of(message)


def test_a_recovery_tells_the_span_and_the_total():
    incident = Incident(START - 3_600_000, START, {}, 40, 0, START, 1.0)
    message = finding_message(replace(FOUND, total=0, rows=[]), Say("recovered", True, incident), AROUND)
    assert "recovered: nothing arrived 2026-11-20 09:00 to 09:05 JST" in text_of(message)
    assert "It lasted 2026-11-20 08:00 to 09:00 JST (11-19 23:00 to 11-20 00:00 UTC), *40* in all" in text_of(message)


@pytest.mark.parametrize("total", [1, 0])
def test_notes_are_told(total):
    notes = ["these log groups do not exist and were not searched: /gone"]
    say = OPENED if total else Say("notice", False, None)
    assert "⚠️ these log groups" in text_of(finding_message(replace(FOUND, total=total, notes=notes), say, AROUND))


HOSTILE = st.text(alphabet=st.sampled_from("<>&!@#*_~`|\n\r\t\u202e\u0000 a漢😀"), max_size=4000)


@given(value=HOSTILE, name=HOSTILE, title=HOSTILE)
def test_hostile_text_stays_text_and_within_limits(value, name, title):
    rows = [{name or "x": value, "other": value}] * 10
    message = finding_message(
        replace(
            FOUND, rows=rows, notes=[value] * 9, runbook=value, description=value, false_positives=value, title=title
        ),
        OPENED,
        AROUND,
    )
    within_limits(message)
    for block in message.blocks:
        texts = [block["text"]] if "text" in block else block["elements"]
        for text in texts:
            if text["type"] == "mrkdwn":
                ours = text["text"].replace("<https://console/q|", "").replace("<http://airflow/dags/d/runs/r|", "")
                assert "<" not in ours
                assert "\u202e" not in ours.split("```")[1] if "```" in ours else True


def test_what_does_not_fit_gives_way_and_the_links_stay():
    long = "word " * 700
    rows = [{f"column {n}": "x" * 300 for n in range(20)}] * 10
    much = replace(FOUND, rows=rows, notes=[long] * 5, runbook=long, description=long, false_positives=long)
    message = finding_message(much, OPENED, AROUND)
    within_limits(message)
    said = text_of(message)
    assert "What to do" in said
    assert "False positives" not in said
    assert "Open in the console" in said


@given(text=st.text())
def test_escaped_text_has_no_mark_of_slacks(text):
    escaped = escape(text)
    assert "<" not in escaped
    assert ">" not in escaped
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace(
        "\u2060", ""
    ) == text.replace("\u2060", "")


@given(text=st.text(alphabet="`<>&a\n", max_size=9000))
def test_a_code_block_ends_where_it_should(text):
    block = code_block(text)
    assert len(block) <= 3000
    assert block.count("```") == 2
    assert block.startswith("```")
    assert block.endswith("```")


def test_a_table_is_one_line_a_row_and_tames_what_is_in_it():
    text, shown = table([{"name": f"n{n}", "b": "line\nbreak", "c": "短い\u202e"} for n in range(30)])
    lines = text.split("\n")
    assert shown == 10
    assert lines[:2] == ["b: line↵break", "c: 短い "]
    assert lines[2:4] == ["name", "n0"]


def test_rows_that_are_too_wide_stand_one_below_the_other():
    rows = [{"time": f"2026-11-20T00:00:0{n}.000Z", "message": "x" * 90, "empty": ""} for n in range(3)]
    text, shown = table(rows)
    assert shown == 3
    assert text.count("2026-11-20T00:00:0") == 3  # none of the times is cut
    assert "empty  \n" not in text


@pytest.mark.parametrize("width", [90, 500, 50_000])
def test_cards_fit_into_a_section_and_say_how_many_are_shown(width):
    rows = [{f"column_{c}": f"{n} " + "y" * width for c in range(8)} for n in range(10)]
    text, shown = table(rows)
    assert 1 <= shown < 10
    assert len(text) <= 2900
    message = finding_message(replace(FOUND, total=10, rows=rows), Say("found", in_thread=False, incident=None), AROUND)
    assert f"{shown} of 10 are shown" in str(message.blocks)


def test_a_failed_run_is_one_message():
    message = run_failed_message(
        dag_id="insights_checks",
        what="2026-11-20 00:00 to 00:05 UTC",
        reason="task_failure",
        failed=[f"look_{n}" for n in range(8)],
        run_url="http://airflow/run",
        log_url="http://airflow/log",
    )
    said = text_of(message)
    assert "8 failed tasks: look" in said
    assert "and 3 more" in said
    assert "<http://airflow/log|Log>" in said
    within_limits(message)


def test_an_overdue_run_says_how_long():
    message = run_overdue_message(dag_id="d", what="2026-10", limit="1 day, 6:00:00", run_url="http://airflow/run")
    assert "2026-10 has not ended within 1 day, 6:00:00" in text_of(message)
    within_limits(message)
