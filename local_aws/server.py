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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import moto
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local_aws import ecs, events, logs, policy, slack, slack_page, slack_request, sqs
from local_aws.actions import refusal
from local_aws.athena import backend as athena
from local_aws.control_api import PREFIX, ControlApi
from local_aws.errors import NOT_IMPLEMENTED
from local_aws.naming import Call, name_call
from local_aws.records import Fault, Records

MOTO_VERSION = "5.2.5"
HOST = "127.0.0.1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Environ = dict[str, Any]


@dataclass
class Answer:
    """An HTTP answer, complete."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of_json(cls, status: int, content: Any, **headers: str) -> "Answer":
        """A JSON answer."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return cls(status, json.dumps(content).encode(), [("Content-Type", "application/json"), *named])


class FrontDoor:
    """The WSGI application: the control API beneath ``/local-aws/``, Slack beneath ``/slack/``, AWS everywhere else."""

    def __init__(self) -> None:
        self.records = Records()
        self._slack = slack.Slack()
        self._control = ControlApi(self.records, self._slack)
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request, or cut its connection."""
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
        return [answer.body]

    def _answer(self, environ: Environ, body: bytes) -> Answer | None:
        if not _is_loopback(environ.get("HTTP_HOST", "")):
            # A web page that rebinds its DNS name to 127.0.0.1 still sends its own name here.
            return Answer.of_json(403, {"error": "This server answers to 127.0.0.1 and localhost only."})
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
        return self._recorded(call, lambda: self._answer_aws(call, environ, body))

    def _recorded(self, call: Call, answer_it: Callable[[], Answer | None]) -> Answer | None:
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
            }
        )
        return answer

    def _with_fault(self, call: Call, answer_it: Callable[[], Answer]) -> Answer | None:
        fault = self.records.take_fault(call.name) or Fault("*")
        time.sleep(fault.delay)
        if fault.drop == "before":
            return None
        if fault.error:
            return error_answer(call, fault.error, fault.message, fault.status)
        answer = answer_it()
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

    def _answer_aws(self, call: Call, environ: Environ, body: bytes) -> Answer | None:
        try:
            refused = refusal(call.name, call.parameters) or _refused_policy(call, body)
        except ValueError:
            return error_answer(call, "MalformedPolicy", "Policies must be valid JSON.", 400)
        if refused:
            return error_answer(call, NOT_IMPLEMENTED, refused, 501)
        return self._with_fault(call, lambda: self._ask_moto(call, environ))

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


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


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
    """The stand-in, serving 127.0.0.1 from a thread of this process: ``with LocalAws() as aws: ...``."""

    _only_one = threading.Lock()

    def __init__(self, port: int = 0) -> None:
        """Start serving; port 0 takes a free one. Raises RuntimeError for another moto than the pinned."""
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
            for service in (events, sqs, ecs, athena):
                service.install()
            self.door = FrontDoor()
            self._server = make_server(HOST, port, self.door, threaded=True, request_handler=_Handler)
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
        """The URL to give to boto3 as endpoint_url."""
        host, port = self.address
        return f"http://{host}:{port}"

    def close(self) -> None:
        """Stop serving and forget everything."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._only_one.release()

    def __enter__(self) -> "LocalAws":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
