"""Rows of SQLite in pieces: SQLite computes the next row when it is asked for, so nothing waits anywhere."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from nexusql.config import ConnectionConfig


class SqliteCursor:
    """See nexusql.backends.base.Cursor."""

    occupies = False

    def __init__(self, cursor: sqlite3.Cursor, size: int) -> None:
        self.description: Sequence[Sequence[Any]] = cursor.description
        self._cursor = cursor
        self._size = size

    def fetch(self) -> Sequence[Any]:
        """The next rows, read at once: sqlite3 makes tuples of them faster so than one by one."""
        return self._cursor.fetchmany(self._size)

    def close(self, config: ConnectionConfig) -> None:
        """End the read, and with it the snapshot that it holds."""
        self._cursor.close()
