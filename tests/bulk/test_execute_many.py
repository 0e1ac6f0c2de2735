"""execute_many: the fast way of a plain INSERT stores what it stores row by row, and all else goes row by row."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import columns
import kinds
import servers
from bulking import as_role, kind_of, opened, plain, same, stored, table, undone
from nexusql import (
    DatabaseManager,
    Error,
    ParameterError,
    PerformanceWarning,
    ProgrammingError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from nexusql.bulk import BulkWrite
from nexusql.transaction import Transaction

FEW = (settings.default or settings()).max_examples // 4


class Twins(NamedTuple):
    """A transaction with two tables that have a column of each type."""

    tx: Transaction
    kind: str


@pytest.fixture(scope="module", params=servers.KINDS)
def twins(request: pytest.FixtureRequest) -> Iterator[Twins]:
    kind = request.param
    with opened(kind) as db:
        for statement in columns.TYPES[kind]:
            db.execute(statement)
        for name in ("slow", "fast"):
            db.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns.declared(kind)})")
        with db.transaction() as tx:
            yield Twins(tx, kind)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that were written to by the fast way."""
    seen: list[str] = []
    run = BulkWrite.run

    def noted(self: BulkWrite, *args: Any) -> Any:
        result = run(self, *args)
        seen.append(self.table)
        return result

    monkeypatch.setattr(BulkWrite, "run", noted)
    return seen


