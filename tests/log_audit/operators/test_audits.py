"""Planning audits of a window, telling what they found once, and replaying the past."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset

from local_aws.airflow import slack_connection
from log_audit.errors import AlertError, InvalidKeyError, WindowNotOverError
from log_audit.findings import Findings
from log_audit.links.slack import SlackMessageLink
from log_audit.operators.audits import AuditAlertOperator, PlanAuditsOperator
from log_audit.operators.replay import EmitWindowsOperator, PlanReplayOperator
from log_audit.settings import load_settings
from log_audit.window import Window, to_ms
from tests.support.tasks import AssetStores, Run

LOG, AUDITS = Asset("aurora_audit_log"), Asset("aurora_audits")
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
    athena: {workgroup: audits, results: s3://results/athena}
    aurora:
      location: s3://logs/audit
      clusters:
        orders: {ecs_cluster: batch, command: [orders]}
        daily: {ecs_cluster: batch, command: [daily], ships: day}
slack:
  channels: {critical: [alerts, general], high: [alerts], medium: [alerts], low: [alerts], info: [alerts]}
  failures: [alerts]
"""
KEY = "orders/2026-11-20T09"


@pytest.fixture
def settings(tmp_path, monkeypatch, aws):
    aws.configure(slack_channels=["alerts", "general"])
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", slack_connection(aws.endpoint))
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS)
    monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(file))
    return load_settings()


# Planning


def plan(settings, key, folder, run_type="asset_triggered"):
    run = Run(key, run_type=run_type)
    return run.execute(lambda: PlanAuditsOperator(task_id="plan", settings=settings, folder=folder))


def test_each_file_of_the_folder_is_an_audit_of_the_window(settings, tmp_path):
    for name in ("b.sql", "a.sql", "notes.txt"):
        (tmp_path / name).write_text("broken: it fails its own task, not this one")
    planned = plan(settings, KEY, tmp_path)
    assert [Path(entry["audit"]["file"]).name for entry in planned] == ["a.sql", "b.sql"]
    assert planned[0] == {
        "audit": {"file": str(tmp_path / "a.sql"), "key": KEY},
        "aws_conn_id": "aws_default",
        "region_name": "ap-northeast-1",
        "database": "log_audit",
        "workgroup": "audits",
        "output_location": "s3://results/athena",
    }


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_key_that_names_no_window_is_refused(settings, tmp_path, run_type):
    with pytest.raises(InvalidKeyError, match="orders/2026-11-20T09, daily/2026-11-19"):
        plan(settings, "shop/2026-11-20T09", tmp_path, run_type)


def test_a_person_cannot_ask_for_a_window_that_is_not_over(settings, tmp_path):
    with pytest.raises(WindowNotOverError, match="2099-01-01 01:00 JST"):
        plan(settings, "orders/2099-01-01T00", tmp_path, "manual")


# Telling


def findings(total=2, query="admin_logins", key=KEY, digest="d1", severity="high", **more):
    window = Window.hour(key.partition("/")[2], "Asia/Tokyo")
    return Findings(
        query=query,
        target="tokyo",
        title=f"Title of {query}",
        severity=severity,
        start=to_ms(window.start),
        end=to_ms(window.end),
        total=total,
        rows=[{"username": "admin"}] * total,
        bytes_scanned=1_500_000,
        ids=["q-1"],
        key=key,
        digest=digest if total else "",
        queue_ms=120,
        engine_ms=2340,
        **more,
    )


class Alerts:
    """Runs of the alert task that share what is remembered."""

    def __init__(self, settings, aws):
        self.settings, self.aws, self.stores = settings, aws, AssetStores()

    def run(self, *found, key=KEY, run_type="asset_triggered", extras=({},), alert=None):
        run = Run(key, run_type=run_type, asset_stores=self.stores, params={} if alert is None else {"alert": alert})
        run.triggered_by = {LOG: [SimpleNamespace(extra=extra) for extra in extras]}
        for number, entry in enumerate(found):
            run.xcoms["audit", number, "return_value"] = entry.to_json()
        self.last = run
        return self.again()

    def again(self):
        return self.last.execute(
            lambda: AuditAlertOperator(
                task_id="alert", settings=self.settings, records=AUDITS, watches=LOG, audit_task_ids=["audit"]
            )
        )

    def told(self, channel="alerts"):
        return [message["text"] for message in self.aws.slack_messages(channel)]


@pytest.fixture
def alerts(settings, aws):
    return Alerts(settings, aws)


def test_what_was_found_is_told_with_window_and_cost(alerts, aws):
    done = alerts.run(findings(), findings(0, "bulk_reads"))
    assert done == {"audits": 2, "with findings": 1, "told": 1}
    [message] = aws.slack_messages("alerts")
    said = str(message["blocks"])
    for part in (
        "HIGH · Title of admin_logins",
        "*2* findings in 2026-11-20 09:00 to 10:00 JST (00:00 to 01:00 UTC) · `admin_logins` @ `tokyo` · `orders/2026",
        "1.5 MB scanned, 0.1 s queued, 2.3 s run",
    ):
        assert part in said


