"""AsyncDatabaseManager: the calls of DatabaseManager, awaited. The event loop's thread is never blocked."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from nexusql.blocks import TransactionBlock
from nexusql.calls import Calls
from nexusql.config import ConnectionConfig
from nexusql.current import open_in
from nexusql.engine import Engine, Params
from nexusql.errors import Error
from nexusql.interrupts import time_left
from nexusql.jobs import own_slot, run_job
from nexusql.manager import DatabaseManager
from nexusql.progress import Progress
from nexusql.results import BulkResult, QueryResult, Record, Records, Rows
from nexusql.retry import Attempts, refuse_swallowed
from nexusql.sql.translate import Translation
from nexusql.stream import Stream
from nexusql.transaction import Transaction
from nexusql.workers import Slot

T = TypeVar("T")
R = TypeVar("R")


class AsyncCalls(ABC):
    """The calls that an async manager and an async transaction share; each raises what its synchronous twin raises."""

    @property
    @abstractmethod
    def _calls(self) -> Calls:
        """The synchronous twin."""

    @abstractmethod
    async def _run(self, work: Callable[[], T]) -> T:
        """Run a blocking call of the twin in a worker thread."""

    @overload
    async def execute(
        self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None
    ) -> Records[Record]: ...
    @overload
    async def execute(
        self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None
    ) -> Records[T]: ...
    async def execute(
        self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None
    ) -> Records[Any]:
        """Run one statement; a list of dicts or of `into`, empty for a write, with `rowcount` and `columns`."""
        left = time_left(timeout)
        return await self._run(lambda: self._calls.execute(sql, params, into=into, timeout=left()).plain())

    @overload
    async def fetch_one(
        self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None
    ) -> Record | None: ...
    @overload
    async def fetch_one(
        self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None
    ) -> T | None: ...
    async def fetch_one(
        self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None
    ) -> Any:
        """The first row, None where there is none."""
        rows: Records[Any] = await self.execute(sql, params, into=into, timeout=timeout)
        return rows[0] if rows else None

    @overload
    async def fetch_all(
        self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None
    ) -> Records[Record]: ...
    @overload
    async def fetch_all(
        self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None
    ) -> Records[T]: ...
    async def fetch_all(
        self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None
    ) -> Records[Any]:
        """All rows."""
        rows: Records[Any] = await self.execute(sql, params, into=into, timeout=timeout)
        return rows

    async def fetch_value(self, sql: str, params: Params = None, *, timeout: float | None = None) -> Any:
        """The first column of the first row, or None where there is no row."""
        rows = await self.execute(sql, params, timeout=timeout)
        return rows.scalar()

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> int:
        """Run one statement for each set of parameters, all or nothing; the exact total of rows affected."""
        return await self._run(lambda: self._calls.execute_many(sql, rows))

    async def insert(self, table: str, row: Mapping[str, Any], *, returning: str | Sequence[str] | None = None) -> Any:
        """Insert one row; gives its key, or the columns named by `returning`."""
        return await self._run(lambda: self._calls.insert(table, row, returning=returning))

    async def bulk_insert(
        self,
        table: str,
        rows: Iterable[Any],
        *,
        columns: Sequence[str] | None = None,
        on_conflict: Literal["ignore", "update"] | None = None,
        conflict_columns: Sequence[str] | None = None,
        update_columns: Sequence[str] | None = None,
        returning: str | None = None,
        chunk_size: int | None = None,
        on_error: Literal["raise", "report"] = "raise",
        progress: Progress = None,
    ) -> BulkResult:
        """Insert many rows; see DatabaseManager.bulk_insert. `rows` and `progress` are called in a worker thread."""
        return await self._run(
            lambda: self._calls.bulk_insert(
                table,
                rows,
                columns=columns,
                on_conflict=on_conflict,
                conflict_columns=conflict_columns,
                update_columns=update_columns,
                returning=returning,
                chunk_size=chunk_size,
                on_error=on_error,
                progress=progress,
            )
        )

    @overload
    def stream(
        self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: None = None
    ) -> "AsyncStream[Record]": ...
    @overload
    def stream(self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: type[T]) -> "AsyncStream[T]": ...
    def stream(
        self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: Any = None
    ) -> "AsyncStream[Any]":
        """The rows one by one, `chunk_size` of them in memory: for `async with` and `async for`."""
        return AsyncStream(self._running, self._within, lambda: self._calls.stream(sql, params, chunk_size, into=into))

    @abstractmethod
    def _running(self) -> Engine:
        """The engine that runs the calls. Raises NotConnectedError where there is none."""

    @abstractmethod
    def _within(self) -> Transaction | None:
        """The transaction that a call made here is part of."""


class AsyncStream(AsyncIterator[R]):
    """Iterates over the rows of one statement; see nexusql.stream.Stream, of which this is the awaited form.

    `async with` closes it; without that it is closed by its last row or an error, or `await stream.close()`.
    """

    def __init__(
        self, running: Callable[[], Engine], within: Callable[[], Transaction | None], make: Callable[[], Stream[R]]
    ) -> None:
        self._running = running
        self._find_transaction = within
        self._make = make
        self._stream: Stream[R] | None = None
        self._slot: Slot | None = None
        self._transaction: Transaction | None = None
        self._rows: list[R] = []
        self._at = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the result's columns, once the query has been run."""
        return self._stream.columns if self._stream is not None else ()

    async def open(self) -> "AsyncStream[R]":
        """Run the query, unless that has been done; gives the stream itself."""
        if self._stream is None:
            engine = self._running()
            self._transaction = self._find_transaction()
            if self._transaction is None and not engine.capabilities.shared_connection:
                self._slot = await own_slot(engine)  # for as long as it has its connection
            await self._step(self._open)
        return self

    async def close(self) -> None:
        """Leave the rows that have not been read, and give the connection back; again, it does nothing."""
        self._rows, self._at = [], 0
        stream = self._stream
        if stream is not None:
            try:
                await self._step(stream.close, firm=True)
            finally:
                self._give_slot_back()

    async def __aenter__(self) -> "AsyncStream[R]":
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> "AsyncStream[R]":
        return self

    async def __anext__(self) -> R:
        if self._at == len(self._rows):
            stream = (await self.open())._stream
            assert stream is not None
            self._rows, self._at = await self._step(stream.fetch), 0
            if not self._rows:
                self._give_slot_back()
                raise StopAsyncIteration
        self._at += 1
        return self._rows[self._at - 1]

    def _open(self) -> None:
        self._stream = self._make()
        self._stream.open()

    def _close_left(self) -> None:
        if self._stream is not None:
            self._stream.close()

    async def _step(self, work: Callable[[], T], *, firm: bool = False) -> T:
        """Do a blocking step; after any failure, a cancellation too, nothing of the stream is left open."""
        try:
            return await run_job(
                self._running(), work, within=self._transaction, slot=self._slot, firm=firm, undo=self._close_left
            )
        except BaseException:
            self._give_slot_back()
            raise

    def _give_slot_back(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.give_back()

    def __del__(self) -> None:
        if self._slot is not None:
            self._slot.drop()


class AsyncTransaction(AsyncCalls):
    """An open transaction, awaited; its statements take turns, whichever tasks they come from."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @property
    def is_open(self) -> bool:
        """True until it has been committed or rolled back."""
        return self._transaction.is_open

    def transaction(self) -> "AsyncTransactionBlock":
        """A nested block, for `async with`; undone alone when it fails."""
        return AsyncTransactionBlock(self._transaction.transaction)

    @property
    def _calls(self) -> Transaction:
        return self._transaction

    async def _run(self, work: Callable[[], T]) -> T:
        return await run_job(self._transaction.engine, work, within=self._transaction)

    def _running(self) -> Engine:
        return self._transaction.engine

    def _within(self) -> Transaction:
        return self._transaction


class AsyncTransactionBlock:
    """What `transaction()` gives, for `async with`; inside an open transaction it is a savepoint."""

    def __init__(self, make: Callable[[], TransactionBlock]) -> None:
        self._block = make()

    async def __aenter__(self) -> AsyncTransaction:
        return AsyncTransaction(await self._block.__aenter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._block.__aexit__(kind, error, trace)


class AsyncDatabaseManager(AsyncCalls):
    """One database behind one API, for any number of tasks; all calls of DatabaseManager, awaited.

    `database` and `options` are those of DatabaseManager. Nothing is opened until `connect()`, `async with` or
    `initialize()`. Each call runs in a worker thread, at most one for each connection of the pool; when its task is
    cancelled, its statement is cancelled at the server, and the connection is kept only where it is provably clean.
    """

    def __init__(self, database: str | ConnectionConfig, **options: Any) -> None:
        self._manager = DatabaseManager(database, **options)

    @property
    def sync(self) -> DatabaseManager:
        """The same manager by its synchronous calls, for other threads."""
        return self._manager

    @property
    def config(self) -> ConnectionConfig:
        """The configuration; `config.masked_url` is fit for logs."""
        return self._manager.config

    @property
    def database_url(self) -> str:
        """The URL as it was given, password and all: never log it."""
        return self._manager.database_url

    def __repr__(self) -> str:
        return f"<Async{repr(self._manager)[1:]}"

    # Connecting

    async def connect(self) -> None:
        """Open the pool. Raises what connecting raises."""
        manager, was_connected = self._manager, self._manager._connection is not None
        connecting = asyncio.ensure_future(asyncio.to_thread(manager.connect, True))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if not was_connected:  # what comes of it is nobody's
                connecting.add_done_callback(lambda ended: ended.exception() or manager.disconnect())
            raise

    async def disconnect(self) -> None:
        """Close the pool, at once; again, or before connect, it does nothing."""
        await asyncio.to_thread(self._manager.disconnect)

    close = disconnect

    async def __aenter__(self) -> "AsyncDatabaseManager":
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def health_check(self) -> bool:
        """True when a statement can be run."""
        return await self._manager.in_thread(self._manager.health_check)

    # Statements

    @overload
    async def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: None = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Records[Record]: ...
    @overload
    async def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: type[T],
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Records[T]: ...
    async def execute(
        self,
        sql: str,
        params: Params = None,
        *,
        into: Any = None,
        timeout: float | None = None,
        group_commit: bool | None = None,
    ) -> Records[Any]:
        """Run one statement; a list of dicts or of `into`, empty for a write, with `rowcount` and `columns`."""
        rows: Rows[Any] = await self._manager.execute_async(
            sql, params, into=into, timeout=timeout, group_commit=group_commit
        )
        return rows.plain()

    # Scripts and schema

    async def run_script(self, sql: str) -> int:
        """Run the statements of a script one by one; how many there were."""
        return await self._run(lambda: self._manager.run_script(sql))

    async def execute_script(self, sql: str) -> QueryResult:
        """`run_script` that never raises, but tells the first failure in the result."""
        return await self._manager.execute_script(sql)

    async def translate(self, sql: str) -> Translation:
        """The text that this database would get, with a receipt for each edit that loses something."""
        return self._manager.translate(sql)

    async def list_tables(self) -> list[str]:
        """Names of the tables in the current schema or database, sorted."""
        return await self._run(self._manager.list_tables)

    async def table_exists(self, table: str) -> bool:
        """Whether the current schema or database has a table of that very name."""
        return await self._run(lambda: self._manager.table_exists(table))

    async def create_table(self, table: str, columns: dict[str, str]) -> None:
        """Create a table, unless it is there, from column names and canonical definitions."""
        await self._run(lambda: self._manager.create_table(table, columns))

    async def migrate(self, paths: Sequence[str | Path] = (), *, apply_schema: bool = True) -> None:
        """Connect if need be, apply the packaged schema, then each folder in order. Raises MigrationError."""
        await self._manager.in_thread(lambda: self._manager.migrate(paths, apply_schema=apply_schema))

    async def initialize(
        self, apply_schema: bool = True, app_migration_paths: Sequence[str | Path] | None = None
    ) -> bool:
        """`migrate`; False and a log entry where it fails."""
        return await self._manager.initialize(apply_schema, app_migration_paths)

    # Transactions

    def transaction(
        self, *, isolation: str | None = None, read_only: bool = False, allow_ddl: bool = False
    ) -> AsyncTransactionBlock:
        """A transaction for `async with`: commits at the end, rolls back on an error; nested, a savepoint."""
        manager = self._manager
        return AsyncTransactionBlock(
            lambda: manager.transaction(isolation=isolation, read_only=read_only, allow_ddl=allow_ddl)
        )

    async def run_in_transaction(self, fn: Callable[[AsyncTransaction], Awaitable[T]], *, retries: int = 5) -> T:
        """Await `fn(tx)` in a transaction and commit; again after a serialization failure, deadlock or busy error."""
        attempts = Attempts(self._running(), retries)
        while True:
            begun = False
            try:
                async with self.transaction() as transaction:
                    begun = True
                    result = await fn(transaction)
                    refuse_swallowed(transaction._calls)
                return result
            except Error as error:
                pause = attempts.pause_after(error, begun)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    def detached(self) -> AbstractContextManager[None]:
        """Step out of the open transaction for a while: statements inside commit on their own."""
        return self._manager.detached()

    async def begin_transaction(self) -> None:
        """`execute("BEGIN")`."""
        await self.execute("BEGIN")

    async def commit_transaction(self) -> None:
        """`execute("COMMIT")`."""
        await self.execute("COMMIT")

    async def rollback_transaction(self) -> None:
        """`execute("ROLLBACK")`."""
        await self.execute("ROLLBACK")

    # Internals

    @property
    def _calls(self) -> DatabaseManager:
        return self._manager

    async def _run(self, work: Callable[[], T]) -> T:
        return await run_job(self._manager._connected(), work)

    def _running(self) -> Engine:
        return self._manager._connected()

    def _within(self) -> Transaction | None:
        return open_in(self._running())
