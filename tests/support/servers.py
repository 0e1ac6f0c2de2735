"""The databases that tests run on: which are reachable, and a fresh, empty one for a test.

`NEXUSQL_TEST_POSTGRESQL_URL` and `NEXUSQL_TEST_MYSQL_URL` name the servers; the user in them may create schemas and
databases. SQL Server takes part only where `NEXUSQL_TEST_MSSQL_URL` names one, by a URL or a raw ODBC string.
Everything created here is dropped again, also where a test has left connections or transactions open.
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest

from nexusql.config import ConnectionConfig
from nexusql.url import build_url, parse_url

KINDS = ("sqlite", "postgresql", "mysql", *(("mssql",) if os.environ.get("NEXUSQL_TEST_MSSQL_URL") else ()))
DEFAULT_URLS = {
    "postgresql": "postgresql://root@127.0.0.1:5432/test",
    "mysql": "mysql://root@127.0.0.1:3306/test",
}
CONNECT_SECONDS = 5
TURN = (
    "EXEC sys.sp_getapplock @Resource = 'nexusql_tests', @LockMode = 'Exclusive', @LockOwner = 'Session',"
    " @LockTimeout = 120000"
)


def flag(name: str) -> bool:
    """Whether an environment variable is set to something but 0."""
    return os.environ.get(name, "") not in ("", "0")


# NEXUSQL_TEST_MSSQL_URL names a server that only speaks SQL Server's protocol.
ONLY_PROTOCOL = flag("NEXUSQL_TEST_MSSQL_PROTOCOL")


def server_url(kind: str) -> str:
    """The URL of the server for `kind` ("postgresql", "mysql" or "mssql"), from the environment or the default."""
    named = os.environ.get(f"NEXUSQL_TEST_{kind.upper()}_URL") or DEFAULT_URLS[kind]
    if kind != "mssql":
        return named
    parts = parse_url(named)
    # Or Microsoft's driver would put another session in the place of one that a test has killed, without a word
    # (https://learn.microsoft.com/sql/connect/odbc/connection-resiliency).
    parts.options.setdefault("ConnectRetryCount", "0")
    return build_url(parts)


def shown_url(url: str) -> str:
    """The URL without its user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def connect_postgresql(url: str) -> Any:
    """A bare psycopg2 connection in autocommit."""
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)
    connection.autocommit = True
    return connection


def connect_mysql(url: str) -> Any:
    """A bare PyMySQL connection in autocommit."""
    import pymysql

    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/") or None,
        connect_timeout=CONNECT_SECONDS,
        charset="utf8mb4",
        autocommit=True,
    )


def connect_mssql(url: str) -> Any:
    """A bare pyodbc connection in autocommit."""
    import pyodbc

    from nexusql.backends.mssql.connecting import connection_string

    text, _ = connection_string(ConnectionConfig.from_url(url), pyodbc.drivers())
    return pyodbc.connect(text, autocommit=True, timeout=CONNECT_SECONDS)


CONNECT = {"postgresql": connect_postgresql, "mysql": connect_mysql, "mssql": connect_mssql}


@contextmanager
def admin_cursor(kind: str) -> Iterator[Any]:
    """A cursor of the bare driver on the server of `kind`, in autocommit."""
    connection = CONNECT[kind](server_url(kind))
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@cache
def look_at(kind: str) -> tuple[str | None, str]:
    """(the server's version or None, what there is to say about it): one attempt a process."""
    if kind == "sqlite":
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}", "in this process"
    where = shown_url(server_url(kind))
    try:
        with admin_cursor(kind) as cursor:
            cursor.execute("SELECT @@VERSION" if kind == "mssql" else "SELECT version()")
            version = cursor.fetchone()[0]
    except Exception as error:  # whatever keeps the server away, it is reported and never hidden
        return None, f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"
    if kind == "mysql":  # MySQL says "8.0.39", MariaDB "10.11.19-MariaDB-log"
        number, _, rest = version.partition("-")
        return f"{'MariaDB' if 'MariaDB' in rest else 'MySQL'} {number}", where
    return " ".join(version.split()[: 4 if kind == "mssql" else 2]), where


