"""What a database must offer for bulk writes: a description of a table, and a writer for rows of one shape."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from nexusql.backends.base import Raw
from nexusql.backends.names import name_parts
from nexusql.backends.tables import Table
from nexusql.errors import DataError, Error, IntegrityError, ParameterError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Syntax, syntax_for

MOST_BYTES = 4_000_000  # of what was taken and waits to be written

Record = Any  # a dict, or a tuple or list of values


class Conflict(NamedTuple):
    """What happens to a row whose `key` is there already: it is left out, or its `update` columns replace the old."""

    action: Literal["ignore", "update"]
    key: tuple[str, ...]  # () for any unique key
    update: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows of one shape go: a table's columns, and how their values are found in a record.

    `names` are the keys of dicts, a column each, or None for tuples and lists in the columns' order; with `surplus`
    dicts may have further keys. `returning` is the column whose values are wanted back.
    """

    table: Table
    columns: tuple[str, ...]
    names: tuple[str, ...] | None
    surplus: bool = False
    conflict: Conflict | None = None
    returning: str | None = None

    def value(self, record: Record, column: str) -> Any:
        """A record's value for one of the columns."""
        position = self.columns.index(column)
        return record[position if self.names is None else self.names[position]]


class RowFault(ParameterError):
    """A value that was taken and that the driver then refuses; `row` counts the rows waiting to be written, from 0."""

    def __init__(self, message: str, row: int, column: str) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class Taken(NamedTuple):
    """How a writer's `take` ended: the number of rows taken, and a status of nexusql._speedups with its detail.

    `behind` is what had been read behind the row that the detail is about, one row or none.
    """

    taken: int
    status: int
    detail: Any
    behind: tuple[Record, ...] = ()


class Writer(ABC):
    """Writes the rows of one target over one connection, inside a transaction that somebody else has begun.

    Rows are taken, which encodes them and sends nothing, and flushed; `settle` ends what flushing has left to do.
    `stored` counts the rows of the input that are now stored, `ids` are their `returning` values in the order in which
    they were taken, None for an ignored row. `waiting` is about how many bytes were taken and not written yet, a few
    millions at most. `undoes` tells whether a rollback undoes what was written. `shortfall` says why a slower way was
    taken, `note` what is done otherwise than asked for; both are "" mostly.
    """

    strategy = ""
    undoes = True
    shortfall = ""
    note = ""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stored = 0
        self.ids: list[Any] = []
        self.waiting = 0

    @abstractmethod
    def take(self, first: Record | None, rows: Iterator[Record], max_rows: int, kept: list[Record] | None) -> Taken:
        """Encode rows, `first` before the others, until something says stop; each is appended to `kept`."""

    @abstractmethod
    def flush(self, raw: Raw) -> None:
        """Write what was taken. Raises RowFault, and the driver's errors."""

    def settle(self, raw: Raw) -> None:
        """Finish, so that everything taken is in the table; more may be taken afterwards."""
        return

    def abandon(self, raw: Raw) -> None:
        """Remove what a rollback leaves in the session."""
        return


class BulkWrites(Protocol):
    """A database's part in bulk writes; stateless."""

    default_row: str  # what INSERT INTO t has behind it for a row of defaults
    refuses_wholly: bool  # of an INSERT of one row that raises an error nothing is stored, outside a transaction too

    def returns(self, modes: SessionModes) -> bool:
        """Whether INSERT can have RETURNING."""
        ...

    def describe(self, raw: Raw, table: str) -> Table | None:
        """A table by its name, as a statement has it; None where it is not to be seen. Raises ParameterError for a name
        that cannot be read, and the driver's error where there is no such table."""
        ...

    def writer(self, raw: Raw, target: Target) -> Writer:
        """The fastest writer that does what is asked for. Raises ParameterError where no key fits the conflict."""
        ...

    def blames_row(self, error: Error) -> bool:
        """True where an error is about the rows of a statement, so that fewer rows may pass."""
        ...


def blames_row(error: Error, codes: frozenset[int | str]) -> bool:
    """True for errors about values and constraints, and those with one of a database's further `codes`."""
    return isinstance(error, (DataError, IntegrityError, ParameterError)) or error.code in codes


def table_parts(written: str) -> list[tuple[str, bool]]:
    """The parts of a table's name, each with whether it was quoted. Raises ParameterError where it cannot be read."""
    parts = name_parts(written)
    if not parts:
        raise ParameterError(f"the table name {written!r} cannot be read; quote a part that is no plain word")
    return parts


def column_list(columns: Sequence[str], syntax: Syntax) -> str:
    """Names of columns as a statement lists them."""
    limit = (syntax.max_identifier, syntax.max_identifier_in_bytes)
    return _listed(tuple(columns), syntax.dialect, syntax.quote, *limit)


@lru_cache(maxsize=256)
def _listed(columns: tuple[str, ...], dialect: str, quote: str, longest: int, in_bytes: bool) -> str:
    # All that quoting depends on: a Syntax cannot be a key.
    syntax = replace(syntax_for(dialect), quote=quote, max_identifier=longest, max_identifier_in_bytes=in_bytes)
    return ", ".join(quote_identifier(name, syntax) for name in columns)


def conflict_clause(target: Target, syntax: Syntax) -> str:
    """ON CONFLICT .. as PostgreSQL and SQLite have it, with a blank before it; "" where there is none."""
    conflict = target.conflict
    if conflict is None:
        return ""
    key = f" ({column_list(conflict.key, syntax)})" if conflict.key else ""
    if conflict.action == "ignore":
        return f" ON CONFLICT{key} DO NOTHING"
    names = [quote_identifier(name, syntax) for name in conflict.update]
    return f" ON CONFLICT{key} DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"


def counts_keys(target: Target) -> bool:
    """Whether rows of an upsert can replace each other, so that what is stored are keys and not rows."""
    conflict = target.conflict
    return conflict is not None and conflict.action == "update" and set(conflict.key) <= set(target.columns)
