"""
### ECS log delivery: an ECS task has shipped an Aurora cluster's audit log

**When** always: one run waits, and ends when a task of the settings has stopped; the next one follows at once.

**What** `stopped` waits in the triggerer, at no cost in workers. `record` adds one partition of the asset
`aurora_audit_log` for each delivery, which starts `aurora_audit`. `settle` remembers what was recorded, deletes the
messages, and tells Slack when a task ended badly, when a cluster has been silent for too long, when AWS does not tell,
or when `aurora_audit` is paused.

**When it is red** a message could not be deleted or an alert not sent; the red task's last lines say what to change.
Nothing needs to be cleared: what was not dealt with comes again by itself, and what was is known.

**Without a queue** ECS is asked for stopped tasks, of which it tells for an hour; a longer outage loses deliveries.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG

from log_audit.callbacks import report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.ecs import RecordDeliveryOperator, SettleDeliveriesOperator
from log_audit.sensors.ecs import EcsTaskStoppedSensor
from log_audit.settings import load_settings
from log_audit.tasks import AURORA_AUDIT_LOG

settings = load_settings()

with DAG(
    "ecs_log_delivery",
    schedule="@continuous" if settings.aurora_clusters else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),  # @continuous wants one; it means nothing
    catchup=False,
    max_active_runs=1,  # two runs would share the queue's messages
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "aurora"],
):
    stopped = EcsTaskStoppedSensor(
        task_id="stopped",
        task_display_name="Wait for a task to stop",
        doc_md="Waits until a task that ships an audit log has stopped. It returns those that are deliveries.",
        settings=settings,
        watches=AURORA_AUDIT_LOG,
    )
    record = RecordDeliveryOperator.partial(
        task_id="record",
        task_display_name="Record the delivery",
        doc_md="Adds the delivered window to the asset aurora_audit_log, which starts its audits.",
        outlets=[AURORA_AUDIT_LOG],
        audited_by="aurora_audit",
        map_index_template="{{ task.delivery['key'] }}",
    ).expand(delivery=stopped.output)
    settle = SettleDeliveriesOperator(
        task_id="settle",
        task_display_name="Settle and tell",
        doc_md="Remembers what was recorded, deletes its messages, tells people what they must know.",
        settings=settings,
        watches=AURORA_AUDIT_LOG,
        sensor_task_id=stopped.task_id,
        record_task_id=record.task_id,
        audited_by="aurora_audit",
        replayed_by="aurora_replay",
        trigger_rule="all_done",  # what was recorded is settled, whatever happened to the rest
    )
    record >> settle
