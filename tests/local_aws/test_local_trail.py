"""The trail: records, files in S3, the sample day, and Athena on them."""

# ruff: noqa: S608 - the SQL is the test's own

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest

from local_aws import trail, trail_records
from local_aws.control import Control
from local_aws.trail_day import SLOT, TrailFile, each_once, sample_day, sample_files, sample_schedules, time_of
from local_aws.trail_records import ACCOUNT, BATCH, REGION, Record, batch_call, scheduler_call
from log_audit.window import Window, utc_now
from tests.local_aws.athena_client import Athena

GLUE = "glue.amazonaws.com"
BUCKET = "shop-trail"
AT = datetime(2026, 1, 19, 23, 30, tzinfo=UTC)
DAY = Window.day("2026-01-20", "Asia/Tokyo")
# AWS's own, without the one map in it.
# https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html
TABLE = f"""CREATE EXTERNAL TABLE logs.calls (
  eventversion string,
  useridentity struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,
    accesskeyid:string,username:string,onbehalfof:struct<userid:string,identitystorearn:string>,
    sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,
      sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,
      ec2roledelivery:string>>,
  eventtime string, eventsource string, eventname string, awsregion string, sourceipaddress string,
  useragent string, errorcode string, errormessage string, requestparameters string, responseelements string,
  additionaleventdata string, requestid string, eventid string, readonly string,
  resources array<struct<arn:string,accountid:string,type:string>>, eventtype string, apiversion string,
  recipientaccountid string, serviceeventdetails string, sharedeventid string, vpcendpointid string,
  eventcategory string, tlsdetails struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>)
PARTITIONED BY (account string, region string, day string)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://{BUCKET}/AWSLogs/'
TBLPROPERTIES ('projection.enabled' = 'true',
  'projection.account.type' = 'enum', 'projection.account.values' = '{ACCOUNT},111111111111',
  'projection.region.type' = 'enum', 'projection.region.values' = '{REGION}',
  'projection.day.type' = 'date', 'projection.day.format' = 'yyyy/MM/dd', 'projection.day.range' = '2026/01/01,NOW',
  'projection.day.interval' = '1', 'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://{BUCKET}/AWSLogs/${{account}}/CloudTrail/${{region}}/${{day}}/')"""

Make = Callable[..., Any]


@pytest.fixture
def calls(athena: Athena) -> Athena:
    """Athena with the bucket of the trail, and a table on it."""
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    assert athena.run(TABLE)["Status"]["State"] == "SUCCEEDED"
    return athena


def held(s3: Any, key: str) -> list[Record]:
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    records: list[Record] = json.loads(gzip.decompress(body))["Records"]
    return records


def test_the_articles_record() -> None:
    record = scheduler_call(
        *(datetime(2023, 8, 25, 10, 29, 31, tzinfo=UTC), "role-from-eventbridge-to-glue", GLUE, "StartWorkflowRun"),
        error="EntityNotFoundException",
        message="Entity not found",
        agent="old",
        request_parameters={"name": "MyData"},
        account="111111111111",
    )
    identity = record.pop("userIdentity")
    session = identity["arn"].rpartition("/")[2]
    issuer = identity["sessionContext"]["sessionIssuer"]
    principal = issuer["principalId"]
    assert identity == {
        "type": "AssumedRole",
        "principalId": f"{principal}:{session}",
        "arn": f"arn:aws:sts::111111111111:assumed-role/role-from-eventbridge-to-glue/{session}",
        "accountId": "111111111111",
        "accessKeyId": identity["accessKeyId"],
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": principal,
                "arn": "arn:aws:iam::111111111111:role/role-from-eventbridge-to-glue",
                "accountId": "111111111111",
                "userName": "role-from-eventbridge-to-glue",
            },
            "attributes": {"creationDate": "2023-08-25T10:29:31Z", "mfaAuthenticated": "false"},
        },
    }
    assert (len(session), len(principal), len(identity["accessKeyId"])) == (32, 21, 20)
    assert identity["accessKeyId"].endswith("EXAMPLE")
    assert record.pop("userAgent").startswith("AmazonEventBridgeScheduler, aws-sdk-java/2.20.126 Linux/5.10")
    assert len(record.pop("requestID")) == len(record.pop("eventID")) == 36
    assert record == {
        "eventVersion": "1.08",
        "eventTime": "2023-08-25T10:29:31Z",
        "eventSource": GLUE,
        "eventName": "StartWorkflowRun",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.22",
        "errorCode": "EntityNotFoundException",
        "errorMessage": "Entity not found",
        "requestParameters": {"name": "MyData"},
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111111111111",
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "glue.ap-northeast-1.amazonaws.com",
        },
    }


