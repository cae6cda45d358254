"""``python -m log_audit.preflight``: may the stack of ``docker-compose.yaml`` start? A sentence for each fault, if not.

It runs before the database is touched and before anything else starts. No value is ever shown that may be a secret.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from log_audit.errors import SettingsError
from log_audit.settings import Settings, load_settings

Environment = Mapping[str, str]

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# By the name that .env has for it, where Airflow has another.
SECRETS = {
    "API_SECRET_KEY": "AIRFLOW__API__SECRET_KEY",
    "JWT_SECRET": "AIRFLOW__API_AUTH__JWT_SECRET",
    "ADMIN_PASSWORD": "ADMIN_PASSWORD",
    "POSTGRES_PASSWORD": "POSTGRES_PASSWORD",
    "REDIS_PASSWORD": "REDIS_PASSWORD",
}
IN_URLS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD")
FERNET_KEY = "AIRFLOW__CORE__FERNET_KEY"
CONCURRENCY = "AIRFLOW__CELERY__WORKER_CONCURRENCY"
SHORTEST = 16
# https://www.rfc-editor.org/rfc/rfc3986#section-2.3
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
# https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html#json-format-example
CONNECTION_KEYS = {"conn_type", "description", "login", "password", "host", "port", "schema", "extra"}


def complaints(env: Environment) -> Iterator[str]:
    """What is wrong with the settings file and the environment, a sentence each."""
    yield from _secrets(env)
    if not env.get(CONCURRENCY, "1").isdecimal() or int(env.get(CONCURRENCY, "1")) < 1:
        yield f"WORKER_CONCURRENCY: {env[CONCURRENCY]!r} is no number of tasks; write one from 1 on"
    try:
        settings = load_settings()
    except SettingsError as error:
        yield str(error)
        return
    yield from _connections(settings, env)


def _secrets(env: Environment) -> Iterator[str]:
    for name, variable in SECRETS.items():
        value = env.get(variable, "")
        if len(value) < SHORTEST:
            yield f"{name}: has {len(value)} characters, and needs {SHORTEST}; make one with: openssl rand -hex 32"
        elif name in IN_URLS and not UNRESERVED.fullmatch(value):
            yield (
                f"{name}: stands in a URL, where only letters, digits and . _ ~ - mean themselves; make one with: "
                "openssl rand -hex 32"
            )
    if not _is_fernet(env.get(FERNET_KEY, "")):
        yield "FERNET_KEY: is not 32 bytes in URL-safe base64; make one with: openssl rand -base64 32 | tr +/ -_"


def _is_fernet(keys: str) -> bool:
    from cryptography.fernet import Fernet

    try:
        return all(Fernet(key.strip()) for key in keys.split(","))
    except ValueError:
        return False


def _connections(settings: Settings, env: Environment) -> Iterator[str]:
    wanted = {target.connection: "aws" for target in settings.targets.values()} | {settings.slack.connection: "slack"}
    for connection, kind in wanted.items():
        variable = f"AIRFLOW_CONN_{connection.upper()}"
        if value := env.get(variable, ""):
            if fault := connection_fault(value, kind):
                yield f"{variable}: {fault}; .env.example shows how it is written"
        # A secrets backend may know it, and is asked by the tasks themselves.
        elif not env.get("AIRFLOW__SECRETS__BACKEND"):
            yield (
                f"{variable}: is not set, but the settings name a connection {connection!r}; write it into .env, or "
                "into connections.env if docker-compose.yaml does not name it"
            )


def connection_fault(value: str, kind: str) -> str | None:
    """What keeps Airflow from reading a connection of this type, without showing the value."""
    found = urlsplit(value).scheme
    if value.lstrip().startswith("{"):
        try:
            content = json.loads(value)
            extra = content.get("extra") or {}
            extra = json.loads(extra) if isinstance(extra, str) else extra
        except json.JSONDecodeError as error:
            return f"is no JSON ({error.msg} at character {error.pos})"
        if unknown := sorted(set(content) - CONNECTION_KEYS):
            return f"has no key {unknown[0]!r}; a connection's keys are {', '.join(sorted(CONNECTION_KEYS))}"
        if not isinstance(extra, dict):
            return "has an extra that is no JSON object"
        found = content.get("conn_type")
    return None if found == kind else f"is of type {found!r}, and must be of type {kind!r}"


def database_fault(url: str) -> str | None:
    """Why the database does not let us in, in its own words; they never hold the password."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        create_engine(url).connect().close()
    except SQLAlchemyError as error:
        words = " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())
        return (
            f"POSTGRES_PASSWORD: PostgreSQL refuses ({words}). It has the password that .env held when its volume was "
            "made: put that one back, or change it in the database (docs/production.md)"
        )
    return None


def main() -> int:
    """1 if something is wrong, once it is said on stderr."""
    found = list(complaints(os.environ))
    if not found and (fault := database_fault(os.environ[DATABASE])):
        found.append(fault)
    for sentence in found:
        print(f"The stack cannot start: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
