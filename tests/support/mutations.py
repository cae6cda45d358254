"""Strategies of hypothesis that spoil what is sound: texts of real files, and the JSON of real events and answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

DEEP = 100_000
# What a field may hold instead of what it should.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**400, 2**63, 0.5, 1e308, float("nan"), float("inf")),
    *("", " ", "x", "0", "-1", "\x00", "\ud800", "\u202e", "🔥" * 300, "a" * 20_000, "'", '"', "%s {0} {{ x }}"),
    *("2026-11-20", "2026-02-30T00:00:00Z", "2026-11-20T09:00:00", "2026-W01-1", "0001-01-01T00:00:00+14:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00", "2026-11-20T09:00:00.123456789Z"),
    *([], {}, [[]], [None], [{}], {"": None}, {"a": {"b": []}}, ["x"] * 100),
)
# What may stand in a line of a file.
PIECES = (
    *("\x00", "\ufeff", "\u2028", "\u0085", "\r\n", "\t", "\n\n", "'", '"', "`", "```", "\\", "--", "#", "/*", "*/"),
    *(
        ":",
        ": ",
        "::",
        "?",
        ":x",
        "{{ x }}",
        "{{",
        "}}",
        "{",
        "}",
        "[",
        "]",
        ",",
        "|",
        ">",
        "&a ",
        "*a",
        "<<: *a",
        "!!",
    ),
    *("!!binary x", "!!set {a}", "!!omap [a: b]", "!!timestamp x", "!!python/object:os.system", "0x", "0b_", "1e999"),
    *(
        "9" * 5000,
        "0x" + "f" * 5000,
        "2026-13-01",
        ".nan",
        ".inf",
        "~",
        "null",
        "yes",
        "limit 5",
        "| limit 5",
        "日本語",
    ),
    *("\n-- title: twice", "\n# title: twice", "\n--- ", "\n...\n", "? ", "%YAML 9.9\n", "a" * 3000, "a{99999999999}"),
    *("<!channel>", "$0", "0", "-1", "2026-11-20T09", "[" * 2000, "{a: " * 2000, "(" * 2000),
)


@st.composite
def spoiled_texts(draw: st.DrawFn, samples: Sequence[str]) -> str:
    """A sample with a few stretches left out, doubled, exchanged, or with something odd put in between."""
    text = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=8))
        changed = draw(st.sampled_from(("", piece, text[start:end] * 2, text[start:end][::-1] + piece)))
        text = text[:start] + changed + text[end:]
    return text


@st.composite
def spoiled_values(draw: st.DrawFn, samples: Sequence[Any]) -> Any:
    """A sample of JSON in which a few values, anywhere, are others, missing, doubled or under other names."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("odd", "odd", "gone", "wrapped", "doubled", "renamed"))):
            case "odd":
                holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "gone":
                del holder[key]
            case "wrapped":
                holder[key] = [holder[key]]
            case "doubled" if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case "renamed" if isinstance(holder, dict):
                holder[draw(st.text(max_size=6))] = holder.pop(key)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a nest of objects and lists, as its holder and its key there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield value, key
        yield from _places(inside)


def stored_as_json(value: Any) -> str:
    """What Airflow does with a value before it keeps it: JSON of UTF-8, which any database takes.

    :raises ValueError: a number that is none; UnicodeEncodeError, one of them: half a surrogate pair
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()
    return text
