"""Waiting for the ECS tasks that ship Aurora's audit logs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import Asset, BaseSensorOperator

from log_audit.conditions import CANNOT_SEE, NO_DELIVERY, WHAT
from log_audit.delivery import StoppedTask, is_known, newest, silent_at
from log_audit.delivery_memory import DeliveryMemory, day_of
from log_audit.errors import SettingsError
from log_audit.settings import Settings, Target
from log_audit.triggers.ecs import EcsTaskStoppedTrigger
from log_audit.window import from_ms, to_ms, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

ECS_TELLS = timedelta(hours=2)  # ECS tells of stopped tasks for about one hour


class EcsTaskStoppedSensor(BaseSensorOperator):
    """Waits until at least one ECS task that ships an Aurora cluster's audit log has stopped.

    Each target is watched by its queue of EventBridge's events, or by asking ECS where it has none; both are judged
    alike (:mod:`log_audit.delivery`). Nothing is deleted from a queue here: that is for the task that knows the
    deliveries to be recorded. It wakes without a delivery, too, when there is something to tell people: a task that
    ended badly, a cluster that has been silent for too long, AWS refusing to tell.

    :param settings: targets without ``aurora`` are not watched
    :param watches: the asset whose state store remembers what was handed on; must be among the inlets
    :returns: the deliveries not handed on before, at most 50 a target, as
        :class:`~log_audit.delivery.StoppedTask` in JSON with their ``target``; the XCom ``batches`` has all that was
        seen

    :raises SettingsError: there is nothing to watch

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
    """

    ui_color = "#e3d9ee"

    def __init__(self, *, settings: Settings, watches: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[watches], **kwargs)
        self.settings = settings
        self.watches = watches

    def execute(self, context: Context) -> NoReturn:
        if not self.settings.aurora_clusters:
            raise SettingsError("no target of the settings has aurora: there is no task to wait for")
        delivery = self.settings.delivery
        self.defer(
            trigger=EcsTaskStoppedTrigger(
                sources=self._sources(context),
                time_zone=self.settings.time_zone,
                visibility_seconds=round(delivery.visibility_minutes * 60),
                poll_seconds=delivery.poll_seconds,
                blind_after_seconds=delivery.blind_after_minutes * 60,
                masks=self.settings.redaction.patterns,
            ),
            method_name="tasks_stopped",
        )

    def tasks_stopped(self, context: Context, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Called when the trigger fired: what was handed on before is left out."""
        deliveries, batches = [], []
        for seen in event["batches"]:
            memory = self._memory(context, seen["target"])
            tasks = newest(StoppedTask(**entry) for entry in seen["tasks"])
            handed_on = memory.handed_on(day_of(from_ms(task.stopped)) for task in tasks)
            new = [task for task in tasks if not is_known(task, handed_on)]
            names = {task.task for task in new}
            done = [receipt for task, receipts in seen["receipts"].items() if task not in names for receipt in receipts]
            # What did not concern us may do so by now: who changes the settings must not lose a first delivery.
            same = seen["shippers"] == shippers_of(self.settings.targets.get(seen["target"]))
            noise = [*(seen["noise"] if same else ()), *done]
            batches.append({**seen, "tasks": [task.to_json() for task in new], "noise": noise})
            where = {"target": seen["target"], "region": seen["region"]}
            deliveries += [{**where, **task.to_json()} for task in new if task.verdict == "delivery"]
            self._tell(seen, new, len(tasks) - len(new))
        context["ti"].xcom_push("batches", {"at": event["at"], "batches": batches})
        return deliveries

    def _tell(self, seen: dict[str, Any], new: Iterable[StoppedTask], known: int) -> None:
        for task in new:
            self.log.info("%s: %s of %s by task %s", seen["target"], task.verdict, task.key, task.task)
        self.log.info(
            "%s: %d handed on before, %d messages that do not concern us", seen["target"], known, len(seen["noise"])
        )
        for message, why in seen["unreadable"].items():
            self.log.warning("%s: message %s is left to the dead-letter queue: %s", seen["target"], message, why)

    def _memory(self, context: Context, target: str) -> DeliveryMemory:
        stores: Any = context["asset_state_store"]
        return DeliveryMemory(stores[self.watches], target)

    def _sources(self, context: Context) -> list[dict[str, Any]]:
        targets = self.settings.targets.items()
        return [self._source(context, name, target) for name, target in targets if target.aurora]

    def _source(self, context: Context, name: str, target: Target) -> dict[str, Any]:
        """What the trigger must know of a target: it cannot reach the state store itself."""
        assert target.aurora is not None
        memory, now, clusters = self._memory(context, name), utc_now(), target.aurora.clusters
        memory.watch(clusters, to_ms(now))
        last = memory.last_deliveries()
        waiting = [
            silent_at(last[cluster], shipper)
            for cluster, shipper in clusters.items()
            if not memory.goes_on(NO_DELIVERY, cluster)
        ]
        return {
            "target": name,
            "aws_conn_id": target.connection,
            "region_name": target.region,
            "shippers": shippers_of(target),
            "queue": target.aurora.queue,
            "known": [] if target.aurora.queue else memory.handed_on_between(now - ECS_TELLS, now),
            "wake_at": min([*waiting, *([0] if memory.untold() else [])], default=None),
            "blind": memory.goes_on(CANNOT_SEE, WHAT),
            "refused_since": memory.refused_since(),
            "hold_until": memory.hold_until(),
        }


def shippers_of(target: Target | None) -> dict[str, Any]:
    """A target's shippers in JSON, by Aurora cluster."""
    clusters = target.aurora.clusters if target and target.aurora else {}
    return {name: rule.model_dump() for name, rule in clusters.items()}
