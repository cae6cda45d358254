"""Running operators without Airflow's database: the context they get, their deferrals, their XComs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string

from log_audit.window import Window


class Store(dict[str, Any]):
    """A task's state store: it outlives tries and clears."""

    def set(self, key: str, value: Any) -> None:
        assert value == json.loads(json.dumps(value)), "Airflow's stores take JSON values alone"
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class TaskInstance:
    """As much of a running task instance as the operators ask for."""

    def __init__(self, run: Run, task_id: str, map_index: int) -> None:
        self.run = run
        self.task_id = task_id
        self.map_index = map_index
        self.dag_id, self.run_id = "dag", "run"
        self.max_tries = run.max_tries

    def xcom_push(self, key: str, value: Any) -> None:
        self.run.xcoms[self.task_id, self.map_index, key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value", map_indexes: int | None = None) -> Any:
        found = {
            index: value for (task, index, name), value in self.run.xcoms.items() if (task, name) == (task_ids, key)
        }
        if map_indexes is not None:
            return found.get(map_indexes)
        values = [found[index] for index in sorted(found)]
        return values[0] if len(values) == 1 else values or None  # one value comes without its list, as in Airflow

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int) -> dict[str, Any]:
        return {"run": {task: state for (task, index), state in self.run.states.items() if index == map_index}}


class Event:
    """What a task emits for an asset."""

    extra: dict[str, Any]

    def __init__(self) -> None:
        self.partition_keys: set[str] = set()

    def add_partitions(self, keys: list[str]) -> None:
        self.partition_keys.update(keys)


class Events(dict[Any, Event]):
    def __missing__(self, key: Any) -> Event:
        self[key] = Event()
        return self[key]


class AssetStores(dict[Any, Store]):
    """The state stores of assets: they outlive runs."""

    def __missing__(self, asset: Any) -> Store:
        self[asset] = Store()
        return self[asset]


@dataclass
class DagRun:
    run_type: str
    run_after: datetime


class Run:
    """One DAG run: XComs, task states and state stores, over any number of tries."""

    def __init__(
        self,
        partition_key: str | None = None,
        *,
        interval: Window | None = None,
        run_type: str = "scheduled",
        params: dict[str, Any] | None = None,
        asset_stores: AssetStores | None = None,
    ) -> None:
        self.partition_key = partition_key
        self.interval = interval
        self.dag_run = DagRun(run_type, interval.end if interval else datetime.now(UTC))
        self.params = params or {}
        self.asset_stores = AssetStores() if asset_stores is None else asset_stores
        self.xcoms: dict[tuple[str, int, str], Any] = {}
        self.states: dict[tuple[str, int], str] = {}
        self.max_tries = 4  # a clear raises it
        self.stores: dict[tuple[str, int], Store] = {}
        self.events = Events()
        self.deferrals: list[str] = []
        self.triggered_by: dict[Any, list[Any]] = {}  # asset to its events that started the run

    def context(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        return {
            "ti": TaskInstance(self, task_id, map_index),
            "partition_key": self.partition_key,
            "task_state_store": self.stores.setdefault((task_id, map_index), Store()),
            "asset_state_store": self.asset_stores,
            "outlet_events": self.events,
            "dag_run": self.dag_run,
            "data_interval_start": self.interval and self.interval.start,
            "data_interval_end": self.interval and self.interval.end,
            "params": self.params,
            "triggering_asset_events": self.triggered_by,
        }

    def execute(self, make: Callable[[], Any], map_index: int = -1) -> Any:
        """One try of a task: every resumption has a fresh operator, as in a fresh worker."""
        operator = make()
        context = self.context(operator.task_id, map_index)
        method, keywords = "execute", {}
        while True:
            try:
                value = getattr(operator, method)(context, **keywords)
            except TaskDeferred as deferred:
                event = asyncio.run(fire(deferred.trigger))
                self.deferrals.append(type(deferred.trigger).__name__)
                operator, method, keywords = make(), deferred.method_name, {"event": event}
            else:
                self.xcoms[operator.task_id, map_index, "return_value"] = value
                self.states[operator.task_id, map_index] = "success"
                return value


def revive(trigger: Any) -> Any:
    """The trigger as the triggerer has it: rebuilt from what was serialized."""
    classpath, keywords = trigger.serialize()
    return import_string(classpath)(**keywords)


async def fire(trigger: Any) -> Any:
    """Run a trigger until its first event."""
    async for event in revive(trigger).run():
        return event.payload
    raise AssertionError(f"{trigger!r} ended without an event")
