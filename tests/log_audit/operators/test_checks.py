"""The checks and their alerts against the stand-in, over HTTP: a test for every promise."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import botocore.exceptions
import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import TaskDeferred

from log_audit.defaults import DEFAULT_ARGS
from log_audit.errors import AccessError, AlertError, LogAuditError, PermanentError, QueryFileError
from log_audit.hooks.logs import LogsHook
from log_audit.links.slack import SlackMessageLink
from log_audit.operators import queries
from log_audit.operators.checks import LogsInsightsOperator
from log_audit.operators.retry import FailFast
from log_audit.settings import load_settings
from log_audit.tasks import INSIGHTS_CHECKS, look_and_alert
from log_audit.window import to_ms
from tests.support.check_runs import REGION, WATCHES, CheckRun
from tests.support.tasks import Run, fire, revive

NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # the interval's end
MINUTE = timedelta(minutes=1)


def retried(error):
    return FailFast().evaluate(error, 1, 4).action is not RetryAction.FAIL


@pytest.fixture
def arrives(aws):
    """Puts an event that arrived so long before NOON, and happened ``late`` before that."""

    def put(ago, message="ERROR x", *, late=timedelta(seconds=1), group="/app"):
        arrival = NOON - ago
        aws.put_events(
            group,
            "s",
            [{"timestamp": to_ms(arrival - late), "message": message, "ingestionTime": to_ms(arrival)}],
            region=REGION,
        )

    return put


def told(aws, channel="alerts"):
    """What was said: the text of each message."""
    return [message["text"] for message in aws.slack_messages(channel)]


# Windows


def test_the_first_run_looks_at_its_own_interval_less_what_may_still_be_invisible(checks, aws, arrives):
    for ago, message in [(8, "ERROR before"), (7, "ERROR first"), (3, "ERROR last"), (2, "ERROR next")]:
        arrives(ago * MINUTE, message)
    run = checks.run(NOON)
    assert [row["@message"] for row in run.findings()["rows"]] == ["ERROR first", "ERROR last"]
    assert checks.remembered()["watermark"] == to_ms(NOON - 2 * MINUTE)


def test_consecutive_runs_see_every_event_once_boundaries_included(checks, aws, arrives):
    moments = [2 * MINUTE + timedelta(milliseconds=ms) for ms in (-1, 0, 1)]
    for number, ago in enumerate(moments):
        arrives(ago, f"ERROR {number}")
    rows = [row["@message"] for end in (NOON, NOON + 5 * MINUTE) for row in checks.run(end).findings()["rows"]]
    assert sorted(rows) == ["ERROR 0", "ERROR 1", "ERROR 2"]


def test_an_outage_is_covered_by_one_run(checks, aws, arrives):
    checks.run(NOON - timedelta(hours=2))
    for minutes in (119, 60, 5):
        arrives(minutes * MINUTE)
    run = checks.run(NOON)
    assert run.findings()["total"] == 3
    assert len(run.run.xcoms["plan", -1, "return_value"]) == 1


def test_a_manual_run_in_an_outage_hides_nothing(checks, aws, arrives):
    checks.run(NOON - timedelta(hours=2))
    arrives(60 * MINUTE)
    before = checks.remembered()
    manual = checks.run(NOON - timedelta(hours=1), run_type="manual", minutes=30)
    assert manual.findings()["total"] == 0
    assert checks.remembered() == before
    assert checks.run(NOON).findings()["total"] == 1


def test_an_outage_beyond_the_limit_is_said_loudly(checks, aws, arrives):
    checks.run(NOON - timedelta(hours=30))
    arrives(timedelta(hours=25))
    arrives(timedelta(hours=23))
    run = checks.run(NOON)
    assert run.findings()["total"] == 1
    assert "Not looked at: what arrived from 2026-11-18T20:58:00.000Z to 2026-11-19T02:58:00.000Z" in str(
        aws.slack_messages("alerts")[-1]["blocks"]
    )


def test_an_outage_beyond_the_limit_is_said_even_without_findings(checks, aws):
    checks.run(NOON - timedelta(hours=30))
    checks.run(NOON)
    assert "cannot look at everything" in told(aws)[-1]
    assert "Not looked at" in str(aws.slack_messages("alerts")[-1]["blocks"])


@pytest.mark.parametrize("only_planned", [True, False])
def test_the_very_first_look_is_made_up_for_when_it_fails(checks, aws, arrives, only_planned):
    arrives(6 * MINUTE)
    aws.configure(query_outcome="Failed")
    run = checks.start(NOON)
    run.plan()
    if not only_planned:
        run.look()
        run.alert()
    aws.configure(query_outcome="Complete")
    assert checks.run(NOON + 5 * MINUTE).findings()["total"] == 1


def test_a_retry_of_the_plan_reads_the_same_windows(checks, aws):
    run = checks.start(NOON)
    first = run.plan()
    checks.stores[WATCHES["regular"]].set("regular/tokyo/errors", {"watermark": to_ms(NOON - 3 * MINUTE)})
    assert run.plan() == first


def test_a_failed_check_alone_catches_up(checks, aws, arrives):
    checks.write("other", "# title: Others\n# severity: low\n# log_group_sets: [app]\nfilter @message like /OTHER/")
    checks.run(NOON - timedelta(hours=1))
    arrives(50 * MINUTE, "ERROR OTHER early")
    for minutes in range(55, 0, -5):
        run = checks.start(NOON - minutes * MINUTE)
        run.plan()
        run.look(only="other")
        run.alert()
    others = [text for text in told(aws) if "Others" in text]
    assert [("*1* finding" in text, "recovered" in text) for text in others] == [(True, False), (False, True)]
    run = checks.run(NOON)
    spans = {keywords["look"]["query"]: keywords["look"] for keywords in run.run.xcoms["plan", -1, "return_value"]}
    assert spans["errors"]["end"] - spans["errors"]["start"] == 60 * 60_000
    assert spans["other"]["end"] - spans["other"]["start"] == 5 * 60_000
    assert run.findings()["total"] == 1


@pytest.mark.parametrize(("scope", "length"), [("regular", 5 * MINUTE), ("late", timedelta(days=1))])
def test_a_run_by_hand_without_an_interval_looks_at_as_long_a_one(checks, scope, length):
    run = CheckRun(checks, Run(run_type="manual", asset_stores=checks.stores), scope)
    [planned] = run.plan()
    assert planned["look"]["end"] - planned["look"]["start"] == length // timedelta(milliseconds=1)


# Late events


def test_the_sweep_leaves_out_a_check_whose_own_look_back_reaches_as_far(checks, aws, arrives):
    header = "# title: Far\n# severity: low\n# log_group_sets: [app]\n# look_back_minutes: 2880\n"
    checks.write("far", f"{header}filter @message like /FAR/")
    arrives(5 * MINUTE, "FAR", late=timedelta(days=2))
    assert checks.run(NOON).findings("far")["total"] == 1
    sweep = checks.run(NOON + timedelta(hours=3), scope="late", minutes=24 * 60)
    assert [planned["look"]["query"] for planned in sweep.run.xcoms["plan", -1, "return_value"]] == ["errors"]
    assert sweep.failed == {}


def test_an_event_forty_minutes_late_is_alerted_once_by_the_sweep(checks, aws, arrives):
    arrives(5 * MINUTE, "ERROR late", late=40 * MINUTE)
    assert checks.run(NOON).findings()["total"] == 0
    sweep = checks.run(NOON + timedelta(hours=3), scope="late", minutes=24 * 60)
    assert [row["@message"] for row in sweep.findings()["rows"]] == ["ERROR late"]
    again = checks.run(NOON + timedelta(hours=27), scope="late", minutes=24 * 60)
    assert again.findings()["total"] == 0
    assert len(told(aws)) == 1


@pytest.mark.parametrize("late", [timedelta(minutes=3), timedelta(minutes=3, milliseconds=1), -timedelta(hours=1)])
def test_the_regular_run_and_the_sweep_never_share_an_event(checks, aws, arrives, late):
    arrives(5 * MINUTE, "ERROR edge", late=late)
    seen = (
        checks.run(NOON).findings()["total"]
        + checks.run(NOON + timedelta(hours=3), scope="late", minutes=24 * 60).findings()["total"]
    )
    assert seen == 1


def test_the_regular_run_scans_little_more_than_its_window(checks, aws, arrives):
    for hours in range(1, 24):
        arrives(timedelta(hours=hours), "x" * 1000)
    arrives(5 * MINUTE, "ERROR")
    assert checks.run(NOON).findings()["bytes_scanned"] < 100


# Numbers


def test_the_exact_number_is_told_however_many_there_are(checks, aws):
    events = [{"timestamp": to_ms(NOON - 5 * MINUTE) + n % 1000, "message": f"ERROR {n}"} for n in range(25_000)]
    aws.put_events("/app", "s", events, region=REGION)
    findings = checks.run(NOON).findings()
    assert findings["total"] == 25_000
    assert len(findings["rows"]) == 10
    assert "25,000" in told(aws)[0]
    assert "AWS returned 10,000 rows, the query's limit" in findings["notes"][0]


def test_a_stats_query_has_as_many_findings_as_rows(checks, aws, arrives):
    checks.write(
        "share",
        "# title: Share\n# severity: low\n# log_group_sets: [app]\nstats count(*) as n by @message | filter n > 1",
    )
    for message in ("a", "a", "b", "c", "c"):
        arrives(5 * MINUTE, message)
    findings = checks.run(NOON).findings("share")
    assert (findings["total"], sorted(row["@message"] for row in findings["rows"])) == (2, ["a", "c"])


def test_more_than_fifty_log_groups_are_several_queries_and_one_result(checks, aws, arrives):
    names = [f"/many/{n}" for n in range(60)]
    for name in names:
        aws.create_log_group(name, region=REGION, creation_time_ms=to_ms(NOON - timedelta(days=1)))
    arrives(5 * MINUTE, group="/many/0")
    arrives(5 * MINUTE, group="/many/59")
    checks.write(
        "many", f"# title: Many\n# severity: low\n# log_groups: {json.dumps(names)}\nfilter @message like /ERROR/"
    )
    findings = checks.run(NOON).findings("many")
    assert (findings["total"], len(findings["ids"])) == (2, 2)
    assert len(told(aws)) == 1


@pytest.fixture
def many(checks, aws):
    """A check on 61 log groups, the first of which does not exist yet, alone in its folder: two queries."""
    names = [f"/many/{n}" for n in range(61)]
    for name in names[1:]:
        aws.create_log_group(name, region=REGION, creation_time_ms=to_ms(NOON - timedelta(days=1)))
    (checks.folder / "errors.insights").unlink()
    checks.write(
        "many", f"# title: Many\n# severity: low\n# log_groups: {json.dumps(names)}\nfilter @message like /ERROR/"
    )
    run = checks.start(NOON)
    run.plan()
    return run


def deferred_by(run, **options):
    """The deferral of the first look, and its context."""
    run.look_options = options
    [keywords] = run.run.xcoms["plan", -1, "return_value"]
    context = run.run.context("look", 0)
    with pytest.raises(TaskDeferred) as deferred:
        run.look_task(keywords).execute(context)
    return deferred.value, context, run.look_task(keywords)


def statuses(aws_client):
    return [query["status"] for query in aws_client("logs").describe_queries()["queries"]]


def test_a_log_group_that_comes_while_queries_are_started_shifts_no_portion(many, aws, arrives):
    arrives(5 * MINUTE, group="/many/50")
    aws.configure(query_concurrency=1, query_running_seconds=2)
    _, context, resumed = deferred_by(many)
    aws.create_log_group("/many/0", region=REGION, creation_time_ms=to_ms(NOON - timedelta(days=1)))
    aws.configure(query_concurrency=100, query_running_seconds=0)
    findings = resumed.quota_pause_over(context)
    assert (findings["total"], findings["missing"]) == (1, ["/many/0"])


def test_log_groups_that_can_hold_nothing_of_the_scan_are_not_asked(checks, aws, arrives):
    then = timedelta(days=3)
    aws.create_log_group("/young", region=REGION, creation_time_ms=to_ms(NOON))
    aws.create_log_group("/expired", region=REGION, creation_time_ms=to_ms(NOON - 2 * then), retention_days=1)
    checks.write(
        "errors", "# title: E\n# severity: low\n# log_groups: [/app, /young, /expired]\nfilter @message like /ERROR/"
    )
    arrives(then + 5 * MINUTE)
    run = checks.run(NOON - then)
    assert run.failed == {}
    assert (run.findings()["total"], run.findings()["missing"]) == (1, [])
    assert [call["parameters"]["logGroupNames"] for call in aws.calls("logs.StartQuery")] == [["/app"]]


# What AWS answers


@pytest.mark.parametrize("worker_seconds", [20, 0])
@pytest.mark.parametrize("status", ["Failed", "Timeout", "Cancelled", "Unknown"])
def test_a_query_that_ends_badly_is_an_error_and_the_retry_asks_again(checks, aws, arrives, status, worker_seconds):
    arrives(5 * MINUTE)
    aws.configure(query_outcome=status, query_running_seconds=0.5)
    run = checks.start(NOON)
    run.plan()
    run.look_options = {"worker_seconds": worker_seconds}
    run.look()
    assert run.run.deferrals == ([] if worker_seconds else ["QueriesTrigger"])
    assert isinstance(run.failed["errors"], LogAuditError)
    assert f"ended {status}" in str(run.failed["errors"])
    assert retried(run.failed["errors"])
    aws.configure(query_outcome="Complete")
    run.look()
    assert run.findings()["total"] == 1


def test_a_query_that_aws_cannot_read_names_the_file_and_is_not_retried(checks, aws, arrives):
    checks.write("bad", "# title: Bad\n# severity: low\n# log_group_sets: [app]\nfilter ((")
    arrives(5 * MINUTE)
    run = checks.run(NOON)
    error = run.failed["bad"]
    assert isinstance(error, QueryFileError)
    assert "bad.insights: AWS cannot read the query" in str(error)
    assert not retried(error)
    assert run.findings("errors")["total"] == 1


def test_a_bad_file_fails_its_own_task_alone(checks, aws, arrives):
    checks.write("bad", "# title: Bad\n# severty: low\n# log_group_sets: [app]\nfilter 1 = 1")
    checks.write("lost", "# title: Lost\n# severity: low\n# log_group_sets: [nowhere]\nfilter 1 = 1")
    arrives(5 * MINUTE)
    run = checks.run(NOON)
    assert "bad.insights:2: there is no key 'severty'" in str(run.failed["bad"])
    assert "the settings define no set 'nowhere' for the target 'tokyo'" in str(run.failed["lost"])
    assert run.findings()["total"] == 1
    assert checks.remembered("bad") == {"watermark": to_ms(NOON - 7 * MINUTE)}  # mended, it catches up from here


def test_a_log_group_that_vanished_is_named_and_the_others_are_checked(checks, aws, arrives):
    checks.write("both", "# title: Both\n# severity: high\n# log_group_sets: [two]\nfilter @message like /ERROR/")
    (checks.folder / "errors.insights").unlink()
    arrives(5 * MINUTE)
    findings = checks.run(NOON).findings("both")
    assert (findings["total"], findings["missing"]) == (1, ["/gone"])
    assert "these log groups do not exist and were not searched: /gone" in str(
        aws.slack_messages("alerts")[0]["blocks"]
    )


def test_a_missing_log_group_is_told_once_even_without_findings(checks, aws):
    checks.write("both", "# title: Both\n# severity: high\n# log_group_sets: [two]\nfilter @message like /ERROR/")
    (checks.folder / "errors.insights").unlink()
    for minutes in (0, 5, 10):
        checks.run(NOON + minutes * MINUTE)
    assert len(told(aws)) == 1
    assert "/gone" in str(aws.slack_messages("alerts")[0]["blocks"])


def test_over_quota_the_query_waits_and_goes_on(checks, aws, aws_client, arrives):
    arrives(5 * MINUTE)
    occupy(aws, aws_client, 3)
    run = checks.start(NOON)
    [keywords] = run.plan()
    with pytest.raises(TaskDeferred) as deferred:
        run.look_task(keywords).execute(run.run.context("look", 0))
    assert type(deferred.value.trigger).__name__ == "QuotaPauseTrigger"
    assert deferred.value.method_name == "quota_pause_over"
    aws.configure(query_concurrency=100, query_running_seconds=0)
    resumed = run.look_task(keywords).quota_pause_over(run.run.context("look", 0))
    assert resumed["total"] == 1


def occupy(aws, aws_client, seconds):
    """Somebody else's query takes the only place for so long."""
    aws.configure(query_concurrency=1, query_running_seconds=seconds)
    start = int((NOON - MINUTE).timestamp())
    aws_client("logs").start_query(logGroupName="/app", startTime=start, endTime=start, queryString="limit 1")


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_wait_for_the_quota_has_an_end_and_the_next_try_a_limit_of_its_own(
    checks, aws, aws_client, arrives, monkeypatch, deferrable
):
    monkeypatch.setattr(queries, "QUOTA_PAUSE", 0.2)
    arrives(5 * MINUTE)
    occupy(aws, aws_client, 60)
    run = checks.start(NOON)
    run.plan()
    run.look_options = {"time_limit": timedelta(seconds=2), "deferrable": deferrable}
    run.look()
    assert "could not be started, or did not end, within 0:00:02" in str(run.failed["errors"])
    occupied = aws_client("logs").describe_queries()["queries"][0]["queryId"]
    monkeypatch.setattr(queries, "QUOTA_PAUSE", 0.8)
    before = len(aws.calls("logs.StartQuery"))

    def freed(*_):
        if len(aws.calls("logs.StartQuery")) == before + 1:
            aws_client("logs").stop_query(queryId=occupied)
            aws.configure(query_running_seconds=0)

    pause = queries.LogsQueryOperator._pause
    monkeypatch.setattr(queries.LogsQueryOperator, "_pause", lambda self: (freed(), pause(self)))
    run.look()  # meets the full quota once more, and goes on
    assert run.findings()["total"] == 1


