"""What a program may say about its values holds for bulk writes as it does for statements."""

import enum
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

import servers
from bulking import kind_of, opened, plain, stored, table
from nexusql import Array, DatabaseManager, DataError, Error, Json, ParameterError

COLUMNS = {
    "sqlite": "id INTEGER PRIMARY KEY, a TEXT, n INTEGER, m TIMESTAMP, j JSON",
    "postgresql": "id INTEGER PRIMARY KEY, a TEXT, n INTEGER, m TIMESTAMP, j JSONB",
    "mysql": "id INTEGER PRIMARY KEY, a TEXT, n INTEGER, m DATETIME(6), j JSON",
    "mssql": "id INTEGER PRIMARY KEY, a TEXT, n INTEGER, m TIMESTAMP, j JSONB",
}


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Coin(Money):
    pass


class Priority(enum.IntEnum):
    LOW = 1


class Name(str):
    pass


def fails(value: Any) -> Any:
    raise LookupError("the adapter has failed")


ADAPTERS: dict[type, Any] = {
    Money: lambda money: money.cents,
    str: str.upper,
    int: lambda number: number + 1000,
    datetime: lambda moment: moment.replace(year=2000),
    set: lambda items: Json(sorted(items)),
    complex: fails,
}
MOMENT = datetime(2024, 1, 2, 3, 4, 5)


@pytest.mark.mssql_itself
@pytest.mark.parametrize("options", [{}, {"on_conflict": "update"}, {"returning": "a"}], ids=str)
@pytest.mark.parametrize("kind", servers.KINDS)
def test_adapters_are_asked_for_every_value_of_their_types(kind: str, options: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = [
        {"id": Decimal(1), "a": "text", "n": 5, "m": MOMENT, "j": {3, 1, 2}},
        {"id": Decimal(2), "a": Name("name"), "n": Money(7), "m": None, "j": Json(["x"])},
        {"id": Decimal(3), "a": None, "n": Coin(8), "m": MOMENT, "j": None},
        {"id": Decimal(4), "a": "\t'\\", "n": True, "m": MOMENT, "j": {}},
    ]
    with opened(kind, adapters=ADAPTERS) as db:
        for name in ("slow", "fast"):
            db.execute(f"CREATE TABLE {name} ({COLUMNS[kind]})")
        for row in rows:
            db.execute("INSERT INTO slow (id, a, n, m, j) VALUES (:id, :a, :n, :m, :j)", row)
        result = db.bulk_insert("fast", rows, **options)
        assert stored(db, table="fast") == stored(db, table="slow")
        assert db.execute_many("UPDATE slow SET a = :a", [{"a": "last"}]) == 4
        if options.get("returning"):
            assert len(result.ids) == 4
        first = db.execute("SELECT a, n FROM fast ORDER BY id")[0]
        assert first == {"a": "TEXT", "n": 1005}


@pytest.mark.parametrize("kind", servers.KINDS)
def test_numbers_that_the_database_gives_are_no_business_of_adapters(kind: str) -> None:
    with opened(kind, adapters={int: lambda number: number + 1000}) as db:
        db.execute("CREATE TABLE t (id SERIAL PRIMARY KEY, n INTEGER)")
        result = db.bulk_insert("t", [{"n": 1}, {"n": 2}], returning="id")
        assert stored(db) == [(1, 1001), (2, 1002)]
        assert result.ids == [1, 2]


@pytest.mark.parametrize("kind", servers.KINDS)
def test_what_an_adapter_raises_is_an_error_that_keeps_its_class(kind: str) -> None:
    with opened(kind, adapters=ADAPTERS) as db, table(db, "id INTEGER, n INTEGER"):
        for size in (None, 1):
            with pytest.raises(LookupError, match="the adapter has failed") as raised:
                db.bulk_insert("t", [{"id": 1, "n": 1}, {"id": 2, "n": 1j}], chunk_size=size)
            assert isinstance(raised.value, Error)
        with pytest.raises(ParameterError, match=r"row 0, column 'n': .*of type range cannot be bound"):
            db.bulk_insert("t", [{"id": 1, "n": range(3)}])
        assert stored(db) == []


@pytest.mark.parametrize("kind", servers.KINDS)
@pytest.mark.parametrize(
    "encode", [lambda value: json.dumps(value, default=str), lambda value: json.dumps(value, default=str).encode()]
)
def test_json_is_written_by_the_encoder_that_was_given(kind: str, encode: Any) -> None:
    with opened(kind, json_dumps=encode) as db, table(db, COLUMNS[kind]):
        rows: list[dict[str, Any]] = [
            {"id": 1, "j": {"when": date(2024, 1, 2)}},
            {"id": 2, "j": Json([Decimal("1.5")])},
            {"id": 3, "j": [date(2024, 1, 2)]},
            {"id": 4, "j": Array([])},
        ]
        assert db.bulk_insert("t", rows).rowcount == 4
        found = [value if kind == "postgresql" else json.loads(value) for (value,) in stored(db, "j")]
        assert found == [{"when": "2024-01-02"}, ["1.5"], ["2024-01-02"], []]


@pytest.mark.parametrize(
    "value", [{"a": {1}}, Json(object()), {"a": float("nan")}, [float("inf")], Json(date(2024, 1, 1))]
)
def test_what_is_no_json_is_refused(shared: DatabaseManager, value: Any) -> None:
    with table(shared, COLUMNS[kind_of(shared)]):
        with pytest.raises(ParameterError, match="row 0, column 'j': a value cannot be written as JSON"):
            shared.bulk_insert("t", [{"id": 1, "j": value}])


def test_a_zoned_datetime_is_stored_as_utc(shared: DatabaseManager) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2024, 1, 2, 3, 4, 5, 678, zone)
    with table(shared, COLUMNS[kind_of(shared)]):
        shared.bulk_insert("t", [{"id": 1, "m": moment}, {"id": 2, "m": moment.astimezone(timezone.utc)}])
        assert shared.execute_many("INSERT INTO t (id, m) VALUES (:id, :m)", [{"id": 3, "m": moment}]) == 1
        expected: Any = datetime(2024, 1, 1, 21, 34, 5, 678)
        if kind_of(shared) == "sqlite":
            expected = "2024-01-01 21:34:05.000678"
        assert stored(shared, "m") == [(expected,)] * 3
        assert shared.fetch_value("SELECT COUNT(*) FROM t WHERE m = :m", {"m": moment}) == 3