def test_both_forms_of_the_schedulers_agent() -> None:
    old, new = (scheduler_call(AT, "r", GLUE, "StartWorkflowRun", agent=form)["userAgent"] for form in ("old", "new"))
    assert old.startswith("AmazonEventBridgeScheduler, aws-sdk-java/")
    assert new.startswith("AmazonEventBridgeScheduler aws-sdk-java/")


def test_the_guides_record_says_less() -> None:
    admin = trail_records.assumed_role("Admin", "admin", AT)
    old = batch_call(AT, "CreateComputeEnvironment", identity=admin, version="1.05")
    assert not {"managementEvent", "eventCategory", "tlsDetails"} & old.keys()
    new = batch_call(AT, "CreateComputeEnvironment", identity=admin)
    assert {"managementEvent", "eventCategory", "tlsDetails"} <= new.keys()
    assert (new["eventSource"], new["readOnly"]) == (BATCH, False)
    assert batch_call(AT, "ListJobs", identity=admin)["readOnly"] is True


def test_kinds_of_callers() -> None:
    made = {
        "root key": trail_records.root(),
        "root console": trail_records.root(since=AT),
        "user": trail_records.iam_user("alice"),
        "console": trail_records.console_user("carol", AT),
        "role": trail_records.assumed_role("service-role/deploy", "s", AT),
        "sso": trail_records.sso_role("DataEngineer", "bob", AT),
        "service": trail_records.service("events.amazonaws.com"),
        "through": trail_records.invoked_by("states.amazonaws.com", trail_records.assumed_role("m", "s", AT)),
    }
    issuers = {kind: identity.get("sessionContext", {}).get("sessionIssuer") for kind, identity in made.items()}
    assert {kind for kind, issuer in issuers.items() if issuer} == {"role", "sso", "through"}
    assert {kind for kind, identity in made.items() if "sessionContext" not in identity} == {
        "root key",
        "user",
        "service",
    }
    assert {kind for kind, identity in made.items() if "invokedBy" in identity} == {"service", "through"}
    prefixes = {kind: identity.get("accessKeyId", "")[:4] for kind, identity in made.items()}
    assert {kind for kind, prefix in prefixes.items() if prefix == "AKIA"} == {"root key", "user"}
    assert issuers["role"]["userName"] == "deploy"
    assert issuers["role"]["arn"].endswith(":role/service-role/deploy")
    assert issuers["sso"]["userName"].startswith("AWSReservedSSO_DataEngineer_")
    assert issuers["sso"]["arn"].endswith(f":role/aws-reserved/sso.amazonaws.com/{issuers['sso']['userName']}")
    by_service = batch_call(AT, "SubmitJob", identity=made["through"])
    assert by_service["userAgent"] == by_service["sourceIPAddress"] == "states.amazonaws.com"


def test_an_error_without_a_message() -> None:
    record = scheduler_call(AT, "r", GLUE, "StartWorkflowRun", error="ThrottlingException")
    assert record["errorCode"] == "ThrottlingException"
    assert "errorMessage" not in record


def test_ids_are_the_same_each_time_and_no_others() -> None:
    made = [
        scheduler_call(AT + timedelta(seconds=second), role, GLUE, event, number=number)
        for second in range(3)
        for role in ("a", "b")
        for event in ("StartWorkflowRun", "StartCrawler")
        for number in range(2)
    ]
    assert len({record["eventID"] for record in made}) == len({record["requestID"] for record in made}) == len(made)
    assert made[0] == scheduler_call(AT, "a", GLUE, "StartWorkflowRun")


