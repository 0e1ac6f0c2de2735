"""Many threads, random kills and resets: nothing acknowledged is lost, and nothing is left over."""

import random
import threading
import time
from collections import deque

import pytest

import kinds
import servers
from nexusql import DatabaseManager
from nexusql.errors import ConnectionLost, Error, PoolTimeout
from pooling import PATIENCE, Threads, eventually, open_files, real_pool, run, session_id
from proxy import FaultProxy

LONG = servers.flag("NEXUSQL_LONG")
THREADS = 64 if LONG else 16
SECONDS = 60.0 if LONG else 3.0


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_under_random_kills_and_resets_every_acknowledged_write_is_there(kind: str, database_url: str) -> None:
    files, threads_before = open_files(), threading.active_count()
    acknowledged: set[int] = set()
    uncertain: set[int] = set()
    sessions: deque[int] = deque(maxlen=30)
    killed: list[int] = []
    turned_away: list[PoolTimeout] = []
    end = time.monotonic() + SECONDS
    with FaultProxy.before(database_url) as proxy:
        pool = real_pool(proxy.url(database_url), min_size=2, max_size=8, timeout=10.0, max_lifetime=2.0)
        connection = pool.acquire()
        run(connection, "CREATE TABLE written (id INTEGER PRIMARY KEY)")
        pool.release(connection)

        def write(worker: int) -> None:
            number = worker
            while time.monotonic() < end:
                number += THREADS
                try:
                    connection = pool.acquire()
                except PoolTimeout as error:
                    turned_away.append(error)
                    continue
                try:
                    sessions.append(session_id(kind, connection))
                    uncertain.add(number)
                    run(connection, f"INSERT INTO written VALUES ({number})")
                    acknowledged.add(number)
                except ConnectionLost:
                    pass
                finally:
                    pool.release(connection)

        def kill() -> None:
            with servers.admin_cursor(kind) as cursor:
                while time.monotonic() < end:
                    time.sleep(random.uniform(0.01, 0.1))
                    if not sessions:
                        continue
                    killed.append(random.choice(sessions))
                    kinds.kill(kind, killed[-1], cursor)
                    if random.random() < 0.05:
                        proxy.cut()

        with Threads(SECONDS + PATIENCE) as threads:
            for worker in range(THREADS):
                threads.start(write, worker)
            threads.start(kill)
        assert threads.errors == []
        stats = pool.stats()
        assert (stats.active, stats.waiting) == (0, 0) or eventually(lambda: pool.stats().active == 0)
        assert pool.stats().total == pool.stats().idle
        with DatabaseManager(database_url) as db:  # the last of the kills may have hit an idle connection of the pool
            stored = {row["id"] for row in db.execute("SELECT id FROM written")}
        assert acknowledged <= stored <= uncertain
        assert len(acknowledged) > 100
        assert len(set(killed)) > SECONDS
        assert len(turned_away) <= len(acknowledged) / 10
        pool.close(PATIENCE)
        assert pool.stats().total == 0
    assert eventually(lambda: open_files() == files), "descriptors are left"
    assert eventually(lambda: threading.active_count() == threads_before), "threads are left"


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_many_threads_read_a_file_at_once(kind: str, database_url: str) -> None:
    files = open_files()
    pool = real_pool(database_url, min_size=1, max_size=6, timeout=10.0, max_lifetime=0.2, can_die=False)
    connection = pool.acquire()
    run(connection, "CREATE TABLE t (a INTEGER)")
    run(connection, "INSERT INTO t VALUES (1)")
    pool.release(connection)
    end = time.monotonic() + SECONDS / 3

    def read() -> int:
        done = 0
        while time.monotonic() < end:
            connection = pool.acquire()
            try:
                if random.random() < 0.02:
                    run(connection, "SELECT nothing FROM nowhere")
                assert run(connection, "SELECT a FROM t") == [{"a": 1}]
            except Error:
                assert not connection.broken
            finally:
                pool.release(connection)
            done += 1
        return done

    with Threads(SECONDS + PATIENCE) as threads:
        for _ in range(16):
            threads.start(read)
    assert threads.errors == []
    assert min(threads.results) > 0
    assert eventually(lambda: pool.stats().active == 0)
    pool.close(PATIENCE)
    assert pool.stats().total == 0
    assert eventually(lambda: open_files() == files)