def test_a_check_that_lasts_too_long_is_stopped_and_holds_up_no_alert(checks, aws, aws_client, arrives):
    checks.write("slow", "# title: Slow\n# severity: low\n# log_group_sets: [app]\nfilter @message like /ERROR/")
    arrives(5 * MINUTE)
    run = checks.start(NOON)
    run.plan()
    run.look(only="errors")
    aws.configure(query_running_seconds=60)
    run.look_options = {"worker_seconds": 0, "time_limit": timedelta(seconds=1)}
    run.look(only="slow")
    run.alert()
    assert isinstance(run.failed["slow"], PermanentError)
    assert not retried(run.failed["slow"])  # the next run catches up
    assert statuses(aws_client)[0] == "Cancelled"
    assert ["Errors of the app" in text for text in told(aws)] == [True]
    aws.configure(query_running_seconds=0)
    assert checks.run(NOON + 5 * MINUTE).findings("slow")["total"] == 1


def test_a_dag_says_how_long_its_looks_may_take_and_how_often_they_are_tried(checks):
    with DAG("d", schedule=None, default_args=DEFAULT_ARGS) as dag:
        look_and_alert(load_settings(), INSIGHTS_CHECKS, "regular", look_limit=4 * MINUTE, look_retries=1)
    look = dag.get_task("look")
    assert (look.partial_kwargs["time_limit"], look.retries) == (4 * MINUTE, 1)


