"""Aurora's audit logs for the samples: what an AWS account has for them, and the ECS tasks that ship them.

`prepare` creates, over HTTP; `ship`, `ship_past` and `ship_now` do what a shipping task does.
"""

import gzip
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from local_aws import accounts, stack
from local_aws.aurora_lines import MICROSECOND, sample_lines
from local_aws.control import Control
from log_audit.settings import Aurora, Settings, Shipper, Target
from log_audit.window import EPOCH, Window, key_of, keys_between, utc_now

FAMILY = "aurora-log-shipper"  # of a shipper whose settings name none
CONTAINER = "shipper"
# The side-car stands first and ends with 143 when all is well: who judges a task by its first container is wrong.
CONTAINERS: list[dict[str, Any]] = [
    {"name": "log-router", "image": "example/log-router:1", "cpu": 64, "memory": 128, "essential": False},
    {"name": CONTAINER, "image": "example/aurora-log-shipper:1", "cpu": 192, "memory": 384, "essential": True},
]
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"]}}

# A scheduler starts its tasks within a minute, and not at second 0.
STARTS_AFTER = timedelta(seconds=90)
RUNS_FOR = timedelta(minutes=1)
# A task that starts so shortly before the end of an hour might be taken for one of the next.
HOUR_TO_SPARE = timedelta(seconds=10)

# The lines themselves, or what makes them for an Aurora cluster and the key of an hour: sample_lines, for one.
Lines = list[str] | Callable[[str, str, ZoneInfo], list[str]]


class Shipped(NamedTuple):
    """A task that ran, and the key of the hour or day that it was to ship."""

    task_arn: str
    key: str


def prepare(
    endpoint: str, target: Target, settings: Settings | None = None, *, account: str | None = None
) -> dict[str, str]:
    """Deploy a target's stack, and create what an account has besides; what there is already is brought up to date.

    Each call registers one more revision of the task definitions, as it does on AWS.

    :param account: by default the one that the target names
    :return: the stack's outputs
    """
    account = account or stack.account_of(target)
    outputs = stack.deploy(endpoint, target, settings, account=account)
    if target.athena.workgroup == stack.PRIMARY:
        results = f"{target.athena.results or outputs['AthenaResults']}/"
        athena = accounts.client(endpoint, "athena", target.region, account)
        updates = {"ResultConfigurationUpdates": {"OutputLocation": results}}
        athena.update_work_group(WorkGroup=stack.PRIMARY, ConfigurationUpdates=updates)
    if target.aurora:
        _create_tasks(accounts.client(endpoint, "ecs", target.region, account), target.aurora)
    return outputs


def put_history(endpoint: str, aurora: Aurora, now: datetime, *, region: str, zone: ZoneInfo) -> None:
    """What was shipped the day before, of every cluster: without it nobody could tell what is new."""
    yesterday = key_of(now, "day", zone, back=1)
    for cluster in aurora.clusters:
        for hour in (9, 12, 15):
            _put(endpoint, aurora, cluster, f"{yesterday}T{hour:02d}", sample_lines, region, zone)


def ship(
    endpoint: str, aurora: Aurora, cluster: str, key: str, lines: Lines, *, region: str, zone: ZoneInfo, **options: Any
) -> Shipped:
    """Ship the window of this key by a task of the past, which started when the settings' rule wants it.

    :param cluster: the Aurora cluster, as the settings name it
    :param key: such as ``2026-11-20T09``
    :param zone: the business time zone
    :param options: as for `ship_past`
    :raises ValueError: the task would start in the future
    """
    now = utc_now()
    started = start_of(aurora.clusters[cluster], key, zone, now)
    given = {"stopped": min(started + RUNS_FOR, now)} | options
    return ship_past(endpoint, aurora, cluster, started, lines, region=region, zone=zone, **given)


def ship_past(
    endpoint: str,
    aurora: Aurora,
    cluster: str,
    started: datetime,
    lines: Lines,
    *,
    region: str,
    zone: ZoneInfo,
    stopped: datetime | None = None,
    exit_code: int | None = 0,
    **ending: Any,
) -> Shipped:
    """The same by a task with this start (aware), from which its key follows.

    :param stopped: aware; a minute after the start where it is left out
    :param exit_code: of the shipper; None: it has none. Unless it is 0, nothing is put
    :param ending: as for ``Control.stopped_task``
    """
    shipper = aurora.clusters[cluster]
    key = key_of(started, shipper.ships, zone, back=shipper.lag)
    end, is_well = _end(exit_code, ending)
    if is_well:
        _put(endpoint, aurora, cluster, key, lines, region, zone)
    task_arn = Control(endpoint).stopped_task(
        *(shipper.ecs_cluster, family_of(shipper), shipper.command),
        region=region,
        account=stack.owner_of(aurora),
        started_at=started.timestamp(),
        stopped_at=(stopped or started + RUNS_FOR).timestamp(),
        # Without a name it would be the side-car, which stands first.
        container=CONTAINER,
        started_by=_schedule(cluster),
        **end,
    )
    return Shipped(task_arn, key)


