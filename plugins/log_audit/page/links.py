"""Links to the AWS console."""

from __future__ import annotations

from urllib.parse import quote


def s3_folder(region: str, bucket: str, prefix: str) -> str:
    """Opens a folder; ``prefix`` without a slash at its end."""
    return f"{_s3(region)}/buckets/{quote(bucket)}?region={region}&prefix={quote(prefix)}/"


def s3_object(region: str, bucket: str, key: str) -> str:
    return f"{_s3(region)}/object/{quote(bucket)}?region={region}&prefix={quote(key)}"


def _s3(region: str) -> str:
    domain = "amazonaws.cn" if region.startswith("cn-") else "aws.amazon.com"
    return f"https://{region}.console.{domain}/s3"
