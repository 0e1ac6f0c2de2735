"""What the encoders write, read by the servers: values come back as they went in, literals are what a bind is."""

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import servers
from nexusql._speedups import BOOL, BOOL_INT, BYTES, DATE, DATETIME, END, FLOAT, INT, STR
from readings import HOSTILE

PIECES = ("\\N", "\\.", "\\", "'", '"', "\t", "\n", "\r", "\r\n", "\x1a", "\x08", "\x7f", "\x85", "\ufeff", "NULL", "é")
EXAMPLES = 500 if servers.flag("NEXUSQL_LONG") else 60
MASKS = (INT, STR, BYTES, BOOL, INT, FLOAT, DATETIME, DATE)
SMALLEST, LARGEST = -(2**63), 2**63 - 1


def texts(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(st.one_of(st.sampled_from(PIECES), st.text(characters, max_size=4)), max_size=6).map("".join)
    return st.one_of(st.sampled_from(HOSTILE), pieces)


def rows_of(characters: st.SearchStrategy[str], floats: st.SearchStrategy[float]) -> st.SearchStrategy[list[Any]]:
    """Rows of a number, text, bytes, bool, integer, float, datetime and date, or None instead."""
    moments = st.datetimes().map(lambda moment: moment.replace(fold=0))
    columns = (
        texts(characters),
        st.binary(max_size=20),
        st.booleans(),
        st.one_of(st.integers(SMALLEST, LARGEST), st.sampled_from((0, SMALLEST, LARGEST))),
        floats,
        st.one_of(moments, st.sampled_from((datetime.min, datetime.max))),
        st.one_of(st.dates(), st.sampled_from((date.min, date.max))),
    )
    row = st.tuples(*(st.none() | column for column in columns))
    return st.lists(row, min_size=1, max_size=12).map(lambda rows: [(n, *row) for n, row in enumerate(rows)])


# One row for each hostile text, with the edges of the other types.
REALS = (0.0, -0.0, 0.1, 1e22, 5e-324, 1.7976931348623157e308, -1.5, 1e15, 1e16)
EDGES: list[Any] = [
    (
        *(n, text, text.encode(), n % 2 == 0, (SMALLEST, LARGEST, 0)[n % 3], REALS[n % len(REALS)]),
        *(datetime(1, 1, 1, 0, 0, 0, n), date.max),
    )
    for n, text in enumerate((*PIECES, *HOSTILE))
]


@contextmanager
def session(kind: str) -> Iterator[Any]:
    """A bare driver's connection to a fresh database."""
    servers.require(kind)
    with servers.fresh_database(kind) as url, closing(servers.CONNECT[kind](url)) as connection:
        yield connection


def as_it_is(value: Any) -> Any:
    raise AssertionError(f"a converter is asked for {value!r}")


@pytest.mark.parametrize("names", [None, tuple("nabcdefg")])
def test_what_copy_rows_writes_comes_back_from_postgresql(encoder: ModuleType, names: tuple[str, ...] | None) -> None:
    not_finite: Callable[[Any], Any] = str
    converters = (*[as_it_is] * 5, not_finite, as_it_is, as_it_is)
    with session("postgresql") as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE t (n int, a text, b bytea, c boolean, d bigint, e double precision, f timestamp, g date)"
        )

        @settings(max_examples=EXAMPLES)
        @given(rows_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.floats()))
        @example(EDGES)
        def comes_back(rows: list[Any]) -> None:
            records = rows if names is None else [dict(zip(names, row, strict=True)) for row in rows]
            data, count, status, _ = encoder.copy_rows(
                None, iter(records), names, False, MASKS, converters, 10**6, 10**6, None
            )
            assert (count, status) == (len(rows), END)
            cursor.execute("TRUNCATE t")
            cursor.copy_expert("COPY t FROM STDIN", io.BytesIO(data))
            cursor.execute("SELECT * FROM t ORDER BY n")
            read = [(n, a, None if b is None else bytes(b), *rest) for n, a, b, *rest in cursor.fetchall()]
            # Written out, because NaN is not equal to itself and -0.0 is equal to 0.0.
            assert repr(read) == repr(rows)

        comes_back()


