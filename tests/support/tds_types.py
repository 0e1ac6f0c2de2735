"""Types and values of TDS 7.4 ([MS-TDS] 2.2.5.4 to 2.2.5.6), by the names that T-SQL gives them: `varchar(20)`,
`nvarchar(max)`, `decimal(10, 2)`, `datetime2(7)`."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS, whose code page is 1252
UNLIMITED = 0xFFFF
_EXACT = Context(prec=60)
_PIECE = 4096  # bytes of a long value that go together

_CODES = {
    "uniqueidentifier": 0x24,
    "date": 0x28,
    "time": 0x29,
    "datetime2": 0x2A,
    "datetimeoffset": 0x2B,
    "int": 0x26,
    "bit": 0x68,
    "decimal": 0x6A,
    "numeric": 0x6C,
    "float": 0x6D,
    "money": 0x6E,
    "datetime": 0x6F,
    "varbinary": 0xA5,
    "varchar": 0xA7,
    "binary": 0xAD,
    "char": 0xAF,
    "nvarchar": 0xE7,
    "nchar": 0xEF,
    "ntext": 0x63,
    "text": 0x23,
    "image": 0x22,
}
_NAMES = {code: name for name, code in _CODES.items()}
# Types without NULL, and what they are called with it.
_FIXED = {
    0x30: (0x26, 1),
    0x34: (0x26, 2),
    0x38: (0x26, 4),
    0x7F: (0x26, 8),
    0x32: (0x68, 1),
    0x3B: (0x6D, 4),
    0x3E: (0x6D, 8),
    0x3C: (0x6E, 8),
    0x7A: (0x6E, 4),
    0x3D: (0x6F, 8),
    0x3A: (0x6F, 4),
}
_SIZED = {
    ("int", 1): "tinyint",
    ("int", 2): "smallint",
    ("int", 4): "int",
    ("int", 8): "bigint",
    ("float", 4): "real",
    ("money", 4): "smallmoney",
    ("datetime", 4): "smalldatetime",
}
_BY_NAME = {told: (name, size) for (name, size), told in _SIZED.items()}
_SIZES = {"uniqueidentifier": 16, "bit": 1, "float": 8, "money": 8, "datetime": 8, "decimal": 17, "numeric": 17}
_CHARACTERS = frozenset(("varchar", "char", "nvarchar", "nchar"))
_BYTES = frozenset(("varbinary", "binary"))
_LONG = frozenset(("ntext", "text", "image"))
_CLOCKS = frozenset(("time", "datetime2", "datetimeoffset"))
_DECLARED = re.compile(r"(\w+)(?:\((max|\d+)(?:, ?(\d+))?\))?")


class Reader:
    """Bytes that are read from their start."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        piece = self.data[self.at : self.at + count]
        assert len(piece) == count, "the message ends within a value"
        self.at += count
        return piece

    def number(self, size: int) -> int:
        """The next unsigned number."""
        return int.from_bytes(self.take(size), "little")

    def text(self, length_size: int) -> str:
        """A text behind its number of characters."""
        return self.take(2 * self.number(length_size)).decode("utf-16-le")


def text_behind_length(text: str, length_size: int) -> bytes:
    """A text as the protocol writes names and messages."""
    data = text.encode("utf-16-le")
    return (len(data) // 2).to_bytes(length_size, "little") + data


@dataclass(frozen=True)
class Type:
    """A type: `size` in bytes, UNLIMITED for `(max)`; `scale` also of a clock's digits."""

    name: str
    size: int = 0
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        if self.name in _CHARACTERS | _BYTES:
            length = self.size // 2 if self.name.startswith("n") else self.size
            return f"{self.name}({'max' if self.size == UNLIMITED else length})"
        if self.name in ("decimal", "numeric"):
            return f"{self.name}({self.precision}, {self.scale})"
        if self.name in _CLOCKS:
            return f"{self.name}({self.scale})"
        return _SIZED.get((self.name, self.size), self.name)

    @property
    def info(self) -> bytes:
        """TYPE_INFO."""
        code = bytes([_CODES[self.name]])
        if self.name in _CHARACTERS:
            return code + struct.pack("<H", self.size) + COLLATION
        if self.name in _BYTES:
            return code + struct.pack("<H", self.size)
        if self.name in _CLOCKS:
            return code + bytes([self.scale])
        if self.name == "date":
            return code
        if self.name in ("decimal", "numeric"):
            return code + bytes([self.size, self.precision, self.scale])
        return code + bytes([self.size])

    def encode(self, value: Any) -> bytes:
        """A value of a row, with its length."""
        data = None if value is None else _ENCODE[self.name](value, self)
        if self.name not in _CHARACTERS | _BYTES:
            return b"\0" if data is None else bytes([len(data)]) + data
        if self.size != UNLIMITED:
            return b"\xff\xff" if data is None else struct.pack("<H", len(data)) + data
        if data is None:
            return b"\xff" * 8
        pieces = [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)]
        return struct.pack("<Q", len(data)) + b"".join(struct.pack("<I", len(p)) + p for p in pieces) + bytes(4)


