"""Which rights a call needs."""

import pytest

from local_aws.arns import RULES, Scene, missing_object_right, rights_of
from local_aws.errors import NotImplementedByStandIn
from local_aws.naming import Call

SCENE = Scene("123456789012", "ap-northeast-1", {"known": "audits"}.get)
LOGS = "arn:aws:logs:ap-northeast-1:123456789012:log-group"
ATHENA = "arn:aws:athena:ap-northeast-1:123456789012"
SCHEDULER = "arn:aws:scheduler:ap-northeast-1:123456789012:schedule"
QUEUE = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/tasks"
TASK = "arn:aws:ecs:ap-northeast-1:123456789012:task/batch/abc"


def call(name, path=None, **parameters):
    service, _, action = name.partition(".")
    return Call(service, action, "ap-northeast-1", "json", parameters, path or {})


EXPECTED = [
    (call("logs.DescribeLogGroups", logGroupNamePrefix="/a"), [("logs:DescribeLogGroups", f"{LOGS}::log-stream:")]),
    (call("logs.FilterLogEvents", logGroupName="/a"), [("logs:FilterLogEvents", f"{LOGS}:/a:log-stream:")]),
    (
        call("logs.CreateExportTask", logGroupName="/a", destination="b", destinationPrefix="2026/10", taskName="t"),
        [("logs:CreateExportTask", f"{LOGS}:/a:log-stream:"), ("s3:PutObject", "arn:aws:s3:::b/2026/10/t")],
    ),
    (call("logs.DescribeExportTasks", taskId="t"), [("logs:DescribeExportTasks", "*")]),
    (
        call("logs.GetLogEvents", logGroupName="/a", logStreamName="s"),
        [("logs:GetLogEvents", f"{LOGS}:/a:log-stream:s")],
    ),
    (call("s3.DeleteObject", Bucket="b", Key="k"), [("s3:DeleteObject", "arn:aws:s3:::b/k")]),
    (call("s3.PutBucketPolicy", Bucket="b"), [("s3:PutBucketPolicy", "arn:aws:s3:::b")]),
    (call("sqs.GetQueueUrl", QueueName="q"), [("sqs:GetQueueUrl", "arn:aws:sqs:ap-northeast-1:123456789012:q")]),
    (
        call("sqs.DeleteMessage", QueueUrl=QUEUE),
        [("sqs:DeleteMessage", "arn:aws:sqs:ap-northeast-1:123456789012:tasks")],
    ),
    (call("events.ListRules"), [("events:ListRules", "arn:aws:events:ap-northeast-1:123456789012:rule/*")]),
    (call("logs.CancelExportTask", taskId="t"), [("logs:CancelExportTask", "*")]),
    (
        call("logs.StartQuery", logGroupNames=["/a", "/b"]),
        [("logs:StartQuery", f"{LOGS}:/a:log-stream:"), ("logs:StartQuery", f"{LOGS}:/b:log-stream:")],
    ),
    (call("logs.StartQuery", logGroupName="/a"), [("logs:StartQuery", f"{LOGS}:/a:log-stream:")]),
    (call("logs.GetQueryResults", queryId="q"), [("logs:GetQueryResults", "*")]),
    (call("logs.StopQuery", queryId="q"), [("logs:StopQuery", "*")]),
    (call("s3.ListObjectsV2", Bucket="b", prefix="x/"), [("s3:ListBucket", "arn:aws:s3:::b")]),
    (call("s3.HeadBucket", Bucket="b"), [("s3:ListBucket", "arn:aws:s3:::b")]),
    (call("s3.GetBucketLocation", Bucket="b"), [("s3:GetBucketLocation", "arn:aws:s3:::b")]),
    (call("s3.HeadObject", Bucket="b", Key="k/l"), [("s3:GetObject", "arn:aws:s3:::b/k/l")]),
    (call("s3.GetObject", Bucket="b", Key="k/l"), [("s3:GetObject", "arn:aws:s3:::b/k/l")]),
    (call("s3.PutObject", Bucket="b", Key="k"), [("s3:PutObject", "arn:aws:s3:::b/k")]),
    (
        call("sqs.ReceiveMessage", QueueUrl=QUEUE),
        [("sqs:ReceiveMessage", "arn:aws:sqs:ap-northeast-1:123456789012:tasks")],
    ),
    (
        call("sqs.DeleteMessageBatch", QueueUrl="http://127.0.0.1:1/210987654321/tasks"),
        [("sqs:DeleteMessage", "arn:aws:sqs:ap-northeast-1:210987654321:tasks")],
    ),
    (
        call("sqs.GetQueueAttributes", QueueUrl=QUEUE),
        [("sqs:GetQueueAttributes", "arn:aws:sqs:ap-northeast-1:123456789012:tasks")],
    ),
    (call("ecs.ListTasks", cluster="batch"), [("ecs:ListTasks", "*")]),
    (call("ecs.DescribeTasks", cluster="batch", tasks=[TASK, "abc"]), [("ecs:DescribeTasks", TASK)] * 2),
    (
        call("athena.StartQueryExecution", WorkGroup="audits"),
        [("athena:StartQueryExecution", f"{ATHENA}:workgroup/audits")],
    ),
    (call("athena.StartQueryExecution"), [("athena:StartQueryExecution", f"{ATHENA}:workgroup/primary")]),
    (
        call("athena.GetQueryExecution", QueryExecutionId="known"),
        [("athena:GetQueryExecution", f"{ATHENA}:workgroup/audits")],
    ),
    (call("athena.GetQueryExecution", QueryExecutionId="unknown"), []),
    (
        call("athena.BatchGetQueryExecution", QueryExecutionIds=["known", "unknown", "known"]),
        [("athena:BatchGetQueryExecution", f"{ATHENA}:workgroup/audits")],
    ),
    (call("athena.BatchGetQueryExecution", QueryExecutionIds=["unknown"]), []),
    (
        call("athena.StopQueryExecution", QueryExecutionId="known"),
        [("athena:StopQueryExecution", f"{ATHENA}:workgroup/audits")],
    ),
    (
        call("athena.GetQueryResults", QueryExecutionId="known"),
        [("athena:GetQueryResults", f"{ATHENA}:workgroup/audits")],
    ),
    (call("athena.GetWorkGroup", WorkGroup="audits"), [("athena:GetWorkGroup", f"{ATHENA}:workgroup/audits")]),
    (
        call("athena.GetTableMetadata", CatalogName="AwsDataCatalog", DatabaseName="d", TableName="t"),
        [("athena:GetTableMetadata", f"{ATHENA}:datacatalog/AwsDataCatalog")],
    ),
    (call("cloudtrail.LookupEvents"), [("cloudtrail:LookupEvents", "*")]),
    (call("scheduler.ListSchedules", ScheduleGroup="g"), [("scheduler:ListSchedules", f"{SCHEDULER}/*/*")]),
    (
        call("scheduler.GetSchedule", {"Name": "nightly"}, groupName="g"),
        [("scheduler:GetSchedule", f"{SCHEDULER}/g/nightly")],
    ),
    (call("scheduler.GetSchedule", {"Name": "n"}), [("scheduler:GetSchedule", f"{SCHEDULER}/default/n")]),
    (
        call("sts.AssumeRole", RoleArn="arn:aws:iam::210987654321:role/far"),
        [("sts:AssumeRole", "arn:aws:iam::210987654321:role/far")],
    ),
    (call("sts.GetCallerIdentity"), []),
]