def test_files_lie_under_the_day_of_their_publication(aws: Control, calls: Athena) -> None:
    record = scheduler_call(AT, "r", GLUE, "StartWorkflowRun")
    (key,) = trail.write_trail(aws.endpoint, BUCKET, [record], published=AT + timedelta(hours=2))
    path = PurePosixPath(key)
    assert str(path.parent) == f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/20"
    *named, unique = path.name.removesuffix(".json.gz").split("_")
    assert named == [ACCOUNT, "CloudTrail", REGION, "20260120T0130Z"]
    assert len(unique) == 16
    assert held(calls.s3, key) == [record]
    # The same again, and once more in another file.
    assert trail.write_trail(aws.endpoint, BUCKET, [record], published=AT + timedelta(hours=2)) == [key]
    (other,) = trail.write_trail(aws.endpoint, BUCKET, [record], published=AT + timedelta(hours=2, minutes=5))
    assert other != key
    text = "SELECT count(*), count(DISTINCT eventid) FROM calls WHERE day = '2026/01/20'"
    assert calls.rows(text) == [("2", "1")]


def test_files_come_a_few_minutes_after_their_calls(aws: Control, calls: Athena) -> None:
    records = [scheduler_call(AT + timedelta(minutes=minute), "r", GLUE, "StartCrawler") for minute in range(40)]
    keys = trail.write_trail(aws.endpoint, BUCKET, records)
    minutes = ["2335", "2340", "2345", "2350", "2355", "0000", "0005", "0010", "0015"]
    assert [key.split("_")[3][9:13] for key in keys] == minutes
    assert {key.split("/")[6] for key in keys[:5]} == {"19"}
    assert {key.split("/")[6] for key in keys[5:]} == {"20"}
    assert [record for key in keys for record in held(calls.s3, key)] == records


def test_an_account_and_region_of_its_own(aws: Control, calls: Athena) -> None:
    place = {"account": "111111111111", "region": "us-east-1"}
    (key,) = trail.write_trail(aws.endpoint, BUCKET, [scheduler_call(AT, "r", GLUE, "StartCrawler", **place)], **place)
    assert key.startswith("AWSLogs/111111111111/CloudTrail/us-east-1/2026/01/19/111111111111_CloudTrail_us-east-1_")


def scheduled(records: list[Record]) -> list[Record]:
    return [record for record in records if record["userAgent"].startswith("AmazonEventBridgeScheduler")]


def role_of(record: Record) -> str:
    name: str = record["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"]
    return name


def in_tokyo(record: Record) -> str:
    return f"{time_of(record) + timedelta(hours=9):%H:%M}"


def test_the_day_is_the_same_each_time() -> None:
    assert sample_files(DAY) == sample_files(DAY)
    assert sample_day(DAY) != sample_day(DAY, seed=1)
    text = json.dumps(sample_day(DAY, account="111111111111", region="us-east-1"))
    assert ACCOUNT not in text
    assert REGION not in text
    with pytest.raises(ValueError, match="no day in Asia/Tokyo"):
        sample_day(Window.day("2026-01-20", "UTC"))


def test_the_day_has_what_is_planted() -> None:
    records = sample_day(DAY)
    assert all(time_of(record) in DAY for record in records)
    # The first and the last second of the day are there.
    assert (records[0]["eventTime"], records[-1]["eventTime"]) == ("2026-01-19T15:00:00Z", "2026-01-20T14:59:59Z")
    by_role = Counter(role_of(record) for record in scheduled(records))
    assert by_role == {
        "shop-glue-hourly": 23,
        "shop-stock-sync": 96,
        "shop-ecs-nightly": 1,
        "shop-batch-nightly": 1,
        "shop-crawlers": 2,
    }
    glue = [record for record in scheduled(records) if role_of(record) == "shop-glue-hourly"]
    assert "14" not in {in_tokyo(record)[:2] for record in glue}
    (failed,) = [record for record in scheduled(records) if "errorCode" in record]
    assert (in_tokyo(failed), failed["errorCode"]) == ("10:00", "EntityNotFoundException")
    (task,) = [record for record in records if record["eventName"] == "RunTask"]
    assert task["requestParameters"]["startedBy"] == "chronos-schedule/shop-ecs-nightly"
    assert {record["userAgent"][26] for record in scheduled(records)} == {",", " "}
    assert all(time_of(record).second for record in scheduled(records))


