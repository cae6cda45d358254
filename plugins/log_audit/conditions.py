"""What people are told of deliveries, as findings: tasks that ended badly, silence, blindness, nobody auditing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from log_audit.delivery import StoppedTask, silent_at
from log_audit.findings import Findings, cut
from log_audit.settings import Shipper
from log_audit.window import Zone, local_time

NO_DELIVERY, CANNOT_SEE = "no_delivery", "cannot_see_tasks"
WHAT = "stopped tasks"  # that cannot be seen


def ended_badly(target: str, task: StoppedTask, region: str, zone: Zone, replay: str) -> Findings:
    """A task that should have delivered, and did not."""
    how = f"ended with exit code {task.exit_code}" if task.exit_code is not None else "ended without an exit code"
    if task.started is None:
        how = "never started"
    cluster, _, name = task.task.partition("/")
    when = task.key.partition("/")[2]
    return Findings(
        query="task_ended_badly",
        target=target,
        title=f"Audit log of {task.cluster} not delivered",
        severity="high",
        start=task.started or task.stopped - 1,
        end=max(task.stopped, (task.started or 0) + 1),
        total=1,
        rows=[
            {
                "task": name,
                "started": local_time(task.started, zone) if task.started else "never",
                "stopped": local_time(task.stopped, zone),
                "stop_code": task.stop_code,
                "reason": task.reason,
            }
        ],
        console=f"https://{region}.console.aws.amazon.com/ecs/v2/clusters/{cluster}/tasks/{name}?region={region}",
        runbook=f"Read the task's log and mend the cause, then ship {when} again and audit it with {replay}: a task "
        "that starts later counts for a later window.",
        key=task.key,
        digest=name,
        said=f"The task that ships {when} {how} ({task.stop_code or 'no stop code'}): {task.reason or 'no reason'}",
    )


def silence(target: str, cluster: str, shipper: Shipper, last: int, at: int, zone: Zone) -> Findings:
    """A cluster without a delivery since ``last`` (epoch ms), at ``at``; no finding while that is not too long ago."""
    silent = at >= silent_at(last, shipper)
    limit = f"{shipper.silent_after.total_seconds() / 3600:g} h"
    said = f"No audit log has been delivered since {local_time(last, zone)}, for longer than {limit}"
    if not silent:
        said = f"Audit logs are delivered again: the last one at {local_time(last, zone)}"
    return Findings(
        query=NO_DELIVERY,
        target=target,
        title=f"No audit log from {cluster}",
        severity="high",
        start=last if silent else at - 1,
        end=at,
        total=int(silent),
        rows=[],
        description="Nothing of this cluster can be audited while nothing is delivered.",
        runbook=f"See in ECS cluster {shipper.ecs_cluster} whether the task with the command {shipper.command} is "
        "started by its schedule, and, where there is a queue, whether EventBridge's rule puts its end there. Windows "
        "that are shipped later are audited with aurora_replay: a task counts for the window before its own start.",
        key=cluster,
        said=said,
    )


def blindness(target: str, trouble: Mapping[str, object] | None, at: int, zone: Zone) -> Findings:
    """AWS refusing to tell of stopped tasks; no finding when it does not."""
    since = int(str(trouble["since"])) if trouble else at - 1
    said = "Stopped tasks are seen again"
    if trouble:
        said = f"Nobody can see which tasks stop, since {local_time(since, zone)}: {cut(str(trouble['error']))}"
    return Findings(
        query=CANNOT_SEE,
        target=target,
        title="AWS does not tell of stopped tasks",
        severity="high",
        start=min(since, at - 1),
        end=at,
        total=int(trouble is not None),
        rows=[],
        runbook="See whether the connection's credentials, its permissions (sqs:ReceiveMessage, or ecs:ListTasks and "
        "ecs:DescribeTasks) and the queue are as they should be. A queue keeps what it gets for up to 14 days; without "
        "one, ECS forgets a task an hour after its end: replay what was missed with aurora_replay.",
        key=WHAT,
        said=said,
    )


def nobody_audits(
    target: str, keys: Sequence[str], spans: Mapping[str, Sequence[str]], at: int, dag_id: str, replay: str
) -> Findings:
    """Deliveries that come while the DAG that audits them is paused; no finding when it is not.

    :param keys: of this run's deliveries
    :param spans: by cluster, the first and the last window not audited
    """
    missing = "; ".join(f"{cluster} from {first} to {last}" for cluster, (first, last) in sorted(spans.items()))
    said = f"{dag_id} is paused: these deliveries are recorded, but not audited, and will not be by un-pausing it"
    if not keys:
        said = f"{dag_id} runs again. Audit what came meanwhile with {replay}: {missing}"
    return Findings(
        query="audits_paused",
        target=target,
        title=f"{dag_id} is paused while audit logs arrive",
        severity="high",
        start=at - 1,
        end=at,
        total=len(keys),
        rows=[{"not audited": key} for key in keys],
        runbook=f"Un-pause {dag_id}, then run {replay}: {missing}",
        key=dag_id,
        said=said,
    )


def unreadable(target: str, message: str, why: str, at: int, queue: str) -> Findings:
    """A message in the queue that is no event of an ECS task."""
    return Findings(
        query="unreadable_message",
        target=target,
        title="A message in the queue cannot be read",
        severity="low",
        start=at - 1,
        end=at,
        total=1,
        rows=[{"message id": message, "why": cut(why)}],
        description="It blocks nothing: after a few tries the queue moves it to its dead-letter queue.",
        runbook=f"Look at it in the dead-letter queue of {queue}, and at what else may send to that queue.",
        key=message,
        digest=message,
    )
