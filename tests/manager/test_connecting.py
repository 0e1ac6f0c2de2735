"""Connecting, disconnecting and what clients look at in between."""

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from nexusql import AsyncDatabaseManager, ConnectionConfig, DatabaseManager
from nexusql.errors import ConfigError, Error, NotConnectedError, NotSupportedError

GONE = {
    "sqlite": "sqlite:////proc/nexusql/no/such/folder/test.db",
    "postgresql": "postgresql://root@127.0.0.1:1/test",
    "mysql": "mysql://root@127.0.0.1:1/test",
    "mssql": "mssql://root@127.0.0.1:1/test",
}


def test_nothing_is_opened_before_connect(kind: str) -> None:
    db = DatabaseManager(GONE[kind])
    assert db._connection is None
    assert db.config.database_type.value == kind
    assert db.database_url == db.config.database_url == GONE[kind]


def test_connect_is_false_and_logged_where_the_database_is_not_there(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "nexusql"):
        assert DatabaseManager(GONE[kind]).connect() is False
    assert "cannot connect" in caplog.text


def test_connect_raises_when_asked(kind: str) -> None:
    with pytest.raises(Error):
        DatabaseManager(GONE[kind]).connect(raise_errors=True)
    with pytest.raises(Error), DatabaseManager(GONE[kind]):
        pass


@pytest.mark.parametrize("url", ["duckdb:///x.db"])
def test_a_database_that_is_not_served_says_so(url: str) -> None:
    db = DatabaseManager(url)
    assert db.connect() is False
    with pytest.raises(NotSupportedError):
        db.connect(raise_errors=True)


def test_a_wrong_scheme_is_a_value_error_at_once() -> None:
    with pytest.raises(ValueError, match="Unsupported database URL"):
        DatabaseManager("oracle://x/y")


