"""What Airflow's metadata database knows, as the types of :mod:`log_audit.page.model`.

Sums and filters are the database's work where it can do them: a year of checks is 105,000 events.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from log_audit.page.audit_grid import Audited
from log_audit.page.model import Event, Run, Task, newest
from log_audit.page.strips import Span
from log_audit.window import to_ms

GROUP = "log_audit"
KEY_FIELDS = ("month", "day", "window")  # of the trigger forms, in place of a partition key
NAMED = ("%.export", "%.late_events", "%.manifest")  # mapped tasks that the grid calls by their log group
CLUSTERS = 500  # events in which each cluster's first one is looked for
MOST_EVENTS = 5000  # with findings, that one answer is made of


@dataclass
class Facts:
    """:param seen: the DAGs whose data the reader may see; nothing of others is read"""

    session: Session
    seen: Collection[str]

    # Runs and tasks

    def runs(self, dags: Iterable[str], *conditions: Any) -> list[Run]:
        """Runs that meet SQL conditions, but for those that only say what they would do."""
        at = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
        query = select(
            DagRun.dag_id, DagRun.run_id, DagRun.state, at, DagRun.run_after, DagRun.partition_key, DagRun.conf
        ).where(DagRun.dag_id.in_(self._may(dags)), *conditions)
        return [
            _run(dag, run, str(getattr(state, "value", state)), _ms(when), _ms(after), key, conf or {})
            for dag, run, state, when, after, key, conf in self.session.execute(query)
            if not (conf or {}).get("dry_run")
        ]

    def runs_of_months(self, dags: Iterable[str], months: Sequence[str], since: datetime) -> list[Run]:
        """Runs of these months, and those by hand since an instant."""
        return self.runs(dags, or_(DagRun.partition_key.between(months[0], months[-1]), _by_hand(since)))

    def unfinished(self, dags: Iterable[str], key_like: str, since: datetime) -> list[Run]:
        """Runs of these keys, and those by hand since an instant, that did not succeed."""
        wanted = or_(DagRun.partition_key.like(key_like), _by_hand(since))
        return self.runs(dags, wanted, DagRun.state != "success")

    def tasks(self, runs: Iterable[Run]) -> list[Task]:
        """What did not simply succeed in the latest runs of each key; of failed ones also what maps name to index."""
        latest = newest(runs, lambda run: (run.key, run.targets)).values()
        failed = [run.run for run in latest if run.state == "failed"]
        trouble = TaskInstance.state.in_(("failed", "upstream_failed", "skipped"))
        named = or_(*(TaskInstance.task_id.like(name) for name in NAMED))
        name = TaskInstance._rendered_map_index
        query = select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, name,
            TaskInstance.state,
        ).where(
            TaskInstance.dag_id.in_({run.dag for run in latest}),
            TaskInstance.run_id.in_([run.run for run in latest]),
            or_(trouble, and_(TaskInstance.run_id.in_(failed), named, name.is_not(None))),
        )  # fmt: skip
        return [
            Task(dag, run, task, index, shown or "", str(getattr(state, "value", state) or ""))
            for dag, run, task, index, shown, state in self.session.execute(query)
        ]

    def is_paused(self, dag: str) -> bool | None:
        """None where there is no such DAG."""
        return self.session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == dag))

    # Asset events

    def events(self, assets: Iterable[str], *conditions: Any, most: int | None = None) -> list[Event]:
        """Events of assets, the newest first."""
        ids = self._assets(assets)
        query = (
            select(
                AssetEvent.id, AssetEvent.asset_id, AssetEvent.timestamp, AssetEvent.source_dag_id,
                AssetEvent.source_run_id, AssetEvent.source_task_id, AssetEvent.source_map_index,
                AssetEvent.partition_key, AssetEvent.extra,
            )
            .where(AssetEvent.asset_id.in_(ids), self._permitted(), *conditions)
            .order_by(AssetEvent.timestamp.desc())
            .limit(most)
        )  # fmt: skip
        return [
            Event(key, ids[asset], _ms(at), dag or "", run or "", task or "", -1 if index is None else index,
                  partition or "", extra or {})
            for key, asset, at, dag, run, task, index, partition, extra in self.session.execute(query)
        ]  # fmt: skip

    def with_findings(self, assets: Iterable[str], start: datetime, end: datetime) -> tuple[list[Event], bool]:
        """Events of looks that found something, and whether there are more than can be read."""
        between = AssetEvent.timestamp.between(start, end)
        found = self.events(assets, between, AssetEvent.extra["total"].as_integer() > 0, most=MOST_EVENTS + 1)
        return found[:MOST_EVENTS], len(found) > MOST_EVENTS

    def event(self, assets: Iterable[str], event_id: int) -> Event | None:
        found = self.events(assets, AssetEvent.id == event_id)
        return found[0] if found else None

    def audited(self, asset: str, since: datetime, key_like: str) -> dict[str, Audited]:
        """By partition key, what the latest event says was found."""
        query = (
            select(AssetEvent.partition_key, AssetEvent.source_run_id, AssetEvent.timestamp, AssetEvent.extra["found"])
            .where(
                AssetEvent.asset_id.in_(self._assets([asset])),
                self._permitted(),
                AssetEvent.timestamp >= since,
                AssetEvent.partition_key.like(key_like),
            )
            .order_by(AssetEvent.timestamp)
        )
        return {key: Audited(run or "", _ms(at), found or {}) for key, run, at, found in self.session.execute(query)}

    def keys(self, asset: str, since: datetime, key_like: str) -> dict[str, int]:
        """By partition key, when its latest event was."""
        query = (
            select(AssetEvent.partition_key, AssetEvent.timestamp)
            .where(
                AssetEvent.asset_id.in_(self._assets([asset])),
                self._permitted(),
                AssetEvent.timestamp >= since,
                AssetEvent.partition_key.like(key_like),
            )
            .order_by(AssetEvent.timestamp)
        )
        return {key: _ms(at) for key, at in self.session.execute(query) if key}

    def first_keys(self, assets: Iterable[str]) -> list[str]:
        """The partition keys of the oldest events that are left."""
        query = (
            select(AssetEvent.partition_key)
            .where(AssetEvent.asset_id.in_(self._assets(assets)), self._permitted())
            .where(AssetEvent.partition_key.is_not(None))
            .order_by(AssetEvent.timestamp)
            .limit(CLUSTERS)
        )
        return list(self.session.scalars(query))

    def scans(
        self, assets: Iterable[str], start: datetime, end: datetime
    ) -> Iterator[tuple[str, int, Mapping[str, int]]]:
        """Of each event its asset, its time, and the bytes that were scanned, by target and query."""
        ids = self._assets(assets)
        query = select(AssetEvent.asset_id, AssetEvent.timestamp, AssetEvent.extra["scanned"]).where(
            AssetEvent.asset_id.in_(ids), self._permitted(), AssetEvent.timestamp.between(start, end)
        )
        for asset, at, scanned in self.session.execute(query):
            yield ids[asset], _ms(at), scanned or {}

    # Checks

    def failed_looks(self, dag: str, since: datetime) -> dict[str, list[Span]]:
        """Windows of looks that failed, by target and query: the data intervals of their runs."""
        name = TaskInstance._rendered_map_index
        query = (
            select(name, DagRun.data_interval_start, DagRun.data_interval_end, DagRun.run_id)
            .join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
            .where(
                TaskInstance.dag_id.in_(self._may([dag])),
                TaskInstance.task_id == "look",
                TaskInstance.state == "failed",
                DagRun.run_after >= since,
                DagRun.run_type == "scheduled",
            )
        )
        failed: dict[str, list[Span]] = {}
        for shown, start, end, run in self.session.execute(query):
            if shown and " @ " in shown and start and end:
                query_name, _, target = shown.partition(" @ ")
                failed.setdefault(f"{target}/{query_name}", []).append(Span(_ms(start), _ms(end), "failed", 0, run))
        return failed

    def failed_names(self, runs: Iterable[Run]) -> dict[str, set[str]]:
        """By run, what the grid calls the mapped tasks that failed."""
        wanted = {run.run: run.dag for run in runs}
        query = select(TaskInstance.run_id, TaskInstance._rendered_map_index).where(
            TaskInstance.dag_id.in_(set(wanted.values())),
            TaskInstance.run_id.in_(wanted),
            TaskInstance.state == "failed",
        )
        failed: dict[str, set[str]] = {}
        for run, shown in self.session.execute(query):
            failed.setdefault(run, set()).add(shown or "")
        return failed

    def kept(self, asset: str, prefix: str) -> dict[str, dict[str, Any]]:
        """What an asset's state store keeps under keys that begin so."""
        query = select(AssetStateStoreModel.key, AssetStateStoreModel.value).where(
            AssetStateStoreModel.asset_id.in_(self._assets([asset])), AssetStateStoreModel.key.like(f"{prefix}%")
        )
        found = {key: json.loads(value) for key, value in self.session.execute(query)}
        return {key: value for key, value in found.items() if isinstance(value, dict)}

    def _assets(self, names: Iterable[str]) -> dict[int, str]:
        query = select(AssetModel.id, AssetModel.name).where(AssetModel.name.in_(names), AssetModel.group == GROUP)
        return {row.id: row.name for row in self.session.execute(query)}

    def _may(self, dags: Iterable[str]) -> list[str]:
        return [dag for dag in dags if dag in self.seen]

    def _permitted(self) -> Any:
        return AssetEvent.source_dag_id.in_(self.seen)


def _by_hand(since: datetime) -> Any:
    """A person gave no partition key: the run does what its form says, or takes the latest key that it can."""
    return and_(DagRun.partition_key.is_(None), DagRun.run_type == "manual", DagRun.run_after >= since)


def _run(
    dag: str, run: str, state: str, at: int, after: int, partition: str | None, conf: Mapping[str, Any]
) -> Run:  # fmt: skip
    asked = next((str(conf[name]) for name in KEY_FIELDS if conf.get(name)), "")
    targets = conf.get("targets")
    only = frozenset(map(str, targets if isinstance(targets, list) else ()))
    return Run(dag, run, partition or asked, state, at, after, partition is None, only)


def _ms(instant: datetime | None) -> int:
    return to_ms(instant) if instant else 0
