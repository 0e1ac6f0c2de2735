"""DatabaseManager: the object that people hold."""

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar, overload

from nexusql.backends import backend_for
from nexusql.blocks import TransactionBlock, control_by_string, joinable_unit
from nexusql.calls import Calls
from nexusql.config import ConnectionConfig
from nexusql.connection import Connection
from nexusql.current import open_in, open_transactions, roll_back_open, set_open
from nexusql.engine import Engine, Params, statement_text
from nexusql.errors import ConfigError, Error, NotConnectedError, TranslationWarning
from nexusql.events import Observer
from nexusql.groups import GroupCommit, Groups
from nexusql.interfaces import DatabaseInterface
from nexusql.interrupts import TimeLimit, limited
from nexusql.jobs import run_job
from nexusql.models import builder, keep_rows
from nexusql.options import Options
from nexusql.results import QueryResult, Rows, create_error_result, create_query_result
from nexusql.retry import run_in_transaction
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.translate import Translation, translate, translate_quoted
from nexusql.stream import InTransaction, Source, outside
from nexusql.transaction import Transaction
from nexusql.workers import blocks_own_thread, responsible

logger = logging.getLogger("nexusql")

T = TypeVar("T")


class Finished(Awaitable[None]):
    """The result of a call that has already done its work, for callers that await it."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class DatabaseManager(Calls, DatabaseInterface):
    """One database behind one API; safe for any number of threads and tasks.

    Nothing is opened until `connect()`, `with` or `initialize()`. Times are in seconds. `duplicate_columns` says what
    happens when a result has two columns of one name: "last" (the last wins, with a warning once a statement), "raise",
    or "suffix" (`id`, `id_2`). `strict=True` makes every translation with a loss an error.

    Raises ConfigError, a ValueError, for a URL or an option that cannot be used.
    """

    def __init__(
        self,
        database: str | ConnectionConfig,
        *,
        pool_min: int = 1,
        pool_max: int = 10,
        pool_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        max_lifetime: float = 1800.0,
        idle_timeout: float = 600.0,
        max_waiting: int | None = None,
        statement_timeout: float | None = None,
        group_commit: bool | GroupCommit = False,
        statement_cache: int = 512,
        translate: bool = True,
        strict: bool = False,
        duplicate_columns: str = "last",
        adapters: dict[type, Callable[[Any], Any]] | None = None,
        json_dumps: Callable[[Any], str] | None = None,
        json_loads: Callable[[str], Any] | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        self._engine: Engine | None = None
        self._groups: Groups | None = None
        self._installing = threading.Lock()
        try:
            self.config = database if isinstance(database, ConnectionConfig) else ConnectionConfig.from_url(database)
        finally:
            del database  # a traceback that shows local variables must not show a password
        self._options = Options(
            pool_min,
            pool_max,
            pool_timeout,
            connect_timeout,
            max_lifetime,
            idle_timeout,
            max_waiting,
            statement_timeout,
            statement_cache,
            translate,
            strict,
            duplicate_columns,
            tuple(observers),
        )
        if isinstance(group_commit, GroupCommit):
            self._group_commit: GroupCommit | None = group_commit
        else:
            self._group_commit = GroupCommit() if group_commit else None
        self._adapters = dict(adapters or {})
        self._json = {"json_dumps": json_dumps, "json_loads": json_loads}

    @property
    def database_url(self) -> str:
        """The URL as it was given, password and all: never log it; `config.masked_url` is for that."""
        return self.config.database_url

    @property
    def _connection(self) -> Engine | None:
        """Not None while connected: what clients of older releases look at."""
        return self._engine

    def __repr__(self) -> str:
        config = vars(self).get("config")  # not there yet, where a frame that refuses the URL is shown
        state = "connected" if self._engine is not None else "not connected"
        return f"<DatabaseManager {'..' if config is None else config.masked_url} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DatabaseManager cannot be pickled; make one in each process, from its URL")

    # Connecting

    def connect(self, raise_errors: bool = False) -> bool:
        """Open the pool; True when the database answers.

        While connected, idle connections are tested and dead ones replaced; nobody is cut off. Where server, driver or
        database is not there: False and a log entry, or the error with `raise_errors=True`.
        """
        try:
            engine = self._engine
            if engine is not None:
                engine.check()
                return True
            backend = backend_for(self.config, adapters=self._adapters, **self._json)
            engine = Engine(self.config, backend, self._options)
            try:
                engine.open()
                with self._installing:
                    others = self._engine  # of another thread that was faster
                    self._engine = others or engine
            except BaseException:
                engine.close()
                raise
            if others is not None:
                engine.close()
                return True
        except Error as error:
            if raise_errors:
                raise
            logger.error("cannot connect to %s: %s", self.config.masked_url, error)
            return False
        logger.info("connected to %s", self.config.masked_url)
        return True

    def disconnect(self) -> Finished:
        """Close the pool, at once; again, or before connect, it does nothing. What it returns may be awaited."""
        engine, self._engine = self._engine, None
        with self._installing:
            groups, self._groups = self._groups, None
        if groups is not None:
            groups.close()
        if engine is not None:
            try:
                roll_back_open(engine)
            finally:
                engine.close()
        return Finished()

    close = disconnect

    def __enter__(self) -> "DatabaseManager":
        self.connect(raise_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def health_check(self) -> bool:
        """True when a statement can be run."""
        try:
            return bool(self.fetch_value("SELECT 1") == 1)
        except Error as error:
            logger.warning("health check failed: %s", type(error).__name__)
            return False

    # Statements

    @overload
    def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: None = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows: ...
    @overload
    def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: type[T],
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows[T]: ...
    def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: Any = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows[Any]:
        """Run one statement; rows as dicts, an empty list for none and for writes.

        `params` is a dict for `:name`, or a list or tuple for `?`, `%s` or the names in order. `into` is a class whose
        instances the rows become: a dataclass, TypedDict, NamedTuple, pydantic model or msgspec Struct. Outside a
        transaction the statement is committed at once.

        Raises ParameterError, SQLSyntaxError, and ConfigError for a class that `into` does not take, before anything is
        sent; else what the database says, as an error that is also the driver's own. Where the statement has run but
        its rows do not fit the class: ProgrammingError for the columns, DataError for the first such row.
        """
        limit = self._options.statement_timeout if timeout is None else timeout
        if timeout is not None:
            group_commit = False  # what has a time limit of its own is not kept waiting by others
        if limit is not None:
            return limited(limit, lambda: self._execute(sql, params, into, group_commit))
        return self._execute(sql, params, into, group_commit)

    def _execute_within(self, limit: TimeLimit, sql: str, params: Params, into: Any) -> Rows[Any]:
        if limit.seconds is None:
            return self.execute(sql, params, into=into, group_commit=False)
        return limited(limit, lambda: self._execute(sql, params, into, False))

    def _execute(self, sql: str, params: Params, into: Any, group_commit: bool | None) -> Rows[Any]:
        engine = self._engine
        if engine is None:
            raise NotConnectedError("Database not connected")
        if open_transactions.get() is not None:
            transaction = open_in(engine)
            if transaction is not None:
                return self._execute_in(transaction, sql, params, into)
        statement, args = engine.prepare(sql, params, engine.modes)
        if statement.control is not None:
            return control_by_string(engine, statement.control)
        if statement.insert is not None and self._is_grouped(group_commit) and not _on_event_loop():
            groups = self._groups_of(engine)
            if groups.takes(statement):
                return groups.write(statement, args, params)
        if into is None:
            return engine.run(statement, args, params)
        return builder(into).build(engine.run(statement, args, params, keep_rows), sql)

    def _execute_in(self, transaction: Transaction, sql: str, params: Params, into: Any) -> Rows[Any]:
        was_open = transaction.is_open
        try:
            return transaction._execute(sql, params, into)
        finally:
            # Who has ended it, or owns it, goes on without; a straggler must not commit by itself from here on.
            if transaction.by_string and not transaction.is_open and (was_open or transaction.owner == responsible()):
                set_open(transaction.engine, None)

    def _is_grouped(self, group_commit: bool | None) -> bool:
        return self._group_commit is not None if group_commit is None else group_commit

    def _groups_of(self, engine: Engine) -> Groups:
        groups = self._groups
        if groups is None or groups.engine is not engine:
            with self._installing:
                groups = self._groups
                if groups is None or groups.engine is not engine:
                    groups = self._groups = Groups(engine, self._group_commit or GroupCommit())
        return groups

    @overload
    async def execute_async(
        self,
        sql: str,
        params: Params = None,
        *,
        into: None = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows: ...
    @overload
    async def execute_async(
        self,
        sql: str,
        params: Params = None,
        *,
        into: type[T],
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows[T]: ...
    async def execute_async(
        self,
        sql: str,
        params: Params = None,
        *,
        into: Any = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Rows[Any]:
        """`execute` on a worker thread; its statement is cancelled at the server when the awaiting task is."""
        engine = self._engine
        grouped = timeout is None and self._is_grouped(group_commit)
        if engine is not None and grouped and open_in(engine) is None:
            statement, args = engine.prepare(sql, params, engine.modes)
            groups = self._groups_of(engine)
            if groups.takes(statement):
                return await groups.write_async(statement, args, params)
        limit = TimeLimit(timeout)
        return await self.in_thread(self._execute_within, limit, sql, params, into, limit=limit)

    def run_script(self, sql: str) -> int:
        """Run the statements of a script one by one; how many there were. Raises at the first that fails: what came
        before stays, but for a transaction that the script has begun and not ended, which is rolled back."""
        statements = self._split_sql_statements(sql)
        engine = self._connected()
        outer = open_in(engine)
        try:
            for statement in statements:
                self.execute(statement)
        except BaseException:
            if open_in(engine) is not outer:
                roll_back_open(engine)
            raise
        return len(statements)

    async def execute_script(self, sql: str) -> QueryResult:
        """`run_script` on a worker thread; never raises, but tells the first failure in the result."""
        started = time.perf_counter()
        try:
            count = await self.in_thread(self.run_script, sql)
        except Error as error:
            return create_error_result(str(error))
        elapsed = (time.perf_counter() - started) * 1000
        return create_query_result(row_count=count, execution_time_ms=elapsed)

    def translate(self, sql: str) -> Translation:
        """The text that this database would get, `:name` kept, with a receipt for each edit that loses something."""
        engine = self._engine
        syntax = engine.backend.syntax if engine else backend_for(self.config).syntax
        return translate(sql, syntax, engine.modes if engine else SessionModes(), strict=self._options.strict)

    def _split_sql_statements(self, script: str) -> list[str]:
        engine = self._connected()
        return split_script(statement_text(script), engine.backend.syntax, engine.modes)

    # Transactions

    def transaction(
        self, *, isolation: str | None = None, read_only: bool = False, allow_ddl: bool = False
    ) -> TransactionBlock:
        """A transaction for `with` or `async with`: commits at the end, rolls back on an error; nested, a savepoint.

        `isolation` is "READ COMMITTED", "REPEATABLE READ" or "SERIALIZABLE", as the database has it. SQLite begins with
        BEGIN IMMEDIATE, with `read_only` DEFERRED. `allow_ddl` lets DDL commit implicitly where the database does that.
        """
        return TransactionBlock(self._connected(), isolation, read_only, allow_ddl)

    def run_in_transaction(self, fn: Callable[[Transaction], T], *, retries: int = 5) -> T:
        """Call `fn(tx)` in a transaction and commit; again after a serialization failure, deadlock or busy error."""
        return run_in_transaction(self._connected(), fn, retries)

    @contextmanager
    def detached(self) -> Iterator[None]:
        """Step out of the open transaction for a while: statements inside commit on their own."""
        engine = self._connected()
        outer = open_in(engine)
        set_open(engine, None)
        try:
            yield
        finally:
            set_open(engine, outer)

    def begin_transaction(self) -> None:
        """`execute("BEGIN")`."""
        self.execute("BEGIN")

    def commit_transaction(self) -> None:
        """`execute("COMMIT")`."""
        self.execute("COMMIT")

    def rollback_transaction(self) -> None:
        """`execute("ROLLBACK")`."""
        self.execute("ROLLBACK")

    # Schema

    def list_tables(self) -> list[str]:
        """Names of the tables in the current schema or database, sorted."""
        text = self._connected().backend.list_tables_sql()
        return [row["name"] for row in self.execute(text)]

    def table_exists(self, table: str) -> bool:
        """Whether the current schema or database has a table of that very name."""
        return table in self.list_tables()

    def create_table(self, table: str, columns: dict[str, str]) -> None:
        """Create a table, unless it is there, from column names and canonical definitions.

        For instance `{"id": "SERIAL PRIMARY KEY", "name": "VARCHAR(50) NOT NULL"}`.
        """
        if not isinstance(columns, Mapping):
            raise ConfigError(f"columns are a dict of names and definitions, not {type(columns).__name__}")
        engine = self._connected()
        syntax = engine.backend.syntax
        canonical = replace(syntax, quote='"')
        body = ", ".join(f"{quote_identifier(name, canonical)} {definition}" for name, definition in columns.items())
        text = f"CREATE TABLE IF NOT EXISTS {quote_identifier(table, canonical)} ({body})"
        if syntax.lexical(engine.modes) & Lexical.DOUBLE_QUOTED_LITERALS:
            translation = translate_quoted(text, syntax, engine.modes, self._options.strict)
            for note in translation.notes:
                warnings.warn(note.message, TranslationWarning, stacklevel=2)
            text = translation.sql
        self.execute(text)

    # Migrations

    def migrate(self, paths: Sequence[str | Path] = (), *, apply_schema: bool = True) -> None:
        """Connect if need be, apply the packaged schema, then each folder in order. Raises MigrationError."""
        from nexusql.migrations.start import migrate

        migrate(self, paths, apply_schema=apply_schema)

    async def initialize(
        self, apply_schema: bool = True, app_migration_paths: Sequence[str | Path] | None = None
    ) -> bool:
        """`migrate` on a worker thread; False and a log entry where it fails."""
        try:
            await self.in_thread(lambda: self.migrate(app_migration_paths or (), apply_schema=apply_schema))
        except Error as error:
            logger.error("initialize failed: %s", error)
            return False
        return True

    # Internals

    def _running(self) -> Engine:
        return self._connected()

    def _commits_at_once(self) -> bool:
        return open_in(self._connected()) is None

    def _unit(self) -> AbstractContextManager[Connection]:
        engine = self._connected()
        outer = open_in(engine)
        return joinable_unit(engine) if outer is None else outer.unit()

    def _stands(self) -> bool:
        engine = self._engine
        outer = None if engine is None else open_in(engine)
        return outer is None or outer._stands()

    def _ask(self, question: Callable[[Connection], T]) -> T:
        engine = self._connected()
        outer = open_in(engine)
        if outer is not None:
            return outer._ask(question)
        connection = engine.lease()
        try:
            return question(connection)
        finally:
            engine.pool.release(connection)

    def _execute_each(self, sql: str, rows: Iterable[Params]) -> int:
        with self.transaction() as transaction:
            return transaction._execute_each(sql, rows)

    def _source(self) -> Source:
        engine = self._connected()
        transaction = open_in(engine)
        return outside(engine) if transaction is None else InTransaction(transaction)

    @property
    def transactional_ddl(self) -> bool:
        """Whether DDL can be rolled back on this database."""
        return self._connected().capabilities.transactional_ddl

    def _connected(self) -> Engine:
        if self._engine is None:
            raise NotConnectedError("Database not connected")
        return self._engine

    async def in_thread(self, call: Callable[..., T], *args: Any, limit: TimeLimit | None = None) -> T:
        """Run a blocking call of this manager off the event loop's thread, in this context."""
        engine = self._engine
        if engine is None:
            return await asyncio.to_thread(call, *args)
        return await run_job(engine, call, *args, limit=limit)


def _on_event_loop() -> bool:
    """Whether waiting here would keep an event loop from running, and with it all who could share a group."""
    return blocks_own_thread() and responsible()[1] is not None
