"""The pool behind a network that refuses, is silent, resets, delays, splits: right rows or a typed error, in time."""

import time
from collections.abc import Iterator

import pytest

import servers
from nexusql.connection import Connection
from nexusql.errors import ConnectionLost, OperationalError, PoolTimeout
from nexusql.pool import Pool
from pooling import PATIENCE, Threads, borrow, eventually, real_pool, run, select_tags, session_id
from proxy import FaultProxy

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)

SLEEP = {"postgresql": "SELECT pg_sleep(5)", "mysql": "SELECT SLEEP(5)"}
TAGS = [f"tag {number}" for number in range(20)]


@pytest.fixture
def proxy(kind: str) -> Iterator[FaultProxy]:
    """A proxy before the server."""
    with FaultProxy.before(servers.server_url(kind)) as proxy:
        yield proxy


@pytest.fixture
def pool(kind: str, proxy: FaultProxy) -> Iterator[Pool[Connection]]:
    """A pool of up to 3 connections through the proxy."""
    pool = real_pool(proxy.url(servers.server_url(kind)), min_size=0, max_size=3, timeout=1.0)
    yield pool
    proxy.heal()
    pool.close(PATIENCE)
    assert pool.stats().total == 0


def many_rows(kind: str, connection: Connection) -> list[int]:
    """A thousand numbers from the server."""
    series = {
        "postgresql": "SELECT n FROM generate_series(1, 1000) AS n",
        "mysql": "WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s",
    }
    return [row["n"] for row in run(connection, series[kind])]


@pytest.mark.parametrize("fault", ["refuse", "deaf"])
def test_a_check_out_fails_at_its_time_and_says_why(pool: Pool[Connection], proxy: FaultProxy, fault: str) -> None:
    getattr(proxy, fault)()
    started = time.monotonic()
    with pytest.raises(
        PoolTimeout,
        match=r"^no connection became free in 1\.\d s \(total=0, active=0, idle=0, waiting=1\); "
        r"the last attempt to connect failed: .",
    ) as caught:
        pool.acquire()
    assert time.monotonic() - started == pytest.approx(1.0, abs=0.2)
    assert isinstance(caught.value.__cause__, OperationalError)


@pytest.mark.parametrize("fault", ["refuse", "deaf"])
def test_meanwhile_others_borrow_and_return(pool: Pool[Connection], proxy: FaultProxy, fault: str) -> None:
    first, second = borrow(pool, 2)
    getattr(proxy, fault)()
    with Threads() as threads:
        waiting = threads.start(pool.acquire, 0.8)
        time.sleep(0.3)
        if fault == "deaf":  # it is connecting, so what comes back is for the others
            slowest = 0.0
            for _ in range(100):
                started = time.monotonic()
                pool.release(first)
                assert pool.acquire() is first
                slowest = max(slowest, time.monotonic() - started)
            assert slowest < 0.1
            assert waiting.is_alive()
        else:  # it is in line, so what comes back is for it
            pool.release(first)
    if fault == "deaf":
        assert [type(error) for error in threads.errors] == [PoolTimeout]
    else:
        assert threads.results == [first]
    pool.release(first)
    pool.release(second)


def test_when_the_port_opens_again_the_pool_recovers(pool: Pool[Connection], proxy: FaultProxy) -> None:
    proxy.refuse()
    with pytest.raises(PoolTimeout):
        pool.acquire(timeout=0.5)
    proxy.heal()
    assert select_tags(pool, TAGS) == TAGS


def test_idle_connections_that_were_reset_are_replaced_unnoticed(
    kind: str, pool: Pool[Connection], proxy: FaultProxy
) -> None:
    connections = borrow(pool, 3)
    for connection in connections:
        pool.release(connection)
    assert proxy.cut() == 3
    assert eventually(lambda: all(connection.looks_dead() for connection in connections))
    assert select_tags(pool, TAGS) == TAGS
    assert all(connection.broken for connection in connections)


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_cut_in_a_statement_is_lost_and_given_up(
    kind: str, pool: Pool[Connection], proxy: FaultProxy, reset: bool
) -> None:
    connection = pool.acquire()
    with Threads() as threads:
        threads.start(run, connection, SLEEP[kind])
        time.sleep(0.2)
        started = time.monotonic()
        proxy.cut(reset=reset)
    assert time.monotonic() - started < 1.0
    assert [isinstance(error, ConnectionLost) for error in threads.errors] == [True]
    pool.release(connection)
    assert pool.stats().total == 0
    assert select_tags(pool, TAGS) == TAGS


