"""What all hooks of AWS have in common: they say which connection it is that AWS cannot be called with."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.sdk.exceptions import AirflowNotFoundException

from log_audit.aws_access import Way, explained, missing, refused
from log_audit.errors import BrokenAnswerError
from log_audit.redaction import ALWAYS


class ReachHook(AwsGenericHook[Any]):
    """To be named first among a hook's parents.

    The provider's hooks take a missing connection for an empty one, and call AWS as whoever the worker happens to be:
    another account might pass for the target's.

    :raises CredentialsError: there is no such connection, its role cannot be assumed, AWS does not know its keys
    :raises UnreachableError: AWS cannot be reached, or a token has expired

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
    """

    @cached_property
    def conn_config(self) -> Any:
        self._require_connection()
        return super().conn_config

    def get_session(self, *args: Any, **kwargs: Any) -> Any:
        """The provider's session, whose clients explain what they meet; it assumes the role, if there is one."""
        way = self._way
        try:
            session: Any = super().get_session(*args, **kwargs)
        except Exception as error:
            if known := explained(error, way):
                raise known from None
            raise
        events = session.events if hasattr(session, "events") else session.get_component("event_emitter")
        events.register("after-call-error", _Listener(way).failed)
        events.register("after-call", _Listener(way).answered)
        return session

    @staticmethod
    def _find_operator_class_name(target_function_name: str) -> str | None:
        """Who calls AWS, for the user agent. The provider's own reads the source file of every frame of the stack."""
        frame = inspect.currentframe()
        while frame and frame.f_code.co_name != target_function_name:
            frame = frame.f_back
        return type(frame.f_locals["self"]).__name__ if frame else None

    @property
    def _way(self) -> Way:
        config = self.conn_config
        return Way(str(self.aws_conn_id), config.region_name, config.role_arn)

    def _require_connection(self) -> None:
        if not self.aws_conn_id:
            return
        try:
            self.get_connection(self.aws_conn_id)
        except AirflowNotFoundException:
            raise missing(Way(self.aws_conn_id, self._region_name)) from None


class _Listener:
    """What botocore tells of each call of a session's clients."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def failed(self, exception: Exception, **_: Any) -> None:
        """There was no answer: no credentials, no network, a role that cannot be assumed anew."""
        if known := explained(exception, self._way):
            raise known from None

    def answered(self, parsed: dict[str, Any], model: Any, http_response: Any = None, **_: Any) -> None:
        """There was one, which may be a refusal; its words are masked before anybody can log them."""
        if http_response is not None and _is_cut(http_response, model):
            raise BrokenAnswerError(
                f"AWS's answer to {model.name} by the Airflow connection {self._way.connection!r} broke off on its "
                "way: the next try asks again. Should that go on, look at what lies on the way, such as a proxy"
            )
        error = parsed.get("Error")
        if not isinstance(error, dict) or not error.get("Code"):
            return
        error["Message"] = ALWAYS.text(str(error.get("Message", "")))
        if known := refused(str(error["Code"]), error["Message"], model.name, self._way):
            raise known from None


def _is_cut(http_response: Any, model: Any) -> bool:
    """Whether less of an answer came than it said: botocore takes half of a JSON text for one without any field, and
    half of a refusal for one without words.
    """
    is_read_later = model.has_streaming_output and http_response.status_code < 300
    if is_read_later or model.http.get("method") == "HEAD":
        return False
    said = str(http_response.headers.get("content-length", ""))
    body = getattr(http_response, "_content", None)  # where both botocore and aiobotocore keep what they have read
    return said.isdecimal() and isinstance(body, bytes) and len(body) < int(said)
