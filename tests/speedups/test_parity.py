"""The compiled and the interpreted core give the same for any input, errors and key order included."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
)
from readings import FRAGMENTS, READINGS, Reading, implementation

KINDS = frozenset(" -'\"w0:?%@t={}\\o()[],;.")


class Number(int):
    """A subclass, which an adapter for int must not take."""


def outcome(call: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """What a call gives or raises, comparable: types count, and so does the order of keys."""
    try:
        return ("gives", typed(call(*args)))
    except Exception as error:
        return ("raises", type(error), typed(error.args))


def typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, typed(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return (type(value), [typed(item) for item in value])
    return (type(value), repr(value))


texts = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3)), max_size=8).map("".join),
    st.text(max_size=30),
)


@pytest.fixture(scope="module")
def scanners() -> tuple[ModuleType, ModuleType]:
    return implementation("scanner", False), implementation("scanner", True)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@given(sql=texts)
@example("?@")
@example("/*!50000*/")
@example("E'a'\n'\\'--\n'\\''")
@example("-- \r\n'")
@example("\\")
@example(":\ud800 :\U0001d4ea '\udc00'")
def test_both_scanners_read_any_text_alike(scanners: tuple[ModuleType, ModuleType], reading: Reading, sql: str) -> None:
    interpreted, compiled = scanners
    args = (sql, int(reading.rules), reading.modes.version_number)
    assert outcome(compiled.scan, *args) == outcome(interpreted.scan, *args)


@given(sql=texts, rules=st.integers(0, 0x1FFFF), version=st.integers(0, 200_000))
def test_both_scanners_agree_under_any_rules(
    scanners: tuple[ModuleType, ModuleType], sql: str, rules: int, version: int
) -> None:
    interpreted, compiled = scanners
    assert outcome(compiled.scan, sql, rules, version) == outcome(interpreted.scan, sql, rules, version)


@given(sql=texts, rules=st.integers(0, 0x1FFFF), version=st.integers(0, 200_000))
def test_tokens_tile_the_text_or_the_error_points_into_it(
    scanners: tuple[ModuleType, ModuleType], sql: str, rules: int, version: int
) -> None:
    for scanner in scanners:
        try:
            kinds, ends = scanner.scan(sql, rules, version)
        except ValueError as error:
            message, offset = error.args
            assert isinstance(message, str)
            assert 0 <= offset < len(sql)
        else:
            assert set(kinds) <= KINDS
            assert len(kinds) == len(ends)
            assert all(start < end for start, end in zip([0, *ends], ends, strict=False))
            assert (ends or [0])[-1] == len(sql)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(Number, st.integers(0, 9)),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers()),
    st.complex_numbers(allow_nan=False),
)
names = st.lists(st.sampled_from(["a", "b", "c", "é", ""]), max_size=6).map(tuple)


def double(value: Any) -> Any:
    return (value, value)


def refuse(value: Any) -> Any:
    if isinstance(value, complex):
        raise TypeError(f"{type(value).__name__} cannot be bound")
    return ["other", value]


ADAPTERS: dict[type, Callable[[Any], Any] | None] = {
    int: None,
    str: None,
    bytes: double,
    type(None): None,
    tuple: double,
}


@given(names=names, params=st.dictionaries(st.sampled_from(["a", "b", "c", "é"]), values), lists=names)
def test_both_binders_bind_any_mapping_alike(
    names: tuple[str, ...], params: dict[str, Any], lists: tuple[str, ...]
) -> None:
    args = (names, params, ADAPTERS, refuse, lists)
    assert outcome(implementation("binder", True).bind, *args) == outcome(implementation("binder", False).bind, *args)


@given(
    params=st.lists(values, max_size=5), order=st.one_of(st.none(), st.lists(st.integers(0, 6), max_size=6).map(tuple))
)
def test_both_binders_bind_any_sequence_alike(params: list[Any], order: tuple[int, ...] | None) -> None:
    interpreted, compiled = implementation("binder", False), implementation("binder", True)
    for sequence in (params, tuple(params)):
        args = (order, sequence, ADAPTERS, refuse)
        assert outcome(compiled.bind_sequence, *args) == outcome(interpreted.bind_sequence, *args)


@given(
    names=st.lists(st.sampled_from("abcdefgh"), max_size=8).map(tuple),
    rows=st.lists(st.lists(values, max_size=8).flatmap(lambda row: st.sampled_from([row, tuple(row)])), max_size=5),
    fits=st.booleans(),
)
def test_both_build_the_same_dicts_from_any_rows(names: tuple[str, ...], rows: list[Any], fits: bool) -> None:
    if fits:
        rows = [type(row)((*row, *names)[: len(names)]) for row in rows]

    def extend(records: ModuleType) -> tuple[Any, ...]:
        out: list[dict[str, Any]] = [{"before": 1}]
        return (*outcome(records.extend_dicts, out, iter(rows), names), typed(out))

    assert extend(implementation("records", True)) == extend(implementation("records", False))


@given(st.lists(st.tuples(st.text(max_size=3), st.none()), max_size=5))
def test_both_take_the_same_names_from_a_description(description: list[tuple[str, None]]) -> None:
    interpreted, compiled = implementation("records", False), implementation("records", True)
    assert outcome(compiled.column_names, description) == outcome(interpreted.column_names, description)


direct = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**63) - 2, -(2**63) + 2),
    st.integers(2**63 - 2, 2**63 + 2),
    st.floats(),
    st.text(),
    st.text("'\\\t\n\r\0ab\ud800é", max_size=20),
    st.binary(max_size=40),
    st.datetimes(timezones=st.none() | st.just(timezone.utc)),
    st.dates(),
    st.builds(Number, st.integers(0, 9)),
)
zones = st.none() | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
moments = st.datetimes(timezones=zones) | st.sampled_from((datetime.min, datetime.max)).flatmap(
    lambda moment: zones.map(lambda zone: moment.replace(tzinfo=zone))
)
# For each form what it mostly holds, so that batches are long.
FITTING: dict[int, st.SearchStrategy[Any]] = {
    **dict.fromkeys((AS_TEXT, AS_JSONB), st.text() | st.integers() | st.dates()),
    **{
        form: st.integers(-(2**bits), 2**bits) | st.booleans()
        for form, bits in ((AS_INT2, 15), (AS_INT4, 31), (AS_INT8, 63))
    },
    AS_FLOAT8: st.floats() | st.integers(-(2**53) - 1, 2**53 + 1),
    AS_BOOL: st.booleans(),
    AS_BYTEA: st.binary(max_size=40),
    **dict.fromkeys((AS_TIMESTAMP, AS_TIMESTAMPTZ), moments),
    AS_DATE: st.dates(),
    AS_UUID: st.uuids() | st.uuids().map(str) | st.text("0123456789abcdefABCDEFg-é", min_size=35, max_size=37),
    AS_UUID + 1: st.none(),
}


@given(
    rows=st.lists(st.tuples(direct, direct, direct), max_size=8),
    masks=st.tuples(*[st.sampled_from((255, 255, 0, 8, 16)) | st.integers(0, 255)] * 3),
    max_bytes=st.sampled_from((10**6, 0, 1, 30, 60)),
)
def test_both_encoders_write_any_values_alike(rows: list[Any], masks: tuple[int, ...], max_bytes: int) -> None:
    interpreted, compiled = implementation("encoder", False), implementation("encoder", True)
    dicts = [dict(zip("abc", row, strict=True)) for row in rows]
    for names, records in ((None, rows), (tuple("abc"), dicts), (tuple("cab"), dicts)):
        fixed = (None, records, names, False, masks, (ascii, repr, refuse))
        assert outcome(compiled.copy_rows, *fixed, 6, max_bytes, []) == outcome(
            interpreted.copy_rows, *fixed, 6, max_bytes, []
        )
        for backslashes in (True, False):
            limits = (backslashes, 6, max_bytes, None)
            assert outcome(compiled.literal_rows, *fixed, *limits) == outcome(interpreted.literal_rows, *fixed, *limits)


@given(data=st.data(), max_bytes=st.sampled_from((10**6, 0, 1, 30, 60)))
def test_both_encoders_write_any_values_alike_in_binary(data: st.DataObject, max_bytes: int) -> None:
    interpreted, compiled = implementation("encoder", False), implementation("encoder", True)
    forms = data.draw(st.tuples(*[st.sampled_from(list(FITTING))] * 3))
    masks = data.draw(st.tuples(*[st.sampled_from((255, 255, 0)) | st.integers(0, 255)] * 3))
    values = st.tuples(*(st.none() | FITTING[form] | FITTING[form] | direct for form in forms))
    rows = data.draw(st.lists(values, max_size=8))
    dicts = [dict(zip("abc", row, strict=True)) for row in rows]
    for names, records in ((None, rows), (tuple("abc"), dicts), (tuple("cab"), dicts)):
        fixed = (None, records, names, False, forms, masks, (ascii, repr, refuse), 6, max_bytes)
        assert outcome(compiled.binary_rows, *fixed, []) == outcome(interpreted.binary_rows, *fixed, [])
