"""What a connected manager has: one database's backend, pool, plans and session settings."""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

from nexusql._speedups import bind, bind_sequence
from nexusql.backends.base import Backend, Capabilities, Cursor, Extend, Status
from nexusql.backends.errors import driver_error
from nexusql.backends.tables import Table
from nexusql.config import ConnectionConfig
from nexusql.connection import Connection, ObservedConnection, suffixed_names
from nexusql.errors import (
    CommitUncertain,
    ConnectionLost,
    DuplicateColumnWarning,
    Error,
    InterfaceError,
    ParameterError,
    ParameterWarning,
    ProgrammingError,
    TranslationError,
    TranslationWarning,
    UndefinedColumn,
    UndefinedTable,
)
from nexusql.events import Event, observed
from nexusql.interrupts import current_call
from nexusql.leases import Holder, callers_level
from nexusql.options import Options
from nexusql.pool import Pool
from nexusql.results import Rows
from nexusql.sql.cache import PlanCache
from nexusql.sql.compile import missing_error, value_error
from nexusql.sql.lexical import SessionModes
from nexusql.sql.placeholders import PlaceholderError
from nexusql.sql.statement import Effect, Statement, Style
from nexusql.workers import Workers
from nexusql.writer import WriterLock, writer_lock

logger = logging.getLogger("nexusql")

REMEMBERED = 10_000

T = TypeVar("T")

Params = Mapping[str, Any] | Sequence[Any] | None


