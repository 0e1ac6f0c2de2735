"""A manager on a stand-in for SQL Server."""

from collections.abc import Iterator

import pyodbc
import pytest

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
