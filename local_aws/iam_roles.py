"""Enforcement: a call by an assumed role is held against the policies that the role has in moto's IAM.

Keys that no AssumeRole gave are those of the account's root, which may do all: the samples and tests make what an
account has with them. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.athena.models import athena_backends
from moto.core.utils import utcnow
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends

from local_aws.accounts import account_of
from local_aws.arns import Scene, missing_object_right, rights_of
from local_aws.errors import AwsError, NotImplementedByStandIn
from local_aws.iam import Access, Decision, decide
from local_aws.naming import Call

TOKEN = "HTTP_X_AMZ_SECURITY_TOKEN"  # noqa: S105 - a header's name
NO_POLICY = "no identity-based policy allows the {action} action"
# The stand-in plays AWS behind TLS, though it is spoken to without.
TLS = {"aws:securetransport": "true"}


@dataclass(frozen=True)
class Denial(Exception):
    """A call that is refused, in AWS's words."""

    code: str
    message: str
    status: int


@dataclass(frozen=True)
class Caller:
    """Who makes a call: an assumed role's session, or an account's root (without a role)."""

    arn: str
    account: str
    role: str | None = None


def caller_of(call: Call, environ: Mapping[str, Any]) -> Caller:
    """Who signed the call.

    :raises Denial: with the keys of a session that is over, or without its token
    """
    session = _session(call.access_key)
    if session is None:
        account = account_of(call.access_key)
        return Caller(f"arn:aws:iam::{account}:root", account)
    if environ.get(TOKEN) != session.session_token:
        raise Denial("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    if session.expiration < utcnow():
        raise Denial("ExpiredTokenException", "The security token included in the request is expired", 403)
    return Caller(session.arn, session.account_id, session.role_arn.rpartition("/")[2])


def _session(access_key: str) -> AssumedRole | None:
    return sts_backends[account_of(access_key)]["aws"].get_assumed_role_from_access_key(access_key)


def rights_needed(call: Call, caller: Caller) -> list[Access]:
    """What the call needs of an assumed role.

    :raises NotImplementedByStandIn: nobody has written down what this call needs
    """
    return rights_of(call, _scene(call, caller))


def rights_to_know_it_missing(call: Call, caller: Caller) -> list[Access]:
    """What the answer that there is no such object needs besides."""
    right = missing_object_right(call, _scene(call, caller))
    return [right] if right else []


def _scene(call: Call, caller: Caller) -> Scene:
    def workgroup_of(execution_id: str) -> str | None:
        backend: Any = athena_backends[caller.account][call.region]
        try:
            return str(backend.local_executions.get(execution_id).work_group)
        except AwsError:
            return None

    return Scene(caller.account, call.region, workgroup_of)


def require(call: Call, caller: Caller, rights: list[Access]) -> None:
    """:raises Denial: the role's policies do not allow one of these"""
    if not rights:
        return
    policies = policies_of(caller)
    for access in rights:
        asked = Access(access.action, access.resource, {**access.context, **TLS, "aws:principalarn": caller.arn})
        decision = decide(policies, asked)
        if not decision.allowed:
            raise denial(call, caller.arn, asked, decision)


def policies_of(caller: Caller) -> dict[str, str]:
    """The documents of a role, by their names: its own, and those attached to it.

    :raises NotImplementedByStandIn: the role has a permissions boundary
    """
    try:
        role = iam_backends[caller.account]["aws"].get_role(str(caller.role))
    except NotFoundException:
        return {}
    if role.permissions_boundary_arn:
        raise NotImplementedByStandIn(f"The stand-in does not evaluate the permissions boundary of {role.name}.")
    attached = {
        policy.name: next(version.document for version in policy.versions if version.is_default)
        for policy in role.managed_policies.values()
    }
    return {**role.policies, **attached}


def denial(call: Call, arn: str, access: Access, decision: Decision) -> Denial:
    """A refusal as the service words it."""
    action, resource = access.action, access.resource
    if call.name == "logs.CreateExportTask" and action == "s3:PutObject":
        words = "Please ensure that the CreateExportTask caller has been granted s3:PutObject access to the bucket."
        return Denial("InvalidParameterException", words, 400)
    if call.service == "sqs":
        action = action.lower()
    if call.service == "s3":
        resource = f'"{resource}"'
    why = f" because {NO_POLICY.format(action=action)}" if call.service != "sts" else ""
    if decision.is_explicit_deny:
        why = " with an explicit deny in an identity-based policy"
    code = "AccessDenied" if call.service in ("s3", "sqs", "sts") else "AccessDeniedException"
    status = 403 if call.service in ("s3", "sqs", "sts", "scheduler") else 400
    return Denial(code, f"User: {arn} is not authorized to perform: {action} on resource: {resource}{why}", status)
