"""Connecting as clients do it: again and again, across threads and loops, to databases that are there or not."""

import asyncio
import threading
from pathlib import Path

import pytest

from kinds import SESSION_ID, itself
from nexusql import ConnectionConfig, DatabaseManager, DatabaseType
from nexusql.errors import InterfaceError, NotSupportedError
from pooling import kill_sessions

GONE = {
    "sqlite": "sqlite:////proc/nexusql/no/such/folder/test.db",
    "postgresql": "postgresql://root@127.0.0.1:1/test",
    "mysql": "mysql://root@127.0.0.1:1/test",
    "mssql": "mssql://root@127.0.0.1:1/test",
}
# What no two connections have in common; SQL Server gives the number of a session to the next one.
TOLD_APART = {
    "postgresql": "SELECT pg_backend_pid()",
    "mysql": "SELECT CONNECTION_ID()",
    "mssql": "SELECT CAST(connection_id AS NVARCHAR(36)) FROM sys.dm_exec_connections WHERE session_id = @@SPID",
}


@itself
def test_connect_while_connected_replaces_dead_sessions(db: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("there is no server that could end a session")
    for _ in range(3):
        before = db.fetch_value(TOLD_APART[kind])
        kill_sessions(kind, [db.fetch_value(SESSION_ID[kind])])
        assert db.connect() is True
        assert db.execute("SELECT 1 AS one") == [{"one": 1}]
        assert db.fetch_value(TOLD_APART[kind]) != before


def test_initialize_is_false_where_the_database_is_not_there(kind: str) -> None:
    async def run() -> None:
        db = DatabaseManager(GONE[kind])
        assert await db.initialize() is False
        assert db._connection is None
        await db.disconnect()
        await db.close()

    asyncio.run(run())


def test_initialize_keeps_what_is_in_memory_and_who_is_connected() -> None:
    async def run() -> None:
        db = DatabaseManager("sqlite://:memory:")
        assert db.connect() is True
        db.execute("CREATE TABLE kept (v INTEGER)")
        assert await db.initialize(True, None) is True
        assert await db.initialize(False) is True
        assert db.table_exists("kept") is True
        await db.close()

    asyncio.run(run())


def test_a_database_that_is_not_served_is_refused_on_connect() -> None:
    config = ConnectionConfig(DatabaseType.CLOUDFLARE_D1, "")
    db = DatabaseManager(config)
    assert db.connect() is False
    with pytest.raises(NotSupportedError, match="cloudflare_d1"):
        db.connect(raise_errors=True)


def test_the_error_before_connect_is_of_both_classes(database_url: str) -> None:
    db = DatabaseManager(database_url)
    for call in (db.execute, db.fetch_one, db.fetch_all):
        with pytest.raises(RuntimeError, match="Database not connected") as caught:
            call("SELECT 1")
        assert isinstance(caught.value, InterfaceError)
    for other in (db.begin_transaction, db.commit_transaction, db.rollback_transaction):
        with pytest.raises(RuntimeError, match="Database not connected"):
            other()
    with pytest.raises(RuntimeError):
        db.table_exists("t")


def test_a_configuration_by_fields_connects(database_url: str, kind: str) -> None:
    given = ConnectionConfig.from_url(database_url)
    config = ConnectionConfig(
        DatabaseType(kind),
        given.database_url if kind != "mysql" else "",
        given.host,
        given.port,
        given.username,
        given.password,
        given.database_name,
    )
    with DatabaseManager(config) as db:
        assert db.execute("SELECT 1 AS one") == [{"one": 1}]
        assert (db.config.database_type.value, db.config.database_type) == (kind, DatabaseType(kind))


def test_leaving_the_block_disconnects_also_after_an_error(database_url: str) -> None:
    with pytest.raises(ZeroDivisionError), DatabaseManager(database_url) as db:
        assert db._connection is not None
        1 / 0
    assert db._connection is None
    assert db.connect() is True
    assert db.disconnect() is not None
    assert db._connection is None


def test_a_read_never_leaves_a_transaction_open(db: DatabaseManager, kind: str) -> None:
    db.execute("CREATE TABLE read_only (v INTEGER)")
    for read in (db.execute, db.fetch_all, db.fetch_one):
        read("SELECT * FROM read_only")
    if kind == "postgresql":
        sql = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE :q"
        assert db.execute(sql, {"q": "%FROM read_only%"}) == [{"n": 0}]
    with DatabaseManager(db.database_url) as other:
        other.execute("DROP TABLE read_only")
    assert db.table_exists("read_only") is False


@pytest.mark.parametrize("shared", [True, False])
def test_ten_threads_with_fifty_writes_each_all_succeed(db: DatabaseManager, shared: bool) -> None:
    db.execute("CREATE TABLE written (id SERIAL PRIMARY KEY, v INTEGER)")
    errors: list[BaseException] = []

    def insert(manager: DatabaseManager, n: int) -> None:
        for k in range(50):
            manager.execute("INSERT INTO written (v) VALUES (:v)", {"v": n * 50 + k})

    def work(n: int) -> None:
        try:
            if shared:
                insert(db, n)
            else:
                own = DatabaseManager(db.database_url)
                assert own.connect() is True
                insert(own, n)
                own.disconnect()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert db.fetch_value("SELECT COUNT(DISTINCT v) AS n FROM written") == 500


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite:////{}"])
def test_an_absolute_path_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "new" / "folder" / "t.db"
    given = str(path).lstrip("/") if form.startswith("sqlite:////") else str(path)
    with DatabaseManager(form.format(given)) as db:
        db.execute("CREATE TABLE t (v INTEGER)")
    assert path.exists()


def test_an_extra_of_each_name_can_be_installed() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
    extras = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    names = {line.split(" = ")[0] for line in extras.splitlines() if " = [" in line}
    assert {"postgresql", "mysql", "mssql", "all", "dev"} <= names
