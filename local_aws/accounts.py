"""Several AWS accounts in one stand-in: whose a call is, who may assume which role, buckets of others.

An access key id of twelve digits is that of the account's administrator, so that tests can set up any account; the keys
that AssumeRole gives are those of the role's account; all others belong to ``ACCOUNT``.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import json
import re
from typing import Any

import boto3
from moto.iam.models import get_account_id_from, iam_backends
from moto.s3 import models as s3
from moto.sts.models import sts_backends

from local_aws import policy
from local_aws.control import ACCOUNT
from local_aws.naming import Call

ADMINISTRATOR = re.compile(r"\d{12}")
ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/[\w+=,.@/-]+")


def client(endpoint: str, service: str, region: str, account: str = ACCOUNT) -> Any:
    """A boto3 client of the stand-in, as the administrator of an account."""
    keys = {"aws_access_key_id": account, "aws_secret_access_key": "local"}
    return boto3.client(service, endpoint_url=endpoint, region_name=region, **keys)


def account_of(key: str) -> str:
    """The account of an access key id."""
    return key if ADMINISTRATOR.fullmatch(key) else str(get_account_id_from(key))


def refused_role(call: Call, key: str) -> str | None:
    """Why AWS refuses this AssumeRole: it does not say whether there is no such role or it does not trust the caller.

    :param key: the caller's access key id
    """
    arn, account = str(call.parameters.get("RoleArn", "")), account_of(key)
    caller = _caller(key, account)
    principals = frozenset({*caller, account, f"arn:aws:iam::{account}:root"})
    external_id = call.parameters.get("ExternalId")
    context = {"sts:externalid": str(external_id)} if external_id else {}
    if policy.allows(_trust(arn), policy.Request(principals, "sts:AssumeRole", arn, context)):
        return None
    return f"User: {caller[0]} is not authorized to perform: sts:AssumeRole on resource: {arn}"


def install() -> None:
    """Keep the accounts' buckets apart: another one's answers "Access Denied", as on AWS without a policy for it."""
    s3.s3_allow_crossdomain_access = lambda: False


def _caller(key: str, account: str) -> list[str]:
    """The ARNs of a caller; of a role, its session's and its own."""
    if ADMINISTRATOR.fullmatch(key):
        return [f"arn:aws:iam::{account}:root"]
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key)
    return [session.arn, session.role_arn] if session else [f"arn:aws:iam::{account}:user/local"]


def _trust(arn: str) -> str | None:
    """A role's trust policy, with the resource that such policies leave out; None where there is no such role."""
    found = ROLE.fullmatch(arn)
    roles = iam_backends[found[1]]["aws"].get_roles() if found else []
    document = next((json.loads(role.assume_role_policy_document) for role in roles if role.arn == arn), None)
    if document is None:
        return None
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    return json.dumps({**document, "Statement": [{**statement, "Resource": arn} for statement in statements]})
