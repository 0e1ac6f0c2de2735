"""on_conflict solves conflicts of the key that was named, and hides no other error."""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from bulking import as_role, kind_of, opened, stored, table, warned_of_any_key
from nexusql import (
    CheckViolation,
    DatabaseManager,
    DataError,
    Error,
    ForeignKeyViolation,
    NotNullViolation,
    ParameterError,
    PerformanceWarning,
    TranslationError,
    TranslationWarning,
    UndefinedTable,
    UniqueViolation,
)

pytestmark = pytest.mark.mssql_itself  # upserts are MERGE there

BOTH = pytest.mark.parametrize("action", ["ignore", "update"])
WITH_IDS = pytest.mark.parametrize("returning", [None, "id"])


@pytest.fixture(autouse=True)
def with_foreign_keys(request: pytest.FixtureRequest) -> None:
    if "shared" in request.fixturenames:
        shared: DatabaseManager = request.getfixturevalue("shared")
        if kind_of(shared) == "sqlite":
            shared.execute("PRAGMA foreign_keys = ON")


@BOTH
@WITH_IDS
@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"id": 2, "need": None}, (NotNullViolation,)),
        ({"id": 2, "short": "much too long"}, (DataError, CheckViolation)),
        ({"id": 2, "parent": 99}, (ForeignKeyViolation,)),
        ({"id": 2, "positive": -1}, (CheckViolation,)),
        ({"id": 2, "whole": "no number"}, (DataError, CheckViolation)),
    ],
    ids=["NOT NULL", "too long", "FOREIGN KEY", "CHECK", "no number"],
)
@pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning")
def test_errors_other_than_conflicts_are_never_hidden(
    shared: DatabaseManager, action: Any, returning: Any, row: dict[str, Any], error: tuple[type[Error], ...]
) -> None:
    checks = "CHECK (LENGTH(short) < 5), CHECK (whole < 100)" if kind_of(shared) == "sqlite" else "CHECK (whole < 100)"
    columns = (
        "id INTEGER PRIMARY KEY, need INTEGER NOT NULL DEFAULT 1, short VARCHAR(4), parent INTEGER,"
        f" positive INTEGER CHECK (positive > 0), whole INTEGER, FOREIGN KEY (parent) REFERENCES p (id), {checks}"
    )
    with table(shared, "id INTEGER PRIMARY KEY", "p"), table(shared, columns):
        good = {"id": 1, **{name: None for name in row if name not in ("id", "need")}}
        if "need" in row:
            good["need"] = 1
        with pytest.raises(error):
            shared.bulk_insert("t", [good, row, {**good, "id": 3}], on_conflict=action, returning=returning)
        assert stored(shared) == []


@BOTH
def test_another_unique_key_that_is_violated_is_an_error(shared: DatabaseManager, action: Any) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER UNIQUE, v INTEGER", f"t_{action}") as name:
        shared.bulk_insert(name, [{"id": 1, "a": 1, "v": 1}])
        rows = [{"id": 2, "a": 2, "v": 2}, {"id": 3, "a": 1, "v": 3}]
        if kind_of(shared) == "mysql":  # where any key counts, which is told
            with warned_of_any_key(shared):
                result = shared.bulk_insert(name, rows, on_conflict=action, conflict_columns=["id"])
            assert stored(shared, table=name) == [(1, 1, 1 if action == "ignore" else 3), (2, 2, 2)]
            assert result.rowcount == (1 if action == "ignore" else 2)
        else:
            with pytest.raises(UniqueViolation):
                shared.bulk_insert(name, rows, on_conflict=action, conflict_columns=["id"])
            assert stored(shared, table=name) == [(1, 1, 1)]


def test_without_conflict_columns_any_key_is_ignored(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER UNIQUE"):
        rows = [{"id": 1, "a": 1}, {"id": 1, "a": 2}, {"id": 2, "a": 1}, {"id": 3, "a": 3}]
        assert shared.bulk_insert("t", rows, on_conflict="ignore").rowcount == 2
        assert stored(shared) == [(1, 1), (3, 3)]


@BOTH
def test_mysql_refuses_under_strict_what_it_would_do_otherwise(action: Any) -> None:
    with opened("mysql", strict=True) as db, table(db, "id INTEGER PRIMARY KEY, a INTEGER UNIQUE"):
        with pytest.raises(TranslationError, match=r"a conflict with any unique key counts, not only with \(a\)"):
            db.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict=action, conflict_columns=["a"])
        assert stored(db) == []
        assert db.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict="ignore").rowcount == 1


