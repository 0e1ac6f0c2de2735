"""The drivers of MySQL and MariaDB: PyMySQL, mysqlclient."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import servers
from harness import Contender
from peers.base import Peer, Ways, count_dicts, in_transaction, plain, plain_tuples, to_dicts
from workload import Query, Record, Table

PACKET = 1_000_000  # characters of an INSERT of ready-made literals: well below the usual max_allowed_packet


def on_duplicate_key(table: Table) -> str:
    """The end of an upsert."""
    return f" ON DUPLICATE KEY UPDATE {table.assignments('VALUES({})')}"


def address(url: str) -> dict[str, Any]:
    """The server of a URL as the keyword arguments that all drivers take."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": unquote(parts.username or "root"),
        "password": unquote(parts.password or ""),
        "database": parts.path.lstrip("/"),
        "charset": "utf8mb4",
    }


class MySqlDriver(Peer):
    """What the two drivers have in common, which is nearly everything."""

    connection: Any
    cursors: Any

    def _read(self, query: Query, take: Callable[[Any], object], *cursor_class: type) -> Contender:
        text, args = query.placed("%s"), query.args or None

        def way() -> object:
            with self.connection.cursor(*cursor_class) as cursor:
                cursor.execute(text, args)
                return take(cursor)

        return way

    def one(self, query: Query) -> Ways:
        return {f"{self.name} + dict(zip())": self._read(query, to_dicts)}

    def everything(self, query: Query) -> Ways:
        return {
            f"{self.name}, tuples": self._read(query, lambda cursor: cursor.fetchall()),
            f"{self.name} + dict(zip())": self._read(query, to_dicts),
            f"{self.name}, DictCursor": self._read(query, lambda cursor: cursor.fetchall(), self.cursors.DictCursor),
        }

    def stream(self, query: Query) -> Ways:
        return {f"{self.name} + dict(zip())": self._read(query, count_dicts, self.cursors.SSCursor)}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        placed, tuples = table.insert("%s"), plain_tuples(table, rows)
        return {
            **self._ways(table, rows),
            f"{self.name}, executemany (tuples)": in_transaction(
                self.connection.cursor, lambda cursor: cursor.executemany(placed, tuples)
            ),
        }

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return self._ways(table, rows, on_duplicate_key(table))

    def _ways(self, table: Table, rows: Sequence[Record], tail: str = "") -> Ways:
        named = table.insert("%({0})s") + tail
        return {
            f"{self.name}, executemany": in_transaction(
                self.connection.cursor, lambda cursor: cursor.executemany(named, plain(table, rows))
            )
        }

    def close(self) -> None:
        self.connection.close()


class PyMySql(MySqlDriver):
    """PyMySQL."""

    name = "PyMySQL"
    module = "pymysql"

    def __init__(self, kind: str, url: str) -> None:
        self.connection = servers.connect_mysql(url)
        self.cursors = importlib.import_module("pymysql.cursors")

    def floor(self, table: Table, rows: Sequence[Record]) -> Ways:
        statements = list(self._statements(table, plain_tuples(table, rows)))

        def send(cursor: Any) -> None:
            for statement in statements:
                cursor.execute(statement)

        return {"floor: INSERT, ready-made": in_transaction(self.connection.cursor, send)}

    def _statements(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
        head = f"INSERT INTO {table.name} ({table.column_list}) VALUES "
        marks = f"({', '.join(['%s'] * len(table.columns))})"
        literals: list[str] = []
        length = 0
        for row in rows:
            literals.append(self.connection.cursor().mogrify(marks, row))
            length += len(literals[-1])
            if length > PACKET:
                yield head + ",".join(literals)
                literals.clear()
                length = 0
        if literals:
            yield head + ",".join(literals)


class MySqlClient(MySqlDriver):
    """mysqlclient, which links the C library."""

    name = "mysqlclient"
    module = "MySQLdb"

    def __init__(self, kind: str, url: str) -> None:
        mysqldb: Any = importlib.import_module("MySQLdb")
        self.cursors = importlib.import_module("MySQLdb.cursors")
        self.connection = mysqldb.connect(**address(url))
        self.connection.autocommit(True)
