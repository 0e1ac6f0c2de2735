"""Streams: the rows of a query in constant memory, read in chunks while the query is under way.

A query runs where `execute` would run it: in the open transaction, else on a connection of its own, which the stream
has until it ends; the one connection of an in-memory database is shared, so there it is had for one chunk at a time.
"""

import logging
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, TypeVar

from nexusql._speedups import extend_dicts
from nexusql.backends.base import Cursor, Status
from nexusql.backends.errors import without_frames
from nexusql.config import ConnectionConfig
from nexusql.connection import Connection
from nexusql.engine import Engine, Params
from nexusql.errors import (
    CommitUncertain,
    ConnectionLost,
    Error,
    InterfaceError,
    ParameterError,
    ProgrammingError,
    StreamWarning,
    TransactionAborted,
    TransactionClosed,
)
from nexusql.interrupts import using
from nexusql.leases import Holder
from nexusql.models import builder
from nexusql.results import Record, Rows
from nexusql.sql.statement import Statement
from nexusql.workers import responsible

logger = logging.getLogger("nexusql.stream")

LARGEST_CHUNK = 2**31 - 1  # what drivers and servers count in

R = TypeVar("R")
Plan = tuple[Statement, Sequence[Any] | None]
Build = Callable[[tuple[str, ...], Sequence[Any]], list[R]]  # column names and tuples -> what the stream gives


def as_dicts(names: tuple[str, ...], rows: Sequence[Any]) -> list[Record]:
    """Rows as dicts."""
    records: list[Record] = []
    extend_dicts(records, rows, names)
    return records


def as_instances(into: type[R], sql: str) -> Build[R]:
    """What makes the rows of one result, chunk by chunk, instances of a class. Raises ConfigError for no such class."""
    made_of = builder(into)
    done = 0

    def build(names: tuple[str, ...], rows: Sequence[Any]) -> list[R]:
        nonlocal done
        chunk: Rows[Any] = Rows(rows)
        chunk.columns = names
        instances = made_of.build(chunk, sql, after=done)
        done += len(instances)
        return instances

    return build


class Reading:
    """A query under way, as far as others than its stream must know of it."""

    __slots__ = ("cursor", "dropped", "ended", "statement")

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.cursor: Cursor | None = None
        self.dropped = False  # by its stream, in a finaliser: to be closed by who comes next
        self.ended = ""  # why, where its transaction or block has ended it


class Source(ABC):
    """Where the query of one stream runs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def prepare(self, sql: str, params: Params) -> Plan:
        """The plan of a statement and its arguments."""
        return self.engine.prepare(sql, params, self.engine.modes)

    def execute(self, sql: str, params: Params) -> Rows:
        """Run a statement whose rows cannot be read in pieces."""
        statement, args = self.prepare(sql, params)
        return self.engine.run(statement, args, params)

    @abstractmethod
    def lend(self, reading: Reading) -> AbstractContextManager[Connection]:
        """The connection, for one step."""

    @abstractmethod
    def end(self, reading: Reading, *, failed: bool) -> None:
        """Leave the rest of the rows, and give back what is held."""

    @abstractmethod
    def drop(self, reading: Reading) -> None:
        """The same in a finaliser, which may not wait for anything."""


class OwnConnection(Source):
    """A connection of the pool, from the first step to the end."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._connection: Connection | None = None
        self._holder = Holder("a stream")

    def lend(self, reading: Reading) -> AbstractContextManager[Connection]:
        """The connection; leased in the first step."""
        self._holder.thread = responsible()[0]
        if self._connection is None:
            self._connection = self.engine.lease(self._holder)
        return self._step(self._connection, reading)

    @contextmanager
    def _step(self, connection: Connection, reading: Reading) -> Iterator[Connection]:
        try:
            with using(connection):
                yield connection
        except ConnectionLost as error:
            if self.engine.capabilities.cursor_transactions:  # nothing has been committed yet
                raise
            raise self.engine.lost(reading.statement, error) from error.__cause__

    def end(self, reading: Reading, *, failed: bool) -> None:
        """Commit, for outside a transaction every statement does, and return the connection.

        One on which rows are under way is closed: to stop them would take another session, and much longer.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        pool = self.engine.pool
        if connection.broken or (reading.cursor is not None and reading.cursor.occupies):
            pool.discard(connection)
            return
        try:
            if reading.cursor is not None:
                connection.close_cursor(reading.cursor, self.engine.config)
            if connection.status() in (Status.ACTIVE, Status.FAILED):
                if failed:
                    connection.rollback()
                else:
                    connection.commit()
        except (ConnectionLost, CommitUncertain) as error:
            raise self.engine.lost(reading.statement, error) from error.__cause__
        finally:
            pool.release(connection)

    def drop(self, reading: Reading) -> None:
        """Have the pool close the connection when it next can."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self.engine.pool.abandon(connection)