class Engine:
    """Runs statements for one connected manager. Safe for any number of threads."""

    def __init__(self, config: ConnectionConfig, backend: Backend, options: Options) -> None:
        self.config = config
        self.backend = backend
        self.options = options
        self.capabilities: Capabilities = backend.capabilities_for(config)
        self.server = ""  # its name and version, once there is a connection
        self.autocommit = True  # clients of older releases set it; outside a transaction every statement commits
        self.workers = Workers(1 if self.capabilities.shared_connection else options.pool_max)
        self._pid = os.getpid()
        self._plans = PlanCache(backend.syntax, size=options.statement_cache, translate=options.translate)
        self._plan = self._plans.get
        self._adapters = backend.adapters
        self._adapt_other = backend.adapt_other
        self._no_args = backend.no_args
        # Without session modes and column types to look at, a plain statement goes straight to the driver.
        self._direct = not self.capabilities.session_modes and not backend.fits
        self._use_modes(SessionModes())
        self._settings: tuple[str, ...] = ()
        self._settings_lock = threading.Lock()
        self._reported: set[tuple[Hashable, type[Warning]]] = set()
        self.needs_many: set[str] = set()  # tables and statements that refuse one row where many are taken
        self._column_types: dict[str, Mapping[str, str]] = {}
        self._tables: dict[str, Table] = {}
        shared = self.capabilities.shared_connection
        self.writer: WriterLock | None = None
        if self.capabilities.single_writer:
            self.writer = writer_lock(config.path or "", options.pool_timeout)
        self.pool: Pool[Connection] = Pool(
            self._open,
            min_size=1 if shared else options.pool_min,
            max_size=1 if shared else options.pool_max,
            timeout=options.pool_timeout,
            max_lifetime=float("inf") if shared else options.max_lifetime,
            idle_timeout=float("inf") if shared else options.idle_timeout,
            max_waiting=options.max_waiting,
            name=config.database_type.value,
            can_die=self.capabilities.session_modes,
        )

    def _open(self, timeout: float) -> Connection:
        if self.capabilities.shared_connection and os.getpid() != self._pid:
            raise InterfaceError("an in-memory database belongs to the process that opened it; use a file to share one")
        kind = ObservedConnection if self.options.observers else Connection
        connection = kind.open(self.backend, self.config, min(timeout, self.options.connect_timeout))
        if isinstance(connection, ObservedConnection):
            connection.observers = self.options.observers
        self.server = connection.server
        if self.options.duplicate_columns == "suffix":
            connection.name_columns = suffixed_names
        if connection.modes == self.modes:
            connection.modes = self.modes  # one object, so that a look at its identity tells
        else:
            self._use_modes(connection.modes)
        return connection

    def _use_modes(self, modes: SessionModes) -> None:
        """Take these modes for those that sessions have; a session that has others is served too, only slower."""
        self.modes = modes
        self._named = self._plans.by_text(modes, Style.NAMED)
        self._bare = self._plans.by_text(modes, Style.NONE)

    def open(self) -> None:
        """Open the pool's first connections. Raises what connecting raises."""
        self.pool.fill()

    def check(self) -> None:
        """Test idle connections and replace dead ones; nobody is cut off. Raises when the database is not there."""
        self.pool.check()
        self.pool.fill()

    def close(self) -> None:
        """Close all idle connections now, and those in use when they come back."""
        self.pool.close()
        self.workers.close()

    def lease(self, holder: Holder | None = None) -> Connection:
        """A connection of the pool, with the session settings that hold for all of them; give it back to the pool.

        `holder` is who has it for longer than a statement.
        """
        connection = self.pool.acquire(holder=holder)
        try:
            self._apply_settings(connection)
        except BaseException:
            self.pool.discard(connection)
            raise
        return connection

    def _apply_settings(self, connection: Connection) -> None:
        if connection.settings is not self._settings:
            connection.apply_settings(self._settings)

    def run(
        self, statement: Statement, args: Sequence[Any] | None, params: Params, extend: Extend | None = None
    ) -> Rows:
        """Run a prepared statement on a connection of the pool, committed at once; rows as `extend` takes them, else
        dicts."""
        writer = None if statement.reads else self.writer
        if writer is not None:
            writer.acquire(lasting=False)
        try:
            connection = self.pool.acquire()
            call = current_call.get()
            idle = False
            try:
                if call is not None:
                    call.enter(connection)
                if self._direct and statement.plain and connection.settings is self._settings:
                    rows = connection.run(statement, args, extend)
                    if connection.duplicates:
                        self.duplicate_columns(statement, rows.columns)
                    idle = True  # a plain statement has neither begun a transaction nor failed
                    return rows
                self._apply_settings(connection)
                rows = self.run_on(connection, statement, args, params, extend)
                if not statement.plain and connection.status() is Status.ACTIVE:
                    raise ProgrammingError(
                        f"{statement.verb} left a transaction open, which has been rolled back: outside transaction() "
                        "every statement has a connection for itself alone"
                    )
                return rows
            except ConnectionLost as error:
                self.pool.suspect_all()
                raise self.lost(statement, error) from error.__cause__
            except ProgrammingError as error:
                if not (self.doubts_types(error) and statement.plain):
                    raise
                try:
                    return self.run_on(connection, statement, args, params, extend)
                except ConnectionLost as lost:
                    raise self.lost(statement, lost) from lost.__cause__
            finally:
                if call is not None:
                    call.leave()
                self.pool.release(connection, idle)
        finally:
            if writer is not None:
                writer.release()

    def run_on(
        self,
        connection: Connection,
        statement: Statement,
        args: Sequence[Any] | None,
        params: Params,
        extend: Extend | None = None,
    ) -> Rows:
        """Run a prepared statement on a leased connection; prepared again where that session reads text otherwise."""
        statement, args = self._fitted(connection, statement, args, params)
        if statement.plain:
            rows = connection.run(statement, args, extend)
            if not statement.reads:
                connection.note_changes()
        else:
            rows = self._run_special(connection, statement, args, params, extend)
        if connection.duplicates:
            self.duplicate_columns(statement, rows.columns)
        return rows

    def open_cursor(
        self, connection: Connection, statement: Statement, args: Sequence[Any] | None, params: Params, size: int
    ) -> Cursor:
        """Start a prepared query on a leased connection, to read its rows in pieces of `size`."""
        statement, args = self._fitted(connection, statement, args, params)
        self._report(statement, params)
        return connection.open_cursor(statement, args, size, connection.status() is Status.IDLE)

    def _fitted(
        self, connection: Connection, statement: Statement, args: Sequence[Any] | None, params: Params
    ) -> tuple[Statement, Sequence[Any] | None]:
        """A plan and its arguments as this session takes them: made again where it reads text by other modes."""
        if connection.current_modes() != statement.modes:
            statement, args = self.prepare(statement.source, params, connection.modes)
        if self.backend.fits and args and (statement.assigned or statement.compared):
            args = list(args)
            self.backend.fit(statement, args, lambda table: self._types(connection, table))
        return statement, args

    def prepare(self, sql: str, params: Params, modes: SessionModes) -> tuple[Statement, tuple[Any, ...] | None]:
        """The plan of a statement and its arguments in driver order. Raises ParameterError, SQLSyntaxError, .."""
        if sql.__class__ is not str:
            sql = statement_text(sql)
        if not params:
            statement = self._bare(sql) if modes is self.modes else self._plan(sql, modes, Style.NONE, None)
            if statement.names:
                raise missing_error(statement, tuple(dict.fromkeys(statement.names)), ())
            return statement, self._no_args
        if params.__class__ is not dict:
            if isinstance(params, (list, tuple)):
                return self._prepare_sequence(sql, params, modes)
            if not isinstance(params, Mapping):
                raise ParameterError(
                    f"parameters are a dict for :name, or a list or tuple for positions, not {type(params).__name__}"
                )
            params = dict(params)
        statement = self._named(sql) if modes is self.modes else self._plan(sql, modes, Style.NAMED, None)
        given: dict[str, Any] = params
        try:
            args = bind(statement.names, given, self._adapters, self._adapt_other, statement.lists)
            if args is None:
                statement, given = self._expand(statement, params, modes)
                args = bind(statement.names, given, self._adapters, self._adapt_other, ())
        except KeyError:
            missing = tuple(name for name in dict.fromkeys(statement.names) if name not in given)
            if not missing:  # an adapter's own
                raise
            raise missing_error(statement, missing, tuple(params)) from None
        except ParameterError as error:
            raise self._value_error(statement, [given.get(name) for name in statement.names], error) from None
        return statement, args or self._no_args

    def prepare_row(
        self, index: int, sql: str, params: Params, modes: SessionModes
    ) -> tuple[Statement, tuple[Any, ...] | None]:
        """`prepare` for one of many sets of parameters; a ParameterError names it by its index, unless it is about the
        statement."""
        try:
            return self.prepare(sql, params, modes)
        except PlaceholderError as error:
            if index or not params:  # another kind of parameters than the first row has, or none
                error.args = (f"row {index}: {error}",)
            raise
        except ParameterError as error:
            error.args = (f"row {index}: {error}",)
            raise

    def _prepare_sequence(
        self, sql: str, params: Sequence[Any], modes: SessionModes
    ) -> tuple[Statement, tuple[Any, ...] | None]:
        try:
            statement = self._plan(sql, modes, Style.SEQUENCE, (len(params),))
        except ParameterError as error:
            if all(isinstance(value, Mapping) for value in params):
                error.args = (f"{error}; a list of dicts goes to execute_many",)
            raise
        try:
            return statement, bind_sequence(statement.order, params, self._adapters, self._adapt_other)
        except ParameterError as error:
            values = params if statement.order is None else [params[i] for i in statement.order]
            raise self._value_error(statement, values, error) from None

    def _expand(
        self, statement: Statement, params: Mapping[str, Any], modes: SessionModes
    ) -> tuple[Statement, dict[str, Any]]:
        """The plan for lists of these lengths, and the parameters with an entry for each item."""
        missing = tuple(name for name in dict.fromkeys(statement.names) if name not in params)
        if missing:
            raise missing_error(statement, missing, tuple(params))
        lists = {name: params[name] for name in statement.lists if isinstance(params[name], (list, tuple))}
        lengths = tuple(len(lists[name]) if name in lists else -1 for name in statement.lists)
        plan = self._plan(statement.source, modes, Style.NAMED, lengths)
        flat = dict(params)
        for name, items in lists.items():
            if name in plan.whole_lists:
                flat[name] = self.backend.adapt_list(items)
            else:
                flat.update((f"{name}[{i}]", item) for i, item in enumerate(items))
        return plan, flat

    def _value_error(self, statement: Statement, values: Sequence[Any], error: ParameterError) -> ParameterError:
        """The same error, with the name and place of the parameter it is about."""
        for index, value in enumerate(values):
            adapt = self.backend.adapters.get(type(value), self.backend.adapt_other)
            try:
                if adapt is not None:
                    adapt(value)
            except ParameterError as reason:
                return value_error(statement, index, str(reason))
        return error

    def _run_special(
        self,
        connection: Connection,
        statement: Statement,
        args: Sequence[Any] | None,
        params: Params,
        extend: Extend | None,
    ) -> Rows:
        self._report(statement, params)
        setting = self.backend.session_setting(statement)
        had_changed = connection.needs_reset
        rows = connection.run_special(statement, args, extend)
        if setting is not None:
            connection.needs_reset = had_changed
            with self._settings_lock:
                name = setting.partition("=")[0]
                self._settings = (*(s for s in self._settings if s.partition("=")[0] != name), setting)
        if statement.effects & Effect.DDL and statement.verb != "TRUNCATE":  # which changes no column
            self.forget_tables()
        return rows

    def _report(self, statement: Statement, params: Params) -> None:
        """Tell what the translation loses, and which parameters stand where the server reads text."""
        if statement.notes:
            self._report_notes(statement)
        if statement.near_misses and isinstance(params, Mapping):
            missed = [miss for miss in statement.near_misses if miss.name in params]
            if missed:
                places = [
                    f":{miss.name} at line {miss.line} is inside {miss.where}; it is not bound" for miss in missed
                ]
                self.warn_once(statement.source, "; ".join(places), ParameterWarning)

    def _report_notes(self, statement: Statement) -> None:
        text = "; ".join(f"{note.message} (line {note.line}, column {note.column})" for note in statement.notes)
        if self.options.strict:
            error = TranslationError(f"not said in {self.config.database_type.value} without a loss: {text}")
            error.sql = statement.source
            raise error
        self.warn_once(statement.source, text, TranslationWarning)

    def duplicate_columns(self, statement: Statement, columns: tuple[str, ...]) -> None:
        """Warn, or raise, as the option says, where a result has rows and two columns of one name."""
        names = sorted({name for name in columns if columns.count(name) > 1})
        text = f"the result has more than one column named {', '.join(names)}"
        if self.options.duplicate_columns == "raise":
            raise ProgrammingError(f"{text}; give them aliases")
        self.warn_once(statement.source, f"{text}; the last wins", DuplicateColumnWarning)

    def observed(self, operation: str, table: str = "", sql: str = "") -> AbstractContextManager[Event]:
        """Tell observers, where there are any, of what takes more than one statement."""
        event = Event(operation, sql, self.config, self.server, table)
        observers = self.options.observers
        return observed(observers, event) if observers else nullcontext(event)

    def warn_once(self, about: Hashable, text: str, category: type[Warning]) -> None:
        """Warn the first time that something is so; afterwards its cost is a look-up."""
        key = (about, category)
        if key not in self._reported:
            if len(self._reported) >= REMEMBERED:
                self._reported.clear()
            self._reported.add(key)
            warnings.warn(text, category, stacklevel=callers_level())

    def _types(self, connection: Connection, table: str) -> Mapping[str, str]:
        """A table's column types, asked once until the next DDL; in an altered session a name may mean another."""
        if connection.needs_reset:
            return connection.column_types(table)
        known = self._column_types  # as it is now: what is learnt during DDL goes into a dict that is read no more
        types = known.get(table)
        if types is None:
            types = known[table] = connection.column_types(table)
        return types

    def described(self, connection: Connection, name: str, use: Callable[[Table], T]) -> T:
        """What `use` makes of a table's description, which is asked for once until the next DDL, and again where `use`
        refuses it: another session may have changed the table. Raises UndefinedTable, and what `use` raises."""
        known = self._tables  # as it is now, for the same reason
        if name in known and not connection.needs_reset:
            with suppress(ParameterError, UndefinedColumn):
                return use(known[name])
        try:
            found = connection.perform(self.backend.bulk.describe, name)
            if found is None:
                raise UndefinedTable(f"there is no table {name}")
        except Error as error:
            error.sql = error.sql or f"INSERT INTO {name}"
            raise
        if not connection.needs_reset:
            known[name] = found
        return use(found)

    def doubts_types(self, error: Error) -> bool:
        """Whether a statement was refused for an argument that had been made to fit a column as it was remembered;
        another session may have changed that, so it is looked at again."""
        doubtful = error.sqlstate in self.backend.misfits and bool(self._column_types)
        if doubtful:
            self.forget_tables()
        return doubtful

    def forget_tables(self) -> None:
        """Ask for tables and their column types again, after DDL and when its transaction has ended, either way."""
        self._column_types = {}
        self._tables = {}
        self.needs_many = set()

    def remember_needs_many(self, what: str) -> None:
        """Have single rows go the way of many there, until the next DDL."""
        if len(self.needs_many) >= REMEMBERED:
            self.needs_many.clear()
        self.needs_many.add(what)

    @staticmethod
    def lost(statement: Statement, error: Error) -> Error:
        """What the loss of a connection means to a statement outside a transaction: whether it is stored is unknown,
        unless it only reads."""
        kind = ConnectionLost if statement.reads else CommitUncertain
        if isinstance(error, kind):
            return error
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        return driver_error(kind, cause, sqlstate=error.sqlstate, code=error.code, sql=error.sql)


def statement_text(sql: object) -> str:
    """An exact str; a subclass may compare and hash as it likes, and the scanner takes none."""
    if isinstance(sql, str):
        return str.__str__(sql)
    raise ParameterError(f"a statement is a str, not {type(sql).__name__}")
