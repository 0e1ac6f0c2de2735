"""Bulk writes on SQLite: prepared INSERTs of many rows each, and of one row for what is left over."""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any

from nexusql._speedups import END, flat_rows
from nexusql.backends.base import Raw
from nexusql.backends.bulk import (
    MOST_BYTES,
    Record,
    RowFault,
    Taken,
    Target,
    Writer,
    blames_row,
    column_list,
    conflict_clause,
    counts_keys,
    table_parts,
)
from nexusql.backends.common import error_of_python, unsendable
from nexusql.backends.sqlite.syntax import SYNTAX
from nexusql.backends.tables import Column, Table
from nexusql.backends.values import Values
from nexusql.errors import Error, ParameterError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes

# Parameters of one statement: with more the time a row no longer falls, while preparing it takes longer.
PARAMETERS = 1000
KEPT_HERE = 8_000_000  # bytes of the keys of an upsert, some
KEY_SIZE = 100  # bytes that a key takes beside its text, some

_serial = count(1)


class SqliteBulk:
    """See nexusql.backends.bulk.BulkWrites."""

    default_row = "DEFAULT VALUES"
    refuses_wholly = True

    def __init__(self, values: Values) -> None:
        self._values = values

    def returns(self, modes: SessionModes) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        return True

    def describe(self, raw: Raw, table: str) -> Table | None:
        """From SQLite's pragmas; of a name without a schema, the table that a statement would find."""
        parts = [name for name, _ in table_parts(table)]
        if len(parts) > 2:
            raise ParameterError(f"the table name {table!r} has more parts than SQLite has")
        *schema, name = parts
        known = "SELECT name FROM pragma_database_list WHERE name = ? COLLATE NOCASE"
        quoted = ".".join(quote_identifier(part, SYNTAX) for part in parts)
        if schema and not raw.execute(known, schema).fetchall():  # a pragma would name the schema only
            raw.execute(f"SELECT 1 FROM {quoted} WHERE 0")
        names = ", ".join("?" * len(parts))
        listed = f"SELECT name, type, dflt_value, pk, hidden FROM pragma_table_xinfo({names})"
        found = raw.execute(listed, [name, *schema]).fetchall()
        if not found:
            raw.execute(f"SELECT 1 FROM {quoted} WHERE 0")
            return None
        primary = tuple(name for name, *_ in sorted((r for r in found if r[3]), key=lambda r: r[3]))
        listed = f'SELECT name, origin FROM pragma_index_list({names}) WHERE "unique" AND NOT partial'
        indexes = raw.execute(listed, [name, *schema]).fetchall()
        # A lone INTEGER PRIMARY KEY is another name of the row's number, and has no index of its own.
        numbered = len(primary) == 1 and not any(origin == "pk" for _, origin in indexes)
        keys = [primary] if primary else []
        for index, origin in indexes:
            listed = f"SELECT name FROM pragma_index_info({names}) ORDER BY seqno"
            key = tuple(column for (column,) in raw.execute(listed, [index, *schema]).fetchall())
            if origin != "pk" and None not in key:  # None stands for an expression
                keys.append(key)
        columns = {
            column: Column(column, kind, default or "", numbered and pk > 0, hidden in (2, 3))
            for column, kind, default, pk, hidden in found
            if hidden != 1
        }
        return Table(table, quoted, columns, primary, tuple(keys))

    def writer(self, raw: Raw, target: Target) -> Writer:
        """INSERTs of many rows; of one row each where values are wanted back, since RETURNING promises no order."""
        return SqliteWriter(target, self._values)

    def blames_row(self, error: Error) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        return blames_row(error, frozenset())


