"""Awaited calls: what they cost beside synchronous ones, and what group commit saves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from cases.entry import Entry, Sizes, in_turn
from harness import Case, at_most, faster
from nexusql import AsyncDatabaseManager, DatabaseManager
from place import NAMES, Place, open_place
from workload import METRICS, Record, metrics

CALLS = 100  # in a row, so that starting the event loop does not count
CROWD = 50
EACH = 20  # calls of each of the crowd
POOL = 10
SELECT = "SELECT agent_name, success, mode FROM {} WHERE id = :id"
SAVED = {"sqlite": 5, "postgresql": 10, "mysql": 10}

Awaited = Callable[[], Awaitable[Any]]


@contextmanager
def _connected(place: Place) -> Iterator[tuple[AsyncDatabaseManager, Callable[[Awaited], Callable[[], Any]]]]:
    """A manager, and what turns something to be awaited into a contender, on one event loop."""
    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        db = AsyncDatabaseManager(place.url, pool_max=POOL)
        loop.run_until_complete(db.connect())
        stack.callback(lambda: loop.run_until_complete(db.close()))
        yield db, lambda work: lambda: loop.run_until_complete(work())


@contextmanager
def one_after_another(kind: str) -> Iterator[Case]:
    """One row, again and again."""
    with open_place(kind, METRICS, libraries=False) as place, _connected(place) as (db, run):
        place.fill(METRICS, metrics(100))
        text, params = SELECT.format(METRICS.name), {"id": 7}

        async def awaited() -> None:
            for _ in range(CALLS):
                await db.fetch_one(text, params)

        async def by_to_thread() -> None:
            for _ in range(CALLS):
                await asyncio.to_thread(db.sync.fetch_one, text, params)

        def synchronous() -> None:
            for _ in range(CALLS):
                db.sync.fetch_one(text, params)

        contenders = {
            "nexusql": run(awaited),
            "nexusql, synchronous": synchronous,
            "nexusql, synchronous in asyncio.to_thread": run(by_to_thread),
        }
        goals = [at_most(2.5, "nexusql, synchronous")] if kind == "postgresql" else []
        yield Case(contenders, goals, rows=CALLS)


@contextmanager
def crowd(kind: str) -> Iterator[Case]:
    """Many at the same time: tasks, and threads."""
    with open_place(kind, METRICS, libraries=False) as place, _connected(place) as (db, run):
        place.fill(METRICS, metrics(100))
        text, params = SELECT.format(METRICS.name), {"id": 7}

        async def task() -> None:
            for _ in range(EACH):
                await db.fetch_one(text, params)

        async def tasks() -> None:
            await asyncio.gather(*(task() for _ in range(CROWD)))

        def thread(number: int) -> None:
            for _ in range(EACH):
                db.sync.fetch_one(text, params)

        with ThreadPoolExecutor(CROWD) as threads:
            contenders = {
                f"nexusql, {CROWD} tasks": run(tasks),
                f"nexusql, {CROWD} threads": lambda: list(threads.map(thread, range(CROWD))),
            }
            # At least 80 % of their throughput.
            goals = [at_most(1.25, f"nexusql, {CROWD} threads", f"nexusql, {CROWD} tasks")]
            yield Case(contenders, goals if kind == "postgresql" else [], rows=CROWD * EACH)


@contextmanager
def grouped(kind: str, count: int) -> Iterator[Case]:
    """Rows that tasks insert one by one, each waiting for its own."""
    rows = metrics(count)
    tasks = max(1, count // 10)
    insert = METRICS.insert(":{0}")
    with open_place(kind, METRICS, libraries=False) as place, ExitStack() as stack:
        contenders = {}
        for name, group_commit in (("nexusql, group commit", True), ("nexusql, without", False)):
            db = stack.enter_context(DatabaseManager(place.url, pool_max=POOL, group_commit=group_commit))
            contenders[name] = partial(_insert, db, insert, rows, tasks)
        goals = [faster(SAVED[kind], "nexusql, without", "nexusql, group commit")]
        yield Case(
            contenders,
            goals,
            rows=count,
            before=lambda: place.empty(METRICS),
            check=place.holds(METRICS, count),
            batch_seconds=0,
        )


def _insert(db: DatabaseManager, insert: str, rows: list[Record], tasks: int) -> None:
    async def task(first: int) -> None:
        for row in rows[first::tasks]:
            await db.execute_async(insert, row)

    async def gather() -> None:
        await asyncio.gather(*(task(first) for first in range(tasks)))

    asyncio.run(gather())


def entries(sizes: Sizes) -> Iterator[Entry]:
    """One after another, many at once, and group commit, on each database."""
    for kind, name in NAMES.items():
        title = f"One row, {CALLS} awaited calls, {name}"
        yield Entry("awaiting", kind, title, in_turn(partial(one_after_another, kind)), interpreted=False)
    for kind, name in NAMES.items():
        title = f"One row, {EACH} calls of each of {CROWD}, {name}"
        yield Entry("awaiting", kind, title, in_turn(partial(crowd, kind)), share=0.5, interpreted=False)
    for kind, name in NAMES.items():
        title = f"{sizes.singles:,} rows inserted by tasks one by one, {name}"
        run = in_turn(partial(grouped, kind, sizes.singles))
        yield Entry("awaiting", kind, title, run, share=0.15, interpreted=False)
