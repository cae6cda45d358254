"""Secrets planted wherever the pipelines read, then looked for wherever they write, in every likely form."""

from __future__ import annotations

import base64
import io
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from local_aws import aurora_lines, summary
from local_aws.airflow import slack_connection, wait_until
from local_aws.control import ACCOUNT
from local_aws.run import scheduled_run
from local_aws.trail_records import assumed_role, batch_call
from log_audit.archive import LATEST_ARRIVAL
from log_audit.settings import load_settings
from log_audit.window import Window, key_of, last_settled_month
from tests.e2e.conftest import unpause
from tests.e2e.test_accounts import last_end
from tests.support.accounts import Account

pytestmark = pytest.mark.e2e

JAPAN = ZoneInfo("Asia/Tokyo")
REGION = "ap-northeast-1"
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {{bucket: archive, log_groups: [{{name: /app, reconcile: true}}]}}
    athena: {{workgroup: audits, results: "s3://results/athena"}}
    aurora:
      location: s3://aurora-logs/audit
      queue: https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tasks
      clusters:
        orders: {{ecs_cluster: batch, command: [orders]}}
    cloudtrail: {{location: "s3://trail/AWSLogs", accounts: ["{ACCOUNT}"], regions: [{REGION}]}}
    log_group_sets:
      api_gateway: [{{name: /app}}]
      lambda: [{{name: /app}}]
      ecs: [{{name: /app}}]
      scheduler_calls: [{{name: /app}}]
delivery: {{visibility_minutes: 0.5}}
slack: {{failures: [failures]}}
"""
NOW = datetime.now(UTC)
MONTH = last_settled_month(NOW, LATEST_ARRIVAL, "Asia/Tokyo")
DAY = key_of(NOW - timedelta(hours=6), "day", JAPAN, back=1)
HOUR = "2026-11-10T03"

# None of these is a secret of anybody: they are made up here, to be looked for.
SECRETS = {
    "key of the connection": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY/planted1",
    "session token": "IQoJb3JpZ2luX2VjEPlanted2//////////wEaDmFwLW5vcnRo+Q==",
    "token of Slack": "-".join(("xoxb", "1234567890", "planted3")),
    "Aurora: identified by": "Pl4nted'four\\pw",
    "Aurora: in a literal": "planted five",
    "Aurora: in a comment": "planted6-comment-pw",
    "header: bearer": "planted7.bearer-value_x",
    "header: api key": "planted8ApiKeyValue",
    "in a URL": "planted9 / url?",
    "in JSON in JSON": 'planted10"json\\esc',
    "CloudTrail: request": "planted11-request-token",
    "CloudTrail: error message": "planted12-in-error",
    "ECS: stopped reason": "planted13-stopped",
    "ECS: command of another task": "planted14-command",
    "AWS: message of a refusal": "planted15-refused",
    "AWS: message of a refused query": "planted16-query",
    "in an address": "planted17pw",
}
BASIC = base64.b64encode(b"ann:planted18-basic").decode()
SECRETS["header: basic"] = BASIC
# Where a log stream is named so, the objects in S3 are, too: see test_a_secret_in_the_name_of_an_object.
IN_A_NAME = "planted19-in-a-key"


class Place(NamedTuple):
    """Where something was found: a file, or a table's column."""

    name: str
    text: str


@pytest.fixture(scope="module")
def account(control, tmp_path_factory):
    """The account, with secrets in everything that the pipelines read."""
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    account = Account(control, load_settings(file).targets["tokyo"], ACCOUNT)
    account.prepare()
    month = Window.month(MONTH, JAPAN)
    account.log("/app", [month.start + timedelta(days=3)], access_log())
    event = {"timestamp": int((month.start + timedelta(days=4)).timestamp() * 1000), "message": access_log()}
    control.put_events("/app", f"host/token={IN_A_NAME}", [event], region=REGION)
    noon = Window.day(DAY, JAPAN).start + timedelta(hours=12)
    identity = assumed_role("deployer", "session", noon - timedelta(minutes=5))
    asked = {"tags": {"x": SECRETS["CloudTrail: request"]}, "apiKey": SECRETS["CloudTrail: request"]}
    words = f"User is not authorized; token={SECRETS['CloudTrail: error message']}"
    refused = {"error": "AccessDenied", "message": words}
    calls = [
        batch_call(noon, "RegisterJobDefinition", identity=identity, request_parameters=asked),
        batch_call(noon, "DeleteJobQueue", identity=identity, request_parameters=asked, **refused),
    ]
    account.trail(calls, noon)
    return account


