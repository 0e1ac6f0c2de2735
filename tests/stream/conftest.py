"""A database with something to read."""

import pytest

from nexusql import DatabaseManager
from stream_tables import fill


@pytest.fixture
def numbers(db: DatabaseManager) -> DatabaseManager:
    """A manager on a database with the table `numbers`."""
    fill(db)
    return db
