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
        "CompleteMultipartUpload AbortMultipartUpload "
        "PutBucketEncryption GetBucketEncryption PutPublicAccessBlock GetPublicAccessBlock "
        "PutBucketOwnershipControls GetBucketOwnershipControls "
        "PutBucketLifecycleConfiguration GetBucketLifecycleConfiguration"
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
    "DeleteQueue": _names("QueueUrl"),
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
    "DeleteWorkGroup": _names("WorkGroup RecursiveDeleteOption"),
    "GetWorkGroup": _names("WorkGroup"),
    "GetTableMetadata": _names("CatalogName DatabaseName TableName WorkGroup"),
    "ListWorkGroups": frozenset(),
}

# Trails are recorded and described, and write nothing by themselves: local_aws.trail puts their files.
# No EventCategory: the stand-in has no Insights events.
TRAIL = _names("Name S3BucketName IncludeGlobalServiceEvents IsMultiRegionTrail EnableLogFileValidation")
CLOUDTRAIL: dict[str, Parameters] = {
    "CreateTrail": TRAIL,
    "UpdateTrail": TRAIL,
    "DeleteTrail": _names("Name"),
    "StartLogging": _names("Name"),
    "StopLogging": _names("Name"),
    "DescribeTrails": _names("trailNameList includeShadowTrails"),
    "GetTrailStatus": _names("Name"),
    "LookupEvents": _names("LookupAttributes StartTime EndTime MaxResults NextToken"),
}

# Of a REST service these are the query's parameters; scheduler.py checks the body.
SCHEDULER: dict[str, Parameters] = {
    "CreateSchedule": frozenset(),
    "UpdateSchedule": frozenset(),
    "DeleteSchedule": _names("groupName clientToken"),
    "GetSchedule": _names("groupName"),
    "ListSchedules": _names("ScheduleGroup NamePrefix State MaxResults NextToken"),
    "CreateScheduleGroup": frozenset(),
    "ListScheduleGroups": _names("NamePrefix MaxResults NextToken"),
}

# No Policy, Tags or SourceIdentity: nothing tests a session against them.
STS: dict[str, Parameters] = {
    "GetCallerIdentity": ANY,
    "AssumeRole": _names("RoleArn RoleSessionName DurationSeconds ExternalId"),
}

IAM: dict[str, Parameters] = {
    "CreateRole": _names("RoleName AssumeRolePolicyDocument Path Description MaxSessionDuration"),
    "GetRole": _names("RoleName"),
    "UpdateRole": _names("RoleName Description MaxSessionDuration"),
    "UpdateAssumeRolePolicy": _names("RoleName PolicyDocument"),
    "DeleteRole": _names("RoleName"),
    "AttachRolePolicy": _names("RoleName PolicyArn"),
    "DetachRolePolicy": _names("RoleName PolicyArn"),
    "ListAttachedRolePolicies": _names("RoleName PathPrefix Marker MaxItems"),
    "CreatePolicy": _names("PolicyName PolicyDocument Path Description"),
    "GetPolicy": _names("PolicyArn"),
    "GetPolicyVersion": _names("PolicyArn VersionId"),
    "CreatePolicyVersion": _names("PolicyArn PolicyDocument SetAsDefault"),
    "PutRolePolicy": _names("RoleName PolicyName PolicyDocument"),
    "DeleteRolePolicy": _names("RoleName PolicyName"),
    "ListPolicyVersions": _names("PolicyArn Marker MaxItems"),
    "DeletePolicyVersion": _names("PolicyArn VersionId"),
    "DeletePolicy": _names("PolicyArn"),
}

CLOUDFORMATION: dict[str, Parameters] = {
    "CreateStack": _names("StackName TemplateBody Parameters Capabilities"),
    "UpdateStack": _names("StackName TemplateBody UsePreviousTemplate Parameters Capabilities"),
    "DeleteStack": _names("StackName"),
    "DescribeStacks": _names("StackName"),
    "DescribeStackEvents": _names("StackName"),
    "DescribeStackResources": _names("StackName"),
    "GetTemplate": _names("StackName"),
}

# Of a REST service these are the query's parameters: the setting itself is moto's to judge.
APIGATEWAY: dict[str, Parameters] = {"GetAccount": frozenset(), "UpdateAccount": frozenset()}

ACTIONS: dict[str, dict[str, Parameters]] = {
    "s3": S3,
    "logs": LOGS,
    "sts": STS,
    "iam": IAM,
    "cloudformation": CLOUDFORMATION,
    "apigateway": APIGATEWAY,
    "ecs": ECS,
    "events": EVENTS,
    "sqs": SQS,
    "athena": ATHENA,
    "cloudtrail": CLOUDTRAIL,
    "scheduler": SCHEDULER,
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
    # A form names a list's members as Parameters.member.1.ParameterKey, and the API's version beside the action.
    given = {parameter.partition(".")[0] for parameter in parameters} - {"Version"}
    unheeded = [] if heeded is None else sorted(given - heeded)
    if unheeded:
        return f"The stand-in does not heed {', '.join(unheeded)} of {name}."
    return None
