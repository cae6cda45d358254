"""SQS queues: receipt handles, waits, dead letters, limits and refusals."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import sqs_backends

from local_aws.control import Control

REGION = "ap-northeast-1"
ACCOUNT = "123456789012"


@pytest.fixture
def sqs(aws_client: Callable[..., Any]) -> Any:
    return aws_client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    made: str = sqs.create_queue(QueueName="work")["QueueUrl"]
    return made


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    asked = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]} | options
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **asked).get("Messages", [])
    return messages


def count(sqs: Any, url: str, name: str = "ApproximateNumberOfMessages") -> int:
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"]).rpartition(".")[2]


def test_send_receive_delete(sqs: Any, url: str) -> None:
    sent = sqs.send_message(QueueUrl=url, MessageBody="one")
    (message,) = receive(sqs, url)
    assert (message["Body"], message["MessageId"]) == ("one", sent["MessageId"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert receive(sqs, url) == []
    assert count(sqs, url, "ApproximateNumberOfMessagesNotVisible") == 1
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert count(sqs, url, "ApproximateNumberOfMessagesNotVisible") == 0


def test_at_most_ten_a_receive(sqs: Any, url: str) -> None:
    for start in (0, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)]
        assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    assert len(receive(sqs, url)) == 10
    for number in (0, 11):
        with pytest.raises(ClientError):
            receive(sqs, url, MaxNumberOfMessages=number)
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_a_message_not_deleted_in_time_comes_again(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="one")
    (first,) = receive(sqs, url, VisibilityTimeout=1)
    assert receive(sqs, url) == []
    time.sleep(1.1)
    (second,) = receive(sqs, url)
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    with pytest.raises(ClientError, match="not available for visibility timeout change"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    (third,) = receive(sqs, url)
    entries = [{"Id": str(n), "ReceiptHandle": item["ReceiptHandle"]} for n, item in enumerate((second, third))]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    assert count(sqs, url) == count(sqs, url, "ApproximateNumberOfMessagesNotVisible") == 0
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])


def test_a_handle_whose_time_is_up_deletes_while_it_is_the_newest(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="one")
    (message,) = receive(sqs, url, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert receive(sqs, url) == []


def test_visibility_prolonged(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="one")
    (message,) = receive(sqs, url, VisibilityTimeout=1)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=60)
    time.sleep(1.1)
    assert receive(sqs, url) == []


def test_a_handle_of_nobody(sqs: Any, url: str) -> None:
    for call in (
        lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="x"),
        lambda: sqs.change_message_visibility(QueueUrl=url, ReceiptHandle="x", VisibilityTimeout=1),
    ):
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            call()
    failed = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": "x"}])["Failed"]
    assert [item["Code"] for item in failed] == ["ReceiptHandleIsInvalid"]


def test_part_of_a_batch_fails(aws: Control, sqs: Any, url: str) -> None:
    for body in "abc":
        sqs.send_message(QueueUrl=url, MessageBody=body)
    aws.configure(sqs_delete_failures=2)
    entries = [{"Id": item["Body"], "ReceiptHandle": item["ReceiptHandle"]} for item in receive(sqs, url)]
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert [item["Id"] for item in answer["Successful"]] == ["c"]
    assert [(item["Id"], item["SenderFault"]) for item in answer["Failed"]] == [("a", False), ("b", False)]
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries[:2])
    assert len(answer["Successful"]) == 2
    assert count(sqs, url, "ApproximateNumberOfMessagesNotVisible") == 0


def test_a_wait_ends_with_the_first_message_and_holds_nobody_up(sqs: Any, url: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        started = time.monotonic()
        waiting = threads.submit(receive, sqs, url, WaitTimeSeconds=20)
        time.sleep(0.3)
        sqs.list_queues()
        assert time.monotonic() - started < 2
        sqs.send_message(QueueUrl=url, MessageBody="late")
        assert [message["Body"] for message in waiting.result(5)] == ["late"]
        assert time.monotonic() - started < 5


def test_a_wait_in_vain(sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"ReceiveMessageWaitTimeSeconds": "1"})
    started = time.monotonic()
    assert receive(sqs, url) == []
    assert 1 <= time.monotonic() - started < 3
    with pytest.raises(ClientError):
        receive(sqs, url, WaitTimeSeconds=21)


def test_a_wait_ends_when_all_is_reset(aws: Control, sqs: Any, url: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(receive, sqs, url, WaitTimeSeconds=20)
        time.sleep(0.3)
        aws.reset()
        again = sqs.create_queue(QueueName="work")["QueueUrl"]
        sqs.send_message(QueueUrl=again, MessageBody="of the next test")
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            waiting.result(5)
    assert len(receive(sqs, again)) == 1


def test_dead_letters(sqs: Any, url: str) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead", "maxReceiveCount": "2"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(redrive)})
    sqs.send_message(QueueUrl=url, MessageBody="bad")
    (first,) = receive(sqs, url, VisibilityTimeout=0)
    (second,) = receive(sqs, url, VisibilityTimeout=0)
    assert receive(sqs, dead) == []
    assert receive(sqs, url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    (message,) = receive(sqs, dead)
    assert (message["Body"], message["MessageId"]) == ("bad", first["MessageId"])


def test_messages_grow_too_old(sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    for body in ("old", "young"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    # A minute is the least that SQS takes, and too long for a test.
    sqs_backends[ACCOUNT][REGION].queues["work"]._messages[0].sent_timestamp -= 60_001
    assert count(sqs, url) == 1
    assert [message["Body"] for message in receive(sqs, url)] == ["young"]


def test_attributes_are_kept_when_others_are_set(sqs: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    attributes = {"VisibilityTimeout": "90", "MessageRetentionPeriod": "1209600", "Policy": policy}
    url = sqs.create_queue(QueueName="q", Attributes=attributes)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "91"})
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert shown["QueueArn"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    assert (shown["VisibilityTimeout"], shown["MessageRetentionPeriod"]) == ("91", "1209600")
    assert json.loads(shown["Policy"]) == json.loads(policy)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_queues_by_name(sqs: Any, url: str) -> None:
    assert sqs.get_queue_url(QueueName="work")["QueueUrl"] == url
    assert sqs.create_queue(QueueName="work")["QueueUrl"] == url
    with pytest.raises(ClientError):
        sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "1"})
    sqs.create_queue(QueueName="other")
    assert len(sqs.list_queues()["QueueUrls"]) == 2
    assert sqs.list_queues(QueueNamePrefix="wo")["QueueUrls"] == [url]
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="none")


def test_purge_once_a_minute(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="one")
    sqs.purge_queue(QueueUrl=url)
    assert count(sqs, url) == 0
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress):
        sqs.purge_queue(QueueUrl=url)


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
        ({"MessageRetentionPeriod": "59"}, "InvalidAttributeValue"),
        ({"DelaySeconds": "x"}, "InvalidAttributeValue"),
        ({"Policy": "none"}, "InvalidAttributeValue"),
        ({"Policy": '{"Statement": [{"Effect": "Allow", "Principal": "*"}]}'}, "InvalidAttributeValue"),
        ({"Colour": "red"}, "InvalidAttributeName"),
        ({"FifoQueue": "true"}, "NotImplementedByStandIn"),
        ({"KmsMasterKeyId": "k"}, "NotImplementedByStandIn"),
    ],
)
def test_attributes_refused(sqs: Any, attributes: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        sqs.create_queue(QueueName="q", Attributes=attributes)
    assert code_of(raised) == code
    assert "QueueUrls" not in sqs.list_queues()


@pytest.mark.parametrize(
    "call",
    [
        lambda sqs, url: sqs.create_queue(QueueName="q.fifo"),
        lambda sqs, url: sqs.add_permission(QueueUrl=url, Label="x", AWSAccountIds=["123456789012"], Actions=["*"]),
        lambda sqs, url: sqs.tag_queue(QueueUrl=url, Tags={"a": "b"}),
        lambda sqs, url: sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g"),
    ],
)
def test_refusals(sqs: Any, url: str, call: Callable[[Any, str], Any]) -> None:
    with pytest.raises(ClientError) as raised:
        call(sqs, url)
    assert code_of(raised) == "NotImplementedByStandIn"
