"""What a database must offer to be a backend. One folder a database; nothing outside backends/ imports a driver."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from nexusql.backends.values import Adapter
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import Error
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Statement
from nexusql.sql.syntax import Syntax

if TYPE_CHECKING:
    from nexusql.backends.bulk import BulkWrites

Raw = Any  # a driver's connection
# Appends a driver's rows, with these column names, to a result; True where two names are equal.
Extend = Callable[[Any, Any, tuple[str, ...]], bool]


class Status(Enum):
    """Where a connection stands with respect to transactions."""

    IDLE = "idle"
    ACTIVE = "in a transaction"
    FAILED = "in a failed transaction"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Session:
    """What was learnt of a connection when it was opened."""

    modes: SessionModes
    server: str  # "PostgreSQL 15.20", "MariaDB 10.11.19", "SQLite 3.40.1"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a database can do, as data."""

    transactional_ddl: bool = True
    shared_connection: bool = False  # one connection for all, as an in-memory SQLite database has
    single_writer: bool = False  # one writer at a time, so that writers queue in the process
    releases_savepoints: bool = True
    batches: bool = False  # whether the driver runs one statement for many parameters faster than a loop does
    fast_iteration: bool = True  # whether iterating over a cursor is the driver's fastest way to its rows
    cursor_transactions: bool = False  # whether reading rows in pieces needs a transaction
    session_modes: bool = True  # whether a session can change how its server reads text
    further_isolation: tuple[str, ...] = ()  # levels beside the standard's four


class Cursor(Protocol):
    """The rows of one query, read in pieces on the session that runs it, by one thread at a time."""

    description: Sequence[Sequence[Any]]  # of the columns, as PEP 249 has it

    @property
    def occupies(self) -> bool:
        """True while rows are on their way unasked, so that the session can run nothing else."""
        ...

    def fetch(self) -> Sequence[Any]:
        """The next piece, tuples; shorter than asked for, or empty, at the end."""
        ...

    def close(self, config: ConnectionConfig) -> None:
        """Leave the rest unread; the session, that of a transaction, can be used at once. Where the server must be told
        to stop by another session, that is opened by `config`."""
        ...


