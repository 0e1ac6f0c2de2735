"""A process that is killed at any moment of a migration leaves a database that the next run completes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import servers
from killing import Killer
from nexusql import DatabaseManager
from picture import picture
from throwaway import MariaDB

MOST_STEPS = 80


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "V1__make.sql").write_text(
        "CREATE TABLE a (id INTEGER, name VARCHAR(20));\n"
        "INSERT INTO a (id, name) VALUES (1, 'one');\n"
        "ALTER TABLE a ADD COLUMN price INTEGER;\n"
        "CREATE INDEX a_price ON a (price);\n"
    )
    (tmp_path / "V2__fill.sql").write_text(
        "UPDATE a SET price = 1;\n"
        "INSERT INTO a (id, name, price) SELECT id + 1, name, price + 1 FROM a;\n"
        "CREATE TABLE b (id INTEGER);\n"
        "DROP TABLE b;\n"
        "CREATE TABLE c (id INTEGER);\n"
    )
    return tmp_path


@contextmanager
def fast_database(kind: str) -> Iterator[str]:
    """An empty database; for hundreds of commits by MariaDB, one of a server that does not wait for the disk."""
    if kind == "mysql":
        with MariaDB() as server:
            yield server.url
    else:
        with servers.fresh_database(kind) as url:
            yield url


def test_killed_at_every_step_and_run_again(kind: str, folder: Path) -> None:
    with fast_database(kind) as url, DatabaseManager(url) as db, Killer() as killer:
        db.migrate([folder], apply_schema=False)
        clean = picture(db)
        for number in range(MOST_STEPS):
            for table in db.list_tables():
                db.execute(f"DROP TABLE {table}")
            killed = killer.migrate(url, folder, number)
            if db.transactional_ddl and killed:
                _expect_whole_files(db)
            db.migrate([folder], apply_schema=False)
            assert picture(db) == clean, f"after step {number}"
            if "ia_migration_steps" in db.list_tables():
                assert db.execute("SELECT * FROM ia_migration_steps") == []
            if not killed:
                break
        assert 10 < number < MOST_STEPS - 1


def _expect_whole_files(db: DatabaseManager) -> None:
    """Nothing of a file that is not in the history."""
    tables = set(db.list_tables())
    applied = db.fetch_value("SELECT count(*) FROM ia_migrations") if "ia_migrations" in tables else 0
    assert ("a" in tables, "c" in tables) == (applied >= 1, applied >= 2)
    assert "b" not in tables


def test_what_was_left_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, DatabaseManager(url) as db, Killer() as killer:
        # The history's table, "started 1", CREATE TABLE a; killed before its "done".
        assert killer.migrate(url, folder, 3)
        assert set(db.list_tables()) == {"a", "ia_migrations", "ia_migration_steps"}
        with caplog.at_level(logging.WARNING, "nexusql.migrations"):
            db.migrate([folder], apply_schema=False)
    assert "V1__make.sql was not finished; going on at statement 1" in caplog.text
    assert (
        "V1__make.sql, statement 1 (line 1): what it makes or drops was left by the run that was cut off" in caplog.text
    )
