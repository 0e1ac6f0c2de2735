"""What one statement leaves in the engine or in its session, and what the next one finds."""

import asyncio
import warnings

import pytest

from nexusql import DatabaseManager
from nexusql.errors import CommitUncertain, ConfigError, DuplicateColumnWarning, TransactionAborted
from settling import in_use


def test_a_write_after_a_result_with_duplicate_columns_is_not_blamed_for_them(database_url: str) -> None:
    with DatabaseManager(database_url, duplicate_columns="raise", pool_max=1) as db:
        db.execute("CREATE TABLE t (v INTEGER)")
        with db.transaction() as tx:
            with pytest.raises(Exception, match="more than one column"), tx.transaction():
                tx.execute("SELECT 1 AS a, 2 AS a")
            tx.execute("INSERT INTO t (v) VALUES (1)")
    with DatabaseManager(database_url) as db, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with db.transaction() as tx:
            for _ in range(3):
                tx.execute("SELECT 1 AS a, 2 AS a")
                tx.execute("INSERT INTO t (v) VALUES (2)")
        assert [warning.category for warning in caught] == [DuplicateColumnWarning]


def test_a_pragma_for_all_connections_hides_no_other_change(db: DatabaseManager, kind: str) -> None:
    if kind != "sqlite":
        pytest.skip("SQLite's own")
    with db.transaction():
        db.execute("PRAGMA cache_size = 77")
        db.execute("PRAGMA foreign_keys = ON")
    assert db.fetch_value("PRAGMA cache_size") != 77
    assert db.fetch_value("PRAGMA foreign_keys") == 1


def test_of_a_pragma_given_many_times_the_last_is_kept(db: DatabaseManager, kind: str) -> None:
    if kind != "sqlite":
        pytest.skip("SQLite's own")
    for n in range(100):
        db.execute(f"PRAGMA foreign_keys = {'OFF' if n % 2 else 'ON'}")
    assert db._connection is not None
    assert len(db._connection._settings) == 1
    with db.transaction(read_only=True), db.detached(), db.transaction(read_only=True):
        assert db.fetch_value("PRAGMA foreign_keys") == 0


def test_types_seen_in_ddl_that_was_rolled_back_are_forgotten(db: DatabaseManager, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("only PostgreSQL's values are fitted to their columns")
    db.execute("CREATE TABLE t (flag BOOLEAN)")
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.execute("ALTER TABLE t ALTER COLUMN flag TYPE INTEGER USING 1")
        db.execute("INSERT INTO t (flag) VALUES (:f)", {"f": True})
        1 / 0
    db.execute("INSERT INTO t (flag) VALUES (:f)", {"f": True})
    with db.transaction():
        db.execute("CREATE TEMPORARY TABLE t (flag INTEGER)")
        db.execute("INSERT INTO t (flag) VALUES (:f)", {"f": False})
    db.execute("INSERT INTO t (flag) VALUES (:f)", {"f": False})
    assert [row["flag"] for row in db.execute("SELECT flag FROM t ORDER BY flag")] == [False, True]


def test_a_session_that_was_closed_before_the_commit_is_not_uncertain(db: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("has no session to lose")
    db.execute("CREATE TABLE t (v INTEGER)")
    with pytest.raises(TransactionAborted) as caught, db.transaction() as tx:
        tx.execute("INSERT INTO t (v) VALUES (1)")
        with pytest.raises(ConfigError):
            tx.execute("SET NAMES gbk" if kind == "mysql" else "SET client_encoding = 'gbk'")
    assert not isinstance(caught.value, CommitUncertain)
    assert db.execute("SELECT v FROM t") == []
    assert in_use(db) == 0


def test_a_synchronous_write_waits_for_another_tasks_statement(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE t (v INTEGER)")

    async def run() -> None:
        for _ in range(20):
            tasks = [asyncio.create_task(db.execute_async("INSERT INTO t (v) VALUES (1)")) for _ in range(4)]
            await asyncio.sleep(0)
            for _ in range(4):
                db.execute("INSERT INTO t (v) VALUES (2)")
            await asyncio.gather(*tasks)

    asyncio.run(run())
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 160
