"""Aurora's audit logs for the samples: the account's resources, shipping tasks and what they ship."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local_aws import aurora, aurora_lines, samples
from local_aws.control import Control
from log_audit.settings import Aurora, Target
from log_audit.window import Window, key_of
from tests.local_aws.athena_client import AUDIT_COLUMNS, Athena
from tests.local_aws.ecs_tasks import exit_codes

REGION = "ap-northeast-1"
ACCOUNT = samples.ACCOUNT
ZONE = ZoneInfo("Asia/Tokyo")
KEY = "2026-11-20T09"  # in UTC this hour begins at midnight
PAST = "2026-01-20T09"
BUCKET = "shop-audit"
QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tasks"
RULE = "audit-ecs-tasks"
RULE_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{RULE}"
SETTINGS = Aurora.model_validate(
    {
        "location": f"s3://{BUCKET}/aurora/audit",
        "queue": QUEUE,
        "clusters": {
            "main": {"ecs_cluster": "batch", "command": ["main"], "family": "shipping"},
            "side": {"ecs_cluster": "night", "command": ["ship", "side"], "folder": "side-log", "lag": 3},
            "daily": {"ecs_cluster": "night", "command": ["ship", "daily"], "ships": "day"},
        },
    }
)


def target(workgroup: str = "audit", results: str | None = None, **changes: Any) -> Target:
    """The settings' target, with other values in its Aurora part."""
    return Target(
        connection="aws_default",
        region=REGION,
        archive={"bucket": "shop-archive", "log_groups": [{"name": "/app"}]},
        athena={"workgroup": workgroup, "results": results},
        aurora=SETTINGS.model_copy(update=changes),
    )


HERE: dict[str, Any] = {"region": REGION, "zone": ZONE}
LINE = "1795132800000001,main-instance-1,app,192.0.2.11,7,0,CONNECT,shop,,0"
TABLE = f"""CREATE EXTERNAL TABLE logs.aurora ({", ".join(f"`{name}` string" for name in AUDIT_COLUMNS)})
PARTITIONED BY (cluster string, day string, hour string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\\'', 'escapeChar' = '\\\\')
LOCATION 's3://{BUCKET}/aurora/audit/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.cluster.type' = 'enum', 'projection.cluster.values' = 'main,side-log,daily',
  'projection.day.type' = 'date', 'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2026-01-01,NOW+1YEARS',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.digits' = '2',
  'storage.location.template' = 's3://{BUCKET}/aurora/audit/${{cluster}}/${{day}}/${{hour}}/')"""


@pytest.fixture
def endpoint(aws: Control) -> str:
    aws.configure(ecs_start_seconds=0, ecs_run_seconds=0, ecs_stop_seconds=0)
    aurora.prepare(aws.endpoint, target())
    return aws.endpoint


@pytest.fixture
def events(aws_client: Callable[..., Any]) -> Callable[[], list[dict[str, Any]]]:
    """Gives what has come to the queue since the last time."""
    sqs = aws_client("sqs")

    def received() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
        return found

    return received


def started_for(cluster: str, key: str = KEY) -> datetime:
    """A start that is not tied to the clock of this machine."""
    return aurora.start_of(SETTINGS.clusters[cluster], key, ZONE, datetime(2027, 1, 1, tzinfo=UTC))


def ship_key(endpoint: str, cluster: str, lines: aurora.Lines, key: str = KEY, **options: Any) -> aurora.Shipped:
    return aurora.ship_past(endpoint, SETTINGS, cluster, started_for(cluster, key), lines, **HERE, **options)