@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_fast_way_stores_what_the_statement_stores(twins: Twins, data: st.DataObject) -> None:
    tx, kind = twins
    names = [
        "id",
        *data.draw(st.lists(st.sampled_from(list(columns.COLUMNS[kind])), min_size=1, max_size=9, unique=True)),
    ]
    rows = [{name: row.get(name) for name in (*names, "id")} for row in data.draw(columns.rows(kind))]
    marks = ", ".join(f":{name}" for name in names)
    by_name = f"INSERT INTO {{}} ({', '.join(names)}) VALUES ({marks})"
    form = data.draw(st.sampled_from(["named", "surplus", "tuple", "list", "question"]))
    sql = (
        by_name
        if form != "question"
        else f"INSERT INTO {{}} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    )
    given_rows: list[Any] = rows
    if form == "surplus":
        given_rows = [{**row, "more": object()} for row in rows]
    elif form != "named":
        make: Any = list if form == "list" else tuple
        given_rows = [make(row[name] for name in names) for row in rows]
    with undone(tx):
        for row in given_rows:
            tx.execute(sql.format("slow"), row)
        assert tx.execute_many(sql.format("fast"), iter(given_rows)) == len(rows)
        slow, fast = (tx.execute(f"SELECT * FROM {name} ORDER BY id") for name in ("slow", "fast"))
    assert len(fast) == len(slow) == len(rows)
    for expected, found in zip(slow, fast, strict=True):
        for name, value in expected.items():
            assert same(plain(value), plain(found[name])), (name, value, found[name])


@pytest.fixture(scope="module")
def made(shared: DatabaseManager) -> Iterator[DatabaseManager]:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR(20) DEFAULT 'none', flag INTEGER"):
        yield shared


@pytest.fixture
def db(made: DatabaseManager) -> DatabaseManager:
    made.execute("DELETE FROM t")
    return made


PLAIN = [
    "INSERT INTO t (id, a) VALUES (:id, :a)",
    "insert into t(ID,A)values(:id,:a);",
    "INSERT INTO t (a, id) VALUES (:a, :id) -- with a remark",
    "/* first */ INSERT INTO t\n (id, -- the key\n a)\nVALUES (:id, :a)",
]


@pytest.mark.parametrize("sql", PLAIN)
def test_a_plain_insert_takes_the_fast_way(db: DatabaseManager, ways: list[str], sql: str) -> None:
    assert db.execute_many(sql, [{"a": i * 10, "id": i} for i in range(1, 4)]) == 3
    assert stored(db) == [(i, i * 10, "none", None) for i in range(1, 4)]
    assert [name.lower() for name in ways] == ["t"]


def test_rows_may_be_of_both_forms(db: DatabaseManager, ways: list[str]) -> None:
    sql = "INSERT INTO t (a, id) VALUES (:a, :id)"
    assert db.execute_many(sql, [{"id": 1, "a": 10}, (20, 2), [30, 3], {"a": 40, "id": 4, "z": 0}]) == 4
    assert db.execute_many(sql, [(50, 5), {"id": 6, "a": 60}]) == 2
    assert db.execute_many("INSERT INTO t (id, a) VALUES (:x, :x)", [{"x": 7}, {"x": 8}]) == 2
    assert stored(db, "id, a") == [(i, i * 10) for i in range(1, 7)] + [(7, 7), (8, 8)]
    assert ways == ["t"] * 3


def test_one_value_for_two_placeholders_goes_row_by_row(db: DatabaseManager, ways: list[str]) -> None:
    assert db.execute_many("INSERT INTO t (id, a) VALUES (:x, :x)", [(1,), (2,)]) == 2
    assert (stored(db, "id, a"), ways) == ([(1, 1), (2, 2)], [])


SLOW = [
    ("INSERT INTO t (id, a) VALUES (:id, :a + 1)", [(1, 11), (2, 21)]),
    ("INSERT INTO t (id, a) VALUES (:id, COALESCE(:a, 0))", [(1, 10), (2, 20)]),
    ("INSERT INTO t (id, a, b) VALUES (:id, :a, 'x')", [(1, 10), (2, 20)]),
    ("INSERT INTO t (id, a) VALUES (:id, :a), (:id + 5, :a)", [(1, 10), (2, 20), (6, 10), (7, 20)]),
    ("INSERT INTO t (id, a) SELECT :id, :a", [(1, 10), (2, 20)]),
    ("INSERT INTO t (id, a) VALUES (:id, :a) ON CONFLICT (id) DO NOTHING", [(1, 10), (2, 20)]),
    ("INSERT INTO t (id, a) VALUES (:id, :a) ON CONFLICT (id) DO UPDATE SET a = 5", [(1, 10), (2, 20)]),
    ("INSERT INTO t (id, a) VALUES (:id, :a) RETURNING id", [(1, 10), (2, 20)]),
]


@pytest.mark.mssql_itself
@pytest.mark.parametrize(("sql", "expected"), SLOW)
@pytest.mark.filterwarnings("ignore::nexusql.TranslationWarning")
def test_what_is_more_than_a_plain_insert_goes_row_by_row(
    db: DatabaseManager, ways: list[str], sql: str, expected: list[tuple[int, int]]
) -> None:
    total = db.execute_many(sql, iter([{"id": 1, "a": 10}, {"id": 2, "a": 20}]))
    assert (total, stored(db, "id, a"), ways) == (len(expected), expected, [])


def test_any_statement_has_an_exact_total(db: DatabaseManager) -> None:
    db.bulk_insert("t", [{"id": i, "a": i} for i in range(10)])
    assert (
        db.execute_many(
            "UPDATE t SET a = :a WHERE id >= :id", [{"id": 7, "a": 0}, {"id": 9, "a": 1}, {"id": 99, "a": 1}]
        )
        == 4
    )
    assert db.execute_many("UPDATE t SET a = a WHERE id < :id", ((i,) for i in (3, 4))) == 7
    assert db.execute_many("DELETE FROM t WHERE id = :id", [{"id": 1}, {"id": 1}, {"id": 2}]) == 2
    assert db.execute_many("INSERT INTO t (id) VALUES (:id)", ({"id": 100 + i} for i in range(12_345))) == 12_345
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 8 + 12_345


def test_no_rows_run_nothing(db: DatabaseManager) -> None:
    assert db.execute_many("INSERT INTO t (id) VALUES (:id)", []) == 0
    assert db.execute_many("this is no statement", iter(())) == 0


def test_a_statement_without_parameters_runs_for_each(db: DatabaseManager) -> None:
    row = "() VALUES ()" if kind_of(db) == "mysql" else "DEFAULT VALUES"
    with table(db, "a INTEGER DEFAULT 5", "plain_"):
        assert db.execute_many(f"INSERT INTO plain_ {row}", [None, {}, (), []]) == 4
        assert stored(db, table="plain_", order="a") == [(5,)] * 4


def test_a_bool_fits_whole_numbers(db: DatabaseManager, ways: list[str]) -> None:
    sql = "INSERT INTO t (id, flag) VALUES (:id, :flag)"
    assert db.execute_many(sql, [{"id": 1, "flag": True}, {"id": 2, "flag": False}, {"id": 3, "flag": None}]) == 3
    assert db.execute_many(sql, [(4, 2.0), (5, 1)]) == 2
    assert stored(db, "flag") == [(1,), (0,), (None,), (2,), (1,)]
    assert ways == ["t", "t"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": 1, "a": 1}, {"id": 2}], "row 1: missing parameter: :a"),
        ([{"id": 1, "a": 1}, {}], "row 1: missing parameters: :id, :a"),
        ([{"id": 1}], "missing.*:a"),
        ([(1, 2), (3,)], "row 1: a row of 1 values for 2 placeholders"),
        ([(1, 2), (3, 4, 5)], "row 1: a row of 3 values for 2 placeholders"),
        ([(1,)], "."),
        ([{"id": 1, "a": 1}, None], "row 1: a row is a dict, .*, not NoneType"),
        ([{"id": 1, "a": 1}, 5], "row 1: a row is a dict, .*, not int"),
        ([5], "parameters are a dict for :name, or a list or tuple for positions, not int"),
        ([{"id": 1, "a": 1}, {"id": 2, "a": object()}], "row 1, column 'a': a value of type object cannot be bound"),
    ],
)
def test_a_wrong_row_stores_nothing(db: DatabaseManager, rows: list[Any], message: str) -> None:
    for sql in (PLAIN[0], SLOW[0][0]):
        with pytest.raises(ParameterError, match=message if sql == PLAIN[0] else r"^row \d: "):
            db.execute_many(sql, iter(rows))
        assert stored(db) == []


