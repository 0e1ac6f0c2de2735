"""One row that is there already, outside a transaction: a single INSERT, with the same results and the same errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from bulking import kind_of, opened, stored, table
from nexusql import (
    DatabaseManager,
    Error,
    GroupCommit,
    NotNullViolation,
    ParameterError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

COLUMNS = "id INTEGER PRIMARY KEY, a VARCHAR(5) NOT NULL, b INTEGER DEFAULT 7"


@dataclass
class Item:
    id: int
    a: str


class Watched(NamedTuple):
    """A manager on a database with the table `t`, and what it was seen to do."""

    db: DatabaseManager
    seen: list[str]


@pytest.fixture
def watched(shared: DatabaseManager) -> Iterator[Watched]:
    seen: list[str] = []
    observe = [lambda event: seen.append(event.operation)]
    with table(shared, COLUMNS), DatabaseManager(shared.database_url, observers=observe) as db:
        yield Watched(db, seen)


ROWS: list[tuple[Any, dict[str, Any]]] = [
    ({"id": 1, "a": "x"}, {}),
    ({"a": "x", "id": 1, "b": 7}, {}),
    ((1, "x"), {"columns": ["id", "a"]}),
    (["x", 1], {"columns": ["a", "id"]}),
    ({"a": "x", "id": 1, "more": 0}, {"columns": ["id", "a"]}),
    (Item(1, "x"), {}),
]


@pytest.mark.parametrize(("row", "options"), ROWS, ids=range(len(ROWS)))
def test_it_is_stored_by_one_statement(watched: Watched, row: Any, options: dict[str, Any]) -> None:
    result = watched.db.bulk_insert("t", [row], **options)
    assert (result.rowcount, result.done, result.strategy, result.errors) == (1, 1, "values", [])
    assert watched.seen == ["INSERT"]
    assert stored(watched.db) == [(1, "x", 7)]


def test_a_row_of_defaults_is_stored(shared: DatabaseManager) -> None:
    with table(shared, "id SERIAL PRIMARY KEY, a INTEGER DEFAULT 5"):
        result = shared.bulk_insert("t", [{}])
        assert (result.rowcount, result.done, stored(shared)) == (1, 1, [(1, 5)])


def test_execute_many_does_the_same(watched: Watched) -> None:
    sql = "INSERT INTO t (id, a) VALUES (:id, :a)"
    assert watched.db.execute_many(sql, [{"id": 1, "a": "x"}]) == 1
    assert watched.seen == ["INSERT"]
    assert stored(watched.db) == [(1, "x", 7)]
    with pytest.raises(UniqueViolation):
        watched.db.execute_many(sql, [{"id": 1, "a": "y"}])


def test_in_a_transaction_it_is_part_of_that(shared: DatabaseManager) -> None:
    with table(shared, COLUMNS):
        with pytest.raises(ZeroDivisionError), shared.transaction():
            shared.bulk_insert("t", [{"id": 1, "a": "x"}])
            shared.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", [{"id": 2, "a": "y"}])
            raise ZeroDivisionError
        assert stored(shared) == []


# (the row, its options, what it raises)
WRONG: list[tuple[Any, dict[str, Any], type[Exception]]] = [
    ({"id": 1, "a": "x"}, {}, UniqueViolation),
    ({"id": 2, "a": None}, {}, NotNullViolation),
    ({"id": 2, "a": "x", "nothing": 0}, {}, UndefinedColumn),
    ({"id": 2, "a": "x"}, {"columns": ["id", "nothing"]}, UndefinedColumn),
    ((2, "x", 3), {"columns": ["id", "a"]}, ParameterError),
    ((2,), {"columns": ["id", "a"]}, ParameterError),
    ((2, "x"), {}, ParameterError),
    (5, {"columns": ["id", "a"]}, ParameterError),
    ({"id": 2, "a": object()}, {}, ParameterError),
]


@pytest.mark.parametrize(("row", "options", "error"), WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_told_as_of_many(
    shared: DatabaseManager, row: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with table(shared, COLUMNS):
        shared.execute("INSERT INTO t (id, a) VALUES (1, 'x')")
        told = []
        for rows in ([row], iter([row])):
            with pytest.raises(error) as caught:
                shared.bulk_insert("t", rows, **options)
            primary = getattr(getattr(caught.value.__cause__, "diag", None), "message_primary", None)
            told.append((type(caught.value), primary or str(caught.value)))
        assert told[0] == told[1]
        assert stored(shared) == [(1, "x", 7)]


def test_a_table_that_is_not_there_is_named(shared: DatabaseManager) -> None:
    with pytest.raises(UndefinedTable, match="nothing_here"):
        shared.bulk_insert("nothing_here", [{"id": 1}])


def test_a_column_that_the_database_numbers_always_takes_what_is_given() -> None:
    with opened("postgresql") as db, table(db, "id INTEGER GENERATED ALWAYS AS IDENTITY, a INTEGER"):
        assert db.bulk_insert("t", [{"id": 50, "a": 1}]).rowcount == 1
        assert stored(db) == [(50, 1)]
        with pytest.raises(Error, match="non-DEFAULT value"):
            db.execute("INSERT INTO t (id, a) VALUES (51, 1)")


def test_its_table_may_have_been_changed_elsewhere(shared: DatabaseManager) -> None:
    with table(shared, COLUMNS):
        shared.bulk_insert("t", [{"id": 1, "a": "x"}])
        if kind_of(shared) == "sqlite":
            shared.execute("ALTER TABLE t RENAME COLUMN b TO c")
        else:
            with DatabaseManager(shared.database_url) as other:
                other.execute("ALTER TABLE t RENAME COLUMN b TO c")
        assert shared.bulk_insert("t", [{"id": 2, "a": "y", "c": 3}]).rowcount == 1
        with pytest.raises(UndefinedColumn, match="no column 'b'"):
            shared.bulk_insert("t", [{"id": 3, "a": "z", "b": 3}])
        assert stored(shared) == [(1, "x", 7), (2, "y", 3)]


def test_where_only_many_are_taken_the_next_ones_go_that_way_at_once() -> None:
    seen: list[str] = []
    with (
        opened("postgresql", observers=[lambda event: seen.append(event.operation)]) as db,
        table(db, "id INTEGER, flag BOOLEAN"),
    ):
        for number in range(3):
            seen.clear()
            assert db.bulk_insert("t", [{"id": number, "flag": 1}]).rowcount == 1  # an int, which execute refuses
            assert ("INSERT" in seen) == (number == 0)
            assert "BULK INSERT" in seen
        assert stored(db) == [(0, True), (1, True), (2, True)]
        db.execute("ALTER TABLE t ALTER COLUMN flag TYPE INTEGER USING flag::int")
        seen.clear()
        assert db.bulk_insert("t", [{"id": 3, "flag": 1}]).strategy == "values"
        assert seen == ["INSERT"]


def test_it_has_no_time_limit_and_waits_for_no_group(shared: DatabaseManager) -> None:
    """As many rows have none."""
    with (
        table(shared, COLUMNS),
        DatabaseManager(shared.database_url, statement_timeout=1e-6, group_commit=GroupCommit(delay=1.0)) as db,
    ):
        assert db.bulk_insert("t", [{"id": 1, "a": "x"}]).rowcount == 1
        assert db.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", [{"id": 2, "a": "y"}]) == 1
        assert len(stored(shared)) == 2