class SharedConnection(Source):
    """The one connection there is. A cursor stays open on it while others run their statements."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._connection: Connection | None = None

    @contextmanager
    def lend(self, reading: Reading) -> Iterator[Connection]:
        """The connection, leased for this step."""
        connection = self._connection = self.engine.lease()
        try:
            with using(connection):
                yield connection
        finally:
            self.engine.pool.release(connection)

    def end(self, reading: Reading, *, failed: bool) -> None:
        """Close the cursor. That needs no lease: SQLite itself lets in one after the other."""
        if reading.cursor is not None and self._connection is not None:
            self._connection.close_cursor(reading.cursor, self.engine.config)

    def drop(self, reading: Reading) -> None:
        """The cursor goes with the stream."""


class Host(Protocol):
    """What a transaction offers to the streams that read in it."""

    streams: "OpenStreams"

    @property
    def engine(self) -> Engine:
        """The engine it belongs to."""
        ...

    def prepare(self, sql: str, params: Params) -> Plan:
        """The plan of a statement and its arguments. Raises TransactionClosed."""
        ...

    def execute(self, sql: str, params: Params) -> Rows:
        """Run one statement in it."""
        ...

    def turn(self, *, opening: bool) -> AbstractContextManager[Connection]:
        """The connection, while nobody else uses it; an Error raised meanwhile is a failure in the transaction."""
        ...


class InTransaction(Source):
    """The connection of an open transaction, a turn at a time."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.engine)
        self._host = host

    def prepare(self, sql: str, params: Params) -> Plan:
        """By the modes of that very session."""
        return self._host.prepare(sql, params)

    def execute(self, sql: str, params: Params) -> Rows:
        """In the transaction."""
        return self._host.execute(sql, params)

    @contextmanager
    def lend(self, reading: Reading) -> Iterator[Connection]:
        """The connection, between two statements of the transaction."""
        opening = reading.cursor is None
        with self._host.turn(opening=opening) as connection:
            if opening:
                self._host.streams.add(reading)
            yield connection

    def end(self, reading: Reading, *, failed: bool) -> None:
        """Close the cursor, where the transaction has not done so."""
        try:
            with self._host.turn(opening=False) as connection:
                self._host.streams.close(connection, reading)
        except (TransactionAborted, TransactionClosed):  # it has, or will
            return

    def drop(self, reading: Reading) -> None:
        """Have the next statement of the transaction close the cursor."""
        reading.dropped = True


class OpenStreams:
    """The streams that are open in a transaction. Called by who has the turn."""

    def __init__(self, config: ConnectionConfig) -> None:
        self._config = config
        self._open: list[Reading] = []
        self._before: dict[str, list[Reading]] = {}

    def add(self, reading: Reading) -> None:
        """Know of a stream that is about to be opened."""
        self._open.append(reading)

    def close(self, connection: Connection, reading: Reading) -> None:
        """Close a stream's cursor, once."""
        if reading in self._open:
            self._open.remove(reading)
            if reading.cursor is not None:
                connection.close_cursor(reading.cursor, self._config)

    def settle(self, connection: Connection) -> None:
        """Before a statement: close what was dropped. Raises ProgrammingError where an open stream is in its way."""
        if not self._open:
            return
        for reading in [reading for reading in self._open if reading.dropped]:
            self._close_quietly(connection, reading)
        if any(reading.cursor is not None and reading.cursor.occupies for reading in self._open):
            raise ProgrammingError(
                "a stream is open in this transaction, and this database sends one result at a time: read the stream "
                "to its end or close it first, or take fetch_all"
            )

    def mark(self, savepoint: str) -> None:
        """Keep which streams there are at a savepoint."""
        if self._open:
            self._before[savepoint] = self._open.copy()

    def end(self, connection: Connection, savepoint: str | None = None) -> None:
        """The transaction, or the block since a savepoint, ends: close what was opened in it."""
        before = [] if savepoint is None else self._before.get(savepoint, [])
        for reading in [reading for reading in self._open if reading not in before]:
            reading.ended = "the transaction, or the block of it, in which the stream was opened has ended"
            self._close_quietly(connection, reading)

    def _close_quietly(self, connection: Connection, reading: Reading) -> None:
        try:
            self.close(connection, reading)
        except Error as error:  # the connection is lost, or the transaction: what comes next finds that out
            logger.debug("closing a stream failed: %s", type(error).__name__)


def outside(engine: Engine) -> Source:
    """Where a stream reads outside a transaction."""
    return SharedConnection(engine) if engine.capabilities.shared_connection else OwnConnection(engine)


