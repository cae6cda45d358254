"""Every audit of ``include/sql/audits/cloudtrail``, and ``scheduler_calls``, against the samples in
``cloudtrail/<name>.yaml``: through the real table, macro and SQL, on the stand-in's Athena.

A file of samples::

    fires:
      - name: what is special about it
        window: "2026-01-14"          # the day in Tokyo; left out, this one
        parameters: {calls_end: …}    # these in place of the header's
        records:                      # each a record of CloudTrail, as far as it differs from SCHEDULER or BATCH
          - {eventTime: "2026-01-14T01:00:00Z", errorCode: Throttling, userIdentity.invokedBy: absent}
        findings: 1                   # how many there are in all
        rows: [{role: nightly}]       # the first ones in order, each with some of its columns; null is NULL
    silent:
      - name: …

A dot leads into an object, ``absent`` takes a key away. ``account``, ``region``, ``published`` (the day's folder) and
``file`` say where the record lies, ``times`` how many of it there are, each with an eventID of its own.

2026-01-14 is a Wednesday; it begins in Tokyo at 2026-01-13T15:00:00Z.
"""

import copy
import gzip
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest

from local_aws.control import Control
from log_audit.audits import FOLDERS, cloudtrail_window, query_files
from log_audit.query_file import QueryFile, read_query_file
from log_audit.redaction import SENSITIVE_FIELD, Redactor
from log_audit.settings import Settings, load_settings
from log_audit.sql import bind
from tests.local_aws.athena_client import BUCKET, Athena
from tests.queries.samples import Samples, check_findings, check_header

SQL = FOLDERS["cloudtrail"].parents[1]
TABLE = SQL / "tables" / "cloudtrail.sql"
FILES = {
    path.stem: path for path in [*query_files(FOLDERS["cloudtrail"]), *query_files(SQL / "sources" / "cloudtrail")]
}
NAMES = sorted(FILES)
SAMPLES = Samples(Path(__file__).parent / "cloudtrail", NAMES, {"name", "window", "parameters", "records"})
BATCH_NAMES = [name for name in NAMES if name.startswith("batch_")]
LOCATION = f"s3://{BUCKET}/AWSLogs"
DAY = "2026-01-14"
NOON = "2026-01-14T03:00:00Z"
ACCOUNTS, REGIONS = ("111111111111", "123456789012"), ("ap-northeast-1", "us-east-1")
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {{bucket: some-bucket, log_groups: [{{name: /app}}]}}
    cloudtrail: {{location: {LOCATION}, accounts: {list(ACCOUNTS)}, regions: {list(REGIONS)}}}
