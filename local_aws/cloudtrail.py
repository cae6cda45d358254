"""CloudTrail's event history: LookupEvents over the records that the control API was given, and their events.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
"""

import base64
import bisect
import hashlib
import json
import re
import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.cloudtrail.urls import url_bases
from moto.s3.models import s3_backends

from local_aws import events, policy
from local_aws.errors import AwsError
from local_aws.paging import without_none
from local_aws.settings import SETTINGS

KEPT = timedelta(days=90)
MOST_RESULTS = 50
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NEEDED = ("eventID", "eventTime", "eventName", "eventSource", "awsRegion", "eventType")
ATTRIBUTES = frozenset(
    {
        *("EventId", "EventName", "ReadOnly", "Username", "ResourceType"),
        *("ResourceName", "EventSource", "AccessKeyId"),
    }
)
API_CALL = "AWS API Call via CloudTrail"

Record = dict[str, Any]


class LocalCloudTrailBackend(CloudTrailBackend):
    """moto's state of an account and region, with an event history of our own."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._records: dict[str, Record] = {}  # by event id
        # Of the management events, newest first: the negative epoch second, and the event id.
        self._order: list[tuple[float, str]] = []
        self._lookups: list[float] = []

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": LocalCloudTrailResponse.dispatch})

    def require_writable(self, trail: str, bucket_name: str) -> None:
        """Ask the bucket's policy whether CloudTrail may write there for this trail, as AWS does.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
        """
        bucket = s3_backends[self.account_id][self.partition].buckets.get(bucket_name)
        if bucket is None:
            raise AwsError("S3BucketDoesNotExistException", f"S3 bucket {bucket_name} does not exist!")
        arn = f"arn:aws:s3:::{bucket_name}"
        source = f"arn:aws:cloudtrail:{self.region_name}:{self.account_id}:trail/{trail}"
        context = {"aws:sourcearn": source, "aws:sourceaccount": self.account_id}
        acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
        for action, resource, more in (
            ("s3:GetBucketAcl", arn, {}),
            ("s3:PutObject", f"{arn}/AWSLogs/{self.account_id}/CloudTrail/{self.region_name}/object", acl),
        ):
            asked = policy.Request(frozenset({"cloudtrail.amazonaws.com"}), action, resource, context | more)
            if not policy.allows(bucket.policy, asked):
                message = f"Incorrect S3 bucket policy is detected for bucket: {bucket_name}"
                raise AwsError("InsufficientS3BucketPolicyException", message)

    def put(self, records: list[Record], now: float) -> None:
        """Add records of any age; one that is there already is replaced. Raises ValueError, and then adds none."""
        for record in records:
            _check(record, self.account_id, self.region_name, now)
        self._records |= {record["eventID"]: record for record in records}
        self._order = sorted((-_epoch(held), name) for name, held in self._records.items() if _is_management(held))

    def lookup(self, asked: dict[str, Any], now: float) -> tuple[list[Record], str | None]:
        """The records that LookupEvents gives, and its next token."""
        self._take_turn()
        attribute, size = _attribute(asked.get("LookupAttributes")), _size(asked.get("MaxResults"))
        start, end = asked.get("StartTime"), asked.get("EndTime")
        if start is not None and end is not None and start > end:
            raise AwsError("InvalidTimeRangeException", "The start time must be before the end time.")
        oldest = max(start or 0, now - KEPT.total_seconds())
        at = bisect.bisect_left(self._order, (-(now if end is None else end), ""))
        if asked.get("NextToken") is not None:
            at = bisect.bisect_right(self._order, _last_seen(asked))
        found: list[tuple[float, str]] = []
        while at < len(self._order) and -self._order[at][0] >= oldest and len(found) <= size:
            if _has(self._records[self._order[at][1]], attribute):
                found.append(self._order[at])
            at += 1
        token = _token(asked, found[size - 1]) if len(found) > size else None
        return [self._records[name] for _, name in found[:size]], token

    def _take_turn(self) -> None:
        """Refuse a call beyond the rate; one that was refused does not count."""
        limit, now = SETTINGS.trail_lookups_per_second, time.monotonic()
        self._lookups = [at for at in self._lookups if at > now - 1]
        if limit and len(self._lookups) >= limit:
            raise AwsError("ThrottlingException", "Rate exceeded")
        self._lookups.append(now)


class LocalCloudTrailResponse(CloudTrailResponse):
    """LookupEvents, and moto's trails, which write nothing by themselves. Parameters: see actions.py."""

    def create_trail(self) -> str:
        """CreateTrail; moto does not ask whether the bucket lets it write."""
        given = json.loads(self.body or "{}")
        backend_of(self.current_account, self.region).require_writable(given["Name"], given["S3BucketName"])
        return super().create_trail()

    def lookup_events(self) -> str:
        """LookupEvents."""
        backend = backend_of(self.current_account, self.region)
        records, token = backend.lookup(json.loads(self.body or "{}"), time.time())
        shown = [_described(record) | {"CloudTrailEvent": json.dumps(record)} for record in records]
        return json.dumps(without_none({"Events": shown, "NextToken": token}))


def backend_of(account: str, region: str) -> LocalCloudTrailBackend:
    """The state of CloudTrail in an account and region; raises ValueError where there is no such region."""
    if region not in cloudtrail_backends[account]:
        raise ValueError(f"There is no region {region!r}.")
    backend = cloudtrail_backends[account][region]
    assert isinstance(backend, LocalCloudTrailBackend)
    return backend


