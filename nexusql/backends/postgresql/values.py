"""What PostgreSQL is given: as psycopg2 has it, but for what it would lose or cannot know."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from nexusql.backends.names import name_parts
from nexusql.backends.values import Adapters, Array, Values, to_utc
from nexusql.errors import ParameterError
from nexusql.sql.statement import Statement

INTEGERS = frozenset({"smallint", "integer", "bigint"})
JSON = frozenset({"json", "jsonb"})

# PostgreSQL folds ASCII letters only.
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class BoundList(list[Any]):
    """A list whose items are adapted, and what it was made of; psycopg2 writes it as ``ARRAY[..]``."""

    __slots__ = ("source",)

    source: list[Any]


class ArrayText(str):
    """An array literal, untyped, and the list that it was made of."""

    source: list[Any]


class PostgresqlValues(Values):
    """A UUID, JSON and what is inside a list of UUIDs go as untyped text, so that they fit columns of either type."""

    def native(self) -> Adapters:
        """See Values.native."""
        return {
            **super().native(),
            bool: None,
            float: None,
            Decimal: _decimal,
            date: None,
            time: None,
            datetime: _datetime,
            timedelta: None,
            list: self._list,
            tuple: self._list,
            Array: self._list,
        }

    def _list(self, items: Any) -> Any:
        """An array that psycopg2 writes with its type, or untyped text where its type is that of its column."""
        source = _plain(items)
        bound = BoundList(_mapped(self.adapt, source))
        bound.source = source
        leaves = list(_leaves(source))
        if not leaves or any(isinstance(leaf, UUID) for leaf in leaves):
            text = ArrayText(array_literal(bound))
            text.source = source
            return text
        return bound


def _plain(value: Any) -> Any:
    """Lists, tuples and arrays inside each other as lists; all else as it is."""
    if isinstance(value, Array):
        value = list(value.items)
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _mapped(adapt: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    return [_mapped(adapt, item) if type(item) is list else adapt(item) for item in items]


def _leaves(items: list[Any]) -> Iterable[Any]:
    for item in items:
        if type(item) is list:
            yield from _leaves(item)
        else:
            yield item


def _decimal(value: Decimal) -> Decimal:
    if not value.is_finite() and not value.is_qnan():
        raise ParameterError("an infinite or signalling Decimal cannot be bound: psycopg2 would send NaN")
    return value


def _datetime(value: datetime) -> datetime:
    """An aware datetime psycopg2 sends as TIMESTAMPTZ; a zone without an offset is none."""
    return value if value.tzinfo is None or value.utcoffset() is not None else to_utc(value)


def utc_literal(value: datetime) -> str:
    """An aware datetime as untyped text: a column with a zone takes the instant, one without stores UTC."""
    return f"{to_utc(value).isoformat(' ', 'microseconds')}+00:00"


def array_literal(items: Iterable[Any]) -> str:
    """Adapted items in the array syntax of PostgreSQL's manual (8.15.2); untyped, it takes its type from its place."""
    return "{" + ",".join(map(_element, items)) + "}"


def _element(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return array_literal(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity"}.get(repr(value), "-Infinity")
    if isinstance(value, (int, Decimal)):
        return str(value)
    return '"' + text_form(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_form(value: Any) -> str:
    """An adapted value that is no number, bool or list as untyped text."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat(" ") if value.tzinfo is None else utc_literal(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"
    return str(value)


def fit(
    statement: Statement,
    args: list[Any],
    types_of: Callable[[str], Mapping[str, str]],
    json_text: Callable[[Any], str],
) -> None:
    """Adjust, in place, what psycopg2 would send with a type of its own that the column's may not accept.

    The column's type is looked up only where a bool or a list is there.
    """
    for position in statement.compared:
        value = args[position]
        if type(value) is datetime and value.tzinfo is not None:
            args[position] = utc_literal(value)
    for position, table, column in statement.assigned:
        value = args[position]
        kind = type(value)
        if kind is bool:
            args[position] = _fit_bool(value, _column_type(types_of(table), column))
        elif kind is BoundList or kind is ArrayText:
            args[position] = _fit_list(value, _column_type(types_of(table), column), json_text)
        elif kind is datetime and value.tzinfo is not None:
            args[position] = utc_literal(value)


def _column_type(types: Mapping[str, str], column: str) -> str:
    parts = name_parts(column)
    return types.get(folded(*parts[-1]), "") if parts else ""


def folded(name: str, quoted: bool) -> str:
    """A part of a name as the catalogue has it."""
    return name if quoted else name.translate(_FOLD)


def _fit_bool(value: bool, kind: str) -> Any:
    if kind in INTEGERS:
        return int(value)
    if kind in JSON:
        return "true" if value else "false"
    return value


def _fit_list(value: BoundList | ArrayText, kind: str, json_text: Callable[[Any], str]) -> Any:
    if kind in JSON:
        return json_text(value.source)
    return array_literal(value) if kind.endswith("[]") and isinstance(value, BoundList) else value
