"""What a worker or the triggerer says that cannot call AWS: the connection, the reason, the remedy."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil

import pytest

from local_aws import accounts
from local_aws.airflow import aws_connection, free_port
from log_audit import operators, triggers
from log_audit.errors import AccessError, CredentialsError, PermanentError, UnreachableError
from log_audit.hooks.athena import QueryHook
from log_audit.hooks.cloudtrail import CloudTrailHook
from log_audit.hooks.ecs import TaskHook, TaskQueueHook
from log_audit.hooks.logs import LogsHook
from log_audit.hooks.reach import ReachHook
from log_audit.hooks.s3 import ArchiveHook
from log_audit.hooks.scheduler import SchedulerHook
from log_audit.triggers.athena import QueryTrigger
from log_audit.triggers.ecs import EcsTaskStoppedTrigger
from log_audit.triggers.logs import ExportSlotTrigger, ExportTaskTrigger, QueriesTrigger

REGION, ACCOUNT = "ap-northeast-1", "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/log-audit"
CALLS = {
    QueryHook: lambda client: client.list_work_groups(),
    CloudTrailHook: lambda client: client.lookup_events(),
    TaskHook: lambda client: client.list_tasks(),
    TaskQueueHook: lambda client: client.list_queues(),
    LogsHook: lambda client: client.describe_log_groups(),
    ArchiveHook: lambda client: client.list_buckets(),
    SchedulerHook: lambda client: client.list_schedules(),
}
TRIGGERS = {
    "export": lambda **way: ExportTaskTrigger(export_task_id="x", waiter_delay=1, waiter_max_attempts=3, **way),
    "slot": lambda **way: ExportSlotTrigger(waiter_delay=1, waiter_max_attempts=3, **way),
    "queries": lambda **way: QueriesTrigger(query_ids=["x"], waiter_delay=1, waiter_max_attempts=3, **way),
    "athena": lambda **way: QueryTrigger(query_execution_id="x", waiter_delay=1, waiter_max_attempts=3, **way),
}


@pytest.fixture(autouse=True)
def worker_without_credentials(monkeypatch, tmp_path):
    """As a fresh container: no keys, no profile, no instance role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def missing(aws, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_AWS_OSAKA", raising=False)
    # Keys of the worker's own must not be used in the place of the target's.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")


def malformed(aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", '{"conn_type": "aws", "password": "hunter2"')


def empty(aws, monkeypatch):
    extra = {"region_name": REGION, "endpoint_url": aws.endpoint}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", json.dumps({"conn_type": "aws", "extra": extra}))


def role(aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION, ROLE))


def expired(aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION))
    aws.fault("*", error="ExpiredTokenException", message="The security token is expired", times=1000)


def revoked(aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION))
    aws.fault("*", error="UnrecognizedClientException", message="The security token is invalid.", times=1000)


def unreachable(aws, monkeypatch):
    config = {"retries": {"total_max_attempts": 1}}
    connection = json.loads(aws_connection(f"http://127.0.0.1:{free_port()}", REGION))
    connection["extra"]["config_kwargs"] = config
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", json.dumps(connection))


def wrong_region(aws, monkeypatch):
    """Without an endpoint of its own, the region names a host that is nowhere."""
    config = {"retries": {"total_max_attempts": 1}, "connect_timeout": 2}
    connection = {"conn_type": "aws", "login": "k", "password": "s", "extra": {"config_kwargs": config}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", json.dumps(connection))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGION_OF_THE_TEST", "ap-nowhere-1")


PLIGHTS = [
    (missing, CredentialsError, "there is no Airflow connection 'aws_osaka'", "AIRFLOW_CONN_AWS_OSAKA"),
    (malformed, CredentialsError, "there is no Airflow connection 'aws_osaka' that could be read", "JSON"),
    (empty, CredentialsError, "'aws_osaka' holds no credentials", "put an access key into the connection"),
    (role, CredentialsError, f"the role {ROLE} cannot be assumed with the Airflow connection 'aws_osaka'", "trust"),
    (expired, UnreachableError, "'aws_osaka' have expired (ExpiredTokenException)", "put new ones in"),
    (
        revoked,
        CredentialsError,
        "does not know the credentials of the Airflow connection 'aws_osaka'",
        "put in the keys",
    ),
    (unreachable, UnreachableError, "AWS cannot be reached with the Airflow connection 'aws_osaka'", "endpoint_url"),
    (wrong_region, UnreachableError, "'aws_osaka' in ap-nowhere-1", "See that there is such a region"),
]
plights = pytest.mark.parametrize(("plight", "kind", "said", "remedy"), PLIGHTS, ids=[p[0].__name__ for p in PLIGHTS])


def way():
    import os

    return {"aws_conn_id": "aws_osaka", "region_name": os.environ.get("REGION_OF_THE_TEST", REGION)}


@plights
@pytest.mark.parametrize("hook", CALLS, ids=lambda hook: hook.__name__)
def test_every_hook_says_which_connection_and_what_to_do(aws, monkeypatch, hook, plight, kind, said, remedy):
    plight(aws, monkeypatch)
    with pytest.raises(kind) as caught:
        CALLS[hook](hook(**way()).conn)
    sentence = str(caught.value)
    assert said in sentence
    assert remedy in sentence
    assert "hunter2" not in sentence
    assert caught.value.__cause__ is None  # what a log shows last is this sentence
    assert caught.value.__suppress_context__


