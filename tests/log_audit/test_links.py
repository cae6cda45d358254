"""Where the links of tasks lead."""

from datetime import UTC, datetime

import pytest

from log_audit.links.cloudtrail import history_url
from log_audit.links.ecs import task_url
from log_audit.window import Window


@pytest.mark.parametrize(
    ("region", "task", "url"),
    [
        (
            "ap-northeast-1",
            "batch/0123abcd",
            "https://ap-northeast-1.console.aws.amazon.com/ecs/v2/clusters/batch/tasks/0123abcd/configuration"
            "?region=ap-northeast-1",
        ),
        (
            "cn-north-1",
            "batch/0123abcd",
            "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/batch/tasks/0123abcd/configuration"
            "?region=cn-north-1",
        ),
        ("ap-northeast-1", "0123abcd", ""),  # the old form names no cluster
    ],
)
def test_an_ecs_task_has_a_page_in_the_console(region, task, url):
    assert task_url(region, task) == url


def test_the_event_history_opens_at_the_window():
    window = Window(datetime(2026, 11, 18, 15, tzinfo=UTC), datetime(2026, 11, 19, 15, tzinfo=UTC))
    assert history_url("ap-northeast-1", window) == (
        "https://ap-northeast-1.console.aws.amazon.com/cloudtrailv2/home?region=ap-northeast-1"
        "#/events?StartTime=2026-11-18T15%3A00%3A00.000Z&EndTime=2026-11-19T15%3A00%3A00.000Z"
    )
