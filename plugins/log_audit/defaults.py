"""What every task of the project's DAGs has in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from log_audit.operators.retry import FailFast

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "log-audit",
    # Five tries over about eight minutes outlast a passing fault of AWS or of a worker.
    "retries": 4,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": FailFast(),
}


def export_pool(target: str) -> str:
    """The pool with one slot, deferred tasks counted: AWS runs one export at a time per account and region."""
    return f"logs_export_{target}"
