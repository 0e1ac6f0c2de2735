"""Time limits: a statement is stopped at the server, the error says so, and whoever comes next is not hit."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest

import kinds
import servers
from loops import Make, books, endless, run, settled
from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.errors import ConfigError, QueryTimeout, TransactionAborted
from nexusql.transaction import Transaction
from pooling import PATIENCE, Threads

pytestmark = kinds.itself  # what a server runs is asked of a view there

READ = "SELECT v FROM journal ORDER BY v"
WRITE = "INSERT INTO journal (v, w) VALUES (:v, 0)"
ROUNDS = 2000 if servers.flag("NEXUSQL_LONG") else 40
LENGTH = 0.04  # seconds of statements that are stopped at limits around it


def drivers_class(kind: str) -> type[Exception]:
    """What the driver raises for a statement that was cancelled."""
    if kind == "postgresql":
        from psycopg2.errors import QueryCanceled

        return QueryCanceled
    if kind == "mysql":
        import pymysql

        return pymysql.err.OperationalError
    if kind == "mssql":
        import pyodbc

        error: type[Exception] = pyodbc.Error
        return error
    import sqlite3

    return sqlite3.OperationalError


@pytest.fixture
def db(make: Make) -> DatabaseManager:
    """The synchronous calls of a manager with one connection."""
    return make(pool_max=1).sync


CALLS: dict[str, Callable[[Any, str, float], Any]] = {
    "execute": lambda on, sql, limit: on.execute(sql, timeout=limit),
    "fetch_one": lambda on, sql, limit: on.fetch_one(sql, timeout=limit),
    "fetch_all": lambda on, sql, limit: on.fetch_all(sql, timeout=limit),
    "fetch_value": lambda on, sql, limit: on.fetch_value(sql, timeout=limit),
}


def check_timeout(error: QueryTimeout, kind: str, sql: str) -> None:
    assert isinstance(error, drivers_class(kind))
    assert isinstance(error.__cause__, drivers_class(kind))
    assert error.sql == sql
    assert "stopped at its time limit of 0.15 s: " in str(error)


@pytest.mark.parametrize("name", CALLS)
def test_a_statement_is_stopped_at_its_limit(db: DatabaseManager, kind: str, name: str) -> None:
    sql, marker = endless(kind)
    began = time.monotonic()
    with pytest.raises(QueryTimeout) as caught:
        CALLS[name](db, sql, 0.15)
    assert 0.1 < time.monotonic() - began < 5
    check_timeout(caught.value, kind, sql)
    assert kind == "sqlite" or not kinds.running(kind, marker)
    assert db.fetch_value("SELECT 41 + 1") == 42


@pytest.mark.parametrize("name", CALLS)
def test_so_it_is_where_it_is_awaited(make: Make, kind: str, name: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        sql, marker = endless(kind)
        with pytest.raises(QueryTimeout) as caught:
            await CALLS[name](adb, sql, 0.15)
        check_timeout(caught.value, kind, sql)
        with pytest.raises(QueryTimeout) as caught:
            await adb.sync.execute_async(sql, timeout=0.15)
        check_timeout(caught.value, kind, sql)
        assert kind == "sqlite" or not kinds.running(kind, marker)
        assert await adb.fetch_value("SELECT 41 + 1") == 42

    run(work())
    assert settled(adb), books(adb)


def test_in_a_transaction_the_block_decides(db: DatabaseManager, kind: str) -> None:
    sql, marker = endless(kind)
    with db.transaction() as tx:
        tx.execute(WRITE, {"v": 1})
        with pytest.raises(QueryTimeout) as caught, tx.transaction():
            tx.execute(WRITE, {"v": 2})
            tx.execute(sql, timeout=0.15)
        check_timeout(caught.value, kind, sql)
        with pytest.raises(QueryTimeout), db.transaction():
            db.execute(sql, timeout=0.15)
        tx.execute(WRITE, {"v": 3})
    assert kind == "sqlite" or not kinds.running(kind, marker)
    assert [row["v"] for row in db.execute(READ)] == [1, 3]


def test_in_an_awaited_transaction_too(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        sql, _ = endless(kind)
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})
            with pytest.raises(QueryTimeout):
                async with tx.transaction():
                    await tx.fetch_value(sql, timeout=0.15)
            await tx.execute(WRITE, {"v": 3})
        assert [row["v"] for row in await adb.execute(READ)] == [1, 3]

    run(work())
    assert settled(adb), books(adb)


def test_a_limit_of_the_manager_holds_for_every_statement(make: Make, kind: str) -> None:
    adb = make(pool_max=1, statement_timeout=0.15)
    sql, _ = endless(kind)
    with pytest.raises(QueryTimeout):
        adb.sync.execute(sql)
    with pytest.raises(QueryTimeout), adb.sync.transaction() as tx:
        tx.execute(sql)

    async def work() -> None:
        with pytest.raises(QueryTimeout):
            await adb.fetch_all(sql)
        with pytest.raises(QueryTimeout):
            async with adb.transaction():
                await adb.execute(sql)
        assert (
            await adb.fetch_value(kinds.LASTING[kind], {"s": 0.3}, timeout=30) is not Ellipsis
        )  # the call's own goes first

    run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("value", [0, -1, -0.5, float("inf"), float("nan"), "1", True, object()])
def test_what_is_no_limit_is_refused(db: DatabaseManager, database_url: str, value: Any) -> None:
    adb = AsyncDatabaseManager(database_url)

    async def work() -> None:
        async with adb:
            for call in (adb.execute, adb.fetch_one, adb.fetch_all, adb.fetch_value, adb.sync.execute_async):
                with pytest.raises(ConfigError, match="time limit"):
                    await call(READ, timeout=value)
            async with adb.transaction() as tx:
                with pytest.raises(ConfigError, match="time limit"):
                    await tx.execute(READ, timeout=value)

    for on in (db, db.transaction):
        with pytest.raises(ConfigError, match="time limit"):
            if on is db:
                db.execute(READ, timeout=value)
            else:
                with db.transaction() as tx:
                    tx.fetch_all(READ, timeout=value)
    run(work())
    with pytest.raises(ConfigError, match="time limit"):
        DatabaseManager(database_url, statement_timeout=value)


def test_waiting_for_a_connection_counts(db: DatabaseManager) -> None:
    holds, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with db.transaction():
            holds.set()
            assert go_on.wait(PATIENCE)

    with Threads() as threads:
        threads.start(hold)
        assert holds.wait(PATIENCE)
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match=r"time limit of 0\.2 s"):
            db.execute("SELECT 1", timeout=0.2)
        assert time.monotonic() - began < 5
        go_on.set()
    assert threads.errors == []
    assert db.fetch_value("SELECT 1", timeout=5) == 1


def test_so_does_waiting_for_a_thread_and_for_ones_turn(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        async with adb.transaction() as tx:
            sql, _ = endless(kind)
            task = asyncio.ensure_future(tx.execute(sql))
            await asyncio.sleep(0)
            began = time.monotonic()
            with pytest.raises(QueryTimeout, match=r"time limit of 0\.2 s"):
                await tx.execute("SELECT 1", timeout=0.2)
            with adb.detached(), pytest.raises(QueryTimeout, match=r"time limit of 0\.2 s"):
                await adb.execute("SELECT 1", timeout=0.2)
            with adb.detached(), pytest.raises(QueryTimeout, match=r"time limit of 0\.2 s"):
                await adb.sync.execute_async("SELECT 1", timeout=0.2)
            assert time.monotonic() - began < 5
            task.cancel()
            await asyncio.wait([task])

    with pytest.raises(TransactionAborted) if kind == "postgresql" else nullcontext():
        run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("awaited", [False, True])
def test_waiting_for_the_writer_of_a_file_counts(make: Make, kind: str, awaited: bool) -> None:
    adb = make(pool_max=3)
    holds, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with adb.sync.transaction() as tx:
            tx.execute(WRITE, {"v": 1})
            holds.set()
            assert go_on.wait(PATIENCE)

    with Threads() as threads:
        threads.start(hold)
        assert holds.wait(PATIENCE)
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match=r"time limit of 0\.2 s"):
            if awaited:
                run(adb.execute(WRITE, {"v": 2}, timeout=0.2))
            else:
                adb.sync.execute(WRITE, {"v": 2}, timeout=0.2)
        assert time.monotonic() - began < 5
        go_on.set()
    assert threads.errors == []
    assert [row["v"] for row in adb.sync.execute(READ, timeout=5)] == [1]
    adb.sync.execute(WRITE, {"v": 2}, timeout=5)


class Rounds:
    """Statements with a limit around the time that they take here; to cancel takes its time, too, so most are shorter,
    and every tenth statement is so long that it is stopped for certain."""

    def __init__(self, db: DatabaseManager, kind: str) -> None:
        self._sql = kinds.LASTING[kind]
        began = time.perf_counter()
        db.execute(self._sql, {"s": LENGTH})
        self._length = time.perf_counter() - began
        self.stopped = 0

    def run(self, on: DatabaseManager | Transaction, n: int) -> None:
        """The nth statement. Raises QueryTimeout where it was stopped."""
        try:
            on.execute(self._sql, {"s": LENGTH if n % 10 else 60}, timeout=self._length * (0.05 + n % 20 / 18))
        except QueryTimeout:
            self.stopped += 1
            raise


def test_no_late_cancel_hits_the_next_statement(db: DatabaseManager, kind: str) -> None:
    rounds = Rounds(db, kind)
    for n in range(ROUNDS):
        with suppress(QueryTimeout):
            rounds.run(db, n)
        for _ in range(3):
            assert db.fetch_value("SELECT :n + 0 AS n WHERE 0 = (SELECT COUNT(*) FROM journal)", {"n": n}) == n
    assert ROUNDS // 10 <= rounds.stopped <= ROUNDS
    assert settled(db), books(db)


def test_no_late_cancel_hits_the_rest_of_a_transaction(db: DatabaseManager, kind: str) -> None:
    rounds = Rounds(db, kind)
    for n in range(ROUNDS // 2):
        with db.transaction() as tx:
            tx.execute(WRITE, {"v": 2 * n})
            with suppress(QueryTimeout), tx.transaction():
                rounds.run(tx, n)
            tx.execute(WRITE, {"v": 2 * n + 1})
    assert ROUNDS // 20 <= rounds.stopped <= ROUNDS
    assert db.fetch_value("SELECT COUNT(*) FROM journal") == 2 * (ROUNDS // 2)
