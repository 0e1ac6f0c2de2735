"""How values are written for COPY: by the type of their column, as an INSERT of the same value would store them."""

import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from nexusql._speedups import BOOL, BOOL_INT, BYTES, DATE, DATETIME, FLOAT, INT, STR
from nexusql.backends.postgresql.values import INTEGERS, JSON, BoundList, array_literal, text_form
from nexusql.backends.values import Values
from nexusql.errors import ParameterError

Converter = Callable[[Any], str | None]

_ANY = STR | INT | FLOAT | DATETIME | DATE
# What the encoder writes by itself for a column of a type; arrays take text alone, all other types _ANY.
_DIRECT: dict[str, int] = {
    **dict.fromkeys(INTEGERS, STR | INT | BOOL_INT),
    **dict.fromkeys(JSON, STR | INT | FLOAT),
    "boolean": STR | INT | BOOL,
    "bytea": STR | BYTES,
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

    def convert(value: Any) -> str | None:
        if type(value) is Decimal and value.is_infinite():
            return _number(float(value))  # psycopg2 cannot say it in an INSERT; COPY can, from PostgreSQL 14 on
        return _written(values.adapt(value), kind, values)

    return mask, convert


def _written(value: Any, kind: str, values: Values) -> str | None:
    """A value as its adapter left it, as text for a column of a type. Raises ParameterError where that would store
    something else than an INSERT would."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value)) if kind in INTEGERS else str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        return _number(value, whole=kind in INTEGERS)
    if isinstance(value, BoundList):
        if kind in JSON:
            return values.json_text(value.source)
        if not kind.endswith("[]"):
            raise ParameterError(f"a list cannot be written to a column of type {kind}; Json(..) makes it text")
        return array_literal(value)
    if isinstance(value, bytes) and kind != "bytea":
        raise ParameterError(f"bytes cannot be written to a column of type {kind}")
    return text_form(value)


def _number(value: int | float | Decimal, whole: bool = False) -> str:
    """A number in PostgreSQL's words; `whole` rounds as an assignment to an integer column does."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if whole and not isinstance(value, int):
        return str(Decimal(str(value)).to_integral_value(ROUND_HALF_UP))
    return str(value)
