"""One connection for a whole migration file, so that what a script sets in its session holds to the script's end."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nexusql.backends.base import Status
from nexusql.backends.migrating import Migrating, migrating
from nexusql.connection import Connection
from nexusql.current import open_in
from nexusql.engine import Engine, Params
from nexusql.errors import Error, LockTimeout, MigrationError, MigrationLocked, PoolTimeout
from nexusql.leases import Holder
from nexusql.migrations.script import Piece
from nexusql.results import Rows
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.statement import Statement

logger = logging.getLogger("nexusql.migrations")

SAY_AGAIN = 5.0  # seconds between two messages about the same wait
FULL_SERVER_TIMEOUT = 60.0  # seconds to wait for a server that has too many connections
PATIENCE = 1.0  # seconds to wait for a connection of the pool
HURRY = 0.02  # seconds between two attempts to connect


class Session:
    """A leased connection. Statements commit at once, except between `begin` and `commit`."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self.engine = engine
        self.connection = connection
        self.syntax = engine.backend.syntax
        self.database: Migrating = migrating(engine.config.database_type)

    def prepare(self, sql: str) -> Statement:
        """The plan of a statement of a script, which has no parameters. Raises what reading and translating raise."""
        statement, _ = self.engine.prepare(sql, None, self.connection.modes)
        return statement

    def run(self, sql: str, params: Params = None) -> Rows:
        """Run one statement of canonical SQL."""
        statement, args = self.engine.prepare(sql, params, self.connection.modes)
        return self.engine.run_on(self.connection, statement, args, params)

    def run_piece(self, piece: Piece) -> Rows:
        """Run one statement of a script; a savepoint's in the words of this database."""
        statement = self.prepare(piece.text)
        control = statement.control
        if control is not None and control.action in ("savepoint", "rollback_to", "release"):
            getattr(self.connection, control.action)(control.name)
            return Rows()
        if piece.accepts_loss:
            statement = replace(statement, notes=())
        return self.engine.run_on(self.connection, statement, self.engine.backend.no_args, None)

    def native(self, text: str, args: Sequence[Any] | None = None) -> Rows:
        """Run driver text as it stands, outside all that nexusql knows of settings."""
        return self.connection.run(Statement(text, text), args or self.engine.backend.no_args)

    def values(self, text: str, args: Sequence[Any] | None = None) -> list[Any]:
        """The first column of what driver text gives."""
        return [next(iter(row.values())) for row in self.native(text, args)]

    def quoted(self, name: str) -> str:
        """A name as an identifier of this database."""
        return quote_identifier(name, self.syntax)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        return self.connection.status() in (Status.ACTIVE, Status.FAILED)

    def commit(self) -> None:
        """Commit."""
        self.connection.commit()

    def rollback(self) -> None:
        """Roll back what is open; a lost connection has nothing open."""
        if self.in_transaction:
            self.connection.rollback()

    @contextmanager
    def transaction(self, timeout: float = 0.0) -> Iterator[None]:
        """A transaction that commits at the end, and rolls back on an error; `begin_patiently` starts it."""
        self.begin_patiently(timeout)
        try:
            yield
            self.commit()
        except BaseException:
            self.roll_back_quietly()
            raise

    def roll_back_quietly(self) -> None:
        """Roll back; where even that fails, say so: the error that led here is the one to be raised."""
        try:
            self.rollback()
        except Error as error:  # the pool closes the connection, which rolls back too
            logger.warning("rollback failed, the connection is closed: %s", type(error).__name__)

    def begin_patiently(self, timeout: float) -> None:
        """Start a transaction that may write. Where another process keeps a file's lock, it is waited for, beyond the
        busy time-out at most `timeout` seconds. Raises MigrationLocked in the end."""
        started = time.monotonic()
        said = started
        while True:
            try:
                self.connection.begin(None, False, self.database.begin_mode)
                return
            except LockTimeout as error:
                now = time.monotonic()
                if now - started >= timeout:
                    raise MigrationLocked(
                        f"another process has kept the database's write lock for {timeout:g} s; nothing was changed"
                    ) from error
                if now - said >= SAY_AGAIN or said == started:
                    logger.info("waiting for another process that writes to this database (%.0f s)", now - started)
                    said = now


@contextmanager
def session(engine: Engine, *, writes: bool = True, lock_timeout: float | None = None) -> Iterator[Session]:
    """A session of the pool; with `lock_timeout`, its waits for locks of tables are bounded by that many seconds.

    Raises MigrationError inside an open transaction: migrations make their own.
    """
    if open_in(engine) is not None:
        raise MigrationError("migrations run in transactions of their own; leave the open one first")
    writer = engine.writer if writes else None
    if writer is not None:
        writer.acquire()
    try:
        connection, give_back = _connection(engine)
        try:
            leased = Session(engine, connection)
            text = leased.database.lock_timeout
            if lock_timeout is not None and text is not None:
                seconds = max(1, round(lock_timeout))
                connection.needs_reset = True
                leased.native(text.format(seconds=seconds, milliseconds=max(1, round(lock_timeout * 1000))))
            yield leased
        finally:
            engine.forget_tables()
            give_back()
    finally:
        if writer is not None:
            writer.release()


def _connection(engine: Engine) -> tuple[Connection, Callable[[], None]]:
    """A connection, and what gives it back: the pool's; where a full server has no more for that, one that is asked for
    more often than those who wait ask, for they wait for whoever is here."""
    lock = migrating(engine.config.database_type).lock
    if lock is None:
        leased = engine.lease(Holder("a migration"))
        return leased, lambda: engine.pool.release(leased)
    try:
        borrowed = engine.pool.acquire(PATIENCE, holder=Holder("a migration"))
        return borrowed, lambda: engine.pool.release(borrowed)
    except PoolTimeout as error:
        logger.debug("a connection beside the pool is opened: %s", error)
    started = time.monotonic()
    while True:
        try:
            own = Connection.open(engine.backend, engine.config, engine.options.connect_timeout)
            return own, own.close
        except Error as error:
            if error.code not in lock.too_many_connections or time.monotonic() - started > FULL_SERVER_TIMEOUT:
                raise
        time.sleep(HURRY)
