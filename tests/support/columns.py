"""The types of columns that each database has, and values that they hold, as hypothesis makes them."""

import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from nexusql import Array, Json

HOSTILE = [
    *(
        "",
        " ",
        "'",
        "''",
        "\\",
        "\\\\",
        "\\'",
        "\\N",
        "\\.",
        "\\x41",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\v\f\b",
        "\x1a",
        "\x7f",
    ),
    *("'; DROP TABLE canary; --", "\\'; DROP TABLE canary; --", "a\\", '"', '\\"', "`", "$$", "E'", "/*", "--", "#"),
    *("%", "%s", "%(a)s", "{}", "{1,2}", "[]", "null", "NULL", "true", "a,b", "(1,2)", ":a", "?", "\u2028", "\ufeff"),
    *("😀", "ä", "\u4e01' OR 1=1 -- ", "\xbf'", "\xbf\\'", "e\u0301", "x\ty\\\nz", "1e5", "0x41", "2020-01-02"),
]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Text(str):
    """A subclass whose own code must not be asked."""

    def encode(self, *args: Any) -> bytes:
        return b"evil"

    def replace(self, *args: Any) -> str:
        return "evil"

    __str__ = __repr__ = lambda self: "evil"


class Whole(int):
    """Another one."""

    __str__ = __repr__ = lambda self: "1); DROP TABLE canary; --"
    __index__ = __int__ = lambda self: 666


class Real(float):
    """Another one."""

    __str__ = __repr__ = lambda self: "1); DROP TABLE canary; --"
    __float__ = lambda self: 666.0  # noqa: E731


def texts(most: int | None = None, *, wide: bool = True) -> st.SearchStrategy[Any]:
    """Any text without NUL and half surrogate pairs, at most as long; with `wide` beyond the basic plane."""
    made = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=None if wide else 0xFFFF),
        max_size=20 if most is None else min(most, 20),
    )
    known = [text for text in HOSTILE if (most is None or len(text) <= most) and (wide or text != "😀")]
    return made | st.sampled_from(known) | made.map(Text)


keys = texts(5)
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts() | st.floats(-1e6, 1e6)
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
jsons = st.dictionaries(keys, documents, max_size=3) | st.lists(documents, max_size=3) | documents.map(Json)

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
floats = st.floats(allow_nan=False, allow_infinity=False)


def whole(bits: int) -> st.SearchStrategy[Any]:
    """What an integer column of so many bits holds, bools, strings and subclasses included."""
    made = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return made | st.booleans() | made.map(str) | made.map(Whole)


def fractions(digits: int, places: int) -> st.SearchStrategy[Any]:
    """What a column of decimal numbers holds, whole numbers, floats and strings included."""
    most = 10 ** (digits - places) - 1
    made = st.decimals(-most, most, places=places)
    return made | st.integers(-most, most) | made.map(str) | st.integers(-1000, 1000).map(lambda n: n / 8)


def moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Datetimes without a zone between two years, without their outermost days."""
    return st.datetimes(datetime(first, 1, 2), datetime(last, 12, 30))


def aware(first: int, last: int) -> st.SearchStrategy[datetime]:
    """The same with zones."""
    return st.datetimes(datetime(first, 1, 2), datetime(last, 12, 30), timezones=zones)


def arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists of these and of None, empty ones and rectangles included."""
    item = items | st.none()
    flat = st.lists(item, max_size=4)
    return (
        flat
        | flat.map(tuple)
        | flat.map(Array)
        | st.integers(1, 3).flatmap(
            lambda width: st.lists(st.lists(item, min_size=width, max_size=width), min_size=1, max_size=3)
        )
    )


BYTES = st.binary(max_size=30) | st.sampled_from([b"\\x41", b"'", b"\\", b"\0", b"\xff\xfe"])
BUFFERS: st.SearchStrategy[Any] = BYTES | BYTES.map(bytearray) | BYTES.map(lambda data: memoryview(data))

