"""EventBridge Scheduler: schedules and their groups, which can be of the past.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html

Nothing here fires: whoever needs a call that a schedule made plants its record (see trail.py).
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.logs.exceptions import InvalidParameterException
from moto.scheduler.exceptions import ScheduleGroupNotFound, ScheduleNotFound
from moto.scheduler.models import EventBridgeSchedulerBackend, scheduler_backends
from moto.scheduler.responses import EventBridgeSchedulerResponse
from moto.scheduler.urls import url_bases

from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.paging import page, without_none
from local_aws.scheduler_checks import check_members, check_schedule, input_shape, invalid

DEFAULT = "default"
PATHS = ("schedules$", "schedules/(?P<name>[^/]+)$", "schedule-groups$", "schedule-groups/(?P<name>[^/]+)$")
MOST_LISTED = 100
RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}

Asked = dict[str, Any]


class Conflict(AwsError):
    """What is there already, or was asked for otherwise with the same token."""

    code = 409

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)


@dataclass(frozen=True)
class Schedule:
    """A schedule: what CreateSchedule or UpdateSchedule gave, and its times in epoch seconds."""

    arn: str
    given: Asked
    created: float
    modified: float

    @property
    def key(self) -> tuple[str, str]:
        """Its group and name, which tell it from all others."""
        return self.given["GroupName"], self.given["Name"]

    def describe(self) -> Asked:
        """As GetSchedule gives it."""
        dates = {"CreationDate": self.created, "LastModificationDate": self.modified}
        return {"Arn": self.arn} | self.given | dates

    def summary(self) -> Asked:
        """As ListSchedules gives it: nothing of when it fires."""
        told = ("Arn", "CreationDate", "GroupName", "LastModificationDate", "Name", "State")
        full = self.describe()
        return {name: full[name] for name in told} | {"Target": {"Arn": self.given["Target"]["Arn"]}}


class LocalSchedulerBackend(EventBridgeSchedulerBackend):
    """The state of an account and region; moto's own is not used."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._schedules: dict[tuple[str, str], Schedule] = {}
        self._groups: dict[str, Asked] = {}
        self._by_token: dict[str, tuple[Asked, Asked]] = {}
        self.create_group(DEFAULT, time.time())

    @property
    def _url_module(self) -> Any:
        paths = {f"{{0}}/{path}": LocalSchedulerResponse.dispatch for path in PATHS}
        return SimpleNamespace(url_bases=url_bases, url_paths=paths)

    def once(self, asked: Asked, answer_it: Callable[[], Asked]) -> Asked:
        """The answer, or that of the same request with the same ClientToken: botocore repeats what got no answer."""
        token = asked.get("ClientToken")
        if token and token in self._by_token:
            before, answer = self._by_token[token]
            if before != asked:
                raise Conflict("The ClientToken was used with other parameters.")
            return answer
        answer = answer_it()
        if token:
            self._by_token[token] = asked, answer
        return answer

    def create(self, asked: Asked, created: float, modified: float | None = None) -> Schedule:
        """CreateSchedule, at any time (epoch seconds), by which its dates are judged."""
        check_schedule(asked, created)
        schedule = self._new(asked, created, created if modified is None else modified)
        if schedule.key in self._schedules:
            raise Conflict(f"Schedule {asked['Name']} already exists.")
        self._schedules[schedule.key] = schedule
        return schedule

    def update(self, asked: Asked, now: float) -> Schedule:
        """UpdateSchedule: what is left out is as if it had never been given."""
        before = self.schedule(asked)
        check_schedule(asked, now)
        schedule = self._new(asked, before.created, now)
        self._schedules[schedule.key] = schedule
        return schedule

    def delete(self, asked: Asked) -> Asked:
        """DeleteSchedule; gives its answer."""
        del self._schedules[self.schedule(asked).key]
        return {}

    def schedule(self, asked: Asked) -> Schedule:
        """The schedule of a name, and of a group where one is given."""
        group, name = asked.get("GroupName", DEFAULT), asked["Name"]
        if (group, name) not in self._schedules:
            raise ScheduleNotFound(name)
        return self._schedules[group, name]

    def listed(self, asked: Asked) -> list[Schedule]:
        """Those that ListSchedules asks for, by group and name."""
        self._check_group(asked.get("GroupName", DEFAULT))
        return [
            held
            for (group, name), held in sorted(self._schedules.items(), key=lambda item: item[0])
            if asked.get("GroupName") in (None, group)
            and name.startswith(asked.get("NamePrefix", ""))
            and asked.get("State") in (None, held.given["State"])
        ]

    def create_group(self, name: str, now: float) -> str:
        """CreateScheduleGroup; gives its ARN."""
        if name in self._groups:
            raise Conflict(f"Schedule group {name} already exists.")
        arn = f"arn:aws:scheduler:{self.region_name}:{self.account_id}:schedule-group/{name}"
        dates = {"CreationDate": now, "LastModificationDate": now}
        self._groups[name] = {"Arn": arn, "Name": name, "State": "ACTIVE"} | dates
        return arn

    def groups(self, prefix: str) -> list[Asked]:
        """The groups whose names begin so."""
        return [group for name, group in sorted(self._groups.items()) if name.startswith(prefix)]

    def _check_group(self, name: str) -> None:
        if name not in self._groups:
            raise ScheduleGroupNotFound(name)

    def _new(self, asked: Asked, created: float, modified: float) -> Schedule:
        group = asked.get("GroupName", DEFAULT)
        self._check_group(group)
        defaults = {
            "GroupName": group,
            "State": "ENABLED",
            "ScheduleExpressionTimezone": "UTC",
            "ActionAfterCompletion": "NONE",
        }
        given = {name: value for name, value in asked.items() if name != "ClientToken" and value is not None}
        given["Target"] = {"RetryPolicy": RETRIES} | given["Target"]
        arn = f"arn:aws:scheduler:{self.region_name}:{self.account_id}:schedule/{group}/{asked['Name']}"
        return Schedule(arn, defaults | given, created, modified)


