"""Types of parameters: a text that is compared with a VARCHAR column is sent as VARCHAR.

The driver sends every text as NVARCHAR, and the server then converts the column instead of looking into its index.
Which parameters meet such columns the server tells itself, once for each statement
(https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql).
"""

import re
from collections.abc import Sequence
from typing import Any

import pyodbc

from nexusql.backends.base import Status
from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.values import is_ascii

REMEMBERED = 4096  # statements
LONGEST = 8000  # characters of a VARCHAR with a length

_COMPARES = re.compile(r"\b(?:WHERE|ON|HAVING)\b", re.IGNORECASE)
_VARCHAR = re.compile(r"(?:var)?char\(\d+\)")

Size = tuple[int, int, int]


class ParameterTypes:
    """Which parameters of which driver texts are to be sent as VARCHAR; learnt outside transactions."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[int]] = {}

    def sizes(self, raw: MssqlSession, text: str, args: Sequence[Any]) -> list[Size | None] | None:
        """The types of a statement's parameters as Cursor.setinputsizes takes them, or None where there is none to be
        said. A text that is not ASCII stays NVARCHAR: a code page may not have its characters."""
        narrow = self._known.get(text)
        if narrow is None:
            # An error of the question would be one inside the transaction.
            if raw.status is not Status.IDLE or not any(map(is_ascii, args)):
                return None
            narrow = self._learn(raw, text, len(args))
        if not narrow:
            return None
        return [
            (pyodbc.SQL_VARCHAR, max(len(value), 1), 0)
            if place in narrow and is_ascii(value) and len(value) <= LONGEST
            else None
            for place, value in enumerate(args)
        ]

    def _learn(self, raw: MssqlSession, text: str, count: int) -> frozenset[int]:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        found = frozenset[int]()
        marked = with_names(text, count) if _COMPARES.search(text) else None
        if marked is not None:
            try:
                rows = raw.run("EXEC sys.sp_describe_undeclared_parameters ?", (marked,)).fetchall()
                found = frozenset(row[0] - 1 for row in rows if _VARCHAR.fullmatch(row[3]))
            except pyodbc.Error:
                found = frozenset()  # the server cannot tell, and a text stays NVARCHAR
        self._known[text] = found
        return found


def with_names(text: str, count: int) -> str | None:
    """Driver text with a variable for each of its placeholders; None where more `?` stand in it than these."""
    pieces = text.split("?")
    if len(pieces) != count + 1:
        return None  # a literal or a comment has one, too
    return "".join(f"{piece}@nexusql_{n}" for n, piece in enumerate(pieces[:-1], 1)) + pieces[-1]
