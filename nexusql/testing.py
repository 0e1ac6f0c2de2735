"""Fixtures for tests of code that uses nexusql: a pytest plugin, loaded by its entry point.

The database is that of `--nexusql-url`, of the environment's `NEXUSQL_TEST_URL`, or a SQLite file in `tmp_path`. Errors
are those of nexusql.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nexusql.events import Event
    from nexusql.manager import DatabaseManager
    from nexusql.transaction import Transaction

__all__ = ["QueryCounter", "nexusql_db", "nexusql_queries", "nexusql_tx", "nexusql_url", "truncate"]


class QueryCounter:
    """An observer that keeps the statements that were run, bulk writes too; not what begins and ends transactions."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, event: "Event") -> None:
        if event.sql or event.table:
            self.statements.append(event.sql or f"{event.operation} {event.table}")

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.statements)

    @contextmanager
    def expect(self, count: int) -> Iterator[None]:
        """Fail where what is done inside does not run exactly so many statements; the failure shows them."""
        before = self.count
        yield
        found = self.statements[before:]
        if len(found) != count:
            shown = "\n".join(f"  {number}. {' '.join(text.split())}" for number, text in enumerate(found, 1))
            pytest.fail(f"{count} statements were expected, {len(found)} were run:\n{shown}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--nexusql-url`."""
    group = parser.getgroup("nexusql")
    group.addoption("--nexusql-url", metavar="URL", help="the database of the fixtures nexusql_db and nexusql_tx")


@pytest.fixture
def nexusql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of the database to test on; override it to choose another."""
    given = request.config.getoption("--nexusql-url") or os.environ.get("NEXUSQL_TEST_URL")
    return given or f"sqlite:///{tmp_path / 'nexusql.db'}?foreign_keys=on"


@pytest.fixture
def nexusql_queries() -> QueryCounter:
    """What was run on `nexusql_db` in this test."""
    return QueryCounter()


@pytest.fixture
def nexusql_db(nexusql_url: str, nexusql_queries: QueryCounter) -> "Iterator[DatabaseManager]":
    """A connected manager. What a test commits stays in a server's database: see `nexusql_tx` and `truncate`."""
    from nexusql.manager import DatabaseManager

    with DatabaseManager(nexusql_url, observers=[nexusql_queries]) as db:
        yield db


@pytest.fixture
def nexusql_tx(nexusql_db: "DatabaseManager") -> "Iterator[Transaction]":
    """A transaction that is rolled back after the test; what calls of `nexusql_db` do meanwhile is part of it."""
    with suppress(_RollBack), nexusql_db.transaction() as transaction:
        yield transaction
        raise _RollBack


class _RollBack(Exception):
    """Ends a block without keeping what it has done."""


def truncate(db: "DatabaseManager", *tables: str) -> None:
    """Remove all rows of some tables, together, whatever refers to what among them.

    Raises ForeignKeyViolation where a row of another table refers to one of them.
    """
    from nexusql.errors import ForeignKeyViolation

    with db.transaction() as transaction:
        left: Sequence[str] = tables
        while left:
            refused = []
            for table in left:
                try:
                    with transaction.transaction():
                        transaction.execute(f"DELETE FROM {table}")
                except ForeignKeyViolation as error:
                    refused.append(table)
                    failure = error
            if len(refused) == len(left):
                raise failure
            left = refused
