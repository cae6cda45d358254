"""docker-compose.yaml, its image and its .env: read as text, and the script of `init` run as it stands."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from log_audit.preflight import connection_fault, database_fault

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yaml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
LONG_RUNNING = {"postgres", "redis", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "aws"}
AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:[?-])([^}]*))?\}")
SECRETS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "FERNET_KEY", "API_SECRET_KEY", "JWT_SECRET", "ADMIN_PASSWORD"}
CONNECTIONS = {"AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_CONN_SLACK_DEFAULT"}
LONG = "0123456789abcdef" * 4
GOOD = {
    **{name: LONG for name in SECRETS},
    "FERNET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "AIRFLOW_CONN_AWS_DEFAULT": '{"conn_type": "aws", "extra": {"region_name": "ap-northeast-1"}}',
    "AIRFLOW_CONN_SLACK_DEFAULT": '{"conn_type": "slack", "password": "xoxb-planted"}',
}


def written(text: str) -> dict[str, str]:
    """The variables of an .env file that are not commented out."""
    lines = (line.partition("=") for line in text.splitlines() if re.match(r"[A-Z]", line))
    return {name: value.strip("'") for name, _, value in lines}


def interpolated(value: Any, env: dict[str, str]) -> str:
    """What Compose makes of a value, where it has what it needs."""
    filled = VARIABLE.sub(lambda found: env.get(found[1]) or (found[3] if found[2] == ":-" else ""), str(value))
    return filled.replace("$$", "$")


def python_at(folder: Path, first: str = "") -> None:
    """Put `python` of this virtual environment into a folder, as a script that may do something first."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\n{first}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)


# --- what the file promises ---


def test_the_services_are_those_of_a_celery_stack() -> None:
    assert set(SERVICES) == LONG_RUNNING | {"init"}
    assert [name for name, service in SERVICES.items() if service.get("profiles")] == ["aws"]


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_what_runs_long_is_watched_and_comes_back(name: str) -> None:
    assert SERVICES[name]["restart"] == "always"
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)
    boots = {"airflow jobs", "airflow.providers"} & set(re.findall(r"airflow[ .]\w+", " ".join(check["test"])))
    assert not boots, "a check that boots Airflow costs seconds of CPU each time"


@pytest.mark.parametrize("name", sorted(AIRFLOW - {"init"}))
def test_nothing_of_airflow_starts_unless_init_succeeded(name: str) -> None:
    assert SERVICES[name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}


def test_init_runs_once_when_the_database_is_up() -> None:
    assert SERVICES["init"]["restart"] == "no"
    assert {each["condition"] for each in SERVICES["init"]["depends_on"].values()} == {"service_healthy"}


def test_every_port_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_database_and_broker_are_out_of_reach_from_outside() -> None:
    assert STACK["networks"]["backend"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["backend"]
    assert SERVICES["aws"]["networks"] == ["default"]


def test_images_are_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()} | set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))
    for image in images - {"production"}:
        tag = interpolated(image, {}).partition(":")[2]
        assert tag not in ("", "latest"), image
    versions = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert f"FROM apache/airflow:{versions['apache-airflow']} AS production" in DOCKERFILE


def test_nothing_of_airflow_is_root_or_can_become_it() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M)[-1] == "airflow"
    for name, service in SERVICES.items():
        assert service.get("user", "not root") not in ("root", "0", "0:0")
        assert service["security_opt"] == ["no-new-privileges:true"]
        # The entrypoint of PostgreSQL's image begins as root, and gives it up.
        assert name == "postgres" or service["cap_drop"] == ["ALL"], name


def test_the_stand_in_is_in_no_image_of_production() -> None:
    production, local = DOCKERFILE.split("AS local")
    assert "local_aws" not in production
    assert "requirements-dev" not in production
    assert "COPY local_aws" in local
    for name in AIRFLOW:
        assert SERVICES[name]["build"]["target"] == "production"
    assert SERVICES["aws"]["build"]["target"] == "local"
    assert "local_aws" not in str({name: service for name, service in SERVICES.items() if name != "aws"})


