"""Triggers that wait together: one client, one poller, and who is told what."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from log_audit import polling
from log_audit.errors import BrokenAnswerError, CredentialsError, LogAuditError, UnreachableError
from log_audit.hooks.reach import ReachHook
from log_audit.triggers import shared
from log_audit.triggers.athena import QueryExecutions, QueryTrigger
from log_audit.triggers.logs import ExportTaskTrigger, QueriesTrigger
from log_audit.triggers.shared import Kind, Sight, ended
from log_audit.window import utc_now


class Aws:
    """What the clients of a test tell of jobs: a job's state, or an error to raise.

    ``faults`` are raised by the next looks, one each.
    """

    def __init__(self):
        self.states, self.faults, self.calls, self.opened, self.open = {}, [], [], [], 0
        self.refused = set()
        self.hang = False
        self.closes = 0.0  # seconds

    def opens(self, hook):
        """A client of this connection."""
        if isinstance(hook.aws_conn_id, Exception):
            raise hook.aws_conn_id
        self.opened.append(hook.aws_conn_id)
        return Client(self, hook.aws_conn_id)

    async def look(self, name, jobs):
        self.calls.append((name, *jobs))
        if self.hang:
            await asyncio.sleep(60)
        if self.faults:
            raise self.faults.pop(0)
        if self.refused & {*jobs}:
            raise refusal("AccessDeniedException")
        return {job: self.states.get(job, Sight("RUNNING", ended=False)) for job in jobs}

    def end(self, *jobs, state="SUCCEEDED"):
        for job in jobs:
            self.states[job] = Sight(state, ended=True)


class Client:
    def __init__(self, aws, name):
        self.aws, self.name = aws, name

    async def __aenter__(self):
        self.aws.open += 1
        return self

    async def __aexit__(self, *_):
        await asyncio.sleep(self.aws.closes)
        self.aws.open -= 1


class Jobs(Kind):
    at_once = 50
    calls_per_second = 1000

    @staticmethod
    async def look(client, jobs):
        return await client.aws.look(client.name, jobs)

    @staticmethod
    def pause(age):
        return 0.02


class Others(Jobs):
    """Another kind."""


class Single(Jobs):
    at_once = 1
    calls_per_second = 20


def refusal(code, status=400):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Look")


@pytest.fixture
def fake(monkeypatch):
    fake = Aws()

    class Hook(ReachHook):
        async def get_async_conn(self):
            return fake.opens(self)

    monkeypatch.setattr(Jobs, "hook_class", Hook, raising=False)
    monkeypatch.setattr(shared, "LINGER", 0.05)
    monkeypatch.setattr(polling, "FIRST_RETREAT", 0.05)
    yield fake
    assert fake.open == 0
    assert shared._pollers == {}


def wait(job, kind=Jobs, connection="aws", limit=60.0, **options):
    return asyncio.ensure_future(ended(kind, {"aws_conn_id": connection}, job, limit=limit, **options))


def play(scene):
    """Run a scene to its end, and until all clients are closed."""

    async def whole():
        result = await asyncio.wait_for(scene(), 20)
        while shared._pollers:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        return result

    return asyncio.run(whole())


def outcomes(waits):
    return asyncio.gather(*waits, return_exceptions=True)


def test_all_who_wait_share_a_client_and_its_calls(fake):
    async def scene():
        jobs = [f"job-{number}" for number in range(120)]
        waits = [wait(job) for job in jobs]
        await asyncio.sleep(0.05)
        fake.calls.clear()
        fake.end(*jobs)
        return await outcomes(waits)

    assert {sight.state for sight in play(scene)} == {"SUCCEEDED"}
    assert fake.opened == ["aws"]
    assert [len(call) - 1 for call in fake.calls] == [50, 50, 20]


def test_each_is_told_of_its_own_job(fake):
    async def scene():
        waits = [wait(job) for job in ("good", "bad", "slow")]
        fake.end("good")
        fake.end("bad", state="FAILED")
        done, running = await asyncio.wait(waits, timeout=0.3)
        states = {sight.result().state for sight in done}
        fake.end("slow")
        return states, len(running), (await outcomes(running))[0].state

    assert play(scene) == ({"SUCCEEDED", "FAILED"}, 1, "SUCCEEDED")


def test_two_who_wait_for_one_job_cost_one_look(fake):
    async def scene():
        waits = [wait("job"), wait("job")]
        fake.end("job")
        return await outcomes(waits)

    assert len(play(scene)) == 2
    assert fake.calls == [("aws", "job")]


def test_connections_regions_and_kinds_never_share(fake):
    async def scene():
        fake.end("job")
        hooks = [{"aws_conn_id": "one"}, {"aws_conn_id": "two"}, {"aws_conn_id": "two", "region_name": "eu-west-1"}]
        waits = [asyncio.ensure_future(ended(Jobs, hook, "job", limit=60)) for hook in hooks]
        await outcomes([*waits, wait("job", Others, "two")])

    play(scene)
    assert sorted(fake.opened) == ["one", "two", "two", "two"]
    assert sorted(fake.calls) == [("one", "job"), ("two", "job"), ("two", "job"), ("two", "job")]


def test_the_last_one_closes_the_client_and_the_next_has_another(fake):
    async def scene():
        fake.end("a", "b", "c")
        await wait("a")
        await wait("b")  # soon after: the same client
        assert fake.open == 1
        await asyncio.sleep(0.2)
        assert fake.open == 0
        await wait("c")

    play(scene)
    assert fake.opened == ["aws", "aws"]


def test_all_who_come_while_a_client_is_closed_share_the_next_one(fake):
    async def scene():
        fake.closes = 0.3
        fake.end("a", "c")
        await wait("a")
        await asyncio.sleep(0.2)
        waits = [wait("b")]
        await asyncio.sleep(0.4)  # the first client is closed
        waits.append(wait("c"))
        await asyncio.sleep(0.1)
        fake.end("b")
        await asyncio.gather(*waits)
        fake.closes = 0.0

    play(scene)
    assert fake.opened == ["aws", "aws"]


def test_one_who_is_cancelled_is_asked_about_no_more(fake):
    async def scene():
        waits = [wait("stays"), wait("goes")]
        await asyncio.sleep(0.1)
        waits[1].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        fake.calls.clear()
        await asyncio.sleep(0.1)
        assert set(fake.calls) == {("aws", "stays")}
        waits[0].cancel()

    play(scene)  # and when all have gone, the client is closed


FAULTS = [
    refusal("ThrottlingException"),
    refusal("TooManyRequestsException"),
    refusal("InternalServerException", 500),
    ReadTimeoutError(endpoint_url="x"),
    ConnectionResetError("dropped"),
    KeyError("QueryExecutions"),
    BrokenAnswerError("it broke off"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_that_may_pass_fails_nobody(fake, fault, caplog):
    async def scene():
        waits = [wait(f"job-{number}") for number in range(60)]
        fake.faults = [fault] * 3
        await asyncio.sleep(0.1)
        fake.end(*[f"job-{number}" for number in range(60)])
        return await outcomes(waits)

    with caplog.at_level(logging.WARNING):
        assert {sight.state for sight in play(scene)} == {"SUCCEEDED"}
    assert len(fake.calls) <= 8  # all step back together
    assert "looking again in" in caplog.text


def test_a_fault_that_does_not_pass_is_told_when_the_time_is_over(fake):
    async def scene():
        fake.faults = [refusal("ThrottlingException")] * 1000
        waits = [wait("short", limit=0.1), wait("long", limit=60)]
        [short] = await outcomes(waits[:1])
        fake.faults.clear()
        fake.end("long")
        return str(short), (await waits[1]).state

    told, state = play(scene)
    assert told.startswith("short could not be looked at until its time was over: An error occurred (Throttling")
    assert state == "SUCCEEDED"


def test_an_answer_that_does_not_come_holds_nobody_up_for_long(fake, monkeypatch):
    monkeypatch.setattr(shared, "CALL_LIMIT", 0.05)

    async def scene():
        fake.hang = True
        waiting = wait("job")
        await asyncio.sleep(0.1)
        fake.hang = False
        fake.end("job")
        return (await waiting).state

    assert play(scene) == "SUCCEEDED"


def test_a_refusal_of_one_job_fails_that_one_alone(fake):
    async def scene():
        fake.refused = {"theirs"}
        waits = [wait(job) for job in ("ours", "theirs", "ours too")]
        [told] = await outcomes(waits[1:2])
        assert not waits[0].done()
        fake.end("ours", "ours too")
        await outcomes(waits)
        return told

    told = play(scene)
    assert isinstance(told, LogAuditError)
    assert "AccessDeniedException" in str(told)


def test_what_aws_tells_of_one_job_alone_fails_that_one_alone(fake):
    async def scene():
        fake.states["unknown"] = LogAuditError("not processed")
        waits = [wait("job"), wait("unknown")]
        [told] = await outcomes(waits[1:])
        fake.end("job")
        return str(told), (await waits[0]).state

    assert play(scene) == ("not processed", "SUCCEEDED")


def test_a_job_of_which_nothing_is_told_is_asked_about_again(fake, monkeypatch):
    async def silent(client, jobs):
        sights = await client.aws.look(client.name, jobs)
        return {job: sight for job, sight in sights.items() if sight.ended}

    monkeypatch.setattr(Jobs, "look", staticmethod(silent))

    async def scene():
        waits = [wait("job"), wait("never", limit=0.2)]
        await asyncio.sleep(0.1)
        fake.end("job")
        return await outcomes(waits)

    job, never = play(scene)
    assert job.state == "SUCCEEDED"
    assert "AWS tells nothing of it" in str(never)


def test_a_connection_that_cannot_be_used_reaches_all(fake):
    async def scene():
        fake.end("c")
        bad = CredentialsError("no keys")
        return await outcomes([wait("a", connection=bad), wait("b", connection=bad), wait("c")])

    *told, well = play(scene)
    assert [type(one) for one in told] == [CredentialsError, CredentialsError]
    assert well.state == "SUCCEEDED"


@pytest.mark.parametrize("error", [CredentialsError("revoked"), UnreachableError("expired")], ids=str)
def test_a_new_client_that_is_refused_tells_all_who_wait(fake, error):
    async def scene():
        fake.faults = [error] * 2
        waits = [wait(f"job-{number}") for number in range(60)]
        told = await outcomes(waits)
        fake.faults.clear()
        fake.end("next")
        assert (await wait("next")).ended  # and who comes later tries anew
        return told

    assert play(scene) == [error] * 60
    assert fake.opened == ["aws", "aws"]


def test_a_client_whose_credentials_expire_is_renewed(fake):
    async def scene():
        waits = [wait(f"job-{number}") for number in range(60)]
        await asyncio.sleep(0.1)
        fake.faults = [UnreachableError("the credentials have expired")]
        await asyncio.sleep(0.1)
        fake.end(*[f"job-{number}" for number in range(60)])
        return await outcomes(waits)

    assert {sight.state for sight in play(scene)} == {"SUCCEEDED"}
    assert fake.opened == ["aws", "aws"]


def test_credentials_that_have_expired_for_good_are_told_after_one_renewal(fake):
    async def scene():
        waiting = wait("job")
        await asyncio.sleep(0.1)
        fake.faults = [UnreachableError("the credentials have expired")] * 2
        return (await outcomes([waiting]))[0]

    assert isinstance(play(scene), UnreachableError)
    assert fake.opened == ["aws", "aws"]


def test_a_job_is_looked_at_until_its_time_is_over(fake):
    async def scene():
        fake.states["old"] = Sight("RUNNING", ended=False, age=100)
        old, young = await wait("old", limit=99), wait("young", limit=0.3)
        return old.state, (await young).state

    assert play(scene) == ("RUNNING", "RUNNING")


def test_the_age_is_that_which_aws_tells(fake, monkeypatch):
    asked = []
    monkeypatch.setattr(Jobs, "pause", staticmethod(lambda age: asked.append(age) or 0.05))

    async def scene():
        fake.states["old"] = Sight("RUNNING", ended=False, age=1000)
        waiting = wait("old", limit=5000)
        await asyncio.sleep(0.1)
        fake.end("old")
        await waiting

    play(scene)
    assert asked[0] == pytest.approx(1000, abs=0.1)


def test_no_more_calls_than_the_rate(fake):
    async def scene():
        waits = [wait(f"job-{number}", Single) for number in range(100)]
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        calls = len(fake.calls)
        took = asyncio.get_running_loop().time() - began
        for one in waits:
            one.cancel()
        return calls, took

    calls, took = play(scene)
    assert 2 <= calls <= 1 + 20 * took


def test_the_last_look_is_when_the_time_is_over_and_not_a_pause_later(fake, monkeypatch):
    monkeypatch.setattr(Jobs, "pause", staticmethod(lambda age: 30))

    async def scene():
        return (await wait("job", limit=0.3)).state

    assert play(scene) == "RUNNING"


def test_after_an_answer_the_next_fault_is_a_first_one_again(fake, monkeypatch, caplog):
    monkeypatch.setattr(shared.random, "random", lambda: 1.0)

    async def scene():
        waiting = wait("job")
        for _ in range(3):
            fake.faults = [refusal("ThrottlingException")]
            calls = len(fake.calls)
            while len(fake.calls) < calls + 3:
                await asyncio.sleep(0.01)
        fake.end("job")
        await waiting

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert [record.args[1] for record in caplog.records if "looking again" in record.msg] == [0.05] * 3


def test_a_longest_pause_is_heeded(fake, monkeypatch):
    monkeypatch.setattr(Jobs, "pause", staticmethod(lambda age: 30))

    async def scene():
        waiting = wait("job", longest=0.05)
        await asyncio.sleep(0.1)
        fake.end("job")
        return (await waiting).state

    assert play(scene) == "SUCCEEDED"


def test_a_fault_of_our_own_is_told_and_nobody_waits_for_ever(fake, monkeypatch):
    monkeypatch.setattr(Jobs, "pause", staticmethod(lambda age: 1 / 0))

    async def scene():
        return (await outcomes([wait("job")]))[0]

    assert "ZeroDivisionError" in str(play(scene))


def test_a_triggerer_that_stops_leaves_nothing_open(fake):
    async def scene():
        wait("job")
        await asyncio.sleep(0.1)
        assert fake.open == 1

    asyncio.run(scene())
    assert (fake.open, shared._pollers) == (0, {})


# The triggers, at the stand-in

REGION = "ap-northeast-1"


@pytest.fixture
def server(aws_server, monkeypatch):
    from local_aws.control import Control

    control = Control(aws_server.endpoint)
    control.reset()
    extra = {"region_name": REGION, "endpoint_url": control.endpoint}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    return control


async def fire(trigger):
    async for event in trigger.run():
        return event.payload


WAY = {"aws_conn_id": "aws_default", "region_name": REGION, "waiter_delay": 1, "waiter_max_attempts": 60}


def test_athena_tells_of_fifty_queries_with_a_call(server, aws_client):
    server.configure(athena_running_seconds=1)
    aws_client("s3").create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": REGION})
    athena = aws_client("athena")
    location = {"OutputLocation": "s3://results/"}
    start = athena.start_query_execution
    ids = [start(QueryString="SELECT 1", ResultConfiguration=location)["QueryExecutionId"] for _ in range(60)]
    server.forget_calls()

    async def scene():
        triggers = [QueryTrigger(query_execution_id=one, **WAY) for one in [*ids, "00000000-unknown"]]
        return await asyncio.gather(*map(fire, triggers))

    *known, unknown = asyncio.run(scene())
    assert known == [{"status": "success", "message": "SUCCEEDED", "value": one} for one in ids]
    assert unknown["status"] == "error"
    assert "00000000-unknown: INVALID_INPUT" in unknown["message"]
    calls = server.calls()
    assert {call["action"] for call in calls} == {"athena.BatchGetQueryExecution"}
    assert max(len(call["parameters"]["QueryExecutionIds"]) for call in calls) == 50
    assert len(calls) <= 15


def test_athenas_own_clock_tells_how_old_a_query_is():
    entry = {"Status": {"State": "QUEUED", "SubmissionDateTime": utc_now() - timedelta(seconds=100)}}

    class Athena:
        async def batch_get_query_execution(self, QueryExecutionIds):
            return {"QueryExecutions": [{"QueryExecutionId": QueryExecutionIds[0], **entry}]}

    [sight] = asyncio.run(QueryExecutions.look(Athena(), ["a"])).values()
    assert (sight.state, sight.ended) == ("QUEUED", False)
    assert sight.age == pytest.approx(100, abs=1)


def test_insights_queries_share_a_client_and_one_that_ends_badly_ends_its_trigger(server, aws_client):
    server.configure(query_running_seconds=1)
    server.create_log_group("/app", region=REGION, creation_time_ms=1)
    logs = aws_client("logs")

    def start():
        return logs.start_query(logGroupName="/app", startTime=0, endTime=1, queryString="fields @message")["queryId"]

    good = [[start(), start()] for _ in range(3)]
    server.configure(query_outcome="Failed")
    bad = start()

    async def scene():
        triggers = [QueriesTrigger(query_ids=ids, **WAY) for ids in [*good, [bad]]]
        return await asyncio.gather(*map(fire, triggers))

    *ended_well, failed = asyncio.run(scene())
    assert ended_well == [{"status": "success", "query_ids": ids} for ids in good]
    assert failed == {
        "status": "error",
        "message": f"in the triggerer: query {bad} is Failed",
        "query_ids": [bad],
    }


def test_an_export_task_that_aws_does_not_know_is_told(server):
    event = asyncio.run(fire(ExportTaskTrigger(export_task_id="gone", **WAY)))
    assert event == {
        "status": "error",
        "message": "in the triggerer: AWS knows no export task gone",
        "export_task_id": "gone",
    }


@pytest.mark.parametrize(
    ("trigger", "fields"),
    [
        (QueryTrigger, {"query_execution_id": "x"}),
        (QueriesTrigger, {"query_ids": ["x"]}),
        (ExportTaskTrigger, {"export_task_id": "x"}),
    ],
)
def test_what_was_deferred_before_is_understood(trigger, fields):
    """Triggers that an older version serialized wait in the database during an upgrade."""
    path, stored = trigger(**fields, **WAY).serialize()
    assert stored == {**fields, **WAY}
    assert path == f"{trigger.__module__}.{trigger.__name__}"
