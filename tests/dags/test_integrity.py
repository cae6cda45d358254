"""The DAGs as Airflow's DAG processor sees them, and who may import whom.

They are parsed in a process of its own, with no database, no network and a home that is thrown away.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAGS = PROJECT / "dags"
PLUGINS = PROJECT / "plugins"
DAG_FILES = sorted(DAGS.glob("*.py"))
SOURCES = sorted([*PLUGINS.rglob("*.py"), *DAG_FILES])
HEAVY = {"pandas", "numpy", "pyarrow", "duckdb", "moto", "local_aws", "pytest"}
SNAKE_CASE = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"

PARSE = """
import json, socket, sys

attempts = []

def refuse(*address):
    attempts.append(repr(address[1:] if isinstance(address[0], socket.socket) else address))
    raise OSError("nothing remote while DAGs are parsed")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse

from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

def facts_of_task(task):
    return {
        "type": task.task_type,
        "owner": task.owner,
        "doc_md": task.doc_md,
        "display_name": task.task_display_name,
        "links": sorted(link.name for link in task.operator_extra_links),
        "retries": task.retries,
        "retry_policy": type(task.retry_policy).__name__,
        "pool": task.pool,
        "mapped": task.is_mapped or any(True for _ in task.iter_mapped_task_groups()),
        "map_index_template": task.map_index_template,
    }

def facts_of_param(param):
    return {"description": param.description, **param.schema}

def facts_of_dag(dag):
    stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    return {
        "owner": dag.owner,
        "owner_links": dag.owner_links,
        "tags": sorted(dag.tags),
        "doc_md": dag.doc_md,
        "catchup": dag.catchup,
        "timetable": type(dag.timetable).__name__,
        "max_active_runs": dag.max_active_runs,
        "params": {name: facts_of_param(dag.params.get_param(name)) for name in dag.params},
        "tasks": {task.task_id: facts_of_task(task) for task in dag.tasks},
        "tasks_when_stored": sorted(task.task_id for task in stored.tasks),
    }

try:
    from log_audit.pools import pools
    from log_audit.settings import load_settings
    known_pools = pools(load_settings())
except Exception:  # the test of a broken settings file
    known_pools = {}

bag = DagBag(sys.argv[1], known_pools={"default_pool", *known_pools})
facts = {
    "import_errors": bag.import_errors,
    "warnings": [warning for found in bag.captured_warnings.values() for warning in found],
    "dag_warnings": [warning.message for warning in bag.dag_warnings],
    "attempts": attempts,
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "pools": known_pools,
    "max_map_length": conf.getint("core", "max_map_length"),
    "dags": {dag_id: facts_of_dag(dag) for dag_id, dag in bag.dags.items()},
}
with open(sys.argv[2], "w") as file:
    json.dump(facts, file)
