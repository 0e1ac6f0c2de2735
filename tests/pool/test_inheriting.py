"""What a forked child does with a pool, without the fork: tests/faults has that."""

from collections.abc import Callable

import pytest

from nexusql.errors import InterfaceError, NotConnectedError
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer

MakePool = Callable[..., Pool[ScriptedConnection]]


def test_connections_of_the_parent_are_neither_used_nor_closed(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool()
    borrowed, idle = pool.acquire(), pool.acquire()
    pool.release(idle)
    pool._leave_parent()
    assert pool.stats().total == 0
    assert pool.acquire() not in (borrowed, idle)
    borrowed.needs_reset = True
    for give_back in (pool.release, pool.discard, pool.abandon):
        give_back(borrowed)
    pool.suspect_all()
    pool.close()
    assert (borrowed.resets, borrowed.pings) == (0, [])
    assert server.living[:2] == [borrowed, idle]


def test_what_was_idle_in_the_parent_cannot_be_returned(make_pool: MakePool) -> None:
    pool = make_pool()
    idle = pool.acquire()
    pool.release(idle)
    pool._leave_parent()
    with pytest.raises(InterfaceError):
        pool.release(idle)


def test_a_lock_that_was_held_is_not_inherited(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    pool.acquire()
    lock = pool._ledger.lock
    with lock:
        pool._leave_parent()
        assert pool.stats().total == 0
        pool.release(pool.acquire())


def test_a_closed_pool_stays_closed(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.close()
    pool._leave_parent()
    with pytest.raises(NotConnectedError):
        pool.acquire()
