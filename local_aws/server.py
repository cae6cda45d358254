"""The front door: a WSGI wrapper around moto's server that names, refuses, records and breaks calls.

moto keeps its state once per process, so a process serves one `LocalAws` at a time.
"""

import io
import json
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet
from xml.sax.saxutils import escape

import moto
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local_aws import (
    accounts,
    buckets,
    cloudformation,
    cloudtrail,
    ecs,
    events,
    iam_callers,
    iam_roles,
    logs,
    policy,
    scheduler,
    slack,
    slack_page,
    slack_request,
    sqs,
)
from local_aws.actions import refusal
from local_aws.athena import backend as athena
from local_aws.control_api import PREFIX, ControlApi
from local_aws.errors import NOT_IMPLEMENTED, NotImplementedByStandIn
from local_aws.iam import Access
from local_aws.inside import Inside
from local_aws.naming import Call, name_call
from local_aws.records import Fault, Records

MOTO_VERSION = "5.2.5"
HOST = "127.0.0.1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SEEN_OUT = 10.0  # seconds in which the calls under way end when the server closes

Environ = dict[str, Any]


@dataclass
class Answer:
    """An HTTP answer, complete."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    is_cut: bool = False  # the connection ends within the body

    @classmethod
    def of_json(cls, status: int, content: Any, **headers: str) -> "Answer":
        """A JSON answer."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return cls(status, json.dumps(content).encode(), [("Content-Type", "application/json"), *named])


class FrontDoor:
    """The WSGI application: the control API beneath ``/local-aws/``, Slack beneath ``/slack/``, AWS everywhere else."""

    def __init__(self, hosts: frozenset[str] = LOOPBACK) -> None:
        self.records = Records()
        self._closing = threading.Event()
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._hosts = hosts
        self._slack = slack.Slack()
        self._control = ControlApi(self.records, self._slack)
        self._moto = DomainDispatcherApplication(create_backend_app)
        cloudformation.use(Inside(self._answer_inside))

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request, or cut its connection."""
        self._threads.add(threading.current_thread())
        body = _read_body(environ)
        answer = self._answer(environ, body)
        if answer is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError("connection dropped by a fault")
        if environ["REQUEST_METHOD"] == "HEAD":
            # It keeps the Content-Length of the body that it leaves out.
            start_response(_status_line(answer.status), answer.headers)
            return []
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        start_response(_status_line(answer.status), [*headers, ("Content-Length", str(len(answer.body)))])
        return _half(environ, answer.body) if answer.is_cut else [answer.body]

    def close(self) -> None:
        """Break off the calls that wait, and forget everything."""
        self._closing.set()
        self._control.reset()
        until = time.monotonic() + SEEN_OUT
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _answer(self, environ: Environ, body: bytes) -> Answer | None:
        if _host_name(environ.get("HTTP_HOST", "")) not in self._hosts:
            # A web page that rebinds its DNS name to 127.0.0.1 still sends its own name here.
            return Answer.of_json(403, {"error": f"This server answers to {', '.join(sorted(self._hosts))} only."})
        path = environ.get("PATH_INFO", "/")
        if path.startswith(PREFIX):
            status, content = self._control.answer(environ, body)
            return Answer.of_json(status, content)
        if path.startswith(slack.PREFIX):
            return self._answer_slack(environ, body)
        try:
            call = name_call(environ, body)
        except ValueError as error:
            return Answer.of_json(400, {"__type": "SerializationException", "message": str(error)})
        account = accounts.account_of(call.access_key)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        seen: dict[str, Any] = {"account": account, "agent": environ.get("HTTP_USER_AGENT", ""), "rights": []}
        return self._recorded(call, lambda: self._answer_aws(call, environ, body, seen), seen)

    def _recorded(
        self, call: Call, answer_it: Callable[[], Answer | None], seen: dict[str, Any] | None = None
    ) -> Answer | None:
        started = time.time()
        answer = answer_it()
        self.records.add_call(
            {
                "action": call.name,
                "service": call.service,
                "region": call.region,
                "parameters": call.parameters,
                "status": answer.status if answer else None,
                "time": started,
                **(seen or {}),
                "made": iam_callers.made_by(call.name, answer.body) if answer and answer.status == 200 else None,
            }
        )
        return answer

    def _with_fault(self, call: Call, answer_it: Callable[[], Answer]) -> Answer | None:
        fault = self.records.take_fault(call.name) or Fault("*")
        if self._closing.wait(fault.delay) or fault.drop == "before":
            return None
        if fault.error:
            return error_answer(call, fault.error, fault.message, fault.status)
        answer = answer_it()
        if fault.drop == "within":
            return replace(answer, is_cut=True)
        return None if fault.drop == "after" else answer

    def _answer_slack(self, environ: Environ, body: bytes) -> Answer | None:
        if not environ["PATH_INFO"].startswith(slack_request.API):
            return Answer(*slack_page.answer(self._slack, environ))
        request = slack_request.read(environ, body)
        call = Call("slack", request.method, "", "slack", request.arguments)

        def answer_it() -> Answer:
            status, content, headers = self._slack.answer(request)
            answer = Answer.of_json(status, content)
            answer.headers += headers.items()
            return answer

        if not slack.is_known(call.name):
            return self._recorded(call, answer_it)
        return self._recorded(call, lambda: self._with_fault(call, answer_it))

    def _answer_aws(self, call: Call, environ: Environ, body: bytes, seen: dict[str, Any]) -> Answer | None:
        refused = self._refused(call, body)
        return refused or self._with_fault(call, lambda: self._if_allowed(call, environ, seen))

    def _refused(self, call: Call, body: bytes) -> Answer | None:
        """Why this call is answered with an error, whoever makes it."""
        try:
            refused = refusal(call.name, call.parameters) or _refused_policy(call, body)
        except ValueError:
            return error_answer(call, "MalformedPolicy", "Policies must be valid JSON.", 400)
        if refused:
            return error_answer(call, NOT_IMPLEMENTED, refused, 501)
        if call.name == "sts.AssumeRole" and (denied := accounts.refused_role(call, call.access_key)):
            return error_answer(call, "AccessDenied", denied, 403)
        if call.service == "s3" and buckets.denies(call):
            return error_answer(call, "AccessDenied", "Access Denied", 403)
        return None

    def _if_allowed(self, call: Call, environ: Environ, seen: dict[str, Any]) -> Answer:
        """The answer, if the caller may have it; `seen` is told who that is, and which rights the call needs."""
        try:
            with logs.LOCK:
                caller = iam_roles.caller_of(call, environ)
                seen["caller"] = caller.arn
                if caller.role:
                    self._require(call, caller, iam_roles.rights_needed(call, caller), seen)
            answer = self._ask_moto(call, environ)
            if caller.role and answer.status == 404:
                self._require(call, caller, iam_roles.rights_to_know_it_missing(call, caller), seen)
        except iam_roles.Denial as denial:
            return error_answer(call, denial.code, denial.message, denial.status)
        except NotImplementedByStandIn as error:
            return error_answer(call, NOT_IMPLEMENTED, str(error.message), 501)
        return answer

    def _require(self, call: Call, caller: iam_roles.Caller, rights: list[Access], seen: dict[str, Any]) -> None:
        seen["rights"] += [asdict(access) for access in rights]
        iam_roles.require(call, caller, rights)

    def _answer_inside(self, environ: Environ, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Answer a part of the stand-in, which may do what it likes; not recorded."""
        call = name_call(environ, body)
        answer = self._refused(call, body) or self._with_fault(call, lambda: self._ask_moto(call, environ))
        return (answer.status, answer.headers, answer.body) if answer else None

    def _ask_moto(self, call: Call, environ: Environ) -> Answer:
        given: list[tuple[str, list[tuple[str, str]]]] = []

        def keep(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], None]:
            given.append((status, headers))
            return lambda data: None

        try:
            with logs.LOCK:
                logs.advance_exports()
                ecs.advance()
                body = b"".join(self._moto(environ, keep))
        except Exception as error:
            # moto's own bugs; 501, since botocore would retry a 500.
            traceback.print_exc(file=sys.stderr)
            return error_answer(call, NOT_IMPLEMENTED, f"{call.name} broke the stand-in: {error!r}", 501)
        status, headers = given[-1]
        return Answer(int(status.split()[0]), body, headers)


