"""The settings file: the shipped one loads, and what is wrong with another is said in words."""

import copy
import re
from contextlib import suppress
from datetime import date, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from log_audit.errors import PermanentError, SettingsError
from log_audit.settings import DEFAULT_FILE, VARIABLE, Export, Settings, load_settings

SHIPPED = yaml.safe_load(DEFAULT_FILE.read_text(encoding="utf-8"))
REMOVED = object()
GROUPS = "targets.tokyo.archive.log_groups"
SHIPPED_GROUPS = SHIPPED["targets"]["tokyo"]["archive"]["log_groups"]


@pytest.fixture
def write(tmp_path):
    """Writes a settings file: of text, of bytes, or of what YAML makes of a value."""

    def to_file(content):
        file = tmp_path / "settings.yaml"
        if not isinstance(content, str | bytes):
            content = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return to_file


def parts(path):
    return [int(part) if part.isdigit() else part for part in path.split(".")]


def changed(*changes):
    """The shipped settings with other values at dotted paths."""
    content = copy.deepcopy(SHIPPED)
    for path, value in changes:
        *above, last = parts(path)
        holder = reduce(lambda inner, part: inner[part], above, content)
        if value is REMOVED:
            del holder[last]
        else:
            holder[last] = value
    return content


def target(**archive):
    return {"connection": "aws_other", "region": "ap-northeast-1", "archive": {"bucket": "other-bucket", **archive}}


def refusal(file):
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert isinstance(caught.value, PermanentError)
    return str(caught.value)


def test_the_shipped_file_loads():
    loaded = load_settings(DEFAULT_FILE)
    assert loaded.zone == ZoneInfo("Asia/Tokyo")
    assert list(loaded.targets) == ["tokyo"]
    tokyo = loaded.targets["tokyo"]
    assert (tokyo.connection, tokyo.region, tokyo.archive.bucket) == (
        "aws_default",
        "ap-northeast-1",
        "log-audit-archive",
    )
    assert loaded.export.settle == timedelta(hours=12)
    assert loaded.export.slot_timeout == timedelta(hours=26)


def test_the_shipped_file_shows_every_key_that_has_a_default():
    without = re.findall(r"(?m)^# (\w+): \S+$", DEFAULT_FILE.read_text(encoding="utf-8"))
    assert {*SHIPPED, *without} == set(Settings.model_fields)
    assert set(SHIPPED["export"]) == set(Export.model_fields)


def test_what_may_be_left_out_has_defaults(write):
    short = {
        "time_zone": "UTC",
        "targets": {"a": target(log_groups=[{"name": "/orders"}])},
    }
    loaded = load_settings(write(short))
    assert loaded.export == load_settings(DEFAULT_FILE).export
    assert loaded.targets["a"].archive.prefix is None
    assert not loaded.targets["a"].archive.log_groups[0].reconcile