"""


def parse(home, dags=DAGS, **env):
    """What Airflow finds in a folder of DAGs, every warning told."""
    answer = home / "facts.json"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "LOG_AUDIT"))}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PARSE, str(dags), str(answer)],
        cwd=home,
        env={
            **kept,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
            "PYTHONPATH": str(PLUGINS),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(answer.read_text())


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    return parse(tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def dags(parsed):
    return parsed["dags"]


@pytest.fixture
def tasks(dags):
    """Every task, by ``dag.task``."""
    return {f"{dag}.{name}": task for dag, facts in dags.items() for name, task in facts["tasks"].items()}


# The DAGs


def test_every_file_makes_dags_without_errors_or_warnings(parsed):
    assert parsed["import_errors"] == {}
    assert parsed["warnings"] == []
    assert len(parsed["dags"]) >= len(DAG_FILES) > 0


def test_nothing_remote_is_asked_while_dags_are_parsed(parsed):
    assert parsed["attempts"] == []


def test_nothing_heavy_is_imported_while_dags_are_parsed(parsed):
    assert HEAVY & set(parsed["modules"]) == set()


def test_the_parser_would_have_told_of_connections_warnings_and_heavy_imports(tmp_path):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "careless.py").write_text(
        "import contextlib, socket, urllib.request, warnings\n"
        "import moto\n"
        "from airflow.sdk import DAG\n"
        "warnings.warn('old', DeprecationWarning)\n"
        "for ask in (lambda: urllib.request.urlopen('http://localhost:9/'),\n"
        "            lambda: socket.socket().connect(('127.0.0.1', 9))):\n"
        "    with contextlib.suppress(OSError):\n"
        "        ask()\n"
        "dag = DAG('careless', schedule=None)\n"
    )
    told = parse(tmp_path, folder)
    assert len(told["attempts"]) == 2
    assert "DeprecationWarning: old" in told["warnings"][0]
    assert "moto" in told["modules"]
    assert told["dags"]["careless"]["timetable"] == "NullTimetable"


def test_broken_settings_are_an_import_error_of_every_dag_file_that_names_settings_and_key(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("timezone: UTC\n")
    found = parse(tmp_path, LOG_AUDIT_SETTINGS=str(file))
    assert found["dags"] == {}
    assert sorted(found["import_errors"]) == [str(dag) for dag in DAG_FILES]
    for error in found["import_errors"].values():
        assert f"SettingsError: {file}" in error
        assert "timezone: there is no such key; remove it or mend its spelling" in error


def test_every_dag_has_an_owner_a_tag_and_a_description(dags):
    assert {name: dag["owner"] for name, dag in dags.items()} == dict.fromkeys(dags, "log-audit")
    assert [name for name, dag in dags.items() if "log-audit" not in dag["tags"]] == []
    assert [name for name, dag in dags.items() if not (dag["doc_md"] or "").strip()] == []


def test_every_dag_has_a_timetable_and_does_not_catch_up_by_itself(dags):
    by_hand = {"athena_tables", "aurora_replay"}
    assert {name for name, dag in dags.items() if dag["timetable"] == "NullTimetable"} == by_hand
    assert [name for name, dag in dags.items() if dag["catchup"]] == []
    assert [name for name, dag in dags.items() if dag["max_active_runs"] < 1] == []


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
def test_what_matters_is_said_in_the_dags_own_file(file):
    made = [node for node in ast.walk(ast.parse(file.read_text())) if _calls(node, {"DAG", "dag"})]
    assert made
    for call in made:
        said = {keyword.arg: keyword.value for keyword in call.keywords}
        needed = {"schedule", "catchup", "max_active_runs", "default_args", "doc_md", "tags"}
        needed |= {"on_failure_callback", "deadline"}
        if "@continuous" in ast.unparse(said["schedule"]):
            needed.remove("deadline")  # its run waits for as long as nothing happens
        assert needed - set(said) == set()
        assert ast.unparse(said["catchup"]) == "False"
        assert ast.unparse(said["doc_md"]) == "__doc__"


def test_every_dag_can_be_stored_and_read_again(dags):
    assert {name: dag["tasks_when_stored"] for name, dag in dags.items()} == {
        name: sorted(dag["tasks"]) for name, dag in dags.items()
    }


def test_every_task_is_tried_again_and_fails_fast(tasks):
    assert [name for name, task in tasks.items() if task["retries"] < 1] == []
    assert [name for name, task in tasks.items() if task["retry_policy"] != "FailFast"] == []
    assert [name for name, task in tasks.items() if task["owner"] != "log-audit"] == []


def test_every_task_is_described(tasks):
    assert [name for name, task in tasks.items() if not (task["doc_md"] or "").strip()] == []


def test_every_task_has_a_name_for_people(tasks):
    assert [name for name, task in tasks.items() if task["display_name"] in (None, name.split(".", 1)[1])] == []


@pytest.mark.parametrize(
    ("task", "links"),
    [
        ("monthly_log_export.tokyo.export", ["Archive in S3"]),
        ("monthly_log_export.tokyo.manifest", ["Archive in S3", "Logs Insights"]),
        ("archive_recheck.tokyo.recheck.late_events", ["Logs Insights"]),
        ("insights_checks.look", ["Logs Insights"]),
        ("aurora_audit.audit", ["Query Results"]),
        ("cloudtrail_audit.audit", ["Query Results"]),
        ("cloudtrail_audit.schedule_health", ["Event history", "Query Results"]),
        ("ecs_log_delivery.record", ["ECS task"]),
        ("athena_tables.table", ["Query Results"]),
        ("insights_late_sweep.look", ["Logs Insights"]),
        ("archive_recheck.tokyo.recheck.export", ["Archive in S3"]),
        ("archive_recheck.tokyo.manifest", ["Archive in S3", "Logs Insights"]),
        *((f"{dag}.alert", ["Slack message"]) for dag in ("insights_checks", "insights_late_sweep")),
        *((f"{dag}.alert", ["Slack message"]) for dag in ("aurora_audit", "cloudtrail_audit")),
        ("ecs_log_delivery.settle", ["Slack message"]),
    ],
)
def test_tasks_link_to_what_they_did(tasks, task, links):
    assert tasks[task]["links"] == links


def test_the_owner_leads_to_the_page_or_to_what_the_settings_say(dags, tmp_path):
    assert {name: dag["owner_links"] for name, dag in dags.items()} == {name: {} for name in dags}
    base = {"AIRFLOW__API__BASE_URL": "https://airflow.example.com/a/"}
    page = parse(tmp_path, **base)["dags"]
    assert {name: dag["owner_links"]["log-audit"] for name, dag in page.items()} == dict.fromkeys(
        dags, "https://airflow.example.com/a/plugin/log-audit/log-audit/"
    )
    settings = (PROJECT / "include" / "settings.yaml").read_text()
    (tmp_path / "settings.yaml").write_text(f"{settings}\nowner_link: mailto:audit@example.com\n")
    told = parse(tmp_path, LOG_AUDIT_SETTINGS=str(tmp_path / "settings.yaml"), **base)["dags"]
    assert {name: dag["owner_links"] for name, dag in told.items()} == {
        name: {"log-audit": "mailto:audit@example.com"} for name in dags
    }


FORMS = {
    "monthly_log_export": ["month", "targets", "dry_run"],
    "archive_recheck": ["month", "targets", "dry_run"],
    "insights_checks": ["from", "to", "targets", "queries", "alert"],
    "insights_late_sweep": ["from", "to", "targets", "queries", "alert"],
    "aurora_audit": ["window", "queries", "alert"],
    "aurora_replay": ["cluster", "from", "to", "alert", "dry_run"],
    "cloudtrail_audit": ["day", "targets", "queries", "alert"],
    "athena_tables": ["targets", "dry_run"],
    "ecs_log_delivery": [],
}


def test_forms_ask_for_what_a_run_can_be_told(dags):
    assert {name: list(dag["params"]) for name, dag in dags.items()} == FORMS
    for dag in dags.values():
        for name, param in dag["params"].items():
            assert param["title"], name
            assert param["description"], name
            assert param["type"], name


def test_forms_offer_what_there_is_to_choose(dags):
    def choice(dag, name):
        return dags[dag]["params"][name]["items"]["enum"]

    assert choice("monthly_log_export", "targets") == ["tokyo"]
    assert "schedule_health" in choice("cloudtrail_audit", "queries")
    assert choice("aurora_audit", "queries") == sorted(
        file.stem for file in (PROJECT / "include/sql/audits/aurora").glob("*.sql")
    )
    assert choice("insights_checks", "queries") == sorted(
        file.stem for file in (PROJECT / "include/insights").iterdir() if file.suffix == ".insights"
    )


def test_every_mapped_task_names_its_instances(tasks):
    mapped = {name: task for name, task in tasks.items() if task["mapped"]}
    assert mapped
    assert [name for name, task in mapped.items() if not task["map_index_template"]] == []


def test_names_are_in_snake_case(dags, tasks):
    names = [part for name in [*dags, *tasks] for part in name.split(".")]
    assert [name for name in names if not re.fullmatch(SNAKE_CASE, name)] == []


def test_exports_queue_in_pools_of_one_slot_that_count_deferred_tasks(parsed, tasks):
    assert parsed["dag_warnings"] == [], "a task's pool is not among those of log_audit.pools"
    queues = {task["pool"] for task in tasks.values() if task["type"] == "CloudWatchLogsExportOperator"}
    assert queues == {"logs_export_tokyo"}
    for pool in queues:
        assert parsed["pools"][pool]["slots"] == 1
        assert parsed["pools"][pool]["include_deferred"] is True


def test_airflow_maps_over_as_many_chunks_as_are_made(parsed):
    from log_audit.archive import CHUNKS, LOG_GROUPS

    assert parsed["max_map_length"] > CHUNKS >= LOG_GROUPS


# Who may import whom


def _calls(node, names):
    if not isinstance(node, ast.Call):
        return False
    return getattr(node.func, "attr", None) in names or getattr(node.func, "id", None) in names


def imports(tree):
    """The full names of whatever a module imports, within functions and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who is meant"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tells_time(node):
    """Whether this asks a clock or converts between zones."""
    if _calls(node, {"now", "today", "utcnow", "astimezone", "fromtimestamp", "utcfromtimestamp"}):
        return True
    if _calls(node, {"replace"}):
        return any(keyword.arg == "tzinfo" for keyword in node.keywords)
    return _calls(node, {"time"}) and ast.unparse(node.func) == "time.time"


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offences(files, forbidden):
    return [
        f"{file.relative_to(PROJECT)} imports {name}"
        for file in files
        for name in imports(ast.parse(file.read_text()))
        if within(name, forbidden)
    ]


