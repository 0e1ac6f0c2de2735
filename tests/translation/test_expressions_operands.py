"""An operand begins and ends where PostgreSQL's precedences say; in the texts « and » enclose it."""

import pytest

from nexusql.sql.lexical import SessionModes
from nexusql.sql.operands import (
    ARITHMETIC,
    ends_operand,
    operand_end,
    operand_start,
    operator,
    primary_end,
    primary_start,
)
from nexusql.sql.syntax import syntax_for
from nexusql.sql.tokens import Tokens, tokenize
from translating import said

PRIMARIES = [
    "«a»",
    "x = «a.b.c»",
    'x = «a . "B c"»',
    "«f(a, (b))»",
    "x + «s.f (a)»",
    "«count(*) FILTER (WHERE a > 0)»",
    "«sum(a) FILTER (WHERE b) OVER (PARTITION BY c)»",
    "x, «sum(a) OVER w»",
    "«percentile_cont(0.5) WITHIN GROUP (ORDER BY a)»",
    "NOT «(a + b)»",
    "a IN «(1, 2)»",
    "x - «CASE WHEN a THEN CASE b WHEN 1 THEN 2 END ELSE 3 END»",
    "x AND «'it''s'»",
    "«DATE '2024-01-01'»",
    "x > «INTERVAL '1' DAY»",
    "«INTERVAL '1 day'»",
    "x = «1.5e-3»",
    "x = «:p»",
    "«a[1]»",
    "x = «a[1][2:3]»",
    "«(array_agg(a))[1]»",
    "«ARRAY[1, 2]»",
    "x = «a::text»",
    "«a.b::numeric(10, 2)::text»",
    "x || «(a)::double precision»",
    "«a::timestamp with time zone»",
    "«a::text[]»",
    "«f(a)::pg_catalog.int4»",
    "«CAST(a AS text)»",
    "«EXISTS (SELECT 1)»",
    "«LEFT(a, 3)»",
]


def split(text: str) -> tuple[Tokens, int, int]:
    """The tokens of a text without its marks, and the positions that the marks enclose."""
    start, end = text.index("«"), text.index("»") - 1
    tokens = tokenize(text.replace("«", "").replace("»", ""), syntax_for("postgresql").lexical(SessionModes()))
    starts = [token.start for token in tokens]
    ends = [token.start + len(token.text) for token in tokens]
    return tokens, starts.index(start), ends.index(end) + 1


@pytest.mark.parametrize("text", PRIMARIES)
@pytest.mark.parametrize("around", ["{}", "{} + y", "{} AS y", "{} FROM t", "{}, y", "({}) = 1", "{} /* c */"])
def test_a_primary_expression_has_both_bounds(text: str, around: str) -> None:
    tokens, start, end = split(around.format(text))
    assert primary_start(tokens, end - 1) == start
    assert primary_end(tokens, start) == end


@pytest.mark.parametrize(
    "text",
    [
        "«a» = b",
        "x AND «a + b * c» = d",
        "x, «a || 'b' || c» LIKE d",
        "NOT «a -> 'k' ->> 'l'» IS NULL",
        "WHERE «-a» < b",
        "x = 1 AND «a - -b» < c",
        "WHEN «(a) % 3» = 1",
        'x < y OR «a COLLATE "C"» = b',
        "x <= 1 AND «f(a)::text || b» = c",
        "SELECT «~ a & b» = c",
    ],
)
def test_an_operand_of_a_comparison_begins_behind_what_binds_less(text: str) -> None:
    tokens, start, end = split(text)
    assert operand_start(tokens, tokens.next(end - 1)) == start


@pytest.mark.parametrize(
    "text",
    [
        "a = «b» AND c",
        "a LIKE «b || '%' || c» ESCAPE '!'",
        "a LIKE «'x'» alias",
        "a IS DISTINCT FROM «b + 1» = c",
        "a < «-b * 2», d",
        'a = «b COLLATE "C" || c» ORDER BY d',
        "a > «CASE WHEN b THEN 1 END + 1» THEN",
        "a = «b::int - 1»)",
        "a = «b»",
    ],
)
def test_an_operand_of_a_comparison_ends_before_what_binds_less(text: str) -> None:
    tokens, start, end = split(text)
    assert operand_end(tokens, start) == end


@pytest.mark.parametrize(
    ("text", "operators"),
    [
        ("a || «b + c * d» - x", ARITHMETIC),
        ("a - «b * c» - x", frozenset("*/")),
        ("a = «b» + x", frozenset("*/")),
    ],
)
def test_the_operators_that_bind_more_can_be_named(text: str, operators: frozenset[str]) -> None:
    tokens, start, end = split(text)
    assert operand_start(tokens, tokens.next(end - 1), operators) == start


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("=-1", "="),
        ("->-1", "->"),
        ("||-1", "||-"),
        ("->>'a'", "->>"),
        ("*-1", "*"),
        ("- -1", "-"),
        ("+", "+"),
        ("a", ""),
    ],
)
def test_a_sign_is_no_part_of_an_operator(text: str, name: str) -> None:
    assert operator(tokenize(text, syntax_for("postgresql").lexical(SessionModes())), 0) == name


@pytest.mark.parametrize(("text", "is_end"), [("a", True), ("END", True), ("NULL", True), ("AND", False), ("(", False)])
def test_what_may_end_an_operand(text: str, is_end: bool) -> None:
    tokens = tokenize(text, syntax_for("postgresql").lexical(SessionModes()))
    assert ends_operand(tokens, 0) is is_end
    assert not ends_operand(tokens, 1)


def test_a_translation_is_its_text() -> None:
    assert str(said("SELECT 1", "sqlite", SessionModes())) == "SELECT 1"