def test_settings_cannot_be_changed_once_they_are_read():
    loaded = load_settings(DEFAULT_FILE)
    with pytest.raises(ValueError, match="frozen"):
        loaded.time_zone = "UTC"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([("time_zone", "America/Argentina/Buenos_Aires")], id="a zone of three parts"),
        pytest.param([("targets.tokyo.region", "us-gov-west-1")], id="a region of four parts"),
        pytest.param([(f"{GROUPS}.0.name", "API-Gateway-Execution-Logs_a1/prod#2.x")], id="a name without slash"),
        pytest.param([("targets.tokyo.archive.prefix", REMOVED)], id="no prefix"),
        pytest.param([("targets.osaka", target(prefix="logs", log_groups=SHIPPED_GROUPS))],
                     id="the same groups, another bucket"),
        pytest.param([("targets.osaka", target(bucket="log-audit-archive", prefix="osaka",
                                               log_groups=SHIPPED_GROUPS))],
                     id="the same bucket, another prefix"),
    ],
)  # fmt: skip
def test_settings_that_can_be_are_taken(write, changes):
    load_settings(write(changed(*changes)))


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        pytest.param(
            [("timezone", "UTC")],
            ["timezone: there is no such key; remove it or mend its spelling"],
            id="unknown key",
        ),
        pytest.param(
            [(f"{GROUPS}.1.destinations", "x")],
            [f"{GROUPS}.1.destinations: there is no such key; remove it or mend its spelling"],
            id="unknown key, deep",
        ),
        pytest.param([("time_zone", REMOVED)], ["time_zone: this key is missing; add it"], id="missing key"),
        pytest.param(
            [("targets.tokyo.archive.bucket", REMOVED)],
            ["targets.tokyo.archive.bucket: this key is missing; add it"],
            id="missing key, deep",
        ),
        pytest.param(
            [("time_zone", "Asia/Tokio")],
            ["time_zone: 'Asia/Tokio' is no time zone; write an IANA name such as Asia/Tokyo"],
            id="a zone misspelt",
        ),
        pytest.param([("time_zone", "Asia")], ["time_zone: 'Asia' is no time zone"], id="a folder of zones"),
        pytest.param([("time_zone", "../UTC")], ["time_zone: '../UTC' is no time zone"], id="a path"),
        pytest.param([("time_zone", "")], ["time_zone: '' is no time zone"], id="an empty zone"),
        pytest.param([("time_zone", 9)], ["time_zone: 9 will not do", "valid string"], id="a number for a zone"),
        pytest.param(
            [("targets.tokyo.archive.bucket", "Log_Archive")],
            ["targets.tokyo.archive.bucket: 'Log_Archive' will not do", "[a-z0-9]"],
            id="a bucket in capitals",
        ),
        pytest.param(
            [("targets.tokyo.archive.bucket", "b" * 64)],
            ["targets.tokyo.archive.bucket: 'bbb", "at most 63"],
            id="a bucket too long",
        ),
        pytest.param(
            [("targets.tokyo.archive.bucket", "s3://bucket")],
            ["targets.tokyo.archive.bucket: 's3://bucket' will not do"],
            id="a bucket with a scheme",
        ),
        pytest.param(
            [("targets.tokyo.archive.prefix", "logs/")],
            ["targets.tokyo.archive.prefix: 'logs/' will not do"],
            id="a prefix that ends in a slash",
        ),
        pytest.param(
            [("targets.tokyo.region", "tokyo")],
            ["targets.tokyo.region: 'tokyo' will not do"],
            id="no region",
        ),
        pytest.param(
            [("targets.tokyo.connection", "")],
            ["targets.tokyo.connection: '' will not do", "at least 1 character"],
            id="an empty connection",
        ),
        pytest.param([("targets", {})], ["targets: {} will not do", "at least 1 item"], id="no target"),
        pytest.param(
            [("targets.Tokyo-1", target(log_groups=[{"name": "/x"}]))],
            ["targets.Tokyo-1", "'Tokyo-1' will not do"],
            id="a target whose name makes no task id",
        ),
        pytest.param([(GROUPS, [])], [f"{GROUPS}: [] will not do", "at least 1 item"], id="no log group"),
        pytest.param([(f"{GROUPS}.0", "/aws/x")], [f"{GROUPS}.0: '/aws/x' will not do"], id="a name and no key"),
        pytest.param([(f"{GROUPS}.0.name", "/aws/x*")], [f"{GROUPS}.0.name: '/aws/x*' will not do"], id="a pattern"),
        pytest.param(
            [(f"{GROUPS}.0.name", "x" * 513)], [f"{GROUPS}.0.name: 'xxx", "at most 512"], id="a name too long"
        ),
        pytest.param(
            [(f"{GROUPS}.0.name_prefix", "/aws/")],
            [f"{GROUPS}.0: needs either name or name_prefix, and not both"],
            id="name and name_prefix",
        ),
        pytest.param(
            [(f"{GROUPS}.0.name", REMOVED)],
            [f"{GROUPS}.0: needs either name or name_prefix, and not both"],
            id="neither name nor name_prefix",
        ),
        pytest.param(
            [(f"{GROUPS}.2.destination", "lambda")],
            [f"{GROUPS}.2: destination goes with name only: the groups behind a prefix would share it"],
            id="destination with name_prefix",
        ),
        pytest.param(
            [(f"{GROUPS}.0.reconcile", "perhaps")],
            [f"{GROUPS}.0.reconcile: 'perhaps' will not do", "valid boolean"],
            id="neither true nor false",
        ),
        pytest.param(
            [("export.poll_seconds", 0)],
            ["export.poll_seconds: 0 will not do", "greater than or equal to 1"],
            id="a pause too short",
        ),
        pytest.param(
            [("export.settle_hours", -1)],
            ["export.settle_hours: -1 will not do", "greater than or equal to 0"],
            id="before the month's end",
        ),
        pytest.param(
            [("export.slot_timeout_hours", float("nan"))],
            ["export.slot_timeout_hours: nan will not do"],
            id="no number",
        ),
        pytest.param([("export", None)], ["export: None will not do"], id="an empty section"),
        pytest.param(
            [(f"{GROUPS}.1.destination", "aws/apigateway/orders-api")],
            [
                "targets.tokyo.archive: log_groups.0 and log_groups.1 would both go to s3://log-audit-archive/",
                "/aws/apigateway/orders-api/; name each log group once, and give it a destination of its own",
            ],
            id="two groups with one destination",
        ),
        pytest.param(
            [(f"{GROUPS}.1", {**SHIPPED_GROUPS[0], "destination": "elsewhere"})],
            ["log_groups.0 and log_groups.1 would both go to", "name each log group once"],
            id="a group twice",
        ),
        pytest.param(
            [("export.slot_timeout_hours", float("inf"))],
            ["export.slot_timeout_hours: inf will not do"],
            id="no end",
        ),
        pytest.param(
            [("targets.tokyo.archive.bucket", "a..b")],
            ["targets.tokyo.archive.bucket: 'a..b' will not do"],
            id="a bucket that cannot be",
        ),
        pytest.param(
            [("slack.channels.high", [])],
            ["slack", "channels has none for high: findings would be lost in silence"],
            id="a severity without a channel",
        ),
        pytest.param(
            [("insights", {"look_back_minutes": 2880, "late_days": 2})],
            ["insights: look_back_minutes 2880 is not less than late_days 2 (2880 minutes)", "raise late_days"],
            id="a sweep that would look at nothing",
        ),
        pytest.param(
            [("redaction.patterns", ["("])],
            ["redaction.patterns.0: '(' is no regular expression"],
            id="a bad pattern",
        ),
        pytest.param(
            [("redaction.patterns", ["a{99999999999}"])],
            ["redaction.patterns.0: 'a{99999999999}' is no regular expression"],
            id="a pattern that is too much",
        ),
        pytest.param(
            [("targets.osaka", target(bucket="log-audit-archive", log_groups=[{"name_prefix": "/x"}]))],
            ["targets.tokyo and targets.osaka would both archive to s3://log-audit-archive/", "a prefix of its own"],
            id="one place for two targets",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_value_and_remedy(write, changes, sentences):
    file = write(changed(*changes))
    said = refusal(file)
    assert said.startswith(f"{file}:\n  ")
    for sentence in sentences:
        assert sentence in said


def test_all_that_is_wrong_is_said_at_once(write):
    wrong = changed(("time_zone", "Mars"), ("targets.tokyo.archive.bucket", REMOVED), (f"{GROUPS}.2.nmae", "x"))
    assert [line.split(":")[0].strip() for line in refusal(write(wrong)).splitlines()[1:]] == [
        "time_zone",
        "targets.tokyo.archive.bucket",
        f"{GROUPS}.2.nmae",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "must hold the keys time_zone, targets, export", id="empty"),
        pytest.param("# nothing\n", "must hold the keys time_zone, targets, export", id="a comment"),
        pytest.param("- time_zone\n", "must hold the keys", id="a list"),
        pytest.param("time_zone\n", "must hold the keys", id="a word"),
        pytest.param("{}", "time_zone: this key is missing; add it", id="no keys"),
        pytest.param("time_zone: [", "is no YAML", id="no YAML"),
        pytest.param("time_zone: a\n\ttargets: b\n", "is no YAML", id="a tab"),
        pytest.param("time_zone: !!python/name:os.system x", "is no YAML", id="a tag that runs code"),
        pytest.param("time_zone: UTC\n---\ntime_zone: UTC\n", "is no YAML", id="two documents"),
        pytest.param(b"time_zone: \xff\n", "is no YAML", id="no UTF-8"),
        pytest.param(b"\x00", "is no YAML", id="a control character"),
        pytest.param("1: x\n", "1: 1 will not do: Keys should be strings", id="a number for a key"),
    ],
)
def test_a_file_that_is_no_settings_is_refused(write, content, said):
    file = write(content)
    assert str(file) in refusal(file)
    assert said in refusal(file)


