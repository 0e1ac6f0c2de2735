"""Real scripts are cut into the statements that the databases' own programs send: the servers' logs are the witness.

The scripts are dumps of databases with triggers, routines and odd strings, and the SQL files that the servers bring.
"""

import csv
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from nexusql import DatabaseManager
from nexusql.sql.lexical import SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.syntax import syntax_for
from nexusql.sql.tokens import tokenize
from throwaway import MariaDB, Postgres, Server

ODD = ("it''s; --", "a\\b", "$$; $t$", "日本; 'x'", "/* ; */", "-- ;", "DELIMITER $$", "END;", '"; `', ":name %s ?")


def code(statement: str, dialect: str, modes: SessionModes) -> tuple[str, ...]:
    """The tokens of a statement, without blanks and comments: those the programs treat each in their own way."""
    syntax = syntax_for(dialect)
    tokens = tokenize(statement, syntax.lexical(modes), modes.version_number)
    kept = [token.text for token in tokens if token.kind not in " -"]
    while kept and kept[-1] == ";":
        kept.pop()
    return tuple(kept)


def cut(script: str, dialect: str, modes: SessionModes) -> list[tuple[str, ...]]:
    """The statements as nexusql cuts them, those that hold code."""
    pieces = [code(piece, dialect, modes) for piece in split_script(script, syntax_for(dialect), modes)]
    return [piece for piece in pieces if piece]


def expect_same(ours: list[tuple[str, ...]], theirs: list[tuple[str, ...]], least: int) -> None:
    for number, (own, other) in enumerate(zip(ours, theirs, strict=False)):
        assert own == other, f"statement {number}"
    assert len(ours) == len(theirs) >= least


def program(*command: object, stdin: str | None = None) -> str:
    """Run a program of a database; what it prints. Statements may fail: they were sent."""
    done = subprocess.run(
        list(map(str, command)), input=stdin, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120
    )
    return done.stdout


# PostgreSQL


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    servers.require("postgresql")
    with Postgres(
        logging_collector="on", log_destination="csvlog", log_directory="statements", log_statement="all"
    ) as server:
        yield server


