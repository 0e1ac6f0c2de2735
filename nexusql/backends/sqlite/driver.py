"""SQLite through the standard library's sqlite3."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any

from nexusql.backends.base import Capabilities, Cursor, Raw, Session, Status
from nexusql.backends.common import CommonBackend, error_of_python
from nexusql.backends.errors import driver_error
from nexusql.backends.names import name_parts
from nexusql.backends.options import checked_options, one_of, whole_number
from nexusql.backends.sqlite.bulk import SqliteBulk
from nexusql.backends.sqlite.cursor import SqliteCursor
from nexusql.backends.sqlite.error_codes import BY_EXTENDED_CODE, BY_PRIMARY_CODE, BY_TEXT
from nexusql.backends.sqlite.syntax import SYNTAX
from nexusql.backends.values import Adapter, Adapters, Values, clock_text, finite_decimal, naive_time, to_utc
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import (
    ConnectionLost,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ProgrammingError,
)
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Statement

AT_LEAST = (3, 35)  # RETURNING
JOURNAL_MODES = ("WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF")
PRAGMAS = {"foreign_keys": ("on", "off"), "synchronous": ("OFF", "NORMAL", "FULL", "EXTRA")}
OPTIONS = ("busy_timeout", "cached_statements", "journal_mode", *PRAGMAS)
BUSY_TIMEOUT = 30_000  # milliseconds, as PRAGMA busy_timeout has it
CACHED_STATEMENTS = 512
PAUSE = 0.01  # seconds

_FOREIGN_KEYS = re.compile(r"\bforeign_keys\s*[=(]\s*['\"]?(\w+)", re.IGNORECASE)


class Connection(sqlite3.Connection):
    """A connection that knows whether its transaction was begun read-only."""

    query_only = False


class SqliteValues(Values):
    """Text for what SQLite has no type for, in forms that sort and compare as the values do."""

    def native(self) -> Adapters:
        """See Values.native. Integers beyond 64 bits are refused by the driver."""
        return {
            **super().native(),
            bool: None,
            float: _number,
            Decimal: lambda value: str(finite_decimal(value)),
            datetime: lambda value: to_utc(value).isoformat(" ", "microseconds"),
            date: date.isoformat,
            clock_time: lambda value: naive_time(value).isoformat(),
            timedelta: clock_text,
        }


def _number(value: float) -> float:
    if value != value:
        raise ParameterError("SQLite stores NaN as NULL, so a float that is NaN cannot be bound")
    return value


class SqliteBackend(CommonBackend):
    """See nexusql.backends.base.Backend."""

    database_type = DatabaseType.SQLITE
    syntax = SYNTAX
    capabilities = Capabilities(session_modes=False, batches=True)
    no_args = ()

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self.bulk = SqliteBulk(values)

    def capabilities_for(self, config: ConnectionConfig) -> Capabilities:
        """An in-memory database lives in its one connection; a file has one writer at a time."""
        memory = config.in_memory
        return replace(self.capabilities, shared_connection=memory, single_writer=not memory)

    def connect(self, config: ConnectionConfig, timeout: float) -> Raw:
        """Open the file or the memory; folders are made, a file is set to WAL."""
        deadline = time.monotonic() + timeout
        options = checked_options(config, OPTIONS)
        busy_timeout = whole_number("busy_timeout", options.get("busy_timeout", str(BUSY_TIMEOUT)))
        cached = whole_number("cached_statements", options.get("cached_statements", str(CACHED_STATEMENTS)))
        journal_mode = one_of("journal_mode", options.get("journal_mode", "WAL"), JOURNAL_MODES)
        pragmas = {name: one_of(name, options[name], PRAGMAS[name]) for name in PRAGMAS if name in options}
        path = config.path or ":memory:"
        is_uri = path.startswith("file:")
        if not is_uri and not config.in_memory:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        raw = sqlite3.connect(
            path,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
            cached_statements=cached,
            uri=is_uri,
        )
        try:
            if not config.in_memory:
                _set_journal_mode(raw, journal_mode, deadline)
            raw.execute(f"PRAGMA busy_timeout = {busy_timeout}").fetchall()
            for name, value in pragmas.items():
                raw.execute(f"PRAGMA {name} = {value}")
        except BaseException:
            raw.close()
            raise
        return raw

    def inspect(self, raw: Raw) -> Session:
        """The library's version: nothing of a session changes how it reads text."""
        if sqlite3.sqlite_version_info < AT_LEAST:
            raise NotSupportedError(f"nexusql needs SQLite 3.35 or later; this Python has {sqlite3.sqlite_version}")
        return Session(SessionModes(version=sqlite3.sqlite_version_info), f"SQLite {sqlite3.sqlite_version}")

    def modes_changed(self, raw: Raw, modes: SessionModes) -> bool:
        """Never."""
        return False

    def looks_dead(self, raw: Raw) -> bool:
        """Never: there is no server."""
        return False

    def ping(self, raw: Raw, timeout: float) -> bool:
        """Whether the connection is open."""
        try:
            raw.execute("SELECT 1").fetchall()
        except sqlite3.Error:
            return False
        return True

    def close(self, raw: Raw) -> None:
        """Close; a statement that runs in another thread is interrupted, for closing would wait for it."""
        with suppress(sqlite3.Error):  # closed already
            raw.interrupt()
            with suppress(sqlite3.OperationalError):  # still interrupted
                # Until a statement has run, the interrupt holds for the checkpoint of the last one who closes, too:
                # the write-ahead log would stay behind, and who copies the file alone would have none of its rows.
                raw.execute("SELECT 1")
            raw.close()

    def cancel(self, raw: Raw, config: ConnectionConfig) -> None:
        """Interrupt: https://www.sqlite.org/c3ref/interrupt.html."""
        raw.interrupt()

    def execute(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Any:
        """Run driver text."""
        return raw.execute(text, args or ())

    def executor(self, raw: Raw) -> Callable[[str, Any], Any]:
        """The driver's own call."""
        execute: Callable[[str, Any], Any] = raw.execute
        return execute

    def execute_batch(self, raw: Raw, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """The driver's executemany."""
        total: int = raw.executemany(text, rows).rowcount
        return max(total, 0)

    def open_cursor(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """See nexusql.backends.sqlite.cursor."""
        return SqliteCursor(self.execute(raw, text, args), size)

    def status(self, raw: Raw) -> Status:
        """As SQLite's autocommit flag has it."""
        try:
            if raw.in_transaction:
                return Status.ACTIVE
            if raw.query_only:  # SQLite itself has rolled a read-only transaction back
                _allow_writes(raw)
            return Status.IDLE
        except sqlite3.ProgrammingError:  # closed
            return Status.UNKNOWN

    def begin(self, raw: Raw, isolation: str | None, read_only: bool, mode: str) -> None:
        """BEGIN IMMEDIATE, so that a write never meets a lock it cannot wait for; for `read_only` DEFERRED, and without
        the right to write. Every isolation level is served by SQLite's only one, SERIALIZABLE."""
        raw.execute(f"BEGIN {mode or ('DEFERRED' if read_only else 'IMMEDIATE')}")
        if read_only:
            raw.execute("PRAGMA query_only = ON")
            raw.query_only = True

    def commit(self, raw: Raw) -> None:
        """Commit. Where the database is busy the transaction stays open."""
        raw.commit()
        _allow_writes(raw)

    def rollback(self, raw: Raw) -> None:
        """Roll back. Not by the driver's call, which before Python 3.11 resets the cursors of streams too."""
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        _allow_writes(raw)

    def reset(self, raw: Raw) -> bool:
        """Only the one connection of an in-memory database is kept, for it is the database: of temporary tables,
        attached files and pragmas no question shows that a session has none left."""
        self.rollback(raw)
        return not raw.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0]

    def map_error(self, error: Exception, raw: Raw | None, sql: str | None) -> Error:
        """See nexusql.backends.base.Backend; `code` is the extended result code, None before Python 3.11."""
        if not isinstance(error, (sqlite3.Error, sqlite3.Warning)):
            if isinstance(error, MemoryError) and raw is not None and self.status(raw) is Status.UNKNOWN:
                return driver_error(ConnectionLost, error, sql=sql)  # closed by another thread while it ran
            return error_of_python(error, sql)
        if isinstance(error, sqlite3.Warning) and sql:  # before Python 3.11 also where a text has no UTF-8
            try:
                sql.encode()
            except UnicodeEncodeError as reason:
                return error_of_python(reason, sql)
        code = getattr(error, "sqlite_errorcode", None)
        return driver_error(_class_of(error, code), error, code=code, sql=sql)

    def dooms(self, error: Error) -> bool:
        """Never by the error alone: what SQLite has rolled back is no longer ACTIVE."""
        return False

    def session_setting(self, statement: Statement) -> str | None:
        """PRAGMA foreign_keys, which clients set once and mean for all."""
        found = _FOREIGN_KEYS.search(statement.text) if statement.verb == "PRAGMA" else None
        return f"PRAGMA foreign_keys = {found[1]}" if found else None

    def list_tables_sql(self) -> str:
        """Tables of the main database, SQLite's own left out."""
        return (
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            " ORDER BY name"
        )

    def column_types(self, raw: Raw, table: str) -> Mapping[str, str]:
        """Declared types, as PRAGMA table_info has them."""
        parts = [name for name, _ in name_parts(table)]
        if not 1 <= len(parts) <= 2:
            return {}
        if len(parts) == 1:
            return dict(raw.execute("SELECT name, type FROM pragma_table_info(?)", parts))
        # Joined, because asking for a schema that is not there is an error; CROSS, for SQLite keeps that order.
        columns = "SELECT t.name, t.type FROM pragma_database_list AS d CROSS JOIN pragma_table_info(?, d.name) AS t"
        return dict(raw.execute(f"{columns} WHERE d.name = ? COLLATE NOCASE", parts[::-1]))


def make(
    custom: Mapping[type, Adapter] | None = None,
    json_dumps: Callable[[Any], str | bytes] | None = None,
    json_loads: Callable[[str], Any] | None = None,
) -> SqliteBackend:
    """The backend, its values widened by `custom`; JSON is read as text, so there is nothing for `json_loads` to do."""
    return SqliteBackend(SqliteValues(custom, json_dumps))


def _set_journal_mode(raw: sqlite3.Connection, mode: str, deadline: float) -> None:
    """Set the journal mode of a file. Others are waited for here: SQLite's busy time-out does not hold for that."""
    while True:
        try:
            raw.execute(f"PRAGMA journal_mode = {mode}").fetchall()
            return
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                return  # a file that cannot be written keeps the mode it has
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def _allow_writes(raw: Raw) -> None:
    if raw.query_only:
        raw.execute("PRAGMA query_only = OFF")
        raw.query_only = False


# PEP 249's classes as sqlite3 has them; the later ones are subclasses of the earlier.
_BY_CATEGORY: tuple[tuple[type[Exception], type[Error]], ...] = (
    (sqlite3.IntegrityError, IntegrityError),
    (sqlite3.OperationalError, OperationalError),
    (sqlite3.DataError, DataError),
    (sqlite3.ProgrammingError, ProgrammingError),
    (sqlite3.NotSupportedError, NotSupportedError),
    (sqlite3.InternalError, InternalError),
    (sqlite3.DatabaseError, DatabaseError),
    (sqlite3.InterfaceError, InterfaceError),
    (sqlite3.Warning, ProgrammingError),
)


def _class_of(error: Exception, code: int | None) -> type[Error]:
    if code in BY_EXTENDED_CODE:
        return BY_EXTENDED_CODE[code]
    text = str(error)
    for fragment, kind in BY_TEXT:
        if fragment in text:
            return kind
    if code is not None and code & 0xFF in BY_PRIMARY_CODE:
        return BY_PRIMARY_CODE[code & 0xFF]
    return next((kind for category, kind in _BY_CATEGORY if isinstance(error, category)), InterfaceError)
