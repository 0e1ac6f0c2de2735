"""Managers under random kills and resets: the outcome that a caller is told is the outcome."""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

import kinds
import servers
from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.errors import CommitUncertain, ConnectionLost, PoolTimeout
from pooling import PATIENCE, Threads, eventually, open_files
from proxy import FaultProxy

LONG = servers.flag("NEXUSQL_LONG")
WORKERS = 64 if LONG else 16
SECONDS = 60.0 if LONG else 2.0
RESETS = 0.05  # of the kills


@dataclass
class Books:
    """What callers were told of their writes, and which sessions may be killed."""

    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)
    acknowledged: set[int] = field(default_factory=set)
    uncertain: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    sessions: deque[int] = field(default_factory=lambda: deque(maxlen=30))
    kills: int = 0

    @contextmanager
    def outcome_of(self, number: int) -> Iterator[None]:
        """Write down how a write ends."""
        try:
            yield
        except CommitUncertain:
            self.uncertain.add(number)
        except (ConnectionLost, PoolTimeout):
            self.refused.add(number)
        else:
            self.acknowledged.add(number)

    def numbers(self, worker: int) -> Iterator[int]:
        """Keys that no other worker has, until the time is over."""
        number = worker
        while time.monotonic() < self.end:
            yield number
            number += WORKERS

    def kill(self, kind: str, proxy: FaultProxy) -> None:
        """Kill sessions at random, and now and then reset every connection."""
        with servers.admin_cursor(kind) as cursor:
            while time.monotonic() < self.end:
                time.sleep(random.uniform(0.01, 0.1))
                if self.sessions:
                    kinds.kill(kind, random.choice(self.sessions), cursor)
                    self.kills += 1
                if random.random() < RESETS:
                    proxy.cut()

    def assert_settled(self, stored: set[int]) -> None:
        """Hold what was told against what is there."""
        assert self.acknowledged <= stored
        assert not self.refused & stored
        assert stored <= self.acknowledged | self.uncertain
        assert len(self.acknowledged) > 100
        assert self.kills > SECONDS


def write(db: DatabaseManager, kind: str, number: int, books: Books) -> None:
    """One row, by any way there is of writing it."""
    row = {"id": number}
    way = random.randrange(4)
    if way == 0:
        db.execute("INSERT INTO written VALUES (:id)", row)
    elif way == 1:
        db.bulk_insert("written", [row])
    elif way == 2:
        db.run_in_transaction(lambda tx: tx.insert("written", row))
    else:
        with db.transaction() as tx:
            books.sessions.append(tx.fetch_value(kinds.SESSION_ID[kind]))
            tx.execute("INSERT INTO written VALUES (:id)", row)


async def write_awaited(db: AsyncDatabaseManager, kind: str, number: int, books: Books) -> None:
    """The same, awaited."""
    row = {"id": number}
    way = random.randrange(3)
    if way == 0:
        await db.execute("INSERT INTO written VALUES (:id)", row)
    elif way == 1:
        await db.bulk_insert("written", [row])
    else:
        async with db.transaction() as tx:
            books.sessions.append(await tx.fetch_value(kinds.SESSION_ID[kind]))
            await tx.execute("INSERT INTO written VALUES (:id)", row)


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """Neither descriptors nor threads."""
    files, threads = open_files(), threading.active_count()
    yield
    assert eventually(lambda: open_files() == files), "descriptors are left"
    assert eventually(lambda: threading.active_count() == threads), "threads are left"


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_what_threads_are_told_of_their_writes_is_so(kind: str, database_url: str) -> None:
    books = Books()
    with FaultProxy.before(database_url) as proxy:
        with DatabaseManager(proxy.url(database_url), pool_min=2, pool_max=8, pool_timeout=10.0) as db:
            db.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")

            def work(worker: int) -> None:
                for number in books.numbers(worker):
                    with books.outcome_of(number):
                        write(db, kind, number, books)

            with Threads(SECONDS + PATIENCE) as threads:
                for worker in range(WORKERS):
                    threads.start(work, worker)
                threads.start(books.kill, kind, proxy)
            assert threads.errors == []
            books.assert_settled({row["id"] for row in db.execute("SELECT id FROM written")})


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_what_tasks_are_told_of_their_writes_is_so(kind: str, database_url: str) -> None:
    books = Books()

    async def work(db: AsyncDatabaseManager, worker: int) -> None:
        for number in books.numbers(worker):
            with books.outcome_of(number):
                await write_awaited(db, kind, number, books)

    async def run(proxy: FaultProxy) -> None:
        async with AsyncDatabaseManager(proxy.url(database_url), pool_min=2, pool_max=8, pool_timeout=10.0) as db:
            await db.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")
            killing = asyncio.to_thread(books.kill, kind, proxy)
            everyone = asyncio.gather(*(work(db, worker) for worker in range(WORKERS)), killing)
            await asyncio.wait_for(everyone, SECONDS + PATIENCE)
            books.assert_settled({row["id"] for row in await db.fetch_all("SELECT id FROM written")})

    with FaultProxy.before(database_url) as proxy:
        asyncio.run(run(proxy))
