"""A day of a small shop's calls, as CloudTrail tells of them, with what is to be found in it: pure.

Eight schedules and what they call, people and services that use AWS Batch, the root user, and noise.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from local_aws.trail_records import (
    ACCOUNT,
    BATCH,
    CONSOLE_AGENT,
    FOREIGN_ADDRESS,
    OFFICE_ADDRESS,
    REGION,
    Identity,
    Record,
    api_call,
    assumed_role,
    batch_call,
    console_user,
    iam_user,
    invoked_by,
    root,
    run_task,
    scheduler_call,
    service,
    sso_role,
)
from log_audit.window import Window

ZONE = "Asia/Tokyo"
SEED = 20230825
SLOT = timedelta(minutes=5)  # CloudTrail publishes about so often
USUAL_DELAY = timedelta(minutes=4)

# What is planted: calls by the name of their schedule and their minute since midnight in Tokyo.
FAILED, MISSING = ("shop-glue-hourly", 10 * 60), ("shop-glue-hourly", 14 * 60)
# How long after a call CloudTrail publishes it: late, on the next UTC day; so late that it is the day after the
# window's last; and twice.
DELAYS = {
    ("shop-glue-hourly", 8 * 60): (timedelta(hours=2),),
    ("shop-stock-sync", 23 * 60 + 45): (timedelta(hours=10),),
    ("shop-glue-hourly", 9 * 60): (USUAL_DELAY, USUAL_DELAY + SLOT),
    ("shop-ecs-nightly", 2 * 60 + 30): (USUAL_DELAY, USUAL_DELAY + SLOT),
}
FAILURE = ("EntityNotFoundException", "Entity not found")


class TrailFile(NamedTuple):
    """What CloudTrail published at this time (aware)."""

    published: datetime
    records: list[Record]


def sample_day(window: Window, seed: int = SEED, *, region: str = REGION, account: str = ACCOUNT) -> list[Record]:
    """The calls of a day in Tokyo, in the order of their times and each once; the same whenever they are made."""
    return each_once(sample_files(window, seed, region=region, account=account))


def sample_files(window: Window, seed: int = SEED, *, region: str = REGION, account: str = ACCOUNT) -> list[TrailFile]:
    """The same as CloudTrail publishes them: most on time, a few late, a few twice.

    :raises ValueError: the window is no day in Tokyo, where all the schedules are at home
    """
    midnight = window.start.astimezone(ZoneInfo(ZONE))
    if window != Window.day(f"{midnight:%Y-%m-%d}", ZONE):
        raise ValueError(f"{window} is no day in {ZONE}")
    # Sample data, not a secret: it must be the same each time.
    dice = random.Random(f"{seed} {window.start}")  # noqa: S311 - no secret: the same each time
    return _files(_Day(window, dice, {"region": region, "account": account}).calls())


def sample_schedules(*, region: str = REGION, account: str = ACCOUNT) -> list[dict[str, Any]]:
    """The schedules behind the day's calls, as parameters of CreateSchedule."""
    return [_schedule(job, region, account) for job in JOBS]


@dataclass(frozen=True)
class Job:
    """A schedule of the shop: when it fires (minutes since midnight in Tokyo), and the call that it makes.

    `target` is an ARN, or the part of a universal target behind ``aws-sdk:``.
    """

    name: str
    expression: str
    role: str
    target: str
    source: str
    event: str
    request: dict[str, str] = field(default_factory=dict)
    at: Sequence[int] = ()
    flexible: int = 0
    state: str = "ENABLED"


