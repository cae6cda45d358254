"""Athena audits against the stand-in, over HTTP: a test for every promise."""

# ruff: noqa: S608 - the SQL is the test's own

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from botocore.exceptions import BotoCoreError, ClientError

from log_audit.errors import AccessError, InvalidKeyError, LogAuditError, PermanentError, QueryFileError, SettingsError
from log_audit.operators import athena as operators
from log_audit.operators.athena import AthenaAuditOperator, failed, tally
from log_audit.operators.retry import FailFast
from log_audit.triggers.athena import QueryTrigger
from log_audit.window import from_ms
from tests.local_aws.athena_client import AUDIT_COLUMNS, BUCKET, OUTPUT, Athena
from tests.support.tasks import Run, fire, revive

REGION = "ap-northeast-1"
KEY = "main/2026-11-20T09"
HOME = "audit/main/2026-11-20/09"
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {{bucket: some-bucket, log_groups: [{{name: /app}}]}}
    athena: {{database: logs}}
    aurora:
      location: s3://{BUCKET}/audit
      clusters:
        main: {{ecs_cluster: batch, command: [main]}}
        daily: {{ecs_cluster: batch, command: [daily], ships: day, folder: daily-in-s3}}
redaction:
  patterns: ['customer-[0-9]+']
"""
TABLE = f"""CREATE EXTERNAL TABLE IF NOT EXISTS logs.audit ({", ".join(f"`{name}` string" for name in AUDIT_COLUMNS)})
PARTITIONED BY (cluster string, day string, hour string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\\'', 'escapeChar' = '\\\\')
LOCATION 's3://{BUCKET}/audit/'
TBLPROPERTIES ('projection.enabled' = 'true', 'projection.cluster.type' = 'injected',
  'projection.day.type' = 'date', 'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2026-01-01,2027-12-31',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.digits' = '2',
  'storage.location.template' = 's3://{BUCKET}/audit/${{cluster}}/${{day}}/${{hour}}/')"""
HEADER = """-- title: Statements
-- severity: high
-- description: What was run.
-- runbook: Ask.
-- false_positives: None."""
PARTITIONS = "cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour"
ALL = f"SELECT username, object AS statement FROM audit WHERE {PARTITIONS}"
LINE = "1795132800000000,host,{user},10.0.0.1,7,8,QUERY,shop,'{statement}',0\n"


class Audits:
    """Query files in a folder, a table with a window's log, and tasks that audit it."""

    def __init__(self, folder: Path, athena: Athena) -> None:
        self.folder = folder / "aurora"
        self.folder.mkdir()
        self.athena = athena

    def write(self, body: str = ALL, *header: str, name: str = "all") -> Path:
        file = self.folder / f"{name}.sql"
        file.write_text("\n".join([HEADER, *(f"-- {line}" for line in header), body]))
        return file

    def log(self, *statements: str, user: str = "app", home: str = HOME) -> None:
        """Store a window's log; quotes and backslashes are written as Aurora writes them."""
        escaped = (text.replace("\\", "\\\\").replace("'", "\\'") for text in statements)
        self.athena.put(f"{home}/1.log.gz", "".join(LINE.format(user=user, statement=text) for text in escaped))

    def make(self, name: str = "all", key: str = KEY, **options):
        """Makes the task, as each try does anew."""
        given = {"database": "logs", "output_location": OUTPUT, "poll_seconds": 1, "worker_seconds": 20, **options}
        audit = {"file": str(self.folder / f"{name}.sql"), "key": key}
        return lambda: AthenaAuditOperator(task_id="audit", audit=audit, **given)

    def ids(self) -> list[str]:
        """The executions there are, the first one first."""
        return self.athena.athena.list_query_executions()["QueryExecutionIds"][::-1]

    def states(self) -> list[str]:
        found = self.athena.athena.batch_get_query_execution(QueryExecutionIds=self.ids())["QueryExecutions"]
        return [execution["Status"]["State"] for execution in found]


