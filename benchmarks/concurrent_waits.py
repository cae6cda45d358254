"""A thousand waits in one triggerer: Athena against the provider's trigger, Insights against one trigger each."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from benchmarks.harness import REGION, Row, ratio, side, stand_in
from local_aws import accounts
from local_aws.control import ACCOUNT, Control

RATE = 10  # GetQueryResults, calls a second: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/
ACTIONS = {
    "athena": ("athena.GetQueryExecution", "athena.BatchGetQueryExecution"),
    "insights": ("logs.GetQueryResults",),
}


def start_athena(control: Control, count: int) -> list[str]:
    athena = accounts.client(control.endpoint, "athena", REGION, ACCOUNT)
    location = {"OutputLocation": "s3://results/"}
    start = athena.start_query_execution
    return [start(QueryString="SELECT 1", ResultConfiguration=location)["QueryExecutionId"] for _ in range(count)]


def start_insights(control: Control, count: int) -> list[str]:
    logs = accounts.client(control.endpoint, "logs", REGION, ACCOUNT)
    asked = {"logGroupName": "/app", "startTime": 0, "endTime": 1, "queryString": "fields @message"}
    return [logs.start_query(**asked)["queryId"] for _ in range(count)]


def prepare(control: Control) -> None:
    control.configure(athena_running_seconds=7200, query_running_seconds=7200, query_concurrency=100_000)
    s3 = accounts.client(control.endpoint, "s3", REGION, ACCOUNT)
    s3.create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": REGION})
    control.create_log_group("/app", region=REGION, creation_time_ms=1)


def wait_together(control: Control, kind: str, who: str, count: int, seconds: float) -> dict[str, Any]:
    """What one side takes; its calls in the last minute, and in its busiest second after the first ten."""
    ids = {"athena": start_athena, "insights": start_insights}[kind](control, count)
    control.forget_calls()
    asked = {"kind": kind, "side": who, "ids": ids, "seconds": seconds}
    found = side("waits", asked, control.endpoint)
    times = [call["time"] for action in ACTIONS[kind] for call in control.calls(action)]
    last = max(times, default=time.time())
    window = min(60.0, seconds / 2)
    a_second = Counter(int(at) for at in times)
    return {
        **found,
        "calls": len(times),
        "calls_a_minute": sum(at > last - window for at in times) * 60 / window,
        "busiest_second": max(a_second.values(), default=0),
    }


def compare(kind: str, count: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    with stand_in() as control:
        prepare(control)
        ours = wait_together(control, kind, "ours", count, seconds)
        baseline = wait_together(control, kind, "baseline", count, seconds)
    for found in (ours, baseline):
        assert found["waiting"] == count, f"{count - found['waiting']} waits ended before their jobs: {found}"
    return baseline, ours


def athena(count: int = 1000, seconds: float = 120) -> list[Row]:
    """Over two minutes from the queries' start; calls are those of the second one."""
    baseline, ours = compare("athena", count, seconds)
    what = f"{count:,} Athena waits"
    rows = [
        _ratio(
            f"{what}: calls a minute", baseline, ours, "calls_a_minute", 20, "{:.0f}", "in the second minute of age"
        ),
        _ratio(f"{what}: CPU in {seconds:.0f} s", baseline, ours, "cpu", 10, "{:.1f} s"),
        _memory(what, baseline, ours),
    ]
    return [*rows, _block(what, baseline, ours)]


def insights(count: int = 1000, seconds: float = 60) -> list[Row]:
    baseline, ours = compare("insights", count, seconds)
    what = f"{count:,} Insights waits"
    rate = Row(
        f"{what}: calls in the busiest second",
        f"{baseline['busiest_second']}",
        f"{ours['busiest_second']}",
        f"≤ {RATE}, the API's rate",
        ours["busiest_second"] <= RATE,
    )
    return [
        _ratio(f"{what}: CPU in {seconds:.0f} s", baseline, ours, "cpu", 5, "{:.1f} s"),
        _memory(what, baseline, ours),
        rate,
        _block(what, baseline, ours),
    ]


def _ratio(
    what: str, baseline: dict[str, Any], ours: dict[str, Any], key: str, goal: float, form: str, note: str = ""
) -> Row:
    times = ratio(baseline[key], ours[key])
    told = f"{form.format(ours[key])} ({times:.0f}×)"
    return Row(what, form.format(baseline[key]), told, f"≥ {goal:.0f}× fewer", times >= goal, note)


def _memory(what: str, baseline: dict[str, Any], ours: dict[str, Any]) -> Row:
    mib = {name: found["memory"] / 2**20 for name, found in (("baseline", baseline), ("ours", ours))}
    times = ratio(mib["baseline"], mib["ours"])
    told = f"{mib['ours']:.0f} MiB ({times:.0f}×)"
    return Row(f"{what}: memory", f"{mib['baseline']:.0f} MiB", told, "≥ 5× less", times >= 5)


def _block(what: str, baseline: dict[str, Any], ours: dict[str, Any]) -> Row:
    longest, collector = f"{ours['block_wall'] * 1000:.0f} ms", f"{ours['collector'] * 1000:.0f} ms"
    note = f"CPU time between two turns; Python's collector apart, {collector} at most; on the wall clock {longest}"
    told = f"{ours['block'] * 1000:.0f} ms"
    was = f"{baseline['block'] * 1000:.0f} ms"
    return Row(f"{what}: longest block of the event loop", was, told, "≤ 100 ms", ours["block"] <= 0.1, note)