def test_mysql_counts_keys_of_parts_of_columns_too(mysql: DatabaseManager) -> None:
    with table(mysql, "id INTEGER PRIMARY KEY, b VARCHAR(9), UNIQUE (b(2))", "parted"):
        with pytest.warns(TranslationWarning, match="any unique key counts"):
            mysql.bulk_insert("parted", [{"id": 1, "b": "abc"}], on_conflict="ignore", conflict_columns=["id"])
        ignored = mysql.bulk_insert("parted", [{"id": 2, "b": "abd"}, {"id": 3, "b": "b"}], on_conflict="ignore")
        assert (ignored.rowcount, stored(mysql, table="parted")) == (1, [(1, "abc"), (3, "b")])


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        ("CREATE UNIQUE INDEX t_key ON t (a) WHERE a > 5", ["a"]),
        ("CREATE UNIQUE INDEX t_key ON t (abs(a))", ["a"]),
        ("CREATE INDEX t_key ON t (a)", ["a"]),
        ("CREATE UNIQUE INDEX t_key ON t (a, b)", ["a"]),
        ("CREATE UNIQUE INDEX t_key ON t (a, b)", ["id", "a", "b"]),
    ],
)
def test_what_is_no_key_for_every_row_is_refused(shared: DatabaseManager, index: str, columns: list[str]) -> None:
    if (kind_of(shared) == "mysql" and "WHERE" in index) or (kind_of(shared) in ("mysql", "mssql") and "abs" in index):
        index = "CREATE INDEX t_key ON t (a)"  # it has no others
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER, b INTEGER"):
        shared.execute(index)
        with pytest.raises(ParameterError, match=f"{', '.join(columns)} is no unique key of t"):
            shared.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict="ignore", conflict_columns=columns)


def test_a_deferrable_key_is_no_arbiter(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER UNIQUE DEFERRABLE"):
        with pytest.raises(ParameterError, match="a is no unique key of t"):
            postgresql.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict="update", conflict_columns=["a"])


def test_an_update_without_a_primary_key_needs_conflict_columns(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER, a INTEGER, UNIQUE (a)"):
        with pytest.raises(ParameterError, match="table t has no primary key; name the unique key in conflict_columns"):
            shared.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict="update")
        for _ in range(2):
            assert shared.bulk_insert("t", [{"id": 1, "a": 1}], on_conflict="ignore").rowcount == (_ == 0)
        result = shared.bulk_insert(
            "t", [{"id": 2, "a": 1}, {"id": 3, "a": 1}], on_conflict="update", conflict_columns=["a"]
        )
        assert (result.rowcount, stored(shared)) == (1, [(3, 1)])


