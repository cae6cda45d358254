"""How many bytes are scanned, against those that hold what is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.harness import PROJECT, REGION, Row, stand_in
from local_aws import accounts
from local_aws.control import ACCOUNT, Control
from log_audit.checks import Look, look_back_of, query_files, query_text, scan_range
from log_audit.query_file import read_query_file
from log_audit.settings import load_settings
from log_audit.window import to_ms

DAY = datetime(2026, 11, 10, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def audits() -> list[Row]:
    """The bytes of each audit's query against those of the objects in the partitions that it declares, compared by a
    test."""
    test = "tests/queries/test_aurora_samples.py::test_each_audit_reads_its_partitions_and_no_other"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", test], cwd=PROJECT, capture_output=True, check=False)
    number = len(list((PROJECT / "include/sql/audits/aurora").glob("*.sql")))
    told = f"1.0×, to the byte, by each of {number}" if done.returncode == 0 else "not what the test wants"
    what = "bytes scanned by an audit of Aurora"
    return [Row(what, "the bytes of its partitions", told, "1.0×", done.returncode == 0, f"`{test.split('::')[0]}`")]


def run(every: int = 20) -> list[Row]:
    """A check over a day as Airflow runs it, 288 times and one sweep, on an event every so many seconds."""
    settings = load_settings(PROJECT / "include" / "settings.yaml")
    query = read_query_file(query_files()[0])
    look_back, late = look_back_of(query, settings), settings.insights.late
    with stand_in() as control:
        control.configure(query_scheduled_seconds=0, query_running_seconds=0)
        logs = accounts.client(control.endpoint, "logs", REGION, ACCOUNT)
        control.create_log_group("/app", region=REGION, creation_time_ms=1)
        scanned = {"regular": 0.0, "late": 0.0}
        planted = to_ms(DAY - late - timedelta(hours=1))
        for look in _looks():
            planted = _plant(control, planted, to_ms(look.window.end + settings.insights.settle), every * 1000)
            text = query_text(query, look, look_back, late)
            scanned[look.scope] += _ask(logs, scan_range(look, look_back, late), text)
        held = _scan(logs, "fields @message", startTime=to_ms(DAY) // 1000, endTime=to_ms(DAY) // 1000 + 86_399)
    regular, sweep = scanned["regular"] / held, scanned["late"] / held
    told = f"{regular + sweep:.2f}× ({regular:.2f}× and {sweep:.2f}× by the sweep)"
    met = regular + sweep <= 5.0
    return [Row("bytes scanned by a check in a day", "1×, the bytes of its windows", told, "≤ 5× with the sweep", met)]


def _looks() -> Iterator[Look]:
    def look(scope: Any, start: datetime, length: timedelta) -> Look:
        return Look("q", "f", "t", scope, to_ms(start), to_ms(start + length))

    yield from (look("regular", DAY + FIVE * number, FIVE) for number in range(288))
    yield look("late", DAY, timedelta(days=1))


def _plant(control: Control, first: int, until: int, step: int) -> int:
    """Events of one size, as far as they have arrived when a look begins; when the next one comes."""
    events = [{"timestamp": at, "message": "x" * 100} for at in range(first, until, step)]
    for start in range(0, len(events), 5000):
        control.put_events("/app", "s", events[start : start + 5000], region=REGION)
    return first + step * len(events)


def _ask(logs: Any, scan: Any, text: str) -> float:
    start, end = scan.insights_range()
    return _scan(logs, text, startTime=start, endTime=end)


def _scan(logs: Any, text: str, **span: int) -> float:
    query = logs.start_query(logGroupName="/app", queryString=text, **span)["queryId"]
    while (answer := logs.get_query_results(queryId=query))["status"] != "Complete":
        assert answer["status"] in ("Scheduled", "Running"), answer
    return float(answer["statistics"]["bytesScanned"])
