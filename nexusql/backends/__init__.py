"""The databases nexusql speaks to: which folder serves which, loaded when it is first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nexusql.backends.values import Array, Json
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import InterfaceError, NotSupportedError
from nexusql.sql.syntax import Syntax, register

if TYPE_CHECKING:
    from nexusql.backends.base import Backend

# The driver each folder imports; its extra is named like the folder.
_DRIVERS = {
    DatabaseType.SQLITE: "sqlite3",
    DatabaseType.POSTGRESQL: "psycopg2",
    DatabaseType.MYSQL: "pymysql",
    DatabaseType.MSSQL: "pyodbc",
}

__all__ = ["Array", "Json", "backend_for"]


def _loader(dialect: str) -> Callable[[], Syntax]:
    def load() -> Syntax:
        syntax: Syntax = import_module(f"nexusql.backends.{dialect}.syntax").SYNTAX
        return syntax

    return load


for _dialect in ("sqlite", "postgresql", "mysql", "mssql"):
    register(_dialect, _loader(_dialect))


def require_backend(kind: DatabaseType) -> str:
    """The name of a database's driver. Raises NotSupportedError where there is no backend for it."""
    driver = _DRIVERS.get(kind)
    if driver is None:
        raise NotSupportedError(f"nexusql has no backend for {kind.value} yet")
    return driver


def backend_for(
    config: ConnectionConfig,
    *,
    adapters: Mapping[type, Callable[[Any], Any]] | None = None,
    json_dumps: Callable[[Any], str | bytes] | None = None,
    json_loads: Callable[[str], Any] | None = None,
) -> "Backend":
    """The backend of the database that a configuration names, with its driver loaded.

    `adapters` widens the types that can be bound, `json_dumps` replaces the JSON encoder, `json_loads` the decoder of
    PostgreSQL's json and jsonb columns; the other databases give JSON as text. Raises NotSupportedError for a database
    that has no backend, InterfaceError where its driver is not installed.
    """
    kind = config.database_type.value
    driver = require_backend(config.database_type)
    try:
        import_module(driver)
    except ImportError as error:
        problem = f"{driver}, the driver for {kind}, cannot be imported ({error})"
        remedy = f"install it with: pip install nexusql[{kind}]"
        if driver == "pyodbc" and not isinstance(error, ModuleNotFoundError):
            remedy = "its wheels lack unixODBC; install that with: apt-get install unixodbc, or brew install unixodbc"
        raise InterfaceError(f"{problem}; {remedy}") from None
    backend: Backend = import_module(f"nexusql.backends.{kind}.driver").make(adapters, json_dumps, json_loads)
    return backend
