"""The page in a real browser, in the real Airflow, on what the pipelines did with the stand-in."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from local_aws.airflow import slack_connection
from local_aws.run import scheduled_run
from log_audit.window import Window, month_keys_before, to_ms
from tests.e2e.conftest import unpause
from tests.support import page_db
from tests.support.browser import NoBrowser, launch
from tests.support.page_visitor import NARROW, WIDE, visiting

pytestmark = pytest.mark.e2e

REGION = "ap-northeast-1"
BUCKET = "page-archive"
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: {REGION}
    archive: {{bucket: {BUCKET}, log_groups: [{{name: /api}}, {{name: /box}}]}}
    aurora:
      location: s3://log-audit-aurora/audit
      clusters:
        aurora-00: {{ecs_cluster: batch, command: [aurora-00]}}
        aurora-01: {{ecs_cluster: batch, command: [aurora-01]}}
    cloudtrail: {{location: s3://log-audit-trail/AWSLogs, accounts: ["123456789012"], regions: [{REGION}]}}
    log_group_sets:
      api_gateway: [{{name: /api}}]
      lambda: [{{name: /api}}]
      ecs: [{{name: /box}}]
      scheduler_calls: [{{name: /api}}]
export: {{settle_hours: 0, poll_seconds: 1}}
slack: {{failures: [log-audit]}}
"""
USERS = {"admin": "admin", "op": "op", "eve": "viewer", "zoe": ""}
VIEWS = ("archive", "audits", "checks", "findings", "schedules", "cost")
RTL, LONG = "\u202etxt.exe\u202c مرحبا", "x" * 2000
HOSTILE = f"ERROR <img src=x onerror=alert(1)><script>alert(2)</script> {RTL} {LONG}"
BEFORE = month_keys_before(datetime.now(UTC), "Asia/Tokyo")
LAST, SECOND, THIRD = (next(BEFORE) for _ in range(3))
# A dot for the slash, which ends a pattern of Playwright. From the 16th on, a month is final at once.
ARCHIVED = re.compile(f"{LAST}, .api: (final|provisional)")


@pytest.fixture(scope="module")
def airflow(control, boot):
    """Last month archived, the one before it missing; a check that met hostile text; some days of everything else."""
    control.configure(slack_channels=["log-audit", "log-audit-critical"])
    for group in ("/api", "/box"):
        control.create_log_group(group, region=REGION, creation_time_ms=to_ms(datetime.now(UTC) - timedelta(days=400)))
        for month in (LAST, SECOND, THIRD):
            middle = to_ms(Window.month(month, "Asia/Tokyo").start + timedelta(days=9))
            events = [{"timestamp": middle + n, "message": f"line {n}", "ingestionTime": middle + n} for n in range(5)]
            control.put_events(group, "s", events, region=REGION)
    prepare_bucket(control)
    airflow = boot(SETTINGS, USERS, AIRFLOW_CONN_SLACK_DEFAULT=slack_connection(control.endpoint))
    unpause(airflow, "monthly_log_export")
    run_id = airflow.trigger("monthly_log_export", LAST)
    assert airflow.wait_for_run("monthly_log_export", run_id, 240) == "success"
    look_at_hostile_text(airflow, control)
    engine = create_engine(f"sqlite:///{airflow.home}/airflow.db?timeout=60")
    with Session(engine) as session, session.begin():
        page_db.Year(datetime.now(UTC), groups=0, clusters=2, days=3).fill(session)
    airflow.api("PATCH", "dags/monthly_log_export", json={"is_paused": True})
    return airflow


def prepare_bucket(control):
    import boto3

    from log_audit.archive import export_statements

    where = {"endpoint_url": control.endpoint, "region_name": REGION}
    s3 = boto3.client("s3", aws_access_key_id="t", aws_secret_access_key="t", **where)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    policy = {"Version": "2012-10-17", "Statement": export_statements(BUCKET, REGION, "123456789012")}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def look_at_hostile_text(airflow, control):
    """The scheduled run of the checks, over an event whose text is hostile; it opens an incident in Slack."""
    if 300 - time.time() % 300 < 60:
        time.sleep(61)  # the interval must not end before the run is made
    boundary = datetime.fromtimestamp(time.time() // 300 * 300, UTC)
    arrival = to_ms(boundary - timedelta(minutes=3))
    event = {"timestamp": arrival, "message": HOSTILE, "ingestionTime": arrival}
    control.put_events("/box", "s", [event], region=REGION)
    unpause(airflow, "insights_checks")
    assert airflow.wait_for_run("insights_checks", scheduled_run(airflow, "insights_checks"), 400) == "success"
    airflow.api("PATCH", "dags/insights_checks", json={"is_paused": True})


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowser as reason:
            pytest.fail(str(reason))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, airflow):
    return lambda user="admin", **options: visiting(browser, airflow, user, **options)


