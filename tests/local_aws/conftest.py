"""Fixtures of the stand-in's own tests."""

from collections.abc import Callable
from typing import Any

import pytest

from local_aws.control import Control
from tests.local_aws.athena_client import BUCKET, Athena


@pytest.fixture
def athena(aws: Control, aws_client: Callable[..., Any]) -> Athena:
    """Athena that takes no time, with a bucket and the database `logs`."""
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    made = Athena(aws_client("athena"), aws_client("s3"))
    made.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    made.run("CREATE DATABASE logs")
    return made
