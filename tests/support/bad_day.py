"""Two hours of logs on a bad day: what arrives when, and what goes wrong in which run. All the same for a seed.

Time is simulated: the stand-in is given what is visible to queries by then.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local_aws.control import Control
from log_audit.window import to_ms
from tests.support.check_runs import REGION

START = datetime(2026, 10, 5, tzinfo=UTC)
SECOND, MINUTE = 1000, 60_000  # ms, as all times of events
RUNS = 24  # of five minutes each


# Minutes in which events arrive on time. The gaps between them are long enough for an incident to be over.
BUSY = ((1, 33), (48, 83), (98, 118))
HOSTILE = (
    "<!channel> <@U123> <https://evil.example|click>",
    "```\n*bold* _it_ ~gone~ `code` ```",
    "\u202eright to left\u2028\x1b[31m\x00",
    '"}, {"status": 200} \' \\n %s {0} $1',
    "| filter status < 400 # // /* -- */ ' or 1 = 1",
    "日本語 🔥 " + "x" * 10_000,
)


@dataclass(frozen=True)
class Event:
    """A line of the log; times in epoch ms.

    :param kind: None for noise, which the query must not find
    :param visible: from when on queries see it
    """

    kind: str | None
    id: str
    arrival: int
    timestamp: int
    visible: int
    message: str


@dataclass
class Stream:
    """All that arrives at the log group, and when the runs are made: the same for a seed each time."""

    seed: int
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - not a secret
        self.delays = [self.rng.randrange(20 * SECOND) for _ in range(2 * RUNS)]  # of each run, after its interval
        for kind, arrival, lateness, path in (*self._usual(), *self._late(), *self._boundaries(), *self._odd()):
            self._add(kind, arrival, lateness, path)

    @property
    def planted(self) -> dict[str, str]:
        """The ids of the events that people must be told of, each with its kind."""
        return {event.id: event.kind for event in self.events if event.kind}

    def _add(self, kind: str | None, arrival: int, lateness: int, path: str) -> None:
        start, number = to_ms(START), f"event-{len(self.events):05}"
        message = json.dumps({"id": number, "status": self._status(kind), "path": path}, ensure_ascii=False)
        if kind is None and len(self.events) % 2:
            message = f'{number} no JSON, "status": 500 {path}'
        lag = self.rng.randrange(60 * SECOND) if self.rng.random() < 0.1 else 0
        at = start + arrival
        self.events.append(Event(kind, number, at, at - lateness, at + lag, message))

    def _status(self, kind: str | None) -> int:
        return self.rng.choice((400, 404, 429, 500, 503) if kind else (200, 204, 301, 399))

    def _busy(self) -> int:
        first, last = self.rng.choice(BUSY)
        return self.rng.randrange(first * MINUTE, last * MINUTE)

    def _any(self) -> int:
        return self.rng.randrange(118 * MINUTE)

    def _on_time(self) -> int:
        return 100 + min(int(self.rng.expovariate(1 / 3) * SECOND), 30 * SECOND)

    def _usual(self) -> Iterator[tuple]:
        for _ in range(250):
            yield "on time", self._busy(), self._on_time(), "/orders"
        for _ in range(300):
            yield "burst", 60 * MINUTE + self.rng.randrange(MINUTE), self._on_time(), "/burst"
        for _ in range(150):
            yield None, self._any(), self._on_time(), "/noise"
        for _ in range(20):
            yield None, self._any(), self.rng.randrange(180 * MINUTE), "/noise"

    def _late(self) -> Iterator[tuple]:
        for _ in range(40):
            yield "1 to 15 min late", self._busy(), self.rng.randrange(MINUTE, 15 * MINUTE + 1), "/late"
        for _ in range(40):
            yield "16 to 90 min late", self._any(), self.rng.randrange(16 * MINUTE, 90 * MINUTE), "/late"
        for _ in range(5):
            yield "3 h late", self._any(), 180 * MINUTE, "/late"

    def _boundaries(self) -> Iterator[tuple]:
        """Arrivals where one of our windows ends and the next begins, and timestamps where one of the Lambda's does."""
        for minute in (minute for minute in range(3, 118, 5) if any(a < minute < b for a, b in BUSY)):
            for off in (-1, 0, 1):
                yield "arrives on a boundary", minute * MINUTE + off, 2 * SECOND, "/edge"
                yield "15 min late", minute * MINUTE + off, 15 * MINUTE, "/edge"
                yield "15 min and 1 ms late", minute * MINUTE + off, 15 * MINUTE + 1, "/edge"
                if minute + 2 < 118:
                    yield "happens on a boundary", (minute + 2) * MINUTE + 2 * SECOND + off, 2 * SECOND, "/edge"

    def _odd(self) -> Iterator[tuple]:
        yield "1 h ahead", 20 * MINUTE, -60 * MINUTE, "/ahead"
        moment = self._busy()
        for _ in range(5):
            yield "same millisecond", moment, SECOND, "/same"
        for path in HOSTILE:
            yield "hostile text", self._busy(), self._on_time(), path


