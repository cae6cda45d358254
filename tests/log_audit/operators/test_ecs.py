"""From a stopped ECS task to a recorded window: sensor, trigger, record and settle against the stand-in."""

import asyncio
import json
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import TaskDeferred

from local_aws.airflow import aws_connection
from log_audit.errors import AccessError, AlertError, DeliveryError, NotRecordedError, SettingsError
from log_audit.links.slack import SlackMessageLink
from log_audit.sensors.ecs import EcsTaskStoppedSensor
from log_audit.settings import load_settings
from log_audit.triggers import ecs as triggers
from log_audit.window import to_ms, utc_now
from tests.support.delivery_runs import LOG, POLLING, QUEUE, REGION, SETTINGS
from tests.support.tasks import Store, fire

BOTH = pytest.mark.parametrize("source", [pytest.param(SETTINGS, id="queue"), pytest.param(POLLING, id="ecs")])
HOURS = [f"2026-11-{day:02d}T{hour:02d}" for day in range(10, 20) for hour in range(24)]
NOTHING = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(triggers, "LONG_POLL", 1)
    monkeypatch.setattr(triggers, "SHORT_POLL", 1)
    monkeypatch.setattr(triggers, "LONGEST_PAUSE", 0.5)
    monkeypatch.setattr(triggers, "DEFERRED_AFTER", 0)


@pytest.fixture
def queue(aws_client):
    """What is in the queue or its dead-letter queue, counted and sent to."""

    class Queue:
        sqs = aws_client("sqs")

        def count(self, name="log-audit-ecs-tasks"):
            url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            return sum(int(found[name]) for name in names)

        def send(self, body):
            self.sqs.send_message(QueueUrl=QUEUE, MessageBody=body)

    return Queue()


def recently(line, cluster, **task):
    """A task that has just stopped: ECS tells of no others."""
    return line.aws.stopped_task(
        "batch",
        "aurora-log-shipper",
        task.pop("command", [cluster]),
        region=REGION,
        container="shipper",
        started_at=time.time() - 120,
        **task,
    ).partition(":task/")[2]


# Deliveries


def test_each_window_that_was_shipped_is_recorded_and_its_message_deleted(deliveries, queue):
    line = deliveries()
    task = line.stop("orders", "2026-11-20T09")
    line.stop("payments", "2026-11-20T09")
    line.stop("orders", "2026-11-20T08")
    run = line.run()
    assert run.keys() == ["orders/2026-11-20T08", "orders/2026-11-20T09", "payments/2026-11-20T09"]
    assert queue.count() == 0
    assert next(extra for _, extra in run.recorded if extra["task"] == task) == {
        "target": "tokyo",
        "cluster": "orders",
        "key": "orders/2026-11-20T09",
        "task": task,
        "version": 5,
        "started": "2026-11-20T01:01:30.000Z",
        "stopped": "2026-11-20T01:02:30.000Z",
    }
    assert line.told() == []


@BOTH
def test_both_sources_judge_alike(deliveries, source):
    line = deliveries(source)
    well = recently(line, "orders", exit_codes={"log-router": 143, "shipper": 0})
    bad = recently(line, "payments", exit_codes={"log-router": 0, "shipper": 143})
    recently(line, "orders", command=["orders", "--dry-run"])
    recently(line, "orders", command=["sh", "orders"])
    seen, alerts = set(), []
    while len(seen) < 2:
        run = line.run()
        seen |= {task["task"] for batch in run.batches for task in batch["tasks"]}
        alerts = line.told()
        assert {delivery["task"] for delivery in run.deliveries} <= {well}
    assert seen == {well, bad}
    [alert] = alerts
    assert "Audit log of payments not delivered" in alert
    assert "ended with exit code 143 (EssentialContainerExited)" in alert


def test_the_same_event_five_times_is_one_delivery(deliveries, aws, queue):
    line = deliveries()
    aws.configure(ecs_event_copies=5)
    line.stop("orders", "2026-11-20T09")
    run = line.run()
    assert run.keys() == ["orders/2026-11-20T09"]
    while queue.count():
        assert line.run().keys() == []


