"""What the databases really raise, and what nexusql makes of it: each code is provoked on the live servers."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pymysql
import pyodbc
import pytest

import kinds
import servers
from driving import Driven, driven
from kinds import itself, on_read_only, on_servers
from nexusql.backends import backend_for
from nexusql.backends.base import Status
from nexusql.config import ConnectionConfig
from nexusql.errors import (
    CheckViolation,
    ConnectionLost,
    DatabaseError,
    DataError,
    DeadlockDetected,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ProgrammingError,
    QueryTimeout,
    SerializationFailure,
    SQLSyntaxError,
    TransactionAborted,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

DRIVERS: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "sqlite": (sqlite3.Error, sqlite3.Warning),  # before Python 3.11 a wrong text is the second
    "postgresql": psycopg2.Error,
    "mysql": pymysql.err.Error,
    "mssql": pyodbc.Error,
}

SCHEMA = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(3) UNIQUE)",
    "CREATE TABLE child (id INTEGER PRIMARY KEY, n SMALLINT NOT NULL CHECK (n > 0), parent INTEGER,"
    " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE RESTRICT)",
    "INSERT INTO parent VALUES (1, 'a')",
    "INSERT INTO child VALUES (1, 1, 1)",
)


def schema(kind: str) -> list[str]:
    """What creates the tables; T-SQL has no word for RESTRICT, which is how it is without one."""
    return [statement.replace(" ON DELETE RESTRICT", "") if kind == "mssql" else statement for statement in SCHEMA]


@pytest.fixture
def session(driven: Driven, kind: str) -> Driven:
    """A session on two small tables."""
    if kind == "sqlite":
        driven.run("PRAGMA foreign_keys = ON")
    for statement in schema(kind):
        driven.run(statement)
    return driven


def failure(session: Driven, sql: str, *values: Any) -> Error:
    """The error of a statement, which must be the driver's as well, and carry the statement."""
    with pytest.raises(Error) as caught:
        session.run(sql, *values)
    error = caught.value
    driver = DRIVERS[session.backend.syntax.dialect]
    if not isinstance(error, ParameterError):
        assert isinstance(error, driver)
        assert isinstance(error.__cause__, driver)
        assert error.args == error.__cause__.args
    assert error.sql == sql
    return error


# SQLite's code, PostgreSQL's SQLSTATE, the numbers of MySQL and of SQL Server
COMMON: list[tuple[str, type[Error], int, str, int, int]] = [
    ("INSERT INTO parent VALUES (1, 'b')", UniqueViolation, 1555, "23505", 1062, 2627),
    ("INSERT INTO parent VALUES (2, 'a')", UniqueViolation, 2067, "23505", 1062, 2627),
    ("INSERT INTO child VALUES (2, 1, 99)", ForeignKeyViolation, 787, "23503", 1452, 547),
    ("DELETE FROM parent WHERE id = 1", ForeignKeyViolation, 1811, "23503", 1451, 547),
    ("INSERT INTO child VALUES (2, NULL, 1)", NotNullViolation, 1299, "23502", 1048, 515),
    ("INSERT INTO child VALUES (2, -1, 1)", CheckViolation, 275, "23514", 4025, 547),
    ("SELECT * FROM nowhere", UndefinedTable, 1, "42P01", 1146, 208),
    ("INSERT INTO nowhere VALUES (1)", UndefinedTable, 1, "42P01", 1146, 208),
    ("DROP TABLE nowhere", UndefinedTable, 1, "42P01", 1051, 3701),
    ("SELECT missing FROM parent", UndefinedColumn, 1, "42703", 1054, 207),
    ("INSERT INTO parent (missing) VALUES (1)", UndefinedColumn, 1, "42703", 1054, 207),
    ("UPDATE parent SET missing = 1", UndefinedColumn, 1, "42703", 1054, 207),
    ("SELEC 1", SQLSyntaxError, 1, "42601", 1064, 2812),
    ("SELECT (1", SQLSyntaxError, 1, "42601", 1064, 102),
    ("CREATE TABLE parent (a INTEGER)", ProgrammingError, 1, "42P07", 1050, 2714),
    ("SELECT no_such_function(1)", ProgrammingError, 1, "42883", 1305, 195),
]


