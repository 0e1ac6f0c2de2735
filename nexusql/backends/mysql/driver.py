"""MySQL and MariaDB through PyMySQL."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pymysql
from pymysql.constants import CLIENT, SERVER_STATUS

from nexusql.backends.base import Capabilities, Cursor, Raw, Session, Status
from nexusql.backends.common import CommonBackend, error_of_python
from nexusql.backends.deadline import cut, cut_after, readiness, within
from nexusql.backends.errors import driver_error
from nexusql.backends.mysql import hooks
from nexusql.backends.mysql.bulk import MysqlBulk
from nexusql.backends.mysql.cursor import MysqlCursor
from nexusql.backends.mysql.error_codes import BY_CODE, DOOMING, HANGS_UP
from nexusql.backends.mysql.kill import KEPT, absorb, kill_query
from nexusql.backends.mysql.rows import Reply, extend_dicts, hang_up, read_ahead
from nexusql.backends.mysql.syntax import SYNTAX
from nexusql.backends.mysql.tls import refuse_to_tell, tls_keywords
from nexusql.backends.names import name_parts
from nexusql.backends.options import checked_options, seconds
from nexusql.backends.values import Adapter, Adapters, Values, clock_text, finite, finite_decimal, naive_time, to_utc
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
)
from nexusql.sql.lexical import SessionModes

MYSQL_AT_LEAST = (8, 0, 13)
MARIADB_AT_LEAST = (10, 6)
CLOSE_SECONDS = 1.0
NO_BACKSLASH_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
DIGITS = 65

# Appended to what the server or its administrator has set, never replacing it.
# MariaDB leaves out what comes behind its limit of steps, 1000, with no more than a warning; MySQL has an error for it
# (https://mariadb.com/kb/en/server-system-variables/#max_recursive_iterations).
RECURSION = " /*M!100202 , max_recursive_iterations = 4294967295 */"
SQL_MODES = ("STRICT_TRANS_TABLES", "PIPES_AS_CONCAT", "NO_AUTO_VALUE_ON_ZERO")
OPTIONS = (
    *("bind_address", "charset", "collation", "connect_timeout", "program_name", "read_timeout", "sql_mode"),
    *("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password", "tls", "unix_socket", "write_timeout"),
)
TIMEOUTS = ("read_timeout", "write_timeout")
UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8"})

_MODE_NAMES = re.compile(r"[A-Za-z0-9_]+(?:,[A-Za-z0-9_]+)*")
_COLLATION = re.compile(r"utf8mb4_[A-Za-z0-9_]+")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_LARGEST = 10**DIGITS


class Connection(pymysql.connections.Connection):
    """A connection that can be asked whether its socket has something to say."""

    has_something_to_say: Callable[[], bool]
    server_status: int
    no_backslash_escapes = False  # as sql_mode has it
    flavour = ""  # "mysql" or "mariadb"
    version = (0, 0, 0)
    character_set = ""
    max_allowed_packet = 0  # bytes
    asked: str | bytes = ""  # how the statement begins that was sent last
    expects_slow_reader = False  # the server has been told that a stream may be read slowly
    _sock: Any
    _secure: bool  # over TLS, or a Unix socket
    _read_timeout: float | None
    _write_timeout: float | None

    def _process_auth(self, plugin_name: bytes, *rest: Any) -> Any:
        """What the driver sends when the server asks for another way of proving who one is."""
        if not self._secure:
            refuse_to_tell(plugin_name)
        driver: Any = super()
        return driver._process_auth(plugin_name, *rest)


class MysqlValues(Values):
    """As PyMySQL has it; refused is what the server would store as something else without a word."""

    def native(self) -> Adapters:
        """See Values.native."""
        return {
            **super().native(),
            bool: None,
            int: _integer,
            float: finite,
            Decimal: _decimal,
            datetime: to_utc,
            date: None,
            time: naive_time,
            timedelta: clock_text,
        }


def _integer(value: int) -> int:
    if -_LARGEST < value < _LARGEST:
        return value
    raise ParameterError(f"an int of more than {DIGITS} digits cannot be bound: the server would cut it off")


def _decimal(value: Decimal) -> Decimal:
    _, digits, exponent = finite_decimal(value).as_tuple()
    assert isinstance(exponent, int)
    if max(len(digits) + exponent, 0) + max(-exponent, 0) > DIGITS:
        raise ParameterError(f"a Decimal of more than {DIGITS} digits cannot be bound: the server would cut it off")
    return value


class MysqlBackend(CommonBackend):
    """See nexusql.backends.base.Backend."""

    database_type = DatabaseType.MYSQL
    syntax = SYNTAX
    capabilities = Capabilities(transactional_ddl=False, fast_iteration=False)

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self.bulk = MysqlBulk(values, self.execute, self.mogrify)
        self._decodes = not hooks.WHY_NOT
        if self._decodes:
            self.capabilities = replace(self.capabilities, fast_iteration=True)
            self.extend_dicts = extend_dicts
        self.row_reader = "the compiled core" if self._decodes else f"the driver: {hooks.WHY_NOT}"

    def connect(self, config: ConnectionConfig, timeout: float) -> Raw:
        """Open a session in utf8mb4. The driver's time-out ends once the server has accepted, so the wait is bounded
        from outside."""
        try:
            return within(timeout, lambda: _open(config, timeout), self.close)
        except TimeoutError:
            where = f"{config.host or 'localhost'}:{config.port or 3306}"
            raise OperationalError(f"no connection to {where} within {timeout:g} s") from None

    def inspect(self, raw: Raw) -> Session:
        """Ask the server for its modes, version and character sets; one round trip."""
        cursor = raw.cursor()
        cursor.execute(
            "SELECT @@max_allowed_packet, @@SESSION.sql_mode, @@version, @@character_set_client,"
            " @@character_set_connection, @@character_set_results"
        )
        ((raw.max_allowed_packet, sql_mode, version, *character_sets),) = cursor.fetchall()
        for name, character_set in zip(("client", "connection", "results"), character_sets, strict=True):
            if character_set not in UNICODE:
                raise ConfigError(f"the session's character_set_{name} is {character_set}; nexusql needs utf8mb4")
        found = _VERSION.match(version)
        if found is None:
            raise NotSupportedError(f"the server's version cannot be read: {version}")
        numbers = (int(found[1]), int(found[2]), int(found[3]))
        name, at_least = ("MariaDB", MARIADB_AT_LEAST) if "MariaDB" in version else ("MySQL", MYSQL_AT_LEAST)
        if numbers < at_least:
            needed = ".".join(map(str, at_least))
            raise NotSupportedError(f"nexusql needs {name} {needed} or later; the server is {found[0]}")
        raw.flavour, raw.version, raw.character_set = name.lower(), numbers, character_sets[0]
        modes = sql_mode.split(",")
        raw.no_backslash_escapes = "NO_BACKSLASH_ESCAPES" in modes
        return Session(
            SessionModes(
                no_backslash_escapes=raw.no_backslash_escapes,
                ansi_quotes="ANSI_QUOTES" in modes,
                flavour=raw.flavour,
                version=numbers,
            ),
            f"{name} {found[0]}",
        )

    def modes_changed(self, raw: Raw, modes: SessionModes) -> bool:
        """From the flag that comes with the server's replies. It changes with sql_mode, but stays where a routine ends
        and the sql_mode of its caller holds again: so it tells when to ask, not what holds."""
        flag = (raw.server_status or 0) & NO_BACKSLASH_ESCAPES
        return (flag != 0) is not modes.no_backslash_escapes

    def looks_dead(self, raw: Raw) -> bool:
        """Closed, or its socket is readable."""
        return not raw.open or raw.has_something_to_say()

    def ping(self, raw: Raw, timeout: float) -> bool:
        """One round trip; a session that does not answer in time is cut off for good."""
        try:
            with cut_after(timeout, raw._sock.fileno()):
                raw.ping(reconnect=False)
        except Exception:  # whatever a broken session makes of it, there is no sign of life
            return False
        return True

    def close(self, raw: Raw) -> None:
        """Say good-bye and close; what another thread waits for on this session is cut off."""
        if raw.open:
            # The driver's classes say least of all what closing under another thread's feet gives.
            with suppress(Exception), cut_after(CLOSE_SECONDS, raw._sock.fileno()):
                raw.close()

    def mogrify(self, raw: Raw, text: str, args: Sequence[Any]) -> str:
        """The text with the driver's literals for `%s`, escaped as sql_mode has it."""
        flag = NO_BACKSLASH_ESCAPES if raw.no_backslash_escapes else 0
        if raw.open:  # the driver escapes by the flag, which modes_changed() tells not to be relied on
            raw.server_status = raw.server_status & ~NO_BACKSLASH_ESCAPES | flag
        written: str = raw.cursor().mogrify(text, args)
        return written

    def execute(self, raw: Raw, text: str | bytes, args: Sequence[Any] | None) -> Any:
        """Run driver text. A session whose reply could not be read to its end is closed: the next reply would be the
        rest of this one."""
        if args is not None and isinstance(text, str):
            text = self.mogrify(raw, text, args)
        if self._decodes:
            reply = Reply(raw, text)
            reply.fetchall()
            return reply
        cursor = raw.cursor()
        raw.asked = text[:KEPT]
        try:
            cursor.execute(text)
        except BaseException as error:
            hang_up(raw, error)
            raise
        return cursor

    def cancel(self, raw: Raw, config: ConnectionConfig) -> None:
        """See nexusql.backends.mysql.kill."""
        kill_query(raw, config, self.connect)

    def outlive_cancel(self, raw: Raw) -> None:
        """See nexusql.backends.mysql.kill. While rows are under way nothing can be sent; what stops these does it."""
        if raw.open and not (raw._result is not None and raw._result.unbuffered_active):
            absorb(raw)

    def cut(self, raw: Raw) -> None:
        """Shut the socket."""
        with suppress(AttributeError, OSError):  # closed already
            cut(raw._sock.fileno())

    def executor(self, raw: Raw) -> Callable[[str, Any], Any]:
        """Gives a Reply where the compiled core reads the rows, else the driver's cursor."""
        return partial(self._ask if self._decodes else self.execute, raw)

    def _ask(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Reply:
        return Reply(raw, text if args is None else self.mogrify(raw, text, args))

    def open_cursor(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """See nexusql.backends.mysql.cursor."""
        return MysqlCursor(raw, self.mogrify(raw, text, args) if args is not None else text, size, self.connect)

    def status(self, raw: Raw) -> Status:
        """From the flags that come with the server's replies."""
        if not raw.open:
            return Status.UNKNOWN
        in_transaction = raw.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return Status.ACTIVE if in_transaction else Status.IDLE

    def begin(self, raw: Raw, isolation: str | None, read_only: bool, mode: str) -> None:
        """START TRANSACTION, its level set for this one only."""
        if isolation:
            self.execute(raw, f"SET TRANSACTION ISOLATION LEVEL {isolation}", None)
        self.execute(raw, f"START TRANSACTION{' READ ONLY' if read_only else ''}", None)

    def commit(self, raw: Raw) -> None:
        """Commit."""
        raw.commit()

    def rollback(self, raw: Raw) -> None:
        """Roll back."""
        raw.rollback()

    def reset(self, raw: Raw) -> bool:
        """Never: PyMySQL has no COM_RESET_CONNECTION, and no question shows that nothing is left."""
        return False

    def map_error(self, error: Exception, raw: Raw | None, sql: str | None) -> Error:
        """See nexusql.backends.base.Backend."""
        if not isinstance(error, pymysql.err.MySQLError):
            if raw is not None and not raw.open and not isinstance(error, UnicodeError):
                return driver_error(ConnectionLost, error, sql=sql)
            return error_of_python(error, sql)
        code = error.args[0] if error.args and isinstance(error.args[0], int) else None
        kind = _category(error) if code is None else BY_CODE.get(code) or _category(error)
        if raw is None and kind is ConnectionLost:
            kind = OperationalError  # there has been none to lose
        elif raw is not None and not raw.open and code not in HANGS_UP:
            kind = ConnectionLost
        return driver_error(kind, error, sqlstate=getattr(error, "sqlstate", None), code=code, sql=sql)

    def dooms(self, error: Error) -> bool:
        """See nexusql.backends.mysql.error_codes.DOOMING."""
        return error.code in DOOMING

    def list_tables_sql(self) -> str:
        """Tables of the current database."""
        return (
            "SELECT table_name AS name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"
        )

    def column_types(self, raw: Raw, table: str) -> Mapping[str, str]:
        """Types without their lengths, as information_schema has them."""
        parts = [name for name, _ in name_parts(table)]
        if not 1 <= len(parts) <= 2:
            return {}
        schema, params = ("%s", parts) if len(parts) == 2 else ("DATABASE()", parts)
        cursor = self.execute(
            raw,
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_schema = {schema} AND table_name = %s",
            params,
        )
        return dict(cursor.fetchall())


def make(
    custom: Mapping[type, Adapter] | None = None,
    json_dumps: Callable[[Any], str | bytes] | None = None,
    json_loads: Callable[[str], Any] | None = None,
) -> MysqlBackend:
    """The backend, its values widened by `custom`; JSON is read as text, so there is nothing for `json_loads` to do."""
    return MysqlBackend(MysqlValues(custom, json_dumps))


def _parameters(config: ConnectionConfig, timeout: float) -> tuple[dict[str, Any], list[float | None]]:
    """The driver's keywords, and TIMEOUTS for afterwards. Raises ConfigError."""
    options = checked_options(config, OPTIONS)
    if options.pop("charset", "utf8mb4").lower() not in ("utf8mb4", "utf8"):
        raise ConfigError("the option charset must be utf8mb4")
    collation = options.pop("collation", None)
    if collation is not None and not _COLLATION.fullmatch(collation):
        raise ConfigError("the option collation must be one of utf8mb4")
    modes = options.pop("sql_mode", "")
    if modes and not _MODE_NAMES.fullmatch(modes):
        raise ConfigError("the option sql_mode must be names of modes with commas between them")
    after = [seconds(name, options.pop(name)) if name in options else None for name in TIMEOUTS]
    # A second more than the wait that is bounded outside, so that an attempt nobody waits for ends soon.
    patience = timeout + 1
    if "connect_timeout" in options:
        patience = min(patience, seconds("connect_timeout", options.pop("connect_timeout")))
    appended = ",".join((*SQL_MODES, *filter(None, (modes,))))
    parameters: dict[str, Any] = {
        "host": config.host,
        "port": config.port or 0,
        "user": config.username,
        # As bytes, for the driver would write a str in Latin-1.
        "password": (config.password or "").encode(),
        "database": config.database_name,
        "charset": "utf8mb4",
        "collation": collation,
        "autocommit": True,
        "local_infile": False,
        # An UPDATE counts the rows it finds, as everywhere else, not only those it changes.
        "client_flag": CLIENT.FOUND_ROWS,
        "init_command": f"SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), '{appended}')"
        + RECURSION,
        "connect_timeout": patience,
        **dict.fromkeys(TIMEOUTS, patience),
        **tls_keywords(options),
        **options,
    }
    return parameters, after


def _open(config: ConnectionConfig, timeout: float) -> Connection:
    """Connect. Errors leave here with frames that hold the password: for `within`, which takes these off."""
    parameters, after = _parameters(config, timeout)
    try:
        raw = Connection(**parameters)
    except pymysql.err.MySQLError as error:
        for name in ("original_exception", "traceback"):  # frames, kept where nobody expects them
            vars(error).pop(name, None)
        raise
    raw.password = b""
    raw._read_timeout, raw._write_timeout = after
    raw.has_something_to_say = readiness(raw._sock.fileno())
    if not hooks.WHY_NOT:
        read_ahead(raw)
    return raw


# The driver's PEP 249 classes; the later ones are bases of the earlier.
_BY_CATEGORY: tuple[tuple[type[Exception], type[Error]], ...] = (
    (pymysql.err.IntegrityError, IntegrityError),
    (pymysql.err.OperationalError, OperationalError),
    (pymysql.err.DataError, DataError),
    (pymysql.err.NotSupportedError, NotSupportedError),
    (pymysql.err.ProgrammingError, ProgrammingError),
    (pymysql.err.InternalError, InternalError),
    (pymysql.err.DatabaseError, DatabaseError),
)


def _category(error: Exception) -> type[Error]:
    return next((kind for category, kind in _BY_CATEGORY if isinstance(error, category)), InterfaceError)
