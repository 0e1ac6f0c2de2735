"""Bulk writes on PostgreSQL: COPY, by way of a temporary table where keys may conflict; INSERT where COPY is closed."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import count
from typing import Any

import psycopg2

from nexusql._speedups import STR, UNFIT, binary_rows, copy_rows
from nexusql.backends.base import Raw
from nexusql.backends.bulk import (
    MOST_BYTES,
    Record,
    Taken,
    Target,
    Writer,
    blames_row,
    column_list,
    conflict_clause,
)
from nexusql.backends.errors import driver_error
from nexusql.backends.postgresql.catalogue import Run, describe, type_numbers
from nexusql.backends.postgresql.copybinary import whole, wire_forms
from nexusql.backends.postgresql.copytext import form
from nexusql.backends.postgresql.insertion import Insertion
from nexusql.backends.postgresql.syntax import SYNTAX
from nexusql.backends.tables import Column, Table
from nexusql.backends.values import Values
from nexusql.errors import DataError, Error, OperationalError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes

PIECE = 1 << 18  # bytes that psycopg2 asks for at a time
PLACE = "nexusql_place"  # the column that numbers the rows of a temporary table

STALE = "22P03"  # invalid_binary_representation: the table is not what it was when it was described
_MISREAD = frozenset({STALE, "08P01"})  # what a value of another type is to the server, when it does not fit at all

# What PL/pgSQL raises, and what is longer than an index or a page can hold.
_ROW_CODES = frozenset({"P0001", "P0002", "P0003", "P0004", "54000"})
# Where the server's source reports a RAISE with a code of its own, and a policy of row-level security: that one has the
# code of a missing privilege on the table.
_ROW_FUNCTIONS = frozenset({"exec_stmt_raise", "ExecWithCheckOptions"})

_serial = count(1)


class PostgresqlBulk:
    """See nexusql.backends.bulk.BulkWrites."""

    default_row = "DEFAULT VALUES"
    refuses_wholly = True

    def __init__(self, values: Values, run: Run) -> None:
        self._values = values
        self._run = run

    def returns(self, modes: SessionModes) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        return True

    def describe(self, raw: Raw, table: str) -> Table | None:
        """From the system catalogues."""
        return describe(self._run, raw, table)

    def writer(self, raw: Raw, target: Target) -> Writer:
        """COPY into the table, or beside it where rows may conflict; INSERT where that is not allowed."""
        obstacle = _obstacle(target)
        if obstacle or not target.columns:
            return InsertWriter(target, self._values, self._run, obstacle)
        if target.conflict:
            return MergeWriter(target, self._values, self._run)
        return CopyWriter(target, self._values, self._run)

    def blames_row(self, error: Error) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        function = getattr(getattr(error.__cause__, "diag", None), "source_function", None)
        return blames_row(error, _ROW_CODES) or (
            function in _ROW_FUNCTIONS and not isinstance(error, OperationalError)  # to be tried again, as it says
        )


def _obstacle(target: Target) -> str:
    """Why rows cannot be copied; "" where they can."""
    table = target.table
    if table.obstacle:
        return table.obstacle
    if target.returning and target.returning not in table.primary and table.unsteady:
        return table.unsteady  # a key is taken to be what it was given as
    needed: tuple[str, ...] = (target.returning,) if target.returning else ()
    if target.conflict is not None:
        if table.no_staging:
            return table.no_staging
        if target.returning and not table.primary and target.conflict.action == "ignore":
            return "without a primary key nothing tells which rows were inserted"
        needed = merging_needs(target)
    computed = next((name for name in needed if table.columns[name].generated), None)
    return "" if computed is None else f"{computed} is computed by the database"


class TextWriter(Writer):
    """Takes rows as the text that COPY reads."""

    def __init__(self, target: Target, values: Values, run: Run) -> None:
        super().__init__(target)
        self._run = run
        forms = [form(values, target.table.columns[name].type) for name in target.columns]
        self._masks = tuple(mask for mask, _ in forms)
        self._converters = tuple(convert for _, convert in forms)
        self._pieces: list[bytes] = []
        self._taken = 0

    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Write rows as text."""
        target = self.target
        room = max(MOST_BYTES - self.waiting, 0)
        data, taken, status, detail = copy_rows(
            first, rows, target.names, target.surplus, self._masks, self._converters, max_rows, room, kept
        )
        if taken:
            self._pieces.append(data)
            self._taken += taken
            self.waiting += len(data)
        return Taken(taken, status, detail)

    def flush(self, raw: Raw) -> None:
        """Write what was taken."""
        pieces, taken = self._pieces, self._taken
        self._pieces, self._taken, self.waiting = [], 0, 0
        if taken:
            self._write(raw, b"".join(pieces), taken)

    @abstractmethod
    def _write(self, raw: Raw, data: bytes, taken: int) -> None:
        """Write rows of COPY text."""

    def _insert(self, raw: Raw, insertion: Insertion, data: bytes, taken: int) -> None:
        if not self.stored:
            self.strategy = insertion.strategy
        stored, ids = insertion.write(self._run, raw, data, taken)
        self.stored += stored
        self.ids += ids


