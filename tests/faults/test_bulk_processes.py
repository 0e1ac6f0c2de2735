"""Bulk writes in processes that die and in threads that want the same rows: nothing is half stored."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import servers
from nexusql import DatabaseManager
from nexusql.errors import DeadlockDetected, LockTimeout
from nexusql.results import BulkResult
from pooling import PATIENCE, Threads, eventually
from settling import in_use

ROWS = 1000
CHUNK = 100
ROUNDS = 40 if servers.flag("NEXUSQL_LONG") else 3


@pytest.fixture
def metrics(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE metric (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL)")
    return db


def rows(call: Callable[[int], object] = lambda number: None) -> Iterator[dict[str, Any]]:
    for number in range(ROWS):
        call(number)
        yield {"id": number, "name": f"metric {number}"}


def stored(db: DatabaseManager) -> list[int]:
    return [row["id"] for row in db.execute("SELECT id FROM metric ORDER BY id")]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_at_once() -> None:
    os._exit(9)


def dying(url: str, work: Callable[[DatabaseManager], object]) -> bytes:
    """What a forked child has written to `told` before it died in the middle of `work(db)`; it must not finish."""
    reader, writer = os.pipe()
    tracing = sys.gettrace()
    sys.settrace(None)  # a measurement of coverage has a lock that it does not free in the child
    child = os.fork()
    if not child:
        try:
            os.dup2(writer, TOLD)
            with DatabaseManager(url, pool_min=0) as db:
                work(db)
        finally:
            os._exit(0)
    sys.settrace(tracing)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 9, "the child has finished"
    return told


TOLD = 99  # the descriptor by which a child tells


def whole(kind: str, db: DatabaseManager) -> None:
    """That SQLite finds its file in order."""
    if kind == "sqlite":
        assert db.fetch_value("PRAGMA integrity_check") == "ok"


@pytest.mark.parametrize("end", [die, end_at_once])
@pytest.mark.parametrize("options", [{}, {"on_conflict": "update"}], ids=["plain", "update"])
def test_a_process_that_dies_among_its_rows_has_stored_nothing(
    kind: str, metrics: DatabaseManager, end: Callable[[], None], options: dict[str, Any]
) -> None:
    for place in (1, CHUNK, ROWS - 1):

        def end_there(number: int, place: int = place) -> None:
            if number == place:
                end()

        def work(db: DatabaseManager, there: Callable[[int], None] = end_there) -> None:
            db.bulk_insert("metric", rows(there), chunk_size=CHUNK, **options)

        dying(metrics.database_url, work)
        whole(kind, metrics)
        assert eventually(lambda: stored(metrics) == [])
    assert metrics.bulk_insert("metric", rows()).rowcount == ROWS


def test_a_process_that_dies_at_any_time_has_stored_all_or_nothing(kind: str, metrics: DatabaseManager) -> None:
    dice = random.Random(5)

    def work(db: DatabaseManager) -> None:
        db.fetch_value("SELECT 1")
        threading.Timer(dice.uniform(0, 0.03), die).start()
        while True:
            db.execute("DELETE FROM metric")
            db.bulk_insert("metric", rows(), chunk_size=CHUNK)

    for _ in range(ROUNDS):
        dying(metrics.database_url, work)
        dice.random()
        settled(kind, metrics)
        assert stored(metrics) in ([], list(range(ROWS)))


def settled(kind: str, db: DatabaseManager) -> None:
    """Wait until the server has noticed that a process is gone: then what it held is free."""
    whole(kind, db)
    db.execute("INSERT INTO metric (id, name) VALUES (-1, 'settled')")
    db.execute("DELETE FROM metric WHERE id = -1")


@pytest.mark.mssql_itself
def test_a_reported_write_of_a_process_that_dies_is_whole_after_a_rerun(kind: str, metrics: DatabaseManager) -> None:
    dice = random.Random(6)

    def work(db: DatabaseManager) -> None:
        db.fetch_value("SELECT 1")
        threading.Timer(dice.uniform(0, 0.05), die).start()
        db.bulk_insert(
            "metric",
            rows(lambda number: time.sleep(0.0001)),
            chunk_size=CHUNK,
            on_error="report",
            progress=lambda done: os.write(TOLD, b"%d\n" % done),
        )
        time.sleep(PATIENCE)

    for _ in range(ROUNDS):
        metrics.execute("DELETE FROM metric")
        told = dying(metrics.database_url, work).split()
        dice.random()
        acknowledged = int(told[-1]) if told else 0
        settled(kind, metrics)
        found = stored(metrics)
        assert found == list(range(len(found)))
        assert len(found) % CHUNK == 0
        assert acknowledged <= len(found) <= acknowledged + CHUNK
        again = metrics.bulk_insert("metric", rows(), on_error="report", on_conflict="ignore")
        assert (again.rowcount, again.errors) == (ROWS - len(found), [])
        assert stored(metrics) == list(range(ROWS))


# Others want the same.


@contextmanager
def writer_elsewhere(url: str) -> Iterator[None]:
    """Another process that holds SQLite's writer lock."""
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(from_parent)
            with DatabaseManager(url) as db, db.transaction() as tx:
                tx.execute("INSERT INTO metric (id, name) VALUES (500, 'elsewhere')")
                os.write(from_child, b"x")
                os.read(to_child, 1)
                raise KeyboardInterrupt  # rolls back
        finally:
            os._exit(0)
    assert os.read(to_parent, 1) == b"x"
    try:
        yield
    finally:
        for end in (to_child, from_parent, to_parent, from_child):
            os.close(end)
        os.waitpid(child, 0)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mode", ["raise", "report"])
