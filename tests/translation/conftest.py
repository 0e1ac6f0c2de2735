"""Sessions on all databases, shared by the tests of one module; PostgreSQL is the judge, so it must be there."""

from collections.abc import Iterator

import pytest

import servers
from translating import Databases, databases


@pytest.fixture(scope="module")
def everywhere() -> Iterator[Databases]:
    """SQLite, PostgreSQL and MySQL/MariaDB, each with an empty database."""
    for kind in servers.KINDS:
        servers.require(kind)
    with databases() as found:
        yield found
