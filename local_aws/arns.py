"""Which rights a call needs: IAM's action, the resource's ARN, and what conditions may ask about.

Pure, after the Service Authorization Reference, and where that is silent after what AWS's refusals name as resource:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

A call that is not written down here is refused to every role, whatever its policies say.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from local_aws.errors import NotImplementedByStandIn
from local_aws.iam import Access
from local_aws.naming import Call

Parameters = Mapping[str, Any]


class Scene(NamedTuple):
    """Where a call is made.

    :param account: of the caller, and so of all resources but buckets
    :param workgroup_of: the workgroup that an Athena execution ran in; None where there is no such execution
    """

    account: str
    region: str
    workgroup_of: Callable[[str], str | None] = lambda execution_id: None

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


# Gives action (without its service), resource and the call's own condition keys.
Needs = list[tuple[str, str, dict[str, str]]]
Rule = Callable[[Scene, Parameters], Needs]


def rights_of(call: Call, scene: Scene) -> list[Access]:
    """The rights that the call needs of its caller, all of them.

    :raises NotImplementedByStandIn: nothing is known of this call
    """
    rule = RULES.get(call.name)
    if rule is None:
        raise NotImplementedByStandIn(
            f"The stand-in does not know which rights {call.name} needs. If a pipeline makes this call, write them "
            "down in local_aws/arns.py first."
        )
    common = {
        "aws:requestedregion": scene.region,
        "aws:resourceaccount": scene.account,
        "aws:principalaccount": scene.account,
    }
    return [
        Access(action if ":" in action else f"{call.service}:{action}", resource, common | own)
        for action, resource, own in rule(scene, {**call.parameters, **call.path})
    ]


def missing_object_right(call: Call, scene: Scene) -> Access | None:
    """What S3 asks before it says that an object is missing; without it the answer is a refusal, not NoSuchKey.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    if call.name not in ("s3.GetObject", "s3.HeadObject"):
        return None
    [access] = rights_of(call, scene)
    return replace(access, action="s3:ListBucket", resource=_bucket(call.parameters))


def _anything(action: str) -> Rule:
    """An action that knows no resources."""
    return lambda scene, given: [(action, "*", {})]


# CloudWatch Logs. A refusal names the group with an empty stream: arn:aws:logs:…:log-group:/app:log-stream:


def _log_group(scene: Scene, name: str) -> str:
    return scene.arn("logs", f"log-group:{name}:log-stream:")


def _one_group(action: str) -> Rule:
    return lambda scene, given: [(action, _log_group(scene, given["logGroupName"]), {})]


def _start_query(scene: Scene, given: Parameters) -> Needs:
    names = given.get("logGroupNames", [given["logGroupName"]] if "logGroupName" in given else [])
    if not names:
        raise NotImplementedByStandIn("The stand-in does not know the log groups of logs.StartQuery by identifiers.")
    return [("StartQuery", _log_group(scene, name), {}) for name in names]


def _create_export_task(scene: Scene, given: Parameters) -> Needs:
    """The caller itself must be able to write where the export goes."""
    prefix = given.get("destinationPrefix", "exportedlogs")
    return [
        ("CreateExportTask", _log_group(scene, given["logGroupName"]), {}),
        ("s3:PutObject", f"arn:aws:s3:::{given['destination']}/{prefix}/{given.get('taskName', 'task')}", {}),
    ]


# S3


def _bucket(given: Parameters) -> str:
    return f"arn:aws:s3:::{given['Bucket']}"


def _of_bucket(action: str) -> Rule:
    return lambda scene, given: [(action, _bucket(given), {})]


def _of_object(action: str) -> Rule:
    return lambda scene, given: [(action, f"{_bucket(given)}/{given['Key']}", {})]


def _list_objects(scene: Scene, given: Parameters) -> Needs:
    asked = {f"s3:{name}": given[name] for name in ("prefix", "delimiter", "max-keys") if given.get(name)}
    return [("ListBucket", _bucket(given), asked)]


# SQS


def _queue(action: str) -> Rule:
    def rule(scene: Scene, given: Parameters) -> Needs:
        account, _, name = urlsplit(given["QueueUrl"]).path.strip("/").rpartition("/")
        return [(action, f"arn:aws:sqs:{scene.region}:{account}:{name}", {})]

    return rule


# ECS


def _cluster(scene: Scene, given: Parameters) -> str:
    name = given.get("cluster") or "default"
    return name if name.startswith("arn:") else scene.arn("ecs", f"cluster/{name}")


def _list_tasks(scene: Scene, given: Parameters) -> Needs:
    return [("ListTasks", "*", {"ecs:cluster": _cluster(scene, given)})]