class SqliteWriter(Writer):
    """INSERT .. VALUES (..), (..)."""

    def __init__(self, target: Target, values: Values) -> None:
        super().__init__(target)
        self._values = values
        self._width = width = len(target.columns)
        self._pending: list[Any] = []
        self._taken = 0
        self._seen = SeenKeys(target) if counts_keys(target) else None
        if width:
            marks = f"({', '.join('?' * width)})"
            head = f"INSERT INTO {target.table.sql} ({column_list(target.columns, SYNTAX)}) VALUES "
            tail = conflict_clause(target, SYNTAX)
        else:
            marks, head, tail = "", f"INSERT INTO {target.table.sql} DEFAULT VALUES", ""
        if target.returning:
            tail += f" RETURNING {quote_identifier(target.returning, SYNTAX)}"
        self._by_row = bool(target.returning) or not width
        self.strategy = "rows" if self._by_row else "values"
        self._many = max(1, PARAMETERS // (width or 1))
        self._parts = (head, marks, tail)
        self._texts: dict[int, str] = {}

    def _text(self, rows: int) -> str:
        """The INSERT of so many rows."""
        if rows not in self._texts:
            head, marks, tail = self._parts
            self._texts[rows] = head + ", ".join([marks] * rows) + tail
        return self._texts[rows]

    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Bind values as every statement does."""
        values, target = self._values, self.target
        adapters, otherwise, room = values.adapters, values.adapt_other, max(MOST_BYTES - self.waiting, 0)
        flat, count, status, detail = flat_rows(
            first, rows, target.names, self._width, target.surplus, adapters, otherwise, max_rows, kept, room
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
        try:
            if taken and self._seen is not None:
                self._seen.add(raw, flat, self._width)
            written = self._write_each(raw, flat, taken) if self._by_row else self._write_many(raw, flat)
        except (OverflowError, UnicodeEncodeError) as error:
            place = unsendable(error, flat)
            if place is None:
                raise
            row, column = place // self._width, self.target.columns[place % self._width]
            raise RowFault(str(error_of_python(error, None)), row, column) from error
        self.stored = self.stored + written if self._seen is None else self._seen.count

    def _write_many(self, raw: Raw, flat: list[Any]) -> int:
        """As many as possible at once; the rest in powers of two, since each number of rows is prepared by itself."""
        written = start = 0
        left = len(flat) // self._width
        while left:
            rows = self._many if left >= self._many else 1 << left.bit_length() - 1
            end = start + rows * self._width
            written += raw.execute(self._text(rows), flat[start:end]).rowcount
            start, left = end, left - rows
        return written

    def _write_each(self, raw: Raw, flat: list[Any], taken: int) -> int:
        """Row by row: RETURNING promises no order among the rows of one statement."""
        values = iter(flat)
        written = 0
        for _ in range(taken):
            cursor = raw.execute(self._text(1), tuple(islice(values, self._width)))
            if self.target.returning:
                returned = cursor.fetchall()
                self.ids.append(returned[0][0] if returned else None)
                written += len(returned)
            else:
                written += cursor.rowcount
        return written

    def settle(self, raw: Raw) -> None:
        """Forget the keys."""
        if self._seen is not None:
            self._seen.close(raw)


class SeenKeys:
    """The keys of an upsert's rows, of which some are equal as SQLite compares them.

    A row that a later one of the same columns replaces is not stored in the end, so `count` counts keys and not rows.
    Integers in a column for them, and text in one that is compared byte by byte, are equal in SQLite where they are
    here, so such keys are counted here, as long as they take little memory; all others by SQLite, which alone knows its
    conversions and collations. Where it stores text as UTF-16 it makes some characters into one on the way.
    """

    def __init__(self, target: Target) -> None:
        assert target.conflict is not None
        self._settled = 0
        self._count = 0
        self._table = target.table
        self._key = target.conflict.key
        self._positions = [target.columns.index(name) for name in self._key]
        self._affinities = [_affinity(self._table.columns[name].type) for name in self._key]
        self._collations: list[str] = []
        self._keeps_text = False
        self._begin()

    def _begin(self) -> None:
        self._here: set[tuple[Any, ...]] = set()
        self._room = KEPT_HERE
        self._first: list[tuple[Any, ...]] = []
        self._insert = ""

    @property
    def count(self) -> int:
        """The number of keys; those that were seen before `close` count again."""
        return self._settled + self._count

    def add(self, raw: Raw, flat: Sequence[Any], width: int) -> None:
        """Take the keys of rows into account; a table is made for them where a second row needs SQLite to compare."""
        columns = [flat[position::width] for position in self._positions]
        keys = list(zip(*columns, strict=True))
        if self._comparable_here(raw, columns):
            self._here.update(keys)
            self._count = len(self._here)
            return
        if not self._insert:
            keys = self._first = [*self._here, *self._first, *keys]
            self._here = set()
            if len(keys) < 2:
                self._count = len(keys)
                return
            self._create(raw)
            self._count = 0
        self._count += raw.executemany(self._insert, keys).rowcount

    def _comparable_here(self, raw: Raw, columns: list[Sequence[Any]]) -> bool:
        """Whether Python finds the same keys equal as SQLite does, these and all before."""
        if not self._collations:
            self._collations = _collations(raw, self._table, self._key)
            self._keeps_text = raw.execute("PRAGMA encoding").fetchall() == [("UTF-8",)]
        if self._room <= 0 or self._insert or self._first:
            return False
        for affinity, collation, column in zip(self._affinities, self._collations, columns, strict=True):
            types = set(map(type, column))
            if affinity == "TEXT" and types == {str} and collation.upper() == "BINARY" and self._keeps_text:
                self._room -= sum(map(len, column))
            elif affinity != "INTEGER" or types != {int}:
                return False
            self._room -= len(column) * KEY_SIZE
        return True

    def _create(self, raw: Raw) -> None:
        self._name = name = f"nexusql_seen_keys_{next(_serial)}"
        declared = ", ".join(f"k{i} {affinity}" for i, affinity in enumerate(self._affinities))
        indexed = ", ".join(f"k{i} COLLATE {quote_identifier(c, SYNTAX)}" for i, c in enumerate(self._collations))
        raw.execute(f"CREATE TEMP TABLE {name} ({declared})")
        raw.execute(f"CREATE UNIQUE INDEX temp.{name}_index ON {name} ({indexed})")
        self._insert = f"INSERT INTO temp.{name} VALUES ({', '.join('?' * len(self._key))}) ON CONFLICT DO NOTHING"

    def close(self, raw: Raw) -> None:
        """Drop what is kept."""
        if self._insert:
            raw.execute(f"DROP TABLE temp.{self._name}")
        self._settled += self._count
        self._count = 0
        self._begin()


def _affinity(declared: str) -> str:
    """The affinity of a declared type (https://www.sqlite.org/datatype3.html, 3.1)."""
    kind = declared.upper()
    for fragments, affinity in _AFFINITIES:
        if any(fragment in kind for fragment in fragments):
            return affinity
    return "NUMERIC" if kind else "BLOB"


_AFFINITIES = (
    (("INT",), "INTEGER"),
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)


def _collations(raw: Raw, table: Table, key: tuple[str, ...]) -> list[str]:
    """The collation by which each column of a unique key is compared."""
    *schema, name = [part for part, _ in table_parts(table.name)]
    names = ", ".join("?" * (1 + len(schema)))
    indexes = raw.execute(f'SELECT name FROM pragma_index_list({names}) WHERE "unique"', [name, *schema])
    for (index,) in indexes.fetchall():
        columns = f"SELECT name, coll FROM pragma_index_xinfo({names}) WHERE key"
        collations = dict(raw.execute(columns, [index, *schema]).fetchall())
        if set(collations) == set(key):
            return [collations[column] for column in key]
    return ["BINARY"] * len(key)  # the number of a row, which is compared as a number
