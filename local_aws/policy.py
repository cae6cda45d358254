"""Whether a bucket policy lets a service do something: the part of it that log exports need.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws.errors import NotImplementedByStandIn


@dataclass(frozen=True)
class Request:
    """Who (any of these service principals) wants to do what to which ARN; `context` has lower-case keys."""

    principals: frozenset[str]
    action: str
    resource: str
    context: dict[str, str]


KEYS = frozenset({"aws:sourceaccount", "aws:sourcearn", "s3:x-amz-acl", "sts:externalid", "aws:securetransport"})


def like(pattern: str, text: str) -> bool:
    """AWS wildcards: ``*`` any characters, ``?`` one; case counts."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}


def allows(policy: str | bytes | None, request: Request) -> bool:
    """Whether the policy allows the request: some statement does, and none denies it.

    Raises NotImplementedByStandIn for conditions and negations that it cannot evaluate.
    """
    if not policy:
        return False
    statements = _listed(json.loads(policy)["Statement"])
    effects = {statement["Effect"] for statement in statements if _applies(statement, request)}
    return "Allow" in effects and "Deny" not in effects


def unsupported(policy: str | bytes) -> str | None:
    """Why callers would be misjudged under this policy, or None. Raises ValueError for what is no policy.

    Of a call the stand-in knows no more than whether it came over TLS.
    """
    for statement in _listed(json.loads(policy).get("Statement", [])):
        condition = statement.get("Condition")
        if condition and "*" in _principals(statement) and not _is_about_tls(condition):
            return (
                "The stand-in cannot judge a bucket policy's Condition where the Principal is everyone, "
                "but for Bool on aws:SecureTransport."
            )
    try:
        effects_for_everyone(policy, Request(frozenset(), "s3:GetObject", "arn:aws:s3:::bucket/key", {}))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the policy is malformed: {error!r}") from error
    except NotImplementedByStandIn as error:
        return str(error.message)
    return None


def effects_for_everyone(policy: str | bytes | None, request: Request) -> set[str]:
    """The effects of the statements for everyone that apply: Allow, Deny."""
    statements = _listed(json.loads(policy)["Statement"]) if policy else []
    everyone = [statement for statement in statements if "*" in _principals(statement)]
    return {statement["Effect"] for statement in everyone if _applies(statement, request)}


def _is_about_tls(condition: dict[str, Any]) -> bool:
    return list(condition) == ["Bool"] and [key.lower() for key in condition["Bool"]] == ["aws:securetransport"]


def _applies(statement: dict[str, Any], request: Request) -> bool:
    negations = sorted({"NotPrincipal", "NotAction", "NotResource"} & statement.keys())
    if negations:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate {negations[0]} in a bucket policy.")
    return (
        bool(_principals(statement) & (request.principals | {"*"}))
        and any(like(action.lower(), request.action.lower()) for action in _listed(statement["Action"]))
        and any(like(resource, request.resource) for resource in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, _listed(wanted), request)
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    )


def _principals(statement: dict[str, Any]) -> set[str]:
    principal = statement.get("Principal", {})
    if isinstance(principal, str):
        return {principal}
    return {name for names in principal.values() for name in _listed(names)}


def _holds(operator: str, key: str, wanted: list[str], request: Request) -> bool:
    if operator not in OPERATORS or key.lower() not in KEYS:
        raise NotImplementedByStandIn(
            f"The stand-in does not evaluate the condition {operator} on {key} in a bucket policy."
        )
    actual = request.context.get(key.lower())
    return actual is not None and any(OPERATORS[operator](str(value), actual) for value in wanted)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
