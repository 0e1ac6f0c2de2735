"""ia_modules' `get_database` and the NexuSQLAdapter that it gives: its whole interface, on every database."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pyodbc
import pytest
from ia_modules.database import DatabaseBackend, NexuSQLAdapter, get_database, set_default_backend
from ia_modules.database.factory import get_nexusql_database
from ia_modules.pipeline.importer import PipelineImportService
from ia_modules.reliability.sql_metric_storage import SQLMetricStorage

import servers
from nexusql import DatabaseManager, DatabaseType, UniqueViolation

DRIVERS_OWN = {
    "sqlite": sqlite3.IntegrityError,
    "postgresql": psycopg2.errors.UniqueViolation,
    "mysql": pymysql.err.IntegrityError,
    "mssql": pyodbc.IntegrityError,
}


@pytest.fixture
def adapter(kind: str) -> Iterator[Any]:
    """A connected adapter on an empty database of its own."""
    with servers.fresh_database(kind) as url, get_database(url) as adapter:
        yield adapter


@pytest.mark.parametrize("backend", ["nexusql", " NexuSQL ", None])
def test_nexusql_is_chosen_by_name_and_by_default(monkeypatch: pytest.MonkeyPatch, backend: str | None) -> None:
    monkeypatch.delenv("IA_DATABASE_BACKEND", raising=False)
    adapter = get_database("sqlite://:memory:", backend)
    assert isinstance(adapter, NexuSQLAdapter)
    assert isinstance(adapter.nexusql, DatabaseManager)


def test_nexusql_is_chosen_by_the_environment_and_by_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_DATABASE_BACKEND", "nexusql")
    assert isinstance(get_database("sqlite://:memory:"), NexuSQLAdapter)
    monkeypatch.delenv("IA_DATABASE_BACKEND")
    set_default_backend(DatabaseBackend.NEXUSQL)
    assert isinstance(get_database("sqlite://:memory:"), NexuSQLAdapter)
    assert isinstance(get_nexusql_database("sqlite://:memory:"), NexuSQLAdapter)


def test_an_unknown_backend_and_an_unknown_scheme_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IA_DATABASE_BACKEND", raising=False)
    with pytest.raises(ValueError, match="Invalid database backend"):
        get_database("sqlite://:memory:", "other")
    with pytest.raises(ValueError, match="Unsupported database URL"):
        get_database("oracle://host/name")


def test_it_connects_and_disconnects_again_and_again(kind: str) -> None:
    with servers.fresh_database(kind) as url:
        adapter = get_database(url)
        assert (adapter.database_url, adapter.database_type) == (url, DatabaseType(kind))
        assert adapter.config.database_url == url
        for _ in range(2):
            assert adapter.connect() is True
            assert adapter.connect() is True
            assert adapter.execute("SELECT 1 AS one") == [{"one": 1}]
            adapter.disconnect()
            asyncio.run(adapter.close())


def test_a_server_that_is_not_there_is_false() -> None:
    assert get_database("postgresql://127.0.0.1:1/none").connect() is False


def test_rows_are_written_and_read(adapter: Any) -> None:
    adapter.execute("CREATE TABLE items (id SERIAL PRIMARY KEY, name VARCHAR(50) UNIQUE, sold BOOLEAN DEFAULT FALSE)")
    insert = "INSERT INTO items (name) VALUES (:name)"
    assert adapter.execute(insert, {"name": "it's :here"}) == []

    async def run() -> None:
        assert await adapter.execute_async(insert, {"name": "100%"}) == []
        assert len(await adapter.execute_async("SELECT * FROM items")) == 2

    asyncio.run(run())
    adapter.execute("UPDATE items SET sold = :sold WHERE name = :name", {"sold": True, "name": "100%"})
    found = adapter.fetch_one("SELECT id, sold FROM items WHERE name = :name", {"name": "100%"})
    assert found == {"id": 2, "sold": True}
    assert adapter.fetch_one("SELECT id FROM items WHERE id = :id", {"id": 9}) is None
    names = adapter.fetch_all("SELECT name FROM items ORDER BY id")
    assert names == [{"name": "it's :here"}, {"name": "100%"}]
    adapter.execute("DELETE FROM items")
    assert adapter.fetch_all("SELECT * FROM items") == []
    assert (adapter.table_exists("items"), adapter.table_exists("nothing")) == (True, False)


def test_scripts_tell_what_became_of_them(adapter: Any) -> None:
    async def run() -> None:
        done = await adapter.execute_script("CREATE TABLE a (v INTEGER); INSERT INTO a VALUES (1); -- end")
        assert (done.success, done.error_message) == (True, None)
        failed = await adapter.execute_script("INSERT INTO a VALUES (2); INSERT INTO nothing VALUES (1)")
        assert failed.success is False
        assert "nothing" in failed.error_message

    asyncio.run(run())
    assert adapter.fetch_all("SELECT v FROM a ORDER BY v") == [{"v": 1}, {"v": 2}]


def test_it_applies_the_packaged_schema_and_the_folders_of_an_application(adapter: Any, tmp_path: Path) -> None:
    (tmp_path / "V001__items.sql").write_text("CREATE TABLE items (id SERIAL PRIMARY KEY, data JSONB DEFAULT '{}');")

    async def run() -> None:
        assert await adapter.initialize(apply_schema=True, app_migration_paths=[str(tmp_path)]) is True
        assert await adapter.initialize(True, [str(tmp_path)]) is True

    asyncio.run(run())
    assert all(map(adapter.table_exists, ("items", "reliability_steps", "hitl_interactions", "ia_migrations")))


def test_a_migration_that_fails_is_false(adapter: Any, tmp_path: Path) -> None:
    (tmp_path / "V001__broken.sql").write_text("CREATE TABLE;")
    assert asyncio.run(adapter.initialize(False, [str(tmp_path)])) is False
    assert adapter.execute("SELECT 1 AS one") == [{"one": 1}]


def test_the_other_clients_work_on_an_adapter(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text('{"name": "P", "steps": []}')

    async def run() -> None:
        adapter = get_database(database_url)
        assert await adapter.initialize() is True
        storage = SQLMetricStorage(adapter)
        await asyncio.gather(*(storage.record_step({"agent": f"a{n}", "success": True}) for n in range(20)))
        assert len(await storage.get_steps()) == 20
        service = PipelineImportService(adapter, str(tmp_path))
        assert (await service.import_all_pipelines())["imported"] == 1
        assert [row["name"] for row in await service.list_imported_pipelines()] == ["P"]
        await adapter.close()

    asyncio.run(run())


def test_errors_come_through_as_ours_and_the_drivers_own(adapter: Any, kind: str) -> None:
    adapter.execute("CREATE TABLE one (id INTEGER PRIMARY KEY)")
    adapter.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(DRIVERS_OWN[kind]) as caught:
        adapter.execute("INSERT INTO one VALUES (1)")
    assert isinstance(caught.value, UniqueViolation)
    assert adapter.fetch_all("SELECT id FROM one") == [{"id": 1}]
