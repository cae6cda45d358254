"""Deliveries by ECS tasks: record each as a partition, then settle with the queue and tell people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowRuntimeError

from log_audit import conditions
from log_audit.alerts import Surroundings
from log_audit.delivery import StoppedTask, is_known
from log_audit.delivery_memory import SCOPE, DeliveryMemory, day_of
from log_audit.errors import DeliveryError, NotRecordedError, PermanentError
from log_audit.links.ecs import EcsTaskLink, task_url
from log_audit.links.run_page import run_url
from log_audit.links.slack import SlackMessageLink
from log_audit.metrics import Metric, emit
from log_audit.operators.alerting import Alerting
from log_audit.operators.context import all_returned
from log_audit.operators.retry import is_refused_for_good
from log_audit.settings import Aurora, Settings, Target
from log_audit.window import Zone, from_ms, iso

if TYPE_CHECKING:
    from airflow.sdk import Context


HOLD = 30 * 60_000  # milliseconds: what could not be dealt with, Slack being closed to us, ends no run before


class RecordDeliveryOperator(BaseOperator):
    """Record one delivery: a partition of the asset, whose event says which task delivered it.

    :param outlets: the asset alone; a mapped task's outlets must be named where it is mapped
    :param delivery: what the sensor returned of it
    :param audited_by: the DAG that the asset's partitions start
    :returns: the delivery, and whether nobody audits it because that DAG is paused
    """

    template_fields: Sequence[str] = ("delivery",)
    operator_extra_links = (EcsTaskLink(),)
    ui_color = "#d9e8dc"

    def __init__(self, *, delivery: dict[str, Any], audited_by: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delivery = delivery
        self.audited_by = audited_by

    def execute(self, context: Context) -> dict[str, Any]:
        EcsTaskLink().persist(context, task_url(self.delivery["region"], self.delivery["task"]))
        paused = is_paused(context["ti"], self.audited_by)  # a paused DAG gets no partitions, and never will
        event: Any = context["outlet_events"][self.outlets[0]]
        event.add_partitions([self.delivery["key"]])
        event.extra = {
            **{name: self.delivery[name] for name in ("target", "cluster", "key", "task", "version")},
            "started": self.delivery["started"] and iso(from_ms(self.delivery["started"])),
            "stopped": iso(from_ms(self.delivery["stopped"])),
        }
        emit(Metric.DELIVERIES, target=self.delivery["target"], cluster=self.delivery["cluster"])
        if paused:
            self.log.warning("%s is paused: nobody will audit %s", self.audited_by, self.delivery["key"])
        return {**self.delivery, "paused": paused}


class SettleDeliveriesOperator(BaseOperator):
    """Remember what was recorded, delete its messages, and tell people what they must know.

    First what was recorded is remembered as handed on, then its messages are deleted: whoever is killed in between
    leaves messages that are known when they come again. A task that ended badly is kept in the state store until people
    have been told. What was not recorded is left in the queue.

    :param watches: the asset whose state store remembers what was handed on; must be among the inlets
    :param sensor_task_id: the sensor
    :param record_task_id: the mapped tasks that recorded
    :param audited_by: the DAG that audits deliveries
    :param replayed_by: the DAG that audits those again which it missed
    :returns: how many were recorded, ended badly, and how many messages were deleted
    :raises DeliveryError: a message was not deleted; the next try does it
    :raises AlertError: Slack did not accept an alert; the next try sends what is missing
    :raises NotRecordedError: a task before this one failed; what it did not record comes again
    """

    operator_extra_links = (SlackMessageLink(),)
    ui_color = "#d9e8dc"

    def __init__(
        self,
        *,
        settings: Settings,
        watches: Asset,
        sensor_task_id: str,
        record_task_id: str,
        audited_by: str,
        replayed_by: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(inlets=[watches], **kwargs)
        self.settings = settings
        self.watches = watches
        self.sensor_task_id = sensor_task_id
        self.record_task_id = record_task_id
        self.audited_by = audited_by
        self.replayed_by = replayed_by

    def execute(self, context: Context) -> dict[str, int]:
        seen = context["ti"].xcom_pull(task_ids=self.sensor_task_id, key="batches")
        if not seen:
            raise NotRecordedError(f"the task {self.sensor_task_id} did not end well: nothing is known to settle")
        recorded = all_returned(context, self.record_task_id)
        around = Surroundings(run_url(context["ti"].dag_id, context["ti"].run_id), self.settings.zone)
        stores: Any = context["asset_state_store"]
        failures: list[Exception] = []
        done = {"recorded": len(recorded), "ended badly": 0, "messages deleted": 0}
        for batch in seen["batches"]:
            name = batch["target"]
            target = self.settings.targets.get(name)
            if target is None or target.aurora is None:
                continue  # it has left the settings since; its messages come again to whoever watches them
            memory = DeliveryMemory(stores[self.watches], name)
            alerting = Alerting(self.settings, memory.store, around, SCOPE)
            mine = [entry for entry in recorded if entry["target"] == name]
            settling = _Settling(self, name, target, target.aurora, memory, alerting, batch, seen["at"], mine)
            mishaps = settling.run(done)
            alerting.keep_link(context)
            if mishaps or settling.unrecorded:
                memory.hold(seen["at"] + HOLD)
            failures += mishaps
        self._check(seen, recorded, failures)
        return done

    def _check(self, seen: Mapping[str, Any], recorded: Sequence[Any], failures: Sequence[Exception]) -> None:
        if failures:  # what a retry may mend goes before what it cannot
            raise next((error for error in failures if not _is_permanent(error)), failures[0])
        expected = [task for batch in seen["batches"] for task in batch["tasks"] if task["verdict"] == "delivery"]
        missing = {task["task"] for task in expected} - {entry["task"] for entry in recorded}
        if missing:
            raise NotRecordedError(
                f"{len(missing)} of {len(expected)} deliveries were not recorded: {', '.join(sorted(missing)[:5])}. "
                f"See the red {self.record_task_id}; a later run meets them again. A queue gives a message up after a "
                "few tries: then look into its dead-letter queue, and replay the hours with aurora_replay"
            )


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, PermanentError) or is_refused_for_good(error)


@dataclass
class _Settling:
    """One target's batch."""

    task: SettleDeliveriesOperator
    name: str
    target: Target
    aurora: Aurora
    memory: DeliveryMemory
    alerting: Alerting
    batch: Mapping[str, Any]
    at: int
    recorded: Sequence[Mapping[str, Any]]
    deleted: int = 0

    def __post_init__(self) -> None:
        names = {entry["task"] for entry in self.recorded}
        tasks = [StoppedTask(**entry) for entry in self.batch["tasks"]]
        self.delivered = [task for task in tasks if task.task in names]
        self.bad_ends = [task for task in tasks if task.verdict == "bad_end"]
        self.unrecorded = len(tasks) - len(self.delivered) - len(self.bad_ends)

    def run(self, done: dict[str, int]) -> list[Exception]:
        """Every step, whatever became of the others; what went wrong."""
        failures: list[Exception] = []
        steps: tuple[Callable[[], None], ...] = (
            *(self._remember, self._delete_messages, self._tell_bad_ends, self._tell_unreadable),
            *(self._tell_blindness, self._tell_silence, self._tell_paused, self.alerting.check),
        )
        for step in steps:
            try:
                step()
            except Exception as error:  # of AWS, of Slack: the next step may go well
                self.task.log.error("%s: %s", self.name, error)
                failures.append(error)
        done["ended badly"] += len(self.bad_ends)
        done["messages deleted"] += self.deleted
        return failures

    def _remember(self) -> None:
        """First what people must be told, lest a bad end be known and never told."""
        handed_on = self.memory.handed_on(day_of(from_ms(task.stopped)) for task in self.bad_ends)
        new = [task for task in self.bad_ends if not is_known(task, handed_on)]
        self.memory.to_tell(new)
        for task in new:
            emit(Metric.BAD_ENDS, target=self.name, cluster=task.cluster)
        self.memory.delivered(self.delivered)
        self.memory.hand_on([*self.delivered, *self.bad_ends])
        if self.batch["looked"] or self.batch["trouble"]:
            trouble = self.batch["trouble"]
            self.memory.refused(trouble and trouble["since"])

    def _delete_messages(self) -> None:
        dealt_with = [*self.delivered, *self.bad_ends]
        receipts = [receipt for task in dealt_with for receipt in self.batch["receipts"].get(task.task, [])]
        receipts += self.batch["noise"]
        failed: list[str] = []
        for start in range(0, len(receipts), 10):
            entries = [{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate(receipts[start : start + 10])]
            answer = self._sqs.delete_message_batch(QueueUrl=self.aurora.queue, Entries=entries)
            failed += [f"{entry['Code']} {entry.get('Message', '')}".strip() for entry in answer.get("Failed", ())]
        if failed:
            raise DeliveryError(
                f"{len(failed)} of {len(receipts)} messages were not deleted from {self.aurora.queue}: "
                f"{'; '.join(sorted(set(failed)))}. Nothing is lost: they are known when they come again"
            )
        self.deleted = len(receipts)

    @cached_property
    def _sqs(self) -> Any:
        from log_audit.hooks.ecs import TaskQueueHook

        return TaskQueueHook(aws_conn_id=self.target.connection, region_name=self.target.region).conn

    def _tell_bad_ends(self) -> None:
        for task in self.memory.untold():
            findings = conditions.ended_badly(self.name, task, self.target.region, self.zone, self.task.replayed_by)
            self.alerting.once(findings, partial(self.memory.told, task))

    def _tell_unreadable(self) -> None:
        where = self.aurora.queue or "ECS"
        for message, why in self.batch["unreadable"].items():
            if self.memory.is_new_message(message, self.at):
                findings = conditions.unreadable(self.name, message, why, self.at, where)
                self.alerting.once(findings, partial(self.memory.message_told, message, self.at))

    def _tell_blindness(self) -> None:
        """Of a refusal that has lasted long enough; that it is over only if a look has worked."""
        trouble, patience = self.batch["trouble"], self.settings.delivery.blind_after_minutes * 60_000
        if (trouble and self.at - trouble["since"] >= patience) or (self.batch["looked"] and not trouble):
            self.alerting.condition(conditions.blindness(self.name, trouble, self.at, self.zone))

    def _tell_silence(self) -> None:
        """Only who has seen all there is can say that nothing is there; that something came is plain at once."""
        last = self.memory.last_deliveries()
        for cluster, shipper in self.aurora.clusters.items():
            if cluster not in last:
                continue
            findings = conditions.silence(self.name, cluster, shipper, last[cluster], self.at, self.zone)
            if not findings.total or self.memory.goes_on(findings.query, cluster) or self._has_seen_all:
                emit(Metric.SILENT, findings.total, target=self.name, cluster=cluster)
                self.alerting.condition(findings)

    @cached_property
    def _has_seen_all(self) -> bool:
        """Whether no delivery can be waiting: what was received by somebody who died stays invisible for a while."""
        if self.batch["trouble"]:
            return False
        if not self.aurora.queue:
            return bool(self.batch["drained"])
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self.aurora.queue, AttributeNames=names)
        return not any(int(answer["Attributes"][name]) for name in names)

    def _tell_paused(self) -> None:
        if not self.recorded:
            return
        keys = sorted(entry["key"] for entry in self.recorded if entry["paused"])
        if keys:
            self.memory.not_audited(keys)
        spans = self.memory.unaudited()
        findings = conditions.nobody_audits(
            self.name, keys, spans, self.at, self.task.audited_by, self.task.replayed_by
        )
        self.alerting.condition(findings, self.settings.slack.pace)
        if spans and not keys and not self.memory.goes_on(findings.query, findings.key):
            self.memory.all_audited()

    @property
    def settings(self) -> Settings:
        return self.task.settings

    @property
    def zone(self) -> Zone:
        return self.task.settings.zone


def is_paused(ti: Any, dag_id: str) -> bool:
    """Whether a DAG is paused, or cannot be asked about: recording must not depend on it."""
    try:
        return bool(ti.get_dag(dag_id).is_paused)
    except AirflowRuntimeError:
        return True
