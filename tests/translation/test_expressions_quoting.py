"""Where a session reads text otherwise than PostgreSQL there is a receipt, and none where the readings agree."""

import pytest

from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, SQLITE, Databases, said

ANSI = MYSQL._replace(ansi_quotes=True)
NO_ESCAPES = MYSQL._replace(no_backslash_escapes=True)


def places(sql: str, modes: SessionModes = MYSQL) -> list[int]:
    """The columns of the receipts of a statement that is left as it is."""
    translation = said(sql, "mysql", modes)
    assert translation.sql == sql
    return [note.column for note in translation.notes]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('SELECT "name" FROM t', [8]),
        ('SELECT a FROM t WHERE "b" = 1 AND c = "d"', [23, 39]),
        ('SELECT COUNT("x"), a || "y" FROM t ORDER BY "z"', [14, 25, 45]),
        ("SELECT 'C:\\temp'", [8]),
        ("SELECT 'a\\\\b', 'plain', '\\''", [8, 25]),
        ("SELECT a FROM t WHERE b LIKE '\\%\\\\'", [30]),
    ],
)
def test_a_different_reading_has_a_receipt_with_its_place(sql: str, columns: list[int]) -> None:
    assert places(sql) == columns


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT a AS "Alias", b "Other" FROM t',
        'SELECT t."a" FROM "t" JOIN "u" ON t."id" = u."id"',
        'INSERT INTO "t" (a) VALUES (1)',
        'UPDATE "t" SET a = 1',
        'SELECT GROUP_CONCAT(a SEPARATOR ", ") FROM t',
        'SELECT ""',
        "SELECT a FROM t WHERE b LIKE '100\\%' OR b LIKE 'a\\_b'",
        "SELECT a FROM t WHERE b LIKE 'x' ESCAPE '\\\\'",
        "SELECT 'it''s', 'no backslash', N'x', X'ff'",
        "SELECT `a` FROM t WHERE b = \"native\" AND c = 'x\\n'",
        'CREATE TABLE t (a INT COMMENT "text\\n") ENGINE=InnoDB',
        'SELECT a -- "comment" \'x\\n\'\nFROM t /* "b" */',
        'SELECT /*! "x", */ 1',
    ],
)
def test_where_both_readings_agree_or_the_text_is_native_there_is_no_receipt(sql: str) -> None:
    assert places(sql) == []


def test_the_session_decides() -> None:
    assert places("SELECT \"a\", 'x\\y'", ANSI) == [13]
    assert places("SELECT \"a\", 'x\\y'", NO_ESCAPES) == [8]
    assert not said("SELECT \"a\", 'x\\y'", "sqlite", SQLITE).notes
    assert not said("SELECT \"a\", 'x\\y'", "postgresql", SessionModes()).notes


def test_the_receipts_are_true(everywhere: Databases) -> None:
    sql = "SELECT 'a\\tb' AS x"
    answers = {kind: [("a\tb" if kind == "mysql" else "a\\tb",)] for kind in everywhere.sessions}
    assert everywhere.answers(sql) == answers
    like = "SELECT 'a%b' LIKE 'a\\%b', 'axb' LIKE 'a\\%b' AS x"
    assert everywhere.sessions["mysql"].run(like) == everywhere.sessions["postgresql"].run(like) == [(1, 0)]


def test_what_a_rule_puts_in_has_no_receipt() -> None:
    translation = said("SELECT data->'a\\b' FROM t", "mysql", MARIADB)
    assert not translation.notes
    assert "'$.\"a\\\\\\\\b\"'" in translation.sql


@pytest.mark.parametrize("no_escapes", [False, True])
@pytest.mark.parametrize("key", ["back\\slash", 'dou"ble', "quo'te", "tab\there", "é", "%s", "\\n"])
def test_a_json_key_in_a_literal_is_that_key_on_mysql_in_any_session(
    everywhere: Databases, key: str, no_escapes: bool
) -> None:
    session = everywhere.sessions["mysql"]
    ((before,),) = session.run("SELECT @@sql_mode")
    if no_escapes:
        session.backend.execute(session.raw, f"SET SESSION sql_mode = '{before},NO_BACKSLASH_ESCAPES'", None)
    try:
        literal = key.replace("'", "''")
        modes = session.backend.inspect(session.raw).modes
        assert modes.no_backslash_escapes is no_escapes
        rows = session.run(f"SELECT :d::jsonb -> 'k' ->> '{literal}'", {"d": {"k": {key: 1}}}, modes=modes)
        assert rows == [("1",)]
    finally:
        session.backend.execute(session.raw, f"SET SESSION sql_mode = '{before}'", None)
        session.backend.inspect(session.raw)
