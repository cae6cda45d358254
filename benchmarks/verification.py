"""Reading exported objects to their ends: ours against ``zcat | wc -l``, on the same files."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.harness import Row, ratio, side

OBJECT = 32 << 20  # bytes, compressed


def write_object(path: Path, size: int) -> None:
    """One exported object of about that size: requests as JSON, which gzip shrinks to a quarter."""
    from log_audit.window import Window, iso

    rng = random.Random(1)  # noqa: S311 - the same files each time
    at, window = 0, Window.month("2026-10", "Asia/Tokyo")
    with gzip.open(path, "wb", compresslevel=6) as out:
        while path.stat().st_size < size:
            lines = []
            for _ in range(20_000):
                at += rng.randrange(5)
                event = {"requestId": f"{rng.getrandbits(128):032x}", "status": rng.choice([200, 404, 500])}
                event |= {"path": f"/orders/{rng.randrange(10**6)}", "ms": rng.randrange(5000)}
                lines.append(f"{iso(window.start + timedelta(milliseconds=at))} {json.dumps(event)}\n")
            out.write("".join(lines).encode())


def zcat(file: Path, times: int) -> dict[str, float]:
    began, wall, lines = os.times(), time.monotonic(), 0
    for _ in range(times):
        lines += int(subprocess.check_output(f"zcat '{file}' | wc -l", shell=True, text=True))  # noqa: S602 - our own file
    ended = os.times()
    cpu = ended.children_user + ended.children_system - began.children_user - began.children_system
    return {"cpu": cpu, "wall": time.monotonic() - wall, "events": lines}


def run(total: int = 2 << 30, size: int = OBJECT) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "000000.gz"
        write_object(file, size)
        times = max(1, round(total / file.stat().st_size))
        read = file.stat().st_size * times
        baseline = zcat(file, times)
        ours = side("counting", {"file": str(file), "times": times})
    assert ours["events"] == baseline["events"], f"{ours} {baseline}"
    what = f"verification of {read / 1e9:.2f} GB of exported gz ({int(ours['events']):,} events)"
    note = f"on the wall clock {baseline['wall']:.0f} s on two cores at once, ours {ours['wall']:.0f} s on one"
    faster = f"{ours['cpu']:.1f} s ({ratio(baseline['cpu'], ours['cpu']):.1f}× faster)"
    memory = ours["memory"] / 2**20
    return [
        Row(
            f"{what}: CPU",
            f"{baseline['cpu']:.1f} s, zcat | wc -l",
            faster,
            "faster",
            ours["cpu"] < baseline["cpu"],
            note,
        ),
        Row(f"{what}: memory of the whole process", "–", f"{memory:.0f} MiB", "≤ 200 MB", ours["memory"] <= 200e6),
    ]
