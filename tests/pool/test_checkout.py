"""Borrowing and returning: what is reused, who is served first, and how long anybody waits."""

import random
import time
from collections import deque
from collections.abc import Callable

import pytest

from nexusql.errors import InterfaceError, PoolTimeout
from nexusql.ledger import Waiter
from nexusql.pool import Pool, PoolStats
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


def test_the_connection_used_last_is_used_next(make_pool: MakePool) -> None:
    pool = make_pool(max_size=3)
    first, second = pool.acquire(), pool.acquire()
    pool.release(first)
    pool.release(second)
    assert pool.acquire() is second
    assert pool.acquire() is first


def test_nothing_is_opened_before_it_is_needed_and_nothing_beyond_max_size(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=3)
    assert server.attempts == []

    def borrow_often() -> None:
        for _ in range(200):
            connection = pool.acquire(timeout=10)
            assert len(server.living) <= 3
            pool.release(connection)

    with Threads() as threads:
        for _ in range(16):
            threads.start(borrow_often)
    assert threads.errors == []
    assert len(server.connections) <= 3
    assert pool.stats().active == 0


def test_no_connection_has_two_borrowers_at_once(make_pool: MakePool) -> None:
    pool = make_pool(max_size=3)
    borrowed: set[int] = set()
    twice = []

    def borrow_often() -> None:
        for _ in range(300):
            connection = pool.acquire(timeout=10)
            if connection.number in borrowed:
                twice.append(connection)
            borrowed.add(connection.number)
            if random.random() < 0.05:
                time.sleep(0.001)
            borrowed.discard(connection.number)
            pool.release(connection)

    with Threads() as threads:
        for _ in range(8):
            threads.start(borrow_often)
    assert threads.errors == []
    assert twice == []


def test_fill_opens_min_size_connections(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=3, max_size=5)
    pool.fill()
    assert pool.stats() == PoolStats(total=3, active=0, idle=3, waiting=0, max_size=5)
    pool.fill()
    assert len(server.connections) == 3


def test_waiting_ends_in_time_with_statistics(make_pool: MakePool) -> None:
    pool = make_pool(max_size=2, timeout=0.3)
    pool.acquire()
    pool.acquire()
    started = time.monotonic()
    with pytest.raises(PoolTimeout, match=r"\(total=2, active=2, idle=0, waiting=1\)"):
        pool.acquire()
    assert 0.25 < time.monotonic() - started < 0.5
    assert pool.stats().waiting == 0


def test_a_call_may_set_its_own_time(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, timeout=30)
    connection = pool.acquire()
    started = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0.05)
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)
    assert time.monotonic() - started < 0.4
    pool.release(connection)
    assert pool.acquire(timeout=0) is connection


