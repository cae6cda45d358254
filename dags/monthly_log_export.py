"""
### Monthly log export: CloudWatch Logs to S3, verified

**When** on the 1st at 13:00 business time, for the month before (the run's partition key, such as `2026-10`).
Events become exportable up to 12 hours after they arrive, hence not at midnight.

**What** `plan` names the log groups; `export` runs one AWS export task at a time, since an account and region
has no more; `verify` reads every object that was written and counts its events; `manifest` writes
`manifest.json` beside them and emits the asset event. A month whose archive is sound is not exported again.

**When it is red** open the red task: its last lines say what to change. Then clear that task. Nothing is ever
deleted, and nothing is exported twice.

**By hand** *Trigger* asks for a month and for accounts, and can be a dry run; without a month it is the last one that
is over. *Backfill* archives a range of months, one run at a time, oldest first.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronPartitionTimetable, TaskGroup

from log_audit import forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.archive import PlanArchiveOperator
from log_audit.operators.logs import CloudWatchLogsExportOperator
from log_audit.settings import load_settings
from log_audit.tasks import LOG_GROUP, aws_of, read_and_record

settings = load_settings()

with DAG(
    "monthly_log_export",
    schedule=CronPartitionTimetable("0 13 1 * *", timezone=settings.time_zone, run_offset=-1, key_format="%Y-%m"),
    catchup=False,  # history is exported by a backfill, when somebody asks for it
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(hours=30)),
    params={
        **forms.month(),
        **forms.targets(settings.targets),
        **forms.dry_run("which log groups would be exported"),
    },
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "archive"],
):
    for name, target in settings.targets.items():
        with TaskGroup(name):
            plan = PlanArchiveOperator(
                task_id="plan",
                task_display_name="Plan the month",
                doc_md="Which log groups, which month, and what is left out and why.",
                target=name,
                archive=target.archive,
                time_zone=settings.time_zone,
                settle=settings.export.settle,
                **aws_of(target),
            )
            export = CloudWatchLogsExportOperator.partial(
                task_id="export",
                task_display_name="Export to S3",
                doc_md="One AWS export task, unless the archive is sound. Its link opens the month in S3.",
                pool=settings.export_pool(name),
                slot_timeout=settings.export.slot_timeout,
                poll_seconds=settings.export.poll_seconds,
                map_index_template=LOG_GROUP,
                **aws_of(target),
            ).expand(job=plan.output)
            export >> read_and_record(plan, export.task_id, aws_of(target))
