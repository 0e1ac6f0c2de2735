"""Bulk writes on MySQL and MariaDB: INSERTs of many rows whose values are written by the compiled literal encoder."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from itertools import count
from typing import Any

from pymysql.err import OperationalError

from nexusql._speedups import FAULT, FULL, OTHER, flat_rows, literal_rows
from nexusql.backends.base import Raw
from nexusql.backends.bulk import (
    Record,
    Taken,
    Target,
    Writer,
    blames_row,
    column_list,
    counts_keys,
    table_parts,
)
from nexusql.backends.mysql.literals import forms
from nexusql.backends.mysql.syntax import SYNTAX
from nexusql.backends.tables import Column, Table
from nexusql.backends.values import Values
from nexusql.errors import DataError, Error, NotSupportedError, ParameterError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes

STATEMENT = 1_000_000  # bytes: longer ones are no faster
# What LAST_INSERT_ID() is set to where a row is left out; the largest number that every key column holds.
IGNORED = 2**63 - 1

_NUMBERS = re.compile(rb"\d+")
_ROW_CODES = frozenset({1118, 1526, 1644, 1748})  # too large, without a partition, a trigger's SIGNAL
_SIGNALS = "45"  # the class of SQLSTATEs that a SIGNAL is to have
_NOT_ALLOWED = frozenset({1044, 1142})

_serial = count(1)

Run = Callable[[Raw, Any, Any], Any]  # MysqlBackend.execute


class MysqlBulk:
    """See nexusql.backends.bulk.BulkWrites."""

    default_row = "() VALUES ()"
    refuses_wholly = True

    def __init__(self, values: Values, run: Run, mogrify: Run) -> None:
        self._values = values
        self._run = run
        self._mogrify = mogrify

    def returns(self, modes: SessionModes) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        return modes.flavour == "mariadb"

    def describe(self, raw: Raw, table: str) -> Table | None:
        """From SHOW COLUMNS and SHOW INDEX, which know temporary tables, too."""
        parts = [name for name, _ in table_parts(table)]
        if len(parts) > 2:
            raise ParameterError(f"the table name {table!r} has more parts than MySQL has")
        quoted = ".".join(quote_identifier(part, SYNTAX) for part in parts)
        columns = {
            name: Column(name, kind.partition("(")[0], default or "", "auto_increment" in extra, " GENERATED" in extra)
            for name, kind, _, _, default, extra in self._run(raw, f"SHOW COLUMNS FROM {quoted}", None).fetchall()
        }
        keys = {name: tuple(column for column, _ in parts) for name, parts in _keys(self._run, raw, quoted).items()}
        primary = keys.pop("PRIMARY", ())
        unique = [key for key in keys.values() if None not in key]  # None stands for an expression
        everything = (primary, *unique) if primary else tuple(unique)
        return Table(table, quoted, columns, primary, everything, no_undo=self._no_undo(raw, parts))

    def _no_undo(self, raw: Raw, parts: list[str]) -> str:
        """Why the engine of a table undoes nothing; "" where it does, and for a view or a temporary table."""
        schema = "%s" if len(parts) == 2 else "DATABASE()"
        engines = self._run(
            raw,
            "SELECT e.engine FROM information_schema.tables AS t JOIN information_schema.engines AS e"
            " ON e.engine = t.engine AND e.transactions = 'NO'"
            f" WHERE t.table_schema = {schema} AND t.table_name = %s",
            parts,
        ).fetchall()
        return f"its engine, {engines[0][0]}, undoes nothing" if engines else ""

    def writer(self, raw: Raw, target: Target) -> Writer:
        """INSERTs of many rows; the driver's way where the session is not in utf8mb4."""
        if raw.character_set != "utf8mb4":
            return DriverWriter(raw, target, self._values, self._run, self._mogrify)
        return MysqlWriter(raw, target, self._values, self._run)

    def blames_row(self, error: Error) -> bool:
        """See nexusql.backends.bulk.BulkWrites."""
        return blames_row(error, _ROW_CODES) or (error.sqlstate or "").startswith(_SIGNALS)


def _keys(run: Run, raw: Raw, table: str) -> dict[str, list[tuple[Any, int | None]]]:
    """The unique keys of a table by name: each column, None for an expression, with the length of its part in the key,
    None for all of it."""
    keys: dict[str, list[tuple[Any, int | None]]] = {}
    for _, repeats, name, _, column, _, _, length, *_ in run(raw, f"SHOW INDEX FROM {table}", None).fetchall():
        if not repeats:
            keys.setdefault(name, []).append((column, length))
    return keys


