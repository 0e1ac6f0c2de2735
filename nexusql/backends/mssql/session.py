"""A pyodbc connection with what is known about its session, and the result of a statement."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pyodbc

from nexusql.backends.base import Status

CANCELLED = "HY008"
# What drivers say of a statement that was cancelled between two of their calls: it was in no state for the next one.
_OUT_OF_TURN = frozenset({"HY010", "24000"})


class Result:
    """What a statement has given: its first set of rows, or else the number of rows that its first part has affected.

    The errors of a batch's later parts come when these are asked for, so all of them are, once the rows are read.
    A statement that was cancelled raises, also where the driver is silent about it: Microsoft's gives the rows that
    were under way, and no error.
    """

    __slots__ = ("_cursor", "_session", "description", "rowcount")

    def __init__(self, session: "MssqlSession", cursor: Any) -> None:
        self._session = session
        self._cursor = cursor
        self.description: Sequence[Sequence[Any]] | None = cursor.description
        self.rowcount = cursor.rowcount
        known = session.cancels if self.rowcount >= 0 else 0  # came too late for what has been counted
        while self.description is None and self._read(cursor.nextset):
            self.description = cursor.description
            if self.rowcount < 0:
                self.rowcount = cursor.rowcount
        if self.description is None:
            session.end(cursor)
            session.check_cancelled(known)
        elif not all(column[0] for column in self.description):
            # The server gives an expression no name, so that all of them would have one.
            self.description = [(c[0] or f"column{n}", *c[1:]) for n, c in enumerate(self.description, 1)]

    def fetchall(self) -> Sequence[Any]:
        """All rows of the set."""
        if self.description is None:
            return []
        rows: Sequence[Any] = self._read(self._cursor.fetchall)
        self.drain()
        return rows

    def fetchmany(self, size: int) -> Sequence[Any]:
        """The next rows of the set."""
        rows: Sequence[Any] = self._read(self._cursor.fetchmany, size)
        self._session.check_cancelled()
        return rows

    def drain(self) -> None:
        """Read over what comes behind the rows. Raises the error of a later part."""
        while self._read(self._cursor.nextset):
            pass
        self._session.end(self._cursor)
        self._session.check_cancelled()

    def _read(self, read: Callable[..., Any], *args: Any) -> Any:
        try:
            return read(*args)
        except pyodbc.Error as error:
            if error.args[0] in _OUT_OF_TURN:
                self._session.check_cancelled()
            raise

    def close(self) -> None:
        """Leave what has not been read."""
        self._session.end(self._cursor)


class MssqlSession:
    """One session. It is in autocommit for the driver: transactions are begun and ended by statements.

    `status` is nexusql's own account, which every error inside a transaction has confirmed by XACT_STATE().
    """

    def __init__(self, odbc: pyodbc.Connection) -> None:
        self.odbc = odbc
        self.closed = False  # here
        self.status = Status.IDLE
        self.isolated = False  # a level of isolation was set for the open transaction
        self.product = 0  # the server's major version
        self.cancels = 0  # of the last statement
        self._running: Any = None
        self._turn = threading.Lock()  # a statement must not be freed while another thread cancels it

    def run(self, text: str, args: Sequence[Any] | None, sizes: Sequence[Any] | None = None) -> Result:
        """Run driver text; `sizes` are types of the parameters, as Cursor.setinputsizes takes them."""
        cursor = self.odbc.cursor()
        if sizes is not None:
            cursor.setinputsizes(sizes)
            if args and None in args:
                # For a None the driver asks the server what type it has, whatever was said of it.
                args = [pyodbc.BinaryNull if v is None and size else v for v, size in zip(args, sizes, strict=True)]
        with self._turn:
            self._running = cursor
            self.cancels = 0
        if args:
            cursor.execute(text, args)
        else:
            cursor.execute(text)
        return Result(self, cursor)

    def end(self, cursor: Any) -> None:
        """Free a statement; nothing cancels it any more."""
        with self._turn:
            self._running = None
            cursor.close()

    def check_cancelled(self, known: int = 0) -> None:
        """Raise the error that the driver should have raised, where the statement was cancelled more often."""
        if self.cancels > known:
            raise pyodbc.OperationalError(CANCELLED, f"[{CANCELLED}] Operation canceled")

    def cancel(self) -> None:
        """Have the server end the statement that another thread waits for."""
        with self._turn:
            if self._running is not None:
                self.cancels += 1
                with suppress(pyodbc.Error):  # it has ended already
                    self._running.cancel()

    def close(self) -> None:
        """Cancel what another thread waits for, and close. Both wait for a server that says nothing."""
        self.closed = True
        self.cancel()
        self.odbc.close()
