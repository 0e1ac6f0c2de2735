"""The lock by which one process at a time migrates a database.

A server's advisory lock, on a connection of its own: it ends with that session, so that a process which is killed
leaves no lock behind. It is tried again and again instead of waited for in the server, because a session that waits
there in a statement holds up CREATE INDEX CONCURRENTLY of the one that has the lock, and both wait for ever.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nexusql.backends.migrating import AdvisoryLock
from nexusql.connection import Connection
from nexusql.engine import Engine
from nexusql.errors import Error, MigrationError, MigrationLocked
from nexusql.leases import Holder
from nexusql.migrations.session import SAY_AGAIN, Session
from nexusql.sql.statement import Statement

logger = logging.getLogger("nexusql.migrations")

T = TypeVar("T")

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 2.0
GROWTH = 2.0
KEEP_CONNECTION = 10.0

jitter = random.SystemRandom()  # forked processes must not wait in step


class Patience:
    """Waits that grow, each a random part of what it may be, until a deadline."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.started = time.monotonic()
        self._deadline = self.started + timeout
        self._pause = FIRST_PAUSE
        self._said = float("-inf")

    @property
    def waited(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._deadline

    def rest(self, reason: Callable[[], str]) -> None:
        """Sleep a while; now and then say why."""
        now = time.monotonic()
        if now - self._said >= SAY_AGAIN:
            self._said = now
            logger.info("waiting to migrate: %s (%.0f s)", reason(), self.waited)
        time.sleep(min(jitter.uniform(0.5, 1) * self._pause, max(self._deadline - now, 0)))
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)


def when_not_full(connect: Callable[[], T], codes: frozenset[int | str], patience: Patience) -> T:
    """What `connect` gives; while the server has too many connections it is asked again, until the patience ends."""
    while True:
        try:
            return connect()
        except Error as error:
            if error.code not in codes or patience.is_over:
                raise
            patience.rest(lambda: "the server has too many connections")


class MigrationLock:
    """The lock of one database. It has a connection for itself alone, and needs no other until it is granted."""

    def __init__(self, engine: Engine, lock: AdvisoryLock) -> None:
        self._engine = engine
        self._lock = lock
        self._connection: Connection | None = None
        self._key: int | str = ""

    def acquire(
        self, patience: Patience, still_needed: Callable[[Session], bool], *, keep_connection: bool = True
    ) -> bool | None:
        """Take the lock: True. False where `still_needed`, which is asked now and then, says that others have done the
        work. Without `keep_connection` None after some seconds, so that the caller can make room on a full server.

        Raises MigrationLocked when another process keeps the lock until the patience ends, MigrationError where the
        server's lock cannot be trusted.
        """
        self._connection = connection = self._open()
        until = time.monotonic() + jitter.uniform(0.5, 1) * KEEP_CONNECTION
        granted: bool | None = False
        try:
            self._learn_key(connection)
            while not (granted := self._take(connection)) and still_needed(Session(self._engine, connection)):
                if patience.is_over:
                    raise MigrationLocked(
                        f"another process is migrating this database, and not done in {patience.timeout:g} s: "
                        f"{self._holder_of(connection)}"
                    )
                if not keep_connection and time.monotonic() > until:
                    granted = None
                    break
                patience.rest(lambda: self._holder_of(connection))
        except BaseException:  # whether the lock was granted just then is unknown
            connection.needs_reset = True
            granted = False
            raise
        finally:
            if not granted:
                self._connection = None
                self._close(connection)
        logger.debug("migration lock: %s after %.1f s", granted, patience.waited)
        return granted

    def release(self) -> None:
        """Give the lock back, where it was granted; the end of its session does so too."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            self._ask(connection, self._lock.give_back, self._key)
        except Error as error:
            logger.debug("migration lock: %s", type(error).__name__)
        finally:
            self._close(connection)

    def check(self) -> None:
        """Raises MigrationLocked where the lock is gone, because its session has ended."""
        assert self._connection is not None
        try:
            held = self._ask(self._connection, self._lock.held, self._key)
        except Error as error:
            raise MigrationLocked(f"the migration lock was lost: {error}; nothing further was run") from error
        if not held or int(held[0][0] or 0) != 1:
            raise MigrationLocked("the migration lock was lost: its session no longer has it; nothing further was run")

    def describe_holder(self) -> tuple[int, str] | None:
        """The session that has the lock, by number and in words, or None."""
        connection = self._open()
        try:
            self._learn_key(connection)
            rows = self._ask(connection, self._lock.holder, self._key)
            return (int(rows[0][0]), str(rows[0][1])) if rows else None
        finally:
            self._close(connection)

    def end_holder(self, session: int) -> None:
        """End a session by its number, and its lock with it. Raises what the server says without the right to."""
        connection = self._open()
        try:
            self._ask(connection, self._lock.end_session, session)
        finally:
            self._close(connection)

    @property
    def _borrows(self) -> bool:
        """Whether the pool can spare a connection beside the one that does the work."""
        return self._engine.options.pool_max > 1

    def _open(self) -> Connection:
        engine = self._engine
        if self._borrows:
            return engine.lease(Holder("the migration lock"))
        return Connection.open(engine.backend, engine.config, engine.options.connect_timeout)

    def _close(self, connection: Connection) -> None:
        if self._borrows:
            self._engine.pool.release(connection)
        else:
            connection.close()

    def _learn_key(self, connection: Connection) -> None:
        reason = self._lock.refused(self._ask(connection, self._lock.probe))
        if reason is not None:
            raise MigrationError(
                f"{reason}, so two processes could migrate at once; run migrations from one process at a time, "
                "with locking=False (--no-lock)"
            )
        scope = self._ask(connection, self._lock.scope)[0][0]
        if scope is None:
            raise MigrationError("no schema or database is selected; name one that exists in the URL")
        self._key = self._lock.key(str(scope))

    def _take(self, connection: Connection) -> bool:
        answer = self._ask(connection, self._lock.take, self._key)[0][0]
        if answer not in (0, 1):
            raise MigrationError(f"the server neither granted nor refused the migration lock: it answered {answer!r}")
        if answer and self._ask(connection, self._lock.held, self._key)[0][0] != 1:
            raise MigrationError(
                "the migration lock was granted, and then not held: a pooler that changes sessions between statements "
                "stands between, or this engine's locks do nothing; connect to the server itself"
            )
        return bool(answer)

    def _holder_of(self, connection: Connection) -> str:
        try:
            rows = self._ask(connection, self._lock.holder, self._key)
        except Error as error:  # it is only told; a lost connection fails when the lock is asked for again
            return f"who holds the lock is not to be found out ({type(error).__name__})"
        return f"the lock is held by {rows[0][1]}" if rows else "the lock has just been given back"

    def _ask(self, connection: Connection, text: str, *args: Any) -> Sequence[Sequence[Any]]:
        return [tuple(row.values()) for row in connection.run(Statement(text, text), args or None)]
