"""A server that says nothing any more is escaped from: by a limit of time, and by cancellation."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import servers
from loops import STALL, Base, books, endless, run, settled, until, watched_loop
from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.errors import CommitUncertain, QueryTimeout
from pooling import eventually
from proxy import FaultProxy
from throwaway import SERVERS, Server

WRITE = "INSERT INTO journal (v) VALUES (:v)"
LONG = servers.flag("NEXUSQL_LONG")
# Seconds after which a call on a frozen server is over: MySQL is asked for another session first, PostgreSQL to cancel.
BOUND = 9.0 if LONG else 4.0

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of it, where the test is not to take its time."""
    if not LONG:
        monkeypatch.setattr("nexusql.interrupts.GRACE", 0.3)
        monkeypatch.setattr("nexusql.jobs.PATIENCE", 3.0)
        monkeypatch.setattr("nexusql.backends.mysql.kill.PATIENCE", 0.5)
        monkeypatch.setattr("nexusql.backends.postgresql.driver.CANCEL_SECONDS", 0.5)


@pytest.fixture
def proxy(database_url: str) -> Iterator[FaultProxy]:
    with FaultProxy.before(database_url) as proxy:
        yield proxy


@pytest.fixture
def adb(database_url: str, proxy: FaultProxy) -> Iterator[AsyncDatabaseManager]:
    """A manager behind a proxy that can fall silent; its connections go when the proxy does."""
    with DatabaseManager(database_url) as direct:
        direct.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY)")
    manager = AsyncDatabaseManager(proxy.url(database_url), pool_max=2, connect_timeout=5)
    manager.sync.connect(raise_errors=True)
    yield manager
    proxy.heal()
    proxy.cut()
    manager.sync.disconnect()


def all_at_once(*works: Callable[[], None]) -> None:
    """Run these in threads, so that their waits pass together. Raises the first error."""
    errors: list[BaseException] = []

    def run_one(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run_one, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "it hangs"
    for error in errors:
        raise error


def test_limits_and_a_commit_on_a_silent_server(adb: AsyncDatabaseManager, proxy: FaultProxy) -> None:
    db = adb.sync
    frozen = threading.Barrier(3, action=proxy.hold)

    def read_in_transaction() -> None:
        with pytest.raises(QueryTimeout), db.transaction() as tx:
            tx.execute(WRITE, {"v": 1})
            frozen.wait(20)
            tx.execute("SELECT 1", timeout=0.3)

    def commit() -> None:
        db.execute("BEGIN")
        db.execute(WRITE, {"v": 2})
        frozen.wait(20)
        with pytest.raises(CommitUncertain):
            db.execute("COMMIT", timeout=0.3)

    def after() -> None:
        frozen.wait(20)
        began = time.monotonic()
        with pytest.raises(QueryTimeout):
            db.execute("SELECT 1", timeout=0.3)  # in line
        assert time.monotonic() - began < BOUND

    began = time.monotonic()
    all_at_once(read_in_transaction, commit, after)
    assert time.monotonic() - began < BOUND + 3
    proxy.heal()
    assert db.fetch_value("SELECT 41 + 1") == 42
    assert settled(db), books(db)
    assert db.fetch_value("SELECT COUNT(*) FROM journal WHERE v = 1") == 0


def test_a_limit_holds_for_savepoints_by_string(adb: AsyncDatabaseManager, proxy: FaultProxy) -> None:
    db = adb.sync

    def savepoint() -> None:
        db.execute("BEGIN")
        proxy.hold()
        with pytest.raises(QueryTimeout):
            db.execute("SAVEPOINT s", timeout=0.3)
        proxy.heal()
        db.execute("ROLLBACK")

    began = time.monotonic()
    all_at_once(savepoint)
    assert time.monotonic() - began < BOUND
    assert settled(db), books(db)


def test_a_write_outside_a_transaction_is_uncertain(adb: AsyncDatabaseManager, proxy: FaultProxy) -> None:
    db = adb.sync
    began = time.monotonic()
    proxy.hold()
    with pytest.raises(CommitUncertain):
        db.execute(WRITE, {"v": 1}, timeout=0.3)
    assert time.monotonic() - began < BOUND
    proxy.heal()
    assert db.fetch_value("SELECT 41 + 1") == 42


def test_cancelled_on_a_silent_server(adb: AsyncDatabaseManager, proxy: FaultProxy) -> None:
    """A statement, and a block that is about to commit: both tasks end, and nothing blocks the loop meanwhile."""

    async def work() -> float:
        ready = asyncio.Event()

        async def transact() -> None:
            async with adb.transaction() as tx:
                await tx.execute(WRITE, {"v": 1})
                ready.set()
                await until(lambda: proxy._held["requests"])

        tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(transact())]
        await ready.wait()
        with adb.detached():
            await adb.execute("SELECT 1")
        proxy.hold()
        async with watched_loop() as stalls:
            tasks.append(asyncio.ensure_future(adb.execute("SELECT 1")))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            for task in tasks:
                task.cancel()
            done, pending = await asyncio.wait(tasks, timeout=BOUND + 3)
            assert not pending
            assert time.monotonic() - began < BOUND
        for task in done:
            with pytest.raises((asyncio.CancelledError, CommitUncertain)):
                await task
        proxy.heal()
        assert await adb.fetch_value("SELECT 41 + 1") == 42
        return stalls.longest

    base = Base()
    stall = run(work())
    assert settled(adb), books(adb)
    assert stall < 4 * STALL
    adb.sync.disconnect()
    proxy.cut()
    assert base.is_back(), base


def test_a_stream_is_closed_on_a_silent_server(adb: AsyncDatabaseManager, proxy: FaultProxy) -> None:
    sql = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900) SELECT n FROM c"

    async def work() -> None:
        async def read() -> None:
            async with adb.stream(sql, chunk_size=10) as stream:
                assert (await stream.__anext__())["n"] == 1
                proxy.hold()

        task = asyncio.ensure_future(read())
        await until(lambda: proxy._held["requests"])
        await asyncio.sleep(0.1)
        task.cancel()
        began = time.monotonic()
        done, _ = await asyncio.wait({task}, timeout=BOUND + 3)
        assert done
        assert time.monotonic() - began < BOUND
        proxy.heal()
        assert await adb.fetch_value("SELECT 41 + 1") == 42

    run(work())
    assert settled(adb), books(adb)


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    servers.require(kind)
    with SERVERS[kind]() as server:
        yield server


def test_a_stopped_server(server: Server, kind: str) -> None:
    """SIGSTOP, where the kernel goes on accepting connections; after SIGCONT no late cancel hits anybody."""
    with DatabaseManager(server.url, pool_max=3, connect_timeout=5) as db:
        assert db.fetch_value("SELECT 41 + 1") == 42
        sql, _ = endless(kind)

        def stopped() -> None:
            began = time.monotonic()
            # What waits may also have written, for all that is known of it.
            with pytest.raises((QueryTimeout, CommitUncertain)):
                db.execute(sql, timeout=0.5)
            assert time.monotonic() - began < BOUND

        def in_transaction() -> None:
            with pytest.raises(QueryTimeout), db.transaction() as tx:
                tx.execute(sql, timeout=0.5)

        freezing = threading.Timer(0.2, server.freeze)
        freezing.start()
        all_at_once(stopped, in_transaction)
        freezing.join()
        server.thaw()
        assert eventually(lambda: db.health_check())
        for n in range(100):
            assert db.fetch_value("SELECT :n + 0 AS n", {"n": n}) == n
        assert settled(db), books(db)
