"""Airflow's metadata database, filled with what the pipelines leave there: a year of it, or what a test needs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from log_audit.findings import Findings, event_extra
from log_audit.window import Window, key_of, keys_between, month_keys_before, to_ms

TOKYO = ZoneInfo("Asia/Tokyo")
ASSETS = (
    *("log_archive", "insights_checks", "insights_late_sweep"),
    *("aurora_audit_log", "aurora_audits", "cloudtrail_audits"),
)
DAGS = ("monthly_log_export", "archive_recheck", "insights_checks", "insights_late_sweep", "aurora_audit",
        "cloudtrail_audit")  # fmt: skip
BATCH = 2000


def create(engine: Engine) -> None:
    """The tables that the page reads, of a database of its own."""
    from airflow.models import import_all_models
    from airflow.models.base import Base

    import_all_models()

    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        Filler(session).assets()


@dataclass
class Filler:
    """Writes rows as Airflow would have."""

    session: Session

    def assets(self) -> None:
        from airflow.models.asset import AssetModel

        known = set(self.session.scalars(select(AssetModel.name)))
        for name in ASSETS:
            if name not in known:
                self.session.add(AssetModel(name=name, uri=name, group="log_audit"))
        self.session.flush()

    def event(
        self, asset: str, at: datetime, extra: dict[str, Any], *, dag: str, run: str, task: str = "t", index: int = -1,
        key: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        from airflow.models.asset import AssetModel

        if not hasattr(self, "_ids"):
            self._ids = {row.name: row.id for row in self.session.execute(select(AssetModel.id, AssetModel.name))}
        return {
            "asset_id": self._ids[asset], "timestamp": at, "extra": extra, "source_dag_id": dag, "source_run_id": run,
            "source_task_id": task, "source_map_index": index, "partition_key": key,
        }  # fmt: skip

    def events(self, rows: Iterator[dict[str, Any]]) -> int:
        from airflow.models.asset import AssetEvent

        return self._insert(AssetEvent, rows)

    def run(
        self, dag: str, key: str | None, state: str, at: datetime, *, run_type: str = "scheduled",
        interval: Window | None = None, conf: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "dag_id": dag, "run_id": f"{run_type}__{key or at.isoformat()}", "run_type": run_type, "state": state,
            "partition_key": key, "conf": conf or {}, "queued_at": at, "run_after": at,
            "start_date": None if state == "queued" else at,
            "end_date": None if state in ("queued", "running") else at + timedelta(minutes=2), "clear_number": 0,
            "data_interval_start": interval and interval.start, "data_interval_end": interval and interval.end,
            "creating_job_id": None, "log_template_id": None, "updated_at": at, "created_at": at,
            "last_scheduling_decision": None, "logical_date": interval and interval.start,
        }  # fmt: skip

    def runs(self, rows: Iterator[dict[str, Any]]) -> int:
        from airflow.models.dagrun import DagRun

        known = {column.key for column in DagRun.__mapper__.column_attrs}
        return self._insert(
            DagRun, ({("_state" if k == "state" else k): v for k, v in row.items() if k in known or k == "state"}
                     for row in rows),
        )  # fmt: skip

    def task(
        self, dag: str, run: str, task: str, state: str, *, index: int = -1, name: str | None = None
    ) -> dict[str, Any]:
        import uuid6

        now = datetime.now(UTC)
        return {
            "id": uuid6.uuid7(), "dag_id": dag, "run_id": run, "task_id": task, "map_index": index, "state": state,
            "_rendered_map_index": name, "try_number": 1, "max_tries": 2, "pool": "default_pool", "pool_slots": 1,
            "queue": "default", "priority_weight": 1, "operator": "x", "start_date": now, "end_date": now,
            "updated_at": now, "executor_config": {},
        }  # fmt: skip

    def tasks(self, rows: Iterator[dict[str, Any]]) -> int:
        from airflow.models.taskinstance import TaskInstance

        return self._insert(TaskInstance, rows)

    def keep(self, asset: str, key: str, value: dict[str, Any]) -> None:
        from airflow.models.asset import AssetModel
        from airflow.models.asset_state_store import AssetStateStoreModel

        asset_id = self.session.scalar(select(AssetModel.id).where(AssetModel.name == asset))
        self.session.merge(AssetStateStoreModel(asset_id=asset_id, key=key, value=json.dumps(value)))

    def _insert(self, model: Any, rows: Iterator[dict[str, Any]]) -> int:
        batch: list[dict[str, Any]] = []
        done = 0
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                self.session.execute(insert(model), batch)
                done, batch = done + len(batch), []
        if batch:
            self.session.execute(insert(model), batch)
        return done + len(batch)


CHECKS = ("api_gateway_5xx_rate", "api_gateway_errors", "ecs_task_errors", "lambda_timeouts_and_oom", "slow_requests",
          "scheduler_failures")  # fmt: skip
AUDITS = ("admin_logins", "bulk_reads", "empty_delivery", "failed_logins", "new_client_hosts", "off_hours_access",
          "privileged_statements", "unreadable_lines")  # fmt: skip
TRAIL = ("batch_api_calls", "batch_changes", "batch_denied", "batch_root_or_user", "scheduler_executions",
         "scheduler_failures", "scheduler_shared_roles")  # fmt: skip
SEVERITY = {"api_gateway_5xx_rate": "critical", "api_gateway_errors": "high", "slow_requests": "low",
            "admin_logins": "high", "bulk_reads": "medium", "batch_api_calls": "info"}  # fmt: skip


def look(query: str, window: Window, total: int = 0, rows: list[dict[str, str]] | None = None, **more: Any) -> Findings:
    sample = [{"@timestamp": "2026-11-20 00:01:02.003", "requestId": f"r-{n}", "status": "502"} for n in range(3)]
    return Findings(
        query, "tokyo", query.replace("_", " ").capitalize(), SEVERITY.get(query, "medium"),
        to_ms(window.start), to_ms(window.end), total, (sample if rows is None else rows) if total else [],
        **{"bytes_scanned": 25_000_000, "ids": ["8f5b0a4e"], "console": "https://ap-northeast-1.console.aws.amazon.com/",
           "digest": "d" * 64 if total else "", **more},
    )  # fmt: skip


@dataclass
class Year:
    """A year of everything.

    :param now: its end
    :param groups: log groups of the archive
    :param clusters: Aurora clusters
    """

    now: datetime
    groups: int = 200
    clusters: int = 10
    days: int = 365

    def fill(self, session: Session) -> dict[str, int]:
        """How many rows there are of each kind."""
        filler = Filler(session)
        filler.assets()
        return {
            "months": filler.events(self._months(filler)),
            "month runs": filler.runs(self._month_runs(filler)),
            "checks": filler.events(self._checks(filler)),
            "hours": filler.events(self._hours(filler)),
            "deliveries": filler.events(self._deliveries(filler)),
            "audit runs": filler.runs(self._hour_runs(filler)),
            "days": filler.events(self._trail(filler)),
        }

    def _group(self, number: int) -> str:
        return f"/aws/lambda/service-{number:03d}"

    def _months(self, filler: Filler) -> Iterator[dict[str, Any]]:
        before = month_keys_before(self.now, TOKYO)
        for age in range(12):
            month = next(before)
            at = Window.month(month, TOKYO).end + timedelta(hours=14)
            for number in range(self.groups):
                group = self._group(number)
                extra = archived(group, month, events=1000 * number + age, state="final" if age else "provisional")
                run = f"scheduled__{month}"
                yield filler.event("log_archive", min(at, self.now), extra, dag="monthly_log_export", run=run,
                                   task="tokyo.manifest", index=number)  # fmt: skip

    def _month_runs(self, filler: Filler) -> Iterator[dict[str, Any]]:
        before = month_keys_before(self.now, TOKYO)
        for _ in range(12 if self.groups else 0):
            month = next(before)
            at = Window.month(month, TOKYO).end + timedelta(hours=13)
            yield filler.run("monthly_log_export", month, "success", min(at, self.now))

    def _checks(self, filler: Filler) -> Iterator[dict[str, Any]]:
        chance = random.Random(1)  # noqa: S311 - the same year each time
        end = self.now.replace(minute=self.now.minute // 5 * 5, second=0, microsecond=0)
        for number in range(self.days * 288):
            window = Window(end - timedelta(minutes=5 * number + 7), end - timedelta(minutes=5 * number + 2))
            looks = [look(name, window, int(chance.random() < 0.005) * chance.randint(1, 90)) for name in CHECKS]
            at, run = window.end + timedelta(minutes=3), f"scheduled__{window.end.isoformat()}"
            extra = event_extra(looks, scope="regular")
            yield filler.event("insights_checks", at, extra, dag="insights_checks", run=run, task="alert")

    def _keys(self) -> Iterator[tuple[str, Window]]:
        last = key_of(self.now, "hour", TOKYO, back=3)
        first = key_of(self.now - timedelta(days=self.days), "hour", TOKYO)
        for when in keys_between(first, last, "hour", TOKYO):
            window = Window.hour(when, TOKYO)
            for number in range(self.clusters):
                yield f"{cluster(number)}/{when}", window

    def _hours(self, filler: Filler) -> Iterator[dict[str, Any]]:
        chance = random.Random(2)  # noqa: S311
        for key, window in self._keys():
            if chance.random() < 0.001:
                continue
            looks = [look(name, window, int(chance.random() < 0.01) * 3, key=key) for name in AUDITS]
            yield filler.event("aurora_audits", window.end + timedelta(minutes=50), event_extra(looks, key=key),
                               dag="aurora_audit", run=f"asset_triggered__{key}", task="alert", key=key)  # fmt: skip

    def _deliveries(self, filler: Filler) -> Iterator[dict[str, Any]]:
        for key, window in self._keys():
            yield filler.event("aurora_audit_log", window.end + timedelta(minutes=40), {"key": key},
                               dag="ecs_log_delivery", run=f"continuous__{key}", task="record", key=key)  # fmt: skip

    def _hour_runs(self, filler: Filler) -> Iterator[dict[str, Any]]:
        for key, window in self._keys():
            state = "failed" if hash_of(key) % 2000 == 0 else "success"
            yield filler.run("aurora_audit", key, state, window.end + timedelta(minutes=41), run_type="asset_triggered")

    def _trail(self, filler: Filler) -> Iterator[dict[str, Any]]:
        for age in range(1, self.days):
            day = key_of(self.now, "day", TOKYO, back=age)
            window = Window.day(day, TOKYO)
            looks = [look(name, window, int(age % 9 == 0), key=day, bytes_scanned=900_000_000) for name in TRAIL]
            looks.append(look("schedule_health", window, 0, key=day, detail=schedules(age)))
            yield filler.event("cloudtrail_audits", window.end + timedelta(hours=6), event_extra(looks, key=day),
                               dag="cloudtrail_audit", run=f"scheduled__{day}", task="alert", key=day)  # fmt: skip


def cluster(number: int) -> str:
    return f"aurora-{number:02d}"


def hash_of(text: str) -> int:
    return sum(n * ord(c) for n, c in enumerate(text, 1))


def archived(group: str, month: str, *, events: int = 10, state: str = "provisional", notes: tuple[str, ...] = (),
             bytes_: int | None = None) -> dict[str, Any]:  # fmt: skip
    """What the manifest task says in its asset event."""
    prefix = f"{month.replace('-', '/')}/logs{group}"
    return {
        "log_group": group, "month": month, "time_zone": "Asia/Tokyo", "window": {}, "bucket": "log-audit-archive",
        "prefix": prefix, "export_task_id": "e-1", "exported_at": "2026-11-01T04:00:00.000Z", "objects": 3,
        "events": events, "ambiguous_lines": 0, "bytes": events * 57 if bytes_ is None else bytes_,
        "first_event": None, "last_event": None, "complete": not notes, "notes": list(notes), "state": state,
        "reconciliation": None, "version": 1, "manifest": f"{prefix}/manifest.json",
    }  # fmt: skip


def schedules(age: int) -> list[dict[str, Any]]:
    """Twenty schedules, of which one fails every ninth day."""
    return [
        {
            "schedule": f"default/job-{n:02d}", "status": "missing" if (age + n) % 9 == 0 and n < 2 else "ok",
            "expected": 24, "seen": 23 if (age + n) % 9 == 0 and n < 2 else 24, "failed": 0,
            "missing": int((age + n) % 9 == 0 and n < 2), "late": 0,
            "notes": ["Missing: 1 of 24 expected calls, 2026-11-19 03:00:00 JST."],
        }
        for n in range(20)
    ]  # fmt: skip


GROUPS = (
    *("/aws/apigateway/orders-api", "/aws/apigateway/payments-api", "/aws/lambda/checkout"),
    *("/aws/lambda/invoice-mailer", "/aws/lambda/ledger-sync", "/ecs/batch-worker"),
)
YOUNG = ("the log group was created at 2026-05-11T03:00:00.000Z, after the month began",)


def demo(session: Session, now: datetime) -> None:
    """A year of six log groups that shows every state: for the eye, and for tests of what it sees."""
    filler = Filler(session)
    filler.assets()
    before = month_keys_before(now, TOKYO)
    months = [next(before) for _ in range(12)][::-1]
    there = [(number, month) for number, month in enumerate(months) if number not in (3, 4)]
    filler.runs(
        filler.run("monthly_log_export", month, "failed" if number == 8 else "success", _made(month, now))
        for number, month in there
    )
    cells = [(number, month, index) for number, month in there for index in range(len(GROUPS))]
    filler.tasks(task for cell in cells for task in _demo_tasks(filler, *cell))
    filler.events(event for cell in cells for event in _demo_events(filler, now, *cell))


def _made(month: str, now: datetime) -> datetime:
    return min(Window.month(month, TOKYO).end + timedelta(hours=13), now - timedelta(hours=1))


def _demo_tasks(filler: Filler, number: int, month: str, index: int) -> Iterator[dict[str, Any]]:
    states = {"tokyo.export": "failed", "tokyo.manifest": "failed"} if (number, index) == (8, 4) else {}
    states = {"tokyo.manifest": "skipped"} if index == 5 and number < 6 else states
    for task, state in states.items():
        run = f"scheduled__{month}"
        yield filler.task("monthly_log_export", run, task, state, index=index, name=GROUPS[index])


def _demo_events(filler: Filler, now: datetime, number: int, month: str, index: int) -> Iterator[dict[str, Any]]:
    if (number, index) == (8, 4) or (index == 5 and number < 6):
        return
    events, state = (index + 1) * 130_777 + number * 9131, "provisional" if number == 11 else "final"
    notes = YOUNG if (number, index) == (6, 5) else ()
    extra = archived(GROUPS[index], month, events=events, state=state, notes=notes)
    where: dict[str, Any] = {"dag": "monthly_log_export", "run": f"scheduled__{month}", "task": "tokyo.manifest"}
    yield filler.event("log_archive", _made(month, now) + timedelta(minutes=9), extra, index=index, **where)
