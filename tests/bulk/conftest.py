"""One database for all tests of a module: what they write is theirs to remove."""

import os
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


@pytest.fixture(scope="module")
def role(postgresql: DatabaseManager) -> Iterator[str]:
    """A role without rights of its own."""
    name = f"nx_role_{os.getpid()}"
    schema = postgresql.fetch_value("SELECT current_schema()")
    postgresql.execute(f"CREATE ROLE {name}")
    postgresql.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    yield name
    postgresql.execute(f"DROP OWNED BY {name}")
    postgresql.execute(f"DROP ROLE {name}")
