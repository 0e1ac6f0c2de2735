"""execute_script: never raises, and the manager is usable whatever the script did."""

import asyncio
from typing import Any

import pytest

from nexusql import DatabaseManager, QueryResult
from nexusql.errors import ParameterError, UndefinedTable


@pytest.fixture
def table(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE notes (id SERIAL PRIMARY KEY, body VARCHAR(50))")
    return db


def script(db: DatabaseManager, text: Any) -> QueryResult:
    return asyncio.run(db.execute_script(text))


def bodies(db: DatabaseManager) -> list[str]:
    return [row["body"] for row in db.fetch_all("SELECT body FROM notes ORDER BY id")]


@pytest.mark.parametrize("text", ["", "  \n", ";", ";;\n;", "-- only this", "/* a */ ; -- b\n;"])
def test_nothing_to_run_is_a_success(db: DatabaseManager, text: str) -> None:
    result = script(db, text)
    assert (result.success, result.data, result.error_message) == (True, [], None)


def test_canonical_ddl_is_translated_and_a_last_semicolon_may_be_missing(db: DatabaseManager) -> None:
    result = script(
        db,
        """
        -- users of the system; with a semicolon
        CREATE TABLE IF NOT EXISTS users (
            id SERIAL PRIMARY KEY,
            uid UUID DEFAULT gen_random_uuid(),
            name VARCHAR(100) NOT NULL, -- it's shown
            active BOOLEAN DEFAULT TRUE,
            options JSONB DEFAULT '{}'::jsonb,
            created_at TIMESTAMP DEFAULT NOW()
        );
        CREATE INDEX IF NOT EXISTS idx_users_name ON users (name);
        INSERT INTO users (name) VALUES ('a;b -- c')
        """,
    )
    assert result.error_message is None
    assert result.success is True
    assert db.fetch_all("SELECT name FROM users WHERE active = TRUE") == [{"name": "a;b -- c"}]


def test_a_script_may_hold_a_transaction(table: DatabaseManager) -> None:
    result = script(
        table,
        "BEGIN; INSERT INTO notes (body) VALUES ('a'); COMMIT; BEGIN; INSERT INTO notes (body) VALUES ('b'); ROLLBACK",
    )
    assert result.success is True
    assert bodies(table) == ["a"]


def test_a_transaction_that_a_failed_script_has_begun_is_rolled_back(table: DatabaseManager) -> None:
    text = "INSERT INTO notes (body) VALUES ('a'); BEGIN; INSERT INTO notes (body) VALUES ('b'); SELECT * FROM nope"
    result = script(table, text)
    assert result.success is False
    assert "nope" in (result.error_message or "")
    assert bodies(table) == ["a"]
    table.execute("INSERT INTO notes (body) VALUES ('c')")
    with pytest.raises(UndefinedTable):
        table.run_script(text)
    table.execute("BEGIN")
    table.execute("ROLLBACK")
    assert bodies(table) == ["a", "c", "a"]
    assert table._connection is not None
    assert table._connection.pool.stats().active == 0


def test_a_failed_script_leaves_an_outer_transaction_to_its_owner(table: DatabaseManager, kind: str) -> None:
    async def run() -> None:
        table.execute("BEGIN")
        table.execute("INSERT INTO notes (body) VALUES ('outer')")
        assert (await table.execute_script("SELECT * FROM nope")).success is False
        table.execute("ROLLBACK")
        assert bodies(table) == []

    asyncio.run(run())


def test_a_transaction_that_a_script_leaves_open_goes_on_in_the_task(table: DatabaseManager) -> None:
    async def run() -> None:
        assert (await table.execute_script("BEGIN; INSERT INTO notes (body) VALUES ('a')")).success is True
        table.execute("ROLLBACK")

    asyncio.run(run())
    assert bodies(table) == []


@pytest.mark.parametrize("bad", [None, 5, b"SELECT 1", "SELECT 'open", "SELECT 1; SELECT (", "SELECT '\ud800'"])
def test_what_is_no_script_is_a_failure_that_does_not_raise(db: DatabaseManager, bad: Any) -> None:
    result = script(db, bad)
    assert result.success is False
    assert result.error_message
    assert db.execute("SELECT 1 AS one") == [{"one": 1}]


def test_the_synchronous_form_raises(db: DatabaseManager) -> None:
    with pytest.raises(ParameterError):
        db.run_script(None)  # type: ignore[arg-type]


def test_before_connect_it_is_a_failure_that_does_not_raise(database_url: str) -> None:
    result = script(DatabaseManager(database_url), "SELECT 1")
    assert (result.success, result.error_message) == (False, "Database not connected")


def test_a_script_without_a_mistake_tells_its_time(db: DatabaseManager) -> None:
    result = script(db, "SELECT 1; SELECT 2")
    assert result.execution_time_ms is not None
    assert result.execution_time_ms > 0


def test_a_comment_belongs_to_the_statement_after_it(db: DatabaseManager) -> None:
    pieces = db._split_sql_statements("-- one\nSELECT 1; -- two\nSELECT ':a; b' ;\n\n/* three; */ SELECT 3")
    assert pieces == ["-- one\nSELECT 1", "-- two\nSELECT ':a; b'", "/* three; */ SELECT 3"]
    assert db._split_sql_statements("") == []
