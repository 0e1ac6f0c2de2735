"""Rows of SQL Server in pieces: the server sends all it has, and the driver reads as they are asked for."""

from collections.abc import Sequence
from typing import Any

from nexusql.backends.mssql.session import Result
from nexusql.config import ConnectionConfig


class MssqlCursor:
    """See nexusql.backends.base.Cursor."""

    def __init__(self, result: Result, size: int) -> None:
        self._size = size
        self._result = result
        self.description: Sequence[Sequence[Any]] = result.description or ()
        self._reading = result.description is not None

    @property
    def occupies(self) -> bool:
        """Until the last row has been read: the session has no second set of rows under way."""
        return self._reading

    def fetch(self) -> Sequence[Any]:
        """The next rows."""
        if not self._reading:
            return []
        rows = self._result.fetchmany(self._size)
        if len(rows) < self._size:
            self._result.drain()
            self._reading = False
        return rows

    def close(self, config: ConnectionConfig) -> None:
        """Leave the rest: the driver tells the server to stop and reads what is under way
        (https://learn.microsoft.com/sql/odbc/reference/syntax/sqlclosecursor-function)."""
        if self._reading:
            self._reading = False
            self._result.close()
