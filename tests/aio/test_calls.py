"""AsyncDatabaseManager has every call of DatabaseManager, awaited, with plain results."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import kinds
import servers
from loops import Base, Make, books, run, settled, until
from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.aio import AsyncStream, AsyncTransaction
from nexusql.errors import (
    ConfigError,
    DatabaseError,
    InterfaceError,
    NotConnectedError,
    OperationalError,
    ParameterError,
    PoolTimeout,
    SerializationFailure,
    SQLSyntaxError,
    TransactionAborted,
    TransactionClosed,
    UndefinedTable,
    UniqueViolation,
)
from nexusql.results import Records, Row, Rows
from nexusql.stream import Stream
from nexusql.transaction import Transaction
from pooling import eventually
from proxy import FaultProxy
from throwaway import free_port

WRITE = "INSERT INTO journal (v, w) VALUES (:v, 0)"
READ = "SELECT v FROM journal ORDER BY v"
HUNDRED = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100) SELECT n FROM c ORDER BY n"

# What is there in one of the two only, and why.
ONLY_SYNC = {"execute_async", "in_thread", "transactional_ddl"}  # `execute`; how it is done; a question of migrations
ONLY_ASYNC = {"sync", "config"}  # the other one; an attribute there
OF_CONNECT = {"raise_errors"}  # awaited, it raises


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(call: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    signature = inspect.signature(call)
    return [(p.name, p.kind, p.default) for p in signature.parameters.values() if p.name not in OF_CONNECT]


@pytest.mark.parametrize(
    ("sync", "awaited", "only_sync", "only_async"),
    [
        (DatabaseManager, AsyncDatabaseManager, ONLY_SYNC, ONLY_ASYNC),
        (
            Transaction,
            AsyncTransaction,
            # How blocks and streams use it.
            {
                *("commit", "engine", "enter_nested", "hand_over", "leave_nested", "prepare", "rollback"),
                *("slot", "start", "turn", "unit"),
            },
            set(),
        ),
        (Stream, AsyncStream, {"fetch", "holds"}, {"columns"}),
    ],
)
def test_no_call_is_forgotten(sync: type, awaited: type, only_sync: set[str], only_async: set[str]) -> None:
    assert public(sync) - public(awaited) == only_sync
    assert public(awaited) - public(sync) == only_async
    for name in sorted(public(sync) & public(awaited)):
        call = getattr(sync, name)
        if callable(call):
            assert parameters(getattr(awaited, name)) == parameters(call), name


def test_options_and_url_are_those_of_the_manager(database_url: str) -> None:
    db = AsyncDatabaseManager(database_url, pool_max=3)
    assert db.database_url == database_url
    assert db.config.masked_url == db.sync.config.masked_url
    assert repr(db).startswith("<AsyncDatabaseManager ")
    with pytest.raises(ConfigError):
        AsyncDatabaseManager(database_url, pool_max=0)


@dataclass
class Entry:
    v: int


def test_results_are_plain(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        written = await adb.execute(WRITE, {"v": 1})
        assert (written, written.rowcount, type(written)) == ([], 1, Records)
        rows = await adb.execute(READ)
        assert (rows, rows.columns, type(rows)) == ([{"v": 1}], ("v",), Records)
        every = await adb.fetch_all(READ)
        one = await adb.fetch_one(READ)
        assert (every, type(every), one, type(one)) == ([{"v": 1}], Records, {"v": 1}, dict)
        for result in (rows, every, one):
            assert not isinstance(result, (Awaitable, Rows, Row))
        assert await adb.fetch_one(f"{READ} LIMIT 0") is None
        assert (await adb.fetch_value(READ), await adb.fetch_value(f"{READ} LIMIT 0")) == (1, None)
        assert await adb.execute(READ, into=Entry) == [Entry(1)]
        assert await adb.fetch_one(READ, into=Entry) == Entry(1)
        assert await adb.fetch_all(READ, into=Entry) == [Entry(1)]
        assert (await adb.execute("SELECT v AS v FROM journal", into=Entry)).columns == ("v",)

    run(work())


def test_writes_of_many_rows(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        assert await adb.execute_many(WRITE, [{"v": n} for n in range(5)]) == 5
        result = await adb.bulk_insert("journal", ((n, n) for n in range(5, 10)), columns=["v", "w"])
        assert result.rowcount == 5
        assert await adb.insert("journal", {"v": 10}, returning="v") == 10
        with pytest.raises(UniqueViolation):
            await adb.execute_many(WRITE, [{"v": 20}, {"v": 1}])
        assert [row["v"] for row in await adb.execute(READ)] == list(range(11))

    run(work())


def test_schema_scripts_and_the_rest(adb: AsyncDatabaseManager, tmp_path: Path) -> None:
    async def work() -> None:
        assert await adb.health_check() is True
        await adb.create_table("made", {"id": "SERIAL PRIMARY KEY", "name": "VARCHAR(20)"})
        assert await adb.table_exists("made")
        assert set(await adb.list_tables()) >= {"journal", "made"}
        assert await adb.run_script("INSERT INTO journal (v) VALUES (1); INSERT INTO journal (v) VALUES (2)") == 2
        assert (await adb.execute_script("INSERT INTO journal (v) VALUES (3)")).success is True
        failed = await adb.execute_script("INSERT INTO nowhere (v) VALUES (3)")
        assert (failed.success, "nowhere" in str(failed.error_message)) == (False, True)
        assert (await adb.translate("SELECT 1")).sql == "SELECT 1"
        (tmp_path / "V001__own.sql").write_text("CREATE TABLE own (v INTEGER)")
        await adb.migrate([tmp_path], apply_schema=False)
        assert await adb.table_exists("own")
        assert await adb.initialize(apply_schema=False, app_migration_paths=[tmp_path]) is True
        (tmp_path / "V002__bad.sql").write_text("INSERT INTO nowhere (v) VALUES (1)")
        assert await adb.initialize(apply_schema=False, app_migration_paths=[tmp_path]) is False

    run(work())


def test_connecting_and_closing(database_url: str) -> None:
    async def work() -> None:
        db = AsyncDatabaseManager(database_url)
        for call in (
            db.execute("SELECT 1"),
            db.list_tables(),
            db.run_in_transaction(lambda tx: tx.execute("SELECT 1")),
        ):
            with pytest.raises(NotConnectedError):
                await call
        with pytest.raises(NotConnectedError):
            db.transaction()
        with pytest.raises(NotConnectedError):
            await db.stream("SELECT 1").open()
        assert await db.health_check() is False
        async with db as same:
            assert same is db
            assert await db.fetch_value("SELECT 1") == 1
            await db.connect()
        await db.close()
        await db.disconnect()
        with pytest.raises(NotConnectedError):
            await db.execute("SELECT 1")
        assert await db.initialize(apply_schema=False) is True
        assert await db.fetch_value("SELECT 1") == 1
        await db.close()

    base = Base()
    run(work())
    assert base.is_back(), base


def test_connect_raises_and_initialize_tells() -> None:
    db = AsyncDatabaseManager(f"postgresql://root@127.0.0.1:{free_port()}/x", connect_timeout=2, pool_timeout=2)

    async def work() -> None:
        with pytest.raises(OperationalError):
            await db.connect()
        with pytest.raises(OperationalError):
            async with db:
                raise AssertionError("it is not connected")
        assert await db.initialize() is False
        with pytest.raises(OperationalError):
            await db.migrate()

    run(work())


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
@pytest.mark.parametrize("late", [False, True])
def test_a_cancelled_connect_leaves_nothing_open(kind: str, late: bool) -> None:
    """Also where its loop ends with it, and where it comes through only after the cancellation."""
    url = servers.server_url(kind)
    with FaultProxy.before(url) as proxy:
        base = Base()
        db = AsyncDatabaseManager(proxy.url(url), connect_timeout=5, pool_timeout=5)

        async def work() -> None:
            proxy.hold(replies=late, requests=late)
            connecting = asyncio.ensure_future(db.connect())
            await until(lambda: proxy.accepted)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            proxy.heal()

        run(work())
        assert db.sync._connection is None
        assert eventually(lambda: proxy.live == 0)
    assert base.is_back(), base


def test_transactions(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})
            await adb.execute(WRITE, {"v": 2})  # in it, too
            with pytest.raises(UniqueViolation):
                async with tx.transaction() as inner:
                    await inner.execute(WRITE, {"v": 3})
                    await inner.execute(WRITE, {"v": 1})
            async with adb.transaction():
                await adb.execute(WRITE, {"v": 4})
            assert await tx.fetch_all(READ) == [{"v": 1}, {"v": 2}, {"v": 4}]
            assert await tx.fetch_value("SELECT COUNT(*) FROM journal") == 3
            with adb.detached():
                assert await adb.fetch_all(READ) == []
            states = [tx.is_open]
        states.append(tx.is_open)
        assert states == [True, False]
        for straggler in (tx.execute(READ), tx.fetch_one(READ), tx.bulk_insert("journal", [{"v": 9}])):
            with pytest.raises(TransactionClosed):
                await straggler
        with pytest.raises(ZeroDivisionError):
            async with adb.transaction() as tx:
                await tx.execute(WRITE, {"v": 5})
                raise ZeroDivisionError
        async with adb.transaction(read_only=kinds.has_read_only(adb)) as tx:
            assert [row["v"] for row in await tx.execute(READ)] == [1, 2, 4]
            with pytest.raises(DatabaseError):
                async with tx.transaction():
                    await tx.execute(WRITE, {"v": 6 if kinds.has_read_only(adb) else 4})
        assert [row["v"] for row in await adb.execute(READ)] == [1, 2, 4]

    run(work())
    assert settled(adb), books(adb)


def test_transactions_by_string(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        await adb.execute("BEGIN")
        await adb.execute(WRITE, {"v": 1})
        await adb.execute("COMMIT")
        await adb.begin_transaction()
        await adb.execute(WRITE, {"v": 2})
        await adb.rollback_transaction()
        await adb.begin_transaction()
        await adb.execute(WRITE, {"v": 3})
        await adb.commit_transaction()
        assert [row["v"] for row in await adb.execute(READ)] == [1, 3]

    run(work())
    assert settled(adb), books(adb)


def test_run_in_transaction(adb: AsyncDatabaseManager) -> None:
    tried: list[int] = []

    async def conflicting(tx: AsyncTransaction) -> str:
        await tx.execute(WRITE, {"v": len(tried)})
        tried.append(len(tried))
        if len(tried) < 3:
            raise SerializationFailure("again")
        return "done"

    async def swallowing(tx: AsyncTransaction) -> None:
        await tx.execute(WRITE, {"v": 50})
        with pytest.raises(UniqueViolation):
            await tx.execute(WRITE, {"v": 2})

    async def failing(tx: AsyncTransaction) -> None:
        await tx.execute(WRITE, {"v": 60})
        raise SerializationFailure("for ever")

    async def work() -> None:
        assert await adb.run_in_transaction(conflicting) == "done"
        with pytest.raises(TransactionAborted):
            await adb.run_in_transaction(swallowing)
        with pytest.raises(SerializationFailure):
            await adb.run_in_transaction(failing, retries=2)
        assert await adb.fetch_all(READ) == [{"v": 2}]

    run(work())
    assert settled(adb), books(adb)


def test_streams(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        assert [row["n"] async for row in adb.stream(HUNDRED, chunk_size=7)] == list(range(1, 101))
        async with adb.stream(HUNDRED, chunk_size=3) as stream:
            assert stream.columns == ("n",)
            assert [(await stream.__anext__())["n"] for _ in range(5)] == [1, 2, 3, 4, 5]
        with pytest.raises(InterfaceError):
            await stream.__anext__()
        await stream.close()
        await adb.execute(WRITE, {"v": 1})
        assert [entry async for entry in adb.stream(READ, into=Entry)] == [Entry(1)]
        with pytest.raises(SQLSyntaxError):
            async with adb.stream("SELECT 'open"):
                raise AssertionError("it is not open")
        with pytest.raises(UndefinedTable):
            async for _ in adb.stream("SELECT v FROM nowhere"):
                raise AssertionError("there is no row")
        with pytest.raises(ParameterError):
            await adb.stream("SELECT 1", chunk_size=0).open()
        with pytest.raises(ZeroDivisionError):
            async with adb.stream(HUNDRED, chunk_size=3) as stream:
                async for _ in stream:
                    raise ZeroDivisionError

    run(work())
    assert settled(adb), books(adb)


def test_streams_in_transactions(adb: AsyncDatabaseManager) -> None:
    async def work() -> None:
        async with adb.transaction() as tx:
            await tx.execute_many(WRITE, [{"v": n} for n in range(10)])
            seen = [row["v"] async for row in tx.stream(READ, chunk_size=3)]
            async with adb.stream(READ, chunk_size=2) as stream:
                seen.append((await stream.__anext__())["v"])
            await tx.execute(WRITE, {"v": 10})
            left = await tx.stream(READ, chunk_size=2).open()
        with pytest.raises(TransactionClosed):
            async for _ in left:
                assert True
        assert seen == [*range(10), 0]

    run(work())
    assert settled(adb), books(adb)


def test_a_stream_of_before_is_read_inside_a_transaction(make: Make, kind: str) -> None:
    adb = make(pool_max=2)

    async def work() -> None:
        async with adb.stream(HUNDRED, chunk_size=3) as stream:
            assert (await stream.__anext__())["n"] == 1
            async with adb.transaction() as tx:
                await tx.execute(WRITE, {"v": 1})
                assert [row["n"] async for row in stream] == list(range(2, 101))
                assert await tx.fetch_all(READ) == [{"v": 1}]

    run(work())
    assert settled(adb), books(adb)


def test_a_stream_that_has_been_read_needs_nothing_to_be_closed(make: Make) -> None:
    """Its connection went back with the last row, and may be another's for long."""
    adb = make(pool_max=1, pool_timeout=0.3)

    async def work() -> None:
        async with adb.stream(READ) as stream:
            assert [row async for row in stream] == []
            holds, go_on = asyncio.Event(), asyncio.Event()

            async def other() -> None:
                async with adb.transaction():
                    holds.set()
                    await go_on.wait()

            holder = asyncio.ensure_future(other())
            await holds.wait()
            await stream.close()
        go_on.set()
        await holder

    run(work())


