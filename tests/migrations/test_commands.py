"""up, down, status, plan, validate, baseline, repair and new, on every database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nexusql import ChecksumMismatch, DatabaseManager, MigrationError, MigrationFailed, MigrationRunner
from nexusql.migrations.new import new_file
from nexusql.migrations.script import checksum

FILES = {
    "V1__one": "CREATE TABLE one (id INTEGER);\n-- down\nDROP TABLE one;",
    "V2__two": "CREATE TABLE two (id INTEGER);",
    "U2__two": "DROP TABLE two;",
    "V10__ten": "CREATE TABLE ten (id INTEGER);",
    "V10__ten.down": "DROP TABLE ten;",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


@pytest.fixture
def runner(db: DatabaseManager, folder: Path) -> MigrationRunner:
    return MigrationRunner(db, folder, strict=True)


def states(runner: MigrationRunner) -> dict[str, str]:
    return {item.name: item.state.value for item in runner.status()}


def names(applied: list[object]) -> list[str]:
    return [one.name for one in applied]  # type: ignore[attr-defined]


def test_up_to_a_version_and_down_again(db: DatabaseManager, runner: MigrationRunner) -> None:
    assert names([*runner.up(to="2.0")]) == ["V1__one", "V2__two"]
    assert runner.up(to="V002") == []
    assert states(runner) == {"V1__one": "applied", "V2__two": "applied", "V10__ten": "pending"}
    assert names([*runner.up()]) == ["V10__ten"]
    assert names([*runner.down()]) == ["V10__ten"]
    assert names([*runner.down(to="1")]) == ["V2__two"]
    assert db.table_exists("one")
    assert not db.table_exists("two")
    assert names([*runner.up()]) == ["V2__two", "V10__ten"]
    assert names([*runner.down(steps=3)]) == ["V10__ten", "V2__two", "V1__one"]
    assert runner.down() == []
    assert [table for table in db.list_tables() if not table.startswith("ia_")] == []


def test_down_needs_an_undo_script_for_each_before_it_runs_any(
    db: DatabaseManager, runner: MigrationRunner, folder: Path
) -> None:
    runner.up()
    (folder / "U2__two.sql").unlink()
    with pytest.raises(MigrationError, match=r"V2__two cannot be undone: .* no V2__two\.down\.sql and no U2__two\.sql"):
        runner.down(steps=2)
    assert db.table_exists("ten")
    with pytest.raises(MigrationError, match="at least one"):
        runner.down(steps=0)
    (folder / "U1__one.sql").write_text("DROP TABLE one")
    with pytest.raises(MigrationError, match=r"V1__one\.sql has a `-- down` section, and U1__one\.sql undoes it too"):
        runner.validate()


def test_a_failed_undo_leaves_its_version_applied(db: DatabaseManager, runner: MigrationRunner, folder: Path) -> None:
    runner.up()
    (folder / "V10__ten.down.sql").write_text("DROP TABLE nope")
    with pytest.raises(MigrationFailed, match=r"V10__ten\.down\.sql failed at statement 1"):
        runner.down()
    assert states(runner)["V10__ten"] == "applied"


def test_status_as_json(runner: MigrationRunner, folder: Path) -> None:
    runner.up(to="1")
    first, second, _ = json.loads(json.dumps([item.as_dict() for item in runner.status()], default=str))
    assert first["applied_at"]
    assert {**first, "applied_at": None} == {
        "version": "1",
        "name": "V1__one",
        "description": "one",
        "kind": "versioned",
        "state": "applied",
        "file": "V1__one.sql",
        "applied_at": None,
        "checksum": checksum(FILES["V1__one"]),
        "file_checksum": checksum(FILES["V1__one"]),
        "undoable": True,
        "statements_done": None,
    }
    assert (second["state"], second["checksum"], second["undoable"]) == ("pending", None, True)


def test_a_changed_file_stops_everything_until_it_is_accepted(runner: MigrationRunner, folder: Path) -> None:
    runner.up(to="1")
    changed = FILES["V1__one"].replace("INTEGER", "BIGINT")
    (folder / "V1__one.sql").write_text(changed)
    assert states(runner)["V1__one"] == "changed"
    for call in (runner.up, runner.validate, runner.down):
        with pytest.raises(ChecksumMismatch) as raised:
            call()
        for part in ("V1__one.sql", checksum(FILES["V1__one"]), checksum(changed), "nexusql migrate repair"):
            assert part in str(raised.value)
    assert states(runner)["V2__two"] == "pending"
    assert runner.repair() == [f"V1__one has the checksum {checksum(changed)} now"]
    assert names([*runner.up()]) == ["V2__two", "V10__ten"]
    assert runner.repair() == []


@pytest.mark.parametrize("edit", ["\ufeff{}", "{}\r\n", "{} "])
def test_a_mark_and_line_ends_are_no_change(runner: MigrationRunner, folder: Path, edit: str) -> None:
    path = folder / "V1__one.sql"
    path.write_text(FILES["V1__one"] + ("\n" if edit.endswith("\n") else ""))
    runner.up()
    path.write_bytes(edit.format(FILES["V1__one"]).replace("\n", "\r\n").replace("\r\r", "\r").encode())
    assert states(runner)["V1__one"] == ("changed" if edit == "{} " else "applied")


def test_a_renamed_file_is_told_and_taken_over(db: DatabaseManager, runner: MigrationRunner, folder: Path) -> None:
    runner.up()
    (folder / "V1__one.sql").rename(folder / "V01__first.sql")
    assert states(runner)["V01__first"] == "renamed"
    with pytest.raises(MigrationError, match=r"V01__first was applied under another name.*nexusql migrate repair"):
        runner.up()
    assert runner.repair() == ["V1__one is V01__first now"]
    assert runner.up() == []
    assert states(runner) == {"V01__first": "applied", "V2__two": "applied", "V10__ten": "applied"}


def test_out_of_order_is_refused_or_allowed(db: DatabaseManager, runner: MigrationRunner, folder: Path) -> None:
    runner.up()
    (folder / "V3__late.sql").write_text("CREATE TABLE late (id INTEGER)")
    assert states(runner)["V3__late"] == "out of order"
    with pytest.raises(MigrationError, match=r"V3__late comes before one that is applied.*--out-of-order"):
        runner.up()
    assert names([*MigrationRunner(db, folder, strict=True, out_of_order=True).up()]) == ["V3__late"]


def test_missing_and_future_files_are_refused_or_allowed_or_forgotten(
    db: DatabaseManager, runner: MigrationRunner, folder: Path
) -> None:
    runner.up()
    (folder / "V2__two.sql").unlink()
    (folder / "V10__ten.sql").unlink()
    assert states(runner) == {"V1__one": "applied", "V2__two": "future", "V10__ten": "future"}
    (folder / "V3__three.sql").write_text("CREATE TABLE three (id INTEGER)")
    assert states(runner)["V2__two"] == "missing"
    with pytest.raises(
        MigrationError, match=r"V2__two was applied, and its file is gone.*V10__ten was applied by a newer"
    ):
        runner.up()
    assert names([*MigrationRunner(db, folder, strict=True, ignore_missing=True).up()]) == ["V3__three"]
    assert runner.repair() == []
    assert runner.repair(missing=True) == ["V2__two is forgotten", "V10__ten is forgotten"]
    assert states(runner) == {"V1__one": "applied", "V3__three": "applied"}


def test_a_baseline_counts_as_applied_and_cannot_be_undone(db: DatabaseManager, runner: MigrationRunner) -> None:
    assert runner.baseline("2", "as it was") == ["V1__one", "V2__two"]
    assert states(runner) == {"V1__one": "baseline", "V2__two": "baseline", "V10__ten": "pending"}
    assert not db.table_exists("one")
    assert names([*runner.up()]) == ["V10__ten"]
    with pytest.raises(MigrationError, match="V2__two is a baseline"):
        runner.down(steps=2)
    assert db.table_exists("ten")
    with pytest.raises(MigrationError, match="no file up to version 2 is pending"):
        runner.baseline("2")


def test_the_packaged_rows_belong_to_no_folder(db: DatabaseManager, runner: MigrationRunner) -> None:
    db.migrate()
    runner.up()
    assert set(states(runner)) == {"V1__one", "V2__two", "V10__ten"}
    assert states(MigrationRunner(db, strict=True)) == {"V001__complete_schema": "applied"}


def test_looking_creates_nothing(db: DatabaseManager, runner: MigrationRunner) -> None:
    assert set(states(runner).values()) == {"pending"}
    assert len(runner.plan()) == len(runner.validate()) == 3
    assert [path.name for path in runner.pending(to="2")] == ["V1__one.sql", "V2__two.sql"]
    assert runner.applied() == []
    assert db.list_tables() == []


def test_the_plan_has_each_statement_as_a_database_gets_it(db: DatabaseManager, tmp_path: Path, kind: str) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id SERIAL PRIMARY KEY);\nSELECT * FROM t FOR UPDATE;")
    (tmp_path / "V2__only.mysql.sql").write_text("SELECT 1")
    runner = MigrationRunner(db, tmp_path, strict=True)
    own = [file for file in runner.plan() if file.name == "V1__t"]
    assert [file.backend for file in own] == [kind]
    assert own[0].statements[0].sql == db.translate("CREATE TABLE t (id SERIAL PRIMARY KEY)").sql
    assert own[0].transaction is db.transactional_ddl
    every = {(file.backend, file.name): file for file in runner.plan(every_backend=True)}
    expected = {(backend, "V1__t") for backend in ("sqlite", "postgresql", "mysql", "mssql")}
    assert set(every) - {("mysql", "V2__only")} == expected
    assert "AUTO_INCREMENT" in every["mysql", "V1__t"].statements[0].sql
    assert "IDENTITY" in every["mssql", "V1__t"].statements[0].sql
    assert every["mysql", "V1__t"].transaction is False
    (note,) = every["sqlite", "V1__t"].statements[1].notes
    assert note == "row locks are dropped: SQLite locks the whole database for a writer (line 2, column 17)"
    assert json.loads(json.dumps([file.as_dict() for file in every.values()]))
    assert not db.table_exists("t")


def test_the_plan_tells_what_cannot_be_run(db: DatabaseManager, tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text("SELECT 1;\nSELECT 'open")
    (file,) = MigrationRunner(db, tmp_path, strict=True).plan()
    assert (file.statements, len(file.problems)) == ((), 1)
    assert "V1__t.sql cannot be read" in file.problems[0] or "line 2" in file.problems[0]


def test_new_files_get_the_next_version(tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    made: Callable[..., list[str]] = lambda *a, **k: [path.name for path in new_file(folder, *a, **k)]  # noqa: E731
    assert made("add users!") == ["V001__add_users.sql"]
    assert made("add: mail", undo=True) == ["V002__add_mail.sql", "U002__add_mail.sql"]
    assert made("all views", repeatable=True) == ["R__all_views.sql"]
    assert made("odd", version="2026.1") == ["V2026.1__odd.sql"]
    assert made("next") == ["V2027__next.sql"]
    assert (folder / "V001__add_users.sql").read_text() == "-- add users!\n"
    for bad, why in (
        ({"version": "2"}, "V002__add_mail.sql has this version already"),
        ({"version": "x"}, "no version"),
    ):
        with pytest.raises(MigrationError, match=why):
            made("again", **bad)
    with pytest.raises(MigrationError, match=r"R__all_views\.sql is there already"):
        made("all views", repeatable=True)
    with pytest.raises(MigrationError, match="letters or digits"):
        made("!!!")
    with pytest.raises(MigrationError, match="no version and nothing that undoes it"):
        made("x", repeatable=True, undo=True)
