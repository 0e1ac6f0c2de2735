"""Bulk writes take as much memory for a million rows as for a thousand, and leave nothing behind."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pymysql
import pytest

import growth
from nexusql import DatabaseManager
from nexusql.backends.mssql import staging
from nexusql.backends.mysql import bulk
from nexusql.connection import Connection
from nexusql.errors import Error
from settling import in_use

pytestmark = pytest.mark.mssql_itself  # upserts are MERGE there

MEGABYTE = 1_000_000
WRITES = 7  # in each_way()
ROUNDS = 4


@pytest.fixture
def metrics(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE metric (id INTEGER PRIMARY KEY, step INTEGER, value DOUBLE PRECISION, name TEXT NOT NULL)")
    return db


@pytest.mark.parametrize(
    ("count", "ways"), [(200_000, ["plain"]), (20_000, ["report", "shapes, report", "ignore", "update"])]
)
def test_many_rows_take_no_more_memory_than_few(metrics: DatabaseManager, count: int, ways: list[str]) -> None:
    assert growth.growth(metrics.database_url, *ways, count=count, size=20) < 20 * MEGABYTE


def test_what_waits_to_be_written_is_bounded_by_its_bytes(metrics: DatabaseManager) -> None:
    """Rows by their number alone would wait until there are 20,000 of them."""
    ways = ["plain", "shapes", "report", "upserted ids"]
    assert growth.growth(metrics.database_url, *ways, count=30, size=MEGABYTE) < 22 * MEGABYTE


@pytest.mark.long
@pytest.mark.parametrize("way", growth.WAYS)
def test_a_million_rows_take_less_than_100_megabytes(metrics: DatabaseManager, way: str) -> None:
    assert growth.growth(metrics.database_url, way, count=1_000_000, size=20) < 100 * MEGABYTE


@pytest.mark.long
@pytest.mark.parametrize("way", growth.WAYS)
def test_a_thousand_rows_of_a_megabyte_take_less_than_100(metrics: DatabaseManager, way: str) -> None:
    assert growth.growth(metrics.database_url, way, count=1000, size=MEGABYTE) < 100 * MEGABYTE


# Many small ones.


def rows(bad: bool = False) -> list[dict[str, Any]]:
    return [{"id": number, "name": None if bad and number == 4 else "x"} for number in range(6)]


def failing() -> Iterator[dict[str, Any]]:
    yield from rows()
    raise ZeroDivisionError


def each_way(db: Any) -> None:
    """A few writes, of which some fail in one way or another."""
    db.bulk_insert("metric", rows(), on_conflict="update")
    db.bulk_insert("metric", rows(), on_conflict="update", returning="id")
    db.bulk_insert("metric", rows(), on_conflict="ignore")
    db.bulk_insert("metric", rows(bad=True), on_conflict="update", on_error="report")
    db.bulk_insert("metric", rows(bad=True), on_error="report", returning="id")
    for given in (rows(bad=True), failing()):
        with pytest.raises((Error, ZeroDivisionError)):
            db.bulk_insert("metric", given, on_conflict="update")


def left_behind(db: DatabaseManager) -> int:
    """Bytes that a few rounds of writes leave behind."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    repeat(lambda: each_way(db), ROUNDS)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


def what_grows(db: DatabaseManager) -> str:
    """The places whose objects one more round leaves behind, the largest first."""
    gc.collect()
    before = tracemalloc.take_snapshot()
    repeat(lambda: each_way(db), ROUNDS)
    gc.collect()
    differences = tracemalloc.take_snapshot().compare_to(before, "traceback")
    return "\n".join(f"{found.size_diff:+} bytes\n" + "\n".join(found.traceback.format()) for found in differences[:5])


