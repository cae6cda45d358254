"""Pictures of the page and of an alert, from the real thing, for the README: ``make pictures``.

``make run`` must be running in this folder, with the same AIRFLOW_PORT and LOCAL_AWS_PORT, and be through its tables.
Some earlier months are archived first, so that there is something to see: a few minutes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import sync_playwright

from tests.support.browser import launch

HERE = Path(__file__).parent
STATE = HERE.parent / ".local" / "airflow"
AIRFLOW = f"http://127.0.0.1:{os.environ.get('AIRFLOW_PORT', '8080')}"
SLACK = f"http://127.0.0.1:{os.environ.get('LOCAL_AWS_PORT', '4566')}/slack/"
DAG = "monthly_log_export"
SIZE = {"width": 1280, "height": 800}


def main() -> int:
    try:
        password = json.loads((STATE / "passwords.json").read_text())["admin"]
        login = {"username": "admin", "password": password}
        token = requests.post(f"{AIRFLOW}/auth/token", json=login, timeout=30).json()["access_token"]
        archive_earlier_months(token)
    except (OSError, ValueError, KeyError) as error:
        print(f"There is no Airflow to take pictures of ({error}). Start `make run`, wait for its tables, try again.")
        return 1
    (HERE / "pictures").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for theme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, color_scheme=theme)
            context.add_init_script(f"try {{ localStorage.setItem('theme', '{theme}') }} catch {{}}")
            context.add_cookies([{"name": "_token", "value": token, "url": AIRFLOW}])
            for view in ("archive", "checks", "findings"):
                page_picture(context, view, theme)
        alert_picture(browser.new_context(viewport=SIZE, device_scale_factor=1.2))
        browser.close()
    return 0


def archive_earlier_months(token: str) -> None:
    """A backfill of some months; what is archived already is not exported again."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    last = datetime.now(UTC) - timedelta(days=65)
    first = last - timedelta(days=200)
    span = {"from_date": f"{first:%Y-%m}-01T00:00:00Z", "to_date": f"{last:%Y-%m}-28T00:00:00Z"}
    how = {"max_active_runs": 1, "run_backwards": False, "reprocess_behavior": "none"}
    wanted = {"dag_id": DAG, **span, **how}
    session.post(f"{AIRFLOW}/api/v2/backfills", json=wanted, timeout=60)
    until = time.monotonic() + 900
    while time.monotonic() < until:
        runs = session.get(f"{AIRFLOW}/api/v2/dags/{DAG}/dagRuns", params={"limit": 100}, timeout=60).json()["dag_runs"]
        left = sum(run["state"] in ("queued", "running") for run in runs)
        if not left:
            return
        print(f"{left} months are being archived ...", flush=True)
        time.sleep(10)


def page_picture(context: Any, view: str, theme: str) -> None:
    """A view within Airflow's UI."""
    page = context.new_page()
    page.goto(f"{AIRFLOW}/plugin/log-audit/log-audit/?view={view}")
    frame = page.frame_locator("iframe[title='Log audit']")
    frame.locator(".headline").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)  # until the page says that it looks for manifests
    frame.get_by_text("Looking into the bucket").wait_for(state="hidden", timeout=60_000)
    save(page, f"{view}-{theme}")


def alert_picture(context: Any) -> None:
    """The alert of the incident that make run puts into the sample logs."""
    page = context.new_page()
    page.goto(SLACK)
    message = page.locator("article").filter(has_text="fails too often").filter(has_text="What to do").last
    message.wait_for(timeout=60_000)
    message.screenshot(path=HERE / "pictures" / "alert.png")
    print("alert.png")
    page.close()


def save(page: Any, name: str) -> None:
    page.screenshot(path=HERE / "pictures" / f"{name}.png")
    print(f"{name}.png")
    page.close()


if __name__ == "__main__":
    sys.exit(main())
