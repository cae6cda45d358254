"""Logs Insights checks: which files apply to which targets, and the exact text that is run over a window.

A window is a span of **arrival** time. The regular run sees what arrives at most the look-back after its own time,
the daily sweep what arrives later: together they see every event once, and neither scans more than it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from log_audit.errors import QueryFileError
from log_audit.query_file import QueryFile, read_query_file
from log_audit.settings import DEFAULT_FILE, LogGroups, Settings, Target
from log_audit.window import Window, from_ms

FOLDER = DEFAULT_FILE.parent / "insights"
ROW_LIMIT = 10_000  # Insights' own, where a query names none
GROUPS_A_QUERY = 50
LINK = 2700  # characters of a URL: a block of Slack takes 3,000 in all, and holds a second link
FUTURE = timedelta(hours=2)  # CloudWatch Logs takes events that lie so far ahead of its clock

Scope = Literal["regular", "late"]


@dataclass(frozen=True)
class Look:
    """One check to run on one target over one window: what ``plan`` hands to the mapped tasks.

    :param file: the query file's path
    :param start: of the arrival window, epoch ms, inclusive
    :param end: of the arrival window, epoch ms, exclusive
    :param notes: what the alert must say besides what is found
    """

    query: str
    file: str
    target: str
    scope: Scope
    start: int
    end: int
    notes: tuple[str, ...] = ()

    @property
    def window(self) -> Window:
        return Window(from_ms(self.start), from_ms(self.end))

    @classmethod
    def of(cls, value: Look | Mapping[str, Any]) -> Look:
        return value if isinstance(value, Look) else cls(**{**value, "notes": tuple(value.get("notes", ()))})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "notes": list(self.notes)}


def query_files(folder: Path = FOLDER) -> list[Path]:
    """The checks in the folder, by name."""
    return sorted(folder.glob("*.insights"))


def targets_of(file: Path, targets: Mapping[str, Target]) -> list[str]:
    """The targets that define every set of log groups the check names.

    A file that is wrong, or that fits no target, goes to the first one, where its own task fails and says why:
    one bad file never takes the others away.
    """
    first = list(targets)[:1]
    try:
        wanted = set(read_query_file(file).log_group_sets)
    except QueryFileError:
        return first
    return [name for name, target in targets.items() if wanted <= set(target.log_group_sets)] or first


def log_groups_of(query: QueryFile, name: str, target: Target) -> list[LogGroups]:
    """The entries of the settings and of the header that a check searches on a target.

    :raises QueryFileError: the target does not define a set that the check names
    """
    for wanted in query.log_group_sets:
        if wanted not in target.log_group_sets:
            raise QueryFileError(
                f"{query.path}: log_group_sets: the settings define no set {wanted!r} for the target {name!r}; "
                f"it has {', '.join(target.log_group_sets) or 'none'}"
            )
    sets = [entry for wanted in query.log_group_sets for entry in target.log_group_sets[wanted]]
    return [*sets, *(LogGroups(name=group) for group in query.log_groups)]


def scan_range(look: Look, look_back: timedelta, late: timedelta) -> Window:
    """The span of event time in which events that arrived in the window can lie."""
    window = look.window
    if look.scope == "late":
        return Window(window.start - late, window.end - look_back)
    return Window(window.start - look_back, window.end + FUTURE)


def may_hold(group: Mapping[str, Any], scan: Window, now: datetime) -> bool:
    """Whether a log group can hold events of the scan; AWS refuses a query of which one log group cannot.

    :param group: as DescribeLogGroups returns it
    """
    end = from_ms(scan.insights_range()[1] * 1000)
    expired = group.get("retentionInDays") and end < now - timedelta(days=group["retentionInDays"])
    return from_ms(group.get("creationTime", 0)) <= end and not expired


def query_text(query: QueryFile, look: Look, look_back: timedelta, late: timedelta) -> str:
    """The check's query over exactly the events that arrived in the window and are, or are not, late."""
    delay = "toMillis(@ingestionTime) - toMillis(@timestamp)"
    on_time = f"{delay} <= {look_back // timedelta(milliseconds=1)}"
    if look.scope == "late":
        on_time = f"not ({on_time}) and {delay} <= {late // timedelta(milliseconds=1)}"
    return f"filter {look.window.insights_cut('@ingestionTime')} and {on_time} |\n{query.body}"


def look_back_of(query: QueryFile, settings: Settings) -> timedelta:
    return timedelta(minutes=query.look_back_minutes or settings.insights.look_back_minutes)


def in_fifties(log_groups: Sequence[str]) -> list[list[str]]:
    """Log groups in portions that one query may search."""
    return [list(log_groups[n : n + GROUPS_A_QUERY]) for n in range(0, len(log_groups), GROUPS_A_QUERY)]


def console_url(region: str, log_groups: Iterable[str], scan: Window, text: str) -> str:
    """A link that opens the query over the same log groups and span in the CloudWatch console.

    The console reads its state from the fragment, in JSURL with ``*`` escapes inside one more layer of ``$``. A link
    that would be too long leaves out log groups, the last ones first; only where even one is too many it leaves out
    the query, which is in its file.
    """
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    start, end = (bound.strftime("%Y-%m-%dT%H:%M:%S.000Z") for bound in (scan.start, scan.end))
    host = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    span = f"end~'{_jsurl(end)}~start~'{_jsurl(start)}~timeType~'ABSOLUTE~tz~'UTC"
    sources = [f"~'{_jsurl(group)}" for group in log_groups]
    links = (
        f"{host}#logsV2:logs-insights$3FqueryDetail$3D~({span}{editor}~source~({''.join(sources[:most])}))"
        for editor in (f"~editorString~'{_jsurl(bare)}", "")
        for most in range(max(1, len(sources)), 0, -1)
    )
    return next((link for link in links if len(link) <= LINK), host)


def _jsurl(text: str) -> str:
    return "".join(_jsurl_character(c) for c in text)


def _jsurl_character(c: str) -> str:
    if c.isascii() and (c.isalnum() or c in "._-"):
        return c
    return f"*{ord(c):02x}" if ord(c) < 256 else f"**{ord(c):04x}"