def test_a_fault_while_the_rows_are_read_costs_no_second_scan(checks, aws, arrives, monkeypatch):
    arrives(5 * MINUTE)
    read = LogsHook.query_results

    def expires(hook, query_id):
        aws.fault("logs.GetQueryResults", error="ExpiredTokenException")
        return read(hook, query_id)

    run = checks.start(NOON)
    run.plan()
    with monkeypatch.context() as patched:
        patched.setattr(LogsHook, "query_results", expires)
        run.look()
    assert "ExpiredTokenException" in str(run.failed["errors"])
    run.look()
    assert run.findings()["total"] == 1
    assert len(aws.calls("logs.StartQuery")) == 1


def test_a_result_that_only_a_person_can_mend_is_asked_anew_when_cleared(checks, aws, arrives, monkeypatch):
    def refuses(*_):
        raise PermanentError("mend it")

    run = checks.start(NOON)
    run.plan()
    with monkeypatch.context() as patched:
        patched.setattr(LogsInsightsOperator, "result", refuses)
        run.look()
    arrives(5 * MINUTE)
    run.look()
    assert run.findings()["total"] == 1


def test_a_fault_that_ends_the_wait_leaves_the_query_running_for_the_next_try(checks, aws, aws_client, arrives):
    arrives(5 * MINUTE)
    aws.configure(query_running_seconds=4)
    run = checks.start(NOON)
    run.plan()
    deferral, context, resumed = deferred_by(run, worker_seconds=0)
    aws.fault("logs.GetQueryResults", error="ExpiredTokenException")
    event = asyncio.run(fire(deferral.trigger))
    assert event["status"] == "error"
    with pytest.raises(LogAuditError, match="broke off; the next try goes on") as raised:
        resumed.queries_ended(context, event)
    assert retried(raised.value)
    assert statuses(aws_client) == ["Running"]
    run.look()
    assert run.findings()["total"] == 1
    assert len(aws.calls("logs.StartQuery")) == 1


