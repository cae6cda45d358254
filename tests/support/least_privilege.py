"""A target's stack, its role, and what the role's policies say: for proofs that they are enough and no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cfnlint.decode.cfn_yaml import load as read_template

from local_aws import accounts, stack
from local_aws.airflow import aws_connection
from local_aws.control import Control
from local_aws.iam import Access, Decision, applies, decide, listed, statements_of
from local_aws.iam_callers import Attributed, attribute
from log_audit.settings import Settings, Target

POLICY = "AWS::IAM::ManagedPolicy"
MOST_CHARACTERS = 6144  # of a managed policy, white space not counted
NEVER = {"StringEquals": {"aws:RequestedRegion": "nowhere"}}
MOST_ATTACHED = 10  # to a role, unless the account's quota is raised


@dataclass(frozen=True)
class Document:
    """What one DAG may do, and the written reasons of statements that no recorded call uses."""

    dag: str
    arn: str
    statements: list[dict[str, Any]]
    reasons: Mapping[str, str]

    def decide(self, access: Access) -> Decision:
        return decide({self.dag: {"Statement": self.statements}}, access)

    @property
    def rights(self) -> set[tuple[str, str]]:
        """Each statement's actions, as statement and action."""
        return {(one["Sid"], action) for one in self.statements for action in listed(one["Action"])}

    def used_by(self, calls: Iterable[Attributed]) -> set[tuple[str, str]]:
        """The actions that the calls used, with the statement that allowed them."""
        return {
            (statement["Sid"], access.action)
            for access in rights_of(calls, self.dag)
            for statement in self.statements
            if applies(statement, access)
        }


@dataclass
class Role:
    """The role of a target's stack in an account and region."""

    endpoint: str
    target: Target
    settings: Settings
    account: str

    def __post_init__(self) -> None:
        self.outputs = stack.deploy(self.endpoint, self.target, self.settings, account=self.account)
        self.arn = self.outputs["RoleArn"]
        self.name = self.arn.rpartition("/")[2]

    @property
    def connection(self) -> str:
        """The Airflow connection that takes the role."""
        return aws_connection(self.endpoint, self.target.region, self.arn, stack.EXTERNAL_ID)

    @cached_property
    def iam(self) -> Any:
        return accounts.client(self.endpoint, "iam", self.target.region, self.account)

    def _attached(self) -> set[str]:
        attached = self.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]
        return {policy["PolicyArn"] for policy in attached}

    @cached_property
    def documents(self) -> dict[str, Document]:
        """What is attached to the role, by the DAG that each document is for."""
        metadata = {
            entry["Metadata"]["Dag"]: entry["Metadata"]
            for entry in read_template(str(stack.TEMPLATE))["Resources"].values()
            if entry["Type"] == POLICY
        }
        found = {}
        for arn in self._attached():
            [dag] = [dag for dag in metadata if f"-{dag.replace('_', '-')}-" in arn]
            version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
            statements = statements_of(answer["PolicyVersion"]["Document"])
            found[dag] = Document(dag, arn, statements, metadata[dag].get("Reasons", {}))
        return found

    def may_only(self, dag: str, *, without: str | None = None) -> None:
        """Leave the role what one DAG may do, but for one statement."""
        for arn in self._attached() & {document.arn for document in self.documents.values()}:
            self.iam.detach_role_policy(RoleName=self.name, PolicyArn=arn)
        kept = [statement for statement in self.documents[dag].statements if statement["Sid"] != without]
        nothing = [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": NEVER}]  # AWS takes no empty policy
        text = json.dumps({"Version": "2012-10-17", "Statement": kept or nothing})
        self.iam.put_role_policy(RoleName=self.name, PolicyName="only", PolicyDocument=text)

    def may_all(self) -> None:
        """Give the role all of its policies again."""
        self.iam.delete_role_policy(RoleName=self.name, PolicyName="only")
        for document in self.documents.values():
            self.iam.attach_role_policy(RoleName=self.name, PolicyArn=document.arn)


def rights_of(calls: Iterable[Attributed], dag: str) -> Iterator[Access]:
    """The rights that a DAG's calls needed."""
    for call in calls:
        if dag in call.dags:
            yield from (Access(**right) for right in call.record["rights"])


def calls_of(aws: Control, dags: Iterable[str]) -> list[Attributed]:
    """The calls of roles so far, each with its DAG."""
    return list(attribute(aws.calls(), dags))


def not_allowed(documents: Mapping[str, Document], calls: Iterable[Attributed]) -> list[str]:
    """Each right that a call needed and the policy of its own DAG does not give, in a line."""
    return [
        f"{dag}: {call.record['action']} needs {right['action']} on {right['resource']}"
        for call in calls
        for dag in call.dags
        for right in call.record["rights"]
        if dag not in documents or not documents[dag].decide(Access(**right)).allowed
    ]


def characters(document: Document) -> int:
    """How long AWS takes the policy for."""
    return len(json.dumps({"Version": "2012-10-17", "Statement": document.statements}, separators=(",", ":")))
