"""What AWS refuses for want of a right, as a sentence that says what to add and where. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from log_audit.errors import CredentialsError

TEMPLATE = "include/cloudformation/log_audit.yaml"
BEGIN = "not allowed: "
# As the services word it, and as S3 and Athena quote each other.
REFUSED = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^\s\")]+)\"?)?(?: with an (?P<deny>explicit deny in an? [\w -]+))?"
)
# CloudWatch Logs asks its caller for the right to write to the bucket, and does not say to whom it spoke.
EXPORT_REFUSED = re.compile(r"CreateExportTask caller has been granted (?P<action>s3:PutObject) access")
ROLE = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/")


@dataclass(frozen=True)
class Refusal:
    """A right that a call lacked.

    :param who: the ARN of the caller, as AWS names it; None where AWS does not
    :param deny: what forbids it, where it is not merely allowed nowhere
    """

    action: str
    resource: str | None = None
    who: str | None = None
    deny: str | None = None

    def sentence(self, dag_id: str | None) -> str:
        """What is not allowed, to whom, and what to do about it.

        :param dag_id: the DAG whose policy lacks the right
        """
        where = f" on {self.resource}" if self.resource else ""
        whom = f" ({_named(self.who)})" if self.who else ""
        return f"{BEGIN}{self.action}{where}{whom}; {self._remedy(dag_id)}"

    def _remedy(self, dag_id: str | None) -> str:
        if self.deny:
            return f"an {self.deny} forbids it, and no other policy can allow it: mend that one"
        if self.action.lower() == "sts:assumerole":
            return (
                "the role of the Airflow connection must exist, and its trust policy name who runs Airflow and the "
                f"connection's ExternalId: AirflowPrincipalArn and ExternalId of {TEMPLATE}"
            )
        policy = policy_of(dag_id) if dag_id else "the policy of this DAG"
        return f"add it to {policy} in {TEMPLATE}, and deploy that again"


def policy_of(dag_id: str) -> str:
    """The name in the template of what a DAG may do: ``InsightsChecksPolicy``."""
    return "".join(part.capitalize() for part in dag_id.split("_")) + "Policy"


def read_refusal(text: str) -> Refusal | None:
    """The refusal that a text of AWS, or one that quotes it, tells of."""
    if found := REFUSED.search(text):
        return Refusal(found["action"], found["resource"], found["who"], found["deny"])
    if found := EXPORT_REFUSED.search(text):
        return Refusal(found["action"])
    return None


def sentence_of(error: BaseException, dag_id: str | None = None) -> str | None:
    """What an error says of a right that was lacking, be it in its own words or in those of its causes.

    What became of the credentials themselves is told better by the error that says so.
    """
    if isinstance(error, CredentialsError):
        return None
    for text in map(str, _with_causes(error)):
        if BEGIN in text:
            return text[text.index(BEGIN) :].rstrip(".")
        if refusal := read_refusal(text):
            return refusal.sentence(dag_id)
    return None


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _named(arn: str) -> str:
    found = ROLE.match(arn)
    return f"role {found[2]} of account {found[1]}" if found else arn
