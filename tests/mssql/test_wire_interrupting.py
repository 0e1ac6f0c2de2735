"""Statements that are stopped, streams that are left, and sessions that are closed, by real ODBC drivers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyodbc
import pytest

import tds_drivers
from nexusql import errors
from nexusql.aio import AsyncDatabaseManager
from nexusql.backends.mssql import wire
from nexusql.manager import DatabaseManager
from tds_messages import Request
from tds_server import Rows, Server, Wait

N = {"n": "int", "text": "nvarchar(100)"}


def many(count: int, *behind: Any) -> Any:
    """An answer of many rows, with something behind them."""

    def rows(_: Request) -> Rows:
        return Rows(N, [*((n, "x" * 50) for n in range(count)), *behind])

    return rows


def endless(_: Request) -> Rows:
    """An answer of more rows than anybody reads."""
    return Rows(N, ((n, "x" * 50) for n in range(10_000_000)))


@pytest.mark.parametrize("params", [None, {"n": 1}])
def test_a_statement_is_stopped_at_its_time_limit(
    wired: DatabaseManager, tds: Server, params: dict[str, Any] | None
) -> None:
    tds.on("^WAITFOR", Wait())
    with pytest.raises(errors.QueryTimeout, match="time limit"):
        wired.execute("WAITFOR DELAY '1:00'" + (" WHERE n = :n" if params else ""), params, timeout=0.2)
    assert tds.attentions >= 1
    assert wired.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("answer", [many(1000, Wait()), endless], ids=["waiting", "sending"])
def test_rows_that_a_time_limit_cuts_off_are_never_given_as_all(
    wired: DatabaseManager, tds: Server, answer: Any
) -> None:
    tds.on("^SELECT n", answer)
    with pytest.raises(errors.QueryTimeout, match="time limit"):
        wired.execute("SELECT n FROM t", timeout=0.3)
    assert wired.fetch_value("SELECT 1") == 1


def test_parts_of_a_batch_that_a_time_limit_cuts_off_are_not_taken_for_done(
    wired: DatabaseManager, tds: Server
) -> None:
    tds.on("^EXEC", [1, Wait(), 1])
    with pytest.raises(errors.QueryTimeout, match="time limit"):
        wired.execute("EXEC p", timeout=0.3)


@pytest.mark.parametrize("answer", [Wait(), many(1000, Wait()), endless], ids=["before", "amid", "sending"])
def test_a_transaction_goes_on_after_a_statement_was_stopped(wired: DatabaseManager, tds: Server, answer: Any) -> None:
    tds.on("^SELECT n", answer)
    with wired.transaction() as tx:
        tx.execute("INSERT INTO t (n) VALUES (1)")
        with pytest.raises(errors.QueryTimeout):
            tx.execute("SELECT n FROM t", timeout=0.3)
        assert tx.fetch_value("SELECT 1") == 1
    assert tds.texts[-1] == "COMMIT TRANSACTION"
    assert len(tds.sessions) == 1


@pytest.mark.parametrize(
    ("sql", "expected"),
    [("SELECT n FROM t", errors.QueryTimeout), ("INSERT INTO t (n) VALUES (1)", errors.CommitUncertain)],
)
def test_a_time_limit_holds_for_a_server_that_is_frozen(
    wired: DatabaseManager, tds: Server, sql: str, expected: type[Exception]
) -> None:
    tds.on("^(SELECT n|INSERT)", Wait(60, deaf=True))
    before = time.monotonic()
    with pytest.raises(expected):
        wired.execute(sql, timeout=0.2)
    assert time.monotonic() - before < 20
    assert wired.fetch_value("SELECT 1") == 1


def test_each_session_knows_its_own_socket(
    wired: DatabaseManager, tds: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 10.0)  # also where the machine is slow
    backend, found = wired._connected().backend, []
    threads = [threading.Thread(target=lambda: found.append(backend.connect(wired.config, 10.0))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({raw.wire for raw in found}) == 6
    for raw in found:
        assert not backend.looks_dead(raw)
        backend.cut(raw)
        assert backend.looks_dead(raw)
        assert not backend.ping(raw, 5.0)
        backend.close(raw)


def test_a_cancelled_task_stops_its_statement(tds: Server, driver: str) -> None:
    waiting = threading.Event()

    def wait(_: Request) -> Wait:
        waiting.set()
        return Wait()

    tds.on("^WAITFOR", wait)

    async def act() -> None:
        async with AsyncDatabaseManager(tds_drivers.url(tds, driver), pool_min=0) as db:
            task = asyncio.create_task(db.execute("WAITFOR DELAY '1:00'"))
            await asyncio.to_thread(waiting.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.fetch_value("SELECT 1") == 1

    asyncio.run(act())
    assert tds.attentions >= 1


def test_a_stream_is_read_in_pieces_and_can_be_left(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^SELECT n", many(5000))
    with wired.stream("SELECT n FROM t", chunk_size=300) as rows:
        assert [row["n"] for row in rows] == list(range(5000))
    tds.on("^SELECT n", endless)
    with wired.stream("SELECT n FROM t", chunk_size=300) as rows:
        assert next(iter(rows))["n"] == 0
    with wired.transaction() as tx:
        sessions = len(tds.sessions)
        with tx.stream("SELECT n FROM t", chunk_size=300) as rows:
            assert next(iter(rows))["n"] == 0
        assert tx.fetch_value("SELECT 1") == 1
        assert len(tds.sessions) == sessions


def test_a_stream_reads_no_more_than_it_is_asked_for(wired: DatabaseManager, tds: Server) -> None:
    sent: list[int] = []

    def rows() -> Iterator[tuple[int, str]]:
        for n in range(1_000_000):
            sent[:] = [n]
            yield n, "x" * 100

    tds.on("^SELECT n", lambda request: Rows(N, rows()))
    with wired.stream("SELECT n FROM t", chunk_size=100) as stream:
        reading = iter(stream)
        assert [next(reading)["n"] for _ in range(1000)] == list(range(1000))
        time.sleep(0.3)  # the server sends on, until the network takes no more
        assert sent[0] < 200_000


@pytest.fixture
def raw(wired: DatabaseManager) -> Iterator[Any]:
    """A session without a manager."""
    session = wired._connected().backend.connect(wired.config, 5.0)
    yield session
    wired._connected().backend.close(session)


def test_a_sign_of_life_and_none(wired: DatabaseManager, tds: Server, raw: Any) -> None:
    backend = wired._connected().backend
    assert backend.ping(raw, 5.0)
    tds.on("^SELECT 1$", Wait(deaf=True))
    assert not backend.ping(raw, 0.2)
    before = time.monotonic()
    backend.close(raw)
    assert time.monotonic() - before < 5  # it does not wait for the server
    assert backend.looks_dead(raw)


def test_closing_ends_what_another_thread_waits_for(wired: DatabaseManager, tds: Server, raw: Any) -> None:
    waiting, raised = threading.Event(), []

    def wait(_: Request) -> Wait:
        waiting.set()
        return Wait()

    def run() -> None:
        try:
            raw.run("WAITFOR DELAY '1:00'", None)
        except pyodbc.Error as error:
            raised.append(error)

    tds.on("^WAITFOR", wait)
    thread = threading.Thread(target=run)
    thread.start()
    assert waiting.wait(10)
    wired._connected().backend.close(raw)
    thread.join(10)
    assert not thread.is_alive()
    assert len(raised) == 1
    assert raw.closed


def test_a_cancel_may_come_at_any_moment(wired: DatabaseManager, tds: Server, raw: Any) -> None:
    tds.on("^SELECT n", many(300))
    backend, over = wired._connected().backend, threading.Event()

    def cancel() -> None:
        while not over.is_set():
            backend.cancel(raw, wired.config)

    thread = threading.Thread(target=cancel)
    thread.start()
    outcomes = set()
    try:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            try:
                outcomes.add(len(raw.run("SELECT n FROM t WHERE n > ?", (1,)).fetchall()))
            except pyodbc.Error as error:
                outcomes.add(error.args[0])
    finally:
        over.set()
        thread.join()
    assert outcomes <= {300, "HY008"}
    backend.outlive_cancel(raw)
    assert len(raw.run("SELECT n FROM t WHERE n > ?", (1,)).fetchall()) == 300
