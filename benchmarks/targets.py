"""What more accounts cost before anything runs: parsing all DAGs, and what Airflow stores of them."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import PROJECT, Row, cpu_of, environment

ONE = """
  t{number}:
    connection: aws_{number}
    region: ap-northeast-1
    archive: {{bucket: logs-{number}, log_groups: [{{name: /app}}]}}
    athena: {{workgroup: audits}}
    log_group_sets:
      api_gateway: [{{name: /api}}]
      lambda: [{{name: /fn}}]
      ecs: [{{name: /box}}]
      scheduler_calls: [{{name: /calls}}]
"""
PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[2], known_pools=None)
assert not bag.import_errors, bag.import_errors
sizes = {name: (len(dag.tasks), len(json.dumps(DagSerialization.to_dict(dag)))) for name, dag in bag.dags.items()}
Path(sys.argv[1]).write_text(json.dumps(sizes))
"""


def run(numbers: Sequence[int] = (1, 10, 100, 1000)) -> list[Row]:
    return [_row(number) for number in numbers]


def _row(number: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        settings, found = Path(folder) / "settings.yaml", Path(folder) / "sizes.json"
        targets = "".join(ONE.format(number=one) for one in range(number))
        settings.write_text(f"time_zone: Asia/Tokyo\ntargets:{targets}slack:\n  failures: [failures]\n")
        env = environment() | {"LOG_AUDIT_SETTINGS": str(settings), "AIRFLOW_HOME": folder}
        env |= {"AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600"}
        cpu = cpu_of([sys.executable, "-c", PARSE, str(found), str(PROJECT / "dags")], env)
        sizes = json.loads(found.read_text())
    name, (tasks, stored) = max(sizes.items(), key=lambda item: item[1][1])
    told = f"{cpu:.1f} s; {name} has {tasks:,} tasks, {stored / 1e3:,.0f} kB stored"
    what = f"{number:,} target{'s' if number > 1 else ''}: CPU to parse and serialize all DAGs"
    return Row(what, "–", told, "–", None)
