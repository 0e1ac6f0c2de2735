"""Rows of MySQL and MariaDB in pieces: the server sends all it has, and the driver reads as they are asked for.

Nothing else can be sent before the last row has been read, and no message stops the rows: the query must be killed.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from pymysql.connections import MAX_PACKET_LEN, MySQLResult
from pymysql.constants import COMMAND

from nexusql.backends.base import Raw
from nexusql.backends.mysql.error_codes import DOOMING, HANGS_UP
from nexusql.backends.mysql.kill import LOOKED_AT, absorb, kill_query
from nexusql.config import ConnectionConfig

logger = logging.getLogger("nexusql.stream")

# Seconds that the server waits for a client that does something else between two rows; of itself it gives up after 60.
SLOWEST_READER = 86_400
BLOCK = 1 << 16
ERROR, EOF = 0xFF, 0xFE  # what a packet begins with that is no row


def hang_up(raw: Raw, error: BaseException) -> None:
    """Close a session on which the server has hung up, or whose reply was not read to its end: the next reply would be
    the rest of this one."""
    if isinstance(error, pymysql.err.MySQLError):
        over = bool(error.args) and error.args[0] in HANGS_UP
    else:
        over = not isinstance(error, UnicodeEncodeError)  # nothing was sent
    if over:
        raw._force_close()


class _Result(MySQLResult):
    """A result that reads nothing when it is dropped: a finaliser has no time, and a forked child no right to it."""

    def __del__(self) -> None:
        return


class MysqlCursor:
    """See nexusql.backends.base.Cursor. `connect(config, seconds)` opens another session."""

    def __init__(self, raw: Raw, text: str, size: int, connect: Callable[[ConnectionConfig, float], Raw]) -> None:
        self._raw = raw
        self._size = size
        self._connect = connect
        self._text = text[: 2 * LOOKED_AT]
        try:
            if not raw.expects_slow_reader:
                raw.query(f"SET SESSION net_write_timeout = GREATEST(@@SESSION.net_write_timeout, {SLOWEST_READER})")
                raw.expects_slow_reader = True
            raw._execute_command(COMMAND.COM_QUERY, text)
            self._result: Any = _Result(raw)
            self._result.init_unbuffered_query()
        except BaseException as error:
            hang_up(raw, error)
            raise
        raw._result = self._result
        self.description: Sequence[Sequence[Any]] = self._result.description or ()

    @property
    def occupies(self) -> bool:
        """Until the last row, or an error in its place, has been read."""
        return bool(self._result.unbuffered_active)

    def fetch(self) -> Sequence[Any]:
        """The next rows. They are decoded when their packets have been read: a value that cannot be read breaks nothing
        but its own piece."""
        raw, result = self._raw, self._result
        packets: list[Any] = []
        try:
            while result.unbuffered_active and len(packets) < self._size:
                packet = raw._read_packet()
                if result._check_packet_is_eof(packet):
                    result.unbuffered_active = False
                else:
                    packets.append(packet)
        except BaseException as error:
            hang_up(raw, error)
            raise
        return [result._read_row_from_packet(packet) for packet in packets]

    def close(self, config: ConnectionConfig) -> None:
        """Have the query killed, read what is under way, and see that the kill can hit no later statement: it has been
        answered before DO is sent, so it has hit the query, or DO, or nothing. An error that ends the transaction is
        raised; any other in the unread rest is nobody's."""
        if not (self._result.unbuffered_active and self._raw.open):
            return
        self._kill(config)
        try:
            last = _last_packet(self._raw._rfile.read1)
            self._result.unbuffered_active = False
            absorb(self._raw)
            if last[0] == ERROR and int.from_bytes(last[1:3], "little") in DOOMING:
                pymysql.err.raise_mysql_exception(last)
        except BaseException as error:
            hang_up(self._raw, error)
            raise

    def _kill(self, config: ConnectionConfig) -> None:
        """Where no other session can be had, the query goes on."""
        try:
            kill_query(self._raw, self._text, config, self._connect)
        except Exception as error:  # whatever it is, the query can still be read to its end
            logger.debug("a query could not be killed, its rest is read: %s", type(error).__name__)


def _last_packet(read: Callable[[int], bytes]) -> bytes:
    """Read on to the end of a result; its last packet, EOF or an error. Of the others only the headers are looked at:
    some hundred thousand rows may be under way (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html).
    """
    data, at = b"", 0
    continued = False  # a packet of the greatest length goes on in the next, which begins with anything
    wanted = 5
    while True:
        while len(data) - at < wanted:
            block = read(BLOCK)
            if not block:
                raise ConnectionResetError("the server closed the connection in the middle of a result")
            data, at = data[at:] + block, max(at - len(data), 0)
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        first = data[at + 4]
        if not continued and (first == ERROR or (first == EOF and length < 9)):
            if wanted == 4 + length:
                return data[at + 4 : at + wanted]
            wanted = 4 + length
            continue
        at += 4 + length
        continued = length == MAX_PACKET_LEN
