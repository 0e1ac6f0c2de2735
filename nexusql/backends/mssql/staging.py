"""Rows laid aside in a temporary table, and merged into their own."""

from itertools import count
from typing import Any

from nexusql.backends.bulk import Target, column_list
from nexusql.backends.mssql.catalogue import MssqlTable
from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.syntax import SYNTAX
from nexusql.sql.identifiers import quote_identifier

ROW = "[nexusql_row]"

_serial = count(1)


class Stage:
    """The temporary table of one writer. `rows` counts what is in it."""

    def __init__(self, target: Target, table: MssqlTable) -> None:
        assert target.conflict is not None
        self._target = target
        self._table = table
        self._conflict = target.conflict
        self._name = f"#nexusql_stage_{next(_serial)}"
        self._exists = False
        self.rows = 0
        # Columns by which rows are told apart, or that replace others, and that these rows leave to the database.
        needed = (*self._conflict.key, *self._conflict.update)
        left = dict.fromkeys(name for name in needed if name not in target.columns)
        self._drawn = [name for name in left if not self._is_numbered(name)]
        self._written = [*target.columns, *(name for name in self._drawn if not table.columns[name].generated)]
        # A number that is given later is nobody's yet.
        self._fresh = any(name in left and self._is_numbered(name) for name in self._conflict.key)
        self._key = () if self._fresh else self._conflict.key

    def _is_numbered(self, name: str) -> bool:
        column = self._table.columns[name]
        return column.numbered or "NEXT VALUE FOR" in column.default.upper()

    def create(self, session: MssqlSession) -> None:
        """Create the table, empty, unless it is there; columns compare as those of the target do, and what rows leave
        to the database is filled as there."""
        if self.rows or self._exists:
            return
        columns = [
            f"{quote_identifier(name, SYNTAX)} {self._table.declared[name]} NULL" for name in self._target.columns
        ]
        for name in self._drawn:
            column = self._table.columns[name]
            default = f" DEFAULT {column.default}" if column.default else ""
            filled = f"AS {column.default}" if column.generated else f"{self._table.declared[name]} NULL{default}"
            columns.append(f"{quote_identifier(name, SYNTAX)} {filled}")
        session.run(f"IF OBJECT_ID(N'tempdb..{self._name}') IS NOT NULL DROP TABLE {self._name}", None)
        session.run(f"CREATE TABLE {self._name} ({ROW} BIGINT NOT NULL PRIMARY KEY, {', '.join(columns)})", None)
        self._exists = True

    def insert_text(self, rows: int) -> str:
        """An INSERT of rows, each with its number before its values."""
        row = f"({', '.join('?' * (len(self._target.columns) + 1))})"
        columns = column_list(self._target.columns, SYNTAX)
        return f"INSERT INTO {self._name} ({ROW}, {columns}) VALUES {', '.join([row] * rows)}"

    def merge(self, session: MssqlSession) -> tuple[int, list[Any]]:
        """Merge the rows and drop the table; how many are stored, and their ids in the order of the rows."""
        keys = self._keys()
        if len(keys) > 1:
            stored, found = self._insert_each(session, keys)
        else:
            stored, found = self._merge(session, keys[0] if keys else ())
        ids = [found.get(row) for row in range(self.rows)] if self._target.returning is not None else []
        session.run(f"DROP TABLE {self._name}", None)
        self.rows, self._exists = 0, False
        return stored, ids

    def _keys(self) -> list[tuple[str, ...]]:
        """The unique keys by which rows conflict, as far as the rows have values for them."""
        if self._key or self._fresh:
            return [self._key]
        return [key for key in self._table.keys if set(key) <= set(self._target.columns)]

    def _merge(self, session: MssqlSession, key: tuple[str, ...]) -> tuple[int, dict[int, Any]]:
        """One MERGE. Of rows with one key the last counts for an update, but for columns that an update leaves alone,
        and the first where conflicts are ignored."""
        updates = self._conflict.action == "update"
        columns = column_list(self._written, SYNTAX)
        values = ", ".join(f"s.{quote_identifier(name, SYNTAX)}" for name in self._written)
        source = f"SELECT * FROM {self._name}"
        if key:
            parts = [quote_identifier(name, SYNTAX) for name in key]
            # A row with NULL in its key is like no other.
            alone = " OR ".join(f"{part} IS NULL" for part in parts)
            parts.append(f"CASE WHEN {alone} THEN {ROW} END")
            order = f"{ROW}{' DESC' if updates else ''}"
            same = f"PARTITION BY {', '.join(parts)} ORDER BY"
            laid = column_list((*self._target.columns, *self._drawn), SYNTAX)
            taken = [ROW, *(self._taken(name, key, f"{same} {ROW}") for name in (*self._target.columns, *self._drawn))]
            numbered = f"SELECT {', '.join(taken)}, ROW_NUMBER() OVER ({same} {order}) AS nexusql_n"
            source = f"SELECT {ROW}, {laid} FROM ({numbered} FROM {self._name}) AS r WHERE nexusql_n = 1"
        text = f"MERGE INTO {self._table.sql} WITH (HOLDLOCK) AS t USING ({source}) AS s ON {self._match((key,))}"
        if updates and self._conflict.update:
            names = [quote_identifier(name, SYNTAX) for name in self._conflict.update]
            text += f" WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = s.{name}' for name in names)}"
        text += f" WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        upserts = updates and bool(key)
        if self._target.returning is not None or (self._table.triggers and not upserts):
            found = self._output(session, text)
            stored = len(found)
            if upserts:  # of rows with one key all have the id of the one that counts
                stored = stored if self._conflict.update else self._count_keys(session, key)
                found = {**self._ids_by_key(session, key), **found}
            return stored, found
        stored = max(session.run(f"{text};", None).rowcount, 0)
        # Triggers count rows of their own, and a row that is left as it is counts for none.
        if upserts and (self._table.triggers or not self._conflict.update):
            stored = self._count_keys(session, key)
        return stored, {}

    def _taken(self, name: str, key: tuple[str, ...], first: str) -> str:
        """A column of the rows with one key: that of the row that counts, or of the first."""
        quoted = quote_identifier(name, SYNTAX)
        if self._conflict.action == "ignore" or name in (*key, *self._conflict.update):
            return quoted
        return f"FIRST_VALUE({quoted}) OVER ({first}) AS {quoted}"

    def _count_keys(self, session: MssqlSession, key: tuple[str, ...]) -> int:
        names = [quote_identifier(name, SYNTAX) for name in key]
        alone = " OR ".join(f"{name} IS NULL" for name in names)
        each = f"SELECT DISTINCT {', '.join(names)}, CASE WHEN {alone} THEN {ROW} END AS nexusql_n FROM {self._name}"
        ((number,),) = session.run(f"SELECT COUNT(*) FROM ({each}) AS k", None).fetchall()
        return int(number)

    def _output(self, session: MssqlSession, text: str) -> dict[int, Any]:
        """Run a MERGE; the ids of the rows that it has inserted or updated, by their numbers."""
        wanted = self._target.returning
        value = f"INSERTED.{quote_identifier(wanted, SYNTAX)}" if wanted else f"s.{ROW}"
        output = f"OUTPUT s.{ROW}, {value}"
        if self._table.triggers:
            kind = self._table.declared[wanted] if wanted else "BIGINT"
            declared = f"DECLARE @nexusql TABLE (n BIGINT, value {kind})"
            text = f"{declared}; {text} {output} INTO @nexusql; SELECT n, value FROM @nexusql"
        else:
            text = f"{text} {output};"
        return dict(map(tuple, session.run(text, None).fetchall()))

    def _ids_by_key(self, session: MssqlSession, key: tuple[str, ...]) -> dict[int, Any]:
        wanted = quote_identifier(str(self._target.returning), SYNTAX)
        text = f"SELECT s.{ROW}, t.{wanted} FROM {self._name} AS s JOIN {self._table.sql} AS t ON {self._match((key,))}"
        return dict(map(tuple, session.run(text, None).fetchall()))

    def _match(self, keys: tuple[tuple[str, ...], ...] | list[tuple[str, ...]]) -> str:
        """The condition that a row is there already."""
        ways = []
        for key in keys:
            names = [quote_identifier(name, SYNTAX) for name in key]
            ways.append(" AND ".join(f"t.{name} = s.{name}" for name in names) or "1 = 0")
        return ways[0] if len(ways) == 1 else " OR ".join(f"({way})" for way in ways)

    def _insert_each(self, session: MssqlSession, keys: list[tuple[str, ...]]) -> tuple[int, dict[int, Any]]:
        """Row by row, where any of several keys may be there: a row may conflict with one before it by any of them."""
        columns = column_list(self._target.columns, SYNTAX)
        values = ", ".join(f"s.{quote_identifier(name, SYNTAX)}" for name in self._target.columns)
        there = f"SELECT 1 FROM {self._table.sql} AS t WITH (UPDLOCK, HOLDLOCK) WHERE {self._match(keys)}"
        wanted = self._target.returning
        returned = quote_identifier(wanted, SYNTAX) if wanted else ""
        stored, found = 0, {}
        for row in range(self.rows):
            rest = f" SELECT {values} FROM {self._name} AS s WHERE s.{ROW} = {row} AND NOT EXISTS ({there})"
            text = f"INSERT INTO {self._table.sql} ({columns})"
            if not wanted:
                stored += max(session.run(text + rest, None).rowcount, 0)
                continue
            text = (
                f"DECLARE @nexusql TABLE (value {self._table.declared[wanted]});"
                f" {text} OUTPUT INSERTED.{returned} INTO @nexusql{rest}; SELECT value FROM @nexusql"
            )
            for (value,) in session.run(text, None).fetchall():
                found[row] = value
                stored += 1
        return stored, found
