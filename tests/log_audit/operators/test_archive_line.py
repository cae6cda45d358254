"""The monthly archive against the stand-in, over HTTP: a test for every outcome that is promised."""

import asyncio
import gzip
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import botocore.exceptions
import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from log_audit.errors import (
    AccessError,
    CredentialsError,
    ExportError,
    InvalidKeyError,
    PermanentError,
    SlotTimeoutError,
    VerificationError,
    WindowNotOverError,
)
from log_audit.operators.retry import FailFast
from log_audit.triggers.logs import ExportTaskTrigger
from log_audit.window import Window, from_ms, iso, last_settled_month, to_ms
from tests.log_audit.operators.archive_line import BUCKET, MONTH, REGION, TOKYO, WINDOW, Line, at, events
from tests.support.tasks import Store, fire, revive

APP = {"name": "/app"}
AN_EARLY_HOUR = datetime(2026, 11, 1, 2, 59, tzinfo=UTC)  # October has not settled


def retried(error: BaseException) -> bool:
    return FailFast().evaluate(error, 1, 4).action is not RetryAction.FAIL


def exports(aws, aws_client):
    return aws_client("logs").describe_export_tasks()["exportTasks"]


def wait_for_export(aws_client, status, task=0):
    for _ in range(100):
        tasks = aws_client("logs").describe_export_tasks()["exportTasks"]
        if tasks and tasks[task]["status"]["code"] == status:
            return tasks[task]
        time.sleep(0.05)
    raise AssertionError(f"no export became {status}")


# The plain case


def test_a_month_is_exported_read_and_recorded(aws, group, s3):
    aws.put_events(group, "web/1", events("a", "b"), region=REGION)
    aws.put_events(group, "web/2", events("c", day=31), region=REGION)
    outside = [
        {"timestamp": to_ms(WINDOW.start) - 1, "message": "before"},
        {"timestamp": to_ms(WINDOW.end), "message": "after"},
    ]
    aws.put_events(group, "web/1", outside, region=REGION)
    line = Line(APP)
    [summary] = line.all()
    manifest = line.stored_manifest()
    assert (manifest.events, manifest.complete, manifest.notes, manifest.ambiguous_lines) == (3, True, [], 0)
    assert manifest.window == {"start": "2026-09-30T15:00:00.000Z", "end": "2026-10-31T15:00:00.000Z"}
    assert (manifest.first_event, manifest.last_event) == (iso(from_ms(at(5))), iso(from_ms(at(31))))
    assert sorted((item["key"], item["events"]) for item in manifest.objects) == [
        (f"2026/10/logs/app/{manifest.export_task_id}/web-1/000000.gz", 2),
        (f"2026/10/logs/app/{manifest.export_task_id}/web-2/000000.gz", 1),
    ]
    assert summary == line.run.events[next(iter(line.run.events))].extra
    assert summary["objects"] == 2
    [call] = aws.calls("logs.CreateExportTask")
    assert (call["parameters"]["from"], call["parameters"]["to"]) == WINDOW.export_range()
    assert line.run.deferrals == ["ExportTaskTrigger"]


def test_the_link_opens_the_month_in_s3(aws, group):
    line = Line(APP)
    line.all()
    link = line.run.xcoms["export", 0, "log_audit_archive_prefix"]
    assert link["bucket"] == BUCKET
    assert link["prefix"] == "2026/10/logs/app"


def test_without_deferring_the_worker_waits(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP, deferrable=False)
    assert line.all()[0]["events"] == 1
    assert line.run.deferrals == []


def test_a_short_export_is_waited_for_in_the_worker(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP, worker_seconds=10)
    assert line.all()[0]["events"] == 1
    assert line.run.deferrals == []


def test_log_groups_behind_a_prefix_are_looked_up_when_the_run_starts(aws, group):
    for name in ("/aws/lambda/one", "/aws/lambda/two", "/aws/other"):
        aws.create_log_group(name, region=REGION, creation_time_ms=at(1) - 1)
    jobs = Line({"name_prefix": "/aws/lambda/"}, {"name": "/aws/lambda/two", "destination": "second"}).plan()
    assert {job["log_group"]: job["prefix"] for job in jobs} == {
        "/aws/lambda/one": "2026/10/logs/aws/lambda/one",
        "/aws/lambda/two": "2026/10/logs/second",
    }


def test_log_groups_that_a_prefix_brings_to_one_place_are_refused(aws, group):
    aws.create_log_group("/aws/x", region=REGION, creation_time_ms=at(1) - 1)
    aws.create_log_group("aws/x", region=REGION, creation_time_ms=at(1) - 1)
    with pytest.raises(PermanentError, match="would both go to s3://archive-bucket/2026/10/logs/aws/x/"):
        Line({"name_prefix": "/aws"}, {"name_prefix": "aws"}).plan()


