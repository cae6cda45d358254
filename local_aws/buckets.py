"""What bucket policies say of everyone. moto takes no account of their conditions, nor of most calls.

The stand-in serves plain HTTP, on the loopback address alone; policies take its calls for such over TLS, unless the
setting `transport` says otherwise.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
"""

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from local_aws import policy
from local_aws.naming import Call
from local_aws.settings import SETTINGS

# Where the action that a policy names is not called like the operation.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTIONS = {
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


def denies(call: Call) -> bool:
    """Whether the policy of the bucket denies this call to everyone."""
    bucket = _bucket(str(call.parameters.get("Bucket", "")))
    if bucket is None:
        return False
    key = call.parameters.get("Key")
    arn = f"arn:aws:s3:::{bucket.name}/{key}" if key else f"arn:aws:s3:::{bucket.name}"
    return "Deny" in _effects(bucket.policy, f"s3:{ACTIONS.get(call.action, call.action)}", arn)


def install() -> None:
    """Let moto ask here what a bucket's policy says of everyone."""
    FakeBucket.get_permission = _permission  # type: ignore[assignment, method-assign]


def _permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    effects = _effects(bucket.policy, action, resource)
    if "Deny" in effects:
        return PermissionResult.DENIED
    return PermissionResult.PERMITTED if "Allow" in effects else PermissionResult.NEUTRAL


def _effects(document: bytes | None, action: str, resource: str) -> set[str]:
    context = {"aws:securetransport": "true" if SETTINGS.transport == "TLS" else "false"}
    return policy.effects_for_everyone(document, policy.Request(frozenset(), action, resource, context))


def _bucket(name: str) -> Any:
    """The bucket, whoever owns it: names are unique in all accounts."""
    backends: list[Any] = [backend for _, _, backend in s3_backends.iter_backends()]
    return next((backend.buckets[name] for backend in backends if name in backend.buckets), None)
