"""Transactions driven by strings, as clients of older releases drive them."""

import logging
import threading
from collections.abc import Callable

import pytest

from nexusql import DatabaseManager
from nexusql.errors import Error, NotSupportedError, ProgrammingError, TransactionAborted, UniqueViolation

Seen = Callable[[], list[int]]


def put(db: DatabaseManager, *values: int) -> None:
    for value in values:
        db.execute("INSERT INTO journal (v) VALUES (:v)", {"v": value})


@pytest.mark.parametrize("begin", ["BEGIN", "begin;", "BEGIN TRANSACTION", " Start Transaction ; "])
@pytest.mark.parametrize("commit", ["COMMIT", "commit transaction;"])
def test_between_begin_and_commit_nothing_is_committed(
    journal: DatabaseManager, seen: Seen, begin: str, commit: str
) -> None:
    assert journal.execute(begin) == []
    put(journal, 1, 2)
    assert seen() == []
    assert journal.fetch_value("SELECT COUNT(*) FROM journal") == 2
    assert journal.execute(commit) == []
    assert seen() == [1, 2]


@pytest.mark.parametrize("rollback", ["ROLLBACK", "Rollback Transaction ;"])
def test_rollback_keeps_what_was_written_before_begin(journal: DatabaseManager, seen: Seen, rollback: str) -> None:
    put(journal, 1)
    journal.execute("BEGIN")
    put(journal, 2)
    journal.execute(rollback)
    assert seen() == [1]
    put(journal, 3)
    assert seen() == [1, 3]


def test_savepoints_by_string(journal: DatabaseManager, seen: Seen) -> None:
    journal.execute("BEGIN")
    put(journal, 1)
    journal.execute("SAVEPOINT one")
    put(journal, 2)
    journal.execute("ROLLBACK TO one")
    put(journal, 3)
    journal.execute("SAVEPOINT two")
    put(journal, 4)
    journal.execute("RELEASE SAVEPOINT two")
    journal.execute("ROLLBACK TO SAVEPOINT one")
    put(journal, 5)
    journal.execute("COMMIT")
    assert seen() == [1, 5]


def test_a_savepoint_heals_a_failed_transaction(journal: DatabaseManager, seen: Seen) -> None:
    journal.execute("BEGIN")
    put(journal, 1)
    journal.execute("SAVEPOINT s")
    with pytest.raises(UniqueViolation):
        put(journal, 1)
    journal.execute("ROLLBACK TO SAVEPOINT s")
    put(journal, 2)
    journal.execute("COMMIT")
    assert seen() == [1, 2]


def test_the_thin_names_do_the_same(journal: DatabaseManager, seen: Seen) -> None:
    journal.begin_transaction()
    put(journal, 1)
    journal.rollback_transaction()
    journal.begin_transaction()
    put(journal, 2)
    journal.commit_transaction()
    assert seen() == [2]


def test_after_an_error_rollback_works_and_commit_tells_the_truth(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    put(journal, 1)
    journal.execute("BEGIN")
    with pytest.raises(UniqueViolation):
        put(journal, 1)
    journal.execute("ROLLBACK")
    journal.execute("BEGIN")
    put(journal, 2)
    with pytest.raises(UniqueViolation):
        put(journal, 1)
    if kind == "postgresql":
        with pytest.raises(Error):
            put(journal, 3)
        with pytest.raises(TransactionAborted):
            journal.execute("COMMIT")
        assert seen() == [1]
    else:
        journal.execute("COMMIT")
        assert seen() == [1, 2]
    put(journal, 9)
    assert 9 in seen()


def test_commit_without_begin_has_no_effect_and_is_logged(
    journal: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert journal.execute("COMMIT") == []
        assert journal.execute("ROLLBACK") == []
    assert caplog.text.count("outside a transaction has no effect") == 2


def test_begin_in_an_open_transaction_is_refused(journal: DatabaseManager, seen: Seen) -> None:
    journal.execute("BEGIN")
    put(journal, 1)
    with pytest.raises(ProgrammingError, match="already open"):
        journal.execute("BEGIN")
    journal.execute("COMMIT")
    assert seen() == [1]


def test_a_string_does_not_end_a_with_block(journal: DatabaseManager, seen: Seen) -> None:
    with journal.transaction():
        put(journal, 1)
        for end in ("COMMIT", "ROLLBACK"):
            with pytest.raises(ProgrammingError, match="with"):
                journal.execute(end)
        journal.execute("SAVEPOINT s")
        put(journal, 2)
        journal.execute("ROLLBACK TO s")
    assert seen() == [1]


def test_a_block_inside_a_string_transaction_is_a_savepoint(journal: DatabaseManager, seen: Seen) -> None:
    journal.execute("BEGIN")
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, 1)
        1 / 0
    with journal.transaction():
        put(journal, 2)
    journal.execute("COMMIT")
    assert seen() == [2]


def test_each_thread_has_its_own_string_transaction(journal: DatabaseManager, seen: Seen) -> None:
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            journal.execute("BEGIN")
            put(journal, n)
            journal.execute("COMMIT" if n % 2 else "ROLLBACK")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen() == [n for n in range(20) if n % 2]


def test_begin_with_options(journal: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        for mode in ("DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
            journal.execute(f"BEGIN {mode}")
            journal.execute("ROLLBACK")
    elif kind == "postgresql":
        journal.execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
        assert journal.fetch_value("SHOW transaction_isolation") == "serializable"
        assert journal.fetch_value("SHOW transaction_read_only") == "on"
        journal.execute("ROLLBACK")
    elif kind == "mssql":
        journal.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        put(journal, 1)
        journal.execute("ROLLBACK")
        with pytest.raises(NotSupportedError, match="no read-only transactions"):
            journal.execute("START TRANSACTION READ ONLY")
    else:
        journal.execute("START TRANSACTION READ ONLY")
        with pytest.raises(Error):
            put(journal, 1)
        journal.execute("ROLLBACK")
    put(journal, 1)
    assert journal.fetch_value("SELECT COUNT(*) FROM journal") == 1
