"""Streams that end before their last row: the connection is usable at once, or goes at once."""

import gc
import warnings

import pytest

from nexusql import DatabaseManager
from nexusql.errors import InterfaceError, StreamWarning
from pooling import Threads, eventually
from settling import in_use
from stream_tables import COUNT, ENDLESS

# A stream of ENDLESS that were read to its end would keep these tests for days.


def test_closed_early_it_gives_its_connection_back_at_once(numbers: DatabaseManager) -> None:
    for chunk_size in (1, 1000):
        with numbers.stream(ENDLESS, chunk_size=chunk_size) as rows:
            assert len(next(rows)) == 2
        assert in_use(numbers) == 0
        assert numbers.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


def test_with_one_connection_the_next_statement_has_it(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=1, pool_timeout=10) as db:
        for _ in range(5):
            with db.stream(ENDLESS) as rows:
                next(rows)
            assert db.fetch_value("SELECT 1") == 1


def test_read_on_it_raises_and_closed_again_it_does_nothing(numbers: DatabaseManager) -> None:
    rows = numbers.stream(ENDLESS, chunk_size=10)
    next(rows)
    rows.close()
    rows.close()
    for _ in range(2):
        with pytest.raises(InterfaceError, match="closed before its end"):
            next(rows)
        with pytest.raises(InterfaceError, match="closed before its end"):
            rows.fetch()
    with pytest.raises(InterfaceError, match="closed before its end"):
        rows.open()
    rows.close()
    assert in_use(numbers) == 0


def test_closed_before_it_was_opened_it_runs_nothing(numbers: DatabaseManager) -> None:
    rows = numbers.stream("INSERT INTO numbers (i) VALUES (-1) RETURNING i")
    rows.close()
    with pytest.raises(InterfaceError, match="closed before its end"):
        next(rows)
    assert numbers.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


def test_closed_after_its_end_it_is_still_at_its_end(numbers: DatabaseManager) -> None:
    with numbers.stream("SELECT i FROM numbers") as rows:
        assert len(list(rows)) == COUNT
    rows.close()
    assert list(rows) == []


def test_an_error_in_the_body_closes_it_and_goes_on(numbers: DatabaseManager) -> None:
    with pytest.raises(ZeroDivisionError), numbers.stream(ENDLESS) as rows:
        for _ in rows:
            1 / 0
    assert in_use(numbers) == 0
    with pytest.raises(InterfaceError):
        next(rows)


def test_dropped_it_gives_its_connection_back_and_warns(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=1, pool_timeout=10) as db:
        for _ in range(3):
            rows = db.stream(ENDLESS)
            next(rows)
            with pytest.warns(StreamWarning, match="left open"):
                del rows
            assert db.fetch_value("SELECT 1") == 1
        assert in_use(db) == 0


def test_a_loop_that_is_left_drops_it(numbers: DatabaseManager) -> None:
    def leave() -> None:
        for _ in numbers.stream(ENDLESS):
            break

    with pytest.warns(StreamWarning):
        leave()
    assert in_use(numbers) == 0


def test_dropped_in_a_reference_cycle_it_is_closed_by_the_collector(numbers: DatabaseManager) -> None:
    rows = numbers.stream(ENDLESS)
    next(rows)
    cycle: list[object] = [rows]
    cycle.append(cycle)
    del rows, cycle
    with pytest.warns(StreamWarning):
        gc.collect()
    assert in_use(numbers) == 0


def test_dropped_unopened_or_at_its_end_it_warns_of_nothing(numbers: DatabaseManager) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        numbers.stream("SELECT 1")
        list(numbers.stream("SELECT i FROM numbers"))
        gc.collect()
    assert told == []


def test_dropped_by_many_threads_none_is_lost(numbers: DatabaseManager) -> None:
    def drop() -> int:
        return [len(next(db.stream(ENDLESS))) for _ in range(5)].count(2)

    with DatabaseManager(numbers.database_url, pool_max=2, pool_timeout=30) as db:
        with warnings.catch_warnings(), Threads(60) as threads:
            warnings.simplefilter("ignore", StreamWarning)
            for _ in range(4):
                threads.start(drop)
        assert threads.errors == []
        assert threads.results == [5] * 4
        assert in_use(db) == 0


def test_the_manager_may_be_closed_while_a_stream_is_open(
    numbers: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    db = DatabaseManager(numbers.database_url)
    db.connect(raise_errors=True)
    rows = db.stream("SELECT i FROM numbers ORDER BY i", chunk_size=10)
    next(rows)
    engine = db._connection
    assert engine is not None
    db.close()
    assert f"by a stream at {__file__}:" in caplog.text
    assert [row["i"] for row in rows] == list(range(1, COUNT))
    assert engine.pool.stats().total == 0


@pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)
def test_the_server_stops_what_nobody_reads(numbers: DatabaseManager, kind: str) -> None:
    running = {
        "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT a.i AS i%'",
        "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%SELECT a.i AS i%'"
        " AND pid <> pg_backend_pid()",
    }[kind]
    marked = f"SELECT a.i AS i, '{numbers.database_url[-12:]}' AS mark" + ENDLESS.partition("b.i AS j")[2]
    running += f" AND {'info' if kind == 'mysql' else 'query'} LIKE '%{numbers.database_url[-12:]}%'"
    running += "" if kind == "postgresql" else " AND id <> CONNECTION_ID()"
    with numbers.stream(marked) as rows:
        next(rows)
        assert numbers.fetch_value(running) == 1
    assert eventually(lambda: numbers.fetch_value(running) == 0)