def test_a_text_of_one_column_is_not_the_end_of_the_data(encoder: ModuleType) -> None:
    rows = [("before",), ("\\.",), ("",), ("\\N",), (None,), ("after",)]
    data, *_ = encoder.copy_rows(None, iter(rows), None, False, (STR,), (as_it_is,), 99, 999, None)
    with session("postgresql") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (n serial, a text)")
        cursor.copy_expert("COPY t (a) FROM STDIN", io.BytesIO(data))
        cursor.execute("SELECT a FROM t ORDER BY n")
        assert cursor.fetchall() == rows


def bound(value: Any) -> tuple[int, bytes]:
    """(type, value) in MySQL's binary protocol.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
    """
    match value:
        case bool():
            return 0x01, struct.pack("<b", value)
        case int():
            return 0x08, struct.pack("<q", value)
        case float():
            return 0x05, struct.pack("<d", value)
        case datetime():
            moment = value.timetuple()[:6]
            return 0x0C, struct.pack("<BHBBBBBI", 11, *moment, value.microsecond)
        case date():
            return 0x0A, struct.pack("<BHBB", 4, value.year, value.month, value.day)
        case str() | bytes():
            data = value.encode() if isinstance(value, str) else value
            # The mark of a length in two bytes.
            return (0xFD if isinstance(value, str) else 0xFC), b"\xfc" + struct.pack("<H", len(data)) + data
        case _:
            raise AssertionError(f"no type for {value!r}")


class Prepared:
    """A statement prepared on the server, so that its values are no part of its text."""

    def __init__(self, connection: Any, sql: str) -> None:
        self.connection = connection
        connection._execute_command(0x16, sql)
        answer = connection._read_packet().get_all_data()
        self.number, _, parameters = struct.unpack("<IHH", answer[1:9])
        for _ in range(parameters + 1):  # their definitions, and what ends them
            connection._read_packet()

    def execute(self, values: tuple[Any, ...]) -> None:
        nulls = sum(1 << n for n, value in enumerate(values) if value is None)
        parts = [bound("" if value is None else value) for value in values]
        payload = struct.pack("<IBI", self.number, 0, 1) + nulls.to_bytes((len(values) + 7) // 8, "little") + b"\1"
        payload += b"".join(struct.pack("<H", kind) for kind, _ in parts)
        payload += b"".join(data for value, (_, data) in zip(values, parts, strict=True) if value is not None)
        self.connection._execute_command(0x17, payload)
        self.connection._read_packet()


@pytest.mark.parametrize("backslashes", [True, False])
def test_a_literal_is_what_the_bind_of_its_value_is(encoder: ModuleType, backslashes: bool) -> None:
    masks = (INT, STR, BYTES, BOOL_INT, INT, FLOAT, DATETIME, DATE)
    finite = st.floats(allow_nan=False, allow_infinity=False)
    with session("mysql") as connection, connection.cursor() as cursor:
        modes = "STRICT_ALL_TABLES" if backslashes else "STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES"
        cursor.execute("SET sql_mode = %s", (modes,))
        columns = "n INT, a LONGTEXT, b LONGBLOB, c TINYINT, d BIGINT, e DOUBLE, f DATETIME(6), g DATE"
        for table in ("literals", "binds"):
            cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns})")
        prepared = Prepared(connection, "INSERT INTO binds VALUES (?, ?, ?, ?, ?, ?, ?, ?)")

        @settings(max_examples=EXAMPLES)
        @given(rows_of(st.characters(exclude_categories=["Cs"]), finite))
        @example(EDGES)
        @example([(0, "a\0b\\0", b"\0", True, 0, 0.0, datetime.max, date.min)])
        def equals(rows: list[Any]) -> None:
            data, count, status, _ = encoder.literal_rows(
                None, iter(rows), None, False, masks, (as_it_is,) * 8, backslashes, 10**6, 10**6, None
            )
            assert (count, status) == (len(rows), END)
            for table in ("literals", "binds"):
                cursor.execute(f"DELETE FROM {table}")
            cursor.execute(b"INSERT INTO literals VALUES " + data)
            for row in rows:
                prepared.execute(row)
            read = []
            for table in ("literals", "binds"):
                cursor.execute(f"SELECT *, HEX(a), HEX(b) FROM {table} ORDER BY n")
                read.append(cursor.fetchall())
            assert repr(read[0]) == repr(read[1])
            for written, (*stored, _, _) in zip(rows, read[0], strict=True):
                assert tuple(stored) == written

        equals()
