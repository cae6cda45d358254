"""
### Aurora audit: what happened in the hour that was delivered

**When** a window of the asset `aurora_audit_log` was delivered; the run's key is the window, in business time:
`aurora-prod/2026-11-20T09`.

**What** `plan` names one audit for each file of `include/sql/audits/aurora/`; `audit` runs it in Athena over exactly
that window's partitions; `alert` tells Slack what was found, each result once, however often the window is delivered.
A new file in the folder is a new audit.

**When it is red** an audit could not look, or Slack did not accept an alert; findings alone never make it red. The
others have looked and alerted. Mend what the red task's last lines say, and clear it with those downstream of it: it
alone looks again.

**By hand** *Trigger* asks for a window and for queries; `aurora_replay` has many windows audited. They alert only if
you say so.
"""

from datetime import timedelta

from airflow.sdk import DAG, PartitionedAssetTimetable

from log_audit import audits, forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.athena import AthenaAuditOperator
from log_audit.operators.audits import PlanAuditsOperator
from log_audit.settings import load_settings
from log_audit.tasks import AURORA_AUDIT_LOG, AURORA_AUDITS, alert_of_audits

settings = load_settings()
files = audits.query_files(audits.FOLDERS["aurora"])
examples = audits.example_keys(settings)

with DAG(
    "aurora_audit",
    schedule=PartitionedAssetTimetable(assets=AURORA_AUDIT_LOG),
    catchup=False,
    max_active_runs=4,  # what waits behind them is in order: Athena runs some 20 queries at a time
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(hours=3)),
    params={**forms.delivered_window(examples), **forms.queries(files), **forms.alert()},
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "aurora"],
):
    plan = PlanAuditsOperator(
        task_id="plan",
        task_display_name="Plan the audits",
        doc_md="Reads the key and names the audits.",
        settings=settings,
    )
    audit = AthenaAuditOperator.partial(
        task_id="audit",
        task_display_name="Audit",
        doc_md="Runs one audit over the window. Findings do not fail it; red means: could not look.",
        map_index_template="{{ task.name }}",
    ).expand_kwargs(plan.output)
    alert_of_audits(settings, [audit], AURORA_AUDITS, AURORA_AUDIT_LOG)