def test_in_memory() -> None:
    async def work() -> None:
        async with AsyncDatabaseManager("sqlite:///:memory:") as db:
            await db.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY, w INTEGER)")
            async with db.stream(HUNDRED, chunk_size=10) as stream:
                assert (await stream.__anext__())["n"] == 1
                await db.execute(WRITE, {"v": 1})  # while it is open
                assert (await stream.__anext__())["n"] == 2
            results = await asyncio.gather(*(db.execute(WRITE, {"v": n}) for n in range(2, 30)))
            assert len(results) == 28
            async with db.transaction() as tx:
                await tx.execute(WRITE, {"v": 100})
                assert len([row async for row in tx.stream(READ, chunk_size=4)]) == 30
            assert await db.fetch_value("SELECT COUNT(*) FROM journal") == 30
            assert settled(db), books(db)

    run(work())


def test_who_waits_in_vain_is_told_why(make: Make) -> None:
    adb = make(pool_max=1, pool_timeout=0.2)

    async def work() -> None:
        holding, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with adb.transaction():
                holding.set()
                await done.wait()

        holder = asyncio.create_task(hold(), name="the-one-who-holds")
        await holding.wait()
        with pytest.raises(
            PoolTimeout, match=r"no connection became free in 0\.\d s .*total=1, active=1.*the-one-who-h"
        ):
            await adb.execute("SELECT 1")
        assert await adb.health_check() is False
        done.set()
        await holder
        assert await adb.fetch_value("SELECT 1") == 1

    run(work())
    assert settled(adb), books(adb)


