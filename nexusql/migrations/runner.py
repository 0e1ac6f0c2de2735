"""MigrationRunner: the files of one folder, applied once each, in order, by as many processes as there are."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexusql.errors import Error, MigrationError, MigrationFailed
from nexusql.migrations import mending
from nexusql.migrations.apply import Job, run_steps, run_whole
from nexusql.migrations.files import File, Folder, Kind, describe, parse_version, read_name
from nexusql.migrations.history import RUN, Entry
from nexusql.migrations.lock import MigrationLock
from nexusql.migrations.place import PACKAGED, Check, Place, Policy, is_packaged, of_cause
from nexusql.migrations.plan import PlannedFile, plan
from nexusql.migrations.script import Script, checksum, read_text
from nexusql.migrations.session import Session
from nexusql.migrations.state import IN_PLACE, Item, State
from nexusql.migrations.takeover import add_missing_columns

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager

logger = logging.getLogger("nexusql.migrations")


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that was run, forwards or back, and how long that took in milliseconds."""

    name: str
    description: str
    execution_ms: int


class MigrationRunner:
    """Runs the files of one folder. `migration_type` keeps the histories of several folders apart.

    `strict` refuses what old clients' folders may have: files that follow no pattern, files that are gone, and versions
    below one that is applied, unless `ignore_missing` and `out_of_order` allow the last two. `lock_timeout` is how many
    seconds another process that migrates is waited for, `statement_lock_timeout` how many a statement waits for tables
    that others use. `locking=False` is for engines whose locks cannot be trusted: then only one process may migrate.
    """

    def __init__(
        self,
        database: "DatabaseManager",
        migration_path: str | Path = PACKAGED,
        migration_type: str = "app",
        *,
        strict: bool = False,
        out_of_order: bool = False,
        ignore_missing: bool = False,
        locking: bool = True,
        lock_timeout: float = 600.0,
        statement_lock_timeout: float = 60.0,
    ) -> None:
        policy = Policy(strict, out_of_order, ignore_missing, locking, lock_timeout, statement_lock_timeout)
        self._place = Place(database, Path(migration_path), migration_type, policy)
        self._database = database

    # Applying

    def run_pending(self) -> int:
        """Apply what is pending; how many files that was. Raises MigrationError."""
        return len(self.up())

    def up(self, to: str | None = None) -> list[Applied]:
        """Apply what is pending, with `to` up to that version; what was run, in order.

        Raises MigrationFailed, which names file, statement and cause; ChecksumMismatch where an applied file was
        changed; MigrationLocked where another process does not finish; MigrationError for anything else.
        """
        if not self.has_work(to):
            return []
        with self._place.locked(lambda session: self.needs(session, to)) as check:
            return [] if check is None else self.apply_pending(check, to)

    def has_work(self, to: str | None = None) -> bool:
        """Whether anything is pending: a look without a lock. Raises MigrationError where the folder is wrong."""
        with self._place.session(writes=False) as leased:
            return self.needs(leased, to)

    def needs(self, session: Session, to: str | None = None) -> bool:
        """`has_work`, as one session sees it."""
        items = self._place.checked(session, self._place.folder())
        return bool(self._place.pending(items, _limit(to))) or any(item.state is State.UNSIGNED for item in items)

    def lock(self) -> MigrationLock | None:
        """The lock that keeps other processes from migrating, not yet taken; None where the database needs none."""
        return self._place.lock()

    @property
    def lock_timeout(self) -> float:
        """Seconds for which another process that migrates is waited for."""
        return self._place.policy.lock_timeout

    def apply_pending(self, check: Check, to: str | None = None) -> list[Applied]:
        """Under the lock, which `check` asserts: read the history again and apply what is pending."""
        place = self._place
        place.create_history()
        with place.session(writes=False) as leased:
            items = place.checked(leased, place.folder())
        self._sign(items)
        pending = place.pending(items, _limit(to))
        _warn(pending)
        applied = []
        for item in pending:
            check()
            assert item.file is not None
            done = self._apply(item.file, check)
            if done is not None:
                applied.append(done)
        return applied

    def _apply(self, file: File, check: Check) -> Applied | None:
        """Run one file and record it; None where another process was faster."""
        started = time.monotonic()
        place = self._place
        with place.session(for_script=True) as leased:
            history = place.history(leased)
            script = place.script(leased, file)
            digest = checksum(read_text(file.path))
            # An older release has run its packaged file, which says more by now.
            again = is_packaged(file) or file.kind is Kind.REPEATABLE

            def record() -> None:
                entry = Entry(file.stem, file.name, describe(file.stem), None, digest, RUN, _since(started))
                (history.replace if again else history.add)(entry)

            def is_done() -> bool:
                return history.checksum_of(file.stem) == digest if again else history.has(file.stem)

            def prepare() -> None:
                if is_packaged(file):
                    add_missing_columns(leased, script.pieces)

            done = self._run(leased, Job(file.name, script.pieces, record, is_done, prepare), script, check)
        if not done:
            return None
        logger.info("applied migration %s (%d ms)", file.name, _since(started))
        if not script.pieces:  # as `nexusql migrate new` makes it
            logger.warning("%s holds no statement, and counts as applied; undo it before you write one", file.name)
        return Applied(file.stem, describe(file.stem), _since(started))

    def _run(self, leased: Session, job: Job, script: Script, check: Check) -> bool:
        try:
            if script.transaction and self._place.engine.capabilities.transactional_ddl:
                return run_whole(leased, job, self._place.policy.lock_timeout)
            # Old clients mend a file that failed, and expect that it is run from its beginning.
            again = not self._place.policy.strict
            return run_steps(leased, self._place.history(leased), job, check, again_if_changed=again)
        except MigrationError:
            raise
        except Error as error:
            raise of_cause(MigrationFailed(f"migration {job.name} failed: {error}"), error) from error

    def _sign(self, items: Sequence[Item]) -> None:
        """Give the rows of older releases, which have no checksum, that of their file."""
        for item in items:
            if item.state is State.UNSIGNED and item.file is not None and not is_packaged(item.file):
                assert item.checksum is not None
                with self._place.session() as leased:
                    self._place.history(leased).sign(item.name, item.checksum)

    # Undoing

    def down(self, steps: int = 1, to: str | None = None) -> list[Applied]:
        """Undo the last `steps` versions, or all above version `to`; what was undone, in that order.

        Raises MigrationError where one has no undo script, or is only a baseline, before anything is run.
        """
        floor = _limit(to)
        if steps < 1:
            raise MigrationError(f"at least one version is to be undone, not {steps}")
        place = self._place
        with place.locked() as check:
            assert check is not None
            folder = place.folder()
            with place.session(writes=False) as leased:
                items = [
                    item
                    for item in reversed(place.checked(leased, folder))
                    if item.kind is Kind.VERSIONED and item.state in IN_PLACE and item.file is not None
                ]
                chosen = [item for item in items if item.version > floor] if floor is not None else items[:steps]
                undos = [(item, self._undo_script(leased, folder, item)) for item in chosen]
            return [self._undo(item, name, script, check) for item, (name, script) in undos]

    def _undo_script(self, leased: Session, folder: Folder, item: Item) -> tuple[str, Script]:
        assert item.file is not None
        if item.state is State.BASELINE:
            raise MigrationError(f"{item.name} is a baseline: it was never run here, so it cannot be undone")
        undo = self._place.undo_of(leased, folder, item.file)
        if undo is None:
            raise MigrationError(
                f"{item.name} cannot be undone: it has no `-- down` section, and there is no {item.name}.down.sql and "
                f"no U{item.name[1:]}.sql"
            )
        return undo

    def _undo(self, item: Item, name: str, script: Script, check: Check) -> Applied:
        started = time.monotonic()
        check()
        with self._place.session(for_script=True) as leased:
            history = self._place.history(leased)
            job = Job(name, script.pieces, lambda: history.remove(item.name), lambda: not history.has(item.name))
            self._run(leased, job, script, check)
        logger.info("undid migration %s (%d ms)", item.name, _since(started))
        return Applied(item.name, item.description, _since(started))

    # Looking

    def status(self) -> list[Item]:
        """Where each migration stands, in order; each has a `state`, see docs/MIGRATIONS.md."""
        with self._place.session(writes=False) as leased:
            return self._place.items(leased, self._place.folder(), with_undo=True)

    def validate(self) -> list[Item]:
        """`status`, where all is in order. Raises MigrationError for all that `up` and `down` would refuse, without
        running anything."""
        place = self._place
        with place.session(writes=False) as leased:
            folder = place.folder()
            place.checked(leased, folder)
            for file in folder.files:
                place.script(leased, file)
            return place.items(leased, folder, with_undo=True)

    def plan(self, *, every_backend: bool = False, to: str | None = None) -> list[PlannedFile]:
        """What `up` would run: each statement as this database would get it, or as each that nexusql translates for
        would, with a receipt for every lossy edit. Nothing is run."""
        return plan(self._place, every_backend, _limit(to))

    def applied(self) -> list[dict[str, Any]]:
        """The history of this type, oldest first; empty where there is no history table yet."""
        with self._place.session(writes=False) as leased:
            entries = self._place.history(leased).entries()
        return [
            {
                "version": entry.version,
                "filename": entry.filename,
                "migration_type": self._place.kind,
                "description": entry.description,
                "applied_at": entry.applied_at,
                "checksum": entry.checksum,
            }
            for entry in entries
        ]

    def pending(self, to: str | None = None) -> list[Path]:
        """Files to be applied, in order."""
        with self._place.session(writes=False) as leased:
            items = self._place.items(leased, self._place.folder())
        return [item.file.path for item in self._place.pending(items, _limit(to)) if item.file is not None]

    # Mending

    def baseline(self, version: str, description: str | None = None) -> list[str]:
        """Record the files up to a version as applied, without running them; their names.

        For a database that already has what they make. Raises MigrationError where nothing is left to be recorded.
        """
        return mending.baseline(self._place, parse_version(version.removeprefix("V")), description)

    def repair(self, *, missing: bool = False, restart: bool = False) -> list[str]:
        """Bring the history in line with the folder; what was done, in words.

        Checksums become those of the files as they are, and renamed files are known by their new names. With `missing`
        rows whose file is gone are deleted; with `restart` a file that was not finished begins at its first statement.
        Nothing in the database but the history is changed.
        """
        return mending.repair(self._place, missing=missing, restart=restart)

    def unlock(self) -> str | None:
        """End the session that holds the migration lock; what that was, or None where nobody holds it.

        A process that was killed holds none: its session has ended. Raises what the server says to a user who may not
        end sessions.
        """
        return mending.unlock(self._place)

    def create_history(self) -> None:
        """Create the history table, or add to an older one what it lacks."""
        with self._place.locked():
            self._place.create_history()

    def record(self, version: str, filename: str, digest: str | None = None, description: str | None = None) -> None:
        """Write a history row, or the checksum of one that has none. Raises UniqueViolation for one that has."""
        with self._place.session() as leased:
            history = self._place.history(leased)
            if not history.has(version) or history.checksum_of(version) is not None:
                history.add(Entry(version, filename, description or describe(version), None, digest))
            elif digest is not None:
                history.sign(version, digest)

    # The coroutines that clients of older releases await

    async def initialize_migration_table(self) -> None:
        """`create_history` on a worker thread."""
        await self._database.in_thread(self.create_history)

    async def run_pending_migrations(self) -> bool:
        """`run_pending` on a worker thread; False and a log entry where it fails."""
        return await self._succeeds(self.run_pending)

    async def run_specific_migration(self, version: str) -> bool:
        """Apply the file of this version (`V003`, `003`, the whole name) unless it is applied; False where it fails."""
        return await self._succeeds(self._run_version, version)

    async def run_migration_file(self, path: str | Path) -> bool:
        """Run and record one file, wherever it is; False and a log entry where it fails."""
        return await self._succeeds(self._run_file, Path(path))

    async def get_applied_migrations(self) -> list[dict[str, Any]]:
        """`applied` on a worker thread."""
        return await self._database.in_thread(self.applied)

    async def get_pending_migrations(self) -> list[Path]:
        """`pending` on a worker thread."""
        return await self._database.in_thread(self.pending)

    async def record_migration(
        self, version: str, filename: str, description: str | None = None, checksum: str | None = None
    ) -> None:
        """`record` on a worker thread."""
        await self._database.in_thread(self.record, version, filename, checksum, description)

    async def _succeeds(self, call: Any, *args: Any) -> bool:
        try:
            await self._database.in_thread(call, *args)
        except Error as error:
            logger.error("%s", error)
            return False
        return True

    def _run_version(self, version: str) -> None:
        files = self._place.folder().files
        wanted = version.removesuffix(".sql")
        found = [file for file in files if wanted in (file.stem, file.stem[1:], file.name)]
        if not found:
            number = _limit(wanted)
            found = [file for file in files if file.kind is Kind.VERSIONED and file.version == number]
        if not found:
            raise MigrationError(f"no migration has the version {version!r} in {self._place.path.name}")
        self._run_file(found[0].path)

    def _run_file(self, path: Path) -> None:
        try:
            file = read_name(path)
        except MigrationError:
            file = File(path, Kind.UNNAMED, path.stem, (), path.stem)
        with self._place.locked() as check:
            assert check is not None
            self._place.create_history()
            self._apply(file, check)


def _limit(version: str | None) -> tuple[int, ...] | None:
    return None if version is None else parse_version(version.removeprefix("V"))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _warn(pending: Sequence[Item]) -> None:
    unnamed = [item.file.name for item in pending if item.kind is Kind.UNNAMED and item.file is not None]
    if unnamed:
        logger.warning("not named V<version>__<description>.sql, so run by file name: %s", ", ".join(unnamed))
    late = [item.name for item in pending if item.state is State.OUT_OF_ORDER]
    if late:
        logger.warning("run late, below a version that is applied: %s", ", ".join(late))
