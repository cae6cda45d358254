"""What the call that a schedule makes looks like in CloudTrail, or why it cannot be seen there.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

from __future__ import annotations

from dataclasses import dataclass

from log_audit.schedule import Schedule

# The calls of templated targets, by the service in the target's ARN.
TEMPLATED = {
    "codebuild": "StartBuild",
    "codepipeline": "StartPipelineExecution",
    "ecs": "RunTask",
    "events": "PutEvents",
    "firehose": "PutRecord",
    "inspector": "StartAssessmentRun",
    "kinesis": "PutRecord",
    "lambda": "Invoke",
    "sagemaker": "StartPipelineExecution",
    "sns": "Publish",
    "sqs": "SendMessage",
    "states": "StartExecution",
}

# A universal target names its service as the SDK does, CloudTrail mostly by its endpoint: these are the services whose
# two names differ and that a schedule is likely to call. https://docs.aws.amazon.com/eventbridge/latest/ref/welcome.html
# gives the event source of each service on a page of its own.
EVENT_SOURCES = {
    "apigatewayv2": "apigateway",
    "applicationautoscaling": "autoscaling",
    "cloudwatch": "monitoring",
    "cloudwatchevents": "events",
    "cloudwatchlogs": "logs",
    "cognitoidentity": "cognito-identity",
    "cognitoidentityprovider": "cognito-idp",
    "configservice": "config",
    "costexplorer": "ce",
    "databasemigrationservice": "dms",
    "directoryservice": "ds",
    "docdb": "rds",
    "efs": "elasticfilesystem",
    "elasticloadbalancingv2": "elasticloadbalancing",
    "elasticsearchservice": "es",
    "emr": "elasticmapreduce",
    "emrcontainers": "emr-containers",
    "emrserverless": "emr-serverless",
    "eventbridge": "events",
    "keyspaces": "cassandra",
    "kinesisanalyticsv2": "kinesisanalytics",
    "mwaa": "airflow",
    "neptune": "rds",
    "opensearch": "es",
    "redshiftdata": "redshift-data",
    "redshiftserverless": "redshift-serverless",
    "resourcegroupstaggingapi": "tagging",
    "sesv2": "ses",
    "sfn": "states",
    "ssmincidents": "ssm-incidents",
}

# Data events, which trails leave out unless told otherwise, and calls that CloudTrail does not record at all.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
DATA_EVENTS = {
    "dynamodb": {
        *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"),
        *("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"),
    },
    "events": {"PutEvents"},
    "firehose": {"PutRecord", "PutRecordBatch"},
    "kinesis": {"PutRecord", "PutRecords"},
    "lambda": {"Invoke", "InvokeAsync", "InvokeWithResponseStream"},
    "logs": {"PutLogEvents"},
    "monitoring": {"PutMetricData"},
    "s3": {
        *("PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "RestoreObject", "RenameObject"),
        *("PutObjectAcl", "PutObjectTagging", "DeleteObjectTagging", "PutObjectRetention", "PutObjectLegalHold"),
        *("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload"),
    },
    "ses": {"SendEmail", "SendBulkEmail", "SendRawEmail", "SendTemplatedEmail", "SendBulkTemplatedEmail"},
    "sns": {"Publish", "PublishBatch"},
    "sqs": {
        *("SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch"),
        *("ChangeMessageVisibility", "ChangeMessageVisibilityBatch"),
    },
    "states": {"StartSyncExecution", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"},
}


@dataclass(frozen=True)
class Observable:
    """How CloudTrail records a call: its ``eventSource`` and ``eventName``."""

    source: str
    event: str

    def __str__(self) -> str:
        return f"{self.event} of {self.source}"


def observed_as(schedule: Schedule) -> tuple[Observable | None, str]:
    """The record that a schedule's call leaves in CloudTrail.

    :returns: None where it leaves none that we could look for, with the reason, a sentence for people
    """
    service, event = _call(schedule.target)
    if not event:
        return None, f"Its target {schedule.target} is of no kind that we know the call of."
    if event in DATA_EVENTS.get(service, ()):
        return (
            None,
            f"Its call, {event} of {service}.amazonaws.com, is a data event: trails leave these out by default.",
        )
    if service == "lambda":
        return None, f"Lambda writes {event} into CloudTrail under a name that ends in the API's version."
    return Observable(f"{service}.amazonaws.com", event), ""


def is_universal(target: str) -> bool:
    """Whether a target's ARN names an action of the SDK: ``arn:aws:scheduler:::aws-sdk:service:apiAction``."""
    return target.split(":")[2:6] == ["scheduler", "", "", "aws-sdk"]


def _call(target: str) -> tuple[str, str]:
    """The service, by CloudTrail's name for it, and the event's name; the latter is empty where it is not known."""
    parts = target.split(":")
    if not is_universal(target):
        service = parts[2] if len(parts) > 5 else ""
        return service, TEMPLATED.get(service, "")
    service, action = (*parts[6:8], "", "")[:2]
    return EVENT_SOURCES.get(service, service), action[:1].upper() + action[1:]
