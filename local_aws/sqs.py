"""SQS standard queues: moto's, with the receipt handles, waits and limits of AWS.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
"""

import json
import re
import threading
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from moto.sqs.exceptions import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    PurgeQueueInProgress,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
)
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse
from moto.sqs.urls import url_bases

from local_aws import ecs, policy
from local_aws.errors import NotImplementedByStandIn
from local_aws.logs import LOCK
from local_aws.settings import SETTINGS

# A wait on it lets other calls have the lock.
LOCK_GIVEN_UP = threading.Condition(LOCK)
POLL_SECONDS = 0.05
URL_ACCOUNT = re.compile(r"/(\d{12})/[^/]+$")
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
ATTRIBUTES = frozenset({*RANGES, "Policy", "RedrivePolicy", "SqsManagedSseEnabled"})
NOT_IN_FLIGHT = (
    "Value {} for parameter ReceiptHandle is invalid. "
    "Reason: Message does not exist or is not available for visibility timeout change."
)


class LocalSqsBackend(SQSBackend):
    """moto's state of an account and region, and the receipt handles it has given."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._handles: dict[str, set[str]] = defaultdict(set)

    @property
    def _url_module(self) -> Any:
        paths = ("{0}/$", r"{0}/(?P<account_id>\d+)/(?P<queue_name>[a-zA-Z0-9\-_\.]+)")
        return SimpleNamespace(url_bases=url_bases, url_paths=dict.fromkeys(paths, LocalSqsResponse.dispatch))

    def get_queue(self, queue_name: str) -> Queue:
        """The queue, without the messages it has kept long enough; raises QueueDoesNotExist."""
        queue = super().get_queue(queue_name)
        kept_seconds: int = vars(queue)["message_retention_period"]
        oldest_ms = (time.time() - kept_seconds) * 1000
        queue._messages = [message for message in queue._messages if (message.sent_timestamp or 0) > oldest_ms]
        return queue

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        """Receive, waiting for the first message without keeping other calls waiting."""
        queue = self.get_queue(queue_name)
        ends = time.monotonic() + wait_seconds_timeout
        while True:
            # A queue of the same name, made since a reset, is another's.
            if self.queues.get(queue_name) is not queue:
                raise QueueDoesNotExist()
            messages = super().receive_message(queue_name, count, 0, visibility_timeout, message_attribute_names)
            left = ends - time.monotonic()
            if messages or left <= 0:
                self._handles[queue_name].update(str(message.receipt_handle) for message in messages)
                return messages
            LOCK_GIVEN_UP.wait(min(left, POLL_SECONDS))
            ecs.advance()

    def delete_message(self, queue_name: str, receipt_handle: str) -> None:
        """Delete by the newest handle; an older one deletes nothing, and that is no error."""
        queue = self.get_queue(queue_name)
        message = self._held(queue, receipt_handle)
        if message is not None:
            queue.delete_message(receipt_handle)

    def change_message_visibility(self, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        """Change it for a message in flight, by its newest handle."""
        message = self._held(self.get_queue(queue_name), receipt_handle)
        if message is None or message.visible:
            raise InvalidParameterValue(NOT_IN_FLIGHT.format(receipt_handle))
        super().change_message_visibility(queue_name, receipt_handle, visibility_timeout)

    def delete_message_batch(
        self, queue_name: str, receipts: list[dict[str, Any]]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Delete each, but as many as the setting sqs_delete_failures says fail; it counts down."""
        failing = min(SETTINGS.sqs_delete_failures, len(receipts))
        SETTINGS.sqs_delete_failures -= failing
        success, errors = super().delete_message_batch(queue_name, receipts[failing:])
        forced = [
            {"Id": receipt["Id"], "SenderFault": False, "Code": "InternalError", "Message": "Forced to fail."}
            for receipt in receipts[:failing]
        ]
        return success, forced + errors

    def set_queue_attributes(self, queue_name: str, attributes: dict[str, Any]) -> Queue:
        """SetQueueAttributes; moto would forget a policy that is not given again."""
        kept = {"Policy": self.get_queue(queue_name).policy}
        return super().set_queue_attributes(queue_name, kept | attributes)

    def purge_queue(self, queue_name: str) -> None:
        """PurgeQueue, once a minute."""
        purged = self.get_queue(queue_name).last_purged_at
        if purged is not None and time.time() - purged < 60:
            raise PurgeQueueInProgress(queue_name)
        super().purge_queue(queue_name)

    def _held(self, queue: Queue, receipt_handle: str) -> Message | None:
        if receipt_handle not in self._handles[queue.name]:
            raise ReceiptHandleIsInvalid()
        held = [message for message in queue._messages if message.receipt_handle == receipt_handle]
        return held[0] if held else None