@pytest.fixture
def audits(aws, aws_client, tmp_path, monkeypatch) -> Audits:
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    athena = Athena(aws_client("athena"), aws_client("s3"))
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    # In a workgroup of its own, which the list of executions leaves out.
    athena.athena.create_work_group(Name="setup")
    athena.run("CREATE DATABASE logs", WorkGroup="setup")
    athena.run(TABLE, WorkGroup="setup")
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(tmp_path / "settings.yaml"))
    made = Audits(tmp_path, athena)
    made.write()
    made.log("SELECT 1")
    aws.forget_calls()
    return made


def retried(error):
    return FailFast().evaluate(error, 1, 4).action is not RetryAction.FAIL


def starts(aws):
    return len(aws.calls("athena.StartQueryExecution"))


def deferred_by(run, make):
    """The first deferral of a task whose query takes its time, and the task."""
    task = make()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(run.context(task.task_id))
    return deferred.value, task


# Findings


def test_findings(audits, aws):
    audits.log("SELECT 1", "SELECT 2")
    aws.configure(athena_queued_seconds=0.1, athena_running_seconds=0.2)
    run = Run(KEY)
    findings = run.execute(audits.make())
    [execution_id] = audits.ids()
    assert (findings["query"], findings["target"], findings["key"]) == ("all", "tokyo", KEY)
    assert (findings["title"], findings["severity"], findings["description"]) == ("Statements", "high", "What was run.")
    assert (findings["runbook"], findings["false_positives"]) == ("Ask.", "None.")
    assert from_ms(findings["start"]).isoformat() == "2026-11-20T00:00:00+00:00"
    assert findings["end"] - findings["start"] == 3_600_000
    assert (findings["total"], findings["rows"]) == (2, [{"username": "app", "statement": "SELECT ?"}] * 2)
    assert findings["bytes_scanned"] > 0
    assert findings["queue_ms"] == pytest.approx(100, abs=20)
    assert findings["engine_ms"] >= 190
    assert findings["ids"] == [execution_id]
    assert findings["console"].startswith(f"https://{REGION}.console.aws.amazon.com/athena/home?region={REGION}#/query")
    assert findings["console"].endswith(f"/history/{execution_id}")
    assert findings["notes"] == []
    assert json.loads(json.dumps(findings)) == findings
    assert run.deferrals == []
    link = run.xcoms["audit", -1, AthenaQueryResultsLink.key]
    assert (link["region_name"], link["query_execution_id"]) == (REGION, execution_id)


def test_no_findings_have_no_digest(audits):
    audits.write(f"{ALL} AND username = 'nobody'")
    findings = Run(KEY).execute(audits.make())
    assert (findings["total"], findings["rows"], findings["digest"], findings["notes"]) == (0, [], "", [])


@pytest.mark.parametrize(
    ("key", "home"), [("main/2026-11-20T10", "main/2026-11-20/10"), ("daily/2026-11-19", "daily-in-s3/2026-11-19")]
)
def test_a_window_without_data_is_said_to_be_empty(audits, key, home):
    findings = Run(key).execute(audits.make(key=key))
    assert (findings["total"], findings["bytes_scanned"]) == (0, 0)
    [note] = findings["notes"]
    assert note.startswith(f"0 rows scanned: s3://{BUCKET}/audit/{home} is empty, its data has not arrived, or")


def test_a_day_is_all_of_its_hours(audits):
    for hour in ("00", "23"):
        audits.log("SELECT 1", home=f"audit/daily-in-s3/2026-11-19/{hour}")
    audits.log("SELECT 1", home="audit/daily-in-s3/2026-11-20/00")
    assert Run().execute(audits.make(key="daily/2026-11-19"))["total"] == 2


@pytest.mark.parametrize("rows", [999, 1000, 2500])
def test_all_pages_are_counted(audits, rows):
    audits.log(*(f"SELECT a{n}" for n in range(rows)))
    findings = Run(KEY).execute(audits.make())
    assert (findings["total"], len(findings["rows"])) == (rows, 10)