def test_only_what_the_image_needs_is_sent_to_the_engine() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert set(lines[1:]) == {
        "!requirements*.txt",
        "!constraints.txt",
        "!plugins",
        "!include",
        "!dags",
        "!local_aws",
        "**/__pycache__",
    }


def test_a_worker_ends_its_tasks_before_it_stops() -> None:
    worker = SERVICES["worker"]
    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"
    assert worker["stop_grace_period"] == "5m"
    assert "container_name" not in worker  # nor would it scale


def test_celery_is_told_what_long_tasks_and_short_ones_need() -> None:
    env = SERVICES["worker"]["environment"]
    assert env["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert env["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] == "1"
    assert env["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"] == "86400"
    assert "celery==5.6.3" in (ROOT / "requirements-stack.txt").read_text()


# --- secrets ---


@pytest.mark.parametrize("name", sorted(SECRETS | CONNECTIONS))
def test_without_a_secret_compose_stops_with_a_sentence(name: str) -> None:
    uses = [found for found in VARIABLE.finditer(TEXT) if found[1] == name]
    assert uses
    for found in uses:
        assert found[2] == ":?"
        assert "into .env; " in found[3]
        assert "docker/new-env" in found[3] or ".env.example" in found[3]


def test_what_is_no_secret_has_a_default() -> None:
    for found in VARIABLE.finditer(TEXT):
        if found[1] not in SECRETS | CONNECTIONS:
            assert found[2] == ":-", found[0]


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|AUTH$|BROKER_URL|ALCHEMY_CONN|AIRFLOW_CONN", name):
                assert VARIABLE.search(value) or "://" in value, name
            assert not re.search(r"://[^/$]*:[^/$]+@", str(value)), name


def test_no_list_of_processes_shows_a_password() -> None:
    commands = [str(service.get("command", "")) for service in SERVICES.values()]
    assert not any(VARIABLE.search(command) for command in commands)
    assert "--password" not in " ".join(commands)


def test_the_example_names_every_variable_and_has_no_secret() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.M))
    used = {found[1] for found in VARIABLE.finditer(TEXT)}
    assert named == used | {"COMPOSE_PROFILES"}
    assert {name: value for name, value in written(EXAMPLE).items() if value} == {}
    assert set(written(EXAMPLE)) == SECRETS | CONNECTIONS


def test_defaults_in_the_example_are_those_of_the_file() -> None:
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, re.M))
    for found in VARIABLE.finditer(TEXT):
        if found[2] == ":-":
            assert shown[found[1]] == found[3]


def test_env_is_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {".env", "connections.env"} <= set(ignored)


