"""Identifiers that nexusql quotes stand for exactly the given name, or are refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import servers
from nexusql.backends.bulk import column_list
from nexusql.backends.mssql.syntax import SYNTAX as MSSQL
from nexusql.backends.mysql.syntax import SYNTAX as MYSQL
from nexusql.backends.postgresql.syntax import SYNTAX as POSTGRESQL
from nexusql.backends.sqlite.syntax import SYNTAX as SQLITE
from nexusql.errors import ConfigError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.syntax import Syntax

ALL = [SQLITE, POSTGRESQL, MYSQL, MSSQL]
BY_KIND = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL, "mssql": MSSQL}
NAMES = ["plain", "select", "Mixed", "with blank", "a'b", 'a"b', "a`b", "a]b", "a[b", '""', "``", "]]", "%s", ":x"]
HOSTILE = [*NAMES, "a;b--", "/*", "*/", "\\", "a\nb", "é", "人", "ﬀ", "x" * 63, "\u2028", "a.b", "?", "#", "-- "]

dialects = pytest.mark.parametrize("syntax", ALL, ids=lambda syntax: syntax.dialect)


@pytest.mark.parametrize(
    ("syntax", "name", "quoted"),
    [
        (SQLITE, 'a"b', '"a""b"'),
        (POSTGRESQL, 'a"b', '"a""b"'),
        (POSTGRESQL, "a`b]", '"a`b]"'),
        (MYSQL, "a`b", "`a``b`"),
        (MYSQL, 'a"b', '`a"b`'),
        (MSSQL, "a]b", "[a]]b]"),
        (MSSQL, "a[b", "[a[b]"),
    ],
)
def test_the_quote_is_doubled(syntax: Syntax, name: str, quoted: str) -> None:
    assert quote_identifier(name, syntax) == quoted


@dialects
@pytest.mark.parametrize(
    ("name", "problem"), [("", "empty"), ("a\0b", "NUL"), ("\ud800", "not valid Unicode"), (5, "a str, not int")]
)
def test_a_name_that_no_server_could_hold_is_refused(syntax: Syntax, name: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        quote_identifier(name, syntax)


@pytest.mark.parametrize(("syntax", "most"), [(POSTGRESQL, 63), (MYSQL, 64), (MSSQL, 128), (SQLITE, 255)])
def test_a_name_longer_than_the_limit_is_refused(syntax: Syntax, most: int) -> None:
    assert quote_identifier("x" * most, syntax)[1:-1] == "x" * most
    with pytest.raises(ConfigError, match=f"has {most + 1} .*; {syntax.dialect} allows {most}$"):
        quote_identifier("x" * (most + 1), syntax)


def test_postgresql_counts_bytes_and_the_others_characters() -> None:
    assert quote_identifier("é" * 31, POSTGRESQL) == f'"{"é" * 31}"'
    with pytest.raises(ConfigError, match="64 bytes"):
        quote_identifier("é" * 32, POSTGRESQL)
    assert quote_identifier("é" * 64, MYSQL) == f"`{'é' * 64}`"


def test_quotes_that_are_doubled_do_not_count() -> None:
    assert len(quote_identifier('"' * 63, POSTGRESQL)) == 2 + 2 * 63


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        quote_identifier("x" * 10_000, SQLITE)
    assert len(str(caught.value)) < 200


@dialects
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15))
@example(name="]`\"'")
def test_no_name_ends_its_quotes_early_and_two_names_never_collide(syntax: Syntax, name: str) -> None:
    quoted = quote_identifier(name, syntax)
    closing_quote = syntax.quote
    inside = quoted[1:-1]
    assert quoted[-1] == closing_quote
    assert closing_quote not in inside.replace(closing_quote * 2, "")
    assert inside.replace(closing_quote * 2, closing_quote) == name


@contextmanager
def bare_connection(kind: str, url: str) -> Iterator[Any]:
    connection = sqlite3.connect(":memory:") if kind == "sqlite" else servers.CONNECT[kind](url)
    with closing(connection):
        yield connection


def test_the_servers_read_back_every_name_as_it_was(kind: str, database_url: str) -> None:
    syntax = BY_KIND[kind]
    # MySQL's manual, "Schema Object Names": a name cannot end with a blank.
    names = [name for name in HOSTILE if not (kind == "mysql" and name.endswith(" "))]
    with bare_connection(kind, database_url) as connection, closing(connection.cursor()) as cursor:
        columns = ", ".join(f"{quote_identifier(name, syntax)} INTEGER" for name in names)
        cursor.execute(f"CREATE TABLE {quote_identifier('a table', syntax)} ({columns})")
        cursor.execute(f"SELECT * FROM {quote_identifier('a table', syntax)}")
        assert [column[0] for column in cursor.description] == names


def test_two_names_that_differ_at_the_limit_are_two_tables(kind: str, database_url: str) -> None:
    syntax = BY_KIND[kind]
    stem = "é" * (31 if kind == "postgresql" else 63)
    with bare_connection(kind, database_url) as connection, closing(connection.cursor()) as cursor:
        for last in ("a", "b"):
            cursor.execute(f"CREATE TABLE {quote_identifier(stem + last, syntax)} (x INTEGER)")
            cursor.execute(f"SELECT * FROM {quote_identifier(stem + last, syntax)}")
            assert cursor.description[0][0] == "x"


def test_a_name_beyond_the_basic_plane_is_the_servers_to_refuse(kind: str, database_url: str) -> None:
    syntax = BY_KIND[kind]
    quoted = quote_identifier("t😀", syntax)
    with bare_connection(kind, database_url) as connection, closing(connection.cursor()) as cursor:
        if kind == "mysql":
            with pytest.raises(Exception, match=r"1300|Invalid utf8mb"):
                cursor.execute(f"CREATE TABLE {quoted} (x INTEGER)")
        else:
            cursor.execute(f"CREATE TABLE {quoted} (x INTEGER)")
            cursor.execute(f"SELECT * FROM {quoted}")
            assert cursor.description[0][0] == "x"


@pytest.mark.parametrize("syntax", [SQLITE, POSTGRESQL, MYSQL, MSSQL], ids=lambda syntax: syntax.dialect)
def test_a_list_of_columns_is_quoted_as_its_syntax_says(syntax: Syntax) -> None:
    names = ("a", 'b"`]')
    for each in (syntax, replace(syntax, quote="`"), replace(syntax, quote='"'), replace(syntax, quote="]"), syntax):
        assert column_list(names, each) == ", ".join(quote_identifier(name, each) for name in names)
    column_list(["é" * 4], syntax)
    with pytest.raises(ConfigError, match="allows 3"):
        column_list(["é" * 4], replace(syntax, max_identifier=3))
    with pytest.raises(ConfigError, match="8 bytes"):
        column_list(["é" * 4], replace(syntax, max_identifier=7, max_identifier_in_bytes=True))