class Stream(Iterator[R]):
    """Iterates over the rows of one statement, `chunk_size` at a time in memory. A context manager.

    The query is run by `with`, `open()` or the first row that is asked for; what it holds is given back with the last
    row, by `close()`, or when the stream is dropped. Used by one thread at a time.

    An error ends it, and whoever goes on reading gets it again: InterfaceError after `close()`, TransactionClosed after
    the end of the transaction, or of the block of it, that the stream was opened in. A statement that is no query but
    gives rows (INSERT .. RETURNING, SHOW, EXPLAIN, PRAGMA) is run like any other, all its rows at once.
    """

    def __init__(self, source: Source, sql: str, params: Params, chunk_size: int, build: Build[R]) -> None:
        self._reading: Reading | None = None
        if type(chunk_size) is not int or not 1 <= chunk_size <= LARGEST_CHUNK:
            raise ParameterError(
                f"chunk_size is the number of rows read at a time, from 1 to {LARGEST_CHUNK}; not {chunk_size!r}"
            )
        self._source = source
        self._plan = source.prepare(sql, params)
        if self._plan[0].control is not None:
            raise ProgrammingError(f"{self._plan[0].verb} gives no rows; run it with execute")
        self._sql = sql
        self._params = params
        self._chunk_size = chunk_size
        self._build = build
        self._pid = os.getpid()
        self._rows: Iterator[R] = iter(())
        self._state = "new"  # then "open"; "read" to the end, or "closed" before it
        self._failure: Error | None = None
        self._ambiguous = False
        self.columns: tuple[str, ...] = ()

    def open(self) -> "Stream[R]":
        """Run the query, unless that has been done; gives the stream itself. Raises what `execute` raises."""
        if self._failure is not None:
            raise without_frames(self._failure)
        if self._state == "closed":
            raise InterfaceError("the stream was closed before its end")
        if self._pid != os.getpid():
            raise InterfaceError("this stream belongs to the parent process; open one of your own")
        if self._state != "new":
            return self
        statement, args = self._plan
        try:
            if statement.query:
                self._start(statement, args)
            else:
                records = self._source.execute(self._sql, self._params)
                self.columns = tuple(records[0]) if records else records.columns
                self._rows = iter(self._build(self.columns, [tuple(record.values()) for record in records]))
                self._state = "read"
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def fetch(self) -> list[R]:
        """The next rows, `chunk_size` at most; an empty list at the end. Raises what `execute` raises."""
        rows = list(islice(self._rows, self._chunk_size))
        if not rows:
            self._read_on()
            rows = list(islice(self._rows, self._chunk_size))
        return rows

    def close(self) -> None:
        """Leave the rows that have not been read, and give the connection back; again, it does nothing."""
        self._rows = iter(())
        if self._state != "read":
            self._end("closed")

    def __enter__(self) -> "Stream[R]":
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Error as late:
            if kind is None:
                raise
            logger.warning("closing a stream failed: %s", type(late).__name__)

    def __iter__(self) -> "Stream[R]":
        return self

    def __next__(self) -> R:
        for row in self._rows:
            return row
        self._read_on()
        return next(self._rows)

    def _read_on(self) -> None:
        """Read the next chunk into `_rows`. Whatever interrupts that ends the stream, so that no row is passed over."""
        reading = self.open()._reading
        if reading is None or reading.cursor is None:
            return
        try:
            rows: Sequence[Any] = ()
            with self._source.lend(reading) as connection:
                if not reading.ended:
                    rows = connection.fetch(reading.cursor, reading.statement)
            if reading.ended:
                raise TransactionClosed(reading.ended)
            if len(rows) < self._chunk_size:
                self._end("read")
            if rows and self._ambiguous:
                self._ambiguous = False
                self._source.engine.duplicate_columns(reading.statement, self.columns)
            self._rows = iter(self._build(self.columns, rows))
        except BaseException as error:
            self._fail(error)
            raise

    def _start(self, statement: Statement, args: Sequence[Any] | None) -> None:
        reading = self._reading = Reading(statement)
        with self._source.lend(reading) as connection:
            reading.cursor = self._source.engine.open_cursor(
                connection, statement, args, self._params, self._chunk_size
            )
            self.columns = connection.name_columns(reading.cursor.description)
        self._ambiguous = len(set(self.columns)) < len(self.columns)
        self._state = "open"

    def _end(self, state: str, *, failed: bool = False) -> None:
        reading, self._reading = self._reading, None
        self._state = state
        if reading is not None and self._pid == os.getpid():
            self._source.end(reading, failed=failed)

    def _fail(self, error: BaseException) -> None:
        """Give everything back; the error is what the caller gets, whatever else goes wrong."""
        self._failure = without_frames(error) if isinstance(error, Error) else None
        try:
            self._end("closed", failed=True)
        except Error as late:
            logger.warning("closing a stream failed: %s", type(late).__name__)

    def __del__(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and self._pid == os.getpid():
            self._source.drop(reading)
            if reading.ended:
                return
            warnings.warn("a stream was left open; it has been closed", StreamWarning, stacklevel=2)