def test_a_cell_that_is_null_is_left_out(audits):
    audits.write(f"SELECT username, CAST(NULL AS varchar) AS nothing, '' AS empty FROM audit WHERE {PARTITIONS}")
    assert Run(KEY).execute(audits.make())["rows"] == [{"username": "app", "empty": ""}]


def test_the_digest_stands_for_all_rows_whatever_their_order():
    rows = [{"a": str(n)} for n in range(20)]
    total, shown, digest = tally(rows)
    assert (total, shown) == (20, rows[:10])
    assert tally(rows[::-1])[2] == digest
    others = [rows[:-1], [*rows, rows[0]], [*rows[:-1], {"a": "x"}], [*rows[:-1], {"b": "19"}], [*rows[:-1], {}]]
    assert len({digest, *(tally(other)[2] for other in others)}) == 6
    assert tally([])[2] == ""


def test_secrets_leave_the_task_nowhere(audits, capsys):
    audits.write(f"SELECT object AS statement, object AS last_statement, object AS text FROM audit WHERE {PARTITIONS}")
    audits.log(r"UPDATE t1 SET a = 'O\'Brien', b = 4711 WHERE mail = 'taro@example.jp' AND c = 'customer-4712'")
    run = Run(KEY)
    findings = run.execute(audits.make())
    masked = "UPDATE t1 SET a = ?, b = ? WHERE mail = ? AND c = ?"
    [row] = findings["rows"]
    assert (row["statement"], row["last_statement"]) == (masked, masked)
    assert row["text"].endswith("WHERE mail = '***' AND c = '***'")  # any other column is masked as every log text is
    audits.write()
    run = Run(KEY)
    run.execute(audits.make(worker_seconds=0))
    everything = str(run.xcoms) + str(run.stores) + str(run.events) + capsys.readouterr().out
    assert [secret for secret in ("Brien", "4711", "taro@", "customer-4712") if secret in everything] == []


def test_an_error_tells_no_data(audits):
    audits.write(f"SELECT CAST(object AS integer) AS n FROM audit WHERE {PARTITIONS}")
    audits.log("IDENTIFIED AS hunter2")
    with pytest.raises(QueryFileError, match="INVALID_CAST_ARGUMENT") as raised:
        Run(KEY).execute(audits.make())
    assert "hunter2" not in str(raised.value)


# What is asked


def test_values_are_bound_and_never_become_sql(audits, aws):
    name = "O'Brien' OR '1' = '1' -- ?; DROP TABLE audit"
    audits.write(f"{ALL} AND username = :who AND 5 = :five", f"parameters: {{who: {json.dumps(name)}, five: 5}}")
    Run(KEY).execute(audits.make())
    [call] = aws.calls("athena.StartQueryExecution")
    assert "Brien" not in call["parameters"]["QueryString"]
    assert call["parameters"]["QueryString"].count("?") == 6
    literal = "'" + name.replace("'", "''") + "'"
    assert call["parameters"]["ExecutionParameters"] == ["'main'", "'2026-11-20'", "'09'", "'09'", literal, "5"]


def test_a_bound_value_finds_what_it_names(audits):
    audits.write(f"{ALL} AND contains(split(:who, ','), username)", 'parameters: {who: ["it\'s", "x y"]}')
    audits.log("SELECT 1", user=r"'it\'s'")
    assert Run(KEY).execute(audits.make())["total"] == 1


def test_the_request_names_what_was_given_and_reuses_no_result(audits, aws):
    audits.write("SELECT 1 AS n")
    audits.athena.athena.create_work_group(
        Name="audit", Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/wg/"}}
    )
    Run(KEY).execute(audits.make(workgroup="audit", output_location=None))
    [call] = aws.calls("athena.StartQueryExecution")
    token = call["parameters"].pop("ClientRequestToken")
    assert len(token) == 64
    assert call["parameters"] == {
        "QueryString": "SELECT 1 AS n",
        "WorkGroup": "audit",
        "QueryExecutionContext": {"Catalog": "AwsDataCatalog", "Database": "logs"},
    }


