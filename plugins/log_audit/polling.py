"""When to look at which of many jobs: what the triggerer's shared pollers decide. Seconds, on any one clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Job = TypeVar("Job")

SHORTEST, LONGEST = 1.5, 30.0  # pauses between two looks at a job
SHARE = 6
FIRST_RETREAT, LONGEST_RETREAT = 2.0, 60.0  # after a fault of AWS


def pause(age: float) -> float:
    """How long to wait before the next look at a job that is so old: a sixth of that, from 1.5 to 30 seconds.

    On average its end is seen half a pause late: 0.75 s, or a twelfth of what it took; and a job of an hour costs a
    fifth of the looks that one every 5 seconds would.
    """
    return min(LONGEST, max(SHORTEST, age / SHARE))


def slot_pause(age: float) -> float:
    """The same for a job that others wait for in line: a fortieth of its age, for all the pauses add up."""
    return min(LONGEST, max(SHORTEST, age / 40))


class Agenda(Generic[Job]):
    """Which jobs are waited for, and when to look at each.

    :param at_once: at how many jobs one call looks
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._due: dict[Job, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._due])

    def set(self, job: Job, due: float) -> None:
        """Look at a job at that time, and not at the time set before."""
        self._due[job] = due

    def drop(self, job: Job) -> None:
        self._due.pop(job, None)

    def due(self) -> float:
        """When to look next. :raises ValueError: there are no jobs"""
        return min(self._due.values())

    def next(self) -> list[Job]:
        """The jobs to look at next: those that are due first, and with them as many as the call has room for.

        What is not due yet rides along for nothing, and is due the later for it.
        """
        return heapq.nsmallest(self.at_once, self._due, key=self._due.__getitem__)


@dataclass
class Bucket:
    """A token bucket: ``rate`` calls a second on average, and no more than ``burst`` at once."""

    rate: float
    burst: int = 1
    tokens: float = field(default=0.0, init=False)
    at: float = field(default=float("-inf"), init=False)

    def ready(self, now: float) -> float:
        """When the next call may be made."""
        self._fill(now)
        return now if self.tokens >= 1 else now + (1 - self.tokens) / self.rate

    def take(self, now: float) -> None:
        self._fill(now)
        self.tokens -= 1

    def _fill(self, now: float) -> None:
        self.tokens = min(float(self.burst), self.tokens + (now - self.at) * self.rate)
        self.at = now


@dataclass
class Retreat:
    """How long to leave AWS alone: longer after each fault that follows another, by a part that differs.

    :param spread: gives a number from 0 to 1, so that many who met one fault do not come back together
    """

    spread: Callable[[], float]
    until: float = float("-inf")
    seconds: float = 0.0

    def fault(self, now: float) -> float:
        """After a fault: for how long."""
        self.seconds = min(LONGEST_RETREAT, max(FIRST_RETREAT, 2 * self.seconds))
        wait = self.seconds * (0.5 + self.spread() / 2)
        self.until = now + wait
        return wait

    def over(self) -> None:
        """AWS has answered."""
        self.seconds = 0.0
