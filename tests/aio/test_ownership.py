"""Who owns a transaction: the task or the job that began it. Others take turns in it, or are refused."""

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import kinds
from loops import Make, books, run, settled, until
from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.errors import LockTimeout, PoolTimeout, ProgrammingError, TransactionClosed, TransactionWarning
from pooling import eventually

WRITE = "INSERT INTO journal (v, w) VALUES (:v, 0)"
READ = "SELECT v FROM journal ORDER BY v"


def seen(db: DatabaseManager) -> list[int]:
    """What is committed."""
    with db.detached():
        return [row["v"] for row in db.execute(READ)]


def test_gathered_statements_belong_to_the_transaction_and_take_turns(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            async with adb.transaction() as tx:
                await asyncio.gather(
                    *(adb.execute(WRITE, {"v": n}) for n in range(20)),
                    *(tx.execute(WRITE, {"v": n}) for n in range(20, 30)),
                    *(adb.sync.execute_async(WRITE, {"v": n}) for n in range(30, 40)),
                )
                assert await tx.fetch_value("SELECT COUNT(*) FROM journal") == 40
                raise ZeroDivisionError
        assert await adb.fetch_all(READ) == []
        with adb.sync.transaction():  # begun by synchronous code
            await asyncio.gather(*(adb.execute(WRITE, {"v": n}) for n in range(20)))
        assert len(await adb.fetch_all(READ)) == 20

    run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("by_string", [False, True])
def test_a_straggler_is_told_and_commits_nothing(make: Make, by_string: bool) -> None:
    adb = make(pool_max=2)

    async def work() -> None:
        ended = asyncio.Event()

        async def straggle() -> list[type]:
            await ended.wait()
            kinds: list[type] = []
            for n in range(3):
                try:
                    await adb.execute(WRITE, {"v": 10 + n})
                except TransactionClosed:
                    kinds.append(TransactionClosed)
            return kinds

        if by_string:
            await adb.execute("BEGIN")
            task = asyncio.ensure_future(straggle())
            await adb.execute(WRITE, {"v": 1})
            await adb.execute("COMMIT")
        else:
            async with adb.transaction():
                task = asyncio.ensure_future(straggle())
                await adb.execute(WRITE, {"v": 1})
        ended.set()
        assert await task == [TransactionClosed] * 3
        assert [row["v"] for row in await adb.execute(READ)] == [1]
        await adb.execute(WRITE, {"v": 2})  # the owner goes on without it

    run(work())
    assert settled(adb), books(adb)


def test_a_nested_block_is_the_owners(make: Make) -> None:
    adb = make(pool_max=2)

    async def work() -> None:
        async def nest(begin: Callable[[], Any]) -> None:
            async with begin():
                raise AssertionError("it is open")

        async with adb.transaction() as tx:
            for begin in (adb.transaction, tx.transaction, adb.sync.transaction):
                with pytest.raises(ProgrammingError, match="another task"):
                    await asyncio.ensure_future(nest(begin))

            async def step_out() -> None:
                with adb.detached():
                    async with adb.transaction() as own:
                        assert await own.fetch_value("SELECT 1") == 1

            if adb.config.database_type.value != "sqlite":  # whose one writer this is
                await asyncio.ensure_future(step_out())
            await tx.execute(WRITE, {"v": 1})
        assert [row["v"] for row in await adb.execute(READ)] == [1]

    run(work())
    assert settled(adb), books(adb)


def test_tasks_share_no_transaction_by_accident(make: Make) -> None:
    adb = make(pool_max=4)

    async def one(n: int) -> None:
        try:
            async with adb.transaction():
                await adb.execute(WRITE, {"v": n})
                await asyncio.sleep(0)
                if n % 2:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return

    async def work() -> None:
        await asyncio.gather(*(one(n) for n in range(40)))
        assert [row["v"] for row in await adb.execute(READ)] == list(range(0, 40, 2))

    run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("sync", [False, True])
def test_a_begin_that_a_task_leaves_open_is_rolled_back(make: Make, sync: bool) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        async def leave() -> None:
            if sync:
                adb.sync.execute("BEGIN")
                adb.sync.execute(WRITE, {"v": 1})
            else:
                await adb.execute("BEGIN")
                await adb.execute(WRITE, {"v": 1})

        await asyncio.ensure_future(leave())
        await asyncio.sleep(0)
        assert await adb.fetch_all(READ) == []

    with pytest.warns(TransactionWarning, match="a task has ended and left open"):
        run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("way", ["executor", "run_in_executor", "to_thread"])
@pytest.mark.parametrize("fails", [False, True])
def test_so_is_that_of_an_executors_job(make: Make, way: str, fails: bool) -> None:
    adb = make(pool_max=2, pool_timeout=3)
    db = adb.sync

    def leave() -> None:
        db.execute("BEGIN")
        db.execute(WRITE, {"v": 1})
        if fails:
            raise ZeroDivisionError

    def look() -> list[int]:
        db.execute(WRITE, {"v": 2})  # in no transaction
        return seen(db)

    async def in_loop() -> list[int]:
        loop = asyncio.get_running_loop()
        if way == "to_thread":
            results = await asyncio.gather(asyncio.to_thread(leave), return_exceptions=True)
        else:
            results = await asyncio.gather(loop.run_in_executor(None, leave), return_exceptions=True)
        assert isinstance(results[0], ZeroDivisionError if fails else type(None))
        del results
        return await loop.run_in_executor(None, look)

    def in_executor() -> list[int]:
        with ThreadPoolExecutor(1) as executor:
            assert isinstance(executor.submit(leave).exception(), ZeroDivisionError if fails else type(None))
            return executor.submit(look).result()

    with pytest.warns(TransactionWarning) as caught:
        found = in_executor() if way == "executor" else run(in_loop())
    assert found == [2]
    assert [str(warning.message).partition(" has ended")[0] for warning in caught] == ["a job of an executor"]
    assert settled(adb), books(adb)


def test_an_executors_job_that_ends_its_transaction_is_left_alone(make: Make) -> None:
    db = make(pool_max=2).sync

    def whole(n: int) -> None:
        db.execute("BEGIN")
        db.execute(WRITE, {"v": n})
        db.execute("COMMIT")

    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(whole, range(20))) == [None] * 20
    assert seen(db) == list(range(20))


