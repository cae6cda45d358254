"""
### Aurora replay: audit past windows again

**When** by hand: *Trigger* asks for a cluster and a span of time.

**What** adds every window that begins in the span to the asset `aurora_audit_log` again, so that `aurora_audit` makes
a run for each. Use it for what came while `aurora_audit` was paused, after adding an audit, or after mending one. The
runs alert only when *Alert* is ticked, and only of what has not been told.

**When it is red** the span is wrong; the red task's last line says how to write it.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from log_audit import forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.replay import EmitWindowsOperator, PlanReplayOperator
from log_audit.settings import load_settings
from log_audit.tasks import AURORA_AUDIT_LOG

settings = load_settings()
clusters = list(settings.aurora_clusters)

with DAG(
    "aurora_replay",
    schedule=None,
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(minutes=30)),
    params={
        "cluster": Param(
            clusters[0] if clusters else "",
            type="string",
            enum=clusters or [""],
            title="Aurora cluster",
            description="Whose windows.",
        ),
        "from": Param(type="string", format="date-time", title="From", description="The first window begins here."),
        "to": Param(type="string", format="date-time", title="To", description="Windows that begin before this."),
        **forms.alert(),
        **forms.dry_run("which windows would be audited"),
    },
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "aurora"],
):
    plan = PlanReplayOperator(
        task_id="plan",
        task_display_name="Plan the windows",
        doc_md="The windows of the span, in batches.",
        settings=settings,
    )
    EmitWindowsOperator.partial(
        task_id="emit",
        task_display_name="Ask for audits",
        doc_md="Adds a batch of windows to the asset, which starts their audits.",
        outlets=[AURORA_AUDIT_LOG],
        map_index_template="{{ task.keys[0] }} …",
    ).expand_kwargs(plan.output)
