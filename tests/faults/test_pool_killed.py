"""Sessions that the server has ended: idle ones are replaced unnoticed, one in use is an error and is given up."""

import time

import pytest

import pooling
import servers
from nexusql.errors import ConnectionLost
from pooling import Threads, borrow, eventually, kill_sessions, real_pool, run, session_id

on_servers = pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)


@on_servers
def test_after_every_idle_session_was_killed_the_next_100_check_outs_succeed(kind: str, database_url: str) -> None:
    pool = real_pool(database_url, min_size=4, max_size=6)
    pool.fill()
    killed = borrow(pool, 4)
    numbers = {session_id(kind, connection) for connection in killed}
    for connection in killed:
        pool.release(connection)
    kill_sessions(kind, numbers)
    for number in range(100):
        connection = pool.acquire()
        assert run(connection, f"SELECT {number} AS n") == [{"n": number}]
        assert session_id(kind, connection) not in numbers
        pool.release(connection)
    assert all(connection.broken for connection in killed)
    assert eventually(lambda: pool.stats().idle == 4)
    assert pool.stats().total == 4
    pool.close()


@on_servers
def test_many_who_meet_killed_sessions_at_once_notice_nothing(kind: str, database_url: str) -> None:
    pool = real_pool(database_url, min_size=8, max_size=8, timeout=20)
    pool.fill()
    connections = borrow(pool, 8)
    numbers = {session_id(kind, connection) for connection in connections}
    for connection in connections:
        pool.release(connection)
    kill_sessions(kind, numbers)
    with Threads() as threads:
        for number in range(16):
            tags = [f"{number}-{i}" for i in range(10)]
            threads.start(lambda tags=tags: pooling.select_tags(pool, tags) == tags)
    assert threads.errors == []
    assert threads.results == [True] * 16
    assert pool.stats().active == 0
    pool.close()


@on_servers
def test_a_session_killed_in_a_transaction_is_an_error_and_leaves_neither_half(kind: str, database_url: str) -> None:
    pool = real_pool(database_url, min_size=2)
    pool.fill()
    connection = pool.acquire()
    run(connection, "CREATE TABLE t (a INTEGER)")
    run(connection, "BEGIN")
    run(connection, "INSERT INTO t VALUES (1)")
    kill_sessions(kind, {session_id(kind, connection)})
    with pytest.raises(ConnectionLost):
        run(connection, "INSERT INTO t VALUES (2)")
    pool.release(connection)
    with pytest.raises(ConnectionLost):
        run(connection, "INSERT INTO t VALUES (3)")
    other = pool.acquire()
    assert other is not connection
    assert run(other, "SELECT a FROM t") == []
    pool.release(other)
    pool.close()


@on_servers
def test_one_lost_session_makes_the_pool_look_at_the_others(kind: str, database_url: str) -> None:
    pool = real_pool(database_url, min_size=3, max_size=3)
    pool.fill()
    connections = borrow(pool, 3)
    numbers = [session_id(kind, connection) for connection in connections]
    pool.release(connections[0])
    pool.release(connections[1])
    kill_sessions(kind, numbers)
    with pytest.raises(ConnectionLost):
        run(connections[2], "SELECT 1 AS one")
    pool.release(connections[2])
    assert all(connection.broken for connection in connections)
    assert eventually(lambda: pool.stats().idle == 3 or pool.stats().total == 0)
    pool.close()


@on_servers
def test_a_server_that_ends_idle_sessions_causes_no_error(kind: str, database_url: str) -> None:
    limit = {"postgresql": "SET idle_session_timeout = '1s'", "mysql": "SET SESSION wait_timeout = 1"}
    version, _ = servers.look_at(kind)
    if kind == "postgresql" and int(str(version).split()[1].partition(".")[0]) < 14:
        pytest.skip("PostgreSQL has idle_session_timeout since 14")
    pool = real_pool(database_url, min_size=3, max_size=3)
    pool.fill()
    connections = borrow(pool, 3)
    for connection in connections:
        run(connection, limit[kind])
    for connection in connections:
        pool.release(connection)
    time.sleep(2)
    tags = [str(number) for number in range(10)]
    assert pooling.select_tags(pool, tags) == tags
    assert all(connection.broken for connection in connections)
    pool.close()
