"""Values and their rules: text, numbers, timestamps, and None for a missing field.

AWS documents little here. Our choices, kept in this one place:
- Text that looks like a number (`-12`, `3.5`; no exponent) is a number beside a number. Two texts are
  equal only as texts; `<` and its kin order them as numbers if both look like numbers.
- A missing field makes every comparison false, `!=` too. Text that is no number is unequal to any number.
- Arithmetic without a numeric answer (a missing field, division by zero, overflow) gives a missing value.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

Value = str | int | float | None
Number = int | float

_NUMERIC = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
# Longer digit strings are identifiers, and would overflow a float.
_LONGEST_NUMBER = 300
_EPOCH = datetime(1970, 1, 1)  # naive: only used to print UTC


class Timestamp(int):
    """Milliseconds since the epoch: compares and counts as a number, prints as a date."""


def number(value: Value) -> Number | None:
    """The value as a number, or None."""
    if type(value) is not str:
        return value  # type: ignore[return-value]  # all that is not text is a number or None
    if len(value) > _LONGEST_NUMBER or not _NUMERIC.fullmatch(value):
        return None
    return float(value) if "." in value else int(value)


def text(value: str | Number) -> str:
    """The value as GetQueryResults prints it: whole numbers without a fraction, booleans as 1 and 0."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is Timestamp:
        return _timestamp_text(int(value))
    if kind is float:
        return _float_text(value)  # type: ignore[arg-type]
    return str(int(value))


def _timestamp_text(milliseconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return str(milliseconds)
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return format(value, ".15g")


def truth(value: Value) -> bool:
    """Whether a value holds as a condition: only numbers other than 0 do, text and missing do not."""
    return bool(number(value))


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def comparer(symbol: str) -> Callable[[Value, Value], bool]:
    """The comparison behind `symbol`, with the rules at the top of this module."""
    test = _TESTS[symbol]
    ordering = symbol not in ("=", "!=")
    unequal = symbol == "!="

    def compare(left: Value, right: Value) -> bool:
        if left is None or right is None:
            return False
        if type(left) is str and type(right) is str and not (ordering and _both_numeric(left, right)):
            return test(left, right)
        left, right = number(left), number(right)
        return unequal if left is None or right is None else test(left, right)

    return compare


def _both_numeric(left: str, right: str) -> bool:
    return number(left) is not None and number(right) is not None


def _remainder(left: Number, right: Number) -> Number:
    # The sign follows the dividend, as in Java; Python's % follows the divisor.
    size = abs(left) % abs(right)
    return -size if left < 0 else size


def _power(left: Number, right: Number) -> Number:
    # Always in floats: 9 ^ 9 ^ 9 in whole numbers would never end.
    answer = float(left) ** float(right)
    if isinstance(answer, complex):
        raise ValueError("no real answer")
    return answer


_ARITHMETIC: dict[str, Callable[[Any, Any], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": _remainder,
    "^": _power,
}


def calculator(symbol: str) -> Callable[[Value, Value], Number | None]:
    """The arithmetic behind `symbol`."""
    operation = _ARITHMETIC[symbol]

    def calculate(left: Value, right: Value) -> Number | None:
        left, right = number(left), number(right)
        if left is None or right is None:
            return None
        return settled(operation, left, right)

    return calculate


def settled(operation: Callable[..., Number], *operands: Number) -> Number | None:
    """`operation` of the operands, or None where it has no finite answer."""
    try:
        answer = operation(*operands)
        # Whole numbers past 64 bits become floats, so that none grows without end.
        if type(answer) is not float and -(2**63) <= answer < 2**63:
            return answer
        answer = float(answer)
    except (ArithmeticError, ValueError):
        return None
    return answer if math.isfinite(answer) else None


_DIGITS = re.compile(r"([0-9]+)")

SortKey = tuple[Any, ...]


def sort_key(value: Value) -> SortKey:
    """The order of `sort`, ascending: missing, then text, then numbers.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html gives the order of
    text: runs of digits by length and then by value, the rest by Unicode. Where missing values go it does
    not say; first in ascending order keeps them out of a "top N".
    """
    if value is None:
        return (0,)
    as_number = number(value)
    if as_number is not None:
        return (2, as_number)
    chunks = _DIGITS.split(str(value))
    # "0" stands for any digit beside other text: no other chunk begins with a digit.
    return (1, [("0", len(c), c) if c.isdecimal() and c.isascii() else (c, 0, "") for c in chunks if c])
