"""The servers themselves read what compile_statement writes: what comes back is exactly what was bound.

Straight through the drivers, in each mode that changes how a server reads text. The values try to break out of every
place that text can stand in; a table called canary must outlive them all.
"""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg2
import pymysql
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import servers
from nexusql.errors import ParameterError, SQLSyntaxError
from nexusql.sql.lexical import Lexical
from nexusql.sql.statement import Style
from readings import (
    ALL_MARIADB,
    FRAGMENTS,
    HOSTILE,
    MARIA,
    MARIA_ANSI,
    MARIA_ANSI_NO_BACKSLASH,
    MARIA_NO_BACKSLASH,
    PG,
    PG_BACKSLASH,
    SQLITE,
    Reading,
)

# Modes that no Reading tells apart: brackets quote in the first, and the second knows other words.
MARIA_MSSQL = MARIA_ANSI._replace(name="mariadb-as-mssql")
MARIA_ORACLE = MARIA_ANSI._replace(name="mariadb-as-oracle")
LIVE = (SQLITE, PG, PG_BACKSLASH, *ALL_MARIADB, MARIA_MSSQL, MARIA_ORACLE)
SQL_MODES = {
    MARIA: "",
    MARIA_NO_BACKSLASH: "NO_BACKSLASH_ESCAPES",
    MARIA_ANSI: "ANSI_QUOTES",
    MARIA_ANSI_NO_BACKSLASH: "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
    MARIA_MSSQL: "MSSQL",
    MARIA_ORACLE: "ORACLE",
}
MULTIPLIER = 40 if servers.flag("NEXUSQL_LONG") else 1


class Session:
    """A bare driver connection in one mode, with a canary."""

    def __init__(self, reading: Reading, raw: Any) -> None:
        self.reading = reading
        self.raw = raw
        self.cursor = raw.cursor()

    def run(self, sql: str, params: dict[str, Any]) -> Any:
        """The only row of a statement, compiled and bound by name; values as they are."""
        statement = self.reading.compile(sql)
        assert set(statement.names) <= set(params)
        args = [params[name] for name in statement.names]
        self.cursor.execute(statement.text, args) if args else self.cursor.execute(statement.text)
        return tuple(self.cursor.fetchone())

    def canary_lives(self) -> bool:
        self.cursor.execute("SELECT count(*) FROM canary")
        return bool(self.cursor.fetchone()[0] == 1)


@pytest.fixture(scope="module", params=LIVE, ids=lambda reading: reading.name)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    reading: Reading = request.param
    kind = reading.dialect
    servers.require(kind)
    with servers.fresh_database(kind) as url:
        raw: Any = servers.CONNECT[kind](url) if kind != "sqlite" else sqlite3.connect(":memory:", isolation_level=None)
        try:
            cursor = raw.cursor()
            cursor.execute("CREATE TABLE canary (a INTEGER)")
            cursor.execute("INSERT INTO canary VALUES (1)")
            if kind == "postgresql":
                raw.autocommit = True
                mode = "on" if reading is PG else "off"
                cursor.execute(f"SET standard_conforming_strings = {mode}")
                cursor.execute("SET escape_string_warning = off")
            elif kind == "mysql":
                cursor.execute("SET sql_mode = %s", (SQL_MODES[reading],))
                cursor.execute("SELECT version()")
                if "MariaDB" not in cursor.fetchone()[0]:
                    pytest.skip("the readings are MariaDB's")
            yield Session(reading, raw)
        finally:
            raw.close()


class Column(NamedTuple):
    """An expression of a SELECT, and what it gives; `value` is a parameter's name where `bound` is set."""

    sql: str
    value: Any
    bound: bool = False


texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from([*HOSTILE, *FRAGMENTS]), max_size=4).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)
NAMES = ("p", "q", "Ä", "select", "p_1", "名")
names = st.sampled_from(NAMES)


def backslashes(reading: Reading) -> bool:
    return (reading.rules & Lexical.BACKSLASH_ESCAPES) != 0


def quoted(text: str, reading: Reading, quote: str = "'") -> str:
    if backslashes(reading) and quote in ("'", '"'):
        text = text.replace("\\", "\\\\")
    return quote + text.replace(quote, quote * 2) + quote


def e_literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r") + "'"


