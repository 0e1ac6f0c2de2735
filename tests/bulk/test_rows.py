"""The rows that bulk_insert takes: of every form and in every order, and a clear error for what is none of them."""

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulking import stored, table
from nexusql import ConfigError, DatabaseManager, Error, ParameterError, UndefinedColumn

COLUMNS = "id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR(20) DEFAULT 'none'"


@pytest.fixture(scope="module")
def made(shared: DatabaseManager) -> Iterator[DatabaseManager]:
    """A database with a table `t`."""
    with table(shared, COLUMNS):
        yield shared


@pytest.fixture
def db(made: DatabaseManager) -> DatabaseManager:
    """The same, `t` empty."""
    made.execute("DELETE FROM t")
    return made


class Point(NamedTuple):
    id: int
    a: int


@dataclass
class Plain:
    id: int
    a: int


@dataclass(frozen=True, slots=True)
class Frozen:
    id: int
    a: int


@dataclass
class Lone:
    a: int


@dataclass
class Wider(Plain):
    b: str = "wide"


Mixed = namedtuple("Mixed", "a id")


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "a": 10}, {"a": 20, "id": 2}],
        [OrderedDict(id=i, a=i * 10) for i in (1, 2)],
        [defaultdict(int, {"id": 1, "a": 10}), {"id": 2, "a": 20}],
        [MappingProxyType({"id": 1, "a": 10}), MappingProxyType({"a": 20, "id": 2})],
        [Point(1, 10), Point(2, 20)],
        [Point(1, 10), Mixed(20, 2)],
        [Plain(1, 10), Plain(2, 20)],
        [Frozen(1, 10), Frozen(2, 20)],
        [Plain(1, 10), Wider(2, 20)],
        [Plain(1, 10), {"id": 2, "a": 20}],
        {Point(1, 10): None, Point(2, 20): None}.keys(),
    ],
    ids=lambda rows: type(next(iter(rows))).__name__,
)
@pytest.mark.parametrize("once", [False, True])
def test_rows_say_themselves_where_their_values_go(db: DatabaseManager, rows: Any, once: bool) -> None:
    assert db.bulk_insert("t", iter(rows) if once else rows).rowcount == 2
    assert stored(db) == [(1, 10, "none"), (2, 20, "none")]


@pytest.mark.parametrize(
    "rows",
    [
        [(10, 1), (20, 2)],
        [[10, 1], (20, 2)],
        [Mixed(10, 1), (20, 2)],
        [Point(10, 1), Mixed(20, 2)],  # columns= says what they are
        [{"id": 1, "a": 10, "b": "left out"}, {"a": 20, "id": 2}],
        [Wider(1, 10), Wider(2, 20)],
    ],
)
def test_columns_say_it_for_them(db: DatabaseManager, rows: Any) -> None:
    assert db.bulk_insert("t", rows, columns=["a", "id"]).rowcount == 2
    assert stored(db) == [(1, 10, "none"), (2, 20, "none")]


def test_one_column_is_enough(db: DatabaseManager) -> None:
    assert db.bulk_insert("t", [Lone(1), Lone(2)]).rowcount == 2
    assert db.bulk_insert("t", [(3,), [4]], columns=("a",)).rowcount == 2
    assert db.bulk_insert("t", [{"a": 5}]).rowcount == 1
    assert [a for (a,) in stored(db, "a", order="a")] == [1, 2, 3, 4, 5]


def test_a_missing_key_is_the_columns_default_and_none_is_null(db: DatabaseManager) -> None:
    rows = [{"id": 1}, {"id": 2, "b": None}, {"b": "x", "id": 3}, {"id": 4, "a": 4}, {"id": 5}]
    assert db.bulk_insert("t", rows).rowcount == 5
    assert stored(db) == [(1, None, "none"), (2, None, None), (3, None, "x"), (4, 4, "none"), (5, None, "none")]


