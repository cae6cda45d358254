"""The metrics that the pipelines send through Airflow, received by a real StatsD listener."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.observability import stats

from log_audit import metrics
from log_audit.errors import AlertError
from log_audit.findings import Findings
from log_audit.metrics import Metric, emit, looked
from log_audit.operators.audits import AuditAlertOperator
from log_audit.settings import load_settings
from log_audit.triggers import ecs as triggers
from log_audit.window import iso, to_ms
from tests.log_audit.operators.archive_line import BUCKET, REGION, Line, events
from tests.support.check_runs import NOON
from tests.support.otlp import collecting
from tests.support.statsd import listening
from tests.support.tasks import AssetStores, Run

MINUTE = timedelta(minutes=1)


@pytest.fixture
def statsd(monkeypatch):
    with listening(monkeypatch) as listener:
        yield listener


@pytest.fixture
def otlp():
    with collecting() as collector:
        yield collector


def milliseconds(value):
    number, kind = value.split("|")
    assert kind == "ms"
    return float(number)


# What is counted, and where


def test_a_check_counts_its_look_its_findings_and_what_it_scanned(checks, arrives, statsd):
    arrives(4 * MINUTE)
    arrives(3 * MINUTE)
    run = checks.run(NOON)
    found = statsd.ours()
    scanned = run.findings()["bytes_scanned"]
    assert scanned > 0
    assert found == {
        "looks,target=tokyo,query=errors,severity=high": "1|c",
        "findings,target=tokyo,query=errors,severity=high": "2|c",
        "bytes_scanned,target=tokyo,query=errors": f"{scanned}|c",
        "alerts,target=tokyo,query=errors,severity=high": "1|c",
    }


def test_an_alert_that_slack_refuses_is_counted_as_such_and_then_as_sent(checks, aws, arrives, statsd):
    arrives(4 * MINUTE)
    run = checks.start(NOON)
    run.plan()
    run.look()
    aws.fault("slack.chat.postMessage", times=100, status=500, error="internal_error")
    with pytest.raises(AlertError):
        run.alert()
    assert "alerts_refused,target=tokyo,query=errors,severity=high" in (found := statsd.ours())
    assert not [name for name in found if name.startswith("alerts,")]
    aws.clear_faults()
    run.alert()
    assert statsd.ours() == {"alerts,target=tokyo,query=errors,severity=high": "1|c"}


def test_an_export_counts_its_time_its_bytes_and_the_verified_events(aws, group, s3, statsd):
    aws.put_events(group, "web/1", events("a", "b"), region=REGION)
    [manifest] = Line({"name": "/app"}).all()
    found = statsd.ours()
    assert milliseconds(found.pop("export_time,target=none")) > 0
    assert found == {
        "exports,target=none": "1|c",
        "exported_bytes,target=none": f"{manifest['bytes']}|c",
        "events_verified,target=none": "2|c",
        "archives,target=none,state=final,complete=yes": "1|c",  # this month is over for 15 days
    }


def test_a_month_that_becomes_final_is_counted_with_what_the_count_scanned(aws, group, s3, statsd):
    aws.put_events(group, "web/1", events("a", "b"), region=REGION)
    line = Line({"name": "/app"})
    line.all()
    manifest = line.stored_manifest().to_json() | {"exported_at": "2026-11-01T04:00:00Z", "state": "provisional"}
    s3.put_object(Bucket=BUCKET, Key=f"{manifest['prefix']}/manifest.json", Body=json.dumps(manifest).encode())
    statsd.ours()
    line.recheck_all()
    found = statsd.ours()
    assert found["archives,target=none,state=final,complete=yes"] == "1|c"
    assert "bytes_scanned,target=none,query=archive_count" in found


def test_the_archives_target_is_the_name_of_the_tasks_group():
    assert metrics.target_of({"ti": SimpleNamespace(task_id="tokyo.export")}) == "tokyo"


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(triggers, "LONG_POLL", 1)
    monkeypatch.setattr(triggers, "SHORT_POLL", 1)


@pytest.mark.usefixtures("_impatient")
def test_deliveries_and_bad_ends_are_counted_by_cluster(deliveries, statsd):
    line = deliveries()
    line.stop("orders", "2026-11-20T09")
    line.stop("payments", "2026-11-20T09", exit_codes={"shipper": 1})
    line.run()
    found = statsd.ours()
    assert found["deliveries,target=tokyo,cluster=orders"] == "1|c"
    assert found["bad_ends,target=tokyo,cluster=payments"] == "1|c"
    assert "deliveries,target=tokyo,cluster=payments" not in found


@pytest.mark.usefixtures("_impatient")
def test_a_silent_cluster_sets_its_gauge_and_a_delivery_takes_it_back(deliveries, statsd):
    line = deliveries()
    now = to_ms(datetime.now(UTC))
    line.store["last_delivery/tokyo"] = {"orders": now, "payments": now - 4 * 3_600_000}
    line.run()
    found = statsd.ours()
    assert found["silent,target=tokyo,cluster=payments"] == "1|g"
    assert found["silent,target=tokyo,cluster=orders"] == "0|g"
    line.aws.stopped_task(
        "batch", "aurora-log-shipper", ["payments"], region=REGION, container="shipper", started_at=time.time() - 120
    )
    line.run()
    assert statsd.ours()["silent,target=tokyo,cluster=payments"] == "0|g"


def test_the_time_from_a_delivery_to_its_alert_is_measured_and_a_replay_has_none(checks, statsd):
    log, audits = Asset("aurora_audit_log"), Asset("aurora_audits")

    def alert(extra):
        run = Run("orders/2026-11-20T09", run_type="asset_triggered", asset_stores=AssetStores())
        run.triggered_by = {log: [SimpleNamespace(extra=extra)]}
        run.xcoms["audit", 0, "return_value"] = finding(total=0).to_json()
        run.execute(
            lambda: AuditAlertOperator(
                task_id="alert", settings=load_settings(), records=audits, watches=log, audit_task_ids=["audit"]
            )
        )
        return statsd.ours()

    took = alert({"stopped": iso(datetime.now(UTC) - 90 * timedelta(seconds=1))})
    assert 90_000 <= milliseconds(took["delivery_to_alert,target=tokyo"]) < 150_000
    assert alert({"replay": True, "alert": True}) == {}


def finding(**more):
    start = to_ms(NOON)
    fields = {"query": "q", "target": "tokyo", "title": "T", "severity": "high", "rows": [], "total": 1}
    return Findings(**{**fields, "start": start, "end": start + 60_000, "key": "orders/x", **more})


# Names and values that a backend would choke on

HOSTILE = ["a:1|c\nb:2|c", "a,b=c", "x|g|#tag", "日本語", "<!channel>", "a b/c", "%s{}", "", "\x00", "w" * 5000]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_neither_forges_a_metric_nor_loses_one(value, statsd):
    looked(finding(query=value, target=value, severity="high", bytes_scanned=5))
    lines = [line for line in statsd.received() if "log_audit" in line]
    assert len(lines) == 3
    for line in lines:
        assert re.fullmatch(r"airflow\.log_audit\.[a-z_]+(,[a-z]+=[A-Za-z0-9_.-]{1,60})+:[0-9]+\|c", line), line


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_arrives_even_with_the_longest_tags(metric, statsd):
    emit(metric, 7, **{name: "x" * 1000 for name in metric.tags})
    [line] = [line for line in statsd.received() if "log_audit" in line]
    kind = {"counter": "c", "timer": "ms", "gauge": "g"}[metric.kind]
    assert line.startswith(f"airflow.{metric.stat},")
    assert re.search(rf":7(\.0+)?\|{kind}$", line)


def test_names_follow_airflows_rules_and_stand_once():
    assert all(re.fullmatch(r"log_audit\.[a-z_]+", metric.stat) for metric in Metric)
    assert len({metric.stat for metric in Metric}) == len(Metric)


def test_without_tags_the_names_are_plain(monkeypatch):
    with listening(monkeypatch, AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED="False") as statsd:
        looked(finding())
        assert statsd.ours() == {"looks": "1|c", "findings": "1|c", "bytes_scanned": "0|c"}


# Off, or broken


def test_metrics_that_are_off_send_nothing_and_cost_next_to_nothing(monkeypatch):
    with listening(monkeypatch, AIRFLOW__METRICS__STATSD_ON="False") as statsd:
        looked(finding())
        assert statsd.received() == []
        start = time.perf_counter()
        for _ in range(1000):
            emit(Metric.EXPORTS, target="tokyo")
        assert time.perf_counter() - start < 1  # a task sends three; here each may take a millisecond


def test_a_backend_that_breaks_fails_no_task(monkeypatch, caplog):
    def broken():
        raise RuntimeError("no such collector")

    stats.initialize(factory=broken, export_legacy_names=True)
    try:
        looked(finding())
    finally:
        with listening(monkeypatch):
            pass
    assert "log_audit.looks could not be sent: no such collector" in caplog.text


def test_nobody_listening_is_no_error(monkeypatch):
    with listening(monkeypatch, AIRFLOW__METRICS__STATSD_PORT="9") as _:
        looked(finding())


# OpenTelemetry

OTEL = """
import sys
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
from log_audit.errors import AlertError
from log_audit.findings import Findings
from log_audit.metrics import Metric, emit
emit(Metric.LOOKS, target="tokyo", query="q", severity="high")
emit(Metric.LOOKS, target="osaka", query="q", severity="high")
emit(Metric.EXPORT_TIME, 1500, target="tokyo")
emit(Metric.SILENT, 1, target="tokyo", cluster="orders")
"""


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_the_same_metrics_reach_an_opentelemetry_collector(otlp, temporality):
    environment = {
        **os.environ,
        "PYTHONPATH": "plugins",
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "NO_PROXY": "127.0.0.1",
    }
    subprocess.run([sys.executable, "-c", OTEL], env=environment, check=True, timeout=120)
    found = otlp.metrics()
    looks = found["airflow.log_audit.looks"].sum
    assert {tuple(sorted(otlp.tags(point).items())): point.as_int for point in looks.data_points} == {
        (("query", "q"), ("severity", "high"), ("target", "tokyo")): 1,
        (("query", "q"), ("severity", "high"), ("target", "osaka")): 1,
    }
    assert looks.aggregation_temporality == {"delta": 1, "cumulative": 2}[temporality]
    assert found["airflow.log_audit.export_time"].unit == "ms"
    [silent] = found["airflow.log_audit.silent"].gauge.data_points
    assert (silent.as_int or silent.as_double, otlp.tags(silent)["cluster"]) == (1, "orders")
