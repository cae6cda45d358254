"""CloudTrail records, made of the records of the two articles this grew from: pure, and the same each time.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from local_aws.control import ACCOUNT

REGION = "ap-northeast-1"
NAMESPACE = uuid.UUID("00000000-0000-5000-8000-000000000000")
TIME = "%Y-%m-%dT%H:%M:%SZ"
BATCH = "batch.amazonaws.com"
# https://www.rfc-editor.org/rfc/rfc5737: networks for documentation
SCHEDULER_ADDRESS, OFFICE_ADDRESS, FOREIGN_ADDRESS = "203.0.113.22", "192.0.2.10", "198.51.100.77"
# The article's own form, and the one that records have had since 2024: no comma behind the name.
SCHEDULER_AGENTS = {
    "old": (
        "AmazonEventBridgeScheduler, aws-sdk-java/2.20.126 Linux/5.10.184-175.749.amzn2.x86_64 "
        "OpenJDK_64-Bit_Server_VM/11.0.20+8-LTS Java/11.0.20 kotlin/1.6.21-release-334(1.6.21) "
        "vendor/Amazon.com_Inc. md/internal exec-env/AWS_ECS_FARGATE io/async http/NettyNio cfg/retry-mode/legacy"
    ),
    "new": (
        "AmazonEventBridgeScheduler aws-sdk-java/2.28.29 md/io#async md/http#NettyNio md/internal ua/2.0 "
        "os/Linux#5.10.226-214.880.amzn2.x86_64 lang/java#17.0.13 exec-env/AWS_ECS_FARGATE cfg/retry-mode#legacy"
    ),
}
CLI_AGENT = "aws-cli/2.31.7 md/awscrt#0.27.6 ua/2.1 os/linux md/arch#x86_64 lang/python#3.13.7"
CONSOLE_AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15"
)
READS = ("Describe", "Get", "List", "Lookup", "Head")

Record = dict[str, Any]
Identity = dict[str, Any]


def root(account: str = ACCOUNT, since: datetime | None = None) -> Identity:
    """The account's root user: in the console since this time, or by an access key of its own, without a session."""
    made = {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account}
    key = {"accessKeyId": _fake("AKIA" if since is None else "ASIA", f"root {account}", 20)}
    return made | key | ({} if since is None else _console_session(since))


def iam_user(name: str, account: str = ACCOUNT) -> Identity:
    """An IAM user by a long-lived key: there is no sessionContext."""
    return {
        "type": "IAMUser",
        "principalId": _fake("AIDA", name, 21),
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "accessKeyId": _fake("AKIA", name, 20),
        "userName": name,
    }


def console_user(name: str, since: datetime, account: str = ACCOUNT) -> Identity:
    """An IAM user in the console: a session, whose sessionContext names no issuer."""
    return iam_user(name, account) | {"accessKeyId": _fake("ASIA", name, 20)} | _console_session(since)


def assumed_role(role: str, session: str, since: datetime, account: str = ACCOUNT) -> Identity:
    """A role (by name, or path and name), assumed in a session of this name since this time (aware)."""
    name, principal = role.rpartition("/")[2], _fake("AROA", role, 21)
    issuer = {
        "type": "Role",
        "principalId": principal,
        "arn": f"arn:aws:iam::{account}:role/{role}",
        "accountId": account,
        "userName": name,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{principal}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "accessKeyId": _fake("ASIA", f"{role} {session}", 20),
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"creationDate": _text(since), "mfaAuthenticated": "false"},
        },
    }


def sso_role(permission_set: str, person: str, since: datetime, account: str = ACCOUNT) -> Identity:
    """A person of IAM Identity Center: the session of a role that it made for the permission set."""
    name = f"AWSReservedSSO_{permission_set}_{hashlib.sha256(permission_set.encode()).hexdigest()[:16]}"
    return assumed_role(f"aws-reserved/sso.amazonaws.com/{name}", person, since, account)


def service(name: str) -> Identity:
    """An AWS service by itself, such as ``events.amazonaws.com``."""
    return {"type": "AWSService", "invokedBy": name}


def invoked_by(name: str, identity: Identity) -> Identity:
    """A service that acts for this identity."""
    return identity | {"invokedBy": name}


