"""Deadlocks, lock waits, serialization failures and busy databases: doomed transactions and the retry."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kinds import LOCK_WAIT, itself
from nexusql import DatabaseManager
from nexusql.errors import (
    ConnectionLost,
    DeadlockDetected,
    Error,
    LockTimeout,
    SerializationFailure,
    TransactionAborted,
    UniqueViolation,
)
from nexusql.transaction import Transaction

LOCKING = ("mysql", "mssql")  # where what was read is locked until the end, so that nothing fails


@pytest.fixture
def accounts(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, n INTEGER)")
    db.execute("INSERT INTO accounts (id, n) VALUES (1, 0), (2, 0)")
    return db


def in_threads(*works: Callable[[], None]) -> list[BaseException]:
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def amounts(db: DatabaseManager) -> list[int]:
    return [row["n"] for row in db.execute("SELECT n FROM accounts ORDER BY id")]


def add(db: DatabaseManager | Transaction, account: int) -> None:
    db.execute("UPDATE accounts SET n = n + 1 WHERE id = :id", {"id": account})


def only(kind: str, *kinds: str) -> None:
    if kind not in kinds:
        pytest.skip(f"not on {kind}")


@itself
def test_of_a_deadlock_there_is_one_victim_and_the_retry_ends_both(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "postgresql", "mysql", "mssql")
    gate = threading.Barrier(2)
    attempts: list[int] = []

    def cross(first: int, second: int) -> Callable[[], None]:
        def body(tx: Transaction) -> None:
            attempts.append(first)
            add(tx, first)
            if len(attempts) <= 2:
                gate.wait(10)
            add(tx, second)

        return lambda: accounts.run_in_transaction(body)

    assert in_threads(cross(1, 2), cross(2, 1)) == []
    assert amounts(accounts) == [2, 2]
    assert len(attempts) == 3


@itself
def test_a_deadlock_dooms_the_transaction(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "postgresql", "mysql", "mssql")
    gate = threading.Barrier(2)
    outcomes: list[str] = []

    def cross(first: int, second: int) -> None:
        try:
            with accounts.transaction() as tx:
                add(tx, first)
                gate.wait(10)
                try:
                    add(tx, second)
                except DeadlockDetected:
                    with pytest.raises(Error):
                        tx.execute("SELECT 1")
                    outcomes.append("victim")
            outcomes.append("committed")
        except TransactionAborted as error:
            outcomes.append(f"aborted by {type(error.__cause__).__name__}")

    assert in_threads(lambda: cross(1, 2), lambda: cross(2, 1)) == []
    assert sorted(outcomes)[0].startswith("aborted by DeadlockDetected")
    assert sorted(outcomes)[1:] == ["committed", "victim"]
    assert amounts(accounts) == [1, 1]


def hold(db: DatabaseManager, account: int, held: threading.Event, release: threading.Event) -> None:
    with db.transaction() as tx:
        add(tx, account)
        held.set()
        release.wait(20)


@contextmanager
def held(accounts: DatabaseManager, account: int) -> Iterator[None]:
    """Another transaction has changed an account, and goes on."""
    changed, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold, args=(accounts, account, changed, release))
    holder.start()
    assert changed.wait(10)
    try:
        yield
    finally:
        release.set()
        holder.join()


def test_a_lock_that_is_not_granted_dooms_the_whole_transaction(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "postgresql", "mysql")
    with held(accounts, 2), pytest.raises(TransactionAborted), accounts.transaction() as tx:
        tx.execute(LOCK_WAIT[kind].format(300))
        add(tx, 1)
        with pytest.raises(LockTimeout):
            add(tx, 2)
        with pytest.raises(Error):
            add(tx, 1)
    assert amounts(accounts) == [0, 1]


@itself
def test_on_sql_server_it_costs_the_statement_alone(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "mssql")
    with held(accounts, 2), accounts.transaction() as tx:
        tx.execute(LOCK_WAIT[kind].format(300))
        add(tx, 1)
        with pytest.raises(LockTimeout):
            add(tx, 2)
        add(tx, 1)
    assert amounts(accounts) == [2, 1]


@itself
def test_a_serialization_failure_is_run_again_until_the_counter_is_exact(accounts: DatabaseManager, kind: str) -> None:
    def bump(tx: Transaction) -> None:
        if kind == "postgresql":
            tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        n = tx.fetch_value("SELECT n FROM accounts WHERE id = 1" + (" FOR UPDATE" if kind in LOCKING else ""))
        tx.execute("UPDATE accounts SET n = :n WHERE id = 1", {"n": n + 1})

    def work() -> None:
        for _ in range(10):
            accounts.run_in_transaction(bump, retries=200)

    assert in_threads(*[work] * 4) == []
    assert amounts(accounts)[0] == 40


def test_a_serialization_failure_can_come_with_the_commit(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "postgresql")
    accounts.execute("CREATE TABLE dots (c INTEGER)")
    accounts.execute("INSERT INTO dots (c) VALUES (0), (1)")
    gate = threading.Barrier(2)
    outcomes: list[str] = []

    def skew(old: int, new: int) -> None:
        try:
            with accounts.transaction(isolation="SERIALIZABLE") as tx:
                tx.fetch_value("SELECT COUNT(*) FROM dots WHERE c = :c", {"c": old})
                tx.execute("UPDATE dots SET c = :n WHERE c = :o", {"n": new, "o": old})
                gate.wait(10)
            outcomes.append("committed")
        except SerializationFailure:
            outcomes.append("conflict")

    assert in_threads(lambda: skew(0, 1), lambda: skew(1, 0)) == []
    assert sorted(outcomes) == ["committed", "conflict"]


@itself
def test_a_snapshot_conflict_on_mariadb_and_sql_server_dooms(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "mysql", "mssql")
    if kind == "mysql" and not accounts.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"):
        pytest.skip("this server has no innodb_snapshot_isolation")
    level = "SNAPSHOT" if kind == "mssql" else None
    with pytest.raises(TransactionAborted), accounts.transaction(isolation=level) as tx:
        if kind == "mysql":
            tx.execute("SET innodb_snapshot_isolation = 1")
        add(tx, 2)
        tx.fetch_value("SELECT n FROM accounts WHERE id = 1")
        with accounts.detached():
            add(accounts, 1)
        with pytest.raises(SerializationFailure):
            add(tx, 1)
    assert amounts(accounts) == [1, 0]


def test_a_swallowed_error_is_not_committed_by_the_helper(accounts: DatabaseManager) -> None:
    calls: list[int] = []

    def swallow(tx: Transaction) -> None:
        calls.append(1)
        add(tx, 1)
        try:
            tx.execute("INSERT INTO accounts (id, n) VALUES (1, 5)")
        except UniqueViolation:
            calls.append(2)

    with pytest.raises(TransactionAborted):
        accounts.run_in_transaction(swallow)
    assert calls == [1, 2]
    assert amounts(accounts) == [0, 0]


def test_an_error_undone_by_a_nested_block_is_no_obstacle(accounts: DatabaseManager) -> None:
    def heal(tx: Transaction) -> str:
        add(tx, 1)
        with pytest.raises(UniqueViolation), tx.transaction():
            add(tx, 2)
            tx.execute("INSERT INTO accounts (id, n) VALUES (1, 5)")
        return "done"

    assert accounts.run_in_transaction(heal) == "done"
    assert amounts(accounts) == [1, 0]


def test_the_helper_gives_up_after_its_retries_and_passes_other_errors_on(accounts: DatabaseManager) -> None:
    attempts: list[int] = []

    def conflict(_tx: Transaction) -> None:
        attempts.append(1)
        raise SerializationFailure("again")

    with pytest.raises(SerializationFailure):
        accounts.run_in_transaction(conflict, retries=3)
    assert len(attempts) == 4
    with pytest.raises(ZeroDivisionError):
        accounts.run_in_transaction(lambda _tx: 1 / 0)


def test_inside_an_open_transaction_nothing_is_retried(accounts: DatabaseManager) -> None:
    attempts: list[int] = []

    def conflict(tx: Transaction) -> None:
        attempts.append(1)
        add(tx, 1)
        raise SerializationFailure("again")

    with accounts.transaction():
        add(accounts, 2)
        with pytest.raises(SerializationFailure):
            accounts.run_in_transaction(conflict)
    assert attempts == [1]
    assert amounts(accounts) == [0, 1]


def increment(url: str, rounds: int) -> None:
    def bump(tx: Transaction) -> None:
        n = tx.fetch_value("SELECT n FROM accounts WHERE id = 1")
        tx.execute("UPDATE accounts SET n = :n WHERE id = 1", {"n": n + 1})

    with DatabaseManager(url) as db:
        for _ in range(rounds):
            db.run_in_transaction(bump)


def test_threads_and_processes_on_one_sqlite_file_count_exactly(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "sqlite")
    url = accounts.database_url
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=increment, args=(url, 20)) for _ in range(8)]
    for process in processes:
        process.start()
    assert in_threads(*[lambda: increment(url, 20)] * 20) == []
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    assert amounts(accounts)[0] == 28 * 20


def test_sqlite_commits_after_unread_returning_and_with_insert(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "sqlite")
    with accounts.transaction():
        accounts.execute("INSERT INTO accounts (id, n) VALUES (3, 3), (4, 4) RETURNING id")
        accounts.execute("WITH c AS (SELECT 5 AS x) INSERT INTO accounts (id, n) SELECT x, x FROM c")
    assert amounts(accounts) == [0, 0, 3, 4, 5]
    with pytest.raises(ZeroDivisionError), accounts.transaction():
        accounts.run_script("DELETE FROM accounts; INSERT INTO accounts (id, n) VALUES (9, 9)")
        1 / 0
    assert amounts(accounts) == [0, 0, 3, 4, 5]


def test_an_insert_or_rollback_in_sqlite_dooms(accounts: DatabaseManager, kind: str) -> None:
    only(kind, "sqlite")
    with pytest.raises(TransactionAborted), accounts.transaction() as tx:
        add(tx, 1)
        with pytest.raises(UniqueViolation):
            tx.execute("INSERT OR ROLLBACK INTO accounts (id, n) VALUES (1, 1)")
        with pytest.raises(TransactionAborted):
            add(tx, 2)
    assert amounts(accounts) == [0, 0]


def test_a_connection_lost_in_the_middle_is_not_retried(accounts: DatabaseManager) -> None:
    attempts: list[int] = []

    def lose(tx: Transaction) -> None:
        attempts.append(1)
        add(tx, 1)
        raise ConnectionLost("gone")

    with pytest.raises(ConnectionLost):
        accounts.run_in_transaction(lose)
    assert attempts == [1]
    assert amounts(accounts) == [0, 0]