# Which months


@pytest.mark.parametrize(
    ("key", "now", "says"),
    [
        ("2026-11", datetime(2026, 11, 20, tzinfo=UTC), "2026-12-01 12:00 JST"),
        ("2026-12", datetime(2026, 11, 20, tzinfo=UTC), "2027-01-01 12:00 JST"),
        ("2026-10", datetime(2026, 11, 1, 2, 59, tzinfo=UTC), "2026-11-01 12:00 JST"),
    ],
)
def test_a_month_that_is_not_over_and_settled_fails_at_once(aws, group, key, now, says):
    with pytest.raises(WindowNotOverError, match=f"Run it again after {says}") as raised:
        Line(APP, month=key, now=now).plan()
    assert not retried(raised.value)
    assert aws.calls("logs.CreateExportTask") == []


@pytest.mark.parametrize("key", ["2026-10-01", "october", "2026-13"])
def test_a_malformed_key_fails_at_once(aws, group, key):
    with pytest.raises(InvalidKeyError, match=f"'{key}' is no month") as raised:
        Line(APP, month=key).plan()
    assert not retried(raised.value)


def test_without_a_key_the_last_settled_month_is_meant(aws, group):
    for due, month in ((datetime(2026, 11, 1, 3, tzinfo=UTC), "2026-10"), (AN_EARLY_HOUR, "2026-09")):
        line = Line(APP, month=None, now=datetime(2027, 11, 1, tzinfo=UTC))  # a year later it is cleared
        line.run.dag_run.run_after = due
        assert line.plan()[0]["month"] == month


# Log groups that cannot give the whole month