"""
AGENT = "AmazonEventBridgeScheduler, aws-sdk-java/2.20.126 Linux/5.10.184-175.749.amzn2.x86_64 io/async http/NettyNio"
# The records of the two articles, with addresses of the networks for documentation.
SCHEDULER: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROA4BIFDEYZQWO7W6ISG:19bdad09bdcb34aeb0e3685c9c38bf23",
        "arn": "arn:aws:sts::111111111111:assumed-role/nightly/19bdad09bdcb34aeb0e3685c9c38bf23",
        "accountId": "111111111111",
        "accessKeyId": "ASIA4BIFDEYZ3OSSHRFO",  # pragma: allowlist secret - the id in a public article
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROA4BIFDEYZQWO7W6ISG",
                "arn": "arn:aws:iam::111111111111:role/nightly",
                "accountId": "111111111111",
                "userName": "nightly",
            },
            "attributes": {"creationDate": NOON, "mfaAuthenticated": "false"},
        },
    },
    "eventTime": NOON,
    "eventSource": "glue.amazonaws.com",
    "eventName": "StartWorkflowRun",
    "awsRegion": "ap-northeast-1",
    "sourceIPAddress": "192.0.2.22",
    "userAgent": AGENT,
    "requestParameters": {"name": "MyData"},
    "responseElements": None,
    "requestID": "ed64e882-6c8b-4f6d-aba2-7bcdba1c5c92",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "managementEvent": True,
    "recipientAccountId": "111111111111",
    "eventCategory": "Management",
    "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
}
BATCH: dict[str, Any] = {
    "eventVersion": "1.05",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AIDACKCEVSQ6C2EXAMPLE:alice",
        "arn": "arn:aws:sts::111111111111:assumed-role/Admin/alice",
        "accountId": "111111111111",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "attributes": {"mfaAuthenticated": "false", "creationDate": NOON},
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                "arn": "arn:aws:iam::111111111111:role/Admin",
                "accountId": "111111111111",
                "userName": "Admin",
            },
        },
    },
    "eventTime": NOON,
    "eventSource": "batch.amazonaws.com",
    "eventName": "CreateComputeEnvironment",
    "awsRegion": "ap-northeast-1",
    "sourceIPAddress": "203.0.113.1",
    "userAgent": "aws-cli/1.11.167 Python/2.7.10 Darwin/16.7.0 botocore/1.7.25",
    "requestParameters": {
        "computeResources": {
            "subnets": ["subnet-5eda8e04"],
            "tags": {"testBatchTags": "CLI testing CE"},
            "maxvCpus": 128,
        },
        "state": "ENABLED",
        "type": "MANAGED",
        "computeEnvironmentName": "Test",
    },
    "responseElements": {"computeEnvironmentName": "Test"},
    "requestID": "890b8639-e51f-11e7-b038-EXAMPLE",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "recipientAccountId": "111111111111",
}
PLACES = {"account", "region", "published", "file", "times"}
# What may stand wherever a caller has a say.
HOSTILE = [
    *(
        "",
        " ",
        "'; DROP TABLE cloudtrail; --",
        "{{ params.location }}",
        ":window_start ? ::",
        "\\",
        '\\"',
        "'\"`\n\r\t\0",
    ),
    *(
        "%_%",
        "日本語 🦊 e\u0301\u202e",
        "<script>@channel</script>",
        '{"a": [1, {"b": null}]}',
        "$1 \\1 ${day}",
        "(?i)(((a+)+)+)$",
    ),
    *("[" * 500, "a" * 100_000, '"value":"' * 5000, "\u2028\u0085", "NaN", "-1", "null"),
]
# What AWS itself keeps short.
SHORT = {"who", "role", "source_ip", "event", "error_code", "resource", "started_by"}
Row = dict[str, str | None]


def query_of(name: str) -> QueryFile:
    return read_query_file(FILES[name])


def base_of(name: str) -> dict[str, Any]:
    return SCHEDULER if name.startswith("scheduler_") else BATCH


def made(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A record: the base with the changes, whose keys may lead into objects by dots."""
    record = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, key = path.split(".")
        place = record
        for parent in parents:
            place = place.setdefault(parent, {})
        if value == "absent":
            del place[key]
        else:
            place[key] = value
    return record


@dataclass(frozen=True)
class Placed:
    """A record and the file it lies in: account, region, day (``yyyy/MM/dd``) and which of the day's files."""

    record: dict[str, Any]
    account: str = ACCOUNTS[0]
    region: str = REGIONS[0]
    published: str = ""
    file: str = "1"

    @property
    def key(self) -> str:
        day = self.published or self.record["eventTime"][:10].replace("-", "/")
        name = f"{self.account}_CloudTrail_{self.region}_{day.replace('/', '')}T0005Z_{self.file}.json.gz"
        return f"AWSLogs/{self.account}/CloudTrail/{self.region}/{day}/{name}"


def placed_of(name: str, case: dict[str, Any]) -> list[Placed]:
    """The records of a case, each with an eventID of its own unless the case gives it one."""
    found = []
    for number, given in enumerate(case["records"]):
        where = {key: value for key, value in given.items() if key in PLACES - {"times"}}
        changes = {key: value for key, value in given.items() if key not in PLACES}
        for nth in range(given.get("times", 1)):
            record = made({"eventID": f"event-{number:03d}-{nth:05d}"} | base_of(name), changes)
            found.append(Placed(record, **where))
    return found