@pytest.mark.parametrize(
    ("key", "content", "line"),
    [
        ("time_zone", "time_zone: UTC\ntargets: {}\ntime_zone: Asia/Tokyo\n", 3),
        ("bucket", "targets:\n  a:\n    archive:\n      bucket: one\n      bucket: two\n", 5),
        ("name", "targets:\n  a:\n    archive:\n      log_groups:\n        - {name: a, name: b}\n", 5),
    ],
)
def test_a_key_given_twice_is_refused_with_its_line(write, key, content, line):
    file = write(content)
    said = refusal(file)
    assert f"{file} is no YAML: key '{key}' stands twice" in said
    assert f"line {line}" in said


def test_a_file_that_is_not_there_is_told_with_the_variable_that_names_it(tmp_path):
    assert refusal(tmp_path / "none.yaml") == (
        f"{tmp_path}/none.yaml: No such file or directory; set LOG_AUDIT_SETTINGS to the settings file"
    )
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory; set LOG_AUDIT_SETTINGS to the settings file"


def test_the_variable_names_the_file_unless_the_caller_does(write, monkeypatch):
    file = write(changed(("time_zone", "Europe/Berlin")))
    monkeypatch.setenv(VARIABLE, str(file))
    assert load_settings().time_zone == "Europe/Berlin"
    assert load_settings(DEFAULT_FILE).time_zone == "Asia/Tokyo"
    monkeypatch.setenv(VARIABLE, f"{file}.old")
    assert f"{file}.old" in refusal(None)


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_the_shipped_file_is_read_from_wherever_one_stands(monkeypatch, tmp_path, value):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    monkeypatch.chdir(tmp_path)
    assert load_settings() == load_settings(DEFAULT_FILE)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=4), st.dates(),
    st.sampled_from(["UTC", "Asia", "/aws/x", "logs", "a.b", "=", "<<", "on", "~", "1e3", "0x1f", "2026-10"]),
)  # fmt: skip
own_keys = st.sampled_from(
    ["time_zone", "targets", "export", "tokyo", "connection", "region", "archive", "bucket", "prefix", "log_groups",
     "name", "name_prefix", "destination", "reconcile", "settle_hours", "slot_timeout_hours", "poll_seconds"]
)  # fmt: skip
keys = st.one_of(own_keys, st.text(max_size=5), st.integers(), st.none(), st.dates(date(1900, 1, 1)))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=15,
)
places = ["", "time_zone", "targets", "targets.tokyo", "targets.tokyo.archive", "targets.tokyo.archive.bucket",
          "targets.tokyo.archive.prefix", "targets.tokyo.connection", "targets.tokyo.region", GROUPS, f"{GROUPS}.0",
          f"{GROUPS}.0.name", f"{GROUPS}.2.name_prefix", f"{GROUPS}.1.destination", f"{GROUPS}.0.reconcile",
          "export", "export.settle_hours", "export.slot_timeout_hours", "export.poll_seconds"]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # each example writes its file