def test_the_windows_findings_are_recorded_as_a_partition(alerts):
    alerts.run(findings(), findings(0, "bulk_reads"))
    event = alerts.last.events[AUDITS]
    assert event.partition_keys == {KEY}
    assert [(look["query"], look["total"]) for look in event.extra["looks"]] == [("admin_logins", 2), ("bulk_reads", 0)]
    assert len(json.dumps(event.extra)) < 5000


def test_the_same_findings_of_a_window_are_told_once_however_often_it_is_audited(alerts):
    alerts.run(findings())
    assert alerts.run(findings())["told"] == 0
    assert alerts.again()["told"] == 0
    assert len(alerts.told()) == 1


def test_other_findings_of_the_same_window_and_of_another_are_told(alerts):
    alerts.run(findings())
    assert alerts.run(findings(3, digest="d2"))["told"] == 1
    assert alerts.run(findings(key="orders/2026-11-20T10"), key="orders/2026-11-20T10")["told"] == 1
    assert len(alerts.told()) == 3


def test_a_lost_answer_of_slack_does_not_tell_twice(alerts, aws):
    aws.fault("slack.chat.postMessage", drop="after")
    with pytest.raises(AlertError):
        alerts.run(findings())
    assert alerts.again()["told"] == 1
    assert len(alerts.told()) == 1


def test_another_run_of_the_window_finds_what_a_lost_one_has_told(alerts, aws):
    aws.fault("slack.chat.postMessage", drop="after")
    with pytest.raises(AlertError):
        alerts.run(findings())
    assert alerts.run(findings())["told"] == 1
    assert len(alerts.told()) == 1


def test_one_alert_that_fails_holds_up_no_other(alerts, aws):
    aws.fault("slack.chat.postMessage", error="internal_error")
    with pytest.raises(AlertError):
        alerts.run(findings(), findings(query="bulk_reads"))
    assert [text for text in alerts.told() if "bulk_reads" in text] != []
    assert alerts.again()["told"] == 1
    assert len(alerts.told()) == 2


def test_every_channel_of_a_severity_is_told(alerts):
    alerts.run(findings(severity="critical"))
    assert len(alerts.told("alerts")) == len(alerts.told("general")) == 1


@pytest.mark.parametrize(
    ("run", "told"),
    [
        pytest.param({"run_type": "manual"}, 0, id="by hand"),
        pytest.param({"run_type": "manual", "alert": True}, 1, id="by hand, asked to"),
        pytest.param({"extras": [{"replay": True, "alert": False}]}, 0, id="a replay"),
        pytest.param({"extras": [{"replay": True, "alert": True}]}, 1, id="a replay, asked to"),
        pytest.param({"extras": [{"replay": True, "alert": False}, {"task": "t"}]}, 1, id="a replay and a delivery"),
        pytest.param({"extras": []}, 1, id="nobody knows what started it"),
    ],
)
def test_replays_and_runs_by_hand_alert_when_asked(alerts, run, told):
    assert alerts.run(findings(), **run)["told"] == told
    assert len(alerts.told()) == told


def test_what_was_told_is_forgotten_after_forty_days(alerts):
    store = alerts.stores[AUDITS]
    store.set("told/tokyo/2026-10-11", {"2026-10-11T09/admin_logins": ["x"]})
    store.set("told/tokyo/2026-10-12", {"2026-10-12T09/admin_logins": ["x"]})
    alerts.run(findings())
    assert sorted(store) == ["told/tokyo/2026-10-12", "told/tokyo/2026-11-20"]


def test_no_audit_ended_and_nothing_is_recorded(alerts):
    assert alerts.run() == {"audits": 0, "with findings": 0, "told": 0}
    assert AUDITS not in alerts.last.events


# Replaying


def replay(settings, **params):
    run = Run(params={"cluster": "orders", "alert": False, **params})
    return run.execute(lambda: PlanReplayOperator(task_id="plan", settings=settings))


def test_the_windows_of_a_span_in_batches(settings):
    planned = replay(settings, **{"from": "2026-11-01T00:00:00+09:00", "to": "2026-11-08T00:00:00+09:00"})
    keys = [key for batch in planned for key in batch["keys"]]
    assert len(keys) == 7 * 24
    assert (keys[0], keys[-1]) == ("orders/2026-11-01T00", "orders/2026-11-07T23")
    assert [len(batch["keys"]) for batch in planned] == [100, 68]


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        ("2026-11-01T00:00:00Z", "2026-11-01T02:00:00Z", ["2026-11-01T09", "2026-11-01T10"]),
        ("2026-11-01T09:00", "2026-11-01T10:00", ["2026-11-01T09"]),
        ("2026-11-01T09:01", "2026-11-01T10:01", ["2026-11-01T10"]),
    ],
)
def test_a_span_takes_what_begins_in_it(settings, start, end, keys):
    [batch] = replay(settings, **{"from": start, "to": end})
    assert batch["keys"] == [f"orders/{key}" for key in keys]


