"""What people write: query files and settings. Sound, or an error that names the file; never a crash without a name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from log_audit.checks import Look, console_url, query_text, scan_range
from log_audit.errors import QueryFileError, SettingsError
from log_audit.query_file import INCLUDE, QueryFile, parse_query_file, read_query_file
from log_audit.settings import DEFAULT_FILE, Settings, load_settings
from log_audit.sql import bind
from log_audit.window import Window, to_ms
from tests.support.mutations import ODD, spoiled_texts, spoiled_values

FILES = sorted([*INCLUDE.rglob("insights/*.insights"), *INCLUDE.rglob("sql/audits/*/*.sql")])
BY_KIND = {suffix: [file for file in FILES if file.suffix == suffix] for suffix in (".insights", ".sql")}
SHIPPED = DEFAULT_FILE.read_text(encoding="utf-8")
WINDOW = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 20, 0, 5, tzinfo=UTC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def parsed(text: str, path: Path) -> QueryFile | None:
    """The query, or None where it was refused with a sentence that begins with its file."""
    try:
        return parse_query_file(text, path)
    except QueryFileError as error:
        assert str(error).startswith(f"{path}:"), error
        return None


@given(text=spoiled_texts([file.read_text(encoding="utf-8") for file in BY_KIND[".insights"]]))
@example(text="# title: t\n# severity: 0x" + "f" * 5000 + "\nfields @message")
def test_a_spoiled_check_is_run_whole_or_refused_by_name(text):
    query = parsed(text, BY_KIND[".insights"][0])
    if query:
        look = Look(query.name, query.path, "tokyo", "regular", to_ms(WINDOW.start), to_ms(WINDOW.end))
        whole = query_text(query, look, timedelta(minutes=15), timedelta(days=2))
        assert whole.endswith(query.body)
        scan = scan_range(look, timedelta(minutes=query.look_back_minutes or 15), timedelta(days=2))
        assert console_url("ap-northeast-1", ["/app"], scan, whole).startswith("https://")


@given(text=spoiled_texts([file.read_text(encoding="utf-8") for file in BY_KIND[".sql"]]), number=st.integers(0, 99))
@example(text="-- title: t\n-- severity: low\n-- parameters: {x: 0x" + "f" * 5000 + "}\nSELECT :x", number=0)
def test_a_spoiled_audit_is_bound_whole_or_refused_by_name(text, number):
    path = BY_KIND[".sql"][number % len(BY_KIND[".sql"])]
    query = parsed(text, path)
    if query:
        names = ("cluster", "day", "first_hour", "last_hour", "window_start", "window_end", "first_day", "last_day")
        sql, literals = bind(query.body, {**dict.fromkeys((*names, "history_start"), "x"), **query.parameters})
        assert "?" in sql or not literals


@given(data=st.binary(max_size=200) | spoiled_texts([SHIPPED]).map(lambda text: text.encode(errors="surrogatepass")))
def test_bytes_that_are_no_query_file_are_refused_by_name(folder, data):
    file = folder / "bytes.insights"
    file.write_bytes(data)
    with pytest.raises(QueryFileError) as refused:
        read_query_file(file)
    assert str(file) in str(refused.value)


def loaded(file: Path) -> Settings | None:
    """The settings, or None where they were refused with a sentence that begins with the file."""
    try:
        return load_settings(file)
    except SettingsError as error:
        assert str(error).startswith(str(file)), error
        assert len(str(error)) > len(str(file)) + 5
        return None


@given(text=spoiled_texts([SHIPPED]))
@example(text="time_zone: 0x" + "f" * 5000)
@example(text="redaction: {patterns: ['a{99999999999}']}")
def test_spoiled_settings_are_read_or_refused_by_name(folder, text):
    file = folder / "settings.yaml"
    file.write_bytes(text.encode(errors="surrogatepass"))
    settings = loaded(file)
    if settings:
        assert settings.zone
        assert [settings.export_pool(name) for name in settings.targets]


@given(value=spoiled_values([yaml.safe_load(SHIPPED)]))
def test_settings_with_odd_values_are_read_or_refused_by_name(folder, value):
    file = folder / "values.yaml"
    file.write_text(json.dumps(value))  # which is YAML too
    loaded(file)


@pytest.mark.parametrize("key", ["time_zone", "targets", "slack", "redaction", "export"])
def test_an_odd_value_of_a_key_is_told_with_the_key(folder, key):
    file = folder / "odd.yaml"
    settings = yaml.safe_load(SHIPPED)
    for odd in (value for value in ODD if value not in ({}, [])):
        file.write_text(json.dumps({**settings, key: odd}))
        with pytest.raises(SettingsError) as refused:
            load_settings(file)
        assert key in str(refused.value) or "is no YAML" in str(refused.value)
