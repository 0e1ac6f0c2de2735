"""The encoders: rows as PostgreSQL's COPY text or binary data and as MySQL's literals. `_encoder_c.pyx` is the compiled
twin.

Each column has a mask of bits, which name the exact types that are written directly: STR; INT that fits 64 bits;
FLOAT that is finite; BOOL, as t and f in COPY's text; BOOL_INT, and BOOL in literals, as 1 and 0; BYTES; DATETIME
without a zone; DATE. None is null. For any other value the column's converter is called: it gives None, str, which is
escaped or quoted here, or bytes, which are copied as they are.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from math import isfinite
from operator import itemgetter
from struct import Struct
from typing import Any
from uuid import UUID

from nexusql._speedups.codes import (
    AS_BOOL,
    AS_BYTEA,
    AS_DATE,
    AS_FLOAT8,
    AS_INT2,
    AS_INT4,
    AS_INT8,
    AS_JSONB,
    AS_TEXT,
    AS_TIMESTAMP,
    AS_TIMESTAMPTZ,
    AS_UUID,
    BOOL,
    BOOL_INT,
    BYTES,
    DATE,
    DATETIME,
    END,
    FAULT,
    FLOAT,
    FULL,
    INT,
    OTHER,
    STR,
    UNFIT,
)

Converter = Callable[[Any], Any]
Writer = Callable[[Any], bytes | None]  # None: the converter is asked
Encoded = tuple[bytes, int, int, Any]
Direct = tuple[tuple[int, type, Writer], ...]  # (bit of a mask, exact type, its writer); of two for a type the last


@dataclass(frozen=True, eq=False)
class Form:
    """How values and rows are written. The rows of COPY's binary format begin with the number of columns instead."""

    begin: bytes
    between: bytes
    end: bytes
    join: bytes
    null: bytes
    text: Callable[[str], bytes]
    direct: Direct


_NUL, _BACKSLASH, _TAB, _LF, _CR = b"\0\\\t\n\r"


def _without_nul(text: str) -> bytes:
    data = str.encode(text)
    if _NUL in data:
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")
    return data


def _copy_text(text: str) -> bytes:
    data = _without_nul(text)
    # Where there is nothing to replace, four questions cost less than four calls.
    if _BACKSLASH in data or _TAB in data or _LF in data or _CR in data:
        data = data.replace(b"\\", rb"\\").replace(b"\t", rb"\t").replace(b"\n", rb"\n").replace(b"\r", rb"\r")
    return data


def _quoted(text: str) -> bytes:
    return b"'%b'" % str.encode(text).replace(b"'", b"''")


def _quoted_with_backslashes(text: str) -> bytes:
    return b"'%b'" % str.encode(text).replace(b"\\", rb"\\").replace(b"'", b"''")


def _integer(value: int) -> bytes | None:
    return b"%d" % value if -(1 << 63) <= value < 1 << 63 else None


def _real(value: float) -> bytes | None:
    return repr(value).encode() if isfinite(value) else None


def _real_with_exponent(value: float) -> bytes | None:
    data = _real(value)
    # Without an exponent MySQL reads a decimal number.
    return data if data is None or b"e" in data else data + b"e0"


def _moment(value: datetime) -> bytes | None:
    return value.isoformat(" ").encode() if value.tzinfo is None else None


def _day(value: date) -> bytes:
    return value.isoformat().encode()


def _in_quotes(write: Writer) -> Writer:
    def quoted(value: Any) -> bytes | None:
        data = write(value)
        return None if data is None else b"'%b'" % data

    return quoted


def _copy_hex(value: bytes) -> bytes:
    return rb"\\x" + value.hex().encode()


def _literal_hex(value: bytes) -> bytes:
    return b"X'%b'" % value.hex().encode()


_LETTERS: Writer = {True: b"t", False: b"f"}.__getitem__
_DIGITS: Writer = {True: b"1", False: b"0"}.__getitem__

