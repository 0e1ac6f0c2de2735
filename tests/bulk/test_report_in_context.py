"""on_error="report" with everything else: sources that fail, open transactions, ids, conflicts, shapes, progress."""

import dataclasses
import random
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import poison
from nexusql import DatabaseManager
from nexusql.errors import (
    Error,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    ParameterError,
    PerformanceWarning,
    TranslationWarning,
    UniqueViolation,
)
from nexusql.results import BulkResult
from poison import TAKEN, good, rows, stored
from settling import in_use

CHUNK = 50


@pytest.fixture
def items(kind: str) -> Iterator[DatabaseManager]:
    with poison.item_table(kind) as manager:
        yield manager


class Stop(Exception):
    """What a source or a progress function raises."""


def failing_after(count: int, error: BaseException, bad: dict[int, str] | None = None) -> Iterator[Any]:
    yield from rows(count, bad or {})
    raise error


# The source of the rows.


COUNTS = (0, 1, 120, 3 * CHUNK)


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_what_a_source_raises_undoes_all(kind: str, items: DatabaseManager, error: type[BaseException]) -> None:
    for count in COUNTS:
        with pytest.raises(error):
            items.bulk_insert("item", failing_after(count, error()), chunk_size=CHUNK)
        assert stored(items) == []
        assert in_use(items) == 0
    assert items.bulk_insert("item", [good(1)]).rowcount == 1


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_what_a_source_raises_leaves_the_chunks_before_and_says_so(
    kind: str, items: DatabaseManager, error: type[BaseException]
) -> None:
    for count in COUNTS:
        raised = error()
        with pytest.raises(error) as caught:
            items.bulk_insert("item", failing_after(count, raised, {7: "null"}), on_error="report", chunk_size=CHUNK)
        assert caught.value is raised
        partial: BulkResult = caught.value.partial  # type: ignore[attr-defined]
        whole = count // CHUNK * CHUNK
        bad = [7] if whole else []
        assert (partial.done, partial.rowcount) == (whole, whole - len(bad))
        assert [refused.index for refused in partial.errors] == bad
        assert stored(items) == [number for number in range(whole) if number not in bad]
        assert in_use(items) == 0
        poison.empty(items)


def test_an_error_of_nexusql_that_a_source_raises_is_no_row_of_the_chunk(kind: str, items: DatabaseManager) -> None:
    for error in (IntegrityError("theirs"), ParameterError("theirs")):
        with pytest.raises(type(error)) as caught:
            items.bulk_insert("item", failing_after(70, error), on_error="report", chunk_size=CHUNK)
        assert caught.value is error
        assert isinstance(error.partial, BulkResult)
        assert (error.partial.done, error.partial.errors) == (CHUNK, [])
        assert stored(items) == list(range(CHUNK))
        poison.empty(items)


def test_what_progress_raises_undoes_all_even_at_the_end(kind: str, items: DatabaseManager) -> None:
    def progress(done: int) -> None:
        if done == 2 * CHUNK:
            raise Stop

    with pytest.raises(Stop):
        items.bulk_insert("item", rows(2 * CHUNK, {}), chunk_size=CHUNK, progress=progress)
    assert stored(items) == []


def test_progress_counts_all_rows_bad_ones_too(kind: str, items: DatabaseManager) -> None:
    calls: list[int] = []
    given = rows(120, {0: "null", 60: "type", 61: "key", 119: "unique"})
    items.bulk_insert("item", iter(given), on_error="report", chunk_size=CHUNK, progress=calls.append)
    assert calls == [50, 100, 120]
    calls.clear()
    items.bulk_insert(
        "item", rows(200, dict.fromkeys(range(200), "type")), on_error="report", chunk_size=CHUNK, progress=calls.append
    )
    assert calls[:4] == [50, 100, 150, 200]


@dataclasses.dataclass
class Item:
    id: Any
    name: Any
    amount: Any = 0
    owner: Any = 1


class Named(NamedTuple):
    id: Any
    name: Any
    amount: Any = 0
    owner: Any = 1


@pytest.mark.parametrize("make", [Item, Named, lambda *values: UserDict(zip(("id", "name"), values, strict=True))])
def test_rows_of_each_kind_are_halved_as_well_as_dicts(
    kind: str, items: DatabaseManager, make: Callable[..., Any]
) -> None:
    given = [make(number, None if number in (3, 90) else "x") for number in range(100)]
    given[50] = 7
    result = items.bulk_insert("item", given, on_error="report")
    assert [refused.index for refused in result.errors] == [3, 50, 90]
    assert result.errors[1].row == 7
    assert result.rowcount == 97
    assert items.fetch_value("SELECT COUNT(*) FROM item WHERE id >= 0") == 97


