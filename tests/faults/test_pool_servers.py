"""Servers that die, freeze and turn connections away, each a throw-away one."""

import os
import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from nexusql.connection import Connection
from nexusql.errors import ConnectionLost, OperationalError, PoolTimeout
from nexusql.ledger import LONGEST_PAUSE
from nexusql.pool import Pool
from pooling import Threads, borrow, eventually, real_pool, run, select_tags, session_id
from proxy import FaultProxy
from throwaway import SERVERS, Server

WORKERS = 8


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that may be killed."""
    with SERVERS[request.param](max_connections=40) as server:
        yield server


def as_user(server: Server, user: str) -> str:
    """The server's URL with another user."""
    parts = urlsplit(server.url)
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{server.port}"))


def test_after_a_crash_and_a_restart_the_pool_is_full_again_soon(server: Server) -> None:
    """With errors only while the server is away, and with few attempts to connect meanwhile."""
    with FaultProxy.before(server.url) as proxy:
        pool = real_pool(proxy.url(server.url), min_size=4, max_size=WORKERS, timeout=1.0)
        pool.fill()
        crashed = restarted = stopped = 0.0
        failures: list[float] = []

        def work(number: int) -> int:
            done = 0
            while not stopped:
                try:
                    assert select_tags(pool, [f"{number} {done}"]) == [f"{number} {done}"]
                    done += 1
                except (ConnectionLost, PoolTimeout):
                    failures.append(time.monotonic())
                time.sleep(0.005)
            return done

        with Threads() as threads:
            for number in range(WORKERS):
                threads.start(work, number)
            time.sleep(0.5)
            before = proxy.accepted
            crashed = time.monotonic()
            server.kill()
            time.sleep(2.0)
            attempts = proxy.accepted - before
            server.start()
            restarted = time.monotonic()
            assert eventually(lambda: pool.stats().total >= 4, LONGEST_PAUSE + 1.0)
            time.sleep(1.0)
            stopped = time.monotonic()
        assert threads.errors == []
        assert min(threads.results) > 0
        assert failures
        assert crashed <= min(failures)
        assert max(failures) <= restarted + LONGEST_PAUSE + 0.5
        # At the crash each worker may try once; then there are pauses of 0.05 to 2 s between single attempts.
        assert attempts <= 2 * WORKERS + 8
        assert eventually(lambda: pool.stats().active == 0)
        pool.close(5)


def test_a_frozen_server_costs_the_time_that_was_given_and_no_more(server: Server) -> None:
    pool = real_pool(server.url, min_size=0, max_size=3, timeout=1.0)
    tags = [f"{number}" for number in range(10)]
    for connection in borrow(pool, 3):
        pool.release(connection)
    pool.suspect_all()
    server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(PoolTimeout):
            pool.acquire()
        assert time.monotonic() - started == pytest.approx(1.0, abs=0.5)
    finally:
        server.thaw()
    assert select_tags(pool, tags) == tags
    assert pool.stats().active == 0
    pool.close(5)


def test_a_frozen_session_is_replaced_and_hinders_nobody(server: Server) -> None:
    if server.kind != "postgresql":
        pytest.skip("a session is no process of its own")
    pool = real_pool(server.url, min_size=0, max_size=3, timeout=5.0)
    frozen, other = borrow(pool, 2)
    pid = session_id("postgresql", frozen)
    pool.release(frozen)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.6)
        with Threads() as threads:
            started = time.monotonic()
            threads.start(pool.acquire)
            for number in range(20):
                assert run(other, f"SELECT {number} AS n") == [{"n": number}]
            assert time.monotonic() - started < 1.0
        assert time.monotonic() - started < 3.0
        (replaced,) = threads.results
        assert frozen.broken
        assert replaced not in (frozen, other)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert run(replaced, "SELECT 'well' AS state") == [{"state": "well"}]
    pool.release(replaced)
    pool.release(other)
    tags = [f"{number}" for number in range(10)]
    assert select_tags(pool, tags) == tags
    pool.close(5)


@pytest.fixture
def three_at_most(server: Server) -> Iterator[str]:
    """A URL whose user may have 3 connections."""
    with server.cursor() as cursor:
        if server.kind == "postgresql":
            cursor.execute("CREATE ROLE three LOGIN CONNECTION LIMIT 3")
        else:
            cursor.execute("CREATE USER three@'127.0.0.1' WITH MAX_USER_CONNECTIONS 3")
    yield as_user(server, "three").replace("/test", "/information_schema")
    with server.cursor() as cursor:
        cursor.execute("DROP ROLE three" if server.kind == "postgresql" else "DROP USER three@'127.0.0.1'")


def serve_more_than_allowed(pool: Pool[Connection], allowed: int) -> None:
    """Have 10 borrowers served by as many connections as the server allows."""
    started = time.monotonic()
    tags = [str(number) for number in range(40)]
    with Threads() as threads:
        for _ in range(10):
            threads.start(lambda: select_tags(pool, tags) == tags)
    assert threads.errors == []
    assert threads.results == [True] * 10
    assert pool.stats().total <= allowed
    assert pool.stats().active == 0
    assert time.monotonic() - started < 10


def test_where_a_role_may_have_three_connections_all_are_served_by_three(server: Server, three_at_most: str) -> None:
    with FaultProxy.before(three_at_most) as proxy:
        pool = real_pool(proxy.url(three_at_most), min_size=0, max_size=10, timeout=10)
        held = borrow(pool, 3)
        with pytest.raises(
            PoolTimeout, match=r"\(total=3, active=3, idle=0, waiting=1\); the last attempt .* failed"
        ) as caught:
            pool.acquire(timeout=1.0)
        assert isinstance(caught.value.__cause__, OperationalError)
        assert caught.value.__cause__.code in ("53300", 1226, 1203)
        assert 1 <= proxy.accepted - 3 <= 12  # no busy loop: a pause of at least 0.05 s, doubled
        for connection in held:
            pool.release(connection)
        serve_more_than_allowed(pool, 3)
        pool.close(5)


def test_where_the_server_is_full_all_are_served_by_what_there_is(server: Server) -> None:
    """PostgreSQL 53300, MySQL 1040: other programs have taken the rest."""
    with server.cursor() as cursor:
        if server.kind == "postgresql":
            cursor.execute("CREATE ROLE plain LOGIN")
            free = 40 - 3 - 1  # without those kept for superusers, and ours
        else:
            cursor.execute("CREATE USER plain@'127.0.0.1'")
            free = 40 - 1
        url = as_user(server, "plain").replace("/test", "/information_schema")
        others = real_pool(url, min_size=free - 2, max_size=free - 2)
        others.fill()
        pool = real_pool(url, min_size=0, max_size=10, timeout=10)
        held = borrow(pool, 2)
        with pytest.raises(PoolTimeout, match=r"total=2, .* the last attempt to connect failed"):
            pool.acquire(timeout=0.5)
        for connection in held:
            pool.release(connection)
        serve_more_than_allowed(pool, 2)
        others.close(5)
        assert eventually(lambda: can_grow(pool))
        pool.close(5)


def can_grow(pool: Pool[Connection]) -> bool:
    """Whether three connections can be had at once."""
    held = []
    try:
        for _ in range(3):
            held.append(pool.acquire(timeout=3.0))
        return [len(run(connection, "SELECT 1 AS one")) for connection in held] == [1, 1, 1]
    except PoolTimeout:
        return False
    finally:
        for connection in held:
            pool.release(connection)
