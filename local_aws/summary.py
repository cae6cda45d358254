"""The listings at the end of ``make run``: what was archived, audited and told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_aws.airflow import LocalAirflow
from local_aws.control import Control
from local_aws.server import LocalAws
from local_aws.terminal import Listing


def archive(airflow: LocalAirflow) -> Listing:
    """What the asset events say of each archived month."""
    listing = Listing("Archive", ("month", "log group", "#objects", "#events", "#bytes", "archive"))
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for extra in extras(airflow):
        if "export_task_id" in extra:
            latest[extra["month"], extra["log_group"]] = extra
    for (month, group), extra in sorted(latest.items()):
        said = ", ".join(["verified", extra["state"], *(f"incomplete: {note}" for note in extra["notes"])])
        numbers = (f"{extra[name]:,}" for name in ("objects", "events", "bytes"))
        listing.rows.append((month, group, *numbers, said))
    return listing


def alerts(aws: LocalAws) -> Listing:
    """What the stand-in for Slack was told."""
    listing = Listing("Alerts", ("channel", "message"))
    for message in Control(aws.endpoint).slack_messages():
        listing.rows.append((f"#{message['channel']}", message["text"]))
    return listing


def audits(airflow: LocalAirflow) -> Listing:
    """What the audits of each window found."""
    listing = Listing("Audits", ("window", "audit", "#findings", "#bytes scanned"))
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for extra in extras(airflow):
        if "key" in extra and "looks" in extra:
            latest |= {(extra["key"], look["query"]): look for look in extra["looks"]}
    for (key, query), look in sorted(latest.items()):
        listing.rows.append((key, query, f"{look['total']:,}", f"{look['bytes_scanned']:,}"))
    return listing


def extras(airflow: LocalAirflow) -> Iterator[dict[str, Any]]:
    """What every asset event says, the oldest first."""
    for event in airflow.pages("assets/events", "asset_events", order_by="timestamp"):
        yield event["extra"]
