"""Any mix of calls, in threads that are switched as often as can be: the books are right in the end."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import servers
from nexusql.errors import OperationalError, PoolTimeout
from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer, Threads, eventually

MakePool = Callable[..., Pool[ScriptedConnection]]

SECONDS = 30.0 if servers.flag("NEXUSQL_LONG") else 1.0


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads are switched every few microseconds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("max_waiting", [None, 2])
def test_any_mix_of_calls_keeps_the_books(make_pool: MakePool, server: ScriptedServer, max_waiting: int | None) -> None:
    pool = make_pool(min_size=1, max_size=4, timeout=0.02, max_lifetime=0.3, idle_timeout=0.1, max_waiting=max_waiting)
    end = time.monotonic() + SECONDS
    borrowed: set[int] = set()
    wrong: list[object] = []
    done = [0] * 8

    def use(worker: int) -> None:
        chance = random.Random()
        while time.monotonic() < end:
            try:
                connection = pool.acquire(chance.choice([None, 0.0, 0.001, 0.02]), remember=chance.random() < 0.1)
            except PoolTimeout:
                continue
            if connection.closed or connection.number in borrowed:
                wrong.append(connection)
            borrowed.add(connection.number)
            what = chance.random()
            if what < 0.02:
                time.sleep(0.002)
            elif what < 0.04:
                connection.in_transaction = True
            elif what < 0.06:
                connection.needs_reset = True
                connection.resettable = what < 0.05
            elif what < 0.08:
                connection.broken = True
            borrowed.discard(connection.number)
            if what > 0.98:
                pool.discard(connection)
            elif what > 0.96:
                pool.abandon(connection)
            else:
                pool.release(connection)
            done[worker] += 1

    def disturb() -> None:
        chance = random.Random()
        while time.monotonic() < end:
            time.sleep(chance.uniform(0, 0.01))
            what = chance.random()
            if what < 0.3:
                for connection in server.living:
                    connection.dead = connection.dead or chance.random() < 0.3
            elif what < 0.5:
                pool.suspect_all()
            elif what < 0.6:
                server.trouble = OperationalError("refused")
                time.sleep(0.005)
                server.trouble = None
            elif what < 0.7:
                try:
                    pool.check()
                except OperationalError:
                    continue

    with Threads(SECONDS + 20) as threads:
        for worker in range(len(done)):
            threads.start(use, worker)
        threads.start(disturb)
    assert threads.errors == []
    assert wrong == []
    assert sum(done) > 20
    assert eventually(lambda: not any("nexusql-pool" in thread.name for thread in threading.enumerate()))
    pool.release(pool.acquire(timeout=5))
    assert eventually(lambda: pool.stats().active == 0)
    stats = pool.stats()
    assert stats.total == stats.idle == len(pool._ledger.idle)
    assert stats.waiting == 0
    assert {lease.connection for lease in pool._ledger.idle} == set(server.living)
