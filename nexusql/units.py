"""What a transaction does with its connection, and the transaction of one write, which nobody else can join."""

import logging
from collections.abc import Callable
from types import TracebackType

from nexusql.backends.base import Status
from nexusql.connection import Connection
from nexusql.engine import Engine
from nexusql.errors import Error, ProgrammingError, TransactionAborted
from nexusql.interrupts import check_interrupted, using
from nexusql.leases import Holder

logger = logging.getLogger("nexusql.transaction")


def begun(engine: Engine, holder: Holder, isolation: str | None, read_only: bool, mode: str) -> Connection:
    """Lease a connection and begin on it; who writes has the writer's turn first, where the database has one."""
    writer = None if read_only else engine.writer
    if writer is not None:
        writer.acquire()
    try:
        connection = engine.lease(holder)
        try:
            with using(connection):
                connection.begin(isolation, read_only, mode)
        except BaseException:
            engine.pool.discard(connection)
            raise
    except BaseException:
        if writer is not None:
            writer.release()
        raise
    return connection


def roll_back_rest(connection: Connection, first: Callable[[], object] | None = None) -> None:
    """Roll back what is still open, `first` that which is in the way; the pool closes a connection on which that fails,
    which rolls back too."""
    try:
        with using(connection, firm=True):
            if first is not None:
                first()
            if connection.status() in (Status.ACTIVE, Status.FAILED):
                connection.rollback()
    except Error as error:
        logger.warning("rollback failed, the connection is closed: %s", type(error).__name__)


def learn_from(error: Error, engine: Engine, connection: Connection) -> None:
    """What the failure of a statement tells of other connections and of remembered tables."""
    if connection.broken:
        engine.pool.suspect_all()
    engine.doubts_types(error)


def ended_behind(verb: str = "a statement") -> ProgrammingError:
    """The error for a statement after which no transaction is open."""
    return ProgrammingError(
        f"{verb} has ended the open transaction behind nexusql's back: what came before may be stored"
    )


class WriteUnit:
    """A connection in a transaction of its own: kept as a whole, or undone.

    For a write in which nobody's code runs but nexusql's, and so could find the transaction and take part in it. That
    leaves less to be done than by a transaction block.
    """

    __slots__ = ("_connection", "_engine", "_using")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Connection:
        self._connection = begun(self._engine, Holder("a bulk write"), None, False, "")
        self._using = using(self._connection)
        try:
            self._using.__enter__()
        except BaseException:
            self._end()
            raise
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            self._using.__exit__(kind, error, trace)
            if isinstance(error, Error):
                learn_from(error, self._engine, connection)
            elif error is None:
                check_interrupted()
                with using(connection, firm=True):
                    if connection.status() is Status.IDLE:
                        doom = ended_behind()
                        raise TransactionAborted(f"the transaction cannot go on: {doom}") from doom
                    connection.commit()
        finally:
            self._end()

    def _end(self) -> None:
        engine = self._engine
        try:
            roll_back_rest(self._connection)
        finally:
            if engine.writer is not None:
                engine.writer.release()
            engine.pool.release(self._connection)