@dataclass
class Trail:
    """CloudTrail's files in S3, the table over them, and the audits."""

    athena: Athena
    settings: Settings

    def put(self, records: Iterable[Placed]) -> None:
        files: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in records:
            files[one.key].append(one.record)
        for key, held in files.items():
            self.athena.put(key, json.dumps({"Records": held}))

    def bound(self, query: QueryFile, key: str, parameters: dict[str, Any]) -> tuple[str, list[str]]:
        assert set(parameters) <= set(query.parameters)
        asked = replace(query, parameters=query.parameters | parameters)
        return bind(asked.body, cloudtrail_window("tokyo", key, self.settings).values(asked))

    def look(self, name: str, key: str = DAY, **parameters: Any) -> list[Row]:
        text, values = self.bound(query_of(name), key, parameters)
        header, *rows = self.athena.table(text, *values)
        return [dict(zip(header, row, strict=True)) for row in rows]

    def look_at(self, name: str, case: dict[str, Any]) -> list[Row]:
        return self.look(name, case.get("window", DAY), **case.get("parameters", {}))

    def scanned(self, name: str, key: str) -> int:
        text, values = self.bound(query_of(name), key, {})
        return self.athena.scanned(text, *values)

    def clear(self) -> None:
        pages = self.athena.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="AWSLogs/")
        for one in [one for page in pages for one in page.get("Contents", [])]:
            self.athena.s3.delete_object(Bucket=BUCKET, Key=one["Key"])

    def calls(self, key: str) -> int:
        """How many calls the list of executions counts on a day."""
        return sum(int(row["calls"] or 0) for row in self.look("scheduler_executions", key))


def rendered() -> str:
    return jinja2.Template(TABLE.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined).render(
        params={
            "location": LOCATION,
            "accounts": ",".join(ACCOUNTS),
            "regions": ",".join(REGIONS),
            "definition": "abc",
        }
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file)


@pytest.fixture
def trail(aws: Control, aws_client: Callable[..., Any], settings: Settings) -> Trail:
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    athena = Athena(aws_client("athena"), aws_client("s3"))
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    for text in ("CREATE DATABASE logs", rendered()):
        status = athena.run(text)["Status"]
        assert status["State"] == "SUCCEEDED", status
    return Trail(athena, settings)


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("fires"))
def test_fires(trail, name, case):
    trail.put(placed_of(name, case))
    check_findings(trail.look_at(name, case), case)


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("silent"))
def test_stays_silent(trail, name, case):
    trail.put(placed_of(name, case))
    assert trail.look_at(name, case) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_query_has_samples_that_fire_and_that_stay_silent(name, settings):
    for case in SAMPLES.check_all(name):
        assert case["records"], case["name"]
        cloudtrail_window("tokyo", case.get("window", DAY), settings)


def test_no_samples_without_a_query():
    SAMPLES.check_names()


