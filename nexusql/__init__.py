"""One API over SQLite, PostgreSQL, MySQL/MariaDB and SQL Server, for people who write SQL.

    >>> from nexusql import DatabaseManager
    >>> with DatabaseManager("sqlite://:memory:") as db:
    ...     db.execute("SELECT :a + 1 AS b", {"a": 1})
    [{'b': 2}]

Errors are in nexusql.errors, all of them here too.
"""

from typing import TYPE_CHECKING, Any

from nexusql._speedups import IMPLEMENTATION
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import (
    ChecksumMismatch,
    CheckViolation,
    CommitUncertain,
    ConfigError,
    ConnectionLost,
    DatabaseError,
    DataError,
    DeadlockDetected,
    DuplicateColumnWarning,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    InterfaceError,
    InternalError,
    LockTimeout,
    MigrationError,
    MigrationFailed,
    MigrationLocked,
    NexusqlWarning,
    NotConnectedError,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ParameterWarning,
    PerformanceWarning,
    PoolTimeout,
    ProgrammingError,
    QueryTimeout,
    SerializationFailure,
    SQLSyntaxError,
    StreamWarning,
    TransactionAborted,
    TransactionClosed,
    TransactionWarning,
    TranslationError,
    TranslationWarning,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from nexusql.interfaces import DatabaseInterface
from nexusql.results import (
    BulkResult,
    QueryResult,
    Records,
    Row,
    RowError,
    Rows,
    create_error_result,
    create_query_result,
)

if TYPE_CHECKING:
    from nexusql.aio import AsyncDatabaseManager, AsyncStream, AsyncTransaction
    from nexusql.backends.values import Array, Json
    from nexusql.events import Event
    from nexusql.groups import GroupCommit
    from nexusql.manager import DatabaseManager
    from nexusql.migrations import MigrationRunner
    from nexusql.observers import SlowQueryLog, Statistics
    from nexusql.otel import OpenTelemetry
    from nexusql.stream import Stream
    from nexusql.transaction import Transaction

__version__ = "1.0.0.dev0"

# The manager brings asyncio along, half of what importing nexusql would cost: it is loaded when it is asked for.
_LAZY = {
    "Array": "nexusql.backends.values",
    "AsyncDatabaseManager": "nexusql.aio",
    "AsyncStream": "nexusql.aio",
    "AsyncTransaction": "nexusql.aio",
    "DatabaseManager": "nexusql.manager",
    "Event": "nexusql.events",
    "GroupCommit": "nexusql.groups",
    "Json": "nexusql.backends.values",
    "MigrationRunner": "nexusql.migrations",
    "OpenTelemetry": "nexusql.otel",
    "SlowQueryLog": "nexusql.observers",
    "Statistics": "nexusql.observers",
    "Stream": "nexusql.stream",
    "Transaction": "nexusql.transaction",
}

__all__ = [  # noqa: RUF022 - in plain sorted() order
    "Array",
    "AsyncDatabaseManager",
    "AsyncStream",
    "AsyncTransaction",
    "BulkResult",
    "CheckViolation",
    "ChecksumMismatch",
    "CommitUncertain",
    "ConfigError",
    "ConnectionConfig",
    "ConnectionLost",
    "DataError",
    "DatabaseError",
    "DatabaseInterface",
    "DatabaseManager",
    "DatabaseType",
    "DeadlockDetected",
    "DuplicateColumnWarning",
    "Error",
    "Event",
    "ForeignKeyViolation",
    "GroupCommit",
    "IMPLEMENTATION",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "Json",
    "LockTimeout",
    "MigrationError",
    "MigrationFailed",
    "MigrationLocked",
    "MigrationRunner",
    "NexusqlWarning",
    "NotConnectedError",
    "NotNullViolation",
    "NotSupportedError",
    "OpenTelemetry",
    "OperationalError",
    "ParameterError",
    "ParameterWarning",
    "PerformanceWarning",
    "PoolTimeout",
    "ProgrammingError",
    "QueryResult",
    "QueryTimeout",
    "Records",
    "Row",
    "RowError",
    "Rows",
    "SQLSyntaxError",
    "SerializationFailure",
    "SlowQueryLog",
    "Statistics",
    "Stream",
    "StreamWarning",
    "Transaction",
    "TransactionAborted",
    "TransactionClosed",
    "TransactionWarning",
    "TranslationError",
    "TranslationWarning",
    "UndefinedColumn",
    "UndefinedTable",
    "UniqueViolation",
    "__version__",
    "create_error_result",
    "create_query_result",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
