"""Tests of the async layer: event loops that are watched, statements that take long, books that must balance."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import kinds
from nexusql import AsyncDatabaseManager, DatabaseManager
from pooling import PATIENCE, eventually, open_files

T = TypeVar("T")

Make = Callable[..., AsyncDatabaseManager]

STALL = 0.05  # seconds for which nothing may keep the event loop from running
TICK = 0.002


def endless(kind: str) -> tuple[str, str]:
    """A statement that does not end, and the name by which `kinds.running` knows it."""
    name = f"endless_{uuid.uuid4().hex[:12]}"
    return kinds.ENDLESS[kind].format(name=name), name


async def started(kind: str, name: str) -> None:
    """Wait until the server runs the statement; of SQLite nobody can ask that."""
    if kind == "sqlite":
        await asyncio.sleep(0.1)
    else:
        assert await asyncio.to_thread(eventually, lambda: kinds.running(kind, name))


async def until(condition: Callable[[], object]) -> None:
    """Wait, in an event loop, for what nobody tells it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        await asyncio.sleep(0.001)


def run(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """What a coroutine gives, in an event loop of its own. Fails where it hangs."""

    async def bounded() -> T:
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.print_stack()
            raise AssertionError(f"it hangs, {seconds:g} s by now")
        return task.result()

    return asyncio.run(bounded())


class Stalls:
    """Measures for how long an event loop was kept from running. For what the machine makes its thread wait, because
    the processors are given to others, nobody here is to blame; Linux tells how long that was."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._delays = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def _delayed(self) -> float:
        """Seconds for which this thread could have run and was not let, since its start."""
        return int(self._delays.read_text().split()[1]) / 1e9 if self._delays.exists() else 0.0

    async def watch(self) -> None:
        """Tick until cancelled."""
        while True:
            before, delayed = time.monotonic(), self._delayed()
            await asyncio.sleep(TICK)
            elapsed = time.monotonic() - before
            self.longest = max(self.longest, elapsed - TICK - (self._delayed() - delayed))


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Stalls]:
    """Measure the stalls of this loop meanwhile."""
    stalls = Stalls()
    ticking = asyncio.ensure_future(stalls.watch())
    try:
        yield stalls
    finally:
        ticking.cancel()


def books(db: DatabaseManager | AsyncDatabaseManager) -> tuple[int, int, int]:
    """Connections in use, callers in line, and slots that are given away; each 0 where nothing is left behind."""
    engine = (db.sync if isinstance(db, AsyncDatabaseManager) else db)._connected()
    stats = engine.pool.stats()
    gate = engine.workers.gate
    return stats.active, stats.waiting + gate.waiting, engine.workers._size - gate._free - len(gate._dropped)


def settled(db: DatabaseManager | AsyncDatabaseManager) -> bool:
    """Whether all has come back within the patience of a test; and every connection is either idle or in use."""
    balanced = eventually(lambda: books(db) == (0, 0, 0))
    engine = (db.sync if isinstance(db, AsyncDatabaseManager) else db)._connected()
    stats = engine.pool.stats()
    return balanced and stats.idle == stats.total


class Base:
    """Threads and descriptors of this process at a moment, to come back to."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._files = open_files()

    def is_back(self) -> bool:
        """Whether there are no more of them than there were, within the patience of a test."""
        return eventually(lambda: self._more() == ([], 0), PATIENCE)

    def _more(self) -> tuple[list[str], int]:
        threads = [thread.name for thread in threading.enumerate() if thread not in self._threads]
        return threads, max(open_files() - self._files, 0)

    def __repr__(self) -> str:
        return f"<more than at the base: {self._more()}>"
