"""Links whose address the task itself tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey


class TaskLink(BaseOperatorLink):
    """A link that is there as soon as the task knows its address, while it still waits for what the link shows."""

    name: ClassVar[str]

    def persist(self, context: Context, url: str) -> None:
        """Keep the address where Airflow's UI looks for it."""
        context["ti"].xcom_push(key=self.xcom_key, value=url)

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """What the task kept: Airflow asks when the task ends, and keeps the answer in its place."""
        from airflow.sdk.execution_time.xcom import XCom

        kept: Any = XCom.get_value(key=self.xcom_key, ti_key=ti_key)
        return str(kept) if kept else ""
