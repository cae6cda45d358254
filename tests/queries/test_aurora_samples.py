"""Every audit of ``include/sql/audits/aurora`` against the samples in ``aurora/<name>.yaml``, on the stand-in's Athena.

A file of samples::

    fires:
      - name: what is special about it
        window: aurora-prod/2026-01-14T09  # the partition key; left out, this one. aurora-daily ships days
        parameters: {burst: 3}             # these in place of the header's
        log: |                             # lines of the audit log, as they lie in S3 in the window's (first) hour
          1768348800000000,db-1,admin,192.0.2.10,101,0,CONNECT,shop,,0
        times: 10000                       # the log so many times over
        elsewhere:                         # lines in other partitions
          aurora-prod/2026-01-14/08: |
            …
        findings: 1                        # how many there are in all
        rows: [{username: admin}]          # the first ones in order, each with some of its columns; null is NULL
    silent:
      - name: …

2026-01-14 is a Wednesday; 09:00 in Tokyo is 00:00 in UTC, or 1768348800 seconds since the epoch.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import jinja2
import pytest

from local_aws.control import Control
from log_audit.audits import FOLDERS, aurora_window, query_files
from log_audit.query_file import QueryFile, read_query_file
from log_audit.settings import Settings, load_settings
from log_audit.sql import bind
from tests.local_aws.athena_client import BUCKET, Athena
from tests.queries.samples import Samples, check_findings, check_header

TABLE = FOLDERS["aurora"].parents[1] / "tables" / "aurora_audit_log.sql"
NAMES = [path.stem for path in query_files(FOLDERS["aurora"])]
KNOWN = {"name", "window", "parameters", "log", "times", "elsewhere"}
SAMPLES = Samples(Path(__file__).parent / "aurora", NAMES, KNOWN)
# What is told of people, not of the log itself.
OF_PEOPLE = sorted({*NAMES} - {"empty_delivery", "unreadable_lines"})
LOCATION = f"s3://{BUCKET}/audit"
HOUR = "aurora-prod/2026-01-14T09"
EARLIER = "aurora-prod/2026-01-13/15"
# A Saturday: the one audit that asks for days and hours would read nothing of working hours.
SATURDAY = {"hour": "aurora-prod/2026-01-17T09", "day": "aurora-daily/2026-01-17"}
SETTINGS = f"""
time_zone: Asia/Tokyo
targets:
  tokyo:
    connection: aws_default
    region: ap-northeast-1
    archive: {{bucket: some-bucket, log_groups: [{{name: /app}}]}}
    aurora:
      location: {LOCATION}
      clusters:
        aurora-prod: {{ecs_cluster: batch, command: [aurora-prod]}}
        aurora-daily: {{ecs_cluster: batch, command: [aurora-daily], ships: day}}
"""
UNREADABLE = ["", "x", "0", "-1768348800000000", "1e300", "NaN", "99999999999999999999", "2026-01-14 09:00:00"]
# Lines that no audit log has, among them fewer and more fields than ten; none has a quote without an end.
BROKEN = [
    *("", ",", ",,,,,,,,,", "x", "1768348800000000", "'','',''", "'a' 'b'", "\\", "\\,\\\\,", "日本語のログ"),
    "1768348800000000,db-1,admin,192.0.2.10,101,0,CONNECT",
    "1768348800000000,db-1,shop_app,192.0.2.10,101,501,QUERY",
    "1768348800000000,db-1,admin,192.0.2.10,101,501,NONSENSE,shop,'GRANT ALL INTO OUTFILE',0",
    "1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'SELECT 1',0,one,more",
    f"1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'SELECT {'1 + ' * 100_000}1',0",
    f"1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'SELECT {'/*' * 50_000}',0",
    f"1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'-- {'n ' * 50_000}',0",
    "x" * 300_000,
    "," * 10_000,
]
BINARY = bytes(byte for byte in range(256) if byte != ord("'")) * 40


def query_of(name: str) -> QueryFile:
    return read_query_file(FOLDERS["aurora"] / f"{name}.sql")


def partition_of(key: str) -> str:
    """The (first) partition of a window: ``aurora-prod/2026-01-14/09``."""
    cluster, when = key.split("/")
    return f"{cluster}/{when[:10]}/{when[11:] or '00'}"


def logs_of(case: dict[str, Any]) -> dict[str, str]:
    """What the case's partitions hold."""
    own = {partition_of(case.get("window", HOUR)): case["log"] * case.get("times", 1)} if "log" in case else {}
    return own | case.get("elsewhere", {})


