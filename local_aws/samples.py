"""Sample logs of a small shop: pure generation from a fixed seed, loaded over HTTP."""

import calendar
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local_aws.control import Control, ControlError

ACCOUNT = "123456789012"
EVENTS_A_MONTH = 300
APIS = {
    "/aws/apigateway/orders-api": ("/orders", "/orders/{id}", "/orders/{id}/items", "/health"),
    "/aws/apigateway/payments-api": ("/payments", "/payments/{id}", "/refunds"),
}
FUNCTIONS = ("/aws/lambda/order-export", "/aws/lambda/report-mailer")
# Requests by hour of the day in Tokyo, which is 9 hours ahead of UTC.
RHYTHM = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 15, 13, 12, 12, 12, 12, 13, 14, 13, 10, 7, 4)
STATUSES = {200: 880, 201: 90, 304: 5, 400: 5, 401: 3, 403: 2, 404: 8, 429: 2, 500: 2, 502: 2, 504: 1}
METHODS = {"GET": 70, "POST": 20, "PUT": 7, "DELETE": 3}
# https://www.rfc-editor.org/rfc/rfc5737: networks for documentation
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
AGENTS = ("okhttp/4.12.0", "python-requests/2.32.3", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)")


@dataclass(frozen=True)
class Sample:
    """One event of one stream; times in epoch milliseconds."""

    stream: str
    timestamp: int
    ingestion_time: int
    message: str


