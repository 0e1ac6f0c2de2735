"""What a stream gives: the rows that execute gives, a chunk at a time."""

import warnings
from collections.abc import Sequence
from typing import Any

import pytest

from nexusql import DatabaseManager
from nexusql.errors import (
    DataError,
    DuplicateColumnWarning,
    InterfaceError,
    NotConnectedError,
    ParameterError,
    ParameterWarning,
    ProgrammingError,
    SQLSyntaxError,
    TranslationError,
    TranslationWarning,
    UndefinedTable,
)
from nexusql.stream import InTransaction, Stream, outside
from settling import in_use
from stream_tables import COUNT, OVERFLOWS

IN_ORDER = "SELECT i, t FROM numbers ORDER BY i"


def test_a_stream_gives_the_rows_that_execute_gives(numbers: DatabaseManager) -> None:
    with numbers.stream(IN_ORDER) as rows:
        assert list(rows) == numbers.execute(IN_ORDER)
        assert rows.columns == ("i", "t")
    assert in_use(numbers) == 0


def test_it_needs_no_with_and_gives_its_connection_back_with_the_last_row(numbers: DatabaseManager) -> None:
    assert sum(row["i"] for row in numbers.stream(IN_ORDER)) == COUNT * (COUNT - 1) // 2
    assert in_use(numbers) == 0


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_no_row_is_lost_or_given_twice_at_the_border_of_two_chunks(numbers: DatabaseManager, chunk_size: int) -> None:
    for limit in (0, 1, chunk_size - 1, chunk_size, chunk_size + 1, 2 * chunk_size, 2 * chunk_size + 1):
        rows = numbers.stream(f"SELECT i FROM numbers WHERE i < {limit} ORDER BY i", chunk_size=chunk_size)
        assert [row["i"] for row in rows] == list(range(limit))
        assert list(rows) == []
    assert in_use(numbers) == 0


def test_it_is_an_iterator(numbers: DatabaseManager) -> None:
    with numbers.stream(IN_ORDER, chunk_size=10) as rows:
        assert iter(rows) is rows
        assert next(rows)["i"] == 0
        for row in rows:
            if row["i"] == 25:
                break
        assert [row["i"] for row in rows] == list(range(26, COUNT))
        with pytest.raises(StopIteration):
            next(rows)
        with pytest.raises(StopIteration):
            next(rows)


def test_open_fetch_and_close_can_be_called_one_by_one(numbers: DatabaseManager) -> None:
    rows = numbers.stream(IN_ORDER, chunk_size=2000)
    assert rows.columns == ()
    assert rows.open() is rows
    assert rows.open().columns == ("i", "t")
    assert next(rows)["i"] == 0
    assert [len(rows.fetch()) for _ in range(5)] == [1999, 2000, 1000, 0, 0]
    rows.close()
    assert rows.fetch() == []
    assert in_use(numbers) == 0


def test_nothing_is_run_before_the_first_row_is_asked_for(own: DatabaseManager) -> None:
    rows = own.stream("SELECT i FROM numbers WHERE i = -1")
    assert in_use(own) == 0
    own.execute("INSERT INTO numbers (i) VALUES (-1)")
    assert list(rows) == [{"i": -1}]


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT i FROM numbers WHERE i < :a OR i = :b ORDER BY i", {"a": 3, "b": 10}),
        ("SELECT i FROM numbers WHERE i < ? ORDER BY i", [3]),
        ("SELECT i FROM numbers WHERE i < %s ORDER BY i", (3,)),
        ("SELECT i FROM numbers WHERE i IN (:some) ORDER BY i", {"some": [1, 2, 3]}),
        ("SELECT i FROM numbers WHERE i IN (:none)", {"none": []}),
        ("SELECT i FROM numbers WHERE i IN (:many) ORDER BY i", {"many": list(range(70_000))}),
        ("SELECT i % 2 AS odd, 'a%' AS p FROM numbers WHERE i < :a ORDER BY i", {"a": 3}),
        ("SELECT i % 2 AS odd, 'a%' AS p FROM numbers WHERE i < 3 ORDER BY i", None),
        ("SELECT i FROM numbers WHERE i = 1; -- the end", None),
        ("SELECT i /* ; */ FROM numbers WHERE i = :a ;\n-- the :end", {"a": 1}),
        ("SELECT i FROM numbers WHERE i = 1 UNION ALL SELECT 2", None),
        ("WITH w AS (SELECT i FROM numbers WHERE i < 5) SELECT i FROM w ORDER BY i", None),
        ("SELECT CAST(:v AS VARCHAR(20)) AS v", {"v": "it's \\ :v %s"}),
        ("SELECT t::text AS t FROM numbers WHERE i = 1", None),
        ("SELECT MAX(i) AS m FROM numbers", None),
    ],
)
def test_it_is_bound_and_translated_like_any_statement(numbers: DatabaseManager, sql: str, params: Any) -> None:
    expected = numbers.execute(sql, params)
    assert list(numbers.stream(sql, params)) == expected
    with numbers.transaction() as tx:
        assert list(tx.stream(sql, params, chunk_size=2)) == expected


