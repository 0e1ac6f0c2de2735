"""The names that people import, what they are, and what importing them costs."""

import importlib
import inspect
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nexusql
from nexusql import errors, interfaces

ROOT = Path(__file__).resolve().parents[2]
MILLISECONDS = 40
ROUNDS = 60  # at most: a busy machine needs more of them

NAMES = {
    *("AsyncDatabaseManager", "ConnectionConfig", "DatabaseInterface", "DatabaseManager", "DatabaseType"),
    *("AsyncStream", "AsyncTransaction", "GroupCommit", "Stream", "Transaction"),
    *("BulkResult", "QueryResult", "Records", "Row", "RowError", "Rows"),
    *("create_error_result", "create_query_result"),
    *("Array", "Json", "MigrationRunner", "IMPLEMENTATION", "__version__"),
    *("AsyncStream", "AsyncTransaction", "GroupCommit", "Records", "Stream", "Transaction"),
    *("Event", "OpenTelemetry", "SlowQueryLog", "Statistics"),
}
ERRORS = {name for name, value in vars(errors).items() if inspect.isclass(value)}


def test_the_public_names_are_these() -> None:
    assert set(nexusql.__all__) == NAMES | ERRORS


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert nexusql.__all__ == sorted(set(nexusql.__all__))


@pytest.mark.parametrize("name", sorted(NAMES | ERRORS))
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(nexusql, name)
    assert name in dir(nexusql)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert value.__doc__


def test_a_star_import_gives_them_all() -> None:
    names: dict[str, Any] = {}
    exec("from nexusql import *", names)
    assert set(nexusql.__all__) <= set(names)


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="module 'nexusql' has no attribute 'DatabaseManger'"):
        nexusql.DatabaseManger
    with pytest.raises(ImportError):
        exec("from nexusql import DatabaseManger")


@pytest.mark.parametrize(
    "path",
    [
        "nexusql.manager.DatabaseManager",
        "nexusql.migrations.MigrationRunner",
        "nexusql.aio.AsyncDatabaseManager",
        *(f"nexusql.interfaces.{name}" for name in interfaces.__all__),
    ],
)
def test_the_paths_that_clients_know_lead_to_the_same(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is getattr(nexusql, name)


def test_interfaces_has_the_data_classes() -> None:
    assert set(interfaces.__all__) == {
        *("ConnectionConfig", "DatabaseInterface", "DatabaseType"),
        *("BulkResult", "QueryResult", "Row", "Rows", "create_error_result", "create_query_result"),
    }


def test_a_manager_is_what_the_interface_asks_for() -> None:
    assert issubclass(nexusql.DatabaseManager, nexusql.DatabaseInterface)
    assert isinstance(nexusql.DatabaseManager("sqlite://"), nexusql.DatabaseInterface)


def test_a_stand_in_has_to_have_every_call() -> None:
    calls = {name: lambda *_: None for name in nexusql.DatabaseInterface.__abstractmethods__}
    stand_in: Any = type("StandIn", (nexusql.DatabaseInterface,), calls)
    assert isinstance(stand_in(), nexusql.DatabaseInterface)
    calls.pop("execute")
    partial: Any = type("Partial", (nexusql.DatabaseInterface,), calls)
    with pytest.raises(TypeError, match="execute"):
        partial()


def test_the_version_is_one() -> None:
    given = re.search(r"^version = (.*)$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert given is not None
    assert given[1] in (f'"{nexusql.__version__}"', '{ attr = "nexusql.__version__" }')


def test_the_implementation_is_the_one_that_was_asked_for() -> None:
    assert os.environ.get("NEXUSQL_EXPECT", nexusql.IMPLEMENTATION) == nexusql.IMPLEMENTATION
    assert nexusql.IMPLEMENTATION in ("cython", "python")


def milliseconds(code: str, folder: Path) -> float:
    """How long a fresh interpreter takes, with byte code where an installation has it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(nexusql.__file__).parents[1]), *sys.path])
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return (time.perf_counter() - started) * 1000


def test_importing_nexusql_takes_less_than_40_milliseconds(tmp_path: Path) -> None:
    milliseconds("import nexusql", tmp_path)
    bare = imported = float("inf")
    # In turns, and the best of each: what else the machine does hits both alike.
    for _ in range(ROUNDS):
        bare = min(bare, milliseconds("pass", tmp_path))
        imported = min(imported, milliseconds("import nexusql", tmp_path))
        if imported - bare < MILLISECONDS:
            break
    assert imported - bare < MILLISECONDS
