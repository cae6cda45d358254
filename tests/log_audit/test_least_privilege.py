"""Each DAG's policy is enough, and nothing in it is too much: its tasks are run with the rights of that policy alone.

The tasks run here without Airflow around them; tests/e2e/test_least_privilege.py does the same with the real one.
"""

from __future__ import annotations

import contextlib
import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local_aws import trail
from local_aws.airflow import aws_connection, slack_connection
from local_aws.arns import Scene, rights_of
from local_aws.aurora import put_history
from local_aws.control import Control
from local_aws.iam import listed
from local_aws.naming import Call
from log_audit.archive import PROVISIONAL, ArchiveJob
from log_audit.errors import AccessError, ExportError
from log_audit.hooks.s3 import ArchiveHook
from log_audit.operators.athena import AthenaAuditOperator
from log_audit.operators.athena_tables import AthenaTableOperator, tables
from log_audit.operators.audits import PlanAuditsOperator
from log_audit.operators.cloudtrail import CloudTrailAuditOperator, PlanCloudTrailOperator, ScheduleHealthOperator
from log_audit.operators.manifest import WriteManifestOperator
from log_audit.operators.retry import FailFast
from log_audit.refusals import BEGIN, policy_of
from log_audit.settings import Settings, load_settings
from log_audit.window import Window, iso, key_of, to_ms, utc_now
from tests.log_audit.operators.archive_line import AWS, BUCKET, Line
from tests.support.check_runs import NOON, Checks
from tests.support.delivery_runs import Deliveries
from tests.support.least_privilege import MOST_ATTACHED, MOST_CHARACTERS, Role, calls_of, characters, not_allowed
from tests.support.tasks import Run

ACCOUNT, REGION, TOKYO = "123456789012", "ap-northeast-1", "Asia/Tokyo"
END = "in include/cloudformation/log_audit.yaml, and deploy that again"
DAY = key_of(utc_now() - timedelta(hours=4), "day", TOKYO, back=1)
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: REGION
    archive: {bucket: BUCKET, prefix: logs, log_groups: [{name: /app, reconcile: true}, {name_prefix: /quiet}]}
    athena: {database: log_audit, workgroup: audits}
    aurora:
      location: s3://aurora-logs/audit
      queue: https://sqs.REGION.amazonaws.com/ACCOUNT/log-audit-ecs-tasks
      clusters: {orders: {ecs_cluster: batch, command: [orders]}, payments: {ecs_cluster: batch, command: [payments]}}
    cloudtrail:
      location: s3://shop-trail/AWSLogs
      accounts: ["ACCOUNT"]
      regions: [REGION]
      schedules: table
    log_group_sets: {app: [{name: /app}]}
delivery: {visibility_minutes: 0.05, poll_seconds: 0.2, blind_after_minutes: 0.05}
slack:
  channels: {critical: [alerts], high: [alerts], medium: [alerts], low: [alerts], info: [alerts]}
  failures: [alerts]
