"""CloudTrail's event history: the calls of the last 90 days, for accounts without a trail."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from log_audit.errors import TooOldError
from log_audit.hooks.reach import ReachHook
from log_audit.window import Window, iso, utc_now

KEPT = timedelta(days=90)
PAUSE = 0.55  # seconds: LookupEvents takes 2 calls a second in an account and region, whoever makes them


class CloudTrailHook(ReachHook, AwsBaseHook):
    """CloudTrail's LookupEvents."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "cloudtrail"
        super().__init__(*args, **kwargs)

    def lookup(self, window: Window, attribute: str, value: str) -> Iterator[dict[str, Any]]:
        """Every record of the window with this attribute, page after page, the newest first; each record once.

        :param attribute: the one attribute that LookupEvents filters by, such as EventName or EventSource
        :raises TooOldError: the window begins before what CloudTrail keeps

        https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
        """
        self._require_kept(window)
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}],
            "StartTime": window.start,
            "EndTime": window.end,
            "MaxResults": 50,
        }
        seen: set[str] = set()
        while True:
            began = time.monotonic()
            page = self.conn.lookup_events(**asked)
            for event in page["Events"]:
                # Both bounds of the API are inclusive.
                if event["EventTime"] in window and event["EventId"] not in seen:
                    seen.add(event["EventId"])
                    yield json.loads(event["CloudTrailEvent"])
            time.sleep(max(0.0, PAUSE - (time.monotonic() - began)))
            if not (token := page.get("NextToken")):
                return
            asked["NextToken"] = token

    def _require_kept(self, window: Window) -> None:
        oldest = utc_now() - KEPT
        if window.start < oldest:
            raise TooOldError(
                f"CloudTrail's event history knows the last 90 days alone, and the window begins at "
                f"{iso(window.start)}, before {iso(oldest)}. Audit it out of a trail's files: in the settings give "
                "cloudtrail a location, and write schedules: table"
            )
