"""Name the AWS action of an HTTP request, from the request alone.

JSON services name it in X-Amz-Target, query services in the form's Action; REST services (S3) do so
by method, path and query, which botocore's own service models tell apart.
"""

import json
import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import botocore.session
from botocore.exceptions import UnknownServiceError

SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
# Paths that moto routes by themselves, whatever the signature says.
MOTO_PATHS = ("/moto-api", "/favicon.ico", "/latest/meta-data/", "/latest/api/", "/v20180820/")
XML_SERVICES = frozenset({"s3", "route53", "cloudfront"})


@dataclass(frozen=True)
class Call:
    """One request to AWS. `protocol` is "json", "query" or "s3": how an error is written; `path`: what a path names."""

    service: str
    action: str
    region: str
    protocol: str
    parameters: dict[str, Any] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)
    access_key: str = ""

    @property
    def name(self) -> str:
        """Such as ``logs.CreateExportTask``."""
        return f"{self.service}.{self.action}"


@dataclass(frozen=True)
class Operation:
    """How one REST operation is told from its neighbours."""

    name: str
    method: str
    path: re.Pattern[str]
    query: dict[str, str]
    required_query: frozenset[str]
    required_headers: frozenset[str]

    def fits(self, method: str, path: str, query: dict[str, str], headers: set[str]) -> bool:
        """Whether the request has all that this operation demands."""
        return (
            method == self.method
            and self.path.fullmatch(path) is not None
            and all(query.get(key) == value for key, value in self.query.items())
            and self.required_query <= query.keys()
            and self.required_headers <= headers
        )

    def named_in(self, path: str) -> dict[str, str]:
        """What a fitting path names, such as the Name of a schedule."""
        found = self.path.fullmatch(path)
        return {} if found is None else found.groupdict()

    @property
    def demands(self) -> int:
        """The more it demands, the more specific it is."""
        return len(self.query) + len(self.required_query) + len(self.required_headers)


def name_call(environ: dict[str, Any], body: bytes) -> Call:
    """The call that this WSGI request makes; what has no name keeps its method and path as its name."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
    scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        # moto guesses a service here; a guess is no ground for an answer.
        return Call("unsigned", f"{method} {path}", "", "s3")
    access_key, region, service = scope.groups()
    if path.startswith(MOTO_PATHS):
        return Call(service, f"{method} {path}", region, "s3", access_key=access_key)
    return replace(_signed_call(service, region, environ, body), access_key=access_key)


def _signed_call(service: str, region: str, environ: dict[str, Any], body: bytes) -> Call:
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return Call(service, target.rpartition(".")[2], region, "json", json.loads(body or b"{}"))
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        return Call(service, form.pop("Action", "?"), region, "query", form)
    return _rest_call(service, region, environ)


def _rest_call(service: str, region: str, environ: dict[str, Any]) -> Call:
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    headers = {key[5:].replace("_", "-").lower() for key in environ if key.startswith("HTTP_")}
    fitting = [op for op in operations(service) if op.fits(method, path, query, headers)]
    operation = max(fitting, key=lambda op: op.demands, default=None)
    protocol = "s3" if service in XML_SERVICES else "json"
    parameters: dict[str, Any] = dict(query)
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        parameters |= {name: value for name, value in (("Bucket", bucket), ("Key", key)) if value}
    if operation is None:
        return Call(service, f"{method} {path}", region, protocol, parameters)
    return Call(service, operation.name, region, protocol, parameters, operation.named_in(path))


@cache
def operations(service: str) -> tuple[Operation, ...]:
    """The REST operations of a service by botocore's model; none for a service it does not know."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return ()
    models = [model.operation_model(name) for name in sorted(model.operation_names)]
    # A deprecated operation has the same path as the one in its place.
    return tuple(_operation(model) for model in models if not model.deprecated)


def _operation(model: Any) -> Operation:
    path, _, query = model.http.get("requestUri", "/").partition("?")
    shape = model.input_shape
    required = [shape.members[name] for name in shape.required_members] if shape else []
    places = [(member.serialization.get("location"), member.serialization.get("name")) for member in required]
    return Operation(
        name=model.name,
        method=model.http.get("method", "POST"),
        path=_path_pattern(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        required_query=frozenset(name for place, name in places if place == "querystring"),
        required_headers=frozenset(name.lower() for place, name in places if place == "header"),
    )


def _path_pattern(template: str) -> re.Pattern[str]:
    """``/{Bucket}/{Key+}`` as a pattern with its parts' names; `+` takes slashes too."""
    pattern = "".join(map(_part_pattern, re.split(r"(\{[^}]+\})", template)))
    return re.compile(pattern if template.endswith("+}") else pattern.rstrip("/") + "/?", re.DOTALL)


def _part_pattern(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    # A few services name parts as no pattern could.
    name = re.sub(r"\W", "_", part.strip("{+}"))
    return f"(?P<{name}>{'.+' if part.endswith('+}') else '[^/]+'})"
