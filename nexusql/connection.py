"""One open connection: runs statements, fetches rows, and turns the driver's errors into nexusql's."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from nexusql._speedups import column_names
from nexusql.backends.base import Backend, Cursor, Extend, Raw, Status
from nexusql.backends.common import unsendable
from nexusql.backends.errors import driver_error
from nexusql.config import ConnectionConfig
from nexusql.errors import CommitUncertain, ConnectionLost, Error, ParameterError, TransactionAborted
from nexusql.events import Event, Observer, observed
from nexusql.results import Rows
from nexusql.sql.compile import value_error
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Effect, Statement

logger = logging.getLogger("nexusql.connection")

T = TypeVar("T")


def suffixed_names(description: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """Column names in which the second of a name gets `_2`, the third `_3`."""
    names: list[str] = []
    for name in column_names(description):
        unique, number = name, 2
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return tuple(names)


class Connection:
    """A driver's connection with what is known about its session. Used by one thread at a time.

    `broken` is set by the first error that says the session is gone; `needs_reset` by a statement that may have left
    something behind in it; `misplaced` by an error that says that its server is no longer the one that the
    configuration asks for. Every error that leaves these methods is one of nexusql.errors; whatever else interrupts
    them, as KeyboardInterrupt does, closes a server's session: its answer may still be under way.
    """

    __slots__ = (
        "_backend",
        "_config",
        "_execute",
        "_extend_dicts",
        "_iterates",
        "_modes_known",
        "_raw",
        "_read_only",
        "_watched",
        "broken",
        "duplicates",
        "misplaced",
        "modes",
        "name_columns",
        "needs_reset",
        "server",
        "settings",
    )

    def __init__(self, backend: Backend, raw: Raw, config: ConnectionConfig, modes: SessionModes, server: str) -> None:
        self._backend = backend
        self._config = config
        self._execute = backend.executor(raw)
        self._extend_dicts = backend.extend_dicts
        self._raw = raw
        # SQLite has no session modes, so there is nothing to look at before each statement.
        self._iterates = backend.capabilities.fast_iteration
        self._watched = backend.capabilities.session_modes
        self._modes_known = True
        self.settings: tuple[str, ...] = ()
        self.modes = modes
        self.server = server
        self._read_only = False  # the transaction is, because that was asked for
        self.broken = False
        self.misplaced = False
        self.needs_reset = False
        self.duplicates = False
        self.name_columns = column_names

    @classmethod
    def open(cls, backend: Backend, config: ConnectionConfig, timeout: float) -> "Connection":
        """Connect within `timeout` seconds and read the session's modes. Raises what `backend.inspect` names too."""
        try:
            raw = backend.connect(config, timeout)
        except Error:
            raise
        except Exception as error:
            raise backend.map_error(error, None, None) from error
        try:
            session = backend.inspect(raw)
        except BaseException as error:
            backend.close(raw)
            if isinstance(error, Error) or not isinstance(error, Exception):
                raise
            raise backend.map_error(error, None, None) from error
        return cls(backend, raw, config, session.modes, session.server)

    def current_modes(self) -> SessionModes:
        """The session's modes; asks the server again where they have changed, or may have."""
        if self._watched and (not self._modes_known or self._backend.modes_changed(self._raw, self.modes)):
            self.refresh_modes()
        return self.modes

    def note_changes(self) -> None:
        """Have the session reset before others use it, where a statement has changed its modes unannounced."""
        if self._watched and not self.needs_reset and self._backend.modes_changed(self._raw, self.modes):
            self.needs_reset = True

    def refresh_modes(self) -> None:
        """Read the modes again; a session that has left UTF-8 is closed, and the error says so."""
        try:
            modes = self._backend.inspect(self._raw).modes
        except Error:
            self.close()
            raise
        except Exception as error:
            raise self._failure(error, None) from error
        self._modes_known = True
        if modes != self.modes:
            self.modes = modes
            self.needs_reset = True

    def run(self, statement: Statement, args: Sequence[Any] | None, extend: Extend | None = None) -> Rows:
        """Run a plan with bound arguments; rows as `extend` takes them, else dicts, empty where it gives none.

        `duplicates` tells afterwards whether two columns of the result had one name.
        """
        rows = Rows()
        try:
            cursor = self._execute(statement.text, args)
            description = cursor.description
            if description is None:
                self.duplicates = False
                if cursor.rowcount > 0:
                    rows.rowcount = cursor.rowcount
            else:
                names = self.name_columns(description)
                source = cursor if self._iterates else cursor.fetchall()
                self.duplicates = (extend or self._extend_dicts)(rows, source, names)
                rows.columns = names
                rows.rowcount = len(rows)
            return rows
        except Exception as error:
            rows.clear()  # which this frame would keep for as long as the error is kept, and memory may be what lacks
            raise self._failure(error, statement, args) from error
        except BaseException:
            self._interrupted()
            raise

    def run_special(self, statement: Statement, args: Sequence[Any] | None, extend: Extend | None = None) -> Rows:
        """Run a plan that carries tolerated errors or effects on the session."""
        changes_session = self._expect_change(statement)
        try:
            rows = self.run(statement, args, extend)
        except Error as error:
            if not self._tolerates(statement, error):
                raise
            logger.debug("tolerated: %s", error)
            return Rows()
        if changes_session:
            self.current_modes()
        return rows

    def _expect_change(self, statement: Statement) -> bool:
        """Whether the statement may change the session; also where it fails, what it did before that may stay."""
        changes_session = bool(statement.effects & Effect.SESSION)
        if changes_session:
            self.needs_reset = True
            self._modes_known = False
        return changes_session

    def open_cursor(self, statement: Statement, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """Run a query whose rows are read in pieces; `alone` outside a transaction, which it may then begin."""
        self._expect_change(statement)
        return self.perform(self._backend.open_cursor, statement.text, args, size, alone, statement=statement)

    def fetch(self, cursor: Cursor, statement: Statement) -> Sequence[Any]:
        """The next rows of a cursor, tuples."""
        return self.perform(lambda raw: cursor.fetch(), statement=statement)

    def close_cursor(self, cursor: Cursor, config: ConnectionConfig) -> None:
        """Leave the rest of a cursor's rows unread."""
        if not self.broken:
            self.perform(lambda raw: cursor.close(config))

    def apply_settings(self, settings: tuple[str, ...]) -> None:
        """Run the session settings that were made elsewhere since this connection was last used."""
        for setting in settings:
            self.run(Statement(setting, setting), self._backend.no_args)
        self.settings = settings

    def status(self) -> Status:
        """Where the session stands with respect to transactions; no round trip."""
        return Status.UNKNOWN if self.broken else self._backend.status(self._raw)

    def begin(self, isolation: str | None, read_only: bool, mode: str) -> None:
        """Start a transaction."""
        self._read_only = read_only
        self.perform(self._backend.begin, isolation, read_only, mode)

    def commit(self) -> None:
        """Commit. Raises TransactionAborted where a statement had failed, CommitUncertain where the reply is lost."""
        if self.status() is Status.FAILED:
            self.rollback()
            raise TransactionAborted(
                "the transaction was rolled back: a statement in it failed, so it cannot be committed"
            )
        if self.broken:
            raise ConnectionLost("the connection was lost before the commit: nothing of the transaction is stored")
        try:
            self._backend.commit(self._raw)
        except Exception as error:
            mapped = self._failure(error, None)
            if isinstance(mapped, ConnectionLost):
                mapped = driver_error(CommitUncertain, error, sqlstate=mapped.sqlstate, code=mapped.code, sql="COMMIT")
            raise mapped from error
        except BaseException:
            self._interrupted()
            raise

    def rollback(self) -> None:
        """Roll back."""
        self.perform(self._backend.rollback)

    def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        self.perform(self._backend.savepoint, name)

    def rollback_to(self, name: str) -> None:
        """Roll back to a savepoint."""
        self.perform(self._backend.rollback_to, name)

    def release(self, name: str) -> None:
        """Forget a savepoint, where the database can."""
        self.perform(self._backend.release, name)

    def column_types(self, table: str) -> Mapping[str, str]:
        """Types of a table's columns by name, from the catalogue."""
        return self.perform(self._backend.column_types, table)

    def looks_dead(self) -> bool:
        """True where an idle session has something to say or is closed; free."""
        return self.broken or self._backend.looks_dead(self._raw)

    def ping(self, timeout: float) -> bool:
        """Ask the server for a sign of life, `timeout` seconds at most."""
        return not self.broken and self._backend.ping(self._raw, timeout)

    def is_idle(self) -> bool:
        """True where the session is provably outside a transaction."""
        return not self.broken and self._backend.status(self._raw) is Status.IDLE

    def reset(self) -> bool:
        """Bring the session back to its defaults; False where that cannot be proved, or is no use."""
        if self.misplaced:
            return False
        try:
            clean = self._backend.reset(self._raw)
            if clean:
                self.modes = self._backend.inspect(self._raw).modes
                self._modes_known = True
                self.settings = ()
                self.needs_reset = False
        except Exception as error:
            logger.debug("reset failed: %s", type(error).__name__)
            return False
        return clean

    def close(self) -> None:
        """Close; never raises."""
        self.broken = True
        self._backend.close(self._raw)

    def cancel(self) -> None:
        """Have the statement stopped that another thread waits for; never raises. Whoever has the connection next gets
        a session that was reset."""
        self.needs_reset = True
        try:
            self._backend.cancel(self._raw, self._config)
        except Exception as error:  # the driver's too, of a connection that is closed by now
            logger.debug("a statement could not be cancelled: %s", type(error).__name__)

    def cut(self) -> None:
        """Break the session off, so that who waits for it fails; never raises."""
        self._backend.cut(self._raw)

    def outlive_cancel(self) -> None:
        """See that a cancel that came too late hits no statement that follows; where that is not sure, close."""
        try:
            self._backend.outlive_cancel(self._raw)
        except Exception as error:
            logger.debug("a cancelled session is closed: %s", type(error).__name__)
            self.close()

    def perform(self, call: Callable[..., T], *args: Any, statement: Statement | None = None) -> T:
        """Call a backend's function with the driver's connection; the driver's errors become nexusql's."""
        try:
            return call(self._raw, *args)
        except Error:
            raise
        except Exception as error:
            raise self._failure(error, statement) from error
        except BaseException:
            self._interrupted()
            raise

    def _interrupted(self) -> None:
        """Close a server's session; SQLite's driver is interrupted only between two calls, with nothing under way."""
        if self._watched:
            self.close()

    def _failure(self, error: Exception, statement: Statement | None, args: Sequence[Any] | None = None) -> Error:
        """The nexusql error for what a driver raised, or for the loss of a write outside a transaction."""
        if isinstance(error, Error):
            return error
        mapped = self._backend.map_error(error, self._raw, statement.source if statement else None)
        if isinstance(mapped, ConnectionLost):
            self.broken = True
        elif not self._read_only and self._backend.is_misplaced(mapped, self._raw):
            self.misplaced = self.needs_reset = True
        elif statement and args and type(mapped) is ParameterError:
            index = unsendable(error, args)
            if index is None or index >= len(statement.names):  # driver text has no names
                return mapped
            return value_error(statement, index, str(mapped))
        return mapped

    @staticmethod
    def _tolerates(statement: Statement, error: Error) -> bool:
        text = str(error)
        return any(t in text if isinstance(t, str) else t == error.code for t in statement.tolerate)


class ObservedConnection(Connection):
    """A connection that tells observers of what it runs; without observers there is no trace of them."""

    __slots__ = ("observers",)

    observers: Sequence[Observer]

    def run(self, statement: Statement, args: Sequence[Any] | None, extend: Extend | None = None) -> Rows:
        """See Connection.run."""
        with self._observed(statement.verb, statement.source) as event:
            rows = super().run(statement, args, extend)
            event.rows = rows.rowcount
        return rows

    def open_cursor(self, statement: Statement, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """See Connection.open_cursor; the time is that until the rows can be read."""
        with self._observed(statement.verb, statement.source):
            return super().open_cursor(statement, args, size, alone)

    def begin(self, isolation: str | None, read_only: bool, mode: str) -> None:
        """See Connection.begin."""
        with self._observed("BEGIN"):
            super().begin(isolation, read_only, mode)

    def commit(self) -> None:
        """See Connection.commit."""
        with self._observed("COMMIT"):
            super().commit()

    def rollback(self) -> None:
        """See Connection.rollback."""
        with self._observed("ROLLBACK"):
            super().rollback()

    def _observed(self, operation: str, sql: str = "") -> AbstractContextManager[Event]:
        return observed(self.observers, Event(operation, sql, self._config, self.server))