def _room(raw: Raw, head: bytes, tail: bytes) -> int:
    """The bytes that a statement may have between these: its packet has one more, and is shorter than the limit."""
    room: int = raw.max_allowed_packet - 2 - len(head) - len(tail)
    return room


class Ids(Enum):
    """Where the values of `returning` come from."""

    RETURNED = "the statement returns them"
    NUMBERED = "the reply tells the first"
    GIVEN = "the rows have them"


def _id_source(target: Target, flavour: str) -> Ids | None:
    """How the values of `returning` are had. Raises NotSupportedError where they cannot be."""
    wanted, conflict = target.returning, target.conflict
    if wanted is None:
        return None
    # With ON DUPLICATE KEY UPDATE the row that was there is returned, too, as if it had been inserted.
    if flavour == "mariadb" and (conflict is None or conflict.action == "update"):
        return Ids.RETURNED
    if wanted in target.columns:
        return Ids.GIVEN
    if target.table.columns[wanted].numbered:
        return Ids.NUMBERED
    raise NotSupportedError(
        f"{flavour} does not tell the value of {wanted!r} that it gives to a row here; give it in the rows"
    )


def _tail(target: Target, ids: Ids | None, raw: Raw) -> str:
    """What stands behind the rows, with a blank before it."""
    conflict = target.conflict
    text = ""
    if conflict is not None and conflict.action == "ignore":
        text = ignoring((conflict.key or target.columns)[0])
    elif conflict is not None:
        # VALUES() is on its way out in MySQL (8.0.20), and the alias unknown to MariaDB.
        alias = raw.flavour == "mysql" and raw.version >= (8, 0, 19)
        new = "{0} = nexusql_new.{0}" if alias else "{0} = VALUES({0})"
        updates = [new.format(quote_identifier(name, SYNTAX)) for name in conflict.update]
        if ids is Ids.NUMBERED:
            name = quote_identifier(str(target.returning), SYNTAX)
            updates.insert(0, f"{name} = LAST_INSERT_ID({name})")
        text = f"{' AS nexusql_new' if alias else ''} ON DUPLICATE KEY UPDATE {', '.join(updates)}"
    if ids is Ids.RETURNED:
        text += f" RETURNING {quote_identifier(str(target.returning), SYNTAX)}"
    return text


def ignoring(column: str) -> str:
    """The clause by which rows that are there already are left out, with a blank before it; INSERT IGNORE would hide
    other errors, too."""
    name = quote_identifier(column, SYNTAX)
    return f" ON DUPLICATE KEY UPDATE {name} = IF(LAST_INSERT_ID({IGNORED}) = 0, {name}, {name})"


def inserted(cursor: Any, rows: int) -> int:
    """How many of the rows of a statement with that clause were inserted: a session with FOUND_ROWS counts all."""
    if rows == 1:
        return 0 if cursor.lastrowid == IGNORED else 1
    # "Records: 3  Duplicates: 1  Warnings: 0", in the server's language.
    written, there, *_ = map(int, _NUMBERS.findall(cursor._result.message))
    return written - there


