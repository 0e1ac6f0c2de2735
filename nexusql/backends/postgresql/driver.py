"""PostgreSQL through psycopg2."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

import psycopg2
from psycopg2 import extensions, extras

from nexusql.backends.base import Capabilities, Cursor, Raw, Session, Status
from nexusql.backends.common import CommonBackend, error_of_python
from nexusql.backends.deadline import cut, cut_after, readiness, within
from nexusql.backends.errors import driver_error
from nexusql.backends.names import name_parts
from nexusql.backends.options import checked_options
from nexusql.backends.postgresql.bulk import STALE, PostgresqlBulk
from nexusql.backends.postgresql.cancel import CancelKey
from nexusql.backends.postgresql.catalogue import types
from nexusql.backends.postgresql.cursor import PostgresqlCursor
from nexusql.backends.postgresql.error_codes import BY_CLASS, BY_SQLSTATE, MISSING, READ_ONLY, REFUSALS
from nexusql.backends.postgresql.syntax import SYNTAX
from nexusql.backends.postgresql.values import PostgresqlValues, array_literal, fit, folded
from nexusql.backends.values import Adapter
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import (
    ConfigError,
    ConnectionLost,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ProgrammingError,
    TransactionAborted,
)
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Statement

AT_LEAST = 130_000
RESET_SECONDS = 5.0
CLOSE_SECONDS = 1.0
CANCEL_SECONDS = 3.0

# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS, without what the front of a URL says.
LIBPQ_OPTIONS = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout fallback_application_name gssdelegation gssencmode
    gsslib hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts
    max_protocol_version min_protocol_version options passfile require_auth requirepeer service ssl_max_protocol_version
    ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode
    sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout
    """.split()
)
WRITABLE = ("read-write", "primary")  # values of target_session_attrs
SSLMODES = {"verify-full": "verify-full", "require": "require", "prefer": "prefer", "off": "disable"}

_STATUS = {
    extensions.TRANSACTION_STATUS_IDLE: Status.IDLE,
    extensions.TRANSACTION_STATUS_INTRANS: Status.ACTIVE,
    extensions.TRANSACTION_STATUS_INERROR: Status.FAILED,
}


class Connection(extensions.connection):
    """A connection that can be asked whether its socket has something to say."""

    has_something_to_say: Callable[[], bool]
    cancel_key: CancelKey
    cancels_late = False  # a cancel request has not been answered in its time
    stages: dict[object, list[str]]  # names of temporary tables for bulk writes, by what they are like


