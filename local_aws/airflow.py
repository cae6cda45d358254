"""The real Airflow, on this machine, for ``make run`` and the end-to-end tests.

It runs the components one by one, as production does, rather than ``airflow standalone``: a test can then kill
one of them. SQLite and the LocalExecutor; everything listens on the loopback address; all state is in one folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
COMPONENTS = {
    "api-server": [],
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def aws_connection(endpoint: str, region: str = "ap-northeast-1") -> str:
    """The Airflow connection that points at a stand-in."""
    extra = {"region_name": region, "endpoint_url": endpoint}
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local", "extra": extra})


def slack_connection(endpoint: str) -> str:
    """The Airflow connection that points at the stand-in's Slack."""
    return json.dumps({"conn_type": "slack", "password": "xoxb-local", "extra": {"base_url": f"{endpoint}/slack/api/"}})


class LocalAirflow:
    """Airflow with its state in ``home``, answering on ``port``.

    :param env: more environment for every component: connections, settings
    """

    def __init__(self, home: Path, port: int, env: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.port = port
        self.password = secrets.token_urlsafe(12)
        self.url = f"http://127.0.0.1:{port}"
        self.env = {**os.environ, **self._configuration(), **(env or {})}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()

    def _configuration(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONPATH": str(PROJECT / "plugins"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Prepare the database and pools, start every component, and wait until Airflow is healthy."""
        stop_leftovers(self.home)
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({"admin": self.password}))
        self.command("db", "migrate")
        pools = self.home / "pools.json"
        pools.write_text(self._python("-m", "log_audit.pools"))
        self.command("pools", "import", str(pools))
        for component in COMPONENTS:
            self.start_component(component)
        wait_until(self.healthy, 120, lambda: f"Airflow did not become healthy; see {self.home}/*.log")

    def start_component(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                ["airflow", name, *COMPONENTS[name]],
                env=self.env,
                cwd=self.home,  # how processes_of() knows its own
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
            )

    def command(self, *words: str) -> str:
        """Run an ``airflow`` command to its end; its output. :raises RuntimeError: with that output"""
        return self._run(["airflow", *words])

    def _python(self, *words: str) -> str:
        return self._run([sys.executable, *words])

    def _run(self, words: list[str]) -> str:
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def healthy(self) -> bool:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"airflow {name} ended with {process.returncode}; see {self.home}/{name}.log")
        try:
            report = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return all(
            report[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def api(self, method: str, path: str, **keywords: Any) -> Any:
        """Call Airflow's public REST API as the admin; its JSON. :raises RuntimeError: with Airflow's words"""
        if "Authorization" not in self._session.headers:
            login = {"username": "admin", "password": self.password}
            answer = self._session.post(f"{self.url}/auth/token", json=login, timeout=30)
            self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        answer = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **keywords)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def pages(self, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a listing of the REST API, page after page."""
        seen = 0
        while True:
            page = self.api("GET", path, params={**params, "limit": 100, "offset": seen})
            yield from page[key]
            seen += len(page[key])
            if not page[key] or seen >= page["total_entries"]:
                return

    def trigger(self, dag_id: str, partition_key: str | None = None) -> str:
        """Start a run by hand; its run id."""
        body = {"logical_date": None, "partition_key": partition_key}
        return str(self.api("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Wait for a run to end; its state."""
        ended = ("success", "failed")

        def state() -> str:
            return str(self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

        wait_until(lambda: state() in ended, seconds, lambda: f"{dag_id} {run_id} is still {state()}")
        return state()

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(self.pages(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances"))

    def last_error(self, task: dict[str, Any]) -> str | None:
        """What the log of a task's last try says went wrong."""
        path = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
        params = {"map_index": task["map_index"], "full_content": True}
        log = self.api("GET", f"{path}/logs/{max(1, task['try_number'])}", params=params)
        lines = [line for line in log["content"] if isinstance(line, dict)]
        details = [detail for line in lines for detail in line.get("error_detail") or ()]
        return f"{details[-1]['exc_type']}: {details[-1]['exc_value']}" if details else None

    def stop(self) -> None:
        """Stop every process that was started here, and every one that those started."""
        stop_leftovers(self.home)
        for process in self.processes.values():
            process.wait(10)
        self.processes.clear()


def wait_until(ready: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    """:raises TimeoutError: with the complaint"""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint())
        time.sleep(0.3)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every living Python process that works in this state folder, whoever its parent is by now.

    Airflow's processes rename themselves, which overwrites what they show of their environment; their working
    folder stays.
    """
    found, python = [], os.path.realpath(sys.executable)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(home.resolve()) and os.path.realpath(process.exe()) == python:
                found.append(process)
    return [process for process in found if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE]


def stop_leftovers(home: Path) -> None:
    """End every process of this state folder: politely, then not."""
    processes = processes_of(home)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(processes, timeout=8)
    while processes := processes_of(home):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=5)