@pytest.mark.parametrize("name", NAMES)
def test_the_header_tells_what_a_person_needs(name):
    check_header(query_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_columns_have_plain_names_that_are_not_masked(trail, name):
    trail.put(placed_of(name, SAMPLES.first(name)))
    for column in trail.look_at(name, SAMPLES.first(name))[0]:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", column), column
        assert not SENSITIVE_FIELD.search(column), f"{column} would be masked whole"


@pytest.mark.parametrize("name", BATCH_NAMES)
def test_each_row_answers_the_three_questions(trail, name):
    """Root or IAM, temporary credentials or not, by another service or not: those of the user guide."""
    for case in SAMPLES.of(name)["fires"]:
        trail.put(placed_of(name, case))
        for row in trail.look_at(name, case):
            assert all(row[column] for column in ("identity", "who", "by_service")), row
            assert row["temporary"] in ("true", "false")
        trail.clear()


@pytest.mark.parametrize("name", NAMES)
def test_order_files_and_second_deliveries_do_not_matter(trail, name):
    for number, case in enumerate(SAMPLES.of(name)["fires"]):
        dice = random.Random(number)  # noqa: S311
        records = placed_of(name, case)
        if len(records) > 100 or any("eventID" not in one.record for one in records):
            continue
        again = [replace(one, published=day_after(one), file="late") for one in dice.sample(records, len(records))]
        both = [replace(one, file=dice.choice("123")) for one in records] + again
        dice.shuffle(both)
        trail.put(both)
        check_findings(trail.look_at(name, case), case)
        trail.clear()


def day_after(one: Placed) -> str:
    """The day after an event's, whose folder may hold it too."""
    happened = datetime.fromisoformat(one.record.get("eventTime") or NOON)
    return f"{happened + timedelta(days=1):%Y/%m/%d}"


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_beside_the_window_is_not_told(trail, name):
    records = placed_of(name, SAMPLES.first(name))
    for moment in ("2026-01-13T14:59:59Z", "2026-01-14T15:00:00Z"):
        for one in records:
            one.record["eventTime"] = moment
        trail.put(replace(one, published=day) for one in records for day in ("2026/01/13", "2026/01/14", "2026/01/15"))
        assert trail.look(name) == []
        trail.clear()


def scheduler_call(moment: str, number: int, **where: Any) -> Placed:
    return Placed(made(SCHEDULER, {"eventTime": moment, "eventID": f"call-{number}"}), **where)


def test_a_day_in_tokyo_lies_on_two_days_of_utc(trail):
    moments = ["2026-01-13T15:00:00Z", "2026-01-13T23:59:59Z", "2026-01-14T00:00:00Z", "2026-01-14T14:59:59Z"]
    trail.put(scheduler_call(moment, number) for number, moment in enumerate(moments))
    (row,) = trail.look("scheduler_executions")
    assert (row["calls"], row["first_time"], row["last_time"]) == ("4", moments[0], moments[-1])
    assert [trail.calls(key) for key in ("2026-01-13", "2026-01-15")] == [0, 0]


def test_each_event_counts_on_one_day_alone(trail):
    """Every second around the two midnights, and what Tokyo's neighbours of the day see of them."""
    moments = [
        f"2026-01-{day}T{clock}Z"
        for day in (12, 13, 14, 15)
        for clock in ("14:59:58", "14:59:59", "15:00:00", "15:00:01", "23:59:59", "00:00:00")
    ]
    trail.put(scheduler_call(moment, number) for number, moment in enumerate(moments))
    expected = [
        sum(1 for at in moments if f"{day - 1:02d}T15:00:00Z" <= at[8:] < f"{day:02d}T15:00:00Z")
        for day in range(12, 17)
    ]
    assert [trail.calls(f"2026-01-{day}") for day in range(12, 17)] == expected
    assert sum(expected) == len(moments)


def test_a_record_that_comes_two_hours_late_counts_once(trail):
    """At 23:30 in UTC, published at 01:30 of the next day; and just before the end of the day in Tokyo."""
    late = [scheduler_call("2026-01-13T23:30:00Z", 1, published="2026/01/14")]
    late.append(scheduler_call("2026-01-14T14:59:59Z", 2, published="2026/01/15"))
    trail.put(late)
    assert [trail.calls(key) for key in ("2026-01-13", DAY, "2026-01-15", "2026-01-16")] == [0, 2, 0, 0]


def test_a_record_in_two_files_counts_once(trail):
    files = {"2026/01/14": "12", "2026/01/15": "3"}
    trail.put(scheduler_call(NOON, 1, published=day, file=file) for day, held in files.items() for file in held)
    # Trails of single regions may each record a call to a global service.
    trail.put([scheduler_call(NOON, 1, region="us-east-1")])
    assert [trail.calls(key) for key in ("2026-01-13", DAY, "2026-01-15")] == [0, 1, 0]


def test_records_without_an_id_count_each_by_itself(trail):
    for changes in ({}, {"eventID": None}, {"eventID": ""}):
        record = made(SCHEDULER, changes)
        trail.put([Placed(record), Placed(record), Placed(record, file="2"), Placed(record, published="2026/01/15")])
        assert [trail.calls(key) for key in ("2026-01-13", DAY, "2026-01-15")] == [0, 4, 0]
        assert len(trail.look("scheduler_calls")) == 4
        trail.clear()


@pytest.mark.parametrize("moment", [None, "", "yesterday", "2026-01-14", "2026-01-14T12:00:00+09:00", "1768348800"])
def test_a_record_whose_time_cannot_be_read_counts_on_the_day_of_its_file(trail, moment):
    record = made(SCHEDULER, {"eventTime": moment, "eventID": "e"})
    trail.put([Placed(record, published="2026/01/14"), Placed(record, published="2026/01/14", file="2")])
    assert [trail.calls(f"2026-01-{day}") for day in (12, 13, 14, 15, 16)] == [0, 0, 1, 0, 0]
    assert [row["time"] for row in trail.look("scheduler_calls")] == [moment]


def test_parts_of_a_second_are_on_the_right_day(trail):
    moments = ["2026-01-14T14:59:59.999Z", "2026-01-14T15:00:00.001Z"]
    trail.put(scheduler_call(moment, number) for number, moment in enumerate(moments))
    assert [trail.calls(key) for key in (DAY, "2026-01-15")] == [1, 1]


@pytest.mark.parametrize(
    "agent",
    [
        AGENT,
        AGENT.replace(",", ""),
        "AmazonEventBridgeScheduler",
        "AmazonEventBridgeScheduler aws-sdk-java/2.31.2 md/io#async md/http#NettyNio ua/2.1 cfg/retry-mode#legacy",
    ],
)
def test_both_forms_of_schedulers_agent(trail, agent):
    trail.put([Placed(made(SCHEDULER, {"userAgent": agent, "errorCode": "Throttling", "eventID": "e"}))])
    for name in ("scheduler_executions", "scheduler_failures", "scheduler_calls"):
        assert len(trail.look(name)) == 1, name


def test_other_accounts_and_regions_than_the_watched_are_not_read(trail):
    watched = [scheduler_call(NOON, n, account=account) for n, account in enumerate(ACCOUNTS)]
    watched.append(scheduler_call(NOON, 7, region=REGIONS[1]))
    others = [scheduler_call(NOON, 8, account="222222222222"), scheduler_call(NOON, 9, region="eu-west-1")]
    trail.put([*watched, *others])
    rows = trail.look("scheduler_executions")
    assert {(row["account"], row["region"]) for row in rows} == {(one.account, one.region) for one in watched}
    assert [row["calls"] for row in rows] == ["1", "1", "1"]


def test_each_query_reads_its_days_and_no_others(trail):
    sizes = {}
    for number, day in enumerate(f"2026/01/{day:02d}" for day in range(10, 19)):
        for account, region in ((ACCOUNTS[0], REGIONS[0]), (ACCOUNTS[1], REGIONS[1]), ("222222222222", REGIONS[0])):
            records = [made(BATCH, {"eventID": f"{day}-{n}"}) for n in range(number + 1)]
            one = Placed({}, account, region, day)
            content = gzip.compress(json.dumps({"Records": records}).encode(), 1)
            trail.athena.s3.put_object(Bucket=BUCKET, Key=one.key, Body=content)
            if account in ACCOUNTS:
                sizes[day, account] = len(content)
    # Beside the files of the days: what CloudTrail keeps in the same bucket.
    for other in (
        "CloudTrail-Digest/ap-northeast-1/2026/01/14/x.json.gz",
        "CloudTrail-Insight/ap-northeast-1/x.json.gz",
    ):
        trail.athena.put(f"AWSLogs/{ACCOUNTS[0]}/{other}", "no records")
    days = ("2026/01/13", "2026/01/14", "2026/01/15")
    expected = sum(size for (day, _), size in sizes.items() if day in days)
    for name in NAMES:
        assert trail.scanned(name, DAY) == expected, name


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_where_nothing_is_there(trail, name):
    assert trail.look(name) == []
    assert trail.scanned(name, DAY) == 0
    trail.athena.put(Placed({}, published="2026/01/14").key, '{"Records":[]}')
    assert trail.look(name) == []


def test_the_table_ends_today_and_can_be_made_again(trail):
    assert trail.athena.run(rendered())["Status"]["State"] == "SUCCEEDED"
    today = datetime.now(UTC)
    for days in (-1, 0, 1):
        moment = today + timedelta(days=days)
        trail.put([scheduler_call(f"{moment:%Y-%m-%dT00:00:00Z}", days)])
    assert trail.athena.rows("SELECT count(*) FROM cloudtrail") == [("2",)]
    # The slack day of today's audit has not come, which is no error.
    assert trail.calls(f"{today + timedelta(days=1):%Y-%m-%d}") == 0


@pytest.mark.parametrize("name", NAMES)
def test_records_that_lack_nearly_all_are_borne_and_hide_nothing(trail, name):
    case = SAMPLES.first(name)
    identities = [None, {}, {"type": None, "sessionContext": None}, {"sessionContext": {"sessionIssuer": {}}}]
    bare = [{"eventID": f"bare-{n}", "userIdentity": identity} for n, identity in enumerate(identities)]
    broken = [{}, *bare, {"eventID": None, "eventTime": None, "requestParameters": "text", "responseElements": []}]
    trail.put([*(Placed(one, published="2026/01/14", file="broken") for one in broken), *placed_of(name, case)])
    check_findings(trail.look_at(name, case), case)


@pytest.mark.parametrize("source", ["glue.amazonaws.com", "batch.amazonaws.com"])
def test_a_call_of_which_nothing_else_is_known_is_told(trail, source):
    told = {"eventSource": source, "userAgent": "AmazonEventBridgeScheduler", "errorCode": "AccessDenied"}
    trail.put([Placed(told, published="2026/01/14")])
    names = {"scheduler_executions", "scheduler_failures", "scheduler_calls"}
    if source.startswith("batch"):
        names |= {"batch_api_calls", "batch_changes", "batch_denied"}
    assert {name for name in NAMES if trail.look(name)} == names


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_breaks_nothing(trail, name):
    records = []
    for number, text in enumerate(HOSTILE):
        arn = f"arn:aws:sts::111111111111:assumed-role/{text}/{text}"
        role = "nightly" if name == "scheduler_shared_roles" else text
        session = {"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": {"userName": role}}}
        user = {"type": "IAMUser", "arn": arn, "userName": text}
        changes = {
            "eventID": f"hostile-{number}",
            "userAgent": f"{AGENT if name.startswith('scheduler_') else ''}{text}",
            "sourceIPAddress": text,
            "errorCode": text or "Denied",
            "errorMessage": f"{text} access denied",
            "eventName": "Create" + text[:100],
            "requestParameters": {"name": text, "startedBy": text, "overrides": [{"name": text, "value": text}]},
            "userIdentity": user if name == "batch_root_or_user" else session,
        }
        records.append(Placed(made(base_of(name), changes)))
    trail.put(records)
    rows = trail.look(name)
    counted = next(column for column in ("calls", "failures", "event_id") if column in rows[0])
    told = len(rows) if counted == "event_id" else sum(int(row[counted] or 0) for row in rows)
    assert told == len(HOSTILE)
    assert max(len(value or "") for row in rows for column, value in row.items() if column not in SHORT) <= 1000


