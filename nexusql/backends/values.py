"""What may be bound: the closed list of value types, and the conversions that all databases share."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from nexusql.errors import ParameterError

Adapter = Callable[[Any], Any]
Adapters = dict[type, Adapter | None]

ACCEPTED = (
    "None, bool, int, float, Decimal, str, bytes, bytearray, memoryview, date, time, datetime, timedelta, UUID, Enum, "
    "dict, list, tuple, Json and Array"
)


@dataclass(frozen=True, slots=True)
class Json:
    """A value to be bound as JSON text, whatever its type."""

    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """Items to be bound as an array on PostgreSQL, and as a JSON array elsewhere."""

    items: Iterable[Any]

    def __post_init__(self) -> None:
        if isinstance(self.items, Iterator):  # a value may be written more than once
            object.__setattr__(self, "items", list(self.items))


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # json.dumps would make one for each value


def dumps(value: Any) -> str:
    """The default encoder: valid JSON only, so NaN is refused; text other than ASCII stays as it is."""
    return _JSON.encode(value)


def to_utc(value: datetime) -> datetime:
    """An aware datetime as a naive one in UTC. Raises ParameterError where that is not in the years 1 to 9999."""
    if value.tzinfo is None:
        return value
    offset = value.utcoffset()
    naive = value.replace(tzinfo=None, fold=0)
    try:
        return naive if offset is None else naive - offset
    except OverflowError:
        raise ParameterError("a datetime lies outside the years 1 to 9999 in UTC") from None


def finite(value: Any) -> Any:
    """A float or Decimal, unless it is NaN or infinite."""
    if value - value != 0:
        raise ParameterError(f"a {type(value).__name__} that is not finite cannot be bound here")
    return value


def finite_decimal(value: Decimal) -> Decimal:
    """A Decimal, unless it is NaN or infinite."""
    if not value.is_finite():
        raise ParameterError("a Decimal that is not finite cannot be bound here")
    return value


def naive_time(value: time) -> time:
    """A time, unless it has a zone, which says nothing without a date."""
    if value.tzinfo is not None:
        raise ParameterError("a time with a zone cannot be bound here; bind a datetime, or a time without one")
    return value


def clock_text(value: timedelta) -> str:
    """A duration as ``[-]HH:MM:SS[.ffffff]``, the hours as many as it has."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}{value.days * 24 + hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


# A subclass may override what a conversion calls, so each is taken to its base by the base's own code. datetime comes
# before date, whose subclass it is.
_TO_BASE: tuple[tuple[type, Adapter], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (bytearray, bytes),
    (Decimal, Decimal),
    (
        datetime,
        lambda v: datetime(v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold),
    ),
    (date, lambda value: date(value.year, value.month, value.day)),
    (time, lambda v: time(v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold)),
    (timedelta, lambda value: timedelta(value.days, value.seconds, value.microseconds)),
    (UUID, lambda value: UUID(int=value.int)),
    (dict, dict),
    (list, list.copy),
    (tuple, lambda value: tuple.__getitem__(value, slice(None))),
)


class Values:
    """How one database's values are bound: `adapters` by exact type, and `adapt_other` for every other type.

    `custom` widens the list, and stays at hand: a function for a type and its subclasses, whose result is of an
    accepted type.
    `json_dumps` replaces the JSON encoder. With either, binding a value `calls_out`: it runs the caller's code.
    """

    def __init__(
        self,
        custom: Mapping[type, Adapter] | None = None,
        json_dumps: Callable[[Any], str | bytes] | None = None,
    ) -> None:
        self._dumps = json_dumps or dumps
        self.custom = dict(custom or {})
        self.calls_out = bool(self.custom) or json_dumps is not None
        self.adapters: Adapters = self.native()
        if self.custom:
            plain = type(self)(json_dumps=json_dumps)
            for kind, convert in self.custom.items():
                self.adapters[kind] = _through(convert, plain)

    def native(self) -> Adapters:
        """The database's own table by exact type: None where the driver takes a value as it is."""
        return {
            type(None): None,
            int: None,
            str: None,
            bytes: None,
            bytearray: bytes,
            memoryview: bytes,
            UUID: str,
            dict: self.json_text,
            list: self.json_text,
            tuple: self.json_text,
            Json: lambda wrapped: self.json_text(wrapped.value),
            Array: lambda wrapped: self.json_text(list(wrapped.items)),
        }

    def adapt(self, value: Any) -> Any:
        """A value as the driver takes it. Raises ParameterError where it cannot be bound."""
        adapter = self.adapters.get(type(value), self.adapt_other)
        return value if adapter is None else adapter(value)

    def adapt_other(self, value: Any) -> Any:
        """A value whose exact type has no adapter: a subclass, an Enum, a numpy scalar. Raises ParameterError."""
        for kind in type(value).__mro__ if self.custom else ():
            if kind in self.custom:
                return self.adapters[kind](value)  # type: ignore[misc]
        if isinstance(value, Enum):
            return self.adapt(value.value)
        for base, convert in _TO_BASE:
            if isinstance(value, base):
                try:
                    exact = convert(value)
                except (TypeError, ValueError, OverflowError, AttributeError):
                    raise _refused(value) from None
                return self.adapt(exact)
        return self.adapt(_from_numpy(value))

    def json_text(self, value: Any, encode: Callable[[Any], str | bytes] | None = None) -> str:
        """A value as JSON text, by `encode` or the encoder of this table. Raises ParameterError where that refuses."""
        encode = encode or self._dumps
        try:
            text = encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            # The encoder of the standard library names types and never values; another one may tell anything.
            reason = f": {error}" if encode is dumps else ""
            raise ParameterError(f"a value cannot be written as JSON{reason}") from None
        if isinstance(text, bytes):
            return text.decode()
        if not isinstance(text, str):
            raise ParameterError(f"json_dumps gave {type(text).__name__}, not str")
        return text


def _through(convert: Adapter, plain: Values) -> Adapter:
    """A custom adapter, its result adapted as if there were no custom ones."""
    return lambda value: plain.adapt(convert(value))


def _from_numpy(value: Any) -> Any:
    """A numpy scalar as Python's own, when numpy is loaded; never imports it. NaT is None. Raises ParameterError."""
    numpy: Any = sys.modules.get("numpy")
    scalar: Any = getattr(numpy, "generic", None)
    if scalar is None or not isinstance(value, scalar):
        raise _refused(value)
    item = value.item()
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)) and isinstance(item, int):
        # Finer than a microsecond, or outside the years 1 to 9999, where only the first can be had.
        item = value.astype("M8[us]" if isinstance(value, numpy.datetime64) else "m8[us]").item()
        if isinstance(item, int):
            raise _refused(value)
    if isinstance(item, (scalar, complex)):
        raise _refused(value)
    return item


def _refused(value: Any) -> ParameterError:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return ParameterError(
        f"a value of type {name} cannot be bound; accepted are {ACCEPTED}, and what adapters={{type: function}} adds"
    )
