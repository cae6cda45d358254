"""What the stand-in does truly: per service, the actions and the parameters it heeds.

To add a service, add its name in request signatures here. ``ANY`` means that every parameter of
the action is heeded, or is moto's to judge; a set names the only ones allowed, because moto
passes over in silence what it does not know.
"""

Parameters = frozenset[str] | None
ANY: Parameters = None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


S3: dict[str, Parameters] = dict.fromkeys(
    _names(
        "ListBuckets CreateBucket HeadBucket DeleteBucket GetBucketLocation GetBucketAcl PutBucketPolicy "
        "GetBucketPolicy DeleteBucketPolicy GetBucketVersioning PutBucketVersioning ListObjectsV2 HeadObject "
        "GetObject PutObject DeleteObject DeleteObjects CreateMultipartUpload UploadPart "
        "CompleteMultipartUpload AbortMultipartUpload"
    ),
    ANY,
)

LOGS: dict[str, Parameters] = {
    "CreateLogGroup": _names("logGroupName logGroupClass tags kmsKeyId"),
    "DeleteLogGroup": _names("logGroupName"),
    "DescribeLogGroups": _names("logGroupNamePrefix logGroupNamePattern logGroupClass nextToken limit"),
    "PutRetentionPolicy": _names("logGroupName retentionInDays"),
    "DeleteRetentionPolicy": _names("logGroupName"),
    "CreateLogStream": _names("logGroupName logStreamName"),
    "DescribeLogStreams": _names("logGroupName logStreamNamePrefix orderBy descending nextToken limit"),
    "PutLogEvents": _names("logGroupName logStreamName logEvents sequenceToken"),
    "GetLogEvents": _names("logGroupName logStreamName startTime endTime nextToken limit startFromHead"),
    # No filterPattern: moto returns every event for the patterns it cannot read.
    "FilterLogEvents": _names(
        "logGroupName logStreamNames logStreamNamePrefix startTime endTime nextToken limit interleaved"
    ),
    "CreateExportTask": _names("taskName logGroupName logStreamNamePrefix from to destination destinationPrefix"),
    "DescribeExportTasks": _names("taskId statusCode nextToken limit"),
    "CancelExportTask": _names("taskId"),
    "StartQuery": _names("logGroupName logGroupNames logGroupIdentifiers startTime endTime queryString limit"),
    "GetQueryResults": _names("queryId nextToken"),
    "StopQuery": _names("queryId"),
    "DescribeQueries": _names("logGroupName status maxResults nextToken"),
    "PutResourcePolicy": _names("policyName policyDocument"),
    "DescribeResourcePolicies": frozenset(),
    "DeleteResourcePolicy": _names("policyName"),
}

ECS: dict[str, Parameters] = {
    "CreateCluster": _names("clusterName"),
    "DescribeClusters": _names("clusters"),
    "RegisterTaskDefinition": _names(
        "family containerDefinitions cpu memory networkMode requiresCompatibilities taskRoleArn executionRoleArn"
    ),
    "RunTask": _names(
        "cluster taskDefinition count overrides startedBy group launchType networkConfiguration clientToken"
    ),
    "ListTasks": _names("cluster desiredStatus family startedBy maxResults nextToken"),
    "DescribeTasks": _names("cluster tasks include"),
    "StopTask": _names("cluster task reason"),
}

EVENTS: dict[str, Parameters] = {
    "PutRule": _names("Name EventPattern State Description EventBusName"),
    "DescribeRule": _names("Name EventBusName"),
    "ListRules": _names("NamePrefix EventBusName NextToken Limit"),
    "DeleteRule": _names("Name EventBusName"),
    "EnableRule": _names("Name EventBusName"),
    "DisableRule": _names("Name EventBusName"),
    "PutTargets": _names("Rule EventBusName Targets"),
    "ListTargetsByRule": _names("Rule EventBusName NextToken Limit"),
    "RemoveTargets": _names("Rule EventBusName Ids"),
    "TestEventPattern": _names("EventPattern Event"),
    "PutEvents": _names("Entries"),
}

SQS: dict[str, Parameters] = {
    "CreateQueue": _names("QueueName Attributes"),
    "GetQueueUrl": _names("QueueName"),
    "ListQueues": _names("QueueNamePrefix NextToken MaxResults"),
    "GetQueueAttributes": _names("QueueUrl AttributeNames"),
    "SetQueueAttributes": _names("QueueUrl Attributes"),
    "SendMessage": _names("QueueUrl MessageBody DelaySeconds MessageAttributes"),
    "SendMessageBatch": _names("QueueUrl Entries"),
    "ReceiveMessage": _names(
        "QueueUrl AttributeNames MessageSystemAttributeNames MessageAttributeNames MaxNumberOfMessages "
        "VisibilityTimeout WaitTimeSeconds"
    ),
    "DeleteMessage": _names("QueueUrl ReceiptHandle"),
    "DeleteMessageBatch": _names("QueueUrl Entries"),
    "ChangeMessageVisibility": _names("QueueUrl ReceiptHandle VisibilityTimeout"),
    "PurgeQueue": _names("QueueUrl"),
}

ATHENA: dict[str, Parameters] = {
    "StartQueryExecution": _names(
        "QueryString ClientRequestToken QueryExecutionContext ResultConfiguration WorkGroup ExecutionParameters"
    ),
    "GetQueryExecution": _names("QueryExecutionId"),
    "BatchGetQueryExecution": _names("QueryExecutionIds"),
    "StopQueryExecution": _names("QueryExecutionId"),
    "GetQueryResults": _names("QueryExecutionId NextToken MaxResults"),
    "ListQueryExecutions": _names("NextToken MaxResults WorkGroup"),
    "CreateWorkGroup": _names("Name Configuration Description"),
    "UpdateWorkGroup": _names("WorkGroup Description ConfigurationUpdates State"),
    "GetWorkGroup": _names("WorkGroup"),
    "ListWorkGroups": frozenset(),
}

STS: dict[str, Parameters] = {"GetCallerIdentity": ANY}

ACTIONS: dict[str, dict[str, Parameters]] = {
    "s3": S3,
    "logs": LOGS,
    "sts": STS,
    "ecs": ECS,
    "events": EVENTS,
    "sqs": SQS,
    "athena": ATHENA,
}


def is_known(name: str) -> bool:
    """Whether the stand-in does ``service.Action``."""
    service, _, action = name.partition(".")
    return action in ACTIONS.get(service, {})


def refusal(name: str, parameters: dict[str, object]) -> str | None:
    """Why this call is refused, or None when the stand-in does it."""
    if not is_known(name):
        return f"The stand-in does not do {name}. If the project needs it, write it in local_aws/ first."
    service, _, action = name.partition(".")
    heeded = ACTIONS[service][action]
    unheeded = [] if heeded is None else sorted(set(parameters) - heeded)
    if unheeded:
        return f"The stand-in does not heed {', '.join(unheeded)} of {name}."
    return None