class PostgresqlBackend(CommonBackend):
    """See nexusql.backends.base.Backend."""

    database_type = DatabaseType.POSTGRESQL
    syntax = SYNTAX
    capabilities = Capabilities(cursor_transactions=True)
    fits = True
    misfits = frozenset({"42804", STALE})

    def __init__(self, values: PostgresqlValues, json_loads: Callable[[str], Any] | None = None) -> None:
        super().__init__(values)
        self.bulk = PostgresqlBulk(values, self.execute)
        self._json_loads = json_loads

    def connect(self, config: ConnectionConfig, timeout: float) -> Raw:
        """Open a session in UTF-8. libpq's own time-out counts whole seconds, and neither name look-ups nor a server
        that accepts and says nothing in time, so the wait is bounded from outside."""
        try:
            return within(timeout, lambda: _open(config, timeout, self._json_loads), self.close)
        except TimeoutError:
            where = ", ".join(f"{host.name or 'the default host'}:{host.port or 5432}" for host in config.hosts)
            raise OperationalError(f"no connection to {where or 'the default host'} within {timeout:g} s") from None

    def inspect(self, raw: Raw) -> Session:
        """Modes and version, from what the server reports by itself."""
        encoding = raw.get_parameter_status("client_encoding")
        if encoding != "UTF8":
            raise ConfigError(f"the session's client_encoding is {encoding}; nexusql needs UTF8")
        number: int = raw.server_version
        version = (number // 10_000, number % 10_000)
        if number < AT_LEAST:
            raise NotSupportedError(f"nexusql needs PostgreSQL 13 or later; the server is {version[0]}.{version[1]}")
        conforming = raw.get_parameter_status("standard_conforming_strings") == "on"
        # psycopg2 decides when it connects whether literals are E'..', and doubles backslashes by the current mode: a
        # session that began with the mode off and turned it on would let a value end its literal.
        probe = extensions.QuotedString("\\")
        probe.prepare(raw)
        if conforming and probe.getquoted().lstrip().startswith(b"E"):
            raise ConfigError(
                "the session began with standard_conforming_strings off and turned it on; psycopg2 cannot quote for it"
            )
        modes = SessionModes(standard_conforming_strings=conforming, version=version)
        return Session(modes, f"PostgreSQL {version[0]}.{version[1]}")

    def modes_changed(self, raw: Raw, modes: SessionModes) -> bool:
        """From what the server reports by itself; a closed session has changed nothing."""
        try:
            if raw.get_parameter_status("client_encoding") != "UTF8":
                return True
            conforming = raw.get_parameter_status("standard_conforming_strings") == "on"
            return conforming is not modes.standard_conforming_strings
        except psycopg2.Error:
            return False

    def looks_dead(self, raw: Raw) -> bool:
        """Closed, or its socket is readable."""
        return bool(raw.closed) or raw.has_something_to_say()

    def ping(self, raw: Raw, timeout: float) -> bool:
        """One round trip; a session that does not answer in time is cut off for good."""
        try:
            with cut_after(timeout, raw.fileno()):
                raw.cursor().execute("SELECT 1")
        except (psycopg2.Error, OSError):
            return False
        return True

    def close(self, raw: Raw) -> None:
        """Say good-bye and close; what another thread waits for here is cut off, for closing would wait for it."""
        busy = raw.get_transaction_status() == extensions.TRANSACTION_STATUS_ACTIVE
        with suppress(psycopg2.Error, OSError), cut_after(0 if busy else CLOSE_SECONDS, raw.fileno()):
            raw.close()

    def cancel(self, raw: Raw, config: ConnectionConfig) -> None:
        """A cancel request. libpq returns when the server has passed it on, and has no time-out of its own."""
        raw.cancels_late = True
        within(CANCEL_SECONDS, lambda: raw.cancel_key.send(raw), lambda nothing: None)
        raw.cancels_late = False

    def outlive_cancel(self, raw: Raw) -> None:
        """Nothing where the request was passed on in time; else it may come at any moment, and this raises an error."""
        if raw.cancels_late:
            raise OperationalError("a cancel request is still under way")

    def cut(self, raw: Raw) -> None:
        """Shut the socket."""
        with suppress(psycopg2.Error):  # closed already
            cut(raw.fileno())

    def execute(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Any:
        """Run driver text."""
        cursor = raw.cursor()
        cursor.execute(text, args)
        return cursor

    def open_cursor(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """See nexusql.backends.postgresql.cursor."""
        return PostgresqlCursor(raw, text, args, size, alone)

    def status(self, raw: Raw) -> Status:
        """As libpq knows it."""
        return _STATUS.get(raw.get_transaction_status(), Status.UNKNOWN)

    def begin(self, raw: Raw, isolation: str | None, read_only: bool, mode: str) -> None:
        """BEGIN with what is asked for."""
        level = f" ISOLATION LEVEL {isolation}" if isolation else ""
        self.execute(raw, f"BEGIN{level}{' READ ONLY' if read_only else ''}", None)

    def commit(self, raw: Raw) -> None:
        """Commit. Raises TransactionAborted where the server answered ROLLBACK, as it does without an error."""
        if self.execute(raw, "COMMIT", None).statusmessage == "ROLLBACK":
            raise TransactionAborted("the server rolled the transaction back, because a statement in it had failed")

    def rollback(self, raw: Raw) -> None:
        """Roll back."""
        self.execute(raw, "ROLLBACK", None)

    def reset(self, raw: Raw) -> bool:
        """DISCARD ALL, which leaves the session as it was after its start, and then what psycopg2 sets at its start."""
        with cut_after(RESET_SECONDS, raw.fileno()):
            if self.status(raw) is not Status.IDLE:
                self.rollback(raw)
            self.execute(raw, "DISCARD ALL", None)
            if not raw.get_parameter_status("DateStyle").startswith("ISO"):
                self.execute(raw, "SET DateStyle TO ISO", None)
        raw.notifies.clear()
        raw.notices.clear()
        return self.status(raw) is Status.IDLE

    def map_error(self, error: Exception, raw: Raw | None, sql: str | None) -> Error:
        """See nexusql.backends.base.Backend; `code` is the SQLSTATE too."""
        if not isinstance(error, (psycopg2.Error, psycopg2.Warning)):
            return error_of_python(error, sql)
        sqlstate = error.pgcode if isinstance(error, psycopg2.Error) else None
        if raw is None and sqlstate is None:
            sqlstate = _refusal(str(error))
            kind: type[Error] = OperationalError if isinstance(error, psycopg2.OperationalError) else _category(error)
        elif sqlstate is None:
            kind = ConnectionLost if raw is not None and raw.closed else _category(error)
        else:
            kind = BY_SQLSTATE.get(sqlstate) or BY_CLASS.get(sqlstate[:2]) or _category(error)
            if sqlstate == "57014" and "user request" in str(error):
                kind = OperationalError  # cancelled by someone, not by a time limit
        return driver_error(kind, error, sqlstate=sqlstate, code=sqlstate, sql=sql)

    def is_misplaced(self, error: Error, raw: Raw) -> bool:
        """A write was refused by a server that was chosen because it took writes, maybe by the environment."""
        if error.sqlstate != READ_ONLY or raw.closed:
            return False
        return raw.get_dsn_parameters().get("target_session_attrs") in WRITABLE

    def dooms(self, error: Error) -> bool:
        """Never: a savepoint survives every error."""
        return False

    def adapt_list(self, items: Sequence[Any]) -> Any:
        """An untyped array literal: compared with a column, it takes the column's type."""
        return array_literal([self._values.adapt(item) for item in items])

    def fit(self, statement: Statement, args: list[Any], types_of: Callable[[str], Mapping[str, str]]) -> None:
        """See nexusql.backends.postgresql.values.fit."""
        fit(statement, args, types_of, self._values.json_text)

    def list_tables_sql(self) -> str:
        """Tables of the current schema: plain, partitioned and foreign ones."""
        return (
            "SELECT c.relname::text AS name FROM pg_catalog.pg_class AS c"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'f') ORDER BY c.relname"
        )

    def column_types(self, raw: Raw, table: str) -> Mapping[str, str]:
        """See nexusql.backends.postgresql.catalogue.types."""
        parts = name_parts(table)[-2:]  # PostgreSQL knows no database but the current one
        if not parts:
            return {}
        name = ".".join('"' + folded(*part).replace('"', '""') + '"' for part in parts)
        return types(self.execute, raw, name)


def make(
    custom: Mapping[type, Adapter] | None = None,
    json_dumps: Callable[[Any], str | bytes] | None = None,
    json_loads: Callable[[str], Any] | None = None,
) -> PostgresqlBackend:
    """The backend, its values widened by `custom`, json and jsonb read by `json_loads`."""
    return PostgresqlBackend(PostgresqlValues(custom, json_dumps), json_loads)


def _parameters(config: ConnectionConfig, timeout: float) -> dict[str, str]:
    """libpq's keywords. Raises ConfigError for options that it has not, or that nexusql sets itself."""
    options = checked_options(config, LIBPQ_OPTIONS | {"tls"})
    encoding = options.pop("client_encoding", "UTF8")
    if encoding.upper().replace("-", "") != "UTF8":
        raise ConfigError("the option client_encoding must be UTF8")
    tls = options.pop("tls", None)
    if tls is not None:
        if "sslmode" in options:
            raise ConfigError("the options tls and sslmode say the same; give one of them")
        options["sslmode"] = SSLMODES[tls]
    given = {
        "host": ",".join(host.name or "" for host in config.hosts),
        "port": ",".join(str(host.port or "") for host in config.hosts),
        "user": config.username,
        "password": config.password,
        "dbname": config.database_name,
    }
    # With several hosts each gets its part of the time; a single one has all of it, which is counted outside.
    rounds = 2 if options.get("target_session_attrs") == "prefer-standby" else 1
    share = max(1, int(timeout / (rounds * len(config.hosts)))) if len(config.hosts) > 1 else ceil(timeout) + 1
    return {
        "fallback_application_name": "nexusql",
        "connect_timeout": str(share),
        **{name: value for name, value in given.items() if value},
        **options,
        "client_encoding": "UTF8",
    }


def _open(config: ConnectionConfig, timeout: float, json_loads: Callable[[str], Any] | None) -> Connection:
    """Connect. Errors leave here with frames that hold the password: for `within`, which takes these off."""
    parameters: dict[str, Any] = _parameters(config, timeout)
    try:
        raw: Connection = psycopg2.connect(connection_factory=Connection, **parameters)
    except psycopg2.ProgrammingError as error:  # an option that this libpq has not
        raise ConfigError(" ".join(str(error).split())) from None
    raw.autocommit = True
    raw.has_something_to_say = readiness(raw.fileno())
    raw.stages = {}
    raw.cancel_key = CancelKey(raw)
    if json_loads is not None:
        extras.register_default_json(raw, loads=json_loads)
        extras.register_default_jsonb(raw, loads=json_loads)
    return raw


def _refusal(message: str) -> str | None:
    """The SQLSTATE of a session that was refused, where the server says so in English."""
    for fragment, sqlstate in REFUSALS:
        if fragment in message:
            return sqlstate
    if "does not exist" in message:
        return next((sqlstate for fragment, sqlstate in MISSING if fragment in message), None)
    return None


# The driver's PEP 249 classes; the later ones are bases of the earlier.
_BY_CATEGORY: tuple[tuple[type[Exception], type[Error]], ...] = (
    (psycopg2.IntegrityError, IntegrityError),
    (psycopg2.OperationalError, OperationalError),
    (psycopg2.DataError, DataError),
    (psycopg2.NotSupportedError, NotSupportedError),
    (psycopg2.ProgrammingError, ProgrammingError),
    (psycopg2.InternalError, InternalError),
    (psycopg2.DatabaseError, DatabaseError),
)


def _category(error: Exception) -> type[Error]:
    if "can't adapt type" in str(error):
        return ParameterError
    return next((kind for category, kind in _BY_CATEGORY if isinstance(error, category)), InterfaceError)
