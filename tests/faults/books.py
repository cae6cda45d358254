"""What was planted against what is seen: pure. No difference means that nothing was lost and nothing doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Planted:
    """What the storm was given.

    :param deliveries: the partition key of each ECS task that shipped an hour
    :param events: the words by which each logged error is known
    :param months: how many events each month of a log group holds, by group and month
    """

    deliveries: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    months: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass
class Seen:
    """What is there after it.

    :param recorded: how often each task was recorded, by the asset's events
    :param audited: how often each key was audited, by the asset's events
    :param told: the texts of all messages in Slack, blocks included
    :param manifests: the manifests of the archive, by group and month
    :param jobs: AWS jobs that still run, in words
    :param processes: processes that belong to nobody, in words
    :param runs: failed runs and what is still going on, in words
    """

    recorded: Mapping[str, int] = field(default_factory=dict)
    audited: Mapping[str, int] = field(default_factory=dict)
    told: Iterable[str] = ()
    manifests: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    jobs: Iterable[str] = ()
    processes: Iterable[str] = ()
    runs: Iterable[str] = ()


LOGIN = "An administrator logged in to Aurora"  # what each shipped hour holds


def difference(planted: Planted, seen: Seen) -> list[str]:
    """What does not balance, a sentence each; empty where all does."""
    texts = list(seen.told)
    return [
        *_counted("delivery", planted.deliveries, seen.recorded, "recorded"),
        *_counted("window", planted.deliveries.values(), seen.audited, "audited"),
        *_counted("incident", planted.deliveries.values(), _incidents(planted, texts), "told"),
        *_counted("event", planted.events, _mentions(planted.events, texts), "told"),
        *_archived(planted, seen),
        *(f"an AWS job without an owner: {job}" for job in seen.jobs),
        *(f"a process without an owner: {process}" for process in seen.processes),
        *(f"a run: {run}" for run in seen.runs),
    ]


def _counted(what: str, expected: Iterable[str], found: Mapping[str, int], verb: str) -> list[str]:
    """Each once, and no other."""
    names = set(expected)
    wrong = [f"{what} {name} was {verb} {found.get(name, 0)} times" for name in sorted(names) if found.get(name) != 1]
    return [*wrong, *(f"{what} {name} was {verb}, and never planted" for name in sorted(set(found) - names))]


def _incidents(planted: Planted, texts: Iterable[str]) -> Counter[str]:
    logins = [text for text in texts if LOGIN in text]
    return Counter(key for key in set(planted.deliveries.values()) for text in logins if key in text)


def _mentions(words: Iterable[str], texts: Iterable[str]) -> Counter[str]:
    whole = list(texts)
    return Counter({word: count for word in words if (count := sum(text.count(word) for text in whole))})


def _archived(planted: Planted, seen: Seen) -> list[str]:
    wrong = []
    for place, events in planted.months.items():
        manifest = seen.manifests.get(place)
        if manifest is None:
            wrong.append(f"{' '.join(place)} has no manifest")
        elif manifest["events"] != events or sum(item["events"] for item in manifest["objects"]) != events:
            wrong.append(f"{' '.join(place)} holds {events} events, and its manifest says {manifest['events']}")
    return wrong