OURS = PLUGINS / "log_audit"
AWS = ("boto3", "botocore", "aiobotocore", "airflow.providers.amazon")
PURE_NAMES = (
    *("window", "errors", "settings", "archive", "export_object"),
    *("query_file", "checks", "watch", "findings", "redaction", "alerts", "polling"),
)
PURE = [OURS / f"{name}.py" for name in PURE_NAMES]


@pytest.mark.parametrize(
    ("files", "forbidden"),
    [
        pytest.param(PURE, ("airflow", *AWS), id="pure modules import neither Airflow nor AWS"),
        pytest.param(
            PURE,
            [f"log_audit.{package}" for package in ("hooks", "triggers", "operators", "links", "tasks", "defaults")],
            id="pure modules import no module of Airflow's kinds",
        ),
        pytest.param(SOURCES, ("local_aws", "tests", "moto", "pytest"), id="nothing imports the stand-in"),
        pytest.param(
            sorted((OURS / "hooks").glob("*.py")),
            ("log_audit.operators", "log_audit.triggers", "log_audit.links", "log_audit.tasks"),
            id="hooks import nothing above them",
        ),
        pytest.param(
            sorted((OURS / "triggers").glob("*.py")),
            ("log_audit.operators", "log_audit.links", "log_audit.tasks"),
            id="triggers import no operators",
        ),
        pytest.param(
            sorted((OURS / "links").glob("*.py")),
            ("log_audit.operators", "log_audit.triggers", "log_audit.hooks"),
            id="links import nothing of ours",
        ),
        pytest.param(DAG_FILES, ("log_audit.hooks", "log_audit.triggers", *AWS), id="DAGs are made of operators"),
    ],
)
def test_imports_point_one_way(files, forbidden):
    assert files
    assert offences(files, forbidden) == []