def test_a_kill_passes_over_queries_that_have_ended_or_are_unknown(many, aws, aws_client):
    aws.configure(query_running_seconds=60)
    deferral, *_ = deferred_by(many, worker_seconds=0)
    trigger = revive(deferral.trigger)
    aws_client("logs").stop_query(queryId=trigger.query_ids[0])
    trigger.query_ids.insert(0, "unknown")
    asyncio.run(trigger.on_kill())
    assert statuses(aws_client) == ["Cancelled", "Cancelled"]


def test_a_kill_while_the_quota_is_waited_for_stops_what_was_started(many, aws, aws_client):
    aws.configure(query_running_seconds=60, query_concurrency=1)
    deferral, *_ = deferred_by(many)
    assert deferral.method_name == "quota_pause_over"
    asyncio.run(revive(deferral.trigger).on_kill())
    assert statuses(aws_client) == ["Cancelled"]


def test_a_killed_task_stops_its_queries(checks, aws, aws_client):
    aws.configure(query_running_seconds=60)
    run = checks.start(NOON)
    [keywords] = run.plan()
    task = run.look_task(keywords)
    task.worker_seconds = 0
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(run.run.context("look", 0))

    assert statuses(aws_client) != ["Cancelled"]
    asyncio.run(revive(deferred.value.trigger).on_kill())
    assert statuses(aws_client) == ["Cancelled"]
    task.on_kill()  # a second signal finds them ended, which is no error


