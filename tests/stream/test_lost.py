"""Connections that break while a stream is read: an error each time, and never an early end."""

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import kinds
import servers
from nexusql import DatabaseManager
from nexusql.errors import CommitUncertain, ConnectionLost, Error, QueryTimeout, TransactionAborted
from pooling import eventually, kill_sessions
from proxy import FaultProxy
from settling import in_use
from stream_tables import COUNT, ENDLESS

SERVERS = ("postgresql", "mysql")
IN_ORDER = "SELECT i, t FROM numbers ORDER BY i"
ENDLESS_PADDED = ENDLESS.replace("b.i AS j", "REPEAT('x', 5000) AS t")
PADDED = "SELECT a.i AS i, REPEAT('x', 500) AS t FROM numbers a CROSS JOIN digits b WHERE b.d < 4 ORDER BY a.i"


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    servers.require(name)
    return name


@pytest.fixture
def proxy(numbers: DatabaseManager) -> Iterator[FaultProxy]:
    with FaultProxy.before(numbers.database_url) as fault:
        yield fault


@pytest.fixture
def far(numbers: DatabaseManager, proxy: FaultProxy) -> Iterator[DatabaseManager]:
    """A manager on the same database as `numbers`, by way of the proxy."""
    with DatabaseManager(proxy.url(numbers.database_url), pool_timeout=20) as manager:
        yield manager


def read_all(rows: Any) -> int:
    """How many rows a stream gives before it ends or raises ConnectionLost; a lost one stays lost."""
    found = 0
    try:
        for _ in rows:
            found += 1
    except ConnectionLost:
        with pytest.raises(ConnectionLost):
            next(rows)
        return -1 - found
    return found


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("read_before", [0, 1, 1000, 4000])
def test_cut_anywhere_it_is_lost_and_the_next_one_is_not(
    far: DatabaseManager, proxy: FaultProxy, read_before: int, reset: bool
) -> None:
    rows = far.stream(PADDED, chunk_size=500)
    if read_before:
        for _ in range(read_before):
            next(rows)
    else:
        rows.open()
    proxy.cut(reset=reset)
    assert read_all(rows) < 0
    rows.close()
    assert len(list(far.stream(IN_ORDER))) == COUNT
    assert in_use(far) == 0


def test_cut_at_any_time_it_gives_all_rows_or_an_error(far: DatabaseManager, proxy: FaultProxy) -> None:
    lost = 0
    for _ in range(15):
        timer = threading.Timer(random.uniform(0, 0.12), proxy.cut)
        timer.start()
        try:
            found = read_all(far.stream(PADDED, chunk_size=random.choice([50, 1000, 50_000])))
        except Error:  # while it was opened
            found = -1
        timer.join()
        assert found < 0 or found == 4 * COUNT
        lost += found < 0
    assert lost
    proxy.cut()
    assert eventually(lambda: proxy.live == 0)
    assert len(list(far.stream(IN_ORDER))) == COUNT
    assert in_use(far) == 0


def test_killed_at_the_server_it_is_lost(numbers: DatabaseManager, kind: str) -> None:
    session = {"postgresql": "pg_backend_pid()", "mysql": "@@pseudo_thread_id"}[kind]
    with numbers.stream(ENDLESS_PADDED.replace("SELECT ", f"SELECT {session} AS id, ", 1), chunk_size=100) as rows:
        kill_sessions(kind, [next(rows)["id"]])
        assert read_all(rows) < 0
    assert len(list(numbers.stream(IN_ORDER))) == COUNT
    assert in_use(numbers) == 0


def test_killed_in_a_transaction_nothing_of_that_is_stored(numbers: DatabaseManager, kind: str) -> None:
    with pytest.raises(TransactionAborted) as caught, numbers.transaction() as tx:
        session = tx.fetch_value(kinds.SESSION_ID[kind])
        tx.execute("DELETE FROM digits")
        rows = tx.stream(ENDLESS_PADDED)
        next(rows)
        kill_sessions(kind, [session])
        assert read_all(rows) < 0
        rows.close()
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert numbers.fetch_value("SELECT COUNT(*) FROM digits") == 10
    assert in_use(numbers) == 0


@pytest.mark.parametrize("when", ["open", "closing", "dropping"])
def test_cut_before_it_is_closed_closing_does_no_harm(far: DatabaseManager, proxy: FaultProxy, when: str) -> None:
    rows = far.stream(ENDLESS, chunk_size=10)
    next(rows)
    proxy.cut()
    if when == "dropping":
        with pytest.warns(ResourceWarning):
            del rows
    elif when == "closing":
        try:
            rows.close()
        except ConnectionLost:
            pass
        rows.close()
    else:
        with pytest.raises(ZeroDivisionError), rows:
            1 / 0
    assert far.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT
    assert in_use(far) == 0


