"""CloudFormation: stacks of templates whose every part the stand-in knows. moto's would skip the others in silence.

A call does all its work before it answers, so a stack is never seen in progress. What is refused is refused before
anything is made.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

import yaml
from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.urls import url_bases
from moto.core.base_backend import BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend

from local_aws.cloudformation_template import NO_VALUE, Invalid, NotKnown, Plan, Resource, Scope, plan, read, resolve
from local_aws.cloudformation_types import TYPES, Client, Made, Properties, shaped
from local_aws.errors import NOT_IMPLEMENTED
from local_aws.inside import Inside

AWS_POLICIES = ("AmazonAPIGatewayPushToCloudWatchLogs",)
NAMED = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
PROBLEMS = (ClientError, BotoCoreError, ConnectionError, Invalid, NotKnown)


class StackError(ServiceException):
    """An answer that boto3 raises as ClientError with this code."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Standing:
    """A resource of a stack that is there, and the properties that it has."""

    resource: Resource
    made: Made
    properties: Properties
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Stack:
    """One stack; `standing` in the order in which its resources were made."""

    name: str
    stack_id: str
    parameters: dict[str, Any]
    template: str
    status: str = ""
    reason: str = ""
    standing: dict[str, Standing] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def tell(self, status: str, reason: str = "") -> None:
        """Set the stack's status."""
        self.status, self.reason = status, reason
        self.note(self.name, self.stack_id, "AWS::CloudFormation::Stack", status, reason)

    def note(self, logical: str, physical: str, kind: str, status: str, reason: str = "") -> None:
        """Add an event."""
        event = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": datetime.now(UTC),
        }
        self.events.append({key: value for key, value in event.items() if value})

    def value(self, name: str, attribute: str | None) -> Any:
        """What Ref or Fn::GetAtt gives for a resource."""
        standing = self.standing[name]
        found = standing.made.value(attribute)
        if found is None:
            raise NotKnown(
                f"The stand-in does not know the attribute {attribute} of {name} ({standing.resource.type})."
            )
        return found

    def describe(self) -> dict[str, Any]:
        """As DescribeStacks gives it."""
        parameters = [
            {"ParameterKey": key, "ParameterValue": ",".join(value) if isinstance(value, list) else value}
            for key, value in self.parameters.items()
        ]
        found = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "CreationTime": self.created,
            "StackStatus": self.status,
            "StackStatusReason": self.reason,
            "Parameters": parameters,
            "Outputs": self.outputs,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        return {key: value for key, value in found.items() if value}


