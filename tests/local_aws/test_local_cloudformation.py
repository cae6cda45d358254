"""The stand-in's CloudFormation: what it makes, changes and deletes, and that it refuses the rest."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.control import Control

REGION, ACCOUNT = "ap-northeast-1", "123456789012"
BUCKET = "Resources: {Store: {Type: AWS::S3::Bucket, Properties: {BucketName: some-store}}}"
QUEUES = """
Parameters:
  Seconds: {Type: Number, Default: 30, MinValue: 1, MaxValue: 100}
  Words: {Type: CommaDelimitedList, Default: "a, b"}
  Suffix: {Type: String, Default: "", AllowedPattern: "[a-z]{0,5}", ConstraintDescription: up to five letters}
  Extra: {Type: String, Default: "no", AllowedValues: ["yes", "no"]}
Conditions:
  HasExtra: !Equals [!Ref Extra, "yes"]
  HasNone: !Not [!Condition HasExtra]
  Both: !And [!Condition HasExtra, !Condition HasNone]
  Either: !Or [!Condition HasExtra, !Condition HasNone]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "queue${Suffix}"
      VisibilityTimeout: !Ref Seconds
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}
      MessageRetentionPeriod: !If [HasExtra, 60, !Ref AWS::NoValue]
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  More: {Type: AWS::SQS::Queue, Condition: HasExtra, Properties: {QueueName: more}}
  Never: {Type: AWS::SQS::Queue, Condition: Both, Properties: {QueueName: never}}
Outputs:
  Url: {Value: !Ref Queue, Description: where it is}
  Joined: {Value: !Join ["|", !Split ["-", !Join ["-", !Ref Words]]]}
  Text: {Value: !Sub ["${Own} ${AWS::Region} ${Dead.Arn} ${!Literal}", {Own: !Ref AWS::AccountId}]}
  More: {Condition: HasExtra, Value: !GetAtt More.QueueName}
  Always: {Condition: Either, Value: "1"}
