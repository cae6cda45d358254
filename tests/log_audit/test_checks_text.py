"""The exact text of a check's query, and the link that opens it."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from log_audit.checks import LINK, Look, console_url, in_fifties, query_text, scan_range
from log_audit.query_file import QueryFile, read_query_file
from log_audit.window import from_ms

START = 1_795_132_800_000  # 2026-11-20T00:00:00Z
LOOK_BACK, LATE = timedelta(minutes=15), timedelta(days=2)
QUERY = QueryFile("q", "q.insights", "Q", "low", "# why\nfilter @message like /x/ | fields 'a~b'", log_groups=("/a",))


def look(scope):
    return Look("q", "q.insights", "tokyo", scope, START, START + 300_000)


def test_the_regular_run_scans_its_look_back_and_what_lies_ahead():
    scan = scan_range(look("regular"), LOOK_BACK, LATE)
    assert scan.start == from_ms(START) - LOOK_BACK
    assert scan.end == from_ms(START) + timedelta(minutes=5) + timedelta(hours=2)
    arrival = "toMillis(@ingestionTime) >= 1795132800000 and toMillis(@ingestionTime) < 1795133100000"
    delay = "toMillis(@ingestionTime) - toMillis(@timestamp) <= 900000"
    assert query_text(QUERY, look("regular"), LOOK_BACK, LATE) == f"filter {arrival} and {delay} |\n{QUERY.body}"


def test_the_sweep_takes_what_the_regular_run_leaves():
    scan = scan_range(look("late"), LOOK_BACK, LATE)
    assert (scan.start, scan.end) == (from_ms(START) - LATE, from_ms(START + 300_000) - LOOK_BACK)
    text = query_text(QUERY, look("late"), LOOK_BACK, LATE)
    assert "and not (toMillis(@ingestionTime) - toMillis(@timestamp) <= 900000)" in text
    assert "and toMillis(@ingestionTime) - toMillis(@timestamp) <= 172800000" in text


def test_the_console_link_holds_query_span_and_log_groups():
    text = query_text(QUERY, look("regular"), LOOK_BACK, LATE)
    url = console_url("ap-northeast-1", ["/aws/x", "日本"], scan_range(look("regular"), LOOK_BACK, LATE), text)
    assert urlsplit(url).hostname == "ap-northeast-1.console.aws.amazon.com"
    assert "start~'2026-11-19T23*3a45*3a00.000Z~timeType~'ABSOLUTE" in url
    assert "source~(~'*2faws*2fx~'**65e5**672c)" in url
    assert "fields*20*27a*7eb*27" in url
    assert "why" not in url
    assert not set(url) & set(' "<>|\n')


@pytest.mark.parametrize("size", [3000, 9000])
def test_a_query_too_long_for_a_link_leaves_the_rest_of_it_whole(size):
    url = console_url("ap-northeast-1", ["/aws/x"], scan_range(look("regular"), LOOK_BACK, LATE), "x" * size)
    assert len(url) <= LINK
    assert url.endswith("~source~(~'*2faws*2fx))")


def test_log_groups_go_in_fifties():
    names = [str(n) for n in range(120)]
    assert [len(part) for part in in_fifties(names)] == [50, 50, 20]
    assert [name for part in in_fifties(names) for name in part] == names
    assert in_fifties([]) == []


@pytest.mark.parametrize("number", [3, 10, 50])
def test_the_shipped_checks_fit_into_a_link_with_the_first_of_their_log_groups(number):
    groups = [f"/aws/lambda/orders-production-{n:05d}" for n in range(number)]
    assert {len(group) for group in groups} == {35}
    for file in sorted((Path(__file__).parents[2] / "include" / "insights").glob("*.insights")):
        query = read_query_file(file)
        text = query_text(query, look("regular"), LOOK_BACK, LATE)
        url = console_url("ap-northeast-1", groups, scan_range(look("regular"), LOOK_BACK, LATE), text)
        assert len(url) <= LINK
        assert "editorString" in url, file.name
        assert "source~(~'*2faws*2flambda*2forders-production-00000" in url, file.name
