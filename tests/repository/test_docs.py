"""Every command, file, DAG, setting, parameter, metric and sum that the guides name is true."""

from __future__ import annotations

import ast
import math
import operator
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from log_audit.metrics import Metric
from log_audit.settings import Settings, Target

PROJECT = Path(__file__).resolve().parents[2]
GUIDES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
OURS = [PROJECT / "docs" / name for name in ("operate.md", "security.md", "managed_airflow.md")]
# What the guides name and this repository does not hold: made by commands, or places of others.
ELSEWHERE = re.compile(
    r"^(\.local/|\.venv|\.env$|~|/|https?://|requirements/|logs?/|<|s3://|connections\.env|docker-compose\.override\.yaml|pools\.json|tests/queries/\w+/<|[\w/]+/payments_refused\.)|T\d\d$"
)
FILE = re.compile(r"^[\w./-]+/[\w./-]*$|^[\w.-]+\.(md|yaml|txt|py|toml|json)$")


def text(guide: Path) -> str:
    return guide.read_text(encoding="utf-8")


def spans(guide: Path) -> list[str]:
    """What stands in backticks within a line."""
    without_blocks = re.sub(r"```.*?```", "", text(guide), flags=re.DOTALL)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks)


def commands(guide: Path, program: str) -> list[str]:
    """Lines of code and spans that call a program, with what continues them."""
    joined = re.sub(r"\\\n\s*", " ", text(guide))
    found = re.findall(rf"(?:^ {{4}}|&& |`)({program} [^`\n]*)", joined, re.MULTILINE)
    return [command.strip() for command in found]


def named(guides=GUIDES):
    return pytest.mark.parametrize("guide", guides, ids=lambda path: path.name)


@named()
def test_every_file_that_is_named_is_there(guide):
    missing = []
    for span in spans(guide):
        name = span.split("::")[0].rstrip("/")
        if FILE.match(span) and not ELSEWHERE.search(span) and " " not in span:
            places = (PROJECT / name, guide.parent / name, PROJECT / "plugins/log_audit" / name)
            if not any(place.exists() for place in places) and not list(PROJECT.glob(f"*/{name}")):
                missing.append(span)
    known_names = {"constraints.txt", "dags/include", "manifest.json"}
    assert [name for name in missing if name.rstrip("/") not in known_names] == []


@named()
def test_every_link_leads_somewhere(guide):
    for target in re.findall(r"\]\(([^)\s]+)\)", text(guide)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        page = (guide.parent / file) if file else guide
        if page.name == "production.md" and not page.exists():
            continue
        assert page.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, target


@named()
def test_every_make_target_is_there(guide):
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(guide, "make"):
        word = command.split()[1]
        assert word in targets, command


@cache
def help_of(*words: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "airflow"), *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"airflow {' '.join(words)}: {done.stderr[-500:]}"
    return done.stdout


@named(OURS)
def test_every_airflow_command_and_option_is_there(guide):
    for command in commands(guide, "airflow"):
        words = re.match(r"airflow ((?:[a-z][a-z-]+ ?)+)", command).group(1).split()[:2]
        usage = help_of(*words)
        for option in re.findall(r"(?<=\s)--[a-z-]+", command):
            assert option in usage, command


@named()
def test_every_dag_is_there(guide):
    dags = {file.stem for file in (PROJECT / "dags").glob("*.py")}
    for command in commands(guide, "airflow dags"):
        word = command.split()[-1].rstrip(":")
        assert word in dags or word == "<DAG>", command
    for dag in re.findall(r"--dag-id (\w+)", text(guide)):
        assert dag in dags


@named()
def test_every_setting_with_a_dot_is_a_key(guide):
    roots = {**Target.model_fields, **Settings.model_fields}
    names = [
        span for span in spans(guide)
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", span) and span.split(".")[0] in roots and not span.endswith(".yaml")
    ]  # fmt: skip
    for name in names:
        first, second = name.split(".")
        models = [model.model_fields[first].annotation for model in (Settings, Target) if first in model.model_fields]
        fields = [
            set(getattr(kind, "model_fields", ()))
            for model in models
            for kind in (model, *getattr(model, "__args__", ()))
        ]
        assert any(second in known for known in fields), name


class _Loader(yaml.SafeLoader):
    """CloudFormation's own tags mean nothing here."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


@named(OURS)
def test_every_name_of_the_stack_is_in_the_template(guide):
    template = yaml.load((PROJECT / "include/cloudformation/log_audit.yaml").read_text(), Loader=_Loader)  # noqa: S506
    known = {*template["Parameters"], *template["Outputs"], *template["Resources"]}
    airflows = {"PartitionedAssetTimetable", "BaseDeadlineReference", "RetryPolicy", "AthenaOperator"}
    airflows |= {"AwsBaseOperator", "AwsBaseWaiterTrigger", "AwsGenericHook", "AthenaTrigger", "SqsSensorTrigger"}
    airflows |= {"Dockerfile"}
    words = {span for span in spans(guide) if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*", span)}
    assert words - known - airflows == set()
    given = re.findall(r"(?<!\w)([A-Z][a-z][A-Za-z]+)=", text(guide))
    assert set(given) - known == set()


def test_the_table_of_metrics_is_the_table_of_the_code():
    rows = re.findall(r"^\| `(log_audit\.\w+)` \| (\w+) \| ([\w, ]+) \| (.+) \|$", text(OURS[0]), re.MULTILINE)
    assert rows == [(metric.stat, metric.kind, ", ".join(metric.tags), metric.meaning) for metric in Metric]


OPERATORS = {ast.Mult: operator.mul, ast.Add: operator.add, ast.Sub: operator.sub, ast.Div: operator.truediv}


def value(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    return ast.literal_eval(node)


def test_every_sum_is_right():
    sums = [span for span in spans(OURS[0]) if re.fullmatch(r"[\d.]+( × [\d.]+)+ = [\d.,]+", span)]
    assert len(sums) >= 7
    for span in sums:
        left, right = span.replace("×", "*").split(" = ")
        assert math.isclose(value(ast.parse(left, mode="eval").body), float(right), abs_tol=0.005), span


def test_the_overdue_times_are_those_of_the_dags():
    said = text(OURS[0])
    limits = {
        file.stem: re.search(r"overdue_after\(timedelta\((\w+)=(\d+)\)\)", text(file))
        for file in (PROJECT / "dags").glob("*.py")
    }
    sentence = re.search(r"overdue: (.+?)\.\s", said, re.DOTALL).group(1)
    for dag, found in limits.items():
        assert (f"`{dag}`" in sentence) == bool(found), dag
    hours = {dag: f"{found[2]} {found[1]}" for dag, found in limits.items() if found}
    assert hours["insights_checks"] == "10 minutes"
    assert hours["monthly_log_export"] == hours["archive_recheck"] == "30 hours"
    assert hours["insights_late_sweep"] == hours["cloudtrail_audit"] == "2 hours"
    assert hours["aurora_audit"] == "3 hours"
    assert hours["athena_tables"] == hours["aurora_replay"] == "30 minutes"


def test_the_state_that_must_outlive_a_clean_does_and_the_ledger_does_not():
    from airflow.utils.db_cleanup import config_dict

    assert "asset_event" in config_dict
    assert "asset_state_store" not in config_dict
    [tables] = re.findall(r"--tables ([\w,]+)", text(OURS[0]))
    assert set(tables.split(",")) < set(config_dict) - {"asset_event"}
