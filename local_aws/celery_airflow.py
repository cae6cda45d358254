"""The real Airflow as in production: CeleryExecutor, PostgreSQL, Redis and several workers, for make test-celery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from local_aws.airflow import LocalAirflow
from local_aws.services import Services


class CeleryAirflow(LocalAirflow):
    """Airflow with the CeleryExecutor, as in production: several workers, PostgreSQL and Redis.

    :param services: running; Airflow's tables are made in their database
    :param workers: how many workers, each with a name of its own: worker-1, worker-2, …
    """

    def __init__(
        self, home: Path, port: int, services: Services, env: Mapping[str, str] | None = None, workers: int = 2
    ) -> None:
        self.services = services
        super().__init__(home, port, env)
        self.workers = [f"worker-{number}" for number in range(1, workers + 1)]
        # The API server reads the logs from the folder, so no worker needs to serve its own.
        options = ["--skip-serve-logs", "--celery-hostname"]
        self.components |= {name: ["celery", "worker", *options, name] for name in self.workers}

    def _executor(self) -> dict[str, str]:
        return celery_configuration(self.services)

    def healthy(self) -> bool:
        return super().healthy() and set(self.workers) <= self.answering()

    def answering(self) -> set[str]:
        """The workers that Celery's broker can reach."""
        from celery import Celery  # only make test-celery has it

        with Celery(broker=self.env["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False) as celery:
            answers = celery.control.ping(timeout=1)
        return {name.partition("@")[2] for answer in answers for name in answer}

    def kill_worker_of(self, task: Mapping[str, Any]) -> str | None:
        ancestors = {process.pid for process in psutil.Process(task["pid"]).parents()}
        [name] = [name for name in self.workers if self.processes[name].pid in ancestors]
        self.kill_component(name)
        return name


def celery_configuration(services: Services) -> dict[str, str]:
    """What differs from the LocalExecutor's configuration; the same as in docker-compose.yaml, but for addresses."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        # Celery's results go to the same database.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{services.postgres}",
        "AIRFLOW__CELERY__BROKER_URL": services.redis,
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
        # The result of each task names its worker, which production has no use for.
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": ["log_audit.preload"], "result_extended": True}),
        # A worker waits this long after a task before it reports its end.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
