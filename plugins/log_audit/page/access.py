"""Who may see what: Airflow's own answers, asked for each request and DAG."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import HTTPException, status

# A DAG's run states and those of its tasks: who may not see both sees nothing of it here.
SHOWN = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE)


def may(session: SessionDep, user: GetUserDep, dag: str, method: ResourceMethod, entity: DagAccessEntity) -> bool:
    """Whether Airflow's API would let this user do that with a part of a DAG."""
    details = DagDetails(id=dag, team_name=DagModel.get_team_name(dag, session=session))
    return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)


def seen(session: SessionDep, user: GetUserDep, dags: Iterable[str]) -> set[str]:
    """Those of the DAGs whose runs and tasks the user may see.

    :raises HTTPException: 403 if it is none of them
    """
    dags = list(dags)
    allowed = {dag for dag in dags if all(may(session, user, dag, "GET", entity) for entity in SHOWN)}
    if not allowed:
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"You may not see {', '.join(dags)}.")
    return allowed