def test_versions_out_of_order_are_one_delivery(deliveries, queue):
    line = deliveries()
    task = line.stop("orders", "2026-11-20T09")
    [message] = queue.sqs.receive_message(QueueUrl=QUEUE, VisibilityTimeout=0)["Messages"]
    event = json.loads(message["Body"])
    for version in (3, 4):
        older = json.loads(json.dumps(event))
        older["detail"] |= {"version": version, "containers": []}
        queue.send(json.dumps(older))
    time.sleep(0.2)
    keys = []
    while queue.count():
        keys += line.run().keys()
    assert keys == ["orders/2026-11-20T09"]
    assert line.told() == []
    assert line.store["handed_on/tokyo/2026-11-20"] == {task: [5, "delivery"]}


def test_two_hundred_that_wait_are_taken_fifty_at_a_time_and_each_once(deliveries, queue):
    line = deliveries()
    for hour in HOURS[:200]:
        line.stop("orders", hour)
    sizes, keys = [], []
    while queue.count():
        run = line.run()
        sizes.append(len(run.keys()))
        keys += run.keys()
    assert sizes == [50, 50, 50, 50]
    assert sorted(keys) == sorted(f"orders/{hour}" for hour in HOURS[:200])


def test_asking_ecs_does_not_tell_of_the_same_task_twice(deliveries):
    line = deliveries(POLLING)
    first = recently(line, "orders")
    assert [delivery["task"] for delivery in line.run().deliveries] == [first]
    second = recently(line, "payments")
    assert [delivery["task"] for delivery in line.run().deliveries] == [second]


# Killed, or failing in between


def test_who_is_killed_before_the_messages_are_deleted_doubles_no_delivery(deliveries, aws, queue):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    aws.fault("sqs.DeleteMessageBatch", error="InternalError", status=500, times=10)
    first = line.start()
    first.sense()
    first.record()
    with pytest.raises(Exception, match="InternalError"):
        first.settle()
    aws.clear_faults()
    assert queue.count() == 1
    second = line.run()
    assert (first.keys(), second.keys()) == (["orders/2026-11-20T09"], [])
    assert queue.count() == 0


def test_who_is_killed_before_anything_is_recorded_finds_it_again(deliveries):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    line.start().sense()
    assert line.run().keys() == ["orders/2026-11-20T09"]


def test_a_message_that_is_not_deleted_fails_the_task_until_it_is(deliveries, aws, queue):
    line = deliveries()
    for hour in HOURS[:12]:
        line.stop("orders", hour)
    aws.configure(sqs_delete_failures=1)
    run = line.start()
    run.sense()
    run.record()
    with pytest.raises(DeliveryError, match=r"1 of 12 messages were not deleted .* Nothing is lost"):
        run.settle()
    assert run.settle()["messages deleted"] == 12
    assert queue.count() == 0


def test_what_was_not_recorded_comes_again_and_the_rest_is_settled(deliveries):
    line = deliveries()
    line.stop("orders", "2026-11-20T08")
    line.stop("orders", "2026-11-20T09")
    run = line.start()
    run.sense()
    run.record(only=0)
    with pytest.raises(NotRecordedError, match=r"1 of 2 deliveries were not recorded: batch/"):
        run.settle()
    assert run.keys() == ["orders/2026-11-20T08"]
    assert line.run().keys() == ["orders/2026-11-20T09"]


def test_a_run_without_a_sensor_has_nothing_to_settle(deliveries):
    with pytest.raises(NotRecordedError, match="stopped did not end well"):
        deliveries().start().settle()


def test_a_sensor_with_nothing_to_watch_says_so(deliveries, tmp_path):
    line = deliveries()
    (tmp_path / "settings.yaml").write_text(NOTHING)
    sensor = EcsTaskStoppedSensor(task_id="stopped", settings=load_settings(), watches=LOG)
    with pytest.raises(SettingsError, match="no target of the settings has aurora"):
        sensor.execute(line.start().run.context("stopped"))


