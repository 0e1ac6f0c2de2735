"""Bulk writes in transactions: they take part, a failure undoes the call alone, and their source may use them too."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from bulking import kind_of, opened, stored, table
from nexusql import DatabaseManager, Error, ParameterError, ProgrammingError, TransactionClosed, UniqueViolation
from nexusql.connection import Connection

COLUMNS = "id INTEGER PRIMARY KEY, a INTEGER"


@pytest.fixture(scope="module")
def made(shared: DatabaseManager) -> Iterator[DatabaseManager]:
    with table(shared, COLUMNS):
        yield shared


@pytest.fixture
def db(made: DatabaseManager) -> DatabaseManager:
    made.execute("DELETE FROM t")
    return made


@contextmanager
def block(db: DatabaseManager) -> Iterator[Any]:
    with db.transaction() as tx:
        yield tx


@contextmanager
def by_manager(db: DatabaseManager) -> Iterator[Any]:
    with db.transaction():
        yield db


@contextmanager
def nested(db: DatabaseManager) -> Iterator[Any]:
    with db.transaction(), db.transaction() as tx:
        yield tx


@contextmanager
def by_string(db: DatabaseManager) -> Iterator[Any]:
    db.execute("BEGIN")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


Opening = Callable[[DatabaseManager], AbstractContextManager[Any]]
OPENINGS: list[Opening] = [block, by_manager, nested, by_string]


@pytest.mark.mssql_itself
@pytest.mark.parametrize("opening", OPENINGS)
def test_what_is_written_is_part_of_the_transaction(db: DatabaseManager, opening: Opening) -> None:
    with pytest.raises(ZeroDivisionError), opening(db) as tx:
        assert tx.bulk_insert("t", [{"id": 1}]).rowcount == 1
        assert tx.bulk_insert("t", [{"id": 1, "a": 2}, {"id": 2}], on_conflict="update").rowcount == 2
        assert tx.execute_many("INSERT INTO t (id) VALUES (:id)", [{"id": 3}]) == 1
        assert tx.insert("t", {"id": 4}) == 4
        assert len(stored(tx)) == 4
        1 / 0
    assert stored(db) == []
    with opening(db) as tx:
        tx.bulk_insert("t", [{"id": 1}])
    assert stored(db) == [(1, None)]


WRITES: dict[str, Callable[[Any, list[dict[str, Any]]], Any]] = {
    "insert": lambda tx, rows: tx.bulk_insert("t", rows, chunk_size=2),
    "returning": lambda tx, rows: tx.bulk_insert("t", rows, chunk_size=2, returning="id"),
    "many": lambda tx, rows: tx.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", rows),
    "many slowly": lambda tx, rows: tx.execute_many("INSERT INTO t (id, a) VALUES (:id, :a + 0)", rows),
    "generator": lambda tx, rows: tx.bulk_insert("t", iter(rows), chunk_size=1),
}


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("write", WRITES)
def test_a_failure_undoes_the_call_alone_and_the_block_goes_on(
    db: DatabaseManager, opening: Opening, write: str
) -> None:
    call = WRITES[write]
    with opening(db) as tx:
        tx.bulk_insert("t", [{"id": 5, "a": 5}])
        with pytest.raises(UniqueViolation):
            call(tx, [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 5, "a": 0}, {"id": 6, "a": 6}])
        assert stored(tx) == [(5, 5)]
        with pytest.raises(ParameterError):
            call(tx, [{"id": 1, "a": 1}, {"id": 2, "a": object()}])
        with pytest.raises(Error):
            tx.bulk_insert("nope", [{"id": 1}])
        assert tx.execute("SELECT a FROM t WHERE id = 5") == [{"a": 5}]
        call(tx, [{"id": 7, "a": 7}])
    assert stored(db) == [(5, 5), (7, 7)]


def test_a_failed_insert_fails_as_a_statement_does(db: DatabaseManager) -> None:
    with pytest.raises(UniqueViolation), db.transaction() as tx:
        tx.insert("t", {"id": 1})
        tx.insert("t", {"id": 1})
    assert stored(db) == []
    if kind_of(db) != "postgresql":
        with db.transaction() as tx:
            tx.insert("t", {"id": 1})
            with pytest.raises(UniqueViolation):
                tx.insert("t", {"id": 1})
            tx.insert("t", {"id": 2})
        assert stored(db) == [(1, None), (2, None)]


@pytest.mark.mssql_itself
@pytest.mark.parametrize("opening", [None, *OPENINGS])
@pytest.mark.parametrize("options", [{}, {"on_conflict": "update"}, {"returning": "id"}], ids=str)
def test_the_source_may_use_the_same_database(
    db: DatabaseManager, opening: Opening | None, options: dict[str, Any]
) -> None:
    with table(db, "id INTEGER PRIMARY KEY, n INTEGER", "other"):

        def rows() -> Iterator[dict[str, Any]]:
            for i in range(1, 11):
                before = db.fetch_value("SELECT COUNT(*) FROM other")
                assert db.execute("INSERT INTO other (id, n) VALUES (:i, :n)", {"i": i, "n": before}).rowcount == 1
                yield {"id": i, "a": before}
                inner = db.bulk_insert("t", [{"id": 100 + i, "a": 0}, {"id": 200 + i}], **options)
                assert inner.rowcount == 2
                assert db.bulk_insert("other", [{"id": 100 + i, "n": 0}] * 2, on_conflict="update").rowcount == 1

        if opening is None:
            result = db.bulk_insert("t", rows(), chunk_size=3, **options)
        else:
            with opening(db):
                result = db.bulk_insert("t", rows(), chunk_size=3, **options)
        assert result.rowcount == 10
        assert stored(db, "a", "t WHERE id < 100") == [(2 * i,) for i in range(10)]
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 30
        assert db.fetch_value("SELECT COUNT(*) FROM other") == 20


class Name(str):
    """A value that is kept in a table of its own, and stored by its number there."""


@dataclass
class Numbered:
    """A row, one of whose values is such a number."""

    db: ClassVar[DatabaseManager]
    id: int
    name: str

    @property
    def a(self) -> int:
        return number_of(self.db, self.name)


def number_of(db: DatabaseManager, name: str) -> int:
    found = db.fetch_value("SELECT id FROM other WHERE name = :name", {"name": str(name)})
    return int(found if found is not None else db.insert("other", {"name": str(name)}))


@pytest.mark.mssql_itself
@pytest.mark.parametrize("by", ["adapter", "property"])
@pytest.mark.parametrize("pool_max", [1, 4])
def test_the_values_may_use_the_same_database(kind: str, by: str, pool_max: int) -> None:
    adapters = {Name: lambda name: number_of(Numbered.db, name)} if by == "adapter" else {}
    with opened(kind, adapters=adapters, pool_max=pool_max) as db, table(db, COLUMNS):
        named = "id INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name VARCHAR(9)"
        with table(db, named, "other"):
            Numbered.db = db

            def write(*names: tuple[int, str]) -> int:
                if by == "adapter":
                    return db.bulk_insert("t", [{"id": n, "a": Name(name)} for n, name in names]).rowcount
                return db.bulk_insert("t", [Numbered(n, name) for n, name in names], columns=["id", "a"]).rowcount

            with pytest.raises(UniqueViolation):
                write((1, "x"), (2, "y"), (1, "z"))
            assert stored(db, table="other") == []
            assert write((1, "x"), (2, "y"), (3, "x")) == 3
            (x, _), (y, _) = stored(db, table="other")
            assert stored(db) == [(1, x), (2, y), (3, x)]


@pytest.mark.parametrize("where", ["begin", "perform", "rollback", "commit"])
def test_an_interrupted_write_gives_everything_back(kind: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Connection, *args: Any) -> None:
        raise KeyboardInterrupt

    with opened(kind, pool_max=1, pool_timeout=1) as db, table(db, COLUMNS):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Connection, where, interrupt)
            db.bulk_insert("t", [{"id": 1}, {"id": 2}, {"id": 1 if where == "rollback" else 3}])
        assert stored(db) == []
        assert db.bulk_insert("t", [{"id": 1}, {"id": 2}]).rowcount == 2


def test_what_the_source_has_written_goes_when_the_call_fails(db: DatabaseManager) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": 1}
        db.execute("INSERT INTO t (id) VALUES (2)")
        yield {"id": 2}

    with pytest.raises(UniqueViolation):
        db.bulk_insert("t", rows(), chunk_size=1)
    assert stored(db) == []
    with db.transaction() as tx:
        with pytest.raises(UniqueViolation):
            tx.bulk_insert("t", rows(), chunk_size=1)
        assert stored(tx) == []


def test_an_error_that_the_source_catches_is_its_own(db: DatabaseManager) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": 1}
        with pytest.raises(UniqueViolation):
            db.bulk_insert("t", [{"id": 7}, {"id": 7}])
        with pytest.raises(ZeroDivisionError), db.transaction() as tx:
            tx.bulk_insert("t", [{"id": 8}])
            1 / 0
        yield {"id": 2}

    for size in (None, 1):
        db.execute("DELETE FROM t")
        assert db.bulk_insert("t", rows(), chunk_size=size).rowcount == 2
        assert stored(db, "id") == [(1,), (2,)]


def test_a_source_cannot_end_the_transaction_that_it_feeds(db: DatabaseManager) -> None:
    def rows(statement: str) -> Iterator[dict[str, Any]]:
        yield {"id": 1}
        db.execute(statement)
        yield {"id": 2}

    for statement in ("COMMIT", "ROLLBACK", "BEGIN"):
        for size in (None, 1):
            with pytest.raises(ProgrammingError):
                db.bulk_insert("t", rows(statement), chunk_size=size)
        db.execute("BEGIN")
        with pytest.raises(ProgrammingError):
            db.bulk_insert("t", rows(statement), chunk_size=1)
        assert db.bulk_insert("t", [{"id": 3}]).rowcount == 1
        db.execute("ROLLBACK")
        assert stored(db) == []


@pytest.mark.parametrize(
    ("kind", "before", "change"),
    [
        ("mysql", "", "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"),
        ("mysql", "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')", "SET sql_mode = 'STRICT_TRANS_TABLES'"),
        ("mysql", "", "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')"),
        ("postgresql", "", "SET standard_conforming_strings = off"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 2])
def test_a_source_that_changes_how_text_is_read_is_stopped(
    request: pytest.FixtureRequest, kind: str, before: str, change: str, size: int | None
) -> None:
    db: DatabaseManager = request.getfixturevalue(kind)
    hostile = "\\'); DROP TABLE written; -- "

    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": 1, "a": hostile}
        db.execute(change)
        yield {"id": 2, "a": hostile}
        yield {"id": 3, "a": hostile}

    with table(db, "id INTEGER PRIMARY KEY, a VARCHAR(99)", "written"):
        with pytest.raises(ProgrammingError, match="modes were changed while rows were being taken"):
            with db.transaction() as tx:
                if before:
                    tx.execute(before)
                tx.bulk_insert("written", rows(), chunk_size=size)
        assert stored(db, table="written") == []
        with db.transaction() as tx:
            tx.execute(before or "SELECT 1")
            tx.execute(change)
            assert tx.bulk_insert("written", [{"id": 1, "a": hostile}]).rowcount == 1
        assert stored(db, table="written") == [(1, hostile)]


def test_a_transaction_that_has_ended_takes_no_more(db: DatabaseManager) -> None:
    with db.transaction() as tx:
        tx.bulk_insert("t", [{"id": 1}])
    for call in (
        lambda: tx.bulk_insert("t", [{"id": 2}]),
        lambda: tx.execute_many("INSERT INTO t (id) VALUES (:id)", [{"id": 2}]),
        lambda: tx.insert("t", {"id": 2}),
    ):
        with pytest.raises(TransactionClosed):
            call()
    assert stored(db) == [(1, None)]


def test_tasks_that_inherit_a_transaction_take_turns_in_it(db: DatabaseManager) -> None:
    async def write(number: int) -> int:
        rows = [{"id": number * 100 + i, "a": number} for i in range(20)]
        result = await db.in_thread(lambda: db.bulk_insert("t", iter(rows), chunk_size=3))
        count: int = result.rowcount
        return count

    async def main(fails: bool) -> list[int]:
        async with db.transaction() as tx:
            counts = await asyncio.gather(*(write(number) for number in range(1, 5)))
            assert tx.fetch_value("SELECT COUNT(*) FROM t") == 80
            if fails:
                1 / 0
            return counts

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(True))
    assert stored(db) == []
    assert asyncio.run(main(False)) == [20] * 4
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 80


def test_a_task_that_fails_undoes_its_own_call(db: DatabaseManager) -> None:
    async def main() -> list[Any]:
        async with db.transaction():
            calls = [[{"id": 1}, {"id": 2}], [{"id": 3}, {"id": 3}], [{"id": 4}]]
            return await asyncio.gather(
                *(db.in_thread(db.bulk_insert, "t", rows) for rows in calls), return_exceptions=True
            )

    first, second, third = asyncio.run(main())
    assert (first.rowcount, third.rowcount) == (2, 1)
    assert isinstance(second, UniqueViolation)
    assert stored(db, "id") == [(1,), (2,), (4,)]


def test_memory_is_written_to_in_and_out_of_transactions() -> None:
    with DatabaseManager("sqlite://:memory:") as db:
        db.execute(f"CREATE TABLE t ({COLUMNS})")
        assert db.bulk_insert("t", ({"id": i} for i in range(3000))).rowcount == 3000
        with pytest.raises(ZeroDivisionError), db.transaction():
            db.bulk_insert("t", [{"id": -1}])
            1 / 0
        with pytest.raises(UniqueViolation):
            db.bulk_insert("t", [{"id": -1}, {"id": 1}])
        assert db.bulk_insert("t", [{"id": 1, "a": 1}, {"id": -1}], on_conflict="update").rowcount == 2
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 3001


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "postgresql"])
def test_a_read_only_transaction_refuses_rows(kind: str) -> None:
    with opened(kind) as db, table(db, COLUMNS):
        with pytest.raises(Error), db.transaction(read_only=True) as tx:
            tx.bulk_insert("t", [{"id": 1}])
        assert db.bulk_insert("t", [{"id": 1}]).rowcount == 1
        assert stored(db) == [(1, None)]


@pytest.mark.mssql_itself
def test_isolation_levels_are_kept(db: DatabaseManager) -> None:
    with db.transaction(isolation="SERIALIZABLE") as tx:
        assert tx.bulk_insert("t", [{"id": 1}]).rowcount == 1
        assert tx.bulk_insert("t", [{"id": 1, "a": 5}, {"id": 1, "a": 5}], on_conflict="update").rowcount == 1
    assert db.run_in_transaction(lambda tx: tx.bulk_insert("t", [{"id": 2}]).rowcount) == 1
    assert stored(db) == [(1, 5), (2, None)]
