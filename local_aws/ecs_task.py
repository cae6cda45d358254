"""One ECS task: how it changes over time, and how the API and its events show it.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
"""

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.ecs.models import TaskDefinition

from local_aws.paging import without_none
from local_aws.settings import SETTINGS

TIMES = (
    *("connectivityAt", "createdAt", "executionStoppedAt", "pullStartedAt", "pullStoppedAt"),
    *("startedAt", "stoppingAt", "stoppedAt", "updatedAt"),
)
# What the API shows and an event does not.
NOT_IN_EVENTS = frozenset({"tags", "inferenceAccelerators", "platformFamily"})
SIGTERM = 143


@dataclass(frozen=True)
class Ending:
    """How a task is to end. A container with exit code None has none; one not named ends by itself: the one
    whose end ends the task with 0, the others with 143 (SIGTERM). `reasons` are by container name too.
    """

    exit_codes: dict[str, int | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    stop_code: str = "EssentialContainerExited"
    stopped_reason: str = "Essential container in task exited"
    never_started: bool = False
    no_containers: bool = False  # as for some tasks that never started


NEVER_STARTED = Ending(stop_code="TaskFailedToStart", stopped_reason="Task failed to start", never_started=True)


@dataclass(frozen=True)
class Place:
    """Where a task runs."""

    account: str
    region: str
    cluster: str

    def arn(self, resource: str) -> str:
        """Such as ``arn:aws:ecs:...:cluster/NAME`` for ``cluster/NAME``."""
        return f"arn:aws:ecs:{self.region}:{self.account}:{resource}"


class Task:
    """A task from `created` on (epoch seconds). `asked` are RunTask's parameters, `number` its place in lists."""

    def __init__(
        self,
        place: Place,
        definition: TaskDefinition,
        asked: dict[str, Any],
        ending: Ending,
        *,
        created: float,
        number: int,
        run_seconds: float | None = None,
        stop_seconds: float | None = None,
    ) -> None:
        self.place, self.definition, self.asked, self.ending = place, definition, asked, ending
        self.number = number
        self.event_copies, self.event_disorder = SETTINGS.ecs_event_copies, SETTINGS.ecs_event_disorder
        self.id = uuid.uuid4().hex
        self.arn = place.arn(f"task/{place.cluster}/{self.id}")
        self.version = 0
        self.status, self.desired = "", "RUNNING"
        self.times: dict[str, float] = {"createdAt": created}
        self._stop_seconds = SETTINGS.ecs_stop_seconds if stop_seconds is None else stop_seconds
        self._attachment = str(uuid.uuid4())
        self._containers = [
            {"name": part["name"], "id": str(uuid.uuid4()), "digest": uuid.uuid4().hex * 2, **_size(part)}
            for part in definition.container_definitions
        ]
        self.timeline = self._planned(SETTINGS.ecs_run_seconds if run_seconds is None else run_seconds)
        self.step()

    @property
    def family(self) -> str:
        """The family of its task definition."""
        return str(self.definition.family)

    @property
    def is_stopped(self) -> bool:
        """Whether it has come to its end."""
        return self.status == "STOPPED"

    @property
    def main_container(self) -> str:
        """The container whose end ends the task: an essential one, best one with an override."""
        parts = self.definition.container_definitions
        essential = [part["name"] for part in parts if part["essential"]]
        overridden = {item["name"] for item in self._overrides}
        return str(next((name for name in essential if name in overridden), essential[0]))

    def step(self) -> None:
        """Make the next change of the timeline."""
        at, status = self.timeline.popleft()
        self.status = status
        if status == "RUNNING":
            self.times |= {"connectivityAt": at, "pullStartedAt": at, "pullStoppedAt": at, "startedAt": at}
        elif status == "DEPROVISIONING":
            self.desired = "STOPPED"
            self.times.setdefault("stoppingAt", at)
            self.times["executionStoppedAt"] = at
        elif status == "STOPPED":
            self.times["stoppedAt"] = at
        self._changed(at)

    def stop(self, reason: str, at: float) -> None:
        """StopTask of a task that is not stopping: its containers get SIGTERM."""
        started = "startedAt" in self.times
        codes = {part["name"]: SIGTERM if started else None for part in self._containers}
        self.ending = Ending(codes, stop_code="UserInitiated", stopped_reason=reason, never_started=not started)
        self.desired = "STOPPED"
        self.times["stoppingAt"] = at
        self.timeline = self._end(at + self._stop_seconds)
        self._changed(at)

    def describe(self) -> dict[str, Any]:
        """The task as the API gives it; times in epoch seconds."""
        network = "PRECREATED" if self.status == "PROVISIONING" else "ATTACHED"
        stopping = self.desired == "STOPPED"
        return without_none(
            {
                "attachments": [self._network("DELETED" if self.is_stopped else network)],
                "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
                "availabilityZone": f"{self.place.region}a",
                "clusterArn": self.place.arn(f"cluster/{self.place.cluster}"),
                "connectivity": "CONNECTED" if "connectivityAt" in self.times else None,
                "containers": self._described_containers(),
                "cpu": self.definition.cpu,
                "desiredStatus": self.desired,
                "enableExecuteCommand": False,
                "ephemeralStorage": {"sizeInGiB": 20},
                "group": self.asked.get("group") or f"family:{self.family}",
                "inferenceAccelerators": [],
                "lastStatus": self.status,
                "launchType": "FARGATE",
                "memory": self.definition.memory,
                "overrides": {"containerOverrides": self._overrides, "inferenceAcceleratorOverrides": []},
                "platformFamily": "Linux",
                "platformVersion": "1.4.0",
                "startedBy": self.asked.get("startedBy"),
                "stopCode": self.ending.stop_code if stopping else None,
                "stoppedReason": self.ending.stopped_reason if stopping else None,
                "tags": [],
                "taskArn": self.arn,
                "taskDefinitionArn": self.definition.arn,
                "version": self.version,
                **{name: at for name, at in self.times.items() if name != "updatedAt"},
            }
        )

    def event_detail(self) -> dict[str, Any]:
        """The task as the detail of its event: ISO times, and the small differences from the API."""
        detail = {name: value for name, value in self.describe().items() if name not in NOT_IN_EVENTS}
        detail |= {name: _iso(self.times[name]) for name in TIMES if name in self.times}
        detail["overrides"] = {"containerOverrides": self._overrides}
        detail["attachments"] = [item | {"type": "eni"} for item in detail["attachments"]]
        detail["containers"] = [
            {name: value for name, value in item.items() if name != "healthStatus"} for item in detail["containers"]
        ]
        return detail

    @property
    def _overrides(self) -> list[dict[str, Any]]:
        overrides: list[dict[str, Any]] = (self.asked.get("overrides") or {}).get("containerOverrides") or []
        return overrides

    def _planned(self, run_seconds: float) -> deque[tuple[float, str]]:
        created, start = self.times["createdAt"], SETTINGS.ecs_start_seconds
        steps = deque([(created, "PROVISIONING"), (created + start / 2, "PENDING")])
        if self.ending.never_started:
            return steps + self._end(created + start)
        steps.append((created + start, "RUNNING"))
        return steps + self._end(created + start + run_seconds)

    def _end(self, at: float) -> deque[tuple[float, str]]:
        return deque([(at, "DEPROVISIONING"), (at + self._stop_seconds, "STOPPED")])

    def _changed(self, at: float) -> None:
        self.version += 1
        self.times["updatedAt"] = at

    def _network(self, status: str) -> dict[str, Any]:
        given = (self.asked.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        subnets = given.get("subnets") or ["subnet-0"]
        details = {
            "subnetId": subnets[0],
            "networkInterfaceId": f"eni-{self.id[:17]}",
            "macAddress": "0a:00:00:00:00:01",
            "privateDnsName": f"ip-10-0-0-1.{self.place.region}.compute.internal",
            "privateIPv4Address": "10.0.0.1",
        }
        return {
            "id": self._attachment,
            "type": "ElasticNetworkInterface",
            "status": status,
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }

    def _described_containers(self) -> list[dict[str, Any]]:
        if self.ending.no_containers and self.desired == "STOPPED":
            return []
        return [self._container(position, part) for position, part in enumerate(self._containers)]

    def _container(self, position: int, part: dict[str, Any]) -> dict[str, Any]:
        name, started = part["name"], "startedAt" in self.times
        ended = self.status in ("DEPROVISIONING", "STOPPED")
        return without_none(
            {
                "containerArn": self.place.arn(f"container/{self.place.cluster}/{self.id}/{part['id']}"),
                "cpu": part["cpu"],
                "exitCode": self._exit_code(name) if ended else None,
                "healthStatus": "UNKNOWN",
                "image": part["image"],
                "imageDigest": f"sha256:{part['digest']}" if started else None,
                "lastStatus": "STOPPED" if ended else "RUNNING" if started else "PENDING",
                "memory": part["memory"],
                "name": name,
                "networkInterfaces": [{"attachmentId": self._attachment, "privateIpv4Address": "10.0.0.1"}],
                "reason": self.ending.reasons.get(name) if ended else None,
                "runtimeId": f"{self.id}-{position:010d}" if started else None,
                "taskArn": self.arn,
            }
        )

    def _exit_code(self, name: str) -> int | None:
        if self.ending.never_started:
            return None
        return self.ending.exit_codes.get(name, 0 if name == self.main_container else SIGTERM)


def _size(part: dict[str, Any]) -> dict[str, Any]:
    memory = part.get("memory")
    return {"image": part["image"], "cpu": str(part["cpu"]), "memory": None if memory is None else str(memory)}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
