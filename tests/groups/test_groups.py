"""Group commit: rows of many callers go in together, and each caller learns what became of its own."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from loops import books
from nexusql import AsyncDatabaseManager, DatabaseManager, GroupCommit
from nexusql.bulk import BulkWrite
from nexusql.errors import (
    ConfigError,
    IntegrityError,
    LockTimeout,
    NotConnectedError,
    OperationalError,
    ParameterError,
    QueryTimeout,
    UndefinedTable,
    UniqueViolation,
)
from pooling import eventually

INSERT = "INSERT INTO steps (id, name, cost) VALUES (:id, :name, :cost)"


@pytest.fixture
def db(database_url: str) -> Iterator[DatabaseManager]:
    with DatabaseManager(database_url, group_commit=True) as manager:
        manager.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")
        yield manager


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each bulk write was given."""
    given: list[int] = []
    run = BulkWrite.run

    def counted(self: BulkWrite, rows: Any, progress: Any = None) -> Any:
        rows = list(rows)
        given.append(len(rows))
        return run(self, rows, progress)

    monkeypatch.setattr(BulkWrite, "run", counted)
    return given


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": number, "name": f"n{number}", "cost": number / 2, **values}


async def insert_all(db: DatabaseManager, rows: list[dict[str, Any]]) -> list[Any]:
    return await asyncio.gather(*(db.execute_async(INSERT, each) for each in rows), return_exceptions=True)


def ids(db: DatabaseManager) -> list[int]:
    return [each["id"] for each in db.execute("SELECT id FROM steps ORDER BY id")]


def test_rows_of_many_tasks_are_stored_once_and_together(db: DatabaseManager, sizes: list[int]) -> None:
    results = asyncio.run(insert_all(db, [row(n) for n in range(800)]))
    assert results == [[]] * 800
    assert {each.rowcount for each in results} == {1}
    stored = db.execute("SELECT id, name, cost FROM steps ORDER BY id")
    assert stored == [row(n) for n in range(800)]
    assert len(sizes) < 40
    assert sum(sizes) > 700


def test_rows_of_many_threads(db: DatabaseManager, sizes: list[int]) -> None:
    start = threading.Barrier(16)

    def insert(first: int) -> None:
        start.wait()
        for n in range(first, first + 25):
            assert db.execute(INSERT, row(n)).rowcount == 1

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(insert, range(0, 400, 25)))
    assert ids(db) == list(range(400))
    assert max(sizes) > 1


def test_a_caller_has_its_row_when_it_is_told(db: DatabaseManager) -> None:
    async def insert(number: int) -> Any:
        await db.execute_async(INSERT, row(number))
        return await db.in_thread(db.fetch_value, "SELECT name FROM steps WHERE id = :id", {"id": number})

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(insert(n) for n in range(60))))

    assert asyncio.run(run()) == [f"n{n}" for n in range(60)]


def test_poison_rows_fail_alone_with_their_own_errors(db: DatabaseManager, sizes: list[int]) -> None:
    db.execute(INSERT, row(5))
    rows = [row(n) for n in range(200)]
    rows[7]["name"] = None
    rows[90] = row(89)
    rows[150]["cost"] = object()
    results = asyncio.run(insert_all(db, rows))
    failed = {n: result for n, result in enumerate(results) if isinstance(result, Exception)}
    assert failed.keys() == {5, 7, 90, 150}
    assert isinstance(failed[5], UniqueViolation)
    assert isinstance(failed[90], UniqueViolation)
    assert isinstance(failed[7], IntegrityError)
    assert isinstance(failed[150], ParameterError)
    with pytest.raises(type(failed[7])) as alone:
        db.execute(INSERT, rows[7], group_commit=False)
    assert str(alone.value) == str(failed[7])
    assert ids(db) == [n for n in range(200) if n not in (7, 90, 150)]
    assert max(sizes) > 1


