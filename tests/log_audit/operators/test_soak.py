"""Two hours of logs on a bad day: nothing is lost and nothing told twice; and the Lambda that this replaces, beside it.

The day is in tests/support/bad_day.py.
"""

import ast
import http.client
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from botocore.config import Config

from log_audit.hooks.logs import LogsHook
from log_audit.operators import queries
from log_audit.operators.checks import LogsInsightsOperator
from log_audit.operators.retry import FailFast
from log_audit.window import to_ms
from tests.support.bad_day import MINUTE, MISHAPS, NO_MISHAP, RUNS, START, SWEEP_MISHAP, Mishap, Stream, World
from tests.support.check_runs import REGION, SETTINGS, WATCHES

SEEDS = (1, 2, 3)
CHANNELS = ("alerts", "general")
RETRIES = {"total_max_attempts": 2}  # of botocore, for both: its usual five mend the same faults in more time
ID = re.compile(r"event-\d{5}")
# The Lambda's own query; the check looks for the same.
QUERY = "fields @timestamp, @message | sort @timestamp desc | filter (status >= 400)"
CHECK = f"""
    # title: Errors of the API
    # severity: critical
    # log_group_sets: [app]
    {QUERY}
"""


class Killer:
    """Kills a worker once, at the place it is told. A worker that is killed leaves nothing but what it has stored."""

    def __init__(self, monkeypatch, stores) -> None:
        self.place: str | int | None = None
        self.writes = 0
        for name in ("start_query", "query_status", "query_results"):
            monkeypatch.setattr(LogsHook, name, self._after(name, getattr(LogsHook, name)))
        for store in stores:
            monkeypatch.setattr(store, "set", self._before_write(store.set))

    def arm(self, place: str | int | None) -> None:
        self.place, self.writes = place, 0

    def _strike(self, place: str | int) -> None:
        if place == self.place:
            self.place = None
            raise SystemExit("SIGKILL")

    def _after(self, name, call):
        def wrapper(*args, **kwargs):
            answer = call(*args, **kwargs)
            self._strike(name)
            return answer

        return wrapper

    def _before_write(self, write):
        def wrapper(key, value):
            self.writes += 1
            self._strike(self.writes)
            write(key, value)

        return wrapper


# The check


class Soak:
    """The check and its alerts through the stream, as Airflow would run them.

    :ivar accepted: how often each event was in a window whose alert was accepted
    """

    def __init__(self, checks, stream: Stream, monkeypatch) -> None:
        checks.write("errors", CHECK)
        self.checks = checks
        self.stream = stream
        self.world = World(checks.aws, stream)
        self.killer = Killer(monkeypatch, [checks.stores[asset] for asset in WATCHES.values()])
        self.answers: dict[int, list[str]] = {}
        self.accepted: Counter[str] = Counter()
        self._watch_answers(monkeypatch)

    def run(self, number: int, mishap: Mishap = NO_MISHAP) -> None:
        end = START + timedelta(minutes=5 * (number + 1))
        due = end + timedelta(milliseconds=self.stream.delays[number])
        with self.world.befallen_by(mishap, number):
            self._run(self.checks.start(end), due, mishap)

    def sweep(self, days: int, mishap: Mishap = NO_MISHAP) -> None:
        """The daily run; the first one falls into the stream, and parts it where events arrive on a boundary."""
        end = START + timedelta(days=days, minutes=65)
        with self.world.befallen_by(mishap):
            self._run(self.checks.start(end, scope="late", minutes=24 * 60), end, mishap)

    def settled(self) -> bool:
        kept = self.checks.remembered()
        return kept["watermark"] > to_ms(START) + 118 * MINUTE and kept.keys() == {"watermark"}

    def _run(self, run, due: datetime, mishap: Mishap) -> None:
        self.world.advance(due)
        if mishap.made == "nothing":
            return
        run.plan()
        if mishap.made == "plan":
            return
        self.killer.arm(mishap.killed)
        self._tries(lambda: self._look(run))
        self._tries(lambda: self._alert(run))
        assert self.killer.place is None, "nobody came to the place"

    def _tries(self, task) -> None:
        """A task with two retries, each half a minute later."""
        for number in range(3):
            self.world.advance(self.world.now + timedelta(seconds=30 if number else 0))
            try:
                return task()
            except (Exception, SystemExit) as error:
                assert FailFast().evaluate(error, number, 3).action is not RetryAction.FAIL, error

    @staticmethod
    def _look(run) -> None:
        run.look()
        for error in run.failed.values():
            raise error

    def _alert(self, run) -> None:
        before = self.checks.remembered(scope=run.scope).get("watermark")
        try:
            run.alert()
        finally:
            if self.checks.remembered(scope=run.scope).get("watermark") != before:
                self.accepted.update(self.answers[id(run.run)])

    def _watch_answers(self, monkeypatch) -> None:
        """Keep the ids of all rows, of which findings show a few."""
        result = LogsInsightsOperator.result

        def wrapper(operator, context, answers):
            rows = [row["@message"] for answer in answers for row in answer.rows]
            self.answers[id(context["ti"].run)] = [ID.search(message)[0] for message in rows]
            return result(operator, context, answers)

        monkeypatch.setattr(LogsInsightsOperator, "result", wrapper)