def test_a_log_group_that_does_not_exist_is_skipped_and_the_others_go_on(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line({"name": "/gone"}, APP)
    assert [summary["log_group"] for summary in line.all()] == ["/app"]
    for task in (lambda: line.export(0), lambda: line.manifest(0)):
        with pytest.raises(AirflowSkipException, match="there is no log group /gone"):
            task()


def test_a_log_group_deleted_after_the_plan_is_skipped_with_the_reason(aws, aws_client, group):
    line = Line(APP)
    line.plan()
    aws_client("logs").delete_log_group(logGroupName=group)
    with pytest.raises(AirflowSkipException, match="the log group /app does not exist any more"):
        line.export()
    line.run.states["export", 0] = "skipped"
    with pytest.raises(AirflowSkipException, match="the export of /app was skipped"):
        line.manifest()


def test_a_prefix_without_log_groups_is_said(aws, group):
    [job] = Line({"name_prefix": "/nothing/"}).plan()
    assert job["skip"] == "there is no log group /nothing/*"


def test_a_group_younger_than_the_month_is_incomplete(aws, s3):
    aws.create_log_group("/young", region=REGION, creation_time_ms=at(10))
    aws.put_events("/young", "s", events("a", day=11), region=REGION)
    [summary] = Line({"name": "/young"}).all()
    assert not summary["complete"]
    assert summary["notes"] == ["the log group was created at 2026-10-10T03:00:00.000Z, after the month began"]
    assert summary["events"] == 1


def test_a_month_that_retention_has_begun_to_remove_is_incomplete(aws, s3):
    now = datetime.now(UTC)
    month = last_settled_month(now, timedelta(hours=12), TOKYO)
    window = Window.month(month, TOKYO)
    kept = next(days for days in (3, 14, 30) if now - timedelta(days=days) + timedelta(hours=1) < window.end)
    assert now - timedelta(days=kept) > window.start
    aws.create_log_group("/short", region=REGION, creation_time_ms=at(1) - 86_400_000, retention_days=kept)
    moments = [to_ms(window.start), to_ms(window.end) - 1]
    aws.put_events("/short", "s", [{"timestamp": moment, "message": "x"} for moment in moments], region=REGION)
    [summary] = Line({"name": "/short"}, month=month, now=now).all()
    assert not summary["complete"]
    assert f"retention of {kept} days had removed events before" in summary["notes"][0]
    assert summary["events"] == 1


def test_a_group_created_after_the_month_is_skipped(aws, group):
    aws.create_log_group("/new", region=REGION, creation_time_ms=to_ms(WINDOW.end))
    [job] = Line({"name": "/new"}).plan()
    assert job["skip"] == "/new was created at 2026-10-31T15:00:00.000Z, after the month's end"


def test_a_class_that_aws_does_not_export_is_skipped(aws, group):
    aws.create_log_group("/ia", region=REGION, creation_time_ms=at(1) - 1, log_group_class="INFREQUENT_ACCESS")
    [job] = Line({"name": "/ia"}).plan()
    assert job["skip"] == "AWS does not export log groups of class INFREQUENT_ACCESS, which /ia is"


# The one slot


def test_another_export_is_waited_for_deferred_and_named(aws, aws_client, group, capsys):
    aws.put_events(group, "s", events("a"), region=REGION)
    aws.create_log_group("/other", region=REGION, creation_time_ms=at(1) - 1)
    aws.configure(export_running_seconds=5)
    start, end = WINDOW.export_range()
    other = aws_client("logs").create_export_task(
        taskName="somebody else",
        logGroupName="/other",
        fromTime=start,
        to=end,
        destination=BUCKET,
        destinationPrefix="x",
    )["taskId"]
    aws.configure(export_running_seconds=0.2)
    line = Line(APP)
    assert line.all()[0]["events"] == 1
    assert line.run.deferrals == ["ExportSlotTrigger", "ExportTaskTrigger"]
    assert (
        f"waiting for another export to end: task {other} (somebody else) of log group /other"
        in capsys.readouterr().out
    )
    assert "slot_waited" not in line.run.stores["export", 0]


@pytest.mark.parametrize("deferrable", [True, False])
def test_waiting_for_the_slot_ends_after_the_set_time(aws, aws_client, group, deferrable):
    aws.configure(export_running_seconds=30)
    start, end = WINDOW.export_range()
    other = aws_client("logs").create_export_task(
        logGroupName=group, fromTime=start, to=end, destination=BUCKET, destinationPrefix="x"
    )["taskId"]
    line = Line(APP, slot_timeout=timedelta(seconds=1), deferrable=deferrable)
    line.plan()
    with pytest.raises(
        SlotTimeoutError, match=f"gave up after 0:00:01 .* active now: task {other} of log group /app"
    ) as e:
        line.export()
    assert not retried(e.value)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_slot_that_is_taken_though_no_export_shows_is_asked_for_once_a_poll(aws, aws_client, group, deferrable):
    aws.fault("logs.CreateExportTask", error="LimitExceededException", times=3)
    line = Line(APP, deferrable=deferrable)
    line.plan()
    line.export()
    begun = [call["time"] for call in aws.calls("logs.CreateExportTask")]
    assert len(begun) == 4
    assert all(later - earlier >= 0.9 for earlier, later in pairwise(begun))
    assert not any("nextToken" in call["parameters"] for call in aws.calls("logs.DescribeExportTasks"))
    assert "slot_waited" not in line.run.stores["export", 0]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_slot_that_is_taken_though_no_export_shows_is_given_up_after_the_set_time(aws, group, deferrable):
    aws.fault("logs.CreateExportTask", error="LimitExceededException", times=1000)
    line = Line(APP, slot_timeout=timedelta(seconds=2.5), deferrable=deferrable)
    line.plan()
    with pytest.raises(SlotTimeoutError, match=r"gave up after 0:00:02.500000 .* active now: none at this moment"):
        line.export()
    assert 2 <= len(aws.calls("logs.CreateExportTask")) <= 4  # not hundreds
    assert "slot_waited" not in line.run.stores["export", 0]


def test_a_fault_while_waiting_for_the_slot_is_passing_and_the_time_waited_is_kept(aws, group):
    aws.fault("logs.CreateExportTask", error="LimitExceededException")
    line = Line(APP)
    line.plan()
    with pytest.raises(TaskDeferred):
        line.export_task(line.jobs[0]).execute(line.run.context("export", 0))
    message = "waiting for the export slot failed: An error occurred (ServiceUnavailableException)"
    for waited in (100, 200):
        event = {"status": "error", "message": message, "waited": 100}
        with pytest.raises(ExportError, match="ServiceUnavailableException") as raised:
            line.export_task(line.jobs[0]).slot_free(line.run.context("export", 0), event)
        assert retried(raised.value)
        assert line.run.stores["export", 0] == {"slot_waited": pytest.approx(waited, abs=1)}
    event = {"status": "error", "message": "Waiter error: max attempts reached", "waited": 26 * 3600 - 202}
    with pytest.raises(SlotTimeoutError, match="gave up after 1 day, 2:00:00"):
        line.export_task(line.jobs[0]).slot_free(line.run.context("export", 0), event)
    line.export()
    assert "slot_waited" not in line.run.stores["export", 0]


def test_a_fault_that_the_trigger_meets_is_passing(aws, group):
    aws.fault("logs.CreateExportTask", error="LimitExceededException")
    line = Line(APP)
    line.plan()
    with pytest.raises(TaskDeferred) as deferred:
        line.export_task(line.jobs[0]).execute(line.run.context("export", 0))
    aws.fault("logs.DescribeExportTasks", error="ServiceUnavailableException", status=400, times=10)
    event = asyncio.run(fire(deferred.value.trigger))
    aws.clear_faults()
    with pytest.raises(ExportError, match="could not see whether the export slot is free"):
        line.export_task(line.jobs[0]).slot_free(line.run.context("export", 0), event)


# Exports that end badly, and workers that die


def test_a_failed_export_tells_aws_message_and_the_retry_makes_a_new_task(aws, aws_client, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    aws.configure(export_outcome="FAILED", export_failure_message="Export task failed: internal reason")
    line = Line(APP)
    line.plan()
    with pytest.raises(ExportError, match="ended FAILED: Export task failed: internal reason") as raised:
        line.export()
    assert retried(raised.value)
    aws.configure(export_outcome="COMPLETED")
    line.export()
    assert [task["status"]["code"] for task in exports(aws, aws_client)] == ["COMPLETED", "FAILED"]


def test_a_cancelled_export_is_an_error_and_the_retry_makes_a_new_task(aws, aws_client, group):
    aws.configure(export_running_seconds=5)
    line = Line(APP)
    line.plan()
    canceller = threading.Thread(
        target=lambda: aws_client("logs").cancel_export_task(taskId=wait_for_export(aws_client, "RUNNING")["taskId"])
    )
    canceller.start()
    with pytest.raises(ExportError, match="ended CANCELLED"):
        line.export()
    canceller.join()
    aws.configure(export_running_seconds=0.1)
    line.export()
    assert [task["status"]["code"] for task in exports(aws, aws_client)] == ["COMPLETED", "CANCELLED"]


class DyingStore(Store):
    """A worker that dies when it writes for the n-th time."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.lives = lives

    def set(self, key, value):
        self.lives -= 1
        if self.lives < 0:
            raise SystemExit("SIGKILL")
        super().set(key, value)


@pytest.mark.parametrize("running_seconds", [0.1, 3])
def test_a_worker_that_dies_after_create_leaves_one_aws_task(aws, aws_client, group, running_seconds):
    aws.configure(export_running_seconds=running_seconds)
    line = Line(APP)
    line.plan()
    line.run.stores["export", 0] = DyingStore(1)  # the name is stored, the id is not
    with pytest.raises(SystemExit):
        line.export()
    if running_seconds < 1:
        wait_for_export(aws_client, "COMPLETED")
    line.run.stores["export", 0].lives = 9
    line.export()
    assert len(exports(aws, aws_client)) == 1


def test_a_worker_that_dies_before_airflow_knows_of_the_end_leaves_one_aws_task(aws, aws_client, group):
    line = Line(APP)
    line.plan()
    line.export()
    told = line.run.xcoms.pop(("export", 0, "return_value"))
    line.export()
    assert line.run.xcoms["export", 0, "return_value"] == told
    assert len(exports(aws, aws_client)) == 1


def test_who_clears_an_export_that_went_well_has_another_one(aws, aws_client, group):
    line = Line(APP)
    line.plan()
    line.export()
    line.run.max_tries += 1
    line.export()
    assert len(exports(aws, aws_client)) == 2


def test_a_worker_that_dies_before_create_makes_the_task_on_its_retry(aws, aws_client, group):
    line = Line(APP)
    line.plan()
    line.run.stores["export", 0] = DyingStore(0)
    with pytest.raises(SystemExit):
        line.export()
    line.run.stores["export", 0].lives = 9
    line.export()
    assert len(exports(aws, aws_client)) == 1


def test_a_lost_answer_leaves_one_aws_task(aws, aws_client, group):
    aws.fault("logs.CreateExportTask", drop="after")
    line = Line(APP)
    line.plan()
    with pytest.raises(botocore.exceptions.HTTPClientError) as raised:
        line.export()
    assert retried(raised.value)
    line.export()
    assert len(exports(aws, aws_client)) == 1


def test_a_worker_that_dies_while_waiting_finds_its_task_again(aws, aws_client, group):
    aws.configure(export_running_seconds=5)
    line = Line(APP)
    line.plan()
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            line.export_task(line.jobs[0]).execute(line.run.context("export", 0))
    line.export()
    assert len(exports(aws, aws_client)) == 1


def test_killed_while_deferred_the_aws_task_is_cancelled_and_a_clear_starts_anew(aws, aws_client, group):
    aws.configure(export_running_seconds=30)
    line = Line(APP)
    line.plan()
    with pytest.raises(TaskDeferred) as deferred:
        line.export_task(line.jobs[0]).execute(line.run.context("export", 0))
    asyncio.run(revive(deferred.value.trigger).on_kill())
    aws.configure(export_running_seconds=0.1)
    line.export()
    assert [task["status"]["code"] for task in exports(aws, aws_client)] == ["COMPLETED", "CANCELLED"]


def test_killed_in_the_worker_the_aws_task_is_cancelled(aws, aws_client, group):
    aws.configure(export_running_seconds=30)
    line = Line(APP)
    line.plan()
    task = line.export_task(line.jobs[0])
    with pytest.raises(TaskDeferred):
        task.execute(line.run.context("export", 0))
    task.on_kill()
    wait_for_export(aws_client, "CANCELLED")
    task.on_kill()  # a second signal finds the task ended, which is no error


@pytest.mark.parametrize("ended", ["ended", "unknown"])
def test_killed_while_deferred_an_export_that_has_ended_is_left_as_it_is(aws, aws_client, group, ended):
    task_id = "unknown"
    if ended == "ended":
        Line(APP).all()
        task_id = exports(aws, aws_client)[0]["taskId"]
    trigger = ExportTaskTrigger(
        export_task_id=task_id, waiter_delay=1, waiter_max_attempts=1, aws_conn_id="aws_default", region_name=REGION
    )
    asyncio.run(revive(trigger).on_kill())
    assert len(aws.calls("logs.CancelExportTask")) == 1


@pytest.mark.parametrize("action", ["s3.ListObjectsV2", "logs.FilterLogEvents", "logs.DescribeLogGroups"])
def test_a_fault_after_the_export_does_not_make_a_second_one(aws, aws_client, group, action):
    line = Line(APP)
    line.plan()
    aws.fault(action, error="OperationAborted")
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        line.export()
    assert retried(raised.value)
    line.export()
    assert len(exports(aws, aws_client)) == 1
    assert "slot_waited" not in line.run.stores["export", 0]


# COMPLETED is not enough


def test_completed_without_objects_is_an_error_when_the_group_has_events(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    aws.configure(export_outcome="EMPTY")
    line = Line(APP)
    line.plan()
    with pytest.raises(ExportError, match=r"is COMPLETED, but wrote no objects .* holds events of 2026-10") as raised:
        line.export()
    assert retried(raised.value)


def test_a_month_without_events_has_a_manifest_of_zero_events(aws, group):
    aws.put_events(group, "s", [{"timestamp": to_ms(WINDOW.end), "message": "next month"}], region=REGION)
    [summary] = Line(APP).all()
    assert (summary["events"], summary["objects"], summary["first_event"], summary["complete"]) == (0, 0, None, True)


def test_a_message_with_line_breaks_is_counted_once(aws, group):
    messages = [
        "first\nsecond\n\n",
        "Traceback\n2019-01-25T00:00:00.000Z long ago",
        f"retry of\n{iso(from_ms(at(4)))} earlier in the month",
        "last",
    ]
    aws.put_events(group, "s", events(*messages), region=REGION)
    [summary] = Line({**APP, "reconcile": True}).all()
    assert (summary["events"], summary["ambiguous_lines"]) == (4, 2)
    assert summary["reconciliation"]["difference"] == 0


def test_events_that_insights_counts_and_the_archive_lacks_are_an_error(aws, group):
    aws.put_events(group, "s", events("a", "b", "c"), region=REGION)
    line = Line({**APP, "reconcile": True})
    line.plan()
    line.export()
    line.verify()
    aws.put_events(group, "s", events("lost"), region=REGION)  # arrived in time, by its ingestion time
    with pytest.raises(VerificationError, match=r"Logs Insights counts 4 events .* archive holds 3"):
        line.manifest()


def test_a_month_that_retention_has_removed_before_its_export_is_not_counted_by_insights(aws, aws_client, group):
    line = Line({**APP, "reconcile": True}, month="2026-08")
    line.plan()
    aws_client("logs").put_retention_policy(logGroupName=group, retentionInDays=7)
    line.export()
    line.verify()
    summary = line.manifest()
    said = "not compared with a count by Logs Insights: the log group's retention of 7 days had removed the whole month"
    assert (summary["reconciliation"], summary["complete"]) == (None, False)
    assert said in summary["notes"]
    assert aws.calls("logs.StartQuery") == []


def test_an_object_that_is_damaged_is_an_error(aws, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.plan()
    line.export()
    [item] = [i for i in s3.list_objects_v2(Bucket=BUCKET)["Contents"] if i["Key"].endswith(".gz")]
    s3.put_object(Bucket=BUCKET, Key=item["Key"], Body=gzip.compress(b"x")[:-4])
    with pytest.raises(VerificationError, match=r"is damaged|does not begin with a timestamp"):
        line.verify()


def test_a_manifest_waits_for_what_failed_before_it(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.plan()
    line.run.states["export", 0] = "failed"
    with pytest.raises(PermanentError, match=r"/app 2026-10 is not archived: export\[0\] failed"):
        line.manifest()
    line.run.states["export", 0] = "upstream_failed"
    with pytest.raises(PermanentError, match=r"is not archived: a task before export\[0\] failed"):
        line.manifest()
    line.export()
    line.verify()
    del line.run.xcoms["verify", 0, "return_value"]
    with pytest.raises(PermanentError, match=r"verify\[0\] failed"):
        line.manifest()


# Again, and late


def test_a_sound_month_is_not_exported_again(aws, aws_client, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    [first], [second] = Line(APP).all(), Line(APP).all()
    assert first == second
    assert len(exports(aws, aws_client)) == 1


def test_a_finished_export_that_is_cleared_looks_at_the_manifest_alone(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.all()
    line.run.max_tries += 1
    assert line.export()["reused"]
    s3.delete_object(Bucket=BUCKET, Key="2026/10/logs/app/manifest.json")
    assert "reused" not in line.export()
    assert len(exports(aws, aws_client)) == 2


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_archive_is_exported_anew_and_nothing_is_deleted(aws, aws_client, group, s3, damage):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.all()
    before = line.stored_manifest()
    if damage == "missing":
        s3.delete_object(Bucket=BUCKET, Key=before.objects[0]["key"])
    else:
        s3.put_object(Bucket=BUCKET, Key=before.objects[0]["key"], Body=b"x")
    again = Line(APP)
    again.all()
    after = again.stored_manifest()
    assert after.export_task_id != before.export_task_id
    assert after.events == 1
    assert aws.calls("s3.DeleteObject")[1 if damage == "missing" else 0 :] == []
    assert aws.calls("s3.DeleteObjects") == []


def test_a_manifest_that_cannot_be_read_is_said(aws, group, s3):
    s3.put_object(Bucket=BUCKET, Key="2026/10/logs/app/manifest.json", Body=b"{}")
    line = Line(APP)
    line.plan()
    with pytest.raises(VerificationError, match=r"manifest.json cannot be read .* move it away"):
        line.export()


def set_exported_at(s3, text, state="provisional"):
    key = "2026/10/logs/app/manifest.json"
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps({**manifest, "exported_at": text, "state": state}).encode())


EXPORTED = "2026-11-01T04:00:00.000Z"  # the 1st at 13:00 in Japan


def test_an_export_made_since_the_objects_were_listed_says_what_to_clear(aws, group, s3):
    """Clearing only the failed tasks of a run leaves the list of objects as it was."""
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.plan()
    line.verify()
    line.export()
    with pytest.raises(PermanentError, match=r"objects has not run since this export, .* clear objects with the tasks"):
        line.manifest()
    line.verify()
    assert line.manifest()["events"] == 1


def test_a_manifest_that_goes_while_it_is_reused_says_what_to_clear(aws, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    line = Line(APP)
    line.plan()
    assert line.export()["reused"]
    s3.delete_object(Bucket=BUCKET, Key="2026/10/logs/app/manifest.json")
    with pytest.raises(VerificationError, match="has gone; clear export too"):
        line.manifest()


def test_a_reconciled_manifest_that_stands_is_not_counted_again(aws, group):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line({**APP, "reconcile": True})
    line.all()
    line.manifest()
    assert len(aws.calls("logs.StartQuery")) == 1


def test_another_log_groups_manifest_is_not_taken_for_ones_own(aws, group):
    aws.create_log_group("app", region=REGION, creation_time_ms=at(1) - 1)
    Line({"name": "/app"}).all()
    line = Line({"name": "app"})
    line.plan()
    with pytest.raises(VerificationError, match="is the manifest of /app 2026-10, not of app 2026-10"):
        line.export()


def test_late_events_are_found_exported_again_and_the_archive_is_final(aws, aws_client, group, s3, capsys):
    aws.put_events(group, "s", events("a", "b"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    fifth = to_ms(datetime(2026, 11, 5, tzinfo=UTC))
    aws.put_events(group, "s", events("l1", "l2", "l3", day=31, ingestionTime=fifth), region=REGION)
    line = Line(APP)
    [summary] = line.recheck_all()
    assert "3 events of the month arrived after its export, so it is exported again" in capsys.readouterr().out
    assert (summary["events"], summary["state"], summary["complete"]) == (5, "final", True)
    assert len(exports(aws, aws_client)) == 2


def test_without_late_events_the_archive_becomes_final_without_an_export(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    [summary] = Line(APP).recheck_all()
    assert (summary["events"], summary["state"]) == (1, "final")
    assert len(exports(aws, aws_client)) == 1


def test_the_recheck_does_not_trade_a_whole_archive_for_a_smaller_one(aws, aws_client, s3):
    aws.create_log_group("/app", region=REGION, creation_time_ms=at(1) - 86_400_000)
    aws.put_events("/app", "s", events("a", day=2) + events("b", day=31), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    aws_client("logs").put_retention_policy(logGroupName="/app", retentionInDays=3653)
    late = to_ms(datetime(2026, 11, 5, tzinfo=UTC))
    aws.put_events("/app", "s", events("late", day=31, ingestionTime=late), region=REGION)
    [summary] = Line(APP, now=WINDOW.start + timedelta(days=3660)).recheck_all()
    assert summary["events"] == 2
    assert not summary["complete"]
    assert "1 events of the month arrived after its export" in summary["notes"][0]
    assert "a new export would hold less" in summary["notes"][0]
    assert len(exports(aws, aws_client)) == 1


def test_a_month_that_was_never_archived_cannot_be_rechecked(aws, group):
    line = Line(APP)
    line.plan(settle=timedelta(days=15))
    with pytest.raises(PermanentError, match="run monthly_log_export with the partition key 2026-10 first"):
        line.recheck()


def test_a_group_deleted_before_the_recheck_is_said_in_the_manifest(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    aws_client("logs").delete_log_group(logGroupName=group)
    [summary] = Line(APP).recheck_all()
    assert summary["state"] == "final"
    assert "deleted before the recheck" in summary["notes"][0]
    assert summary["events"] == 1


def test_a_group_created_again_before_the_recheck_is_said_in_the_manifest(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    aws_client("logs").delete_log_group(logGroupName=group)
    aws.create_log_group(group, region=REGION, creation_time_ms=to_ms(datetime(2026, 11, 5, tzinfo=UTC)))
    [summary] = Line(APP).recheck_all()
    assert summary["state"] == "final"
    assert "was deleted, and created again at 2026-11-05T00:00:00.000Z before the recheck" in summary["notes"][0]
    assert aws.calls("logs.StartQuery") == []


def test_a_group_behind_a_prefix_that_was_deleted_before_the_recheck_is_said_in_its_manifest(
    aws, aws_client, group, s3
):
    aws.create_log_group("/aws/kept", region=REGION, creation_time_ms=at(1) - 1)
    Line(APP, {"name_prefix": "/aws/"}).all()
    set_exported_at(s3, EXPORTED)
    aws_client("logs").delete_log_group(logGroupName=group)
    behind = Line({"name_prefix": "/app"}, {"name_prefix": "/aws/"})
    assert [job["log_group"] for job in behind.plan()] == ["/app*", "/aws/kept"]
    assert {job["log_group"] for job in behind.plan(archived=True)} == {"/app*", "/aws/kept", "/app"}
    line = Line({"name_prefix": "/aws/"})
    summaries = {summary["log_group"]: summary for summary in line.recheck_all()}
    assert {name: summary["state"] for name, summary in summaries.items()} == {"/app": "final", "/aws/kept": "final"}
    assert "deleted before the recheck" in summaries["/app"]["notes"][0]


def test_late_events_that_retention_has_removed_cannot_be_counted(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    aws_client("logs").put_retention_policy(logGroupName=group, retentionInDays=14)
    [summary] = Line(APP, now=WINDOW.end + timedelta(days=15)).recheck_all()
    assert summary["state"] == "final"
    assert "retention of 14 days had removed the whole month before the recheck: late events" in summary["notes"][0]
    assert aws.calls("logs.StartQuery") == []


def test_a_recheck_that_is_cleared_does_not_export_a_final_archive_again(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    Line(APP).all()
    set_exported_at(s3, EXPORTED)
    late = to_ms(datetime(2026, 11, 5, tzinfo=UTC))
    aws.put_events(group, "s", events("late", day=31, ingestionTime=late), region=REGION)
    line = Line(APP)
    line.recheck_all()
    job = line.run.xcoms["late_events", 0, "return_value"]
    assert job["again"]
    assert line.export(0, job)["reused"]
    assert len(exports(aws, aws_client)) == 2


def test_the_monthly_manifest_task_cleared_after_the_recheck_leaves_the_archive_final(aws, aws_client, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    first = Line(APP)
    first.all()
    set_exported_at(s3, iso(from_ms(first.run.xcoms["export", 0, "return_value"]["exported_at"])))
    aws_client("logs").delete_log_group(logGroupName=group)
    Line(APP).recheck_all()
    summary = first.manifest()
    assert summary["state"] == "final"
    assert "deleted before the recheck" in summary["notes"][0]


def test_a_manifest_task_cleared_after_a_later_export_does_not_go_back(aws, group, s3):
    aws.put_events(group, "s", events("a"), region=REGION)
    first = Line(APP)
    first.all()
    s3.delete_object(Bucket=BUCKET, Key="2026/10/logs/app/manifest.json")
    aws.put_events(group, "s", events("b", day=6), region=REGION)
    second = Line(APP)
    second.all()
    assert first.manifest()["events"] == 2
    assert second.stored_manifest().events == 2


# The bucket


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda s3: s3.delete_bucket(Bucket=BUCKET), "the bucket archive-bucket does not exist; create it"),
        (
            lambda s3: s3.delete_bucket_policy(Bucket=BUCKET),
            "its bucket policy must allow the service logs.ap",
        ),
    ],
)
def test_a_bucket_that_cannot_be_written_says_what_to_change(aws, group, s3, break_it, says):
    break_it(s3)
    line = Line(APP)
    line.plan()
    with pytest.raises(AccessError, match=says) as raised:
        line.export()
    assert not retried(raised.value)


def test_the_bucket_policy_that_is_missing_is_written_out(aws, group, s3):
    s3.delete_bucket_policy(Bucket=BUCKET)
    line = Line(APP)
    line.plan()
    with pytest.raises(AccessError, match="kms:GenerateDataKey and kms:Decrypt") as raised:
        line.export()
    statements = str(raised.value).partition("this: ")[2].partition(". And if")[0]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=f'{{"Version": "2012-10-17", "Statement": {statements}}}')
    line.export()


@pytest.mark.parametrize(
    ("action", "needed"),
    [("s3.HeadBucket", "s3:ListBucket on arn:"), ("s3.GetBucketLocation", "s3:GetBucketLocation on arn:")],
)
def test_a_bucket_that_the_role_cannot_look_at_names_the_permission(aws, group, s3, action, needed):
    s3.delete_bucket_policy(Bucket=BUCKET)
    line = Line(APP)
    line.plan()
    aws.fault(action, error="AccessDenied", status=403)
    with pytest.raises(AccessError, match=f"not allowed: {needed}"):
        line.export()


def test_a_manifest_that_the_role_may_not_read_names_the_permissions(aws, group):
    line = Line(APP)
    line.plan()
    aws.fault("s3.GetObject", error="AccessDenied", status=403)
    with pytest.raises(AccessError, match=r"allow this role s3:GetObject on .* and s3:ListBucket on") as raised:
        line.export()
    assert not retried(raised.value)
    assert aws.calls("logs.CreateExportTask") == []


def test_a_bucket_in_another_region_says_so(aws, aws_client, group, s3):
    s3.delete_bucket(Bucket=BUCKET)
    aws_client("s3", region_name="eu-west-1").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    line = Line(APP)
    line.plan()
    with pytest.raises(AccessError, match="is in eu-west-1; exports need one in ap-northeast-1"):
        line.export()


# Faults on the way


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "ThrottlingException", "message": "Rate exceeded"},
        {"error": "InternalFailure", "status": 500},
        {"error": "ServiceUnavailableException", "status": 503},
        {"drop": "before"},
    ],
)
def test_passing_faults_are_retried(aws, aws_client, group, fault):
    aws.put_events(group, "s", events("a"), region=REGION)
    line = Line(APP)
    line.plan()
    aws.fault("logs.CreateExportTask", **fault)
    with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError)) as raised:
        line.export()
    assert retried(raised.value)
    aws.fault("logs.DescribeExportTasks", **fault)  # botocore itself mends this one, and the next
    aws.fault("s3.ListObjectsV2", **fault)
    line.export()
    line.verify()
    assert line.manifest()["events"] == 1
    assert len(exports(aws, aws_client)) == 1


@pytest.mark.parametrize(
    ("code", "raises"),
    [
        ("AccessDeniedException", botocore.exceptions.ClientError),
        ("UnrecognizedClientException", CredentialsError),
        ("ValidationException", botocore.exceptions.ClientError),
    ],
)
def test_what_aws_refuses_as_such_fails_at_once(aws, group, code, raises):
    line = Line(APP)
    line.plan()
    aws.fault("logs.CreateExportTask", error=code, message="no")
    with pytest.raises(raises) as raised:
        line.export()
    assert not retried(raised.value)


def test_a_month_key_is_part_of_the_export_task_name(aws, aws_client, group):
    Line(APP).all()
    [task] = exports(aws, aws_client)
    assert task["taskName"].startswith("log-audit ")
    assert task["taskName"].endswith(f" {MONTH} /app")
