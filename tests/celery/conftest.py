"""Airflow with the CeleryExecutor, PostgreSQL, Redis and two workers, booted once and gone without a trace.

What cannot be set up is a failed test: nothing here is ever skipped. After a failed test the logs stay, and the last
lines of pytest's report say where.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_aws import aurora
from local_aws.airflow import free_port, processes_of, slack_connection
from local_aws.celery_airflow import CeleryAirflow
from local_aws.control import Control
from local_aws.services import Services
from log_audit.settings import Target, load_settings
from log_audit.window import to_ms
from tests.e2e.conftest import begun, environment, unpause
from tests.e2e.conftest import control as control  # the fixture, as for the LocalExecutor
from tests.support import export_scenario
from tests.support.aurora_scenario import AUDIT, AURORA, DELIVERIES, DELIVERY, TABLES
from tests.support.export_scenario import ARCHIVE, DAG, REGION

SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {ARCHIVE}
    athena: {{workgroup: audits}}
    aurora: {AURORA}
    log_group_sets:
      api_gateway: [{{name: /api}}]
      lambda: [{{name: /fn}}]
      ecs: [{{name: /box}}]
      scheduler_calls: [{{name: /calls}}]
delivery: {DELIVERIES}
slack:
  failures: [failures]
"""
LOGS = pytest.StashKey[Path]()


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Airflow's state and every log. It stays where a test failed."""
    home = request.config.stash[LOGS] = tmp_path_factory.mktemp("celery")
    yield home
    if not request.session.testsfailed:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def services(home: Path) -> Iterator[Services]:
    # pytest tidies up after Ctrl-C alone, and whoever ends a job of CI sends SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Services(home) as services:
        yield services
    assert not services.folder.exists()


@pytest.fixture(scope="module")
def client(control: Control) -> Any:
    return export_scenario.clients(control)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The settings' only target."""
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file).targets["tokyo"]


@pytest.fixture(scope="module")
def airflow(control: Control, home: Path, services: Services, target: Target) -> Iterator[CeleryAirflow]:
    control.configure(slack_channels=["log-audit", "log-audit-critical", "failures"])
    aurora.prepare(control.endpoint, target)
    export_scenario.plant(control)
    for name in ("/api", "/fn", "/box", "/calls"):
        control.create_log_group(name, region=REGION, creation_time_ms=to_ms(datetime.now(UTC) - timedelta(days=30)))
    env = {
        **environment(control, home, SETTINGS),
        "AIRFLOW_CONN_SLACK_DEFAULT": slack_connection(control.endpoint),
    }
    airflow = CeleryAirflow(home, free_port(), services, env)
    try:
        begun(airflow)
        unpause(airflow, DAG, TABLES, AUDIT, DELIVERY)
        assert airflow.wait_for_run(TABLES, airflow.trigger(TABLES), 180) == "success"
        yield airflow
    finally:
        airflow.stop()
    assert processes_of(home) == []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if (home := config.stash.get(LOGS, None)) and home.exists():
        terminalreporter.write_line(f"The logs of Airflow, PostgreSQL and Redis are in {home}")
