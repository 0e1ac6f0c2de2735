"""One folder and one database: what both say, and the sessions and the lock by which that is changed."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nexusql.backends.migrating import migrating
from nexusql.engine import Engine
from nexusql.errors import ChecksumMismatch, Error, MigrationError, MigrationFailed
from nexusql.migrations.files import File, Folder, Kind, read_folder
from nexusql.migrations.history import Entry, History
from nexusql.migrations.lock import MigrationLock, Patience
from nexusql.migrations.script import Script, checksum, older_checksum, read_script, read_text
from nexusql.migrations.session import Session, session
from nexusql.migrations.state import TO_RUN, Item, State, as_pending, judge

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager

logger = logging.getLogger("nexusql.migrations")

PACKAGED = Path(__file__).parent

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is refused and how long is waited; see MigrationRunner."""

    strict: bool = False
    out_of_order: bool = False
    ignore_missing: bool = False
    locking: bool = True
    lock_timeout: float = 600.0
    statement_lock_timeout: float = 60.0


def of_cause(error: MigrationError, cause: Error) -> MigrationError:
    """The error with the codes of its cause."""
    error.sqlstate, error.code = cause.sqlstate, cause.code
    return error


def nothing_to_check() -> None:
    """Without a lock there is none that could be lost."""


def always(session: Session) -> bool:
    """The lock is needed, whatever others have done."""
    return True


def is_packaged(file: File) -> bool:
    """Whether a file is one of nexusql's own."""
    return file.path.parent == PACKAGED


@cache
def packaged_names() -> frozenset[str]:
    """The names of nexusql's own files, as the history has them."""
    return frozenset(path.stem for path in PACKAGED.glob("*.sql"))