def test_the_ui_shows_the_sql_and_its_parameters(audits):
    audits.write("SELECT '{{ 1 // 0 }}' AS n WHERE :day > ''")
    task = audits.make()()
    task.resolve_template_files()
    task.render_template_fields({})
    assert task.audit["file"].endswith("all.sql")
    task.execute(Run(KEY).context("audit"))
    shown = _serialize_rendered_fields(task)
    assert shown["query"] == "SELECT '{{ 1 // 0 }}' AS n WHERE ? > ''"
    assert shown["execution_parameters"] == ["'2026-11-20'"]
    assert shown["audit"]["key"] == KEY
    assert (shown["database"], shown["workgroup"]) == ("logs", "primary")
    assert AthenaAuditOperator.overwrite_rtif_after_execution


def test_it_is_mapped_over_a_plan(audits):
    with DAG("d", schedule=None) as dag:
        plan = EmptyOperator(task_id="plan")
        AthenaAuditOperator.partial(task_id="audit", poll_seconds=1).expand_kwargs(plan.output)
    planned = {
        "audit": {"file": str(audits.folder / "all.sql"), "key": KEY},
        "aws_conn_id": "aws_default",
        "region_name": REGION,
        "database": "logs",
        "workgroup": "primary",
        "output_location": OUTPUT,
    }
    task = dag.get_task("audit").unmap(planned)
    assert task.name == "all"
    assert task.audit is planned["audit"]  # by its identity Airflow knows that it must not run Jinja over it
    assert task.execute(Run(KEY).context("audit", 0))["total"] == 1


# Tries


def test_a_lost_answer_starts_no_second_query(audits, aws):
    run = Run(KEY)
    aws.fault("athena.StartQueryExecution", drop="after", times=20)
    with pytest.raises(BotoCoreError) as raised:
        run.execute(audits.make(botocore_config={"retries": {"total_max_attempts": 2}}))
    assert retried(raised.value)
    aws.clear_faults()
    lost = starts(aws)
    assert lost == 2
    assert run.execute(audits.make())["ids"] == audits.ids()
    assert starts(aws) == lost + 1
    assert len(audits.ids()) == 1


