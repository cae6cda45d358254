"""Query files: what their headers may hold, and errors that name the file, the line and the remedy."""

import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from log_audit.errors import QueryFileError
from log_audit.query_file import SEVERITIES, QueryFile, parse_query_file, read_query_file

CHECK = """\
# title: Errors of the shop
# severity: high
# description: |
#   Two lines
#   of text.
# runbook: Look into the log.
# false_positives: Load tests.
# log_groups: [/aws/lambda/shop, /ecs/shop]
# log_group_sets: [api_gateway]
# look_back_minutes: 30
# limit: 500

# a comment of the query's own
filter status >= 500
| sort @timestamp desc
"""
AUDIT = """\
-- title: Administrators' logins
-- severity: critical
-- parameters: {admins: "admin,root", most: 3, ratio: 0.5}

SELECT * FROM audit WHERE username = :admins AND hits > :most * :ratio -- and so on: :not_this
"""
SQL = Path("audits/logins.sql")
INSIGHTS = Path("checks/errors.insights")


def check(*header, body="\nfilter status >= 500\n"):
    """A check with these lines in its header, and a title where they give none."""
    return "".join(f"# {line}\n" for line in header) + body


def error_of(text, path=INSIGHTS):
    with pytest.raises(QueryFileError) as caught:
        parse_query_file(text, path)
    return str(caught.value)


# What a sound file gives


def test_a_check():
    assert parse_query_file(CHECK, INSIGHTS) == QueryFile(
        name="errors",
        path="checks/errors.insights",
        title="Errors of the shop",
        severity="high",
        body="# a comment of the query's own\nfilter status >= 500\n| sort @timestamp desc",
        description="Two lines\nof text.\n",
        runbook="Look into the log.",
        false_positives="Load tests.",
        log_groups=("/aws/lambda/shop", "/ecs/shop"),
        log_group_sets=("api_gateway",),
        look_back_minutes=30,
        limit=500,
    )


def test_an_audit_with_parameters():
    query = parse_query_file(AUDIT, SQL)
    assert (query.name, query.severity) == ("logins", "critical")
    assert query.parameters == {"admins": "admin,root", "most": 3, "ratio": 0.5}
    assert query.body.startswith("SELECT")
    assert query.log_groups == query.log_group_sets == ()


def test_all_but_title_and_severity_may_be_left_out():
    query = parse_query_file("-- title: t\n-- severity: low\nSELECT 1", SQL)
    assert query == QueryFile(name="logins", path=str(SQL), title="t", severity="low", body="SELECT 1")


def test_windows_line_ends_and_blanks_around_the_body_do_no_harm():
    plain = parse_query_file(CHECK, INSIGHTS)
    assert parse_query_file(CHECK.replace("\n", "\r\n") + "\r\n  \r\n", INSIGHTS) == plain


def test_the_body_may_follow_at_once_and_hold_any_language():
    query = parse_query_file(
        "# title: 監視\n# severity: info\n# log_groups: [g]\nfilter @message like /エラー/", INSIGHTS
    )
    assert (query.title, query.body) == ("監視", "filter @message like /エラー/")


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity(severity):
    assert parse_query_file(f"-- title: t\n-- severity: {severity}\nSELECT 1", SQL).severity == severity


def test_read_from_a_file(tmp_path):
    file = tmp_path / "errors.insights"
    file.write_text(CHECK, encoding="utf-8")
    assert read_query_file(file) == read_query_file(str(file))
    assert read_query_file(file).path == str(file)


