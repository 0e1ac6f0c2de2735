"""A pyodbc connection with what is known about its session, and the result of a statement."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyodbc

from nexusql.backends.base import Status


class Result:
    """What a statement has given: its first set of rows, or else the number of rows that its first part has affected.

    The errors of a batch's later parts come when these are asked for, so all of them are, once the rows are read.
    """

    __slots__ = ("_cursor", "description", "rowcount")

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.description: Sequence[Sequence[Any]] | None = cursor.description
        self.rowcount = cursor.rowcount
        while self.description is None and cursor.nextset():
            self.description = cursor.description
            if self.rowcount < 0:
                self.rowcount = cursor.rowcount
        if self.description is None:
            cursor.close()
        elif not all(column[0] for column in self.description):
            # The server gives an expression no name, so that all of them would have one.
            self.description = [(c[0] or f"column{n}", *c[1:]) for n, c in enumerate(self.description, 1)]

    def fetchall(self) -> Sequence[Any]:
        """All rows of the set."""
        if self.description is None:
            return []
        rows: Sequence[Any] = self._cursor.fetchall()
        self.drain()
        return rows

    def fetchmany(self, size: int) -> Sequence[Any]:
        """The next rows of the set."""
        rows: Sequence[Any] = self._cursor.fetchmany(size)
        return rows

    def drain(self) -> None:
        """Read over what comes behind the rows. Raises the error of a later part."""
        while self._cursor.nextset():
            pass
        self._cursor.close()

    def close(self) -> None:
        """Leave what has not been read."""
        self._cursor.close()


class MssqlSession:
    """One session. It is in autocommit for the driver: transactions are begun and ended by statements.

    `status` is nexusql's own account, which every error inside a transaction has confirmed by XACT_STATE().
    """

    def __init__(self, odbc: pyodbc.Connection) -> None:
        self.odbc = odbc
        self.status = Status.IDLE
        self.isolated = False  # a level of isolation was set for the open transaction
        self.product = 0  # the server's major version
        self._running: Any = None

    @property
    def closed(self) -> bool:
        """Whether it has been closed here."""
        return bool(self.odbc.closed)

    def run(self, text: str, args: Sequence[Any] | None, sizes: Sequence[Any] | None = None) -> Result:
        """Run driver text; `sizes` are types of the parameters, as Cursor.setinputsizes takes them."""
        cursor = self.odbc.cursor()
        if sizes is not None:
            cursor.setinputsizes(sizes)
        self._running = cursor
        if args:
            cursor.execute(text, args)
        else:
            cursor.execute(text)
        return Result(cursor)

    def cancel(self) -> None:
        """Have the server end the statement that another thread waits for."""
        running = self._running
        if running is not None:
            with suppress(pyodbc.Error):  # it has ended already
                running.cancel()
