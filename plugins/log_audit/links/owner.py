"""Where the owner of the DAGs leads people in Airflow's UI."""

from __future__ import annotations

OWNER = "log-audit"
PAGE = "plugin/log-audit/log-audit/"


def owner_links(link: str | None) -> dict[str, str]:
    """For a DAG: the settings' ``owner_link``, or the page Log audit; nothing where neither is known.

    https://airflow.apache.org/docs/apache-airflow/stable/howto/add-owner-links.html
    """
    from airflow.sdk import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    address = link or (f"{base}/{PAGE}" if base.startswith("http") else "")
    return {OWNER: address} if address else {}
