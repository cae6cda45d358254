"""Does this stopped ECS task count as a delivery, and of which window?

The detail of an EventBridge event "ECS Task State Change" and an entry of DescribeTasks say the same in nearly the
same words, so one function judges both. EventBridge's rule is the coarse filter (a pattern matches an array if any of
its entries match); what counts is decided here.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from log_audit.errors import UnreadableMessageError
from log_audit.findings import cut
from log_audit.redaction import Redactor
from log_audit.settings import Shipper
from log_audit.window import Zone, key_of, to_ms

EVENT = "ECS Task State Change"
Verdict = Literal["delivery", "bad_end"]


@dataclass(frozen=True)
class StoppedTask:
    """A task of ours that has ended.

    :param task: the end of its ARN, ``<ECS cluster>/<task id>``
    :param version: AWS counts a task's changes; of two events the higher one is the newer
    :param cluster: the Aurora cluster whose log it ships
    :param key: the partition key of the window it ships; of one that never started, by when it was created
    :param started: epoch ms, None where it never started
    :param stopped: epoch ms
    :param exit_code: of the container whose command was overridden, None where it has none
    """

    task: str
    version: int
    verdict: Verdict
    cluster: str
    key: str
    started: int | None
    stopped: int
    exit_code: int | None
    stop_code: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_event(body: str) -> dict[str, Any]:
    """The detail of an event in a message's body.

    :raises UnreadableMessageError: it is no event of an ECS task
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError(f"it is no JSON: {error}") from None
    if not isinstance(event, dict) or event.get("detail-type") != EVENT or not isinstance(event.get("detail"), dict):
        raise UnreadableMessageError(f"it is no event of the type {EVENT!r}")
    return dict(event["detail"])


def judge(
    detail: Mapping[str, Any], shippers: Mapping[str, Shipper], zone: Zone, redactor: Redactor
) -> StoppedTask | None:
    """What a task's detail means to us: a delivery, a bad end, or None for nothing.

    The container whose command was overridden is the one that counts: a side-car may end with 143 when all is well. An
    exit code that is missing is a failure; it is never 0.

    :param shippers: by Aurora cluster
    :param zone: the business time zone
    :param redactor: masks why the task stopped, which is text of anybody's
    :raises UnreadableMessageError: something is missing that every stopped task has
    """
    try:
        if detail["lastStatus"] != "STOPPED":
            return None
        for cluster, shipper in shippers.items():
            container = _shipping_container(detail, shipper)
            if container is not None:
                task = _judged(detail, cluster, shipper, container, zone)
                task = replace(task, reason=cut(redactor.text(task.reason)))
                "".join((task.task, task.key, task.stop_code)).encode()  # half a surrogate pair could not be kept
                return task
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UnreadableMessageError(f"the task's detail is not as ECS writes it: {error!r}") from None
    return None


def _shipping_container(detail: Mapping[str, Any], shipper: Shipper) -> str | None:
    """The name of the container that runs the shipper's command; None where the task is not the shipper's."""
    if detail["clusterArn"].rpartition("/")[2] != shipper.ecs_cluster:
        return None
    if shipper.family and _family(detail) != shipper.family:
        return None
    overrides = (detail.get("overrides") or {}).get("containerOverrides") or []
    return next((str(entry["name"]) for entry in overrides if entry.get("command") == shipper.command), None)


def _family(detail: Mapping[str, Any]) -> str:
    """Of ``arn:aws:ecs:…:task-definition/<family>:<revision>``; the group may be a service's or of one's own."""
    return str(detail["taskDefinitionArn"]).rpartition("/")[2].rpartition(":")[0]


def _judged(detail: Mapping[str, Any], cluster: str, shipper: Shipper, container: str, zone: Zone) -> StoppedTask:
    codes = [entry.get("exitCode") for entry in detail.get("containers") or [] if entry["name"] == container]
    exit_code = codes[0] if codes else None
    started = _instant(detail.get("startedAt"))
    at = started or _required_instant(detail.get("createdAt") or detail.get("stoppedAt"))
    stopped = _required_instant(detail.get("stoppedAt") or detail.get("updatedAt"))
    return StoppedTask(
        task=_name(detail),
        version=int(detail["version"]),
        verdict="delivery" if exit_code == 0 else "bad_end",
        cluster=cluster,
        key=f"{cluster}/{key_of(at, shipper.ships, zone, back=shipper.lag)}",
        started=None if started is None else to_ms(started),
        stopped=to_ms(stopped),
        exit_code=exit_code,
        stop_code=str(detail.get("stopCode") or ""),
        reason=str(detail.get("stoppedReason") or ""),
    )


def _name(detail: Mapping[str, Any]) -> str:
    """Tasks are known by it: without one, two of them would pass for one."""
    name = str(detail["taskArn"]).partition(":task/")[2]
    if not name:
        raise ValueError("taskArn names no task")
    return name


def _instant(value: str | datetime | None) -> datetime | None:
    """Events write times as text, the API gives datetimes."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _required_instant(value: str | datetime | None) -> datetime:
    instant = _instant(value)
    if instant is None or instant.tzinfo is None:
        raise ValueError("a time is missing")
    return instant


def newest(tasks: Iterable[StoppedTask]) -> list[StoppedTask]:
    """Each task once, by its highest version, in the order in which they ended."""
    found: dict[str, StoppedTask] = {}
    for task in tasks:
        if task.task not in found or found[task.task].version < task.version:
            found[task.task] = task
    return sorted(found.values(), key=lambda task: (task.stopped, task.task))


HandedOn = Mapping[str, tuple[int, str]]  # task to version and verdict


def is_known(task: StoppedTask, handed_on: HandedOn) -> bool:
    """Whether the task was handed on before: an old version, or a newer one that says the same."""
    version, verdict = handed_on.get(task.task, (0, ""))
    return task.version <= version or task.verdict == verdict


def silent_at(last: int, shipper: Shipper) -> int:
    """When (epoch ms) a cluster becomes silent.

    :param last: when its last delivery ended, or since when it is watched, epoch ms
    """
    return last + int(shipper.silent_after.total_seconds() * 1000)
