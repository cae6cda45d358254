"""The calls of EventBridge Scheduler, out of CloudTrail's records or out of rows of Athena: the same either way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from log_audit.errors import UnreadableRecordError
from log_audit.schedule_match import Call
from log_audit.window import from_ms, iso, to_ms

AGENT = "AmazonEventBridgeScheduler"  # followed by a comma in older records, by a blank in newer ones


def call_of_record(record: Mapping[str, Any]) -> Call | None:
    """The call that a record of CloudTrail tells of, None unless Scheduler made it.

    :raises UnreadableRecordError: Scheduler made it, and the record lacks what every record has: passed over, a call
        that was made would be told as missing

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    if not str(record.get("userAgent") or "").startswith(AGENT):
        return None
    try:
        return _call(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        named = str(record.get("eventID") or "without an eventID")[:100]
        raise UnreadableRecordError(f"CloudTrail's record {named} is not as AWS writes them: {error!r}") from None


def _call(record: Mapping[str, Any]) -> Call:
    identity = record.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    parameters = record.get("requestParameters") or {}
    time = datetime.fromisoformat(record["eventTime"])
    if time.tzinfo is None:
        raise ValueError("eventTime has no time zone")
    return Call(
        time=from_ms(to_ms(time)),
        role=str(issuer.get("userName") or "") or _role_of(str(identity.get("arn") or "")),
        source=str(record.get("eventSource") or ""),
        event=str(record.get("eventName") or ""),
        error_code=str(record.get("errorCode") or record.get("errorMessage") or "")[:100],
        error_message=str(record.get("errorMessage") or ""),
        started_by=str(parameters.get("startedBy") or "") if isinstance(parameters, Mapping) else "",
        event_id=str(record.get("eventID") or ""),
    )


def _role_of(arn: str) -> str:
    """The role of ``arn:aws:sts::…:assumed-role/<role>/<session>``, for records without a session context."""
    return arn.partition(":assumed-role/")[2].partition("/")[0]


def call_of_row(row: Mapping[str, str]) -> Call:
    """The call of a row of ``scheduler_calls.sql``; a column that is NULL is left out of its row."""
    names = ("role", "source", "event", "error_code", "error_message", "started_by", "event_id")
    return Call(time=datetime.fromisoformat(row["time"]), **{name: row.get(name, "") for name in names})


def executions(calls: Iterable[Call]) -> list[dict[str, str]]:
    """Calls, failures, first and last time of each role, service and event: the rows of scheduler_executions."""
    groups: dict[tuple[str, str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.role, call.source, call.event), []).append(call)
    return [
        {
            "role": role,
            "service": source,
            "event": event,
            "calls": str(len(made)),
            "failures": str(sum(call.failed for call in made)),
            "first_time": iso(min(call.time for call in made)),
            "last_time": iso(max(call.time for call in made)),
        }
        for (role, source, event), made in sorted(groups.items())
    ]
