"""The standard library's sqlite3."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from peers.base import Peer, Ways, count_dicts, in_transaction, plain, plain_tuples, to_dicts
from workload import Query, Record, Table


def path_of(url: str) -> str:
    """The file of a URL."""
    return urlsplit(url).path[1:]


def stored(value: object) -> object:
    """A value in the type that SQLite stores."""
    if isinstance(value, bool):
        return int(value)
    return value.isoformat(" ") if isinstance(value, datetime) else value


class Sqlite3(Peer):
    """sqlite3 as a program uses it by hand."""

    name = "sqlite3"
    module = "sqlite3"

    def __init__(self, kind: str, url: str) -> None:
        # Python 3.12 has deprecated the adapter that sqlite3 brings, and recommends this one.
        sqlite3.register_adapter(datetime, lambda value: value.isoformat(" "))
        self.connection = sqlite3.connect(path_of(url), isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")

    def one(self, query: Query) -> Ways:
        text, args = query.placed("?"), query.args
        return {"sqlite3 + dict(zip())": lambda: to_dicts(self.connection.execute(text, args))}

    def everything(self, query: Query) -> Ways:
        text, args = query.placed("?"), query.args
        return {
            "sqlite3, tuples": lambda: self.connection.execute(text, args).fetchall(),
            "sqlite3 + dict(zip())": lambda: to_dicts(self.connection.execute(text, args)),
        }

    def stream(self, query: Query) -> Ways:
        text, args = query.placed("?"), query.args
        return {"sqlite3 + dict(zip())": lambda: count_dicts(self.connection.execute(text, args))}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return self._ways(table, rows)

    def floor(self, table: Table, rows: Sequence[Record]) -> Ways:
        placed, ready = table.insert("?"), [tuple(map(stored, row)) for row in plain_tuples(table, rows)]
        return {
            "floor: executemany, ready-made": in_transaction(
                self.connection.cursor, lambda cursor: cursor.executemany(placed, ready)
            )
        }

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return self._ways(table, rows, f" ON CONFLICT ({table.key}) DO UPDATE SET {table.assignments('excluded.{}')}")

    def _ways(self, table: Table, rows: Sequence[Record], tail: str = "") -> Ways:
        named = table.insert(":{0}") + tail
        return {
            "sqlite3, executemany": in_transaction(
                self.connection.cursor, lambda cursor: cursor.executemany(named, plain(table, rows))
            )
        }

    def close(self) -> None:
        self.connection.close()