@pytest.mark.parametrize(
    "options",
    [
        {"pool_min": 3, "pool_max": 2},
        {"pool_max": 0},
        {"pool_max": "5"},
        {"pool_max": 2.5},
        {"pool_timeout": None},
        {"connect_timeout": True},
        {"max_waiting": "5"},
        {"statement_timeout": 0},
        {"duplicate_columns": "first"},
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_its_name(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="time limit" if "statement_timeout" in options else "|".join(options)):
        DatabaseManager("sqlite://:memory:", **options)


def test_a_manager_is_made_anew_in_each_process() -> None:
    db = DatabaseManager("sqlite://:memory:")
    for manager in (db, AsyncDatabaseManager("sqlite://:memory:")):
        with pytest.raises(TypeError, match="make one in each process, from its URL"):
            pickle.dumps(manager)


@pytest.mark.parametrize(("url", "need"), [(None, "a str, not NoneType"), ("shop.db", "a SQLite file is sqlite:///")])
def test_what_is_no_url_is_told_what_one_is(url: Any, need: str) -> None:
    with pytest.raises(ConfigError, match=need):
        DatabaseManager(url)


def test_connect_and_disconnect_ten_times(database_url: str) -> None:
    db = DatabaseManager(database_url)
    for _ in range(10):
        assert db.connect() is True
        assert db._connection is not None
        assert db.execute("SELECT 1 AS one") == [{"one": 1}]
        db.disconnect()
        assert db._connection is None


def test_disconnect_is_idempotent_and_may_come_first(database_url: str) -> None:
    db = DatabaseManager(database_url)
    db.disconnect()
    assert db.connect()
    db.disconnect()
    db.disconnect()
    assert db._connection is None


def test_disconnect_and_close_work_at_once_and_may_be_awaited(database_url: str) -> None:
    async def run() -> None:
        db = DatabaseManager(database_url)
        for end in (db.disconnect, db.close):
            assert db.connect()
            pending = end()
            assert db._connection is None
            assert await pending is None  # type: ignore[func-returns-value]

    asyncio.run(run())


def test_connect_while_connected_cuts_nobody_off(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE kept (v INTEGER)")
    with db.transaction():
        db.execute("INSERT INTO kept (v) VALUES (1)")
        assert db.connect() is True
        db.execute("INSERT INTO kept (v) VALUES (2)")
    assert db.fetch_value("SELECT COUNT(*) FROM kept") == 2


def test_memory_keeps_its_data_while_connected() -> None:
    with DatabaseManager("sqlite://:memory:") as db:
        db.execute("CREATE TABLE kept (v INTEGER)")
        db.execute("INSERT INTO kept (v) VALUES (1)")
        assert db.connect() is True
        assert db.fetch_value("SELECT v FROM kept") == 1


def test_autocommit_can_be_set_on_what_is_connected(db: DatabaseManager) -> None:
    assert db._connection is not None
    db._connection.autocommit = True
    assert db.execute("SELECT 1 AS one") == [{"one": 1}]


def test_before_connect_and_after_disconnect_a_statement_is_refused(database_url: str) -> None:
    db = DatabaseManager(database_url)
    with pytest.raises(RuntimeError, match="Database not connected"):
        db.execute("SELECT 1")
    db.connect()
    db.disconnect()
    with pytest.raises(NotConnectedError):
        db.fetch_one("SELECT 1")


def test_a_config_is_as_good_as_a_url(database_url: str) -> None:
    config = ConnectionConfig.from_url(database_url)
    with DatabaseManager(config) as db:
        assert db.config is config
        assert db.health_check() is True


def test_health_check_tells_without_raising(database_url: str) -> None:
    db = DatabaseManager(database_url)
    assert db.health_check() is False
    with db:
        assert db.health_check() is True


def test_no_password_in_the_repr() -> None:
    assert "S3CRET" not in repr(DatabaseManager("postgresql://u:S3CRET@h/db"))


def test_initialize_applies_the_packaged_schema_twice(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "V001__own.sql").write_text("CREATE TABLE own_table (id SERIAL PRIMARY KEY, name VARCHAR(50));")
    (folder / "V010__more.sql").write_text("INSERT INTO own_table (name) VALUES ('ten');")
    (folder / "V002__first.sql").write_text("INSERT INTO own_table (name) VALUES ('two');")

    async def run() -> None:
        db = DatabaseManager(database_url)
        assert await db.initialize(True, [str(folder)]) is True
        assert await db.initialize(True, [str(folder)]) is True
        assert {"pipelines", "reliability_steps", "pipeline_checkpoints", "own_table"} <= set(db.list_tables())
        assert [row["name"] for row in db.fetch_all("SELECT name FROM own_table ORDER BY id")] == ["two", "ten"]
        versions = [row["version"] for row in db.fetch_all("SELECT version FROM ia_migrations ORDER BY id")]
        assert versions == ["V001__complete_schema", "V001__own", "V002__first", "V010__more"]
        await db.close()

    asyncio.run(run())


def test_initialize_passes_over_a_missing_folder(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    db = DatabaseManager(database_url)
    with caplog.at_level(logging.WARNING, "nexusql"):
        assert asyncio.run(db.initialize(apply_schema=False, app_migration_paths=["/nowhere/at/all"])) is True
    assert "no migration folder" in caplog.text
    db.disconnect()


def test_one_folder_is_no_list_of_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    db = DatabaseManager("sqlite://:memory:")
    for folder in (str(tmp_path), tmp_path):
        with pytest.raises(ConfigError, match=r"are a list, not one \w+: \["):
            db.migrate(folder)  # type: ignore[arg-type]
    assert asyncio.run(db.initialize(True, "folder")) is False
    assert "['folder']" in caplog.text


def test_initialize_is_false_where_a_file_fails(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "V001__bad.sql").write_text("CREATE TABLE ok (id INTEGER);\nTHIS IS NOT SQL;")
    db = DatabaseManager(database_url)
    assert asyncio.run(db.initialize(False, [tmp_path])) is False
    assert db.execute("SELECT 1 AS one") == [{"one": 1}]
    db.disconnect()