"""


class Stacks:
    """CloudFormation, with a stack called ``it``."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def create(self, template: str, name: str = "it", **parameters: str) -> str:
        """Create it; its status."""
        return self._call(self.client.create_stack, template, name, parameters)

    def update(self, template: str, name: str = "it", **parameters: str) -> str:
        """Update it; its status."""
        return self._call(self.client.update_stack, template, name, parameters)

    def delete(self, name: str = "it") -> str:
        """Delete it; its status."""
        stack_id = self.find(name)["StackId"]
        self.client.delete_stack(StackName=name)
        return str(self.find(stack_id)["StackStatus"])

    def find(self, name: str = "it") -> dict[str, Any]:
        """As DescribeStacks gives it."""
        found: dict[str, Any] = self.client.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def outputs(self) -> dict[str, str]:
        """Its outputs by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.find()["Outputs"]}

    def _call(self, call: Callable[..., Any], template: str, name: str, parameters: dict[str, str]) -> str:
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        call(StackName=name, TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"])
        return str(self.find(name)["StackStatus"])


@pytest.fixture
def stacks(aws_client: Callable[..., Any]) -> Stacks:
    return Stacks(aws_client("cloudformation"))


@pytest.fixture
def sqs(aws_client: Callable[..., Any]) -> Any:
    return aws_client("sqs")


def names(sqs: Any) -> list[str]:
    return sorted(url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", []))


def attributes(sqs: Any, name: str) -> dict[str, str]:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def resource(kind: str, properties: str) -> str:
    return f"Resources: {{Thing: {{Type: {kind}, Properties: {properties}}}}}"


NOT_KNOWN = {
    "a type": (resource("AWS::SNS::Topic", "{}"), "type AWS::SNS::Topic of Thing"),
    "a property": (
        resource("AWS::SQS::Queue", "{QueueName: q, KmsMasterKeyId: x}"),
        "property KmsMasterKeyId of Thing (AWS::SQS::Queue)",
    ),
    "a property below one": (
        resource("AWS::S3::Bucket", "{VersioningConfiguration: {Status: Enabled, MfaDelete: x}}"),
        "property VersioningConfiguration.MfaDelete of Thing (AWS::S3::Bucket)",
    ),
    "a property in a list": (
        resource("AWS::S3::Bucket", "{LifecycleConfiguration: {Rules: [{Status: Enabled, TagFilters: []}]}}"),
        "property LifecycleConfiguration.Rules.TagFilters of Thing (AWS::S3::Bucket)",
    ),
    "a property behind a condition": (
        "Conditions: {Yes: !Equals [a, a]}\n"
        + resource("AWS::SQS::Queue", "!If [Yes, {KmsMasterKeyId: x}, {QueueName: q}]"),
        "property KmsMasterKeyId of Thing",
    ),
    "a short function": (resource("AWS::SQS::Queue", "{QueueName: !Select [0, [a]]}"), "function !Select"),
    "a long function": (
        resource("AWS::SQS::Queue", "{QueueName: {'Fn::ImportValue': a}}"),
        "function Fn::ImportValue",
    ),
    "a section": (f"Mappings: {{}}\n{BUCKET}", "template section Mappings"),
    "another section": (f"Transform: AWS::LanguageExtensions\n{BUCKET}", "template section Transform"),
    "a rule": (f"Rules: {{}}\n{BUCKET}", "template section Rules"),
    "a type of parameter": (
        f"Parameters: {{A: {{Type: 'AWS::SSM::Parameter::Value<String>', Default: x}}}}\n{BUCKET}",
        "type AWS::SSM::Parameter::Value<String> of Parameters.A",
    ),
    "a key of a parameter": (
        f"Parameters: {{A: {{Type: String, Default: x, NoEcho: true}}}}\n{BUCKET}",
        "key of Parameters.A NoEcho",
    ),
    "a key of a resource": (
        "Resources: {Thing: {Type: AWS::SQS::Queue, UpdatePolicy: {}}}",
        "key of Resources.Thing UpdatePolicy",
    ),
    "a deletion policy": (
        "Resources: {Thing: {Type: AWS::SQS::Queue, DeletionPolicy: Snapshot}}",
        "policy Snapshot of Thing",
    ),
    "an export": (f"{BUCKET}\nOutputs: {{A: {{Value: b, Export: {{Name: x}}}}}}", "key of Outputs.A Export"),
    "a condition's function": (f"Conditions: {{A: {{'Fn::Contains': [[a], a]}}}}\n{BUCKET}", "condition"),
}


@pytest.mark.parametrize("kind", NOT_KNOWN)
def test_what_is_not_known_is_refused_and_nothing_is_made(
    stacks: Stacks, aws_client: Callable[..., Any], kind: str
) -> None:
    template, sentence = NOT_KNOWN[kind]
    code, message = refused(lambda: stacks.create(template))
    assert code == "NotImplementedByStandIn"
    assert "The stand-in does not know the" in message
    assert sentence in message
    assert stacks.client.describe_stacks()["Stacks"] == []
    assert aws_client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("Resources:\n  A: &x {Type: AWS::SQS::Queue}\n  B: *x", "YAML aliases are not allowed"),
        ("Resources:\n  A: {Type: AWS::SQS::Queue}\n  A: {Type: AWS::SQS::Queue}", "the key A stands twice"),
        ("Resources: [", "YAML not well-formed"),
        ("Outputs: {}", "At least one Resources member must be defined"),
        (resource("AWS::SQS::Queue", "{QueueName: !Ref Nothing}"), "[Nothing] in Resources.Thing"),
        (f"{BUCKET}\nOutputs: {{A: {{Value: !Ref Nothing}}}}", "[Nothing] in Outputs.A"),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}, B: {Type: AWS::SQS::Queue, DependsOn: A}}",
            "Circular dependency between resources: [A, B]",
        ),
        (f"Conditions: {{A: !Condition B, B: !Condition A}}\n{BUCKET}", "Circular dependency between conditions"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Condition: Absent}}", "Unresolved condition Absent"),
        (resource("AWS::SQS::Queue", "{QueueName: !If [Absent, a, b]}"), "unresolved condition dependency Absent"),
        (resource("AWS::S3::BucketPolicy", "{Bucket: b}"), "Thing (AWS::S3::BucketPolicy) needs the property Policy"),
        (BUCKET + "\n#" + "x" * 51_200, "length less than or equal to 51200"),
    ],
)
def test_what_aws_refuses(stacks: Stacks, template: str, sentence: str) -> None:
    code, message = refused(lambda: stacks.create(template))
    assert code == "ValidationError"
    assert sentence in message


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Other": "1"}, "Parameters: [Other] do not exist in the template"),
        ({"Seconds": "0"}, "Parameter Seconds failed to satisfy constraint"),
        ({"Seconds": "101"}, "Parameter Seconds failed"),
        ({"Seconds": "soon"}, "Parameter Seconds failed"),
        ({"Suffix": "letters"}, "Parameter Suffix failed to satisfy constraint: up to five letters"),
        ({"Extra": "maybe"}, "Parameter Extra failed"),
    ],
)
def test_parameters_are_checked(stacks: Stacks, given: dict[str, str], sentence: str) -> None:
    code, message = refused(lambda: stacks.create(QUEUES, **given))
    assert (code, sentence in message) == ("ValidationError", True)


def test_a_parameter_without_a_default_must_be_given(stacks: Stacks) -> None:
    template = f"Parameters: {{A: {{Type: String}}}}\n{BUCKET}"
    assert refused(lambda: stacks.create(template))[1] == "Parameters: [A] must have values"


def test_roles_need_their_capability(stacks: Stacks) -> None:
    template = resource("AWS::IAM::Role", "{AssumeRolePolicyDocument: {}}")
    code, _ = refused(lambda: stacks.client.create_stack(StackName="it", TemplateBody=template))
    assert code == "InsufficientCapabilitiesException"


def test_parameters_conditions_and_functions(stacks: Stacks, sqs: Any) -> None:
    assert stacks.create(QUEUES, Seconds="45", Suffix="s") == "CREATE_COMPLETE"
    assert names(sqs) == ["dead", "queues"]
    found = attributes(sqs, "queues")
    dead = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("45", "345600")
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": dead, "maxReceiveCount": 2}
    assert stacks.outputs() == {
        "Url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/queues",
        "Joined": "a|b",
        "Text": f"{ACCOUNT} {REGION} {dead} ${{Literal}}",
        "Always": "1",
    }
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stacks.find()["Parameters"]}
    assert parameters == {"Seconds": "45", "Words": "a,b", "Suffix": "s", "Extra": "no"}
    resources = stacks.client.describe_stack_resources(StackName="it")["StackResources"]
    assert {one["LogicalResourceId"]: one["ResourceType"] for one in resources} == {
        "Dead": "AWS::SQS::Queue",
        "Queue": "AWS::SQS::Queue",
    }
    assert refused(lambda: stacks.create(QUEUES))[0] == "AlreadyExistsException"


def test_what_fails_is_rolled_back_and_says_why(
    stacks: Stacks, sqs: Any, aws: Control, aws_client: Callable[..., Any]
) -> None:
    aws.fault("s3.PutBucketPolicy", error="AccessDenied", status=403, message="no")
    template = """
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: first}}
  Store: {Type: AWS::S3::Bucket, DeletionPolicy: RetainExceptOnCreate, Properties: {BucketName: some-store}}
  Kept: {Type: AWS::S3::Bucket, DeletionPolicy: Retain, Properties: {BucketName: kept-store}}
  Policy: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref Store, PolicyDocument: {Statement: []}}}
