"""What people read: Slack messages about findings and about the pipeline's own failures.

Text from logs is hostile: all of it passes :func:`escape` or :func:`code_block`. A message stays within Slack's
limits by saying what it leaves out: at most 50 blocks, 3,000 characters a section, 150 a header.
https://api.slack.com/reference/block-kit/blocks, https://api.slack.com/reference/surfaces/formatting#escaping
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from log_audit.findings import Findings, cut
from log_audit.watch import Say
from log_audit.window import Window, from_ms

SECTION = 2900  # Slack's 3,000, less what marks and ellipses take
HEADER = 150
BUDGET = 12_000  # of the 13,000 or so that Slack takes in all
NOTE = 800
TABLE_ROWS, TABLE_WIDTH = 10, 96
CARDS, CARD_WIDTH = 2400, 200
# Slack takes these for formatting at the edge of a word; an invisible joiner takes that away.
MARK = re.compile(r"`|(?<![A-Za-z0-9])[*_~]|[*_~](?![A-Za-z0-9])")
EVENT_TYPE = "log_audit_alert"
SIGNS = {"info": "⚪", "low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}

NO_FENCE = "\u02cb" * 3  # looks like a fence, and is none

Block = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """What chat.postMessage is given, but for the channel.

    :param text: what notifications and screen readers show
    """

    text: str
    blocks: list[Block]


@dataclass(frozen=True)
class Surroundings:
    """Where an alert comes from, for its links and times.

    :param run_url: the Airflow run
    :param zone: the business time zone
    """

    run_url: str
    zone: ZoneInfo


def escape(text: str) -> str:
    """Text that Slack shows as it is: no mention, no link, no emphasis.

    Marks inside of words mean nothing to Slack, so names_like_this stay as they are, to be copied.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARK.sub("\u2060\\g<0>\u2060", text)


def code(name: str) -> str:
    """A name, to be copied."""
    return f"`{name.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('`', chr(0x2CB))}`"


