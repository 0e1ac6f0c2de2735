"""URLs that name several PostgreSQL servers: which one is taken, and what happens when roles change or servers die."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from nexusql import AsyncDatabaseManager, DatabaseManager
from nexusql.errors import ConnectionLost, OperationalError, PoolTimeout
from pooling import Threads, eventually, gives
from throwaway import Postgres, Standby, free_port

WHERE = "SELECT inet_server_port()"
SESSION = "SELECT pg_backend_pid()"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Postgres, Postgres]]:
    """Two servers that know nothing of each other."""
    with Postgres() as first, Postgres() as second:
        assert isinstance(first, Postgres)
        assert isinstance(second, Postgres)
        yield first, second


@pytest.fixture
def first(both: tuple[Postgres, Postgres]) -> Iterator[Postgres]:
    """The first, which takes writes."""
    yield both[0]
    if both[0].is_running:
        be_read_only(both[0], False)
    else:
        both[0].start()


@pytest.fixture
def second(both: tuple[Postgres, Postgres]) -> Postgres:
    """The other."""
    return both[1]


@pytest.fixture
def tables(first: Postgres, second: Postgres) -> None:
    """An empty table `written` in both."""
    for server in (first, second):
        with server.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS written")
            cursor.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")


def url_of(*servers: Postgres, attrs: str | None = None) -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://root@{hosts}/postgres" + (f"?target_session_attrs={attrs}" if attrs else "")


def be_read_only(server: Postgres, read_only: bool) -> None:
    """Have a server refuse writes from now on, also those of sessions that there are, as one that has been replaced."""
    with server.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        cursor.execute("SELECT pg_reload_conf()")
    with server.cursor() as cursor:
        assert eventually(lambda: is_read_only(cursor) is read_only)


def is_read_only(cursor: Any) -> bool:
    cursor.execute("SHOW default_transaction_read_only")
    return bool(cursor.fetchone() == ("on",))


def sessions(server: Postgres) -> int:
    """How many sessions a server has of applications."""
    with server.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'nexusql'")
        (count,) = cursor.fetchone()
        return int(count)


def hold(db: DatabaseManager, count: int) -> None:
    """Have so many connections opened."""
    assert db._connection is not None
    pool = db._connection.pool
    connections = [pool.acquire() for _ in range(count)]
    for connection in connections:
        pool.release(connection)


def test_a_standby_is_told_from_its_primary_and_takes_over(first: Postgres) -> None:
    with Standby(first) as standby:
        assert isinstance(standby, Standby)
        taken = {
            "any": standby,
            "read-write": first,
            "primary": first,
            "read-only": standby,
            "standby": standby,
            "prefer-standby": standby,
        }
        for attrs, server in taken.items():
            with DatabaseManager(url_of(standby, first, attrs=attrs), pool_max=1) as db:
                assert db.fetch_value(WHERE) == server.port, attrs
        with DatabaseManager(url_of(first, standby, attrs="read-write"), pool_min=2, pool_timeout=10) as db:
            db.execute("DROP TABLE IF EXISTS written")
            db.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")
            db.execute("INSERT INTO written VALUES (1)")
            with standby.cursor() as cursor:
                assert eventually(lambda: has_rows(cursor, 1))
            first.kill()
            with Threads() as threads:  # it waits for a server that takes writes
                threads.start(db.execute, "INSERT INTO written VALUES (2)")
                standby.promote()
            assert [type(error) for error in threads.errors] in ([], [ConnectionLost])
            if threads.errors:
                db.execute("INSERT INTO written VALUES (2)")
            assert db.fetch_value(WHERE) == standby.port
            assert db.fetch_value("SELECT COUNT(*) FROM written") == 2


def has_rows(cursor: Any, count: int) -> bool:
    cursor.execute("SELECT COUNT(*) FROM pg_class WHERE relname = 'written'")
    if cursor.fetchone() != (1,):
        return False
    cursor.execute("SELECT COUNT(*) FROM written")
    return bool(cursor.fetchone() == (count,))


def test_when_the_first_dies_the_pool_fills_from_the_other(first: Postgres, second: Postgres) -> None:
    with DatabaseManager(url_of(first, second), pool_min=3, pool_timeout=5) as db:
        hold(db, 3)
        assert db.fetch_value(WHERE) == first.port
        first.kill()
        assert db.fetch_value(WHERE) == second.port
        assert eventually(lambda: sessions(second) == 3)


def test_where_no_host_answers_the_error_names_all_and_no_password() -> None:
    ports = [free_port(), free_port()]
    db = DatabaseManager(
        f"postgresql://ann:c4nary@127.0.0.1:{ports[0]},localhost:{ports[1]}/shop", pool_timeout=0.5, connect_timeout=2
    )
    with pytest.raises(OperationalError) as caught, db:
        pass
    text = str(caught.value)
    assert all(str(port) in text for port in ports)
    assert "127.0.0.1" in text
    assert "localhost" in text
    assert "c4nary" not in text + repr(caught.value)


def test_when_all_have_died_waiting_ends_in_time_and_the_error_names_them(first: Postgres, second: Postgres) -> None:
    with DatabaseManager(url_of(first, second), pool_timeout=0.5) as db:
        assert db.fetch_value(WHERE) == first.port
        first.kill()
        second.kill()
        try:
            with pytest.raises(PoolTimeout) as caught:
                db.fetch_value(WHERE)
        finally:
            second.start()
        assert all(f"port {server.port}" in str(caught.value) for server in (first, second))
        assert eventually(gives(second.port, lambda: db.fetch_value(WHERE)))


def test_where_none_takes_writes_the_error_says_so(first: Postgres) -> None:
    be_read_only(first, True)
    db = DatabaseManager(url_of(first, first, attrs="read-write"))
    with pytest.raises(OperationalError, match="session is read-only"), db:
        pass


@pytest.mark.usefixtures("tables")
def test_a_server_that_has_become_read_only_is_left_after_one_error(first: Postgres, second: Postgres) -> None:
    with DatabaseManager(url_of(first, second, attrs="read-write"), pool_min=3) as db:
        hold(db, 3)
        db.execute("INSERT INTO written VALUES (1)")
        be_read_only(first, True)
        with pytest.raises(OperationalError) as caught:
            db.execute("INSERT INTO written VALUES (2)")
        assert caught.value.sqlstate == "25006"
        for number in range(10):
            db.execute("INSERT INTO written VALUES (:number)", {"number": number})
        assert db.fetch_value(WHERE) == second.port
        assert eventually(lambda: sessions(first) == 0)
        assert eventually(lambda: sessions(second) == 3)


@pytest.mark.usefixtures("tables")
def test_in_a_transaction_too_and_who_is_in_another_goes_on(first: Postgres, second: Postgres) -> None:
    with DatabaseManager(url_of(first, second, attrs="read-write"), pool_max=4) as db:
        hold(db, 4)
        with db.transaction() as other:
            assert other.fetch_value(WHERE) == first.port
            be_read_only(first, True)

            def write(number: int) -> None:
                with db.transaction() as tx:
                    tx.execute("INSERT INTO written VALUES (:number)", {"number": number})

            with Threads() as threads:
                for number in range(3):
                    threads.start(write, number)
            assert {getattr(error, "sqlstate", None) for error in threads.errors} <= {"25006"}
            assert threads.errors
            assert other.fetch_value(WHERE) == first.port
        with Threads() as threads:
            threads.start(write, 3)
        assert threads.errors == []
        assert db.fetch_value(WHERE) == second.port
        assert eventually(lambda: sessions(first) == 0)


@pytest.mark.usefixtures("tables")
def test_awaited_bulk_writes_leave_it_too(first: Postgres, second: Postgres) -> None:
    rows = [(number,) for number in range(100)]

    async def write() -> None:
        async with AsyncDatabaseManager(url_of(first, second, attrs="read-write")) as db:
            await db.execute("INSERT INTO written VALUES (1)")
            await asyncio.to_thread(be_read_only, first, True)
            with pytest.raises(OperationalError, match="read-only"):
                await db.bulk_insert("written", rows, columns=["id"])
            assert (await db.bulk_insert("written", rows, columns=["id"])).rowcount == 100
            assert await db.fetch_value(WHERE) == second.port

    asyncio.run(write())


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("attrs", [None, "any", "read-write"])
def test_a_refusal_that_was_asked_for_or_would_be_met_again_costs_no_connection(
    first: Postgres, second: Postgres, attrs: str | None
) -> None:
    with DatabaseManager(url_of(first, second, attrs=attrs), pool_max=1) as db:
        session = db.fetch_value(SESSION)
        if attrs != "read-write":
            be_read_only(first, True)
        with pytest.raises(OperationalError, match="read-only"), db.transaction(read_only=attrs == "read-write") as tx:
            tx.execute("INSERT INTO written VALUES (1)")
        assert db.fetch_value(SESSION) == session