def declared(text: str) -> Type:
    """The type that T-SQL calls so."""
    found = _DECLARED.fullmatch(text)
    assert found, text
    name, first, second = found.groups()
    if name in _BY_NAME:
        return Type(*_BY_NAME[name])
    if name in _CHARACTERS | _BYTES:
        width = 2 if name.startswith("n") else 1
        return Type(name, UNLIMITED if first == "max" else int(first or 1) * width)
    if name in ("decimal", "numeric"):
        return Type(name, 17, int(first or 18), int(second or 0))
    if name in _CLOCKS:
        return Type(name, scale=int(first or 7))
    return Type(name, _SIZES.get(name, 0))


def read_parameter(data: Reader) -> tuple[Type, Any]:
    """TYPE_INFO and a value behind it, as a procedure is called with them."""
    code = data.number(1)
    if code in _FIXED:
        plain, size = _FIXED[code]
        kind = Type(_NAMES[plain], size)
        return kind, _DECODE[kind.name](data.take(size), kind)
    kind = _read_type(_NAMES[code], data)
    if kind.name in _LONG:
        length = data.number(4)
        raw = None if length == 0xFFFFFFFF else data.take(length)
    elif kind.name not in _CHARACTERS | _BYTES:
        raw = data.take(data.number(1)) or None
    elif kind.size == UNLIMITED:
        raw = _read_long(data)
    else:
        length = data.number(2)
        raw = None if length == 0xFFFF else data.take(length)
    return kind, None if raw is None else _DECODE[kind.name](raw, kind)


def _read_type(name: str, data: Reader) -> Type:
    if name in _CHARACTERS | _BYTES:
        size = data.number(2)
        data.take(5 if name in _CHARACTERS else 0)
        return Type(name, size)
    if name in _LONG:
        data.take(4 if name == "image" else 9)
        return Type(name)
    if name in ("decimal", "numeric"):
        return Type(name, *data.take(3))
    if name in _CLOCKS:
        return Type(name, scale=data.number(1))
    return Type(name, 0 if name == "date" else data.number(1))


def _read_long(data: Reader) -> bytes | None:
    if data.number(8) == 2**64 - 1:
        return None
    pieces = []
    while size := data.number(4):
        pieces.append(data.take(size))
    return b"".join(pieces)


def _encode_decimal(value: Any, kind: Type) -> bytes:
    number = int(_EXACT.scaleb(Decimal(value), kind.scale))
    return bytes([number >= 0]) + abs(number).to_bytes(16, "little")


def _decode_decimal(raw: bytes, kind: Type) -> Decimal:
    number = int.from_bytes(raw[1:], "little")
    return Decimal((0 if raw[0] else 1, tuple(map(int, str(number))), -kind.scale))


def _clock_size(kind: Type) -> int:
    return 3 if kind.scale < 3 else 4 if kind.scale < 5 else 5


def _encode_clock(value: time | datetime, kind: Type) -> bytes:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    ticks: int = (seconds * 10**6 + value.microsecond) * 10 // 10 ** (7 - kind.scale)
    return ticks.to_bytes(_clock_size(kind), "little")


def _decode_clock(raw: bytes, kind: Type) -> time:
    microseconds = int.from_bytes(raw, "little") * 10 ** (7 - kind.scale) // 10
    return (datetime.min + timedelta(microseconds=microseconds)).time()


def _encode_date(value: date) -> bytes:
    return (value.toordinal() - 1).to_bytes(3, "little")


def _decode_date(raw: bytes) -> date:
    return date.fromordinal(int.from_bytes(raw, "little") + 1)


