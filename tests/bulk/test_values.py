"""What comes back equals what an INSERT of the same values, row by row, would have stored: by each way of writing."""

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import columns
import servers
from bulking import Undone, opened, plain, same, undone
from nexusql import Array, Error, Json, ParameterError
from nexusql.transaction import Transaction

FEW = (settings.default or settings()).max_examples // 4
ZONE = timezone(timedelta(hours=2))


class Way(NamedTuple):
    """A way of writing: on a kind of database, into what, with which options and after which statement."""

    kind: str
    strategy: str
    into: str = "fast"
    options: dict[str, Any] = {}  # noqa: RUF012
    before: str = ""


WAYS = [
    Way("sqlite", "values"),
    Way("sqlite", "rows", options={"returning": "id"}),
    Way("postgresql", "copy"),
    Way("postgresql", "copy+merge", options={"on_conflict": "ignore"}),
    Way("postgresql", "copy+merge", options={"on_conflict": "update", "returning": "id"}),
    Way("postgresql", "values", into="seen"),
    Way("postgresql", "rows", into="seen", options={"returning": "id"}),
    Way("mysql", "values"),
    Way("mysql", "rows", options={"on_conflict": "update", "returning": "id"}),
    Way("mysql", "driver", before="SET NAMES utf8mb3"),
    Way("mysql", "values", before="SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES,ANSI_QUOTES')"),
    *(
        [
            Way("mssql", "values"),
            Way("mssql", "rows", options={"returning": "id"}),
            Way("mssql", "staging", options={"on_conflict": "update"}),
        ]
        if "mssql" in servers.KINDS
        else []
    ),
]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way.kind}-{way.strategy}")
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="module")
def tx(way: Way) -> Iterator[Any]:
    """A transaction with two tables that have a column of each type, and a view of one of them; on SQL Server, where a
    value that cannot be converted ends the whole transaction, the manager, which begins one for each block."""
    with opened(way.kind) as db:
        for statement in columns.TYPES[way.kind]:
            db.execute(statement)
        for name in ("slow", "fast"):
            db.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns.declared(way.kind)})")
        db.execute("CREATE VIEW seen AS SELECT * FROM fast")
        if way.kind == "mssql":
            yield db
            return
        with db.transaction() as transaction:
            if way.before:
                transaction.execute(way.before)
            yield transaction


def content(tx: Transaction, way: Way, table: str) -> list[dict[str, Any]]:
    """What a table holds; on SQLite with the types that the values are stored as."""
    listed = "*"
    if way.kind == "sqlite":
        listed = ", ".join(f"{name}, typeof({name})" for name in columns.COLUMNS["sqlite"])
    rows = tx.execute(f"SELECT {listed} FROM {table} ORDER BY id")
    return [{name: plain(value) for name, value in row.items()} for row in rows]


@pytest.mark.mssql_itself
@pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning")
@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_stored_is_what_an_insert_of_it_stores(way: Way, tx: Transaction, data: st.DataObject) -> None:
    rows = data.draw(columns.rows(way.kind))
    if way.strategy == "driver":
        rows = [{name: columns.in_basic_plane(value) for name, value in row.items() if name != "json_"} for row in rows]
    # Each with its like beside it: by itself a row can go another way.
    rows = [{**row, "id": 2 * row["id"] + more} for row in rows for more in (0, 1)]
    with undone(tx):
        for row in rows:
            tx.execute(f"INSERT INTO slow ({', '.join(row)}) VALUES ({', '.join(map(':{}'.format, row))})", row)
        result = tx.bulk_insert(way.into, rows, chunk_size=data.draw(st.sampled_from([None, 2, 4])), **way.options)
        assert (result.rowcount, result.strategy) == (len(rows), way.strategy)
        slow, fast = content(tx, way, "slow"), content(tx, way, "fast")
    assert len(slow) == len(fast) == len(rows)
    for expected, found in zip(slow, fast, strict=True):
        for name, value in expected.items():
            assert same(value, found[name]), (name, value, found[name])


