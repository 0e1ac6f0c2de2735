"""What is lent is alive: looked at each time, pinged after idling, replaced when dead, and not kept for ever."""

import time
from collections.abc import Callable

import pytest

import nexusql.ledger
import nexusql.pool
from nexusql.errors import OperationalError, PoolTimeout
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]


class Clock:
    """The monotonic clock, moved forward."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.offset


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The pool's clock, to be moved."""
    clock = Clock()
    monkeypatch.setattr(nexusql.pool, "monotonic", clock)
    monkeypatch.setattr(nexusql.ledger, "monotonic", clock)
    return clock


def test_a_connection_used_a_moment_ago_is_not_pinged(make_pool: MakePool) -> None:
    pool = make_pool()
    for _ in range(10):
        connection = pool.acquire()
        pool.release(connection)
    assert connection.pings == []


def test_a_connection_that_has_idled_is_pinged_once(make_pool: MakePool, clock: Clock) -> None:
    pool = make_pool()
    connection = pool.acquire()
    clock.offset += 60
    pool.release(connection)
    clock.offset += 0.6
    assert pool.acquire() is connection
    assert len(connection.pings) == 1
    pool.release(connection)
    assert pool.acquire() is connection
    assert len(connection.pings) == 1


def test_dead_connections_are_replaced_without_an_error(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=4, max_size=4)
    pool.fill()
    for connection in server.living:
        connection.dead = True
    for _ in range(100):
        connection = pool.acquire()
        assert not connection.dead
        pool.release(connection)
    assert all(connection.closed for connection in server.connections[:4])
    assert eventually(lambda: pool.stats().idle == 4)
    assert len(server.living) == 4


def test_a_connection_that_is_silent_is_replaced_in_time(
    make_pool: MakePool, server: ScriptedServer, clock: Clock
) -> None:
    pool = make_pool(timeout=30)
    connection = pool.acquire()
    pool.release(connection)
    connection.silent = True
    clock.offset += 1
    started = time.monotonic()
    assert pool.acquire() is not connection
    assert time.monotonic() - started < 2.5
    assert connection.closed


