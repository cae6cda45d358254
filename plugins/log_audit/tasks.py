"""Rows of tasks that several DAGs have in common."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

from log_audit.operators.archive import ListExportOperator, PlanArchiveOperator, VerifyExportOperator
from log_audit.operators.manifest import WriteManifestOperator

LOG_ARCHIVE = Asset("log_archive", group="log_audit")
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
        doc_md="What the exports wrote, cut into chunks of at most 5 GB and 500 objects.",
        export_task_id=export_task_id,
        trigger_rule="all_done",
        **aws,
    )
    verify = VerifyExportOperator.partial(
        task_id="verify",
        doc_md="Reads every object of a chunk to its end and counts the events.",
        map_index_template="{{ task.chunk['job']['log_group'] }}",
        **aws,
    ).expand(chunk=objects.output)
    manifest = WriteManifestOperator.partial(
        task_id="manifest",
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


def aws_of(target: Any) -> dict[str, str]:
    """What every operator of a target is given."""
    return {"aws_conn_id": target.connection, "region_name": target.region}