# What is refused, and where


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["title: t", "severity: low", "tilte: t"], ":3: there is no key 'tilte'; there are description, "),
        (["title: t", "severity: low", "parameters: {a: 1}"], ":3: there is no key 'parameters'"),
        (["1: one", "title: t", "severity: low"], ":1: there is no key 1"),
        (["title: t", "severity: low", "? [a, b]", ": c"], ":3: the header is no YAML"),
        (["severity: low"], ":1: the header lacks title"),
        (["title: t"], ":1: the header lacks severity"),
        (["title: t", "severity: urgent"], ":2: severity: 'urgent' is none of info, low, medium, high, critical"),
        (["title: t", "severity: HIGH"], ":2: severity: 'HIGH' is none of"),
        (["title: t", "severity: [high]"], ":2: severity: ['high'] is none of"),
        (["title: t", "severity:"], ":2: severity: None is none of"),
        (["title: 5", "severity: low"], ":1: title: 5 is no text; put it in quotes"),
        (["title: yes", "severity: low"], ":1: title: True is no text"),
        (["title: 2026-11-20", "severity: low"], ":1: title: datetime.date(2026, 11, 20) is no text"),
        (["title:", "severity: low"], ":1: title: None is no text"),
        (["title: '  '", "severity: low"], ":1: title: '  ' is no text"),
        (["title: t", "severity: low", "runbook: [a]"], ":3: runbook: ['a'] is no text"),
        (["title: t", "severity: low", "log_groups: shop"], ":3: log_groups: 'shop' is no list of names"),
        (["title: t", "severity: low", "log_groups: []"], ":3: log_groups: [] is no list of names"),
        (["title: t", "severity: low", "log_groups: [1]"], ":3: log_groups: [1] is no list of names"),
        (["title: t", "severity: low", "log_group_sets: {a: b}"], ":3: log_group_sets: {'a': 'b'} is no list"),
        (["title: t", "severity: low"], ":1: name the log groups to search: log_groups or log_group_sets"),
        (["title: t", "severity: low", "limit: 0"], ":3: limit: 0 is no whole number from 1 to 100000"),
        (["title: t", "severity: low", "limit: 100001"], ":3: limit: 100001 is no whole number"),
        (["title: t", "severity: low", "limit: 1.5"], ":3: limit: 1.5 is no whole number"),
        (["title: t", "severity: low", "limit: '10'"], ":3: limit: '10' is no whole number"),
        (["title: t", "severity: low", "limit: true"], ":3: limit: True is no whole number"),
        (["title: t", "severity: low", "look_back_minutes: 0"], ":3: look_back_minutes: 0 is no whole number"),
        (["title: t", "severity: low", "look_back_minutes: 20161"], ":3: look_back_minutes: 20161 is no"),
        (["title: t", "severity: low", "title: again"], ":3: title stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_header(lines, expected):
    assert f"{INSIGHTS}{expected}" in error_of(check(*lines))


@pytest.mark.parametrize("limit", [1, 100_000])
def test_the_ends_of_the_range_are_inside(limit):
    text = check("title: t", "severity: low", "log_groups: [g]", f"limit: {limit}")
    assert parse_query_file(text, INSIGHTS).limit == limit


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["title: t", "severity: low", "description: [a, b"], 3),
        (["title: t", "severity: low", "runbook: look: again"], 3),
        (["title: t", "  severity: low"], 2),
        (["title: t", "severity: low", "\ttab: x"], 3),
        (["title: t", "severity: 'low", "x: y"], 3),
        (["title: t", "severity: *low"], 2),
        (["title: t", "severity: !!python/object:os.system low"], 2),
        (["title: t", "severity: low", "runbook: \x07"], 3),
        (["title: 2026-13-41", "severity: low"], 1),
        (["title: !!int ''", "severity: low"], 1),
        (["title: !!timestamp soon", "severity: low"], 1),
        (["title: " + "[" * sys.getrecursionlimit()], 1),
    ],
)
def test_a_header_that_is_no_yaml_is_named_with_its_line(lines, line):
    message = error_of(check(*lines))
    assert message.startswith(f"{INSIGHTS}:{line}: the header is no YAML: ")


def test_a_key_is_found_where_it_stands_and_not_where_a_text_speaks_of_it():
    lines = ["title: t", "runbook: |", "  severity: ask the team", "  limit: none", "severity: low", "limit: 0"]
    assert f"{INSIGHTS}:6: limit" in error_of(check(*lines))


