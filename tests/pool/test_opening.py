"""Growing: connections are opened outside the lock, and with measure when the server refuses."""

import threading
import time
import traceback
from collections.abc import Callable

import pytest

import nexusql.ledger
from nexusql.errors import ConfigError, OperationalError, PoolTimeout
from nexusql.ledger import LONGEST_PAUSE
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


def refusal(sqlstate: str | None = None) -> OperationalError:
    error = OperationalError("the server\nrefuses")
    error.sqlstate = sqlstate
    return error


def test_while_one_connects_others_borrow_and_return(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(timeout=5)
    pool.release(pool.acquire())
    held = pool.acquire()
    server.delay = 0.5
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: len(server.attempts) == 2)
        started = time.monotonic()
        pool.release(held)
        assert pool.acquire() is held
        pool.stats()
        assert time.monotonic() - started < 0.1
    assert len(threads.results) == 1


def test_waiting_and_connecting_share_one_time(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1, timeout=0.6)
    held = pool.acquire()
    started = time.monotonic()
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 1)
        time.sleep(0.3)
        server.delay = 30.0
        pool.discard(held)
    assert 0.55 < time.monotonic() - started < 0.9
    assert [type(error) for error in threads.errors] == [PoolTimeout]
    assert 0.2 < server.timeouts[-1] < 0.35


def test_testing_and_connecting_share_one_time(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1, timeout=0.6)
    connection = pool.acquire()
    pool.release(connection)
    pool.suspect_all()
    connection.silent = True
    server.delay = 30.0
    started = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.acquire()
    assert time.monotonic() - started < 0.8
    assert connection.pings == [pytest.approx(0.3, abs=0.05)]
    assert server.timeouts[-1] == pytest.approx(0.3, abs=0.05)


def test_a_driver_is_never_given_no_time_at_all(make_pool: MakePool, server: ScriptedServer) -> None:
    """Where the driver would take 0 for: without end."""
    pool = make_pool(max_size=1)
    connection = pool.acquire()
    pool.release(connection)
    connection.dead = True
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)
    assert len(server.attempts) == 1
    assert pool.stats().total == 0


def test_while_the_server_refuses_returned_connections_are_waited_for(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=5, timeout=5)
    held = pool.acquire()
    server.trouble = refusal("53300")
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 1)
        pool.release(held)
    assert threads.results == [held]


def test_a_server_that_allows_fewer_connections_serves_all_with_those(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=20, timeout=10)
    server.limit = 3

    def borrow_often() -> None:
        for _ in range(25):
            connection = pool.acquire()
            time.sleep(0.002)
            pool.release(connection)

    started = time.monotonic()
    with Threads() as threads:
        for _ in range(20):
            threads.start(borrow_often)
    assert threads.errors == []
    assert len(server.living) == 3
    # 20 callers at once, then one attempt after each pause of at least 0.05 s.
    assert len(server.attempts) <= 20 + 3 + (time.monotonic() - started) / 0.05
    assert pool.stats().active == 0


def test_attempts_to_connect_follow_one_schedule_however_many_wait(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=10, timeout=2.0)
    server.trouble = refusal()
    with Threads() as threads:
        for _ in range(30):
            threads.start(pool.acquire)
    assert [type(error) for error in threads.errors] == [PoolTimeout] * 30
    # Ten at most at once, and then pauses of 0.1, 0.2, 0.4, 0.8 s, halved at most.
    assert 3 <= len(server.attempts) <= 10 + 6
    assert pool.stats().total == 0