def code_block(text: str) -> str:
    """Preformatted text, cut to fit a section; a fence inside it cannot end it."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", NO_FENCE)
    return f"```{_cut_escaped(text, SECTION)}```"


def finding_message(findings: Findings, say: Say, around: Surroundings) -> Message:
    """The message about one window. What does not fit into a message gives way, the least useful first."""
    headline = _headline(findings, say, around)
    title = cut(f"{SIGNS[findings.severity]} {findings.severity.upper()} · {findings.title}", HEADER)
    blocks: list[Block] = [] if say.in_thread else [{"type": "header", "text": {"type": "plain_text", "text": title}}]
    blocks.append(section(headline))
    blocks += [section(cut(f"⚠️ {escape(note)}", NOTE)) for note in findings.notes[:5]]
    links = _links(findings, around)
    for extra in [*_sample(findings), *(_advice(findings) if say.kind in {"opened", "found"} else [])]:
        if _size([*blocks, extra, links]) <= BUDGET:
            blocks.append(extra)
    return Message(text=cut(f"{title}: {headline}", NOTE), blocks=[*blocks, links])


def digest_message(several: Sequence[Findings], around: Surroundings) -> Message:
    """One message about several findings of one window that nobody needs to hurry for."""
    first = several[0]
    when = first.window.describe_both(around.zone)
    title = cut(f"{SIGNS['info']} Digest of {first.key} · {first.target}", HEADER)
    blocks: list[Block] = [{"type": "header", "text": {"type": "plain_text", "text": title}}, section(when)]
    links = context(_link(around.run_url, "Airflow run") or "Airflow")
    left_out = []
    for findings in several:
        named = section(f"*{escape(findings.title)}* · {findings.total:,} · {code(findings.query)}")
        shown = [named, *_sample(findings)]
        if _size([*blocks, *shown, links]) <= BUDGET and len(blocks) + len(shown) < 48:
            blocks += shown
        else:
            left_out.append(findings.query)
    if left_out:
        blocks.append(context(f"No room for {', '.join(map(code, left_out))}; the run has them."))
    return Message(text=cut(f"{title}: {when}", NOTE), blocks=[*blocks, links])


def _size(blocks: Sequence[Block]) -> int:
    texts = [text for block in blocks for text in ([block["text"]] if "text" in block else block["elements"])]
    return sum(len(text["text"]) for text in texts)


def _sample(findings: Findings) -> list[Block]:
    if not (findings.total and findings.rows):
        return []
    text, count = table(findings.rows)
    shown = [section(code_block(text))]
    if findings.total > count:
        shown.append(context(f"{count} of {findings.total:,} are shown; the console has all."))
    return shown


def _headline(findings: Findings, say: Say, around: Surroundings) -> str:
    when = findings.window.describe_both(around.zone)
    where = f"{code(findings.query)} @ {code(findings.target)}" + (f" · {code(findings.key)}" if findings.key else "")
    if findings.said:
        return f"{'✅ ' if say.kind == 'recovered' else ''}{escape(findings.said)} · {where}"
    many = f"*{findings.total:,}* finding{'s' if findings.total != 1 else ''}"
    if say.kind in {"opened", "found"}:
        return f"{many}{' in' if findings.key else ', arrived'} {when} · {where}"
    incident = say.incident
    if say.kind == "update" and incident:
        news = f"{incident.untold:,} since the last message, {incident.total:,} in all"
        return f"still going on: {many}, arrived {when}; {news}"
    if say.kind == "recovered" and incident:
        whole = Window(from_ms(incident.since), from_ms(incident.until)).describe_both(around.zone)
        return f"✅ recovered: nothing arrived {when}. It lasted {whole}, *{incident.total:,}* in all · {where}"
    return f"cannot look at everything: {when} · {where}"


def table(rows: Sequence[Mapping[str, str]]) -> tuple[str, int]:
    """Rows as aligned text, one line each, and how many of them: hostile line breaks and widths are tamed.

    What is the same in all rows is said once, above them. Rows that are too wide for one line are told one below the
    other, a line for each cell: half a time or half an error message helps nobody.
    """
    rows = rows[:TABLE_ROWS]
    names = list(dict.fromkeys(name for row in rows for name in row))
    same = [name for name in names if len(rows) > 1 and len({row.get(name) for row in rows}) == 1]
    names = [name for name in names if name not in same] or names
    cells = [[_flat(row.get(name, "")) for name in names] for row in rows]
    above = [cut(f"{_flat(name)}: {_flat(rows[0][name])}", TABLE_WIDTH) for name in same if names != same]
    widths = [max(map(len, column)) for column in zip(map(_flat, names), *cells, strict=True)]
    if sum(widths) + 2 * len(widths) > TABLE_WIDTH:
        return _cards(above, names, cells)
    for line in [[_flat(name) for name in names], *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        above.append("  ".join(padded).rstrip())
    return "\n".join(above), len(rows)


def _cards(above: list[str], names: Sequence[str], cells: Sequence[Sequence[str]]) -> tuple[str, int]:
    """As many rows as fit, at least one, a line for each cell that is not empty."""
    width = max(len(_flat(name)) for name in names)
    text, count = "\n".join(above), 0
    for row in cells:
        lines = [
            cut(f"{_flat(name).ljust(width)}  {cell}", CARD_WIDTH)
            for name, cell in zip(names, row, strict=True)
            if cell
        ]
        card = "\n".join(lines)
        if count and len(text) + len(card) > CARDS:
            break
        text, count = "\n\n".join(filter(None, [text, card])), count + 1
    return text, count


def _flat(text: str) -> str:
    """One printable line: control and direction-changing characters become visible or vanish."""
    return "".join(c if c.isprintable() else "↵" if c == "\n" else " " for c in text)


def _advice(findings: Findings) -> list[Block]:
    """From the query file, what helps most first."""
    parts = []
    if findings.runbook:
        parts.append(f"*What to do*\n{escape(findings.runbook.strip())}")
    if findings.description:
        parts.append(f"*What it looks for*\n{escape(findings.description.strip())}")
    if findings.false_positives:
        parts.append(f"*False positives*\n{escape(findings.false_positives.strip())}")
    return [section(part) for part in parts]


def _links(findings: Findings, around: Surroundings) -> Block:
    links = [_link(findings.console, "Open in the console"), _link(around.run_url, "Airflow run")]
    return context(*filter(None, links), *_cost(findings))


def _cost(findings: Findings) -> list[str]:
    if not (findings.ids or findings.bytes_scanned):
        return []
    scanned = f"{_amount(findings.bytes_scanned)} scanned"
    if findings.queue_ms is None or findings.engine_ms is None:
        return [scanned]
    return [f"{scanned}, {findings.queue_ms / 1000:.1f} s queued, {findings.engine_ms / 1000:.1f} s run"]


def _link(url: str, label: str) -> str:
    return f"<{url}|{label}>" if url else ""


def _amount(count: int) -> str:
    """Bytes, as people read them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def run_failed_message(
    *, dag_id: str, what: str, reason: str, failed: Sequence[str], run_url: str, log_url: str
) -> Message:
    """The pipeline itself failed: one message a run, however many tasks.

    :param what: the run's key or window
    :param failed: the names of the failed tasks, as far as known
    """
    title = f"🔴 Airflow run failed · {dag_id}"
    lines = [f"*{escape(dag_id)}* {escape(what)}: {escape(reason) or 'no reason given'}"]
    if failed:
        shown = ", ".join(escape(cut(name, 120)) for name in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        lines.append(f"{len(failed)} failed task{'s' if len(failed) != 1 else ''}: {shown}{more}")
    lines.append("Its log says what to change, the DAG's page whether anything needs to be cleared.")
    links = [f"<{url}|{label}>" for label, url in (("Airflow run", run_url), ("Log", log_url)) if url]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(title, HEADER)}},
        section("\n".join(lines)),
        *([context(*links)] if links else []),
    ]
    return Message(text=f"{title} {escape(what)}", blocks=blocks)


def run_overdue_message(*, dag_id: str, what: str, limit: str, run_url: str) -> Message:
    """A run has not ended in the time that such runs take."""
    title = f"🟠 Airflow run overdue · {dag_id}"
    said = f"*{escape(dag_id)}* {escape(what)} has not ended within {escape(limit)}: it hangs, or waits for others."
    return Message(
        text=f"{title} {escape(what)}",
        blocks=[
            {"type": "header", "text": {"type": "plain_text", "text": cut(title, HEADER)}},
            section(said),
            context(f"<{run_url}|Airflow run>"),
        ],
    )


def section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut_escaped(text, 3000)}}


def context(*texts: str) -> Block:
    """Small print; each text is an element of its own, so that none can cut another off."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut_escaped(text, 3000)} for text in texts]}


def _cut_escaped(text: str, width: int) -> str:
    """Cut escaped text without leaving half of an ``&amp;`` behind."""
    if len(text) <= width:
        return text
    head = text[: width - 1]
    entity = head.rfind("&", max(0, len(head) - 5))
    return (head[:entity] if entity >= 0 and ";" not in head[entity:] else head) + "…"
