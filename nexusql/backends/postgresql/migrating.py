"""PostgreSQL's advisory lock, and how its DDL behaves."""

import hashlib
from collections.abc import Sequence
from typing import Any

from nexusql.backends.migrating import AdvisoryLock, Migrating

# How pg_locks shows a lock by one bigint.
_OURS = (
    "l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())"
    " AND (l.classid::bigint << 32) | l.objid::bigint = %s"
)
_SESSION = (
    "pg_catalog.concat_ws(' ', 'session', a.pid, 'of', a.usename,"
    " 'from', coalesce(a.client_addr::text, 'its own machine'),"
    " nullif('(' || a.application_name || ')', '()'), 'since', to_char(a.backend_start, 'HH24:MI:SS'))"
)


def _key(scope: str) -> int:
    return int.from_bytes(hashlib.sha256(f"nexusql migrations {scope}".encode()).digest()[:8], "big") >> 1


def _refused(rows: Sequence[Sequence[Any]]) -> str | None:
    version = str(rows[0][0])
    if "CockroachDB" in version or "Yugabyte" in version or "-YB-" in version:
        return f"the advisory locks of this server do nothing ({version.split(',')[0]})"
    return None


MIGRATING = Migrating(
    lock=AdvisoryLock(
        scope="SELECT pg_catalog.current_schema()",
        key=_key,
        take="SELECT pg_catalog.pg_try_advisory_lock(%s)::int",
        held=("SELECT count(*) FROM pg_catalog.pg_locks AS l WHERE l.pid = pg_catalog.pg_backend_pid() AND " + _OURS),
        give_back="SELECT pg_catalog.pg_advisory_unlock(%s)",
        holder=(
            f"SELECT a.pid, {_SESSION} FROM pg_catalog.pg_locks AS l"
            f" JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid WHERE {_OURS}"
        ),
        end_session="SELECT pg_catalog.pg_terminate_backend(%s)",
        # Unqualified: a schema before pg_catalog may say what it stands for.
        probe="SELECT version()",
        refused=_refused,
        too_many_connections=frozenset({"53300"}),
    ),
    # A table or an index, a column, another object is there already; an object is gone already.
    leftovers=frozenset({"42P07", "42701", "42710", "42704"}),
    transaction_id="SELECT pg_catalog.pg_current_xact_id()::text",
    lock_timeout="SET lock_timeout = {milliseconds}",
    blockers=(
        "SELECT DISTINCT pg_catalog.concat_ws(' ', 'session', a.pid, 'of', a.usename,"
        " nullif('(' || a.application_name || ')', '()'), a.state, 'since', to_char(a.state_change, 'HH24:MI:SS'),"
        " 'holds', l.mode, 'on', c.relname)"
        " FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND c.relkind <> 'i'"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid"
        " WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid()"
        " AND n.nspname = ANY (pg_catalog.current_schemas(false)) LIMIT 5"
    ),
    broken_indexes=(
        "SELECT c.relname::text FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE NOT i.indisvalid AND n.nspname = pg_catalog.current_schema()"
    ),
    drop_index="DROP INDEX CONCURRENTLY {name}",
    outside_only=frozenset({"25001"}),
    disk_full=frozenset({"53100"}),
)