class Place:
    """A folder, a database and the rows of one migration type in its history."""

    def __init__(self, database: "DatabaseManager", path: Path, kind: str, policy: Policy) -> None:
        self.database = database
        self.path = path
        self.kind = kind
        self.policy = policy

    @property
    def engine(self) -> Engine:
        """The connected database. Raises NotConnectedError."""
        return self.database._connected()

    @contextmanager
    def session(self, *, writes: bool = True, for_script: bool = False) -> Iterator[Session]:
        """A session; one for a script waits for the locks of others no longer than the policy says."""
        limit = self.policy.statement_lock_timeout if for_script else None
        with session(self.engine, writes=writes, lock_timeout=limit) as leased:
            yield leased

    def history(self, leased: Session) -> History:
        """The history by way of a session."""
        return History(leased, self.kind)

    def lock(self) -> MigrationLock | None:
        """The lock that keeps other processes from migrating, not yet taken; None where there is none to take."""
        words = migrating(self.database.config.database_type).lock
        if words is None or not self.policy.locking:
            return None
        return MigrationLock(self.engine, words)

    @contextmanager
    def locked(self, still_needed: Callable[[Session], bool] = always) -> Iterator[Check | None]:
        """Keep other processes from migrating; gives what raises MigrationLocked where the lock is lost, or None where
        others have done the work meanwhile."""
        lock = self.lock()
        if lock is None:
            yield nothing_to_check
            return
        try:
            yield lock.check if lock.acquire(Patience(self.policy.lock_timeout), still_needed) else None
        finally:
            lock.release()

    def create_history(self) -> None:
        """Create the history table, or add to an older one what it lacks."""
        with self.session() as leased:
            try:
                if self.engine.capabilities.transactional_ddl:
                    with leased.transaction(self.policy.lock_timeout):
                        self.history(leased).create()
                else:
                    self.history(leased).create()
            except MigrationError:
                raise
            except Error as error:
                raise of_cause(MigrationError(f"the history of migrations cannot be made: {error}"), error) from error

    # What the folder and the database say

    def folder(self) -> Folder:
        """The folder's files for this database. Raises MigrationError."""
        return read_folder(self.path, self.database.config.database_type.value)

    def script(self, leased: Session, file: File) -> Script:
        """A file as a session reads it. Raises MigrationError, which names the file, where it cannot be read."""
        try:
            return read_script(file.name, read_text(file.path), leased.syntax, leased.connection.modes)
        except MigrationError:
            raise
        except Error as error:
            raise MigrationFailed(f"migration {file.name} cannot be read: {error}") from error

    def undo_of(self, leased: Session, folder: Folder, file: File) -> tuple[str, Script] | None:
        """The script that undoes a file, and its name: a file of its own, or the file's last section."""
        own = folder.undo.get(file.version)
        script = self.script(leased, file)
        if own is None:
            if script.down is None:
                return None
            return f"{file.name} (down)", Script(script.down, None, script.transaction)
        if script.down is not None:
            raise MigrationError(f"{file.name} has a `-- down` section, and {own.name} undoes it too; keep one of them")
        return own.name, self.script(leased, own)

    def items(self, leased: Session, folder: Folder, *, with_undo: bool = False) -> list[Item]:
        """Where each migration stands, in order; whether it can be undone is told by reading the scripts."""
        history = self.history(leased)
        checksums = {file.stem: checksum(read_text(file.path)) for file in folder.files}
        undoable: frozenset[str] = frozenset()
        if with_undo:
            undoable = frozenset(f.stem for f in folder.versioned if self.undo_of(leased, folder, f) is not None)
        files = {file.stem: file for file in folder.files}
        entries = [_by_our_rule(entry, files.get(entry.version), checksums) for entry in history.entries()]
        foreign = frozenset(entry.version for entry in entries) if self.path == PACKAGED else packaged_names()
        items = judge(folder, checksums, entries, history.all_steps(), undoable, foreign)
        if self.policy.strict:
            return items
        return [as_pending(item) if item.state is State.RENAMED else item for item in items]

    def checked(self, leased: Session, folder: Folder) -> list[Item]:
        """The items. Raises MigrationError for what must be mended before anything is run."""
        policy = self.policy
        if folder.misnamed and policy.strict:
            raise MigrationError("; ".join(folder.misnamed))
        items = self.items(leased, folder)
        changed = [item for item in items if item.state is State.CHANGED]
        if changed:
            raise _mismatch(changed)
        refused = {State.RENAMED: "was applied under another name; take the new one over: nexusql migrate repair"}
        if policy.strict and not policy.ignore_missing:
            refused[State.MISSING] = "was applied, and its file is gone; put it back, or allow it: --ignore-missing"
            refused[State.FUTURE] = "was applied by a newer release than this; allow it: --ignore-missing"
        if policy.strict and not policy.out_of_order:
            refused[State.OUT_OF_ORDER] = (
                "comes before one that is applied; give it a higher version, or allow it: --out-of-order"
            )
        problems = [f"{item.name} {refused[item.state]}" for item in items if item.state in refused]
        if problems:
            raise MigrationError("; ".join(problems))
        return items

    def pending(self, items: Sequence[Item], limit: tuple[int, ...] | None) -> list[Item]:
        """What is to be run; of the packaged files one of an older release too, for it adds what is missing."""
        pending = [item for item in items if item.state in TO_RUN or (item.state is State.UNSIGNED and _adds(item))]
        if limit is None:
            return pending
        return [item for item in pending if item.kind is Kind.VERSIONED and item.version <= limit]


def _by_our_rule(entry: Entry, file: File | None, checksums: Mapping[str, str]) -> Entry:
    """The row with our checksum where it has that of 0.4 for the same text. It is stored as it was, for a way back."""
    if file is None or entry.checksum in (None, checksums[file.stem]) or entry.checksum != older_checksum(file.path):
        return entry
    return replace(entry, checksum=checksums[file.stem])


def _adds(item: Item) -> bool:
    return item.file is not None and is_packaged(item.file)


def _mismatch(changed: Sequence[Item]) -> ChecksumMismatch:
    told = "; ".join(
        f"{item.file.name if item.file else item.name} was changed after it had been applied: its checksum was "
        f"{item.entry.checksum if item.entry else None} and is {item.checksum} now"
        for item in changed
    )
    return ChecksumMismatch(f"{told}; undo the change, or accept it: nexusql migrate repair")