def test_a_worker_that_dies_goes_on_with_its_query(checks, aws, arrives):
    arrives(5 * MINUTE)
    run = checks.start(NOON)
    [keywords] = run.plan()
    task = run.look_task(keywords)
    task.worker_seconds = 0
    aws.configure(query_running_seconds=1)
    with pytest.raises(TaskDeferred):
        task.execute(run.run.context("look", 0))
    run.look()
    assert run.findings()["total"] == 1
    assert len(aws.calls("logs.StartQuery")) == 1


@pytest.mark.parametrize("fault", [{"error": "InternalFailure", "status": 500}, {"drop": "before"}])
def test_passing_faults_are_retried(checks, aws, arrives, fault):
    arrives(5 * MINUTE)
    aws.fault("logs.GetQueryResults", **fault)
    aws.fault("logs.DescribeLogGroups", **fault)
    run = checks.run(NOON)
    assert run.findings()["total"] == 1
    aws.fault("logs.StartQuery", times=9, **fault)
    run = checks.start(NOON + 5 * MINUTE)
    run.plan()
    run.look()
    assert isinstance(run.failed["errors"], botocore.exceptions.ClientError | botocore.exceptions.HTTPClientError)
    assert retried(run.failed["errors"])


# Incidents


def test_a_condition_that_lasts_is_one_message_with_a_thread(checks, aws, arrives):
    for minutes in range(5, 80, 5):
        arrives(-(minutes - 5) * MINUTE)
    for minutes in range(5, 95, 5):
        checks.run(NOON + minutes * MINUTE)
    messages = aws.slack_messages("alerts")
    assert [bool(message.get("thread_ts")) for message in messages] == [False, True, True]
    assert "Errors of the app" in messages[0]["text"]
    assert "still going on" in messages[1]["text"]
    assert "recovered" in messages[2]["text"]
    assert "*15* in all" in messages[2]["text"]
    assert "incident" not in checks.remembered()


