"""Databases and tables for bulk writes, and what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import servers
from nexusql import DatabaseManager


@contextmanager
def opened(kind: str, **options: Any) -> Iterator[DatabaseManager]:
    """A connected manager on an empty database of `kind`; skips where there is none."""
    servers.require(kind)
    with servers.fresh_database(kind) as url, DatabaseManager(url, **options) as db:
        yield db


@contextmanager
def table(db: DatabaseManager, columns: str, name: str = "t") -> Iterator[str]:
    """A table of these columns, dropped afterwards."""
    db.execute(f"CREATE TABLE {name} ({columns})")
    try:
        yield name
    finally:
        db.execute(f"DROP TABLE {name}")


def stored(db: Any, columns: str = "*", table: str = "t", order: str = "id") -> list[tuple[Any, ...]]:
    """The rows of a table as tuples, in order; buffers as bytes, so that they compare."""
    rows = db.execute(f"SELECT {columns} FROM {table} ORDER BY {order}")
    return [tuple(map(plain, row.values())) for row in rows]


def plain(value: Any) -> Any:
    """A value that compares with others: bytes for a buffer, also inside lists."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return bytes(value) if isinstance(value, memoryview) else value
