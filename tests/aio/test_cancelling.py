"""A cancelled task: its statement stops at the server, and its connection goes back only where it is clean."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest

import kinds
from loops import Base, Make, books, endless, run, settled, started, until, watched_loop
from nexusql import AsyncDatabaseManager
from nexusql.errors import OperationalError, TransactionWarning

pytestmark = kinds.itself  # what a server runs is asked of a view there

WRITE = "INSERT INTO journal (v, w) VALUES (:v, 0)"
READ = "SELECT v FROM journal ORDER BY v"

Scenario = Callable[[AsyncDatabaseManager], Coroutine[Any, Any, None]]


async def cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task, which ends by that and in time."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 7)
    assert task.cancelled()


async def gone(kind: str, name: str) -> None:
    """The server runs it no longer."""
    assert kind == "sqlite" or not await asyncio.to_thread(kinds.running, kind, name)


def test_a_cancelled_statement_stops_at_the_server(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        for _ in range(3):
            sql, name = endless(kind)
            task = asyncio.ensure_future(adb.execute(sql))
            await started(kind, name)
            await cancel(task)
            await gone(kind, name)
            assert await adb.fetch_value("SELECT 41 + 1") == 42

    run(work())
    assert settled(adb), books(adb)


def test_so_does_that_of_execute_async_and_of_a_time_out(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        sql, name = endless(kind)
        task = asyncio.ensure_future(adb.sync.execute_async(sql))
        await started(kind, name)
        await cancel(task)
        await gone(kind, name)
        sql, name = endless(kind)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(adb.fetch_all(sql), 0.2)
        await gone(kind, name)
        assert await adb.fetch_value("SELECT 41 + 1") == 42

    run(work())
    assert settled(adb), books(adb)


def test_a_transaction_whose_statement_is_cancelled_is_rolled_back(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def transact(sql: str) -> None:
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})
            async with tx.transaction():
                await tx.execute(WRITE, {"v": 2})
                await tx.execute(sql)

    async def work() -> None:
        sql, name = endless(kind)
        task = asyncio.ensure_future(transact(sql))
        await started(kind, name)
        await cancel(task)
        await gone(kind, name)
        assert await adb.fetch_all(READ) == []

    run(work())
    assert settled(adb), books(adb)


def test_a_transaction_goes_on_after_a_cancelled_statement_where_the_database_can(
    adb: AsyncDatabaseManager, kind: str
) -> None:
    async def work() -> None:
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})
            sql, name = endless(kind)

            async def nested() -> None:
                await tx.execute(sql)

            with pytest.raises(OperationalError):
                async with tx.transaction():
                    await tx.execute(WRITE, {"v": 2})
                    task = asyncio.ensure_future(nested())
                    await started(kind, name)
                    await cancel(task)
                    raise OperationalError("leave the block")
            await tx.execute(WRITE, {"v": 3})
        assert [row["v"] for row in await adb.execute(READ)] == [1, 3]

    run(work())
    assert settled(adb), books(adb)


def test_a_cancelled_stream_stops_at_the_server(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def read(sql: str) -> None:
        async with adb.stream(sql, chunk_size=10) as stream:
            async for _ in stream:
                raise AssertionError("there is no row")

    async def work() -> None:
        sql, name = endless(kind)
        task = asyncio.ensure_future(read(sql))
        await started(kind, name)
        await cancel(task)
        await gone(kind, name)
        assert await adb.fetch_value("SELECT 41 + 1") == 42

    base = Base()
    run(work())
    assert settled(adb), books(adb)
    adb.sync.disconnect()
    assert base.is_back(), base


def test_a_cancelled_stream_of_a_transaction_leaves_it_to_the_block(make: Make, kind: str) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        sql, name = endless(kind)
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})

            async def read() -> None:
                async for _ in tx.stream(sql, chunk_size=10):
                    raise AssertionError("there is no row")

            with pytest.raises(ZeroDivisionError):
                async with tx.transaction():
                    task = asyncio.ensure_future(read())
                    await started(kind, name)
                    await cancel(task)
                    raise ZeroDivisionError
            await gone(kind, name)
        assert [row["v"] for row in await adb.execute(READ)] == [1]

    run(work())
    assert settled(adb), books(adb)


def test_a_cancelled_bulk_write_ends_with_the_rows_that_come(make: Make) -> None:
    """Between two chunks there is no statement to cancel: the next is not begun."""
    adb = make(pool_max=1)
    coming, go_on = threading.Event(), threading.Event()
    taken: list[int] = []

    def rows() -> Iterator[tuple[int, int]]:
        for n in range(1000):
            taken.append(n)
            if n == 25:
                coming.set()
                assert go_on.wait(20)
            yield n, 0

    async def work() -> None:
        task = asyncio.ensure_future(adb.bulk_insert("journal", rows(), columns=["v", "w"], chunk_size=10))
        assert await asyncio.to_thread(coming.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await cancel(task)
        assert len(taken) < 40
        assert await adb.fetch_all(READ) == []

    run(work())
    assert settled(adb), books(adb)


def test_who_is_cancelled_in_line_leaves_it(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        async with adb.transaction() as tx:
            with adb.detached():
                waiting = [asyncio.ensure_future(adb.fetch_value("SELECT 1")) for _ in range(5)]
            turns = [asyncio.ensure_future(tx.fetch_value("SELECT 1")) for _ in range(5)]
            await asyncio.sleep(0)
            for task in (*waiting[::2], *turns[::2]):
                task.cancel()
            assert [await task for task in turns[1::2]] == [1, 1]
        assert [await task for task in waiting[1::2]] == [1, 1]

    run(work())
    assert settled(adb), books(adb)


def test_the_end_of_a_block_is_not_given_up(make: Make, kind: str) -> None:
    """Cancelled while another task's statement has the turn, it waits for that and ends the transaction even so."""
    adb = make(pool_max=1)

    async def work() -> None:
        sql, name = endless(kind)
        stragglers: list[asyncio.Task[Any]] = []

        async def transact() -> None:
            async with adb.transaction() as tx:
                await tx.execute(WRITE, {"v": 1})
                stragglers.append(asyncio.ensure_future(tx.execute(sql)))
                await started(kind, name)
                raise ZeroDivisionError

        task = asyncio.ensure_future(transact())
        await until(lambda: stragglers)
        await started(kind, name)
        await asyncio.sleep(0.1)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        await cancel(stragglers[0])
        with suppress(asyncio.CancelledError):
            await task
        assert await adb.fetch_all(READ) == []

    run(work())
    assert settled(adb), books(adb)


