"""What every test shares: which databases are there, and a fresh one for each test that asks."""

import importlib.util
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

import clients
import servers
from nexusql import _speedups

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager


# A spawned process imports its test module by the full name. At the end of the path it shadows no installed package.
sys.path.append(str(Path(__file__).resolve().parents[1]))
# These speak of the drivers' own classes, so that without the drivers they cannot even be imported.
if not (importlib.util.find_spec("psycopg2") and importlib.util.find_spec("pymysql")):
    collect_ignore = [
        "sql/test_live.py",
        "unit/test_error_classes.py",
        "unit/test_secrets.py",
        "unit/test_url_servers.py",
    ]

hypothesis.settings.register_profile("default", max_examples=100, deadline=None)
hypothesis.settings.register_profile("long", max_examples=3000, deadline=None)
hypothesis.settings.load_profile("long" if servers.flag("NEXUSQL_LONG") else "default")


def pytest_report_header() -> list[str]:
    """Say what runs: the implementation, the interpreter and each database, reached or not."""
    lines = [f"nexusql: {_speedups.IMPLEMENTATION}, {platform.python_implementation()} {platform.python_version()}"]
    for kind in servers.KINDS:
        version, where = servers.look_at(kind)
        lines.append(f"  {version} ({where})" if version else f"  {kind} NOT REACHED ({where})")
    if clients.installed(clients.CURRENT):
        lines.append(f"  ia_modules {clients.CURRENT}")
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say again, where nobody misses it, what was not tested."""
    for kind in servers.KINDS:
        if not servers.reachable(kind):
            terminalreporter.write_line(f"NOT TESTED on {kind}: {servers.look_at(kind)[1]}", yellow=True)
    if importlib.util.find_spec("pyodbc"):
        try:
            importlib.import_module("pyodbc")
        except ImportError as error:
            terminalreporter.write_line(
                f"SQL Server's tests need unixODBC, which is not installed: {error}", yellow=True
            )
    if not clients.installed(clients.CURRENT):
        terminalreporter.write_line("NOT TESTED: ia_modules, which scripts/clients.py installs", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave long tests out unless they are asked for."""
    if not servers.flag("NEXUSQL_LONG"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: set NEXUSQL_LONG=1"))
    if servers.ONLY_PROTOCOL:
        for item in items:
            if item.get_closest_marker("mssql_itself") and "mssql" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="this server only speaks SQL Server's protocol"))


@pytest.fixture(params=servers.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    kind: str = request.param
    servers.require(kind)
    return kind


@pytest.fixture
def database_url(kind: str) -> Iterator[str]:
    """The URL of an empty database of `kind`, dropped afterwards."""
    with servers.fresh_database(kind) as url:
        yield url


@pytest.fixture
def db(database_url: str) -> Iterator["DatabaseManager"]:
    """A connected manager on an empty database of `kind`."""
    from nexusql.manager import DatabaseManager

    with DatabaseManager(database_url) as manager:
        yield manager
