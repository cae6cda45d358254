"""What `make managed` packs works where include/ lies inside dags/, and nothing but dags/ and plugins/ is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# Airflow itself puts the plugins folder on the path.
LOOK = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(collect_dags=True)
from log_audit import audits, checks, query_file, settings
from log_audit.operators import athena_tables
print("\\n" + json.dumps({
    "dags": sorted(bag.dag_ids), "errors": bag.import_errors, "module": settings.__file__,
    "settings": str(settings.DEFAULT_FILE), "macros": sorted(file.stem for file in query_file.MACROS.glob("*.sql")),
    "files": [len(audits.query_files(folder)) for folder in audits.FOLDERS.values()] + [len(checks.query_files())],
    "tables": str(athena_tables.FOLDER)}))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    packed = tmp_path_factory.mktemp("packed") / "managed"
    command = ["make", "-o", ".venv/.ready", "managed", f"MANAGED={packed}", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return packed


@pytest.fixture(scope="module")
def home(packed, tmp_path_factory):
    """/usr/local/airflow of a managed Airflow, filled with what was packed."""
    home = tmp_path_factory.mktemp("home")
    zipfile.ZipFile(packed / "plugins.zip").extractall(home / "plugins")
    shutil.copytree(packed / "dags", home / "dags")
    shutil.copy(packed / "requirements.txt", home)
    return home


def look(home: Path, **env: str) -> dict:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LOG_AUDIT_SETTINGS")
    }
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **env}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_dag_is_there_and_finds_its_settings_and_query_files(home):
    seen = look(home)
    assert seen["errors"] == {}
    assert seen["dags"] == sorted(file.stem for file in (PROJECT / "dags").glob("*.py"))
    assert seen["module"] == str(home / "plugins/log_audit/settings.py")
    assert seen["settings"] == str(home / "dags/include/settings.yaml")
    assert seen["tables"] == str(home / "dags/include/sql/tables")
    packed = ("sql/audits/aurora/*.sql", "sql/audits/cloudtrail/*.sql", "insights/*.insights")
    assert seen["files"] == [len(list((PROJECT / "include").glob(pattern))) for pattern in packed]
    assert "cloudtrail_events" in seen["macros"]


def test_another_settings_file_is_named_by_the_environment(home):
    (home / "dags/other.yaml").write_text("time_zone: Nowhere/Land\n")
    errors = "".join(look(home, LOG_AUDIT_SETTINGS=str(home / "dags/other.yaml"))["errors"].values())
    assert "Nowhere/Land" in errors
    assert str(home / "dags/other.yaml") in errors


def test_nothing_but_the_code_is_packed(packed):
    names = [*zipfile.ZipFile(packed / "plugins.zip").namelist(), *(str(path) for path in (packed / "dags").rglob("*"))]
    assert not [name for name in names if "__pycache__" in name or "local_aws" in name or name.endswith(".pyc")]


def test_the_constraints_are_the_locked_versions_without_what_an_unknown_pip_may_not_understand(home):
    lines = (home / "dags/constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s\\]+( ; .+)?", line) for line in lines)
    assert len(lines) == len(re.findall(r"^\S+==", (PROJECT / "constraints.txt").read_text(), re.MULTILINE))
    required = (home / "requirements.txt").read_text().splitlines()
    assert required[0] == '--constraint "/usr/local/airflow/dags/constraints.txt"'
    versions = {line.split(" ;")[0] for line in lines}
    assert {re.sub(r"\[.*]", "", line) for line in required[1:]} <= versions