class LocalSchedulerResponse(EventBridgeSchedulerResponse):
    """Schedules and groups as far as the project needs them; see actions.py."""

    @property
    def backend(self) -> LocalSchedulerBackend:
        """The state of the caller's account and region."""
        return backend_of(self.current_account, self.region)

    def create_schedule(self) -> str:
        """CreateSchedule."""
        asked = self._asked("CreateSchedule")
        return self._once(asked, lambda: {"ScheduleArn": self.backend.create(asked, time.time()).arn})

    def update_schedule(self) -> str:
        """UpdateSchedule."""
        asked = self._asked("UpdateSchedule")
        return self._once(asked, lambda: {"ScheduleArn": self.backend.update(asked, time.time()).arn})

    def delete_schedule(self) -> str:
        """DeleteSchedule."""
        asked = self._asked("DeleteSchedule")
        return self._once(asked, lambda: self.backend.delete(asked))

    def get_schedule(self) -> str:
        """GetSchedule."""
        return json.dumps(self.backend.schedule(self._asked("GetSchedule")).describe())

    def list_schedules(self) -> str:
        """ListSchedules, by group and name: AWS promises no order."""
        asked = self._asked("ListSchedules")
        shown, token = _page(self.backend.listed(asked), lambda schedule: schedule.arn, asked)
        return json.dumps(without_none({"Schedules": [one.summary() for one in shown], "NextToken": token}))

    def create_schedule_group(self) -> str:
        """CreateScheduleGroup, without tags."""
        asked = self._asked("CreateScheduleGroup")
        if asked.get("Tags"):
            raise NotImplementedByStandIn("The stand-in has no tags of schedule groups.")
        return self._once(asked, lambda: {"ScheduleGroupArn": self.backend.create_group(asked["Name"], time.time())})

    def list_schedule_groups(self) -> str:
        """ListScheduleGroups."""
        asked = self._asked("ListScheduleGroups")
        shown, token = _page(self.backend.groups(asked.get("NamePrefix", "")), lambda group: group["Arn"], asked)
        return json.dumps(without_none({"ScheduleGroups": shown, "NextToken": token}))

    def _once(self, asked: Asked, answer_it: Callable[[], Asked]) -> str:
        return json.dumps(self.backend.once(asked, answer_it))

    def _asked(self, action: str) -> Asked:
        """The request by the names of AWS's documents, from path, query and body; refused where it is malformed."""
        asked: Asked = json.loads(self.body or "{}")
        query = dict(parse_qsl(self.parsed_url.query, keep_blank_values=True))
        for name, member in input_shape(action).members.items():
            place = member.serialization.get("location")
            if place == "uri":
                asked[name] = unquote(self.parsed_url.path.rpartition("/")[2])
            elif place == "querystring" and member.serialization["name"] in query:
                text = query[member.serialization["name"]]
                asked[name] = int(text) if member.type_name == "integer" and text.isdecimal() else text
        check_members(action, asked)
        return asked


def backend_of(account: str, region: str) -> LocalSchedulerBackend:
    """The state of EventBridge Scheduler in an account and region; raises ValueError where there is no such region."""
    if region not in scheduler_backends[account]:
        raise ValueError(f"There is no region {region!r}.")
    backend = scheduler_backends[account][region]
    assert isinstance(backend, LocalSchedulerBackend)
    return backend


def plant(asked: Asked, account: str, region: str, created: float, modified: float) -> str:
    """Create a schedule of the past, with the words of CreateSchedule; gives its ARN."""
    if not created <= modified <= time.time():
        raise ValueError("A schedule is modified after it was created, and neither is yet to come.")
    check_members("CreateSchedule", asked)
    return backend_of(account, region).create(asked, created, modified).arn


def install() -> None:
    """Put this backend in the place of moto's."""
    scheduler_backends.backend = LocalSchedulerBackend


def _page(items: list[Any], key: Callable[[Any], str], asked: Asked) -> tuple[list[Any], str | None]:
    try:
        return page(items, key, asked.get("MaxResults"), asked.get("NextToken"), most=MOST_LISTED)
    except InvalidParameterException:
        raise invalid("Invalid NextToken.") from None
