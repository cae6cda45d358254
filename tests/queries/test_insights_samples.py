"""Every Logs Insights check of ``include/insights`` against the samples in ``insights/<name>.yaml``.

A file of samples::

    fires:
      - name: what is special about it
        events:
          - {seconds: 10, message: '{"status": 502}', times: 30, log_group: /aws/apigateway/orders-api}
        findings: 30               # how many there are in all
        rows: [{status: '502'}]    # the first ones in order, each with some of its fields
    silent:
      - name: …
        events: […]

``seconds`` is when the event happens and arrives, from the window's start; the window is one hour, as in a run that
catches up, and begins on a full five minutes.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_aws.airflow import aws_connection
from local_aws.insights import Event, compile_query
from log_audit.checks import Look
from log_audit.findings import count_rows
from log_audit.operators.checks import LogsInsightsOperator
from log_audit.query_file import QueryFile, read_query_file
from log_audit.window import to_ms
from tests.queries.samples import Samples, check_findings, check_header
from tests.support.tasks import Run

QUERIES = Path(__file__).parents[2] / "include" / "insights"
START = to_ms(datetime(2026, 11, 20, 3, tzinfo=UTC))
END = START + 3_600_000
LOOK_BACK = 900_000
ACCOUNT, REGION = "123456789012", "ap-northeast-1"
# Where events of a sample stand that name no log group.
LOG_GROUPS = {
    "api_gateway": "/aws/apigateway/orders-api",
    "lambda": "/aws/lambda/order-export",
    "ecs": "/ecs/shop",
    "scheduler_calls": "/aws/events/scheduler-calls",
}

NAMES = sorted(path.stem for path in QUERIES.glob("*.insights"))
SAMPLES = Samples(Path(__file__).parent / "insights", NAMES, {"name", "events"})
STATS = ["api_gateway_5xx_rate", "lambda_timeouts_and_oom", "slow_requests"]


def query_of(name: str) -> QueryFile:
    return read_query_file(QUERIES / f"{name}.insights")


def events_of(query: QueryFile, case: dict) -> list[Event]:
    default = LOG_GROUPS[query.log_group_sets[0]]
    events = []
    for event in case["events"]:
        at = START + event.get("seconds", 0) * 1000
        group = event.get("log_group", default)
        events += [Event(at, at, event["message"], group, "stream", ACCOUNT)] * event.get("times", 1)
    return events


@pytest.fixture
def look(aws, monkeypatch):
    """Runs a check over a case's events: the real operator, against the stand-in."""
    aws.configure(query_scheduled_seconds=0, query_running_seconds=0)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(aws.endpoint, REGION))

    def run(query: QueryFile, case: dict) -> tuple[int, list[dict[str, str]]]:
        events = events_of(query, case)
        for group in sorted({*LOG_GROUPS.values(), *(event.log_group for event in events)}):
            aws.create_log_group(group, region=REGION, creation_time_ms=START - 86_400_000)
            mine = [{"timestamp": e.timestamp, "message": e.message} for e in events if e.log_group == group]
            aws.put_events(group, "stream", mine, region=REGION)
        looked = Look(query.name, query.path, "tokyo", "regular", START, END)
        operator = LogsInsightsOperator(task_id="look", look=looked, region_name=REGION, worker_seconds=20)
        found = Run().execute(lambda: operator)
        return found["total"], found["rows"]

    return run


def evaluate(query: QueryFile, case: dict) -> tuple[int, list[dict[str, str]]]:
    """The same without operator and server, for the tests that ask many times."""
    arrived = "toMillis(@ingestionTime)"
    late = f"{arrived} - toMillis(@timestamp)"
    source = f"filter {arrived} >= {START} and {arrived} < {END} and {late} <= {LOOK_BACK} | {query.body}"
    result = compile_query(source).run(events_of(query, case), query.limit)
    rows = [dict(row) for row in result.rows]
    return count_rows(rows, result.records_matched), rows


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("fires"))
def test_fires(look, name, case):
    total, rows = look(query_of(name), case)
    check_findings(rows, case, total)


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("silent"))
def test_stays_silent(look, name, case):
    assert look(query_of(name), case) == (0, [])


@pytest.mark.parametrize("name", NAMES)
def test_every_check_has_samples_that_fire_and_that_stay_silent(name):
    for case in SAMPLES.check_all(name):
        for event in case["events"]:
            assert "message" in event, case["name"]
            assert set(event) <= {"message", "log_group", "seconds", "times"}, case["name"]


def test_no_samples_without_a_check():
    SAMPLES.check_names()


@pytest.mark.parametrize("name", NAMES)
def test_the_header_tells_what_a_person_needs(name):
    check_header(query_of(name))
    assert set(query_of(name).log_group_sets) <= set(LOG_GROUPS)


@pytest.mark.parametrize("name", NAMES)
def test_the_body_leaves_room_for_the_arrival_filter(name):
    body = query_of(name).body
    assert body.isascii()
    assert len(body) < 9_000


@pytest.mark.parametrize("name", NAMES)
def test_checks_of_events_show_which_event_and_checks_of_rates_do_not(name):
    _, rows = evaluate(query_of(name), SAMPLES.of(name)["fires"][0])
    assert ("@timestamp" not in rows[0]) == ("@ptr" not in rows[0]) == (name in STATS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [-1, 3_600])
def test_what_arrives_outside_the_window_is_not_looked_at(name, seconds):
    for case in SAMPLES.of(name)["fires"]:
        moved = {"events": [event | {"seconds": seconds} for event in case["events"]]}
        assert evaluate(query_of(name), moved) == (0, [])


@pytest.mark.parametrize("name", NAMES)
def test_messages_that_are_no_log_lines_of_ours_are_borne(name):
    messages = [
        "",
        "{",
        "[]",
        "null",
        '{"status": null}',
        '{"status": {}}',
        '"status"',
        "日本語のログ",
        "\x00",
        "x" * 50_000,
    ]
    messages += [json.dumps({"status": [502], "responseLatency": "slow", "level": 5})]
    case = {"events": [{"message": message, "times": 200} for message in messages]}
    assert evaluate(query_of(name), case) == (0, [])
