"""Applies the SQL files of a folder once each, in order, and keeps their history in `ia_migrations`."""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexusql.errors import Error, MigrationError, MigrationFailed

if TYPE_CHECKING:
    from nexusql.manager import DatabaseManager

logger = logging.getLogger("nexusql.migrations")

PACKAGED = Path(__file__).parent

_HISTORY = """
CREATE TABLE IF NOT EXISTS ia_migrations (
    id SERIAL PRIMARY KEY,
    version VARCHAR(255) NOT NULL,
    filename VARCHAR(255) NOT NULL,
    migration_type VARCHAR(50) NOT NULL DEFAULT 'app',
    description VARCHAR(500),
    applied_at TIMESTAMP DEFAULT NOW(),
    checksum VARCHAR(64),
    UNIQUE (version, migration_type)
)
"""
_VERSIONED = re.compile(r"V(\d+(?:[._]\d+)*)__(.+)\.sql")


def checksum(text: str) -> str:
    """SHA-256 of a file's text, its line ends as LF."""
    return hashlib.sha256(text.replace("\r\n", "\n").replace("\r", "\n").encode()).hexdigest()


def _order(path: Path) -> tuple[int, tuple[int, ...], str]:
    """Versioned files by number, so that V2 comes before V10; others after them, by name."""
    match = _VERSIONED.fullmatch(path.name)
    if match is None:
        return 1, (), path.name
    return 0, tuple(int(part) for part in re.split(r"[._]", match[1])), path.name


class MigrationRunner:
    """Runs the pending files of one folder. `migration_type` keeps the histories of several folders apart."""

    def __init__(
        self, database: "DatabaseManager", migration_path: str | Path = PACKAGED, migration_type: str = "app"
    ) -> None:
        self._database = database
        self._path = Path(migration_path)
        self._type = migration_type

    @classmethod
    def apply_all(cls, database: "DatabaseManager", paths: Sequence[str | Path], *, apply_schema: bool) -> None:
        """Apply the packaged schema, then each folder; a missing folder is a warning. Raises MigrationError."""
        if apply_schema:
            cls(database).run_pending()
        for path in map(Path, paths):
            if path.is_dir():
                cls(database, path).run_pending()
            else:
                logger.warning("no migration folder at %s", path)

    def run_pending(self) -> int:
        """Apply what is pending; how many files that was. Raises MigrationFailed, which names file and cause."""
        self.create_history()
        pending = self.pending()
        misnamed = [path.name for path in pending if _VERSIONED.fullmatch(path.name) is None]
        if misnamed:
            logger.warning("not named V<version>__<description>.sql, so run by file name: %s", ", ".join(misnamed))
        for path in pending:
            self.apply(path)
        return len(pending)

    def create_history(self) -> None:
        """Create the history table unless it is there."""
        self._database.execute(_HISTORY)

    def applied(self) -> list[dict[str, Any]]:
        """The history of this type, oldest first; empty where there is no history table yet."""
        if not self._database.table_exists("ia_migrations"):
            return []
        return self._database.execute(
            "SELECT version, filename, migration_type, description, applied_at, checksum FROM ia_migrations "
            "WHERE migration_type = :type ORDER BY id",
            {"type": self._type},
        )

    def pending(self) -> list[Path]:
        """Files to be applied, in order. A packaged file that an older release recorded, without a checksum, is run
        again: it adds only what is missing."""
        known = {row["version"]: row["checksum"] for row in self.applied()}
        packaged = self._path == PACKAGED
        files = sorted(self._path.glob("*.sql"), key=_order)
        return [path for path in files if path.stem not in known or (packaged and known[path.stem] is None)]

    def apply(self, path: Path) -> None:
        """Run one file and record it: in one transaction where the database has DDL in transactions."""
        try:
            text = path.read_text("utf-8-sig")
            if self._database.transactional_ddl:
                with self._database.transaction():
                    self._run(path, text)
            else:
                self._run(path, text)
        except (Error, OSError, UnicodeDecodeError) as error:
            raise MigrationFailed(f"migration {path.name} failed: {error}") from error
        logger.info("applied migration %s", path.name)

    def _run(self, path: Path, text: str) -> None:
        self._database.run_script(text)
        self.record(path.stem, path.name, checksum(text))

    def record(self, version: str, filename: str, digest: str | None = None, description: str | None = None) -> None:
        """Write a history row, or the checksum of one that an older release wrote without."""
        match = _VERSIONED.fullmatch(filename)
        row = {
            "version": version,
            "filename": filename,
            "type": self._type,
            "description": description or (match[2].replace("_", " ") if match else version),
            "checksum": digest,
        }
        updated = self._database.execute(
            "UPDATE ia_migrations SET checksum = :checksum WHERE version = :version AND migration_type = :type "
            "AND checksum IS NULL",
            row,
        )
        if not updated.rowcount:
            self._database.execute(
                "INSERT INTO ia_migrations (version, filename, migration_type, description, checksum) "
                "VALUES (:version, :filename, :type, :description, :checksum)",
                row,
            )

    # The coroutines that clients of older releases await

    async def initialize_migration_table(self) -> None:
        """`create_history` on a worker thread."""
        await self._database.in_thread(self.create_history)

    async def run_pending_migrations(self) -> bool:
        """`run_pending` on a worker thread; False and a log entry where it fails."""
        try:
            await self._database.in_thread(self.run_pending)
        except Error as error:
            logger.error("%s", error)
            return False
        return True

    async def run_specific_migration(self, version: str) -> bool:
        """Apply the file of this version (`V003`, `003`, the whole name) unless it is applied; False where it fails."""
        try:
            await self._database.in_thread(self._run_version, version)
        except Error as error:
            logger.error("%s", error)
            return False
        return True

    def _run_version(self, version: str) -> None:
        self.create_history()
        wanted = version.removesuffix(".sql").removeprefix("V")
        matches = [path for path in self._path.glob("*.sql") if path.stem.removeprefix("V").split("__")[0] == wanted]
        matches = matches or [path for path in self._path.glob("*.sql") if path.stem.removeprefix("V") == wanted]
        if len(matches) != 1:
            raise MigrationError(f"{len(matches)} migrations have the version {version!r} in {self._path.name}")
        if matches[0] in self.pending():
            self.apply(matches[0])

    def _run_file(self, path: Path) -> None:
        self.create_history()
        self.apply(path)

    async def get_applied_migrations(self) -> list[dict[str, Any]]:
        """`applied` on a worker thread."""
        return await self._database.in_thread(self.applied)

    async def get_pending_migrations(self) -> list[Path]:
        """`pending` on a worker thread."""
        return await self._database.in_thread(self.pending)

    async def run_migration_file(self, path: str | Path) -> bool:
        """Run and record one file, wherever it is; False and a log entry where it fails."""
        try:
            await self._database.in_thread(self._run_file, Path(path))
        except Error as error:
            logger.error("%s", error)
            return False
        return True

    async def record_migration(
        self, version: str, filename: str, description: str | None = None, checksum: str | None = None
    ) -> None:
        """`record` on a worker thread."""
        await self._database.in_thread(self.record, version, filename, checksum, description)
