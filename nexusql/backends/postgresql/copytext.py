"""How values are written for COPY: by the type of their column, as an INSERT of the same value would store them."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from nexusql._speedups import BOOL, BOOL_INT, BYTES, DATE, DATETIME, FLOAT, INT, STR
from nexusql.backends.postgresql.values import INTEGERS, JSON, ArrayText, BoundList, array_literal, text_form
from nexusql.backends.values import Values
from nexusql.errors import ParameterError

Converter = Callable[[Any], str | None]

_DATES = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_TIMES = frozenset({"time without time zone", "time with time zone", "interval"})
# As text, and as money, a number is written without an exponent.
_TEXTS = frozenset({"text", "character varying", "character", "name", "citext", "money"})

_ANY = STR | INT | FLOAT | DATETIME | DATE
# What the encoder writes by itself for a column of a type; arrays take text alone, all other types _ANY.
_DIRECT: dict[str, int] = {
    **dict.fromkeys(INTEGERS, STR | INT | BOOL_INT),
    **dict.fromkeys(JSON, STR | INT | FLOAT),
    **dict.fromkeys(_DATES, STR | DATETIME | DATE),
    **dict.fromkeys(_TIMES, STR),
    **dict.fromkeys(_TEXTS, STR | INT | DATE),
    "boolean": STR | INT | BOOL,
    "bytea": STR | BYTES,
    '"char"': STR,
}
_BITS: dict[type, int] = {
    str: STR,
    int: INT,
    bool: BOOL | BOOL_INT,
    float: FLOAT,
    bytes: BYTES,
    datetime: DATETIME,
    date: DATE,
}


def form(values: Values, kind: str) -> tuple[int, Converter]:
    """What `copy_rows` is given for a column of a type: the types that it may write by itself, and what converts all
    others. A type that has an adapter of the user's goes the long way."""
    mask = STR if kind.endswith("[]") else _DIRECT.get(kind, _ANY)
    for custom in values.custom:
        mask &= ~_BITS.get(custom, 0)

    infinite = Decimal not in values.custom

    def convert(value: Any) -> str | None:
        if infinite and type(value) is Decimal and value.is_infinite():
            value = float(value)  # psycopg2 cannot say it in an INSERT; COPY can, from PostgreSQL 14 on
        return _written(values.adapt(value), kind, values)

    return mask, convert


def _written(value: Any, kind: str, values: Values) -> str | None:
    """A value as its adapter left it, as text for a column of a type. Raises ParameterError where that would store
    something else than an INSERT would."""
    if isinstance(value, (BoundList, ArrayText)) and kind in JSON:
        return values.json_text(value.source)
    if value is None or isinstance(value, str):
        return None if value is None else str.__str__(value)
    if isinstance(value, BoundList):
        if not kind.endswith("[]"):
            raise ParameterError(f"a list cannot be written to a column of type {kind}; Json(..) makes it text")
        return array_literal(value)
    if isinstance(value, bytes) is not (kind == "bytea") or kind == '"char"':
        raise _misfit(value, kind)
    if isinstance(value, bool):
        return str(int(value)) if kind in INTEGERS else str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        if kind in _DATES or kind in _TIMES:
            raise _misfit(value, kind)
        return _number(value, kind)
    return _in_text(value, kind) if kind in _TEXTS else text_form(_time_of_day(value, kind))


def _misfit(value: Any, kind: str) -> ParameterError:
    return ParameterError(f"a value of type {type(value).__name__} cannot be written to a column of type {kind}")


def _number(value: int | float | Decimal, kind: str) -> str:
    """A number in PostgreSQL's words, rounded for an integer column as an assignment does."""
    if isinstance(value, int):
        return str(value)
    number = Decimal(str(value))
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity" if number > 0 else "-Infinity"
    if kind in INTEGERS:
        return f"{number.to_integral_value(ROUND_HALF_UP):f}"
    if kind in _TEXTS:
        return f"{number or number.copy_abs():f}"  # zero has no sign
    return str(value)


def _in_text(value: Any, kind: str) -> str:
    """A date or time as PostgreSQL writes it: without zeros at the end of a fraction. Raises ParameterError where the
    session's settings decide how it is written."""
    if isinstance(value, timedelta) or (isinstance(value, time) and value.tzinfo is not None):
        raise ParameterError(f"{_misfit(value, kind)}; str(..) makes it text")
    text = text_form(value)
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return text.rstrip("0") if "." in text and not aware else text


def _time_of_day(value: Any, kind: str) -> Any:
    """A duration in a column of times is the time so long after midnight."""
    if isinstance(value, timedelta) and kind == "time without time zone":
        return (datetime.min + value % timedelta(days=1)).time()
    return value
