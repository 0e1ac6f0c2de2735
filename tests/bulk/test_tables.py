"""The tables that bulk_insert writes to: by any name, of any kind, and as they are now."""

from collections.abc import Iterator
from typing import Any

import pytest

import kinds
import servers
from bulking import as_role, kind_of, stored, table, warned_of_any_key
from nexusql import (
    DatabaseManager,
    Error,
    ParameterError,
    PerformanceWarning,
    UndefinedColumn,
    UndefinedTable,
)
from nexusql.backends.postgresql import bulk as postgresql_bulk
from nexusql.backends.postgresql.catalogue import describe
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.syntax import syntax_for


def quoted(db: DatabaseManager, name: str) -> str:
    return quote_identifier(name, syntax_for(kind_of(db)))


@pytest.fixture
def other(shared: DatabaseManager) -> Iterator[DatabaseManager]:
    """Another program on the same database."""
    with DatabaseManager(shared.config) as manager:
        yield manager


NAMES = [
    "order",
    "select",
    "Mixed Case",
    "with space",
    "dash-ed",
    "a:b",
    "100%",
    "what?",
    "ä",
    'quo"te',
    "back`tick",
    "x;--",
]


@pytest.mark.mssql_itself
@pytest.mark.parametrize("name", NAMES)
def test_columns_and_tables_may_have_any_name(shared: DatabaseManager, name: str) -> None:
    listed = quoted(shared, name)
    with table(shared, f"id INTEGER PRIMARY KEY, {listed} INTEGER", listed):
        assert shared.bulk_insert(listed, [{"id": 1, name: 5}, {name: 6, "id": 2}]).rowcount == 2
        updated = shared.bulk_insert(listed, [{"id": 1, name: 7}, {"id": 3, name: 8}], on_conflict="update")
        assert updated.rowcount == 2
        ignored = shared.bulk_insert(listed, [{"id": 1, name: 0}], on_conflict="ignore", conflict_columns=["id"])
        assert ignored.rowcount == 0
        assert shared.bulk_insert(listed, [{"id": 4, name: 9}], returning=name).ids == [9]
        assert shared.insert(listed, {"id": 5, name: 10}, returning=name) == 10
        assert stored(shared, table=listed) == [(1, 7), (2, 6), (3, 8), (4, 9), (5, 10)]