def ship_now(
    endpoint: str,
    aurora: Aurora,
    cluster: str,
    lines: Lines,
    *,
    region: str,
    zone: ZoneInfo,
    exit_code: int | None = 0,
    **ending: Any,
) -> Shipped:
    """The same by a task that RunTask starts now, and that ends by itself soon after.

    In the last seconds of an hour this waits for the next one.
    """
    shipper = aurora.clusters[cluster]
    _stay_within_the_hour(zone)
    key = key_of(utc_now(), shipper.ships, zone, back=shipper.lag)
    end, is_well = _end(exit_code, ending)
    # Before the task runs: its end must not be told before its objects are there.
    if is_well:
        _put(endpoint, aurora, cluster, key, lines, region, zone)
    Control(endpoint).plan_task_end(region=region, account=stack.owner_of(aurora), family=family_of(shipper), **end)
    answer = accounts.client(endpoint, "ecs", region, stack.owner_of(aurora)).run_task(
        cluster=shipper.ecs_cluster,
        taskDefinition=family_of(shipper),
        launchType="FARGATE",
        networkConfiguration=NETWORK,
        startedBy=_schedule(cluster),
        overrides={"containerOverrides": [{"name": CONTAINER, "command": shipper.command}]},
    )
    return Shipped(answer["tasks"][0]["taskArn"], key)


def start_of(shipper: Shipper, key: str, zone: ZoneInfo, now: datetime) -> datetime:
    """When a task starts that ships the window of this key: in the hour or day `lag` after it, and not after `now`.

    :raises ValueError: that hour or day is yet to come
    """
    window = Window.of(key, shipper.ships, zone)
    for _ in range(shipper.lag):
        window = Window.of(key_of(window.end, shipper.ships, zone), shipper.ships, zone)
    if now <= window.start:
        raise ValueError(f"the task that ships {key} starts after {window.start.isoformat()}, which is yet to come")
    return window.start + min(STARTS_AFTER, (now - window.start) / 2)


def family_of(shipper: Shipper) -> str:
    """The task definition family that the shipper's tasks are run from."""
    return shipper.family or FAMILY


def _create_tasks(ecs: Any, aurora: Aurora) -> None:
    shippers = aurora.clusters.values()
    for cluster in sorted({shipper.ecs_cluster for shipper in shippers}):
        ecs.create_cluster(clusterName=cluster)
    for family in sorted({family_of(shipper) for shipper in shippers}):
        ecs.register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=CONTAINERS,
        )


def _put(endpoint: str, aurora: Aurora, cluster: str, key: str, lines: Lines, region: str, zone: ZoneInfo) -> None:
    """Put the lines under their hours, as two objects: Aurora writes several files side by side."""
    s3 = accounts.client(endpoint, "s3", region, stack.owner_of(aurora))
    folder = aurora.clusters[cluster].folder or cluster
    prefix = "/".join([*aurora.location.split("/")[3:], folder])
    for hour, held in _by_hour(lines, cluster, key, zone).items():
        for number, part in enumerate((held[::2], held[1::2])):
            if part:
                name = f"{prefix}/{hour[:10]}/{hour[11:]}/audit.log.{number}.gz"
                text = "".join(f"{line}\n" for line in part)
                s3.put_object(
                    Bucket=stack.bucket_of(aurora.location), Key=name, Body=gzip.compress(text.encode(), mtime=0)
                )


def _by_hour(lines: Lines, cluster: str, key: str, zone: ZoneInfo) -> dict[str, list[str]]:
    """The lines by the hours (as keys) they are put under: a key's own hour, or the hours of its day."""
    hours = _hours(key, zone)
    if callable(lines):
        return {hour: lines(cluster, hour, zone) for hour in hours}
    if hours == [key]:
        return {key: lines}
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        found[key_of(EPOCH + int(line.partition(",")[0]) * MICROSECOND, "hour", zone)].append(line)
    return found


def _hours(key: str, zone: ZoneInfo) -> list[str]:
    if "T" in key:
        return [key]
    day = Window.day(key, zone)
    first, last = (key_of(instant, "hour", zone) for instant in (day.start, day.end - MICROSECOND))
    return list(keys_between(first, last, "hour", zone))


def _end(exit_code: int | None, ending: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The end in the words of `Control`, and whether the shipper did its work."""
    if ending.get("never_started"):
        return ending, False
    codes = {CONTAINER: exit_code} | ending.get("exit_codes", {})
    return ending | {"exit_codes": codes}, codes[CONTAINER] == 0


def _stay_within_the_hour(zone: ZoneInfo) -> None:
    """The key that is told must be that of the task, which starts a moment later."""
    now = utc_now()
    if Window.hour(key_of(now, "hour", zone), zone).end - now < HOUR_TO_SPARE:
        time.sleep(HOUR_TO_SPARE.total_seconds())


def _schedule(cluster: str) -> str:
    """What EventBridge Scheduler writes into startedBy of the tasks it runs."""
    return f"chronos-schedule/ship-{cluster}"
