"""What tests may set about the stand-in's behaviour (``Control.configure``)."""

import re
from dataclasses import dataclass
from typing import Any

CHOICES = {
    "athena_outcome": ("SUCCEEDED", "FAILED", "FAILED_RETRYABLE"),
    "export_outcome": ("COMPLETED", "FAILED", "EMPTY"),
    "ecs_event_disorder": ("NONE", "REVERSED", "SHUFFLED"),
    "transport": ("TLS", "PLAIN"),
    "query_outcome": ("Complete", "Failed", "Timeout", "Cancelled", "Unknown"),
}
CHANNEL = re.compile(r"[a-z0-9_-]{1,80}")


@dataclass
class Settings:
    """Times in seconds. A task or query keeps the settings it was created under."""

    export_pending_seconds: float = 0.2
    export_running_seconds: float = 1.0
    export_cancel_seconds: float = 0.2
    export_lag_seconds: float = 0.0  # younger events are not exported
    export_events_per_object: int = 10_000
    export_outcome: str = "COMPLETED"
    export_failure_message: str = "Export failed"
    indexing_delay_seconds: float = 0.0  # younger events are not seen by queries
    query_scheduled_seconds: float = 0.05
    query_running_seconds: float = 0.2
    query_page_size: int = 10_000
    query_concurrency: int = 100
    query_outcome: str = "Complete"
    athena_queued_seconds: float = 0.05
    athena_running_seconds: float = 0.2  # at least: a query that takes longer runs longer
    athena_outcome: str = "SUCCEEDED"
    ecs_start_seconds: float = 0.05
    ecs_run_seconds: float = 0.2
    ecs_stop_seconds: float = 0.05
    ecs_stopped_visible_seconds: float = 3600.0
    ecs_event_copies: int = 1
    ecs_event_disorder: str = "NONE"  # else a task's events wait for its end, then come reversed or shuffled
    sqs_delete_failures: int = 0  # so many of the next entries of DeleteMessageBatch fail; counts down
    trail_lookups_per_second: float = 2.0  # of an account and region, as AWS has it; 0: no limit
    transport: str = "TLS"  # what bucket policies take calls for; the stand-in itself serves plain HTTP on loopback
    slack_channels: tuple[str, ...] = ("log-audit", "log-audit-critical", "general")
    slack_rate_per_minute: int = 0  # posts to a channel, at once and then on average; 0: no limit

    def change(self, changes: dict[str, Any]) -> None:
        """Apply all of `changes`, or none and raise ValueError with a sentence for the caller."""
        checked = {name: self._checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Back to the defaults (in place: others hold this object)."""
        for name, value in DEFAULTS.items():
            setattr(self, name, value)

    def _checked(self, name: str, value: Any) -> Any:
        known = {setting: type(default) for setting, default in DEFAULTS.items()}
        if name not in known:
            raise ValueError(f"There is no setting {name!r}; there are: {', '.join(sorted(known))}.")
        if known[name] is str:
            return self._checked_text(name, value)
        if known[name] is tuple:
            return self._checked_channels(name, value)
        wanted = (int,) if known[name] is int else (int, float)
        lowest = 1 if known[name] is int and DEFAULTS[name] else 0
        if isinstance(value, bool) or not isinstance(value, wanted) or value < lowest:
            raise ValueError(f"Setting {name!r} must be a number of at least {lowest}, not {value!r}.")
        return known[name](value)

    @staticmethod
    def _checked_text(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in CHOICES.get(name, (value,)):
            raise ValueError(f"Setting {name!r} must be one of {CHOICES.get(name, 'str')}, not {value!r}.")
        return value

    @staticmethod
    def _checked_channels(name: str, value: Any) -> tuple[str, ...]:
        named = isinstance(value, list) and all(isinstance(item, str) and CHANNEL.fullmatch(item) for item in value)
        if not named or len(set(value)) < len(value):
            raise ValueError(f"Setting {name!r} must be a list of different channel names without '#', not {value!r}.")
        return tuple(value)


DEFAULTS = vars(Settings()).copy()
# One for the process, as moto's own state is.
SETTINGS = Settings()
