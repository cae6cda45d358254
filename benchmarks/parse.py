"""What parsing all DAGs costs beyond importing what every Airflow project of this kind imports."""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.harness import PROJECT, Row, cpu_of

IMPORTS = """
import airflow.sdk
import airflow.providers.amazon.aws.operators.athena
import airflow.providers.slack.operators.slack
"""
PARSE = """
import runpy, sys
for file in sys.argv[1:]:
    runpy.run_path(file, run_name="dag")
"""


def run(times: int = 7) -> list[Row]:
    files = [str(file) for file in sorted((PROJECT / "dags").glob("*.py"))]
    cpu_of([sys.executable, "-c", PARSE, *files])  # writes the byte code
    pairs = [(_imports(), cpu_of([sys.executable, "-c", PARSE, *files])) for _ in range(times)]
    baseline, ours = (median(side) for side in zip(*pairs, strict=True))
    what = f"parse of all {len(files)} DAGs: CPU"
    told = f"{ours:.2f} s ({ours / baseline:.2f}×)"
    return [
        Row(what, f"{baseline:.2f} s to import airflow.sdk and the operators", told, "≤ 1.15×", ours <= 1.15 * baseline)
    ]


def _imports() -> float:
    return cpu_of([sys.executable, "-c", IMPORTS])
