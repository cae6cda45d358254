"""CloudTrail's audits and the health of schedules, over a day of a shop that the stand-in plays."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local_aws import stack, trail, trail_records
from local_aws.control import Control
from log_audit import audits
from log_audit.errors import InvalidKeyError, TableError, TooOldError, UnreadableRecordError, WindowNotOverError
from log_audit.operators.athena_tables import AthenaTableOperator, tables
from log_audit.operators.cloudtrail import (
    CloudTrailAuditOperator,
    CloudTrailLookupOperator,
    PlanCloudTrailOperator,
    ScheduleHealthOperator,
)
from log_audit.scheduler_calls import call_of_record, executions
from log_audit.settings import load_settings
from log_audit.window import Window, iso, key_of, utc_now
from tests.support.tasks import Run

REGION, TOKYO = "ap-northeast-1", ZoneInfo("Asia/Tokyo")
# The last day of which CloudTrail has published everything: one call's record comes ten hours late.
DAY = key_of(utc_now() - timedelta(hours=11), "day", TOKYO, back=1)
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
    athena: {workgroup: audits, results: s3://results/athena}
    cloudtrail:
      location: s3://shop-trail/AWSLogs
      accounts: ["123456789012"]
      regions: [ap-northeast-1]
      schedules: table
  elsewhere:
    connection: aws_default
    region: ap-northeast-3
    archive: {bucket: other-bucket, log_groups: [{name: /app}]}
"""
LOOKUP = SETTINGS.replace("schedules: table", "schedules: lookup")


class Shop:
    """A shop's account, with a day of CloudTrail's records and the schedules behind them."""

    def __init__(self, aws: Control, aws_client, write) -> None:
        self.aws, self.write = aws, write
        self.use(SETTINGS)
        aws.configure(athena_queued_seconds=0, athena_running_seconds=0, trail_lookups_per_second=0)
        window = Window.day(DAY, TOKYO)
        stack.deploy(aws.endpoint, self.settings.targets["tokyo"], self.settings)
        self.loaded = trail.load(aws.endpoint, "shop-trail", window)

    def use(self, settings: str) -> None:
        self.write(settings)
        self.settings = load_settings()

    def make_tables(self) -> None:
        for keywords in tables(self.settings):
            Run().execute(lambda keywords=keywords: AthenaTableOperator(task_id="table", **keywords))

    def plan(self, key=DAY, run_type="scheduled", params=None, **options):
        run = Run(key, run_type=run_type, params=params)
        return run.execute(lambda: PlanCloudTrailOperator(task_id="plan", settings=self.settings, **options))

    def audit(self, name):
        [keywords] = [entry for entry in self.plan() if entry["audit"]["file"].endswith(f"/{name}.sql")]
        return Run(DAY).execute(lambda: CloudTrailAuditOperator(task_id="audit", **keywords))

    def health(self):
        [keywords] = self.plan(schedules=True)
        return Run(DAY).execute(lambda: ScheduleHealthOperator(task_id="health", **keywords))


@pytest.fixture
def shop(aws, aws_client, tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(file))
    return Shop(aws, aws_client, file.write_text)


# Planning


def test_each_file_is_an_audit_of_each_target_with_a_trail(shop):
    planned = shop.plan()
    assert len(planned) == len(audits.query_files(audits.FOLDERS["cloudtrail"])) >= 7
    assert {(entry["audit"]["target"], entry["audit"]["key"]) for entry in planned} == {("tokyo", DAY)}


def test_without_a_day_it_is_the_last_one_that_has_settled(shop):
    assert {entry["audit"]["key"] for entry in shop.plan(None, "manual")} == {
        key_of(utc_now() - timedelta(hours=3), "day", TOKYO, back=1)
    }


@pytest.mark.parametrize("key", ["2026-11-19T09", "yesterday", "2026-02-30"])
def test_a_key_that_is_no_day_is_refused(shop, key):
    with pytest.raises(InvalidKeyError, match="is no day"):
        shop.plan(key)


