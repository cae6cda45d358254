"""ECS: moto's clusters and task definitions, with Fargate tasks of our own that end and send events.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Operations.html

No thread drives the tasks: each has a timeline, and `advance` makes the changes that are due. The front
door calls it before every call, so nobody can look before they are made.
"""

import json
import random
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from moto.ecs.exceptions import EcsClientException, InvalidParameterException
from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition, ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.ecs.urls import url_bases

from local_aws import events
from local_aws.ecs_checks import check_containers, check_names, check_overrides, check_run
from local_aws.ecs_task import Ending, Place, Task
from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.paging import without_none
from local_aws.settings import SETTINGS

MOST_LISTED = 100
SHUFFLE_SEED = 20230429


@dataclass
class Plan:
    """How the next `times` tasks (of one family, when given) are to end."""

    ending: Ending
    times: int
    family: str | None


class LocalEcsBackend(EC2ContainerServiceBackend):
    """moto's state of an account and region, with tasks of our own."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.plans: list[Plan] = []
        self._all: dict[str, Task] = {}  # by ARN, oldest first
        self._active: dict[int, Task] = {}  # by number
        self._by_token: dict[str, tuple[dict[str, Any], list[Task]]] = {}
        self._held: dict[str, list[dict[str, Any]]] = {}  # events by task ARN
        self._random = random.Random(SHUFFLE_SEED)  # noqa: S311 (nothing secret)

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": LocalEcsResponse.dispatch})

    def create_cluster(self, cluster_name: str, *args: Any, **kwargs: Any) -> Cluster:
        """CreateCluster, which gives the one there is when there is one."""
        return self.clusters.get(cluster_name) or super().create_cluster(cluster_name, *args, **kwargs)

    def run(self, asked: dict[str, Any], now: float) -> list[Task]:
        """Start the tasks that RunTask asks for; the same clientToken starts no others."""
        token = asked.get("clientToken")
        if token and token in self._by_token:
            before, tasks = self._by_token[token]
            if before != asked:
                raise AwsError("ConflictException", "The clientToken was used with other parameters.")
            return tasks
        place, definition = self.place_of(asked.get("cluster")), self.describe_task_definition(asked["taskDefinition"])
        check_run(asked, definition)
        tasks = [self._start(place, definition, asked, now) for _ in range(asked.get("count", 1))]
        if token:
            self._by_token[token] = asked, tasks
        return tasks

    def plant(
        self,
        place: Place,
        definition: TaskDefinition,
        asked: dict[str, Any],
        ending: Ending,
        times: tuple[float, float],
    ) -> Task:
        """A task of the past, from its start to its stop (epoch seconds), whose last event alone is sent."""
        started, stopped = times
        created = (stopped if ending.never_started else started) - SETTINGS.ecs_start_seconds
        task = self._new(
            place, definition, asked, ending, created=created, run_seconds=stopped - started, stop_seconds=0
        )
        while task.timeline:
            task.step()
        self._announce(task)
        return task

    def plant_asked(self, given: dict[str, Any], ending: Ending) -> Task:
        """The same, of a request to the control API: cluster, family, command and so on."""
        place, definition = self.place_of(given["cluster"]), self.describe_task_definition(given["family"])
        # The first container may be a side-car.
        essential = next(part["name"] for part in definition.container_definitions if part["essential"])
        container = given["container"] or essential
        overrides = {"containerOverrides": [{"name": container, "command": given["container_command"]}]}
        check_names(ending, definition)
        check_overrides(overrides, definition)
        asked = {"overrides": overrides, "startedBy": given["started_by"], "group": given["group"]}
        return self.plant(place, definition, asked, ending, (given["started_at"], given["stopped_at"]))

    def advance(self, now: float) -> None:
        """Make all changes due by now, in the order of their times."""
        due = [(at, task.number) for task in self._active.values() for at, _ in task.timeline if at <= now]
        for _, number in sorted(due):
            task = self._active[number]
            task.step()
            self._announce(task)
            if task.is_stopped:
                del self._active[number]

    def place_of(self, cluster: str | None) -> Place:
        """The place of a cluster by name or ARN (default: ``default``); raises ClusterNotFoundException."""
        return Place(self.account_id, self.region_name, self._get_cluster(cluster or "default").name)

    def visible(self, place: Place, now: float) -> list[Task]:
        """The tasks of a cluster, without those that stopped too long ago."""
        youngest = now - SETTINGS.ecs_stopped_visible_seconds
        return [
            task
            for task in self._all.values()
            if task.place == place and not (task.is_stopped and task.times["stoppedAt"] <= youngest)
        ]

    def task(self, place: Place, name: str, now: float) -> Task | None:
        """A visible task by ARN or id."""
        return next((task for task in self.visible(place, now) if name in (task.arn, task.id)), None)

    def stop(self, task: Task, reason: str | None, now: float) -> None:
        """StopTask; one that is on its way out is left alone."""
        if task.desired != "STOPPED":
            task.stop(reason or "Task stopped by user", now)
            self._announce(task)

    def count_tasks(self) -> None:
        """Bring the clusters' counts of tasks up to date."""
        for cluster in self.clusters.values():
            statuses = [task.status for task in self._active.values() if task.place.cluster == cluster.name]
            cluster.running_tasks_count = statuses.count("RUNNING")
            cluster.pending_tasks_count = statuses.count("PROVISIONING") + statuses.count("PENDING")

    def _start(self, place: Place, definition: TaskDefinition, asked: dict[str, Any], now: float) -> Task:
        ending = self._take_ending(definition)
        check_names(ending, definition)
        task = self._new(place, definition, asked, ending, created=now)
        self._active[task.number] = task
        self._announce(task)
        return task

    def _new(
        self, place: Place, definition: TaskDefinition, asked: dict[str, Any], ending: Ending, **options: Any
    ) -> Task:
        task = Task(place, definition, asked, ending, number=len(self._all), **options)
        self._all[task.arn] = task
        return task

    def _take_ending(self, definition: TaskDefinition) -> Ending:
        for plan in self.plans:
            if plan.family in (None, definition.family):
                plan.times -= 1
                if plan.times <= 0:
                    self.plans.remove(plan)
                return plan.ending
        return Ending()

    def _announce(self, task: Task) -> None:
        """Send the event of a task's last change, or hold it until all are there to be put out of order."""
        copies = [{"detail": task.event_detail(), "at": task.times["updatedAt"]}] * task.event_copies
        if task.event_disorder == "NONE":
            self._send(copies)
            return
        held = self._held.setdefault(task.arn, [])
        held += copies
        if task.is_stopped:
            if task.event_disorder == "REVERSED":
                held.reverse()
            else:
                self._random.shuffle(held)
            self._send(self._held.pop(task.arn))

    def _send(self, changes: list[dict[str, Any]]) -> None:
        bus = events.backend_of(self.account_id, self.region_name)
        for change in changes:
            detail = change["detail"]
            # Each copy has an id of its own: what tells copies is (taskArn, version).
            bus.publish("aws.ecs", "ECS Task State Change", detail, resources=[detail["taskArn"]], at=change["at"])