class LocalSqsResponse(SQSResponse):
    """moto's answers, with checks of the attributes it would pass over. Parameters: see actions.py."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's JSON body."""
        return json.loads(self.body or "{}")

    def call_action(self) -> Any:
        """Run one action; moto would take the caller's own queue of that name for another account's."""
        url = str(self.parameters.get("QueueUrl", ""))
        owner = URL_ACCOUNT.search(url)
        if owner and owner[1] != self.current_account:
            message = f"Access to the resource {url} is denied."
            content = {"__type": "com.amazonaws.sqs#AccessDeniedException", "message": message}
            return 403, {"x-amzn-errortype": "AccessDeniedException"}, json.dumps(content)
        return super().call_action()

    def create_queue(self) -> Any:
        """CreateQueue, a standard one."""
        given = self.parameters
        if given["QueueName"].endswith(".fifo"):
            raise NotImplementedByStandIn("The stand-in has no FIFO queues.")
        self._check_attributes(given["QueueName"], given.get("Attributes") or {})
        return super().create_queue()

    def set_queue_attributes(self) -> Any:
        """SetQueueAttributes."""
        given = self.parameters
        self._check_attributes(self._get_queue_name(), given.get("Attributes") or {})
        return super().set_queue_attributes()

    def _check_attributes(self, queue: str, attributes: dict[str, str]) -> None:
        known = {*Queue.BASE_ATTRIBUTES, *Queue.FIFO_ATTRIBUTES, *Queue.KMS_ATTRIBUTES, "RedriveAllowPolicy"}
        for name, value in attributes.items():
            if name not in known:
                raise InvalidAttributeName(name)
            if name not in ATTRIBUTES:
                raise NotImplementedByStandIn(f"The stand-in does not heed a queue's attribute {name}.")
            if name in RANGES and not _is_within(value, *RANGES[name]):
                raise InvalidAttributeValue(name)
        if attributes.get("Policy"):
            arn = f"arn:aws:sqs:{self.region}:{self.current_account}:{queue}"
            _check_policy(attributes["Policy"], arn)


def _check_policy(text: str, arn: str) -> None:
    """Refuse the policies that would be misjudged later: nobody tests the callers of a queue against them."""
    sender = frozenset({"events.amazonaws.com"})
    try:
        if _denies_callers(json.loads(text)):
            raise NotImplementedByStandIn("The stand-in does not deny callers by a queue's policy.")
        policy.allows(text, policy.Request(sender, "sqs:SendMessage", arn, {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAttributeValue("Policy") from error


def _denies_callers(document: dict[str, Any]) -> bool:
    statements = document["Statement"]
    return any(
        statement["Effect"] == "Deny" and (statement["Principal"] == "*" or list(statement["Principal"]) != ["Service"])
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _is_within(value: str, lowest: int, highest: int) -> bool:
    try:
        return lowest <= int(value) <= highest
    except ValueError:
        return False


def install() -> None:
    """Put this backend in the place of moto's."""
    sqs_backends.backend = LocalSqsBackend
