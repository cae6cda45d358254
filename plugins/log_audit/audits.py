"""Athena audits: which window a key names, and what a query over it is given.

- Aurora: the S3 partitions of one hour or day of one cluster, in the business time zone: what one delivery shipped. An
  audit reads them whole and cuts nothing by timestamp, so that what a log holds beside its hour is seen too.
- CloudTrail: one business day of one target, cut by the time of the event out of the UTC days in which its files may
  have been published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from log_audit.errors import InvalidKeyError
from log_audit.query_file import HISTORY, QueryFile
from log_audit.settings import DEFAULT_FILE, Settings, Target
from log_audit.sql import Value
from log_audit.window import Window, days_before

FOLDERS = {name: DEFAULT_FILE.parent / "sql" / "audits" / name for name in ("aurora", "cloudtrail")}
EXAMPLES = {"hour": "2026-11-20T09", "day": "2026-11-19"}


@dataclass(frozen=True)
class AuditWindow:
    """One window of one target.

    :param key: the partition key of the run that audits it
    :param day: of the business time zone
    :param given: what placeholders of every query stand for
    :param home: where the window's data lies in S3
    """

    target: str
    key: str
    window: Window
    day: str
    given: Mapping[str, Value]
    home: str

    def values(self, query: QueryFile) -> dict[str, Value]:
        """What the query's placeholders stand for: its header's parameters, and what the window gives."""
        history = {HISTORY: days_before(self.day, query.history_days)} if query.history_days else {}
        return {**query.parameters, **self.given, **history}


def read_window(audit: Mapping[str, str], settings: Settings) -> AuditWindow:
    """The window of what ``plan`` hands to a mapped audit: its ``key`` and, of CloudTrail, its ``target``."""
    if target := audit.get("target"):
        return cloudtrail_window(target, audit["key"], settings)
    return aurora_window(audit["key"], settings)


def aurora_window(key: str | None, settings: Settings) -> AuditWindow:
    """The window of a partition key such as ``aurora-prod/2026-11-20T09``.

    :raises InvalidKeyError: says which keys there are
    """
    clusters = settings.aurora_clusters
    cluster, slash, when = (key or "").partition("/")
    if not slash or cluster not in clusters:
        known = ", ".join(example_keys(settings))
        raise InvalidKeyError(
            f"{key!r} names no window of an Aurora cluster of the settings; a partition key looks like one of these: "
            f"{known or 'none, since no target of the settings has aurora'}"
        )
    target, aurora, shipper = clusters[cluster]
    folder, day, hour = shipper.folder or cluster, when[:10], when[11:]
    return AuditWindow(
        target=target,
        key=f"{cluster}/{when}",
        window=Window.of(when, shipper.ships, settings.zone),
        day=day,
        given={"cluster": folder, "day": day, "first_hour": hour or "00", "last_hour": hour or "23"},
        home="/".join(filter(None, (aurora.location, folder, day, hour))),
    )


def example_keys(settings: Settings) -> list[str]:
    """What a partition key of each Aurora cluster looks like."""
    return [f"{name}/{EXAMPLES[shipper.ships]}" for name, (_, _, shipper) in settings.aurora_clusters.items()]


def cloudtrail_window(target: str, key: str | None, settings: Settings) -> AuditWindow:
    """The business day of a partition key such as ``2026-11-19``, in a target that has ``cloudtrail``.

    :raises InvalidKeyError: says how to write the key
    """
    if not key:
        raise InvalidKeyError(f"{key!r} names no day; give a partition key such as {EXAMPLES['day']}")
    window = Window.day(key, settings.zone)
    start, end = window.eventtime_range()
    days = window.utc_days()
    trail = settings.targets[target].cloudtrail
    return AuditWindow(
        target=target,
        key=key,
        window=window,
        day=key,
        given={"window_start": start, "window_end": end, "first_day": days[0], "last_day": days[-1]},
        home=f"{trail.location}/…/{days[0]} to {days[-1]}" if trail and trail.location else "CloudTrail",
    )


def athena_keywords(target: Target) -> dict[str, str]:
    """What every operator that asks Athena in a target is given."""
    output = {"output_location": target.athena.results} if target.athena.results else {}
    return {
        "aws_conn_id": target.connection,
        "region_name": target.region,
        "database": target.athena.database,
        "workgroup": target.athena.workgroup,
        **output,
    }


def query_files(folder: Path) -> list[Path]:
    """The audits in the folder, by name."""
    return sorted(folder.glob("*.sql"))