def keys_of(aws_client: Callable[..., Any]) -> list[str]:
    return [entry["Key"] for entry in aws_client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def fields_of(lines: list[str]) -> list[dict[str, str]]:
    """The lines' fields; the last four by hand, since a statement may hold commas."""
    found = []
    for line in lines:
        *first, rest = line.split(",", 8)
        what, code = rest.rsplit(",", 1)
        found.append(dict(zip(AUDIT_COLUMNS, [*first, what, code], strict=True)))
    return found


def test_prepare_twice(endpoint: str, aws: Control, aws_client: Callable[..., Any]) -> None:
    aurora.prepare(endpoint, target())
    assert len(aws.calls("cloudformation.CreateStack")) == 1
    clusters = aws_client("ecs").describe_clusters(clusters=["batch", "night"])["clusters"]
    assert [cluster["status"] for cluster in clusters] == ["ACTIVE", "ACTIVE"]
    assert aws.undelivered_events() == []


def test_prepare_without_a_queue_in_the_primary_workgroup(aws: Control, aws_client: Callable[..., Any]) -> None:
    changes = {"queue": None, "workgroup": "primary", "results": "s3://elsewhere/found"}
    for _ in range(2):
        aurora.prepare(aws.endpoint, target(**changes))
    buckets = [bucket["Name"] for bucket in aws_client("s3").list_buckets()["Buckets"]]
    assert sorted(buckets) == ["elsewhere", "shop-archive", BUCKET]
    group = aws_client("athena").get_work_group(WorkGroup="primary")["WorkGroup"]["Configuration"]
    assert group["ResultConfiguration"] == {"OutputLocation": "s3://elsewhere/found/"}
    assert "QueueUrls" not in aws_client("sqs").list_queues()
    assert [rule["Name"] for rule in aws_client("events").list_rules()["Rules"]] == ["log-audit-scheduler-calls"]


def test_a_task_ships_an_hour(
    endpoint: str, events: Callable[[], list[dict[str, Any]]], aws_client: Callable[..., Any]
) -> None:
    shipped = ship_key(endpoint, "side", [LINE, LINE])
    assert shipped.key == KEY
    (event,) = events()
    assert (event["source"], event["detail-type"], event["resources"]) == (
        *("aws.ecs", "ECS Task State Change"),
        [shipped.task_arn],
    )
    detail = event["detail"]
    override = {"name": "shipper", "command": ["ship", "side"]}
    assert detail["overrides"] == {"containerOverrides": [override]}
    # A side-car that stands first and was ended by SIGTERM is no failure.
    assert list(exit_codes(detail).items()) == [("log-router", 143), ("shipper", 0)]
    assert (detail["group"], detail["startedBy"]) == ("family:aurora-log-shipper", "chronos-schedule/ship-side")
    assert detail["startedAt"] == "2026-11-20T03:01:30.000Z"
    assert key_of(datetime.fromisoformat(detail["startedAt"]), "hour", ZONE, back=3) == KEY
    folder = "aurora/audit/side-log/2026-11-20/09"
    assert keys_of(aws_client) == [f"{folder}/audit.log.0.gz", f"{folder}/audit.log.1.gz"]


def test_one_line_is_one_object(endpoint: str, aws_client: Callable[..., Any]) -> None:
    ship_key(endpoint, "main", [LINE])
    ship_key(endpoint, "main", [], key=PAST)
    assert keys_of(aws_client) == ["aurora/audit/main/2026-11-20/09/audit.log.0.gz"]


@pytest.mark.parametrize(
    ("end", "code", "stop_code"),
    [
        ({"exit_code": 1}, 1, "EssentialContainerExited"),
        ({"exit_code": None, "stopped_reason": "OutOfMemoryError"}, None, "EssentialContainerExited"),
        ({"exit_codes": {"shipper": 2, "log-router": 0}}, 2, "EssentialContainerExited"),
        ({"exit_code": 143, "stop_code": "SpotInterruption"}, 143, "SpotInterruption"),
        ({"never_started": True}, None, "TaskFailedToStart"),
        ({"never_started": True, "no_containers": True}, None, "TaskFailedToStart"),
    ],
)
@pytest.mark.parametrize("now", [False, True])
def test_a_bad_end_is_told_and_ships_nothing(
    endpoint: str,
    events: Callable[[], list[dict[str, Any]]],
    aws_client: Callable[..., Any],
    end: dict[str, Any],
    code: int | None,
    stop_code: str,
    now: bool,
) -> None:
    if now:
        shipped = aurora.ship_now(endpoint, SETTINGS, "main", [LINE], **HERE, **end)
    else:
        shipped = aurora.ship(endpoint, SETTINGS, "main", PAST, [LINE], **HERE, **end)
    (event,) = events()
    detail = event["detail"]
    assert (detail["taskArn"], detail["stopCode"]) == (shipped.task_arn, stop_code)
    assert exit_codes(detail).get("shipper") == code
    at = datetime.fromisoformat(detail.get("startedAt") or detail["createdAt"])
    assert key_of(at, "hour", ZONE, back=1) == shipped.key
    assert keys_of(aws_client) == []


def test_the_rule_of_the_seed_would_hide_a_bad_end(endpoint: str, aws_client: Callable[..., Any]) -> None:
    url, rules = aws_client("sqs").create_queue(QueueName="seed")["QueueUrl"], aws_client("events")
    pattern = json.loads(rules.describe_rule(Name=RULE)["EventPattern"])
    pattern["detail"]["containers"] = {"exitCode": [0]}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:seed"
    given = aws_client("sqs").get_queue_attributes(QueueUrl=QUEUE, AttributeNames=["Policy"])["Attributes"]["Policy"]
    policy = given.replace(RULE_ARN, RULE_ARN.replace(RULE, "seed")).replace(":tasks", ":seed")
    aws_client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    rules.put_rule(Name="seed", EventPattern=json.dumps(pattern))
    rules.put_targets(Rule="seed", Targets=[{"Id": "q", "Arn": arn}])
    ship_key(endpoint, "main", [LINE], exit_code=1)
    good = ship_key(endpoint, "main", [LINE])
    messages = aws_client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail"]["taskArn"] for message in messages] == [good.task_arn]


def test_tasks_of_others_are_not_told(
    endpoint: str, events: Callable[[], list[dict[str, Any]]], aws_client: Callable[..., Any]
) -> None:
    aws_client("ecs").create_cluster(clusterName="other")
    given: dict[str, Any] = {"region": REGION, "started_at": 0, "container": "shipper"}
    Control(endpoint).stopped_task("batch", "shipping", ["report"], **given)
    Control(endpoint).stopped_task("other", "shipping", ["main"], **given)
    assert events() == []


def test_ship_now(
    endpoint: str, aws: Control, events: Callable[[], list[dict[str, Any]]], aws_client: Callable[..., Any]
) -> None:
    aws.configure(ecs_run_seconds=0.2)
    asked: list[str] = []

    def lines(cluster: str, key: str, zone: ZoneInfo) -> list[str]:
        asked.append(key)
        return aurora_lines.sample_lines(cluster, key, zone)

    shipped = aurora.ship_now(endpoint, SETTINGS, "main", lines, **HERE)
    assert asked == [shipped.key]
    assert events() == []
    aws_client("ecs").get_waiter("tasks_stopped").wait(
        cluster="batch", tasks=[shipped.task_arn], WaiterConfig={"Delay": 1}
    )
    (event,) = events()
    assert event["detail"]["overrides"] == {"containerOverrides": [{"name": "shipper", "command": ["main"]}]}
    assert exit_codes(event["detail"]) == {"log-router": 143, "shipper": 0}
    started = datetime.fromisoformat(event["detail"]["startedAt"])
    assert key_of(started, "hour", ZONE, back=1) == shipped.key
    day, hour = shipped.key.split("T")
    assert keys_of(aws_client) == [f"aurora/audit/main/{day}/{hour}/audit.log.{n}.gz" for n in (0, 1)]


@pytest.mark.parametrize("left", [9, 11])
def test_no_task_starts_in_the_last_seconds_of_an_hour(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    clock = [datetime(2026, 11, 20, 1, tzinfo=UTC) - timedelta(seconds=left)]
    monkeypatch.setattr(aurora, "utc_now", lambda: clock[0])
    # In this module alone: the stand-in's threads sleep too.
    slept = SimpleNamespace(sleep=lambda seconds: clock.append(clock.pop() + timedelta(seconds=seconds)))
    monkeypatch.setattr(aurora, "time", slept)
    key = aurora.ship_now(endpoint, SETTINGS, "main", [], **HERE).key
    assert key == {9: "2026-11-20T09", 11: "2026-11-20T08"}[left]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("cluster", ["main", "side", "daily"])
@pytest.mark.parametrize("key", ["2026-11-20T09", "2026-03-08T01", "2026-11-01T01", "2026-12-31T23"])
def test_the_start_gives_the_key_back(cluster: str, key: str, zone: str) -> None:
    shipper, tz = SETTINGS.clusters[cluster], ZoneInfo(zone)
    key = key if shipper.ships == "hour" else key[:10]
    started = aurora.start_of(shipper, key, tz, datetime(2027, 6, 1, tzinfo=UTC))
    assert key_of(started, shipper.ships, tz, back=shipper.lag) == key
    hour = Window.of(key_of(started, shipper.ships, tz), shipper.ships, tz)
    # The task may have started a moment ago, and never in the future.
    now = hour.start + timedelta(seconds=2)
    assert aurora.start_of(shipper, key, tz, now) == hour.start + timedelta(seconds=1)
    with pytest.raises(ValueError, match="yet to come"):
        aurora.start_of(shipper, key, tz, hour.start)


def test_what_is_to_come_cannot_be_shipped(endpoint: str, events: Callable[[], list[dict[str, Any]]]) -> None:
    with pytest.raises(ValueError, match="2126-01-01T00"):
        aurora.ship(endpoint, SETTINGS, "main", "2126-01-01T00", [LINE], **HERE)
    assert events() == []


def test_a_task_that_ships_a_day(
    endpoint: str, events: Callable[[], list[dict[str, Any]]], aws_client: Callable[..., Any]
) -> None:
    shipped = ship_key(endpoint, "daily", aurora_lines.sample_lines, key="2026-11-20")
    assert shipped.key == "2026-11-20"
    folders = [key.rpartition("/")[0] for key in keys_of(aws_client)]
    assert Counter(folders) == {f"aurora/audit/daily/2026-11-20/{hour:02d}": 2 for hour in range(24)}
    lines = [LINE, LINE.replace("1795132800000001", "1795136399999999")]
    ship_key(endpoint, "daily", [*lines, LINE.replace("1795132800000001", "1795136400000000")], key="2026-11-20")
    assert len(keys_of(aws_client)) == 48
    assert len(events()) == 2


def test_lines_in_athena(endpoint: str, athena: Athena) -> None:
    lines = aurora_lines.sample_lines("main", KEY, ZONE) + aurora_lines.incident_lines("main", KEY, ZONE)
    ship_key(endpoint, "main", lines)
    athena.run(TABLE)
    text = "SELECT * FROM aurora WHERE cluster = 'main' AND day = '2026-11-20' AND hour = ?"
    partition = ("main", "2026-11-20", "09")
    wanted = [
        (*(value.removeprefix("'").removesuffix("'").replace(r"\'", "'") for value in fields.values()), *partition)
        for fields in fields_of(lines)
    ]
    found = athena.rows(text, "'09'")
    assert sorted(found) == sorted(wanted)
    statements = {row[8] for row in found}
    assert "SELECT id, name FROM customers WHERE name IN ('山田 花子', 'Pat O''Brien') LIMIT 5" in statements
    assert "GRANT ALL PRIVILEGES ON *.* TO 'helper'@'%' IDENTIFIED BY 'not-a-real-password'" in statements
    assert athena.rows(text, "'00'") == []


def test_sample_lines() -> None:
    for hour in range(24):
        key = f"2026-11-20T{hour:02d}"
        lines = aurora_lines.sample_lines("main", key, ZONE)
        assert lines == aurora_lines.sample_lines("main", key, ZONE)
        assert 200 <= len(lines) <= 400
        found, window = fields_of(lines), Window.hour(key, ZONE)
        times = [int(fields["timestamp"]) for fields in found]
        assert all(datetime.fromtimestamp(at / 1e6, UTC) in window for at in times)
        assert times != sorted(times)
        assert {fields["operation"] for fields in found} == {"CONNECT", "DISCONNECT", "QUERY", "READ", "WRITE"}
        assert {fields["retcode"] for fields in found if fields["operation"] in ("READ", "WRITE")} == {""}
        assert {fields["retcode"] for fields in found if fields["operation"] not in ("READ", "WRITE")} == {"0"}
        hosts = {(fields["username"], fields["host"]) for fields in found}
        assert hosts == {*aurora_lines.USERS, ("rdsadmin", "localhost")}
    assert aurora_lines.sample_lines("side", KEY, ZONE) != aurora_lines.sample_lines("main", KEY, ZONE)


def test_hosts_are_of_networks_for_documentation() -> None:
    hosts = [host for _, host in aurora_lines.USERS] + [aurora_lines.STRANGER]
    assert {host.rpartition(".")[0] for host in hosts} == set(samples.NETWORKS)


def test_connections_of_two_hours_and_of_an_incident_are_others() -> None:
    hours = [f"2026-11-20T{hour:02d}" for hour in range(24)]
    made = [
        make("main", key, ZONE) for make in (aurora_lines.sample_lines, aurora_lines.incident_lines) for key in hours
    ]
    numbers = [{fields["connectionid"] for fields in fields_of(lines)} for lines in made]
    assert sum(map(len, numbers)) == len(set().union(*numbers))


def test_incident_lines() -> None:
    lines = aurora_lines.incident_lines("main", KEY, ZONE)
    assert lines == aurora_lines.incident_lines("main", KEY, ZONE)
    found, window = fields_of(lines), Window.hour(KEY, ZONE)
    assert all(datetime.fromtimestamp(int(fields["timestamp"]) / 1e6, UTC) in window for fields in found)
    assert {(fields["username"], fields["host"]) for fields in found} == {("admin", aurora_lines.STRANGER)}
    failed = [fields for fields in found if fields["operation"] == "FAILED_CONNECT"]
    assert [fields["retcode"] for fields in failed] == ["1045"] * 12
    times = [int(fields["timestamp"]) for fields in failed]
    assert max(times) - min(times) <= 120 * 10**6
    operations = Counter(fields["operation"] for fields in found)
    assert operations == {"FAILED_CONNECT": 12, "CONNECT": 1, "QUERY": 8, "READ": 5, "DROP": 2, "DISCONNECT": 1}
    statements = "\n".join(fields["object"] for fields in found if fields["operation"] == "QUERY")
    assert r"IDENTIFIED BY \'not-a-real-password\'" in statements
    assert statements.count("DROP TABLE") == 2
