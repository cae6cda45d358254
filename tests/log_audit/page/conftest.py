"""The page over HTTP, with a metadata database of its own and an auth manager that a test decides for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from tests.support import page_db

SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: nowhere
    region: ap-northeast-1
    archive: {bucket: log-audit-archive, prefix: logs, log_groups: [{name: /app}, {name_prefix: /aws/lambda/}]}
    aurora:
      location: s3://log-audit-aurora/audit
      clusters: {aurora-00: {ecs_cluster: batch, command: [aurora-00]}}
    cloudtrail: {location: s3://log-audit-trail/AWSLogs, accounts: ["123456789012"], regions: [ap-northeast-1]}
"""


@dataclass
class Gate:
    """Airflow's auth manager, as far as the page asks it.

    :param denied: DAGs that the user may not see
    :param assets: whether he may see assets
    """

    denied: set[str] = field(default_factory=set)
    assets: bool = True
    writes: bool = True

    def is_authorized_asset(self, **_: Any) -> bool:
        return self.assets

    def is_authorized_dag(self, *, method: str, details: Any, **_: Any) -> bool:
        return details.id not in self.denied and (method == "GET" or self.writes)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A database with a week of everything."""
    path = tmp_path_factory.mktemp("page") / "airflow.db"
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    page_db.create(engine)
    with Session(engine) as session, session.begin():
        page_db.demo(session, datetime.now(UTC))
        page_db.Year(datetime.now(UTC), groups=0, clusters=1, days=7).fill(session)
    return engine


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    from airflow.api_fastapi.app import _AuthManagerState

    gate = Gate()
    monkeypatch.setattr(_AuthManagerState, "instance", gate)
    return gate


@pytest.fixture
def anonymous(engine: Engine, gate: Gate, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client that is not signed in."""
    from airflow.api_fastapi.common.db.common import _get_session
    from fastapi.testclient import TestClient

    from log_audit.page.app import make_app

    def session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    (tmp_path / "settings.yaml").write_text(SETTINGS)
    monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(tmp_path / "settings.yaml"))
    app = make_app()
    app.dependency_overrides[_get_session] = session
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(anonymous: Any) -> Any:
    """A client that is signed in."""
    from airflow.api_fastapi.core_api.security import get_user

    anonymous.app.dependency_overrides[get_user] = lambda: "somebody"
    return anonymous


@pytest.fixture
def ask(client: Any) -> Callable[..., dict[str, Any]]:
    """The JSON of a route that answers."""

    def ask(path: str, **params: Any) -> dict[str, Any]:
        answer = client.get(f"/api/{path}", params=params)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    return ask
