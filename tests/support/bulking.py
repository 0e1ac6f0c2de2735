"""Databases and tables for bulk writes, and what is in them."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

import servers
from nexusql import DatabaseManager, TranslationWarning
from nexusql.transaction import Transaction


@contextmanager
def opened(kind: str, **options: Any) -> Iterator[DatabaseManager]:
    """A connected manager on an empty database of `kind`; skips where there is none."""
    servers.require(kind)
    with servers.fresh_database(kind) as url, DatabaseManager(url, **options) as db:
        yield db


def as_role(db: DatabaseManager, role: str, **options: Any) -> DatabaseManager:
    """A manager on the same database of PostgreSQL whose sessions have a role's rights."""
    return DatabaseManager(f"{db.database_url}%20-crole%3D{role}", **options)


def kind_of(db: DatabaseManager) -> str:
    """The kind of database that a manager has."""
    return db.config.database_type.value


def warned_of_any_key(db: DatabaseManager) -> AbstractContextManager[Any]:
    """MySQL warns that a conflict with any unique key counts; the others need not."""
    if kind_of(db) == "mysql":
        return pytest.warns(TranslationWarning, match="a conflict with any unique key counts, not only with")
    return nullcontext()


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


def same(one: Any, other: Any) -> bool:
    """Equal, also where both are NaN."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and (one == other or (one != one and other != other))


class Undone(Exception):
    """Ends a block so that it is rolled back."""


@contextmanager
def undone(tx: Transaction) -> Iterator[None]:
    """A block in a transaction that leaves nothing behind."""
    with pytest.raises(Undone), tx.transaction():
        yield
        raise Undone
