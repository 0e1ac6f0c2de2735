"""The commands of `nexusql`, with their exit statuses, on real databases."""

import csv
import io
import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import nexusql
from nexusql import DatabaseManager, MigrationRunner
from nexusql.cli.app import run
from nexusql.cli.database import manager_of
from nexusql.cli.entry import main
from nexusql.migrations.lock import Patience
from nexusql.migrations.place import always

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `nexusql ..` and give its exit status, stdout and stderr."""
    monkeypatch.delenv("NEXUSQL_URL", raising=False)
    monkeypatch.delenv("NEXUSQL_PASSWORD", raising=False)

    def command(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return status, out, err

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "V1__items.sql").write_text(
        "CREATE TABLE items (id SERIAL PRIMARY KEY, name VARCHAR(50));\n-- down\nDROP TABLE items;"
    )
    (tmp_path / "V2__rows.sql").write_text("INSERT INTO items (name) VALUES ('a');\n-- down\nDELETE FROM items;")
    return tmp_path


def test_the_version_names_the_implementation(command: Run) -> None:
    assert command("--version") == (0, f"nexusql {nexusql.__version__} ({nexusql.IMPLEMENTATION})\n", "")


@pytest.mark.parametrize("args", [[], ["migrate"]])
def test_without_a_command_the_help_is_shown(command: Run, args: list[str]) -> None:
    status, out, _ = command(*args)
    assert (status, "Usage: nexusql" in out, "Commands" in out) == (2, True, True)
    assert "..." not in out.partition("Commands")[2]  # each fits into its line


@pytest.mark.parametrize(
    "names",
    [
        *(["info"], ["query"], ["translate"]),
        *(["migrate", name] for name in "up down status plan validate baseline repair new unlock".split()),
    ],
)
def test_every_command_has_help_with_an_example(command: Run, names: list[str]) -> None:
    status, out, err = command(*names, "--help")
    assert (status, err) == (0, "")
    assert f"Example: nexusql {' '.join(names)}" in " ".join(out.split())


def test_the_way_of_a_folder(command: Run, database_url: str, folder: Path) -> None:
    path = ("--path", folder)
    assert command("migrate", "status", database_url, *path, "--check")[0] == 3
    status, out, err = command("migrate", "up", database_url, *path, "--to", "1")
    assert (status, out) == (0, "applied 1 migration, the last: V1__items\n")
    assert "applied migration V1__items.sql" in err
    status, out, err = command("migrate", "up", database_url, *path, "--json")
    assert (status, [one["name"] for one in json.loads(out)]) == (0, ["V2__rows"])
    assert command("migrate", "up", database_url, *path)[:2] == (0, "nothing to do\n")
    status, out, _ = command("migrate", "status", database_url, *path, "--check", "--json")
    assert (status, [item["state"] for item in json.loads(out)]) == (0, ["applied", "applied"])
    status, out, _ = command("migrate", "status", database_url, *path)
    assert ("items" in out, "applied" in out, "yes" in out) == (True, True, True)
    assert command("migrate", "validate", database_url, *path)[:2] == (0, "2 migrations in order\n")
    assert command("migrate", "down", database_url, *path, "--steps", "2")[:2] == (
        *(0, "undid 2 migrations, the last: V1__items\n"),
    )
    assert command("migrate", "baseline", database_url, "1", *path)[:2] == (0, "V1__items\n")
    assert command("migrate", "repair", database_url, *path)[:2] == (0, "nothing to do\n")
    status, out, _ = command("migrate", "repair", database_url, *path, "--json")
    assert (status, json.loads(out)) == (0, [])


def test_the_packaged_schema(command: Run, database_url: str) -> None:
    assert command("migrate", "up", database_url, "--packaged")[0] == 0
    status, out, _ = command("migrate", "status", database_url, "--packaged", "--json")
    assert (status, json.loads(out)[0]["name"]) == (0, "V001__complete_schema")


def test_a_changed_file_and_a_failing_one_have_their_own_statuses(
    command: Run, database_url: str, folder: Path
) -> None:
    command("migrate", "up", database_url, "-p", folder)
    (folder / "V1__items.sql").write_text("CREATE TABLE other (id INTEGER)")
    for name in ("up", "validate"):
        status, out, err = command("migrate", name, database_url, "-p", folder)
        assert (status, out) == (4, "")
        assert err.startswith("ChecksumMismatch: V1__items.sql was changed")
    assert command("migrate", "repair", database_url, "-p", folder)[0] == 0
    (folder / "V3__bad.sql").write_text("SELECT * FROM nope")
    status, _, err = command("migrate", "up", database_url, "-p", folder)
    assert (status, "MigrationFailed: migration V3__bad.sql failed at statement 1 of 1" in err) == (1, True)
    (folder / "v4.sql").write_text("")
    status, _, err = command("migrate", "status", database_url, "-p", folder)
    assert status == 0
    status, _, err = command("migrate", "up", database_url, "-p", folder)
    assert (status, "v4.sql is not named" in err) == (1, True)


@pytest.mark.mssql_itself
def test_a_lock_that_is_kept_has_its_own_status(command: Run, database_url: str, folder: Path, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("there is no lock")
    with DatabaseManager(database_url) as other:
        lock = MigrationRunner(other, folder).lock()
        assert lock is not None
        assert lock.acquire(Patience(5), always)
        status, _, err = command("migrate", "up", database_url, "-p", folder, "--lock-timeout", "0.2")
        assert (status, "MigrationLocked: another process is migrating" in err) == (5, True)
        status, out, _ = command("info", database_url, "--json")
        assert "advisory lock held by session" in json.loads(out)["migrations"]
        status, out, _ = command("migrate", "unlock", database_url, "--yes", "--json")
        assert json.loads(out)["ended"].startswith("session ")
        lock.release()
    assert command("migrate", "unlock", database_url, "-y")[:2] == (0, "nobody holds the lock\n")


def test_the_plan_is_printed_and_losses_can_fail_it(command: Run, database_url: str, folder: Path) -> None:
    (folder / "V3__lossy.sql").write_text("SELECT id FROM items FOR UPDATE;")
    status, out, err = command("migrate", "plan", database_url, "-p", folder, "--all")
    assert (status, err) == (0, "")
    for part in (
        "V1__items.sql for mysql, statement by statement",
        "AUTO_INCREMENT",
        "-- loses: row locks",
    ):
        assert part in out
    status, _, err = command("migrate", "plan", database_url, "-p", folder, "--all", "--strict")
    assert (status, "V3__lossy.sql for sqlite, line 1: row locks are dropped" in err) == (1, True)
    (folder / "V3__lossy.sql").write_text("-- nexusql: accept-loss\nSELECT id FROM items FOR UPDATE;")
    status, out, err = command("migrate", "plan", database_url, "-p", folder, "--all", "--strict")
    assert (status, "-- loses (accepted): row locks are dropped" in out, err) == (0, True, "")
    status, out, _ = command("migrate", "plan", database_url, "-p", folder, "--json", "--to", "1")
    assert [file["file"] for file in json.loads(out)] == ["V1__items.sql"]


def test_new_makes_files(command: Run, tmp_path: Path) -> None:
    status, out, _ = command("migrate", "new", "add users", "--path", tmp_path / "sql", "--undo")
    assert (status, [Path(line).name for line in out.splitlines()]) == (
        0,
        ["V001__add_users.sql", "U001__add_users.sql"],
    )
    assert command("migrate", "new", "!", "--path", tmp_path / "sql")[0] == 1
    status, _, err = command("migrate", "up", "sqlite://:memory:", "--path", tmp_path / "sql")
    assert (status, "V001__add_users.sql holds no statement, and counts as applied" in err) == (0, True)


def test_info_tells_what_is_there(command: Run, database_url: str, kind: str) -> None:
    status, out, err = command("info", database_url)
    assert (status, err) == (0, "")
    status, shown, _ = command("info", database_url, "--json")
    facts = json.loads(shown)
    assert (facts["backend"], facts["nexusql"]) == (kind, nexusql.__version__)
    assert facts["core"] == ("compiled" if nexusql.IMPLEMENTATION == "cython" else "interpreted")
    assert {"postgresql": "PostgreSQL ", "sqlite": "SQLite ", "mssql": "SQL Server "}.get(kind, "") in facts["server"]
    assert facts["drivers"]["sqlite"].startswith("3.")
    assert facts["drivers"]["mysql"] == metadata.version("PyMySQL")
    assert "further_isolation nothing" in out
    assert facts["capabilities"]["transactional_ddl"] is (kind != "mysql")
    if kind == "mysql":
        interpreted = "the driver: the core is interpreted"
        assert facts["rows read by"] == ("the compiled core" if nexusql.IMPLEMENTATION == "cython" else interpreted)


def test_a_query_as_table_json_and_csv(command: Run, database_url: str) -> None:
    sql = "SELECT :n AS name, 7 AS number, NULL AS none"
    args = ("query", database_url, sql, "-p", 'n=it\'s, "x"')
    status, out, _ = command(*args)
    assert (status, 'it\'s, "x"' in out, "NULL" in out) == (0, True, True)
    status, out, _ = command(*args, "--format", "json")
    assert json.loads(out) == [{"name": 'it\'s, "x"', "number": 7, "none": None}]
    status, out, _ = command(*args, "-f", "csv")
    assert list(csv.reader(io.StringIO(out))) == [["name", "number", "none"], ['it\'s, "x"', "7", ""]]


def test_a_wide_value_is_not_cut_and_drives_no_terminal(command: Run, database_url: str) -> None:
    value = "x" * 500 + "\x1b[31m[red]"
    _, out, _ = command("query", database_url, "SELECT :v AS v", "-p", f"v={value}")
    assert "x" * 500 + "\\x1b[31m[red]" in out


def test_parameters_have_types_where_they_are_json(command: Run, database_url: str) -> None:
    sql = "SELECT COUNT(*) AS n FROM (SELECT 1 AS id UNION SELECT 2) AS t WHERE id IN (:ids)"
    _, out, _ = command("query", database_url, sql, "-p", "ids:=[1, 2, 3]", "-f", "json")
    assert json.loads(out) == [{"n": 2}]
    for bad, why in (("ids", "name=value"), ("=1", "name=value"), ("ids:=[1", "not valid JSON")):
        status, _, err = command("query", database_url, sql, "-p", bad)
        assert (status, why in err) == (1, True)


def test_a_write_says_how_many_rows(command: Run, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("query", database_url, "CREATE TABLE t (id INTEGER)")[0] == 0
    status, out, err = command("query", database_url, "INSERT INTO t VALUES (1), (2)")
    assert (status, out, err) == (0, "", "2 rows affected\n")
    assert command("query", database_url, "DELETE FROM t WHERE id = 1")[2] == "1 row affected\n"
    assert command("query", database_url, "INSERT INTO t VALUES (1)")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT id FROM t ORDER BY id"))
    monkeypatch.setenv("NEXUSQL_URL", database_url)
    status, out, err = command("query", "-", "-f", "json")
    assert json.loads(out) == [{"id": 1}, {"id": 2}]


def test_an_empty_result_has_its_columns(command: Run, database_url: str) -> None:
    _, out, _ = command("query", database_url, "SELECT 1 AS a, 2 AS b WHERE 1 = 0", "-f", "csv")
    assert out == "a,b\r\n"


def test_translate_prints_each_statement_and_what_is_lost(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = command("translate", "CREATE TABLE t (id SERIAL PRIMARY KEY); SELECT 1", "--to", "mysql")
    assert (status, out.count(";\n"), "AUTO_INCREMENT" in out, err) == (0, 2, True, "")
    status, out, err = command("translate", "SELECT 1 FROM t FOR UPDATE", "--to", "sqlite")
    assert (status, "FOR UPDATE" in out, err.startswith("loses: row locks")) == (0, False, True)
    assert command("translate", "SELECT 1 FROM t FOR UPDATE", "--to", "sqlite", "--strict")[0] == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT TRUE::text"))
    status, out, _ = command("translate", "-", "--to", "mysql", "--json")
    assert json.loads(out) == [{"sql": "SELECT CONCAT(TRUE)", "notes": []}]
    status, _, err = command("translate", "SELECT 1", "--to", "oracle")
    assert (status, "oracle is none of sqlite, postgresql, mysql" in err) == (2, True)


def test_wrong_use_is_told_in_a_line_with_the_page_of_help(command: Run, tmp_path: Path) -> None:
    for args, why in (
        (["nonsense"], "No such command"),
        (["migrate", "up"], "Missing argument 'URL'; see"),
        (["migrate", "down", "sqlite://:memory:", "--steps", "0"], "--steps"),
        (["query", "sqlite://:memory:"], "two arguments are needed"),
    ):
        status, out, err = command(*args)
        assert (status, out, err.count("\n"), why in err, "--help" in err) == (2, "", 1, True, True)
    status, _, err = command("migrate", "up", "sqlite://:memory:", "-p", tmp_path / "absent")
    assert (status, "there is no folder" in err) == (1, True)
    status, _, err = command("info", "oracle://x")
    assert (status, err.startswith("ConfigError: Unsupported database URL")) == (1, True)


SECRET = "S3CR%25T"


@pytest.mark.parametrize(
    "args",
    [
        ["info", f"postgresql://root:{SECRET}@127.0.0.1:1/x"],
        ["info", f"postgresql://root:{SECRET}@127.0.0.1:1/x", "surplus"],
        ["info", "sqlite://:memory:", f"mysql://root:{SECRET}@h/x"],
        ["info", f"mysql://root:{SECRET}@127.0.0.1:notaport/x"],
        ["--verbose", "migrate", "up", f"mysql://root:{SECRET}@127.0.0.1:1/x", "--packaged"],
        ["query", f"postgres//root:{SECRET}@127.0.0.1:1/x", "SELECT 1"],
        ["query", "sqlite://:memory:", "SELECT 1", "SELECT 2", f"--password={SECRET}"],
        [f"postgresql://root:{SECRET}@127.0.0.1:1/x"],
        ["info", "sqlite://:memory:", f"mysql://root:a@b/ c{SECRET}@h/x"],
        ["info", "sqlite://:memory:", f"mysql//root:{SECRET}@h/x"],
    ],
)
def test_no_password_is_printed(command: Run, args: list[str]) -> None:
    status, out, err = command(*args)
    assert status in (1, 2)
    assert "S3CR" not in out + err


def test_the_password_may_come_from_the_environment(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSQL_PASSWORD", "from the environment")
    assert manager_of("postgresql://root@h/x", False).config.password == "from the environment"
    assert manager_of("postgresql://root:own@h/x", False).config.password == "own"
    assert manager_of("sqlite://:memory:", False).config.password is None
    assert command("info", "sqlite://:memory:", "-W")[2] == "ConfigError: a file has no password\n"


def test_without_the_extra_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--version"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "the nexusql command needs its extra; install it with: pip install nexusql[cli]\n")
