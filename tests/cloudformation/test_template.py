"""include/cloudformation/log_audit.yaml, deployed to the stand-in: what is there afterwards, and that it behaves."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from local_aws import accounts, aurora, aurora_lines, stack, trail_records
from local_aws.cloudformation_template import MOST_BYTES, read
from local_aws.control import Control
from log_audit.settings import Settings, Target, load_settings

REGION, ACCOUNT = "ap-northeast-1", "123456789012"
OTHER = "210987654321"
DAY_SECONDS = 24 * 3600
BUCKETS = ("log-audit-archive", "log-audit-aurora", "log-audit-trail", f"log-audit-results-{ACCOUNT}-{REGION}")


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The project's own."""
    return load_settings(stack.TEMPLATE.parents[1] / "settings.yaml")


@pytest.fixture
def target(settings: Settings) -> Target:
    return settings.targets["tokyo"]


@pytest.fixture
def outputs(aws: Control, settings: Settings, target: Target) -> dict[str, str]:
    """Of the stack of the settings' target."""
    return stack.deploy(aws.endpoint, target, settings)


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def messages(client: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return found


def create(client: Any, name: str = "log-audit", **parameters: str) -> dict[str, str]:
    """Create a stack by hand; its outputs."""
    given = {"AirflowPrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/airflow", "ExternalId": "word"} | parameters
    client.create_stack(
        StackName=name,
        TemplateBody=stack.TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    found = client.describe_stacks(StackName=name)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE", found.get("StackStatusReason")
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def test_it_keeps_to_the_limits_of_cloudformation() -> None:
    text = stack.TEMPLATE.read_text()
    template = read(text)
    assert len(text.encode()) <= MOST_BYTES
    assert len(template["Parameters"]) <= 200
    for name, entry in template["Parameters"].items():
        assert 0 < len(entry["Description"]) <= 4000, name
        assert ("AllowedPattern" in entry) <= ("ConstraintDescription" in entry), name
    for name, entry in template["Outputs"].items():
        assert 0 < len(entry["Description"]) <= 1024, name
    # Nothing that holds logs is ever deleted with a stack.
    for name, entry in template["Resources"].items():
        if entry["Type"] in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy"):
            policies = (entry["DeletionPolicy"], entry["UpdateReplacePolicy"])
            assert policies == ("RetainExceptOnCreate", "Retain"), name


def test_the_outputs_are_what_the_settings_ask_for(outputs: dict[str, str], target: Target) -> None:
    assert target.aurora is not None
    assert target.cloudtrail is not None
    assert outputs["ArchiveBucket"] == target.archive.bucket
    assert outputs["ArchivePrefix"] == target.archive.prefix
    assert outputs["AthenaWorkgroup"] == target.athena.workgroup
    assert outputs["AuroraQueue"] == target.aurora.queue
    assert outputs["AuroraLocation"] == target.aurora.location
    assert outputs["CloudTrailLocation"] == target.cloudtrail.location
    assert outputs["SchedulerCallsLogGroup"] == target.log_group_sets["scheduler_calls"][0].name
    pasted = yaml.safe_load(outputs["Settings"])
    mine = target.model_dump(exclude_none=True)
    assert (
        Target.model_validate(
            mine
            | {"region": pasted["region"], "athena": pasted["athena"]}
            | {name: mine[name] | pasted[name] for name in ("archive", "aurora", "cloudtrail", "log_group_sets")}
        )
        == target
    )


def test_the_fragment_names_the_prefix_that_the_tasks_ship_to(aws: Control, aws_client: Callable[..., Any]) -> None:
    clusters = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/batch"
    where = {"AuroraBucketName": "mine", "AuroraPrefix": "logs/db"}
    outputs = create(aws_client("cloudformation"), EcsClusterArns=clusters, **where)
    assert yaml.safe_load(outputs["Settings"])["aurora"]["location"] == outputs["AuroraLocation"] == "s3://mine/logs/db"


def test_without_anything_optional_the_fragment_is_still_yaml(aws: Control, aws_client: Callable[..., Any]) -> None:
    outputs = create(aws_client("cloudformation"), CreateSchedulerCalls="false", ArchivePrefix="")
    assert yaml.safe_load(outputs["Settings"]) == {
        "region": REGION,
        "archive": {"bucket": f"log-audit-archive-{ACCOUNT}-{REGION}"},
        "athena": {"workgroup": "log-audit"},
    }
    assert not {"AuroraQueue", "AuroraLocation", "CloudTrailLocation", "ApiGatewayLogRoleArn"} & outputs.keys()
    assert "QueueUrls" not in aws_client("sqs").list_queues()
    assert aws_client("events").list_rules()["Rules"] == []


def test_the_buckets(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    s3 = aws_client("s3")
    assert sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"]) == sorted(BUCKETS)
    for bucket in BUCKETS:
        encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert encryption[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert list(block.values()) == [True] * 4
        owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        versioned = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        assert versioned == (None if "results" in bucket else "Enabled")


def test_the_archive_grows_cold_and_results_expire(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    s3 = aws_client("s3")
    colder, unfinished = s3.get_bucket_lifecycle_configuration(Bucket=BUCKETS[0])["Rules"]
    assert (colder["ID"], colder["Status"], colder["Filter"]) == ("colder", "Enabled", {"Prefix": ""})
    assert colder["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER_IR"}]
    assert colder["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 90, "StorageClass": "GLACIER_IR"}]
    assert not {"Expiration", "NoncurrentVersionExpiration"} & (colder.keys() | unfinished.keys())
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    [expire] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKETS[3])["Rules"]
    assert (expire["Status"], expire["Expiration"]["Days"]) == ("Enabled", 30)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_tls_only(outputs: dict[str, str], aws: Control, aws_client: Callable[..., Any], bucket: str) -> None:
    s3 = aws_client("s3")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    aws.configure(transport="PLAIN")
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"b"),
        lambda: s3.get_object(Bucket=bucket, Key="a"),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.delete_bucket_policy(Bucket=bucket),
    ):
        assert code(call) == "AccessDenied"
    aws.configure(transport="TLS")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a"]


@pytest.mark.parametrize(
    ("prefix", "allowed"),
    [
        ("2026/10/logs/aws/lambda/x", True),
        ("2026/10/logs/x/task", True),
        ("2026/10/other/x", False),
        ("2026/10/logs-of-others/x", False),
        ("logs/x", False),
        ("x", False),
    ],
)
def test_logs_write_below_the_prefix_alone(
    outputs: dict[str, str], aws: Control, aws_client: Callable[..., Any], prefix: str, allowed: bool
) -> None:
    aws.configure(export_pending_seconds=0, export_running_seconds=0)
    aws.create_log_group("/aws/lambda/x", region=REGION, creation_time_ms=1)
    logs = aws_client("logs")
    export = {"logGroupName": "/aws/lambda/x", "fromTime": 1, "to": 10**12, "destination": BUCKETS[0]}
    if allowed:
        logs.create_export_task(**export, destinationPrefix=prefix)
        keys = [entry["Key"] for entry in aws_client("s3").list_objects_v2(Bucket=BUCKETS[0])["Contents"]]
        assert keys == [f"{prefix}/aws-logs-write-test"]
    else:
        assert code(lambda: logs.create_export_task(**export, destinationPrefix=prefix)) == "InvalidParameterException"


def test_logs_of_another_account_or_region_may_not_write(
    outputs: dict[str, str], aws_client: Callable[..., Any]
) -> None:
    text = aws_client("s3").get_bucket_policy(Bucket=BUCKETS[0])["Policy"]
    for statement in json.loads(text)["Statement"]:
        if statement["Effect"] == "Allow":
            assert statement["Principal"] == {"Service": f"logs.{REGION}.amazonaws.com"}
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
            assert statement["Condition"]["ArnLike"] == {
                "aws:SourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"
            }


def test_the_workgroup_enforces_its_place_and_its_limit(
    outputs: dict[str, str], aws: Control, aws_client: Callable[..., Any]
) -> None:
    athena = aws_client("athena")
    group = athena.get_work_group(WorkGroup="log-audit")["WorkGroup"]
    configuration = group["Configuration"]
    assert group["State"] == "ENABLED"
    assert configuration["EnforceWorkGroupConfiguration"]
    assert configuration["PublishCloudWatchMetricsEnabled"]
    assert configuration["BytesScannedCutoffPerQuery"] == 100_000_000_000
    assert configuration["ResultConfiguration"] == {
        "OutputLocation": f"s3://{BUCKETS[3]}/results/",
        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
    }
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    asked = {"OutputLocation": "s3://log-audit-archive/elsewhere/"}
    query = athena.start_query_execution(QueryString="SELECT 1", WorkGroup="log-audit", ResultConfiguration=asked)
    found = athena.get_query_execution(QueryExecutionId=query["QueryExecutionId"])["QueryExecution"]
    assert found["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{BUCKETS[3]}/results/")


def test_the_end_of_a_shipper_reaches_the_queue(
    aws: Control, aws_client: Callable[..., Any], settings: Settings, target: Target
) -> None:
    outputs = aurora.prepare(aws.endpoint, target, settings)
    assert target.aurora is not None
    lines, where = aurora_lines.sample_lines, {"region": REGION, "zone": settings.zone}
    bad = aurora.ship(aws.endpoint, target.aurora, "aurora-prod", "2026-01-20T09", lines, exit_code=1, **where)
    more = {"region": REGION, "started_at": 0, "container": "shipper"}
    aws.stopped_task("batch", "aurora-log-shipper", ["another-command"], **more)
    assert aws.undelivered_events() == []
    sqs, url = aws_client("sqs"), outputs["AuroraQueue"]
    [message] = messages(sqs, url)
    assert json.loads(message["Body"])["detail"]["taskArn"] == bad.task_arn


def test_the_queue_keeps_what_nobody_can_deal_with(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    sqs, url, dead = aws_client("sqs"), outputs["AuroraQueue"], outputs["AuroraDeadLetterQueue"]
    for name, seconds in ((url, "1800"), (dead, "30")):
        found = sqs.get_queue_attributes(QueueUrl=name, AttributeNames=["All"])["Attributes"]
        assert found["MessageRetentionPeriod"] == str(14 * DAY_SECONDS)
        assert found["SqsManagedSseEnabled"] == "true"
        assert found["VisibilityTimeout"] == seconds
    sqs.send_message(QueueUrl=url, MessageBody="no event")
    for _ in range(10):
        [message] = messages(sqs, url)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert messages(sqs, url) == []
    assert [message["Body"] for message in messages(sqs, dead)] == ["no event"]


def test_no_other_rule_fills_the_queue(outputs: dict[str, str], aws: Control, aws_client: Callable[..., Any]) -> None:
    events, arn = aws_client("events"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:log-audit-ecs-tasks"
    events.put_rule(Name="another", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="another", Targets=[{"Id": "q", "Arn": arn}])
    events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
    assert messages(aws_client("sqs"), outputs["AuroraQueue"]) == []
    assert "does not let" in aws.undelivered_events()[0]["reason"]


def test_without_commands_every_task_of_the_clusters_is_told(aws: Control, aws_client: Callable[..., Any]) -> None:
    create(aws_client("cloudformation"), EcsClusterArns=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/batch")
    pattern = json.loads(aws_client("events").describe_rule(Name="log-audit-ecs-tasks")["EventPattern"])
    assert set(pattern["detail"]) == {"clusterArn", "lastStatus"}
    assert "exitCode" not in json.dumps(pattern)


def test_a_call_of_scheduler_reaches_the_log_group(
    outputs: dict[str, str], aws: Control, aws_client: Callable[..., Any]
) -> None:
    logs = aws_client("logs")
    [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/events/")["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/aws/events/scheduler-calls", 90)
    [policy] = logs.describe_resource_policies()["resourcePolicies"]
    [statement] = json.loads(policy["policyDocument"])["Statement"]
    assert statement["Resource"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/*:*"
    at = datetime.now(UTC)
    call = trail_records.scheduler_call(at, "ship-role", "ecs.amazonaws.com", "RunTask")
    aws.publish_call_event(call)
    aws.publish_call_event(trail_records.batch_call(at, "SubmitJob", identity=trail_records.root()))
    assert aws.undelivered_events() == []
    found = logs.filter_log_events(logGroupName="/aws/events/scheduler-calls")["events"]
    assert [json.loads(event["message"])["detail"]["eventID"] for event in found] == [call["eventID"]]


def test_the_trail(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    trails = aws_client("cloudtrail")
    [made] = trails.describe_trails()["trailList"]
    assert (made["Name"], made["S3BucketName"], made["IsMultiRegionTrail"]) == ("log-audit", "log-audit-trail", True)
    assert made["IncludeGlobalServiceEvents"]
    assert made["LogFileValidationEnabled"]
    assert trails.get_trail_status(Name="log-audit")["IsLogging"]


def test_a_trail_and_buckets_that_an_account_has_are_left_alone(
    aws: Control, aws_client: Callable[..., Any], settings: Settings, target: Target
) -> None:
    place = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    for bucket in ("log-audit-trail", "log-audit-aurora"):
        aws_client("s3").create_bucket(Bucket=bucket, **place)
    outputs = stack.deploy(aws.endpoint, target, settings)
    assert outputs["CloudTrailLocation"] == "s3://log-audit-trail/AWSLogs"
    assert outputs["AuroraLocation"] == "s3://log-audit-aurora/audit"
    assert aws_client("cloudtrail").describe_trails()["trailList"] == []
    assert code(lambda: aws_client("s3").get_bucket_policy(Bucket="log-audit-trail")) == "NoSuchBucketPolicy"


def test_a_trail_needs_the_bucket_to_let_it_write(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    trails = aws_client("cloudtrail")
    another = {"Name": "another", "S3BucketName": "log-audit-trail"}
    assert code(lambda: trails.create_trail(**another)) == "InsufficientS3BucketPolicyException"


@pytest.mark.parametrize("sets_account", [False, True])
def test_api_gateway(aws: Control, aws_client: Callable[..., Any], sets_account: bool) -> None:
    name = "SetApiGatewayAccount" if sets_account else "CreateApiGatewayLogRole"
    outputs = create(aws_client("cloudformation"), **{name: "true"})
    role = f"arn:aws:iam::{ACCOUNT}:role/log-audit-api-gateway-{REGION}"
    assert outputs["ApiGatewayLogRoleArn"] == role
    found = aws_client("apigateway").get_account().get("cloudwatchRoleArn")
    assert found == (role if sets_account else None)
    [policy] = aws_client("iam").list_attached_role_policies(RoleName=role.rpartition("/")[2])["AttachedPolicies"]
    assert policy["PolicyName"] == "AmazonAPIGatewayPushToCloudWatchLogs"
    fields = json.loads(outputs["ApiGatewayLogFormat"])
    assert {"status", "resourcePath", "requestId", "responseLatency"} <= fields.keys()
    assert all(value.startswith("$context.") for value in fields.values())


def test_only_airflow_with_the_external_id_may_take_the_role(aws: Control, outputs: dict[str, str]) -> None:
    session = {"RoleArn": outputs["RoleArn"], "RoleSessionName": "airflow"}
    sts = accounts.client(aws.endpoint, "sts", REGION)
    taken = sts.assume_role(**session, ExternalId=stack.EXTERNAL_ID)
    assert taken["AssumedRoleUser"]["Arn"].startswith(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/log-audit-airflow-{REGION}/"
    )
    assert code(lambda: sts.assume_role(**session)) == "AccessDenied"
    assert code(lambda: sts.assume_role(**session, ExternalId="another")) == "AccessDenied"
    stranger = accounts.client(aws.endpoint, "sts", REGION, OTHER)
    assert code(lambda: stranger.assume_role(**session, ExternalId=stack.EXTERNAL_ID)) == "AccessDenied"


@pytest.mark.parametrize(
    "wrong",
    [
        {"AirflowPrincipalArn": "*"},
        {"AirflowPrincipalArn": ACCOUNT},
        {"ExternalId": ""},
        {"Name": "Log Audit"},
        {"ArchiveBucketName": "Not_A_Bucket"},
        {"ArchivePrefix": "logs/*"},
        {"ArchivePrefix": "/logs"},
        {"ArchiveStorageClass": "DEEP_ARCHIVE"},
        {"ScanLimitBytes": "9999999"},
        {"EcsClusterArns": "batch"},
        {"QueueVisibilitySeconds": "43201"},
        {"SchedulerCallsRetentionDays": "2"},
        {"CreateTrail": "yes"},
    ],
)
def test_wrong_parameters_are_named(aws_client: Callable[..., Any], wrong: dict[str, str]) -> None:
    [name] = wrong
    with pytest.raises(ClientError, match=f"Parameter {name} failed to satisfy constraint"):
        create(aws_client("cloudformation"), **wrong)


def test_two_regions_of_an_account_and_two_accounts(aws: Control, settings: Settings, target: Target) -> None:
    places = [(ACCOUNT, REGION), (ACCOUNT, "eu-west-1"), (OTHER, REGION)]
    made = [create(accounts.client(aws.endpoint, "cloudformation", region, account)) for account, region in places]
    for name in ("RoleArn", "ArchiveBucket", "AthenaResults"):
        assert len({outputs[name] for outputs in made}) == len(places), name
    for (account, region), outputs in zip(places, made, strict=True):
        assert outputs["RoleArn"] == f"arn:aws:iam::{account}:role/log-audit-airflow-{region}"
        held = accounts.client(aws.endpoint, "s3", region, account).list_buckets()["Buckets"]
        assert outputs["ArchiveBucket"] in [bucket["Name"] for bucket in held]


def test_two_stacks_in_one_place_need_two_names(aws_client: Callable[..., Any]) -> None:
    client = aws_client("cloudformation")
    create(client)
    other = create(client, "second", Name="second", CreateSchedulerCalls="false")
    assert other["AthenaWorkgroup"] == "second"


def test_what_the_settings_change_is_changed_in_place(
    aws: Control, aws_client: Callable[..., Any], settings: Settings, target: Target, outputs: dict[str, str]
) -> None:
    assert target.aurora is not None
    shipper = target.aurora.clusters["aurora-prod"].model_copy(update={"ecs_cluster": "night"})
    changed = target.model_copy(
        update={"aurora": target.aurora.model_copy(update={"clusters": {"aurora-prod": shipper}})}
    )
    assert stack.deploy(aws.endpoint, changed, settings) == outputs
    pattern = json.loads(aws_client("events").describe_rule(Name="log-audit-ecs-tasks")["EventPattern"])
    assert pattern["detail"]["clusterArn"] == [f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/night"]
    status = aws_client("cloudformation").describe_stacks(StackName="log-audit")["Stacks"][0]["StackStatus"]
    assert status == "UPDATE_COMPLETE"


def test_settings_that_the_stack_cannot_meet_are_named(aws: Control, settings: Settings, target: Target) -> None:
    with pytest.raises(stack.StackTrouble, match=r"AuroraQueue is .*, not https://sqs"):
        stack.deploy(aws.endpoint, target, settings, account=OTHER)


def test_deleting_the_stack_keeps_every_log(outputs: dict[str, str], aws_client: Callable[..., Any]) -> None:
    s3, client = aws_client("s3"), aws_client("cloudformation")
    s3.put_object(Bucket=BUCKETS[0], Key="2026/10/logs/x", Body=b"x")
    stack_id = client.describe_stacks(StackName="log-audit")["Stacks"][0]["StackId"]
    client.delete_stack(StackName="log-audit")
    assert client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"]) == sorted(BUCKETS)
    for bucket in BUCKETS:
        assert "TlsOnly" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert "QueueUrls" not in aws_client("sqs").list_queues()
    assert aws_client("events").list_rules()["Rules"] == []
    assert code(lambda: aws_client("iam").get_role(RoleName=f"log-audit-airflow-{REGION}")) == "NoSuchEntity"
