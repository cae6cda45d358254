"""Regular expressions and globs of the query language, as Python patterns.

Insights names no dialect for `like` and `parse`; its regexReplace is RE2. So what RE2 lacks (lookaround,
backreferences, atomic groups, possessive quantifiers) is refused, and classes such as \\d are ASCII.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""\\(?P<escape>.)
      | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | \(\?(?P<group>P?<[A-Za-z_][A-Za-z0-9_]*>|[ims]*:|[ims]+\))?
      | (?P<possessive>[*+?}]\+)""",
    re.VERBOSE | re.DOTALL,
)


class BadPattern(ValueError):
    """The pattern is wrong, or needs what this stand-in does not do."""


def compile_regex(source: str) -> re.Pattern[str]:
    """What stands between the slashes, compiled. Raises BadPattern."""
    try:
        return re.compile(_translated(source), re.ASCII)
    except (re.error, OverflowError, RecursionError) as problem:
        raise BadPattern(f"bad regular expression ({problem})") from problem


def _translated(source: str) -> str:
    written = []
    closing = ""
    end = 0
    for piece in _PIECE.finditer(source):
        written.append(source[end : piece.start()])
        end = piece.end()
        _check(piece)
        group = piece["group"]
        if group and group.startswith("<"):
            written.append(f"(?P{group}")
        elif group and group.endswith(")") and piece.start() > 0:
            # AWS's own example is /^(?i)Exception$/; Python wants the flag first, or around a group.
            _check_late_flag(source, piece.start())
            written.append(f"(?{group[:-1]}:")
            closing += ")"
        else:
            written.append(piece[0])
    return "".join(written) + source[end:] + closing


def _check(piece: re.Match[str]) -> None:
    refused = {
        "a backreference or anchor": piece["escape"] and piece["escape"] in "123456789kgZ",
        "a POSIX class": piece["set"] and "[:" in piece["set"],
        "a group": piece[0] == "(?" and not piece["group"],
        "a possessive quantifier": piece["possessive"],
    }
    for what, found in refused.items():
        if found:
            raise BadPattern(f"{what} that this stand-in does not do ({piece[0]})")


def _check_late_flag(source: str, start: int) -> None:
    if "|" in source or "(" in source[:start]:
        raise BadPattern("a flag in the middle of groups or alternatives; write it first")


def compile_glob(source: str) -> re.Pattern[str]:
    """A `parse` glob: each * takes as little as it can, but one that ends the glob takes the rest."""
    parts = [re.escape(part) for part in source.split("*")]
    if len(parts) > 1 and not parts[-1]:
        return re.compile("(.*?)".join(parts[:-1]) + "(.*)", re.DOTALL)
    return re.compile("(.*?)".join(parts), re.DOTALL)
