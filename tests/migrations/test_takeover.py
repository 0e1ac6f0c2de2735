"""Databases of older releases: what is missing is added, what is there stays, and nothing runs twice."""

import asyncio
import hashlib
import logging
import re
from pathlib import Path

import pytest

import servers
from nexusql import ChecksumMismatch, DatabaseManager, MigrationRunner, UniqueViolation
from nexusql.migrations.script import checksum
from picture import picture

OLD_HISTORY = {
    "sqlite": (
        "CREATE TABLE ia_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL,"
        " filename TEXT NOT NULL, migration_type TEXT NOT NULL,"
        " applied_at TEXT DEFAULT CURRENT_TIMESTAMP, UNIQUE (version, migration_type))"
    ),
    "postgresql": (
        "CREATE TABLE ia_migrations (id SERIAL PRIMARY KEY, version VARCHAR(255) NOT NULL,"
        " filename VARCHAR(255) NOT NULL, migration_type VARCHAR(50) NOT NULL,"
        " applied_at TIMESTAMP DEFAULT now(), checksum VARCHAR(64),"
        " UNIQUE (version, migration_type))"
    ),
    "mysql": (
        "CREATE TABLE ia_migrations (id INT AUTO_INCREMENT PRIMARY KEY, version VARCHAR(255) NOT NULL,"
        " filename VARCHAR(255) NOT NULL, migration_type VARCHAR(50) NOT NULL, description TEXT,"
        " applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE KEY (version, migration_type)) ENGINE=InnoDB"
    ),
    "mssql": (
        "CREATE TABLE ia_migrations (id INT IDENTITY(1,1) PRIMARY KEY, version NVARCHAR(255) NOT NULL,"
        " filename NVARCHAR(255) NOT NULL, migration_type NVARCHAR(50) NOT NULL,"
        " applied_at DATETIME2 DEFAULT GETDATE(), checksum NVARCHAR(64), UNIQUE (version, migration_type))"
    ),
}


def add_row(db: DatabaseManager, version: str) -> None:
    db.execute(
        "INSERT INTO ia_migrations (version, filename, migration_type) VALUES (:v, :f, 'app')",
        {"v": version, "f": f"{version}.sql"},
    )


@pytest.fixture
def old(db: DatabaseManager, kind: str) -> DatabaseManager:
    """A database of an older release: some tables, of which some lack columns, with rows in them."""
    db.execute(OLD_HISTORY[kind])
    for version in ("V001__complete_schema", "V002__hitl_schema"):
        add_row(db, version)
    db.execute("CREATE TABLE pipelines (id VARCHAR(255) PRIMARY KEY, name VARCHAR(500) NOT NULL, mine INTEGER)")
    db.execute("CREATE INDEX my_own ON pipelines (mine)")
    db.execute("INSERT INTO pipelines (id, name, mine) VALUES ('p', 'old', 7)")
    db.execute(
        "CREATE TABLE pipeline_executions (execution_id VARCHAR(255) PRIMARY KEY, pipeline_id VARCHAR(255),"
        " status VARCHAR(50) NOT NULL)"
    )
    db.execute("CREATE TABLE execution_logs (id INTEGER PRIMARY KEY, execution_id VARCHAR(255) NOT NULL)")
    db.execute("INSERT INTO execution_logs (execution_id) VALUES ('e')")
    return db


def columns(db: DatabaseManager, table: str) -> set[str]:
    found: dict[str, dict[str, str]] = picture(db)["columns"]
    return set(found[table])


