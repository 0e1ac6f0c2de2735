"""COPY in binary form on PostgreSQL: what it stores, when it is taken, and what happens where a value has none.

Each row tells by which statement it came, in a column whose default is that statement's text.
"""

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import columns
from bulking import as_role, opened, stored, table, undone
from nexusql import (
    CheckViolation,
    DatabaseManager,
    DataError,
    Error,
    Json,
    NotNullViolation,
    ParameterError,
    UniqueViolation,
)
from nexusql.transaction import Transaction

FEW = (settings.default or settings()).max_examples // 2
VIA = "via TEXT DEFAULT current_query()"
UTC = timezone.utc
EAST = timezone(timedelta(hours=1))
LATIN = ("éßÿ", "名", "", None)
zones = columns.zones | st.just(UTC) | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")])
aware = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)
reals = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


def numbers(bits: int) -> st.SearchStrategy[Any]:
    smallest, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return st.integers(smallest, largest) | st.sampled_from([smallest, largest, 0]) | st.booleans()


def exact(texts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return texts | texts.map(str.__str__)


# Columns of each type that the binary form is known for, and values that it has.
COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "text": ("TEXT", exact(columns.texts()) | st.uuids() | st.integers() | st.floats() | aware | st.dates()),
    "varchar": ("VARCHAR(30)", exact(columns.texts(30)) | st.decimals(-(10**20), 10**20, places=3)),
    "char": ("CHAR(8)", exact(columns.texts(8))),
    "domain": ("short_text", exact(columns.texts(9))),
    "json": ("JSON", columns.jsons | st.sampled_from(['{"a": "\\u00e9"}', " [1, 2] "])),
    "jsonb": ("JSONB", columns.jsons | st.sampled_from(['{"a": 1.50, "a": 2}', "null"]) | st.none().map(Json)),
    "smallint": ("SMALLINT", numbers(16)),
    "integer": ("INTEGER", numbers(32)),
    "bigint": ("BIGINT", numbers(64)),
    "nested": ("shorter_number", st.integers(-(2**31), 99)),
    "double": ("FLOAT8", reals),
    "boolean": ("BOOLEAN", st.booleans()),
    "bytea": ("BYTEA", columns.BYTES),
    "date": ("DATE", st.dates()),
    "timestamp": ("TIMESTAMP", st.datetimes() | aware),
    "rounded": ("TIMESTAMP(2)", st.datetimes(max_value=datetime(9999, 12, 30)) | aware),
    "timestamptz": ("TIMESTAMPTZ", aware),
    "seconds": ("TIMESTAMPTZ(0)", aware),
    "uuid": ("UUID", st.uuids() | st.uuids().map(str)),
}
# The same with what these columns take besides, by way of text.
MIXED: dict[str, st.SearchStrategy[Any]] = {
    **{name: values for name, (_, values) in COLUMNS.items()},
    "integer": columns.whole(32) | st.floats(-1e9, 1e9),
    "double": reals | st.just(math.inf) | st.fractions().map(float) | st.decimals(-(10**9), 10**9, places=2),
    "boolean": st.booleans() | st.sampled_from(["t", "no", "1"]),
    "bytea": columns.BUFFERS,
    "date": st.dates() | st.datetimes() | st.just("2020-02-29"),
    "timestamp": st.datetimes() | aware | st.dates(),
    "timestamptz": aware | st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1)),
    "uuid": st.uuids() | st.uuids().map(lambda value: value.hex),
}
EDGES: list[dict[str, Any]] = [
    {
        "text": "",
        "varchar": "\U0001f600" * 30,
        "char": "",
        "domain": "é" * 9,
        "json": {},
        "jsonb": [],
        "smallint": -(2**15),
        "integer": -(2**31),
        "bigint": -(2**63),
        "nested": -(2**31),
        "double": 5e-324,
        "boolean": False,
        "bytea": b"",
        "date": date.min,
        "timestamp": datetime.min,
        "rounded": datetime.min,
        "timestamptz": datetime.min.replace(tzinfo=UTC),
        "seconds": datetime.min.replace(tzinfo=UTC),
        "uuid": UUID(int=0),
    },
    {
        "text": "\\N",
        "varchar": "\\.",
        "char": "a\tb\n",
        "domain": "x" * 9 + " " * 30,
        "json": "null",
        "jsonb": "1",
        "smallint": 2**15 - 1,
        "integer": 2**31 - 1,
        "bigint": 2**63 - 1,
        "nested": 99,
        "double": -0.0,
        "boolean": True,
        "bytea": bytes(range(256)),
        "date": date.max,
        "timestamp": datetime.max,
        "timestamptz": datetime.max.replace(tzinfo=UTC),
        "rounded": datetime(1969, 12, 31, 23, 59, 59, 995_000),
        "seconds": datetime(1999, 12, 31, 23, 59, 59, 500_000, UTC),
        "uuid": UUID(int=2**128 - 1),
    },
    dict.fromkeys(COLUMNS),
    {
        "double": 1.7976931348623157e308,
        "timestamp": datetime(2000, 1, 1),
        "date": date(1900, 2, 28),
        "text": "x" * 70_000,
    },
    {"double": 2**53, "timestamp": datetime(1999, 12, 31, 23, 59, 59, 999_999), "date": date(2000, 2, 29)},
]


