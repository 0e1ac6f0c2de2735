"""Messages of TDS 7.4 ([MS-TDS] 2.2.6 and 2.2.7): what clients ask, read, and the tokens of answers, written."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tds_types import COLLATION, Reader, Type, read_parameter, text_behind_length

BATCH, RPC, ANSWER, ATTENTION, TRANSACTION, LOGIN, PRELOGIN = 1, 3, 4, 6, 14, 16, 18
# What PRELOGIN says of encryption: only of the login, of all, not to be had, and of all by the server's will.
OFF, ON, NOT_SUPPORTED, REQUIRED = range(4)
MORE, ERROR, COUNT, ATTENDED = 0x01, 0x02, 0x10, 0x20
PACKET_SIZE = 4096

_PROCEDURES = {
    1: "sp_cursor",
    2: "sp_cursoropen",
    3: "sp_cursorprepare",
    4: "sp_cursorexecute",
    5: "sp_cursorprepexec",
    6: "sp_cursorunprepare",
    7: "sp_cursorfetch",
    8: "sp_cursoroption",
    9: "sp_cursorclose",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter as it came: its type in T-SQL's words and its value."""

    name: str
    type: str
    value: Any


@dataclass(frozen=True)
class Request:
    """What a client has asked for: `way` is "batch" or the procedure; `text` is the statement that is to be run."""

    way: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    transaction: int = 0
    session: int = 0

    @property
    def types(self) -> list[str]:
        """The types of the parameters."""
        return [parameter.type for parameter in self.parameters]

    @property
    def values(self) -> list[Any]:
        """The values of the parameters."""
        return [parameter.value for parameter in self.parameters]


@dataclass(frozen=True)
class Login:
    """What a client has said of itself, and whether nobody else could read it."""

    user: str
    password: str
    database: str
    server: str
    application: str
    library: str
    encrypted: bool


def read_prelogin(data: bytes) -> int:
    """What the client says of encryption."""
    reader = Reader(data)
    while (option := reader.number(1)) != 0xFF:
        offset, length = struct.unpack(">HH", reader.take(4))
        if option == 1:
            return data[offset : offset + length][0]
    return NOT_SUPPORTED


def prelogin(encryption: int) -> bytes:
    """The server's version and what it says of encryption."""
    options = {0: struct.pack(">BBHH", 16, 0, 1000, 0), 1: bytes([encryption]), 4: b"\0"}
    head, body = b"", b""
    for option, value in options.items():
        head += struct.pack(">BHH", option, 5 * len(options) + 1 + len(body), len(value))
        body += value
    return head + b"\xff" + body


def read_login(data: bytes, encrypted: bool) -> Login:
    """LOGIN7."""

    def text(at: int) -> bytes:
        offset, length = struct.unpack_from("<HH", data, at)
        return data[offset : offset + 2 * length]

    hidden = text(44)
    password = bytes((byte ^ 0xA5) >> 4 | ((byte ^ 0xA5) << 4 & 0xF0) for byte in hidden)
    user, application, server, library, database = (text(at).decode("utf-16-le") for at in (40, 48, 52, 60, 68))
    return Login(user, password.decode("utf-16-le"), database, server, application, library, encrypted)


def read_headers(reader: Reader) -> int:
    """ALL_HEADERS; gives the number of the transaction that the client believes to be open."""
    start = reader.at
    end, transaction = start + reader.number(4), 0
    while reader.at < end:
        length, kind = reader.number(4), reader.number(2)
        content = reader.take(length - 6)
        if kind == 2:
            (transaction,) = struct.unpack("<Q", content[:8])
    return transaction


def read_calls(reader: Reader) -> list[tuple[str, list[Parameter]]]:
    """The procedures of an RPC message with their parameters."""
    calls = []
    while reader:
        length = reader.number(2)
        name = _PROCEDURES[reader.number(2)] if length == 0xFFFF else reader.take(2 * length).decode("utf-16-le")
        reader.take(2)
        parameters = []
        while reader and reader.data[reader.at] != 0xFF:
            told = reader.text(1)
            reader.take(1)
            kind, value = read_parameter(reader)
            parameters.append(Parameter(told, str(kind), value))
        if reader:
            reader.take(1)
        calls.append((name, parameters))
    return calls


def _with_length(token: int, data: bytes) -> bytes:
    return struct.pack("<BH", token, len(data)) + data


def login_answer(database: str) -> bytes:
    """All that follows a good login."""
    acknowledged = struct.pack("<B", 1) + bytes.fromhex("74000004") + text_behind_length("Microsoft SQL Server", 1)
    return b"".join(
        (
            changed(1, text_behind_length(database, 1) + text_behind_length("master", 1)),
            changed(7, bytes([len(COLLATION)]) + COLLATION + b"\0"),
            changed(2, text_behind_length("us_english", 1) + b"\0"),
            changed(4, text_behind_length(str(PACKET_SIZE), 1) * 2),
            _with_length(0xAD, acknowledged + bytes([16, 0, 0x03, 0xE8])),
            done(0xFD, 0),
        )
    )


def changed(what: int, values: bytes) -> bytes:
    """ENVCHANGE."""
    return _with_length(0xE3, bytes([what]) + values)


def transaction_changed(what: int, begun: int, ended: int) -> bytes:
    """ENVCHANGE of a transaction: 8 it has begun, 9 it is committed, 10 it is rolled back."""
    numbers = (struct.pack("<BQ", 8, number) if number else b"\0" for number in (begun, ended))
    return changed(what, b"".join(numbers))


def message(token: int, number: int, severity: int, text: str) -> bytes:
    """ERROR (0xAA) or INFO (0xAB)."""
    head = struct.pack("<iBB", number, 1, severity)
    names = text_behind_length("stand-in", 1) + text_behind_length("", 1)
    return _with_length(token, head + text_behind_length(text, 2) + names + struct.pack("<I", 1))


def done(token: int, status: int, count: int | None = None) -> bytes:
    """DONE (0xFD), DONEPROC (0xFE) or DONEINPROC (0xFF)."""
    return struct.pack(
        "<BHHQ", token, status | (0 if count is None else COUNT), 0xC1 if count is None else 0xC3, count or 0
    )


def columns(described: Sequence[tuple[str, Type]]) -> bytes:
    """COLMETADATA."""
    each = (struct.pack("<IH", 0, 0x0009) + kind.info + text_behind_length(name, 1) for name, kind in described)
    return struct.pack("<BH", 0x81, len(described)) + b"".join(each)


def row(described: Sequence[tuple[str, Type]], values: Sequence[Any]) -> bytes:
    """ROW."""
    return b"\xd1" + b"".join(kind.encode(value) for (_, kind), value in zip(described, values, strict=True))


def returned(status: int) -> bytes:
    """RETURNSTATUS."""
    return struct.pack("<Bi", 0x79, status)


def returned_value(name: str, kind: Type, value: Any) -> bytes:
    """RETURNVALUE of an output parameter."""
    return (
        struct.pack("<BH", 0xAC, 0)
        + text_behind_length(name, 1)
        + struct.pack("<BIH", 1, 0, 0)
        + kind.info
        + kind.encode(value)
    )