def test_a_tenfold_jump_is_told_at_once(checks, aws, arrives):
    arrives(5 * MINUTE)
    checks.run(NOON)
    for _ in range(10):
        arrives(-MINUTE)
    checks.run(NOON + 5 * MINUTE)
    assert "still going on: *10*" in told(aws)[1]


def test_critical_findings_go_to_every_channel_of_their_severity(checks, aws, arrives):
    checks.write("worst", "# title: Worst\n# severity: critical\n# log_group_sets: [app]\nfilter @message like /ERROR/")
    (checks.folder / "errors.insights").unlink()
    arrives(5 * MINUTE)
    checks.run(NOON)
    assert len(told(aws, "alerts")) == len(told(aws, "general")) == 1
    checks.run(NOON + 5 * MINUTE)
    assert "recovered" in told(aws, "general")[1]


# Alerts arrive, once


def test_slack_down_loses_and_repeats_nothing(checks, aws, arrives):
    arrives(5 * MINUTE, "ERROR early")
    aws.fault("slack.chat.postMessage", times=100, status=500, error="internal_error")
    for minutes in (0, 5, 10, 15):
        run = checks.start(NOON + minutes * MINUTE)
        run.plan()
        run.look()
        for _ in range(2):
            with pytest.raises(AlertError) as raised:
                run.alert()
            assert retried(raised.value)
    assert told(aws) == []
    aws.clear_faults()
    arrives(-12 * MINUTE, "ERROR later")
    checks.run(NOON + 20 * MINUTE)  # the window whose alert had failed, as it was
    checks.run(NOON + 25 * MINUTE)  # all that came since
    checks.run(NOON + 30 * MINUTE)
    opened, recovered = told(aws)
    assert "*1* finding" in opened
    assert "*2* in all" in recovered


