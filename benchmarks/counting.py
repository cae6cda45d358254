"""Our side of the benchmark of verification, in a process that holds nothing but what verification needs.

Reads ``{"file", "times"}`` from stdin, and prints what it took, memory as the most that the whole process has held.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmarks.memory import most_held
from log_audit.export_object import count_events
from log_audit.window import Window


def count(asked: dict[str, Any]) -> dict[str, float]:
    """The object, so many times one after the other, in this process."""
    window, events = Window.month("2026-10", "Asia/Tokyo"), 0
    began, wall = os.times(), time.monotonic()
    for _ in range(asked["times"]):
        with open(asked["file"], "rb") as body:
            events += count_events("key", body, window, 1).events
    ended = os.times()
    cpu = ended.user + ended.system - began.user - began.system
    return {"cpu": cpu, "wall": time.monotonic() - wall, "memory": most_held(), "events": events}


if __name__ == "__main__":
    print(json.dumps(count(json.loads(sys.stdin.read()))))