@pytest.fixture
def new_env(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """docker/new-env in a folder of its own."""
    (tmp_path / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "new-env", tmp_path / "docker")
    shutil.copy(ROOT / ".env.example", tmp_path)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([tmp_path / "docker/new-env", *words], capture_output=True, text=True, check=False)

    return run


def test_new_env_makes_secrets_that_the_preflight_takes(
    new_env: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, init: "Init"
) -> None:
    assert "AIRFLOW_CONN_AWS_DEFAULT AIRFLOW_CONN_SLACK_DEFAULT" in new_env().stdout
    made = written((tmp_path / ".env").read_text())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    (tmp_path / ".env").unlink()
    assert new_env("local").returncode == 0
    again = written((tmp_path / ".env").read_text())
    assert all(again[name] != made[name] for name in SECRETS)
    assert again["COMPOSE_PROFILES"] == "local"
    assert "database" in init.refused(**again)  # all is well but for the database, which is not there


def test_new_env_leaves_an_old_one_alone(
    new_env: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=old\n")
    done = new_env()
    assert done.returncode == 1
    assert "move it away" in done.stderr
    assert (tmp_path / ".env").read_text() == "POSTGRES_PASSWORD=old\n"


# --- the script of init, run as it stands ---


class Init:
    """Runs the command of `init` with its environment; `airflow` itself only writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.calls.touch()
        stub = folder / "airflow"
        stub.write_text(f'#!/bin/sh\necho "$@" >>{self.calls}\n[ "$1" = users ] && cat >>{self.calls}\nexit 0\n')
        stub.chmod(0o755)
        python_at(folder)
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        values = {**GOOD, **env}
        inside = {name: interpolated(value, values) for name, value in SERVICES["init"]["environment"].items()}
        inside |= {name: value for name, value in values.items() if name.startswith(("LOG_AUDIT_", "AIRFLOW_"))}
        inside |= {"PATH": self.path, "PYTHONPATH": str(ROOT / "plugins"), "HOME": os.environ.get("HOME", "/")}
        command = [word.replace("$$", "$") for word in SERVICES["init"]["command"]]
        return subprocess.run(command, env=inside, capture_output=True, text=True, check=False, timeout=120)

    def refused(self, **env: str) -> str:
        """Its sentences, once it is sure that nothing else was done."""
        done = self.run(**env)
        assert done.returncode != 0
        assert self.calls.read_text() == ""
        assert "Traceback" not in done.stderr, done.stderr
        assert "The stack cannot start: " in done.stderr
        return done.stderr


@pytest.fixture
def init(tmp_path: Path) -> Init:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Init(folder)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FERNET_KEY": "short"}, ["FERNET_KEY", "openssl"]),
        ({"FERNET_KEY": f"{GOOD['FERNET_KEY']},{GOOD['FERNET_KEY'][:-2]}"}, ["FERNET_KEY"]),
        ({"POSTGRES_PASSWORD": "with@sign" + LONG}, ["POSTGRES_PASSWORD", "URL"]),
        ({"REDIS_PASSWORD": "with/slash" + LONG}, ["REDIS_PASSWORD", "URL"]),
        ({"JWT_SECRET": "tooshort"}, ["JWT_SECRET", "8 characters"]),
        ({"API_SECRET_KEY": "changeme"}, ["API_SECRET_KEY"]),
        ({"ADMIN_PASSWORD": "admin"}, ["ADMIN_PASSWORD", "5 characters"]),
        ({"WORKER_CONCURRENCY": "many"}, ["WORKER_CONCURRENCY", "'many'"]),
        ({"WORKER_CONCURRENCY": "0"}, ["WORKER_CONCURRENCY"]),
        ({"AIRFLOW_CONN_AWS_DEFAULT": '{"conn_type": aws}'}, ["AIRFLOW_CONN_AWS_DEFAULT", "no JSON"]),
        ({"AIRFLOW_CONN_SLACK_DEFAULT": "xoxb-planted"}, ["AIRFLOW_CONN_SLACK_DEFAULT", "'slack'"]),
        ({"LOG_AUDIT_SETTINGS": "/nowhere/settings.yaml"}, ["/nowhere/settings.yaml", "No such file"]),
    ],
)
def test_init_refuses_in_a_sentence(init: Init, env: dict[str, str], words: list[str]) -> None:
    said = init.refused(**env)
    assert all(word in said for word in words), said
    for name in SECRETS & set(env):
        assert env[name] not in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("time_zone: Asia/Tokyo", "time_zone: Tokyo", ["time_zone", "'Tokyo'"]),
        ("region: ap-northeast-1", "region: tokyo", ["targets.tokyo.region", "'tokyo'"]),
        ("bucket: log-audit-archive", "buket: log-audit-archive", ["targets.tokyo.archive.buket", "no such key"]),
        ("connection: aws_default", "connection: aws_other", ["AIRFLOW_CONN_AWS_OTHER", "'aws_other'"]),
        ("connection: slack_default", "connection: slack_other", ["AIRFLOW_CONN_SLACK_OTHER"]),
        ("targets:", "targets: [", ["is no YAML"]),
    ],
)
def test_init_refuses_bad_settings_in_a_sentence(
    init: Init, tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    good = (ROOT / "include" / "settings.yaml").read_text()
    assert old in good
    file = tmp_path / "settings.yaml"
    file.write_text(good.replace(old, new, 1))
    said = init.refused(LOG_AUDIT_SETTINGS=str(file))
    assert all(word in said for word in words), said


def test_init_says_all_that_is_wrong_at_once(init: Init) -> None:
    said = init.refused(JWT_SECRET="x", FERNET_KEY="x", WORKER_CONCURRENCY="x")
    assert said.count("The stack cannot start: ") == 3


def test_init_refuses_when_the_database_does(init: Init) -> None:
    said = init.refused()
    assert "POSTGRES_PASSWORD" in said
    assert LONG not in said


def test_init_prepares_the_database_the_pools_and_the_first_user(init: Init, tmp_path: Path) -> None:
    # Without the look at the database, which is not here.
    python_at(tmp_path / "bin", '[ "$2" = log_audit.preflight ] && exit 0')
    done = init.run(ADMIN_USER="kanri")
    assert done.returncode == 0, done.stderr
    migrate, pools, user, *password = init.calls.read_text().splitlines()
    assert migrate == "db migrate"
    assert pools.startswith("pools import ")
    assert "logs_export_tokyo" in Path(pools.split()[-1]).read_text()
    assert user.startswith("users create --role Admin --username kanri --email admin@example.com")
    assert password == [LONG, LONG]


# --- what a connection may look like ---


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("aws://", "aws"),
        ("aws://AKIA:secret@/?region_name=eu-central-1", "aws"),  # pragma: allowlist secret
        ('{"conn_type": "aws"}', "aws"),
        ('{"conn_type": "aws", "extra": "{\\"region_name\\": \\"eu-central-1\\"}"}', "aws"),
        ('  {"conn_type": "slack", "password": "t"}', "slack"),
    ],
)
def test_connections_as_airflow_reads_them(value: str, kind: str) -> None:
    assert connection_fault(value, kind) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"conn_type": "slack"}', "of type 'slack', and must be of type 'aws'"),
        ('{"type": "aws", "secret": "planted"}', "no key 'secret'"),
        ('{"conn_type": "aws", "extra": "region=planted"}', "no JSON"),
        ('{"conn_type": "aws", "extra": ["planted"]}', "no JSON object"),
        ("AKIAplanted", "of type ''"),
        ("postgresql://a:planted@b/c", "of type 'postgresql'"),  # pragma: allowlist secret
    ],
)
def test_connections_that_airflow_would_stumble_over(value: str, words: str) -> None:
    fault = connection_fault(value, "aws")
    assert words in str(fault)
    assert "planted" not in str(fault)


def test_a_secrets_backend_may_know_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    from log_audit.preflight import complaints

    env = {f"AIRFLOW__{name}": LONG for name in ("API__SECRET_KEY", "API_AUTH__JWT_SECRET")}
    env |= {name: GOOD[name] for name in ("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD")}
    env |= {"AIRFLOW__CORE__FERNET_KEY": GOOD["FERNET_KEY"]}
    monkeypatch.delenv("LOG_AUDIT_SETTINGS", raising=False)
    assert [sentence.partition(":")[0] for sentence in complaints(env)] == sorted(CONNECTIONS)
    assert list(complaints({**env, "AIRFLOW__SECRETS__BACKEND": "some.Backend"})) == []


def test_a_database_that_is_not_there() -> None:
    fault = database_fault("postgresql+psycopg2://airflow:planted@127.0.0.1:1/airflow")
    assert "refused" in str(fault)
    assert "planted" not in str(fault)


# --- the health checks of what has no port of its own ---


@pytest.fixture
def report(tmp_path: Path) -> Callable[[str, str], int]:
    """Runs the health check of a service, `curl` answering with a report: its exit code."""

    def run(service: str, answer: str) -> int:
        curl = tmp_path / "curl"
        curl.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
        curl.chmod(0o755)
        python_at(tmp_path)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PART": SERVICES[service]["environment"]["PART"]}
        command = SERVICES[service]["healthcheck"]["test"][1].replace("$$", "$")
        return subprocess.run(["sh", "-c", command], env=env, capture_output=True, check=False).returncode

    return run


@pytest.mark.parametrize(("service", "part"), [("triggerer", "triggerer"), ("dag-processor", "dag_processor")])
def test_a_missing_heartbeat_is_unhealthy(report: Callable[[str, str], int], service: str, part: str) -> None:
    others = {"triggerer": "healthy", "dag_processor": "healthy"}

    def told(status: str) -> str:
        return str({name: {"status": each} for name, each in {**others, part: status}.items()}).replace("'", '"')

    assert report(service, told("healthy")) == 0
    assert report(service, told("unhealthy")) != 0
    assert report(service, "") != 0