def test_several_statements_at_once(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text VARCHAR(20))")

    async def run() -> None:
        await asyncio.gather(
            *(db.execute_async(INSERT, row(n)) for n in range(100)),
            *(db.execute_async("INSERT INTO notes (id, text) VALUES (?, ?)", (n, "x")) for n in range(100)),
            *(db.execute_async("INSERT INTO notes (id) VALUES (:id)", {"id": n}) for n in range(100, 150)),
        )

    asyncio.run(run())
    assert ids(db) == list(range(100))
    assert db.fetch_value("SELECT COUNT(*) FROM notes") == 150


def test_a_table_that_is_not_there(db: DatabaseManager) -> None:
    async def run() -> list[Any]:
        sql = "INSERT INTO nowhere (id) VALUES (:id)"
        return await asyncio.gather(*(db.execute_async(sql, {"id": n}) for n in range(20)), return_exceptions=True)

    results = asyncio.run(run())
    assert {type(result) for result in results} == {type(results[0])}
    assert isinstance(results[0], UndefinedTable)
    assert len({id(result) for result in results}) == 20


def test_errors_of_parameters_come_before_the_group(db: DatabaseManager) -> None:
    with pytest.raises(ParameterError, match=":cost"):
        asyncio.run(db.execute_async(INSERT, {"id": 1, "name": "a"}))
    with pytest.raises(ParameterError, match=":cost"):
        db.execute(INSERT, {"id": 1, "name": "a"})
    assert ids(db) == []


def test_what_a_caller_changes_afterwards_is_not_written(db: DatabaseManager) -> None:
    async def run() -> None:
        shared: dict[str, Any] = {}
        waiting = []
        for n in range(10):
            shared.update(row(n))
            waiting.append(asyncio.ensure_future(db.execute_async(INSERT, shared)))
            await asyncio.sleep(0)
        shared["id"] = "spoilt"
        await asyncio.gather(*waiting)

    asyncio.run(run())
    assert ids(db) == list(range(10))


def test_inside_a_transaction_a_row_belongs_to_it(db: DatabaseManager, sizes: list[int]) -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await asyncio.gather(*(db.execute_async(INSERT, row(n)) for n in range(10)))
                db.execute(INSERT, row(10))
                raise ZeroDivisionError

    asyncio.run(run())
    assert ids(db) == []
    assert sizes == []


@pytest.mark.filterwarnings("ignore:a conflict with any unique key")
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO steps (id, name) VALUES (:id, :name) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO steps (id, name) SELECT :id, :name",
        "INSERT INTO steps (id, name) VALUES (:id, 'fixed')",
        "UPDATE steps SET name = :name WHERE id = :id",
    ],
)
def test_other_statements_are_run_alone(db: DatabaseManager, sizes: list[int], sql: str) -> None:
    async def run() -> None:
        await asyncio.gather(*(db.execute_async(sql, row(n)) for n in range(5)))

    asyncio.run(run())
    assert ids(db) == ([] if sql.startswith("UPDATE") else list(range(5)))
    assert sizes == []


def test_by_the_call(database_url: str, sizes: list[int]) -> None:
    with DatabaseManager(database_url) as db:
        db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")

        async def run(first: int, group_commit: bool | None) -> None:
            rows = [row(n) for n in range(first, first + 50)]
            await asyncio.gather(*(db.execute_async(INSERT, each, group_commit=group_commit) for each in rows))

        asyncio.run(run(0, None))
        assert sizes == []
        asyncio.run(run(50, True))
        assert sum(sizes) >= 49
        assert ids(db) == list(range(100))


def test_a_time_limit_of_its_own_takes_a_row_out_of_the_group(db: DatabaseManager, sizes: list[int]) -> None:
    async def run() -> None:
        await asyncio.gather(*(db.execute_async(INSERT, row(n), timeout=20) for n in range(20)))

    asyncio.run(run())
    assert ids(db) == list(range(20))
    assert sizes == []


