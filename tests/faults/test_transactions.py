"""Connections that break in and around transactions: what is stored, and what the caller is told."""

from collections.abc import Iterator
from typing import Any

import pytest

import servers
from nexusql import DatabaseManager
from nexusql.errors import CommitUncertain, ConnectionLost, Error, TransactionAborted
from proxy import FaultProxy
from settling import in_use

SERVERS = ("postgresql", "mysql")


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    servers.require(name)
    return name


@pytest.fixture
def proxy(db: DatabaseManager) -> Iterator[FaultProxy]:
    db.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY)")
    with FaultProxy.before(db.database_url) as fault:
        yield fault


@pytest.fixture
def far(db: DatabaseManager, proxy: FaultProxy) -> Iterator[DatabaseManager]:
    """A manager on the same database as `db`, by way of the proxy."""
    with DatabaseManager(proxy.url(db.database_url), pool_timeout=5) as manager:
        yield manager


def stored(db: DatabaseManager) -> list[int]:
    return [row["v"] for row in db.execute("SELECT v FROM journal ORDER BY v")]


def put(db: Any, value: int) -> None:
    db.execute("INSERT INTO journal (v) VALUES (:v)", {"v": value})


def session_id(kind: str, db: Any) -> int:
    sql = "SELECT pg_backend_pid()" if kind == "postgresql" else "SELECT CONNECTION_ID()"
    number: int = db.fetch_value(sql)
    return number


def kill(kind: str, db: DatabaseManager, session: int) -> None:
    if kind == "postgresql":
        db.execute("SELECT pg_terminate_backend(:pid, 5000)", {"pid": session})
    else:
        db.execute(f"KILL {session}")


def test_an_idle_connection_that_was_killed_is_replaced_without_an_error(db: DatabaseManager, kind: str) -> None:
    with DatabaseManager(db.database_url) as other:
        for _ in range(5):
            kill(kind, db, session_id(kind, other))
            for _ in range(20):
                assert other.fetch_value("SELECT 1") == 1


def test_killed_in_a_transaction_nothing_of_it_is_stored(db: DatabaseManager, kind: str, far: DatabaseManager) -> None:
    with pytest.raises(ConnectionLost), far.transaction() as tx:
        put(tx, 1)
        kill(kind, db, session_id(kind, tx))
        put(tx, 2)
    assert stored(db) == []
    put(far, 3)
    assert stored(db) == [3]


def test_after_a_lost_connection_the_block_goes_no_further(
    db: DatabaseManager, kind: str, far: DatabaseManager
) -> None:
    with pytest.raises(TransactionAborted) as caught, far.transaction() as tx:
        put(tx, 1)
        kill(kind, db, session_id(kind, tx))
        with pytest.raises(ConnectionLost):
            put(tx, 2)
        with pytest.raises(TransactionAborted):
            put(tx, 3)
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert stored(db) == []


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_commit_request_is_uncertain(
    db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, reset: bool
) -> None:
    with pytest.raises(CommitUncertain), far.transaction() as tx:
        put(tx, 1)
        sprung = proxy.drop_request(b"COMMIT", reset=reset)
    assert sprung.is_set()
    assert stored(db) == []
    put(far, 2)
    assert stored(db) == [2]


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_commit_reply_is_uncertain(
    db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, reset: bool
) -> None:
    with pytest.raises(CommitUncertain) as caught, far.transaction() as tx:
        put(tx, 1)
        sprung = proxy.drop_reply(b"COMMIT", reset=reset)
    assert sprung.is_set()
    assert stored(db) == [1]
    assert not isinstance(caught.value, ConnectionLost)
    assert caught.value.__cause__ is not None


def test_uncertain_is_never_retried(db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager) -> None:
    calls = []

    def work(tx: Any) -> None:
        calls.append(1)
        put(tx, len(calls))
        proxy.drop_reply(b"COMMIT")

    with pytest.raises(CommitUncertain):
        far.run_in_transaction(work)
    assert calls == [1]
    assert stored(db) == [1]


def test_a_write_whose_reply_is_lost_is_uncertain_and_a_read_is_lost(
    db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager
) -> None:
    proxy.drop_reply(b"INSERT INTO journal")
    with pytest.raises(CommitUncertain) as caught:
        put(far, 1)
    assert isinstance(caught.value, type(caught.value.__cause__))
    proxy.drop_reply(b"SELECT 12345")
    with pytest.raises(ConnectionLost):
        far.fetch_value("SELECT 12345")
    assert stored(db) == [1]
    assert far.fetch_value("SELECT COUNT(*) FROM journal") == 1


def test_a_rollback_whose_connection_is_gone_raises_what_came_first(
    db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager
) -> None:
    with pytest.raises(ZeroDivisionError), far.transaction() as tx:
        put(tx, 1)
        proxy.cut()
        1 / 0
    assert stored(db) == []
    assert far.fetch_value("SELECT 1") == 1


def test_resets_at_any_time_never_give_wrong_rows(db: DatabaseManager, proxy: FaultProxy, far: DatabaseManager) -> None:
    proxy.slow(latency=0.0, jitter=0.002, most_bytes=7)
    wrong, failed = [], 0
    for n in range(60):
        if n % 10 == 9:
            proxy.cut()
        try:
            if far.fetch_value("SELECT :n + 0 AS n", {"n": n}) != n:
                wrong.append(n)
        except Error:
            failed += 1
    assert wrong == []
    assert failed < 20
    proxy.heal()
    assert far.fetch_value("SELECT 1") == 1
    assert in_use(far) == 0
