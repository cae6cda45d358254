"""``include/settings.yaml``, read and checked when the DAGs are parsed.

Nothing here asks AWS anything: what needs an answer from AWS (which log groups a prefix means) is resolved by
the run that needs it.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from log_audit.archive import default_destination
from log_audit.errors import SettingsError
from log_audit.query_file import INCLUDE, SEVERITIES, PlainLoader, Severity
from log_audit.window import Unit

VARIABLE = "LOG_AUDIT_SETTINGS"
DEFAULT_FILE = INCLUDE / "settings.yaml"

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
LogGroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./#-]+$", max_length=512)]
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]|\.[a-z0-9])+$", min_length=3, max_length=63)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Channel = Annotated[str, Field(pattern=r"^#?[a-z0-9_-]+$|^[CG][A-Z0-9]+$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html; the name is a part of S3 keys
AuroraName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=63)]
S3Folder = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[A-Za-z0-9_.=-]+)*$")]
Queue = Annotated[str, Field(pattern=r"^https?://\S+/\d{12}/[A-Za-z0-9_-]{1,80}$")]
KeyPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.#-]+(/[A-Za-z0-9_.#-]+)*$", max_length=400)]

# What Airflow takes for an owner's link
Address = Annotated[str, Field(pattern=r"^(https?://[^\s/]+|mailto:[^\s@]+@)\S*$")]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # an unknown name, a folder of the database, a path
        raise ValueError("is no time zone; write an IANA name such as Asia/Tokyo") from None
    return name


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LogGroups(_Strict):
    """One log group by ``name``, or all those that begin with ``name_prefix``."""

    name: LogGroupName | None = None
    name_prefix: LogGroupName | None = None
    destination: KeyPrefix | None = None
    reconcile: bool = False

    @property
    def home(self) -> str:
        """The end of the S3 prefix of its months."""
        return self.destination or default_destination(self.name or self.name_prefix or "")

    @model_validator(mode="after")
    def _one_way_of_naming(self) -> LogGroups:
        if (self.name is None) == (self.name_prefix is None):
            raise ValueError("needs either name or name_prefix, and not both")
        if self.name_prefix and self.destination:
            raise ValueError("destination goes with name only: the groups behind a prefix would share it")
        return self


class Archive(_Strict):
    """Where exported months of the log groups go."""

    bucket: BucketName
    prefix: KeyPrefix | None = None
    log_groups: Annotated[list[LogGroups], Field(min_length=1)]

    @model_validator(mode="after")
    def _groups_keep_apart(self) -> Archive:
        taken: dict[str, int] = {}
        for number, group in enumerate(self.log_groups):
            for what in filter(None, (group.name or group.name_prefix, group.name and group.home)):
                other = taken.setdefault(what, number)
                if other != number:
                    raise ValueError(
                        f"log_groups.{other} and log_groups.{number} would both go to s3://{self.bucket}/<YYYY>/<MM>/…/"
                        f"{group.home}/; name each log group once, and give it a destination of its own"
                    )
        return self


class Shipper(_Strict):
    """The ECS task that ships the audit log of one Aurora cluster to S3, and when it does so."""

    ecs_cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
    command: Annotated[list[str], Field(min_length=1)]
    family: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")] | None = None
    ships: Unit = "hour"
    lag: Annotated[int, Field(ge=0, le=1000)] = 1
    silent_after_hours: Annotated[float, Field(gt=0, le=24 * 366)] | None = None
    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)] | None = None

    @model_validator(mode="after")
    def _silence_is_longer_than_a_window(self) -> Shipper:
        unit = {"hour": timedelta(hours=1), "day": timedelta(days=1)}[self.ships]
        if self.silent_after <= unit:
            raise ValueError(
                f"silent_after_hours {self.silent_after_hours} must be more than the {self.ships} it ships"
            )
        return self

    @property
    def silent_after(self) -> timedelta:
        return timedelta(hours=self.silent_after_hours or {"hour": 3, "day": 30}[self.ships])


class Athena(_Strict):
    """Where queries run, and where their results go unless the workgroup says so."""

    database: Name = "log_audit"
    workgroup: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] = "primary"
    results: S3Folder | None = None


class Aurora(_Strict):
    """Where the Aurora clusters' audit logs arrive, and who ships them."""

    location: S3Folder
    queue: Queue | None = None
    clusters: Annotated[dict[AuroraName, Shipper], Field(min_length=1)]

    @model_validator(mode="after")
    def _shippers_keep_apart(self) -> Aurora:
        for (one, first), (other, second) in combinations(self.clusters.items(), 2):
            same_task = (first.ecs_cluster, first.command) == (second.ecs_cluster, second.command)
            if same_task and (first.family == second.family or None in (first.family, second.family)):
                raise ValueError(
                    f"clusters.{one} and clusters.{other} are shipped by the same task: one of the two would never "
                    "have a delivery; give each a command or a family of its own"
                )
            if (first.folder or one) == (second.folder or other):
                raise ValueError(f"clusters.{one} and clusters.{other} share the folder {first.folder or one}")
        return self


