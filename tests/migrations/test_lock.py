"""The lock between processes: tried, never waited for in the server; gone with its session; told by name."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import kinds
import servers
from kinds import itself
from nexusql import (
    ConnectionConfig,
    DatabaseManager,
    MigrationError,
    MigrationLocked,
    MigrationRunner,
    OperationalError,
)
from nexusql.backends.migrating import AdvisoryLock, migrating
from nexusql.migrations.lock import MigrationLock, Patience
from nexusql.migrations.place import always
from pooling import Threads, eventually
from throwaway import MariaDB
from together import start_together

pytestmark = itself  # sp_getapplock


@pytest.fixture(params=kinds.REMOTE)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each server in turn."""
    servers.require(request.param)
    with servers.fresh_database(request.param) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
    return tmp_path


@contextmanager
def held(url: str, folder: Path) -> Iterator[DatabaseManager]:
    """Somebody else has the lock."""
    with DatabaseManager(url) as other:
        lock = MigrationRunner(other, folder).lock()
        assert lock is not None
        assert lock.acquire(Patience(10), always) is True
        try:
            yield other
        finally:
            lock.release()


def test_who_waits_says_who_has_the_lock_and_gives_up_in_time(
    url: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with held(url, folder), DatabaseManager(url) as db, caplog.at_level(logging.INFO, "nexusql.migrations"):
        with pytest.raises(MigrationLocked, match=r"not done in 0\.3 s: the lock is held by session \d+ of \w+ from"):
            MigrationRunner(db, folder, lock_timeout=0.3).up()
        assert "waiting to migrate: the lock is held by session" in caplog.text
        assert db.list_tables() == []
        assert MigrationRunner(db, folder).status()[0].state.value == "pending"


def test_who_cannot_find_out_who_has_the_lock_waits_all_the_same(url: str, folder: Path) -> None:
    with held(url, folder), DatabaseManager(url) as db:
        lock = lock_with(db, holder="SELECT no_such_function()")
        with pytest.raises(MigrationLocked, match=r"not done in 0\.3 s: who holds the lock is not to be found out"):
            lock.acquire(Patience(0.3), always)


def test_the_lock_is_tried_before_the_history_is_made_and_given_back_after(url: str, folder: Path) -> None:
    with DatabaseManager(url) as db:
        for _ in range(2):
            assert len(MigrationRunner(db, folder, lock_timeout=5).up()) == 1
            db.execute("DROP TABLE t")
            db.execute("DROP TABLE ia_migrations")
        with held(url, folder):
            assert db.list_tables() in ([], ["ia_migration_steps"])


def test_nothing_pending_needs_no_lock(url: str, folder: Path) -> None:
    with DatabaseManager(url) as db:
        db.migrate([folder])
        with held(url, folder):
            db.migrate([folder])
            assert MigrationRunner(db, folder, strict=True).up() == []


def test_who_waits_leaves_when_the_work_is_done(url: str, folder: Path) -> None:
    with held(url, folder) as other, Threads() as threads:
        waiting = threads.start(DatabaseManager(url).migrate, [folder])
        MigrationRunner(other, folder, locking=False).up()
        MigrationRunner(other, locking=False).up()
        waiting.join(20)
        assert not waiting.is_alive()


def test_who_waits_has_one_connection(folder: Path) -> None:
    servers.require("postgresql")
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
    name = f"waiter_{folder.name[-20:]}"
    with servers.fresh_database("postgresql") as url, held(url, folder) as other, Threads() as threads:
        waiting = threads.start(DatabaseManager(f"{url}&application_name={name}").migrate, [folder])
        assert eventually(lambda: other.fetch_value(count, {"name": name}) == 1)
        for _ in range(20):
            assert other.fetch_value(count, {"name": name}) == 1
            time.sleep(0.02)
        MigrationRunner(other, folder, locking=False).up()
        MigrationRunner(other, locking=False).up()
        waiting.join(20)


def test_a_holder_whose_session_ends_holds_nobody_up(url: str, folder: Path) -> None:
    with held(url, folder), DatabaseManager(url) as db:
        waiting = threading.Timer(0.3, lambda: MigrationRunner(db, folder).unlock())
        waiting.start()
        with DatabaseManager(url) as late:
            assert len(MigrationRunner(late, folder, lock_timeout=10).up()) == 1
        waiting.join()


def test_unlock_ends_the_session_and_tells_which(url: str, folder: Path) -> None:
    with DatabaseManager(url) as db:
        assert MigrationRunner(db, folder).unlock() is None
        with held(url, folder):
            told = MigrationRunner(db, folder).unlock()
            assert told is not None
            assert told.startswith("session ")
            assert eventually(lambda: MigrationRunner(db, folder).unlock() is None)
    with servers.fresh_database("sqlite") as file, DatabaseManager(file) as db:
        assert MigrationRunner(db, folder).unlock() is None


def test_a_lock_that_is_lost_in_the_middle_stops_the_run(url: str, folder: Path) -> None:
    with DatabaseManager(url) as db, DatabaseManager(url) as admin:
        runner = MigrationRunner(db, folder)
        lock = runner.lock()
        assert lock is not None
        assert lock.acquire(Patience(5), always)
        lock.check()
        MigrationRunner(admin, folder).unlock()
        with pytest.raises(MigrationLocked, match="the migration lock was lost"):
            runner.apply_pending(lock.check)
        lock.release()
        assert not db.table_exists("t")


def lock_with(db: DatabaseManager, **changes: str) -> MigrationLock:
    """The lock of a server that answers otherwise."""
    words = migrating(db.config.database_type).lock
    assert isinstance(words, AdvisoryLock)
    return MigrationLock(db._connected(), replace(words, **changes))  # type: ignore[arg-type]


def mark(db: DatabaseManager) -> str:
    """What stands for a value in driver text."""
    return db._connected().backend.syntax.placeholder


@pytest.mark.parametrize("answer", ["NULL", "-1", "2"])
def test_any_other_answer_than_yes_and_no_is_an_error(url: str, answer: str) -> None:
    with DatabaseManager(url) as db:
        lock = lock_with(db, take=f"SELECT CASE WHEN {mark(db)} IS NULL THEN 0 ELSE {answer} END AS granted")
        with pytest.raises(MigrationError, match="neither granted nor refused the migration lock: it answered"):
            lock.acquire(Patience(1), always)


def test_a_lock_that_is_granted_and_not_held_is_an_error(url: str) -> None:
    with DatabaseManager(url) as db:
        lock = lock_with(db, take=f"SELECT CASE WHEN {mark(db)} IS NULL THEN 0 ELSE 1 END AS granted")
        with pytest.raises(MigrationError, match="was granted, and then not held"):
            lock.acquire(Patience(1), always)


def test_an_engine_whose_locks_do_nothing_is_refused_unless_no_lock_is_wanted(folder: Path) -> None:
    servers.require("postgresql")
    with servers.fresh_database("postgresql") as url, DatabaseManager(f"{url},pg_catalog") as db:
        schema = db.fetch_value("SELECT current_schema()")
        db.execute(
            f"CREATE FUNCTION {schema}.version() RETURNS text LANGUAGE sql AS $$ SELECT 'CockroachDB CCL v25.1, x' $$"
        )
        with pytest.raises(MigrationError, match=r"do nothing \(CockroachDB CCL v25.1\).*--no-lock"):
            MigrationRunner(db, folder).up()
        assert db.list_tables() == []
        assert len(MigrationRunner(db, folder, locking=False).up()) == 1


def test_a_node_of_a_galera_cluster_is_refused(folder: Path) -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, DatabaseManager(url) as db:
        lock = lock_with(db, probe="SELECT 'wsrep_on', 'ON' AS value")
        with pytest.raises(MigrationError, match="a node of a Galera cluster"):
            lock.acquire(Patience(1), always)


def test_no_schema_is_an_error_that_says_so(folder: Path) -> None:
    servers.require("postgresql")
    url = f"{servers.server_url('postgresql')}?options=-csearch_path%3Dnowhere"
    with DatabaseManager(url) as db, pytest.raises(MigrationError, match="no schema or database is selected"):
        MigrationRunner(db, folder).up()


def test_two_schemas_and_two_databases_do_not_wait_for_each_other(url: str, folder: Path) -> None:
    kind = ConnectionConfig.from_url(url).database_type.value
    with servers.fresh_database(kind) as second, held(url, folder), DatabaseManager(second) as db:
        assert len(MigrationRunner(db, folder, lock_timeout=1).up()) == 1


def test_a_pool_of_one_connection_migrates(url: str, folder: Path) -> None:
    with DatabaseManager(url, pool_max=1) as db:
        assert len(MigrationRunner(db, folder).up()) == 1


@contextmanager
def crowded_role(limit: int) -> Iterator[str]:
    """The URL of an empty database for a role with so many connections."""
    servers.require("postgresql")
    role = f"nexusql_crowded_{limit}"
    with servers.admin_cursor("postgresql") as cursor:
        cursor.execute(f"DROP ROLE IF EXISTS {role}")
        cursor.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}")
    try:
        with servers.fresh_database("postgresql") as url:
            with servers.admin_cursor("postgresql") as cursor:
                cursor.execute(f"GRANT ALL ON SCHEMA {url.rpartition('%3D')[2]} TO {role}")
            yield url.replace("root@", f"{role}@")
    finally:
        with servers.admin_cursor("postgresql") as cursor:
            cursor.execute(f"DROP OWNED BY {role}")
            cursor.execute(f"DROP ROLE {role}")