def test_after_one_silent_connection_the_caller_opens_a_new_one_and_tests_no_other(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(min_size=3, max_size=3, timeout=2)
    pool.fill()
    pool.suspect_all()
    for connection in server.living:
        connection.silent = True
    pool.acquire()
    assert sum(len(connection.pings) for connection in server.connections) == 1


def test_after_a_disconnect_idle_connections_are_pinged_before_use(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=3)
    broken, idle, borrowed = pool.acquire(), pool.acquire(), pool.acquire()
    pool.release(idle)
    broken.broken = True
    pool.release(broken)
    assert pool.acquire() is idle
    assert len(idle.pings) == 1
    pool.release(borrowed)
    assert pool.acquire() is borrowed
    assert len(borrowed.pings) == 1
    assert [connection.closed for connection in (broken, idle, borrowed)] == [True, False, False]


def test_a_suspect_that_answered_is_trusted_again(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    pool.release(connection)
    pool.suspect_all()
    for _ in range(3):
        assert pool.acquire() is connection
        pool.release(connection)
    assert len(connection.pings) == 1


def test_after_a_disconnect_idle_connections_that_look_dead_are_closed_at_once(
    make_pool: MakePool, server: ScriptedServer
) -> None:
    pool = make_pool(max_size=3)
    connections = [pool.acquire() for _ in range(3)]
    pool.release(connections[0])
    pool.release(connections[1])
    connections[0].dead = True
    connections[2].broken = True
    pool.discard(connections[2])
    assert [connection.closed for connection in connections] == [True, False, True]
    assert pool.stats().total == 1


def test_a_connection_without_a_server_is_never_looked_at(make_pool: MakePool) -> None:
    pool = make_pool(can_die=False)
    connection = pool.acquire()
    pool.release(connection)
    connection.dead = True
    assert pool.acquire() is connection


def test_an_error_while_testing_closes_the_connection(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool()
    connection = pool.acquire()
    pool.release(connection)
    pool.suspect_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "ping", lambda timeout: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pool.acquire()
    assert connection.closed
    assert pool.stats().total == 0


def test_check_replaces_the_dead_and_cuts_nobody_off(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=4, max_size=5)
    pool.fill()
    borrowed, (dead, silent, well) = pool.acquire(), server.living[:3]
    dead.dead = silent.silent = borrowed.dead = True
    pool.check()
    assert [connection.closed for connection in (borrowed, dead, silent, well)] == [False, True, True, False]
    assert (pool.stats().idle, pool.stats().active) == (3, 1)
    pool.release(borrowed)


def test_check_raises_when_the_server_is_not_there(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=1, timeout=5)
    pool.fill()
    server.connections[0].dead = True
    server.trouble = OperationalError("refused")
    started = time.monotonic()
    with pytest.raises(OperationalError, match="refused"):
        pool.check()
    assert time.monotonic() - started < 1
    server.trouble = None
    pool.check()
    assert pool.stats().idle == 1


def test_check_while_all_are_borrowed_changes_nothing(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(min_size=1, max_size=1)
    held = pool.acquire()
    pool.check()
    assert pool.stats().total == 1
    assert not held.closed


def test_check_hands_what_it_has_tested_to_who_waits(make_pool: MakePool, server: ScriptedServer) -> None:
    pool = make_pool(max_size=1, timeout=5)
    pool.release(pool.acquire())
    connection = server.connections[0]
    with Threads() as threads, pytest.MonkeyPatch.context() as patch:

        def ping(timeout: float) -> bool:
            threads.start(pool.acquire)
            assert eventually(lambda: pool.stats().waiting == 1)
            return True

        patch.setattr(connection, "ping", ping)
        pool.check()
    assert threads.results == [connection]


def test_a_connection_too_old_is_closed_when_it_comes_back(
    make_pool: MakePool, server: ScriptedServer, clock: Clock
) -> None:
    pool = make_pool(max_lifetime=100)
    connection = pool.acquire()
    clock.offset += 80
    pool.release(connection)
    connection = pool.acquire()
    assert server.living == [connection]
    clock.offset += 21
    pool.release(connection)
    assert server.living == []
    assert pool.stats().total == 0


def test_a_connection_too_old_is_replaced_before_use(make_pool: MakePool, server: ScriptedServer, clock: Clock) -> None:
    pool = make_pool(max_lifetime=100, idle_timeout=float("inf"))
    connection = pool.acquire()
    pool.release(connection)
    clock.offset += 101
    assert pool.acquire() is not connection
    assert connection.closed


def test_connections_opened_together_do_not_end_together(make_pool: MakePool, clock: Clock) -> None:
    lifetime = 1000.0
    pool = make_pool(min_size=50, max_size=50, max_lifetime=lifetime, timeout=5)
    pool.fill()
    born = clock()
    ends = sorted(lease.expires - born for lease in pool._ledger.idle)
    assert 0.9 * lifetime - 1 <= ends[0]
    assert ends[-1] <= lifetime
    assert ends[-1] - ends[0] >= 0.025 * lifetime
    # No moment at which more than a fifth of them would have to be opened again.
    assert all(sum(end <= other < end + 0.01 * lifetime for other in ends) <= 15 for end in ends)


def test_a_pool_without_a_lifetime_keeps_its_connections(make_pool: MakePool, clock: Clock) -> None:
    pool = make_pool(max_lifetime=float("inf"), idle_timeout=float("inf"))
    connection = pool.acquire()
    for _ in range(3):
        pool.release(connection)
        clock.offset += 1e7
        assert pool.acquire() is connection


def test_connections_nobody_needs_are_closed_down_to_min_size(
    make_pool: MakePool, server: ScriptedServer, clock: Clock
) -> None:
    pool = make_pool(min_size=2, max_size=6, idle_timeout=60, timeout=5)
    many = [pool.acquire() for _ in range(6)]
    for connection in many:
        pool.release(connection)
    for _ in range(8):
        clock.offset += 10
        pool.release(pool.acquire())
    assert pool.stats().total == 2
    assert not many[-1].closed
    assert len(server.living) == 2


def test_idle_connections_too_old_are_closed_when_others_come_back(
    make_pool: MakePool, server: ScriptedServer, clock: Clock
) -> None:
    pool = make_pool(max_size=3, max_lifetime=100, idle_timeout=float("inf"))
    old = [pool.acquire() for _ in range(2)]
    clock.offset += 50
    young = pool.acquire()
    for connection in old:
        pool.release(connection)
    clock.offset += 51
    pool.release(young)
    assert [connection.closed for connection in (*old, young)] == [True, True, False]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_jump_of_the_wall_clock_evicts_nothing_and_spares_nothing(
    make_pool: MakePool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    pool = make_pool(min_size=2, max_size=2, max_lifetime=600, idle_timeout=300, timeout=0.2)
    pool.fill()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    for _ in range(20):
        pool.release(pool.acquire())
    held = [pool.acquire(), pool.acquire()]
    started = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.acquire()
    assert time.monotonic() - started == pytest.approx(0.2, abs=0.15)
    for connection in held:
        pool.release(connection)
    assert len(server.connections) == 2
    assert all(connection.pings == [] and not connection.closed for connection in server.connections)


def test_the_end_of_a_lifetime_is_met_whatever_the_wall_clock_says(
    make_pool: MakePool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(max_lifetime=600)
    connection = pool.acquire()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    clock.offset += 601
    pool.release(connection)
    assert connection.closed


# The wrong server


def test_after_a_change_of_servers_no_connection_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool(max_size=4)
    first, idle, late, borrowed = (pool.acquire() for _ in range(4))
    pool.release(idle)
    for connection in (first, late):
        connection.misplaced = connection.needs_reset = True
        connection.resettable = False
    pool.release(first)
    assert [connection.closed for connection in (first, idle, late, borrowed)] == [True, True, False, False]
    replaced = pool.acquire()
    assert replaced not in (first, idle, late, borrowed)
    pool.release(replaced)
    pool.release(late)  # it says no more than the first has said: what was opened since then stays
    pool.release(borrowed)
    assert [connection.closed for connection in (late, borrowed, replaced)] == [True, True, False]
    assert pool.acquire() is replaced
    assert pool.stats().total == 1