POSTGRESQL: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "text": ("TEXT", texts() | st.uuids() | st.integers() | fractions(20, 6) | moments(1, 9999) | st.dates()),
    "float_text": ("VARCHAR(400)", floats | st.decimals(allow_nan=False, allow_infinity=False, max_value=10**30)),
    "varchar": ("VARCHAR(30)", texts(30)),
    "char": ("CHAR(8)", texts(8)),
    "smallint": ("SMALLINT", whole(16) | st.floats(-30_000, 30_000)),
    "integer": ("INTEGER", whole(32) | st.floats(-1e9, 1e9) | st.decimals(-(10**9), 10**9, places=2)),
    "bigint": ("BIGINT", whole(64)),
    "boolean": ("BOOLEAN", st.booleans() | st.sampled_from(["t", "f", "yes", "0"])),
    "number": ("NUMERIC", st.decimals(-(10**40), 10**40) | fractions(30, 10) | floats | st.just(Decimal("NaN"))),
    "price": ("NUMERIC(12,3)", fractions(12, 3)),
    "real": ("REAL", st.floats(width=32)),
    "double": ("DOUBLE PRECISION", st.floats() | st.floats(allow_nan=False).map(Real) | st.integers(-(2**53), 2**53)),
    "bytea": ("BYTEA", BUFFERS),
    "json": ("JSON", jsons),
    "jsonb": ("JSONB", jsons),
    "texts": ("TEXT[]", arrays(texts())),
    "integers": ("INTEGER[]", arrays(st.integers(-(2**31), 2**31 - 1))),
    "doubles": ("FLOAT8[]", arrays(st.floats())),
    "booleans": ("BOOLEAN[]", arrays(st.booleans())),
    "uuids": ("UUID[]", arrays(st.uuids())),
    "byteas": ("BYTEA[]", arrays(BYTES)),
    "instants": ("TIMESTAMPTZ[]", arrays(aware(1, 9999))),
    "documents": ("JSONB[]", arrays(st.dictionaries(keys, leaves, max_size=2))),
    "uuid": ("UUID", st.uuids() | st.uuids().map(str)),
    "date": ("DATE", st.dates() | moments(1, 9999)),
    "time": ("TIME", st.times() | st.timedeltas(timedelta(days=-3), timedelta(days=3))),
    "timestamp": ("TIMESTAMP", moments(1, 9999) | aware(1, 9999) | st.dates()),
    "timestamptz": ("TIMESTAMPTZ", aware(1, 9999) | moments(1000, 9000)),
    "interval": ("INTERVAL", st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000))),
    "colour": ("colour", st.sampled_from(Colour)),
    "domain": ("short_text", texts(9)),
    "nested": ("shorter_number", st.integers(-99, 99) | st.floats(-99, 99)),
}

MYSQL: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "text": (
        "TEXT",
        texts() | st.text(max_size=9) | st.uuids() | st.integers(-(10**60), 10**60) | st.floats(-1e9, 1e9),
    ),
    "varchar_": ("VARCHAR(30)", texts(30)),
    "char_": ("CHAR(8)", texts(8)),
    "tiny": ("TINYINT(1)", whole(8)),
    "smallint_": ("SMALLINT", whole(16) | st.floats(-30_000, 30_000)),
    "integer_": ("INT", whole(32) | st.floats(-1e9, 1e9) | st.decimals(-(10**9), 10**9, places=2)),
    "bigint_": ("BIGINT", whole(64)),
    "unsigned_": ("BIGINT UNSIGNED", st.integers(0, 2**64 - 1)),
    "number": ("DECIMAL(50,20)", fractions(50, 20)),
    "price": ("DECIMAL(12,3)", fractions(12, 3)),
    "single": ("FLOAT", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "double_": ("DOUBLE", floats | floats.map(Real) | st.integers(-(2**53), 2**53)),
    "blob_": ("BLOB", BUFFERS),
    "json_": ("JSON", jsons | arrays(st.integers())),
    "uuid_": ("CHAR(36)", st.uuids()),
    "date_": ("DATE", st.dates(date(1000, 1, 1))),
    "time_": ("TIME(6)", st.times() | st.timedeltas(timedelta(hours=-838), timedelta(hours=838))),
    "datetime_": ("DATETIME(6)", moments(1000, 9999) | aware(1000, 9999) | st.dates(date(1000, 1, 1))),
    "timestamp_": ("TIMESTAMP(6) NULL", moments(1980, 2030) | aware(1980, 2030)),
    "colour": ("ENUM('red', 'blue')", st.sampled_from(Colour)),
    "bits": ("BIT(16)", st.integers(0, 2**16 - 1) | st.binary(min_size=1, max_size=2)),
    "year_": ("YEAR", st.integers(1901, 2155)),
}

