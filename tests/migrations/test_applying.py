"""A file is applied whole and recorded, or the database is as it was; where that cannot be, what is left is told."""

import logging
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kinds
import servers
from nexusql import DatabaseManager, MigrationError, MigrationFailed, MigrationRunner
from nexusql.migrations.apply import Job, run_whole
from nexusql.migrations.script import Piece
from nexusql.migrations.session import session
from throwaway import Postgres

Write = Callable[..., MigrationRunner]


@pytest.fixture
def write(db: DatabaseManager, tmp_path: Path) -> Write:
    """Write files by name, and give a strict runner of their folder."""

    def write(**files: str) -> MigrationRunner:
        for name, text in files.items():
            (tmp_path / f"{name}.sql").write_text(text)
        return MigrationRunner(db, tmp_path, strict=True, statement_lock_timeout=1.0)

    return write


@pytest.fixture
def transactional(db: DatabaseManager) -> None:
    if not db.transactional_ddl:
        pytest.skip("DDL commits here")


def versions(db: DatabaseManager) -> list[str]:
    if not db.table_exists("ia_migrations"):
        return []
    return [row["version"] for row in db.execute("SELECT version FROM ia_migrations ORDER BY id")]


def test_a_history_row_says_what_was_run_and_how_long_it_took(db: DatabaseManager, write: Write) -> None:
    applied = write(V1__make_it="CREATE TABLE t (id INTEGER)").up()
    assert [(one.name, one.description) for one in applied] == [("V1__make_it", "make it")]
    (row,) = db.execute("SELECT * FROM ia_migrations")
    assert (row["version"], row["filename"], row["description"]) == ("V1__make_it", "V1__make_it.sql", "make it")
    assert (row["origin"], len(row["checksum"])) == ("run", 64)
    assert row["applied_at"] is not None
    assert 0 <= row["execution_ms"] < 60_000


def test_a_failure_names_file_statement_line_and_cause(db: DatabaseManager, write: Write) -> None:
    runner = write(V1__bad="CREATE TABLE t (id INTEGER);\n\nINSERT INTO nope VALUES (1);\nSELECT 1;")
    with pytest.raises(MigrationFailed) as raised:
        runner.up()
    told = str(raised.value)
    assert "migration V1__bad.sql failed at statement 2 of 3 (line 3: INSERT INTO nope VALUES (1)): " in told
    assert "nope" in told.split("): ", 1)[1]
    assert raised.value.sql == "INSERT INTO nope VALUES (1)"
    assert versions(db) == []
    assert db.execute("SELECT 1 AS one") == [{"one": 1}]


def test_what_cannot_be_translated_or_read_stops_before_anything_is_run(db: DatabaseManager, write: Write) -> None:
    runner = write(V1__bad="CREATE TABLE t (id INTEGER);\nSELECT :name;")
    with pytest.raises(MigrationFailed, match=r"statement 2 of 2 \(line 2: SELECT :name\): missing parameter"):
        runner.up()
    assert not db.table_exists("t")


@pytest.mark.usefixtures("transactional")
def test_nothing_of_a_failed_file_stays(db: DatabaseManager, write: Write) -> None:
    runner = write(V1__good="CREATE TABLE a (id INTEGER)", V2__bad="CREATE TABLE b (id INTEGER); SELECT * FROM nope")
    with pytest.raises(MigrationFailed, match="V2__bad"):
        runner.up()
    assert (versions(db), db.table_exists("a"), db.table_exists("b")) == (["V1__good"], True, False)


@pytest.mark.parametrize(
    "end", ["COMMIT", "ROLLBACK", "BEGIN", "START TRANSACTION", "commit work", "END", "ABORT", "COMMIT AND CHAIN"]
)
def test_a_statement_that_would_end_the_transaction_is_refused_before_anything_is_run(
    db: DatabaseManager, write: Write, end: str
) -> None:
    if end in ("END", "ABORT") and not db.transactional_ddl:
        pytest.skip("no statement of this database")
    runner = write(V1__bad=f"CREATE TABLE t (id INTEGER);\n{end};\nINSERT INTO t VALUES (1);")
    with pytest.raises(MigrationFailed, match=r"V1__bad\.sql failed at statement 2 of 3 \(line 2"):
        runner.up()
    assert (versions(db), db.table_exists("t")) == ([], False)


