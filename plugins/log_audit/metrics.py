"""What the pipelines tell of themselves, through Airflow's own metrics: StatsD or OpenTelemetry, as Airflow is set.

All names stand in one table. They are counted in tasks, at the one place where a result is known; a task that is
cleared and runs again counts again. How many runs there were, how long they took and which failed is counted by
Airflow itself (``dagrun.duration.*``, ``ti_failures``).

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from log_audit.findings import Findings

log = logging.getLogger(__name__)

TAG_LENGTH = 60  # Airflow drops a name of more than 250 characters, and InfluxDB's tags are a part of it
FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")


class Metric(Enum):
    """Name after Airflow's prefix, kind, tags, and what it means."""

    LOOKS = (
        "log_audit.looks",
        "counter",
        ("target", "query", "severity"),
        "an audit or a check has looked at a window",
    )
    FINDINGS = ("log_audit.findings", "counter", ("target", "query", "severity"), "what it found")
    BYTES_SCANNED = (
        "log_audit.bytes_scanned",
        "counter",
        ("target", "query"),
        "bytes that Athena or Logs Insights scanned for it, which AWS charges for",
    )
    EXPORTS = ("log_audit.exports", "counter", ("target",), "an export task of CloudWatch Logs has completed")
    EXPORT_TIME = ("log_audit.export_time", "timer", ("target",), "how long AWS worked on it")
    EXPORTED_BYTES = ("log_audit.exported_bytes", "counter", ("target",), "compressed bytes that it wrote to S3")
    ARCHIVES = (
        "log_audit.archives",
        "counter",
        ("target", "state", "complete"),
        "a month's manifest was written: provisional or final, complete (yes) or not (no)",
    )
    EVENTS_VERIFIED = (
        "log_audit.events_verified",
        "counter",
        ("target",),
        "events read and counted for a new manifest",
    )
    DELIVERIES = ("log_audit.deliveries", "counter", ("target", "cluster"), "a delivery was recorded")
    BAD_ENDS = ("log_audit.bad_ends", "counter", ("target", "cluster"), "an ECS task ended without delivering")
    SILENT = (
        "log_audit.silent",
        "gauge",
        ("target", "cluster"),
        "1: an Aurora cluster has delivered nothing for too long; 0: all is well",
    )
    ALERT_TIME = (
        "log_audit.delivery_to_alert",
        "timer",
        ("target",),
        "from the end of the ECS task until its window was audited and what was found was told",
    )
    ALERTS = ("log_audit.alerts", "counter", ("target", "query", "severity"), "a message that a Slack channel accepted")
    ALERTS_REFUSED = (
        "log_audit.alerts_refused",
        "counter",
        ("target", "query", "severity"),
        "a try to send one that failed",
    )

    def __init__(self, stat: str, kind: str, tags: Sequence[str], meaning: str) -> None:
        self.stat = stat
        self.kind = kind
        self.tags = tags
        self.meaning = meaning


def emit(metric: Metric, value: float = 1, **tags: str) -> None:
    """Count, time or set a metric. Nothing that goes wrong here fails a task.

    :param value: of a counter how many more, of a timer milliseconds, of a gauge what it is now
    :param tags: those of the metric; names from settings, files and AWS, cut and cleaned of what StatsD forbids
    """
    kinds: dict[str, Callable[..., None]] = {"counter": stats.incr, "timer": stats.timing, "gauge": stats.gauge}
    try:
        kinds[metric.kind](metric.stat, value, tags={name: tag(tags[name]) for name in metric.tags})
    except Exception as error:  # of a backend: a metric is not worth a task
        log.warning("the metric %s could not be sent: %s", metric.stat, error)


def tag(value: Any) -> str:
    """A value that every backend takes: StatsD ends a name at a colon, InfluxDB's tags at a comma."""
    return FORBIDDEN.sub("_", str(value))[:TAG_LENGTH] or "none"


def looked(findings: Findings) -> None:
    """Of a look that has come to its end, whatever it found."""
    of_findings(Metric.LOOKS, findings)
    of_findings(Metric.FINDINGS, findings, findings.total)
    emit(Metric.BYTES_SCANNED, findings.bytes_scanned, target=findings.target, query=findings.query)


def of_findings(metric: Metric, findings: Findings, value: float = 1) -> None:
    """Of what is counted by target, query and severity: looks, findings, alerts that were accepted, or were not."""
    emit(metric, value, target=findings.target, query=findings.query, severity=findings.severity)


def target_of(context: Any) -> str:
    """The target of a task of the archive's DAGs: their task groups are named after the targets."""
    return str(context["ti"].task_id).rpartition(".")[0]
