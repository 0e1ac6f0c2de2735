"""A value that is written in bulk never becomes SQL, or another value: in every mode that a session can have."""

import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import columns
import servers
from bulking import opened, plain, undone
from nexusql import Array, ParameterError
from nexusql.transaction import Transaction


class Session(NamedTuple):
    """A transaction in a session of one mode, with tables `t` and `canary` and a view of `t`."""

    tx: Transaction
    kind: str
    into: str


MODES = [
    ("sqlite", "", "t"),
    *[
        ("postgresql", mode, into)
        for mode in (
            "SET standard_conforming_strings = on",
            "SET standard_conforming_strings = off; SET escape_string_warning = off",
            "SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on",
        )
        for into in ("t", "seen")
    ],
    *[
        ("mysql", f"SET SESSION sql_mode = '{modes}'", "t")
        for modes in (
            "STRICT_TRANS_TABLES",
            "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES",
            "STRICT_TRANS_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT",
            "STRICT_TRANS_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
            "STRICT_TRANS_TABLES,ORACLE",
            "STRICT_TRANS_TABLES,ORACLE,NO_BACKSLASH_ESCAPES",
            "STRICT_TRANS_TABLES,MSSQL",
        )
    ],
    ("mysql", "SET NAMES utf8mb3; SET SESSION sql_mode = 'STRICT_TRANS_TABLES'", "t"),
    ("mysql", "SET NAMES utf8mb3; SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES'", "t"),
    *[("mssql", f"SET QUOTED_IDENTIFIER {word}", "t") for word in ("ON", "OFF") if "mssql" in servers.KINDS],
]
DECLARED = {
    "sqlite": "text_ TEXT, blob_ BLOB, json_ JSON, list_ JSON",
    "postgresql": "text_ TEXT, blob_ BYTEA, json_ JSONB, list_ TEXT[]",
    "mysql": "text_ LONGTEXT, blob_ LONGBLOB, json_ JSON, list_ JSON",
    "mssql": "text_ TEXT, blob_ BYTEA, json_ JSONB, list_ JSONB",
}
BOUND = {
    "sqlite": "a TEXT, b BLOB, c REAL",
    "postgresql": "a TEXT, b BYTEA, c FLOAT8",
    "mysql": "a LONGTEXT, b LONGBLOB, c DOUBLE",
    "mssql": "a TEXT, b BYTEA, c DOUBLE PRECISION",
}
FEW = (settings.default or settings()).max_examples // 2


def mode_name(mode: tuple[str, str, str]) -> str:
    return " ".join(mode).replace("SET SESSION sql_mode = ", "")


@pytest.fixture(scope="module", params=MODES, ids=mode_name)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    kind, mode, into = request.param
    with opened(kind) as db:
        db.execute("CREATE TABLE canary (a INTEGER)")
        db.execute("INSERT INTO canary VALUES (42)")
        db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {DECLARED[kind]})")
        db.execute("CREATE VIEW seen AS SELECT * FROM t")
        for name in ("bound", "written"):
            db.execute(f"CREATE TABLE {name} (id INTEGER, {BOUND[kind]})")
        db.execute("CREATE VIEW seen_written AS SELECT * FROM written")
        with db.transaction() as tx:
            for setting in mode.split("; ") if mode else ():
                tx.execute(setting)
            yield Session(tx, kind, into)
            assert tx.execute("SELECT a FROM canary") == [{"a": 42}]


texts = (
    st.text(st.characters(exclude_categories=[]), max_size=30)
    | st.sampled_from(columns.HOSTILE)
    | st.text("'\\\"`%;\t\n\r\x00\x1aN. x")
)


def encodable(session: Session, value: str) -> bool:
    """Whether a database can hold a text, sent by a session of that character set."""
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        return False
    return "\0" not in value or session.kind != "postgresql"


@pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning")
@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(
    value=texts, key=texts, data=st.binary(max_size=20) | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_text_and_bytes_come_back_beside_others(session: Session, value: str, key: str, data: bytes) -> None:
    tx, kind, into = session
    if kind == "mysql" and tx.fetch_value("SELECT @@character_set_client") != "utf8mb4":
        value, key = (columns.in_basic_plane(text) for text in (value, key))
    document = {key: [value]}
    listed = [value, None, key]
    row = {
        "id": 2,
        "text_": value,
        "blob_": data,
        "json_": document,
        "list_": Array(listed),
    }
    rows = [{"id": 1, "text_": "before"}, row, {"id": 3, "text_": "after"}]
    tx.execute("DELETE FROM t")
    if not all(encodable(session, text) for text in (value, key)):
        with pytest.raises(ParameterError, match=r"row 1, column '(text|json|list)_': .*(surrogate|NUL)"):
            tx.bulk_insert(into, rows)
        assert tx.fetch_value("SELECT COUNT(*) FROM t") == 0
        return
    assert tx.bulk_insert(into, rows).rowcount == 3
    before, found, after = ({k: plain(v) for k, v in row.items()} for row in tx.execute("SELECT * FROM t ORDER BY id"))
    assert (before["text_"], after["text_"]) == ("before", "after")
    assert (found["text_"], found["blob_"]) == (value, data)
    read = (lambda text: text) if kind == "postgresql" else json.loads
    assert (read(found["json_"]), read(found["list_"])) == (document, listed)


def prepared(tx: Transaction, kind: str, value: Any) -> None:
    """Store a value in `bound`, given to a prepared statement as hexadecimal digits or as a plain number."""
    if kind == "postgresql":
        number = "NULL" if isinstance(value, (str, bytes)) else f"'{value!r}'::float8"
        text = f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')" if isinstance(value, str) else "NULL"
        data = f"decode('{value.hex()}', 'hex')" if isinstance(value, bytes) else "NULL"
        tx.execute("DEALLOCATE ALL")
        tx.execute("PREPARE store (text, bytea, float8) AS INSERT INTO bound VALUES (1, $1, $2, $3)")
        tx.execute(f"EXECUTE store ({text}, {data}, {number})")
        return
    if kind == "mssql":
        number = "NULL" if isinstance(value, (str, bytes)) else f"CAST('{value!r}' AS FLOAT)"
        text = f"CAST(0x{value.encode('utf-16-le').hex()} AS NVARCHAR(MAX))" if isinstance(value, str) else "NULL"
        data = f"0x{value.hex()}" if isinstance(value, bytes) else "NULL"
        types = "@a NVARCHAR(MAX), @b VARBINARY(MAX), @c FLOAT"
        given = f"@a NVARCHAR(MAX) = {text}, @b VARBINARY(MAX) = {data}, @c FLOAT = {number}"
        insert = "INSERT INTO bound VALUES (1, @a, @b, @c)"
        tx.execute(f"DECLARE {given} EXEC sp_executesql N'{insert}', N'{types}', @a, @b, @c")
        return
    number = "NULL" if isinstance(value, (str, bytes)) else f"CAST('{value!r}' AS DOUBLE)"
    text = f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)" if isinstance(value, str) else "NULL"
    data = f"X'{value.hex()}'" if isinstance(value, bytes) else "NULL"
    tx.execute(f"SET @a = {text}, @b = {data}, @c = {number}")
    tx.execute("PREPARE store FROM 'INSERT INTO bound VALUES (1, ?, ?, ?)'")
    tx.execute("EXECUTE store USING @a, @b, @c")
    tx.execute("DEALLOCATE PREPARE store")


numbers = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: number != 0)
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@pytest.mark.filterwarnings("ignore::nexusql.PerformanceWarning")
@pytest.mark.parametrize("session", MODES[1:], indirect=True, ids=mode_name, scope="module")
@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(value=storable | st.sampled_from(columns.HOSTILE) | st.binary(max_size=20) | numbers)
def test_what_is_written_is_what_a_prepared_statement_is_given(session: Session, value: Any) -> None:
    tx, kind, into = session
    if kind == "mysql" and tx.fetch_value("SELECT @@character_set_client") != "utf8mb4":
        value = columns.in_basic_plane(value)
    column = {str: "a", bytes: "b", float: "c"}[type(value)]
    if kind == "mssql" and column == "c":  # whose FLOAT has no smaller ones, by its documentation
        assume(abs(value) >= sys.float_info.min)
    exactly = "BINARY {0} = BINARY {1}" if kind == "mysql" and column != "c" else "{0} = {1}"
    if kind == "mssql" and column == "a":
        exactly = "CAST({0} AS VARBINARY(MAX)) = CAST({1} AS VARBINARY(MAX))"
    condition = exactly.format(f"bound.{column}", f"written.{column}")
    with undone(tx):
        prepared(tx, kind, value)
        tx.bulk_insert("written" if into == "t" else "seen_written", [{"id": 1, column: value}])
        joined = f"bound JOIN written ON bound.id = written.id AND {condition}"
        assert tx.fetch_value(f"SELECT COUNT(*) FROM {joined}") == 1
