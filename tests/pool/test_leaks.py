"""Who forgot a connection: the time-out and the end of the pool say so, with the stack that borrowed it."""

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nexusql.errors import PoolTimeout
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


def forgetful(pool: Pool[ScriptedConnection]) -> ScriptedConnection:
    return pool.acquire(remember=True)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_time_out_names_who_holds_a_connection_and_for_how_long(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, timeout=0.2)
    forgetful(pool)
    with pytest.raises(PoolTimeout) as caught:
        pool.acquire()
    message = str(caught.value)
    place = f"{__file__}:{line_of('return pool.acquire(remember=True)')} forgetful"
    assert re.search(rf"held for longest: 0\.\d s by {re.escape(place)} < {re.escape(__file__)}:\d+ test_", message)
    assert "nexusql/pool.py" not in message


def test_a_stack_is_remembered_only_where_that_is_asked_for(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, timeout=0.1)
    pool.release(forgetful(pool))
    pool.acquire()
    with pytest.raises(PoolTimeout, match=r"held for longest: 0\.\d s by a single statement$"):
        pool.acquire()


def test_only_the_longest_held_are_listed(make_pool: MakePool) -> None:
    pool = make_pool(max_size=5, timeout=0.1)
    oldest = pool.acquire()
    time.sleep(0.06)
    for _ in range(4):
        pool.acquire()
    with pytest.raises(PoolTimeout) as caught:
        pool.acquire()
    assert str(caught.value).endswith("; and 2 more")
    assert str(caught.value).count("by a single statement") == 3
    assert oldest in pool._ledger.leased


def test_the_end_of_the_pool_logs_what_was_not_returned(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = make_pool(name="orders")
    held = forgetful(pool)
    pool.release(pool.acquire())
    with caplog.at_level(logging.WARNING, "nexusql.pool"):
        pool.close()
        pool.close()
    (record,) = caplog.records
    assert record.getMessage().startswith("pool orders is closed; 1 connections were not returned: 0.")
    assert f"{__file__}:{line_of('return pool.acquire(remember=True)')} forgetful" in record.getMessage()
    pool.release(held)


def test_a_remembered_stack_keeps_no_value_alive(make_pool: MakePool) -> None:
    import gc
    import weakref

    class Value:
        pass

    def borrow() -> tuple[ScriptedConnection, "weakref.ref[Value]"]:
        value = Value()
        return forgetful(pool), weakref.ref(value)

    pool = make_pool()
    held, reference = borrow()
    gc.collect()
    assert reference() is None
    pool.release(held)


def test_what_a_finaliser_abandons_is_closed(make_pool: MakePool) -> None:
    pool = make_pool()
    held = pool.acquire()
    pool.abandon(held)
    assert held.closed
    assert pool.stats().total == 0


def test_a_finaliser_that_runs_while_the_pool_is_locked_does_not_wait(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    """The garbage collector may run it in the very thread that holds the lock."""
    pool = make_pool()
    held = pool.acquire()
    other = pool.acquire()
    with pool._ledger.lock:
        pool.abandon(held)
    assert held in server.living
    pool.release(other)
    assert server.living == [other]
    assert pool.stats().total == 1


def test_what_is_abandoned_after_it_was_returned_is_let_alone(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool()
    held = pool.acquire()
    pool.release(held)
    pool.abandon(held)
    pool.abandon(held)
    assert pool.acquire() is held


def test_who_waits_is_served_by_what_a_finaliser_abandons(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1, timeout=5)
    held = pool.acquire()
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 1)
        with pool._ledger.lock:
            pool.abandon(held)
    assert threads.results == server.living
    assert held.closed


def test_what_was_abandoned_is_closed_before_the_next_caller_waits(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1, timeout=5)
    held = pool.acquire()
    with pool._ledger.lock:
        pool.abandon(held)
    started = time.monotonic()
    assert pool.acquire() is not held
    assert time.monotonic() - started < 0.5
