"""
### Logs Insights late sweep: what the five-minute checks could not see

**When** daily at 05:00 business time, for what arrived in the 24 hours before.

**What** the same checks as `insights_checks`, over exactly those events that arrived later than the check's look-back
(3 minutes by default) after their own time, up to 2 days late. The two together see every event once. This one query a
day scans the days behind it, so that the five-minute runs need not. A check whose own look-back is 2 days or more is
left out: its five-minute runs see all of that themselves.

**When it is red** a check could not look, or Slack did not accept an alert. The red task's last lines say what to
change; the next run covers what this one missed.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from log_audit import checks, forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.settings import load_settings
from log_audit.tasks import INSIGHTS_LATE_SWEEP, look_and_alert

settings = load_settings()
files = checks.query_files(checks.FOLDER)

with DAG(
    "insights_late_sweep",
    schedule=CronDataIntervalTimetable("0 5 * * *", timezone=settings.time_zone),
    catchup=False,  # the watermarks catch up, in one run instead of many
    max_active_runs=1,  # two runs would look at the same window
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(hours=2)),
    params={**forms.span(), **forms.targets(settings.targets), **forms.queries(files), **forms.alert()},
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "checks"],
):
    look_and_alert(settings, INSIGHTS_LATE_SWEEP, "late", look_limit=timedelta(minutes=60))