def test_the_loop_is_not_blocked_by_a_cancel(make: Make, kind: str) -> None:
    adb = make(pool_max=5)

    async def once() -> float:
        async with watched_loop() as stalls:
            sql, name = endless(kind)
            tasks = [asyncio.ensure_future(adb.execute(sql)) for _ in range(5)]
            await started(kind, name)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return stalls.longest

    async def work() -> None:
        assert min([await once() for _ in range(3)]) < 0.05

    run(work())


# Cancelled at each of its steps in turn: nothing half done, nothing left behind.


async def statements(adb: AsyncDatabaseManager) -> None:
    await adb.execute(WRITE, {"v": 1})
    await adb.fetch_all(READ)


async def transaction(adb: AsyncDatabaseManager) -> None:
    async with adb.transaction() as tx:
        await tx.execute(WRITE, {"v": 1})
        async with tx.transaction() as inner:
            await inner.execute(WRITE, {"v": 2})
        await tx.execute(WRITE, {"v": 3})


async def stream(adb: AsyncDatabaseManager) -> None:
    async with adb.stream("SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3", chunk_size=1) as rows:
        async for _ in rows:
            pass
    async with (
        adb.transaction() as tx,
        tx.stream("SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3", None, 2) as rows,
    ):
        async for _ in rows:
            break