def literals(reading: Reading) -> list[st.SearchStrategy[Column]]:
    """Text with names, quotes and placeholders in it, written as each kind of literal."""
    kinds = [texts.map(lambda text: Column(quoted(f":p{text}", reading), f":p{text}"))]
    if reading.dialect == "postgresql":
        kinds += [
            texts.map(lambda text: Column(e_literal(f"{text} :p"), f"{text} :p")),
            # Behind a line end a literal goes on with its escapes, over comments too.
            st.tuples(texts, texts).map(
                lambda pair: Column(f"{e_literal(pair[0])}\n -- :p\n {e_literal(pair[1])[1:]}", "".join(pair))
            ),
            texts.filter(lambda text: "$t$" not in f"{text}$").map(lambda text: Column(f"$t$:p{text}$t$", f":p{text}")),
            st.just(Column("U&'d\\0061t:p'", "dat:p") if reading is PG else Column("N'a:p'", "a:p")),
            st.just(Column("B'01'::text||':p'", "01:p")),
        ]
    if reading.dialect == "mysql":
        kinds += [
            texts.filter(lambda text: max(text, default="") < "\U00010000").map(
                lambda text: Column(f"N{quoted(text + ':p', reading)}", f"{text}:p")
            ),
            texts.map(lambda text: Column(f"_utf8mb4{quoted(text + ':p', reading)}", f"{text}:p")),
            st.just(Column("X'413a70' ':p'", b"A:p")),
        ]
        if reading in (MARIA, MARIA_NO_BACKSLASH):
            kinds.append(texts.map(lambda text: Column(quoted(f"{text}:p", reading, '"'), f"{text}:p")))
        if backslashes(reading):
            kinds.append(st.just(Column(r"'\':p\\'", "':p\\")))
    return kinds


def parameters(reading: Reading) -> list[st.SearchStrategy[Column]]:
    """A parameter in each surrounding that code has for it."""
    shapes = ["{}", "({})", "CASE WHEN 1=1 THEN{} ELSE'x' END", "COALESCE(NULL,{})", "(SELECT{})"]
    shapes += ["CASE WHEN 1<2 THEN {} END", "(SELECT {} FROM canary WHERE 1=1 AND a<>-1)", "/* ' */{}/* ' */"]
    if reading.dialect == "postgresql":
        shapes += ["{}::text", "CAST({} AS text)", "(ARRAY['a',{}])[2]", "(ARRAY['a', 'b', {}::text])[1+2]"]
        shapes += ["('{{\"a\":1}}'::jsonb->>'a')||{}||$$'$$", "(ARRAY[{}]::text[])[:1]"]
    elif reading.dialect == "mysql":
        shapes += ["/*! {} */", "/*!50000 {} */", "/*M!100100 {}*/", "/*!{}*/", "CONCAT({})"]
    else:
        shapes += ["CAST({} AS TEXT)"]
    # What these give is not just the value: see `expected`.
    special = {"('{{\"a\":1}}'::jsonb->>'a')||{}||$$'$$", "(ARRAY[{}]::text[])[:1]"}

    def column(shape: str, name: str) -> Column:
        if shape in special:
            return Column(shape.format(f":{name}"), (shape, name), True)
        return Column(shape.format(f":{name}"), name, True)

    return [st.builds(column, st.sampled_from(shapes), names)]


def oddities(reading: Reading) -> list[st.SearchStrategy[Column]]:
    """Operators and quoted names that look like placeholders or like the beginning of text."""
    found = [Column("4 - -3", 7), Column("3-1", 2)]
    if reading is not MARIA_ORACLE:  # which has cursors' attributes there, %FOUND and the like
        found += [Column("10 % 3", 1), Column("10%3", 1)]
    quotes = ['"', "`", "["] if reading is SQLITE else ['"'] if reading in (PG, PG_BACKSLASH) else ["`"]
    if reading.dialect == "mysql" and reading.modes.ansi_quotes:
        quotes.append('"')
    for quote in quotes:
        inside = ":p ' % -- /* \\ %s ? $$"
        inside += "" if quote == "[" else f"{quote}{quote}"
        found.append(Column(f"1 AS {quote}{inside}{'x]' if quote == '[' else f'x{quote}'}", 1))
    if reading.dialect == "postgresql":
        found += [
            Column("""'{"a":1}'::jsonb ? 'a'""", True),
            Column("""'{"a":1}'::jsonb ?| ARRAY['b', 'a']""", True),
            Column("""'{"a":1}'::jsonb @? '$.a'""", True),
            Column("(ARRAY[1,2,3])[1:2]", [1, 2]),
            Column("(ARRAY[1,2,3])[:2]", [1, 2]),
            Column("5 # 1", 4),
            Column("@ -5", 5),
            Column("""'{"a":{"b":2}}'::json #>> '{a,b}'""", "2"),
            Column("1::int::text", "1"),
        ]
    if reading.dialect == "mysql":
        found += [Column("5--3", 8), Column("5--'3'", 8.0), Column("1 /*!99999 , :p '' */", 1), Column("1 # ' :p\n", 1)]
        found += [Column("@a:=1", 1), Column("1 /*+ x(`:p`) */", 1)]
    return [st.sampled_from(found)]


