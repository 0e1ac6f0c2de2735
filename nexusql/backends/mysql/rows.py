"""The rows of a result, read past PyMySQL: the compiled decoder takes whole packets out of what the connection has
buffered. What is more than a plain row is left to PyMySQL: a packet cut off or continued, the end of the rows, an
error, a lost connection. `hooks.py` tells whether PyMySQL is such that this can be done.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql
from pymysql import converters
from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND, CR

from nexusql._speedups import BYTES, CALLED, DATE, DATETIME, FLOAT, INT, STR, TIMEDELTA, decode_row, decode_rows
from nexusql.backends.base import Raw
from nexusql.backends.mysql.error_codes import HANGS_UP
from nexusql.backends.mysql.kill import KEPT

# By (encoding, converter) as PyMySQL has them for a column.
KINDS: dict[Any, int] = {
    (None, None): BYTES,
    ("utf8", None): STR,
    ("ascii", int): INT,
    ("ascii", float): FLOAT,
    ("ascii", converters.convert_datetime): DATETIME,
    ("ascii", converters.convert_date): DATE,
    ("ascii", converters.convert_timedelta): TIMEDELTA,
}

READ_AHEAD = 1 << 16  # bytes


def read_ahead(raw: Raw) -> None:
    """Have a connection on which nothing is under way take more from its socket at once than PyMySQL does."""
    raw._rfile.close()
    raw._rfile = raw._sock.makefile("rb", READ_AHEAD)


def hang_up(raw: Raw, error: BaseException) -> None:
    """Close a session on which the server has hung up, or whose reply was not read to its end: the next reply would be
    the rest of this one."""
    if isinstance(error, pymysql.err.MySQLError):
        over = bool(error.args) and error.args[0] in HANGS_UP
    else:
        over = not isinstance(error, UnicodeEncodeError)  # nothing was sent
    if over:
        raw._force_close()


class Result(MySQLResult):
    """A result whose rows are still to be read. It reads nothing when it is dropped: a finaliser has no time, and a
    forked child no right to it."""

    connection: Any
    converters: list[Any]
    unbuffered_active: bool  # until the last row, or an error in its place, has been read
    _check_packet_is_eof: Callable[[Any], bool]
    _read_row_from_packet: Callable[[Any], tuple[Any, ...]]
    _kinds: bytes | None = None
    _rules: tuple[Any, ...] = ()

    def __del__(self) -> None:
        return

    def read_rows(self, out: list[Any], names: tuple[str, ...] | None, most: int = sys.maxsize) -> None:
        """Append the next rows, `most` at most: dicts by `names`, tuples where there are none. A value that cannot be
        read raises what its converter raises, and leaves the session behind its row; all else that fails closes it."""
        assert decode_rows is not None
        raw = self.connection
        if self._kinds is None:
            self._rules = tuple(self.converters)
            self._kinds = bytes([KINDS.get(rule, CALLED) for rule in self._rules])
        while self.unbuffered_active and most > 0:
            before = len(out)
            try:
                block = self._buffered()
                used = decode_rows(block, raw._next_seq_id, self._kinds, self._rules, names, out, most)
                raw._rfile.read(used)
                count = len(out) - before
                raw._next_seq_id = (raw._next_seq_id + count) % 256
                most -= count
                if most == 0 or 0 < used == len(block):
                    continue
                payload = self._payload()
            except BaseException as error:
                self._fail(error)
                raise
            if payload is not None:
                out.append(self._row(payload, names))
                most -= 1

    def _buffered(self) -> bytes:
        """What the connection has read ahead; waits where that is nothing."""
        try:
            block: bytes = self.connection._rfile.peek()
        except OSError as error:
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, f"Lost connection to MySQL server during query ({error})"
            ) from error
        return block

    def _payload(self) -> bytes | None:
        """The next packet as PyMySQL reads it, None where it is the end of the rows."""
        packet = self.connection._read_packet()
        if self._check_packet_is_eof(packet):
            self.unbuffered_active = False
            self.connection = None
            return None
        payload: bytes = packet.get_all_data()
        return payload

    def _row(self, payload: bytes, names: tuple[str, ...] | None) -> Any:
        assert decode_row is not None
        assert self._kinds is not None
        row = decode_row(payload, self._kinds, self._rules, names)
        if row is None:
            self.unbuffered_active = False
            self.connection._force_close()
            raise pymysql.err.InternalError("the server has sent a row that does not have the columns it has announced")
        return row

    def _fail(self, error: BaseException) -> None:
        self.unbuffered_active = False
        hang_up(self.connection, error)


def ask(raw: Raw, text: str | bytes) -> Result:
    """Send a statement, and read its reply as far as the rows. A session whose reply could not be read is closed."""
    raw.asked = text[:KEPT]
    try:
        raw._execute_command(COMMAND.COM_QUERY, text)
        result = Result(raw)
        result.init_unbuffered_query()
    except BaseException as error:
        hang_up(raw, error)
        raise
    raw._result = result
    if result.server_status is not None:
        raw.server_status = result.server_status
    return result


class Reply:
    """What a statement gave, as a driver's cursor has it. Its rows are read from the server when they are asked for, as
    dicts or as tuples; they can be asked for as tuples again."""

    __slots__ = ("_raw", "_result", "_rows", "description", "lastrowid", "rowcount")

    def __init__(self, raw: Raw, text: str | bytes) -> None:
        self._raw = raw
        self._result = ask(raw, text)
        self.description: Sequence[Sequence[Any]] | None = self._result.description
        self.rowcount = self._result.affected_rows
        self.lastrowid = self._result.insert_id
        self._rows: list[tuple[Any, ...]] = []

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        if self._result.unbuffered_active:
            self._read(self._rows, None)
            self.rowcount = len(self._rows)
        return self._rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())

    def extend_dicts(self, out: list[dict[str, Any]], names: tuple[str, ...]) -> bool:
        """Append the rows as dicts; True where two names are equal, so that the last won."""
        self._read(out, names)
        return len(out) > 0 and len(out[-1]) < len(names)

    def _read(self, out: list[Any], names: tuple[str, ...] | None) -> None:
        try:
            self._result.read_rows(out, names)
        except BaseException as error:
            hang_up(self._raw, error)
            raise


def extend_dicts(out: list[dict[str, Any]], rows: Reply, names: tuple[str, ...]) -> bool:
    """`_speedups.extend_dicts` for the rows of a Reply: straight into dicts."""
    return rows.extend_dicts(out, names)