@pytest.mark.long
def test_more_processes_than_the_server_has_connections_all_succeed(folder: Path) -> None:
    (folder / "V2__slow.sql").write_text("SELECT pg_sleep(2)")
    with crowded_role(3) as url:
        statuses, told = start_together(url, [folder], 12, apply_schema=False)
        assert statuses == [0] * 12, told


def test_a_full_server_is_waited_for(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with crowded_role(2) as url:
        guests = [DatabaseManager(url), DatabaseManager(url)]
        for guest in guests:
            guest.connect(raise_errors=True)
        with pytest.raises(OperationalError, match="too many connections for role"):
            DatabaseManager(url).connect(raise_errors=True)
        leaving = threading.Timer(0.5, lambda: [guest.close() for guest in guests])
        leaving.start()
        with caplog.at_level(logging.INFO, "nexusql.migrations"):
            DatabaseManager(url).migrate([folder], apply_schema=False)
        leaving.join()
        assert "waiting to migrate: the server has too many connections" in caplog.text


def test_a_full_mariadb_is_waited_for(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with MariaDB(max_connections=10, extra_max_connections=1) as server:
        guests = [server.connect() for _ in range(11)]  # one more may a superuser
        leaving = threading.Timer(0.5, lambda: [guest.close() for guest in guests])
        leaving.start()
        with caplog.at_level(logging.INFO, "nexusql.migrations"):
            DatabaseManager(server.url).migrate([folder], apply_schema=False)
        leaving.join()
    assert "waiting to migrate: the server has too many connections" in caplog.text


def test_an_index_is_built_concurrently_while_others_wait(tmp_path: Path) -> None:
    servers.require("postgresql")
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1);")
    (tmp_path / "V2__index.sql").write_text("-- nexusql: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);")
    # In a database of its own: it waits for whatever transaction is open in the same one.
    with servers.fresh_database("postgresql", whole=True) as url:
        statuses, told = start_together(url, [tmp_path], 16, apply_schema=False)
        assert statuses == [0] * 16, told
        with DatabaseManager(url) as db:
            sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"
            assert db.fetch_value(sql) is True
            assert db.fetch_value("SELECT count(*) FROM ia_migrations") == 2


def test_patience_grows_and_ends() -> None:
    patience = Patience(0.0)
    assert patience.is_over
    patience.rest(lambda: "a reason")
    assert patience.waited >= 0
