"""What ``make run`` shows: on terminals of several widths, without colours, and where there is no terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from local_aws.airflow import PROJECT
from local_aws.run import progress

PROGRAM = """
import time
from local_aws.terminal import Listing, Steps, addresses, make_console
console = make_console()
steps = Steps(console)
with steps.step("stand-in for AWS and Slack, with sample data"):
    pass
with steps.step("aurora_audit aurora-prod/2026-11-20T20") as step:
    step.said = "3 of 11 tasks \\u00b7 a_task_with_a_very_long_name_that_no_narrow_terminal_can_show"
    time.sleep(0.6)
    step.done(True, "11 tasks")
with steps.step("one that fails") as step:
    step.done(False, "2 tasks")
archive = Listing("Archive", ("month", "log group", "#objects", "#events", "#bytes", "archive"))
archive.rows.append(("2026-10", "/aws/apigateway/orders-api", "3", "297", "17,010", "verified, final"))
why = "verified, final, incomplete: " + "why " * 20
archive.rows.append(("2026-10", "/aws/lambda/x", "3", "1,297", "17,010", why))
archive.show(console)
alerts = Listing("Alerts", ("channel", "message"))
alerts.rows.append(("#log-audit", "[red]HIGH[/red] \\x1b[2J\\x07 " + "\\u30ed\\u30b0" * 40))
alerts.show(console)
addresses(console, [("Airflow", "http://127.0.0.1:8080", "user admin, password hunter2-hunter2x"),
                    ("Log audit", "http://127.0.0.1:8080/plugin/log-audit/log-audit/", "archive")])
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x1b]*\x1b\\")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[[0-9;]*38;[0-9;]*m")
ADDRESS = "http://127.0.0.1:8080/plugin/log-audit/log-audit/"


def environment(**more: str) -> dict[str, str]:
    left_out = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    return {**{name: value for name, value in os.environ.items() if name not in left_out}, **more}


def on_terminal(columns: int, term: str = "xterm-256color", **more: str) -> str:
    """What a terminal of this width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = environment(TERM=term, **more)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, env=env, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait(30) == 0, said.decode()
    return said.decode()


def lines(said: str) -> list[str]:
    """What stays on the screen: a line that was erased is none."""
    kept = [line.rpartition("\x1b[2K")[2] for line in said.replace("\r\n", "\n").split("\n")]
    return [CONTROL.sub("", line).replace("\r", "").rstrip() for line in kept]


def cells(line: str) -> int:
    from rich.cells import cell_len

    return cell_len(line)


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_nothing_is_broken_on_a_terminal_of_any_width(columns):
    shown = lines(on_terminal(columns))
    assert [line for line in shown if cells(line) > columns and "http" not in line and "/aws/" not in line] == []
    tops = [line for line in shown if line.startswith(("┏", "┌", "┡", "└", "├"))]
    assert {line[-1] for line in tops} <= set("┓┐┩┘┤"), "a border goes on in the next line"
    assert sum(ADDRESS in line for line in shown) == 1
    text = "\n".join(shown)
    assert "✓ stand-in for AWS" in text
    assert "✗ one that fails" in text
    assert "/aws/apigateway/orders-api" in text
    assert "17,010" in text


@pytest.mark.parametrize(("columns", "table"), [(40, False), (60, False), (120, True)])
def test_a_table_that_does_not_fit_is_told_entry_by_entry(columns, table):
    text = "\n".join(lines(on_terminal(columns)))
    archive = text[text.index("Archive") : text.index("Alerts")]
    assert ("┃ month" in archive) == table
    assert ("• 2026-10" in archive) != table
    assert ("• 2026-10  /aws/lambda/x" in archive) != table


@pytest.mark.parametrize("columns", [40, 80])
def test_a_step_has_a_live_line_that_never_wraps(columns):
    said = on_terminal(columns)
    frames = [line for line in re.split(r"[\r\n]+", CONTROL.sub("", said)) if re.match("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] aurora", line)]
    assert len(frames) > 2
    assert max(map(cells, frames)) <= columns
    assert any("3 of 11" in frame for frame in frames) or columns < 60
    assert "✓ aurora_audit aurora-prod/2026-11-20T20" in "\n".join(lines(said)).replace("\n ", "")


def test_colours_are_left_out_where_they_are_not_wanted():
    assert COLOUR.search(on_terminal(80))
    assert not COLOUR.search(on_terminal(80, NO_COLOR="1"))


def test_a_dumb_terminal_gets_no_control_sequences_of_a_live_line():
    said = on_terminal(80, term="dumb")
    assert "⠋" not in said
    assert "✓ aurora_audit" in said


def test_without_a_terminal_there_are_plain_lines():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, env=environment(), capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "⠋" not in done.stdout
    assert "✓ aurora_audit aurora-prod/2026-11-20T20" in done.stdout
    assert max(map(cells, done.stdout.splitlines())) <= 120


def test_columns_says_how_wide_a_file_is():
    env = environment(COLUMNS="60")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, env=env, capture_output=True, text=True, check=True
    )
    assert "• 2026-10" in done.stdout


def test_an_old_encoding_does_not_end_the_run():
    env = environment(PYTHONIOENCODING="ascii", LC_ALL="C")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"one that fails" in done.stdout


def test_what_comes_from_logs_cannot_move_the_cursor_nor_colour():
    said = on_terminal(120)
    assert "\x1b[2J" not in said
    assert "\x07" not in said
    assert "[red]HIGH[/red]" in said


def test_progress_says_how_far_a_run_is():
    tasks = [{"task_id": name, "state": state} for name, state in [
        ("plan", "success"), ("export", "deferred"), ("export", "scheduled"), ("export", "running"), ("manifest", None),
    ]]  # fmt: skip
    assert progress(tasks) == "1 of 5 tasks · export"
    assert progress([]) == "0 of 0 tasks"
