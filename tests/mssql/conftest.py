"""A manager on a stand-in for SQL Server: one for pyodbc, or one that real ODBC drivers speak to."""

from collections.abc import Iterator

import pyodbc
import pytest

import tds_drivers
import tds_server
from nexusql.manager import DatabaseManager
from tsql import DRIVER, Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """The stand-in, which pyodbc connects to."""
    made = Server()
    monkeypatch.setattr(pyodbc, "connect", made.connect)
    monkeypatch.setattr(pyodbc, "drivers", lambda: [DRIVER])
    return made


@pytest.fixture
def db(server: Server) -> Iterator[DatabaseManager]:
    """A connected manager."""
    with DatabaseManager("mssql://user:secret@db.example/sales", pool_min=0) as manager:
        yield manager


@pytest.fixture(params=tds_drivers.DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Each of SQL Server's ODBC drivers in turn."""
    driver: str = request.param
    tds_drivers.named(driver)
    return driver


@pytest.fixture
def tds() -> Iterator[tds_server.Server]:
    """The stand-in that speaks SQL Server's protocol."""
    with tds_server.Server() as server:
        yield server


@pytest.fixture
def wired(tds: tds_server.Server, driver: str) -> Iterator[DatabaseManager]:
    """A connected manager that reaches it by a real driver."""
    with DatabaseManager(tds_drivers.url(tds, driver), pool_min=0) as manager:
        yield manager
