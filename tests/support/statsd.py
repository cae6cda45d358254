"""A StatsD listener on the loopback address, and Airflow's metrics sent there as in a task's process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Any

from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory


class Listener:
    """What arrives, as text: ``name,tag=value:1|c``."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.environment = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

        self.arrived: Queue[str] = Queue()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """At once, since the socket holds little and forgets what is too much."""
        while lines := self.socket.recv(65_536).decode().splitlines():
            for line in lines:
                self.arrived.put(line)

    def close(self) -> None:
        """An empty message ends the listening."""
        self.socket.sendto(b"", self.socket.getsockname())

    def received(self) -> list[str]:
        """Every line that has arrived and was not asked for before."""
        time.sleep(0.1)
        return [self.arrived.get() for _ in range(self.arrived.qsize())]

    def ours(self) -> dict[str, str]:
        """Our metrics among them: name and tags to value and kind; of one that came several times the last."""
        found = (line.removeprefix("airflow.").split(":", 1) for line in self.received() if "log_audit." in line)
        return {name.removeprefix("log_audit."): value for name, value in found}


@contextmanager
def listening(monkeypatch: Any, **environment: str) -> Iterator[Listener]:
    """Metrics on, with more settings."""
    listener = Listener()
    for name, value in {**listener.environment, **environment}.items():
        monkeypatch.setenv(name, value)
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
    try:
        yield listener
    finally:
        stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
        listener.close()