@pytest.mark.parametrize(
    ("sql", "kind_of_error", "code", "sqlstate", "number", "tsql"), COMMON, ids=lambda value: str(value)[:40]
)
def test_what_is_wrong_everywhere_is_the_same_error_everywhere(
    session: Driven, kind: str, sql: str, kind_of_error: type[Error], code: int, sqlstate: str, number: int, tsql: int
) -> None:
    error = failure(session, sql)
    if kind == "mssql" and tsql == 2812:
        kind_of_error = ProgrammingError  # an unknown word at the start names a procedure there
    assert isinstance(error, kind_of_error)
    if kind == "postgresql":
        assert (error.sqlstate, error.code) == (sqlstate, sqlstate)
    elif kind == "mysql":
        assert error.code == number or (number == 4025 and error.code == 3819)
        assert error.sqlstate is not None
        assert len(error.sqlstate) == 5
    elif kind == "mssql":
        assert error.code == tsql
    else:
        assert error.code in (code, None)  # None before Python 3.11
    assert session.value("SELECT COUNT(*) FROM parent") == 1


ONLY: dict[str, list[tuple[str, type[Error], int | str]]] = {
    "sqlite": [
        ("SELECT json('{')", DataError, 1),
        ("SELECT abs(-9223372036854775808)", DataError, 1),
        ("SELECT zeroblob(2000000000)", DataError, 18),
        ("INSERT INTO parent (id) VALUES ('x')", DataError, 20),
        ("COMMIT", OperationalError, 1),
        ("SELECT 1; SELECT 2", ProgrammingError, 0),
    ],
    "postgresql": [
        ("INSERT INTO parent VALUES (2, 'long')", DataError, "22001"),
        ("INSERT INTO child VALUES (2, 70000, 1)", DataError, "22003"),
        ("SELECT 'x'::int", DataError, "22P02"),
        ("SELECT 1 / 0", DataError, "22012"),
        ("SELECT '2020-13-45'::date", DataError, "22008"),
        ("SELECT '{'::jsonb", DataError, "22P02"),
        ("SELECT 'a'::text + 1", ProgrammingError, "42883"),
        ("DO $$ BEGIN RAISE SQLSTATE '23P01'; END $$", IntegrityError, "23P01"),
        ("DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'NX001'; END $$", DatabaseError, "NX001"),
        ("DO $$ BEGIN RAISE EXCEPTION 'mine'; END $$", DatabaseError, "P0001"),
        ("DO $$ BEGIN RAISE SQLSTATE '40003'; END $$", OperationalError, "40003"),
        ("SELECT (SELECT id FROM (VALUES (1), (2)) AS v(id))", ProgrammingError, "21000"),
        ("SELECT * FROM dblink_nowhere.x", UndefinedTable, "42P01"),
        ("VACUUM", ProgrammingError, "25001"),
    ],
    "mysql": [
        ("INSERT INTO parent VALUES (2, 'long')", DataError, 1406),
        ("INSERT INTO child VALUES (2, 70000, 1)", DataError, 1264),
        ("INSERT INTO child VALUES (2, 'x', 1)", DataError, 1366),
        ("INSERT INTO child (id, parent) VALUES (2, 1)", NotNullViolation, 1364),
        ("SELECT CAST(9223372036854775807 AS SIGNED) + 1", DataError, 1690),
        ("UPDATE child SET n = '2020-01'", DataError, 1265),
        ("DROP VIEW nowhere", UndefinedTable, 4092),
        ("ALTER TABLE parent DROP COLUMN nothing", UndefinedColumn, 1091),
        ("SELECT 1; SELECT 2", SQLSyntaxError, 1064),
        ("", ProgrammingError, 1065),
        ("SELECT * FROM nx_nowhere.t", UndefinedTable, 1146),
        ("SET SESSION no_such_variable = 1", OperationalError, 1193),
        ("KILL 999999999", OperationalError, 1094),
    ],
    "mssql": [
        ("INSERT INTO child VALUES (2, 70000, 1)", DataError, 220),
        ("INSERT INTO child VALUES (2, 'x', 1)", DataError, 245),
        ("SELECT CAST('x' AS INT)", DataError, 245),
        ("SELECT 1 / 0", DataError, 8134),
        ("SELECT CAST('2020-13-45' AS DATE)", DataError, 241),
        ("DECLARE @n BIGINT = 9223372036854775807 SELECT @n + 1", DataError, 8115),
        ("SELECT (SELECT id FROM (VALUES (1), (2)) AS v(id))", ProgrammingError, 512),
        ("SELECT * FROM nx_nowhere.dbo.t", UndefinedTable, 208),
        ("ALTER TABLE parent DROP COLUMN nothing", UndefinedColumn, 4924),
        ("DROP VIEW nowhere", UndefinedTable, 3701),
        ("SELECT id FROM parent GROUP BY", SQLSyntaxError, 102),
        ("RAISERROR('mine', 16, 1)", DatabaseError, 50_000),
        ("THROW 51234, 'mine', 1", DatabaseError, 51_234),
    ],
}
ONLY_CASES = [(kind, *case) for kind, cases in ONLY.items() if kind in servers.KINDS for case in cases]


