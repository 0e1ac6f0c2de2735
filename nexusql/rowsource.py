"""Rows as callers have them, made ready to be written: any iterable of dicts, tuples, lists or dataclass instances."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from nexusql.errors import ParameterError

NO_ROW = object()  # for None could be a row, if a wrong one
ACCEPTED = "a dict, a tuple or list with columns=, a named tuple or a dataclass instance"


class RowSource:
    """An iterator of dicts, or of tuples and lists in the order of `columns`; one row may be given back to it.

    `position` counts the rows that were taken for good. Raises ParameterError for rows of another kind.
    """

    def __init__(self, rows: Iterable[Any], columns: Sequence[str] | None = None) -> None:
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise ParameterError(f"rows are an iterable of rows, not {type(rows).__name__}; each is {ACCEPTED}")
        self.columns = None if columns is None else tuple(columns)
        self.position = 0
        self._indexes: Sequence[int] | None = None
        self._returned: Any = NO_ROW
        given = iter(rows)
        first = next(given, NO_ROW)
        self.rows: Iterator[Any] = iter(()) if first is NO_ROW else self._normal(first, given)

    def _normal(self, first: Any, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows as dicts, tuples or lists, as the first one tells."""
        whole = chain((first,), rows)
        if isinstance(first, dict):
            return whole
        if isinstance(first, (tuple, list)):
            self.columns = self.columns or getattr(first, "_fields", None)
            if self.columns is None:
                raise ParameterError(f"rows of {type(first).__name__} need columns=, their names in order")
            return whole
        if isinstance(first, Mapping):
            return map(dict, whole)
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            names = tuple(field.name for field in dataclasses.fields(first))
            self.columns = self.columns or names
            return _attributes(type(first), self.columns, whole)
        raise ParameterError(f"row 0 is a {type(first).__name__}; a row is {ACCEPTED}")

    @classmethod
    def again(cls, rows: Sequence[tuple[int, Any]], columns: Sequence[str] | None) -> "RowSource":
        """Rows that were taken before, each with its index."""
        source = cls([row for _, row in rows], columns)
        source._indexes = [index for index, _ in rows]
        return source

    def index(self, position: int) -> int:
        """The index that the row at a position has in the input."""
        return position if self._indexes is None else self._indexes[position]

    def next(self) -> Any:
        """The next row, or NO_ROW at the end."""
        row, self._returned = self._returned, NO_ROW
        return next(self.rows, NO_ROW) if row is NO_ROW else row

    def give_back(self, row: Any) -> None:
        """Make a row the next one again."""
        self._returned = row


def _attributes(kind: type, names: tuple[str, ...], rows: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    values = attrgetter(*names)
    lone = len(names) == 1
    for row in rows:
        if not isinstance(row, kind):
            raise ParameterError(f"a row is a {type(row).__name__}, where those before it are of {kind.__name__}")
        yield (values(row),) if lone else values(row)
