"""Observers: what they are told of, and that nobody else notices them."""

import asyncio
import logging
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexusql import (
    AsyncDatabaseManager,
    ConfigError,
    ConnectionConfig,
    DatabaseManager,
    Event,
    SlowQueryLog,
    Statistics,
)
from nexusql.connection import Connection, ObservedConnection
from nexusql.errors import UndefinedTable

CREATE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text VARCHAR(50))"
INSERT = "INSERT INTO notes (id, text) VALUES (:id, :text)"
SECRET = "no value is told"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def db(database_url: str, events: list[Event]) -> DatabaseManager:
    db = DatabaseManager(database_url, observers=[events.append])
    db.connect(raise_errors=True)
    db.execute(CREATE)
    events.clear()
    return db


def told(events: list[Event]) -> list[tuple[str, str, int]]:
    found = [(event.operation, event.sql or event.table, event.rows) for event in events]
    events.clear()
    return found


def test_each_statement_is_told_with_its_rows(db: DatabaseManager, events: list[Event]) -> None:
    with db:
        db.execute(INSERT, {"id": 1, "text": SECRET})
        assert told(events) == [("INSERT", INSERT, 1)]
        assert db.fetch_value("SELECT COUNT(*) FROM notes") == 1
        db.fetch_all("SELECT id FROM notes WHERE text = :text", {"text": "nothing"})
        assert [event.rows for event in events] == [1, 0]
        assert all(event.seconds > 0 and event.started > 10**18 and event.error is None for event in events)
        assert SECRET not in repr(events)


def test_a_failure_is_told_and_raised(db: DatabaseManager, events: list[Event]) -> None:
    with db, pytest.raises(UndefinedTable) as raised:
        db.execute("SELECT * FROM nowhere")
    assert events[0].error is raised.value
    assert events[0].rows == -1


def test_transactions_bulk_writes_and_streams(db: DatabaseManager, events: list[Event]) -> None:
    with db:
        with db.transaction() as tx:
            tx.execute(INSERT, {"id": 1, "text": "a"})
        assert [operation for operation, *_ in told(events)] == ["BEGIN", "INSERT", "COMMIT"]
        with pytest.raises(ZeroDivisionError), db.transaction():
            raise ZeroDivisionError
        assert [operation for operation, *_ in told(events)] == ["BEGIN", "ROLLBACK"]
        db.bulk_insert("notes", ({"id": n, "text": "b"} for n in range(2, 12)))
        (bulk,) = [event for event in events if event.operation == "BULK INSERT"]
        assert (bulk.table, bulk.rows, bulk.batch) == ("notes", 10, 10)
        events.clear()
        db.execute_many("UPDATE notes SET text = :text WHERE id = :id", [{"id": n, "text": "c"} for n in range(5)])
        assert sum(event.rows for event in events if event.operation == "UPDATE") == 4
        events.clear()
        with db.stream("SELECT id FROM notes") as rows:
            assert len(list(rows)) == 11
        assert ("SELECT", "SELECT id FROM notes", -1) in told(events)


def test_an_observer_that_fails_fails_alone(
    database_url: str, events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise LookupError("broken")

    with DatabaseManager(database_url, observers=[broken, events.append]) as db:
        assert db.fetch_value("SELECT 1") == 1
    assert [event.sql for event in events] == ["SELECT 1"]
    assert "an observer failed" in caplog.text


def test_without_observers_connections_are_plain(database_url: str) -> None:
    for observers, kind in (((), Connection), ((print,), ObservedConnection)):
        manager = DatabaseManager(database_url, observers=observers)
        manager.connect(raise_errors=True)
        engine = manager._connection
        assert engine is not None
        connection = engine.lease()
        assert type(connection) is kind
        engine.pool.release(connection)
        manager.close()


def test_awaited_calls_are_told_too(database_url: str, events: list[Event]) -> None:
    async def run() -> None:
        async with AsyncDatabaseManager(database_url, observers=[events.append]) as db:
            await db.execute("SELECT 1 AS one")
            async with db.transaction() as tx:
                await tx.execute("SELECT 2 AS two")

    asyncio.run(run())
    assert [event.operation for event in events] == ["SELECT", "BEGIN", "SELECT", "COMMIT"]


@pytest.fixture
def event() -> Callable[..., Event]:
    def made(seconds: float, sql: str = "SELECT 1", **values: object) -> Event:
        found = Event("SELECT", sql, ConnectionConfig.from_url("sqlite://:memory:"), seconds=seconds, rows=2)
        for name, value in values.items():
            setattr(found, name, value)
        return found

    return made


def test_what_is_slow_is_logged_without_its_values(
    event: Callable[..., Event], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "nexusql.slow")
    log = SlowQueryLog(0.5)
    log(event(0.4))
    assert caplog.text == ""
    log(event(0.5, "SELECT *\n  FROM notes WHERE text = :text"))
    assert "0.500 s, 2 rows: SELECT * FROM notes WHERE text = :text" in caplog.text
    log(event(1.0, "", operation="COMMIT", error=UndefinedTable("x")))
    assert "1.000 s, UndefinedTable: COMMIT" in caplog.text
    with pytest.raises(ConfigError):
        SlowQueryLog(0)


@given(st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=200))
def test_percentiles_are_exact_to_five_percent(seconds: list[float]) -> None:
    statistics = Statistics()
    config = ConnectionConfig.from_url("sqlite://:memory:")
    for value in seconds:
        statistics(Event("SELECT", "SELECT 1", config, seconds=value, rows=1))
    (summary,) = statistics.report()
    assert summary.calls == summary.rows == len(seconds)
    assert math.isclose(summary.total, sum(seconds))
    ordered = sorted(seconds)
    for part, found in ((0.5, summary.p50), (0.95, summary.p95), (0.99, summary.p99)):
        exact = ordered[math.ceil(part * len(ordered)) - 1]
        assert exact * 0.9999 <= found <= exact * 1.0501


def test_statistics_have_a_bound_and_an_order(event: Callable[..., Event]) -> None:
    statistics = Statistics(most=3)
    for number in range(5):
        statistics(event(number + 1.0, f"SELECT {number}"))
    statistics(event(10.0, "", operation="COMMIT", error=UndefinedTable("x")))
    found = statistics.report()
    assert [summary.sql for summary in found] == ["COMMIT", "SELECT 4", "SELECT 3"]
    assert [summary.errors for summary in found] == [1, 0, 0]
    statistics.reset()
    assert statistics.report() == []


def test_statistics_of_many_threads(database_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    statistics = Statistics()
    with DatabaseManager(database_url, observers=[statistics]) as db, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: db.execute("SELECT 1 AS one"), range(200)))
    assert [(summary.sql, summary.calls) for summary in statistics.report()] == [("SELECT 1 AS one", 200)]