GLUE, STATES = "glue.amazonaws.com", "states.amazonaws.com"
MACHINE = "arn:aws:states:{region}:{account}:stateMachine:shop-stock"
JOBS = (
    Job(
        *("shop-glue-hourly", "cron(0 * * * ? *)", "shop-glue-hourly"),
        *("glue:startWorkflowRun", GLUE, "StartWorkflowRun"),
        request={"name": "shop-orders"},
        at=range(0, 1440, 60),
    ),
    Job(
        *("shop-ecs-nightly", "cron(30 2 * * ? *)", "shop-ecs-nightly"),
        *("arn:aws:ecs:{region}:{account}:cluster/shop", "ecs.amazonaws.com", "RunTask"),
        at=(150,),
    ),
    Job(
        *("shop-stock-sync", "rate(15 minutes)", "shop-stock-sync"),
        *(MACHINE, STATES, "StartExecution"),
        request={"stateMachineArn": MACHINE, "input": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        at=range(0, 1440, 15),
    ),
    Job(
        *("shop-batch-nightly", "cron(15 3 * * ? *)", "shop-batch-nightly"),
        *("batch:submitJob", BATCH, "SubmitJob"),
        request={"jobName": "close-books", "jobQueue": "shop", "jobDefinition": "close-books:3"},
        at=(195,),
        flexible=15,
    ),
    # One role for two: nobody can tell from a record which of them called.
    Job(
        *("shop-crawl-morning", "cron(0 6 * * ? *)", "shop-crawlers"),
        *("glue:startCrawler", GLUE, "StartCrawler"),
        request={"name": "orders"},
        at=(360,),
    ),
    Job(
        *("shop-crawl-evening", "cron(0 18 * * ? *)", "shop-crawlers"),
        *("glue:startCrawler", GLUE, "StartCrawler"),
        request={"name": "stock"},
        at=(1080,),
    ),
    # Its calls are data events, which a trail does not log by default.
    Job(
        *("shop-mail-hourly", "cron(5 * * * ? *)", "shop-mail-hourly"),
        *("arn:aws:lambda:{region}:{account}:function:shop-mailer", "lambda.amazonaws.com", "Invoke"),
    ),
    Job(
        *("shop-glue-legacy", "cron(20 * * * ? *)", "shop-glue-legacy"),
        *("glue:startWorkflowRun", GLUE, "StartWorkflowRun"),
        request={"name": "shop-legacy"},
        state="DISABLED",
    ),
)


class _Call(NamedTuple):
    """A call, and how long after it CloudTrail published it: more than once, where there is more than one delay."""

    record: Record
    delays: tuple[timedelta, ...] = (USUAL_DELAY,)


@dataclass
class _Day:
    """The calls of one day."""

    window: Window
    dice: random.Random
    place: dict[str, Any]  # region and account

    def calls(self) -> Iterator[_Call]:
        """All of them, in no order."""
        for job in JOBS:
            for minute in job.at:
                if (job.name, minute) != MISSING:
                    yield _Call(self._scheduled(job, minute), DELAYS.get((job.name, minute), (USUAL_DELAY,)))
        for record in (*self._batch(), *self._root(), *self._noise()):
            yield _Call(record)

    def _at(self, minute: int, second: int | None = None) -> datetime:
        # Scheduler fires within the minute, and not at second 0.
        offset = timedelta(minutes=minute, seconds=self.dice.randint(1, 59) if second is None else second)
        return self.window.start + offset

    def _scheduled(self, job: Job, minute: int) -> Record:
        at = self._at(minute + (self.dice.randrange(job.flexible) if job.flexible else 0))
        if job.event == "RunTask":
            return run_task(at, job.role, job.name, "shop", "shop-nightly:7", **self.place)
        error, message = FAILURE if (job.name, minute) == FAILED else (None, None)
        request = {name: value.format(**self.place) for name, value in job.request.items()}
        return scheduler_call(
            *(at, job.role, job.source, job.event),
            error=error,
            message=message,
            agent="old" if minute % 120 else "new",
            request_parameters=request,
            **self.place,
        )

    def _batch(self) -> Iterator[Record]:
        """Who calls AWS Batch: people and services, and one of them in vain."""
        account, start = self.place["account"], self.window.start
        alice, bob = iam_user("alice", account), sso_role("DataEngineer", "bob@shop.example", start, account)
        deploy = assumed_role("shop-deploy", "pipeline-42", start, account)
        machine = invoked_by(STATES, assumed_role("shop-stock-machine", "stock", start, account))
        callers = (alice, bob, deploy, machine, service("events.amazonaws.com"))
        for hour in range(1, 23, 2):
            job = {"jobName": f"report-{hour}", "jobQueue": "shop", "jobDefinition": "report:5"}
            made = {"jobName": job["jobName"], "jobId": f"00000000-0000-4000-8000-{hour:012d}"}
            caller = callers[hour // 2 % len(callers)]
            yield self._call_batch(hour * 60 + 7, "SubmitJob", caller, request_parameters=job, response_elements=made)
            yield self._call_batch(hour * 60 + 9, "DescribeJobs", caller, request_parameters={"jobs": [made["jobId"]]})
        gone = {"jobDefinition": "report:4"}
        yield self._call_batch(11 * 60 + 20, "DeregisterJobDefinition", bob, request_parameters=gone)
        denied = f"User: {alice['arn']} is not authorized to perform: batch:TerminateJob"
        refused: dict[str, Any] = {"error": "AccessDeniedException", "message": denied, "address": FOREIGN_ADDRESS}
        yield self._call_batch(16 * 60 + 40, "TerminateJob", alice, **refused)
        # A record of the older form, with an errorCode and no message.
        old: dict[str, Any] = {"version": "1.05", "error": "ClientException"}
        yield self._call_batch(17 * 60 + 1, "CancelJob", deploy, **old)

    def _call_batch(self, minute: int, event: str, identity: Identity, **more: Any) -> Record:
        return batch_call(self._at(minute), event, identity=identity, **(more | self.place))

    def _root(self) -> Iterator[Record]:
        """The root user in the console: a sign-in, and a change of a job queue."""
        minute = 13 * 60 + 2
        by: dict[str, Any] = {"agent": CONSOLE_AGENT, "address": OFFICE_ADDRESS} | self.place
        by["identity"] = root(self.place["account"], self._at(minute, 0))
        sign_in: dict[str, Any] = {"eventType": "AwsConsoleSignIn", "response_elements": {"ConsoleLogin": "Success"}}
        yield api_call(self._at(minute), "signin.amazonaws.com", "ConsoleLogin", **by, **sign_in)
        queue = {"jobQueue": "shop", "state": "DISABLED"}
        yield api_call(self._at(minute + 3), BATCH, "UpdateJobQueue", request_parameters=queue, **by)

    def _noise(self) -> Iterator[Record]:
        """What has nothing to do with schedules or Batch, some of it at the very ends of the day."""
        carol = console_user("carol", self.window.start, self.place["account"])
        app = assumed_role("shop-app", "i-0123456789abcdef0", self.window.start, self.place["account"])
        kinds = (
            ("ec2.amazonaws.com", "DescribeInstances", carol),
            ("kms.amazonaws.com", "GenerateDataKey", app),
            ("logs.amazonaws.com", "CreateLogStream", app),
            ("sts.amazonaws.com", "AssumeRole", service("lambda.amazonaws.com")),
            (GLUE, "GetWorkflowRun", app),
            (STATES, "StartExecution", carol),
        )
        # The window's first and last second, which belong to it, and 200 moments between.
        seconds = [0, 86_399, *(self.dice.randrange(86_400) for _ in range(200))]
        for number, second in enumerate(seconds):
            source, event, who = self.dice.choice(kinds)
            by = who.get("invokedBy")
            caller: dict[str, Any] = {"agent": by or CONSOLE_AGENT, "address": by or OFFICE_ADDRESS}
            at = self._at(0, second)
            yield api_call(at, source, event, identity=who, number=number, **caller, **self.place)


def _schedule(job: Job, region: str, account: str) -> dict[str, Any]:
    arn = job.target if job.target.startswith("arn:") else f"arn:aws:scheduler:::aws-sdk:{job.target}"
    target: dict[str, Any] = {
        "Arn": arn.format(region=region, account=account),
        "RoleArn": f"arn:aws:iam::{account}:role/{job.role}",
    }
    if job.event == "RunTask":
        definition = f"arn:aws:ecs:{region}:{account}:task-definition/shop-nightly:7"
        target["EcsParameters"] = {"TaskDefinitionArn": definition, "LaunchType": "FARGATE", "TaskCount": 1}
    elif not job.target.startswith("arn:"):
        target["Input"] = json.dumps({name[0].upper() + name[1:]: value for name, value in job.request.items()})
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": job.flexible} if job.flexible else {"Mode": "OFF"}
    return {
        "Name": job.name,
        "ScheduleExpression": job.expression,
        "ScheduleExpressionTimezone": ZONE,
        "FlexibleTimeWindow": window,
        "Target": target,
        "State": job.state,
    }


def each_once(files: Iterable[TrailFile]) -> list[Record]:
    """The records of the files, in the order of their times and without repetition."""
    found = {record["eventID"]: record for _, records in files for record in records}
    return sorted(found.values(), key=lambda record: (record["eventTime"], record["eventID"]))


def on_time(records: Iterable[Record]) -> list[TrailFile]:
    """The files of records that are published a few minutes after their calls."""
    return _files(_Call(record) for record in records)


def time_of(record: Record) -> datetime:
    """When the call was made (aware)."""
    return datetime.fromisoformat(record["eventTime"])


def _files(calls: Iterable["_Call"]) -> list[TrailFile]:
    found: dict[datetime, list[Record]] = defaultdict(list)
    for call in calls:
        for delay in call.delays:
            found[_slot(time_of(call.record) + delay)].append(call.record)
    return [TrailFile(published, found[published]) for published in sorted(found)]


def _slot(at: datetime) -> datetime:
    """The end of the five minutes in which CloudTrail publishes what it has at this time."""
    return at + (datetime.min.replace(tzinfo=UTC) - at) % SLOT