def test_the_other_connections_are_suspects_after_a_loss(far: DatabaseManager, proxy: FaultProxy) -> None:
    streams = [far.stream(IN_ORDER, chunk_size=10).open() for _ in range(3)]
    for rows in streams:
        rows.close()
    assert in_use(far) == 0
    rows = far.stream(ENDLESS, chunk_size=10)
    next(rows)
    proxy.cut()
    assert read_all(rows) < 0
    for _ in range(10):
        assert far.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pattern", [b"DECLARE", b"FETCH FORWARD 100 FROM", b"COMMIT"])
def test_a_reply_that_is_lost_is_an_error_whichever_it_is(
    far: DatabaseManager, proxy: FaultProxy, pattern: bytes
) -> None:
    sprung = proxy.drop_reply(pattern)
    assert read_all(far.stream(IN_ORDER, chunk_size=100)) < 0
    assert sprung.is_set()
    assert len(list(far.stream(IN_ORDER, chunk_size=100))) == COUNT


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_commit_of_what_a_function_wrote_is_uncertain_when_its_reply_is_lost(
    own: DatabaseManager, proxy: FaultProxy
) -> None:
    own.execute("CREATE FUNCTION put() RETURNS INTEGER LANGUAGE SQL AS 'INSERT INTO digits VALUES (100) RETURNING d'")
    with DatabaseManager(proxy.url(own.database_url)) as far:
        proxy.drop_reply(b"COMMIT")
        with pytest.raises(CommitUncertain):
            list(far.stream("SELECT put() AS p"))
    assert own.fetch_value("SELECT COUNT(*) FROM digits WHERE d = 100") == 1


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_whether_a_function_has_written_is_uncertain_where_the_server_commits_by_itself(
    own: DatabaseManager, proxy: FaultProxy
) -> None:
    own.execute("CREATE FUNCTION note(n INTEGER) RETURNS INTEGER MODIFIES SQL DATA RETURN n")
    with DatabaseManager(proxy.url(own.database_url)) as far:
        rows = far.stream("SELECT note(a.i) AS i FROM numbers a CROSS JOIN numbers b", chunk_size=10)
        next(rows)
        proxy.cut()
        with pytest.raises(CommitUncertain):
            list(rows)


def test_a_time_limit_of_the_server_is_an_error_in_the_middle(numbers: DatabaseManager, kind: str) -> None:
    limit, nap = {
        "postgresql": ("SET LOCAL statement_timeout = '200ms'", "pg_sleep(CASE WHEN i = 4000 THEN 30 ELSE 0 END)"),
        "mysql": ("SET SESSION max_statement_time = 0.2", "SLEEP(CASE WHEN i = 4000 THEN 30 ELSE 0 END)"),
    }[kind]
    found = 0
    with pytest.raises(Error) as ended, numbers.transaction() as tx:
        if kind == "mysql" and "MariaDB" not in tx.fetch_value("SELECT VERSION()"):
            pytest.skip("MySQL's own limit does not interrupt SLEEP")
        tx.execute(limit)
        rows = tx.stream(f"SELECT i, {nap} AS nap, REPEAT('x', 500) AS t FROM numbers ORDER BY i", chunk_size=100)
        with pytest.raises(QueryTimeout):
            for _ in rows:
                found += 1
        raise QueryTimeout from None
    assert isinstance(ended.value, QueryTimeout)
    assert 0 < found <= 4000
    assert numbers.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


def test_slow_and_broken_into_pieces_the_rows_are_the_same(far: DatabaseManager, proxy: FaultProxy) -> None:
    proxy.slow(most_bytes=701)
    rows = list(far.stream(IN_ORDER, chunk_size=777))
    assert [row["i"] for row in rows] == list(range(COUNT))
    with far.transaction() as tx:
        with tx.stream(ENDLESS.replace("numbers c", "digits c"), chunk_size=10) as endless:
            next(endless)
            proxy.heal()
        assert tx.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
@pytest.mark.long
def test_a_reader_slower_than_the_server_likes_gets_all_rows(far: DatabaseManager, proxy: FaultProxy) -> None:
    """Of itself the server ends a session whose client reads nothing for net_write_timeout, 60 seconds."""
    with far.transaction() as tx:
        tx.execute("SET SESSION net_write_timeout = 1")
        rows = tx.stream(PADDED, chunk_size=10)
        next(rows)
        proxy.hold(requests=False)
        time.sleep(4)
        proxy.heal()
        assert len(list(rows)) == 4 * COUNT - 1