def test_the_time_out_tells_of_the_last_attempt_to_connect(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(timeout=0.3)
    server.trouble = refusal()
    started = time.monotonic()
    with pytest.raises(
        PoolTimeout,
        match=r"^no connection became free in 0\.3 s \(total=0, active=0, idle=0, waiting=1\); "
        r"the last attempt to connect failed: the server refuses$",
    ) as caught:
        pool.acquire()
    assert time.monotonic() - started == pytest.approx(0.3, abs=0.15)
    assert caught.value.__cause__ is server.trouble


def test_an_attempt_that_came_too_late_does_not_hide_the_error_before(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(timeout=0.5)
    server.trouble = refusal()
    slow = threading.Timer(0.02, setattr, (server, "delay", 30.0))
    slow.start()
    with pytest.raises(PoolTimeout, match=r"the last attempt to connect failed: the server refuses$"):
        pool.acquire()
    slow.join()
    assert len(server.attempts) == 2


def test_each_connection_of_a_pool_has_its_own_time_to_open(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=4, max_size=4, timeout=0.4)
    server.delay = 0.15
    pool.fill()
    assert pool.stats().idle == 4
    for connection in server.living:
        connection.dead = True
    pool.check()
    assert pool.stats().idle == 4


def test_what_a_failed_attempt_leaves_behind_holds_no_frames(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(timeout=0.3)
    server.trouble = refusal()
    try:
        raise ValueError("of the driver")
    except ValueError as error:
        server.trouble.__cause__ = error
    with pytest.raises(PoolTimeout) as caught:
        pool.acquire()
    assert caught.value.__cause__ is not None
    assert traceback.extract_tb(caught.value.__cause__.__traceback__) == []
    assert traceback.extract_tb(server.trouble.__cause__.__traceback__) == []


@pytest.mark.parametrize("error", [ConfigError("no such option"), refusal("28P01"), refusal("3D000"), TypeError("bug")])
def test_trouble_that_cannot_pass_is_raised_at_once(
    make_pool: MakePool, server: ScriptedServer, error: Exception
) -> None:
    pool = make_pool(timeout=30)
    server.trouble = error
    started = time.monotonic()
    with pytest.raises(type(error)) as caught:
        pool.acquire()
    assert caught.value is error
    assert time.monotonic() - started < 0.5
    assert pool.stats().total == 0


def test_trouble_that_cannot_pass_is_waited_out_while_there_are_connections(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(timeout=5)
    held = pool.acquire()
    server.trouble = refusal("28P01")
    with Threads() as threads:
        threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 1)
        pool.release(held)
    assert threads.results == [held]


@pytest.mark.parametrize("error", [refusal(), ConnectionRefusedError("refused")])
def test_trouble_that_may_pass_is_waited_out(make_pool: MakePool, server: ScriptedServer, error: Exception) -> None:
    pool = make_pool(timeout=10)
    server.trouble = error
    healer = threading.Timer(0.6, setattr, (server, "trouble", None))
    healer.start()
    started = time.monotonic()
    assert pool.acquire() in server.living
    assert 0.5 < time.monotonic() - started < 0.6 + LONGEST_PAUSE
    healer.join()


def test_after_an_outage_all_who_wait_are_served_soon(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=8, timeout=20)
    server.trouble = refusal()
    with Threads() as threads:
        for _ in range(8):
            threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 8)
        time.sleep(1.0)
        server.trouble = None
        started = time.monotonic()
    assert threads.errors == []
    assert len(set(threads.results)) == 8
    assert time.monotonic() - started < LONGEST_PAUSE + 1.0


def test_attempts_that_fail_together_count_once(make_pool: MakePool, server: ScriptedServer) -> None:
    """So that the next one comes after the first pause, of a tenth of a second, and not after a long one."""
    pool = make_pool(max_size=8, timeout=10)
    server.trouble = refusal()
    server.delay = 0.2
    with Threads() as threads:
        for _ in range(8):
            threads.start(pool.acquire)
        assert eventually(lambda: pool.stats().waiting == 8)
        assert len(server.attempts) == 8
        server.trouble = None
        server.delay = 0.0
        started = time.monotonic()
    assert threads.errors == []
    assert time.monotonic() - started < 0.4


def test_after_an_outage_connections_are_opened_side_by_side_again(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=6, timeout=10)
    server.trouble = refusal()
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0.05)
    server.trouble = None
    pool.release(pool.acquire())
    server.delay = 0.3
    started = time.monotonic()
    with Threads() as threads:
        for _ in range(6):
            threads.start(pool.acquire)
    assert threads.errors == []
    assert time.monotonic() - started < 0.9


def test_who_failed_to_connect_keeps_his_turn(
    make_pool: MakePool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nexusql.ledger, "FIRST_PAUSE", 10.0)
    monkeypatch.setattr(nexusql.ledger, "LONGEST_PAUSE", 10.0)
    pool = make_pool(max_size=2, timeout=10)
    held = pool.acquire()
    order: list[str] = []

    def borrow(name: str) -> None:
        connection = pool.acquire()
        order.append(name)
        pool.release(connection)

    server.trouble = refusal()
    server.delay = 0.2
    with Threads() as threads:
        threads.start(borrow, "first")
        assert eventually(lambda: len(server.attempts) == 2)
        threads.start(borrow, "second")
        assert eventually(lambda: pool.stats().waiting == 1)
        assert eventually(lambda: pool.stats().waiting == 2)
        pool.release(held)
    assert threads.errors == []
    assert order == ["first", "second"]


def test_fill_raises_the_first_error_and_keeps_what_it_opened(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=3, max_size=3, timeout=5)
    server.limit = 2
    with pytest.raises(OperationalError, match="too many connections"):
        pool.fill()
    assert pool.stats().idle == 2
    assert len(server.attempts) == 3


def test_a_pool_without_a_minimum_shows_that_the_server_is_there(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=0)
    pool.fill()
    assert pool.stats().idle == 1
    pool.fill()
    assert len(server.attempts) == 1
    server.connections[0].dead = True
    server.trouble = refusal()
    for call in (pool.check, pool.fill):
        with pytest.raises(OperationalError, match="refuses"):
            call()


def test_an_interrupted_attempt_frees_its_place(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_connect", lambda timeout: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pool.acquire()
    assert pool.stats().total == 0
    assert pool.acquire() in server.living


def test_the_pool_refills_to_min_size_by_itself(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=3, max_size=5)
    pool.fill()
    for connection in server.living:
        connection.dead = True
    assert pool.acquire() not in server.connections[:3]
    assert eventually(lambda: pool.stats().total == 3)
    assert all(connection.closed for connection in server.connections[:3])
    assert eventually(lambda: not any("nexusql-pool" in thread.name for thread in threading.enumerate()))


def test_refilling_stops_at_the_first_error(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=3, max_size=3)
    pool.fill()
    server.trouble = refusal()
    pool.discard(pool.acquire())
    assert eventually(lambda: len(server.attempts) == 4)
    assert eventually(lambda: not any("nexusql-pool" in thread.name for thread in threading.enumerate()))
    assert pool.stats().total == 2
    assert len(server.attempts) == 4


def test_refilling_needs_no_thread_where_none_can_be_started(
    make_pool: MakePool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(min_size=1)
    connection = pool.acquire()

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool.discard(connection)
    assert pool.stats().total == 0
    pool.release(pool.acquire())
    assert pool.stats().idle == 1


def test_the_refilling_thread_sees_no_variable_of_the_context_of_who_caused_it(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")
    seen = []
    pool = make_pool(min_size=1)
    connection = pool.acquire()
    variable.set("a transaction")

    def look(timeout: float) -> ScriptedConnection:
        seen.append(variable.get())
        return server.open(timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_connect", look)
        pool.discard(connection)
        assert eventually(lambda: pool.stats().idle == 1)
    assert seen == ["nothing"]
