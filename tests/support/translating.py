"""Canonical SQL on live databases: what PostgreSQL answers, and what the others answer to its translation."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import servers
from nexusql.backends import backend_for
from nexusql.config import ConnectionConfig
from nexusql.sql import compile_statement
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for
from nexusql.sql.translate import Translation, translate

SQLITE = SessionModes(version=(3, 40, 1))
OLD_SQLITE = SessionModes(version=(3, 35, 0))
MARIADB = SessionModes(flavour="mariadb", version=(10, 11, 19))
MYSQL = SessionModes(flavour="mysql", version=(8, 0, 36))
UTC = {"postgresql": "SET TIME ZONE 'UTC'", "mysql": "SET time_zone = '+00:00'"}


def said(sql: str, dialect: str, modes: SessionModes, *, strict: bool = False) -> Translation:
    """The translation of a statement."""
    return translate(sql, syntax_for(dialect), modes, strict=strict)


class Session:
    """A session of the bare driver on one database, which runs canonical SQL."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        config = ConnectionConfig.from_url(url)
        self.backend = backend_for(config)
        self.raw = self.backend.connect(config, 10.0)
        self.modes = self.backend.inspect(self.raw).modes
        if kind in UTC:
            self.backend.execute(self.raw, UTC[kind], None)

    def close(self) -> None:
        self.backend.close(self.raw)

    def run(self, sql: str, params: Mapping[str, Any] | None = None, modes: SessionModes | None = None) -> list[Any]:
        """The rows of a canonical statement, as comparable values."""
        statement = compile_statement(sql, self.kind, modes=modes or self.modes)
        values = [params[name] for name in statement.names] if params else []
        args = [self._adapted(value) for value in values]
        try:
            cursor = self.backend.execute(self.raw, statement.text, args or None)
        except Exception as error:
            if self.backend.map_error(error, self.raw, sql).code not in statement.tolerate:
                raise
            return []
        return [tuple(map(comparable, row)) for row in cursor.fetchall()] if cursor.description else []

    def _adapted(self, value: Any) -> Any:
        adapter = self.backend.adapters.get(type(value), self.backend.adapt_other)
        return value if adapter is None else adapter(value)


def comparable(value: Any) -> Any:
    """One value for the same answer, however a driver gives it: moments as text, truth values as numbers."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        return value.isoformat(" ", "microseconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return (datetime.min + value).time().isoformat()
    if isinstance(value, (float, Decimal)):
        return round(float(value), 6)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    return value


class Databases:
    """A session for each database that is reachable."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self.sessions = sessions

    def answers(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, list[Any]]:
        """The rows that each database gives."""
        return {kind: session.run(sql, params) for kind, session in self.sessions.items()}

    def assert_agree(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows, which are the same everywhere."""
        answers = self.answers(sql, params)
        expected = answers["postgresql"]
        for kind, rows in answers.items():
            assert rows == expected, f"{kind}: {rows!r}, PostgreSQL: {expected!r}, for {sql}"
        return expected

    def without(self, kind: str) -> "Databases":
        """All but one."""
        return Databases({name: session for name, session in self.sessions.items() if name != kind})

    def do(self, *statements: str) -> None:
        """Run statements everywhere."""
        for sql in statements:
            self.answers(sql)


@contextmanager
def databases(*kinds: str) -> Iterator[Databases]:
    """Sessions on fresh databases of the kinds named, or of all."""
    with ExitStack() as stack:
        sessions = {}
        for kind in kinds or servers.KINDS:
            session = Session(kind, stack.enter_context(servers.fresh_database(kind)))
            stack.callback(session.close)
            sessions[kind] = session
        yield Databases(sessions)
