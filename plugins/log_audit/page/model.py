"""What the page's views are made of: what Airflow recorded, without Airflow's types. All times are epoch ms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from log_audit.archive import Manifest

UNDER_WAY = {"queued", "running"}


@dataclass(frozen=True)
class Run:
    """One DAG run.

    :param key: its partition key, or what a person's form says in its place; empty where neither says anything
    :param at: when it began, or was queued
    :param after: when it was due
    :param form: it has no partition key, and does what its form says
    :param targets: the only ones that it was asked for; none: all
    """

    dag: str
    run: str
    key: str
    state: str
    at: int
    after: int = 0
    form: bool = False
    targets: frozenset[str] = frozenset()

    def tells_of(self, target: str) -> bool:
        return not self.targets or target in self.targets


@dataclass(frozen=True)
class Task:
    """A task instance that did not simply succeed.

    :param name: what the grid calls a mapped one, such as its log group; empty where Airflow did not get that far
    """

    dag: str
    run: str
    task: str
    index: int
    name: str
    state: str


@dataclass(frozen=True)
class Event:
    """An asset event."""

    id: int
    asset: str
    at: int
    dag: str
    run: str
    task: str
    index: int
    key: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Archived:
    """A month of a log group that has a manifest, as its asset event or the manifest itself says."""

    target: str
    log_group: str
    month: str
    said: Mapping[str, Any]
    at: int = 0
    dag: str = ""
    run: str = ""
    index: int = -1

    @classmethod
    def of_event(cls, event: Event) -> Archived | None:
        """The month that an event of the asset ``log_archive`` tells of; the tasks of a target stand in its group."""
        if not {"log_group", "month", "state"} <= event.extra.keys():
            return None
        target = event.task.partition(".")[0]
        extra = event.extra
        return cls(target, extra["log_group"], extra["month"], extra, event.at, event.dag, event.run, event.index)

    @classmethod
    def of_manifest(cls, target: str, manifest: Manifest) -> Archived:
        return cls(target, manifest.log_group, manifest.month, manifest.summary())

    @property
    def state(self) -> str:
        """``final`` or ``provisional`` as long as it is whole, else ``incomplete``."""
        return str(self.said["state"]) if self.said.get("complete", True) else "incomplete"


def newest(things: Iterable[Any], key: Any) -> dict[Any, Any]:
    """The latest of each key, by ``at``."""
    latest: dict[Any, Any] = {}
    for thing in things:
        before = latest.get(found := key(thing))
        if before is None or thing.at >= before.at:
            latest[found] = thing
    return latest
