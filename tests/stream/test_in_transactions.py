"""Streams in a transaction: they read what it sees, beside its other statements, and end with it."""

import contextlib
import warnings
from typing import Any

import pytest

import kinds
import servers
from nexusql import DatabaseManager
from nexusql.errors import (
    Error,
    InterfaceError,
    ProgrammingError,
    StreamWarning,
    TransactionAborted,
    TransactionClosed,
)
from pooling import Threads
from settling import in_use
from stream_tables import COUNT, ENDLESS, OVERFLOWS

IN_ORDER = "SELECT i, t FROM numbers ORDER BY i"
ONE_AT_A_TIME = ("mysql", "mssql")  # that send all of a result before they take another statement


def beside(kind: str) -> None:
    if kind in ONE_AT_A_TIME:
        pytest.skip("sends one result at a time; see test_some_send_one_result_at_a_time")


def session(kind: str, tx: Any) -> Any:
    return None if kind == "sqlite" else tx.fetch_value(kinds.SESSION_ID[kind])


def test_it_reads_what_the_transaction_has_written(numbers: DatabaseManager) -> None:
    with pytest.raises(ZeroDivisionError), numbers.transaction() as tx:
        tx.execute("UPDATE numbers SET t = 'new' WHERE i < 3")
        tx.execute("DELETE FROM numbers WHERE i >= 3000")
        for stream in (tx.stream, numbers.stream):
            rows = list(stream(IN_ORDER, chunk_size=100))
            assert len(rows) == 3000
            assert [row["t"] for row in rows[:4]] == ["new", "new", "new", "text"]
        raise ZeroDivisionError
    assert len(list(numbers.stream(IN_ORDER))) == COUNT


def test_a_transaction_begun_by_a_string_is_joined(numbers: DatabaseManager) -> None:
    numbers.execute("BEGIN")
    numbers.execute("DELETE FROM numbers WHERE i >= 10")
    assert len(list(numbers.stream(IN_ORDER, chunk_size=3))) == 10
    rows = numbers.stream(IN_ORDER, chunk_size=3)
    next(rows)
    numbers.execute("ROLLBACK")
    with pytest.raises(TransactionClosed):
        list(rows)
    assert len(list(numbers.stream(IN_ORDER))) == COUNT