@dataclass
class AuditLog:
    """The audit log in S3, the table over it, and the audits."""

    athena: Athena
    settings: Settings

    def put(self, partition: str, content: str | bytes, name: str = "audit.log.0") -> None:
        self.athena.put(f"audit/{partition}/{name}", content)

    def load(self, case: dict[str, Any], change: Callable[[str], str] = lambda text: text) -> None:
        for partition, text in logs_of(case).items():
            self.put(partition, change(text))

    def bound(self, query: QueryFile, key: str, parameters: dict[str, Any]) -> tuple[str, list[str]]:
        assert set(parameters) <= set(query.parameters)
        asked = replace(query, parameters=query.parameters | parameters)
        return bind(asked.body, aurora_window(key, self.settings).values(asked))

    def look(self, name: str, key: str = HOUR, **parameters: Any) -> list[dict[str, str | None]]:
        text, values = self.bound(query_of(name), key, parameters)
        header, *rows = self.athena.table(text, *values)
        return [dict(zip(header, row, strict=True)) for row in rows]

    def look_at(self, name: str, case: dict[str, Any]) -> list[dict[str, str | None]]:
        return self.look(name, case.get("window", HOUR), **case.get("parameters", {}))

    def scanned(self, name: str, key: str) -> int:
        text, values = self.bound(query_of(name), key, {})
        return self.athena.scanned(text, *values)


def rendered() -> str:
    return jinja2.Template(TABLE.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined).render(
        params={"location": LOCATION, "definition": "abc"}
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    file.write_text(SETTINGS)
    return load_settings(file)


@pytest.fixture
def audit_log(aws: Control, aws_client: Callable[..., Any], settings: Settings) -> AuditLog:
    aws.configure(athena_queued_seconds=0, athena_running_seconds=0)
    athena = Athena(aws_client("athena"), aws_client("s3"))
    athena.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    for text in ("CREATE DATABASE logs", rendered()):
        status = athena.run(text)["Status"]
        assert status["State"] == "SUCCEEDED", status
    return AuditLog(athena, settings)


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("fires"))
def test_fires(audit_log, name, case):
    audit_log.load(case)
    check_findings(audit_log.look_at(name, case), case)


