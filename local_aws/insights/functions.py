"""The functions of one row.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html
Functions of a missing value give a missing value, save those that ask whether it is there (our choice:
AWS does not say). `round` is not in AWS's list, so it is not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws.insights.values import Number, Timestamp, Value, number, settled, text

_ANY_NUMBER_OF = 100
# The last millisecond that has a printed form (year 9999).
_LAST_MOMENT = 253_402_300_799_999

# A unit to its length in ms and the cap that AWS puts on the count: bin(300s) is bin(60s) there, and here.
# Weeks and longer are left out: AWS does not say where they begin.
_UNITS = {"ms": (1, 1000), "s": (1000, 60), "m": (60_000, 60), "h": (3_600_000, 24), "d": (86_400_000, None)}
_UNIT_NAMES = {
    "ms": "ms msec msecs millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "d day days",
}
_UNIT_OF = {name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Function:
    fewest: int
    most: int
    call: Callable[..., Value]


def period(written: str) -> int | None:
    """A period such as 5m in milliseconds, or None if it is none."""
    count = written.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = _UNIT_OF.get(written[len(count) :].lower())
    # Ten digits are more than any sensible period, and keep the arithmetic small.
    if unit is None or len(count) > 10 or int(count) == 0:
        return None
    length, cap = _UNITS[unit]
    return length * (min(int(count), cap) if cap else int(count))


def floored(moment: Value, length: int) -> Timestamp | None:
    milliseconds = _whole(moment)
    return None if milliseconds is None else Timestamp(milliseconds - milliseconds % length)


def ceiled(moment: Value, length: int) -> Timestamp | None:
    milliseconds = _whole(moment)
    return None if milliseconds is None else Timestamp(milliseconds + -milliseconds % length)


def _whole(value: Value) -> int | None:
    as_number = number(value)
    if as_number is None:
        return None
    answer = settled(math.floor, as_number)
    return None if answer is None else int(answer)


def _from_millis(value: Value) -> Timestamp | None:
    milliseconds = _whole(value)
    if milliseconds is None or not 0 <= milliseconds <= _LAST_MOMENT:
        return None
    return Timestamp(milliseconds)


def _to_millis(value: Value) -> Number | None:
    as_number = number(value)
    return int(as_number) if type(as_number) is Timestamp else as_number


def _of_numbers(call: Callable[..., Number]) -> Callable[..., Value]:
    def wrapped(*values: Value) -> Value:
        numbers = [n for n in map(number, values) if n is not None]
        return settled(call, *numbers) if len(numbers) == len(values) else None

    return wrapped


def _of_texts(call: Callable[..., Value]) -> Callable[..., Value]:
    def wrapped(*values: Value) -> Value:
        texts = [text(v) for v in values if v is not None]
        return call(*texts) if len(texts) == len(values) else None

    return wrapped


def _substr(value: Value, start: Value, length: Value = _LAST_MOMENT) -> Value:
    first, size = _whole(start), _whole(length)
    if value is None or first is None or size is None:
        return None
    first = max(first, 0)
    return text(value)[first : first + max(size, 0)]


def _is_blank(value: Value) -> bool:
    return value is None or not text(value).strip()


def _coalesce(*values: Value) -> Value:
    return next((v for v in values if v is not None), None)


def _concat(*values: Any) -> str:
    return "".join(values)


FUNCTIONS: dict[str, Function] = {
    "ispresent": Function(1, 1, lambda v: v is not None),
    "isempty": Function(1, 1, lambda v: v is None or text(v) == ""),
    "isblank": Function(1, 1, _is_blank),
    "coalesce": Function(1, _ANY_NUMBER_OF, _coalesce),
    "strlen": Function(1, 1, _of_texts(len)),
    "trim": Function(1, 2, _of_texts(str.strip)),
    "ltrim": Function(1, 2, _of_texts(str.lstrip)),
    "rtrim": Function(1, 2, _of_texts(str.rstrip)),
    "toupper": Function(1, 1, _of_texts(str.upper)),
    "tolower": Function(1, 1, _of_texts(str.lower)),
    "substr": Function(2, 3, _substr),
    "replace": Function(3, 3, _of_texts(str.replace)),
    "strcontains": Function(2, 2, _of_texts(lambda whole, part: int(part in whole))),
    "concat": Function(1, _ANY_NUMBER_OF, _of_texts(_concat)),
    "abs": Function(1, 1, _of_numbers(abs)),
    "ceil": Function(1, 1, _of_numbers(math.ceil)),
    "floor": Function(1, 1, _of_numbers(math.floor)),
    "sqrt": Function(1, 1, _of_numbers(math.sqrt)),
    "log": Function(1, 1, _of_numbers(math.log)),
    "greatest": Function(1, _ANY_NUMBER_OF, _of_numbers(lambda *values: max(values))),
    "least": Function(1, _ANY_NUMBER_OF, _of_numbers(lambda *values: min(values))),
    "tomillis": Function(1, 1, _to_millis),
    "frommillis": Function(1, 1, _from_millis),
}

# The functions whose answer may stand as a condition.
CONDITIONS = frozenset({"ispresent", "isempty", "isblank", "strcontains", "coalesce"})
# Functions that answer with a Timestamp; the first three take a period, known when the query is compiled.
PERIODIC = frozenset({"bin", "datefloor", "dateceil"})
TIMES = PERIODIC | {"frommillis"}