@pytest.mark.parametrize("writes", [0, 1])
def test_a_worker_that_dies_before_it_stored_the_id_is_given_the_same_query(audits, monkeypatch, writes):
    run = Run(KEY)
    store = run.context("audit")["task_state_store"]

    def dies(key, value):
        if len(store) == writes:
            raise SystemExit("SIGKILL")
        type(store).set(store, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(store, "set", dies)
        with pytest.raises(SystemExit):
            run.execute(audits.make())
    assert len(audits.ids()) == writes
    assert run.execute(audits.make())["ids"] == audits.ids()
    assert len(audits.ids()) == 1


@pytest.mark.parametrize("ends", [True, False])
def test_a_worker_that_dies_while_it_waits_goes_on_with_its_query(audits, aws, ends):
    aws.configure(athena_running_seconds=1)
    run = Run(KEY)
    _, task = deferred_by(run, audits.make(worker_seconds=0))
    if ends:
        audits.athena.end(task.query_execution_id)
    assert run.execute(audits.make())["ids"] == audits.ids()
    assert starts(aws) == 1


def test_a_fault_while_rows_are_read_costs_no_second_scan(audits, aws):
    aws.fault("athena.GetQueryResults", error="TooManyRequestsException")
    run = Run(KEY)
    with pytest.raises(ClientError) as raised:
        run.execute(audits.make())
    assert retried(raised.value)
    assert run.execute(audits.make())["total"] == 1
    assert starts(aws) == 1


def test_what_failed_is_asked_anew(audits, aws):
    run = Run(KEY)
    aws.configure(athena_outcome="FAILED_RETRYABLE")
    with pytest.raises(LogAuditError):
        run.execute(audits.make())
    aws.configure(athena_outcome="SUCCEEDED")
    first, second = run.execute(audits.make())["ids"][0], audits.ids()[0]
    assert first != second
    assert len(audits.ids()) == 2


def test_what_failed_after_its_worker_died_is_asked_anew(audits, aws):
    run = Run(KEY)
    aws.configure(athena_outcome="FAILED_RETRYABLE", athena_running_seconds=0.5)
    _, task = deferred_by(run, audits.make(worker_seconds=0))
    audits.athena.end(task.query_execution_id)
    aws.configure(athena_outcome="SUCCEEDED", athena_running_seconds=0)
    assert run.execute(audits.make())["ids"] == audits.ids()[1:]


def test_a_cleared_task_asks_anew(audits):
    run = Run(KEY)
    before = run.execute(audits.make())
    audits.log("SELECT 1", "SELECT 2")
    after = run.execute(audits.make())
    assert (before["total"], after["total"]) == (1, 2)
    assert before["ids"] + after["ids"] == audits.ids()


def test_a_cleared_task_asks_anew_in_another_place_too(audits):
    run = Run(KEY)
    before, after = (run.execute(audits.make(), map_index) for map_index in (0, 1))
    assert before["ids"] + after["ids"] == audits.ids()


def test_who_dies_between_counting_and_forgetting_asks_anew(audits, monkeypatch):
    run = Run(KEY)
    store = run.context("audit")["task_state_store"]
    with monkeypatch.context() as patched:
        patched.setattr(store, "delete", lambda *_: (_ for _ in ()).throw(SystemExit("SIGKILL")))
        with pytest.raises(SystemExit):
            run.execute(audits.make())
    assert run.execute(audits.make())["ids"] == audits.ids()[1:]


def test_a_query_that_aws_has_forgotten_is_asked_anew(audits):
    run = Run(KEY)
    run.context("audit")["task_state_store"].set("athena_query", {"id": "gone", "token": "t"})
    assert run.execute(audits.make())["ids"] == audits.ids()


@pytest.mark.parametrize("stored", [True, False])
def test_an_edited_file_is_asked_anew_and_what_ran_is_stopped(audits, aws, stored):
    aws.configure(athena_running_seconds=60)
    run = Run(KEY)
    deferred_by(run, audits.make(worker_seconds=0))
    if not stored:  # the worker died right after the start
        run.context("audit")["task_state_store"].delete("athena_query")
    audits.write(f"{ALL} AND 1 = 1")
    aws.configure(athena_running_seconds=0)
    assert run.execute(audits.make())["ids"] == audits.ids()[1:]
    assert audits.states() == ["CANCELLED" if stored else "RUNNING", "SUCCEEDED"]


def test_a_file_that_is_edited_during_the_wait_is_asked_anew(audits, aws):
    aws.configure(athena_running_seconds=0.5)
    run, make = Run(KEY), audits.make(worker_seconds=0)
    deferral, _ = deferred_by(run, make)
    event = asyncio.run(fire(deferral.trigger))
    audits.write("SELECT 1 AS n")
    with pytest.raises(TaskDeferred) as deferred:
        make().execute_complete(run.context("audit"), event)
    event = asyncio.run(fire(deferred.value.trigger))
    assert make().execute_complete(run.context("audit"), event)["rows"] == [{"n": "1"}]
    assert len(audits.ids()) == 2


def test_other_runs_and_windows_have_other_queries(audits, monkeypatch):
    audits.write("SELECT 1 AS n")
    for key, run_id in ((KEY, "run"), ("main/2026-11-20T10", "run"), (KEY, "other")):
        run = Run(key)
        context = run.context("audit")
        context["ti"].run_id = run_id
        audits.make(key=key)().execute(context)
    assert len(audits.ids()) == 3


def test_a_start_that_is_throttled_is_tried_again(audits, aws):
    run = Run(KEY)
    aws.fault("athena.StartQueryExecution", error="TooManyRequestsException")
    with pytest.raises(ClientError) as raised:
        run.execute(audits.make())
    assert retried(raised.value)
    assert run.execute(audits.make())["total"] == 1


# Ends


@pytest.mark.parametrize(("worker_seconds", "deferrals"), [(20, []), (0, ["QueryTrigger"])])
def test_a_failure_that_may_pass_is_tried_again(audits, aws, worker_seconds, deferrals):
    aws.configure(athena_outcome="FAILED_RETRYABLE", athena_running_seconds=0.3)
    run = Run(KEY)
    with pytest.raises(
        LogAuditError, match=r"all\.sql: Athena query \S+ failed; .*: Query exhausted resources"
    ) as error:
        run.execute(audits.make(worker_seconds=worker_seconds))
    assert run.deferrals == deferrals
    assert audits.ids()[0] in str(error.value)
    assert retried(error.value)


def test_a_failure_that_stays_is_not_tried_again(audits, aws):
    aws.configure(athena_outcome="FAILED")
    with pytest.raises(QueryFileError, match=r"all\.sql: Athena refuses query \S+: GENERIC_USER_ERROR") as error:
        Run(KEY).execute(audits.make())
    assert audits.ids()[0] in str(error.value)
    assert not retried(error.value)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("SELECT nothing FROM audit WHERE cluster = :cluster", "COLUMN_NOT_FOUND"),
        ("SELECT 1 AS n FROM absent", r"TABLE_NOT_FOUND.*; run the DAG athena_tables"),
        ("SELECT 1 AS n FROM absent.audit", r"SCHEMA_NOT_FOUND.*; run the DAG athena_tables"),
        ("SELECT 1 AS n FROM audit WHERE cluster = :cluster AND retcode = 0", "TYPE_MISMATCH"),
    ],
)
def test_sql_that_means_nothing_is_the_files_fault(audits, body, complaint):
    audits.write(body)
    with pytest.raises(QueryFileError, match=rf"aurora/all\.sql: Athena refuses query \S+: {complaint}") as error:
        Run(KEY).execute(audits.make())
    assert not retried(error.value)
    assert len(audits.ids()) == 1


