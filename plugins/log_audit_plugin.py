"""What Airflow's plugin loader registers."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from log_audit.callbacks import RunQueuedAt
from log_audit.links.cloudtrail import EventHistoryLink
from log_audit.links.ecs import EcsTaskLink
from log_audit.links.logs import ArchivePrefixLink, InsightsLink
from log_audit.links.slack import SlackMessageLink
from log_audit.page.mount import PREFIX, LazyPage, nav_entry


class LogAuditPlugin(AirflowPlugin):
    """https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html"""

    name = "log_audit"
    # The plugin interface wants plain lists.
    operator_extra_links = [  # noqa: RUF012
        *(ArchivePrefixLink(), InsightsLink(), EcsTaskLink(), EventHistoryLink(), SlackMessageLink()),
    ]
    deadline_references = [RunQueuedAt]  # noqa: RUF012
    fastapi_apps = [{"app": LazyPage(), "url_prefix": PREFIX, "name": "Log audit"}]  # noqa: RUF012
    external_views = [nav_entry()]  # noqa: RUF012
