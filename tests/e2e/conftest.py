"""The real Airflow and the stand-in, booted once a module."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from local_aws.airflow import LocalAirflow, aws_connection, free_port, wait_until
from local_aws.control import Control
from local_aws.server import LocalAws

ADMIN: Mapping[str, str] = MappingProxyType({"admin": "admin"})


@pytest.fixture(scope="module")
def control(aws_server: LocalAws) -> Control:
    """The stand-in, empty when the module begins and its own until it ends."""
    control = Control(aws_server.endpoint)
    control.reset()
    return control


@pytest.fixture(scope="module")
def boot(control: Control, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalAirflow]]:
    """Starts Airflow with its own state, for users of these roles; more environment as keywords."""
    # pytest tidies up after Ctrl-C alone, and whoever ends a job of CI sends SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started: list[LocalAirflow] = []

    def start(settings: str, users: Mapping[str, str] = ADMIN, **env: str) -> LocalAirflow:
        home = tmp_path_factory.mktemp("airflow")
        airflow = LocalAirflow(home, free_port(), environment(control, home, settings) | env, users)
        started.append(airflow)
        return begun(airflow)

    yield start
    for airflow in started:
        airflow.stop()


def environment(control: Control, home: Path, settings: str) -> dict[str, str]:
    """What Airflow needs to work on the stand-in with these settings."""
    file = home / "settings.yaml"
    file.write_text(settings)
    return {
        "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(control.endpoint),
        "LOG_AUDIT_SETTINGS": str(file),
        # A killed worker is noticed in seconds rather than minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    }


def begun(airflow: LocalAirflow) -> LocalAirflow:
    """It runs, and has read the DAGs."""
    airflow.start()
    wait_until(lambda: list(airflow.pages("dags", "dags")) != [], 60, lambda: errors(airflow))
    assert not errors(airflow)
    return airflow


def errors(airflow: LocalAirflow) -> str:
    return "\n".join(entry["stack_trace"] for entry in airflow.pages("importErrors", "import_errors"))


def unpause(airflow: LocalAirflow, *dag_ids: str) -> None:
    for dag_id in dag_ids:
        known = lambda dag_id=dag_id: any(dag["dag_id"] == dag_id for dag in airflow.pages("dags", "dags"))  # noqa: E731
        wait_until(known, 60, lambda dag_id=dag_id: f"{dag_id} was not parsed: {errors(airflow)}")
        airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})


def task(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
    found = airflow.task_instances(dag_id, run_id)
    return next(entry for entry in found if (entry["task_id"], entry["map_index"]) == (task_id, map_index))
