"""Clients with which one part of the stand-in calls another, as CloudFormation calls the services: no HTTP, no record.

The calls go through the same refusals and faults as those of callers.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from werkzeug.test import EnvironBuilder

# Answers a WSGI request: status, headers, body; None where a fault cuts the connection.
AnswerIt = Callable[[dict[str, Any], bytes], tuple[int, list[tuple[str, str]], bytes] | None]
ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


class Inside:
    """Makes clients for an account and region, each once."""

    def __init__(self, answer_it: AnswerIt) -> None:
        self._answer_it = answer_it
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, region: str, account: str) -> Any:
        """A boto3 client."""
        key = (service, region, account)
        if key not in self._clients:
            keys = {"aws_access_key_id": account, "aws_secret_access_key": "local"}
            made = boto3.client(service, region_name=region, endpoint_url="http://127.0.0.1", config=ONCE, **keys)
            made.meta.events.register("before-send", lambda request, **_: self._send(request, account))
            self._clients[key] = made
        return self._clients[key]

    def _send(self, request: Any, account: str) -> AWSResponse:
        url, body = urlsplit(request.url), _read(request.body)
        headers = {name: _text(value) for name, value in request.headers.items()}
        environ = EnvironBuilder(
            path=url.path, query_string=url.query, method=request.method, headers=headers, data=body
        ).get_environ()
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        answer = self._answer_it(environ, body)
        if answer is None:
            raise ConnectionResetError("connection dropped by a fault")
        status, given, content = answer
        return AWSResponse(request.url, status, HeadersDict(given), _Raw(content))


class _Raw:
    """What botocore reads an answer's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        """The body, in one piece."""
        yield self._content


def _read(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