def test_pure_modules_stay_pure_with_all_they_import():
    names = ", ".join(f"log_audit.{file.stem}" for file in PURE)
    code = f"import sys, {names}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"airflow", "boto3", "botocore", "aiobotocore", *HEAVY} & set(done.stdout.split()) == set()


def test_only_window_knows_clocks_and_zones():
    told = {file for file in SOURCES if any(tells_time(node) for node in ast.walk(ast.parse(file.read_text())))}
    # alerts.py hands a zone on, settings.py asks whether it exists
    assert told - {OURS / "window.py"} == set()
    others = set(SOURCES) - {OURS / name for name in ("window.py", "alerts.py", "settings.py")}
    assert offences(sorted(others), ("zoneinfo", "pendulum", "dateutil", "pytz", "airflow.sdk.timezone")) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f():\n    import boto3.session as b", ["boto3.session"]),
        ("from airflow import sdk, models as m", ["airflow.sdk", "airflow.models"]),
        ("if TYPE_CHECKING:\n    from a.b import c", ["a.b.c"]),
        ("'import boto3'", []),
    ],
)
def test_imports_are_found_wherever_they_stand(code, found):
    assert list(imports(ast.parse(code))) == found


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("datetime.now(UTC)", True),
        ("pendulum.today('Asia/Tokyo')", True),
        ("start.astimezone(zone)", True),
        ("start.replace(tzinfo=zone)", True),
        ("time.time()", True),
        ("time.monotonic()", False),
        ("replace(job, skip=None)", False),
        ("self.time()", False),
        ("datetime.fromisoformat(text)", False),
    ],
)
def test_clocks_and_zones_are_found(code, told):
    assert any(tells_time(node) for node in ast.walk(ast.parse(code))) is told