@pytest.mark.parametrize("sql", [PLAIN[0], "UPDATE t SET a = :a WHERE id = :id"])
def test_rows_are_many(db: DatabaseManager, sql: str) -> None:
    for one in ({"id": 1, "a": 2}, "id", 5):
        with pytest.raises(ParameterError, match=f"rows are an iterable of rows, not {type(one).__name__}; each is a "):
            db.execute_many(sql, one)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"2 placeholders, but 3 values .* a list of dicts goes to execute_many"):
        db.execute(sql, [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3, "a": 3}])
    assert stored(db) == []


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO t (id, nope) VALUES (:id, :a)", UndefinedColumn),
        ("INSERT INTO nope (id, a) VALUES (:id, :a)", UndefinedTable),
        ("INSERT INTO t (id, a) VALUES (:id, :a)", UniqueViolation),
    ],
)
def test_errors_are_the_drivers_too(db: DatabaseManager, sql: str, error: type[Error]) -> None:
    with pytest.raises(error) as raised:
        db.execute_many(sql, [{"id": 1, "a": 1}, {"id": 1, "a": 2}])
    assert isinstance(raised.value, type(raised.value.__cause__))
    assert raised.value.sql
    assert stored(db) == []


def test_an_identity_that_is_always_generated_is_not_overridden(postgresql: DatabaseManager) -> None:
    with table(
        postgresql, "id INTEGER GENERATED ALWAYS AS IDENTITY, a INTEGER, s INTEGER GENERATED ALWAYS AS (a) STORED"
    ):
        for sql in ("INSERT INTO t (id, a) VALUES (:x, :y)", "INSERT INTO t (a, s) VALUES (:x, :y)"):
            with pytest.raises(ProgrammingError, match="cannot insert a non-DEFAULT value") as slow:
                postgresql.execute(sql, {"x": 5, "y": 5})
            with pytest.raises(ProgrammingError, match="cannot insert a non-DEFAULT value") as fast:
                postgresql.execute_many(sql, [{"x": 5, "y": 5}])
            assert type(fast.value) is type(slow.value)
        assert postgresql.bulk_insert("t", [{"id": 5, "a": 1}], returning="id").ids == [5]  # which means it
        assert postgresql.execute_many("INSERT INTO t (a) VALUES (:a)", [{"a": 2}]) == 1
        assert stored(postgresql, order="a") == [(5, 1, 1), (1, 2, 2)]