def api_call(
    at: datetime,
    source: str,
    event: str,
    *,
    identity: Identity,
    agent: str,
    address: str,
    error: str | None = None,
    message: str | None = None,
    request_parameters: dict[str, Any] | None = None,
    response_elements: dict[str, Any] | None = None,
    account: str = ACCOUNT,
    region: str = REGION,
    version: str = "1.08",
    number: int = 0,
    **more: Any,
) -> Record:
    """The record of a call.

    :param at: aware; CloudTrail keeps whole seconds
    :param source: such as ``batch.amazonaws.com``
    :param error: its errorCode; one without `message` has no errorMessage
    :param version: 1.05 is the form of AWS Batch's user guide, without managementEvent, eventCategory and tlsDetails
    :param number: tells records apart that are the same in all else
    :param more: members that replace those made here, or None for those to be left out
    """
    made = {
        "eventVersion": version,
        "userIdentity": identity,
        "eventTime": _text(at),
        "eventSource": source,
        "eventName": event,
        "awsRegion": region,
        "sourceIPAddress": address,
        "userAgent": agent,
        "errorCode": error,
        "errorMessage": message,
        "requestParameters": request_parameters,
        "responseElements": None if error else response_elements,
    }
    identified = made | {name: _id(f"{name} {number} {json.dumps(made)}") for name in ("requestID", "eventID")}
    whole = identified | _context(source, event, account, region, version, bool(identity.get("invokedBy"))) | more
    # AWS writes null for these two, and leaves out what else there is not.
    nulls = ("requestParameters", "responseElements")
    return {name: value for name, value in whole.items() if value is not None or name in nulls}


def scheduler_call(
    at: datetime,
    role: str,
    source: str,
    event: str,
    *,
    error: str | None = None,
    message: str | None = None,
    agent: str = "new",
    request_parameters: dict[str, Any] | None = None,
    account: str = ACCOUNT,
    **more: Any,
) -> Record:
    """A call that EventBridge Scheduler made, by this role: nothing in it names the schedule.

    :param agent: the form of the user agent, "old" or "new"
    :param more: as for `api_call`
    """
    # The name of the session says nothing; it differs from call to call.
    session = uuid.uuid5(NAMESPACE, f"{role} {source} {event} {_text(at)} {request_parameters}").hex
    given = {"address": SCHEDULER_ADDRESS} | more
    return api_call(
        at,
        source,
        event,
        identity=assumed_role(role, session, at, account),
        agent=SCHEDULER_AGENTS[agent],
        error=error,
        message=message,
        request_parameters=request_parameters,
        account=account,
        **given,
    )


def batch_call(
    at: datetime,
    event: str,
    *,
    identity: Identity,
    agent: str = CLI_AGENT,
    address: str = OFFICE_ADDRESS,
    **more: Any,
) -> Record:
    """A call of AWS Batch; a service that makes it stands in the place of agent and address. `more`: see `api_call`."""
    by = identity.get("invokedBy")
    return api_call(at, BATCH, event, identity=identity, agent=by or agent, address=by or address, **more)


def run_task(at: datetime, role: str, schedule: str, cluster: str, task_definition: str, **more: Any) -> Record:
    """ECS's RunTask by EventBridge Scheduler: the one call that names its schedule."""
    account, region = more.get("account", ACCOUNT), more.get("region", REGION)
    arn = f"arn:aws:ecs:{region}:{account}"
    asked = {
        "cluster": f"{arn}:cluster/{cluster}",
        "count": 1,
        "launchType": "FARGATE",
        "startedBy": f"chronos-schedule/{schedule}",
        "taskDefinition": f"{arn}:task-definition/{task_definition}",
    }
    return scheduler_call(at, role, "ecs.amazonaws.com", "RunTask", request_parameters=asked, **more)


def _context(source: str, event: str, account: str, region: str, version: str, by_service: bool) -> Record:
    made: Record = {"readOnly": event.startswith(READS), "eventType": "AwsApiCall"}
    if version >= "1.06":
        made |= {"managementEvent": True}
    made |= {"recipientAccountId": account}
    if version >= "1.07":
        made |= {"eventCategory": "Management"}
    if version >= "1.08" and not by_service:
        host = f"{source.partition('.')[0]}.{region}.amazonaws.com"
        cipher = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"}
        made |= {"tlsDetails": cipher | {"clientProvidedHostHeader": host}}
    return made


def _console_session(since: datetime) -> Identity:
    return {"sessionContext": {"attributes": {"creationDate": _text(since), "mfaAuthenticated": "true"}}}


def _fake(prefix: str, text: str, length: int) -> str:
    """An id of AWS's form that nobody can take for a real one."""
    digits = hashlib.sha256(f"{prefix} {text}".encode()).hexdigest().upper()
    return f"{prefix}{digits[: length - len(prefix) - 7]}EXAMPLE"


def _id(text: str) -> str:
    return str(uuid.uuid5(NAMESPACE, text))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime(TIME)
