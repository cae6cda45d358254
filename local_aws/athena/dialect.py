"""Reading a SELECT: Athena's grammar where it is narrower than sqlglot's, and its `?` parameters.

https://docs.aws.amazon.com/athena/latest/ug/select.html
https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html (`?` in WHERE only)
"""

import logging
import re
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokens import Token, TokenType

from local_aws.athena.failures import QueryFailure, Refused, SyntaxFailure

# It warns of the statements that we go on to refuse.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

LITERAL = re.compile(
    r"\s*(?:'(?:[^']|'')*'|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|true|false|null"
    r"|(?:date|timestamp)\s+'[^']*')\s*",
    re.IGNORECASE | re.DOTALL,
)
# sqlglot takes these from other dialects.
FOREIGN = frozenset({"::", "ILIKE", "QUALIFY", "==", "<=>", "&&", "DIV", "RLIKE", "REGEXP", "GLOB", "`"})
COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)

# Expressions that the stand-in does truly, once their types are checked.
ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE, exp.Values, exp.Unnest),
        *(exp.Table, exp.TableAlias, exp.Alias, exp.Identifier, exp.Column, exp.Dot, exp.Star, exp.From, exp.Join),
        *(
            exp.Where,
            exp.Group,
            exp.Having,
            exp.Order,
            exp.Ordered,
            exp.Limit,
            exp.Offset,
            exp.Distinct,
            exp.Tuple,
            exp.Paren,
        ),
        *(
            exp.Literal,
            exp.Null,
            exp.Boolean,
            exp.Interval,
            exp.Var,
            exp.Array,
            exp.Bracket,
            exp.DataType,
            exp.DataTypeParam,
        ),
        *(
            exp.Anonymous,
            exp.Window,
            exp.WindowSpec,
            exp.Filter,
            exp.Extract,
            exp.AtTimeZone,
            exp.CurrentTimestamp,
            exp.CurrentDate,
        ),
        *(
            exp.Case,
            exp.If,
            exp.In,
            exp.Between,
            exp.Like,
            exp.Escape,
            exp.And,
            exp.Or,
            exp.Not,
            exp.Is,
            exp.Exists,
            exp.Cast,
            exp.TryCast,
        ),
        *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ),
        *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe),
    }
)
# The arguments that they may have, where sqlglot knows more than Athena.
ARGUMENTS: dict[type[exp.Expr], str] = {
    exp.Select: "expressions from_ where group having order limit offset distinct joins with_",
    exp.Table: "this db catalog alias",
    exp.Group: "expressions",
    exp.Distinct: "expressions",
    exp.Unnest: "expressions alias",
    exp.Join: "this on side kind using",
    exp.With: "expressions",
    exp.Limit: "expression",
    exp.Offset: "expression",
    exp.Cast: "this to",
    exp.TryCast: "this to safe",
    exp.CTE: "this alias",
    exp.Window: "this partition_by order spec over",
    exp.In: "this expressions query",
    exp.Subquery: "this alias with_ order limit offset",
    exp.Star: "",
    exp.Values: "expressions alias",
    exp.Bracket: "this expressions offset",
    exp.CurrentTimestamp: "",
    exp.CurrentDate: "",
}
JOINS = frozenset({"", "INNER", "CROSS", "OUTER"})


# A class made by sqlglot's metaclass, which mypy takes for a variable.
TrinoParser: Any = Trino.Parser


class AthenaSelect(Trino):
    """sqlglot's Trino, with every function left as it is named: functions.py knows them, sqlglot renames them."""

    # NULL has a type of its own, which fits every other.
    SUPPORTS_NULL_TYPE = True

    class Parser(TrinoParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser
            for name, parser in TrinoParser.FUNCTION_PARSERS.items()
            if name in ("CAST", "TRY_CAST", "EXTRACT")
        }


def without_comments(text: str) -> str:
    """The text from its first word on."""
    while found := COMMENT.match(text):
        text = text[found.end() :]
    return text.strip()


