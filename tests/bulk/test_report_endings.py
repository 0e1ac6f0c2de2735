"""on_error="report": what is about no row ends the call at once, and says what is stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import pytest

import guests
import kinds
import poison
import servers
from kinds import itself, on_read_only, on_servers
from nexusql import DatabaseManager
from nexusql.errors import (
    DeadlockDetected,
    Error,
    LockTimeout,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    TransactionAborted,
    UndefinedTable,
    UniqueViolation,
)
from nexusql.results import BulkResult
from poison import Attempts, good, rows, stored
from pooling import Threads, eventually, run

CHUNK = 100
Change = Callable[[], object]


@pytest.fixture
def items(kind: str) -> Iterator[DatabaseManager]:
    with poison.item_table(kind) as manager:
        yield manager


@contextmanager
def other(db: DatabaseManager, **options: Any) -> Iterator[DatabaseManager]:
    """Another manager on the same database."""
    with DatabaseManager(db.database_url, **options) as manager:
        yield manager


def ending(
    db: Any, given: list[Any], *, after: int = -1, change: Change = lambda: None, **options: Any
) -> tuple[Error, BulkResult]:
    """The error by which a call ends, and its receipt of what is stored; `change` is called after so many rows."""

    def progress(done: int) -> None:
        if done == after:
            change()

    with pytest.raises(Error) as caught:
        db.bulk_insert("item", given, on_error="report", chunk_size=CHUNK, progress=progress, **options)
    partial = caught.value.partial
    assert isinstance(partial, BulkResult)
    return caught.value, partial


def many(bad: dict[int, str] | None = None) -> list[Any]:
    return rows(5 * CHUNK, bad or {})


def check_partial(db: DatabaseManager, partial: BulkResult, bad: tuple[int, ...] = ()) -> None:
    """That the first `done` rows are stored but for the bad ones, and no other."""
    told = [error.index for error in partial.errors]
    assert told == [number for number in bad if number < partial.done]
    assert stored(db) == [number for number in range(partial.done) if number not in told]
    assert partial.rowcount == partial.done - len(told)


def test_a_table_that_is_dropped_meanwhile_ends_the_call(kind: str, items: DatabaseManager) -> None:
    with other(items) as they:
        error, partial = ending(
            items, many({5: "null"}), after=2 * CHUNK, change=lambda: they.execute("DROP TABLE item")
        )
        assert isinstance(error, UndefinedTable)
        assert (partial.done, partial.rowcount) == (2 * CHUNK, 2 * CHUNK - 1)
        assert [refused.index for refused in partial.errors] == [5]
        they.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, other VARCHAR(10))")
        assert items.bulk_insert("item", [{"id": 1, "other": "x"}]).rowcount == 1


@on_servers
def test_a_missing_privilege_is_nobody_rows_fault(kind: str, items: DatabaseManager) -> None:
    with guests.guest(kind, items) as guest:
        items.execute(f"GRANT SELECT, INSERT ON item TO {guest.name}")
        if kind == "postgresql":
            items.execute(f"GRANT USAGE ON SEQUENCE item_statements TO {guest.name}")
            items.execute(f"GRANT SELECT ON owner TO {guest.name}")
        if kind == "mssql":
            items.execute(f"GRANT UPDATE ON item_nexusql_seq TO {guest.name}")
        with DatabaseManager(guest.url) as they:
            revoke = f"REVOKE INSERT ON item FROM {guest.name}"
            error, partial = ending(they, many(), after=2 * CHUNK, change=lambda: items.execute(revoke))
    assert error.code in ("42501", 1142, 229)
    assert partial.done == 2 * CHUNK
    check_partial(items, partial)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("conflict", [None, "ignore"])
@pytest.mark.filterwarnings("ignore:item is not written to the fastest way")
def test_a_row_that_a_policy_refuses_is_a_bad_row(kind: str, items: DatabaseManager, conflict: Any) -> None:
    items.execute("ALTER TABLE item ENABLE ROW LEVEL SECURITY")
    items.execute("CREATE POLICY small ON item USING (id < 250 OR id > 260) WITH CHECK (id < 250 OR id > 260)")
    with guests.guest(kind, items) as guest:
        items.execute(f"GRANT SELECT, INSERT ON item TO {guest.name}")
        items.execute(f"GRANT USAGE ON SEQUENCE item_statements TO {guest.name}")
        with DatabaseManager(guest.url) as they:
            result = they.bulk_insert("item", many(), on_error="report", on_conflict=conflict)
            assert [(refused.index, type(refused.error).__name__) for refused in result.errors] == [
                (number, "InsufficientPrivilege") for number in range(250, 261)
            ]
            assert result.rowcount == 5 * CHUNK - 11


def test_a_lock_that_is_not_granted_ends_the_call(kind: str, items: DatabaseManager) -> None:
    wait = {"sqlite": "&busy_timeout=50", "postgresql": "%20-clock_timeout=50ms"}.get(kind, "")
    patience = 0.2 if kind == "sqlite" else 30.0  # there it is the wait for another writer of this process, too
    with (
        DatabaseManager(items.database_url + wait, pool_max=1, pool_timeout=patience) as waiting,
        other(items) as they,
    ):
        if not wait:
            set_in_session(waiting, kinds.LOCK_WAIT[kind].format(50))
        block = they.transaction()

        def lock() -> None:
            block.__enter__().execute("INSERT INTO item (id, name) VALUES (333, 'mine')")

        error, partial = ending(waiting, many({205: "null"}), after=2 * CHUNK, change=lock)
        block.__exit__(ValueError, ValueError(), None)
    assert isinstance(error, LockTimeout)
    check_partial(items, partial, (205,))
    assert partial.done == (2 if kind == "sqlite" else 3) * CHUNK


def set_in_session(db: DatabaseManager, setting: str) -> None:
    """Change the one session of a manager, which is kept as if it had come so."""
    assert db._connection is not None
    connection = db._connection.pool.acquire()
    run(connection, setting)
    db._connection.pool.release(connection)


def raw_session(db: DatabaseManager) -> Any:
    """What the backend has of the one session of a manager."""
    assert db._connection is not None
    connection = db._connection.pool.acquire()
    db._connection.pool.release(connection)
    return connection._raw


@on_servers
@itself
def test_a_deadlock_ends_the_call_and_in_an_open_transaction_tells_whether_the_rest_is_still_there(
    kind: str, items: DatabaseManager
) -> None:
    """On PostgreSQL a savepoint survives it; InnoDB and SQL Server undo all of the transaction."""
    quick = "%20-cdeadlock_timeout=20ms" if kind == "postgresql" else ""
    slow = "%20-cdeadlock_timeout=60s" if kind == "postgresql" else ""
    url = items.database_url
    with DatabaseManager(url + quick) as ours, DatabaseManager(url + slow) as they, Threads() as threads:
        holding: SimpleQueue[int] = SimpleQueue()

        def cross() -> None:
            """Hold what the call will want, and want what it holds; the victim is who has changed less, elsewhere."""
            with they.transaction() as theirs:
                theirs.bulk_insert("owner", [{"id": number} for number in range(1000, 3000)])
                theirs.execute("INSERT INTO item (id, name) VALUES (333, 'mine')")
                holding.put(theirs.fetch_value(kinds.SESSION_ID[kind]))
                theirs.execute("INSERT INTO item (id, name) VALUES (0, 'mine, too')")
                raise ZeroDivisionError

        def meet(done: int) -> None:
            if done == CHUNK:
                threads.start(cross)
                session = holding.get(timeout=10)
                assert eventually(lambda: kinds.waits_for_lock(kind, session))

        with suppress(TransactionAborted), ours.transaction() as tx:
            with pytest.raises(DeadlockDetected) as caught:
                tx.bulk_insert("item", many(), on_error="report", chunk_size=CHUNK, progress=meet)
    assert len(threads.errors) == 1
    assert isinstance(threads.errors[0], UniqueViolation if kind == "postgresql" else ZeroDivisionError)
    partial = caught.value.partial
    assert isinstance(partial, BulkResult)
    assert partial.done == (3 * CHUNK if kind == "postgresql" else 0)
    check_partial(items, partial)


@on_read_only
def test_a_read_only_transaction_refuses_at_once(kind: str, items: DatabaseManager) -> None:
    with items.transaction(read_only=True) as tx:
        error, partial = ending(tx, many())
    assert isinstance(error, OperationalError)
    assert partial.done == 0
    assert stored(items) == []


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)  # which alone can be made full without a disk of its own
def test_a_full_database_ends_the_call(kind: str, items: DatabaseManager) -> None:
    assert items._connection is not None
    pool = items._connection.pool
    connection = pool.acquire()
    (pages,) = connection._raw.execute("PRAGMA page_count").fetchone()
    connection._raw.execute(f"PRAGMA max_page_count = {pages + 8}")
    pool.release(connection)
    attempts = Attempts(kind, items)
    given = [{**good(number), "name": f"item {number}".ljust(95)} for number in range(5 * CHUNK)]
    with pytest.raises(OperationalError, match="full") as caught:
        items.bulk_insert("item", given, on_error="report", chunk_size=CHUNK)
    partial = caught.value.partial
    assert isinstance(partial, BulkResult)
    assert 0 < partial.done < 5 * CHUNK
    assert attempts.since() == partial.done // CHUNK + 1
    assert items.fetch_value("SELECT COUNT(*) FROM item") == partial.rowcount + 1


SLEEP = {
    "postgresql": "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF NEW.id = 250 THEN PERFORM pg_sleep(20); END IF; RETURN NEW; END $$",
    "mysql": "CREATE TRIGGER slow BEFORE INSERT ON item FOR EACH ROW"
    " IF NEW.id = 250 THEN SET @slept = SLEEP(20); END IF",
    "mssql": "CREATE TRIGGER slow ON item AFTER INSERT AS"
    " IF EXISTS (SELECT 1 FROM inserted WHERE id = 250) WAITFOR DELAY '00:00:20'",
}


def make_slow(kind: str, db: DatabaseManager) -> None:
    """Let the server sleep before it inserts the row 250."""
    db.execute(SLEEP[kind])
    if kind == "postgresql":
        db.execute("CREATE TRIGGER slow BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION slow()")


@pytest.mark.mssql_itself
@on_servers
def test_a_statement_that_takes_too_long_ends_the_call(kind: str, items: DatabaseManager) -> None:
    make_slow(kind, items)
    limited = {"postgresql": "%20-cstatement_timeout=200ms", "mysql": "", "mssql": "&query_timeout=1"}[kind]
    with DatabaseManager(items.database_url + limited, pool_max=1) as db:
        if kind == "mysql":
            set_in_session(db, "SET SESSION max_statement_time = 0.2")
        error, partial = ending(db, many({120: "check"}))
    assert isinstance(error, QueryTimeout)
    assert partial.done == 2 * CHUNK
    check_partial(items, partial, (120,))


@pytest.mark.mssql_itself
@on_servers
def test_a_statement_that_is_cancelled_ends_the_call(kind: str, items: DatabaseManager) -> None:
    make_slow(kind, items)
    session = items.fetch_value(kinds.SESSION_ID[kind])
    raw = raw_session(items)

    def stop() -> None:
        assert eventually(lambda: kinds.asleep(kind, session))
        if kind == "mssql":  # which has no command for it
            raw.cancel()
            return
        with servers.admin_cursor(kind) as cursor:
            cursor.execute(f"SELECT pg_cancel_backend({session})" if kind == "postgresql" else f"KILL QUERY {session}")

    with Threads() as threads:
        error, partial = ending(items, many(), after=2 * CHUNK, change=lambda: threads.start(stop))
    assert threads.errors == []
    assert isinstance(error, OperationalError)
    assert partial.done == 2 * CHUNK
    check_partial(items, partial)


def test_options_that_do_not_fit_the_table_end_the_call_before_a_row_is_taken(
    kind: str, items: DatabaseManager
) -> None:
    taken: list[int] = []

    def source() -> Iterator[Any]:
        for number in range(10):
            taken.append(number)
            yield good(number)

    for options in (
        {"returning": "nowhere"},
        {"on_conflict": "update", "conflict_columns": ["name"]},
        {"on_conflict": "ignore", "conflict_columns": ["nowhere"]},
        {"columns": ["id", "nowhere"]},
    ):
        taken.clear()
        with pytest.raises(ProgrammingError) as caught:
            items.bulk_insert("item", source(), on_error="report", **options)
        assert len(taken) <= 1  # the first one tells their kind
        assert isinstance(caught.value.partial, BulkResult)
    assert stored(items) == []