def columns(reading: Reading) -> st.SearchStrategy[Column]:
    return st.one_of(*parameters(reading), *parameters(reading), *literals(reading), *oddities(reading))


def comments(reading: Reading) -> st.SearchStrategy[str]:
    """A comment with anything in it, or a blank."""
    line = texts.map(lambda text: "-- :p " + re.sub(r"[\r\n]", "", text) + "\n")
    block = texts.map(lambda text: "/* :p " + text.replace("*", "+") + " */")
    kinds = [st.sampled_from([" ", "\n", "\t"]), line, block]
    if reading.dialect == "postgresql":
        kinds.append(texts.map(lambda text: "/* /* " + text.replace("*", "+") + " */ ' :p */"))
    if reading.dialect == "mysql":
        kinds.append(texts.map(lambda text: "# :p " + re.sub(r"[\n]", "", text) + "\n"))
        kinds.append(st.just("/*!99999 :p */"))
    return st.one_of(*kinds)


def expected(column: Column, params: dict[str, Any]) -> Any:
    if not column.bound:
        return column.value
    if isinstance(column.value, tuple):
        shape, name = column.value
        return [params[name]] if shape.startswith("(ARRAY") else f"1{params[name]}'"
    return params[column.value]


@settings(
    max_examples=100 if MULTIPLIER == 1 else 600,
    suppress_health_check=[HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},
)
@given(data=st.data())
def test_what_was_bound_comes_back_whatever_stands_around_it(session: Session, data: st.DataObject) -> None:
    reading = session.reading
    chosen = data.draw(st.lists(columns(reading), min_size=1, max_size=5), label="columns")
    params = {name: data.draw(texts, label=name) for name in NAMES}
    sql = "SELECT"
    for number, column in enumerate(chosen):
        sql += f"{data.draw(comments(reading))}{', ' if number else ' '}{column.sql}"
    sql += data.draw(comments(reading))
    row = session.run(sql, params)
    assert list(row) == [expected(column, params) for column in chosen]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_stored_and_found_as_they_are(session: Session, value: str) -> None:
    session.cursor.execute("DROP TABLE IF EXISTS kept")
    session.cursor.execute("CREATE TABLE kept (a VARCHAR(200), b VARCHAR(200))")
    insert = session.reading.compile("INSERT INTO kept (a, b) VALUES (:v, '%:v') -- :v")
    session.cursor.execute(insert.text, [value])
    assert session.run("SELECT a, b FROM kept WHERE a = :v AND b = '%:v' /* :v */", {"v": value}) == (value, "%:v")


@pytest.mark.parametrize("value", [0, 1, -1, 2**62, -(2**62)])
def test_numbers_keep_their_sign_beside_operators(session: Session, value: int) -> None:
    assert session.run("SELECT 4-:v, 4 - :v, -:v, - :v, (:v)", {"v": value}) == (
        4 - value,
        4 - value,
        -value,
        -value,
        value,
    )
    if session.reading.dialect == "mysql":
        assert session.run("SELECT 5--:v", {"v": value}) == (5 + value,)