def test_the_days_callers_of_batch() -> None:
    batch = [record for record in sample_day(DAY) if record["eventSource"] == BATCH]
    kinds = {record["userIdentity"]["type"] for record in batch}
    assert kinds == {"Root", "IAMUser", "AssumedRole", "AWSService"}
    counts = Counter(record["eventName"] for record in batch)
    assert counts["SubmitJob"] == 12
    assert counts["DescribeJobs"] == 11
    assert counts["DeregisterJobDefinition"] == counts["UpdateJobQueue"] == 1
    denied, nameless = [record for record in batch if "errorCode" in record]
    assert (denied["errorCode"], denied["sourceIPAddress"]) == ("AccessDeniedException", "198.51.100.77")
    assert (nameless["eventVersion"], nameless.get("errorMessage")) == ("1.05", None)
    assert any("invokedBy" in r["userIdentity"] and r["userIdentity"]["type"] == "AssumedRole" for r in batch)
    assert any("AWSReservedSSO_" in r["userIdentity"].get("arn", "") for r in batch)


def test_the_days_files_are_late_and_double_as_planted() -> None:
    files = sample_files(DAY)
    assert files == sorted(files, key=lambda file: file.published)
    published: dict[str, list[datetime]] = {}
    for file in files:
        for record in file.records:
            published.setdefault(record["eventID"], []).append(file.published)
    records = {record["eventID"]: record for record in each_once(files)}
    twice = sorted(in_tokyo(records[name]) for name, times in published.items() if len(times) > 1)
    assert twice == ["02:30", "09:00"]
    late = {
        in_tokyo(records[name]): (times[0] - time_of(records[name])) // timedelta(hours=1)
        for name, times in published.items()
        if times[0] - time_of(records[name]) > timedelta(hours=1)
    }
    assert late == {"08:00": 2, "23:45": 10}
    days = Counter(f"{file.published:%Y/%m/%d}" for file in files)
    assert list(days) == DAY.utc_days(slack=1)
    assert all(file.published.minute % (SLOT.seconds // 60) == 0 for file in files)


def test_the_schedules_can_be_created_over_http(aws_client: Make) -> None:
    scheduler = aws_client("scheduler")
    for schedule in sample_schedules():
        scheduler.create_schedule(**schedule)
        found = scheduler.get_schedule(Name=schedule["Name"])
        target = {name: found["Target"][name] for name in schedule["Target"]}
        assert {name: found[name] for name in schedule} | {"Target": target} == schedule
    roles = Counter(schedule["Target"]["RoleArn"] for schedule in sample_schedules())
    assert [role for role, count in roles.items() if count > 1] == [f"arn:aws:iam::{ACCOUNT}:role/shop-crawlers"]
    assert [s["Name"] for s in sample_schedules() if s["State"] == "DISABLED"] == ["shop-glue-legacy"]
    assert [s["Name"] for s in sample_schedules() if ":lambda:" in s["Target"]["Arn"]] == ["shop-mail-hourly"]


def test_load(aws: Control, aws_client: Make, athena: Athena) -> None:
    aws.configure(trail_lookups_per_second=0)
    yesterday = Window.day(f"{utc_now() + timedelta(hours=9 - 24):%Y-%m-%d}", "Asia/Tokyo")
    loaded = trail.load(aws.endpoint, BUCKET, yesterday)
    again = trail.load(aws.endpoint, BUCKET, yesterday)
    assert (again.keys[0], again.schedules) == (loaded.keys[0], loaded.schedules)
    of_day = [record for record in loaded.records if time_of(record) in yesterday]
    following = [record for record in loaded.records if time_of(record) >= yesterday.end]
    # What is published after this moment is not there yet, be it of the day.
    assert len(sample_day(yesterday)) - len(of_day) <= 10
    assert len(of_day) + len(following) == len(loaded.records)
    assert all(time_of(record) < yesterday.end + timedelta(hours=12) for record in following)
    # The three ways to look tell the same.
    glue = {record["eventID"] for record in loaded.records if record["eventName"] == "StartWorkflowRun"}
    asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "StartWorkflowRun"}]}
    pages = aws_client("cloudtrail").get_paginator("lookup_events").paginate(**asked)
    assert {event["EventId"] for page in pages for event in page["Events"]} >= glue
    athena.run(TABLE)
    rows = athena.rows("SELECT DISTINCT eventid FROM calls WHERE eventname = 'StartWorkflowRun'")
    assert {row[0] for row in rows} >= glue
    listed = aws_client("scheduler").list_schedules()["Schedules"]
    assert sorted(schedule["Name"] for schedule in listed) == sorted(loaded.schedules)
    assert {schedule["CreationDate"] for schedule in listed} == {yesterday.start - timedelta(days=30)}


