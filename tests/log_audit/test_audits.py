"""Partition keys of Aurora's windows, and what they give a query."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from log_audit.audits import aurora_window
from log_audit.errors import InvalidKeyError
from log_audit.query_file import parse_query_file
from log_audit.settings import load_settings

SETTINGS = """
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {bucket: some-bucket, log_groups: [{name: /app}]}
    aurora:
      location: s3://logs/audit
      clusters:
        hourly: {ecs_cluster: batch, command: [hourly]}
        daily: {ecs_cluster: batch, command: [daily], ships: day, folder: daily-in-s3}
"""


@pytest.fixture
def settings(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file)


def query(header="", body="SELECT 1 WHERE :cluster = :day"):
    return parse_query_file(f"-- title: t\n-- severity: low\n{header}{body}", Path("aurora/x.sql"))


def test_an_hour_is_one_partition(settings):
    audit = aurora_window("hourly/2026-11-20T09", settings)
    assert (audit.target, audit.key) == ("tokyo", "hourly/2026-11-20T09")
    assert audit.window.start == datetime(2026, 11, 20, 0, tzinfo=UTC)
    assert audit.values(query()) == {
        "cluster": "hourly",
        "day": "2026-11-20",
        "first_hour": "09",
        "last_hour": "09",
    }


def test_a_day_is_all_its_hours_and_the_folder_names_the_cluster(settings):
    audit = aurora_window("daily/2026-11-19", settings)
    assert (audit.window.end - audit.window.start).total_seconds() == 86_400
    assert audit.values(query()) == {
        "cluster": "daily-in-s3",
        "day": "2026-11-19",
        "first_hour": "00",
        "last_hour": "23",
    }


def test_history_and_parameters(settings):
    asked = query("-- history_days: 30\n-- parameters: {users: [a, b]}\n", "SELECT :history_start, :users")
    values = aurora_window("hourly/2026-01-05T00", settings).values(asked)
    assert (values["history_start"], values["users"]) == ("2025-12-06", ["a", "b"])


@pytest.mark.parametrize(
    "key",
    [None, "", "hourly", "other/2026-11-20T09", "/2026-11-20T09", "Hourly/2026-11-20T09", "hourly2026-11-20T09"],
)
def test_a_key_of_no_cluster_says_which_keys_there_are(settings, key):
    with pytest.raises(InvalidKeyError) as caught:
        aurora_window(key, settings)
    assert str(caught.value).startswith(f"{key!r} names no window")
    assert str(caught.value).endswith("hourly/2026-11-20T09, daily/2026-11-19")


@pytest.mark.parametrize(
    ("key", "like"),
    [
        ("hourly/2026-11-20", "2026-11-20T09"),
        ("hourly/2026-11-20T24", "2026-11-20T24"),
        ("hourly/2026-11-20T9", "2026-11-20T09"),
        ("hourly/2026-11-20T09 ", "2026-11-20T09"),
        ("hourly/2026-02-30T09", "2026-02-30T09"),
        ("daily/2026-11-20T09", "2026-11-19"),
        ("hourly/2026-11-20T09/x", "2026-11-20T09"),
    ],
)
def test_a_bad_hour_says_how_to_write_it(settings, key, like):
    with pytest.raises(InvalidKeyError) as caught:
        aurora_window(key, settings)
    assert like in str(caught.value)