def test_a_cancelled_caller_has_its_row_left_out_or_stored_and_no_other_is_lost(db: DatabaseManager) -> None:
    async def run() -> set[int]:
        tasks = [asyncio.ensure_future(db.execute_async(INSERT, row(n))) for n in range(300)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return {n for n, result in enumerate(results) if not isinstance(result, BaseException)}

    acknowledged = asyncio.run(run())
    assert len(acknowledged) >= 200
    stored = ids(db)
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))


@pytest.mark.parametrize("pool_max", [1, 4])
def test_a_whole_group_is_written_beside_another(database_url: str, pool_max: int) -> None:
    """Fewer rows wait until the other group is stored."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer")
    with (
        DatabaseManager(database_url) as other,
        DatabaseManager(database_url) as reader,
        DatabaseManager(database_url, pool_max=pool_max, group_commit=GroupCommit(rows=10)) as db,
        ThreadPoolExecutor(15) as callers,
    ):
        db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")
        with pytest.raises(ZeroDivisionError), other.transaction() as transaction:
            transaction.execute(INSERT, row(0))  # for which the same row waits
            writes = [callers.submit(db.execute, INSERT, row(0))]
            assert eventually(lambda: books(db)[0] == 1)
            writes += [callers.submit(db.execute, INSERT, row(n)) for n in range(1, 15)]
            beside = 10 if pool_max > 1 else 0
            assert eventually(lambda: len(ids(reader)) == beside)
            time.sleep(0.1)
            assert [each.done() for each in writes].count(True) == beside
            assert not writes[0].done()
            raise ZeroDivisionError
        assert [each.result().rowcount for each in writes] == [1] * 15
        assert ids(db) == list(range(15))


def test_closing_writes_what_waits(database_url: str) -> None:
    db = DatabaseManager(database_url, group_commit=GroupCommit(delay=1.0))
    db.connect(raise_errors=True)
    db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")

    async def run() -> list[Any]:
        tasks = [asyncio.ensure_future(db.execute_async(INSERT, row(n))) for n in range(50)]
        await asyncio.sleep(0.05)
        await db.close()
        with pytest.raises(NotConnectedError):
            await db.execute_async(INSERT, row(99))
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(run()) == [[]] * 50
    with DatabaseManager(database_url) as again:
        assert ids(again) == list(range(50))


def test_groups_are_bounded_by_rows_and_bytes(database_url: str, sizes: list[int]) -> None:
    @asynccontextmanager
    async def connected(bounds: GroupCommit) -> AsyncIterator[AsyncDatabaseManager]:
        async with AsyncDatabaseManager(database_url, group_commit=bounds) as db:
            await db.execute("CREATE TABLE IF NOT EXISTS steps (id INTEGER PRIMARY KEY, name TEXT, cost REAL)")
            await db.execute("DELETE FROM steps")
            yield db

    async def run(bounds: GroupCommit, name: str) -> list[int]:
        async with connected(bounds) as db:
            sizes.clear()
            await asyncio.gather(*(db.execute(INSERT, row(n, name=name)) for n in range(200)))
            assert await db.fetch_value("SELECT COUNT(*) FROM steps") == 200
        return sizes.copy()

    assert max(asyncio.run(run(GroupCommit(rows=30), "x"))) == 30
    assert max(asyncio.run(run(GroupCommit(bytes=50_000), "x" * 10_000))) == 5


@pytest.mark.parametrize("bounds", [{"rows": 0}, {"bytes": 0}, {"delay": -1}, {"delay": 2}])
def test_senseless_bounds_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a group has"):
        GroupCommit(**bounds)


def test_a_lone_caller_does_not_wait_for_others(database_url: str) -> None:
    with DatabaseManager(database_url, group_commit=GroupCommit(delay=1.0)) as db:
        db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20), cost DOUBLE PRECISION)")
        started = time.monotonic()
        for n in range(3):
            db.execute(INSERT, row(n))
        assert time.monotonic() - started < 1.0
        assert ids(db) == [0, 1, 2]


def test_the_writing_thread_ends_when_it_has_nothing_to_do(db: DatabaseManager) -> None:
    db.execute(INSERT, row(1))
    assert any(thread.name == "nexusql-groups" for thread in threading.enumerate())
    assert eventually(lambda: all(thread.name != "nexusql-groups" for thread in threading.enumerate()))
    db.execute(INSERT, row(2))
    assert ids(db) == [1, 2]


def test_values_are_those_of_execute(db: DatabaseManager) -> None:
    """An aware moment, JSON, bytes and a Decimal, by groups and one by one."""
    db.execute("CREATE TABLE kinds (id INTEGER, at TIMESTAMP, doc JSONB, data BYTEA, price NUMERIC(10,2), yes BOOLEAN)")
    at = datetime(2026, 5, 1, 12, 30, 0, 250, timezone(timedelta(hours=2)))
    sql = "INSERT INTO kinds (id, at, doc, data, price, yes) VALUES (:id, :at, :doc, :data, :price, :yes)"
    values = {"at": at, "doc": {"a": [1, None, "é"]}, "data": b"\x00\xff'", "price": Decimal("12.30"), "yes": True}

    async def run() -> None:
        await asyncio.gather(*(db.execute_async(sql, {"id": n, **values}) for n in range(10)))

    asyncio.run(run())
    db.execute(sql, {"id": -1, **values}, group_commit=False)
    rows = db.execute("SELECT at, doc, data, price, yes FROM kinds ORDER BY id")
    first = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in rows[0].items()}
    for each in rows[1:]:
        assert {n: bytes(v) if isinstance(v, memoryview) else v for n, v in each.items()} == first


def test_a_row_for_which_no_thread_can_be_begun_is_not_written(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(OperationalError, match="no thread can be begun to write the row"):
            db.execute(INSERT, row(1))
    db.execute(INSERT, row(2))
    assert ids(db) == [2]


def test_a_group_that_waits_for_a_lock_is_not_tried_row_by_row(database_url: str, sizes: list[int]) -> None:
    with (
        DatabaseManager(database_url) as other,
        DatabaseManager(database_url, statement_timeout=0.5, group_commit=GroupCommit(rows=50)) as db,
    ):
        other.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")
        with other.transaction() as transaction:
            transaction.execute(INSERT, row(7))  # of which it is not known yet whether it stays
            began = time.monotonic()
            results = asyncio.run(insert_all(db, [row(n) for n in range(50)]))
            assert time.monotonic() - began < 10
        refused = [n for n, each in enumerate(results) if isinstance(each, (QueryTimeout, LockTimeout))]
        assert 7 in refused
        assert len(sizes) == 1  # the other rows, if any, came before as one
        assert ids(other) == sorted({*range(50)} - {*refused} | {7})


def test_what_an_adapter_raises_ends_no_thread(database_url: str) -> None:
    class Odd:
        pass

    def refuse(value: Odd) -> str:
        if threading.current_thread().name == "nexusql-groups":
            raise SystemExit(3)
        return "odd"

    with DatabaseManager(database_url, group_commit=True, adapters={Odd: refuse}) as db:
        db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")
        results = asyncio.run(insert_all(db, [row(n, name=Odd() if n == 5 else "x") for n in range(20)]))
        assert [n for n, each in enumerate(results) if isinstance(each, BaseException)] in ([5], [])
        assert asyncio.run(insert_all(db, [row(n) for n in range(100, 120)])) == [[]] * 20
        assert len(ids(db)) >= 39


def test_an_adapter_may_use_the_database_by_which_a_group_is_stored(database_url: str) -> None:
    class Name:
        """A value that the adapter makes text, and notes in another table."""

    def noted(name: Name) -> str:
        manager.execute("INSERT INTO notes (id) VALUES (1)")
        return "noted"

    manager = DatabaseManager(database_url, group_commit=True, adapters={Name: noted}, pool_timeout=5)
    with manager as db:
        db.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, cost DOUBLE PRECISION)")
        db.execute("CREATE TABLE notes (id INTEGER)")
        rows = [row(n, name=Name()) for n in range(20)]
        assert asyncio.run(insert_all(db, rows)) == [[]] * 20
        assert ids(db) == list(range(20))