@pytest.mark.parametrize(("made", "needs"), EXPECTED, ids=lambda value: getattr(value, "name", ""))
def test_what_a_call_needs(made, needs):
    assert [(access.action, access.resource) for access in rights_of(made, SCENE)] == needs


def test_every_rule_is_tested():
    assert {made.name for made, _ in EXPECTED} == set(RULES)


def test_what_conditions_may_ask_about():
    [listing] = rights_of(call("s3.ListObjectsV2", Bucket="b", prefix="2026/10/logs/"), SCENE)
    assert listing.context["s3:prefix"] == "2026/10/logs/"
    assert listing.context["aws:requestedregion"] == "ap-northeast-1"
    [tasks] = rights_of(call("ecs.ListTasks", cluster="batch"), SCENE)
    assert tasks.context["ecs:cluster"] == "arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch"


def test_an_object_that_is_missing_is_only_told_to_who_may_list():
    right = missing_object_right(call("s3.GetObject", Bucket="b", Key="k"), SCENE)
    assert (right.action, right.resource) == ("s3:ListBucket", "arn:aws:s3:::b")
    assert "s3:prefix" not in right.context
    assert missing_object_right(call("s3.ListObjectsV2", Bucket="b"), SCENE) is None


@pytest.mark.parametrize("unknown", [call("s3.ListBuckets"), call("logs.StartQuery", logGroupIdentifiers=["x"])])
def test_a_call_that_nobody_wrote_down_is_refused(unknown):
    with pytest.raises(NotImplementedByStandIn, match="does not know"):
        rights_of(unknown, SCENE)
