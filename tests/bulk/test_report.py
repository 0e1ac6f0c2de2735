"""on_error="report": the good rows are stored once, and each bad one is told of, wherever and whatever it is."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poison
import servers
from nexusql import DatabaseManager
from nexusql.results import BulkResult
from poison import POISONS, SENT, Attempts, good, rows, stored


@pytest.fixture(scope="module", params=servers.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    servers.require(name)
    return name


@pytest.fixture(scope="module")
def shared(kind: str) -> Iterator[DatabaseManager]:
    with poison.item_table(kind) as manager:
        yield manager


@pytest.fixture
def items(shared: DatabaseManager) -> DatabaseManager:
    poison.empty(shared)
    return shared


def check(kind: str, db: DatabaseManager, given: list[object], bad: dict[int, str], result: BulkResult) -> None:
    """That the good rows are stored and counted, and the bad ones reported as they are."""
    assert stored(db) == [number for number in range(len(given)) if number not in bad]
    assert result.rowcount == len(given) - len(bad)
    assert result.done == len(given)
    assert [error.index for error in result.errors] == sorted(bad)
    for error in result.errors:
        expected = POISONS[bad[error.index]]
        assert error.row is given[error.index]
        assert isinstance(error.error, expected.error), error
        assert not expected.driver or poison.is_of_driver(kind, error.error, expected.driver[kind]), error
        assert expected.driver or kind == "sqlite" or f"row {error.index}" in str(error.error)


@pytest.mark.parametrize("name", POISONS)
@pytest.mark.parametrize("place", [0, 150, 299])
def test_one_bad_row_is_reported_wherever_it_is(kind: str, items: DatabaseManager, name: str, place: int) -> None:
    given = rows(300, {place: name})
    check(kind, items, given, {place: name}, items.bulk_insert("item", given, on_error="report"))


def test_without_a_bad_row_each_chunk_is_written_once(kind: str, items: DatabaseManager) -> None:
    attempts = Attempts(kind, items)
    result = items.bulk_insert("item", (good(number) for number in range(2000)), on_error="report", chunk_size=500)
    assert (result.rowcount, result.errors) == (2000, [])
    assert attempts.since() <= 5
    assert stored(items) == list(range(2000))


@pytest.mark.parametrize("chunk", [100, 5000])
def test_bad_rows_here_and_there_take_few_statements(kind: str, items: DatabaseManager, chunk: int) -> None:
    bad = {number: SENT[number % len(SENT)] for number in (0, 3, 4, 777, 1000, 1400, 1998, 1999)}
    given = rows(2000, bad)
    attempts = Attempts(kind, items)
    result = items.bulk_insert("item", given, on_error="report", chunk_size=chunk)
    assert attempts.since() <= Attempts.most(2000, len(bad), chunk)
    check(kind, items, given, bad, result)


def test_when_all_are_bad_nothing_is_stored_and_all_are_reported(kind: str, items: DatabaseManager) -> None:
    bad = {number: SENT[number % len(SENT)] for number in range(60)}
    given = rows(60, bad)
    attempts = Attempts(kind, items)
    result = items.bulk_insert("item", given, on_error="report")
    assert attempts.since() <= 2 * 60
    check(kind, items, given, bad, result)


def test_rows_that_are_refused_before_they_are_sent_cost_no_statement(kind: str, items: DatabaseManager) -> None:
    bad = dict.fromkeys(range(1, 500, 2), "type") | dict.fromkeys(range(2, 500, 4), "key")
    given = rows(500, bad)
    attempts = Attempts(kind, items)
    result = items.bulk_insert("item", given, on_error="report")
    assert attempts.since() <= 2
    check(kind, items, given, bad, result)


def test_two_rows_of_one_key_are_the_fault_of_the_second(kind: str, items: DatabaseManager) -> None:
    given = [good(1), good(2), good(1), good(3), good(1)]
    result = items.bulk_insert("item", given, on_error="report")
    assert [error.index for error in result.errors] == [2, 4]
    assert stored(items) == [1, 2, 3]


@settings(max_examples=settings().max_examples // 8)
@given(
    count=st.integers(1, 200),
    bad=st.dictionaries(st.integers(0, 199), st.sampled_from(sorted(POISONS)), max_size=6),
    chunk=st.sampled_from([1, 7, 64, 5000]),
    as_tuples=st.booleans(),
)
def test_random_bad_rows(
    kind: str, shared: DatabaseManager, count: int, bad: dict[int, str], chunk: int, as_tuples: bool
) -> None:
    poison.empty(shared)
    bad = {place: name for place, name in bad.items() if place < count and not (as_tuples and name == "key")}
    given = rows(count, bad)
    if as_tuples:
        given = [tuple(row.values()) if isinstance(row, dict) else row for row in given]
    result = shared.bulk_insert(
        "item", iter(given), on_error="report", chunk_size=chunk, columns=poison.COLUMNS if as_tuples else None
    )
    check(kind, shared, given, bad, result)


def test_a_nul_is_refused_where_the_database_cannot_hold_it(kind: str, items: DatabaseManager) -> None:
    given = [good(0), {**good(1), "name": "a\0b"}, good(2)]
    result = items.bulk_insert("item", given, on_error="report")
    assert [error.index for error in result.errors] == ([1] if kind == "postgresql" else [])
    assert result.rowcount == 3 - len(result.errors)


def test_an_error_does_not_keep_the_chunk_alive(kind: str, items: DatabaseManager) -> None:
    result = items.bulk_insert("item", rows(50, {10: "null", 11: "type", 30: "unique"}), on_error="report")
    for error in result.errors:
        link: BaseException | None = error.error
        while link is not None:
            assert link.__traceback__ is None
            link = link.__cause__ or link.__context__
