"""Parameters as clients give them: any name, any value, any order."""

import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from nexusql import DatabaseManager
from nexusql.errors import ParameterError

WORDS = (
    "all and any as asc at begin between by case check column create date default delete desc distinct drop end exists "
    "false from group having id in index insert interval into is join key left like limit mode name not now null "
    "offset on or order primary row select set table text time timestamp to true type union update user values when "
    "where with"
).split()

STATUS = Enum("STATUS", {"OPEN": "open", "TWO": 2})


@pytest.fixture
def store(db: DatabaseManager) -> DatabaseManager:
    db.execute("CREATE TABLE store (id INTEGER PRIMARY KEY, body TEXT, n INTEGER)")
    return db


@pytest.mark.parametrize("word", WORDS)
def test_a_parameter_may_bear_the_name_of_an_sql_word(db: DatabaseManager, word: str) -> None:
    sql = f"SELECT 1 AS one WHERE :{word}='x' AND 'x'=:{word} AND 'x' IN (:{word},'y') AND :{word}_violation = 'z'"
    if db.config.database_type.value == "mysql":
        sql = sql.replace(" WHERE", " FROM dual WHERE")
    assert db.execute(sql, {f"{word}_violation": "z", word: "x"}) == [{"one": 1}]


def test_in_every_place_of_a_client_s_statement(store: DatabaseManager) -> None:
    store.execute(
        "INSERT INTO store (id, body, n) VALUES (:id, :text, :null), (:id + 1, UPPER(:text), :limit)",
        {"id": 1, "text": "a:b", "null": None, "limit": 3, "surplus": object()},
    )
    rows = store.execute(
        "SELECT id, body FROM store s WHERE s.body LIKE :q AND (n IS NULL OR n>=:limit)AND id IN (:a,:b)"
        " ORDER BY CASE WHEN id = :a THEN 1 ELSE 0 END LIMIT :limit OFFSET :offset",
        {"q": "%:b%", "limit": 3, "a": 1, "b": 2, "offset": 0},
    )
    assert rows == [{"id": 1, "body": "a:b"}] if len(rows) == 1 else [r["id"] for r in rows] == [2, 1]


@pytest.mark.parametrize("none", [None, {}])
def test_none_and_an_empty_dict_mean_no_parameters(store: DatabaseManager, none: Any) -> None:
    store.execute("INSERT INTO store (id, body) VALUES (1, '100%')", none)
    for read in (store.execute, store.fetch_all):
        assert read("SELECT body FROM store WHERE body LIKE '%0\\%' OR body LIKE '1%'", none) == [{"body": "100%"}]
    assert store.fetch_one("SELECT body FROM store", none) == {"body": "100%"}


def test_a_missing_name_is_a_value_error_and_leaves_nothing_behind(store: DatabaseManager) -> None:
    with pytest.raises(ValueError, match=":body"):
        store.execute("INSERT INTO store (id, body) VALUES (:id, :body)", {"id": 1})
    assert store.fetch_value("SELECT COUNT(*) AS n FROM store") == 0


@pytest.mark.parametrize("sql", ["SELECT ? AS a, ? AS b", "SELECT %s AS a, %s AS b", "SELECT :x AS a, :y AS b"])
@pytest.mark.parametrize("make", [tuple, list])
def test_positions_in_every_form(db: DatabaseManager, sql: str, make: type) -> None:
    assert db.execute(sql, make(["1'; --", 2])) == [{"a": "1'; --", "b": 2}]
    assert db.fetch_one(sql, make([None, "?%s:x"])) == {"a": None, "b": "?%s:x"}


@pytest.mark.parametrize(
    "text",
    [
        "x'); DROP TABLE store; --",
        "\\'); DROP TABLE store; --",
        "%s %(body)s %% %",
        ":id :body ? $1 {0} ${x}",
        "$$ $a$ E'\\n' U&'\\0041'",
        "line\r\nline\ttab\x08\x1b\x7f",
        "\U0001f469\u200d\U0001f680 \u202e \ufeff \u2028 ﷽ ",
        "'" * 1000,
        "\\" * 999,
        " trailing ",
    ],
)
def test_hostile_text_is_stored_found_and_compared_as_it_is(store: DatabaseManager, text: str) -> None:
    store.execute("INSERT INTO store (id, body) VALUES (:id, :body)", {"id": 1, "body": text})
    store.execute("INSERT INTO store (id, body) VALUES (?, ?)", (2, text))
    assert [row["body"] for row in store.execute("SELECT body FROM store")] == [text, text]
    found = "SELECT COUNT(*) AS n FROM store WHERE body = :body AND body IN (:bodies) AND id > 0"
    assert store.fetch_value(found, {"body": text, "bodies": [text, "other"]}) == 2


