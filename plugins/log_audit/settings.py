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
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from log_audit.archive import default_destination
from log_audit.errors import SettingsError
from log_audit.query_file import SEVERITIES, Severity

VARIABLE = "LOG_AUDIT_SETTINGS"
DEFAULT_FILE = Path(__file__).resolve().parents[2] / "include" / "settings.yaml"

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
LogGroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./#-]+$", max_length=512)]
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]|\.[a-z0-9])+$", min_length=3, max_length=63)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Channel = Annotated[str, Field(pattern=r"^#?[a-z0-9_-]+$|^[CG][A-Z0-9]+$")]
KeyPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.#-]+(/[A-Za-z0-9_.#-]+)*$", max_length=400)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # an unknown name, a folder of the database, a path
        raise ValueError("is no time zone; write an IANA name such as Asia/Tokyo") from None
    return name


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
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


class Target(_Strict):
    """One AWS account and region, reached through an Airflow connection."""

    connection: Annotated[str, Field(min_length=1)]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    archive: Archive
    log_group_sets: dict[Name, Annotated[list[LogGroups], Field(min_length=1)]] = {}


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
    look_back_minutes: Annotated[int, Field(ge=1, le=14 * 24 * 60)] = 15
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


class Settings(_Strict):
    """The whole file."""

    time_zone: Annotated[str, AfterValidator(_known_zone)]
    targets: Annotated[dict[Name, Target], Field(min_length=1)]
    export: Export = Export()
    insights: Insights = Insights()
    slack: Slack = Slack()
    redaction: Redaction = Redaction()

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


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is an error; PyYAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