class Trail(_Strict):
    """Where CloudTrail puts its files, and how schedules are looked after."""

    location: S3Folder | None = None
    accounts: Annotated[list[Annotated[str, Field(pattern=r"^\d{12}$")]], Field(min_length=1)]
    regions: Annotated[list[Region], Field(min_length=1)]
    schedules: Literal["table", "lookup", "off"] = "table"

    @model_validator(mode="after")
    def _the_table_has_a_place(self) -> Trail:
        if self.location is None and self.schedules == "table":
            raise ValueError("schedules: table needs the location of the trail's files; or write schedules: lookup")
        return self


class Target(_Strict):
    """One AWS account and region, reached through an Airflow connection."""

    connection: Annotated[str, Field(min_length=1)]
    region: Region
    archive: Archive
    athena: Athena = Athena()
    aurora: Aurora | None = None
    cloudtrail: Trail | None = None
    log_group_sets: dict[Name, Annotated[list[LogGroups], Field(min_length=1)]] = {}

    @property
    def place(self) -> tuple[str, str]:
        """Where AWS counts its quotas, as far as the settings tell."""
        return self.connection, self.region


class Export(_Strict):
    """How exports wait."""

    settle_hours: Annotated[float, Field(ge=0, le=24 * 31)] = 12
    slot_timeout_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 26
    poll_seconds: Annotated[int, Field(ge=1, le=300)] = 10

    @property
    def settle(self) -> timedelta:
        return timedelta(hours=self.settle_hours)

    @property
    def slot_timeout(self) -> timedelta:
        return timedelta(hours=self.slot_timeout_hours)


class Insights(_Strict):
    """How the Logs Insights checks look."""

    settle_minutes: Annotated[float, Field(ge=0, le=60)] = 2
    look_back_minutes: Annotated[int, Field(ge=1, le=14 * 24 * 60)] = 3
    late_days: Annotated[float, Field(gt=0, le=14)] = 2
    catch_up_hours: Annotated[float, Field(gt=0, le=24 * 14)] = 24
    poll_seconds: Annotated[int, Field(ge=1, le=60)] = 2

    @property
    def settle(self) -> timedelta:
        return timedelta(minutes=self.settle_minutes)

    @model_validator(mode="after")
    def _sweep_reaches_further(self) -> Insights:
        if timedelta(minutes=self.look_back_minutes) >= self.late:
            raise ValueError(
                f"look_back_minutes {self.look_back_minutes} is not less than late_days {self.late_days:g} "
                f"({self.late_days * 24 * 60:g} minutes), so the late sweep would look at nothing; lower "
                "look_back_minutes, or raise late_days"
            )
        return self

    @property
    def late(self) -> timedelta:
        return timedelta(days=self.late_days)

    @property
    def catch_up(self) -> timedelta:
        return timedelta(hours=self.catch_up_hours)


class CloudTrail(_Strict):
    """When a day of CloudTrail can be audited."""

    settle_hours: Annotated[float, Field(ge=0, le=24 * 7)] = 3

    @property
    def settle(self) -> timedelta:
        return timedelta(hours=self.settle_hours)


class Delivery(_Strict):
    """How the ends of ECS tasks are watched."""

    visibility_minutes: Annotated[float, Field(ge=0.05, le=12 * 60)] = 30
    poll_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    blind_after_minutes: Annotated[float, Field(ge=0.05, le=24 * 60)] = 30


class Slack(_Strict):
    """Where alerts go: a connection of type Slack API, and channels for each severity."""

    connection: Annotated[str, Field(min_length=1)] = "slack_default"
    channels: dict[Severity, list[Channel]] = {key: ["log-audit"] for key in SEVERITIES}
    failures: Annotated[list[Channel], Field(min_length=1)] = ["log-audit"]
    pace_minutes: Annotated[float, Field(ge=0, le=7 * 24 * 60)] = 60

    @model_validator(mode="after")
    def _every_severity_has_a_channel(self) -> Slack:
        if silent := [severity for severity in SEVERITIES if not self.channels.get(severity)]:
            raise ValueError(f"channels has none for {', '.join(silent)}: findings would be lost in silence")
        return self

    @property
    def pace(self) -> timedelta:
        return timedelta(minutes=self.pace_minutes)


class Redaction(_Strict):
    """What to mask besides what is always masked."""

    patterns: list[Annotated[str, AfterValidator(_regular_expression)]] = []


class Cost(_Strict):
    """What AWS charges for what queries read, US dollars: the list prices of Tokyo, unless the file says otherwise."""

    athena_usd_per_tb: Annotated[float, Field(ge=0, le=1000)] = 5.0
    insights_usd_per_gb: Annotated[float, Field(ge=0, le=1000)] = 0.0076


