"""PostgreSQL columns that would refuse, or read otherwise, what psycopg2 sends with a type of its own."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

import servers
from driving import Driven, driven
from nexusql.errors import Error, ParameterError
from nexusql.sql.statement import Assigned, Statement

TWO_HOURS = timezone(timedelta(hours=2))
MOMENT = datetime(2020, 1, 2, 1, 30, tzinfo=TWO_HOURS)
IDS = [UUID(int=1), UUID(int=2)]


@pytest.fixture
def session() -> Iterator[Driven]:
    """A session in a time zone that shows every mistake."""
    servers.require("postgresql")
    with servers.fresh_database("postgresql") as url, driven(url) as opened:
        opened.run("SET TimeZone = 'Asia/Kolkata'")
        yield opened


class Columns:
    """`types_of` as the engine gives it, counting how often it is asked."""

    def __init__(self, session: Driven) -> None:
        self._session = session
        self.asked: list[str] = []

    def __call__(self, table: str) -> Mapping[str, str]:
        self.asked.append(table)
        return self._session.backend.column_types(self._session.raw, table)


def insert(session: Driven, column: str, value: Any, table: str = "t") -> list[str]:
    """Insert a value as the engine does; the tables whose types were looked up."""
    text = f"INSERT INTO {table} ({column}) VALUES (%s)"
    statement = Statement(text, text, names=("v",), assigned=(Assigned(0, table, column),))
    args = [session.adapt(value)]
    columns = Columns(session)
    session.backend.fit(statement, args, columns)
    with session.mapping(text):
        session.backend.execute(session.raw, text, args)
    return columns.asked


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("BOOLEAN", (True, False)),
        ("SMALLINT", (1, 0)),
        ("INTEGER", (1, 0)),
        ("BIGINT", (1, 0)),
        ("JSON", (True, False)),
        ("JSONB", (True, False)),
        ("TEXT", ("true", "false")),
        ("VARCHAR(5)", ("true", "false")),
    ],
)
def test_a_bool_fits_whatever_the_column_is(session: Driven, kind: str, stored: tuple[Any, Any]) -> None:
    session.run(f"CREATE TABLE t (id SERIAL, a {kind})")
    for value in (True, False):
        assert insert(session, "a", value) == ["t"]
    assert session.run("SELECT a FROM t ORDER BY id") == [(stored[0],), (stored[1],)]


def test_a_bool_fits_a_column_of_a_domain_over_integers(session: Driven) -> None:
    session.run("CREATE DOMAIN flag AS integer CHECK (value IN (0, 1))")
    session.run("CREATE TABLE t (a flag)")
    insert(session, "a", True)
    assert session.run("SELECT a FROM t") == [(1,)]


def test_a_bool_in_a_column_that_takes_none_is_the_servers_error(session: Driven) -> None:
    session.run("CREATE TABLE t (a DATE)")
    with pytest.raises(Error, match="boolean"):
        insert(session, "a", True)


def test_names_are_read_as_they_are_written(session: Driven) -> None:
    session.run('CREATE TABLE "My T" ("Odd ""Col" INTEGER, "ÄB" INTEGER, plain INTEGER)')
    schema = session.value("SELECT current_schema()")
    for table in ('"My T"', f'{schema}."My T"', f'"{schema}" . "My T"'):
        for column in ('"Odd ""Col"', "PLAIN", "plain", '"ÄB"'):
            insert(session, column, True, table)
    assert session.value('SELECT SUM(plain) + SUM("Odd ""Col") + SUM("ÄB") FROM "My T"') == 12


def test_types_are_looked_up_only_for_what_needs_them(session: Driven) -> None:
    session.run("CREATE TABLE t (a TEXT)")
    for value in ("x", 1, None, MOMENT, UUID(int=1), {"a": 1}):
        assert insert(session, "a", value) == []


def test_a_table_that_is_not_there_is_the_servers_error(session: Driven) -> None:
    with pytest.raises(Error, match="does not exist"):
        insert(session, "a", True, "nowhere")


def test_an_aware_datetime_is_stored_as_utc_whatever_the_sessions_zone(session: Driven) -> None:
    session.run("CREATE TABLE t (a TIMESTAMP, b TIMESTAMPTZ, c DATE, d TEXT)")
    for column in "abcd":
        insert(session, column, MOMENT)
    assert session.run("SELECT MAX(a), MAX(b), MAX(c), MAX(d) FROM t") == [
        (datetime(2020, 1, 1, 23, 30), MOMENT, date(2020, 1, 1), "2020-01-01 23:30:00.000000+00:00")
    ]


def test_an_aware_datetime_is_compared_as_utc(session: Driven) -> None:
    session.run("CREATE TABLE t (a TIMESTAMP, b TIMESTAMPTZ)")
    for column in "ab":
        insert(session, column, MOMENT)
    for column in "ab":
        text = f"SELECT COUNT(*) FROM t WHERE {column} = %s AND {column} BETWEEN %s AND %s"
        statement = Statement(text, text, names=("v",) * 3, compared=frozenset({0, 1, 2}))
        args = [session.adapt(value) for value in (MOMENT, MOMENT, MOMENT.astimezone(timezone.utc))]
        session.backend.fit(statement, args, Columns(session))
        assert session.backend.execute(session.raw, text, args).fetchall() == [(1,)]


def test_elsewhere_an_aware_datetime_has_its_type(session: Driven) -> None:
    assert session.value("SELECT pg_typeof({})::text", MOMENT) == "timestamp with time zone"
    assert session.value("SELECT {} = {}::timestamptz", MOMENT, MOMENT.isoformat()) is True


def test_a_naive_datetime_is_left_alone(session: Driven) -> None:
    session.run("CREATE TABLE t (a TIMESTAMP)")
    insert(session, "a", datetime(2020, 1, 2))
    assert session.run("SELECT a FROM t") == [(datetime(2020, 1, 2),)]


def test_a_moment_outside_the_calendar_in_utc_is_refused(session: Driven) -> None:
    with pytest.raises(ParameterError, match="years 1 to 9999"):
        insert(session, "a", datetime(1, 1, 1, tzinfo=TWO_HOURS))


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("TEXT[]", ["a", None, 'q"\\,{}'], ["a", None, 'q"\\,{}']),
        ("VARCHAR(3)[]", ["a"], ["a"]),
        ("UUID[]", IDS, "{" + ",".join(map(str, IDS)) + "}"),
        ("UUID[]", [str(item) for item in IDS], "{" + ",".join(map(str, IDS)) + "}"),
        ("INTEGER[]", [1, 2], [1, 2]),
        ("INTEGER[]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("INTEGER[]", [], []),
        ("TIMESTAMP[]", [MOMENT], [datetime(2020, 1, 1, 23, 30)]),
        ("BOOLEAN[]", [True, None], [True, None]),
        ("JSON", [1, "a", {"b": [None]}], [1, "a", {"b": [None]}]),
        ("JSONB", [{"a": 1}, {"b": "é"}], [{"a": 1}, {"b": "é"}]),
        ("JSONB", [[1], [2, 3]], [[1], [2, 3]]),
    ],
)
def test_a_list_becomes_what_its_column_is(session: Driven, kind: str, value: Any, stored: Any) -> None:
    session.run(f"CREATE TABLE t (a {kind})")
    insert(session, "a", value)
    assert session.run("SELECT a FROM t") == [(stored,)]


def test_a_list_of_enum_labels_fits_a_column_of_that_type(session: Driven) -> None:
    session.run("CREATE TYPE colour AS ENUM ('red', 'blue')")
    session.run("CREATE TABLE t (a colour[])")
    insert(session, "a", ["red", "blue"])
    assert session.run("SELECT a::text FROM t") == [("{red,blue}",)]


@pytest.mark.parametrize("kind", ["UUID", "TEXT"])
def test_a_list_of_ids_is_compared_with_columns_of_either_type(session: Driven, kind: str) -> None:
    session.run(f"CREATE TABLE t (a {kind})")
    for item in IDS:
        insert(session, "a", item)
    assert session.value("SELECT COUNT(*) FROM t WHERE a = ANY({})", IDS) == 2
    long_list = session.backend.adapt_list([*IDS, *(UUID(int=n) for n in range(10, 40_000))])
    assert session.value("SELECT COUNT(*) FROM t WHERE a = ANY({})", long_list) == 2
    assert session.value("SELECT COUNT(*) FROM t WHERE a <> ALL({})", session.backend.adapt_list([])) == 2