def access_log(status="502"):
    """A line of an application that logs what it should not."""
    inner = json.dumps({"password": SECRETS["in JSON in JSON"], "user": "ann"})
    return json.dumps(
        {
            "status": status,
            "resourcePath": f"/pay?token={quote(SECRETS['in a URL'], safe='')}&x=1",
            "requestId": "r-1",
            "responseLatency": 12_000,
            "headers": {
                "Authorization": f"Bearer {SECRETS['header: bearer']}",
                "x-api-key": SECRETS["header: api key"],
            },
            "curl": f"-H 'Authorization: Basic {BASIC}' https://ann:{SECRETS['in an address']}@example.com/",
            "body": inner,
            "note": "ERROR cannot pay: Task timed out after 3.00 seconds",
        }
    )


def statements():
    """An hour of an audit log in which passwords were set and read."""
    lines = aurora_lines.with_incident("orders", HOUR, JAPAN)
    sample = next(line for line in lines if ",QUERY," in line and ",rdsadmin," not in line)
    head = sample.partition(",QUERY,")[0]
    texts = [
        f"CREATE USER 'x'@'%' IDENTIFIED BY '{sql(SECRETS['Aurora: identified by'])}'",
        f"GRANT ALL ON *.* TO 'x'@'%' IDENTIFIED WITH mysql_native_password AS '{SECRETS['Aurora: in a literal']}'",
        f"DROP TABLE t /* password={SECRETS['Aurora: in a comment']} */",
    ]
    return [*lines, *(f"{head},QUERY,shop,{quoted(text)},0" for text in texts)]


def sql(value):
    return value.replace("\\", "\\\\").replace("'", "''")


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", r"\'") + "'"


@pytest.fixture(scope="module")
def airflow(control, boot, account):
    """Every pipeline has run, some of them into AWS's refusals."""
    control.configure(slack_channels=["log-audit", "log-audit-critical", "failures"])
    slack = json.loads(slack_connection(control.endpoint)) | {"password": SECRETS["token of Slack"]}
    extra = {
        "region_name": REGION,
        "endpoint_url": control.endpoint,
        "aws_session_token": SECRETS["session token"],
    }
    aws = {"conn_type": "aws", "login": "local", "password": SECRETS["key of the connection"], "extra": extra}
    airflow = boot(
        SETTINGS,
        AIRFLOW_CONN_SLACK_DEFAULT=json.dumps(slack),
        AIRFLOW_CONN_AWS_DEFAULT=json.dumps(aws),
        AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
    )
    run_all(airflow, control, account)
    return airflow


def run_all(airflow, control, account):
    states = {}

    def run(dag_id, key=None, **params):
        unpause(airflow, dag_id)
        run_id = airflow.trigger(dag_id, key, **params)
        states[dag_id, run_id] = airflow.wait_for_run(dag_id, run_id, 500)
        return states[dag_id, run_id]

    assert run("athena_tables") == "success"
    assert run("monthly_log_export", MONTH) == "success"
    assert run("archive_recheck", MONTH) == "success"
    for dag_id, ago, late in (("insights_checks", 3, 0), ("insights_late_sweep", 300, 180)):
        arrival = last_end(dag_id) - timedelta(minutes=ago)
        for message in (access_log(), f"ERROR FATAL {access_log()}"):
            account.put("/app", [arrival - timedelta(minutes=late)], message, timedelta(minutes=late))
        unpause(airflow, dag_id)
        assert airflow.wait_for_run(dag_id, scheduled_run(airflow, dag_id), 400) == "success"
    words = f"unexpected symbol in password={SECRETS['AWS: message of a refused query']}"
    control.fault("logs.StartQuery", error="MalformedQueryException", message=words, times=100)
    assert run("insights_checks", alert=True) == "failed"
    control.clear_faults()
    words = f"You are not authorized: Authorization: Bearer {SECRETS['AWS: message of a refusal']}"
    control.fault("logs.DescribeLogGroups", error="AccessDeniedException", message=words, times=100)
    assert run("monthly_log_export", "2026-09" if MONTH != "2026-09" else "2026-08") == "failed"
    control.clear_faults()
    assert run("cloudtrail_audit", DAY, alert=True) == "success"
    deliver(airflow, control, account)
    span = {"cluster": "orders", "from": "2026-11-10T03:00:00+09:00", "to": "2026-11-10T04:00:00+09:00"}
    assert run("aurora_replay", **span) == "success"

    def audits():
        return [entry["state"] for entry in airflow.pages("dags/aurora_audit/dagRuns", "dag_runs")]

    # Airflow's list of asset events answers 500 while a run that one of them started is queued.
    wait_until(lambda: audits() == ["success"] * 2, 240, lambda: f"the replayed audit does not end: {audits()}")


