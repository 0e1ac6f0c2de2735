"""The way through pyodbc and a real ODBC driver: values, rows, streams, transactions and errors of what is no T-SQL."""

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import pytest

import odbcing
import servers
from nexusql import errors
from nexusql.backends.mssql.bulk import run_typed
from nexusql.backends.mssql.session import MssqlSession
from nexusql.manager import DatabaseManager


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseManager]:
    """A manager for SQL Server that speaks to PostgreSQL by its ODBC driver."""
    servers.require("postgresql")
    odbcing.require_driver(odbcing.POSTGRESQL)
    connect = pyodbc.connect
    with servers.fresh_database("postgresql", whole=True) as url:

        def through(text: str, **options: Any) -> odbcing.Imitation:
            monkeypatch.setattr(pyodbc, "connect", connect)
            try:
                return odbcing.Imitation(odbcing.connect_postgresql(url))
            finally:
                monkeypatch.setattr(pyodbc, "connect", through)

        monkeypatch.setattr(pyodbc, "connect", through)
        monkeypatch.setattr(pyodbc, "drivers", lambda: ["FreeTDS"])
        with DatabaseManager("mssql://u@h/d", translate=False) as manager:
            manager.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(100), n NUMERIC(10, 2), at TIMESTAMP)")
            yield manager


ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "it's ü 😀 ?", "n": Decimal("12.30"), "at": datetime(2024, 2, 29, 1, 2, 3, 456789)},
    {"id": 2, "name": None, "n": None, "at": None},
    {"id": 3, "name": "", "n": Decimal("-0.01"), "at": datetime(1999, 12, 31, 23, 59, 59)},
]
INSERT = "INSERT INTO t (id, name, n, at) VALUES (:id, :name, :n, :at)"


def test_values_come_back_as_they_were_bound(db: DatabaseManager) -> None:
    for row in ROWS:
        assert db.execute(INSERT, row).rowcount == 1
    rows = db.execute("SELECT * FROM t ORDER BY id")
    assert rows == ROWS
    assert rows.columns == ("id", "name", "n", "at")
    assert [type(row) for row in rows] == [dict] * 3


def test_a_value_is_never_code(db: DatabaseManager) -> None:
    hostile = "'; DROP TABLE t; -- ? :x {fn NOW()}"
    db.execute("INSERT INTO t (id, name) VALUES (:id, :name)", {"id": 9, "name": hostile})
    assert db.fetch_value("SELECT name FROM t WHERE name = :name", {"name": hostile}) == hostile


def test_a_list_expands(db: DatabaseManager) -> None:
    db.execute_many("INSERT INTO t (id, name) SELECT :id, :name", [{"id": n, "name": str(n)} for n in range(5)])
    rows = db.execute("SELECT id FROM t WHERE id IN (:ids) ORDER BY id", {"ids": [1, 3, 9]})
    assert [row["id"] for row in rows] == [1, 3]


def test_a_stream_is_read_in_pieces_and_can_be_left(db: DatabaseManager) -> None:
    with db.stream("SELECT n FROM generate_series(1, 2500) AS s (n)", chunk_size=100) as rows:
        assert [row["n"] for row in rows] == list(range(1, 2501))
    with db.stream("SELECT n FROM generate_series(1, 2500) AS s (n)", chunk_size=100) as rows:
        assert next(iter(rows)) == {"n": 1}
    assert db.fetch_value("SELECT 5") == 5
    with db.transaction() as tx:
        with tx.stream("SELECT n FROM generate_series(1, 2500) AS s (n)", chunk_size=100) as rows:
            assert next(iter(rows)) == {"n": 1}
        assert tx.fetch_value("SELECT 6") == 6


def test_transactions_keep_and_undo(db: DatabaseManager) -> None:
    with db.transaction() as tx:
        tx.execute(INSERT, ROWS[0])
        with pytest.raises(ZeroDivisionError):
            with tx.transaction():
                tx.execute(INSERT, ROWS[1])
                1 / 0
    with pytest.raises(ZeroDivisionError):
        with db.transaction() as tx:
            tx.execute(INSERT, ROWS[2])
            1 / 0
    assert [row["id"] for row in db.execute("SELECT id FROM t")] == [1]


def test_a_transaction_that_the_server_gave_up_is_doomed(db: DatabaseManager) -> None:
    with pytest.raises(errors.TransactionAborted):
        with db.transaction() as tx:
            tx.execute(INSERT, ROWS[0])
            with pytest.raises(errors.Error):
                tx.execute("SELECT 1 / 0")
            tx.execute(INSERT, ROWS[1])
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 0


def test_errors_have_odbcs_states(db: DatabaseManager) -> None:
    db.execute(INSERT, ROWS[0])
    with pytest.raises(pyodbc.Error) as caught:
        db.execute(INSERT, ROWS[0])
    assert isinstance(caught.value, errors.Error)
    assert caught.value.sqlstate == "23505"
    with pytest.raises(errors.ProgrammingError):
        db.execute("SELECT * FROM nowhere")
    assert db.fetch_value("SELECT 1") == 1


def test_a_session_that_is_killed_is_replaced(db: DatabaseManager) -> None:
    (number,) = (row["n"] for row in db.execute("SELECT pg_backend_pid() AS n"))
    with servers.admin_cursor("postgresql") as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (number,))
    with pytest.raises(errors.Error):
        db.execute("SELECT 1")
    db.connect(raise_errors=True)
    assert db.fetch_value("SELECT 2") == 2


@pytest.fixture
def session(tmp_path: Path) -> Iterator[MssqlSession]:
    """A session on SQLite by its ODBC driver."""
    odbcing.require_driver(odbcing.SQLITE)
    made = MssqlSession(pyodbc.connect(f"DRIVER={{{odbcing.SQLITE}}};Database={tmp_path / 'x.db'};", autocommit=True))
    yield made
    made.odbc.close()


def test_rows_of_many_with_typed_parameters(session: MssqlSession, tmp_path: Path) -> None:
    session.run("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d DATE)", None)
    nulls = [(pyodbc.SQL_WVARCHAR, 1, 0)] * 2 + [(pyodbc.SQL_VARBINARY, 1, 0), (pyodbc.SQL_WVARCHAR, 1, 0)]
    flat = [1, "ü😀" * 1500, b"\x00\xff", date(2024, 2, 29), None, None, None, None, 3, "", b"", None]
    text = "INSERT INTO t (a, b, c, d) VALUES (?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?)"
    run_typed(session, text, flat, nulls, ("a", "b", "c", "d"), 0)
    rows = session.run("SELECT a, b, d FROM t ORDER BY a", None).fetchall()
    assert [tuple(row) for row in rows] == [
        (None, None, None),
        (1, "ü😀" * 1500, date(2024, 2, 29)),
        (3, "", None),
    ]
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT c FROM t WHERE a = 1").fetchall() == [(b"\x00\xff",)]
    connection.close()
