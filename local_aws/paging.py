"""Pages of a list, as AWS's Describe calls give them."""

from collections.abc import Callable
from typing import Any, TypeVar

from moto.logs.exceptions import InvalidParameterException

T = TypeVar("T")


def page(
    items: list[T], key: Callable[[T], str], limit: Any, token: str | None, most: int = 50
) -> tuple[list[T], str | None]:
    """At most `limit` items (default and maximum `most`) after the one the token names, and the next token.

    The token is the key of the last item given, so that items added in front do not shift the pages.
    """
    size = most if limit is None else limit
    if not 1 <= size <= most:
        raise InvalidParameterException(
            constraint=f"Member must have value between 1 and {most}", parameter="limit", value=limit
        )
    start = 0
    if token is not None:
        keys = [key(item) for item in items]
        if token not in keys:
            raise InvalidParameterException("The specified nextToken is invalid.")
        start = keys.index(token) + 1
    given = items[start : start + size]
    return given, key(given[-1]) if start + size < len(items) else None


def without_none(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without the members that are absent."""
    return {name: value for name, value in answer.items() if value is not None}