def deliver(airflow, control, account):
    unpause(airflow, "aurora_audit", "ecs_log_delivery")
    reason = f"Essential container exited: password={SECRETS['ECS: stopped reason']}"
    account.ship("orders", "2026-11-10T02", [], exit_codes={"shipper": 1}, stopped_reason=reason)
    command = ["psql", f"--password={SECRETS['ECS: command of another task']}"]
    started = datetime(2026, 11, 10, tzinfo=UTC).timestamp()
    control.stopped_task("batch", "shipper", command, region=REGION, started_at=started, container="shipper")
    key = account.ship("orders", HOUR, statements())

    def audited():
        found = airflow.pages("dags/aurora_audit/dagRuns", "dag_runs")
        return [entry for entry in found if entry["partition_key"] == key and entry["state"] in ("success", "failed")]

    wait_until(lambda: audited() != [], 240, lambda: "the delivery was not audited")
    assert audited()[0]["state"] == "success"
    said = "ended badly"
    wait_until(
        lambda: any("2026-11-10T02" in str(message["blocks"]) for message in control.slack_messages("log-audit")),
        120,
        lambda: f"nobody heard that a task {said}",
    )


def forms(secret):
    """How a secret may be written down."""
    escaped = json.dumps(secret)[1:-1]
    raw = secret.encode()
    # A stretch of base64 depends on where in its groups of three the secret begins.
    shifted = {base64.b64encode(b"x" * n + raw)[(n * 8 + 5) // 6 + 1 : -4].decode() for n in range(3)}
    return {
        *(secret, escaped, json.dumps(escaped)[1:-1], quote(secret, safe=""), quote(secret)),
        *(secret.replace("'", "''"), sql(secret), quoted(secret)[1:-1], quoted(sql(secret))[1:-1]),
        *(form for form in shifted if len(form) > 8),
    }


def everything(airflow, control):
    """All that is written: logs, the metadata database, Slack, what the stand-in remembers, what make run prints."""
    for path in airflow.home.rglob("*"):
        if (
            path.is_file()
            and not path.name.startswith("airflow.db")
            and path.suffix in (".log", ".txt", ".json", ".err")
        ):
            yield Place(str(path.relative_to(airflow.home)), path.read_text(errors="replace"))
    yield from database(airflow)
    yield Place("Slack", json.dumps(control.slack_messages(), ensure_ascii=False))
    yield Place("calls", json.dumps(control.calls(), ensure_ascii=False))
    yield Place("the summary of make run", printed(airflow, control))


def database(airflow):
    """Every column of every table, as text."""
    with closing(sqlite3.connect(f"file:{airflow.home}/airflow.db?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names from the database itself
            names = [column[0] for column in cursor.description]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                    yield Place(f"{table}.{name}", text)


def printed(airflow, control):
    console = Console(file=io.StringIO(), width=400)
    server = type("Server", (), {"endpoint": control.endpoint})
    for listing in (summary.archive(airflow), summary.audits(airflow), summary.alerts(server)):
        listing.show(console)
    return console.file.getvalue()


def test_no_secret_is_left_anywhere(airflow, control):
    places = list(everything(airflow, control))
    assert len({place.name for place in places}) > 100
    wanted = {form: what for what, secret in SECRETS.items() for form in forms(secret)}
    pattern = re.compile("|".join(re.escape(form) for form in sorted(wanted, key=len, reverse=True)))
    found = {
        (wanted[hit[0]], place.name, place.text[max(0, hit.start() - 80) : hit.start()])
        for place in places
        for hit in pattern.finditer(place.text)
    }
    assert sorted(found) == []


def test_what_was_planted_was_read_and_masked(airflow, control):
    """Else nothing of it could have been found."""
    told = json.dumps(control.slack_messages(), ensure_ascii=False)
    for text in ("CREATE USER ?@? IDENTIFIED BY ***", "DROP TABLE t", "AWS Batch", "password=***"):
        assert text in told, text
    logs = "".join(path.read_text(errors="replace") for path in (airflow.home / "logs").rglob("*.log"))
    assert "Authorization: ***" in logs
    assert "password=***" in logs


def test_a_secret_in_the_name_of_an_object(airflow, control):
    """It is the archive's truth, and stands in its manifest and in what the tasks that verify it hand on; nowhere that
    people read.
    """
    kept = {"xcom.value", "rendered_task_instance_fields.rendered_fields", "calls"}
    found = {place.name for place in everything(airflow, control) if IN_A_NAME in place.text}
    assert found <= kept
