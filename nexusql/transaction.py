"""Transactions: who owns a connection while work is open, and how it ends.

The open transaction of each manager is held in a context variable, so threads and tasks never share one by accident,
while a task started inside a block inherits it.
"""

import logging
import os
import threading
import warnings
from asyncio import Task
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from nexusql.backends.base import Extend, Status
from nexusql.backends.errors import without_frames
from nexusql.calls import Calls
from nexusql.connection import Connection
from nexusql.engine import Engine, Params
from nexusql.errors import (
    Error,
    NotSupportedError,
    ProgrammingError,
    TransactionAborted,
    TransactionClosed,
    TransactionWarning,
)
from nexusql.interrupts import TimeLimit, check_interrupted, current_call, limited, using
from nexusql.leases import Holder
from nexusql.models import builder, keep_rows
from nexusql.results import Rows
from nexusql.sql.statement import Control, Effect, Statement
from nexusql.stream import InTransaction, OpenStreams, Plan, Source
from nexusql.units import begun, ended_behind, learn_from, roll_back_rest
from nexusql.workers import Slot, responsible

if TYPE_CHECKING:
    from nexusql.blocks import TransactionBlock

logger = logging.getLogger("nexusql.transaction")

T = TypeVar("T")

RESERVED = "nexusql_"  # how the names of nested blocks' savepoints begin