@pytest.mark.usefixtures("transactional")
def test_savepoints_are_allowed(db: DatabaseManager, write: Write) -> None:
    write(
        V1__points="CREATE TABLE t (id INTEGER); SAVEPOINT one; INSERT INTO t VALUES (1); ROLLBACK TO one;"
        " INSERT INTO t VALUES (2); RELEASE one;"
    ).up()
    assert db.execute("SELECT id FROM t") == [{"id": 2}]


@pytest.mark.usefixtures("transactional")
def test_a_hidden_end_of_the_transaction_is_detected_afterwards(db: DatabaseManager) -> None:
    """A driver that is told to commit stands for what no scanner sees."""
    db.execute("CREATE TABLE t (id INTEGER)")
    recorded: list[int] = []
    begin = {"sqlite": "BEGIN IMMEDIATE", "mssql": "BEGIN TRANSACTION"}.get(db.config.database_type.value, "BEGIN")

    def end_behind_its_back() -> None:
        leased.run("INSERT INTO t VALUES (1)")
        leased.native("COMMIT")
        leased.native(begin)

    with session(db._connected()) as leased:
        job = Job(
            "V1__sly.sql",
            [Piece(1, 1, "INSERT INTO t VALUES (2)")],
            lambda: recorded.append(1),
            lambda: False,
            end_behind_its_back,
        )
        with pytest.raises(MigrationFailed, match="has ended its transaction behind nexusql's back"):
            run_whole(leased, job, 1.0)
    assert recorded == []
    assert db.execute("SELECT id FROM t") == [{"id": 1}]