@plights
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_says_so_in_its_event(aws, monkeypatch, trigger, plight, kind, said, remedy):
    plight(aws, monkeypatch)

    async def first():
        async for event in TRIGGERS[trigger](**way()).run():
            return event.payload

    event = asyncio.run(asyncio.wait_for(first(), 60))
    assert event["status"] == "error"
    assert said in event["message"]
    assert remedy in event["message"]


@plights
@pytest.mark.parametrize("queue", [None, f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tasks"])
def test_the_sensors_trigger_says_so_and_goes_on_waiting(aws, monkeypatch, queue, plight, kind, said, remedy):
    plight(aws, monkeypatch)
    shipper = {"ecs_cluster": "batch", "command": ["orders"]}
    names = {"target": "osaka", **way(), "shippers": {"orders": shipper}, "queue": queue}
    trigger = EcsTaskStoppedTrigger(
        sources=[names], time_zone="Asia/Tokyo", visibility_seconds=30, poll_seconds=1, blind_after_seconds=0.5
    )

    async def first():
        async for event in trigger.run():
            return event.payload

    [batch] = asyncio.run(asyncio.wait_for(first(), 60))["batches"]
    assert said in batch["trouble"]["error"]


def test_a_role_whose_trust_is_withdrawn_later_is_named_too(aws, monkeypatch):
    """The keys of a role are renewed in the middle of a long task."""
    iam = accounts.client(aws.endpoint, "iam", REGION, ACCOUNT)
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="log-audit", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="log-audit",
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    role(aws, monkeypatch)
    hook = LogsHook(**way())
    hook.conn.describe_log_groups()
    assert hook.account_id == ACCOUNT
    iam.delete_role_policy(RoleName="log-audit", PolicyName="all")
    iam.delete_role(RoleName="log-audit")
    credentials = hook.conn._request_signer._credentials
    credentials._expiry_time = credentials._time_fetcher()
    with pytest.raises(CredentialsError, match="cannot be assumed with the Airflow connection 'aws_osaka'"):
        hook.conn.describe_log_groups()


@pytest.mark.parametrize("package", [operators, triggers], ids=["operators", "triggers"])
def test_whoever_calls_aws_does_so_through_such_a_hook(package):
    found = []
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for kind in vars(importlib.import_module(module.name)).values():
            hook = getattr(kind, "aws_hook_class", None)
            if isinstance(hook, type) and kind.__module__.startswith("log_audit"):
                found.append(kind.__name__)
                assert issubclass(hook, ReachHook), f"{kind.__name__} uses {hook.__name__}"
    assert len(found) >= 4


def test_words_of_aws_and_errors_of_ours_are_masked(aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION))
    aws.fault("logs.DescribeLogGroups", error="InvalidParameterException", message="no: password=hunter2")
    hook = LogsHook(**way())
    with pytest.raises(hook.conn.exceptions.ClientError) as caught:
        hook.conn.describe_log_groups()
    assert "password=***" in str(caught.value)
    assert str(AccessError("s3://bucket/token=hunter2 cannot be read")) == "s3://bucket/token=*** cannot be read"


def test_what_a_person_must_mend_is_not_tried_again():
    assert issubclass(CredentialsError, AccessError)
    assert issubclass(CredentialsError, PermanentError)
    assert not issubclass(UnreachableError, PermanentError)


@pytest.mark.parametrize("hook", [hook for hook in CALLS if hook is not ArchiveHook], ids=lambda hook: hook.__name__)
def test_an_answer_that_breaks_off_is_no_answer(aws, monkeypatch, hook):
    """botocore takes half of a JSON text for an answer without any field: no log group, no task, no message."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION))
    client = hook(aws_conn_id="aws_osaka", region_name=REGION).conn
    aws.fault("*", drop="within")
    with pytest.raises(UnreachableError, match="'aws_osaka' broke off on its way"):
        CALLS[hook](client)


def test_a_refusal_that_breaks_off_is_not_taken_for_a_refusal(aws, aws_client, monkeypatch):
    """botocore tells of half a refusal by its status alone; what S3 would have said might pass with another try."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, REGION))
    aws_client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    client = ArchiveHook(aws_conn_id="aws_osaka", region_name=REGION).conn
    aws.fault("s3.GetObject", drop="within")
    with pytest.raises(UnreachableError, match="GetObject by the Airflow connection 'aws_osaka' broke off"):
        client.get_object(Bucket="logs", Key="manifest.json")
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="logs", Key="manifest.json")


def test_the_user_agent_names_the_operator_and_no_source_file_is_read_for_it(monkeypatch):
    class AuditOperator:
        def execute(self):
            return LogsHook(aws_conn_id="here").conn.meta.config.user_agent_extra

    looked = []
    monkeypatch.setattr(inspect, "stack", lambda: looked.append("at every frame's source") or [])
    monkeypatch.setenv("AIRFLOW_CONN_HERE", aws_connection("http://127.0.0.1:1"))
    assert "Caller/AuditOperator" in AuditOperator().execute()
    assert looked == []
