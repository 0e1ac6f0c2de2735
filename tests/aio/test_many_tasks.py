"""Hundreds of tasks on a pool of five, failing and cancelled at random: whole transactions only, nothing lost."""

import asyncio
import random
import time
from typing import Any

import pytest

import servers
from loops import STALL, Base, Make, books, run, settled, watched_loop
from nexusql import AsyncDatabaseManager

TASKS = 500
ROUNDS = 10_000 if servers.flag("NEXUSQL_LONG") else 300
WRITE = "INSERT INTO journal (v, w) VALUES (:v, :w)"


class Stopped(Exception):
    """Raised in the middle of a transaction."""


async def write(adb: AsyncDatabaseManager, n: int, way: int, fails: bool) -> int:
    """Write the rows 3n, 3n + 1 and 3n + 2 in one transaction, by one way or another; n as the database gives it."""
    rows = [{"v": 3 * n + i, "w": n} for i in range(3)]

    async def three(tx: Any) -> None:
        await tx.execute(WRITE, rows[0])
        async with tx.transaction() as inner:
            await inner.execute(WRITE, rows[1])
        if fails:
            raise Stopped
        await tx.execute(WRITE, rows[2])

    if way == 0:
        async with adb.transaction() as tx:
            await three(tx)
    elif way == 1:
        await adb.run_in_transaction(three)
    elif way == 2:
        async with adb.transaction() as tx:
            await tx.bulk_insert("journal", rows[:2])
            if fails:
                raise Stopped
            await tx.execute_many(WRITE, rows[2:])
    else:
        await adb.execute("BEGIN")
        try:
            await adb.execute(WRITE, rows[0])
            await adb.execute(WRITE, rows[1])
            if fails:
                raise Stopped
            await adb.execute(WRITE, rows[2])
        except Stopped:
            await adb.execute("ROLLBACK")
            raise
        await adb.execute("COMMIT")
    async with adb.stream("SELECT :n + 0 AS n", {"n": n}) as rows_of_one:
        own = [row["n"] async for row in rows_of_one]
    assert own == [n]
    found: int = await adb.fetch_value("SELECT :n + 0 AS n", {"n": n})
    return found


@pytest.mark.filterwarnings("ignore:a task has ended and left open the transaction of its BEGIN")
def test_whole_transactions_only_and_nothing_left_behind(make: Make, kind: str) -> None:
    adb = make(pool_max=5)
    chance = random.Random(7)
    committed: set[int] = set()
    uncertain: set[int] = set()

    async def one(n: int) -> None:
        try:
            assert await write(adb, n, n % 4, fails=n % 3 == 0) == n
            committed.add(n)
        except asyncio.CancelledError:
            uncertain.add(n)
            raise

    async def work() -> None:
        tasks = [asyncio.ensure_future(one(n)) for n in range(TASKS)]
        targets = [task for n, task in enumerate(tasks) if n % 3 == 1]
        chance.shuffle(targets)
        for task in targets:
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for n, result in enumerate(results):
            if n % 3 == 0:
                assert isinstance(result, Stopped), (n, result)
            elif n % 3 == 1:
                assert result is None or isinstance(result, asyncio.CancelledError), (n, result)
            else:
                assert result is None, (n, result)

    base = Base()
    run(work(), 120)
    assert settled(adb), books(adb)
    stored: dict[int, list[int]] = {}
    for row in adb.sync.execute("SELECT v, w FROM journal ORDER BY v"):
        stored.setdefault(row["w"], []).append(row["v"])
    assert {n: rows for n, rows in stored.items() if rows != [3 * n + i for i in range(3)]} == {}
    assert committed <= set(stored) <= committed | uncertain
    assert all(n % 3 for n in stored)
    adb.sync.disconnect()
    assert base.is_back(), base


def test_time_outs_at_random_moments(make: Make, kind: str) -> None:
    """Short statements and waits of about the same length; whoever comes next gets the row that he asked for."""
    adb = make(pool_max=5)
    chance = random.Random(11)

    async def one(n: int) -> bool:
        try:
            found = await asyncio.wait_for(adb.fetch_value("SELECT :n + 0 AS n", {"n": n}), chance.random() * 0.02)
        except asyncio.TimeoutError:
            return False
        assert found == n
        return True

    async def work() -> list[bool]:
        done: list[bool] = []
        for start in range(0, ROUNDS, 20):
            done += await asyncio.gather(*(one(n) for n in range(start, start + 20)))
        return done

    base = Base()
    served = run(work(), 600)
    assert len(served) >= ROUNDS
    assert settled(adb), books(adb)
    assert adb.sync.fetch_value("SELECT 41 + 1") == 42
    adb.sync.disconnect()
    assert base.is_back(), base


async def busy(adb: AsyncDatabaseManager) -> float:
    """The longest stall of the loop while 200 tasks write, and a third of them is cancelled."""
    async with watched_loop() as stalls:
        tasks = [asyncio.ensure_future(write(adb, n, n % 3, fails=False)) for n in range(200)]
        for task in tasks[::3]:
            await asyncio.sleep(0.001)
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, (int, asyncio.CancelledError)), result
    await adb.execute("DELETE FROM journal")
    return stalls.longest


def test_the_loop_is_never_blocked(make: Make) -> None:
    """The shortest of several measurements: what blocks the loop does so in each of them."""
    adb = make(pool_max=5)

    async def work() -> float:
        longest = STALL
        for _ in range(5):
            longest = min(longest, await busy(adb))
            if longest < STALL:
                break
        return longest

    assert run(work(), 120) < STALL


def test_a_blocked_loop_would_be_seen() -> None:
    async def work() -> float:
        async with watched_loop() as stalls:
            await asyncio.sleep(0.01)
            time.sleep(2 * STALL)  # noqa: ASYNC251
            await asyncio.sleep(0.01)
        return stalls.longest

    assert run(work()) > STALL


@pytest.mark.filterwarnings("ignore:row locks are dropped")
@pytest.mark.mssql_itself
def test_gathered_writers_of_one_file_wait_for_each_other(make: Make) -> None:
    """Counting up in transactions: every one counts, however many there are."""
    adb = make(pool_max=5)

    async def count() -> None:
        async def up(tx: Any) -> None:
            value = await tx.fetch_value("SELECT w FROM journal WHERE v = 1 FOR UPDATE")
            await tx.execute("UPDATE journal SET w = :w WHERE v = 1", {"w": value + 1})

        await adb.run_in_transaction(up)

    async def work() -> None:
        await adb.execute(WRITE, {"v": 1, "w": 0})
        results = await asyncio.gather(*(count() for _ in range(60)), return_exceptions=True)
        assert results == [None] * 60
        assert await adb.fetch_value("SELECT w FROM journal WHERE v = 1") == 60

    run(work())
    assert settled(adb), books(adb)
