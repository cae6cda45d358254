"""Which hours of each Aurora cluster and which days of each account were audited, and what became of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from log_audit.page.model import UNDER_WAY, Run
from log_audit.window import Unit, Window, Zone, key_of, keys_between, to_ms

# The worst first.
STATES = ("failed", "not_delivered", "not_audited", "running", "empty", "audited", "waiting", "unknown")
TROUBLE = STATES[:3]
EMPTY = "empty_delivery"  # the audit that finds a window without a single line


@dataclass(frozen=True)
class Audited:
    """An audit's asset event: findings by target and query."""

    run: str
    at: int
    found: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What is known of windows, by partition key.

    :param runs: those that did not succeed
    :param first: the first key of each row that anything is known of; Airflow may have purged what was before
    :param now: epoch ms
    """

    audited: Mapping[str, Audited]
    delivered: Mapping[str, int]
    runs: Mapping[str, Run]
    first: Mapping[str, str]
    now: int
    zone: Zone


def hour_state(key: str, due: int, known: Known) -> dict[str, Any]:
    """What became of one window of an Aurora cluster.

    :param key: such as ``aurora-prod/2026-11-20T09``
    :param due: when it must have been delivered, epoch ms
    """
    run, audited = known.runs.get(key), known.audited.get(key)
    row, _, when = key.partition("/")
    if run and (audited is None or run.at > audited.at or run.run == audited.run):
        if run.state in UNDER_WAY:
            return {"state": "running", "run": run.run}
        if run.state == "failed":
            return {"state": "failed", "run": run.run}
    if audited:
        return _audited(audited)
    if key in known.delivered:
        late = known.now - known.delivered[key] > 15 * 60_000
        return {"state": "not_audited" if late else "running"}
    if known.now < due:
        return {"state": "waiting"}
    first = known.first.get(row)
    return {"state": "not_delivered" if first and when > first else "unknown"}


def _audited(audited: Audited) -> dict[str, Any]:
    found = {name.rpartition("/")[2]: number for name, number in audited.found.items()}
    empty = found.pop(EMPTY, 0)
    cell: dict[str, Any] = {"state": "empty" if empty else "audited", "run": audited.run}
    return {**cell, **({"found": found} if found else {})}


@lru_cache(maxsize=100)
def ends_of(month: str, unit: Unit, zone: Zone) -> dict[str, int]:
    """The hours or days of a month, by key, and when each ends, epoch ms."""
    window = Window.month(month, zone)
    last = key_of(window.end, unit, zone, back=1)
    keys = keys_between(key_of(window.start, unit, zone), last, unit, zone)
    return {key: to_ms(Window.of(key, unit, zone).end) for key in keys}


def cluster_days(
    cluster: str, unit: Unit, month: str, patience: int, known: Known, only: str | None = None
) -> dict[str, Any]:
    """A cluster's month: each day with how many of its windows are in which state.

    :param only: the day of which each window's own state is told as well
    """
    days: dict[str, dict[str, Any]] = {}
    windows: dict[str, dict[str, Any]] = {}
    for when, end in ends_of(month, unit, known.zone).items():
        cell = hour_state(f"{cluster}/{when}", end + patience, known)
        if when[:10] == only:
            windows[when] = cell
        day = days.setdefault(when[:10], {"counts": Counter(), "found": 0})
        day["counts"][cell["state"]] += 1
        day["found"] += sum(cell.get("found", {}).values())
    for day in days.values():
        day["state"] = worst(day["counts"])
    return {"days": days, "windows": windows}


def worst(states: Mapping[str, int]) -> str:
    """What a day is called by: its worst state; but for the future, which is waited for alone."""
    return next((state for state in STATES if states.get(state)), "unknown")


@dataclass(frozen=True)
class Days:
    """What is known of CloudTrail's days, of one target's accounts.

    :param audited: by day, the latest event that tells of the target
    :param runs: by day, the latest one for the target that did not succeed
    :param failed: by run, the targets of which a task failed
    :param first: the first day that anything is known of
    :param patience: how long after its end a day may be waited for, ms
    """

    audited: Mapping[str, Audited]
    runs: Mapping[str, Run]
    failed: Mapping[str, frozenset[str]]
    first: str | None
    now: int
    patience: int
    zone: Zone


def account_days(target: str, days: Sequence[str], known: Days) -> dict[str, dict[str, Any]]:
    """The days of a target's accounts."""
    return {day: _account_day(target, day, known) for day in days}


def _account_day(target: str, day: str, known: Days) -> dict[str, Any]:
    run, audited = known.runs.get(day), known.audited.get(day)
    if run and run.state in UNDER_WAY:
        return {"state": "running", "run": run.run}
    if run and run.state == "failed" and _failed_for(target, run, audited, known):
        return {"state": "failed", "run": run.run}
    if audited:
        mine = {name: number for name, number in audited.found.items() if name.startswith(f"{target}/")}
        return _audited(Audited(audited.run, audited.at, mine))
    if known.now < to_ms(Window.day(day, known.zone).end) + known.patience:
        return {"state": "waiting"}
    return {"state": "not_audited" if known.first and day > known.first else "unknown"}


def _failed_for(target: str, run: Run, audited: Audited | None, known: Days) -> bool:
    """A failed run may have audited this target all the same, or a later one has."""
    if audited and audited.run == run.run:
        return target in known.failed.get(run.run, ())
    return audited is None or run.at > audited.at