# The Lambda


class Lambda:
    """The Lambda that the checks replace, as it was published, with its clock and its clients handed in.

    It is invoked asynchronously: what raises is invoked again after one minute and after two more.
    """

    def __init__(self, aws, logs, stream: Stream) -> None:
        self.logs = logs
        self.stream = stream
        self.world = World(aws, stream)
        self.mishap = NO_MISHAP
        address = urlsplit(aws.endpoint)
        self.slack = http.client.HTTPConnection(address.hostname, address.port)

    def run(self, number: int, mishap: Mishap) -> None:
        due = START + timedelta(minutes=5 * (number + 1), milliseconds=self.stream.delays[number])
        self.mishap, self.posts = mishap, 0
        if mishap.made != "whole":
            return
        with self.world.befallen_by(mishap, number):
            for minutes in (0, 1, 3):
                now = due + timedelta(minutes=minutes)
                self.world.advance(now)
                with suppress(Exception, SystemExit):
                    return self.handler(now)

    def handler(self, now: datetime) -> None:
        five_minutes_ago = now - timedelta(minutes=5)
        start = five_minutes_ago.replace(second=0, microsecond=0)
        end = start + timedelta(minutes=5) - timedelta(milliseconds=1)
        for error_log in self.results("/app", start, end):
            dict_message = ast.literal_eval(error_log[1]["value"])
            text = "/app" + "\n" + str(dict_message)
            for channel in CHANNELS:
                try:
                    self.post_slack(channel, text)
                except Exception:
                    self.post_slack(channel, text)

    def results(self, group: str, start: datetime, end: datetime) -> list:
        query_id = self.logs.start_query(
            logGroupName=group,
            startTime=int(start.timestamp()),
            endTime=int(end.timestamp()),
            queryString=QUERY,
        )["queryId"]
        if isinstance(self.mishap.killed, str):
            self.die()
        answer = self.logs.get_query_results(queryId=query_id)
        while answer["status"] == "Running":
            time.sleep(0.05)
            answer = self.logs.get_query_results(queryId=query_id)
        return answer["results"]

    def post_slack(self, channel: str, text: str) -> None:
        """As slackweb does: whatever HTTP calls an error raises."""
        if isinstance(self.mishap.killed, int) and self.mishap.killed == self.posts + 1:
            self.die()
        body = json.dumps({"channel": channel, "attachments": [{"color": "danger", "text": text}]})
        headers = {"Content-Type": "application/json", "Authorization": "Bearer xoxb-local"}
        try:
            self.slack.request("POST", "/slack/api/chat.postMessage", body, headers)
            answer = self.slack.getresponse()
            answer.read()
        except OSError:
            self.slack.close()
            raise
        if answer.status >= 400:
            raise OSError(f"HTTP {answer.status}")
        self.posts += 1

    def die(self) -> None:
        self.mishap = NO_MISHAP
        raise SystemExit("SIGKILL")


# What came of it


@dataclass(frozen=True)
class Outcome:
    """Compares what people were told with what there was to tell."""

    lost: Counter  # by kind
    repeated: int
    messages: int

    @classmethod
    def of(cls, stream: Stream, told: Counter, messages: int) -> "Outcome":
        assert told.keys() <= stream.planted.keys(), "noise was told"
        lost = Counter(kind for number, kind in stream.planted.items() if not told[number])
        return cls(lost, sum(times > 1 for times in told.values()), messages)


@pytest.fixture(scope="module")
def table() -> Iterator[dict]:
    """Rows to print at the end: pytest -s."""
    rows: dict[tuple[str, int], tuple[Stream, Outcome]] = {}
    yield rows
    print(f"\n\n{'':<30} seed  planted  lost  told twice  messages")
    for (what, seed), (stream, outcome) in sorted(rows.items()):
        lost = outcome.lost.total()
        print(
            f"{what:<30} {seed:>4} {len(stream.planted):>8} {lost:>5} {outcome.repeated:>11} {outcome.messages:>9}"
            f"  {dict(outcome.lost.most_common()) or ''}"
        )