class LocalCloudFormationBackend(BaseBackend):
    """The stacks of an account and region."""

    inside: Inside  # set when the front door is there

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.stacks: dict[str, Stack] = {}

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": LocalCloudFormationResponse.dispatch})

    def find(self, name: str) -> Stack:
        """The stack of this name or id; a deleted one by its id alone."""
        for stack in self.stacks.values():
            if name == stack.stack_id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise StackError("ValidationError", f"Stack with id {name} does not exist")

    def create(self, name: str, text: str, given: dict[str, str], capabilities: list[str]) -> Stack:
        """CreateStack. What fails is rolled back."""
        if any(name == stack.name and stack.status != "DELETE_COMPLETE" for stack in self.stacks.values()):
            raise StackError("AlreadyExistsException", f"Stack [{name}] already exists")
        stack_id = f"arn:aws:cloudformation:{self.region_name}:{self.account_id}:stack/{name}/{uuid.uuid4()}"
        stack = Stack(name, stack_id, {}, text)
        wanted = self._plan(stack, text, given, capabilities)
        self.stacks[stack_id] = stack
        stack.parameters = wanted.parameters
        try:
            for resource in wanted.resources:
                self._make(stack, resource, wanted.scope)
            stack.outputs = _outputs(wanted, stack)
        except PROBLEMS as problem:
            self._roll_back(stack, list(stack.standing))
            stack.tell("ROLLBACK_COMPLETE", str(problem))
        else:
            stack.tell("CREATE_COMPLETE")
        return stack

    def update(self, stack: Stack, text: str, given: dict[str, str], capabilities: list[str]) -> None:
        """UpdateStack, in place alone: what would replace a resource is refused. What fails is rolled back."""
        if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
            raise StackError(
                "ValidationError", f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            )
        wanted = self._plan(stack, text, given, capabilities)
        self._refuse_replacements(stack, wanted)
        if text == stack.template and wanted.parameters == stack.parameters:
            raise StackError("ValidationError", "No updates are to be performed.")
        before = {name: (standing.resource, standing.properties) for name, standing in stack.standing.items()}
        try:
            for resource in wanted.resources:
                self._bring(stack, resource, wanted.scope)
            outputs = _outputs(wanted, stack)
        except PROBLEMS as problem:
            restored = self._restore(stack, before)
            stack.tell("UPDATE_ROLLBACK_COMPLETE" if restored else "UPDATE_ROLLBACK_FAILED", str(problem))
            return
        stack.parameters, stack.template, stack.outputs = wanted.parameters, text, outputs
        kept = {resource.name for resource in wanted.resources}
        trouble = self._remove(stack, [name for name in stack.standing if name not in kept])
        stack.tell("UPDATE_COMPLETE", trouble)

    def delete(self, stack: Stack) -> None:
        """DeleteStack; what its template retains stays."""
        trouble = self._remove(stack, list(stack.standing))
        stack.tell("DELETE_FAILED" if trouble else "DELETE_COMPLETE", trouble)

    def _aws(self) -> Client:
        return lambda service: self.inside.client(service, self.region_name, self.account_id)

    def _plan(self, stack: Stack, text: str, given: dict[str, str], capabilities: list[str]) -> Plan:
        pseudo = {
            "AWS::AccountId": self.account_id,
            "AWS::Region": self.region_name,
            "AWS::StackName": stack.name,
            "AWS::StackId": stack.stack_id,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        found = plan(read(text), given, pseudo)
        for resource in found.resources:
            _check(resource)
        roles = [resource.name for resource in found.resources if resource.type in NAMED]
        if roles and "CAPABILITY_NAMED_IAM" not in capabilities:
            raise StackError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]")
        return found

    def _make(self, stack: Stack, resource: Resource, scope: Scope) -> None:
        try:
            properties = _resolved(resource, scope, stack)
            name = f"{stack.name}-{resource.name}-{uuid.uuid4().hex[:12]}"
            made = TYPES[resource.type].create(self._aws(), properties, name)
        except PROBLEMS as problem:
            stack.note(resource.name, "", resource.type, "CREATE_FAILED", str(problem))
            raise Invalid(f"{resource.name} ({resource.type}): {problem}") from problem
        stack.standing[resource.name] = Standing(resource, made, properties)
        stack.note(resource.name, made.physical_id, resource.type, "CREATE_COMPLETE")

    def _bring(self, stack: Stack, resource: Resource, scope: Scope) -> None:
        """Make a resource, or bring it to its new properties."""
        if resource.name not in stack.standing:
            return self._make(stack, resource, scope)
        standing, properties = stack.standing[resource.name], _resolved(resource, scope, stack)
        standing.resource = resource
        if properties != standing.properties:
            self._change(stack, standing, properties)

    def _change(self, stack: Stack, standing: Standing, properties: Properties) -> None:
        name, kind = standing.resource.name, standing.resource.type
        standing.properties = properties
        try:
            TYPES[kind].update(self._aws(), standing.made, properties)
        except PROBLEMS as problem:
            stack.note(name, standing.made.physical_id, kind, "UPDATE_FAILED", str(problem))
            raise Invalid(f"{name} ({kind}): {problem}") from problem
        stack.note(name, standing.made.physical_id, kind, "UPDATE_COMPLETE")

    def _refuse_replacements(self, stack: Stack, wanted: Plan) -> None:
        """Refuse the changes for which CloudFormation would make another resource in the place of one.

        A property whose value follows from another resource keeps it: those are changed in place too.
        """
        for resource in wanted.resources:
            standing = stack.standing.get(resource.name)
            if standing is None:
                continue
            if resource.type != standing.resource.type:
                raise NotKnown(f"The stand-in does not change the type of a resource: {resource.name}.")
            known = stack.standing.keys() >= resource.needs
            properties = _resolved(resource, wanted.scope, stack) if known else {}
            for name in sorted(TYPES[resource.type].fixed if known else ()):
                if properties.get(name) != standing.properties.get(name):
                    raise NotKnown(_fixed(resource, name))
            for name in sorted(standing.properties.keys() - properties.keys() if known else ()):
                if resource.type == "AWS::S3::Bucket":
                    raise NotKnown(_fixed(resource, name))

    def _restore(self, stack: Stack, before: dict[str, tuple[Resource, Properties]]) -> bool:
        self._roll_back(stack, [name for name in stack.standing if name not in before])
        try:
            for name, (resource, properties) in before.items():
                standing = stack.standing[name]
                standing.resource = resource
                if standing.properties != properties:
                    self._change(stack, standing, properties)
        except PROBLEMS:
            return False
        return True

    def _roll_back(self, stack: Stack, names: list[str]) -> None:
        """Delete what was just made, but for what is to be retained whatever happens."""
        self._remove(stack, names, kept=("Retain",))

    def _remove(
        self, stack: Stack, names: list[str], kept: tuple[str, ...] = ("Retain", "RetainExceptOnCreate")
    ) -> str:
        """Delete resources, the last made first; what could not be deleted, in a sentence."""
        failed = []
        for name in reversed(names):
            standing = stack.standing[name]
            kind, physical = standing.resource.type, standing.made.physical_id
            if standing.resource.deletion not in kept:
                try:
                    TYPES[kind].delete(self._aws(), standing.made)
                except PROBLEMS as problem:
                    stack.note(name, physical, kind, "DELETE_FAILED", str(problem))
                    failed.append(f"{name} ({kind}): {problem}")
                    continue
            status = "DELETE_SKIPPED" if standing.resource.deletion in kept else "DELETE_COMPLETE"
            stack.note(name, physical, kind, status)
            del stack.standing[name]
        return f"The following resource(s) failed to delete: {'; '.join(failed)}" if failed else ""