# Bad ends


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ({"exit_codes": {"shipper": 1}}, "ended with exit code 1 (EssentialContainerExited): Essential container in"),
        ({"exit_codes": {"shipper": None}}, "ended without an exit code (EssentialContainerExited)"),
        (
            {"never_started": True, "stop_code": "TaskFailedToStart", "stopped_reason": "CannotPullContainerError"},
            "never started (TaskFailedToStart): CannotPullContainerError",
        ),
        ({"no_containers": True, "never_started": True, "stop_code": "TaskFailedToStart"}, "never started"),
    ],
)
def test_a_task_that_ended_badly_raises_one_alert_and_records_nothing(deliveries, aws, queue, ending, said):
    line = deliveries()
    aws.configure(ecs_event_copies=2)
    line.stop("orders", "2026-11-20T09", **ending)
    links = set()
    while queue.count():
        run = line.run()
        assert run.keys() == []
        links.add(run.run.xcoms.get(("settle", -1, SlackMessageLink().xcom_key)))
    [alert] = line.told()
    [message] = aws.slack_messages("alerts")
    assert [link.endswith(f"/p{message['ts'].replace('.', '')}") for link in links - {None}] == [True]
    assert said in alert
    assert "2026-11-20T09" in alert


def test_a_task_that_is_run_again_after_a_bad_end_delivers(deliveries):
    line = deliveries()
    line.stop("orders", "2026-11-20T09", exit_codes={"shipper": 1})
    assert line.run().keys() == []
    line.stop("orders", "2026-11-20T09")
    assert line.run().keys() == ["orders/2026-11-20T09"]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_bad_end_is_kept_until_people_were_told_and_told_once(deliveries, aws, queue, lost):
    line = deliveries()
    line.stop("orders", "2026-11-20T09", exit_codes={"shipper": 1})
    aws.fault("slack.chat.postMessage", drop=lost)
    run = line.start()
    run.sense()
    with pytest.raises(AlertError):
        run.settle()
    assert queue.count() == 0  # it would end in the dead-letter queue unheard
    line.stop("orders", "2026-11-20T10")
    assert line.run().keys() == ["orders/2026-11-20T10"]  # as after the task's last try
    assert len(line.told()) == 1
    run.settle()  # a clear of the first run tells nothing again
    assert len(line.told()) == 1


def test_a_bad_end_is_told_once_however_often_settle_is_tried(deliveries, aws):
    line = deliveries()
    line.stop("orders", "2026-11-20T08", exit_codes={"shipper": 1})
    line.stop("orders", "2026-11-20T09", exit_codes={"shipper": 1})
    aws.fault("slack.chat.postMessage", error="internal_error", times=1)
    run = line.start()
    run.sense()
    with pytest.raises(AlertError):
        run.settle()
    for _ in range(3):
        run.settle()
    assert sorted(text[-60:] for text in line.told()) == sorted({text[-60:] for text in line.told()})
    assert len(line.told()) == 2


def test_death_at_any_write_of_the_store_tells_each_bad_end_once(deliveries, monkeypatch):
    line = deliveries()
    for dies_at in range(1, 15):
        line.stop("orders", HOURS[dies_at], exit_codes={"shipper": 1})
        run = line.start()
        run.sense()
        with monkeypatch.context() as patch:
            patch.setattr(Store, "set", dying_at(dies_at, Store.set))
            with suppress(Killed):
                run.settle()
        run.settle()
        assert len(line.told()) == dies_at


class Killed(BaseException):
    """SIGKILL: no handler runs."""


def dying_at(number, write):
    count = 0

    def set_or_die(store, key, value):
        nonlocal count
        count += 1
        if count == number:
            raise Killed
        write(store, key, value)

    return set_or_die


def test_a_reason_from_outside_reaches_nobody_raw(deliveries, aws):
    line = deliveries()
    line.stop(
        "orders", "2026-11-20T09", exit_codes={"shipper": 1}, stopped_reason="<!channel> password=hunter2 {{ 7*7 }}"
    )
    run = line.run()
    everything = str(run.run.xcoms) + str(aws.slack_messages("alerts")) + str(line.stores)
    assert "hunter2" not in everything
    assert "<!channel>" not in str(aws.slack_messages("alerts"))
    assert "{{ 7*7 }}" in everything