class Transaction(Calls):
    """An open transaction on one connection; gives the same calls as the manager, from any thread or context.

    Statements of several threads or tasks take turns. After the end every call raises TransactionClosed; after an error
    by which the server itself has rolled back, every call raises TransactionAborted with that reason.
    """

    def __init__(
        self,
        engine: Engine,
        nest: "Callable[[Transaction], TransactionBlock]",
        isolation: str | None,
        read_only: bool,
        mode: str = "",
        allow_ddl: bool = False,
    ) -> None:
        self._engine = engine
        self._nest = nest
        self._begin = (isolation, read_only, mode)
        self._allow_ddl = allow_ddl
        self._connection: Connection | None = None
        self._turn = threading.RLock()
        self.owner = responsible()
        self._pid = os.getpid()
        self._savepoints = 0
        self._nested: list[tuple[str, Error | None]] = []  # savepoints of the open blocks, `failure` outside of each
        # Savepoints made by strings: `failure` and the number of open blocks at each.
        self._named: dict[str, tuple[Error | None, int]] = {}
        self._gone: set[str] = set()  # savepoints of open blocks that were rolled back past
        self.streams = OpenStreams(engine.config)
        self._ddl = False
        self._closed = ""
        self._doom: Error | None = None
        self._writer = None if read_only else engine.writer
        self.failure: Error | None = None  # the first error of a statement in the innermost open block
        self.by_string = False
        self.orphaned = False  # the job of an executor that has begun it is over
        task = self.owner[1]
        self._holder = Holder(f"a transaction of {task.get_name()}" if isinstance(task, Task) else "a transaction")
        self._slot: Slot | None = None  # of the worker threads, where a task has begun it

    @property
    def slot(self) -> Slot | None:
        """The slot by which its calls are run in worker threads; None where it was begun without one."""
        return self._slot

    def hand_over(self, slot: Slot, thread: int) -> None:
        """Have a slot, to be given back at the end: begun in a worker thread, it now belongs to a task of `thread`."""
        self._slot = slot
        self._belongs_to(thread)

    def _belongs_to(self, thread: int) -> None:
        """Which thread must go on for the connection, and on SQLite the writer's turn, to come free."""
        self._holder.thread = thread
        if self._writer is not None:
            self._writer.belongs_to(thread)

    def start(self) -> None:
        """Lease a connection and begin on it."""
        try:
            self._connection = begun(self._engine, self._holder, *self._begin)
        except BaseException:
            self._closed = "it could not be begun"
            raise

    @overload
    def execute(self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None) -> Rows: ...
    @overload
    def execute(self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None) -> Rows[T]: ...
    def execute(self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None) -> Rows[Any]:
        """Run one statement in this transaction; see DatabaseManager.execute."""
        limit = self._engine.options.statement_timeout if timeout is None else timeout
        if limit is not None:
            return limited(limit, lambda: self._execute(sql, params, into))
        return self._execute(sql, params, into)

    def _execute_within(self, limit: TimeLimit, sql: str, params: Params, into: Any) -> Rows[Any]:
        if limit.seconds is None:
            return self.execute(sql, params, into=into)
        return limited(limit, lambda: self._execute(sql, params, into))

    def _execute(self, sql: str, params: Params, into: Any) -> Rows[Any]:
        build = None if into is None else builder(into).build
        call = current_call.get()
        with self._turn:
            statement, args = self.prepare(sql, params)
            if statement.control is not None:
                return self._control(statement.control)
            connection = self._usable()
            try:
                if call is not None:
                    call.enter(connection)
                rows = self._run(connection, statement, args, params, None if build is None else keep_rows)
            except Error as error:
                self._failed(connection, error)
                raise
            finally:
                if call is not None:
                    call.leave()
        return rows if build is None else build(rows, sql)  # after the turn: the class's own code may run statements

    def _execute_each(self, sql: str, rows: Iterable[Params]) -> int:
        total = 0
        with self._unit() as connection:
            for index, params in enumerate(rows):
                check_interrupted()
                statement, args = self._engine.prepare_row(index, sql, params, connection.modes)
                if statement.control is not None:
                    raise ProgrammingError(f"{statement.verb} is not a statement to be run for many rows")
                total += self._run(self._usable(), statement, args, params).rowcount
        return total

    def _running(self) -> Engine:
        return self._engine

    def _ask(self, question: Callable[[Connection], T]) -> T:
        with self._turn, using(self._usable()):
            return question(self._leased())

    def _commits_at_once(self) -> bool:
        return False

    def _unit(self) -> AbstractContextManager[Connection]:
        return self.unit()

    def _stands(self) -> bool:
        return self.is_open and self._doom is None and self._leased().status() is Status.ACTIVE

    @contextmanager
    def unit(self, *, savepoint: bool = True) -> Iterator[Connection]:
        """The connection, for one thread, with a savepoint to which an error goes back; without one where the whole
        transaction is one unit."""
        with self._turn:
            name = self.enter_nested(anyone=True) if savepoint else None
            connection = self._usable()
            try:
                with using(connection):
                    yield connection
            except BaseException as error:
                if isinstance(error, Error):
                    self._failed(connection, error)
                if name is not None:
                    self.leave_nested(name, failed=True)
                raise
            if name is not None:
                self.leave_nested(name, failed=False)

    def prepare(self, sql: str, params: Params) -> Plan:
        """The plan of a statement and its arguments, by the modes of this session."""
        with self._turn:
            self._refuse_closed()
            return self._engine.prepare(sql, params, self._leased().modes)

    @contextmanager
    def turn(self, *, opening: bool = False, firm: bool = False) -> Iterator[Connection]:
        """The connection, for a step of a stream while nobody else uses it; `opening` the stream runs a statement, and
        a `firm` step is not cancelled."""
        with self._turn:
            connection = self._usable() if opening else self._sound()
            try:
                with using(connection, firm=firm):
                    yield connection
            except Error as error:
                self._failed(connection, error)
                raise

    def _source(self) -> Source:
        return InTransaction(self)

    @property
    def engine(self) -> Engine:
        """The engine this transaction belongs to."""
        return self._engine

    @property
    def is_open(self) -> bool:
        """True until it has been committed or rolled back; in a forked child it is not open, the parent has it."""
        return not self._closed and self._pid == os.getpid()

    def commit(self) -> None:
        """Commit and give the connection back. Raises TransactionAborted where that is no longer possible."""
        with self._turn:
            self._refuse_closed()
            connection = self._leased()
            failure = self.failure
            how = "its commit failed"
            self._belongs_to(threading.get_ident())
            try:
                check_interrupted()
                with using(connection, firm=True):
                    self.streams.end(connection)
                    self._usable().commit()
                how = "it has been committed"
            except TransactionAborted as error:
                if self._doom is None:
                    raise error from failure
                raise
            finally:
                self._end(connection, how)

    def rollback(self) -> None:
        """Roll back and give the connection back; of a broken connection nothing is left to roll back."""
        with self._turn:
            self._refuse_closed()
            self._belongs_to(threading.get_ident())
            self._end(self._leased(), "it has been rolled back")

    def transaction(self) -> "TransactionBlock":
        """A nested block: `with` and `async with`; undone alone when it fails."""
        return self._nest(self)

    def enter_nested(self, *, anyone: bool = False) -> str:
        """Set the savepoint of a nested block; gives its name. The block is the owner's, or that of `anyone` who keeps
        the turn to its end."""
        with self._turn:
            connection = self._usable()
            if not anyone and None not in (self.owner[1], responsible()[1]) and self.owner[1] is not responsible()[1]:
                raise ProgrammingError(
                    "a nested block was opened in another task than the one that owns the transaction; open it in the "
                    "owner, or step out with db.detached() and begin a transaction of your own"
                )
            self._savepoints += 1
            name = f"{RESERVED}{self._savepoints}"
            try:
                with using(connection):
                    connection.savepoint(name)
            except Error as error:
                self._failed(connection, error)
                raise
            self._nested.append((name, self.failure))
            self.streams.mark(name)
            self.failure = None
            return name

    def leave_nested(self, savepoint: str, *, failed: bool) -> None:
        """Release a nested block's savepoint, or undo the block. Raises TransactionAborted where a statement in it had
        failed, was swallowed, and the server will not go on."""
        with self._turn:
            if failed and (self._closed or self._doom is not None):
                return
            self._refuse_closed()
            with using(self._leased(), firm=True):
                self.streams.end(self._leased(), savepoint)
            connection = self._usable()
            aborted = connection.status() is Status.FAILED
            innermost, outside = self._nested.pop()
            inside, self.failure = self.failure, outside
            try:
                if innermost != savepoint:
                    raise ProgrammingError("nested blocks were left in another order than they were entered in reverse")
                with using(connection, firm=True):
                    if failed or aborted:
                        connection.rollback_to(savepoint)
                    if self._engine.capabilities.releases_savepoints:
                        connection.release(savepoint)
                    elif savepoint in self._gone:  # which is found out here, as there is no release to fail
                        raise ProgrammingError("a savepoint made before the nested block was rolled back to inside it")
            except Error as error:
                # What the block did can no longer be told from the rest.
                self._doom = self._doom or without_frames(error)
                self._failed(connection, error)
                if not failed:
                    raise
                return
            if aborted and not failed:
                raise TransactionAborted("the nested block was undone: a statement in it failed") from inside
            if not failed:
                self.failure = outside or inside

    def _refuse_closed(self) -> None:
        if self._closed:
            raise TransactionClosed(f"the transaction is closed: {self._closed}")
        if self._pid != os.getpid():
            raise TransactionClosed("this transaction belongs to the parent process; begin one of your own")

    def _usable(self) -> Connection:
        """The connection, when it can run a statement."""
        self._refuse_closed()
        self.streams.settle(self._leased())
        return self._sound()

    def _sound(self) -> Connection:
        self._refuse_closed()
        connection = self._leased()
        if self._doom is None and connection.status() is Status.IDLE:  # a statement now would commit by itself
            self._doom = ended_behind()
        if self._doom is not None:
            raise TransactionAborted(f"the transaction cannot go on: {self._doom}") from self._doom
        return connection

    def _leased(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _failed(self, connection: Connection, error: Error) -> None:
        """Remember what a failed statement means for the transaction."""
        learn_from(error, self._engine, connection)
        kept = without_frames(error)
        self.failure = self.failure or kept
        if connection.broken or self._engine.backend.dooms(error) or connection.status() is Status.IDLE:
            self._doom = self._doom or kept

    def _run(
        self,
        connection: Connection,
        statement: Statement,
        args: Sequence[Any] | None,
        params: Params,
        extend: Extend | None = None,
    ) -> Rows:
        if statement.effects & Effect.DDL:
            self._ddl = True
            # Making and dropping temporary tables commits nothing anywhere.
            temporary = statement.effects & Effect.SESSION and statement.verb in ("CREATE", "DROP")
            if not (temporary or self._engine.capabilities.transactional_ddl):
                return self._implicit_commit(connection, statement, args, params)
        rows = self._engine.run_on(connection, statement, args, params, extend)
        if not statement.reads and connection.status() is Status.IDLE:
            raise ended_behind(statement.verb)
        return rows

    def _implicit_commit(
        self, connection: Connection, statement: Statement, args: Sequence[Any] | None, params: Params
    ) -> Rows:
        """DDL where the database commits before it: refused, or by the caller's leave followed by a new transaction."""
        if not self._allow_ddl:
            raise NotSupportedError(
                f"{statement.verb} commits the open transaction on this database; run it outside, or begin with "
                "transaction(allow_ddl=True), which commits what came before and goes on in a new transaction"
            )
        if self._nested:
            raise NotSupportedError(f"{statement.verb} in a nested block commits what the block could then not undo")
        self._named.clear()
        with using(connection, firm=True):
            connection.commit()
        try:
            return self._engine.run_on(connection, statement, args, params)
        finally:
            connection.begin(*self._begin)

    def _control(self, control: Control) -> Rows:
        """A transaction statement given as a string."""
        action = control.action
        if action == "begin":
            raise ProgrammingError("a transaction is already open; SAVEPOINT or a nested block opens one inside it")
        if action in ("commit", "rollback") and (self._nested or not self.by_string):
            raise ProgrammingError(f"{action.upper()} would end a transaction inside a `with` block; leave the block")
        if action == "commit":
            self.commit()
        elif action == "rollback":
            self.rollback()
        else:
            self._savepoint_by_string(control)
        return Rows()

    def _savepoint_by_string(self, control: Control) -> None:
        connection = self._usable()
        plain_name = control.name.strip("\"'`[]").lower()
        if plain_name.startswith(RESERVED):
            raise ProgrammingError(f"savepoints whose names begin with {RESERVED} belong to nested blocks")
        try:
            with using(connection, firm=control.action == "rollback_to"):
                if control.action == "savepoint":
                    connection.savepoint(control.name)
                    self.streams.mark(plain_name)
                    self._named[plain_name] = (self.failure, len(self._nested))
                elif control.action == "rollback_to":
                    self.streams.end(connection, plain_name)
                    connection.rollback_to(control.name)
                    self.failure, blocks = self._named.get(plain_name, (None, len(self._nested)))
                    self._gone.update(name for name, _ in self._nested[blocks:])
                elif self._engine.capabilities.releases_savepoints:
                    connection.release(control.name)
        except Error as error:
            self._failed(connection, error)
            raise

    def _end(self, connection: Connection, how: str) -> None:
        """Roll back what is still open, and give everything back, whatever happens."""
        try:
            roll_back_rest(connection, lambda: self.streams.end(connection))
        finally:
            self._closed = how
            self._connection = None
            self.failure = self._doom = None
            if self._writer is not None:
                self._writer.release()
            if self._ddl:
                self._engine.forget_tables()
            try:
                self._engine.pool.release(connection)
            finally:
                if self._slot is not None:
                    self._slot.give_back()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is None or self._pid != os.getpid():
            return
        connection = self._leased()
        self._closed = "it was left open"
        self._connection = None
        self._engine.pool.abandon(connection)
        if self._writer is not None:
            self._writer.release()
        if self._slot is not None:
            self._slot.drop()
        warnings.warn("a transaction was left open; it has been rolled back", TransactionWarning, stacklevel=2)