@pytest.mark.parametrize("most", [0, 2])
def test_no_more_wait_than_may(make: Make, most: int) -> None:
    adb = make(pool_max=1, max_waiting=most)

    async def work() -> None:
        assert await adb.fetch_value("SELECT 1") == 1
        holding, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with adb.transaction():
                holding.set()
                await done.wait()

        holder = asyncio.ensure_future(hold())
        await holding.wait()
        waiting = [asyncio.ensure_future(adb.fetch_value("SELECT 1")) for _ in range(most)]
        await asyncio.sleep(0)
        with pytest.raises(PoolTimeout, match=f"{most} tasks wait"):
            await adb.execute("SELECT 1")
        done.set()
        assert [await task for task in (holder, *waiting)] == [None, *[1] * most]

    run(work())


def test_closing_tells_those_in_line(make: Make) -> None:
    adb = make(pool_max=1)

    async def work() -> None:
        holding, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with adb.transaction():
                holding.set()
                await done.wait()

        holder = asyncio.ensure_future(hold())
        await holding.wait()
        waiting = [asyncio.ensure_future(adb.execute("SELECT 1")) for _ in range(3)]
        await asyncio.sleep(0.01)
        await adb.close()
        for task in waiting:
            with pytest.raises(NotConnectedError):
                await task
        done.set()
        await holder  # what is under way may end

    base = Base()
    run(work())
    assert base.is_back(), base