def test_a_form_names_day_targets_and_queries(shop):
    params = {"day": DAY, "targets": ["tokyo"], "queries": ["batch_denied"]}
    [planned] = shop.plan(None, "manual", params)
    assert (planned["audit"]["key"], planned["audit"]["file"].endswith("/batch_denied.sql")) == (DAY, True)
    assert shop.plan(schedules=True, params={"queries": ["batch_denied"]}) == []
    assert len(shop.plan(schedules=True, params={"queries": ["schedule_health"]})) == 1
    assert shop.plan(params={"targets": ["osaka"]}) == []


def test_a_day_that_is_not_over_is_refused(shop):
    with pytest.raises(WindowNotOverError):
        shop.plan(key_of(utc_now(), "day", TOKYO))


# Audits


def test_a_table_that_does_not_know_the_settings_accounts_is_an_error_and_not_zero_rows(shop):
    with pytest.raises(TableError, match="cloudtrail is missing; run the DAG athena_tables"):
        shop.audit("scheduler_executions")
    shop.make_tables()
    shop.use(SETTINGS.replace('["123456789012"]', '["123456789012", "111111111111"]'))
    with pytest.raises(TableError, match="is not as its file and the settings of cloudtrail say; run the DAG"):
        shop.audit("scheduler_executions")
    shop.make_tables()
    assert shop.audit("scheduler_executions")["total"] > 0


def test_what_was_done_on_the_day_is_found(shop):
    shop.make_tables()
    found = {name: shop.audit(name)["total"] for name in ("scheduler_failures", "batch_denied", "batch_root_or_user")}
    assert all(found.values()), found


# Schedules


def statuses(findings):
    return {entry["schedule"].partition("/")[2]: entry["status"] for entry in findings["detail"]}


EXPECTED = {
    "shop-glue-hourly": "failed",
    "shop-ecs-nightly": "ok",
    "shop-stock-sync": "ok",
    "shop-batch-nightly": "ok",
    "shop-crawl-morning": "not observable",
    "shop-crawl-evening": "not observable",
    "shop-mail-hourly": "not observable",
    "shop-glue-legacy": "not observable",
}


def test_a_call_that_failed_and_one_that_is_missing_are_found_and_what_cannot_be_known_is_said(shop):
    shop.make_tables()
    findings = shop.health()
    assert statuses(findings) == EXPECTED
    assert findings["total"] == 1
    [row] = findings["rows"]
    assert (row["expected"], row["failed"], row["missing"], row["seen"]) == ("24", "1", "1", "22")
    assert "EntityNotFoundException" in row["why"]
    notes = {entry["schedule"].partition("/")[2]: " ".join(entry["notes"]) for entry in findings["detail"]}
    assert "default/shop-crawl-evening" in notes["shop-crawl-morning"]
    assert "data event" in notes["shop-mail-hourly"]
    assert "disabled" in notes["shop-glue-legacy"]
    assert findings["bytes_scanned"] > 0


def test_the_event_history_tells_the_same_as_the_table(shop):
    shop.make_tables()
    table = shop.health()
    shop.use(LOOKUP)
    lookup = shop.health()
    assert lookup["detail"] == table["detail"]
    assert (lookup["total"], lookup["digest"], lookup["bytes_scanned"]) == (table["total"], table["digest"], 0)


def test_three_ways_of_looking_give_the_same_executions_and_failures(shop, aws_client):
    shop.make_tables()
    window = Window.day(DAY, TOKYO)
    audited = {(r["role"], r["event"]): (r["calls"], r["failures"]) for r in all_rows(shop, "scheduler_executions")}
    looked_up = {}
    for event in {event for _, event in audited}:
        rows = Run().execute(lambda event=event: lookup(window, event_name=event))
        looked_up |= {(row["role"], row["event"]): (row["calls"], row["failures"]) for row in rows}
    assert looked_up == audited
    assert sum(int(failures) for _, failures in audited.values()) == 1
    published = through_the_rule(shop, aws_client, window)
    assert published == audited


