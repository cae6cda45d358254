"""What the front door remembers: the calls it saw, and the faults it is to make."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

KEPT_CALLS = 20_000


@dataclass
class Fault:
    """Make the next `times` calls of `action` (``*``: of any) go wrong, or late by `delay` seconds."""

    action: str
    times: int = 1
    error: str | None = None
    message: str = ""
    status: int = 400
    drop: str | None = None  # "before" or "after" the call runs, or "within" its answer
    delay: float = 0.0


class Records:
    """Calls and faults, safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._faults: list[Fault] = []

    def add_call(self, call: dict[str, Any]) -> None:
        """Remember a call; the oldest is forgotten past 20,000."""
        with self._lock:
            self._calls.append(call)

    def calls(self, action: str | None = None) -> list[dict[str, Any]]:
        """The calls seen, oldest first; of one action when given."""
        with self._lock:
            return [call for call in self._calls if action in (None, call["action"])]

    def forget_calls(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()

    def add_fault(self, fault: Fault) -> None:
        """Queue a fault behind those there are."""
        with self._lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take_fault(self, action: str) -> Fault | None:
        """The first fault meant for this call, used up by one."""
        with self._lock:
            for fault in self._faults:
                if fault.action in ("*", action):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None
