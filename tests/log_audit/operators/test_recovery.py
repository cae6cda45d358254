"""What docs/operate.md says of a lost metadata database: the archive needs none, and nothing is lost in silence."""

from __future__ import annotations

import copy
from datetime import timedelta

from log_audit.triggers import ecs as triggers
from tests.log_audit.operators.archive_line import REGION, Line, events
from tests.support.check_runs import NOON
from tests.support.tasks import AssetStores

MINUTE = timedelta(minutes=1)


def told(aws):
    return [message["text"] for message in aws.slack_messages("alerts")]


def test_the_archive_is_known_by_its_manifests_alone(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a", "b"), region=REGION)
    before = Line({"name": "/app"})
    before.all()
    after = Line({"name": "/app"})  # a run of which Airflow remembers nothing
    [summary] = after.all()
    assert after.run.xcoms["export", 0, "return_value"]["reused"]
    assert summary["events"] == 2
    assert len(aws_client("logs").describe_export_tasks()["exportTasks"]) == 1


def test_with_an_empty_database_checks_begin_anew_and_a_backfill_tells_the_gap(checks, aws, arrives):
    checks.run(NOON - 60 * MINUTE)
    checks.stores = AssetStores()  # the database is gone
    arrives(30 * MINUTE)  # while Airflow was down
    checks.run(NOON)
    assert told(aws) == []  # the first run looks at its own interval
    assert checks.remembered()["watermark"]  # and from here on there is a watermark again
    checks.run(NOON - 20 * MINUTE, minutes=40, run_type="backfill", params={"alert": True})
    assert len(told(aws)) == 1


def test_with_an_older_copy_of_the_database_findings_are_told_again_rather_than_lost(checks, aws, arrives):
    checks.run(NOON - 60 * MINUTE)
    copied = copy.deepcopy(dict(checks.stores))
    arrives(50 * MINUTE)
    checks.run(NOON - 45 * MINUTE)
    assert len(told(aws)) == 1
    checks.stores = AssetStores(copied)  # restored
    arrives(30 * MINUTE)
    run = checks.run(NOON)
    assert run.findings()["total"] == 2  # everything since the copy was made
    assert len(told(aws)) == 2


def test_deliveries_that_wait_in_the_queue_outlive_the_database(deliveries, monkeypatch):
    monkeypatch.setattr(triggers, "LONG_POLL", 1)
    monkeypatch.setattr(triggers, "SHORT_POLL", 1)
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    line.stores.clear()
    assert line.run().keys() == ["orders/2026-11-20T09"]