def test_only_request_parameters_show_what_was_asked_and_no_secret(trail):
    request = {
        "name": "MyData",
        "overrides": {
            "containerOverrides": [
                {"environment": [{"name": "DB_PASSWORD", "value": 'ge"heim\\'}, {"Value": "geheim", "name": "KEY"}]}
            ]
        },
        "password": "geheim",
        "note": "sichtbar",
    }
    changes = {"errorCode": "AccessDenied", "requestParameters": request, "eventSource": "batch.amazonaws.com"}
    identity = {"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    trail.put([Placed(made(SCHEDULER, {**changes, "eventID": "1"}))])
    trail.put([Placed(made(BATCH, {**changes, "eventID": "2", "userIdentity": identity}), file="2")])
    trail.put([Placed(made(SCHEDULER, {"requestParameters.name": "Other", "eventID": "3"}), file="3")])
    shown = defaultdict(set)
    for name in NAMES:
        rows = trail.look(name)
        assert rows, name
        for row in rows:
            safe = Redactor().row({column: value for column, value in row.items() if value is not None})
            assert "heim" not in str(safe), name
            assert "EXAMPLE" not in str(row), name
            shown[name] |= {column for column, value in row.items() if "sichtbar" in (value or "")}
    assert {name: columns for name, columns in shown.items() if columns} == {
        "scheduler_failures": {"request_parameters"}
    }


def test_a_long_request_is_cut_after_its_values_are_masked(trail):
    request = {"name": "MyData", "note": "x" * 960, "environment": [{"value": "geheim" * 100}], "end": "y" * 90_000}
    trail.put([Placed(made(SCHEDULER, {"errorCode": "E", "eventID": "1", "requestParameters": request}))])
    (row,) = trail.look("scheduler_failures")
    assert len(row["request_parameters"] or "") == 1000
    assert "geheim" not in (row["request_parameters"] or "")


def test_a_broken_file_is_an_error_and_no_silence(trail):
    trail.put([scheduler_call(NOON, 1)])
    trail.athena.put(Placed({}, published="2026/01/14", file="cut").key, '{"Records":[{"eventID":"e')
    text, values = trail.bound(query_of("scheduler_executions"), DAY, {})
    assert trail.athena.failure(text, *values).startswith("HIVE_BAD_DATA")


def test_calls_go_on_until_calls_end(trail):
    moments = ["2026-01-14T14:59:59Z", "2026-01-14T15:00:00Z", "2026-01-14T15:29:59Z", "2026-01-14T15:30:00Z"]
    records = [scheduler_call(moment, number) for number, moment in enumerate(moments)]
    trail.put([*records, *(replace(one, published="2026/01/15") for one in records)])
    for end, expected in (("", 1), ("2026-01-14T15:00:00Z", 1), ("2026-01-14T15:30:00Z", 3)):
        rows = trail.look("scheduler_calls", calls_end=end)
        assert [row["time"] for row in rows] == moments[:expected], end


def test_the_list_of_calls_agrees_with_the_audits(trail):
    dice = random.Random(5)  # noqa: S311
    records = []
    for number in range(200):
        at = datetime(2026, 1, 13, 14, tzinfo=UTC) + timedelta(minutes=dice.randrange(26 * 60))
        changes = {
            "eventID": f"call-{dice.randrange(150)}",
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "errorCode": dice.choice([None, None, "", "Throttling", "AccessDenied"]),
            "userIdentity.sessionContext.sessionIssuer.userName": dice.choice(["nightly", "hourly"]),
        }
        known = next((one.record for one in records if one.record["eventID"] == changes["eventID"]), None)
        record = known or made(SCHEDULER, changes)
        records.append(Placed(record, file=str(number % 7), published=dice.choice(["", "2026/01/15"])))
    trail.put(records)
    calls = trail.look("scheduler_calls")
    executions = trail.look("scheduler_executions")
    assert sorted({row["event_id"] for row in calls}) == sorted(row["event_id"] for row in calls)
    for row in executions:
        mine = [call for call in calls if call["role"] == row["role"]]
        failed = [call for call in mine if call["error_code"]]
        assert (row["calls"], row["failures"]) == (str(len(mine)), str(len(failed)))
        assert (row["first_time"], row["last_time"]) == (mine[0]["time"], mine[-1]["time"])
    failures = trail.look("scheduler_failures")
    assert sum(int(row["failures"]) for row in failures) == sum(int(row["failures"]) for row in executions) > 0


def test_two_hundred_thousand_records_in_a_day(trail):
    """Most are what else goes on in an account; each batch of them lies in two files."""
    other = json.dumps(made(BATCH, {"eventSource": "ec2.amazonaws.com", "eventID": "ID"}))
    calls = json.dumps(made(SCHEDULER, {"errorCode": "Throttling", "eventID": "ID"}))
    jobs = json.dumps(made(BATCH, {"eventName": "SubmitJob", "errorCode": "AccessDenied", "eventID": "ID"}))
    for hour in range(20):
        texts = [
            (jobs if number % 100 == 0 else calls if number % 100 == 1 else other)
            .replace('"ID"', f'"id-{hour}-{number}"')
            .replace(NOON, f"2026-01-13T{15 + hour}:00:00Z" if hour < 9 else f"2026-01-14T{hour - 9:02d}:00:00Z")
            for number in range(10_000)
        ]
        day = "2026/01/13" if hour < 9 else "2026/01/14"
        whole = '{"Records":[' + ",".join(texts) + "]}"
        trail.athena.put(Placed({}, published=day, file=str(hour)).key, whole)
        if hour in (3, 15):
            trail.athena.put(Placed({}, published="2026/01/15", file=str(hour)).key, whole)
    took = {}
    for name in ("batch_api_calls", "scheduler_failures", "scheduler_calls"):
        started = time.monotonic()
        rows = trail.look(name)
        took[name] = time.monotonic() - started
        told = len(rows) if name == "scheduler_calls" else sum(int(row.get("calls") or row["failures"]) for row in rows)
        assert told == 2000, name
    assert sum(took.values()) < 60, took  # 25 seconds on a machine of two cores that does other things as well