def bind(text: str, parameters: list[str]) -> str:
    """Put each parameter, which must be a literal, in the place of its `?`.

    Raises SyntaxFailure for a `?` outside of WHERE.
    """
    marks = [token for token in _tokens(text) if token.token_type == TokenType.PLACEHOLDER]
    if marks:
        _check_places(parse_select(text))
    if len(marks) != len(parameters):
        raise QueryFailure(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}",
        )
    for mark, value in reversed(list(zip(marks, parameters, strict=True))):
        if not LITERAL.fullmatch(value):
            raise QueryFailure("INVALID_PARAMETER_USAGE", f"A parameter must be an SQL literal, not {value}")
        text = f"{text[: mark.start]} {_literal(value)} {text[mark.end + 1 :]}"
    return text


def _check_places(tree: exp.Query) -> None:
    for mark in tree.find_all(exp.Placeholder):
        clause = mark.find_ancestor(exp.Where, exp.Query)
        # The WHERE of an aggregate's FILTER is a part of the SELECT list.
        if not isinstance(clause, exp.Where) or not isinstance(clause.parent, exp.Select):
            near = mark.parent.sql(AthenaSelect)[:80] if mark.parent else "?"
            raise SyntaxFailure(
                f"mismatched input '?' ({near}): Athena takes parameters in WHERE only; move the condition into the "
                "WHERE of this query or of one around it"
            )


def _literal(value: str) -> str:
    value = value.strip()
    # A sign in front of another would begin a comment.
    return f"({value})" if value[0] in "+-" else value


def parse_select(text: str) -> exp.Query:
    """The query; raises SyntaxFailure for what Athena's grammar has not."""
    tokens = _tokens(text)
    _check_words(tokens)
    try:
        trees = AthenaSelect().parse(text)
    except (ParseError, TokenError) as error:
        raise SyntaxFailure(re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()[0]) from None
    if len(trees) != 1 or trees[0] is None:
        raise SyntaxFailure("Only one sql statement is allowed.")
    tree = trees[0]
    if any(not select.expressions for select in tree.find_all(exp.Select)):
        raise SyntaxFailure("mismatched input: a SELECT names no column")
    if not isinstance(tree, exp.Query):
        raise Refused(f"{text.split(None, 1)[0].upper()} statements")
    return tree


def check_allowed(tree: exp.Query) -> None:
    """Refuse every construct that is not known to mean the same here."""
    for node in tree.walk():
        if type(node) not in ALLOWED:
            raise Refused(f"{type(node).__name__} ({node.sql(AthenaSelect)[:80]})")
        given = {name for name, value in node.args.items() if value not in (None, [], False)}
        unknown = given - set(ARGUMENTS[type(node)].split()) if type(node) in ARGUMENTS else None
        if unknown:
            raise Refused(f"{type(node).__name__} with {', '.join(sorted(unknown))}")
        if isinstance(node, exp.Join) and (node.method or node.kind not in JOINS):
            raise Refused(f"{node.method} {node.kind} JOIN")


def _tokens(text: str) -> list[Token]:
    try:
        return list(AthenaSelect().tokenize(text))
    except TokenError as error:
        raise SyntaxFailure(str(error).splitlines()[0]) from None


def _check_words(tokens: list[Token]) -> None:
    depth = 0
    limits: set[int] = set()
    for token in tokens:
        word = token.text.upper()
        quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
        if not quoted and word in FOREIGN:
            raise SyntaxFailure(f"line {token.line}:{token.col}: mismatched input '{token.text}'")
        depth += {"(": 1, ")": -1}.get("" if quoted else word, 0)
        limits = {at for at in limits if at <= depth}
        if token.token_type == TokenType.LIMIT:
            limits.add(depth)
        if token.token_type == TokenType.OFFSET and depth in limits:
            raise SyntaxFailure(f"line {token.line}:{token.col}: mismatched input 'OFFSET': it stands before LIMIT")