@pytest.mark.parametrize("body", ["SELEC 1", "SELECT (1", "SELECT 1; SELECT 2", "SELECT 1 FROM"])
def test_sql_that_cannot_be_read_is_the_files_fault(audits, body):
    audits.write(body)
    with pytest.raises(QueryFileError, match=r"aurora/all\.sql: Athena refuses the query") as error:
        Run(KEY).execute(audits.make())
    assert not retried(error.value)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ({"Retryable": False, "ErrorCategory": 1}, PermanentError, "failed for good"),
        ({"Retryable": False, "ErrorCategory": 2}, QueryFileError, "refuses"),
        ({"Retryable": True, "ErrorCategory": 2}, LogAuditError, "the next try"),
        ({"ErrorCategory": 2}, LogAuditError, "the next try"),
        (None, LogAuditError, "the next try"),
    ],
)
def test_what_athena_calls_retryable_or_leaves_open_is_tried_again(audits, error, kind, text):
    given = audits.make()()._read()
    status = {"State": "FAILED", **({"AthenaError": error} if error else {})}
    judged = failed(given, {"QueryExecutionId": "id", "Status": status})
    assert type(judged) is kind
    assert text in str(judged)
    assert str(judged).endswith("AWS gives no reason")


def test_a_query_over_the_workgroups_limit_is_explained(audits, aws, aws_client):
    audits.athena.athena.create_work_group(Name="small", Configuration={"BytesScannedCutoffPerQuery": 10_000_000})
    audits.athena.put(f"{HOME}/big", b"x\n" * 5_000_001)
    with pytest.raises(PermanentError) as error:
        Run(KEY).execute(audits.make(workgroup="small"))
    told = str(error.value)
    assert "all.sql: workgroup small lets a query scan 10,000,000 bytes" in told
    assert "had scanned 10,000,0" in told
    assert "paid for. Narrow the query, or raise the workgroup's BytesScannedCutoffPerQuery" in told
    assert not retried(error.value)