def publish_call(record: Record, account: str, now: float) -> None:
    """Send the event of an API call over the default bus of its region, as the trail of an account does.

    Raises ValueError for what AWS sends to no rule in state ENABLED.
    """
    region = record.get("awsRegion", "")
    backend_of(account, region)
    _check(record, account, region, now)
    if record["eventType"] != "AwsApiCall" or not _is_management(record):
        raise ValueError("The stand-in sends the events of management calls only (eventType AwsApiCall).")
    if record.get("readOnly"):
        raise ValueError(f"{record['eventName']} only reads: AWS sends it to no rule in state ENABLED.")
    source = f"aws.{record['eventSource'].partition('.')[0]}"
    events.backend_of(account, region).publish(source, API_CALL, record, resources=[], at=_epoch(record))


def install() -> None:
    """Put this backend in the place of moto's."""
    cloudtrail_backends.backend = LocalCloudTrailBackend


def _check(record: Any, account: str, region: str, now: float) -> None:
    missing = [name for name in NEEDED if not isinstance(record, dict) or not isinstance(record.get(name), str)]
    if missing:
        raise ValueError(f"A CloudTrail record has {', '.join(missing)}.")
    if not isinstance(record.get("userIdentity"), dict) or not TIME.fullmatch(record["eventTime"]):
        raise ValueError("A CloudTrail record has a userIdentity, and an eventTime such as 2026-11-19T15:00:00Z.")
    # A history is that of one account and region: elsewhere nobody would find the record.
    if record["awsRegion"] != region or record.get("recipientAccountId", account) != account:
        raise ValueError(f"Record {record['eventID']} is not of account {account} and region {region}.")
    if _epoch(record) > now:
        raise ValueError(f"Record {record['eventID']} is of {record['eventTime']}, which is yet to come.")


def _epoch(record: Record) -> float:
    return datetime.fromisoformat(record["eventTime"]).timestamp()


def _is_management(record: Record) -> bool:
    """Records before version 1.07 name no category, and those before 1.06 do not say."""
    return bool(record.get("managementEvent", True)) and record.get("eventCategory", "Management") == "Management"


def _described(record: Record) -> dict[str, Any]:
    """The record as LookupEvents shows it, without the record itself."""
    only_reads = record.get("readOnly")
    resources = [
        {"ResourceType": item.get("type"), "ResourceName": item.get("ARN")} for item in record.get("resources") or []
    ]
    shown = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": None if only_reads is None else str(bool(only_reads)).lower(),
        "AccessKeyId": record["userIdentity"].get("accessKeyId"),
        "EventTime": _epoch(record),
        "EventSource": record["eventSource"],
        "Username": _username(record["userIdentity"]),
        "Resources": [without_none(item) for item in resources],
    }
    return without_none(shown)


def _username(identity: dict[str, Any]) -> str | None:
    """A user's name, a role's *session* name; nothing for a service."""
    if identity.get("type") == "Root":
        return "root"
    session = str(identity.get("principalId", "")).partition(":")[2]
    return identity.get("userName") or session or None


def _has(record: Record, attribute: tuple[str, str] | None) -> bool:
    if attribute is None:
        return True
    key, value = attribute
    shown = _described(record)
    if key.startswith("Resource"):
        return any(item.get(key) == value for item in shown["Resources"])
    return bool(shown.get(key) == value)


def _attribute(given: Any) -> tuple[str, str] | None:
    if not given:
        return None
    if len(given) > 1:
        raise AwsError("InvalidLookupAttributesException", "You can only specify one lookup attribute.")
    key, value = given[0].get("AttributeKey"), given[0].get("AttributeValue")
    if key not in ATTRIBUTES:
        raise AwsError("InvalidLookupAttributesException", f"{key} is no lookup attribute.")
    if not isinstance(value, str) or not 1 <= len(value) <= 2000:
        raise AwsError("InvalidLookupAttributesException", "A lookup attribute has a value of 1 to 2000 characters.")
    if key == "ReadOnly" and value not in ("true", "false"):
        raise AwsError("InvalidLookupAttributesException", f"ReadOnly is true or false, not {value}.")
    return key, value


def _size(given: Any) -> int:
    size = MOST_RESULTS if given is None else given
    if type(size) is not int or not 1 <= size <= MOST_RESULTS:
        raise AwsError("InvalidMaxResultsException", f"MaxResults must be between 1 and {MOST_RESULTS}.")
    return size


def _token(asked: dict[str, Any], last: tuple[float, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_question(asked), *last]).encode()).decode()


def _last_seen(asked: dict[str, Any]) -> tuple[float, str]:
    """What the token names as the last event given; it is good for the same question only."""
    try:
        question, at, name = json.loads(base64.urlsafe_b64decode(asked["NextToken"]))
    except (ValueError, TypeError):
        question, at, name = None, 0.0, ""
    if question != _question(asked):
        raise AwsError("InvalidNextTokenException", "Invalid token, or one of a request with other parameters.")
    return at, name


def _question(asked: dict[str, Any]) -> str:
    parts = [asked.get(name) for name in ("LookupAttributes", "StartTime", "EndTime")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