def _half(environ: Environ, body: bytes) -> Iterator[bytes]:
    """The first half of a body, then the end of its connection."""
    yield body[: len(body) // 2]
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("answer cut off by a fault")


def error_answer(call: Call, code: str, message: str, status: int) -> Answer:
    """An error in the words of the service's protocol, which boto3 raises as ClientError (slack_sdk: SlackApiError)."""
    if call.protocol == "slack":
        details = [message] if message else []
        headers = {"Retry_After": "1"} if status == 429 else {}
        return Answer.of_json(status, slack.error_content(code, *details), **headers)
    if call.protocol == "json":
        return Answer.of_json(status, {"__type": code, "message": message}, x_amzn_ErrorType=code)
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.protocol == "query":
        text = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
    else:
        text = f"<Error>{error}</Error>"
    return Answer(status, text.encode(), [("Content-Type", "text/xml")])


def _refused_policy(call: Call, body: bytes) -> str | None:
    return policy.unsupported(body) if call.name == "s3.PutBucketPolicy" else None


def _read_body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    chunked = "chunked" in environ.pop("HTTP_TRANSFER_ENCODING", "")
    body: bytes = stream.read() if chunked else stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


class _Handler(MotoRequestHandler):
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests are in the record of calls, not on the terminal."""


class LocalAws:
    """The stand-in, serving 127.0.0.1 from a thread of this process: ``with LocalAws() as aws: ...``.

    :param port: 0 takes a free one
    :param host: the address to listen on; another than 127.0.0.1 is for a container, whose network nobody else shares
    :param also_known_as: the name by which others in that network call it
    :raises RuntimeError: moto is another than the pinned
    """

    _only_one = threading.Lock()

    def __init__(self, port: int = 0, host: str = HOST, also_known_as: str = HOST) -> None:
        if moto.__version__ != MOTO_VERSION:
            raise RuntimeError(
                f"local_aws is written for moto {MOTO_VERSION}, and this is {moto.__version__}: "
                f"install moto=={MOTO_VERSION}, or check local_aws against the new version."
            )
        if not self._only_one.acquire(blocking=False):
            raise RuntimeError("A LocalAws is open in this process already, and moto's state is global.")
        try:
            # moto would let any web page read its answers.
            werkzeug_app.DISABLE_GLOBAL_CORS = True
            logs.install()
            for service in (accounts, buckets, cloudformation, events, sqs, ecs, athena, cloudtrail, scheduler):
                service.install()
            self.door = FrontDoor(LOOPBACK | {also_known_as})
            self._server = make_server(host, port, self.door, threaded=True, request_handler=_Handler)
        except BaseException:
            self._only_one.release()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the listening socket."""
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    @property
    def endpoint(self) -> str:
        """The URL to give to boto3 as endpoint_url, on this machine."""
        return f"http://{HOST}:{self.address[1]}"

    def close(self) -> None:
        """Stop serving and forget everything."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.door.close()
        self._only_one.release()

    def __enter__(self) -> "LocalAws":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
