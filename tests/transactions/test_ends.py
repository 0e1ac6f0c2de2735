"""How transactions end when something goes wrong on the way: everything is given back, once, and nobody is misled."""

import gc
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import kinds
from nexusql import DatabaseManager
from nexusql.connection import Connection
from nexusql.current import open_transactions
from nexusql.errors import (
    Error,
    NotConnectedError,
    NotSupportedError,
    ProgrammingError,
    TransactionAborted,
    TransactionClosed,
    TransactionWarning,
    UniqueViolation,
)
from nexusql.transaction import Transaction
from settling import in_use

Seen = Callable[[], list[int]]


def put(db: Any, *values: int) -> None:
    for value in values:
        db.execute("INSERT INTO journal (v) VALUES (:v)", {"v": value})


def assert_all_given_back(db: DatabaseManager) -> None:
    """No connection is lent, nothing is open in this context, and another thread may write at once."""
    assert open_transactions.get() is None
    assert in_use(db) == 0
    failures: list[BaseException] = []

    def write() -> None:
        try:
            db.execute("DELETE FROM journal WHERE v = -1")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert failures == []


# Interruptions


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """Make the next call of a Connection's method be interrupted, before or after it has done its work."""

    def arm(method: str, after: bool) -> None:
        original = getattr(Connection, method)

        def interrupted(self: Connection, *args: Any) -> Any:
            monkeypatch.setattr(Connection, method, original)
            if after:
                original(self, *args)
            raise KeyboardInterrupt

        monkeypatch.setattr(Connection, method, interrupted)

    return arm


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["begin", "run", "commit", "rollback", "savepoint", "release", "rollback_to"])
def test_an_interruption_anywhere_gives_everything_back(
    journal: DatabaseManager, interrupt: Callable[[str, bool], None], method: str, after: bool
) -> None:
    def work(fails: bool) -> None:
        with suppress(ZeroDivisionError), journal.transaction():
            put(journal, 1)
            with suppress(ZeroDivisionError), journal.transaction():
                put(journal, 2)
                if fails:
                    1 / 0
            if fails:
                1 / 0

    fails = method in ("rollback", "rollback_to")
    if method == "release" and not journal._connected().capabilities.releases_savepoints:
        pytest.skip("a savepoint ends with its transaction there")
    interrupt(method, after)
    with pytest.raises(KeyboardInterrupt):
        work(fails)
    assert_all_given_back(journal)
    rows = [row["v"] for row in journal.execute("SELECT v FROM journal ORDER BY v")]
    assert rows == ([1, 2] if (method, after) == ("commit", True) else [])


