"""What the benchmarks share: processes that are measured from outside, the stand-in, and the table of what came out.

Each side of a comparison runs in a process of its own, so that its CPU time and memory are its own too. No absolute
time is a test: a row tells both sides, and whether the goal was met.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from local_aws.airflow import aws_connection
from local_aws.control import Control

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
REGION = "ap-northeast-1"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param baseline: what it is compared with, and that one's number
    :param met: None where there is a number and no goal
    """

    what: str
    baseline: str
    ours: str
    goal: str
    met: bool | None
    note: str = ""

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: "–"}[self.met]


def ratio(baseline: float, ours: float) -> float:
    return baseline / max(ours, 1e-9)


@contextlib.contextmanager
def stand_in() -> Iterator[Control]:
    """The stand-in in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "local_aws"]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Control(process.stdout.readline().split()[-1])
    finally:
        process.terminate()
        process.wait(20)


def environment(endpoint: str | None = None) -> dict[str, str]:
    """Of a process of the project; with an endpoint it has the connection to the stand-in."""
    found = {
        **os.environ,
        "PYTHONPATH": f"{PROJECT / 'plugins'}{os.pathsep}{PROJECT}",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if endpoint:
        found["AIRFLOW_CONN_AWS_DEFAULT"] = aws_connection(endpoint, REGION)
    return found


def side(module: str, asked: Mapping[str, Any], endpoint: str | None = None) -> dict[str, Any]:
    """Run one side, ``python -m benchmarks.<module>``, which reads JSON and prints JSON as its last line."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}"],
        input=json.dumps(asked),
        cwd=PROJECT,
        env=environment(endpoint),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.{module} {asked} failed:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cpu_of(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """CPU seconds (user and system) of a command and what it starts."""
    before = os.times()
    done = subprocess.run(command, cwd=PROJECT, env=env or environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = next((line.split(":")[1] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return {
        "cpu": f"{os.cpu_count()} cores, {model.strip() or platform.processor() or platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.1f} at the end",
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(path).read_text().splitlines()
    return []


def save(name: str, rows: Sequence[Row], seconds: float) -> None:
    """Write what one benchmark found."""
    found = {"machine": machine(), "took_seconds": round(seconds), "rows": [asdict(row) for row in rows]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(name: str) -> tuple[dict[str, str], list[Row]] | None:
    file = RESULTS / f"{name}.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return found["machine"], [Row(**row) for row in found["rows"]]