def sent_to_postgres(server: Server, files: list[Path]) -> list[tuple[str, ...]]:
    """The statements that psql sends for some files, as the server has logged them."""
    logs = server.folder / "data" / "statements"
    with server.cursor() as cursor:
        cursor.execute("SELECT pg_rotate_logfile()")
    address = ("-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "root", "-d", "postgres")
    named = [part for file in files for part in ("-f", str(file))]
    program("psql", *address, "-v", "ON_ERROR_STOP=0", "--set=AUTOCOMMIT=on", *named)
    with server.cursor() as cursor:
        cursor.execute("SELECT 'the end'")
    sent = []
    for path in sorted(logs.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as log:
            for row in csv.reader(log):
                if row[22] == "psql" and row[13].startswith("statement: "):
                    sent.append(row[13].removeprefix("statement: "))
                elif row[22] == "psql" and row[13].startswith("syntax error"):  # logged in no other way
                    sent.append(row[19])
        path.write_text("")
    modes = SessionModes(version=(15, 0))
    return [piece for piece in (code(text, "postgresql", modes) for text in sent) if piece]


def without_commands(path: Path, folder: Path) -> Path:
    """A copy without psql's own commands, which are no SQL."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    copy = folder / path.name
    copy.write_text("".join(line for line in lines if not line.startswith("\\")), "utf-8")
    return copy


def expect_as_psql(server: Server, files: list[Path], least: int) -> None:
    modes = SessionModes(version=(15, 0))
    ours = [piece for file in files for piece in cut(file.read_text("utf-8"), "postgresql", modes)]
    expect_same(ours, sent_to_postgres(server, files), least)


def test_a_dump_of_postgresql(postgres: Server, tmp_path: Path) -> None:
    with postgres.cursor() as cursor:
        cursor.execute("CREATE TABLE odd (id serial PRIMARY KEY, v text DEFAULT 'a;b', \"semi;colon\" int)")
        cursor.execute("COMMENT ON TABLE odd IS 'it''s; a $$ table'")
        for text in ODD:
            cursor.execute("INSERT INTO odd (v) VALUES (%s)", (text,))
        cursor.execute(
            "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $body$ BEGIN"
            " EXECUTE 'SELECT ''x;'''; IF a > 1 THEN RETURN 1; END IF; RETURN $1; END; $body$"
        )
        cursor.execute("CREATE PROCEDURE p() LANGUAGE sql AS $$ INSERT INTO odd (v) VALUES ('$x$; --'); SELECT 1; $$")
        cursor.execute(
            "CREATE FUNCTION atomic_sum(a int, b int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT a + b; END"
        )
        cursor.execute("CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END;'")
        cursor.execute("CREATE TRIGGER tr BEFORE INSERT ON odd FOR EACH ROW WHEN (NEW.v <> ';') EXECUTE FUNCTION t()")
        cursor.execute("CREATE VIEW w AS SELECT v || E'\\n;' AS x, CASE WHEN id > 1 THEN ';' END AS c FROM odd")
        cursor.execute("CREATE RULE r AS ON DELETE TO odd DO ALSO (SELECT 1; SELECT 2)")
    address = ("-h", "127.0.0.1", "-p", str(postgres.port), "-U", "root", "postgres")
    path = tmp_path / "dump.sql"
    path.write_text(program("pg_dump", "--inserts", "--clean", *address), "utf-8")
    expect_as_psql(postgres, [without_commands(path, tmp_path)], 50)


def test_the_sql_files_that_postgresql_brings(postgres: Server, tmp_path: Path) -> None:
    found = sorted(
        path
        for path in Path("/usr/share/postgresql").glob("*/**/*.sql")
        if "tsearch" not in path.parts and path.stat().st_size < 200_000
    )
    if not found:
        pytest.skip("no files of a server here")
    expect_as_psql(postgres, [without_commands(path, tmp_path) for path in found], 1000)


# MariaDB


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    servers.require("mysql")
    with MariaDB(log_output="TABLE", event_scheduler="OFF") as server:
        yield server


def modes_of(server: Server) -> SessionModes:
    with server.cursor() as cursor:
        cursor.execute("SELECT @@version")
        numbers = str(cursor.fetchone()[0]).split("-")[0].split(".")
    return SessionModes(flavour="mariadb", version=tuple(map(int, numbers)))


def expect_as_mariadb(server: Server, path: Path, least: int) -> None:
    modes = modes_of(server)
    with server.cursor() as cursor:
        cursor.execute("SET GLOBAL general_log = OFF")
        cursor.execute("TRUNCATE mysql.general_log")
        cursor.execute("SET GLOBAL general_log = ON")
    address = (
        "--no-defaults",
        "-h127.0.0.1",
        f"-P{server.port}",
        "-uroot",
        "--force",
        "--default-character-set=utf8mb4",
    )
    program("mariadb", *address, "test", stdin=path.read_text("utf-8"))
    with server.cursor() as cursor:
        cursor.execute("SET GLOBAL general_log = OFF")
        cursor.execute(
            "SELECT argument FROM mysql.general_log WHERE command_type = 'Query' AND thread_id ="
            " (SELECT MAX(thread_id) FROM mysql.general_log WHERE command_type = 'Quit') ORDER BY event_time, 1"
        )
        rows = [row[0] for row in cursor.fetchall()]
    sent = [text if isinstance(text, str) else bytes(text).decode() for text in rows]
    # USE is a command of the program: it asks which database that was, and does not send it as a statement.
    asked = ("SELECT", "DATABASE", "(", ")")
    theirs = [piece for piece in (code(text, "mysql", modes) for text in sent) if piece not in ((), asked)]
    ours = [piece for piece in cut(path.read_text("utf-8"), "mysql", modes) if piece[0].upper() != "USE"]
    # The log's times are not in order beyond doubt, so what was sent is compared as a bag.
    expect_same(sorted(ours), sorted(theirs), least)


def test_a_dump_of_mariadb(mariadb: Server, tmp_path: Path) -> None:
    with mariadb.cursor() as cursor:
        cursor.execute("CREATE TABLE odd (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT DEFAULT 'a;b', `semi;colon` INT)")
        for text in ODD:
            cursor.execute("INSERT INTO odd (v) VALUES (%s)", (text,))
        cursor.execute(
            "CREATE TRIGGER tr BEFORE INSERT ON odd FOR EACH ROW"
            " BEGIN IF NEW.v = ';' THEN SET NEW.v = '$$;'; END IF; END"
        )
        cursor.execute(
            "CREATE PROCEDURE p(IN a INT) BEGIN DECLARE i INT DEFAULT 0; -- a; comment\n"
            "WHILE i < a DO SET i = i + 1; END WHILE; SELECT CASE WHEN a THEN ';' ELSE \"it's;\" END; END"
        )
        cursor.execute("CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN IF(a > 1, 1, 0)")
        cursor.execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM odd WHERE v = ';'; END")
        cursor.execute("CREATE VIEW w AS SELECT v AS `a;b` FROM odd WHERE v <> ';'")
    address = ("--no-defaults", "-h127.0.0.1", f"-P{mariadb.port}", "-uroot")
    path = tmp_path / "dump.sql"
    dump = program("mariadb-dump", *address, "--routines", "--triggers", "--events", "--skip-extended-insert", "test")
    # A remark for the client, by which newer dumps are marked.
    path.write_text(dump.removeprefix("/*M!999999\\- enable the sandbox mode */ \n"), "utf-8")
    expect_as_mariadb(mariadb, path, 40)


@pytest.mark.parametrize(
    "name", ["mysql_system_tables.sql", "mysql_sys_schema.sql", "mysql_performance_tables.sql", "fill_help_tables.sql"]
)
def test_the_sql_files_that_mariadb_brings(mariadb: Server, name: str) -> None:
    path = Path("/usr/share/mysql") / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    expect_as_mariadb(mariadb, path, 1)


# SQLite


def test_a_dump_of_sqlite(tmp_path: Path) -> None:
    if not program("sqlite3", "--version"):
        pytest.skip("sqlite3 is not installed")
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as made:
        made.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT DEFAULT 'a;b', \"semi;colon\" INT)"
        )
        made.executemany("INSERT INTO odd (v) VALUES (?)", [(text,) for text in (*ODD, "line\nbreak;\r\n")])
        made.execute(
            "CREATE TRIGGER tr AFTER INSERT ON odd WHEN NEW.v <> ';' BEGIN"
            " UPDATE odd SET v = CASE WHEN id > 1 THEN ';' ELSE 'END;' END; SELECT 1; END"
        )
        made.execute("CREATE TABLE [brackets;] (`tick;` TEXT)")
        made.execute("CREATE VIEW w AS SELECT v || ';' AS x FROM odd")
    made.close()
    script = program("sqlite3", file, ".dump")
    ran: list[str] = []
    with sqlite3.connect(":memory:") as other:
        other.set_trace_callback(ran.append)
        other.executescript(script)
        other.set_trace_callback(None)
    other.close()
    modes = SessionModes()
    # Statements of triggers and of foreign keys are traced as comments, and a first COMMIT is the driver's.
    theirs = [piece for piece in (code(text, "sqlite", modes) for text in ran) if piece]
    expect_same(cut(script, "sqlite", modes), theirs, 15)


def test_a_dump_of_sqlite_makes_the_same_database(tmp_path: Path) -> None:
    with servers.fresh_database("sqlite") as url, DatabaseManager(url) as db:
        db.run_script("CREATE TABLE a (v TEXT); INSERT INTO a VALUES ('x;y''z'); CREATE VIEW b AS SELECT v FROM a;")
        with sqlite3.connect(db.config.path or "") as raw:
            script = "\n".join(raw.iterdump())
        raw.close()
        body = script.removeprefix("BEGIN TRANSACTION;").removesuffix("COMMIT;")
        (tmp_path / "V1__dump.sql").write_text(body)
        with servers.fresh_database("sqlite") as second, DatabaseManager(second) as copy:
            copy.migrate([tmp_path], apply_schema=False)
            assert copy.execute("SELECT v FROM b") == [{"v": "x;y'z"}]