def test_a_first_row_that_is_none_is_a_bad_row_too(kind: str, items: DatabaseManager) -> None:
    given = [None, 1, *(Item(number, "x") for number in range(3))]
    result = items.bulk_insert("item", given, on_error="report")
    assert [refused.index for refused in result.errors] == [0, 1]
    assert result.rowcount == 3


def test_rows_of_many_shapes_are_told_by_their_own_index(kind: str, items: DatabaseManager) -> None:
    given: list[dict[str, Any]] = []
    for number in range(200):
        row = good(number)
        if number % 3 == 1:
            del row["amount"]
        if number % 3 == 2:
            del row["owner"]
        given.append(row)
    bad = (0, 1, 2, 100, 199)
    for number in bad:
        given[number]["name"] = None
    result = items.bulk_insert("item", given, on_error="report", chunk_size=64, returning="id")
    assert [refused.index for refused in result.errors] == list(bad)
    assert result.ids == [None if number in bad else number for number in range(200)]
    assert items.fetch_value("SELECT COUNT(*) FROM item WHERE id >= 0") == 195


# Ids and conflicts.


def test_ids_are_none_where_a_row_was_refused(kind: str, items: DatabaseManager) -> None:
    some: list[dict[int, str]] = [{}, {0: "null"}, {99: "check"}, {0: "type", 1: "trigger", 50: "none", 99: "key"}]
    for bad in some:
        result = items.bulk_insert("item", rows(100, bad), on_error="report", returning="id", chunk_size=CHUNK)
        assert result.ids == [None if number in bad else number for number in range(100)]
        assert stored(items) == [number for number in range(100) if number not in bad]
        poison.empty(items)


def test_drawn_ids_are_those_of_the_rows(kind: str, items: DatabaseManager) -> None:
    items.execute("CREATE TABLE note (id SERIAL PRIMARY KEY, text VARCHAR(100) NOT NULL)")
    given = [{"text": None if number in (3, 4, 40) else f"note {number}"} for number in range(60)]
    result = items.bulk_insert("note", given, on_error="report", returning="id", chunk_size=25)
    assert [refused.index for refused in result.errors] == [3, 4, 40]
    texts = {row["id"]: row["text"] for row in items.execute("SELECT id, text FROM note")}
    assert [texts.get(key) for key in result.ids] == [row["text"] for row in given]
    assert len(texts) == 57


@pytest.mark.mssql_itself
@pytest.mark.parametrize("returning", [None, "id"])
@pytest.mark.filterwarnings("ignore:item is not written to the fastest way")
def test_with_conflicts_ignored_only_real_faults_are_reported(
    kind: str, items: DatabaseManager, returning: str | None
) -> None:
    items.bulk_insert("item", [good(number) for number in range(0, 100, 10)])
    bad = {3: "null", 4: "check", 77: "reference", 99: "trigger"}
    result = items.bulk_insert(
        "item", rows(100, bad), on_error="report", on_conflict="ignore", chunk_size=CHUNK, returning=returning
    )
    assert [refused.index for refused in result.errors] == sorted(bad)
    assert result.rowcount == 100 - 10 - len(bad)
    assert result.done == 100
    assert stored(items) == [number for number in range(100) if number not in bad]
    if returning:
        left_out = {*range(0, 100, 10), *bad}
        assert result.ids == [None if number in left_out else number for number in range(100)]


@pytest.mark.mssql_itself
@pytest.mark.filterwarnings("ignore:item is not written to the fastest way")
def test_an_upsert_reports_what_it_cannot_store_and_the_last_of_the_good_wins(
    kind: str, items: DatabaseManager
) -> None:
    items.bulk_insert("item", [{"id": number, "name": "old"} for number in range(20)])
    given: list[dict[str, Any]] = []
    for round_ in range(3):
        given += [{**good(number), "amount": round_} for number in range(20)]
    given[40 + 5]["amount"] = -1
    given[40 + 6]["name"] = None
    given[20 + 6]["owner"] = 99
    result = items.bulk_insert("item", given, on_error="report", on_conflict="update", chunk_size=17)
    assert [refused.index for refused in result.errors] == [26, 45, 46]
    expected = dict.fromkeys(range(20), 2) | {5: 1, 6: 0}
    found = items.execute("SELECT id, amount FROM item WHERE id >= 0")
    assert {row["id"]: row["amount"] for row in found} == expected


