"""What has been applied: the table `ia_migrations`, and how far a file has come where DDL is not transactional.

Older releases have written the same table, without checksums; what its columns lack is added.
"""

from dataclasses import dataclass
from typing import Any

from nexusql.migrations.session import Session

TABLE = "ia_migrations"
STEPS = "ia_migration_steps"

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    id SERIAL PRIMARY KEY,
    version VARCHAR(255) NOT NULL,
    filename VARCHAR(255) NOT NULL,
    migration_type VARCHAR(50) NOT NULL DEFAULT 'app',
    description VARCHAR(500),
    applied_at TIMESTAMP DEFAULT NOW(),
    checksum VARCHAR(64),
    origin VARCHAR(20),
    execution_ms INTEGER,
    UNIQUE (version, migration_type)
)
"""
# What a table of an older release may lack.
_ADDED = {
    "description": "VARCHAR(500)",
    "applied_at": "TIMESTAMP",
    "checksum": "VARCHAR(64)",
    "origin": "VARCHAR(20)",
    "execution_ms": "INTEGER",
}
_CREATE_STEPS = f"""
CREATE TABLE IF NOT EXISTS {STEPS} (
    script VARCHAR(255) NOT NULL,
    migration_type VARCHAR(50) NOT NULL,
    number INTEGER NOT NULL,
    digest VARCHAR(64) NOT NULL,
    state VARCHAR(10) NOT NULL,
    PRIMARY KEY (script, migration_type, number)
)
"""

RUN = "run"
BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the history. `origin` is "run", "baseline", or None for a row of an older release."""

    version: str
    filename: str
    description: str | None = None
    applied_at: Any = None
    checksum: str | None = None
    origin: str | None = None
    execution_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """How far one statement of a file has come: "started" or "done"."""

    number: int
    digest: str
    state: str


