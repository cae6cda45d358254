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
from types import MappingProxyType
from typing import Any

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
RETRIES = 10
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# SQLite lets one write at a time; on a busy machine the others wait longer than its own 5 s. The API server writes what
# it logs of a request in its event loop, without which no other request of its own can commit: where one of these has
# the database meanwhile, both wait until the time is over. So its time is short, and it answers that it could not.
LOCK_SECONDS, LOCK_SECONDS_OF_API = 60, 8
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def aws_connection(
    endpoint: str, region: str = "ap-northeast-1", role_arn: str | None = None, external_id: str | None = None
) -> str:
    """The Airflow connection that points at a stand-in.

    :param role_arn: the role to assume. The provider asks STS itself at its own address unless told otherwise
    :param external_id: the word that the role's trust policy asks for
    """
    extra: dict[str, Any] = {"region_name": region, "endpoint_url": endpoint}
    if role_arn:
        extra |= {"role_arn": role_arn, "service_config": {"sts": {"endpoint_url": endpoint}}}
    if external_id:
        extra["assume_role_kwargs"] = {"ExternalId": external_id}
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local", "extra": extra})


def slack_connection(endpoint: str) -> str:
    """The Airflow connection that points at the stand-in's Slack."""
    return json.dumps({"conn_type": "slack", "password": "xoxb-local", "extra": {"base_url": f"{endpoint}/slack/api/"}})


class LocalAirflow:
    """Airflow with its state in ``home``, answering on ``port``.

    ``components`` are what runs of it: the words after ``airflow``, by name.

    :param env: more environment for every component: connections, settings
    :param users: the role of each user who may log in (viewer, user, op, admin), by name; there must be an ``admin``
    """

    def __init__(
        self,
        home: Path,
        port: int,
        env: Mapping[str, str] | None = None,
        users: Mapping[str, str] = MappingProxyType({"admin": "admin"}),
    ) -> None:
        self.home = home.resolve()
        self.port = port
        self.users = users
        self.passwords = {user: secrets.token_urlsafe(12) for user in users}
        self.url = f"http://127.0.0.1:{port}"
        self.env = {**os.environ, **self._configuration(), **self._executor(), **(env or {})}
        self.components: dict[str, list[str]] = dict(COMPONENTS)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: dict[str, requests.Session] = {}

    @property
    def password(self) -> str:
        """The admin's."""
        return self.passwords["admin"]

    def _configuration(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONPATH": str(PROJECT / "plugins"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            DATABASE: f"sqlite:///{self.home}/airflow.db?timeout={LOCK_SECONDS}",
            "AIRFLOW__CORE__PARALLELISM": "16",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(":".join(user) for user in self.users.items()),
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

    def _executor(self) -> dict[str, str]:
        return {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # Tasks are forked from a process that has imported what they need.
            "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
            "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD": "airflow,log_audit.preload",
        }

    def _env_of(self, component: str) -> dict[str, str]:
        if component != "api-server":
            return self.env
        patience = (f"?timeout={LOCK_SECONDS}", f"?timeout={LOCK_SECONDS_OF_API}")
        return {**self.env, DATABASE: self.env[DATABASE].replace(*patience)}

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
        passwords.write_text(json.dumps(self.passwords))
        self.command("db", "migrate")
        pools = self.home / "pools.json"
        pools.write_text(self._python("-m", "log_audit.pools"))
        self.command("pools", "import", str(pools))
        for component in self.components:
            self.start_component(component)
        wait_until(self.healthy, 240, lambda: f"Airflow did not become healthy; see {self.home}/*.log")

    def start_component(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                ["airflow", *self.components[name]],
                env=self._env_of(name),
                cwd=self.home,  # how processes_of() knows its own
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
            )

    def kill_component(self, name: str) -> None:
        """End a component and all it has started at once, as SIGKILL does; nothing is told or tidied up."""
        kill_tree(psutil.Process(self._running(name)))
        self.processes[name].wait(10)

    def kill_worker_of(self, task: Mapping[str, Any]) -> str | None:
        """End the worker of a running task in the same way.

        :param task: as the REST API tells it
        :returns: the component to start again; None: there is nothing to start
        :raises ValueError: the process is none of this Airflow's; nothing is killed
        """
        line = [psutil.Process(task["pid"]), *psutil.Process(task["pid"]).parents()]
        scheduler = [process.pid for process in line].index(self._running("scheduler"))
        # A child of the scheduler's fork server. A task that has lost its worker is a child of process 1.
        kill_tree(line[scheduler - 2])
        return None

    def _running(self, name: str) -> int:
        """A component's process id. One that has ended has none: the number may be another program's by now."""
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"airflow {name} has ended; see {self.home}/{name}.log")
        return self.processes[name].pid

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read Airflow's own database: what its REST API does not tell.

        :param query: SQL that SQLite and PostgreSQL both know, with ``:name`` for each of ``values``
        """
        from sqlalchemy import create_engine, text  # takes half a second, and only tests ask

        engine = create_engine(self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        with engine.connect() as connection:
            found = [dict(row) for row in connection.execute(text(query), values).mappings()]
        engine.dispose()
        return found

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

    def session(self, user: str = "admin") -> requests.Session:
        """HTTP with a user's token."""
        if user not in self._sessions:
            session = requests.Session()
            login = {"username": user, "password": self.passwords[user]}
            answer = session.post(f"{self.url}/auth/token", json=login, timeout=30)
            session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self._sessions[user] = session
        return self._sessions[user]

    def api(self, method: str, path: str, **keywords: Any) -> Any:
        """Call Airflow's public REST API as the admin; its JSON. :raises RuntimeError: with Airflow's words"""
        for left in range(RETRIES, -1, -1):
            answer = self.session().request(method, f"{self.url}/api/v2/{path}", timeout=60, **keywords)
            # SQLite lets one write at a time; Airflow says so and has rolled back what it began.
            if not left or not (answer.status_code == 503 or "Database error" in answer.text):
                break
            time.sleep(0.5)
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

    def trigger(self, dag_id: str, partition_key: str | None = None, **params: Any) -> str:
        """Start a run by hand, with values for its parameters; its run id."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": params}
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


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL a process that we started, or that one of those started, and all it has started itself.

    :raises ValueError: it is no descendant of ours; nothing is killed
    """
    if psutil.Process() not in process.parents():
        raise ValueError(f"{process} was not started from here")
    for victim in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            victim.kill()


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