# Inside an open transaction.


def test_in_an_open_transaction_the_block_goes_on(kind: str, items: DatabaseManager) -> None:
    # On SQL Server a value that cannot be converted ends the transaction.
    bad = {0: "null", 60: "check" if kind == "mssql" else "data", 61: "type", 119: "trigger"}
    with items.transaction() as tx:
        tx.execute("INSERT INTO item (id, name, amount, owner) VALUES (500, 'item 500', 3, 1)")
        result = tx.bulk_insert("item", rows(120, bad), on_error="report", chunk_size=CHUNK)
        assert [refused.index for refused in result.errors] == sorted(bad)
        tx.execute("INSERT INTO item (id, name, amount, owner) VALUES (501, 'item 501', 4, 1)")
    assert stored(items) == [*(number for number in range(120) if number not in bad), 500, 501]


def test_what_it_stores_in_an_open_transaction_goes_with_it(kind: str, items: DatabaseManager) -> None:
    with pytest.raises(Stop), items.transaction():
        result = items.bulk_insert("item", rows(120, {7: "null"}), on_error="report", chunk_size=CHUNK)
        assert result.rowcount == 119
        raise Stop
    assert stored(items) == []


@pytest.mark.parametrize("mode", ["raise", "report"])
def test_an_error_in_an_open_transaction_undoes_its_own_part(kind: str, items: DatabaseManager, mode: Any) -> None:
    with items.transaction() as tx:
        tx.execute("INSERT INTO item (id, name, amount, owner) VALUES (500, 'item 500', 3, 1)")
        with pytest.raises(Stop) as caught:
            tx.bulk_insert("item", failing_after(120, Stop()), on_error=mode, chunk_size=CHUNK)
        tx.execute("INSERT INTO item (id, name, amount, owner) VALUES (501, 'item 501', 4, 1)")
    kept = 100 if mode == "report" else 0
    assert stored(items) == [*range(kept), 500, 501]
    if mode == "report":
        assert caught.value.partial.done == kept  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_trigger_that_rolls_the_open_transaction_back_ends_the_call(kind: str, items: DatabaseManager) -> None:
    items.execute(
        "CREATE TRIGGER item_end BEFORE INSERT ON item WHEN NEW.id = 70 BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END"
    )
    with pytest.raises(IntegrityError, match="all of it") as caught, items.transaction() as tx:
        tx.bulk_insert("item", rows(120, {}), on_error="report", chunk_size=CHUNK)
    assert isinstance(caught.value.partial, BulkResult)
    assert (caught.value.partial.done, caught.value.partial.rowcount) == (0, 0)
    assert stored(items) == []
    result = items.bulk_insert("item", rows(120, {}), on_error="report", chunk_size=CHUNK)
    assert [refused.index for refused in result.errors] == [70]
    assert stored(items) == [number for number in range(120) if number != 70]


