"""Placeholders: found where they are meant, bound as literals that nothing can break out of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_audit.errors import QueryFileError
from log_audit.sql import bind, literal, placeholders


def test_each_placeholder_becomes_a_question_mark_and_a_literal_in_order():
    sql = "SELECT \"a:b\", ':c' -- :d\nFROM t /* :e\n:f */ WHERE x = :g AND y IN (:h, :g)"
    text, literals = bind(sql, {"g": 1, "h": "it's"})
    assert text == "SELECT \"a:b\", ':c' -- :d\nFROM t /* :e\n:f */ WHERE x = ? AND y IN (?, ?)"
    assert literals == ["1", "'it''s'", "1"]


def test_placeholders_know_their_lines():
    assert [(found.name, found.line) for found in placeholders("SELECT :a,\n'\n',:b\n:c")] == [
        ("a", 1),
        ("b", 3),
        ("c", 4),
    ]


@pytest.mark.parametrize("quoted", ["'it''s :x'", '"a "" :x"', "'-- :x'", "/* ' :x */", "-- ' \" /* :x", "'\\'"])
def test_what_stands_in_quotes_or_comments_is_no_placeholder(quoted):
    assert bind(f"SELECT {quoted}\n, :y", {"y": 2}) == (f"SELECT {quoted}\n, ?", ["2"])


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT 1\nFROM 'x", "2: what begins with ' here has no end"),
        ("SELECT\n\n/* x", "3: what begins with /* here has no end"),
        ("SELECT x::int", "1: Athena knows no '::'"),
        ("SELECT ?", "1: write :name instead of ?"),
        ("SELECT\n:b", "2: :b has no value; there are :a"),
    ],
)
def test_what_cannot_be_bound_names_its_line(sql, complaint):
    with pytest.raises(QueryFileError) as caught:
        bind(sql, {"a": 1})
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["admin", "root"], "'admin,root'"),
        ([8, 20], "'8,20'"),
        (True, "true"),
        (0.5, "0.5"),
        (-3, "-3"),
        ("", "''"),
        ("日本語", "'日本語'"),
    ],
)
def test_literals(value, text):
    assert literal("x", value) == text


def test_a_list_with_a_comma_in_an_entry_is_refused():
    with pytest.raises(QueryFileError, match="'a,b' holds a comma"):
        literal("x", ["a,b"])


def test_a_value_that_athena_would_not_take_is_refused():
    assert literal("x", "y" * 1022)
    with pytest.raises(QueryFileError, match="1025 characters, but a parameter takes 1024"):
        literal("x", "y" * 1023)


@given(st.text(max_size=300))
def test_no_text_ends_its_own_literal(text):
    inside = literal("x", text)[1:-1]
    assert inside.replace("''", "").count("'") == 0
    assert inside.replace("''", "'") == text