# The queue's other contents


def test_a_message_that_is_no_event_goes_aside_and_blocks_nothing(deliveries, queue):
    line = deliveries()
    queue.send("hello")
    line.stop("orders", "2026-11-20T09")
    keys = line.run().keys()
    keys += line.run().keys()  # one of the two had both, the other one meets the message again
    assert keys == ["orders/2026-11-20T09"]
    [alert] = line.told()
    assert "LOW · A message in the queue cannot be read" in alert
    assert queue.count("log-audit-ecs-tasks-dlq") == 0
    deadline = time.monotonic() + 30
    while queue.count("log-audit-ecs-tasks-dlq") == 0 and time.monotonic() < deadline:
        queue.sqs.receive_message(QueueUrl=QUEUE, VisibilityTimeout=0)
    assert (queue.count(), queue.count("log-audit-ecs-tasks-dlq")) == (0, 1)


def test_messages_that_do_not_concern_us_are_deleted(deliveries, queue):
    line = deliveries()
    line.stop("orders", "2026-11-20T09", command=["orders", "--dry-run"])
    run = line.run()
    assert (run.deliveries, line.told(), queue.count()) == ([], [], 0)


# AWS refuses


def test_refused_calls_end_no_run(deliveries, aws):
    line = deliveries(SETTINGS.replace("blind_after_minutes: 0.05", "blind_after_minutes: 10"))
    line.stop("orders", "2026-11-20T09")
    aws.fault("sqs.ReceiveMessage", error="AccessDenied", status=403, times=2)
    aws.fault("sqs.ReceiveMessage", error="InternalError", status=500, times=1)
    aws.fault("sqs.ReceiveMessage", drop="before", times=1)
    run = line.run()
    assert run.keys() == ["orders/2026-11-20T09"]
    assert line.told() == []


@BOTH
def test_people_are_told_once_that_nobody_can_see_and_once_that_it_is_over(deliveries, aws, source):
    line = deliveries(source)
    for action in ("sqs.ReceiveMessage", "ecs.ListTasks"):
        aws.fault(action, error="AccessDeniedException", status=400, message="no: <!here>", times=10_000)
    assert line.run().deliveries == []
    [alert] = aws.slack_messages("alerts")
    assert "AWS does not tell of stopped tasks" in alert["text"]
    assert "AccessDeniedException" in str(alert["blocks"])
    assert "<!here>" not in str(alert["blocks"])
    aws.clear_faults()
    line.run()
    assert [message["thread_ts"] for message in aws.slack_messages("alerts")] == [None, alert["ts"]]
    assert "✅ Stopped tasks are seen again" in line.told()[1]


# Silence


def long_ago(line, cluster, hours):
    watched = line.store.get("last_delivery/tokyo") or {"orders": to_ms(utc_now()), "payments": to_ms(utc_now())}
    line.store["last_delivery/tokyo"] = {**watched, cluster: to_ms(utc_now() - timedelta(hours=hours))}


def test_silence_is_told_for_its_own_cluster_once_and_when_it_is_over(deliveries):
    line = deliveries()
    long_ago(line, "orders", 2.9)
    long_ago(line, "payments", 3.1)
    since = line.store["last_delivery/tokyo"]["payments"]
    assert line.run().deliveries == []  # it wakes by itself
    [alert] = line.told()
    assert "No audit log from payments" in alert
    assert "for longer than 3 h" in alert
    # The deliveries of another cluster hide nothing and repeat nothing.
    line.stop("orders", "2026-11-20T09")
    line.run()
    assert len(line.told()) == 1
    recently(line, "payments")
    line.run()
    assert "✅ Audit logs are delivered again" in line.told()[1]
    assert line.store["last_delivery/tokyo"]["payments"] > since


def test_what_somebody_received_and_died_with_is_no_silence(deliveries, queue):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    long_ago(line, "orders", 50)
    long_ago(line, "payments", 50)
    queue.sqs.receive_message(QueueUrl=QUEUE, VisibilityTimeout=8)
    run = line.run()  # it wakes, and the queue looks empty
    assert (run.deliveries, line.told()) == ([], [])


