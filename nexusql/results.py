"""What calls give back: Rows and Row, the QueryResult of scripts, the BulkResult of bulk writes."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nexusql.errors import InterfaceError

Record = dict[str, Any]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Record)
else:
    from typing import TypeVar

    R = TypeVar("R")


class Records(list[R]):
    """The rows of one statement, a list of dicts or of what `into=` made of them; empty for a write.

    `rowcount` is the number of rows affected or returned, `columns` the names of the result's columns in order.
    """

    __slots__ = ("columns", "first_value", "rowcount")

    rowcount: int
    columns: tuple[str, ...]
    first_value: Any  # what `scalar` gives where rows are not dicts

    def __getattr__(self, name: str) -> Any:
        # Reached only while a slot is unset: the executing connection sets both, so construction stays a bare list's.
        if name == "rowcount":
            return len(self)
        if name == "columns":
            first = self[0] if self else None
            return tuple(first) if isinstance(first, dict) else ()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def one(self) -> R:
        """The only row. Raises InterfaceError where there is none, or more than one."""
        if len(self) != 1:
            raise InterfaceError(f"one() needs exactly one row; the result has {len(self)}")
        return self[0]

    def scalar(self) -> Any:
        """The first column of the first row, None where there is no row."""
        if not self:
            return None
        row = self[0]
        return next(iter(row.values()), None) if isinstance(row, dict) else self.first_value


class Rows(Records[R]):
    """What synchronous calls give: code that awaits every result may await it; it gives itself.

    Like the awaitable it is, it is hashed by identity, so that asyncio.gather() takes it.
    """

    __slots__ = ()

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __await__(self) -> Generator[None, None, "Rows[R]"]:
        yield from ()
        return self

    @property
    def row_count(self) -> int:
        """The same as `rowcount`."""
        return self.rowcount

    @property
    def data(self) -> "Rows[R]":
        """The rows themselves."""
        return self

    @property
    def success(self) -> bool:
        """Always True: a failure raises."""
        return True

    def plain(self) -> Records[R]:
        """The same rows, for callers who have awaited already."""
        records = Records(self)
        records.rowcount, records.columns = self.rowcount, self.columns
        if self and not isinstance(self[0], dict):
            records.first_value = self.first_value
        return records


class Row(Record):
    """The one row that fetch_one gives, a dict; it may be awaited, like Rows."""

    __slots__ = ()

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __await__(self) -> Generator[None, None, "Row"]:
        yield from ()
        return self

    @property
    def data(self) -> list["Row"]:
        """A list of this one row."""
        return [self]

    def get_first_row(self) -> "Row":
        """The row itself."""
        return self


@dataclass
class QueryResult:
    """The outcome of a script: rows where it gave some, or `error_message` where `success` is False.

    `row_count` becomes the length of `data` where `data` is not empty; `execution_time_ms` is in milliseconds.
    """

    success: bool
    data: list[Record]
    row_count: int
    error_message: str | None = None
    execution_time_ms: float | None = None

    def __post_init__(self) -> None:
        if self.data:
            self.row_count = len(self.data)

    def get_first_row(self) -> Record | None:
        """The first row, None where there is none."""
        return self.data[0] if self.data else None

    def get_column_values(self, column_name: str) -> list[Any]:
        """The values of one column, a row each; None where a row has no such column."""
        return [row.get(column_name) for row in self.data]


def create_query_result(success: bool = True, data: list[Record] | None = None, **fields: Any) -> QueryResult:
    """A QueryResult from what is known; `fields` are its other fields by name."""
    rows = [] if data is None else data
    return QueryResult(success, rows, fields.pop("row_count", len(rows)), **fields)


def create_error_result(message: str) -> QueryResult:
    """The QueryResult of a failure."""
    return QueryResult(success=False, data=[], row_count=0, error_message=message)


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that could not be stored: its index in the input, from 0, why, and the row itself, which no repr shows."""

    index: int
    error: Exception
    row: Any = field(repr=False)


@dataclass(slots=True)
class BulkResult:
    """The receipt of a bulk write.

    `done` is the number of rows of the input that are accounted for: stored, left out or refused. `rowcount` is the
    number of those that are stored now (where conflicts are ignored, those inserted),
    `strategy` the path taken, `elapsed` seconds. `ids` are the values of the `returning` column in the order of the
    input, None for a row that was left out; `errors` the rows that were refused, where others were let pass.

    Strategies are "copy" and "copy+merge" (COPY, straight or by way of a temporary table), "values" (statements of many
    rows), "rows" (a statement for each row), "driver" (literals of the driver's) and "none" (there were no rows).
    """

    rowcount: int
    strategy: str
    elapsed: float
    ids: list[Any] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    done: int = 0
