"""A request to Slack's Web API, read as slack_sdk sends it: JSON, or a form of strings."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from local_aws.errors import SlackError

T = TypeVar("T")

API = "/slack/api/"
TIMESTAMP = re.compile(r"\d{1,12}(\.\d{1,6})?")
TRUE, FALSE = ("1", "true"), ("0", "false", "")


@dataclass(frozen=True)
class Request:
    """The method called, its arguments (without any token) and who calls."""

    method: str
    base_url: str  # such as http://127.0.0.1:5000
    token: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    unreadable: SlackError | None = None

    def check(self, heeded: set[str]) -> None:
        """:raises SlackError: for a body or a token that is none, and for arguments that are not heeded"""
        if self.unreadable:
            raise self.unreadable
        if not self.token:
            raise SlackError("not_authed")
        if not self.token.startswith("xox"):
            raise SlackError("invalid_auth")
        unheeded = sorted(set(self.arguments) - heeded)
        if unheeded:
            raise SlackError("invalid_arguments", f"the stand-in does not heed {', '.join(unheeded)}")

    def given(self, name: str) -> bool:
        """Whether the argument is there."""
        return self.arguments.get(name) is not None

    def string(self, name: str) -> str:
        """A string, empty when absent."""
        value = self.arguments.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            # A JSON number would have lost the last zeros of a ts.
            raise SlackError("invalid_arguments", f"must provide a string [json-pointer:/{name}]")
        return value

    def needed(self, name: str) -> str:
        """A string that must be there."""
        value = self.string(name)
        if not value:
            raise SlackError("invalid_arguments", f"missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self.arguments.get(name)
        text = "" if value is None else str(value).lower()
        if text not in TRUE + FALSE:
            raise SlackError("invalid_arguments", f"must be a boolean [json-pointer:/{name}]")
        return text in TRUE

    def structure(self, name: str, code: str, empty: Any) -> Any:
        """A list or object, as itself or as JSON; `code` is the error when it is neither."""
        value = self.arguments.get(name)
        if value is None or value == "":
            return empty
        if isinstance(value, str):
            value = _parse(value, code)
        if not isinstance(value, type(empty)):
            raise SlackError(code)
        return value

    def page(self, items: list[T], key: Callable[[T], str], default: int, most: int) -> tuple[list[T], str]:
        """The items that `cursor` and `limit` ask for, and the cursor of the next page (empty after the last).

        A cursor names the next item, so that new items do not shift the pages.
        """
        limit = self.arguments.get("limit", default)
        if not re.fullmatch(r"\d{1,6}", str(limit)) or not 1 <= int(limit) <= most:
            raise SlackError("invalid_limit")
        cursors = [base64.b64encode(f"next:{key(item)}".encode()).decode() for item in items]
        given = self.string("cursor")
        if given and given not in cursors:
            raise SlackError("invalid_cursor")
        start = cursors.index(given) if given else 0
        end = start + int(limit)
        return items[start:end], cursors[end] if end < len(items) else ""

    def period(self) -> Callable[[str], bool]:
        """Whether a ts lies between `oldest` and `latest`; at their very moments only if `inclusive`."""
        oldest, latest, inclusive = self._moment("oldest"), self._moment("latest"), self.flag("inclusive")

        def fits(ts: str) -> bool:
            moment = Decimal(ts)
            if moment in (oldest, latest):
                return inclusive
            return (oldest is None or moment > oldest) and (latest is None or moment < latest)

        return fits

    def _moment(self, name: str) -> Decimal | None:
        value = self.arguments.get(name)
        if value is None:
            return None
        if not TIMESTAMP.fullmatch(str(value)):
            raise SlackError(f"invalid_ts_{name}")
        return Decimal(str(value))


def read(environ: dict[str, Any], body: bytes) -> Request:
    """The request; one that cannot be read says so when it is checked.

    The token is taken from the header only. Slack takes it among the arguments too, but a web page could send those
    to this address, and it cannot send the header.
    """
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    base_url = f"http://{environ['HTTP_HOST']}"
    method = environ["PATH_INFO"].removeprefix(API)
    try:
        arguments = {**_form(environ.get("QUERY_STRING", "")), **_arguments(environ.get("CONTENT_TYPE", ""), body)}
    except SlackError as error:
        return Request(method, base_url, unreadable=error)
    # Never to be seen in the record of calls.
    arguments.pop("token", None)
    return Request(method, base_url, token.strip() if scheme.lower() == "bearer" else "", arguments)


def _arguments(content_type: str, body: bytes) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise SlackError("invalid_charset") from error
    if kind == "application/x-www-form-urlencoded":
        return _form(text)
    if kind != "application/json":
        raise SlackError("invalid_post_type")
    content = _parse(text, "invalid_json")
    if not isinstance(content, dict):
        raise SlackError("json_not_object")
    return content


def _form(text: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise SlackError("invalid_form_data") from error


def _parse(text: str, code: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SlackError(code, "not JSON") from error
