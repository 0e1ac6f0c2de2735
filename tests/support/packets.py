"""Packets of MySQL's protocol, and PyMySQL's reading of rows as the compiled decoder promises it: its reference."""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import pymysql.protocol

from nexusql._speedups.packets import Names, Rules

END = b"\xfe\0\0\x02\0"  # of columns or rows: no warnings, autocommit
MORE = b"\xfe\0\0\x0a\0"  # the same, and another result follows
OK = b"\0\0\0\x02\0\0\0"
LONGEST = 0xFFFFFF


def length_encoded(number: int) -> bytes:
    """A length before a field."""
    if number < 0xFB:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def field(data: bytes | None) -> bytes:
    """One field of a row, NULL for None."""
    return b"\xfb" if data is None else length_encoded(len(data)) + data


def row(*values: bytes | None) -> bytes:
    """The payload of a row."""
    return b"".join(map(field, values))


def framed(payloads: Iterable[bytes], first: int = 1) -> bytes:
    """Payloads as packets in sequence, split where they are too long for one."""
    pieces: list[bytes] = []
    for payload in payloads:
        for at in range(0, len(payload) + 1, LONGEST):
            piece = payload[at : at + LONGEST]
            pieces.append(len(piece).to_bytes(3, "little") + bytes([(first + len(pieces)) % 256]) + piece)
    return b"".join(pieces)


def column(name: str, kind: int, charset: int = 63) -> bytes:
    """The description of a column."""
    texts = (b"def", b"", b"", b"", name.encode(), b"")
    return b"".join(map(field, texts)) + struct.pack("<BHIBHBH", 12, charset, 9, kind, 0, 0, 0)


def head(columns: Sequence[bytes]) -> list[bytes]:
    """The payloads before the rows of a result."""
    return [length_encoded(len(columns)), *columns, END]


def error(code: int, text: str) -> bytes:
    """The payload of an error."""
    return b"\xff" + struct.pack("<H", code) + b"#HY000" + text.encode()


def decode_row(payload: bytes, kinds: bytes, rules: Rules, names: Names) -> Any:
    """As PyMySQL reads a row, but that it has to have exactly the columns."""
    packet: Any = pymysql.protocol.MysqlPacket(payload, "utf8")
    values: list[Any] = []
    for encoding, converter in rules:
        at = packet._position
        if at >= len(payload) or payload[at] == 0xFF:
            return None
        try:
            data: Any = packet.read_length_coded_string()
        except (AssertionError, struct.error):
            return None
        if data is not None:
            data = data if encoding is None else data.decode(encoding)
            data = data if converter is None else converter(data)
        values.append(data)
    if packet._position != len(payload):
        return None
    return tuple(values) if names is None else dict(zip(names, values, strict=True))


def decode_rows(
    block: bytes, sequence: int, kinds: bytes, rules: Rules, names: Names, out: list[Any], most: int
) -> int:
    """See nexusql._speedups.packets."""
    at = 0
    for _ in range(most):
        length = int.from_bytes(block[at : at + 3], "little")
        payload = block[at + 4 : at + 4 + length]
        if not payload or block[at + 3] != sequence or length == LONGEST or len(payload) < length:
            break
        packet: Any = pymysql.protocol.MysqlPacket(payload, "utf8")
        if packet.is_error_packet() or packet.is_eof_packet():
            break
        try:
            found = decode_row(payload, kinds, rules, names)
        except Exception:
            break
        if found is None:
            break
        out.append(found)
        at += 4 + length
        sequence = (sequence + 1) % 256
    return at
