"""Who has imported log_audit.preload imports nothing more for a DAG but the DAG's own file."""

import json
import subprocess
import sys

from local_aws.airflow import PROJECT

PROGRAM = """
import json, sys
from pathlib import Path

import airflow
import log_audit.preload

before = set(sys.modules)
dags = {file.stem for file in Path("dags").glob("*.py")}
for dag in dags:
    __import__(dag)
print(json.dumps(sorted(set(sys.modules) - before - dags)))
"""


def test_a_dag_file_imports_nothing_that_is_not_preloaded(tmp_path):
    places = f"{PROJECT / 'plugins'}:{PROJECT / 'dags'}"
    env = {"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": places}
    said = subprocess.check_output([sys.executable, "-c", PROGRAM], cwd=PROJECT, env=env, text=True)
    assert json.loads(said.splitlines()[-1]) == []
