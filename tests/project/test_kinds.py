"""Tests that run on several databases run on SQL Server, too, once there is one; and no fact about it is left out."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clients
import nexusql

TESTS = Path(__file__).resolve().parents[1]
# Nobody listens there, and collecting needs nobody.
UNREACHABLE = "DRIVER={ODBC Driver 18 for SQL Server};SERVER=127.0.0.1,1;UID=sa;PWD=secret;DATABASE=master"
pytestmark = pytest.mark.skipif(nexusql.IMPLEMENTATION == "python", reason="says nothing of the core")
OTHERS = {"sqlite", "postgresql", "mysql"}

# The directories whose tests take each database in turn. Those of what has no part in a database are not among them:
# pool, speedups, typing, unit; `mssql` has tests of its own, `sql` and `project` few that run statements.
SHARED = (
    *("aio", "backends", "bulk", "cli", "contract", "faults", "groups", "manager", "migrations", "models"),
    *("observing", "stream", "transactions", "translation"),
    *(("clients",) if clients.installed(clients.CURRENT) else ()),
)

# What SQL Server has no such thing for. Read-only transactions:
NOT_THERE = {
    "test_a_read_only_block_refuses_to_write",
    "test_a_read_only_transaction_refuses_at_once",
    "test_a_read_only_transaction_refuses_rows",
    "test_a_read_only_transaction_refuses_writes_and_leaves_no_trace",
    "test_a_write_in_a_read_only_transaction",
    "test_read_only_transactions_have_streams_too",
    # Texts that are its own: those of T-SQL stand in tests/translation/test_tsql.py.
    "test_native_definitions_pass_byte_for_byte_and_run",
    "test_other_forms_of_these_statements",
}
# Of the tables in tests/support: a server that nobody can start here, and a zone that its sessions do not have.
WITHOUT = {"servers.DEFAULT_URLS", "throwaway.SERVERS", "translating.UTC"}


@pytest.fixture(scope="module")
def collected() -> dict[tuple[str, str], set[str]]:
    """Which databases each test has cases for, by (file below tests/, function), where SQL Server takes part."""
    directories = [str(TESTS / name) for name in SHARED]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *directories]
    environment = {**os.environ, "NEXUSQL_TEST_MSSQL_URL": UNREACHABLE}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment, cwd=TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[tuple[str, str], set[str]] = {}
    for line in done.stdout.splitlines():
        case = re.fullmatch(r"(?:tests/)?(\w+/\w+\.py)::(\w+)(?:\[(.*)\])?", line)
        if case:
            cases = found.setdefault((case[1], case[2]), set())
            cases |= {kind for kind in (*OTHERS, "mssql") if re.search(rf"\b{kind}\b", case[3] or "")}
    return found


@pytest.mark.parametrize("directory", SHARED)
def test_each_shared_directory_has_cases_for_sql_server(
    collected: dict[tuple[str, str], set[str]], directory: str
) -> None:
    assert any(file.startswith(f"{directory}/") and "mssql" in cases for (file, _), cases in collected.items())


def test_what_runs_on_all_others_runs_on_sql_server(collected: dict[tuple[str, str], set[str]]) -> None:
    forgotten = {name for (_, name), cases in collected.items() if cases >= OTHERS and "mssql" not in cases}
    assert forgotten == NOT_THERE


def lacking(source: str, keys: set[str]) -> list[str]:
    """The names of the tables in a module's text, by kind of database, that have these keys and not SQL Server's."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        named = node.targets[0] if isinstance(node, ast.Assign) else node.target
        tables = [table for table in ast.walk(node.value) if isinstance(table, ast.Dict)]
        for table in tables:
            kinds = {key.value for key in table.keys if isinstance(key, ast.Constant)}
            if kinds >= keys and "mssql" not in kinds:
                found.append(ast.unparse(named))
    return found


def test_a_table_that_lacks_it_is_found() -> None:
    assert lacking('A = {"postgresql": 1, "mysql": 2}', OTHERS - {"sqlite"}) == ["A"]
    assert lacking('a: dict = {"x": {"postgresql": 1, "mysql": 2}}', OTHERS - {"sqlite"}) == ["a"]
    assert lacking('A = {"postgresql": 1, "mysql": 2, "mssql": 3}\nB = {"mysql": 1}', OTHERS - {"sqlite"}) == []


def tables_without(folder: Path) -> set[str]:
    """Those of the modules in a folder, by module and name."""
    return {
        f"{file.stem}.{name}"
        for file in sorted(folder.rglob("*.py"))
        for name in lacking(file.read_text("utf-8"), OTHERS - {"sqlite"})
    }


def test_no_table_of_the_support_leaves_sql_server_out() -> None:
    assert tables_without(TESTS / "support") == WITHOUT


def test_no_table_of_the_package_does() -> None:
    assert tables_without(Path(nexusql.__file__).parent) == set()
