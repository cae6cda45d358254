"""Settings and facts, brought together for the grids to decide about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow.models.asset import AssetEvent

from log_audit.archive import LATEST_ARRIVAL
from log_audit.errors import InvalidKeyError
from log_audit.page import archive_grid, audit_grid
from log_audit.page.archive_grid import EXPORT, RECHECK
from log_audit.page.facts import Facts
from log_audit.page.manifests import PATIENCE_SECONDS, Manifests
from log_audit.page.model import Archived, Event, Run, newest
from log_audit.settings import Settings
from log_audit.window import Window, days_before, from_ms, key_of, last_settled_month, month_keys_before, to_ms

ARCHIVE, CHECKS, SWEEP = "log_archive", "insights_checks", "insights_late_sweep"
DELIVERIES, AURORA, TRAIL = "aurora_audit_log", "aurora_audits", "cloudtrail_audits"
# A day of CloudTrail is audited at 06:00 of the next; somewhat later it is overdue.
TRAIL_PATIENCE = timedelta(hours=8)
MOST_DAYS = timedelta(days=400)


def frame(settings: Settings, now: datetime, facts: Facts, dags: tuple[str, ...]) -> dict[str, Any]:
    """What every view says: the clock, the business zone, and what is left out or stands still."""
    return {
        "now": to_ms(now),
        "zone": settings.time_zone,
        "hidden": [dag for dag in dags if dag not in facts.seen],
        "paused": [dag for dag in dags if dag in facts.seen and facts.is_paused(dag)],
        "targets": {
            name: {"region": target.region, "accounts": target.cloudtrail.accounts if target.cloudtrail else []}
            for name, target in settings.targets.items()
        },
    }


def last_months(settings: Settings, now: datetime, number: int) -> list[str]:
    before = month_keys_before(now, settings.zone)
    return [next(before) for _ in range(number)][::-1]


def known_months(facts: Facts, settings: Settings, now: datetime, months: Sequence[str]) -> archive_grid.Known:
    start = Window.month(months[0], settings.zone).start
    events = filter(None, map(Archived.of_event, facts.events([ARCHIVE], since(start))))
    archived = [entry for entry in events if months[0] <= entry.month <= months[-1]]
    runs = [_with_month(run, settings) for run in facts.runs_of_months((EXPORT, RECHECK), months, start)]
    late = settings.export.settle + timedelta(hours=2)  # the run begins an hour after the month has settled
    due = {month for month in months if Window.month(month, settings.zone).end + late <= now}
    rows = {(name, entry.name) for name, target in settings.targets.items() for entry in target.archive.log_groups
            if entry.name}  # fmt: skip
    return archive_grid.Known(rows, months, due, archived, runs, facts.tasks(runs))


def from_bucket(manifests: Manifests, settings: Settings, months: Sequence[str]) -> tuple[list[Archived], list[str]]:
    """The manifests of months, the latest month first, and what kept us from reading them all."""
    found: list[Archived] = []
    trouble: list[str] = []
    until = manifests.clock() + PATIENCE_SECONDS
    for month in reversed(months):
        if trouble:
            break
        if manifests.clock() > until:
            trouble.append(f"{month} and earlier months were not looked for in the bucket.")
            break
        for name, target in settings.targets.items():
            stored, problem = manifests.month(name, target, month)
            found += stored
            trouble += [problem] if problem and problem not in trouble else []
    return found, trouble


def clusters(facts: Facts, settings: Settings, now: datetime, month: str, day: str) -> list[dict[str, Any]]:
    like, window = f"%/{month}-%", Window.month(month, settings.zone)
    first: dict[str, str] = {}
    for key in facts.first_keys([AURORA, DELIVERIES]):
        cluster, _, when = key.partition("/")
        first[cluster] = min(first.get(cluster, when), when)
    audited = facts.audited(AURORA, window.start, like)
    delivered = facts.keys(DELIVERIES, window.start, like)
    for key in [*audited, *delivered]:  # a cluster that came later than the oldest events
        cluster, _, when = key.partition("/")
        first.setdefault(cluster, when)
    runs = newest(facts.unfinished(["aurora_audit"], like, window.start), lambda run: run.key)
    known = audit_grid.Known(audited, delivered, runs, first, to_ms(now), settings.zone)
    return [
        {
            "target": target,
            "cluster": cluster,
            "ships": shipper.ships,
            **audit_grid.cluster_days(
                cluster, shipper.ships, month, int(shipper.silent_after.total_seconds() * 1000), known, day
            ),
        }
        for cluster, (target, _, shipper) in settings.aurora_clusters.items()
    ]


def accounts(facts: Facts, settings: Settings, now: datetime, month: str) -> list[dict[str, Any]]:
    like, window = f"{month}-%", Window.month(month, settings.zone)
    events = facts.events([TRAIL], since(window.start))[::-1]
    runs = [_with_day(run, settings) for run in facts.unfinished(["cloudtrail_audit"], like, window.start)]
    failed = facts.failed_names(run for run in runs if run.state == "failed")
    named = {run: frozenset(name.rpartition(" @ ")[2] for name in names) for run, names in failed.items()}
    first = min(facts.first_keys([TRAIL]), default=None)
    patience = int(TRAIL_PATIENCE.total_seconds() * 1000)
    days = list(audit_grid.ends_of(month, "day", settings.zone))

    def known(target: str) -> audit_grid.Days:
        mine = newest((run for run in runs if run.tells_of(target)), lambda run: run.key)
        return audit_grid.Days(_audited(events, target), mine, named, first, to_ms(now), patience, settings.zone)

    return [
        {
            "target": name,
            "accounts": target.cloudtrail.accounts,
            "days": audit_grid.account_days(name, days, known(name)),
        }
        for name, target in settings.targets.items()
        if target.cloudtrail
    ]


def _audited(events: Iterable[Event], target: str) -> dict[str, audit_grid.Audited]:
    """By day, the latest event that tells of a target; the events from the oldest to the newest."""
    return {
        event.key: audit_grid.Audited(event.run, event.at, event.extra.get("found", {}))
        for event in events
        if any(look["target"] == target for look in event.extra.get("looks", ()))
    }


def _with_month(run: Run, settings: Settings) -> Run:
    """A run that names no month archives the last one that was settled when it was due, as its plan decides."""
    settle = LATEST_ARRIVAL if run.dag == RECHECK else settings.export.settle
    return run if run.key else replace(run, key=last_settled_month(from_ms(run.after), settle, settings.zone))


def _with_day(run: Run, settings: Settings) -> Run:
    """A run that names no day audits the last one that was settled when it began, as its plan decides."""
    began = from_ms(run.at) - settings.cloudtrail.settle
    return run if run.key else replace(run, key=key_of(began, "day", settings.zone, back=1))


def since(start: datetime) -> Any:
    """The condition that an event was emitted at or after an instant."""
    return AssetEvent.timestamp >= start


def span(settings: Settings, now: datetime, first: str | None, last: str | None, back: int) -> tuple[str, str, Window]:
    """A span of business days, by default up to today; the other way round where it is given so."""
    last = last or key_of(now, "day", settings.zone)
    first = first or days_before(last, back)
    first, last = min(first, last), max(first, last)
    window = Window(Window.day(first, settings.zone).start, Window.day(last, settings.zone).end)
    if window.end - window.start > MOST_DAYS:
        raise InvalidKeyError(f"{first} to {last}: ask for at most {MOST_DAYS.days} days")
    return first, last, window