class Settings(_Strict):
    """The whole file."""

    time_zone: Annotated[str, AfterValidator(_known_zone)]
    targets: Annotated[dict[Name, Target], Field(min_length=1)]
    export: Export = Export()
    insights: Insights = Insights()
    delivery: Delivery = Delivery()
    cloudtrail: CloudTrail = CloudTrail()
    slack: Slack = Slack()
    redaction: Redaction = Redaction()
    cost: Cost = Cost()
    owner_link: Address | None = None

    @model_validator(mode="after")
    def _targets_keep_apart(self) -> Settings:
        """Log groups of two accounts may have one name: in one place, each would pass for the other's archive."""
        for (one, first), (other, second) in combinations(self.targets.items(), 2):
            places = [f"{target.archive.prefix or ''}/".lstrip("/") for target in (first, second)]
            shared = places[0].startswith(places[1]) or places[1].startswith(places[0])
            if first.archive.bucket == second.archive.bucket and shared:
                raise ValueError(
                    f"targets.{one} and targets.{other} would both archive to s3://{first.archive.bucket}/<YYYY>/<MM>/"
                    f"{min(places)}; give each a bucket, or a prefix of its own that is not a part of the other's"
                )
        return self

    @model_validator(mode="after")
    def _targets_have_queues_and_tables_of_their_own(self) -> Settings:
        for (one, first), (other, second) in combinations(self.targets.items(), 2):
            queues = [target.aurora.queue for target in (first, second) if target.aurora and target.aurora.queue]
            if len(queues) == 2 and queues[0] == queues[1]:
                raise ValueError(
                    f"targets.{one} and targets.{other} share the queue {queues[0]}: each would delete the other's "
                    "messages; give each account and region a queue of its own"
                )
            places = [(target.connection, target.region, target.athena.database) for target in (first, second)]
            if places[0] == places[1] and (first.aurora or first.cloudtrail) and (second.aurora or second.cloudtrail):
                raise ValueError(
                    f"targets.{one} and targets.{other} would make the same tables in the database "
                    f"{first.athena.database}; give one another athena.database"
                )
        return self

    @model_validator(mode="after")
    def _cluster_names_are_keys(self) -> Settings:
        """A cluster's name begins the partition keys of its windows."""
        homes: dict[str, str] = {}
        for name, target in self.targets.items():
            for cluster in target.aurora.clusters if target.aurora else ():
                other = homes.setdefault(cluster, name)
                if other != name:
                    raise ValueError(
                        f"targets.{other} and targets.{name} both have an Aurora cluster {cluster!r}, and their "
                        "partition keys would be the same; rename one, and give it folder: "
                        f"{cluster}, its name in S3"
                    )
        return self

    @cached_property
    def aurora_clusters(self) -> dict[str, tuple[str, Aurora, Shipper]]:
        """Every Aurora cluster with its target's name and Aurora settings."""
        return {
            cluster: (name, target.aurora, shipper)
            for name, target in self.targets.items()
            if target.aurora
            for cluster, shipper in target.aurora.clusters.items()
        }

    def export_pool(self, name: str) -> str:
        """The pool of a target's exports: AWS runs one at a time in an account and region.

        Targets with the same connection and region are in one account and region, and share the pool of the first of
        them. Two connections may lead to one account, which nobody can tell here: their exports wait for each other at
        AWS, in the time of ``slot_timeout_hours``.
        """
        here = self.targets[name].place
        return f"logs_export_{next(other for other, target in self.targets.items() if target.place == here)}"

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def load_settings(path: str | Path | None = None) -> Settings:
    """Read and check the settings file.

    :param path: the file; without it the one that ``LOG_AUDIT_SETTINGS`` names, else ``include/settings.yaml``
    :raises SettingsError: names the file, each wrong key with its value, and what to do
    """
    file = Path(path or os.environ.get(VARIABLE) or DEFAULT_FILE)
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}; set {VARIABLE} to the settings file") from None
    except (yaml.YAMLError, *NOT_YAML) as error:
        raise SettingsError(f"{file} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{file} must hold the keys {', '.join(Settings.model_fields)}")
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(f"{file}:\n" + "\n".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> list[str]:
    return [f"  {_sentence(detail)}" for detail in error.errors(include_url=False)]


def _sentence(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "the file"
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such key; remove it or mend its spelling"
        case "missing":
            return f"{key}: this key is missing; add it"
        case "value_error":
            value = "" if isinstance(detail["input"], dict) else f" {detail['input']!r}"
            return f"{key}:{value} {detail['ctx']['error']}"
        case _:
            return f"{key}: {detail['input']!r} will not do: {detail['msg']}"


# What PyYAML lets through from text that it takes for a date, a number, a key or a nest without end.
NOT_YAML = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class _UniqueKeys(PlainLoader):
    """YAML in which a key given twice is an error; PyYAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