@pytest.mark.parametrize("text", ["", "\n", "filter x = 1", "\n# title: t\n# severity: low\nfilter x = 1", "#\n#\nx"])
def test_no_header(text):
    assert error_of(text) == f"{INSIGHTS}:1: begin with comment lines such as '# title: …'"


def test_no_header_of_an_audit():
    assert error_of("SELECT 1", SQL) == f"{SQL}:1: begin with comment lines such as '-- title: …'"
    assert error_of("# title: t\n# severity: low\nSELECT 1", SQL).endswith("such as '-- title: …'")


@pytest.mark.parametrize("body", ["", "\n", "\n \n\t\n"])
def test_no_body(body):
    message = error_of(check("title: t", "severity: low", "log_groups: [g]", body=body))
    assert message == f"{INSIGHTS}:4: there is no query below the header"


@pytest.mark.parametrize("value", ["[a]", "text", "{1: a}", "5", ""])
def test_parameters_are_a_mapping_of_names(value):
    message = error_of(f"-- title: t\n-- severity: low\n-- parameters: {value}\nSELECT 1", SQL)
    assert message.startswith(f"{SQL}:3: parameters: ")


@pytest.mark.parametrize("key", ["log_groups: [g]", "log_group_sets: [g]", "limit: 5", "look_back_minutes: 5"])
def test_an_audit_knows_no_keys_of_a_check(key):
    message = error_of(f"-- title: t\n-- severity: low\n-- {key}\nSELECT 1", SQL)
    assert message.startswith(f"{SQL}:3: there is no key ")


@pytest.mark.parametrize("name", ["errors.txt", "errors", "errors.SQL", "errors.insights.bak", ".insights"])
def test_another_ending(name):
    assert error_of(CHECK, Path(name)) == f"{name}: the name must end in .sql or .insights"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("filter status >= 500 | limit 20", 4),
        ("\nfilter status >= 500\n| sort @timestamp desc\n|  LIMIT   20", 7),
        ("limit 5", 4),
        ("filter x = 1 | # the newest\n  limit 5", 5),
        ("fields a / b | limit 5 | fields c / d", 4),
        ("filter @message like /a|b/ and b like 'c' | limit 5 | filter d like /e/", 4),
        ("parse @message /(?<a>'.*)/ | limit 5", 4),
    ],
)
def test_a_limit_in_the_body_is_refused_with_its_line(body, line):
    text = check("title: t", "severity: low", "log_groups: [g]", body=body)
    assert error_of(text) == f"{INSIGHTS}:{line}: rows would be cut off in silence; use the header's limit"


@pytest.mark.parametrize(
    "body",
    [
        "filter @message like /over the | limit 5/",
        "filter @message not like /(?i)a\\/b| limit 5/",
        "filter @message =~ /| limit 5/",
        "parse @message /x | limit (?<n>[0-9]+)| limit 5/",
        'filter @message like "x | limit 5"',
        "filter @message like 'it\\'s | limit 5'",
        "fields `a | limit 5`",
        "filter x = 1 # or | limit 5",
        "filter x = 1 and limit > 5 | fields limit",
        "filter x = 1 | stats count(*) as limit",
    ],
)
def test_a_limit_that_is_only_spoken_of_is_none(body):
    assert parse_query_file(check("title: t", "severity: low", "log_groups: [g]", body=f"\n{body}"), INSIGHTS)


def test_an_audit_may_limit():
    assert parse_query_file("-- title: t\n-- severity: low\nSELECT 1\nlimit 5", SQL)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(QueryFileError, match=r"gone\.sql: cannot be read: .*No such file"):
        read_query_file(tmp_path / "gone.sql")


def test_a_folder(tmp_path):
    (tmp_path / "folder.sql").mkdir()
    with pytest.raises(QueryFileError, match=r"folder\.sql: cannot be read: "):
        read_query_file(tmp_path / "folder.sql")


def test_a_file_that_is_not_utf_8(tmp_path):
    file = tmp_path / "errors.sql"
    file.write_bytes("-- title: 監視\n".encode("shift-jis"))
    with pytest.raises(QueryFileError, match=r"errors\.sql: cannot be read: 'utf-8' codec can't decode"):
        read_query_file(file)


