"""The calls that a manager and a transaction share: reads on top of one abstract `execute`, and writes of many rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any, Literal, TypeVar, overload

from nexusql.backends.bulk import Target, column_list
from nexusql.backends.tables import Table
from nexusql.batches import can_batch, execute_batches
from nexusql.bulk import BulkWrite, Unit
from nexusql.connection import Connection
from nexusql.engine import Engine, Params
from nexusql.errors import DataError, NotSupportedError, ParameterError, ProgrammingError
from nexusql.interrupts import TimeLimit
from nexusql.progress import Progress
from nexusql.results import BulkResult, Record, Row, Rows
from nexusql.rowsource import RowSource, check_iterable, checked
from nexusql.shapes import CHUNK, BulkOptions, StatementShapes, TableShapes, Unsuitable
from nexusql.stream import Source, Stream, as_dicts, as_instances
from nexusql.units import WriteUnit

T = TypeVar("T")

PLAIN_ROWS = {dict, tuple, list}  # which give their values without anybody's code
FEW = 1000  # rows, of which the types are looked at in less time than a unit saves that nobody can join


class Calls(ABC):
    """Reads and writes on top of what is abstract here."""

    @overload
    def execute(self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None) -> Rows: ...
    @overload
    def execute(self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None) -> Rows[T]: ...
    @abstractmethod
    def execute(self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None) -> Rows[Any]:
        """Run one statement."""

    @abstractmethod
    def _execute_within(self, limit: TimeLimit, sql: str, params: Params, into: Any) -> Rows[Any]:
        """`execute` for one who has waited for a thread, which counts."""

    @abstractmethod
    def _running(self) -> Engine:
        """The engine that runs the calls. Raises NotConnectedError where there is none."""

    @abstractmethod
    def _commits_at_once(self) -> bool:
        """Whether a statement is committed by itself: no transaction is open."""

    @abstractmethod
    def _unit(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction of which what is done inside is one part: kept as a whole, or undone."""

    @abstractmethod
    def _stands(self) -> bool:
        """Whether what units have done is still there: not where they were part of a transaction that is lost."""

    @abstractmethod
    def _ask(self, question: Callable[[Connection], T]) -> T:
        """Ask something of a connection that runs statements like `execute`."""

    @abstractmethod
    def _execute_each(self, sql: str, rows: Iterable[Params]) -> int:
        """Run a statement for each set of parameters, one by one, all or nothing."""

    @overload
    def fetch_one(
        self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None
    ) -> Row | None: ...
    @overload
    def fetch_one(
        self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None
    ) -> T | None: ...
    def fetch_one(self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None) -> Any:
        """The first row as a dict, or as an `into`, None where there is none. Raises what `execute` raises."""
        rows = self.execute(sql, params, into=into, timeout=timeout)
        if not rows:
            return None
        return Row(rows[0]) if into is None else rows[0]

    @overload
    def fetch_all(
        self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None
    ) -> Rows: ...
    @overload
    def fetch_all(self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None) -> Rows[T]: ...
    def fetch_all(
        self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None
    ) -> Rows[Any]:
        """All rows. Raises what `execute` raises."""
        return self.execute(sql, params, into=into, timeout=timeout)

    def fetch_value(self, sql: str, params: Params = None, *, timeout: float | None = None) -> Any:
        """The first column of the first row, or None where there is no row. Raises what `execute` raises."""
        return self.execute(sql, params, timeout=timeout).scalar()

    @overload
    def stream(
        self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: None = None
    ) -> Stream[Record]: ...
    @overload
    def stream(self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: type[T]) -> Stream[T]: ...
    def stream(self, sql: str, params: Params = None, chunk_size: int = 1000, *, into: Any = None) -> Stream[Any]:
        """The rows one by one, as dicts or as an `into`, `chunk_size` of them in memory: for `with` and `for`.

        Raises ParameterError and SQLSyntaxError at once, and when the query is run what `execute` raises; an error in
        the middle of the rows is raised there.
        """
        build = as_dicts if into is None else as_instances(into, sql)
        return Stream(self._source(), sql, params, chunk_size, build)

    @abstractmethod
    def _source(self) -> Source:
        """Where a stream reads."""

    def execute_many(self, sql: str, rows: Iterable[Params]) -> int:
        """Run one statement for each set of parameters, all or nothing; the exact total of rows affected.

        A plain `INSERT INTO t (a, b) VALUES (:a, :b)` takes the way of `bulk_insert`. `rows` are dicts, or tuples or
        lists in the order of the placeholders; a generator is read as it goes. Raises what `execute` raises.
        """
        check_iterable(rows, "a dict for :name, or a list or tuple for positions")
        alone = self._is_alone(rows)
        given = iter(rows)
        try:
            first = next(given)
        except StopIteration:
            return 0
        engine, unit = self._running(), self._unit_for(rows)
        statement, args = engine.prepare_row(0, sql, first, engine.modes)
        rows = chain((first,), given)
        if can_batch(engine, statement) and statement.insert is None:
            with self._unit() as connection, engine.observed(statement.verb, sql=sql) as event:
                event.rows = execute_batches(engine, connection, statement, rows, not isinstance(first, Mapping))
            return event.rows
        if statement.insert is not None and statement.plain and statement.order is None:
            options = BulkOptions(columns=statement.insert.columns)
            shapes = StatementShapes(statement.insert, statement.names)
            write = BulkWrite(engine, unit, self._stands, statement.insert.table, shapes, options)
            with suppress(Unsuitable):  # told before any row but the first is taken
                if alone:
                    return self._alone(
                        sql, lambda: engine.run(statement, args, first).rowcount, lambda: write.run(rows).rowcount
                    )
                return write.run(rows).rowcount
        return self._execute_each(sql, chain((first,), given))

    def bulk_insert(
        self,
        table: str,
        rows: Iterable[Any],
        *,
        columns: Sequence[str] | None = None,
        on_conflict: Literal["ignore", "update"] | None = None,
        conflict_columns: Sequence[str] | None = None,
        update_columns: Sequence[str] | None = None,
        returning: str | None = None,
        chunk_size: int | None = None,
        on_error: Literal["raise", "report"] = "raise",
        progress: Progress = None,
    ) -> BulkResult:
        """Insert many rows by the fastest way that the database has; all or nothing, in constant memory.

        `rows` is any iterable, a generator too: dicts, whose missing keys leave columns to their defaults; tuples or
        lists with `columns`; dataclass instances. `table` is a name as a statement has it.

        `on_conflict="ignore"` leaves out rows whose unique key is there, "update" replaces `update_columns` (all but
        the key) of what is there; the key is `conflict_columns`, else any unique key, or the primary key for an update.
        Of rows in one call that have the same key, as the database compares, the last is stored by an update, the first
        where conflicts are ignored.

        `returning` names a column whose values come back in `ids`, in the order of the rows, None for one left out.
        `chunk_size` is the number of rows sent together. With `on_error="report"` each chunk is a transaction of its
        own, and a row that the database refuses is reported in `errors` while the others are stored. `progress` is
        called with the number of rows done, or True for a bar.

        Raises ParameterError for a row that cannot be written, naming it, UndefinedTable, UndefinedColumn, ConfigError
        for options that make no sense, and what the database says.
        """
        options = BulkOptions(
            columns,
            on_conflict,
            conflict_columns,
            update_columns,
            returning,
            CHUNK if chunk_size is None else chunk_size,
            on_error,
        )
        shapes = TableShapes(options)
        unit = self._unit if progress or on_error == "report" else self._unit_for(rows)
        write = BulkWrite(self._running(), unit, self._stands, table, shapes, options)
        if options.plain and progress is None and self._is_alone(rows):
            single = partial(self._insert_alone, table, shapes, RowSource(rows, columns))
            return self._alone(table, single, lambda: write.run(rows))
        return write.run(rows, progress)

    def _unit_for(self, rows: Iterable[Any]) -> Unit:
        """What rows are written in as a whole. Where nothing is open, and the rows are there and are bound without
        anybody's code, it needs no transaction that others could take part in."""
        few = isinstance(rows, (list, tuple)) and type(rows) in PLAIN_ROWS and len(rows) <= FEW
        if few and PLAIN_ROWS.issuperset(map(type, rows)) and self._commits_at_once():
            engine = self._running()
            if not engine.backend.calls_out:
                return partial(WriteUnit, engine)
        return self._unit

    def _is_alone(self, rows: Iterable[Any]) -> bool:
        """Whether rows are one that is there already, and its INSERT all that is to be done: nothing is around it, and
        nothing is stored where it is refused."""
        one = isinstance(rows, (list, tuple)) and len(rows) == 1
        return one and self._commits_at_once() and self._running().backend.bulk.refuses_wholly

    def _alone(self, what: str, single: Callable[[], T], many: Callable[[], T]) -> T:
        """Write one row by its INSERT. Where that is refused it goes the way of many rows, which takes more, and whose
        errors say more; and so do the next ones of `what`, a table or a statement, if it was taken there."""
        engine = self._running()
        if what not in engine.needs_many:
            with suppress(DataError, ProgrammingError):
                return single()
        written = many()
        engine.remember_needs_many(what)
        return written

    def _insert_alone(self, table: str, shapes: TableShapes, source: RowSource) -> BulkResult:
        started, engine, row = perf_counter(), self._running(), checked(next(source))

        def read(described: Table) -> Target:
            shapes.check(described)
            return shapes.target(described, row, source.columns)

        target = self._ask(lambda connection: engine.described(connection, table, read))
        values = row if target.names is None else [row[name] for name in target.names]
        if len(values) != len(target.columns):
            raise shapes.misfit(row, target)
        text, params = self._insertion(target.table, target.columns, values)
        stored = engine.run(*engine.prepare(text, params, engine.modes), params).rowcount
        return BulkResult(stored, "values" if values else "rows", perf_counter() - started, done=1)

    def insert(self, table: str, row: Mapping[str, Any], *, returning: str | Sequence[str] | None = None) -> Any:
        """Insert one row; gives its key as the database has it, the primary key or else the column that numbers rows.

        `returning` names another column to be given, or several, which are given as a dict. Without any key it gives
        None. Columns that are not in the row have their defaults. Raises what `execute` raises.
        """
        if not isinstance(row, Mapping):
            raise ParameterError(f"a row is a dict, not {type(row).__name__}; bulk_insert takes many")
        engine = self._running()

        def read(described: Table) -> tuple[Table, tuple[str, ...], tuple[str, ...]]:
            columns = tuple(described.writable(name).name for name in row)
            names = described.own_key if returning is None else returning
            listed = (names,) if isinstance(names, str) else tuple(names or ())
            return described, columns, tuple(described.column(name).name for name in listed)

        described, columns, wanted = self._ask(lambda connection: engine.described(connection, table, read))
        found = self._insert_row(described, columns, tuple(row.values()), wanted)
        several = returning is not None and not isinstance(returning, str)
        return found if several else next(iter(found.values()), None)

    def _insert_row(
        self, table: Table, columns: tuple[str, ...], values: tuple[Any, ...], wanted: tuple[str, ...]
    ) -> dict[str, Any]:
        """Insert a row; its values in the columns that are wanted, by name."""
        engine = self._running()
        syntax = engine.backend.syntax
        text, params = self._insertion(table, columns, values)
        if not wanted or engine.backend.bulk.returns(engine.modes):
            rows = self.execute(f"{text} RETURNING {column_list(wanted, syntax)}" if wanted else text, params)
            return dict(rows[0]) if rows else {}
        with self._unit():
            self.execute(text, params)
            key = table.own_key
            if key is None:
                raise NotSupportedError(f"{table.name} has no key by which the new row could be found again")
            value = dict(zip(columns, values, strict=True)).get(key)
            if value is None and not table.columns[key].numbered:
                raise NotSupportedError(
                    f"{engine.modes.flavour} does not tell the {key!r} that it gives to a row; give it in the row"
                )
            if value is None:
                value = self.fetch_value("SELECT LAST_INSERT_ID()")
            if wanted == (key,):
                return {key: value}
            found = f"SELECT {column_list(wanted, syntax)} FROM {table.sql} WHERE {column_list((key,), syntax)} = :key"
            return dict(self.execute(found, {"key": value}).one())

    def _insertion(self, table: Table, columns: tuple[str, ...], values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
        """An INSERT of one row and its parameters."""
        backend = self._running().backend
        params = {f"p{number}": value for number, value in enumerate(values)}
        marks = ", ".join(f":{name}" for name in params)
        content = f"({column_list(columns, backend.syntax)}) VALUES ({marks})" if columns else backend.bulk.default_row
        return f"INSERT INTO {table.sql} {content}", params
