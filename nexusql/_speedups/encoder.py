"""The encoders: rows as the text of PostgreSQL's COPY and as literals for MySQL. `_encoder_c.pyx` is their compiled twin."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from itertools import chain, islice
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple

from nexusql._speedups.codes import (
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
)

Converter = Callable[[Any], Any]
Writer = Callable[[Any], bytes | None]  # None: the converter is asked
Encoded = tuple[bytes, int, int, Any]


class Form(NamedTuple):
    """How values and rows are written."""

    begin: bytes
    between: bytes
    end: bytes
    join: bytes
    null: bytes
    text: Callable[[str], bytes]
    direct: tuple[tuple[int, type, Writer], ...]  # (bit of a mask, exact type, its writer); of two for a type the last


def _copy_text(text: str) -> bytes:
    data = str.encode(text)
    if b"\0" in data:
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")
    # Where there is nothing to replace, four questions cost less than four calls.
    if b"\\" in data or b"\t" in data or b"\n" in data or b"\r" in data:
        data = data.replace(b"\\", rb"\\").replace(b"\t", rb"\t").replace(b"\n", rb"\n").replace(b"\r", rb"\r")
    return data


def _quoted(text: str) -> bytes:
    return b"'%b'" % str.encode(text).replace(b"'", b"''")


def _quoted_with_backslashes(text: str) -> bytes:
    return b"'%b'" % str.encode(text).replace(b"\\", rb"\\").replace(b"'", b"''")


def _integer(value: int) -> bytes | None:
    return b"%d" % value if -(1 << 63) <= value < 1 << 63 else None


def _copy_float(value: float) -> bytes | None:
    return repr(value).encode() if isfinite(value) else None


def _literal_float(value: float) -> bytes | None:
    data = _copy_float(value)
    # Without an exponent MySQL reads a decimal number.
    return data if data is None or b"e" in data else data + b"e0"


def _copy_datetime(value: datetime) -> bytes | None:
    return value.isoformat(" ").encode() if value.tzinfo is None else None


def _literal_datetime(value: datetime) -> bytes | None:
    return b"'%b'" % value.isoformat(" ").encode() if value.tzinfo is None else None


def _copy_date(value: date) -> bytes:
    return str(value).encode()


def _literal_date(value: date) -> bytes:
    return b"'%b'" % str(value).encode()


def _copy_bytes(value: bytes) -> bytes:
    return rb"\\x" + value.hex().encode()


def _literal_bytes(value: bytes) -> bytes:
    return b"X'%b'" % value.hex().encode()


_LETTERS: Writer = {True: b"t", False: b"f"}.__getitem__
_DIGITS: Writer = {True: b"1", False: b"0"}.__getitem__

_COPY = Form(
    begin=b"",
    between=b"\t",
    end=b"\n",
    join=b"",
    null=rb"\N",
    text=_copy_text,
    direct=(
        (STR, str, _copy_text),
        (INT, int, _integer),
        (FLOAT, float, _copy_float),
        (BOOL_INT, bool, _DIGITS),
        (BOOL, bool, _LETTERS),
        (BYTES, bytes, _copy_bytes),
        (DATETIME, datetime, _copy_datetime),
        (DATE, date, _copy_date),
    ),
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
            (FLOAT, float, _literal_float),
            (BOOL | BOOL_INT, bool, _DIGITS),
            (BYTES, bytes, _literal_bytes),
            (DATETIME, datetime, _literal_datetime),
            (DATE, date, _literal_date),
        ),
    )


_QUOTES = _literals(_quoted)
_BACKSLASHES = _literals(_quoted_with_backslashes)


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
    if width == 1:
        name = names[0]
        pick: Callable[[Any], tuple[Any, ...]] = lambda record: (record[name],)
    else:
        pick = itemgetter(*names) if names else lambda record: ()

    def values(record: Any) -> tuple[Any, ...] | None:
        if not isinstance(record, dict):
            return None
        if type(record) is not dict:
            record = dict(record)
        if len(record) != width and not surplus:
            return None
        try:
            return pick(record)
        except KeyError:
            return None

    return values


def _encode(
    first: Any,
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    surplus: bool,
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
    if max_rows < 1:
        return b"", 0, FULL, first
    pick = _picker(names, width, surplus)
    null = form.null
    columns = []
    for mask, convert in zip(masks, converters, strict=True):
        writers: dict[type, Writer] = {kind: write for bit, kind, write in form.direct if mask & bit}
        writers[type(None)] = lambda value: null
        columns.append((writers, convert))
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
        except Exception as error:
            return form.join.join(written), len(written), FAULT, (record, len(fields), error)
        row = form.begin + form.between.join(fields) + form.end
        if written:
            size += len(form.join)
        size += len(row)
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
    """doc"""
    return _encode(first, rows, names, surplus, masks, converters, _COPY, max_rows, max_bytes, kept)


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
    """doc"""
    form = _BACKSLASHES if backslashes else _QUOTES
    return _encode(first, rows, names, surplus, masks, converters, form, max_rows, max_bytes, kept)
