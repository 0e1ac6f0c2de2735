"""`with db.transaction()`: what is stored, what is undone, and who may use it."""

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable

import pytest

import kinds
from nexusql import DatabaseManager
from nexusql.errors import (
    Error,
    NotSupportedError,
    ProgrammingError,
    TransactionAborted,
    TransactionClosed,
    TransactionWarning,
    UniqueViolation,
)
from settling import in_use

Seen = Callable[[], list[int]]


def put(db: object, *values: int) -> None:
    for value in values:
        db.execute("INSERT INTO journal (v) VALUES (:v)", {"v": value})  # type: ignore[attr-defined]


def test_a_block_commits_at_its_end(journal: DatabaseManager, seen: Seen) -> None:
    with journal.transaction() as tx:
        put(journal, 1)
        put(tx, 2)
        assert seen() == []
    assert seen() == [1, 2]
    assert in_use(journal) == 0


def test_an_error_rolls_it_back(journal: DatabaseManager, seen: Seen) -> None:
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, 1)
        1 / 0
    assert seen() == []
    assert in_use(journal) == 0


def test_tx_has_the_same_calls(journal: DatabaseManager) -> None:
    with journal.transaction() as tx:
        assert tx.execute_many("INSERT INTO journal (v) VALUES (:v)", [{"v": 1}, {"v": 2}]) == 2
        assert tx.fetch_value("SELECT COUNT(*) FROM journal") == 2
        assert tx.fetch_one("SELECT v FROM journal WHERE v = :v", {"v": 2}) == {"v": 2}
        assert tx.fetch_all("SELECT v FROM journal ORDER BY v") == [{"v": 1}, {"v": 2}]


def test_a_nested_block_is_undone_alone(journal: DatabaseManager, seen: Seen) -> None:
    with journal.transaction():
        put(journal, 1)
        with pytest.raises(UniqueViolation), journal.transaction():
            put(journal, 2)
            put(journal, 1)
        with journal.transaction():
            put(journal, 3)
            with journal.transaction() as tx, tx.transaction():
                put(tx, 4)
    assert seen() == [1, 3, 4]


def test_after_the_end_a_straggler_is_told_so(journal: DatabaseManager, seen: Seen) -> None:
    with journal.transaction() as tx:
        put(tx, 1)
    with pytest.raises(TransactionClosed):
        put(tx, 2)
    with pytest.raises(TransactionClosed):
        tx.commit()
    assert seen() == [1]