# Whatever a file holds

LINE = st.sampled_from(
    ["title: t", "severity: low", "severity: 2026-13-41", "log_groups: [g]", "limit: 5", "x: y", "- a", "&a *a", "? a",
     "<<: *a", "!!int x", "{", "]", "'", "|", "  in", "\t", "0b_", "1:99", "\x85", "\ufeff", "...", "---", "%YAML 9.9"]
)  # fmt: skip


@given(
    text=st.text() | st.lists(LINE | st.text(max_size=20)).map(lambda lines: check(*lines)),
    path=st.sampled_from([SQL, INSIGHTS]),
)
@example(text="# title: !!binary x\nx", path=INSIGHTS)
@example(text="# 0b_: x\nx", path=INSIGHTS)
@example(text="# title: t\n# severity: !!map [a]\nx", path=INSIGHTS)
@example(text="# !!set {title: 1}\nx", path=INSIGHTS)
@example(text="# !!omap [title: t]\nx", path=INSIGHTS)
@example(text="# &a title: *a\nx", path=INSIGHTS)
@example(text="# &a [*a]\nx", path=INSIGHTS)
@example(text="# title: t\n# severity: 0x" + "f" * 5000 + "\nx", path=INSIGHTS)
def test_any_text_is_a_query_or_a_query_file_error(text, path):
    try:
        query = parse_query_file(text, path)
    except QueryFileError as error:
        assert str(error).startswith(f"{path}:")
    else:
        assert query.title
        assert query.severity in SEVERITIES
        assert query.body


# Placeholders

AURORA = Path("audits/aurora/logins.sql")


def audit_error(body, *header):
    lines = "".join(f"-- {line}\n" for line in ("title: t", "severity: low", *header))
    return error_of(f"{lines}\n\n  {body}", AURORA)


def test_the_window_and_the_header_give_placeholders_their_values():
    text = (
        "-- title: t\n-- severity: low\n-- history_days: 30\n-- parameters: {users: [admin, 7]}\n"
        "SELECT ':x' WHERE :cluster = :day AND :first_hour <= :last_hour AND :history_start = :users -- :y"
    )
    query = parse_query_file(text, AURORA)
    assert (query.history_days, query.parameters) == (30, {"users": ["admin", 7]})


def test_a_placeholder_without_a_value_names_its_line():
    message = audit_error("SELECT 1\nWHERE :day = :user", "parameters: {usr: a}")
    assert message == f"{AURORA}:7: :user has no value; there are :cluster, :day, :first_hour, :last_hour, :usr"


def test_an_audit_of_another_folder_has_no_window_of_aurora():
    assert ":day has no value" in error_of("-- title: t\n-- severity: low\nSELECT :day", SQL)


@pytest.mark.parametrize(
    ("header", "body", "complaint"),
    [
        (["parameters: {a: 1}"], "SELECT 1", ":1: parameters: the query does not use a"),
        (["parameters: {day: 1}"], "SELECT :day", ":1: parameters: day comes from the window; rename it"),
        (["parameters: {a: ['x,y']}"], "SELECT :a", ":1: parameters: :a: 'x,y' holds a comma"),
        (["parameters: {a: {b: 1}}"], "SELECT :a", ":3: parameters: "),
        (["parameters: {a: []}"], "SELECT :a", ":3: parameters: "),
        (["parameters: {a-b: 1}"], "SELECT :a", ":3: parameters: "),
        (["history_days: 0"], "SELECT :history_start", ":3: history_days: 0 is no whole number"),
        (["history_days: 3"], "SELECT :day", ":1: history_days: the query does not use :history_start"),
        ([], "SELECT\n'x", ":6: what begins with ' here has no end"),
        ([], "SELECT :history_start", ":5: :history_start has no value"),
    ],
)
def test_what_is_wrong_with_an_audit_is_said_with_its_line(header, body, complaint):
    assert audit_error(body, *header).startswith(f"{AURORA}{complaint}")
