"""The memory of this process, in bytes. It imports nothing, so that a process that holds little can be measured.

``resource.getrusage`` would count the memory of whoever started the process too.
"""

from __future__ import annotations


def held() -> int:
    """What it holds now."""
    return _status("VmRSS")


def most_held() -> int:
    """The most that it has held."""
    return _status("VmHWM")


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
