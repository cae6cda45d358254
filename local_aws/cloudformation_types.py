"""The resource types that the stand-in's CloudFormation knows: their properties, and the calls that they become.

Each calls the service as CloudFormation does, so a property takes effect there, or the service refuses it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from local_aws.cloudformation_template import Invalid, NotKnown

Properties = dict[str, Any]
Client = Callable[[str], Any]


@dataclass
class Made:
    """A resource that is there: its id, what Ref gives (often the same), and what Fn::GetAtt gives."""

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    ref: str = ""

    def value(self, attribute: str | None) -> str | None:
        """What Ref (None) or Fn::GetAtt gives; None: there is no such attribute."""
        return (self.ref or self.physical_id) if attribute is None else self.attributes.get(attribute)


def text(value: Any) -> str:
    """A string; CloudFormation takes numbers and booleans for one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("it must be a string")


def number(value: Any) -> int:
    """A whole number, or its text."""
    if isinstance(value, bool) or not str(value).isdecimal():
        raise ValueError("it must be a whole number")
    return int(value)


def flag(value: Any) -> bool:
    """A boolean, or its text."""
    if str(value).lower() not in ("true", "false"):
        raise ValueError("it must be true or false")
    return str(value).lower() == "true"


def document(value: Any) -> str:
    """A policy or a pattern, as JSON."""
    if not isinstance(value, dict):
        raise ValueError("it must be an object")
    return json.dumps(value)


def redrive(value: Any) -> str:
    """A queue's RedrivePolicy."""
    known = {"deadLetterTargetArn": text, "maxReceiveCount": number}
    return json.dumps(shaped(known, value, "RedrivePolicy"))


