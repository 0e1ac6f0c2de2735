"""The drivers of PostgreSQL: psycopg2, psycopg 3, asyncpg."""

import asyncio
import importlib
import io
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import servers
from harness import Contender
from peers.base import Peer, Ways, count, count_dicts, in_transaction, plain, to_dicts
from workload import Query, Record, Table, as_tuples

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def on_conflict(table: Table) -> str:
    """The end of an upsert."""
    return f" ON CONFLICT ({table.key}) DO UPDATE SET {table.assignments('excluded.{}')}"


def copy_field(value: object) -> str:
    """A value as COPY's text format has it, as a program writes it by hand."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(ESCAPES)
    return str(value)


def copy_text(rows: Iterable[Record]) -> io.StringIO:
    """The text of a COPY."""
    return io.StringIO("".join(["\t".join(map(copy_field, row.values())) + "\n" for row in rows]))


class Psycopg2(Peer):
    """psycopg2 with its extras."""

    name = "psycopg2"
    module = "psycopg2"

    def __init__(self, kind: str, url: str) -> None:
        self.connection = servers.connect_postgresql(url)
        self.extras: Any = importlib.import_module("psycopg2.extras")

    def _read(self, query: Query, take: Callable[[Any], object], **options: Any) -> Contender:
        text, args = query.placed("%({0})s"), query.params

        def way() -> object:
            with self.connection.cursor(**options) as cursor:
                cursor.execute(text, args)
                return take(cursor)

        return way

    def one(self, query: Query) -> Ways:
        return {"psycopg2 + dict(zip())": self._read(query, to_dicts)}

    def everything(self, query: Query) -> Ways:
        return {
            "psycopg2, tuples": self._read(query, lambda cursor: cursor.fetchall()),
            "psycopg2 + dict(zip())": self._read(query, to_dicts),
            "psycopg2, RealDictCursor": self._read(
                query, lambda cursor: cursor.fetchall(), cursor_factory=self.extras.RealDictCursor
            ),
        }

    def stream(self, query: Query) -> Ways:
        def way() -> int:
            with self.connection.cursor("benchmark", withhold=True) as cursor:
                cursor.execute(query.placed("%({0})s"), query.params)
                return count_dicts(cursor)

        return {"psycopg2 + dict(zip())": way}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        copy = f"COPY {table.name} ({table.column_list}) FROM STDIN"
        return {
            **self._ways(table, rows),
            "psycopg2, COPY by hand": in_transaction(
                self.connection.cursor, lambda cursor: cursor.copy_expert(copy, copy_text(plain(table, rows)))
            ),
        }

    def floor(self, table: Table, rows: Sequence[Record]) -> Ways:
        copy = f"COPY {table.name} ({table.column_list}) FROM STDIN"
        ready = copy_text(plain(table, rows)).getvalue().encode()
        return {
            "floor: COPY, ready-made": in_transaction(
                self.connection.cursor, lambda cursor: cursor.copy_expert(copy, io.BytesIO(ready))
            )
        }

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return self._ways(table, rows, on_conflict(table))

    def _ways(self, table: Table, rows: Sequence[Record], tail: str = "") -> Ways:
        named = table.insert("%({0})s") + tail
        values = f"INSERT INTO {table.name} ({table.column_list}) VALUES %s{tail}"
        template = "(" + ", ".join(f"%({name})s" for name in table.columns) + ")"
        return {
            "psycopg2, executemany": in_transaction(
                self.connection.cursor, lambda cursor: cursor.executemany(named, plain(table, rows))
            ),
            "psycopg2, execute_values": in_transaction(
                self.connection.cursor,
                lambda cursor: self.extras.execute_values(cursor, values, plain(table, rows), template, 1000),
            ),
        }

    def close(self) -> None:
        self.connection.close()


class Psycopg3(Peer):
    """psycopg 3."""

    name = "psycopg 3"
    module = "psycopg"

    def __init__(self, kind: str, url: str) -> None:
        psycopg: Any = importlib.import_module("psycopg")
        self.row_factory = importlib.import_module("psycopg.rows").dict_row
        self.connection = psycopg.connect(url, autocommit=True)

    def _read(self, query: Query, **options: Any) -> Contender:
        text, args = query.placed("%({0})s"), query.params

        def way() -> object:
            with self.connection.cursor(row_factory=self.row_factory, **options) as cursor:
                return cursor.execute(text, args).fetchall()

        return way

    def one(self, query: Query) -> Ways:
        return {"psycopg 3, dict_row": self._read(query)}

    def everything(self, query: Query) -> Ways:
        return {
            "psycopg 3, dict_row": self._read(query),
            "psycopg 3, dict_row, binary": self._read(query, binary=True),
        }

    def stream(self, query: Query) -> Ways:
        def way() -> int:
            with self.connection.transaction():
                with self.connection.cursor("benchmark", row_factory=self.row_factory) as cursor:
                    cursor.itersize = 1000
                    return count(cursor.execute(query.placed("%({0})s"), query.params))

        return {"psycopg 3, dict_row": way}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        def by_copy() -> None:
            names = table.columns
            with self.connection.transaction(), self.connection.cursor() as cursor:
                with cursor.copy(f"COPY {table.name} ({table.column_list}) FROM STDIN") as copy:
                    for row in plain(table, rows):
                        copy.write_row([row[name] for name in names])

        return {**self._ways(table, rows), "psycopg 3, COPY with write_row": by_copy}

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return self._ways(table, rows, on_conflict(table))

    def _ways(self, table: Table, rows: Sequence[Record], tail: str = "") -> Ways:
        named = table.insert("%({0})s") + tail

        def by_executemany() -> None:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                cursor.executemany(named, plain(table, rows))

        return {"psycopg 3, executemany": by_executemany}

    def close(self) -> None:
        self.connection.close()


class Asyncpg(Peer):
    """asyncpg on an event loop of its own; running the loop for each call costs some 20 µs."""

    name = "asyncpg"
    module = "asyncpg"

    def __init__(self, kind: str, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self._run(importlib.import_module("asyncpg").connect(url))
        self._run(self._teach_json())

    async def _teach_json(self) -> None:
        """JSON from dicts, by every way: COPY takes binary only."""
        await self.connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            encoder=lambda value: b"\x01" + json.dumps(value).encode(),
            decoder=lambda data: json.loads(data[1:]),
            format="binary",
        )

    def _run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def _fetch(self, query: Query) -> Contender:
        text, args = query.placed("${1}"), query.args

        async def fetch() -> list[Record]:
            return [dict(row) for row in await self.connection.fetch(text, *args)]

        return lambda: self._run(fetch())

    def one(self, query: Query) -> Ways:
        return {"asyncpg + dict()": self._fetch(query)}

    def everything(self, query: Query) -> Ways:
        return {"asyncpg + dict()": self._fetch(query)}

    def stream(self, query: Query) -> Ways:
        async def stream() -> int:
            number = 0
            async with self.connection.transaction():
                async for row in self.connection.cursor(query.placed("${1}"), *query.args, prefetch=1000):
                    dict(row)
                    number += 1
            return number

        return {"asyncpg + dict()": lambda: self._run(stream())}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        tuples, columns = as_tuples(rows), table.columns
        return {
            **self._ways(table, rows),
            "asyncpg, copy_records_to_table (tuples)": lambda: self._run(
                self.connection.copy_records_to_table(table.name, records=tuples, columns=columns)
            ),
        }

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        tuples, columns = as_tuples(rows), table.columns

        async def by_copy() -> None:
            async with self.connection.transaction():
                await self.connection.execute(f"CREATE TEMP TABLE incoming (LIKE {table.name}) ON COMMIT DROP")
                await self.connection.copy_records_to_table("incoming", records=tuples, columns=columns)
                await self.connection.execute(
                    f"INSERT INTO {table.name} ({table.column_list}) SELECT {table.column_list} FROM incoming"
                    + on_conflict(table)
                )

        return {
            **self._ways(table, rows, on_conflict(table)),
            "asyncpg, COPY, INSERT .. SELECT (tuples)": lambda: self._run(by_copy()),
        }

    def _ways(self, table: Table, rows: Sequence[Record], tail: str = "") -> Ways:
        placed, tuples = table.insert("${1}") + tail, as_tuples(rows)
        return {"asyncpg, executemany (tuples)": lambda: self._run(self.connection.executemany(placed, tuples))}

    def close(self) -> None:
        self._run(self.connection.close())
        self.loop.close()