class LocalCloudFormationResponse(CloudFormationResponse):
    """The answers. Parameters: see actions.py."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER: dict[str, Any] = {}  # noqa: RUF012 as moto declares it

    @property
    def backend(self) -> LocalCloudFormationBackend:
        """The state of the caller's account and region."""
        backend: Any = cloudformation_backends[self.current_account][self.region]
        assert isinstance(backend, LocalCloudFormationBackend)
        return backend

    def call_action(self) -> Any:
        """Run one action; what is not known is no error of CloudFormation's own."""
        try:
            return super().call_action()
        except NotKnown as error:
            message = f"<Code>{NOT_IMPLEMENTED}</Code><Message>{escape(str(error))}</Message>"
            return 501, {}, f"<ErrorResponse><Error><Type>Sender</Type>{message}</Error></ErrorResponse>"

    def create_stack(self) -> ActionResult:
        """CreateStack."""
        given = self._get_params()
        stack = _answered(
            lambda: self.backend.create(
                given["StackName"], given.get("TemplateBody", ""), _given(given, {}), given.get("Capabilities", [])
            )
        )
        return ActionResult({"StackId": stack.stack_id})

    def update_stack(self) -> ActionResult:
        """UpdateStack, with another template or the same."""
        given = self._get_params()
        stack = self.backend.find(given["StackName"])
        text = given.get("TemplateBody") or stack.template
        parameters = _given(given, stack.parameters)
        _answered(lambda: self.backend.update(stack, text, parameters, given.get("Capabilities", [])))
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self) -> ActionResult:
        """DeleteStack; of one that is not there, nothing."""
        try:
            stack = self.backend.find(self._get_param("StackName"))
        except StackError:
            return EmptyResult()
        self.backend.delete(stack)
        return EmptyResult()

    def describe_stacks(self) -> ActionResult:
        """DescribeStacks."""
        name = self._get_param("StackName")
        alive = [stack for stack in self.backend.stacks.values() if stack.status != "DELETE_COMPLETE"]
        stacks = [self.backend.find(name)] if name else alive
        return ActionResult({"Stacks": [stack.describe() for stack in stacks]})

    def describe_stack_events(self) -> ActionResult:
        """DescribeStackEvents, newest first."""
        stack = self.backend.find(self._get_param("StackName"))
        return ActionResult({"StackEvents": stack.events[::-1]})

    def describe_stack_resources(self) -> ActionResult:
        """DescribeStackResources."""
        stack = self.backend.find(self._get_param("StackName"))
        found = [
            {
                "StackName": stack.name,
                "StackId": stack.stack_id,
                "LogicalResourceId": name,
                "PhysicalResourceId": standing.made.physical_id,
                "ResourceType": standing.resource.type,
                "ResourceStatus": "CREATE_COMPLETE",
                "Timestamp": standing.at,
            }
            for name, standing in stack.standing.items()
        ]
        return ActionResult({"StackResources": found})

    def get_template(self) -> ActionResult:
        """GetTemplate."""
        return ActionResult({"TemplateBody": self.backend.find(self._get_param("StackName")).template})


