"""A user of a database server who may do nothing but what a test allows."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import servers
from nexusql import DatabaseManager


class Guest:
    """A user: `name` as GRANT and REVOKE have it, `url` of the same database."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url


@contextmanager
def guest(kind: str, db: DatabaseManager) -> Iterator[Guest]:
    """A new user of the database ("postgresql" or "mysql") that a manager is connected to, dropped afterwards."""
    user = f"guest_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    parts = urlsplit(db.database_url)
    url = urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
    name = user if kind == "postgresql" else f"{user}@'127.0.0.1'"
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN" if kind == "postgresql" else f"CREATE USER {name}")
        try:
            if kind == "postgresql":
                schema = db.fetch_value("SELECT current_schema()")
                cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
            yield Guest(name, url)
        finally:
            _drop(kind, name, cursor)


def _drop(kind: str, name: str, cursor: Any) -> None:
    if kind == "postgresql":
        cursor.execute(f"DROP OWNED BY {name}")
        cursor.execute(f"DROP ROLE {name}")
    else:
        cursor.execute(f"DROP USER {name}")
