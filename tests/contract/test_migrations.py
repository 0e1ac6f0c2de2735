"""initialize and MigrationRunner as older clients use them, on new databases and on those of older releases."""

import asyncio
import logging
from pathlib import Path

import pytest

from nexusql import DatabaseManager, MigrationRunner

OLD_HISTORY = """
CREATE TABLE ia_migrations (
    id INTEGER PRIMARY KEY,
    version VARCHAR(255) NOT NULL,
    filename VARCHAR(255) NOT NULL,
    migration_type VARCHAR(50) NOT NULL,
    description TEXT,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    checksum VARCHAR(64),
    UNIQUE(version, migration_type)
)
"""


def versions(runner: MigrationRunner) -> list[str]:
    return [row["version"] for row in asyncio.run(runner.get_applied_migrations())]


def pending(runner: MigrationRunner) -> list[str]:
    return [path.name for path in asyncio.run(runner.get_pending_migrations())]


def test_the_history_has_the_columns_that_clients_read(db: DatabaseManager) -> None:
    assert asyncio.run(db.initialize()) is True
    row = db.fetch_one("SELECT * FROM ia_migrations")
    assert row is not None
    assert {"id", "version", "filename", "migration_type", "description", "applied_at", "checksum"} <= set(row)
    assert (row["version"], row["filename"]) == ("V001__complete_schema", "V001__complete_schema.sql")
    assert row["migration_type"] == "app"
    assert row["applied_at"] is not None


def test_a_database_of_an_older_release_is_taken_over(db: DatabaseManager) -> None:
    db.execute(OLD_HISTORY)
    for version in ("V001__complete_schema", "V002__hitl_schema"):
        db.execute(
            "INSERT INTO ia_migrations (version, filename, migration_type) VALUES (:v, :f, 'app')",
            {"v": version, "f": f"{version}.sql"},
        )
    for _ in range(2):
        assert asyncio.run(db.initialize()) is True
        assert sorted(versions(MigrationRunner(db))) == ["V001__complete_schema", "V002__hitl_schema"]
        for table in ("pipeline_step_modules", "hitl_interactions", "hitl_assignments"):
            assert db.table_exists(table) is True


def test_files_without_a_pattern_run_in_order_of_name_with_a_warning(
    db: DatabaseManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "b_rows.sql").write_text("INSERT INTO own (name) VALUES ('b')")
    (tmp_path / "a_table.sql").write_text("CREATE TABLE own (id SERIAL PRIMARY KEY, name VARCHAR(9));")
    (tmp_path / "notes.txt").write_text("not SQL")
    with caplog.at_level(logging.WARNING, "nexusql"):
        assert asyncio.run(db.initialize(True, [str(tmp_path)])) is True
    assert "a_table.sql, b_rows.sql" in caplog.text
    assert asyncio.run(db.initialize(True, [str(tmp_path)])) is True
    assert db.execute("SELECT name FROM own") == [{"name": "b"}]


def test_the_coroutines_of_the_runner(db: DatabaseManager, tmp_path: Path) -> None:
    for number, name in ((2, "two"), (10, "ten"), (3, "three")):
        (tmp_path / f"V{number:03}__{name}.sql").write_text(f"CREATE TABLE {name} (id INTEGER);\n-- the end")
    runner = MigrationRunner(db, tmp_path)
    ordered = ["V002__two.sql", "V003__three.sql", "V010__ten.sql"]
    assert (versions(runner), pending(runner)) == ([], ordered)
    asyncio.run(runner.initialize_migration_table())
    assert (versions(runner), pending(runner)) == ([], ordered)
    assert asyncio.run(runner.run_specific_migration("V003__three")) is True
    assert asyncio.run(runner.run_specific_migration("V003")) is True
    assert asyncio.run(runner.run_specific_migration("V404")) is False
    assert (versions(runner), pending(runner)) == (["V003__three"], ["V002__two.sql", "V010__ten.sql"])
    assert asyncio.run(runner.run_pending_migrations()) is True
    assert versions(runner) == ["V003__three", "V002__two", "V010__ten"]
    assert pending(runner) == []
    asyncio.run(runner.record_migration("V011__by_hand", "V011__by_hand.sql", "done by hand"))
    row = asyncio.run(runner.get_applied_migrations())[-1]
    assert (row["version"], row["description"], row["checksum"]) == ("V011__by_hand", "done by hand", None)


def test_one_file_can_be_run_first_of_all(db: DatabaseManager, tmp_path: Path) -> None:
    path = tmp_path / "V001__one.sql"
    path.write_text("CREATE TABLE one (id INTEGER)")
    runner = MigrationRunner(db, tmp_path)
    assert asyncio.run(runner.run_migration_file(path)) is True
    assert (versions(runner), pending(runner)) == (["V001__one"], [])
    assert asyncio.run(runner.run_migration_file(str(tmp_path / "V002__absent.sql"))) is False


def test_histories_of_different_types_are_apart(db: DatabaseManager, tmp_path: Path) -> None:
    (tmp_path / "V001__one.sql").write_text("CREATE TABLE IF NOT EXISTS one (id INTEGER)")
    for kind in ("app", "plugin"):
        runner = MigrationRunner(db, migration_path=str(tmp_path), migration_type=kind)
        assert pending(runner) == ["V001__one.sql"]
        assert asyncio.run(runner.run_pending_migrations()) is True
        assert versions(runner) == ["V001__one"]


def test_a_failed_file_is_false_unrecorded_and_leaves_the_manager_usable(db: DatabaseManager, tmp_path: Path) -> None:
    path = tmp_path / "V001__bad.sql"
    path.write_text("CREATE TABLE first_one (id INTEGER); SELECT * FROM nope; CREATE TABLE second_one (id INTEGER)")
    runner = MigrationRunner(db, tmp_path)
    assert asyncio.run(runner.run_pending_migrations()) is False
    assert versions(runner) == []
    assert db.table_exists("second_one") is False
    assert db.table_exists("first_one") is not db.transactional_ddl
    path.write_text("CREATE TABLE IF NOT EXISTS first_one (id INTEGER)")
    assert asyncio.run(runner.run_pending_migrations()) is True
    assert versions(runner) == ["V001__bad"]


def test_without_a_connection_it_is_false(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "V001__one.sql").write_text("SELECT 1")
    assert asyncio.run(MigrationRunner(DatabaseManager(database_url), tmp_path).run_pending_migrations()) is False
