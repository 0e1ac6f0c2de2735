"""Bulk writes on SQL Server: INSERTs of many rows with typed parameters, and MERGE from a temporary table for upserts.

The driver's `fast_executemany` is not used: it can lose rows without an error (pyodbc's issues 665 and 1053), and
allots its buffers by the first row (371, 450).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, cast

import pyodbc

from nexusql._speedups import END, flat_rows
from nexusql.backends.base import Raw
from nexusql.backends.bulk import MOST_BYTES, Record, RowFault, Taken, Target, Writer, blames_row, column_list
from nexusql.backends.common import error_of_python
from nexusql.backends.mssql.catalogue import BYTES, MssqlTable, read_table
from nexusql.backends.mssql.error_codes import BY_CODE
from nexusql.backends.mssql.numbering import announcement
from nexusql.backends.mssql.parameters import AT_ONCE, BYTES_NULL, TEXT_NULL
from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.staging import Stage
from nexusql.backends.mssql.syntax import SYNTAX
from nexusql.backends.mssql.values import DIGITS
from nexusql.backends.tables import Table
from nexusql.backends.values import Values
from nexusql.errors import Error
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes

# The server's limits are 2,100 parameters, some of which the driver needs, and 1,000 rows in VALUES.
PARAMETERS = 2_000
ROWS = 1_000
_TEXT = (pyodbc.SQL_WVARCHAR, 4_000, 0)  # the longest NVARCHAR with a length

_ROW_CODES = frozenset({511, 1701})  # too large, the table's own rows are
_FIRST_OF_USERS = 50_000  # what RAISERROR and THROW give, of which a trigger may have any


class MssqlBulk:
    """See nexusql.backends.bulk.BulkWrites."""

    default_row = "DEFAULT VALUES"
    refuses_wholly = False  # a RAISERROR in a trigger leaves the row

    def __init__(self, values: Values) -> None:
        self._values = values

    def returns(self, modes: SessionModes) -> bool:
        """RETURNING becomes OUTPUT."""
        return True

    def describe(self, raw: Raw, table: str) -> Table | None:
        """See nexusql.backends.mssql.catalogue."""
        return read_table(raw, table)

    def writer(self, raw: Raw, target: Target) -> Writer:
        """INSERTs of many rows; by way of a temporary table where rows may conflict."""
        return (StagedWriter if target.conflict is not None else MssqlWriter)(target, self._values)

    def blames_row(self, error: Error) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        code = error.code
        return blames_row(error, _ROW_CODES) or (
            isinstance(code, int) and code >= _FIRST_OF_USERS and code not in BY_CODE
        )


class MssqlWriter(Writer):
    """INSERT .. VALUES (..), (..)."""

    def __init__(self, target: Target, values: Values) -> None:
        super().__init__(target)
        self.table = cast(MssqlTable, target.table)
        self._values = values
        self._width = len(target.columns)
        self._pending: list[Any] = []
        self._taken = 0
        self._nulls = [_null_of(self.table.columns[name].type) for name in target.columns]
        self._by_row = target.returning is not None or not target.columns
        self.strategy = "rows" if self._by_row else "values"
        # A value for a column that the table numbers must be announced.
        self._numbers = any(self.table.columns[name].guarded for name in target.columns)
        self._announced = False

    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Bind values as every statement does."""
        values, target = self._values, self.target
        room = max(MOST_BYTES - self.waiting, 0)
        flat, count, status, detail = flat_rows(
            first,
            rows,
            target.names,
            self._width,
            target.surplus,
            values.adapters,
            values.adapt_other,
            max_rows,
            kept,
            room,
        )
        self._pending += flat
        self._taken += count
        if status != END and (count < max_rows or count == 1):  # else they are written next, and not worth the time
            self.waiting += sum(len(value) for value in flat if isinstance(value, (str, bytes)))
        return Taken(count, status, detail)

    def flush(self, raw: Raw) -> None:
        """Write what was taken."""
        flat, taken = self._pending, self._taken
        self._pending, self._taken, self.waiting = [], 0, 0
        if taken:
            self._announce(raw)
            self._write(raw, flat, taken)

    def _write(self, raw: MssqlSession, flat: list[Any], taken: int) -> None:
        if self._by_row:
            for row in range(taken):
                self._insert(raw, flat[row * self._width : (row + 1) * self._width], 1, row)
        else:
            for start, rows in parts(flat, self._width, taken):
                self._insert(raw, flat[start * self._width : (start + rows) * self._width], rows, start)

    def _insert(self, raw: MssqlSession, flat: list[Any], rows: int, first: int) -> None:
        """One statement for rows, of which the first is counted from what is waiting."""
        text = insert_text(self.target, self.table, rows)
        result = run_typed(raw, text, flat, self._nulls, self.target.columns, first)
        if self.target.returning is not None:
            self.ids += [value for (value,) in result.fetchall()]
        self.stored += rows

    def _announce(self, raw: MssqlSession) -> None:
        if self._numbers and not self._announced:
            raw.run(announcement(self.table.sql, begins=True), None)
            self._announced = True

    def settle(self, raw: Raw) -> None:
        """Take the announcement back; a session can make one at a time."""
        if self._announced:
            self._announced = False
            raw.run(announcement(self.table.sql, begins=False), None)

    abandon = settle