def test_a_limit_that_we_may_not_ask_for_is_unknown(audits, aws):
    audits.athena.athena.create_work_group(Name="small", Configuration={"BytesScannedCutoffPerQuery": 10_000_000})
    audits.athena.put(f"{HOME}/big", b"x\n" * 5_000_001)
    aws.fault("athena.GetWorkGroup", error="AccessDeniedException")
    with pytest.raises(PermanentError, match="lets a query scan an unknown number of bytes"):
        Run(KEY).execute(audits.make(workgroup="small"))


def test_a_query_that_somebody_cancelled_is_asked_anew(audits, aws):
    aws.configure(athena_running_seconds=60)
    run, make = Run(KEY), audits.make(worker_seconds=0)
    deferral, task = deferred_by(run, make)
    audits.athena.athena.stop_query_execution(QueryExecutionId=task.query_execution_id)
    event = asyncio.run(fire(deferral.trigger))
    with pytest.raises(LogAuditError, match="was cancelled by somebody; the next try starts a new one") as error:
        make().execute_complete(run.context("audit"), event)
    assert retried(error.value)
    aws.configure(athena_running_seconds=0)
    assert run.execute(make)["ids"] == audits.ids()[1:]


@pytest.mark.parametrize("options", [{"workgroup": "none"}, {"output_location": "s3://nowhere/x"}])
def test_a_wrong_place_is_not_the_files_fault(audits, options):
    with pytest.raises(AccessError, match="mend the settings' athena, or the workgroup") as error:
        Run(KEY).execute(audits.make(**options))
    assert not retried(error.value)


def test_results_that_are_gone_are_asked_anew_once_a_person_clears_the_task(audits, aws):
    run = Run(KEY)
    aws.fault("athena.GetQueryResults", error="InvalidRequestException", message="Could not find results")
    with pytest.raises(AccessError, match="results cannot be read; clear the task to ask anew") as error:
        run.execute(audits.make())
    assert not retried(error.value)
    assert run.execute(audits.make())["ids"] == audits.ids()[1:]


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("other/2026-11-20T09", "names no window"),
        ("main' OR '1'='1/2026-11-20T09", "names no window"),
        ("main", "names no window"),
        ("main/2026-11-20T24", "is no hour"),
        ("main/2026-11-20T09' OR '1'='1", "is no hour"),
        ("daily/2026-11-19T09", "is no day"),
    ],
)
def test_a_key_of_no_window_fails_at_once_and_asks_aws_nothing(audits, aws, key, complaint):
    with pytest.raises(InvalidKeyError, match=complaint) as error:
        Run(key).execute(audits.make(key=key))
    assert not retried(error.value)
    assert aws.calls() == []


def test_a_wrong_file_fails_at_once_and_asks_aws_nothing(audits, aws, monkeypatch):
    (audits.folder / "all.sql").write_text("-- titel: x\nSELECT 1")
    with pytest.raises(QueryFileError, match=r"all\.sql:1: there is no key 'titel'"):
        Run(KEY).execute(audits.make())
    with pytest.raises(QueryFileError, match=r"absent\.sql: cannot be read"):
        Run(KEY).execute(audits.make("absent"))
    monkeypatch.setattr(operators, "bind", lambda *_: (_ for _ in ()).throw(QueryFileError("7: :x has no value")))
    audits.write()
    with pytest.raises(QueryFileError, match=r"all\.sql: 7: :x has no value"):
        Run(KEY).execute(audits.make())
    assert aws.calls() == []