def test_an_empty_row_is_all_defaults(db: DatabaseManager) -> None:
    assert db.bulk_insert("t", [{}, {"a": 1}, {}, {}]).rowcount == 4
    assert sorted(stored(db, "a, b", order="b"), key=str) == [(1, "none")] + [(None, "none")] * 3


def test_with_columns_a_row_may_lack_some_of_them(db: DatabaseManager) -> None:
    rows = [{"id": 1}, {"id": 2, "a": 2, "c": "?"}, {"id": 3, "b": "x"}, {"id": 4, "a": 4, "b": "y"}]
    assert db.bulk_insert("t", rows, columns=["id", "a", "b"]).rowcount == 4
    assert stored(db) == [(1, None, "none"), (2, 2, "none"), (3, None, "x"), (4, 4, "y")]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), min_size=0).flatmap(
            lambda row: st.permutations(list(row.items())).map(dict)
        ),
        max_size=12,
    ),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([None, ("id", "a", "b"), ("a", "id")]),
)
def test_any_mixture_of_keys_is_stored_as_it_is(
    made: DatabaseManager, rows: list[dict[str, Any]], size: int | None, columns: tuple[str, ...] | None
) -> None:
    given_rows = [{"id": i, **row} for i, row in enumerate(rows)]
    if columns is None:
        given_rows = [{key: value for key, value in row.items() if key != "c"} for row in given_rows]
    made.execute("DELETE FROM t")
    assert made.bulk_insert("t", iter(given_rows), chunk_size=size, columns=columns).rowcount == len(rows)
    names = columns or ("id", "a", "b")
    assert stored(made) == [
        (i, row.get("a"), str(row["b"]) if "b" in row and "b" in names else "none") for i, row in enumerate(rows)
    ]


def test_no_rows_are_no_error(db: DatabaseManager) -> None:
    result = db.bulk_insert("t", iter(()))
    assert (result.rowcount, result.strategy, result.ids, result.errors) == (0, "none", [], [])


