"""The core keeps nothing: run often, it leaves no memory and no reference behind."""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from nexusql._speedups import AS_INT4, AS_JSONB, AS_TEXT, AS_TIMESTAMPTZ, AS_UUID
from readings import PG

# Bytes. A call that left something behind would leave at least this much, each time.
SMALLEST_OBJECT = 16


def grows(call: Callable[[], Any], rounds: int = 300) -> float:
    """Bytes that each call leaves behind, the least of some measurements: the interpreter takes memory for itself once
    in a while, 16 KB for frames for instance, and what leaks does so each time."""
    least = _growth(call, rounds)
    for _ in range(5):
        if least < SMALLEST_OBJECT:
            break
        least = min(least, _growth(call, rounds))
    return least


def _growth(call: Callable[[], Any], rounds: int) -> float:
    for _ in range(20):
        call()
    gc.collect()
    tracemalloc.start()
    try:
        call()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(rounds):
            call()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / rounds
    finally:
        tracemalloc.stop()


def failing(call: Callable[..., Any], *args: Any) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises((ValueError, KeyError)):
            call(*args)

    return run


def test_scanning_leaves_nothing(scanner: ModuleType) -> None:
    rules = int(PG.rules)
    assert grows(lambda: scanner.scan("SELECT :a, E'x' -- é\n, $t$ y $t$ /* z */" * 5, rules, 0)) < SMALLEST_OBJECT
    assert grows(failing(scanner.scan, "SELECT 'x", rules, 0)) < SMALLEST_OBJECT


def test_binding_leaves_nothing(binder: ModuleType) -> None:
    params = {"a": 1, "b": [1, 2], "c": 1.5}
    assert grows(lambda: binder.bind(("a", "c", "a"), params, {int: None}, repr, ())) < SMALLEST_OBJECT
    assert grows(lambda: binder.bind(("a", "b"), params, {int: None}, repr, ("b",))) < SMALLEST_OBJECT
    assert grows(failing(binder.bind, ("a", "x"), params, {int: None}, repr, ())) < SMALLEST_OBJECT
    assert grows(lambda: binder.bind_sequence((1, 0), (1, "x"), {int: None}, repr)) < SMALLEST_OBJECT


def test_building_dicts_leaves_nothing(records: ModuleType) -> None:
    names = tuple("abcdefg")
    rows = [tuple(range(7))] * 10
    assert grows(lambda: records.extend_dicts([], rows, names)) < SMALLEST_OBJECT
    assert grows(failing(records.extend_dicts, [], [(1,)], names)) < SMALLEST_OBJECT


# Rows by the way in which a call ends with them: at the end, at a limit, at another shape, at a fault.
ENDS: dict[str, tuple[int, list[Any]]] = {
    "end": (99, [{"a": "x" * 50, "b": 1.5}, {"b": [1], "a": date(2026, 1, 1)}]),
    "limit": (1, [{"a": 1, "b": 2}, {"a": 3, "b": 4}]),
    "other": (99, [{"a": 1, "b": 2}, {"a": 3, "c": 4}]),
    "fault": (99, [{"a": 1, "b": 2}, {"b": "\ud800", "a": [4]}]),
}


def failing_adapter(value: Any) -> Any:
    raise ValueError("refused")


@pytest.mark.parametrize("end", ENDS)
def test_encoding_leaves_nothing(encoder: ModuleType, binder: ModuleType, end: str) -> None:
    most, rows = ENDS[end]
    names, masks, converters = ("a", "b"), (255, 255), (repr, repr)
    sequences = [tuple(row.values()) for row in rows]

    def copy(rows: list[Any] = rows, names: Any = names, max_bytes: int = 999) -> None:
        encoder.copy_rows(None, iter(rows), names, False, masks, converters, most, max_bytes, [])

    def literals() -> None:
        encoder.literal_rows(rows[0], iter(rows), names, False, masks, converters, True, most, 999, None)

    def flat() -> None:
        adapters = {int: None, list: failing_adapter}
        binder.flat_rows(None, iter(rows), names, 2, False, adapters, repr, most, [])

    assert grows(copy) < SMALLEST_OBJECT
    assert grows(lambda: copy(max_bytes=1)) < SMALLEST_OBJECT
    assert grows(lambda: copy(sequences, None)) < SMALLEST_OBJECT
    assert grows(literals) < SMALLEST_OBJECT
    assert grows(flat) < SMALLEST_OBJECT


