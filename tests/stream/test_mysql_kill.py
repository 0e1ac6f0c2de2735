"""How a query is stopped on MySQL so that its session lives on: killed by another session, and nothing else with it."""

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import servers
from kinds import SESSION_ID
from nexusql import DatabaseManager
from nexusql.backends import backend_for
from nexusql.config import ConnectionConfig
from nexusql.errors import TransactionAborted
from pooling import Threads, eventually
from proxy import FaultProxy
from settling import in_use
from stream_tables import COUNT, ENDLESS, fill


@pytest.fixture
def kind() -> str:
    servers.require("mysql")
    return "mysql"


@pytest.fixture
def proxy(numbers: DatabaseManager) -> Iterator[FaultProxy]:
    with FaultProxy.before(numbers.database_url) as fault:
        yield fault


def test_whenever_the_kill_comes_it_hits_no_later_statement(numbers: DatabaseManager) -> None:
    """Results of every size, closed at every place: when the kill comes the query may just have ended."""
    with numbers.transaction() as tx:
        session = tx.fetch_value(SESSION_ID["mysql"])
        for turn in range(500 if servers.flag("NEXUSQL_LONG") else 30):
            limit = random.choice([2, 20, 200, 2000, 20_000])
            text = f"REPEAT('x', {random.choice([0, 10, 900])})"
            sql = f"SELECT a.i AS i, {text} AS t FROM numbers a, digits b LIMIT {limit}"
            with tx.stream(sql, chunk_size=random.choice([1, 10, 500])) as rows:
                for _ in range(random.randrange(1, min(limit, 1000))):
                    next(rows)
            assert tx.fetch_value("SELECT :turn + 0", {"turn": turn}) == turn
            assert tx.fetch_value(SESSION_ID["mysql"]) == session


@pytest.mark.parametrize(
    "sql",
    [
        f"\n\t {ENDLESS} ; ",
        f"/* first */ {ENDLESS} -- last",
        f"SELECT 'é€' AS e, x.* FROM ({ENDLESS}) AS x",
        f"SELECT '😀' AS e, x.* FROM ({ENDLESS}) AS x",
        f"SELECT REPEAT('{'long ' * 1000}', 1) AS e, x.* FROM ({ENDLESS}) AS x",
        f"SELECT :quoted AS q, x.* FROM ({ENDLESS}) AS x",
    ],
)
def test_the_query_is_found_whatever_its_text(numbers: DatabaseManager, sql: str) -> None:
    """Read to its end it would take days."""
    with numbers.transaction() as tx:
        with tx.stream(sql, {"quoted": "it's \\ \x00 \u2028"} if ":quoted" in sql else None) as rows:
            next(rows)
        assert tx.fetch_value("SELECT 1") == 1


def test_where_no_other_session_can_be_had_it_is_read_to_its_end(own: DatabaseManager, proxy: FaultProxy) -> None:
    with DatabaseManager(proxy.url(own.database_url)) as far, far.transaction() as tx:
        tx.execute("INSERT INTO digits (d) VALUES (100)")
        proxy.refuse()
        with tx.stream("SELECT a.i AS i FROM numbers a CROSS JOIN digits b", chunk_size=10) as rows:
            next(rows)
        assert tx.fetch_value("SELECT MAX(d) FROM digits") == 100
        proxy.heal()
    assert own.fetch_value("SELECT MAX(d) FROM digits") == 100


def test_a_session_under_the_same_number_that_runs_something_else_is_let_alone(numbers: DatabaseManager) -> None:
    """Behind a balancer the other session may be one of another server, where the number is somebody else's."""
    config = ConnectionConfig.from_url(numbers.database_url)
    backend = backend_for(config)
    with closing(backend.connect(config, 10)) as raw, numbers.transaction() as bystander, Threads() as threads:
        cursor = backend.open_cursor(raw, "SELECT a.i FROM numbers a CROSS JOIN digits b", None, 10, True)
        assert len(cursor.fetch()) == 10
        number = bystander.fetch_value(SESSION_ID["mysql"])
        threads.start(bystander.fetch_value, "SELECT COUNT(*) + SLEEP(0.5) FROM digits")
        busy = (
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT COUNT(*) + SLEEP%' AND id = :n"
        )
        with DatabaseManager(numbers.database_url) as other:
            assert eventually(lambda: other.fetch_value(busy, {"n": number}) == 1)
        raw.server_thread_id = (number,)
        cursor.close(config)
        assert not cursor.occupies
        assert list(backend.execute(raw, "SELECT 7", None).fetchall()) == [(7,)]
        threads.join()
        assert threads.errors == []
        assert threads.results == [10]


def test_a_deadlock_in_the_rest_ends_the_transaction_and_is_told(own: DatabaseManager) -> None:
    """The unread rest is nobody's, but that the server has rolled back is everybody's."""
    own.execute("CREATE TABLE locked (i INTEGER PRIMARY KEY, t VARCHAR(900))")
    own.execute("INSERT INTO locked (i, t) SELECT i, REPEAT('x', 900) FROM numbers")
    reached: list[Any] = []

    def cross(other: Any) -> None:
        with other.transaction() as theirs:
            theirs.execute("UPDATE locked SET t = 'b' WHERE i = 4999")
            # Much written, so that the server takes the other one for the victim.
            theirs.execute("UPDATE locked SET t = 'c' WHERE i BETWEEN 4000 AND 4998")
            reached.append(1)
            theirs.execute("UPDATE locked SET t = 'b' WHERE i = 0")

    with DatabaseManager(own.database_url) as other, Threads(60) as threads:
        with pytest.raises(TransactionAborted), own.transaction() as tx:
            tx.execute("INSERT INTO digits (d) VALUES (100)")
            tx.fetch_value("SELECT i FROM locked WHERE i = 0 FOR UPDATE")
            threads.start(cross, other)
            assert eventually(lambda: reached)
            rows = tx.stream("SELECT i, t FROM locked ORDER BY i FOR UPDATE", chunk_size=10)
            next(rows)
            try:
                rows.close()
            finally:
                tx.execute("INSERT INTO digits (d) VALUES (101)")
        threads.join()
        assert threads.errors == []
    assert own.fetch_value("SELECT COUNT(*) FROM digits WHERE d >= 100") == 0
    assert in_use(own) == 0


def test_sessions_of_the_kill_are_closed(numbers: DatabaseManager) -> None:
    mine = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"
    with numbers.transaction() as tx:
        for _ in range(3):
            with tx.stream(ENDLESS) as rows:
                next(rows)
        assert eventually(lambda: tx.fetch_value(mine) <= 2)


def test_a_row_of_more_than_a_packet_is_passed_over(numbers: DatabaseManager, kind: str) -> None:
    """What goes on from one packet to the next may begin with anything, such as the mark of an error."""
    with DatabaseManager(numbers.database_url) as db, db.transaction() as tx:
        if tx.fetch_value("SELECT @@max_allowed_packet") < 2 << 24:
            pytest.skip("this server sends no such rows")
        with tx.stream("SELECT i, REPEAT(X'ff', 1 << 24) AS b FROM numbers WHERE i < 4", chunk_size=1) as rows:
            next(rows)
        assert tx.fetch_value("SELECT 1") == 1


def test_fill_is_what_these_tests_count_on(numbers: DatabaseManager) -> None:
    assert numbers.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT
    with DatabaseManager("sqlite://:memory:") as db:
        fill(db)
        assert db.fetch_value("SELECT MAX(i) FROM numbers") == COUNT - 1