def test_load_at_another_time(aws: Control) -> None:
    early = DAY.start + timedelta(hours=3)
    loaded = trail.load(aws.endpoint, BUCKET, DAY, now=early)
    assert max(record["eventTime"] for record in loaded.records) < early.strftime("%Y-%m-%dT%H:%M:%SZ")
    full = trail.load(aws.endpoint, BUCKET, DAY, following=timedelta(0))
    assert len(full.records) == len(sample_day(DAY))


def test_athena_reads_who_called(aws: Control, calls: Athena) -> None:
    trail.write_files(aws.endpoint, BUCKET, sample_files(DAY))
    days = ", ".join(f"'{day}'" for day in DAY.utc_days())
    start, end = DAY.eventtime_range()
    once = f"""WITH once AS (
        SELECT *, row_number() OVER (PARTITION BY eventid ORDER BY eventtime) AS copy FROM calls
        WHERE account = '{ACCOUNT}' AND region = '{REGION}' AND day IN ({days})
        AND eventtime >= '{start}' AND eventtime < '{end}')
        SELECT {{}} FROM once WHERE copy = 1 """
    assert calls.rows(once.format("count(*)")) == [(str(len(sample_day(DAY))),)]
    rows = calls.rows(
        once.format("useridentity.sessioncontext.sessionissuer.username AS role, count(*), count(errorcode)")
        + "AND useragent LIKE 'AmazonEventBridgeScheduler%' GROUP BY 1 ORDER BY 1"
    )
    assert rows == [
        ("shop-batch-nightly", "1", "0"),
        ("shop-crawlers", "2", "0"),
        ("shop-ecs-nightly", "1", "0"),
        ("shop-glue-hourly", "23", "1"),
        ("shop-stock-sync", "96", "0"),
    ]
    kinds = calls.rows(
        once.format(
            "DISTINCT useridentity.type, useridentity.invokedby, "
            "useridentity.sessioncontext.sessionissuer.username IS NULL"
        )
        + f"AND eventsource = '{BATCH}' AND eventname <> 'UpdateJobQueue' ORDER BY 1, 2"
    )
    assert kinds == [
        ("AWSService", "events.amazonaws.com", "true"),
        ("AssumedRole", "states.amazonaws.com", "false"),
        ("AssumedRole", None, "false"),
        ("IAMUser", None, "true"),
    ]
    (task,) = calls.rows(
        once.format("json_extract_scalar(requestparameters, '$.startedBy')") + "AND eventname = 'RunTask'"
    )
    assert task == ("chronos-schedule/shop-ecs-nightly",)
    # Without the day that follows, what was published late is missed.
    last = calls.rows(f"SELECT count(DISTINCT eventid) FROM calls WHERE day = '{DAY.utc_days()[-1]}'")
    assert last == [("1",)]


def test_two_hundred_thousand_records_of_a_day(aws: Control, calls: Athena) -> None:
    count = 200_000
    some = [record for file in sample_files(DAY) for record in file.records]
    records = [some[number % len(some)] | {"eventID": f"{number:036}"} for number in range(count)]
    started = time.monotonic()
    keys = trail.write_trail(aws.endpoint, BUCKET, records, published=DAY.start + timedelta(hours=10))
    written = time.monotonic() - started
    assert len(keys) == 40
    started = time.monotonic()
    text = """SELECT useridentity.sessioncontext.sessionissuer.username, count(DISTINCT eventid), count(errorcode),
        max(useridentity.invokedby), max(json_extract_scalar(requestparameters, '$.name')) FROM calls
        WHERE day = '2026/01/20' AND useragent LIKE 'AmazonEventBridgeScheduler%' GROUP BY 1 ORDER BY 2 DESC"""
    rows = calls.rows(text)
    assert rows[0][0] == "shop-stock-sync"
    read = time.monotonic() - started
    assert written < 60  # 3 to 4
    assert read < 60  # 2 to 3 seconds on an idle machine of two cores


def test_late_and_double_files_of_many_records_are_one_by_one(aws: Control, calls: Athena) -> None:
    records = [batch_call(AT, "SubmitJob", identity=trail_records.root(), number=number) for number in range(12_000)]
    keys = trail.write_files(aws.endpoint, BUCKET, [TrailFile(AT, records)])
    assert [len(held(calls.s3, key)) for key in keys] == [5_000, 5_000, 2_000]
    assert len(set(keys)) == 3
