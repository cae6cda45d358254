"""A trail: CloudTrail's files in S3, its event history, and the schedules behind the calls; all go over HTTP.

The records are those of trail_records.py; `sample_day`, `sample_files` and `sample_schedules` stand in trail_day.py.
"""

import contextlib
import gzip
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from local_aws import accounts
from local_aws.control import Control, ControlError
from local_aws.trail_day import SEED, TrailFile, each_once, on_time, sample_files, sample_schedules, time_of
from local_aws.trail_records import ACCOUNT, REGION, Record
from log_audit.window import Window, utc_now

RECORDS_PER_FILE = 5_000
DAY = timedelta(days=1)
OLDER = 30 * DAY  # so long before the day the schedules were made


class Loaded(NamedTuple):
    """What `load` made: the keys of the files, the records each once, and the names of the schedules."""

    keys: list[str]
    records: list[Record]
    schedules: list[str]


def write_trail(
    endpoint: str,
    bucket: str,
    records: Sequence[Record],
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    owner: str = ACCOUNT,
    published: datetime | None = None,
) -> list[str]:
    """Put records as CloudTrail does, gzipped, under the UTC day of their *publication*; gives the keys.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-filename-format.html

    :param account: whose calls these are
    :param owner: whose bucket it is: a trail may write into that of another account
    :param published: when CloudTrail published them all (aware); None: each a few minutes after its call
    """
    files = [TrailFile(published, list(records))] if published else on_time(records)
    return write_files(endpoint, bucket, files, region=region, account=account, owner=owner)


def write_files(
    endpoint: str,
    bucket: str,
    files: Sequence[TrailFile],
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    owner: str = ACCOUNT,
) -> list[str]:
    """The same, of files whose times of publication are known. One that is too large becomes several."""
    parts = [
        TrailFile(published, records[first : first + RECORDS_PER_FILE])
        for published, records in files
        for first in range(0, len(records), RECORDS_PER_FILE)
    ]
    s3 = accounts.client(endpoint, "s3", region, owner)

    def put(part: TrailFile) -> str:
        key = _key(part, account, region)
        body = gzip.compress(json.dumps({"Records": part.records}).encode(), 1, mtime=0)
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return key

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(put, parts))


def load(
    endpoint: str,
    bucket: str,
    window: Window,
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    following: timedelta = timedelta(hours=12),
    seed: int = SEED,
    now: datetime | None = None,
) -> Loaded:
    """Load a day in Tokyo and the hours that follow it: the bucket, its files, the event history, the schedules.

    :param following: so much of the day after, at most all of it
    :param now: what was called or published after it (aware; by default the real clock) is left out
    """
    seen_at = now or utc_now()
    until = min(window.end + following, seen_at)
    days = (window, Window(window.end, window.end + DAY))
    files = [_until(file, until) for day in days for file in sample_files(day, seed, region=region, account=account)]
    seen = [file for file in files if file.records and file.published <= seen_at]
    _create_bucket(endpoint, bucket, region, account)
    keys, records = write_files(endpoint, bucket, seen, region=region, account=account, owner=account), each_once(seen)
    Control(endpoint).put_trail_records(records, region=region, account=account)
    return Loaded(keys, records, _create_schedules(endpoint, window, region, account))


def _until(file: TrailFile, end: datetime) -> TrailFile:
    return TrailFile(file.published, [record for record in file.records if time_of(record) < end])


def _create_schedules(endpoint: str, window: Window, region: str, account: str) -> list[str]:
    """Create the schedules, unless they are there."""
    # At midnight in Tokyo: a rate counts from when its schedule was made.
    created, schedules = (window.start - OLDER).timestamp(), sample_schedules(region=region, account=account)
    for schedule in schedules:
        try:
            Control(endpoint).create_schedule(schedule, region=region, account=account, creation_date=created)
        except ControlError as error:
            if "ConflictException" not in str(error):
                raise
    return [schedule["Name"] for schedule in schedules]


def _create_bucket(endpoint: str, bucket: str, region: str, account: str) -> None:
    s3 = accounts.client(endpoint, "s3", region, account)
    # us-east-1 alone must not be named. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, **place)


def _key(part: TrailFile, account: str, region: str) -> str:
    """AWS's key: the day is that of publication, in UTC."""
    published = part.published.astimezone(UTC)
    text = json.dumps([published.isoformat(), *(record["eventID"] for record in part.records)])
    unique = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{published:%Y/%m/%d}"
    return f"{folder}/{account}_CloudTrail_{region}_{published:%Y%m%dT%H%MZ}_{unique}.json.gz"
