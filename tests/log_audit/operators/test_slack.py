"""The alert task, when Slack is at odds with it: nobody goes unheard, nothing is told twice."""

from datetime import timedelta

import pytest

from log_audit.errors import AccessError
from log_audit.window import to_ms
from tests.support.check_runs import NOON

MINUTE = timedelta(minutes=1)
WORST = "# title: Worst\n# severity: critical\n# log_group_sets: [app]\nfilter @message like /ERROR/"


@pytest.fixture
def worst(checks):
    """One check whose findings go to two channels, alerts and general."""
    (checks.folder / "errors.insights").unlink()
    checks.write("worst", WORST)
    return checks


def told(aws, channel="alerts"):
    """What was said: the text of each message."""
    return [message["text"] for message in aws.slack_messages(channel)]


def looked(checks, end):
    run = checks.start(end)
    run.plan()
    run.look()
    return run


def test_a_channel_that_refuses_keeps_the_other_from_nothing(worst, aws, arrives):
    aws.configure(slack_channels=["general"])  # alerts, the first of the two, has gone
    arrives(5 * MINUTE)
    with pytest.raises(AccessError, match="alerts refuses"):
        looked(worst, NOON).alert()
    assert len(told(aws, "general")) == 1
    assert worst.remembered("worst")["watermark"] == to_ms(NOON - 2 * MINUTE)
    looked(worst, NOON + 5 * MINUTE).alert()
    assert "recovered" in told(aws, "general")[1]


def test_when_every_channel_refuses_the_window_waits(worst, aws, arrives):
    aws.configure(slack_channels=["elsewhere"])
    arrives(5 * MINUTE)
    with pytest.raises(AccessError):
        looked(worst, NOON).alert()
    aws.configure(slack_channels=["alerts", "general"])
    looked(worst, NOON + 5 * MINUTE).alert()
    assert [len(told(aws, channel)) for channel in ("alerts", "general")] == [1, 1]


@pytest.mark.parametrize("scope", ["regular", "late"])
def test_two_failed_runs_that_are_cleared_tell_an_event_once(checks, aws, arrives, scope):
    """The second had planned the first one's window too."""
    late = timedelta(hours=1) if scope == "late" else timedelta(seconds=1)
    checks.run(NOON - 5 * MINUTE, scope=scope)
    arrives(5 * MINUTE, late=late)
    runs = []
    for end in (NOON, NOON + 5 * MINUTE):
        run = checks.start(end, scope=scope)
        run.plan()
        runs.append(run)
    for run in runs:
        run.look()
        run.alert()
    [message] = told(aws)
    assert "*1* finding" in message
    checks.run(NOON + 10 * MINUTE, scope=scope)
    if scope == "regular":
        assert "*1* in all" in told(aws)[1]


def test_a_deleted_message_is_replaced_and_the_thread_goes_on_there(checks, aws, arrives):
    arrives(5 * MINUTE)
    checks.run(NOON)
    for _ in range(20):
        arrives(-1 * MINUTE)
    aws.fault("slack.chat.postMessage", status=200, error="thread_not_found")
    checks.run(NOON + 5 * MINUTE)
    opened, again = aws.slack_messages("alerts")
    assert "still going on" in again["text"]
    assert again["thread_ts"] is None
    checks.run(NOON + 10 * MINUTE)
    recovered = aws.slack_messages("alerts")[-1]
    assert "*21* in all" in recovered["text"]
    assert recovered["thread_ts"] == again["ts"] != opened["ts"]


def test_blocks_that_slack_refuses_are_told_as_text(checks, aws, arrives):
    arrives(5 * MINUTE)
    aws.fault("slack.chat.postMessage", status=200, error="msg_blocks_too_long")
    checks.run(NOON)
    [message] = aws.slack_messages("alerts")
    assert "Errors of the app" in message["text"]
    assert not message["blocks"]


def test_an_incident_does_not_recover_because_its_log_group_has_gone(checks, aws, aws_client, arrives):
    arrives(5 * MINUTE)
    checks.run(NOON)
    aws_client("logs").delete_log_group(logGroupName="/app")
    checks.run(NOON + 5 * MINUTE)
    assert [("recovered" in text, "cannot look" in text) for text in told(aws)] == [(False, False), (False, True)]
    assert checks.remembered()["incident"]["total"] == 1


def told_by(run):
    """What the asset event says."""
    [event] = run.run.events.values()
    return event.extra


def test_the_link_to_the_message_is_kept_with_the_incident_and_told_by_the_event(checks, aws, arrives):
    arrives(5 * MINUTE)
    run = looked(checks, NOON)
    run.alert()
    [message] = aws.slack_messages("alerts")
    link = told_by(run)["looks"][0]["slack"]
    assert link.endswith(f"/p{message['ts'].replace('.', '')}")
    assert checks.remembered("errors")["incident"]["link"] == link


def test_no_link_is_no_failure(checks, aws, arrives):
    aws.fault("slack.chat.getPermalink", error="internal_error", times=9)
    arrives(5 * MINUTE)
    run = looked(checks, NOON)
    run.alert()
    assert len(told(aws)) == 1
    assert "slack" not in told_by(run)["looks"][0]
