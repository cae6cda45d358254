"""The objects of moto's S3, read and written in this process. The caller holds the lock."""

from dataclasses import dataclass
from typing import Any

from moto.s3.exceptions import AccessDeniedByLock, MissingBucket
from moto.s3.models import FakeKey, s3_backends
from moto.utilities.utils import get_partition

from local_aws.athena.failures import QueryFailure


@dataclass(frozen=True)
class Stored:
    """An object, its bytes not yet read."""

    key: str
    size: int
    _held: Any

    def read(self) -> bytes:
        """Its bytes."""
        return bytes(self._held.value)


@dataclass(frozen=True)
class Storage:
    """S3 as the account's queries see it."""

    account: str
    region: str

    @property
    def _s3(self) -> Any:
        return s3_backends[self.account][get_partition(self.region)]

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket that the account may use."""
        try:
            self._s3.get_bucket(bucket)
        except (MissingBucket, AccessDeniedByLock):
            return False
        return True

    def objects(self, bucket: str, prefix: str) -> list[Stored]:
        """The objects beneath a prefix; hidden ones (``_`` or ``.`` at the start of the name) are passed over."""
        if not self.has_bucket(bucket):
            if bucket in s3_backends.bucket_accounts:
                raise QueryFailure("PERMISSION_DENIED", f"Access Denied: s3://{bucket}/ is another account's")
            raise QueryFailure("HIVE_FILESYSTEM_ERROR", f"The specified bucket does not exist: {bucket} (NoSuchBucket)")
        held = self._s3.get_bucket(bucket).keys.items()
        return [
            Stored(key, value.size, value)
            for key, value in sorted(held, key=lambda item: item[0])
            if isinstance(value, FakeKey) and key.startswith(prefix) and _is_visible(key)
        ]

    def put(self, bucket: str, key: str, value: bytes) -> None:
        """Write an object; to a bucket that is gone, nothing."""
        if self.has_bucket(bucket):
            self._s3.put_object(bucket, key, value)


def _is_visible(key: str) -> bool:
    name = key.rpartition("/")[2]
    return bool(name) and name[0] not in "_."
