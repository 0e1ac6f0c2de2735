"""Rows of PostgreSQL in pieces: a cursor at the server, https://www.postgresql.org/docs/current/sql-declare.html."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from psycopg2 import extensions

from nexusql.backends.base import Raw
from nexusql.config import ConnectionConfig

_numbers = count(1)


class PostgresqlCursor:
    """See nexusql.backends.base.Cursor. `alone` begins the transaction that a cursor needs, in the same round trip.

    The first rows come with the answer to the declaration, which alone would not name the columns.
    """

    occupies = False

    def __init__(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> None:
        self._raw = raw
        self._alone = alone
        self._name = f"nexusql_{next(_numbers)}"
        self._size = size
        self._cursor = raw.cursor()
        # On a line of its own, the server's errors show the statement as it was written; it may end in a comment.
        declare = f"DECLARE {self._name} NO SCROLL CURSOR FOR\n{text}\n;{self._fetch_text}"
        self._cursor.execute(f"BEGIN;{declare}" if alone else declare, args)
        self.description: Sequence[Sequence[Any]] = self._cursor.description
        self._first: Sequence[Any] | None = self._cursor.fetchall()

    @property
    def _fetch_text(self) -> str:
        return f"FETCH FORWARD {self._size} FROM {self._name}"

    def fetch(self) -> Sequence[Any]:
        """The next rows, one round trip."""
        rows, self._first = self._first, None
        if rows is None:
            self._cursor.execute(self._fetch_text)
            rows = self._cursor.fetchall()
        return rows

    def close(self, config: ConnectionConfig) -> None:
        """Close it, unless the end of its own transaction does, or the server takes nothing but a rollback."""
        self._first = None
        if not self._alone and self._raw.get_transaction_status() == extensions.TRANSACTION_STATUS_INTRANS:
            self._cursor.execute(f"CLOSE {self._name}")