def test_who_has_not_seen_all_there_is_does_not_call_it_silence(deliveries):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    line.stop("payments", "2026-11-19T09")
    long_ago(line, "payments", 50)
    long_ago(line, "orders", 50)
    run = line.start()
    run.sense()
    line.stop("payments", "2026-11-19T10")
    run.record()
    run.settle()
    assert line.told() == []


def test_a_cluster_is_watched_from_the_first_run_on(deliveries):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    before = to_ms(utc_now())
    line.run()
    assert line.store["last_delivery/tokyo"]["payments"] >= before
    assert line.told() == []


def test_deliveries_of_long_ago_do_not_end_a_silence(deliveries):
    line = deliveries()
    long_ago(line, "orders", 4)
    long_ago(line, "payments", 1)
    line.run()
    assert len(line.told()) == 1
    line.stop("orders", "2026-11-10T09")
    line.run()
    assert len(line.told()) == 1


# Nobody audits


def test_deliveries_that_nobody_audits_are_told_and_how_to_audit_them(deliveries, aws):
    line = deliveries()
    line.paused = True
    for hour in ("2026-11-20T07", "2026-11-20T08"):
        line.stop("orders", hour)
        line.run()
    [alert] = aws.slack_messages("alerts")
    assert "aurora_audit is paused" in alert["text"]
    assert "orders/2026-11-20T07" in str(alert["blocks"])
    line.paused = False
    line.stop("orders", "2026-11-20T09")
    line.run()
    over = line.told()[1]
    assert "aurora_audit runs again. Audit what came meanwhile with aurora_replay: " in over
    assert "orders from 2026-11-20T07 to 2026-11-20T08" in over
    line.stop("orders", "2026-11-20T10")
    line.run()
    assert len(line.told()) == 2


# Several accounts

OSAKA = """
  osaka:
    connection: aws_osaka
    region: ap-northeast-3
    archive: {bucket: osaka-bucket, log_groups: [{name: /app}]}
    aurora:
      location: s3://osaka-logs/audit
      queue: https://sqs.ap-northeast-3.amazonaws.com/123456789012/osaka-tasks
      clusters:
        osaka-orders: {ecs_cluster: batch, command: [orders], folder: orders}
"""
TWO = SETTINGS.replace("\ndelivery:", f"{OSAKA}\ndelivery:")


def test_two_accounts_have_keys_and_silences_of_their_own(deliveries, aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, "ap-northeast-3"))
    line = deliveries(TWO)
    line.stop("orders", "2026-11-20T09")
    line.stop("orders", "2026-11-20T09", region="ap-northeast-3")
    long_ago(line, "orders", 1)
    line.store["last_delivery/osaka"] = {"osaka-orders": to_ms(utc_now() - timedelta(hours=5))}
    keys = []
    for _ in range(3):
        keys += line.run().keys()
        if line.told() and len(keys) == 2:
            break
    assert sorted(keys) == ["orders/2026-11-20T09", "osaka-orders/2026-11-20T09"]
    [alert] = line.told()
    assert "No audit log from osaka-orders" in alert


def test_an_account_that_cannot_be_reached_holds_up_no_other_and_is_told_of_once(deliveries, aws):
    line = deliveries(TWO)  # there is no connection aws_osaka
    keys = []
    for hour in HOURS[:6]:
        line.stop("orders", hour)
        keys += line.run().keys()
        time.sleep(1)  # blind_after_minutes are three seconds: they pass while the other account's tasks end
    assert keys == [f"orders/{hour}" for hour in HOURS[:6]]
    [alert] = line.told()
    assert "AWS does not tell of stopped tasks" in alert
    assert "`stopped tasks`" in alert
    assert "@ `osaka`" in alert


