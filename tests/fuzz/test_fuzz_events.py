"""What AWS and strangers send: events, records, rows, log lines. Judged, or refused or counted by name; never stored so
that a database would refuse it, never told so that a secret or a mention gets through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from log_audit.alerts import Surroundings, digest_message, finding_message
from log_audit.delivery import judge, newest, read_event
from log_audit.errors import UnreadableMessageError, UnreadableRecordError
from log_audit.findings import Findings, count_rows, event_extra, sample
from log_audit.redaction import MASK, Redactor, mask_statement
from log_audit.scheduler_calls import call_of_record, executions
from log_audit.settings import Shipper
from log_audit.watch import Say
from tests.support.mutations import DEEP, ODD, spoiled_texts, spoiled_values, stored_as_json

TOKYO = ZoneInfo("Asia/Tokyo")
REDACTOR = Redactor(["customer-[0-9]+"])
SHIPPERS = {"orders": Shipper(ecs_cluster="batch", command=["orders"], family="shipper")}
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "9bcdac79-b31f-4d3d-9410-fbd727c29fab",
    "detail-type": "ECS Task State Change",
    "source": "aws.ecs",
    "account": "123456789012",
    "time": "2026-11-20T01:01:30Z",
    "region": "ap-northeast-1",
    "resources": ["arn:aws:ecs:ap-northeast-1:123456789012:task/batch/b99d40b3"],
    "detail": {
        "clusterArn": "arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch",
        "taskArn": "arn:aws:ecs:ap-northeast-1:123456789012:task/batch/b99d40b3",
        "taskDefinitionArn": "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/shipper:7",
        "containers": [{"name": "router", "exitCode": 143}, {"name": "shipper", "exitCode": 0}],
        "overrides": {"containerOverrides": [{"name": "shipper", "command": ["orders"]}]},
        "createdAt": "2026-11-20T01:00:02.100Z",
        "startedAt": "2026-11-20T01:00:30.123Z",
        "stoppedAt": "2026-11-20T01:01:29.456Z",
        "updatedAt": "2026-11-20T01:01:29.456Z",
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "version": 6,
    },
}


def changed(**detail: Any) -> dict[str, Any]:
    return {**EVENT, "detail": {**EVENT["detail"], **detail}}


def judged(body: str) -> None:
    """It is a task that Airflow can keep, none of ours, or refused with a reason that people can be told."""
    try:
        task = judge(read_event(body), SHIPPERS, TOKYO, REDACTOR)
    except UnreadableMessageError as error:
        stored_as_json(str(error))
        assert len(str(error)) > 10
        return
    if task:
        assert task.task
        stored_as_json([entry.to_json() for entry in newest([task, task])])


@given(event=spoiled_values([EVENT]))
@example(event=changed(startedAt="0001-01-01T00:00:00+14:00"))
@example(event=changed(version=float("inf")))
@example(event=changed(stoppedReason="cut within an emoji \ud83d"))
@example(event=changed(taskArn="task\ud83d"))
def test_any_event_is_judged_or_refused_by_name(event):
    judged(json.dumps(event))


@given(body=spoiled_texts([json.dumps(EVENT)]) | st.text())
@example(body="[" * DEEP)
@example(body='{"a":' * DEEP)
@example(body="9" * 5000)
def test_any_body_is_judged_or_refused_by_name(body):
    judged(body)


RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/nightly/0123",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "nightly"}},
    },
    "eventTime": "2026-11-19T00:00:41Z",
    "eventSource": "glue.amazonaws.com",
    "eventName": "StartWorkflowRun",
    "userAgent": "AmazonEventBridgeScheduler, aws-internal/3",
    "errorCode": "AccessDeniedException",
    "errorMessage": "not allowed",
    "requestParameters": {"name": "nightly", "startedBy": "chronos-schedule/nightly"},
    "eventID": "a1",
}


@given(record=spoiled_values([RECORD]))
@example(record={**RECORD, "eventTime": None})
@example(record={**RECORD, "eventTime": "2026-11-19T00:00:41"})
@example(record={**RECORD, "eventTime": "0001-01-01T00:00:00+14:00"})
@example(record={**RECORD, "userIdentity": "root"})
def test_any_record_is_a_call_none_of_scheduler_or_refused_by_name(record):
    try:
        call = call_of_record(record)
    except UnreadableRecordError as error:
        assert "record" in str(error)
        return
    if call:
        stored_as_json(REDACTOR.value(executions([call, call])))
    else:
        assert not str(record.get("userAgent") or "").startswith("AmazonEventBridgeScheduler")


FOUND = Findings(
    query="errors",
    target="tokyo",
    title="Errors",
    severity="high",
    start=1_795_132_800_000,
    end=1_795_133_100_000,
    total=0,
    rows=[],
    ids=["q-1"],
    console="https://ap-northeast-1.console.aws.amazon.com/",
)
AROUND = Surroundings("http://127.0.0.1:8080/dags/x/runs/y", TOKYO)
OPENED = Say("opened", in_thread=False, incident=None)
TEXTS = [value for value in ODD if isinstance(value, str)]
LINES = (
    '{"status": 500, "path": "/pay", "note": "<!channel> <@U1> <https://evil.example|x>"}',
    "2026-11-20T00:00:00Z ERROR cannot pay: password=hunter2 ```code``` customer-77",
    "\u202e\x1b[31m\x00 日本語 🔥",
)
cells = spoiled_texts(LINES) | st.sampled_from(TEXTS) | st.text(max_size=30)
rows = st.lists(
    st.dictionaries(
        st.sampled_from(("@message", "@timestamp", "status", "@ptr", "", "a b")) | st.text(max_size=5), cells
    )
)


@given(answers=rows, matched=st.integers(0, 10**9) | st.floats(0, 1e12), text=cells)
@example(answers=[{"@message": "cut within an emoji \ud83d", "@ptr": "x"}], matched=1, text="\ud83d")
def test_any_rows_are_counted_kept_and_told_within_slacks_limits(answers, matched, text):
    total = count_rows(answers, matched)
    assert bool(total) == bool(answers) or matched < 1
    kept = sample(REDACTOR.row(row) for row in answers)
    found = replace(FOUND, total=total, rows=kept, notes=[REDACTOR.text(text)], missing=["/gone"])
    stored_as_json(event_extra([found, found]))
    stored_as_json(found.to_json())
    for message in (finding_message(found, OPENED, AROUND), digest_message([found] * 7, AROUND)):
        stored_as_json(message.blocks)
        assert 1 <= len(message.blocks) <= 50
        for block in message.blocks:
            for part in [block["text"]] if "text" in block else block["elements"]:
                assert 1 <= len(part["text"]) <= 3000
                assert not {"<!", "<@", "<#"} & {part["text"][at : at + 2] for at in range(len(part["text"]))}


SECRETS = (
    *("password={}", '"token": "{}"', "Authorization: Bearer {}", "mysql://root:{}@db/shop", "pwd: '{}'", "api_key={}"),
    *('{{\\"secret\\":\\"{}\\"}}', "user[password]={}", "Cookie: sid={}; theme=dark", "IDENTIFIED BY '{}'"),
)


@given(form=st.sampled_from(SECRETS), before=st.text(max_size=40), after=st.text(max_size=40))
def test_a_named_secret_is_masked_whatever_stands_around_it(form, before, after):
    masked = REDACTOR.text(f"{before}\n{form.format('hunter2hunter2')}\n{after}")
    assert "hunter2" not in masked
    assert MASK in masked


STATEMENTS = (
    "SELECT * FROM orders WHERE email = 'a@example.com' AND n = 12 -- note",
    "INSERT INTO t VALUES ('it''s', \"x\\\"y\", x'ff', 0x1f, 1e-5) /* c */",
    "GRANT ALL ON *.* TO 'u'@'%' IDENTIFIED BY 'hunter2'",
)


@given(sql=spoiled_texts(STATEMENTS) | st.text())
def test_any_statement_is_masked_and_stays_masked(sql):
    masked = mask_statement(sql)
    assert "hunter2hunter2" not in masked
    stored = json.dumps(masked)
    assert len(stored) <= 12 * len(sql) + 100


@pytest.mark.parametrize("text", ["'" * 50_000, "`" * 50_000, "/*" * 25_000, "password=" * 6_000, "[" * 50_000])
def test_hostile_statements_and_texts_are_masked_in_a_moment(text):
    mask_statement(text)
    REDACTOR.text(text)
