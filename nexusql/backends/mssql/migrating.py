"""SQL Server's application lock, and how its DDL behaves.

https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from nexusql.backends.migrating import AdvisoryLock, Migrating


def _key(scope: str) -> str:
    # A name has at most 255 characters, of which 32 can be read in the list of locks.
    return f"nexusql.{hashlib.sha256(scope.encode()).hexdigest()[:20]}"


def _never_refused(_rows: Sequence[Sequence[Any]]) -> str | None:
    return None


MIGRATING = Migrating(
    lock=AdvisoryLock(
        scope="SELECT SCHEMA_NAME()",
        key=_key,
        # 0 and 1 grant the lock, -1 says that another has it; anything else is an error that the caller raises.
        take=(
            "DECLARE @got INT; EXEC @got = sys.sp_getapplock @Resource = ?, @LockMode = 'Exclusive',"
            " @LockOwner = 'Session', @LockTimeout = 0;"
            " SELECT CASE @got WHEN 0 THEN 1 WHEN 1 THEN 1 WHEN -1 THEN 0 ELSE @got END AS granted"
        ),
        held="SELECT CASE APPLOCK_MODE('public', ?, 'Session') WHEN 'Exclusive' THEN 1 ELSE 0 END AS held",
        give_back="EXEC sys.sp_releaseapplock @Resource = ?, @LockOwner = 'Session'",
        holder=(
            "DECLARE @key NVARCHAR(255) = ?; IF HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') = 1"
            " SELECT l.request_session_id AS number, CONCAT('session ', l.request_session_id, ' of ', s.login_name,"
            " ' from ', s.host_name) AS told FROM sys.dm_tran_locks AS l"
            " LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id"
            " WHERE l.resource_type = 'APPLICATION' AND l.request_status = 'GRANT'"
            " AND l.resource_database_id = DB_ID() AND CHARINDEX(@key, l.resource_description) > 0"
            " ELSE SELECT 0 AS number, 'a session that this user may not see' AS told"
            " WHERE APPLOCK_TEST('public', @key, 'Exclusive', 'Session') = 0"
        ),
        end_session="DECLARE @kill NVARCHAR(40) = CONCAT(N'KILL ', CAST(? AS INT)); EXEC(@kill)",
        probe="SELECT 1 AS probed",
        refused=_never_refused,
        # The limit of sessions, of workers, and Azure's.
        too_many_connections=frozenset({17809, 10928, 10929}),
    ),
    # An object, an index or a column exists; one to be dropped does not.
    leftovers=frozenset({2714, 1913, 2705, 3701, 53701, 4924, 3728}),
    transaction_id="SELECT CURRENT_TRANSACTION_ID() AS number",
    lock_timeout="SET LOCK_TIMEOUT {milliseconds}",
    blockers=(
        "SELECT TOP (5) CONCAT('session ', s.session_id, ' of ', s.login_name, ' has a transaction open since ',"
        " CONVERT(NVARCHAR(19), s.last_request_start_time, 120)) AS told FROM sys.dm_exec_sessions AS s"
        " WHERE s.open_transaction_count > 0 AND s.session_id <> @@SPID AND s.database_id = DB_ID()"
    ),
    # CREATE, ALTER and DROP DATABASE, BACKUP, RECONFIGURE; full-text indexes.
    outside_only=frozenset({226, 574, 3021, 19306}),
    disk_full=frozenset({1105, 9002, 1101}),
)
