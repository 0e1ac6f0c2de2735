"""Rows become instances and back: no value is lost, changed or put into another field."""

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from nexusql import DataError
from nexusql.models import builder
from nexusql.results import Rows

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")
typed_dict: Any = TypedDict  # to a type checker it is no function
Values = Callable[[Any], dict[str, Any]]


def attributes(made: Any) -> dict[str, Any]:
    return {name: getattr(made, name) for name in NAMES}


def pydantic_values(made: pydantic.BaseModel) -> dict[str, Any]:
    return made.model_dump()


KINDS: dict[str, tuple[Any, Values]] = {
    "dataclass": (dataclasses.make_dataclass("D", [(name, Any, "none") for name in NAMES]), dataclasses.asdict),
    "keywords": (
        dataclasses.make_dataclass("K", [(name, Any, "none") for name in NAMES], kw_only=True, slots=True),
        dataclasses.asdict,
    ),
    "namedtuple": (namedtuple("N", NAMES, defaults=["none"] * 8), attributes),
    "struct": (msgspec.defstruct("S", [(name, Any, "none") for name in NAMES]), attributes),
    "renamed": (msgspec.defstruct("R", [(name, Any, "none") for name in NAMES], rename="upper"), attributes),
    "array": (msgspec.defstruct("A", [(name, Any, "none") for name in NAMES], array_like=True), attributes),
    "model": (pydantic.create_model("M", **dict.fromkeys(NAMES, (Any, "none"))), pydantic_values),  # type: ignore[call-overload]
    "typed dict": (
        typed_dict("T", dict.fromkeys(NAMES, Any), total=False),
        lambda made: {**dict.fromkeys(NAMES, "none"), **made},
    ),
}


def result(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Rows[Any]:
    raw: Rows[Any] = Rows(rows)
    raw.rowcount, raw.columns = len(rows), columns
    return raw


@st.composite
def results(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns, in any order, some perhaps twice and some not there, and rows of them."""
    columns = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=10)))
    distinct = draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=4))
    return columns, distinct * draw(st.sampled_from([1, 1, 40, 101]))


@pytest.mark.parametrize("kind", KINDS)
@given(result_of=results())
def test_instances_hold_what_the_rows_held(kind: str, result_of: tuple[tuple[str, ...], list[tuple[Any, ...]]]) -> None:
    into, values = KINDS[kind]
    columns, rows = result_of
    made = builder(into).build(result(columns, rows), "")
    expected = [{**dict.fromkeys(NAMES, "none"), **dict(zip(columns, row, strict=True))} for row in rows]
    assert [values(instance) for instance in made] == expected
    assert made.columns == columns
    if rows:  # a dict, of a column that comes twice, has the last
        assert made.scalar() in (rows[0][0], expected[0][columns[0]])
    else:
        assert made.scalar() is None


@dataclasses.dataclass
class Refusing:
    a: int
    b: int = 0

    def __post_init__(self) -> None:
        if self.a == 1:
            raise ValueError("no")


class RefusingStruct(msgspec.Struct):
    a: bool
    b: int = 0


class RefusingModel(pydantic.BaseModel):
    a: bool
    b: int = 0


@pytest.mark.parametrize("columns", [("a", "b"), ("b", "a"), ("a",)])
@given(count=st.integers(1, 250), data=st.data())
def test_the_first_row_that_does_not_fit_is_named(columns: tuple[str, ...], count: int, data: st.DataObject) -> None:
    bad = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3)))
    for into, wrong in ((Refusing, 1), (RefusingStruct, "x"), (RefusingModel, "x")):
        rows = [tuple(0 if name == "b" or i not in bad else wrong for name in columns) for i in range(count)]
        with pytest.raises(DataError, match=f"^row {bad[0] + 1} does not fit"):
            builder(into).build(result(columns, rows), "")
