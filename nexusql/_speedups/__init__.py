"""The compiled core, or the same source interpreted: all of one or all of the other, never a mixture.

`NEXUSQL_PURE=1` asks for the interpreted modules; `NEXUSQL_REQUIRE_SPEEDUPS=1` turns missing compiled ones into an
ImportError. Empty and 0 mean off.
"""

import os
from typing import TYPE_CHECKING

from nexusql._speedups.codes import (
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
    BOOL,
    BOOL_INT,
    BYTES,
    DATE,
    DATETIME,
    END,
    FAULT,
    FLOAT,
    FULL,
    INT,
    OTHER,
    STR,
    UNFIT,
)


def _flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


if TYPE_CHECKING or _flag("NEXUSQL_PURE"):
    from nexusql._speedups.binder import bind, bind_sequence, flat_rows
    from nexusql._speedups.encoder import binary_rows, copy_rows, literal_rows
    from nexusql._speedups.records import column_names, extend_dicts
    from nexusql._speedups.scanner import scan

    IMPLEMENTATION = "python"
else:
    try:
        from nexusql._speedups._binder_c import bind, bind_sequence, flat_rows
        from nexusql._speedups._encoder_c import binary_rows, copy_rows, literal_rows
        from nexusql._speedups._records_c import column_names, extend_dicts
        from nexusql._speedups._scanner_c import scan

        IMPLEMENTATION = "cython"
    except ImportError:
        if _flag("NEXUSQL_REQUIRE_SPEEDUPS"):
            raise
        from nexusql._speedups.binder import bind, bind_sequence, flat_rows
        from nexusql._speedups.encoder import binary_rows, copy_rows, literal_rows
        from nexusql._speedups.records import column_names, extend_dicts
        from nexusql._speedups.scanner import scan

        IMPLEMENTATION = "python"

__all__ = [
    "AS_BOOL",
    "AS_BYTEA",
    "AS_DATE",
    "AS_FLOAT8",
    "AS_INT2",
    "AS_INT4",
    "AS_INT8",
    "AS_JSONB",
    "AS_TEXT",
    "AS_TIMESTAMP",
    "AS_TIMESTAMPTZ",
    "AS_UUID",
    "BOOL",
    "BOOL_INT",
    "BYTES",
    "DATE",
    "DATETIME",
    "END",
    "FAULT",
    "FLOAT",
    "FULL",
    "IMPLEMENTATION",
    "INT",
    "OTHER",
    "STR",
    "UNFIT",
    "binary_rows",
    "bind",
    "bind_sequence",
    "column_names",
    "copy_rows",
    "extend_dicts",
    "flat_rows",
    "literal_rows",
    "scan",
]
