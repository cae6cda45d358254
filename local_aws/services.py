"""PostgreSQL and Redis for the Celery stack, on this machine and for one test run.

Both listen on the loopback address at ports of their own, want a password that is made anew each time, and keep their
data in a private folder that goes with them. A server of the machine's own is not touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from local_aws.airflow import PROJECT, free_port
from local_aws.server_packages import Machine, Programs, get_programs

KEPT = PROJECT / ".local" / "packages"


class Services:
    """The servers, from ``start`` to ``stop``.

    :param logs: the folder of postgres.log and redis.log; it stays
    :param kept: the folder that keeps downloaded packages
    :param machine: where to look for the programs
    """

    def __init__(self, logs: Path, kept: Path = KEPT, machine: Machine | None = None) -> None:
        self.logs = logs
        self.kept = kept
        self.machine = machine
        self.password = secrets.token_urlsafe(18)
        self.ports = {"postgres": free_port(), "redis": free_port()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.folder = Path()

    @property
    def postgres(self) -> str:
        """The database's URL, without the name of a driver."""
        return f"airflow:{self.password}@127.0.0.1:{self.ports['postgres']}/airflow"

    @property
    def redis(self) -> str:
        """The broker's URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.ports['redis']}/0"

    def __enter__(self) -> Services:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """:raises CannotGetServers: with what to install. :raises RuntimeError: with a server's last words"""
        # Not in the project's folder: root's servers run as another user, who may not look into root's home.
        self.folder = Path(tempfile.mkdtemp(prefix="log-audit-services-"))
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            programs = get_programs(self.folder / "programs", self.kept, self.machine)
            self._start_postgres(programs)
            self._start_redis(programs)
            self._wait_for("postgres", self._make_database)
            self._wait_for("redis", self._ping)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both servers and remove their data."""
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)  # PostgreSQL takes SIGTERM for "when all clients have gone"
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()  # PostgreSQL's other processes notice, and end
                process.wait(10)
        self.processes.clear()
        if self.folder.name:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start_postgres(self, programs: Programs) -> None:
        data, secret = self.folder / "postgres", self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        self._give_away()
        # Nobody mourns the data, so nothing waits for the disk.
        words = ["--username=airflow", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
        initdb = self._run([programs.postgres.with_name("initdb"), *words, "--no-sync", "-D", data], programs.env)
        if initdb.wait(120):
            raise RuntimeError(f"initdb ended with {initdb.returncode}; {self._last_words('postgres')}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.ports["postgres"],
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self.processes["postgres"] = self._run([programs.postgres, "-D", data, *options], programs.env)

    def _start_redis(self, programs: Programs) -> None:
        data, configuration = self.folder / "redis", self.folder / "redis.conf"
        data.mkdir()
        configuration.touch(mode=0o600)  # a password among a program's arguments can be read by all
        lines = {
            "bind": "127.0.0.1",
            "port": self.ports["redis"],
            "requirepass": self.password,
            "dir": data,
            "save": '""',
            "daemonize": "no",
        }
        configuration.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        self._give_away()
        self.processes["redis"] = self._run([programs.redis, configuration], programs.env, "redis")

    def _give_away(self) -> None:
        """The folder belongs to the user who runs the servers."""
        if user := servant():
            for path in [self.folder, *(self.folder / name for name in ("password", "redis", "redis.conf"))]:
                with contextlib.suppress(FileNotFoundError):
                    os.chown(path, user.pw_uid, user.pw_gid)

    def _run(
        self, command: Sequence[str | Path], env: Mapping[str, str], log: str = "postgres"
    ) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {}
        if user := servant():
            options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        # Where the kernel can, it ends the server with us, however we end.
        bound = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        with (self.logs / f"{log}.log").open("ab") as file:
            return subprocess.Popen(
                [*bound, *command],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
                **options,
            )

    def _wait_for(self, name: str, ready: Callable[[], None], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return ready()
            except Exception as error:  # each client has its own errors
                if self.processes[name].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not answer: {error}; {self._last_words(name)}") from None
                time.sleep(0.1)

    def _last_words(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        return f"{log} ends with: {log.read_text(errors='replace')[-1500:]}"

    def _make_database(self) -> None:
        import psycopg2  # of the Celery stack, which make test does not need

        connection = psycopg2.connect(f"postgresql://{self.postgres.removesuffix('airflow')}postgres")
        connection.autocommit = True  # a database cannot be made in a transaction
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE airflow")

    def _ping(self) -> None:
        import redis

        with redis.Redis.from_url(self.redis) as client:
            client.ping()


def servant() -> pwd.struct_passwd | None:
    """The user who runs the servers where we are root, whom PostgreSQL refuses; None: ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
