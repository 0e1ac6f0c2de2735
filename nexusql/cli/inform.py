"""`nexusql info`: what is at the other end of a URL, and what nexusql has for it."""

import platform
from dataclasses import asdict
from importlib import import_module
from typing import Any

import nexusql
from nexusql.cli.database import URL, AskPassword, Json, connected
from nexusql.cli.output import write, write_json
from nexusql.errors import MigrationError
from nexusql.manager import DatabaseManager
from nexusql.migrations.runner import MigrationRunner

EXAMPLES = "Example: nexusql info postgresql://app@db/shop --json"

BULK = {
    "sqlite": "multi-row INSERT",
    "postgresql": "COPY FROM STDIN",
    "mysql": "multi-row INSERT",
    "mssql": "multi-row INSERT",
}
DRIVERS = {"sqlite": "sqlite3", "postgresql": "psycopg2", "mysql": "pymysql", "mssql": "pyodbc"}


def info(url: URL, json: Json = False, ask_password: AskPassword = False) -> None:
    """Tell what the server is and what it can do. Also the drivers, and whether the core is compiled."""
    with connected(url, ask_password) as database:
        facts = facts_of(database)
    if json:
        write_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        write(f"{name:<{width}}  {_in_words(value)}\n")


def facts_of(database: DatabaseManager) -> dict[str, Any]:
    """What can be said of a connected database."""
    engine = database._connected()
    connection = engine.lease()
    try:
        server, modes = connection.server, connection.modes
    finally:
        engine.pool.release(connection)
    kind = database.config.database_type.value
    compiled = nexusql.IMPLEMENTATION == "cython"
    return {
        "nexusql": nexusql.__version__,
        "core": "compiled" if compiled else "interpreted",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "url": database.config.masked_url,
        "backend": kind,
        "server": server,
        "modes": {name: value for name, value in modes._asdict().items() if name != "version"},
        "capabilities": asdict(engine.capabilities),
        "migrations": _migrations(database),
        "fast paths": [*(f"compiled {name}" for name in ("scanner", "binder", "records") if compiled), BULK[kind]],
        "rows read by": engine.backend.row_reader,
        "drivers": {name: _driver(module) for name, module in DRIVERS.items()},
    }


def _migrations(database: DatabaseManager) -> str:
    """What keeps two processes from migrating at once."""
    lock = MigrationRunner(database).lock()
    if lock is None:
        return "one transaction a file"
    try:
        holder = lock.describe_holder()
    except MigrationError as error:
        return str(error)
    how = "one transaction a file" if database.transactional_ddl else "statement by statement"
    return f"{how}, advisory lock {'held by ' + holder[1] if holder else 'free'}"


def _driver(module: str) -> str | None:
    """The version of an installed driver."""
    try:
        loaded = import_module(module)
    except ImportError:
        return None
    own = getattr(loaded, "VERSION", None)
    if own is not None:  # PyMySQL's; its __version__ is that of the driver for which it can stand in
        return ".".join(map(str, own[:3]))
    version = getattr(loaded, "sqlite_version", None) or getattr(loaded, "__version__", None)
    return str(version or getattr(loaded, "version", "installed"))


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(value) or "nothing"
    return "-" if value in (None, "") else str(value)
