"""
### CloudTrail audit: do the schedules run, and who calls AWS Batch

**When** daily at 06:00 business time, for the day before; the run's key is that day: `2026-11-19`. Six hours are more
than CloudTrail takes to deliver.

**What** `audit` runs each file of `include/sql/audits/cloudtrail/` on each target that has a trail. `schedule_health`
works out when every schedule of EventBridge Scheduler should have fired, and looks for its calls: what is missing or
failed is a finding. `alert` tells Slack: one digest for all that is only for information, the rest at once.

**When it is red** an audit could not look, or Slack did not accept an alert; findings alone never make it red. The
others have looked and alerted. Mend what the red task's last lines say, and clear it with those downstream of it.

**Past days** *Backfill* for many, or *Trigger*, which asks for a day, accounts and queries. They alert only if you say
so.
"""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, CronPartitionTimetable

from log_audit import audits, forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.cloudtrail import (
    HEALTH,
    CloudTrailAuditOperator,
    PlanCloudTrailOperator,
    ScheduleHealthOperator,
)
from log_audit.settings import load_settings
from log_audit.tasks import CLOUDTRAIL_AUDITS, alert_of_audits

settings = load_settings()
files = [*audits.query_files(audits.FOLDERS["cloudtrail"]), Path(HEALTH)]

with DAG(
    "cloudtrail_audit",
    schedule=CronPartitionTimetable("0 6 * * *", timezone=settings.time_zone, run_offset=-1, key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(hours=2)),
    params={**forms.day(), **forms.targets(settings.targets), **forms.queries(files), **forms.alert()},
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "cloudtrail"],
):
    plan = PlanCloudTrailOperator(
        task_id="plan",
        task_display_name="Plan the audits",
        doc_md="Reads the key and names the audits of each target.",
        settings=settings,
    )
    plan_health = PlanCloudTrailOperator(
        task_id="plan_health",
        task_display_name="Plan the schedules",
        doc_md="Names the targets whose schedules are looked after.",
        settings=settings,
        schedules=True,
    )
    audit = CloudTrailAuditOperator.partial(
        task_id="audit",
        task_display_name="Audit",
        doc_md="Runs one audit over the day. Findings do not fail it; red means: could not look.",
        map_index_template="{{ task.name }} @ {{ task.audit['target'] }}",
    ).expand_kwargs(plan.output)
    schedule_health = ScheduleHealthOperator.partial(
        task_id="schedule_health",
        task_display_name="Did every schedule run?",
        doc_md="When should each schedule have fired, and did it? What is missing or failed is a finding.",
        map_index_template="{{ task.audit['target'] }}",
    ).expand_kwargs(plan_health.output)
    alert_of_audits(settings, [audit, schedule_health], CLOUDTRAIL_AUDITS)