def test_an_interrupted_statement_leaves_no_reply_for_the_next_user(
    db: DatabaseManager, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind != "mysql":
        pytest.skip("the other drivers read replies in C, which nothing interrupts")
    import pymysql

    connection: Any = pymysql.connections.Connection
    original = connection._read_packet
    armed: dict[int, int] = {}  # thread -> packets that it still reads

    def read_packet(*args: Any) -> Any:
        thread = threading.get_ident()
        if thread in armed:
            armed[thread] -= 1
            if armed[thread] < 0:
                del armed[thread]
                raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(connection, "_read_packet", read_packet)
    for packets in range(4):
        armed[threading.get_ident()] = packets
        with pytest.raises(KeyboardInterrupt):
            db.execute("SELECT 'a reply nobody has read'")
        assert db.fetch_value("SELECT 'mine'") == "mine"
    assert in_use(db) == 0


def test_a_failing_begin_gives_the_connection_back(db: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("has one isolation level for all")
    refused = {
        "postgresql": "BEGIN ISOLATION LEVEL SNAPSHOT",
        "mysql": "START TRANSACTION ISOLATION LEVEL SNAPSHOT",
        "mssql": "START TRANSACTION READ ONLY",
    }
    with pytest.raises(Error):
        db.execute(refused[kind])
    db.execute("SELECT 1")
    assert open_transactions.get() is None
    assert in_use(db) == 0


@pytest.mark.parametrize("pool_timeout", [0.5])
def test_an_exhausted_pool_gives_the_writers_turn_back(kind: str, database_url: str, pool_timeout: float) -> None:
    with DatabaseManager(database_url, pool_max=1, pool_timeout=pool_timeout) as db:
        db.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY)")
        failures: list[BaseException] = []

        def begin() -> None:
            try:
                with db.transaction():
                    pass
            except Error as error:
                failures.append(error)

        with db.transaction(read_only=kind in kinds.READ_ONLY):
            thread = threading.Thread(target=begin)
            thread.start()
            thread.join()
        assert [type(failure).__name__ for failure in failures] == ["PoolTimeout"]
        assert_all_given_back(db)


# Ends behind the back


def test_a_routine_that_commits_is_told_at_once(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    if kind != "mysql":
        pytest.skip("only MySQL's routines end their caller's transaction")
    journal.execute("CREATE PROCEDURE ends() BEGIN COMMIT; END")
    for statement in (
        "CALL ends()",
        "BEGIN NOT ATOMIC COMMIT; END",
        "EXECUTE IMMEDIATE 'COMMIT'",
        "CASE 1 WHEN 1 THEN COMMIT; END CASE",
    ):
        journal.execute("DELETE FROM journal")
        with pytest.raises(TransactionAborted, match="behind nexusql's back"), journal.transaction() as tx:
            put(tx, 1)
            with pytest.raises(ProgrammingError, match="ended the open transaction"):
                tx.execute(statement)
            with pytest.raises(TransactionAborted):
                put(tx, 2)  # it would commit by itself
        assert seen() == [1]
        assert_all_given_back(journal)


def test_a_statement_that_leaves_a_transaction_open_is_an_error(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    if kind != "mysql":
        pytest.skip("only MySQL's routines begin transactions")
    with pytest.raises(ProgrammingError, match="left a transaction open"):
        journal.execute("BEGIN NOT ATOMIC START TRANSACTION; INSERT INTO journal (v) VALUES (1); END")
    assert seen() == []
    assert_all_given_back(journal)


def test_ddl_that_fails_by_leave_does_not_lose_the_transaction(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    if kind != "mysql":
        pytest.skip("DDL takes part in transactions there")
    with pytest.raises(ZeroDivisionError), journal.transaction(allow_ddl=True):
        put(journal, 1)
        with pytest.raises(Error):
            journal.execute("CREATE TABLE journal (v INTEGER)")
        put(journal, 2)
        1 / 0
    assert seen() == [1]
    with journal.transaction(allow_ddl=True), pytest.raises(NotSupportedError, match="nested"), journal.transaction():
        put(journal, 3)
        journal.execute("CREATE TABLE other (v INTEGER)")
    assert seen() == [1]


def test_ddl_is_refused_for_many_rows_and_for_a_table_named_temp(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    if kind != "mysql":
        pytest.skip("DDL takes part in transactions there")
    with pytest.raises(ZeroDivisionError), journal.transaction() as tx:
        put(tx, 1)
        with pytest.raises(NotSupportedError, match="allow_ddl"):
            tx.execute_many("CREATE TABLE other (v INTEGER)", [()])
        for name in ("temp", "temporary"):
            with pytest.raises(NotSupportedError, match="allow_ddl"):
                tx.execute(f"CREATE TABLE {name} LIKE journal")
        1 / 0
    assert seen() == []


# Swallowed errors


def test_an_error_swallowed_before_a_failing_nested_block_is_remembered(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    if kind == "postgresql":
        pytest.skip("refuses the nested block by itself")
    put(journal, 1)

    def swallow(tx: Transaction) -> None:
        with suppress(UniqueViolation):
            put(tx, 1)
        with suppress(ZeroDivisionError), tx.transaction():
            put(tx, 2)
            1 / 0

    with pytest.raises(TransactionAborted, match="swallowed"):
        journal.run_in_transaction(swallow)
    assert seen() == [1]


def test_an_error_swallowed_inside_a_nested_block_is_remembered(
    journal: DatabaseManager, seen: Seen, kind: str
) -> None:
    put(journal, 1)

    def swallow(tx: Transaction) -> None:
        with tx.transaction():
            with suppress(UniqueViolation):
                put(tx, 1)
            if kind != "postgresql":
                put(tx, 2)

    with pytest.raises(TransactionAborted):
        journal.run_in_transaction(swallow)
    assert seen() == [1]


def test_the_helper_inside_a_block_refuses_swallowed_errors_too(journal: DatabaseManager, seen: Seen) -> None:
    put(journal, 1)

    def swallow(tx: Transaction) -> None:
        put_new = 7
        with suppress(UniqueViolation):
            tx.execute("INSERT INTO journal (v) VALUES (:a), (:b)", {"a": put_new, "b": 1})

    with journal.transaction():
        put(journal, 2)
        with pytest.raises(TransactionAborted):
            journal.run_in_transaction(swallow)
        put(journal, 3)
    assert seen() == [1, 2, 3]


# Nested blocks and savepoints by string


def test_a_string_does_not_end_the_transaction_inside_a_nested_block(journal: DatabaseManager, seen: Seen) -> None:
    journal.execute("BEGIN")
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, 1)
        for end in ("COMMIT", "ROLLBACK"):
            with pytest.raises(ProgrammingError, match="leave the block"):
                journal.execute(end)
        1 / 0
    put(journal, 2)
    journal.execute("COMMIT")
    assert seen() == [2]


def test_savepoints_of_nested_blocks_are_not_to_be_touched(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    quote = kinds.QUOTE[kind]
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, 1)
        with journal.transaction():
            put(journal, 2)
            for name in ("nexusql_1", f"{quote}nexusql_1{quote}", "NEXUSQL_9"):
                with pytest.raises(ProgrammingError, match="nested blocks"):
                    journal.execute(f"SAVEPOINT {name}")
            1 / 0
    assert seen() == []


def test_odd_names_of_savepoints(journal: DatabaseManager, seen: Seen, kind: str) -> None:
    quote = kinds.QUOTE[kind]
    for name in (f"{quote}two words; -- %s :v{quote}", f"{quote}a{quote * 2}b{quote}", "größe", "select_1"):
        journal.execute("DELETE FROM journal")
        journal.execute("BEGIN")
        put(journal, 1)
        journal.execute(f"SAVEPOINT {name}")
        put(journal, 2)
        journal.execute(f"ROLLBACK TO SAVEPOINT {name}")
        journal.execute(f"RELEASE SAVEPOINT {name}")
        journal.execute("COMMIT")
        assert seen() == [1]


def test_rolling_back_behind_a_nested_block_dooms_the_transaction(journal: DatabaseManager, seen: Seen) -> None:
    with pytest.raises(TransactionAborted), journal.transaction():
        put(journal, 1)
        journal.execute("SAVEPOINT earlier")
        with pytest.raises(Error), journal.transaction():
            put(journal, 2)
            journal.execute("ROLLBACK TO SAVEPOINT earlier")
            put(journal, 3)
        with pytest.raises(TransactionAborted):
            put(journal, 4)
    assert seen() == []
    assert_all_given_back(journal)


def test_blocks_left_in_a_wrong_order_doom_the_transaction(journal: DatabaseManager, seen: Seen) -> None:
    with pytest.raises(TransactionAborted), journal.transaction() as tx:
        one, two = tx.transaction(), tx.transaction()
        one.__enter__()
        two.__enter__()
        put(tx, 1)
        with pytest.raises(ProgrammingError, match="order"):
            one.__exit__(None, None, None)
    assert seen() == []


# Forgotten, disconnected, forked


def test_a_transaction_forgotten_after_an_error_needs_no_collector(journal: DatabaseManager) -> None:
    put(journal, 1)

    def forget() -> None:
        journal.execute("BEGIN")
        with suppress(Error):
            put(journal, 1)
        if open_transactions.get():
            with suppress(Error):
                journal.execute("SELECT nonsense")

    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            thread = threading.Thread(target=forget)
            thread.start()
            thread.join()
            del thread
            deadline = time.monotonic() + 5
            while not caught and time.monotonic() < deadline:
                time.sleep(0.01)
        assert [w.category for w in caught] == [TransactionWarning]
        assert_all_given_back(journal)
    finally:
        gc.enable()


def test_an_ended_transaction_keeps_nothing_of_its_callers(journal: DatabaseManager) -> None:
    class Big:
        pass

    def work() -> "weakref.ref[Big]":
        big = Big()
        with suppress(Error), journal.transaction():
            journal.execute("SELECT nonsense")
        return weakref.ref(big)

    gc.collect()
    gc.disable()
    try:
        assert work()() is None
    finally:
        gc.enable()


def test_disconnecting_under_other_threads_lets_them_finish(journal: DatabaseManager) -> None:
    begun, go = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def work() -> None:
        with journal.transaction() as tx:
            put(tx, 1)
            begun.set()
            go.wait(10)
            try:
                put(journal, 9)
            except NotConnectedError:
                outcomes.append("refused")
            put(tx, 2)
        outcomes.append("committed")

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    journal.disconnect()
    go.set()
    thread.join(10)
    assert outcomes == ["refused", "committed"]
    journal.connect(raise_errors=True)
    assert [row["v"] for row in journal.execute("SELECT v FROM journal ORDER BY v")] == [1, 2]


def test_disconnecting_inside_a_block_rolls_it_back_and_says_so(journal: DatabaseManager) -> None:
    with pytest.raises(TransactionClosed), journal.transaction() as tx:
        put(tx, 1)
        journal.disconnect()
        assert journal.connect()
        assert journal.execute("SELECT v FROM journal") == []
        with pytest.raises(TransactionClosed):
            put(tx, 2)
    assert_all_given_back(journal)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
def test_a_child_inside_the_parents_block_can_disconnect(journal: DatabaseManager) -> None:
    with journal.transaction():
        put(journal, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            status = 1
            try:
                journal.disconnect()
                journal.connect(raise_errors=True)
                status = journal.fetch_value("SELECT COUNT(*) FROM journal")
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        put(journal, 2)
    assert journal.fetch_value("SELECT COUNT(*) FROM journal") == 2


def test_threads_that_connect_at_once_share_one_database() -> None:
    for _ in range(20):
        db = DatabaseManager("sqlite://:memory:")
        gate = threading.Barrier(4)

        def connect(db: DatabaseManager = db, gate: threading.Barrier = gate) -> None:
            gate.wait(10)
            db.connect(raise_errors=True)
            db.execute("CREATE TABLE IF NOT EXISTS t (v INTEGER)")
            db.execute("INSERT INTO t (v) VALUES (1)")

        threads = [threading.Thread(target=connect) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 4
        db.disconnect()
