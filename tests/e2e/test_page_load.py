"""One year of everything: 105,000 windows of checks, 8,760 hours of ten clusters, twelve months of 200 log groups."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import sync_playwright
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.support import page_db
from tests.support.browser import NoBrowser, launch
from tests.support.page_visitor import visiting

pytestmark = pytest.mark.e2e

NAMES = [page_db.cluster(number) for number in range(10)]
CLUSTERS = "\n".join(f"        {name}: {{ecs_cluster: batch, command: [{name}]}}" for name in NAMES)
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {{bucket: log-audit-archive, prefix: logs, log_groups: [{{name_prefix: /aws/lambda/}}]}}
    aurora:
      location: s3://log-audit-aurora/audit
      clusters:
{CLUSTERS}
    cloudtrail: {{location: s3://log-audit-trail/AWSLogs, accounts: ["123456789012"], regions: [ap-northeast-1]}}
    log_group_sets:
      api_gateway: [{{name: /api}}]
      lambda: [{{name: /fn}}]
      ecs: [{{name: /box}}]
      scheduler_calls: [{{name: /calls}}]
"""
VIEWS = ("archive", "audits", "checks", "findings", "schedules", "cost")
LIMIT = 2.0  # seconds, of the first view of each kind, the best of three: the machine has other things to do
NODES = 12_000


@pytest.fixture(scope="module")
def airflow(boot):
    airflow = boot(SETTINGS)
    engine = create_engine(f"sqlite:///{airflow.home}/airflow.db?timeout=60")
    with Session(engine) as session, session.begin():
        rows = page_db.Year(datetime.now(UTC)).fill(session)
    print(rows)
    assert (rows["months"], rows["checks"]) == (2400, 105_120)
    assert rows["deliveries"] > 87_000
    # Airflow's other parts would only compete for the machine.
    for name in ("scheduler", "triggerer", "dag-processor"):
        airflow.kill_component(name)
    return airflow


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowser as reason:
            pytest.fail(str(reason))
        yield browser
        browser.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_year_is_on_the_screen_within_two_seconds(browser, airflow, view):
    took = []
    with visiting(browser, airflow) as visitor:
        for _ in range(3):
            visitor.page.goto("about:blank")
            started = time.perf_counter()
            visitor.open(f"?view={view}")
            took.append(time.perf_counter() - started)
        nodes = visitor.page.evaluate("document.querySelectorAll('*').length")
    print(f"{view}: {', '.join(f'{seconds:.2f} s' for seconds in took)}; {nodes:,} nodes")
    assert min(took) < LIMIT
    assert nodes < NODES


def test_a_grid_of_200_log_groups_scrolls_smoothly(browser, airflow):
    """The frames between steps of scrolling; a browser without a graphics card draws them itself."""
    with visiting(browser, airflow) as visitor:
        page = visitor.open()
        gaps = page.evaluate(
            """async () => {
                const gaps = [];
                let last = performance.now();
                for (let step = 0; step < 60; step += 1) {
                    window.scrollBy(0, 90);
                    await new Promise(requestAnimationFrame);
                    gaps.push(performance.now() - last);
                    last = performance.now();
                }
                return gaps.sort((a, b) => a - b);
            }"""
        )
    print(f"frames while scrolling: median {gaps[30]:.0f} ms, slowest {gaps[-1]:.0f} ms")
    assert gaps[30] < 50
