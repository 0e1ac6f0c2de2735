"""The house stands as docs/ARCHITECTURE.md draws it: imports go down, files stay short, drivers stay in their rooms."""

import ast
import io
import os
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import nexusql

PACKAGE = Path(nexusql.__file__).parent
MOST_LINES = 400

# A module imports its own package and what stands above it in this list; what stands beside it, only inside a function.
LEVELS = (
    ("errors", "_speedups"),
    ("odbc",),
    ("url",),
    ("config", "progress", "results", "rowsource", "sql", "workers"),
    ("events", "interfaces", "leases", "models"),
    ("backends",),
    ("interrupts",),
    ("connection", "options", "writer"),
    ("ledger",),
    ("pool",),
    ("engine",),
    ("current", "shapes", "units"),
    ("batches", "bulk", "stream"),
    ("calls",),
    ("transaction",),
    ("jobs",),
    ("blocks",),
    ("groups", "retry"),
    ("manager", "migrations"),
    ("aio", "observers", "otel"),
    ("__init__", "testing"),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
DRIVERS = {"sqlite3", "psycopg2", "pymysql", "pyodbc"}
THIRD_PARTY = {
    "backends": DRIVERS,
    "cli": {"rich", "typer"},
    "models": {"msgspec", "pydantic"},
    "otel": {"opentelemetry"},
    "progress": {"rich"},
    "testing": {"pytest"},
    "_speedups": {"cython"},
}
WHEN_USED = {"msgspec", "opentelemetry", "pydantic", "rich"}  # imported only inside a function


class Import(NamedTuple):
    """One import: the module's dotted name, the line, whether it runs when the importing module is loaded."""

    name: str
    line: int
    at_load: bool


def source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = ["nexusql", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file but those that only a type checker sees."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, at_load)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: a relative import"
                for alias in child.names:
                    yield Import(f"{child.module}.{alias.name}", child.lineno, at_load)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(ast.Module(body=child.orelse, type_ignores=[]), at_load)
            else:
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, at_load and not inside)

    return walk(ast.parse(path.read_text("utf-8")), True)


def room(path: Path) -> str:
    """The first part of a file's path inside the package: what LEVELS and THIRD_PARTY speak of."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def lines_of_code(path: Path) -> int:
    """Lines that hold code: blank lines, comments and docstrings are not counted."""
    text = path.read_text("utf-8")
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def run_python(code: str) -> str:
    # Under coverage a subprocess would load coverage, and sqlite3 with it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_go_down_only() -> None:
    wrong = []
    for path in source_files():
        own = room(path)
        for imported in imports_of(path):
            parts = imported.name.split(".")
            if parts[0] != "nexusql" or len(parts) == 1:
                continue
            target = parts[1] if parts[1] in LEVEL else "__init__"
            beside = LEVEL[target] == LEVEL[own] and imported.at_load
            if target != own and (beside or LEVEL[target] > LEVEL[own]):
                wrong.append(f"{path.relative_to(PACKAGE)}:{imported.line} imports {imported.name}")
    assert wrong == []


def test_every_module_has_its_level() -> None:
    assert {room(path) for path in source_files()} <= set(LEVEL)


def test_a_backend_does_not_know_another() -> None:
    wrong = []
    for path in source_files():
        inside = path.relative_to(PACKAGE).parts
        if inside[0] != "backends" or len(inside) < 3:
            continue
        for imported in imports_of(path):
            parts = imported.name.split(".")
            is_folder = parts[:2] == ["nexusql", "backends"] and (PACKAGE / "backends" / parts[2]).is_dir()
            if is_folder and parts[2] != inside[1]:
                wrong.append(f"{'/'.join(inside)}:{imported.line} imports {imported.name}")
    assert wrong == []


def test_third_party_packages_are_imported_where_they_belong() -> None:
    wrong = []
    for path in source_files():
        allowed = THIRD_PARTY.get(room(path), set())
        in_a_backend_folder = len(path.relative_to(PACKAGE).parts) == 3
        for imported in imports_of(path):
            top = imported.name.split(".")[0]
            if top == "nexusql" or (top in sys.stdlib_module_names and top not in DRIVERS):
                continue
            at_home = top in allowed and (top not in DRIVERS or in_a_backend_folder)
            if not at_home or (imported.at_load and top in WHEN_USED):
                wrong.append(f"{path.relative_to(PACKAGE)}:{imported.line} imports {imported.name}")
    assert wrong == []


def test_a_driver_is_loaded_by_its_own_backend_and_only_when_that_is_used() -> None:
    """Outside a backend's folder no module loads a driver, and none loads a module that does."""
    files = {module_name(path): path for path in source_files()}
    loads_driver: set[str] = set()
    while True:
        found = {
            name
            for name, path in files.items()
            for imported in imports_of(path)
            if imported.at_load
            and (
                imported.name.split(".")[0] in DRIVERS
                or imported.name in loads_driver
                or imported.name.rpartition(".")[0] in loads_driver
            )
        }
        if found == loads_driver:
            break
        loads_driver = found
    assert {name.split(".")[1] for name in loads_driver} == {"backends"}
    assert {name for name in loads_driver if name.count(".") != 3} == set()


def test_statements_are_compiled_for_any_database_without_its_driver() -> None:
    dialects = ("sqlite", "postgresql", "mysql")
    loaded = run_python(
        "import sys; from nexusql.sql import compile_statement\n"
        f"for dialect in {dialects}: assert compile_statement('SELECT :a', dialect).names == ('a',)\n"
        "print(*sys.modules)"
    )
    assert DRIVERS & set(loaded.split()) == set()


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_a_file_stays_under_400_lines_of_code(path: Path) -> None:
    assert lines_of_code(path) < MOST_LINES


def test_docstrings_comments_and_blank_lines_are_not_code(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        '"""Doc\n\nstring."""\n\n# comment\nx = """a\nb"""  # two lines\n\n\ndef f():\n    """Doc."""\n    return x\n'
    )
    assert lines_of_code(file) == 4


def test_importing_nexusql_loads_no_driver_and_no_third_party_package() -> None:
    loaded = run_python(
        "import sys; before = set(sys.modules); import nexusql\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    ).split()
    assert "nexusql" in loaded
    foreign = {name for name in loaded if name not in sys.stdlib_module_names and name != "nexusql"}
    # Compiled modules register names of Cython's own; interpreted ones take the cython module where it is installed.
    ours = ("_cython_", "cython_runtime") if nexusql.IMPLEMENTATION == "cython" else ("Cython", "cython")
    assert {name for name in foreign if not name.startswith(ours)} == set()
    assert DRIVERS & set(loaded) == set()


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_a_module_can_be_imported_alone(path: Path) -> None:
    if path.stem == "__main__":
        pytest.skip("it runs the command when it is imported")
    assert run_python(f"import sys, {module_name(path)}; print({module_name(path)!r} in sys.modules)") == "True\n"
