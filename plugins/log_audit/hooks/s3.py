"""The archive's bucket: listing, reading and writing what :mod:`log_audit.archive` decides about."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from log_audit.archive import MANIFEST, WRITE_TEST, ArchiveJob, Chunk, Manifest, StoredObject, export_statements
from log_audit.errors import AccessError, VerificationError
from log_audit.hooks.logs import error_code
from log_audit.hooks.reach import ReachHook
from log_audit.refusals import Refusal

DENIED = {"AccessDenied", "403"}


class ArchiveHook(ReachHook, S3Hook):
    """S3 as the archive uses it."""

    def stored_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """The objects beneath ``prefix/``, in the order of their keys, from the first key behind ``after``."""
        pages = self.conn.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{prefix}/", StartAfter=after
        )
        for page in pages:
            for item in page.get("Contents", ()):
                if not item["Key"].endswith(f"/{WRITE_TEST}"):
                    yield StoredObject(item["Key"], item["Size"], item["ETag"].strip('"'))

    def objects_of(self, chunk: Chunk) -> Iterator[StoredObject]:
        """The objects of one chunk, as they stand now."""
        for item in self.stored_objects(chunk.job.bucket, chunk.prefix, chunk.after):
            if item.key > chunk.through:
                return
            yield item

    def open_object(self, bucket: str, item: StoredObject) -> Any:
        """A stream of the object's bytes.

        :raises VerificationError: it is no longer what was listed
        """
        try:
            return self.conn.get_object(Bucket=bucket, Key=item.key, IfMatch=f'"{item.etag}"')["Body"]
        except self.conn.exceptions.ClientError as error:
            if error_code(error) in {"NoSuchKey", "PreconditionFailed", "412"}:
                raise VerificationError(f"s3://{bucket}/{item.key} changed while it was being verified") from error
            raise

    def last_modified(self, bucket: str, key: str) -> datetime:
        """When an object was written, in UTC.

        :raises AccessError: the role may not read it
        """
        try:
            modified: datetime = self.conn.head_object(Bucket=bucket, Key=key)["LastModified"]
        except self.conn.exceptions.ClientError as error:
            if error_code(error) in DENIED:  # to a HEAD request S3 answers without words
                raise AccessError(Refusal("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}").sentence(None)) from error
            raise
        return modified

    def read_manifest(self, job: ArchiveJob) -> Manifest | None:
        """The month's manifest, or None where there is none.

        :raises VerificationError: there is one that cannot be read, or that is of another log group
        :raises AccessError: the role may not read it
        """
        manifest = self._manifest_at(job.bucket, job.manifest_key)
        if manifest is None:
            return None
        if (manifest.log_group, manifest.month) != (job.log_group, job.month):
            raise VerificationError(
                f"s3://{job.bucket}/{job.manifest_key} is the manifest of {manifest.log_group} {manifest.month}, not "
                f"of {job.log_group} {job.month}; give this log group a destination of its own in the settings"
            )
        return manifest

    def manifests(self, bucket: str, prefix: str, *, besides: Collection[str] = ()) -> Iterator[Manifest]:
        """The manifests beneath ``prefix/``, but for those whose keys are named in ``besides``.

        :raises VerificationError, AccessError: as :meth:`read_manifest`
        """
        for item in self.stored_objects(bucket, prefix):
            wanted = item.key.endswith(f"/{MANIFEST}") and item.key not in besides
            if wanted and (manifest := self._manifest_at(bucket, item.key)):
                yield manifest

    def _manifest_at(self, bucket: str, key: str) -> Manifest | None:
        try:
            body = self.conn.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.conn.exceptions.ClientError as error:
            if error_code(error) in {"NoSuchKey", "NoSuchBucket"}:
                return None
            if error_code(error) in DENIED:
                raise AccessError(
                    f"s3://{bucket}/{key} may not be read: allow this role s3:GetObject on arn:aws:s3:::{bucket}/*, "
                    f"and s3:ListBucket on arn:aws:s3:::{bucket}, without which S3 denies what does not exist: {error}"
                ) from error
            raise
        try:
            return Manifest.from_json(json.loads(body))
        except (ValueError, VerificationError) as error:
            raise VerificationError(
                f"s3://{bucket}/{key} cannot be read ({error}); move it away to export the month anew"
            ) from error

    def write_manifest(self, manifest: Manifest, key: str) -> None:
        body = json.dumps(manifest.to_json(), ensure_ascii=False, indent=1).encode()
        self.conn.put_object(Bucket=manifest.bucket, Key=key, Body=body, ContentType="application/json")

    def differences(self, manifest: Manifest) -> list[str]:
        """What of the manifest's objects is missing or changed; empty for a sound archive."""
        return manifest.differences(
            self.stored_objects(manifest.bucket, f"{manifest.prefix}/{manifest.export_task_id}")
        )

    def bucket_problem(self, bucket: str, region: str, account: str | None) -> str:
        """Why CloudWatch Logs cannot write to a bucket, and what to change.

        :param account: whose log groups are exported, for the bucket policy; None where that is not known
        """
        try:
            self.conn.head_bucket(Bucket=bucket)
        except self.conn.exceptions.ClientError as error:
            code = error_code(error)
            if code in {"404", "NoSuchBucket"}:
                return f"the bucket {bucket} does not exist; create it in {region} or name another in the settings"
            if code in {"301", "PermanentRedirect"}:
                return f"the bucket {bucket} is in another region; exports need one in {region}"
            lacking = Refusal("s3:ListBucket", f"arn:aws:s3:::{bucket}")
            return f"the bucket {bucket} cannot be looked at ({code}): {lacking.sentence(None)}"
        try:
            # us-east-1 has no location constraint of its own
            found = self.conn.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        except self.conn.exceptions.ClientError as error:
            code = error_code(error)
            lacking = Refusal("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}")
            return f"the bucket {bucket} does not tell its region ({code}): {lacking.sentence(None)}"
        if found != region:
            return f"the bucket {bucket} is in {found}; exports need one in {region}"
        return (
            f"CloudWatch Logs may not write to the bucket {bucket}: its bucket policy must allow the service "
            f"logs.{region}.amazonaws.com this: {json.dumps(export_statements(bucket, region, account))}. And if a "
            "KMS key encrypts the bucket, the key's policy must allow that service kms:GenerateDataKey and kms:Decrypt"
        )
