"""A database with something to read: one of each kind for all tests that leave it as it is, or one of a test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import servers
from nexusql import DatabaseManager
from stream_tables import COUNT, fill


@pytest.fixture(scope="session")
def filled() -> Iterator[Callable[[str], str]]:
    """Gives the URL of a filled database of a kind, made when it is first asked for."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def of(kind: str) -> str:
            if kind not in urls:
                urls[kind] = stack.enter_context(servers.fresh_database(kind))
                with DatabaseManager(urls[kind]) as db:
                    fill(db)
            return urls[kind]

        yield of


@pytest.fixture
def numbers(filled: Callable[[str], str], kind: str) -> Iterator[DatabaseManager]:
    """A manager on the shared database, which a test must leave as it is."""
    with DatabaseManager(filled(kind)) as db:
        yield db
        sql = "SELECT COUNT(*) AS n, SUM(i) AS s, MAX(t) AS t, (SELECT SUM(d) FROM digits) AS d FROM numbers"
        assert list(db.execute(sql)[0].values()) == [COUNT, COUNT * (COUNT - 1) // 2, "text", 45]


@pytest.fixture
def own(db: DatabaseManager) -> DatabaseManager:
    """A manager on a filled database of the test's own."""
    fill(db)
    return db
