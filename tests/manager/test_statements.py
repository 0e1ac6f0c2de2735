"""execute, its relatives, and what they give."""

import asyncio
import warnings
from typing import Any

import pytest

from nexusql import DatabaseManager
from nexusql.errors import (
    DuplicateColumnWarning,
    Error,
    IntegrityError,
    ParameterError,
    ParameterWarning,
    ProgrammingError,
    SQLSyntaxError,
    UndefinedTable,
    UniqueViolation,
)


@pytest.fixture
def table(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE items (id SERIAL PRIMARY KEY, name VARCHAR(50) UNIQUE, amount INTEGER)")
    return db


def test_rows_are_a_list_of_dicts(table: DatabaseManager) -> None:
    table.execute("INSERT INTO items (name, amount) VALUES (:n, :a)", {"n": "one", "a": 1})
    rows = table.execute("SELECT name, amount FROM items")
    assert isinstance(rows, list)
    assert type(rows[0]) is dict
    assert rows == [{"name": "one", "amount": 1}]
    assert (rows.rowcount, rows.columns) == (1, ("name", "amount"))


def test_none_found_and_writes_give_an_empty_list(table: DatabaseManager) -> None:
    assert table.execute("SELECT * FROM items") == []
    written = table.execute("INSERT INTO items (name) VALUES ('a'), ('b')")
    assert written == []
    assert written.rowcount == 2
    assert table.execute("UPDATE items SET amount = 5").rowcount == 2
    assert table.execute("UPDATE items SET amount = 5").rowcount == 2
    assert table.execute("DELETE FROM items WHERE name = 'a'").rowcount == 1


def test_it_is_committed_at_once(table: DatabaseManager) -> None:
    table.execute("INSERT INTO items (name) VALUES ('a')")
    with DatabaseManager(table.database_url) as other:
        assert other.fetch_value("SELECT COUNT(*) FROM items") == 1


def test_a_failure_leaves_no_transaction_and_the_manager_usable(table: DatabaseManager) -> None:
    table.execute("INSERT INTO items (name) VALUES ('a')")
    for _ in range(3):
        with pytest.raises(UniqueViolation):
            table.execute("INSERT INTO items (name) VALUES ('a')")
        with pytest.raises(Error):
            table.fetch_all("SELECT * FROM no_such_table")
    assert table.fetch_value("SELECT COUNT(*) FROM items") == 1
    engine = table._connection
    assert engine is not None
    assert engine.pool.stats().active == 0


def test_an_error_is_the_drivers_own_too_with_its_text(table: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        import sqlite3 as driver
    elif kind == "postgresql":
        import psycopg2 as driver  # type: ignore[no-redef]
    else:
        import pymysql as driver  # type: ignore[no-redef]
    table.execute("INSERT INTO items (name) VALUES ('a')")
    with pytest.raises(driver.IntegrityError) as caught:
        table.execute("INSERT INTO items (name) VALUES (:secret)", {"secret": "a"})
    error = caught.value
    assert isinstance(error, IntegrityError)
    assert error.__cause__ is not None
    assert error.args == error.__cause__.args
    assert error.sql == "INSERT INTO items (name) VALUES (:secret)"


def test_fetch_one_gives_a_dict_or_none(table: DatabaseManager) -> None:
    assert table.fetch_one("SELECT * FROM items") is None
    table.execute("INSERT INTO items (name, amount) VALUES ('a', 1), ('b', 2)")
    row = table.fetch_one("SELECT name, amount FROM items ORDER BY id")
    assert row == {"name": "a", "amount": 1}
    assert isinstance(row, dict)
    assert row.data == [row]
    assert row.get_first_row() == row
    assert len(table.fetch_all("SELECT * FROM items")) == 2
    assert table.fetch_value("SELECT amount FROM items WHERE name = :n", {"n": "b"}) == 2
    assert table.fetch_value("SELECT amount FROM items WHERE name = 'z'") is None


def test_reads_raise_and_the_connection_stays_usable(table: DatabaseManager) -> None:
    for read in (table.fetch_one, table.fetch_all, table.fetch_value):
        with pytest.raises(UndefinedTable):
            read("SELECT * FROM missing_table")
    assert table.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize(
    ("kinds", "sql", "expected"),
    [
        ("sqlite postgresql mysql", "WITH c AS (SELECT 1 AS x) SELECT x FROM c", [{"x": 1}]),
        ("sqlite postgresql", "VALUES (1), (2)", 2),
        ("sqlite postgresql mysql", "EXPLAIN SELECT 1", None),
        ("postgresql", "SHOW server_version", None),
        ("mysql", "SHOW TABLES", None),
        ("sqlite", "PRAGMA user_version", [{"user_version": 0}]),
        ("sqlite postgresql mysql", "INSERT INTO items (name) VALUES ('r') RETURNING name", [{"name": "r"}]),
        ("postgresql", "UPDATE items SET amount = 1 WHERE name = 'x' RETURNING id", []),
        ("sqlite postgresql mysql", "  (SELECT 1 AS x) UNION ALL SELECT 1"[2:], None),
    ],
)
def test_whatever_returns_rows_returns_them(
    table: DatabaseManager, kind: str, kinds: str, sql: str, expected: Any
) -> None:
    if kind not in kinds or (kind == "sqlite" and sql.startswith("(")):
        pytest.skip(f"not {kind}'s SQL")
    rows = table.execute(sql)
    assert rows.columns
    if isinstance(expected, int):
        assert len(rows) == expected
    elif expected is not None:
        assert rows == expected
    else:
        assert rows or sql.startswith("SHOW")


def test_percent_works_with_and_without_parameters(table: DatabaseManager, kind: str) -> None:
    table.execute("INSERT INTO items (name, amount) VALUES ('abc', 10), ('xyz', 11)")
    assert table.fetch_value("SELECT name FROM items WHERE name LIKE 'a%'") == "abc"
    assert table.fetch_value("SELECT name FROM items WHERE name LIKE 'a%' AND amount = :a", {"a": 10}) == "abc"
    assert table.fetch_value("SELECT 10 % 3") == 1
    assert table.fetch_value("SELECT 10 % 3 + :a", {"a": 1}) == 2
    assert table.fetch_value("SELECT '%s' /* % %s */") == "%s"
    assert table.fetch_one("SELECT '%s%(v)s' AS a, :v AS v /* % %s */", {"v": 1}) == {"a": "%s%(v)s", "v": 1}


def test_execute_takes_one_statement(table: DatabaseManager) -> None:
    with pytest.raises(SQLSyntaxError, match="run_script"):
        table.execute("DELETE FROM items; DELETE FROM items")
    with pytest.raises(SQLSyntaxError, match=r"a second statement starts here.*line 3, column 3"):
        table.execute("SELECT 1;\n-- two\n  SELECT 2")
    assert table.execute("SELECT 1 AS x ; -- the end") == [{"x": 1}]


def test_a_near_miss_is_reported_once(table: DatabaseManager) -> None:
    sql = "SELECT 1 AS x\n-- AND name = :email"
    with pytest.warns(ParameterWarning, match=":email at line 2 is inside a comment; it is not bound"):
        assert table.execute(sql, {"email": "e"}) == [{"x": 1}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table.execute(sql, {"email": "e"}) == [{"x": 1}]
        assert table.execute(sql, {"other": "e"}) == [{"x": 1}]


def test_of_two_columns_with_one_name_the_last_wins_with_a_warning_once(db: DatabaseManager) -> None:
    sql = "SELECT 1 AS x, 2 AS x"
    with pytest.warns(DuplicateColumnWarning, match="more than one column named x"):
        assert db.execute(sql) == [{"x": 2}]
    assert db.execute(sql) == [{"x": 2}]


def test_duplicate_columns_raise_or_get_a_suffix_when_asked(database_url: str) -> None:
    with DatabaseManager(database_url, duplicate_columns="raise") as db:
        with pytest.raises(ProgrammingError, match="column named x"):
            db.execute("SELECT 1 AS x, 2 AS x")
        assert db.execute("SELECT 1 AS x, 2 AS y") == [{"x": 1, "y": 2}]
    with DatabaseManager(database_url, duplicate_columns="suffix") as db:
        assert db.execute("SELECT 1 AS x, 2 AS x, 3 AS x") == [{"x": 1, "x_2": 2, "x_3": 3}]


def test_execute_many_gives_the_exact_total_and_is_all_or_nothing(table: DatabaseManager) -> None:
    sql = "INSERT INTO items (name, amount) VALUES (:name, :amount)"
    rows = [{"name": f"n{i}", "amount": i} for i in range(50)]
    assert table.execute_many(sql, rows) == 50
    assert (
        table.execute_many("UPDATE items SET amount = :a WHERE amount < :b", [{"a": 0, "b": 10}, {"a": 1, "b": 20}])
        == 30
    )
    with pytest.raises(UniqueViolation):
        table.execute_many(sql, [{"name": "new", "amount": 1}, {"name": "n1", "amount": 1}])
    assert table.fetch_value("SELECT COUNT(*) FROM items") == 50
    assert table.execute_many(sql, []) == 0


def test_a_time_limit_that_is_not_reached_changes_nothing(table: DatabaseManager) -> None:
    table.execute("INSERT INTO items (name) VALUES ('a')", timeout=30)
    assert table.execute("SELECT name FROM items", timeout=30.0) == [{"name": "a"}]
    with pytest.raises(UniqueViolation):
        table.execute("INSERT INTO items (name) VALUES ('a')", timeout=30)


def test_execute_async_gives_the_same(table: DatabaseManager) -> None:
    async def run() -> None:
        await table.execute_async("INSERT INTO items (name) VALUES (:n)", {"n": "async"})
        rows = await table.execute_async("SELECT name FROM items")
        assert rows == [{"name": "async"}]
        assert await rows is rows
        with pytest.raises(UniqueViolation):
            await table.execute_async("INSERT INTO items (name) VALUES ('async')")

    asyncio.run(run())


def test_execute_script_runs_all_and_never_raises(table: DatabaseManager) -> None:
    script = """
    -- a comment only;
    INSERT INTO items (name) VALUES ('a;b');
    /* nothing */ ;
    INSERT INTO items (name) VALUES ('c -- d')
    """
    result = asyncio.run(table.execute_script(script))
    assert (result.success, result.error_message) == (True, None)
    assert [r["name"] for r in table.fetch_all("SELECT name FROM items ORDER BY id")] == ["a;b", "c -- d"]


def test_execute_script_stops_at_the_first_failure_and_earlier_ones_stay(table: DatabaseManager) -> None:
    result = asyncio.run(
        table.execute_script("INSERT INTO items (name) VALUES ('a'); SELECT * FROM nope; DELETE FROM items")
    )
    assert result.success is False
    assert "nope" in (result.error_message or "")
    assert table.fetch_value("SELECT COUNT(*) FROM items") == 1
    with pytest.raises(UndefinedTable):
        table.run_script("SELECT * FROM nope")


def test_split_sql_statements(db: DatabaseManager) -> None:
    script = "-- first\nSELECT 1;\n;;\nSELECT ';' -- x;\n;\n-- only a comment"
    assert db._split_sql_statements(script) == ["-- first\nSELECT 1", "SELECT ';' -- x;"]


def test_tables_are_those_of_the_current_schema(db: DatabaseManager, kind: str) -> None:
    assert db.table_exists("t1") is False
    db.create_table("t1", {"id": "SERIAL PRIMARY KEY", "name": "VARCHAR(20) NOT NULL"})
    db.create_table("t1", {"id": "SERIAL PRIMARY KEY"})
    assert db.table_exists("t1") is True
    assert db.list_tables() == ["t1"]
    if kind == "postgresql":
        assert db.table_exists("pg_class") is False
    if kind == "mysql":
        assert db.table_exists("user") is False


def test_translate_shows_the_text_and_the_receipts(db: DatabaseManager, kind: str) -> None:
    shown = db.translate("SELECT :a::int AS x, 'x::int' AS y")
    assert "'x::int'" in shown.sql
    assert ":a" in shown.sql
    assert ("::int AS" in shown.sql) == (kind == "postgresql")
    assert list(shown.notes) == []


def test_bad_parameters_are_refused_before_anything_is_sent(table: DatabaseManager) -> None:
    for params in ("text", 5, {1, 2}):
        with pytest.raises(ParameterError):
            table.execute("SELECT :a AS a", params)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        table.execute(b"SELECT 1")  # type: ignore[call-overload]


def test_disconnect_rolls_back_what_is_open(table: DatabaseManager) -> None:
    table.execute("BEGIN")
    table.execute("INSERT INTO items (name) VALUES ('gone')")
    table.disconnect()
    assert table.connect()
    assert table.fetch_value("SELECT COUNT(*) FROM items") == 0