class MysqlWriter(Writer):
    """INSERT .. VALUES (..), (..), within the server's max_allowed_packet."""

    def __init__(self, raw: Raw, target: Target, values: Values, run: Run) -> None:
        super().__init__(target)
        self._run = run
        self._form = forms(values, len(target.columns))
        self._backslashes = not raw.no_backslash_escapes
        self._statements: list[tuple[list[bytes], list[Record]]] = []  # of each, its rows as literals and as they came
        self._room = 0  # bytes left in the last statement
        self._ids = _id_source(target, raw.flavour)
        self._seen = SeenKeys(target, values, run) if counts_keys(target) else None
        self._by_row = self._ids is not None and target.conflict is not None
        if self._by_row:  # of several rows no reply tells which were inserted
            self.shortfall = "with on_conflict and returning each row takes a statement of its own"
        if target.conflict is not None and target.conflict.key and len(target.table.keys) > 1:
            self.note = f"a conflict with any unique key counts, not only with ({', '.join(target.conflict.key)})"
        if target.table.no_undo:  # in a statement of many, rows behind the first would be changed to what fits
            self._by_row, self.undoes = True, False
            self.shortfall = f"{target.table.no_undo}, so each row takes a statement of its own"
            self.note = f"{target.table.no_undo}: what was written before an error stays"
        self.strategy = "rows" if self._by_row else "values"
        columns = column_list(target.columns, SYNTAX)
        self._head = f"INSERT INTO {target.table.sql} ({columns}) VALUES ".encode()
        self._tail = _tail(target, self._ids, raw).encode()
        self._longest = _room(raw, self._head, self._tail)

    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Write rows as literals; FULL when the statement is as long as it should be."""
        if not self._by_row:
            return self._take(first, rows, max_rows, not self._statements, kept)
        taken, status, detail = 0, FULL, first
        while status == FULL and taken < max_rows and self.waiting < STATEMENT:
            one, status, detail, _ = self._take(detail, rows, 1, True, kept)
            taken += one
        return Taken(taken, status, detail)

    def _take(
        self, first: Record | None, rows: Iterator[Record], max_rows: int, begin: bool, kept: list[Record] | None
    ) -> Taken:
        """Write rows behind those of the statement at hand, or `begin` another."""
        if begin:
            self._room = min(STATEMENT, self._longest)
        records: list[Record] = []
        data, taken, status, detail = self._encode(first, rows, max_rows, records)
        # The first row is written however little room there is, and then no other.
        too_long, too_much = len(data) > self._longest, len(data) > self._room and not begin
        if too_long or too_much:
            behind = (detail[0],) if status == FAULT else (detail,) if status == OTHER or detail is not None else ()
            if too_much:
                return Taken(0, FULL, records[0], behind)
            text = f"a row takes {len(data):,} bytes; the server's max_allowed_packet leaves {self._longest:,} for it"
            return Taken(0, FAULT, (records[0], None, DataError(text)), behind)
        if taken:
            if begin:
                self._statements.append(([], []))
            pieces, taken_before = self._statements[-1]
            pieces.append(data)
            taken_before += records
            self._room -= len(data) + 1
            self.waiting += len(data)
            if kept is not None:
                kept += records
        return Taken(taken, status, detail)

    def _encode(
        self, first: Record | None, rows: Iterator[Record], max_rows: int, records: list[Record]
    ) -> tuple[bytes, int, int, Any]:
        masks, converters = self._form
        names, surplus = self.target.names, self.target.surplus
        return literal_rows(
            first, rows, names, surplus, masks, converters, self._backslashes, max_rows, max(self._room, 0), records
        )

    def flush(self, raw: Raw) -> None:
        """Write what was taken."""
        statements, self._statements, self.waiting = self._statements, [], 0
        if statements and self._seen is not None:
            self._seen.add(raw, [record for _, records in statements for record in records])
        for pieces, records in statements:
            cursor = self._run(raw, b"".join((self._head, b",".join(pieces), self._tail)), None)
            self._count(raw, cursor, records)

    def _count(self, raw: Raw, cursor: Any, records: Sequence[Record]) -> None:
        """Read from the reply how many rows are stored, and their ids."""
        conflict = self.target.conflict
        if self._seen is not None:
            self.stored = self._seen.count
        elif conflict is None or conflict.action == "update":
            self.stored += len(records)
        else:
            self.stored += inserted(cursor, len(records))
            if self._ids is not None and cursor.lastrowid == IGNORED:
                self.ids.append(None)
                return
        if self._ids is not None:
            self.ids += self._read_ids(raw, cursor, records)

    def _read_ids(self, raw: Raw, cursor: Any, records: Sequence[Record]) -> Iterable[Any]:
        if self._ids is Ids.RETURNED:
            return [value for (value,) in cursor.fetchall()]
        if self._ids is Ids.GIVEN:
            name = str(self.target.returning)
            given = [self.target.value(record, name) for record in records]
            if None in given and self.target.table.columns[name].numbered:
                raise NotSupportedError(
                    f"{raw.flavour} does not tell the value of {name!r} that it gives to a row for NULL; leave it out"
                )
            return given
        if len(records) == 1:
            return [cursor.lastrowid]
        # Rows of one INSERT .. VALUES are numbered one after the other, whatever innodb_autoinc_lock_mode says.
        ((step,),) = self._run(raw, "SELECT @@auto_increment_increment", None).fetchall()
        return range(cursor.lastrowid, cursor.lastrowid + step * len(records), step)

    def settle(self, raw: Raw) -> None:
        """Forget the keys."""
        if self._seen is not None:
            self._seen.close(raw)

    abandon = settle


class SeenKeys:
    """The keys of an upsert's rows, kept by the server, which alone knows which of them are equal.

    A row that a later one of the same columns replaces is not stored in the end, so `count` counts keys and not rows.
    Without the right to make temporary tables it counts rows.
    """

    def __init__(self, target: Target, values: Values, run: Run) -> None:
        assert target.conflict is not None
        self._target = target
        self._key = target.conflict.key
        self._values = values
        self._run = run
        self._settled = 0
        self._first: list[Record] = []
        self._count = 0
        self._table = ""
        self._allowed = True

    @property
    def count(self) -> int:
        """The number of keys; those that were seen before `close` count again."""
        return self._settled + self._count

    def add(self, raw: Raw, records: list[Record]) -> None:
        """Take the keys of rows into account; a table is made for them when a second row comes."""
        if self._allowed and not self._table:
            self._first = records = self._first + records
            self._count = 0
            if len(records) > 1:
                self._create(raw)
        if not self._table:
            self._count += len(records)
            return
        masks, converters = forms(self._values, len(self._key))
        backslashes = not raw.no_backslash_escapes
        head, tail = f"INSERT INTO {self._table} VALUES ".encode(), ignoring(self._key[0]).encode()
        longest = _room(raw, head, tail)
        keys = ([self._target.value(record, name) for name in self._key] for record in records)
        first, status = None, FULL
        while status == FULL:
            data, taken, status, first = literal_rows(
                first, keys, None, False, masks, converters, backslashes, len(records), longest, None
            )
            if taken:
                self._count += inserted(self._run(raw, b"".join((head, data, tail)), None), taken)

    def _create(self, raw: Raw) -> None:
        """A temporary table whose columns compare as the key's do."""
        name = f"nexusql_seen_keys_{next(_serial)}"
        table, wanted = self._target.table.sql, set(self._key)
        keys = _keys(self._run, raw, table).values()
        parts: Sequence[tuple[str, int | None]] = next(
            (key for key in keys if {column for column, _ in key} == wanted), [(column, None) for column in self._key]
        )
        quoted = ((quote_identifier(column, SYNTAX), length) for column, length in parts)
        listed = ", ".join(column if length is None else f"{column}({length})" for column, length in quoted)
        empty = f"SELECT {column_list(self._key, SYNTAX)} FROM {table} LIMIT 0"
        try:
            self._run(raw, f"CREATE TEMPORARY TABLE {name} (UNIQUE KEY ({listed})) {empty}", None)
        except OperationalError as error:
            if error.args[0] not in _NOT_ALLOWED:
                raise
            self._allowed = False
        else:
            self._table = name

    def close(self, raw: Raw) -> None:
        """Drop what is kept."""
        if self._table:
            self._run(raw, f"DROP TEMPORARY TABLE {self._table}", None)
        self._settled += self._count
        self._count, self._table, self._first = 0, "", []


class DriverWriter(MysqlWriter):
    """The same with literals of the driver's, for a session whose character set is not utf8mb4."""

    def __init__(self, raw: Raw, target: Target, values: Values, run: Run, mogrify: Run) -> None:
        super().__init__(raw, target, values, run)
        self.strategy = "driver"
        self.shortfall = f"the session's character set is {raw.character_set}, not utf8mb4"
        self._mogrify = partial(mogrify, raw)
        self._values = values

    def _encode(
        self, first: Record | None, rows: Iterator[Record], max_rows: int, records: list[Record]
    ) -> tuple[bytes, int, int, Any]:
        values, target = self._values, self.target
        width = len(target.columns)
        flat, taken, status, detail = flat_rows(
            first, rows, target.names, width, target.surplus, values.adapters, values.adapt_other, 1, records
        )
        if not taken:
            return b"", 0, status, detail
        fields: list[bytes] = []
        try:
            for value in flat:
                fields.append(self._mogrify("%s", (value,)).encode())
        except UnicodeEncodeError as error:
            return b"", 0, FAULT, (records.pop(), len(fields), error)
        return b"(%b)" % b",".join(fields), taken, status, detail
