"""UPDATE and DELETE with aliases and further tables: what is said, what stays native, and what has a receipt."""

import pytest

from nexusql.errors import TranslationError
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, SQLITE, Databases, said

SAID_ON_MYSQL = {
    "UPDATE t AS x SET a = s.b, c = x.c + 1 FROM s WHERE x.i = s.i": (
        "UPDATE t AS x, s SET x.a = s.b, x.c = x.c + 1 WHERE x.i = s.i"
    ),
    "UPDATE p.t SET a = s.b FROM s /* why */ JOIN r ON r.i = s.i": (
        "UPDATE p.t, s   JOIN r ON r.i = s.i SET t.a = s.b /* why */"
    ),
    "DELETE FROM t USING s WHERE t.i = s.i": "DELETE FROM t USING t, s WHERE t.i = s.i",
    "DELETE FROM t x;": "DELETE FROM x USING t AS x;",
    "INSERT INTO t AS x (a) VALUES (1) RETURNING x.a": "INSERT INTO t (a) VALUES (1) RETURNING t.a",
    "INSERT INTO t (a) SELECT a FROM t ON CONFLICT (a) DO NOTHING": (
        "INSERT INTO t (a) SELECT * FROM (SELECT a FROM t) AS nexusql_rows WHERE TRUE ON DUPLICATE KEY UPDATE a = t.a"
    ),
    "SELECT COUNT(*) FILTER (WHERE a), BOOL_OR(b) FROM t ORDER BY c NULLS LAST": (
        "SELECT COUNT(CASE WHEN a THEN 1 END), MAX(b) FROM t ORDER BY CASE WHEN c IS NULL THEN 1 ELSE 0 END, c"
    ),
}
SAID_ON_SQLITE = {
    "DELETE FROM t x USING s AS y WHERE x.i = y.i /* why */ AND y.b RETURNING x.i;": (
        "DELETE FROM t AS x WHERE EXISTS (SELECT 1 FROM s AS y WHERE x.i = y.i /* why */ AND y.b) RETURNING t.i;"
    ),
    "DELETE FROM t USING s": "DELETE FROM t WHERE EXISTS (SELECT 1 FROM s)",
    "UPDATE t x SET a = 1 RETURNING x.a, UPPER(x.b)": "UPDATE t AS x SET a = 1 RETURNING t.a, UPPER(t.b)",
    "INSERT INTO p.t AS x (a) VALUES (1) RETURNING x.a": "INSERT INTO p.t AS x (a) VALUES (1) RETURNING t.a",
}


@pytest.mark.parametrize("sql", SAID_ON_MYSQL)
def test_what_is_said_on_mariadb(sql: str) -> None:
    assert said(sql, "mysql", MARIADB).sql == SAID_ON_MYSQL[sql]


@pytest.mark.parametrize("sql", SAID_ON_SQLITE)
def test_what_is_said_on_sqlite(sql: str) -> None:
    assert said(sql, "sqlite", SQLITE).sql == SAID_ON_SQLITE[sql]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t, s SET t.a = s.b WHERE t.i = s.i",
        "UPDATE t JOIN s ON t.i = s.i SET t.a = 1",
        "UPDATE IGNORE t SET a = 1 ORDER BY a LIMIT 3",
        "UPDATE LOW_PRIORITY t SET a = EXTRACT(DAY FROM b)",
        "DELETE t FROM t JOIN s ON s.i = t.i",
        "DELETE FROM t USING t JOIN s ON s.i = t.i WHERE s.b = 1",
        "DELETE FROM a1, a2 USING t AS a1 JOIN t AS a2 WHERE a1.i = a2.i",
        "DELETE FROM t PARTITION (p0) WHERE a = 1 ORDER BY b LIMIT 2",
        "DELETE QUICK FROM t WHERE a = 1",
        "INSERT INTO t (a) SELECT a FROM t AS u",
    ],
)
def test_native_writes_stay_on_mysql(sql: str) -> None:
    assert said(sql, "mysql", MYSQL, strict=True).sql == sql


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE OR IGNORE t SET a = 1",
        "UPDATE t AS x SET a = s.b FROM s WHERE s.i = x.i RETURNING a",
        "UPDATE t SET (a, b) = (1, 2)",
        "DELETE FROM t AS x WHERE x.i = 1",
        "SELECT a, COUNT(*) FILTER (WHERE b) FROM t ORDER BY a NULLS LAST",
    ],
)
def test_native_writes_stay_on_sqlite(sql: str) -> None:
    assert said(sql, "sqlite", SQLITE, strict=True).sql == sql


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("UPDATE t SET a = b, b = a", 19),
        ("UPDATE t AS x SET a = 1, c = x.a + 1 WHERE a = 2", 25),
        ("UPDATE t SET (a, b) = (b, LENGTH(a))", 24),
    ],
)
def test_an_update_that_reads_what_it_has_assigned_has_a_receipt_on_mysql(sql: str, column: int) -> None:
    for modes in (MYSQL, MARIADB):
        ((message, _, at),) = said(sql, "mysql", modes).notes
        assert "after assigning it" in message
        assert abs(at - column) <= 1
    assert not said("UPDATE t SET a = a + 1, b = s.a, c = 'a' FROM s", "mysql", MYSQL).notes


def test_what_the_receipt_says_is_so(everywhere: Databases) -> None:
    everywhere.do("CREATE TABLE swapped (a INTEGER, b INTEGER)", "INSERT INTO swapped (a, b) VALUES (1, 2)")
    everywhere.do("UPDATE swapped SET a = b, b = a")
    answers = everywhere.answers("SELECT a, b FROM swapped")
    assert answers.pop("mysql") == [(2, 2)]
    assert all(rows == [(2, 1)] for rows in answers.values())


@pytest.mark.parametrize("dialect", ["sqlite", "mssql"])
def test_a_whole_row_returned_beside_other_tables_has_a_receipt(dialect: str) -> None:
    modes = SQLITE if dialect == "sqlite" else SessionModes(version=(14,))
    for sql in (
        "UPDATE t SET a = s.b FROM s WHERE s.i = t.i RETURNING *",
        "DELETE FROM t USING s WHERE s.i = t.i RETURNING *",
    ):
        (note,) = said(sql, dialect, modes).notes
        assert "only the columns of the table" in note.message
    assert not said("UPDATE t SET a = 1 RETURNING *", dialect, modes).notes


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DELETE FROM t USING s WHERE s.i = t.i RETURNING i", "neither USING nor an alias"),
        ("DELETE FROM t AS x RETURNING x.i", "neither USING nor an alias"),
        ("UPDATE t SET (a, b) = (SELECT 1, 2)", "one value for each"),
        ("SELECT a FROM t ORDER BY 2 NULLS LAST", "not its number"),
        ("SELECT a FROM t UNION SELECT b FROM s ORDER BY a NULLS LAST", "behind UNION"),
    ],
)
def test_what_cannot_be_said_is_refused_on_mariadb(sql: str, message: str) -> None:
    with pytest.raises(TranslationError, match=rf"{message}.*line 1, column \d+"):
        said(sql, "mysql", MARIADB)