def test_a_dry_run_names_the_windows_and_asks_for_none(settings, capsys):
    assert replay(settings, **{"from": "2026-11-01T09:00", "to": "2026-11-01T11:00", "dry_run": True}) == []
    said = capsys.readouterr()
    assert "2 windows, from 2026-11-01T09 to 2026-11-01T10" in said.out + said.err


def test_a_form_names_the_window_and_the_queries(settings, tmp_path):
    for name in ("a.sql", "b.sql"):
        (tmp_path / name).write_text("SELECT 1")
    run = Run(None, run_type="manual", params={"window": KEY, "queries": ["b"]})
    planned = run.execute(lambda: PlanAuditsOperator(task_id="plan", settings=settings, folder=tmp_path))
    assert [entry["audit"] for entry in planned] == [{"file": str(tmp_path / "b.sql"), "key": KEY}]


def test_days_of_a_cluster_that_ships_days(settings):
    [batch] = replay(settings, cluster="daily", **{"from": "2026-11-01T00:00", "to": "2026-11-03T00:00"})
    assert batch["keys"] == ["daily/2026-11-01", "daily/2026-11-02"]


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"from": "2026-11-02T00:00", "to": "2026-11-01T00:00"}, "no hour of orders begins from"),
        ({"from": "2026-11-01T00:10", "to": "2026-11-01T00:50"}, "no hour of orders begins from"),
        ({"from": "yesterday", "to": "2026-11-01T00:00"}, "'yesterday' is no time"),
        ({"cluster": "shop", "from": "2026-11-01T00:00", "to": "2026-11-02T00:00"}, "there are orders, daily"),
    ],
)
def test_a_span_that_is_none_is_refused(settings, params, complaint):
    with pytest.raises(InvalidKeyError, match=complaint):
        replay(settings, **params)


def test_a_span_that_is_not_over_is_refused(settings):
    with pytest.raises(WindowNotOverError):
        replay(settings, **{"from": "2099-01-01T00:00", "to": "2099-01-01T05:00"})


@pytest.mark.parametrize("alert", [True, False])
def test_a_batch_is_emitted_with_the_wish_to_alert(alert):
    run = Run(params={"alert": alert})
    assert run.execute(lambda: EmitWindowsOperator(task_id="emit", keys=["a", "b"], outlets=[LOG])) == 2
    event = run.events[LOG]
    assert (event.partition_keys, event.extra) == ({"a", "b"}, {"replay": True, "alert": alert})


# The digest


def test_info_findings_of_a_window_are_one_message(alerts, aws):
    info = [findings(3, f"report_{n}", severity="info", digest=f"r{n}") for n in range(3)]
    done = alerts.run(*info, findings(severity="critical"), key="2026-11-19", run_type="scheduled")
    assert done == {"audits": 4, "with findings": 4, "told": 2}
    assert len(alerts.told("general")) == 1  # the critical one
    [digest] = [message for message in aws.slack_messages("alerts") if "Digest" in message["text"]]
    said = str(digest["blocks"])
    for n in range(3):
        assert f"*Title of report_{n}* · 3 · `report_{n}`" in said
    assert alerts.again()["told"] == 0
    assert alerts.run(*info, key="2026-11-19", run_type="scheduled")["told"] == 0


def test_a_digest_that_does_not_fit_says_what_it_leaves_out(alerts, aws):
    rows = [{"name": "x" * 80, "number": str(n)} for n in range(10)]
    info = [replace(findings(10, f"report_{n}", severity="info"), rows=rows) for n in range(30)]
    alerts.run(*info)
    [digest] = aws.slack_messages("alerts")
    assert len(digest["blocks"]) <= 50
    assert "No room for" in str(digest["blocks"][-2])


def test_quiet_days_have_no_digest(alerts):
    assert alerts.run(findings(0, severity="info"), run_type="scheduled")["told"] == 0
    assert alerts.told() == []


@pytest.mark.parametrize(("run_type", "told"), [("scheduled", 1), ("backfill", 0)])
def test_a_backfill_alerts_only_when_asked(alerts, run_type, told):
    assert alerts.run(findings(), run_type=run_type)["told"] == told


def test_the_alert_task_links_to_the_worst_message_even_if_another_was_refused(alerts, aws):
    alerts.run(findings(), findings(query="bulk_reads", severity="medium"), findings(0, "off_hours_access"))
    [worst] = [message for message in aws.slack_messages("alerts") if "admin_logins" in message["text"]]
    assert slack_link(alerts).endswith(f"/p{worst['ts'].replace('.', '')}")
    aws.fault("slack.chat.postMessage", error="internal_error")
    later = "orders/2026-11-20T11"
    with pytest.raises(AlertError):
        alerts.run(findings(key=later), findings(query="bulk_reads", severity="low", key=later), key=later)
    [told] = [message for message in aws.slack_messages("alerts") if "2026-11-20 11:00" in str(message["blocks"])]
    assert slack_link(alerts).endswith(f"/p{told['ts'].replace('.', '')}")


def test_an_alert_task_that_told_nothing_has_no_link(alerts):
    alerts.run(findings(0))
    assert slack_link(alerts) is None


def slack_link(alerts):
    return alerts.last.xcoms.get(("alert", -1, SlackMessageLink().xcom_key))
