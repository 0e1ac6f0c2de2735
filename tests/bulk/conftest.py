"""One database for all tests of a module: what they write is theirs to remove."""

from collections.abc import Iterator

import pytest

import servers
from bulking import opened
from nexusql import DatabaseManager


@pytest.fixture(scope="module", params=servers.KINDS)
def shared(request: pytest.FixtureRequest) -> Iterator[DatabaseManager]:
    """A connected manager on each kind of database."""
    with opened(request.param) as db:
        yield db


@pytest.fixture(scope="module")
def postgresql() -> Iterator[DatabaseManager]:
    """The same on PostgreSQL alone."""
    with opened("postgresql") as db:
        yield db


@pytest.fixture(scope="module")
def mysql() -> Iterator[DatabaseManager]:
    """The same on MySQL alone."""
    with opened("mysql") as db:
        yield db


@pytest.fixture(scope="module")
def sqlite() -> Iterator[DatabaseManager]:
    """The same on SQLite alone."""
    with opened("sqlite") as db:
        yield db
