"""Log groups with a class, a settable creation time, and retention.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
"""

import time
from datetime import timedelta
from typing import Any

from moto.logs.models import LogGroup

DAY_MS = timedelta(days=1) // timedelta(milliseconds=1)


def now_ms() -> int:
    """The time, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class LocalLogGroup(LogGroup):
    """A log group that knows its class and may have been created in the past."""

    def __init__(self, account_id: str, region: str, name: str, **kwargs: Any) -> None:
        super().__init__(account_id, region, name, **kwargs)
        self.log_group_class: str = kwargs.get("logGroupClass") or "STANDARD"
        self.created_ms: int = kwargs.get("createdMs") or now_ms()

    def to_describe_dict(self) -> dict[str, Any]:
        """As DescribeLogGroups gives it."""
        return super().to_describe_dict() | {
            "creationTime": self.created_ms,
            "logGroupClass": self.log_group_class,
        }

    def expire(self, at_ms: int) -> None:
        """Forget the events that retention has taken."""
        if self.retention_in_days:
            oldest = at_ms - int(self.retention_in_days) * DAY_MS
            for stream in self.streams.values():
                stream.events = [event for event in stream.events if event.timestamp >= oldest]
