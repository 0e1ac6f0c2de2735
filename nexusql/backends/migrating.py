"""What migrations ask of a database beyond its Backend: a lock between processes, and how its DDL behaves.

All of it is data: driver text, and the codes of errors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from nexusql.backends import require_backend
from nexusql.config import DatabaseType


@dataclass(frozen=True, slots=True)
class AdvisoryLock:
    """A lock that belongs to a session and ends with it. Texts but `scope` and `probe` have one placeholder, the key.

    `scope` gives the name of the schema or database that is guarded, and `key` what it is locked by. `take` gives 1
    when the lock is granted and 0 when another session has it; `held` gives 1 when this session has it. `holder` gives
    the number of the session that has it and a description. `probe` is asked first: `refused` tells from its rows why
    the engine's lock cannot be trusted, or None.
    """

    scope: str
    key: Callable[[str], int | str]
    take: str
    held: str
    give_back: str
    holder: str
    end_session: str  # its placeholder is the number of a session
    probe: str
    refused: Callable[[Sequence[Sequence[Any]]], str | None]
    too_many_connections: frozenset[int | str]  # codes of a server that is full for now


@dataclass(frozen=True, slots=True)
class ForeignKeys:
    """How foreign keys are left unchecked for a while: texts that read the setting, change it, and list violations."""

    read: str
    off: str
    on: str
    check: str


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How a table is made anew where ALTER TABLE can do little: texts that give the table's own definition and those of
    what hangs on it, for its name, and what is run before and after."""

    definition: str
    attached: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Migrating:
    """How one database runs migrations.

    `transaction_id` gives a value that no two transactions share; where there is none, a savepoint proves that the
    transaction is still the one that was begun. `leftovers` are the errors of a statement that was run before: codes,
    or parts of the message. `lock_timeout` is the text that bounds a session's waits for locks, with `{seconds}` and
    `{milliseconds}`; `blockers` lists the other sessions that hold locks. `broken_indexes` lists the names of indexes
    that a failed statement has left unusable, and `drop_index` removes one.
    """

    lock: AdvisoryLock | None
    leftovers: frozenset[int | str]
    begin_mode: str = ""
    transaction_id: str | None = None
    lock_timeout: str | None = None
    blockers: str | None = None
    foreign_keys: ForeignKeys | None = None
    rebuild: Rebuild | None = None
    broken_indexes: str | None = None
    drop_index: str = ""
    outside_only: frozenset[int | str] = frozenset()  # errors of what cannot run inside a transaction
    disk_full: frozenset[int | str] = frozenset()


def migrating(kind: DatabaseType) -> Migrating:
    """The data of one database. Raises NotSupportedError for one that has no backend."""
    require_backend(kind)
    found: Migrating = import_module(f"nexusql.backends.{kind.value}.migrating").MIGRATING
    return found
