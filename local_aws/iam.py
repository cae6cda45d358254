"""May this principal do this? IAM's evaluation of policies, for what this project's policies hold.

Pure: documents and a request in, a decision out. What it cannot evaluate it refuses, since a policy that is half
understood proves nothing.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from local_aws.errors import NotImplementedByStandIn

KEYS_OF_A_STATEMENT = frozenset({"Sid", "Effect", "Action", "Resource", "NotResource", "Condition"})
ANY_OF = "ForAnyValue:"


@dataclass(frozen=True)
class Access:
    """One right that a call needs.

    :param resource: an ARN, or ``*`` where the action knows no resources
    :param context: condition keys in lower case; of a key with many values a tuple
    """

    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed, and the statement that decided; None: no statement speaks of it."""

    allowed: bool
    policy: str | None = None
    sid: str | None = None

    @property
    def is_explicit_deny(self) -> bool:
        return not self.allowed and self.policy is not None


def decide(policies: Mapping[str, Any], access: Access) -> Decision:
    """Judge by identity policies: a Deny that applies wins, then an Allow, then nothing is allowed.

    :param policies: documents (parsed, or their JSON) by name
    :raises NotImplementedByStandIn: a statement holds what is not evaluated here
    """
    found = [
        (statement["Effect"], Decision(statement["Effect"] == "Allow", name, statement.get("Sid")))
        for name, document in policies.items()
        for statement in statements_of(document)
        if applies(statement, access)
    ]
    for effect in ("Deny", "Allow"):
        for had, decision in found:
            if had == effect:
                return decision
    return Decision(False)


def statements_of(document: Any) -> list[dict[str, Any]]:
    """The statements of a policy, parsed or as JSON."""
    parsed = json.loads(document) if isinstance(document, str | bytes) else document
    return listed(parsed["Statement"])


def applies(statement: Mapping[str, Any], access: Access) -> bool:
    """Whether an identity policy's statement speaks of this.

    :raises NotImplementedByStandIn: it holds what is not evaluated here
    """
    _require_known(statement)
    return (
        any(like(action.lower(), access.action.lower()) for action in listed(statement["Action"]))
        and _concerns(statement, access.resource)
        and holds(statement.get("Condition", {}), access.context)
    )


def _require_known(statement: Mapping[str, Any]) -> None:
    if unknown := sorted(statement.keys() - KEYS_OF_A_STATEMENT):
        raise NotImplementedByStandIn(
            f"The stand-in does not evaluate {', '.join(unknown)} in the statement {statement.get('Sid')!r}."
        )


def _concerns(statement: Mapping[str, Any], resource: str) -> bool:
    if "NotResource" in statement:
        return not any(matches_arn(pattern, resource) for pattern in listed(statement["NotResource"]))
    return any(matches_arn(pattern, resource) for pattern in listed(statement["Resource"]))


def like(pattern: str, text: str) -> bool:
    """AWS wildcards: ``*`` any characters, ``?`` one; case counts."""
    return _glob(pattern).fullmatch(text) is not None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def matches_arn(pattern: str, resource: str) -> bool:
    """Whether a Resource speaks of an ARN: a wildcard stays within its segment, but for one at a segment's end.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if "${" in pattern:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate the policy variable in {pattern}.")
    return _arn_glob(pattern).fullmatch(resource) is not None


@cache
def _arn_glob(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\?", "[^:]")
    return re.compile(re.sub(r"\\\*(?=:|$)", ".*", escaped).replace(r"\*", "[^:]*"), re.DOTALL)


def arn_like(pattern: str, text: str) -> bool:
    """ArnLike: each of the six segments by itself."""
    patterns, segments = pattern.split(":", 5), text.split(":", 5)
    return len(patterns) == len(segments) and all(map(like, patterns, segments))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}


def holds(condition: Mapping[str, Any], context: Mapping[str, str | tuple[str, ...]]) -> bool:
    """Whether all of a statement's conditions are met; a key that the request lacks meets none.

    :raises NotImplementedByStandIn: an operator that is not evaluated here
    """
    return all(
        _holds(operator, listed(wanted), context.get(key.lower()))
        for operator, tests in condition.items()
        for key, wanted in tests.items()
    )


def _holds(operator: str, wanted: list[Any], actual: str | tuple[str, ...] | None) -> bool:
    test = OPERATORS.get(operator.removeprefix(ANY_OF))
    if test is None:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate the condition operator {operator}.")
    if isinstance(actual, tuple) != operator.startswith(ANY_OF) and actual is not None:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate {operator} on a key with such values.")
    values = actual if isinstance(actual, tuple) else (actual,)
    return any(value is not None and test(_text(one), value) for one in wanted for value in values)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def listed(value: Any) -> list[Any]:
    """Policies write a list of one without its list."""
    return value if isinstance(value, list) else [value]
