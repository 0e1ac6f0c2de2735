"""Libraries over several databases: SQLAlchemy Core, sqlspec, peewee."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from harness import Contender
from peers.base import Peer, Ways, count, plain, to_dicts
from peers.mysql import address, on_duplicate_key
from peers.postgresql import on_conflict
from peers.sqlite import path_of
from workload import Query, Record, Table

# What is written at once: SQLite takes 32,766 parameters a statement, and on servers more than this is not faster.
PEEWEE_ROWS = 1000


class SqlAlchemy(Peer):
    """SQLAlchemy Core, on PostgreSQL by psycopg 3, its choice there; what only reads is put into no transaction."""

    name = "SQLAlchemy"
    module = "sqlalchemy"

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.library: Any = importlib.import_module("sqlalchemy")
        schemes = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
        self.engine = self.library.create_engine(f"{schemes[kind]}://{url.partition('://')[2]}")
        self.reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.inserting = getattr(importlib.import_module(f"sqlalchemy.dialects.{kind}"), "insert")  # noqa: B009

    def _read(self, query: Query) -> Contender:
        statement = self.library.text(query.sql)

        def way() -> list[Record]:
            with self.reading.connect() as connection:
                return [dict(row) for row in connection.execute(statement, query.params).mappings()]

        return way

    def one(self, query: Query) -> Ways:
        return {"SQLAlchemy": self._read(query)}

    def everything(self, query: Query) -> Ways:
        return {"SQLAlchemy": self._read(query)}

    def stream(self, query: Query) -> Ways:
        statement = self.library.text(query.sql)

        def way() -> int:
            with self.engine.connect().execution_options(yield_per=1000) as connection:
                return count(dict(row) for row in connection.execute(statement, query.params).mappings())

        return {"SQLAlchemy": way}

    def _reflected(self, table: Table) -> Any:
        # Elsewhere JSON is a text column, which does not say what it holds.
        json = () if self.kind == "postgresql" else table.json
        columns = [self.library.Column(name, self.library.JSON) for name in json]
        return self.library.Table(table.name, self.library.MetaData(), *columns, autoload_with=self.engine)

    def _written(self, statement: Any, rows: Sequence[Record]) -> Contender:
        def way() -> None:
            with self.engine.begin() as connection:
                connection.execute(statement, list(rows))

        return way

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return {"SQLAlchemy": self._written(self._reflected(table).insert(), rows)}

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        statement = self.inserting(self._reflected(table))
        if self.kind == "mysql":
            changed = {name: statement.inserted[name] for name in table.columns if name != table.key}
            return {"SQLAlchemy": self._written(statement.on_duplicate_key_update(changed), rows)}
        changed = {name: statement.excluded[name] for name in table.columns if name != table.key}
        conflict = statement.on_conflict_do_update(index_elements=[table.key], set_=changed)
        return {"SQLAlchemy": self._written(conflict, rows)}

    def close(self) -> None:
        self.engine.dispose()


class Sqlspec(Peer):
    """sqlspec, with psycopg 3 on PostgreSQL: it has no adapter for psycopg2."""

    name = "sqlspec"
    module = "sqlspec"

    def __init__(self, kind: str, url: str) -> None:
        self.stack = ExitStack()
        library: Any = importlib.import_module("sqlspec")
        spec = library.SQLSpec()
        self.kind = kind
        config = spec.add_config(self._config(kind, url))
        self.stack.callback(config.close_pool)
        self.session = self.stack.enter_context(spec.provide_session(config))

    @staticmethod
    def _config(kind: str, url: str) -> Any:
        if kind == "sqlite":
            adapter: Any = importlib.import_module("sqlspec.adapters.sqlite")
            # Without its own PRAGMAs, so that it writes as durably as the others.
            return adapter.SqliteConfig(connection_config={"database": path_of(url), "enable_optimizations": False})
        if kind == "postgresql":
            adapter = importlib.import_module("sqlspec.adapters.psycopg")
            return adapter.PsycopgSyncConfig(connection_config={"conninfo": url, "min_size": 1, "max_size": 1})
        adapter = importlib.import_module("sqlspec.adapters.pymysql")
        return adapter.PyMysqlConfig(connection_config={**address(url), "local_infile": True})

    def _read(self, query: Query) -> Contender:
        return lambda: self.session.execute(query.sql, query.params).get_data()

    def one(self, query: Query) -> Ways:
        return {"sqlspec": self._read(query)}

    def everything(self, query: Query) -> Ways:
        return {"sqlspec": self._read(query)}

    def stream(self, query: Query) -> Ways:
        if self.kind == "mysql":
            return {}  # 0.69 with PyMySQL 1.2: "list object expected; got tuple"

        def way() -> int:
            with self.session.select_stream(query.sql, query.params, chunk_size=1000) as rows:
                return count(rows)

        return {"sqlspec": way}

    def _written(self, sql: str, table: Table, rows: Sequence[Record]) -> Contender:
        def way() -> None:
            self.session.begin()
            self.session.execute_many(sql, plain(table, rows))
            self.session.commit()

        return way

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        ways = {"sqlspec": self._written(table.insert(":{0}"), table, rows)}
        # By way of Arrow, which has no form for the values of a table with JSON.
        if importlib.util.find_spec("pyarrow") and not table.json:
            ways["sqlspec, load_from_records"] = self._loaded(table, rows)
        return ways

    def _loaded(self, table: Table, rows: Sequence[Record]) -> Contender:
        def way() -> None:
            self.session.begin()
            self.session.load_from_records(table.name, plain(table, rows), columns=list(table.columns))
            self.session.commit()

        return way

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        tail = on_duplicate_key(table) if self.kind == "mysql" else on_conflict(table)
        return {"sqlspec": self._written(table.insert(":{0}") + tail, table, rows)}

    def close(self) -> None:
        self.stack.close()


class Peewee(Peer):
    """peewee with its query builder; models would add their fields' conversions."""

    name = "peewee"
    module = "peewee"

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.library: Any = importlib.import_module("peewee")
        opened: dict[str, Callable[[], Any]] = {
            "sqlite": lambda: self.library.SqliteDatabase(path_of(url)),
            "postgresql": lambda: self.library.PostgresqlDatabase(url, prefer_psycopg3=False),
            "mysql": lambda: self.library.MySQLDatabase(**address(url)),
        }
        self.database = opened[kind]()
        self.mark = "?" if kind == "sqlite" else "%s"

    def one(self, query: Query) -> Ways:
        text, args = query.placed(self.mark), query.args
        return {"peewee + dict(zip())": lambda: to_dicts(self.database.execute_sql(text, args))}

    def everything(self, query: Query) -> Ways:
        text, args = query.placed(self.mark), query.args
        return {"peewee + dict(zip())": lambda: to_dicts(self.database.execute_sql(text, args))}

    def _written(self, table: Table, rows: Sequence[Record], finish: Callable[[Any], Any]) -> Contender:
        target = self.library.Table(table.name, table.columns).bind(self.database)

        def way() -> None:
            ready = plain(table, rows)
            with self.database.atomic():
                for batch in self.library.chunked(ready, PEEWEE_ROWS):
                    finish(target.insert(batch)).execute()

        return way

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        return {"peewee": self._written(table, rows, lambda statement: statement)}

    def upsert(self, table: Table, rows: Sequence[Record]) -> Ways:
        changed = [name for name in table.columns if name != table.key]
        where = {} if self.kind == "mysql" else {"conflict_target": [table.key]}
        return {
            "peewee": self._written(table, rows, lambda statement: statement.on_conflict(**where, preserve=changed))
        }

    def close(self) -> None:
        self.database.close()