class History:
    """The rows of one migration type, by way of a session. Reading needs no table; writing needs `create`."""

    def __init__(self, session: Session, kind: str) -> None:
        self._session = session
        self._kind = kind
        lock = session.database.lock
        # A script may change the search path or the current database.
        scope = session.values(lock.scope)[0] if lock else "main"
        prefix = f"{session.quoted(scope)}." if scope else ""
        self._table = f"{prefix}{session.quoted(TABLE)}"
        self._steps = f"{prefix}{session.quoted(STEPS)}"

    def create(self) -> None:
        """Create the table, or add to an older one what it lacks."""
        types = self._session.connection.column_types(self._table)
        if not types:
            self._session.run(_CREATE)
        known = {name.lower() for name in types} or set(_ADDED)
        for name, definition in _ADDED.items():
            if name not in known:
                self._session.run(f"ALTER TABLE {TABLE} ADD COLUMN {name} {definition}")

    def entries(self) -> list[Entry]:
        """What is applied, oldest first; empty where there is no table yet."""
        if not self._exists(self._table):
            return []
        rows = self._session.run(
            f"SELECT * FROM {self._table} WHERE migration_type = :kind ORDER BY id", {"kind": self._kind}
        )
        return [
            Entry(
                row["version"],
                row["filename"],
                row.get("description"),
                row.get("applied_at"),
                row.get("checksum"),
                row.get("origin"),
                row.get("execution_ms"),
            )
            for row in rows
        ]

    def has(self, version: str) -> bool:
        """Whether a version is applied, as the database has it now."""
        sql = f"SELECT 1 AS found FROM {self._table} WHERE version = :version AND migration_type = :kind"
        return bool(self._session.run(sql, {"version": version, "kind": self._kind}))

    def checksum_of(self, version: str) -> str | None:
        """The checksum of a version, as the database has it now; None where it has none or is not applied."""
        sql = f"SELECT checksum FROM {self._table} WHERE version = :version AND migration_type = :kind"
        found: str | None = self._session.run(sql, {"version": version, "kind": self._kind}).scalar()
        return found

    def add(self, entry: Entry) -> None:
        """Write a row. Raises UniqueViolation where there is one: then another process has run the same file."""
        self._session.run(
            f"INSERT INTO {self._table} (version, filename, migration_type, description, checksum, origin,"
            " execution_ms) VALUES (:version, :filename, :kind, :description, :checksum, :origin, :ms)",
            self._row(entry),
        )

    def replace(self, entry: Entry) -> None:
        """Write a row; one that is there already says afterwards what this one says, as a repeatable file's does."""
        updated = self._session.run(
            f"UPDATE {self._table} SET filename = :filename, description = :description, checksum = :checksum,"
            " origin = :origin, execution_ms = :ms, applied_at = NOW() WHERE version = :version"
            " AND migration_type = :kind",
            self._row(entry),
        )
        if not updated.rowcount:
            self.add(entry)

    def _row(self, entry: Entry) -> dict[str, Any]:
        return {
            "version": entry.version,
            "filename": entry.filename,
            "kind": self._kind,
            "description": entry.description,
            "checksum": entry.checksum,
            "origin": entry.origin,
            "ms": entry.execution_ms,
        }

    def sign(self, version: str, checksum: str) -> None:
        """Give a row its checksum."""
        self._session.run(
            f"UPDATE {self._table} SET checksum = :checksum WHERE version = :version AND migration_type = :kind",
            {"checksum": checksum, "version": version, "kind": self._kind},
        )

    def rename(self, old: str, version: str, filename: str) -> None:
        """Let a row speak of a file by its new name."""
        self._session.run(
            f"UPDATE {self._table} SET version = :version, filename = :filename WHERE version = :old"
            " AND migration_type = :kind",
            {"old": old, "version": version, "filename": filename, "kind": self._kind},
        )

    def remove(self, version: str) -> None:
        """Delete a row."""
        self._session.run(
            f"DELETE FROM {self._table} WHERE version = :version AND migration_type = :kind",
            {"version": version, "kind": self._kind},
        )

    # How far the statements of a file have come

    def create_steps(self) -> None:
        """Create the table of steps."""
        if not self._exists(self._steps):
            self._session.run(_CREATE_STEPS)

    def steps(self, script: str) -> list[Step]:
        """The steps of a file that was not finished, in order."""
        return [step for name, step in self.all_steps() if name == script]

    def all_steps(self) -> list[tuple[str, Step]]:
        """The steps of all files that were not finished, with the files' names."""
        if not self._exists(self._steps):
            return []
        rows = self._session.run(
            f"SELECT script, number, digest, state FROM {self._steps} WHERE migration_type = :kind"
            " ORDER BY script, number",
            {"kind": self._kind},
        )
        return [(row["script"], Step(row["number"], row["digest"], row["state"])) for row in rows]

    def start_step(self, script: str, number: int, digest: str) -> None:
        """Note that a statement is about to be run."""
        self._session.run(
            f"INSERT INTO {self._steps} (script, migration_type, number, digest, state)"
            " VALUES (:script, :kind, :number, :digest, 'started')",
            {"script": script, "kind": self._kind, "number": number, "digest": digest},
        )

    def finish_step(self, script: str, number: int) -> None:
        """Note that a statement has been run."""
        self._session.run(
            f"UPDATE {self._steps} SET state = 'done' WHERE script = :script AND migration_type = :kind"
            " AND number = :number",
            {"script": script, "kind": self._kind, "number": number},
        )

    def forget_step(self, script: str, number: int) -> None:
        """Note that a statement has left nothing behind."""
        self._session.run(
            f"DELETE FROM {self._steps} WHERE script = :script AND migration_type = :kind AND number = :number",
            {"script": script, "kind": self._kind, "number": number},
        )

    def forget_steps(self, script: str) -> None:
        """Forget how far a file has come."""
        self._session.run(
            f"DELETE FROM {self._steps} WHERE script = :script AND migration_type = :kind",
            {"script": script, "kind": self._kind},
        )

    def _exists(self, table: str) -> bool:
        return bool(self._session.connection.column_types(table))