class StagedWriter(MssqlWriter):
    """INSERTs into a temporary table, and one MERGE of its rows: the server compares keys, by its collation."""

    def __init__(self, target: Target, values: Values) -> None:
        super().__init__(target, values)
        self.strategy = "staging"
        self._stage = Stage(target, self.table)
        self._nulls = [(pyodbc.SQL_BIGINT, 0, 0), *self._nulls]

    def _write(self, raw: MssqlSession, flat: list[Any], taken: int) -> None:
        width = self._width + 1
        numbered: list[Any] = []
        self._stage.create(raw)
        for row in range(taken):
            numbered.append(self._stage.rows + row)
            numbered += flat[row * self._width : (row + 1) * self._width]
        for start, rows in parts(numbered, width, taken):
            piece = numbered[start * width : (start + rows) * width]
            run_typed(raw, self._stage.insert_text(rows), piece, self._nulls, ("", *self.target.columns), start)
        self._stage.rows += taken

    def settle(self, raw: Raw) -> None:
        """Merge what was laid aside."""
        if self._stage.rows:
            stored, ids = self._stage.merge(raw)
            self.stored += stored
            self.ids += ids
        super().settle(raw)

    def abandon(self, raw: Raw) -> None:
        """Forget it; the rollback drops the table."""
        self._stage.rows = 0
        super().settle(raw)


def insert_text(target: Target, table: MssqlTable, rows: int) -> str:
    """An INSERT of rows; a trigger forbids OUTPUT without INTO
    (https://learn.microsoft.com/sql/t-sql/queries/output-clause-transact-sql)."""
    wanted = quote_identifier(target.returning, SYNTAX) if target.returning else ""
    output = f" OUTPUT INSERTED.{wanted}" if wanted else ""
    head, tail = "", ""
    if wanted and table.triggers:
        head = f"DECLARE @nexusql TABLE (value {table.declared[str(target.returning)]}); "
        output += " INTO @nexusql"
        tail = "; SELECT value FROM @nexusql"
    columns = f" ({column_list(target.columns, SYNTAX)})" if target.columns else ""
    content = marks(len(target.columns), rows) if target.columns else " DEFAULT VALUES"
    return f"{head}INSERT INTO {table.sql}{columns}{output}{content}{tail}"


def marks(width: int, rows: int) -> str:
    """VALUES with placeholders, with a blank before it."""
    row = f"({', '.join('?' * width)})"
    return f" VALUES {', '.join([row] * rows)}"


def parts(flat: list[Any], width: int, rows: int) -> Iterator[tuple[int, int]]:
    """Where the rows of each statement start, and their number: as many as it takes, one where a column has values of
    several types, of which the server would make one, or decimals that no one type holds without rounding
    (https://learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql)."""
    most = max(1, min(ROWS, PARAMETERS // width))
    for start in range(0, rows, most):
        count = min(most, rows - start)
        piece = flat[start * width : (start + count) * width]
        if all(_have_one_type(piece[column::width]) for column in range(width)):
            yield start, count
        else:
            yield from ((start + row, 1) for row in range(count))


def _have_one_type(values: list[Any]) -> bool:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds != {Decimal}:
        return len(kinds) <= 1
    numbers = [value.as_tuple() for value in values if value is not None]
    whole = max(len(digits) + exponent for _, digits, exponent in numbers)
    fraction = max(-exponent for _, _, exponent in numbers)
    fits: bool = max(whole, 0) + max(fraction, 0) <= DIGITS
    return fits


def run_typed(
    raw: MssqlSession,
    text: str,
    flat: Sequence[Any],
    nulls: Sequence[Any],
    columns: Sequence[str],
    first: int,
) -> Any:
    """Run a statement of rows. A text is sent with one length unless it is a long one, and NULL with its column's kind,
    for which the driver would ask the server each time. Raises RowFault for a value that the driver refuses."""
    width = len(nulls)
    sizes: list[Any] = []
    for place, value in enumerate(flat):
        if value is None:
            sizes.append(nulls[place % width])
        elif isinstance(value, str) and 2 * len(value) * (1 if value.isascii() else 2) <= AT_ONCE:
            sizes.append(_TEXT)
        else:
            sizes.append(None)
    try:
        return raw.run(text, flat, sizes)
    except (OverflowError, UnicodeEncodeError, ValueError) as error:
        fault = next((n for n, value in enumerate(flat) if not _is_bindable(value)), None)
        if fault is None:
            raise
        raise RowFault(str(error_of_python(error, None)), first + fault // width, columns[fault % width]) from error


def _is_bindable(value: Any) -> bool:
    try:
        return not isinstance(value, str) or value.encode("utf-16-le") is not None
    except UnicodeEncodeError:
        return False


def _null_of(kind: str) -> tuple[int, int, int]:
    return BYTES_NULL if kind in BYTES else TEXT_NULL
