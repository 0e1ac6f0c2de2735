"""Real ODBC drivers in the place of SQL Server's: PostgreSQL's and SQLite's, which Debian has (odbc-postgresql and
libsqliteodbc). What is T-SQL's own is answered or said in their words; all else goes through the driver as it is."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import pyodbc
import pytest

import servers

POSTGRESQL, SQLITE = "PostgreSQL Unicode", "SQLite3"
PACKAGES = {POSTGRESQL: "odbc-postgresql", SQLITE: "libsqliteodbc"}

_SAVEPOINT = re.compile(r"(SAVE|ROLLBACK) TRANSACTION \[(\w+)\]")


def require_driver(name: str) -> None:
    """Skip the test where an ODBC driver is not installed, or fail it where NEXUSQL_REQUIRE_SERVERS=1."""
    if name not in pyodbc.drivers():
        message = f"the ODBC driver {name} is not installed (Debian: {PACKAGES[name]})"
        if servers.flag("NEXUSQL_REQUIRE_SERVERS"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


def connect_postgresql(url: str) -> Any:
    """A connection by PostgreSQL's ODBC driver, which takes values in braces for some attributes only."""
    parts = urlsplit(url)
    attributes = {
        "DRIVER": f"{{{POSTGRESQL}}}",
        "SERVER": parts.hostname or "127.0.0.1",
        "PORT": str(parts.port or 5432),
        "UID": unquote(parts.username or "root"),
        "PWD": unquote(parts.password or ""),
        "DATABASE": parts.path.lstrip("/"),
        "BoolsAsChar": "0",
        "Protocol": "7.4-0",  # the driver rolls back nothing of itself
        "MaxVarcharSize": "8190",
    }
    text = ";".join(f"{name}={value}" for name, value in attributes.items())
    return pyodbc.connect(text, autocommit=True)


class Imitation:
    """A connection by another database's driver that understands the T-SQL which the backend itself sends."""

    def __init__(self, odbc: Any) -> None:
        self._odbc = odbc
        self.timeout = 0

    @property
    def closed(self) -> bool:
        return bool(self._odbc.closed)

    def close(self) -> None:
        self._odbc.close()

    def cursor(self) -> "ImitationCursor":
        return ImitationCursor(self._odbc.cursor())

    def add_output_converter(self, kind: int, convert: Any) -> None:
        """The other database has no such types."""


class ImitationCursor:
    """A real cursor that is given other words where T-SQL has its own."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, text: str, *args: Sequence[Any]) -> Any:
        if text.startswith("SET "):
            return self._cursor.execute("SELECT 1 WHERE 1 = 0")
        if "SERVERPROPERTY" in text:
            return self._cursor.execute("SELECT '16.0.1000.6', 2, NULL, 1")
        if text == "SELECT XACT_STATE()":
            return self._state()
        text = text.removeprefix("IF @@TRANCOUNT > 0 ")
        found = _SAVEPOINT.fullmatch(text)
        if found:
            text = f"{'SAVEPOINT' if found[1] == 'SAVE' else 'ROLLBACK TO SAVEPOINT'} {found[2]}"
        return self._cursor.execute(text, *args)

    def _state(self) -> Any:
        """Whether the other database still takes statements."""
        try:
            return self._cursor.execute("SELECT 1")
        except pyodbc.Error:
            answer = _Answer([(-1,)])
            self._cursor = answer
            return answer


class _Answer:
    """A cursor with an answer of our own."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows
        self.description = [("state", int, None, 0, 0, 0, True)]
        self.rowcount = -1

    def fetchmany(self, size: int) -> list[Any]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def nextset(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""
