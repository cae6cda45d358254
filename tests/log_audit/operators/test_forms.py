"""What a person fills into a trigger form is what a run does, and nothing beside it."""

from datetime import timedelta

import pytest
from airflow.sdk.exceptions import ParamValidationError

from log_audit import forms
from log_audit.errors import InvalidKeyError
from log_audit.window import from_ms
from tests.log_audit.operators.archive_line import MONTH, Line
from tests.support.check_runs import NOON


def context(key=None, **params):
    return {"partition_key": key, "params": params}


# Which window


@pytest.mark.parametrize(
    ("key", "params", "found"),
    [
        (None, {}, None),
        (None, {"month": None}, None),
        (None, {"month": "2026-10"}, "2026-10"),
        ("2026-10", {"month": None}, "2026-10"),
        ("2026-10", {"month": "2026-10"}, "2026-10"),
    ],
)
def test_a_run_has_its_partition_key_or_what_its_form_says(key, params, found):
    assert forms.run_key(context(key, **params), "month") == found


def test_a_key_and_a_form_that_differ_are_an_error_that_names_both():
    with pytest.raises(InvalidKeyError, match="partition key is 2026-10, and its form says month: 2026-09"):
        forms.run_key(context("2026-10", month="2026-09"), "month")


@pytest.mark.parametrize("wrong", ["2026-13", "2026-1", "October", "2026-10-01", ""])
def test_a_form_refuses_what_is_no_month(wrong):
    with pytest.raises(ParamValidationError):
        forms.month()["month"].resolve(wrong)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (forms.month()["month"], "2026-10"),
        (forms.month()["month"], None),
        (forms.day()["day"], "2026-11-19"),
        (forms.delivered_window(["a/2026-11-20T09"])["window"], "orders/2026-11-20T09"),
        (forms.delivered_window(["a/2026-11-20"])["window"], "orders/2026-11-20"),
        (forms.targets(["tokyo"])["targets"], ["tokyo"]),
        (forms.targets([])["targets"], []),
        (forms.span()["from"], "2026-11-20T09:00:00+09:00"),
    ],
)
def test_a_form_takes_what_it_asks_for(param, value):
    assert param.resolve(value) == value


def test_a_form_takes_no_target_that_the_settings_do_not_have():
    with pytest.raises(ParamValidationError):
        forms.targets(["tokyo"])["targets"].resolve(["osaka"])


def test_a_run_that_names_nothing_is_for_everything():
    assert forms.is_wanted(context(), "targets", "tokyo")
    assert forms.is_wanted(context(targets=[]), "targets", "tokyo")
    assert forms.is_wanted(context(targets=["tokyo"]), "targets", "tokyo")
    assert not forms.is_wanted(context(targets=["osaka"]), "targets", "tokyo")


# What the plans make of it


def test_the_archive_takes_its_month_from_the_form(aws, group):
    [job] = Line({"name": "/app"}, month=None, params={"month": "2026-09"}).plan()
    assert job["month"] == "2026-09"


def test_a_dry_run_of_the_archive_names_the_log_groups_and_exports_none(aws, group, capsys):
    assert Line({"name": "/app"}, params={"dry_run": True}).plan() == []
    said = capsys.readouterr()
    assert "/app -> s3://" in said.out + said.err
    assert f"month {MONTH}" in said.out + said.err


def test_the_archive_of_a_target_that_the_form_leaves_out_is_left_alone(aws, group):
    assert Line({"name": "/app"}, params={"targets": ["osaka"]}).plan() == []
    assert len(Line({"name": "/app"}, params={"targets": ["tokyo", "osaka"]}).plan()) == 1


SPAN = {"from": "2026-11-20T09:00", "to": "2026-11-20T10:30:00+09:00"}


def test_checks_look_at_the_span_of_the_form_in_business_time(checks):
    run = checks.start(NOON, run_type="manual", params=SPAN)
    [planned] = run.plan()
    start, end = (from_ms(planned["look"][name]) for name in ("start", "end"))
    assert (start.isoformat(), end - start) == ("2026-11-20T00:00:00+00:00", timedelta(minutes=90))
    assert checks.remembered() == {}


def test_a_scheduled_run_of_the_checks_follows_its_watermark_whatever_a_form_says(checks):
    [planned] = checks.start(NOON, params=SPAN).plan()
    assert from_ms(planned["look"]["end"]) == NOON - timedelta(minutes=2)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"from": "2026-11-20T09:00"}, "give both, or neither"),
        ({"to": "2026-11-20T09:00"}, "give both, or neither"),
        ({"from": "2026-11-20T09:00", "to": "2026-11-20T09:00"}, "does not lie before to"),
        ({"from": "nine", "to": "2026-11-20T09:00"}, "'nine' is no time"),
    ],
)
def test_a_span_that_is_none_is_refused(checks, params, said):
    with pytest.raises(InvalidKeyError, match=said):
        checks.start(NOON, run_type="manual", params=params).plan()


def test_checks_can_be_asked_for_by_name_and_target(checks):
    assert len(checks.start(NOON, run_type="manual", params={"queries": ["errors"]}).plan()) == 1
    assert checks.start(NOON, run_type="manual", params={"queries": ["other"]}).plan() == []
    assert checks.start(NOON, run_type="manual", params={"targets": ["osaka"]}).plan() == []


def test_a_look_shows_its_query_and_links_to_it(checks, arrives):
    arrives(timedelta(minutes=4))
    run = checks.start(NOON)
    [planned] = run.plan()
    task = run.look_task(planned)
    run.run.execute(lambda: task, 0)
    assert "@ingestionTime" in task.query_text
    assert "like /ERROR/" in task.query_text
    link = run.run.xcoms["look", 0, "_link_InsightsLink"]
    assert link.startswith("https://ap-northeast-1.console.aws.amazon.com/cloudwatch/home?region=ap-northeast-1#logsV2")
