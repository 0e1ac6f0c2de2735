"""Where a case takes place: a fresh database with its tables, and everybody who takes part, connected."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import nexusql
import servers
from harness import Contender
from nexusql import DatabaseManager
from peers import taking_part
from peers.base import Peer, Ways
from workload import Record, Table

INTERPRETED = nexusql.IMPLEMENTATION == "python"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL/MariaDB"}


@dataclass(frozen=True, slots=True)
class Place:
    """A database of `kind`; `db` is there for what is not measured."""

    kind: str
    url: str
    db: DatabaseManager
    peers: Sequence[Peer]

    def ways(self, of: Callable[[Peer], Ways]) -> dict[str, Contender]:
        """The ways of all peers."""
        return {name: way for peer in self.peers for name, way in of(peer).items()}

    def create(self, table: Table) -> None:
        """Create a table. PostgreSQL's autovacuum would strike somebody at random."""
        self.db.execute(f"CREATE TABLE {table.name} ({table.body})")
        if self.kind == "postgresql":
            self.db.execute(f"ALTER TABLE {table.name} SET (autovacuum_enabled = off)")

    def fill(self, table: Table, rows: Sequence[Record]) -> None:
        """Store rows by the driver's fastest way, the last that it names."""
        *_, way = self.peers[0].insert(table, rows).values()
        way()
        if self.kind == "postgresql":
            self.db.execute(f"ANALYZE {table.name}")

    def empty(self, table: Table) -> None:
        """Remove all rows; what SQLite has in its log is settled too, so that nobody pays for another."""
        if self.kind == "sqlite":
            self.db.execute(f"DELETE FROM {table.name}")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            self.db.execute(f"TRUNCATE TABLE {table.name}")

    def holds(self, table: Table, count: int) -> Callable[[object], None]:
        """A check that the table has so many rows, or as many as a way says that it wrote."""

        def check(given: object) -> None:
            expected = given if isinstance(given, int) else count
            found = self.db.fetch_value(f"SELECT COUNT(*) FROM {table.name}")
            if found != expected:
                raise AssertionError(f"{table.name} has {found} rows where {expected} were written")

        return check


@contextmanager
def open_place(kind: str, *tables: Table, libraries: bool = True) -> Iterator[Place]:
    """A place with these tables, empty; with drivers only, where libraries would have nothing to do."""
    with ExitStack() as stack:
        url = stack.enter_context(servers.fresh_database(kind))
        db = stack.enter_context(DatabaseManager(url))
        peers = [stack.enter_context(closing(peer(kind, url))) for peer in taking_part(kind, INTERPRETED, libraries)]
        place = Place(kind, url, db, peers)
        for table in tables:
            place.create(table)
        yield place
