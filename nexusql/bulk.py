"""Many rows into one table: grouped by the columns they have, chunk by chunk, all or nothing or each on its own."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

from nexusql._speedups import END, FAULT, FULL, OTHER
from nexusql.backends.bulk import Record, Target, Writer
from nexusql.backends.common import error_of_python
from nexusql.connection import Connection
from nexusql.engine import Engine
from nexusql.errors import (
    DataError,
    Error,
    ParameterError,
    PerformanceWarning,
    ProgrammingError,
    TranslationError,
    TranslationWarning,
    UndefinedColumn,
)
from nexusql.progress import Advance, Progress, shown
from nexusql.results import BulkResult, RowError
from nexusql.rowsource import NO_ROW, RowSource
from nexusql.shapes import BulkOptions, Shape, Shapes

# A connection in a transaction of which what is done inside is one part: kept as a whole, or undone.
Unit = Callable[[], AbstractContextManager[Connection]]


class BulkWrite:
    """One call of bulk_insert."""

    def __init__(self, engine: Engine, unit: Unit, table: str, shapes: Shapes, options: BulkOptions) -> None:
        self.engine = engine
        self.options = options
        self.table = table
        self.shapes = shapes
        self._unit = unit
        self._result = BulkResult(0, "none", 0.0)
        self._started = time.perf_counter()

    def run(self, rows: Iterable[Any], progress: Progress = None) -> BulkResult:
        """Write the rows. An error that ends a call with on_error="report" has `.partial`: what is stored."""
        source = RowSource(rows, self.options.columns)
        with shown(progress, rows, f"rows into {self.table}") as advance:
            if self.options.on_error == "raise":
                with self._unit() as connection:
                    batch = Batch(self, connection, source)
                    while batch.write_chunk():
                        advance(source.position)
                    batch.settle()
                self._add(batch)
            else:
                self._run_reporting(source, advance)
            advance(source.position)
        return self._finished()

    def _finished(self) -> BulkResult:
        self._result.elapsed = time.perf_counter() - self._started
        self._result.errors.sort(key=lambda error: error.index)
        return self._result

    def _add(self, batch: "Batch") -> None:
        """Take what a batch has stored into account, once that is certain."""
        result = self._result
        result.rowcount += batch.stored
        result.strategy = batch.strategy or result.strategy
        result.errors += batch.faults
        for index, value in batch.ids():
            result.ids += [None] * (index + 1 - len(result.ids))
            result.ids[index] = value

    def report(self, writer: Writer) -> None:
        """Tell, once for each table and reason, what a writer does slower or otherwise than asked for."""
        warn, table = self.engine.warn_once, self.table
        if writer.shortfall:
            text = f"{table} is not written to the fastest way: {writer.shortfall}"
            warn((table, writer.shortfall), text, PerformanceWarning)
        if writer.note:
            text = f"{table}: {writer.note}"
            if self.engine.options.strict:
                raise TranslationError(text)
            warn((table, writer.note), text, TranslationWarning)

    # Each chunk in a transaction of its own; one that fails for its rows is halved until the bad ones are alone.

    def _run_reporting(self, source: RowSource, advance: Advance) -> None:
        more = True
        while more:
            kept: list[tuple[int, Record]] = []
            faults: list[RowError] = []
            try:
                with self._unit() as connection:
                    batch = Batch(self, connection, source, kept, faults)
                    more = batch.write_chunk()
                    batch.settle()
            except Error as error:
                self._refused(kept, error)
                self._result.errors += faults
            else:
                self._add(batch)
            advance(source.position)

    def _refused(self, rows: list[tuple[int, Record]], error: Error) -> None:
        """Find out which of the rows of a failed chunk are to blame, and store the others."""
        if not rows or not self.engine.backend.bulk.blames_row(error):
            error.partial = self._finished()
            raise error
        if len(rows) == 1:
            self._result.errors.append(RowError(rows[0][0], error, rows[0][1]))
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            source = RowSource.again(half, self.options.columns)
            try:
                with self._unit() as connection:
                    batch = Batch(self, connection, source, [], [])
                    while batch.write_chunk():
                        continue
                    batch.settle()
            except Error as reason:
                self._refused(half, reason)
            else:
                self._add(batch)


class Group:
    """The rows of one shape, and what writes them."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.positions: list[range] = []


