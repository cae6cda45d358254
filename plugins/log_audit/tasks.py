"""Rows of tasks that several DAGs have in common, and the assets that tie them together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset

from log_audit.checks import Scope
from log_audit.defaults import DEFAULT_ARGS
from log_audit.operators.archive import ListExportOperator, PlanArchiveOperator, VerifyExportOperator
from log_audit.operators.audits import AuditAlertOperator
from log_audit.operators.checks import LogsInsightsOperator, PlanChecksOperator
from log_audit.operators.manifest import WriteManifestOperator
from log_audit.operators.slack import AlertOperator
from log_audit.settings import Settings

LOG_ARCHIVE = Asset("log_archive", group="log_audit")
INSIGHTS_CHECKS = Asset("insights_checks", group="log_audit")
INSIGHTS_LATE_SWEEP = Asset("insights_late_sweep", group="log_audit")
AURORA_AUDIT_LOG = Asset("aurora_audit_log", group="log_audit")  # a partition for each delivered window
AURORA_AUDITS = Asset("aurora_audits", group="log_audit")  # a partition for each audited window
CLOUDTRAIL_AUDITS = Asset("cloudtrail_audits", group="log_audit")  # a partition for each audited day
LOG_GROUP = "{{ task.job['log_group'] }}"  # what the grid calls a mapped task of a log group


def read_and_record(
    plan: PlanArchiveOperator, export_task_id: str, aws: dict[str, str], *, final: bool = False
) -> ListExportOperator:
    """What follows an export: list what it wrote, read all of it, write the manifests.

    One log group's failure holds up no other: each manifest is judged by the tasks of its own group.

    :param export_task_id: the full id of the mapped export task
    :param aws: ``aws_conn_id`` and ``region_name``
    :param final: whether the manifests become final
    :returns: the first task of the row, to be placed behind the export
    """
    objects = ListExportOperator(
        task_id="objects",
        task_display_name="List the objects",
        doc_md="What the exports wrote, cut into chunks of at most 5 GB and 500 objects.",
        export_task_id=export_task_id,
        trigger_rule="all_done",
        **aws,
    )
    verify = VerifyExportOperator.partial(
        task_id="verify",
        task_display_name="Verify every object",
        doc_md="Reads every object of a chunk to its end and counts the events.",
        map_index_template="{{ task.chunk['job']['log_group'] }}",
        **aws,
    ).expand(chunk=objects.output)
    manifest = WriteManifestOperator.partial(
        task_id="manifest",
        task_display_name="Write the manifest",
        doc_md="Checks that all of the export was read, and writes its manifest. Its link opens the month in S3.",
        tasks={"export": export_task_id, "objects": objects.task_id, "verify": verify.task_id},
        final=final,
        outlets=[LOG_ARCHIVE],
        trigger_rule="all_done",
        map_index_template=LOG_GROUP,
        **aws,
    ).expand(job=plan.output)
    verify >> manifest
    return objects


def look_and_alert(
    settings: Settings, watches: Asset, scope: Scope, *, look_limit: timedelta, look_retries: int | None = None
) -> None:
    """Plan the windows, look with every check, alert; the run is red if any look or alert failed.

    :param watches: the asset in whose state store the checks are remembered
    :param look_limit: how long a check may take: the alert waits for all of them
    :param look_retries: of a look that failed; None: as many as every task has
    """
    plan = PlanChecksOperator(
        task_id="plan",
        task_display_name="Plan the windows",
        doc_md="Fixes which check looks at which window. A retry or a clear reads the same again.",
        watches=watches,
        settings=settings,
        scope=scope,
    )
    look = LogsInsightsOperator.partial(
        task_id="look",
        task_display_name="Look",
        doc_md="Runs one check over its window. Findings do not fail it; red means: could not look.",
        poll_seconds=settings.insights.poll_seconds,
        time_limit=look_limit,
        retries=DEFAULT_ARGS["retries"] if look_retries is None else look_retries,
        map_index_template="{{ task.look['query'] }} @ {{ task.look['target'] }}",
    ).expand_kwargs(plan.output)
    alert = AlertOperator(
        task_id="alert",
        task_display_name="Alert",
        doc_md="Tells people what was found, and moves the watermark of each check whose alert was accepted.",
        watches=watches,
        settings=settings,
        look_task_id=look.task_id,
        scope=scope,
        trigger_rule="all_done",
        retries=6,  # half an hour of Slack's being down
    )
    look >> alert
    _judged_by_leaf("all_looked", [look, alert])


def alert_of_audits(settings: Settings, looks: Sequence[Any], records: Asset, watches: Asset | None = None) -> None:
    """Tell what audits found, whatever became of each; the run is red if one of them, or the alert, failed.

    :param looks: the tasks that looked
    :param records: the asset of audited windows
    :param watches: the asset whose events start the runs; None: they are scheduled
    """
    alert = AuditAlertOperator(
        task_id="alert",
        task_display_name="Alert",
        doc_md="Tells people what was found: one digest, and what cannot wait by itself. Each result once.",
        settings=settings,
        records=records,
        watches=watches,
        audit_task_ids=[look.task_id for look in looks],
        trigger_rule="all_done",
        max_active_tis_per_dag=1,  # side by side, two could tell the same
        retries=6,  # half an hour of Slack's being down
    )
    for look in looks:
        look >> alert
    _judged_by_leaf("all_audited", [*looks, alert])


def _judged_by_leaf(task_id: str, tasks: Sequence[Any]) -> None:
    """A leaf that is red when one of the tasks failed: Airflow judges a run by its leaves alone."""
    leaf = EmptyOperator(
        task_id=task_id,
        task_display_name="Did all look?",
        doc_md="Red when something could not be looked at or an alert was not accepted; see the red task before it.",
        trigger_rule="none_failed",
    )
    for task in tasks:
        task >> leaf


def aws_of(target: Any) -> dict[str, str]:
    """What every operator of a target is given."""
    return {"aws_conn_id": target.connection, "region_name": target.region}