def test_an_enum_is_its_value(shared: DatabaseManager) -> None:
    class Kind(enum.Enum):
        ONE = "eins"
        TWO = 2

    with table(shared, "id INTEGER PRIMARY KEY, a VARCHAR(9), n INTEGER"):
        shared.bulk_insert("t", [{"id": Priority.LOW, "a": Kind.ONE, "n": Kind.TWO}])
        assert stored(shared) == [(1, "eins", 2)]


@pytest.mark.mssql_itself
@pytest.mark.parametrize("options", [{}, {"on_conflict": "update"}, {"returning": "id"}], ids=str)
def test_a_megabyte_comes_back(shared: DatabaseManager, options: dict[str, Any]) -> None:
    text = "aä'\\\t\n😀" * 120_000
    data = bytes(range(256)) * 4096
    types = {"sqlite": "BLOB", "postgresql": "BYTEA", "mysql": "LONGBLOB", "mssql": "BYTEA"}
    long = "LONGTEXT" if kind_of(shared) == "mysql" else "TEXT"
    with table(shared, f"id INTEGER PRIMARY KEY, a {long}, b {types[kind_of(shared)]}"):
        rows = [{"id": i, "a": text if i % 2 else "short", "b": data} for i in range(1, 8)]
        assert shared.bulk_insert("t", rows, **options).rowcount == 7
        assert [tuple(map(plain, row)) for row in stored(shared)] == [tuple(row.values()) for row in rows]


NAN, INFINITE = float("nan"), float("inf")
NOT_HELD = {
    "sqlite": [("n", NAN), ("n", Decimal("NaN")), ("n", Decimal("-Infinity"))],
    "postgresql": [("n", NAN), ("n", INFINITE), ("n", Decimal("NaN")), ("m", "NaN"), ("m", INFINITE)],
    "mysql": [("n", NAN), ("n", INFINITE), ("n", Decimal("NaN")), ("m", "NaN"), ("a", INFINITE)],
    "mssql": [("n", NAN), ("n", INFINITE), ("n", Decimal("NaN")), ("m", "NaN"), ("a", INFINITE)],
}


def test_what_a_column_cannot_hold_is_an_error(shared: DatabaseManager) -> None:
    with table(shared, COLUMNS[kind_of(shared)]):
        for column, value in NOT_HELD[kind_of(shared)]:
            with pytest.raises((ParameterError, DataError)):
                shared.bulk_insert("t", [{"id": 1, "a": "x"}, {"id": 2, column: value}])
        assert stored(shared) == []


def test_postgresqls_numbers_may_be_no_numbers(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER PRIMARY KEY, f FLOAT8, r REAL, d NUMERIC"):
        for i, value in enumerate([float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("-Infinity")]):
            postgresql.bulk_insert("t", [{"id": i, "f": value, "r": value, "d": value}])
        assert [tuple(map(str, row)) for row in stored(postgresql, "f, r, d")] == [
            ("nan", "nan", "NaN"),
            ("inf", "inf", "Infinity"),
            ("-inf", "-inf", "-Infinity"),
            ("nan", "nan", "NaN"),
            ("-inf", "-inf", "-Infinity"),
        ]


def test_numbers_of_any_size_keep_their_digits(postgresql: DatabaseManager) -> None:
    values = [Decimal("1E+400"), 10**400, Decimal("1E-400"), Decimal("9" * 60 + "." + "9" * 60), -(10**19), 1e300]
    with table(postgresql, "id INTEGER PRIMARY KEY, d NUMERIC"):
        postgresql.bulk_insert("t", [{"id": i, "d": value} for i, value in enumerate(values)])
        assert [value for (value,) in stored(postgresql, "d")] == [Decimal(str(value)) for value in values]
