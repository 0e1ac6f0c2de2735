"""Values come back as they were bound, or are refused: on the servers, with hostile values, in every mode.

psycopg2 and PyMySQL write values into the text of the statement, so this is where an injection would show: `canary` is
looked at after every test, and what the drivers write is compared with what the servers make of hexadecimal digits.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import servers
from driving import Driven, driven
from nexusql.errors import ParameterError

MODES = {
    "sqlite": [""],
    "postgresql": [
        "SET standard_conforming_strings = on",
        "SET standard_conforming_strings = off",
        "SET backslash_quote = on; SET standard_conforming_strings = off; SET escape_string_warning = off",
    ],
    "mysql": [
        f"SET SESSION sql_mode = '{mode}'"
        for mode in (
            "STRICT_TRANS_TABLES",
            "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES",
            "STRICT_TRANS_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT",
            "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,ANSI_QUOTES",
            "ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES",
        )
    ],
    "mssql": ["SET QUOTED_IDENTIFIER ON", "SET QUOTED_IDENTIFIER OFF"],
}
CASES = [(kind, mode) for kind, modes in MODES.items() if kind in servers.KINDS for mode in modes]

HOSTILE = [
    *("'", "''", "'; DROP TABLE canary; --", "\\'; DROP TABLE canary; --", "\\", "\\\\", "\\' OR 1=1 -- ", "a\\"),
    *('"', '\\"', "`", "$$", "$x$", "E'", "/*", "*/", "--", "#", "%", "%s", "%(a)s", "{}", ":a", "?", "\x1a", "\r\n"),
    *("\x00", "a\x00b", "\\0", "\u4e01' OR 1=1 -- ", "\xbf'", "\xbf\\'", "\u2028", "\ufeff", "😀", "\ud800", "a\udfff"),
    *("x" * 70_000, "'" * 3000, "\ufffe", "\u0301", "NULL", "TRUE NOW() ::text SERIAL -- ;"),
]


def case_name(case: tuple[str, str]) -> str:
    return f"{case[0]} {case[1].rpartition('=')[2]}"


@pytest.fixture(scope="module", params=CASES, ids=case_name)
def session(request: pytest.FixtureRequest) -> Iterator[Driven]:
    """A session in one of the modes, with a table whose content nothing may change."""
    kind, mode = request.param
    servers.require(kind)
    with servers.fresh_database(kind) as url, driven(url) as opened:
        opened.run("CREATE TABLE canary (a INTEGER)")
        opened.run("INSERT INTO canary VALUES (42)")
        for setting in mode.split("; ") if mode else ():
            opened.run(setting)
        opened.backend.inspect(opened.raw)  # as the connection layer does after every SET
        yield opened
        assert opened.run("SELECT a FROM canary") == [(42,)]


@contextlib.contextmanager
def refusable() -> Iterator[None]:
    """A value may be refused; then nothing was sent."""
    with contextlib.suppress(ParameterError):
        yield


def plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


texts = (
    st.text(st.characters(exclude_categories=()), max_size=40)
    | st.sampled_from(HOSTILE)
    | st.text("'\\\"`%-;/*\x00$ a")
)


@given(texts)
def test_text_comes_back(session: Driven, value: str) -> None:
    with refusable():
        assert session.run("SELECT {}, {}", value, "next") == [(value, "next")]


@given(texts)
def test_text_beside_other_code_comes_back(session: Driven, value: str) -> None:
    with refusable():
        assert session.run("SELECT {} AS a, 'x' AS b -- {}\n, {} AS c".replace("-- {}", ""), value, value) == [
            (value, "x", value)
        ]


@given(st.binary(max_size=80) | st.sampled_from(HOSTILE).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes_come_back(session: Driven, value: bytes) -> None:
    assert plain(session.value("SELECT {}", value)) == value


def test_a_megabyte_comes_back(session: Driven) -> None:
    data = bytes(range(256)) * 4096
    assert plain(session.value("SELECT {}", data)) == data
    text = "aä'\\😀" * 150_000
    assert session.value("SELECT {}", text) == text


@given(st.integers() | st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**70), 10**70))
@example(2**63 - 1)
@example(-(2**63))
@example(2**63)
@example(10**65 - 1)
@example(10**5000)
def test_whole_numbers_come_back(session: Driven, value: int) -> None:
    with refusable():
        assert session.value("SELECT {}", value) == value


@given(st.floats())
@example(5e-324)
@example(1.7976931348623157e308)
@example(-0.0)
def test_floats_come_back(session: Driven, value: float) -> None:
    if session.backend.syntax.dialect == "mssql":  # whose FLOAT has no smaller ones, by its documentation
        assume(value == 0 or not abs(value) < sys.float_info.min)
    cast = "SELECT {}::float8" if session.backend.syntax.dialect == "postgresql" else "SELECT {}"
    with refusable():
        got = session.value(cast, value)
        assert got == value or (got != got and value != value)


@given(st.decimals(allow_nan=None) | st.decimals(-(10**30), 10**30, places=20))
def test_decimals_come_back(session: Driven, value: Decimal) -> None:
    with refusable():
        got = Decimal(session.value("SELECT {}", value))
        assert got == value or (got.is_nan() and value.is_nan())


zones = st.timedeltas(timedelta(hours=-15), timedelta(hours=15)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
moments = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30))
aware = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=zones)
durations = st.timedeltas(timedelta(hours=-838), timedelta(hours=838))

# What each kind of value is stored in, and how it is read back.
COLUMNS: dict[str, dict[str, tuple[str, Any]]] = {
    "sqlite": {
        "date": ("DATE", date.fromisoformat),
        "time": ("TIME", time.fromisoformat),
        "moment": ("TIMESTAMP", datetime.fromisoformat),
        "aware": ("TIMESTAMP", lambda text: datetime.fromisoformat(text).replace(tzinfo=timezone.utc)),
        "duration": ("TEXT", lambda text: read_clock(text)),
        "uuid": ("TEXT", UUID),
        "json": ("TEXT", json.loads),
    },
    "postgresql": {
        "date": ("DATE", None),
        "time": ("TIME", None),
        "moment": ("TIMESTAMP", None),
        "aware": ("TIMESTAMPTZ", None),
        "duration": ("INTERVAL", None),
        "uuid": ("UUID", UUID),
        "json": ("JSONB", None),
    },
    "mysql": {
        "date": ("DATE", None),
        "time": ("TIME(6)", lambda span: (datetime.min + span).time()),
        "moment": ("DATETIME(6)", None),
        "aware": ("DATETIME(6)", lambda moment: moment.replace(tzinfo=timezone.utc)),
        "duration": ("TIME(6)", None),
        "uuid": ("CHAR(36)", UUID),
        "json": ("JSON", json.loads),
    },
    "mssql": {
        "date": ("DATE", None),
        "time": ("TIME(6)", None),
        "moment": ("DATETIME2(6)", None),
        "aware": ("DATETIME2(6)", lambda moment: moment.replace(tzinfo=timezone.utc)),
        "duration": ("VARCHAR(30)", lambda text: read_clock(text)),
        "uuid": ("UNIQUEIDENTIFIER", UUID),
        "json": ("NVARCHAR(MAX)", json.loads),
    },
}


def read_clock(text: str) -> timedelta:
    hours, minutes, seconds = text.lstrip("-").split(":")
    span = timedelta(hours=int(hours), minutes=int(minutes), microseconds=int(Decimal(seconds) * 1_000_000))
    return -span if text.startswith("-") else span


@pytest.fixture(scope="module", params=servers.KINDS)
def default(request: pytest.FixtureRequest) -> Iterator[Driven]:
    """A session in its own modes on each database."""
    servers.require(request.param)
    with servers.fresh_database(request.param) as url, driven(url) as opened:
        yield opened


@pytest.fixture(scope="module", params=list(COLUMNS["sqlite"]))
def column(request: pytest.FixtureRequest, default: Driven) -> Iterator[str]:
    """A table `held` with one column for a kind of value."""
    kind, _ = COLUMNS[default.backend.syntax.dialect][request.param]
    default.run(f"CREATE TABLE held (a {kind})")
    yield request.param
    default.run("DROP TABLE held")


keys = st.text(max_size=5).filter(lambda key: "\x00" not in key)  # jsonb holds no NUL
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | keys
VALUES = {
    "date": st.dates(date(1000, 1, 1)),
    "time": st.times(),
    "moment": moments,
    "aware": aware,
    "duration": durations,
    "uuid": st.uuids(),
    "json": st.dictionaries(keys, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3)), max_size=4),
}


@given(st.data())
def test_a_stored_value_comes_back(default: Driven, column: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[column])
    _, read = COLUMNS[default.backend.syntax.dialect][column]
    default.run("DELETE FROM held")
    default.run("INSERT INTO held VALUES ({})", value)
    got = default.value("SELECT a FROM held")
    assert (read(got) if read else got) == value
    if column != "json":
        assert default.value("SELECT COUNT(*) FROM held WHERE a = {}", value) == 1


@given(st.lists(moments, min_size=2, max_size=5), st.lists(aware, min_size=2, max_size=5))
def test_sqlite_texts_sort_as_the_moments_do(naive: list[datetime], zoned: list[datetime]) -> None:
    with driven("sqlite://:memory:") as session:
        for values in (naive, zoned):
            texts = [session.adapt(value) for value in values]
            assert [texts[i] for i in sorted(range(len(values)), key=values.__getitem__)] == sorted(texts)


def bound_by_hexadecimal(session: Driven, value: str) -> str:
    """The value as the server makes it of hexadecimal digits, without any literal that could be escaped wrongly."""
    digits = value.encode().hex()
    if session.backend.syntax.dialect == "postgresql":
        return f"convert_from(decode('{digits}', 'hex'), 'UTF8')"
    return f"CONVERT(X'{digits}' USING utf8mb4)"


def on(*kinds: str) -> pytest.MarkDecorator:
    """Only the sessions on these databases, in all their modes."""
    cases = [case for case in CASES if case[0] in kinds]
    return pytest.mark.parametrize("session", cases, indirect=True, ids=map(case_name, cases), scope="module")


@on("postgresql", "mysql")
@given(texts)
def test_what_the_driver_writes_is_what_the_server_binds(session: Driven, value: str) -> None:
    with refusable():
        session.run("SELECT {}", value)  # refuses what is no text
        literal = bound_by_hexadecimal(session, value)
        equal = "{} = %s" if session.backend.syntax.dialect == "postgresql" else "BINARY {} = BINARY %s"
        assert session.value(f"SELECT {equal % literal}", value) in (1, True)


@on("postgresql")
@given(texts)
def test_psycopg2_writes_what_a_prepared_statement_is_given(session: Driven, value: str) -> None:
    with refusable():
        session.run("DEALLOCATE ALL")
        session.run("PREPARE oracle(bytea, text) AS SELECT convert_from($1, 'UTF8') = $2, $2")
        assert session.run("EXECUTE oracle({}, {})", value.encode("utf-8", "surrogatepass"), value) == [(True, value)]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Driven]:
    """A session on PostgreSQL in its default modes."""
    servers.require("postgresql")
    with driven(servers.server_url("postgresql")) as opened:
        yield opened


@given(st.lists(texts | st.none(), min_size=1, max_size=5))
def test_an_array_of_text_comes_back(postgresql: Driven, value: list[str | None]) -> None:
    with refusable():
        assert postgresql.value("SELECT {}::text[]", value) == value


@given(
    st.one_of(
        st.tuples(st.just("int8"), st.lists(st.integers(-(2**63), 2**63 - 1) | st.none())),
        st.tuples(st.just("text"), st.lists(texts | st.none())),
        st.tuples(st.just("bool"), st.lists(st.booleans() | st.none())),
        st.tuples(st.just("float8"), st.lists(st.floats(allow_nan=False) | st.none())),
        st.tuples(st.just("numeric"), st.lists(st.decimals(allow_nan=False, allow_infinity=False) | st.none())),
        st.tuples(st.just("date"), st.lists(st.dates() | st.none())),
        st.tuples(st.just("time"), st.lists(st.times() | st.none())),
        st.tuples(st.just("timestamp"), st.lists(moments | st.none())),
        st.tuples(st.just("timestamptz"), st.lists(aware | st.none())),
        st.tuples(st.just("interval"), st.lists(durations | st.none())),
        st.tuples(st.just("bytea"), st.lists(st.binary() | st.none())),
    )
)
def test_an_array_literal_is_read_as_the_items_it_was_made_of(postgresql: Driven, case: tuple[str, list[Any]]) -> None:
    kind, items = case
    with refusable():
        literal = postgresql.backend.adapt_list(items)
        found = postgresql.run(f"SELECT a FROM unnest({{}}::{kind}[]) WITH ORDINALITY AS t(a, n) ORDER BY n", literal)
        assert [plain(item) for (item,) in found] == items
