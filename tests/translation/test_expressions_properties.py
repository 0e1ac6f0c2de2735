"""What holds for any text: literals, comments and names survive, native text passes, operands end where they end."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexusql.errors import SQLSyntaxError, TranslationError
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for
from nexusql.sql.tokens import tokenize
from translating import MARIADB, MYSQL, SQLITE, Databases, said

TARGETS = [("sqlite", SQLITE), ("mysql", MARIADB), ("mysql", MYSQL)]
HOSTILE = (
    "TRUE NOW() ::text INTERVAL '' -- ; -> ILIKE :p LIMIT ALL /* */ ON CONFLICT EXCLUDED.x #>> \\ % ? \" ` [ ] é 😀"
)
CONSTRUCTS = [
    "a::int",
    "CAST(:p AS jsonb)",
    "NOW() - :n * interval '1 day'",
    "b + INTERVAL '2 hours'",
    "CURRENT_TIMESTAMP",
    "gen_random_uuid()",
    "a ILIKE :q",
    "a IS DISTINCT FROM b",
    "LEAST(a, b)",
    "data -> :k ->> 0",
    "extract(epoch from b)",
    "date_trunc('day', b)",
    "a || :x",
    "CASE WHEN a THEN TRUE ELSE FALSE END::boolean",
    "STRING_AGG(a, :sep)",
]

texts = st.text(
    st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]) | st.sampled_from(HOSTILE.replace("\\", "")),
    max_size=12,
)
literals = (texts | st.sampled_from(HOSTILE.replace("\\", "").split())).map(lambda s: "'" + s.replace("'", "''") + "'")
block_comments = texts.map(lambda s: "/* " + s.replace("*/", "").replace("/*", "").replace("*", "") + " */")
line_comments = texts.map(lambda s: "-- " + "".join(s.splitlines()).replace("\r", "").replace("\n", "") + "\n")
names = texts.map(lambda s: "`" + (s or "x").replace("`", "``") + "`")
pieces = st.lists(
    st.tuples(
        literals | names,
        st.sampled_from(CONSTRUCTS),
        block_comments | line_comments | st.just(""),
    ),
    min_size=1,
    max_size=5,
)


def kept(sql: str, dialect: str, modes: SessionModes, kinds: str = "'-\"") -> list[str]:
    """The literals, comments and quoted names of a text."""
    rules = syntax_for(dialect).lexical(modes)
    return [token.text for token in tokenize(sql, rules, modes.version_number) if token.kind in kinds]


def is_subsequence(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(item in rest for item in few)


@pytest.mark.parametrize(("dialect", "modes"), TARGETS)
@given(pieces=pieces)
def test_literals_comments_and_names_survive_beside_any_construct(
    dialect: str, modes: SessionModes, pieces: list[tuple[str, str, str]]
) -> None:
    items = ", ".join(f"{text}, {construct} {comment}" for text, construct, comment in pieces)
    sql = f"SELECT {items} FROM t"
    mine = [piece for text, _, comment in pieces for piece in (text, comment.rstrip("\n")) if piece]
    assert is_subsequence(mine, kept(said(sql, dialect, modes).sql, dialect, modes))


@pytest.mark.parametrize(("dialect", "modes"), TARGETS)
@given(literal=literals, construct=st.sampled_from(CONSTRUCTS))
def test_a_literal_in_an_operand_survives(dialect: str, modes: SessionModes, literal: str, construct: str) -> None:
    for operand in (f"COALESCE(a, {literal})", f"(a || {literal})"):
        sql = f"SELECT {construct.replace('a', operand, 1) if construct.startswith('a') else f'{operand}::text'} FROM t"
        assert literal in kept(said(sql, dialect, modes).sql, dialect, modes, "'")


@pytest.mark.parametrize(("dialect", "modes"), TARGETS)
@given(
    words=st.lists(
        literals
        | names
        | block_comments
        | st.sampled_from("SELECT a , ( ) = + - * / < > <> AND OR NOT IN NULL WHERE x.y 1 2.5 :p IS LIKE t AS".split()),
        max_size=25,
    )
)
def test_text_without_a_construct_is_not_touched(dialect: str, modes: SessionModes, words: list[str]) -> None:
    sql = " ".join(words)
    assert said(sql, dialect, modes).sql == sql


@pytest.mark.parametrize(("dialect", "modes"), TARGETS)
@pytest.mark.parametrize(
    "sql",
    [
        *(f"SELECT {construct} FROM t" for construct in CONSTRUCTS if construct != "LEAST(a, b)"),
        "SELECT a::timestamp, a::numeric(10, 2), '2024-01-01'::date, 'x'::uuid, a::varchar(3), a::real FROM t",
        "SELECT data->'a'->>'b', data->>'c' FROM t ORDER BY 1 OFFSET 5",
        "SELECT a FROM t FETCH FIRST 3 ROWS ONLY FOR UPDATE",
        "INSERT INTO t (a, b) VALUES (:a, :b) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b WHERE t.b < EXCLUDED.b",
        "INSERT INTO t (a) SELECT a FROM s ON CONFLICT DO NOTHING",
    ],
)
def test_what_is_translated_is_native(dialect: str, modes: SessionModes, sql: str) -> None:
    once = said(sql, dialect, modes).sql
    assert once != sql or dialect == "sqlite" or "FOR UPDATE" in sql or "||" in sql
    again = said(once, dialect, modes)
    assert again.sql == once
    assert not again.notes


VOCABULARY = (
    "SELECT FROM WHERE a b t.a ( ) ( ) , ; . + - * / = < > <> || :: :: -> ->> #> #>> @> ? ?| [ ] 1 2.5 'x' '1 day' :p"
    " '{a,b}' INTERVAL DAY CAST AS INT jsonb text[] date timestamp varchar numeric NOW CURRENT_TIMESTAMP CURRENT_DATE"
    " EXTRACT EPOCH date_trunc GREATEST LEAST STRING_AGG ORDER BY ILIKE ESCAPE NOT IS DISTINCT ON UNKNOWN LIMIT OFFSET"
    " FETCH FIRST ROWS ONLY ALL FOR UPDATE SHARE OF NOWAIT SKIP LOCKED INSERT INTO VALUES CONFLICT CONSTRAINT DO"
    " NOTHING SET EXCLUDED.a WHERE RETURNING CASE WHEN THEN ELSE END OVER FILTER WITHIN GROUP AT TIME ZONE 'UTC'"
    " gen_random_uuid NULL TRUE E'x' DEFAULT ROW COLLATE /*c*/ DELETE USING NULLS LAST DESC BOOL_OR COUNT UPDATE x AND"
).split()
CHUNKS = [
    *CONSTRUCTS,
    "INSERT INTO t ( a , b ) VALUES ( 1 , 2 )",
    "ON CONFLICT ( a ) DO UPDATE SET a = EXCLUDED.a",
    "ON CONFLICT DO NOTHING",
    "OFFSET 3",
    "FETCH FIRST 1 ROWS ONLY",
    "FOR UPDATE OF a",
    "UPDATE t AS x SET a = 1 , ( b , c ) = ( a , 2 ) FROM s",
    "DELETE FROM t x USING s , t AS y WHERE x.a = s.a",
    "COUNT ( * ) FILTER ( WHERE a > 1 )",
    "ORDER BY a NULLS LAST , b DESC NULLS FIRST",
    "RETURNING x.a , s.b",
    "-- c\n",
]


@pytest.mark.parametrize(("dialect", "modes"), TARGETS)
@given(words=st.lists(st.sampled_from(VOCABULARY) | st.sampled_from(CHUNKS), max_size=20))
@example(words=["@>", "text[]"])
def test_any_text_is_translated_or_refused(dialect: str, modes: SessionModes, words: list[str]) -> None:
    sql = " ".join(words)
    refused: SQLSyntaxError | TranslationError | None = None
    try:
        translation = said(sql, dialect, modes)
    except (SQLSyntaxError, TranslationError) as error:
        refused = error
    if refused is not None:
        assert refused.sql == sql
        return
    assert kept(sql, dialect, modes, ":") or not kept(translation.sql, dialect, modes, ":")
    for note in translation.notes:
        assert 1 <= note.line <= sql.count("\n") + 1
        assert 1 <= note.column <= len(sql) + 1


leaves = st.sampled_from(["1", "-2", "(3)", "0.5", "'4'::int", "NULL::int", "n", "v.n", ":p", ":p::int", "COUNT(*)"])
expressions = st.recursive(
    leaves.filter(lambda leaf: leaf not in ("COUNT(*)", ":p")),
    lambda inner: (
        st.tuples(inner, st.sampled_from([" + ", "- ", "* ", " - - ", "+ - "]), inner).map("".join)
        | inner.map(lambda e: f"({e})::int")
        | inner.map(lambda e: f"({e})::text::numeric::int")
        | inner.map(lambda e: f"-({e})")
        | inner.map(lambda e: f"COALESCE({e}, 7)::int")
        | inner.map(lambda e: f"CAST({e} AS bigint) ")
        | st.tuples(inner, inner).map(lambda p: f"CASE WHEN {p[0]} IS DISTINCT FROM {p[1]} THEN 1 ELSE 2 END::int")
        | st.tuples(inner, inner).map(lambda p: f"GREATEST({p[0]}, {p[1]}, 0)")
        | st.tuples(inner, inner).map(lambda p: f"LEAST({p[0]}, {p[1]})")
        | st.tuples(inner, inner).map(lambda p: f"(({p[0]}) IS NOT DISTINCT FROM {p[1]})::int")
        | st.tuples(inner, inner).map(lambda p: f"LENGTH(({p[0]})::int::text || ({p[1]})::int) ")
        | inner.map(lambda e: f"(CASE WHEN ('x' || ({e})::int) ILIKE 'X%' THEN 5 END)")
    ),
    max_leaves=5,
)


@given(expression=expressions, p=st.integers(-5, 5))
def test_an_expression_has_one_value_everywhere(everywhere: Databases, expression: str, p: int) -> None:
    everywhere.assert_agree(f"SELECT {expression} AS x FROM (SELECT 2 AS n) AS v", {"p": p})
