"""Coming back: only a session that is provably clean is lent again."""

import threading
import time
from collections.abc import Callable

import pytest

from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


def test_a_connection_in_a_transaction_is_closed(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    connection.in_transaction = True
    pool.release(connection)
    assert connection.closed
    assert pool.stats().total == 0


def test_a_broken_connection_is_closed(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    connection.broken = True
    pool.release(connection)
    assert connection.closed
    assert pool.stats().total == 0


def test_a_discarded_connection_is_closed_however_clean(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    pool.discard(connection)
    assert connection.closed
    assert pool.stats().total == 0


def test_a_clean_connection_is_not_reset(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    pool.release(connection)
    assert connection.resets == 0


def test_a_changed_session_is_reset_and_kept(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    connection.needs_reset = True
    pool.release(connection)
    assert connection.resets == 1
    assert pool.acquire() is connection


def test_a_session_that_cannot_be_reset_is_closed(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    connection.needs_reset = True
    connection.resettable = False
    pool.release(connection)
    assert connection.closed


@pytest.mark.parametrize("call", ["reset", "is_idle"])
def test_a_connection_that_raises_on_its_way_back_is_closed(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    pool = make_pool()
    connection = pool.acquire()
    connection.needs_reset = True

    def interrupted() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.release(connection)
    assert connection.closed
    assert pool.stats().total == 0


def test_who_waits_is_given_the_place_of_a_connection_that_is_closed(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=1, timeout=5)
    held = pool.acquire()
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 1)
        pool.discard(held)
    assert threads.results == server.living != [held]


def test_closing_a_broken_connection_that_hangs_keeps_nobody_waiting(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=1, timeout=5)
    held = pool.acquire()
    held.broken = True
    gate = threading.Event()
    held.closing = gate.wait  # type: ignore[assignment]
    with Threads() as threads:
        threads.start(pool.release, held)
        assert eventually(lambda: held.closed)
        started = time.monotonic()
        pool.release(pool.acquire())
        pool.stats()
        assert time.monotonic() - started < 0.2
        gate.set()
    assert threads.errors == []


def test_an_error_of_closing_is_nobodys(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = make_pool(name="orders")
    connection = pool.acquire()

    def fail() -> None:
        raise OSError("while closing")

    connection.closing = fail
    with caplog.at_level("DEBUG", "nexusql.pool"):
        pool.discard(connection)
    assert pool.stats().total == 0
    assert [record.getMessage() for record in caplog.records] == ["pool orders: closing a connection failed: OSError"]
