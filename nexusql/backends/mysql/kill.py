"""Stopping a query of MySQL or MariaDB: no message does that in its own session, so another one has it killed.

https://mariadb.com/kb/en/kill/, https://dev.mysql.com/doc/refman/8.0/en/kill.html
"""

import re
from collections.abc import Callable
from typing import Any

import pymysql
from pymysql.constants import ER

from nexusql.backends.base import Raw
from nexusql.config import ConnectionConfig

PATIENCE = 5.0  # seconds that the other session may take to connect, and to answer
LOOKED_AT = 1000  # characters of a query by which it is recognised

# As the server shows a statement in its list: without what surrounds it. Beyond the basic plane it shows other signs.
_SHOWN = re.compile(f"[\x00-\uffff]{{0,{LOOKED_AT}}}")

Connect = Callable[[ConnectionConfig, float], Raw]


def kill_query(raw: Raw, query: str | bytes, config: ConnectionConfig, connect: Connect) -> None:
    """Have a session's query killed by another session.

    Nothing is killed where the server that answers does not run this very query under this number: behind a balancer it
    may be another server. Raises what connecting and asking raise.
    """
    number = raw.thread_id()
    start = query[: 4 * LOOKED_AT].decode(errors="ignore") if isinstance(query, bytes) else query[: 2 * LOOKED_AT]
    found = _SHOWN.match(start.strip("; \t\n\r\f\v"))
    shown = found[0] if found else ""
    other: Any = connect(config, PATIENCE)
    try:
        other._read_timeout = PATIENCE
        cursor = other.cursor()
        cursor.execute(
            f"SELECT 1 FROM information_schema.processlist WHERE id = {number} AND LEFT(info,"
            f" {len(shown)}) = CONVERT(X'{shown.encode().hex()}' USING utf8mb3)"
        )
        if cursor.fetchone():
            cursor.execute(f"KILL QUERY {number}")
    finally:
        other.close()


def absorb(raw: Raw) -> None:
    """See that a kill hits no later statement: it was answered before DO is sent, so it has hit the query, or DO."""
    try:
        raw.query("DO 0")
    except pymysql.err.MySQLError as error:
        if error.args[0] != ER.QUERY_INTERRUPTED:
            raise
