"""What calls give back: plain lists and dicts that also serve code that awaits them."""

import asyncio
import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from nexusql.errors import InterfaceError
from nexusql.results import BulkResult, QueryResult, Row, RowError, Rows, create_error_result, create_query_result

TWO = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
PICKLES = [
    lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
]


def made(rows: list[dict[str, Any]], rowcount: int, columns: tuple[str, ...]) -> Rows:
    result = Rows(rows)
    result.rowcount, result.columns = rowcount, columns
    return result


def test_rows_are_a_list_of_dicts() -> None:
    rows = made(TWO, 2, ("id", "name"))
    assert isinstance(rows, list)
    assert rows == TWO
    assert rows[0] == {"id": 1, "name": "a"}
    assert json.loads(json.dumps(rows)) == TWO
    assert Rows() == []
    assert not Rows()


def test_rows_tell_what_a_plain_list_cannot() -> None:
    rows = made(TWO, 2, ("id", "name"))
    assert (rows.rowcount, rows.row_count, rows.columns, rows.success) == (2, 2, ("id", "name"), True)
    assert rows.data is rows


def test_a_write_has_no_rows_and_its_own_rowcount() -> None:
    rows = made([], 7, ())
    assert rows == []
    assert (rows.rowcount, rows.row_count) == (7, 7)


def test_rows_made_by_hand_describe_themselves() -> None:
    assert (Rows(TWO).rowcount, Rows(TWO).columns) == (2, ("id", "name"))
    assert (Rows().rowcount, Rows().columns) == (0, ())


def test_rows_have_no_other_attributes() -> None:
    rows = Rows(TWO)
    with pytest.raises(AttributeError, match="'Rows' object has no attribute 'fetchall'"):
        rows.fetchall()
    with pytest.raises(AttributeError):
        rows.rowcout = 1  # type: ignore[attr-defined]


def test_awaiting_rows_gives_the_rows() -> None:
    rows = made(TWO, 2, ("id", "name"))

    async def awaiting() -> Rows:
        return await rows

    assert inspect.isawaitable(rows)
    assert asyncio.run(awaiting()) is rows


def test_gather_takes_results_as_it_takes_coroutines() -> None:
    rows, row = Rows(TWO), Row(TWO[0])

    async def gathering() -> list[Any]:
        return list(await asyncio.gather(rows, row, Rows()))

    assert asyncio.run(gathering()) == [TWO, TWO[0], []]


def test_rows_are_hashed_by_identity() -> None:
    first, second = Rows(TWO), Rows(TWO)
    assert first == second
    assert len({first, second}) == 2
    assert hash(first) == hash(first)


def test_one_is_the_only_row() -> None:
    assert Rows(TWO[:1]).one() == TWO[0]


@pytest.mark.parametrize("rows", [[], TWO])
def test_one_refuses_none_and_many(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(InterfaceError, match=f"exactly one row; the result has {len(rows)}"):
        Rows(rows).one()


@pytest.mark.parametrize(
    ("rows", "value"), [([], None), (TWO, 1), ([{"n": None, "m": 1}], None), ([{}], None), ([{"n": 0}], 0)]
)
def test_scalar_is_the_first_column_of_the_first_row(rows: list[dict[str, Any]], value: Any) -> None:
    assert Rows(rows).scalar() == value


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, *PICKLES])
def test_rows_survive_copies_and_pickles(twin: Callable[[Rows], Rows]) -> None:
    for rows in (made(TWO, 2, ("id", "name")), made([], 7, ()), Rows()):
        again = twin(rows)
        assert type(again) is Rows
        assert again == rows
        assert again is not rows
        assert (again.rowcount, again.columns) == (rows.rowcount, rows.columns)


def test_a_slice_is_a_plain_list() -> None:
    assert type(Rows(TWO)[:1]) is list


def test_a_row_is_a_dict() -> None:
    row = Row(TWO[0])
    assert isinstance(row, dict)
    assert row == {"id": 1, "name": "a"}
    assert json.loads(json.dumps(row)) == TWO[0]
    assert row.data == [row]
    assert row.get_first_row() is row


def test_a_column_named_data_stays_a_column() -> None:
    row = Row({"data": 5})
    assert row["data"] == 5
    assert row.data == [{"data": 5}]


def test_awaiting_a_row_gives_the_row() -> None:
    row = Row(TWO[0])

    async def awaiting() -> Row:
        return await row

    assert asyncio.run(awaiting()) is row


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, *PICKLES])
def test_a_row_survives_copies_and_pickles(twin: Callable[[Row], Row]) -> None:
    again = twin(Row(TWO[0]))
    assert type(again) is Row
    assert again == TWO[0]


def test_a_query_result_counts_its_rows() -> None:
    assert QueryResult(True, TWO, 0).row_count == 2
    assert QueryResult(True, [], 5).row_count == 5
    assert QueryResult(success=True, data=TWO, row_count=9, execution_time_ms=1.5).row_count == 2


def test_a_query_result_gives_rows_and_columns() -> None:
    result = QueryResult(True, TWO, 2)
    assert result.get_first_row() == TWO[0]
    assert result.get_column_values("name") == ["a", "b"]
    assert result.get_column_values("absent") == [None, None]
    assert (result.error_message, result.execution_time_ms) == (None, None)


def test_an_empty_query_result_has_no_first_row() -> None:
    result = create_query_result()
    assert result == QueryResult(True, [], 0)
    assert result.get_first_row() is None
    assert result.get_column_values("name") == []


def test_create_query_result_takes_the_other_fields_by_name() -> None:
    assert create_query_result(True, TWO) == QueryResult(True, TWO, 2)
    assert create_query_result(data=[], row_count=3, execution_time_ms=2.0) == QueryResult(True, [], 3, None, 2.0)
    assert create_query_result(False, None, error_message="no") == QueryResult(False, [], 0, "no")


def test_create_query_result_does_not_share_an_empty_list() -> None:
    create_query_result().data.append({})
    assert create_query_result().data == []


def test_create_error_result_is_a_failure_without_rows() -> None:
    assert create_error_result("no") == QueryResult(False, [], 0, "no")


def test_a_bulk_result_is_a_receipt() -> None:
    receipt = BulkResult(3, "copy", 0.5)
    assert (receipt.rowcount, receipt.strategy, receipt.elapsed, receipt.ids, receipt.errors) == (
        3,
        "copy",
        0.5,
        [],
        [],
    )
    error = RowError(3, ValueError("no"), {"secret": "s3cr3t"})
    assert BulkResult(1, "values", 0.1, [7], [error]) == BulkResult(
        rowcount=1, strategy="values", elapsed=0.1, ids=[7], errors=[error]
    )
    assert repr(error) == "RowError(index=3, error=ValueError('no'))"