def test_a_missing_parameter_a_second_statement_and_a_bad_chunk_size_are_errors_at_once(db: DatabaseManager) -> None:
    with pytest.raises(ParameterError, match=":a at line 1"):
        db.stream("SELECT :a AS a", {"b": 1})
    with pytest.raises(SQLSyntaxError):
        db.stream("SELECT 1; SELECT 2")
    for wrong in (0, -1, True, 1.5, "10", None, 2**31):
        with pytest.raises(ParameterError, match="chunk_size is the number of rows"):
            db.stream("SELECT 1", chunk_size=wrong)  # type: ignore[arg-type]
    with pytest.raises(ProgrammingError, match="COMMIT gives no rows"):
        db.stream("COMMIT")
    assert in_use(db) == 0


def test_without_a_connection_it_says_so(database_url: str) -> None:
    db = DatabaseManager(database_url)
    with pytest.raises(NotConnectedError):
        db.stream("SELECT 1")
    with db:
        rows = db.stream("SELECT 1 AS a")
    with pytest.raises(NotConnectedError):
        next(rows)


def test_an_error_of_the_statement_is_raised_when_it_is_run(numbers: DatabaseManager) -> None:
    sql = "SELECT i FROM no_such_table"
    for _ in range(3):
        with pytest.raises(UndefinedTable) as caught, numbers.stream(sql):
            pass
        assert caught.value.sql == sql
        with pytest.raises(UndefinedTable):
            next(numbers.stream(sql))
    assert in_use(numbers) == 0


@pytest.mark.parametrize("chunk_size", [10, 1000, 10_000])
def test_an_error_in_the_middle_is_an_error_and_stays_one(numbers: DatabaseManager, kind: str, chunk_size: int) -> None:
    rows = numbers.stream(OVERFLOWS[kind], chunk_size=chunk_size)
    found = []
    with pytest.raises(Exception, match=r"overflow|out of range") as caught:
        for row in rows:
            found.append(row["i"])
    assert isinstance(caught.value, (DataError, ProgrammingError)) or kind == "sqlite"
    assert found == list(range(len(found)))
    assert len(found) < COUNT
    for _ in range(2):
        with pytest.raises(type(caught.value)) as again:
            next(rows)
        assert str(again.value) == str(caught.value)
        assert again.value.__cause__ is caught.value.__cause__
    assert in_use(numbers) == 0
    rows.close()
    assert numbers.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT


def test_two_columns_of_one_name_are_treated_as_execute_treats_them(numbers: DatabaseManager) -> None:
    sql = "SELECT i, t AS i FROM numbers WHERE i < 3"
    with pytest.warns(DuplicateColumnWarning) as caught:
        assert list(numbers.stream(sql)) == [{"i": "text"}] * 3
    assert caught[0].filename == __file__
    list(numbers.stream(sql))
    assert list(numbers.stream("SELECT i, t AS i FROM numbers WHERE i < 0")) == []
    url = numbers.database_url
    with DatabaseManager(url, duplicate_columns="raise") as strict:
        with pytest.raises(ProgrammingError, match="more than one column named i"):
            list(strict.stream(sql))
        assert in_use(strict) == 0
    with DatabaseManager(url, duplicate_columns="suffix") as suffixing:
        assert list(suffixing.stream(sql, chunk_size=2)) == [{"i": i, "i_2": "text"} for i in range(3)]


