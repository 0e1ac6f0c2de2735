"""How transactions are begun and ended: by a block, or by BEGIN and COMMIT given as strings."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from nexusql.connection import Connection
from nexusql.current import open_in, set_open
from nexusql.engine import Engine
from nexusql.errors import ProgrammingError
from nexusql.jobs import belongs_to_caller, run_job
from nexusql.results import Rows
from nexusql.sql.statement import Control
from nexusql.transaction import Transaction

logger = logging.getLogger("nexusql.transaction")

ISOLATION_LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class TransactionBlock:
    """What `transaction()` gives: `with` and `async with`; inside an open transaction it is a savepoint."""

    def __init__(
        self,
        engine: Engine,
        isolation: str | None = None,
        read_only: bool = False,
        allow_ddl: bool = False,
        outer: Transaction | None = None,
    ) -> None:
        if isolation is not None:
            isolation = isolation.upper().replace("_", " ")
            levels = (*ISOLATION_LEVELS, *engine.capabilities.further_isolation)
            if isolation not in levels:
                raise ProgrammingError(f"isolation is one of {', '.join(levels)}, not {isolation!r}")
        self._engine = engine
        self._options = (isolation, read_only)
        self._allow_ddl = allow_ddl
        self._outer = outer
        self._transaction: Transaction | None = None
        self._savepoint: str | None = None

    def __enter__(self) -> Transaction:
        if self._transaction is not None:
            raise ProgrammingError("a transaction block can be entered once; call transaction() again")
        outer = self._outer or open_in(self._engine)
        if outer is not None:
            if self._options != (None, False):
                raise ProgrammingError("isolation and read_only belong to the outermost block; this one is a savepoint")
            self._savepoint = outer.enter_nested()
            self._transaction = outer
            return outer
        isolation, read_only = self._options
        transaction = Transaction(self._engine, _nested, isolation, read_only, allow_ddl=self._allow_ddl)
        transaction.start()
        self._transaction = transaction
        set_open(self._engine, transaction)
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transaction = self._transaction
        assert transaction is not None
        if self._savepoint is not None:
            transaction.leave_nested(self._savepoint, failed=kind is not None)
            return
        if open_in(self._engine) is transaction:
            set_open(self._engine, None)
        if transaction._pid != os.getpid():
            return
        if kind is None:
            transaction.commit()
        elif transaction.is_open:
            transaction.rollback()

    async def __aenter__(self) -> Transaction:
        return await run_job(self._engine, self.__enter__, within=self._outer, undo=self._leave_at_once)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await run_job(self._engine, self.__exit__, kind, error, trace, within=self._transaction, firm=True)

    def _leave_at_once(self) -> None:
        """The task was cancelled while the block was being entered."""
        if self._transaction is not None:
            self.__exit__(asyncio.CancelledError, None, None)


def _nested(outer: Transaction) -> TransactionBlock:
    return TransactionBlock(outer.engine, outer=outer)


@contextmanager
def joinable_unit(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction of its own, in which whoever's code runs meanwhile takes part."""
    with TransactionBlock(engine) as transaction, transaction.unit(savepoint=False) as connection:
        yield connection


def control_by_string(engine: Engine, control: Control) -> Rows:
    """What `execute("BEGIN")` and the other transaction strings do outside a transaction."""
    if control.action == "begin":
        transaction = Transaction(engine, _nested, control.isolation, control.read_only, control.mode)
        transaction.by_string = True
        transaction.start()
        set_open(engine, transaction)
        belongs_to_caller(transaction)
    else:
        logger.warning("%s outside a transaction has no effect", control.action.upper().replace("_", " "))
    return Rows()