def test_names_are_written_in_any_way_that_the_database_has(shared: DatabaseManager, ways: list[str]) -> None:
    kind = kind_of(shared)
    quote = kinds.QUOTE[kind]
    schema = shared.fetch_value(kinds.SCHEMA[kind])
    with table(shared, f"id INTEGER, {quote}order{quote} INTEGER, {quote}a b{quote} INTEGER", f"{quote}my t{quote}"):
        name = f"{schema}.{quote}my t{quote}"
        sql = f"INSERT INTO {name} (ID, {quote}order{quote}, {quote}a b{quote}) VALUES (:a, :b, :c)"
        assert shared.execute_many(sql, [{"a": 1, "b": 2, "c": 3}, (4, 5, 6)]) == 2
        assert stored(shared, table=name) == [(1, 2, 3), (4, 5, 6)]
        assert ways == [name]


def test_a_default_of_the_statement_is_kept_apart_from_null(db: DatabaseManager) -> None:
    assert db.execute_many("INSERT INTO t (id) VALUES (:id)", [{"id": 1}]) == 1
    assert db.execute_many("INSERT INTO t (id, b) VALUES (:id, :b)", [{"id": 2, "b": None}]) == 1
    assert stored(db, "b") == [("none",), (None,)]


def test_an_error_names_a_row_where_it_is_about_the_row(db: DatabaseManager) -> None:
    mark = "?" if kind_of(db) in ("sqlite", "mssql") else "%s"
    by_position = f"INSERT INTO t (id) VALUES ({mark})"
    for sql in (by_position, f"UPDATE t SET id = {mark}"):
        with pytest.raises(ParameterError, match=r"^(\?|%s) takes its value by position"):
            db.execute_many(sql, [{"id": 1}])
        with pytest.raises(ParameterError, match=r"^row 0: .*has no value"):
            db.execute_many(sql, [{}])
        with pytest.raises(ParameterError, match=r"^row 0: .*2 values were given"):
            db.execute_many(sql, [(1, 2)])
    with pytest.raises(ParameterError, match=r"^row 1: .*takes its value by position"):
        db.execute_many(f"UPDATE t SET id = {mark}", [(1,), {"id": 2}])
    with pytest.raises(ParameterError, match=r"^row 0: missing parameter: :id"):
        db.execute_many("UPDATE t SET id = :id", [{"a": 1}])
    assert stored(db) == []


def test_transaction_strings_and_settings_are_no_statements_for_many_rows(db: DatabaseManager) -> None:
    with pytest.raises(ProgrammingError, match="COMMIT is not a statement to be run for many rows"):
        db.execute_many("COMMIT", [None])
    assert db.execute_many("INSERT INTO t (id) VALUES (:id)", [{"id": 1}]) == 1


def test_row_level_security_and_views_take_inserts(postgresql: DatabaseManager, role: str) -> None:
    with table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER"):
        postgresql.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        postgresql.execute("CREATE POLICY own ON t USING (a = 1) WITH CHECK (a = 1)")
        postgresql.execute(f"GRANT ALL ON t TO {role}")
        with as_role(postgresql, role) as limited:
            with pytest.warns(PerformanceWarning, match="row-level security is active on it"):
                assert limited.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", [(1, 1), (2, 1)]) == 2
            with pytest.raises(Error, match="row-level security policy"):
                limited.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", [(3, 1), (4, 2)])
        assert stored(postgresql) == [(1, 1), (2, 1)]


def test_what_goes_row_by_row_is_stored_whole_or_not_at_all(db: DatabaseManager) -> None:
    sql = "INSERT INTO t (id, a) VALUES (:id, :a + 0)"
    with pytest.raises(UniqueViolation):
        db.execute_many(sql, iter([{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 1, "a": 3}]))
    assert stored(db) == []
    with db.transaction() as tx:
        tx.execute_many(sql, [{"id": 5, "a": 5}])
        with pytest.raises(UniqueViolation):
            tx.execute_many(sql, [{"id": 6, "a": 6}, {"id": 5, "a": 5}])
        assert tx.execute_many(sql, [{"id": 7, "a": 7}]) == 1
    assert stored(db, "id") == [(5,), (7,)]


def test_no_rows_need_no_connection() -> None:
    db = DatabaseManager("sqlite:///:memory:")
    assert db.execute_many("INSERT INTO t (id) VALUES (:id)", []) == 0
