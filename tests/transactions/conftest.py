"""A journal to write to, and a way to see it from outside the transaction."""

from collections.abc import Callable

import pytest

from nexusql import DatabaseManager

Seen = Callable[[], list[int]]


@pytest.fixture
def journal(db: DatabaseManager) -> DatabaseManager:
    """A manager on a database with a table `journal (v)`."""
    db.execute("CREATE TABLE journal (v INTEGER PRIMARY KEY)")
    return db


@pytest.fixture
def seen(journal: DatabaseManager) -> Seen:
    """What another connection sees in the journal."""

    def read() -> list[int]:
        with journal.detached():
            return [row["v"] for row in journal.execute("SELECT v FROM journal ORDER BY v")]

    return read
