"""The end of a pool: at once for what is idle, later for what is borrowed, and with a clear word to who waits."""

import time
from collections.abc import Callable

import pytest

from nexusql.errors import NotConnectedError
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


def test_idle_connections_are_closed_at_once_and_borrowed_ones_when_they_come_back(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool()
    borrowed, idle = pool.acquire(), pool.acquire()
    pool.release(idle)
    pool.close()
    assert server.living == [borrowed]
    pool.release(borrowed)
    assert server.living == []
    assert pool.stats().total == 0


def test_closing_again_does_nothing(make_pool: MakePool) -> None:
    pool = make_pool(min_size=1)
    pool.fill()
    for _ in range(3):
        pool.close()
    assert pool.stats().total == 0


def test_a_closed_pool_lends_nothing(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=1)
    pool.release(pool.acquire())
    pool.close()
    for call in (pool.acquire, pool.fill, pool.check):
        with pytest.raises(NotConnectedError, match="the connection pool is closed"):
            call()
    assert len(server.attempts) == 1


def test_who_waits_is_told_at_once(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, timeout=30)
    held = pool.acquire()
    started = time.monotonic()
    with Threads() as threads:
        for _ in range(4):
            threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 4)
        pool.close()
    assert time.monotonic() - started < 2
    assert [type(error) for error in threads.errors] == [NotConnectedError] * 4
    assert pool.stats().waiting == 0
    pool.release(held)


def test_a_connection_that_is_being_opened_meanwhile_is_closed(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(timeout=5)
    server.delay = 0.3
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: server.attempts)
        pool.close()
    assert [type(error) for error in threads.errors] == [NotConnectedError]
    assert server.living == []
    assert pool.stats().total == 0


def test_it_waits_for_borrowed_connections_as_long_as_it_is_told(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    held = pool.acquire()
    with Threads() as threads:
        threads.start(pool.close, 5.0)
        assert eventually(lambda: pool._ledger.closed)
        time.sleep(0.1)
        assert threads.started[0].is_alive()
        pool.release(held)
    assert held.closed
    assert caplog.records == []


def test_it_waits_no_longer_than_it_is_told(make_pool: MakePool) -> None:
    pool = make_pool()
    held = pool.acquire()
    started = time.monotonic()
    pool.close(0.2)
    assert 0.15 < time.monotonic() - started < 0.5
    pool.release(held)


def test_it_waits_for_the_thread_that_refills_the_pool(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=1)
    connection = pool.acquire()
    server.delay = 0.3
    pool.discard(connection)
    pool.close()
    assert server.living == []
    assert len(server.attempts) == 2
    assert pool.stats().total == 0


def test_suspicion_after_the_end_is_harmless(make_pool: MakePool) -> None:
    pool = make_pool()
    held = pool.acquire()
    pool.close()
    held.broken = True
    pool.release(held)
    pool.suspect_all()
    assert held.closed
