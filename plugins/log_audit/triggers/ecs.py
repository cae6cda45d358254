"""Waiting in the triggerer for ECS tasks to stop: by a queue of EventBridge's events, or by asking ECS."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from log_audit.delivery import StoppedTask, judge, newest, read_event
from log_audit.findings import cut
from log_audit.hooks.ecs import TaskHook, TaskQueueHook
from log_audit.redaction import Redactor
from log_audit.refusals import sentence_of
from log_audit.settings import Shipper
from log_audit.window import to_ms, utc_now

DAG = "ecs_log_delivery"  # a trigger does not know whose it is
MOST = 50  # messages, or tasks, at a time
LONG_POLL, SHORT_POLL = 20, 2  # seconds; several queues take turns in ending, so none of them may wait long
DEFERRED_AFTER = 2.0  # seconds
LONGEST_PAUSE = 60.0  # seconds between two tries while AWS refuses


@dataclass
class Batch:
    """What was seen of one target.

    :param region: of the target
    :param tasks: what concerns us, as :class:`~log_audit.delivery.StoppedTask` in JSON
    :param receipts: the handles of their messages, by task
    :param noise: handles of messages that do not concern us
    :param unreadable: messages that are no events, which are left to the queue's dead-letter queue: id to reason
    :param drained: the last look found nothing more
    :param looked: a look worked
    :param trouble: since when AWS has refused to tell (epoch ms), and how, if the last look failed
    :param shippers: by which all of it was judged
    """

    target: str
    region: str
    shippers: dict[str, Any]
    tasks: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, list[str]] = field(default_factory=dict)
    noise: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    drained: bool = False
    looked: bool = False
    trouble: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        return len(self.noise) + sum(map(len, self.receipts.values()))

    def add(self, task: StoppedTask, receipt: str | None = None) -> None:
        known = [StoppedTask(**entry) for entry in self.tasks]
        self.tasks = [entry.to_json() for entry in newest([*known, task])]
        if receipt:
            self.receipts.setdefault(task.task, []).append(receipt)


@dataclass
class Source(ABC):
    """One target to watch.

    :param shippers: by Aurora cluster, as the settings hold them
    :param queue: the URL of the queue; None: ECS is asked
    :param known: tasks that were handed on lately, so that ECS's telling of them again is no news
    :param wake_at: when (epoch ms) a cluster will have been silent for too long; None: never
    :param blind: people have been told that nothing can be seen; they want to hear that this is over
    :param refused_since: since when (epoch ms) AWS refuses, as far as it did so in the runs before
    :param hold_until: until then (epoch ms) whatever could not be dealt with must not end another run at once
    """

    idle_seconds = 0.0  # between two looks

    target: str
    aws_conn_id: str
    region_name: str
    shippers: dict[str, Any]
    queue: str | None = None
    known: Sequence[str] = ()
    wake_at: int | None = None
    blind: bool = False
    refused_since: int | None = None
    hold_until: int = 0
    zone: str = field(kw_only=True)
    redactor: Redactor = field(kw_only=True)

    def __post_init__(self) -> None:
        self.rules = {cluster: Shipper.model_validate(rule) for cluster, rule in self.shippers.items()}

    def judge(self, detail: Mapping[str, Any]) -> StoppedTask | None:
        return judge(detail, self.rules, self.zone, self.redactor)

    @abstractmethod
    async def client(self) -> Any:
        """An AWS client, as an asynchronous context manager."""

    @abstractmethod
    async def look(self, client: Any, batch: Batch) -> bool:
        """Look once, and put into the batch what is there; whether it is time to hand over what concerns us."""


class QueueSource(Source):
    """Receives EventBridge's events with the provider's own trigger, and deletes nothing."""

    def __init__(self, *, visibility_seconds: int, alone: bool, **source: Any) -> None:
        super().__init__(**source)
        self.stock = SqsSensorTrigger(
            sqs_queue=str(self.queue),
            max_messages=10,
            wait_time_seconds=LONG_POLL if alone else SHORT_POLL,
            visibility_timeout=visibility_seconds,
            delete_message_on_reception=False,
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
        )

    async def client(self) -> Any:
        return await TaskQueueHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name).get_async_conn()

    async def look(self, client: Any, batch: Batch) -> bool:
        self.stock.max_messages = min(10, MOST - batch.size)
        messages: list[dict[str, Any]] = list(await self.stock.poke(client))
        for message in messages:
            self._take(message, batch)
        batch.drained = not messages
        # One message alone is handed over at once; more than one suggests that others wait behind them.
        self.stock.wait_time_seconds = 1 if batch.tasks else self.stock.wait_time_seconds
        return len(messages) <= 1

    def _take(self, message: Mapping[str, Any], batch: Batch) -> None:
        try:
            task = self.judge(read_event(message["Body"]))
        except Exception as error:  # whatever is in a message must not take the others with it
            batch.unreadable[message["MessageId"]] = self.redactor.text(str(error))
            return
        if task:
            batch.add(task, message["ReceiptHandle"])
        else:
            batch.noise.append(message["ReceiptHandle"])


class EcsSource(Source):
    """Asks ECS for stopped tasks, of which it tells for about an hour."""

    def __init__(self, *, poll_seconds: float, **source: Any) -> None:
        super().__init__(**source)
        self.idle_seconds = poll_seconds
        self.ignored = {*self.known}

    async def client(self) -> Any:
        return await TaskHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name).get_async_conn()

    async def look(self, client: Any, batch: Batch) -> bool:
        refusals: list[Exception] = []
        for cluster in sorted({rule.ecs_cluster for rule in self.rules.values()}):
            try:
                arns = [arn async for arn in self._stopped(client, cluster)]
                for detail in [detail async for detail in self._described(client, cluster, arns)]:
                    self._take(detail, batch)
            except Exception as error:  # the other clusters' tasks are forgotten by ECS after an hour
                refusals.append(error)
        if refusals and not batch.tasks:
            raise refusals[0]
        batch.drained = len(batch.tasks) <= MOST and not refusals
        batch.tasks = batch.tasks[:MOST]
        return True

    async def _stopped(self, client: Any, cluster: str) -> AsyncIterator[str]:
        pages = client.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus="STOPPED")
        async for page in pages:
            for arn in page["taskArns"]:
                if arn.partition(":task/")[2] not in self.ignored:
                    yield arn

    async def _described(self, client: Any, cluster: str, arns: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
        for start in range(0, len(arns), 100):
            answer = await client.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])
            for detail in answer["tasks"]:
                yield detail

    def _take(self, detail: Mapping[str, Any], batch: Batch) -> None:
        if detail["lastStatus"] != "STOPPED":
            return  # it is on its way
        name = detail["taskArn"].partition(":task/")[2]
        try:
            task = self.judge(detail)
        except Exception as error:
            batch.unreadable[name] = self.redactor.text(str(error))
            task = None
        if task:
            batch.add(task)
        else:
            self.ignored.add(name)


class EcsTaskStoppedTrigger(BaseTrigger):
    """Waits until a task of one of the targets has stopped, or something else must be looked after.

    It fires when a task that concerns us has stopped; when a cluster has been silent for too long; when AWS has refused
    for too long, or answers again; and when messages that do not concern us have gathered. A target whose calls fail is
    asked again after a pause that grows to a minute, and holds up no other: an error of AWS never ends the wait.

    :param sources: the fields of a :class:`Source` for each target
    :param time_zone: of the business
    :param visibility_seconds: for how long the queue keeps a received message from others
    :param poll_seconds: between two looks at ECS
    :param blind_after_seconds: how long AWS may refuse before people are told
    :param masks: regular expressions of what to mask in texts besides what is always masked
    """

    def __init__(
        self,
        *,
        sources: list[dict[str, Any]],
        time_zone: str,
        visibility_seconds: int,
        poll_seconds: float,
        blind_after_seconds: float,
        masks: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.sources = sources
        self.time_zone = time_zone
        self.visibility_seconds = visibility_seconds
        self.poll_seconds = poll_seconds
        self.blind_after_seconds = blind_after_seconds
        self.masks = list(masks)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("sources", "time_zone", "visibility_seconds", "poll_seconds", "blind_after_seconds", "masks")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        stop, began = asyncio.Event(), time.monotonic()
        watchers = [asyncio.create_task(self._watch(self._source(fields), stop)) for fields in self.sources]
        try:
            await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            # What others are just receiving would stay invisible for a while if it were dropped.
            done, _ = await asyncio.wait(watchers, timeout=SHORT_POLL + 3)
        finally:
            for watcher in watchers:
                watcher.cancel()
        batches = [asdict(watcher.result()) for watcher in watchers if watcher in done]
        # A trigger that fires before its task's deferral is recorded can fail the task.
        await asyncio.sleep(max(0.0, DEFERRED_AFTER - (time.monotonic() - began)))
        yield TriggerEvent({"at": to_ms(utc_now()), "batches": batches})

    def _source(self, fields: Mapping[str, Any]) -> Source:
        common = {**fields, "zone": self.time_zone, "redactor": Redactor(self.masks)}
        if fields.get("queue"):
            alone = len(self.sources) == 1
            return QueueSource(visibility_seconds=self.visibility_seconds, alone=alone, **common)
        return EcsSource(poll_seconds=self.poll_seconds, **common)

    async def _watch(self, source: Source, stop: asyncio.Event) -> Batch:
        batch, pause, since = Batch(source.target, source.region_name, source.shippers), 1.0, source.refused_since
        while True:
            try:
                async with await source.client() as client:
                    while True:  # at least one look, or a busy target would hide all others
                        due = await source.look(client, batch)
                        batch.looked, batch.trouble, pause, since = True, None, 1.0, None
                        if _is_ready(source, batch, due) or stop.is_set():
                            return batch
                        await _until(stop, source.idle_seconds)
            except Exception as error:  # whatever it is, the wait must go on
                self.log.warning("%s: cannot look, again in %.0f s: %s", source.target, pause, _said(source, error))
                since = since or to_ms(utc_now())
                batch.drained, batch.trouble = False, {"since": since, "error": _said(source, error)}
                if batch.size or stop.is_set() or self._must_be_told(source, since):
                    return batch
                await _until(stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _must_be_told(self, source: Source, since: int) -> bool:
        now = to_ms(utc_now())
        return not source.blind and now >= max(since + self.blind_after_seconds * 1000, source.hold_until)


def _is_ready(source: Source, batch: Batch, due: bool) -> bool:
    """Whether a batch is to be handed over."""
    now = to_ms(utc_now())
    if source.queue is None and now < source.hold_until:
        batch.tasks = []  # ECS tells of them again
        return False
    if batch.size >= MOST or batch.unreadable:
        return True
    if batch.tasks:
        return due
    if batch.noise and batch.drained:
        return True
    wake = source.wake_at is not None and now >= max(source.wake_at, source.hold_until)
    return (source.blind and now >= source.hold_until) or (batch.drained and wake)


async def _until(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until all stop."""
    if seconds:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


def _said(source: Source, error: Exception) -> str:
    return cut(source.redactor.text(sentence_of(error, DAG) or str(error)))
