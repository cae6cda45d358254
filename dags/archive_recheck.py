"""
### Archive recheck: what arrived after the export, and then the archive is final

**When** on the 16th at 13:00 business time, for the month before (the run's partition key, such as `2026-10`):
CloudWatch Logs takes events up to 14 days late.

**What** per archived log group `late_events` counts, with Logs Insights, the events of the month that arrived
after its export (this scans the month, and is charged for its bytes). If there are any, `export` makes a new
export. `manifest` marks the archive `final`.

**When it is red** open the red task: its last lines say what to change. A month that was never archived is red
here; run `monthly_log_export` for it first.

**By hand** *Trigger* asks for a month and for accounts, and can be a dry run.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronPartitionTimetable, TaskGroup, task_group

from log_audit import forms
from log_audit.archive import LATEST_ARRIVAL
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.archive import PlanArchiveOperator
from log_audit.operators.logs import CloudWatchLogsExportOperator
from log_audit.operators.manifest import RecheckArchiveOperator
from log_audit.settings import load_settings
from log_audit.tasks import LOG_GROUP, aws_of, read_and_record

settings = load_settings()


@task_group
def recheck(job, pool, aws):
    late = RecheckArchiveOperator(
        task_id="late_events",
        task_display_name="Count late events",
        doc_md="Counts the events of the month that arrived after its export.",
        job=job,
        map_index_template=LOG_GROUP,
        **aws,
    )
    CloudWatchLogsExportOperator(
        task_id="export",
        task_display_name="Export again",
        doc_md="A new AWS export task if events arrived late, or if the archive has been damaged.",
        job=late.output,
        pool=pool,
        slot_timeout=settings.export.slot_timeout,
        poll_seconds=settings.export.poll_seconds,
        map_index_template=LOG_GROUP,
        **aws,
    )


with DAG(
    "archive_recheck",
    schedule=CronPartitionTimetable("0 13 16 * *", timezone=settings.time_zone, run_offset=-1, key_format="%Y-%m"),
    catchup=False,  # a month exported long after its end is final at once
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(hours=30)),
    params={
        **forms.month(),
        **forms.targets(settings.targets),
        **forms.dry_run("which log groups would be rechecked"),
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
                doc_md="Which log groups, which month.",
                target=name,
                archive=target.archive,
                time_zone=settings.time_zone,
                settle=LATEST_ARRIVAL,
                archived=True,
                **aws_of(target),
            )
            rechecks = recheck.partial(pool=settings.export_pool(name), aws=aws_of(target)).expand(job=plan.output)
            rechecks >> read_and_record(plan, f"{name}.recheck.export", aws_of(target), final=True)
