"""Statement by statement: a run that has stopped is taken up where it stopped, if what has run is unchanged."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from nexusql import DatabaseManager, MigrationFailed, MigrationRunner
from nexusql.migrations.script import Piece


@pytest.fixture
def mysql() -> Iterator[DatabaseManager]:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, DatabaseManager(url) as db:
        yield db


def runner(db: DatabaseManager, folder: Path) -> MigrationRunner:
    return MigrationRunner(db, folder, strict=True, statement_lock_timeout=2.0)


def steps(db: DatabaseManager) -> list[tuple[int, str]]:
    rows = db.execute("SELECT number, state FROM ia_migration_steps ORDER BY number")
    return [(row["number"], row["state"]) for row in rows]


STOPS = (
    "CREATE TABLE t (id INTEGER);\nINSERT INTO t VALUES (1);\nINSERT INTO nope VALUES (1);\nINSERT INTO t VALUES (2);"
)


def test_a_failed_file_goes_on_where_it_stopped(mysql: DatabaseManager, tmp_path: Path) -> None:
    path = tmp_path / "V1__t.sql"
    path.write_text(STOPS)
    with pytest.raises(MigrationFailed, match="statement 3 of 4"):
        runner(mysql, tmp_path).up()
    assert steps(mysql) == [(1, "done"), (2, "done")]
    (item,) = runner(mysql, tmp_path).status()
    assert (item.state.value, item.as_dict()["statements_done"]) == ("interrupted", 2)
    path.write_text(STOPS.replace("INSERT INTO nope VALUES (1)", "INSERT INTO t VALUES (3)"))
    assert len(runner(mysql, tmp_path).up()) == 1
    assert mysql.execute("SELECT id FROM t ORDER BY id") == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert steps(mysql) == []


def test_a_change_of_what_has_run_is_refused_until_it_is_put_back_or_begun_anew(
    mysql: DatabaseManager, tmp_path: Path
) -> None:
    path = tmp_path / "V1__t.sql"
    path.write_text(STOPS)
    with pytest.raises(MigrationFailed):
        runner(mysql, tmp_path).up()
    for changed in (STOPS.replace("(1);", "(7);", 1), "CREATE TABLE t (id INTEGER)"):
        path.write_text(changed)
        with pytest.raises(
            MigrationFailed, match=r"statement 2 .*changed or removed since it was run.*repair --restart"
        ):
            runner(mysql, tmp_path).up()
    assert mysql.execute("SELECT id FROM t") == [{"id": 1}]
    assert runner(mysql, tmp_path).repair(restart=True) == ["V1__t.sql will begin at its first statement"]
    mysql.execute("DROP TABLE t")
    assert len(runner(mysql, tmp_path).up()) == 1


def test_an_object_that_somebody_else_has_made_is_no_leftover(mysql: DatabaseManager, tmp_path: Path) -> None:
    mysql.execute("CREATE TABLE t (id INTEGER)")
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER);")
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="already exists"):
            runner(mysql, tmp_path).up()
    assert steps(mysql) == []


ONCE = {
    "CREATE TABLE n (id INTEGER)": "1050",
    "ALTER TABLE t ADD COLUMN v INTEGER": "1060",
    "CREATE INDEX i ON t (id)": "1061",
    "ALTER TABLE t DROP COLUMN w": "1091",
    "ALTER TABLE t DROP INDEX j": "1091",
    "DROP TABLE o": "1051",
    "ALTER TABLE t ADD PRIMARY KEY (id)": "1068",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 1": "1359",
    "CREATE PROCEDURE p() SELECT 1": "1304",
}


@pytest.mark.parametrize("statement", ONCE)
def test_a_statement_that_was_cut_off_meets_its_own_leftovers_and_says_so(
    mysql: DatabaseManager, tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    mysql.execute("CREATE TABLE t (id INTEGER NOT NULL, w INTEGER, INDEX j (w))")
    mysql.execute("CREATE TABLE o (id INTEGER)")
    (tmp_path / "V1__t.sql").write_text(f"SELECT 1;\n{statement};\nCREATE TABLE after_it (id INTEGER);")
    started_and_run(mysql, tmp_path, [("SELECT 1", "done"), (statement, "started")])
    mysql.execute(statement)
    with caplog.at_level(logging.WARNING, "nexusql.migrations"):
        assert len(runner(mysql, tmp_path).up()) == 1
    assert "V1__t.sql, statement 2 (line 2): what it makes or drops was left by the run that was cut off" in caplog.text
    assert ONCE[statement] in caplog.text
    assert mysql.table_exists("after_it")


def test_only_that_statement_may_meet_leftovers(mysql: DatabaseManager, tmp_path: Path) -> None:
    mysql.execute("CREATE TABLE b (id INTEGER)")
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE a (id INTEGER); CREATE TABLE b (id INTEGER);")
    started_and_run(mysql, tmp_path, [("CREATE TABLE a (id INTEGER)", "started")])
    with pytest.raises(MigrationFailed, match=r"statement 2 of 2 .*already exists"):
        runner(mysql, tmp_path).up()
    assert steps(mysql) == [(1, "done")]


def test_a_statement_that_was_started_and_changed_since_may_not(mysql: DatabaseManager, tmp_path: Path) -> None:
    mysql.execute("CREATE TABLE a (id INTEGER)")
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE a (id INTEGER, v INTEGER);")
    started_and_run(mysql, tmp_path, [("CREATE TABLE a (id INTEGER)", "started")])
    with pytest.raises(MigrationFailed, match="already exists"):
        runner(mysql, tmp_path).up()


def started_and_run(db: DatabaseManager, folder: Path, notes: list[tuple[str, str]]) -> None:
    """What a run that was killed leaves in the history."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "V9__x.sql").write_text("SELECT 1; SELECT 2;")
    MigrationRunner(db, empty, "other").up()
    for number, (text, state) in enumerate(notes, 1):
        db.execute(
            "INSERT INTO ia_migration_steps (script, migration_type, number, digest, state)"
            " VALUES ('V1__t.sql', 'app', :number, :digest, :state)",
            {"number": number, "digest": Piece(number, 1, text).digest, "state": state},
        )


