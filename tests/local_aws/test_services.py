"""PostgreSQL and Redis for make test-celery: where they come from, who may reach them, and that nothing is left."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local_aws.airflow import PROJECT, wait_until
from local_aws.server_packages import CannotGetServers, Machine, fetched, get_programs
from local_aws.services import Services


def machine_with(folder, **programs):
    """A machine that has these programs alone; None: the real one."""
    tools = folder / "bin"
    tools.mkdir()
    for name, text in programs.items():
        file = tools / name.replace("_", "-")
        if text is None:
            file.symlink_to(shutil.which(file.name))
        else:
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
    return Machine(folder / "root", str(tools))


def test_without_the_servers_and_without_packages_the_error_says_what_to_install(tmp_path):
    with pytest.raises(CannotGetServers) as failed:
        get_programs(tmp_path / "unpacked", tmp_path / "kept", machine_with(tmp_path))
    assert "postgres and redis-server not found, nor is apt-get" in str(failed.value)
    assert "apt-get install postgresql redis-server" in str(failed.value)


def test_when_apt_fails_the_error_has_its_words_and_says_what_to_install(tmp_path):
    machine = machine_with(
        tmp_path,
        postgres="echo 15.1",
        apt_get="""
            case "$*" in
                *update*) echo "W: Temporary failure resolving" >&2;;
                *) echo "E: Unable to locate package" >&2; exit 100;;
            esac
        """,
        apt_cache="exit 0",
    )
    with pytest.raises(CannotGetServers) as failed:
        get_programs(tmp_path / "unpacked", tmp_path / "kept", machine)
    said = str(failed.value)
    words = "W: Temporary failure resolving E: Unable to locate package"
    assert said.startswith(f"redis-server not found, and apt-get install failed: {words}. Install them")
    assert "apt-get install postgresql redis-server" in said
    assert list((tmp_path / "kept").iterdir()) == []  # so the next time tries again


def test_packages_that_were_downloaded_are_used_again(tmp_path):
    (tmp_path / "kept" / "postgres+redis-server").mkdir(parents=True)
    found = fetched(["redis-server", "postgres"], tmp_path / "kept", machine_with(tmp_path))
    assert found == tmp_path / "kept" / "postgres+redis-server"


def test_of_several_versions_the_newest_is_taken_wherever_it_stands(tmp_path):
    machine = machine_with(tmp_path, postgres="echo 'postgres (PostgreSQL) 9.6.24'", sh=None)
    for major in ("13", "15"):
        folder = tmp_path / "root" / "usr/lib/postgresql" / major / "bin"
        folder.mkdir(parents=True)
        (folder / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.2'\n")
        (folder / "postgres").chmod(0o755)
    assert machine.find("postgres").parts[-3] == "15"


@pytest.mark.celery
def test_on_a_machine_without_them_both_come_from_packages_and_work(tmp_path):
    machine = machine_with(tmp_path, apt_get=None, apt_cache=None)
    with Services(tmp_path, tmp_path / "kept", machine) as services:
        for process in services.processes.values():
            assert services.folder / "programs" in Path(psutil.Process(process.pid).exe()).parents
        assert query(services, "SELECT 6 * 7") == 42
    assert not services.folder.exists()


@pytest.fixture
def services(tmp_path):
    with Services(tmp_path) as services:
        yield services


def query(services, text, password=None):
    import psycopg2

    address = services.postgres.replace(services.password, password or services.password)
    connection = psycopg2.connect(f"postgresql://{address}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.celery
def test_both_want_the_password_and_listen_on_the_loopback_address_alone(services):
    import psycopg2
    import redis

    assert query(services, "SELECT 42") == 42
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(services, "SELECT 42", "wrong")
    stranger = redis.Redis(port=services.ports["redis"])
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    stranger.close()
    for name, process in services.processes.items():
        listening = [c for c in psutil.Process(process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {(c.laddr.ip, c.laddr.port) for c in listening} == {("127.0.0.1", services.ports[name])}


@pytest.mark.celery
def test_neither_runs_as_root_or_shows_its_password_or_its_data(services):
    for process in services.processes.values():
        found = psutil.Process(process.pid)
        assert found.uids().real != 0
        assert services.password not in " ".join(found.cmdline())
    assert services.folder.stat().st_mode & 0o077 == 0


@pytest.mark.celery
def test_after_stop_nothing_is_left_though_clients_are_connected(tmp_path):
    import psycopg2

    with Services(tmp_path) as services:
        connection = psycopg2.connect(f"postgresql://{services.postgres}")
        servers = [psutil.Process(process.pid) for process in services.processes.values()]
        family = servers + [child for server in servers for child in server.children(recursive=True)]
    connection.close()
    assert [process for process in family if process.is_running()] == []
    assert not services.folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"postgres.log", "redis.log"}


@pytest.mark.celery
def test_a_server_that_cannot_start_is_named_with_its_last_words_and_leaves_nothing(tmp_path):
    services = Services(tmp_path)
    services.ports["redis"] = services.ports["postgres"]
    with pytest.raises(RuntimeError, match=r"redis does not answer: .*redis.log ends with: [\s\S]*in use"):
        services.start()
    assert services.processes == {}
    assert not services.folder.exists()


PROGRAM = """
import sys, time
from pathlib import Path
from local_aws.services import Services
services = Services(Path(sys.argv[1]))
services.start()
print(services.folder, *(process.pid for process in services.processes.values()), flush=True)
time.sleep(600)
"""


@pytest.mark.celery
def test_the_servers_end_with_whoever_started_them_even_when_it_is_killed(tmp_path):
    starter = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    folder, *pids = starter.stdout.readline().split()
    servers = [psutil.Process(int(pid)) for pid in pids]
    starter.kill()
    starter.communicate()
    wait_until(lambda: not any(server.is_running() for server in servers), 30, lambda: f"{servers} still run")
    shutil.rmtree(folder)
