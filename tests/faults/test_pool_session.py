"""What one borrower leaves in a session never reaches the next one."""

from collections.abc import Iterator

import pytest

import servers
from nexusql.connection import Connection
from nexusql.errors import Error
from nexusql.pool import Pool
from pooling import real_pool, run

TEMPORARY = "SELECT count(*) AS n FROM pg_class WHERE relname = 'left_behind' AND relnamespace = pg_my_temp_schema()"
ADVISORY = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND pid = pg_backend_pid()"

# (database, what the first borrower runs, what the next one asks to find out)
CHANGES = [
    ("postgresql", "SET search_path TO pg_catalog", "SHOW search_path"),
    ("postgresql", "SET default_transaction_isolation TO 'serializable'", "SHOW transaction_isolation"),
    ("postgresql", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW transaction_read_only"),
    ("postgresql", "SET standard_conforming_strings TO off", "SHOW standard_conforming_strings"),
    ("postgresql", "SET statement_timeout TO 1", "SHOW statement_timeout"),
    ("postgresql", "SET DateStyle TO 'German'", "SHOW DateStyle"),
    ("postgresql", "SET TIME ZONE 'Asia/Tokyo'", "SHOW TimeZone"),
    ("postgresql", "SET ROLE pg_monitor", "SELECT current_user AS u"),
    ("postgresql", "SELECT set_config('x.y', 'one', false)", "SELECT nullif(current_setting('x.y', true), '') AS t"),
    ("postgresql", "CREATE TEMPORARY TABLE left_behind (a INT)", TEMPORARY),
    ("postgresql", "SELECT pg_advisory_lock(4711)", ADVISORY),
    ("postgresql", "LISTEN nexusql_news", "SELECT count(*) AS n FROM pg_listening_channels()"),
    ("postgresql", "PREPARE left_behind AS SELECT 1", "SELECT count(*) AS n FROM pg_prepared_statements"),
    ("postgresql", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) AS n FROM pg_cursors WHERE name = 'c'"),
    ("mysql", "SET SESSION sql_mode = ''", "SELECT @@sql_mode AS m"),
    ("mysql", "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "SELECT @@sql_mode AS m"),
    ("mysql", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW SESSION VARIABLES LIKE 't%isolation'"),
    ("mysql", "SET SESSION TRANSACTION READ ONLY", "SHOW SESSION VARIABLES LIKE 't%read_only'"),
    ("mysql", "SET SESSION innodb_lock_wait_timeout = 1", "SELECT @@innodb_lock_wait_timeout AS s"),
    ("mysql", "SET autocommit = 0", "SELECT @@autocommit AS a"),
    ("mysql", "SET time_zone = '+09:00'", "SELECT @@time_zone AS z"),
    ("mysql", "SET @tenant = 'one'", "SELECT @tenant AS t"),
    ("mysql", "USE information_schema", "SELECT DATABASE() AS d"),
    ("mysql", "DO GET_LOCK('nexusql-test', 1)", "SELECT IS_USED_LOCK('nexusql-test') = CONNECTION_ID() AS mine"),
    ("mysql", "CREATE TEMPORARY TABLE kept (a INT)", "SELECT COUNT(*) AS n FROM kept"),
    ("mssql", "SET LOCK_TIMEOUT 12345", "SELECT @@LOCK_TIMEOUT AS t"),
    ("mssql", "SET DATEFIRST 3", "SELECT @@DATEFIRST AS d"),
    ("mssql", "SET QUOTED_IDENTIFIER OFF", "SELECT CAST(SESSIONPROPERTY('QUOTED_IDENTIFIER') AS INT) AS q"),
    ("mssql", "CREATE TABLE #left_behind (a INT)", "SELECT OBJECT_ID('tempdb..#left_behind') AS t"),
    ("sqlite", "PRAGMA case_sensitive_like = ON", "SELECT 'a' LIKE 'A' AS l"),
    ("sqlite", "PRAGMA recursive_triggers = ON", "PRAGMA recursive_triggers"),
    ("sqlite", "CREATE TEMPORARY TABLE kept (a INT)", "SELECT COUNT(*) AS n FROM sqlite_temp_master"),
    ("sqlite", "ATTACH ':memory:' AS other", "SELECT COUNT(*) AS n FROM pragma_database_list"),
]  # fmt: skip
HERE = [case for case in CHANGES if case[0] in servers.KINDS]


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool[Connection]]:
    """A pool of one connection, on a database with a table `kept` of one row."""
    pool = real_pool(database_url, max_size=1)
    connection = pool.acquire()
    run(connection, "CREATE TABLE kept (a INTEGER)")
    run(connection, "INSERT INTO kept VALUES (1)")
    pool.release(connection)
    yield pool
    pool.close()
    assert pool.stats().total == 0


@pytest.mark.parametrize(("kind", "change", "question"), HERE, indirect=["kind"])
def test_the_next_borrower_finds_the_defaults(pool: Pool[Connection], change: str, question: str) -> None:
    connection = pool.acquire()
    before = run(connection, question)
    run(connection, change, changes_session=True)
    assert connection.needs_reset
    pool.release(connection)
    connection = pool.acquire()
    assert run(connection, question) == before
    assert not connection.needs_reset
    pool.release(connection)


@pytest.mark.parametrize(("kind", "change", "question"), HERE, indirect=["kind"])
def test_these_changes_do_show_where_a_session_is_not_reset(pool: Pool[Connection], change: str, question: str) -> None:
    """Else the test above would prove nothing."""
    connection = pool.acquire()
    before = run(connection, question)
    run(connection, change)
    assert run(connection, question) != before
    pool.discard(connection)


def test_a_transaction_left_open_is_rolled_back(pool: Pool[Connection]) -> None:
    connection = pool.acquire()
    connection.begin(None, False, "")
    run(connection, "INSERT INTO kept VALUES (2)")
    pool.release(connection)
    other = pool.acquire()
    assert other is not connection
    assert run(other, "SELECT a FROM kept") == [{"a": 1}]
    pool.release(other)


def test_a_failed_transaction_left_open_is_rolled_back(pool: Pool[Connection]) -> None:
    connection = pool.acquire()
    connection.begin(None, False, "")
    run(connection, "INSERT INTO kept VALUES (2)")
    with pytest.raises(Error):
        run(connection, "SELECT nothing FROM nowhere")
    pool.release(connection)
    other = pool.acquire()
    assert other is not connection
    assert run(other, "SELECT a FROM kept") == [{"a": 1}]
    pool.release(other)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_rows_that_nobody_reads_hold_up_nothing(pool: Pool[Connection], database_url: str) -> None:
    connection = pool.acquire()
    cursor = connection._backend.execute(connection._raw, "SELECT a FROM kept", ())
    pool.release(connection)
    assert cursor.fetchone() == (1,)
    other = pool.acquire()
    run(other, "DELETE FROM kept")
    assert run(other, "SELECT a FROM kept") == []
    pool.release(other)
