"""Rows as callers have them, made ready to be written: any iterable of dicts, tuples, lists or dataclass instances."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from nexusql.errors import ParameterError

ACCEPTED = "a dict, a tuple or list with columns=, a named tuple or a dataclass instance"

NOTHING: Any = object()  # in the place of a row, where there is none


def check_iterable(rows: object, each: str) -> None:
    """Raise ParameterError for what can only be one row, or none; `each` says what a row is."""
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise ParameterError(f"rows are an iterable of rows, not {type(rows).__name__}; each is {each}")


class RowSource(Iterator[Any]):
    """An iterator of dicts, or of tuples and lists in the order of `columns`; rows may be given back to it.

    `position` counts the rows that were taken for good. What is no row is handed on as it is, for the caller to refuse.
    """

    def __init__(self, rows: Iterable[Any], columns: Sequence[str] | None = None) -> None:
        check_iterable(rows, ACCEPTED)
        self.columns = None if columns is None else tuple(columns)
        self.position = 0
        self._indexes: Sequence[int] | None = None
        self._returned: list[Any] = []
        self.rows = given = iter(rows)
        for first in given:
            self.rows = self._normal(first, given)
            break

    def _normal(self, first: Any, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows as dicts, tuples or lists, as the first one tells."""
        whole = chain((first,), rows)
        if isinstance(first, dict):
            return whole
        if isinstance(first, (tuple, list)):
            if self.columns is None:
                self.columns = getattr(first, "_fields", None)
                if self.columns is None:
                    raise ParameterError(f"rows of {type(first).__name__} need columns=, their names in order")
                return _named(type(first), whole)
            return whole
        if isinstance(first, Mapping):
            return (dict(row) if isinstance(row, Mapping) else row for row in whole)
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            if self.columns is None:
                self.columns = tuple(field.name for field in dataclasses.fields(first))
            return _attributes(type(first), self.columns, whole)
        return self._behind(first, rows)

    def _behind(self, wrong: Any, rows: Iterator[Any]) -> Iterator[Any]:
        """What is no row, and the rows behind it, as the first of them tells."""
        yield wrong
        for first in rows:
            yield from self._normal(first, rows)

    @classmethod
    def again(cls, rows: Sequence[tuple[int, Any]], columns: Sequence[str] | None) -> "RowSource":
        """Rows that were taken before, each with its index."""
        source = cls([row for _, row in rows], columns)
        source._indexes = [index for index, _ in rows]
        return source

    def index(self, position: int) -> int:
        """The index that the row at a position has in the input."""
        return position if self._indexes is None else self._indexes[position]

    @property
    def reached(self) -> int:
        """The index behind the last row that was taken for good."""
        return self.index(self.position - 1) + 1 if self.position else 0

    def __next__(self) -> Any:
        return self._returned.pop() if self._returned else next(self.rows)

    def give_back(self, *rows: Any) -> None:
        """Make rows the next ones again."""
        self._returned += reversed(rows)

    @property
    def holds_rows(self) -> bool:
        """Whether rows that were given back come before those of `rows`."""
        return bool(self._returned)


def checked(row: Any) -> Any:
    """A row that came from a source. Raises ParameterError for what is none."""
    if not isinstance(row, (dict, tuple, list)):
        raise ParameterError(f"a row is {ACCEPTED}, not {type(row).__name__}")
    return row


def _named(kind: type, rows: Iterator[Any]) -> Iterator[Any]:
    """Named tuples; those of another kind, whose names may be others, as dicts."""
    for row in rows:
        yield row._asdict() if type(row) is not kind and hasattr(row, "_asdict") else row


def _attributes(kind: type, names: tuple[str, ...], rows: Iterator[Any]) -> Iterator[Any]:
    """The attributes of dataclass instances; what is none of that kind as it is."""
    values: Callable[[Any], Any]
    values = attrgetter(*names) if len(names) > 1 else lambda row: [getattr(row, name) for name in names]
    for row in rows:
        yield values(row) if isinstance(row, kind) else row