ANYTHING = (
    texts()
    | st.text()
    | whole(64)
    | st.floats(allow_nan=False)
    | fractions(20, 6)
    | BUFFERS
    | jsons
    | st.uuids()
    | st.dates()
    | st.times()
    | moments(1, 9999)
    | aware(1, 9999)
    | st.timedeltas(timedelta(days=-999), timedelta(days=999))
    | st.sampled_from(Colour)
)
SQLITE: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "text": ("TEXT", ANYTHING),
    "varchar": ("VARCHAR(30)", ANYTHING),
    "whole": ("INTEGER", ANYTHING),
    "boolean": ("BOOLEAN", ANYTHING),
    "number": ("NUMERIC", ANYTHING),
    "price": ("DECIMAL(12,3)", ANYTHING),
    "real": ("REAL", ANYTHING),
    "blob": ("BLOB", ANYTHING),
    "json": ("JSON", ANYTHING),
    "moment": ("TIMESTAMP", ANYTHING),
    "untyped": ("", ANYTHING),
}

# Each type with values that it takes as they are.
MSSQL: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "whole": ("INTEGER", st.integers(-(2**31), 2**31 - 1)),
    "long": ("BIGINT", st.integers(-(2**63), 2**63 - 1)),
    "flag": ("BOOLEAN", st.booleans()),
    "text": ("TEXT", st.sampled_from(HOSTILE)),
    "amount": ("NUMERIC(20, 4)", st.decimals(-(10**12), 10**12, places=4)),
    "moment": ("TIMESTAMP", st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))),
    "day": ("DATE", st.dates()),
    "blob": ("BYTEA", st.binary(max_size=40)),
}

COLUMNS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL, "mssql": MSSQL}
TYPES = {
    "sqlite": (),
    "postgresql": (
        "CREATE TYPE colour AS ENUM ('red', 'blue')",
        "CREATE DOMAIN short_text AS VARCHAR(9)",
        "CREATE DOMAIN short_number AS INTEGER",
        "CREATE DOMAIN shorter_number AS short_number CHECK (VALUE < 100)",
    ),
    "mysql": (),
    "mssql": (),
}


def declared(kind: str) -> str:
    """The columns of a table with one of each type."""
    return ", ".join(f"{name} {column}" for name, (column, _) in COLUMNS[kind].items())


def rows(kind: str, *, most: int = 3) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows for that table, numbered; some lack columns."""
    values = {name: st.none() | made for name, (_, made) in COLUMNS[kind].items()}
    row = st.fixed_dictionaries(values) | st.fixed_dictionaries({}, optional=values)
    return st.lists(row, min_size=1, max_size=most).map(lambda made: [{"id": i, **row} for i, row in enumerate(made)])


def in_basic_plane(value: Any) -> Any:
    """A text without what a session in utf8mb3 cannot send; any other value as it is."""
    return re.sub(r"[^\0-\uffff]", "?", value) if isinstance(value, str) else value