@pytest.fixture(scope="module")
def tx() -> Iterator[Transaction]:
    """A transaction with two tables of these columns."""
    with opened("postgresql") as db:
        for statement in columns.TYPES["postgresql"]:
            db.execute(statement)
        declared = ", ".join(f'"{name}" {kind}' for name, (kind, _) in COLUMNS.items())
        for name in ("slow", "fast"):
            db.execute(f"CREATE TABLE {name} (id INTEGER, {declared}, {VIA})")
        with db.transaction() as transaction:
            yield transaction


def ways(db: Any, name: str = "t", order: str = "id") -> list[str]:
    """How each row came."""
    statements = [via for (via,) in stored(db, "via", name, order)]
    return ["binary" if via.endswith(" BINARY") else "text" if "COPY" in via else "insert" for via in statements]


def both(tx: Transaction, rows: list[dict[str, Any]], size: int | None) -> list[str]:
    """Check that rows are stored as INSERT stores them, and by one those that are the only ones of their chunk with the
    same keys, or the last and the only one that goes as text; gives how the others came."""
    rows = [{"id": number, **row} for number, row in enumerate(rows)]
    with undone(tx):
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            tx.execute(f"INSERT INTO slow ({names}) VALUES ({', '.join(map(':{}'.format, row))})", row)
        result = tx.bulk_insert("fast", rows, chunk_size=size)
        assert result.rowcount == len(rows)
        # As text, which shows the blanks of JSON; but what an INSERT has -0.0 for is 0.
        listed = ", ".join(f'"{name}"' if name == "double" else f'"{name}"::text' for name in COLUMNS)
        slow, fast = (tx.execute(f"SELECT {listed} FROM {name} ORDER BY id") for name in ("slow", "fast"))
        found = ways(tx, "fast")
    assert list(fast) == list(slow)
    groups = [(number // (size or len(rows)), frozenset(row)) for number, row in enumerate(rows)]
    for number, (group, way) in enumerate(zip(groups, found, strict=True)):
        assert way == "insert" or groups.count(group) > 1
        assert way != "insert" or group not in groups[number + 1 :]
    return [way for way in found if way != "insert"]


def rows_of(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    optional = {name: st.none() | made for name, made in values.items()}
    whole = st.fixed_dictionaries(optional)
    return st.lists(whole, min_size=1, max_size=3) | st.lists(
        st.fixed_dictionaries({}, optional=optional), min_size=1, max_size=3
    )


@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(rows=rows_of({name: values for name, (_, values) in COLUMNS.items()}), size=st.sampled_from([None, 1, 2]))
@example(rows=[edge for edge in EDGES for _ in "ab"], size=None)
def test_binary_rows_are_stored_as_an_insert_stores_them(
    tx: Transaction, rows: list[dict[str, Any]], size: int | None
) -> None:
    assert set(both(tx, rows, size)) <= {"binary"}


@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_so_are_those_behind_a_value_that_goes_as_text(tx: Transaction, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(list(MIXED)), min_size=1, max_size=6, unique=True))
    row = st.fixed_dictionaries({name: st.none() | MIXED[name] for name in names})
    found = both(tx, data.draw(st.lists(row, min_size=1, max_size=6)), data.draw(st.sampled_from([None, 1, 2])))
    assert found == sorted(found)  # binary, and from some row on text


LATER: list[tuple[str, Any, Any]] = [
    ("INTEGER", 1, "2"),
    ("INTEGER", 1, 2.0),
    ("SMALLINT", 1, Decimal(2)),
    ("BIGINT", 1, columns.Whole(2)),
    ("FLOAT8", 1.5, math.nan),
    ("FLOAT8", 1.5, 2**53 + 1),
    ("BOOLEAN", True, 1),
    ("BYTEA", b"a", bytearray(b"b")),
    ("TIMESTAMP", datetime(2020, 1, 2), date(2020, 1, 2)),
    ("TIMESTAMP", datetime(2020, 1, 2), "2020-01-02 10:00"),
    ("TIMESTAMPTZ", datetime(2020, 1, 2, tzinfo=UTC), datetime(2020, 1, 2)),
    ("DATE", date(2020, 1, 2), "infinity"),
    ("UUID", UUID(int=5), f"{{{UUID(int=6)}}}"),
]


@pytest.mark.parametrize(("kind", "fits", "other"), LATER, ids=lambda part: repr(part)[:30])
def test_from_the_first_other_value_on_rows_go_as_text(
    postgresql: DatabaseManager, kind: str, fits: Any, other: Any
) -> None:
    with table(postgresql, f"id INTEGER, a {kind}, {VIA}, place INTEGER GENERATED ALWAYS AS IDENTITY"):
        values = [fits, None, other, fits, fits]
        rows = [{"id": number, "a": value} for number, value in enumerate(values)]
        result = postgresql.bulk_insert("t", rows, returning="id")
        assert (result.rowcount, result.ids, result.strategy) == (5, [0, 1, 2, 3, 4], "copy")
        assert ways(postgresql) == ["binary", "binary", "text", "text", "text"]
        assert [number for (number,) in stored(postgresql, "id", order="place")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("on_error", ["raise", "report"])
def test_rows_keep_their_order_over_chunks(postgresql: DatabaseManager, on_error: Any) -> None:
    with table(postgresql, f"id INTEGER, {VIA}, place INTEGER GENERATED ALWAYS AS IDENTITY"):
        rows: list[Any] = [(str(n) if n == 25 else n,) for n in range(50)]
        result = postgresql.bulk_insert("t", rows, columns=["id"], chunk_size=10, on_error=on_error)
        assert (result.rowcount, result.done, result.errors) == (50, 50, [])
        assert [number for (number,) in stored(postgresql, "id", order="place")] == list(range(50))
        # Each chunk of a report has a writer of its own.
        last = 50 if on_error == "raise" else 30
        assert ways(postgresql) == ["text" if 25 <= n < last else "binary" for n in range(50)]


@pytest.mark.parametrize("kind", ["NUMERIC", "REAL", "INTERVAL", "TIME", "INTEGER[]", "NAME", '"char"', "INET"])
def test_a_table_with_another_type_goes_as_text(postgresql: DatabaseManager, kind: str) -> None:
    with table(postgresql, f"id INTEGER, a {kind}, {VIA}"):
        assert postgresql.bulk_insert("t", [{"id": n, "a": None} for n in (1, 2)]).strategy == "copy"
        assert postgresql.bulk_insert("t", [{"id": n} for n in (3, 4)]).strategy == "copy"
        assert ways(postgresql) == ["text"] * 2 + ["binary"] * 2  # these leave that column out


def test_a_row_by_itself_goes_by_insert(postgresql: DatabaseManager) -> None:
    with table(postgresql, f"id SERIAL PRIMARY KEY, a REAL, b INTEGER, {VIA}"), postgresql.transaction() as tx:
        rows: list[dict[str, Any]] = [{"a": 1.5}, {"a": 1.5, "b": 7}, {"b": 7}]
        for number, known in enumerate(rows):
            result = tx.bulk_insert("t", [{"id": number, **known}], returning="id")
            assert (result.rowcount, result.strategy, result.ids) == (1, "values", [number])
            expected = {"a": known.get("a"), "b": known.get("b")}
            assert tx.fetch_one("SELECT a, b FROM t WHERE id = :id", {"id": number}) == expected
        assert tx.bulk_insert("t", iter([{"id": 9}])).strategy == "values"
        assert set(ways(tx)) == {"insert"}


def test_one_that_wants_back_what_is_drawn_needs_no_right_to_read(postgresql: DatabaseManager, role: str) -> None:
    with as_role(postgresql, role) as limited, table(postgresql, f"id SERIAL PRIMARY KEY, a INTEGER, {VIA}"):
        postgresql.execute(f"GRANT INSERT ON t TO {role}")
        postgresql.execute(f"GRANT USAGE ON SEQUENCE t_id_seq TO {role}")
        assert limited.bulk_insert("t", iter([{"a": 5}]), returning="id").ids == [1]
        assert limited.bulk_insert("t", [{"a": 6}, {"a": 7}], returning="id").ids == [2, 3]


def test_a_row_that_is_left_over_goes_by_insert(postgresql: DatabaseManager) -> None:
    with table(postgresql, f"id INTEGER, {VIA}"):
        result = postgresql.bulk_insert("t", [(n,) for n in range(5)], columns=["id"], chunk_size=2)
        assert (result.rowcount, result.strategy) == (5, "copy")
        assert ways(postgresql) == ["binary"] * 4 + ["insert"]


def test_a_row_by_itself_is_what_it_was_when_it_was_taken(postgresql: DatabaseManager) -> None:
    def reused() -> Iterator[dict[str, Any]]:
        row = {"id": 1, "a": [1]}
        yield row
        row["id"] = 2
        row["a"].append(2)  # type: ignore[attr-defined]

    with table(postgresql, f"id INTEGER, a JSONB, {VIA}"):
        postgresql.bulk_insert("t", reused())
        assert stored(postgresql, "id, a") == [(1, [1])]
        assert ways(postgresql) == ["insert"]


def test_drawn_keys_and_conflicts_go_as_text(postgresql: DatabaseManager) -> None:
    with table(postgresql, f"id SERIAL PRIMARY KEY, a INTEGER, {VIA}"):
        assert postgresql.bulk_insert("t", [{"a": 1}, {"a": 2}], returning="id").ids == [1, 2]
        assert postgresql.bulk_insert("t", [{"id": 3, "a": 3}], on_conflict="ignore").rowcount == 1
        assert postgresql.bulk_insert("t", [{"id": 4, "a": 4}], returning="id").ids == [4]
        assert ways(postgresql) == ["text", "text", "insert", "insert"]


@pytest.mark.parametrize(
    ("kind", "value", "adapter"),
    [
        ("INTEGER", 1, lambda value: value + 1),
        ("TEXT", "a", str.upper),
        ("UUID", UUID(int=1), lambda value: UUID(int=2)),
        ("TIMESTAMPTZ", datetime(2020, 1, 2, tzinfo=UTC), lambda value: value + timedelta(days=1)),
        ("DATE", date(2020, 1, 2), lambda value: value + timedelta(days=1)),
        ("BYTEA", b"a", lambda value: value + b"b"),
        ("BOOLEAN", True, lambda value: not value),
        ("FLOAT8", 1.5, lambda value: -value),
    ],
)
def test_an_adapter_is_asked_as_ever(
    postgresql: DatabaseManager, kind: str, value: Any, adapter: Callable[[Any], Any]
) -> None:
    with (
        table(postgresql, f"id INTEGER, a {kind}"),
        DatabaseManager(postgresql.database_url, adapters={type(value): adapter}) as db,
    ):
        db.execute("INSERT INTO t (id, a) VALUES (0, :a)", {"a": value})
        db.bulk_insert("t", [(value,), (value,)], columns=["a"])
        found = [row for (row,) in stored(db, "a")]
        assert found[0] == found[1] == found[2] != value


# (type of a column, a value that it takes, one that it refuses, the class of the error)
REFUSED: list[tuple[str, Any, Any, type[Error]]] = [
    ("VARCHAR(3)", "abc", "abcd", DataError),
    ("CHAR(3)", "abc", "abcd", DataError),
    ("INTEGER CHECK (a > 0)", 1, 0, CheckViolation),
    ("INTEGER NOT NULL", 1, None, NotNullViolation),
    ("positive", 1, 0, CheckViolation),
    ("positive", 1, None, NotNullViolation),
    ("JSON", "{}", "{", DataError),
    ("JSONB", {}, '{"a": "\\u0000"}', DataError),
    ("UUID", UUID(int=1), "no", DataError),
    ("INTEGER", 1, "x", DataError),
    ("SMALLINT", 1, 2**15, DataError),
    ("BIGINT", 1, 2**63, DataError),
    ("BOOLEAN", True, 2, DataError),
    ("TEXT", "a", "\0", ParameterError),
    ("TEXT", "a", "\ud800", ParameterError),
    ("TIMESTAMPTZ", datetime(2020, 1, 1, tzinfo=UTC), datetime.min.replace(tzinfo=EAST), ParameterError),
    ("TIMESTAMP", datetime(2020, 1, 1), 5, ParameterError),
    ("BYTEA", b"a", "a\\", DataError),
    ("JSONB", {}, {"a": math.nan}, ParameterError),
]


@pytest.mark.parametrize(("kind", "good", "bad", "error"), REFUSED, ids=lambda part: repr(part)[:30])
def test_a_refused_value_is_told_as_by_text(
    postgresql: DatabaseManager, kind: str, good: Any, bad: Any, error: type[Error]
) -> None:
    """A column of a type that goes as text only makes the difference."""
    told = []
    postgresql.execute("CREATE DOMAIN positive AS INTEGER NOT NULL CHECK (VALUE > 0)")
    for also in ("INTEGER", "REAL"):
        with table(postgresql, f"id INTEGER, a {kind}, b {also}, {VIA}"):
            rows = [{"id": n, "a": bad if n in (7, 30) else good, "b": None} for n in range(40)]
            with pytest.raises(error) as whole:
                postgresql.bulk_insert("t", rows)
            result = postgresql.bulk_insert("t", rows, on_error="report", chunk_size=25)
            assert (result.rowcount, result.done) == (38, 40)
            assert [number for (number,) in stored(postgresql, "id")] == [n for n in range(40) if n not in (7, 30)]
            assert [refused.index for refused in result.errors] == [7, 30]
            assert [refused.row for refused in result.errors] == [rows[7], rows[30]]
            assert ("binary" in ways(postgresql)) == (also == "INTEGER")
            told.append([summary(one) for one in (whole.value, *(refused.error for refused in result.errors))])
    postgresql.execute("DROP DOMAIN positive")
    assert told[0] == told[1]


def summary(error: Any) -> tuple[Any, ...]:
    """What an error says, but for the place in the data, which the server tells otherwise."""
    primary = getattr(getattr(error.__cause__, "diag", None), "message_primary", None)
    return type(error), error.sqlstate, primary or str(error)


def test_a_key_that_is_there_twice_is_found(postgresql: DatabaseManager) -> None:
    with table(postgresql, f"id INTEGER PRIMARY KEY, {VIA}"):
        rows = [(n % 30,) for n in range(50)]
        with pytest.raises(UniqueViolation):
            postgresql.bulk_insert("t", rows, columns=["id"])
        result = postgresql.bulk_insert("t", rows, columns=["id"], on_error="report")
        assert (result.rowcount, [refused.index for refused in result.errors]) == (30, list(range(30, 50)))
        assert set(ways(postgresql)) == {"binary", "insert"}


def test_a_trigger_sees_the_rows(postgresql: DatabaseManager) -> None:
    with table(postgresql, f"id INTEGER, a TEXT, {VIA}"):
        postgresql.execute(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.a := upper(NEW.a); RETURN CASE WHEN NEW.id <> 2 THEN NEW END; END $$"
        )
        postgresql.execute("CREATE TRIGGER t_shout BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout()")
        result = postgresql.bulk_insert("t", [{"id": n, "a": "é" * n} for n in range(4)])
        assert (result.rowcount, stored(postgresql, "id, a")) == (3, [(0, ""), (1, "É"), (3, "ÉÉÉ")])
        assert ways(postgresql) == ["binary"] * 3
    postgresql.execute("DROP FUNCTION shout()")


def test_a_database_in_another_encoding_has_the_text(postgresql: DatabaseManager) -> None:
    name = f"nx_{uuid4().hex}"
    url = urlsplit(postgresql.database_url)._replace(path=f"/{name}", query="").geturl()
    postgresql.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        with DatabaseManager(url) as db, table(db, f"id INTEGER, a VARCHAR(3), b JSONB, c JSON, {VIA}"):
            rows = [{"id": n, "a": text, "b": {"ü": text}, "c": Json(text)} for n, text in enumerate(LATIN)]
            result = db.bulk_insert("t", rows, on_error="report")
            assert [(refused.index, summary(refused.error)[1]) for refused in result.errors] == [(1, "22P05")]
            found = stored(db, "id, a, b, octet_length(a)")
            assert found == [(0, "éßÿ", {"ü": "éßÿ"}, 3), (2, "", {"ü": ""}, 0), (3, None, {"ü": None}, None)]
            assert set(ways(db)) == {"binary", "insert"}
    finally:
        postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")
