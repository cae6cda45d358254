"""Enforcement in the front door: what a role's policies do not allow is refused, in the service's own words."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.arns import RULES

REGION, ACCOUNT = "ap-northeast-1", "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/night"
TRUST = {"Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}}


class Role:
    """A role without rights but those that it is given, and clients with its keys."""

    def __init__(self, aws, aws_client):
        self.aws, self.root = aws, aws_client
        self.root("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))
        given = self.root("sts").assume_role(RoleArn=ROLE, RoleSessionName="night")["Credentials"]
        self.keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def may(self, *statements):
        allowed = [{"Sid": f"S{n}", "Effect": "Allow", "Resource": "*"} | given for n, given in enumerate(statements)]
        document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        self.root("iam").put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document)

    def client(self, service, **keys):
        once = Config(retries={"total_max_attempts": 1})
        given = {"endpoint_url": self.aws.endpoint, "region_name": REGION, "config": once, **self.keys, **keys}
        return boto3.client(service, **given)


@pytest.fixture
def role(aws, aws_client):
    return Role(aws, aws_client)


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_a_role_without_policies_may_do_nothing(role):
    code, message, status = refusal(role.client("logs").describe_log_groups)
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == (
        f"User: {SESSION} is not authorized to perform: logs:DescribeLogGroups on resource: "
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group::log-stream: because no identity-based policy allows the "
        "logs:DescribeLogGroups action"
    )


def test_what_a_policy_allows_is_answered_and_nothing_else(role):
    role.aws.create_log_group("/app", region=REGION)
    role.aws.create_log_group("/other", region=REGION)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app:*"
    role.may({"Action": "logs:StartQuery", "Resource": group}, {"Action": "logs:GetQueryResults"})
    asked = {"startTime": 1, "endTime": 4_000_000_000, "queryString": "fields @message"}
    query = role.client("logs").start_query(logGroupNames=["/app"], **asked)["queryId"]
    assert role.client("logs").get_query_results(queryId=query)["status"]
    for more in (["/other"], ["/app", "/other"]):  # all of the groups
        code, message, _ = refusal(role.client("logs").start_query, logGroupNames=more, **asked)
        assert code == "AccessDeniedException"
        assert ":log-group:/other:log-stream: because" in message
    assert "logs:StopQuery" in refusal(role.client("logs").stop_query, queryId=query)[1]


def test_what_was_refused_has_not_happened(role):
    role.root("s3").create_bucket(Bucket="bkt", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert refusal(role.client("s3").put_object, Bucket="bkt", Key="k", Body=b"x") == (
        "AccessDenied",
        f'User: {SESSION} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::bkt/k" because no '
        "identity-based policy allows the s3:PutObject action",
        403,
    )
    assert "Contents" not in role.root("s3").list_objects_v2(Bucket="bkt")


def test_a_head_request_is_refused_without_words(role):
    role.root("s3").create_bucket(Bucket="bkt", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert refusal(role.client("s3").head_bucket, Bucket="bkt") == ("403", "Forbidden", 403)


def test_who_may_not_list_is_not_told_what_is_missing(role):
    role.root("s3").create_bucket(Bucket="bkt", CreateBucketConfiguration={"LocationConstraint": REGION})
    role.may({"Action": "s3:GetObject"})
    code, message, _ = refusal(role.client("s3").get_object, Bucket="bkt", Key="k")
    assert code == "AccessDenied"
    assert 's3:ListBucket on resource: "arn:aws:s3:::bkt"' in message
    role.may({"Action": ["s3:GetObject", "s3:ListBucket"]})
    assert refusal(role.client("s3").get_object, Bucket="bkt", Key="k")[0] == "NoSuchKey"
    role.root("s3").put_object(Bucket="bkt", Key="k", Body=b"x")
    role.may({"Action": "s3:GetObject"})
    assert role.client("s3").get_object(Bucket="bkt", Key="k")["Body"].read() == b"x"


def test_each_service_refuses_in_its_own_way(role):
    queue = role.root("sqs").create_queue(QueueName="q")["QueueUrl"]
    assert refusal(role.client("sqs").receive_message, QueueUrl=queue) == (
        "AccessDenied",
        f"User: {SESSION} is not authorized to perform: sqs:receivemessage on resource: "
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:q because no identity-based policy allows the sqs:receivemessage action",
        403,
    )
    code, message, status = refusal(role.client("scheduler").get_schedule, Name="nightly")
    assert (code, status) == ("AccessDeniedException", 403)
    assert (
        f"scheduler:GetSchedule on resource: arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/nightly" in message
    )
    assert refusal(role.client("athena").start_query_execution, QueryString="SELECT 1", WorkGroup="w")[0::2] == (
        "AccessDeniedException",
        400,
    )
    assert "cloudtrail:LookupEvents on resource: *" in refusal(role.client("cloudtrail").lookup_events)[1]


def test_an_export_needs_the_callers_right_to_write_where_it_goes(role):
    role.aws.create_log_group("/app", region=REGION, creation_time_ms=0)
    asked = {"logGroupName": "/app", "fromTime": 1, "to": 2, "destination": "bkt", "destinationPrefix": "p"}
    role.may({"Action": "logs:CreateExportTask"})
    code, message, _ = refusal(role.client("logs").create_export_task, **asked)
    assert (code, message) == (
        "InvalidParameterException",
        "Please ensure that the CreateExportTask caller has been granted s3:PutObject access to the bucket.",
    )
    role.may({"Action": "logs:CreateExportTask"}, {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::bkt/p/*"})
    assert "PutObject" not in refusal(role.client("logs").create_export_task, **asked)[1]  # there is no such bucket


def test_an_explicit_deny_is_told_as_such(role):
    role.may({"Action": "cloudtrail:*"}, {"Action": "cloudtrail:LookupEvents", "Effect": "Deny"})
    assert refusal(role.client("cloudtrail").lookup_events)[1].endswith(
        "on resource: * with an explicit deny in an identity-based policy"
    )


def test_attached_policies_count_in_their_default_version(role):
    iam = role.root("iam")
    document = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"},
    }
    arn = iam.create_policy(PolicyName="look", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="reader", PolicyArn=arn)
    assert role.client("cloudtrail").lookup_events()["Events"] == []
    document["Statement"]["Action"] = "cloudtrail:Nothing"
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
    assert refusal(role.client("cloudtrail").lookup_events)[0] == "AccessDeniedException"


def test_everyone_may_ask_who_they_are(role):
    assert role.client("sts").get_caller_identity()["Arn"] == SESSION


def test_a_call_that_nobody_wrote_down_is_refused_as_not_implemented(role):
    role.may({"Action": "*"})
    code, message, status = refusal(role.client("s3").list_buckets)
    assert (code, status) == ("NotImplementedByStandIn", 501)
    assert "local_aws/arns.py" in message
    assert "s3.ListBuckets" not in RULES


def test_a_policy_that_is_not_understood_refuses_the_call(role):
    role.may({"Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}})
    code, message, _ = refusal(role.client("cloudtrail").lookup_events)
    assert code == "NotImplementedByStandIn"
    assert "IpAddress" in message


def test_the_session_token_must_be_the_sessions_own(role):
    role.may({"Action": "*"})
    stolen = role.client("cloudtrail", aws_session_token="another")
    assert refusal(stolen.lookup_events)[0] == "UnrecognizedClientException"
    bare = role.client("cloudtrail", aws_session_token=None)
    assert refusal(bare.lookup_events)[0] == "UnrecognizedClientException"


def test_a_session_ends(role, monkeypatch):
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    monkeypatch.setattr("local_aws.iam_roles.utcnow", lambda: later)
    assert refusal(role.client("cloudtrail").lookup_events)[0] == "ExpiredTokenException"


def test_other_keys_are_the_accounts_root(role):
    assert role.root("cloudtrail").lookup_events()["Events"] == []
    [call] = role.aws.calls("cloudtrail.LookupEvents")
    assert (call["caller"], call["rights"]) == (f"arn:aws:iam::{ACCOUNT}:root", [])


def test_the_record_tells_the_caller_and_the_rights(role):
    role.client("sts").get_caller_identity()
    refusal(role.client("s3").get_object, Bucket="bkt", Key="k")
    calls = [call for call in role.aws.calls() if call["caller"] == SESSION]
    assert [(call["action"], call["status"]) for call in calls] == [
        ("sts.GetCallerIdentity", 200),
        ("s3.GetObject", 403),
    ]
    [right] = calls[1]["rights"]
    assert (right["action"], right["resource"]) == ("s3:GetObject", "arn:aws:s3:::bkt/k")
    assert right["context"]["aws:requestedregion"] == REGION


@pytest.mark.parametrize("arn", [f"arn:aws:iam::{ACCOUNT}:role/gone", "arn:aws:iam::210987654321:role/reader"])
def test_a_role_that_is_not_there_cannot_be_assumed(role, arn):
    code, message, status = refusal(role.root("sts").assume_role, RoleArn=arn, RoleSessionName="night")
    assert (code, status) == ("AccessDenied", 403)
    assert message.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")
