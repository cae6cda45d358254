"""Which failures are worth another try."""

from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from log_audit import errors
from log_audit.errors import ExportError, LogAuditError, PermanentError, VerificationError
from log_audit.operators.retry import FailFast


def answer(status, code):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "CreateExportTask")


def decision(error):
    return FailFast().evaluate(error, try_number=1, max_tries=4)


def subclasses(root):
    return [root, *(below for child in root.__subclasses__() for below in subclasses(child))]


OURS = [error for error in subclasses(LogAuditError) if error.__module__ == errors.__name__]


def test_every_error_of_the_tree_is_judged_here():
    assert {error.__name__ for error in OURS} == {name for name in vars(errors) if name.endswith("Error")}


@pytest.mark.parametrize("error", [error for error in OURS if issubclass(error, PermanentError)])
def test_our_permanent_errors_fail_at_once_and_say_why(error):
    decided = decision(error("broken"))
    assert decided.action is RetryAction.FAIL
    assert decided.reason.startswith("no retry")


def test_a_role_that_cannot_be_assumed_is_told_with_its_connection():
    words = (
        "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/y"
    )
    told = decision(
        errors.CredentialsError(f"the role cannot be assumed with the Airflow connection 'aws_b' ({words})")
    )
    assert "the Airflow connection 'aws_b'" in told.reason


@pytest.mark.parametrize("error", [error for error in OURS if not issubclass(error, PermanentError)])
def test_our_other_errors_are_tried_again(error):
    assert decision(error("broken")).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidParameterException"),
        (400, "ResourceNotFoundException"),
        (400, "ResourceAlreadyExistsException"),
        (400, "AccessDeniedException"),
        (400, "UnrecognizedClientException"),
        (400, "MalformedQueryException"),
        (403, "AccessDenied"),
        (403, "403"),  # what a HEAD request gets, which has no body
        (404, "NoSuchBucket"),
        (404, "NoSuchKey"),
        (412, "PreconditionFailed"),
        (499, ""),
    ],
)
def test_what_aws_refuses_as_such_fails_at_once(status, code):
    decided = decision(answer(status, code))
    assert decided.action is RetryAction.FAIL
    assert decided.reason.startswith("no retry")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ThrottlingException"),
        (400, "Throttling"),
        (400, "ThrottledException"),
        (400, "RequestThrottled"),
        (400, "RequestThrottledException"),
        (400, "LimitExceededException"),
        (400, "RequestLimitExceeded"),
        (400, "BandwidthLimitExceeded"),
        (400, "RequestTimeout"),
        (400, "RequestTimeoutException"),
        (429, "TooManyRequestsException"),
        (429, "ThrottlingException"),
        (503, "SlowDown"),
        (400, "SlowDown"),
    ],
)
def test_throttling_is_tried_again_whatever_its_status(status, code):
    assert decision(answer(status, code)).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (500, "InternalFailure"), (502, ""), (503, "ServiceUnavailableException"), (504, "504")],
)
def test_faults_of_aws_are_tried_again(status, code):
    assert decision(answer(status, code)).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://logs.ap-northeast-1.amazonaws.com"),
        ConnectTimeoutError(endpoint_url="https://logs.ap-northeast-1.amazonaws.com"),
        ReadTimeoutError(endpoint_url="https://logs.ap-northeast-1.amazonaws.com"),
        NoCredentialsError(),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
        MemoryError(),
        KeyError("response"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_else_goes_wrong_is_tried_again(error):
    assert decision(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    "response", [None, "404", {}, {"Error": {}}, {"ResponseMetadata": {}}, {"Error": {"Code": "NoSuchKey"}}], ids=repr
)
def test_an_answer_that_does_not_tell_its_status_is_tried_again(response):
    error = Exception("odd")
    error.response = response
    assert decision(error).action is RetryAction.DEFAULT


def test_an_error_of_ours_that_comes_from_an_answer_is_judged_as_ours():
    verification = VerificationError("changed while it was being verified")
    verification.__cause__ = answer(503, "SlowDown")
    assert decision(verification).action is RetryAction.FAIL
    export = ExportError("ended FAILED")
    export.__cause__ = answer(400, "InvalidParameterException")
    assert decision(export).action is RetryAction.DEFAULT


@pytest.mark.parametrize("try_number", [1, 4, 5])
def test_a_decision_depends_on_the_error_alone_and_keeps_the_tasks_own_back_off(try_number):
    for error, action in [(answer(404, "NoSuchBucket"), RetryAction.FAIL), (answer(500, "Any"), RetryAction.DEFAULT)]:
        decided = FailFast().evaluate(error, try_number, 4, context=None)
        assert (decided.action, decided.retry_delay) == (action, None)


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "429"), (408, "408"), (409, "OperationAborted"), (400, "ExpiredTokenException")],
)
def test_what_passes_by_itself_is_retried_whatever_its_status(status, code):
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert FailFast().evaluate(ClientError(answer, "HeadObject"), 1, 4).action is RetryAction.DEFAULT


def test_a_missing_right_is_told_in_a_sentence_that_names_the_dags_policy():
    who = "User: arn:aws:sts::123456789012:assumed-role/airflow/Airflow_aws_default"
    said = (
        f"{who} is not authorized to perform: logs:StopQuery on resource: * because no identity-based policy allows it"
    )
    refused = answer(400, "AccessDeniedException")
    refused.args = (said,)
    task = SimpleNamespace(dag_id="insights_checks")
    for error in (refused, ExportError(f"the trigger says: {said}"), VerificationError(said)):
        decided = FailFast().evaluate(error, 1, 4, context={"ti": task})
        assert decided.action is RetryAction.FAIL
        assert decided.reason.startswith("not allowed: logs:StopQuery on * (role airflow of account 123456789012); ")
        assert "InsightsChecksPolicy in include/cloudformation/log_audit.yaml" in decided.reason
