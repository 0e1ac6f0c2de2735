"""INSERT of rows that are there as COPY text: where COPY is closed, and for a row by itself."""

import re
from itertools import islice
from typing import Any

from nexusql.backends.base import Raw
from nexusql.backends.bulk import Target, column_list, conflict_clause
from nexusql.backends.postgresql.catalogue import Run
from nexusql.backends.postgresql.syntax import SYNTAX
from nexusql.sql.identifiers import quote_identifier

ROWS = 100  # of one statement

_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


class Insertion:
    """INSERT of rows of COPY text: its values are untyped literals of the same text, so that they take the columns'
    types. `strategy` is the bulk result's."""

    def __init__(self, target: Target) -> None:
        self._returning = target.returning is not None
        updates = target.conflict is not None and target.conflict.action == "update"
        # One statement cannot update a row twice, and what it returns has no promised order.
        self._by_row = updates or self._returning or not target.columns
        self.strategy = "rows" if self._by_row else "values"
        self._marks = f"({', '.join(['%s'] * len(target.columns))})" if target.columns else ""
        head, tail = f"INSERT INTO {target.table.sql} DEFAULT VALUES", conflict_clause(target, SYNTAX)
        if target.columns:
            columns = column_list(target.columns, SYNTAX)
            head = f"INSERT INTO {target.table.sql} ({columns}) OVERRIDING SYSTEM VALUE VALUES "
        if target.returning is not None:
            tail += f" RETURNING {quote_identifier(target.returning, SYNTAX)}"
        if target.columns:  # then psycopg2 looks for placeholders
            head, tail = head.replace("%", "%%"), tail.replace("%", "%%")
        self._head, self._tail = head, tail

    def write(self, run: Run, raw: Raw, data: bytes, taken: int) -> tuple[int, list[Any]]:
        """How many rows are stored now, and of each the value that is wanted back."""
        stored, ids = 0, []
        lines = iter(data.decode().split("\n")[:taken])
        while rows := list(islice(lines, 1 if self._by_row else ROWS)):
            values = [_field(text) for row in rows for text in row.split("\t")] if self._marks else None
            cursor = run(raw, self._head + ", ".join([self._marks] * len(rows)) + self._tail, values)
            stored += cursor.rowcount
            if self._returning:
                returned = cursor.fetchall()
                ids.append(returned[0][0] if returned else None)
        return stored, ids


def _field(text: str) -> str | None:
    """A field of COPY text as it was before it was escaped."""
    if text == "\\N":
        return None
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text) if "\\" in text else text
