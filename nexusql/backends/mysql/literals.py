"""How values are written into a MySQL statement: what the compiled encoder does by itself, and the rest."""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from nexusql._speedups import BOOL_INT, BYTES, DATE, DATETIME, FLOAT, INT, STR
from nexusql.backends.values import Values

# Exact types that the encoder writes as `literal` would.
_DIRECT: dict[type, int] = {
    str: STR,
    int: INT,
    float: FLOAT,
    bool: BOOL_INT,
    bytes: BYTES,
    datetime: DATETIME,
    date: DATE,
}

Literal = str | bytes | None  # text to be quoted, SQL as it is, or NULL


def forms(values: Values, width: int) -> tuple[tuple[int, ...], tuple[Callable[[Any], Literal], ...]]:
    """What `literal_rows` is given for `width` columns: the types that it may write by itself, and what converts all
    others. A type that has an adapter of the user's goes the long way."""
    mask = sum(bit for kind, bit in _DIRECT.items() if kind not in values.custom)

    def convert(value: Any) -> Literal:
        return literal(values.adapt(value))

    return (mask,) * width, (convert,) * width


def literal(value: Any) -> Literal:
    """A value as its adapter left it, as it stands in a statement.

    A float keeps its exponent and a Decimal has none, so that the server reads the one as DOUBLE and the other as
    DECIMAL (https://dev.mysql.com/doc/refman/8.0/en/number-literals.html).
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return b"X'%b'" % value.hex().encode()
    if isinstance(value, (bool, int)):
        return b"%d" % value
    if isinstance(value, float):
        text = repr(value)
        return (text if "e" in text else f"{text}e0").encode()
    if isinstance(value, Decimal):
        return f"{value:f}".encode()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    assert isinstance(value, (date, time))
    return value.isoformat()