@pytest.fixture(autouse=True)
def _impatient(aws, monkeypatch):
    """What else would take its time: botocore's retries, and the wait for the quota of queries."""
    extra = {"region_name": REGION, "endpoint_url": aws.endpoint, "config_kwargs": {"retries": RETRIES}}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(queries, "QUOTA_PAUSE", 0.1)


@pytest.fixture
def checks(checks, tmp_path):
    settings = SETTINGS.replace("critical: [alerts]", "critical: [alerts, general]")
    # The stream's late events lie around this edge.
    (tmp_path / "settings.yaml").write_text(f"{settings}\ninsights: {{look_back_minutes: 15}}\n")
    return checks


def key_of(message) -> str:
    return message["metadata"]["event_payload"]["key"]


def number_in(pattern: str, text: str) -> int:
    return int(re.search(pattern, text)[1].replace(",", ""))


def total_told(messages) -> int:
    """The findings of all incidents that are over, and of the sweep."""
    over = [number_in(r"\*([\d,]+)\* in all", m["text"]) for m in messages if "recovered" in m["text"]]
    swept = [number_in(r"\*([\d,]+)\* finding", m["text"]) for m in messages if key_of(m).startswith("late/")]
    return sum(over) + sum(swept)


def check_threads(messages) -> None:
    """An incident is a message and its thread: opened, still going on, recovered, in the order of the windows."""
    threads = defaultdict(list)
    for message in messages:
        if key_of(message).startswith("regular/"):
            threads[message["thread_ts"] or message["ts"]].append(message)
    for first, *updates, last in threads.values():
        assert first["thread_ts"] is None
        assert "recovered" not in first["text"]
        assert all("still going on" in update["text"] for update in updates)
        assert "recovered" in last["text"]
        ends = [int(key_of(message).rpartition("-")[2]) for message in (first, *updates, last)]
        assert ends == sorted(ends)
    order = [int(key_of(message).rpartition("-")[2]) for thread in threads.values() for message in thread]
    assert order == sorted(order), "an incident began before the one before it was over"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_is_told_exactly_once_on_a_bad_day(checks, aws, monkeypatch, table, seed):
    soak = Soak(checks, stream := Stream(seed), monkeypatch)
    for number in range(RUNS + 4):
        soak.run(number, MISHAPS.get(number, NO_MISHAP))
        if number == 12:
            soak.sweep(days=0, mishap=SWEEP_MISHAP)
    assert soak.settled()
    soak.sweep(days=1)
    soak.sweep(days=2)  # which has nothing to say

    outcome = Outcome.of(stream, soak.accepted, len(aws.slack_messages()))
    table["checks, with failures", seed] = stream, outcome
    assert soak.accepted == Counter(stream.planted.keys())
    for channel in CHANNELS:
        messages = aws.slack_messages(channel)
        keys = [key_of(message) for message in messages]
        assert len(keys) == len(set(keys))
        assert total_told(messages) == len(stream.planted)
        check_threads(messages)
        # Three incidents, each opened and recovered, the burst, and two sweeps; not one more for all the failures.
        assert len(messages) == 3 * 2 + 1 + 2


@pytest.mark.parametrize(
    ("slow", "mishaps", "repeats"),
    [
        pytest.param((), {}, False, id="calm, all queries fast"),
        pytest.param(World.slow, {}, False, id="calm"),
        pytest.param(World.slow, MISHAPS, True, id="with failures"),
    ],
)
def test_the_lambda_that_this_replaces_loses_and_repeats(
    checks, aws, aws_client, monkeypatch, table, request, slow, mishaps, repeats
):
    monkeypatch.setattr(World, "slow", slow)
    stream = Stream(SEEDS[0])
    old = Lambda(aws, aws_client("logs", config=Config(retries=RETRIES)), stream)
    for number in range(RUNS + 13):  # an hour more, for the event that is an hour ahead
        old.run(number, mishaps.get(number, NO_MISHAP))

    told = [ID.search(str(message["attachments"]))[0] for message in aws.slack_messages(CHANNELS[0])]
    outcome = Outcome.of(stream, Counter(told), len(aws.slack_messages()))
    table[f"Lambda, {request.node.callspec.id}", stream.seed] = stream, outcome
    assert outcome.lost["16 to 90 min late"] == 40
    assert outcome.lost["3 h late"] == 5
    assert outcome.lost["on time"] > 0
    assert (outcome.repeated > 0) == repeats
    assert outcome.messages > 200  # the checks: 18
