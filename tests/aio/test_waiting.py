"""Calls that wait for a connection: each begins as soon as one is free, whatever the event loop does, or not at all."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loops import Make, books, run, settled
from nexusql import AsyncDatabaseManager, AsyncTransaction
from nexusql.errors import PoolTimeout, QueryTimeout
from pooling import eventually


@contextmanager
def held(adb: AsyncDatabaseManager) -> Iterator[list[asyncio.Task[str]]]:
    """Of a manager with one connection: three calls, the first of which goes on until the block is left."""
    go_on, begun = threading.Event(), list[str]()

    def call(name: str) -> str:
        begun.append(name)
        assert name != "first" or go_on.wait(20)
        return name

    calls = [asyncio.ensure_future(adb.sync.in_thread(call, name)) for name in ("first", "second", "third")]
    try:
        yield calls
    finally:
        go_on.set()


def test_a_call_that_waits_begins_while_the_event_loop_is_busy(make: Make) -> None:
    adb, at = make(pool_max=1), list[float]()

    async def work() -> float:
        calls = [asyncio.ensure_future(adb.sync.in_thread(lambda: at.append(time.monotonic()))) for _ in range(5)]
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251
        free = time.monotonic()
        await asyncio.gather(*calls)
        return free

    free = run(work())
    assert len(at) == 5
    assert max(at) < free


def test_who_is_cancelled_while_it_waits_never_begins(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        with held(adb) as (first, second, third):
            await asyncio.sleep(0.05)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert not third.done()
        assert [await first, await third] == ["first", "third"]

    run(work())
    assert settled(adb), books(adb)


def test_who_has_waited_too_long_never_begins(make: Make) -> None:
    adb = make(pool_max=1, pool_timeout=0.2)

    async def work() -> None:
        with held(adb) as (first, *others):
            for call in others:
                with pytest.raises(PoolTimeout, match="no connection became free in"):
                    await call
            with pytest.raises(QueryTimeout, match="before a connection was free"):
                await adb.execute("SELECT 1", timeout=0.05)
        assert await first == "first"
        assert await adb.fetch_value("SELECT 1") == 1

    run(work())
    assert settled(adb), books(adb)


def test_a_thread_that_cannot_be_started_is_told_to_who_waits(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        engine = adb.sync._connected()
        submit = engine.workers.submit
        with held(adb) as (first, *others):
            await asyncio.sleep(0.05)

            def refuse(call: object, *, guest: bool) -> None:
                raise RuntimeError("can't start new thread")

            monkeypatch.setattr(engine.workers, "submit", refuse)
        assert await first == "first"
        for call in others:
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await call
        monkeypatch.setattr(engine.workers, "submit", submit)
        assert await adb.fetch_value("SELECT 1") == 1

    run(work())
    assert settled(adb), books(adb)


def test_a_call_whose_event_loop_is_closed_is_passed_over(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # of the task that is never finished
    adb, done, go_on = make(pool_max=1), list[str](), threading.Event()

    async def first() -> asyncio.Task[bool]:
        call = asyncio.ensure_future(adb.sync.in_thread(go_on.wait, 20))
        await asyncio.sleep(0.05)
        return call

    async def second() -> asyncio.Task[None]:
        call = asyncio.ensure_future(adb.sync.in_thread(done.append, "nobody awaits it"))
        await asyncio.sleep(0)
        return call

    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    call = one.run_until_complete(first())
    left = other.run_until_complete(second())
    other.close()
    go_on.set()
    assert one.run_until_complete(call)
    assert one.run_until_complete(adb.fetch_value("SELECT 1")) == 1
    one.close()
    assert done == []
    assert not left.done()
    del left
    gc.collect()
    assert eventually(lambda: settled(adb)), books(adb)


def test_a_transaction_goes_on_where_the_event_loop_of_its_last_call_was_closed_before_it_looked(make: Make) -> None:
    adb, ended, goes_on = make(pool_max=2), threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    block = adb.transaction()

    async def leave_calls() -> tuple[list[asyncio.Task[bool]], AsyncTransaction]:
        before = asyncio.ensure_future(adb.sync.in_thread(ended.wait, 20))
        await asyncio.sleep(0.05)
        tx = await block.__aenter__()
        within = asyncio.ensure_future(adb.sync.in_thread(goes_on.wait, 20))
        await asyncio.sleep(0.05)
        return [before, within], tx

    left, tx = loop.run_until_complete(leave_calls())
    gate = adb.sync._connected().workers.gate
    ended.set()
    assert eventually(lambda: gate._free == 1)  # the first call has ended, and the event loop was told
    time.sleep(0.05)
    loop.close()
    goes_on.set()

    async def go_on() -> None:
        assert await asyncio.wait_for(tx.fetch_value("SELECT 1"), 5) == 1
        await block.__aexit__(None, None, None)

    run(go_on())
    for call in left:
        assert not call.done()
        call._log_destroy_pending = False  # type: ignore[attr-defined]
    assert eventually(lambda: settled(adb)), books(adb)
