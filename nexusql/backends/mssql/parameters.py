"""Types of parameters: a text that is compared with a VARCHAR column is sent as VARCHAR, and a NULL with its type.

The driver sends every text as NVARCHAR, and the server then converts the column instead of looking into its index. For
a NULL Microsoft's driver asks the server each time, and FreeTDS sends a VARCHAR, which a column of bytes does not take.
What the parameters meet the server tells itself, once for each statement
(https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyodbc

from nexusql.backends.base import Status
from nexusql.backends.mssql.catalogue import BYTES
from nexusql.backends.mssql.error_codes import BY_CODE
from nexusql.backends.mssql.session import MssqlSession, codes
from nexusql.backends.mssql.values import is_ascii
from nexusql.errors import ConnectionLost, DeadlockDetected, LockTimeout

REMEMBERED = 4096  # statements
LONGEST = 8_000  # characters of a VARCHAR with a length
# Bytes of UTF-16 that the driver sends at once. What is longer goes in pieces, of which FreeTDS takes no type.
AT_ONCE = 4_000

_COMPARES = re.compile(r"\b(?:WHERE|ON|HAVING)\b", re.IGNORECASE)
_TOLD = re.compile(r"(?:var)?char(?=\(\d)|(?:var)?binary|image")
_NARROW = frozenset(("char", "varchar"))

_PASSING = (ConnectionLost, DeadlockDetected, LockTimeout)

Size = tuple[int, int, int]
Types = Mapping[int, str] | None
_UNKNOWN: Types = {}
TEXT_NULL: Size = (pyodbc.SQL_WVARCHAR, 1, 0)
BYTES_NULL: Size = (pyodbc.SQL_VARBINARY, 1, 0)
_VARCHARS: Size = (pyodbc.SQL_VARCHAR, LONGEST, 0)  # of one length, so that the server has one plan for all


class ParameterTypes:
    """What the parameters of driver texts are: their types by the server's words; learnt outside transactions."""

    def __init__(self) -> None:
        self._known: dict[str, Types] = {}

    def sizes(self, raw: MssqlSession, text: str, args: Sequence[Any]) -> list[Size | None] | None:
        """The types of a statement's parameters as Cursor.setinputsizes takes them, or None where there is none to be
        said. A text that is not ASCII stays NVARCHAR: a code page may not have its characters."""
        nulls = None in args
        types = self._known.get(text, _UNKNOWN)
        if types is _UNKNOWN:
            # An error of the question would be one inside the transaction.
            asks = nulls or (_COMPARES.search(text) and any(map(is_ascii, args)))
            if raw.status is not Status.IDLE or not asks:
                return None
            types = self._learn(raw, text, len(args))
        if types is None or not (types or nulls):
            return None
        return [_size(value, types.get(place, "")) for place, value in enumerate(args)]

    def _learn(self, raw: MssqlSession, text: str, count: int) -> Types:
        """Those types that are VARCHAR or bytes, by the places of their parameters. None without the question, which
        the driver may be able to put; where the server cannot tell, it could not tell the driver either."""
        found: Types = None
        marked = with_names(text, count)
        if marked is not None:
            try:
                rows = raw.run("EXEC sys.sp_describe_undeclared_parameters ?", (marked,)).fetchall()
                found = {row[0] - 1: kind[0] for row in rows if (kind := _TOLD.match(row[3]))}
            except pyodbc.Error as error:
                sqlstate, code = codes(error)
                if code is None or (sqlstate or "").startswith("08") or BY_CODE.get(code) in _PASSING:
                    return None  # the next time it may tell
                found = {}
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[text] = found
        return found


def _size(value: Any, kind: str) -> Size | None:
    if value is None:
        return BYTES_NULL if kind in BYTES else TEXT_NULL
    narrow = kind in _NARROW and is_ascii(value) and 2 * len(value) <= AT_ONCE
    return _VARCHARS if narrow else None


def with_names(text: str, count: int) -> str | None:
    """Driver text with a variable for each of its placeholders; None where more `?` stand in it than these."""
    pieces = text.split("?")
    if len(pieces) != count + 1:
        return None  # a literal or a comment has one, too
    return "".join(f"{piece}@nexusql_{n}" for n, piece in enumerate(pieces[:-1], 1)) + pieces[-1]
