"""Each call gives what its type says: type checkers hold what `assert_type` says, and the tests that it is true."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typing_extensions import assert_type

from nexusql import (
    Array,
    AsyncDatabaseManager,
    AsyncTransaction,
    BulkResult,
    ConnectionConfig,
    DatabaseManager,
    DatabaseType,
    Event,
    Json,
    QueryResult,
    Records,
    RowError,
    Rows,
    SlowQueryLog,
    Statistics,
    Transaction,
    UniqueViolation,
)

SQL = "SELECT id, name FROM parts ORDER BY id"
ONE = "SELECT id, name FROM parts WHERE id = :id"


@dataclass
class Part:
    id: int
    name: str


def named(first: int, count: int) -> Iterator[dict[str, Any]]:
    return ({"name": f"part {number}"} for number in range(first, first + count))


def writes(db: DatabaseManager) -> None:
    assert_type(db.insert("parts", {"name": "bolt"}), Any)
    insert = "INSERT INTO parts (name) VALUES (:name)"
    assert assert_type(db.execute_many(insert, [{"name": "nut"}, ("cog",)]), int) == 2
    receipt = assert_type(db.bulk_insert("parts", named(1, 3), returning="id"), BulkResult)
    assert all(isinstance(key, int) for key in assert_type(receipt.ids, list[Any]))
    receipt = db.bulk_insert("parts", [Part(10, "axle"), Part(11, "bolt")], on_error="report")
    (refused,) = assert_type(receipt.errors, list[RowError])
    assert isinstance(assert_type(refused.error, Exception), UniqueViolation)
    assert [assert_type(receipt.rowcount, int), assert_type(receipt.strategy, str)] == [1, "values"]


def reads(db: DatabaseManager) -> None:
    db.bulk_insert("parts", named(1, 3))
    rows = db.execute(SQL)
    assert assert_type(rows.columns, tuple[str, ...]) == ("id", "name")
    assert assert_type(rows.rowcount, int) == 3
    assert assert_type(db.fetch_value(ONE, (1,)), Any) == 1
    with db.stream(SQL) as plain:
        for row in plain:
            assert_type(row, dict[str, Any])
    with db.stream(SQL, into=Part) as parts:
        assert [assert_type(part, Part).name for part in parts] == ["part 1", "part 2", "part 3"]


def transactions(db: DatabaseManager) -> None:
    def count(tx: Transaction) -> int:
        return len(tx.execute(SQL))

    assert assert_type(db.run_in_transaction(count), int) == 0
    with db.transaction(isolation="SERIALIZABLE") as tx:
        assert_type(tx, Transaction)
        with tx.transaction() as nested:
            assert assert_type(nested, Transaction).execute_many("DELETE FROM parts WHERE id = :id", [{"id": 1}]) == 0


def the_schema(db: DatabaseManager) -> None:
    assert assert_type(db.list_tables(), list[str]) == ["parts"]
    assert assert_type(db.table_exists("parts"), bool)
    assert assert_type(db.run_script("SELECT 1; SELECT 2"), int) == 2
    assert assert_type(db.translate("SELECT 1").sql, str) == "SELECT 1"
    assert assert_type(db.config.database_type, DatabaseType) is DatabaseType.SQLITE


def values(db: DatabaseManager) -> None:
    row = db.fetch_one("SELECT :a AS a, :b AS b", {"a": Json({"x": 1}), "b": Array([1, 2])})
    assert row == {"a": '{"x": 1}', "b": "[1, 2]"}


def options(db: DatabaseManager) -> None:
    def seen(event: Event) -> None:
        operations.append(event.operation)

    operations: list[str] = []
    config = ConnectionConfig(DatabaseType.SQLITE, "sqlite://:memory:")
    with DatabaseManager(config, observers=[SlowQueryLog(60), Statistics(), seen], adapters={complex: str}) as other:
        assert assert_type(other, DatabaseManager).fetch_value("SELECT :c", {"c": 1j}) == "1j"
    assert operations == ["SELECT"]
    assert assert_type(db.health_check(), bool)


def of_old_clients(db: DatabaseManager) -> None:
    async def run() -> None:
        rows = assert_type(await db.execute(SQL), Rows[dict[str, Any]])
        assert rows == []
        assert_type(await db.execute_script("SELECT 1"), QueryResult)
        assert assert_type(await db.initialize(apply_schema=False), bool)
        await db.close()

    asyncio.run(run())


async def awaited_reads(db: AsyncDatabaseManager) -> None:
    await db.bulk_insert("parts", named(1, 2))
    assert_type(await db.execute(SQL), Records[dict[str, Any]])
    assert_type(await db.fetch_all(SQL, into=Part), Records[Part])
    assert assert_type(await db.fetch_one(ONE, {"id": 1}, into=Part), Part | None) == Part(1, "part 1")
    assert assert_type(await db.fetch_one(ONE, {"id": 9}), dict[str, Any] | None) is None
    assert assert_type(await db.fetch_value(ONE, {"id": 2}, timeout=5), Any) == 2
    async with db.stream(SQL, into=Part) as rows:
        assert [assert_type(part, Part).id async for part in rows] == [1, 2]
    async for row in db.stream(SQL):
        assert_type(row, dict[str, Any])


async def awaited_writes(db: AsyncDatabaseManager) -> None:
    async def work(tx: AsyncTransaction) -> str:
        return str(await tx.insert("parts", {"name": "bolt"}))

    assert assert_type(await db.run_in_transaction(work), str) == "1"
    assert_type(await db.bulk_insert("parts", named(1, 2)), BulkResult)
    async with db.transaction() as tx, tx.transaction() as nested:
        assert assert_type(nested, AsyncTransaction) is not tx
        assert assert_type(await tx.execute_many("DELETE FROM parts WHERE name = :name", named(1, 2)), int) == 2
    found = await asyncio.gather(*(db.execute(SQL, into=Part) for _ in range(3)))
    assert assert_type(found, list[Records[Part]]) == [[Part(1, "bolt")]] * 3


async def gives_rows(db: AsyncDatabaseManager) -> AsyncIterator[Part]:
    async for part in db.stream(SQL, into=Part):
        yield part


async def through_a_generator_of_the_caller(db: AsyncDatabaseManager) -> None:
    await db.insert("parts", {"name": "bolt"})
    assert [part.name async for part in gives_rows(db)] == ["bolt"]


CASES = (writes, reads, transactions, the_schema, values, options, of_old_clients)
AWAITED = (awaited_reads, awaited_writes, through_a_generator_of_the_caller)
TABLE = {"id": "SERIAL PRIMARY KEY", "name": "VARCHAR(50) NOT NULL UNIQUE"}


@pytest.mark.parametrize("check", CASES, ids=lambda check: check.__name__)
def test_calls_give_what_their_type_says(check: Callable[[DatabaseManager], None]) -> None:
    with DatabaseManager("sqlite://:memory:") as db:
        db.create_table("parts", TABLE)
        check(db)


@pytest.mark.parametrize("check", AWAITED, ids=lambda check: check.__name__)
def test_awaited_calls_give_what_their_type_says(
    check: Callable[[AsyncDatabaseManager], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        async with AsyncDatabaseManager("sqlite://:memory:") as db:
            await db.create_table("parts", TABLE)
            await check(db)

    asyncio.run(run())
