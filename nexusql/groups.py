"""Group commit: the single-row INSERTs of many callers, written together in one transaction.

Each caller waits until its row is committed, or has the error of its own row. One thread writes; what comes while it
does is the next group, so that groups grow with the load. Where a whole group is waiting a second thread writes it at
the same time, for most of a commit is waiting for the disk; not on SQLite, which has one writer.
"""

import asyncio
import logging
import os
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from nexusql.blocks import joinable_unit
from nexusql.bulk import BulkWrite
from nexusql.engine import Engine, Params
from nexusql.errors import (
    CommitUncertain,
    ConfigError,
    ConnectionLost,
    Error,
    LockTimeout,
    NotConnectedError,
    OperationalError,
    PoolTimeout,
    QueryTimeout,
)
from nexusql.interrupts import SLICE, TimeLimit, current_call, limited
from nexusql.results import Rows
from nexusql.shapes import BulkOptions, StatementShapes, Unsuitable
from nexusql.sql.statement import Statement
from nexusql.units import WriteUnit
from nexusql.workers import answer

logger = logging.getLogger("nexusql.groups")

AT_ONCE = 50  # tasks
LINGER = 1.0  # seconds that a writing thread waits for the next group before it ends
THREADS = 2  # more gain nothing: by then the event loop is what takes the time
# After these the rows of a group are not tried one by one: whether they are stored is unknown, or none can be, or each
# would be waited for as long again.
_FINAL = (CommitUncertain, ConnectionLost, LockTimeout, NotConnectedError, PoolTimeout, QueryTimeout)


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """How large groups may be, and how long one waits for more rows: `delay` in seconds, while there is a crowd."""

    rows: int = 500
    bytes: int = 4_000_000
    delay: float = 0.002

    def __post_init__(self) -> None:
        if self.rows < 1 or self.bytes < 1 or not 0 <= self.delay <= 1:
            raise ConfigError(f"a group has at least one row and byte, and a delay of 0 to 1 seconds; not {self}")


class _Entry:
    """One caller's row. When its outcome is known a thread's `gate` is released, and a task's `future` has a result."""

    __slots__ = ("args", "error", "future", "gate", "params", "rows", "size", "statement", "taken", "withdrawn")

    def __init__(
        self,
        statement: Statement,
        args: Sequence[Any] | None,
        params: Params,
        future: "asyncio.Future[None] | None" = None,
    ) -> None:
        self.statement = statement
        self.args = args
        # Mostly a dict; to ask whether it is a Mapping takes long.
        mapping = params.__class__ is dict or isinstance(params, Mapping)
        self.params: Any = dict(params) if mapping else tuple(params or ())  # type: ignore[arg-type]  # as they are now
        self.size = 0
        for value in args or ():
            if value.__class__ is str or value.__class__ is bytes:
                self.size += len(value)
        self.taken = self.withdrawn = False
        self.rows: Rows | None = None  # of a row that was written alone
        self.error: BaseException | None = None
        self.gate = threading.Lock() if future is None else None
        self.future = future

    def outcome(self) -> Rows:
        """What the caller gets."""
        if self.error is not None:
            raise self.error
        if self.rows is not None:
            return self.rows
        rows = Rows()
        rows.rowcount = 1
        return rows