@pytest.mark.parametrize("drop", ["before", "after"])
def test_an_unknown_outcome_is_looked_up_before_sending_again(checks, aws, arrives, drop):
    arrives(5 * MINUTE)
    aws.fault("slack.chat.postMessage", drop=drop)
    run = checks.start(NOON)
    run.plan()
    run.look()
    with pytest.raises(AlertError):
        run.alert()
    assert run.alert()["alerted"] == 1
    assert len(told(aws)) == 1


def test_an_unknown_outcome_is_looked_up_by_the_next_run_too(checks, aws, arrives):
    arrives(5 * MINUTE)
    aws.fault("slack.chat.postMessage", drop="after")
    run = checks.start(NOON)
    run.plan()
    run.look()
    with pytest.raises(AlertError):
        run.alert()
    arrives(0 * MINUTE, "ERROR more")
    later = checks.run(NOON + 5 * MINUTE)
    assert later.findings()["total"] == 1  # the same window again, until its alert is settled
    assert len(told(aws)) == 1
    assert checks.run(NOON + 10 * MINUTE).findings()["total"] == 1
    checks.run(NOON + 15 * MINUTE)
    assert "*2* in all" in told(aws)[-1]


def test_an_alert_worker_killed_after_slack_answered_does_not_send_again(checks, aws, arrives, monkeypatch):
    arrives(5 * MINUTE)
    run = checks.start(NOON)
    run.plan()
    run.look()
    store = checks.stores[WATCHES["regular"]]
    written = []

    def dies_at_second_write(key, value):
        written.append(key)
        if len(written) == 2:
            raise SystemExit("SIGKILL")
        type(store).set(store, key, value)

    monkeypatch.setattr(store, "set", dies_at_second_write)
    with pytest.raises(SystemExit):
        run.alert()
    assert len(told(aws)) == 1
    run.alert()
    assert len(told(aws)) == 1
    assert checks.remembered()["incident"]["total"] == 1


def test_a_cleared_alert_task_repeats_nothing(checks, aws, arrives):
    arrives(5 * MINUTE)
    run = checks.run(NOON)
    run.alert()
    assert len(told(aws)) == 1


