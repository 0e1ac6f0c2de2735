"""What each kind of database says in words of its own, where tests of several files need it.

A test holds that no table of tests/support leaves a kind out (tests/project/test_kinds.py). SQL Server's sessions,
requests and locks are views: https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pytest

import servers

if TYPE_CHECKING:
    from nexusql import AsyncDatabaseManager, DatabaseManager

# The servers; SQL Server is among them where NEXUSQL_TEST_MSSQL_URL names one.
REMOTE = tuple(kind for kind in servers.KINDS if kind != "sqlite")
# What has read-only transactions; SQL Server refuses them, as tests/mssql/test_transactions.py holds.
READ_ONLY = ("sqlite", "postgresql", "mysql")

on_servers = pytest.mark.parametrize("kind", REMOTE, indirect=True)
on_read_only = pytest.mark.parametrize("kind", READ_ONLY, indirect=True)
itself = pytest.mark.mssql_itself


def has_read_only(db: "DatabaseManager | AsyncDatabaseManager") -> bool:
    """Whether the database of a manager has read-only transactions, where a test need not write in one."""
    return db.config.database_type.value in READ_ONLY


# Sessions: the number of one's own, those of given numbers that are there, and how one is ended.

SESSION = {
    "postgresql": "pg_backend_pid()",
    "mysql": "connection_id()",
    "mssql": "@@SPID",
}
SESSION_ID = {kind: f"SELECT {number} AS id" for kind, number in SESSION.items()}
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE pid IN ({})",
    "mysql": "SELECT id FROM information_schema.processlist WHERE id IN ({})",
    "mssql": "SELECT session_id FROM sys.dm_exec_sessions WHERE session_id IN ({})",
}
KILL = {
    "postgresql": "SELECT pg_terminate_backend({})",
    "mysql": "KILL {}",
    "mssql": "KILL {}",
}
# What the driver's error has of a session that is not there: ER_NO_SUCH_THREAD; 6106, not an active process.
NOT_THERE = {"postgresql": "", "mysql": "(1094,", "mssql": "(6106)"}


def kill(kind: str, number: int, cursor: Any) -> None:
    """End a session at the server, which may have ended by itself meanwhile."""
    try:
        cursor.execute(KILL[kind].format(int(number)))
    except Exception as error:
        if not NOT_THERE[kind] or NOT_THERE[kind] not in f"{error.args}":
            raise


def living(kind: str, numbers: Collection[int], cursor: Any) -> set[int]:
    """Those of the sessions that the server still has."""
    if not numbers:
        return set()
    cursor.execute(SESSIONS[kind].format(", ".join(str(int(number)) for number in numbers)))
    return {number for (number,) in cursor.fetchall()}


# Statements that take long. The column's name makes one known among all that the server runs.

ENDLESS = {
    "sqlite": (
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000000000)"
        " SELECT MAX(n) AS {name} FROM c"
    ),
    "postgresql": "SELECT pg_sleep(300) AS {name}",
    "mysql": "SELECT SLEEP(300) AS {name}",
    "mssql": "WAITFOR DELAY '00:05:00' SELECT 1 AS {name}",
}
# The same for :s seconds; SQLite has no way to wait and counts instead.
LASTING = {
    "sqlite": (
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000000 * :s) SELECT MAX(n) FROM c"
    ),
    "postgresql": "SELECT pg_sleep(:s)",
    "mysql": "SELECT SLEEP(:s)",
    "mssql": (
        "DECLARE @pause DATETIME = DATEADD(MILLISECOND, CAST(:s * 1000 AS INT), 0) WAITFOR DELAY @pause"
        " SELECT 1 AS slept"
    ),
}
_RUNNING = {
    "postgresql": (
        "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{}%' AND pid <> pg_backend_pid()"
    ),
    "mysql": (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Query' AND info LIKE '%{}%'"
        " AND id <> connection_id()"
    ),
    "mssql": (
        "SELECT COUNT(*) FROM sys.dm_exec_requests AS r CROSS APPLY sys.dm_exec_sql_text(r.sql_handle) AS t"
        " WHERE t.text LIKE '%{}%' AND r.session_id <> @@SPID"
    ),
}


def running(kind: str, marker: str) -> bool:
    """Whether the server runs a statement in which the marker stands."""
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(_RUNNING[kind].format(marker))
        return bool(cursor.fetchone()[0])


# Whether a session waits in the middle of a statement, by its own will.
ASLEEP = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'PgSleep'",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE id = {} AND state = 'User sleep'",
    "mssql": "SELECT COUNT(*) FROM sys.dm_exec_requests WHERE session_id = {} AND wait_type = 'WAITFOR'",
}


def asleep(kind: str, number: int) -> bool:
    """Whether the statement that a session runs waits as it was told to."""
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(ASLEEP[kind].format(int(number)))
        return bool(cursor.fetchone()[0])


# Locks: how long a session waits for them from now on, at least {} milliseconds, and whether it does.

LOCK_WAIT = {
    "sqlite": "PRAGMA busy_timeout = {}",
    "postgresql": "SET lock_timeout = {}",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",  # which counts in seconds
    "mssql": "SET LOCK_TIMEOUT {}",
}
_WAITS = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = {}",
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = {}"
    ),
    "mssql": "SELECT COUNT(*) FROM sys.dm_tran_locks WHERE request_status = 'WAIT' AND request_session_id = {}",
}


def waits_for_lock(kind: str, number: int) -> bool:
    """Whether a session waits for a lock."""
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(_WAITS[kind].format(int(number)))
        return bool(cursor.fetchone()[0])


# Names.

QUOTE = {"sqlite": '"', "postgresql": '"', "mysql": "`", "mssql": '"'}
SCHEMA = {
    "sqlite": "SELECT 'main' AS name",
    "postgresql": "SELECT current_schema() AS name",
    "mysql": "SELECT DATABASE() AS name",
    "mssql": "SELECT SCHEMA_NAME() AS name",
}
# A temporary table's own name, and the words that make one.
TEMPORARY = {
    "sqlite": "CREATE TEMPORARY TABLE {}",
    "postgresql": "CREATE TEMPORARY TABLE {}",
    "mysql": "CREATE TEMPORARY TABLE {}",
    "mssql": "CREATE TABLE #{}",
}
TEMPORARY_NAME = {"sqlite": "{}", "postgresql": "{}", "mysql": "{}", "mssql": "#{}"}
