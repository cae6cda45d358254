"""What befalls Airflow, AWS and Slack in a storm: pure, and the same for a seed each time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

COMPONENTS = ("scheduler", "triggerer", "dag-processor")
ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata", "Etc/GMT+12")
ACTIONS = (
    *("logs.StartQuery", "logs.GetQueryResults", "logs.DescribeLogGroups", "logs.CreateExportTask"),
    *("logs.DescribeExportTasks", "s3.GetObject", "s3.PutObject", "s3.ListObjectsV2"),
    *("athena.StartQueryExecution", "athena.GetQueryExecution", "athena.GetQueryResults"),
    *("sqs.ReceiveMessage", "sqs.DeleteMessageBatch"),
)
# What AWS does to a call; times in seconds. Slower than READ_TIMEOUT is a time-out.
READ_TIMEOUT = 25  # a queue is asked for 20 s
WAYS: dict[str, dict[str, Any]] = {
    "throttled": {"error": "ThrottlingException", "message": "Rate exceeded", "status": 400},
    "refused with 500": {"error": "InternalFailure", "status": 500},
    "refused with 503": {"error": "ServiceUnavailable", "status": 503},
    "cut off before": {"drop": "before"},
    "cut off after": {"drop": "after"},
    "truncated": {"drop": "within"},
    "slow": {"delay": 4},
    "timed out": {"delay": READ_TIMEOUT + 3},
}
SLACK_WAYS: dict[str, dict[str, Any]] = {
    "down": {"error": "internal_error", "status": 500, "times": 6},
    "too many requests": {"error": "ratelimited", "status": 429, "times": 2},
    "cut off before": {"drop": "before"},
    "cut off after": {"drop": "after"},
    "truncated": {"drop": "within"},
    "slow": {"delay": 5},
}


@dataclass(frozen=True)
class Injection:
    """One mishap.

    :param at: seconds after the storm's beginning
    :param kind: ``kill`` (a component), ``kill worker``, ``aws``, ``slack``
    :param what: the component or the call; of a worker, a number that chooses among those that run
    :param how: for people
    :param fault: what the stand-in is told, as keywords of ``Control.fault``
    :param down: seconds until a supervisor starts a killed component again
    """

    at: float
    kind: str
    what: str
    how: str = ""
    fault: dict[str, Any] = field(default_factory=dict)
    down: float = 0.0

    def __str__(self) -> str:
        down = f", down for {self.down:.1f} s" if self.down else ""
        times = f" ×{self.fault['times']}" if self.fault.get("times", 1) > 1 else ""
        return f"{self.at:6.1f} s  {self.kind}: {self.what} {self.how}{times}{down}".rstrip()


@dataclass(frozen=True)
class Plan:
    """A storm.

    :param zone: where the host thinks it is (TZ)
    :param copies: of each event of ECS
    :param disorder: in which a task's events come
    :param deliveries: seconds after the beginning at which a task ships an hour
    :param events: seconds at which an error is logged, and by how many seconds its own time lies before that
    """

    seed: int
    seconds: float
    zone: str
    copies: int
    disorder: str
    deliveries: tuple[float, ...]
    events: tuple[tuple[float, float], ...]
    months: int
    injections: tuple[Injection, ...]

    def __str__(self) -> str:
        head = (
            f"seed {self.seed}: {self.seconds:.0f} s on a host in {self.zone}; {len(self.deliveries)} deliveries, each "
            f"event {self.copies} times and {self.disorder.lower()}; {len(self.events)} errors; {self.months} months"
        )
        return "\n".join([head, *(f"  {injection}" for injection in self.injections)])


def make_plan(seed: int, seconds: float, *, mishaps: int, deliveries: int, events: int, months: int) -> Plan:
    """The plan of a seed.

    :param seconds: how long the storm lasts
    :param mishaps: how many there are; every fourth kills
    """
    rng = random.Random(seed)  # noqa: S311 - not a secret
    times = sorted(rng.uniform(0, seconds) for _ in range(mishaps))
    kinds = [("kill", "kill worker", "slack", "aws", "aws", "aws")[n % 6] for n in range(mishaps)]
    rng.shuffle(kinds)
    return Plan(
        seed=seed,
        seconds=seconds,
        zone=rng.choice(ZONES),
        copies=rng.randint(1, 4),
        disorder=rng.choice(("NONE", "REVERSED", "SHUFFLED")),
        deliveries=tuple(sorted(rng.uniform(0, seconds * 0.8) for _ in range(deliveries))),
        events=tuple((rng.uniform(0, seconds * 0.8), rng.choice((1, 30, 300, 840))) for _ in range(events)),
        months=months,
        injections=tuple(_injection(rng, at, kind) for at, kind in zip(times, kinds, strict=True)),
    )


def _injection(rng: random.Random, at: float, kind: str) -> Injection:
    if kind == "kill":
        return Injection(at, kind, rng.choice(COMPONENTS), down=rng.uniform(0, 5))
    if kind == "kill worker":
        return Injection(at, kind, str(rng.randrange(100)))
    if kind == "slack":
        how = rng.choice(sorted(SLACK_WAYS))
        return Injection(at, kind, "slack.chat.postMessage", how, dict(SLACK_WAYS[how]))
    how = rng.choice(sorted(WAYS))
    times = 1 if how in ("slow", "timed out") else rng.randint(1, 3)
    return Injection(at, kind, rng.choice(ACTIONS), how, {**WAYS[how], "times": times})
