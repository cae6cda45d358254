"""Runs of the five-minute checks and of the late sweep, without Airflow around them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from local_aws.control import Control
from log_audit.checks import Scope
from log_audit.operators.checks import LogsInsightsOperator, PlanChecksOperator
from log_audit.operators.slack import AlertOperator
from log_audit.settings import load_settings
from log_audit.window import Window
from tests.support.tasks import AssetStores, Run

REGION = "ap-northeast-1"
NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # in Tokyo: the end of a run's interval
WATCHES = {"regular": Asset("insights_checks"), "late": Asset("insights_late_sweep")}
SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
    log_group_sets:
      app: [{name: /app}]
      two: [{name: /app}, {name: /gone}]
slack:
  channels: {critical: [alerts, general], high: [alerts], medium: [alerts], low: [alerts], info: [alerts]}
  failures: [alerts]
redaction:
  patterns: ['customer-[0-9]+']
"""
ERRORS = """
    # title: Errors of the app
    # severity: high
    # description: Lines that say ERROR.
    # runbook: Look at the app.
    # false_positives: None known.
    # log_group_sets: [app]
    fields @timestamp, @message | filter @message like /ERROR/ | sort @timestamp
"""


class Checks:
    """A folder of checks, settings, and what is remembered of the checks between runs."""

    def __init__(self, folder: Path, aws: Control, monkeypatch: Any, settings: str = SETTINGS) -> None:
        self.folder = folder / "insights"
        self.folder.mkdir()
        self.aws = aws
        self.stores = AssetStores()
        file = folder / "settings.yaml"
        file.write_text(settings)
        monkeypatch.setenv("LOG_AUDIT_SETTINGS", str(file))
        self.write("errors", ERRORS)

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.insights").write_text(textwrap.dedent(text).strip())

    def remembered(self, query: str = "errors", scope: Scope = "regular") -> dict[str, Any]:
        return self.stores[WATCHES[scope]].get(f"{scope}/tokyo/{query}", {})

    def start(self, end: datetime, *, scope: Scope = "regular", minutes: float = 5, **run: Any) -> CheckRun:
        """A run whose interval ends at ``end``."""
        interval = Window(end - timedelta(minutes=minutes), end)
        return CheckRun(self, Run(interval=interval, asset_stores=self.stores, **run), scope)

    def run(self, end: datetime, **options: Any) -> CheckRun:
        run = self.start(end, **options)
        run.plan()
        run.look()
        run.alert()
        return run


class CheckRun:
    """One run, task by task; a task may be executed again, as a retry or a clear does."""

    def __init__(self, checks: Checks, run: Run, scope: Scope) -> None:
        self.checks = checks
        self.run = run
        self.scope = scope
        self.failed: dict[str, BaseException] = {}
        self.look_options: dict[str, Any] = {}  # other arguments of the looks

    def plan(self) -> list[dict[str, Any]]:
        def make() -> PlanChecksOperator:
            return PlanChecksOperator(
                task_id="plan",
                watches=WATCHES[self.scope],
                settings=load_settings(),
                scope=self.scope,
                folder=self.checks.folder,
            )

        planned: list[dict[str, Any]] = self.run.execute(make)
        return planned

    def look(self, only: str | None = None) -> None:
        """Run every planned look; what fails is kept in ``failed``, and leaves no XCom."""
        for number, keywords in enumerate(self.run.xcoms["plan", -1, "return_value"]):
            name = keywords["look"]["query"]
            if only and name != only:
                continue
            self.run.xcoms.pop(("look", number, "return_value"), None)
            try:
                self.run.execute(lambda keywords=keywords: self.look_task(keywords), number)
                self.failed.pop(name, None)
            except Exception as error:
                self.failed[name] = error

    def look_task(self, keywords: Mapping[str, Any]) -> LogsInsightsOperator:
        options = {"poll_seconds": 1, "worker_seconds": 20, **self.look_options, **keywords}
        return LogsInsightsOperator(task_id="look", **options)

    def alert(self) -> dict[str, int]:
        def make() -> AlertOperator:
            return AlertOperator(
                task_id="alert",
                watches=WATCHES[self.scope],
                settings=load_settings(),
                look_task_id="look",
                scope=self.scope,
            )

        done: dict[str, int] = self.run.execute(make)
        return done

    def findings(self, name: str = "errors") -> dict[str, Any]:
        values = [value for (task, _, key), value in self.run.xcoms.items() if (task, key) == ("look", "return_value")]
        return next(value for value in values if value["query"] == name)