def test_a_failed_statement_in_the_outermost_block_leaves_the_block_to_decide(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    put(journal, 1)
    if kind == "postgresql":  # the server will not go on: committing must not pretend that it did
        with pytest.raises(TransactionAborted) as caught, journal.transaction():
            put(journal, 2)
            with pytest.raises(UniqueViolation):
                put(journal, 1)
        assert isinstance(caught.value.__cause__, UniqueViolation)
        assert seen() == [1]
    else:
        with journal.transaction():
            put(journal, 2)
            with pytest.raises(UniqueViolation):
                put(journal, 1)
        assert seen() == [1, 2]
    assert in_use(journal) == 0


def test_a_nested_block_that_swallows_its_error_is_not_taken_for_good(journal: DatabaseManager, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("only PostgreSQL refuses to go on after an error")
    put(journal, 1)
    with journal.transaction():
        with pytest.raises(TransactionAborted, match="nested"), journal.transaction():
            with pytest.raises(UniqueViolation):
                put(journal, 1)
        put(journal, 2)
    assert journal.fetch_value("SELECT COUNT(*) FROM journal") == 2


def test_isolation_levels_are_taken(journal: DatabaseManager, kind: str) -> None:
    for level in ("READ COMMITTED", "repeatable read", "SERIALIZABLE"):
        if kind == "sqlite" and level != "SERIALIZABLE":
            continue
        with journal.transaction(isolation=level):
            if kind == "postgresql":
                assert journal.fetch_value("SHOW transaction_isolation") == level.lower()
            put(journal, len(level))
    with pytest.raises(ProgrammingError, match="isolation is one of"):
        journal.transaction(isolation="CHAOS")
    with journal.transaction(), pytest.raises(ProgrammingError, match="outermost"):
        with journal.transaction(isolation="SERIALIZABLE"):
            pass


@kinds.on_read_only
def test_a_read_only_block_refuses_to_write(journal: DatabaseManager, seen: Seen) -> None:
    with pytest.raises(Error), journal.transaction(read_only=True):
        assert journal.fetch_value("SELECT COUNT(*) FROM journal") == 0
        put(journal, 1)
    put(journal, 2)
    assert seen() == [2]


def test_threads_never_share_a_block_by_accident(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    counts = []

    def look() -> None:
        counts.append(journal.fetch_value("SELECT COUNT(*) FROM journal"))

    with journal.transaction():
        put(journal, 1)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert counts == [0]


def test_a_thread_that_is_given_tx_takes_part_in_it(journal: DatabaseManager, seen: Seen) -> None:
    with journal.transaction() as tx:
        threads = [threading.Thread(target=put, args=(tx, *range(n * 10, n * 10 + 5))) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen() == []
    assert len(seen()) == 40


def test_detached_statements_commit_on_their_own(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("SQLite has one writer; writing beside an open write transaction is refused, see test_sqlite")
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, 1)
        with journal.detached():
            put(journal, 2)
        1 / 0
    assert seen() == [2]


def test_ddl_takes_part_where_the_database_can(journal: DatabaseManager, kind: str) -> None:
    if kind == "mysql":
        with journal.transaction():
            put(journal, 1)
            with pytest.raises(NotSupportedError, match="allow_ddl"):
                journal.execute("CREATE TABLE other (v INTEGER)")
            journal.execute("CREATE TEMPORARY TABLE scratch (v INTEGER)")
        assert not journal.table_exists("other")
        with pytest.raises(ZeroDivisionError), journal.transaction(allow_ddl=True):
            put(journal, 2)
            journal.execute("CREATE TABLE other (v INTEGER)")
            put(journal, 3)
            1 / 0
        assert journal.table_exists("other")
        assert [r["v"] for r in journal.fetch_all("SELECT v FROM journal ORDER BY v")] == [1, 2]
    else:
        with pytest.raises(ZeroDivisionError), journal.transaction():
            journal.execute("CREATE TABLE other (v INTEGER)")
            1 / 0
        assert not journal.table_exists("other")


def test_a_block_is_entered_once(journal: DatabaseManager) -> None:
    block = journal.transaction()
    with block:
        pass
    with pytest.raises(ProgrammingError, match="once"), block:
        pass


def test_async_blocks_commit_and_roll_back(journal: DatabaseManager, seen: Seen) -> None:
    async def run() -> None:
        async with journal.transaction() as tx:
            await journal.execute_async("INSERT INTO journal (v) VALUES (1)")
            put(tx, 2)
            assert seen() == []
            async with journal.transaction():
                put(journal, 3)
        with pytest.raises(ZeroDivisionError):
            async with journal.transaction():
                put(journal, 4)
                1 / 0

    asyncio.run(run())
    assert seen() == [1, 2, 3]
    assert in_use(journal) == 0


def test_gathered_statements_belong_to_the_block_and_take_turns(journal: DatabaseManager, seen: Seen) -> None:
    async def run() -> None:
        async with journal.transaction():
            sql = "INSERT INTO journal (v) VALUES (:v)"
            await asyncio.gather(*(journal.execute_async(sql, {"v": v}) for v in range(30)))
            assert seen() == []

    asyncio.run(run())
    assert seen() == list(range(30))


def test_a_task_that_outlives_its_block_gets_transaction_closed(journal: DatabaseManager, seen: Seen) -> None:
    async def late(ended: asyncio.Event) -> None:
        await ended.wait()
        await journal.execute_async("INSERT INTO journal (v) VALUES (9)")

    async def run() -> None:
        ended = asyncio.Event()
        async with journal.transaction():
            task = asyncio.create_task(late(ended))
        ended.set()
        with pytest.raises(TransactionClosed):
            await task

    asyncio.run(run())
    assert seen() == []


def test_another_task_may_not_open_a_nested_block(journal: DatabaseManager) -> None:
    async def nested() -> None:
        async with journal.transaction():
            pass

    async def run() -> None:
        async with journal.transaction():
            with pytest.raises(ProgrammingError, match="another task"):
                await asyncio.create_task(nested())

    asyncio.run(run())


def test_many_tasks_never_share_a_connection(database_url: str) -> None:
    async def work(db: DatabaseManager, n: int) -> None:
        async with db.transaction() as tx:
            for k in range(3):
                await db.execute_async("INSERT INTO t (v) VALUES (:v)", {"v": n * 10 + k})
                await asyncio.sleep(0)
            if n % 3 == 0:
                raise ZeroDivisionError
            assert tx.is_open

    async def run(db: DatabaseManager) -> None:
        results = await asyncio.gather(*(work(db, n) for n in range(30)), return_exceptions=True)
        assert sum(isinstance(r, ZeroDivisionError) for r in results) == 10
        assert sum(r is None for r in results) == 20

    with DatabaseManager(database_url, pool_max=3) as db:
        db.execute("CREATE TABLE t (v INTEGER)")
        asyncio.run(run(db))
        rows = [r["v"] for r in db.execute("SELECT v FROM t ORDER BY v")]
        assert rows == [n * 10 + k for n in range(30) if n % 3 for k in range(3)]
        assert in_use(db) == 0


def test_a_transaction_that_is_forgotten_is_rolled_back_with_a_warning(journal: DatabaseManager, seen: Seen) -> None:
    def forget() -> None:
        journal.execute("BEGIN")
        put(journal, 1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread = threading.Thread(target=forget)
        thread.start()
        thread.join()
        del thread
        gc.collect()
    assert [w.category for w in caught] == [TransactionWarning]
    assert seen() == []
    assert in_use(journal) == 0
