"""
### Logs Insights checks, every five minutes

**When** every five minutes; each run looks at what **arrived** since the check's watermark, less two minutes in
which events may still be invisible to queries.

**What** `plan` fixes the windows; `look` runs every file of `include/insights/` on every target; `alert` tells Slack
what was found, opens, updates and closes incidents, and moves the watermarks. A new file in the folder is a new
check. Each event is seen exactly once: after an outage, a paused DAG or a failed check the next run covers the gap
(of up to 24 hours, and says so when there was more), and no other check looks twice.

**When it is red** a check could not look, or Slack did not accept an alert; findings alone never make it red. The red
task's last lines say what to change. A check that takes longer than four minutes is stopped, so that the alerts of the
others go out. Nothing needs to be cleared: the next run covers what this one missed.

**By hand** *Trigger* asks for a span, accounts and queries, and takes its own interval without a span, as *Backfill*
does. They touch no watermark, and alert only if you say so.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from log_audit import checks, forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.settings import load_settings
from log_audit.tasks import INSIGHTS_CHECKS, look_and_alert

settings = load_settings()
files = checks.query_files(checks.FOLDER)

with DAG(
    "insights_checks",
    schedule=CronDataIntervalTimetable("*/5 * * * *", timezone=settings.time_zone),
    catchup=False,  # the watermarks catch up, in one run instead of many
    max_active_runs=1,  # two runs would look at the same window
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(minutes=10)),
    params={**forms.span(), **forms.targets(settings.targets), **forms.queries(files), **forms.alert()},
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "checks"],
):
    # The next run catches up what a slow check misses; the alerts of the others must not wait for it.
    look_and_alert(settings, INSIGHTS_CHECKS, "regular", look_limit=timedelta(minutes=4), look_retries=1)