def test_a_commit_in_a_block_of_code_is_refused_by_the_server(db: DatabaseManager, write: Write, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("DO is PostgreSQL's")
    with pytest.raises(MigrationFailed, match="invalid transaction termination"):
        write(V1__sly="CREATE TABLE t (id INTEGER); DO $$ BEGIN COMMIT; END $$;").up()
    assert (versions(db), db.table_exists("t")) == ([], False)


def test_what_cannot_run_in_a_transaction_says_which_line_to_write(
    db: DatabaseManager, write: Write, kind: str
) -> None:
    if kind == "mysql":
        pytest.skip("nothing runs in one")
    statement = "ALTER DATABASE CURRENT SET ANSI_NULL_DEFAULT OFF" if kind == "mssql" else "VACUUM"
    with pytest.raises(MigrationFailed, match="put the line `-- nexusql: no-transaction` at the top of the file"):
        write(V1__vacuum=statement).up()
    write(V1__vacuum=f"-- nexusql: no-transaction\n{statement}").up()
    assert versions(db) == ["V1__vacuum"]


def test_a_script_may_change_the_path_the_database_and_the_user(db: DatabaseManager, write: Write, kind: str) -> None:
    text = {"postgresql": "SELECT pg_catalog.set_config('search_path', '', false);", "mysql": "USE information_schema;"}
    if kind not in text:
        pytest.skip("SQLite has no such thing, and SQL Server's sessions stay in their database")
    write(V1__away=f"CREATE TABLE t (id INTEGER);\n{text[kind]}", V2__back="INSERT INTO t VALUES (1)").up()
    assert versions(db) == ["V1__away", "V2__back"]


def test_what_a_script_sets_holds_to_its_end_and_no_longer(db: DatabaseManager, write: Write, kind: str) -> None:
    if kind != "mysql":
        pytest.skip("session variables are MySQL's")
    write(V1__variable="CREATE TABLE t (id INTEGER); SET @x = 7; INSERT INTO t VALUES (@x);").up()
    assert db.execute("SELECT id FROM t") == [{"id": 7}]
    assert db.fetch_value("SELECT @x AS x") is None


def test_migrations_inside_an_open_transaction_are_refused(db: DatabaseManager, write: Write) -> None:
    runner = write(V1__a="CREATE TABLE t (id INTEGER)")
    with db.transaction(), pytest.raises(MigrationError, match="leave the open one first"):
        runner.up()
    assert len(runner.up()) == 1


def test_repeatable_files_run_after_the_others_and_whenever_they_change(db: DatabaseManager, write: Write) -> None:
    view = "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT {} AS id FROM t"
    runner = write(R__view=view.format("id"), V1__t="CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)")
    assert [one.name for one in runner.up()] == ["V1__t", "R__view"]
    assert runner.up() == []
    assert [one.name for one in write(R__view=view.format("id + 1")).up()] == ["R__view"]
    assert db.execute("SELECT id FROM v") == [{"id": 2}]
    assert versions(db) == ["V1__t", "R__view"]


def test_one_file_a_backend(db: DatabaseManager, tmp_path: Path, kind: str) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (name VARCHAR(20)); INSERT INTO t VALUES ('all')")
    (tmp_path / f"V1__t.{kind}.sql").write_text(f"CREATE TABLE t (name VARCHAR(20)); INSERT INTO t VALUES ('{kind}')")
    MigrationRunner(db, tmp_path, strict=True).up()
    assert db.execute("SELECT name FROM t") == [{"name": kind}]
    assert db.execute("SELECT version, filename FROM ia_migrations") == [
        {"version": "V1__t", "filename": f"V1__t.{kind}.sql"}
    ]


def test_foreign_keys_are_off_during_a_file_and_checked_before_its_end(tmp_path: Path) -> None:
    with servers.fresh_database("sqlite") as url, DatabaseManager(f"{url}?foreign_keys=on") as db:
        db.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE c (id INTEGER, p INTEGER REFERENCES p (id) ON DELETE CASCADE)")
        db.execute("INSERT INTO p VALUES (1)")
        db.execute("INSERT INTO c VALUES (1, 1)")
        (tmp_path / "V1__rebuild.sql").write_text(
            "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO n SELECT id, 'x' FROM p;"
            "DROP TABLE p; ALTER TABLE n RENAME TO p;"
        )
        runner = MigrationRunner(db, tmp_path, strict=True)
        runner.up()
        assert db.execute("SELECT * FROM c") == [{"id": 1, "p": 1}]
        (tmp_path / "V2__orphan.sql").write_text("DELETE FROM p")
        with pytest.raises(MigrationFailed, match="leaves 1 rows of c whose foreign key has no parent"):
            runner.up()
        assert db.execute("SELECT * FROM p") == [{"id": 1, "name": "x"}]
        assert db.fetch_value("PRAGMA foreign_keys") == 1
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("INSERT INTO c VALUES (2, 9)")


def test_orphans_that_were_there_before_are_let_alone(tmp_path: Path) -> None:
    with servers.fresh_database("sqlite") as url, DatabaseManager(url) as db:
        db.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE c (id INTEGER, p INTEGER REFERENCES p (id))")
        db.execute("INSERT INTO c VALUES (1, 7)")
        (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
        assert len(MigrationRunner(db, tmp_path, strict=True).up()) == 1


@kinds.itself
def test_a_long_reader_is_waited_for_in_bounded_time_and_named(db: DatabaseManager, write: Write, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("readers keep nobody from writing in WAL mode")
    write(V1__t="CREATE TABLE t (id INTEGER)").up()
    with db.transaction() as tx:
        number = tx.fetch_value(kinds.SESSION_ID[kind])
        # Row versions leave a reader without a lock on SQL Server, unless it asks for one.
        tx.execute("SELECT * FROM t WITH (TABLOCK, HOLDLOCK)" if kind == "mssql" else "SELECT * FROM t")
        with db.detached():
            runner = write(V2__wide="ALTER TABLE t ADD COLUMN name VARCHAR(10)")
            with pytest.raises(MigrationFailed, match=rf"V2__wide.*others hold locks: .*session {number} of "):
                runner.up()
    assert [one.name for one in write().up()] == ["V2__wide"]


def test_a_writer_that_keeps_the_file_is_waited_for_in_bounded_time(tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
    with servers.fresh_database("sqlite") as url, DatabaseManager(f"{url}?busy_timeout=50") as db:
        other = sqlite3.connect(db.config.path or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MigrationError, match="another process has kept the database's write lock"):
            MigrationRunner(db, tmp_path, lock_timeout=0.2).up()
        other.execute("ROLLBACK")
        other.close()
        assert len(MigrationRunner(db, tmp_path).up()) == 1


def test_a_user_without_rights_and_a_read_only_database_fail_at_once(
    db: DatabaseManager, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
    if kind == "sqlite":
        db.close()
        readonly = DatabaseManager(f"sqlite://file:{db.config.path}?mode=ro")
        Path(db.config.path or "").touch()
    elif kind == "postgresql":
        joined = "%20" if "options=" in db.database_url else "?options="
        readonly = DatabaseManager(f"{db.database_url}{joined}-cdefault_transaction_read_only%3Don")
    else:
        pytest.skip("the tests' user may do everything here")
    with readonly, pytest.raises(MigrationError, match=r"read-?only"):
        MigrationRunner(readonly, tmp_path, strict=True).up()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a file system of 8 MB."""
    with tempfile.TemporaryDirectory(prefix="nexusql-disk-") as folder:
        Path(folder).chmod(0o755)  # a server enters it; pytest's own folders are locked by each run
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("mount needs root")
        yield Path(folder)
        subprocess.run(["umount", "-l", folder], check=True)


FILL = "CREATE TABLE t (v TEXT);\n" + "INSERT INTO t VALUES ('{}');\n".format("x" * 100_000) * 200


def test_a_full_disk_is_told_and_nothing_stays(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "V1__fill.sql").write_text(FILL)
    with DatabaseManager(f"sqlite:///{small_disk}/test.db") as db:
        with pytest.raises(MigrationFailed, match="the disk of the database is full"):
            MigrationRunner(db, tmp_path, strict=True).up()
        assert db.list_tables() == ["ia_migrations"]
        assert versions(db) == []
        assert db.fetch_value("PRAGMA integrity_check") == "ok"


def test_a_full_disk_of_a_server_is_told_and_nothing_stays(small_disk: Path, tmp_path: Path) -> None:
    tables = "CREATE TABLE t (v TEXT) TABLESPACE small;\nALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL;\n"
    (tmp_path / "V1__fill.sql").write_text(tables + FILL.partition("\n")[2])
    with Postgres() as server, DatabaseManager(server.url) as db:
        place = small_disk / "space"
        place.mkdir()
        subprocess.run(["chown", "postgres", place], check=True)
        db.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        with pytest.raises(MigrationFailed, match="the disk of the database is full"):
            MigrationRunner(db, tmp_path, strict=True).up()
        assert db.list_tables() == ["ia_migrations"]
        assert versions(db) == []
        db.execute("DROP TABLESPACE small")


def test_a_server_that_is_killed_in_a_migration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "V1__slow.sql").write_text("CREATE TABLE a (id INTEGER);\nSELECT pg_sleep(30);\n")
    with Postgres() as server, DatabaseManager(server.url) as db:
        killer = threading.Timer(1.5, server.kill)
        killer.start()
        with pytest.raises(MigrationFailed, match=r"V1__slow\.sql failed at statement 2 of 2"):
            MigrationRunner(db, tmp_path, strict=True).up()
        killer.join()
        server.start()
        (tmp_path / "V1__slow.sql").write_text("CREATE TABLE a (id INTEGER);\n")
        with caplog.at_level(logging.INFO):
            assert len(MigrationRunner(db, tmp_path, strict=True).up()) == 1


@pytest.mark.parametrize("kind", ["sqlite", "mysql"], indirect=True)
def test_a_loss_that_the_file_accepts_is_none_for_a_strict_manager(kind: str, tmp_path: Path) -> None:
    lossy = "CREATE TABLE t (a INTEGER) WITH (fillfactor = 70);"
    with servers.fresh_database(kind) as url, DatabaseManager(url, strict=True) as strict:
        (tmp_path / "V1__t.sql").write_text(lossy)
        with pytest.raises(MigrationFailed, match="without a loss"):
            MigrationRunner(strict, tmp_path, strict=True).up()
        assert not strict.table_exists("t")
        (tmp_path / "V1__t.sql").write_text(f"-- known\n-- nexusql: accept-loss\n{lossy}")
        runner = MigrationRunner(strict, tmp_path, strict=True)
        ((statement,),) = [file.statements for file in runner.plan()]
        assert statement.notes == ()
        assert len(statement.accepted) == 1
        runner.up()
        assert strict.table_exists("t")
