"""What every task of the project's DAGs has in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from log_audit.links.owner import OWNER
from log_audit.operators.retry import FailFast

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    # Five tries over about eight minutes outlast a passing fault of AWS or of a worker.
    "retries": 4,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": FailFast(),
}
