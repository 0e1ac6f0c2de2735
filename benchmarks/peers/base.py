"""What each library is asked to do; its file says how the library's users do it."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from harness import Contender
from workload import Query, Record, Table, as_tuples

Ways = Mapping[str, Contender]


class Peer:
    """A library with its connection to one database. What it has no way for gives no ways.

    A way reads rows to the end as dicts, unless its name says otherwise, or stores all rows, from dicts unless its
    name says otherwise, in one transaction. What is prepared for it outside, its name says too.
    """

    name: ClassVar[str]
    module: ClassVar[str]

    def __init__(self, kind: str, url: str) -> None:
        """Connect."""

    @classmethod
    def missing(cls) -> str:
        """Why it cannot take part, empty where it can."""
        return "" if importlib.util.find_spec(cls.module) else f"{cls.name} is not installed"

    def one(self, query: Query) -> Ways:
        """Read one row."""
        return {}

    def everything(self, query: Query) -> Ways:
        """Read all rows at once."""
        return {}

    def stream(self, query: Query) -> Ways:
        """Read all rows in constant memory; a way gives their number."""
        return {}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        """Store new rows."""
        return {}

    def floor(self, table: Table, rows: Sequence[Record]) -> Ways:
        """Store new rows that are ready-made in the form that costs least: what the database itself takes."""
        return {}

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        """Store rows, some of which replace others."""
        return {}

    def close(self) -> None:
        """Disconnect."""


def to_dicts(cursor: Any) -> list[Record]:
    """Rows as the hand-written code makes dicts of them."""
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]  # noqa: B905 - strict= would slow the baseline


def count_dicts(cursor: Any) -> int:
    """The number of rows, each of which was a dict for a moment; `cursor` is iterated."""
    names = None
    count = 0
    for row in cursor:
        if names is None:
            names = [column[0] for column in cursor.description]
        dict(zip(names, row))  # noqa: B905 - strict= would slow the baseline
        count += 1
    return count


def count(rows: Any) -> int:
    """The number of rows of an iterator."""
    number = 0
    for _ in rows:
        number += 1
    return number


def plain(table: Table, rows: Sequence[Record]) -> Sequence[Record]:
    """Rows as a driver takes them: JSON as text. This is part of the work."""
    if not table.json:
        return rows
    return [{**row, **{name: json.dumps(row[name]) for name in table.json}} for row in rows]


def plain_tuples(table: Table, rows: Sequence[Record]) -> Sequence[tuple[Any, ...]]:
    """The values of `plain` rows, made before anything is timed."""
    return as_tuples(plain(table, rows))


@contextmanager
def transaction(cursor: Any) -> Iterator[None]:
    """A transaction on an autocommit connection; a failure ends the benchmark anyway."""
    cursor.execute("BEGIN")
    yield
    cursor.execute("COMMIT")


def in_transaction(cursor: Callable[[], Any], work: Callable[[Any], object]) -> Contender:
    """A way that does its work with a new cursor in one transaction."""

    def way() -> None:
        opened = cursor()
        with transaction(opened):
            work(opened)
        opened.close()

    return way
