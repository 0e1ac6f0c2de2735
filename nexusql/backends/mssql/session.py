"""A pyodbc connection with what is known about its session, and the result of a statement."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakSet

import pyodbc

from nexusql.backends.base import Status
from nexusql.backends.mssql.wire import Wire

T = TypeVar("T")

CANCELLED = "HY008"
# Seconds after which a statement that goes on is cancelled again, twice as many each time, and at most.
AGAIN, SELDOM = 0.1, 10.0
# Seconds after which a call of the driver waits for the server, and does nothing else that a cancel could upset.
WAITS = 0.05
PIECE = 100  # rows that are read by one call, which takes far less than that unless it waits

# "[42000] [Microsoft][ODBC Driver 18 ..]text (1205) (SQLExecDirectW)"; what a later record of the same error says comes
# behind, without the name of a function.
_NUMBER = re.compile(r".*\((-?\d+)\) \(SQL\w+\)", re.DOTALL)


def codes(error: Exception) -> tuple[str | None, int | None]:
    """The SQLSTATE of an error, and the server's number, None where there is none."""
    sqlstate, text = (*map(str, error.args), "", "")[:2]
    found = _NUMBER.match(text)
    code = int(found[1]) if found else 0
    return (sqlstate if len(sqlstate) == 5 else None), code or None


