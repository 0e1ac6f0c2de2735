"""Canonical SQL through the translation and a bare driver, and what the catalogue then says of a table."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import servers
import tsql_catalogue
from nexusql.backends.mssql.driver import make as make_mssql
from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.syntax import SYNTAX as MSSQL_SYNTAX
from nexusql.backends.mssql.values import convert_results
from nexusql.backends.mysql.syntax import SYNTAX as MYSQL_SYNTAX
from nexusql.backends.postgresql.syntax import SYNTAX as POSTGRESQL_SYNTAX
from nexusql.backends.sqlite.syntax import SYNTAX as SQLITE_SYNTAX
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import tokenize
from nexusql.sql.translate import rewritten

SYNTAX = {"sqlite": SQLITE_SYNTAX, "postgresql": POSTGRESQL_SYNTAX, "mysql": MYSQL_SYNTAX, "mssql": MSSQL_SYNTAX}
MARIADB = SessionModes(flavour="mariadb", version=(10, 11, 19))
MARIADB_OLD = SessionModes(flavour="mariadb", version=(10, 6, 5))
MYSQL = SessionModes(flavour="mysql", version=(8, 0, 36))
MODES = ("PIPES_AS_CONCAT", "NO_AUTO_VALUE_ON_ZERO", "STRICT_TRANS_TABLES")


def rewrite(sql: str, dialect: str, modes: SessionModes | None = None) -> Rewrite:
    """A statement after all rules of a dialect."""
    return rewritten(sql, SYNTAX[dialect], modes or SessionModes())


def text(sql: str, dialect: str, modes: SessionModes | None = None) -> str:
    """The translated text of a statement."""
    return rewrite(sql, dialect, modes).tokens.text()


def notes(sql: str, dialect: str, modes: SessionModes | None = None) -> list[str]:
    """The receipts of a statement, in the order of its text."""
    return [message for message, _ in sorted(rewrite(sql, dialect, modes).notes, key=lambda note: note[1])]


class ForeignKey(NamedTuple):
    """What a foreign key says: its columns, what they refer to, and what happens on delete."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
    on_delete: str


