"""Streams of an in-memory SQLite database, whose one connection everybody shares."""

import gc
import threading
import warnings
from collections.abc import Iterator

import pytest

from nexusql import DatabaseManager
from nexusql.errors import Error, NotConnectedError, OperationalError, PoolTimeout, StreamWarning
from pooling import Threads
from settling import in_use
from stream_tables import COUNT, ENDLESS, OVERFLOWS, fill

IN_ORDER = "SELECT i, t FROM numbers ORDER BY i"


@pytest.fixture
def memory() -> Iterator[DatabaseManager]:
    """An in-memory database with the table `numbers`; who waits for its connection waits long."""
    with DatabaseManager("sqlite://:memory:", pool_timeout=20) as db:
        fill(db)
        yield db


def test_the_body_of_the_loop_may_read_and_write(memory: DatabaseManager) -> None:
    seen = []
    for row in memory.stream(IN_ORDER, chunk_size=100):
        seen.append(row["i"])
        if row["i"] % 100 == 99:
            memory.execute("UPDATE numbers SET t = 'seen' WHERE i <= :i", row)
            assert memory.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'seen'") == len(seen)
    assert seen == list(range(COUNT))
    assert in_use(memory) == 0


def test_rows_already_read_may_be_deleted(memory: DatabaseManager) -> None:
    seen = []
    for row in memory.stream(IN_ORDER, chunk_size=10):
        seen.append(row["i"])
        memory.execute("DELETE FROM numbers WHERE i = :i", row)
    assert seen == list(range(COUNT))
    assert memory.fetch_value("SELECT COUNT(*) FROM numbers") == 0


def test_streams_are_read_inside_each_other(memory: DatabaseManager) -> None:
    sql = "SELECT i FROM numbers WHERE i < 20 ORDER BY i"
    pairs = [(a["i"], b["i"]) for a in memory.stream(sql, chunk_size=3) for b in memory.stream(sql, chunk_size=7)]
    assert pairs == [(a, b) for a in range(20) for b in range(20)]


def test_transactions_in_the_body_commit_and_roll_back(memory: DatabaseManager) -> None:
    seen = []
    for row in memory.stream(IN_ORDER, chunk_size=100):
        seen.append(row["i"])
        if row["i"] % 1000 == 99:
            with memory.transaction() as tx:
                tx.execute("UPDATE numbers SET t = 'kept' WHERE i = :i", row)
    assert seen == list(range(COUNT))
    assert memory.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'kept'") == 5


@pytest.mark.parametrize(
    "undone", ["UPDATE numbers SET t = 'lost'", "DELETE FROM numbers", "CREATE TABLE more (a TEXT)"]
)
def test_a_transaction_rolled_back_in_the_body_is_never_seen_and_never_an_end(
    memory: DatabaseManager, undone: str
) -> None:
    """SQLite reads on as if nothing had been; where the schema was changed, it gives up with an error."""
    seen = []
    rows = memory.stream(IN_ORDER, chunk_size=100)
    try:
        for row in rows:
            seen.append(row)
            if row["i"] == 500:
                with pytest.raises(ZeroDivisionError), memory.transaction() as tx:
                    tx.execute(undone)
                    1 / 0
    except OperationalError:
        assert undone.startswith("CREATE")
    else:
        assert len(seen) == COUNT
    assert {row["t"] for row in seen} == {"text"}
    assert [row["i"] for row in seen] == list(range(len(seen)))
    assert len(list(memory.stream(IN_ORDER))) == COUNT


def test_inside_a_transaction_of_the_same_thread_it_is_refused_at_once(memory: DatabaseManager) -> None:
    """The transaction has the connection, and this thread would have to end it."""
    with memory.stream(IN_ORDER, chunk_size=10) as rows:
        next(rows)
        with memory.transaction() as tx:
            assert len(rows.fetch()) == 9
            with pytest.raises(PoolTimeout, match=r"would never end.* by a transaction at "):
                next(rows)
            assert len(list(tx.stream(IN_ORDER))) == COUNT
    assert in_use(memory) == 0


def test_a_transaction_of_another_thread_is_waited_for(memory: DatabaseManager) -> None:
    rows = memory.stream(IN_ORDER, chunk_size=10)
    next(rows)
    begun, more = threading.Event(), threading.Event()

    def hold() -> None:
        with memory.transaction() as tx:
            tx.execute("UPDATE numbers SET t = 'theirs' WHERE i = 4000")
            begun.set()
            more.wait(0.2)

    with Threads() as threads:
        threads.start(hold)
        assert begun.wait(10)
        texts = {row["i"]: row["t"] for row in rows}
    assert threads.errors == []
    assert texts[4000] == "theirs"
    assert len(texts) == COUNT - 1


def test_in_a_transaction_it_reads_what_that_sees(memory: DatabaseManager) -> None:
    with pytest.raises(ZeroDivisionError), memory.transaction() as tx:
        tx.execute("DELETE FROM numbers WHERE i >= 1000")
        for row in tx.stream(IN_ORDER, chunk_size=10):
            tx.execute("UPDATE numbers SET t = 'new' WHERE i = :i", row)
        assert tx.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'new'") == 1000
        1 / 0
    assert memory.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'text'") == COUNT


def test_closed_or_dropped_it_leaves_nothing_open(memory: DatabaseManager) -> None:
    with memory.stream(ENDLESS) as rows:
        next(rows)
    other = memory.stream(ENDLESS)
    next(other)
    with pytest.raises(OperationalError, match="locked"):
        memory.execute("DROP TABLE digits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StreamWarning)
        del other
        gc.collect()
    memory.execute("DROP TABLE digits")
    assert in_use(memory) == 0


def test_an_error_in_the_middle_is_an_error(memory: DatabaseManager) -> None:
    with pytest.raises(Error, match="overflow"):
        list(memory.stream(OVERFLOWS["sqlite"], chunk_size=100))
    memory.execute("DROP TABLE digits")


def test_after_the_end_of_the_database_it_raises_and_closes(memory: DatabaseManager) -> None:
    rows = memory.stream(IN_ORDER, chunk_size=10)
    next(rows)
    left = memory.stream(IN_ORDER, chunk_size=10)
    next(left)
    memory.close()
    for _ in range(2):
        with pytest.raises(NotConnectedError):
            list(rows)
    rows.close()
    left.close()


def test_threads_read_their_streams_at_the_same_time(memory: DatabaseManager) -> None:
    def read(number: int) -> int:
        return sum(row["i"] == number for row in memory.stream(IN_ORDER, chunk_size=50))

    with Threads(60) as threads:
        for number in range(6):
            threads.start(read, number)
    assert threads.errors == []
    assert threads.results == [1] * 6
