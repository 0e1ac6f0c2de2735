"""Migrations on SQL Server: the lock and its result, the packaged schema, and what is sent for both."""

import logging
import re
from pathlib import Path

import pytest
import sqlglot

import nexusql
from nexusql import errors
from nexusql.backends.mssql.migrating import MIGRATING
from nexusql.manager import DatabaseManager
from nexusql.sql.lexical import SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.syntax import syntax_for
from nexusql.sql.translate import translate
from tsql import Server, error

SCRIPT = (Path(nexusql.__file__).parent / "migrations" / "V001__complete_schema.sql").read_text(encoding="utf-8")
MODES = SessionModes(version=(14, 0, 1000))


@pytest.fixture
def migrating(server: Server) -> Server:
    """A stand-in that grants the lock."""
    server.on("SELECT SCHEMA_NAME", [("dbo",)])
    server.on("SELECT 1 AS probed", [(1,)])
    server.on("sp_getapplock", [(1,)])
    server.on("APPLOCK_MODE", [(1,)])
    server.on("CURRENT_TRANSACTION_ID", [(7,)])
    server.on("INFORMATION_SCHEMA.COLUMNS", [])
    server.on("^UPDATE .*ia_migrations", 0)
    server.on("^SELECT (TOP|COUNT|1|\\*)", [])
    return server


def test_the_packaged_schema_is_applied_in_one_transaction(db: DatabaseManager, migrating: Server) -> None:
    db.migrate()
    texts = migrating.texts
    assert any("sp_getapplock" in text for text in texts)
    tables = [text for text in texts if "CREATE TABLE pipeline" in text]
    assert len(tables) == 6
    begin = max(i for i, text in enumerate(texts[: texts.index(tables[0])]) if text == "BEGIN TRANSACTION")
    commit = texts.index("COMMIT TRANSACTION", begin)
    assert begin < texts.index(tables[-1]) < commit
    history = [i for i, text in enumerate(texts) if text.startswith("INSERT INTO") and "ia_migrations" in text]
    assert history
    assert begin < history[0] < commit
    assert any("sp_releaseapplock" in text for text in texts)


def test_strictness_does_not_refuse_the_packaged_schema(migrating: Server) -> None:
    with DatabaseManager("mssql://user:secret@db.example/sales", pool_min=0, strict=True) as strict:
        strict.migrate()
        with pytest.raises(errors.TranslationError, match="NO ACTION"):
            strict.execute("CREATE TABLE t (id INT PRIMARY KEY, up INT REFERENCES t (id) ON DELETE CASCADE)")
    assert any("ON DELETE NO ACTION" in text for text in migrating.texts)


def test_a_failure_stores_nothing(db: DatabaseManager, migrating: Server) -> None:
    migrating.on("CREATE TABLE pipeline_templates", error("ProgrammingError", "42000", 102))
    with pytest.raises(errors.MigrationFailed):
        db.migrate()
    assert migrating.texts.count("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION") >= 1
    assert not any(text.startswith("INSERT INTO") and "ia_migrations" in text for text in migrating.texts)


def test_savepoints_of_a_script_are_said_in_t_sql(db: DatabaseManager, migrating: Server, tmp_path: Path) -> None:
    script = "SAVEPOINT one; CREATE TABLE t (id INT); ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one;"
    (tmp_path / "V1__t.sql").write_text(script)
    db.migrate([tmp_path], apply_schema=False)
    sent = [text for text in migrating.texts if "[one]" in text]
    assert sent == ["SAVE TRANSACTION [one]", "ROLLBACK TRANSACTION [one]"]


@pytest.mark.parametrize("answer", [-2, -3, -999])
def test_a_lock_that_is_neither_granted_nor_refused_is_an_error(
    db: DatabaseManager, migrating: Server, answer: int
) -> None:
    migrating.on("sp_getapplock", [(answer,)])
    with pytest.raises(errors.MigrationError, match=f"answered {answer}"):
        db.migrate()
    assert not any("CREATE TABLE" in text for text in migrating.texts)


def test_the_statements_of_the_lock_say_what_their_results_mean() -> None:
    lock = MIGRATING.lock
    assert lock is not None
    assert "WHEN 0 THEN 1 WHEN 1 THEN 1 WHEN -1 THEN 0 ELSE @got" in lock.take
    assert len(str(lock.key("x" * 300))) == 28
    for text in (lock.take, lock.held, lock.give_back, lock.holder, lock.end_session):
        assert text.count("?") == 1


def test_the_packaged_schema_is_whole_in_t_sql() -> None:
    syntax = syntax_for("mssql")
    logging.getLogger("sqlglot").disabled = True
    created: list[str] = []
    try:
        for statement in split_script(SCRIPT, syntax, MODES):
            translation = translate(statement, syntax, MODES)
            text = re.sub(r"^\s*(--[^\n]*\n\s*)*", "", translation.sql)
            assert text.startswith("IF ")
            body = re.sub(r"^IF .*? IS NULL (BEGIN )?", "", text).removesuffix("; END")
            for piece in body.split("; "):
                (parsed,) = sqlglot.parse(piece, dialect="tsql")
                assert isinstance(parsed, sqlglot.exp.Create), piece
                created.append(str(parsed.args["kind"]))
    finally:
        logging.getLogger("sqlglot").disabled = False
    assert created.count("TABLE") == 17
    assert created.count("INDEX") > 30


def test_the_packaged_schema_loses_only_what_is_told() -> None:
    syntax = syntax_for("mssql")
    notes = [n.message for s in split_script(SCRIPT, syntax, MODES) for n in translate(s, syntax, MODES).notes]
    assert notes == ["ON DELETE SET NULL is NO ACTION here: the key refers to the table itself"]