@dataclass(frozen=True)
class Mishap:
    """What befalls one run.

    :param faults: calls that fail, each with what the stand-in is told about it
    :param settings: of the stand-in
    :param killed: where a worker dies, once: after the answer to a call of Insights, or before the record's n-th write
    :param made: how much of the run there is at all
    """

    faults: tuple = ()
    settings: dict = field(default_factory=dict)
    killed: str | int | None = None
    made: str = "whole"


POST = "slack.chat.postMessage"
DOWN = (POST, {"times": 1000, "status": 500, "error": "internal_error"})
AFTER, BEFORE = (POST, {"drop": "after"}), (POST, {"drop": "before"})
NO_MISHAP = Mishap()
# By run. The check's messages are due in 1 (opened), 7 (recovered), 10, 12 (the burst), 17, 20 and 24, and the sweep's.
MISHAPS = {
    0: Mishap(settings={"query_outcome": "Failed"}),  # at all tries: the window is left to the next run
    1: Mishap(faults=((POST, {"status": 429, "error": "ratelimited"}),)),
    2: Mishap(faults=(("logs.StartQuery", {"drop": "after", "times": 2}),)),  # more than botocore repeats
    3: Mishap(settings={"query_outcome": "Timeout"}),
    4: Mishap(killed="start_query"),
    5: Mishap(killed="query_status"),
    6: Mishap(faults=(("logs.GetQueryResults", {"drop": "before", "times": 2}),), killed="query_results"),
    7: Mishap(faults=(DOWN,)),
    8: Mishap(faults=(DOWN,)),
    9: Mishap(faults=(BEFORE,)),
    10: Mishap(faults=(AFTER, BEFORE)),
    11: Mishap(
        faults=(
            ("logs.StartQuery", {"error": "ThrottlingException"}),
            ("logs.GetQueryResults", {"error": "InternalFailure", "status": 500}),
        )
    ),
    12: Mishap(killed=2),
    13: Mishap(made="nothing"),
    14: Mishap(made="nothing"),
    15: Mishap(made="nothing"),
    16: Mishap(faults=(("logs.StartQuery", {"error": "ThrottlingException", "times": 3}),)),
    17: Mishap(faults=(AFTER,), killed=3),
    18: Mishap(made="plan"),
    20: Mishap(faults=(AFTER, DOWN), killed=1),  # one channel has the message when the run is given up
    21: Mishap(made="plan"),
    23: Mishap(killed=1),  # with nothing to say the first write is the last
    24: Mishap(faults=(DOWN,)),
    25: Mishap(killed=4),  # all was sent
}
SWEEP_MISHAP = Mishap(faults=(AFTER,), killed=3)


CALM = {"query_scheduled_seconds": 0, "query_running_seconds": 0, "query_outcome": "Complete"}
SLOW = {"query_scheduled_seconds": 0.2, "query_running_seconds": 0.1}  # as real queries are; each costs real time


class World:
    """The stand-in in simulated time, and what befalls it."""

    slow = range(5, 2 * RUNS, 6)  # runs whose queries are slow

    def __init__(self, aws: Control, stream: Stream) -> None:
        self.aws = aws
        self.now = START
        self.to_come = sorted(stream.events, key=lambda event: event.visible)

    def advance(self, to: datetime) -> None:
        """What is visible before ``to`` is there. Time never goes back."""
        self.now = max(self.now, to)
        here = [event for event in self.to_come if event.visible < to_ms(self.now)]
        del self.to_come[: len(here)]
        if here:
            content = [{"timestamp": e.timestamp, "message": e.message, "ingestionTime": e.arrival} for e in here]
            self.aws.put_events("/app", "stream", content, region=REGION)

    @contextmanager
    def befallen_by(self, mishap: Mishap, number: int | None = None) -> Iterator[None]:
        """The faults and settings of one run."""
        self.aws.configure(**CALM | (SLOW if number in self.slow else {}) | mishap.settings)
        for action, fault in mishap.faults:
            self.aws.fault(action, **fault)
        yield
        self.aws.clear_faults()
        self.aws.configure(**CALM)
