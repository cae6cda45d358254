"""The query files, for what people want to know of a check or an audit."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from log_audit import audits, checks
from log_audit.errors import QueryFileError
from log_audit.query_file import read_query_file
from log_audit.settings import DEFAULT_FILE

SCHEDULES = DEFAULT_FILE.parent / "sql" / "sources" / "cloudtrail" / "scheduler_calls.sql"
TEXTS = ("title", "severity", "description", "runbook", "false_positives")


def query_files() -> dict[str, dict[str, Any]]:
    """Each query by its name: its texts, and its folder; of a file that cannot be read, why."""
    files = [("checks", path) for path in checks.query_files()]
    files += [(kind, path) for kind, folder in audits.FOLDERS.items() for path in audits.query_files(folder)]
    shelf = {path.stem: {"kind": kind, **_texts(path, _mtime(path))} for kind, path in files}
    return shelf | {"schedule_health": {"kind": "cloudtrail", **_texts(SCHEDULES, _mtime(SCHEDULES))}}


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1000)
def _texts(path: Path, mtime: int) -> dict[str, str]:
    try:
        query = read_query_file(path)
    except QueryFileError as error:
        return {"title": path.stem, "problem": str(error)}
    return {name: str(getattr(query, name)).strip() for name in TEXTS}