class LocalEcsResponse(EC2ContainerServiceResponse):
    """moto's answers for clusters and definitions, and ours for tasks. Parameters: see actions.py."""

    @property
    def backend(self) -> LocalEcsBackend:
        """The state of the caller's account and region."""
        return backend_of(self.current_account, self.region)

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's JSON body."""
        return json.loads(self.body or "{}")

    def describe_clusters(self) -> Any:
        """DescribeClusters, with the counts of our tasks."""
        self.backend.count_tasks()
        return super().describe_clusters()

    def register_task_definition(self) -> Any:
        """RegisterTaskDefinition, for Fargate."""
        given = self.parameters
        if given.get("requiresCompatibilities") != ["FARGATE"] or given.get("networkMode") != "awsvpc":
            raise NotImplementedByStandIn(
                "The stand-in has task definitions with requiresCompatibilities FARGATE and networkMode awsvpc only."
            )
        for name in ("cpu", "memory"):
            if not given.get(name):
                raise EcsClientException(f"Fargate requires that '{name}' be defined at the task level.")
        check_containers(given["containerDefinitions"])
        return super().register_task_definition()

    def run_task(self) -> Any:
        """RunTask."""
        tasks = self.backend.run(self.parameters, time.time())
        return json.dumps({"tasks": [task.describe() for task in tasks], "failures": []})

    def list_tasks(self) -> Any:
        """ListTasks."""
        given = self.parameters
        size = given.get("maxResults", MOST_LISTED)
        if not 1 <= size <= MOST_LISTED:
            raise InvalidParameterException(f"maxResults must be between 1 and {MOST_LISTED}.")
        if "startedBy" in given and "family" in given:
            raise InvalidParameterException("startedBy must be the only filter.")
        tasks = [task for task in self._listed(given) if task.number > _last_number(given.get("nextToken"))]
        token = str(tasks[size - 1].number) if len(tasks) > size else None
        return json.dumps(without_none({"taskArns": [task.arn for task in tasks[:size]], "nextToken": token}))

    def describe_tasks(self) -> Any:
        """DescribeTasks."""
        given, now = self.parameters, time.time()
        if given.get("include"):
            raise NotImplementedByStandIn("The stand-in has no tags of tasks to include.")
        place = self.backend.place_of(given.get("cluster"))
        names = given["tasks"]
        if not 1 <= len(names) <= MOST_LISTED:
            raise InvalidParameterException(f"Tasks must be 1 to {MOST_LISTED}.")
        visible = {name: task for task in self.backend.visible(place, now) for name in (task.arn, task.id)}
        missing = [
            {"arn": name if name.startswith("arn:") else place.arn(f"task/{place.cluster}/{name}"), "reason": "MISSING"}
            for name in names
            if name not in visible
        ]
        found = [visible[name].describe() for name in dict.fromkeys(names) if name in visible]
        return json.dumps({"tasks": found, "failures": missing})

    def stop_task(self) -> Any:
        """StopTask."""
        given, now = self.parameters, time.time()
        task = self.backend.task(self.backend.place_of(given.get("cluster")), given["task"], now)
        if task is None:
            raise InvalidParameterException("The referenced task was not found.")
        self.backend.stop(task, given.get("reason"), now)
        return json.dumps({"task": task.describe()})

    def _listed(self, given: dict[str, Any]) -> list[Task]:
        status = given.get("desiredStatus", "RUNNING")
        if status not in ("RUNNING", "PENDING", "STOPPED"):
            raise InvalidParameterException("desiredStatus must be one of RUNNING, PENDING and STOPPED.")
        return [
            task
            for task in self.backend.visible(self.backend.place_of(given.get("cluster")), time.time())
            if task.desired == status
            and given.get("family") in (None, task.family)
            and given.get("startedBy") in (None, task.asked.get("startedBy"))
        ]


def backend_of(account: str, region: str) -> LocalEcsBackend:
    """The state of ECS in an account and region."""
    backend = ecs_backends[account][region]
    assert isinstance(backend, LocalEcsBackend)
    return backend


def install() -> None:
    """Put this backend in the place of moto's."""
    ecs_backends.backend = LocalEcsBackend


def advance() -> None:
    """Make the changes of all tasks that are due, and send their events."""
    for _, _, backend in list(ecs_backends.iter_backends()):
        assert isinstance(backend, LocalEcsBackend)
        backend.advance(time.time())


def _last_number(token: str | None) -> int:
    try:
        return -1 if token is None else int(token)
    except ValueError:
        raise InvalidParameterException("Invalid token.") from None