@given(place=st.sampled_from(places), value=values)
def test_any_structure_is_settings_or_a_settings_error_that_names_the_file(write, place, value):
    file = write(changed((place, value)) if place else yaml.safe_dump(value))
    try:
        assert load_settings(file).zone
    except SettingsError as error:
        assert str(file) in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, len(DEFAULT_FILE.read_bytes())))
def test_any_beginning_of_the_shipped_file_is_settings_or_a_settings_error(write, cut):
    with suppress(SettingsError):
        load_settings(write(DEFAULT_FILE.read_bytes()[:cut]))


@pytest.mark.parametrize(
    "text",
    ["a: {{ x }}", "[a, b]: c", "a: 2026-02-30", "a: !!bool x", "a: !!timestamp x", "[" * 3000, f"a: {'9' * 5000}"],
)
def test_text_that_yaml_stumbles_over_is_an_error_with_the_file(write, tmp_path, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"odd\.yaml"):
        load_settings(file)


# Aurora and CloudTrail

AURORA = {
    "location": "s3://logs/audit",
    "queue": "https://sqs.ap-northeast-1.amazonaws.com/123456789012/tasks",
    "clusters": {"orders": {"ecs_cluster": "batch", "command": ["orders"]}},
}


def with_aurora(**changes):
    return {**target(log_groups=[{"name": "/orders"}]), "aurora": {**AURORA, **changes}}