def test_a_thread_that_inherits_a_context_has_no_part_in_its_transaction(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python has it with -X thread_inherit_context=1: the thread begins with the context of who starts it."""
    monkeypatch.setattr("nexusql.current.INHERITED", True)
    adb = make(pool_max=2)
    db = adb.sync
    found: list[Any] = []

    def other() -> None:
        found.append(db.fetch_value("SELECT COUNT(*) FROM journal"))

    def inheriting(work: Callable[[], None]) -> None:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()

    with db.transaction():
        db.execute(WRITE, {"v": 1})
        inheriting(other)
        assert db.fetch_value("SELECT COUNT(*) FROM journal") == 1

    async def work() -> None:
        async with adb.transaction():
            await adb.execute(WRITE, {"v": 2})
            await asyncio.gather(adb.execute(WRITE, {"v": 3}), adb.execute(WRITE, {"v": 4}))
            await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, other)
            assert await adb.fetch_value("SELECT COUNT(*) FROM journal") == 4

    run(work())
    assert found == [0, 1]
    assert settled(adb), books(adb)


# A wait that can never end is an error at once.


def test_a_synchronous_call_does_not_wait_for_another_task_of_its_thread(make: Make) -> None:
    adb = make(pool_max=1, pool_timeout=20)

    async def work() -> None:
        holding, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with adb.transaction(read_only=kinds.has_read_only(adb)):
                holding.set()
                await done.wait()

        task = asyncio.create_task(hold(), name="the-holder")
        await holding.wait()
        began = time.monotonic()
        with pytest.raises(PoolTimeout, match=r"await this call too.*the-holder"):
            adb.sync.execute("SELECT 1")
        with pytest.raises(PoolTimeout, match="never end"), adb.sync.transaction(read_only=kinds.has_read_only(adb)):
            raise AssertionError("it is open")
        assert time.monotonic() - began < 5
        done.set()
        await task
        assert adb.sync.fetch_value("SELECT 1") == 1

    run(work())


def test_nor_for_a_stream(make: Make) -> None:
    adb = make(pool_max=1, pool_timeout=20)

    async def work() -> None:
        async with adb.stream("SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3", chunk_size=1) as stream:
            assert (await stream.__anext__())["n"] == 1
            began = time.monotonic()
            with pytest.raises(PoolTimeout, match="never end"):
                adb.sync.execute("SELECT 1")
            assert time.monotonic() - began < 5
        assert adb.sync.fetch_value("SELECT 1") == 1

    run(work())


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_nor_for_the_writer_of_a_file(make: Make) -> None:
    adb = make(pool_timeout=20)

    async def work() -> None:
        holding, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with adb.transaction():
                await adb.execute(WRITE, {"v": 1})
                holding.set()
                await done.wait()

        task = asyncio.ensure_future(hold())
        await holding.wait()
        began = time.monotonic()
        with pytest.raises(LockTimeout, match="await execute_async"):
            adb.sync.execute(WRITE, {"v": 2})
        with pytest.raises(LockTimeout, match="never end"), adb.sync.transaction():
            raise AssertionError("it is open")
        assert adb.sync.fetch_all(READ) == []  # readers need no turn
        assert time.monotonic() - began < 5
        waiting = asyncio.ensure_future(adb.execute(WRITE, {"v": 3}))
        await asyncio.sleep(0.05)
        done.set()
        await asyncio.gather(task, waiting)
        adb.sync.execute(WRITE, {"v": 2})
        assert seen(adb.sync) == [1, 2, 3]

    run(work())


@pytest.mark.parametrize("write", [False, True])
def test_it_does_wait_for_what_needs_no_loop(make: Make, write: bool) -> None:
    """A transaction wholly in one job, and one that its job is just committing, end without this thread."""
    adb = make(pool_max=1, pool_timeout=20)
    db = adb.sync
    inside = threading.Event()

    def whole() -> None:
        with db.transaction():
            db.execute(WRITE, {"v": 1})
            inside.set()
            time.sleep(0.2)

    def call() -> None:
        if write:
            db.execute(WRITE, {"v": 2})
        else:
            assert db.fetch_value("SELECT COUNT(*) FROM journal") == 1

    async def work() -> None:
        task = asyncio.ensure_future(db.in_thread(whole))
        await until(inside.is_set)
        with adb.detached():
            call()
        await task

    run(work())
    assert seen(db) == ([1, 2] if write else [1])


def test_and_for_a_commit_that_is_under_way(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from nexusql.connection import Connection

    adb = make(pool_max=1, pool_timeout=20)
    committing = threading.Event()
    commit = Connection.commit

    def slow(self: Connection) -> None:
        committing.set()
        time.sleep(0.2)
        commit(self)

    async def work() -> None:
        async def transact() -> None:
            async with adb.transaction():
                await adb.execute(WRITE, {"v": 1})
                monkeypatch.setattr(Connection, "commit", slow)

        task = asyncio.ensure_future(transact())
        await until(committing.is_set)
        adb.sync.execute(WRITE, {"v": 2})
        await task

    run(work())
    assert seen(adb.sync) == [1, 2]


def test_a_transaction_that_is_dropped_gives_everything_back(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        async def drop() -> None:
            block = adb.transaction()
            await block.__aenter__()
            await adb.execute(WRITE, {"v": 1})

        await asyncio.ensure_future(drop())

    def given_back() -> bool:
        gc.collect()  # a task and what it owns refer to each other
        return books(adb) == (0, 0, 0)

    def drop_it() -> bool:
        run(work())
        return eventually(given_back)

    with pytest.warns(TransactionWarning, match="left open"):
        came_back = drop_it()
    assert came_back, books(adb)
    assert seen(adb.sync) == []


def test_two_managers_have_a_transaction_each(make: Make, kind: str) -> None:
    one, two = make(pool_max=1), make(pool_max=1)

    async def transact(first: AsyncDatabaseManager, second: AsyncDatabaseManager) -> None:
        async with first.transaction(), second.transaction(read_only=kind == "sqlite"):
            await first.execute(WRITE, {"v": 1})
            assert await second.fetch_all(READ) == []
            raise ZeroDivisionError

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await transact(one, two)
        assert await one.fetch_all(READ) == []

    run(work())
