"""Lines of Aurora's audit log that no Aurora writes: none hides another, and each is told as unreadable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_aws.control import Control
from log_audit.audits import FOLDERS, aurora_window
from log_audit.query_file import read_query_file
from log_audit.settings import Settings, load_settings
from log_audit.sql import bind
from tests.local_aws.athena_client import BUCKET, Athena
from tests.support.mutations import spoiled_texts

FOLDER = FOLDERS["aurora"]
TABLE = FOLDER.parents[1] / "tables" / "aurora_audit_log.sql"
LOCATION = f"s3://{BUCKET}/audit"
HOUR = "aurora-prod/2026-01-14T09"
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {{bucket: some-bucket, log_groups: [{{name: /app}}]}}
    aurora: {{location: {LOCATION}, clusters: {{aurora-prod: {{ecs_cluster: batch, command: [aurora-prod]}}}}}}
"""
SOUND = (
    "1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,SELECT 1,0",
    "1768348800000001,db-1,root,192.0.2.12,102,0,CONNECT,shop,,0",
    "1768348800000002,db-1,shop_app,192.0.2.11,101,502,READ,shop,orders,",
)
# A quote without an end takes what follows with it, and a backslash what comes next: of these the samples have cases.
lines = spoiled_texts(SOUND).map(lambda text: "".join(c for c in text if c.isprintable() and c not in "'\\\"")[:3000])


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file: Path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file)


@pytest.fixture
def athena(aws: Control, aws_client: Callable[..., Any]) -> Athena:
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    athena = Athena(aws_client("athena"), aws_client("s3"))
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    table = jinja2.Template(TABLE.read_text(encoding="utf-8")).render(params={"location": LOCATION, "definition": "x"})
    for text in ("CREATE DATABASE logs", table):
        assert athena.run(text)["Status"]["State"] == "SUCCEEDED"
    return athena


# A query takes a tenth of a second.
@settings(
    max_examples=settings().max_examples // 7,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(spoiled=st.lists(lines, min_size=5, max_size=40))
def test_lines_are_counted_one_by_one_and_told_where_they_cannot_be_read(athena, read, spoiled):
    spoiled = [line for line in spoiled if line.strip() and not line.startswith("#")]
    athena.put("audit/aurora-prod/2026-01-14/09/audit.log.0", "".join(f"{line}\n" for line in [*SOUND, *spoiled]))
    query = read_query_file(FOLDER / "unreadable_lines.sql")
    text, values = bind(query.body, aurora_window(HOUR, read).values(query))
    header, *rows = athena.table(text, *values)
    told = sum(int(dict(zip(header, row, strict=True))["lines"]) for row in rows)
    assert told == sum(not is_readable(line) for line in spoiled)


def is_readable(line: str) -> bool:
    """What an audit can judge, said once more in Python."""
    cells = line.split(",")
    if len(cells) < 10:
        return False
    time, connection, query, operation, text, code = (cells[n] for n in (0, 4, 5, 6, 8, 9))
    known = operation in read_query_file(FOLDER / "unreadable_lines.sql").parameters["operations"]
    numbers = all(part.isascii() and part.isdecimal() for part in (connection, query, *filter(None, [code])))
    whole = time.isascii() and time.isdecimal() and len(time) == 16
    return whole and known and numbers and not (operation == "QUERY" and text == "" and code != "1065")