def load(
    endpoint: str, *, now: datetime, months: int = 14, region: str = "ap-northeast-1", account: str = ACCOUNT
) -> dict[str, dict[str, int]]:
    """Load the log groups, from the first of the month `months` ago until `now` (aware).

    Returns, per log group, the number of events per UTC month (``2026-03``).
    """
    control, place = Control(endpoint), {"region": region, "account": account}
    first = month_start(now, -months)
    starts = {group: first for group in (*APIS, *FUNCTIONS)}
    starts["/aws/apigateway/payments-api"] = month_start(now, -3) + timedelta(days=14)
    summary = {}
    for group, start in starts.items():
        control.create_log_group(group, region=region, account=account, creation_time_ms=_ms(start))
        streams: dict[str, list[dict[str, Any]]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for sample in generate(group, start, now):
            streams[sample.stream].append(
                {
                    "timestamp": sample.timestamp,
                    "message": sample.message,
                    "ingestionTime": sample.ingestion_time,
                }
            )
            counts[f"{datetime.fromtimestamp(sample.timestamp / 1000, UTC):%Y-%m}"] += 1
        for stream, events in streams.items():
            control.put_events(group, stream, events, **place)
        summary[group] = dict(sorted(counts.items()))
    return summary


def load_incident(endpoint: str, *, now: datetime, region: str = "ap-northeast-1", account: str = ACCOUNT) -> None:
    """An incident for the checks to find: a burst of failing payments a few minutes ago, and one late event.

    The burst arrived in the last whole five minutes before `now` (aware), the late event two hours after its time,
    in the last day before 05:00 in Tokyo. The container that works through the orders is well.
    """
    control, dice = Control(endpoint), random.Random(7)  # noqa: S311
    place = {"region": region, "account": account}
    burst = datetime.fromtimestamp(int(now.timestamp()) // 300 * 300 - 180, UTC)
    requests = [_access_log("/aws/apigateway/payments-api", burst, dice) for _ in range(150)]
    failing = [
        json.dumps({**json.loads(line), "status": "502"}) if n % 3 == 0 else line for n, line in enumerate(requests)
    ]
    events = [
        {"timestamp": _ms(burst) + n * 100, "message": line, "ingestionTime": _ms(burst) + n * 100 + 900}
        for n, line in enumerate(failing)
    ]
    control.put_events("/aws/apigateway/payments-api", "burst", events, **place)
    sweep = now.replace(hour=20, minute=0, second=0, microsecond=0) - timedelta(days=1 if now.hour >= 20 else 2)
    arrival = _ms(sweep + timedelta(hours=12))
    message = "2026-01-01T00:00:00.000Z 8f5b0a4e-9d1c-4f7e-a6b2-3c2d1e0f9a8b Task timed out after 3.00 seconds"
    late = {"timestamp": arrival - 7_200_000, "message": message, "ingestionTime": arrival}
    control.put_events("/aws/lambda/order-export", "late", [late], **place)
    month_ago = _ms(now - timedelta(days=30))
    try:
        control.create_log_group("/ecs/orders-worker", region=region, account=account, creation_time_ms=month_ago)
    except ControlError as error:
        if "already exists" not in str(error):  # it does at the second incident
            raise
    lines = [
        {"timestamp": _ms(now) - n * 60_000, "message": f"INFO worked through order {n}"} for n in range(30, 0, -1)
    ]
    control.put_events("/ecs/orders-worker", "ecs/worker/1", lines, **place)


def generate(group: str, start: datetime, now: datetime) -> Iterator[Sample]:
    """The events of a group from `start` until `now`; the same for a month whenever it is generated."""
    month = month_start(start, 0)
    while month <= now:
        # Sample data, not a secret: it must be the same each time.
        dice = random.Random(f"{group} {month:%Y-%m}")  # noqa: S311
        for sample in _month_of(group, month, dice):
            if _ms(start) <= sample.timestamp <= _ms(now):
                yield Sample(
                    sample.stream,
                    sample.timestamp,
                    min(sample.timestamp + dice.randint(0, 5000), _ms(now)),
                    sample.message,
                )
        month = month_start(month, 1)


def month_start(moment: datetime, months: int) -> datetime:
    """The first instant (UTC) of the month this many months after that of `moment`."""
    count = moment.astimezone(UTC).year * 12 + moment.astimezone(UTC).month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def export_policy(bucket: str, region: str, account: str = ACCOUNT) -> str:
    """The bucket policy that lets CloudWatch Logs export into the bucket.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html
    """
    source = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account}:log-group:*"},
    }
    acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
    common = {"Effect": "Allow", "Principal": {"Service": f"logs.{region}.amazonaws.com"}}
    statements = [
        common | {"Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}", "Condition": source},
        common
        | {
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": source | {"StringEquals": source["StringEquals"] | acl},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _month_of(group: str, month: datetime, dice: random.Random) -> list[Sample]:
    samples = _requests(group, month, dice) if group in APIS else _invocations(group, month, dice)
    return sorted(samples, key=lambda sample: sample.timestamp)


def _requests(group: str, month: datetime, dice: random.Random) -> list[Sample]:
    # API Gateway names its streams by hashes and keeps them.
    streams = [f"{random.Random(f'{group} {n}').getrandbits(128):032x}" for n in range(3)]  # noqa: S311
    samples = []
    for at in _moments(month, dice, EVENTS_A_MONTH + dice.randint(-20, 20)):
        samples.append(Sample(dice.choice(streams), _ms(at), _ms(at), _access_log(group, at, dice)))
    return samples


def _access_log(group: str, at: datetime, dice: random.Random) -> str:
    status = _weighted(STATUSES, dice)
    return json.dumps(
        {
            "requestId": _uuid(dice),
            "ip": f"{dice.choice(NETWORKS)}.{dice.randint(1, 254)}",
            "caller": "-",
            "user": dice.choice(("-", "-", "-", "partner-app", "backoffice")),
            "requestTime": f"{at:%d/%b/%Y:%H:%M:%S} +0000",
            "httpMethod": _weighted(METHODS, dice),
            "resourcePath": dice.choice(APIS[group]),
            "status": status,
            "protocol": "HTTP/1.1",
            "responseLength": dice.randint(20, 9000),
            "responseLatency": 29000 if status == 504 else int(dice.lognormvariate(4, 0.7)),
            "userAgent": dice.choice(AGENTS),
        }
    )


def _invocations(group: str, month: datetime, dice: random.Random) -> list[Sample]:
    samples = []
    for number, at in enumerate(_moments(month, dice, EVENTS_A_MONTH // 4)):
        # Lambda's own form of stream names; here one for each half of the month.
        day = 1 if at.day <= 15 else 16
        stream = f"{month:%Y/%m}/{day:02d}/[$LATEST]{random.Random(f'{group} {month} {day}').getrandbits(128):032x}"  # noqa: S311
        lines = _invocation(at, dice, fails=number % 25 == 0)
        samples += [Sample(stream, _ms(at) + offset, _ms(at) + offset, message) for offset, message in lines]
    return samples


def _invocation(at: datetime, dice: random.Random, *, fails: bool) -> list[tuple[int, str]]:
    request, took, order = _uuid(dice), dice.randint(80, 2900), dice.randint(10_000, 99_999)
    middle = f"[INFO]\t{_iso(at)}\t{request}\tdone with order {order}\n"
    if fails:
        middle = (
            f"[ERROR] TimeoutError: order {order}\n"
            "Traceback (most recent call last):\n"
            '  File "/var/task/app.py", line 42, in handler\n'
            "    deliver(order)\n"
            f"{_iso(at)} attempt 3 of 3 gave up\n"
            "TimeoutError: no answer from the warehouse\n"
        )
    report = (
        f"REPORT RequestId: {request}\tDuration: {took}.12 ms\tBilled Duration: {took + 1} ms\t"
        f"Memory Size: 256 MB\tMax Memory Used: {dice.randint(70, 200)} MB\n"
    )
    return [
        (0, f"START RequestId: {request} Version: $LATEST\n"),
        (took - 10, middle),
        (took, f"END RequestId: {request}\n"),
        (took, report),
    ]


def _moments(month: datetime, dice: random.Random, count: int) -> list[datetime]:
    days = calendar.monthrange(month.year, month.month)[1]
    hours = dice.choices([(hour - 9) % 24 for hour in range(24)], RHYTHM, k=count)
    return [
        month + timedelta(days=dice.randrange(days), hours=hour, milliseconds=dice.randrange(3_600_000))
        for hour in hours
    ]


def _weighted(weights: dict[Any, int], dice: random.Random) -> Any:
    return dice.choices(list(weights), list(weights.values()))[0]


def _uuid(dice: random.Random) -> str:
    digits = f"{dice.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
