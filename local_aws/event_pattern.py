"""EventBridge event patterns.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

Where the event has an array, one element is enough; where it has an array of objects, one object must
satisfy the whole sub-pattern.
"""

import json
import operator
from collections.abc import Callable, Iterator
from typing import Any

from moto.events.exceptions import InvalidEventPatternException

from local_aws.errors import NotImplementedByStandIn

Path = tuple[str, ...]
# Operators of AWS that nothing here has needed yet.
NOT_DONE = frozenset({"cidr", "wildcard", "$or"})
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parse(text: str) -> dict[str, Any]:
    """The pattern in this JSON; raises InvalidEventPatternException, or NotImplementedByStandIn."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise InvalidEventPatternException(f"Not valid JSON: {error}") from error
    _check_object("The pattern", pattern)
    checked: dict[str, Any] = pattern
    return checked


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether a parsed pattern matches the event."""
    return _object_matches(pattern, event, (), frozenset(_paths(event, ())))


def _object_matches(pattern: dict[str, Any], node: Any, path: Path, present: frozenset[Path]) -> bool:
    # An absent object still satisfies {"exists": false} beneath it.
    objects = [item for item in _flat(node) if isinstance(item, dict)] or [{}]
    return any(
        all(_part_matches(part, item.get(name, []), (*path, name), present) for name, part in pattern.items())
        for item in objects
    )


def _part_matches(part: Any, node: Any, path: Path, present: frozenset[Path]) -> bool:
    if isinstance(part, dict):
        return _object_matches(part, node, path, present)
    values = [item for item in _flat(node) if not isinstance(item, dict)]
    return any(_alternative_matches(alternative, values, path in present) for alternative in part)


def _alternative_matches(alternative: Any, values: list[Any], is_present: bool) -> bool:
    if not isinstance(alternative, dict):
        return any(_same(alternative, value) for value in values)
    ((name, argument),) = alternative.items()
    if name == "exists":
        # Absent means in no element of the arrays above it.
        return bool(values) if argument else not is_present
    return any(OPERATORS[name](argument, value) for value in values)


def _flat(node: Any) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _flat(item)
    else:
        yield node


def _paths(node: Any, path: Path) -> Iterator[Path]:
    for item in _flat(node):
        if isinstance(item, dict):
            for name, value in item.items():
                yield from _paths(value, (*path, name))
        else:
            yield path


def _same(wanted: Any, value: Any) -> bool:
    # By their text, as AWS does: 300 is neither 300.0 nor true.
    return json.dumps(wanted) == json.dumps(value)


def _equals_ignoring_case(argument: str, value: Any) -> bool:
    return isinstance(value, str) and value.lower() == argument.lower()


def _prefix(argument: Any, value: Any) -> bool:
    return _edge(str.startswith, argument, value)


def _suffix(argument: Any, value: Any) -> bool:
    return _edge(str.endswith, argument, value)


def _edge(test: Callable[[str, str], bool], argument: Any, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if isinstance(argument, dict):
        return test(value.lower(), argument["equals-ignore-case"].lower())
    return test(value, argument)


def _numeric(argument: list[Any], value: Any) -> bool:
    if not _is_number(value):
        return False
    return all(COMPARISONS[sign](value, limit) for sign, limit in zip(argument[::2], argument[1::2], strict=True))


def _anything_but(argument: Any, value: Any) -> bool:
    if isinstance(argument, dict):
        ((name, wanted),) = argument.items()
        return not any(OPERATORS[name](item, value) for item in _listed(wanted))
    return not any(_same(item, value) for item in _listed(argument))


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignoring_case,
    "numeric": _numeric,
    "anything-but": _anything_but,
}


def _check_object(name: str, pattern: Any) -> None:
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidEventPatternException(f"{name} must be an object with at least one field, or an array.")
    for field, part in pattern.items():
        _check_done(field)
        if not isinstance(part, list):
            _check_object(f'"{field}"', part)
        elif not part:
            raise InvalidEventPatternException(f'"{field}" must not be an empty array.')
        else:
            for alternative in part:
                _check_alternative(field, alternative)


def _check_alternative(field: str, alternative: Any) -> None:
    if isinstance(alternative, list):
        raise InvalidEventPatternException(f'"{field}" must not hold an array in an array.')
    if not isinstance(alternative, dict):
        return
    if len(alternative) != 1:
        raise InvalidEventPatternException(f'A match expression of "{field}" must have one key.')
    ((name, argument),) = alternative.items()
    _check_done(name)
    if name not in CHECKS:
        raise InvalidEventPatternException(f"Unrecognized match type {name}")
    if not CHECKS[name](argument):
        raise InvalidEventPatternException(f'"{field}" has a value that {name} does not take.')


def _check_done(name: str) -> None:
    if name in NOT_DONE:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate {name} in an event pattern.")


def _is_text(argument: Any) -> bool:
    return isinstance(argument, str)


def _is_edge(argument: Any) -> bool:
    if isinstance(argument, dict):
        return list(argument) == ["equals-ignore-case"] and _is_text(argument["equals-ignore-case"])
    return _is_text(argument)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(argument: Any) -> bool:
    if not isinstance(argument, list) or not argument or len(argument) % 2:
        return False
    return all(sign in COMPARISONS for sign in argument[::2] if _is_text(sign)) and all(
        _is_text(sign) and _is_number(limit) for sign, limit in zip(argument[::2], argument[1::2], strict=True)
    )


def _is_exclusion(argument: Any) -> bool:
    if isinstance(argument, dict):
        named = list(argument) in (["prefix"], ["suffix"], ["equals-ignore-case"])
        return named and all(_is_text(item) for wanted in argument.values() for item in _listed(wanted))
    items = _listed(argument)
    return bool(items) and (all(map(_is_text, items)) or all(map(_is_number, items)))


CHECKS: dict[str, Callable[[Any], bool]] = {
    "exists": lambda argument: isinstance(argument, bool),
    "prefix": _is_edge,
    "suffix": _is_edge,
    "equals-ignore-case": _is_text,
    "numeric": _is_range,
    "anything-but": _is_exclusion,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
