"""nexusql itself."""

from collections.abc import Sequence

from nexusql import DatabaseManager
from peers.base import Peer, Ways, count
from workload import Query, Record, Table


class Nexusql(Peer):
    """The checkout that the benchmarks are part of."""

    name = "nexusql"
    module = "nexusql"

    def __init__(self, kind: str, url: str) -> None:
        self.db = DatabaseManager(url)
        self.db.connect(raise_errors=True)

    def one(self, query: Query) -> Ways:
        return {"nexusql": lambda: self.db.execute(query.sql, query.params)}

    def everything(self, query: Query) -> Ways:
        return {"nexusql": lambda: self.db.fetch_all(query.sql, query.params)}

    def stream(self, query: Query) -> Ways:
        def way() -> int:
            with self.db.stream(query.sql, query.params) as rows:
                return count(rows)

        return {"nexusql": way}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return {
            "nexusql": lambda: self.db.bulk_insert(table.name, rows),
            "nexusql, execute_many": lambda: self.db.execute_many(table.insert(":{0}"), rows),
        }

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return {
            "nexusql": lambda: self.db.bulk_insert(table.name, rows, on_conflict="update", conflict_columns=[table.key])
        }

    def close(self) -> None:
        self.db.close()