def all_rows(shop, name):
    """Every row of an audit: findings hold a sample of ten."""
    findings = shop.audit(name)
    assert findings["total"] == len(findings["rows"])
    return findings["rows"]


def lookup(window, **what):
    place = {"region_name": REGION, "start": iso(window.start), "end": iso(window.end)}
    return CloudTrailLookupOperator(task_id="lookup", **place, **what)


def through_the_rule(shop, aws_client, window):
    """Method 3: what EventBridge's rule puts into the log group, of all the day's records."""
    for record in shop.loaded.records:
        if not record["readOnly"] and record["eventType"] == "AwsApiCall":  # EventBridge is told of no others
            shop.aws.publish_call_event(record)
    pages = aws_client("logs").get_paginator("filter_log_events").paginate(logGroupName=stack.SCHEDULER_CALLS)
    records = [json.loads(event["message"])["detail"] for page in pages for event in page["events"]]
    calls = [call for call in map(call_of_record, records) if call and call.time in window]
    return {(row["role"], row["event"]): (row["calls"], row["failures"]) for row in executions(calls)}


# LookupEvents


def test_a_lookup_takes_one_attribute():
    with pytest.raises(ValueError, match="either event_name or event_source"):
        CloudTrailLookupOperator(task_id="lookup", start="", end="", event_name="A", event_source="b")


def test_a_lookup_of_long_ago_is_refused_with_the_reason(shop):
    window = Window.day("2026-01-01", TOKYO)
    with pytest.raises(TooOldError, match="the last 90 days alone"):
        Run().execute(lambda: lookup(window, event_name="RunTask"))


def test_all_pages_at_two_calls_a_second_and_only_what_scheduler_called(shop):
    window = Window.day(DAY, TOKYO)
    shop.aws.configure(trail_lookups_per_second=2)
    shop.aws.forget_calls()
    began = datetime.now(UTC)
    rows = Run().execute(lambda: lookup(window, event_source="states.amazonaws.com"))
    assert [(row["role"], row["calls"]) for row in rows] == [("shop-stock-sync", "96")]
    calls = shop.aws.calls("cloudtrail.LookupEvents")
    assert len(calls) >= 3
    assert {call["status"] for call in calls} == {200}
    assert (datetime.now(UTC) - began).total_seconds() >= 0.5 * (len(calls) - 1)


def test_the_ends_of_the_day_are_cut_exactly(shop):
    window = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    at = [window.start - timedelta(seconds=1), window.start, window.end - timedelta(seconds=1), window.end]
    records = [
        trail_records.scheduler_call(time, "role", "glue.amazonaws.com", "StartTrigger", number=n)
        for n, time in enumerate(at)
    ]
    shop.aws.put_trail_records(records, region=REGION)
    [row] = Run().execute(lambda: lookup(window, event_name="StartTrigger"))
    assert (row["calls"], row["first_time"], row["last_time"]) == ("2", iso(at[1]), iso(at[2]))


@pytest.mark.parametrize(
    "spoiled",
    [{"eventTime": None}, {"eventTime": "2026-11-19T00:00:41"}, {"eventTime": "yesterday"}, {"userIdentity": "root"}],
)
def test_a_record_of_scheduler_that_cannot_be_read_is_told_and_not_passed_over(spoiled):
    record = {"userAgent": "AmazonEventBridgeScheduler", "eventTime": "2026-11-19T00:00:41Z", "eventID": "e-1"}
    assert call_of_record(record).time == datetime(2026, 11, 19, 0, 0, 41, tzinfo=UTC)
    with pytest.raises(UnreadableRecordError, match="record e-1 is not as AWS writes them"):
        call_of_record({**record, **spoiled})
    assert call_of_record({**record, **spoiled, "userAgent": "aws-cli"}) is None