def test_rate_limits_are_waited_for(checks, aws, arrives):
    arrives(5 * MINUTE)
    aws.fault("slack.chat.postMessage", status=429, error="ratelimited")
    assert checks.run(NOON).run.xcoms["alert", -1, "return_value"]["alerted"] == 1
    assert len(told(aws)) == 1


def test_a_refusal_inside_a_200_is_a_failure(checks, aws, arrives):
    arrives(5 * MINUTE)
    aws.fault("slack.chat.postMessage", status=200, error="fatal_error")
    run = checks.start(NOON)
    run.plan()
    run.look()
    with pytest.raises(AlertError, match="fatal_error"):
        run.alert()
    assert checks.remembered()["watermark"] == to_ms(NOON - 7 * MINUTE)


def test_a_missing_connection_is_a_clear_error(checks, aws, arrives, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT")
    arrives(5 * MINUTE)
    run = checks.start(NOON)
    run.plan()
    run.look()
    with pytest.raises(AccessError, match="there is no Airflow connection 'slack_default'") as raised:
        run.alert()
    assert not retried(raised.value)


def test_without_findings_no_slack_is_needed(checks, aws, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT")
    checks.run(NOON)
    assert checks.remembered()["watermark"] == to_ms(NOON - 2 * MINUTE)


def test_a_channel_that_does_not_exist_says_what_to_do(checks, aws, arrives):
    aws.configure(slack_channels=["general"])
    arrives(5 * MINUTE)
    run = checks.start(NOON)
    run.plan()
    run.look()
    with pytest.raises(AccessError, match=r"alerts refuses \(channel_not_found\): there is no such channel"):
        run.alert()


@pytest.mark.parametrize("run_type", ["manual", "backfill"])
def test_runs_by_hand_alert_only_when_asked_and_once(checks, aws, arrives, run_type):
    arrives(3 * MINUTE)
    checks.run(NOON, run_type=run_type)
    assert told(aws) == []
    run = checks.run(NOON, run_type=run_type, params={"alert": True})
    run.alert()
    assert len(told(aws)) == 1
    assert checks.remembered() == {}


# What leaves the task


def test_secrets_leave_the_task_nowhere(checks, aws, arrives, capsys):
    # pragma: allowlist nextline secret - the token signs nothing
    secrets = ["hunter2!pass", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "taro@example.jp", "customer-4711"]
    arrives(
        5 * MINUTE,
        f"ERROR password={secrets[0]} Authorization: Bearer {secrets[1]} mail {secrets[2]} of {secrets[3]}",
    )
    run = checks.run(NOON)
    everything = json.dumps([str(run.run.xcoms), str(run.run.events), str(aws.slack_messages("alerts"))])
    everything += str([vars(event) for event in run.run.events.values()]) + str(run.run.stores) + str(checks.stores)
    everything += capsys.readouterr().out
    assert "ERROR password=***" in everything
    assert [secret for secret in secrets if secret in everything] == []


def test_hostile_text_is_shown_harmlessly(checks, aws, arrives):
    arrives(5 * MINUTE, "ERROR <!channel> *bold* _it_ ~gone~ ``` <https://evil.example|click> \u202e" + "x" * 10_000)
    checks.run(NOON)
    [message] = aws.slack_messages("alerts")
    text = json.dumps(message["blocks"], ensure_ascii=False)
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    assert "<https://evil" not in text
    assert "\u202e" not in text
    assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"] if "text" in block)


def test_the_links_open_the_query_and_the_run(checks, aws, arrives, monkeypatch):
    arrives(5 * MINUTE)
    run = checks.run(NOON)
    findings = run.findings()
    assert findings["console"].startswith("https://ap-northeast-1.console.aws.amazon.com/cloudwatch/home?region=")
    assert "source~(~'*2fapp)" in findings["console"]
    [message] = aws.slack_messages("alerts")
    assert "/dags/dag/runs/run|Airflow run>" in str(message["blocks"])
    told = run.run.xcoms["alert", -1, SlackMessageLink().xcom_key]
    assert told.startswith(f"{aws.endpoint}/slack/archives/")
    assert told.endswith(f"/p{message['ts'].replace('.', '')}")
