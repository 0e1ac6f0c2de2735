"""Another session changes a table that this one knows: rows and types are those of the changed table, or a typed error
comes, and nothing that was remembered stands in the way for good."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Literal

import pytest

from nexusql import DatabaseManager
from nexusql.errors import Error, NotSupportedError, ProgrammingError, UndefinedColumn


@pytest.fixture
def other(database_url: str, db: DatabaseManager) -> Iterator[DatabaseManager]:
    """Another manager of the same database, in which there is a table `t` of two rows."""
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))")
    db.bulk_insert("t", [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}])
    with DatabaseManager(database_url) as other:
        yield other


def test_columns_are_those_of_now(db: DatabaseManager, other: DatabaseManager) -> None:
    everything = "SELECT * FROM t WHERE id = :id"
    assert db.fetch_one(everything, {"id": 1}) == {"id": 1, "a": "x"}
    other.execute("ALTER TABLE t ADD COLUMN b INTEGER")
    assert db.fetch_one(everything, {"id": 1}) == {"id": 1, "a": "x", "b": None}
    assert list(db.stream(everything, {"id": 2})) == [{"id": 2, "a": "y", "b": None}]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_in_a_transaction_too(db: DatabaseManager, other: DatabaseManager) -> None:
    everything = "SELECT * FROM t WHERE id = :id"
    assert db.fetch_one(everything, {"id": 1}) == {"id": 1, "a": "x"}
    with db.transaction() as tx:
        other.execute("ALTER TABLE t ADD COLUMN b INTEGER")
        assert tx.fetch_one(everything, {"id": 1}) == {"id": 1, "a": "x", "b": None}


def test_rows_are_written_to_the_columns_of_now(db: DatabaseManager, other: DatabaseManager) -> None:
    other.execute("ALTER TABLE t ADD COLUMN b INTEGER")
    db.bulk_insert("t", [{"id": 3, "a": "z", "b": 30}])
    assert db.insert("t", {"id": 4, "b": 40}, returning=["id", "b"]) == {"id": 4, "b": 40}
    other.execute("ALTER TABLE t DROP COLUMN b")
    with pytest.raises(Error) as caught:
        db.bulk_insert("t", [{"id": 5, "b": 50}])
    assert isinstance(caught.value, UndefinedColumn)
    db.bulk_insert("t", [{"id": 5, "a": "v"}])
    assert db.fetch_all("SELECT id FROM t ORDER BY id") == [{"id": number} for number in range(1, 6)]


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_column_of_another_type_is_looked_at_again(db: DatabaseManager, other: DatabaseManager) -> None:
    db.execute("ALTER TABLE t ADD COLUMN flag BOOLEAN")
    mark = "UPDATE t SET flag = :flag WHERE id = 1"
    db.execute(mark, {"flag": True})
    other.execute("ALTER TABLE t ALTER COLUMN flag TYPE INTEGER USING flag::int")
    assert db.execute(mark, {"flag": True}).rowcount == 1
    assert db.fetch_value("SELECT flag FROM t WHERE id = 1") == 1
    other.execute("ALTER TABLE t ALTER COLUMN flag TYPE BOOLEAN USING flag::boolean")
    with pytest.raises(ProgrammingError, match="boolean"), db.transaction() as tx:
        tx.execute(mark, {"flag": False})
    with db.transaction() as tx:
        tx.execute(mark, {"flag": False})
    assert db.fetch_value("SELECT flag FROM t WHERE id = 1") is False


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("before", "after", "value"),
    [("BOOLEAN", "INTEGER", True), ("TEXT[]", "JSONB", ["a"]), ("JSONB", "TEXT[]", ["a"]), ("TEXT", "BYTEA", b"a")],
)
def test_so_it_is_where_rows_are_refused(
    db: DatabaseManager, other: DatabaseManager, before: str, after: str, value: object
) -> None:
    def change(kind: str) -> None:
        other.execute("ALTER TABLE t DROP COLUMN IF EXISTS v")
        other.execute(f"ALTER TABLE t ADD COLUMN v {kind}")

    change(before)
    db.bulk_insert("t", [{"id": 10, "v": None}])
    change(after)
    rows = [{"id": number, "v": value} for number in (11, 12)]
    with pytest.raises(Error):
        db.bulk_insert("t", rows)
    db.bulk_insert("t", rows)
    assert db.fetch_value("SELECT COUNT(*) FROM t WHERE v IS NOT NULL") == 2


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_reported_write_halves_into_rows_that_fit(db: DatabaseManager, other: DatabaseManager) -> None:
    db.execute("ALTER TABLE t ADD COLUMN flag BOOLEAN")
    db.bulk_insert("t", [{"id": 10, "flag": True}])
    other.execute("ALTER TABLE t ALTER COLUMN flag TYPE INTEGER USING flag::int")
    result = db.bulk_insert("t", ({"id": number, "flag": True} for number in range(11, 31)), on_error="report")
    assert (result.rowcount, result.errors) == (20, [])


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_statement_prepared_by_string_is_refused_and_the_session_goes_on(
    db: DatabaseManager, other: DatabaseManager
) -> None:
    with db.transaction() as tx:
        tx.execute("PREPARE everything AS SELECT * FROM t")
        assert tx.fetch_all("EXECUTE everything") == [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]
        tx.execute("ALTER TABLE t ADD COLUMN b INTEGER")
        with pytest.raises(NotSupportedError, match="cached plan"), tx.transaction():
            tx.fetch_all("EXECUTE everything")
        tx.execute("DEALLOCATE everything")
        assert tx.fetch_one("SELECT * FROM t WHERE id = 1") == {"id": 1, "a": "x", "b": None}
    assert other.fetch_value("SELECT COUNT(*) FROM t") == 2


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("before", "after", "value", "expected"),
    [
        ("BIGINT", "DOUBLE PRECISION", 7, 7.0),
        ("BIGINT", "TIMESTAMP", datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3)),
        ("DOUBLE PRECISION", "BIGINT", 7.0, 7),
        ("INTEGER", "DATE", date(2026, 1, 2), date(2026, 1, 2)),
        ("TEXT", "BYTEA", b"text", b"text"),
        ("JSON", "TEXT", "[1]", "[1]"),
        ("DATE", "INTEGER", 7, 7),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "report"])
def test_no_bytes_are_taken_for_a_value_of_another_type(
    db: DatabaseManager,
    other: DatabaseManager,
    before: str,
    after: str,
    value: object,
    expected: object,
    on_error: Literal["raise", "report"],
) -> None:
    """Types of one width among them, whose binary forms the server cannot tell apart."""

    def change(kind: str) -> None:
        other.execute("ALTER TABLE t DROP COLUMN IF EXISTS v")
        other.execute(f"ALTER TABLE t ADD COLUMN v {kind}")

    def write(first: int) -> None:
        db.bulk_insert("t", [{"id": number, "v": value} for number in range(first, first + 5)], on_error=on_error)

    change(before)
    db.bulk_insert("t", [{"id": 10, "v": None}])
    change(after)
    with suppress(Error):
        write(20)
    write(30)
    found = [row["v"] for row in db.execute("SELECT v FROM t WHERE id >= 20")]
    found = [bytes(each) if isinstance(each, memoryview) else each for each in found]
    assert found in ([expected] * 5, [expected] * 10)
    with db.transaction() as tx:
        tx.bulk_insert("t", [{"id": 50, "v": value}])
    assert db.fetch_value("SELECT COUNT(*) FROM t WHERE id = 50") == 1
