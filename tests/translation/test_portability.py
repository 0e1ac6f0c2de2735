"""docs/DIALECTS.md holds: its differences are as it says, and what it says is translated has a test."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pyodbc
import pytest

import servers
from nexusql.errors import Error
from translating import MARIADB, MYSQL, SQLITE, Databases, said

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "DIALECTS.md").read_text("utf-8")
FAILS = "an error"
# What SQLite was built with, and since when it has some functions.
with closing(sqlite3.connect(":memory:")) as _sqlite:
    MATH = _sqlite.execute("SELECT sqlite_compileoption_used('ENABLE_MATH_FUNCTIONS')").fetchone()[0]
CONCAT = sqlite3.sqlite_version_info >= (3, 44)
OCTETS = sqlite3.sqlite_version_info >= (3, 43)

# What differs and is not translated: a statement, and what SQLite, PostgreSQL, MariaDB and SQL Server answer.
DIFFERENCES: dict[str, tuple[str, Any, Any, Any, Any]] = {
    "like-case": ("'Anna' LIKE 'anna'", 1, 0, 1, 1),
    "equals-case": ("'Anna' = 'anna'", 0, 0, 1, 1),
    "equals-blanks": ("'a ' = 'a'", 0, 0, 1, 1),
    "like-bracket": ("'a' LIKE '[a]'", 0, 0, 0, 1),
    "ilike-letters": ("'Ä' ILIKE 'ä'", 0, 1, 1, 1),
    "ilike-accents": ("'e' ILIKE 'é'", 0, 0, 1, 0),
    "like-escape": ("'a%b' LIKE 'a\\%b'", 0, 1, 1, 0),
    "upper": ("UPPER('ä')", "ä", "Ä", "Ä", "Ä"),
    "length": ("LENGTH('ä')", 1, 1, 2, 1),
    "length-of-emoji": ("LENGTH('😀')", 1, 1, 4, 2),
    "octet-length": ("OCTET_LENGTH('ab' || 'ä')", 4 if OCTETS else FAILS, 4, 4, 6),
    "concat-null": ("CONCAT('a', NULL)", "a" if CONCAT else FAILS, "a", None, "a"),
    "substr": ("SUBSTR('abc', -2)", "bc", "abc", "bc", "abc"),
    "integer-division": ("7 / 2", 3, 3, 3.5, 3),
    "decimal-division": ("2.0 / 3", 0.666667, 0.666667, 0.66667, 0.666667),
    "division-by-zero": ("1 / 0", None, FAILS, None, FAILS),
    "average-of-integers": ("AVG(n) FROM (SELECT 1 AS n UNION ALL SELECT 2) AS t", 1.5, 1.5, 1.5, 1),
    "power-of-integer": ("POWER(2, 0.5)", 1.414214 if MATH else FAILS, 1.414214, 1.414214, 1),
    "logarithm": ("LOG(100)", 2.0 if MATH else FAILS, 2.0, 4.60517, 4.60517),
    "caret": ("2 ^ 3", FAILS, 8.0, 1, 1),
    "overflow": ("9223372036854775807 + 1", 9.223372036854776e18, FAILS, FAILS, 9.223372036854776e18),
    "text-plus-number": ("'5 apples' + 1", 6, FAILS, 6.0, FAILS),
    "limit-in-subselect": ("1 IN (SELECT n FROM (SELECT 1 AS n) AS t ORDER BY n LIMIT 1)", 1, 1, FAILS, 1),
    "null-order": (
        "MIN(r) FROM (SELECT ROW_NUMBER() OVER (ORDER BY n) AS r, n FROM (SELECT 1 AS n UNION ALL SELECT NULL)"
        " AS t) AS u WHERE n IS NULL",
        1,
        2,
        1,
        1,
    ),
    "boolean-text": ("(1 = 1)::text", "1", "true", "1", "1"),
    "float-text": ("2.0::float8::text", "2.0", "2", "2", "2"),
    "moment-text": (
        "'2024-01-01 10:00:00'::timestamp::text",
        "2024-01-01 10:00:00.000000",
        "2024-01-01 10:00:00",
        "2024-01-01 10:00:00.000000",
        "2024-01-01 10:00:00.000000",
    ),
    "cast-integer": ("CAST(2.7 AS INTEGER)", 2, 3, 3, 2),
    "cast-decimal": ("CAST(2.5 AS DECIMAL)", 2.5, 2.5, 3.0, 3.0),
    "cast-half": ("2.5::float8::int", 3, 2, 2, 3),
    "cast-range": ("70000::smallint", 70000, FAILS, 70000, FAILS),
    "cast-nonsense": ("'12abc'::int", 12, FAILS, 12, FAILS),
    "cast-char": ("'a'::char(3)", "a", "a  ", "a", "a  "),
    "cast-no-date": ("'2024-02-30'::date", "2024-02-30", FAILS, None, FAILS),
    "cast-number-moment": ("(20240131)::text::date", None, "2024-01-31", "2024-01-31", "2024-01-31"),
    "date-and-moment": ("'2024-01-02'::date < '2024-01-02'::timestamp", 1, 0, 0, 0),
    "date-and-interval": (
        "'2024-01-02'::date + INTERVAL '1 day'",
        "2024-01-03 00:00:00.000000",
        "2024-01-03 00:00:00.000000",
        "2024-01-03",
        "2024-01-03",
    ),
    "half-a-month": (
        "'2024-01-01'::timestamp + 1.5 * INTERVAL '1 month'",
        "2024-02-01 00:00:00.000000",
        "2024-02-16 00:00:00.000000",
        "2024-03-01 00:00:00.000000",
        "2024-02-01 00:00:00.000000",
    ),
    "moment-column-difference": ("a - b FROM (SELECT '2024-01-03' AS a, '2024-01-01' AS b) AS t", 0, FAILS, 0.0, FAILS),
    "json-index-of-object": ("'{\"a\": 1}'::jsonb ->> 0", None, None, '{"a": 1}', None),
    "json-exponent": ("'{\"a\": 1e2}'::jsonb ->> 'a'", "1e2", "100", "1e2", "1e2"),
    "json-path-digits": ("'{\"0\": \"x\"}'::jsonb #>> '{0}'", None, "x", FAILS, FAILS),
    "json-containment": ("'[[1, 2]]'::jsonb @> '[1]'::jsonb", FAILS, 0, 1, FAILS),
    "any-array": ("1 = ANY ('{1,2}'::int[])", FAILS, 1, FAILS, FAILS),
    "regex": ("'a' ~ 'A|a'", FAILS, 1, FAILS, FAILS),
    "random": ("random() IS NOT NULL", 1, 1, FAILS, FAILS),
    "to-char": ("to_char('2024-01-01'::timestamp, 'YYYY')", FAILS, "2024", "2024", FAILS),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_as_documented(everywhere: Databases, name: str) -> None:
    expression, *expected = DIFFERENCES[name]
    for kind, answer in zip(servers.KINDS, expected, strict=False):
        session = everywhere.sessions[kind]
        try:
            ((found,),) = session.run(f"SELECT {expression}")
        except (Error, sqlite3.Error, psycopg2.Error, pymysql.Error, pyodbc.Error):
            found = FAILS
        assert found == answer, kind
    assert f"`{name}`" in DOCUMENT, "it is not in docs/DIALECTS.md"


def test_the_document_lists_no_difference_without_a_test() -> None:
    section = DOCUMENT.split("## What differs")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([\w-]+)`", section, re.MULTILINE))
    assert named == set(DIFFERENCES)


def test_each_test_that_the_document_names_exists() -> None:
    named = re.findall(r"(test_\w+)\.py::(test_\w+)", DOCUMENT)
    assert len(named) > 15
    for module, function in named:
        (path,) = (ROOT / "tests").rglob(f"{module}.py")
        assert re.search(rf"def {function}\b", path.read_text("utf-8")), f"{module}::{function}"


CANONICAL = [
    "SELECT id::text, state->>'a', NOW() - INTERVAL '1 day' FROM t WHERE name ILIKE :q ORDER BY id OFFSET 2 LIMIT 1",
    "SELECT data->'x'->>:k, GREATEST(a, b), a IS DISTINCT FROM b, x::boolean, y::timestamp, z::numeric(4, 1) FROM t",
    "SELECT ts + :n * INTERVAL '2 hours', date_trunc('month', ts), EXTRACT(EPOCH FROM ts), gen_random_uuid() FROM t",
    "SELECT STRING_AGG(a, '; ') FROM t WHERE d > CURRENT_DATE - 7 FETCH FIRST 5 ROWS ONLY",
    "INSERT INTO t (a, b) VALUES (:a, :b::jsonb) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b WHERE t.c < NOW()",
    "INSERT INTO t (a, b) SELECT a, b::int FROM s ON CONFLICT DO NOTHING",
    "SELECT * FROM t WHERE id = :id FOR SHARE SKIP LOCKED",
    "UPDATE t SET at = CURRENT_TIMESTAMP, data = :p::jsonb, n = (data->>'n')::int + 1 WHERE a = TRUE",
    "DELETE FROM t WHERE at < NOW() - INTERVAL '30 days' AND x::date = DATE '2024-01-31'",
]


@pytest.mark.parametrize("sql", CANONICAL)
def test_a_second_reader_parses_what_is_said(sql: str) -> None:
    sqlglot = pytest.importorskip("sqlglot")
    assert sqlglot.parse_one(said(sql, "mysql", MYSQL).sql, dialect="mysql")
    if "FOR SHARE" not in sql:  # MariaDB's words, which sqlglot does not know
        assert sqlglot.parse_one(said(sql, "mysql", MARIADB).sql, dialect="mysql")
    if "ON CONFLICT" not in sql:  # sqlglot takes ON for a join's, too
        assert sqlglot.parse_one(said(sql, "sqlite", SQLITE).sql, dialect="sqlite")


def test_postgresql_is_left_as_it_is() -> None:
    for sql in CANONICAL:
        assert said(sql, "postgresql", MARIADB._replace(flavour="")).sql == sql


def test_the_day_of_a_small_application(everywhere: Databases) -> None:
    """What a client writes in a day, in canonical SQL, with the same answers everywhere."""
    assert sqlite3.sqlite_version_info >= (3, 35)
    everywhere.do(
        "CREATE TABLE jobs (id VARCHAR(40) PRIMARY KEY, name VARCHAR(100) NOT NULL, state JSONB,"
        " ok BOOLEAN DEFAULT FALSE, tries INTEGER DEFAULT 0, created_at TIMESTAMP DEFAULT NOW(), due TIMESTAMP)"
    )
    insert = (
        "INSERT INTO jobs (id, name, state, due) VALUES (:id, :name, :state::jsonb, :due::timestamp)"
        " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, state = EXCLUDED.state, tries = jobs.tries + 1"
    )
    for number in (1, 2, 3, 2):
        everywhere.answers(
            insert,
            {
                "id": f"job-{number}",
                "name": f"Jöb 'n°{number}' 100%",
                "state": {"step": number, "tags": ["a", "b;c"], "note": "TRUE NOW() ::text -- ;", "done": number == 2},
                "due": f"2024-02-{26 + number} 12:00:00",
            },
        )
    everywhere.answers("UPDATE jobs SET ok = TRUE WHERE (state->>'done')::boolean AND created_at <= NOW()")
    everywhere.assert_agree(
        "SELECT id, ok, tries, name || '!' FROM jobs ORDER BY id LIMIT :n OFFSET :skip", {"n": 2, "skip": 1}
    )
    everywhere.assert_agree(
        "SELECT id, state->'tags'->>1, state->>'note' FROM jobs WHERE state->>'step' = :s", {"s": "2"}
    )
    everywhere.assert_agree("SELECT COUNT(*)::int FROM jobs WHERE name ILIKE :q AND NOT ok", {"q": "j%'N%100\\%"})
    everywhere.assert_agree(
        "SELECT id FROM jobs WHERE due BETWEEN :at::timestamp - INTERVAL '1 day' AND :at::timestamp ORDER BY due DESC",
        {"at": "2024-02-29 12:00:00"},
    )
    # SQL Server takes neither DISTINCT in STRING_AGG nor GROUP BY 1.
    everywhere.without("mssql").assert_agree(
        "SELECT date_trunc('month', due) AS m, COUNT(*), MAX(tries), STRING_AGG(DISTINCT 'x', ',') FROM jobs"
        " GROUP BY 1 ORDER BY m"
    )
    everywhere.assert_agree(
        "SELECT id, CASE WHEN ok THEN 'yes' ELSE 'no' END FROM jobs WHERE ok IS NOT DISTINCT FROM :ok ORDER BY id",
        {"ok": True},
    )
    everywhere.assert_agree("DELETE FROM jobs WHERE due < :at::timestamp RETURNING id", {"at": "2024-02-28"})
    everywhere.assert_agree("SELECT COUNT(*) FROM jobs")