@pytest.mark.parametrize(("requests", "replies"), [(True, True), (True, False), (False, True)])
def test_a_black_hole_costs_the_time_that_was_given_and_no_more(
    pool: Pool[Connection], proxy: FaultProxy, requests: bool, replies: bool
) -> None:
    pool.release(pool.acquire())
    pool.suspect_all()
    proxy.hold(requests=requests, replies=replies)
    started = time.monotonic()
    with pytest.raises(PoolTimeout, match="the last attempt to connect failed"):
        pool.acquire()
    assert time.monotonic() - started == pytest.approx(1.0, abs=0.3)
    proxy.heal()
    assert select_tags(pool, TAGS) == TAGS


def test_an_answer_held_back_is_never_taken_for_another(kind: str, pool: Pool[Connection], proxy: FaultProxy) -> None:
    """The answer to a ping that was given up arrives when the network is well again."""
    pool.release(pool.acquire())
    for round in range(3):
        pool.suspect_all()
        proxy.hold(requests=False)
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0.3)
        proxy.heal()
        tags = [f"{round} {tag}" for tag in TAGS]
        assert select_tags(pool, tags) == tags


def test_a_slow_network_is_no_fault(kind: str, pool: Pool[Connection], proxy: FaultProxy) -> None:
    proxy.slow(latency=0.2)
    connection = pool.acquire(timeout=10)
    started = time.monotonic()
    assert many_rows(kind, connection) == list(range(1, 1001))
    assert time.monotonic() - started > 0.2
    pool.release(connection)
    proxy.heal()
    started = time.monotonic()
    assert select_tags(pool, TAGS) == TAGS
    assert time.monotonic() - started < 0.2 * len(TAGS) / 2


def test_rows_are_right_however_they_are_split(kind: str, pool: Pool[Connection], proxy: FaultProxy) -> None:
    proxy.slow(most_bytes=1)
    connection = pool.acquire(timeout=10)
    assert many_rows(kind, connection) == list(range(1, 1001))
    pool.release(connection)


def test_rows_are_right_however_late_they_come(kind: str, pool: Pool[Connection], proxy: FaultProxy) -> None:
    proxy.slow(jitter=0.005, most_bytes=7)
    with Threads() as threads:
        for number in range(3):
            tags = [f"{number} {tag}" for tag in TAGS]
            threads.start(lambda tags=tags: select_tags(pool, tags) == tags)
    assert threads.errors == []
    assert threads.results == [True] * 3


def test_resets_at_any_moment_give_right_rows_or_a_typed_error(
    kind: str, pool: Pool[Connection], proxy: FaultProxy
) -> None:
    outcomes: list[object] = []

    def work(number: int) -> None:
        for i in range(60):
            tag = f"{number}-{i}"
            try:
                outcomes.append(select_tags(pool, [tag]) == [tag])
            except (ConnectionLost, PoolTimeout) as error:
                outcomes.append(type(error))

    with Threads() as threads:
        workers = [threads.start(work, number) for number in range(3)]
        while any(worker.is_alive() for worker in workers):
            proxy.cut()
            time.sleep(0.03)
    assert threads.errors == []
    assert len(outcomes) == 180
    assert outcomes.count(True) > 60
    assert False not in outcomes
    assert pool.stats().active == 0


def test_connections_are_given_back_to_the_server(kind: str, pool: Pool[Connection], proxy: FaultProxy) -> None:
    connections = borrow(pool, 3)
    assert len({session_id(kind, connection) for connection in connections}) == proxy.live == 3
    for connection in connections:
        pool.release(connection)
    pool.close()
    assert eventually(lambda: proxy.live == 0)
