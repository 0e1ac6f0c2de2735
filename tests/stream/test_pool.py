"""Streams and the pool: many at once, and what is said where they have all there is."""

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinds
from nexusql import DatabaseManager
from nexusql.errors import InterfaceError, PoolTimeout
from pooling import Threads, eventually, in_child
from settling import in_use
from stream_tables import COUNT, ENDLESS

IN_ORDER = "SELECT i FROM numbers ORDER BY i"


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_loop_over_a_stream_may_run_statements_and_other_streams(own: DatabaseManager) -> None:
    sql = "SELECT i FROM numbers WHERE i < 20 ORDER BY i"
    found = []
    for a in own.stream(sql, chunk_size=3):
        own.execute("UPDATE numbers SET t = 'seen' WHERE i = :i", a)
        found += [(a["i"], b["i"]) for b in own.stream(sql, chunk_size=7)]
    assert found == [(a, b) for a in range(20) for b in range(20)]
    assert own.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'seen'") == 20
    assert in_use(own) == 0


def test_a_stream_reads_the_state_at_its_start(own: DatabaseManager) -> None:
    seen = []
    for row in own.stream(IN_ORDER, chunk_size=100):
        if row["i"] == 0:
            own.execute("UPDATE numbers SET i = -i WHERE i > 3000")
            own.execute("INSERT INTO numbers (i) VALUES (100000)")
        seen.append(row["i"])
    assert seen == list(range(COUNT))


def test_many_threads_stream_over_a_small_pool(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=3, pool_timeout=60) as db:

        def read(number: int) -> int:
            if number % 3:
                return sum(row["i"] for row in db.stream(IN_ORDER, chunk_size=100 + number))
            with db.stream(ENDLESS, chunk_size=100 + number) as rows:
                return len(next(rows))

        with Threads(120) as threads:
            for number in range(12):
                threads.start(read, number)
        assert threads.errors == []
        assert sorted(threads.results) == [2] * 4 + [COUNT * (COUNT - 1) // 2] * 8
        assert in_use(db) == 0
        assert db._connection is not None
        assert db._connection.pool.stats().total <= 3


def test_a_thread_whose_own_streams_have_all_connections_is_told_at_once(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=2, pool_timeout=600) as db:
        with db.stream(IN_ORDER, chunk_size=10) as first, db.stream(IN_ORDER, chunk_size=10):
            next(first)
            with pytest.raises(PoolTimeout) as caught:
                db.execute("SELECT 1")
            with pytest.raises(PoolTimeout, match="would never end"):
                next(db.stream(IN_ORDER))
            assert len(list(first)) == COUNT - 1
            assert db.fetch_value("SELECT 1") == 1
        place = f"{re.escape(__file__)}:{line_of('with db.stream(IN_ORDER, chunk_size=10) as first')}"
        text = str(caught.value)
        assert re.search(rf"holds all 2 itself, which would never end; .* by a stream at {place} test_a_thread", text)
        assert text.count("by a stream at") == 2
        assert "contextlib" not in text
        assert in_use(db) == 0


def test_so_is_one_that_has_them_in_a_transaction_and_a_stream(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=2, pool_timeout=600) as db:
        with (
            db.transaction(read_only=kinds.has_read_only(db)),
            db.detached(),
            db.stream(IN_ORDER, chunk_size=10) as rows,
        ):
            next(rows)
            with pytest.raises(PoolTimeout, match=r"by a transaction at .* by a stream at "):
                db.execute("SELECT 1")


def test_another_thread_waits_for_them(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=1, pool_timeout=60) as db:
        assert db._connection is not None
        pool = db._connection.pool
        with Threads() as threads:
            with db.stream(IN_ORDER, chunk_size=10) as rows:
                next(rows)
                threads.start(db.fetch_value, "SELECT 5")
                assert eventually(lambda: pool.stats().waiting == 1)
        assert threads.results == [5]


def test_the_thread_that_opened_it_waits_where_another_reads_it(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=1, pool_timeout=60) as db:
        assert db._connection is not None
        pool = db._connection.pool
        rows = db.stream(IN_ORDER, chunk_size=10).open()
        reading = threading.Event()

        def read() -> int:
            count = len(rows.fetch())
            reading.set()
            assert eventually(lambda: pool.stats().waiting == 1)
            return count + len(list(rows))

        with Threads() as threads:
            threads.start(read)
            assert reading.wait(10)
            assert db.fetch_value("SELECT 5") == 5
        assert threads.results == [COUNT]


def test_its_steps_may_be_taken_by_one_thread_after_the_other(numbers: DatabaseManager) -> None:
    def taken(step: Callable[[], Any]) -> Any:
        with Threads() as threads:
            threads.start(step)
        assert threads.errors == []
        return threads.results[0]

    rows = numbers.stream(IN_ORDER, chunk_size=2000)
    inside = numbers.transaction()
    assert taken(rows.open) is rows
    assert [len(taken(rows.fetch)) for _ in range(2)] == [2000, 2000]
    taken(rows.close)
    assert in_use(numbers) == 0
    with inside as tx:
        rows = tx.stream(ENDLESS)
        assert taken(rows.open) is rows
        assert len(taken(rows.fetch)) == 1000
        taken(rows.close)
        assert taken(lambda: tx.fetch_value("SELECT 5")) == 5


def test_a_time_out_names_the_streams_of_others(numbers: DatabaseManager) -> None:
    with DatabaseManager(numbers.database_url, pool_max=1, pool_timeout=0.5) as db:
        with Threads() as threads, db.stream(IN_ORDER, chunk_size=10) as rows:
            next(rows)
            threads.start(db.fetch_value, "SELECT 5")
            threads.join()
        (error,) = threads.errors
        assert isinstance(error, PoolTimeout)
        assert re.search(rf"held for longest: .* by a stream at {re.escape(__file__)}:\d+ ", str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
@pytest.mark.parametrize("inside", [False, True])
def test_a_child_neither_reads_nor_closes_its_parents_stream(numbers: DatabaseManager, inside: bool) -> None:
    with numbers.transaction(read_only=kinds.has_read_only(numbers)) as tx:
        kept = [tx.stream(IN_ORDER, chunk_size=10) if inside else None]
        with numbers.detached():
            kept[0] = kept[0] or numbers.stream(IN_ORDER, chunk_size=10)
        assert kept[0] is not None
        next(kept[0])

        def child() -> str:
            rows = kept.pop()
            assert rows is not None
            assert len(rows.fetch()) == 9  # copied with the process
            with pytest.raises(InterfaceError, match="belongs to the parent"):
                rows.fetch()
            rows.close()
            del rows
            return "done"

        def dropping_child() -> str:
            kept.clear()
            return "done"

        assert in_child(child) == "done"
        assert in_child(dropping_child) == "done"
        rows = kept.pop()
        assert rows is not None
        assert [row["i"] for row in rows] == list(range(1, COUNT))
        assert tx.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT
    assert in_use(numbers) == 0