def test_a_table_without_keys_has_no_conflicts(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER, a INTEGER"):
        assert shared.bulk_insert("t", [{"id": 1}, {"id": 1}], on_conflict="ignore").rowcount == 2
        assert stored(shared, "id") == [(1,), (1,)]


def test_a_row_of_the_key_alone_is_an_upsert_too(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER DEFAULT 5"):
        shared.bulk_insert("t", [{"id": 1, "a": 1}])
        assert shared.bulk_insert("t", [{"id": 1}, {"id": 2}, {"id": 2}], on_conflict="update").rowcount == 2
        assert stored(shared) == [(1, 1), (2, 5)]


def test_update_columns_that_rows_lack_become_their_defaults(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER DEFAULT 5, b INTEGER"):
        shared.bulk_insert("t", [{"id": 1, "a": 1, "b": 1}])
        result = shared.bulk_insert("t", [{"id": 1, "b": 2}], on_conflict="update", update_columns=["a"])
        assert (result.rowcount, stored(shared)) == (1, [(1, 5, 1)])


@pytest.mark.filterwarnings("ignore::nexusql.TranslationWarning")
def test_a_part_of_the_key_may_be_left_to_its_default(shared: DatabaseManager) -> None:
    with table(
        shared,
        "id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL DEFAULT 1, name VARCHAR(9), v INTEGER, UNIQUE (tenant, name)",
    ):
        options: dict[str, Any] = {"on_conflict": "update", "conflict_columns": ["tenant", "name"]}
        shared.bulk_insert("t", [{"name": "a", "v": 1}, {"name": "b", "v": 1}, {"name": "a", "v": 2}], **options)
        assert shared.execute("SELECT tenant, name, v FROM t ORDER BY name") == [
            {"tenant": 1, "name": "a", "v": 2},
            {"tenant": 1, "name": "b", "v": 1},
        ]
        result = shared.bulk_insert("t", [{"name": "a", "v": 3}, {"name": "a", "v": 4}], returning="id", **options)
        assert result.ids[0] == result.ids[1]
        assert shared.fetch_value("SELECT v FROM t WHERE name = 'a'") == 4


def test_a_key_that_the_database_computes(shared: DatabaseManager) -> None:
    computed = "low VARCHAR(9) GENERATED ALWAYS AS (LOWER(name)) STORED"
    columns = f"id INTEGER PRIMARY KEY, name VARCHAR(9), v INTEGER, {computed}, UNIQUE (low)"
    if kind_of(shared) == "mssql":  # in its own words, for no index on a computed column leaves rows with NULL out
        columns = "id INT PRIMARY KEY, name NVARCHAR(9), v INT, low AS LOWER(name) PERSISTED, UNIQUE (low)"
    with table(shared, columns):
        options: dict[str, Any] = {"on_conflict": "update", "conflict_columns": ["low"]}
        rows = [{"id": 1, "name": "A", "v": 1}, {"id": 1, "name": "a", "v": 2}, {"id": 2, "name": "b", "v": 3}]
        if kind_of(shared) == "postgresql":
            with pytest.warns(PerformanceWarning, match="low is computed by the database"):
                result = shared.bulk_insert("t", rows, **options)
            assert result.strategy == "rows"
        else:
            with warned_of_any_key(shared):
                shared.bulk_insert("t", rows, **options)
        assert stored(shared, "id, v, low") == [(1, 2, "a"), (2, 3, "b")]


@BOTH
def test_without_the_right_to_temporary_tables_postgresql_inserts(
    postgresql: DatabaseManager, role: str, revoked: None, action: Any
) -> None:
    with as_role(postgresql, role) as limited, table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER"):
        postgresql.execute(f"GRANT ALL ON t TO {role}")
        rows = [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 1, "a": 3}]
        assert limited.bulk_insert("t", [{"id": 1, "a": 0}, {"id": 3, "a": 3}]).strategy == "copy"
        with pytest.warns(PerformanceWarning, match="temporary tables are not allowed"):
            result = limited.bulk_insert("t", rows, on_conflict=action)
        assert result.strategy == ("values" if action == "ignore" else "rows")
        assert stored(postgresql) == [(1, 0 if action == "ignore" else 3), (2, 2), (3, 3)]


@pytest.fixture
def revoked(postgresql: DatabaseManager) -> Iterator[None]:
    """Nobody may make temporary tables in the database but its owner."""
    name = postgresql.fetch_value("SELECT current_database()")
    postgresql.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    yield
    postgresql.execute(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")


def test_without_the_right_to_temporary_tables_mysql_counts_rows(mysql: DatabaseManager) -> None:
    name = f"nx_limited_{os.getpid()}"
    schema = mysql.fetch_value("SELECT DATABASE()")
    mysql.execute(f"CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY 'x'")
    try:
        with table(mysql, "id INTEGER PRIMARY KEY, a INTEGER"):
            mysql.execute(f"GRANT SELECT, INSERT, UPDATE ON {schema}.* TO {name}@'%'")
            url = mysql.database_url.replace("root@", f"{name}:x@", 1)
            with DatabaseManager(url) as limited:
                rows = [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 1, "a": 3}]
                assert limited.bulk_insert("t", rows, on_conflict="update").rowcount == 3
            assert stored(mysql) == [(1, 3), (2, 2)]
    finally:
        mysql.execute(f"DROP USER {name}@'%'")


def test_a_failed_upsert_leaves_no_table_in_the_session(
    shared: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = kind_of(shared)
    names = {"postgresql": "nexusql_rows", "mssql": "#nexusql_stage"}.get(kind, "nexusql_seen_keys")
    module = "staging" if kind == "mssql" else "bulk"
    monkeypatch.setattr(f"nexusql.backends.{kind}.{module}._serial", count(1))
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER NOT NULL"), shared.transaction() as tx:
        rows = [{"id": 1, "a": 1}, {"id": 1, "a": 2}, {"id": 2, "a": None}]
        for _ in range(2):
            with pytest.raises(NotNullViolation):
                tx.bulk_insert("t", rows, on_conflict="update")
        for number in range(1, 5):
            with pytest.raises(UndefinedTable), tx.transaction():
                tx.execute(f"SELECT 1 FROM {names}_{number}")
        assert tx.bulk_insert("t", rows[:2], on_conflict="update").rowcount == 1
        assert tx.bulk_insert("t", [{"id": 2, "a": 3}, {"id": 1, "a": 3}], on_conflict="update").rowcount == 2
        assert stored(tx) == [(1, 3), (2, 3)]