def test_what_one_account_refuses_leaves_no_other_unsettled(deliveries, aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OSAKA", aws_connection(aws.endpoint, "ap-northeast-3"))
    line = deliveries(TWO)
    line.stop("orders", "2026-11-20T09")
    line.stop("orders", "2026-11-20T09", region="ap-northeast-3")
    line.stop("payments", "2026-11-20T09", exit_codes={"shipper": 1})
    seen: list = []
    while len(seen) < 2:
        run = line.start()
        run.sense()
        run.record()
        aws.fault("sqs.DeleteMessageBatch", error="AccessDenied", status=403)
        with suppress(Exception):
            run.settle()
        aws.clear_faults()
        seen += run.keys()
    assert sorted(seen) == ["orders/2026-11-20T09", "osaka-orders/2026-11-20T09"]
    time.sleep(3.2)
    assert line.run().keys() == []
    assert len([text for text in line.told() if "payments not delivered" in text]) == 1


def test_settings_that_change_while_the_sensor_waits_lose_no_first_delivery(deliveries, tmp_path):
    line = deliveries(
        SETTINGS.replace("        payments: {ecs_cluster: batch, command: [payments], silent_after_hours: 3}\n", "")
    )
    line.stop("payments", "2026-11-20T09", command=["orders", "payments"])
    line.stop("orders", "2026-11-20T09")
    run = line.start()
    stopped = EcsTaskStoppedSensor(task_id="stopped", settings=line.settings, watches=LOG)
    with pytest.raises(TaskDeferred) as deferred:
        stopped.execute(run.run.context("stopped"))
    event = asyncio.run(fire(deferred.value.trigger))
    (tmp_path / "settings.yaml").write_text(SETTINGS.replace("command: [payments]", "command: [orders, payments]"))
    after = EcsTaskStoppedSensor(task_id="stopped", settings=load_settings(), watches=LOG)
    after.tasks_stopped(run.run.context("stopped"), event)
    assert run.batches[0]["noise"] == []


def test_slack_being_closed_to_us_makes_no_storm_of_runs(deliveries, aws):
    line = deliveries()
    long_ago(line, "payments", 4)
    aws.fault("slack.chat.postMessage", error="channel_not_found", times=100)
    run = line.start()
    run.sense()
    with pytest.raises(AccessError):
        run.settle()
    started = time.monotonic()
    line.stop("orders", "2026-11-20T09")
    second = line.start()
    assert [delivery["key"] for delivery in second.sense()] == ["orders/2026-11-20T09"]  # and not the silence again
    [source] = EcsTaskStoppedSensor(task_id="s", settings=line.settings, watches=LOG)._sources(second.run.context("s"))
    assert source["hold_until"] > to_ms(utc_now()) + 25 * 60_000
    assert time.monotonic() - started < 60


def test_a_message_that_breaks_the_reader_takes_no_other_with_it(deliveries, queue):
    line = deliveries()
    queue.send("[" * 100_000)
    for hour in HOURS[:5]:
        line.stop("orders", hour)
    keys = [*line.run().keys()]
    while len(keys) < 5:
        keys += line.run().keys()
    assert sorted(keys) == sorted(f"orders/{hour}" for hour in HOURS[:5])


def test_what_aws_says_is_masked_before_it_is_told(deliveries, aws):
    line = deliveries()
    said = "denied for password=hunter2 Authorization: Bearer abcdefghijkl"
    aws.fault("sqs.ReceiveMessage", error="AccessDenied", status=403, message=said, times=10_000)
    run = line.run()
    everything = str(run.run.xcoms) + str(aws.slack_messages("alerts")) + str(line.stores)
    assert "AccessDenied" in everything
    assert "hunter2" not in everything
    assert "abcdefghijkl" not in everything


def test_what_was_handed_on_is_forgotten_after_fifteen_days(deliveries):
    line = deliveries()
    line.store["handed_on/tokyo/2026-11-03"] = {"batch/w": [5, "delivery"]}
    line.store["handed_on/tokyo/2026-11-05"] = {"batch/x": [5, "delivery"]}
    line.store["handed_on/tokyo/2026-11-06"] = {"batch/y": [5, "delivery"]}
    line.stop("orders", "2026-11-20T09")
    line.run()
    assert "handed_on/tokyo/2026-11-03" not in line.store
    assert "handed_on/tokyo/2026-11-05" not in line.store
    assert "handed_on/tokyo/2026-11-06" in line.store