def install() -> None:
    """Put this backend in the place of moto's."""
    cloudformation_backends.backend = LocalCloudFormationBackend  # type: ignore[assignment]
    IAMBackend._init_aws_policies = _aws_policies  # type: ignore[assignment, method-assign]


def use(inside: Inside) -> None:
    """Let stacks make their resources through these clients."""
    LocalCloudFormationBackend.inside = inside


@cache
def _aws_policy_data() -> dict[str, Any]:
    """Those of AWS's own managed policies that a template may attach; moto has all or none, and all are slow."""
    known = json.loads(aws_managed_policies_data)
    return {name: known[name] for name in AWS_POLICIES}


def _aws_policies(backend: IAMBackend) -> list[Any]:
    return [
        AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        for name, data in _aws_policy_data().items()
    ]


def _check(resource: Resource) -> None:
    """Refuse what is not known of a resource. Values that follow from others are looked at when they are known."""
    kind = TYPES.get(resource.type)
    if kind is None:
        raise NotKnown(f"The stand-in does not know the type {resource.type} of {resource.name}.")
    _check_names(kind.shape, resource.properties, resource)
    if missing := sorted(kind.required - resource.properties.keys()):
        raise Invalid(f"{resource.name} ({resource.type}) needs the property {missing[0]}")


def _check_names(shape: Any, value: Any, resource: Resource, path: str = "") -> None:
    if isinstance(shape, list) and isinstance(value, list):
        for item in value:
            _check_names(shape[0], item, resource, path)
    if not isinstance(shape, dict) or not isinstance(value, dict):
        return
    if any(name == "Ref" or name.startswith("Fn::") for name in value):
        return
    for name, item in value.items():
        if name not in shape:
            raise NotKnown(
                f"The stand-in does not know the property {path}{name} of {resource.name} ({resource.type})."
            )
        _check_names(shape[name], item, resource, f"{path}{name}.")


def _resolved(resource: Resource, scope: Scope, stack: Stack) -> Properties:
    found = resolve(resource.properties, Scope(scope.values, scope.conditions, stack.value))
    try:
        return {
            name: shaped(TYPES[resource.type].shape[name], value, name)
            for name, value in found.items()
            if value is not NO_VALUE
        }
    except NotKnown as error:
        raise NotKnown(f"The stand-in does not know the {error} of {resource.name} ({resource.type}).") from error


def _outputs(wanted: Plan, stack: Stack) -> list[dict[str, str]]:
    scope = Scope(wanted.scope.values, wanted.scope.conditions, stack.value)
    return [
        {
            "OutputKey": name,
            "OutputValue": str(resolve(output["Value"], scope)),
            **({"Description": output["Description"]} if "Description" in output else {}),
        }
        for name, output in wanted.outputs.items()
    ]


def _given(request: dict[str, Any], before: dict[str, Any]) -> dict[str, str]:
    found = {}
    for one in request.get("Parameters", []):
        name = one["ParameterKey"]
        previous = before.get(name, "")
        kept = ",".join(previous) if isinstance(previous, list) else previous
        found[name] = kept if one.get("UsePreviousValue") else one.get("ParameterValue", "")
    return found


def _fixed(resource: Resource, name: str) -> str:
    return (
        f"The stand-in does not replace a resource, and the property {name} of {resource.name} ({resource.type}) "
        "cannot change without it. Deploy a stack of another name."
    )


def _answered(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except Invalid as error:
        raise StackError("ValidationError", str(error)) from error
    except yaml.YAMLError as error:
        raise StackError("ValidationError", f"Template format error: {error}") from error