def test_a_parameter_that_stands_only_in_text_is_told_of(numbers: DatabaseManager) -> None:
    with pytest.warns(ParameterWarning, match=":a at line 1 is inside a comment") as caught:
        list(numbers.stream("SELECT i /* :a */ FROM numbers WHERE i = :b", {"a": 1, "b": 2}))
    assert caught[0].filename == __file__


@pytest.mark.mssql_itself
def test_what_a_translation_loses_is_told_of_or_refused(numbers: DatabaseManager, kind: str) -> None:
    sql = "SELECT i FROM numbers WHERE i = 1 FOR UPDATE"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            assert list(numbers.stream(sql)) == [{"i": 1}]
    if kind != "sqlite":
        assert caught == []
        return
    assert [warning.category for warning in caught] == [TranslationWarning]
    with DatabaseManager(numbers.database_url, strict=True) as strict, pytest.raises(TranslationError):
        list(strict.stream(sql))


# What rows are made into


def test_rows_become_what_is_built_of_them_a_chunk_at_a_time(numbers: DatabaseManager) -> None:
    chunks: list[int] = []

    def build(names: tuple[str, ...], rows: Sequence[Any]) -> list[str]:
        chunks.append(len(rows))
        return [f"{names}={tuple(row)}" for row in rows]

    engine = numbers._connection
    assert engine is not None
    found = list(Stream(outside(engine), "SELECT i FROM numbers WHERE i < 25 ORDER BY i", None, 10, build))
    assert found == [f"('i',)=({i},)" for i in range(25)]
    assert chunks == [10, 10, 5]
    found = list(Stream(outside(engine), "DELETE FROM numbers WHERE i < 0 RETURNING i", None, 10, build))
    assert found == []