def test_while_another_process_writes_the_call_waits_and_then_says_so(
    kind: str, metrics: DatabaseManager, mode: Any
) -> None:
    url = f"{metrics.database_url}?busy_timeout=100"
    elsewhere = writer_elsewhere(url)

    def begin(done: int) -> None:
        if done == 3 * CHUNK and mode == "report":
            elsewhere.__enter__()

    if mode == "raise":
        elsewhere.__enter__()
    with DatabaseManager(url) as db:
        with pytest.raises(LockTimeout) as caught:
            db.bulk_insert("metric", rows(), chunk_size=CHUNK, on_error=mode, progress=begin)
        elsewhere.__exit__(None, None, None)
        done = 3 * CHUNK if mode == "report" else 0
        assert stored(db) == list(range(done))
        if mode == "report":
            assert isinstance(caught.value.partial, BulkResult)
            assert (caught.value.partial.done, caught.value.partial.errors) == (done, [])
        assert in_use(db) == 0
        assert db.bulk_insert("metric", rows(), on_conflict="ignore").rowcount == ROWS - done


def test_many_threads_fill_one_table_at_once(kind: str, metrics: DatabaseManager) -> None:
    def fill(part: int) -> int:
        given = ({"id": part * ROWS + number, "name": f"of {part}"} for number in range(ROWS))
        mode: Any = "report" if part % 2 else "raise"
        return metrics.bulk_insert("metric", given, chunk_size=CHUNK, on_error=mode).rowcount

    with Threads(60) as threads:
        for part in range(8):
            threads.start(fill, part)
    assert threads.errors == []
    assert threads.results == [ROWS] * 8
    assert stored(metrics) == list(range(8 * ROWS))
    assert in_use(metrics) == 0


@pytest.fixture
def crowd(kind: str, metrics: DatabaseManager) -> Iterator[DatabaseManager]:
    """A manager for many threads on a filled table, whose server soon looks for deadlocks."""
    metrics.bulk_insert("metric", rows())
    quick = "%20-cdeadlock_timeout=20ms" if kind == "postgresql" else ""
    with DatabaseManager(metrics.database_url + quick) as manager:
        yield manager


@pytest.mark.mssql_itself
def test_upserts_of_the_same_keys_in_opposite_orders_leave_those_of_one_call(kind: str, crowd: DatabaseManager) -> None:
    """Some deadlock, and say so; each of the others has stored all of its rows."""
    done: list[str] = []

    def upsert(part: int) -> None:
        for turn in range(2):
            name = f"of {part}, turn {turn}"
            given = [{"id": number, "name": name} for number in range(ROWS)]
            try:
                result = crowd.bulk_insert("metric", given[:: -1 if part % 2 else 1], on_conflict="update")
            except DeadlockDetected:
                continue
            assert result.rowcount == ROWS
            done.append(name)

    with Threads(60) as threads:
        for part in range(8):
            threads.start(upsert, part)
    assert threads.errors == []
    assert done
    names = {row["name"] for row in crowd.execute("SELECT DISTINCT name FROM metric")}
    assert len(names) == 1
    assert names <= set(done)
    assert len(stored(crowd)) == ROWS
    assert in_use(crowd) == 0


@pytest.mark.mssql_itself
def test_reported_upserts_in_opposite_orders_tell_how_far_they_came(kind: str, crowd: DatabaseManager) -> None:
    def upsert(part: int) -> Any:
        given = [{"id": number, "name": f"of {part}"} for number in range(ROWS)]
        try:
            return crowd.bulk_insert(
                "metric", given[:: -1 if part % 2 else 1], on_conflict="update", on_error="report", chunk_size=250
            )
        except DeadlockDetected as error:
            return error.partial

    with Threads(60) as threads:
        for part in range(8):
            threads.start(upsert, part)
    assert threads.errors == []
    assert any(result.done == ROWS for result in threads.results)
    for result in threads.results:
        assert result.done % 250 == 0
        assert (result.rowcount, result.errors) == (result.done, [])
    # Each chunk is stored as a whole, so within a quarter all have one name.
    for quarter in range(4):
        sql = "SELECT DISTINCT name FROM metric WHERE id >= :low AND id < :high"
        assert len(crowd.execute(sql, {"low": quarter * 250, "high": quarter * 250 + 250})) == 1
