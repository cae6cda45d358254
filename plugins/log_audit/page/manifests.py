"""The archive's own word: manifests, read from S3 on request. Airflow may have purged its events of them.

What was read is kept for a while, so that many readers are one; whoever asks for a month waits a bounded time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from log_audit.archive import ArchiveJob, Manifest, default_destination, month_prefix
from log_audit.errors import LogAuditError
from log_audit.page.model import Archived
from log_audit.settings import Settings, Target

KEPT_SECONDS = 60.0
PATIENCE_SECONDS = 20.0  # for one month of one target
MOST = 500  # answers that are kept
TIMES = {"connect_timeout": 3, "read_timeout": 10, "retries": {"total_max_attempts": 2}}


def hook_of(target: Target) -> Any:
    """The target's bucket, through its Airflow connection."""
    from botocore.config import Config

    from log_audit.hooks.s3 import ArchiveHook

    return ArchiveHook(aws_conn_id=target.connection, region_name=target.region, config=Config(**TIMES))


@dataclass
class Manifests:
    """:param hook: makes the hook of a target"""

    hook: Callable[[Target], Any] = hook_of
    clock: Callable[[], float] = time.monotonic
    _kept: dict[tuple[str, ...], tuple[float, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def month(self, name: str, target: Target, month: str) -> tuple[list[Archived], str]:
        """The manifests of a month, and why that may not be all; the latter is empty if it is.

        :param name: of the target
        """
        place = month_prefix(month, target.archive.prefix, "")
        answer: tuple[list[Archived], str] = self._once(
            (target.archive.bucket, place, month), lambda: self._listed(name, target, place, month)
        )
        return answer

    def one(self, settings: Settings, name: str, log_group: str, month: str) -> tuple[Manifest | None, str]:
        """A log group's manifest, and why it cannot be read.

        :raises KeyError: the settings have no such target
        """
        target = settings.targets[name]
        prefix = month_prefix(month, target.archive.prefix, home(target, log_group))
        job = ArchiveJob(log_group, month, settings.time_zone, target.archive.bucket, prefix)
        answer: tuple[Manifest | None, str] = self._once(
            (job.bucket, job.manifest_key), lambda: self._read(target, job)
        )
        return answer

    def _once(self, key: tuple[str, ...], ask: Callable[[], Any]) -> Any:
        with self._lock:  # one request to AWS at a time, whoever asks
            kept = self._kept.get(key)
            if kept and self.clock() < kept[0]:
                return kept[1]
            if len(self._kept) >= MOST:
                self._kept.clear()
            answer = ask()
            self._kept[key] = (self.clock() + KEPT_SECONDS, answer)
            return answer

    def _listed(self, name: str, target: Target, place: str, month: str) -> tuple[list[Archived], str]:
        found: list[Archived] = []
        until = self.clock() + PATIENCE_SECONDS
        try:
            for manifest in self.hook(target).manifests(target.archive.bucket, place):
                if manifest.month == month:
                    found.append(Archived.of_manifest(name, manifest))
                if self.clock() > until:
                    return found, f"s3://{target.archive.bucket}/{place}/ was not read to its end: it takes too long."
        except Exception as error:  # of boto3, of the connection: people must hear of it
            return found, _problem(target, error)
        return found, ""

    def _read(self, target: Target, job: ArchiveJob) -> tuple[Manifest | None, str]:
        try:
            return self.hook(target).read_manifest(job), ""
        except Exception as error:
            return None, _problem(target, error)


def home(target: Target, log_group: str) -> str:
    """The end of the S3 prefix of a log group's months."""
    named = (entry.home for entry in target.archive.log_groups if entry.name == log_group)
    return next(named, default_destination(log_group))


def _problem(target: Target, error: Exception) -> str:
    if isinstance(error, LogAuditError):
        return str(error)
    lines = str(error).splitlines() or [""]
    return (
        f"The bucket {target.archive.bucket} cannot be read from the API server through the connection "
        f"{target.connection} ({type(error).__name__}: {lines[0][:300]}). Give its role s3:GetObject and s3:ListBucket."
    )
