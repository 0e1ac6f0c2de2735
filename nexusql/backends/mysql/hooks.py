"""Whether PyMySQL is such that `rows.py` can read past it. What that needs is not public, so it is tried, once, when
this module is loaded: replies that are written here are read both ways, and must come to the same.

The parts of PyMySQL are Connection._execute_command, _read_packet, _rfile, _next_seq_id, _result and _force_close, and
MySQLResult.init_unbuffered_query, _check_packet_is_eof, converters, connection and unbuffered_active.
"""

import struct
from collections.abc import Callable
from io import BufferedReader, BytesIO
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE, SERVER_STATUS

from nexusql._speedups import decode_rows
from nexusql.backends.base import Raw
from nexusql.backends.mysql.rows import ask

UTF8, BINARY = 45, 63  # character sets
# A row's fields: their type, character set, and what the server sends.
_FIELDS: tuple[tuple[int, int, bytes | None], ...] = (
    (FIELD_TYPE.LONGLONG, BINARY, b"-7"),
    (FIELD_TYPE.DOUBLE, BINARY, b"1.5e-3"),
    (FIELD_TYPE.NEWDECIMAL, BINARY, b"0.10"),
    (FIELD_TYPE.VAR_STRING, UTF8, "é".encode()),
    (FIELD_TYPE.VAR_STRING, BINARY, b"\xff\x00"),
    (FIELD_TYPE.JSON, BINARY, b"[1]"),
    (FIELD_TYPE.DATETIME, BINARY, b"2026-01-02 03:04:05.06"),
    (FIELD_TYPE.DATETIME, BINARY, b"0000-00-00 00:00:00"),
    (FIELD_TYPE.DATE, BINARY, b"2026-01-02"),
    (FIELD_TYPE.TIME, BINARY, b"-26:00:01"),
    (FIELD_TYPE.STRING, UTF8, None),
)


def _text(data: bytes | None) -> bytes:
    return b"\xfb" if data is None else bytes([len(data)]) + data


def _column(kind: int, charset: int) -> bytes:
    texts = b"".join(map(_text, (b"def", b"", b"", b"", b"a", b"")))
    return texts + struct.pack("<BHIBHBH", 12, charset, 9, kind, 0, 0, 0)


def _replies() -> tuple[bytes, ...]:
    """A result that another follows, and three that end in the middle: cut off, by an error, out of sequence."""
    end = b"\xfe" + struct.pack("<HH", 3, SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)
    row = b"".join(_text(data) for _, _, data in _FIELDS)
    columns = [_column(kind, charset) for kind, charset, _ in _FIELDS]
    packets = [bytes([len(_FIELDS)]), *columns, end, row, row, end, bytes(7)]
    framed = [
        len(payload).to_bytes(3, "little") + bytes([number]) + payload for number, payload in enumerate(packets, 1)
    ]
    begun = b"".join(framed[:-2])
    error = b"\xff" + struct.pack("<H", 1317) + b"#70100interrupted"
    failed = begun + len(error).to_bytes(3, "little") + framed[-2][3:4] + error
    return b"".join(framed), begun[:-3], failed, begun + framed[-1]


class _Wire:
    """In place of a socket."""

    def settimeout(self, seconds: float | None) -> None:
        """There is nothing to wait for."""

    def sendall(self, data: bytes) -> None:
        """Nobody reads it."""

    def close(self) -> None:
        """There is nothing to close."""


def _outcome(reply: bytes, read: Callable[[Raw], Any]) -> Any:
    """What comes of reading a reply: rows or an error, and where it leaves the connection."""
    raw: Any = pymysql.connections.Connection(defer_connect=True, ssl_disabled=True, charset="utf8mb4")
    raw._sock, raw._rfile = _Wire(), BufferedReader(BytesIO(reply))
    raw._current_timeout = None
    raw.server_status = 0
    try:
        rows = read(raw)
    except pymysql.err.Error as error:
        return type(error), error.args, raw._next_seq_id, raw.open
    result = raw._result
    return (
        *(repr(rows), raw._rfile.read(), raw._next_seq_id, raw.open),
        *(result.description, result.warning_count, result.has_next, result.unbuffered_active, result.connection),
    )


def _theirs(raw: Raw) -> list[Any]:
    raw.query("SELECT")
    return list(raw._result.rows)


def _ours(raw: Raw) -> list[Any]:
    rows: list[Any] = []
    ask(raw, "SELECT").read_rows(rows, None)
    return rows


def why_not() -> str:
    """Why rows are left to PyMySQL, "" where they are not."""
    if decode_rows is None:
        return "the core is interpreted"
    version = pymysql.VERSION_STRING
    try:
        theirs, ours = ([_outcome(reply, read) for reply in _replies()] for read in (_theirs, _ours))
        if ours == theirs and isinstance(ours[0][0], str):  # the first is no error
            return ""
    except Exception as error:  # whatever a part that is missing, or another, makes of it
        return f"PyMySQL {version} has not what this needs: {type(error).__name__}: {error}"
    return f"PyMySQL {version} reads a reply in another way"


WHY_NOT = why_not()