class Groups:
    """Writes the rows of many callers in groups. Safe for any number of threads and tasks."""

    def __init__(self, engine: Engine, options: GroupCommit) -> None:
        self.engine = engine
        self._options = options
        self._most_rows, self._most_bytes = options.rows, options.bytes
        self._most_threads = 1 if engine.writer is not None else max(1, min(THREADS, engine.options.pool_max - 1))
        self._unsuitable: set[str] = set()
        self._closed = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._threads: set[threading.Thread] = set()
        self._waiting = 0  # threads, for rows
        self._writing = 0  # threads, or about to
        self._crowd = False  # the last group had more than one row

    def takes(self, statement: Statement) -> bool:
        """Whether a statement can be written together with others like it: a plain INSERT of one row."""
        plain = statement.insert is not None and statement.plain and statement.order is None and not statement.lists
        return plain and statement.source not in self._unsuitable

    def write(self, statement: Statement, args: Sequence[Any] | None, params: Params) -> Rows:
        """Have a row written; for threads. Raises what `execute` raises for it."""
        entry = _Entry(statement, args, params)
        gate = entry.gate
        assert gate is not None
        gate.acquire()
        self._add(entry)
        call = current_call.get()
        try:
            while not gate.acquire(timeout=-1 if call is None else SLICE):
                if call is not None and call.reason is not None and self._withdraw(entry):
                    call.check()
        except BaseException:
            self._withdraw(entry)
            raise
        return entry.outcome()

    async def write_async(self, statement: Statement, args: Sequence[Any] | None, params: Params) -> Rows:
        """Have a row written; for tasks. One that is cancelled early enough has its row left out."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = _Entry(statement, args, params, future)
        self._add(entry)
        try:
            await future
        except asyncio.CancelledError:
            self._withdraw(entry)
            raise
        return entry.outcome()

    def close(self) -> None:
        """Write what is waiting, and take no more."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            self._changed.notify_all()
        for thread in threads:
            thread.join()
        _tell(self._queue, lambda: NotConnectedError("Database not connected"))  # where there was no thread any more

    def _add(self, entry: _Entry) -> None:
        with self._lock:
            if self._closed:
                raise NotConnectedError("Database not connected")
            self._queue.append(entry)
            self._bytes += entry.size
            if self._writing and not self._full():  # beside who writes, only a whole group is due
                return
            try:
                self._call_thread()
            except OperationalError:
                self._queue.pop()
                self._bytes -= entry.size
                raise

    def _call_thread(self) -> None:
        """Have a thread take what is due. Raises OperationalError where there is none and none can be begun."""
        if self._waiting:
            if self._is_due():
                self._changed.notify()
        elif not self._threads or (self._full() and len(self._threads) < self._most_threads):
            # An empty context: it must not write in the transaction of whoever comes first.
            thread = threading.Thread(target=Context().run, args=(self._work,), name="nexusql-groups", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if not self._threads:
                    raise OperationalError(f"no thread can be begun to write the row: {error}") from error
            else:
                self._threads.add(thread)

    def _is_due(self) -> bool:
        """Whether a thread is to take the next group: beside another only a whole one."""
        return self._closed or (bool(self._queue) and (not self._writing or self._full()))

    def _full(self) -> bool:
        return len(self._queue) >= self._most_rows or self._bytes >= self._most_bytes

    def _withdraw(self, entry: _Entry) -> bool:
        """Leave a row out, where it has not been taken; whether that is so."""
        with self._lock:
            entry.withdrawn = not entry.taken
            return entry.withdrawn

    def _work(self) -> None:
        while group := self._next():
            try:
                for entries in _by_statement(group):
                    self._store(entries)
            finally:
                with self._lock:
                    self._writing -= 1
                    self._changed.notify()

    def _next(self) -> list[_Entry]:
        """The next group, waited for; an empty one where the thread has nothing left to do."""
        with self._lock:
            while True:
                due = self._wait_for(self._is_due, LINGER)
                if not due or not self._queue:
                    self._threads.discard(threading.current_thread())
                    return []
                self._writing += 1
                if self._crowd or len(self._queue) > 1:
                    self._wait_for(lambda: self._full() or self._closed, self._options.delay)
                group = self._take()
                if group:
                    self._crowd = len(group) > 1
                    self._call_thread()
                    return group
                self._writing -= 1

    def _wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        self._waiting += 1
        met = self._changed.wait_for(condition, seconds)
        self._waiting -= 1
        return met

    def _take(self) -> list[_Entry]:
        """What stands first in line, within the bounds, without those who have left it."""
        group: list[_Entry] = []
        size = 0
        while self._queue and len(group) < self._most_rows and (size < self._most_bytes or not group):
            entry = self._queue.popleft()
            self._bytes -= entry.size
            if not entry.withdrawn:
                entry.taken = True
                group.append(entry)
                size += entry.size
        return group

    def _store(self, entries: list[_Entry]) -> None:
        """Write rows of one statement; a group that is refused is halved, until the bad rows are alone."""
        if len(entries) == 1:
            self._store_alone(entries[0])
            return
        statement = entries[0].statement
        try:
            limited(self._limit(), lambda: self._store_together(statement, entries))
        except Unsuitable:
            self._unsuitable.add(statement.source)
            for entry in entries:
                self._store_alone(entry)
        except _FINAL as error:
            logger.debug("a group of %d rows failed: %s", len(entries), type(error).__name__)
            _tell(entries, partial(_copy, error))
        except BaseException as error:  # also what an adapter raises that is none: its row's caller shall have it
            logger.debug("a group of %d rows is halved after %s", len(entries), type(error).__name__)
            middle = len(entries) // 2
            self._store(entries[:middle])
            self._store(entries[middle:])
        else:
            _tell(entries, None)

    def _store_together(self, statement: Statement, entries: list[_Entry]) -> None:
        assert statement.insert is not None
        options = BulkOptions(columns=statement.insert.columns, chunk_size=len(entries))
        shapes = StatementShapes(statement.insert, statement.names)
        unit = partial(joinable_unit if self.engine.backend.calls_out else WriteUnit, self.engine)
        write = BulkWrite(self.engine, unit, lambda: True, statement.insert.table, shapes, options)
        write.run([entry.params for entry in entries])

    def _limit(self) -> TimeLimit:
        return TimeLimit(self.engine.options.statement_timeout)

    def _store_alone(self, entry: _Entry) -> None:
        """As without a group: what the row's own error is, is seen here."""
        error: BaseException | None = None
        try:
            entry.rows = limited(self._limit(), lambda: self.engine.run(entry.statement, entry.args, entry.params))
        except BaseException as reason:
            error = reason
        _tell([entry], lambda: error)


def _by_statement(group: list[_Entry]) -> Iterable[list[_Entry]]:
    first = group[0].statement
    if all(entry.statement is first for entry in group):  # as mostly; the plan cache gives one for one text
        return (group,)
    found: dict[str, list[_Entry]] = {}
    for entry in group:
        found.setdefault(entry.statement.source, []).append(entry)
    return found.values()


def _copy(error: Error) -> Error:
    """An error for one caller of several, who each give it a traceback of their own."""
    copied = copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _wake(loop: asyncio.AbstractEventLoop, waiting: "deque[asyncio.Future[None]]") -> None:
    """Wake tasks, some in each round of their loop: between rounds it lets other threads run, such as the one that
    writes the next group and else would wait for all of these."""
    for _ in range(min(len(waiting), AT_ONCE)):
        answer(waiting.popleft(), None)
    if waiting:
        loop.call_soon(_wake, loop, waiting)


def _tell(entries: Iterable[_Entry], error: Callable[[], BaseException | None] | None) -> None:
    """Tell the callers, each of an error of his own; those of one event loop together, for each message wakes it."""
    by_loop: dict[asyncio.AbstractEventLoop, deque[asyncio.Future[None]]] = defaultdict(deque)
    for entry in entries:
        if error is not None:
            entry.error = error()
        if entry.gate is not None:
            entry.gate.release()
        elif entry.future is not None:
            by_loop[entry.future.get_loop()].append(entry.future)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(_wake, loop, waiting)


_all: "weakref.WeakSet[Groups]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """What waits is the parent's to write."""
    for groups in list(_all):
        groups._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