def serious(page):
    """What axe calls serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        (entry["id"], [node["target"] for node in entry["nodes"]][:3])
        for entry in found
        if entry["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_sound_in_both_themes_and_widths(visit, theme, width):
    with visit(theme=theme, width=width) as visitor:
        for view in VIEWS:
            page = visitor.open(f"?view={view}")
            page.wait_for_load_state("networkidle")
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            assert serious(page) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_on_a_phone_the_days_are_scrolled_to_the_chosen_one(visit):
    with visit(width=NARROW) as visitor:
        page = visitor.open("?view=audits")
        expect(page.locator("th.today").first).to_be_in_viewport(ratio=0.9)


def test_the_page_is_in_airflows_navigation_and_its_places_have_addresses(visit):
    with visit() as visitor:
        page = visitor.page
        page.goto(visitor.airflow.url)
        page.get_by_role("link", name="Log audit").click()
        frame = page.frame_locator("iframe[title='Log audit']")
        frame.get_by_role("link", name="Audits").click()
        expect(frame.get_by_role("heading", name="Aurora: clusters by day")).to_be_visible(timeout=30_000)
        page.wait_for_url(re.compile(r"/plugin/log-audit/.*view=audits"))
        page.reload()
        expect(frame.get_by_role("heading", name="Aurora: clusters by day")).to_be_visible(timeout=30_000)
        assert "view=audits" in page.url


def test_it_follows_airflows_theme(visit):
    with visit(theme="dark") as visitor:
        frame = visitor.open_inside()
        root = frame.locator("html")
        expect(root).to_have_attribute("data-theme", "dark")
        visitor.page.evaluate("document.documentElement.classList.replace('dark', 'light')")
        expect(root).to_have_attribute("data-theme", "light")


def test_links_leave_airflows_frame(visit):
    with visit() as visitor:
        frame = visitor.open_inside()
        frame.get_by_role("gridcell", name=ARCHIVED).click()
        frame.get_by_role("link", name="Run of monthly_log_export").click()
        visitor.page.wait_for_url(re.compile(r"/dags/monthly_log_export/runs/"))


def test_a_link_to_another_site_opens_beside_airflow(visit, control):
    with visit() as visitor:
        frame = visitor.open_inside("plugin/log-audit/log-audit/?view=findings&query=ecs_task_errors&text=onerror")
        frame.locator("a.find").first.click()
        visitor.page.context.route("**/slack/**", lambda route: route.fulfill(body="Slack"))
        with visitor.page.context.expect_page() as opened:
            frame.get_by_role("link", name="Slack message").click()
        opened.value.wait_for_load_state()
        assert opened.value.url.startswith(f"{control.endpoint}/slack/archives/")


def test_what_is_wrong_comes_first(visit):
    with visit() as visitor:
        page = visitor.open()
        expect(page.locator(".headline h2")).to_have_text("11 months are missing")
        expect(page.get_by_role("gridcell", name=ARCHIVED)).to_contain_text("5")


def test_a_cell_tells_of_its_manifest_run_and_bucket(visit):
    with visit("eve") as visitor:
        page = visitor.open()
        page.get_by_role("gridcell", name=ARCHIVED).click()
        sheet = page.get_by_role("dialog")
        expect(sheet).to_contain_text(f"s3://{BUCKET}/{LAST.replace('-', '/')}/api/manifest.json", timeout=20_000)
        console = sheet.get_by_role("link", name="Manifest in the S3 console").get_attribute("href")
        assert console.startswith(f"https://{REGION}.console.aws.amazon.com/s3/object/{BUCKET}")
        assert f"cell=tokyo%3A%2Fapi%3A{LAST}" in page.url
        page.reload()
        expect(page.get_by_role("dialog")).to_contain_text("Exported")


def test_what_one_opens_while_the_bucket_is_looked_into_stays_open_and_what_one_closes_stays_closed(visit):
    with visit() as visitor:
        held = []
        visitor.page.route("**/api/archive?*stored=true*", lambda route: held.append(route))
        page = visitor.open()
        page.get_by_role("gridcell", name=ARCHIVED).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        let_through(page, held)
        expect(page.get_by_role("dialog")).to_be_visible()
        page.reload()
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        let_through(page, held)
        expect(page.get_by_role("dialog")).to_be_hidden()


def let_through(page, held):
    """The answer that was held comes, and is drawn."""
    looking = page.get_by_text("Looking into the bucket")
    expect(looking).to_be_visible()
    held.pop().continue_()
    expect(looking).to_be_hidden(timeout=30_000)


def test_the_grid_is_walked_by_keyboard_and_read_aloud(visit):
    with visit() as visitor:
        page = visitor.open()
        page.get_by_role("gridcell", name=f"{LAST}, /api").focus()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("gridcell", name=re.compile(f"{LAST}, .box: (final|provisional)"))).to_be_focused()
        expect(page.locator("#tip")).to_contain_text("5 events")
        page.keyboard.press("Home")
        expect(page.locator("td:focus")).to_have_attribute("aria-label", re.compile("missing"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("td:focus")).to_have_count(1)


def test_times_are_told_in_the_zone_that_one_chooses(visit):
    with visit() as visitor:
        page = visitor.open("?view=findings&query=ecs_task_errors&text=onerror")
        expect(page.locator(".find").first).to_contain_text("JST")
        page.get_by_label("Times in").select_option("utc")
        expect(page.locator(".find").first).to_contain_text("UTC")
        assert "zone=utc" in page.url
        page.get_by_label("Times in").select_option("browser")
        expect(page.locator(".find").first).to_contain_text(re.compile(r"GMT\+[12]|CES?T"))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_hostile_text_is_only_text(visit, width):
    with visit(width=width) as visitor:
        page = visitor.open("?view=findings&query=ecs_task_errors&text=onerror")
        page.locator("a.find").first.click()
        sample = page.locator("#sheet .sample")
        expect(sample).to_contain_text("<img src=x onerror=alert(1)><script>alert(2)</script>")
        expect(sample).to_contain_text("مرحبا")
        assert page.locator("#sheet img, #sheet script").count() == 0
        assert sample.locator("bdi[dir=auto]").count() >= 2
        assert page.evaluate("document.querySelector('#sheet').scrollWidth") <= width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page) == []


def test_who_is_not_signed_in_is_told_so(browser, airflow):
    with visiting(browser, airflow, None) as visitor:
        page = visitor.open()
        expect(page.get_by_role("alert")).to_contain_text("You are signed out")
        visitor.troubles.clear()  # the browser notes the 401 in its console


def test_who_may_not_see_it_is_told_so(browser, airflow):
    with visiting(browser, airflow, "zoe") as visitor:
        page = visitor.open()
        expect(page.get_by_role("alert")).to_contain_text("You may not see this")
        visitor.troubles.clear()  # and the 403


def test_airflow_answers_strangers_with_401_and_403(airflow):
    import requests

    for view in ("archive", "audits", "checks", "findings", "schedules", "cost"):
        url = f"{airflow.url}/log-audit/api/{view}"
        assert requests.get(url, timeout=30).status_code == 401
        assert airflow.session("zoe").get(url, timeout=30).status_code == 403
        assert airflow.session("eve").get(url, timeout=30).status_code == 200


def test_a_viewer_is_offered_no_backfill(visit):
    with visit("eve") as visitor:
        page = visitor.open()
        expect(page.locator(".headline h2")).to_have_text("11 months are missing")
        assert page.get_by_role("checkbox", name=re.compile("Mark ")).count() == 0
        page.get_by_role("gridcell", name=f"{SECOND}, /api: missing").click()
        assert page.get_by_role("button", name=re.compile("Backfill")).count() == 0


def test_an_operator_backfills_a_missing_month_and_sees_it_turn_verified(visit):
    with visit("op") as visitor:
        page = visitor.open()
        page.get_by_role("checkbox", name=f"Mark {SECOND} for a backfill").check()
        page.get_by_role("button", name="Backfill 1 month …").click()
        dialog = page.get_by_role("dialog")
        months = dialog.get_by_role("list", name="Months that would run").get_by_role("listitem")
        expect(months).to_have_text([SECOND], timeout=20_000)
        expect(dialog.get_by_role("checkbox", name=re.compile("Un-pause"))).to_be_checked()
        dialog.get_by_role("button", name="Start 1 run").click()
        expect(dialog).to_contain_text("The backfill has started", timeout=20_000)
        dialog.get_by_role("button", name="Close").click()
        for group in ("/api", "/box"):
            cell = page.get_by_role("gridcell", name=re.compile(f"{SECOND}, .{group[1:]}: (final|provisional)"))
            expect(cell).to_be_visible(timeout=240_000)
        expect(page.locator(".headline h2")).to_have_text("10 months are missing")


def test_what_airflow_has_purged_is_known_from_the_bucket(visit, airflow):
    """``airflow db clean`` removes asset events and runs; the manifests stay."""
    with sqlite3.connect(airflow.home / "airflow.db", timeout=60) as database:
        database.execute("delete from asset_event where source_dag_id = 'monthly_log_export'")
        database.execute("delete from dag_run where dag_id = 'monthly_log_export'")
    with visit("eve") as visitor:
        page = visitor.open()
        for month in (LAST, SECOND):
            cell = page.get_by_role("gridcell", name=re.compile(f"{month}, .api: (final|provisional)"))
            expect(cell).to_be_visible(timeout=150_000)  # the page asks each minute, and the bucket's answers are kept


def test_a_bucket_that_cannot_be_read_is_said_to_be_so(visit, airflow, control):
    control.fault("s3.ListObjectsV2", error="AccessDenied", status=403, times=99)
    with visit("eve") as visitor:
        page = visitor.open("?months=24")
        expect(page.locator("#view")).to_contain_text(f"The bucket {BUCKET} cannot be read", timeout=60_000)
    control.clear_faults()