class Batch:
    """The rows that one transaction writes.

    With `kept` each row that is taken is kept there with its index, and a row that cannot be written goes to `faults`
    instead of raising its error.
    """

    def __init__(
        self,
        call: BulkWrite,
        connection: Connection,
        source: RowSource,
        kept: list[tuple[int, Record]] | None = None,
        faults: list[RowError] | None = None,
    ) -> None:
        self._call = call
        self._connection = connection
        self._source = source
        self._kept = kept
        self.faults = [] if faults is None else faults
        self._groups: dict[Shape, Group] = {}
        self._modes = connection.current_modes()
        self._table = call.engine.table(connection, call.table)
        self._table_is_new = False

    @property
    def stored(self) -> int:
        """Rows of the input that are stored now."""
        return sum(group.writer.stored for group in self._groups.values())

    @property
    def strategy(self) -> str:
        """The way that was taken last, "" where there was no row."""
        return next((group.writer.strategy for group in reversed(self._groups.values())), "")

    def ids(self) -> Iterator[tuple[int, Any]]:
        """The index of each row in the input, and its `returning` value."""
        for group in self._groups.values():
            yield from zip(map(self._source.index, chain(*group.positions)), group.writer.ids, strict=False)

    def write_chunk(self) -> bool:
        """Take and write the next rows, `chunk_size` at most; False where there are no more."""
        room, more = self._call.options.chunk_size, True
        group: Group | None = None
        while room and more:
            row = self._source.next()
            if row is NO_ROW:
                more = False
                break
            before = group
            try:
                group = self._group(row)
            except (ParameterError, UndefinedColumn) as error:
                self._fault(row, "", error)
                continue
            if before is not None and before is not group and self._call.options.on_conflict is not None:
                self._settle(before)  # of rows with one key the order counts
            kept: list[Record] | None = None if self._kept is None else []
            taken, status, detail = group.writer.take(row, self._source.rows, room, kept)
            self._taken(group, taken, kept)
            room -= taken
            if status == FULL:
                if detail is not None:
                    self._source.give_back(detail)
                break
            more = status != END
            if status == FAULT:
                row, column, reason = detail
                place = "" if column is None else f", column {group.writer.target.columns[column]!r}"
                self._fault(row, place, reason)
            elif status == OTHER and taken == 0:
                self._fault(detail, "", self._call.shapes.misfit(detail, group.writer.target))
            elif status == OTHER:
                self._source.give_back(detail)
        for group in self._groups.values():
            self._flush(group)
        return more

    def _taken(self, group: Group, taken: int, kept: list[Record] | None) -> None:
        if taken:
            positions = range(self._source.position, self._source.position + taken)
            group.positions.append(positions)
            self._source.position += taken
            if self._kept is not None and kept is not None:
                self._kept += zip(map(self._source.index, positions), kept, strict=True)

    def settle(self) -> None:
        """Finish what was written."""
        for group in self._groups.values():
            self._settle(group)

    def _settle(self, group: Group) -> None:
        self._flush(group)
        self._perform(group, group.writer.settle)

    def _flush(self, group: Group) -> None:
        if self._connection.current_modes() != self._modes:  # the source of the rows has used this session, too
            raise ProgrammingError("the session's modes were changed while rows were being taken; nothing was written")
        self._perform(group, group.writer.flush)

    def _perform(self, group: Group, call: Callable[[Any], None]) -> None:
        try:
            self._connection.perform(call)
        except Error as error:
            target = group.writer.target
            error.sql = error.sql or f"INSERT INTO {target.table.sql} ({', '.join(target.columns)})"
            raise

    def _group(self, row: Record) -> Group:
        """The group of rows that have the same columns. Raises what Shapes.target does."""
        shape = self._call.shapes.shape(row)
        group = self._groups.get(shape)
        if group is None:
            writer = self._connection.perform(self._call.engine.backend.bulk.writer, self._target(row))
            self._call.report(writer)
            group = self._groups[shape] = Group(writer)
        return group

    def _target(self, row: Record) -> Target:
        shapes, columns = self._call.shapes, self._source.columns
        try:
            return shapes.target(self._table, row, columns)
        except UndefinedColumn:
            if self._table_is_new:
                raise
            # Another session may have added the column since.
            names = tuple(row if isinstance(row, dict) else columns or ())
            self._table = self._call.engine.table(self._connection, self._call.table, having=names)
            self._table_is_new = True
            return shapes.target(self._table, row, columns)

    def _fault(self, row: Record, place: str, error: Exception) -> None:
        """A row that cannot be written: its error is raised, with the row's index, or kept."""
        index = self._source.index(self._source.position)
        self._source.position += 1
        reason = error if isinstance(error, Error) else error_of_python(error, None)
        if isinstance(reason, (ParameterError, DataError, UndefinedColumn)):
            told = type(reason)(f"row {index}{place}: {reason}")
            told.__cause__ = reason.__cause__
            reason = told
        if self._kept is None:
            raise reason
        self.faults.append(RowError(index, reason, row))
