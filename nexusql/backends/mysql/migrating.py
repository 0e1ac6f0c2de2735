"""MySQL's and MariaDB's named lock, and how their DDL behaves."""

import hashlib
from collections.abc import Sequence
from typing import Any

from nexusql.backends.migrating import AdvisoryLock, Migrating


def _key(scope: str) -> str:
    # A name has at most 64 characters, and MySQL compares it without case.
    return f"nexusql.{hashlib.sha256(scope.encode()).hexdigest()[:40]}"


def _refused(rows: Sequence[Sequence[Any]]) -> str | None:
    if any(str(value).upper() == "ON" for _, value in rows):
        return "this server is a node of a Galera cluster (wsrep_on), whose other nodes do not see its locks"
    return None


MIGRATING = Migrating(
    lock=AdvisoryLock(
        scope="SELECT DATABASE()",
        key=_key,
        take="SELECT GET_LOCK(%s, 0)",
        held="SELECT IS_USED_LOCK(%s) = CONNECTION_ID()",
        give_back="SELECT RELEASE_LOCK(%s)",
        holder=(
            "SELECT u.id, CONCAT_WS(' ', 'session', u.id, 'of', p.user, 'from', p.host)"
            " FROM (SELECT IS_USED_LOCK(%s) AS id) AS u LEFT JOIN information_schema.processlist AS p ON p.id = u.id"
            " WHERE u.id IS NOT NULL"
        ),
        end_session="KILL %s",
        probe="SHOW VARIABLES LIKE 'wsrep_on'",
        refused=_refused,
        # The server's own limit, and two kinds of limits for a user.
        too_many_connections=frozenset({1040, 1203, 1226}),
    ),
    # A table, a column or a key exists; a column or key to be dropped does not. Then the same of a primary key, a table
    # to be dropped, a database, a routine, a trigger and a foreign key.
    leftovers=frozenset({1050, 1060, 1061, 1091, 1068, 1051, 1007, 1008, 1304, 1305, 1359, 1360, 1826}),
    lock_timeout="SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}",
    blockers=(
        "SELECT CONCAT_WS(' ', 'session', t.trx_mysql_thread_id, 'of', p.user, 'has a transaction open since',"
        " TIME(t.trx_started)) FROM information_schema.innodb_trx AS t"
        " LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id"
        " WHERE t.trx_mysql_thread_id <> CONNECTION_ID() LIMIT 5"
    ),
    disk_full=frozenset({1021, 1114, 3, 28}),
)
