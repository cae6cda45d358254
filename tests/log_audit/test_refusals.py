"""What a missing right is told as."""

import pytest
from cfnlint.decode.cfn_yaml import load as read_template

from log_audit.errors import AccessError, ExportError
from log_audit.refusals import TEMPLATE, policy_of, read_refusal, sentence_of
from log_audit.settings import DEFAULT_FILE

WHO = "arn:aws:sts::123456789012:assumed-role/log-audit-airflow-ap-northeast-1/Airflow_aws_default"
GROUP = "arn:aws:logs:ap-northeast-1:123456789012:log-group:/app:log-stream:"
LOGS = (
    f"An error occurred (AccessDeniedException) when calling the StartQuery operation: User: {WHO} is not authorized "
    f"to perform: logs:StartQuery on resource: {GROUP} because no identity-based policy allows the logs:StartQuery "
    "action"
)
NAMED = "role log-audit-airflow-ap-northeast-1 of account 123456789012"


@pytest.mark.parametrize(
    ("text", "action", "resource"),
    [
        (LOGS, "logs:StartQuery", GROUP),
        (
            f'User: {WHO} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k x" because no',
            "s3:GetObject",
            "arn:aws:s3:::b/k",
        ),
        (
            f"User: {WHO} is not authorized to perform: cloudtrail:LookupEvents on resource: * because no",
            "cloudtrail:LookupEvents",
            "*",
        ),
        (f"User: {WHO} is not authorized to perform: sts:GetSessionToken", "sts:GetSessionToken", None),
        (
            f"COLUMN_X: Insufficient permissions: User: {WHO} is not authorized to perform: glue:GetTable on resource: "
            "arn:aws:glue:r:1:table/d/t because no identity-based policy allows it (Service: AmazonDataCatalog)",
            "glue:GetTable",
            "arn:aws:glue:r:1:table/d/t",
        ),
    ],
)
def test_aws_words_are_read(text, action, resource):
    refusal = read_refusal(text)
    assert (refusal.action, refusal.resource, refusal.who) == (action, resource, WHO)


@pytest.mark.parametrize("text", ["", "Access Denied", "Rate exceeded", "not authorized to perform", "403"])
def test_other_words_are_no_refusal(text):
    assert read_refusal(text) is None


def test_the_sentence_says_what_to_add_and_where():
    assert sentence_of(AccessError(LOGS), "insights_checks") == (
        f"not allowed: logs:StartQuery on {GROUP} ({NAMED}); add it to InsightsChecksPolicy in "
        "include/cloudformation/log_audit.yaml, and deploy that again"
    )
    assert "add it to the policy of this DAG in" in sentence_of(AccessError(LOGS))


def test_what_an_explicit_deny_forbids_cannot_be_added():
    text = LOGS.partition(" because")[0] + " with an explicit deny in a service control policy"
    told = sentence_of(AccessError(text), "insights_checks")
    assert "add it" not in told
    assert told.endswith("an explicit deny in a service control policy forbids it, and no other policy can allow it: "
                         "mend that one")  # fmt: skip


def test_a_role_that_cannot_be_assumed_wants_its_trust_mended():
    role = "arn:aws:iam::111111111111:role/far"
    told = sentence_of(AccessError(f"User: {WHO} is not authorized to perform: sts:AssumeRole on resource: {role}"))
    assert told.startswith(f"not allowed: sts:AssumeRole on {role} (")
    assert "trust policy" in told


def test_the_causes_of_an_error_are_read_too():
    try:
        try:
            raise OSError(LOGS)
        except OSError as error:
            raise ExportError("no export") from error
    except ExportError as error:
        assert sentence_of(error, "monthly_log_export").startswith("not allowed: logs:StartQuery")
    assert sentence_of(ExportError("no export"), "x") is None
    told = sentence_of(AccessError(LOGS), "insights_checks")
    assert sentence_of(AccessError(told), "another_dag") == told  # what is a sentence already stays it
    circle = ExportError("a")
    circle.__cause__ = circle
    assert sentence_of(circle) is None


def test_an_export_that_may_not_write_says_where():
    words = "Please ensure that the CreateExportTask caller has been granted s3:PutObject access to the bucket."
    assert read_refusal(words).action == "s3:PutObject"


def test_the_template_has_the_policies_that_sentences_name():
    file = DEFAULT_FILE.parents[1] / TEMPLATE
    resources = read_template(str(file))["Resources"]
    policies = {name: entry for name, entry in resources.items() if entry["Type"] == "AWS::IAM::ManagedPolicy"}
    assert {name: entry["Metadata"]["Dag"] for name, entry in policies.items()} == {
        policy_of(entry["Metadata"]["Dag"]): entry["Metadata"]["Dag"] for entry in policies.values()
    }
    dags = {file.stem for file in (DEFAULT_FILE.parents[1] / "dags").glob("*.py")}
    assert dags - {entry["Metadata"]["Dag"] for entry in policies.values()} == {"aurora_replay"}