class Backend(Protocol):
    """One database, stateless: every call is given the driver's connection it works on.

    Errors that leave these calls are the driver's own, except where said; `map_error` turns them into nexusql's.
    """

    database_type: DatabaseType
    syntax: Syntax
    capabilities: Capabilities
    # Exact type -> None (the driver takes it as it is) or what converts it. `adapt_other` is asked for all else.
    adapters: dict[type, Adapter | None]
    calls_out: bool  # whether to bind a value may run the caller's code
    no_args: tuple[()] | None  # what `execute` is given for a statement without parameters
    fits: bool  # whether `fit` has anything to do for this database
    extend_dicts: Extend  # rows as dicts, by whatever is fastest for what `executor` gives
    row_reader: str  # what reads rows from the server, and where that is not the fastest there is, why
    misfits: frozenset[str]  # SQLSTATEs of statements refused because an argument is not of its column's type
    bulk: "BulkWrites"

    def capabilities_for(self, config: ConnectionConfig) -> Capabilities:
        """Capabilities of the database that a configuration names."""
        ...

    def connect(self, config: ConnectionConfig, timeout: float) -> Raw:
        """Open a connection in autocommit, with the session set up as design.md says; at most `timeout` seconds."""
        ...

    def inspect(self, raw: Raw) -> Session:
        """Read modes and version from the server. Raises NotSupportedError where the version is too old, and
        ConfigError where the session's character set is not UTF-8."""
        ...

    def modes_changed(self, raw: Raw, modes: SessionModes) -> bool:
        """True where the modes are known, without a round trip, to differ from `modes`."""
        ...

    def looks_dead(self, raw: Raw) -> bool:
        """True where an idle connection's socket has something to say, or is closed: free, no round trip."""
        ...

    def ping(self, raw: Raw, timeout: float) -> bool:
        """Ask the server for a sign of life within `timeout` seconds; never raises a driver's error."""
        ...

    def close(self, raw: Raw) -> None:
        """Close; never raises a driver's error."""
        ...

    def cancel(self, raw: Raw, config: ConnectionConfig) -> None:
        """Have the statement stopped that another thread waits for on a connection; where that takes another session,
        it is opened by `config`. Bounded in time, whatever the server does. Raises what goes wrong."""
        ...

    def outlive_cancel(self, raw: Raw) -> None:
        """See that a cancel that came too late hits no later statement; in the thread that uses the connection."""
        ...

    def cut(self, raw: Raw) -> None:
        """Shut the socket, where there is one, of a connection that another thread waits on; never raises."""
        ...

    def execute(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Any:
        """Run driver text; gives the driver's cursor, with `description`, `rowcount` and `fetchall`."""
        ...

    def executor(self, raw: Raw) -> Callable[[str, Any], Any]:
        """`execute` bound to a connection: where it can be, the driver's own call, because each Python frame counts.
        The rows of what it gives are read before the connection is used again."""
        ...

    def execute_batch(self, raw: Raw, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run driver text that writes for each of many sets of arguments; the total of rows affected."""
        ...

    def open_cursor(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """Run driver text that is a query, whose rows are read in pieces of `size`. `alone` is true outside a
        transaction: where the database needs one for it, it is begun here, and the caller ends it."""
        ...

    def status(self, raw: Raw) -> Status:
        """Where the connection stands, without a round trip."""
        ...

    def begin(self, raw: Raw, isolation: str | None, read_only: bool, mode: str) -> None:
        """Start a transaction. `isolation` is in upper case ("SERIALIZABLE"); `mode` is SQLite's, or ""."""
        ...

    def commit(self, raw: Raw) -> None:
        """Commit the open transaction."""
        ...

    def rollback(self, raw: Raw) -> None:
        """Roll the open transaction back."""
        ...

    def savepoint(self, raw: Raw, name: str) -> None:
        """Set a savepoint; `name` is a plain identifier or a quoted one."""
        ...

    def rollback_to(self, raw: Raw, name: str) -> None:
        """Roll back to a savepoint, which stays."""
        ...

    def release(self, raw: Raw, name: str) -> None:
        """Forget a savepoint, where the database can."""
        ...

    def reset(self, raw: Raw) -> bool:
        """Bring a used session back to its defaults; False where that cannot be proved, so that it must be closed."""
        ...

    def map_error(self, error: Exception, raw: Raw | None, sql: str | None) -> Error:
        """The nexusql error for a driver's, also an instance of the driver's class, with sqlstate, code and sql."""
        ...

    def is_misplaced(self, error: Error, raw: Raw) -> bool:
        """True where an error says that the session is at a server which no longer is what the configuration asks for:
        read-only, where it must be writable."""
        ...

    def dooms(self, error: Error) -> bool:
        """True where the server has rolled back the transaction in which this error came, or would commit a part."""
        ...

    def adapt_other(self, value: Any) -> Any:
        """Convert a value whose exact type is not in `adapters`: subclasses, Enum, numpy scalars. Raises ParameterError
        for a type that cannot be bound."""
        ...

    def adapt_list(self, items: Sequence[Any]) -> Any:
        """A list beyond the driver's number of parameters as one value, in the form that the translation of
        `IN (:names)` reads there: an array literal on PostgreSQL, JSON text elsewhere. Raises ParameterError."""
        ...

    def session_setting(self, statement: Statement) -> str | None:
        """Driver text to be run on every other connection, where the statement is a setting that holds for them all."""
        ...

    def fit(self, statement: Statement, args: list[Any], types_of: Callable[[str], Mapping[str, str]]) -> None:
        """Adjust arguments in place where what a column needs differs from what the driver would send.

        Called only where `fits` is True. `types_of(table)` gives a table's column types, as `column_types` does.
        """
        ...

    def list_tables_sql(self) -> str:
        """Driver text that lists the tables of the current schema or database, in one column `name`, sorted."""
        ...

    def column_types(self, raw: Raw, table: str) -> Mapping[str, str]:
        """Types of a table's columns by name as the catalogue has them; {} where there is no such table."""
        ...
