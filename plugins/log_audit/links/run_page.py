"""Links to Airflow's own UI."""

from __future__ import annotations


def run_url(dag_id: str, run_id: str) -> str:
    """The page of a run."""
    from airflow.sdk import conf

    return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{run_id}"