def test_missing_columns_and_tables_are_added_and_rows_stay(
    old: DatabaseManager, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nexusql.migrations"):
        assert asyncio.run(old.initialize()) is True
    assert "table pipelines is of an older release; columns are added to it: slug, description, version" in caplog.text
    with servers.fresh_database(kind) as url, DatabaseManager(url) as new:
        new.migrate()
        wanted = picture(new)
    taken = picture(old)
    for table, types in wanted["columns"].items():
        assert set(types) <= set(taken["columns"][table]), table
    assert {name for name in wanted["indexes"] if "idx_" in name} <= set(taken["indexes"])
    assert any("my_own" in name for name in taken["indexes"])
    (row,) = old.execute("SELECT * FROM pipelines")
    assert (row["id"], row["name"], row["mine"], row["version"], bool(row["is_active"])) == ("p", "old", 7, "1.0", True)
    (log,) = old.execute("SELECT * FROM execution_logs")
    assert (log["execution_id"], log["message"], log["log_level"]) == ("e", None, "INFO")


def test_the_defaults_of_added_columns_work(old: DatabaseManager) -> None:
    old.migrate()
    old.execute("INSERT INTO pipelines (id, name) VALUES ('q', 'new')")
    row = old.fetch_one("SELECT * FROM pipelines WHERE id = 'q'")
    assert row is not None
    assert (row["version"], bool(row["is_active"]), row["mine"]) == ("1.0", True, None)
    assert row["created_at"] is not None
    assert old.execute("SELECT id FROM pipelines ORDER BY id") == [{"id": "p"}, {"id": "q"}]


def test_a_second_start_changes_nothing(old: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    old.migrate()
    first = picture(old)
    caplog.clear()
    with caplog.at_level(logging.INFO, "nexusql.migrations"):
        old.migrate()
    assert picture(old) == first
    assert caplog.text == ""
    rows = {row["version"]: row["checksum"] for row in MigrationRunner(old).applied()}
    assert set(rows) == {"V001__complete_schema", "V002__hitl_schema"}
    assert rows["V001__complete_schema"] is not None


def test_rows_without_a_checksum_get_theirs_on_first_sight(db: DatabaseManager, kind: str, tmp_path: Path) -> None:
    db.execute(OLD_HISTORY[kind])
    add_row(db, "V001__own")
    add_row(db, "notes")
    (tmp_path / "V001__own.sql").write_text("CREATE TABLE twice (id INTEGER)")
    (tmp_path / "notes.sql").write_text("CREATE TABLE twice (id INTEGER)")
    (tmp_path / "V002__more.sql").write_text("CREATE TABLE more (id INTEGER)")
    db.migrate([tmp_path], apply_schema=False)
    rows = {row["version"]: row["checksum"] for row in MigrationRunner(db).applied()}
    assert rows["V001__own"] == rows["notes"] == checksum("CREATE TABLE twice (id INTEGER)")
    assert (db.table_exists("twice"), db.table_exists("more")) == (False, True)


def test_the_checksums_of_0_4_hold_as_they_are(db: DatabaseManager, kind: str, tmp_path: Path) -> None:
    db.execute(OLD_HISTORY[kind])
    if kind != "postgresql":
        db.execute("ALTER TABLE ia_migrations ADD COLUMN checksum VARCHAR(64)")
    db.execute("ALTER TABLE ia_migrations ADD COLUMN down_checksum VARCHAR(64)")
    applied = {
        "V001__undone": b"CREATE TABLE twice (id INTEGER);\n-- down\nDROP TABLE twice;\n",
        "V002__windows": b"CREATE TABLE twice (id INTEGER);\r\n",
        "V003__both": b"CREATE TABLE twice (id INTEGER);\r\n -- DOWN\t\r\nDROP TABLE twice;\r\n",
    }
    digests = {}
    for version, text in applied.items():
        (tmp_path / f"{version}.sql").write_bytes(text)
        digests[version] = hashlib.sha256(re.split(rb"(?m)^ ?-- (?:down|DOWN)", text)[0]).hexdigest()
        add_row(db, version)
        db.execute(
            "UPDATE ia_migrations SET checksum = :c, down_checksum = :c WHERE version = :v",
            {"c": digests[version], "v": version},
        )
    runner = MigrationRunner(db, tmp_path, strict=True)
    assert runner.up() == []
    assert [item.state.value for item in runner.validate()] == ["applied"] * 3
    assert {row["version"]: row["checksum"] for row in runner.applied()} == digests
    (tmp_path / "V002__windows.sql").write_text("CREATE TABLE other (id INTEGER);")
    with pytest.raises(ChecksumMismatch, match=r"^V002__windows\.sql was changed[^;]*; undo the change"):
        db.migrate([tmp_path], apply_schema=False)


def test_repair_does_not_pass_over_what_is_missing(old: DatabaseManager) -> None:
    assert MigrationRunner(old, strict=True).repair() == []
    old.migrate()
    assert old.table_exists("hitl_interactions")


def test_a_row_can_be_recorded_again_and_signed(db: DatabaseManager) -> None:
    runner = MigrationRunner(db)
    runner.create_history()
    for digest in (None, None, "a" * 64):
        runner.record("V7__by_hand", "V7__by_hand.sql", digest)
    assert [(row["version"], row["checksum"]) for row in runner.applied()] == [("V7__by_hand", "a" * 64)]
    with pytest.raises(UniqueViolation):
        runner.record("V7__by_hand", "V7__by_hand.sql", "b" * 64)


def test_a_file_that_failed_half_way_on_mysql_is_completed() -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, DatabaseManager(url) as db:
        db.execute(OLD_HISTORY["mysql"])
        db.execute(
            "CREATE TABLE hitl_interactions (interaction_id VARCHAR(255) PRIMARY KEY,"
            " execution_id VARCHAR(255) NOT NULL, pipeline_id VARCHAR(255) NOT NULL) ENGINE=InnoDB"
        )
        db.execute("INSERT INTO hitl_interactions VALUES ('i', 'e', 'p')")
        db.migrate()
        row = db.fetch_one("SELECT * FROM hitl_interactions")
        assert row is not None
        assert (row["interaction_id"], row["status"], row["step_id"]) == ("i", "pending", None)
        assert {"hitl_assignments", "pipeline_step_modules"} <= set(db.list_tables())


def test_what_hangs_on_a_table_of_sqlite_survives() -> None:
    with servers.fresh_database("sqlite") as url, DatabaseManager(f"{url}?foreign_keys=on") as db:
        db.execute("CREATE TABLE pipelines (id VARCHAR(255) PRIMARY KEY, name TEXT CHECK (name <> ''))")
        db.execute("CREATE TABLE mine (pipeline VARCHAR(255) REFERENCES pipelines (id) ON DELETE CASCADE)")
        db.execute("CREATE VIEW names AS SELECT name FROM pipelines")
        db.execute("CREATE TABLE seen (name TEXT)")
        db.execute("CREATE TRIGGER told AFTER INSERT ON pipelines BEGIN INSERT INTO seen VALUES (NEW.name); END")
        db.execute("INSERT INTO pipelines VALUES ('p', 'old')")
        db.execute("INSERT INTO mine VALUES ('p')")
        db.migrate()
        assert db.execute("SELECT * FROM mine") == [{"pipeline": "p"}]
        assert db.execute("SELECT * FROM names") == [{"name": "old"}]
        db.execute("INSERT INTO pipelines (id, name) VALUES ('q', 'new')")
        assert db.execute("SELECT * FROM seen") == [{"name": "old"}, {"name": "new"}]
        db.execute("DELETE FROM pipelines WHERE id = 'p'")
        assert db.execute("SELECT * FROM mine") == []
        assert db.fetch_value("PRAGMA integrity_check") == "ok"


def test_histories_of_folders_that_share_a_type_do_not_stop_each_other(db: DatabaseManager, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"V001__{name}.sql").write_text("SELECT 1")
        (tmp_path / name / f"V003__{name}.sql").write_text(f"CREATE TABLE {name} (id INTEGER)")
    db.migrate([tmp_path / "a", tmp_path / "b"])
    assert (db.table_exists("a"), db.table_exists("b")) == (True, True)
    assert len(MigrationRunner(db).applied()) == 5
