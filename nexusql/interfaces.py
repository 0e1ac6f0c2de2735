"""The import path that clients know for the data classes, and the interface that DatabaseManager fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.results import BulkResult, QueryResult, Row, Rows, create_error_result, create_query_result

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BulkResult",
    "ConnectionConfig",
    "DatabaseInterface",
    "DatabaseType",
    "QueryResult",
    "Row",
    "Rows",
    "create_error_result",
    "create_query_result",
]


class DatabaseInterface(ABC):
    """What a client may ask of a database, as an annotation and for stand-ins in tests; see DatabaseManager."""

    config: ConnectionConfig

    @abstractmethod
    def connect(self, raise_errors: bool = False) -> bool:
        """True when the database answers; False, or with `raise_errors` the error, when it does not."""

    @abstractmethod
    def disconnect(self) -> Awaitable[None]:
        """Close at once; what it returns may be awaited."""

    @abstractmethod
    def execute(self, sql: str, params: Any = None) -> Rows:
        """Run one statement; its rows, none for a write. Raises nexusql's Error."""

    @abstractmethod
    async def execute_async(self, sql: str, params: Any = None) -> Rows:
        """The same, off the event loop's thread."""

    @abstractmethod
    def fetch_one(self, sql: str, params: Any = None) -> Row | None:
        """The first row, None where there is none. Raises nexusql's Error."""

    @abstractmethod
    def fetch_all(self, sql: str, params: Any = None) -> Rows:
        """All rows. Raises nexusql's Error."""

    @abstractmethod
    def table_exists(self, table: str) -> bool:
        """Whether the current schema or database has the table."""

    @abstractmethod
    def create_table(self, table: str, columns: dict[str, str]) -> None:
        """Create a table, unless it is there, from column names and definitions."""

    @abstractmethod
    def begin_transaction(self) -> None:
        """Start a transaction."""

    @abstractmethod
    def commit_transaction(self) -> None:
        """Commit it."""

    @abstractmethod
    def rollback_transaction(self) -> None:
        """Roll it back."""

    @abstractmethod
    async def execute_script(self, sql: str) -> QueryResult:
        """Run the statements of a script one by one; a failure is told in the result."""

    @abstractmethod
    async def initialize(
        self, apply_schema: bool = True, app_migration_paths: "Sequence[str | Path] | None" = None
    ) -> bool:
        """Connect and apply the packaged migrations, then each folder's; False where that fails."""
