"""Links from tasks to Slack."""

from __future__ import annotations

from log_audit.links.task_link import TaskLink


class SlackMessageLink(TaskLink):
    """To the message that the task has sent; the worst where there are several."""

    name = "Slack message"