_WORDS: Direct = (
    (INT, int, _integer),
    (FLOAT, float, _real),
    (BOOL_INT, bool, _DIGITS),
    (BOOL, bool, _LETTERS),
    (DATETIME, datetime, _moment),
    (DATE, date, _day),
)
_COPY = Form(
    begin=b"",
    between=b"\t",
    end=b"\n",
    join=b"",
    null=rb"\N",
    text=_copy_text,
    direct=((STR, str, _copy_text), (BYTES, bytes, _copy_hex), *_WORDS),
)


def _literals(text: Callable[[str], bytes]) -> Form:
    return Form(
        begin=b"(",
        between=b",",
        end=b")",
        join=b",",
        null=b"NULL",
        text=text,
        direct=(
            (STR, str, text),
            (INT, int, _integer),
            (FLOAT, float, _real_with_exponent),
            (BOOL | BOOL_INT, bool, _DIGITS),
            (BYTES, bytes, _literal_hex),
            (DATETIME, datetime, _in_quotes(_moment)),
            (DATE, date, _in_quotes(_day)),
        ),
    )


_QUOTES = _literals(_quoted)
_BACKSLASHES = _literals(_quoted_with_backslashes)


class _Unfit(Exception):
    """A value that is not what the binary format holds for its column."""


_EPOCH = datetime(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_DAY = date(2000, 1, 1)
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _unfit(value: Any) -> Any:
    raise _Unfit


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big", signed=True) + data


def _document(data: bytes) -> bytes:
    return _field(b"\1" + data)


def _framed(write: Writer, frame: Callable[[bytes], bytes]) -> Writer:
    def framed(value: Any) -> bytes | None:
        data = write(value)
        return None if data is None else frame(data)

    return framed


def _framed_text(convert: Converter, frame: Callable[[bytes], bytes]) -> Converter:
    """A converter whose text is framed."""

    def framed(value: Any) -> bytes | None:
        text = convert(value)
        if text is None:
            return None
        if isinstance(text, str):
            return frame(_without_nul(text))
        raise TypeError(f"a converter gives None or str, not {type(text).__name__}")

    return framed


_PACK_INT4, _PACK_INT8, _PACK_FLOAT8 = (Struct(f">i{code}").pack for code in "iqd")
_BYTES: Writer = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0"}.__getitem__


def _number(code: str) -> Writer:
    """Writes whole numbers of a size."""
    form = Struct(f">i{code}")
    size, pack = form.size - 4, form.pack
    limit = 1 << (8 * size - 1)
    return lambda value: pack(size, value) if -limit <= value < limit else None


_INT2, _INT4, _INT8 = map(_number, "hiq")


def _float8(value: float) -> bytes | None:
    return _PACK_FLOAT8(8, value) if isfinite(value) else None


def _float8_of_int(value: int) -> bytes | None:
    return _PACK_FLOAT8(8, value) if -(1 << 53) <= value <= 1 << 53 else None


def _timestamp(value: datetime) -> bytes | None:
    return _PACK_INT8(8, (value - _EPOCH) // _MICROSECOND) if value.tzinfo is None else _timestamptz(value)


def _timestamptz(value: datetime) -> bytes | None:
    offset = value.utcoffset()
    if offset is None:
        return None
    try:
        return _PACK_INT8(8, (value.replace(tzinfo=None) - offset - _EPOCH) // _MICROSECOND)
    except OverflowError:
        return None


def _date(value: date) -> bytes:
    return _PACK_INT4(4, (value - _FIRST_DAY).days)


def _uuid(value: UUID) -> bytes:
    return _field(value.int.to_bytes(16, "big"))


def _uuid_of_text(value: str) -> bytes | None:
    return _field(bytes.fromhex(value.replace("-", ""))) if _UUID.fullmatch(value) else None


def _hex(value: bytes) -> bytes:
    return rb"\x" + value.hex().encode()


def _texts(frame: Callable[[bytes], bytes]) -> Direct:
    """What COPY's text has for values, in a frame instead of escaped."""
    texts: Direct = ((STR, str, _without_nul), (BYTES, bytes, _hex), *_WORDS)
    return tuple((bit, kind, _framed(write, frame)) for bit, kind, write in texts)


_ALWAYS = -1  # a type that has no bit
_FRAMES = {AS_TEXT: _field, AS_JSONB: _document}
_BINARY: dict[int, Direct] = {
    **{wire: _texts(frame) for wire, frame in _FRAMES.items()},
    AS_INT2: ((INT, int, _INT2), (BOOL_INT, bool, _INT2)),
    AS_INT4: ((INT, int, _INT4), (BOOL_INT, bool, _INT4)),
    AS_INT8: ((INT, int, _INT8), (BOOL_INT, bool, _INT8)),
    AS_FLOAT8: ((INT, int, _float8_of_int), (FLOAT, float, _float8)),
    AS_BOOL: ((BOOL, bool, _BYTES),),
    AS_BYTEA: ((BYTES, bytes, _field),),
    AS_TIMESTAMP: ((DATETIME, datetime, _timestamp),),
    AS_TIMESTAMPTZ: ((DATETIME, datetime, _timestamptz),),
    AS_DATE: ((DATE, date, _date),),
    AS_UUID: ((STR, str, _uuid_of_text), (_ALWAYS, UUID, _uuid)),
}


_COPY_BINARY = Form(
    begin=b"",
    between=b"",
    end=b"",
    join=b"",
    null=b"\xff\xff\xff\xff",
    text=_without_nul,
    direct=(),
)


@lru_cache(maxsize=512)
def _writers(form: Form, wire: int | None, mask: int) -> dict[type, Writer]:
    """What writes the values of a column, by their exact types."""
    direct, null = form.direct if wire is None else _BINARY.get(wire, ()), form.null
    writers: dict[type, Writer] = {kind: write for bit, kind, write in direct if mask & bit or bit == _ALWAYS}
    writers[type(None)] = lambda value: null
    return writers


def _otherwise(wire: int | None, convert: Converter) -> Converter:
    """What is asked for values of all other types."""
    if wire is None:
        return convert
    return _framed_text(convert, _FRAMES[wire]) if wire in _FRAMES else _unfit


def _converted(value: Any, form: Form) -> bytes:
    """What a converter gave, as it is written."""
    if value is None:
        return form.null
    if isinstance(value, str):
        return form.text(value)
    if isinstance(value, bytes):
        return value
    raise TypeError(f"a converter gives None, str or bytes, not {type(value).__name__}")


def _picker(names: tuple[str, ...] | None, width: int, surplus: bool) -> Callable[[Any], tuple[Any, ...] | None]:
    """What gives the values of a record, or None for a record of another shape."""
    if names is None:
        return lambda record: tuple(record) if isinstance(record, (tuple, list)) and len(record) == width else None
    # itemgetter gives a tuple for two names or more.
    pick = itemgetter(*names) if width > 1 else None

    def values(record: Any) -> tuple[Any, ...] | None:
        if not isinstance(record, dict):
            return None
        if type(record) is not dict:
            record = dict(record)
        if len(record) != width and not surplus:
            return None
        try:
            return pick(record) if pick else tuple([record[name] for name in names])
        except KeyError:
            return None

    return values


def _encode(
    first: Any,
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    surplus: bool,
    forms: tuple[int, ...] | None,
    masks: tuple[int, ...],
    converters: tuple[Converter, ...],
    form: Form,
    max_rows: int,
    max_bytes: int,
    kept: list[Any] | None,
) -> Encoded:
    width = len(masks)
    if len(converters) != width or (names is not None and len(names) != width):
        raise ValueError("names, masks and converters differ in length")
    if forms is not None and len(forms) != width:
        raise ValueError("forms and masks differ in length")
    if max_rows < 1:
        return b"", 0, FULL, first
    pick = _picker(names, width, surplus)
    wires, begin = ((None,) * width, form.begin) if forms is None else (forms, width.to_bytes(2, "big"))
    columns = [
        (_writers(form, wire, mask), _otherwise(wire, convert))
        for wire, mask, convert in zip(wires, masks, converters, strict=True)
    ]
    written: list[bytes] = []
    size = 0
    for record in islice(rows if first is None else chain((first,), rows), max_rows):
        values = pick(record)
        if values is None:
            return form.join.join(written), len(written), OTHER, record
        fields: list[bytes] = []
        try:
            for value, (writers, convert) in zip(values, columns, strict=True):
                write = writers.get(type(value))
                field = None if write is None else write(value)
                fields.append(_converted(convert(value), form) if field is None else field)
        except _Unfit:
            return form.join.join(written), len(written), UNFIT, record
        except Exception as error:
            return form.join.join(written), len(written), FAULT, (record, len(fields), error)
        row = begin + form.between.join(fields) + form.end
        size += len(row) + (len(form.join) if written else 0)
        if size > max_bytes and written:
            return form.join.join(written), len(written), FULL, record
        written.append(row)
        if kept is not None:
            kept.append(record)
    status = FULL if len(written) == max_rows else END
    return form.join.join(written), len(written), status, None


def copy_rows(
    first: Any,
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    surplus: bool,
    masks: tuple[int, ...],
    converters: tuple[Converter, ...],
    max_rows: int,
    max_bytes: int,
    kept: list[Any] | None,
) -> Encoded:
    """The data of COPY FROM STDIN in text format for rows.

    https://www.postgresql.org/docs/current/sql-copy.html, Text Format; UTF-8. Text with a NUL is a fault, and a lone
    surrogate is.

    `first` is a record to take before those of the iterator `rows`, or None. A record is a dict whose keys are `names`,
    with `surplus` a dict that has them among others; where `names` is None, a tuple or list of a value for each column.
    Each record written is appended to `kept`, unless that is None.

    Gives (data, number of rows, status, detail). FULL: `max_rows` are written (None), or the next row would make the
    data longer than `max_bytes`, which only the first row may do (that record). END: no more records (None). OTHER: a
    record of another shape (that record). FAULT: a value that cannot be written, or a converter's error (record, column
    index, exception). Of the record in the detail nothing is in the data. What `rows` raises is raised.
    """
    return _encode(first, rows, names, surplus, None, masks, converters, _COPY, max_rows, max_bytes, kept)


def literal_rows(
    first: Any,
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    surplus: bool,
    masks: tuple[int, ...],
    converters: tuple[Converter, ...],
    backslashes: bool,
    max_rows: int,
    max_bytes: int,
    kept: list[Any] | None,
) -> Encoded:
    """What stands after VALUES in a multi-row INSERT of MySQL or MariaDB: rows in parentheses, joined by commas.

    https://mariadb.com/kb/en/string-literals/; UTF-8. With `backslashes` a backslash in a string is doubled, as it must
    be unless the session's sql_mode has NO_BACKSLASH_ESCAPES; a quote is doubled always. Floats have an exponent, so
    that the server does not read a decimal number. Arguments and result are those of `copy_rows`; NUL is no fault.
    """
    form = _BACKSLASHES if backslashes else _QUOTES
    return _encode(first, rows, names, surplus, None, masks, converters, form, max_rows, max_bytes, kept)


def binary_rows(
    first: Any,
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    surplus: bool,
    forms: tuple[int, ...],
    masks: tuple[int, ...],
    converters: tuple[Converter, ...],
    max_rows: int,
    max_bytes: int,
    kept: list[Any] | None,
) -> Encoded:
    """The rows of COPY FROM STDIN in binary format, without what stands before and behind them.

    https://www.postgresql.org/docs/current/sql-copy.html, Binary Format; a value is what the receive function of its
    column's type reads (src/backend/utils/adt). `forms` tell how: AS_TEXT and AS_JSONB hold what `copy_rows` writes, as
    UTF-8 and without its escapes; a converter gives None or str. All other forms ask no converter: they hold exact
    types of the mask alone, AS_INT2, AS_INT4 and AS_INT8 an int in their range or a bool, AS_FLOAT8 a finite float or
    an int up to 2**53, AS_BOOL a bool, AS_BYTEA bytes, AS_DATE a date, AS_TIMESTAMP a datetime, in UTC where it has a
    zone, AS_TIMESTAMPTZ one with a zone, AS_UUID a UUID, which needs no bit, or a str of its usual form.

    Arguments and result are those of `copy_rows`, with one more status. UNFIT: a value that is none of these for its
    column (that record); compiled, also dates where C cannot read their fields.
    """
    return _encode(first, rows, names, surplus, forms, masks, converters, _COPY_BINARY, max_rows, max_bytes, kept)