class Database:
    """A session on a fresh database: `run` takes canonical SQL, `native` the database's own."""

    def __init__(self, kind: str, url: str, connection: Any, modes: SessionModes) -> None:
        self.kind = kind
        self.url = url
        self.connection = connection
        self.modes = modes
        self.placeholder = "?" if kind in ("sqlite", "mssql") else "%s"

    def native(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement as the driver gives them; `?` stands for a value."""
        if self.kind == "mssql":
            result = make_mssql().execute(MssqlSession(self.connection), sql, values or None)
            return [tuple(row) for row in result.fetchall()]
        cursor = self.connection.cursor()
        cursor.execute(sql.replace("?", self.placeholder) if values else sql, *([values] if values else []))
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a canonical statement; a tolerated error is passed over as the connection does."""
        result = rewrite(sql, self.kind, self.modes)
        try:
            return self.native(result.tokens.text())
        except Exception as error:
            code = error.args[0] if error.args else ""
            if any(said == code or (isinstance(said, str) and said in str(error)) for said in result.tolerate):
                return []
            raise

    def script(self, sql: str) -> None:
        """Run canonical statements, each as it is between semicolons in code."""
        syntax = SYNTAX[self.kind]
        piece = ""
        for token in tokenize(sql, syntax.lexical(self.modes), self.modes.version_number):
            if token.kind == ";":
                self.run(piece)
                piece = ""
            else:
                piece += token.text
        assert not piece.strip(), piece

    def value(self, sql: str) -> Any:
        """The first column of the only row of a canonical statement."""
        ((value, *_),) = self.run(sql)
        return value

    def text_of(self, sql: str) -> str:
        """The translation of a statement in this session."""
        return text(sql, self.kind, self.modes)

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        """Type, as the catalogue writes it, and whether NULL is allowed, of each column in order."""
        if self.kind == "sqlite":
            rows = self.native(f"SELECT name, type, \"notnull\" = 0 FROM pragma_table_info('{table}') ORDER BY cid")
        elif self.kind == "postgresql":
            rows = self.native(
                "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute "
                f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
        elif self.kind == "mssql":
            rows = self.native(tsql_catalogue.COLUMNS.format(table=table))
        else:
            rows = self.native(
                "SELECT column_name, column_type, is_nullable = 'YES' FROM information_schema.columns "
                f"WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
            )
        return {name: (kind, bool(nullable)) for name, kind, nullable in rows}

    def indexes(self, table: str) -> dict[str, tuple[bool, tuple[str, ...]]]:
        """Whether it is unique, and the columns, of each index by name, those of keys included."""
        found: dict[str, tuple[bool, tuple[str, ...]]] = {}
        if self.kind == "sqlite":
            for name, unique in self.native(f"SELECT name, \"unique\" FROM pragma_index_list('{table}')"):
                rows = self.native(f"SELECT name FROM pragma_index_info('{name}') ORDER BY seqno")
                found[name] = (bool(unique), tuple(row[0] for row in rows))
        elif self.kind == "postgresql":
            rows = self.native(
                "SELECT c.relname, i.indisunique, array(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY "
                "AS k (number, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
                "ORDER BY k.place) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                f"WHERE i.indrelid = '{table}'::regclass"
            )
            found = {name: (unique, tuple(columns)) for name, unique, columns in rows}
        else:
            rows = self.native(
                tsql_catalogue.INDEXES.format(table=table)
                if self.kind == "mssql"
                else "SELECT index_name, non_unique, column_name FROM information_schema.statistics "
                f"WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY index_name, seq_in_index"
            )
            for name, non_unique, column in rows:
                found[name] = (not non_unique, (*found.get(name, (False, ()))[1], column))
        return found

    def unique_keys(self, table: str) -> set[tuple[str, ...]]:
        """The columns of each unique index other than the primary key's."""
        keys = {columns for unique, columns in self.indexes(table).values() if unique}
        return keys - {self.primary_key(table)}

    def primary_key(self, table: str) -> tuple[str, ...]:
        """The columns of the primary key."""
        if self.kind == "sqlite":
            rows = self.native(f"SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk")
        elif self.kind == "postgresql":
            rows = self.native(
                "SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place) "
                "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
                f"WHERE i.indrelid = '{table}'::regclass AND i.indisprimary ORDER BY k.place"
            )
        elif self.kind == "mssql":
            rows = self.native(tsql_catalogue.PRIMARY_KEY.format(table=table))
        else:
            rows = self.native(
                "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() "
                f"AND table_name = '{table}' AND index_name = 'PRIMARY' ORDER BY seq_in_index"
            )
        return tuple(row[0] for row in rows)

    def foreign_keys(self, table: str) -> set[ForeignKey]:
        """The foreign keys of a table; the default action is "" whatever it is called."""
        if self.kind == "sqlite":
            rows = self.native(f'SELECT id, "from", "table", "to", on_delete FROM pragma_foreign_key_list(\'{table}\')')
        elif self.kind == "postgresql":
            rows = self.native(
                "SELECT c.oid, a.attname, c.confrelid::regclass::text, b.attname, CASE c.confdeltype WHEN 'c' THEN "
                "'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE '' END FROM pg_constraint c "
                "CROSS JOIN unnest(c.conkey, c.confkey) AS k (here, there) "
                "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.here "
                "JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.there "
                f"WHERE c.conrelid = '{table}'::regclass AND c.contype = 'f'"
            )
        elif self.kind == "mssql":
            rows = self.native(tsql_catalogue.FOREIGN_KEYS.format(table=table))
        else:
            rows = self.native(
                "SELECT k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name, "
                "r.delete_rule FROM information_schema.key_column_usage k "
                "JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema "
                "AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name "
                f"WHERE k.table_schema = DATABASE() AND k.table_name = '{table}' ORDER BY k.ordinal_position"
            )
        keys: dict[Any, ForeignKey] = {}
        for number, column, other, referenced, action in rows:
            known = keys.get(number, ForeignKey((), other, (), action if action in ("CASCADE", "SET NULL") else ""))
            keys[number] = known._replace(columns=(*known.columns, column), referenced=(*known.referenced, referenced))
        return set(keys.values())

    def tables(self) -> set[str]:
        """The tables of the database."""
        if self.kind == "sqlite":
            sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        elif self.kind == "postgresql":
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        elif self.kind == "mssql":
            sql = tsql_catalogue.TABLES
        else:
            sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        return {row[0] for row in self.native(sql)}

    def clear(self) -> None:
        """Drop all tables and views, temporary ones too."""
        if self.kind == "postgresql":
            schema = self.native("SELECT current_schema()")[0][0]
            self.native(f"SET client_min_messages = warning; DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
            self.native("DISCARD TEMP")
            return
        if self.kind == "mssql":
            for listing in tsql_catalogue.CLEAR:
                for (statement,) in self.native(listing):
                    self.native(statement)
            return
        if self.kind == "sqlite":
            self.native("PRAGMA foreign_keys = OFF")
            listing = "SELECT type, name FROM {} WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
            found = self.native(f"{listing} UNION ALL {listing}".format("sqlite_temp_master", "sqlite_master"))
        else:
            self.native("SET foreign_key_checks = 0")
            self.native("DROP TEMPORARY TABLE IF EXISTS t")
            found = self.native(
                "SELECT IF(table_type = 'VIEW', 'VIEW', 'TABLE'), table_name FROM information_schema.tables "
                "WHERE table_schema = DATABASE()"
            )
        quote = "`" if self.kind == "mysql" else '"'
        for kind, name in found:
            self.native(f"DROP {kind} {quote}{name.replace(quote, quote * 2)}{quote}")
        self.native("PRAGMA foreign_keys = ON" if self.kind == "sqlite" else "SET foreign_key_checks = 1")


@contextmanager
def opened(kind: str, url: str) -> Iterator[Database]:
    """A session of the bare driver on a database, in autocommit and with the modes that nexusql sets."""
    modes = SessionModes()
    if kind == "sqlite":
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")
    else:
        connection = servers.CONNECT[kind](url)
    try:
        if kind == "mysql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET sql_mode = CONCAT(@@sql_mode, ',{','.join(MODES)}')")
                cursor.execute("SELECT version()")
                said = cursor.fetchone()[0]
            version = tuple(int(part) for part in said.split("-")[0].split("."))
            modes = SessionModes(flavour="mariadb" if "MariaDB" in said else "mysql", version=version)
        elif kind == "mssql":
            convert_results(connection)
        yield Database(kind, url, connection, modes)
    finally:
        connection.close()
