"""Which DAG made a call."""

from typing import ClassVar

import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from local_aws.iam_callers import NOBODY, UnknownCallerError, attribute, made_by

DAGS = ["monthly_log_export", "archive_recheck", "insights_checks", "ecs_log_delivery", "aurora_audit"]


def agent(monkeypatch, dag_id):
    """The user agent as Airflow's own hook makes it."""
    if dag_id:
        monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", dag_id)
    else:
        monkeypatch.delenv("AIRFLOW_CTX_DAG_ID", raising=False)
    return AwsGenericHook(aws_conn_id=None)._generate_user_agent_extra_field("")


class Calls:
    NEEDED: ClassVar = [{"action": "a", "resource": "*", "context": {}}]

    def __init__(self, monkeypatch):
        self.monkeypatch, self.made = monkeypatch, []

    def add(self, dag_id, action, made=None, rights=NEEDED, **parameters):
        call = {"action": action, "parameters": parameters, "made": made, "rights": rights}
        self.made.append({**call, "agent": agent(self.monkeypatch, dag_id)})

    def dags(self):
        return [set(found.dags) for found in attribute(self.made, DAGS)]


@pytest.fixture
def calls(monkeypatch):
    return Calls(monkeypatch)


def test_a_worker_tells_its_dag_by_a_key(calls):
    calls.add("insights_checks", "logs.StartQuery", made="q")
    calls.add("aurora_audit", "athena.StartQueryExecution", made="e")
    assert calls.dags() == [{"insights_checks"}, {"aurora_audit"}]


@pytest.mark.parametrize(
    ("start", "ask", "parameter"),
    [
        ("logs.StartQuery", "logs.GetQueryResults", "queryId"),
        ("logs.CreateExportTask", "logs.DescribeExportTasks", "taskId"),
        ("athena.StartQueryExecution", "athena.GetQueryExecution", "QueryExecutionId"),
    ],
)
def test_a_trigger_is_known_by_the_job_that_a_worker_made(calls, start, ask, parameter):
    calls.add("archive_recheck", start, made="one")
    calls.add("monthly_log_export", start, made="two")
    calls.add(None, ask, **{parameter: "two"})
    calls.add(None, ask, **{parameter: "one"})
    assert calls.dags()[2:] == [{"monthly_log_export"}, {"archive_recheck"}]


def test_a_call_about_the_jobs_of_several_dags_is_made_by_all_of_them(calls):
    calls.add("archive_recheck", "athena.StartQueryExecution", made="one")
    calls.add("aurora_audit", "athena.StartQueryExecution", made="two")
    calls.add(None, "athena.BatchGetQueryExecution", QueryExecutionIds=["one", "two"])
    calls.add(None, "athena.BatchGetQueryExecution", QueryExecutionIds=["unknown", "two"])
    assert calls.dags()[2:] == [{"archive_recheck", "aurora_audit"}, {"aurora_audit"}]


def test_a_trigger_without_a_job_is_each_that_can_have_made_the_call(calls):
    calls.add(None, "sqs.ReceiveMessage", QueueUrl="u")
    calls.add(None, "logs.DescribeExportTasks")
    assert calls.dags() == [{"ecs_log_delivery"}, {"monthly_log_export", "archive_recheck"}]


@pytest.mark.parametrize(
    ("dag_id", "action", "parameters"),
    [
        (None, "logs.GetQueryResults", {"queryId": "of nobody"}),
        (None, "s3.GetObject", {"Bucket": "b"}),
        ("somebody_elses", "logs.StartQuery", {}),
    ],
)
def test_a_call_of_nobody_is_an_error(calls, dag_id, action, parameters):
    calls.add(dag_id, action, **parameters)
    with pytest.raises(UnknownCallerError, match=action):
        calls.dags()


def test_calls_that_need_no_rights_are_left_out(calls):
    calls.add(None, "sts.GetCallerIdentity", rights=[])
    assert calls.dags() == []


def test_airflow_writes_no_key_outside_of_a_task(monkeypatch):
    assert f"DagRunKey/{NOBODY}" in agent(monkeypatch, None)


def test_what_a_call_has_started():
    assert made_by("athena.StartQueryExecution", b'{"QueryExecutionId": "x"}') == "x"
    assert made_by("logs.StopQuery", b'{"success": true}') is None
