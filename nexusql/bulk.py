"""Many rows into one table: grouped by the columns they have, chunk by chunk, all or nothing or each on its own."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain, islice
from typing import Any

from nexusql._speedups import END, FAULT, FULL, OTHER
from nexusql.backends.bulk import MOST_BYTES, Record, RowFault, Writer
from nexusql.backends.common import error_of_python
from nexusql.backends.errors import forget_frames
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
from nexusql.interrupts import check_interrupted
from nexusql.progress import Advance, Progress, nothing, shown
from nexusql.results import BulkResult, RowError
from nexusql.rowsource import NOTHING, RowSource, checked
from nexusql.shapes import BulkOptions, Shape, Shapes

# A connection in a transaction of which what is done inside is one part: kept as a whole, or undone.
Unit = Callable[[], AbstractContextManager[Connection]]
Kept = list[tuple[int, Record]]  # rows with their indexes in the input


class BulkWrite:
    """One call of bulk_insert. `stands` tells whether what its units have done is still there: not where they were part
    of a transaction that is lost."""

    def __init__(
        self,
        engine: Engine,
        unit: Unit,
        stands: Callable[[], bool],
        table: str,
        shapes: Shapes,
        options: BulkOptions,
    ) -> None:
        self.engine = engine
        self.options = options
        self.table = table
        self.shapes = shapes
        self._unit = unit
        self._stands = stands
        self._doubted = False
        self._result = BulkResult(0, "none", 0.0)
        self._started = time.perf_counter()

    def run(self, rows: Iterable[Any], progress: Progress = None) -> BulkResult:
        """Write the rows. What ends a call with on_error="report" has `.partial`: what is stored."""
        with self.engine.observed("BULK INSERT", self.table) as event:
            with shown(progress, rows, f"rows into {self.table}") as advance:
                if self.options.on_error == "raise":
                    self._run_atomic(rows, advance)
                else:
                    self._run_reporting(rows, advance)
            event.rows, event.batch = self._result.rowcount, self._result.done
        return self._finished()

    def _run_atomic(self, rows: Iterable[Any], advance: Advance) -> None:
        source = RowSource(rows, self.options.columns)
        with self._batch(source) as batch:
            while batch.write_chunk():
                advance(source.position)
            batch.settle()
            advance(source.position)  # before the commit, so that what it raises undoes all
        self._result.done = source.position

    def _run_reporting(self, rows: Iterable[Any], advance: Advance) -> None:
        try:
            self._store(RowSource(rows, self.options.columns), advance)
        except BaseException as error:
            if not self._stands():
                self._result = BulkResult(0, "none", 0.0)
            vars(error)["partial"] = self._finished()
            raise

    def _store(self, source: RowSource, advance: Advance = nothing) -> None:
        """Write rows, each chunk in a transaction of its own; one that fails for its rows is halved until the bad ones
        are alone."""
        more = True
        while more:
            kept: Kept = []
            more, error = self._attempt(source, kept)
            if error is not None and len(kept) == 1:
                self._result.errors.append(RowError(kept[0][0], error, kept[0][1]))
            elif error is not None:
                middle = len(kept) // 2
                for half in (kept[:middle], kept[middle:]):
                    self._store(RowSource.again(half, source.columns))
            self._result.done = max(source.reached, self._result.done)
            advance(source.position)

    def _attempt(self, source: RowSource, kept: Kept) -> tuple[bool, Error | None]:
        """Write the next chunk; whether there are more rows, and the error for which it was refused."""
        try:
            with self._batch(source, kept, self._result.errors) as batch:
                batch.write_chunk()
        except Error as error:
            about_rows = kept and not batch.taking and self.engine.backend.bulk.blames_row(error)
            if not (about_rows and self._stands()):
                raise
            forget_frames(error)  # for they hold the rows
            return batch.more, error
        return batch.more, None

    def doubt_table(self) -> None:
        """Have it looked at again, once in a call that meets rows which do not fit: another session may have made
        another table of it."""
        if not self._doubted:
            self._doubted = True
            self.engine.forget_tables()

    @contextmanager
    def _batch(
        self,
        source: RowSource,
        kept: Kept | None = None,
        faults: list[RowError] | None = None,
    ) -> Iterator["Batch"]:
        """What writes rows in one transaction; they are settled at the end, and counted once that is certain."""
        with self._unit() as connection:
            batch = Batch(self, connection, source, kept, faults)
            try:
                yield batch
                batch.settle()
            except BaseException:
                batch.abandon()
                raise
        self._add(batch)

    def _finished(self) -> BulkResult:
        result = self._result
        result.elapsed = time.perf_counter() - self._started
        # Of a chunk that was given up, those behind the last row that is stored are not accounted for.
        if result.errors:
            result.errors = sorted((e for e in result.errors if e.index < result.done), key=lambda error: error.index)
        if self.options.returning is not None:
            result.ids += [None] * (result.done - len(result.ids))
        return result

    def _add(self, batch: "Batch") -> None:
        """Take what a batch has stored into account."""
        result = self._result
        result.rowcount += batch.stored
        result.strategy = batch.strategy or result.strategy
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


class Group:
    """The rows of one shape, and what writes them; taken one by one where the next may have more of the columns."""

    def __init__(self, writer: Writer, one_by_one: bool) -> None:
        self.writer = writer
        self.one_by_one = one_by_one
        self.settled = True
        self.waiting: list[range] = []  # positions of the rows that were taken and not written yet
        self.written: list[range] = []  # of the others, where their ids are wanted


class Batch:
    """The rows that one transaction writes.

    With `kept` each row that is taken is kept there with its index, and a row that cannot be written goes to `faults`
    instead of raising its error. `taking` tells that rows are being asked for: an error then is not about those that
    were taken.
    """

    def __init__(
        self,
        call: BulkWrite,
        connection: Connection,
        source: RowSource,
        kept: Kept | None = None,
        faults: list[RowError] | None = None,
    ) -> None:
        self._call = call
        self._connection = connection
        self._source = source
        self._kept = kept
        self._faults = faults
        self._groups: dict[Shape, Group] = {}
        self._unfit: dict[Shape, Error] = {}
        self._latest: Group | None = None
        self._modes = connection.current_modes()
        call.engine.described(connection, call.table, call.shapes.check)
        self.more = True
        self.taking = False

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
            yield from zip(map(self._source.index, chain(*group.written)), group.writer.ids, strict=True)

    def write_chunk(self) -> bool:
        """Take and write the next rows, `chunk_size` at most; False where there are no more."""
        self.taking = True
        self._take_chunk()
        self.taking = False
        for group in self._groups.values():
            self._flush(group)
        return self.more

    def _take_chunk(self) -> None:
        rows, size = self._call.options.chunk_size, MOST_BYTES
        while rows > 0 and size > 0 and self.more:
            row = next(self._source, NOTHING)
            if row is NOTHING:
                self.more = False
                return
            group = self._group(row)
            if group is None:
                rows -= 1
                continue
            self._turn_to(group)
            kept: list[Record] | None = None if self._kept is None else []
            alone = self._kept is not None and not group.writer.undoes  # what is written with a bad row would stay
            limit = 1 if alone or group.one_by_one or self._source.holds_rows else rows
            waiting = group.writer.waiting
            taken, status, detail, behind = group.writer.take(row, self._source.rows, limit, kept)
            self._taken(group, taken, kept)
            self._source.give_back(*behind)
            rows -= taken
            size -= group.writer.waiting - waiting
            if status == FULL and detail is not None:
                self._source.give_back(detail)
                return
            self.more = status != END
            if alone and taken:
                return
            if status == OTHER and taken:
                self._source.give_back(detail)
            elif status == OTHER:
                self._fault(detail, self._call.shapes.misfit(detail, group.writer.target))
                rows -= 1
            elif status == FAULT:
                row, column, reason = detail
                self._fault(row, reason, "" if column is None else group.writer.target.columns[column])
                rows -= 1

    def _taken(self, group: Group, taken: int, kept: list[Record] | None) -> None:
        if taken:
            positions = range(self._source.position, self._source.position + taken)
            group.waiting.append(positions)
            group.settled = False
            self._source.position += taken
            if self._kept is not None and kept is not None:
                self._kept += zip(map(self._source.index, positions), kept, strict=True)

    def settle(self) -> None:
        """Finish what was written."""
        for group in self._groups.values():
            self._settle(group)

    def abandon(self) -> None:
        """Leave nothing of a failed batch in the session, where that is still there."""
        for group in self._groups.values():
            if not self._connection.broken:
                with suppress(Error):  # what made the batch fail is told
                    self._connection.perform(group.writer.abandon)

    def _settle(self, group: Group) -> None:
        if not group.settled:
            self._flush(group)
            self._perform(group, group.writer.settle)
            group.settled = True

    def _flush(self, group: Group) -> None:
        if not group.waiting:
            return
        if self._connection.current_modes() != self._modes:  # the source of the rows has used this session, too
            raise ProgrammingError("the session's modes were changed while rows were being taken; nothing was written")
        check_interrupted()
        self._perform(group, group.writer.flush)
        if self._call.options.returning is not None:
            group.written += group.waiting
        group.waiting = []

    def _perform(self, group: Group, call: Callable[[Any], None]) -> None:
        try:
            self._connection.perform(call)
        except RowFault as fault:
            index = self._source.index(next(islice(chain(*group.waiting), fault.row, None)))
            raise ParameterError(f"row {index}, column {fault.column!r}: {fault}") from fault.__cause__
        except Error as error:
            target = group.writer.target
            error.sql = error.sql or f"INSERT INTO {target.table.sql} ({', '.join(target.columns)})"
            self._call.doubt_table()
            raise

    def _group(self, row: Record) -> Group | None:
        """The group of rows that have the same columns; None for a row that can be in none, which is a fault."""
        try:
            shape = self._call.shapes.shape(checked(row))
            if shape in self._unfit:
                raise self._unfit[shape].with_traceback(None)
            group = self._groups.get(shape)
            if group is None:
                group = self._groups[shape] = self._new_group(row, shape)
        except (ParameterError, UndefinedColumn) as error:
            self._fault(row, error)
            return None
        return group

    def _new_group(self, row: Record, shape: Shape) -> Group:
        call, columns = self._call, self._source.columns
        try:
            target = call.engine.described(
                self._connection, call.table, lambda table: call.shapes.target(table, row, columns)
            )
        except (ParameterError, UndefinedColumn) as error:
            self._unfit[shape] = error
            raise
        writer = self._connection.perform(call.engine.backend.bulk.writer, target)
        call.report(writer)
        return Group(writer, target.surplus and len(target.columns) < len(call.options.columns or ()))

    def _turn_to(self, group: Group) -> None:
        """Have what was taken before in the table, where of rows with one key the order counts."""
        before, self._latest = self._latest, group
        if before is not None and before is not group and self._call.options.on_conflict is not None:
            self.taking = False
            self._settle(before)
            self.taking = True

    def _fault(self, row: Record, error: Exception, column: str = "") -> None:
        """A row that cannot be written: its error is raised, or kept."""
        self._call.doubt_table()
        index = self._source.index(self._source.position)
        self._source.position += 1
        name = f", column {column!r}" if column else ""
        reason = error if isinstance(error, Error) else error_of_python(error, None)
        if isinstance(reason, (ParameterError, DataError, UndefinedColumn)):
            told = type(reason)(f"row {index}{name}: {reason}")
            told.__cause__ = reason.__cause__
            reason = told
        if self._faults is None:
            raise reason
        self._faults.append(RowError(index, reason, row))