class Result:
    """What a statement has given: its first set of rows, or else the number of rows that its first part has affected.

    The errors of a batch's later parts come when these are asked for, so all of them are, once the rows are read.
    A statement that was cancelled raises, also where the driver is silent about it: Microsoft's gives the rows that
    were under way, and no error.
    """

    __slots__ = ("_ahead", "_cursor", "_session", "description", "rowcount")

    def __init__(self, session: "MssqlSession", cursor: Any) -> None:
        self._session = session
        self._cursor = cursor
        self._ahead: Iterator[Any] = iter(())  # rows that were read before they were asked for
        self.description: Sequence[Sequence[Any]] | None = cursor.description
        self.rowcount = cursor.rowcount
        known = session.cancels if self.rowcount >= 0 else 0  # came too late for what has been counted
        while self.description is None and session.call(cursor.nextset):
            session.stop_where_asked()
            self.description = cursor.description
            if self.rowcount < 0:
                self.rowcount = cursor.rowcount
        if self.description is None:
            self.close()
            if session.cancels > known:
                raise was_cancelled()
        elif not all(column[0] for column in self.description):
            # The server gives an expression no name, so that all of them would have one.
            self.description = [(c[0] or f"column{n}", *c[1:]) for n, c in enumerate(self.description, 1)]

    def fetchall(self) -> Sequence[Any]:
        """All rows of the set."""
        rows = list(self._ahead)
        while self._cursor is not None:
            rows += (piece := self._read(self._cursor.fetchmany, PIECE))
            if len(piece) < PIECE:
                self.drain()
        return rows

    def fetchmany(self, size: int) -> Sequence[Any]:
        """The next rows of the set."""
        rows = list(islice(self._ahead, size))
        while self._cursor is not None and (wanted := min(size - len(rows), PIECE)):
            rows += (piece := self._read(self._cursor.fetchmany, wanted))
            if len(piece) < wanted:
                break
        return rows

    def read_ahead(self) -> "Result":
        """The same, all of whose rows have been read, so that no error is left in it."""
        self._ahead = iter(self.fetchall())
        return self

    def drain(self) -> None:
        """Read over what comes behind the rows. Raises the error of a later part."""
        while self._cursor is not None and self._read(self._cursor.nextset):
            pass
        self.close()

    def _read(self, read: Callable[..., T], *args: Any) -> T:
        try:
            given = self._session.call(read, *args)
            self._session.stop_where_asked()
        except BaseException:
            with suppress(pyodbc.Error):  # the session may be gone
                self.close()
            raise
        return given

    def close(self) -> None:
        """Leave what has not been read."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._session.end(cursor)


class MssqlSession:
    """One session. It is in autocommit for the driver: transactions are begun and ended by statements.

    `status` is nexusql's own account, which every error inside a transaction has confirmed by XACT_STATE().
    """

    def __init__(self, odbc: pyodbc.Connection, wire: Wire | None = None) -> None:
        self.odbc = odbc
        self.wire = wire
        _sessions.add(self)
        self.closed = False  # here
        self.status = Status.IDLE
        self.isolated = False  # a level of isolation was set for the open transaction
        self.product = 0  # the server's major version
        self.cancels = 0  # of the last statement, by way of the server
        self._asked = False  # to stop the last statement
        self._running: Any = None
        self._firm = False
        self._since = 0.0  # when the call of the driver began that is under way
        # Drivers crash where a statement is cancelled by another thread while it is used or freed and does not wait for
        # the server, and where its connection is closed meanwhile.
        self._using = threading.Lock()
        self._cancelling = threading.Lock()  # taken after the other

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """A call of the driver. Raises its errors, and one for a session that is closed."""
        with self._using:
            if self.closed:
                raise pyodbc.ProgrammingError("08003", "[08003] The session is closed")
            with self._cancelling:
                self._since = monotonic()
            try:
                return function(*args)
            except pyodbc.Error as error:
                # What drivers say of a statement that was cancelled between two of their steps is of many kinds.
                sqlstate, code = codes(error)
                if self.cancels and code is None and (sqlstate or "")[:2] != "08":
                    raise was_cancelled() from error
                raise
            finally:
                self._since = 0.0

    def ask(self, text: str) -> Sequence[Any]:
        """The rows of a question about the session itself, which no cancel hits."""
        return self.run(text, None, firm=True).fetchall()

    def run(
        self, text: str, args: Sequence[Any] | None, sizes: Sequence[Any] | None = None, *, firm: bool = False
    ) -> Result:
        """Run driver text; `sizes` are types of the parameters, as Cursor.setinputsizes takes them. What is `firm` is
        not to be cancelled."""
        with self._cancelling:
            self._running, self._firm, self.cancels, self._asked = None, firm, 0, False
        cursor = self.call(self.odbc.cursor)
        try:
            if sizes is not None:
                cursor.setinputsizes(sizes)
                if args and None in args:
                    # For a None the driver asks the server what type it has, whatever was said of it.
                    pairs = zip(args, sizes, strict=True)
                    args = [pyodbc.BinaryNull if value is None and size else value for value, size in pairs]
            with self._cancelling:
                self._running = cursor
            if args:
                self.call(cursor.execute, text, args)
            else:
                self.call(cursor.execute, text)
            return Result(self, cursor)
        except BaseException:
            with suppress(pyodbc.Error):  # it may be closed already, or the session gone
                self.end(cursor)
            raise

    def end(self, cursor: Any) -> None:
        """Free a statement; nothing cancels it any more."""
        with self._using, self._cancelling:
            self._running = None
            if not self.odbc.closed:
                cursor.close()

    def stop_where_asked(self) -> None:
        """Raise the error of a cancelled statement."""
        if self._asked:
            raise was_cancelled()

    def cancel(self) -> None:
        """Have the statement end that another thread runs: by the server where it waits for that, else between two of
        its calls."""
        with self._cancelling:
            if self._running is not None and not self._firm:
                self._asked = True
                since = self._since
                if since and monotonic() - since >= WAITS:
                    self.cancels += 1
                    with suppress(pyodbc.Error):  # it has ended already
                        self._running.cancel()

    def close(self) -> None:
        """Close, once the call of another thread has ended, which is cancelled; for as long as its server is silent,
        this waits."""
        self.closed = True
        pause = AGAIN
        while not self._using.acquire(timeout=pause):
            self.cancel()
            pause = min(2 * pause, SELDOM)
        try:
            with self._cancelling:
                running, self._running = self._running, None
                if running is not None:
                    # A cursor that is deleted after its connection has gone leaves an error behind for whoever is next.
                    with suppress(pyodbc.Error):  # the session may be gone
                        running.close()
                self.odbc.close()
        finally:
            self.wire = None  # its number may be that of another socket later on
            self._using.release()


_sessions: "WeakSet[MssqlSession]" = WeakSet()


def _after_fork_in_child() -> None:
    """When the child ends, Microsoft's driver shuts sockets down, for the parent as well."""
    for session in list(_sessions):
        if session.wire is not None:
            session.wire.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def was_cancelled() -> pyodbc.Error:
    """The driver's error for a statement that was cancelled."""
    return pyodbc.OperationalError(CANCELLED, f"[{CANCELLED}] Operation canceled")
