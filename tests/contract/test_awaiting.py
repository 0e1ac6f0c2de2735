"""Clients that await what is synchronous, and clients that do not, on one manager."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nexusql import DatabaseInterface, DatabaseManager, DatabaseType, QueryResult
from nexusql.errors import NotConnectedError, UndefinedTable


@pytest.fixture
def steps(database_url: str) -> Iterator[DatabaseManager]:
    """As a client's fixture has it: made, initialized and closed by synchronous code around coroutines."""
    db = DatabaseManager(database_url)
    assert asyncio.run(db.initialize(apply_schema=False)) is True
    db.execute("CREATE TABLE steps (id SERIAL PRIMARY KEY, name VARCHAR(50), cost INTEGER)")
    yield db
    asyncio.run(closing(db))
    assert db._connection is None


async def closing(db: DatabaseManager) -> None:
    await db.close()
    await db.disconnect()


INSERT = "INSERT INTO steps (name, cost) VALUES (:name, :cost)"


def test_every_result_may_be_awaited(steps: DatabaseManager) -> None:
    async def run() -> None:
        written = await steps.execute(INSERT, {"name": "a", "cost": 1})
        assert (written, written.row_count, written.success) == ([], 1, True)
        rows = await steps.execute("SELECT name, cost FROM steps")
        assert isinstance(rows, list)
        assert rows.data == rows == [{"name": "a", "cost": 1}]
        assert await steps.fetch_all("SELECT name FROM steps") == [{"name": "a"}]
        found = steps.fetch_one("SELECT name FROM steps")
        assert found is not None
        row = await found
        assert row["name"] == "a"
        assert row.get("cost") is None
        assert row.data[0]["name"] == row.get_first_row()["name"] == "a"
        assert steps.fetch_one("SELECT name FROM steps WHERE name = 'z'") is None

    asyncio.run(run())


def test_a_gathered_mix_of_both_kinds_of_calls(steps: DatabaseManager) -> None:
    async def run() -> list[Any]:
        return list(
            await asyncio.gather(
                steps.execute_async(INSERT, {"name": "a", "cost": 1}),
                steps.execute(INSERT, {"name": "b", "cost": 2}),
                *(steps.execute_async(INSERT, {"name": f"n{n}", "cost": n}) for n in range(20)),
            )
        )

    assert asyncio.run(run()) == [[]] * 22
    assert steps.fetch_value("SELECT COUNT(*) FROM steps") == 22


def test_results_are_what_json_and_comprehensions_take(steps: DatabaseManager) -> None:
    for n in range(3):
        steps.execute(INSERT, {"name": f"n{n}", "cost": n})
    rows = steps.execute("SELECT name, cost FROM steps ORDER BY id")
    assert json.dumps(rows) == json.dumps([{"name": f"n{n}", "cost": n} for n in range(3)])
    assert [dict(row) for row in rows if row["cost"]] == rows[1:]
    assert {**rows[0], "x": 1} == {"name": "n0", "cost": 0, "x": 1}
    assert [*rows] == list(rows)
    first = steps.fetch_one("SELECT name FROM steps ORDER BY id")
    assert json.dumps(first) == '{"name": "n0"}'
    assert bool(steps.execute("SELECT name FROM steps WHERE cost > 9")) is False


@pytest.mark.parametrize("submit", ["run_in_executor", "to_thread", "threads"])
def test_it_is_usable_from_any_thread(steps: DatabaseManager, submit: str) -> None:
    def insert(n: int) -> list[Any]:
        return steps.execute(INSERT, {"name": "x", "cost": n})

    async def run() -> None:
        loop = asyncio.get_running_loop()
        if submit == "run_in_executor":
            with ThreadPoolExecutor(4) as executor:
                await asyncio.gather(*(loop.run_in_executor(executor, insert, n) for n in range(40)))
                rows = await loop.run_in_executor(None, lambda: steps.execute("SELECT COUNT(*) AS n FROM steps"))
        elif submit == "to_thread":
            await asyncio.gather(*(asyncio.to_thread(insert, n) for n in range(40)))
            rows = await asyncio.to_thread(steps.execute, "SELECT COUNT(*) AS n FROM steps")
        else:
            threads = [threading.Thread(target=insert, args=(n,)) for n in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            rows = steps.execute("SELECT COUNT(*) AS n FROM steps")
        assert rows == [{"n": 40}]

    asyncio.run(run())


def test_one_manager_serves_one_event_loop_after_another(steps: DatabaseManager) -> None:
    for n in range(3):
        asyncio.run(steps.in_thread(steps.execute, INSERT, {"name": "loop", "cost": n}))

        async def read() -> Any:
            return await steps.execute_async("SELECT COUNT(*) AS n FROM steps")

        assert asyncio.run(read()) == [{"n": n + 1}]


def test_a_transaction_of_a_task_by_either_kind_of_call(steps: DatabaseManager) -> None:
    async def run(begin: Callable[[], Any], end: str) -> None:
        await begin()
        await steps.execute_async(INSERT, {"name": "a", "cost": 1})
        await steps.execute(INSERT, {"name": "b", "cost": 1})
        await steps.execute_async(end)

    for begin in (lambda: steps.execute_async("BEGIN"), lambda: steps.execute("BEGIN")):
        before = steps.fetch_value("SELECT COUNT(*) FROM steps")
        asyncio.run(run(begin, "ROLLBACK"))
        assert steps.fetch_value("SELECT COUNT(*) FROM steps") == before
        asyncio.run(run(begin, "COMMIT"))
        assert steps.fetch_value("SELECT COUNT(*) FROM steps") == before + 2


def test_execute_async_raises_what_execute_raises(steps: DatabaseManager) -> None:
    async def run() -> None:
        with pytest.raises(UndefinedTable):
            await steps.execute_async("SELECT * FROM nope")
        assert await steps.execute_async("SELECT 1 AS one") == [{"one": 1}]
        steps.disconnect()
        with pytest.raises(NotConnectedError):
            await steps.execute_async("SELECT 1")

    asyncio.run(run())


def test_awaiting_what_fetch_one_did_not_find_fails_in_the_client(steps: DatabaseManager) -> None:
    async def run() -> None:
        await steps.fetch_one("SELECT name FROM steps")  # type: ignore[misc]

    with pytest.raises(TypeError):
        asyncio.run(run())


def test_an_annotated_client_takes_the_manager(steps: DatabaseManager) -> None:
    async def client(db: DatabaseInterface) -> QueryResult:
        assert db.config.database_type in DatabaseType
        db.begin_transaction()
        db.execute(INSERT, {"name": "a", "cost": 1})
        db.commit_transaction()
        return await db.execute_script(f"{INSERT.replace(':name, :cost', chr(39) + 's' + chr(39) + ', 2')};")

    assert isinstance(steps, DatabaseInterface)
    assert asyncio.run(client(steps)).success is True
    assert [row["name"] for row in steps.fetch_all("SELECT name FROM steps ORDER BY id")] == ["a", "s"]
