"""binary_rows, compiled and interpreted: the bytes of each type of column, and what is left to COPY's text."""

import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from fuzzing import Zone
from nexusql._speedups import (
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

ALL = STR | INT | FLOAT | BOOL | BOOL_INT | BYTES | DATETIME | DATE
EVERYTHING = 10**9
NULL = b"\xff\xff\xff\xff"
FORMS = (
    *(AS_TEXT, AS_JSONB, AS_INT2, AS_INT4, AS_INT8, AS_FLOAT8),
    *(AS_BOOL, AS_BYTEA, AS_TIMESTAMP, AS_TIMESTAMPTZ, AS_DATE, AS_UUID),
)
EAST = timezone(timedelta(hours=5, minutes=30, seconds=1, microseconds=2))


class Whole(int):
    pass


def lost() -> timedelta:
    raise LookupError("no such zone")


def refuse(value: Any) -> Any:
    raise ValueError(f"{value!r} is refused")


def binary(
    encoder: ModuleType,
    rows: Any,
    forms: tuple[int, ...],
    converter: Callable[[Any], Any] = refuse,
    *,
    mask: int = ALL,
    names: tuple[str, ...] | None = None,
    first: Any = None,
    max_rows: int = EVERYTHING,
    max_bytes: int = EVERYTHING,
    kept: list[Any] | None = None,
) -> tuple[bytes, int, int, Any]:
    masks, converters = (mask,) * len(forms), (converter,) * len(forms)
    result: tuple[bytes, int, int, Any] = encoder.binary_rows(
        first, iter(rows), names, False, forms, masks, converters, max_rows, max_bytes, kept
    )
    return result


def field(encoder: ModuleType, form: int, value: Any, **more: Any) -> bytes | None:
    """The data of one field, without its length; None where the value does not fit."""
    data, count, status, detail = binary(encoder, [(value,)], (form,), **more)
    if status == UNFIT:
        assert (data, count, detail) == (b"", 0, (value,))
        return None
    assert (count, status, detail) == (1, END, None)
    assert data[:2] == b"\0\1"
    assert int.from_bytes(data[2:6], "big") == len(data) - 6
    return data[6:]


MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(2000, 1, 1)
SMALLEST, LARGEST = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
WRITTEN: list[tuple[int, Any, str]] = [
    (AS_TEXT, "", ""),
    (AS_TEXT, "a\tb\n\\N\r'", "610962 0a5c4e 0d27"),
    (AS_TEXT, "é名\U0001f600", "c3a9 e5908d f09f9880"),
    (AS_TEXT, -(2**63), b"-9223372036854775808".hex()),
    (AS_TEXT, 0.1, b"0.1".hex()),
    (AS_TEXT, datetime(2026, 7, 8, 9, 10, 11, 12), b"2026-07-08 09:10:11.000012".hex()),
    (AS_TEXT, date(1, 1, 1), b"0001-01-01".hex()),
    (AS_TEXT, True, b"t".hex()),
    (AS_TEXT, b"\0\xff", rb"\x00ff".hex()),
    (AS_JSONB, "", "01"),
    (AS_JSONB, '{"a": "\\n"}', "01" + rb'{"a": "\n"}'.hex()),
    (AS_JSONB, 15, "01 3135"),
    (AS_INT2, 2**15 - 1, "7fff"),
    (AS_INT2, -(2**15), "8000"),
    (AS_INT4, -1, "ffffffff"),
    (AS_INT4, -(2**31), "80000000"),
    (AS_INT8, 2**63 - 1, "7fffffffffffffff"),
    (AS_INT8, -(2**63), "8000000000000000"),
    (AS_INT8, 258, "0000000000000102"),
    (AS_INT2, True, "0001"),
    (AS_INT8, False, "0000000000000000"),
    (AS_FLOAT8, 0.0, "0000000000000000"),
    (AS_FLOAT8, -0.0, "8000000000000000"),
    (AS_FLOAT8, 1.5, "3ff8000000000000"),
    (AS_FLOAT8, 5e-324, "0000000000000001"),
    (AS_FLOAT8, 1.7976931348623157e308, "7fefffffffffffff"),
    (AS_FLOAT8, 3, "4008000000000000"),
    (AS_FLOAT8, -(2**53), "c340000000000000"),
    (AS_BOOL, True, "01"),
    (AS_BOOL, False, "00"),
    (AS_BYTEA, b"", ""),
    (AS_BYTEA, b"\0\\x\xff", "005c78ff"),
    (AS_TIMESTAMP, EPOCH, "0000000000000000"),
    (AS_TIMESTAMP, datetime(1999, 12, 31, 23, 59, 59, 999_999), "ffffffffffffffff"),
    (AS_TIMESTAMP, datetime(2000, 1, 1, 1, 0, 1, 1, fold=1), "00000000d6a2e641"),
    (AS_TIMESTAMP, datetime(2000, 1, 1, 5, 30, 1, 3, EAST), "0000000000000001"),
    (AS_TIMESTAMPTZ, datetime(2000, 1, 1, tzinfo=timezone.utc), "0000000000000000"),
    (AS_TIMESTAMPTZ, datetime(2000, 1, 1, 5, 30, 1, 1, EAST), "ffffffffffffffff"),
    (AS_DATE, date(2000, 1, 1), "00000000"),
    (AS_DATE, date(1999, 12, 31), "ffffffff"),
    (AS_DATE, date(2000, 3, 1), "0000003c"),
    (AS_UUID, UUID(int=258), "00" * 14 + "0102"),
    (AS_UUID, UUID(int=2**128 - 1), "ff" * 16),
    (AS_UUID, "0123456F-89ab-CDEF-0123-456789abcdef", "0123456f89abcdef0123456789abcdef"),
]


@pytest.mark.parametrize(("form", "value", "data"), WRITTEN, ids=lambda part: repr(part)[:40])
def test_a_value_is_written_for_its_column(encoder: ModuleType, form: int, value: Any, data: str) -> None:
    assert field(encoder, form, value) == bytes.fromhex(data)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_the_same_for_every_column(encoder: ModuleType, form: int) -> None:
    assert binary(encoder, [(None,)], (form,), mask=0) == (b"\0\1" + NULL, 1, END, None)


def test_every_day_and_second_has_its_number(encoder: ModuleType) -> None:
    days = [date.fromordinal(n) for n in range(1, date.max.toordinal() + 1, 97)]
    days += [
        date(year, month, day) for year in range(1, 10_000, 33) for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
    ]
    days += [date(year, 2, 29) for year in (4, 1600, 1996, 2000, 2004, 2024, 9996)]
    rows = [(day, datetime(day.year, day.month, day.day, day.day % 24, 59, day.month, 999_999)) for day in days]
    rows.append((date.max, datetime.max))
    expected = b"".join(
        struct.pack(">hiiiq", 2, 4, (day - EPOCH.date()).days, 8, (moment - EPOCH) // MICROSECOND)
        for day, moment in rows
    )
    assert binary(encoder, rows, (AS_DATE, AS_TIMESTAMP)) == (expected, len(rows), END, None)


# What no column of these forms holds, or what it would hold by another rule than its own.
LEFT: list[tuple[int, Any]] = [
    *(
        (form, value)
        for form in (AS_INT2, AS_INT4, AS_INT8)
        for value in ("1", 1.0, b"1", Whole(1), 2**63, -(2**63) - 1)
    ),
    *((AS_INT2, value) for value in (2**15, -(2**15) - 1)),
    *((AS_INT4, value) for value in (2**31, -(2**31) - 1)),
    *((AS_FLOAT8, value) for value in (float("nan"), float("inf"), float("-inf"), 2**53 + 1, -(2**53) - 1, 10**400)),
    *((AS_FLOAT8, value) for value in (True, "1.5")),
    *((AS_BOOL, value) for value in (1, 0, "t", 1.0)),
    *((AS_BYTEA, value) for value in ("ab", bytearray(b"ab"), memoryview(b"ab"))),
    *((form, value) for form in (AS_TIMESTAMP, AS_TIMESTAMPTZ) for value in (date(2020, 1, 2), "2020-01-02", 0)),
    *((form, EPOCH.replace(tzinfo=Zone(lambda: None))) for form in (AS_TIMESTAMP, AS_TIMESTAMPTZ)),
    (AS_TIMESTAMPTZ, EPOCH),
    (AS_TIMESTAMPTZ, datetime.min.replace(tzinfo=EAST)),
    (AS_TIMESTAMP, datetime.max.replace(tzinfo=timezone(timedelta(microseconds=-1)))),
    *((AS_DATE, value) for value in (EPOCH, "2000-01-01", 0)),
    *(
        (AS_UUID, value)
        for value in ("", UUID(int=5).hex, f"{{{UUID(int=5)}}}", "g" + str(UUID(int=5))[1:], 5, b"x" * 16)
    ),
    *((AS_UUID, value) for value in ("é" * 36, "\ud800" * 36, "0123456f089ab0cdef001230456789abcdef", "-" * 36)),
]


@pytest.mark.parametrize(("form", "value"), LEFT, ids=lambda part: repr(part)[:40].partition(" at 0x")[0])
def test_a_value_of_another_kind_is_left(encoder: ModuleType, form: int, value: Any) -> None:
    assert field(encoder, form, value) is None


@pytest.mark.parametrize("value", [SMALLEST, LARGEST], ids=str)
def test_the_first_and_the_last_moment_are_written(encoder: ModuleType, value: datetime) -> None:
    number = (value.replace(tzinfo=None) - EPOCH) // MICROSECOND
    for form in (AS_TIMESTAMP, AS_TIMESTAMPTZ):
        for moment in (value, value.replace(tzinfo=timezone(timedelta(0), "zero"))):
            assert field(encoder, form, moment) == number.to_bytes(8, "big", signed=True)


@pytest.mark.parametrize(
    ("form", "value", "bit"),
    [
        (AS_INT2, 1, INT),
        (AS_INT4, 1, INT),
        (AS_INT8, True, BOOL_INT),
        (AS_FLOAT8, 1.5, FLOAT),
        (AS_FLOAT8, 1, INT),
        (AS_BOOL, True, BOOL),
        (AS_BYTEA, b"x", BYTES),
        (AS_TIMESTAMP, EPOCH, DATETIME),
        (AS_TIMESTAMPTZ, EPOCH.replace(tzinfo=EAST), DATETIME),
        (AS_TIMESTAMPTZ, EPOCH.replace(tzinfo=timezone.utc), DATETIME),
        (AS_DATE, date(2000, 1, 1), DATE),
        (AS_UUID, str(UUID(int=5)), STR),
    ],
)
def test_a_type_that_the_mask_leaves_out_is_left(encoder: ModuleType, form: int, value: Any, bit: int) -> None:
    assert field(encoder, form, value, mask=ALL & ~bit) is None
    assert field(encoder, form, value, mask=bit) is not None


def test_a_uuid_needs_no_bit(encoder: ModuleType) -> None:
    assert field(encoder, AS_UUID, UUID(int=5), mask=0) == UUID(int=5).bytes


def test_a_converter_is_asked_for_text_and_documents(encoder: ModuleType) -> None:
    assert field(encoder, AS_TEXT, {"a": 1}, converter=str) == b"{'a': 1}"
    assert field(encoder, AS_JSONB, [1], converter=str) == b"\1[1]"
    assert field(encoder, AS_TEXT, "x", converter=ascii, mask=0) == b"'x'"
    assert field(encoder, AS_TEXT, 10**40, converter=str) == b"1" + b"0" * 40
    for form in (AS_TEXT, AS_JSONB):
        assert binary(encoder, [([],)], (form,), lambda value: None) == (b"\0\1" + NULL, 1, END, None)


@pytest.mark.parametrize("given", [b"x", 7, ["x"]], ids=repr)
def test_a_converter_that_gives_no_text_is_a_fault(encoder: ModuleType, given: Any) -> None:
    data, count, status, (record, column, error) = binary(encoder, [(1, [])], (AS_INT4, AS_TEXT), lambda value: given)
    assert (data, count, status, record, column, type(error)) == (b"", 0, FAULT, (1, []), 1, TypeError)
    assert str(error) == f"a converter gives None or str, not {type(given).__name__}"


@pytest.mark.parametrize("form", [AS_TEXT, AS_JSONB])
@pytest.mark.parametrize(("text", "kind"), [("a\0b", ValueError), ("\ud800", UnicodeEncodeError)])
def test_text_that_the_server_cannot_hold_is_the_fault_that_it_is_in_text(
    encoder: ModuleType, form: int, text: str, kind: type[Exception]
) -> None:
    for value, converter in ((text, refuse), ([], lambda value: text)):
        found = binary(encoder, [(1, 2), (3, value)], (AS_INT4, form), converter)
        expected = encoder.copy_rows(
            None, iter([(1, 2), (3, value)]), None, False, (ALL, ALL), (converter,) * 2, 9, 999, None
        )
        assert found[1:3] == expected[1:3] == (1, FAULT)
        assert found[3][:2] == expected[3][:2] == ((3, value), 1)
        assert type(found[3][2]) is type(expected[3][2]) is kind
        assert found[3][2].args == expected[3][2].args


def test_a_zone_that_raises_is_a_fault(encoder: ModuleType) -> None:
    row = (1, EPOCH.replace(tzinfo=Zone(lost)))
    _, count, status, (record, column, error) = binary(encoder, [row], (AS_INT4, AS_TIMESTAMPTZ))
    assert (count, status, record, column, repr(error)) == (0, FAULT, row, 1, "LookupError('no such zone')")


def test_what_comes_before_a_value_that_is_left_stays(encoder: ModuleType) -> None:
    rows = iter([(1, "a"), (2, "b"), ("3", "c"), (4, "d")])
    kept: list[Any] = []
    data, count, status, detail = binary(encoder, rows, (AS_INT2, AS_TEXT), kept=kept)
    assert data == b"\0\2\0\0\0\2\0\1\0\0\0\1a\0\2\0\0\0\2\0\2\0\0\0\1b"
    assert (count, status, detail) == (2, UNFIT, ("3", "c"))
    assert kept == [(1, "a"), (2, "b")]
    assert next(rows) == (4, "d")


def test_the_first_column_that_is_wrong_decides(encoder: ModuleType) -> None:
    assert binary(encoder, [("1", "\0")], (AS_INT2, AS_TEXT))[2] == UNFIT
    assert binary(encoder, [("\0", "1")], (AS_TEXT, AS_INT2))[2] == FAULT


def test_limits_and_shapes_are_those_of_text(encoder: ModuleType) -> None:
    rows = [{"a": 1, "b": "x"}, {"b": "y", "a": 2}, {"a": 3, "b": "z"}, {"a": 4}]
    forms, names = (AS_INT2, AS_TEXT), ("a", "b")
    row = 2 + 4 + 2 + 4 + 1
    assert binary(encoder, rows, forms, names=names)[1:] == (3, OTHER, {"a": 4})
    assert binary(encoder, rows, forms, names=names, max_rows=2)[1:] == (2, FULL, None)
    assert binary(encoder, rows[1:], forms, names=names, first=rows[0], max_rows=2)[1:] == (2, FULL, None)
    assert binary(encoder, rows, forms, names=names, max_bytes=2 * row)[1:] == (2, FULL, rows[2])
    assert binary(encoder, rows, forms, names=names, max_bytes=2 * row - 1)[1:] == (1, FULL, rows[1])
    assert binary(encoder, rows, forms, names=names, max_bytes=0)[1:] == (1, FULL, rows[1])
    assert binary(encoder, [], forms, names=names, first=rows[0], max_rows=0) == (b"", 0, FULL, rows[0])
    assert binary(encoder, [()], ()) == (b"\0\0", 1, END, None)


def test_arguments_of_different_length_are_refused(encoder: ModuleType) -> None:
    with pytest.raises(ValueError, match="forms and masks differ in length"):
        encoder.binary_rows(None, iter([]), None, False, (AS_TEXT,), (ALL, ALL), (str, str), 9, 9, None)
    with pytest.raises(ValueError, match="names, masks and converters differ in length"):
        encoder.binary_rows(None, iter([]), None, False, (AS_TEXT,), (ALL,), (), 9, 9, None)


def test_python_code_that_runs_within_may_change_the_record(encoder: ModuleType) -> None:
    """Each row is written as it was when its turn came."""

    def clear() -> timedelta:
        current.clear()
        return timedelta(0)

    current: list[Any] = []
    zone = Zone(clear)

    def rows() -> Any:
        for number in range(3):
            current[:] = [datetime(2000, 1, 1, 0, 0, 0, number, zone), f"text {number}" * 10, UUID(int=number)]
            yield current

    data, count, status, _ = binary(encoder, rows(), (AS_TIMESTAMPTZ, AS_TEXT, AS_UUID))
    assert (count, status) == (3, END)
    assert data == b"".join(
        b"\0\3\0\0\0\x08"
        + bytes(7)
        + bytes([n])
        + b"\0\0\0\x3c"
        + b"text %d" % n * 10
        + b"\0\0\0\x10"
        + UUID(int=n).bytes
        for n in range(3)
    )
