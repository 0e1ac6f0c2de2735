"""The binder and the row builder, compiled and interpreted: what they promise."""

from types import ModuleType
from typing import Any

import pytest

from nexusql.errors import ParameterError

ADAPTERS: dict[type, Any] = {int: None, str: None, float: lambda value: f"float {value}", list: str, tuple: str}


def other(value: Any) -> Any:
    raise ParameterError(f"a {type(value).__name__} cannot be bound")


def test_values_come_in_driver_order_repeated_where_the_name_is(binder: ModuleType) -> None:
    params = {"a": 1, "b": "x", "surplus": object()}
    assert tuple(binder.bind(("b", "a", "b"), params, ADAPTERS, other, ())) == ("x", 1, "x")
    assert tuple(binder.bind((), params, ADAPTERS, other, ())) == ()


def test_a_value_is_adapted_by_its_exact_type_and_any_other_by_the_fallback(binder: ModuleType) -> None:
    assert tuple(binder.bind(("a",), {"a": 1.5}, ADAPTERS, other, ())) == ("float 1.5",)
    assert tuple(binder.bind(("a",), {"a": True}, ADAPTERS, repr, ())) == ("True",)
    with pytest.raises(ParameterError, match="a set cannot be bound"):
        binder.bind(("a",), {"a": {1}}, ADAPTERS, other, ())


def test_all_missing_names_are_told_once_and_in_order(binder: ModuleType) -> None:
    with pytest.raises(KeyError) as caught:
        binder.bind(("x", "a", "y", "x"), {"a": 1}, ADAPTERS, other, ())
    assert caught.value.args == (("x", "y"),)


@pytest.mark.parametrize("items", [[1, 2], (1, 2), [], ()])
def test_a_list_for_in_is_left_to_the_caller_and_bound_as_one_elsewhere(binder: ModuleType, items: Any) -> None:
    assert binder.bind(("a", "ids"), {"a": 1, "ids": items}, ADAPTERS, other, ("ids",)) is None
    assert tuple(binder.bind(("a", "ids"), {"a": 1, "ids": items}, ADAPTERS, other, ("b",))) == (1, str(items))
    assert tuple(binder.bind(("ids",), {"ids": 5}, ADAPTERS, other, ("ids",))) == (5,)


def test_a_sequence_is_picked_by_order(binder: ModuleType) -> None:
    assert tuple(binder.bind_sequence(None, [1, 1.5], ADAPTERS, other)) == (1, "float 1.5")
    assert tuple(binder.bind_sequence((1, 0, 1), (1, "x"), ADAPTERS, other)) == ("x", 1, "x")
    with pytest.raises(ParameterError):
        binder.bind_sequence((0,), [object()], ADAPTERS, other)


class Row:
    """A driver's row that is neither a tuple nor a list."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[index]


@pytest.mark.parametrize("width", [0, 1, 5, 6, 12])
def test_rows_become_dicts_in_column_order(records: ModuleType, width: int) -> None:
    names = tuple(f"c{n}" for n in range(width))
    values = tuple(range(width))
    out: list[dict[str, Any]] = []
    assert records.extend_dicts(out, iter([values, list(values), Row(*values)]), names) is False
    assert out == [dict(zip(names, values, strict=True))] * 3
    assert [list(record) for record in out] == [list(names)] * 3
    assert len({id(record) for record in out}) == 3


def test_of_two_columns_with_one_name_the_last_wins_and_it_is_told(records: ModuleType) -> None:
    out: list[dict[str, Any]] = []
    assert records.extend_dicts(out, [(1, 2, 3)], ("a", "b", "a")) is True
    assert out == [{"a": 3, "b": 2}]


def test_a_row_of_another_width_is_an_error(records: ModuleType) -> None:
    with pytest.raises(ValueError, match="a row of 1 values for 2 columns"):
        records.extend_dicts([], [(1, 2), (1,)], ("a", "b"))


def test_names_are_taken_from_a_cursor_description(records: ModuleType) -> None:
    assert records.column_names([("a", None), ("b", 1, 2), ("a",)]) == ("a", "b", "a")