@pytest.mark.parametrize(("one", "sql", "kind_of_error", "code"), ONLY_CASES, ids=lambda value: str(value)[:40])
def test_what_one_database_refuses(one: str, sql: str, kind_of_error: type[Error], code: int | str) -> None:
    servers.require(one)
    with servers.fresh_database(one) as url, driven(url) as session:
        for statement in schema(one):
            session.run(statement)
        if sql == "VACUUM":
            session.run("BEGIN")
        error = failure(session, sql)
        assert isinstance(error, kind_of_error)
        assert error.code == code or (one == "sqlite" and error.code is None)


# Errors that take two


@pytest.fixture
def two(session: Driven) -> Iterator[tuple[Driven, Driven]]:
    """Two sessions on the same tables, which wait for locks a second at most."""
    with Driven(session.backend, session.config) as other:
        for one in (session, other):
            one.run(kinds.LOCK_WAIT[session.backend.syntax.dialect].format(200))
        yield session, other


def test_a_lock_that_is_not_granted_in_time(two: tuple[Driven, Driven], kind: str) -> None:
    one, other = two
    one.backend.begin(one.raw, None, False, "")
    one.run("UPDATE parent SET name = 'x' WHERE id = 1")
    error = failure(other, "UPDATE parent SET name = 'y' WHERE id = 1")
    assert isinstance(error, LockTimeout)
    codes = {"sqlite": (5, None), "postgresql": ("55P03",), "mysql": (1205,), "mssql": (1222,)}
    assert error.code in codes[kind]
    assert other.backend.dooms(error) is (kind == "mysql")
    one.backend.rollback(one.raw)
    other.run("UPDATE parent SET name = 'y' WHERE id = 1")