@pytest.mark.parametrize(("name", "case"), SAMPLES.cases("silent"))
def test_stays_silent(audit_log, name, case):
    audit_log.load(case)
    assert audit_log.look_at(name, case) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_audit_has_samples_that_fire_and_that_stay_silent(name, settings):
    for case in SAMPLES.check_all(name):
        assert "findings" in case or {"log", "elsewhere"} & set(case), case["name"]
        aurora_window(case.get("window", HOUR), settings)


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_a_window_happen_in_it(name):
    """Audits do not ask, but whoever reads a sample expects it."""
    for case in SAMPLES.of(name)["fires"]:
        partition = partition_of(case.get("window", HOUR))
        start = datetime.fromisoformat(f"{partition[-13:-3]}T{partition[-2:]}:00:00+09:00")
        for micros in re.findall(r"(?m)^(\d{16}),", case.get("log", "")):
            at = datetime.fromtimestamp(int(micros) // 1_000_000, UTC)
            assert start <= at < start + timedelta(hours=1), f"{case['name']}: {micros}"


def test_no_samples_without_an_audit():
    SAMPLES.check_names()


@pytest.mark.parametrize("name", NAMES)
def test_the_header_tells_what_a_person_needs(name):
    check_header(query_of(name))


def test_every_column_has_a_name_and_only_statement_shows_sql(audit_log):
    """Statements hold secrets: the operator masks the literals in columns of that name."""
    failures = [f"{number},db-1,admin,192.0.2.10,1,0,FAILED_CONNECT,,,1045\n" for number in range(5)]
    login = "6,db-1,admin,192.0.2.10,1,0,CONNECT,,,0\n"
    statement = "7,db-1,admin,192.0.2.10,1,1,QUERY,shop,'GRANT \\'geheim\\' INTO OUTFILE \\'geheim\\'',0\n"
    audit_log.put(partition_of(SATURDAY["hour"]), "".join([*failures, login, statement]))
    audit_log.put("aurora-prod/2026-01-16/09", login.replace("admin", "alice"))
    shown = {}
    for name in sorted({*NAMES} - {"empty_delivery"}):
        rows = audit_log.look(name, SATURDAY["hour"])
        assert len(rows) == 1, name
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", column) for column in rows[0]), name
        shown[name] = [column for column, value in rows[0].items() if "geheim" in (value or "")]
    assert {name: columns for name, columns in shown.items() if columns} == {
        "bulk_reads": ["statement"],
        "privileged_statements": ["statement"],
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_lines_and_objects_does_not_matter(audit_log, name):
    for number, case in enumerate(SAMPLES.of(name)["fires"]):
        if case.get("times"):
            continue
        for partition, text in logs_of(case).items():
            lines = text.splitlines(keepends=True)
            random.Random(number).shuffle(lines)  # noqa: S311
            for place, part in enumerate((lines[::2], lines[1::2])):
                audit_log.put(partition, "".join(part), f"audit.log.{place}.gz")
        check_findings(audit_log.look_at(name, case), case)
        for partition, place in product(logs_of(case), range(2)):
            audit_log.athena.s3.delete_object(Bucket=BUCKET, Key=f"audit/{partition}/audit.log.{place}.gz")


@pytest.mark.parametrize("name", NAMES)
def test_a_line_whose_time_cannot_be_read_counts(audit_log, name):
    case = SAMPLES.first(name)
    for unreadable in UNREADABLE:
        audit_log.load(case, lambda text, time=unreadable: re.sub(r"(?m)^\d{16},", f"{time},", text))
        rows = audit_log.look_at(name, case)
        assert len(rows) == case["findings"], unreadable
        assert {value for row in rows for column, value in row.items() if column.endswith("time")} <= {None}


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_aurora_itself_is_never_told(audit_log, name):
    for case in SAMPLES.of(name)["fires"]:
        audit_log.load(case, lambda text: re.sub(r"(?m)^([^,]*,[^,]*),[^,]*,", r"\1,rdsadmin,", text))
        assert audit_log.look_at(name, case) == [], case["name"]
        for partition in logs_of(case):
            audit_log.put(partition, "")


@pytest.mark.parametrize("name", sorted({*NAMES} - {"empty_delivery"}))
def test_what_lies_beside_the_window_is_not_told(audit_log, name):
    case = SAMPLES.first(name)
    cluster, day, hour = partition_of(case.get("window", HOUR)).split("/")
    beside = [(cluster, day, int(hour) - 1), (cluster, day, int(hour) + 1), (cluster, "2026-01-15", int(hour))]
    for other, when, at in [*beside, ("aurora", day, int(hour)), (f"{cluster}-2", day, int(hour))]:
        audit_log.put(f"{other}/{when}/{at:02d}", case["log"] * case.get("times", 1))
    audit_log.put(f"{cluster}/{day}/{hour}", "1768348800000000,db-1,rdsadmin,localhost,2,501,QUERY,,'SELECT 1',0\n")
    assert audit_log.look_at(name, case) == []


@pytest.mark.parametrize("ships", SATURDAY)
def test_each_audit_reads_its_partitions_and_no_other(audit_log, ships):
    key = SATURDAY[ships]
    day = date.fromisoformat("2026-01-17")
    days = [day + timedelta(days=n) for n in (-40, -31, -30, -29, -1, 0, 1)]
    sizes = {}
    clusters = ("aurora-prod", "aurora-daily", "aurora")
    for number, (cluster, one, hour) in enumerate(product(clusters, days, (0, 8, 9, 10, 23))):
        line = "1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'SELECT 1',0\n"
        content = line * (number + 1)
        audit_log.put(f"{cluster}/{one}/{hour:02d}", content)
        sizes[cluster, one, hour] = len(content)
    cluster = key.split("/")[0]
    hours = [9] if ships == "hour" else [0, 8, 9, 10, 23]
    window = sum(sizes[cluster, day, hour] for hour in hours)
    for name in NAMES:
        expected, back = window, query_of(name).history_days
        if back:
            before = [one for one in days if day - timedelta(days=back) <= one < day]
            assert len(before) == 3
            expected += sum(sizes[cluster, one, hour] for one, hour in product(before, (0, 8, 9, 10, 23)))
            expected += sum(sizes[cluster, day, hour] for hour in (0, 8) if ships == "hour")
        assert audit_log.scanned(name, key) == expected, name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", [HOUR, "aurora-daily/2026-01-14"])
def test_where_nothing_is_there_only_the_empty_delivery_is_told(audit_log, name, key):
    assert audit_log.look(name, key) == ([{"rows_scanned": "0"}] if name == "empty_delivery" else [])


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_broken_lines_are_borne_and_hide_nothing(audit_log, name):
    case = SAMPLES.first(name)
    contents = ["\n".join(BROKEN), "\r\n".join(BROKEN), "", "\n\n", b"\xef\xbb\xbf", BINARY]
    for place, (number, content) in product((partition_of(case.get("window", HOUR)), EARLIER), enumerate(contents)):
        audit_log.put(place, content, f"broken.{number}")
    assert audit_log.look_at(name, case) == []
    audit_log.load(case)
    assert len(audit_log.look_at(name, case)) == case["findings"]


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_a_quote_without_an_end_hides_nothing(audit_log, name):
    case = SAMPLES.first(name)
    audit_log.load(case)
    line = "1768348800000000,db-1,shop_app,192.0.2.11,101,501,QUERY,shop,'SELECT 1\n"
    audit_log.put(partition_of(case.get("window", HOUR)), line, "cut")
    assert len(audit_log.look_at(name, case)) == case["findings"]


def test_of_a_line_that_cannot_be_read_no_word_is_shown(audit_log):
    """Wherever it was cut, and what is left put behind another line's time."""
    statement = "SELECT geheim.a, \\'geheim.b\\',geheim.c,geheim.d,geheim.e,5,6,DROP,geheim,geheim.f,0 # geheim"
    line = f"1768348800000000,db-1,geheim,192.0.2.11,101,501,QUERY,geheim,'{statement}',0"
    rows = []
    for cut in (found.start() for found in re.finditer(r"\b", line)):
        for number, part in enumerate((line[:cut], line[cut:], f"1768348800000000,{line[cut:]}")):
            audit_log.put(partition_of(HOUR), f"{part}\n", f"cut.{number}")
        rows += audit_log.look("unreadable_lines")
    assert {row["why"] for row in rows} >= {"fewer than ten fields", "no time", "unknown operation"}
    assert [row for row in rows if "geheim" in "".join(filter(None, row.values()))] == []


def test_the_table_takes_new_clusters_and_days_that_have_begun_somewhere(audit_log):
    assert audit_log.athena.run(rendered())["Status"]["State"] == "SUCCEEDED"
    today = datetime.now(UTC).date()
    for days in (-1, 0, 1, 2):
        audit_log.put(f"brand-new/{today + timedelta(days=days)}/00", "1768348800000000,db-1,alice\n")
    count = "SELECT count(*) FROM aurora_audit_log WHERE cluster = ?"
    assert audit_log.athena.rows(count, "'brand-new'") == [("3",)]
    assert audit_log.athena.rows(count, "'unheard-of'") == [("0",)]
    assert audit_log.athena.failure("SELECT count(*) FROM aurora_audit_log").startswith("CONSTRAINT_VIOLATION")


def test_times_are_told_to_the_millisecond(audit_log):
    dice = random.Random(1)  # noqa: S311
    # Whole milliseconds, since it is nobody's concern how half of one is rounded.
    times = [dice.randrange(1_577_836_800_000, 2_208_988_800_000) * 1000 for _ in range(300)]
    lines = [f"{at},db-1,user{at},192.0.2.1,1,0,CONNECT,shop,,0\n" for at in times]
    audit_log.put(partition_of(HOUR), "".join(lines))
    text = """SELECT username, to_iso8601(from_unixtime(CAST("timestamp" AS bigint) / 1e6))
        FROM aurora_audit_log WHERE cluster = 'aurora-prod'"""
    told = dict(audit_log.athena.rows(text))
    expected = {}
    for at in times:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
        expected[f"user{at}"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert told == expected
