"""Rows whose keys are there already, or more than once among themselves: against a model, by the server's equality."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import servers
from bulking import opened, undone
from nexusql.transaction import Transaction

FEW = (settings.default or settings()).max_examples // 2


class Arena(NamedTuple):
    """A transaction with a table whose unique key (a, b) compares without regard to case."""

    tx: Transaction
    kind: str
    equal_nulls: bool


VARIANTS = {
    "sqlite": ("sqlite", [], "TEXT COLLATE NOCASE", "UNIQUE (a, b)"),
    "postgresql-icu": (
        "postgresql",
        ["CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        'TEXT COLLATE "ci"',
        "UNIQUE (a, b)",
    ),
    "postgresql-citext": (
        "postgresql",
        ["CREATE EXTENSION IF NOT EXISTS citext SCHEMA public"],
        "public.citext",
        "UNIQUE (a, b)",
    ),
    "postgresql-nulls": (
        "postgresql",
        ["CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        'TEXT COLLATE "ci"',
        "UNIQUE NULLS NOT DISTINCT (a, b)",
    ),
    "mysql": ("mysql", [], "VARCHAR(9) COLLATE utf8mb4_general_ci", "UNIQUE KEY (a, b)"),
    "mysql-prefix": ("mysql", [], "TEXT COLLATE utf8mb4_general_ci", "UNIQUE KEY (a(4), b)"),
    **({"mssql": ("mssql", [], "VARCHAR(9)", "UNIQUE (a, b)")} if "mssql" in servers.KINDS else {}),
}


@pytest.fixture(scope="module", params=VARIANTS)
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    kind, before, text, key = VARIANTS[request.param]
    with opened(kind) as db:
        for statement in before:
            db.execute(statement)
        number = "INTEGER PRIMARY KEY AUTOINCREMENT" if kind == "sqlite" else "SERIAL PRIMARY KEY"
        number = "INTEGER PRIMARY KEY AUTO_INCREMENT" if kind == "mysql" else number
        db.execute(f"CREATE TABLE t (id {number}, a {text}, b INTEGER, v INTEGER DEFAULT 7, w INTEGER, {key})")
        with db.transaction() as tx:
            if kind == "postgresql":  # where citext has its operators
                tx.execute("SELECT set_config('search_path', current_schema() || ', public', TRUE)")
            yield Arena(tx, kind, "NOT DISTINCT" in key)


class Model:
    """What is stored, as a list of rows; each knows its key."""

    def __init__(self, equal_nulls: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        self._equal_nulls = equal_nulls

    def key(self, row: dict[str, Any]) -> Any:
        """What tells a row from others: an object equal to nothing else where a part of the key is NULL."""
        a, b = row["a"], row["b"]
        if (a is None or b is None) and not self._equal_nulls:
            return object()
        return (a if a is None else a.lower(), b)

    def find(self, row: dict[str, Any]) -> dict[str, Any] | None:
        key = self.key(row)
        return next((old for old in self.rows if self.key(old) == key), None)

    def write(self, row: dict[str, Any], action: str, update: list[str] | None) -> dict[str, Any] | None:
        """Take one row in; the row that it is now, None where it is left out."""
        whole = {"v": 7, "w": None, **row}
        old = self.find(row)
        if old is None:
            self.rows.append(whole)
            return whole
        if action == "ignore":
            return None
        old.update({name: whole[name] for name in update or [name for name in row if name not in "ab"]})
        return old


def folded(row: dict[str, Any]) -> tuple[Any, ...]:
    a = row["a"]
    return (a if a is None else a.lower(), row["b"], row["v"], row["w"])


keys = st.fixed_dictionaries(
    {"a": st.sampled_from(["x", "X", "y", "xy", "Xy", "", None]), "b": st.sampled_from([1, 2, None])}
)
numbers = st.integers(0, 9)
rows = st.lists(
    st.tuples(keys, st.fixed_dictionaries({}, optional={"v": numbers, "w": numbers | st.none()})).map(
        lambda parts: {**parts[0], **parts[1]}
    ),
    max_size=10,
)
whole_rows = st.lists(
    st.tuples(keys, numbers, numbers | st.none()).map(lambda parts: {**parts[0], "v": parts[1], "w": parts[2]}),
    max_size=10,
)


@pytest.mark.mssql_itself
@pytest.mark.filterwarnings("ignore::nexusql.TranslationWarning", "ignore::nexusql.PerformanceWarning")
@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(
    before=rows,
    written=rows | whole_rows,
    action=st.sampled_from(["ignore", "update"]),
    update=st.sampled_from([None, ["v"], ["w", "v"]]),
    size=st.sampled_from([None, 1, 2, 3]),
    returning=st.booleans(),
)
def test_conflicts_are_solved_as_the_model_does(
    arena: Arena,
    before: list[dict[str, Any]],
    written: list[dict[str, Any]],
    action: Any,
    update: list[str] | None,
    size: int | None,
    returning: bool,
) -> None:
    tx, _, equal_nulls = arena
    model = Model(equal_nulls)
    with undone(tx):
        for row in before:
            if model.find(row) is None:
                model.write(row, "ignore", None)
                tx.insert("t", row)
        result = tx.bulk_insert(
            "t",
            iter(written),
            on_conflict=action,
            conflict_columns=["b", "a"],
            update_columns=update if action == "update" else None,
            chunk_size=size,
            returning="id" if returning else None,
        )
        became = [model.write(row, action, update) for row in written]
        found = {row["id"]: row for row in tx.execute("SELECT id, a, b, v, w FROM t")}
    assert sorted(map(str, map(folded, found.values()))) == sorted(map(str, map(folded, model.rows)))
    if action == "ignore":
        assert result.rowcount == sum(row is not None for row in became)
    else:
        assert result.rowcount == distinct(model, written)
    if returning:
        assert len(result.ids) == len(written)
        for number, now in zip(result.ids, became, strict=True):
            assert (number is None) == (now is None)
            assert now is None or folded(found[number]) == folded(now)
    else:
        assert result.ids == []


def distinct(model: Model, written: list[dict[str, Any]]) -> int:
    """How many rows are stored: of those with the same columns and key that follow each other, the last one counts."""
    total = 0
    seen: list[Any] = []
    columns: Any = None
    for row in written:
        if frozenset(row) != columns:
            columns, seen = frozenset(row), []
        key = model.key(row)
        total += key not in seen
        seen.append(key)
    return total


@pytest.mark.mssql_itself
@pytest.mark.filterwarnings("ignore::nexusql.TranslationWarning")
def test_columns_that_change_from_row_to_row_take_no_more_locks_than_a_server_has(arena: Arena) -> None:
    tx, kind, _ = arena
    written = [{"a": f"n{i}", "b": 1, **({"v": i} if i % 2 else {"w": i})} for i in range(400)]
    with undone(tx):
        result = tx.bulk_insert("t", written, on_conflict="update", conflict_columns=["a", "b"])
        for _ in range(20):
            tx.bulk_insert("t", written[:2], on_conflict="ignore", conflict_columns=["a", "b"])
        assert result.rowcount == 400
        assert tx.fetch_value("SELECT COUNT(*) FROM t WHERE v = 7 AND w IS NOT NULL OR w IS NULL") == 400
        if kind == "postgresql":
            assert tx.fetch_value("SELECT COUNT(*) FROM pg_locks WHERE pid = pg_backend_pid()") < 300
