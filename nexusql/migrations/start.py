"""What `DatabaseManager.migrate` does when an application starts: the packaged schema, then the application's own.

Many processes may start at once. While one of them migrates, the others keep no connection, as the lock has it.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nexusql.backends.migrating import migrating
from nexusql.migrations.lock import Patience, when_not_full
from nexusql.migrations.runner import MigrationRunner

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager

logger = logging.getLogger("nexusql.migrations")

FULL_SERVER_TIMEOUT = 60.0  # seconds to wait for a server that has too many connections


def migrate(database: "DatabaseManager", paths: Sequence[str | Path], *, apply_schema: bool) -> None:
    """Connect if need be, and apply what is pending. Raises MigrationError, and what connecting raises."""
    was_connected = database._connection is not None
    _connect(database)
    runners = [MigrationRunner(database)] if apply_schema else []
    for path in map(Path, paths):
        if path.is_dir():
            runners.append(MigrationRunner(database, path))
        else:
            logger.warning("no migration folder at %s", path)
    if not any(runner.has_work() for runner in runners):
        return
    lock = runners[0].lock()
    if lock is not None and not was_connected:
        database.disconnect()
    with lock or nullcontext():
        _connect(database)
        for runner in runners:
            runner.apply_pending(lock.check if lock else _nothing)


def _connect(database: "DatabaseManager") -> None:
    lock = migrating(database.config.database_type).lock
    codes = lock.too_many_connections if lock is not None else frozenset[int | str]()
    when_not_full(lambda: database.connect(raise_errors=True), codes, Patience(FULL_SERVER_TIMEOUT))


def _nothing() -> None:
    """Without a lock there is none to lose."""