def test_wrong_settings_fail_at_once(audits, tmp_path):
    (tmp_path / "settings.yaml").write_text("targets: {}")
    with pytest.raises(SettingsError):
        Run(KEY).execute(audits.make())


# Waiting


def test_what_takes_long_is_waited_for_in_the_triggerer(audits, aws):
    aws.configure(athena_running_seconds=1)
    run = Run(KEY)
    assert run.execute(audits.make(worker_seconds=0))["total"] == 1
    assert run.deferrals == ["QueryTrigger"]
    assert starts(aws) == 1


def test_without_deferring_the_worker_waits(audits, aws):
    aws.configure(athena_running_seconds=1)
    run = Run(KEY)
    assert run.execute(audits.make(worker_seconds=0, deferrable=False))["total"] == 1
    assert run.deferrals == []


def test_the_trigger_survives_serialization_and_tells_no_more_than_the_state(audits, aws):
    aws.configure(athena_running_seconds=0.5)
    deferral, task = deferred_by(Run(KEY), audits.make(worker_seconds=0, botocore_config={"read_timeout": 7}))
    trigger = revive(deferral.trigger)
    assert isinstance(trigger, QueryTrigger)
    assert trigger.serialize() == deferral.trigger.serialize()
    assert trigger.botocore_config == {"read_timeout": 7}
    assert trigger.attempts * trigger.waiter_delay >= 35 * 60
    event = asyncio.run(fire(deferral.trigger))
    assert event == {"status": "success", "message": "SUCCEEDED", "value": task.query_execution_id}


def test_a_fault_that_ends_the_wait_leaves_the_query_for_the_next_try(audits, aws):
    aws.configure(athena_running_seconds=3)
    run, make = Run(KEY), audits.make(worker_seconds=0)
    deferral, _ = deferred_by(run, make)
    aws.fault("athena.BatchGetQueryExecution", error="ExpiredTokenException")
    event = asyncio.run(fire(deferral.trigger))
    assert event["status"] == "error"
    with pytest.raises(LogAuditError, match="broke off; the next try goes on with it") as error:
        make().execute_complete(run.context("audit"), event)
    assert retried(error.value)
    assert run.execute(make)["total"] == 1
    assert starts(aws) == 1


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("state", "kind"), [("queued", LogAuditError), ("running", PermanentError)])
def test_a_query_that_lasts_too_long_is_stopped(audits, aws, deferrable, state, kind):
    aws.configure(**{f"athena_{state}_seconds": 60})
    options = {"worker_seconds": 0, "time_limit": timedelta(seconds=1), "deferrable": deferrable}
    with pytest.raises(LogAuditError, match=f"was still {state.upper()} after 0:00:01, and was stopped") as error:
        Run(KEY).execute(audits.make(**options))
    assert type(error.value) is kind
    assert audits.states() == ["CANCELLED"]


def test_a_killed_worker_stops_its_query_quickly(audits, aws):
    aws.configure(athena_running_seconds=60)
    _, task = deferred_by(Run(KEY), audits.make(worker_seconds=0))
    aws.forget_calls()
    task.on_kill()
    assert [call["action"] for call in aws.calls()] == ["athena.StopQueryExecution"]
    assert audits.states() == ["CANCELLED"]
    task.on_kill()  # a second signal finds it ended, which is no error
    task.query_execution_id = "unknown"
    task.on_kill()
    audits.make()().on_kill()  # nothing was started


def test_a_killed_deferral_stops_its_query(audits, aws):
    aws.configure(athena_running_seconds=60)
    deferral, _ = deferred_by(Run(KEY), audits.make(worker_seconds=0))
    asyncio.run(revive(deferral.trigger).on_kill())
    assert audits.states() == ["CANCELLED"]
    asyncio.run(revive(deferral.trigger).on_kill())
    trigger = revive(deferral.trigger)
    trigger.waiter_args = {"QueryExecutionId": "unknown"}
    asyncio.run(trigger.on_kill())
