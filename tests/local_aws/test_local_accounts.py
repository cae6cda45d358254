"""Several accounts in the stand-in: what one has, no other can see."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws import accounts
from local_aws.trail_records import batch_call, iam_user

TOKYO, OSAKA = "ap-northeast-1", "ap-northeast-3"
ONE, OTHER = "111111111111", "222222222222"
HOME = "123456789012"  # of all callers without a role

ALL = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}, "Version": "2012-10-17"})


def trust(*principals, **condition):
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | condition]})


@pytest.fixture
def admin(aws):
    """Makes clients of an account's administrator."""
    return lambda service, account=ONE, region=TOKYO: accounts.client(aws.endpoint, service, region, account)


@pytest.fixture
def assumed(aws, admin):
    """Makes clients of a role in an account that the home account may assume."""
    sessions = {}

    def make(service, account=ONE, region=TOKYO):
        if account not in sessions:
            admin("iam", account).create_role(RoleName="audit", AssumeRolePolicyDocument=trust(HOME))
            admin("iam", account).put_role_policy(RoleName="audit", PolicyName="all", PolicyDocument=ALL)
            sessions[account] = assume(aws, f"arn:aws:iam::{account}:role/audit")
        return boto3.client(service, endpoint_url=aws.endpoint, region_name=region, **sessions[account])

    return make


def assume(aws, role, caller=HOME, **more):
    sts = accounts.client(aws.endpoint, "sts", TOKYO, caller)
    given = sts.assume_role(RoleArn=role, RoleSessionName="test", **more)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_a_role_speaks_for_its_own_account(assumed):
    identity = assumed("sts").get_caller_identity()
    assert identity["Account"] == ONE
    assert identity["Arn"] == f"arn:aws:sts::{ONE}:assumed-role/audit/test"


@pytest.mark.parametrize("name", ["not-there", "trusts-another"])
def test_a_role_that_is_missing_or_does_not_trust_is_refused_with_the_same_words(aws, admin, name):
    admin("iam").create_role(RoleName="trusts-another", AssumeRolePolicyDocument=trust(OTHER))
    arn = f"arn:aws:iam::{ONE}:role/{name}"
    with pytest.raises(ClientError) as caught:
        assume(aws, arn)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "AccessDenied"
    assert answer["Error"]["Message"].endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")


def test_a_role_that_wants_an_external_id_is_refused_without_it(aws, admin):
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": "secret-word"}}}
    admin("iam").create_role(RoleName="audit", AssumeRolePolicyDocument=trust(HOME, **condition))
    arn = f"arn:aws:iam::{ONE}:role/audit"
    assert code_of(lambda: assume(aws, arn)) == "AccessDenied"
    assert assume(aws, arn, ExternalId="secret-word")


def test_a_role_may_assume_another_that_names_it(aws, admin, assumed):
    assumed("sts")
    first = f"arn:aws:iam::{ONE}:role/audit"
    admin("iam", OTHER).create_role(RoleName="far", AssumeRolePolicyDocument=trust(first))
    sts = assumed("sts")
    far = f"arn:aws:iam::{OTHER}:role/far"
    assert sts.assume_role(RoleArn=far, RoleSessionName="session")["Credentials"]
    assert code_of(lambda: assume(aws, far)) == "AccessDenied"


def test_buckets_are_seen_by_their_own_account_alone(assumed, admin):
    place = {"CreateBucketConfiguration": {"LocationConstraint": TOKYO}}
    admin("s3").create_bucket(Bucket="of-one", **place)
    admin("s3").put_object(Bucket="of-one", Key="k", Body=b"data")
    assert assumed("s3").get_object(Bucket="of-one", Key="k")["Body"].read() == b"data"
    other = assumed("s3", OTHER)
    for call, more in [
        (other.get_object, {"Key": "k"}),
        (other.put_object, {"Key": "k", "Body": b""}),
        (other.list_objects_v2, {}),
        (other.delete_object, {"Key": "k"}),
        (other.put_bucket_policy, {"Policy": '{"Version": "2012-10-17", "Statement": []}'}),
    ]:
        assert code_of(call, Bucket="of-one", **more) == "AccessDenied"
    assert code_of(other.head_bucket, Bucket="of-one") == "403"
    assert code_of(other.head_object, Bucket="of-one", Key="k") == "403"


def test_log_groups_queries_and_exports_are_of_an_account_and_region(aws, assumed, admin):
    aws.create_log_group("/app", region=TOKYO, account=ONE, creation_time_ms=1)
    event = {"timestamp": 1_790_000_000_000, "message": "hello"}
    aws.put_events("/app", "s", [event], region=TOKYO, account=ONE)
    asked = {
        "logGroupName": "/app",
        "startTime": 1_789_999_999,
        "endTime": 1_790_000_001,
        "queryString": "fields @message",
    }
    query = assumed("logs").start_query(**asked)["queryId"]
    for logs in (assumed("logs", OTHER), assumed("logs", ONE, OSAKA)):
        assert logs.describe_log_groups()["logGroups"] == []
        assert code_of(logs.get_log_events, logGroupName="/app", logStreamName="s") == "ResourceNotFoundException"
        assert code_of(logs.start_query, **asked) == "ResourceNotFoundException"
        assert code_of(logs.get_query_results, queryId=query) == "ResourceNotFoundException"
    assert [
        event["message"] for event in assumed("logs").get_log_events(logGroupName="/app", logStreamName="s")["events"]
    ]


