"""Group commit where the server or the process dies midway: what was acknowledged is stored."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexusql import DatabaseManager
from nexusql.errors import CommitUncertain, ConnectionLost, Error, OperationalError
from throwaway import SERVERS, Server

INSERT = "INSERT INTO journal (v, note) VALUES (:v, :note)"
CREATE = "CREATE TABLE journal (v INTEGER PRIMARY KEY, note VARCHAR(50))"
TASKS = 60


@pytest.fixture(params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param](max_connections=40) as server:
        yield server


def stored(url: str) -> set[int]:
    with DatabaseManager(url) as db:
        return {row["v"] for row in db.execute("SELECT v FROM journal")}


@pytest.mark.parametrize("after", [150, 700])
def test_every_acknowledged_row_outlives_a_killed_server(server: Server, after: int) -> None:
    acknowledged: set[int] = set()
    failures: list[Error] = []

    async def write(db: DatabaseManager, first: int) -> None:
        for v in range(first, 100_000, TASKS):
            try:
                await db.execute_async(INSERT, {"v": v, "note": "x" * 40})
            except Error as error:
                failures.append(error)
                return
            acknowledged.add(v)
            if len(acknowledged) == after:
                os.kill(server.pid, signal.SIGKILL)

    async def run(db: DatabaseManager) -> None:
        await asyncio.gather(*(write(db, first) for first in range(TASKS)))

    with DatabaseManager(server.url, group_commit=True, pool_timeout=3) as db:
        db.execute(CREATE)
        asyncio.run(run(db))
    server.kill()
    server.start()
    assert len(failures) == TASKS
    assert all(isinstance(error, (ConnectionLost, CommitUncertain, OperationalError)) for error in failures)
    assert len({id(error) for error in failures}) == TASKS
    assert len(acknowledged) >= after
    found = stored(server.url)
    assert acknowledged <= found
    assert len(found) <= len(acknowledged) + TASKS


WRITER = """
import asyncio, sys
from nexusql import DatabaseManager

async def write(db, first):
    for v in range(first, 100_000, 60):
        await db.execute_async("INSERT INTO journal (v, note) VALUES (:v, :note)", {"v": v, "note": "x"})
        print(v, flush=True)

async def run(url):
    with DatabaseManager(url, group_commit=True) as db:
        await asyncio.gather(*(write(db, first) for first in range(60)))

asyncio.run(run(sys.argv[1]))
"""


def test_every_acknowledged_row_outlives_a_killed_process_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    with DatabaseManager(url) as db:
        db.execute(CREATE)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        acknowledged = {int(writer.stdout.readline()) for _ in range(500)}
        writer.kill()
        lines = writer.stdout.read().split("\n")
    acknowledged |= {int(line) for line in lines[:-1]}  # the last may be cut off
    assert writer.wait(10) == -signal.SIGKILL
    assert acknowledged <= stored(url)


def test_a_lost_connection_is_every_callers_and_the_next_group_is_written(server: Server) -> None:
    async def insert(db: DatabaseManager, first: int) -> list[object]:
        calls = (db.execute_async(INSERT, {"v": v, "note": "x"}) for v in range(first, first + 20))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    with DatabaseManager(server.url, group_commit=True, pool_max=2, pool_timeout=2) as db:
        db.execute(CREATE)
        assert asyncio.run(insert(db, 0)) == [[]] * 20
        server.kill()
        results = asyncio.run(insert(db, 100))
        assert all(isinstance(result, OperationalError) for result in results)
        server.start()
        assert asyncio.run(insert(db, 200)) == [[]] * 20
    found = stored(server.url)
    assert set(range(20)) | set(range(200, 220)) <= found
