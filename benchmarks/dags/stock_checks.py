"""The baseline of an idle five-minute run: as many queries as our checks, with Airflow's and the provider's own pieces.

Each query is started through the provider's hook and looked at every five seconds, as people's articles have it.
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime

from airflow.sdk import dag, task

QUERIES = json.loads(os.environ.get("STOCK_QUERIES", "[]"))
PAUSE = 5  # seconds


@dag(schedule=None, catchup=False)
def stock_checks() -> None:
    @task
    def plan() -> list[dict]:
        return QUERIES

    @task
    def look(query: dict) -> int:
        from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook

        logs = AwsLogsHook(aws_conn_id="aws_default").conn
        now = int(datetime.now().timestamp())
        asked = {"startTime": now - 1200, "endTime": now, "queryString": query["text"]}
        query_id = logs.start_query(logGroupName=query["log_group"], **asked)["queryId"]
        while (answer := logs.get_query_results(queryId=query_id))["status"] in ("Scheduled", "Running"):
            time.sleep(PAUSE)
        return len(answer["results"])

    @task(trigger_rule="all_done")
    def alert(found: list[int]) -> int:
        return sum(found)

    @task
    def verdict(found: int) -> None:
        print(found)

    verdict(alert(look.expand(query=plan())))


stock_checks()