"""
    assert stacks.create(template) == "ROLLBACK_COMPLETE"
    reason = stacks.find()["StackStatusReason"]
    assert reason.startswith("Policy (AWS::S3::BucketPolicy): ")
    assert "AccessDenied" in reason
    assert names(sqs) == []
    # What is retained whatever happens stays, and nothing else.
    assert [bucket["Name"] for bucket in aws_client("s3").list_buckets()["Buckets"]] == ["kept-store"]
    events = stacks.client.describe_stack_events(StackName="it")["StackEvents"]
    assert [event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "CREATE_FAILED"] == ["Policy"]
    assert [event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "DELETE_SKIPPED"] == ["Kept"]


@pytest.mark.parametrize(
    ("properties", "kind", "sentence"),
    [
        ("{QueueName: taken}", "AWS::SQS::Queue", "taken already exists"),
        ("{VisibilityTimeout: soon}", "AWS::SQS::Queue", "VisibilityTimeout: it must be a whole number, not 'soon'"),
        ("{SqsManagedSseEnabled: 7}", "AWS::SQS::Queue", "it must be true or false"),
        ("{RedrivePolicy: {maxReceiveCount: 3, other: 1}}", "AWS::SQS::Queue", "property RedrivePolicy.other of Thing"),
        ("{VersioningConfiguration: [1]}", "AWS::S3::Bucket", "VersioningConfiguration must be an object"),
        ("{RetentionInDays: 2}", "AWS::Logs::LogGroup", "retentionInDays"),
        ("{S3BucketName: nowhere, IsLogging: true}", "AWS::CloudTrail::Trail", "nowhere does not exist"),
        (
            "{Name: a, WorkGroupConfiguration: {BytesScannedCutoffPerQuery: 1}}",
            "AWS::Athena::WorkGroup",
            "valid min value: 10000000",
        ),
        (
            "{AssumeRolePolicyDocument: {Statement: []}, ManagedPolicyArns: ['arn:aws:iam::aws:policy/X']}",
            "AWS::IAM::Role",
            "does not exist or is not attachable",
        ),
    ],
)
def test_a_resource_that_cannot_be_made_is_named(
    stacks: Stacks, sqs: Any, properties: str, kind: str, sentence: str
) -> None:
    sqs.create_queue(QueueName="taken")
    assert stacks.create(resource(kind, properties)) == "ROLLBACK_COMPLETE"
    reason = stacks.find()["StackStatusReason"]
    assert reason.startswith(f"Thing ({kind}): ")
    assert sentence in reason
    assert names(sqs) == ["taken"]


def test_an_attribute_that_is_not_known_is_named(stacks: Stacks, sqs: Any) -> None:
    template = "Resources: {Queue: {Type: AWS::SQS::Queue}}\nOutputs: {A: {Value: !GetAtt Queue.Colour}}"
    assert stacks.create(template) == "ROLLBACK_COMPLETE"
    assert "attribute Colour of Queue (AWS::SQS::Queue)" in stacks.find()["StackStatusReason"]
    assert names(sqs) == []


def test_an_update_changes_adds_and_removes(stacks: Stacks, sqs: Any) -> None:
    stacks.create(QUEUES)
    assert stacks.update(QUEUES, Seconds="60", Extra="yes") == "UPDATE_COMPLETE"
    assert names(sqs) == ["dead", "more", "queue"]
    found = attributes(sqs, "queue")
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("60", "60")
    assert stacks.outputs()["More"] == "more"
    assert stacks.update(QUEUES, Seconds="60") == "UPDATE_COMPLETE"
    assert names(sqs) == ["dead", "queue"]
    assert "More" not in stacks.outputs()
    code, message = refused(lambda: stacks.update(QUEUES, Seconds="60"))
    assert (code, message) == ("ValidationError", "No updates are to be performed.")
    previous = [
        {"ParameterKey": "Seconds", "UsePreviousValue": True},
        {"ParameterKey": "Extra", "ParameterValue": "yes"},
    ]
    stacks.client.update_stack(StackName="it", UsePreviousTemplate=True, Parameters=previous)
    assert (names(sqs), attributes(sqs, "queue")["VisibilityTimeout"]) == (["dead", "more", "queue"], "60")


def test_an_update_that_would_replace_a_resource_is_refused(stacks: Stacks, sqs: Any) -> None:
    stacks.create(QUEUES)
    code, message = refused(lambda: stacks.update(QUEUES, Seconds="60", Suffix="s"))
    assert code == "NotImplementedByStandIn"
    assert "property QueueName of Queue (AWS::SQS::Queue) cannot change" in message
    assert attributes(sqs, "queue")["VisibilityTimeout"] == "30"
    assert stacks.find()["StackStatus"] == "CREATE_COMPLETE"
    changed = QUEUES.replace(
        "Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}", "Dead: {Type: AWS::S3::Bucket}"
    )
    assert "type of a resource: Dead" in refused(lambda: stacks.update(changed))[1]


def test_an_update_that_takes_a_setting_from_a_bucket_is_refused(stacks: Stacks) -> None:
    properties = "{BucketName: some-store, VersioningConfiguration: {Status: Enabled}}"
    stacks.create(resource("AWS::S3::Bucket", properties))
    _, message = refused(lambda: stacks.update(resource("AWS::S3::Bucket", "{BucketName: some-store}")))
    assert "VersioningConfiguration of Thing (AWS::S3::Bucket) cannot change" in message


def test_an_update_that_fails_is_taken_back(stacks: Stacks, sqs: Any, aws: Control) -> None:
    template = QUEUES.replace("QueueName: dead", "QueueName: dead, VisibilityTimeout: !Ref Seconds")
    stacks.create(template)
    aws.fault("sqs.CreateQueue", error="AccessDenied", status=403)
    assert stacks.update(template, Seconds="60", Extra="yes") == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.find()["StackStatusReason"].startswith("More (AWS::SQS::Queue): ")
    assert names(sqs) == ["dead", "queue"]
    assert [attributes(sqs, name)["VisibilityTimeout"] for name in names(sqs)] == ["30", "30"]
    assert stacks.update(template, Seconds="60", Extra="yes") == "UPDATE_COMPLETE"
    assert attributes(sqs, "queue")["VisibilityTimeout"] == "60"


def test_a_failed_stack_cannot_be_updated(stacks: Stacks, sqs: Any) -> None:
    sqs.create_queue(QueueName="dead")
    assert stacks.create(QUEUES) == "ROLLBACK_COMPLETE"
    assert "can not be updated" in refused(lambda: stacks.update(QUEUES, Seconds="60"))[1]


def test_delete(stacks: Stacks, sqs: Any, aws_client: Callable[..., Any]) -> None:
    template = """
