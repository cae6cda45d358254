"""Deploys include/cloudformation/log_audit.yaml for a target of the settings, over HTTP, as one would to AWS."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_aws.accounts import client
from local_aws.control import ACCOUNT
from log_audit.settings import Aurora, LogGroups, Settings, Target

TEMPLATE = Path(__file__).resolve().parents[1] / "include" / "cloudformation" / "log_audit.yaml"
NAME = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")
PRIMARY = "primary"  # the workgroup that every account has
SCHEDULER_CALLS = "/aws/events/scheduler-calls"
EXTERNAL_ID = "log-audit"
UNCHANGED = "No updates are to be performed."
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class StackTrouble(RuntimeError):
    """The stack was not made, or is not what the settings ask for; the message says why."""


def deploy(
    endpoint: str,
    target: Target,
    settings: Settings | None = None,
    *,
    account: str | None = None,
    region: str | None = None,
) -> dict[str, str]:
    """Create the target's stack, or bring it up to date; gives its outputs by name.

    What there is already and is no stack's, such as the bucket of a trail, is left alone.

    :param settings: for the time that a message is invisible; None: its default
    :param account: in which; by default the one that the target's queue or trail names
    :param region: by default the target's
    :raises StackTrouble: it fails, or its outputs are not what the target says
    """
    account, region = account or account_of(target), region or target.region
    cloudformation = client(endpoint, "cloudformation", region, account)
    name, before = stack_name(target), _stack(cloudformation, stack_name(target))
    wanted = parameters(target, settings, account=account, region=region)
    wanted |= _kept(before) if before else _choices(endpoint, target, region, account)
    _apply(cloudformation, name, wanted, is_new=before is None)
    found = _stack(cloudformation, name) or {}
    if found.get("StackStatus") not in DONE:
        raise StackTrouble(f"stack {name}: {found.get('StackStatus')}: {found.get('StackStatusReason')}")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    if differences := differences_of(outputs, target):
        raise StackTrouble(f"stack {name} is not as the settings say: {'; '.join(differences)}")
    return outputs


def parameters(target: Target, settings: Settings | None, *, account: str, region: str) -> dict[str, str]:
    """The template's parameters for a target, but for what depends on what the account has."""
    found = {
        "Name": stack_name(target),
        "AirflowPrincipalArn": f"arn:aws:iam::{ACCOUNT}:root",
        "ExternalId": EXTERNAL_ID,
        "ArchiveBucketName": target.archive.bucket,
        "ArchivePrefix": target.archive.prefix or "",
        "ArchivedLogGroups": _patterns(target.archive.log_groups),
        "CheckedLogGroups": _patterns(entry for entries in target.log_group_sets.values() for entry in entries),
        "AthenaDatabase": target.athena.database,
        "WorkgroupName": "" if target.athena.workgroup == PRIMARY else target.athena.workgroup,
        "ResultsBucketName": bucket_of(target.athena.results) if target.athena.results else "",
    }
    if target.aurora and target.aurora.queue:
        shippers = target.aurora.clusters.values()
        arn = f"arn:aws:ecs:{region}:{account}:cluster/"
        found |= {
            "EcsClusterArns": ",".join(sorted({arn + shipper.ecs_cluster for shipper in shippers})),
            # A pattern matches a command of which one word matches, so it can only be a coarse filter.
            "ShipperCommands": ",".join(sorted({shipper.command[-1] for shipper in shippers})),
            "QueueName": target.aurora.queue.rpartition("/")[2],
        }
    if settings:
        found["QueueVisibilitySeconds"] = str(max(1, round(settings.delivery.visibility_minutes * 60)))
    if target.aurora:
        found["AuroraBucketName"] = bucket_of(target.aurora.location)
        found["AuroraPrefix"] = "/".join(target.aurora.location.split("/")[3:])
    if target.cloudtrail and target.cloudtrail.location:
        found["TrailBucketName"] = bucket_of(target.cloudtrail.location)
    return found


def _patterns(entries: Iterable[LogGroups]) -> str:
    """What the role may export or search, as the template wants it."""
    return ",".join(sorted({entry.name or f"{entry.name_prefix}*" for entry in entries}))


def differences_of(outputs: dict[str, str], target: Target) -> list[str]:
    """What the outputs say otherwise than the target, a sentence each."""
    wanted: dict[str, str | None] = {
        "ArchiveBucket": target.archive.bucket,
        "ArchivePrefix": target.archive.prefix or "",
    }
    if target.athena.workgroup != PRIMARY:
        wanted["AthenaWorkgroup"] = target.athena.workgroup
    if target.aurora and target.aurora.queue:
        wanted["AuroraQueue"] = target.aurora.queue
    return [
        f"{name} is {outputs.get(name)}, not {value}" for name, value in wanted.items() if outputs.get(name) != value
    ]


def account_of(target: Target) -> str:
    """The account of a target: that of its queue, else the first of its trail, else the stand-in's own."""
    if target.aurora and target.aurora.queue:
        return owner_of(target.aurora)
    return target.cloudtrail.accounts[0] if target.cloudtrail else ACCOUNT


def owner_of(aurora: Aurora) -> str:
    """The account that the clusters' tasks run in: that of the queue which is told of their ends."""
    return aurora.queue.split("/")[-2] if aurora.queue else ACCOUNT


def stack_name(target: Target) -> str:
    """The stack's name, with which those of its resources begin: that of the workgroup, if it can be."""
    workgroup = target.athena.workgroup
    return workgroup if workgroup != PRIMARY and NAME.fullmatch(workgroup) else "log-audit"


def bucket_of(location: str) -> str:
    """The bucket of an ``s3://`` address."""
    return location.split("/")[2]


def _apply(cloudformation: Any, name: str, wanted: dict[str, str], *, is_new: bool) -> None:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()]
    call = cloudformation.create_stack if is_new else cloudformation.update_stack
    try:
        call(
            StackName=name,
            TemplateBody=TEMPLATE.read_text(),
            Parameters=given,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except ClientError as error:
        if error.response["Error"]["Message"] != UNCHANGED:
            raise StackTrouble(f"stack {name}: {error}") from error


def _stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError:
        return None
    return found


def _kept(stack: dict[str, Any]) -> dict[str, str]:
    """What the stack has created it goes on having."""
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    return {name: given[name] for name in ("CreateAuroraBucket", "CreateTrail", "CreateSchedulerCalls")}


def _choices(endpoint: str, target: Target, region: str, account: str) -> dict[str, str]:
    """Whether the stack creates what an account may have: what the target names and the account lacks."""
    s3 = client(endpoint, "s3", region, account)
    logs = client(endpoint, "logs", region, account)
    groups = logs.describe_log_groups(logGroupNamePrefix=SCHEDULER_CALLS)["logGroups"]
    trail = target.cloudtrail.location if target.cloudtrail else None
    wanted = {
        "CreateAuroraBucket": target.aurora is not None and _is_free(s3, bucket_of(target.aurora.location)),
        # Below another folder lie the files of a trail that this stack does not make.
        "CreateTrail": trail is not None and trail.count("/") == 3 and _is_free(s3, bucket_of(trail)),
        "CreateSchedulerCalls": SCHEDULER_CALLS not in [group["logGroupName"] for group in groups],
    }
    return {name: str(value).lower() for name, value in wanted.items()}


def _is_free(s3: Any, bucket: str) -> bool:
    """Whether nobody has this bucket; one of another account is answered with 403."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "404")
    return False