def _copy(raw: Raw, table: str, columns: str, data: bytes, options: str = "") -> int:
    cursor = raw.cursor()
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN{options}", BytesIO(data), PIECE)
    written: int = cursor.rowcount
    return written


class CopyWriter(TextWriter):
    """COPY .. FROM STDIN: in binary form, which the server reads faster, up to the first value that has none.

    From there on all goes as text, so that the server takes or refuses each value as it does its text. So does a row
    that is flushed by itself: it goes by INSERT, which takes fewer messages.
    """

    strategy = "copy"

    def __init__(self, target: Target, values: Values, run: Run) -> None:
        super().__init__(target, values, run)
        self._columns = column_list(target.columns, SYNTAX)
        self._drawn: Column | None = None
        self._records: list[Record] | None = None
        if target.returning in target.columns:
            self._records = []
        elif target.returning is not None:
            self._drawn = target.table.columns[target.returning]
            self._columns = column_list((*target.columns, target.returning), SYNTAX)
        kinds = (target.table.columns[name].type for name in target.columns)
        self._forms = wire_forms(values, kinds) if self._drawn is None else None  # what is drawn is known as text
        self._binary: list[bytes] = []
        self._in_binary = 0  # rows
        self._first = b""  # the text of the first of them
        self._certain = True

    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Write rows in binary form, as far as they have one, and those behind as text."""
        if self._records is None:
            return self._take(first, rows, max_rows, kept)
        records: list[Record] = []
        taken = self._take(first, rows, max_rows, records)
        self._records += records
        if kept is not None:
            kept += records
        return taken

    def _take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        forms, target = self._forms, self.target
        if forms is None:
            return super().take(first, rows, max_rows, kept)
        masks, converters, room = self._masks, self._converters, max(MOST_BYTES - self.waiting, 0)
        if not self._binary:
            self._first, *_ = copy_rows(first, iter(()), target.names, target.surplus, masks, converters, 1, room, None)
        data, taken, status, detail = binary_rows(
            first, rows, target.names, target.surplus, forms, masks, converters, max_rows, room, kept
        )
        if taken:
            self._binary.append(data)
            self._in_binary += taken
            self.waiting += len(data)
        if status != UNFIT:
            return Taken(taken, status, detail)
        self._forms = None
        rest = super().take(detail, rows, max_rows - taken, kept)
        return rest._replace(taken=taken + rest.taken)

    def flush(self, raw: Raw) -> None:
        """Write what was taken."""
        pieces, count, self._binary, self._in_binary = self._binary, self._in_binary, [], 0
        if self._records is not None:
            self.ids += [self.target.value(record, str(self.target.returning)) for record in self._records]
            self._records = []
        if count == 1 and self._first and not self._taken:
            self._pieces, self._taken, pieces = [self._first], 1, []
        if pieces:
            self._certain = False
            try:
                self._copy(raw, whole(pieces), " BINARY")
            except psycopg2.Error as error:
                if error.pgcode in _MISREAD:
                    raise driver_error(DataError, error, sqlstate=STALE, code=error.pgcode) from error
                raise
        super().flush(raw)

    def settle(self, raw: Raw) -> None:
        """See that what was written in binary form was read as what it is: a type that another session has changed
        before could have made something else of it. From the COPY to the end of the transaction none can change."""
        if self._certain:
            return
        table = self.target.table
        now = type_numbers(self._run, raw, table.sql)
        changed = [name for name in self.target.columns if now.get(name) != table.columns[name].type_number]
        if changed:
            error = DataError(
                f"the type of {', '.join(changed)} has been changed by another session; nothing was written"
            )
            error.sqlstate = STALE
            raise error
        self._certain = True

    def _write(self, raw: Raw, data: bytes, taken: int) -> None:
        if taken == 1 and self._drawn is None:  # to give it back, an INSERT needs the right to read it
            self._insert(raw, Insertion(replace(self.target, returning=None)), data, 1)
            return
        if self._drawn is not None:
            drawn = self._draw(raw, self._drawn, taken)
            self.ids += [value for value, _ in drawn]
            texts = ((text,) for _, text in drawn)
            fields, *_ = copy_rows(None, texts, None, False, (STR,), (str,), taken, MOST_BYTES * taken, None)
            lines = zip(data.split(b"\n")[:taken], fields.split(b"\n")[:taken], strict=True)
            data = b"".join([b"%b\t%b\n" % pair for pair in lines])
        self._copy(raw, data)

    def _copy(self, raw: Raw, data: bytes, options: str = "") -> None:
        self.strategy = CopyWriter.strategy
        self.stored += _copy(raw, self.target.table.sql, self._columns, data, options)

    def _draw(self, raw: Raw, column: Column, number: int) -> list[tuple[Any, str | None]]:
        """Values of a column's default, as many as there are rows, as the column gives them and as text: COPY returns
        none."""
        # Assigned as an INSERT does. These would be cut to a length of one; as text they come from anything anyhow.
        assigned = "value" if column.type.startswith(("character", "bit")) else f"value::{column.type}"
        values = f"SELECT ({column.default or 'NULL'}) FROM pg_catalog.generate_series(1, {number}) OFFSET 0"
        drawn: list[tuple[Any, str | None]] = self._run(
            raw, f"SELECT value::{column.declared}, ({assigned})::text FROM ({values}) AS drawn (value)", None
        ).fetchall()
        return drawn


class MergeWriter(TextWriter):
    """COPY into a temporary table, whose rows then go to their table all at once, however many they are.

    That table stays for later writers in the same transaction: each has locks, which are held to its end, and their
    number is limited.

    Rows that are equal by the key, which the server judges, are told apart there: an upsert takes the last of them, and
    what is there already is left alone where conflicts are ignored. A row by itself needs no table.
    """

    strategy = "copy+merge"

    def __init__(self, target: Target, values: Values, run: Run) -> None:
        super().__init__(target, values, run)
        assert target.conflict is not None
        self._conflict = target.conflict
        # Defaults of these are drawn while rows are copied, so that each row of the input has its own.
        self._drawn = tuple(name for name in dict.fromkeys(merging_needs(target)) if name not in target.columns)
        names = (*target.columns, *self._drawn)
        self._columns = column_list(names, SYNTAX)
        self._likeness = (target.table.sql, tuple((name, target.table.columns[name].type) for name in names))
        self._lone = b""  # a row that may be the only one
        self._stage = ""

    def _write(self, raw: Raw, data: bytes, taken: int) -> None:
        if not self._stage and not self._lone and taken == 1:
            self._lone = data
            return
        if not self._stage:
            self._create(raw)
            data, self._lone = self._lone + data, b""
        _copy(raw, self._stage, column_list(self.target.columns, SYNTAX), data)

    def _create(self, raw: Raw) -> None:
        """A temporary table with the columns as they are in their table, and the rows' order, unless it is there."""
        table = self.target.table
        names = raw.stages.setdefault(self._likeness, [])
        name = names.pop() if names else f"nexusql_rows_{next(_serial)}"
        text = (
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ON COMMIT DROP AS"
            f" SELECT {self._columns} FROM {table.sql} WITH NO DATA; ALTER TABLE pg_temp.{name}"
            f" ADD COLUMN IF NOT EXISTS {PLACE} bigint GENERATED ALWAYS AS IDENTITY"
        )
        for column in self._drawn:
            default = table.columns[column].default or "NULL"
            text += f", ALTER COLUMN {quote_identifier(column, SYNTAX)} SET DEFAULT {default}"
        self._run(raw, text, None)
        self._stage = f"pg_temp.{name}"
        self.strategy = MergeWriter.strategy

    def settle(self, raw: Raw) -> None:
        """Merge what was copied into the table."""
        if self._lone:
            self._insert(raw, Insertion(self.target), self._lone, 1)
            self._lone = b""
        if not self._stage:
            return
        insert = (
            f"INSERT INTO {self.target.table.sql} ({self._columns}) OVERRIDING SYSTEM VALUE SELECT {self._columns}"
            f" FROM ({self._survivors()}) AS rows ORDER BY {PLACE}{conflict_clause(self.target, SYNTAX)}"
        )
        if self.target.returning is None:
            self.stored += self._run(raw, insert, None).rowcount
        else:
            self._merge_and_tell(raw, insert, self.target.returning)
        self._run(raw, f"TRUNCATE {self._stage}", None)
        self.abandon(raw)

    def abandon(self, raw: Raw) -> None:
        """Give the temporary table to those who come; a rollback has emptied it, or taken it away."""
        if self._stage:
            raw.stages[self._likeness].append(self._stage.rpartition(".")[2])
            self._stage = ""

    def _survivors(self) -> str:
        """The rows that no later row of the same key replaces; where a part of the key is NULL, none does, unless the
        key holds NULLs to be equal. Columns that an update leaves alone are those of the key's first row."""
        conflict = self._conflict
        if conflict.action == "ignore":
            return f"SELECT * FROM {self._stage}"
        key = column_list(conflict.key, SYNTAX)
        if conflict.key not in self.target.table.keys_with_null:
            nulls = " OR ".join(f"{quote_identifier(name, SYNTAX)} IS NULL" for name in conflict.key)
            key += f", CASE WHEN {nulls} THEN {PLACE} END"
        columns, window = "*", ""
        if not set(self.target.columns) <= {*conflict.key, *conflict.update}:
            names = ((name, quote_identifier(name, SYNTAX)) for name in (*self.target.columns, *self._drawn))
            columns = ", ".join(
                quoted if name in conflict.update else f"first_value({quoted}) OVER same AS {quoted}"
                for name, quoted in names
            )
            columns, window = f"{columns}, {PLACE}", f" WINDOW same AS (PARTITION BY {key} ORDER BY {PLACE})"
        order = f"ORDER BY {key}, {PLACE} DESC"
        return f"SELECT DISTINCT ON ({key}) {columns} FROM {self._stage}{window} {order}"

    def _merge_and_tell(self, raw: Raw, insert: str, returning: str) -> None:
        """Merge, and tell of each row the value that the row of its key has now: of ignored rows none has one, and of
        inserted rows with one key the first has it."""
        witness = _witness(self.target)
        names = [quote_identifier(name, SYNTAX) for name in witness]
        equal = "IS NOT DISTINCT FROM" if witness in self.target.table.keys_with_null else "="
        same = " AND ".join(f"new.k{i} {equal} s.{name}" for i, name in enumerate(names))
        value = quote_identifier(returning, SYNTAX)
        if self._conflict.action == "ignore":
            keys = ", ".join(f"s.{name}" for name in names)
            told = f"CASE WHEN row_number() OVER (PARTITION BY {keys} ORDER BY {PLACE}) = 1 THEN new.told END"
        else:  # a row is not found again where a part of its key is NULL, and then it was inserted as it is
            told = f"CASE WHEN new.there THEN new.told ELSE s.{value} END"
        found = ", ".join(f"{name} AS k{i}" for i, name in enumerate(names))
        text = (
            f"WITH new AS ({insert} RETURNING {found}, {value} AS told, TRUE AS there)"
            f" SELECT CASE WHEN row_number() OVER (ORDER BY {PLACE}) = 1 THEN (SELECT count(*) FROM new) END, {told}"
            f" FROM {self._stage} AS s LEFT JOIN new ON {same} ORDER BY {PLACE}"
        )
        for written, value in self._run(raw, text, None):  # there may be millions
            self.stored += written or 0
            self.ids.append(value)


def _witness(target: Target) -> tuple[str, ...]:
    """The key by which a row is found again."""
    assert target.conflict is not None
    return target.table.primary if target.conflict.action == "ignore" else target.conflict.key


def merging_needs(target: Target) -> tuple[str, ...]:
    """The columns that rows must have, beside those that they are given, to be merged as asked for."""
    if target.returning is not None:
        return (target.returning, *_witness(target))
    assert target.conflict is not None
    return target.conflict.key if target.conflict.action == "update" else ()


class InsertWriter(TextWriter):
    """INSERT, where COPY is closed."""

    def __init__(self, target: Target, values: Values, run: Run, obstacle: str) -> None:
        super().__init__(target, values, run)
        self._insertion = Insertion(target)
        self.shortfall = obstacle

    def _write(self, raw: Raw, data: bytes, taken: int) -> None:
        self._insert(raw, self._insertion, data, taken)
