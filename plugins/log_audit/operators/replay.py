"""Windows of the past, to be audited again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from log_audit import forms
from log_audit.errors import InvalidKeyError
from log_audit.settings import Settings
from log_audit.window import Window, key_of, keys_between, read_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

BATCH = 100  # keys that one task emits


class PlanReplayOperator(BaseOperator):
    """The partition keys of a cluster's past windows, in batches.

    Reads the parameters ``cluster``, ``from`` and ``to`` (ISO times; a time without a zone is in the business zone):
    every window that begins at or after ``from`` and before ``to``. With ``dry_run`` it names them in its log alone.

    :returns: keywords for :class:`EmitWindowsOperator`
    :raises InvalidKeyError: an unknown cluster, no time, or times the wrong way round
    :raises WindowNotOverError: the last window has not ended
    """

    ui_color = "#e6e6e6"

    def __init__(self, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings

    def execute(self, context: Context) -> list[dict[str, Any]]:
        params, zone = context["params"], self.settings.zone
        clusters = self.settings.aurora_clusters
        cluster = params["cluster"]
        if cluster not in clusters:
            raise InvalidKeyError(f"cluster: {cluster!r} is none of the settings'; there are {', '.join(clusters)}")
        unit = clusters[cluster][2].ships
        start, end = (read_time(str(params[name]), zone) for name in ("from", "to"))
        first, last = key_of(start, unit, zone), key_of(end - timedelta.resolution, unit, zone)
        if Window.of(first, unit, zone).start < start:
            first = key_of(Window.of(first, unit, zone).end, unit, zone)
        keys = list(keys_between(first, last, unit, zone)) if start < end else []
        if not keys:
            raise InvalidKeyError(f"no {unit} of {cluster} begins from {start.isoformat()} to {end.isoformat()}")
        Window.of(keys[-1], unit, zone).require_over(utc_now(), timedelta(0), zone)
        self.log.info("%d windows, from %s to %s", len(keys), keys[0], keys[-1])
        if forms.is_dry_run(context):
            return []
        whole = [f"{cluster}/{key}" for key in keys]
        return [{"keys": whole[n : n + BATCH]} for n in range(0, len(whole), BATCH)]


class EmitWindowsOperator(BaseOperator):
    """Add windows to an asset again, so that each of them is audited.

    :param outlets: the asset alone
    :param keys: partition keys
    """

    ui_color = "#d9e8dc"

    def __init__(self, *, keys: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keys = keys

    def execute(self, context: Context) -> int:
        event: Any = context["outlet_events"][self.outlets[0]]
        event.add_partitions(self.keys)
        event.extra = {"replay": True, "alert": bool(context["params"].get("alert"))}
        return len(self.keys)
