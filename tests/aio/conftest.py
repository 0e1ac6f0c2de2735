"""An async manager for a test, made where no event loop runs; and a database with a journal."""

from collections.abc import Iterator
from typing import Any

import pytest

from loops import Make
from nexusql import AsyncDatabaseManager, DatabaseManager
from settling import in_use


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes connected managers on one database, with `journal (v)` in it; whatever they leave behind fails the test."""
    made: list[AsyncDatabaseManager] = []
    with DatabaseManager(database_url) as db:
        db.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY, w INTEGER)")

    def connected(**options: Any) -> AsyncDatabaseManager:
        manager = AsyncDatabaseManager(database_url, **options)
        manager.sync.connect(raise_errors=True)
        made.append(manager)
        return manager

    yield connected
    for manager in made:
        engine = manager.sync._connection
        if engine is not None:
            left = in_use(manager.sync)
            manager.sync.disconnect()
            assert left == 0, f"{left} connections were not returned"


@pytest.fixture
def adb(make: Make) -> AsyncDatabaseManager:
    """One of them, with the usual options."""
    return make()