async def bulk(adb: AsyncDatabaseManager) -> None:
    await adb.bulk_insert("journal", [{"v": n, "w": n} for n in (1, 2, 3)], chunk_size=1)


async def by_string(adb: AsyncDatabaseManager) -> None:
    await adb.execute("BEGIN")
    await adb.execute(WRITE, {"v": 1})
    await adb.execute(WRITE, {"v": 2})
    await adb.execute(WRITE, {"v": 3})
    await adb.execute("COMMIT")


async def retried(adb: AsyncDatabaseManager) -> None:
    async def fn(tx: Any) -> None:
        for v in (1, 2, 3):
            await tx.execute(WRITE, {"v": v})

    await adb.run_in_transaction(fn)


# What the journal may hold afterwards.
SCENARIOS: dict[str, tuple[Scenario, list[list[int]]]] = {
    "statements": (statements, [[], [1]]),
    "transaction": (transaction, [[], [1, 2, 3]]),
    "stream": (stream, [[]]),
    "bulk": (bulk, [[], [1, 2, 3]]),
    "by_string": (by_string, [[], [1, 2, 3]]),
    "retried": (retried, [[], [1, 2, 3]]),
}


class Stepped:
    """Awaits a coroutine like a task, and cancels that task when it is about to wait for the nth time, or, a moment
    `late`, when what it waits for has just come."""

    def __init__(self, work: Coroutine[Any, Any, None], n: int, late: bool) -> None:
        self._work = work
        self._n = n
        self._late = late
        self.cancelled = False

    def __await__(self) -> Generator[Any, Any, None]:
        work, sent = self._work, None
        while True:
            try:
                awaited = work.send(sent)
            except StopIteration:
                return
            if not self.cancelled and self._n == 0:
                self.cancelled = True
                task = asyncio.current_task()
                assert task is not None
                if self._late and awaited is not None:
                    awaited.add_done_callback(lambda _, task=task: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            self._n -= 1
            try:
                sent = yield awaited
            except BaseException as error:
                awaited = work.throw(error)
                while True:  # it has been cancelled, and ends in its own time
                    try:
                        awaited = work.send((yield awaited))
                    except StopIteration:
                        return


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "served"])
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.filterwarnings("ignore:a task has ended and left open the transaction of its BEGIN")
def test_cancelled_at_every_step(make: Make, name: str, late: bool) -> None:
    scenario, allowed = SCENARIOS[name]
    adb = make(pool_max=1)

    async def steps() -> int:
        n = 0
        while True:
            stepped = Stepped(scenario(adb), n, late)

            async def drive(stepped: Stepped = stepped) -> None:
                await stepped

            task = asyncio.ensure_future(drive())
            done, _ = await asyncio.wait({task}, timeout=20)
            assert done, f"it hangs when it is cancelled at step {n}"
            if not task.cancelled():
                assert task.exception() is None, f"step {n}"
            # The next one gets its own row, on the one connection there is.
            assert await adb.fetch_value("SELECT :n + 0 AS n", {"n": n}) == n
            found = [row["v"] for row in await adb.execute(READ)]
            assert found in allowed, f"step {n}"
            await adb.execute("DELETE FROM journal")
            if not stepped.cancelled:
                return n
            n += 1

    assert run(steps()) >= 1
    assert settled(adb), books(adb)


def test_a_cancelled_transaction_by_string_is_told(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        begun = asyncio.Event()

        async def transact() -> None:
            await adb.execute("BEGIN")
            await adb.execute(WRITE, {"v": 1})
            begun.set()
            await asyncio.sleep(60)

        task = asyncio.ensure_future(transact())
        await begun.wait()
        await cancel(task)
        assert await adb.fetch_all(READ) == []

    with pytest.warns(TransactionWarning, match="a task has ended"):
        run(work())
    assert settled(adb), books(adb)
