"""What `DatabaseManager.migrate` does when an application starts: the packaged schema, then the application's own.

Many processes may start at once. While one of them migrates, each of the others has one connection.
"""

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nexusql.backends.migrating import migrating
from nexusql.errors import ConfigError
from nexusql.migrations.lock import Patience, when_not_full
from nexusql.migrations.place import Check, nothing_to_check
from nexusql.migrations.runner import Applied, MigrationRunner
from nexusql.migrations.session import FULL_SERVER_TIMEOUT

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager

logger = logging.getLogger("nexusql.migrations")

# One thread or task of a manager at a time: another must not find it disconnected.
_turns: "WeakKeyDictionary[DatabaseManager, threading.Lock]" = WeakKeyDictionary()
_guard = threading.Lock()


def migrate(database: "DatabaseManager", paths: Sequence[str | Path], *, apply_schema: bool) -> None:
    """Connect if need be, and apply what is pending. Raises MigrationError, what connecting raises, and ConfigError for
    one path in place of several."""
    if isinstance(paths, (str, os.PathLike)):
        raise ConfigError(f"the folders of migrations are a list, not one {type(paths).__name__}: [{str(paths)!r}]")
    runners = [MigrationRunner(database)] if apply_schema else []
    for path in map(Path, paths):
        if path.is_dir():
            runners.append(MigrationRunner(database, path))
        else:
            logger.warning("no migration folder at %s", path)
    apply(database, runners)


def apply(database: "DatabaseManager", runners: Sequence[MigrationRunner], to: str | None = None) -> list[Applied]:
    """Connect if need be, and apply what is pending in each of several folders, under one lock; what was run.

    Whoever has to wait long, and was not connected before, disconnects for a moment now and then: else those who wait
    could fill the server, and the one that has the lock would have no second connection for its work.
    """
    with _guard:
        turn = _turns.setdefault(database, threading.Lock())
    with turn:
        return _apply_in_turn(database, runners, to)


def _apply_in_turn(database: "DatabaseManager", runners: Sequence[MigrationRunner], to: str | None) -> list[Applied]:
    keep = database._connection is not None
    patience = Patience(max((runner.lock_timeout for runner in runners), default=0.0))
    while True:
        _connect(database)
        if not any(runner.has_work(to) for runner in runners):
            return []
        lock = runners[0].lock()
        if lock is None:
            return _apply(runners, nothing_to_check, to)
        try:
            needed = lock.acquire(
                patience,
                lambda session: any(runner.needs(session, to) for runner in runners),
                keep_connection=keep,
            )
            if needed is not None:
                return _apply(runners, lock.check, to) if needed else []
        finally:
            lock.release()
        database.disconnect()
        patience.rest(lambda: "another process is migrating")


def _apply(runners: Sequence[MigrationRunner], check: Check, to: str | None) -> list[Applied]:
    return [applied for runner in runners for applied in runner.apply_pending(check, to)]


def _connect(database: "DatabaseManager") -> None:
    lock = migrating(database.config.database_type).lock
    codes = lock.too_many_connections if lock is not None else frozenset[int | str]()
    when_not_full(lambda: database.connect(raise_errors=True), codes, Patience(FULL_SERVER_TIMEOUT))


def _renew_after_fork() -> None:
    """A turn that another thread had at the fork would never end in the child."""
    global _guard
    _guard = threading.Lock()
    _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