@pytest.mark.mssql_itself
def test_a_column_is_found_in_any_case_but_exactly_first(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, Value INTEGER"):
        assert shared.bulk_insert("t", [{"ID": 1, "VALUE": 5}, {"Id": 2, "value": 6}]).rowcount == 2
        assert (
            shared.bulk_insert("t", [{"ID": 1, "VALUE": 7}], on_conflict="update", conflict_columns=["iD"]).rowcount
            == 1
        )
        assert stored(shared) == [(1, 7), (2, 6)]


def test_names_that_differ_in_case_alone_are_two_columns_on_postgresql(postgresql: DatabaseManager) -> None:
    with table(postgresql, 'id INTEGER, "ID" INTEGER'):
        assert postgresql.bulk_insert("t", [{"id": 1, "ID": 2}]).rowcount == 1
        with pytest.raises(UndefinedColumn, match="no column 'Id'"):
            postgresql.bulk_insert("t", [{"Id": 1}])
        assert postgresql.execute_many("INSERT INTO t (ID) VALUES (:v)", [{"v": 3}]) == 1
        assert stored(postgresql, order="id") == [(1, 2), (3, None)]


def test_a_table_is_named_as_in_a_statement(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY", "Lists"):
        assert shared.bulk_insert("Lists", [{"id": 1}]).rowcount == 1
        if kind_of(shared) == "postgresql":
            assert shared.bulk_insert('"lists"', [{"id": 2}]).rowcount == 1
            with pytest.raises(UndefinedTable):
                shared.bulk_insert('"Lists"', [{"id": 3}])
        else:
            assert shared.bulk_insert(quoted(shared, "Lists"), [{"id": 2}]).rowcount == 1
        assert stored(shared, table="Lists") == [(1,), (2,)]


@pytest.mark.mssql_itself
def test_a_table_may_have_its_schema_before_it(shared: DatabaseManager) -> None:
    schema = shared.fetch_value(kinds.SCHEMA[kind_of(shared)])
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        for i, name in enumerate((f"{schema}.t", f" {schema} . t ", f"{quoted(shared, schema)}.{quoted(shared, 't')}")):
            assert shared.bulk_insert(name, [{"id": i, "a": 0}]).rowcount == 1
            assert shared.bulk_insert(name, [{"id": i, "a": i}] * 2, on_conflict="update").rowcount == 1
        assert stored(shared) == [(0, 0), (1, 1), (2, 2)]
        with pytest.raises(Error) as raised:
            shared.bulk_insert("nowhere.t", [{"id": 1}])
        assert isinstance(raised.value.__cause__, Exception)


@pytest.mark.parametrize("name", ["", " ", "a b", "a..b", '"a', "t; DROP TABLE t", "a.b.c.d.e", "t t"])
def test_a_name_that_cannot_be_read_is_refused(shared: DatabaseManager, name: str) -> None:
    with table(shared, "id INTEGER PRIMARY KEY"):
        with pytest.raises((ParameterError, UndefinedTable)) as raised:
            shared.bulk_insert(name, [{"id": 1}])
        assert isinstance(raised.value, ParameterError) or name == "a.b.c.d.e"
        assert stored(shared) == []


def test_an_unknown_table_is_the_databases_own_error(shared: DatabaseManager) -> None:
    for call in (
        lambda: shared.bulk_insert("nope", [{"id": 1}]),
        lambda: shared.bulk_insert("nope", []),
        lambda: shared.insert("nope", {"id": 1}),
        lambda: shared.execute_many("INSERT INTO nope (id) VALUES (:id)", [{"id": 1}]),
    ):
        with pytest.raises(UndefinedTable) as raised:
            call()
        assert isinstance(raised.value, type(raised.value.__cause__))
        assert raised.value.sql
    assert shared.fetch_value("SELECT 1") == 1


@pytest.mark.mssql_itself
def test_temporary_tables_are_written_to(shared: DatabaseManager) -> None:
    name = kinds.TEMPORARY_NAME[kind_of(shared)].format("brief")
    with shared.transaction() as tx:
        tx.execute(f"{kinds.TEMPORARY[kind_of(shared)].format('brief')} (id INTEGER PRIMARY KEY, a INTEGER)")
        assert tx.bulk_insert(name, [{"id": 1, "a": 1}, {"id": 2, "a": 2}]).rowcount == 2
        assert tx.bulk_insert(name, [{"id": 1, "a": 3}] * 2, on_conflict="update").rowcount == 1
        assert tx.insert(name, {"id": 3}) == 3
        assert stored(tx, table=name) == [(1, 3), (2, 2), (3, None)]


def test_a_temporary_table_hides_another_of_its_name(shared: DatabaseManager) -> None:
    if kind_of(shared) == "mssql":
        pytest.skip("a temporary table's name begins with # there")
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        shared.bulk_insert("t", [{"id": 1, "a": 1}])  # so that it is known
        with shared.transaction() as tx:
            tx.execute("CREATE TEMPORARY TABLE t (id INTEGER PRIMARY KEY, other INTEGER)")
            assert tx.bulk_insert("t", [{"id": 2, "other": 2}]).rowcount == 1
            assert stored(tx) == [(2, 2)]
            tx.execute("DROP TABLE t" if kind_of(shared) != "mysql" else "DROP TEMPORARY TABLE t")
        assert shared.bulk_insert("t", [{"id": 3, "a": 3}]).rowcount == 1
        assert stored(shared) == [(1, 1), (3, 3)]


def test_views_are_written_to_where_the_database_can(shared: DatabaseManager) -> None:
    kind = kind_of(shared)
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER DEFAULT 5, b INTEGER"):
        shared.execute("CREATE VIEW seen AS SELECT id, a FROM t")
        try:
            if kind == "sqlite":
                shared.execute(
                    "CREATE TRIGGER into_seen INSTEAD OF INSERT ON seen BEGIN"
                    " INSERT INTO t (id, a) VALUES (NEW.id, NEW.a); END"
                )
            if kind == "postgresql":
                with pytest.warns(PerformanceWarning, match="seen is not written to the fastest way: it is a view"):
                    result = shared.bulk_insert("seen", [{"id": i, "a": i} for i in range(250)])
                assert (result.rowcount, result.strategy) == (250, "values")
            else:
                shared.bulk_insert("seen", [{"id": i, "a": i} for i in range(250)])
            assert stored(shared, "id, a") == [(i, i) for i in range(250)]
        finally:
            shared.execute("DROP VIEW seen")


def test_a_column_that_another_session_adds_is_found(shared: DatabaseManager, other: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        shared.bulk_insert("t", [{"id": 1, "a": 1}])
        other.execute("ALTER TABLE t ADD COLUMN b INTEGER")
        assert shared.bulk_insert("t", [{"id": 2, "a": 2, "b": 2}]).rowcount == 1
        other.execute("ALTER TABLE t ADD COLUMN c INTEGER")
        assert shared.insert("t", {"id": 3, "c": 3}) == 3
        other.execute("ALTER TABLE t ADD COLUMN d INTEGER")
        assert shared.execute_many("INSERT INTO t (id, d) VALUES (:id, :d)", [{"id": 4, "d": 4}]) == 1
        assert stored(shared, "id, a, b, c, d") == [
            (1, 1, None, None, None),
            (2, 2, 2, None, None),
            (3, None, None, 3, None),
            (4, None, None, None, 4),
        ]


@pytest.mark.mssql_itself
def test_a_key_that_another_session_adds_is_found(shared: DatabaseManager, other: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER, b INTEGER"):
        shared.bulk_insert("t", [{"id": 1, "a": 1, "b": 1}])
        other.execute("CREATE UNIQUE INDEX t_a ON t (a)")
        rows = [{"id": 1, "a": 1, "b": 2}, {"id": 2, "a": 2, "b": 2}]
        with warned_of_any_key(shared):
            assert shared.bulk_insert("t", rows, on_conflict="ignore", conflict_columns=["a"]).rowcount == 1
        assert stored(shared) == [(1, 1, 1), (2, 2, 2)]


def test_a_table_that_another_session_replaces_is_looked_at_again(
    shared: DatabaseManager, other: DatabaseManager
) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        shared.bulk_insert("t", [{"id": 1, "a": 1}])
        other.execute("DROP TABLE t")
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b VARCHAR(9) NOT NULL)")
        with pytest.raises(Error):  # what is known of it no longer holds
            shared.bulk_insert("t", [{"id": 2, "a": 2}])
        with pytest.raises(UndefinedColumn, match="no column 'a'"):
            shared.bulk_insert("t", [{"id": 2, "a": 2}])
        assert shared.bulk_insert("t", [{"id": 2, "b": "x"}]).rowcount == 1


def test_row_level_security_that_another_session_turns_on_is_noticed(postgresql: DatabaseManager, role: str) -> None:
    with as_role(postgresql, role) as limited, table(postgresql, "id INTEGER PRIMARY KEY"):
        postgresql.execute(f"GRANT ALL ON t TO {role}")
        assert limited.bulk_insert("t", [{"id": 1}, {"id": 2}]).strategy == "copy"
        postgresql.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        postgresql.execute("CREATE POLICY all_rows ON t USING (TRUE)")
        with pytest.raises(Error, match="COPY FROM not supported with row-level security"):
            limited.bulk_insert("t", [{"id": 3}, {"id": 4}])
        with pytest.warns(PerformanceWarning, match="row-level security is active on it"):
            assert limited.bulk_insert("t", [{"id": 3}, {"id": 4}]).strategy == "values"
        assert stored(postgresql) == [(1,), (2,), (3,), (4,)]


def test_ddl_in_between_is_seen(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        assert shared.bulk_insert("t", [{"id": 1, "a": 1}]).rowcount == 1
        shared.execute("ALTER TABLE t ADD COLUMN b VARCHAR(9) DEFAULT 'new'")
        assert shared.bulk_insert("t", [{"id": 2}, {"id": 3, "b": "given"}]).rowcount == 2
        shared.execute("DROP TABLE t")
        shared.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a BOOLEAN)")
        assert shared.bulk_insert("t", [{"id": 1, "a": True}]).rowcount == 1
        assert stored(shared) == [(1, True)]


def test_a_table_is_asked_for_once_also_where_it_is_emptied(
    postgresql: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noting(run: Any, raw: Any, table: str) -> Any:
        asked.append(table)
        return describe(run, raw, table)

    monkeypatch.setattr(postgresql_bulk, "describe", noting)
    with table(postgresql, "id INTEGER PRIMARY KEY"):
        for _ in range(2):
            postgresql.bulk_insert("t", [{"id": 1}])
            postgresql.execute("TRUNCATE t")
        assert asked == ["t"]
        postgresql.execute("ALTER TABLE t ADD COLUMN b INTEGER")
        postgresql.bulk_insert("t", [{"id": 1, "b": 2}])
        assert asked == ["t", "t"]


@pytest.mark.parametrize("kind", [kind for kind in servers.KINDS if kind != "mysql"], indirect=True)
def test_ddl_inside_a_transaction_is_seen_there_and_forgotten_with_it(db: DatabaseManager) -> None:
    with table(db, "id INTEGER PRIMARY KEY, a INTEGER"):
        db.bulk_insert("t", [{"id": 1, "a": 1}])
        with pytest.raises(ZeroDivisionError), db.transaction() as tx:
            tx.execute("ALTER TABLE t ADD COLUMN b INTEGER")
            assert tx.bulk_insert("t", [{"id": 2, "b": 2}]).rowcount == 1
            1 / 0
        with pytest.raises(UndefinedColumn):
            db.bulk_insert("t", [{"id": 2, "b": 2}])
        assert stored(db) == [(1, 1)]


def test_a_source_may_change_the_table_that_it_is_for(sqlite: DatabaseManager) -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield {"id": 1}
        sqlite.execute("ALTER TABLE t ADD COLUMN a INTEGER")
        yield {"id": 2, "a": 2}

    with table(sqlite, "id INTEGER PRIMARY KEY"):
        assert sqlite.bulk_insert("t", rows()).rowcount == 2
        assert stored(sqlite) == [(1, None), (2, 2)]


def test_what_an_altered_session_sees_is_not_remembered_for_others(postgresql: DatabaseManager) -> None:
    postgresql.execute("CREATE SCHEMA elsewhere_bulk")
    try:
        postgresql.execute("CREATE TABLE elsewhere_bulk.t (id INTEGER PRIMARY KEY, b INTEGER)")
        with table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER"):
            postgresql.bulk_insert("t", [{"id": 1, "a": 1}])
            with postgresql.transaction() as tx:
                tx.execute("SET LOCAL search_path = elsewhere_bulk")
                assert tx.bulk_insert("t", [{"id": 2, "b": 2}]).rowcount == 1
                assert tx.insert("t", {"id": 3, "b": 3}) == 3
            assert postgresql.bulk_insert("t", [{"id": 4, "a": 4}]).rowcount == 1
            assert stored(postgresql) == [(1, 1), (4, 4)]
            assert stored(postgresql, table="elsewhere_bulk.t") == [(2, 2), (3, 3)]
    finally:
        postgresql.execute("DROP SCHEMA elsewhere_bulk CASCADE")


@pytest.mark.mssql_itself
def test_a_column_that_the_database_computes_is_to_be_left_out(shared: DatabaseManager) -> None:
    computed = "twice INTEGER GENERATED ALWAYS AS (a * 2) STORED"
    with table(shared, f"id INTEGER PRIMARY KEY, a INTEGER, {computed}"):
        assert shared.bulk_insert("t", [{"id": 1, "a": 4}]).rowcount == 1
        with pytest.raises(
            ParameterError, match="row 1: the column 'twice' of t is computed by the database; leave it out"
        ):
            shared.bulk_insert("t", [{"id": 2, "a": 1}, {"id": 3, "twice": 1}])
        with pytest.raises(ParameterError, match="'twice' of t is computed"):
            shared.bulk_insert("t", [{"id": 1, "a": 5}], on_conflict="update", update_columns=["twice"])
        with pytest.raises(ParameterError, match="'twice' of t is computed"):
            shared.insert("t", {"id": 2, "twice": 1})
        assert shared.bulk_insert("t", [{"id": 1, "a": 5}, {"id": 2, "a": 6}], on_conflict="update").rowcount == 2
        assert stored(shared) == [(1, 5, 10), (2, 6, 12)]


def test_a_partitioned_table_and_a_domain_are_written_to(postgresql: DatabaseManager) -> None:
    postgresql.execute("CREATE DOMAIN small AS INTEGER CHECK (VALUE < 100)")
    try:
        with table(postgresql, "id small, a INTEGER, PRIMARY KEY (id)) PARTITION BY RANGE (id"):
            postgresql.execute("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (50)")
            postgresql.execute("CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (50) TO (99)")
            assert postgresql.bulk_insert("t", [{"id": i, "a": True} for i in (1, 98)]).strategy == "copy"
            assert postgresql.bulk_insert("t", [{"id": 1, "a": 5}], on_conflict="update").rowcount == 1
            with pytest.raises(Error, match="violates check constraint"):
                postgresql.bulk_insert("t", [{"id": 100}])
            assert stored(postgresql) == [(1, 5), (98, 1)]
    finally:
        postgresql.execute("DROP DOMAIN small")


def test_a_relation_that_holds_no_rows_of_its_own_is_the_databases_error(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER PRIMARY KEY"):
        postgresql.execute("CREATE MATERIALIZED VIEW copied AS SELECT id FROM t")
        try:
            with pytest.raises(Error, match="materialized view"):
                postgresql.bulk_insert("copied", [{"id": 1}])
        finally:
            postgresql.execute("DROP MATERIALIZED VIEW copied")
