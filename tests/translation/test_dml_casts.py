"""Casts give the same answer on every database."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from nexusql.errors import TranslationError
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
    everywhere.agree(f"SELECT {expression} AS x")


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
    everywhere.agree(f"SELECT {expression} AS x", {"p": value})


def test_casts_of_columns_agree_row_by_row(everywhere: Databases) -> None:
    everywhere.do(
        "CREATE TABLE casts (id INTEGER PRIMARY KEY, f DOUBLE PRECISION, s VARCHAR(40), ts TIMESTAMP, b BOOLEAN)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (1, 2.7, '12', '2024-01-31 23:59:59.999999', TRUE)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (2, -0.4, '-5', '1969-12-31 00:00:00.000000', FALSE)",
        "INSERT INTO casts (id, f, s, ts, b) VALUES (3, NULL, NULL, NULL, NULL)",
    )
    everywhere.agree(
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


def test_an_unknown_type_leaves_the_value_with_a_receipt() -> None:
    translation = said("SELECT status::mood, 'x'::\"Mood\"(3) FROM t", "sqlite", SQLITE)
    assert translation.sql == "SELECT status, 'x' FROM t"
    assert [(note.line, note.column) for note in translation.notes] == [(1, 14), (1, 25)]


def test_a_precision_that_is_not_applied_has_a_receipt() -> None:
    translation = said("SELECT ts::timestamp(3) FROM t", "sqlite", SQLITE)
    assert [(note.message, note.column) for note in translation.notes] == [
        ("the precision of timestamp is not applied", 10)
    ]
    assert said("SELECT ts::timestamp(3) FROM t", "mysql", MYSQL).sql == "SELECT CAST(ts AS DATETIME(3)) FROM t"


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
    assert said(sql, "sqlite", SQLITE).sql == "SELECT CAST(a AS TEXT) /* one */ -- two\n /* three */ FROM t"