def test_settings_of_the_session_are_made_again_by_the_run_that_goes_on(mysql: DatabaseManager, tmp_path: Path) -> None:
    path = tmp_path / "V1__t.sql"
    text = "SET @x = 5; CREATE TABLE t (id INTEGER); INSERT INTO {} VALUES (@x);"
    path.write_text(text.format("nope"))
    with pytest.raises(MigrationFailed):
        runner(mysql, tmp_path).up()
    path.write_text(text.format("t"))
    runner(mysql, tmp_path).up()
    assert mysql.execute("SELECT id FROM t") == [{"id": 5}]


def test_a_temporary_table_that_is_gone_is_not_passed_over(mysql: DatabaseManager, tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TEMPORARY TABLE x (id INTEGER); INSERT INTO nope VALUES (1);")
    with pytest.raises(MigrationFailed, match="statement 2 of 2"):
        runner(mysql, tmp_path).up()
    with pytest.raises(MigrationFailed, match="it made a temporary table, which is gone"):
        runner(mysql, tmp_path).up()


@pytest.mark.parametrize("statement", ["LOCK TABLES t WRITE", "UNLOCK TABLES", "START TRANSACTION", "COMMIT"])
def test_what_would_shut_the_history_out_is_refused(mysql: DatabaseManager, tmp_path: Path, statement: str) -> None:
    (tmp_path / "V1__t.sql").write_text(f"CREATE TABLE t (id INTEGER); {statement};")
    with pytest.raises(MigrationFailed, match="not allowed in a migration"):
        runner(mysql, tmp_path).up()
    assert not mysql.table_exists("t")


def test_a_file_without_transaction_goes_on_where_it_stopped_everywhere(db: DatabaseManager, tmp_path: Path) -> None:
    path = tmp_path / "V1__t.sql"
    path.write_text(f"-- nexusql: no-transaction\n{STOPS}")
    with pytest.raises(MigrationFailed, match="statement 3 of 4"):
        runner(db, tmp_path).up()
    assert db.execute("SELECT id FROM t") == [{"id": 1}]
    path.write_text(f"-- nexusql: no-transaction\n{STOPS.replace('nope', 't')}")
    runner(db, tmp_path).up()
    assert len(db.execute("SELECT id FROM t")) == 3


@pytest.fixture
def postgresql() -> Iterator[DatabaseManager]:
    servers.require("postgresql")
    # A database of its own, for CONCURRENTLY waits for whatever transaction is open in the same one.
    with servers.fresh_database("postgresql", whole=True) as url, DatabaseManager(url) as db:
        yield db


def test_an_unusable_index_is_dropped_and_built_again(
    postgresql: DatabaseManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    postgresql.execute("CREATE TABLE t (id INTEGER)")
    postgresql.execute("INSERT INTO t VALUES (1), (1)")
    (tmp_path / "V1__index.sql").write_text(
        "-- nexusql: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS once ON t (id);"
    )
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = 't'::regclass"
    with pytest.raises(MigrationFailed, match="duplicated"):
        runner(postgresql, tmp_path).up()
    assert postgresql.fetch_value(invalid) == 1
    postgresql.execute("DELETE FROM t WHERE ctid = '(0,1)'")
    runner(postgresql, tmp_path).up()
    assert "index once was left unusable by an earlier run; it is dropped and built again" in caplog.text
    assert postgresql.fetch_value(invalid) == 0