Resources:
  Full: {Type: AWS::S3::Bucket, Properties: {BucketName: full-store}}
  Kept: {Type: AWS::S3::Bucket, DeletionPolicy: RetainExceptOnCreate, Properties: {BucketName: kept-store}}
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: queue}}
"""
    stacks.create(template)
    s3 = aws_client("s3")
    s3.put_object(Bucket="full-store", Key="a", Body=b"a")
    assert stacks.delete() == "DELETE_FAILED"
    assert "Full (AWS::S3::Bucket): " in stacks.find()["StackStatusReason"]
    assert names(sqs) == []
    s3.delete_object(Bucket="full-store", Key="a")
    assert stacks.delete() == "DELETE_COMPLETE"
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["kept-store"]
    assert stacks.client.describe_stacks()["Stacks"] == []
    assert "does not exist" in refused(stacks.find)[1]
    stacks.client.delete_stack(StackName="it")
    assert stacks.create(template.replace("kept-store", "new-store")) == "CREATE_COMPLETE"


def test_stacks_of_regions_are_apart(stacks: Stacks, aws_client: Callable[..., Any]) -> None:
    stacks.create(QUEUES)
    other = Stacks(aws_client("cloudformation", region_name="eu-west-1"))
    assert other.create(QUEUES) == "CREATE_COMPLETE"
    assert other.outputs()["Url"] == f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/queue"


def test_a_policy_of_a_role_changes_in_place(stacks: Stacks, aws_client: Callable[..., Any]) -> None:
    template = """
Parameters: {Action: {Type: String, Default: "s3:GetObject"}}
Resources:
  Policy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      ManagedPolicyName: reading
      PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: !Ref Action, Resource: "*"}]}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: reader
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
      ManagedPolicyArns: [!Ref Policy]
"""
    assert stacks.create(template) == "CREATE_COMPLETE"
    assert stacks.update(template, Action="s3:ListBucket") == "UPDATE_COMPLETE"
    iam = aws_client("iam")
    [attached] = iam.list_attached_role_policies(RoleName="reader")["AttachedPolicies"]
    policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"]["Statement"][0]["Action"] == "s3:ListBucket"
    assert stacks.delete() == "DELETE_COMPLETE"
    assert "NoSuchEntity" in refused(lambda: iam.get_role(RoleName="reader"))[0]