def _encode_datetime2(value: datetime, kind: Type) -> bytes:
    return _encode_clock(value, kind) + _encode_date(value)


def _decode_datetime2(raw: bytes, kind: Type) -> datetime:
    return datetime.combine(_decode_date(raw[-3:]), _decode_clock(raw[:-3], kind))


def _encode_datetimeoffset(value: datetime, kind: Type) -> bytes:
    offset = value.utcoffset()
    assert offset is not None
    return _encode_datetime2(value.astimezone(timezone.utc), kind) + struct.pack("<h", offset // timedelta(minutes=1))


def _decode_datetimeoffset(raw: bytes, kind: Type) -> datetime:
    zone = timezone(timedelta(minutes=struct.unpack("<h", raw[-2:])[0]))
    return _decode_datetime2(raw[:-2], kind).replace(tzinfo=timezone.utc).astimezone(zone)


def _encode_datetime(value: datetime, kind: Type) -> bytes:
    past = value - datetime(1900, 1, 1)
    if kind.size == 4:
        return struct.pack("<HH", past.days, past.seconds // 60)
    return struct.pack("<iI", past.days, round(past.seconds * 300 + past.microseconds * 3 / 10**4))


def _decode_datetime(raw: bytes, kind: Type) -> datetime:
    if kind.size == 4:
        days, minutes = struct.unpack("<HH", raw)
        return datetime(1900, 1, 1) + timedelta(days, minutes=minutes)
    days, ticks = struct.unpack("<iI", raw)
    return datetime(1900, 1, 1) + timedelta(days, milliseconds=round(ticks * 10 / 3))


def _encode_money(value: Any, kind: Type) -> bytes:
    number = int(Decimal(value).scaleb(4))
    return struct.pack("<i", number) if kind.size == 4 else struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)


def _decode_money(raw: bytes, kind: Type) -> Decimal:
    high, low = struct.unpack("<iI", raw) if kind.size == 8 else (0, *struct.unpack("<i", raw))
    return Decimal((high << 32) + low).scaleb(-4)


def _wide(value: str, kind: Type) -> bytes:
    return value.encode("utf-16-le", "surrogatepass")


def _narrow(value: str, kind: Type) -> bytes:
    return value.encode("cp1252")


def _as_int(raw: bytes, kind: Type) -> int:
    return int.from_bytes(raw, "little", signed=kind.size > 1)


_ENCODE: dict[str, Callable[[Any, Type], bytes]] = {
    "int": lambda value, kind: int(value).to_bytes(kind.size, "little", signed=kind.size > 1),
    "bit": lambda value, kind: bytes([bool(value)]),
    "float": lambda value, kind: struct.pack("<f" if kind.size == 4 else "<d", value),
    "uniqueidentifier": lambda value, kind: UUID(str(value)).bytes_le,
    "date": lambda value, kind: _encode_date(value),
    **dict.fromkeys(("decimal", "numeric"), _encode_decimal),
    **dict.fromkeys(("varchar", "char"), _narrow),
    **dict.fromkeys(("nvarchar", "nchar"), _wide),
    **dict.fromkeys(("varbinary", "binary"), lambda value, kind: bytes(value)),
    "time": _encode_clock,
    "datetime2": _encode_datetime2,
    "datetimeoffset": _encode_datetimeoffset,
    "datetime": _encode_datetime,
    "money": _encode_money,
}
_DECODE: dict[str, Callable[[bytes, Type], Any]] = {
    "int": _as_int,
    "bit": lambda raw, kind: raw != b"\0",
    "float": lambda raw, kind: struct.unpack("<f" if kind.size == 4 else "<d", raw)[0],
    "uniqueidentifier": lambda raw, kind: UUID(bytes_le=raw),
    "date": lambda raw, kind: _decode_date(raw),
    **dict.fromkeys(("decimal", "numeric"), _decode_decimal),
    **dict.fromkeys(("varchar", "char", "text"), lambda raw, kind: raw.decode("cp1252")),
    **dict.fromkeys(("nvarchar", "nchar", "ntext"), lambda raw, kind: raw.decode("utf-16-le", "surrogatepass")),
    **dict.fromkeys(("varbinary", "binary", "image"), lambda raw, kind: raw),
    "time": _decode_clock,
    "datetime2": _decode_datetime2,
    "datetimeoffset": _decode_datetimeoffset,
    "datetime": _decode_datetime,
    "money": _decode_money,
}
