"""SQL Server through pyodbc."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyodbc

from nexusql.backends.base import Capabilities, Cursor, Raw, Session, Status
from nexusql.backends.common import CommonBackend, error_of_python
from nexusql.backends.deadline import within
from nexusql.backends.errors import driver_error
from nexusql.backends.mssql.bulk import MssqlBulk
from nexusql.backends.mssql.connecting import open_session
from nexusql.backends.mssql.cursor import MssqlCursor
from nexusql.backends.mssql.error_codes import BY_CODE, BY_SQLSTATE, DOOMING, VAGUE
from nexusql.backends.mssql.numbering import NEEDS_ANNOUNCEMENT, NOT_ANNOUNCED, inserted_table, run_announced
from nexusql.backends.mssql.parameters import ParameterTypes
from nexusql.backends.mssql.session import CANCELLED, MssqlSession, Result, codes
from nexusql.backends.mssql.syntax import SYNTAX, lexical
from nexusql.backends.mssql.triggers import NEEDS_INTO, detour, run_around
from nexusql.backends.mssql.values import MssqlValues
from nexusql.backends.names import name_parts
from nexusql.backends.values import Adapter
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import (
    CheckViolation,
    ConnectionLost,
    DatabaseError,
    DataError,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
)
from nexusql.sql.lexical import SessionModes

AT_LEAST = 14  # SQL Server 2017
AZURE = frozenset({5, 6, 8, 9, 11, 12})  # editions whose version says nothing: EngineEdition of SERVERPROPERTY
CLOSE_SECONDS = 1.0
CANCEL_SECONDS = 1.0  # Microsoft's driver waits for the server's answer to it
LONGEST_SAVEPOINT = 32
YEARS = {14: "2017", 15: "2019", 16: "2022", 17: "2025"}

_VERSION = re.compile(r"\d+(\.\d+){2,3}")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSPECT = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)), CAST(SERVERPROPERTY('EngineEdition') AS INT),"
    " CAST(SERVERPROPERTY('Babelfish') AS INT), CAST(SESSIONPROPERTY('QUOTED_IDENTIFIER') AS INT)"
)


class MssqlBackend(CommonBackend):
    """See nexusql.backends.base.Backend."""

    database_type = DatabaseType.MSSQL
    syntax = SYNTAX
    capabilities = Capabilities(releases_savepoints=False, fast_iteration=False, further_isolation=("SNAPSHOT",))

    def __init__(self, values: MssqlValues) -> None:
        super().__init__(values)
        self.bulk = MssqlBulk(values)
        self._types = ParameterTypes()

    def connect(self, config: ConnectionConfig, timeout: float) -> Raw:
        """Open a session. The driver counts its time-out in whole seconds and not for the look-up of a name, so the
        wait is bounded from outside."""
        try:
            return within(timeout, lambda: open_session(config, timeout), self.close)
        except TimeoutError:
            where = f"{config.host or 'localhost'}:{config.port or 1433}"
            raise OperationalError(f"no connection to {where} within {timeout:g} s") from None

    def inspect(self, raw: Raw) -> Session:
        """Ask the server for its version and QUOTED_IDENTIFIER; one round trip, and another where it only speaks the
        protocol and does not know the question."""
        try:
            ((version, edition, imitates, quoted),) = raw.ask(_INSPECT)
        except pyodbc.ProgrammingError:
            ((text,),) = raw.ask("SELECT @@VERSION")
            found = _VERSION.search(str(text))
            version, edition, imitates, quoted = found and found[0], None, 1, None  # the driver has switched it on
        numbers = tuple(int(part) for part in str(version or "").split(".")[:3] if part.isdigit())
        if not numbers:
            raise NotSupportedError(f"the server's version cannot be read: {version}")
        raw.product = numbers[0]
        if edition in AZURE or imitates:
            raw.product = max(raw.product, AT_LEAST)
        elif raw.product < AT_LEAST:
            raise NotSupportedError(f"nexusql needs SQL Server 2017 (14.0) or later; the server is {version}")
        modes = SessionModes(quoted_identifier=quoted != 0, version=(raw.product, *numbers[1:]))
        return Session(modes, f"SQL Server {YEARS.get(raw.product, '')} ({version})".replace("  ", " "))

    def modes_changed(self, raw: Raw, modes: SessionModes) -> bool:
        """Never known without a round trip; after a SET the session is asked."""
        return False

    def looks_dead(self, raw: Raw) -> bool:
        """Closed here, or its socket has ended."""
        wire = raw.wire
        return raw.closed or (wire is not None and wire.has_ended())

    def ping(self, raw: Raw, timeout: float) -> bool:
        """One round trip."""
        if raw.closed:
            return False
        try:
            within(timeout, lambda: raw.run("SELECT 1", None).fetchall(), lambda _: None)
        except Exception:  # whatever a broken session makes of it, there is no sign of life
            return False
        return True

    def close(self, raw: Raw) -> None:
        """Close; what another thread waits for on this session is cancelled."""
        if not raw.closed:
            # The driver's classes say least of all what closing under another thread's feet gives.
            with suppress(Exception):
                try:
                    within(CLOSE_SECONDS, raw.close, lambda _: None)
                except TimeoutError:
                    wire = raw.wire
                    if wire is not None:  # then what is under way ends, and it closes by itself
                        wire.cut()

    def cancel(self, raw: Raw, config: ConnectionConfig) -> None:
        """Have the driver stop it (https://learn.microsoft.com/sql/odbc/reference/syntax/sqlcancel-function);
        the call that waits then raises. On a session that runs nothing it has no effect."""
        within(CANCEL_SECONDS, raw.cancel, lambda _: None)

    def outlive_cancel(self, raw: Raw) -> None:
        """Run a statement that a late cancel may hit."""
        if not raw.closed:
            try:
                raw.run("SELECT 1", None).fetchall()
            except pyodbc.Error as error:
                if codes(error)[0] != CANCELLED:
                    raise

    def cut(self, raw: Raw) -> None:
        """Shut the socket under the driver; where that is not known, cancel once more."""
        wire = raw.wire
        if wire is not None:
            wire.cut()
        else:
            with suppress(Exception):  # whatever the driver makes of a session that is in use
                within(CANCEL_SECONDS, raw.cancel, lambda _: None)

    def execute(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Any:
        """Run driver text; a text that is compared with a VARCHAR column is sent as one.

        Two errors come before anything is done, and are gone around where the transaction has outlived them: a trigger
        keeps OUTPUT from giving rows, and a value for a numbered column wants to be announced.
        """
        sizes = self._types.sizes(raw, text, args) if args else None
        try:
            return _run(raw, text, args, sizes)
        except pyodbc.Error as error:
            way = detour(text, lexical(SessionModes())) if codes(error)[1] == NEEDS_INTO else None
            if way is None or not _stands(raw):
                raise
        return run_around(raw, way, lambda run: _run(raw, run, args, sizes))

    def open_cursor(self, raw: Raw, text: str, args: Sequence[Any] | None, size: int, alone: bool) -> Cursor:
        """See nexusql.backends.mssql.cursor."""
        return MssqlCursor(self.execute(raw, text, args), size)

    def status(self, raw: Raw) -> Status:
        """As the session keeps it."""
        status: Status = Status.UNKNOWN if raw.closed else raw.status
        return status

    def begin(self, raw: Raw, isolation: str | None, read_only: bool, mode: str) -> None:
        """BEGIN TRANSACTION; a level of isolation is the session's here, and is taken back at the end."""
        if read_only:
            raise NotSupportedError(
                "SQL Server has no read-only transactions; use a user that may only read, or ApplicationIntent"
            )
        if isolation:
            raw.isolated = True
            raw.run(f"SET TRANSACTION ISOLATION LEVEL {isolation}", None)
        raw.run("BEGIN TRANSACTION", None)
        raw.status = Status.ACTIVE

    def commit(self, raw: Raw) -> None:
        """Commit."""
        raw.run("COMMIT TRANSACTION", None)
        self._ended(raw)

    def rollback(self, raw: Raw) -> None:
        """Roll back, if the server has not done so."""
        raw.run("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION", None)
        self._ended(raw)

    def _ended(self, raw: MssqlSession) -> None:
        """What a level of isolation was set for is over; where it cannot be taken back, the session is closed."""
        raw.status = Status.IDLE
        if raw.isolated:
            try:
                raw.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", None)
                raw.isolated = False
            except pyodbc.Error:  # the transaction has ended as it was meant to
                self.close(raw)

    def savepoint(self, raw: Raw, name: str) -> None:
        """SAVE TRANSACTION."""
        raw.run(f"SAVE TRANSACTION {_savepoint(name)}", None)

    def rollback_to(self, raw: Raw, name: str) -> None:
        """ROLLBACK TRANSACTION to a savepoint, which stays."""
        raw.run(f"ROLLBACK TRANSACTION {_savepoint(name)}", None)

    def release(self, raw: Raw, name: str) -> None:
        """Nothing: a savepoint ends with its transaction."""
        return

    def reset(self, raw: Raw) -> bool:
        """Never: what resets a session comes with the protocol's next message, and pyodbc does not send it."""
        return False

    def map_error(self, error: Exception, raw: Raw | None, sql: str | None) -> Error:
        """See nexusql.backends.base.Backend. Inside a transaction the server is asked what has become of it."""
        if isinstance(error, Error):
            return error
        if not isinstance(error, pyodbc.Error):
            return error_of_python(error, sql)
        sqlstate, code = codes(error)
        kind = _kind(error, sqlstate, code)
        if raw is None and kind in (ConnectionLost, QueryTimeout):
            kind = OperationalError  # there has been none to lose, and no query
        elif raw is not None and (
            raw.closed or sqlstate == "08001" or (sqlstate in VAGUE and not code and _is_lost(raw))
        ):
            kind = ConnectionLost
        mapped = driver_error(kind, error, sqlstate=sqlstate, code=code, sql=sql)
        if raw is not None and raw.status is not Status.IDLE:
            if kind is ConnectionLost:
                raw.status = Status.UNKNOWN
            else:
                vars(mapped)["dooms"] = not _survives(raw)
                if raw.status is Status.IDLE:
                    self._ended(raw)
        return mapped

    def dooms(self, error: Error) -> bool:
        """True where XACT_STATE() has said that the transaction is gone, or can only be rolled back, and for errors
        after which that is so (https://learn.microsoft.com/sql/t-sql/functions/xact-state-transact-sql)."""
        return bool(vars(error).get("dooms")) or error.code in DOOMING

    def list_tables_sql(self) -> str:
        """Tables of the user's default schema."""
        return (
            "SELECT TABLE_NAME AS name FROM INFORMATION_SCHEMA.TABLES"
            " WHERE TABLE_SCHEMA = SCHEMA_NAME() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME"
        )

    def column_types(self, raw: Raw, table: str) -> Mapping[str, str]:
        """Types without their lengths, as the catalogue has them."""
        parts = [name for name, _ in name_parts(table)]
        if not 1 <= len(parts) <= 2:
            return {}
        schema, params = ("?", parts) if len(parts) == 2 else ("SCHEMA_NAME()", parts)
        result = raw.run(
            "SELECT COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS"
            f" WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            params,
        )
        return dict(map(tuple, result.fetchall()))


def make(
    custom: Mapping[type, Adapter] | None = None,
    json_dumps: Callable[[Any], str | bytes] | None = None,
    json_loads: Callable[[str], Any] | None = None,
) -> MssqlBackend:
    """The backend; see nexusql.backends.backend_for. JSON is text here, so `json_loads` has nothing to decode."""
    return MssqlBackend(MssqlValues(custom, json_dumps))


def _run(raw: MssqlSession, text: str, args: Sequence[Any] | None, sizes: Sequence[Any] | None) -> Result:
    """Run driver text, once more where a value for a numbered column is to be announced and can be."""
    try:
        return raw.run(text, args, sizes)
    except pyodbc.Error as error:
        failed = error
    table = inserted_table(text, lexical(SessionModes())) if codes(failed)[1] == NEEDS_ANNOUNCEMENT else None
    if table is not None and _stands(raw):
        try:
            return run_announced(raw, table, text, args, sizes)
        except pyodbc.Error as error:
            if codes(error)[1] not in NOT_ANNOUNCED:
                raise
    raise failed


def _savepoint(name: str) -> str:
    """A savepoint's name as T-SQL takes it: an identifier of 32 characters at most, in which case counts whatever the
    collation (https://learn.microsoft.com/sql/t-sql/language-elements/save-transaction-transact-sql)."""
    ((plain, quoted),) = name_parts(name) or [(name, False)]
    plain = plain if quoted else plain.lower()
    if len(plain) > LONGEST_SAVEPOINT or not _PLAIN_NAME.fullmatch(plain):
        plain = f"sp_{hashlib.sha256(plain.encode()).hexdigest()[:28]}"
    return f"[{plain}]"


def _kind(error: Exception, sqlstate: str | None, code: int | None) -> type[Error]:
    if code == 547:
        # The statement conflicted with the CHECK constraint "..": a name stands in quotes.
        return CheckViolation if "CHECK" in str(error.args[-1]).partition('"')[0] else ForeignKeyViolation
    found = BY_CODE.get(code) if code is not None else None
    # A query's time-out and a lost connection are the driver's to tell, whatever number comes with them.
    if found is None or ((sqlstate or "")[:2] in ("08", "HY") and sqlstate != "HY000"):
        found = BY_SQLSTATE.get(sqlstate or "") or found
    return found or _category(error)


def _is_lost(raw: MssqlSession) -> bool:
    """Whether the session takes no statement any more."""
    try:
        raw.ask("SELECT 1")
    except pyodbc.Error:
        return True
    return False


def _survives(raw: MssqlSession) -> bool:
    """Whether the open transaction can go on; what has become of it is kept."""
    raw.status = _state(raw)
    return raw.status is Status.ACTIVE


def _stands(raw: MssqlSession) -> bool:
    """Whether a statement that failed may be run anew: not outside the transaction that it belonged to, which has been
    rolled back where XACT_ABORT is on (https://learn.microsoft.com/sql/t-sql/statements/set-xact-abort-transact-sql)."""
    return raw.status is Status.IDLE or _state(raw) is Status.ACTIVE


def _state(raw: MssqlSession) -> Status:
    """What has become of the open transaction, which XACT_STATE() tells; where it cannot be asked, it is unknown."""
    try:
        ((state,),) = raw.ask("SELECT XACT_STATE()")
    except pyodbc.Error:
        return Status.UNKNOWN
    return {1: Status.ACTIVE, -1: Status.FAILED}.get(int(state), Status.IDLE)


# The driver's PEP 249 classes; the later ones are bases of the earlier.
_BY_CATEGORY: tuple[tuple[type[Exception], type[Error]], ...] = (
    (pyodbc.IntegrityError, IntegrityError),
    (pyodbc.OperationalError, OperationalError),
    (pyodbc.DataError, DataError),
    (pyodbc.NotSupportedError, NotSupportedError),
    (pyodbc.ProgrammingError, ProgrammingError),
    (pyodbc.InternalError, InternalError),
    (pyodbc.DatabaseError, DatabaseError),
)


def _category(error: Exception) -> type[Error]:
    return next((kind for category, kind in _BY_CATEGORY if isinstance(error, category)), InterfaceError)
