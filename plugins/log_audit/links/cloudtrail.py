"""Links from tasks to CloudTrail."""

from __future__ import annotations

from urllib.parse import quote

from log_audit.links.task_link import TaskLink
from log_audit.window import Window, iso


class EventHistoryLink(TaskLink):
    """To CloudTrail's event history of the window."""

    name = "Event history"


def history_url(region: str, window: Window) -> str:
    """The event history of a region, over a window; CloudTrail keeps 90 days of it."""
    start, end = (quote(iso(moment), safe="") for moment in (window.start, window.end))
    host = f"https://{region}.console.aws.amazon.com/cloudtrailv2/home?region={region}"
    return f"{host}#/events?StartTime={start}&EndTime={end}"