def test_a_generator_of_many_is_read_as_it_goes(db: DatabaseManager) -> None:
    taken = 0

    def rows() -> Iterator[dict[str, int]]:
        nonlocal taken
        for taken in range(1, 20_001):
            yield {"id": taken, "a": -taken}

    seen: list[tuple[int, int]] = []
    result = db.bulk_insert("t", rows(), chunk_size=5000, progress=lambda done: seen.append((done, taken)))
    assert (result.rowcount, taken) == (20_000, 20_000)
    assert all(ahead - done <= 1 for done, ahead in seen)
    assert len(seen) > 3
    assert db.execute("SELECT COUNT(*) AS n, MIN(a) AS a, SUM(id) AS s FROM t") == [
        {"n": 20_000, "a": -20_000, "s": 20_000 * 20_001 // 2}
    ]


class Endless:
    """Rows without end, to be stopped by one of them."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> "Endless":
        return self

    def __next__(self) -> dict[str, int]:
        self.taken += 1
        if self.taken == 30:
            raise LookupError("the source has broken")
        return {"id": self.taken}


def test_what_the_source_raises_goes_through_and_undoes_all(db: DatabaseManager) -> None:
    rows = Endless()
    with pytest.raises(LookupError, match="the source has broken"):
        db.bulk_insert("t", rows, chunk_size=7)
    assert (rows.taken, stored(db)) == (30, [])


WRONG_ROWS = [
    ([None], {}, 0),
    ([{"id": 1}, None], {}, 1),
    ([{"id": 1}, None, {"id": 2}], {}, 1),
    ([{"id": 1}, 5], {}, 1),
    ([{"id": 1}, "ab"], {}, 1),
    ([{"id": 1}, (2,)], {}, 1),
    ([{"id": 1}, {5: 2}], {}, 1),
    ([{"id": 1}, {None: 2}], {}, 1),
    ([{"id": 1}, {"id": 2, "ID": 3}], {}, 1),
    ([(1, 2), (3,)], {"columns": ["id", "a"]}, 1),
    ([(1, 2), (3, 4, 5)], {"columns": ["id", "a"]}, 1),
    ([(1, 2), 5], {"columns": ["id", "a"]}, 1),
    ([(1, 2), "ab"], {"columns": ["id", "a"]}, 1),
    ([(1, 2), None], {"columns": ["id", "a"]}, 1),
    ([Plain(1, 2), Lone(3)], {}, 1),
    ([MappingProxyType({"id": 1}), 5], {}, 1),
    ([5], {}, 0),
    (["ab"], {}, 0),
    ([{"id": 1, "a": object()}], {}, 0),
    ([{"id": i} for i in range(20)] + [{"id": 20, "a": {1, 2}}], {}, 20),
    ([(1, 2), (3, object())], {"columns": ["id", "a"]}, 1),
]


@pytest.mark.parametrize(("rows", "options", "index"), WRONG_ROWS)
@pytest.mark.parametrize("size", [None, 1])
def test_a_wrong_row_is_named_by_its_index_and_nothing_is_stored(
    db: DatabaseManager, rows: list[Any], options: dict[str, Any], index: int, size: int | None
) -> None:
    with pytest.raises(ParameterError, match=f"^row {index}[:,] ") as raised:
        db.bulk_insert("t", rows, chunk_size=size, **options)
    if "cannot be bound" in str(raised.value):
        assert "column 'a'" in str(raised.value)
    assert stored(db) == []
    assert db.bulk_insert("t", [{"id": 1}]).rowcount == 1


def test_a_key_that_is_no_column_is_named_with_the_nearest(db: DatabaseManager) -> None:
    with pytest.raises(UndefinedColumn, match=r"^row 1: table t has no column 'ids'; did you mean 'id'\?"):
        db.bulk_insert("t", [{"id": 1}, {"ids": 2}])
    assert stored(db) == []


@pytest.mark.parametrize("rows", [5, "abc", b"abc", None, {"id": 1}, object()])
def test_what_is_no_series_of_rows_is_refused(db: DatabaseManager, rows: Any) -> None:
    with pytest.raises(ParameterError, match="rows are an iterable of rows, not "):
        db.bulk_insert("t", rows)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": "id"}, ConfigError, "columns is a sequence of names"),
        ({"columns": ["id", "nope"]}, UndefinedColumn, "no column 'nope'"),
        ({"columns": ["id", "id"]}, ParameterError, "'id' of t is given twice"),
        ({"chunk_size": 0}, ConfigError, "chunk_size is at least 1"),
        ({"on_conflict": "replace"}, ConfigError, "on_conflict is 'ignore' or 'update', not 'replace'"),
        ({"on_error": "skip"}, ConfigError, "on_error is 'raise' or 'report', not 'skip'"),
        ({"conflict_columns": ["id"]}, ConfigError, "go with on_conflict"),
        ({"update_columns": ["a"]}, ConfigError, "go with on_conflict"),
        ({"on_conflict": "ignore", "update_columns": ["a"]}, ConfigError, "goes with on_conflict='update'"),
        ({"on_conflict": "update", "update_columns": []}, ConfigError, "names at least one column"),
        ({"on_conflict": "update", "update_columns": ["nope"]}, UndefinedColumn, "no column 'nope'"),
        ({"on_conflict": "update", "conflict_columns": ["nope"]}, UndefinedColumn, "no column 'nope'"),
        ({"on_conflict": "update", "conflict_columns": ["a"]}, ParameterError, "a is no unique key of t.*it has: id"),
        ({"on_conflict": "ignore", "conflict_columns": ["a", "id"]}, ParameterError, "a, id is no unique key of t"),
        ({"returning": "nope"}, UndefinedColumn, "no column 'nope'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    db: DatabaseManager, options: dict[str, Any], error: type[Error], message: str
) -> None:
    with pytest.raises(error, match=message):
        db.bulk_insert("t", [(1, 2)], **{"columns": ["id", "a"], **options})
    assert stored(db) == []


def test_tuples_need_columns(db: DatabaseManager) -> None:
    with pytest.raises(ParameterError, match="rows of tuple need columns=, their names in order"):
        db.bulk_insert("t", [(1, 2)])