MOMENT = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
# The same for the binary format: at the end, at a value that it does not hold, at a zone that raises.
BINARY_ENDS: dict[str, list[Any]] = {
    "end": [{"a": "x" * 50, "b": MOMENT, "c": UUID(int=5)}, {"c": None, "b": MOMENT, "a": [1]}],
    "unfit": [{"a": 1, "b": MOMENT, "c": UUID(int=5)}, {"a": [1], "b": MOMENT, "c": 5}],
    "fault": [{"a": 1, "b": MOMENT, "c": None}, {"b": MOMENT, "a": "\ud800", "c": None}],
}


@pytest.mark.parametrize("end", BINARY_ENDS)
def test_encoding_in_binary_leaves_nothing(encoder: ModuleType, end: str) -> None:
    rows, converters = BINARY_ENDS[end], (repr, repr, repr)

    def binary(rows: list[Any] = rows, names: Any = ("a", "b", "c"), form: int = AS_TEXT) -> None:
        forms = (form, AS_TIMESTAMPTZ, AS_UUID)
        encoder.binary_rows(rows[0], iter(rows), names, False, forms, (255, 255, 255), converters, 99, 9999, [])

    assert grows(binary) < SMALLEST_OBJECT
    assert grows(lambda: binary(form=AS_JSONB)) < SMALLEST_OBJECT
    assert grows(lambda: binary([tuple(row.values()) for row in rows], None)) < SMALLEST_OBJECT


def broken() -> Iterator[Any]:
    yield {"a": "x", "b": [1]}
    raise ValueError("the rows have failed")


def test_encoding_rows_that_fail_leaves_nothing(encoder: ModuleType, binder: ModuleType) -> None:
    def copy() -> None:
        encoder.copy_rows(None, broken(), ("a", "b"), False, (255, 255), (repr, repr), 99, 999, [])

    def flat() -> None:
        binder.flat_rows(None, broken(), ("a", "b"), 2, False, {}, repr, 99, [])

    assert grows(failing(copy)) < SMALLEST_OBJECT
    assert grows(failing(flat)) < SMALLEST_OBJECT


def test_references_to_values_are_given_back(binder: ModuleType, records: ModuleType, encoder: ModuleType) -> None:
    value = object()

    def run() -> None:
        binder.bind(("a",), {"a": value}, {object: None}, repr, ())
        records.extend_dicts([], [(value, value)], ("a", "b"))
        binder.flat_rows(None, iter([{"a": value}, (value,)]), ("a",), 1, False, {object: None}, repr, 9, [])
        for record in ({"a": value, "b": 1}, {"b": 1, "a": value}, {"a": value, "c": 1}):
            for convert in (repr, failing_adapter):
                encoder.copy_rows(None, iter([record]), ("a", "b"), False, (255, 255), (convert, repr), 9, 99, [])
        encoder.copy_rows(None, iter([(value, 1), [value, 1]]), None, False, (0, 255), (repr, repr), 9, 99, [])

        for cells in ((value, 1), [1, value]):
            fixed = (None, False, (AS_TEXT, AS_INT4), (0, 255), (repr, repr))
            encoder.binary_rows(cells, iter([]), *fixed, 9, 99, None)

    before = sys.getrefcount(value)
    for _ in range(50):
        run()
    gc.collect()
    assert sys.getrefcount(value) == before
