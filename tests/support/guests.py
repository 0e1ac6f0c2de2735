"""A user of a database server who may do nothing but what a test allows."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import servers
from nexusql import DatabaseManager

PASSWORD = "Guest-Guest-7"  # which SQL Server wants, and finds strong enough


class Guest:
    """A user: `name` as GRANT and REVOKE have it, `url` of the same database."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url


@contextmanager
def guest(kind: str, db: DatabaseManager) -> Iterator[Guest]:
    """A new user of the database of a server that a manager is connected to, dropped afterwards."""
    user = f"guest_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    parts = urlsplit(db.database_url)
    login = f"{user}:{PASSWORD}" if kind == "mssql" else user
    url = urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))
    name = f"{user}@'127.0.0.1'" if kind == "mysql" else user
    create = {
        "postgresql": f"CREATE ROLE {name} LOGIN",
        "mysql": f"CREATE USER {name}",
        "mssql": f"CREATE LOGIN {name} WITH PASSWORD = '{PASSWORD}'",
    }
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(create[kind])
        try:
            if kind == "postgresql":
                schema = db.fetch_value("SELECT current_schema()")
                cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
            elif kind == "mssql":
                db.execute(f"CREATE USER {name} FOR LOGIN {name}")
            yield Guest(name, url)
        finally:
            _drop(kind, name, cursor)


def _drop(kind: str, name: str, cursor: Any) -> None:
    if kind == "postgresql":
        cursor.execute(f"DROP OWNED BY {name}")
        cursor.execute(f"DROP ROLE {name}")
    elif kind == "mssql":  # the user goes with its database
        cursor.execute(f"DROP LOGIN {name}")
    else:
        cursor.execute(f"DROP USER {name}")
