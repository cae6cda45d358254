"""What is remembered of a target's deliveries between runs, in an asset's state store.

- ``handed_on/<target>/<UTC day>``: the tasks that stopped on that day and were dealt with, for 15 days;
- ``last_delivery/<target>``: when the last delivery of each cluster ended;
- ``untold/<target>``: bad ends that people have not been told of;
- ``refused_since/<target>``: since when AWS refuses to tell of tasks;
- ``hold/<target>``: until when what could not be dealt with must not end another run at once;
- ``unaudited/<target>``: the windows that came while nobody audited them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from log_audit.delivery import HandedOn, StoppedTask
from log_audit.watch import Watch, check_key
from log_audit.window import from_ms

SCOPE = "delivery"  # of what people were told
KEPT = timedelta(days=15)  # a queue keeps a message for 14 days at most


@dataclass
class DeliveryMemory:
    """:param store: ``get``, ``set`` and ``delete`` of JSON values by key"""

    store: Any
    target: str

    def handed_on(self, days: Iterable[str]) -> HandedOn:
        """The tasks that stopped on these UTC days (``2026-11-20``) and were dealt with."""
        return {
            task: (entry[0], entry[1])
            for day in sorted(set(days))
            for task, entry in (self.store.get(self._day_key(day)) or {}).items()
        }

    def handed_on_between(self, start: datetime, end: datetime) -> list[str]:
        """The names of such tasks of all days between two instants (aware)."""
        days = [day_of(start + timedelta(days=n)) for n in range((end.date() - start.date()).days + 1)]
        return list(self.handed_on(days))

    def hand_on(self, tasks: Iterable[StoppedTask]) -> None:
        """Remember tasks as dealt with, and forget those of long ago."""
        by_day: dict[str, dict[str, list[Any]]] = {}
        for task in tasks:
            by_day.setdefault(day_of(from_ms(task.stopped)), {})[task.task] = [task.version, task.verdict]
        for day, entries in by_day.items():
            self.store.set(self._day_key(day), {**(self.store.get(self._day_key(day)) or {}), **entries})
            for old in range(KEPT.days, KEPT.days + 5):  # a few, since not every day has a task that stopped
                self.store.delete(self._day_key(day_of(datetime.fromisoformat(f"{day}T00:00:00Z") - timedelta(old))))

    def last_deliveries(self) -> dict[str, int]:
        """By cluster, when the last delivery ended, or since when it is watched, epoch ms."""
        return self.store.get(f"last_delivery/{self.target}") or {}

    def watch(self, clusters: Iterable[str], now: int) -> None:
        """From now on (epoch ms) these clusters are watched and no others; what is known of them stays."""
        known = self.last_deliveries()
        watched = {cluster: known.get(cluster, now) for cluster in clusters}
        if watched != known:
            self.store.set(f"last_delivery/{self.target}", watched)

    def delivered(self, tasks: Iterable[StoppedTask]) -> None:
        """Remember when deliveries ended, unless later ones are known."""
        known = self.last_deliveries()
        for task in tasks:
            known[task.cluster] = max(task.stopped, known.get(task.cluster, 0))
        self.store.set(f"last_delivery/{self.target}", known)

    def untold(self) -> list[StoppedTask]:
        """The bad ends that people have not been told of."""
        return [StoppedTask(**entry) for entry in (self.store.get(f"untold/{self.target}") or {}).values()]

    def to_tell(self, tasks: Iterable[StoppedTask]) -> None:
        """Keep bad ends until people have been told: a queue would give them up after a few tries."""
        kept = {task.task: task.to_json() for task in [*self.untold(), *tasks]}
        if kept:
            self.store.set(f"untold/{self.target}", kept)

    def told(self, task: StoppedTask) -> None:
        left = {entry.task: entry.to_json() for entry in self.untold() if entry.task != task.task}
        if left:
            self.store.set(f"untold/{self.target}", left)
        else:
            self.store.delete(f"untold/{self.target}")

    def refused_since(self) -> int | None:
        """Since when (epoch ms) AWS refuses to tell of tasks."""
        value: int | None = self.store.get(f"refused_since/{self.target}")
        return value

    def refused(self, since: int | None) -> None:
        """Remember it, or that it is over."""
        if since is not None:
            self.store.set(f"refused_since/{self.target}", since)
        elif self.refused_since() is not None:
            self.store.delete(f"refused_since/{self.target}")

    def hold_until(self) -> int:
        """Until when (epoch ms) what could not be dealt with must not end another run at once."""
        return self.store.get(f"hold/{self.target}") or 0

    def hold(self, until: int) -> None:
        self.store.set(f"hold/{self.target}", until)

    def unaudited(self) -> dict[str, list[str]]:
        """By cluster, the first and the last window that nobody audits, as long as that is so."""
        return self.store.get(f"unaudited/{self.target}") or {}

    def not_audited(self, keys: Iterable[str]) -> None:
        """Remember windows by their partition keys."""
        spans = self.unaudited()
        for cluster, _, when in (key.partition("/") for key in keys):
            known = [*spans.get(cluster, []), when]
            spans[cluster] = [min(known), max(known)]
        self.store.set(f"unaudited/{self.target}", spans)

    def all_audited(self) -> None:
        self.store.delete(f"unaudited/{self.target}")

    def is_new_message(self, message: str, at: int) -> bool:
        """Whether people have not been told of this message, by its id, on this day or the one before."""
        days = [day_of(from_ms(at)), day_of(from_ms(at) - timedelta(days=1))]
        return message not in self.handed_on(days)

    def message_told(self, message: str, at: int) -> None:
        key = self._day_key(day_of(from_ms(at)))
        self.store.set(key, {**(self.store.get(key) or {}), message: [0, "unreadable"]})

    def goes_on(self, query: str, key: str) -> bool:
        """Whether people have been told of a condition, and not yet that it is over."""
        return Watch.of(self.store.get(f"{check_key(SCOPE, self.target, query)}/{key}")).incident is not None

    def _day_key(self, day: str) -> str:
        return f"handed_on/{self.target}/{day}"


def day_of(instant: datetime) -> str:
    """The UTC day of an instant."""
    return f"{instant:%Y-%m-%d}"
