"""AsyncDatabaseManager: the same calls, awaited."""

from typing import Any

from nexusql.config import ConnectionConfig
from nexusql.errors import NotSupportedError


class AsyncDatabaseManager:
    """DatabaseManager's calls as coroutines. Raises NotSupportedError: it is not in this release."""

    def __init__(self, database: str | ConnectionConfig, **options: Any) -> None:
        del database  # a traceback that shows local variables must not show a password
        raise NotSupportedError(
            "AsyncDatabaseManager is not in this release; DatabaseManager has execute_async, execute_script, initialize"
        )
