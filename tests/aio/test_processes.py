"""fork and spawn after the async layer was used: the child has threads, slots and connections of its own."""

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

from loops import Make, books, run, settled
from nexusql import AsyncDatabaseManager
from nexusql.errors import TransactionClosed
from pooling import PATIENCE, in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")

WRITE = "INSERT INTO journal (v, w) VALUES (:v, 0)"


async def use(adb: AsyncDatabaseManager, v: int) -> int:
    """Use it in every way; the number comes back."""
    async with adb.transaction() as tx:
        await tx.execute(WRITE, {"v": v})
    async with adb.stream("SELECT :v + 0 AS v", {"v": v}) as stream:
        own = [row["v"] async for row in stream]
    assert own == [v]
    found: int = await adb.fetch_value("SELECT :v + 0 AS v", {"v": v}, timeout=PATIENCE)
    return found


def use_of_ones_own(url: str, v: int) -> int:
    """For a process of multiprocessing."""

    async def work() -> int:
        async with AsyncDatabaseManager(url) as adb:
            return await use(adb, v)

    return run(work())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_anew(make: Make) -> None:
    adb = make(pool_max=2)

    def in_the_child() -> int:
        return run(use(adb, 2))

    assert run(use(adb, 1)) == 1
    assert in_child(in_the_child) == 2
    assert run(use(adb, 3)) == 3
    assert [row["v"] for row in adb.sync.execute("SELECT v FROM journal ORDER BY v")] == [1, 2, 3]
    assert settled(adb), books(adb)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_in_a_transaction_has_no_part_in_it(make: Make) -> None:
    adb = make(pool_max=2)

    def in_the_child() -> list[str]:
        async def work() -> str:
            try:
                await adb.execute(WRITE, {"v": 9})
            except TransactionClosed as error:
                return str(error)
            return "written"

        async def detached() -> int:
            with adb.detached():
                return int(await adb.fetch_value("SELECT 41 + 1"))

        return [run(work()), str(run(detached()))]

    async def work() -> list[str]:
        async with adb.transaction() as tx:
            await tx.execute(WRITE, {"v": 1})
            told: list[str] = in_child(in_the_child)
            await tx.execute(WRITE, {"v": 2})
        return told

    told = run(work())
    assert "belongs to the parent process" in told[0]
    assert told[1] == "42"
    assert [row["v"] for row in adb.sync.execute("SELECT v FROM journal ORDER BY v")] == [1, 2]
    assert settled(adb), books(adb)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_multiprocessing(make: Make, database_url: str, method: str) -> None:
    adb = make(pool_max=2)
    assert run(use(adb, 0)) == 0
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(use_of_ones_own, [(database_url, v) for v in (1, 2)]) == [1, 2]
    assert run(use(adb, 3)) == 3
    assert settled(adb), books(adb)


def test_a_process_ends_while_statements_are_under_way(database_url: str, kind: str) -> None:
    """Neither threads nor the watchdog keep an interpreter from ending, and nothing is written on stderr."""
    program = """
        import asyncio, os, sys
        from nexusql import AsyncDatabaseManager
        adb = AsyncDatabaseManager(sys.argv[1], pool_max=3)

        async def work():
            await adb.connect()
            tasks = [asyncio.ensure_future(adb.fetch_value("SELECT 41 + 1", timeout=30)) for _ in range(20)]
            assert await tasks[0] == 42
            asyncio.ensure_future(adb.execute("BEGIN"))
            await asyncio.sleep(0.01)

        asyncio.run(work())
        child = os.fork()
        if child == 0:
            asyncio.run(adb.fetch_value("SELECT 41 + 1"))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("done")
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), database_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
