"""An upsert on SQLite counts the rows that are stored, whether Python compares its keys, or SQLite, or both in turn."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulking import undone
from nexusql import DatabaseManager
from nexusql.backends.sqlite import bulk
from nexusql.transaction import Transaction

COLUMNS = ["INTEGER", "TEXT", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "REAL", "NUMERIC", "BLOB", ""]
ALIKE = [
    1,
    2,
    1.0,
    True,
    "1",
    "1.0",
    "a",
    "A",
    "a ",
    "\u00e4",
    "",
    "a\0b",
    "a\0",
    b"1",
    b"a",
    None,
    2**63 - 1,
    -(2**63),
]


@pytest.fixture(scope="module")
def tx() -> Iterator[Transaction]:
    with DatabaseManager("sqlite:///:memory:") as db, db.transaction() as tx:
        yield tx


@pytest.mark.parametrize("kept", [0, 250, bulk.KEPT_HERE])
@settings(suppress_health_check=list(HealthCheck))
@given(
    declared=st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=2),
    values=st.lists(st.tuples(*[st.sampled_from(ALIKE)] * 2), max_size=12),
    one_type=st.sampled_from([None, int, str]),
    size=st.sampled_from([None, 1, 2, 3]),
)
def test_rowcount_is_what_is_stored(
    tx: Transaction, kept: int, declared: list[str], values: list[Any], one_type: Any, size: int | None
) -> None:
    names = ["a", "b"][: len(declared)]
    rows = [dict(zip(names, row, strict=False)) for row in values]
    if one_type is not None:
        rows = [row for row in rows if all(type(value) is one_type for value in row.values())]
    with undone(tx), pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "KEPT_HERE", kept)
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, declared, strict=True))
        tx.execute(f"CREATE TABLE t ({columns}, UNIQUE ({', '.join(names)}))")
        result = tx.bulk_insert("t", iter(rows), on_conflict="update", conflict_columns=names, chunk_size=size)
        assert result.rowcount == tx.fetch_value("SELECT COUNT(*) FROM t")


@pytest.mark.parametrize(
    ("declared", "keys", "by_sqlite"),
    [
        ("INTEGER", [1, 2, 1], False),
        ("TEXT", ["a", "A", "a"], False),
        ("TEXT COLLATE NOCASE", ["a", "A", "a"], True),
        ("INTEGER", [1, "1", 2], True),
    ],
)
def test_only_what_python_can_compare_is_compared_here(
    tx: Transaction, monkeypatch: pytest.MonkeyPatch, declared: str, keys: list[Any], by_sqlite: bool
) -> None:
    made: list[str] = []
    monkeypatch.setattr(bulk.SeenKeys, "_create", _noting(bulk.SeenKeys._create, made))
    with undone(tx):
        tx.execute(f"CREATE TABLE t (k {declared} UNIQUE, v INTEGER)")
        rows = [{"k": key, "v": number} for number, key in enumerate(keys)]
        stored = tx.bulk_insert("t", rows, on_conflict="update", conflict_columns=["k"]).rowcount
        assert stored == tx.fetch_value("SELECT COUNT(*) FROM t")
    assert bool(made) is by_sqlite


def test_text_that_sqlite_stores_as_utf16_is_compared_there() -> None:
    with DatabaseManager("sqlite:///:memory:") as db:
        db.execute("PRAGMA encoding = 'UTF-16le'")
        db.execute("CREATE TABLE t (k TEXT UNIQUE, v INTEGER)")
        rows = [{"k": key, "v": number} for number, key in enumerate(["\ufffd", "\ufffe", "\uffff", "a"])]
        stored = db.bulk_insert("t", rows, on_conflict="update", conflict_columns=["k"]).rowcount
        assert stored == db.fetch_value("SELECT COUNT(*) FROM t") == 2


def _noting(method: Any, made: list[str]) -> Any:
    def create(self: bulk.SeenKeys, raw: Any) -> None:
        made.append("a table")
        method(self, raw)

    return create


def test_many_long_keys_are_given_to_sqlite(tx: Transaction, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(bulk.SeenKeys, "_create", _noting(bulk.SeenKeys._create, made))
    with undone(tx):
        tx.execute("CREATE TABLE t (k TEXT UNIQUE, v INTEGER)")
        rows = ({"k": str(number % 30).ljust(1_000_000), "v": number} for number in range(40))
        stored = tx.bulk_insert("t", rows, on_conflict="update", conflict_columns=["k"], chunk_size=5).rowcount
        assert stored == tx.fetch_value("SELECT COUNT(*) FROM t") == 30
    assert made == ["a table"]