STRANGE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -5,
        2**31,
        2**62,
        2**64,
        10**30,
        10**70,
        1.5,
        2.5,
        -2.5,
        1e16,
        1e20,
        1e-7,
        0.1,
        1e308,
        5e-324,
    ),
    *(
        math.nan,
        math.inf,
        -math.inf,
        Decimal("1.50"),
        Decimal("1E+3"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
    ),
    *(
        Decimal("-Infinity"),
        Decimal("-0.0001"),
        Decimal("1e-30"),
        Decimal("0E+5"),
        Decimal("9" * 40),
        Decimal("1E+400"),
    ),
    *("a\x00b", "\x00", "\ud800", "a\udfff", "10:00", "12", "1.5", "x" * 300, b"", b"\0\xff", b"abc", bytearray(b"x")),
    *(memoryview(b"12"), date(2020, 1, 2), date.min, date.max, datetime(2020, 1, 2, 3, 4, 5, 500_000), datetime.min),
    *(datetime.max, datetime(2020, 1, 2, 3, 4, 5, 6, ZONE), datetime.min.replace(tzinfo=ZONE), time(10, 0, 0, 500_000)),
    *(
        time.max,
        time(1, 2, 3, tzinfo=ZONE),
        timedelta(0),
        timedelta(days=1, microseconds=3),
        timedelta(days=-1, seconds=5),
    ),
    *(timedelta.max, UUID(int=5), columns.Colour.RED, {}, {"a": [1, "x\\'\"\t"]}, {1: 2}, {"a": {1}}, {"a": math.nan}),
    *(
        [],
        [[]],
        [1, 2],
        ["a", 'b\\"{}, ', None, "NULL", ""],
        [[1, 2], [3, 4]],
        [[1], [2, 3]],
        [True, None],
        [UUID(int=5)],
    ),
    *([1.5, math.nan], [datetime(2020, 1, 2, tzinfo=ZONE)], [date(2020, 1, 2)], [b"ab"], [{"a": 1}], [Decimal("1.5")]),
    *((1, 2), Json([1, 2]), Json("x"), Json(None), Json([]), Array([1, 2]), Array([]), Array(iter("ab")), Array([{1}])),
    *(
        columns.Text("sub"),
        columns.Whole(7),
        columns.Real(2.5),
        object(),
        {1, 2},
        1j,
        range(3),
        int,
        Exception("x"),
        b"x" * 300,
    ),
    *(np.int64(5), np.float32(1.5), np.float64("nan"), np.bool_(True), np.datetime64("2020-01-02"), np.str_("text")),
    *(
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "s"),
        np.int64(-(2**63)),
        np.uint64(2**64 - 1),
        np.bytes_(b"ab"),
        np.array([1]),
    ),
    *columns.HOSTILE,
]
# COPY reads what an INSERT does not take, and no harm is done: numbers as JSON, 0 and 1 as booleans, infinity.
MORE_BY_COPY = {"json", "jsonb", "boolean", "number", "real", "double"}


def outcome(tx: Transaction, way: Way, table: str, name: str, write: Callable[[], Any]) -> tuple[Any, ...]:
    """What is stored, or the error."""
    try:
        with tx.transaction():
            write()
            found = content(tx, way, table)[0]
            raise Undone
    except Undone:
        return "stored", [value for key, value in found.items() if name in key]
    except Error as error:
        return "refused", type(error), isinstance(error, ParameterError), str(error)


@pytest.mark.mssql_itself
@pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning")
@settings(suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_no_insert_would_store_is_refused_too(way: Way, tx: Transaction, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(columns.COLUMNS[way.kind])))
    value = data.draw(st.sampled_from(STRANGE))
    if way.strategy == "driver":
        value = columns.in_basic_plane(value)
    row = {"id": 1, name: value}
    slow = outcome(
        tx, way, "slow", name, lambda: tx.execute(f"INSERT INTO slow (id, {name}) VALUES (:id, :{name})", row)
    )
    fast = outcome(tx, way, "fast", name, lambda: tx.bulk_insert(way.into, [row], **way.options))
    if slow[0] == fast[0] == "stored":
        assert same(slow[1], fast[1]) or slow[1] == fast[1]
    elif slow[0] == "stored":
        assert way.kind == "postgresql"
        assert fast[2], fast
        assert "cannot be written to a column of type" in fast[3]
    elif fast[0] == "stored":
        assert way.kind == "postgresql"
        assert name in MORE_BY_COPY or isinstance(value, Decimal), (slow, fast)
    elif fast[2]:
        assert fast[3].startswith(f"row 0, column '{name}': "), fast