def test_nul_where_the_server_can_hold_it(store: DatabaseManager, kind: str) -> None:
    insert = "INSERT INTO store (id, body) VALUES (1, :body)"
    if kind == "postgresql":
        with pytest.raises(ParameterError, match="NUL"):
            store.execute(insert, {"body": "a\0b"})
        assert store.fetch_value("SELECT COUNT(*) AS n FROM store") == 0
    else:
        store.execute(insert, {"body": "a\0b"})
        assert store.fetch_value("SELECT body FROM store") == "a\0b"


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_bytes_come_back_as_bytes_or_a_memoryview(db: DatabaseManager, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    db.execute("CREATE TABLE blobs (b BYTEA)")
    for given in (data, bytearray(data), memoryview(data)):
        db.execute("INSERT INTO blobs (b) VALUES (:b)", {"b": given})
    values = [row["b"] for row in db.execute("SELECT b FROM blobs")]
    assert all(isinstance(value, (bytes, memoryview)) for value in values)
    assert [bytes(value) for value in values] == [data] * 3


def test_every_kind_of_value_is_written_and_found_again(db: DatabaseManager, kind: str) -> None:
    db.execute(
        "CREATE TABLE kinds (i BIGINT, f DOUBLE PRECISION, d DECIMAL(12, 3), b BOOLEAN, day DATE, clock TIME, "
        "moment TIMESTAMP, uid UUID, status VARCHAR(10), two INTEGER)"
    )
    row = {
        "i": -(2**63),
        "f": 0.1,
        "d": Decimal("-12345.678"),
        "b": True,
        "day": date(1999, 12, 31),
        "clock": time(23, 59, 58),
        "moment": datetime(2024, 2, 29, 23, 59, 59, 999999),
        "uid": uuid.UUID("12345678-1234-4678-9234-567812345678"),
        "status": STATUS["OPEN"],
        "two": STATUS["TWO"],
    }
    names = ", ".join(row)
    db.execute(f"INSERT INTO kinds ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row)
    for name, value in row.items():
        assert db.fetch_value(f"SELECT COUNT(*) AS n FROM kinds WHERE {name} = :v", {"v": value}) == 1, name
    stored = db.execute("SELECT * FROM kinds")[0]
    assert (stored["i"], stored["f"], stored["status"], stored["two"]) == (-(2**63), 0.1, "open", 2)
    if kind == "sqlite":
        assert stored["moment"] == "2024-02-29 23:59:59.999999"
        assert (stored["day"], stored["clock"]) == ("1999-12-31", "23:59:58")
    else:
        assert (stored["moment"], stored["day"], stored["d"]) == (row["moment"], row["day"], row["d"])


def test_an_aware_datetime_is_the_same_moment_on_every_database(db: DatabaseManager, kind: str) -> None:
    db.execute("CREATE TABLE moments (t TIMESTAMP)")
    noon = datetime(2024, 7, 1, 12, 0, tzinfo=timezone.utc)
    for hours in (-8, 0, 5):
        db.execute("INSERT INTO moments (t) VALUES (:t)", {"t": noon.astimezone(timezone(timedelta(hours=hours)))})
    expected = "2024-07-01 12:00:00.000000" if kind == "sqlite" else noon.replace(tzinfo=None)
    assert [row["t"] for row in db.execute("SELECT t FROM moments")] == [expected] * 3


def test_a_bool_fits_boolean_and_integer_columns_through_every_write(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE flags (id INTEGER PRIMARY KEY, yes BOOLEAN, number INTEGER)")
    db.execute("INSERT INTO flags (id, yes, number) VALUES (:id, :v, :v)", {"id": 1, "v": True})
    db.execute("INSERT INTO flags (id, yes, number) VALUES (?, ?, ?)", (2, False, False))
    db.execute_many("INSERT INTO flags (id, yes, number) VALUES (:id, :v, :v)", [{"id": 3, "v": True}])
    with db.transaction() as tx:
        tx.execute("INSERT INTO flags (id, yes, number) VALUES (4, :v, :v)", {"v": None})
        tx.execute("UPDATE flags SET yes = :v, number = :v WHERE id = 2", {"v": True})
    rows = db.execute("SELECT yes, number FROM flags ORDER BY id")
    assert [(row["yes"], row["number"]) for row in rows] == [(True, 1), (True, 1), (True, 1), (None, None)]
    assert db.fetch_value("SELECT COUNT(*) AS n FROM flags WHERE yes = :v OR yes IS NULL", {"v": True}) == 4


def test_a_list_expands_in_in_and_only_there(store: DatabaseManager) -> None:
    store.execute("INSERT INTO store (id, body) VALUES (1, 'a'), (2, 'b''%s'), (3, NULL)")
    sql = "SELECT id FROM store WHERE body IN (:bodies) AND id NOT IN (:ids) ORDER BY id"
    for bodies, ids, found in ((["a", "b'%s"], [], [1, 2]), (("b'%s",), [3], [2]), ([], [], []), (["a"], (1,), [])):
        assert [row["id"] for row in store.execute(sql, {"bodies": bodies, "ids": ids})] == found