def test_other_statements_run_beside_it(own: DatabaseManager, kind: str) -> None:
    beside(kind)
    with own.transaction() as tx:
        seen = []
        for row in tx.stream(IN_ORDER, chunk_size=100):
            if row["i"] % 500 == 0:
                tx.execute("UPDATE numbers SET t = 'seen' WHERE i = :i", row)
                with tx.transaction() as inner:
                    inner.execute("DELETE FROM digits WHERE d = :d", {"d": row["i"] // 500})
            seen.append(row["i"])
        assert seen == list(range(COUNT))
    assert own.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'seen'") == 10
    assert own.fetch_value("SELECT COUNT(*) FROM digits") == 0


def test_streams_are_read_inside_each_other(numbers: DatabaseManager, kind: str) -> None:
    beside(kind)
    sql = "SELECT i FROM numbers WHERE i < 20 ORDER BY i"
    with numbers.transaction() as tx:
        pairs = [(a["i"], b["i"]) for a in tx.stream(sql, chunk_size=3) for b in tx.stream(sql, chunk_size=7)]
    assert pairs == [(a, b) for a in range(20) for b in range(20)]


@pytest.mark.parametrize("kind", [kind for kind in ONE_AT_A_TIME if kind in servers.KINDS], indirect=True)
def test_some_send_one_result_at_a_time(own: DatabaseManager) -> None:
    with own.transaction() as tx:
        with tx.stream(IN_ORDER, chunk_size=100) as rows:
            found = [next(rows)["i"]]
            for call in (
                lambda: tx.execute("DELETE FROM numbers"),
                lambda: own.fetch_value("SELECT 1"),
                lambda: tx.execute_many("INSERT INTO numbers (i) VALUES (:i)", [{"i": -1}]),
                lambda: next(tx.stream("SELECT 1")),
                lambda: tx.transaction().__enter__(),
                lambda: tx.execute("SAVEPOINT a"),
            ):
                with pytest.raises(ProgrammingError, match="a stream is open in this transaction"):
                    call()
            found += [row["i"] for row in rows]
        assert found == list(range(COUNT))
        assert tx.failure is None
        tx.execute("DELETE FROM numbers WHERE i > 0")
    assert own.fetch_value("SELECT COUNT(*) FROM numbers") == 1


def test_closed_early_the_transaction_goes_on_in_the_same_session(own: DatabaseManager, kind: str) -> None:
    with own.transaction() as tx:
        before = session(kind, tx)
        tx.execute("DELETE FROM numbers WHERE i >= 100")
        tx.execute("INSERT INTO digits (d) VALUES (100)")
        for _ in range(2):
            with tx.stream(ENDLESS.replace("numbers c", "digits c, digits d, digits e, digits f, digits g")) as rows:
                next(rows)
            assert tx.fetch_value("SELECT MAX(d) FROM digits") == 100
        assert session(kind, tx) == before
        tx.execute("INSERT INTO digits (d) VALUES (101)")
    assert own.fetch_value("SELECT COUNT(*) FROM digits WHERE d >= 100") == 2
    assert own.fetch_value("SELECT COUNT(*) FROM numbers") == 100
    assert in_use(own) == 0


def test_dropped_it_is_closed_before_the_next_statement(own: DatabaseManager, kind: str) -> None:
    with own.transaction() as tx:
        before = session(kind, tx)
        tx.execute("INSERT INTO digits (d) VALUES (100)")
        for _ in range(2):
            rows = tx.stream(ENDLESS)
            next(rows)
            with pytest.warns(StreamWarning):
                del rows
            assert tx.fetch_value("SELECT MAX(d) FROM digits") == 100
        assert session(kind, tx) == before
    assert own.fetch_value("SELECT MAX(d) FROM digits") == 100


@pytest.mark.parametrize("how", ["commit", "rollback", "error"])
def test_the_end_of_the_transaction_ends_it(own: DatabaseManager, how: str) -> None:
    kept: list[Any] = []

    def block() -> None:
        with own.transaction() as tx:
            tx.execute("INSERT INTO digits (d) VALUES (100)")
            kept.extend([tx.stream(ENDLESS, chunk_size=10), tx.stream("SELECT 1"), tx])
            next(kept[0])
            if how == "rollback":
                tx.rollback()
            if how == "error":
                1 / 0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if how == "commit":
            block()
        else:
            with pytest.raises(ZeroDivisionError if how == "error" else TransactionClosed):
                block()
        rows, unopened, tx = kept
        assert len(rows.fetch()) == 9  # they had been read before
        for stream in (rows, unopened):
            for _ in range(2):
                with pytest.raises(TransactionClosed):
                    next(stream)
            stream.close()
            stream.close()
        with pytest.raises(TransactionClosed):
            tx.stream("SELECT 1")
        kept.clear()
        del rows, unopened, tx, stream
    assert own.fetch_value("SELECT COUNT(*) FROM digits WHERE d = 100") == (how == "commit")
    assert in_use(own) == 0


@pytest.mark.parametrize("failing", [False, True])
def test_the_end_of_a_nested_block_ends_the_streams_opened_in_it_and_no_others(
    numbers: DatabaseManager, kind: str, failing: bool
) -> None:
    with numbers.transaction() as tx:
        outer = tx.stream(IN_ORDER, chunk_size=10)
        if kind not in ONE_AT_A_TIME:
            next(outer)
        with pytest.raises(ZeroDivisionError), tx.transaction():
            with tx.transaction():
                tx.execute("INSERT INTO digits (d) VALUES (100)")
                inner = tx.stream(ENDLESS, chunk_size=10)
                next(inner)
                if failing:
                    1 / 0
            with pytest.raises(TransactionClosed, match="the block of it"):
                list(inner)
            1 / 0
        with pytest.raises(TransactionClosed, match="the block of it"):
            list(inner)
        inner.close()
        assert [row["i"] for row in outer][-1] == COUNT - 1
        assert tx.fetch_value("SELECT COUNT(*) FROM digits WHERE d = 100") == 0


def test_a_savepoint_that_is_rolled_back_ends_the_streams_opened_since(numbers: DatabaseManager, kind: str) -> None:
    beside(kind)
    with numbers.transaction() as tx:
        before = tx.stream(IN_ORDER, chunk_size=10)
        next(before)
        for _ in range(2):
            tx.execute("SAVEPOINT Here")
            tx.execute("INSERT INTO digits (d) VALUES (100)")
            after = tx.stream(IN_ORDER, chunk_size=10)
            next(after)
            next(before)
            tx.execute("ROLLBACK TO SAVEPOINT here")
            with pytest.raises(TransactionClosed):
                list(after)
        assert [row["i"] for row in before] == list(range(3, COUNT))
        assert tx.fetch_value("SELECT COUNT(*) FROM digits WHERE d = 100") == 0


def test_an_error_in_the_middle_is_an_error_of_the_transaction(numbers: DatabaseManager, kind: str) -> None:
    with contextlib.ExitStack() as stack:
        if kind == "postgresql":  # goes no further, and its end says so
            stack.enter_context(pytest.raises(TransactionAborted))
        tx = stack.enter_context(numbers.transaction())
        with pytest.raises(Error) as caught, tx.transaction():
            rows = tx.stream(OVERFLOWS[kind], chunk_size=100)
            list(rows)
        with pytest.raises(type(caught.value)):
            next(rows)
        assert tx.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT
        with pytest.raises(type(caught.value)):
            list(tx.stream(OVERFLOWS[kind], chunk_size=100))
        assert isinstance(tx.failure, type(caught.value))
        if kind == "postgresql":
            with pytest.raises(TransactionAborted):
                next(tx.stream("SELECT 1"))
        else:
            assert tx.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_statement_that_fails_beside_it_is_no_end(numbers: DatabaseManager) -> None:
    with pytest.raises(TransactionAborted), numbers.transaction() as tx:
        rows = tx.stream(IN_ORDER, chunk_size=10)
        next(rows)
        with pytest.raises(Error):
            tx.execute("SELECT 1 / 0")
        with pytest.raises(TransactionAborted):
            list(rows)
        rows.close()
    assert in_use(numbers) == 0


def test_a_statement_that_fails_in_a_nested_block_harms_no_outer_stream(own: DatabaseManager, kind: str) -> None:
    beside(kind)
    with own.transaction() as tx:
        refused = 0
        for row in tx.stream("SELECT i FROM numbers WHERE i < 30 ORDER BY i", chunk_size=4):
            try:
                with tx.transaction():
                    tx.execute("INSERT INTO numbers (i) VALUES (:i)", {"i": -1 if row["i"] == 7 else row["i"]})
            except Error:
                refused += 1
        assert refused == 29
    assert own.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT + 1


def test_outside_the_transaction_it_has_a_connection_of_its_own(numbers: DatabaseManager) -> None:
    with pytest.raises(ZeroDivisionError), numbers.transaction() as tx:
        tx.execute("DELETE FROM numbers WHERE i >= 10")
        with numbers.detached():
            outside = numbers.stream(IN_ORDER, chunk_size=100)
            next(outside)
        assert len(list(tx.stream(IN_ORDER))) == 10
        assert len(list(outside)) == COUNT - 1
        1 / 0


def test_opened_before_a_transaction_it_is_read_inside_it(own: DatabaseManager) -> None:
    with own.stream(IN_ORDER, chunk_size=100) as rows:
        for row in rows:
            if row["i"] % 1000 == 0:
                with own.transaction() as tx:
                    tx.execute("UPDATE numbers SET t = 'new' WHERE i = :i", row)
    assert own.fetch_value("SELECT COUNT(*) FROM numbers WHERE t = 'new'") == 5


def test_threads_take_turns_with_it(own: DatabaseManager, kind: str) -> None:
    beside(kind)
    with own.transaction() as tx:

        def write(number: int) -> None:
            for i in range(20):
                tx.execute("INSERT INTO digits (d) VALUES (:d)", {"d": 100 * number + i})

        with Threads() as threads:
            for number in range(1, 4):
                threads.start(write, number)
            assert [row["i"] for row in tx.stream(IN_ORDER, chunk_size=50)] == list(range(COUNT))
        assert threads.errors == []
    assert own.fetch_value("SELECT COUNT(*) FROM digits WHERE d >= 100") == 60


def test_in_a_function_that_is_run_again_it_is_read_again(numbers: DatabaseManager) -> None:
    def total(tx: Any) -> int:
        return sum(row["i"] for row in tx.stream(IN_ORDER))

    assert numbers.run_in_transaction(total) == COUNT * (COUNT - 1) // 2


@kinds.on_read_only
def test_read_only_transactions_have_streams_too(numbers: DatabaseManager) -> None:
    with numbers.transaction(read_only=True) as tx:
        assert len(list(tx.stream(IN_ORDER))) == COUNT
        with tx.stream(ENDLESS) as rows:
            next(rows)
        assert tx.fetch_value("SELECT 1") == 1


def test_a_stream_that_was_closed_tells_so_rather_than_the_transaction(numbers: DatabaseManager) -> None:
    with numbers.transaction() as tx:
        rows = tx.stream(ENDLESS)
        next(rows)
        rows.close()
    with pytest.raises(InterfaceError, match="closed before its end"):
        next(rows)
