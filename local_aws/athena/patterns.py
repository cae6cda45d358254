"""Literals in little languages (regular expressions, JSON paths, time formats), turned into DuckDB's."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from local_aws.athena.failures import QueryFailure, Refused
from local_aws.athena.functions import UNITS

JSON_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\[\"([^\"\\]+)\"\]")
MYSQL = {
    **{letter: f"%{letter}" for letter in "YymdHSfpjabI%"},
    **{"i": "%M", "s": "%S", "h": "%I", "T": "%H:%M:%S", "M": "%B", "W": "%A", "c": "%-m", "e": "%-d"},
}
JODA = {
    **{"yyyy": "%Y", "YYYY": "%Y", "yy": "%y", "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d", "HH": "%H"},
    **{"mm": "%M", "ss": "%S", "SSS": "%g", "EEE": "%a", "EEEE": "%A", "MMM": "%b", "MMMM": "%B", "hh": "%I"},
}


def unit(text: str) -> str:
    """A unit of date_trunc and its like."""
    if text.lower() not in UNITS:
        raise QueryFailure("INVALID_FUNCTION_ARGUMENT", f"'{text}' is not a valid TIMESTAMP field")
    return text.lower()


def path(text: str) -> str:
    """A JSON path of plain steps; wildcards and filters are refused."""
    steps = JSON_STEP.findall(text[1:])
    if not text.startswith("$") or JSON_STEP.sub("", text[1:]):
        raise Refused(f"the JSON path {text}")
    return "$" + "".join(f"[{index}]" if index else f'."{name or quoted}"' for name, index, quoted in steps)


def mysql(text: str) -> str:
    """A format of date_format."""
    found = re.findall(r"%(.)|([^%]+)|(%)$", text, re.DOTALL)
    if any(bare or (letter and letter not in MYSQL) for letter, _, bare in found):
        raise Refused(f"the date format {text}")
    return "".join(MYSQL[letter] if letter else plain for letter, plain, _ in found)


def joda(text: str) -> str:
    """A format of format_datetime."""
    if "''" in text or text.count("'") % 2:
        raise Refused(f"the date format {text}")
    made = ""
    for found in re.finditer(r"'([^']+)'|(([A-Za-z])\3*)|([^A-Za-z']+)", text):
        quoted, letters, plain = found[1], found[2], found[4]
        if letters and letters not in JODA:
            raise Refused(f"{letters} in the date format {text}")
        made += JODA[letters] if letters else (quoted or plain).replace("%", "%%")
    return made


def pattern(text: str) -> str:
    """A regular expression, left as it is: RE2 refuses by itself what it has not of Java's."""
    return text


def replacement(text: str) -> str:
    """A replacement of regexp_replace: ``$1`` is a group, a backslash takes the next character as it is."""
    made = ""
    for escaped, group, plain in re.findall(r"\\(.)|\$(\d)|([^\\$])", text, re.DOTALL):
        made += f"\\{group}" if group else (escaped or plain).replace("\\", "\\\\")
    if re.sub(r"\\.|\$\d|[^\\$]", "", text, flags=re.DOTALL):
        raise Refused(f"the replacement {text}")
    return made


LITERALS: dict[str, Callable[[str], str]] = {
    "unit": unit,
    "path": path,
    "mysql": mysql,
    "joda": joda,
    "pattern": pattern,
    "replacement": replacement,
}


@dataclass
class _Group:
    captures: bool = False
    holds_captures: bool = False
    alternatives: bool = False

    @property
    def may_skip(self) -> bool:
        return self.alternatives and self.holds_captures


def has_optional_group(text: str) -> bool:
    """Whether a group may match nothing: then Athena extracts NULL and DuckDB an empty string."""
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])+\]", "x", text, flags=re.DOTALL)
    groups = [_Group()]
    for at, char in enumerate(bare):
        if char == "(":
            groups.append(_Group(captures=bare[at + 1 : at + 2] != "?" or bare[at + 2 : at + 4] in ("P<", "<")))
        elif char == "|":
            groups[-1].alternatives = True
        elif char == ")" and len(groups) > 1:
            group = groups.pop()
            optional = re.match(r"[?*]|\{0", bare[at + 1 :])
            if group.may_skip or (optional and (group.captures or group.holds_captures)):
                return True
            groups[-1].holds_captures |= group.captures or group.holds_captures
    return groups[0].may_skip
