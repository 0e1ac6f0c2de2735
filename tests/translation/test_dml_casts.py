"""Casts give the same answer on every database."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from nexusql.errors import TranslationError
from nexusql.sql import compile_statement
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, SQLITE, Databases, said

A_UUID = UUID("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")


@pytest.mark.parametrize(
    "expression",
    [
        "'12'::int",
        "'-7'::bigint",
        "2.7::int",
        "2.5::int",
        "-2.5::int",
        "(0.5 + 2)::integer",
        "7::smallint + 1",
        "9007199254740993::bigint",
        "'9007199254740993'::int8",
        "'1.5'::double precision",
        "'1.5'::float8 * 2",
        "7::real / 2",
        "'10'::numeric / 4",
        "1.005::numeric(10, 2)",
        "12.345::numeric(10,1)",
        "99.5::decimal(5)",
        "12::text",
        "'abcdef'::varchar(3)",
        "'abcdef'::character varying(2)",
        "'abc'::char(2)",
        "'ä😀x'::varchar(2)",
        "NULL::int",
        "NULL::text",
        "NULL::timestamp",
        "NULL::boolean",
        "12::text::int + 1",
        "(1 + 2)::text",
        "CASE WHEN 1 = 1 THEN '5' ELSE '6' END::int",
        "COALESCE(NULL, '8')::int",
        "COUNT(*)::int",
        "-'3'::int",
        "(1 = 1)::int",
        "'t'::boolean",
        "'off'::bool",
        "5::boolean",
        "0::boolean",
        "(NOT 'yes'::boolean)",
        "'2024-02-29'::date",
        "'2024-02-29 23:59:59.999999'::timestamp::date",
        "'2024-02-29'::timestamp",
        "'2024-02-29 10:00'::timestamp",
        "'2024-02-29 10:00:01'::timestamp",
        "'2024-02-29 10:00:01.5'::timestamp",
        "'2024-02-29 10:00:01.123456'::timestamp",
        "'2024-02-29T10:00:01.25'::timestamp",
        "'2024-02-29 10:00:01'::timestamp without time zone",
        "'10:11:12'::time",
        "'2024-02-29 10:11:12.5'::timestamp::time",
        "DATE '2024-02-29'",
        "TIMESTAMP '2024-02-29 10:00:01'",
        "TIMESTAMP '2024-02-29'",
        "TIMESTAMP WITH TIME ZONE '2024-02-29 10:00:01'",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
        r"'\xDEADbeef'::bytea",
        "'{\"a\": [1, null]}'::jsonb",
        "'[1, \"x\"]'::json",
        "CAST('12' AS INTEGER)",
        "CAST(12 AS TEXT)",
        "CAST('1.5' AS NUMERIC(4, 1))",
        "CAST('2024-02-29 10:00:00' AS TIMESTAMP)",
        "CAST(CAST('2024-02-29 10:00:00' AS TIMESTAMP) AS DATE)",
        "CAST('true' AS BOOLEAN)",
        "CAST(1 + 1 AS BOOLEAN)",
        "CAST('abc' AS VARCHAR(2))",
        "CAST('2.5' AS DOUBLE PRECISION) + 1",
        "CAST('it''s ::int' AS TEXT)",
    ],
)
def test_a_cast_gives_what_it_gives_on_postgresql(everywhere: Databases, expression: str) -> None:
    everywhere.assert_agree(f"SELECT {expression} AS x")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (":p::jsonb", {"a": {"b": [1, 2.5, None, True, "ü'\"\\"]}}),
        ("CAST(:p AS jsonb)", {"x": "::int :q"}),
        (":p::int", "41"),
        (":p::int", 2.7),
        (":p::bigint", 9007199254740993),
        (":p::text", "it's \\ 100% ? 'ü' 😀"),
        (":p::text || 'x'", ""),
        (":p::varchar(3)", "日本語のテキスト"),
        (":p::timestamp", "2024-12-31 23:59:59.999999"),
        (":p::timestamp", datetime(2024, 12, 31, 23, 59, 59, 999999)),
        (":p::timestamp", "2024-12-31T23:59:59"),
        (":p::date", date(2024, 12, 31)),
        (":p::date", "2024-12-31"),
        (":p::uuid", A_UUID),
        (":p::uuid", str(A_UUID)),
        (":p::numeric(10, 2)", Decimal("1234.565")),
        (":p::double precision", "0.1"),
        (":p::boolean", True),
        (":p::boolean", "false"),
        (":p::bytea", b"\x00\xff'\\%"),
        (":p::int", None),
        (":p::jsonb", None),
        (":p::timestamp", None),
        (":p::date", None),
        (":p::uuid", None),
    ],
)
def test_a_parameter_is_cast_as_on_postgresql(everywhere: Databases, expression: str, value: object) -> None:
    everywhere.assert_agree(f"SELECT {expression} AS x", {"p": value})


def test_casts_of_columns_agree_row_by_row(everywhere: Databases) -> None:
    everywhere.do(
        "CREATE TABLE casts (id INTEGER PRIMARY KEY, f DOUBLE PRECISION, s VARCHAR(40), ts TIMESTAMP, b BOOLEAN)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (1, 2.7, '12', '2024-01-31 23:59:59.999999', TRUE)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (2, -0.4, '-5', '1969-12-31 00:00:00.000000', FALSE)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (3, NULL, NULL, NULL, NULL)",
    )
    everywhere.assert_agree(
        "SELECT id, f::int, s::int, s::numeric, ts::date, ts::timestamp, b::int, casts.s::varchar(1),"
        " (f * 2)::bigint, f::text IS NULL FROM casts ORDER BY id"
    )


@pytest.mark.parametrize(
    ("dialect", "modes", "cast"), [("sqlite", SQLITE, "::int[]"), ("mysql", MARIADB, "::int ARRAY")]
)
def test_an_array_cast_is_refused_with_its_place(dialect: str, modes: SessionModes, cast: str) -> None:
    with pytest.raises(TranslationError, match=r"no arrays.*line 1, column 17") as caught:
        said(f"SELECT '{{1,2,3}}'{cast}", dialect, modes)
    assert caught.value.sql == f"SELECT '{{1,2,3}}'{cast}"


@pytest.mark.parametrize(
    ("sql", "said_sql"),
    [
        ("SELECT id::text FROM t", "SELECT CAST(id AS TEXT) AS id FROM t"),
        ("SELECT DISTINCT t.id::text, b FROM t", "SELECT DISTINCT CAST(t.id AS TEXT) AS id, b FROM t"),
        ('SELECT "A b"::text::text', 'SELECT CAST(CAST("A b" AS TEXT) AS TEXT) AS "A b"'),
        ("DELETE FROM t RETURNING a, id::text;", "DELETE FROM t RETURNING a, CAST(id AS TEXT) AS id;"),
        ("SELECT (SELECT id::text) FROM t", "SELECT (SELECT CAST(id AS TEXT) AS id) FROM t"),
        ("SELECT id::text AS x, id::text y FROM t", "SELECT CAST(id AS TEXT) AS x, CAST(id AS TEXT) y FROM t"),
        ("SELECT f(a, id::text) FROM t", "SELECT f(a, CAST(id AS TEXT)) FROM t"),
        ("SELECT a FROM t ORDER BY a, id::text", "SELECT a FROM t ORDER BY a, CAST(id AS TEXT)"),
        ("SELECT a FROM t WHERE (a, id::text) = (1, 2)", "SELECT a FROM t WHERE (a, CAST(id AS TEXT)) = (1, 2)"),
        ("UPDATE t SET a = 1, b = id::text", "UPDATE t SET a = 1, b = CAST(id AS TEXT)"),
        ("VALUES (a, id::text)", "VALUES (a, CAST(id AS TEXT))"),
        ("SELECT :id::text, NULL::text, 'x'::text", "SELECT CAST(:id AS TEXT), CAST(NULL AS TEXT), CAST('x' AS TEXT)"),
    ],
)
def test_a_column_that_is_only_cast_keeps_its_name(sql: str, said_sql: str) -> None:
    assert said(sql, "sqlite", SQLITE).sql == said_sql


def test_names_of_cast_columns_agree(everywhere: Databases) -> None:
    sql = "SELECT id::text, v.name::varchar(3), n::int FROM (SELECT 1 AS id, 'abcd' AS name, '5' AS n) AS v"
    for session in everywhere.sessions.values():
        cursor = session.backend.execute(
            session.raw, compile_statement(sql, session.kind, modes=session.modes).text, None
        )
        assert [column[0] for column in cursor.description] == ["id", "name", "n"]
        assert [tuple(row) for row in cursor.fetchall()] == [("1", "abc", 5)]


def test_an_unknown_type_leaves_the_value_with_a_receipt() -> None:
    translation = said("SELECT status::mood, 'x'::\"Mood\"(3) FROM t", "sqlite", SQLITE)
    assert translation.sql == "SELECT status AS status, 'x' FROM t"
    assert [(note.line, note.column) for note in translation.notes] == [(1, 14), (1, 25)]


def test_a_precision_that_is_not_applied_has_a_receipt() -> None:
    translation = said("SELECT ts::timestamp(3) FROM t", "sqlite", SQLITE)
    assert [(note.message, note.column) for note in translation.notes] == [
        ("the precision of timestamp is not applied", 10)
    ]
    assert said("SELECT ts::timestamp(3) FROM t", "mysql", MYSQL).sql == "SELECT CAST(ts AS DATETIME(3)) AS ts FROM t"


def test_numeric_without_a_precision_has_a_receipt_on_sqlite_only_where_digits_can_be_lost() -> None:
    assert said("SELECT price::numeric FROM t", "sqlite", SQLITE).notes
    assert said("SELECT '1234567890.1234567'::numeric", "sqlite", SQLITE).notes
    assert said("SELECT x::numeric(20, 2) FROM t", "sqlite", SQLITE).notes
    for exact in ("'1.5'::numeric", "x::numeric(10, 2)", "AVG(x)::numeric", "3::numeric"):
        assert not said(f"SELECT {exact} FROM t", "sqlite", SQLITE).notes


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(x AS INTEGER), CAST(x AS TEXT), CAST(x AS REAL), CAST(x AS BLOB), CAST(x AS NUMERIC) FROM t",
        "SELECT CAST(x AS widget) FROM t",
        "SELECT date('now'), DATE (x), timestamp FROM t",
    ],
)
def test_native_casts_pass_untouched_on_sqlite(sql: str) -> None:
    assert said(sql, "sqlite", SQLITE) == said(sql, "sqlite", SQLITE, strict=True)
    assert said(sql, "sqlite", SQLITE).sql == sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(x AS UNSIGNED), CAST(x AS SIGNED INTEGER), CAST(x AS CHAR), CAST(x AS DECIMAL(5,2)) FROM t",
        "SELECT CAST(x AS CHAR CHARACTER SET utf8mb4), CONVERT(x, SIGNED) FROM t",
        "SELECT DATE '2024-01-01', TIME '10:00:00', TIMESTAMP '2024-01-01 10:00:00.5'",
    ],
)
def test_native_casts_pass_untouched_on_mysql(sql: str) -> None:
    assert said(sql, "mysql", MARIADB).sql == sql


def test_json_is_cast_on_mysql_and_not_on_mariadb() -> None:
    assert said("SELECT :p::jsonb", "mysql", MYSQL).sql == "SELECT CAST(:p AS JSON)"
    assert said("SELECT :p::jsonb", "mysql", MARIADB).sql == "SELECT :p"


def test_a_moment_with_an_offset_is_refused_on_mysql_which_would_drop_it() -> None:
    with pytest.raises(TranslationError, match="zone"):
        said("SELECT '2024-01-01 10:00:00+02:00'::timestamptz", "mysql", MARIADB)


def test_comments_beside_a_cast_stay() -> None:
    sql = "SELECT a /* one */ :: -- two\n text /* three */ FROM t"
    assert said(sql, "sqlite", SQLITE).sql == "SELECT CAST(a AS TEXT) /* one */ -- two\n AS a /* three */ FROM t"


@pytest.mark.parametrize("collation", ["utf8mb4_unicode_ci", "utf8mb4_general_ci", "utf8mb4_bin"])
def test_a_text_compares_with_a_column_of_any_collation_on_mysql(everywhere: Databases, collation: str) -> None:
    session = everywhere.sessions["mysql"]
    session.run(f"CREATE TABLE collated (id VARCHAR(36) COLLATE {collation}, data JSON, n INT) ENGINE=InnoDB")
    session.run("INSERT INTO collated VALUES (:id, :data, 5)", {"id": str(A_UUID), "data": {"id": str(A_UUID)}})
    try:
        for condition in (
            "id = :id::uuid",
            "id = :id::text",
            "id = CAST(:id AS VARCHAR(36))",
            "id = :id::varchar(36)",
            "id ILIKE :id",
            "id IS NOT DISTINCT FROM :id::text",
            "id = data->>'id'",
            "id = data->>:key",
            "id <> n::text",
            "id <> NOW()::text",
            "GREATEST(id, :id::text) = :id",
            "id || n::text = :id::text || '5'",
        ):
            assert session.run(f"SELECT n FROM collated WHERE {condition}", {"id": str(A_UUID), "key": "id"}) == [(5,)]
    finally:
        session.run("DROP TABLE collated")