@on_servers
@itself
def test_a_lock_that_is_not_waited_for(two: tuple[Driven, Driven], kind: str) -> None:
    one, other = two
    lock, at_once = "SELECT * FROM parent FOR UPDATE", "SELECT * FROM parent FOR UPDATE NOWAIT"
    if kind == "mssql":
        lock, at_once = "SELECT * FROM parent WITH (UPDLOCK)", "SELECT * FROM parent WITH (UPDLOCK, NOWAIT)"
    one.backend.begin(one.raw, None, False, "")
    one.run(lock)
    assert isinstance(failure(other, at_once), LockTimeout)
    one.backend.rollback(one.raw)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls at once in threads; what each gave or raised."""
    outcomes: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            outcomes[index] = calls[index]()
        except BaseException as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return outcomes


PATIENT = {
    "postgresql": "SET lock_timeout = 0",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 20",
    "mssql": "SET LOCK_TIMEOUT -1",
}


@on_servers
@itself
def test_a_deadlock_has_one_victim(two: tuple[Driven, Driven], kind: str) -> None:
    one, other = two
    for session, row in ((one, 11), (other, 12)):
        session.run(PATIENT[kind])
        session.run(f"INSERT INTO parent VALUES ({row}, '{row}')")
        session.backend.begin(session.raw, None, False, "")
    one.run("UPDATE parent SET name = 'x' WHERE id = 11")
    other.run("UPDATE parent SET name = 'y' WHERE id = 12")
    outcomes = together(
        lambda: one.run("UPDATE parent SET name = 'p' WHERE id = 12"),
        lambda: other.run("UPDATE parent SET name = 'q' WHERE id = 11"),
    )
    victims = [outcome for outcome in outcomes if isinstance(outcome, Error)]
    assert len(victims) == 1
    assert isinstance(victims[0], DeadlockDetected)
    assert victims[0].code in ("40P01", 1213, 1205)
    assert one.backend.dooms(victims[0]) is (kind != "postgresql")
    for session in (one, other):
        session.backend.rollback(session.raw)
        assert session.backend.status(session.raw) is Status.IDLE


@on_servers
@itself
def test_a_serialization_failure_is_one(two: tuple[Driven, Driven], kind: str) -> None:
    one, other = two
    if kind == "mysql":
        one.run("SET SESSION innodb_snapshot_isolation = ON")
    one.backend.begin(one.raw, "SNAPSHOT" if kind == "mssql" else "REPEATABLE READ", False, "")
    assert one.value("SELECT COUNT(*) FROM parent") == 1
    other.run("UPDATE parent SET name = 'z' WHERE id = 1")
    error = failure(one, "UPDATE parent SET name = 'y' WHERE id = 1")
    assert isinstance(error, SerializationFailure)
    assert error.code in ("40001", 1020, 3960)
    assert one.backend.dooms(error) is (kind != "postgresql")
    one.backend.rollback(one.raw)


def test_a_serialization_failure_may_come_with_the_commit() -> None:
    servers.require("postgresql")
    with servers.fresh_database("postgresql") as url, driven(url) as one, driven(url) as other:
        one.run("CREATE TABLE t (a int)")
        for session in (one, other):
            session.backend.begin(session.raw, "SERIALIZABLE", False, "")
            session.run("SELECT SUM(a) FROM t")
            session.run("INSERT INTO t VALUES (1)")
        one.backend.commit(one.raw)
        with pytest.raises(SerializationFailure), other.mapping():
            other.backend.commit(other.raw)
        assert other.backend.status(other.raw) is Status.IDLE


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_sqlite_upgrading_a_stale_snapshot_is_a_lock_time_out_at_once(two: tuple[Driven, Driven], kind: str) -> None:
    one, other = two
    one.run("BEGIN DEFERRED")
    one.run("SELECT * FROM parent")
    other.run("INSERT INTO parent VALUES (5, 'e')")
    assert isinstance(failure(one, "INSERT INTO parent VALUES (6, 'f')"), LockTimeout)
    one.backend.rollback(one.raw)


# Limits of time


@on_servers
def test_a_statement_beyond_its_time_limit(session: Driven, kind: str) -> None:
    if kind == "postgresql":
        session.run("SET statement_timeout = 100")
        error = failure(session, "SELECT pg_sleep(5)")
        assert (type(error).__name__, error.code) == ("QueryTimeout", "57014")
    elif kind == "mssql":
        session.raw.odbc.timeout = 1  # as ?query_timeout=1 has it
        error = failure(session, "WAITFOR DELAY '00:00:05'")
        assert (error.sqlstate, error.code) == ("HYT00", None)
    else:
        session.run("SET SESSION max_statement_time = 0.1")
        error = failure(session, "SELECT SLEEP(5) FROM parent")
        assert error.code == 1969
    assert isinstance(error, QueryTimeout)
    assert session.value("SELECT 1") == 1


def test_a_statement_cancelled_by_someone_is_no_time_out(session: Driven, kind: str) -> None:
    statement = {
        "sqlite": "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT max(a) FROM t",
        "postgresql": "SELECT pg_sleep(20)",
        "mysql": f"SELECT COUNT(*) FROM {', '.join('information_schema.collations AS ' + name for name in 'abcd')}",
        "mssql": "WAITFOR DELAY '00:00:20'",
    }[kind]

    def cancel() -> None:
        time.sleep(0.3)
        if kind == "sqlite":
            session.raw.interrupt()
        elif kind == "postgresql":
            session.raw.cancel()
        elif kind == "mssql":
            session.backend.cancel(session.raw, session.config)
        else:
            with servers.admin_cursor("mysql") as cursor:
                cursor.execute(f"KILL QUERY {session.raw.thread_id()}")

    error, _ = together(lambda: failure(session, statement), cancel)
    assert isinstance(error, OperationalError)
    assert not isinstance(error, (QueryTimeout, ConnectionLost))
    codes = {"sqlite": (9, None), "postgresql": ("57014",), "mysql": (1317,), "mssql": (None,)}
    assert error.code in codes[kind]
    assert session.value("SELECT 1") == 1


# States of a transaction


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_statement_after_a_failed_one_is_an_aborted_transaction_on_postgresql(session: Driven, kind: str) -> None:
    session.backend.begin(session.raw, None, False, "")
    failure(session, "SELECT missing FROM parent")
    error = failure(session, "SELECT 1")
    assert isinstance(error, TransactionAborted)
    assert error.sqlstate == "25P02"
    assert not session.backend.dooms(error)


@on_read_only
def test_a_write_in_a_read_only_transaction(session: Driven, kind: str) -> None:
    session.backend.begin(session.raw, None, True, "")
    error = failure(session, "INSERT INTO parent VALUES (9, 'i')")
    assert isinstance(error, OperationalError)
    assert error.code in {"sqlite": (8, None), "postgresql": ("25006",), "mysql": (1792,)}[kind]


def test_a_full_disk_rolls_back_on_sqlite_and_says_so() -> None:
    with driven("sqlite://:memory:") as session:
        session.run("CREATE TABLE t (a)")
        session.run("PRAGMA max_page_count = 3")
        session.backend.begin(session.raw, None, False, "")
        error = failure(session, "INSERT INTO t VALUES (zeroblob(100000))")
        assert isinstance(error, OperationalError)
        assert error.code in (13, None)


def test_a_conflict_that_rolls_back_leaves_no_transaction_on_sqlite() -> None:
    with driven("sqlite://:memory:") as session:
        session.run("CREATE TABLE t (a UNIQUE)")
        session.run("INSERT INTO t VALUES (1)")
        session.backend.begin(session.raw, None, False, "")
        error = failure(session, "INSERT OR ROLLBACK INTO t VALUES (1)")
        assert isinstance(error, UniqueViolation)
        assert session.backend.status(session.raw) is Status.IDLE


# Sessions that end


@on_servers
@itself
def test_a_session_ended_by_the_server(session: Driven, kind: str) -> None:
    with servers.admin_cursor(kind) as cursor:
        if kind == "mssql":
            kinds.kill(kind, session.value(kinds.SESSION_ID[kind]), cursor)
        elif kind == "postgresql":
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (session.raw.get_backend_pid(),))
        else:
            cursor.execute(f"KILL {session.raw.thread_id()}")
    for _ in range(2):
        with pytest.raises(ConnectionLost) as caught:
            session.run("SELECT 1")
        assert isinstance(caught.value, DRIVERS[kind])
        assert caught.value.sql == "SELECT 1"


@pytest.mark.parametrize(
    ("kind", "setting", "sql"),
    [
        ("postgresql", "SET idle_in_transaction_session_timeout = 100", "BEGIN"),
        ("postgresql", "SET idle_session_timeout = 100", "SELECT 1"),
        ("mysql", "SET SESSION wait_timeout = 1", "SELECT 1"),
    ],
)
def test_a_session_that_idled_too_long(kind: str, setting: str, sql: str) -> None:
    servers.require(kind)
    with driven(servers.server_url(kind)) as session:
        if "idle_session" in setting and session.raw.server_version < 140_000:
            pytest.skip("idle_session_timeout came with PostgreSQL 14")
        session.run(setting)
        session.run(sql)
        deadline = time.monotonic() + 5
        while not session.backend.looks_dead(session.raw) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert isinstance(failure(session, "SELECT 1"), ConnectionLost)


def test_a_packet_beyond_the_limit_is_a_data_error_and_ends_the_session() -> None:
    servers.require("mysql")
    with driven(servers.server_url("mysql")) as session:
        limit = session.value("SELECT @@max_allowed_packet")
        assert isinstance(failure(session, "SELECT LENGTH({})", "x" * (limit + 1000)), (DataError, ConnectionLost))
        assert session.backend.status(session.raw) is Status.UNKNOWN
        assert isinstance(failure(session, "SELECT 1"), ConnectionLost)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_too_many_connections(kind: str) -> None:
    servers.require(kind)
    config = ConnectionConfig.from_url(servers.server_url(kind))
    user = f"nx_limited_{os.getpid()}"
    role = user if kind == "postgresql" else f"{user}@'127.0.0.1'"
    limited = Driven(backend_for(config), replace(config, username=user, password=None))
    with servers.admin_cursor(kind) as cursor:
        if kind == "postgresql":
            cursor.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
        else:
            cursor.execute(f"CREATE USER {role} WITH MAX_USER_CONNECTIONS 1")
            cursor.execute(f"GRANT ALL ON {config.database_name}.* TO {role}")
        try:
            with limited:
                with pytest.raises(OperationalError) as caught:
                    Driven(limited.backend, limited.config).__enter__()
                assert caught.value.code in ("53300", 1226, 1203)
                assert not isinstance(caught.value, ConnectionLost)
        finally:
            cursor.execute(f"DROP {'ROLE' if kind == 'postgresql' else 'USER'} {role}")


# Values that the drivers refuse


def test_text_that_is_none_is_refused_before_anything_is_sent(session: Driven, kind: str) -> None:
    error = failure(session, "SELECT {}", "secret\ud800")
    assert isinstance(error, ParameterError)
    assert "secret" not in str(error) + repr(error.args)
    if kind == "postgresql":
        assert isinstance(failure(session, "SELECT {}", "a\x00b"), ParameterError)
    assert isinstance(failure(session, "SELECT '\ud800'"), ParameterError)
    assert session.value("SELECT 1") == 1


def test_a_number_too_large_is_refused(session: Driven, kind: str) -> None:
    assert isinstance(failure_of(session, 2**63 if kind == "sqlite" else 10**5000), ParameterError)
    assert session.value("SELECT 1") == 1


def failure_of(session: Driven, value: Any) -> Error:
    with pytest.raises(Error) as caught:
        session.run("SELECT {}", value)
    return caught.value


def test_a_wrong_number_of_values_is_refused(session: Driven, kind: str) -> None:
    placeholder = session.backend.syntax.placeholder
    with pytest.raises(Error), session.mapping():
        session.backend.execute(session.raw, f"SELECT {placeholder}, {placeholder}", [1])
    assert session.value("SELECT 1") == 1


def test_a_result_that_cannot_be_read_is_a_data_error() -> None:
    servers.require("postgresql")
    with driven("sqlite://:memory:") as session:
        assert isinstance(failure(session, "SELECT CAST(x'ff' AS TEXT)"), DataError)
    with driven(servers.server_url("postgresql")) as session:
        with pytest.raises(DataError, match="out of range"):
            session.run("SELECT '0044-03-15 BC'::timestamp")
        assert session.value("SELECT 1") == 1


def test_what_the_driver_itself_refuses_is_kept() -> None:
    servers.require("postgresql")
    with driven(servers.server_url("postgresql")) as session:
        assert isinstance(failure(session, ""), ProgrammingError)
        with pytest.raises(ParameterError), session.mapping():
            session.backend.execute(session.raw, "SELECT %s", [object()])
        session.raw.autocommit = False
        session.run("SELECT 1")
        with pytest.raises(Error), session.mapping():
            session.raw.autocommit = True
        session.backend.rollback(session.raw)


def test_errors_of_integrity_are_one_family(session: Driven) -> None:
    for sql in ("INSERT INTO parent VALUES (1, 'b')", "INSERT INTO child VALUES (2, NULL, 1)"):
        assert isinstance(failure(session, sql), IntegrityError)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_a_feature_that_is_not_there(session: Driven, kind: str) -> None:
    sql = {
        "postgresql": "SELECT * FROM elsewhere.public.parent",
        "mysql": "SELECT * FROM parent WHERE id IN (SELECT id FROM child LIMIT 1)",
    }
    assert isinstance(failure(session, sql[kind]), NotSupportedError)
