"""What Airflow's plugin loader registers."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from log_audit.callbacks import RunQueuedAt
from log_audit.links.logs import ArchivePrefixLink


class LogAuditPlugin(AirflowPlugin):
    """https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html"""

    name = "log_audit"
    operator_extra_links = [ArchivePrefixLink()]  # noqa: RUF012 - the plugin interface wants plain lists
    deadline_references = [RunQueuedAt]  # noqa: RUF012
