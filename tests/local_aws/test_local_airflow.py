"""What the local Airflow kills is its own, whatever process id it is given."""

import subprocess
import sys

import psutil
import pytest

from local_aws.airflow import LocalAirflow, kill_tree

SLEEP = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', '{SLEEP}']); print(p.pid, flush=True)"
WORKER = f"{PARENT}; p.wait()"
FORK_SERVER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKER!r}])"
SCHEDULER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FORK_SERVER!r}])"


@pytest.fixture
def killed(monkeypatch):
    """What would be killed. A test of this must not be able to do it."""
    victims = []
    monkeypatch.setattr(psutil.Process, "kill", lambda process: victims.append(process.pid))
    return victims


@pytest.fixture
def start():
    started = []

    def start(program):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def home(tmp_path):
    return LocalAirflow(tmp_path, 1)


def end(pid):
    subprocess.run(["kill", "-9", str(pid)], check=False)


def test_the_worker_of_a_task_is_the_fork_servers_child_and_goes_with_its_task(home, start, killed):
    scheduler, task = start(SCHEDULER)
    home.processes["scheduler"] = scheduler
    worker = psutil.Process(task).ppid()
    home.kill_worker_of({"pid": task})
    assert set(killed) == {worker, task}
    end(task)


def test_a_task_that_has_lost_its_worker_kills_nothing(home, start, killed):
    scheduler, mine = start(SCHEDULER)
    home.processes["scheduler"] = scheduler
    parent, orphan = start(PARENT)
    parent.wait()
    assert psutil.Process(orphan).ppid() != parent.pid
    with pytest.raises(ValueError, match="is not in list"):
        home.kill_worker_of({"pid": orphan})
    assert killed == []
    end(orphan)
    end(mine)


def test_another_program_with_the_number_of_a_task_is_left_alone(home, start, killed):
    scheduler, mine = start(SCHEDULER)
    home.processes["scheduler"] = scheduler
    _, stranger = start(WORKER)
    with pytest.raises(ValueError, match="is not in list"):
        home.kill_worker_of({"pid": stranger})
    assert killed == []
    end(stranger)
    end(mine)


def test_a_component_that_has_ended_is_not_killed_by_its_old_number(home, start, killed):
    scheduler, orphan = start(PARENT)
    scheduler.wait()
    home.processes["scheduler"] = scheduler
    with pytest.raises(RuntimeError, match="airflow scheduler has ended"):
        home.kill_component("scheduler")
    assert killed == []
    end(orphan)


@pytest.mark.parametrize("pid", [1, psutil.Process().pid, psutil.Process().ppid()], ids=["first", "own", "parent"])
def test_what_we_did_not_start_is_never_killed(killed, pid):
    with pytest.raises(ValueError, match="was not started from here"):
        kill_tree(psutil.Process(pid))
    assert killed == []


@pytest.mark.parametrize(("component", "seconds"), [("api-server", 8), ("scheduler", 60), ("triggerer", 60)])
def test_the_api_server_waits_for_the_database_less_long_than_whoever_waits_for_it(
    home, monkeypatch, component, seconds
):
    started = {}
    monkeypatch.setattr(subprocess, "Popen", lambda words, env, **_: started.update({words[1]: env}))
    home.start_component(component)
    assert started[component]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith(f"/airflow.db?timeout={seconds}")