"""


# Each is used once: a month is archived, and a window recorded, one time only.
MONTHS = [f"{year}-{month:02d}" for year in range(2016, 2026) for month in range(1, 13)]
HOURS = [f"2026-11-{day:02d}T09" for day in range(1, 20)]


def settings_of(account: str, region: str, bucket: str) -> str:
    return SETTINGS.replace("REGION", region).replace("BUCKET", bucket).replace("ACCOUNT", account)


class World:
    """A target's account with logs of all kinds, and each DAG's tasks in the order of their DAG."""

    def __init__(self, aws: Control, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aws, self.monkeypatch, self.file = aws, monkeypatch, folder / "settings.yaml"
        self.text = settings_of(ACCOUNT, REGION, BUCKET)
        quick = {"export_pending_seconds": 0, "export_running_seconds": 0, "query_scheduled_seconds": 0}
        aws.configure(**quick, query_running_seconds=0, athena_queued_seconds=0, athena_running_seconds=0)
        aws.configure(slack_channels=["alerts"], trail_lookups_per_second=0)
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", slack_connection(aws.endpoint))
        self.checks = Checks(folder, aws, monkeypatch, self.text)
        settings = load_settings()
        self.role = Role(aws.endpoint, settings.targets["tokyo"], settings, ACCOUNT)
        self.deliveries = Deliveries(folder, aws, monkeypatch, self.text)
        self.months, self.hours, self.numbers = iter(MONTHS), iter(HOURS), itertools.count(1)
        self._load()

    def _load(self) -> None:
        self.aws.create_log_group("/app", region=REGION, creation_time_ms=1)
        self._happened(*(Window.month(month, TOKYO).start + timedelta(days=3) for month in MONTHS))
        aurora = self.role.target.aurora
        assert aurora is not None
        put_history(self.aws.endpoint, aurora, utc_now(), region=REGION, zone=ZoneInfo(TOKYO))
        trail.load(self.aws.endpoint, "shop-trail", Window.day(DAY, TOKYO))
        with self.as_root():
            for keywords in tables(self.settings):
                Run().execute(lambda keywords=keywords: AthenaTableOperator(task_id="table", **keywords))

    def _happened(self, *when: datetime, arrival: datetime | None = None) -> None:
        events = [{"timestamp": to_ms(at), "message": "x", "ingestionTime": to_ms(arrival or at)} for at in when]
        self.aws.put_events("/app", "s", events, region=REGION)

    @property
    def settings(self) -> Settings:
        return load_settings()

    @contextlib.contextmanager
    def as_root(self) -> Iterator[None]:
        """What is no DAG's doing, by the account's root."""
        with self.monkeypatch.context() as here:
            here.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(self.aws.endpoint, REGION))
            yield

    def run(self, dag: str) -> Iterator[Exception]:
        """Everything that a DAG does, with the role's rights; what went wrong on the way."""
        with self.monkeypatch.context() as here:
            here.setenv("AIRFLOW_CONN_AWS_DEFAULT", self.role.connection)
            here.setenv("AIRFLOW_CTX_DAG_ID", dag)
            for scene in SCENES[dag]:
                try:
                    scene(self)
                except Exception as error:
                    traceback.print_exception(error)  # pytest shows it where it is unexpected
                    yield error

    # The archive

    def _line(self, month: str) -> Line:
        return Line({"name": "/app", "reconcile": True}, month=month, now=utc_now())

    def archive(self) -> None:
        assert self._line(next(self.months)).all()[0]["events"] == 1

    def archive_nothing(self) -> None:
        """An export that ends without an object."""
        self.aws.configure(export_outcome="EMPTY")
        try:
            expected(ExportError, "wrote no objects", self._line(next(self.months)).all)
        finally:
            self.aws.configure(export_outcome="COMPLETED")

    def archive_refused(self) -> None:
        """An export that CloudWatch Logs does not begin."""
        self.aws.fault("logs.CreateExportTask", error="InvalidParameterException", message="no")
        try:
            expected(AccessError, "CloudWatch Logs may not write", self._line(next(self.months)).all)
        finally:
            self.aws.clear_faults()

    def archive_killed(self) -> None:
        line = self._line(next(self.months))
        export = line.export_task(line.plan()[0])
        export._export_task_id = "unknown"
        export.on_kill()
        self._kill_queries(WriteManifestOperator(task_id="manifest", job=line.jobs[0], tasks={}, **AWS))

    def recheck(self) -> None:
        month = next(self.months)
        with self.as_root():
            line, end = self._line(month), Window.month(month, TOKYO).end
            line.all()
            # It was exported in its time, and an event came after that.
            manifest, job = line.stored_manifest(), ArchiveJob.of(line.jobs[0])
            assert manifest is not None
            early = replace(manifest, exported_at=iso(end + timedelta(days=2)), state=PROVISIONAL)
            ArchiveHook(**AWS).write_manifest(early, job.manifest_key)
        self._happened(end - timedelta(days=1), arrival=end + timedelta(days=5))
        [summary] = self._line(month).recheck_all()
        assert (summary["events"], summary["state"]) == (2, "final")

    def _kill_queries(self, task: Any) -> None:
        task._query_ids = ["unknown"]
        task.on_kill()

    # The checks

    def look(self) -> None:
        self._look("regular", 5)

    def sweep(self) -> None:
        self._look("late", 24 * 60)

    def _look(self, scope: Any, minutes: int) -> None:
        run = self.checks.start(NOON + timedelta(minutes=minutes) * next(self.numbers), scope=scope, minutes=minutes)
        [keywords] = run.plan()
        run.look()
        for error in run.failed.values():
            raise error
        run.alert()
        self._kill_queries(run.look_task(keywords))

    # Deliveries

    def deliver(self) -> None:
        hour = next(self.hours)
        self.deliveries.stop("orders", hour)
        yesterday = to_ms(utc_now() - timedelta(days=1))
        # For so long a silence the queue is asked whether messages are under way.
        self.deliveries.store.set("last_delivery/tokyo", dict.fromkeys(["orders", "payments"], yesterday))
        run = self.deliveries.run()
        trouble = [batch["trouble"] for batch in run.batches if batch["trouble"]]
        if trouble:
            raise RuntimeError(trouble[0]["error"])
        assert run.keys() == [f"orders/{hour}"]

    # Athena

    def audit(self) -> None:
        run = Run(f"orders/{key_of(utc_now(), 'day', TOKYO, back=1)}T09", run_type="asset_triggered")
        plan = run.execute(lambda: PlanAuditsOperator(task_id="plan", settings=self.settings))
        self._ask(run, AthenaAuditOperator, plan[0])

    def audit_trail(self) -> None:
        run = Run(DAY)
        plan = run.execute(lambda: PlanCloudTrailOperator(task_id="plan", settings=self.settings))
        self._ask(run, CloudTrailAuditOperator, plan[0])
        self._judge_schedules()

    def look_up_calls(self) -> None:
        self.file.write_text(self.text.replace("schedules: table", "schedules: lookup"))
        try:
            self._judge_schedules()
        finally:
            self.file.write_text(self.text)

    def _judge_schedules(self) -> None:
        plan = Run(DAY).execute(lambda: PlanCloudTrailOperator(task_id="p", settings=self.settings, schedules=True))
        findings = Run(DAY).execute(lambda: ScheduleHealthOperator(task_id="health", **plan[0]))
        assert findings["detail"]

    def _ask(self, run: Run, operator: Any, keywords: Mapping[str, Any]) -> None:
        self.aws.configure(athena_running_seconds=0.5)  # the triggerer looks as well
        findings = run.execute(lambda: operator(task_id="audit", worker_seconds=0, **keywords))
        self.aws.configure(athena_running_seconds=0)
        task = operator(task_id="audit", **keywords)
        [task.query_execution_id] = findings["ids"]
        task.on_kill()
        assert task.hook.cutoff(keywords["workgroup"])

    def make_tables(self) -> None:
        for keywords in tables(self.settings):
            given = {**keywords, "database": f"another_{next(self.numbers)}"}
            task = AthenaTableOperator(task_id="table", **given)
            assert task.execute(Run().context("table")) == "created"
            task.on_kill()