@pytest.mark.parametrize(
    ("targets", "complaint"),
    [
        pytest.param(
            {
                "a": with_aurora(
                    clusters={**AURORA["clusters"], "other": {"ecs_cluster": "batch", "command": ["orders"]}}
                )
            },
            "clusters.orders and clusters.other are shipped by the same task",
            id="one task for two clusters",
        ),
        pytest.param(
            {
                "a": with_aurora(
                    clusters={
                        "orders": {"ecs_cluster": "batch", "command": ["a"], "folder": "x"},
                        "x": {"ecs_cluster": "batch", "command": ["b"]},
                    }
                )
            },
            "share the folder x",
            id="one folder for two clusters",
        ),
        pytest.param(
            {"a": with_aurora(clusters={"orders": {"ecs_cluster": "b", "command": ["o"], "silent_after_hours": 1}})},
            "silent_after_hours 1.0 must be more than the hour it ships",
            id="silent sooner than it can ship",
        ),
        pytest.param(
            {"a": with_aurora(clusters={"orders": {"ecs_cluster": "batch", "command": []}})},
            "targets.a.aurora.clusters.orders.command",
            id="no command",
        ),
        pytest.param({"a": with_aurora(queue="tasks")}, "targets.a.aurora.queue", id="a queue that is no URL"),
        pytest.param(
            {"a": with_aurora(location="s3://logs/audit/")}, "targets.a.aurora.location", id="a slash too many"
        ),
        pytest.param(
            {
                "a": with_aurora(),
                "b": {
                    **with_aurora(clusters={"pay": {"ecs_cluster": "b", "command": ["p"]}}),
                    "region": "us-east-1",
                    "archive": {"bucket": "elsewhere", "log_groups": [{"name": "/orders"}]},
                },
            },
            "share the queue https://sqs.ap-northeast-1",
            id="one queue for two targets",
        ),
        pytest.param(
            {
                "a": with_aurora(),
                "b": {
                    **with_aurora(queue=None),
                    "region": "us-east-1",
                    "archive": {"bucket": "elsewhere", "log_groups": [{"name": "/orders"}]},
                },
            },
            "both have an Aurora cluster 'orders'",
            id="one name for two clusters",
        ),
        pytest.param(
            {
                "a": with_aurora(),
                "b": {
                    **with_aurora(queue=None, clusters={"pay": {"ecs_cluster": "b", "command": ["p"]}}),
                    "archive": {"bucket": "elsewhere", "log_groups": [{"name": "/orders"}]},
                },
            },
            "would make the same tables in the database log_audit",
            id="one table for two targets",
        ),
        pytest.param(
            {
                "a": {
                    **target(log_groups=[{"name": "/orders"}]),
                    "cloudtrail": {"accounts": ["123456789012"], "regions": ["us-east-1"]},
                }
            },
            "schedules: table needs the location",
            id="a table without a place",
        ),
    ],
)
def test_aurora_and_cloudtrail_that_cannot_work_are_refused(write, targets, complaint):
    with pytest.raises(SettingsError) as caught:
        load_settings(write({"time_zone": "UTC", "targets": targets}))
    assert complaint in str(caught.value)


def test_aurora_in_two_accounts(write):
    other = {
        **with_aurora(queue=None, clusters={"pay": {"ecs_cluster": "b", "command": ["p"], "ships": "day"}}),
        "region": "us-east-1",
        "archive": {"bucket": "elsewhere", "log_groups": [{"name": "/orders"}]},
    }
    loaded = load_settings(write({"time_zone": "UTC", "targets": {"a": with_aurora(), "b": other}}))
    assert {name: entry[0] for name, entry in loaded.aurora_clusters.items()} == {"orders": "a", "pay": "b"}
    assert loaded.aurora_clusters["pay"][2].silent_after == timedelta(hours=30)


def test_a_number_of_thousands_of_digits_is_refused_with_the_file(write):
    assert "is no YAML: Exceeds the limit" in refusal(write(f"time_zone: 0x{'f' * 5000}"))
