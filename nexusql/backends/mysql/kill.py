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
KEPT = 4 * LOOKED_AT  # of a query, characters or bytes

# As the server shows a statement in its list: without what surrounds it. Beyond the basic plane it shows other signs.
_SHOWN = re.compile(f"[\x00-\uffff]{{0,{LOOKED_AT}}}")

Connect = Callable[[ConnectionConfig, float], Raw]


def kill_query(raw: Raw, config: ConnectionConfig, connect: Connect) -> None:
    """Have the query that a session was asked last killed by another session.

    Nothing is killed where the server that answers does not run this very query under this number: behind a balancer it
    may be another server. Raises what connecting and asking raise.
    """
    number = raw.thread_id()
    asked = raw.asked.decode(errors="ignore") if isinstance(raw.asked, bytes) else raw.asked
    found = _SHOWN.match(asked.strip("; \t\n\r\f\v"))
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