SCENES: dict[str, list[Callable[[World], None]]] = {
    "monthly_log_export": [World.archive, World.archive_nothing, World.archive_refused, World.archive_killed],
    "archive_recheck": [World.recheck, World.archive_nothing, World.archive_refused, World.archive_killed],
    "insights_checks": [World.look],
    "insights_late_sweep": [World.sweep],
    "ecs_log_delivery": [World.deliver],
    "aurora_audit": [World.audit],
    "cloudtrail_audit": [World.audit_trail, World.look_up_calls],
    "athena_tables": [World.make_tables],
}


def expected(kind: type[Exception], words: str, call: Callable[[], Any]) -> None:
    """The call fails in this way; in another way it fails by itself."""
    try:
        call()
    except kind as error:
        if words not in str(error):
            raise
    else:
        raise AssertionError(f"no {kind.__name__}")


@pytest.fixture(scope="module")
def world(aws_server, tmp_path_factory) -> Iterator[World]:
    aws = Control(aws_server.endpoint)
    aws.reset()
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield World(aws, tmp_path_factory.mktemp("world"), monkeypatch)


def reasons(dag: str, errors: Iterable[Exception]) -> list[str]:
    """The last lines of the logs of tasks that failed so."""
    context = {"ti": SimpleNamespace(dag_id=dag)}
    told = []
    for error in errors:
        reason = FailFast().evaluate(error, 1, 4, context).reason or ""
        told.append(reason if reason.startswith(BEGIN) else repr(error))
    return told