def test_lists_give_the_same_rows_empty_and_long(session: Session) -> None:
    session.cursor.execute("DROP TABLE IF EXISTS n")
    session.cursor.execute("CREATE TABLE n (a INTEGER)")
    session.cursor.execute("INSERT INTO n VALUES (1), (2), (3), (NULL)")
    for items in ([], [2], [1, 3], list(range(2, 40_000))):
        for negated in (False, True):
            sql = f"SELECT a FROM n WHERE a {'NOT ' if negated else ''}IN (:ids)"
            statement = session.reading.compile(sql, Style.NAMED, (len(items),))
            if statement.whole_lists:
                text = ",".join(map(str, items))
                args: list[Any] = [f"{{{text}}}" if session.reading.dialect == "postgresql" else f"[{text}]"]
            else:
                args = list(items)
            session.cursor.execute(statement.text, args) if args else session.cursor.execute(statement.text)
            found = {row[0] for row in session.cursor.fetchall()}
            if negated:
                # Nothing is in an empty list, not even NULL.
                assert found == ({1, 2, 3, None} if not items else {1, 2, 3} - set(items))
            else:
                assert found == {1, 2, 3} & set(items)


# Any text at all: whatever the server makes of it, a value must not change what that is.


def outcome_postgresql(cursor: Any, text: str, args: list[Any]) -> tuple[str, str]:
    try:
        cursor.execute(text, args)
    except psycopg2.Error as error:
        message = error.diag.message_primary or ""
        if error.pgcode != "42601" or "jsonpath" in message or "tsquery" in message:
            return ("done", "")
        return ("syntax", re.sub(r"at or near \" ?E?'.*", "at or near a literal", message, flags=re.DOTALL))
    return ("done", "")


def outcome_mysql(cursor: Any, text: str, args: list[Any]) -> tuple[str, str]:
    try:
        cursor.execute(text, args)
    except pymysql.err.Error as error:
        if error.args[0] != 1064:
            return ("done", "")
        near = error.args[1].split(" near '", 1)[-1].rsplit("' at line", 1)[0]
        return ("syntax", near)
    return ("done", "")


def outcome_sqlite(cursor: Any, text: str, args: list[Any]) -> tuple[str, str]:
    try:
        cursor.execute(text, args)
    except sqlite3.ProgrammingError as error:
        # The driver counts its own placeholders: a number that is not ours is a place that we read otherwise.
        return ("miscounted", text) if "bindings" in str(error) else ("done", "")
    except sqlite3.Error as error:
        return ("syntax", str(error)) if "syntax" in str(error) or "token" in str(error) else ("done", "")
    return ("done", "")


OUTCOME: dict[str, Callable[[Any, str, list[Any]], tuple[str, str]]] = {
    "postgresql": outcome_postgresql,
    "mysql": outcome_mysql,
    "sqlite": outcome_sqlite,
}
PLAIN = "x"


def random_statement(rng: random.Random) -> str:
    pieces = [rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 8))]
    pieces.insert(rng.randint(0, len(pieces)), ":v")
    if rng.random() < 0.6:
        pieces.append(rng.choice(["'", "*/", "\n", "$$", '"', "`", "$t$", "]", ")", " 1"]))
    # SQLite takes the mark for a blank, and counts what follows; that is an error before anything is bound.
    return "SELECT " + "".join(piece for piece in pieces if piece != "\ufeff")


def same_reading(plain: tuple[str, str], hostile: tuple[str, str], dialect: str) -> bool:
    if dialect == "mysql" and plain[0] == hostile[0] == "syntax":
        # MariaDB quotes the rest of the text, with the values that follow.
        until = plain[1].find(f"'{PLAIN}'")
        return hostile[1].startswith(plain[1][: until if until >= 0 else None][:70])
    return plain == hostile


def test_no_value_changes_how_the_server_reads_any_text(session: Session) -> None:
    reading = session.reading
    rng = random.Random(f"{reading.name}")
    outcome = OUTCOME[reading.dialect]
    wanted = 400 * MULTIPLIER
    understood = 0
    while wanted:
        sql = random_statement(rng)
        try:
            statement = reading.compile(sql)
        except (SQLSyntaxError, ParameterError):
            continue
        if not statement.names:
            continue
        wanted -= 1
        plain = outcome(session.cursor, statement.text, [PLAIN] * len(statement.names))
        assert plain[0] != "miscounted", (sql, statement.text)
        understood += plain[0] == "done"
        for value in rng.sample(HOSTILE, 3):
            hostile = outcome(session.cursor, statement.text, [value] * len(statement.names))
            assert same_reading(plain, hostile, reading.dialect), (sql, statement.text, value, plain, hostile)
    assert understood > 10 * MULTIPLIER


def test_the_canary_lives(session: Session) -> None:
    assert session.canary_lives()
