"""COPY's binary format: which columns it is known for, and what stands around the rows.

https://www.postgresql.org/docs/current/sql-copy.html, Binary Format
"""

from collections.abc import Iterable
from uuid import UUID

from nexusql._speedups import (
    AS_BOOL,
    AS_BYTEA,
    AS_DATE,
    AS_FLOAT8,
    AS_INT2,
    AS_INT4,
    AS_INT8,
    AS_JSONB,
    AS_TEXT,
    AS_TIMESTAMP,
    AS_TIMESTAMPTZ,
    AS_UUID,
)
from nexusql.backends.values import Values

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = _SIGNATURE + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"

# A type that is missing goes as text: the server rounds what is written for real and numeric, and knows its own types.
_FORMS = {
    "text": AS_TEXT,
    "character varying": AS_TEXT,
    "character": AS_TEXT,
    "json": AS_TEXT,
    "jsonb": AS_JSONB,
    "smallint": AS_INT2,
    "integer": AS_INT4,
    "bigint": AS_INT8,
    "double precision": AS_FLOAT8,
    "boolean": AS_BOOL,
    "bytea": AS_BYTEA,
    "timestamp without time zone": AS_TIMESTAMP,
    "timestamp with time zone": AS_TIMESTAMPTZ,
    "date": AS_DATE,
    "uuid": AS_UUID,
}


def wire_forms(values: Values, kinds: Iterable[str]) -> tuple[int, ...] | None:
    """What `binary_rows` is given for columns of these types; None where one of them goes as text only."""
    forms = tuple(_FORMS.get(kind, -1) for kind in kinds)
    known = -1 not in forms and not (AS_UUID in forms and UUID in values.custom)
    return forms if known else None


def whole(pieces: Iterable[bytes]) -> bytes:
    """The data of a COPY for rows in pieces."""
    return b"".join((_HEADER, *pieces, _TRAILER))