def test_every_dag_that_asks_aws_has_a_policy_within_aws_limits(world):
    documents = world.role.documents
    assert set(documents) == set(SCENES)
    assert len(documents) <= MOST_ATTACHED
    assert {name: size for name in documents if (size := characters(documents[name])) > MOST_CHARACTERS} == {}


@pytest.mark.parametrize("dag", SCENES)
def test_a_policy_is_enough_and_each_of_its_actions_is_used(world, dag):
    world.role.may_only(dag)
    world.aws.forget_calls()
    assert reasons(dag, world.run(dag)) == []
    document, calls = world.role.documents[dag], calls_of(world.aws, SCENES)
    print(f"\n{dag}: {len(calls)} calls, {len(document.statements)} statements")
    assert {name for call in calls for name in call.dags} == {dag}
    assert not_allowed(world.role.documents, calls) == []
    unused = {(sid, action) for sid, action in document.rights if sid not in document.reasons}
    assert unused - document.used_by(calls) == set()
    assert set(document.reasons) <= {sid for sid, _ in document.rights}


@pytest.mark.parametrize("dag", SCENES)
def test_without_one_of_its_statements_a_dag_fails_at_once_and_says_what_to_add(world, dag):
    document = world.role.documents[dag]
    for statement in document.statements:
        if statement["Sid"] in document.reasons:
            continue
        world.role.may_only(dag, without=statement["Sid"])
        told = reasons(dag, world.run(dag))
        actions = {action.lower() for action in listed(statement["Action"])}
        said = [sentence for sentence in told if sentence.startswith(BEGIN) and sentence.endswith(END)]
        refused = {sentence.removeprefix(BEGIN).partition(" on ")[0].lower() for sentence in said}
        assert refused, f"{dag} does not need {statement['Sid']}: {told}"
        assert refused <= actions, f"{statement['Sid']}: {told}"
        assert all(policy_of(dag) in sentence or "the policy of this DAG" in sentence for sentence in said)


CALLS = [
    ("logs", "StartQuery", {"logGroupNames": ["/app"]}),
    ("logs", "DescribeExportTasks", {}),
    ("sqs", "ReceiveMessage", {"QueueUrl": "https://sqs/{account}/log-audit-ecs-tasks"}),
    ("athena", "StartQueryExecution", {"WorkGroup": "audits"}),
    ("scheduler", "ListSchedules", {}),
    ("cloudtrail", "LookupEvents", {}),
]


@pytest.mark.parametrize(("service", "action", "parameters"), CALLS, ids=[call[1] for call in CALLS])
def test_the_stack_of_another_account_and_region_allows_the_same_there_and_nothing_here(
    world, tmp_path, service, action, parameters
):
    account, region = "222222222222", "ap-northeast-3"
    file = tmp_path / "settings.yaml"
    file.write_text(settings_of(account, region, "other-bucket").replace("aurora-logs", "other-logs"))
    settings = load_settings(file)
    there = Role(world.aws.endpoint, settings.targets["tokyo"], settings, account)

    def allowed(account: str, region: str) -> bool:
        given = {name: str(value).format(account=account) if "{" in str(value) else value
                 for name, value in parameters.items()}  # fmt: skip
        needs = rights_of(Call(service, action, region, "json", given), Scene(account, region))
        return any(all(document.decide(one).allowed for one in needs) for document in there.documents.values())

    assert f"::{account}:role/" in there.arn
    assert allowed(account, region)
    assert not allowed(account, REGION)
    if service in ("sqs", "athena", "scheduler"):  # the others know no resource, or one of another account
        assert not allowed(ACCOUNT, region)