def test_an_export_into_another_accounts_bucket_is_refused(aws, assumed, admin):
    aws.create_log_group("/app", region=TOKYO, account=ONE, creation_time_ms=1)
    place = {"CreateBucketConfiguration": {"LocationConstraint": TOKYO}}
    admin("s3", OTHER).create_bucket(Bucket="of-other", **place)
    span = {"fromTime": 1_000, "to": 2_000}
    code = code_of(assumed("logs").create_export_task, logGroupName="/app", destination="of-other", **span)
    assert code == "NotImplementedByStandIn"


def test_each_account_and_region_has_a_slot_for_one_export(aws, assumed, admin):
    aws.configure(export_running_seconds=60)
    for account, region in ((ONE, TOKYO), (ONE, OSAKA), (OTHER, TOKYO)):
        bucket = f"of-{account}-{region}"
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        admin("s3", account, region).create_bucket(Bucket=bucket, **place)
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        admin("s3", account, region).put_bucket_policy(Bucket=bucket, Policy=policy)
        aws.create_log_group("/app", region=region, account=account, creation_time_ms=1)
        logs, span = assumed("logs", account, region), {"fromTime": 1_000, "to": 2_000}
        assert logs.create_export_task(logGroupName="/app", destination=bucket, **span)["taskId"]
        assert len(logs.describe_export_tasks()["exportTasks"]) == 1
        code = code_of(logs.create_export_task, logGroupName="/app", destination=bucket, **span)
        assert code == "LimitExceededException"


def test_a_queue_of_another_account_is_not_taken_for_ones_own_of_that_name(assumed, admin):
    url = admin("sqs").create_queue(QueueName="tasks")["QueueUrl"]
    admin("sqs", OTHER).create_queue(QueueName="tasks")
    admin("sqs").send_message(QueueUrl=url, MessageBody="of one")
    other = assumed("sqs", OTHER)
    assert code_of(other.receive_message, QueueUrl=url) in ("AccessDenied", "AccessDeniedException")
    assert code_of(other.delete_message, QueueUrl=url, ReceiptHandle="x") in ("AccessDenied", "AccessDeniedException")
    own = other.get_queue_url(QueueName="tasks")["QueueUrl"]
    assert f"/{OTHER}/" in own
    assert "Messages" not in other.receive_message(QueueUrl=own)
    assert [message["Body"] for message in assumed("sqs").receive_message(QueueUrl=url)["Messages"]] == ["of one"]


def test_ecs_tasks_their_events_and_rules_are_of_an_account_and_region(aws, assumed, admin):
    for account in (ONE, OTHER):
        ecs = admin("ecs", account)
        ecs.create_cluster(clusterName="batch")
        ecs.register_task_definition(
            family="f",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": "c", "image": "i", "essential": True}],
        )
    arn = aws.stopped_task("batch", "f", ["go"], region=TOKYO, started_at=1_790_000_000, account=ONE)
    assert f":{ONE}:" in arn
    other = assumed("ecs", OTHER)
    assert other.list_tasks(cluster="batch", desiredStatus="STOPPED")["taskArns"] == []
    assert other.describe_tasks(cluster="batch", tasks=[arn])["tasks"] == []
    admin("events").put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.ecs"]}))
    assert assumed("events", OTHER).list_rules()["Rules"] == []
    assert assumed("events", ONE, OSAKA).list_rules()["Rules"] == []


def test_athena_reads_neither_tables_nor_buckets_nor_results_of_another_account(assumed, admin):
    place = {"CreateBucketConfiguration": {"LocationConstraint": TOKYO}}
    for account in (ONE, OTHER):
        admin("s3", account).create_bucket(Bucket=f"results-{account}", **place)
    asked = {"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": f"s3://results-{ONE}/"}}
    query = assumed("athena").start_query_execution(**asked)["QueryExecutionId"]
    other = assumed("athena", OTHER)
    assert code_of(other.get_query_execution, QueryExecutionId=query) == "InvalidRequestException"
    assert code_of(other.start_query_execution, **asked) == "InvalidRequestException"
    elsewhere = assumed("athena", ONE, OSAKA)
    assert code_of(elsewhere.get_query_execution, QueryExecutionId=query) == "InvalidRequestException"


def test_trail_and_schedules_are_of_an_account_and_region(aws, assumed, admin):
    at = datetime.now(UTC) - timedelta(hours=3)
    made = batch_call(at, "SubmitJob", identity=iam_user("ann", ONE), account=ONE)
    aws.put_trail_records([made], region=TOKYO, account=ONE)
    asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "SubmitJob"}]}
    assert len(assumed("cloudtrail").lookup_events(**asked)["Events"]) == 1
    assert assumed("cloudtrail", OTHER).lookup_events(**asked)["Events"] == []
    assert assumed("cloudtrail", ONE, OSAKA).lookup_events(**asked)["Events"] == []
    schedule = {
        "Name": "nightly",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": "arn:aws:scheduler:::aws-sdk:glue:startJobRun", "RoleArn": f"arn:aws:iam::{ONE}:role/s"},
    }
    aws.create_schedule(schedule, region=TOKYO, creation_date=1_780_000_000, account=ONE)
    assert [entry["Name"] for entry in assumed("scheduler").list_schedules()["Schedules"]] == ["nightly"]
    assert assumed("scheduler", OTHER).list_schedules()["Schedules"] == []
    assert assumed("scheduler", ONE, OSAKA).list_schedules()["Schedules"] == []


def test_calls_are_recorded_with_their_account(aws, assumed):
    assumed("logs").describe_log_groups()
    assert [call["account"] for call in aws.calls("logs.DescribeLogGroups")] == [ONE]
