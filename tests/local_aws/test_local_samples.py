"""The sample data: what it holds, that it is the same each time, and that it loads fast."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws import samples
from local_aws.control import Control

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORDERS, PAYMENTS, EXPORT, MAILER = (*samples.APIS, *samples.FUNCTIONS)


def test_load(aws: Control, aws_client: Callable[..., Any]) -> None:
    started = time.monotonic()
    summary = samples.load(aws.endpoint, now=NOW)
    assert time.monotonic() - started < 60
    assert list(summary) == [ORDERS, PAYMENTS, EXPORT, MAILER]
    assert (min(summary[ORDERS]), max(summary[ORDERS]), len(summary[ORDERS])) == ("2025-01", "2026-03", 15)
    assert list(summary[PAYMENTS]) == ["2025-12", "2026-01", "2026-02", "2026-03"]
    for counts in summary.values():
        assert 250 <= counts["2026-02"] <= 350
    logs = aws_client("logs")
    groups = {group["logGroupName"]: group for group in logs.describe_log_groups()["logGroups"]}
    assert groups[PAYMENTS]["creationTime"] == datetime(2025, 12, 15, tzinfo=UTC).timestamp() * 1000
    kept = logs.filter_log_events(logGroupName=ORDERS, limit=10_000)["events"]
    assert len(kept) == sum(summary[ORDERS].values())
    assert all(0 <= event["ingestionTime"] - event["timestamp"] <= 5000 for event in kept)


def test_the_same_each_time_and_never_in_the_future() -> None:
    start = samples.month_start(NOW, -1)
    now, later = (list(samples.generate(ORDERS, start, until)) for until in (NOW, samples.month_start(NOW, 1)))
    assert now == later[: len(now)]
    assert max(sample.timestamp for sample in now) <= NOW.timestamp() * 1000


def test_access_logs() -> None:
    found = list(samples.generate(ORDERS, samples.month_start(NOW, -14), NOW))
    lines = [json.loads(sample.message) for sample in found]
    assert list(lines[0]) == [
        *("requestId", "ip", "caller", "user", "requestTime", "httpMethod", "resourcePath", "status", "protocol"),
        *("responseLength", "responseLatency", "userAgent"),
    ]
    assert {line["ip"].rpartition(".")[0] for line in lines} == set(samples.NETWORKS)
    share = {kind: sum(line["status"] // 100 == kind for line in lines) / len(lines) for kind in (4, 5)}
    assert share[4] == pytest.approx(0.02, abs=0.01)
    assert share[5] == pytest.approx(0.005, abs=0.004)
    assert len({sample.stream for sample in found}) == 3
    hours = [datetime.fromtimestamp(sample.timestamp / 1000, UTC).hour for sample in found]
    night, day = (sum(hour in part for hour in hours) for part in (range(16, 20), range(3, 7)))
    assert night * 5 < day


def test_function_logs() -> None:
    found = list(samples.generate(EXPORT, samples.month_start(NOW, -2), NOW))
    assert {sample.message.split()[0] for sample in found} == {"START", "END", "REPORT", "[INFO]", "[ERROR]"}
    traces = [sample.message for sample in found if "Traceback" in sample.message]
    assert traces
    assert all(re.search(r"^2026-\d\d-\d\dT[\d:.]{12}Z ", trace, re.MULTILINE) for trace in traces)
    assert all("/" in sample.stream for sample in found)


def test_month_start() -> None:
    assert samples.month_start(NOW, -3) == datetime(2025, 12, 1, tzinfo=UTC)
    assert samples.month_start(NOW, 10) == datetime(2027, 1, 1, tzinfo=UTC)