@pytest.mark.parametrize("failing_at", [0, 5])
def test_where_building_fails_the_stream_ends_and_the_connection_lives(
    numbers: DatabaseManager, failing_at: int
) -> None:
    def build(names: tuple[str, ...], rows: Sequence[Any]) -> list[int]:
        return [1 // (row[0] - 10 * failing_at) for row in rows]

    engine = numbers._connection
    assert engine is not None
    with numbers.transaction() as tx:
        for source in (outside(engine), InTransaction(tx)):
            rows = Stream(source, "SELECT a.i FROM numbers a JOIN numbers b ON b.i < 100 ORDER BY a.i", None, 10, build)
            with pytest.raises(ZeroDivisionError):
                list(rows)
            with pytest.raises(InterfaceError, match="closed before its end"):
                next(rows)
            assert tx.fetch_value("SELECT COUNT(*) FROM numbers") == COUNT
        assert tx.failure is None
    assert in_use(numbers) == 0


# Statements that are no queries


@pytest.mark.parametrize("chunk_size", [1, 1000])
def test_a_write_that_gives_rows_is_run_once_and_committed(own: DatabaseManager, chunk_size: int) -> None:
    sql = "INSERT INTO numbers (i) VALUES (:a), (:b) RETURNING i"
    rows = own.stream(sql, {"a": -1, "b": -2}, chunk_size=chunk_size)
    assert next(rows) == {"i": -1}
    rows.close()
    assert own.fetch_value("SELECT COUNT(*) FROM numbers WHERE i < 0") == 2
    rows = own.stream(sql, {"a": -3, "b": -4}, chunk_size=chunk_size)
    assert [len(rows.fetch()) for _ in range(4)] == ([1, 1, 0, 0] if chunk_size == 1 else [2, 0, 0, 0])
    assert rows.columns == ("i",)
    with pytest.raises(ZeroDivisionError), own.transaction() as tx:
        assert list(tx.stream(sql, {"a": -5, "b": -6})) == [{"i": -5}, {"i": -6}]
        raise ZeroDivisionError
    assert own.fetch_value("SELECT COUNT(*) FROM numbers WHERE i < 0") == 4


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_query_that_modifies_rows_is_run_once_and_committed(own: DatabaseManager) -> None:
    sql = "WITH gone AS (DELETE FROM numbers WHERE i >= :least RETURNING i) SELECT i FROM gone ORDER BY i"
    with own.stream(sql, {"least": 4000}, chunk_size=10) as rows:
        assert next(rows) == {"i": 4000}
    assert own.fetch_value("SELECT COUNT(*) FROM numbers") == 4000
    assert len(list(own.stream("SELECT i INTO kept FROM numbers"))) == 0
    assert own.fetch_value("SELECT COUNT(*) FROM kept") == 4000


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_what_a_function_writes_is_committed_and_undone_on_an_error(own: DatabaseManager) -> None:
    own.execute("CREATE TABLE written (i INTEGER)")
    own.execute(
        "CREATE FUNCTION put(n INTEGER) RETURNS INTEGER LANGUAGE SQL AS"
        " $$ INSERT INTO written VALUES (1 / (n - 300)) RETURNING i $$"
    )
    sql = "SELECT put(i) AS p FROM numbers WHERE i < :n"
    assert len(list(own.stream(sql, {"n": 250}, chunk_size=100))) == 250
    assert own.fetch_value("SELECT COUNT(*) FROM written") == 250
    with own.stream(sql, {"n": 250}, chunk_size=100) as rows:
        next(rows)
    assert own.fetch_value("SELECT COUNT(*) FROM written") == 350
    with pytest.raises(DataError):
        list(own.stream(sql, {"n": 400}, chunk_size=100))
    assert own.fetch_value("SELECT COUNT(*) FROM written") == 350


@pytest.mark.parametrize(
    ("kinds", "sql"),
    [
        ("sqlite postgresql mysql", "EXPLAIN SELECT i FROM numbers"),
        ("sqlite", "PRAGMA table_info(numbers)"),
        ("sqlite", "EXPLAIN QUERY PLAN SELECT i FROM numbers"),
        ("sqlite postgresql", "VALUES (1), (2)"),
        ("postgresql", "SHOW search_path"),
        ("postgresql", "TABLE digits"),
        ("postgresql", "SELECT FROM digits"),
        ("postgresql", "EXPLAIN (COSTS OFF) DELETE FROM numbers"),
        ("mysql", "SHOW COLUMNS FROM numbers"),
        ("mysql", "DESCRIBE numbers"),
        ("mysql", "ANALYZE TABLE numbers"),
        ("sqlite postgresql mysql", "DELETE FROM numbers WHERE i < 0"),
        ("sqlite postgresql mysql", "CREATE TABLE IF NOT EXISTS digits (a INTEGER)"),
    ],
)
def test_whatever_gives_rows_gives_them(numbers: DatabaseManager, kind: str, kinds: str, sql: str) -> None:
    if kind not in kinds.split():
        pytest.skip(f"not {kind}'s")
    assert list(numbers.stream(sql)) == numbers.execute(sql)
    assert in_use(numbers) == 0


# What a session has set


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_setting_for_all_connections_holds_for_a_stream(numbers: DatabaseManager) -> None:
    numbers.execute("PRAGMA foreign_keys = ON")
    sql = "SELECT foreign_keys AS f FROM pragma_foreign_keys UNION ALL SELECT i FROM numbers"
    with numbers.stream(sql, chunk_size=1) as first, numbers.stream(sql, chunk_size=1) as second:
        assert next(first) == next(second) == {"f": 1}


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_query_that_changes_its_session_changes_no_other_ones(database_url: str) -> None:
    with DatabaseManager(database_url, pool_max=1) as db:
        before = db.fetch_value("SHOW work_mem")
        assert list(db.stream("SELECT set_config('work_mem', '123kB', false) AS m")) == [{"m": "123kB"}]
        assert db.fetch_value("SHOW work_mem") == before


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_a_query_with_variables_is_streamed_and_leaves_none(database_url: str) -> None:
    with DatabaseManager(database_url, pool_max=1) as db:
        assert list(db.stream("SELECT @n := 5 AS n")) == [{"n": 5}]
        assert db.fetch_value("SELECT @n AS n") is None


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_a_session_that_reads_text_otherwise_is_bound_for_its_own_modes(numbers: DatabaseManager) -> None:
    sql = "SELECT i, :v AS v FROM numbers WHERE i < 3 ORDER BY i"
    hostile = "\\' OR 1=1 -- "
    with numbers.transaction() as tx:
        tx.execute("SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_BACKSLASH_ESCAPES')")
        assert [row["v"] for row in tx.stream(sql, {"v": hostile})] == [hostile] * 3
    assert [row["v"] for row in numbers.stream(sql, {"v": hostile})] == [hostile] * 3
