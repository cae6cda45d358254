"""``python -m log_audit.lint``: every query file of the project, read and checked."""

from __future__ import annotations

import sys
from pathlib import Path

from log_audit.errors import QueryFileError
from log_audit.query_file import read_query_file
from log_audit.settings import DEFAULT_FILE

FOLDERS = ("insights", "sql/audits", "sql/sources")


def complaints(include: Path = DEFAULT_FILE.parent) -> list[str]:
    """What is wrong with the query files beneath ``include``, a sentence each."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (include / folder).rglob("*")):
        if path.is_dir():
            continue
        try:
            read_query_file(path)
        except QueryFileError as error:
            found.append(str(error))
    return found


if __name__ == "__main__":
    for complaint in complaints():
        print(complaint)
    sys.exit(1 if complaints() else 0)
