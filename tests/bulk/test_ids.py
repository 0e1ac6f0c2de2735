"""The values that the database gives to rows, told in the order of the rows: `returning=` and insert()."""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import servers
from bulking import opened, stored, table
from nexusql import DatabaseManager, NotNullViolation, NotSupportedError, PerformanceWarning, UniqueViolation
from throwaway import MariaDB

pytestmark = pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning", "ignore::nexusql.TranslationWarning")

NUMBERED = {
    "sqlite": ["INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"],
    "postgresql": ["SERIAL PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"],
    "mysql": ["INTEGER PRIMARY KEY AUTO_INCREMENT", "BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT"],
    "as mysql": ["INTEGER PRIMARY KEY AUTO_INCREMENT"],
}
CONFLICTS: list[Any] = [None, "update", "ignore"]


class Place(NamedTuple):
    """A database; `kind` may be "as mysql", a MariaDB that says it is MySQL 8.0.18 and is treated so."""

    db: DatabaseManager
    kind: str

    @property
    def numbered(self) -> str:
        return NUMBERED[self.kind][0]


@pytest.fixture(scope="module", params=[*servers.KINDS, "as mysql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "as mysql":
        with MariaDB(version="8.0.18") as server, DatabaseManager(server.url) as db:
            assert db.fetch_value("SELECT VERSION()") == "8.0.18"
            yield Place(db, request.param)
    else:
        with opened(request.param) as db:
            yield Place(db, request.param)


def by_id(db: DatabaseManager, columns: str = "a") -> dict[Any, Any]:
    return {row[0]: row[1] for row in stored(db, f"id, {columns}")}


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("size", [None, 1, 7])
def test_numbers_come_in_the_order_of_the_rows(place: Place, which: int, size: int | None) -> None:
    db = place.db
    with table(db, f"id {NUMBERED[place.kind][which]}, a INTEGER"):
        values = [(i * 37) % 100 for i in range(100)]
        first = db.bulk_insert("t", ({"a": value} for value in values), returning="id", chunk_size=size)
        again = db.bulk_insert("t", [(value,) for value in values], columns=["a"], returning="ID", chunk_size=size)
        assert len({*first.ids, *again.ids}) == 200
        found = by_id(db)
        assert [found[number] for number in first.ids] == values
        assert [found[number] for number in again.ids] == values
        assert first.rowcount == again.rowcount == 100


def test_rows_of_different_columns_have_their_ids_in_order(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER, b INTEGER"):
        shapes: list[dict[str, Any]] = [{"id": 0}, {}, {}, {"b": 0}, {}, {}]
        rows = [{**row, "a": i} for i, row in enumerate(shapes * 10)]
        for i in range(0, 60, 6):
            rows[i]["id"] = 1000 * (i + 1)
        for size in (None, 4):
            db.execute("DELETE FROM t")
            result = db.bulk_insert("t", rows, returning="id", chunk_size=size)
            found = by_id(db)
            assert [found[number] for number in result.ids] == list(range(60))
            assert result.ids[::6] == [1000 * (i + 1) for i in range(0, 60, 6)]


def test_ids_that_are_given_come_back_as_they_are(place: Place) -> None:
    db = place.db
    with table(db, "id INTEGER PRIMARY KEY, a VARCHAR(9)"):
        result = db.bulk_insert("t", [{"id": 5, "a": "x"}, {"id": 3, "a": "y"}], returning="id")
        assert result.ids == [5, 3]
        assert db.bulk_insert("t", [{"id": 6, "a": "x"}, {"id": 7, "a": "y"}], returning="a").ids == ["x", "y"]
        assert db.bulk_insert("t", [{"id": 8, "a": None}], returning="a").ids == [None]
        assert db.bulk_insert("t", [{"id": 9}]).ids == []
        assert db.bulk_insert("t", [], returning="id").ids == []


def test_none_for_a_number_that_the_database_gives_is_no_id(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER"):
        rows = [{"id": 5, "a": 1}, {"id": None, "a": 2}, {"id": None, "a": 3}]
        if place.kind == "as mysql":
            with pytest.raises(NotSupportedError, match=r"mysql does not tell the value of 'id' .*; leave it out"):
                db.bulk_insert("t", rows, returning="id")
            assert stored(db) == []
        elif place.kind == "postgresql":
            with pytest.raises(NotNullViolation):
                db.bulk_insert("t", rows, returning="id")
        else:
            result = db.bulk_insert("t", rows, returning="id")
            assert [by_id(db)[number] for number in result.ids] == [1, 2, 3]


def test_an_empty_row_has_an_id(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER DEFAULT 4"):
        result = db.bulk_insert("t", [{}, {}, {"a": 5}, {}], returning="id")
        found = by_id(db)
        assert [found[number] for number in result.ids] == [4, 4, 5, 4]


def test_values_that_a_default_makes(place: Place) -> None:
    db = place.db
    with table(db, "id VARCHAR(36) PRIMARY KEY DEFAULT gen_random_uuid(), a INTEGER"):
        if place.kind == "as mysql":
            with pytest.raises(NotSupportedError, match="mysql does not tell the value of 'id'"):
                db.bulk_insert("t", [{"a": 1}], returning="id")
            with pytest.raises(NotSupportedError, match="mysql does not tell the 'id' that it gives to a row"):
                db.insert("t", {"a": 1})
            assert stored(db) == []
            given = str(uuid.uuid4())
            assert db.insert("t", {"a": 1, "id": given}) == given
            return
        for action in CONFLICTS[:2]:
            result = db.bulk_insert("t", [{"a": 1}, {"a": 2}, {"a": 3}], returning="id", on_conflict=action)
            found = by_id(db)
            assert [found[number] for number in result.ids] == [1, 2, 3]
            assert len({uuid.UUID(number) for number in result.ids}) == 3
        key = db.insert("t", {"a": 9})
        assert by_id(db)[key] == 9


def test_ignored_rows_have_none(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER UNIQUE, b INTEGER"):
        (old,) = db.bulk_insert("t", [{"a": 1, "b": 0}], returning="id").ids
        rows = [{"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 3}, {"a": None, "b": 4}, {"a": None, "b": 5}]
        for size in (None, 1, 2):
            db.execute("DELETE FROM t WHERE id <> :id", {"id": old})
            options: dict[str, Any] = {"on_conflict": "ignore", "chunk_size": size, "returning": "id"}
            result = db.bulk_insert("t", rows, **options)
            found = by_id(db, "b")
            assert result.rowcount == 3
            assert [number and found[number] for number in result.ids] == [1, None, None, 4, 5]


@pytest.mark.parametrize("returning", ["a", "c"])
def test_what_repeats_or_is_null_may_be_asked_for_where_rows_are_ignored(place: Place, returning: str) -> None:
    db = place.db
    with table(db, "id INTEGER PRIMARY KEY, a INTEGER, c INTEGER"):
        rows = [{"id": i // 2, "a": 5, "c": None if i % 2 else 6} for i in range(6)]
        result = db.bulk_insert("t", rows, on_conflict="ignore", returning=returning)
        assert (result.rowcount, result.ids) == (3, [{"a": 5, "c": 6}[returning], None] * 3)


def test_updated_rows_have_the_id_that_they_had(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER UNIQUE, b INTEGER"):
        old = db.bulk_insert("t", [{"a": 1, "b": 0}, {"a": 2, "b": 0}], returning="id").ids
        rows = [{"a": 3, "b": 1}, {"a": 1, "b": 2}, {"a": 3, "b": 3}, {"a": None, "b": 4}, {"b": 5, "a": 2}]
        for size in (None, 1, 2):
            options: dict[str, Any] = {"on_conflict": "update", "conflict_columns": ["a"], "returning": "id"}
            result = db.bulk_insert("t", rows, chunk_size=size, **options)
            found = by_id(db, "b")
            assert (result.ids[1], result.ids[4]) == tuple(old)
            assert result.ids[0] == result.ids[2]
            assert [found[number] for number in result.ids] == [3, 2, 3, 4, 5]
            assert result.rowcount == 4
            db.execute("DELETE FROM t WHERE a IS NULL")


def test_of_a_composite_key_one_part_may_be_numbered(place: Place) -> None:
    db = place.db
    part = {
        "sqlite": "id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, UNIQUE (id, a)",
        "postgresql": "id SERIAL, a INTEGER, b INTEGER, PRIMARY KEY (id, a)",
    }.get(place.kind, "id INTEGER AUTO_INCREMENT, a INTEGER, b INTEGER, PRIMARY KEY (id, a)")
    with table(db, part):
        result = db.bulk_insert("t", [{"a": 1, "b": 5}, {"a": 2, "b": 6}], returning="id")
        assert [by_id(db, "b")[number] for number in result.ids] == [5, 6]
        number = db.insert("t", {"a": 1, "b": 9})
        assert by_id(db, "b")[number] == 9


def test_triggers_that_insert_elsewhere_do_not_confuse_ids(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER"), table(db, f"id {place.numbered}, n INTEGER", "log_"):
        db.bulk_insert("log_", [{"n": i} for i in range(50)])  # so that its numbers are others
        if place.kind == "postgresql":
            db.execute(
                "CREATE FUNCTION logged() RETURNS trigger AS $$ BEGIN"
                " INSERT INTO log_ (n) VALUES (NEW.id); RETURN NEW; END $$ LANGUAGE plpgsql"
            )
            db.execute("CREATE TRIGGER watch AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION logged()")
        elif place.kind == "sqlite":
            db.execute("CREATE TRIGGER watch AFTER INSERT ON t BEGIN INSERT INTO log_ (n) VALUES (NEW.id); END")
        else:
            db.execute("CREATE TRIGGER watch AFTER INSERT ON t FOR EACH ROW INSERT INTO log_ (n) VALUES (NEW.id)")
        for action in CONFLICTS:
            result = db.bulk_insert("t", [{"a": i} for i in range(10)], returning="id", on_conflict=action)
            found = by_id(db)
            assert [found[number] for number in result.ids] == list(range(10))
        assert found[max(found)] == 9
        key = db.insert("t", {"a": 77})
        assert by_id(db)[key] == 77
        assert db.fetch_value("SELECT COUNT(*) FROM log_") == 81


def test_numbers_may_go_up_by_more_than_one(place: Place) -> None:
    db = place.db
    if place.kind == "sqlite":
        columns = "id INTEGER PRIMARY KEY, a INTEGER"
    elif place.kind == "postgresql":
        columns = "id INTEGER GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 5 START WITH 3) PRIMARY KEY, a INTEGER"
    else:
        columns = f"id {place.numbered}, a INTEGER"
    with table(db, columns):
        with db.transaction() as tx:
            if "mysql" in place.kind:
                tx.execute("SET SESSION auto_increment_increment = 5, auto_increment_offset = 3")
            result = tx.bulk_insert("t", [{"a": i} for i in range(20)], returning="id", chunk_size=8)
        assert [by_id(db)[number] for number in result.ids] == list(range(20))
        if place.kind != "sqlite":
            assert result.ids == list(range(3, 103, 5))


def test_a_sequence_that_is_behind_is_an_error_and_not_another_rows_id(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id SERIAL PRIMARY KEY, a INTEGER"):
        postgresql.bulk_insert("t", [{"id": 2, "a": 0}])
        with pytest.raises(UniqueViolation):
            postgresql.bulk_insert("t", [{"a": 1}, {"a": 2}], returning="id")
        assert by_id(postgresql) == {2: 0}


def test_what_a_trigger_makes_of_a_row_is_what_is_told(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id SERIAL PRIMARY KEY, a INTEGER UNIQUE"):
        postgresql.execute(
            "CREATE FUNCTION odd() RETURNS trigger AS $$ BEGIN IF NEW.a = 2 THEN RETURN NULL; END IF;"
            " NEW.a := NEW.a * 10; RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        postgresql.execute("CREATE TRIGGER change BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION odd()")
        rows = [{"a": 1}, {"a": 2}, {"a": 3}]
        assert postgresql.bulk_insert("t", rows).strategy == "copy"
        for action in CONFLICTS:
            postgresql.execute("DELETE FROM t")
            result = postgresql.bulk_insert("t", rows, on_conflict=action, returning="a")
            assert (result.strategy, result.rowcount, result.ids) == ("rows", 2, [10, None, 30])
        assert postgresql.bulk_insert("t", [{"a": 5}, {"a": 6}], returning="id").strategy == "copy"


# insert()


def test_insert_gives_the_key(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER DEFAULT 4, b VARCHAR(9)"):
        first = db.insert("t", {"b": "x"})
        assert by_id(db, "b") == {first: "x"}
        assert db.insert("t", {"id": 1000, "b": "y"}) == 1000
        assert db.insert("t", {}) not in (first, 1000)
        assert db.insert("t", {"B": "z"}, returning="a") == 4
        assert db.insert("t", {"b": "z"}, returning=["a", "B"]) == {"a": 4, "b": "z"}
        assert db.insert("t", {"b": "z"}, returning=()) == {}
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 6


def test_insert_gives_a_given_key_of_any_type(place: Place) -> None:
    db = place.db
    with table(db, "name VARCHAR(9) PRIMARY KEY, a INTEGER"):
        assert db.insert("t", {"name": "x", "a": 1}) == "x"
        assert db.insert("t", {"a": 2, "name": "y"}, returning=("a", "name")) == {"a": 2, "name": "y"}


def test_insert_without_a_key_gives_none(place: Place) -> None:
    db = place.db
    with table(db, "a INTEGER, b INTEGER"):
        assert db.insert("t", {"a": 1}) is None
    with table(db, "a INTEGER, b INTEGER, PRIMARY KEY (a, b)"):
        assert db.insert("t", {"a": 1, "b": 2}) is None
        if place.kind != "as mysql":
            assert db.insert("t", {"a": 1, "b": 3}, returning=["a", "b"]) == {"a": 1, "b": 3}
        else:
            with pytest.raises(NotSupportedError, match="t has no key by which the new row could be found again"):
                db.insert("t", {"a": 1, "b": 3}, returning=["a", "b"])
        assert len(stored(db, order="a")) == (1 if place.kind == "as mysql" else 2)


def test_insert_takes_part_in_a_transaction(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER UNIQUE"):
        with pytest.raises(ZeroDivisionError), db.transaction() as tx:
            assert tx.insert("t", {"a": 1}) is not None
            assert db.insert("t", {"a": 2}) is not None
            1 / 0
        assert stored(db) == []


def test_what_takes_a_statement_for_each_row_is_told_once(place: Place) -> None:
    db = place.db
    with table(db, f"id {place.numbered}, a INTEGER UNIQUE", "slowly"):
        options: dict[str, Any] = {"on_conflict": "ignore", "returning": "id"}
        if "mysql" in place.kind:
            with pytest.warns(PerformanceWarning, match="each row takes a statement of its own"):
                db.bulk_insert("slowly", [{"a": 1}], **options)
        assert db.bulk_insert("slowly", [{"a": 2}], **options).rowcount == 1