def shaped(shape: Any, value: Any, path: str) -> Any:
    """The value in the types of its shape. :raises NotKnown: of a property that is not in the shape
    :raises Invalid: of a value that is not of its type
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise Invalid(f"{path} must be an object")
        if unknown := sorted(value.keys() - shape.keys()):
            raise NotKnown(f"property {path}.{unknown[0]}".replace("..", "."))
        return {key: shaped(shape[key], item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise Invalid(f"{path} must be a list")
        return [shaped(shape[0], item, path) for item in value]
    try:
        return shape(value)
    except (Invalid, NotKnown):
        raise
    except ValueError as error:
        raise Invalid(f"{path}: {error}, not {value!r}") from error


def require_free(name: str, names: list[str]) -> None:
    """:raises Invalid: there is one of this name, which the service itself would take for the same"""
    if name in names:
        raise Invalid(f"{name} already exists")


class ResourceType:
    """How a type is made, changed and deleted. `fixed` properties cannot change without a replacement."""

    name: ClassVar[str]
    shape: ClassVar[dict[str, Any]]
    required: ClassVar[frozenset[str]] = frozenset()
    fixed: ClassVar[frozenset[str]] = frozenset()

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """Make it; `default_name` is for one whose properties name none."""
        raise NotImplementedError

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """Bring it to these properties; none of its fixed ones has changed."""
        raise NotImplementedError

    def delete(self, aws: Client, made: Made) -> None:
        """Delete it."""
        raise NotImplementedError


STORAGE_CLASSES = ("GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER", "DEEP_ARCHIVE")


def storage_class(value: Any) -> str:
    """A storage class that a lifecycle may name."""
    if value not in STORAGE_CLASSES:
        raise ValueError(f"it must be one of {', '.join(STORAGE_CLASSES)}")
    return str(value)


class Bucket(ResourceType):
    """A bucket and what is set on it."""

    name = "AWS::S3::Bucket"
    fixed = frozenset({"BucketName"})
    transition: ClassVar = [{"StorageClass": storage_class, "TransitionInDays": number}]
    rule: ClassVar = {
        "Id": text,
        "Status": text,
        "Prefix": text,
        "ExpirationInDays": number,
        "Transitions": transition,
        "NoncurrentVersionTransitions": transition,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": number},
    }
    shape: ClassVar = {
        "BucketName": text,
        "VersioningConfiguration": {"Status": text},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": text}}]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": flag,
            "BlockPublicPolicy": flag,
            "IgnorePublicAcls": flag,
            "RestrictPublicBuckets": flag,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": text}]},
        "LifecycleConfiguration": {"Rules": [rule]},
    }

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateBucket, and a call for each setting."""
        s3, name = aws("s3"), wanted.get("BucketName", default_name.lower())
        region = s3.meta.region_name
        require_free(name, [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]])
        # us-east-1 alone must not be named. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **place)
        made = Made(name, {"Arn": f"arn:aws:s3:::{name}"})
        try:
            self.update(aws, made, wanted)
        except Exception:
            # CloudFormation deletes what it could not finish.
            s3.delete_bucket(Bucket=name)
            raise
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """A call for each setting, which replaces what was set."""
        s3, bucket = aws("s3"), {"Bucket": made.physical_id}
        if versioning := wanted.get("VersioningConfiguration"):
            s3.put_bucket_versioning(**bucket, VersioningConfiguration=versioning)
        if encryption := wanted.get("BucketEncryption"):
            rules = [
                {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                for rule in encryption["ServerSideEncryptionConfiguration"]
            ]
            s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        if block := wanted.get("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=block)
        if owner := wanted.get("OwnershipControls"):
            s3.put_bucket_ownership_controls(**bucket, OwnershipControls=owner)
        if lifecycle := wanted.get("LifecycleConfiguration"):
            rules = [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]
            s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteBucket, which an empty one only allows."""
        aws("s3").delete_bucket(Bucket=made.physical_id)


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """A rule in the words of S3's API."""
    found: dict[str, Any] = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        found["ID"] = rule["Id"]
    if "ExpirationInDays" in rule:
        found["Expiration"] = {"Days": rule["ExpirationInDays"]}
    for kind, days in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        if kind in rule:
            found[kind] = [
                {days: change["TransitionInDays"], "StorageClass": change["StorageClass"]} for change in rule[kind]
            ]
    if "AbortIncompleteMultipartUpload" in rule:
        found["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return found


class BucketPolicy(ResourceType):
    """A bucket's policy."""

    name = "AWS::S3::BucketPolicy"
    shape: ClassVar = {"Bucket": text, "PolicyDocument": document}
    required = frozenset({"Bucket", "PolicyDocument"})
    fixed = frozenset({"Bucket"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """PutBucketPolicy."""
        made = Made(wanted["Bucket"])
        self.update(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """PutBucketPolicy."""
        aws("s3").put_bucket_policy(Bucket=made.physical_id, Policy=wanted["PolicyDocument"])

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteBucketPolicy."""
        aws("s3").delete_bucket_policy(Bucket=made.physical_id)


class Queue(ResourceType):
    """A standard queue."""

    name = "AWS::SQS::Queue"
    fixed = frozenset({"QueueName"})
    attributes: ClassVar = {
        "MessageRetentionPeriod": number,
        "VisibilityTimeout": number,
        "ReceiveMessageWaitTimeSeconds": number,
        "SqsManagedSseEnabled": flag,
        "RedrivePolicy": redrive,
    }
    shape: ClassVar = {"QueueName": text, **attributes}

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateQueue; Ref gives the address that AWS gives, and not that of the stand-in."""
        sqs, name = aws("sqs"), wanted.get("QueueName", default_name)
        urls = sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", [])
        require_free(name, [url.rpartition("/")[2] for url in urls])
        url = sqs.create_queue(QueueName=name, Attributes=self._attributes(wanted))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        *_, region, account, _ = arn.split(":")
        return Made(f"https://sqs.{region}.amazonaws.com/{account}/{name}", {"Arn": arn, "QueueName": name})

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """SetQueueAttributes."""
        aws("sqs").set_queue_attributes(QueueUrl=made.physical_id, Attributes=self._attributes(wanted))

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteQueue."""
        aws("sqs").delete_queue(QueueUrl=made.physical_id)

    def _attributes(self, wanted: Properties) -> dict[str, str]:
        return {key: text(value) for key, value in wanted.items() if key in self.attributes}


class QueuePolicy(ResourceType):
    """The policy of queues."""

    name = "AWS::SQS::QueuePolicy"
    shape: ClassVar = {"Queues": [text], "PolicyDocument": document}
    required = frozenset({"Queues", "PolicyDocument"})
    fixed = frozenset({"Queues"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """SetQueueAttributes, of each queue."""
        made = Made(default_name, {"queues": "\n".join(wanted["Queues"])})
        self.update(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """The same."""
        self._put(aws, made, wanted["PolicyDocument"])

    def delete(self, aws: Client, made: Made) -> None:
        """An empty policy is none."""
        self._put(aws, made, "")

    def _put(self, aws: Client, made: Made, policy: str) -> None:
        for url in made.attributes["queues"].split("\n"):
            aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


class Rule(ResourceType):
    """A rule of the default bus, and its targets."""

    name = "AWS::Events::Rule"
    shape: ClassVar = {
        "Name": text,
        "Description": text,
        "State": text,
        "EventPattern": document,
        "Targets": [{"Id": text, "Arn": text}],
    }
    required = frozenset({"EventPattern"})
    fixed = frozenset({"Name"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """PutRule and PutTargets."""
        name = wanted.get("Name", default_name)
        require_free(name, [rule["Name"] for rule in aws("events").list_rules(NamePrefix=name)["Rules"]])
        made = Made(name)
        made.attributes["Arn"] = self._put(aws, name, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """PutRule and PutTargets; targets that are no longer there are removed."""
        self._put(aws, made.physical_id, wanted)
        keep = {target["Id"] for target in wanted.get("Targets", [])}
        self._remove_targets(aws, made, keep)

    def delete(self, aws: Client, made: Made) -> None:
        """RemoveTargets and DeleteRule."""
        self._remove_targets(aws, made, set())
        aws("events").delete_rule(Name=made.physical_id)

    def _put(self, aws: Client, name: str, wanted: Properties) -> str:
        given = {key: wanted[key] for key in ("Description", "State", "EventPattern") if key in wanted}
        arn: str = aws("events").put_rule(Name=name, **given)["RuleArn"]
        if wanted.get("Targets"):
            aws("events").put_targets(Rule=name, Targets=wanted["Targets"])
        return arn

    def _remove_targets(self, aws: Client, made: Made, keep: set[str]) -> None:
        targets = aws("events").list_targets_by_rule(Rule=made.physical_id)["Targets"]
        gone = [target["Id"] for target in targets if target["Id"] not in keep]
        if gone:
            aws("events").remove_targets(Rule=made.physical_id, Ids=gone)


class LogGroup(ResourceType):
    """A log group."""

    name = "AWS::Logs::LogGroup"
    shape: ClassVar = {"LogGroupName": text, "RetentionInDays": number}
    fixed = frozenset({"LogGroupName"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateLogGroup, and PutRetentionPolicy."""
        logs, name = aws("logs"), wanted.get("LogGroupName", default_name)
        logs.create_log_group(logGroupName=name)
        found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        arn = next(group["arn"] for group in found if group["logGroupName"] == name)
        made = Made(name, {"Arn": arn})
        self.update(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """PutRetentionPolicy, or DeleteRetentionPolicy."""
        if "RetentionInDays" in wanted:
            aws("logs").put_retention_policy(logGroupName=made.physical_id, retentionInDays=wanted["RetentionInDays"])
        else:
            aws("logs").delete_retention_policy(logGroupName=made.physical_id)

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteLogGroup."""
        aws("logs").delete_log_group(logGroupName=made.physical_id)


class LogsResourcePolicy(ResourceType):
    """What services may do with log groups."""

    name = "AWS::Logs::ResourcePolicy"
    shape: ClassVar = {"PolicyName": text, "PolicyDocument": text}
    required = frozenset({"PolicyName", "PolicyDocument"})
    fixed = frozenset({"PolicyName"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """PutResourcePolicy."""
        made = Made(wanted["PolicyName"])
        policies = aws("logs").describe_resource_policies()["resourcePolicies"]
        require_free(made.physical_id, [policy["policyName"] for policy in policies])
        self.update(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """PutResourcePolicy."""
        aws("logs").put_resource_policy(policyName=made.physical_id, policyDocument=wanted["PolicyDocument"])

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteResourcePolicy."""
        aws("logs").delete_resource_policy(policyName=made.physical_id)


class WorkGroup(ResourceType):
    """A workgroup of Athena."""

    name = "AWS::Athena::WorkGroup"
    shape: ClassVar = {
        "Name": text,
        "Description": text,
        "State": text,
        "RecursiveDeleteOption": flag,
        "WorkGroupConfiguration": {
            "EnforceWorkGroupConfiguration": flag,
            "BytesScannedCutoffPerQuery": number,
            "PublishCloudWatchMetricsEnabled": flag,
            "ResultConfiguration": {"OutputLocation": text, "EncryptionConfiguration": {"EncryptionOption": text}},
        },
    }
    required = frozenset({"Name"})
    fixed = frozenset({"Name"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateWorkGroup; its state is set by itself."""
        made = Made(wanted["Name"])
        self._remember(made, wanted)
        description = {"Description": wanted["Description"]} if "Description" in wanted else {}
        configuration = wanted.get("WorkGroupConfiguration", {})
        aws("athena").create_work_group(Name=made.physical_id, Configuration=configuration, **description)
        if "State" in wanted:
            aws("athena").update_work_group(WorkGroup=made.physical_id, State=wanted["State"])
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """UpdateWorkGroup; a limit that is no longer there is removed."""
        self._remember(made, wanted)
        configuration = dict(wanted.get("WorkGroupConfiguration", {}))
        updates = {"ResultConfigurationUpdates": configuration.pop("ResultConfiguration", {}), **configuration}
        if "BytesScannedCutoffPerQuery" not in configuration:
            updates["RemoveBytesScannedCutoffPerQuery"] = True
        aws("athena").update_work_group(
            WorkGroup=made.physical_id,
            Description=wanted.get("Description", ""),
            State=wanted.get("State", "ENABLED"),
            ConfigurationUpdates=updates,
        )

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteWorkGroup, which refuses one that has executions unless RecursiveDeleteOption says otherwise."""
        recursive = made.attributes["recursive"] == "true"
        aws("athena").delete_work_group(WorkGroup=made.physical_id, RecursiveDeleteOption=recursive)

    def _remember(self, made: Made, wanted: Properties) -> None:
        made.attributes["recursive"] = text(wanted.get("RecursiveDeleteOption", False))


class Trail(ResourceType):
    """A trail. The stand-in's trails write nothing by themselves: `local_aws.trail` puts their files."""

    name = "AWS::CloudTrail::Trail"
    shape: ClassVar = {
        "TrailName": text,
        "S3BucketName": text,
        "IsLogging": flag,
        "IsMultiRegionTrail": flag,
        "IncludeGlobalServiceEvents": flag,
        "EnableLogFileValidation": flag,
    }
    required = frozenset({"S3BucketName", "IsLogging"})
    fixed = frozenset({"TrailName"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateTrail and StartLogging."""
        name = wanted.get("TrailName", default_name)
        trails = aws("cloudtrail").describe_trails(includeShadowTrails=False)["trailList"]
        require_free(name, [trail["Name"] for trail in trails])
        arn = aws("cloudtrail").create_trail(Name=name, **self._settings(wanted))["TrailARN"]
        made = Made(name, {"Arn": arn})
        self._log(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """UpdateTrail, and StartLogging or StopLogging."""
        aws("cloudtrail").update_trail(Name=made.physical_id, **self._settings(wanted))
        self._log(aws, made, wanted)

    def delete(self, aws: Client, made: Made) -> None:
        """DeleteTrail."""
        aws("cloudtrail").delete_trail(Name=made.physical_id)

    def _settings(self, wanted: Properties) -> Properties:
        return {key: value for key, value in wanted.items() if key not in ("TrailName", "IsLogging")}

    def _log(self, aws: Client, made: Made, wanted: Properties) -> None:
        switch = aws("cloudtrail").start_logging if wanted["IsLogging"] else aws("cloudtrail").stop_logging
        switch(Name=made.physical_id)


class Role(ResourceType):
    """A role, with the managed policies that are attached to it."""

    name = "AWS::IAM::Role"
    shape: ClassVar = {
        "RoleName": text,
        "Description": text,
        "MaxSessionDuration": number,
        "AssumeRolePolicyDocument": document,
        "ManagedPolicyArns": [text],
    }
    required = frozenset({"AssumeRolePolicyDocument"})
    fixed = frozenset({"RoleName"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreateRole, and AttachRolePolicy for each policy."""
        name = wanted.get("RoleName", default_name)
        given = {key: wanted[key] for key in ("Description", "MaxSessionDuration") if key in wanted}
        trust = wanted["AssumeRolePolicyDocument"]
        role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, **given)["Role"]
        made = Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})
        try:
            self._attach(aws, made, wanted)
        except Exception:
            self.delete(aws, made)
            raise
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """UpdateRole, UpdateAssumeRolePolicy, AttachRolePolicy, DetachRolePolicy."""
        name = {"RoleName": made.physical_id}
        duration = wanted.get("MaxSessionDuration", 3600)
        aws("iam").update_role(**name, Description=wanted.get("Description", ""), MaxSessionDuration=duration)
        aws("iam").update_assume_role_policy(**name, PolicyDocument=wanted["AssumeRolePolicyDocument"])
        self._attach(aws, made, wanted)

    def delete(self, aws: Client, made: Made) -> None:
        """DetachRolePolicy for each policy, and DeleteRole."""
        self._attach(aws, made, {})
        aws("iam").delete_role(RoleName=made.physical_id)

    def _attach(self, aws: Client, made: Made, wanted: Properties) -> None:
        """Attach these policies and no others."""
        iam, name = aws("iam"), {"RoleName": made.physical_id}
        policies = wanted.get("ManagedPolicyArns", [])
        attached = [one["PolicyArn"] for one in iam.list_attached_role_policies(**name)["AttachedPolicies"]]
        for arn in sorted(set(policies) - set(attached)):
            iam.attach_role_policy(**name, PolicyArn=arn)
        for arn in sorted(set(attached) - set(policies)):
            iam.detach_role_policy(**name, PolicyArn=arn)


class ManagedPolicy(ResourceType):
    """A managed policy. Ref gives its ARN."""

    name = "AWS::IAM::ManagedPolicy"
    shape: ClassVar = {"ManagedPolicyName": text, "Description": text, "PolicyDocument": document}
    required = frozenset({"PolicyDocument"})
    fixed = frozenset({"ManagedPolicyName", "Description"})

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """CreatePolicy."""
        description = {"Description": wanted["Description"]} if "Description" in wanted else {}
        name = wanted.get("ManagedPolicyName", default_name)
        policy = aws("iam").create_policy(PolicyName=name, PolicyDocument=wanted["PolicyDocument"], **description)
        arn = policy["Policy"]["Arn"]
        return Made(arn, {"PolicyArn": arn})

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """CreatePolicyVersion, in the place of the oldest that is not the default."""
        self._delete_versions(aws, made)
        aws("iam").create_policy_version(
            PolicyArn=made.physical_id, PolicyDocument=wanted["PolicyDocument"], SetAsDefault=True
        )
        self._delete_versions(aws, made)

    def delete(self, aws: Client, made: Made) -> None:
        """DeletePolicy, which refuses one that is attached."""
        self._delete_versions(aws, made)
        aws("iam").delete_policy(PolicyArn=made.physical_id)

    def _delete_versions(self, aws: Client, made: Made) -> None:
        for version in aws("iam").list_policy_versions(PolicyArn=made.physical_id)["Versions"]:
            if not version["IsDefaultVersion"]:
                aws("iam").delete_policy_version(PolicyArn=made.physical_id, VersionId=version["VersionId"])


class ApiGatewayAccount(ResourceType):
    """API Gateway's setting for the account and region."""

    name = "AWS::ApiGateway::Account"
    shape: ClassVar = {"CloudWatchRoleArn": text}

    def create(self, aws: Client, wanted: Properties, default_name: str) -> Made:
        """UpdateAccount."""
        made = Made(default_name)
        self.update(aws, made, wanted)
        return made

    def update(self, aws: Client, made: Made, wanted: Properties) -> None:
        """UpdateAccount."""
        operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": wanted.get("CloudWatchRoleArn", "")}
        aws("apigateway").update_account(patchOperations=[operation])

    def delete(self, aws: Client, made: Made) -> None:
        """Nothing: CloudFormation leaves the setting as it is."""


TYPES: dict[str, ResourceType] = {
    kind.name: kind()
    for kind in (
        *(Bucket, BucketPolicy, Queue, QueuePolicy, Rule, LogGroup, LogsResourcePolicy, WorkGroup, Trail),
        *(Role, ManagedPolicy, ApiGatewayAccount),
    )
}