def reachable(kind: str) -> bool:
    """Whether the database of `kind` can be used here."""
    return look_at(kind)[0] is not None


def require(kind: str) -> None:
    """Skip the test where the database of `kind` is not reachable, or fail it where NEXUSQL_REQUIRE_SERVERS=1."""
    if not reachable(kind):
        message = f"{kind} is not reachable at {look_at(kind)[1]}"
        if flag("NEXUSQL_REQUIRE_SERVERS"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@contextmanager
def fresh_database(kind: str, *, whole: bool = False) -> Iterator[str]:
    """The URL of an empty database of `kind` ("sqlite", "postgresql", "mysql", "mssql"), dropped afterwards.

    On PostgreSQL it is a schema of its own, which the URL selects by search_path, or with `whole` a database.
    """
    name = f"nx_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="nexusql-", ignore_cleanup_errors=True) as folder:
            yield f"sqlite:///{folder}/test.db"
    elif kind == "mysql":
        with admin_cursor(kind) as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield _with_path(server_url(kind), name)
        finally:
            _drop_mysql(name)
    elif kind == "mssql":
        _create_mssql(name)
        try:
            parts = parse_url(server_url(kind))
            parts.database = name
            yield build_url(parts)
        finally:
            _drop_mssql(name)
    elif whole:
        with admin_cursor(kind) as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield _with_path(server_url(kind), name)
        finally:
            with admin_cursor(kind) as cursor:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    else:
        with admin_cursor(kind) as cursor:
            cursor.execute(f"CREATE SCHEMA {name}")
        try:
            yield _with_query(server_url(kind), f"options=-csearch_path%3D{name}")
        finally:
            _drop_schema(name)


def _with_path(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _with_query(url: str, option: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{option}" if parts.query else option))


def _drop_schema(name: str) -> None:
    """Drop a schema; sessions that hold locks in it, left open by a test, are ended first."""
    with admin_cursor("postgresql") as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT l.pid FROM pg_locks l"
            " JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND l.pid <> pg_backend_pid()) AS holders",
            (name,),
        )
        cursor.execute("SET client_min_messages = warning")
        cursor.execute("SET lock_timeout = '20s'")
        cursor.execute(f"DROP SCHEMA {name} CASCADE")


def _drop_mysql(name: str) -> None:
    """Drop a database; its sessions, left open by a test, are ended first."""
    import pymysql

    with admin_cursor("mysql") as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
        for (session,) in cursor.fetchall():
            try:
                cursor.execute(f"KILL {int(session)}")
            except pymysql.err.Error as error:
                if error.args[0] != 1094:  # ER_NO_SUCH_THREAD: it has gone by itself
                    raise
        cursor.execute("SET lock_wait_timeout = 20")
        cursor.execute(f"DROP DATABASE {name}")


def _create_mssql(name: str) -> None:
    """Create a database of the commonest collation, in which who reads does not wait for who writes, as on the other
    servers, and SNAPSHOT can be asked for. A server that only speaks the protocol need not know these options.

    https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options
    """
    with admin_cursor("mssql") as cursor:
        if ONLY_PROTOCOL:
            cursor.execute(f"CREATE DATABASE {name}")
            return
        # One process after the other: each copies `model`, and wants it for itself (error 1807).
        cursor.execute(TURN)
        cursor.execute(f"CREATE DATABASE {name} COLLATE SQL_Latin1_General_CP1_CI_AS")
        cursor.execute(f"ALTER DATABASE {name} SET READ_COMMITTED_SNAPSHOT ON")
        cursor.execute(f"ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON")


def _drop_mssql(name: str) -> None:
    """Drop a database; its sessions, left open by a test, are ended first."""
    with admin_cursor("mssql") as cursor:
        if ONLY_PROTOCOL:
            cursor.execute("SELECT session_id FROM sys.dm_exec_sessions WHERE database_id = DB_ID(?)", (name,))
            for (session,) in cursor.fetchall():
                with suppress(Exception):  # it has gone by itself
                    cursor.execute(f"KILL {int(session)}")
        else:
            cursor.execute(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
        cursor.execute(f"DROP DATABASE {name}")