def _describe_tasks(scene: Scene, given: Parameters) -> Needs:
    cluster = _cluster(scene, given)
    name = cluster.partition(":cluster/")[2]
    tasks = [task if task.startswith("arn:") else scene.arn("ecs", f"task/{name}/{task}") for task in given["tasks"]]
    return [("DescribeTasks", task, {"ecs:cluster": cluster}) for task in tasks]


# Athena: what is asked about an execution is asked of its workgroup.


def _workgroup(scene: Scene, name: str) -> str:
    return scene.arn("athena", f"workgroup/{name}")


def _of_workgroup(action: str) -> Rule:
    return lambda scene, given: [(action, _workgroup(scene, given.get("WorkGroup", "primary")), {})]


def _of_execution(action: str) -> Rule:
    def rule(scene: Scene, given: Parameters) -> Needs:
        name = scene.workgroup_of(given["QueryExecutionId"])
        return [(action, _workgroup(scene, name), {})] if name else []  # there is nothing to have a right to

    return rule


def _of_executions(scene: Scene, given: Parameters) -> Needs:
    names = dict.fromkeys(scene.workgroup_of(one) for one in given["QueryExecutionIds"])
    return [("BatchGetQueryExecution", _workgroup(scene, name), {}) for name in names if name]


def _table_metadata(scene: Scene, given: Parameters) -> Needs:
    return [("GetTableMetadata", scene.arn("athena", f"datacatalog/{given['CatalogName']}"), {})]


# EventBridge Scheduler


def _get_schedule(scene: Scene, given: Parameters) -> Needs:
    return [
        ("GetSchedule", scene.arn("scheduler", f"schedule/{given.get('groupName', 'default')}/{given['Name']}"), {})
    ]


def _list_schedules(scene: Scene, given: Parameters) -> Needs:
    """However few it asks for. https://docs.aws.amazon.com/service-authorization/latest/reference/"""
    return [("ListSchedules", scene.arn("scheduler", "schedule/*/*"), {})]


RULES: dict[str, Rule] = {
    # However many it asks for.
    "logs.DescribeLogGroups": lambda scene, given: [("DescribeLogGroups", _log_group(scene, ""), {})],
    "logs.FilterLogEvents": _one_group("FilterLogEvents"),
    "logs.GetLogEvents": lambda scene, given: [
        ("GetLogEvents", f"{_log_group(scene, given['logGroupName'])}{given['logStreamName']}", {})
    ],
    "logs.CreateExportTask": _create_export_task,
    "logs.DescribeExportTasks": _anything("DescribeExportTasks"),
    "logs.CancelExportTask": _anything("CancelExportTask"),
    "logs.StartQuery": _start_query,
    "logs.GetQueryResults": _anything("GetQueryResults"),
    "logs.StopQuery": _anything("StopQuery"),
    "s3.ListObjectsV2": _list_objects,
    "s3.HeadBucket": _of_bucket("ListBucket"),
    "s3.GetBucketLocation": _of_bucket("GetBucketLocation"),
    "s3.HeadObject": _of_object("GetObject"),
    "s3.GetObject": _of_object("GetObject"),
    "s3.PutObject": _of_object("PutObject"),
    "s3.DeleteObject": _of_object("DeleteObject"),
    "s3.PutBucketPolicy": _of_bucket("PutBucketPolicy"),
    "sqs.ReceiveMessage": _queue("ReceiveMessage"),
    "sqs.GetQueueUrl": lambda scene, given: [("GetQueueUrl", scene.arn("sqs", given["QueueName"]), {})],
    "sqs.DeleteMessage": _queue("DeleteMessage"),
    "sqs.DeleteMessageBatch": _queue("DeleteMessage"),
    "sqs.GetQueueAttributes": _queue("GetQueueAttributes"),
    "events.ListRules": lambda scene, given: [("ListRules", scene.arn("events", "rule/*"), {})],
    "ecs.ListTasks": _list_tasks,
    "ecs.DescribeTasks": _describe_tasks,
    "athena.StartQueryExecution": _of_workgroup("StartQueryExecution"),
    "athena.GetQueryExecution": _of_execution("GetQueryExecution"),
    "athena.BatchGetQueryExecution": _of_executions,
    "athena.StopQueryExecution": _of_execution("StopQueryExecution"),
    "athena.GetQueryResults": _of_execution("GetQueryResults"),
    "athena.GetWorkGroup": _of_workgroup("GetWorkGroup"),
    "athena.GetTableMetadata": _table_metadata,
    "cloudtrail.LookupEvents": _anything("LookupEvents"),
    "scheduler.ListSchedules": _list_schedules,
    "scheduler.GetSchedule": _get_schedule,
    "sts.AssumeRole": lambda scene, given: [("AssumeRole", given["RoleArn"], {})],
    # Everyone may ask who they are.
    "sts.GetCallerIdentity": lambda scene, given: [],
}