def repeat(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()


@pytest.mark.filterwarnings("ignore:metric is not written to the fastest way")
def test_many_small_writes_leave_no_object(kind: str, metrics: DatabaseManager) -> None:
    few = "?cached_statements=8" if kind == "sqlite" else ""  # or the driver keeps what it has prepared
    with DatabaseManager(metrics.database_url + few, pool_max=1) as db:
        repeat(lambda: each_way(db), 2)
        tracemalloc.start(5)
        try:
            repeat(lambda: each_way(db), 2)
            # What leaks does so every time. What was there before tracing began is replaced by what is traced:
            # about half of the rest in each round, the more of them the more the process had done before.
            leaks = all(left_behind(db) >= ROUNDS * WRITES * 100 for _ in range(30))
            assert not leaks, what_grows(db)
        finally:
            tracemalloc.stop()
        assert in_use(db) == 0


@pytest.mark.filterwarnings("ignore:metric is not written to the fastest way")
def test_many_small_writes_leave_nothing_in_their_session(kind: str, metrics: DatabaseManager) -> None:
    with DatabaseManager(metrics.database_url, pool_max=1) as db:
        assert db._connection is not None
        connection = db._connection.pool.acquire()
        db._connection.pool.release(connection)
        first = next(serial(kind))
        repeat(lambda: each_way(db), 3)
        assert temporary_tables(kind, connection, first) == 0
        with db.transaction() as tx:
            each_way(tx)
            kept = temporary_tables(kind, connection, first)  # PostgreSQL's are used again until the end
            assert kept == 0 or kind == "postgresql"
            repeat(lambda: each_way(tx), 3)
            assert temporary_tables(kind, connection, first) == kept
        assert temporary_tables(kind, connection, first) == 0
        assert connection.is_idle()
        assert not connection.needs_reset
        assert session_is(db, connection)
        db.execute("DROP TABLE metric")  # which no open cursor forbids


def session_is(db: DatabaseManager, connection: Connection) -> bool:
    """Whether the one connection of a manager is still the same."""
    assert db._connection is not None
    now = db._connection.pool.acquire()
    db._connection.pool.release(now)
    return now is connection


def serial(kind: str) -> "count[int]":
    """What numbers the temporary tables of a backend."""
    return staging._serial if kind == "mssql" else bulk._serial


def temporary_tables(kind: str, connection: Connection, first: int) -> int:
    """How many temporary tables of bulk writes a session has; on MySQL and SQL Server those made since `first`."""
    if kind == "mssql":
        made = range(first, next(serial(kind)))
        named = [f"IIF(OBJECT_ID('tempdb..#nexusql_stage_{number}') IS NULL, 0, 1)" for number in made]
        return int(connection._raw.run(f"SELECT 0 + {' + '.join(named or '0')}", None).fetchall()[0][0])
    cursor = connection._raw.cursor()
    if kind != "mysql":
        counted = {
            "sqlite": "SELECT COUNT(*) FROM sqlite_temp_master",
            "postgresql": "SELECT COUNT(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
        }
        cursor.execute(counted[kind])
        return int(cursor.fetchone()[0])
    found = 0
    for number in range(first, next(serial(kind))):
        try:
            cursor.execute(f"SELECT 1 FROM nexusql_seen_keys_{number} LIMIT 0")
            found += 1
        except pymysql.err.ProgrammingError as error:
            if error.args[0] != 1146:
                raise
    return found


@pytest.mark.parametrize("conflict", [None, "update"])
def test_rows_of_changing_shapes_take_no_lock_more(kind: str, metrics: DatabaseManager, conflict: Any) -> None:
    """PostgreSQL's transactions have room for a few thousand locks, some for each table that was ever made in them."""
    given = [
        {"id": number, "name": "x", **({"step": number} if number // 3 % 2 else {"value": 1.5})}
        for number in range(600)
    ]
    with metrics.transaction() as tx:
        assert tx.bulk_insert("metric", given, on_conflict=conflict).rowcount == 600
        if kind == "postgresql":
            assert tx.fetch_value("SELECT COUNT(*) FROM pg_locks WHERE pid = pg_backend_pid()") < 150
    assert metrics.fetch_value("SELECT COUNT(*) FROM metric WHERE step IS NULL AND value = 1.5") == 300
