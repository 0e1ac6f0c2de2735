"""The encoders and flat_rows, compiled and interpreted: what they write, where they stop, and what they give back."""

import os
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import nexusql
from nexusql._speedups import (
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
from readings import implementation

ALL = STR | INT | FLOAT | BOOL | BYTES | DATETIME | DATE
NUL = "A string literal cannot contain NUL (0x00) characters."
EVERYTHING = 10**9


class Text(str):
    pass


class Number(int):
    pass


class Pair(NamedTuple):
    a: Any
    b: Any


def shown(value: Any) -> str:
    """A converter that tells that it was asked."""
    return f"<{value!r}>"


def refuse(value: Any) -> Any:
    raise ValueError(f"{value!r} is refused")


class Writing:
    """The encoders of one build, with arguments that most tests do not care about."""

    def __init__(self, encoder: ModuleType) -> None:
        self.encoder = encoder

    def copy(
        self,
        rows: Any,
        names: tuple[str, ...] | None = None,
        masks: tuple[int, ...] = (ALL, ALL),
        converter: Callable[[Any], Any] = shown,
        *,
        first: Any = None,
        surplus: bool = False,
        max_rows: int = EVERYTHING,
        max_bytes: int = EVERYTHING,
        kept: list[Any] | None = None,
    ) -> tuple[bytes, int, int, Any]:
        converters = (converter,) * len(masks)
        result: tuple[bytes, int, int, Any] = self.encoder.copy_rows(
            first, iter(rows), names, surplus, masks, converters, max_rows, max_bytes, kept
        )
        return result

    def literals(
        self,
        rows: Any,
        masks: tuple[int, ...] = (ALL, ALL),
        converter: Callable[[Any], Any] = shown,
        *,
        backslashes: bool = True,
        max_bytes: int = EVERYTHING,
    ) -> tuple[bytes, int, int, Any]:
        converters = (converter,) * len(masks)
        result: tuple[bytes, int, int, Any] = self.encoder.literal_rows(
            None, iter(rows), None, False, masks, converters, backslashes, EVERYTHING, max_bytes, None
        )
        return result

    def copied(self, value: Any, mask: int = ALL, converter: Callable[[Any], Any] = shown) -> bytes:
        """One value as COPY's text."""
        data, count, status, detail = self.copy([(value,)], None, (mask,), converter)
        assert (count, status, detail) == (1, END, None)
        assert data[-1:] == b"\n"
        return data[:-1]

    def literal(
        self, value: Any, mask: int = ALL, converter: Callable[[Any], Any] = shown, *, backslashes: bool = True
    ) -> bytes:
        """One value as a literal."""
        data, count, status, detail = self.literals([(value,)], (mask,), converter, backslashes=backslashes)
        assert (count, status, detail) == (1, END, None)
        assert (data[:1], data[-1:]) == (b"(", b")")
        return data[1:-1]


@pytest.fixture
def writing(encoder: ModuleType) -> Writing:
    return Writing(encoder)


# (value, as COPY's text, as a literal)
WRITTEN: list[tuple[Any, bytes, bytes]] = [
    (None, rb"\N", b"NULL"),
    ("", b"", b"''"),
    ("it's", b"it's", b"'it''s'"),
    ("''", b"''", b"''''''"),
    (r"\N", rb"\\N", rb"'\\N'"),
    (r"\.", rb"\\.", rb"'\\.'"),
    ("NULL", b"NULL", b"'NULL'"),
    ("a\tb\nc\rd\\", rb"a\tb\nc\rd" + b"\\\\", b"'a\tb\nc\rd\\\\'"),
    ("\x01\x08\x0b\x0c\x1a\x7f", b"\x01\x08\x0b\x0c\x1a\x7f", b"'\x01\x08\x0b\x0c\x1a\x7f'"),
    ("é名\U0001f600", "é名\U0001f600".encode(), "'é名\U0001f600'".encode()),
    ("x" * 1000 + "\\", b"x" * 1000 + b"\\\\", b"'" + b"x" * 1000 + b"\\\\'"),
    (0, b"0", b"0"),
    (-7, b"-7", b"-7"),
    (1234567890, b"1234567890", b"1234567890"),
    (2**63 - 1, b"9223372036854775807", b"9223372036854775807"),
    (-(2**63), b"-9223372036854775808", b"-9223372036854775808"),
    (0.0, b"0.0", b"0.0e0"),
    (-0.0, b"-0.0", b"-0.0e0"),
    (0.1, b"0.1", b"0.1e0"),
    (1e22, b"1e+22", b"1e+22"),
    (1.5e-7, b"1.5e-07", b"1.5e-07"),
    (5e-324, b"5e-324", b"5e-324"),
    (1.7976931348623157e308, b"1.7976931348623157e+308", b"1.7976931348623157e+308"),
    (True, b"t", b"1"),
    (False, b"f", b"0"),
    (b"", rb"\\x", b"X''"),
    (b"\x00'\\\xff", rb"\\x00275cff", b"X'00275cff'"),
    (datetime.min, b"0001-01-01 00:00:00", b"'0001-01-01 00:00:00'"),
    (datetime.max, b"9999-12-31 23:59:59.999999", b"'9999-12-31 23:59:59.999999'"),
    (datetime(2026, 7, 8, 9, 10, 11, 12), b"2026-07-08 09:10:11.000012", b"'2026-07-08 09:10:11.000012'"),
    (datetime(2026, 7, 8, 9, 10, 11, fold=1), b"2026-07-08 09:10:11", b"'2026-07-08 09:10:11'"),
    (date.min, b"0001-01-01", b"'0001-01-01'"),
    (date.max, b"9999-12-31", b"'9999-12-31'"),
]


@pytest.mark.parametrize(("value", "copied", "literal"), WRITTEN, ids=[repr(value)[:40] for value, *_ in WRITTEN])
def test_a_value_is_written_by_its_exact_type(writing: Writing, value: Any, copied: bytes, literal: bytes) -> None:
    assert writing.copied(value) == copied
    assert writing.literal(value) == literal


def test_backslashes_stay_single_where_the_session_reads_them_so(writing: Writing) -> None:
    assert writing.literal("\\'", backslashes=False) == rb"'\'''"
    assert writing.literal("\\'", backslashes=True) == rb"'\\'''"


def test_booleans_are_words_or_digits_as_the_mask_says(writing: Writing) -> None:
    assert [writing.copied(value, BOOL) for value in (True, False)] == [b"t", b"f"]
    assert [writing.copied(value, BOOL_INT) for value in (True, False)] == [b"1", b"0"]
    assert writing.copied(True, BOOL | BOOL_INT) == b"t"
    assert [writing.literal(True, mask) for mask in (BOOL, BOOL_INT)] == [b"1", b"1"]


ASKED: list[Any] = [
    2**63,
    -(2**63) - 1,
    10**40,
    float("nan"),
    float("inf"),
    float("-inf"),
    Text("x"),
    Number(1),
    Decimal(1),
    datetime(2026, 1, 1, tzinfo=timezone.utc),
    [1],
    bytearray(b"x"),
]


@pytest.mark.parametrize("value", ASKED, ids=repr)
def test_a_converter_is_asked_for_any_other_value(writing: Writing, value: Any) -> None:
    assert writing.copied(value) == shown(value).encode()
    assert writing.literal(value) == b"'" + shown(value).replace("'", "''").encode() + b"'"


@pytest.mark.parametrize("value", ["x", 1, 1.5, True, b"x", datetime(2026, 1, 1), date(2026, 1, 1)], ids=repr)
def test_a_converter_is_asked_where_the_mask_leaves_a_type_out(writing: Writing, value: Any) -> None:
    bit = {str: STR, int: INT, float: FLOAT, bool: BOOL, bytes: BYTES, datetime: DATETIME, date: DATE}[type(value)]
    assert writing.copied(value, ALL & ~bit, shown) == shown(value).encode()
    assert writing.copied(value, bit, refuse)
    assert writing.literal(value, bit, refuse)
    assert writing.copied(None, 0, refuse) == rb"\N"


def test_a_converter_gives_null_text_or_bytes(writing: Writing) -> None:
    assert writing.copied([], 0, lambda value: None) == rb"\N"
    assert writing.literal([], 0, lambda value: None) == b"NULL"
    assert writing.copied([], 0, lambda value: Text("a\\'\t")) == rb"a\\'\t"
    assert writing.literal([], 0, lambda value: Text("a\\'")) == rb"'a\\'''"
    assert writing.copied([], 0, lambda value: b"\\'\t") == b"\\'\t"
    assert writing.literal([], 0, lambda value: b"NOW()") == b"NOW()"


@pytest.mark.parametrize("given", [7, 1.5, bytearray(b"x"), ["x"], object()], ids=lambda given: type(given).__name__)
def test_a_converter_that_gives_anything_else_is_a_fault(writing: Writing, given: Any) -> None:
    for data, count, status, detail in (
        writing.copy([("a", "b"), ("c", [])], converter=lambda value: given),
        writing.literals([("a", "b"), ("c", [])], converter=lambda value: given),
    ):
        assert (data, count, status) == (data, 1, FAULT)
        record, column, error = detail
        assert (record, column, type(error)) == (("c", []), 1, TypeError)
        assert str(error) == f"a converter gives None, str or bytes, not {type(given).__name__}"


def test_a_fault_names_record_column_and_error_and_leaves_the_rows_before(writing: Writing) -> None:
    kept: list[Any] = []
    rows = [(1, 2), (3, {4}), (5, 6)]
    data, count, status, (record, column, error) = writing.copy(rows, converter=refuse, kept=kept)
    assert (data, count, status) == (b"1\t2\n", 1, FAULT)
    assert record is rows[1]
    assert (column, str(error)) == (1, "{4} is refused")
    assert kept == [(1, 2)]
    assert writing.literals(rows, converter=refuse)[:3] == (b"(1,2)", 1, FAULT)


@pytest.mark.parametrize(("text", "kind"), [("a\0b", ValueError), ("a\ud800b", UnicodeEncodeError)])
def test_text_that_the_server_cannot_hold_is_a_fault(writing: Writing, text: str, kind: type[Exception]) -> None:
    rows: list[tuple[Any, Any]] = [(1, text), (1, [])]
    for row in rows:
        _, count, status, (record, column, error) = writing.copy([row], converter=lambda value: text)
        assert (count, status, record, column, type(error)) == (0, FAULT, row, 1, kind)
    if kind is ValueError:
        assert str(error) == NUL
        assert writing.literal(text) == b"'a\0b'"
    else:
        assert writing.literals([(1, text)])[2] == FAULT


def test_what_is_no_exception_of_a_value_is_raised(writing: Writing) -> None:
    def interrupt(value: Any) -> Any:
        raise KeyboardInterrupt

    def rows() -> Iterator[Any]:
        yield (1, 2)
        raise OSError("the file has gone")

    with pytest.raises(KeyboardInterrupt):
        writing.copy([(1, [])], converter=interrupt)
    with pytest.raises(OSError, match="the file has gone"):
        writing.copy(rows())


RECORDS: list[tuple[str, Any]] = [
    ("in order", {"a": 1, "b": "x"}),
    ("in another order", {"b": "x", "a": 1}),
    ("with keys that are equal only", {"".join(["a", ""]): 1, "".join(["b", ""]): "x"}),
    ("an OrderedDict", OrderedDict([("b", "x"), ("a", 1)])),
    ("a defaultdict", defaultdict(int, a=1, b="x")),
]


@pytest.mark.parametrize(("what", "record"), RECORDS, ids=[what for what, _ in RECORDS])
def test_a_dict_is_written_in_column_order(writing: Writing, what: str, record: Any) -> None:
    assert writing.copy([record], ("a", "b")) == (b"1\tx\n", 1, END, None)
    assert writing.copy([record], ("b", "a")) == (b"x\t1\n", 1, END, None)
    assert writing.copy([record], ("b",), (ALL,), surplus=True) == (b"x\n", 1, END, None)


SHAPES: list[tuple[bool, Any]] = [
    (False, {"a": 1}),
    (False, {"a": 1, "c": 2}),
    (False, {"a": 1, "b": 2, "c": 3}),
    (True, {"a": 1, "c": 2, "d": 3}),
    (False, defaultdict(int, a=1)),
    (True, defaultdict(int, a=1, c=2)),
    (False, ("a", "b")),
    (False, None),
    (False, "ab"),
]


@pytest.mark.parametrize(("surplus", "record"), SHAPES, ids=repr)
def test_a_record_of_another_shape_is_given_back_untouched(writing: Writing, surplus: bool, record: Any) -> None:
    before = repr(record)
    rows = [{"a": 1, "b": 2}, record, {"a": 3, "b": 4}]
    data, count, status, detail = writing.copy(rows, ("a", "b"), converter=refuse, surplus=surplus)
    assert (data, count, status) == (b"1\t2\n", 1, OTHER)
    assert detail is record
    assert repr(record) == before


@pytest.mark.parametrize("record", [(1,), (1, 2, 3), [1], {"a": 1, "b": 2}, "ab", None], ids=repr)
def test_a_sequence_of_another_length_is_given_back(writing: Writing, record: Any) -> None:
    assert writing.copy([(1, 2), [3, 4], Pair(5, 6), record]) == (b"1\t2\n3\t4\n5\t6\n", 3, OTHER, record)


def test_a_record_without_columns_is_an_empty_row(writing: Writing) -> None:
    assert writing.copy([{}, {}], (), ()) == (b"\n\n", 2, END, None)
    assert writing.literals([(), []], ()) == (b"(),()", 2, END, None)
    assert writing.literals([], ()) == (b"", 0, END, None)


def test_rows_of_literals_are_joined_by_commas(writing: Writing) -> None:
    assert writing.literals([(1, "a"), (None, "b'")]) == (b"(1,'a'),(NULL,'b''')", 2, END, None)


def test_max_rows_ends_a_call_and_takes_no_record_more(writing: Writing) -> None:
    rows = iter([(1, 2), (3, 4), (5, 6), (7, 8)])
    kept: list[Any] = []
    assert writing.copy(rows, max_rows=2, kept=kept) == (b"1\t2\n3\t4\n", 2, FULL, None)
    assert kept == [(1, 2), (3, 4)]
    assert next(rows) == (5, 6)
    assert writing.copy(rows, first=(5, 6), max_rows=2) == (b"5\t6\n7\t8\n", 2, FULL, None)
    assert writing.copy(rows, max_rows=2) == (b"", 0, END, None)
    assert writing.copy(iter([(3, 4)]), first=(1, 2), max_rows=0) == (b"", 0, FULL, (1, 2))


@pytest.mark.parametrize(
    ("max_bytes", "count"), [(0, 1), (5, 1), (6, 1), (11, 1), (12, 2), (13, 2), (17, 2), (18, 3), (100, 3)]
)
def test_max_bytes_ends_a_call_before_the_row_that_exceeds_it(writing: Writing, max_bytes: int, count: int) -> None:
    rows = [("a", 1.5), ("b", 2.5), ("c", 3.5)]  # of 6 bytes each
    kept: list[Any] = []
    data, written, status, detail = writing.copy(rows, max_bytes=max_bytes, kept=kept)
    assert (len(data), written) == (6 * count, count)
    assert (status, detail) == ((END, None) if count == 3 else (FULL, rows[count]))
    assert kept == rows[:count]


@pytest.mark.parametrize(("max_bytes", "count"), [(0, 1), (10, 1), (11, 2), (15, 2), (16, 2), (17, 3)])
def test_the_comma_between_rows_counts(writing: Writing, max_bytes: int, count: int) -> None:
    rows = [(1, 2), (3, 4), (5, 6)]  # of 5 bytes each
    data, written, status, detail = writing.literals(rows, max_bytes=max_bytes)
    assert (len(data), written) == (6 * count - 1, count)
    assert (status, detail) == ((END, None) if count == 3 else (FULL, rows[count]))


def test_calls_that_follow_each_other_write_what_one_writes(writing: Writing) -> None:
    rows = [(number, "x" * (number % 7)) for number in range(100)]
    source, first, parts = iter(rows), None, []
    status = FULL
    while status == FULL:
        data, _, status, first = writing.copy(source, first=first, max_bytes=50, max_rows=9)
        assert len(data) <= 50
        parts.append(data)
    assert b"".join(parts) == writing.copy(rows)[0]
    assert len(parts) > 10


def test_a_converter_may_change_the_record_and_the_list_of_kept_ones(writing: Writing) -> None:
    """Each row is written as it was when its turn came."""
    kept: list[Any] = []

    def records() -> Iterator[dict[str, Any]]:
        for number in range(3):
            # Nobody but the encoder holds the values.
            yield {"a": [number], "b": f"text {number}" * 10}

    def clear(value: Any) -> str:
        current.clear()
        kept.clear()
        return "cleared"

    for make in (lambda record: record, lambda record: list(record.values())):
        current: Any = None

        def rows(make: Callable[[Any], Any] = make) -> Iterator[Any]:
            nonlocal current
            for record in records():
                current = make(record)
                yield current

        names = ("a", "b") if make({"a": 1}) == {"a": 1} else None
        data, count, status, _ = writing.copy(rows(), names, converter=clear, kept=kept)
        assert (count, status) == (3, END)
        assert data == b"".join(b"cleared\t" + f"text {number}".encode() * 10 + b"\n" for number in range(3))
        assert len(kept) == 1


def test_a_converter_may_call_the_encoder(writing: Writing) -> None:
    data, *_ = writing.copy([(1, [2])], converter=lambda value: writing.copied(value[0]).decode() * 2)
    assert data == b"1\t22\n"


def test_arguments_of_different_length_are_refused(writing: Writing) -> None:
    with pytest.raises(ValueError, match="differ in length"):
        writing.copy([], ("a",), (ALL, ALL))
    with pytest.raises(ValueError, match="differ in length"):
        writing.encoder.copy_rows(None, iter([(1,)]), None, False, (ALL,), (), 9, 9, None)


ADAPTERS: dict[type, Any] = {int: None, str: None, bool: int, list: str}


def flat(binder: ModuleType, rows: Any, names: tuple[str, ...] | None = None, **more: Any) -> Any:
    arguments = {"first": None, "width": 2, "surplus": False, "max_rows": EVERYTHING, "kept": None, **more}
    return binder.flat_rows(rows=iter(rows), names=names, adapters=ADAPTERS, otherwise=refuse, **arguments)


def test_flat_rows_are_the_bound_values_of_all_rows(binder: ModuleType) -> None:
    kept: list[Any] = []
    rows = [(1, "a"), [True, [2]], Pair("b", 3)]
    assert flat(binder, rows, kept=kept) == ([1, "a", 1, "[2]", "b", 3], 3, END, None)
    assert kept == rows
    records = [record for _, record in RECORDS]
    assert flat(binder, records, ("b", "a"), first={"a": True, "b": "y"}) == (["y", 1, *["x", 1] * 5], 6, END, None)
    assert flat(binder, [{"a": 1, "z": 2}], ("a",), width=1, surplus=True) == ([1], 1, END, None)
    assert flat(binder, [{}, {}], (), width=0) == ([], 2, END, None)


def test_flat_rows_stop_at_their_limit(binder: ModuleType) -> None:
    rows = iter([(1, 2), (3, 4), (5, 6)])
    assert flat(binder, rows, max_rows=2) == ([1, 2, 3, 4], 2, FULL, None)
    assert flat(binder, rows, max_rows=2) == ([5, 6], 1, END, None)
    assert flat(binder, rows, first=(1, 2), max_rows=0) == ([], 0, FULL, (1, 2))


@pytest.mark.parametrize(("surplus", "record"), SHAPES, ids=repr)
def test_flat_rows_give_back_a_record_of_another_shape(binder: ModuleType, surplus: bool, record: Any) -> None:
    values, count, status, detail = flat(binder, [{"a": 1, "b": 2}, record], ("a", "b"), surplus=surplus)
    assert (values, count, status) == ([1, 2], 1, OTHER)
    assert detail is record
    assert flat(binder, [(1, 2), (3,)]) == ([1, 2], 1, OTHER, (3,))


@pytest.mark.parametrize("names", [None, ()])
@pytest.mark.parametrize("record", [{"a": 1}, (1,), None, ""], ids=repr)
def test_a_record_is_of_another_shape_also_where_there_are_no_columns(
    writing: Writing, binder: ModuleType, names: tuple[()] | None, record: Any
) -> None:
    empty: Any = () if names is None else {}
    assert writing.copy([empty, record], names, ()) == (b"\n", 1, OTHER, record)
    assert flat(binder, [empty, record], names, width=0) == ([], 1, OTHER, record)


def test_flat_rows_tell_a_value_that_cannot_be_bound(binder: ModuleType) -> None:
    values, count, status, (record, column, error) = flat(binder, [(1, 2), (3, {4}), (5, 6)])
    assert (values, count, status) == ([1, 2], 1, FAULT)
    assert (record, column, str(error)) == ((3, {4}), 1, "{4} is refused")
    with pytest.raises(ValueError, match="differ in length"):
        flat(binder, [], ("a",))


WITHOUT_C_DATETIME = """
import sys
sys.modules["_datetime"] = None
from datetime import date, datetime
from nexusql._speedups import AS_DATE, AS_TEXT, AS_TIMESTAMP, IMPLEMENTATION, UNFIT, binary_rows, copy_rows
assert IMPLEMENTATION == "cython", IMPLEMENTATION
rows = [(datetime(2026, 1, 2, 3, 4, 5, 6), date(2026, 1, 2)), {}]
for form, value in ((AS_TIMESTAMP, rows[0][0]), (AS_DATE, rows[0][1])):
    assert binary_rows(None, iter([(value,)]), None, False, (form,), (255,), (repr,), 9, 99, None)[2] == UNFIT
    assert binary_rows(None, iter([(value,)]), None, False, (AS_TEXT,), (255,), (repr,), 9, 99, None)[1] == 1
print(datetime.__module__, copy_rows(None, iter(rows), None, False, (64, 128), (repr, repr), 9, 99, None)[0])
"""


def test_dates_are_written_where_python_has_them_in_python(tmp_path: Path) -> None:
    """As in an interpreter with its own GIL of Python 3.12, which cannot import _datetime."""
    implementation("encoder", True)
    settings = {key: value for key, value in os.environ.items() if not key.startswith("NEXUSQL_")}
    path = str(Path(nexusql.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_C_DATETIME],
        env={**settings, "PYTHONPATH": path, "NEXUSQL_REQUIRE_SPEEDUPS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.endswith(r"b'2026-01-02 03:04:05.000006\t2026-01-02\n'" + "\n"), done.stderr
