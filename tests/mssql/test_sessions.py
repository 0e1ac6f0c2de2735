"""A session's calls of the driver: how results are read, and what stops them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyodbc
import pytest

from nexusql.backends.mssql.session import MssqlSession
from nexusql.manager import DatabaseManager
from tsql import Connection, Cursor, Server, Several


@pytest.fixture
def session(db: DatabaseManager) -> Iterator[MssqlSession]:
    """A session without a manager."""
    backend = db._connected().backend
    raw: MssqlSession = backend.connect(db.config, 5.0)
    yield raw
    backend.close(raw)


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (1, 1), (99, 1), (100, 2), (250, 3)])
def test_rows_are_not_asked_for_once_more_when_they_have_ended(
    session: MssqlSession, server: Server, monkeypatch: pytest.MonkeyPatch, count: int, calls: int
) -> None:
    asked, fetch = [], Cursor.fetchmany

    def fetchmany(cursor: Cursor, size: int) -> list[Any]:
        asked.append(size)
        return fetch(cursor, size)

    monkeypatch.setattr(Cursor, "fetchmany", fetchmany)
    server.on("^SELECT n", [(n,) for n in range(count)])
    assert session.run("SELECT n FROM t", None).fetchall() == [(n,) for n in range(count)]
    assert len(asked) == calls
    result = session.run("SELECT n FROM t", None)
    assert result.fetchmany(60) == [(n,) for n in range(min(count, 60))]
    assert result.fetchmany(200) == [(n,) for n in range(60, min(count, 260))]
    result.close()


def test_rows_that_were_read_ahead_come_as_they_are_asked_for(session: MssqlSession, server: Server) -> None:
    server.on("^SELECT n", [(n,) for n in range(5)])
    result = session.run("SELECT n FROM t", None).read_ahead()
    assert result.fetchmany(2) == [(0,), (1,)]
    assert result.fetchall() == [(2,), (3,), (4,)]
    assert result.fetchmany(2) == []
    result.drain()


def test_a_cancel_between_the_parts_of_a_batch_stops_it(
    session: MssqlSession, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, parts = Cursor.nextset, 0

    def nextset(cursor: Cursor) -> bool:
        nonlocal parts
        parts += 1
        if parts == 2:
            session.cancel()
        return advance(cursor)

    monkeypatch.setattr(Cursor, "nextset", nextset)
    server.on("^EXEC", Several([1, 1, 1, 1, 1]))
    with pytest.raises(pyodbc.OperationalError, match="HY008"):
        session.run("EXEC p", None)
    assert parts == 2


def raising(*_: object) -> Any:
    raise pyodbc.ProgrammingError("HY000", "[HY000] no more of it")


def test_an_error_before_a_statement_runs_is_not_taken_for_the_cancel_of_the_last(
    session: MssqlSession, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.cancels = 1
    monkeypatch.setattr(Connection, "cursor", raising)
    with pytest.raises(pyodbc.ProgrammingError, match="no more of it"):
        session.run("SELECT 1", None)


def test_a_cursor_whose_types_are_refused_is_closed(
    session: MssqlSession, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cursor, "setinputsizes", raising)
    before = server.closed_cursors
    with pytest.raises(pyodbc.ProgrammingError, match="no more of it"):
        session.run("SELECT ?", (1,), [None])
    assert server.closed_cursors == before + 1


def test_a_call_that_does_not_end_is_cancelled_ever_more_seldom(session: MssqlSession, server: Server) -> None:
    running, go_on = threading.Event(), threading.Event()

    def wait(_args: object) -> int:
        running.set()
        assert go_on.wait(30)
        return 1

    def quietly(act: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                act()
            except pyodbc.Error as error:
                raised.append(error.args[0])

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    raised: list[str] = []
    server.on("WAITFOR", wait)
    waiting = quietly(lambda: session.run("WAITFOR DELAY '1:00'", None))
    assert running.wait(10)
    closing = quietly(session.close)
    time.sleep(1.2)
    told = server.cancelled
    go_on.set()
    for thread in (waiting, closing):
        thread.join(10)
        assert not thread.is_alive()
    assert 1 <= told <= 4
    assert raised == ["08003"]
