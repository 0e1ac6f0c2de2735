"""fork() and spawn with a manager in use: nobody reads the other's rows or ends the other's session."""

import asyncio
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable

import pytest

from nexusql import DatabaseManager
from nexusql.errors import InterfaceError, TransactionClosed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")


def forked(work: Callable[[], None]) -> int:
    """The exit status of a child that does `work`: 0 where it raises nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads, which are what this is about
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            sys.stderr.write(f"in the child: {type(error).__name__}: {error}\n")
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def test_a_child_has_connections_of_its_own_and_leaves_the_parents_alone(db: DatabaseManager, kind: str) -> None:
    db.execute("CREATE TABLE t (v INTEGER)")

    def child() -> None:
        for n in range(50):
            assert db.fetch_value("SELECT :n + 0 AS n", {"n": n}) == n
        db.execute("INSERT INTO t (v) VALUES (1)")
        db.disconnect()

    stop = threading.Event()
    wrong: list[object] = []

    def busy() -> None:
        n = 1000
        while not stop.is_set():
            n += 1
            if (found := db.fetch_value("SELECT :n + 0 AS n", {"n": n})) != n:
                wrong.append(found)

    # A child of fork() that finds SQLite's own mutex of its allocator taken by a thread it has not waits for ever.
    threads = [threading.Thread(target=busy) for _ in range(0 if kind == "sqlite" else 3)]
    for thread in threads:
        thread.start()
    try:
        assert [forked(child) for _ in range(5)] == [0] * 5
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 5


def test_a_child_cannot_speak_in_the_parents_transaction(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE t (v INTEGER)")

    def child() -> None:
        with pytest.raises(TransactionClosed, match="parent"):
            db.execute("INSERT INTO t (v) VALUES (9)")

    with db.transaction():
        db.execute("INSERT INTO t (v) VALUES (1)")
        assert forked(child) == 0
        db.execute("INSERT INTO t (v) VALUES (2)")
    assert [row["v"] for row in db.execute("SELECT v FROM t ORDER BY v")] == [1, 2]


def test_a_child_that_leaves_the_parents_block_ends_nothing(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE t (v INTEGER)")
    block = db.transaction()
    block.__enter__()
    db.execute("INSERT INTO t (v) VALUES (1)")
    assert forked(lambda: block.__exit__(None, None, None)) == 0
    block.__exit__(None, None, None)
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 1


def test_a_memory_database_is_not_silently_empty_in_a_child() -> None:
    with DatabaseManager("sqlite://:memory:") as db:
        db.execute("CREATE TABLE t (v INTEGER)")

        def child() -> None:
            with pytest.raises(InterfaceError, match="belongs to the process"):
                db.execute("SELECT * FROM t")

        assert forked(child) == 0
        assert db.execute("SELECT * FROM t") == []


def test_worker_threads_are_made_anew_in_a_child(db: DatabaseManager) -> None:
    async def ask() -> None:
        assert await db.execute_async("SELECT 1 AS x") == [{"x": 1}]

    asyncio.run(ask())
    assert forked(lambda: asyncio.run(ask())) == 0


def increment(url: str) -> None:
    with DatabaseManager(url) as db:
        db.run_in_transaction(lambda tx: tx.execute("UPDATE t SET v = v + 1"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(db: DatabaseManager, method: str) -> None:
    db.execute("CREATE TABLE t (v INTEGER)")
    db.execute("INSERT INTO t (v) VALUES (0)")
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [context.Process(target=increment, args=(db.database_url,)) for _ in range(4)]  # type: ignore[attr-defined]
        for process in children:
            process.start()
    for process in children:
        process.join(60)
    assert [process.exitcode for process in children] == [0] * 4
    assert db.fetch_value("SELECT v FROM t") == 4