# What a server finds out late, or in its own way.


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)
def test_a_deferred_constraint_that_fails_at_the_commit_is_a_bad_row(kind: str, items: DatabaseManager) -> None:
    items.execute(
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    given = [{"id": number, "owner": 99 if number in (5, 70) else 1} for number in range(100)]
    result = items.bulk_insert("pet", given, on_error="report", chunk_size=CHUNK)
    assert [(refused.index, type(refused.error).__name__) for refused in result.errors] == [
        (5, "ForeignKeyViolation"),
        (70, "ForeignKeyViolation"),
    ]
    assert items.fetch_value("SELECT COUNT(*) FROM pet") == result.rowcount == 98
    with pytest.raises(ForeignKeyViolation):
        items.bulk_insert("pet", [{"id": 200, "owner": 1}, {"id": 201, "owner": 99}])
    assert items.fetch_value("SELECT COUNT(*) FROM pet") == 98


RAISED = {
    "a code of its own": "RAISE EXCEPTION 'no' USING ERRCODE = 'XX123'",
    "a privilege's code": "RAISE EXCEPTION 'no' USING ERRCODE = '42501'",
    "an assertion": "ASSERT FALSE",
    "a query without rows": "SELECT 1 INTO STRICT NEW.amount WHERE FALSE",
    "a division": "NEW.amount := 1 / 0",
    "a cast": "NEW.amount := 'many'",
}


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", RAISED.values(), ids=RAISED)
def test_whatever_a_trigger_raises_for_a_row_is_that_rows(kind: str, items: DatabaseManager, statement: str) -> None:
    items.execute(
        "CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.id = 30 THEN {statement}; END IF; RETURN NEW; END $$"
    )
    items.execute("CREATE TRIGGER picky BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION pick()")
    result = items.bulk_insert("item", rows(60, {}), on_error="report")
    assert [refused.index for refused in result.errors] == [30]
    assert stored(items) == [number for number in range(60) if number != 30]


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_trigger_that_asks_for_another_try_is_no_rows_fault(kind: str, items: DatabaseManager) -> None:
    items.execute(
        "CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 30 THEN RAISE EXCEPTION 'later' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$"
    )
    items.execute("CREATE TRIGGER picky BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION pick()")
    with pytest.raises(Error, match="later") as caught:
        items.bulk_insert("item", rows(60, {}), on_error="report", chunk_size=20)
    assert isinstance(caught.value.partial, BulkResult)
    assert caught.value.partial.done == 20


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
@pytest.mark.parametrize("more", ["", ", MYSQL_ERRNO = 30001"])
def test_a_signal_of_any_number_is_the_rows(kind: str, items: DatabaseManager, more: str) -> None:
    items.execute(
        "CREATE TRIGGER picky BEFORE INSERT ON item FOR EACH ROW IF NEW.id = 30 THEN"
        f" SIGNAL SQLSTATE '45001' SET MESSAGE_TEXT = 'no'{more}; END IF"
    )
    result = items.bulk_insert("item", rows(60, {}), on_error="report")
    assert [refused.index for refused in result.errors] == [30]


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_a_row_without_a_partition_is_a_bad_row(kind: str, items: DatabaseManager) -> None:
    items.execute(
        "CREATE TABLE part (id INT PRIMARY KEY) ENGINE=InnoDB"
        " PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (50))"
    )
    result = items.bulk_insert("part", [{"id": number * 9} for number in range(7)], on_error="report")
    assert [refused.index for refused in result.errors] == [6]
    assert items.fetch_value("SELECT COUNT(*) FROM part") == 6


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_value_too_long_for_an_index_is_a_bad_row(kind: str, items: DatabaseManager) -> None:
    items.execute("CREATE TABLE word (id INT, word TEXT UNIQUE)")
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    given = [{"id": number, "word": noise if number == 8 else str(number)} for number in range(20)]
    result = items.bulk_insert("word", given, on_error="report")
    assert [refused.index for refused in result.errors] == [8]


def test_a_bad_row_alone_is_reported(kind: str, items: DatabaseManager) -> None:
    result = items.bulk_insert("item", [{"id": TAKEN, "name": "x"}], on_error="report", returning="id")
    assert isinstance(result.errors[0].error, UniqueViolation)
    assert (result.rowcount, result.ids, result.done) == (0, [None], 1)
    result = items.bulk_insert("item", [{"id": 1, "name": None}], on_error="report", chunk_size=1)
    assert isinstance(result.errors[0].error, NotNullViolation)


def test_no_rows_are_no_errors(kind: str, items: DatabaseManager) -> None:
    result = items.bulk_insert("item", [], on_error="report", returning="id")
    assert (result.rowcount, result.errors, result.ids, result.done, result.strategy) == (0, [], [], 0, "none")


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
@pytest.mark.parametrize("engine", ["MyISAM", "MEMORY"])
@pytest.mark.parametrize("unique", ["", " UNIQUE"])
def test_an_engine_that_undoes_nothing_gets_each_row_alone_and_a_warning(
    kind: str, items: DatabaseManager, engine: str, unique: str
) -> None:
    items.execute(f"CREATE TABLE old (id INT NOT NULL{unique}, name VARCHAR(10) NOT NULL) ENGINE={engine}")
    given: list[dict[str, Any]] = [{"id": number, "name": "x"} for number in range(30)]
    given[7]["id"] = None if not unique else 3
    given[20]["name"] = "too long for it"
    with pytest.warns(PerformanceWarning, match="undoes nothing"), pytest.warns(TranslationWarning, match="stays"):
        result = items.bulk_insert("old", given, on_error="report")
    assert [refused.index for refused in result.errors] == [7, 20]
    expected = [number for number in range(30) if number not in (7, 20)]
    assert [row["id"] for row in items.execute("SELECT id FROM old ORDER BY id")] == expected
    assert (result.rowcount, result.strategy) == (28, "rows")
    items.execute("DELETE FROM old")
    with pytest.raises(Error):
        items.bulk_insert("old", given)
    assert [row["id"] for row in items.execute("SELECT id FROM old ORDER BY id")] == list(range(7))
