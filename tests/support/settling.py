"""Waiting for what a pool does in the background."""

import time

from nexusql import DatabaseManager


def in_use(db: DatabaseManager) -> int:
    """Connections in use, once the pool has replaced what it closed: one that is being opened counts as in use."""
    assert db._connection is not None
    pool = db._connection.pool
    deadline = time.monotonic() + 5
    while pool.stats().active and time.monotonic() < deadline:
        time.sleep(0.01)
    return pool.stats().active