def test_waiters_are_served_in_the_order_they_came(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()
    served: list[int] = []

    def wait_for_turn(number: int) -> None:
        connection = pool.acquire(timeout=10)
        served.append(number)
        pool.release(connection)

    with Threads() as threads:
        for number in range(12):
            threads.start(wait_for_turn, number)
            assert eventually(lambda: pool.stats().waiting == len(threads.started))
        pool.release(held)
    assert threads.errors == []
    assert served == list(range(12))


def test_a_returned_connection_goes_to_who_waits_and_to_nobody_who_comes_later(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()
    with Threads() as threads:
        threads.start(pool.acquire, 10)
        assert eventually(lambda: pool.stats().waiting == 1)
        pool.release(held)
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0.01)
    assert threads.results == [held]


def test_who_times_out_swallows_no_connection(make_pool: MakePool) -> None:
    """Returns and time-outs meet within fractions of a millisecond, many times over."""
    pool = make_pool(max_size=1)
    outcomes: deque[bool] = deque()

    def try_shortly() -> None:
        for _ in range(60):
            try:
                connection = pool.acquire(timeout=random.uniform(0.0005, 0.003))
            except PoolTimeout:
                outcomes.append(False)
                continue
            outcomes.append(True)
            time.sleep(random.uniform(0, 0.002))
            pool.release(connection)

    with Threads() as threads:
        for _ in range(6):
            threads.start(try_shortly)
    assert threads.errors == []
    assert {True, False} <= set(outcomes)
    assert pool.stats() == PoolStats(total=1, active=0, idle=1, waiting=0, max_size=1)


@pytest.mark.parametrize("served", ["", "with a connection", "with a place"])
def test_who_is_interrupted_while_waiting_leaves_nothing_behind(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, served: str
) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()

    def interrupted(waiter: Waiter[ScriptedConnection], seconds: float) -> None:
        if served == "with a connection":
            pool.release(held)
        elif served:
            pool.discard(held)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Waiter, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.acquire()
    assert pool.stats().waiting == 0
    assert pool.stats().active == (0 if served else 1)
    if not served:
        pool.release(held)
    connection = pool.acquire()
    assert (connection is held) is (served != "with a place")


def test_one_more_than_max_waiting_fails_at_once(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, max_waiting=2, timeout=10)
    held = pool.acquire()
    with Threads() as threads:
        for _ in range(2):
            threads.start(lambda: pool.release(pool.acquire()))
        assert eventually(lambda: pool.stats().waiting == 2)
        started = time.monotonic()
        with pytest.raises(PoolTimeout, match=r"2 callers wait .* \(total=1, active=1, idle=0, waiting=2\)"):
            pool.acquire()
        assert time.monotonic() - started < 0.1
        pool.release(held)
    assert threads.errors == []


def test_with_max_waiting_0_what_is_free_is_still_given(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1, max_waiting=0)
    connection = pool.acquire()
    with pytest.raises(PoolTimeout):
        pool.acquire()
    pool.release(connection)
    assert pool.acquire() is connection


def test_the_usual_way_out_and_back_takes_no_lock(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.release(pool.acquire())
    with pool._ledger.lock, Threads() as threads:
        threads.start(lambda: pool.release(pool.acquire()))
    assert threads.errors == []


def test_a_connection_returned_twice_is_an_error_and_changes_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    pool.release(connection)
    with pytest.raises(InterfaceError, match="was not borrowed"):
        pool.release(connection)
    with pytest.raises(InterfaceError, match="was not borrowed"):
        pool.discard(connection)
    assert pool.stats().idle == 1
    assert not connection.closed


def test_a_connection_of_another_pool_is_an_error(make_pool: MakePool) -> None:
    connection = make_pool().acquire()
    with pytest.raises(InterfaceError):
        make_pool().release(connection)
    assert not connection.closed


class Interrupted(deque):  # type: ignore[type-arg]
    """The idle connections; something else happens just before one is put among them."""

    def __init__(self, event: Callable[[], object]) -> None:
        super().__init__()
        self.event = event

    def append(self, lease: object) -> None:
        self.event()
        super().append(lease)

    def copy(self) -> "deque[object]":  # type: ignore[override]
        return deque(self)


def test_a_connection_put_back_while_somebody_joins_the_line_reaches_him_at_once(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()
    with Threads() as threads:

        def join_the_line() -> None:
            threads.start(pool.acquire, 5)
            assert eventually(lambda: pool.stats().waiting == 1)

        pool._ledger.idle = Interrupted(join_the_line)
        pool.release(held)
        assert pool.stats().waiting == 0
    assert threads.results == [held]


def test_a_returned_connection_is_never_within_reach_of_others_while_somebody_waits(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()
    laid_down: list[None] = []
    with Threads() as threads:
        threads.start(pool.acquire, 5)
        assert eventually(lambda: pool.stats().waiting == 1)
        pool._ledger.idle = Interrupted(lambda: laid_down.append(None))
        pool.release(held)
    assert threads.results == [held]
    assert laid_down == []


def test_a_connection_put_back_while_the_pool_is_closed_is_closed(make_pool: MakePool) -> None:
    pool = make_pool(max_size=1)
    held = pool.acquire()
    pool._ledger.idle = Interrupted(pool.close)
    pool.release(held)
    assert held.closed
    assert pool.stats().total == 0
