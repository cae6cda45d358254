"""One side of the benchmarks of waiting: so many triggers in one event loop, as a triggerer has them.

Reads ``{"kind", "side", "ids", "seconds"}`` from stdin. Prints what waiting took: CPU, memory above that of the imports
and one connection, and for how long the loop was blocked.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.triggers.athena import AthenaTrigger
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger

from benchmarks.harness import REGION
from benchmarks.memory import held, most_held
from log_audit.triggers.athena import QueryTrigger
from log_audit.triggers.logs import QueriesTrigger

TICK = 0.01
WAY = {"aws_conn_id": "aws_default", "region_name": REGION}
STOCK_ATHENA_PAUSE = 30  # AthenaOperator's own
SEEDS_PAUSE = 5
HOUR = 3600


class LogsHookWithWaiter(AwsLogsHook):
    """What a project writes that waits for Insights with the provider's means."""

    @cached_property
    def waiter_path(self) -> Any:
        return Path(__file__).with_name("waiters") / "logs.json"


class OneQueryTrigger(AwsBaseWaiterTrigger):
    """One trigger and one client for each Insights query, asking every five seconds."""

    aws_hook_class = LogsHookWithWaiter

    def __init__(self, query_id: str, **kwargs: Any) -> None:
        super().__init__(
            serialized_fields={"query_id": query_id},
            waiter_name="query_complete",
            waiter_args={"queryId": query_id},
            failure_message="query failed",
            status_message="query",
            status_queries=["status"],
            return_value=query_id,
            **kwargs,
        )


def stock_athena(one: str) -> Any:
    attempts = HOUR // STOCK_ATHENA_PAUSE
    return AthenaTrigger(one, waiter_delay=STOCK_ATHENA_PAUSE, waiter_max_attempts=attempts, **WAY)


MAKERS: dict[tuple[str, str], Callable[[str], Any]] = {
    ("athena", "ours"): lambda one: QueryTrigger(
        query_execution_id=one, waiter_delay=10, waiter_max_attempts=HOUR, **WAY
    ),
    ("athena", "baseline"): stock_athena,
    ("insights", "ours"): lambda one: QueriesTrigger(query_ids=[one], waiter_delay=10, waiter_max_attempts=HOUR, **WAY),
    ("insights", "baseline"): lambda one: OneQueryTrigger(
        one, waiter_delay=SEEDS_PAUSE, waiter_max_attempts=HOUR, **WAY
    ),
}


async def fire(trigger: Any) -> None:
    async for _ in trigger.run():
        return


class Blocks:
    """The longest times for which the loop did not come round: on the wall clock, and as CPU time of its own thread.

    On a machine that others use too, the second is ours alone. Python's garbage collector is told apart: now and then
    it goes through all that Airflow's imports hold, whatever is waited for.
    """

    def __init__(self) -> None:
        self.wall = self.own = self.collector = self._collecting = self._collected = 0.0
        gc.callbacks.append(self._collects)

    def _collects(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
            return
        took = time.thread_time() - self._collecting
        self.collector = max(self.collector, took)
        self._collected += took

    async def watch(self) -> None:
        while True:
            wall, own, self._collected = time.monotonic(), time.thread_time(), 0.0
            await asyncio.sleep(TICK)
            self.wall = max(self.wall, time.monotonic() - wall - TICK)
            self.own = max(self.own, time.thread_time() - own - self._collected)


async def measure(make: Callable[[str], Any], ids: list[str], seconds: float) -> dict[str, float]:
    blocks, before, began = Blocks(), held(), os.times()
    watcher = asyncio.create_task(blocks.watch())
    waits = []
    for one in ids:
        waits.append(asyncio.create_task(fire(make(one))))
        await asyncio.sleep(0)  # as the triggerer does between two
    await asyncio.sleep(seconds)
    ended = os.times()
    found = {
        "cpu": ended.user + ended.system - began.user - began.system,
        "memory": max(0, most_held() - before),
        "block": blocks.own,
        "collector": blocks.collector,
        "block_wall": blocks.wall,
        "waiting": sum(not wait.done() for wait in waits),
    }
    for task in [watcher, *waits]:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return found


def main() -> None:
    # A triggerer logs to files; here what is said would be most of the work.
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # The provider looks for its caller in the sources of all modules, once a client. That is a quirk, and not waiting.
    AwsGenericHook._get_caller = lambda self, *_: "Benchmark"  # type: ignore[method-assign]
    asked = json.loads(sys.stdin.read())
    make = MAKERS[asked["kind"], asked["side"]]
    print(json.dumps(asyncio.run(measure(make, asked["ids"], asked["seconds"]))))


if __name__ == "__main__":
    main()
